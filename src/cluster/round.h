/* round.h - one operation on the replicas of one key: who was asked, who answered, what of it.
 *
 * Gifford's weighted voting (1979) as Dynamo (2007) uses it: a write is done when W
 * replicas hold it durably, a read when R have said which version they hold. A write goes
 * to all at once; a read to as few as can do, to more when one fails or is slow (a hedge). Of
 * several versions the highest ballot wins. Hints are not replicas and never count (R13).
 * While a slot is on its way from one list to another there are two sets of places, and a
 * quorum of each is needed; a place in both counts in both.
 *
 * Pure: the caller sends what the bit masks say and reports what came of it. Bits and
 * `places` are positions in the union of the sets, 0..count-1.
 *
 * Lifecycle  begin -> (answered | failed | stale_epoch | hedge)* until round_outcome is not
 *            PENDING; a write goes on taking answers after that, to know who needs a hint
 */
#ifndef ATOLL_CLUSTER_ROUND_H
#define ATOLL_CLUSTER_ROUND_H

#include "base/hlc.h"
#include "base/limits.h"
#include "base/status.h"

/* A list and its target, with no member in common. */
#define ROUND_PLACES_MAX (2u * REPLICAS_MAX)

enum round_kind { ROUND_READ, ROUND_WRITE };

enum round_outcome {
    ROUND_PENDING,    /* wait for more answers, or for round_hedge */
    ROUND_DONE,       /* enough answered; read: `best` is the place that has the newest */
    ROUND_IMPOSSIBLE, /* so many failed that a set cannot reach its need any more; or
                         read: all have spoken, and none has the session's version */
};

enum place_state {
    PLACE_IDLE, /* not asked */
    PLACE_ASKED,
    PLACE_ANSWERED, /* read: `versions` holds what it has; write: holds it durably */
    PLACE_FAILED,   /* down, refused, or abstained (R12) */
    PLACE_STATES,
};

/* Places whose answers count together, and how many of them must answer. */
struct round_set {
    uint16_t places; /* bits; at most REPLICAS_MAX of them */
    uint8_t need;    /* W or R, 1..places in it; 0 = there is no such set, nor places */
};

/* What a round needs: a quorum of each set that there is. */
struct round_needs {
    struct round_set list;   /* always there */
    struct round_set target; /* a slot that is joint */
};

/* How far a round has come in one set: for messages. */
struct round_progress {
    uint8_t answered; /* places in PLACE_ANSWERED */
    uint8_t need;     /* of them */
    uint8_t failed;   /* places in PLACE_FAILED */
    uint8_t replicas; /* places in the set */
};

struct round {
    enum round_kind kind;          /* as begun */
    uint8_t count;                 /* places, 1..ROUND_PLACES_MAX */
    struct round_needs needs;      /* as begun */
    uint16_t places[PLACE_STATES]; /* bits, by state: each place is in one of them */
    uint16_t stale_epoch;          /* bits: asked, and wait for news of the epoch */
    uint16_t full;                 /* bits: places asked for the value itself */
    struct ballot at_least;        /* read: done only with a version not below (session) */
    bool absence_counts;           /* read: or when nobody has any above `absence` */
    struct ballot absence;         /* read: as of this all was truncated; zero = nothing was */
    struct ballot versions[ROUND_PLACES_MAX]; /* read, answered: highest there; zero = nothing */
};

/* The needs of a slot that is not joint: `need` of places 0..count-1. */
static inline struct round_needs round_needs_one(uint32_t count, uint32_t need) {
    return (struct round_needs){ .list = { (uint16_t)((1u << count) - 1), (uint8_t)need } };
}
static inline bool round_is(const struct round *r, uint32_t place, enum place_state state) {
    return (r->places[state] >> place & 1u) != 0;
}

/* Begin. `live` has a bit for each place worth asking first, `self` is the own place or -1.
 * A write asks everyone (the caller fails the places it cannot send to). A read asks itself
 * first, then live places in order, then the others, until each set has as many as it needs;
 * those that count in both sets go before those that count in one. The first asked gives the
 * value itself, others their version only; one asked later gives it too when the first
 * failed or is slow (see `full`).
 * Requires  the sets' places are 0..n-1 together; `at_least` only matters to a read.
 * Returns the places to ask. */
uint16_t round_begin(struct round *r, enum round_kind kind, struct round_needs needs, int self,
                     uint16_t live, struct ballot at_least);

/* Place answered; a version only matters to a read. The first report of a place that was
 * asked counts, even when the round is done; any other changes nothing.
 * Returns places to ask now (read: everyone else when the session's version is missing). */
uint16_t round_answered(struct round *r, uint32_t place, struct ballot version);
/* Place failed: another of each of its sets is asked, if one is left and it matters. One that was
 * not asked yet may be failed too; then nobody takes its place. Returns the places to ask now. */
uint16_t round_failed(struct round *r, uint32_t place, uint16_t live);
/* Place knows a later epoch of the slot than it was asked under. It stays asked: when the caller
 * has heard of that epoch it begins anew, and if it does not hear in time the place has failed.
 * Nobody is asked instead, as the others would say the same. Means nothing of one not asked. */
void round_stale_epoch(struct round *r, uint32_t place);
/* It takes long: ask one more replica, or one of each set that waits where none is in both, if
 * there is one idle. Returns the places to ask now. */
uint16_t round_hedge(struct round *r, uint16_t live);

/* Read: what the session has seen was deleted or has expired so long ago that nobody has a note of
 * it (R9): if those that answer have nothing, that is not below it. Where all up to `floor` was
 * truncated, that is the version of nothing. */
void round_absence_counts(struct round *r, struct ballot floor);
enum round_outcome round_outcome(const struct round *r);
/* Whether these places are as many as every set needs. */
bool round_needs_reached(const struct round_needs *n, uint16_t places);
/* Whether answers of these places would reach every set's need. */
bool round_suffice(const struct round *r, uint16_t places);
/* Of the set that is furthest from its need; of equals the list. A zeroed round has zeros. */
struct round_progress round_progress(const struct round *r);
/* Read, done: the answered place with the highest version; of equals one that was asked
 * for the value, then the lowest place. */
uint32_t round_best(const struct round *r);
/* Read, done: places that answered with an older version than the best: repair them. */
uint16_t round_stale(const struct round *r);
/* Write: places that have not taken it (asked without answer, failed): they need a hint. */
uint16_t round_missed(const struct round *r);
bool round_check(const struct round *r);

#endif
