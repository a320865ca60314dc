/* The loop of the simulated world, and the pool whose jobs it runs itself. */
#include "os/loop.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/os_sim_internal.h"

#define FIRED_PER_WAIT_MAX 64u /* timers in one batch */
#define FOREVER_MS UINT32_MAX

/* A timer whose event is in the batch the owner works on. */
struct fired {
    const struct os_timer *timer; /* only compared: its owner may have freed it */
    uint32_t index;               /* of its event in the batch */
};

struct os_loop {
    struct os *os;
    uint64_t now_ns;               /* as of the last os_loop_wait */
    uint64_t wall_ms;              /* likewise */
    bool woken;                    /* os_loop_wake was called since its last event */
    struct list timers;            /* armed; by deadline, then in the order of arming */
    struct list finished;          /* jobs that ran when their pool was destroyed */
    struct os_event *batch_events; /* the owner's array; NULL before the first batch */
    uint32_t fired_count;          /* of `fired` */
    struct fired fired[FIRED_PER_WAIT_MAX];
};

struct os_pool {
    struct os *os;
    uint32_t threads[OS_JOB_KINDS]; /* as asked for: a kind without any takes no jobs */
};

/* ---- pool ---- */

struct os_pool *os_pool_create(struct os *os, const uint32_t threads[OS_JOB_KINDS]) {
    ASSERT(os != NULL);
    ASSERT(threads != NULL);
    struct os_pool *pool = mem_alloc_zeroed(sizeof *pool);
    pool->os = os;
    memcpy(pool->threads, threads, sizeof pool->threads);
    return pool;
}

static uint32_t count_jobs(const struct os *os, const struct os_loop *loop) {
    uint32_t count = 0;
    for (const struct list *node = os->jobs.next; node != &os->jobs; node = node->next)
        count += loop == NULL || LIST_ENTRY(node, struct os_job, link)->loop == loop;
    return count;
}

/* Take one of the jobs of `loop` (NULL = any), chosen by the dice, and run it. */
static struct os_job *run_one_job(struct os *os, const struct os_loop *loop) {
    const uint32_t count = count_jobs(os, loop);
    if (count == 0) return NULL;
    uint64_t skip = sim_random_below(&os->random, count);
    struct list *node = os->jobs.next;
    for (;; node = node->next) {
        ASSERT(node != &os->jobs);
        if (loop != NULL && LIST_ENTRY(node, struct os_job, link)->loop != loop) continue;
        if (skip-- == 0) break;
    }
    struct os_job *job = LIST_ENTRY(node, struct os_job, link);
    list_remove(node);
    job->run(job);
    return job;
}

void os_pool_destroy(struct os_pool *pool) {
    if (pool == NULL) return;
    ASSERT(pool->os != NULL);
    for (;;) {
        struct os_job *job = run_one_job(pool->os, NULL);
        if (job == NULL) break;
        sim_loop_finish(job);
    }
    ASSERT(list_is_empty(&pool->os->jobs));
    mem_free(pool);
}

void os_pool_submit(struct os_pool *pool, enum os_job_kind kind, struct os_job *job) {
    ASSERT(kind < OS_JOB_KINDS);
    ASSERT(pool->threads[kind] > 0); /* or it would wait for ever */
    ASSERT(job->loop != NULL);
    ASSERT(job->run != NULL);
    ASSERT(job->done != NULL);
    list_append(&pool->os->jobs, &job->link);
}

/* ---- loop ---- */

static bool loop_check(const struct os_loop *loop) {
    if (loop->os == NULL) return false;
    if (loop->fired_count > FIRED_PER_WAIT_MAX) return false;
    if (loop->now_ns > loop->os->mono_ns) return false;
    return true;
}

static void read_clocks(struct os_loop *loop) {
    loop->now_ns = loop->os->mono_ns;
    loop->wall_ms = os_wall_ms(loop->os);
    ASSERT(loop_check(loop));
}

struct os_loop *os_loop_create(struct os *os) {
    ASSERT(os != NULL);
    struct os_loop *loop = mem_alloc_zeroed(sizeof *loop);
    loop->os = os;
    list_init(&loop->timers);
    list_init(&loop->finished);
    read_clocks(loop);
    return loop;
}

void os_loop_destroy(struct os_loop *loop) {
    if (loop == NULL) return;
    ASSERT(loop_check(loop));
    ASSERT(count_jobs(loop->os, loop) == 0);
    mem_free(loop);
}

STATUS os_loop_watch(struct os_loop *loop, struct os_sock s, void *user, uint32_t tag) {
    ASSERT(loop_check(loop));
    ASSERT(s.os == loop->os);
    (void)user, (void)tag;
    return status_of(ST_IO);
}

void os_timer_init(struct os_timer *t, void *user, uint32_t tag) {
    ASSERT(t != NULL);
    *t = (struct os_timer){ .user = user, .tag = tag };
    list_init(&t->link);
}

void os_timer_disarm(struct os_loop *loop, struct os_timer *t) {
    ASSERT(loop_check(loop));
    ASSERT(t != NULL);
    if (t->armed) list_remove(&t->link);
    t->armed = false;
    for (uint32_t i = 0; i < loop->fired_count; i++) {
        if (loop->fired[i].timer != t) continue;
        loop->batch_events[loop->fired[i].index] = (struct os_event){ .kind = OS_EVENT_WAKE };
        loop->fired[i].timer = NULL;
    }
}

void os_timer_arm(struct os_loop *loop, struct os_timer *t, uint64_t deadline_ms) {
    os_timer_disarm(loop, t);
    struct list *before = loop->timers.prev;
    while (before != &loop->timers &&
           LIST_ENTRY(before, struct os_timer, link)->deadline_ms > deadline_ms)
        before = before->prev;
    list_append(before->next, &t->link); /* in front of the next one */
    t->deadline_ms = deadline_ms;
    t->armed = true;
    ASSERT(t->link.prev == before);
}

uint64_t os_loop_now_ms(const struct os_loop *loop) {
    return loop->now_ns / NS_PER_MS;
}

uint64_t os_loop_now_ns(const struct os_loop *loop) {
    return loop->now_ns;
}

uint64_t os_loop_wall_ms(const struct os_loop *loop) {
    return loop->wall_ms;
}

void os_loop_wake(struct os_loop *loop) {
    ASSERT(loop != NULL);
    loop->woken = true;
}

void sim_loop_finish(struct os_job *job) {
    ASSERT(job->loop != NULL);
    list_append(&job->loop->finished, &job->link);
}

/* The first timer, if its time has come. */
static struct os_timer *take_due_timer(struct os_loop *loop) {
    if (list_is_empty(&loop->timers)) return NULL;
    struct os_timer *t = LIST_ENTRY(loop->timers.next, struct os_timer, link);
    ASSERT(t->armed);
    if (t->deadline_ms > os_loop_now_ms(loop)) return NULL;
    list_remove(&t->link);
    t->armed = false;
    return t;
}

static uint32_t take_timers(struct os_loop *loop, struct os_event *events, uint32_t used,
                            uint32_t max) {
    while (used < max && loop->fired_count < FIRED_PER_WAIT_MAX) {
        struct os_timer *t = take_due_timer(loop);
        if (t == NULL) break;
        loop->fired[loop->fired_count++] = (struct fired){ .timer = t, .index = used };
        events[used++] =
            (struct os_event){ .kind = OS_EVENT_TIMER, .user = t->user, .tag = t->tag };
    }
    ASSERT(used <= max);
    return used;
}

static uint32_t take_job(struct os_loop *loop, struct os_event *events, uint32_t used,
                         uint32_t max) {
    if (used == max) return used;
    struct list *finished = list_take_first(&loop->finished);
    struct os_job *job =
        finished != NULL ? LIST_ENTRY(finished, struct os_job, link) : run_one_job(loop->os, loop);
    if (job != NULL) events[used++] = (struct os_event){ .kind = OS_EVENT_JOB, .job = job };
    ASSERT(used <= max);
    return used;
}

/* Whatever is there now: a wake-up, due timers, and at most one job. A timer
 * comes before or after a job of the same moment, as the dice fall. */
static uint32_t gather(struct os_loop *loop, struct os_event *events, uint32_t max) {
    ASSERT(max > 0);
    uint32_t used = 0;
    if (loop->woken) events[used++] = (struct os_event){ .kind = OS_EVENT_WAKE };
    loop->woken = false;
    if (sim_random_chance(&loop->os->random, 1, 2)) {
        used = take_job(loop, events, used, max);
        return take_timers(loop, events, used, max);
    }
    used = take_timers(loop, events, used, max);
    return take_job(loop, events, used, max);
}

/* Let time pass until the next timer, but not past `end_ms`. */
static void pass_time(struct os_loop *loop, uint64_t end_ms) {
    uint64_t until_ms = end_ms;
    if (!list_is_empty(&loop->timers)) {
        const struct os_timer *first = LIST_ENTRY(loop->timers.next, struct os_timer, link);
        if (first->deadline_ms < until_ms) until_ms = first->deadline_ms;
    }
    /* Alone in its world, nothing could ever end this wait. */
    ASSERT(until_ms != UINT64_MAX);
    const uint64_t now_ms = os_loop_now_ms(loop);
    if (until_ms > now_ms) sim_os_advance_ms(loop->os, until_ms - now_ms);
    read_clocks(loop);
}

uint32_t os_loop_wait(struct os_loop *loop, uint32_t wait_ms, struct os_event *ret_events,
                      uint32_t max) {
    ASSERT(loop_check(loop));
    ASSERT(ret_events != NULL || max == 0);
    loop->batch_events = ret_events;
    loop->fired_count = 0;
    if (max == 0) return 0;

    read_clocks(loop);
    const uint64_t end_ms = wait_ms == FOREVER_MS ? UINT64_MAX : os_loop_now_ms(loop) + wait_ms;
    uint32_t used = gather(loop, ret_events, max);
    if (used > 0 || wait_ms == 0) return used;
    pass_time(loop, end_ms);
    used = gather(loop, ret_events, max);
    ASSERT(loop_check(loop));
    return used;
}
