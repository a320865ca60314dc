#include "storage/output.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

void output_init(struct output *o, const struct output_options *options) {
    ASSERT(options->os != NULL);
    ASSERT(options->number_next != NULL);
    *o = (struct output){ .options = *options };
}

void output_deinit(struct output *o) {
    ASSERT(o->writer == NULL);
    for (uint32_t i = 0; i < o->count; i++) table_release(o->tables[i].table);
    mem_free(o->tables);
    *o = (struct output){ 0 };
}

static void output_pace(void *user, size_t bytes) {
    struct output *o = user;
    if (o->options.rate_limit != NULL) rate_limit_pace(o->options.rate_limit, bytes);
}

STATUS output_add(struct output *o, const struct record *r) {
    if (o->writer == NULL) {
        char path[OS_PATH_BYTES_MAX];
        o->number = atomic_fetch_add(o->options.number_next, 1);
        manifest_table_path(o->options.dir, o->number, path);
        TRY(table_writer_create(o->options.os, path, &o->options.table, output_pace, o,
                                &o->writer));
        ASSERT(o->writer != NULL);
    }
    return table_writer_add(o->writer, r);
}

uint64_t output_bytes(const struct output *o) {
    return o->writer == NULL ? 0 : table_writer_bytes(o->writer);
}

static void output_remove(const struct output *o, uint64_t number) {
    char path[OS_PATH_BYTES_MAX];
    manifest_table_path(o->options.dir, number, path);
    /* Left behind, it would only cost space until the next start: it is not named. */
    (void)os_path_remove(o->options.os, path).code;
}

STATUS output_cut(struct output *o) {
    char path[OS_PATH_BYTES_MAX];
    struct table *table = NULL;
    if (o->writer == NULL) return status_of(ST_OK);
    struct status s = table_writer_finish(o->writer);
    table_writer_destroy(o->writer);
    o->writer = NULL;
    TRY(s);

    manifest_table_path(o->options.dir, o->number, path);
    s = table_open(o->options.os, path, o->options.cache, &table);
    if (!status_ok(s)) {
        output_remove(o, o->number);
        return s;
    }
    if (o->count == o->capacity) {
        o->capacity = o->capacity == 0 ? 4 : o->capacity * 2;
        o->tables = mem_realloc(o->tables, o->capacity * sizeof *o->tables);
    }
    o->tables[o->count] = version_table_of(table, o->number);
    o->bytes += o->tables[o->count].bytes;
    o->count++;
    return status_of(ST_OK);
}

STATUS output_finish(struct output *o) {
    TRY(output_cut(o));
    if (o->count == 0) return status_of(ST_OK);
    if (!status_ok(os_dir_sync(o->options.os, o->options.dir))) {
        char message[OS_PATH_BYTES_MAX + 64];
        snprintf(message, sizeof message, "%s: sync of the folder failed", o->options.dir);
        os_die(message);
    }
    return status_of(ST_OK);
}

void output_discard(struct output *o) {
    if (o->writer != NULL) table_writer_destroy(o->writer);
    o->writer = NULL;
    for (uint32_t i = 0; i < o->count; i++) {
        table_doom(o->tables[i].table);
        table_release(o->tables[i].table);
    }
    o->count = 0;
    o->bytes = 0;
}

struct manifest_table output_describe(const struct version_table *t, uint32_t level) {
    const struct table_properties *p = table_properties(t->table);
    ASSERT(level < ENGINE_LEVELS);
    ASSERT(p->file_bytes == t->bytes);
    return (struct manifest_table){
        .number = t->number,
        .file_bytes = p->file_bytes,
        .records = p->records,
        .tombstones = p->tombstones,
        .raw_bytes = p->raw_bytes,
        .expiring = p->expiring,
        .expires_min_ms = p->expires_min_ms,
        .ballot_max = p->ballot_max,
        .ikey_min = p->ikey_min,
        .ikey_max = p->ikey_max,
        .level = level,
    };
}
