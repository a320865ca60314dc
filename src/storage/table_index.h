/* table_index.h - which data block of a table may hold an ikey. Pure.
 *
 * Data blocks lie one after another from offset 0. For each but the first the index
 * has a separator: the shortest prefix of the block's first ikey that is above the
 * last ikey of the block before. The block for an ikey is the last one whose
 * separator is at or below it.
 *
 * In memory eight blocks form a group of four cache lines: the 8 bytes of each
 * separator that follow the prefix common to all, as integers; the offsets; and where
 * the cache had the block last. The first integer of each group stands in an array of
 * its own. So a search is branch-free and, in a table far larger than the processor's
 * caches, waits for memory once. Whole separators are compared only where the 8
 * bytes are equal.
 *
 * Lifecycle  builder: init -> add* -> finish -> deinit; index: decode -> find* -> deinit
 * Owner      builder: one thread; a decoded index may be read by any number
 * Memory     index: about 40 bytes a block plus its separator
 * Failure    ST_CORRUPT when the bytes are not an index of these data blocks
 *
 * An index before compression:
 *
 *   size  field
 *      4  number of data blocks, 1.. , little-endian
 *   then per block
 *    1-5  varint: bytes the separator shares with the one before
 *    1-5  varint: length of the rest; 0 for the first block, whose separator is empty
 *      n  the rest
 *    1-5  varint: stored length of the block
 */
#ifndef ATOLL_STORAGE_TABLE_INDEX_H
#define ATOLL_STORAGE_TABLE_INDEX_H

#include "base/buffer.h"
#include "base/limits.h"
#include "base/status.h"
#include "storage/cache.h"

struct table_index_builder {
    struct buffer entries;  /* encoded so far */
    uint8_t *separator;     /* IKEY_BYTES_MAX; the last one */
    uint32_t separator_len; /* bytes */
    uint32_t block_count;   /* blocks added */
};

void table_index_builder_init(struct table_index_builder *b);
void table_index_builder_deinit(struct table_index_builder *b);
/* Requires  `separator` is above the one before, and empty for the first block only */
void table_index_builder_add(struct table_index_builder *b, struct bytes separator,
                             uint32_t stored_len);
/* The encoded index; holds until deinit. Requires at least one block. */
struct bytes table_index_builder_finish(struct table_index_builder *b);

#define TABLE_INDEX_GROUP 8u

struct table_index_group {
    /* Of the separators before the blocks: 8 bytes after the common prefix, big-endian,
     * padded with zeros; 0 for block 0, all ones past the last block. */
    _Alignas(64) uint64_t heads[TABLE_INDEX_GROUP];
    uint64_t offsets[TABLE_INDEX_GROUP];        /* of the blocks in the file */
    struct cache_hint hints[TABLE_INDEX_GROUP]; /* any reader writes them */
};

struct table_index {
    struct table_index_group *groups; /* 64-byte aligned; one more offset than blocks */
    uint64_t *tops;                   /* heads[0] of each group */
    uint32_t *separator_ends;         /* per separator: where it ends in `separators` */
    uint8_t *separators;              /* all of them, one after another */
    uint32_t group_count;             /* 1.. */
    uint32_t block_count;             /* 1.. ; one separator less */
    uint32_t prefix_len;              /* bytes that all separators have in common */
    size_t memory_bytes;              /* of the four arrays */
};

/* `data_bytes` is the length of all data blocks. The input is not needed afterwards.
 * Errors  ST_CORRUPT */
STATUS table_index_decode(struct bytes in, uint64_t data_bytes, struct table_index *ret_index);
void table_index_deinit(struct table_index *x);
/* The only block that may hold `ikey`, 0..block_count-1. */
uint32_t table_index_find(const struct table_index *x, struct bytes ikey);
/* The separator in front of block `block`, 1..block_count-1. */
struct bytes table_index_separator(const struct table_index *x, uint32_t block);
/* Where block `block` lies, 0..block_count; the last is the end of the data. */
static inline uint64_t table_index_offset(const struct table_index *x, uint32_t block) {
    return x->groups[block / TABLE_INDEX_GROUP].offsets[block % TABLE_INDEX_GROUP];
}

#endif
