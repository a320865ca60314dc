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
    struct shard_figures total; /* summed over shards (histograms merged) */
    const struct config_row *config;
    uint32_t config_count;
    uint64_t client_id; /* connection that asks */
    const char *client_address;
    const char *client_name;
};

#endif
