/* peer_internal.h - the pieces that payloads of the peer protocol are made of.
 *
 * Writing goes to memory that the caller has reserved: each put says where the next one
 * goes. Reading goes through a cursor, which fails on what is out of range or could have been
 * written shorter, so that a decoder asks once, at the end.
 *
 *   ballot  16  stamp (8), node (4), boot (4)
 *   run   1-10  varint length in its shortest form
 *            n  bytes
 */
#ifndef ATOLL_PROTO_PEER_INTERNAL_H
#define ATOLL_PROTO_PEER_INTERNAL_H

#include "base/cursor.h"
#include "base/hash.h"
#include "proto/peer.h"

#define PEER_IKEY_BYTES_MIN (2u + KEY_BYTES_MIN)
/* A keyspace alone is a place too: before all its keys. */
#define PEER_PLACE_BYTES_MIN 2u
/* The length of a run: all limits fit in 35 bits. */
#define PEER_RUN_LEN_BYTES_MAX 5u

/* Sizes of payloads and of what stands before their bytes, for limits and reservations. */
#define PEER_HELLO_FIXED_BYTES 48u
#define PEER_HELLO_BYTES_MAX (PEER_HELLO_FIXED_BYTES + 2u * (1u + PEER_TEXT_BYTES_MAX))
#define PEER_PING_BYTES 40u
#define PEER_VERSION_HEAD_BYTES_MAX (1u + BALLOT_BYTES + 8u + 16u)
#define PEER_EPOCH_BYTES 8u
#define PEER_ACCEPT_BYTES_MAX                                                       \
    (PEER_EPOCH_BYTES + PEER_VERSION_HEAD_BYTES_MAX + 2u * PEER_RUN_LEN_BYTES_MAX + \
     IKEY_BYTES_MAX + VALUE_BYTES_MAX)
#define PEER_QUERY_BYTES_MAX (PEER_EPOCH_BYTES + IKEY_BYTES_MAX)
#define PEER_ANSWER_HEAD_BYTES_MAX (1u + 2u * PEER_RUN_LEN_BYTES_MAX + PEER_VERSION_HEAD_BYTES_MAX)
#define PEER_ANSWER_BYTES_MAX (PEER_ANSWER_HEAD_BYTES_MAX + VALUE_BYTES_MAX)
#define PEER_RANGE_FIXED_BYTES 64u
#define PEER_RANGE_BYTES_MAX \
    (PEER_RANGE_FIXED_BYTES + 2u * (PEER_RUN_LEN_BYTES_MAX + IKEY_BYTES_MAX))
#define PEER_FLOOR_BYTES (2u + BALLOT_BYTES)

static inline uint8_t *peer_put_u8(uint8_t *p, uint8_t v) {
    *p = v;
    return p + 1;
}
static inline uint8_t *peer_put_u16(uint8_t *p, uint16_t v) {
    put_u16_le(p, v);
    return p + 2;
}
static inline uint8_t *peer_put_u32(uint8_t *p, uint32_t v) {
    put_u32_le(p, v);
    return p + 4;
}
static inline uint8_t *peer_put_u64(uint8_t *p, uint64_t v) {
    put_u64_le(p, v);
    return p + 8;
}
static inline uint8_t *peer_put_ballot(uint8_t *p, struct ballot b) {
    ballot_put(p, b);
    return p + BALLOT_BYTES;
}
static inline uint8_t *peer_put_bytes(uint8_t *p, struct bytes b) {
    if (b.len > 0) memcpy(p, b.ptr, b.len);
    return p + b.len;
}
static inline uint8_t *peer_put_run(uint8_t *p, struct bytes b) {
    p += put_varint(p, b.len);
    return peer_put_bytes(p, b);
}
/* Commit what was written from `begin`, which buffer_reserve gave, up to `end`. */
void peer_commit(struct buffer *out, const uint8_t *begin, const uint8_t *end, size_t reserved);

struct ballot peer_take_ballot(struct cursor *c);
/* A varint in its shortest form, at most `max`. */
uint64_t peer_take_varint(struct cursor *c, uint64_t max);
/* A run of `min` to `max` bytes. */
struct bytes peer_take_run(struct cursor *c, size_t min, size_t max);
/* A byte that has no bits but those of `known`. */
uint8_t peer_take_flags(struct cursor *c, uint8_t known);
/* Reserved bytes. */
void peer_take_zeros(struct cursor *c, size_t count);
/* Whether `text` can be shown in a log as it is. */
bool peer_text_is_printable(struct bytes text);

static inline bool peer_ikey_valid(struct bytes ikey) {
    return ikey.len >= PEER_IKEY_BYTES_MIN && ikey.len <= IKEY_BYTES_MAX;
}
/* An end of a range: an ikey, a keyspace alone, or nothing. */
static inline bool peer_place_valid(struct bytes place) {
    return place.len == 0 || (place.len >= PEER_PLACE_BYTES_MIN && place.len <= IKEY_BYTES_MAX);
}

#endif
