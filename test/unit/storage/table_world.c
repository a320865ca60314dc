#include "table_world.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "harness.h"

#include <stdlib.h>

void table_world_init(struct table_world *v, uint64_t seed, size_t cache_bytes) {
    *v = (struct table_world){ .seed = seed };
    log_set_sink(NULL);
    v->disk = sim_disk_create(seed);
    v->os = sim_os_create(seed, v->disk);
    v->cache = cache_create(cache_bytes);
    arena_init(&v->arena, 64 * 1024);
    CHECK_OK(os_dir_create(v->os, "/tables"));
}

void table_world_deinit(struct table_world *v) {
    table_world_close(v);
    CHECK(cache_check(v->cache));
    CHECK_EQ(cache_stats(v->cache).bytes_reserved, 0);
    CHECK_EQ(cache_stats(v->cache).bytes_over, 0);
    cache_destroy(v->cache);
    os_destroy(v->os);
    sim_disk_destroy(v->disk);
    arena_deinit(&v->arena);
    mem_free(v->records);
}

uint64_t table_world_random(struct table_world *v, uint64_t bound) {
    uint64_t x = (v->seed += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % bound;
}

struct bytes table_world_ikey(struct table_world *v, size_t ikey_len_max) {
    size_t len = 3 + table_world_random(v, ikey_len_max - 2);
    if (len > 12 && table_world_random(v, 2) == 0) len = 3 + len % 10;
    uint8_t *p = arena_alloc_unaligned(&v->arena, len);
    p[0] = 0;
    p[1] = (uint8_t)table_world_random(v, 2);
    const bool shared = table_world_random(v, 2) == 0; /* a long common prefix */
    for (size_t i = 2; i < len; i++) {
        p[i] = shared && i + 4 < len ? 'p' : (uint8_t)(table_world_random(v, 4) * 85);
    }
    return bytes_of(p, len);
}

static int record_order(const void *a, const void *b) {
    return bytes_compare(((const struct record *)a)->ikey, ((const struct record *)b)->ikey);
}

void table_world_make(struct table_world *v, size_t count, size_t ikey_len_max,
                      size_t value_len_max) {
    arena_reset(&v->arena);
    v->records = mem_realloc(v->records, count * sizeof *v->records);
    for (size_t i = 0; i < count; i++) {
        struct record r = { .ikey = table_world_ikey(v, ikey_len_max) };
        r.ballot = (struct ballot){ 1 + table_world_random(v, 1000000), 1 + (uint32_t)i % 7, 3 };
        if (table_world_random(v, 5) == 0)
            r.expires_at_ms = 1 + table_world_random(v, UINT64_MAX / 2);
        if (table_world_random(v, 5) == 0) r.op = (struct op_id){ i + 1, table_world_random(v, 9) };
        if (table_world_random(v, 5) == 0) {
            r.flags = RECORD_TOMBSTONE;
            r.expires_at_ms = 0;
        } else {
            const size_t len = table_world_random(v, value_len_max + 1);
            uint8_t *p = arena_alloc_unaligned(&v->arena, len + 1);
            const bool flat = table_world_random(v, 2) == 0;
            for (size_t at = 0; at < len; at++) {
                p[at] = (uint8_t)(flat ? i : table_world_random(v, 256));
            }
            r.value = bytes_of(p, len);
        }
        v->records[i] = r;
    }
    qsort(v->records, count, sizeof *v->records, record_order);
    v->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (v->count > 0 && record_order(&v->records[v->count - 1], &v->records[i]) == 0) continue;
        v->records[v->count++] = v->records[i];
    }
}

STATUS table_world_write(struct table_world *v, const struct table_options *options) {
    struct table_writer *w = NULL;
    TRY(table_writer_create(v->os, TABLE_PATH, options, NULL, NULL, &w));
    struct status s = status_of(ST_OK);
    for (size_t i = 0; i < v->count && status_ok(s); i++) s = table_writer_add(w, &v->records[i]);
    if (status_ok(s)) s = table_writer_finish(w);
    table_writer_destroy(w);
    return s;
}

STATUS table_world_open(struct table_world *v) {
    table_world_close(v);
    return table_open(v->os, TABLE_PATH, v->cache, &v->table);
}

void table_world_close(struct table_world *v) {
    if (v->table != NULL) table_release(v->table);
    v->table = NULL;
}

size_t table_world_lower(const struct table_world *v, struct bytes ikey) {
    size_t low = 0;
    size_t high = v->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (bytes_compare(v->records[middle].ikey, ikey) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool table_world_same(const struct record *a, const struct record *b) {
    return bytes_equal(a->ikey, b->ikey) && ballot_compare(a->ballot, b->ballot) == 0 &&
           a->flags == b->flags && a->expires_at_ms == b->expires_at_ms &&
           a->op.high == b->op.high && a->op.low == b->op.low && bytes_equal(a->value, b->value);
}

STATUS table_world_get(struct table_world *v, struct bytes ikey, bool may_block) {
    struct record r;
    struct cache_block block = { 0 };
    struct cache_block fetched = { 0 };
    struct table_fetch fetch;
    const size_t at = table_world_lower(v, ikey);
    const bool there = at < v->count && bytes_equal(v->records[at].ikey, ikey);
    if (!table_may_contain(v->table, ikey, hash_xxh3(ikey))) {
        CHECK(!there);
        return status_of(ST_OK);
    }
    struct status s = table_get(v->table, ikey, may_block, &r, &block, &fetch);
    CHECK(!may_block || s.code != ST_WAIT);
    if (s.code == ST_WAIT) {
        TRY(table_fetch_block(&fetch, &fetched));
        s = table_get(v->table, ikey, false, &r, &block, &fetch);
        CHECK(s.code != ST_WAIT);
    }
    cache_release(v->cache, &fetched);
    if (!there && s.code == ST_NOT_FOUND)
        s = status_of(ST_OK);
    else if (status_ok(s))
        CHECK(there && table_world_same(&r, &v->records[at]));
    else
        CHECK(s.code == ST_CORRUPT || s.code == ST_IO);
    cache_release(v->cache, &block);
    return s;
}

/* Call seek (`ikey` given) or next until it needs no more fetches. At most two blocks
 * are needed by one call. */
static STATUS step(struct table_world *v, struct table_iterator *it, const struct bytes *ikey) {
    struct cache_block fetched = { 0 };
    for (uint32_t tries = 0;; tries++) {
        const bool valid = it->valid;
        const struct status s =
            ikey != NULL ? table_iterator_seek(it, *ikey) : table_iterator_next(it);
        cache_release(v->cache, &fetched);
        if (s.code != ST_WAIT) return s;
        CHECK(!it->may_block);
        CHECK(it->valid == valid);
        CHECK(tries < 2);
        TRY(table_fetch_block(&it->fetch, &fetched));
    }
}

STATUS table_world_scan(struct table_world *v, struct table_iterator *it, struct bytes ikey,
                        size_t steps) {
    size_t at = table_world_lower(v, ikey);
    TRY(step(v, it, &ikey));
    for (size_t i = 0; i < steps; i++) {
        CHECK_EQ(it->valid, at < v->count);
        if (at == v->count) return status_of(ST_OK);
        CHECK(table_world_same(&it->record, &v->records[at]));
        at++;
        TRY(step(v, it, NULL));
    }
    return status_of(ST_OK);
}
