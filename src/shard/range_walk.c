#include "shard/range_walk.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shard/shard.h"

void range_walk_init(struct range_walk *w, struct shard *s) {
    ASSERT(s->engine != NULL);
    *w = (struct range_walk){ .shard = s };
    buffer_init(&w->place, (size_t)2 * IKEY_BYTES_MAX);
    ASSERT(range_walk_check(w));
}

static void release_held(struct range_walk *w) {
    for (uint32_t i = 0; i < w->held_count; i++) cache_release(w->shard->node->cache, &w->held[i]);
    w->held_count = 0;
}

static void let_go(struct range_walk *w) {
    ASSERT(!w->fetching);
    if (w->iterator != NULL) engine_iterator_destroy(w->iterator);
    w->iterator = NULL;
    release_held(w);
}

void range_walk_deinit(struct range_walk *w) {
    ASSERT(range_walk_check(w));
    let_go(w);
    mem_free(w->held);
    w->held = NULL;
    w->held_capacity = 0;
    buffer_deinit(&w->place);
}

/* The smallest ikey behind another is that one and a zero. */
static void place_behind(struct range_walk *w, struct bytes ikey) {
    buffer_reset(&w->place);
    buffer_append(&w->place, ikey);
    buffer_append_u8(&w->place, 0);
    ASSERT(!w->place.overflowed);
}

void range_walk_seek(struct range_walk *w, struct bytes from, bool behind) {
    ASSERT(range_walk_check(w));
    ASSERT(from.len <= IKEY_BYTES_MAX);
    let_go(w);
    w->fetched = status_of(ST_OK);
    w->passed = false;
    if (behind && from.len > 0) {
        place_behind(w, from);
        return;
    }
    static const uint8_t first[2] = { 0 }; /* before all keys of the first keyspace */
    buffer_reset(&w->place);
    buffer_append(&w->place, from.len == 0 ? bytes_of(first, sizeof first) : from);
}

/* ---- blocks ---- */

static void fetch_run(struct os_job *job) {
    struct range_walk *w = LIST_ENTRY(job, struct range_walk, fetch);
    w->fetched = table_fetch_block(&w->wanted, &w->block);
    if (status_ok(w->fetched) && w->ahead > 0) table_fetch_ahead(&w->wanted, w->ahead);
}

static void fetch_done(struct os_job *job) {
    struct range_walk *w = LIST_ENTRY(job, struct range_walk, fetch);
    ASSERT(w->fetching);
    ASSERT(w->iterator != NULL);
    w->fetching = false;
    if (status_ok(w->fetched)) {
        if (w->held_count == w->held_capacity) {
            w->held_capacity = w->held_capacity == 0 ? 8 : w->held_capacity * 2;
            w->held = mem_realloc(w->held, w->held_capacity * sizeof *w->held);
        }
        w->held[w->held_count++] = w->block;
        w->block = (struct cache_block){ 0 };
        w->moved = false;
    } else {
        w->shard->fetches_failed++;
    }
    if (w->ready != NULL) w->ready(w);
}

/* What a step of the iterator means to the walk. While a block is read the iterator stays:
 * it pins the table. */
static STATUS settle(struct range_walk *w, struct status st) {
    if (status_ok(st)) return st;
    if (st.code != ST_WAIT) {
        let_go(w);
        return status_of(ST_CORRUPT);
    }
    if (w->moved) release_held(w);
    w->wanted = *engine_iterator_fetch(w->iterator);
    w->fetching = true;
    w->fetch = (struct os_job){ .loop = w->shard->loop, .run = fetch_run, .done = fetch_done };
    os_pool_submit(w->shard->node->pool, OS_JOB_READ, &w->fetch);
    return st;
}

/* ---- slices ---- */

STATUS range_walk_open(struct range_walk *w) {
    ASSERT(range_walk_check(w));
    ASSERT(!w->fetching);
    if (!status_ok(w->fetched)) {
        let_go(w);
        w->fetched = status_of(ST_OK);
        return status_of(ST_CORRUPT);
    }
    struct engine_iterator *before = w->iterator; /* it holds blocks that are asked for again */
    w->iterator = engine_iterator_create(w->shard->engine, false);
    const struct status st = engine_iterator_seek(w->iterator, buffer_bytes(&w->place));
    if (before != NULL) engine_iterator_destroy(before);
    return settle(w, st);
}

const struct record *range_walk_record(const struct range_walk *w) {
    ASSERT(w->iterator != NULL);
    ASSERT(!w->fetching);
    return engine_iterator_valid(w->iterator) ? engine_iterator_record(w->iterator) : NULL;
}

STATUS range_walk_next(struct range_walk *w) {
    ASSERT(!w->fetching);
    place_behind(w, engine_iterator_record(w->iterator)->ikey);
    w->moved = true;
    w->passed = true;
    return settle(w, engine_iterator_next(w->iterator));
}

void range_walk_pause(struct range_walk *w) {
    ASSERT(range_walk_check(w));
    let_go(w);
}

struct bytes range_walk_last(const struct range_walk *w) {
    if (!w->passed) return BYTES_NONE;
    const struct bytes place = buffer_bytes(&w->place);
    ASSERT(place.len > 1);
    return bytes_of(place.ptr, place.len - 1);
}

bool range_walk_check(const struct range_walk *w) {
    if (w->shard == NULL || w->held_count > w->held_capacity) return false;
    if (w->fetching && w->iterator == NULL) return false;
    return !w->place.overflowed;
}
