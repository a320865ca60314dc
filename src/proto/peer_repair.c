#include "proto/peer_internal.h"

#include "base/assert.h"

/* RANGE, VERSIONS and FLOOR: what two nodes compare and agree to forget. */

#define VERSIONS_HEAD_BYTES_MAX (1u + 4u + PEER_RUN_LEN_BYTES_MAX)
#define VERSION_FIXED_BYTES_MAX (PEER_RUN_LEN_BYTES_MAX + BALLOT_BYTES)

static_assert(PEER_VERSIONS_BYTES_MAX + VERSIONS_HEAD_BYTES_MAX + VERSION_FIXED_BYTES_MAX +
                      2 * IKEY_BYTES_MAX <=
                  PEER_PAYLOAD_BYTES_MAX,
              "a list that ends where it should fits in a frame");

static bool range_check(const struct peer_range *m) {
    if (!peer_place_valid(m->start) || !peer_place_valid(m->end)) return false;
    if (m->end.len > 0 && bytes_compare(m->start, m->end) >= 0) return false;
    if (m->slots_modulo == 0 || m->slots_modulo > SLOTS) return false;
    return m->slots_rest < m->slots_modulo && m->count <= PEER_VERSIONS_MAX;
}

void peer_range_encode(const struct peer_range *m, struct buffer *out) {
    ASSERT(range_check(m));
    const size_t room =
        PEER_RANGE_FIXED_BYTES + 2 * PEER_RUN_LEN_BYTES_MAX + m->start.len + m->end.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t *p = begin;
    p = peer_put_u16(p, m->slots_modulo);
    p = peer_put_u16(p, m->slots_rest);
    p = peer_put_u32(p, m->count);
    p = peer_put_u64(p, m->below_stamp);
    p = peer_put_u64(p, m->floor_stamp);
    p = peer_put_u64(p, m->verified_stamp);
    p = peer_put_u64(p, m->hash);
    p = peer_put_u64(p, m->joint);
    p = peer_put_u64(p, m->caught);
    p = peer_put_u64(p, m->settled);
    ASSERT(p == begin + PEER_RANGE_FIXED_BYTES);
    p = peer_put_run(p, m->start);
    p = peer_put_run(p, m->end);
    peer_commit(out, begin, p, room);
}

STATUS peer_range_decode(struct bytes in, struct peer_range *ret) {
    struct cursor c = cursor_of(in);
    struct peer_range m = { .slots_modulo = cursor_u16_le(&c) };
    m.slots_rest = cursor_u16_le(&c);
    m.count = cursor_u32_le(&c);
    m.below_stamp = cursor_u64_le(&c);
    m.floor_stamp = cursor_u64_le(&c);
    m.verified_stamp = cursor_u64_le(&c);
    m.hash = cursor_u64_le(&c);
    m.joint = cursor_u64_le(&c);
    m.caught = cursor_u64_le(&c);
    m.settled = cursor_u64_le(&c);
    m.start = peer_take_run(&c, 0, IKEY_BYTES_MAX);
    m.end = peer_take_run(&c, 0, IKEY_BYTES_MAX);
    if (!cursor_done(&c) || !range_check(&m)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}

void peer_versions_append(struct buffer *list, const struct peer_version *v) {
    ASSERT(peer_ikey_valid(v->ikey));
    ASSERT(!ballot_is_zero(v->version));
    const size_t room = VERSION_FIXED_BYTES_MAX + v->ikey.len;
    uint8_t *const begin = buffer_reserve(list, room);
    if (begin == NULL) return;
    uint8_t *p = peer_put_run(begin, v->ikey);
    p = peer_put_ballot(p, v->version);
    peer_commit(list, begin, p, room);
}

static void take_version(struct cursor *c, struct peer_version *ret) {
    ret->ikey = peer_take_run(c, PEER_IKEY_BYTES_MIN, IKEY_BYTES_MAX);
    ret->version = peer_take_ballot(c);
    if (ballot_is_zero(ret->version)) c->failed = true;
}

bool peer_versions_next(struct bytes *list, struct peer_version *ret) {
    ASSERT(list->ptr != NULL || list->len == 0);
    if (list->len == 0) return false;
    struct cursor c = cursor_of(*list);
    struct peer_version v;
    take_version(&c, &v);
    ASSERT(!c.failed); /* the whole list was looked at before */
    *list = c.rest;
    *ret = v;
    return true;
}

/* Whether the list holds `count` entries in ascending order, none behind `last`. */
static bool list_valid(const struct peer_versions *m) {
    struct cursor c = cursor_of(m->list);
    struct bytes before = BYTES_NONE;
    uint32_t count = 0;
    while (c.rest.len > 0 && count < m->count) {
        struct peer_version v;
        take_version(&c, &v);
        if (c.failed || bytes_compare(before, v.ikey) >= 0) return false;
        before = v.ikey;
        count++;
    }
    if (c.rest.len > 0 || count != m->count) return false;
    return m->last.len == 0 || bytes_compare(before, m->last) <= 0;
}

static bool versions_check(const struct peer_versions *m) {
    if (m->status != PEER_VERSIONS_LIST) return true;
    if (m->count > PEER_VERSIONS_MAX || !peer_place_valid(m->last)) return false;
    return list_valid(m);
}

void peer_versions_encode(const struct peer_versions *m, struct buffer *out) {
    ASSERT((uint32_t)m->status < PEER_VERSIONS_STATUSES);
    ASSERT(versions_check(m));
    if (m->status != PEER_VERSIONS_LIST) {
        buffer_append_u8(out, (uint8_t)m->status);
        return;
    }
    const size_t room = VERSIONS_HEAD_BYTES_MAX + m->last.len + m->list.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t *p = peer_put_u8(begin, (uint8_t)m->status);
    p = peer_put_u32(p, m->count);
    p = peer_put_run(p, m->last);
    p = peer_put_bytes(p, m->list);
    peer_commit(out, begin, p, room);
}

STATUS peer_versions_decode(struct bytes in, struct peer_versions *ret) {
    struct cursor c = cursor_of(in);
    struct peer_versions m = {
        .status = (enum peer_versions_status)cursor_u8_below(&c, PEER_VERSIONS_STATUSES),
    };
    if (!c.failed && m.status == PEER_VERSIONS_LIST) {
        m.count = cursor_u32_le(&c);
        m.last = peer_take_run(&c, 0, IKEY_BYTES_MAX);
        m.list = cursor_take(&c, c.rest.len);
    }
    if (!cursor_done(&c) || !versions_check(&m)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}

void peer_floor_encode(const struct peer_floor *m, struct buffer *out) {
    ASSERT(!ballot_is_zero(m->floor));
    uint8_t bytes[PEER_FLOOR_BYTES];
    uint8_t *p = peer_put_u16(bytes, m->keyspace);
    p = peer_put_ballot(p, m->floor);
    ASSERT(p == bytes + sizeof bytes);
    buffer_append(out, bytes_of(bytes, sizeof bytes));
}

STATUS peer_floor_decode(struct bytes in, struct peer_floor *ret) {
    struct cursor c = cursor_of(in);
    struct peer_floor m = { .keyspace = cursor_u16_le(&c) };
    m.floor = peer_take_ballot(&c);
    if (!cursor_done(&c) || ballot_is_zero(m.floor)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}
