#include "proto/http_metrics.h"

#include <inttypes.h>

#include "base/assert.h"
#include "proto/json_text.h"

enum kind {
    COUNTER,
    GAUGE,
    COUNTER_NS, /* nanoseconds here, seconds for Prometheus */
    GAUGE_NS,
    COUNTER_US, /* microseconds here, seconds for Prometheus */
    GAUGE_MS,   /* milliseconds here, seconds for Prometheus */
};

/* A figure of 64 bits in struct node_view, which holds struct shard_figures. */
struct figure {
    const char *json;       /* member of the JSON object */
    const char *prometheus; /* name behind atoll_ */
    const char *help;
    enum kind kind;
    size_t offset; /* in struct node_view */
};

#define TOTAL(member) offsetof(struct node_view, total.member)
#define NODE(member) offsetof(struct node_view, member)

/* clang-format off */
static const struct figure figures[] = {
    { "errors", "errors_total", "Requests that failed by the node's fault or by overload.",
      COUNTER, TOTAL(errors) },
    { "flushes", "flushes_total", "Memtables written as tables.", COUNTER, TOTAL(flushes) },
    { "compactions", "compactions_total", "Compactions finished.", COUNTER, TOTAL(compactions) },
    { "wal_syncs", "wal_syncs_total", "Syncs of the write-ahead logs.", COUNTER, TOTAL(wal_syncs) },
    { "commands", "commands_total", "Commands of all protocols, bad ones too.",
      COUNTER, TOTAL(commands) },
    { "bad_requests", "bad_requests_total", "Commands refused as malformed.",
      COUNTER, TOTAL(bad_requests) },
    { "busy_refused", "busy_refused_total", "Requests refused because of overload.",
      COUNTER, TOTAL(busy_refused) },
    { "timeouts", "timeouts_total", "Requests whose deadline passed.", COUNTER, TOTAL(timeouts) },
    { "hits", "read_hits_total", "Reads that found a value.", COUNTER, TOTAL(hits) },
    { "misses", "read_misses_total", "Reads that found none.", COUNTER, TOTAL(misses) },
    { "waiting", "requests_waiting", "Requests being worked on now.", GAUGE, TOTAL(waiting) },
    { "connections", "connections", "Client connections open now.", GAUGE, TOTAL(connections) },
    { "connections_total", "connections_opened_total", "Client connections ever opened.",
      COUNTER, TOTAL(connections_total) },
    { "connections_refused", "connections_refused_total",
      "Client connections refused at the limit.", COUNTER, TOTAL(connections_refused) },
    { "bytes_in", "received_bytes_total", "Bytes read from clients.", COUNTER, TOTAL(bytes_in) },
    { "bytes_out", "sent_bytes_total", "Bytes written to clients.", COUNTER, TOTAL(bytes_out) },
    { "put_bytes", "put_bytes_total", "Bytes of keys and values that clients wrote.",
      COUNTER, TOTAL(put_bytes) },
    { "wal_bytes", "wal_bytes_total", "Bytes appended to the write-ahead logs.",
      COUNTER, TOTAL(wal_bytes) },
    { "wal_sync_ns_total", "wal_sync_seconds_total", "Time spent in syncs of the logs.",
      COUNTER_NS, TOTAL(wal_sync_ns_total) },
    { "wal_sync_ns_max", "wal_sync_max_seconds", "The longest sync of a log.",
      GAUGE_NS, TOTAL(wal_sync_ns_max) },
    { "wal_disk_bytes", "wal_disk_bytes", "Size of the write-ahead logs on disk.",
      GAUGE, TOTAL(wal_disk_bytes) },
    { "flush_bytes", "flush_bytes_total", "Bytes written by flushes.", COUNTER, TOTAL(flush_bytes) },
    { "compaction_bytes_read", "compaction_read_bytes_total", "Bytes read by compactions.",
      COUNTER, TOTAL(compaction_bytes_read) },
    { "compaction_bytes_written", "compaction_written_bytes_total",
      "Bytes written by compactions.", COUNTER, TOTAL(compaction_bytes_written) },
    { "stalls", "write_stalls_total", "Times writes had to wait for flush or compaction.",
      COUNTER, TOTAL(stalls) },
    { "disk_full_refused", "disk_full_refused_total", "Writes refused because the disk is full.",
      COUNTER, TOTAL(disk_full_refused) },
    { "corruptions", "corruptions_total", "Stored blocks that failed their checksum.",
      COUNTER, TOTAL(corruptions) },
    { "gets", "engine_gets_total", "Lookups in the storage engine.", COUNTER, TOTAL(gets) },
    { "gets_memory", "engine_gets_memory_total", "Lookups answered by a memtable.",
      COUNTER, TOTAL(gets_memory) },
    { "filter_negatives", "filter_negatives_total", "Tables skipped thanks to their filter.",
      COUNTER, TOTAL(filter_negatives) },
    { "filter_false_positives", "filter_false_positives_total",
      "Tables searched in vain in spite of their filter.", COUNTER, TOTAL(filter_false_positives) },
    { "records", "records", "Records stored, superseded ones and tombstones too.",
      GAUGE, TOTAL(records) },
    { "tombstones", "tombstones", "Records that mark a deletion.", GAUGE, TOTAL(tombstones) },
    { "memtables", "memtables", "Memtables in use or waiting for their flush.",
      GAUGE, TOTAL(memtables) },
    { "memtable_bytes", "memtable_bytes", "Memory of all memtables.", GAUGE, TOTAL(memtable_bytes) },
    { "cache_bytes", "cache_bytes", "Memory of the block cache in use.", GAUGE, NODE(cache_bytes) },
    { "cache_bytes_max", "cache_limit_bytes", "Memory the block cache may use.",
      GAUGE, NODE(cache_bytes_max) },
    { "cache_hits", "cache_hits_total", "Blocks found in the cache.", COUNTER, NODE(cache_hits) },
    { "cache_misses", "cache_misses_total", "Blocks read from disk.", COUNTER, NODE(cache_misses) },
    { "cache_evictions", "cache_evictions_total", "Blocks dropped from the cache.",
      COUNTER, NODE(cache_evictions) },
    { "coordinated", "coordinated_operations_total",
      "Operations for which this node asked the replicas.", COUNTER, TOTAL(coordinated) },
    { "forwarded", "forwarded_operations_total", "Operations handed to another node.",
      COUNTER, TOTAL(forwarded) },
    { "hedges", "hedged_requests_total", "Replicas asked because another was slow or gone.",
      COUNTER, TOTAL(hedges) },
    { "quorum_failures", "quorum_failures_total", "Operations that too few replicas answered.",
      COUNTER, TOTAL(quorum_failures) },
    { "read_repairs", "read_repairs_total", "Newer versions sent to replicas after a read.",
      COUNTER, TOTAL(read_repairs) },
    { "hints_stored", "hints_stored_total", "Writes kept for a replica that was away.",
      COUNTER, TOTAL(hints_stored) },
    { "hints_replayed", "hints_replayed_total", "Kept writes that their replica has taken since.",
      COUNTER, TOTAL(hints_replayed) },
    { "hints_dropped", "hints_dropped_total",
      "Kept writes given up for age or size; repair sends them.", COUNTER, TOTAL(hints_dropped) },
    { "hints_waiting", "hints_waiting", "Writes kept now for replicas that are away.",
      GAUGE, TOTAL(hints_waiting) },
    { "repair_ranges", "repair_ranges_total", "Ranges of keys compared with another node.",
      COUNTER, TOTAL(repair_ranges) },
    { "repair_records", "repair_records_total", "Records sent because another node lacked them.",
      COUNTER, TOTAL(repair_records) },
    { "peer_accepts", "peer_accepts_total", "Writes taken for other nodes.",
      COUNTER, TOTAL(peer_accepts) },
    { "peer_queries", "peer_queries_total", "Reads answered for other nodes.",
      COUNTER, TOTAL(peer_queries) },
    { "peer_bytes_in", "peer_received_bytes_total", "Bytes read from other nodes.",
      COUNTER, TOTAL(peer_bytes_in) },
    { "peer_bytes_out", "peer_sent_bytes_total", "Bytes written to other nodes.",
      COUNTER, TOTAL(peer_bytes_out) },
    { "peer_links_lost", "peer_links_lost_total", "Connections to other nodes that broke.",
      COUNTER, TOTAL(peer_links_lost) },
    { "peer_refused", "peer_refused_total", "Connections between nodes that were refused.",
      COUNTER, TOTAL(peer_refused) },
    { "resident_bytes", "resident_bytes", "Memory of the process.", GAUGE, NODE(resident_bytes) },
    { "cpu_us", "cpu_seconds_total", "Processor time of the process.", COUNTER_US, NODE(cpu_us) },
    { "disk_free_bytes", "disk_free_bytes", "Free space where the data is.",
      GAUGE, NODE(disk_free_bytes) },
    { "started_ms", "start_time_seconds", "When the process started, since 1970.",
      GAUGE_MS, NODE(started_ms) },
};

static const struct op_class_name {
    const char *json;
    const char *label;
} class_names[OP_CLASSES] = {
    [OP_CLASS_READ] = { "reads", "read" },
    [OP_CLASS_WRITE] = { "writes", "write" },
    [OP_CLASS_DELETE] = { "deletes", "delete" },
    [OP_CLASS_SCAN] = { "scans", "scan" },
    [OP_CLASS_BATCH] = { "batches", "batch" },
};

/* Upper bounds of the latency buckets: a cache hit is microseconds, a sync on a slow
 * disk tens of milliseconds, and a second is trouble. */
static const struct bucket {
    const char *seconds;
    uint64_t ns;
} buckets[] = {
    { "0.00001", 10000 },      { "0.000025", 25000 },    { "0.00005", 50000 },
    { "0.0001", 100000 },      { "0.00025", 250000 },    { "0.0005", 500000 },
    { "0.001", 1000000 },      { "0.0025", 2500000 },    { "0.005", 5000000 },
    { "0.01", 10000000 },      { "0.025", 25000000 },    { "0.05", 50000000 },
    { "0.1", 100000000 },      { "0.25", 250000000 },    { "0.5", 500000000 },
    { "1", 1000000000 },       { "2.5", 2500000000 },    { "5", 5000000000 },
};
/* clang-format on */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static uint64_t read_figure(const struct node_view *view, const struct figure *f) {
    uint64_t value = 0;
    ASSERT(f->offset + sizeof value <= sizeof *view);
    memcpy(&value, (const uint8_t *)view + f->offset, sizeof value);
    return value;
}

static void append_latency(struct buffer *out, const struct histogram *h) {
    const uint64_t us = 1000; /* ns */
    buffer_printf(out, "{\"count\":%" PRIu64 ",\"mean\":%.1f", h->count,
                  histogram_mean(h) / (double)us);
    const struct {
        const char *name;
        double quantile;
    } quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 } };
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        const uint64_t ns = histogram_quantile(h, quantiles[i].quantile);
        buffer_printf(out, ",\"%s\":%.1f", quantiles[i].name, (double)ns / (double)us);
    }
    buffer_printf(out, ",\"max\":%.1f}", h->count == 0 ? 0.0 : (double)h->max / (double)us);
}

static uint32_t members_of(const struct node_view *view) {
    return node_view_is_alone(view) ? 1 : view->cluster.members_count;
}

static void append_levels_json(struct buffer *out, const char *name, const uint64_t *levels) {
    buffer_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < NODE_LEVELS; i++) {
        if (i > 0) buffer_append_u8(out, ',');
        buffer_append_u64(out, levels[i]);
    }
    buffer_append_u8(out, ']');
}

void http_metrics_append_json(struct buffer *out, const struct node_view *view) {
    const struct shard_figures *total = &view->total;
    for (size_t i = 0; i < OP_CLASSES; i++) {
        buffer_printf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', class_names[i].json,
                      total->operations[i]);
    }
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        buffer_printf(out, ",\"%s\":%" PRIu64, figures[i].json, read_figure(view, &figures[i]));
    }
    append_levels_json(out, "level_tables", total->level_tables);
    append_levels_json(out, "level_bytes", total->level_bytes);
    buffer_printf(out, ",\"pressure_permille\":%" PRIu32 ",\"disk_full\":%s,\"ready\":%s",
                  total->pressure_permille, total->disk_full ? "true" : "false",
                  view->ready ? "true" : "false");
    buffer_printf(out, ",\"shards\":%" PRIu32 ",\"node_id\":%" PRIu32 ",\"now_ms\":%" PRIu64,
                  view->shards, view->node_id, view->now_ms);
    buffer_printf(out, ",\"cluster_members\":%" PRIu32 ",\"cluster_members_alive\":%" PRIu32,
                  members_of(view), node_view_alive(view));
    buffer_append(out, BYTES_LIT(",\"version\":"));
    json_text_append_lossy(out, bytes_of_string(view->version == NULL ? "" : view->version));
    for (size_t i = 0; i < OP_CLASSES; i++) {
        buffer_append_string(out, i == 0 ? ",\"latency_us\":{\"" : ",\"");
        buffer_append_string(out, class_names[i].json);
        buffer_append(out, BYTES_LIT("\":"));
        append_latency(out, &total->latency_ns[i]);
    }
    buffer_append(out, BYTES_LIT("}}\n"));
}

static void append_head(struct buffer *out, const char *name, const char *help, const char *type) {
    buffer_printf(out, "# HELP atoll_%s %s\n# TYPE atoll_%s %s\n", name, help, name, type);
}

/* `value` counted in parts of which a second has `parts`. */
static void append_seconds(struct buffer *out, uint64_t value, uint64_t parts) {
    buffer_printf(out, "%" PRIu64 ".%09" PRIu64, value / parts,
                  value % parts * (UINT64_C(1000000000) / parts));
}

static void append_figure(struct buffer *out, const struct figure *f, uint64_t value) {
    const bool is_counter = f->kind == COUNTER || f->kind == COUNTER_NS || f->kind == COUNTER_US;
    append_head(out, f->prometheus, f->help, is_counter ? "counter" : "gauge");
    buffer_printf(out, "atoll_%s ", f->prometheus);
    switch (f->kind) {
    case COUNTER_NS:
    case GAUGE_NS: append_seconds(out, value, 1000000000); break;
    case COUNTER_US: append_seconds(out, value, 1000000); break;
    case GAUGE_MS: append_seconds(out, value, 1000); break;
    default: buffer_append_u64(out, value); break;
    }
    buffer_append_u8(out, '\n');
}

static void append_histogram(struct buffer *out, const char *label, const struct histogram *h) {
    for (size_t i = 0; i < COUNT_OF(buckets); i++) {
        buffer_printf(
            out, "atoll_operation_duration_seconds_bucket{class=\"%s\",le=\"%s\"} %" PRIu64 "\n",
            label, buckets[i].seconds, histogram_count_below(h, buckets[i].ns));
    }
    buffer_printf(out,
                  "atoll_operation_duration_seconds_bucket{class=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
                  label, h->count);
    buffer_printf(out, "atoll_operation_duration_seconds_sum{class=\"%s\"} ", label);
    append_seconds(out, h->sum, 1000000000);
    buffer_printf(out, "\natoll_operation_duration_seconds_count{class=\"%s\"} %" PRIu64 "\n",
                  label, h->count);
}

static void append_levels(struct buffer *out, const char *name, const char *help,
                          const uint64_t *levels) {
    append_head(out, name, help, "gauge");
    for (size_t i = 0; i < NODE_LEVELS; i++) {
        buffer_printf(out, "atoll_%s{level=\"%zu\"} %" PRIu64 "\n", name, i, levels[i]);
    }
}

/* A label's value: `\`, `"` and line feeds are escaped. */
static void append_label(struct buffer *out, const char *name, const char *value) {
    buffer_printf(out, "%s=\"", name);
    for (const char *p = value == NULL ? "" : value; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"') buffer_append_u8(out, '\\');
        if (*p == '\n') {
            buffer_append(out, BYTES_LIT("\\n"));
        } else {
            buffer_append_u8(out, (uint8_t)*p);
        }
    }
    buffer_append_u8(out, '"');
}

static void append_state(struct buffer *out, const struct node_view *view) {
    append_head(out, "ready", "1 when the node serves requests.", "gauge");
    buffer_printf(out, "atoll_ready %d\n", view->ready && !view->stopping);
    append_head(out, "disk_full", "1 when writes are refused for lack of space.", "gauge");
    buffer_printf(out, "atoll_disk_full %d\n", view->total.disk_full);
    append_head(out, "shards", "Threads that serve requests.", "gauge");
    buffer_printf(out, "atoll_shards %" PRIu32 "\n", view->shards);
    append_head(out, "cluster_members", "Nodes that share the keys; 1 = alone.", "gauge");
    buffer_printf(out, "atoll_cluster_members %" PRIu32 "\n", members_of(view));
    append_head(out, "cluster_members_alive", "Members that this node takes to be alive.", "gauge");
    buffer_printf(out, "atoll_cluster_members_alive %" PRIu32 "\n", node_view_alive(view));
    append_head(out, "write_pressure_ratio",
                "How hard writers are slowed: 0 not at all, 1 refused.", "gauge");
    buffer_printf(out, "atoll_write_pressure_ratio %" PRIu32 ".%03" PRIu32 "\n",
                  view->total.pressure_permille / 1000, view->total.pressure_permille % 1000);
    append_head(out, "build_info", "Always 1; the program's version and the node as labels.",
                "gauge");
    buffer_append(out, BYTES_LIT("atoll_build_info{"));
    append_label(out, "version", view->version);
    buffer_append_u8(out, ',');
    append_label(out, "address", view->address);
    buffer_append(out, BYTES_LIT("} 1\n"));
}

void http_metrics_append_prometheus(struct buffer *out, const struct node_view *view) {
    const struct shard_figures *total = &view->total;
    append_state(out, view);
    append_head(out, "operations_total", "Operations finished, by class.", "counter");
    for (size_t i = 0; i < OP_CLASSES; i++) {
        buffer_printf(out, "atoll_operations_total{class=\"%s\"} %" PRIu64 "\n",
                      class_names[i].label, total->operations[i]);
    }
    append_head(out, "operation_duration_seconds",
                "From the arrival of a request to its answer, by class.", "histogram");
    for (size_t i = 0; i < OP_CLASSES; i++) {
        append_histogram(out, class_names[i].label, &total->latency_ns[i]);
    }
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        append_figure(out, &figures[i], read_figure(view, &figures[i]));
    }
    append_levels(out, "level_tables", "Tables in a level, all shards.", total->level_tables);
    append_levels(out, "level_bytes", "Bytes in a level, all shards.", total->level_bytes);
}
