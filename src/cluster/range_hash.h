/* range_hash.h - a hash of a set of versions, whatever order they come in.
 *
 * Two nodes that hold the same versions of a range have the same hash, so that comparing
 * a range costs a few bytes. The hash is not seeded: every node must find the same one.
 *
 * Each version is hashed to 64 bits and the hashes are added modulo 2^64 (AdHash, Bellare
 * and Micciancio 1997). Not xor: under it a version counted twice would vanish, and of any
 * 65 hashes some always cancel each other, while sums that are equal by chance are rare.
 * Whoever chooses keys to that end can make two sets collide; then repair misses a
 * difference that a later write ends, and no answer to a client depends on it.
 *
 * Pure. Lifecycle  init -> add* -> read `sum` and `count`; nothing to free
 */
#ifndef ATOLL_CLUSTER_RANGE_HASH_H
#define ATOLL_CLUSTER_RANGE_HASH_H

#include "base/bytes.h"
#include "base/hlc.h"

struct range_hash {
    uint64_t sum;   /* of the hashes of all versions added, modulo 2^64 */
    uint32_t count; /* versions added */
};

void range_hash_init(struct range_hash *h);
/* Add one version of one key; the caller adds none twice.
 * Requires  ikey is not empty, version is not zero */
void range_hash_add(struct range_hash *h, struct bytes ikey, struct ballot version);
bool range_hash_equal(const struct range_hash *a, const struct range_hash *b);

#endif
