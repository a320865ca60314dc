#include "proto/peer_internal.h"

#include "base/assert.h"

/* ACCEPT, ACCEPTED, QUERY and ANSWER: one version of one key. */

/* Flags of a version's head; what they announce is not zero. */
#define HEAD_TOMBSTONE 0x01u
#define HEAD_EXPIRY 0x02u
#define HEAD_OP 0x04u
#define HEAD_FLAGS_KNOWN 0x07u

/* All but the ikey. */
static bool version_check(const struct peer_record *m) {
    if (ballot_is_zero(m->version)) return false;
    if (m->tombstone && m->value.len != 0) return false;
    return m->value.len <= VALUE_BYTES_MAX;
}

static uint8_t *put_head(uint8_t *p, const struct peer_record *m) {
    ASSERT(version_check(m));
    const bool has_op = m->op_high != 0 || m->op_low != 0;
    uint8_t flags = 0;
    if (m->tombstone) flags |= HEAD_TOMBSTONE;
    if (m->expires_at_ms != 0) flags |= HEAD_EXPIRY;
    if (has_op) flags |= HEAD_OP;
    p = peer_put_u8(p, flags);
    p = peer_put_ballot(p, m->version);
    if (m->expires_at_ms != 0) p = peer_put_u64(p, m->expires_at_ms);
    if (!has_op) return p;
    p = peer_put_u64(p, m->op_high);
    return peer_put_u64(p, m->op_low);
}

/* Everything but ikey and value. */
static void take_head(struct cursor *c, struct peer_record *m) {
    const uint8_t flags = peer_take_flags(c, HEAD_FLAGS_KNOWN);
    m->tombstone = (flags & HEAD_TOMBSTONE) != 0;
    m->version = peer_take_ballot(c);
    if ((flags & HEAD_EXPIRY) != 0) {
        m->expires_at_ms = cursor_u64_le(c);
        if (m->expires_at_ms == 0) c->failed = true;
    }
    if ((flags & HEAD_OP) != 0) {
        m->op_high = cursor_u64_le(c);
        m->op_low = cursor_u64_le(c);
        if (m->op_high == 0 && m->op_low == 0) c->failed = true;
    }
}

void peer_accept_encode(const struct peer_accept *m, struct buffer *out) {
    const struct peer_record *r = &m->record;
    ASSERT(peer_ikey_valid(r->ikey));
    const size_t room = PEER_EPOCH_BYTES + PEER_VERSION_HEAD_BYTES_MAX +
                        2 * PEER_RUN_LEN_BYTES_MAX + r->ikey.len + r->value.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t *p = peer_put_u64(begin, m->epoch);
    p = put_head(p, r);
    p = peer_put_run(p, r->ikey);
    p = peer_put_run(p, r->value);
    peer_commit(out, begin, p, room);
}

STATUS peer_accept_decode(struct bytes in, struct peer_accept *ret) {
    struct cursor c = cursor_of(in);
    struct peer_accept m = { .epoch = cursor_u64_le(&c) };
    take_head(&c, &m.record);
    m.record.ikey = peer_take_run(&c, PEER_IKEY_BYTES_MIN, IKEY_BYTES_MAX);
    m.record.value = peer_take_run(&c, 0, VALUE_BYTES_MAX);
    if (!cursor_done(&c) || !version_check(&m.record)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}

void peer_accepted_encode(const struct peer_accepted *m, struct buffer *out) {
    ASSERT((uint32_t)m->status < PEER_ACCEPT_STATUSES);
    buffer_append_u8(out, (uint8_t)m->status);
}

STATUS peer_accepted_decode(struct bytes in, struct peer_accepted *ret) {
    struct cursor c = cursor_of(in);
    const uint8_t status = cursor_u8_below(&c, PEER_ACCEPT_STATUSES);
    if (!cursor_done(&c)) return status_of(ST_CORRUPT);
    ret->status = (enum peer_accept_status)status;
    return status_of(ST_OK);
}

void peer_query_encode(const struct peer_query *m, struct buffer *out) {
    ASSERT(peer_ikey_valid(m->ikey));
    const size_t room = PEER_EPOCH_BYTES + m->ikey.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t *p = peer_put_u64(begin, m->epoch);
    p = peer_put_bytes(p, m->ikey);
    peer_commit(out, begin, p, room);
}

STATUS peer_query_decode(struct bytes in, struct peer_query *ret) {
    struct cursor c = cursor_of(in);
    const uint64_t epoch = cursor_u64_le(&c);
    if (c.failed || !peer_ikey_valid(c.rest)) return status_of(ST_CORRUPT);
    *ret = (struct peer_query){ .epoch = epoch, .ikey = c.rest };
    return status_of(ST_OK);
}

/* The value is whole or, for a digest, not there. */
static bool answer_check(const struct peer_answer *m) {
    if (m->status != PEER_ANSWER_FOUND) return true;
    if (!version_check(&m->record)) return false;
    if (m->record.ikey.len != 0 || m->value_len > VALUE_BYTES_MAX) return false;
    if (m->record.tombstone && m->value_len != 0) return false;
    return m->record.value.len == 0 || m->record.value.len == m->value_len;
}

void peer_answer_encode(const struct peer_answer *m, struct buffer *out) {
    ASSERT((uint32_t)m->status < PEER_ANSWER_STATUSES);
    ASSERT(answer_check(m));
    if (m->status != PEER_ANSWER_FOUND) {
        buffer_append_u8(out, (uint8_t)m->status);
        return;
    }
    const size_t room = PEER_ANSWER_HEAD_BYTES_MAX + m->record.value.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t *p = peer_put_u8(begin, (uint8_t)m->status);
    p += put_varint(p, m->value_len);
    p = put_head(p, &m->record);
    p = peer_put_run(p, m->record.value);
    peer_commit(out, begin, p, room);
}

STATUS peer_answer_decode(struct bytes in, struct peer_answer *ret) {
    struct cursor c = cursor_of(in);
    struct peer_answer m = {
        .status = (enum peer_answer_status)cursor_u8_below(&c, PEER_ANSWER_STATUSES),
    };
    if (!c.failed && m.status == PEER_ANSWER_FOUND) {
        m.value_len = peer_take_varint(&c, VALUE_BYTES_MAX);
        take_head(&c, &m.record);
        m.record.value = peer_take_run(&c, 0, VALUE_BYTES_MAX);
    }
    if (!cursor_done(&c) || !answer_check(&m)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}
