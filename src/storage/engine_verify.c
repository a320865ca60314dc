/* engine_verify: a shard's folder read through offline, without changing it. */
#include "storage/engine_internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Blocks are read once: the cache only holds what is in hand. */
#define VERIFY_CACHE_BYTES ((size_t)8 * 1024 * 1024)

struct verify {
    struct os *os;
    const char *dir;
    struct cache *cache;
    struct engine_verify_listener listener; /* of the caller */
    uint64_t records;
    uint64_t bad;
};

__attribute__((format(printf, 2, 3))) static void finding(struct verify *v, const char *format,
                                                          ...) {
    char line[OS_PATH_BYTES_MAX + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    v->bad++;
    v->listener.report(v->listener.user, line);
}

static bool table_matches(const struct manifest_table *m, const struct table_properties *p) {
    return m->file_bytes == p->file_bytes && m->records == p->records &&
           m->tombstones == p->tombstones && m->raw_bytes == p->raw_bytes &&
           m->expiring == p->expiring && m->expires_min_ms == p->expires_min_ms &&
           ballot_compare(m->ballot_max, p->ballot_max) == 0 &&
           bytes_equal(m->ikey_min, p->ikey_min) && bytes_equal(m->ikey_max, p->ikey_max);
}

/* Errors  as table_verify; what is only bad in the file is a finding */
static STATUS verify_table(struct verify *v, const struct manifest_table *m) {
    char path[OS_PATH_BYTES_MAX];
    struct table *t;
    uint64_t bad = 0;
    manifest_table_path(v->dir, m->number, path);
    struct status s = table_open(v->os, path, v->cache, &t);
    if (s.code == ST_CORRUPT || s.code == ST_NOT_FOUND) {
        finding(v, "%s: offset 0: cannot be opened: %s", path, status_name(s));
        return status_of(ST_OK);
    }
    TRY(s);
    if (!table_matches(m, table_properties(t))) {
        finding(v, "%s: offset 0: not the table that the manifest names", path);
    }
    s = table_verify(t, v->listener.report, v->listener.user, NULL, &bad);
    v->bad += bad;
    v->records += m->records;
    table_release(t);
    if (s.code == ST_CORRUPT) {
        if (bad == 0) finding(v, "%s: corrupt", path);
        return status_of(ST_OK);
    }
    return s;
}

static void verify_disjoint(struct verify *v, const struct manifest_state *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = i + 1; k < s->count; k++) {
            const struct manifest_table *a = &s->tables[i];
            const struct manifest_table *b = &s->tables[k];
            if (a->level != b->level || a->level == 0) continue;
            if (bytes_compare(a->ikey_max, b->ikey_min) < 0) continue;
            if (bytes_compare(b->ikey_max, a->ikey_min) < 0) continue;
            finding(v, "%s: tables %016" PRIx64 " and %016" PRIx64 " of level %u overlap", v->dir,
                    a->number, b->number, a->level);
        }
    }
}

static STATUS verify_state(struct verify *v, const struct manifest_state *s) {
    uint64_t records = 0;
    uint64_t bad = 0;
    verify_disjoint(v, s);
    for (uint32_t i = 0; i < s->count; i++) {
        TRY(verify_table(v, &s->tables[i]));
        if (v->listener.advance != NULL)
            v->listener.advance(v->listener.user, s->tables[i].file_bytes);
    }
    const struct status st = wal_verify(v->os, v->dir, s->first_segment, v->listener.report,
                                        v->listener.user, &records, &bad);
    v->records += records;
    v->bad += bad;
    if (st.code == ST_CORRUPT && bad == 0) finding(v, "%s: the WAL is corrupt", v->dir);
    return st.code == ST_CORRUPT ? status_of(ST_OK) : st;
}

STATUS engine_verify(struct os *os, const char *dir, const struct engine_verify_listener *listener,
                     uint64_t *ret_records, uint64_t *ret_bad) {
    struct manifest_state state = { 0 };
    struct manifest manifest;
    struct verify v = { .os = os, .dir = dir, .listener = *listener };
    struct status s = manifest_open(os, dir, &state, &manifest);
    if (s.code == ST_CORRUPT) {
        finding(&v, "%s: the manifest is corrupt (its offset is in the log)", dir);
        s = status_of(ST_OK);
    } else if (status_ok(s)) {
        v.cache = cache_create(VERIFY_CACHE_BYTES);
        s = verify_state(&v, &state);
        cache_destroy(v.cache);
        manifest_close(&manifest);
    }
    manifest_state_deinit(&state);
    TRY(s);
    *ret_records = v.records;
    *ret_bad = v.bad;
    return status_of(ST_OK);
}
