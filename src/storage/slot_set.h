/* slot_set.h - a set of slots, as bits: those whose records compaction is to drop.
 *
 * A key's slot is that of base/hash.h. What lies in a reserved keyspace is a shard's own and
 * belongs to no slot.
 *
 * Lifecycle  slot_set_of, or zeroed = empty; then constant
 * Owner      whoever holds it; copied, never shared
 * Memory     in the struct, 2 KiB
 */
#ifndef ATOLL_STORAGE_SLOT_SET_H
#define ATOLL_STORAGE_SLOT_SET_H

#include "base/bytes.h"
#include "base/hash.h"

#include <stdbool.h>

#define SLOT_SET_BYTES (SLOTS / 8)

struct slot_set {
    uint8_t bits[SLOT_SET_BYTES]; /* slot n is bit n % 8 of byte n / 8 */
    uint32_t count;               /* slots in it, 0..SLOTS */
};

void slot_set_of(const uint8_t bits[SLOT_SET_BYTES], struct slot_set *ret_set);
/* Whether the ikey's slot is in it; of a reserved keyspace none is. */
bool slot_set_has(const struct slot_set *s, struct bytes ikey);
/* Whether every slot of it is in `other`. */
bool slot_set_is_within(const struct slot_set *s, const struct slot_set *other);
bool slot_set_check(const struct slot_set *s);

#endif
