/* placement.h - one making of a table: the rules of a slot, the targets, the passes.
 *
 * A slot takes `zone_least` to `zone_most` copies from each zone: with at least as many zones
 * as copies that is at most one, with fewer zones as evenly as their sizes allow. Targets are
 * the shares of the weights within that. The copies are levelled first, then the owners among
 * each slot's copies.
 *
 * Lifecycle  placement_create -> placement_first | placement_next -> placement_destroy
 * Owner      ring_create
 * Memory     about 200 KiB, and 4 bytes a copy, for the time of the call; the ring is lent by the caller
 */
#ifndef ATOLL_RING_PLACEMENT_H
#define ATOLL_RING_PLACEMENT_H

#include "ring/load.h"

#define ZONES_MAX RING_MEMBERS_MAX

struct placement {
    struct ring *ring;                   /* being made; members, replicas and copies are set */
    uint32_t zones_count;                /* 1..members */
    uint16_t zone_of[RING_MEMBERS_MAX];  /* per member, 0..zones_count-1 */
    uint32_t zone_size[ZONES_MAX];       /* members in it */
    uint8_t zone_least[ZONES_MAX];       /* copies of a slot that are reserved for the zone */
    uint8_t zone_most[ZONES_MAX];        /* copies of a slot it may have */
    uint32_t unreserved;                 /* copies of a slot that are reserved for no zone */
    bool zoned;                          /* some zone has more than one member */
    uint16_t order[RING_SLOTS];          /* the slots, shuffled: where passes look first */
    uint16_t owner[RING_SLOTS];          /* index of a member or PLACE_EMPTY */
    uint16_t known_as[RING_MEMBERS_MAX]; /* index in the previous table -> here, or PLACE_EMPTY */
    struct load copies;                  /* of ring->slots */
    struct load owners;                  /* of `owner` */
};

/* `r` has its members, replicas and copies; its slots are filled by the calls below. */
struct placement *placement_create(struct ring *r);
void placement_destroy(struct placement *p);

/* Fill the slots from virtual nodes. */
void placement_first(struct placement *p);
/* Fill the slots from those of a previous table, moving as few as possible. */
void placement_next(struct placement *p, const struct ring *previous);

/* Whether `member` may have this place of the slot's list instead of who has it now. */
bool placement_may_copy(const struct placement *p, uint32_t slot, uint32_t place, uint32_t member);
bool placement_check(const struct placement *p);

#endif
