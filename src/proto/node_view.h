/* node_view.h - what a node knows of itself, for INFO, metrics, health and CONFIG GET.
 *
 * Filled by the shard that answers, from figures every shard publishes; plain data.
 */
#ifndef ATOLL_PROTO_NODE_VIEW_H
#define ATOLL_PROTO_NODE_VIEW_H

#include "base/bytes.h"
#include "base/durations.h"
#include "base/histogram.h"
#include "base/limits.h"

#define NODE_LEVELS 7u
#define NODE_MEMBERS_MAX 1024u /* as MEMBERS_MAX of cluster/membership.h */
#define NODE_CHANGE_WAITS_MAX 8u

/* Operation classes that are timed and counted. */
enum op_class {
    OP_CLASS_READ,
    OP_CLASS_WRITE,
    OP_CLASS_DELETE,
    OP_CLASS_SCAN,
    OP_CLASS_BATCH,
    OP_CLASSES
};

/* Levels by which operations are timed; what a client leaves open is what the node is set to. */
enum level_class {
    LEVEL_CLASS_ONE,
    LEVEL_CLASS_QUORUM,
    LEVEL_CLASS_ALL,
    LEVEL_CLASS_NUMBER,
    LEVEL_CLASSES
};

/* An operation's class and level in one number. */
#define OP_KINDS ((uint32_t)OP_CLASSES * LEVEL_CLASSES)

static inline uint32_t op_kind(enum op_class class, enum level_class level) {
    return (uint32_t) class * LEVEL_CLASSES + level;
}

static inline enum op_class op_kind_class(uint32_t kind) {
    return (enum op_class)(kind / LEVEL_CLASSES);
}

static inline enum level_class op_kind_level(uint32_t kind) {
    return (enum level_class)(kind % LEVEL_CLASSES);
}

/* Lower case; static. */
const char *node_class_name(enum op_class class);
const char *node_level_name(enum level_class level);

/* What is counted where this node writes a record for others, or they for it. */
enum record_cause { RECORD_CAUSE_WRITE, RECORD_CAUSE_HINT, RECORD_CAUSE_REPAIR, RECORD_CAUSES };

/* Why a record that another node brought was not taken. */
enum record_refusal {
    RECORD_REFUSED_BUSY,     /* the engine is behind */
    RECORD_REFUSED_FULL,     /* no disk space */
    RECORD_REFUSED_FAILED,   /* storage failed */
    RECORD_REFUSED_CLOCK,    /* stamped too far ahead of the clock here */
    RECORD_REFUSED_FLOOR,    /* older than what was deleted and forgotten */
    RECORD_REFUSED_NOT_MINE, /* this node does not keep the key */
    RECORD_REFUSED_STALE,    /* sent under older lists of who keeps the key */
    RECORD_REFUSALS
};

/* Why an operation failed for want of replicas. */
enum quorum_failure {
    QUORUM_TOO_FEW, /* not enough were there, or they refused */
    QUORUM_TIMEOUT, /* one that was asked did not answer in time */
    QUORUM_CLOCK,   /* this node's clock is too far from the others' to stamp a write */
    QUORUM_FAILURES
};

/* How a walk over the keys shared with another shard ended. */
enum repair_result { REPAIR_PASS_CLEAN, REPAIR_PASS_UNCLEAN, REPAIR_PASSES };

struct shard_figures {
    uint64_t operations[OP_CLASSES]; /* finished */
    uint64_t errors;       /* answered with an error that is the node's fault or overload */
    uint64_t hits, misses; /* reads that found / did not find a value */
    uint64_t connections, connections_total, connections_refused;
    uint64_t bytes_in, bytes_out;
    uint64_t commands;     /* all protocols, bad ones too */
    uint64_t bad_requests; /* refused as malformed */
    uint64_t waiting;      /* requests in the table now */
    uint64_t busy_refused, timeouts;
    uint64_t wal_bytes, wal_syncs, wal_sync_ns_total, wal_sync_ns_max;
    uint64_t flushes, compactions, flush_bytes, compaction_bytes_read, compaction_bytes_written;
    uint64_t stalls, disk_full_refused, corruptions;
    uint64_t filter_checks, filter_negatives, filter_false_positives, gets_memory, gets;
    uint64_t stall_ns; /* that writes have waited for the engine, added up */
    uint64_t level_tables[NODE_LEVELS], level_bytes[NODE_LEVELS];
    uint64_t records, tombstones, memtable_bytes, memtables, wal_disk_bytes;
    uint64_t put_bytes; /* keys and values stored here, for write amplification */
    uint64_t input_bytes, output_bytes, task_bytes; /* memory held for clients now */
    /* replication; zero on a node alone */
    uint64_t coordinated;     /* operations this node asked replicas for */
    uint64_t forwarded;       /* operations handed to another node */
    uint64_t hedges;          /* replicas asked because another was slow or gone */
    uint64_t quorum_failures; /* operations that too few replicas answered */
    uint64_t read_repairs;    /* newer versions sent after a read */
    uint64_t hints_stored, hints_replayed, hints_dropped;
    uint64_t hints_waiting, hints_bytes;   /* now */
    uint64_t repair_ranges;                /* compared with another node */
    uint64_t repair_records;               /* sent or fetched because one of two lacked them */
    uint64_t repair_passes[REPAIR_PASSES]; /* ended, by result */
    uint64_t peer_accepts, peer_queries;   /* served for other nodes */
    uint64_t peer_bytes_in, peer_bytes_out;
    uint64_t peer_links_lost, peer_links_up, peer_refused;
    uint64_t peer_waiting_bytes; /* memory held for other nodes now */
    uint64_t records_sent[RECORD_CAUSES], records_taken[RECORD_CAUSES];
    uint64_t records_refused[RECORD_REFUSALS];
    uint64_t quorum_failed[QUORUM_FAILURES];
    /* times */
    struct durations times[OP_KINDS]; /* from a request's arrival to its answer */
    struct durations sync_times;      /* of syncs of the log */
    uint32_t pressure_permille;
    bool disk_full;
    struct histogram latency_ns[OP_CLASSES];
};

/* One row of the effective configuration, as `atoll config` and CONFIG GET show it. */
struct config_row {
    const char *name;
    const char *value;
    const char *source; /* "default", "flag", "environment", ".env", "file" */
    const char *help;
};

#define NODE_UNKNOWN UINT64_MAX /* of a figure that nobody has told yet */

/* How far this node is on its way into a cluster; docs/internals/membership.md. */
enum node_stage {
    NODE_STAGE_ALONE,     /* a cluster of its own is about to begin */
    NODE_STAGE_GATHERING, /* waits for the others of its list */
    NODE_STAGE_JOINING,   /* asks members to let it in */
    NODE_STAGE_MEMBER,
    NODE_STAGE_PROXY,
    NODE_STAGES,
};

/* What the cluster has agreed on about a member. */
enum node_standing {
    NODE_ACTIVE, /* keeps slots */
    NODE_JOINING,
    NODE_LEAVING, /* gives its slots away */
    NODE_DEAD,    /* given up; its slots are copied from others */
    NODE_STANDINGS,
};

/* Lower case; static. */
const char *node_stage_name(enum node_stage stage);
const char *node_standing_name(enum node_standing standing);

/* Another node, or this one, as this node sees it. */
struct node_member {
    const char *address;          /* canonical ip:port */
    uint32_t id;                  /* membership id */
    uint32_t node_id, boot_count; /* of its data directory; 0 = not met yet */
    uint32_t weight, zone;
    uint32_t slots_owned, slots_kept;
    bool self;
    bool alive;
    uint32_t latency_us;    /* smoothed time of its answers */
    int64_t clock_ahead_ms; /* of ours */
    uint64_t hints_waiting; /* kept here for it */
    enum node_standing standing;
    bool voter;           /* of the control plane; the other members learn */
    bool holdings_known;  /* the next two hold */
    uint64_t keys, bytes; /* that it said it has, on its disk */
};

/* A change of the ring that is running, as this node knows it. */
struct node_change {
    uint64_t id;                               /* 0 = none is */
    const char *reason;                        /* "join", "leave", ..; static */
    uint32_t slots_total;                      /* whose lists differ */
    uint32_t slots_joint;                      /* of them, under way */
    uint32_t slots_done;                       /* of them, through */
    uint64_t bytes_done, bytes_total;          /* sent, and to be sent in all; NODE_UNKNOWN */
    uint64_t rate_bytes_s;                     /* of late, all nodes together; NODE_UNKNOWN */
    uint64_t eta_ms;                           /* until it ends; NODE_UNKNOWN */
    uint64_t throttle;                         /* bytes/s a node may send; 0 = no limit */
    bool paused;                               /* no further slot begins to move */
    uint64_t started_ms;                       /* wall */
    uint32_t waits_count;                      /* of `waits_for` */
    uint32_t waits_for[NODE_CHANGE_WAITS_MAX]; /* ids of members that hold it up */
};

struct node_cluster {
    uint32_t members_count; /* 1 = alone; at most NODE_MEMBERS_MAX */
    const struct node_member *members;
    /* [16384], who keeps each: how many, then so many places, owner first */
    const uint16_t (*slots)[1 + REPLICAS_MAX];
    const uint16_t *indexes; /* by place: into `members`; NULL = places are indexes */
    uint32_t replicas, write_quorum, read_quorum; /* N, W, R of the default keyspace */
    uint32_t slot_replicas;      /* N of the slot table, of which keyspaces take some */
    uint32_t slot_replicas_next; /* N that is asked for instead; 0 = none is */
    bool proxy;                  /* this node is no member */
    bool filled;                 /* this node holds what it should (R11) */
    bool none;                   /* it knows of no cluster yet: it gathers or joins */
    uint64_t epoch;              /* of the slot table; 0 = no cluster yet */
    enum node_stage stage;
    const char *cluster_id;  /* 32 hex digits; NULL = none yet */
    uint32_t leader;         /* id of the member that leads; 0 = none is known */
    uint64_t term, revision; /* of the control plane and its metadata; 0 = it has none */
    const char *waits_for;   /* what it cannot go on without, for people; NULL or empty = nothing */
    struct node_change change;
};

#define NODE_SLOW_KEPT_MAX 128u
#define NODE_SLOW_KEY_BYTES 64u
#define NODE_SLOW_CLIENT_BYTES 128u

/* A request that took long, as SLOWLOG GET tells it. */
struct node_slow {
    uint64_t id;                         /* counts up from 0 */
    uint64_t at_ms;                      /* wall: when it was finished */
    uint64_t took_us;                    /* as its client saw it */
    const char *operation;               /* lower case; static */
    uint32_t requests;                   /* that one command had, or that took as long together */
    uint32_t key_len;                    /* of the whole key; 0 = none, or not known any more */
    uint8_t key[NODE_SLOW_KEY_BYTES];    /* the first bytes of it */
    char client[NODE_SLOW_CLIENT_BYTES]; /* address; may be empty */
    char name[NODE_SLOW_CLIENT_BYTES];   /* as the client called itself; may be empty */
};

/* Settings that may change while the node runs. They travel in the detail_number of a plan:
 * bits 0..2 the log level + 1, from bit 3 on the slow threshold + 1; 0 = as it is. */
#define NODE_SLOW_OFF UINT64_C(0)
#define NODE_SLOW_EVERY UINT64_C(1)
#define NODE_SLOW_NS_MAX (UINT64_MAX >> 4)

static inline uint64_t node_set_level(uint32_t level) {
    return level + 1;
}

/* From so many ns on a request is slow; NODE_SLOW_OFF = none is, NODE_SLOW_EVERY = all are. */
static inline uint64_t node_set_slow(uint64_t ns) {
    return (ns + 1) << 3;
}

/* -1 = as it is. */
static inline int node_settings_level(uint64_t settings) {
    return (int)(settings & 7) - 1;
}

/* UINT64_MAX = as it is. */
static inline uint64_t node_settings_slow(uint64_t settings) {
    return (settings >> 3) - 1;
}

struct node_view {
    const char *version; /* of the program */
    const char *address; /* host:port it listens on */
    uint32_t node_id, boot_count;
    uint16_t port;
    uint32_t shards;
    uint64_t now_ms, started_ms; /* wall */
    uint64_t process_id;
    uint64_t resident_bytes, cpu_us, disk_free_bytes;
    uint64_t cache_bytes, cache_bytes_max, cache_hits, cache_misses, cache_evictions;
    const char *data_dir, *sync_mode;
    bool ready; /* serves requests */
    bool stopping;
    struct shard_figures total;      /* summed over shards (histograms merged) */
    uint64_t shard_keys[SHARDS_MAX]; /* records less tombstones, of the first `shards` */
    struct node_cluster cluster;
    const struct config_row *config;
    uint32_t config_count;
    uint64_t client_id; /* connection that asks */
    const char *client_address;
    const char *client_name;
    const char *log_level;        /* now */
    uint64_t slow_ns;             /* now; see node_set_slow */
    uint32_t slow_count;          /* of requests kept as slow */
    const struct node_slow *slow; /* the newest first; NODE_SLOW only, else NULL */
};

/* Whether there is no other node: what is told is then about this one alone. */
static inline bool node_view_is_alone(const struct node_view *view) {
    return view->cluster.members_count == 0 ||
           (view->cluster.members_count == 1 && !view->cluster.proxy);
}

/* Member id of this node; of one alone without a control plane, the id of its data directory. */
static inline uint32_t node_view_own_id(const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    for (uint32_t i = 0; c->members != NULL && i < c->members_count; i++)
        if (c->members[i].self) return c->members[i].id;
    return view->node_id;
}

/* Members that answer, this node among them. */
static inline uint32_t node_view_alive(const struct node_view *view) {
    uint32_t alive = 0;
    if (node_view_is_alone(view)) return 1;
    for (uint32_t i = 0; i < view->cluster.members_count; i++)
        alive += view->cluster.members[i].alive;
    return alive;
}

#endif
