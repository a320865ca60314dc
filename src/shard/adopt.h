/* adopt.h - a shard goes over from one view to the next, between two turns.
 *
 * Nothing that a request began is lost: what was asked of members that are gone fails, and what
 * counts on other replicas than before begins anew. In this order:
 *
 *   requests  coordinations that are not answered and whose replicas changed begin anew; writes
 *             keep their version
 *   gone      peers of members that are gone: their links end, and with them what was asked over
 *             them, their guests and pairs; hints for them are deleted
 *   new       peers are made and dialled; an address that changed is dialled anew, and everybody
 *             is if this node gained or lost its place
 *   slots     pairs forget what they proved about other slots than they now have in common
 *
 * Owner      the shard's thread. Failure  none: what cannot be done at once is done by later turns
 */
#ifndef ATOLL_SHARD_ADOPT_H
#define ATOLL_SHARD_ADOPT_H

#include "cluster/membership.h"

struct shard;

/* Work with this view from now on; it is held for the shard. Requires  not older than the present
 * one; the shard is open, and not in the middle of a turn */
void shard_adopt(struct shard *s, const struct membership *m);
/* Adopt the node's newest view if there is news; at the end of every turn. */
void shard_adopt_newest(struct shard *s);
/* Work out what follows from the view that the shard has. */
void shard_view_taken(struct shard *s);
/* Free members that are gone once nothing of theirs is under way; every tick. */
void shard_free_gone(struct shard *s);

#endif
