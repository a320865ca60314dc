/* Any bytes as footer, properties, index, filter or stored block, chosen by the first
 * byte: refused, or sound enough to be used and, where there is one encoding, encoded to
 * the same bytes again. Checksums are made to fit, so that what they guard is reached. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/filter.h"
#include "storage/stored_block.h"
#include "storage/table_format.h"
#include "storage/table_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAW_BYTES_MOST (1u << 20)

static void footer(struct bytes in, uint8_t *copy) {
    if (in.len != TABLE_FOOTER_BYTES) return;
    put_u64_le(copy + 64, hash_xxh3(bytes_of(copy, 64)));
    const uint64_t file_bytes = get_u64_le(copy + 40) + get_u64_le(copy + 48) + TABLE_FOOTER_BYTES;
    struct table_footer f;
    uint8_t again[TABLE_FOOTER_BYTES];
    if (!status_ok(table_footer_decode(in, file_bytes, &f))) return;
    table_footer_encode(&f, again);
    ASSERT(bytes_equal(in, bytes_of(again, sizeof again)));
}

static void properties(struct bytes in) {
    struct table_properties p;
    struct table_properties q;
    if (!status_ok(table_properties_decode(in, &p))) return;
    struct buffer again;
    buffer_init(&again, TABLE_PROPERTIES_BYTES_MAX);
    table_properties_encode(&p, &again);
    ASSERT(status_ok(table_properties_decode(buffer_bytes(&again), &q)));
    ASSERT(p.records == q.records);
    ASSERT(bytes_equal(p.ikey_max, q.ikey_max));
    buffer_deinit(&again);
}

/* The first 8 bytes are the length of the data. */
static void table_index(struct bytes in) {
    if (in.len < 8) return;
    const uint64_t data_bytes = get_u64_le(in.ptr);
    struct table_index x;
    if (!status_ok(table_index_decode(bytes_of(in.ptr + 8, in.len - 8), data_bytes, &x))) return;
    ASSERT(table_index_offset(&x, x.block_count) == data_bytes);
    for (uint32_t block = 1; block < x.block_count; block++) {
        const struct bytes s = table_index_separator(&x, block);
        ASSERT(table_index_offset(&x, block - 1) < table_index_offset(&x, block));
        ASSERT(table_index_find(&x, s) == block);
        ASSERT(table_index_find(&x, bytes_of(s.ptr, s.len - 1)) < block);
    }
    table_index_deinit(&x);
}

static void filter(struct bytes in) {
    struct filter f;
    if (!status_ok(filter_open(in, &f))) return;
    uint32_t may = 0;
    for (uint64_t i = 0; i < 64; i++) may += filter_may_contain(&f, i * 0x9e3779b97f4a7c15u);
    ASSERT(may <= 64);
}

static void stored_block(struct bytes in, uint8_t *copy) {
    if (in.len <= STORED_TRAILER_BYTES) return;
    /* A block whose checksum is 0 differs from the right one by that checksum. */
    struct stored_block b;
    struct compressor c;
    struct buffer out;
    compressor_init(&c);
    buffer_init(&out, RAW_BYTES_MOST);
    (void)stored_block_encode(&c, bytes_of(in.ptr, 1), COMPRESSION_NONE, 1, 2, &out);
    const uint64_t place = get_u64_le(out.ptr + 6) ^ hash_xxh3(bytes_of(out.ptr, 6));
    buffer_deinit(&out);
    compressor_deinit(&c);
    put_u64_le(copy + in.len - 8, hash_xxh3(bytes_of(copy, in.len - 8)) ^ place);
    if (!status_ok(stored_block_decode(in, 1, 2, &b))) return;
    if (b.raw_len > RAW_BYTES_MOST) return;
    uint8_t *raw = mem_alloc(b.raw_len);
    const struct status s = stored_block_expand(&b, raw);
    ASSERT(status_ok(s) || s.code == ST_CORRUPT);
    mem_free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint8_t *copy = malloc(size - 1);
    if (copy == NULL) abort();
    memcpy(copy, data + 1, size - 1);
    const struct bytes in = bytes_of(copy, size - 1);
    switch (data[0] % 5) {
    case 0: footer(in, copy); break;
    case 1: properties(in); break;
    case 2: table_index(in); break;
    case 3: filter(in); break;
    case 4: stored_block(in, copy); break;
    }
    free(copy);
    return 0;
}
