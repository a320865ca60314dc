#include "base/hlc.h"

#include "harness.h"
#include "sim/random.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* Whatever the wall clock does, each stamp is above all given and observed, and
 * not behind the wall clock of its moment. */
TEST(hlc, never_goes_back) {
    struct sim_random r = sim_random_of(test_seed());
    struct hlc h = { 0 };
    uint64_t wall_ms = UINT64_C(1700000000000);
    uint64_t highest = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        if (sim_random_chance(&r, 1, 100)) wall_ms -= sim_random_below(&r, 100000);
        if (sim_random_chance(&r, 1, 100)) wall_ms += sim_random_below(&r, 100000);
        if (sim_random_chance(&r, 1, 10)) {
            const uint64_t seen = hlc_of_ms(wall_ms + sim_random_below(&r, HLC_SKEW_MS_MAX));
            hlc_observe(&h, seen);
            if (seen > highest) highest = seen;
        }
        const uint64_t stamp = hlc_next(&h, wall_ms * NS_PER_MS + sim_random_below(&r, NS_PER_MS));
        CHECK(stamp > highest);
        CHECK(hlc_ms(stamp) >= wall_ms);
        highest = stamp;
    }
}

/* A counter that runs over within one millisecond borrows the next one. */
TEST(hlc, counter_borrows_the_next_millisecond) {
    struct hlc h = { 0 };
    uint64_t stamp = 0;
    for (uint32_t i = 0; i <= 1u << HLC_COUNTER_BITS; i++) stamp = hlc_next(&h, 1000 * NS_PER_MS);
    CHECK_EQ(hlc_ms(stamp), 1001);
    CHECK_EQ(hlc_next(&h, 1000 * NS_PER_MS), stamp + 1);
    CHECK_EQ(hlc_next(&h, 5000 * NS_PER_MS), hlc_of_ms(5000));
}

/* Two clocks that agree give later stamps later, also within one millisecond. */
TEST(hlc, the_counter_begins_at_the_part_of_the_millisecond) {
    struct hlc busy = { 0 }, idle = { 0 };
    uint64_t stamp = 0;
    for (uint32_t i = 0; i < 100; i++) stamp = hlc_next(&busy, 1000 * NS_PER_MS);
    CHECK(hlc_next(&idle, 1000 * NS_PER_MS + 2000) > stamp);
    CHECK_EQ(hlc_of_ns(1001 * NS_PER_MS - 1), hlc_of_ms(1001) - 1);
    CHECK_EQ(hlc_of_ns(1001 * NS_PER_MS), hlc_of_ms(1001));
    CHECK_EQ(hlc_of_ns(1000 * NS_PER_MS + NS_PER_MS / 2), hlc_of_ms(1000) + (1u << 15));
}

/* Observing an old stamp changes nothing. */
TEST(hlc, old_stamps_are_ignored) {
    struct hlc h = { 0 };
    const uint64_t stamp = hlc_next(&h, 1000 * NS_PER_MS);
    hlc_observe(&h, stamp - 1);
    CHECK_EQ(hlc_next(&h, 0), stamp + 1);
}

/* Ballots order by stamp, then node, then boot, and the longest text fits. */
TEST(hlc, ballots) {
    const struct ballot a = { .stamp = 1, .node = 2, .boot = 3 };
    CHECK(ballot_compare(a, (struct ballot){ 2, 0, 0 }) < 0);
    CHECK(ballot_compare(a, (struct ballot){ 1, 1, 9 }) > 0);
    CHECK(ballot_compare(a, (struct ballot){ 1, 2, 4 }) < 0);
    CHECK(ballot_compare(a, a) == 0);
    CHECK(ballot_is_zero((struct ballot){ 0 }));
    uint8_t bytes[BALLOT_BYTES];
    ballot_put(bytes, a);
    CHECK_BYTES(bytes_of(bytes, sizeof bytes), BYTES_LIT("\1\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0"));
    CHECK(ballot_compare(ballot_get(bytes), a) == 0);

    char text[BALLOT_TEXT_BYTES];
    CHECK_EQ(ballot_print((struct ballot){ 0x1a2b, 1, 16 }, text), 9);
    CHECK(strcmp(text, "1a2b.1.10") == 0);
    CHECK_EQ(ballot_print((struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX }, text), 34);
}
