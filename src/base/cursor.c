#include "base/cursor.h"

#include "base/assert.h"

#define VARINT_BYTES_MAX 10u    /* 64 bits in groups of seven */
#define VARINT_LAST_BYTE_MAX 1u /* the tenth byte holds bit 63 alone */

static_assert(VARINT_BYTES_MAX * 7 >= 64, "ten groups of seven bits hold any word");

struct bytes cursor_take(struct cursor *c, size_t len) {
    ASSERT(c != NULL);
    ASSERT(c->rest.ptr != NULL || c->rest.len == 0);
    if (c->failed || len > c->rest.len) {
        c->failed = true;
        return BYTES_NONE;
    }
    if (len == 0) return BYTES_NONE;

    const struct bytes taken = bytes_of(c->rest.ptr, len);
    c->rest = bytes_of(c->rest.ptr + len, c->rest.len - len);
    return taken;
}

uint8_t cursor_u8(struct cursor *c) {
    const struct bytes b = cursor_take(c, 1);
    return b.len == 1 ? b.ptr[0] : 0;
}

uint8_t cursor_u8_below(struct cursor *c, uint32_t end) {
    const uint8_t value = cursor_u8(c);
    if (value >= end) c->failed = true;
    return value < end ? value : 0;
}

uint16_t cursor_u16_le(struct cursor *c) {
    const struct bytes b = cursor_take(c, sizeof(uint16_t));
    return b.len == sizeof(uint16_t) ? get_u16_le(b.ptr) : 0;
}

uint32_t cursor_u32_le(struct cursor *c) {
    const struct bytes b = cursor_take(c, sizeof(uint32_t));
    return b.len == sizeof(uint32_t) ? get_u32_le(b.ptr) : 0;
}

uint64_t cursor_u64_le(struct cursor *c) {
    const struct bytes b = cursor_take(c, sizeof(uint64_t));
    return b.len == sizeof(uint64_t) ? get_u64_le(b.ptr) : 0;
}

uint64_t cursor_varint(struct cursor *c) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < VARINT_BYTES_MAX; i++) {
        const uint8_t byte = cursor_u8(c);
        if (c->failed) return 0;
        if (i == VARINT_BYTES_MAX - 1 && byte > VARINT_LAST_BYTE_MAX) break;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) return value;
    }
    c->failed = true;
    return 0;
}
