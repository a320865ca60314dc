#include "storage/flush.h"

#include "base/assert.h"

void flush_init(struct flush *f, struct memtable *memtable, const struct floors *floors,
                const struct output_options *options) {
    ASSERT(memtable != NULL);
    *f = (struct flush){ .memtable = memtable };
    floors_copy(floors, &f->floors);
    output_init(&f->output, options);
}

void flush_deinit(struct flush *f) {
    output_deinit(&f->output);
    floors_deinit(&f->floors);
    f->memtable = NULL;
}

static STATUS flush_write(struct flush *f, struct memtable_iterator *it) {
    for (memtable_iterator_seek(it, f->memtable, BYTES_NONE); it->valid;
         memtable_iterator_next(it)) {
        if (floors_cover(&f->floors, &it->record)) continue;
        TRY(output_add(&f->output, &it->record));
    }
    return output_finish(&f->output);
}

void flush_run(struct flush *f) {
    struct memtable_iterator it = { 0 };
    ASSERT(f->output.count == 0);
    memtable_freeze(f->memtable);
    f->status = flush_write(f, &it);
    memtable_iterator_deinit(&it);
    if (!status_ok(f->status)) output_discard(&f->output);
    ASSERT(f->output.count <= 1);
}
