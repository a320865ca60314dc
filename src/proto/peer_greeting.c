#include "proto/peer_internal.h"

#include "base/assert.h"

/* HELLO, REFUSE and PING: what is said of the stream and its ends, and not of keys. */

#define HELLO_FLAGS_KNOWN (PEER_HELLO_PROXY | PEER_HELLO_FRESH)
#define PING_FLAGS_KNOWN (PEER_HELLO_FRESH | PEER_HELLO_DAMAGED | PEER_PING_FORGET)

static bool text_valid(struct bytes text) {
    return text.len <= PEER_TEXT_BYTES_MAX && peer_text_is_printable(text);
}

static bool has_cluster(const struct peer_hello *m) {
    static const uint8_t none[PEER_CLUSTER_BYTES];
    return memcmp(m->cluster, none, sizeof none) != 0;
}

static void take_cluster(struct cursor *c, uint8_t ret_cluster[PEER_CLUSTER_BYTES]) {
    const struct bytes taken = cursor_take(c, PEER_CLUSTER_BYTES);
    if (taken.len == PEER_CLUSTER_BYTES) memcpy(ret_cluster, taken.ptr, taken.len);
}

static bool hello_check(const struct peer_hello *m) {
    if (m->version != PEER_VERSION) return false;
    if (m->shards == 0 || m->shards > SHARDS_MAX) return false;
    if (m->from_shard >= m->shards || m->to_shard >= SHARDS_MAX) return false;
    if ((m->flags & ~HELLO_FLAGS_KNOWN) != 0) return false;
    const bool proxy = (m->flags & PEER_HELLO_PROXY) != 0;
    if ((m->member == 0) != proxy || (m->node_id == 0) != proxy) return false;
    if (!proxy && !has_cluster(m)) return false;
    return text_valid(m->address) && text_valid(m->release);
}

void peer_hello_encode(const struct peer_hello *m, struct buffer *out) {
    ASSERT(hello_check(m));
    uint8_t *const begin = buffer_reserve(out, PEER_HELLO_BYTES_MAX);
    if (begin == NULL) return;
    uint8_t *p = begin;
    p = peer_put_u16(p, m->version);
    p = peer_put_u16(p, m->shards);
    p = peer_put_u16(p, m->from_shard);
    p = peer_put_u16(p, m->to_shard);
    p = peer_put_u32(p, m->member);
    p = peer_put_u32(p, m->node_id);
    p = peer_put_u32(p, m->boot_count);
    p = peer_put_u32(p, m->flags); /* a byte and three zeros */
    memcpy(p, m->cluster, PEER_CLUSTER_BYTES);
    p += PEER_CLUSTER_BYTES;
    p = peer_put_u64(p, m->wall_ms);
    ASSERT(p == begin + PEER_HELLO_FIXED_BYTES);
    p = peer_put_bytes(peer_put_u8(p, (uint8_t)m->address.len), m->address);
    p = peer_put_bytes(peer_put_u8(p, (uint8_t)m->release.len), m->release);
    peer_commit(out, begin, p, PEER_HELLO_BYTES_MAX);
}

STATUS peer_hello_decode(struct bytes in, struct peer_hello *ret) {
    struct cursor c = cursor_of(in);
    struct peer_hello m = { .version = cursor_u16_le(&c) };
    if (c.failed) return status_of(ST_CORRUPT);
    /* What follows is only known of this version. */
    if (m.version != PEER_VERSION) return status_of(ST_INVALID);
    m.shards = cursor_u16_le(&c);
    m.from_shard = cursor_u16_le(&c);
    m.to_shard = cursor_u16_le(&c);
    m.member = cursor_u32_le(&c);
    m.node_id = cursor_u32_le(&c);
    m.boot_count = cursor_u32_le(&c);
    m.flags = cursor_u8(&c);
    peer_take_zeros(&c, 3);
    take_cluster(&c, m.cluster);
    m.wall_ms = cursor_u64_le(&c);
    m.address = cursor_take(&c, cursor_u8(&c));
    m.release = cursor_take(&c, cursor_u8(&c));
    if (!cursor_done(&c) || !hello_check(&m)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}

void peer_refuse_encode(struct bytes text, struct buffer *out) {
    ASSERT(text.len > 0);
    ASSERT(text_valid(text));
    buffer_append(out, text);
}

STATUS peer_refuse_decode(struct bytes in, struct bytes *ret_text) {
    if (in.len == 0 || !text_valid(in)) return status_of(ST_CORRUPT);
    *ret_text = in;
    return status_of(ST_OK);
}

void peer_ping_encode(const struct peer_ping *m, struct buffer *out) {
    ASSERT((m->flags & ~PING_FLAGS_KNOWN) == 0);
    uint8_t bytes[PEER_PING_BYTES] = { 0 };
    uint8_t *p = bytes;
    p = peer_put_u64(p, m->sent_wall_ms);
    p = peer_put_u64(p, m->answer_wall_ms);
    p = peer_put_u64(p, m->verified_stamp);
    p = peer_put_u64(p, m->floor_stamp);
    p = peer_put_u64(p, m->flags); /* a byte and seven zeros */
    ASSERT(p == bytes + sizeof bytes);
    buffer_append(out, bytes_of(bytes, sizeof bytes));
}

STATUS peer_ping_decode(struct bytes in, struct peer_ping *ret) {
    struct cursor c = cursor_of(in);
    struct peer_ping m = { .sent_wall_ms = cursor_u64_le(&c) };
    m.answer_wall_ms = cursor_u64_le(&c);
    m.verified_stamp = cursor_u64_le(&c);
    m.floor_stamp = cursor_u64_le(&c);
    m.flags = peer_take_flags(&c, PING_FLAGS_KNOWN);
    peer_take_zeros(&c, 7);
    if (!cursor_done(&c)) return status_of(ST_CORRUPT);
    *ret = m;
    return status_of(ST_OK);
}

void peer_control_encode(struct bytes message, struct buffer *out) {
    ASSERT(message.len > 0 && message.len <= PEER_CONTROL_BYTES_MAX);
    buffer_append(out, message);
}

STATUS peer_control_decode(struct bytes in, struct bytes *ret_message) {
    if (in.len == 0 || in.len > PEER_CONTROL_BYTES_MAX) return status_of(ST_CORRUPT);
    *ret_message = in;
    return status_of(ST_OK);
}
