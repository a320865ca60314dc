/* hint.h - what another node may have missed: durable, bounded, replayed when it is back.
 *
 * A hint says that a member may lack the version of a key that this node holds. It is a
 * record in the shard's own engine, under a keyspace of its own, so that it is as durable as the
 * write (with its next sync) and the newest hint of a key replaces older ones:
 *
 *   ikey    HINT_KEYSPACE (2) | id of the member (4, big-endian) | ikey of the key
 *   ballot  the version that was missed; no value
 *
 * Replay reads the key as it is now and sends that, whole and under its own version, as an
 * ACCEPT: what arrives is never older than what was missed and never overwrites what is newer
 * (R1). Acknowledged, the hint is deleted just above its own version, so that a later hint for
 * the same key stays. Hints never count as an acknowledgement (R13). When they would pass
 * their limit in bytes or age they are dropped: repair then finds what is missing.
 *
 * Each step's failure: a hint that could not be kept is counted as dropped; a replay that fails
 * or is refused for now (busy, full, clock) is tried again later; at or below the other's floor
 * it has no more meaning and is deleted.
 *
 * Owner      one shard. Memory  HINTS_REPLAYED_MAX in flight; counts per member
 */
#ifndef ATOLL_SHARD_HINT_H
#define ATOLL_SHARD_HINT_H

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/limits.h"
#include "base/status.h"
#include "shard/lookup.h"
#include "shard/range_walk.h"

#include <stdint.h>

#define HINT_KEYSPACE 0xFFFFu
#define SYSTEM_KEYSPACE 0xFFFEu /* the shard's own notes: floor, filled; see repair.h */
#define HINTS_REPLAYED_MAX 32u  /* in flight to one member */
#define HINT_IKEY_HEAD_BYTES 6u /* what stands before the ikey of the key */

struct shard;
struct peer;
struct peer_frame;
struct sent;
struct hint_queue;

enum hint_state {
    HINT_FREE,
    HINT_LOOKING, /* the key is being read */
    HINT_SENT,    /* on its way */
};

/* A hint being replayed. */
struct hint_item {
    struct hint_queue *queue; /* that it is of */
    enum hint_state state;
    struct lookup lookup;  /* of the key; its owner is this */
    struct buffer ikey;    /* of the hint */
    struct ballot version; /* of the hint: what was missed */
    struct sent *sent;     /* HINT_SENT */
};

/* The hints for one member. A pass goes over all of them: drops the old ones and, while the
 * member is alive, replays the others. */
struct hint_queue {
    struct shard *shard;
    struct list link;        /* in the shard's `hints_gone`, if `gone` */
    uint32_t id;             /* of the member */
    uint32_t member;         /* its place; not if `gone` */
    bool gone;               /* it is no member any more: its hints are only to be deleted */
    bool passed;             /* and a pass was begun since */
    uint64_t waiting;        /* hints on disk; exact after a pass in which nothing was kept */
    uint64_t bytes;          /* that these take, about */
    bool alive;              /* the member was, at the last tick */
    bool passing;            /* a pass is under way */
    bool walked;             /* it has seen the last hint */
    bool changed;            /* hints were kept since it began */
    bool damaged;            /* it met damage: there may be hints that it did not see */
    uint64_t left;           /* hints that it saw and that stay */
    uint64_t left_bytes;     /* that these take */
    uint64_t pass_at_ms;     /* monotonic: when the next one begins */
    uint32_t budget;         /* steps that may still be taken in this call */
    struct range_walk walk;  /* over the hints, during a pass */
    struct buffer page;      /* hints read ahead: versions as in proto/peer.h */
    struct bytes rest;       /* of the page; view */
    struct buffer ikey;      /* scratch for one hint's */
    struct hint_item *items; /* [HINTS_REPLAYED_MAX], made by the first pass that sends */
    uint32_t items_used;     /* not HINT_FREE */
};

/* Keep hints for this member, which is new in the view: what is on disk for it is counted soon. */
void hints_add(struct shard *s, struct peer *p);
/* It is no member any more: what is kept for it is deleted, step by step. Requires  no links */
void hints_leave(struct shard *s, struct peer *p);
/* Count what is on disk; blocking, at start, when the peers are there. Damage is logged and
 * costs hints, which repair makes good. */
STATUS hints_open(struct shard *s);
/* Requires  hints_are_idle, and that every question was ended */
void hints_close(struct shard *s);
/* Whether no job reads for a hint. */
bool hints_are_idle(const struct shard *s);
/* The member may lack this version of the key. */
void hint_keep(struct shard *s, uint32_t member, struct bytes ikey, struct ballot version);
/* Replay to those that are back, drop what is too old; every tick. */
void hints_tick(struct shard *s);
/* `owner` is what sent_open or the lookup was given. */
void hint_answered(struct shard *s, void *owner, const struct peer_frame *f);
void hint_failed(struct shard *s, void *owner);
void hint_found(struct shard *s, struct lookup *l);
uint64_t hints_waiting(const struct shard *s, uint32_t member);

#endif
