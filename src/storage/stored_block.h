/* stored_block.h - a part of a table as it lies in the file: compressed, checked. Pure.
 *
 * Lifecycle  compressor: init -> encode* -> deinit; decoding needs no object
 * Owner      a compressor: one thread
 * Memory     compressor: about 16 KiB for LZ4, some 100 KiB for Zstd, made when first
 *            used; the caller owns all input and output
 * Failure    ST_CORRUPT when the bytes are not those written at this place
 *
 * Integers little-endian:
 *
 *   offset  size  field
 *        0     n  payload: the raw bytes, or an LZ4 block, or a Zstd frame
 *        n     1  compression: enum compression
 *      n+1     4  raw length
 *      n+5     8  xxh3 of bytes [0, n + 5), exclusive-or a word mixed from the table's
 *                 uid and the file offset of byte 0: a block of another place or
 *                 of another table is not taken for this one
 */
#ifndef ATOLL_STORAGE_STORED_BLOCK_H
#define ATOLL_STORAGE_STORED_BLOCK_H

#include "base/buffer.h"
#include "storage/table.h"

#define STORED_TRAILER_BYTES 13u
/* What no raw block reaches: an index or filter of the largest table. */
#define STORED_RAW_BYTES_MAX (1u << 31)

struct compressor {
    void *lz4;  /* state of LZ4; NULL until used */
    void *zstd; /* ZSTD_CCtx; NULL until used */
};

void compressor_init(struct compressor *c);
void compressor_deinit(struct compressor *c);

/* Append `raw` as a stored block that will lie at file offset `offset`; returns how
 * many bytes. What does not shrink by an eighth is stored as it is. */
size_t stored_block_encode(struct compressor *c, struct bytes raw, enum compression compression,
                           uint64_t uid, uint64_t offset, struct buffer *out);

/* A stored block whose checksum holds. */
struct stored_block {
    struct bytes payload;         /* view into the stored bytes */
    enum compression compression; /* of the payload */
    uint32_t raw_len;             /* bytes after decompression */
};

/* Errors  ST_CORRUPT */
STATUS stored_block_decode(struct bytes stored, uint64_t uid, uint64_t offset,
                           struct stored_block *ret_block);
/* Write the raw_len raw bytes.
 * Errors  ST_CORRUPT (what is in ret_raw is then undefined) */
STATUS stored_block_expand(const struct stored_block *b, uint8_t *ret_raw);

#endif
