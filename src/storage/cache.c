#include "storage/cache.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "os/thread.h"

#include <stdatomic.h>

/* How a hit works without a lock: entries are never given back to the allocator
 * while the cache lives, so a reader may follow any pointer it finds. It compares the
 * key, adds a reference with a compare-and-swap that fails on a dead entry, and
 * compares the key again, since the entry may have been reused in between. Whatever
 * goes wrong on the way, it asks again under the lock. */

#define SHARDS_BITS 6u
#define SHARDS (1u << SHARDS_BITS)
#define STRIPES 16u         /* of the hit counters: threads rarely share one */
#define CHUNK_ENTRIES 64u   /* entries made at a time */
#define CHAIN_STEPS_MAX 32u /* a reader without the lock may follow a changing chain */
#define BUCKETS_MIN 16u     /* per shard, a power of two */
#define BLOCK_BYTES_USUAL 4096u
/* Keys and restarts of a usual block lie in so many bytes at its end. */
#define PREFETCH_BYTES 384u
#define SMALL_PERMILLE 100u  /* share of the small queue */
#define FREQUENCY_MAX 3u     /* uses remembered per block */
#define FREQUENCY_PROMOTE 2u /* uses in the small queue that earn a place in the main one */

/* Fields of entry.state. */
#define REFERENCES_MASK 0xffffffu
#define FREQUENCY_SHIFT 24u
#define FREQUENCY_MASK (3u << FREQUENCY_SHIFT)
#define FREQUENCY_ONE (1u << FREQUENCY_SHIFT)
#define LIVE (1u << 26)

enum queue { QUEUE_SMALL, QUEUE_MAIN, QUEUES };

struct entry {
    _Atomic(struct entry *) next; /* in the bucket's chain */
    _Atomic uint64_t table;       /* key, with `offset` */
    _Atomic uint64_t offset;      /* in the table's file */
    _Atomic uint32_t state;       /* references, uses, LIVE; 0 = free */
    uint32_t queue;               /* enum queue, while live; under the lock */
    uint8_t *ptr;                 /* the block; constant while referenced */
    uint64_t len;                 /* its bytes */
    struct list link;             /* in a queue, or in the free list */
};

static_assert(sizeof(struct entry) == CACHE_ENTRY_BYTES, "an entry is one cache line");

struct chunk {
    struct chunk *next; /* of the shard */
    _Alignas(64) struct entry entries[CHUNK_ENTRIES];
};

struct shard {
    _Alignas(64) _Atomic(struct entry *) *buckets; /* heads of chains; constant */
    uint64_t bucket_mask;                          /* count of buckets less one */
    uint32_t *ghosts;             /* fingerprints of blocks that left the small queue */
    struct os_mutex lock;         /* for all that follows, and for changing chains */
    struct list queues[QUEUES];   /* newest last */
    struct list free;             /* dead entries */
    struct chunk *chunks;         /* all entries ever made */
    uint64_t queue_bytes[QUEUES]; /* blocks and entries in each */
    uint64_t queue_count[QUEUES]; /* entries in each */
    uint64_t evictions;           /* blocks dropped */
};

struct stripe {
    _Alignas(64) _Atomic uint64_t hits; /* of the threads that use this stripe */
    _Atomic uint64_t misses;            /* likewise */
};

struct cache {
    struct shard shards[SHARDS];
    struct stripe stripes[STRIPES];
    _Alignas(64) _Atomic int64_t bytes_charged; /* blocks, entries and reservations */
    _Atomic int64_t bytes_reserved;             /* reservations alone */
    _Atomic uint64_t table_id_last;             /* given by cache_table_id */
    _Atomic uint32_t evict_next;                /* shard where reservations evict next */
    int64_t bytes_max;                          /* constant */
};

static _Thread_local uint32_t stripe_mine; /* index plus one; 0 = not chosen */
static _Atomic uint32_t stripe_last;

static struct stripe *stripe_of(struct cache *c) {
    if (stripe_mine == 0) stripe_mine = 1 + atomic_fetch_add(&stripe_last, 1) % STRIPES;
    return &c->stripes[stripe_mine - 1];
}

static inline uint64_t key_hash(uint64_t table, uint64_t offset) {
    uint64_t x = (table * 0x9e3779b97f4a7c15u) ^ (offset * 0xd6e8feb86659fd93u);
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static inline struct shard *shard_of(struct cache *c, uint64_t hash) {
    return &c->shards[hash >> (64 - SHARDS_BITS)];
}

/* ---- life ---- */

static void shard_init(struct shard *s, size_t bytes_max) {
    uint64_t buckets = BUCKETS_MIN;
    while (buckets < bytes_max / SHARDS / BLOCK_BYTES_USUAL) buckets *= 2;
    s->buckets = mem_alloc_zeroed(buckets * sizeof *s->buckets);
    s->ghosts = mem_alloc_zeroed(buckets * sizeof *s->ghosts);
    s->bucket_mask = buckets - 1;
    list_init(&s->free);
    for (uint32_t q = 0; q < QUEUES; q++) list_init(&s->queues[q]);
    os_mutex_init(&s->lock);
}

struct cache *cache_create(size_t bytes_max) {
    ASSERT(bytes_max <= INT64_MAX / 2);
    struct cache *c = mem_alloc_aligned(64, sizeof *c);
    memset(c, 0, sizeof *c);
    c->bytes_max = (int64_t)bytes_max;
    for (uint32_t i = 0; i < SHARDS; i++) shard_init(&c->shards[i], bytes_max);
    return c;
}

static void shard_deinit(struct shard *s) {
    for (uint32_t q = 0; q < QUEUES; q++) {
        for (struct list *at = s->queues[q].next; at != &s->queues[q]; at = at->next) {
            struct entry *e = LIST_ENTRY(at, struct entry, link);
            ASSERT((atomic_load(&e->state) & REFERENCES_MASK) == 0);
            mem_free(e->ptr);
        }
    }
    while (s->chunks != NULL) {
        struct chunk *chunk = s->chunks;
        s->chunks = chunk->next;
        mem_free(chunk);
    }
    mem_free(s->buckets);
    mem_free(s->ghosts);
    os_mutex_deinit(&s->lock);
}

void cache_destroy(struct cache *c) {
    ASSERT(atomic_load(&c->bytes_reserved) == 0);
    for (uint32_t i = 0; i < SHARDS; i++) shard_deinit(&c->shards[i]);
    mem_free(c);
}

uint64_t cache_table_id(struct cache *c) {
    return atomic_fetch_add(&c->table_id_last, 1) + 1;
}

/* ---- finding ---- */

static inline bool entry_is(struct entry *e, uint64_t table, uint64_t offset) {
    return atomic_load_explicit(&e->offset, memory_order_relaxed) == offset &&
           atomic_load_explicit(&e->table, memory_order_relaxed) == table;
}

/* Add a reference and, if `use`, note the use. False if the entry is dead. */
static inline bool entry_acquire(struct entry *e, bool use) {
    uint32_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    uint32_t after;
    do {
        if ((state & LIVE) == 0) return false;
        ASSERT((state & REFERENCES_MASK) < REFERENCES_MASK);
        after = state + 1;
        if (use && (state & FREQUENCY_MASK) != FREQUENCY_MASK) after += FREQUENCY_ONE;
    } while (!atomic_compare_exchange_weak_explicit(&e->state, &state, after, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

static inline void entry_unacquire(struct entry *e) {
    atomic_fetch_sub_explicit(&e->state, 1, memory_order_release);
}

/* May miss an entry that is there, while others change the chain. */
static inline struct entry *find_unlocked(struct shard *s, uint64_t hash, uint64_t table,
                                          uint64_t offset, bool use) {
    struct entry *e =
        atomic_load_explicit(&s->buckets[hash & s->bucket_mask], memory_order_acquire);
    for (uint32_t step = 0; e != NULL && step < CHAIN_STEPS_MAX; step++) {
        if (entry_is(e, table, offset) && entry_acquire(e, use)) {
            if (entry_is(e, table, offset)) return e;
            entry_unacquire(e);
            return NULL;
        }
        e = atomic_load_explicit(&e->next, memory_order_acquire);
    }
    return NULL;
}

/* Requires the lock. */
static struct entry *find_locked(struct shard *s, uint64_t hash, uint64_t table, uint64_t offset,
                                 bool use) {
    struct entry *e =
        atomic_load_explicit(&s->buckets[hash & s->bucket_mask], memory_order_relaxed);
    while (e != NULL && !entry_is(e, table, offset))
        e = atomic_load_explicit(&e->next, memory_order_relaxed);
    if (e == NULL) return NULL;
    const bool live = entry_acquire(e, use);
    ASSERT(live);
    return e;
}

static inline struct entry *find(struct cache *c, uint64_t table, uint64_t offset, bool use) {
    const uint64_t hash = key_hash(table, offset);
    struct shard *s = shard_of(c, hash);
    struct entry *e = find_unlocked(s, hash, table, offset, use);
    if (e != NULL) return e;
    os_mutex_lock(&s->lock);
    e = find_locked(s, hash, table, offset, use);
    os_mutex_unlock(&s->lock);
    return e;
}

static STATUS found_or_not(struct cache *c, struct entry *e, struct cache_block *ret_block) {
    struct stripe *stripe = stripe_of(c);
    if (e == NULL) {
        atomic_fetch_add_explicit(&stripe->misses, 1, memory_order_relaxed);
        return status_of(ST_NOT_FOUND);
    }
    atomic_fetch_add_explicit(&stripe->hits, 1, memory_order_relaxed);
    *ret_block = (struct cache_block){ .bytes = { e->ptr, e->len }, .entry = e };
    return status_of(ST_OK);
}

STATUS cache_get(struct cache *c, uint64_t table, uint64_t offset, struct cache_block *ret_block) {
    return found_or_not(c, find(c, table, offset, true), ret_block);
}

/* The entry the hint names, acquired, if it still holds this block. */
static inline struct entry *find_hinted(const struct cache_hint *hint, uint64_t table,
                                        uint64_t offset) {
    struct entry *e = (struct entry *)atomic_load_explicit(&hint->entry, memory_order_acquire);
    if (e == NULL) return NULL;
    const uintptr_t end = atomic_load_explicit(&hint->end, memory_order_relaxed);
    __builtin_prefetch(e, 1);
    for (uint32_t i = 1; i <= PREFETCH_BYTES; i += 64) __builtin_prefetch((const void *)(end - i));
    if (!entry_is(e, table, offset) || !entry_acquire(e, true)) return NULL;
    if (entry_is(e, table, offset)) return e;
    entry_unacquire(e);
    return NULL;
}

STATUS cache_get_hinted(struct cache *c, uint64_t table, uint64_t offset, struct cache_hint *hint,
                        struct cache_block *ret_block) {
    struct entry *e = find_hinted(hint, table, offset);
    if (e == NULL) {
        e = find(c, table, offset, true);
        if (e != NULL) {
            atomic_store_explicit(&hint->end, (uintptr_t)e->ptr + e->len, memory_order_relaxed);
            atomic_store_explicit(&hint->entry, (uintptr_t)e, memory_order_release);
        }
    }
    return found_or_not(c, e, ret_block);
}

STATUS cache_peek(struct cache *c, uint64_t table, uint64_t offset, struct cache_block *ret_block) {
    struct entry *e = find(c, table, offset, false);
    if (e == NULL) return status_of(ST_NOT_FOUND);
    *ret_block = (struct cache_block){ .bytes = { e->ptr, e->len }, .entry = e };
    return status_of(ST_OK);
}

/* ---- evicting ---- */

static inline bool is_over(struct cache *c) {
    return atomic_load_explicit(&c->bytes_charged, memory_order_relaxed) > c->bytes_max;
}

static void queue_add(struct shard *s, enum queue q, struct entry *e) {
    e->queue = q;
    list_append(&s->queues[q], &e->link);
    s->queue_bytes[q] += e->len + CACHE_ENTRY_BYTES;
    s->queue_count[q]++;
}

static void queue_remove(struct shard *s, struct entry *e) {
    ASSERT(s->queue_count[e->queue] > 0);
    list_remove(&e->link);
    s->queue_bytes[e->queue] -= e->len + CACHE_ENTRY_BYTES;
    s->queue_count[e->queue]--;
}

static void chain_remove(struct shard *s, uint64_t hash, struct entry *e) {
    _Atomic(struct entry *) *at = &s->buckets[hash & s->bucket_mask];
    for (;;) {
        struct entry *here = atomic_load_explicit(at, memory_order_relaxed);
        ASSERT(here != NULL);
        if (here == e) break;
        at = &here->next;
    }
    atomic_store_explicit(at, atomic_load_explicit(&e->next, memory_order_relaxed),
                          memory_order_release);
}

static uint32_t fingerprint(uint64_t hash) {
    return (uint32_t)(hash >> 24) | 1; /* 0 = no block */
}

/* Drop the block if nobody holds it. */
static bool entry_evict(struct cache *c, struct shard *s, struct entry *e) {
    uint32_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    do {
        ASSERT((state & LIVE) != 0);
        if ((state & REFERENCES_MASK) != 0) return false;
    } while (!atomic_compare_exchange_weak_explicit(&e->state, &state, 0, memory_order_acquire,
                                                    memory_order_relaxed));
    const uint64_t hash = key_hash(atomic_load_explicit(&e->table, memory_order_relaxed),
                                   atomic_load_explicit(&e->offset, memory_order_relaxed));
    if (e->queue == QUEUE_SMALL) s->ghosts[hash & s->bucket_mask] = fingerprint(hash);
    chain_remove(s, hash, e);
    queue_remove(s, e);
    atomic_fetch_sub(&c->bytes_charged, (int64_t)(e->len + CACHE_ENTRY_BYTES));
    mem_free(e->ptr);
    e->ptr = NULL;
    list_append(&s->free, &e->link);
    s->evictions++;
    return true;
}

/* Look at the oldest entry of a queue: evict it, or give it another round. */
static bool queue_step(struct cache *c, struct shard *s, enum queue q) {
    struct entry *e = LIST_ENTRY(s->queues[q].next, struct entry, link);
    const uint32_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    const uint32_t uses = (state & FREQUENCY_MASK) >> FREQUENCY_SHIFT;
    if ((state & REFERENCES_MASK) == 0) {
        if (q == QUEUE_SMALL && uses < FREQUENCY_PROMOTE) return entry_evict(c, s, e);
        if (q == QUEUE_MAIN && uses == 0) return entry_evict(c, s, e);
    }
    queue_remove(s, e);
    if (q == QUEUE_SMALL && uses >= FREQUENCY_PROMOTE) {
        atomic_fetch_and_explicit(&e->state, ~FREQUENCY_MASK, memory_order_relaxed);
        q = QUEUE_MAIN;
    } else if (q == QUEUE_MAIN && uses > 0) {
        atomic_fetch_sub_explicit(&e->state, FREQUENCY_ONE, memory_order_relaxed);
    }
    queue_add(s, q, e);
    return false;
}

/* Evict from one shard until the cache is within its budget or the shard is down to
 * `floor_bytes` or to blocks in use. Requires the lock. */
static void shard_evict(struct cache *c, struct shard *s, uint64_t floor_bytes) {
    /* No block survives more looks in a row than its uses and one in each queue. */
    uint64_t looks =
        (s->queue_count[QUEUE_SMALL] + s->queue_count[QUEUE_MAIN]) * (FREQUENCY_MAX + 2);
    while (looks > 0 && is_over(c)) {
        const uint64_t bytes = s->queue_bytes[QUEUE_SMALL] + s->queue_bytes[QUEUE_MAIN];
        if (bytes <= floor_bytes) return;
        const bool small = s->queue_count[QUEUE_MAIN] == 0 ||
                           (s->queue_count[QUEUE_SMALL] > 0 &&
                            s->queue_bytes[QUEUE_SMALL] * 1000 >= bytes * SMALL_PERMILLE);
        queue_step(c, s, small ? QUEUE_SMALL : QUEUE_MAIN);
        looks--;
    }
}

/* Evict until the cache is within its budget: first from the shards that hold most of
 * their share, beginning with `first`, then from whoever has anything. */
static void cache_evict(struct cache *c, uint32_t first) {
    const int64_t room =
        c->bytes_max - atomic_load_explicit(&c->bytes_reserved, memory_order_relaxed);
    const uint64_t share = room > 0 ? (uint64_t)room / SHARDS : 0;
    const uint64_t floors[] = { share - share / 8, 0 };
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < SHARDS; i++) {
            if (!is_over(c)) return;
            struct shard *s = &c->shards[(first + i) % SHARDS];
            os_mutex_lock(&s->lock);
            shard_evict(c, s, floors[pass]);
            os_mutex_unlock(&s->lock);
        }
    }
}

/* ---- changing ---- */

/* Requires the lock. */
static struct entry *entry_make(struct shard *s) {
    if (list_is_empty(&s->free)) {
        struct chunk *chunk = mem_alloc_aligned(64, sizeof *chunk);
        memset(chunk, 0, sizeof *chunk);
        chunk->next = s->chunks;
        s->chunks = chunk;
        for (uint32_t i = 0; i < CHUNK_ENTRIES; i++) list_append(&s->free, &chunk->entries[i].link);
    }
    struct entry *e = LIST_ENTRY(list_take_first(&s->free), struct entry, link);
    ASSERT(atomic_load_explicit(&e->state, memory_order_relaxed) == 0);
    return e;
}

void cache_insert(struct cache *c, uint64_t table, uint64_t offset, uint8_t *take_ptr, size_t len,
                  struct cache_block *ret_block) {
    ASSERT(take_ptr != NULL);
    ASSERT(len > 0);
    const uint64_t hash = key_hash(table, offset);
    struct shard *s = shard_of(c, hash);
    os_mutex_lock(&s->lock);
    struct entry *e = find_locked(s, hash, table, offset, true);
    const bool first = e == NULL;
    if (first) {
        _Atomic(struct entry *) *bucket = &s->buckets[hash & s->bucket_mask];
        e = entry_make(s);
        e->ptr = take_ptr;
        e->len = len;
        atomic_store_explicit(&e->table, table, memory_order_relaxed);
        atomic_store_explicit(&e->offset, offset, memory_order_relaxed);
        atomic_store_explicit(&e->next, atomic_load_explicit(bucket, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&e->state, LIVE | 1, memory_order_release);
        atomic_store_explicit(bucket, e, memory_order_release);
        const bool returns = s->ghosts[hash & s->bucket_mask] == fingerprint(hash);
        queue_add(s, returns ? QUEUE_MAIN : QUEUE_SMALL, e);
        atomic_fetch_add(&c->bytes_charged, (int64_t)(len + CACHE_ENTRY_BYTES));
    }
    os_mutex_unlock(&s->lock);

    if (!first) mem_free(take_ptr);
    if (first && is_over(c)) cache_evict(c, (uint32_t)(s - c->shards));
    *ret_block = (struct cache_block){ .bytes = { e->ptr, e->len }, .entry = e };
}

void cache_release(struct cache *c, struct cache_block *block) {
    struct entry *e = block->entry;
    *block = (struct cache_block){ 0 };
    if (e == NULL) return;
    /* After the release the entry is anybody's: only its address may be used. */
    const uint32_t before = atomic_fetch_sub_explicit(&e->state, 1, memory_order_release);
    ASSERT((before & LIVE) != 0);
    ASSERT((before & REFERENCES_MASK) != 0);
    if ((before & REFERENCES_MASK) == 1 && is_over(c))
        cache_evict(c, atomic_fetch_add(&c->evict_next, 1) % SHARDS);
}

void cache_reserve(struct cache *c, int64_t bytes) {
    const int64_t before = atomic_fetch_add(&c->bytes_reserved, bytes);
    ASSERT(before + bytes >= 0);
    atomic_fetch_add(&c->bytes_charged, bytes);
    if (is_over(c)) cache_evict(c, atomic_fetch_add(&c->evict_next, 1) % SHARDS);
}

/* ---- looking ---- */

struct cache_stats cache_stats(struct cache *c) {
    struct cache_stats stats = { .bytes_max = (uint64_t)c->bytes_max };
    for (uint32_t i = 0; i < STRIPES; i++) {
        stats.hits += atomic_load_explicit(&c->stripes[i].hits, memory_order_relaxed);
        stats.misses += atomic_load_explicit(&c->stripes[i].misses, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        os_mutex_lock(&s->lock);
        stats.evictions += s->evictions;
        stats.blocks += s->queue_count[QUEUE_SMALL] + s->queue_count[QUEUE_MAIN];
        stats.bytes_used += s->queue_bytes[QUEUE_SMALL] + s->queue_bytes[QUEUE_MAIN];
        os_mutex_unlock(&s->lock);
    }
    stats.bytes_reserved = (uint64_t)atomic_load(&c->bytes_reserved);
    const uint64_t charged = stats.bytes_used + stats.bytes_reserved;
    stats.bytes_over = charged > stats.bytes_max ? charged - stats.bytes_max : 0;
    return stats;
}

/* Whether one shard is in order; adds what it holds to *bytes. Requires the lock. */
static bool shard_check(struct shard *s, uint64_t *bytes) {
    uint64_t live = 0;
    for (uint32_t q = 0; q < QUEUES; q++) {
        uint64_t queue_bytes = 0;
        uint64_t count = 0;
        for (struct list *at = s->queues[q].next; at != &s->queues[q]; at = at->next) {
            struct entry *e = LIST_ENTRY(at, struct entry, link);
            if ((atomic_load(&e->state) & LIVE) == 0 || e->queue != q || e->ptr == NULL)
                return false;
            queue_bytes += e->len + CACHE_ENTRY_BYTES;
            count++;
        }
        if (count != s->queue_count[q] || queue_bytes != s->queue_bytes[q]) return false;
        live += count;
        *bytes += queue_bytes;
    }
    for (uint64_t i = 0; i <= s->bucket_mask; i++) {
        for (struct entry *e = atomic_load(&s->buckets[i]); e != NULL; e = atomic_load(&e->next)) {
            const uint64_t hash = key_hash(atomic_load(&e->table), atomic_load(&e->offset));
            if ((hash & s->bucket_mask) != i || live == 0) return false;
            live--;
        }
    }
    return live == 0;
}

bool cache_check(struct cache *c) {
    uint64_t bytes = 0;
    bool good = true;
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        os_mutex_lock(&s->lock);
        good = shard_check(s, &bytes) && good;
        os_mutex_unlock(&s->lock);
    }
    return good &&
           atomic_load(&c->bytes_charged) == (int64_t)bytes + atomic_load(&c->bytes_reserved);
}
