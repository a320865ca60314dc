/* table_internal.h - what the table_*.c files share: an open table and its blocks.
 *
 * Lifecycle  table_open -> table_retain* / table_release* (table.h)
 * Owner      any thread; all fields but the atomics are constant after open
 * Memory     index, filter and properties, reserved in the cache's budget
 * Failure    a bad block is logged with file and offset where it is met
 */
#ifndef ATOLL_STORAGE_TABLE_INTERNAL_H
#define ATOLL_STORAGE_TABLE_INTERNAL_H

#include "storage/block.h"
#include "storage/filter.h"
#include "storage/stored_block.h"
#include "storage/table.h"
#include "storage/table_format.h"
#include "storage/table_index.h"

#include <stdatomic.h>

/* A data block holds one record, or less than 64 KiB. */
#define TABLE_BLOCK_RAW_BYTES_MAX (VALUE_BYTES_MAX + 4u * IKEY_BYTES_MAX)

struct table {
    struct table_index index;           /* where each data block is */
    struct filter filter;               /* view into filter_bytes */
    uint64_t cache_id;                  /* key of its blocks in the cache */
    struct cache *cache;                /* outlives the table */
    uint64_t uid;                       /* in the checksum of every block */
    struct os_file file;                /* open for reading */
    struct os *os;                      /* of the file */
    uint8_t *filter_bytes;              /* 64-byte aligned; NULL = no filter */
    uint8_t *properties_bytes;          /* what the ikeys of `properties` point into */
    struct table_properties properties; /* of the file */
    struct table_footer footer;         /* of the file */
    char *path;                         /* for messages and for removal */
    size_t memory_bytes;                /* reserved in the cache */
    _Atomic uint32_t reference_count;   /* 0 = being closed */
    _Atomic bool doomed;                /* remove the file when closed */
    _Atomic bool suspect;               /* some part of it was found damaged since it was opened */
    _Atomic bool damaged;               /* the last table_judge found it so too */
    _Atomic bool damage_told;           /* table_tell_damage has said so */
};

/* Where data block `block` lies. */
static inline uint64_t table_block_offset(const struct table *t, uint32_t block) {
    return table_index_offset(&t->index, block);
}
static inline uint32_t table_block_len(const struct table *t, uint32_t block) {
    return (uint32_t)(table_index_offset(&t->index, block + 1) -
                      table_index_offset(&t->index, block));
}

/* Log what is wrong at `offset` and remember that something is; gives ST_CORRUPT. */
struct status table_corrupt(struct table *t, uint64_t offset, const char *what);
/* Fill `ret_bytes` with [offset, offset + len) of the file. What the disk cannot read, and not when
 * it is asked again either, is damage as any other is: it does not pass by itself.
 * Errors  ST_CORRUPT, logged */
STATUS table_read(struct table *t, uint64_t offset, size_t len, uint8_t *ret_bytes);
/* Check the stored bytes of a data block that lies at `offset`.
 * Errors  ST_CORRUPT, logged */
STATUS table_block_decode(struct table *t, uint64_t offset, struct bytes stored,
                          struct stored_block *ret_block);
/* Get data block `block` from the cache, or read it if `may_block`.
 * Errors  ST_WAIT (*ret_fetch is set), ST_CORRUPT, ST_IO */
STATUS table_block_get(struct table *t, uint32_t block, bool may_block,
                       struct cache_block *ret_block, struct table_fetch *ret_fetch);

#endif
