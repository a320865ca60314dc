#include "proto/peer_internal.h"

#include "base/assert.h"

static_assert(PEER_PAYLOAD_BYTES_MAX < UINT64_C(1) << 35, "the length of a run takes 5 bytes");

void peer_commit(struct buffer *out, const uint8_t *begin, const uint8_t *end, size_t reserved) {
    ASSERT(begin == out->ptr + out->end);
    ASSERT(end >= begin);
    ASSERT((size_t)(end - begin) <= reserved);
    buffer_commit(out, (size_t)(end - begin));
}

struct ballot peer_take_ballot(struct cursor *c) {
    const struct bytes b = cursor_take(c, BALLOT_BYTES);
    return c->failed ? (struct ballot){ 0 } : ballot_get(b.ptr);
}

uint64_t peer_take_varint(struct cursor *c, uint64_t max) {
    const size_t before = c->rest.len;
    const uint64_t value = cursor_varint(c);
    if (c->failed) return 0;
    if (value <= max && before - c->rest.len == varint_len(value)) return value;
    c->failed = true;
    return 0;
}

struct bytes peer_take_run(struct cursor *c, size_t min, size_t max) {
    ASSERT(min <= max);
    const uint64_t len = peer_take_varint(c, max);
    if (len < min) c->failed = true;
    return cursor_take(c, (size_t)len);
}

uint8_t peer_take_flags(struct cursor *c, uint8_t known) {
    const uint8_t flags = cursor_u8(c);
    if ((flags & ~known) == 0) return flags;
    c->failed = true;
    return 0;
}

void peer_take_zeros(struct cursor *c, size_t count) {
    const struct bytes zeros = cursor_take(c, count);
    for (size_t i = 0; i < zeros.len; i++) {
        if (zeros.ptr[i] != 0) c->failed = true;
    }
}

bool peer_text_is_printable(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') return false;
    }
    return true;
}
