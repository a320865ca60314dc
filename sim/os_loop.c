/* The loop of the simulated world. */
#include "os/loop.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/net_internal.h"
#include "sim/os_sim_internal.h"

#define FOREVER_MS UINT32_MAX

static bool loop_check(const struct os_loop *loop) {
    if (loop->os == NULL) return false;
    if (loop->fired_count > SIM_FIRED_PER_WAIT_MAX) return false;
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
    list_init(&loop->ready);
    list_append(&os->loops, &loop->link);
    read_clocks(loop);
    return loop;
}

/* Sockets that outlive the loop must not point to it. */
static void forget_all(struct os_loop *loop) {
    struct os *os = loop->os;
    loop->batch_events = NULL;
    for (uint32_t i = 0; i < os->sock_count; i++)
        if (os->socks[i] != NULL && os->socks[i]->loop == loop) sim_loop_forget(os->socks[i]);
    ASSERT(list_is_empty(&loop->ready));
}

void os_loop_destroy(struct os_loop *loop) {
    if (loop == NULL) return;
    ASSERT(loop_check(loop));
    ASSERT(sim_jobs_of(loop->os, loop) == 0);
    forget_all(loop);
    list_remove(&loop->link);
    mem_free(loop);
}

/* ---- sockets ---- */

STATUS os_loop_watch(struct os_loop *loop, struct os_sock s, void *user, uint32_t tag) {
    ASSERT(loop_check(loop));
    ASSERT(s.os == loop->os);
    struct sock *sock = sock_of(s);
    ASSERT(sock->loop == NULL);
    sock->loop = loop;
    sock->user = user;
    sock->tag = tag;
    sock->batch = 0;
    sim_loop_edge(sock);
    return status_of(ST_OK);
}

void os_loop_unwatch(struct os_loop *loop, struct os_sock s) {
    ASSERT(loop_check(loop));
    struct sock *sock = sock_of(s);
    ASSERT(sock->loop == loop);
    sim_loop_forget(sock);
}

/* Make an event in the owner's array one that does no harm. */
static void take_back(struct os_loop *loop, uint32_t index) {
    if (loop->batch_events == NULL) return;
    loop->batch_events[index] = (struct os_event){ .kind = OS_EVENT_WAKE };
}

void sim_loop_forget(struct sock *s) {
    struct os_loop *loop = s->loop;
    if (loop == NULL) return;
    ASSERT(loop_check(loop));
    list_remove(&s->ready_link);
    if (s->batch == loop->batch) take_back(loop, s->batch_index);
    s->loop = NULL;
    s->user = NULL;
    s->batch = 0;
    ASSERT(s->ready_link.next == &s->ready_link);
}

void sim_loop_edge(struct sock *s) {
    ASSERT(s != NULL);
    if (s->loop == NULL) return;
    ASSERT(s->loop->os == s->os);
    const bool listed = s->ready_link.next != &s->ready_link;
    if (!listed) list_append(&s->loop->ready, &s->ready_link);
}

/* As epoll does when it is edge-triggered: that something happened decides whether a
 * socket is told, all that it is ready for now is what is told. */
static uint32_t take_sockets(struct os_loop *loop, struct os_event *events, uint32_t used,
                             uint32_t max) {
    while (used < max) {
        struct list *node = list_take_first(&loop->ready);
        if (node == NULL) break;
        struct sock *s = LIST_ENTRY(node, struct sock, ready_link);
        ASSERT(s->loop == loop);
        const uint32_t ready = sock_ready(s);
        if (ready == 0) continue;
        s->batch = loop->batch;
        s->batch_index = used;
        events[used++] = (struct os_event){
            .kind = OS_EVENT_SOCKET, .ready = ready, .user = s->user, .tag = s->tag
        };
    }
    ASSERT(used <= max);
    return used;
}

/* ---- timers and clocks ---- */

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
        take_back(loop, loop->fired[i].index);
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
    while (used < max && loop->fired_count < SIM_FIRED_PER_WAIT_MAX) {
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
    struct os_job *job = finished != NULL ? LIST_ENTRY(finished, struct os_job, link)
                                          : sim_run_one_job(loop->os, loop);
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

/* Every job of this loop that is done. */
static uint32_t take_finished(struct os_loop *loop, struct os_event *events, uint32_t used,
                              uint32_t max) {
    while (used < max) {
        struct list *node = list_take_first(&loop->finished);
        if (node == NULL) break;
        struct os_job *job = LIST_ENTRY(node, struct os_job, link);
        events[used++] = (struct os_event){ .kind = OS_EVENT_JOB, .job = job };
    }
    ASSERT(used <= max);
    return used;
}

/* All that is due. A quarter stays free for sockets, however many timers and jobs there
 * are. Jobs come before or after timers, as the dice fall. */
static uint32_t gather_due(struct os_loop *loop, struct os_event *events, uint32_t max) {
    ASSERT(loop->os->driven);
    ASSERT(max > 0);
    const uint32_t most = max - max / 4;
    uint32_t used = 0;
    sim_run_due_jobs(loop->os);
    if (loop->woken) events[used++] = (struct os_event){ .kind = OS_EVENT_WAKE };
    loop->woken = false;
    if (sim_random_chance(&loop->os->random, 1, 2)) {
        used = take_finished(loop, events, used, most);
        used = take_timers(loop, events, used, most);
    } else {
        used = take_timers(loop, events, used, most);
        used = take_finished(loop, events, used, most);
    }
    return take_sockets(loop, events, used, max);
}

uint64_t sim_loop_due_ns(const struct os_loop *loop) {
    ASSERT(loop_check(loop));
    const struct os *os = loop->os;
    ASSERT(os->driven);
    if (loop->woken) return os->world_ns;
    if (!list_is_empty(&loop->finished) || !list_is_empty(&loop->ready)) return os->world_ns;
    const uint64_t job_ns = sim_jobs_due_ns(os, loop);
    if (list_is_empty(&loop->timers)) return job_ns;
    const uint64_t deadline_ms = LIST_ENTRY(loop->timers.next, struct os_timer, link)->deadline_ms;
    if (deadline_ms > SIM_NEVER_NS / NS_PER_MS) return job_ns;
    const uint64_t timer_ns = sim_os_world_ns_of(os, deadline_ms * NS_PER_MS);
    return timer_ns < job_ns ? timer_ns : job_ns;
}

uint32_t os_loop_wait(struct os_loop *loop, uint32_t wait_ms, struct os_event *ret_events,
                      uint32_t max) {
    ASSERT(loop_check(loop));
    ASSERT(ret_events != NULL || max == 0);
    loop->batch++;
    loop->batch_events = ret_events;
    loop->fired_count = 0;
    if (max == 0) return 0;

    read_clocks(loop);
    if (loop->os->driven) return gather_due(loop, ret_events, max);
    const uint64_t end_ms = wait_ms == FOREVER_MS ? UINT64_MAX : os_loop_now_ms(loop) + wait_ms;
    uint32_t used = gather(loop, ret_events, max);
    if (used > 0 || wait_ms == 0) return used;
    pass_time(loop, end_ms);
    used = gather(loop, ret_events, max);
    ASSERT(loop_check(loop));
    return used;
}
