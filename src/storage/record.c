#include "storage/record.h"

#include "base/assert.h"
#include "base/cursor.h"

#define IKEY_BYTES_MIN (2u + KEY_BYTES_MIN)
#define FLAGS_OFFSET 0u
#define STAMP_OFFSET 1u
#define NODE_OFFSET 9u

static_assert(RECORD_HEAD_BYTES_MAX == NODE_OFFSET + 5 + 5 + 10 + 16,
              "the head is drawn in record.h");

static bool op_is_zero(struct op_id op) {
    return op.high == 0 && op.low == 0;
}

struct bytes ikey_make(uint16_t keyspace, struct bytes key, uint8_t *space) {
    ASSERT(key.len <= KEY_BYTES_MAX);
    space[0] = (uint8_t)(keyspace >> 8);
    space[1] = (uint8_t)keyspace;
    if (key.len > 0) memcpy(space + 2, key.ptr, key.len);
    return bytes_of(space, 2 + key.len);
}

uint16_t ikey_keyspace(struct bytes ikey) {
    ASSERT(ikey.len >= IKEY_BYTES_MIN);
    return (uint16_t)(ikey.ptr[0] << 8 | ikey.ptr[1]);
}

struct bytes ikey_key(struct bytes ikey) {
    ASSERT(ikey.len >= IKEY_BYTES_MIN);
    return bytes_of(ikey.ptr + 2, ikey.len - 2);
}

size_t record_body_len(const struct record *r) {
    size_t len = NODE_OFFSET + varint_len(r->ballot.node) + varint_len(r->ballot.boot);
    if (r->expires_at_ms != 0) len += varint_len(r->expires_at_ms);
    if (!op_is_zero(r->op)) len += 16;
    return len + r->value.len;
}

size_t record_head_encode(const struct record *r, uint8_t *p) {
    ASSERT(!ballot_is_zero(r->ballot));
    ASSERT((r->flags & ~RECORD_TOMBSTONE) == 0);

    uint8_t flags = r->flags;
    put_u64_le(p + STAMP_OFFSET, r->ballot.stamp);
    size_t len = NODE_OFFSET;
    len += put_varint(p + len, r->ballot.node);
    len += put_varint(p + len, r->ballot.boot);
    if (r->expires_at_ms != 0) {
        flags |= RECORD_HAS_EXPIRY;
        len += put_varint(p + len, r->expires_at_ms);
    }
    if (!op_is_zero(r->op)) {
        flags |= RECORD_HAS_OP;
        put_u64_le(p + len, r->op.high);
        put_u64_le(p + len + 8, r->op.low);
        len += 16;
    }
    p[FLAGS_OFFSET] = flags;

    ASSERT(len <= RECORD_HEAD_BYTES_MAX);
    return len;
}

/* A record has one encoding only in what its flags say: an expiry or an op id
 * that is announced is not zero, and a tombstone has no value. */
STATUS record_body_decode(struct bytes body, struct record *ret_record) {
    struct cursor c = cursor_of(body);
    const uint8_t flags = cursor_u8(&c);
    const uint64_t stamp = cursor_u64_le(&c);
    const uint64_t node = cursor_varint(&c);
    const uint64_t boot = cursor_varint(&c);
    const uint64_t expires_at_ms = (flags & RECORD_HAS_EXPIRY) != 0 ? cursor_varint(&c) : 0;
    struct op_id op = { 0, 0 };
    if ((flags & RECORD_HAS_OP) != 0) {
        op.high = cursor_u64_le(&c);
        op.low = cursor_u64_le(&c);
    }

    if (c.failed) return status_of(ST_CORRUPT);
    if ((flags & ~RECORD_FLAGS_KNOWN) != 0) return status_of(ST_CORRUPT);
    if (node > UINT32_MAX || boot > UINT32_MAX) return status_of(ST_CORRUPT);
    const struct ballot ballot = { stamp, (uint32_t)node, (uint32_t)boot };
    if (ballot_is_zero(ballot)) return status_of(ST_CORRUPT);
    if ((flags & RECORD_HAS_EXPIRY) != 0 && expires_at_ms == 0) return status_of(ST_CORRUPT);
    if ((flags & RECORD_HAS_OP) != 0 && op_is_zero(op)) return status_of(ST_CORRUPT);
    if ((flags & RECORD_TOMBSTONE) != 0 && c.rest.len != 0) return status_of(ST_CORRUPT);
    if (c.rest.len > VALUE_BYTES_MAX) return status_of(ST_CORRUPT);

    ret_record->ballot = ballot;
    ret_record->flags = flags & RECORD_TOMBSTONE;
    ret_record->expires_at_ms = expires_at_ms;
    ret_record->op = op;
    ret_record->value = c.rest;
    return status_of(ST_OK);
}

bool record_check(const struct record *r) {
    if (r->ikey.len < IKEY_BYTES_MIN || r->ikey.len > IKEY_BYTES_MAX) return false;
    if (ballot_is_zero(r->ballot)) return false;
    if ((r->flags & ~RECORD_TOMBSTONE) != 0) return false;
    if ((r->flags & RECORD_TOMBSTONE) != 0 && r->value.len != 0) return false;
    return r->value.len <= VALUE_BYTES_MAX;
}
