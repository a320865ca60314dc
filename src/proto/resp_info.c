/* INFO. A field that Redis has is named as there, and is here only if it means the same;
 * the section "atoll" holds what is our own. */
#include "proto/resp_internal.h"

#include "base/assert.h"

#include <inttypes.h>

typedef void section_writer(const struct node_view *view, struct buffer *text);

static void field(struct buffer *text, const char *name, uint64_t value) {
    buffer_printf(text, "%s:%" PRIu64 "\r\n", name, value);
}

static void field_string(struct buffer *text, const char *name, const char *value) {
    buffer_printf(text, "%s:%s\r\n", name, value);
}

static void field_human(struct buffer *text, const char *name, uint64_t bytes) {
    static const char units[] = "BKMGTPE";
    uint32_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && units[unit + 1] != '\0') {
        value /= 1024;
        unit++;
    }
    buffer_printf(text, "%s:%.*f%c\r\n", name, unit == 0 ? 0 : 2, value, units[unit]);
}

static void field_ratio(struct buffer *text, const char *name, uint64_t part, uint64_t whole) {
    const double ratio = whole == 0 ? 0.0 : (double)part / (double)whole;
    buffer_printf(text, "%s:%.3f\r\n", name, ratio);
}

static void write_server(const struct node_view *view, struct buffer *text) {
    const uint64_t up_ms = view->now_ms > view->started_ms ? view->now_ms - view->started_ms : 0;
    field_string(text, "redis_version", RESP_REDIS_VERSION);
    field_string(text, "server_name", "atoll");
    field_string(text, "atoll_version", view->version);
    field_string(text, "redis_mode", resp_info_mode(view));
    field(text, "arch_bits", 8 * sizeof(void *));
    field_string(text, "multiplexing_api", "epoll");
    field(text, "process_id", view->process_id);
    field(text, "tcp_port", view->port);
    field(text, "server_time_usec", view->now_ms * 1000);
    field(text, "uptime_in_seconds", up_ms / 1000);
    field(text, "uptime_in_days", up_ms / 1000 / 86400);
}

static void write_clients(const struct node_view *view, struct buffer *text) {
    field(text, "connected_clients", view->total.connections);
    field(text, "blocked_clients", 0);
}

static void write_memory(const struct node_view *view, struct buffer *text) {
    field(text, "used_memory_rss", view->resident_bytes);
    field_human(text, "used_memory_rss_human", view->resident_bytes);
    field(text, "maxmemory", 0);
    field_string(text, "maxmemory_policy", "noeviction");
    field(text, "cache_bytes", view->cache_bytes);
    field(text, "cache_bytes_max", view->cache_bytes_max);
    field(text, "memtable_bytes", view->total.memtable_bytes);
}

static void write_persistence(const struct node_view *view, struct buffer *text) {
    field(text, "loading", view->ready || view->stopping ? 0 : 1);
    field_string(text, "sync_mode", view->sync_mode);
    field(text, "disk_free_bytes", view->disk_free_bytes);
    field(text, "disk_full", view->total.disk_full);
}

static void write_stats(const struct node_view *view, struct buffer *text) {
    const struct shard_figures *const f = &view->total;
    field(text, "total_connections_received", f->connections_total);
    field(text, "total_commands_processed", f->commands);
    field(text, "total_net_input_bytes", f->bytes_in);
    field(text, "total_net_output_bytes", f->bytes_out);
    field(text, "rejected_connections", f->connections_refused);
    field(text, "evicted_keys", 0);
    field(text, "keyspace_hits", f->hits);
    field(text, "keyspace_misses", f->misses);
}

/* No node follows another: each takes writes, so it is a master in the words of Redis. */
static void write_replication(const struct node_view *view, struct buffer *text) {
    const struct shard_figures *const f = &view->total;
    const struct node_cluster *const c = &view->cluster;
    field_string(text, "role", "master");
    field(text, "connected_slaves", 0);
    field(text, "replicas", c->replicas == 0 ? 1 : c->replicas);
    field(text, "write_quorum", c->write_quorum == 0 ? 1 : c->write_quorum);
    field(text, "read_quorum", c->read_quorum == 0 ? 1 : c->read_quorum);
    field(text, "coordinated", f->coordinated);
    field(text, "forwarded", f->forwarded);
    field(text, "hedges", f->hedges);
    field(text, "quorum_failures", f->quorum_failures);
    field(text, "read_repairs", f->read_repairs);
    field(text, "hints_stored", f->hints_stored);
    field(text, "hints_replayed", f->hints_replayed);
    field(text, "hints_dropped", f->hints_dropped);
    field(text, "hints_waiting", f->hints_waiting);
    field(text, "repair_ranges", f->repair_ranges);
    field(text, "repair_records", f->repair_records);
    field(text, "peer_accepts", f->peer_accepts);
    field(text, "peer_queries", f->peer_queries);
    field(text, "peer_bytes_in", f->peer_bytes_in);
    field(text, "peer_bytes_out", f->peer_bytes_out);
    field(text, "peer_links_lost", f->peer_links_lost);
    field(text, "peer_refused", f->peer_refused);
}

static void write_cpu(const struct node_view *view, struct buffer *text) {
    buffer_printf(text, "used_cpu:%" PRIu64 ".%06u\r\n", view->cpu_us / 1000000,
                  (unsigned)(view->cpu_us % 1000000));
}

static bool is_clustered(const struct node_view *view) {
    return view->cluster.members_count > 1;
}

const char *resp_info_mode(const struct node_view *view) {
    return is_clustered(view) ? "cluster" : "standalone";
}

/* Every node answers for every key, so that a client that knows no cluster is at home too;
 * one that does looks here first, then for the slots (CLUSTER SLOTS). */
static void write_cluster(const struct node_view *view, struct buffer *text) {
    const struct node_cluster *const c = &view->cluster;
    field(text, "cluster_enabled", is_clustered(view));
    if (node_view_is_alone(view)) return;
    field(text, "cluster_members", c->members_count);
    field(text, "cluster_members_alive", node_view_alive(view));
    field(text, "cluster_epoch", c->epoch);
    field(text, "cluster_proxy", c->proxy);
    field(text, "cluster_filled", c->filled);
    for (uint32_t i = 0; i < c->members_count; i++) {
        const struct node_member *const m = &c->members[i];
        buffer_printf(text,
                      "member%" PRIu32 ":address=%s,state=%s,slots_owned=%" PRIu32
                      ",slots_kept=%" PRIu32 ",latency_us=%" PRIu32 ",clock_ahead_ms=%" PRId64
                      ",hints_waiting=%" PRIu64 "\r\n",
                      i, m->address, m->alive ? "up" : "down", m->slots_owned, m->slots_kept,
                      m->latency_us, m->clock_ahead_ms, m->hints_waiting);
    }
}

/* What tables hold is known without looking; what of it is superseded is not. */
static void write_keyspace(const struct node_view *view, struct buffer *text) {
    const struct shard_figures *const f = &view->total;
    const uint64_t keys = f->records > f->tombstones ? f->records - f->tombstones : 0;
    if (keys > 0) buffer_printf(text, "db0:keys=%" PRIu64 ",estimated=1\r\n", keys);
}

static void write_levels(const struct node_view *view, struct buffer *text) {
    for (uint32_t i = 0; i < NODE_LEVELS; i++) {
        buffer_printf(text, "level%u:tables=%" PRIu64 ",bytes=%" PRIu64 "\r\n", i,
                      view->total.level_tables[i], view->total.level_bytes[i]);
    }
}

static void write_latencies(const struct node_view *view, struct buffer *text) {
    for (uint32_t i = 0; i < OP_CLASSES; i++) {
        const struct histogram *const h = &view->total.latency_ns[i];
        buffer_printf(text, "operations_%s:count=%" PRIu64, node_class_name((enum op_class)i),
                      view->total.operations[i]);
        if (h->count > 0) {
            buffer_printf(text, ",p50_us=%.1f,p99_us=%.1f,p999_us=%.1f",
                          (double)histogram_quantile(h, 0.5) / 1000,
                          (double)histogram_quantile(h, 0.99) / 1000,
                          (double)histogram_quantile(h, 0.999) / 1000);
        }
        buffer_append_string(text, "\r\n");
    }
}

static void write_atoll(const struct node_view *view, struct buffer *text) {
    const struct shard_figures *const f = &view->total;
    field(text, "node_id", view->node_id);
    field(text, "boot_count", view->boot_count);
    field(text, "shards", view->shards);
    field_string(text, "data_dir", view->data_dir);
    field(text, "ready", view->ready);
    field(text, "stopping", view->stopping);
    field(text, "requests_waiting", f->waiting);
    field(text, "requests_bad", f->bad_requests);
    field(text, "requests_failed", f->errors);
    field(text, "requests_busy", f->busy_refused);
    field(text, "requests_timeout", f->timeouts);
    field(text, "requests_disk_full", f->disk_full_refused);
    write_latencies(view, text);
    field(text, "wal_bytes_written", f->wal_bytes);
    field(text, "wal_disk_bytes", f->wal_disk_bytes);
    field(text, "wal_syncs", f->wal_syncs);
    field(text, "wal_sync_us_mean",
          f->wal_syncs == 0 ? 0 : f->wal_sync_ns_total / f->wal_syncs / 1000);
    field(text, "wal_sync_us_max", f->wal_sync_ns_max / 1000);
    field(text, "records", f->records);
    field(text, "tombstones", f->tombstones);
    field(text, "memtables", f->memtables);
    write_levels(view, text);
    field(text, "flushes", f->flushes);
    field(text, "flush_bytes", f->flush_bytes);
    field(text, "compactions", f->compactions);
    field(text, "compaction_bytes_read", f->compaction_bytes_read);
    field(text, "compaction_bytes_written", f->compaction_bytes_written);
    field_ratio(text, "write_amplification",
                f->wal_bytes + f->flush_bytes + f->compaction_bytes_written, f->put_bytes);
    field(text, "write_stalls", f->stalls);
    field(text, "write_pressure_permille", f->pressure_permille);
    field(text, "corruptions", f->corruptions);
    field(text, "cache_hits", view->cache_hits);
    field(text, "cache_misses", view->cache_misses);
    field(text, "cache_evictions", view->cache_evictions);
    field(text, "gets", f->gets);
    field(text, "gets_memory", f->gets_memory);
    field(text, "filter_negatives", f->filter_negatives);
    field(text, "filter_false_positives", f->filter_false_positives);
}

static const struct section {
    const char *name;  /* lower case */
    const char *title; /* as in the text */
    section_writer *write;
} sections[] = {
    { "server", "Server", write_server },
    { "clients", "Clients", write_clients },
    { "memory", "Memory", write_memory },
    { "persistence", "Persistence", write_persistence },
    { "stats", "Stats", write_stats },
    { "replication", "Replication", write_replication },
    { "cpu", "CPU", write_cpu },
    { "cluster", "Cluster", write_cluster },
    { "keyspace", "Keyspace", write_keyspace },
    { "atoll", "Atoll", write_atoll },
};

#define SECTIONS (sizeof sections / sizeof sections[0])

uint64_t resp_info_section(struct bytes name) {
    if (bytes_equal_nocase(name, "default") || bytes_equal_nocase(name, "all") ||
        bytes_equal_nocase(name, "everything")) {
        return (UINT64_C(1) << SECTIONS) - 1;
    }
    for (uint32_t i = 0; i < SECTIONS; i++) {
        if (bytes_equal_nocase(name, sections[i].name)) return UINT64_C(1) << i;
    }
    return 0;
}

void resp_info_encode(uint64_t wanted, const struct node_view *view, struct buffer *text) {
    ASSERT(wanted < UINT64_C(1) << SECTIONS);
    bool first = true;
    for (uint32_t i = 0; i < SECTIONS; i++) {
        if ((wanted & (UINT64_C(1) << i)) == 0) continue;
        buffer_printf(text, "%s# %s\r\n", first ? "" : "\r\n", sections[i].title);
        sections[i].write(view, text);
        first = false;
    }
}
