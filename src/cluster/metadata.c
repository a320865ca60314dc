#include "cluster/metadata.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cluster/metadata_internal.h"

static_assert(MEMBERS_MAX + REPLICAS_MAX <= RING_MEMBERS_MAX, "members and empty places fit");
static_assert(MEMBER_ID_MAX < UINT32_MAX - REPLICAS_MAX, "empty places have ids of their own");

struct metadata *metadata_create(void) {
    struct metadata *m = mem_alloc_zeroed(sizeof *m);
    ASSERT(m->epoch == 0);
    return m;
}

struct metadata *metadata_clone(const struct metadata *m) {
    ASSERT(m->keyspaces_count <= m->keyspaces_room);
    struct metadata *clone = mem_alloc(sizeof *clone);
    *clone = *m;
    clone->keyspaces = NULL;
    clone->keyspaces_room = m->keyspaces_count;
    if (m->keyspaces_count > 0) {
        const size_t bytes = m->keyspaces_count * sizeof *m->keyspaces;
        clone->keyspaces = mem_alloc(bytes);
        memcpy(clone->keyspaces, m->keyspaces, bytes);
    }
    return clone;
}

void metadata_destroy(struct metadata *m) {
    if (m == NULL) return;
    mem_free(m->keyspaces);
    mem_free(m);
}

typedef struct metadata_result apply_kind(struct metadata *m, const struct metadata_command *c);

static apply_kind *const apply_kinds[METADATA_KINDS] = {
    [METADATA_BOOTSTRAP] = apply_bootstrap,
    [METADATA_MEMBER_ADD] = apply_member_add,
    [METADATA_MEMBER_BOOT] = apply_member_boot,
    [METADATA_MEMBER_WEIGHT] = apply_member_weight,
    [METADATA_MEMBER_LEAVE] = apply_member_leave,
    [METADATA_MEMBER_DEAD] = apply_member_dead,
    [METADATA_MEMBER_REMOVE] = apply_member_remove,
    [METADATA_KEYSPACE_CREATE] = apply_keyspace_create,
    [METADATA_KEYSPACE_ALTER] = apply_keyspace_alter,
    [METADATA_KEYSPACE_DROP] = apply_keyspace_drop,
    [METADATA_CHANGE_BEGIN] = apply_change_begin,
    [METADATA_SLOTS_JOINT] = apply_slots_joint,
    [METADATA_SLOTS_NEW] = apply_slots_new,
    [METADATA_CHANGE_PAUSE] = apply_change_pause,
    [METADATA_CHANGE_RESUME] = apply_change_resume,
    [METADATA_CHANGE_THROTTLE] = apply_change_throttle,
    [METADATA_CHANGE_CANCEL] = apply_change_cancel,
    [METADATA_REPLICAS] = apply_replicas,
    [METADATA_KEYSPACE_WIDEN] = apply_keyspace_widen,
};

/* A refusal is remembered too: the proposer may have been told of it, and the same proposal
 * must not succeed when it comes a second time. */
static struct metadata_result apply_and_remember(struct metadata *m,
                                                 const struct metadata_command *c) {
    const struct metadata_result result = apply_kinds[c->kind](m, c);
    if (metadata_result_ok(result)) m->revision++;
    const uint32_t at = metadata_find_member(m, c->proposal.node);
    if (at == MEMBER_NONE) return result; /* it has removed itself, or bootstrap was refused */
    m->members[at].sequence = c->proposal.sequence;
    m->members[at].result = result;
    return result;
}

struct metadata_result metadata_apply(struct metadata *m, const struct metadata_command *c) {
    ASSERT(c->kind >= METADATA_BOOTSTRAP && c->kind < METADATA_KINDS);
    ASSERT(c->proposal.sequence > 0);
    ASSERT(m->members_count <= MEMBERS_MAX);
    if (m->epoch == 0) {
        if (c->kind != METADATA_BOOTSTRAP) return metadata_refuse(META_NO_CLUSTER);
        return apply_and_remember(m, c);
    }
    if (memcmp(&c->cluster, &m->cluster, sizeof c->cluster) != 0)
        return metadata_refuse(META_OTHER_CLUSTER);
    const uint32_t at = metadata_find_member(m, c->proposal.node);
    if (at == MEMBER_NONE) return metadata_refuse(META_PROPOSER);
    const struct metadata_member *proposer = &m->members[at];
    if (c->proposal.sequence == proposer->sequence) return proposer->result;
    if (c->proposal.sequence < proposer->sequence) return metadata_refuse(META_SEQUENCE);
    return apply_and_remember(m, c);
}

uint64_t metadata_hash(const struct metadata *m) {
    struct buffer out;
    buffer_init(&out, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(m, &out);
    ASSERT(!out.overflowed);
    const uint64_t hash = hash_xxh3(buffer_bytes(&out));
    buffer_deinit(&out);
    return hash;
}

uint32_t metadata_find_member(const struct metadata *m, uint32_t id) {
    ASSERT(m->members_count <= MEMBERS_MAX);
    uint32_t low = 0;
    uint32_t high = m->members_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (m->members[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->members_count && m->members[low].id == id ? low : MEMBER_NONE;
}

enum member_state metadata_member_state(const struct metadata *m, uint32_t id) {
    const uint32_t at = metadata_find_member(m, id);
    if (at != MEMBER_NONE) return m->members[at].state;
    return id >= 1 && id <= m->member_last ? MEMBER_REMOVED : MEMBER_UNKNOWN;
}

const char *member_state_name(enum member_state state) {
    static const char *const names[] = {
        [MEMBER_JOINING] = "joining", [MEMBER_ACTIVE] = "active",   [MEMBER_LEAVING] = "leaving",
        [MEMBER_DEAD] = "dead",       [MEMBER_REMOVED] = "removed", [MEMBER_UNKNOWN] = "unknown",
    };
    ASSERT((uint32_t)state < sizeof names / sizeof *names);
    return names[state];
}

const struct keyspace *metadata_find_keyspace(const struct metadata *m, uint16_t id) {
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        if (m->keyspaces[i].id == id) return &m->keyspaces[i];
    }
    return NULL;
}

const struct keyspace *metadata_find_name(const struct metadata *m, struct bytes name) {
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        if (bytes_equal(keyspace_name(&m->keyspaces[i]), name)) return &m->keyspaces[i];
    }
    return NULL;
}

static uint32_t quorum_of(uint32_t wanted, uint32_t count) {
    ASSERT(count > 0);
    const uint32_t quorum = wanted == 0 ? membership_majority(count) : wanted;
    return quorum < count ? quorum : count;
}

static void take_set(const struct metadata *m, const struct slot_list *list,
                     struct replication replication, struct replica_set *ret_set) {
    ASSERT(list->count >= 1);
    ASSERT(list->count <= REPLICAS_MAX);
    const uint32_t wanted = replication.replicas;
    *ret_set = (struct replica_set){ .count = wanted < list->count ? wanted : list->count };
    for (uint32_t i = 0; i < ret_set->count; i++) ret_set->ids[i] = m->members[list->members[i]].id;
    ret_set->write_quorum = quorum_of(replication.write_quorum, ret_set->count);
    ret_set->read_quorum = quorum_of(replication.read_quorum, ret_set->count);
}

void metadata_replicas(const struct metadata *m, uint32_t slot, const struct keyspace *keyspace,
                       struct slot_replicas *ret_replicas) {
    ASSERT(m->epoch > 0);
    ASSERT(slot < RING_SLOTS);
    const struct slot_table *t = &m->slots;
    *ret_replicas = (struct slot_replicas){ .phase = t->phases[slot], .epoch = t->epochs[slot] };
    take_set(m, &t->lists[slot], keyspace->settings.replication, &ret_replicas->now);
    if (t->phases[slot] == SLOT_JOINT)
        take_set(m, &t->targets[slot], keyspace->settings.replication, &ret_replicas->next);
}

STATUS metadata_view(const struct metadata *m, uint64_t epoch, struct metadata_view *ret_view) {
    if (epoch != 0 && epoch != m->epoch) return status_of(ST_CONFLICT);
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    slot_table_count(&m->slots, m->members_count, owned, kept);
    *ret_view = (struct metadata_view){ .epoch = m->epoch, .count = m->members_count };
    for (uint32_t i = 0; i < m->members_count; i++) {
        const struct metadata_member *member = &m->members[i];
        ret_view->members[i] = (struct metadata_view_member){
            .id = member->id,
            .weight = member->weight,
            .zone = member->zone,
            .boot = member->boot,
            .state = member->state,
            .address = member->address,
            .owned = owned[i],
            .kept = kept[i],
        };
    }
    return status_of(ST_OK);
}

bool metadata_never_started(const struct metadata_member *member) {
    return member->state == MEMBER_JOINING && member->boot == 0;
}

void metadata_inputs(const struct metadata *m, struct ring_inputs *ret_inputs) {
    const uint32_t next = m->replicas_next;
    *ret_inputs = (struct ring_inputs){ .replicas = next != 0 ? next : m->replicas };
    for (uint32_t i = 0; i < m->members_count; i++) {
        const struct metadata_member *member = &m->members[i];
        if (member->state != MEMBER_ACTIVE && member->state != MEMBER_JOINING) continue;
        if (metadata_never_started(member)) continue;
        ret_inputs->members[ret_inputs->count++] =
            (struct ring_member){ member->id, member->weight, member->zone };
    }
    ASSERT(ret_inputs->count <= MEMBERS_MAX);
}

uint64_t metadata_inputs_hash(const struct ring_inputs *inputs) {
    uint8_t bytes[MEMBERS_MAX * 12];
    ASSERT(inputs->count <= MEMBERS_MAX);
    for (uint32_t i = 0; i < inputs->count; i++) {
        put_u32_le(bytes + i * 12, inputs->members[i].id);
        put_u32_le(bytes + i * 12 + 4, inputs->members[i].weight);
        put_u32_le(bytes + i * 12 + 8, inputs->members[i].zone);
    }
    return hash_xxh3(bytes_of(bytes, inputs->count * 12));
}

bool metadata_change_is_due(const struct metadata *m, uint64_t inputs_hash) {
    return m->replicas_next != 0 || inputs_hash != m->placed;
}

bool metadata_has_dead(const struct metadata *m) {
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (m->members[i].state == MEMBER_DEAD) return true;
    }
    return false;
}

bool metadata_leads_to_dead(const struct metadata *m) {
    struct place_set dead = { { 0 } };
    if (!metadata_has_dead(m)) return false;
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (m->members[i].state == MEMBER_DEAD) place_set_add(&dead, i);
    }
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (slot_list_meets(&m->slots.targets[slot], &dead)) return true;
    }
    return false;
}

uint32_t metadata_find_nonce(const struct metadata *m, uint64_t nonce) {
    ASSERT(nonce != 0);
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (m->members[i].nonce == nonce) return i;
    }
    return MEMBER_NONE;
}

uint32_t metadata_find_address(const struct metadata *m, struct bytes address) {
    ASSERT(m->members_count <= MEMBERS_MAX);
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (bytes_equal(bytes_of_string(m->members[i].address), address)) return i;
    }
    return MEMBER_NONE;
}

static bool member_check(const struct metadata *m, uint32_t i) {
    const struct metadata_member *member = &m->members[i];
    if (member->id < 1 || member->id > m->member_last) return false;
    if (i > 0 && m->members[i - 1].id >= member->id) return false;
    if (member->weight < 1 || member->weight > RING_WEIGHT_MAX) return false;
    if ((uint32_t)member->state >= MEMBER_STATES) return false;
    if ((uint32_t)member->result.code >= META_CODES) return false;
    if (member->result.code != META_OK && member->result.value != 0) return false;
    if (member->sequence == 0 && (member->result.code != META_OK || member->result.value != 0))
        return false;
    const size_t len = strnlen(member->address, MEMBER_ADDRESS_BYTES);
    if (len == MEMBER_ADDRESS_BYTES) return false;
    for (size_t k = len; k < MEMBER_ADDRESS_BYTES; k++) {
        if (member->address[k] != 0) return false;
    }
    for (uint32_t k = 0; k < i && member->nonce != 0; k++) {
        if (m->members[k].nonce == member->nonce) return false;
    }
    if (len == 0) return member->state == MEMBER_DEAD;
    if (!member_address_is_valid(bytes_of(member->address, len))) return false;
    for (uint32_t k = 0; k < i; k++) {
        if (memcmp(m->members[k].address, member->address, MEMBER_ADDRESS_BYTES) == 0) return false;
    }
    return true;
}

static bool gone_check(const struct metadata *m) {
    if (m->gone_count > METADATA_GONE_MAX) return false;
    for (uint32_t i = 0; i < METADATA_GONE_MAX; i++) {
        if ((m->gone[i] != 0) != (i < m->gone_count)) return false;
        if (m->gone[i] != 0 && metadata_find_nonce(m, m->gone[i]) != MEMBER_NONE) return false;
    }
    return true;
}

static bool keyspaces_check(const struct metadata *m) {
    if (m->keyspaces_count > KEYSPACES_KEPT_MAX) return false;
    if (m->keyspaces_count > m->keyspaces_room) return false;
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        const struct keyspace *k = &m->keyspaces[i];
        if (!keyspace_check(k) || k->id > m->keyspace_last) return false;
        if (i > 0 && m->keyspaces[i - 1].id >= k->id) return false;
        if (k->settings.replication.replicas > metadata_copies_next(m)) return false;
        if (metadata_find_name(m, keyspace_name(k)) != k) return false;
    }
    return m->keyspaces_count > 0 && m->keyspaces[0].id == KEYSPACE_DEFAULT;
}

/* The record of the change agrees with the phases of the slots. */
static bool change_check(const struct metadata *m) {
    uint32_t phases[SLOT_PHASES] = { 0 };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (m->slots.epochs[slot] == 0) return false;
        phases[m->slots.phases[slot]]++;
    }
    const struct ring_change *c = &m->change;
    if (c->id == 0) {
        if (c->replicas != 0 || c->slots_total != 0 || c->slots_done != 0) return false;
        if (c->reason != 0 || c->throttle != 0 || c->started_ms != 0 || c->paused) return false;
        return phases[SLOT_SETTLED] == RING_SLOTS;
    }
    if (c->id != m->change_last) return false;
    if ((uint32_t)c->reason >= CHANGE_REASONS) return false;
    if (c->replicas < 1 || c->replicas > REPLICAS_MAX) return false;
    if (c->slots_done != phases[SLOT_NEW] || c->slots_done >= c->slots_total) return false;
    return c->slots_total == RING_SLOTS - phases[SLOT_SETTLED];
}

/* Who keeps slots is in, once no change is running. */
static bool holders_check(const struct metadata *m) {
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    slot_table_count(&m->slots, m->members_count, owned, kept);
    for (uint32_t i = 0; i < m->members_count; i++) {
        const bool joining = m->members[i].state == MEMBER_JOINING;
        if (joining && kept[i] > 0 && m->change.id == 0) return false;
    }
    return true;
}

bool metadata_check(const struct metadata *m) {
    if (m->members_count > MEMBERS_MAX) return false;
    if (!slot_table_check(&m->slots, m->members_count, m->epoch)) return false;
    if (m->epoch == 0) {
        static const struct cluster_id none;
        return memcmp(&m->cluster, &none, sizeof none) == 0 && m->revision == 0 &&
               m->change_last == 0 && m->placed == 0 && m->member_last == 0 &&
               m->keyspace_last == 0 && m->replicas == 0 && m->replicas_next == 0 &&
               m->members_count == 0 && m->keyspaces_count == 0 && m->gone_count == 0 &&
               m->change.id == 0;
    }
    if (m->revision == 0 || m->members_count == 0 || !gone_check(m)) return false;
    if (m->member_last > MEMBER_ID_MAX || m->keyspace_last > KEYSPACE_ID_MAX) return false;
    if (m->replicas < 1 || m->replicas > REPLICAS_MAX) return false;
    if (m->replicas_next > REPLICAS_MAX) return false;
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (!member_check(m, i)) return false;
    }
    return keyspaces_check(m) && change_check(m) && holders_check(m);
}
