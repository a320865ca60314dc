#include "storage/rescue.h"

#include "base/assert.h"
#include "base/mem.h"

void rescue_init(struct rescue *r, struct version *version, const struct output_options *options,
                 const atomic_bool *stop) {
    *r = (struct rescue){ .version = version, .stop = stop, .key_last = mem_alloc(IKEY_BYTES_MAX) };
    output_init(&r->output, options);
}

void rescue_deinit(struct rescue *r) {
    output_deinit(&r->output);
    mem_free(r->levels);
    mem_free(r->key_last);
    *r = (struct rescue){ 0 };
}

/* Blocks may be whole and yet not what belongs there: order, and the range of the table, which no
 * other one of its level has, are kept in any case. */
static bool belongs(const struct rescue *r, const struct version_table *t, struct bytes ikey) {
    const struct bytes last = bytes_of(r->key_last, r->key_last_len);
    return version_table_covers(t, ikey) && bytes_compare(last, ikey) < 0;
}

static STATUS keep(struct rescue *r, const struct record *record) {
    ASSERT(record->ikey.len <= IKEY_BYTES_MAX);
    TRY(output_add(&r->output, record));
    memcpy(r->key_last, record->ikey.ptr, record->ikey.len);
    r->key_last_len = record->ikey.len;
    r->kept++;
    return status_of(ST_OK);
}

/* Errors  ST_BUSY, ST_FULL, ST_IO */
static STATUS read_table(struct rescue *r, const struct version_table *t) {
    struct table_iterator it;
    struct status written = status_of(ST_OK);
    table_iterator_init(&it, t->table, true, true);
    struct status read = table_iterator_seek(&it, BYTES_NONE);
    while (status_ok(written) && (read.code == ST_CORRUPT || it.valid)) {
        if (atomic_load(r->stop)) {
            written = status_of(ST_BUSY);
        } else if (read.code == ST_CORRUPT) {
            read = table_iterator_skip(&it);
        } else {
            if (belongs(r, t, it.record.ikey)) written = keep(r, &it.record);
            read = table_iterator_next(&it);
        }
    }
    table_iterator_deinit(&it);
    return status_ok(written) ? read : written;
}

static STATUS rescue_table(struct rescue *r, const struct version_table *t, uint32_t level) {
    const uint64_t before = r->kept;
    r->key_last_len = 0;
    r->read[r->read_count++] = (struct version_delete){ t->number, level };
    TRY(read_table(r, t));
    TRY(output_cut(&r->output));
    r->lost += table_properties(t->table)->records - (r->kept - before);
    if (r->kept == before) return status_of(ST_OK);
    r->levels = mem_realloc(r->levels, r->output.count * sizeof *r->levels);
    r->levels[r->output.count - 1] = level;
    r->output.tables[r->output.count - 1].sweep = t->sweep;
    return status_of(ST_OK);
}

static STATUS rescue_all(struct rescue *r) {
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &r->version->levels[l];
        for (uint32_t i = 0; i < level->count && r->read_count < RESCUE_TABLES_MAX; i++) {
            if (!table_is_damaged(level->tables[i].table)) continue;
            TRY(rescue_table(r, &level->tables[i], l));
        }
    }
    return output_finish(&r->output);
}

void rescue_run(struct rescue *r) {
    r->status = rescue_all(r);
    if (!status_ok(r->status)) output_discard(&r->output);
}
