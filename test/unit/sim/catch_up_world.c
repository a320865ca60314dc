/* The nodes, as sim/world_node.c builds them, and the commands of a change. */
#include "catch_up_world.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/repair.h"
#include "shard/replica.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_A_MS UINT64_C(1000000)
#define TURN_NS 20000u
#define PORT 7000u
#define QUORUM_WAIT_MS 2000u

static const char *const addresses[CATCH_UP_NODES] = { "10.0.0.1:7000", "10.0.0.2:7000",
                                                       "10.0.0.3:7000" };

static void be_quiet(enum log_level level, const char *line) {
    if (getenv("CATCH_UP_LOG") != NULL) fprintf(stderr, "%d %s\n", (int)level, line);
}

/* ---- metadata ---- */

void catch_up_world_apply(struct catch_up_world *w, struct metadata_command *c) {
    memset(c->cluster.bytes, 7, sizeof c->cluster.bytes);
    c->proposal = (struct proposal){ .node = 1, .sequence = ++w->sequence };
    CHECK(metadata_result_ok(metadata_apply(w->metadata, c)));
    CHECK(metadata_check(w->metadata));
}

static void bootstrap(struct catch_up_world *w) {
    struct metadata_command c = {
        .kind = METADATA_BOOTSTRAP,
        .replicas = 2,
        .first_count = w->gains == CATCH_UP_NEW ? 2 : 3,
        .settings = { .replication = { .replicas = 2, .write_quorum = 2, .read_quorum = 1 } },
    };
    for (uint32_t i = 0; i < c.first_count; i++)
        c.first[i] = (struct member_wish){ .id = i + 1,
                                           .weight = 1,
                                           .address = bytes_of_string(addresses[i]) };
    catch_up_world_apply(w, &c);
    struct metadata_command add = {
        .kind = METADATA_MEMBER_ADD,
        .member = { .id = 3, .weight = 1, .address = bytes_of_string(addresses[CATCH_UP_NEW]) },
    };
    struct metadata_command start = { .kind = METADATA_MEMBER_BOOT,
                                      .member = { .id = 3, .boot = 1 } };
    if (w->gains != CATCH_UP_NEW) return;
    catch_up_world_apply(w, &add);
    catch_up_world_apply(w, &start);
}

/* All slots of the running change that are in a phase go to the next one. */
static void advance(struct catch_up_world *w, enum metadata_kind kind, enum slot_phase from) {
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    struct metadata_command c = { .kind = kind, .change = w->metadata->change.id };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (w->metadata->slots.phases[slot] != from) continue;
        const uint32_t last = c.ranges.count * 4;
        const bool extends = c.ranges.count > 0 && get_u16_le(packed + last - 2) + 1u == slot;
        if (!extends) put_u16_le(packed + 4 * c.ranges.count++, (uint16_t)slot);
        put_u16_le(packed + 4 * c.ranges.count - 2, (uint16_t)slot);
    }
    CHECK(c.ranges.count > 0);
    c.ranges.packed = bytes_of(packed, 4 * (size_t)c.ranges.count);
    catch_up_world_apply(w, &c);
}

void catch_up_world_joint(struct catch_up_world *w) {
    struct metadata_command leave = { .kind = METADATA_MEMBER_LEAVE, .member = { .id = 3 } };
    struct metadata_command c = { .kind = METADATA_CHANGE_BEGIN };
    if (w->gains == CATCH_UP_OLD) catch_up_world_apply(w, &leave);
    metadata_inputs(w->metadata, &c.target);
    catch_up_world_apply(w, &c);
    advance(w, METADATA_SLOTS_JOINT, SLOT_OLD);
}

void catch_up_world_new(struct catch_up_world *w) {
    advance(w, METADATA_SLOTS_NEW, SLOT_JOINT);
}

static struct membership *view_of(struct catch_up_world *w, uint32_t node) {
    struct membership *m = NULL;
    CHECK_OK(membership_from_metadata(w->metadata, node + 1, w->nodes[node].before, &m));
    membership_destroy(w->nodes[node].before);
    w->nodes[node].before = membership_clone(m);
    return m;
}

void catch_up_world_publish(struct catch_up_world *w, uint32_t node) {
    struct catch_up_node *n = &w->nodes[node];
    node_publish_view(&n->node, view_of(w, node));
    n->wake_ns = w->now_ns;
}

void catch_up_world_publish_all(struct catch_up_world *w) {
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
        if (w->nodes[i].shard != NULL) catch_up_world_publish(w, i);
    }
}

/* ---- nodes ---- */

static void set_clock(struct catch_up_world *w, struct catch_up_node *n) {
    sim_os_now(n->os, w->now_ns);
    sim_os_set_wall_ms(n->os, SIM_WALL_START_MS + w->now_ns / NS_A_MS);
}

static void fill_node(struct catch_up_world *w, uint32_t index) {
    struct catch_up_node *n = &w->nodes[index];
    n->node = (struct node){
        .os = n->os,
        .pool = n->pool,
        .cache = n->cache,
        .shards_count = 1,
        .node_id = 100 + index,
        .boot_count = ++n->boots,
        .version = "test",
        .address = addresses[index],
        .data_dir = "data",
        .sync_mode = "always",
        .port = PORT,
        .value_bytes_max = VALUE_BYTES_MAX,
        .input_bytes_max = 1u << 20,
        .connections_max = 16,
        .write_wait_ms = 1000,
        .client_wait_ms = 1000,
        .quorum_wait_ms = QUORUM_WAIT_MS,
        .hint_age_ms = 3600 * 1000,
        .repair_rate = 1000000,
    };
    atomic_store(&n->node.move_rate, n->move_rate);
    atomic_store(&n->node.move_paused, n->move_paused);
    views_init(&n->node.views, view_of(w, index));
    scan_cursors_init(&n->node.cursors, 0);
    slow_log_init(&n->node.slow, NODE_SLOW_OFF);
}

void catch_up_world_boot(struct catch_up_world *w, uint32_t node) {
    static const uint32_t threads[OS_JOB_KINDS] = { 2, 2, 1 };
    struct catch_up_node *n = &w->nodes[node];
    char ip[OS_ADDRESS_BYTES_MAX];
    CHECK(n->shard == NULL);
    n->os = sim_os_create(node + 1, n->disk);
    sim_os_drive(n->os, w->now_ns);
    snprintf(ip, sizeof ip, "10.0.0.%u", node + 1);
    sim_net_attach(w->net, n->os, ip);
    set_clock(w, n);
    n->pool = os_pool_create(n->os, threads);
    n->cache = cache_create(8u << 20);
    fill_node(w, node);
    CHECK_OK(os_dir_create(n->os, "data"));
    struct engine_options o = engine_options_default();
    o.os = n->os;
    o.pool = n->pool;
    o.cache = n->cache;
    o.dir = "data/shard-00";
    o.memtable_bytes = 1u << 20;
    CHECK_OK(shard_create(&n->node, 0, &n->node.shards[0]));
    n->shard = n->node.shards[0];
    CHECK_OK(shard_open(n->shard, &o));
    CHECK_OK(shard_listen(n->shard, addresses[node]));
    atomic_store(&n->node.ready, true);
    n->wake_ns = w->now_ns;
}

/* What it had in memory is lost and leaked. */
void catch_up_world_crash(struct catch_up_world *w, uint32_t node) {
    struct catch_up_node *n = &w->nodes[node];
    CHECK(n->shard != NULL);
    sim_net_crash(w->net, n->os, SIM_NET_CRASH_PROCESS);
    sim_os_forget(n->os);
    os_destroy(n->os);
    n->shard = NULL;
}

struct shard *catch_up_shard(struct catch_up_world *w, uint32_t node) {
    return w->nodes[node].shard;
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t due_of(const struct catch_up_node *n) {
    return n->shard == NULL ? UINT64_MAX : earlier(sim_loop_due_ns(n->shard->loop), n->wake_ns);
}

static void turn(struct catch_up_world *w, struct catch_up_node *n) {
    struct shard *s = n->shard;
    set_clock(w, n);
    shard_turn(s, s->events, os_loop_wait(s->loop, 0, s->events, SHARD_EVENTS_MAX));
    const uint32_t wait_ms = shard_wait_ms(s);
    n->wake_ns = wait_ms == UINT32_MAX ? UINT64_MAX : w->now_ns + wait_ms * NS_A_MS;
}

void catch_up_world_pass_ms(struct catch_up_world *w, uint64_t ms) {
    const uint64_t end_ns = w->now_ns + ms * NS_A_MS;
    while (w->now_ns < end_ns) {
        uint64_t due_ns = sim_net_due_ns(w->net);
        for (uint32_t i = 0; i < CATCH_UP_NODES; i++)
            due_ns = earlier(due_ns, due_of(&w->nodes[i]));
        if (due_ns < w->now_ns + TURN_NS) due_ns = w->now_ns + TURN_NS;
        w->now_ns = earlier(due_ns, end_ns);
        sim_net_advance(w->net, w->now_ns);
        for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
            if (due_of(&w->nodes[i]) <= w->now_ns) turn(w, &w->nodes[i]);
        }
    }
}

bool catch_up_world_wait(struct catch_up_world *w, uint32_t node, uint64_t ms) {
    for (uint64_t i = 0; i < ms; i += 10) {
        if (node_caught_up_epoch(&w->nodes[node].node) == w->metadata->epoch) return true;
        catch_up_world_pass_ms(w, 10);
    }
    return false;
}

static bool all_are_filled(const struct catch_up_world *w) {
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
        if (!w->nodes[i].shard->filled) return false;
    }
    return true;
}

void catch_up_world_open(struct catch_up_world *w, uint32_t gains) {
    *w = (struct catch_up_world){ .net = sim_net_create(1), .now_ns = NS_A_MS, .gains = gains };
    log_set_sink(be_quiet);
    test_may_leak();
    w->metadata = metadata_create();
    bootstrap(w);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
        w->nodes[i].disk = sim_disk_create(i + 1);
        catch_up_world_boot(w, i);
    }
    for (uint32_t i = 0; i < 100 && !all_are_filled(w); i++) catch_up_world_pass_ms(w, 100);
    CHECK(all_are_filled(w));
}

/* Nothing is stopped in order. */
void catch_up_world_close(struct catch_up_world *w) {
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
        if (w->nodes[i].shard != NULL) catch_up_world_crash(w, i);
        membership_destroy(w->nodes[i].before);
        sim_disk_destroy(w->nodes[i].disk);
    }
    sim_net_destroy(w->net);
    metadata_destroy(w->metadata);
    log_set_sink(NULL);
}

/* ---- keys ---- */

static bool is_moved(const struct catch_up_world *w, uint32_t slot, uint32_t from) {
    const struct slot_list *list = &w->metadata->slots.lists[slot];
    const struct slot_list *target = &w->metadata->slots.targets[slot];
    if (w->metadata->slots.phases[slot] == SLOT_SETTLED || target->count == 0) return false;
    if (slot_list_place(list, (uint16_t)w->gains) >= 0) return false;
    if (slot_list_place(target, (uint16_t)w->gains) < 0) return false;
    return slot_list_place(list, (uint16_t)from) >= 0 &&
           slot_list_place(target, (uint16_t)from) < 0;
}

struct bytes catch_up_key(const struct catch_up_world *w, uint32_t from, uint32_t number) {
    static char text[16];
    for (uint32_t i = 0;; i++) {
        const int len = snprintf(text, sizeof text, "k%u", i);
        const struct bytes key = bytes_of(text, (size_t)len);
        if (is_moved(w, crc16_slot(key), from) && number-- == 0) return key;
    }
}

uint64_t catch_up_stamp(const struct catch_up_world *w, uint64_t ago_ms) {
    return hlc_of_ms(SIM_WALL_START_MS + w->now_ns / NS_A_MS - ago_ms);
}

void catch_up_set_floor(struct catch_up_world *w, uint32_t node, uint64_t stamp) {
    struct shard *s = w->nodes[node].shard;
    s->floor_stamp = stamp;
    s->repair->note_stamp = 0; /* no other is on the way */
}

void catch_up_put(struct catch_up_world *w, uint32_t node, struct bytes key, uint64_t stamp,
                  struct bytes value) {
    uint8_t space[32];
    uint64_t sequence = 0;
    struct shard *s = w->nodes[node].shard;
    const struct record r = { .ikey = ikey_make(0, key, space),
                              .ballot = { stamp, 100, 1 },
                              .flags = value.len == 0 ? RECORD_TOMBSTONE : 0,
                              .value = value };
    set_clock(w, &w->nodes[node]);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct status st = engine_put(s->engine, &r, &sequence);
        if (st.code != ST_BUSY) {
            CHECK_OK(st);
            w->nodes[node].wake_ns = w->now_ns;
            return;
        }
        catch_up_world_pass_ms(w, 10);
    }
    CHECK(false);
}

/* What it holds, newest first; a test's keys lie in memory or in blocks that are read here. */
static bool look(struct catch_up_world *w, uint32_t node, struct bytes key, uint64_t *ret_stamp) {
    uint8_t space[32];
    struct engine_read read = { 0 };
    struct engine *e = w->nodes[node].shard->engine;
    set_clock(w, &w->nodes[node]);
    const struct status st = engine_get(e, ikey_make(0, key, space), true, &read);
    const bool found = status_ok(st);
    CHECK(found || st.code == ST_NOT_FOUND);
    *ret_stamp = found ? read.record.ballot.stamp : 0;
    const bool has = found && (read.record.flags & RECORD_TOMBSTONE) == 0;
    engine_read_deinit(e, &read);
    return has;
}

uint64_t catch_up_stamp_at(struct catch_up_world *w, uint32_t node, struct bytes key) {
    uint64_t stamp = 0;
    (void)look(w, node, key, &stamp);
    return stamp;
}

bool catch_up_has(struct catch_up_world *w, uint32_t node, struct bytes key) {
    uint64_t stamp = 0;
    return look(w, node, key, &stamp);
}
