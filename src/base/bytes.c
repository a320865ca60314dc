#include "base/bytes.h"

#include "base/assert.h"
#include "base/status.h"

#define VARINT_BYTES_MAX 10u /* 64 bits in groups of seven */

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool bytes_equal_nocase(struct bytes a, const char *word) {
    ASSERT(word != NULL);
    for (size_t i = 0; i < a.len; i++) {
        /* A NUL in `word` ends it, and must not match a NUL among the bytes. */
        if (word[i] == '\0' || lower(a.ptr[i]) != (uint8_t)word[i]) return false;
    }
    return word[a.len] == '\0';
}

struct status bytes_to_u64(struct bytes text, uint64_t *ret_value) {
    ASSERT(ret_value != NULL);
    if (text.len == 0) return status_of(ST_INVALID);

    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        if (c < '0' || c > '9') return status_of(ST_INVALID);
        if (__builtin_mul_overflow(value, 10u, &value)) return status_of(ST_INVALID);
        if (__builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return status_of(ST_INVALID);
    }
    *ret_value = value;
    return status_of(ST_OK);
}

struct status bytes_to_i64(struct bytes text, int64_t *ret_value) {
    ASSERT(ret_value != NULL);
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative) text = bytes_of(text.ptr + 1, text.len - 1);

    uint64_t magnitude = 0;
    if (text.len > 1 && text.ptr[0] == '0') return status_of(ST_INVALID);
    TRY(bytes_to_u64(text, &magnitude));
    /* The negative side reaches one further than the positive one. */
    if (negative && magnitude == 0) return status_of(ST_INVALID);
    const uint64_t magnitude_max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > magnitude_max) return status_of(ST_INVALID);

    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return status_of(ST_OK);
}

size_t put_varint(uint8_t *p, uint64_t v) {
    ASSERT(p != NULL);
    size_t len = 0;
    while (v >= 0x80) {
        p[len++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[len++] = (uint8_t)v;
    ASSERT(len <= VARINT_BYTES_MAX);
    return len;
}

size_t varint_len(uint64_t v) {
    size_t len = 1;
    for (; v >= 0x80; v >>= 7) len++;
    ASSERT(len <= VARINT_BYTES_MAX);
    return len;
}
