/* buffer.h - a growing run of bytes: output of encoders, input of sockets.
 *
 * Lifecycle  init -> (append | consume)* -> deinit
 * Owner      one thread
 * Memory     one block from mem_alloc, doubled as needed up to `bytes_max`
 * Failure    a write past `bytes_max` sets `overflowed`, which sticks until reset;
 *            encoders write on and their caller asks once, at the end
 */
#ifndef ATOLL_BASE_BUFFER_H
#define ATOLL_BASE_BUFFER_H

#include "base/bytes.h"

struct buffer {
    uint8_t *ptr;     /* NULL until the first byte */
    size_t start;     /* first byte not consumed */
    size_t end;       /* one past the last byte written */
    size_t capacity;  /* bytes at ptr */
    size_t bytes_max; /* capacity never passes this */
    bool overflowed;  /* some write did not fit */
};

void buffer_init(struct buffer *b, size_t bytes_max);
void buffer_deinit(struct buffer *b);
/* Empty it, keep the memory. */
void buffer_reset(struct buffer *b);
/* Empty it and give the memory back if it is more than `keep_bytes`. */
void buffer_shrink(struct buffer *b, size_t keep_bytes);

static inline size_t buffer_len(const struct buffer *b) {
    return b->end - b->start;
}
static inline struct bytes buffer_bytes(const struct buffer *b) {
    if (b->ptr == NULL) return BYTES_NONE;
    return bytes_of(b->ptr + b->start, b->end - b->start);
}
/* Room for `bytes` at the end; NULL (and overflowed) if it cannot be had.
 * Holds until the next call. Call buffer_commit with what was filled. */
uint8_t *buffer_reserve(struct buffer *b, size_t bytes);
static inline void buffer_commit(struct buffer *b, size_t bytes) {
    b->end += bytes;
}
static inline void buffer_consume(struct buffer *b, size_t bytes) {
    b->start += bytes;
    if (b->start == b->end) b->start = b->end = 0;
}
void buffer_append(struct buffer *b, struct bytes in);
void buffer_append_string(struct buffer *b, const char *s);
void buffer_append_u8(struct buffer *b, uint8_t v);
/* Requires  v <= UINT16_MAX */
void buffer_append_u16_le(struct buffer *b, uint32_t v);
void buffer_append_u32_le(struct buffer *b, uint32_t v);
void buffer_append_u64_le(struct buffer *b, uint64_t v);
void buffer_append_varint(struct buffer *b, uint64_t v);
/* Decimal text. */
void buffer_append_i64(struct buffer *b, int64_t v);
void buffer_append_u64(struct buffer *b, uint64_t v);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
