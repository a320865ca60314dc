#include "cluster/detector.h"

#include "base/assert.h"

/* More says nothing: the hedge is far below it, and one lost second is forgotten sooner. */
#define ANSWER_US_MAX 1000000u
/* Doubled this often, the wait is past its maximum. */
#define DIAL_DOUBLINGS_MAX 16u

static_assert(DETECTOR_SILENCE_MS > 3 * DETECTOR_HEARTBEAT_MS, "three heartbeats may be lost");
static_assert(DETECTOR_HEDGE_MS_MIN <= DETECTOR_HEDGE_MS_MAX, "a range");
static_assert(DETECTOR_HEDGE_MS_MAX * 1000 < ANSWER_US_MAX, "no capped answer shortens a hedge");
static_assert((uint64_t)DETECTOR_DIAL_MS_MIN << DIAL_DOUBLINGS_MAX >= DETECTOR_DIAL_MS_MAX,
              "the back-off reaches its maximum");

bool detector_check(const struct detector *d) {
    if (d->latency_us > ANSWER_US_MAX) return false;
    if (d->deviation_us > ANSWER_US_MAX) return false;
    if (d->latency_us == 0 && d->deviation_us != 0) return false;
    return d->clock_ahead_ms != INT64_MIN;
}

void detector_init(struct detector *d) {
    *d = (struct detector){ .up = false };
    ASSERT(!d->up);
    ASSERT(detector_check(d));
}

void detector_linked(struct detector *d, uint64_t now_ms) {
    ASSERT(detector_check(d));
    ASSERT(now_ms >= d->heard_ms);
    d->up = true;
    d->heard_ms = now_ms;
}

void detector_lost(struct detector *d) {
    ASSERT(detector_check(d));
    d->up = false;
    if (d->dial_failures < UINT32_MAX) d->dial_failures++;
    ASSERT(d->dial_failures > 0);
}

void detector_heard(struct detector *d, uint64_t now_ms) {
    ASSERT(detector_check(d));
    ASSERT(now_ms >= d->heard_ms);
    d->heard_ms = now_ms;
    /* Only now the dial has succeeded: a node that takes links and drops them at once is
     * not to be dialled without a pause. */
    if (d->up) d->dial_failures = 0;
}

void detector_pace(struct detector *d, bool slow, uint64_t now_ms) {
    ASSERT(detector_check(d));
    ASSERT(now_ms >= d->quick_ms);
    if (d->slow && !slow) d->quick_ms = now_ms;
    d->slow = slow;
}

static uint32_t distance(uint32_t a, uint32_t b) {
    return a > b ? a - b : b - a;
}

/* RFC 6298 section 2, with its alpha of 1/8 and beta of 1/4. */
void detector_answered(struct detector *d, uint64_t took_us) {
    ASSERT(detector_check(d));
    uint32_t sample_us = took_us < ANSWER_US_MAX ? (uint32_t)took_us : ANSWER_US_MAX;
    if (sample_us == 0) sample_us = 1; /* zero stands for no sample yet */
    if (d->latency_us == 0) {
        d->latency_us = sample_us;
        d->deviation_us = sample_us / 2;
    } else {
        d->deviation_us = (3 * d->deviation_us + distance(d->latency_us, sample_us)) / 4;
        d->latency_us = (7 * d->latency_us + sample_us) / 8;
    }
    ASSERT(d->latency_us > 0);
    ASSERT(detector_check(d));
}

/* a - b, held within what fits: a clock far off must not look like one that is right. */
static int64_t difference(uint64_t a, uint64_t b) {
    const uint64_t size = a > b ? a - b : b - a;
    const int64_t held = size < INT64_MAX ? (int64_t)size : INT64_MAX;
    return a > b ? held : -held;
}

void detector_clock(struct detector *d, uint64_t their_wall_ms, uint64_t sent_wall_ms,
                    uint64_t now_wall_ms) {
    ASSERT(detector_check(d));
    /* The clock was read somewhere between the two times, most likely in the middle
     * (Cristian 1989). If that leaves too much room, or our own clock was set meanwhile,
     * the next ping knows better. */
    if (now_wall_ms < sent_wall_ms) return;
    const uint64_t round_trip_ms = now_wall_ms - sent_wall_ms;
    if (round_trip_ms > DETECTOR_SILENCE_MS) return;
    d->clock_ahead_ms = difference(their_wall_ms, sent_wall_ms + round_trip_ms / 2);
    ASSERT(detector_check(d));
}

bool detector_is_alive(const struct detector *d, uint64_t now_ms) {
    ASSERT(detector_check(d));
    ASSERT(now_ms >= d->heard_ms);
    if (!d->up) return false;
    if (d->slow) return now_ms - d->heard_ms <= DETECTOR_SLOW_MS + DETECTOR_SILENCE_MS;
    const uint64_t since_ms = d->heard_ms > d->quick_ms ? d->heard_ms : d->quick_ms;
    return now_ms - since_ms <= DETECTOR_SILENCE_MS;
}

uint32_t detector_hedge_ms(const struct detector *d) {
    ASSERT(detector_check(d));
    const uint32_t wait_us = d->latency_us + 4 * d->deviation_us;
    const uint32_t wait_ms = wait_us / 1000 + (wait_us % 1000 != 0);
    if (wait_ms < DETECTOR_HEDGE_MS_MIN) return DETECTOR_HEDGE_MS_MIN;
    if (wait_ms > DETECTOR_HEDGE_MS_MAX) return DETECTOR_HEDGE_MS_MAX;
    return wait_ms;
}

uint32_t detector_dial_wait_ms(const struct detector *d, uint64_t random) {
    ASSERT(detector_check(d));
    if (d->dial_failures == 0) return 0;
    uint32_t doublings = d->dial_failures - 1;
    if (doublings > DIAL_DOUBLINGS_MAX) doublings = DIAL_DOUBLINGS_MAX;
    uint32_t full_ms = DETECTOR_DIAL_MS_MIN << doublings;
    if (full_ms > DETECTOR_DIAL_MS_MAX) full_ms = DETECTOR_DIAL_MS_MAX;
    const uint32_t half_ms = full_ms / 2;
    const uint32_t wait_ms = half_ms + (uint32_t)(random % (full_ms - half_ms + 1));
    ASSERT(wait_ms <= full_ms);
    return wait_ms;
}
