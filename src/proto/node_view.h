/* node_view.h - what a node knows of itself, for INFO, metrics, health and CONFIG GET.
 *
 * Filled by the shard that answers, from figures every shard publishes; plain data.
 */
#ifndef ATOLL_PROTO_NODE_VIEW_H
#define ATOLL_PROTO_NODE_VIEW_H

#include "base/bytes.h"
#include "base/histogram.h"
#include "base/limits.h"

#define NODE_LEVELS 7u
#define NODE_MEMBERS_MAX 64u /* as MEMBERS_MAX of cluster/membership.h */

/* Operation classes that are timed and counted. */
enum op_class {
    OP_CLASS_READ,
    OP_CLASS_WRITE,
    OP_CLASS_DELETE,
    OP_CLASS_SCAN,
    OP_CLASS_BATCH,
    OP_CLASSES
};

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
    uint64_t filter_negatives, filter_false_positives, gets_memory, gets;
    uint64_t level_tables[NODE_LEVELS], level_bytes[NODE_LEVELS];
    uint64_t records, tombstones, memtable_bytes, memtables, wal_disk_bytes;
    uint64_t put_bytes; /* keys and values clients wrote, for write amplification */
    /* replication; zero on a node alone */
    uint64_t coordinated;     /* operations this node asked replicas for */
    uint64_t forwarded;       /* operations handed to another node */
    uint64_t hedges;          /* replicas asked because another was slow or gone */
    uint64_t quorum_failures; /* operations that too few replicas answered */
    uint64_t read_repairs;    /* newer versions sent after a read */
    uint64_t hints_stored, hints_replayed, hints_dropped;
    uint64_t hints_waiting;              /* now */
    uint64_t repair_ranges;              /* compared with another node */
    uint64_t repair_records;             /* sent because another node lacked them */
    uint64_t peer_accepts, peer_queries; /* served for other nodes */
    uint64_t peer_bytes_in, peer_bytes_out;
    uint64_t peer_links_lost, peer_refused;
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
};

struct node_cluster {
    uint32_t members_count; /* 1 = alone; at most NODE_MEMBERS_MAX */
    const struct node_member *members;
    const uint16_t (*slots)[REPLICAS_MAX];        /* [16384], indexes into members, owner first */
    uint32_t copies;                              /* length of each list */
    uint32_t replicas, write_quorum, read_quorum; /* N, W, R of the default keyspace */
    bool proxy;                                   /* this node is no member */
    bool filled;                                  /* this node holds what it should (R11) */
    uint64_t epoch;                               /* of the slot table; 1 while the list is fixed */
};

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
};

/* Whether there is no other node: what is told is then about this one alone. */
static inline bool node_view_is_alone(const struct node_view *view) {
    return view->cluster.members_count == 0 ||
           (view->cluster.members_count == 1 && !view->cluster.proxy);
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
