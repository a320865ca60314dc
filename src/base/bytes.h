/* bytes.h - a run of bytes that somebody else owns, and little-endian words.
 *
 * `struct bytes` is a view: it never owns, and who made it says until when it
 * holds. Bytes carry any value, NUL included; text is not special.
 */
#ifndef ATOLL_BASE_BYTES_H
#define ATOLL_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

struct bytes {
    const uint8_t *ptr; /* may be NULL only when len is 0 */
    size_t len;         /* bytes */
};

#define BYTES_NONE ((struct bytes){ NULL, 0 })
/* A view of a string literal, without its NUL. */
#define BYTES_LIT(literal) ((struct bytes){ (const uint8_t *)("" literal), sizeof(literal) - 1 })

static inline struct bytes bytes_of(const void *ptr, size_t len) {
    return (struct bytes){ (const uint8_t *)ptr, len };
}

static inline struct bytes bytes_of_string(const char *s) {
    return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Bytewise order, a prefix before its extensions: <0, 0, >0. */
static inline int bytes_compare(struct bytes a, struct bytes b) {
    const size_t shared = a.len < b.len ? a.len : b.len;
    const int order = shared == 0 ? 0 : memcmp(a.ptr, b.ptr, shared);
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_start_with(struct bytes a, struct bytes prefix) {
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* ASCII case is ignored; `word` is lower case. */
bool bytes_equal_nocase(struct bytes a, const char *word);

/* A number in its one decimal form, as Redis reads integers: an optional '-', digits
 * without leading zeros, no "-0", no overflow.
 * Errors  ST_INVALID */
STATUS bytes_to_i64(struct bytes text, int64_t *ret_value);
/* Digits, nothing else, no overflow.
 * Errors  ST_INVALID */
STATUS bytes_to_u64(struct bytes text, uint64_t *ret_value);

static inline void put_u16_le(uint8_t *p, uint16_t v) {
    memcpy(p, &v, sizeof v);
}
static inline void put_u32_le(uint8_t *p, uint32_t v) {
    memcpy(p, &v, sizeof v);
}
static inline void put_u64_le(uint8_t *p, uint64_t v) {
    memcpy(p, &v, sizeof v);
}
static inline uint16_t get_u16_le(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t get_u32_le(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t get_u64_le(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "formats are little-endian, read in place");

/* LEB128: 1..10 bytes. Returns how many were written; `p` has room for 10. */
size_t put_varint(uint8_t *p, uint64_t v);
size_t varint_len(uint64_t v);

#endif
