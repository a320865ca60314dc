/* ring.h - which members keep which slot.
 *
 * 16,384 slots (the Redis Cluster mapping, base/hash.h crc16_slot), each with a list of N
 * distinct members, owner first. The first table comes from weighted virtual nodes (Karger et
 * al. 1997) with bounded loads (Mirrokni et al. 2017), a later one from the table before it.
 * Of these rules the earlier wins:
 *   whole     every list is full; with no more than N members all are in each
 *   zones     N zones or more: no two of one zone in a list; fewer: as even as they have members
 *   balance   members own and keep slots by weight, to the slot (owners: give or take one or
 *             two); what the rules above take from the heavy is kept by the others by weight
 *   movement  within a tenth of the fewest copies and owners that these rules let move; with
 *             zones owners may be a fifth, and above 100 members a few single slots
 * Work is at most a small multiple of places times members, and for each of the two balances
 * LOAD_WORK_MAX; where that does not do, which no input is known to cause, balance gives way.
 *
 * Pure. Lifecycle  ring_create -> read only -> ring_destroy
 * Owner      whoever made it; any thread may read
 * Failure    ST_INVALID, see ring_create
 */
#ifndef ATOLL_RING_RING_H
#define ATOLL_RING_RING_H

#include "base/limits.h"
#include "base/status.h"

#include <stdint.h>

#define RING_SLOTS 16384u
#define RING_MEMBERS_MAX 1040u
#define RING_WEIGHT_MAX 1000000u

struct ring_member {
    uint32_t id;     /* 1.. ; what placement hashes, so it must not change */
    uint32_t weight; /* 1..RING_WEIGHT_MAX */
    uint32_t zone;   /* 0 = none given: every such member counts as a zone of its own */
};

struct ring {
    uint32_t members_count;                       /* 1..RING_MEMBERS_MAX */
    struct ring_member members[RING_MEMBERS_MAX]; /* by id, ascending */
    uint32_t replicas;                            /* N asked for, 1..REPLICAS_MAX */
    uint32_t copies;                              /* min(N, members): length of every list */
    uint16_t slots[RING_SLOTS][REPLICAS_MAX];     /* indexes into `members`, owner first */
};

/* `members` need not be sorted: equal members make equal rings, byte for byte, on every
 * machine. `previous` is NULL for a first table, else where the members' slots were until now,
 * with any other members, weights, zones and replicas; nothing of it is kept.
 *
 * Errors  ST_INVALID  count or replicas out of range, an id twice or 0, a weight out of range */
STATUS ring_create(const struct ring_member *members, uint32_t count, uint32_t replicas,
                   const struct ring *previous, struct ring **ret_ring);
void ring_destroy(struct ring *r);

/* The preference list of a slot: `r->copies` indexes into `r->members`. */
static inline const uint16_t *ring_list(const struct ring *r, uint32_t slot) {
    return r->slots[slot];
}
/* Where `member` is in the slot's list, or -1. */
int ring_place(const struct ring *r, uint32_t slot, uint32_t member);
/* Index of the member with this id; members_count if there is none. */
uint32_t ring_find(const struct ring *r, uint32_t id);

/* How many slots each member owns and keeps, for figures; arrays of members_count. */
void ring_count(const struct ring *r, uint32_t *ret_owned, uint32_t *ret_kept);
/* Whether members are sorted and in range, and every list is whole and distinct. */
bool ring_check(const struct ring *r);

#endif
