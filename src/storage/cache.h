/* cache.h - blocks of tables kept in memory, one cache per node, exact byte budget.
 *
 * Sharded by key; a hit takes no lock. A block is immutable and reference-counted;
 * one that is referenced stays findable and is never evicted, so a caller that holds
 * what it fetched finds it again whatever the budget. Scan-resistant: new blocks
 * pass through a small queue and only those asked for again reach the main one
 * (S3-FIFO: Yang et al. 2023).
 *
 * Lifecycle  create -> (get | insert | release)* -> destroy (all released)
 * Owner      all threads; the cache locks itself
 * Memory     blocks with their entries, plus reservations, stay within bytes_max unless
 *            blocks in use alone exceed it (cache_stats.bytes_over); besides that the
 *            fixed tables, about 12 bytes per 4 KiB of bytes_max
 */
#ifndef ATOLL_STORAGE_CACHE_H
#define ATOLL_STORAGE_CACHE_H

#include "base/bytes.h"
#include "base/status.h"

struct cache;

/* What a block costs besides its bytes. */
#define CACHE_ENTRY_BYTES 64u

/* A block in memory; the bytes hold until cache_release. Zeroed = none. */
struct cache_block {
    struct bytes bytes;
    void *entry; /* private; NULL = no block */
};

struct cache_stats {
    uint64_t hits;           /* cache_get that found its block */
    uint64_t misses;         /* cache_get that did not */
    uint64_t evictions;      /* blocks dropped for others */
    uint64_t blocks;         /* held now */
    uint64_t bytes_used;     /* blocks, with overhead */
    uint64_t bytes_reserved; /* filters and indexes of open tables */
    uint64_t bytes_max;      /* the budget */
    uint64_t bytes_over;     /* how far blocks in use exceed the budget now; mostly 0 */
};

struct cache *cache_create(size_t bytes_max);
void cache_destroy(struct cache *c);

/* A number never given before: each open table takes one, so that (table, offset)
 * is a key of the whole node. */
uint64_t cache_table_id(struct cache *c);

/* Errors  ST_NOT_FOUND */
STATUS cache_get(struct cache *c, uint64_t table, uint64_t offset, struct cache_block *ret_block);
/* Where a block was found last, kept by who asks for it often: it saves the search, and
 * the end of the block, where its keys are, is fetched while the entry is examined.
 * Zeroed = knows nothing. Shared by any threads; holds as long as the cache. */
struct cache_hint {
    _Atomic(uintptr_t) entry; /* 0 = none; it may hold another block by now */
    _Atomic(uintptr_t) end;   /* one past the block's last byte; may be freed by now */
};
STATUS cache_get_hinted(struct cache *c, uint64_t table, uint64_t offset, struct cache_hint *hint,
                        struct cache_block *ret_block);
/* As cache_get, but it counts neither as a hit nor as a miss nor as a sign of use:
 * for a fetch that looks whether another was first. */
STATUS cache_peek(struct cache *c, uint64_t table, uint64_t offset, struct cache_block *ret_block);
/* Give `len` bytes from mem_alloc to the cache, held by the caller too until
 * released. If another thread was first, that block is given and `take_ptr` freed. */
void cache_insert(struct cache *c, uint64_t table, uint64_t offset, uint8_t *take_ptr, size_t len,
                  struct cache_block *ret_block);
/* `block` is empty afterwards; an empty one is left so. */
void cache_release(struct cache *c, struct cache_block *block);
/* Count memory that is not a block (filters, indexes) against the budget; may be negative. */
void cache_reserve(struct cache *c, int64_t bytes);
struct cache_stats cache_stats(struct cache *c);
/* Whether queues, chains and counters agree. Walks everything under the locks;
 * exact only while no other thread uses the cache. */
bool cache_check(struct cache *c);

#endif
