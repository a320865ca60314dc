#include "base/buffer.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define BUFFER_BYTES_MIN 256u /* the first block: most replies fit */
#define VARINT_BYTES_MAX 10u  /* 64 bits in groups of seven */
#define DECIMAL_BYTES_MAX 20u /* the digits of 2^64 - 1 */

static bool buffer_check(const struct buffer *b) {
    if (b->start > b->end) return false;
    if (b->end > b->capacity) return false;
    if (b->capacity > b->bytes_max) return false;
    if ((b->ptr == NULL) != (b->capacity == 0)) return false;
    return true;
}

void buffer_init(struct buffer *b, size_t bytes_max) {
    ASSERT(b != NULL);
    ASSERT(bytes_max > 0);
    *b = (struct buffer){ .bytes_max = bytes_max };
}

void buffer_deinit(struct buffer *b) {
    ASSERT(buffer_check(b));
    mem_free(b->ptr);
    *b = (struct buffer){ .bytes_max = b->bytes_max };
}

void buffer_reset(struct buffer *b) {
    ASSERT(buffer_check(b));
    b->start = b->end = 0;
    b->overflowed = false;
}

void buffer_shrink(struct buffer *b, size_t keep_bytes) {
    ASSERT(buffer_check(b));
    buffer_reset(b);
    if (b->capacity <= keep_bytes) return;
    mem_free(b->ptr);
    b->ptr = NULL;
    b->capacity = 0;
    ASSERT(buffer_check(b));
}

/* The block after this one: at least `needed` and, if the limit allows, double. */
static size_t capacity_after(const struct buffer *b, size_t needed) {
    ASSERT(needed <= b->bytes_max);
    const size_t doubled = b->capacity > b->bytes_max / 2 ? b->bytes_max : b->capacity * 2;
    size_t capacity = doubled < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : doubled;
    if (capacity < needed) capacity = needed;
    return capacity < b->bytes_max ? capacity : b->bytes_max;
}

/* Make the free bytes one run at the end, for `needed` bytes in all. What is
 * left slides to the front only when at least as much was consumed before it:
 * each byte then pays for one move, however small the steps are. */
static void make_room(struct buffer *b, size_t needed) {
    ASSERT(needed <= b->bytes_max);
    const size_t len = buffer_len(b);
    const bool slide_is_cheap = b->start >= len || b->capacity == b->bytes_max;
    if (needed <= b->capacity && slide_is_cheap) {
        if (len > 0) memmove(b->ptr, b->ptr + b->start, len);
    } else {
        const size_t capacity = capacity_after(b, needed);
        uint8_t *block = mem_alloc(capacity);
        if (len > 0) memcpy(block, b->ptr + b->start, len);
        mem_free(b->ptr);
        b->ptr = block;
        b->capacity = capacity;
    }
    b->start = 0;
    b->end = len;
    ASSERT(b->capacity >= needed);
}

uint8_t *buffer_reserve(struct buffer *b, size_t bytes) {
    ASSERT(buffer_check(b));
    const size_t len = buffer_len(b);
    if (bytes > b->bytes_max - len) {
        b->overflowed = true;
        return NULL;
    }
    if (b->ptr == NULL || bytes > b->capacity - b->end)
        make_room(b, len + bytes == 0 ? 1 : len + bytes);
    ASSERT(buffer_check(b));
    ASSERT(b->capacity - b->end >= bytes);
    return b->ptr + b->end;
}

void buffer_append(struct buffer *b, struct bytes in) {
    if (in.len == 0) return;
    uint8_t *room = buffer_reserve(b, in.len);
    if (room == NULL) return;
    memcpy(room, in.ptr, in.len);
    buffer_commit(b, in.len);
}

void buffer_append_string(struct buffer *b, const char *s) {
    ASSERT(s != NULL);
    buffer_append(b, bytes_of_string(s));
}

void buffer_append_u8(struct buffer *b, uint8_t v) {
    buffer_append(b, bytes_of(&v, sizeof v));
}

void buffer_append_u16_le(struct buffer *b, uint32_t v) {
    uint8_t word[sizeof(uint16_t)];
    ASSERT(v <= UINT16_MAX);
    put_u16_le(word, (uint16_t)v);
    buffer_append(b, bytes_of(word, sizeof word));
}

void buffer_append_u32_le(struct buffer *b, uint32_t v) {
    uint8_t word[sizeof v];
    put_u32_le(word, v);
    buffer_append(b, bytes_of(word, sizeof word));
}

void buffer_append_u64_le(struct buffer *b, uint64_t v) {
    uint8_t word[sizeof v];
    put_u64_le(word, v);
    buffer_append(b, bytes_of(word, sizeof word));
}

void buffer_append_varint(struct buffer *b, uint64_t v) {
    uint8_t groups[VARINT_BYTES_MAX];
    const size_t len = put_varint(groups, v);
    buffer_append(b, bytes_of(groups, len));
}

void buffer_append_u64(struct buffer *b, uint64_t v) {
    char digits[DECIMAL_BYTES_MAX];
    size_t start = sizeof digits;
    do {
        ASSERT(start > 0);
        digits[--start] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    buffer_append(b, bytes_of(digits + start, sizeof digits - start));
}

void buffer_append_i64(struct buffer *b, int64_t v) {
    if (v >= 0) {
        buffer_append_u64(b, (uint64_t)v);
        return;
    }
    buffer_append_u8(b, '-');
    buffer_append_u64(b, 0 - (uint64_t)v);
}

void buffer_printf(struct buffer *b, const char *format, ...) {
    ASSERT(format != NULL);
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);

    /* One byte more than the text: vsnprintf ends it with a NUL. */
    uint8_t *room = buffer_reserve(b, (size_t)len + 1);
    if (room == NULL) return;
    va_start(args, format);
    const int len_again = vsnprintf((char *)room, (size_t)len + 1, format, args);
    va_end(args);
    ASSERT(len_again == len);
    buffer_commit(b, (size_t)len);
}
