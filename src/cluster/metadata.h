/* metadata.h - what all nodes agree on: members, keyspaces, who keeps which slot.
 *
 * A state machine that the control plane's log drives: equal states that apply equal commands
 * in equal order stay equal, byte for byte. A ring change moves slots one batch at a time from
 * old over joint to new (R10); members and keyspaces change in one step.
 *
 * Pure. Lifecycle  create | decode | clone -> (apply | queries)* -> destroy
 * Owner      one thread applies; a clone may be read by all
 * Memory     about 0.7 MiB, and up to 0.1 MiB of keyspaces
 * Failure    a command that cannot be carried out is refused with a reason
 */
#ifndef ATOLL_CLUSTER_METADATA_H
#define ATOLL_CLUSTER_METADATA_H

#include "cluster/metadata_command.h"
#include "cluster/metadata_result.h"
#include "cluster/slot_table.h"

#define MEMBER_ID_MAX 0x7FFFFFFFu /* ids above stand for empty places while slots are placed */
#define METADATA_GONE_MAX 256u    /* data directories of removed members that are remembered */
#define METADATA_SNAPSHOT_BYTES_MAX (2u * 1024 * 1024)

enum member_state {
    MEMBER_JOINING, /* known, keeps no slot yet */
    MEMBER_ACTIVE,  /* keeps slots */
    MEMBER_LEAVING, /* the next change takes its slots away */
    MEMBER_DEAD,    /* the same, and it is not waited for */
    MEMBER_STATES,  /* those that a member in the table can have; what follows only answers: */
    MEMBER_REMOVED = MEMBER_STATES, /* its id was given out, and it is gone */
    MEMBER_UNKNOWN,                 /* no such id was given out */
};

struct metadata_member {
    uint32_t id;                        /* 1..MEMBER_ID_MAX; never given out again */
    uint32_t weight;                    /* 1..RING_WEIGHT_MAX */
    uint32_t zone;                      /* 0 = none */
    uint32_t boot;                      /* starts announced; only rises; 0 = none yet */
    enum member_state state;            /* below MEMBER_STATES */
    char address[MEMBER_ADDRESS_BYTES]; /* "host:port", lower case; zeros behind it. DEAD: empty
                                           if another data directory has it now */
    uint64_t nonce;                     /* of its data directory; 0 = not told yet */
    uint64_t sequence;                  /* of the last proposal of this node; 0 = none */
    struct metadata_result result;      /* what became of it */
};

struct ring_change {
    uint64_t id;               /* 1.. ; 0 = none is running */
    enum change_reason reason; /* for people */
    uint32_t replicas;         /* of the table that it leads to */
    uint32_t slots_total;      /* whose lists differ */
    uint32_t slots_done;       /* of them, NEW */
    uint64_t throttle;         /* bytes/s a node may send; 0 = no limit */
    uint64_t started_ms;       /* wall clock of who began it */
    bool paused;               /* no further slot becomes joint */
};

struct metadata {
    struct cluster_id cluster;                   /* zero until bootstrap */
    uint64_t epoch;                              /* of the slot table; 0 = no cluster yet */
    uint64_t revision;                           /* commands carried out */
    uint64_t change_last;                        /* id of the last change given out */
    uint64_t placed;                             /* hash of whom slots were last given to */
    uint32_t member_last;                        /* highest id given out */
    uint16_t keyspace_last;                      /* the same */
    uint32_t replicas;                           /* lists have min(this, members placed) */
    uint32_t replicas_next;                      /* N that is asked for instead; 0 = none is */
    uint32_t members_count;                      /* 0..MEMBERS_MAX */
    struct metadata_member members[MEMBERS_MAX]; /* by id, ascending; slots hold indexes */
    uint32_t gone_count;                         /* of `gone` */
    uint64_t gone[METADATA_GONE_MAX];            /* nonces of removed members, the last ones */
    uint32_t keyspaces_count;                    /* 0..KEYSPACES_KEPT_MAX */
    uint32_t keyspaces_room;                     /* of `keyspaces` */
    struct keyspace *keyspaces;                  /* owned; by id, ascending */
    struct ring_change change;                   /* .id 0 = none */
    struct slot_table slots;                     /* empty until bootstrap */
};

/* A state without a cluster. */
struct metadata *metadata_create(void);
struct metadata *metadata_clone(const struct metadata *m);
/* NULL is nothing to destroy. */
void metadata_destroy(struct metadata *m);

/* Carry out a decoded command, or refuse it. What a node proposed last is remembered with its
 * result: asked for again it gets the same answer, and nothing else happens. */
struct metadata_result metadata_apply(struct metadata *m, const struct metadata_command *c);

/* The whole state; equal states give equal bytes, at most METADATA_SNAPSHOT_BYTES_MAX. */
void metadata_encode(const struct metadata *m, struct buffer *out);
/* Errors  ST_INVALID  a format of a later release
 *         ST_CORRUPT  not what metadata_encode gives for any state */
STATUS metadata_decode(struct bytes in, struct metadata **ret_metadata);
/* Of the encoding: nodes that agree have the same. */
uint64_t metadata_hash(const struct metadata *m);

/* Index of the member with this id, or MEMBER_NONE. */
uint32_t metadata_find_member(const struct metadata *m, uint32_t id);
enum member_state metadata_member_state(const struct metadata *m, uint32_t id);
const char *member_state_name(enum member_state state);
/* NULL if there is none; holds until the next apply. */
const struct keyspace *metadata_find_keyspace(const struct metadata *m, uint16_t id);
const struct keyspace *metadata_find_name(const struct metadata *m, struct bytes name);

/* Those of one list that keep a keyspace's keys, and how many of them must answer. */
struct replica_set {
    uint32_t count;             /* min(N, the list); 0 = this set is not needed */
    uint32_t ids[REPLICAS_MAX]; /* in order of preference */
    uint32_t write_quorum;      /* 1..count; a majority if the keyspace names none */
    uint32_t read_quorum;       /* the same */
};

/* Whose answers count for a slot. In the joint phase quorums of both sets are needed. */
struct slot_replicas {
    enum slot_phase phase;   /* as it is */
    uint64_t epoch;          /* messages that know an older one are refused */
    struct replica_set now;  /* of the slot's list */
    struct replica_set next; /* of its target: JOINT only, else empty */
};

/* Requires  there is a cluster; `slot` below RING_SLOTS */
void metadata_replicas(const struct metadata *m, uint32_t slot, const struct keyspace *keyspace,
                       struct slot_replicas *ret_replicas);

struct metadata_view_member {
    uint32_t id;             /* as in the state */
    uint32_t weight;         /* as in the state */
    uint32_t zone;           /* as in the state */
    uint32_t boot;           /* as in the state */
    enum member_state state; /* as in the state */
    const char *address;     /* holds until the next apply */
    uint32_t owned;          /* slots it comes first in */
    uint32_t kept;           /* slots it is in */
};

/* Who is in the cluster, and what they have, at one epoch. */
struct metadata_view {
    uint64_t epoch;                                   /* of all that follows */
    uint32_t count;                                   /* of `members` */
    struct metadata_view_member members[MEMBERS_MAX]; /* by id, ascending */
};

/* `epoch` 0 is whichever it is.
 * Errors  ST_CONFLICT  the state is at another epoch: older ones are forgotten, later ones have
 *                      not been applied here */
STATUS metadata_view(const struct metadata *m, uint64_t epoch, struct metadata_view *ret_view);

/* It was let in, and may never come: nothing is to rest on it. */
bool metadata_never_started(const struct metadata_member *member);
/* What a change should lead to now: all active members, those that join and have started, and the
 * N that is asked for. */
void metadata_inputs(const struct metadata *m, struct ring_inputs *ret_inputs);
/* Of the members in it, not of N. */
uint64_t metadata_inputs_hash(const struct ring_inputs *inputs);
/* Slots should be given to the members with this hash, but were last given to others; or another N
 * is asked for. */
bool metadata_change_is_due(const struct metadata *m, uint64_t inputs_hash);
bool metadata_has_dead(const struct metadata *m);
/* A target of the running change has a dead member. */
bool metadata_leads_to_dead(const struct metadata *m);
/* Index of the member with this nonce of a data directory, or MEMBER_NONE. Requires  not 0 */
uint32_t metadata_find_nonce(const struct metadata *m, uint64_t nonce);
/* The same with this address. */
uint32_t metadata_find_address(const struct metadata *m, struct bytes address);

/* Whether all fields agree: for tests, fuzzers and the simulator. */
bool metadata_check(const struct metadata *m);

#endif
