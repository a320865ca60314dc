/* durations.h - how long things took, counted in the few steps that Prometheus is shown.
 *
 * Far smaller than a histogram.h, for figures that are kept many times over: by class and
 * level of an operation, for syncs. Nothing but words of 64 bits that add up.
 * Lifecycle  zeroed memory is empty; no deinit
 * Owner      one thread; add copies into another's
 */
#ifndef ATOLL_BASE_DURATIONS_H
#define ATOLL_BASE_DURATIONS_H

#include <stdint.h>

#define DURATIONS_BOUNDS 19u                    /* from 10 us to 10 s, see durations.c */
#define DURATIONS_STEPS (DURATIONS_BOUNDS + 1u) /* the last: longer than all bounds */

struct durations {
    uint64_t counts[DURATIONS_STEPS]; /* in this step, those below not included */
    uint64_t sum_ns;                  /* of all */
};

/* The same duration `times` times. */
void durations_record(struct durations *d, uint64_t ns, uint64_t times);
void durations_add(struct durations *into, const struct durations *from);
uint64_t durations_count(const struct durations *d);
/* Bound of a step in seconds, as text; "+Inf" for the last. */
const char *durations_bound(uint32_t step);

#endif
