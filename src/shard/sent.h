/* sent.h - questions to other nodes that wait for an answer.
 *
 * Every question has an id that its answer repeats, an owner that is told, and a time
 * limit. It ends exactly once: answered, failed (the link broke, the other node seems dead,
 * the time is up) or closed by its owner, who then hears no more of it.
 *
 * Lifecycle  open -> closed by whoever takes the answer, or by its owner
 * Owner      one shard
 * Memory     a table of SENT_MAX, made when the shard has peers
 */
#ifndef ATOLL_SHARD_SENT_H
#define ATOLL_SHARD_SENT_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

/* What the coordinations of a shard can have out at once, with all their replicas. */
#define SENT_MAX 65536u

struct shard;
struct link;

enum sent_kind {
    SENT_FREE,
    SENT_QUESTION,   /* QUERY or ACCEPT of a coordination; `place` is the replica */
    SENT_FORWARD,    /* of a call */
    SENT_HINT,       /* ACCEPT of a hint being replayed */
    SENT_RANGE,      /* RANGE of a repair */
    SENT_RECORD,     /* ACCEPT or QUERY of a repair */
    SENT_INSPECTION, /* QUERY of an inspection; `place` is the replica */
    SENT_KINDS,
};

struct sent {
    struct list link;     /* in the link's list, oldest first; or in the free list */
    struct link *to;      /* where it went */
    void *owner;          /* by kind: struct coordination, call, hint_item, repair, inspection */
    uint64_t sent_ns;     /* monotonic */
    uint64_t deadline_ms; /* monotonic */
    uint32_t generation;  /* of this entry: tells late answers to an earlier question */
    enum sent_kind kind;
    uint32_t place; /* the owner's own */
    bool lazy;      /* nobody waits for the answer: how long it takes says nothing */
};

struct sent_table {
    struct sent *all; /* SENT_MAX, filled up to `touched`; NULL = no peers */
    uint32_t touched; /* entries ever used */
    uint32_t used;    /* open now */
    struct list free;
};

void sent_table_init(struct sent_table *t);
void sent_table_deinit(struct sent_table *t);

/* NULL: too many are under way. The question itself is then written with this id. */
struct sent *sent_open(struct shard *s, struct link *to, enum sent_kind kind, void *owner,
                       uint32_t place, uint32_t timeout_ms);
uint64_t sent_id(const struct shard *s, const struct sent *q);
/* The open question with this id; NULL if there is none any more. */
struct sent *sent_find(struct shard *s, uint64_t id);
void sent_close(struct shard *s, struct sent *q);

/* Everything asked over this link failed: tell the owners. */
void sent_fail_all(struct shard *s, struct link *l);
/* The other side is silent: the same for calls handed over, for inspections, and for writes whose
 * client has been answered. */
void sent_suspect(struct shard *s, struct link *l);
/* The same for what waited too long. */
void sent_expire(struct shard *s, struct link *l);

#endif
