/* record.h - one version of one key, as storage sees it.
 *
 * Storage orders by `ikey`: keyspace id (2 bytes, big-endian) followed by the
 * client's key. Of two records with the same ikey the higher ballot wins in
 * every merge, whatever order they arrived in; equal ballots are the same record.
 *
 * The body of a record on disk, used alike by WAL, memtable and tables:
 *
 *   size    field
 *      1    flags: RECORD_* of this header
 *      8    ballot stamp, little-endian
 *    1-5    ballot node, varint
 *    1-5    ballot boot, varint
 *   1-10    expires_at_ms, varint; only with RECORD_HAS_EXPIRY
 *     16    op id, two u64 little-endian; only with RECORD_HAS_OP
 *      n    value: the rest; empty for a tombstone
 */
#ifndef ATOLL_STORAGE_RECORD_H
#define ATOLL_STORAGE_RECORD_H

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/limits.h"
#include "base/status.h"

#define RECORD_TOMBSTONE 0x01u   /* the key is deleted as of this ballot */
#define RECORD_HAS_EXPIRY 0x02u  /* set by encode, cleared by decode */
#define RECORD_HAS_OP 0x04u      /* set by encode, cleared by decode */
#define RECORD_FLAGS_KNOWN 0x07u /* any other bit is ST_CORRUPT: written by a newer version */

#define RECORD_HEAD_BYTES_MAX (1u + 8u + 5u + 5u + 10u + 16u)
#define RECORD_BODY_BYTES_MAX (RECORD_HEAD_BYTES_MAX + VALUE_BYTES_MAX)

/* Identity of one client operation, for exactly-once retries. Zero = none. */
struct op_id {
    uint64_t high;
    uint64_t low;
};

struct record {
    struct bytes ikey;      /* 3..IKEY_BYTES_MAX bytes */
    struct ballot ballot;   /* version; never zero in storage */
    uint8_t flags;          /* RECORD_TOMBSTONE or 0 */
    uint64_t expires_at_ms; /* wall ms at which it reads as absent; 0 = never */
    struct op_id op;        /* zero = none */
    struct bytes value;     /* 0..VALUE_BYTES_MAX bytes */
};

/* Write keyspace and key to `space` (IKEY_BYTES_MAX bytes); the view is into it. An empty
 * key gives the place before all keys of the keyspace, to seek to. */
struct bytes ikey_make(uint16_t keyspace, struct bytes key, uint8_t *space);
uint16_t ikey_keyspace(struct bytes ikey);
struct bytes ikey_key(struct bytes ikey);

/* Bytes the encoded body takes. */
size_t record_body_len(const struct record *r);
/* Write the body without the value; returns its length. `p` has RECORD_HEAD_BYTES_MAX. */
size_t record_head_encode(const struct record *r, uint8_t *p);
/* Body (head and value) to all fields but ikey. The value is a view into `body`.
 * Errors  ST_CORRUPT */
STATUS record_body_decode(struct bytes body, struct record *ret_record);

/* Whether a reader at wall time `now_ms` sees no value. */
static inline bool record_is_absent(const struct record *r, uint64_t now_ms) {
    return (r->flags & RECORD_TOMBSTONE) != 0 ||
           (r->expires_at_ms != 0 && r->expires_at_ms <= now_ms);
}

bool record_check(const struct record *r);

#endif
