/* loop.h - what one thread waits on: sockets, timers, finished jobs, wake-ups.
 *
 * The owner pulls: os_loop_wait gives a batch of events, the owner acts on each
 * and then calls it again. Nothing is called back from inside a submitting call.
 *
 * Lifecycle  create -> (watch | timer | wait)* -> destroy
 * Owner      one thread; os_loop_wake and finished jobs may come from any
 * Memory     timers and jobs are embedded in the caller's objects
 */
#ifndef ATOLL_OS_LOOP_H
#define ATOLL_OS_LOOP_H

#include "os/os.h"
#include "os/pool.h"
#include "os/sock.h"

enum os_event_kind {
    OS_EVENT_SOCKET, /* readable and/or writable; edge-triggered: use it until ST_WAIT */
    OS_EVENT_TIMER,  /* the timer is disarmed when this is given */
    OS_EVENT_JOB,    /* call job->done(job) */
    OS_EVENT_WAKE,   /* os_loop_wake was called; may also be given without cause */
};

#define OS_READY_READ 1u
#define OS_READY_WRITE 2u
/* The connection failed or is down both ways. A peer that only ended its own
 * stream is READ: what it sent comes first, then os_sock_read tells the end. */
#define OS_READY_CLOSED 4u
#define OS_READY_ENDED 8u /* the peer sent its last byte: read until that shows */

struct os_timer {
    struct list link;     /* in the loop's wheel while armed */
    uint64_t deadline_ms; /* monotonic */
    void *user;           /* given back in the event */
    uint32_t tag;         /* given back in the event: what kind of timer */
    bool armed;
};

struct os_event {
    enum os_event_kind kind;
    uint32_t ready;     /* OS_READY_*, for sockets */
    uint32_t tag;       /* as given to os_loop_watch or in the timer */
    void *user;         /* as given to os_loop_watch or in the timer */
    struct os_job *job; /* for jobs */
};

struct os_loop;
struct os_loop *os_loop_create(struct os *os);
void os_loop_destroy(struct os_loop *loop);

/* Report readiness of `s` as events with `user` and `tag` until os_sock_close. What it is
 * ready for already is reported too. */
STATUS os_loop_watch(struct os_loop *loop, struct os_sock s, void *user, uint32_t tag);
/* Stop reporting without closing, so that another loop may watch it; an event not yet
 * acted on is taken back as by os_sock_close. Requires  `loop` watches it */
void os_loop_unwatch(struct os_loop *loop, struct os_sock s);

void os_timer_init(struct os_timer *t, void *user, uint32_t tag);
/* (Re)arm: an event at or soon after `deadline_ms` (wheel of 5 ms ticks). */
void os_timer_arm(struct os_loop *loop, struct os_timer *t, uint64_t deadline_ms);
void os_timer_disarm(struct os_loop *loop, struct os_timer *t);

/* Monotonic ms / wall ms / monotonic ns, read once per os_loop_wait. */
uint64_t os_loop_now_ms(const struct os_loop *loop);
uint64_t os_loop_now_ns(const struct os_loop *loop);
uint64_t os_loop_wall_ms(const struct os_loop *loop);

/* Wait until something happened or `wait_ms` passed (0 = only look, UINT32_MAX =
 * for ever) and fill up to `max` events. Returns how many. An event whose object
 * was closed or disarmed since is not given: closing a socket or disarming a timer
 * turns its event in `ret_events`, not yet acted on, into an OS_EVENT_WAKE.
 * `ret_events` is the loop's until the next call; with max = 0 it lets go at once. */
uint32_t os_loop_wait(struct os_loop *loop, uint32_t wait_ms, struct os_event *ret_events,
                      uint32_t max);

/* From any thread: make os_loop_wait return soon with an OS_EVENT_WAKE. Cheap when
 * a wake is already pending or the loop is not waiting. */
void os_loop_wake(struct os_loop *loop);

#endif
