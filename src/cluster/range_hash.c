#include "cluster/range_hash.h"

#include "base/assert.h"
#include "base/hash.h"

void range_hash_init(struct range_hash *h) {
    *h = (struct range_hash){ .sum = 0 };
}

void range_hash_add(struct range_hash *h, struct bytes ikey, struct ballot version) {
    ASSERT(ikey.len > 0);
    ASSERT(!ballot_is_zero(version));
    ASSERT(h->count < UINT32_MAX);
    uint8_t bytes[BALLOT_BYTES];
    ballot_put(bytes, version);
    /* The key's hash seeds that of the version: the two are mixed as if they were one
     * run of bytes, and a long key is not copied. */
    h->sum += hash_seeded(bytes_of(bytes, sizeof bytes), hash_xxh3(ikey));
    h->count++;
}

bool range_hash_equal(const struct range_hash *a, const struct range_hash *b) {
    return a->count == b->count && a->sum == b->sum;
}
