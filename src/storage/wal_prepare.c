#include "storage/wal_internal.h"

#include "base/assert.h"
#include "base/log.h"

static void recycle_all(struct wal_preparation *p) {
    const struct wal *w = p->wal;
    for (struct list *node; (node = list_take_first(&p->recycle)) != NULL;) {
        struct wal_segment *s = wal_segment_of(node);
        const uint64_t number = s->identity.number;
        const struct status done = wal_segment_recycle(w->os, w->dir, &p->spares, number, s->bytes);
        /* Left where it is it does no harm: the next open finds it below the row. */
        if (!status_ok(done)) {
            const struct wal_path path = wal_segment_path(w->dir, number);
            log_warn("wal: %s is not needed but cannot be removed: %s", path.text,
                     status_name(done));
        }
        wal_segment_destroy(s);
    }
}

static STATUS make_segment(struct wal_preparation *p) {
    const struct wal *w = p->wal;
    if (p->header.bytes == 0) return status_of(ST_OK);
    const struct status s = wal_segment_make(w->os, w->dir, &p->spares, &p->header, &p->made);
    if (status_ok(s) || s.code == ST_FULL) return s;
    const struct wal_path path = wal_segment_path(w->dir, p->header.identity.number);
    wal_die("making", path.text);
}

/* Recycling comes first: a segment freed now may be the next one used. */
static void preparation_run(struct os_job *job) {
    struct wal_preparation *p = LIST_ENTRY(job, struct wal_preparation, job);
    const struct wal *w = p->wal;
    recycle_all(p);
    p->status = make_segment(p);
    if (!status_ok(os_dir_sync(w->os, w->dir))) wal_die("syncing", w->dir);
}

static void preparation_done(struct os_job *job) {
    struct wal_preparation *p = LIST_ENTRY(job, struct wal_preparation, job);
    struct wal *w = p->wal;
    ASSERT(p->under_way);
    p->under_way = false;
    w->spare_count = p->spares.count;
    if (p->header.bytes == 0) return;

    if (!status_ok(p->status)) {
        if (!w->prepare_full) log_warn("wal: no space for the next segment in %s", w->dir);
        w->prepare_full = true;
        w->prepare_retry_ns = os_mono_ns(w->os) + WAL_RETRY_NS;
        w->oversize_wanted = 0; /* the record that needs it asks again; others go first */
        return;
    }
    if (w->prepare_full) log_info("wal: space for the next segment in %s again", w->dir);
    w->prepare_full = false;
    list_append(&w->ready, &p->made->link);
    w->ready_count++;
    w->segment_count++;
    w->segment_total_bytes += p->made->bytes;
    if (p->made->bytes >= w->oversize_wanted) w->oversize_wanted = 0;
    ASSERT(wal_check(w));
}

void wal_segment_activate(struct wal *w, struct wal_segment *s, uint64_t offset) {
    ASSERT(list_is_empty(&w->row) ||
           wal_segment_of(w->row.prev)->identity.number < s->identity.number);
    list_append(&w->row, &s->link);
    w->active = s;
    w->active_offset = offset;
    w->active_closed = false;
    w->active_short = false;
}

void wal_preparation_init(struct wal *w) {
    struct wal_preparation *p = &w->preparation;
    p->wal = w;
    p->job = (struct os_job){ .loop = w->loop, .run = preparation_run, .done = preparation_done };
    p->spares.segment_bytes = w->segment_bytes;
    list_init(&p->recycle);
}
