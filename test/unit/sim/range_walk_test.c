/* tidy: integration of src/shard/range_walk.c, which needs an engine, with the simulated os. */
#include "shard/range_walk.h"

#include "base/mem.h"
#include "harness.h"
#include "shard/shard.h"
#include "sim/os_sim.h"

#include <stdio.h>

#define WALK_KEYS 2000u
#define WALK_SLICE 37u

/* Just as much of a shard as a walk touches: an engine on a simulated disk. */
struct walk_world {
    struct sim_disk *disk;
    struct node node;
    struct shard *shard;
};

static struct bytes key_ikey(uint32_t key, uint8_t *space) {
    char text[16];
    const int len = snprintf(text, sizeof text, "k%05u", key);
    return ikey_make(0, bytes_of(text, (size_t)len), space);
}

static void turn(struct walk_world *w) {
    struct os_event events[16];
    const uint32_t count = os_loop_wait(w->shard->loop, 0, events, 16);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == OS_EVENT_JOB) events[i].job->done(events[i].job);
    }
    engine_turn(w->shard->engine);
}

static void settle(struct walk_world *w) {
    for (uint32_t i = 0; i < 10000; i++) {
        turn(w);
        if (!engine_is_busy(w->shard->engine)) return;
    }
    CHECK(false);
}

/* All keys lie in tables; the cache has room for almost no block. */
static void world_open(struct walk_world *w) {
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    memset(w, 0, sizeof *w);
    w->disk = sim_disk_create(1);
    struct shard *s = w->shard = mem_alloc_aligned(64, sizeof *s);
    memset(s, 0, sizeof *s);
    s->node = &w->node;
    s->os = w->node.os = sim_os_create(1, w->disk);
    s->loop = os_loop_create(s->os);
    w->node.pool = os_pool_create(s->os, threads);
    w->node.cache = cache_create(1u << 14);
    struct engine_options o = engine_options_default();
    o.os = s->os;
    o.loop = s->loop;
    o.pool = w->node.pool;
    o.cache = w->node.cache;
    o.dir = "/data/shard";
    CHECK_OK(engine_open(&o, &s->engine));
    for (uint32_t key = 0; key < WALK_KEYS; key++) {
        if (key % 100 == 0) settle(w);
        uint8_t space[32];
        uint64_t sequence;
        const struct record r = { .ikey = key_ikey(key, space),
                                  .ballot = { key + 1, 1, 1 },
                                  .value = BYTES_LIT("a value of some length") };
        CHECK_OK(engine_put(s->engine, &r, &sequence));
    }
    engine_flush(s->engine);
    settle(w);
}

static void world_close(struct walk_world *w) {
    struct shard *s = w->shard;
    engine_stop(s->engine, false);
    while (!engine_is_idle(s->engine)) turn(w);
    engine_close(s->engine);
    os_pool_destroy(w->node.pool);
    os_loop_destroy(s->loop);
    cache_destroy(w->node.cache);
    os_destroy(s->os);
    sim_disk_destroy(w->disk);
    mem_free(s);
}

/* One slice; returns how many records it went past, which must be those from `first` on. */
static uint32_t slice(struct walk_world *w, struct range_walk *walk, uint32_t first,
                      bool *ret_ended, uint32_t *ret_waits) {
    uint32_t count = 0;
    struct status st = range_walk_open(walk);
    while (status_ok(st) && count < WALK_SLICE) {
        uint8_t space[32];
        const struct record *r = range_walk_record(walk);
        *ret_ended = r == NULL;
        if (r == NULL) break;
        CHECK(bytes_equal(r->ikey, key_ikey(first + count, space)));
        st = range_walk_next(walk);
        count++;
    }
    CHECK(status_ok(st) || st.code == ST_WAIT);
    if (status_ok(st)) range_walk_pause(walk);
    while (walk->fetching) {
        (*ret_waits)++;
        turn(w);
    }
    return count;
}

/* Slices that stop for blocks see every record once and in order, with a cache that
 * keeps nothing. */
TEST(range_walk, sees_each_record_once_across_slices_and_reads) {
    struct walk_world w;
    struct range_walk walk;
    uint32_t seen = 0, waits = 0;
    bool ended = false;
    world_open(&w);
    range_walk_init(&walk, w.shard);
    range_walk_seek(&walk, BYTES_NONE, false);
    while (!ended) seen += slice(&w, &walk, seen, &ended, &waits);
    CHECK_EQ(seen, WALK_KEYS);
    CHECK(waits > 10);
    range_walk_deinit(&walk);
    world_close(&w);
}

/* A seek begins at the key or behind it, and the key gone past last is told. */
TEST(range_walk, begins_at_or_behind_a_key) {
    struct walk_world w;
    struct range_walk walk;
    uint8_t space[32], other[32];
    uint32_t waits = 0;
    bool ended = false;
    world_open(&w);
    range_walk_init(&walk, w.shard);
    for (uint32_t behind = 0; behind < 2; behind++) {
        range_walk_seek(&walk, key_ikey(700, space), behind == 1);
        CHECK_EQ(range_walk_last(&walk).len, 0);
        uint32_t count = 0;
        while (count == 0) count = slice(&w, &walk, 700 + behind, &ended, &waits);
        CHECK(bytes_equal(range_walk_last(&walk), key_ikey(700 + behind + count - 1, other)));
    }
    CHECK(!ended);
    range_walk_deinit(&walk);
    world_close(&w);
}

/* What is put between two slices behind the place is seen; before it is not. */
TEST(range_walk, sees_what_is_put_ahead_of_it) {
    struct walk_world w;
    struct range_walk walk;
    uint8_t space[32];
    uint32_t waits = 0, count = 0;
    uint64_t sequence;
    bool ended = false;
    world_open(&w);
    range_walk_init(&walk, w.shard);
    range_walk_seek(&walk, key_ikey(WALK_KEYS - 10, space), false);
    while (count < 10) count += slice(&w, &walk, WALK_KEYS - 10 + count, &ended, &waits);
    struct record r = { .ikey = key_ikey(WALK_KEYS, space), .ballot = { WALK_KEYS + 1, 1, 1 } };
    CHECK_OK(engine_put(w.shard->engine, &r, &sequence));
    r.ikey = key_ikey(3, space);
    r.ballot.stamp++;
    CHECK_OK(engine_put(w.shard->engine, &r, &sequence));
    ended = false;
    while (!ended) count += slice(&w, &walk, WALK_KEYS - 10 + count, &ended, &waits);
    CHECK_EQ(count, 11);
    range_walk_deinit(&walk);
    world_close(&w);
}
