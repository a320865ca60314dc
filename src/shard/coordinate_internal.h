/* coordinate_internal.h - what coordinate.c (a coordination's life) asks of coordinate_who.c. */
#ifndef ATOLL_SHARD_COORDINATE_INTERNAL_H
#define ATOLL_SHARD_COORDINATE_INTERNAL_H

#include "shard/coordinate.h"

/* Whose answers count for the request's key, by the view that the shard has; nobody's while there
 * is no cluster. */
struct slot_places coordinate_replicas(const struct shard *s, const struct request *q,
                                       uint32_t slot);
/* Where this node is in the list, or -1. */
int coordinate_self(const struct shard *s, const struct slot_places *replicas);
/* Whether this node, at position `self`, is the first live one of the list. */
bool coordinate_is_home(const struct shard *s, const struct slot_places *replicas, int self);
/* Bits of the positions in the list that seem alive. */
uint16_t coordinate_live(struct shard *s, const struct slot_places *replicas, uint32_t slot);
/* More than half of the others say that this clock is ahead of theirs beyond the bound. */
bool coordinate_clock_is_off(const struct shard *s);

#endif
