/* link_internal.h - what link.c (a link's life, output) and link_serve.c (greeting, input) share. */
#ifndef ATOLL_SHARD_LINK_INTERNAL_H
#define ATOLL_SHARD_LINK_INTERNAL_H

#include "shard/link.h"

/* In the state LINK_DOWN, in the shard's links. */
struct link *link_create(struct shard *s, struct peer *p, uint16_t remote_shard);
/* The same for an address that is nobody's, to be dialled at once. */
struct link *link_create_seed(struct shard *s, struct seed *seed);
/* End it and free it at the end of the turn. Requires  dialled */
void link_give_up(struct link *l);
void link_move(struct link *l, enum link_state next);
/* The other node's shards are known: make a link for each that has slots in common with this. */
void links_want(struct shard *s, struct peer *p);
/* End what was silent for too long; fail what was not answered in time. After each tick. */
void links_judge(struct shard *s);
/* Accepted links that ended are freed once nobody can be in the middle of using them. */
void links_free_gone(struct shard *s);

#endif
