#include "shard/walk.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "proto/resp.h"

#define WALK_CHUNK_BYTES (64u * 1024)
/* How deep RANDOMKEY chooses bytes at random; keys that agree longer are told apart by order. */
#define WALK_RANDOM_DEPTH 24u

struct walk *walk_create(uint64_t random) {
    struct walk *w = mem_alloc_zeroed(sizeof *w);
    arena_init(&w->arena, WALK_CHUNK_BYTES);
    buffer_init(&w->at, KEY_BYTES_MAX);
    w->random = random;
    return w;
}

void walk_destroy(struct walk *w) {
    if (w == NULL) return;
    ASSERT(w->iterator == NULL && w->held_count == 0);
    mem_free(w->held);
    arena_deinit(&w->arena);
    buffer_deinit(&w->at);
    mem_free(w);
}

void walk_next_page(struct walk *w) {
    ASSERT(w->iterator == NULL);
    ASSERT(w->held_count == 0);
    arena_reset(&w->arena);
    buffer_reset(&w->at);
    w->page.count = 0;
    w->page.more = false;
    w->page.last = BYTES_NONE;
    w->moved = w->advanced = false;
    w->examined = 0;
    w->bytes = 0;
    w->sequence = 0;
}

void walk_fetched(struct walk *w, struct cache_block block) {
    ASSERT(w->iterator != NULL);
    if (w->held_count == w->held_capacity) {
        w->held_capacity = w->held_capacity == 0 ? 8 : w->held_capacity * 2;
        w->held = mem_realloc(w->held, w->held_capacity * sizeof *w->held);
    }
    w->held[w->held_count++] = block;
    w->advanced = false;
}

static void held_release(struct walk *w, struct cache *cache) {
    for (uint32_t i = 0; i < w->held_count; i++) cache_release(cache, &w->held[i]);
    w->held_count = 0;
}

void walk_let_go(struct walk *w, struct cache *cache) {
    if (w->iterator != NULL) engine_iterator_destroy(w->iterator);
    w->iterator = NULL;
    held_release(w, cache);
}

void walk_keeps(struct walk *w, const struct membership *kept_by, uint64_t hidden_before) {
    ASSERT(kept_by == NULL || kept_by->self != MEMBER_NONE);
    w->kept_by = kept_by;
    w->hidden_before = hidden_before;
}

/* What is left of a slot that went to other members is not there any more. */
static bool is_kept(const struct walk *w, struct bytes key, const struct record *r) {
    const struct membership *m = w->kept_by;
    if (m == NULL) return true;
    const uint32_t slot = crc16_slot(key);
    if (membership_place(m, slot, m->self) >= 0) return true;
    return membership_keeps(m, slot, m->self) && r->ballot.stamp >= w->hidden_before;
}

static bool row_is_wanted(const struct request *q, struct bytes key, const struct record *r,
                          uint64_t now_ms) {
    const bool absent_too = (q->flags & REQUEST_ABSENT) != 0;
    if (!absent_too && record_is_absent(r, now_ms)) return false;
    if (!bytes_start_with(key, q->prefix)) return false;
    return q->pattern.len == 0 || resp_glob_match(q->pattern, key);
}

static bool key_is_past(const struct request *q, struct bytes key) {
    if (q->has_end && bytes_compare(key, q->end) >= 0) return true;
    if (q->prefix.len == 0 || bytes_start_with(key, q->prefix)) return false;
    return bytes_compare(key, q->prefix) > 0;
}

static void page_add(struct walk *w, const struct request *q, struct bytes key,
                     const struct record *r, uint64_t now_ms) {
    struct row *row = &w->page.rows[w->page.count++];
    *row = (struct row){ .key = arena_copy(&w->arena, key),
                         .version = r->ballot,
                         .expires_at_ms = r->expires_at_ms,
                         .absent = record_is_absent(r, now_ms) };
    if ((q->flags & REQUEST_NO_VALUE) == 0) row->value = arena_copy(&w->arena, r->value);
    w->bytes += row->key.len + row->value.len;
}

/* Look at the record the iterator stands on. True: the page or the range is full. */
static bool examine(struct walk *w, struct engine_iterator *it, const struct request *q,
                    uint64_t now_ms) {
    const struct record *r = engine_iterator_record(it);
    const struct bytes key = ikey_key(r->ikey);
    if (ikey_keyspace(r->ikey) != q->keyspace || key_is_past(q, key)) {
        w->page.more = false;
        return true;
    }
    if (engine_iterator_sequence(it) > w->sequence) w->sequence = engine_iterator_sequence(it);
    if (row_is_wanted(q, key, r, now_ms) && is_kept(w, key, r)) page_add(w, q, key, r, now_ms);
    buffer_reset(&w->at);
    buffer_append(&w->at, key);
    w->moved = true;
    w->advanced = true;
    w->examined++;
    return w->page.count == ROW_PAGE_ROWS_MAX || w->bytes >= ROW_PAGE_BYTES_MAX ||
           w->examined >= q->rows_max;
}

static STATUS seek_first(struct walk *w, struct engine_iterator *it, const struct request *q,
                         uint8_t *ikey_space) {
    struct bytes from = q->start;
    bool exclusive = q->start_exclusive;
    if (w->moved) {
        from = buffer_bytes(&w->at);
        exclusive = true;
    } else if (bytes_compare(q->prefix, from) > 0) {
        from = q->prefix;
        exclusive = false;
    }
    TRY(engine_iterator_seek(it, ikey_make(q->keyspace, from, ikey_space)));
    if (!exclusive || !engine_iterator_valid(it)) return status_of(ST_OK);
    const struct record *r = engine_iterator_record(it);
    if (ikey_keyspace(r->ikey) != q->keyspace || !bytes_equal(ikey_key(r->ikey), from))
        return status_of(ST_OK);
    return engine_iterator_next(it);
}

static STATUS range_slice(struct walk *w, struct engine_iterator *it, const struct request *q,
                          uint64_t now_ms, uint8_t *ikey_space) {
    TRY(seek_first(w, it, q, ikey_space));
    for (uint32_t i = 0; i < WALK_SLICE_RECORDS; i++) {
        w->page.more = engine_iterator_valid(it);
        if (!w->page.more) return status_of(ST_OK);
        if (examine(w, it, q, now_ms)) return status_of(ST_OK);
        TRY(engine_iterator_next(it));
    }
    return status_of(ST_BUSY);
}

/* xorshift64* (Vigna 2016): enough to spread RANDOMKEY. */
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

/* The first live key at or behind `from`, with prefix; leaves the iterator on it. */
static STATUS seek_live(const struct walk *w, struct engine_iterator *it, const struct request *q,
                        struct bytes from, uint64_t now_ms, uint8_t *ikey_space, bool *ret_found) {
    *ret_found = false;
    TRY(engine_iterator_seek(it, ikey_make(q->keyspace, from, ikey_space)));
    for (uint32_t i = 0; i < WALK_SLICE_RECORDS && engine_iterator_valid(it); i++) {
        const struct record *r = engine_iterator_record(it);
        if (ikey_keyspace(r->ikey) != q->keyspace) break;
        *ret_found = !record_is_absent(r, now_ms) && is_kept(w, ikey_key(r->ikey), r);
        if (*ret_found) break;
        TRY(engine_iterator_next(it));
    }
    return status_of(ST_OK);
}

/* Choose byte after byte: seek behind a random one, keep what is really there. Not
 * uniform (keys behind gaps come more often), but every key that is first behind
 * some choice can come. */
static STATUS random_slice(struct walk *w, struct engine_iterator *it, const struct request *q,
                           uint64_t now_ms, uint8_t *ikey_space) {
    uint8_t chosen[WALK_RANDOM_DEPTH + 1];
    uint64_t random = w->random;
    bool found = false;
    TRY(seek_live(w, it, q, BYTES_NONE, now_ms, ikey_space, &found));
    if (!found) return status_of(ST_OK);
    for (uint32_t depth = 0; depth < WALK_RANDOM_DEPTH; depth++) {
        chosen[depth] = (uint8_t)(random_next(&random) >> 56);
        TRY(seek_live(w, it, q, bytes_of(chosen, depth + 1), now_ms, ikey_space, &found));
        bool inside = found && bytes_start_with(ikey_key(engine_iterator_record(it)->ikey),
                                                bytes_of(chosen, depth));
        if (!inside) {
            TRY(seek_live(w, it, q, bytes_of(chosen, depth), now_ms, ikey_space, &found));
            if (!found) break;
        }
        const struct bytes key = ikey_key(engine_iterator_record(it)->ikey);
        if (key.len <= depth) break;
        chosen[depth] = key.ptr[depth];
    }
    if (!found) TRY(seek_live(w, it, q, BYTES_NONE, now_ms, ikey_space, &found));
    if (!found) return status_of(ST_OK);
    const struct record *r = engine_iterator_record(it);
    w->sequence = engine_iterator_sequence(it);
    page_add(w, q, ikey_key(r->ikey), r, now_ms);
    return status_of(ST_OK);
}

STATUS walk_slice(struct walk *w, struct engine *e, struct cache *cache, const struct request *q,
                  uint64_t now_ms, uint8_t *ikey_space, struct table_fetch *ret_fetch) {
    ASSERT(q->op == OP_SCAN || q->op == OP_RANDOM_KEY);
    struct engine_iterator *before =
        w->iterator; /* it holds blocks that the new one asks for again */
    struct engine_iterator *it = w->iterator = engine_iterator_create(e, false);
    const struct status st = q->op == OP_RANDOM_KEY ? random_slice(w, it, q, now_ms, ikey_space)
                                                    : range_slice(w, it, q, now_ms, ikey_space);
    if (before != NULL) engine_iterator_destroy(before);
    if (w->advanced || st.code != ST_WAIT) held_release(w, cache);
    if (st.code == ST_WAIT) {
        *ret_fetch = *engine_iterator_fetch(it);
        return st; /* the iterator pins the table until the block is there */
    }
    engine_iterator_destroy(it);
    w->iterator = NULL;
    if (!status_ok(st)) return st;
    w->page.last = w->moved ? buffer_bytes(&w->at) : BYTES_NONE;
    if (!MUTANT("truncation_untold")) w->page.floor = engine_floor(e, q->keyspace);
    return st;
}
