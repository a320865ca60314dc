/* virtual_nodes.h - the first choice of members for every slot (Karger et al. 1997).
 *
 * A member has points on a circle of 2^64, as many as its target asks for: hashes of its id
 * and a number. The slots lie on the circle at equal distances. Each takes the members of the
 * points that follow it, but none that has its target already (Mirrokni et al. 2017).
 *
 * Pure. Memory  up to 1.3 MiB for the time of the call
 */
#ifndef ATOLL_RING_VIRTUAL_NODES_H
#define ATOLL_RING_VIRTUAL_NODES_H

#include "ring/placement.h"

/* Points per member, on average. Fewer leave long runs of slots to the same few members, more
 * cut the circle into more pieces than a list of ranges for clients should have. */
#define VIRTUAL_NODES_MEAN 64u

/* Fill the empty places of the copies. Places stay empty where the rules of the slot and the
 * targets leave none of the next members.
 *
 * Requires  the targets of the copies are set */
void virtual_nodes_fill(struct placement *p);

#endif
