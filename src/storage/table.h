/* table.h - an immutable sorted file of records.
 *
 * Written once by flush or compaction, then only read. Each ikey occurs once.
 * Every block carries a checksum and is verified before a byte of it is used; a
 * bad block is reported with file and offset (log and ST_CORRUPT), never served.
 *
 * File layout:
 *
 *   data blocks    records in ikey order (block.h), at most block_bytes each before
 *                  compression, or one larger record
 *   filter         blocked Bloom filter over xxh3 of all ikeys (filter.h)
 *   index          one separator and length per data block (table_index.h)
 *   properties     counts, min and max ikey, highest ballot, ... (table_format.h)
 *   footer         where these are, format version, uid (table_format.h)
 *
 * Each part but the footer is stored with its compression and a checksum that covers
 * the table's uid and the offset too (stored_block.h), so that a misdirected read or
 * write is caught.
 */
#ifndef ATOLL_STORAGE_TABLE_H
#define ATOLL_STORAGE_TABLE_H

#include "os/file.h"
#include "storage/cache.h"
#include "storage/record.h"

#include <stdatomic.h>

#define TABLE_BLOCK_BYTES_DEFAULT 4096u
#define TABLE_FILTER_BITS_DEFAULT 10u

enum compression { COMPRESSION_NONE = 0, COMPRESSION_LZ4 = 1, COMPRESSION_ZSTD = 2 };

struct table_options {
    uint32_t block_bytes;         /* 1 KiB..64 KiB before compression; 0 = default */
    uint32_t filter_bits_per_key; /* 0 = no filter, up to 20 */
    enum compression compression;
};

struct table_properties {
    uint64_t records; /* tombstones included */
    uint64_t tombstones;
    uint64_t raw_bytes; /* ikeys and bodies before compression */
    uint64_t file_bytes;
    struct ballot ballot_max; /* a read stops when nothing below can be newer */
    uint64_t expires_min_ms;  /* earliest expiry in it; 0 = none expires */
    uint64_t expiring;        /* records with an expiry */
    struct bytes ikey_min;    /* views into the table's memory */
    struct bytes ikey_max;
};

/* ---- writing: blocking, in a background job ---- */

struct table_writer;
/* Make `path` (must not exist before, or is replaced).
 * `pace`, if given, is called with the bytes just written, and may sleep (rate limit). */
STATUS table_writer_create(struct os *os, const char *path, const struct table_options *options,
                           void (*pace)(void *user, size_t bytes), void *user,
                           struct table_writer **ret_writer);
/* Requires ikey above the last one added.
 * Errors  ST_FULL, ST_IO: final for this writer, every later call gives the same */
STATUS table_writer_add(struct table_writer *w, const struct record *r);
/* Bytes the file would have now, about. */
uint64_t table_writer_bytes(const struct table_writer *w);
/* Write filter, index, properties, footer and sync the file; its name is durable only
 * after os_dir_sync of the folder. Requires at least one record. */
STATUS table_writer_finish(struct table_writer *w);
/* Frees it; without a successful finish the file is removed. */
void table_writer_destroy(struct table_writer *w);

/* ---- reading ---- */

struct table;
/* Opens and verifies footer, properties, index and filter, which stay in memory
 * (reserved in the cache's budget).
 * Errors  ST_CORRUPT, ST_IO, ST_NOT_FOUND */
STATUS table_open(struct os *os, const char *path, struct cache *cache, struct table **ret_table);
/* References are counted atomically; the last release closes the file, and removes it
 * if table_doom was called. */
void table_retain(struct table *t);
void table_release(struct table *t);
void table_doom(struct table *t);
/* Whether a block of it was found damaged since it was opened, by whoever read it. The disk may
 * have been away for a moment only. */
bool table_is_suspect(const struct table *t);
/* Whether it was found damaged again when all of it was read for that. */
bool table_is_damaged(const struct table *t);
/* The same, but true only once, for the one who reports it. */
bool table_tell_damage(struct table *t);
/* Read all of a suspect table again, blocking: it is damaged, or no longer suspect. Meanwhile it
 * is what it was. `stop` may be set at any time; then nothing changes. */
void table_judge(struct table *t, const atomic_bool *stop);
const struct table_properties *table_properties(const struct table *t);
const char *table_path(const struct table *t);

/* A block that must be read before a call can go on. */
struct table_fetch {
    struct table *table; /* not retained: the caller's version holds it */
    uint64_t offset;
    uint32_t len; /* stored bytes, trailer included */
};

/* Read, verify, decompress and cache one block: blocking, from a job or an offline
 * tool. The block is held until released, so that a retry finds it.
 * Errors  ST_CORRUPT (or the disk cannot read it; logged with file and offset) */
STATUS table_fetch_block(const struct table_fetch *fetch, struct cache_block *ret_block);
/* The same for up to `count` blocks behind it, for who walks: they are in the cache, or not if one
 * cannot be read, which who needs it finds out. */
void table_fetch_ahead(const struct table_fetch *fetch, uint32_t count);

/* An ikey below which about so many thousandths of the table's records lie; holds as long as the
 * table. Requires  permille below 1000 */
struct bytes table_place(const struct table *t, uint32_t permille);

/* Stored bytes of data blocks in which there are records of this keyspace only, but for the first
 * and the last of them. */
uint64_t table_keyspace_bytes(const struct table *t, uint16_t keyspace);

/* Start fetching the part of the filter that table_may_contain will read; no effect. */
void table_prefetch(const struct table *t, uint64_t hash);
/* Whether the filter says the ikey may be here (hash = hash_xxh3(ikey)). */
bool table_may_contain(const struct table *t, struct bytes ikey, uint64_t hash);

/* Look one ikey up (ask table_may_contain first). With `may_block` a missing block is read here; without,
 * ST_WAIT names it in *ret_fetch. The record's value holds until *ret_block is released; its ikey is the one given.
 * Errors  ST_NOT_FOUND, ST_WAIT, ST_CORRUPT, ST_IO (on any error *block is empty) */
STATUS table_get(struct table *t, struct bytes ikey, bool may_block, struct record *ret_record,
                 struct cache_block *ret_block, struct table_fetch *ret_fetch);

/* In ikey order. Where a block is missing and blocking is not allowed, the
 * call gives ST_WAIT, leaves the iterator as it was, and names the block in `fetch`. */
struct table_iterator {
    struct table *table;      /* not retained */
    bool may_block;           /* read missing blocks here */
    bool bypass_cache;        /* compaction: read large pieces, keep nothing in the cache */
    bool valid;               /* stands on a record */
    struct record record;     /* views hold until the next call */
    struct table_fetch fetch; /* after ST_WAIT */
    void *state;              /* private: block held, position, key buffer, read-ahead */
};

void table_iterator_init(struct table_iterator *it, struct table *t, bool may_block,
                         bool bypass_cache);
/* To the first ikey >= `ikey` (empty = the first); valid = false past the end.
 * Errors  ST_WAIT, ST_CORRUPT */
STATUS table_iterator_seek(struct table_iterator *it, struct bytes ikey);
STATUS table_iterator_next(struct table_iterator *it);
/* After ST_CORRUPT: to the first record behind the block that is damaged.
 * Errors  as table_iterator_seek */
STATUS table_iterator_skip(struct table_iterator *it);
void table_iterator_deinit(struct table_iterator *it);

/* Read and verify all of it, order and counts included; one line per finding. Ends with the first
 * one if `report` is NULL.
 * Errors  ST_BUSY  `stop`, unless NULL, was set */
STATUS table_verify(struct table *t, void (*report)(void *user, const char *line), void *user,
                    const atomic_bool *stop, uint64_t *ret_bad);

#endif
