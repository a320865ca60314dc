#include "storage/engine_image.h"

#include "base/assert.h"
#include "storage/engine_internal.h"

/* Memtables are flushed in the order they were filled in, so counting them is enough. */
uint64_t engine_image_want(struct engine *e) {
    ASSERT(!e->recovering);
    const uint64_t before = e->stats.flushes + e->waiting_count;
    if (memtable_count(e->active->memtable) == 0) return before;
    engine_flush(e);
    return before + 1;
}

STATUS engine_image_due(const struct engine *e, uint64_t mark) {
    ASSERT(!e->recovering);
    if (e->stats.flushes >= mark) return status_of(ST_OK);
    return status_of(e->background_full || e->wal_full ? ST_FULL : ST_WAIT);
}

void engine_image_init(struct engine_image *image, struct engine *e) {
    ASSERT(!e->recovering);
    *image = (struct engine_image){ .e = e, .version = e->version };
    version_retain(image->version);
    floors_copy(&e->floors, &image->floors);
    merge_init(&image->merge, true, true);
    merge_add_version(&image->merge, image->version);
    ASSERT(merge_check(&image->merge));
}

void engine_image_deinit(struct engine_image *image) {
    if (image->version == NULL) return;
    if (image->corrupt) engine_note_corrupt(image->e);
    merge_deinit(&image->merge);
    floors_deinit(&image->floors);
    version_release(image->version);
    image->version = NULL;
}

static STATUS skip_truncated(struct engine_image *image) {
    struct merge *m = &image->merge;
    while (m->record != NULL && floors_cover(&image->floors, m->record)) TRY(merge_next(m));
    return status_of(ST_OK);
}

static STATUS note(struct engine_image *image, struct status s) {
    image->corrupt |= s.code == ST_CORRUPT;
    return s;
}

STATUS engine_image_seek(struct engine_image *image, struct bytes ikey) {
    ASSERT(image->version != NULL);
    struct status s = merge_seek(&image->merge, ikey);
    if (status_ok(s)) s = skip_truncated(image);
    return note(image, s);
}

STATUS engine_image_next(struct engine_image *image) {
    ASSERT(image->version != NULL);
    ASSERT(image->merge.record != NULL);
    struct status s = merge_next(&image->merge);
    if (status_ok(s)) s = skip_truncated(image);
    return note(image, s);
}

const struct record *engine_image_record(const struct engine_image *image) {
    ASSERT(image->version != NULL);
    return image->merge.record;
}
