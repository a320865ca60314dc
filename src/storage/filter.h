/* filter.h - a Bloom filter whose every probe stays in one cache line. Pure.
 *
 * Blocked Bloom filter (Putze, Sanders, Singler 2007): the high half of a key's
 * 64-bit hash picks a line of 512 bits, the low half picks the bits in it.
 *
 * Lifecycle  filter_build makes bytes; filter_open views bytes
 * Owner      a view may be read by any number of threads
 * Memory     the caller's; lines are read fastest when 64-byte aligned
 * Failure    ST_CORRUPT when the bytes are not a filter
 *
 * A filter; integers little-endian:
 *
 *   offset  size  field
 *        0     4  number of lines, 1..FILTER_LINES_MAX
 *        4     1  bits set per key, 1..FILTER_PROBES_MAX
 *        5    59  zero, so that lines stay aligned if the filter is
 *       64  64*n  lines
 */
#ifndef ATOLL_STORAGE_FILTER_H
#define ATOLL_STORAGE_FILTER_H

#include "base/bytes.h"
#include "base/status.h"

#define FILTER_LINE_BYTES 64u
#define FILTER_HEADER_BYTES 64u
#define FILTER_PROBES_MAX 11u
#define FILTER_BITS_PER_KEY_MAX 20u
/* 1 GiB; more keys than that raise the rate of false positives, nothing else. */
#define FILTER_LINES_MAX (16u * 1024 * 1024)

struct filter {
    const uint8_t *lines; /* line_count times FILTER_LINE_BYTES; NULL = holds every key */
    uint32_t line_count;  /* 1..FILTER_LINES_MAX */
    uint32_t probes;      /* bits set per key, 1..FILTER_PROBES_MAX */
};

/* Bytes that filter_build will write for so many keys. Requires bits_per_key in
 * 1..FILTER_BITS_PER_KEY_MAX */
size_t filter_bytes(uint64_t key_count, uint32_t bits_per_key);
/* Write the filter of these hashes to `ret_bytes`, filter_bytes() long. */
void filter_build(const uint64_t *hashes, uint64_t key_count, uint32_t bits_per_key,
                  uint8_t *ret_bytes);
/* Errors  ST_CORRUPT */
STATUS filter_open(struct bytes in, struct filter *ret_filter);

static inline const uint8_t *filter_line(const struct filter *f, uint64_t hash) {
    return f->lines + ((hash >> 32) * f->line_count >> 32) * FILTER_LINE_BYTES;
}

static inline void filter_prefetch(const struct filter *f, uint64_t hash) {
    if (f->lines != NULL) __builtin_prefetch(filter_line(f, hash));
}

/* False only if no key with this hash was given to filter_build. */
static inline bool filter_may_contain(const struct filter *f, uint64_t hash) {
    if (f->lines == NULL) return true;
    const uint8_t *line = filter_line(f, hash);
    uint32_t bits = (uint32_t)hash;
    uint32_t all = 1;
    for (uint32_t i = 0; i < f->probes; i++) {
        bits *= 0x9e3779b9u;
        const uint32_t at = bits >> 23;
        all &= (uint32_t)line[at / 8] >> (at % 8);
    }
    return all != 0;
}

#endif
