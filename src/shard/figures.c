/* figures.c - what a shard counts, published for whoever asks the node. */
#include "base/assert.h"
#include "shard/shard.h"

static void take_engine_figures(struct shard_figures *f, const struct engine_stats *e) {
    f->wal_bytes = e->wal.appended_bytes;
    f->wal_syncs = e->wal.syncs;
    f->wal_sync_ns_total = e->wal.sync_ns_total;
    f->wal_sync_ns_max = e->wal.sync_ns_max;
    f->wal_disk_bytes = e->wal.bytes_on_disk;
    f->flushes = e->flushes;
    f->compactions = e->compactions;
    f->flush_bytes = e->flush_bytes;
    f->compaction_bytes_read = e->compaction_bytes_read;
    f->compaction_bytes_written = e->compaction_bytes_written;
    f->stalls = e->stalls;
    f->disk_full_refused = e->full;
    f->corruptions = e->corruptions;
    f->filter_negatives = e->filter_negatives;
    f->filter_false_positives = e->filter_false_positives;
    f->gets = e->gets;
    f->gets_memory = e->gets_memory;
    f->records = e->records;
    f->tombstones = e->tombstones;
    f->memtable_bytes = e->memtable_bytes;
    f->memtables = e->memtables;
    f->disk_full = e->disk_full;
    _Static_assert(NODE_LEVELS == ENGINE_LEVELS, "figures show every level");
    for (uint32_t i = 0; i < NODE_LEVELS; i++) {
        f->level_tables[i] = e->level_tables[i];
        f->level_bytes[i] = e->level_bytes[i];
    }
}

void shard_figures_publish(struct shard *s) {
    const struct engine_stats e = engine_stats(s->engine);
    s->figures.waiting = s->tasks_used;
    s->figures.pressure_permille = engine_pressure_permille(s->engine);
    take_engine_figures(&s->figures, &e);
    s->figures.corruptions += s->fetches_failed;
    os_mutex_lock(&s->figures_lock);
    s->figures_published = s->figures;
    os_mutex_unlock(&s->figures_lock);
}

/* Every field but flags and histograms is a count of 64 bits that adds up. */
static void figures_add(struct shard_figures *sum, const struct shard_figures *f) {
    const size_t counts = offsetof(struct shard_figures, pressure_permille) / sizeof(uint64_t);
    uint64_t *into = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)f;
    const uint64_t sync_max =
        sum->wal_sync_ns_max > f->wal_sync_ns_max ? sum->wal_sync_ns_max : f->wal_sync_ns_max;
    for (size_t i = 0; i < counts; i++) into[i] += from[i];
    sum->wal_sync_ns_max = sync_max;
    if (f->pressure_permille > sum->pressure_permille)
        sum->pressure_permille = f->pressure_permille;
    sum->disk_full = sum->disk_full || f->disk_full;
    for (uint32_t i = 0; i < OP_CLASSES; i++)
        histogram_merge(&sum->latency_ns[i], &f->latency_ns[i]);
}

_Static_assert(offsetof(struct shard_figures, pressure_permille) % sizeof(uint64_t) == 0,
               "what comes before is an array of counts");

static void node_figures(struct shard *s, struct shard_figures *ret_sum) {
    memset(ret_sum, 0, sizeof *ret_sum);
    shard_figures_publish(s); /* the asker's own shard is exact, the others a tick old */
    for (uint32_t i = 0; i < s->node->shards_count; i++) {
        struct shard *other = s->node->shards[i];
        os_mutex_lock(&other->figures_lock);
        figures_add(ret_sum, &other->figures_published);
        os_mutex_unlock(&other->figures_lock);
    }
}

void shard_node_view(struct shard *s, const struct connection *asker, struct node_view *ret_view) {
    const struct node *n = s->node;
    const struct cache_stats cache = cache_stats(n->cache);
    *ret_view = (struct node_view){
        .version = n->version,
        .address = n->address,
        .node_id = n->node_id,
        .boot_count = n->boot_count,
        .port = n->port,
        .shards = n->shards_count,
        .now_ms = s->turn_wall_ms,
        .started_ms = n->started_ms,
        .process_id = os_process_id(s->os),
        .resident_bytes = os_resident_bytes(s->os),
        .cpu_us = os_cpu_us(s->os),
        .cache_bytes = cache.bytes_used + cache.bytes_reserved,
        .cache_bytes_max = cache.bytes_max,
        .cache_hits = cache.hits,
        .cache_misses = cache.misses,
        .cache_evictions = cache.evictions,
        .data_dir = n->data_dir,
        .sync_mode = n->sync_mode,
        .ready = atomic_load(&n->ready),
        .stopping = atomic_load(&n->stopping),
        .config = n->config,
        .config_count = n->config_count,
        .client_id = asker->id,
        .client_address = s->client_address,
        .client_name = asker->protocol == PROTOCOL_RESP ? asker->resp.name : "",
    };
    os_sock_peer(asker->sock, s->client_address);
    if (!status_ok(os_disk_free(s->os, n->data_dir, &ret_view->disk_free_bytes)))
        ret_view->disk_free_bytes = 0;
    node_figures(s, &ret_view->total);
}
