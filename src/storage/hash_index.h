/* hash_index.h - memtable entries by ikey.
 *
 * Buckets of one cache line: seven slots and an overflow link. A slot is the
 * entry's address with bits of its hash above it, so that a miss and most of
 * the compares end in the bucket, and so that a bucket can be split without
 * touching an entry. It grows by linear hashing (Litwin 1980): an insert splits
 * at most one bucket, so none of them waits for a rehash of all.
 *
 * Lifecycle  init -> insert* -> deinit
 * Owner      one thread; once nothing is inserted any more, all may read
 * Memory     segments of buckets, counted in `bytes`
 * Failure    none
 */
#ifndef ATOLL_STORAGE_HASH_INDEX_H
#define ATOLL_STORAGE_HASH_INDEX_H

#include "storage/memtable_internal.h"

#define HASH_BUCKET_SLOTS 7u
#define HASH_SEGMENT_BUCKETS_MAX 1024u

struct hash_bucket {
    uint64_t
        slots[HASH_BUCKET_SLOTS]; /* tag and address of an entry; 0 = free, only free after it */
    struct hash_bucket *next;     /* overflow, or NULL */
};

struct hash_index {
    struct hash_bucket **segments; /* segments_max places; those in use have segment_buckets each */
    struct hash_bucket *spare;     /* overflow buckets not in use, linked by `next` */
    struct hash_bucket *pools;     /* blocks of overflow buckets; the first of each links them */
    uint64_t count;                /* entries */
    uint64_t level_mask;           /* buckets at the last doubling - 1 */
    uint64_t split_next;           /* bucket to split next, 0..level_mask */
    uint32_t segment_shift;        /* log2 of the buckets in a segment */
    uint32_t segments_used;        /* those allocated */
    uint32_t segments_max;         /* places in `segments` */
    size_t bytes;                  /* memory held, all of the above */
};

/* Sized so that it can grow with a memtable of `bytes_max`. */
void hash_index_init(struct hash_index *h, size_t bytes_max);
void hash_index_deinit(struct hash_index *h);

/* `hash` is hash_seeded of the ikey. NULL = not there. */
struct memtable_entry *hash_index_find(const struct hash_index *h, uint64_t hash,
                                       struct bytes ikey);
/* Requires that no entry with this ikey is there. */
void hash_index_insert(struct hash_index *h, uint64_t hash, struct memtable_entry *e);
/* The most that the next insert adds to `bytes`. */
size_t hash_index_insert_bytes_max(const struct hash_index *h);

/* Start fetching the bucket of this hash. */
void hash_index_prefetch(const struct hash_index *h, uint64_t hash);
/* Start fetching the entries that the bucket, fetched before, may mean by this hash. */
void hash_index_prefetch_entry(const struct hash_index *h, uint64_t hash);

/* Walks all buckets. */
bool hash_index_check(const struct hash_index *h);

#endif
