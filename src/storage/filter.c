#include "storage/filter.h"

#include "base/assert.h"

static_assert(FILTER_LINE_BYTES * 8 == 512, "nine bits of a hash pick a bit");
static_assert((uint64_t)FILTER_LINES_MAX * FILTER_LINE_BYTES <= 1u << 30,
              "a filter is at most 1 GiB");

/* Bits set per key: fewest false positives for lines of 512 bits, which is a little
 * less than ln 2 times the bits per key, because some lines are overfull. */
static uint32_t probes_of(uint32_t bits_per_key) {
    static const uint8_t probes[FILTER_BITS_PER_KEY_MAX + 1] = {
        0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 8, 9, 9, 10, 10, 11, 11,
    };
    return probes[bits_per_key];
}

static uint32_t lines_of(uint64_t key_count, uint32_t bits_per_key) {
    const uint64_t lines = (key_count * bits_per_key + 511) / 512;
    if (lines == 0) return 1;
    return lines > FILTER_LINES_MAX ? FILTER_LINES_MAX : (uint32_t)lines;
}

size_t filter_bytes(uint64_t key_count, uint32_t bits_per_key) {
    ASSERT(bits_per_key >= 1);
    ASSERT(bits_per_key <= FILTER_BITS_PER_KEY_MAX);
    return FILTER_HEADER_BYTES + (size_t)lines_of(key_count, bits_per_key) * FILTER_LINE_BYTES;
}

void filter_build(const uint64_t *hashes, uint64_t key_count, uint32_t bits_per_key,
                  uint8_t *ret_bytes) {
    ASSERT(bits_per_key >= 1);
    ASSERT(bits_per_key <= FILTER_BITS_PER_KEY_MAX);

    const uint32_t probes = probes_of(bits_per_key);
    const uint32_t line_count = lines_of(key_count, bits_per_key);
    memset(ret_bytes, 0, filter_bytes(key_count, bits_per_key));
    put_u32_le(ret_bytes, line_count);
    ret_bytes[4] = (uint8_t)probes;

    uint8_t *lines = ret_bytes + FILTER_HEADER_BYTES;
    const struct filter f = { .lines = lines, .line_count = line_count, .probes = probes };
    for (uint64_t k = 0; k < key_count; k++) {
        /* Lines are visited at random: fetch one while earlier ones are filled. */
        if (k + 8 < key_count) __builtin_prefetch(filter_line(&f, hashes[k + 8]), 1);
        uint8_t *line = lines + (filter_line(&f, hashes[k]) - lines);
        uint32_t bits = (uint32_t)hashes[k];
        for (uint32_t i = 0; i < probes; i++) {
            bits *= 0x9e3779b9u;
            const uint32_t at = bits >> 23;
            line[at / 8] = (uint8_t)(line[at / 8] | 1u << (at % 8));
        }
    }
}

STATUS filter_open(struct bytes in, struct filter *ret_filter) {
    if (in.len < FILTER_HEADER_BYTES + FILTER_LINE_BYTES) return status_of(ST_CORRUPT);
    const uint64_t line_count = get_u32_le(in.ptr);
    const uint32_t probes = in.ptr[4];
    if (line_count == 0 || line_count > FILTER_LINES_MAX) return status_of(ST_CORRUPT);
    if (probes == 0 || probes > FILTER_PROBES_MAX) return status_of(ST_CORRUPT);
    for (uint32_t i = 5; i < FILTER_HEADER_BYTES; i++) {
        if (in.ptr[i] != 0) return status_of(ST_CORRUPT);
    }
    if (in.len != FILTER_HEADER_BYTES + line_count * FILTER_LINE_BYTES)
        return status_of(ST_CORRUPT);
    *ret_filter = (struct filter){
        .lines = in.ptr + FILTER_HEADER_BYTES,
        .line_count = (uint32_t)line_count,
        .probes = probes,
    };
    return status_of(ST_OK);
}
