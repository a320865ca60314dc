/* A block gives back the entries that went in, finds the first key at or above any
 * other, and never reads outside itself whatever its bytes are. */
#include "storage/block.h"

#include "base/mem.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS_MAX 300u
#define KEY_MAX 40u

struct pair {
    uint8_t key[KEY_MAX];
    size_t len;
};

static uint64_t random_next(uint64_t *state) {
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static struct bytes key_of(const struct pair *p) {
    return bytes_of(p->key, p->len);
}

static int pair_order(const void *a, const void *b) {
    return bytes_compare(key_of(a), key_of(b));
}

/* Keys over few letters, so that prefixes and near misses abound. */
static void key_random(uint64_t *seed, struct pair *p) {
    p->len = 1 + random_next(seed) % (KEY_MAX - 1);
    if (random_next(seed) % 2 == 0) p->len = 1 + p->len % 6;
    for (size_t i = 0; i < p->len; i++) p->key[i] = (uint8_t)(random_next(seed) % 3 * 127);
}

static size_t keys_random(uint64_t *seed, struct pair *pairs, size_t count) {
    for (size_t i = 0; i < count; i++) key_random(seed, &pairs[i]);
    qsort(pairs, count, sizeof *pairs, pair_order);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || pair_order(&pairs[kept - 1], &pairs[i]) != 0) pairs[kept++] = pairs[i];
    }
    return kept;
}

/* The body of key i: its number and then i % 7 times its low byte. */
static size_t body_of(size_t i, uint8_t body[16]) {
    put_u32_le(body, (uint32_t)i);
    memset(body + 4, (int)(i & 0xff), i % 7);
    return 4 + i % 7;
}

static struct bytes build(struct block_builder *b, const struct pair *pairs, size_t count) {
    uint8_t body[16];
    block_builder_reset(b);
    CHECK_EQ(block_builder_bytes(b), 0);
    for (size_t i = 0; i < count; i++) {
        const size_t len = body_of(i, body);
        block_builder_add(b, key_of(&pairs[i]), bytes_of(body, 3), bytes_of(body + 3, len - 3));
    }
    const size_t expected = block_builder_bytes(b);
    const struct bytes raw = block_builder_finish(b);
    CHECK_EQ(raw.len, expected);
    return raw;
}

static void check_walk(struct bytes raw, const struct pair *pairs, size_t count) {
    struct block b;
    struct block_entry e;
    uint8_t key[KEY_MAX];
    uint8_t body[16];
    CHECK_OK(block_open(raw, &b));
    CHECK_EQ(b.entry_count, count);
    CHECK_OK(block_first(&b, &e));
    for (size_t i = 0;; i++) {
        memcpy(key + e.shared, e.suffix.ptr, e.suffix.len);
        CHECK_BYTES(bytes_of(key, e.shared + e.suffix.len), key_of(&pairs[i]));
        CHECK_BYTES(e.body, bytes_of(body, body_of(i, body)));
        const struct status s = block_next(&b, &e);
        if (i + 1 == count) {
            CHECK_STATUS(s, ST_NOT_FOUND);
            break;
        }
        CHECK_OK(s);
    }
}

static void check_find(struct bytes raw, const struct pair *pairs, size_t count, struct bytes key) {
    struct block b;
    struct block_entry e;
    bool equal = false;
    uint8_t body[16];
    size_t i = 0;
    while (i < count && bytes_compare(key_of(&pairs[i]), key) < 0) i++;
    CHECK_OK(block_open(raw, &b));
    const struct status s = block_find(&b, key, &e, &equal);
    if (i == count) {
        CHECK_STATUS(s, ST_NOT_FOUND);
        return;
    }
    CHECK_OK(s);
    CHECK_EQ(equal, bytes_equal(key_of(&pairs[i]), key));
    CHECK_BYTES(e.body, bytes_of(body, body_of(i, body)));
    /* The found key is rebuilt from the key looked for. */
    CHECK(e.shared <= key.len);
    CHECK_BYTES(bytes_of(pairs[i].key, e.shared), bytes_of(key.ptr, e.shared));
    CHECK_BYTES(bytes_of(pairs[i].key + e.shared, pairs[i].len - e.shared), e.suffix);
}

/* Walking and searching agree with a sorted array, for many shapes of keys. */
TEST(block, agrees_with_a_sorted_array) {
    uint64_t seed = test_seed();
    static struct pair pairs[KEYS_MAX];
    struct block_builder b;
    block_builder_init(&b);
    for (uint32_t round = 0; round < 200; round++) {
        const size_t count = keys_random(&seed, pairs, 1 + random_next(&seed) % KEYS_MAX);
        const struct bytes raw = build(&b, pairs, count);
        check_walk(raw, pairs, count);
        for (size_t i = 0; i < count; i++) check_find(raw, pairs, count, key_of(&pairs[i]));
        for (uint32_t i = 0; i < 100; i++) {
            struct pair p;
            key_random(&seed, &p);
            check_find(raw, pairs, count, key_of(&p));
        }
        check_find(raw, pairs, count, BYTES_NONE);
    }
    block_builder_deinit(&b);
}

/* Keys of the greatest length, which share all but their last byte. */
TEST(block, holds_the_longest_keys) {
    struct block_builder b;
    block_builder_init(&b);
    uint8_t *key = mem_alloc(IKEY_BYTES_MAX);
    memset(key, 'k', IKEY_BYTES_MAX);
    for (uint32_t i = 0; i < 40; i++) {
        key[IKEY_BYTES_MAX - 1] = (uint8_t)i;
        block_builder_add(&b, bytes_of(key, IKEY_BYTES_MAX), BYTES_LIT("body"), BYTES_NONE);
    }
    const struct bytes raw = block_builder_finish(&b);
    CHECK(raw.len < 4 * IKEY_BYTES_MAX);
    struct block view;
    struct block_entry e;
    bool equal = false;
    CHECK_OK(block_open(raw, &view));
    for (uint32_t i = 0; i < 40; i++) {
        key[IKEY_BYTES_MAX - 1] = (uint8_t)i;
        CHECK_OK(block_find(&view, bytes_of(key, IKEY_BYTES_MAX), &e, &equal));
        CHECK(equal);
        CHECK_BYTES(e.body, BYTES_LIT("body"));
    }
    mem_free(key);
    block_builder_deinit(&b);
}

/* Every cut and every flipped byte is refused or answered, with no read outside the
 * copy, which is exactly as long as the block. */
TEST(block, survives_any_bytes) {
    uint64_t seed = test_seed();
    static struct pair pairs[KEYS_MAX];
    struct block_builder builder;
    block_builder_init(&builder);
    const size_t count = keys_random(&seed, pairs, 60);
    const struct bytes raw = build(&builder, pairs, count);
    for (size_t at = 0; at < 2 * raw.len; at++) {
        const size_t len = at < raw.len ? at : raw.len;
        uint8_t *copy = mem_alloc(len + (len == 0));
        memcpy(copy, raw.ptr, len);
        if (at >= raw.len) copy[at - raw.len] ^= (uint8_t)(1 + random_next(&seed) % 255);
        struct block b;
        struct block_entry e;
        bool equal = false;
        if (status_ok(block_open(bytes_of(copy, len), &b))) {
            for (size_t i = 0; i < count; i++) {
                const struct status s = block_find(&b, key_of(&pairs[i]), &e, &equal);
                CHECK(status_ok(s) || s.code == ST_NOT_FOUND || s.code == ST_CORRUPT);
            }
            struct status s = block_first(&b, &e);
            while (status_ok(s)) s = block_next(&b, &e);
            CHECK(s.code == ST_NOT_FOUND || s.code == ST_CORRUPT);
        }
        mem_free(copy);
    }
    block_builder_deinit(&builder);
}

/* Keys must rise: anything else is a bug of the caller. */
TEST(block, refuses_keys_out_of_order) {
    struct block_builder b;
    block_builder_init(&b);
    block_builder_add(&b, BYTES_LIT("b"), BYTES_NONE, BYTES_NONE);
    CHECK_ABORTS(block_builder_add(&b, BYTES_LIT("b"), BYTES_NONE, BYTES_NONE));
    CHECK_ABORTS(block_builder_add(&b, BYTES_LIT("a"), BYTES_NONE, BYTES_NONE));
    block_builder_deinit(&b);
}
