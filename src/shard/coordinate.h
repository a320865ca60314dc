/* coordinate.h - carrying out a call on all replicas of its key.
 *
 * A replica of the key coordinates (others hand the call to one, forward.h). Reads ask R
 * replicas, one for the value and the others for their version only; writes go to all N and are
 * answered after W; of a slot on its way both its list and its target have to. A read-modify-write reads, decides and writes at the key's home,
 * the first live replica, with the key parked meanwhile.
 *
 *   READ -> (FETCH: the newest was seen as a digest only) -> WRITE? -> answered; a write lingers until
 *   every replica has taken it or has a hint
 *
 * Each step's failure: a replica that fails or is slow is replaced by another (reads) or
 * gets a hint (writes); too few are OUT_QUORUM with how many there were. A coordinator
 * that dies leaves a write that some replicas hold: read repair and repair spread it. A replica that
 * knows a later epoch of the slot refuses: wait for that view, then begin anew.
 *
 * Owner      one shard. Memory  COORDINATIONS_MAX, made on demand, kept
 */
#ifndef ATOLL_SHARD_COORDINATE_H
#define ATOLL_SHARD_COORDINATE_H

#include "base/buffer.h"
#include "cluster/membership.h"
#include "cluster/round.h"
#include "proto/peer.h"
#include "shard/call.h"
#include "shard/lookup.h"
#include "shard/sent.h"

/* Writes linger until a silent node is suspected: DETECTOR_SILENCE_MS at 50,000 a second. */
#define COORDINATIONS_MAX 32768u
/* How often a read begins anew because the one replica with the newest value failed. */
#define COORDINATION_ATTEMPTS_MAX 4u

enum coordination_phase { COORDINATE_READ, COORDINATE_FETCH, COORDINATE_WRITE };

struct coordination {
    struct list link;  /* in the shard's free list, or in its `hedges` */
    struct list log;   /* in the shard's `logging` while the own write is not durable */
    struct list all;   /* in the shard's `coordinations` while it has a call */
    struct call *call; /* NULL once answered */
    struct round round;
    enum coordination_phase phase;
    uint32_t slot;
    struct slot_places replicas; /* who keeps the key, as of its begin, or of its begin anew */
    int self;                    /* own position among all of these, or -1 */
    uint8_t attempts;
    struct sent *sents[ROUND_PLACES_MAX]; /* by position; NULL = nothing out */
    struct lookup local;                  /* own replica's part of a read */
    uint64_t sequence;                    /* own write: durable once the log is safe up to here */
    uint64_t shown;                       /* log position of the own version that a read shows */
    uint64_t hedge_at_ms;                 /* monotonic; in `hedges` until then */
    struct buffer ikey;                   /* of the key */
    struct buffer body;                   /* value of the newest full answer so far */
    struct record newest; /* of it; views into `ikey` and `body`. From WRITE on what is written,
                             whose value may be the request's */
    bool has_newest;
    struct ballot version; /* of the write */
    int last;              /* place that was heard of last in this phase; -1 = none yet */
    uint64_t last_ns;      /* monotonic turn in which another than the own was, or it began */
    bool late;             /* in this phase a replica did not answer in time */
};

/* Whether calls must be coordinated: unless this node is the only member. */
bool shard_is_clustered(const struct shard *s);
/* Carry out a single-key call whose home shard this is, here or on another node.
 * Errors  ST_BUSY  write stall or too much under way: nothing was begun, try again later */
STATUS coordinate_call(struct shard *s, struct call *c);

/* An answer came, or will not come. `q` is closed already. */
void coordinate_answered(struct shard *s, struct coordination *k, uint32_t place,
                         const struct peer_frame *f);
/* `late`: its time was up. */
void coordinate_failed(struct shard *s, struct coordination *k, uint32_t place, bool late);
/* The shard works with another view: what is not answered and counts on other replicas than
 * before begins anew, writes under the same version. */
void coordinate_adopt(struct shard *s);
/* Whether its client has been answered: what it waits for only matters to hints. */
bool coordinate_is_answered(const struct coordination *k);
/* The own replica's block has been read. */
void coordinate_found(struct shard *s, struct coordination *k);
/* Own writes as far as the log is safe now. */
void coordinate_release(struct shard *s);
/* Ask one more replica where the first are slow. */
void coordinate_hedge(struct shard *s);
void coordinations_init(struct shard *s);
void coordinations_deinit(struct shard *s);

#endif
