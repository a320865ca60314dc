/* Durations: each is counted in the lowest step whose bound it does not pass, and parts add up. */
#include "base/durations.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"

TEST(durations, bounds_grow_and_agree_with_their_texts) {
    double last = 0;
    for (uint32_t i = 0; i + 1 < DURATIONS_STEPS; i++) {
        struct durations d = { .sum_ns = 0 };
        const double seconds = strtod(durations_bound(i), NULL);
        const uint64_t ns = (uint64_t)(seconds * 1e9 + 0.5);
        CHECK(seconds > last);
        durations_record(&d, ns, 1);
        CHECK_EQ(d.counts[i], 1);
        durations_record(&d, ns + 1, 1);
        CHECK_EQ(d.counts[i + 1], 1);
        last = seconds;
    }
    CHECK(strcmp(durations_bound(DURATIONS_STEPS - 1), "+Inf") == 0);
    CHECK_EQ((uint64_t)last, 10);
}

TEST(durations, records_many_and_adds) {
    struct durations a = { .sum_ns = 0 }, b = { .sum_ns = 0 };
    durations_record(&a, 0, 3);
    durations_record(&a, UINT64_C(3600000000000), 2);
    durations_record(&b, 60000, 5);
    durations_add(&a, &b);
    CHECK_EQ(durations_count(&a), 10);
    CHECK_EQ(a.counts[0], 3);
    CHECK_EQ(a.counts[3], 5);
    CHECK_EQ(a.counts[DURATIONS_STEPS - 1], 2);
    CHECK_EQ(a.sum_ns, UINT64_C(7200000000000) + 300000);
    CHECK_EQ(durations_count(&b), 5);
}
