#include "storage/stored_block.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <lz4.h>
#include <stdatomic.h>
#include <zstd.h>

/* Decompression contexts waiting for reuse; making one costs more than a block. */
#define CONTEXTS_KEPT 8u
/* Level 1 is within a few percent of 3 for blocks of this size, at twice the speed. */
#define ZSTD_LEVEL 1

static_assert(STORED_TRAILER_BYTES == 1 + 4 + 8, "fields of the trailer");
static_assert(STORED_RAW_BYTES_MAX <= 1u << 31, "LZ4 counts in int");

void compressor_init(struct compressor *c) {
    *c = (struct compressor){ 0 };
}

void compressor_deinit(struct compressor *c) {
    mem_free(c->lz4);
    ZSTD_freeCCtx(c->zstd);
    *c = (struct compressor){ 0 };
}

static uint64_t place_mix(uint64_t uid, uint64_t offset) {
    uint64_t x = uid ^ (offset + 1) * 0x9e3779b97f4a7c15u; /* the finalizer of SplitMix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Compress to at most `capacity` bytes; 0 if that cannot be done. */
static size_t compress(struct compressor *c, struct bytes raw, enum compression compression,
                       uint8_t *out, size_t capacity) {
    if (compression == COMPRESSION_LZ4) {
        if (raw.len > LZ4_MAX_INPUT_SIZE) return 0;
        if (c->lz4 == NULL) c->lz4 = mem_alloc((size_t)LZ4_sizeofState());
        const int len = LZ4_compress_fast_extState(c->lz4, (const char *)raw.ptr, (char *)out,
                                                   (int)raw.len, (int)capacity, 1);
        return len > 0 ? (size_t)len : 0;
    }
    if (compression == COMPRESSION_ZSTD) {
        if (c->zstd == NULL) c->zstd = ZSTD_createCCtx();
        if (c->zstd == NULL) return 0;
        const size_t len = ZSTD_compressCCtx(c->zstd, out, capacity, raw.ptr, raw.len, ZSTD_LEVEL);
        return ZSTD_isError(len) ? 0 : len;
    }
    return 0;
}

size_t stored_block_encode(struct compressor *c, struct bytes raw, enum compression compression,
                           uint64_t uid, uint64_t offset, struct buffer *out) {
    ASSERT(raw.len > 0);
    ASSERT(raw.len <= STORED_RAW_BYTES_MAX);

    uint8_t *p = buffer_reserve(out, raw.len + STORED_TRAILER_BYTES);
    ASSERT(p != NULL);
    size_t len = compress(c, raw, compression, p, raw.len - raw.len / 8);
    if (len == 0) {
        memcpy(p, raw.ptr, raw.len);
        len = raw.len;
        compression = COMPRESSION_NONE;
    }
    p[len] = (uint8_t)compression;
    put_u32_le(p + len + 1, (uint32_t)raw.len);
    put_u64_le(p + len + 5, hash_xxh3(bytes_of(p, len + 5)) ^ place_mix(uid, offset));
    buffer_commit(out, len + STORED_TRAILER_BYTES);
    return len + STORED_TRAILER_BYTES;
}

STATUS stored_block_decode(struct bytes stored, uint64_t uid, uint64_t offset,
                           struct stored_block *ret_block) {
    if (stored.len <= STORED_TRAILER_BYTES) return status_of(ST_CORRUPT);
    const size_t len = stored.len - STORED_TRAILER_BYTES;
    const uint8_t *trailer = stored.ptr + len;
    const uint64_t sum = hash_xxh3(bytes_of(stored.ptr, len + 5)) ^ place_mix(uid, offset);
    if (sum != get_u64_le(trailer + 5)) return status_of(ST_CORRUPT);

    const uint8_t compression = trailer[0];
    const uint32_t raw_len = get_u32_le(trailer + 1);
    if (compression > COMPRESSION_ZSTD) return status_of(ST_CORRUPT);
    if (raw_len == 0 || raw_len > STORED_RAW_BYTES_MAX) return status_of(ST_CORRUPT);
    if (compression == COMPRESSION_NONE && raw_len != len) return status_of(ST_CORRUPT);
    if (compression != COMPRESSION_NONE && raw_len <= len) return status_of(ST_CORRUPT);
    *ret_block = (struct stored_block){
        .payload = { stored.ptr, len },
        .compression = (enum compression)compression,
        .raw_len = raw_len,
    };
    return status_of(ST_OK);
}

static _Atomic(ZSTD_DCtx *) contexts_kept[CONTEXTS_KEPT];

static ZSTD_DCtx *context_take(void) {
    for (uint32_t i = 0; i < CONTEXTS_KEPT; i++) {
        if (atomic_load_explicit(&contexts_kept[i], memory_order_relaxed) == NULL) continue;
        ZSTD_DCtx *kept = atomic_exchange(&contexts_kept[i], NULL);
        if (kept != NULL) return kept;
    }
    ZSTD_DCtx *made = ZSTD_createDCtx();
    ASSERT(made != NULL);
    return made;
}

static void context_give(ZSTD_DCtx *context) {
    for (uint32_t i = 0; i < CONTEXTS_KEPT; i++) {
        ZSTD_DCtx *none = NULL;
        if (atomic_compare_exchange_strong(&contexts_kept[i], &none, context)) return;
    }
    ZSTD_freeDCtx(context);
}

STATUS stored_block_expand(const struct stored_block *b, uint8_t *ret_raw) {
    if (b->compression == COMPRESSION_NONE) {
        ASSERT(b->payload.len == b->raw_len);
        memcpy(ret_raw, b->payload.ptr, b->raw_len);
        return status_of(ST_OK);
    }
    if (b->compression == COMPRESSION_LZ4) {
        if (b->payload.len > LZ4_MAX_INPUT_SIZE || b->raw_len > LZ4_MAX_INPUT_SIZE)
            return status_of(ST_CORRUPT);
        const int len = LZ4_decompress_safe((const char *)b->payload.ptr, (char *)ret_raw,
                                            (int)b->payload.len, (int)b->raw_len);
        return status_of(len >= 0 && (uint32_t)len == b->raw_len ? ST_OK : ST_CORRUPT);
    }
    ZSTD_DCtx *context = context_take();
    const size_t len =
        ZSTD_decompressDCtx(context, ret_raw, b->raw_len, b->payload.ptr, b->payload.len);
    context_give(context);
    return status_of(len == b->raw_len ? ST_OK : ST_CORRUPT);
}
