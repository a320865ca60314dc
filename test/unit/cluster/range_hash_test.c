#include "cluster/range_hash.h"

#include "harness.h"
#include "sim/random.h"

#include <string.h>

#define VERSIONS 300u

struct entry {
    uint8_t key[8];        /* an ikey */
    struct ballot version; /* of it */
};

static struct range_hash hash_of(const struct entry *entries, uint32_t count) {
    struct range_hash h;
    range_hash_init(&h);
    for (uint32_t i = 0; i < count; i++)
        range_hash_add(&h, bytes_of(entries[i].key, sizeof entries[i].key), entries[i].version);
    return h;
}

static void fill(struct entry *entries, struct sim_random *r) {
    for (uint64_t i = 0; i < VERSIONS; i++) {
        put_u64_le(entries[i].key, i);
        entries[i].version = (struct ballot){ sim_random_next(r), 1 + (uint32_t)(i % 3), 1 };
    }
}

/* Any order of the same versions gives the same hash. */
TEST(range_hash, order_does_not_matter) {
    struct sim_random r = sim_random_of(test_seed());
    struct entry entries[VERSIONS];
    fill(entries, &r);
    const struct range_hash before = hash_of(entries, VERSIONS);
    for (uint32_t i = VERSIONS - 1; i > 0; i--) {
        const uint32_t j = (uint32_t)sim_random_below(&r, i + 1);
        const struct entry e = entries[i];
        entries[i] = entries[j];
        entries[j] = e;
    }
    const struct range_hash after = hash_of(entries, VERSIONS);
    CHECK(range_hash_equal(&before, &after));
    CHECK_EQ(after.count, VERSIONS);
}

/* One bit of a key or of a version, and a version more or less, gives another hash. */
TEST(range_hash, every_difference_shows) {
    struct sim_random r = sim_random_of(test_seed());
    struct entry entries[VERSIONS];
    fill(entries, &r);
    const struct range_hash whole = hash_of(entries, VERSIONS);
    for (uint32_t i = 0; i < VERSIONS; i++) {
        const struct entry kept = entries[i];
        struct range_hash h;
        for (uint32_t bit = 0; bit < 8 * sizeof kept.key; bit++) {
            entries[i].key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            h = hash_of(&entries[i], 1);
            const struct range_hash alone = hash_of(&kept, 1);
            CHECK(!range_hash_equal(&h, &alone));
            entries[i] = kept;
        }
        entries[i].version.stamp ^= UINT64_C(1) << i % 64;
        h = hash_of(entries, VERSIONS);
        CHECK(!range_hash_equal(&h, &whole));
        entries[i] = kept, entries[i].version.node++;
        h = hash_of(entries, VERSIONS);
        CHECK(!range_hash_equal(&h, &whole));
        entries[i] = kept, entries[i].version.boot++;
        h = hash_of(entries, VERSIONS);
        CHECK(!range_hash_equal(&h, &whole));
        entries[i] = kept;
        h = hash_of(entries, i);
        CHECK(!range_hash_equal(&h, &whole));
    }
}

/* A version counted twice, or two that changed places, do not cancel each other. */
TEST(range_hash, nothing_cancels) {
    struct entry entries[2] = { { "aaaaaaa", { 1, 1, 1 } }, { "bbbbbbb", { 2, 1, 1 } } };
    const struct range_hash pair = hash_of(entries, 2);
    struct range_hash twice;
    range_hash_init(&twice);
    for (uint32_t i = 0; i < 2; i++)
        range_hash_add(&twice, BYTES_LIT("aaaaaaa"), (struct ballot){ 1, 1, 1 });
    CHECK(twice.sum != 0);
    CHECK(twice.sum != pair.sum);

    entries[0].version.stamp = 2, entries[1].version.stamp = 1;
    const struct range_hash crossed = hash_of(entries, 2);
    CHECK(crossed.sum != pair.sum);
    struct range_hash longer;
    range_hash_init(&longer);
    CHECK(range_hash_equal(&longer, &(struct range_hash){ 0, 0 }));
    range_hash_add(&longer, BYTES_LIT("aaaaaaa"), (struct ballot){ 1, 2, 1 });
    struct range_hash mixed; /* node and boot are not one number */
    range_hash_init(&mixed);
    range_hash_add(&mixed, BYTES_LIT("aaaaaaa"), (struct ballot){ 1, 1, 2 });
    CHECK(mixed.sum != longer.sum);
}

/* Nodes of different releases compare these numbers, so they may not change unnoticed. */
TEST(range_hash, golden) {
    struct range_hash h;
    range_hash_init(&h);
    range_hash_add(&h, BYTES_LIT("\0\0key"), (struct ballot){ UINT64_C(0x123456789abcdef0), 7, 3 });
    CHECK_EQ(h.sum, UINT64_C(0xf599ea931ba7572f));
    range_hash_add(&h, BYTES_LIT("\0\1other"), (struct ballot){ 1, 1, 1 });
    CHECK_EQ(h.sum, UINT64_C(0xa2037548b6e773bb));
    CHECK_EQ(h.count, 2);
}

/* An empty key and the zero version are no records. */
TEST(range_hash, misuse_aborts) {
    struct range_hash h;
    range_hash_init(&h);
    CHECK_ABORTS(range_hash_add(&h, BYTES_NONE, (struct ballot){ 1, 1, 1 }));
    CHECK_ABORTS(range_hash_add(&h, BYTES_LIT("k"), (struct ballot){ 0 }));
}
