#include "proto/http_metrics.h"

#include <inttypes.h>
#include <stdio.h>

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
    const char *prometheus; /* name behind atoll_; NULL = shown by its parts */
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
    { "put_bytes", "put_bytes_total", "Bytes of keys and values stored by this node.",
      COUNTER, TOTAL(put_bytes) },
    { "input_bytes", "client_input_bytes", "Memory of commands that have not arrived in full.",
      GAUGE, TOTAL(input_bytes) },
    { "output_bytes", "client_output_bytes", "Memory of replies that are not sent yet.",
      GAUGE, TOTAL(output_bytes) },
    { "task_bytes", "waiting_request_bytes", "Memory of requests being worked on, and their answers.",
      GAUGE, TOTAL(task_bytes) },
    { "peer_waiting_bytes", "peer_waiting_bytes",
      "Memory of what other nodes asked for and that is not done yet.",
      GAUGE, TOTAL(peer_waiting_bytes) },
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
    { "stalls", "write_stalls_total",
      "Attempts to write that had to wait for flush or compaction.", COUNTER, TOTAL(stalls) },
    { "stall_ns", "write_stall_seconds_total",
      "Time that writes have waited for flush or compaction, added up.",
      COUNTER_NS, TOTAL(stall_ns) },
    { "disk_full_refused", "disk_full_refused_total", "Writes refused because the disk is full.",
      COUNTER, TOTAL(disk_full_refused) },
    { "corruptions", "corruptions_total", "Stored blocks that failed their checksum.",
      COUNTER, TOTAL(corruptions) },
    { "gets", "engine_gets_total", "Lookups in the storage engine.", COUNTER, TOTAL(gets) },
    { "gets_memory", "engine_gets_memory_total", "Lookups answered by a memtable.",
      COUNTER, TOTAL(gets_memory) },
    { "filter_checks", "filter_checks_total", "Tables whose filter was asked for a key.",
      COUNTER, TOTAL(filter_checks) },
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
    { "quorum_failures", NULL, "Operations that too few replicas answered.",
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
    { "hints_bytes", "hints_waiting_bytes", "What hints that wait take on disk, about.",
      GAUGE, TOTAL(hints_bytes) },
    { "repair_ranges", "repair_ranges_total", "Ranges of keys compared with another node.",
      COUNTER, TOTAL(repair_ranges) },
    { "repair_records", "repair_records_total", "Records sent or fetched because one of two nodes lacked them.",
      COUNTER, TOTAL(repair_records) },
    { "peer_accepts", "peer_accepts_total", "Records that other nodes brought, taken or not.",
      COUNTER, TOTAL(peer_accepts) },
    { "peer_queries", "peer_queries_total", "Reads answered for other nodes.",
      COUNTER, TOTAL(peer_queries) },
    { "peer_bytes_in", "peer_received_bytes_total", "Bytes read from other nodes.",
      COUNTER, TOTAL(peer_bytes_in) },
    { "peer_bytes_out", "peer_sent_bytes_total", "Bytes written to other nodes.",
      COUNTER, TOTAL(peer_bytes_out) },
    { "peer_links_up", "peer_links_up", "Connections to shards of other nodes that are up.",
      GAUGE, TOTAL(peer_links_up) },
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

/* Names that an earlier store's clients read. */
static const char *const class_json[OP_CLASSES] = {
    [OP_CLASS_READ] = "reads", [OP_CLASS_WRITE] = "writes",   [OP_CLASS_DELETE] = "deletes",
    [OP_CLASS_SCAN] = "scans", [OP_CLASS_BATCH] = "batches",
};

/* Figures of one kind by reason, cause or result: neighbours in struct shard_figures. */
static const struct family {
    const char *json;       /* a member of the JSON object for each value: json_value */
    const char *prometheus; /* name behind atoll_ */
    const char *help;
    const char *label;
    const char *values[RECORD_REFUSALS]; /* in the order of the array */
    uint32_t count;                      /* of them */
    size_t offset;                       /* of the array in struct node_view */
} families[] = {
    { "quorum_failures", "quorum_failures_total",
      "Operations that failed for want of replicas, by reason.", "reason",
      { [QUORUM_TOO_FEW] = "replicas", [QUORUM_TIMEOUT] = "timeout", [QUORUM_CLOCK] = "clock" },
      QUORUM_FAILURES, TOTAL(quorum_failed) },
    { "records_sent", "peer_records_sent_total", "Records sent to other nodes, by cause.", "cause",
      { [RECORD_CAUSE_WRITE] = "write", [RECORD_CAUSE_HINT] = "hint",
        [RECORD_CAUSE_REPAIR] = "repair" },
      RECORD_CAUSES, TOTAL(records_sent) },
    { "records_taken", "peer_records_taken_total", "Records taken from other nodes, by cause.",
      "cause",
      { [RECORD_CAUSE_WRITE] = "write", [RECORD_CAUSE_HINT] = "hint",
        [RECORD_CAUSE_REPAIR] = "repair" },
      RECORD_CAUSES, TOTAL(records_taken) },
    { "records_refused", "peer_records_refused_total",
      "Records of other nodes that were not taken, by reason.", "reason",
      { [RECORD_REFUSED_BUSY] = "busy", [RECORD_REFUSED_FULL] = "disk_full",
        [RECORD_REFUSED_FAILED] = "failed", [RECORD_REFUSED_CLOCK] = "clock",
        [RECORD_REFUSED_FLOOR] = "floor", [RECORD_REFUSED_NOT_MINE] = "not_mine",
        [RECORD_REFUSED_STALE] = "stale" },
      RECORD_REFUSALS, TOTAL(records_refused) },
    { "repair_passes", "repair_passes_total",
      "Walks over all keys shared with a shard of another node; an unclean one was interrupted.",
      "result", { [REPAIR_PASS_CLEAN] = "clean", [REPAIR_PASS_UNCLEAN] = "unclean" },
      REPAIR_PASSES, TOTAL(repair_passes) },
};
/* clang-format on */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static uint64_t read_at(const struct node_view *view, size_t offset) {
    uint64_t value = 0;
    ASSERT(offset + sizeof value <= sizeof *view);
    memcpy(&value, (const uint8_t *)view + offset, sizeof value);
    return value;
}

static uint64_t read_part(const struct node_view *view, const struct family *f, uint32_t i) {
    ASSERT(i < f->count);
    return read_at(view, f->offset + i * sizeof(uint64_t));
}

/* ---- amplification ---- */

static double ratio(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static double write_amplification(const struct shard_figures *f) {
    return ratio(f->wal_bytes + f->flush_bytes + f->compaction_bytes_written, f->put_bytes);
}

/* The last level holds each key once; what the others hold is newer versions of the same keys,
 * keys not merged yet, and what nobody will read. */
static double space_amplification(const struct shard_figures *f) {
    uint64_t all = 0, last = 0;
    for (uint32_t i = 0; i < NODE_LEVELS; i++) {
        all += f->level_bytes[i];
        if (f->level_bytes[i] > 0) last = f->level_bytes[i];
    }
    return ratio(all, last);
}

/* ---- JSON ---- */

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

static void append_families_json(struct buffer *out, const struct node_view *view) {
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        const struct family *f = &families[i];
        for (uint32_t k = 0; k < f->count; k++)
            buffer_printf(out, ",\"%s_%s\":%" PRIu64, f->json, f->values[k], read_part(view, f, k));
    }
}

void http_metrics_append_json(struct buffer *out, const struct node_view *view) {
    const struct shard_figures *total = &view->total;
    for (size_t i = 0; i < OP_CLASSES; i++) {
        buffer_printf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', class_json[i],
                      total->operations[i]);
    }
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        buffer_printf(out, ",\"%s\":%" PRIu64, figures[i].json, read_at(view, figures[i].offset));
    }
    append_families_json(out, view);
    buffer_printf(out, ",\"write_amplification\":%.3f,\"space_amplification\":%.3f",
                  write_amplification(total), space_amplification(total));
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
        buffer_append_string(out, class_json[i]);
        buffer_append(out, BYTES_LIT("\":"));
        append_latency(out, &total->latency_ns[i]);
    }
    buffer_append(out, BYTES_LIT("}}\n"));
}

/* ---- Prometheus ---- */

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

static void append_family(struct buffer *out, const struct node_view *view,
                          const struct family *f) {
    append_head(out, f->prometheus, f->help, "counter");
    for (uint32_t i = 0; i < f->count; i++) {
        buffer_printf(out, "atoll_%s{%s=\"%s\"} %" PRIu64 "\n", f->prometheus, f->label,
                      f->values[i], read_part(view, f, i));
    }
}

/* `labels` = what stands in front of `le`, each ended by a comma. */
static void append_durations(struct buffer *out, const char *name, const char *labels,
                             const struct durations *d) {
    const int labels_len = (int)strlen(labels);
    const int only_len = labels_len == 0 ? 0 : labels_len - 1; /* without the comma */
    const char *open = labels_len == 0 ? "" : "{";
    const char *close = labels_len == 0 ? "" : "}";
    uint64_t count = 0;
    for (uint32_t i = 0; i < DURATIONS_STEPS; i++) {
        count += d->counts[i];
        buffer_printf(out, "atoll_%s_bucket{%sle=\"%s\"} %" PRIu64 "\n", name, labels,
                      durations_bound(i), count);
    }
    buffer_printf(out, "atoll_%s_sum%s%.*s%s ", name, open, only_len, labels, close);
    append_seconds(out, d->sum_ns, 1000000000);
    buffer_printf(out, "\natoll_%s_count%s%.*s%s %" PRIu64 "\n", name, open, only_len, labels,
                  close, count);
}

static void append_times(struct buffer *out, const struct shard_figures *total) {
    const char *name = "operation_duration_seconds";
    append_head(out, name, "From the arrival of a request to its answer, by class and level.",
                "histogram");
    for (uint32_t class = 0; class < OP_CLASSES; class ++) {
        for (uint32_t level = 0; level < LEVEL_CLASSES; level++) {
            char labels[64];
            const int len = snprintf(labels, sizeof labels, "class=\"%s\",level=\"%s\",",
                                     node_class_name((enum op_class) class),
                                     node_level_name((enum level_class)level));
            ASSERT(len > 0 && (size_t)len < sizeof labels);
            append_durations(out, name, labels, &total->times[class * LEVEL_CLASSES + level]);
        }
    }
    name = "wal_sync_duration_seconds";
    append_head(out, name, "Time of a sync (fdatasync) of a write-ahead log.", "histogram");
    append_durations(out, name, "", &total->sync_times);
}

static void append_ratio(struct buffer *out, const char *name, const char *help, double value) {
    append_head(out, name, help, "gauge");
    buffer_printf(out, "atoll_%s %.3f\n", name, value);
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
                      node_class_name((enum op_class)i), total->operations[i]);
    }
    append_times(out, total);
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        if (figures[i].prometheus == NULL) continue;
        append_figure(out, &figures[i], read_at(view, figures[i].offset));
    }
    for (size_t i = 0; i < COUNT_OF(families); i++) append_family(out, view, &families[i]);
    append_ratio(out, "write_amplification_ratio",
                 "Bytes written to disk for each byte stored, since the start.",
                 write_amplification(total));
    append_ratio(out, "space_amplification_ratio",
                 "Bytes of all tables for each byte of the last level's; 0 without tables.",
                 space_amplification(total));
    append_levels(out, "level_tables", "Tables in a level, all shards.", total->level_tables);
    append_levels(out, "level_bytes", "Bytes in a level, all shards.", total->level_bytes);
}
