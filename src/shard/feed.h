/* feed.h - clients of GET /v1/events, who are told every second how the node and its cluster
 * are, and at once who has died or come back.
 *
 * An event is made once for all subscribers of the shard and appended to the output of each. A
 * subscriber that does not read misses events: what it has not read stays below
 * FEED_UNREAD_BYTES_MAX and one event, and it is closed as any client that takes no reply.
 * When the node stops the streams end.
 *
 * Lifecycle  feed_join -> (feed_tick)* -> feed_leave, by connection_close
 * Owner      one shard
 * Memory     one struct feed a shard once somebody has joined, kept; FEED_SUBSCRIBERS_MAX
 * Failure    more subscribers are refused (ST_BUSY)
 */
#ifndef ATOLL_SHARD_FEED_H
#define ATOLL_SHARD_FEED_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/status.h"
#include "cluster/place_set.h"
#include "proto/node_view.h"

/* Of one shard: each costs an event's copy a second. */
#define FEED_SUBSCRIBERS_MAX 64u
#define FEED_INTERVAL_MS 1000u
#define FEED_UNREAD_BYTES_MAX (64u * 1024)

struct connection;
struct shard;

struct feed {
    struct list subscribers;             /* connections, by their `subscription` */
    uint32_t count;                      /* of them; at most FEED_SUBSCRIBERS_MAX */
    bool greet;                          /* somebody joined since the last event */
    struct place_set alive;              /* members that were, in the last event */
    uint64_t before_ns;                  /* monotonic: when `before` was; 0 = there is none */
    uint64_t operations[OP_CLASSES];     /* before */
    struct histogram before[OP_CLASSES]; /* times of operations up to the last figures */
    struct histogram moment;             /* scratch: of one class since then */
    struct histogram together;           /* scratch: of all classes since then */
    struct buffer text;                  /* scratch: the event */
};

/* From now on the connection is written to, and nothing more is read from it.
 * Errors  ST_BUSY  the shard has as many subscribers as it may, or the node stops */
STATUS feed_join(struct shard *s, struct connection *c);
/* Nothing if it is no subscriber. */
void feed_leave(struct connection *c);
/* Every tick of the shard: make the event that is due and hand it to all. */
void feed_tick(struct shard *s);
/* Once there are no connections any more. */
void feed_destroy(struct shard *s);
bool feed_check(const struct feed *f);

#endif
