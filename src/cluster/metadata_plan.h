/* metadata_plan.h - what a change of the ring would move, before anybody begins it.
 *
 * Begin from metadata_inputs, add, remove or reweigh members there (a node that is not known
 * yet has the next id, member_last + 1), and have it planned: the same placement that a
 * METADATA_CHANGE_BEGIN with these inputs carries out later.
 *
 * Pure. Lifecycle  metadata_plan_create -> read only -> metadata_plan_destroy
 * Memory     about 100 KiB, and 2 bytes for each two members
 */
#ifndef ATOLL_CLUSTER_METADATA_PLAN_H
#define ATOLL_CLUSTER_METADATA_PLAN_H

#include "cluster/metadata.h"

#define PLAN_MEMBERS_MAX (2 * MEMBERS_MAX) /* those before and those after */

struct plan_member {
    uint32_t id;           /* 1.. */
    uint32_t owned_before; /* slots it comes first in */
    uint32_t owned_after;  /* the same, when all is done */
    uint32_t kept_before;  /* slots it is in */
    uint32_t kept_after;   /* the same, when all is done */
};

struct metadata_plan {
    uint32_t count;                               /* of `members` */
    struct plan_member members[PLAN_MEMBERS_MAX]; /* by id, ascending */
    uint32_t slots_changed;                       /* whose list differs, be it in order only */
    uint32_t copies_moved;                        /* that a member gets and did not have */
    uint32_t copies_least;                        /* no table with these shares has fewer */
    uint32_t owners_moved;                        /* slots that come to another owner */
    uint32_t owners_least;                        /* as above */
    uint8_t gained[RING_SLOTS];                   /* by slot: copies that must be made */
    uint16_t *moves; /* owned; [count + 1][count + 1], see metadata_plan_moves */
};

struct plan_estimate {
    uint64_t bytes;   /* to be sent; UINT64_MAX if it is more than that */
    uint64_t time_ms; /* at the rate given; the same */
};

/* Requires  there is a cluster
 * Errors  ST_INVALID  no member, ids not ascending, weights or copies out of range */
STATUS metadata_plan_create(const struct metadata *m, const struct ring_inputs *inputs,
                            struct metadata_plan **ret_plan);
void metadata_plan_destroy(struct metadata_plan *p);
/* Copies by who gives its place up and who takes it: indexes of `members`, or `count` where a
 * list gets longer or shorter. */
static inline uint32_t metadata_plan_moves(const struct metadata_plan *p, uint32_t from,
                                           uint32_t to) {
    return p->moves[from * (p->count + 1) + to];
}
/* What `slot_bytes` (of one copy of each slot) come to, if all of it passes at `rate` bytes/s.
 * Requires  rate > 0 */
struct plan_estimate metadata_plan_estimate(const struct metadata_plan *p,
                                            const uint64_t slot_bytes[RING_SLOTS], uint64_t rate);

#endif
