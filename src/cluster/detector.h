/* detector.h - whether another node seems alive. It only routes: safety never depends on it.
 *
 * A node is alive while its link is up and something arrived within the silence allowed.
 * Also keeps how long its answers take (for hedging), the difference of its clock to ours
 * (R14) and when to dial again (exponential back-off with jitter).
 *
 * Pure: times come in. Lifecycle  init -> any. One per other member and shard.
 */
#ifndef ATOLL_CLUSTER_DETECTOR_H
#define ATOLL_CLUSTER_DETECTOR_H

#include "base/status.h"

#include <stdint.h>

#define DETECTOR_HEARTBEAT_MS 100u /* a ping this often on every link */
#define DETECTOR_SILENCE_MS 350u   /* three heartbeats lost and some jitter */
#define DETECTOR_SLOW_MS 1000u     /* a ping this often where nothing is waited for, see link.h */
#define DETECTOR_HEDGE_MS_MIN 5u
#define DETECTOR_HEDGE_MS_MAX 50u
#define DETECTOR_DIAL_MS_MIN 20u /* first try again after a lost link */
#define DETECTOR_DIAL_MS_MAX 300u

struct detector {
    bool up;                /* the link is up */
    bool slow;              /* it is pinged every DETECTOR_SLOW_MS */
    uint64_t quick_ms;      /* monotonic: when it last ceased to be slow */
    uint64_t heard_ms;      /* monotonic: last time anything arrived */
    uint32_t latency_us;    /* smoothed time of answers (RFC 6298) */
    uint32_t deviation_us;  /* smoothed deviation of it */
    int64_t clock_ahead_ms; /* its wall clock minus ours, as of the last ping; 0 at first */
    uint32_t dial_failures; /* dials and links lost since something last arrived on a link */
};

void detector_init(struct detector *d);
void detector_linked(struct detector *d, uint64_t now_ms);
/* A dial failed, or the link was lost. */
void detector_lost(struct detector *d);
/* Something arrived. Requires  here and everywhere: `now_ms` never goes back */
void detector_heard(struct detector *d, uint64_t now_ms);
/* How often it is pinged from now on. Silence counts from when that is often, not from before. */
void detector_pace(struct detector *d, bool slow, uint64_t now_ms);
/* An answer took so long. */
void detector_answered(struct detector *d, uint64_t took_us);
/* A pong: its wall clock when it answered, ours at sending and now. One that took longer than
 * DETECTOR_SILENCE_MS, or back in time, says nothing and is ignored. */
void detector_clock(struct detector *d, uint64_t their_wall_ms, uint64_t sent_wall_ms,
                    uint64_t now_wall_ms);
bool detector_is_alive(const struct detector *d, uint64_t now_ms);
/* How long to wait for an answer before another replica is asked too:
 * latency + 4 deviations within DETECTOR_HEDGE_MS_MIN..MAX. */
uint32_t detector_hedge_ms(const struct detector *d);
/* How long to wait before dialling, by the failures so far; `random` spreads it over
 * half to full. 0 before the first failure. */
uint32_t detector_dial_wait_ms(const struct detector *d, uint64_t random);
bool detector_check(const struct detector *d);

#endif
