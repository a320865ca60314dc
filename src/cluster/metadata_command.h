/* metadata_command.h - one wish about the metadata, as an entry of the control plane's log.
 *
 * Pure: decode(bytes, *ret_command), encode(command, *out). Decoding bounds every length and
 * count and refuses what has another encoding too; whether the wish makes sense is for
 * metadata_apply, which gives a reason. docs/internals/metadata.md draws the bytes.
 *
 * Memory   a decoded command has views of the entry's bytes, and holds as long as they do
 * Failure  ST_INVALID  a version or kind of a later release: nobody may go on without it
 *          ST_CORRUPT  not the bytes of a command
 */
#ifndef ATOLL_CLUSTER_METADATA_COMMAND_H
#define ATOLL_CLUSTER_METADATA_COMMAND_H

#include "base/buffer.h"
#include "base/cursor.h"
#include "cluster/keyspace.h"
#include "ring/ring.h"

#define METADATA_COMMAND_VERSION 1u
#define METADATA_COMMAND_HEADER_BYTES 32u
#define METADATA_COMMAND_BYTES_MAX (40u * 1024) /* fits an entry of the log, 64 KiB */
#define CLUSTER_ID_BYTES 16u
#define SLOT_RANGES_MAX (RING_SLOTS / 2) /* with a gap between each two */

enum metadata_kind {
    METADATA_BOOTSTRAP = 1,   /* id of the cluster, first members, .replicas, .settings */
    METADATA_MEMBER_ADD,      /* .member: id (0 = the next), all but boot */
    METADATA_MEMBER_BOOT,     /* .member: all but replaces; address empty = as it is */
    METADATA_MEMBER_WEIGHT,   /* .member: id, weight */
    METADATA_MEMBER_LEAVE,    /* .member: id; .accept_loss */
    METADATA_MEMBER_DEAD,     /* .member: id */
    METADATA_MEMBER_REMOVE,   /* .member: id */
    METADATA_KEYSPACE_CREATE, /* .name, .settings */
    METADATA_KEYSPACE_ALTER,  /* .keyspace, .settings */
    METADATA_KEYSPACE_DROP,   /* .keyspace */
    METADATA_CHANGE_BEGIN,    /* .target, .reason, .started_ms, .throttle; .accept_loss */
    METADATA_SLOTS_JOINT,     /* .change, .ranges */
    METADATA_SLOTS_NEW,       /* .change, .ranges */
    METADATA_CHANGE_PAUSE,    /* .change */
    METADATA_CHANGE_RESUME,   /* .change */
    METADATA_CHANGE_THROTTLE, /* .change, .throttle */
    METADATA_CHANGE_CANCEL,   /* .change */
    METADATA_REPLICAS,        /* .replicas */
    METADATA_KEYSPACE_WIDEN,  /* as ALTER, with N above that of the table */
    METADATA_KINDS,
};

enum change_reason {
    CHANGE_JOIN,     /* members are new */
    CHANGE_LEAVE,    /* members leave */
    CHANGE_EVICT,    /* members are dead */
    CHANGE_WEIGHT,   /* weights or zones */
    CHANGE_REPLICAS, /* copies of a slot */
    CHANGE_BALANCE,  /* what an earlier change left undone */
    CHANGE_REASONS,
};

struct cluster_id {
    uint8_t bytes[CLUSTER_ID_BYTES]; /* random; all zero = none */
};

/* The id of one proposal. A node's later commands have higher sequences, for ever: its boot
 * count in the high half and a counter in the low half see to that. */
struct proposal {
    uint32_t node;     /* a member */
    uint64_t sequence; /* 1.. */
};

struct member_wish {
    uint32_t id;          /* of the member */
    uint32_t weight;      /* ADD, WEIGHT, BOOTSTRAP; BOOT: of its first start, 0 = as it is */
    uint32_t zone;        /* ADD, BOOTSTRAP: 0 = none; BOOT: with the weight */
    uint32_t boot;        /* BOOT */
    struct bytes address; /* ADD, BOOT, BOOTSTRAP: at most MEMBER_ADDRESS_BYTES - 1 */
    uint64_t nonce;       /* ADD, BOOT: of the data directory; 0 = not told */
    uint32_t replaces;    /* ADD: who had the address, as the proposer knew it; 0 = nobody */
};

/* What a table of slots is made from. */
struct ring_inputs {
    uint32_t replicas;                       /* N of the table */
    uint32_t count;                          /* of `members`, up to MEMBERS_MAX */
    struct ring_member members[MEMBERS_MAX]; /* who is to have slots, by id, ascending */
};

struct slot_ranges {
    uint32_t count;      /* 1..SLOT_RANGES_MAX */
    struct bytes packed; /* first and last of each, 2 + 2 bytes; ascending, with gaps between */
};

/* Which fields hold is told by `kind`; the others are zero. */
struct metadata_command {
    enum metadata_kind kind;
    struct proposal proposal;               /* who asks */
    struct cluster_id cluster;              /* for which */
    bool accept_loss;                       /* LEAVE, CHANGE_BEGIN: fewer members than N will do */
    struct member_wish member;              /* MEMBER_* */
    uint32_t first_count;                   /* BOOTSTRAP: 1..FOUNDERS_MAX, of `first` */
    struct member_wish first[FOUNDERS_MAX]; /* by id, ascending */
    uint32_t replicas;                      /* BOOTSTRAP, REPLICAS: N of the table */
    uint16_t keyspace;                      /* its id */
    struct keyspace_settings settings;      /* BOOTSTRAP: of the default keyspace */
    struct bytes name;                      /* at most KEYSPACE_NAME_BYTES_MAX */
    struct ring_inputs target;              /* CHANGE_BEGIN: 1..MEMBERS_MAX members */
    enum change_reason reason;              /* for people */
    uint64_t started_ms;                    /* wall clock of the proposer, for people */
    uint64_t throttle;                      /* bytes/s a node may send; 0 = no limit */
    uint64_t change;                        /* id of the change that runs */
    struct slot_ranges ranges;              /* slots whose barrier is reached */
};

/* Requires  what decode would give: lengths and counts within their bounds
 * `out` has room for METADATA_COMMAND_BYTES_MAX. */
void metadata_command_encode(const struct metadata_command *c, struct buffer *out);
STATUS metadata_command_decode(struct bytes in, struct metadata_command *ret_command);

/* First and last slot of range `i`. */
static inline uint32_t slot_ranges_first(const struct slot_ranges *r, uint32_t i) {
    return get_u16_le(r->packed.ptr + i * UINT64_C(4));
}
static inline uint32_t slot_ranges_last(const struct slot_ranges *r, uint32_t i) {
    return get_u16_le(r->packed.ptr + i * UINT64_C(4) + 2);
}

/* The codec of settings, for snapshots too: KEYSPACE_SETTINGS_BYTES. */
#define KEYSPACE_SETTINGS_BYTES 12u
void keyspace_settings_encode(const struct keyspace_settings *s, struct buffer *out);
/* Fails the cursor on a discipline that does not exist; no other check. */
void keyspace_settings_take(struct cursor *c, struct keyspace_settings *ret_settings);

/* "join", "leave", ... for people. Valid for ever. */
const char *change_reason_name(enum change_reason reason);

#endif
