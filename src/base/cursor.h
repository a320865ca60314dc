/* cursor.h - read bytes we did not write.
 *
 * Every read is bounds-checked, and the first bad read sticks, so a decoder
 * reads like the format it decodes and asks once, at the end, whether all held.
 * After a failure every read gives zero or empty.
 */
#ifndef ATOLL_BASE_CURSOR_H
#define ATOLL_BASE_CURSOR_H

#include "base/bytes.h"

struct cursor {
    struct bytes rest; /* what is not read yet */
    bool failed;       /* some read went past the end or was malformed; sticks */
};

static inline struct cursor cursor_of(struct bytes in) {
    return (struct cursor){ .rest = in };
}

uint8_t cursor_u8(struct cursor *c);
/* A byte below `end`; another fails. */
uint8_t cursor_u8_below(struct cursor *c, uint32_t end);
uint16_t cursor_u16_le(struct cursor *c);
uint32_t cursor_u32_le(struct cursor *c);
uint64_t cursor_u64_le(struct cursor *c);
/* LEB128; more than 10 bytes or a value past 64 bits fails. */
uint64_t cursor_varint(struct cursor *c);
/* The next `len` bytes, as a view into the input. */
struct bytes cursor_take(struct cursor *c, size_t len);
/* Whether all was read and nothing failed. */
static inline bool cursor_done(const struct cursor *c) {
    return !c->failed && c->rest.len == 0;
}

#endif
