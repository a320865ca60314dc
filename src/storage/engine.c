#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>

struct engine_options engine_options_default(void) {
    return (struct engine_options){
        .sync = WAL_SYNC_ALWAYS,
        .memtable_bytes = (size_t)64 * 1024 * 1024,
        .memtables_max = 3,
        .level0_tables_compact = 4,
        .level0_tables_slow = 12,
        .level0_tables_stop = 24,
        .level1_bytes = (uint64_t)256 * 1024 * 1024,
        .level_ratio = 10,
        .table_bytes = (uint64_t)32 * 1024 * 1024,
        .table = { .block_bytes = TABLE_BLOCK_BYTES_DEFAULT,
                   .filter_bits_per_key = TABLE_FILTER_BITS_DEFAULT,
                   .compression = COMPRESSION_LZ4 },
        .bottom_compression = COMPRESSION_LZ4,
    };
}

/* ---- memtables ---- */

struct engine_memtable *engine_memtable_create(struct engine *e, uint64_t first_segment) {
    ASSERT(first_segment > 0);
    struct engine_memtable *m = mem_alloc(sizeof *m);
    *m = (struct engine_memtable){
        .memtable = memtable_create(e->options.memtable_bytes, e->hash_seed),
        .first_segment = first_segment,
        .ballot_min = { UINT64_MAX, UINT32_MAX, UINT32_MAX },
        .sweep = e->sweep,
        .references = 1,
    };
    /* Where segments are shared, a replay brings back the other's records as long as this one lives. */
    const struct engine_memtable *before = e->active;
    if (before != NULL && before->first_segment == first_segment)
        m->ballot_min = before->ballot_min;
    return m;
}

void engine_memtable_retain(struct engine_memtable *m) {
    ASSERT(m->references > 0);
    m->references++;
}

void engine_memtable_release(struct engine_memtable *m) {
    ASSERT(m->references > 0);
    if (--m->references > 0) return;
    memtable_destroy(m->memtable);
    mem_free(m);
}

void engine_memtable_note(struct engine_memtable *m, struct ballot b) {
    if (ballot_compare(b, m->ballot_min) < 0) m->ballot_min = b;
}

void engine_memtable_push(struct engine *e, struct engine_memtable *next) {
    ASSERT(e->active != NULL);
    ASSERT(e->waiting_count < ENGINE_MEMTABLES_MAX);
    memmove(e->waiting + 1, e->waiting, e->waiting_count * sizeof *e->waiting);
    e->waiting[0] = e->active;
    e->waiting_count++;
    e->active = next;
}

/* ---- life ---- */

static bool options_check(const struct engine_options *o) {
    if (o->os == NULL || o->loop == NULL || o->pool == NULL || o->cache == NULL) return false;
    if (o->dir == NULL || strlen(o->dir) + OS_NAME_BYTES_MAX >= OS_PATH_BYTES_MAX) return false;
    if (o->memtable_bytes == 0 || o->memtables_max < 2) return false;
    if (o->memtables_max > ENGINE_MEMTABLES_MAX) return false;
    if (o->level0_tables_compact == 0 || o->level0_tables_slow > o->level0_tables_stop)
        return false;
    if (o->level0_tables_compact > o->level0_tables_stop) return false;
    return o->level1_bytes > 0 && o->level_ratio >= 2 && o->table_bytes > 0;
}

static void engine_destroy(struct engine *e) {
    engine_damage_cancel(e);
    while (!list_is_empty(&e->edits)) {
        struct engine_edit *edit = LIST_ENTRY(list_take_first(&e->edits), struct engine_edit, link);
        const bool own = edit != &e->flush_edit && edit != &e->compaction_edit;
        if (edit->done != NULL) edit->done(edit->user, status_of(ST_FULL));
        engine_edit_deinit(edit);
        if (own) mem_free(edit);
    }
    /* Whether an edit that met no space is durable is not known: no file is removed. */
    if (e->flush_state != WORK_IDLE) flush_deinit(&e->flush);
    engine_rescue_end(e);
    if (e->compaction_state != WORK_IDLE) {
        version_release(e->compaction.version);
        compaction_deinit(&e->compaction);
    }
    for (uint32_t i = 0; i < e->waiting_count; i++) engine_memtable_release(e->waiting[i]);
    if (e->active != NULL) engine_memtable_release(e->active);
    if (e->wal != NULL) wal_close(e->wal);
    if (e->version != NULL) version_release(e->version);
    manifest_close(&e->manifest);
    floors_deinit(&e->floors);
    floors_deinit(&e->floors_durable);
    buffer_deinit(&e->edits_encoded);
    mem_free(e);
}

STATUS engine_open(const struct engine_options *options, struct engine **ret_engine) {
    ASSERT(options_check(options));
    struct engine *e = mem_alloc_zeroed(sizeof *e);
    e->options = *options;
    snprintf(e->dir, sizeof e->dir, "%s", options->dir);
    e->options.dir = e->dir;
    list_init(&e->edits);
    buffer_init(&e->edits_encoded, (size_t)2 * MANIFEST_EDIT_BYTES_MAX);
    os_entropy(options->os, &e->hash_seed, sizeof e->hash_seed);
    e->recovering = true;
    e->expiry_limit_ms = UINT64_MAX;
    const struct status s = engine_recover(e);
    if (!status_ok(s)) {
        engine_destroy(e);
        return s;
    }
    e->recovering = false;
    e->look = true;
    ASSERT(engine_check(e));
    *ret_engine = e;
    return status_of(ST_OK);
}

void engine_stop(struct engine *e, bool flush) {
    ASSERT(engine_check(e));
    e->stopping = true;
    e->stop_flush = flush;
    e->everything = false;
    atomic_store(&e->stop_jobs, true);
    atomic_store(&e->judge_stop, true);
    if (flush) e->flush_wanted = true;
}

bool engine_is_idle(const struct engine *e) {
    if (e->flush_state == WORK_RUNNING || e->compaction_state == WORK_RUNNING) return false;
    if (e->manifest_running || e->judging) return false;
    if (!wal_is_idle(e->wal)) return false;
    if (e->stopping && !e->stop_committed) return false;
    /* What met no space stays undone: the WAL and the old files hold it. */
    if (e->stop_failed) return true;
    if (!list_is_empty(&e->edits)) return false;
    if (e->stop_flush) return e->waiting_count == 0 && memtable_count(e->active->memtable) == 0;
    return true;
}

void engine_close(struct engine *e) {
    ASSERT(e->stopping);
    ASSERT(engine_is_idle(e));
    engine_destroy(e);
}

/* ---- writes ---- */

static struct status refused(struct engine *e, enum status_code code) {
    ASSERT(code == ST_BUSY || code == ST_FULL);
    if (code == ST_FULL) e->stats.full++;
    if (code == ST_BUSY) e->stats.stalls++;
    return status_of(code);
}

/* Make sure that the active memtable can take the record. */
static STATUS put_room(struct engine *e, const struct record *r) {
    if (e->stopping) return status_of(ST_BUSY);
    if (e->version->levels[0].count >= e->options.level0_tables_stop) {
        return status_of(e->background_full ? ST_FULL : ST_BUSY);
    }
    const struct engine_memtable *m = e->active;
    const uint64_t span = m->sequence_first == 0 ? 0 : wal_sequence(e->wal) - m->sequence_first;
    bool due = !memtable_has_room(m->memtable, r);
    if (span > ENGINE_WAL_SPAN * (uint64_t)e->options.memtable_bytes) due = true;
    if (!due || memtable_count(m->memtable) == 0) return status_of(ST_OK);
    return engine_rotate(e);
}

struct ballot engine_floor(const struct engine *e, uint16_t keyspace) {
    return floors_get(&e->floors, keyspace);
}

bool engine_floors_are_durable(const struct engine *e) {
    return floors_equal(&e->floors, &e->floors_durable);
}

STATUS engine_put(struct engine *e, const struct record *r, uint64_t *ret_sequence) {
    uint64_t sequence;
    ASSERT(record_check(r));
    ASSERT(!e->recovering);
    if (ballot_compare(r->ballot, e->gc_floor) <= 0) return status_of(ST_CONFLICT);
    struct status s = put_room(e, r);
    if (!status_ok(s)) return refused(e, s.code);
    s = wal_append(e->wal, r, &sequence);
    e->wal_full = s.code == ST_FULL;
    if (!status_ok(s)) return refused(e, s.code);

    s = memtable_put(e->active->memtable, r, sequence);
    ASSERT(status_ok(s));
    /* Not taken when it was made: a rotation leaves a gap in the positions. */
    if (e->active->sequence_first == 0) e->active->sequence_first = sequence;
    engine_memtable_note(e->active, r->ballot);
    if (ballot_compare(r->ballot, e->ballot_max) > 0) e->ballot_max = r->ballot;
    e->stats.puts++;
    *ret_sequence = sequence;
    return status_of(ST_OK);
}

uint64_t engine_acknowledged(const struct engine *e) {
    return wal_acknowledged(e->wal);
}

uint64_t engine_durable(const struct engine *e) {
    return wal_durable(e->wal);
}

uint64_t engine_written(const struct engine *e) {
    return wal_appended(e->wal);
}

void engine_sync(struct engine *e) {
    wal_commit(e->wal, true);
}

/* How far `value` is on the way from `from` to `to`, in thousandths. */
static uint32_t permille(uint64_t value, uint64_t from, uint64_t to) {
    if (value >= to) return 1000;
    if (value <= from) return 0;
    return (uint32_t)((value - from) * 1000 / (to - from));
}

uint32_t engine_pressure_permille(const struct engine *e) {
    const struct engine_options *o = &e->options;
    uint32_t pressure =
        permille(e->version->levels[0].count, o->level0_tables_slow, o->level0_tables_stop);
    if (e->waiting_count + 1 >= o->memtables_max) {
        /* Only the rest of the active one is left. */
        const uint32_t fill = permille(memtable_bytes(e->active->memtable), 0, o->memtable_bytes);
        if (fill > pressure) pressure = fill;
    }
    return pressure;
}

/* ---- floors ---- */

void engine_truncate(struct engine *e, uint16_t keyspace, struct ballot floor,
                     void (*done)(void *user, struct status s), void *user) {
    ASSERT(!ballot_is_zero(floor));
    struct engine_edit *edit = mem_alloc_zeroed(sizeof *edit);
    edit->done = done;
    edit->user = user;
    floors_raise(&edit->change.floors, keyspace, floor);
    floors_raise(&e->floors, keyspace, floor);
    engine_edit_queue(e, edit);
}

void engine_drop_keyspace(struct engine *e, uint16_t keyspace) {
    ASSERT(!e->recovering);
    ASSERT(keyspace < RESERVED_KEYSPACES);
    if (ballot_compare(floors_get(&e->floors, keyspace), FLOOR_OF_ALL) == 0) return;
    engine_truncate(e, keyspace, FLOOR_OF_ALL, NULL, NULL);
}

void engine_set_gc_floor(struct engine *e, struct ballot floor) {
    if (ballot_compare(floor, e->gc_floor) > 0) e->gc_floor = floor;
}

void engine_limit_expiry(struct engine *e, uint64_t wall_ms) {
    e->expiry_limit_ms = wall_ms;
}

struct ballot engine_gc_floor(const struct engine *e) {
    return e->gc_floor;
}

void engine_clear_gc_floor(struct engine *e) {
    ASSERT(!e->recovering);
    e->gc_floor = (struct ballot){ 0 };
    engine_revoke_compaction(e);
}

struct ballot engine_ballot_max(const struct engine *e) {
    return e->ballot_max;
}

/* ---- care ---- */

struct output_options engine_output_options(struct engine *e, enum compression compression) {
    struct output_options o = {
        .os = e->options.os,
        .cache = e->options.cache,
        .rate_limit = e->options.rate_limit,
        .dir = e->dir,
        .table = e->options.table,
        .number_next = &e->number_next,
    };
    o.table.compression = compression;
    return o;
}

void engine_flush(struct engine *e) {
    e->flush_wanted = true;
}

void engine_compact_all(struct engine *e) {
    e->flush_wanted = true;
    e->everything = true;
}

bool engine_is_busy(const struct engine *e) {
    if (e->flush_state != WORK_IDLE || e->waiting_count > 0 || e->flush_wanted) return true;
    if (e->compaction_state != WORK_IDLE || e->look || e->everything) return true;
    if (e->judging || e->drop_state == DROP_WANTED) return true;
    return e->manifest_running || !list_is_empty(&e->edits);
}

struct engine_stats engine_stats(const struct engine *e) {
    struct engine_stats s = e->stats;
    s.wal = wal_stats(e->wal);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->version->levels[l];
        s.level_tables[l] = level->count;
        s.level_bytes[l] = level->bytes;
        for (uint32_t i = 0; i < level->count; i++) {
            const struct table_properties *p = table_properties(level->tables[i].table);
            s.records += p->records;
            s.tombstones += p->tombstones;
        }
    }
    s.records += memtable_count(e->active->memtable);
    s.memtable_bytes = memtable_bytes(e->active->memtable);
    for (uint32_t i = 0; i < e->waiting_count; i++) {
        s.records += memtable_count(e->waiting[i]->memtable);
        s.memtable_bytes += memtable_bytes(e->waiting[i]->memtable);
    }
    s.memtables = 1 + e->waiting_count;
    s.sweep_bytes_left = engine_sweep_bytes_left(e);
    s.disk_full = e->background_full || e->wal_full;
    return s;
}

bool engine_check(const struct engine *e) {
    if (e->active == NULL || e->wal == NULL || e->version == NULL) return false;
    if (e->waiting_count > ENGINE_MEMTABLES_MAX) return false;
    if (e->first_segment == 0 || e->first_segment > e->active->first_segment) return false;
    uint64_t segment = e->active->first_segment;
    for (uint32_t i = 0; i < e->waiting_count; i++) {
        if (e->waiting[i]->first_segment > segment) return false;
        segment = e->waiting[i]->first_segment;
    }
    if (!list_is_empty(&e->edits) && e->edits_writing > 0 && !e->manifest_running) return false;
    const bool dropping = e->drop_state == DROP_JUDGING || e->drop_state == DROP_WRITING;
    if (dropping && e->compaction_state != WORK_IDLE) return false;
    if (e->drop_state == DROP_JUDGING && !e->judging) return false;
    if (e->compaction_revoked && e->compaction_state != WORK_RUNNING) return false;
    if (e->active->sweep > e->sweep || !slot_set_check(&e->dropped_slots)) return false;
    return floors_check(&e->floors) && floors_check(&e->floors_durable);
}
