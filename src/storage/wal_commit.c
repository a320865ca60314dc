#include "storage/wal_internal.h"

#include "base/assert.h"
#include "base/log.h"

/* ---- gathering ---- */

struct wal_piece *wal_piece_open(struct wal *w) {
    struct wal_batch *batch = &w->batches[w->gathering];
    if (batch->piece_count == 0) return NULL;
    struct wal_piece *piece = &batch->pieces[batch->piece_count - 1];
    if (piece->ended) return NULL;
    ASSERT(piece->segment == w->active);
    return piece;
}

static struct wal_piece *piece_add(struct wal_batch *batch, struct wal_segment *s) {
    ASSERT(batch->piece_count < WAL_PIECES_MAX);
    struct wal_piece *piece = &batch->pieces[batch->piece_count++];
    *piece = (struct wal_piece){ .segment = s, .start = buffer_len(&batch->buffer) };
    s->pending++;
    return piece;
}

struct wal_piece *wal_piece_begin(struct wal *w) {
    ASSERT(wal_piece_open(w) == NULL);
    ASSERT(w->active_offset + WAL_BATCH_BYTES <= w->active->bytes);
    struct wal_batch *batch = &w->batches[w->gathering];
    struct wal_piece *piece = piece_add(batch, w->active);
    piece->offset = w->active_offset;
    piece->len = WAL_BATCH_BYTES;
    piece->previous = w->appended;

    /* Encoded by batch_finish, when it is known what is durable. */
    uint8_t *p = buffer_reserve(&batch->buffer, WAL_BATCH_BYTES);
    ASSERT(p != NULL);
    memset(p, 0, WAL_BATCH_BYTES);
    buffer_commit(&batch->buffer, WAL_BATCH_BYTES);
    w->active_offset += WAL_BATCH_BYTES;
    return piece;
}

void wal_piece_end(struct wal *w) {
    struct wal_piece *piece = wal_piece_open(w);
    if (piece == NULL) return;
    struct buffer *buffer = &w->batches[w->gathering].buffer;
    const uint64_t end = piece->offset + piece->len;
    uint64_t padded = (end + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
    if (padded > piece->segment->bytes) padded = piece->segment->bytes;
    const size_t padding = (size_t)(padded - end);
    uint8_t *p = buffer_reserve(buffer, padding);
    ASSERT(p != NULL);
    memset(p, 0, padding);
    buffer_commit(buffer, padding);
    piece->len += padding;
    piece->ended = true;
}

/* Make what was gathered ready to be written. Each piece tells that the log was
 * durable up to `durable`, or with ALWAYS, where every piece is synced before the
 * next one is written, up to its own start. */
static void batch_finish(struct wal *w, struct wal_batch *batch) {
    ASSERT(batch == &w->batches[w->gathering]);
    wal_piece_end(w);
    for (uint32_t i = 0; i < batch->piece_count; i++) {
        const struct wal_piece *piece = &batch->pieces[i];
        if (piece->written) continue;
        const uint64_t durable = w->sync == WAL_SYNC_ALWAYS ? piece->previous : w->durable;
        uint8_t *p = batch->buffer.ptr + batch->buffer.start + piece->start;
        wal_batch_encode(piece->segment->identity,
                         (struct wal_batch_mark){ piece->previous, durable }, p);
    }
}

static struct bytes piece_bytes(const struct wal_batch *batch, const struct wal_piece *piece) {
    if (piece->len == 0) return BYTES_NONE;
    const struct bytes all = buffer_bytes(&batch->buffer);
    ASSERT(piece->start + piece->len <= all.len);
    return bytes_of(all.ptr + piece->start, piece->len);
}

void wal_segment_settle(struct wal *w, struct wal_segment *s) {
    if (s == w->active || s->pending > 0) return;
    if (s->end > w->durable) return;
    os_file_close(&s->file);
}

/* Forget the pieces: they are written (and synced, if that was asked for). */
static void batch_clear(struct wal *w, struct wal_batch *batch) {
    for (uint32_t i = 0; i < batch->piece_count; i++) {
        struct wal_segment *s = batch->pieces[i].segment;
        ASSERT(s->pending > 0);
        s->pending--;
        wal_segment_settle(w, s);
    }
    batch->piece_count = 0;
    buffer_shrink(&batch->buffer, WAL_BUFFER_KEEP_BYTES);
}

/* Where the records of a piece end, padding not counted. Requires the next piece, if
 * it has one, to be in the same batch. */
static uint64_t piece_end(const struct wal *w, const struct wal_batch *batch, uint32_t index) {
    if (index + 1 == batch->piece_count) return w->appended;
    return batch->pieces[index + 1].previous;
}

/* ---- the job ---- */

static void sync_timed(struct wal_commit *c, struct wal_segment *s) {
    const struct wal *w = c->wal;
    const uint64_t before_ns = os_mono_ns(w->os);
    wal_segment_sync(s, w->dir);
    const uint64_t ns = os_mono_ns(w->os) - before_ns;
    c->syncs++;
    c->sync_ns_total += ns;
    durations_record(&c->sync_times, ns, 1);
    if (ns > c->sync_ns_max) c->sync_ns_max = ns;
}

static void commit_run(struct os_job *job) {
    struct wal_commit *c = LIST_ENTRY(job, struct wal_commit, job);
    const struct wal_batch *batch = c->batch;
    c->status = status_of(ST_OK);
    for (uint32_t i = 0; i < batch->piece_count; i++) {
        const struct wal_piece *piece = &batch->pieces[i];
        const struct bytes bytes = piece_bytes(batch, piece);
        if (bytes.len > 0)
            c->status = wal_segment_write(piece->segment, c->wal->dir, piece->offset, bytes);
        if (!status_ok(c->status)) return;
        /* Pieces of one segment follow each other: one sync for all of them. */
        const bool more =
            i + 1 < batch->piece_count && batch->pieces[i + 1].segment == piece->segment;
        if (!more) sync_timed(c, piece->segment);
    }
}

/* Tell, for the next open, that all there is was synced. The next write, which
 * starts in the same place with the same bytes, would do so too; this is for a log
 * that falls idle. Not synced itself. */
static void write_closing_mark(struct wal *w) {
    if (w->appended != w->durable) return;
    if (w->appended != w->active->base + w->active_offset) return;
    if (w->active_offset + WAL_BATCH_BYTES > w->active->bytes) return;
    uint8_t mark[WAL_BATCH_BYTES];
    wal_batch_encode(w->active->identity, (struct wal_batch_mark){ w->appended, w->durable }, mark);
    const struct bytes bytes = bytes_of(mark, sizeof mark);
    const struct status s = wal_segment_write(w->active, w->dir, w->active_offset, bytes);
    if (!status_ok(s)) log_debug("wal: no space for a closing mark in %s", w->dir);
}

static void commit_done(struct os_job *job) {
    struct wal_commit *c = LIST_ENTRY(job, struct wal_commit, job);
    struct wal *w = c->wal;
    ASSERT(c->under_way);
    c->under_way = false;
    w->stats.syncs += c->syncs;
    w->stats.sync_ns_total += c->sync_ns_total;
    durations_add(&w->stats.sync_times, &c->sync_times);
    if (c->sync_ns_max > w->stats.sync_ns_max) w->stats.sync_ns_max = c->sync_ns_max;

    w->commit_full = !status_ok(c->status);
    c->retry = w->commit_full;
    if (w->commit_full) {
        ASSERT(c->batch != &w->sync_only);
        w->commit_retry_ns = os_mono_ns(w->os) + WAL_RETRY_NS;
        return;
    }
    ASSERT(c->end >= w->durable);
    w->durable = c->end;
    if (w->durable > w->written) w->written = w->durable;
    batch_clear(w, c->batch);
    write_closing_mark(w);
    ASSERT(wal_check(w));
}

static void commit_submit(struct wal *w, struct wal_batch *batch, uint64_t end) {
    struct wal_commit *c = &w->commit;
    ASSERT(!c->under_way);
    ASSERT(batch->piece_count > 0);
    c->batch = batch;
    c->end = end;
    c->syncs = c->sync_ns_total = c->sync_ns_max = 0;
    c->sync_times = (struct durations){ .sum_ns = 0 };
    c->retry = false;
    c->under_way = true;
    os_pool_submit(w->pool, OS_JOB_SYNC, &c->job);
}

/* ---- committing ---- */

/* ALWAYS: everything is done by the job. */
static void commit_by_job(struct wal *w) {
    if (w->commit.under_way) return;
    if (w->commit.retry) {
        if (os_mono_ns(w->os) >= w->commit_retry_ns)
            commit_submit(w, w->commit.batch, w->commit.end);
        return;
    }
    struct wal_batch *batch = &w->batches[w->gathering];
    if (batch->piece_count == 0) return;
    batch_finish(w, batch);
    for (uint32_t i = 0; i < batch->piece_count; i++) {
        batch->pieces[i].segment->end = piece_end(w, batch, i);
    }
    w->gathering ^= 1;
    ASSERT(w->batches[w->gathering].piece_count == 0);
    commit_submit(w, batch, w->appended);
}

/* INTERVAL and NEVER: hand what is gathered to the kernel. */
static void write_gathered(struct wal *w) {
    struct wal_batch *batch = &w->batches[w->gathering];
    if (batch->piece_count == 0) return;
    if (w->commit_full && os_mono_ns(w->os) < w->commit_retry_ns) return;
    batch_finish(w, batch);
    for (uint32_t i = 0; i < batch->piece_count; i++) {
        struct wal_piece *piece = &batch->pieces[i];
        if (piece->written) continue;
        const struct bytes bytes = piece_bytes(batch, piece);
        const struct status s = wal_segment_write(piece->segment, w->dir, piece->offset, bytes);
        w->commit_full = !status_ok(s);
        if (w->commit_full) {
            w->commit_retry_ns = os_mono_ns(w->os) + WAL_RETRY_NS;
            return;
        }
        piece->written = true;
        piece->segment->end = w->written = piece_end(w, batch, i);
    }
    ASSERT(w->written == w->appended);
    batch_clear(w, batch);
}

/* Sync what was written: all of it, or the segments that are finished. */
static void sync_written(struct wal *w, bool all) {
    struct wal_batch *batch = &w->sync_only;
    ASSERT(batch->piece_count == 0);
    struct list *node = w->row.prev; /* the newest one that is durable, or the head */
    while (node != &w->row && wal_segment_of(node)->base + WAL_HEADER_BYTES > w->durable)
        node = node->prev;
    if (node == &w->row) node = node->next;

    uint64_t end = w->durable;
    for (; node != &w->row && batch->piece_count < WAL_PIECES_MAX; node = node->next) {
        struct wal_segment *s = wal_segment_of(node);
        if (s->end <= w->durable) continue;
        if (s == w->active && !all) break;
        piece_add(batch, s);
        end = s->end;
    }
    if (batch->piece_count > 0) commit_submit(w, batch, end);
}

void wal_commit(struct wal *w, bool force_sync) {
    ASSERT(wal_check(w));
    if (w->sync == WAL_SYNC_ALWAYS) {
        commit_by_job(w);
    } else {
        write_gathered(w);
        if (!w->commit.under_way) sync_written(w, force_sync);
    }
    ASSERT(wal_check(w));
}

void wal_commit_init(struct wal *w) {
    for (uint32_t i = 0; i < 2; i++) buffer_init(&w->batches[i].buffer, WAL_BUFFER_BYTES_MAX);
    buffer_init(&w->sync_only.buffer, 1);
    w->commit.wal = w;
    w->commit.job = (struct os_job){ .loop = w->loop, .run = commit_run, .done = commit_done };
}

void wal_commit_deinit(struct wal *w) {
    for (uint32_t i = 0; i < 2; i++) buffer_deinit(&w->batches[i].buffer);
    buffer_deinit(&w->sync_only.buffer);
}
