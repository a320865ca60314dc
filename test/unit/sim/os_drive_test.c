/* tidy: integration: a driven node is the work of os_sim.c, os_pool.c and os_loop.c together. */
#include "base/mem.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/thread.h"
#include "sim/net.h"
#include "sim/os_sim.h"
#include "test/unit/harness.h"

#include <setjmp.h>

#define S_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)
#define US_NS UINT64_C(1000)
#define EVENTS 8u
#define JOBS 8u

struct world {
    struct sim_disk *disk;
    struct os *os;
    struct os_loop *loops[2];
    struct os_pool *pool;
    struct os_event events[EVENTS];
};

static void open_world(struct world *w, uint64_t seed) {
    static const uint32_t threads[OS_JOB_KINDS] = { 1, 4, 1 };
    *w = (struct world){ .disk = sim_disk_create(1) };
    w->os = sim_os_create(seed, w->disk);
    sim_os_drive(w->os, 0);
    for (uint32_t i = 0; i < 2; i++) w->loops[i] = os_loop_create(w->os);
    w->pool = os_pool_create(w->os, threads);
}

static void close_world(struct world *w) {
    os_pool_destroy(w->pool);
    for (uint32_t i = 0; i < 2; i++) os_loop_destroy(w->loops[i]);
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

/* The world's clock decides: waiting passes no time, a clock that drifts gains what it was
 * told, from then on, and the wall clock can be set apart. */
TEST(os_drive, clocks) {
    struct world w;
    open_world(&w, 1);
    const uint64_t start_ns = os_mono_ns(w.os);
    CHECK_EQ(os_wall_ms(w.os), SIM_WALL_START_MS);
    CHECK_EQ(os_loop_wait(w.loops[0], UINT32_MAX, w.events, EVENTS), 0);
    CHECK_EQ(os_mono_ns(w.os), start_ns);
    sim_os_now(w.os, S_NS);
    CHECK_EQ(os_mono_ns(w.os), start_ns + S_NS);
    CHECK_EQ(os_wall_ms(w.os), SIM_WALL_START_MS + 1000);
    sim_os_set_drift_ppm(w.os, 250);
    sim_os_now(w.os, 11 * S_NS);
    CHECK_EQ(os_mono_ns(w.os), start_ns + 11 * S_NS + 2500 * US_NS);
    sim_os_set_drift_ppm(w.os, -250);
    sim_os_now(w.os, 21 * S_NS);
    CHECK_EQ(os_mono_ns(w.os), start_ns + 21 * S_NS);
    sim_os_set_wall_ms(w.os, 5);
    sim_os_now(w.os, 21 * S_NS + 3 * MS_NS);
    CHECK(os_wall_ms(w.os) >= 7);
    CHECK(os_wall_ms(w.os) <= 8);
    CHECK_ABORTS(sim_os_now(w.os, 20 * S_NS));
    CHECK_ABORTS(sim_os_advance_ms(w.os, 1));
    CHECK_ABORTS(os_sleep_ms(w.os, 1));
    close_world(&w);
}

/* A timer is due at the world time at which the node's own clock shows its deadline: not a
 * nanosecond before, whatever the drift. */
TEST(os_drive, timers_follow_the_drift) {
    static const int32_t drifts_ppm[] = { 0, 137, -137, 300000, -300000 };
    for (size_t i = 0; i < sizeof drifts_ppm / sizeof *drifts_ppm; i++) {
        struct world w;
        struct os_timer t;
        open_world(&w, 1);
        sim_os_now(w.os, 12345678);
        sim_os_set_drift_ppm(w.os, drifts_ppm[i]);
        CHECK_EQ(sim_os_due_ns(w.os), UINT64_MAX);
        CHECK_EQ(os_loop_wait(w.loops[1], 0, w.events, EVENTS), 0);
        os_timer_init(&t, &w, 3);
        os_timer_arm(w.loops[1], &t, os_loop_now_ms(w.loops[1]) + 777);
        const uint64_t due_ns = sim_os_due_ns(w.os);
        CHECK_EQ(sim_loop_due_ns(w.loops[1]), due_ns);
        CHECK_EQ(sim_loop_due_ns(w.loops[0]), UINT64_MAX);
        sim_os_now(w.os, due_ns - 1);
        CHECK_EQ(os_loop_wait(w.loops[1], 1000, w.events, EVENTS), 0);
        CHECK_EQ(sim_os_due_ns(w.os), due_ns);
        sim_os_now(w.os, due_ns);
        CHECK_EQ(os_loop_wait(w.loops[1], 1000, w.events, EVENTS), 1);
        CHECK_EQ(w.events[0].tag, 3);
        os_timer_arm(w.loops[1], &t, UINT64_MAX);
        CHECK_EQ(sim_os_due_ns(w.os), UINT64_MAX);
        os_timer_disarm(w.loops[1], &t);
        os_loop_wake(w.loops[0]);
        CHECK_EQ(sim_os_due_ns(w.os), due_ns);
        CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 1);
        CHECK_EQ(w.events[0].kind, OS_EVENT_WAKE);
        close_world(&w);
    }
}

struct work {
    struct os_job job;
    struct os *os;
    uint32_t *run_count; /* of all jobs together */
    uint32_t sleep_ms;   /* what `run` sleeps */
    uint32_t place;      /* 1.. in the order of running; 0 = has not run */
    uint64_t saw_ns;     /* the monotonic clock at the end of `run` */
};

static void run_work(struct os_job *job) {
    struct work *work = LIST_ENTRY(job, struct work, job);
    if (work->sleep_ms > 0) os_sleep_ms(work->os, work->sleep_ms);
    work->place = ++*work->run_count;
    work->saw_ns = os_mono_ns(work->os);
}

static void done_work(struct os_job *job) {
    (void)job;
}

static struct work work_of(struct world *w, uint32_t loop, uint32_t *run_count) {
    return (struct work){
        .os = w->os,
        .run_count = run_count,
        .job = { .loop = w->loops[loop], .run = run_work, .done = done_work },
    };
}

/* A job runs when its time is over, not before; jobs of one thread queue, and any loop of
 * the node runs them but only their own is told. */
TEST(os_drive, jobs_take_time) {
    struct world w;
    uint32_t run_count = 0;
    open_world(&w, 1);
    sim_os_set_latency_us(w.os, OS_JOB_SYNC, 300, 300);
    struct work a = work_of(&w, 0, &run_count);
    struct work b = work_of(&w, 1, &run_count);
    os_pool_submit(w.pool, OS_JOB_SYNC, &a.job);
    os_pool_submit(w.pool, OS_JOB_SYNC, &b.job);
    CHECK_EQ(sim_loop_due_ns(w.loops[0]), 300 * US_NS);
    CHECK_EQ(sim_loop_due_ns(w.loops[1]), 600 * US_NS);
    sim_os_now(w.os, 300 * US_NS - 1);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 0);
    CHECK_EQ(run_count, 0);
    sim_os_now(w.os, 700 * US_NS);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 1);
    CHECK(w.events[0].job == &a.job);
    CHECK_EQ(run_count, 2);
    CHECK_EQ(a.place, 1);
    CHECK_EQ(sim_loop_due_ns(w.loops[1]), 700 * US_NS);
    CHECK_EQ(os_loop_wait(w.loops[1], 0, w.events, EVENTS), 1);
    CHECK(w.events[0].job == &b.job);

    /* Reads have four threads: they overlap, and end in the order of their dice. */
    struct work reads[JOBS];
    sim_os_set_latency_us(w.os, OS_JOB_READ, 100, 900);
    for (uint32_t i = 0; i < JOBS; i++) {
        reads[i] = work_of(&w, 0, &run_count);
        os_pool_submit(w.pool, OS_JOB_READ, &reads[i].job);
    }
    run_count = 0;
    uint32_t told = 0;
    bool in_order = true;
    while (told < JOBS) {
        const uint64_t due_ns = sim_os_due_ns(w.os);
        CHECK(due_ns <= 700 * US_NS + 1800 * US_NS);
        sim_os_now(w.os, due_ns);
        told += os_loop_wait(w.loops[0], 0, w.events, EVENTS);
        CHECK_EQ(run_count, told);
    }
    for (uint32_t i = 0; i < JOBS; i++) in_order = in_order && reads[i].place == i + 1;
    CHECK(!in_order);
    CHECK_EQ(sim_os_due_ns(w.os), UINT64_MAX);
    close_world(&w);
}

/* A stall makes those SYNC jobs late that begin in its window, and no others. */
TEST(os_drive, stalls) {
    struct world w;
    uint32_t run_count = 0;
    open_world(&w, 1);
    sim_os_set_latency_us(w.os, OS_JOB_SYNC, 100, 100);
    sim_os_set_latency_us(w.os, OS_JOB_READ, 100, 100);
    sim_os_stall(w.os, S_NS, 3000000);
    struct work first = work_of(&w, 0, &run_count);
    struct work second = work_of(&w, 0, &run_count);
    struct work read = work_of(&w, 1, &run_count);
    os_pool_submit(w.pool, OS_JOB_SYNC, &first.job);
    os_pool_submit(w.pool, OS_JOB_SYNC, &second.job); /* begins after the window */
    os_pool_submit(w.pool, OS_JOB_READ, &read.job);
    CHECK_EQ(sim_loop_due_ns(w.loops[1]), 100 * US_NS);
    CHECK_EQ(sim_loop_due_ns(w.loops[0]), 3 * S_NS + 100 * US_NS);
    sim_os_now(w.os, 3 * S_NS + 100 * US_NS);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 1);
    CHECK_EQ(sim_loop_due_ns(w.loops[0]), 3 * S_NS + 200 * US_NS);
    close_world(&w);
}

/* What a job sleeps delays its end, and it sees the time pass; nobody sees it go back. */
TEST(os_drive, jobs_sleep) {
    struct world w;
    uint32_t run_count = 0;
    open_world(&w, 1);
    sim_os_set_latency_us(w.os, OS_JOB_BACKGROUND, 1000, 1000);
    const uint64_t start_ns = os_mono_ns(w.os);
    struct work sleeper = work_of(&w, 0, &run_count);
    sleeper.sleep_ms = 50;
    os_pool_submit(w.pool, OS_JOB_BACKGROUND, &sleeper.job);
    sim_os_now(w.os, MS_NS);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 0);
    CHECK_EQ(run_count, 1);
    CHECK_EQ(sleeper.saw_ns, start_ns + 51 * MS_NS);
    CHECK_EQ(os_mono_ns(w.os), start_ns + 51 * MS_NS);
    CHECK_EQ(sim_os_due_ns(w.os), 51 * MS_NS);
    sim_os_now(w.os, 51 * MS_NS);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 1);
    CHECK(w.events[0].job == &sleeper.job);
    CHECK_EQ(run_count, 1);
    CHECK_EQ(os_mono_ns(w.os), start_ns + 51 * MS_NS);
    close_world(&w);
}

/* Destroying the pool ends every job at once, in the order of their times. */
TEST(os_drive, pool_destroy_runs_all) {
    struct world w;
    uint32_t run_count = 0;
    open_world(&w, 1);
    struct work all[3];
    for (uint32_t i = 0; i < 3; i++) {
        all[i] = work_of(&w, 0, &run_count);
        os_pool_submit(w.pool, OS_JOB_SYNC, &all[i].job);
    }
    os_pool_destroy(w.pool);
    w.pool = NULL;
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(all[i].place, i + 1);
    CHECK_EQ(os_loop_wait(w.loops[0], 0, w.events, EVENTS), 3);
    close_world(&w);
}

/* Jobs end in the hash of the run, at their times. */
TEST(os_drive, jobs_are_traced) {
    uint64_t hashes[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct world w;
        struct sim_trace trace = { 0 };
        uint32_t run_count = 0;
        open_world(&w, i == 2 ? 8 : 7);
        sim_os_set_trace(w.os, &trace);
        struct work all[JOBS];
        for (uint32_t k = 0; k < JOBS; k++) {
            all[k] = work_of(&w, 0, &run_count);
            os_pool_submit(w.pool, OS_JOB_SYNC, &all[k].job);
        }
        while (run_count < JOBS) {
            sim_os_now(w.os, sim_os_due_ns(w.os));
            (void)os_loop_wait(w.loops[0], 0, w.events, EVENTS);
        }
        CHECK_EQ(trace.count, JOBS);
        hashes[i] = trace.hash;
        close_world(&w);
    }
    CHECK_EQ(hashes[0], hashes[1]);
    CHECK(hashes[0] != hashes[2]);
}

/* A node that crashed is forgotten: its jobs never run, its files are closed, its lock is
 * free for the next node on the same disk. */
TEST(os_drive, forget) {
    struct world w;
    uint32_t run_count = 0;
    struct os_file lock = { 0 };
    open_world(&w, 1);
    struct sim_net *net = sim_net_create(1);
    struct os_sock s = { 0 };
    CHECK_EQ(sim_net_attach(net, w.os, "10.0.0.1"), 0);
    CHECK_OK(os_sock_listen(w.os, ":7000", false, &s));
    CHECK_OK(os_loop_watch(w.loops[0], s, NULL, 0));
    CHECK_OK(os_file_lock(w.os, "LOCK", &lock));
    struct work work = work_of(&w, 0, &run_count);
    os_pool_submit(w.pool, OS_JOB_SYNC, &work.job);
    sim_os_forget(w.os);
    CHECK_EQ(sim_os_due_ns(w.os), UINT64_MAX);
    CHECK_EQ(run_count, 0);

    struct os *next = sim_os_create(2, w.disk);
    CHECK_OK(os_file_lock(next, "LOCK", &lock));
    sim_os_drive(next, S_NS);
    CHECK_EQ(sim_net_attach(net, next, "10.0.0.1"), 0);
    os_destroy(next);
    close_world(&w);
    sim_net_destroy(net);
}

struct death {
    jmp_buf back;
    char message[32];
};

static void on_die(void *user, const char *message) {
    struct death *d = user;
    CHECK(strlen(message) < sizeof d->message);
    memcpy(d->message, message, strlen(message) + 1);
    longjmp(d->back, 1);
}

/* Who asked for it is told of a node that dies, and gets away; else the process ends. */
TEST(os_drive, die) {
    static struct death d;
    sim_on_die(on_die, &d);
    if (setjmp(d.back) == 0) os_die("a sync failed");
    CHECK_BYTES(bytes_of_string(d.message), BYTES_LIT("a sync failed"));
    sim_on_die(NULL, NULL);
    CHECK_ABORTS(os_die("a sync failed"));
}
