#include "os/pool.h"

#include "harness.h"
#include "os/loop.h"
#include "os/thread.h"

#define JOBS 500u

struct work {
    struct os_job job;
    struct os *os;
    uint32_t run_count;  /* by a pool thread */
    uint32_t done_count; /* by the loop's thread */
};

static void run_work(struct os_job *job) {
    LIST_ENTRY(job, struct work, job)->run_count++;
}

static void finish_work(struct os_job *job) {
    LIST_ENTRY(job, struct work, job)->done_count++;
}

static const uint32_t threads[OS_JOB_KINDS] = { 1, 2, 1 };

/* Every job runs once and is done once, on the loop and never inside submit. */
TEST(pool, jobs_are_done_on_the_loop) {
    static struct work all[JOBS];
    struct os *os = os_create();
    struct os_loop *loop = os_loop_create(os);
    struct os_pool *pool = os_pool_create(os, threads);
    for (uint32_t i = 0; i < JOBS; i++) {
        all[i] = (struct work){ .job = { .loop = loop, .run = run_work, .done = finish_work } };
        os_pool_submit(pool, (enum os_job_kind)(i % OS_JOB_KINDS), &all[i].job);
        CHECK_EQ(all[i].done_count, 0);
    }
    uint32_t done = 0;
    while (done < JOBS) {
        struct os_event events[7];
        const uint32_t count = os_loop_wait(loop, 10000, events, 7);
        CHECK(count > 0);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(events[i].kind, OS_EVENT_JOB);
            events[i].job->done(events[i].job);
            done++;
        }
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        CHECK_EQ(all[i].run_count, 1);
        CHECK_EQ(all[i].done_count, 1);
    }
    os_pool_destroy(pool);
    os_loop_destroy(loop);
    os_destroy(os);
}

static void run_slowly(struct os_job *job) {
    struct work *work = LIST_ENTRY(job, struct work, job);
    os_sleep_ms(work->os, 20);
    work->run_count++;
}

/* Destroying the pool runs what was submitted; `done` is still the loop's to call. */
TEST(pool, destroy_waits_for_jobs) {
    struct os *os = os_create();
    struct os_loop *loop = os_loop_create(os);
    struct os_pool *pool = os_pool_create(os, threads);
    struct work all[3];
    for (uint32_t i = 0; i < 3; i++) {
        all[i] = (struct work){ .os = os,
                                .job = { .loop = loop, .run = run_slowly, .done = finish_work } };
        os_pool_submit(pool, OS_JOB_SYNC, &all[i].job);
    }
    os_pool_destroy(pool);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(all[i].run_count, 1);
    struct os_event events[8];
    CHECK_EQ(os_loop_wait(loop, 0, events, 8), 3);
    os_loop_destroy(loop);
    os_destroy(os);
}

/* A slow job of one kind does not hold up another kind. */
TEST(pool, kinds_do_not_wait_for_each_other) {
    struct os *os = os_create();
    struct os_loop *loop = os_loop_create(os);
    struct os_pool *pool = os_pool_create(os, threads);
    struct work slow = { .os = os,
                         .job = { .loop = loop, .run = run_slowly, .done = finish_work } };
    struct work fast = { .job = { .loop = loop, .run = run_work, .done = finish_work } };
    os_pool_submit(pool, OS_JOB_BACKGROUND, &slow.job);
    os_pool_submit(pool, OS_JOB_SYNC, &fast.job);
    struct os_event event;
    CHECK_EQ(os_loop_wait(loop, 10000, &event, 1), 1);
    CHECK(event.job == &fast.job);
    os_pool_destroy(pool);
    os_loop_destroy(loop);
    os_destroy(os);
}
