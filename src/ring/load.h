/* load.h - who holds which places of the slots, and moving them until all have their targets.
 *
 * A slot has `width` places, each held by a member or empty (PLACE_EMPTY, which holds places
 * like a member whose target is 0). One load is of the copies, another of the owners. A place
 * goes from a member above its target to one below it, where the rules of the slot allow it;
 * else along a shortest chain of such steps, as in a maximum flow. Members are in groups that
 * have their own sums: groups are levelled first, as inside one almost any step is allowed.
 *
 * Lifecycle  load_init -> (load_aim | load_give | load_level_*)* ; nothing to free
 * Owner      the placement it is part of
 * Memory     the places are lent by the caller
 */
#ifndef ATOLL_RING_LOAD_H
#define ATOLL_RING_LOAD_H

#include "base/assert.h"
#include "ring/ring.h"

#define PLACE_EMPTY RING_MEMBERS_MAX

/* What load_level_chains may do: so many places looked at and members asked, and a last search
 * that looks at each place once. Most tables need a hundredth. It is a quarter of a second. */
#define LOAD_WORK_MAX (UINT64_C(1) << 26)
/* Until this part of it chains are looked for one by one, then in waves: as many of one length as
 * one search gives. Tables depend on where the one ends and the other begins. */
#define LOAD_SINGLE_PART 16

static_assert(PLACE_EMPTY <= UINT16_MAX, "a place holds an index or PLACE_EMPTY");

struct placement;

/* Whether `member` may hold this place of the slot instead of who holds it now. Of one group, all
 * that hold no place of the slot may or none. */
typedef bool load_rule(const struct placement *p, uint32_t slot, uint32_t place, uint32_t member);

enum load_stage {
    LOAD_ACROSS, /* from a group above its target to one below */
    LOAD_WITHIN, /* inside a group */
};

struct load {
    uint16_t *places;       /* of slot s from s * stride: index of a member or PLACE_EMPTY */
    uint32_t stride;        /* places from one slot to the next */
    uint32_t width;         /* places of a slot that are used, 1..stride */
    uint32_t members_count; /* indexes below it are members */
    load_rule *may_take;    /* what the slots allow */
    const uint16_t *lists;  /* NULL, or of slot s from s * REPLICAS_MAX: nobody else may take */
    uint32_t lists_width;   /* of each list: members in it, 0..REPLICAS_MAX */
    uint16_t group_of[RING_MEMBERS_MAX + 1];     /* per member; PLACE_EMPTY is alone in its own */
    uint32_t held[RING_MEMBERS_MAX + 1];         /* places per member, and empty ones */
    uint32_t target[RING_MEMBERS_MAX + 1];       /* to be reached; [PLACE_EMPTY] = 0 */
    uint32_t group_held[RING_MEMBERS_MAX + 1];   /* sums of `held` */
    uint32_t group_target[RING_MEMBERS_MAX + 1]; /* sums of `target` */
    uint64_t work;                               /* done for chains, see LOAD_WORK_MAX */
    uint64_t work_max;                           /* of one load_level_chains */
};

/* All places are empty. `places` and `group_of` (members_count of them; NULL: each member is
 * a group) are the caller's; the latter is copied. */
void load_init(struct load *l, uint16_t *places, uint32_t stride, uint32_t width,
               uint32_t members_count, const uint16_t *group_of, load_rule *may_take);
/* Only the first `width` members of its list in `lists` may take a place of a slot: `may_take` says
 * no for all others, who are not asked then. The lists are the caller's. */
void load_among(struct load *l, const uint16_t *lists, uint32_t width);
void load_aim(struct load *l, uint32_t member, uint32_t target);
/* Give the place to `member`. */
void load_give(struct load *l, uint32_t slot, uint32_t place, uint32_t member);
/* Whether a place of `holder` should go to `taker`, whatever the slot says. */
bool load_wants(const struct load *l, enum load_stage stage, uint32_t holder, uint32_t taker);

/* Move places straight from members above their target to members below it, going through
 * the slots in `order`. `spared` (NULL for none) names a member per slot that keeps its place.
 */
void load_level_direct(struct load *l, const struct placement *p, enum load_stage stage,
                       const uint16_t *order, const uint16_t *spared);
/* Move places along chains until the targets are reached, nothing can bring them nearer or the
 * work is used up. But for the last, fills every empty place that can be filled within the
 * targets. Those spared keep their places where another chain will do. */
void load_level_chains(struct load *l, const struct placement *p, const uint16_t *spared);
bool load_check(const struct load *l);

#endif
