#include "base/histogram.h"

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)
#define BUCKET_LAST (HISTOGRAM_BUCKETS - 1u)

static_assert(HISTOGRAM_EXPONENTS + HISTOGRAM_SUB_BITS < 64, "a bucket's bound fits a word");

/* Values below SUB_BUCKETS have a bucket each; above, every power of two is cut
 * into SUB_BUCKETS equal steps. What lies past the last bucket counts there. */
static uint32_t bucket_of(uint64_t value) {
    if (value < SUB_BUCKETS) return (uint32_t)value;
    const uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    const uint32_t shift = exponent - HISTOGRAM_SUB_BITS;
    if (shift + 1 > HISTOGRAM_EXPONENTS) return BUCKET_LAST;

    const uint32_t step = (uint32_t)(value >> shift) - SUB_BUCKETS;
    ASSERT(step < SUB_BUCKETS);
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + step;
}

/* The largest value that counts in `bucket`. */
static uint64_t bucket_end(uint32_t bucket) {
    ASSERT(bucket < HISTOGRAM_BUCKETS);
    if (bucket < SUB_BUCKETS) return bucket;
    const uint32_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    const uint64_t step = SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1));
    return ((step + 1) << shift) - 1;
}

static void add_saturating(uint32_t *bucket, uint32_t n) {
    if (__builtin_add_overflow(*bucket, n, bucket)) *bucket = UINT32_MAX;
}

void histogram_record(struct histogram *h, uint64_t value) {
    histogram_record_many(h, value, 1);
}

void histogram_record_many(struct histogram *h, uint64_t value, uint32_t times) {
    ASSERT(h != NULL);
    if (times == 0) return;
    if (h->count == 0 || value < h->min) h->min = value;
    if (value > h->max) h->max = value;
    h->count += times;
    h->sum += value * times;
    add_saturating(&h->buckets[bucket_of(value)], times);
    ASSERT(h->min <= h->max);
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    ASSERT(into != NULL);
    ASSERT(into != from);
    if (from->count == 0) return;
    if (into->count == 0 || from->min < into->min) into->min = from->min;
    if (from->max > into->max) into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        add_saturating(&into->buckets[i], from->buckets[i]);
}

void histogram_subtract(struct histogram *h, const struct histogram *earlier) {
    ASSERT(h != earlier);
    ASSERT(h->count >= earlier->count);
    h->count -= earlier->count;
    h->sum -= earlier->sum;
    h->min = h->max = 0;
    bool any = false;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        ASSERT(h->buckets[i] >= earlier->buckets[i]);
        h->buckets[i] -= earlier->buckets[i];
        if (h->buckets[i] == 0) continue;
        h->max = bucket_end(i);
        if (!any) h->min = h->max;
        any = true;
    }
}

uint64_t histogram_quantile(const struct histogram *h, double quantile) {
    ASSERT(quantile >= 0.0);
    ASSERT(quantile <= 1.0);
    if (h->count == 0) return 0;

    const double rank_exact = quantile * (double)h->count;
    uint64_t rank = (uint64_t)rank_exact;
    if (rank == 0 || (double)rank < rank_exact) rank++;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKET_LAST; i++) {
        seen += h->buckets[i];
        if (seen < rank) continue;
        const uint64_t end = bucket_end(i);
        return end < h->max ? end : h->max;
    }
    return h->max;
}

uint64_t histogram_count_below(const struct histogram *h, uint64_t value) {
    ASSERT(h != NULL);
    if (h->count == 0) return 0;
    if (value >= h->max) return h->count;

    const uint32_t bucket = bucket_of(value);
    ASSERT(bucket < HISTOGRAM_BUCKETS);
    uint64_t seen = 0;
    for (uint32_t i = 0; i <= bucket; i++) seen += h->buckets[i];
    return seen;
}

double histogram_mean(const struct histogram *h) {
    ASSERT(h != NULL);
    return h->count == 0 ? 0.0 : (double)h->sum / (double)h->count;
}
