/* round.h - one operation on the replicas of one key: who was asked, who answered, what of it.
 *
 * Gifford's weighted voting (1979) as Dynamo (2007) uses it: a write is done when W
 * replicas hold it durably, a read when R have said which version they hold. A write goes
 * to all N at once; a read to R of them, to more when one fails or is slow (a hedge). Of
 * several versions the highest ballot wins. Hints are not replicas and never count (R13).
 *
 * Pure: the caller sends what the bit masks say and reports what came of it. Bits and
 * `places` are positions in the preference list of the slot, 0..count-1.
 *
 * Lifecycle  begin -> (answered | failed | hedge)* until round_outcome is not PENDING; a write
 *            goes on taking answers after that, to know who needs a hint
 */
#ifndef ATOLL_CLUSTER_ROUND_H
#define ATOLL_CLUSTER_ROUND_H

#include "base/hlc.h"
#include "base/limits.h"
#include "base/status.h"

enum round_kind { ROUND_READ, ROUND_WRITE };

enum round_outcome {
    ROUND_PENDING,    /* wait for more answers, or for round_hedge */
    ROUND_DONE,       /* enough answered; read: `best` is the place that has the newest */
    ROUND_IMPOSSIBLE, /* so many failed that `need` cannot be reached any more; or
                         read: all have spoken, and none has the session's version */
};

enum place_state {
    PLACE_IDLE, /* not asked */
    PLACE_ASKED,
    PLACE_ANSWERED, /* read: `versions` holds what it has; write: holds it durably */
    PLACE_FAILED,   /* down, refused, or abstained (R12) */
    PLACE_STATES,
};

struct round {
    enum round_kind kind;                  /* as begun */
    uint8_t count;                         /* replicas, 1..REPLICAS_MAX */
    uint8_t need;                          /* W or R, 1..count */
    uint8_t answered;                      /* places in PLACE_ANSWERED */
    uint8_t failed;                        /* places in PLACE_FAILED */
    enum place_state states[REPLICAS_MAX]; /* by place; from `count` on idle */
    struct ballot versions[REPLICAS_MAX];  /* read: highest ballot there; zero = nothing */
    uint8_t full;                          /* bits: places that were asked for the value itself */
    struct ballot at_least;                /* read: done only with a version not below (session) */
};

/* Begin. `live` has a bit for each place worth asking first, `self` is the own place or -1.
 * A write asks everyone (the caller fails the places it cannot send to); a read asks `need`
 * places, itself first, then live ones in order, then the others. The first asked gives the
 * value itself, others their version only; one asked later gives it too when the first
 * failed or is slow (see `full`).
 * Requires  1 <= need <= count; `at_least` only matters to a read. Returns the places to ask. */
uint8_t round_begin(struct round *r, enum round_kind kind, uint8_t count, uint8_t need, int self,
                    uint8_t live, struct ballot at_least);

/* Place answered; a version only matters to a read. The first report of a place that was
 * asked counts, even when the round is done; any other changes nothing.
 * Returns places to ask now (read: everyone else when the session's version is missing). */
uint8_t round_answered(struct round *r, uint32_t place, struct ballot version);
/* Place failed: another is asked, if one is left and it matters. One that was not asked yet
 * may be failed too; then nobody takes its place. Returns the places to ask now. */
uint8_t round_failed(struct round *r, uint32_t place, uint8_t live);
/* It takes long: ask one more replica, if there is one idle. Returns the places to ask now. */
uint8_t round_hedge(struct round *r, uint8_t live);

enum round_outcome round_outcome(const struct round *r);
/* Read, done: the answered place with the highest version; of equals one that was asked
 * for the value, then the lowest place. */
uint32_t round_best(const struct round *r);
/* Read, done: places that answered with an older version than the best: repair them. */
uint8_t round_stale(const struct round *r);
/* Write: places that have not taken it (asked without answer, failed): they need a hint. */
uint8_t round_missed(const struct round *r);
bool round_check(const struct round *r);

#endif
