#include "cluster/detector.h"

#include "harness.h"
#include "sim/random.h"

/* Alive is up and heard of: neither a link that is silent nor one that is lost. */
TEST(detector, silence) {
    struct detector d;
    detector_init(&d);
    CHECK(!detector_is_alive(&d, 0));
    detector_heard(&d, 1000); /* the last bytes of a link that was lost */
    CHECK(!detector_is_alive(&d, 1000));
    detector_linked(&d, 1000);
    CHECK(detector_is_alive(&d, 1000));
    CHECK(detector_is_alive(&d, 1000 + DETECTOR_SILENCE_MS));
    CHECK(!detector_is_alive(&d, 1001 + DETECTOR_SILENCE_MS));
    CHECK(!detector_is_alive(&d, UINT64_MAX));

    detector_heard(&d, 5000); /* the link was never lost, so it is back */
    CHECK(detector_is_alive(&d, 5000 + DETECTOR_SILENCE_MS));
    detector_lost(&d);
    CHECK(!detector_is_alive(&d, 5000));
    detector_linked(&d, 5001);
    CHECK(detector_is_alive(&d, 5001));
}

/* Three heartbeats may be lost in a row before a node is held to be dead. */
TEST(detector, lost_heartbeats) {
    struct detector d;
    detector_init(&d);
    detector_linked(&d, 0);
    for (uint64_t at_ms = 0; at_ms < 4 * DETECTOR_HEARTBEAT_MS; at_ms += DETECTOR_HEARTBEAT_MS)
        CHECK(detector_is_alive(&d, at_ms));
    CHECK(!detector_is_alive(&d, 4 * DETECTOR_HEARTBEAT_MS));
}

/* Time that goes back is a caller's mistake. */
TEST(detector, time_goes_forward) {
    struct detector d;
    detector_init(&d);
    detector_linked(&d, 100);
    CHECK_ABORTS(detector_heard(&d, 99));
    CHECK_ABORTS(detector_linked(&d, 99));
    CHECK_ABORTS((void)detector_is_alive(&d, 99));
}

static void check_wait(uint32_t failures, uint32_t full_ms) {
    struct detector d;
    detector_init(&d);
    for (uint32_t i = 0; i < failures; i++) detector_lost(&d);
    uint32_t least_ms = UINT32_MAX;
    uint32_t most_ms = 0;
    for (uint64_t random = 0; random < 2 * full_ms; random++) {
        const uint32_t wait_ms = detector_dial_wait_ms(&d, random);
        if (wait_ms < least_ms) least_ms = wait_ms;
        if (wait_ms > most_ms) most_ms = wait_ms;
    }
    CHECK_EQ(least_ms, full_ms / 2);
    CHECK_EQ(most_ms, full_ms);
    CHECK(detector_dial_wait_ms(&d, UINT64_MAX) <= full_ms);
}

/* The wait doubles with each failure up to its maximum, spread over half to full. */
TEST(detector, back_off) {
    struct detector d;
    detector_init(&d);
    CHECK_EQ(detector_dial_wait_ms(&d, 12345), 0);
    uint32_t full_ms = DETECTOR_DIAL_MS_MIN;
    for (uint32_t failures = 1; failures <= 100; failures++) {
        check_wait(failures, full_ms);
        full_ms = full_ms * 2 < DETECTOR_DIAL_MS_MAX ? full_ms * 2 : DETECTOR_DIAL_MS_MAX;
    }
    d.dial_failures = UINT32_MAX;
    detector_lost(&d);
    CHECK_EQ(d.dial_failures, UINT32_MAX);
    CHECK(detector_dial_wait_ms(&d, 0) == DETECTOR_DIAL_MS_MAX / 2);
}

/* A node that takes links and drops them without a word is dialled ever more rarely; one
 * that speaks starts anew. */
TEST(detector, back_off_ends_with_what_is_heard) {
    struct detector d;
    detector_init(&d);
    for (uint64_t i = 1; i <= 5; i++) {
        detector_linked(&d, i);
        detector_lost(&d);
        CHECK_EQ(d.dial_failures, i);
    }
    detector_heard(&d, 6); /* of no link */
    CHECK_EQ(d.dial_failures, 5);
    detector_linked(&d, 7);
    detector_heard(&d, 8);
    CHECK_EQ(d.dial_failures, 0);
    detector_lost(&d);
    CHECK_EQ(detector_dial_wait_ms(&d, 0), DETECTOR_DIAL_MS_MIN / 2);
}

/* The smoothing is that of RFC 6298: by hand for the first three answers. */
TEST(detector, latency) {
    struct detector d;
    detector_init(&d);
    detector_answered(&d, 8000);
    CHECK_EQ(d.latency_us, 8000);
    CHECK_EQ(d.deviation_us, 4000);
    detector_answered(&d, 16000);
    CHECK_EQ(d.deviation_us, (3 * 4000 + 8000) / 4);
    CHECK_EQ(d.latency_us, (7 * 8000 + 16000) / 8);
    detector_answered(&d, 1000);
    CHECK_EQ(d.deviation_us, (3 * 5000 + 8000) / 4);
    CHECK_EQ(d.latency_us, (7 * 9000 + 1000) / 8);
    CHECK_EQ(detector_hedge_ms(&d), 8 + 23); /* 8 ms and 4 * 5.75 ms */
}

/* The wait before a hedge stays within its bounds, whatever was measured, and follows
 * what is measured between them. */
TEST(detector, hedge_bounds) {
    struct detector d;
    detector_init(&d);
    CHECK_EQ(detector_hedge_ms(&d), DETECTOR_HEDGE_MS_MIN);
    struct sim_random r = sim_random_of(test_seed());
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t any = sim_random_next(&r);
        detector_answered(&d, any >> sim_random_below(&r, 64));
        CHECK(detector_check(&d));
        CHECK(detector_hedge_ms(&d) >= DETECTOR_HEDGE_MS_MIN);
        CHECK(detector_hedge_ms(&d) <= DETECTOR_HEDGE_MS_MAX);
    }
    for (uint32_t i = 0; i < 200; i++) detector_answered(&d, UINT64_MAX);
    CHECK_EQ(detector_hedge_ms(&d), DETECTOR_HEDGE_MS_MAX);
    for (uint32_t i = 0; i < 200; i++) detector_answered(&d, 20000);
    CHECK(detector_hedge_ms(&d) >= 20 && detector_hedge_ms(&d) <= 21);
    for (uint32_t i = 0; i < 200; i++) detector_answered(&d, 0);
    CHECK_EQ(detector_hedge_ms(&d), DETECTOR_HEDGE_MS_MIN);
    CHECK(d.latency_us > 0); /* not taken for "nothing measured" */
}

/* A fraction of a millisecond waits for the whole. */
TEST(detector, hedge_rounds_up) {
    struct detector d;
    detector_init(&d);
    d.latency_us = 10000, d.deviation_us = 0;
    CHECK_EQ(detector_hedge_ms(&d), 10);
    d.latency_us = 10001;
    CHECK_EQ(detector_hedge_ms(&d), 11);
}

/* The other clock was read in the middle of the ping's way, as well as one can know. */
TEST(detector, clock_difference) {
    struct detector d;
    detector_init(&d);
    CHECK(d.clock_ahead_ms == 0);
    detector_clock(&d, 10500, 10000, 10020);
    CHECK(d.clock_ahead_ms == 490);
    detector_clock(&d, 9000, 10000, 10020);
    CHECK(d.clock_ahead_ms == -1010);
    detector_clock(&d, 10000, 10000, 10000);
    CHECK(d.clock_ahead_ms == 0);
    detector_clock(&d, 0, UINT64_MAX, UINT64_MAX);
    CHECK(d.clock_ahead_ms == -INT64_MAX);
    detector_clock(&d, UINT64_MAX, 0, 0);
    CHECK(d.clock_ahead_ms == INT64_MAX);
    CHECK(detector_check(&d));
}

/* A pong that took too long, or that came before it was sent because our clock was set,
 * does not overwrite what is known. */
TEST(detector, clock_ignores_what_says_nothing) {
    struct detector d;
    detector_init(&d);
    detector_clock(&d, 10500, 10000, 10000);
    CHECK(d.clock_ahead_ms == 500);
    detector_clock(&d, 10000, 10000, 9999);
    CHECK(d.clock_ahead_ms == 500);
    detector_clock(&d, 10000, 10000, 10001 + DETECTOR_SILENCE_MS);
    CHECK(d.clock_ahead_ms == 500);
    detector_clock(&d, 10000, 10000, 10000 + DETECTOR_SILENCE_MS);
    CHECK(d.clock_ahead_ms == -(int64_t)(DETECTOR_SILENCE_MS / 2));
}

/* What is pinged seldom may be silent for longer, and is not suspected for the time before it was
 * pinged often. */
TEST(detector, slow_heartbeats) {
    struct detector d;
    detector_init(&d);
    detector_linked(&d, 1000);
    detector_pace(&d, true, 1000);
    CHECK(detector_is_alive(&d, 1000 + DETECTOR_SLOW_MS + DETECTOR_SILENCE_MS));
    CHECK(!detector_is_alive(&d, 1001 + DETECTOR_SLOW_MS + DETECTOR_SILENCE_MS));
    detector_pace(&d, false, 1900);
    CHECK(detector_is_alive(&d, 1900 + DETECTOR_SILENCE_MS));
    CHECK(!detector_is_alive(&d, 1901 + DETECTOR_SILENCE_MS));
    detector_pace(&d, false, 2000); /* that is nothing new */
    CHECK(!detector_is_alive(&d, 2000 + DETECTOR_SILENCE_MS));
    detector_heard(&d, 2100);
    CHECK(detector_is_alive(&d, 2100 + DETECTOR_SILENCE_MS));
}
