/* histogram.h - latencies in logarithmic buckets with a bounded relative error.
 *
 * The layout of HdrHistogram (Tene): 2^HISTOGRAM_SUB_BITS linear steps per power
 * of two, so any value is reported within 1/2^SUB_BITS of what was recorded.
 * Lifecycle  zeroed memory is an empty histogram; no deinit
 * Owner      one thread; merge copies into another's
 */
#ifndef ATOLL_BASE_HISTOGRAM_H
#define ATOLL_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6u
#define HISTOGRAM_EXPONENTS 36u /* 2^42 ns is over an hour */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_EXPONENTS + 1u) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;                      /* values recorded */
    uint64_t sum;                        /* of all values */
    uint64_t max;                        /* largest value */
    uint64_t min;                        /* smallest value; meaningless while count is 0 */
    uint32_t buckets[HISTOGRAM_BUCKETS]; /* values per bucket; saturates */
};

void histogram_record(struct histogram *h, uint64_t value);
/* The same value `times` times. */
void histogram_record_many(struct histogram *h, uint64_t value, uint32_t times);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Leave what was recorded after `earlier` was copied from it. Its least and largest value are
 * known to a bucket only. */
void histogram_subtract(struct histogram *h, const struct histogram *earlier);
/* The value at or below which `quantile` (0..1) of all values lie; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double quantile);
/* How many values are at or below `value`, for Prometheus buckets. */
uint64_t histogram_count_below(const struct histogram *h, uint64_t value);
double histogram_mean(const struct histogram *h);

#endif
