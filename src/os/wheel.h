/* wheel.h - timers of one loop in a hashed wheel (Varghese and Lauck, 1987).
 *
 * Slot = tick of the deadline mod WHEEL_SLOTS. A slot is looked at once a turn of
 * the wheel (20 s); timers of later turns stay in it. Arming and disarming are O(1).
 *
 * Lifecycle  init -> (arm | disarm | advance | take)* ; nothing to free
 * Owner      its loop's thread
 * Memory     timers are embedded in the owners' objects
 */
#ifndef ATOLL_OS_WHEEL_H
#define ATOLL_OS_WHEEL_H

#include "base/list.h"
#include "os/loop.h"

#define WHEEL_TICK_MS 5u
#define WHEEL_SLOTS 4096u /* a power of two; 20 s a turn, as most timeouts are shorter */
#define WHEEL_NEVER UINT64_MAX

struct wheel {
    uint64_t now_ms;                   /* as of the last advance */
    uint64_t tick;                     /* now_ms / WHEEL_TICK_MS: every slot up to it is done */
    uint32_t armed_count;              /* timers in slots and in `due` */
    struct list due;                   /* deadline passed, in order; still armed */
    struct list slots[WHEEL_SLOTS];    /* timers by tick mod WHEEL_SLOTS */
    uint64_t filled[WHEEL_SLOTS / 64]; /* a bit per slot that is not empty */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Requires  the timer is not armed */
void wheel_arm(struct wheel *w, struct os_timer *t, uint64_t deadline_ms);
/* Requires  the timer is armed, on this wheel */
void wheel_disarm(struct wheel *w, struct os_timer *t);
/* Move every timer whose deadline is at or before `now_ms` to the due ones. */
void wheel_advance(struct wheel *w, uint64_t now_ms);
/* The next due timer, disarmed; NULL when there is none. */
struct os_timer *wheel_take(struct wheel *w);
/* A time at or before the next deadline, never in the past; WHEEL_NEVER without timers. */
uint64_t wheel_next_ms(const struct wheel *w);
bool wheel_check(const struct wheel *w);

#endif
