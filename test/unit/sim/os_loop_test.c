#include "os/loop.h"

#include "harness.h"
#include "sim/os_sim.h"

#define JOBS 6u

struct world {
    struct sim_disk *disk;
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    struct os_event events[8];
};

static void world_open(struct world *w, uint64_t seed) {
    static const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    *w = (struct world){ .disk = sim_disk_create(1) };
    w->os = sim_os_create(seed, w->disk);
    w->loop = os_loop_create(w->os);
    w->pool = os_pool_create(w->os, threads);
}

static void world_close(struct world *w) {
    os_pool_destroy(w->pool);
    os_loop_destroy(w->loop);
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

struct work {
    struct os_job job;
    uint32_t *run_count; /* of all jobs together */
    uint32_t place;      /* 1.. in the order of running; 0 = has not run */
    bool done;
};

static void run_work(struct os_job *job) {
    struct work *work = LIST_ENTRY(job, struct work, job);
    work->place = ++*work->run_count;
}

static void finish_work(struct os_job *job) {
    LIST_ENTRY(job, struct work, job)->done = true;
}

/* Submit all jobs and tell their order as one number. */
static uint64_t order_of_jobs(uint64_t seed) {
    struct world w;
    struct work all[JOBS];
    uint32_t run_count = 0;
    world_open(&w, seed);
    for (uint32_t i = 0; i < JOBS; i++) {
        all[i] = (struct work){ .run_count = &run_count,
                                .job = { .loop = w.loop, .run = run_work, .done = finish_work } };
        os_pool_submit(w.pool, OS_JOB_SYNC, &all[i].job);
        CHECK_EQ(run_count, 0);
    }
    uint64_t order = 0;
    for (uint32_t i = 0; i < JOBS; i++) {
        CHECK_EQ(os_loop_wait(w.loop, UINT32_MAX, w.events, 8), 1);
        CHECK_EQ(w.events[0].kind, OS_EVENT_JOB);
        CHECK_EQ(run_count, i + 1);
        w.events[0].job->done(w.events[0].job);
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        CHECK(all[i].done);
        order = order * 10 + all[i].place;
    }
    world_close(&w);
    return order;
}

/* One job runs per wait, never inside submit; the seed alone decides the order. */
TEST(os_loop, jobs_run_in_a_seeded_order) {
    uint32_t different = 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        const uint64_t order = order_of_jobs(seed);
        CHECK_EQ(order, order_of_jobs(seed));
        different += order != order_of_jobs(seed + 1);
    }
    CHECK(different > 10);
}

/* With nothing to do, time leaps to the next timer and no further than allowed. */
TEST(os_loop, time_leaps_to_the_next_timer) {
    struct world w;
    world_open(&w, 1);
    struct os_timer late;
    struct os_timer early;
    const uint64_t start_ms = os_loop_now_ms(w.loop);
    os_timer_init(&late, NULL, 1);
    os_timer_init(&early, NULL, 2);
    os_timer_arm(w.loop, &late, start_ms + 1000);
    os_timer_arm(w.loop, &early, start_ms + 500);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, 8), 0);
    CHECK_EQ(os_loop_wait(w.loop, 499, w.events, 8), 0);
    CHECK_EQ(os_loop_now_ms(w.loop), start_ms + 499);
    CHECK_EQ(os_loop_wait(w.loop, UINT32_MAX, w.events, 8), 1);
    CHECK_EQ(w.events[0].tag, 2);
    CHECK_EQ(os_loop_now_ms(w.loop), start_ms + 500);
    os_timer_disarm(w.loop, &late);
    CHECK_EQ(os_loop_wait(w.loop, 5000, w.events, 8), 0);
    CHECK_EQ(os_loop_now_ms(w.loop), start_ms + 5500);
    CHECK_ABORTS(os_loop_wait(w.loop, UINT32_MAX, w.events, 8));
    world_close(&w);
}

/* Timers of one moment fire in the order of arming, and one that is disarmed by
 * another of its batch is not given. */
TEST(os_loop, disarm_in_the_batch) {
    struct world w;
    world_open(&w, 1);
    struct os_timer timers[3];
    for (uint32_t i = 0; i < 3; i++) {
        os_timer_init(&timers[i], NULL, i);
        os_timer_arm(w.loop, &timers[i], os_loop_now_ms(w.loop) + 10);
    }
    sim_os_advance_ms(w.os, 10);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, 8), 3);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(w.events[i].tag, i);
    os_timer_disarm(w.loop, &timers[1]);
    os_timer_arm(w.loop, &timers[2], os_loop_now_ms(w.loop) + 10);
    CHECK_EQ(w.events[1].kind, OS_EVENT_WAKE);
    CHECK_EQ(w.events[2].kind, OS_EVENT_WAKE);
    CHECK_EQ(os_loop_wait(w.loop, 100, w.events, 8), 1);
    CHECK_EQ(w.events[0].tag, 2);
    world_close(&w);
}

/* A wake is told once, and destroying the pool runs its jobs for the loop to end. */
TEST(os_loop, wake_and_pool_destroy) {
    struct world w;
    world_open(&w, 1);
    os_loop_wake(w.loop);
    os_loop_wake(w.loop);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, 8), 1);
    CHECK_EQ(w.events[0].kind, OS_EVENT_WAKE);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, 8), 0);

    uint32_t run_count = 0;
    struct work work = { .run_count = &run_count,
                         .job = { .loop = w.loop, .run = run_work, .done = finish_work } };
    os_pool_submit(w.pool, OS_JOB_READ, &work.job);
    os_pool_destroy(w.pool);
    w.pool = NULL;
    CHECK_EQ(run_count, 1);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, 8), 1);
    CHECK(w.events[0].job == &work.job);
    world_close(&w);
}
