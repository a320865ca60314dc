#include "storage/memtable.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/hash_index.h"
#include "storage/radix_tree.h"

#include <stdatomic.h>

#define CHUNK_BYTES_MAX (1024u * 1024)
#define CHUNK_BYTES_MIN (4u * 1024)
#define EXPIRY_BYTES 8u
#define OP_BYTES 16u
/* spare_bytes is a bit field. */
#define SPARE_BYTES_MAX ((1u << 24) - 1)
/* A block of its own costs the arena at most this much beside its bytes. */
#define ARENA_OVERHEAD_BYTES 64u
/* Hashes whose buckets are being fetched and whose entries come next. */
#define PREFETCH_LAG 4u

struct memtable {
    struct arena arena;       /* entries, bodies that outgrew theirs, tree nodes */
    struct hash_index index;  /* for points */
    struct radix_tree tree;   /* for order */
    size_t bytes_max;         /* budget */
    uint64_t hash_seed;       /* clients choose keys */
    uint64_t count;           /* entries */
    size_t bytes;             /* held, as of the last change by the owner */
    uint64_t changes;         /* puts that changed something: iterators and views end there */
    uint64_t sequence_max;    /* of any put */
    struct ballot ballot_max; /* of any put */
    bool frozen;              /* no more puts; set by the owner */
    atomic_flag ordering;     /* who puts entries into the tree holds it */
    _Atomic uint32_t unordered_count; /* entries not in the tree yet, below RADIX_GROUP_MAX */
    struct memtable_entry *unordered[RADIX_GROUP_MAX];
    uint32_t prefetch_next; /* place in prefetch_hashes, 0..PREFETCH_LAG-1 */
    uint64_t prefetch_hashes[PREFETCH_LAG];
};

/* ---- memory ---- */

static size_t bytes_now(const struct memtable *m) {
    const size_t free_bytes = (size_t)(m->arena.end - m->arena.next);
    return sizeof *m + m->index.bytes + m->arena.reserved_bytes - free_bytes;
}

/* Not counted afresh, because a job may just be at memtable_freeze. */
size_t memtable_bytes(const struct memtable *m) {
    return m->bytes;
}

/* Whether taking `bytes` from the arena, and `extra` elsewhere, keeps the budget. */
static bool has_room(const struct memtable *m, size_t bytes, size_t extra) {
    const size_t room = (size_t)(m->arena.end - m->arena.next);
    const size_t wasted = bytes > room ? room : 0; /* what the newest chunk loses */
    return bytes_now(m) + bytes + wasted + extra + ARENA_OVERHEAD_BYTES <= m->bytes_max;
}

/* ---- life ---- */

struct memtable *memtable_create(size_t bytes_max, uint64_t hash_seed) {
    size_t chunk_bytes = bytes_max / 64;
    if (chunk_bytes > CHUNK_BYTES_MAX) chunk_bytes = CHUNK_BYTES_MAX;
    if (chunk_bytes < CHUNK_BYTES_MIN) chunk_bytes = CHUNK_BYTES_MIN;
    struct memtable *m = mem_alloc(sizeof *m);
    *m = (struct memtable){ .bytes_max = bytes_max, .hash_seed = hash_seed };
    arena_init(&m->arena, chunk_bytes);
    hash_index_init(&m->index, bytes_max);
    radix_tree_init(&m->tree, &m->arena);
    m->bytes = bytes_now(m);
    return m;
}

void memtable_destroy(struct memtable *m) {
    if (m == NULL) return;
    hash_index_deinit(&m->index);
    arena_deinit(&m->arena);
    mem_free(m);
}

/* ---- an entry's body ---- */

static size_t extras_bytes(uint32_t flags) {
    return ((flags & RECORD_HAS_EXPIRY) != 0 ? EXPIRY_BYTES : 0) +
           ((flags & RECORD_HAS_OP) != 0 ? OP_BYTES : 0);
}

static uint32_t record_entry_flags(const struct record *r) {
    uint32_t flags = r->flags & RECORD_TOMBSTONE;
    if (r->expires_at_ms != 0) flags |= RECORD_HAS_EXPIRY;
    if ((r->op.high | r->op.low) != 0) flags |= RECORD_HAS_OP;
    return flags;
}

static uint8_t *entry_inline(const struct memtable_entry *e) {
    return (uint8_t *)(uintptr_t)(e->ikey + entry_ikey(e).len);
}

static uint8_t *entry_body(const struct memtable_entry *e) {
    uint8_t *p = entry_inline(e);
    if ((e->flags & ENTRY_OUTSIDE) == 0) return p;
    return (uint8_t *)(uintptr_t)get_u64_le(p);
}

static size_t entry_body_bytes(const struct memtable_entry *e) {
    return extras_bytes(e->flags) + e->value_bytes;
}

static struct ballot entry_ballot(const struct memtable_entry *e) {
    return (struct ballot){ .stamp = e->stamp, .node = e->node, .boot = e->boot };
}

/* Fill head and body at `body`, which has `capacity` bytes. The value of `r` may
 * be a view of the same place: it is moved before anything else is written. */
static void entry_write(struct memtable_entry *e, const struct record *r, uint64_t sequence,
                        uint8_t *body, size_t capacity, uint32_t outside) {
    const uint32_t flags = record_entry_flags(r);
    const size_t extras = extras_bytes(flags);
    ASSERT(extras + r->value.len <= capacity);
    if (r->value.len > 0) memmove(body + extras, r->value.ptr, r->value.len);
    if ((flags & RECORD_HAS_EXPIRY) != 0) {
        put_u64_le(body, r->expires_at_ms);
        body += EXPIRY_BYTES;
    }
    if ((flags & RECORD_HAS_OP) != 0) {
        put_u64_le(body, r->op.high);
        put_u64_le(body + 8, r->op.low);
    }
    const size_t spare = capacity - extras - r->value.len;
    e->sequence = sequence;
    e->stamp = r->ballot.stamp;
    e->node = r->ballot.node;
    e->boot = r->ballot.boot;
    e->value_bytes = (uint32_t)r->value.len & 0x1ffffffu;
    e->flags = (flags | outside) & 0xffu;
    e->spare_bytes = spare < SPARE_BYTES_MAX ? (uint32_t)spare : SPARE_BYTES_MAX;
}

static void entry_read(const struct memtable_entry *e, struct record *ret_record) {
    const uint8_t *body = entry_body(e);
    ret_record->ikey = entry_ikey(e);
    ret_record->ballot = entry_ballot(e);
    ret_record->flags = e->flags & RECORD_TOMBSTONE;
    ret_record->expires_at_ms = 0;
    ret_record->op = (struct op_id){ 0 };
    if ((e->flags & RECORD_HAS_EXPIRY) != 0) {
        ret_record->expires_at_ms = get_u64_le(body);
        body += EXPIRY_BYTES;
    }
    if ((e->flags & RECORD_HAS_OP) != 0) {
        ret_record->op = (struct op_id){ .high = get_u64_le(body), .low = get_u64_le(body + 8) };
        body += OP_BYTES;
    }
    ret_record->value = bytes_of(body, e->value_bytes);
}

/* ---- put ---- */

/* Bring the tree up to date. The owner may get here by a seek while the job that
 * flushes gets here by memtable_freeze: hence the lock, held for microseconds. An
 * iterator in use has nothing to fear, as it was sought when all was in the tree. */
static void order_entries(struct memtable *m) {
    while (atomic_flag_test_and_set_explicit(&m->ordering, memory_order_acquire)) {}
    const uint32_t count = atomic_load_explicit(&m->unordered_count, memory_order_relaxed);
    ASSERT(count <= RADIX_GROUP_MAX);
    if (count > 0) {
        radix_tree_insert_group(&m->tree, m->unordered, count);
        atomic_store_explicit(&m->unordered_count, 0, memory_order_release);
    }
    atomic_flag_clear_explicit(&m->ordering, memory_order_release);
}

static uint32_t unordered_count(const struct memtable *m) {
    return atomic_load_explicit(&m->unordered_count, memory_order_acquire);
}

/* Whether a new entry of `bytes` keeps the budget, with all that the tree and the
 * index may come to need for it and the entries that wait for the tree. */
static bool has_room_for_entry(const struct memtable *m, size_t bytes) {
    const size_t tree_bytes = (unordered_count(m) + 1) * (size_t)RADIX_INSERT_BYTES_MAX;
    return has_room(m, bytes, tree_bytes + hash_index_insert_bytes_max(&m->index));
}

static STATUS put_new(struct memtable *m, const struct record *r, uint64_t sequence,
                      uint64_t hash) {
    const size_t body = extras_bytes(record_entry_flags(r)) + r->value.len;
    const size_t head = offsetof(struct memtable_entry, ikey) + r->ikey.len;
    const size_t wanted = head + (body < ENTRY_INLINE_BYTES_MIN ? ENTRY_INLINE_BYTES_MIN : body);
    const size_t bytes = (wanted + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
    if (m->count > 0 && !has_room_for_entry(m, bytes)) {
        order_entries(m); /* what they may need was far more than they do */
        if (!has_room_for_entry(m, bytes)) return status_of(ST_FULL);
    }

    struct memtable_entry *e = arena_alloc(&m->arena, bytes);
    const size_t key_bytes = r->ikey.len - ENTRY_KEYSPACE_BYTES;
    e->key_bytes = (uint16_t)key_bytes;
    e->key_bytes_high = (uint32_t)(key_bytes >> 16) & 0x7fu;
    memcpy(e->ikey, r->ikey.ptr, r->ikey.len);
    entry_write(e, r, sequence, e->ikey + r->ikey.len, bytes - head, 0);
    hash_index_insert(&m->index, hash, e);
    const uint32_t at = unordered_count(m);
    ASSERT(at < RADIX_GROUP_MAX);
    m->unordered[at] = e;
    atomic_store_explicit(&m->unordered_count, at + 1, memory_order_release);
    if (at + 1 == RADIX_GROUP_MAX) order_entries(m);
    m->count++;
    return status_of(ST_OK);
}

static STATUS put_over(struct memtable *m, struct memtable_entry *e, const struct record *r,
                       uint64_t sequence) {
    const size_t body = extras_bytes(record_entry_flags(r)) + r->value.len;
    const size_t capacity = entry_body_bytes(e) + e->spare_bytes;
    if (body <= capacity) {
        entry_write(e, r, sequence, entry_body(e), capacity, e->flags & ENTRY_OUTSIDE);
        return status_of(ST_OK);
    }
    /* It grew once and may again: an eighth more keeps a growing value from
     * leaving a copy behind at each put. */
    const size_t roomy = (body + body / 8 + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
    if (!has_room(m, roomy, 0)) return status_of(ST_FULL);

    uint8_t *outside = arena_alloc(&m->arena, roomy);
    entry_write(e, r, sequence, outside, roomy, ENTRY_OUTSIDE);
    put_u64_le(entry_inline(e), (uint64_t)(uintptr_t)outside);
    return status_of(ST_OK);
}

bool memtable_has_room(const struct memtable *m, const struct record *r) {
    if (m->count == 0) return true;
    const size_t body = EXPIRY_BYTES + OP_BYTES + r->value.len;
    const size_t head = offsetof(struct memtable_entry, ikey) + r->ikey.len;
    const size_t bytes = head + body + body / 8 + ENTRY_INLINE_BYTES_MIN + ENTRY_ALIGN;
    if (has_room_for_entry(m, bytes)) return true;
    order_entries((struct memtable *)(uintptr_t)m); /* nothing the caller sees */
    return has_room_for_entry(m, bytes);
}

STATUS memtable_put(struct memtable *m, const struct record *r, uint64_t sequence) {
    ASSERT(!m->frozen);
    ASSERT(r->ikey.len > ENTRY_KEYSPACE_BYTES && r->ikey.len <= IKEY_BYTES_MAX);
    ASSERT(r->value.len <= VALUE_BYTES_MAX);
    ASSERT((r->flags & ~RECORD_TOMBSTONE) == 0);

    const uint64_t hash = hash_seeded(r->ikey, m->hash_seed);
    struct memtable_entry *e = hash_index_find(&m->index, hash, r->ikey);
    const bool is_newer = e == NULL || ballot_compare(r->ballot, entry_ballot(e)) > 0;
    if (is_newer) {
        if (e == NULL)
            TRY(put_new(m, r, sequence, hash));
        else
            TRY(put_over(m, e, r, sequence));
        m->changes++;
        m->bytes = bytes_now(m);
    }
    if (sequence > m->sequence_max) m->sequence_max = sequence;
    if (ballot_compare(r->ballot, m->ballot_max) > 0) m->ballot_max = r->ballot;
    return status_of(ST_OK);
}

void memtable_freeze(struct memtable *m) {
    order_entries(m);
    m->frozen = true;
}

/* ---- get ---- */

STATUS memtable_get(const struct memtable *m, struct bytes ikey, struct record *ret_record,
                    uint64_t *ret_sequence) {
    const uint64_t hash = hash_seeded(ikey, m->hash_seed);
    const struct memtable_entry *e = hash_index_find(&m->index, hash, ikey);
    if (e == NULL) return status_of(ST_NOT_FOUND);

    entry_read(e, ret_record);
    *ret_sequence = e->sequence;
    return status_of(ST_OK);
}

void memtable_prefetch(struct memtable *m, struct bytes ikey) {
    const uint64_t hash = hash_seeded(ikey, m->hash_seed);
    hash_index_prefetch(&m->index, hash);
    hash_index_prefetch_entry(&m->index, m->prefetch_hashes[m->prefetch_next]);
    m->prefetch_hashes[m->prefetch_next] = hash;
    m->prefetch_next = (m->prefetch_next + 1) % PREFETCH_LAG;
}

uint64_t memtable_count(const struct memtable *m) {
    return m->count;
}

struct ballot memtable_ballot_max(const struct memtable *m) {
    return m->ballot_max;
}

uint64_t memtable_sequence_max(const struct memtable *m) {
    return m->sequence_max;
}

/* ---- order ---- */

static void iterator_stand(struct memtable_iterator *it, struct radix_position p) {
    it->node = p.node;
    it->entry = p.entry;
    it->valid = p.entry != NULL;
    if (!it->valid) return;
    entry_read(p.entry, &it->record);
    it->sequence = p.entry->sequence;
}

void memtable_iterator_seek(struct memtable_iterator *it, const struct memtable *m,
                            struct bytes ikey) {
    /* What the caller sees of it does not change, so it may be const to him. */
    if (unordered_count(m) > 0) order_entries((struct memtable *)(uintptr_t)m);
    ASSERT(unordered_count(m) == 0);
    it->memtable = m;
    it->changes = m->changes;
    iterator_stand(it, radix_tree_seek(&m->tree, ikey));
}

void memtable_iterator_next(struct memtable_iterator *it) {
    ASSERT(it->valid);
    ASSERT(it->changes == it->memtable->changes); /* a put came between */
    iterator_stand(it, radix_tree_next((struct radix_position){ it->node, it->entry }));
}

void memtable_iterator_deinit(struct memtable_iterator *it) {
    *it = (struct memtable_iterator){ 0 };
}

bool memtable_check(const struct memtable *m) {
    uint64_t entries = 0;
    if (!hash_index_check(&m->index)) return false;
    if (!radix_tree_check(&m->tree, &entries)) return false;
    if (m->index.count != m->count || entries + unordered_count(m) != m->count) return false;
    if (m->frozen && unordered_count(m) > 0) return false;
    return m->prefetch_next < PREFETCH_LAG;
}
