/* figures.c - what a shard counts, published for whoever asks the node. */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/hint.h"
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
    f->sync_times = e->wal.sync_times;
    f->filter_checks = e->filter_checks;
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

static void publish_hints(struct shard *s) {
    if (!shard_is_clustered(s) || s->engine == NULL) return;
    for (uint32_t i = 0; i < s->members->places; i++)
        atomic_store_explicit(&s->hints_for[i], hints_waiting(s, i), memory_order_relaxed);
}

void shard_count_operations(struct shard *s, uint32_t kind, uint64_t took_ns, uint32_t times) {
    const enum op_class class = op_kind_class(kind);
    ASSERT(kind < OP_KINDS);
    ASSERT(times > 0);
    s->figures.operations[class] += times;
    histogram_record_many(&s->figures.latency_ns[class], took_ns, times);
    durations_record(&s->figures.times[kind], took_ns, times);
}

void shard_count_quorum_failure(struct shard *s, enum quorum_failure why) {
    ASSERT(why < QUORUM_FAILURES);
    s->figures.quorum_failed[why]++;
    if (why != QUORUM_CLOCK) s->figures.quorum_failures++;
}

static uint64_t links_up(const struct shard *s) {
    uint64_t count = 0;
    for (const struct list *n = s->links.next; n != &s->links; n = n->next) {
        const struct link *l = LIST_ENTRY(n, const struct link, all);
        count += l->state == LINK_UP && l->peer != NULL;
    }
    return count;
}

void shard_figures_publish(struct shard *s) {
    s->figures.waiting = s->tasks_used;
    s->figures.input_bytes = s->input_held;
    s->figures.output_bytes = s->output_held;
    s->figures.task_bytes = s->tasks_held;
    s->figures.peer_waiting_bytes = s->guests_bytes + s->accepts_bytes;
    s->figures.peer_links_up = links_up(s);
    publish_hints(s);
    if (s->engine != NULL) {
        const struct engine_stats e = engine_stats(s->engine);
        s->figures.pressure_permille = engine_pressure_permille(s->engine);
        take_engine_figures(&s->figures, &e);
        s->figures.corruptions += s->fetches_failed;
    }
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

static uint64_t keys_of(const struct shard_figures *f) {
    return f->records > f->tombstones ? f->records - f->tombstones : 0;
}

void node_holdings(const struct node *n, uint64_t *ret_keys, uint64_t *ret_bytes) {
    uint64_t keys = 0, bytes = 0;
    for (uint32_t i = 0; i < n->shards_count; i++) {
        struct shard *s = n->shards[i];
        const struct shard_figures *f = &s->figures_published;
        os_mutex_lock(&s->figures_lock);
        keys += keys_of(f);
        bytes += f->memtable_bytes;
        for (uint32_t k = 0; k < NODE_LEVELS; k++) bytes += f->level_bytes[k];
        os_mutex_unlock(&s->figures_lock);
    }
    *ret_keys = keys;
    *ret_bytes = bytes;
}

static void node_figures(struct shard *s, struct node_view *view) {
    struct shard_figures *sum = &view->total;
    memset(sum, 0, sizeof *sum);
    shard_figures_publish(s); /* the asker's own shard is exact, the others a tick old */
    for (uint32_t i = 0; i < s->node->shards_count; i++) {
        struct shard *other = s->node->shards[i];
        os_mutex_lock(&other->figures_lock);
        figures_add(sum, &other->figures_published);
        view->shard_keys[i] = keys_of(&other->figures_published);
        os_mutex_unlock(&other->figures_lock);
    }
}

/* ---- what the control plane says of the cluster ---- */

static enum node_stage stage_of(enum control_stage stage) {
    switch (stage) {
    case CONTROL_GATHERING: return NODE_STAGE_GATHERING;
    case CONTROL_MEMBER: return NODE_STAGE_MEMBER;
    case CONTROL_PROXY: return NODE_STAGE_PROXY;
    default: return NODE_STAGE_JOINING;
    }
}

static enum node_standing standing_of(enum member_state state) {
    switch (state) {
    case MEMBER_JOINING: return NODE_JOINING;
    case MEMBER_LEAVING: return NODE_LEAVING;
    case MEMBER_DEAD: return NODE_DEAD;
    default: return NODE_ACTIVE;
    }
}

static void add_control(struct shard *s, struct node_cluster *v) {
    if (s->node->control == NULL) return;
    /* It has room for all, of which what is not told is never touched. */
    if (s->status_view == NULL) s->status_view = mem_alloc_zeroed(sizeof *s->status_view);
    struct control_status *status = s->status_view;
    node_control_status(s->node->control, status, &v->change);
    cluster_id_print(&s->members->cluster, s->cluster_id_view);
    v->stage = stage_of(status->stage);
    if (s->members->epoch > 0) v->cluster_id = s->cluster_id_view;
    v->leader = status->leader;
    v->term = status->term;
    v->revision = s->members->revision;
    v->waits_for = status->waits_for;
}

/* What the members said of themselves; this one's own figures are fresher. */
static void add_reports(const struct control_status *status, struct node_member *m) {
    for (uint32_t i = 0; i < status->voter_count; i++) m->voter |= status->voters[i] == m->id;
    const struct control_report *r = control_status_report(status, m->id);
    if (r == NULL || m->self) return;
    m->holdings_known = true;
    m->keys = r->load.keys;
    m->bytes = r->load.held;
}

static struct node_member member_view(struct shard *s, uint32_t i, uint32_t owned, uint32_t kept) {
    const struct member *m = membership_member(s->members, i);
    const bool self = i == s->members->self;
    const struct peer *p = s->peers[i];
    struct node_member v = { .address = m->address,
                             .id = m->id,
                             .node_id = self ? s->node->node_id : 0,
                             .boot_count = self ? s->node->boot_count : m->boot,
                             .weight = m->weight,
                             .zone = m->zone,
                             .slots_owned = owned,
                             .slots_kept = kept,
                             .self = self,
                             .alive = self,
                             .standing = standing_of(m->state) };
    if (s->node->control != NULL) add_reports(s->status_view, &v);
    if (p == NULL) return v;
    v.node_id = p->node_id;
    if (p->boot_count != 0) v.boot_count = p->boot_count;
    v.alive = peer_is_alive(s, i);
    v.latency_us = p->detector.latency_us;
    v.clock_ahead_ms = p->detector.clock_ahead_ms;
    for (uint32_t k = 0; k < s->node->shards_count; k++)
        v.hints_waiting +=
            atomic_load_explicit(&s->node->shards[k]->hints_for[i], memory_order_relaxed);
    return v;
}

static void make_members_view(struct shard *s, uint32_t places) {
    ASSERT(places <= MEMBERS_MAX);
    if (places <= s->members_room) return;
    s->members_view = mem_realloc(s->members_view, places * sizeof *s->members_view);
    s->members_index = mem_realloc(s->members_index, places * sizeof *s->members_index);
    s->members_room = places;
}

_Static_assert(offsetof(struct slot_list, members) == sizeof(uint16_t) &&
                   sizeof(struct slot_list) == (1 + REPLICAS_MAX) * sizeof(uint16_t),
               "a list is its count and its places");

static void cluster_view(struct shard *s, struct node_cluster *ret_view) {
    const struct membership *m = s->members;
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX], count = 0;
    *ret_view = (struct node_cluster){
        .members_count = 1, .filled = true, .none = m->epoch == 0, .epoch = m->epoch
    };
    add_control(s, ret_view);
    if (m->epoch == 0 || (s->alone && s->node->control == NULL)) return;
    slot_table_count(&m->slots, m->places, owned, kept);
    make_members_view(s, m->places);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        s->members_index[i] = (uint16_t)count;
        s->members_view[count++] = member_view(s, i, owned[i], kept[i]);
    }
    ret_view->members_count = m->count;
    ret_view->members = s->members_view;
    ret_view->slot_replicas = m->replicas;
    ret_view->slot_replicas_next = m->replicas_next;
    if (s->alone) return;
    const struct replication r = membership_replication(m, KEYSPACE_DEFAULT);
    const uint32_t there = m->replicas < m->count ? m->replicas : m->count;
    const uint32_t copies = r.replicas < there ? r.replicas : there;
    ret_view->slots = (const uint16_t(*)[1 + REPLICAS_MAX]) m->slots.lists;
    ret_view->indexes = s->members_index;
    ret_view->replicas = r.replicas;
    ret_view->write_quorum = membership_quorum(r.write_quorum, copies);
    ret_view->read_quorum = membership_quorum(r.read_quorum, copies);
    ret_view->proxy = s->node->proxy;
    ret_view->filled = s->filled || s->node->proxy;
}

static bool is_settled(const struct node *n) {
    for (uint32_t i = 0; i < n->shards_count; i++) {
        if (!atomic_load_explicit(&n->shards[i]->settled, memory_order_relaxed)) return false;
    }
    return true;
}

static void view_asker(struct shard *s, const struct connection *asker, struct node_view *view) {
    os_sock_peer(asker->sock, s->client_address);
    view->client_id = asker->id;
    if (asker->protocol == PROTOCOL_RESP) view->client_name = asker->resp.name;
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
        .ready = atomic_load(&n->ready) && is_settled(n) && s->members->epoch > 0,
        .stopping = atomic_load(&n->stopping),
        .config = n->config,
        .config_count = n->config_count,
        .client_address = s->client_address,
        .client_name = "",
    };
    if (asker != NULL) view_asker(s, asker, ret_view);
    ret_view->log_level = log_level_name(log_level_now());
    ret_view->slow_ns = slow_log_threshold_ns(&n->slow);
    cluster_view(s, &ret_view->cluster);
    if (!status_ok(os_disk_free(s->os, n->data_dir, &ret_view->disk_free_bytes)))
        ret_view->disk_free_bytes = 0;
    node_figures(s, ret_view);
}
