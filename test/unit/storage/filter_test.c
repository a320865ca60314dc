/* A filter holds every key it was built from and few others, as theory says. */
#include "storage/filter.h"

#include "base/mem.h"
#include "harness.h"

#include <math.h>

#define KEYS 200000u

static uint64_t random_next(uint64_t *state) {
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* False positives of a blocked Bloom filter (Putze et al. 2007, section 3): the mean,
 * over how many keys a line may have got (Poisson), of what a filter of one line has. */
static double rate_in_theory(double keys_per_line, uint32_t probes) {
    double rate = 0;
    double chance = exp(-keys_per_line);
    for (uint32_t keys = 0; keys < 600; keys++) {
        if (keys > 0) chance *= keys_per_line / keys;
        const double bit_set = 1 - pow(1 - 1.0 / 512, (double)probes * keys);
        rate += chance * pow(bit_set, probes);
    }
    return rate;
}

/* No key is denied, and the false positives are within 1.3 of theory for every size. */
TEST(filter, is_as_selective_as_theory_says) {
    uint64_t seed = test_seed();
    uint64_t *hashes = mem_alloc(KEYS * sizeof *hashes);
    for (uint32_t i = 0; i < KEYS; i++) hashes[i] = random_next(&seed);
    for (uint32_t bits = 1; bits <= FILTER_BITS_PER_KEY_MAX; bits++) {
        const size_t len = filter_bytes(KEYS, bits);
        uint8_t *bytes = mem_alloc_aligned(64, len);
        struct filter f;
        filter_build(hashes, KEYS, bits, bytes);
        CHECK_OK(filter_open(bytes_of(bytes, len), &f));
        for (uint32_t i = 0; i < KEYS; i++) CHECK(filter_may_contain(&f, hashes[i]));

        const uint32_t questions = 4000000;
        uint32_t positives = 0;
        for (uint32_t i = 0; i < questions; i++) {
            positives += filter_may_contain(&f, random_next(&seed));
        }
        const double theory = rate_in_theory((double)KEYS / f.line_count, f.probes);
        CHECK(positives < 1.3 * theory * questions + 30);
        mem_free(bytes);
    }
    mem_free(hashes);
}

/* Ten bits a key, the default, let through fewer than 1.1 percent. */
TEST(filter, lets_through_one_percent_at_ten_bits) {
    CHECK(rate_in_theory(512.0 / 10, 6) < 0.0105);
}

/* Few keys, even none, make one line. */
TEST(filter, of_few_keys_is_one_line) {
    const uint64_t hash = 42;
    uint8_t bytes[FILTER_HEADER_BYTES + FILTER_LINE_BYTES];
    struct filter f;
    CHECK_EQ(filter_bytes(0, 10), sizeof bytes);
    CHECK_EQ(filter_bytes(1, 20), sizeof bytes);
    filter_build(&hash, 1, 20, bytes);
    CHECK_OK(filter_open(bytes_of(bytes, sizeof bytes), &f));
    CHECK(filter_may_contain(&f, hash));
    filter_build(NULL, 0, 20, bytes);
    CHECK_OK(filter_open(bytes_of(bytes, sizeof bytes), &f));
    CHECK(!filter_may_contain(&f, hash));
    CHECK_ABORTS((void)filter_bytes(1, 21));
}

/* Cut, grown or with a changed header it is not a filter. */
TEST(filter, refuses_what_is_not_a_filter) {
    uint8_t bytes[FILTER_HEADER_BYTES + FILTER_LINE_BYTES + 1] = { 0 };
    const size_t len = sizeof bytes - 1;
    struct filter f;
    filter_build(NULL, 0, 10, bytes);
    CHECK_OK(filter_open(bytes_of(bytes, len), &f));
    CHECK_STATUS(filter_open(bytes_of(bytes, len + 1), &f), ST_CORRUPT);
    for (size_t cut = 0; cut < len; cut++) {
        CHECK_STATUS(filter_open(bytes_of(bytes, cut), &f), ST_CORRUPT);
    }
    for (size_t at = 0; at < FILTER_HEADER_BYTES; at++) {
        bytes[at] ^= 0x80;
        CHECK_STATUS(filter_open(bytes_of(bytes, len), &f), ST_CORRUPT);
        bytes[at] ^= 0x80;
    }
}

/* A filter that is not there holds everything. */
TEST(filter, that_is_absent_holds_every_key) {
    const struct filter f = { 0 };
    filter_prefetch(&f, 7);
    CHECK(filter_may_contain(&f, 7));
}
