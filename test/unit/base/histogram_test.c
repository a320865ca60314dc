#include "base/histogram.h"

#include "base/mem.h"
#include "harness.h"
#include "sim/random.h"

#include <string.h>

static struct histogram *new_histogram(void) {
    return mem_alloc_zeroed(sizeof(struct histogram));
}

/* A quantile is never below the exact one, and above it by less than 1/64. */
TEST(histogram, error_is_bounded) {
    struct sim_random r = sim_random_of(test_seed());
    for (uint32_t round = 0; round < 20000; round++) {
        const uint32_t bits = 1 + (uint32_t)sim_random_below(&r, 41);
        const uint64_t value = sim_random_next(&r) >> (64 - bits);
        struct histogram *h = new_histogram();
        histogram_record(h, value);
        histogram_record(h, UINT64_C(1) << 41);
        const uint64_t told = histogram_quantile(h, 0.5);
        CHECK(told >= value);
        CHECK(told - value <= value >> HISTOGRAM_SUB_BITS);
        mem_free(h);
    }
}

/* What is left are the values that came later, and its quantiles are theirs, up to a bucket. */
TEST(histogram, leaves_what_came_later) {
    struct histogram *earlier = new_histogram(), *h = new_histogram();
    for (uint64_t v = 0; v < 100; v++) histogram_record(h, 1000000);
    *earlier = *h;
    for (uint64_t v = 1; v <= 1000; v++) histogram_record(h, v);
    histogram_subtract(h, earlier);
    CHECK_EQ(h->count, 1000);
    CHECK_EQ(h->sum, 500500);
    CHECK_EQ(h->min, 1);
    CHECK(h->max >= 1000 && h->max <= 1000 + 1000 / 64);
    CHECK(histogram_quantile(h, 0.5) >= 500);
    CHECK(histogram_quantile(h, 0.5) <= 500 + 500 / 64);
    *earlier = *h;
    histogram_subtract(h, earlier);
    CHECK_EQ(h->count, 0);
    CHECK_EQ(histogram_quantile(h, 0.99), 0);
    mem_free(earlier);
    mem_free(h);
}

/* Quantiles of 1..1000 are those numbers, up to the error of a bucket. */
TEST(histogram, quantiles_of_a_known_set) {
    struct histogram *h = new_histogram();
    CHECK_EQ(histogram_quantile(h, 0.99), 0);
    for (uint64_t v = 1; v <= 1000; v++) histogram_record(h, v);
    CHECK_EQ(h->min, 1);
    CHECK_EQ(histogram_quantile(h, 0.0), 1);
    CHECK_EQ(histogram_quantile(h, 1.0), 1000);
    const uint64_t median = histogram_quantile(h, 0.5);
    CHECK(median >= 500);
    CHECK(median <= 500 + 500 / 64);
    CHECK(histogram_mean(h) == 500.5);
    CHECK_EQ(histogram_count_below(h, 0), 0);
    CHECK_EQ(histogram_count_below(h, 63), 63);
    CHECK_EQ(histogram_count_below(h, 1000), 1000);
    mem_free(h);
}

/* Values past the last bucket count as the largest, and the maximum stays exact. */
TEST(histogram, values_past_the_end) {
    struct histogram *h = new_histogram();
    histogram_record(h, UINT64_MAX);
    histogram_record(h, 5);
    CHECK_EQ(histogram_quantile(h, 0.5), 5);
    CHECK_EQ(histogram_quantile(h, 1.0), UINT64_MAX);
    CHECK_EQ(histogram_count_below(h, 6), 1);
    mem_free(h);
}

/* Two halves merged tell the same as one histogram of all. */
TEST(histogram, merge_is_recording_all) {
    struct sim_random r = sim_random_of(test_seed());
    struct histogram *all = new_histogram();
    struct histogram *parts[2] = { new_histogram(), new_histogram() };
    for (uint32_t i = 0; i < 10000; i++) {
        const uint64_t value = sim_random_next(&r) >> (20 + sim_random_below(&r, 40));
        histogram_record(all, value);
        histogram_record(parts[sim_random_below(&r, 2)], value);
    }
    histogram_merge(parts[0], parts[1]);
    CHECK(memcmp(all, parts[0], sizeof *all) == 0);
    for (uint32_t i = 0; i < 2; i++) mem_free(parts[i]);
    mem_free(all);
}
