/* Damaged tables of the engine: where one is found it is logged and left out of compactions; on
 * request all of them are taken out of the version by one edit, and their files put aside. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes of a key that a log line shows. */
#define SHOWN_BYTES_MAX 40u

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
    const uint64_t now_ms = os_loop_now_ms(e->options.loop);
    if (now_ms < e->damage_look_ms && e->damage_looked == e->stats.corruptions) return;
    e->damage_look_ms = now_ms + ENGINE_LOOK_MS;
    e->damage_looked = e->stats.corruptions;
    e->damaged = false;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            if (!table_is_damaged(level->tables[i].table)) continue;
            e->damaged = true;
            tell(&level->tables[i]);
        }
    }
}

bool engine_is_damaged(const struct engine *e) {
    return e->damaged;
}

/* ---- giving up ---- */

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

static void forget_bad(struct engine *e, uint64_t number) {
    for (uint32_t i = 0; i < e->bad_count; i++) {
        if (e->bad[i] != number) continue;
        e->bad[i] = e->bad[--e->bad_count];
        return;
    }
}

static void drop_installed(struct engine *e, struct engine_edit *edit) {
    ASSERT(e->dropping);
    ASSERT(e->compaction_state == WORK_IDLE);
    e->dropping = false;
    for (uint32_t i = 0; i < edit->change.delete_count; i++) {
        put_aside(e, edit->change.deletes[i].number);
        forget_bad(e, edit->change.deletes[i].number);
    }
    e->damage_look_ms = 0;
    if (edit->done != NULL) edit->done(edit->user, status_of(ST_OK));
    engine_edit_deinit(edit);
    mem_free(edit);
}

static void collect(const struct engine *e, struct engine_edit *edit) {
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            if (!table_is_damaged(level->tables[i].table)) continue;
            manifest_edit_delete(&edit->change, l, level->tables[i].number);
        }
    }
}

/* No compaction runs, and none starts before the edit is in place. One that had begun under the gc
 * floor would rely on what is put meanwhile being above it. */
static void drop(struct engine *e) {
    ASSERT(!e->dropping);
    ASSERT(e->compaction_state == WORK_IDLE);
    struct engine_edit *edit = mem_alloc_zeroed(sizeof *edit);
    edit->installed = drop_installed;
    edit->done = e->drop_done;
    edit->user = e->drop_user;
    collect(e, edit);
    e->drop_wanted = false;
    e->dropping = true;
    e->gc_floor = (struct ballot){ 0 };
    engine_edit_queue(e, edit);
}

void engine_damage_turn(struct engine *e) {
    look(e);
    if (e->drop_wanted && !e->stopping && e->compaction_state == WORK_IDLE) drop(e);
}

void engine_drop_damaged(struct engine *e, void (*done)(void *user, struct status s), void *user) {
    ASSERT(!e->drop_wanted);
    ASSERT(!e->dropping);
    e->drop_wanted = true;
    e->drop_done = done;
    e->drop_user = user;
}

void engine_damage_cancel(struct engine *e) {
    if (!e->drop_wanted) return;
    e->drop_wanted = false;
    if (e->drop_done != NULL) e->drop_done(e->drop_user, status_of(ST_BUSY));
}
