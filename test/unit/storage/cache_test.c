/* The cache gives back what was put in, keeps its budget, keeps what is asked for
 * often through a scan, and never drops what somebody holds. */
#include "storage/cache.h"

#include "base/mem.h"
#include "harness.h"

#define LEN 1000u
#define COST (LEN + CACHE_ENTRY_BYTES)

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

static void put_and_release(struct cache *c, uint64_t table, uint64_t offset) {
    struct cache_block block = put(c, table, offset, LEN);
    cache_release(c, &block);
}

/* Whether it is there; asking counts as a use. */
static bool ask(struct cache *c, uint64_t table, uint64_t offset) {
    struct cache_block block = { 0 };
    if (!status_ok(cache_get(c, table, offset, &block))) return false;
    CHECK(is_right(&block, table, offset));
    cache_release(c, &block);
    return true;
}

TEST(cache, gives_back_what_was_put_in) {
    struct cache *c = cache_create(1 << 20);
    const uint64_t table = cache_table_id(c);
    CHECK(cache_table_id(c) != table);
    CHECK(!ask(c, table, 0));
    put_and_release(c, table, 0);
    CHECK(ask(c, table, 0));
    CHECK(!ask(c, table, 1));
    CHECK(!ask(c, table + 1, 0));
    const struct cache_stats stats = cache_stats(c);
    CHECK_EQ(stats.hits, 1);
    CHECK_EQ(stats.misses, 3);
    CHECK_EQ(stats.blocks, 1);
    CHECK_EQ(stats.bytes_used, COST);
    CHECK(cache_check(c));
    cache_destroy(c);
}

/* The second to insert gets the first one's block. */
TEST(cache, keeps_one_block_per_key) {
    struct cache *c = cache_create(1 << 20);
    struct cache_block a = put(c, 1, 2, LEN);
    struct cache_block b = put(c, 1, 2, LEN);
    CHECK(a.bytes.ptr == b.bytes.ptr);
    CHECK_EQ(cache_stats(c).bytes_used, COST);
    cache_release(c, &a);
    CHECK(a.entry == NULL);
    cache_release(c, &a);
    CHECK(is_right(&b, 1, 2));
    cache_release(c, &b);
    CHECK(cache_check(c));
    cache_destroy(c);
}

/* Blocks and reservations together never pass the budget while none is held. */
TEST(cache, keeps_its_budget) {
    uint64_t seed = test_seed();
    struct cache *c = cache_create(200 * COST);
    int64_t reserved = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        struct cache_block block =
            put(c, 1, random_next(&seed) % 5000, 1 + random_next(&seed) % 3000);
        cache_release(c, &block);
        if (i % 100 == 0) {
            const int64_t more = (int64_t)(random_next(&seed) % (100 * COST)) - reserved;
            cache_reserve(c, more);
            reserved += more;
        }
        const struct cache_stats stats = cache_stats(c);
        CHECK(stats.bytes_used + stats.bytes_reserved <= stats.bytes_max);
        CHECK_EQ(stats.bytes_reserved, reserved);
        CHECK_EQ(stats.bytes_over, 0);
    }
    CHECK(cache_check(c));
    CHECK(cache_stats(c).evictions > 0);
    CHECK(cache_stats(c).bytes_used + (uint64_t)reserved > 180 * COST);
    cache_reserve(c, (int64_t)(200 * COST) - reserved);
    CHECK_EQ(cache_stats(c).blocks, 0);
    cache_reserve(c, -(int64_t)(200 * COST));
    cache_destroy(c);
}

/* What is held stays findable whatever the budget; the excess shows, and goes when it
 * is released. */
TEST(cache, never_drops_what_is_held) {
    const size_t budgets[] = { 0, 1, 10 * COST };
    for (uint32_t b = 0; b < 3; b++) {
        struct cache *c = cache_create(budgets[b]);
        struct cache_block held[100];
        for (uint32_t i = 0; i < 100; i++) held[i] = put(c, 1, i, LEN);
        for (uint32_t i = 0; i < 100; i++) {
            CHECK(is_right(&held[i], 1, i));
            CHECK(ask(c, 1, i));
        }
        CHECK_EQ(cache_stats(c).bytes_over, 100 * COST - budgets[b]);
        CHECK(cache_check(c));
        for (uint32_t i = 0; i < 100; i++) cache_release(c, &held[i]);
        CHECK_EQ(cache_stats(c).bytes_over, 0);
        CHECK(cache_stats(c).bytes_used <= budgets[b]);
        CHECK(cache_check(c));
        cache_destroy(c);
    }
}

/* Blocks in regular use survive a scan ten times the size of the cache. */
TEST(cache, resists_a_scan) {
    struct cache *c = cache_create(1000 * COST);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 500; i++) {
            if (!ask(c, 1, i)) put_and_release(c, 1, i);
        }
    }
    for (uint32_t i = 0; i < 10000; i++) put_and_release(c, 2, i);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 500; i++) kept += ask(c, 1, i);
    CHECK(kept >= 450);
    CHECK(cache_check(c));
    cache_destroy(c);
}

/* A new set of blocks in use replaces an old one that is not. */
TEST(cache, learns_a_new_working_set) {
    const uint32_t count = 4000;
    struct cache *c = cache_create((size_t)count * 5 / 4 * 4096);
    for (uint32_t table = 1; table <= 2; table++) {
        for (uint32_t round = 0; round < 30; round++) {
            for (uint32_t i = 0; i < count; i++) {
                if (ask(c, table, i)) continue;
                struct cache_block block = put(c, table, i, 4096 - CACHE_ENTRY_BYTES);
                cache_release(c, &block);
            }
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) kept += ask(c, 2, i);
    CHECK(kept >= count * 9 / 10);
    cache_destroy(c);
}

/* A hint never gives another block than the one asked for. */
TEST(cache, hints_are_only_hints) {
    uint64_t seed = test_seed();
    struct cache *c = cache_create(50 * COST);
    static struct cache_hint hints[100];
    uint32_t found = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t offset = random_next(&seed) % 100;
        struct cache_block block = { 0 };
        if (status_ok(cache_get_hinted(c, 1, offset, &hints[offset], &block))) {
            found++;
            CHECK(is_right(&block, 1, offset));
        } else {
            block = put(c, 1, offset, LEN);
        }
        cache_release(c, &block);
    }
    CHECK(found > 5000);
    CHECK(cache_check(c));
    cache_destroy(c);
    memset(hints, 0, sizeof hints);
}
