/* memtable_internal.h - one record as a memtable holds it.
 *
 * An entry is made once, never moves and is never freed before the memtable, so
 * both indexes (hash_index.h for points, radix_tree.h for order) point at it and
 * only ever grow. What changes is its head and its body: the body lies behind
 * the ikey while it fits there, and otherwise in a block of its own whose
 * address is then kept behind the ikey.
 *
 * The body is, each part only if its flag is set: expires_at_ms (8 bytes), op id
 * (16 bytes); then the value.
 */
#ifndef ATOLL_STORAGE_MEMTABLE_INTERNAL_H
#define ATOLL_STORAGE_MEMTABLE_INTERNAL_H

#include "base/assert.h"
#include "base/bytes.h"
#include "storage/record.h"

#define ENTRY_OUTSIDE 0x80u /* flag: the body is in a block of its own */
#define ENTRY_ALIGN 8u
#define ENTRY_KEYSPACE_BYTES 2u
/* Room behind the ikey for the address of a body outside. */
#define ENTRY_INLINE_BYTES_MIN 8u

struct memtable_entry {
    uint64_t sequence;           /* WAL position that makes this version durable */
    uint64_t stamp;              /* ballot */
    uint32_t node;               /* ballot */
    uint32_t boot;               /* ballot */
    uint32_t value_bytes : 25;   /* 0..VALUE_BYTES_MAX */
    uint32_t key_bytes_high : 7; /* what key_bytes has no room for */
    uint32_t flags : 8;          /* RECORD_* and ENTRY_OUTSIDE */
    uint32_t spare_bytes : 24;   /* of the place that holds the body, beyond the body;
                                  capped, so that what is above the cap is lost */
    uint16_t key_bytes;          /* low 16 bits of the ikey's bytes without the keyspace id */
    uint8_t ikey[];              /* then the body, or its address */
};

static_assert(VALUE_BYTES_MAX < 1u << 25, "a value's length fits its bits");
static_assert(IKEY_BYTES_MAX - ENTRY_KEYSPACE_BYTES < 1u << 23, "a key's length fits its bits");
static_assert(offsetof(struct memtable_entry, ikey) == 34, "no padding before the ikey");

static inline struct bytes entry_ikey(const struct memtable_entry *e) {
    const size_t key_bytes = (size_t)e->key_bytes_high << 16 | e->key_bytes;
    return bytes_of(e->ikey, key_bytes + ENTRY_KEYSPACE_BYTES);
}

#endif
