/* Background work of the engine: what starts when, and what follows its end.
 *
 *   flush       WORK_IDLE -> RUNNING (job writes a table) -> INSTALLING (edit) -> IDLE
 *   compaction  the same; a move or a drop has no job and starts at INSTALLING
 *   manifest    takes all queued edits at once; they count, in order, when its job is done
 */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>

static const uint32_t work_next[WORK_STATES] = {
    [WORK_IDLE] = 1u << WORK_RUNNING | 1u << WORK_INSTALLING, /* INSTALLING: nothing to write */
    [WORK_RUNNING] = 1u << WORK_INSTALLING | 1u << WORK_IDLE, /* IDLE: the job failed */
    [WORK_INSTALLING] = 1u << WORK_IDLE,
};

static void work_move(enum work_state *state, enum work_state next) {
    ASSERT(work_next[*state] & 1u << next);
    *state = next;
}

static uint64_t now_ms(const struct engine *e) {
    return os_loop_now_ms(e->options.loop);
}

void engine_note_corrupt(struct engine *e) {
    e->stats.corruptions++;
}

void engine_note_failure(struct engine *e, const char *what, struct status s,
                         uint64_t *ret_retry_ms) {
    ASSERT(!status_ok(s));
    *ret_retry_ms = now_ms(e) + ENGINE_RETRY_MS;
    e->stop_failed = e->stopping;
    if (s.code == ST_FULL) {
        if (!e->background_full)
            log_error("%s: %s met no disk space; it is tried again every second", e->dir, what);
        e->background_full = true;
        return;
    }
    if (s.code == ST_CORRUPT) engine_note_corrupt(e);
    log_error("%s: %s failed: %s", e->dir, what, status_name(s));
}

void engine_note_success(struct engine *e) {
    if (e->background_full) log_info("%s: there is disk space again", e->dir);
    e->background_full = false;
}

/* ---- edits ---- */

void engine_edit_queue(struct engine *e, struct engine_edit *edit) {
    ASSERT(edit->add_count == edit->change.add_count);
    list_append(&e->edits, &edit->link);
}

void engine_edit_deinit(struct engine_edit *edit) {
    manifest_edit_deinit(&edit->change);
    mem_free(edit->adds);
    *edit = (struct engine_edit){ 0 };
}

void engine_edit_add(struct engine_edit *edit, const struct version_table *t, uint32_t level) {
    const struct manifest_table described = output_describe(t, level);
    manifest_edit_add(&edit->change, &described);
    edit->adds = mem_realloc(edit->adds, (edit->add_count + 1) * sizeof *edit->adds);
    edit->adds[edit->add_count++] = (struct version_add){ .table = *t, .level = level };
}

void engine_snapshot(const struct engine *e, uint64_t number, struct buffer *out) {
    struct manifest_edit head = { .file_number = number, .first_segment = e->first_segment };
    head.next_number = atomic_load(&e->number_next);
    floors_copy(&e->floors_durable, &head.floors);
    manifest_edit_encode(&head, number, out);
    manifest_edit_deinit(&head);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        for (uint32_t i = 0; i < e->version->levels[l].count; i++) {
            struct manifest_edit one = { 0 };
            const struct manifest_table t = output_describe(&e->version->levels[l].tables[i], l);
            manifest_edit_add(&one, &t);
            manifest_edit_encode(&one, number, out);
            manifest_edit_deinit(&one);
        }
    }
}

static void manifest_run(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, manifest_job);
    const struct bytes edits = buffer_bytes(&e->edits_encoded);
    if (e->manifest_number != 0) {
        e->manifest_status = manifest_rewrite(&e->manifest, e->manifest_number, edits);
    } else {
        e->manifest_status = manifest_append(&e->manifest, edits);
    }
}

/* Make the version that the durable edit describes the current one. */
static void edit_install(struct engine *e, struct engine_edit *edit) {
    const struct manifest_edit *c = &edit->change;
    if (c->delete_count > 0 || edit->add_count > 0) {
        struct version_delete *deletes = mem_alloc((c->delete_count + 1) * sizeof *deletes);
        for (uint32_t i = 0; i < c->delete_count; i++) {
            deletes[i] = (struct version_delete){ c->deletes[i].number, c->deletes[i].level };
        }
        struct version *v =
            version_change(e->version, deletes, c->delete_count, edit->adds, edit->add_count);
        mem_free(deletes);
        version_release(e->version);
        e->version = v;
    }
    for (uint32_t i = 0; i < c->floors.count; i++) {
        floors_raise(&e->floors_durable, c->floors.items[i].keyspace, c->floors.items[i].ballot);
    }
    /* Nobody passes over what is truncated in memory again and again. */
    const bool much = memtable_count(e->active->memtable) > ENGINE_TRUNCATED_MAX;
    if (c->floors.count > 0 && much && !e->stopping) e->flush_wanted = true;
    if (c->first_segment != 0) e->first_segment = c->first_segment;
    e->look = true;
    if (edit->installed != NULL) {
        edit->installed(e, edit);
        return;
    }
    if (edit->done != NULL) edit->done(edit->user, status_of(ST_OK));
    engine_edit_deinit(edit);
    mem_free(edit);
}

static void manifest_done(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, manifest_job);
    const bool rewrite = e->manifest_number != 0;
    ASSERT(e->manifest_running);
    e->manifest_running = false;
    buffer_shrink(&e->edits_encoded, 1u << 20);
    uint32_t count = e->edits_writing;
    e->edits_writing = 0;
    if (!status_ok(e->manifest_status)) {
        /* An append needs less space than a rewrite, so it may still work. */
        e->rewrite_failed = rewrite && e->manifest.file.os != NULL;
        engine_note_failure(e, "the manifest", e->manifest_status, &e->manifest_retry_ms);
        return;
    }
    if (rewrite) e->rewrite_failed = false;
    engine_note_success(e);
    while (count-- > 0) {
        ASSERT(!list_is_empty(&e->edits));
        edit_install(e, LIST_ENTRY(list_take_first(&e->edits), struct engine_edit, link));
    }
    ASSERT(engine_check(e));
}

static void start_manifest(struct engine *e) {
    if (e->manifest_running || list_is_empty(&e->edits)) return;
    if (now_ms(e) < e->manifest_retry_ms) return;
    const bool rewrite = manifest_must_rewrite(&e->manifest) && !e->rewrite_failed;
    const uint64_t number = e->manifest.number + rewrite;
    buffer_reset(&e->edits_encoded);
    if (rewrite) engine_snapshot(e, number, &e->edits_encoded);
    e->edits_writing = 0;
    for (struct list *l = e->edits.next; l != &e->edits; l = l->next) {
        struct engine_edit *edit = LIST_ENTRY(l, struct engine_edit, link);
        edit->change.next_number = atomic_load(&e->number_next);
        manifest_edit_encode(&edit->change, number, &e->edits_encoded);
        e->edits_writing++;
    }
    e->manifest_number = rewrite ? number : 0;
    e->manifest_running = true;
    e->manifest_job =
        (struct os_job){ .loop = e->options.loop, .run = manifest_run, .done = manifest_done };
    os_pool_submit(e->options.pool, OS_JOB_SYNC, &e->manifest_job);
}

/* ---- flush ---- */

STATUS engine_rotate(struct engine *e) {
    uint64_t segment;
    ASSERT(memtable_count(e->active->memtable) > 0);
    if (e->waiting_count + 1 >= e->options.memtables_max) {
        return status_of(e->background_full ? ST_FULL : ST_BUSY);
    }
    const struct status s = wal_rotate(e->wal, &segment);
    e->wal_full = s.code == ST_FULL;
    if (e->wal_full && e->stopping) e->stop_failed = true;
    TRY(s);
    ASSERT(segment > e->active->first_segment);
    engine_memtable_push(e, engine_memtable_create(e, segment));
    return status_of(ST_OK);
}

uint64_t engine_segment_after_oldest(const struct engine *e) {
    ASSERT(e->waiting_count > 0);
    const struct engine_memtable *next =
        e->waiting_count > 1 ? e->waiting[e->waiting_count - 2] : e->active;
    return next->first_segment;
}

/* Not before this may a table be rewritten for its garbage alone. */
static void garbage_wait(const struct engine *e, struct version_table *t, uint64_t wait_ms) {
    if (wait_ms < COMPACTION_GARBAGE_WAIT_MS) wait_ms = COMPACTION_GARBAGE_WAIT_MS;
    if (wait_ms > COMPACTION_GARBAGE_WAIT_MS_MAX) wait_ms = COMPACTION_GARBAGE_WAIT_MS_MAX;
    t->garbage_wait_ms = wait_ms;
    t->garbage_due_ms = os_loop_wall_ms(e->options.loop) + wait_ms;
}

static void flush_installed(struct engine *e, struct engine_edit *edit) {
    ASSERT(edit == &e->flush_edit);
    ASSERT(e->waiting_count > 0);
    struct engine_memtable *m = e->waiting[e->waiting_count - 1];
    ASSERT(m->memtable == e->flush.memtable);
    e->waiting_count--;
    e->stats.flushes++;
    e->stats.flush_bytes += e->flush.output.bytes;
    flush_deinit(&e->flush);
    engine_edit_deinit(edit);
    engine_memtable_release(m);
    wal_release(e->wal, e->first_segment);
    work_move(&e->flush_state, WORK_IDLE);
}

static void flush_job_done(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, flush_job);
    ASSERT(e->flush_state == WORK_RUNNING);
    if (!status_ok(e->flush.status)) {
        engine_note_failure(e, "a flush", e->flush.status, &e->flush_retry_ms);
        flush_deinit(&e->flush);
        work_move(&e->flush_state, WORK_IDLE);
        return;
    }
    engine_note_success(e);
    struct engine_edit *edit = &e->flush_edit;
    *edit = (struct engine_edit){ .installed = flush_installed };
    edit->change.first_segment = engine_segment_after_oldest(e);
    const struct engine_memtable *oldest = e->waiting[e->waiting_count - 1];
    ASSERT(oldest->memtable == e->flush.memtable);
    for (uint32_t i = 0; i < e->flush.output.count; i++) {
        e->flush.output.tables[i].sweep = oldest->sweep;
        garbage_wait(e, &e->flush.output.tables[i], 0);
        engine_edit_add(edit, &e->flush.output.tables[i], 0);
    }
    work_move(&e->flush_state, WORK_INSTALLING);
    engine_edit_queue(e, edit);
    start_manifest(e);
}

static void flush_job_run(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, flush_job);
    flush_run(&e->flush);
}

static void start_flush(struct engine *e) {
    if (e->flush_wanted) {
        const bool empty = memtable_count(e->active->memtable) == 0;
        if (empty || status_ok(engine_rotate(e))) e->flush_wanted = false;
    }
    if (e->flush_state != WORK_IDLE || e->waiting_count == 0) return;
    if (now_ms(e) < e->flush_retry_ms) return;
    const struct output_options o = engine_output_options(e, e->options.table.compression);
    flush_init(&e->flush, e->waiting[e->waiting_count - 1]->memtable, &e->floors_durable, &o);
    work_move(&e->flush_state, WORK_RUNNING);
    e->flush_job =
        (struct os_job){ .loop = e->options.loop, .run = flush_job_run, .done = flush_job_done };
    os_pool_submit(e->options.pool, OS_JOB_BACKGROUND, &e->flush_job);
}

/* ---- compaction ---- */

static const struct version_table *input_table(const struct compaction *c, uint32_t i) {
    const struct compaction_input *in = &c->plan.inputs[i];
    return &c->version->levels[in->level].tables[in->index];
}

static void compaction_end(struct engine *e) {
    if (e->compaction_revoked && e->compaction.plan.everything && !e->stopping)
        e->everything = true; /* what was asked for has not been done */
    version_release(e->compaction.version);
    compaction_deinit(&e->compaction);
    work_move(&e->compaction_state, WORK_IDLE);
    e->compaction_revoked = false;
    atomic_store(&e->stop_jobs, e->stopping);
    e->look = true;
}

static void compaction_installed(struct engine *e, struct engine_edit *edit) {
    struct compaction *c = &e->compaction;
    ASSERT(edit == &e->compaction_edit);
    ASSERT(e->compaction_state == WORK_INSTALLING);
    if (c->plan.kind != COMPACTION_MOVE) {
        for (uint32_t i = 0; i < c->plan.input_count; i++) table_doom(input_table(c, i)->table);
    }
    if (c->plan.kind == COMPACTION_MERGE) {
        e->stats.compactions++;
        e->stats.compaction_bytes_read += c->plan.input_bytes;
        e->stats.compaction_bytes_written += c->output.bytes;
        e->stats.slot_records_dropped += c->slot_records;
        if (c->plan.for_sweep) e->stats.sweep_bytes += c->plan.input_bytes;
    }
    engine_edit_deinit(edit);
    compaction_end(e);
}

static void compaction_edit_queue(struct engine *e) {
    struct compaction *c = &e->compaction;
    struct engine_edit *edit = &e->compaction_edit;
    uint64_t wait_ms = 0;
    *edit = (struct engine_edit){ .installed = compaction_installed };
    for (uint32_t i = 0; i < c->plan.input_count; i++) {
        const struct version_table *t = input_table(c, i);
        manifest_edit_delete(&edit->change, c->plan.inputs[i].level, t->number);
        if (t->garbage_wait_ms > wait_ms) wait_ms = t->garbage_wait_ms;
    }
    if (c->plan.kind == COMPACTION_MOVE)
        engine_edit_add(edit, input_table(c, 0), c->plan.level_output);
    const bool freed_little = c->output.bytes > c->plan.input_bytes / 4 * 3;
    wait_ms = c->plan.for_garbage && freed_little ? wait_ms * 2 : 0;
    for (uint32_t i = 0; i < c->output.count; i++) {
        c->output.tables[i].sweep = c->sweep;
        garbage_wait(e, &c->output.tables[i], wait_ms);
        engine_edit_add(edit, &c->output.tables[i], c->plan.level_output);
    }
    work_move(&e->compaction_state, WORK_INSTALLING);
    engine_edit_queue(e, edit);
    start_manifest(e);
}

/* The table is not compacted any more until it is found to be well (table_judge): trying again
 * would only read the same bad block again. Reads of what is good in it go on. */
static void mark_bad(struct engine *e, uint64_t number) {
    ASSERT(number > 0);
    log_error("%s: table %016" PRIx64 " is left out of compactions", e->dir, number);
    if (e->bad_count < COMPACTION_BAD_MAX) e->bad[e->bad_count++] = number;
}

static void compaction_job_done(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, compaction_job);
    struct compaction *c = &e->compaction;
    ASSERT(e->compaction_state == WORK_RUNNING);
    if (status_ok(c->status) && !c->clean && !e->compaction_revoked) {
        engine_note_success(e);
        compaction_edit_queue(e);
        return;
    }
    if (status_ok(c->status)) {
        if (c->clean)
            engine_sweep_note_clean(e);
        else
            output_discard(&c->output);
        compaction_end(e);
        return;
    }
    if (!c->stopped) {
        engine_note_failure(e, "a compaction", c->status, &e->compaction_retry_ms);
        if (c->status.code == ST_CORRUPT && c->failed != 0) mark_bad(e, c->failed);
    }
    compaction_end(e);
}

static void compaction_job_run(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, compaction_job);
    compaction_run(&e->compaction);
}

/* Lowest ballot that any memtable alive was ever given. */
static struct ballot memory_ballot_min(const struct engine *e) {
    struct ballot least = e->active->ballot_min;
    for (uint32_t i = 0; i < e->waiting_count; i++) {
        if (ballot_compare(e->waiting[i]->ballot_min, least) < 0) least = e->waiting[i]->ballot_min;
    }
    return least;
}

static bool nothing_below(const struct version *v, uint32_t level) {
    for (uint32_t l = level + 1; l < ENGINE_LEVELS; l++) {
        if (v->levels[l].count > 0) return false;
    }
    return true;
}

static uint64_t expiry_ms(const struct engine *e) {
    const uint64_t wall_ms = os_loop_wall_ms(e->options.loop);
    return wall_ms < e->expiry_limit_ms ? wall_ms : e->expiry_limit_ms;
}

static void compaction_start(struct engine *e, struct compaction_plan *take_plan) {
    struct compaction *c = &e->compaction;
    const bool last = nothing_below(e->version, take_plan->level_output);
    const struct output_options o = engine_output_options(e, last ? e->options.bottom_compression
                                                                  : e->options.table.compression);
    version_retain(e->version);
    compaction_init(c, take_plan, e->version, &o);
    floors_copy(&e->floors_durable, &c->floors);
    c->gc_floor = e->gc_floor;
    c->memory_ballot_min = memory_ballot_min(e);
    c->dropped_slots = e->dropped_slots;
    c->sweep = e->sweep;
    c->expiry_ms = expiry_ms(e);
    c->table_bytes = e->options.table_bytes;
    c->stop = &e->stop_jobs;
    if (c->plan.kind != COMPACTION_MERGE) {
        compaction_edit_queue(e);
        return;
    }
    work_move(&e->compaction_state, WORK_RUNNING);
    e->compaction_job = (struct os_job){ .loop = e->options.loop,
                                         .run = compaction_job_run,
                                         .done = compaction_job_done };
    os_pool_submit(e->options.pool, OS_JOB_BACKGROUND, &e->compaction_job);
}

/* Nothing waits for space. */
static bool is_at_rest(const struct engine *e) {
    if (e->flush_state != WORK_IDLE || e->waiting_count > 0) return false;
    return e->compaction_state == WORK_IDLE && list_is_empty(&e->edits);
}

static void start_compaction(struct engine *e) {
    if (e->stopping || e->compaction_state != WORK_IDLE) return;
    /* What it chose might just be given up; but it may make the space that this waits for. */
    const bool drop_waits = e->drop_state == DROP_WANTED && now_ms(e) < e->drop_retry_ms;
    if (e->drop_state != DROP_NONE && !drop_waits) return;
    if (now_ms(e) < e->compaction_retry_ms) return;
    if (!e->look && !e->everything && now_ms(e) < e->look_ms) return;
    /* "Everything" begins when the memtables of the moment are in tables. */
    const bool everything = e->everything && !e->flush_wanted && e->waiting_count == 0;
    const struct compaction_view view = {
        .version = e->version,
        .options = &e->options,
        .floors = &e->floors_durable,
        .bad = e->bad,
        .bad_count = e->bad_count,
        .wall_ms = os_loop_wall_ms(e->options.loop),
        .expiry_ms = expiry_ms(e),
        .gc_floor = e->gc_floor,
        .sweep = engine_sweep_wanted(e),
        .everything = everything,
    };
    struct compaction_plan plan;
    e->look = false;
    e->look_ms = now_ms(e) + ENGINE_LOOK_MS;
    const bool found = compaction_pick(&view, &plan);
    if (everything) e->everything = found && plan.kind == COMPACTION_DROP;
    if (found) {
        compaction_start(e, &plan);
    } else if (e->background_full && is_at_rest(e)) {
        engine_note_success(e); /* what met no space is no longer needed */
    }
}

void engine_turn(struct engine *e) {
    ASSERT(!e->recovering);
    wal_commit(e->wal, false);
    start_flush(e);
    engine_damage_turn(e);
    start_manifest(e);
    start_compaction(e);
    start_manifest(e);
    if (e->stopping && !e->stop_committed && wal_is_idle(e->wal)) {
        wal_commit(e->wal, true);
        e->stop_committed = true;
    }
    if (!e->stopping) wal_prepare(e->wal);
}
