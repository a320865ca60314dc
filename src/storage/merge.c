#include "storage/merge.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"

void merge_init(struct merge *m, bool may_block, bool bypass_cache) {
    *m = (struct merge){ .may_block = may_block, .bypass_cache = bypass_cache };
    buffer_init(&m->target, 2 * IKEY_BYTES_MAX);
}

static void source_close(struct merge_source *s) {
    if (s->opened) table_iterator_deinit(&s->iterator);
    s->opened = false;
    s->entered = false;
    s->record = NULL;
}

void merge_deinit(struct merge *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        source_close(&m->sources[i]);
        if (m->sources[i].memtable != NULL) memtable_iterator_deinit(&m->sources[i].memory);
    }
    mem_free(m->sources);
    mem_free(m->heap);
    mem_free(m->group);
    buffer_deinit(&m->target);
    *m = (struct merge){ 0 };
}

static struct merge_source *merge_add(struct merge *m) {
    ASSERT(m->record == NULL);
    ASSERT(m->heap_count == 0);
    if (m->count == m->capacity) {
        m->capacity = m->capacity == 0 ? 16 : m->capacity * 2;
        m->sources = mem_realloc(m->sources, m->capacity * sizeof *m->sources);
        m->heap = mem_realloc(m->heap, m->capacity * sizeof *m->heap);
        m->group = mem_realloc(m->group, m->capacity * sizeof *m->group);
    }
    struct merge_source *s = &m->sources[m->count++];
    *s = (struct merge_source){ 0 };
    return s;
}

void merge_add_memtable(struct merge *m, const struct memtable *memtable) {
    ASSERT(memtable != NULL);
    merge_add(m)->memtable = memtable;
}

void merge_add_tables(struct merge *m, const struct version_table *tables, uint32_t count) {
    ASSERT(count > 0);
    struct merge_source *s = merge_add(m);
    s->tables = tables;
    s->table_count = count;
}

/* Tables of level 0 may overlap, so each is a source; those of another level are one. */
void merge_add_version(struct merge *m, const struct version *v) {
    for (uint32_t i = 0; i < v->levels[0].count; i++)
        merge_add_tables(m, &v->levels[0].tables[i], 1);
    for (uint32_t l = 1; l < ENGINE_LEVELS; l++) {
        if (v->levels[l].count > 0) merge_add_tables(m, v->levels[l].tables, v->levels[l].count);
    }
}

/* ---- one source ---- */

/* Stand on the first record >= `ikey` of tables[index], or of one behind it. */
static STATUS source_enter(struct merge *m, struct merge_source *s, struct bytes ikey) {
    s->record = NULL;
    while (s->index < s->table_count) {
        if (!s->opened) {
            table_iterator_init(&s->iterator, s->tables[s->index].table, m->may_block,
                                m->bypass_cache);
            s->opened = true;
            s->entered = false;
        }
        TRY(table_iterator_seek(&s->iterator, ikey));
        s->entered = true;
        if (s->iterator.valid) {
            s->record = &s->iterator.record;
            return status_of(ST_OK);
        }
        source_close(s);
        s->index++;
        ikey = BYTES_NONE;
    }
    return status_of(ST_OK);
}

/* The first table of the run whose highest ikey is not below `ikey`. */
static uint32_t source_find(const struct merge_source *s, struct bytes ikey) {
    uint32_t low = 0;
    uint32_t high = s->table_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (bytes_compare(s->tables[middle].ikey_max, ikey) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static STATUS source_seek(struct merge *m, struct merge_source *s, struct bytes ikey) {
    if (s->memtable != NULL) {
        memtable_iterator_seek(&s->memory, s->memtable, ikey);
        s->record = s->memory.valid ? &s->memory.record : NULL;
        return status_of(ST_OK);
    }
    const uint32_t index = source_find(s, ikey);
    if (index != s->index) source_close(s);
    s->index = index;
    return source_enter(m, s, ikey);
}

static STATUS source_next(struct merge *m, struct merge_source *s) {
    if (s->memtable != NULL) {
        memtable_iterator_next(&s->memory);
        s->record = s->memory.valid ? &s->memory.record : NULL;
        return status_of(ST_OK);
    }
    /* Not entered: this is the retry after the next table could not be entered. */
    if (s->entered) {
        TRY(table_iterator_next(&s->iterator));
        if (s->iterator.valid) return status_of(ST_OK);
        source_close(s);
        s->index++;
    }
    return source_enter(m, s, BYTES_NONE);
}

static struct status source_failed(struct merge *m, const struct merge_source *s,
                                   struct status st) {
    ASSERT(!status_ok(st));
    ASSERT(s->memtable == NULL);
    if (st.code == ST_WAIT) {
        m->fetch = s->iterator.fetch;
    } else {
        m->failed = s->tables[s->index].number;
    }
    return st;
}

/* ---- the heap of sources ---- */

static inline bool heap_less(const struct merge *m, uint32_t a, uint32_t b) {
    return bytes_compare(m->sources[a].record->ikey, m->sources[b].record->ikey) < 0;
}

static void heap_sift_down(struct merge *m, uint32_t at) {
    const uint32_t moving = m->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= m->heap_count) break;
        if (child + 1 < m->heap_count && heap_less(m, m->heap[child + 1], m->heap[child])) child++;
        if (!heap_less(m, m->heap[child], moving)) break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moving;
}

static void heap_push(struct merge *m, uint32_t source) {
    uint32_t at = m->heap_count++;
    while (at > 0) {
        const uint32_t parent = (at - 1) / 2;
        if (!heap_less(m, source, m->heap[parent])) break;
        m->heap[at] = m->heap[parent];
        at = parent;
    }
    m->heap[at] = source;
}

static uint32_t heap_pop(struct merge *m) {
    ASSERT(m->heap_count > 0);
    const uint32_t top = m->heap[0];
    m->heap[0] = m->heap[--m->heap_count];
    if (m->heap_count > 0) heap_sift_down(m, 0);
    return top;
}

/* ---- the group ---- */

/* Complete the group from the heap and choose the record. */
static void group_settle(struct merge *m) {
    ASSERT(m->group_count == 1);
    m->winner = m->group[0];
    const struct record *best = m->sources[m->winner].record;
    while (m->heap_count > 0) {
        const struct record *r = m->sources[m->heap[0]].record;
        if (!bytes_equal(r->ikey, best->ikey)) break;
        const uint32_t source = heap_pop(m);
        m->group[m->group_count++] = source;
        if ((ballot_compare(r->ballot, best->ballot) > 0) != MUTANT("scan_old_version")) {
            best = r;
            m->winner = source;
        }
    }
    m->record = best;
}

static void group_form(struct merge *m) {
    m->record = NULL;
    m->group_count = 0;
    if (m->heap_count == 0) return;
    m->group[m->group_count++] = heap_pop(m);
    group_settle(m);
}

STATUS merge_seek(struct merge *m, struct bytes ikey) {
    if (!m->seeking || !bytes_equal(ikey, buffer_bytes(&m->target))) {
        buffer_reset(&m->target);
        buffer_append(&m->target, ikey);
        ASSERT(!m->target.overflowed);
        m->seek_index = 0;
    }
    m->seeking = true;
    m->record = NULL;
    m->group_count = 0;
    m->heap_count = 0;
    while (m->seek_index < m->count) {
        struct merge_source *s = &m->sources[m->seek_index];
        const struct status st = source_seek(m, s, ikey);
        if (!status_ok(st)) return source_failed(m, s, st);
        m->seek_index++;
    }
    m->seeking = false;

    for (uint32_t i = 0; i < m->count; i++) {
        if (m->sources[i].record != NULL) heap_push(m, i);
    }
    group_form(m);
    return status_of(ST_OK);
}

STATUS merge_next(struct merge *m) {
    ASSERT(m->group_count > 0);
    ASSERT(!m->seeking);
    m->record = NULL;
    while (m->group_count > 1) {
        const uint32_t source = m->group[m->group_count - 1];
        struct merge_source *s = &m->sources[source];
        const struct status st = source_next(m, s);
        if (!status_ok(st)) return source_failed(m, s, st);
        m->group_count--;
        if (s->record != NULL) heap_push(m, source);
    }

    const uint32_t source = m->group[0];
    struct merge_source *s = &m->sources[source];
    const struct status st = source_next(m, s);
    if (!status_ok(st)) return source_failed(m, s, st);
    if (s->record == NULL) {
        group_form(m);
        return status_of(ST_OK);
    }
    /* Often the same source is least again; if not, it takes the place of the one that is. */
    if (m->heap_count > 0 && heap_less(m, m->heap[0], source)) {
        m->group[0] = m->heap[0];
        m->heap[0] = source;
        heap_sift_down(m, 0);
    }
    group_settle(m);
    return status_of(ST_OK);
}

const struct memtable *merge_memtable(const struct merge *m) {
    ASSERT(m->record != NULL);
    return m->sources[m->winner].memtable;
}

bool merge_check(const struct merge *m) {
    if (m->heap_count + m->group_count > m->count) return false;
    if (m->record == NULL) return true;
    for (uint32_t i = 0; i < m->group_count; i++) {
        const struct record *r = m->sources[m->group[i]].record;
        if (r == NULL || !bytes_equal(r->ikey, m->record->ikey)) return false;
        if (ballot_compare(r->ballot, m->record->ballot) > 0) return false;
    }
    for (uint32_t i = 0; i < m->heap_count; i++) {
        const struct record *r = m->sources[m->heap[i]].record;
        if (r == NULL || bytes_compare(r->ikey, m->record->ikey) <= 0) return false;
    }
    return true;
}
