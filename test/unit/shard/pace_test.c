/* What is under way in the background follows how long answers take. */
#include "shard/pace.h"

#include "harness.h"

#define MS UINT64_C(1000000)
#define RECORD 4096u

/* A receiver that takes `rate` bytes a millisecond, with a queue of everybody's; returns the
 * bytes that lie in it at the end, on top of what takes `base_ms`. */
static uint64_t run(struct pace *p, uint64_t rate, uint64_t base_ms, uint32_t ms) {
    static uint64_t sent_ms[1u << 20];
    uint64_t head = 0, tail = 0, credit = 0;
    for (uint64_t now = 1; now <= ms; now++) {
        while (pace_may_send(p) && tail < 1u << 20) {
            pace_sent(p, RECORD);
            sent_ms[tail++] = now;
        }
        credit = head == tail ? 0 : credit + rate;
        while (head < tail && credit >= RECORD && sent_ms[head] + base_ms <= now) {
            pace_answered(p, RECORD, sent_ms[head++] * MS, now * MS);
            credit -= RECORD;
        }
        if (credit > rate * 2) credit = rate * 2;
    }
    return p->flight_bytes;
}

TEST(pace, grows_while_answers_come_soon) {
    struct pace p = { 0 };
    CHECK(run(&p, 1u << 20, 2, 500) > PACE_WINDOW_MAX / 4);
    CHECK_EQ(p.window_bytes, PACE_WINDOW_MAX);
    CHECK(pace_check(&p));
}

TEST(pace, keeps_the_queue_of_a_slow_receiver_short) {
    struct pace p = { 0 };
    const uint64_t rate = 64 * 1024; /* 62 MiB a second */
    const uint64_t queued = run(&p, rate, 2, 4000);
    CHECK(queued <= 24 * rate); /* some twenty milliseconds; all of the window would be 64 */
    CHECK(queued >= PACE_WINDOW_MIN);
}

TEST(pace, never_stops) {
    struct pace p = { 0 };
    (void)run(&p, 64 * 1024, 2, 1000);
    CHECK(run(&p, 64, 2, 60000) <= PACE_WINDOW_MAX);
    CHECK(p.window_bytes >= PACE_WINDOW_MIN);
}

/* A bad minute of the disk is one cut for all that was under way, and is forgotten. */
TEST(pace, shrinks_once_for_one_wait) {
    struct pace p = { 0 };
    (void)run(&p, 1u << 20, 2, 500);
    struct pace q = { .window_bytes = PACE_WINDOW_MAX, .least_ns = 2 * MS, .period_ns = 900 * MS };
    for (uint32_t i = 0; i < 512; i++) pace_sent(&q, RECORD);
    for (uint32_t i = 0; i < 512; i++) pace_answered(&q, RECORD, 1000 * MS, 1100 * MS);
    CHECK_EQ(q.window_bytes, PACE_WINDOW_MAX - PACE_WINDOW_MAX / 4);
    CHECK_EQ(q.flight_bytes, 0);
}
