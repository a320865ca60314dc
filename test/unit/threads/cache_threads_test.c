/* The cache under several threads, with the locks of Linux: every block read is the one
 * asked for, and the counters add up. (tidy: integration, because tests of storage run
 * on the simulator, which has no threads.) */
#include "storage/cache.h"

#include "base/mem.h"
#include "harness.h"

#include <pthread.h>

static uint64_t random_next(uint64_t *state) {
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint8_t byte_of(uint64_t table, uint64_t offset) {
    return (uint8_t)(table * 31 + offset * 7 + (offset >> 8));
}

static struct cache_block put(struct cache *c, uint64_t table, uint64_t offset, size_t len) {
    uint8_t *p = mem_alloc(len);
    memset(p, byte_of(table, offset), len);
    struct cache_block block = { 0 };
    cache_insert(c, table, offset, p, len, &block);
    return block;
}

static bool is_right(const struct cache_block *block, uint64_t table, uint64_t offset) {
    if (block->bytes.len == 0) return false;
    const uint8_t byte = byte_of(table, offset);
    return block->bytes.ptr[0] == byte && block->bytes.ptr[block->bytes.len - 1] == byte;
}

struct worker {
    struct cache *cache;
    struct cache_hint *hints;
    uint64_t seed;
    uint64_t wrong;
};

#define WORKER_KEYS 400u
#define WORKERS 4u

static void *work(void *user) {
    struct worker *w = user;
    struct cache_block held[4] = { 0 };
    for (uint32_t i = 0; i < 30000; i++) {
        const uint64_t offset = random_next(&w->seed) % WORKER_KEYS;
        struct cache_block *block = &held[i % 4];
        cache_release(w->cache, block);
        const bool hinted = random_next(&w->seed) % 2 == 0;
        const struct status s =
            hinted ? cache_get_hinted(w->cache, 1, offset, &w->hints[offset], block)
                   : cache_get(w->cache, 1, offset, block);
        if (!status_ok(s)) *block = put(w->cache, 1, offset, 16 + offset);
        if (!is_right(block, 1, offset) || block->bytes.len != 16 + offset) w->wrong++;
        if (i % 64 == 0) cache_reserve(w->cache, 100);
        if (i % 64 == 32) cache_reserve(w->cache, -100);
    }
    for (uint32_t i = 0; i < 4; i++) cache_release(w->cache, &held[i]);
    return NULL;
}

/* Several threads, more blocks than fit: every block read is the one asked for. */
TEST(cache_threads, read_the_blocks_they_ask_for) {
    static struct cache_hint hints[WORKER_KEYS];
    struct cache *c = cache_create(WORKER_KEYS * 150);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .cache = c, .hints = hints, .seed = test_seed() + i };
        CHECK_EQ(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < WORKERS; i++) CHECK_EQ(workers[i].wrong, 0);
    const struct cache_stats stats = cache_stats(c);
    CHECK(stats.evictions > 0);
    CHECK(stats.bytes_used + stats.bytes_reserved <= stats.bytes_max);
    CHECK_EQ(stats.hits + stats.misses, WORKERS * 30000);
    CHECK(cache_check(c));
    if (stats.bytes_reserved > 0) cache_reserve(c, -(int64_t)stats.bytes_reserved);
    cache_destroy(c);
    memset(hints, 0, sizeof hints);
}
