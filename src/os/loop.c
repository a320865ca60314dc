#include "os/os_internal.h"

#include "os/loop.h"

#include "base/assert.h"
#include "base/mem.h"
#include "os/wheel.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define SOCKETS_PER_WAIT_MAX 512u /* what one epoll_wait is asked for */
#define FIRED_PER_WAIT_MAX 64u    /* timers in one batch; disarming looks through them */
#define WAKE_DATA UINT64_MAX      /* epoll data of the eventfd: no descriptor is this large */
#define FOREVER_MS UINT32_MAX

/* A timer whose event is in the batch the owner works on. */
struct fired {
    const struct os_timer *timer; /* only compared: its owner may have freed it */
    uint32_t index;               /* of its event in the batch */
};

/* Waking a sleeping loop without losing a wake-up, and without a system call
 * when it is awake. A waker first publishes what there is to see (`woken`, or
 * `finished_count`) and then takes `sleeping`; the loop first sets `sleeping`
 * and then looks for what was published. Both do so with sequentially consistent
 * operations, which have one total order: of two threads that each write one
 * word and then read the other's, at least one sees the other's write. So
 * either the loop sees what was published and does not sleep, or the waker sees
 * it asleep and writes to the eventfd. Release and acquire alone would let both
 * reads pass before the writes, and the wake-up be lost.
 *
 * A waker that finds `woken` already set may return: whoever set it has yet to
 * take `sleeping`, or has, or the loop is awake and will look. It sets it by an
 * exchange all the same, not by a load: what the waker wrote before (a message in a
 * mailbox) must be seen by the loop whose later exchange reads that value.
 *
 * The eventfd is watched edge-triggered and never read: every write is an edge,
 * and its counter would take centuries to fill. */
struct os_loop {
    struct os *os;
    int epoll;
    int eventfd;
    uint64_t now_ns;                  /* monotonic, read by os_loop_wait */
    uint64_t wall_ms;                 /* likewise */
    _Atomic(bool) sleeping;           /* the owner is in epoll_wait, or about to be */
    _Atomic(bool) woken;              /* os_loop_wake was called since the last event of it */
    _Atomic(uint32_t) finished_count; /* jobs in `finished` */
    _Atomic(uint32_t) finishing;      /* threads in os_loop_finish */
    pthread_mutex_t finished_lock;    /* guards `finished` */
    struct list finished;             /* struct os_job: has run, `done` not yet called */
    uint32_t watch_count;             /* sockets watched */
    int32_t handle_end;               /* one past the highest descriptor ever watched */
    uint64_t batch;                   /* number of the current batch, 1.. */
    struct os_event *batch_events;    /* the owner's array; NULL before the first batch */
    uint32_t fired_count;             /* of `fired` */
    struct fired fired[FIRED_PER_WAIT_MAX];
    struct epoll_event ready[SOCKETS_PER_WAIT_MAX];
    struct wheel wheel;
};

/* Places for events in the batch being filled. */
struct room {
    struct os_event *events; /* the owner's array */
    uint32_t used;
    uint32_t max;
};

static bool loop_check(const struct os_loop *loop) {
    if (loop->os == NULL) return false;
    if (loop->epoll < 0 || loop->eventfd < 0) return false;
    if (loop->fired_count > FIRED_PER_WAIT_MAX) return false;
    return wheel_check(&loop->wheel);
}

static void read_clocks(struct os_loop *loop) {
    const uint64_t now_ns = os_mono_ns(loop->os);
    ASSERT(now_ns >= loop->now_ns);
    loop->now_ns = now_ns;
    loop->wall_ms = os_wall_ms(loop->os);
}

struct os_loop *os_loop_create(struct os *os) {
    ASSERT(os != NULL);
    struct os_loop *loop = mem_alloc_zeroed(sizeof *loop);
    loop->os = os;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll < 0 || loop->eventfd < 0) os_die("cannot create an event loop");
    struct epoll_event interest = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->eventfd, &interest) != 0)
        os_die("cannot watch the wake-up of an event loop");

    pthread_mutex_init(&loop->finished_lock, NULL);
    list_init(&loop->finished);
    read_clocks(loop);
    wheel_init(&loop->wheel, loop->now_ns / NS_PER_MS);
    ASSERT(loop_check(loop));
    return loop;
}

/* Sockets that outlive the loop must not point to it. */
static void forget_all(struct os_loop *loop) {
    loop->batch_events = NULL;
    for (int32_t handle = 0; handle < loop->handle_end && loop->watch_count > 0; handle++) {
        struct watch *w = os_watch_of(loop->os, handle);
        if (atomic_load(&w->loop) == loop) os_loop_forget(loop, w);
    }
    ASSERT(loop->watch_count == 0);
}

void os_loop_destroy(struct os_loop *loop) {
    if (loop == NULL) return;
    ASSERT(loop_check(loop));
    forget_all(loop);
    while (atomic_load_explicit(&loop->finishing, memory_order_acquire) > 0) sched_yield();
    close(loop->eventfd);
    close(loop->epoll);
    pthread_mutex_destroy(&loop->finished_lock);
    mem_free(loop);
}

STATUS os_loop_watch(struct os_loop *loop, struct os_sock s, void *user, uint32_t tag) {
    ASSERT(loop_check(loop));
    ASSERT(s.os == loop->os);
    struct watch *w = os_watch_of(s.os, s.handle);
    struct os_loop *before = atomic_load_explicit(&w->loop, memory_order_acquire);
    ASSERT(before == NULL);

    w->user = user;
    w->tag = tag;
    w->generation++;
    w->batch = 0;
    struct epoll_event interest = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = (uint64_t)w->generation << 32 | (uint32_t)s.handle,
    };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, s.handle, &interest) != 0)
        return status_of(errno == ENOSPC ? ST_FULL : ST_IO);
    atomic_store_explicit(&w->loop, loop, memory_order_release);
    loop->watch_count++;
    if (s.handle >= loop->handle_end) loop->handle_end = s.handle + 1;
    return status_of(ST_OK);
}

/* Make an event in the owner's array one that does no harm. Events the owner
 * has acted on are overwritten too: the loop does not know how far it is. */
static void take_back(struct os_loop *loop, uint32_t index) {
    if (loop->batch_events == NULL) return;
    loop->batch_events[index] = (struct os_event){ .kind = OS_EVENT_WAKE };
}

void os_loop_forget(struct os_loop *loop, struct watch *w) {
    ASSERT(loop_check(loop));
    ASSERT(loop->watch_count > 0);
    if (w->batch == loop->batch) take_back(loop, w->batch_index);
    w->user = NULL;
    w->batch = 0;
    loop->watch_count--;
    atomic_store_explicit(&w->loop, NULL, memory_order_release);
}

void os_loop_unwatch(struct os_loop *loop, struct os_sock s) {
    ASSERT(loop_check(loop));
    ASSERT(s.os == loop->os);
    struct watch *w = os_watch_of(s.os, s.handle);
    struct os_loop *watcher = atomic_load_explicit(&w->loop, memory_order_relaxed);
    ASSERT(watcher == loop);
    const int failed = epoll_ctl(loop->epoll, EPOLL_CTL_DEL, s.handle, NULL);
    ASSERT(failed == 0); /* it is watched, so the kernel knows it */
    os_loop_forget(loop, w);
}

void os_timer_init(struct os_timer *t, void *user, uint32_t tag) {
    ASSERT(t != NULL);
    *t = (struct os_timer){ .user = user, .tag = tag };
    list_init(&t->link);
}

void os_timer_disarm(struct os_loop *loop, struct os_timer *t) {
    ASSERT(loop_check(loop));
    ASSERT(t != NULL);
    if (t->armed) wheel_disarm(&loop->wheel, t);
    for (uint32_t i = 0; i < loop->fired_count; i++) {
        if (loop->fired[i].timer != t) continue;
        take_back(loop, loop->fired[i].index);
        loop->fired[i].timer = NULL;
    }
    ASSERT(!t->armed);
}

void os_timer_arm(struct os_loop *loop, struct os_timer *t, uint64_t deadline_ms) {
    os_timer_disarm(loop, t);
    wheel_arm(&loop->wheel, t, deadline_ms);
    ASSERT(t->armed);
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

/* Interrupt epoll_wait if the owner is in it. See struct os_loop. */
static void rouse(struct os_loop *loop) {
    if (!atomic_exchange(&loop->sleeping, false)) return;
    const uint64_t one = 1;
    ssize_t put;
    do {
        put = write(loop->eventfd, &one, sizeof one);
    } while (put < 0 && errno == EINTR);
    ASSERT(put == sizeof one);
}

void os_loop_wake(struct os_loop *loop) {
    ASSERT(loop != NULL);
    if (atomic_exchange(&loop->woken, true)) return;
    rouse(loop);
}

/* The owner is roused after the unlock, or it would sleep again on the lock. By then it may
 * have taken the job and want to destroy the loop, which waits for `finishing` to fall. */
void os_loop_finish(struct os_loop *loop, struct os_job *job) {
    ASSERT(loop != NULL);
    ASSERT(job->loop == loop);
    atomic_fetch_add(&loop->finishing, 1);
    pthread_mutex_lock(&loop->finished_lock);
    list_append(&loop->finished, &job->link);
    atomic_fetch_add(&loop->finished_count, 1);
    pthread_mutex_unlock(&loop->finished_lock);
    rouse(loop);
    atomic_fetch_sub_explicit(&loop->finishing, 1, memory_order_release);
}

static void add_event(struct room *room, struct os_event event) {
    ASSERT(room->used < room->max);
    room->events[room->used++] = event;
}

static void take_wake(struct os_loop *loop, struct room *room) {
    if (room->used == room->max) return;
    if (!atomic_load_explicit(&loop->woken, memory_order_relaxed)) return;
    if (atomic_exchange(&loop->woken, false))
        add_event(room, (struct os_event){ .kind = OS_EVENT_WAKE });
}

static void take_timers(struct os_loop *loop, struct room *room) {
    wheel_advance(&loop->wheel, os_loop_now_ms(loop));
    while (room->used < room->max && loop->fired_count < FIRED_PER_WAIT_MAX) {
        struct os_timer *t = wheel_take(&loop->wheel);
        if (t == NULL) return;
        loop->fired[loop->fired_count++] = (struct fired){ .timer = t, .index = room->used };
        add_event(room,
                  (struct os_event){ .kind = OS_EVENT_TIMER, .user = t->user, .tag = t->tag });
    }
}

static void take_jobs(struct os_loop *loop, struct room *room) {
    if (room->used == room->max) return;
    if (atomic_load_explicit(&loop->finished_count, memory_order_relaxed) == 0) return;
    pthread_mutex_lock(&loop->finished_lock);
    while (room->used < room->max) {
        struct list *node = list_take_first(&loop->finished);
        if (node == NULL) break;
        atomic_fetch_sub(&loop->finished_count, 1);
        struct os_job *job = LIST_ENTRY(node, struct os_job, link);
        add_event(room, (struct os_event){ .kind = OS_EVENT_JOB, .job = job });
    }
    pthread_mutex_unlock(&loop->finished_lock);
}

/* A peer that ended its stream (RDHUP) may still read: it is a read that tells
 * the owner, after what was sent before. CLOSED is for both directions. */
static uint32_t ready_of(uint32_t bits) {
    uint32_t ready = 0;
    if (bits & (EPOLLIN | EPOLLRDHUP)) ready |= OS_READY_READ;
    if (bits & EPOLLRDHUP) ready |= OS_READY_ENDED;
    if (bits & EPOLLOUT) ready |= OS_READY_WRITE;
    if (bits & (EPOLLHUP | EPOLLERR)) ready |= OS_READY_READ | OS_READY_WRITE | OS_READY_CLOSED;
    return ready;
}

static void add_socket(struct os_loop *loop, struct room *room, struct epoll_event ready) {
    if (ready.data.u64 == WAKE_DATA) return; /* what it is about is taken from memory */
    struct watch *w = os_watch_of(loop->os, (int32_t)(ready.data.u64 & UINT32_MAX));
    if (atomic_load_explicit(&w->loop, memory_order_relaxed) != loop) return;
    if (w->generation != ready.data.u64 >> 32) return;
    w->batch = loop->batch;
    w->batch_index = room->used;
    add_event(room, (struct os_event){ .kind = OS_EVENT_SOCKET,
                                       .ready = ready_of(ready.events),
                                       .user = w->user,
                                       .tag = w->tag });
}

/* Ask the kernel, sleeping up to `sleep_ms` (-1 = for ever) if nothing is ready. */
static void take_sockets(struct os_loop *loop, struct room *room, int sleep_ms) {
    ASSERT(sleep_ms >= -1);
    uint32_t wanted = room->max - room->used;
    if (wanted == 0) return;
    if (wanted > SOCKETS_PER_WAIT_MAX) wanted = SOCKETS_PER_WAIT_MAX;

    if (sleep_ms != 0) {
        atomic_store(&loop->sleeping, true);
        if (atomic_load(&loop->woken)) sleep_ms = 0;
        if (atomic_load(&loop->finished_count) > 0) sleep_ms = 0;
    }
    const int count = epoll_wait(loop->epoll, loop->ready, (int)wanted, sleep_ms);
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    ASSERT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) add_socket(loop, room, loop->ready[i]);
}

/* How long to sleep with nothing to do now, until `end_ms` (UINT64_MAX = never). */
static int sleep_for(const struct os_loop *loop, uint64_t end_ms) {
    const uint64_t now_ms = os_loop_now_ms(loop);
    const uint64_t timer_ms = wheel_next_ms(&loop->wheel);
    const uint64_t until_ms = timer_ms < end_ms ? timer_ms : end_ms;
    if (until_ms == UINT64_MAX) return -1;
    if (until_ms <= now_ms) return 0;
    return until_ms - now_ms < INT_MAX ? (int)(until_ms - now_ms) : INT_MAX;
}

static void take_from_memory(struct os_loop *loop, struct room *room) {
    take_wake(loop, room);
    take_timers(loop, room);
    take_jobs(loop, room);
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
    const uint64_t end_ms = wait_ms == FOREVER_MS ? UINT64_MAX : os_loop_now_ms(loop) + wait_ms;
    struct room room = { .events = ret_events };
    for (;;) {
        /* A quarter stays free for sockets, however many timers and jobs there are. */
        room.max = max - max / 4;
        take_from_memory(loop, &room);
        room.max = max;
        const int sleep_ms = room.used > 0 ? 0 : sleep_for(loop, end_ms);
        take_sockets(loop, &room, sleep_ms);
        if (sleep_ms != 0) {
            read_clocks(loop);
            take_from_memory(loop, &room);
        }
        if (room.used > 0 || os_loop_now_ms(loop) >= end_ms) break;
    }
    ASSERT(room.used <= max);
    ASSERT(loop_check(loop));
    return room.used;
}
