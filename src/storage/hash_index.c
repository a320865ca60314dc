#include "storage/hash_index.h"

#include "base/assert.h"
#include "base/mem.h"

/* A slot is the tag above the address shifted right by its three zero bits. The
 * tag is the hash from bit `segment_shift` on: the bits below it choose among the
 * buckets there are at first, and each doubling uses one more bit of the tag. */
#define ADDRESS_BITS 45u
#define TAG_BITS (64u - ADDRESS_BITS)
#define ADDRESS_SHIFT 3u
#define BUCKET_BYTES 64u
#define SEGMENT_BUCKETS_MIN 8u
#define POOL_BUCKETS 16u /* overflow buckets allocated at once, the first for the link */
/* Entries to buckets from which on inserts split, in eighths. */
#define LOAD_EIGHTHS 36u

static_assert(sizeof(struct hash_bucket) == BUCKET_BYTES, "a bucket is one cache line");
static_assert(ENTRY_ALIGN == 1u << ADDRESS_SHIFT, "the bits shifted out are zero");

static uint64_t tag_of(const struct hash_index *h, uint64_t hash) {
    return (hash >> h->segment_shift) << ADDRESS_BITS;
}

static uint64_t slot_make(const struct hash_index *h, uint64_t hash,
                          const struct memtable_entry *e) {
    const uint64_t address = (uint64_t)(uintptr_t)e;
    ASSERT(address >> (ADDRESS_BITS + ADDRESS_SHIFT) == 0);
    return tag_of(h, hash) | address >> ADDRESS_SHIFT;
}

static struct memtable_entry *slot_entry(uint64_t slot) {
    const uint64_t address = (slot & ((UINT64_C(1) << ADDRESS_BITS) - 1)) << ADDRESS_SHIFT;
    return (struct memtable_entry *)(uintptr_t)address;
}

static struct hash_bucket *bucket_at(const struct hash_index *h, uint64_t index) {
    const uint64_t mask = (UINT64_C(1) << h->segment_shift) - 1;
    return &h->segments[index >> h->segment_shift][index & mask];
}

static struct hash_bucket *bucket_of(const struct hash_index *h, uint64_t hash) {
    uint64_t index = hash & h->level_mask;
    if (index < h->split_next) index = hash & (h->level_mask * 2 + 1);
    return bucket_at(h, index);
}

static uint64_t bucket_count(const struct hash_index *h) {
    return h->level_mask + 1 + h->split_next;
}

static void add_segment(struct hash_index *h) {
    ASSERT(h->segments_used < h->segments_max);
    const size_t bytes = (size_t)BUCKET_BYTES << h->segment_shift;
    struct hash_bucket *segment = mem_alloc_aligned(BUCKET_BYTES, bytes);
    memset(segment, 0, bytes);
    h->segments[h->segments_used++] = segment;
    h->bytes += bytes;
}

void hash_index_init(struct hash_index *h, size_t bytes_max) {
    /* A segment is small beside the memtable, and adding one is short. */
    uint32_t shift = 3;
    while (1u << shift < HASH_SEGMENT_BUCKETS_MAX &&
           (size_t)BUCKET_BYTES << shift < bytes_max / 256)
        shift++;
    /* The tag has a bit for each doubling, but for a few that keep it telling. */
    const uint64_t segments_max = UINT64_C(1) << (TAG_BITS - 3);
    const uint64_t segments_wanted = bytes_max / ((size_t)BUCKET_BYTES << shift) + 2;
    *h = (struct hash_index){ .segment_shift = shift };
    h->segments_max = (uint32_t)(segments_wanted < segments_max ? segments_wanted : segments_max);
    h->segments = mem_alloc_zeroed(h->segments_max * sizeof(struct hash_bucket *));
    h->bytes = h->segments_max * sizeof(struct hash_bucket *);
    h->level_mask = (UINT64_C(1) << shift) - 1;
    static_assert(SEGMENT_BUCKETS_MIN == 1u << 3, "shift starts there");
    add_segment(h);
}

void hash_index_deinit(struct hash_index *h) {
    for (uint32_t i = 0; i < h->segments_used; i++) mem_free(h->segments[i]);
    while (h->pools != NULL) {
        struct hash_bucket *pool = h->pools;
        h->pools = pool->next;
        mem_free(pool);
    }
    mem_free(h->segments);
    *h = (struct hash_index){ 0 };
}

/* ---- find ---- */

/* Bit i is set if slot i has the tag. Without branches: which slot it is cannot
 * be foretold, and a wrong guess would keep the next lookup's fetches waiting. */
static uint32_t bucket_match(const struct hash_bucket *b, uint64_t tag) {
    uint32_t match = 0;
    for (uint32_t i = 0; i < HASH_BUCKET_SLOTS; i++) {
        const uint32_t is_same = (b->slots[i] ^ tag) >> ADDRESS_BITS == 0;
        match |= is_same << i;
    }
    return match;
}

struct memtable_entry *hash_index_find(const struct hash_index *h, uint64_t hash,
                                       struct bytes ikey) {
    const uint64_t tag = tag_of(h, hash);
    const struct hash_bucket *b = bucket_of(h, hash);
    do {
        for (uint32_t match = bucket_match(b, tag); match != 0; match &= match - 1) {
            const uint64_t slot = b->slots[__builtin_ctz(match)];
            if (slot == 0) return NULL; /* free ones match a tag of zero */
            struct memtable_entry *e = slot_entry(slot);
            if (bytes_equal(entry_ikey(e), ikey)) return e;
        }
        b = b->next;
    } while (b != NULL);
    return NULL;
}

void hash_index_prefetch(const struct hash_index *h, uint64_t hash) {
    __builtin_prefetch(bucket_of(h, hash));
}

void hash_index_prefetch_entry(const struct hash_index *h, uint64_t hash) {
    const struct hash_bucket *b = bucket_of(h, hash);
    for (uint32_t match = bucket_match(b, tag_of(h, hash)); match != 0; match &= match - 1) {
        /* A free slot gives address 0, which is as harmless to fetch as any. */
        const uintptr_t e = (uintptr_t)slot_entry(b->slots[__builtin_ctz(match)]);
        __builtin_prefetch((const void *)e);
        __builtin_prefetch((const void *)(e + BUCKET_BYTES));
    }
    if (b->next != NULL) __builtin_prefetch(b->next);
}

/* ---- insert ---- */

static struct hash_bucket *take_spare(struct hash_index *h) {
    if (h->spare == NULL) {
        const size_t bytes = POOL_BUCKETS * (size_t)BUCKET_BYTES;
        struct hash_bucket *pool = mem_alloc_aligned(BUCKET_BYTES, bytes);
        memset(pool, 0, bytes);
        pool->next = h->pools;
        h->pools = pool;
        h->bytes += bytes;
        for (uint32_t i = 1; i < POOL_BUCKETS; i++) {
            pool[i].next = h->spare;
            h->spare = &pool[i];
        }
    }
    struct hash_bucket *b = h->spare;
    h->spare = b->next;
    *b = (struct hash_bucket){ 0 };
    return b;
}

static void bucket_add(struct hash_index *h, struct hash_bucket *b, uint64_t slot) {
    for (;;) {
        for (uint32_t i = 0; i < HASH_BUCKET_SLOTS; i++) {
            if (b->slots[i] != 0) continue;
            b->slots[i] = slot;
            return;
        }
        if (b->next == NULL) b->next = take_spare(h);
        b = b->next;
    }
}

/* Divide the next bucket in turn between itself and a new one. */
static void split(struct hash_index *h) {
    const uint64_t index_new = h->level_mask + 1 + h->split_next;
    if (index_new >> h->segment_shift >= h->segments_used) add_segment(h);
    struct hash_bucket *low = bucket_at(h, h->split_next);
    struct hash_bucket *high = bucket_at(h, index_new);
    struct hash_bucket old = *low;
    *low = (struct hash_bucket){ 0 };

    /* The bit of the hash that now counts, where the tag has it. */
    const uint64_t bit = ((h->level_mask + 1) >> h->segment_shift) << ADDRESS_BITS;
    ASSERT(bit != 0);
    struct hash_bucket *from = &old;
    while (from != NULL) {
        struct hash_bucket *next = from->next;
        for (uint32_t i = 0; i < HASH_BUCKET_SLOTS && from->slots[i] != 0; i++)
            bucket_add(h, (from->slots[i] & bit) != 0 ? high : low, from->slots[i]);
        if (from != &old) {
            from->next = h->spare;
            h->spare = from;
        }
        from = next;
    }
    if (h->split_next++ == h->level_mask) {
        h->level_mask = h->level_mask * 2 + 1;
        h->split_next = 0;
    }
}

static bool split_is_due(const struct hash_index *h) {
    return (h->count + 1) * 8 > bucket_count(h) * LOAD_EIGHTHS &&
           bucket_count(h) >> h->segment_shift < h->segments_max;
}

void hash_index_insert(struct hash_index *h, uint64_t hash, struct memtable_entry *e) {
    if (split_is_due(h)) split(h);
    bucket_add(h, bucket_of(h, hash), slot_make(h, hash, e));
    h->count++;
}

size_t hash_index_insert_bytes_max(const struct hash_index *h) {
    size_t bytes = 2 * POOL_BUCKETS * (size_t)BUCKET_BYTES;
    const bool segment_is_due = bucket_count(h) >> h->segment_shift >= h->segments_used;
    if (segment_is_due && split_is_due(h)) bytes += (size_t)BUCKET_BYTES << h->segment_shift;
    return bytes;
}

bool hash_index_check(const struct hash_index *h) {
    if (h->split_next > h->level_mask || h->segments_used > h->segments_max) return false;
    const uint64_t buckets = bucket_count(h);
    uint64_t count = 0;
    for (uint64_t index = 0; index < buckets; index++) {
        for (const struct hash_bucket *b = bucket_at(h, index); b != NULL; b = b->next) {
            uint32_t used = 0;
            while (used < HASH_BUCKET_SLOTS && b->slots[used] != 0) used++;
            for (uint32_t i = used; i < HASH_BUCKET_SLOTS; i++)
                if (b->slots[i] != 0) return false;
            if (b->next != NULL && used < HASH_BUCKET_SLOTS) return false;
            count += used;
        }
    }
    return count == h->count;
}
