/* Scans of engine.h: a merge over the memtables and the version of the moment. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/mem.h"

struct engine_iterator {
    struct engine *e;
    struct version *version;
    struct engine_memtable *memtables[ENGINE_MEMTABLES_MAX + 1]; /* held; active first */
    uint32_t memtable_count;
    struct merge merge;
    struct cache_block fetched; /* held until the next fetch or the end */
    struct buffer position;     /* ikey that a seek after a put goes on behind */
    uint64_t puts;              /* the engine's when the sources were positioned */
    bool moving;                /* the merge stopped between two records */
    bool reseeking;             /* a seek to `position` was interrupted */
};

static void hold(struct engine_iterator *it, struct engine_memtable *m) {
    ASSERT(it->memtable_count < ENGINE_MEMTABLES_MAX + 1);
    engine_memtable_retain(m);
    it->memtables[it->memtable_count++] = m;
    merge_add_memtable(&it->merge, m->memtable);
}

/* Tables of level 0 overlap: the largest is taken for all of them. */
static const struct version_table *largest(const struct version_level *level) {
    const struct version_table *most = &level->tables[0];
    for (uint32_t i = 1; i < level->count; i++) {
        if (level->tables[i].bytes > most->bytes) most = &level->tables[i];
    }
    return most;
}

void engine_place(const struct engine *e, uint32_t permille, struct buffer *ret_place) {
    const struct version *v = e->version;
    uint32_t most = 0;
    ASSERT(permille < 1000);
    buffer_reset(ret_place);
    for (uint32_t l = 1; l < ENGINE_LEVELS; l++) {
        if (v->levels[l].bytes > v->levels[most].bytes) most = l;
    }
    const struct version_level *level = &v->levels[most];
    if (level->count == 0) return;
    const struct version_table *t = most == 0 ? largest(level) : &level->tables[0];
    uint64_t at = (most == 0 ? t->bytes : level->bytes) / 1000 * permille;
    for (; at >= t->bytes; t++) at -= t->bytes;
    ASSERT(t < level->tables + level->count);
    buffer_append(ret_place, table_place(t->table, (uint32_t)(at * 1000 / t->bytes)));
}

struct engine_iterator *engine_iterator_create(struct engine *e, bool may_block) {
    struct engine_iterator *it = mem_alloc_zeroed(sizeof *it);
    it->e = e;
    it->version = e->version;
    version_retain(it->version);
    merge_init(&it->merge, may_block, false);
    buffer_init(&it->position, (size_t)2 * IKEY_BYTES_MAX);
    if (memtable_count(e->active->memtable) > 0) hold(it, e->active);
    for (uint32_t i = 0; i < e->waiting_count; i++) hold(it, e->waiting[i]);
    merge_add_version(&it->merge, it->version);
    return it;
}

static void release_fetched(struct engine_iterator *it) {
    if (it->fetched.entry != NULL) cache_release(it->e->options.cache, &it->fetched);
    it->fetched = (struct cache_block){ 0 };
}

void engine_iterator_destroy(struct engine_iterator *it) {
    merge_deinit(&it->merge);
    release_fetched(it);
    for (uint32_t i = 0; i < it->memtable_count; i++) engine_memtable_release(it->memtables[i]);
    version_release(it->version);
    buffer_deinit(&it->position);
    mem_free(it);
}

static STATUS note(struct engine_iterator *it, struct status s) {
    if (s.code == ST_CORRUPT) engine_note_corrupt(it->e);
    return s;
}

/* Pass over what the truncation floors cover. */
static STATUS skip_truncated(struct engine_iterator *it) {
    struct merge *m = &it->merge;
    while (m->record != NULL && floors_cover(&it->e->floors, m->record)) {
        it->moving = true;
        TRY(merge_next(m));
        it->moving = false;
    }
    return status_of(ST_OK);
}

/* Finish a step that ST_WAIT interrupted, if there is one, then pass over what is truncated. */
static STATUS settle(struct engine_iterator *it) {
    if (it->moving) {
        TRY(merge_next(&it->merge));
        it->moving = false;
    }
    return skip_truncated(it);
}

STATUS engine_iterator_seek(struct engine_iterator *it, struct bytes ikey) {
    /* A retry after the seek itself was done, but not the passing over. */
    const bool same =
        it->moving && !it->reseeking && bytes_equal(ikey, buffer_bytes(&it->merge.target));
    if (!same || it->puts != it->e->stats.puts) {
        it->moving = false;
        it->reseeking = false;
        it->puts = it->e->stats.puts;
        const struct status s = merge_seek(&it->merge, ikey);
        if (!status_ok(s)) return note(it, s);
    }
    return note(it, settle(it));
}

/* Puts may have moved what the memtables' iterators stand on: find the place again. */
static STATUS reseek_behind(struct engine_iterator *it) {
    if (!it->reseeking) {
        ASSERT(it->merge.record != NULL);
        buffer_reset(&it->position);
        buffer_append(&it->position, it->merge.record->ikey);
        buffer_append_u8(&it->position, 0);
        ASSERT(!it->position.overflowed);
    }
    it->reseeking = true;
    it->moving = false;
    TRY(merge_seek(&it->merge, buffer_bytes(&it->position)));
    it->puts = it->e->stats.puts;
    it->reseeking = false;
    return skip_truncated(it);
}

STATUS engine_iterator_next(struct engine_iterator *it) {
    const bool put = it->puts != it->e->stats.puts;
    if (it->reseeking || (put && it->merge.record != NULL)) return note(it, reseek_behind(it));
    if (!it->moving) {
        ASSERT(engine_iterator_valid(it));
        it->moving = true;
    }
    return note(it, settle(it));
}

bool engine_iterator_valid(const struct engine_iterator *it) {
    return it->merge.record != NULL;
}

const struct record *engine_iterator_record(const struct engine_iterator *it) {
    ASSERT(engine_iterator_valid(it));
    return it->merge.record;
}

uint64_t engine_iterator_sequence(const struct engine_iterator *it) {
    const struct memtable *memtable = merge_memtable(&it->merge);
    struct record record;
    uint64_t sequence;
    if (memtable == NULL) return 0;
    const struct status s = memtable_get(memtable, it->merge.record->ikey, &record, &sequence);
    ASSERT(status_ok(s));
    return sequence;
}

const struct table_fetch *engine_iterator_fetch(const struct engine_iterator *it) {
    ASSERT(it->merge.fetch.table != NULL);
    return &it->merge.fetch;
}

void engine_iterator_fetched(struct engine_iterator *it, struct cache_block block) {
    release_fetched(it);
    it->fetched = block;
}
