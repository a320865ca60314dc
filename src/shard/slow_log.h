/* slow_log.h - requests that took long: a line each in the log, the newest kept for SLOWLOG.
 *
 * A node's shards share one. Of a flood SLOW_LINES_A_SECOND are logged and the rest is
 * counted, which a later line tells; all are kept, the newest NODE_SLOW_KEPT_MAX.
 *
 * Times are as exact as a turn of a shard's loop: a request begins with the turn that read it, and
 * each wait ends with the turn in which it was noticed.
 *
 * Lifecycle  init -> (add | tick | copy | reset)* -> deinit; zeroed = off, nothing is kept
 * Owner      the node; any shard's thread, it locks itself
 * Memory     fixed
 */
#ifndef ATOLL_SHARD_SLOW_LOG_H
#define ATOLL_SHARD_SLOW_LOG_H

#include <stdatomic.h>

#include "os/thread.h"
#include "proto/node_view.h"

#define SLOW_LINES_A_SECOND 10u

/* Where the time of a request went, in the order of what happens. */
enum slow_phase {
    SLOW_PARSE,    /* decoding a large command */
    SLOW_QUEUE,    /* whatever no other phase has: it waited to begin, or for earlier requests */
    SLOW_STALL,    /* flush or compaction is behind */
    SLOW_READ,     /* blocks from the disk, walking over a range */
    SLOW_REPLICAS, /* other nodes */
    SLOW_LOG,      /* the sync of the own log, with nothing else missing */
    SLOW_SEND,     /* the answer was there, but not those before it, or the client did not read */
    SLOW_PHASES,
};

/* Views hold during the call; of the key no more than NODE_SLOW_KEY_BYTES are looked at. */
struct slow_request {
    const char *operation; /* lower case; static */
    const char *level;     /* likewise */
    uint32_t requests;     /* in one command, or answered together */
    struct bytes key;      /* of the first; empty = none, or not known any more */
    uint64_t took_us;
    uint64_t phase_us[SLOW_PHASES]; /* all but SLOW_QUEUE, which slow_log_add works out */
    const char *last;               /* address of the node that was waited for last; NULL = none */
    const char *client;             /* address; empty = not known */
    const char *name;               /* what the client calls itself */
};

struct slow_log {
    _Atomic uint64_t threshold_ns;             /* NODE_SLOW_OFF, or from so much on */
    struct os_mutex lock;                      /* of the rest */
    struct node_slow kept[NODE_SLOW_KEPT_MAX]; /* a ring: id % NODE_SLOW_KEPT_MAX */
    uint32_t count;                            /* of `kept` */
    uint64_t next_id;                          /* for the next one */
    uint64_t second_ms;                        /* monotonic: when the present second began */
    uint32_t lines;                            /* logged in it */
    uint64_t left_out;                         /* not logged, and no line says so yet */
};

void slow_log_init(struct slow_log *l, uint64_t threshold_ns);
void slow_log_deinit(struct slow_log *l);

static inline uint64_t slow_log_threshold_ns(const struct slow_log *l) {
    return atomic_load_explicit(&l->threshold_ns, memory_order_relaxed);
}

static inline bool slow_log_is_slow(const struct slow_log *l, uint64_t took_ns) {
    const uint64_t threshold_ns = slow_log_threshold_ns(l);
    return took_ns >= threshold_ns && threshold_ns != NODE_SLOW_OFF;
}

void slow_log_set(struct slow_log *l, uint64_t threshold_ns);
/* Keep it, and log it unless too many were. */
void slow_log_add(struct slow_log *l, const struct slow_request *r, uint64_t wall_ms,
                  uint64_t mono_ms);
/* Now and then: say how many were left out. */
void slow_log_tick(struct slow_log *l, uint64_t mono_ms);
/* The newest `max` at most, the newest first; returns how many. */
uint32_t slow_log_copy(struct slow_log *l, struct node_slow *ret_kept, uint32_t max);
uint32_t slow_log_count(struct slow_log *l);
void slow_log_reset(struct slow_log *l);

#endif
