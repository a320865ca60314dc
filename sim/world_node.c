/* Nodes of the world: built as server/serve.c builds one, and taken away without mercy. */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/world_internal.h"

#include <stdio.h>

#define START_MS_MAX 1500u /* a list of nodes is not started in one moment */
#define IO_THREADS 2u
#define BACKGROUND_THREADS 1u
/* A node that cannot start (no space, a read error) is tried again. */
#define RETRY_NS (1000 * NS_A_MS)
/* Simulated work of one turn, so that a shard with work in hand lets others have theirs. */
#define TURN_NS_MIN UINT64_C(10000)
#define TURN_NS_SPREAD UINT64_C(30000)
#define STOPPING_WAIT_NS (10 * NS_A_MS)
#define CLIENT_WAIT_MS 10000u
#define QUORUM_WAIT_MS 2000u
#define WRITE_WAIT_MS 1000u
#define HINT_AGE_MS (3600u * 1000)
#define INPUT_BYTES_MAX (64u * 1024 * 1024)

struct ip {
    char text[OS_ADDRESS_BYTES_MAX];
};

static struct ip address_ip(const struct world_node *n) {
    struct ip ip;
    snprintf(ip.text, sizeof ip.text, "10.0.0.%u", n->index + 1);
    return ip;
}

void world_node_init(struct world *w, uint32_t index) {
    ASSERT(index < scenario_machines(w->scenario));
    struct world_node *n = &w->nodes[index];
    *n = (struct world_node){ .index = index, .boot_ns = w->now_ns };
    snprintf(n->address, sizeof n->address, "10.0.0.%u:%u", index + 1, NODE_PORT);
    n->disk = sim_disk_create(sim_random_next(&w->dice));
    sim_disk_trace(n->disk, false);
    sim_disk_set_trace(n->disk, &w->trace);
    n->proxy = index >= scenario_keepers(w->scenario);
    n->out = !n->proxy && index >= w->scenario->nodes;
    n->want = n->proxy             ? CONTROL_WANT_PROXY
              : n->out             ? CONTROL_WANT_JOIN
              : w->scenario->alone ? CONTROL_WANT_ALONE
                                   : CONTROL_WANT_LIST;
    n->names_itself = sim_random_chance(&w->dice, 1, 2);
    if (w->scenario->nodes > 1 || n->proxy)
        n->boot_ns += sim_random_below(&w->dice, START_MS_MAX) * NS_A_MS;
    if (n->out) n->boot_ns = NEVER_NS;
    w->places[index] = sim_net_place(w->net, address_ip(n).text);
}

/* ---- start ---- */

static void fill_node(const struct world *w, struct world_node *n, const struct identity *id) {
    static const char *const syncs[] = {
        [WAL_SYNC_ALWAYS] = "always", [WAL_SYNC_INTERVAL] = "interval", [WAL_SYNC_NEVER] = "never"
    };
    struct world_process *p = n->process;
    struct node *node = &p->node;
    node->os = p->os;
    node->pool = p->pool;
    node->cache = p->cache;
    node->proxy = n->proxy;
    node->shards_count = id->shards;
    views_init(&node->views, membership_create_empty());
    node->node_id = id->node_id;
    node->boot_count = id->boot_count;
    node->version = ATOLL_VERSION;
    node->address = n->address;
    node->data_dir = n->proxy ? "" : WORLD_DATA_DIR;
    node->sync_mode = syncs[w->scenario->sync];
    node->port = NODE_PORT;
    node->started_ms = os_wall_ms(p->os);
    node->value_bytes_max = VALUE_BYTES_MAX;
    node->input_bytes_max = INPUT_BYTES_MAX;
    node->connections_max = 256;
    node->write_wait_ms = WRITE_WAIT_MS;
    node->client_wait_ms = CLIENT_WAIT_MS;
    node->quorum_wait_ms = QUORUM_WAIT_MS;
    node->hint_bytes_max = w->scenario->hint_bytes_max;
    node->hint_age_ms = HINT_AGE_MS;
    node->repair_rate = w->scenario->repair_rate;
    node->sync_interval_ms = w->scenario->interval_ms;
    node->links_slow = w->scenario->seed % 4 == 3; /* no dice: old seeds stay what they are */
    uint32_t cursors_start = 0;
    os_entropy(p->os, &cursors_start, sizeof cursors_start);
    scan_cursors_init(&node->cursors, cursors_start);
    slow_log_init(&node->slow, NODE_SLOW_OFF);
}

static void build(struct world *w, struct world_node *n, const struct identity *id) {
    struct world_process *p = n->process;
    const uint32_t threads[OS_JOB_KINDS] = {
        [OS_JOB_SYNC] = 2 * id->shards,
        [OS_JOB_READ] = IO_THREADS,
        [OS_JOB_BACKGROUND] = BACKGROUND_THREADS,
    };
    p->pool = os_pool_create(p->os, threads);
    p->cache = cache_create(w->scenario->cache_bytes);
    rate_limit_init(&p->rate_limit, p->os, 0);
    fill_node(w, n, id);
}

static STATUS open_shard(const struct world *w, const struct world_node *n, uint16_t shard) {
    struct world_process *p = n->process;
    if (n->proxy) return shard_open(p->node.shards[shard], NULL);
    char path[OS_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/shard-%02u", WORLD_DATA_DIR, (unsigned)shard);
    struct engine_options o = engine_options_default();
    o.os = p->os;
    o.pool = p->pool;
    o.cache = p->cache;
    o.rate_limit = &p->rate_limit;
    o.sync = w->scenario->sync;
    o.dir = path;
    o.memtable_bytes = w->scenario->memtable_bytes;
    o.wal_segment_bytes = w->scenario->segment_bytes;
    o.level1_bytes = 4 * (uint64_t)w->scenario->memtable_bytes;
    o.table_bytes = w->scenario->memtable_bytes;
    return shard_open(p->node.shards[shard], &o);
}

/* A proxy has no directory, so it is nobody. */
static STATUS open_directory(const struct world *w, const struct world_node *n,
                             struct identity *ret_id) {
    struct world_process *p = n->process;
    const uint32_t shards = w->scenario->shards;
    if (n->proxy) {
        *ret_id = (struct identity){ .shards = shards };
        return status_of(ST_OK);
    }
    TRY(os_dir_create(p->os, WORLD_DATA_DIR));
    TRY(os_file_lock(p->os, WORLD_DATA_DIR "/LOCK", &p->lock));
    return identity_open(p->os, WORLD_DATA_DIR, shards, shards, ret_id);
}

static STATUS boot(struct world *w, struct world_node *n) {
    struct world_process *p = n->process;
    struct identity id;
    TRY(open_directory(w, n, &id));
    build(w, n, &id);
    for (uint16_t i = 0; i < id.shards; i++) {
        p->wake_ns[i] = w->now_ns;
        TRY(shard_create(&p->node, i, &p->node.shards[i]));
    }
    TRY(world_control_open(w, n, &id));
    for (uint16_t i = 0; i < id.shards; i++) TRY(open_shard(w, n, i));
    for (uint16_t i = 0; i < id.shards; i++) TRY(shard_listen(p->node.shards[i], n->address));
    node_control_begin(p->node.control);
    atomic_store(&p->node.ready, true);
    return status_of(ST_OK);
}

void world_set_clocks(struct world *w, struct world_node *n) {
    if (n->state == NODE_DOWN) return;
    ASSERT(n->process != NULL);
    sim_os_now(n->process->os, w->now_ns);
    sim_os_set_drift_ppm(n->process->os, n->drift_ppm);
    sim_os_set_wall_ms(n->process->os,
                       (uint64_t)((int64_t)(SIM_WALL_START_MS + w->now_ns / NS_A_MS) + n->skew_ms));
}

/* The process is no more; what the kernel and the disk keep is decided by the caller. */
static void forget(struct world *w, struct world_node *n, enum sim_net_crash_style style) {
    ASSERT(n->process != NULL);
    sim_net_crash(w->net, n->process->os, style);
    sim_os_forget(n->process->os);
    os_destroy(n->process->os);
    n->process = NULL;
    n->state = NODE_DOWN;
    n->resume_ns = 0;
    n->has_wish = false;
    n->wish_leader = 0;
}

static void replace_disk(struct world *w, struct world_node *n, struct sim_disk *disk) {
    ASSERT(n->state == NODE_DOWN);
    ASSERT(n->process == NULL);
    (void)w;
    sim_disk_destroy(n->disk);
    n->disk = disk;
}

/* It could not start: what now? */
static void boot_refused(struct world *w, struct world_node *n, struct status st,
                         uint64_t reads_failed) {
    world_note(w, "node %u cannot start: %s", n->index + 1, status_name(st));
    forget(w, n, SIM_NET_CRASH_PROCESS);
    n->boot_ns = w->now_ns + RETRY_NS;
    /* A disk with a sector that cannot be read is replaced; others are tried again. */
    const bool is_spoiled = sim_disk_is_spoiled(n->disk);
    const bool unread = sim_disk_faults(n->disk).reads_failed > reads_failed && !is_spoiled;
    if (st.code == ST_FULL || unread || (st.code == ST_IO && !is_spoiled)) return;
    if (!n->suspect && !n->rotten)
        findings_add(&w->findings,
                     "at %llu ms node %u refused its storage (%s), undamaged as it is",
                     (unsigned long long)(w->now_ns / NS_A_MS), n->index + 1, status_name(st));
    world_wipe(w, n, w->now_ns + RETRY_NS);
}

/* It called os_die. */
static void process_died(struct world *w, struct world_node *n) {
    world_note(w, "node %u ended itself: %s", n->index + 1, w->died);
    if (!n->may_die)
        findings_add(&w->findings, "at %llu ms node %u ended itself without cause: %s",
                     (unsigned long long)(w->now_ns / NS_A_MS), n->index + 1, w->died);
    w->died[0] = '\0';
    const uint64_t down_ms = 100 + sim_random_below(&w->dice, w->scenario->down_ms_max);
    world_crash(w, n, false, w->now_ns + down_ms * NS_A_MS);
}

/* Run code of a node; true unless it ended itself, which `process_died` has then seen to. */
#define GUARDED(w, n, statement)        \
    do {                                \
        (w)->running = (n);             \
        if (setjmp((w)->escape) == 0) { \
            statement;                  \
        }                               \
        (w)->running = NULL;            \
        if ((w)->died[0] != '\0') {     \
            process_died((w), (n));     \
            return;                     \
        }                               \
    } while (0)

void world_boot(struct world *w, struct world_node *n) {
    ASSERT(n->state == NODE_DOWN);
    ASSERT(n->process == NULL);
    if (n->retired) world_renew(w, n);
    n->process = mem_alloc_zeroed(sizeof *n->process);
    n->process->os = sim_os_create(sim_random_next(&w->dice), n->disk);
    n->state = NODE_UP;
    n->boot_ns = NEVER_NS;
    n->boots++;
    sim_os_set_trace(n->process->os, &w->trace);
    sim_os_drive(n->process->os, w->now_ns);
    const uint32_t place = sim_net_attach(w->net, n->process->os, address_ip(n).text);
    ASSERT(place == w->places[n->index]);
    world_set_clocks(w, n);
    const uint64_t reads_failed = sim_disk_faults(n->disk).reads_failed;
    struct status st = status_of(ST_IO);
    GUARDED(w, n, st = boot(w, n));
    if (status_ok(st) && n->refused)
        world_control_refused(w, n);
    else if (status_ok(st))
        world_note(w, "node %u is up, start %llu", n->index + 1, (unsigned long long)n->boots);
    else
        boot_refused(w, n, st, reads_failed);
}

/* ---- end ---- */

void world_crash(struct world *w, struct world_node *n, bool power_lost, uint64_t boot_ns) {
    if (n->state == NODE_DOWN) return;
    world_note(w, "node %u %s", n->index + 1, power_lost ? "loses power" : "is killed");
    struct sim_disk *disk = n->disk;
    if (power_lost) {
        disk = sim_disk_crash(n->disk, SIM_CRASH_SEEDED, sim_random_next(&w->dice));
        /* Nothing was promised about what was not synced. */
        if (w->scenario->sync != WAL_SYNC_ALWAYS && !n->proxy) history_loss(&w->history, n->index);
    }
    forget(w, n, power_lost ? SIM_NET_CRASH_POWER : SIM_NET_CRASH_PROCESS);
    if (disk != n->disk) replace_disk(w, n, disk);
    /* What it acknowledged since a write went astray may not be where it will look. */
    if (n->astray) history_loss(&w->history, n->index);
    /* Faults that were to come go with the old disk. */
    if (power_lost && !n->suspect) n->may_die = false;
    n->boot_ns = n->out ? NEVER_NS : boot_ns;
}

void world_renew(struct world *w, struct world_node *n) {
    ASSERT(n->state == NODE_DOWN);
    world_note(w, "node %u gets an empty disk", n->index + 1);
    replace_disk(w, n, sim_disk_create(sim_random_next(&w->dice)));
    sim_disk_trace(n->disk, false);
    sim_disk_set_trace(n->disk, &w->trace);
    n->suspect = false;
    n->astray = false;
    n->rotten = false;
    n->may_die = false;
    n->refused = false;
    n->retired = false;
    /* What others think that it still holds. */
    if (n->ghost) history_loss(&w->history, n->index);
    n->ghost = false;
    clients_doubt(w->clients, n->index, false);
    n->member = 0;
    n->epoch = 0;
    /* Who was the only one begins anew. */
    if (scenario_keepers(w->scenario) == 1) world_control_forget(w);
}

void world_wipe(struct world *w, struct world_node *n, uint64_t boot_ns) {
    world_crash(w, n, false, boot_ns);
    world_renew(w, n);
    history_loss(&w->history, n->index);
    n->boot_ns = n->out ? NEVER_NS : boot_ns;
}

void world_stop(struct world *w, struct world_node *n, uint64_t boot_ns) {
    if (n->out) n->boot_ns = NEVER_NS; /* it may be stopping already, to start again */
    if (n->state != NODE_UP) return;
    ASSERT(n->process != NULL);
    world_note(w, "node %u is told to stop", n->index + 1);
    n->state = NODE_STOPPING;
    if (!n->out) n->boot_ns = boot_ns;
    struct node *node = &n->process->node;
    atomic_store(&node->stopping, true);
    atomic_store(&node->ready, false);
    for (uint32_t i = 0; i < node->shards_count; i++) {
        shard_stop(node->shards[i]);
        n->process->wake_ns[i] = w->now_ns;
    }
}

/* Every shard has ended: tear down as server/serve.c does. */
static void close_all(struct world_node *n) {
    struct world_process *p = n->process;
    for (uint32_t i = 0; i < p->node.shards_count; i++) {
        ASSERT(p->node.shards[i]->engine == NULL);
        shard_destroy(p->node.shards[i]);
    }
    node_control_destroy(p->node.control);
    os_pool_destroy(p->pool);
    cache_destroy(p->cache);
    rate_limit_deinit(&p->rate_limit);
    scan_cursors_deinit(&p->node.cursors);
    slow_log_deinit(&p->node.slow);
    views_deinit(&p->node.views);
    os_file_close(&p->lock);
    os_destroy(p->os);
    mem_free(p);
    n->process = NULL;
    n->state = NODE_DOWN;
}

/* ---- turns ---- */

static uint64_t shard_due_ns(const struct world_process *p, uint32_t shard) {
    if (p->ended[shard]) return NEVER_NS;
    uint64_t due_ns = sim_loop_due_ns(p->node.shards[shard]->loop);
    if (p->wake_ns[shard] < due_ns) due_ns = p->wake_ns[shard];
    return due_ns < p->ready_ns[shard] ? p->ready_ns[shard] : due_ns;
}

uint64_t world_node_due_ns(const struct world_node *n) {
    if (n->state == NODE_DOWN) return n->boot_ns;
    if (n->resume_ns != 0) return n->resume_ns;
    uint64_t due_ns = NEVER_NS;
    for (uint32_t i = 0; i < n->process->node.shards_count; i++) {
        const uint64_t shard_ns = shard_due_ns(n->process, i);
        if (shard_ns < due_ns) due_ns = shard_ns;
    }
    return due_ns;
}

static void shard_turn_now(struct world *w, struct world_node *n, uint32_t shard) {
    struct world_process *p = n->process;
    struct shard *s = p->node.shards[shard];
    const uint64_t head[2] = { w->now_ns, n->index << 8 | shard };
    sim_trace_add(&w->trace, head, sizeof head);
    w->turns++;
    sim_os_now(p->os, w->now_ns);
    if (shard == 0 && n->state == NODE_UP) world_control_wish(n);
    shard_turn(s, s->events, os_loop_wait(s->loop, 0, s->events, SHARD_EVENTS_MAX));
    p->ended[shard] = shard_is_over(s);
    if (p->ended[shard]) shard_close(s);
    p->ready_ns[shard] = w->now_ns + TURN_NS_MIN + sim_random_below(&w->dice, TURN_NS_SPREAD);
    const uint32_t wait_ms = p->ended[shard] ? UINT32_MAX : shard_wait_ms(s);
    p->wake_ns[shard] = wait_ms == UINT32_MAX ? NEVER_NS : w->now_ns + wait_ms * NS_A_MS;
    /* Whether it is drained is asked for again and again. */
    const uint64_t soon_ns = w->now_ns + STOPPING_WAIT_NS;
    if (n->state == NODE_STOPPING && p->wake_ns[shard] > soon_ns) p->wake_ns[shard] = soon_ns;
    if (!n->astray && n->suspect && sim_disk_faults(n->disk).writes_misdirected > 0) {
        n->astray = true;
        history_loss(&w->history, n->index);
    }
}

static bool has_ended(const struct world_process *p) {
    for (uint32_t i = 0; i < p->node.shards_count; i++) {
        if (!p->ended[i]) return false;
    }
    return true;
}

void world_node_turn(struct world *w, struct world_node *n) {
    if (n->state == NODE_DOWN) {
        if (n->boot_ns <= w->now_ns) world_boot(w, n);
        return;
    }
    if (n->resume_ns > w->now_ns) return;
    n->resume_ns = 0;
    for (uint32_t i = 0; i < n->process->node.shards_count; i++) {
        if (shard_due_ns(n->process, i) > w->now_ns) continue;
        GUARDED(w, n, shard_turn_now(w, n, i));
        if (i == 0) world_control_look(w, n);
        if (n->refused) world_control_refused(w, n);
    }
    if (n->state != NODE_STOPPING || !has_ended(n->process)) return;
    GUARDED(w, n, close_all(n));
    world_note(w, "node %u has stopped", n->index + 1);
}
