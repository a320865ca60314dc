#include "os/wheel.h"

#include "base/mem.h"
#include "harness.h"
#include "sim/random.h"

#define TIMERS 2000u

/* Against a plain list of deadlines: through arming, disarming and leaps of time
 * each timer fires once, never early, and by the first advance that is a tick late. */
TEST(wheel, agrees_with_a_list_of_deadlines) {
    struct sim_random r = sim_random_of(test_seed());
    struct wheel *w = mem_alloc(sizeof *w);
    struct os_timer *timers = mem_alloc_zeroed(TIMERS * sizeof *timers);
    uint64_t now_ms = 123456;
    wheel_init(w, now_ms);
    for (uint32_t i = 0; i < TIMERS; i++) os_timer_init(&timers[i], NULL, i);
    for (uint32_t round = 0; round < 3000; round++) {
        for (uint32_t i = 0; i < 20; i++) {
            struct os_timer *t = &timers[sim_random_below(&r, TIMERS)];
            if (t->armed) wheel_disarm(w, t);
            const uint64_t range_ms = sim_random_chance(&r, 1, 5) ? 100000 : 200;
            if (sim_random_chance(&r, 3, 4))
                wheel_arm(w, t, now_ms + sim_random_below(&r, range_ms));
        }
        const uint64_t next_ms = wheel_next_ms(w);
        now_ms += sim_random_below(&r, sim_random_chance(&r, 1, 100) ? 50000 : 20);
        wheel_advance(w, now_ms);
        for (struct os_timer *t = wheel_take(w); t != NULL; t = wheel_take(w)) {
            CHECK(t->deadline_ms <= now_ms);
            CHECK(next_ms < t->deadline_ms + WHEEL_TICK_MS);
        }
        uint32_t armed_count = 0;
        for (uint32_t i = 0; i < TIMERS; i++) {
            armed_count += timers[i].armed;
            if (timers[i].armed) CHECK(timers[i].deadline_ms + WHEEL_TICK_MS > now_ms);
        }
        CHECK_EQ(armed_count, w->armed_count);
    }
    mem_free(timers);
    mem_free(w);
}

/* Without timers there is nothing to wait for; a far timer alone is not forgotten. */
TEST(wheel, next_deadline) {
    struct wheel *w = mem_alloc(sizeof *w);
    struct os_timer t;
    os_timer_init(&t, NULL, 0);
    wheel_init(w, 1000);
    CHECK(wheel_next_ms(w) == WHEEL_NEVER);
    wheel_arm(w, &t, UINT64_MAX);
    CHECK(wheel_next_ms(w) > 1000);
    wheel_disarm(w, &t);
    CHECK(wheel_next_ms(w) == WHEEL_NEVER);
    wheel_arm(w, &t, 999);
    CHECK_EQ(wheel_next_ms(w), 1000);
    CHECK(wheel_take(w) == &t);
    CHECK(!t.armed);
    mem_free(w);
}
