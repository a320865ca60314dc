/* engine_open: manifest, tables, WAL. Nothing on disk is changed before all the manifest names
 * is found whole, and it is durable itself. The manifest itself is begun anew with the first edit, so a
 * full disk does not keep the engine from opening. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the folder ---- */

struct listing {
    struct engine *e;
    const struct manifest_state *state; /* NULL while only looking */
    bool data;                          /* something but manifests is there */
};

/* Whether there is anything that only a shard which was once made can hold. */
static void listing_look(void *user, const char *name) {
    struct listing *l = user;
    uint64_t number;
    if (manifest_name_number(name, "table-", &number)) l->data = true;
    if (manifest_name_number(name, "wal-", &number)) l->data = true;
}

static bool state_names(const struct manifest_state *s, uint64_t number) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->tables[i].number == number) return true;
    }
    return false;
}

/* What a crash left half made or not yet removed. */
static void listing_remove(void *user, const char *name) {
    struct listing *l = user;
    char path[OS_PATH_BYTES_MAX];
    uint64_t number;
    bool stray = strcmp(name, "current.tmp") == 0;
    if (manifest_name_number(name, "table-", &number)) stray = !state_names(l->state, number);
    if (manifest_name_number(name, "manifest-", &number)) stray = number != l->e->manifest.number;
    if (!stray) return;
    const int len = snprintf(path, sizeof path, "%s/%s", l->e->dir, name);
    if (len < 0 || len >= (int)sizeof path) return;
    log_info("%s: not in use, removed", path);
    if (!status_ok(os_path_remove(l->e->options.os, path))) log_warn("%s: cannot be removed", path);
}

/* The folder is to be as durable as what is in it, and so are the folders above, as
 * os_dir_create may just have made them. */
static STATUS sync_folders(struct engine *e) {
    char above[OS_PATH_BYTES_MAX];
    snprintf(above, sizeof above, "%s", e->dir);
    for (char *slash = strrchr(above, '/'); slash != NULL; slash = strrchr(above, '/')) {
        const bool root = slash == above;
        slash[root] = '\0';
        TRY(os_dir_sync(e->options.os, above));
        if (root) return status_of(ST_OK);
    }
    return os_dir_sync(e->options.os, ".");
}

/* A new shard: an empty manifest. */
static STATUS make_manifest(struct engine *e, struct manifest_state *state) {
    struct listing look = { .e = e };
    TRY(os_dir_list(e->options.os, e->dir, listing_look, &look));
    if (look.data) {
        log_error("%s: `current` is missing, but tables or WAL segments are there", e->dir);
        return status_of(ST_CORRUPT);
    }
    TRY(sync_folders(e));
    e->manifest = (struct manifest){ .os = e->options.os };
    snprintf(e->manifest.dir, sizeof e->manifest.dir, "%s", e->dir);
    state->next_number = 1;
    state->first_segment = 1;
    e->first_segment = state->first_segment;
    atomic_store(&e->number_next, state->next_number);
    e->version = version_empty();
    buffer_reset(&e->edits_encoded);
    engine_snapshot(e, 1, &e->edits_encoded);
    return manifest_rewrite(&e->manifest, 1, buffer_bytes(&e->edits_encoded));
}

/* ---- tables ---- */

/* What the file says of itself against what the manifest says. */
static bool table_agrees(const struct manifest_table *m, const struct table_properties *p) {
    if (m->file_bytes != p->file_bytes || m->records != p->records) return false;
    if (m->tombstones != p->tombstones || m->expiring != p->expiring) return false;
    if (ballot_compare(m->ballot_max, p->ballot_max) != 0) return false;
    return bytes_equal(m->ikey_min, p->ikey_min) && bytes_equal(m->ikey_max, p->ikey_max);
}

static STATUS open_table(struct engine *e, const struct manifest_table *m,
                         struct version_add *ret_add) {
    char path[OS_PATH_BYTES_MAX];
    struct table *t;
    manifest_table_path(e->dir, m->number, path);
    const struct status s = table_open(e->options.os, path, e->options.cache, &t);
    if (!status_ok(s)) {
        log_error("%s: cannot be opened: %s", path, status_name(s));
        return s;
    }
    if (!table_agrees(m, table_properties(t))) {
        log_error("%s: offset 0: not the table that the manifest names", path);
        table_release(t);
        return status_of(ST_CORRUPT);
    }
    ret_add->table = version_table_of(t, m->number);
    ret_add->table.garbage_wait_ms = COMPACTION_GARBAGE_WAIT_MS;
    ret_add->level = m->level;
    return status_of(ST_OK);
}

/* Tables of one level must be disjoint before they can be a version. */
static STATUS check_disjoint(const struct engine *e, const struct version_add *adds,
                             uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = i + 1; k < count; k++) {
            const struct version_table *a = &adds[i].table;
            const struct version_table *b = &adds[k].table;
            if (adds[i].level != adds[k].level || adds[i].level == 0) continue;
            if (bytes_compare(a->ikey_max, b->ikey_min) < 0) continue;
            if (bytes_compare(b->ikey_max, a->ikey_min) < 0) continue;
            log_error("%s: tables %016" PRIx64 " and %016" PRIx64 " of level %u overlap", e->dir,
                      a->number, b->number, adds[i].level);
            return status_of(ST_CORRUPT);
        }
    }
    return status_of(ST_OK);
}

static STATUS open_tables(struct engine *e, const struct manifest_state *state) {
    struct status s = status_of(ST_OK);
    struct version_add *adds = mem_alloc((state->count + 1) * sizeof *adds);
    uint32_t count = 0;
    while (count < state->count && status_ok(s)) {
        s = open_table(e, &state->tables[count], &adds[count]);
        if (status_ok(s)) count++;
    }
    if (status_ok(s)) s = check_disjoint(e, adds, count);
    if (status_ok(s)) {
        struct version *empty = version_empty();
        e->version = version_change(empty, NULL, 0, adds, count);
        version_release(empty);
    }
    for (uint32_t i = 0; i < count; i++) table_release(adds[i].table.table);
    mem_free(adds);
    return s;
}

/* ---- WAL ---- */

/* More than fits: the oldest memtable becomes a table. No edit is written, so until one is, a
 * crash brings all of it back from the WAL and the table is removed as not named. */
static STATUS replay_flush(struct engine *e) {
    ASSERT(e->waiting_count > 0);
    struct engine_memtable *m = e->waiting[e->waiting_count - 1];
    const struct output_options o = engine_output_options(e, e->options.table.compression);
    struct flush f;
    flush_init(&f, m->memtable, &e->floors_durable, &o);
    flush_run(&f);
    const struct status s = f.status;
    if (status_ok(s)) {
        struct version_add add;
        if (f.output.count > 0) {
            add = (struct version_add){ .table = f.output.tables[0], .level = 0 };
            add.table.garbage_wait_ms = COMPACTION_GARBAGE_WAIT_MS;
        }
        struct version *v = version_change(e->version, NULL, 0, &add, f.output.count);
        version_release(e->version);
        e->version = v;
        e->waiting_count--;
        engine_memtable_release(m);
        e->stats.flushes++;
        e->stats.flush_bytes += f.output.bytes;
    }
    flush_deinit(&f);
    return s;
}

static struct status replay_record(void *user, const struct record *r, uint64_t sequence) {
    struct engine *e = user;
    if (ballot_compare(r->ballot, e->ballot_max) > 0) e->ballot_max = r->ballot;
    struct status s = memtable_put(e->active->memtable, r, sequence);
    if (s.code == ST_FULL) {
        if (e->waiting_count + 1 >= e->options.memtables_max) TRY(replay_flush(e));
        engine_memtable_push(e, engine_memtable_create(e, e->first_segment));
        s = memtable_put(e->active->memtable, r, sequence);
    }
    TRY(s);
    if (e->active->sequence_first == 0) e->active->sequence_first = sequence;
    engine_memtable_note(e->active, r->ballot);
    return s;
}

static void replay_ahead(void *user, struct bytes ikey) {
    const struct engine *e = user;
    memtable_prefetch(e->active->memtable, ikey);
}

static STATUS open_wal(struct engine *e) {
    const struct wal_options o = {
        .os = e->options.os,
        .loop = e->options.loop,
        .pool = e->options.pool,
        .dir = e->dir,
        .sync = e->options.sync,
        .segment_bytes = e->options.wal_segment_bytes,
        .ahead = replay_ahead,
    };
    e->active = engine_memtable_create(e, e->first_segment);
    return wal_open(&o, e->first_segment, replay_record, e, &e->wal);
}

static STATUS recover_state(struct engine *e, struct manifest_state *state) {
    TRY(os_dir_create(e->options.os, e->dir));
    struct status s = manifest_open(e->options.os, e->dir, state, &e->manifest);
    if (s.code == ST_NOT_FOUND) {
        TRY(make_manifest(e, state));
    } else {
        TRY(s);
        TRY(open_tables(e, state));
        TRY(manifest_settle(&e->manifest));
    }
    e->first_segment = state->first_segment;
    atomic_store(&e->number_next, state->next_number);
    floors_copy(&state->floors, &e->floors);
    floors_copy(&state->floors, &e->floors_durable);
    e->ballot_max = e->version->ballot_max;
    for (uint32_t i = 0; i < e->floors.count; i++) {
        const struct ballot b = e->floors.items[i].ballot;
        if (ballot_compare(b, FLOOR_OF_ALL) == 0) continue; /* nobody chose it */
        if (ballot_compare(b, e->ballot_max) > 0) e->ballot_max = b;
    }
    struct listing strays = { .e = e, .state = state };
    TRY(os_dir_list(e->options.os, e->dir, listing_remove, &strays));
    return open_wal(e);
}

STATUS engine_recover(struct engine *e) {
    struct manifest_state state = { 0 };
    ASSERT(e->recovering);
    const struct status s = recover_state(e, &state);
    manifest_state_deinit(&state);
    return s;
}
