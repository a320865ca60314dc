/* tidy: integration of src/shard/walk.c, which needs an engine, with the simulated os. */
#include "shard/walk.h"

#include "base/assert.h"
#include "harness.h"
#include "sim/os_sim.h"

#include <stdio.h>

#define WALK_KEYS 2500u
#define WALK_DELETED_EACH 5u

/* An engine on a simulated disk that keeps all in memory. */
struct walk_world {
    struct sim_disk *disk;
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    struct cache *cache;
    struct engine *engine;
};

static struct bytes key_ikey(uint32_t key, uint8_t *space) {
    char text[16];
    const int len = snprintf(text, sizeof text, "k%05u", key);
    return ikey_make(0, bytes_of(text, (size_t)len), space);
}

static void turn(struct walk_world *w) {
    struct os_event events[16];
    const uint32_t count = os_loop_wait(w->loop, 0, events, 16);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == OS_EVENT_JOB) events[i].job->done(events[i].job);
    }
    engine_turn(w->engine);
}

static void world_open(struct walk_world *w) {
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    w->disk = sim_disk_create(1);
    w->os = sim_os_create(1, w->disk);
    w->loop = os_loop_create(w->os);
    w->pool = os_pool_create(w->os, threads);
    w->cache = cache_create(1u << 14);
    struct engine_options o = engine_options_default();
    o.os = w->os;
    o.loop = w->loop;
    o.pool = w->pool;
    o.cache = w->cache;
    o.dir = "/data/shard";
    CHECK_OK(engine_open(&o, &w->engine));
    for (uint32_t key = 0; key < WALK_KEYS; key++) {
        if (key % 100 == 0) turn(w);
        uint8_t space[32];
        uint64_t sequence;
        const bool deleted = key % WALK_DELETED_EACH == 0;
        const struct record r = { .ikey = key_ikey(key, space),
                                  .ballot = { key + 1, 1, 1 },
                                  .flags = deleted ? RECORD_TOMBSTONE : 0,
                                  .value = deleted ? BYTES_NONE : BYTES_LIT("value") };
        CHECK_OK(engine_put(w->engine, &r, &sequence));
    }
}

static void world_close(struct walk_world *w) {
    engine_stop(w->engine, false);
    while (!engine_is_idle(w->engine)) turn(w);
    engine_close(w->engine);
    os_pool_destroy(w->pool);
    os_loop_destroy(w->loop);
    cache_destroy(w->cache);
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

/* Page after page with one walk, as a scan asks for them; returns how many there were. Every
 * key that is wanted comes once, in order. */
static uint32_t scan_all(struct walk_world *w, uint8_t flags, uint32_t rows_max) {
    static uint8_t ikey_space[IKEY_BYTES_MAX];
    struct request q = { .op = OP_SCAN, .flags = flags, .rows_max = rows_max };
    struct walk *walk = walk_create(1);
    uint8_t last[32];
    uint32_t key = 0;
    uint32_t pages = 0;
    for (bool more = true; more; pages++) {
        struct table_fetch fetch;
        struct status st = status_of(ST_BUSY);
        while (st.code == ST_BUSY)
            st = walk_slice(walk, w->engine, w->cache, &q, 1, ikey_space, &fetch);
        CHECK_OK(st);
        walk_let_go(walk, w->cache);
        for (uint32_t i = 0; i < walk->page.count; i++, key++) {
            const struct row *row = &walk->page.rows[i];
            uint8_t space[32];
            if ((flags & REQUEST_ABSENT) == 0 && key % WALK_DELETED_EACH == 0) key++;
            CHECK_BYTES(row->key, ikey_key(key_ikey(key, space)));
            CHECK_EQ(row->absent, key % WALK_DELETED_EACH == 0);
            CHECK_EQ(row->version.stamp, key + 1);
            CHECK_EQ(row->value.len > 0, (flags & REQUEST_NO_VALUE) == 0 && !row->absent);
        }
        more = walk->page.more;
        ASSERT(walk->page.last.len <= sizeof last);
        memcpy(last, walk->page.last.ptr, walk->page.last.len);
        q.start = bytes_of(last, walk->page.last.len);
        q.start_exclusive = true;
        walk_next_page(walk);
    }
    CHECK_EQ(key, WALK_KEYS);
    walk_destroy(walk);
    return pages;
}

/* A walk that is used again for the next page forgets the one before. */
TEST(walk, pages_follow_each_other) {
    struct walk_world w;
    world_open(&w);
    CHECK_EQ(scan_all(&w, REQUEST_NO_VALUE, ROW_PAGE_ROWS_MAX), 3);
    CHECK_EQ(scan_all(&w, REQUEST_NO_VALUE | REQUEST_ABSENT, ROW_PAGE_ROWS_MAX), 3);
    CHECK_EQ(scan_all(&w, 0, 7), (WALK_KEYS + 6) / 7);
    world_close(&w);
}
