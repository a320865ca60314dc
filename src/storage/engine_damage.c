/* Damaged tables of the engine. Where a read meets a bad block its table is suspect, is left out of
 * compactions, and a job reads all of it again, as a disk may be away for a moment: either it is well,
 * or it is damaged, and logged. On request the damaged ones are read once more; those that still are
 * damaged are taken out of the version and what is whole in them put in by one edit, and their files
 * put aside. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes of a key that a log line shows. */
#define SHOWN_BYTES_MAX 40u

#define JUDGE_PAUSE_MS 10000u  /* between two verdicts about new suspicions */
#define JUDGE_AGAIN_MS 600000u /* before damage is looked at again */
#define RESCUE_PAUSE_MS 9000u  /* others wait less for space, and may make it */

/* ---- looking ---- */

/* A key as a line of the log may show it. */
struct shown {
    char text[SHOWN_BYTES_MAX + sizeof ".."]; /* ends with a NUL */
};

static struct shown show(struct bytes ikey) {
    struct shown shown;
    ASSERT(ikey.len >= 2);
    const struct bytes key = bytes_of(ikey.ptr + 2, ikey.len - 2);
    const size_t len = key.len < SHOWN_BYTES_MAX ? key.len : SHOWN_BYTES_MAX;
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = key.ptr[i];
        shown.text[i] = c >= ' ' && c < 127 ? (char)c : '?';
    }
    snprintf(shown.text + len, sizeof shown.text - len, "%s", len < key.len ? ".." : "");
    return shown;
}

static void tell(const struct version_table *t) {
    const struct table_properties *p = table_properties(t->table);
    if (!table_tell_damage(t->table)) return;
    log_error("%s: damaged: %" PRIu64 " records, from keyspace %u `%s` to keyspace %u `%s`",
              table_path(t->table), p->records, ikey_keyspace(t->ikey_min), show(t->ikey_min).text,
              ikey_keyspace(t->ikey_max), show(t->ikey_max).text);
}

/* Reads in jobs do not come by here, so the tables themselves remember. */
static void look(struct engine *e) {
    e->damage_look_ms = os_loop_now_ms(e->options.loop) + ENGINE_LOOK_MS;
    e->damage_looked = e->stats.corruptions;
    e->suspicion = e->damaged = false;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            const struct table *t = level->tables[i].table;
            e->suspicion |= table_is_suspect(t) && !table_is_damaged(t);
            e->damaged |= table_is_damaged(t);
            tell(&level->tables[i]);
        }
    }
}

bool engine_is_damaged(const struct engine *e) {
    return e->damaged;
}

/* ---- judging ---- */

static void judge_run(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, judge_job);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->judge_version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            struct table *t = level->tables[i].table;
            if (table_is_suspect(t)) table_judge(t, &e->judge_stop);
        }
    }
    if (e->rescuing) rescue_run(&e->rescue);
}

static bool is_suspect(const struct version *v, uint64_t number) {
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        for (uint32_t i = 0; i < v->levels[l].count; i++) {
            const struct version_table *t = &v->levels[l].tables[i];
            if (t->number == number) return table_is_suspect(t->table);
        }
    }
    return false;
}

/* Tables that are well again are compacted again. */
static void trim_bad(struct engine *e) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->bad_count; i++) {
        if (is_suspect(e->version, e->bad[i])) e->bad[kept++] = e->bad[i];
    }
    e->look |= kept < e->bad_count;
    e->bad_count = kept;
}

static void judge_done(struct os_job *job);

static void judge_start(struct engine *e, bool rescues) {
    ASSERT(!e->judging);
    ASSERT(!e->rescuing);
    e->judging = true;
    version_retain(e->version);
    e->judge_version = e->version;
    e->rescuing = rescues;
    if (rescues) {
        const struct output_options o = engine_output_options(e, e->options.table.compression);
        rescue_init(&e->rescue, e->version, &o, &e->judge_stop);
    }
    e->judge_job = (struct os_job){ .loop = e->options.loop, .run = judge_run, .done = judge_done };
    os_pool_submit(e->options.pool, OS_JOB_BACKGROUND, &e->judge_job);
}

/* Soon when a read met something; a verdict is asked for again after a while, as a disk may have been
 * away for longer. */
static bool judge_is_due(const struct engine *e) {
    const uint64_t since_ms = os_loop_now_ms(e->options.loop) - e->judged_ms;
    if (e->judging || e->stopping || e->drop_state != DROP_NONE) return false;
    if (e->suspicion) return e->judged_ms == 0 || since_ms >= JUDGE_PAUSE_MS;
    return e->damaged && since_ms >= JUDGE_AGAIN_MS;
}

/* ---- giving up ---- */

static const uint32_t drop_next[DROP_STATES] = {
    [DROP_NONE] = 1u << DROP_WANTED,
    [DROP_WANTED] = 1u << DROP_JUDGING | 1u << DROP_NONE,
    [DROP_JUDGING] = 1u << DROP_WRITING | 1u << DROP_WANTED,
    [DROP_WRITING] = 1u << DROP_NONE | 1u << DROP_WANTED,
};

static void drop_move(struct engine *e, enum drop_state next) {
    ASSERT(next < DROP_STATES);
    ASSERT((drop_next[e->drop_state] & 1u << next) != 0);
    e->drop_state = next;
}

/* The file of a table that no version lists any more. Only the name changes: readers of earlier
 * versions have it open. A crash before leaves a file that is not in use, which goes. */
static void put_aside(struct engine *e, uint64_t number) {
    char from[OS_PATH_BYTES_MAX];
    char to[OS_PATH_BYTES_MAX];
    manifest_table_path(e->dir, number, from);
    const unsigned place = (unsigned)(e->stats.tables_dropped % ENGINE_DAMAGED_KEPT);
    const int len = snprintf(to, sizeof to, "%s/damaged-%u", e->dir, place);
    ASSERT(len > 0 && len < (int)sizeof to);
    e->stats.tables_dropped++;
    if (status_ok(os_path_rename(e->options.os, from, to)))
        log_error("%s: given up, kept as %s", from, to);
    else
        log_error("%s: given up, but cannot be renamed: the next start removes it", from);
}

static void drop_installed(struct engine *e, struct engine_edit *edit) {
    ASSERT(e->compaction_state == WORK_IDLE);
    for (uint32_t i = 0; i < edit->change.delete_count; i++)
        put_aside(e, edit->change.deletes[i].number);
    if (e->rescue.lost > 0)
        log_error("%s: %" PRIu64 " records of them could not be read, %" PRIu64 " are kept", e->dir,
                  e->rescue.lost, e->rescue.kept);
    engine_rescue_end(e);
    look(e);
    trim_bad(e);
    drop_move(e, e->damaged ? DROP_WANTED : DROP_NONE); /* there were more of them */
    if (!e->damaged && edit->done != NULL) edit->done(edit->user, status_of(ST_OK));
    engine_edit_deinit(edit);
    mem_free(edit);
}

void engine_rescue_end(struct engine *e) {
    if (e->rescuing) rescue_deinit(&e->rescue);
    e->rescuing = false;
}

/* No compaction runs, and none starts before the edit is in place. One that had begun under the gc
 * floor would rely on what is put meanwhile being above it. An edit without tables changes nothing
 * and is written all the same. */
static void drop(struct engine *e) {
    drop_move(e, DROP_WRITING);
    ASSERT(e->compaction_state == WORK_IDLE);
    struct engine_edit *edit = mem_alloc_zeroed(sizeof *edit);
    edit->installed = drop_installed;
    edit->done = e->drop_done;
    edit->user = e->drop_user;
    for (uint32_t i = 0; i < e->rescue.read_count; i++)
        manifest_edit_delete(&edit->change, e->rescue.read[i].level, e->rescue.read[i].number);
    for (uint32_t i = 0; i < e->rescue.output.count; i++) {
        e->rescue.output.tables[i].garbage_wait_ms = COMPACTION_GARBAGE_WAIT_MS;
        engine_edit_add(edit, &e->rescue.output.tables[i], e->rescue.levels[i]);
    }
    e->gc_floor = (struct ballot){ 0 };
    engine_edit_queue(e, edit);
}

static void judge_done(struct os_job *job) {
    struct engine *e = LIST_ENTRY(job, struct engine, judge_job);
    ASSERT(e->judging);
    version_release(e->judge_version);
    e->judge_version = NULL;
    e->judging = false;
    e->judged_ms = os_loop_now_ms(e->options.loop);
    look(e);
    trim_bad(e);
    if (e->drop_state != DROP_JUDGING) return;
    if (!e->stopping && status_ok(e->rescue.status)) {
        engine_note_success(e);
        drop(e);
        return;
    }
    if (!e->stopping) {
        engine_note_failure(e, "giving up damaged tables", e->rescue.status, &e->drop_retry_ms);
        e->drop_retry_ms += RESCUE_PAUSE_MS;
    }
    output_discard(&e->rescue.output);
    engine_rescue_end(e);
    drop_move(e, DROP_WANTED);
}

void engine_damage_turn(struct engine *e) {
    const bool is_due = os_loop_now_ms(e->options.loop) >= e->damage_look_ms;
    if (is_due || e->damage_looked != e->stats.corruptions) look(e);
    if (judge_is_due(e)) judge_start(e, false);
    if (e->drop_state != DROP_WANTED || e->judging || e->stopping) return;
    if (e->compaction_state != WORK_IDLE) return;
    if (os_loop_now_ms(e->options.loop) < e->drop_retry_ms) return;
    drop_move(e, DROP_JUDGING);
    judge_start(e, true);
}

void engine_drop_damaged(struct engine *e, void (*done)(void *user, struct status s), void *user) {
    drop_move(e, DROP_WANTED);
    e->drop_retry_ms = 0;
    e->drop_done = done;
    e->drop_user = user;
}

void engine_damage_cancel(struct engine *e) {
    if (e->drop_state != DROP_WANTED) return;
    drop_move(e, DROP_NONE);
    if (e->drop_done != NULL) e->drop_done(e->drop_user, status_of(ST_BUSY));
}
