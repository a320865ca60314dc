#include "cluster/metadata_result.h"

#include "base/assert.h"

#include <stddef.h>

static const struct {
    const char *name;
    const char *text;
} codes[META_CODES] = {
    [META_OK] = { "ok", "done" },
    [META_NO_CLUSTER] = { "no_cluster", "there is no cluster yet" },
    [META_CLUSTER_EXISTS] = { "cluster_exists", "the cluster has been started already" },
    [META_OTHER_CLUSTER] = { "other_cluster", "the command is meant for another cluster" },
    [META_PROPOSER] = { "proposer", "the proposer is not a member of the cluster" },
    [META_SEQUENCE] = { "sequence", "the proposer has had a later command carried out since" },
    [META_ADDRESS] = { "address", "an address is HOST:PORT in lower case, at most 127 characters" },
    [META_ADDRESS_TAKEN] = { "address_taken", "another member has this address" },
    [META_WEIGHT] = { "weight", "a weight is a whole number from 1 to 1000000" },
    [META_ID_USED] = { "id_used", "the member id is zero, was given out before, or is too high" },
    [META_MEMBERS_FULL] = { "members_full", "the cluster has as many members as it can" },
    [META_NO_MEMBER] = { "no_member", "there is no member with this id" },
    [META_BOOT] = { "boot",
                    "the boot count is not above the last: an old copy of the node's data" },
    [META_STATE] = { "state", "the state of the member does not allow it" },
    [META_LAST_NODE] = { "last_node", "no member would be left to keep the data" },
    [META_BELOW_N] = { "below_n", "fewer members would be left than a keyspace wants copies" },
    [META_HOLDS_SLOTS] = { "holds_slots", "the member still keeps slots; move them away first" },
    [META_NAME] = { "name", "a keyspace name is 1 to 64 characters of a-z, 0-9, _ and -" },
    [META_NAME_TAKEN] = { "name_taken", "there is a keyspace with this name" },
    [META_NO_KEYSPACE] = { "no_keyspace", "there is no keyspace with this id" },
    [META_KEYSPACES_FULL] = { "keyspaces_full", "no more keyspaces can be made" },
    [META_DEFAULT_KEYSPACE] = { "default_keyspace", "the default keyspace cannot be dropped" },
    [META_SETTINGS] = { "settings", "N is 1 to 7, W and R are 0 to N, a ttl is at most 2^48 ms" },
    [META_DISCIPLINE] = { "discipline", "a keyspace is strict or eventual from its first day" },
    [META_STRICT_N] = { "strict_n", "a strict keyspace keeps its N, and W and R are majorities" },
    [META_COPIES] = { "copies", "the slots have fewer copies than a keyspace wants" },
    [META_REPLICAS] = { "replicas", "slots have 1 to 7 copies" },
    [META_TARGET] = { "target", "the members named are not those that should have slots now" },
    [META_CHANGE_RUNNING] = { "change_running", "a change of the ring is running already" },
    [META_NO_CHANGE] = { "no_change", "no change of the ring with this id is running" },
    [META_PAUSED] = { "paused", "the change is paused" },
    [META_PHASE] = { "phase", "a slot named is not in the phase before" },
};

const char *metadata_code_name(enum metadata_code code) {
    ASSERT((uint32_t)code < META_CODES);
    ASSERT(codes[code].name != NULL);
    return codes[code].name;
}

const char *metadata_code_text(enum metadata_code code) {
    ASSERT((uint32_t)code < META_CODES);
    ASSERT(codes[code].text != NULL);
    return codes[code].text;
}
