/* inspect.h - asking every replica of a key what it holds, for whoever wants to see it.
 *
 * A GET with REQUEST_REPLICAS is carried out at the shard that owns the key's slot, whether this
 * node keeps the slot or not: its own replica is looked up, every other one asked for its
 * version (QUERY, DIGEST), and when all have answered or failed the call is answered with an
 * array of struct replica_report. Nothing is repaired and no level is waited for.
 *
 * Lifecycle  inspect_begin -> (answered | failed | found)* -> freed with the call's answer
 * Owner      one shard
 * Memory     one struct inspection a call, so bounded as tasks are
 * Failure    a replica that cannot be asked, or is late, is reported as such
 */
#ifndef ATOLL_SHARD_INSPECT_H
#define ATOLL_SHARD_INSPECT_H

#include "proto/peer.h"
#include "shard/call.h"
#include "shard/lookup.h"

struct inspection;

/* Requires  REQUEST_REPLICAS, and that this shard owns the key */
void inspect_begin(struct shard *s, struct call *c);
/* An answer of the replica in this place came, or will not come. Its question is closed already. */
void inspect_answered(struct shard *s, struct inspection *k, uint32_t place,
                      const struct peer_frame *f);
void inspect_failed(struct shard *s, struct inspection *k, uint32_t place);
/* The own replica's block has been read. */
void inspect_found(struct shard *s, struct inspection *k);

#endif
