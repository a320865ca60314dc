/* pace.h - how many bytes of background work may be under way to one shard of another node, so that
 * what clients send behind it does not wait.
 *
 * What is under way lies in queues on the way: the link, the other shard's turn, its log. How long
 * answers take tells how long these are. Compared with the quickest answer of the last seconds, which
 * met no queue, a late one shrinks the window and others let it grow (after LEDBAT, RFC 6817).
 *
 * Pure. Lifecycle  zeroed -> (sent -> answered)*; nothing to free
 * Owner      one shard
 */
#ifndef ATOLL_SHARD_PACE_H
#define ATOLL_SHARD_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_WINDOW_MIN (UINT64_C(256) << 10) /* 25 MiB a second where an answer takes 10 ms */
#define PACE_WINDOW_MAX (UINT64_C(4) << 20)
#define PACE_QUEUE_NS UINT64_C(10000000)    /* what may be waited in queues, about */
#define PACE_PERIOD_NS UINT64_C(5000000000) /* the quickest answer is forgotten after one or two */

struct pace {
    uint64_t window_bytes; /* may be under way; 0 = not begun: PACE_WINDOW_MIN */
    uint64_t flight_bytes; /* are under way */
    uint64_t least_ns;     /* quickest answer of this period; 0 = none */
    uint64_t least_before; /* of the period before; 0 = none */
    uint64_t period_ns;    /* when this period began */
    uint64_t cut_ns;       /* when the window last shrank */
};

/* Whether more may be sent. */
bool pace_may_send(const struct pace *p);
void pace_sent(struct pace *p, uint64_t bytes);
/* The answer to so many bytes that were sent then; what is refused or lost counts as answered.
 * Requires  they were told by pace_sent, sent_ns <= now_ns */
void pace_answered(struct pace *p, uint64_t bytes, uint64_t sent_ns, uint64_t now_ns);
bool pace_check(const struct pace *p);

#endif
