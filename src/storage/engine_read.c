/* Point reads of engine.h. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

/* One engine_get: what was found so far. */
struct lookup {
    struct engine *e;
    struct engine_read *read;
    struct bytes ikey;
    struct ballot best; /* only a ballot above it counts */
    uint64_t hash;      /* of ikey; computed when the first table is asked */
    bool hashed;
    bool found; /* `read` holds the record with ballot `best` */
    bool may_block;
};

static void block_release(struct engine *e, struct cache_block *block) {
    if (block->entry != NULL) cache_release(e->options.cache, block);
    *block = (struct cache_block){ 0 };
}

static void result_release(struct engine *e, struct engine_read *r) {
    block_release(e, &r->block);
    if (r->memory != NULL) engine_memtable_release(r->memory);
    r->memory = NULL;
    r->sequence = 0;
}

static void lookup_memtable(struct lookup *l, struct engine_memtable *m) {
    struct record record;
    uint64_t sequence;
    if (ballot_compare(memtable_ballot_max(m->memtable), l->best) <= 0) return;
    if (!status_ok(memtable_get(m->memtable, l->ikey, &record, &sequence))) return;
    if (ballot_compare(record.ballot, l->best) <= 0) return;
    result_release(l->e, l->read);
    engine_memtable_retain(m);
    l->read->memory = m;
    l->read->record = record;
    l->read->sequence = sequence;
    l->best = record.ballot;
    l->found = true;
}

static STATUS lookup_table(struct lookup *l, const struct version_table *t) {
    struct record record;
    struct cache_block block = { 0 };
    if (ballot_compare(t->ballot_max, l->best) <= 0) return status_of(ST_OK);
    if (!version_table_covers(t, l->ikey)) return status_of(ST_OK);
    if (!l->hashed) l->hash = hash_xxh3(l->ikey);
    l->hashed = true;
    l->e->stats.filter_checks++;
    if (!table_may_contain(t->table, l->ikey, l->hash)) {
        l->e->stats.filter_negatives++;
        return status_of(ST_OK);
    }
    const struct status s =
        table_get(t->table, l->ikey, l->may_block, &record, &block, &l->read->fetch);
    if (s.code == ST_NOT_FOUND) {
        l->e->stats.filter_false_positives++;
        return status_of(ST_OK);
    }
    TRY(s);
    if (ballot_compare(record.ballot, l->best) <= 0) {
        block_release(l->e, &block);
        return status_of(ST_OK);
    }
    result_release(l->e, l->read);
    l->read->record = record;
    l->read->block = block;
    l->best = record.ballot;
    l->found = true;
    return status_of(ST_OK);
}

static STATUS lookup_version(struct lookup *l, const struct version *v) {
    if (ballot_compare(v->ballot_max, l->best) <= 0) return status_of(ST_OK);
    for (uint32_t i = 0; i < v->levels[0].count; i++) {
        TRY(lookup_table(l, &v->levels[0].tables[i]));
    }
    for (uint32_t n = 1; n < ENGINE_LEVELS; n++) {
        const uint32_t i = version_find(&v->levels[n], l->ikey);
        if (i < v->levels[n].count) TRY(lookup_table(l, &v->levels[n].tables[i]));
    }
    return status_of(ST_OK);
}

/* Keep the block that the caller fetched, so that no other read pushes it out. */
static void read_take_fetched(struct engine_read *r) {
    if (r->version != NULL) version_release(r->version);
    r->version = NULL;
    if (r->fetched.entry == NULL) return;
    if (r->held_count == r->held_capacity) {
        r->held_capacity = r->held_capacity == 0 ? 4 : r->held_capacity * 2;
        r->held = mem_realloc(r->held, r->held_capacity * sizeof *r->held);
    }
    r->held[r->held_count++] = r->fetched;
    r->fetched = (struct cache_block){ 0 };
}

STATUS engine_get(struct engine *e, struct bytes ikey, bool may_block, struct engine_read *r) {
    ASSERT(ikey.len > 2);
    ASSERT(ikey.len <= IKEY_BYTES_MAX);
    ASSERT(r->block.entry == NULL);
    const bool retry = r->version != NULL;
    read_take_fetched(r);
    struct lookup l = { .e = e, .read = r, .ikey = ikey, .may_block = may_block };
    l.best = floors_get(&e->floors, ikey_keyspace(ikey));
    e->stats.gets += !retry;

    lookup_memtable(&l, e->active);
    for (uint32_t i = 0; i < e->waiting_count; i++) lookup_memtable(&l, e->waiting[i]);
    const struct status s = lookup_version(&l, e->version);
    if (!status_ok(s)) {
        result_release(e, r);
        if (s.code == ST_CORRUPT) engine_note_corrupt(e);
        if (s.code == ST_WAIT) {
            version_retain(e->version);
            r->version = e->version;
        }
        return s;
    }
    if (!l.found) return status_of(ST_NOT_FOUND);
    e->stats.gets_memory += r->memory != NULL;
    return status_of(ST_OK);
}

void engine_read_deinit(struct engine *e, struct engine_read *r) {
    result_release(e, r);
    block_release(e, &r->fetched);
    for (uint32_t i = 0; i < r->held_count; i++) block_release(e, &r->held[i]);
    if (r->held != NULL) mem_free(r->held);
    if (r->version != NULL) version_release(r->version);
    r->held = NULL;
    r->held_count = r->held_capacity = 0;
    r->version = NULL;
}

void engine_prefetch(const struct engine *e, struct bytes ikey) {
    memtable_prefetch(e->active->memtable, ikey);
}
