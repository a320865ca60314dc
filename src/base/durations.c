#include "base/durations.h"

#include "base/assert.h"

/* What memory answers takes tens of microseconds, a sync on a slow disk tens of milliseconds, a
 * second is trouble, and nothing waits for longer than some seconds. */
static const struct bound {
    uint64_t ns;
    const char *seconds;
} bounds[DURATIONS_STEPS] = {
    { 10000, "0.00001" },  { 25000, "0.000025" }, { 50000, "0.00005" },  { 100000, "0.0001" },
    { 250000, "0.00025" }, { 500000, "0.0005" },  { 1000000, "0.001" },  { 2500000, "0.0025" },
    { 5000000, "0.005" },  { 10000000, "0.01" },  { 25000000, "0.025" }, { 50000000, "0.05" },
    { 100000000, "0.1" },  { 250000000, "0.25" }, { 500000000, "0.5" },  { 1000000000, "1" },
    { 2500000000, "2.5" }, { 5000000000, "5" },   { 10000000000, "10" }, { UINT64_MAX, "+Inf" },
};

/* Most durations are short, so the search from below ends soon. */
void durations_record(struct durations *d, uint64_t ns, uint64_t times) {
    uint32_t step = 0;
    while (step < DURATIONS_BOUNDS && ns > bounds[step].ns) step++;
    d->counts[step] += times;
    d->sum_ns += ns * times;
}

void durations_add(struct durations *into, const struct durations *from) {
    ASSERT(into != from);
    for (uint32_t i = 0; i < DURATIONS_STEPS; i++) into->counts[i] += from->counts[i];
    into->sum_ns += from->sum_ns;
}

uint64_t durations_count(const struct durations *d) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < DURATIONS_STEPS; i++) count += d->counts[i];
    return count;
}

const char *durations_bound(uint32_t step) {
    ASSERT(step < DURATIONS_STEPS);
    return bounds[step].seconds;
}
