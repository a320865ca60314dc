/* How a crash at each step ends
 *
 * Making a segment, in a job:
 *   a new spare is prewritten     a file `spare-N`, perhaps too short: open removes it
 *   header written, synced        still a spare: open keeps it, its content is never read
 *   renamed to wal-N              it is found under the old or the new name; as wal-N its
 *                                 header is durable, and it holds no records
 *   folder synced                 only now may a record go there (`ready`)
 * Appending:
 *   batch written, not synced     any of its sectors may be missing. Batch records found
 *                                 in it say only that what lies before it was durable, so
 *                                 replay cuts at its first bad record
 *   batch spans two segments      with ALWAYS the first is synced before the second is
 *                                 written; else as above, across files
 *   synced, not acknowledged      replayed: a write may have happened though nobody heard
 *   closing batch record written  it says what was true before it was written
 * Releasing, in a job, after the manifest names a later first segment:
 *   wal-N renamed to a spare      found under either name: below the row it is a spare
 *   removed                       found or not: likewise
 *   reused before the folder was  a header of a later number under a name below the row:
 *   synced                        open does not look into it
 * Opening:
 *   tail written anew, synced     the same bytes in the same place
 *   rest of the segment zeroed    the cut is before it: nothing there is looked for
 *   segments behind it dropped    their batch records still do not fit the cut; the
 *                                 folder is synced before the first append could make
 *                                 them fit
 * No name `wal-N` is ever removed or renamed before a segment with a higher number is
 * durable, so a row that has lost its end is noticed. */
#include "storage/wal_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"

/* The next segment is made when this part of the active one is used. */
#define PREPARE_AT_PART 4u

static bool work_is_done(const struct wal *w) {
    if (w->commit_full) return true;
    return w->written == w->appended && !w->commit.retry;
}

bool wal_is_idle(const struct wal *w) {
    return !w->commit.under_way && !w->preparation.under_way && work_is_done(w);
}

uint64_t wal_durable(const struct wal *w) {
    return w->durable;
}

uint64_t wal_appended(const struct wal *w) {
    return w->appended;
}

uint64_t wal_acknowledged(const struct wal *w) {
    if (MUTANT("ack_before_sync")) return w->appended;
    return w->sync == WAL_SYNC_ALWAYS ? w->durable : w->written;
}

uint64_t wal_sequence(const struct wal *w) {
    return w->appended;
}

/* What to tell a caller who must wait for a job or for space. */
static STATUS stalled(bool full) {
    return status_of(full ? ST_FULL : ST_BUSY);
}

/* Go on in the next segment that has room for `need` bytes; smaller ones before it
 * stay empty.
 * Errors  ST_FULL, ST_BUSY */
static STATUS next_segment(struct wal *w, uint64_t need) {
    ASSERT(need <= w->segment_bytes || w->segment_bytes < WAL_SEGMENT_BYTES);
    bool found = false;
    for (struct list *node = w->ready.next; node != &w->ready && !found; node = node->next) {
        found = WAL_HEADER_BYTES + need <= wal_segment_of(node)->bytes;
    }
    if (!found) {
        const uint64_t bytes = WAL_HEADER_BYTES + need;
        w->ready_wanted = WAL_READY_SEGMENTS_MAX;
        if (bytes > w->segment_bytes) w->oversize_wanted = bytes;
        w->active_short = true;
        wal_prepare(w);
        return stalled(w->prepare_full);
    }
    wal_piece_end(w);
    do {
        struct wal_segment *left = w->active;
        struct wal_segment *next = wal_segment_of(list_take_first(&w->ready));
        w->ready_count--;
        wal_segment_activate(w, next, WAL_HEADER_BYTES);
        wal_segment_settle(w, left);
    } while (WAL_HEADER_BYTES + need > w->active->bytes);
    return status_of(ST_OK);
}

/* Find a place for a record of `len` bytes, in the buffer and on the disk.
 * Errors  ST_FULL, ST_BUSY; nothing has changed then but the active segment */
static STATUS make_room(struct wal *w, size_t len, struct wal_piece **ret_piece) {
    struct wal_batch *batch = &w->batches[w->gathering];
    struct wal_piece *piece = wal_piece_open(w);
    const size_t need = len + WAL_BATCH_BYTES;

    /* Room for one padding now and one at commit. */
    const size_t fill = buffer_len(&batch->buffer) + need + 2 * WAL_PAGE_BYTES;
    if (fill > WAL_BUFFER_BYTES_MAX) return stalled(w->commit_full);
    if (piece != NULL && !w->active_closed && w->active_offset + len <= w->active->bytes) {
        *ret_piece = piece;
        return status_of(ST_OK);
    }
    if (batch->piece_count == WAL_PIECES_MAX) return stalled(w->commit_full);
    const bool fits = piece == NULL && w->active_offset + need <= w->active->bytes;
    if (w->active_closed || !fits) TRY(next_segment(w, need));
    *ret_piece = wal_piece_begin(w);
    return status_of(ST_OK);
}

STATUS wal_append(struct wal *w, const struct record *r, uint64_t *ret_sequence) {
    ASSERT(wal_check(w));
    ASSERT(record_check(r));

    const size_t len = wal_record_len(r);
    struct wal_piece *piece;
    TRY(make_room(w, len, &piece));

    struct buffer *buffer = &w->batches[w->gathering].buffer;
    uint8_t *p = buffer_reserve(buffer, len);
    ASSERT(p != NULL);
    wal_record_encode(w->active->identity, r, p, len);
    buffer_commit(buffer, len);
    piece->len += len;
    w->active_offset += len;
    w->appended = w->active->base + w->active_offset;
    w->stats.appended_bytes += len;
    w->stats.appended_records++;

    *ret_sequence = w->appended;
    ASSERT(wal_check(w));
    return status_of(ST_OK);
}

STATUS wal_rotate(struct wal *w, uint64_t *ret_segment) {
    ASSERT(wal_check(w));
    const bool empty = w->active_offset == WAL_HEADER_BYTES;
    if (!empty) w->active_closed = true;
    *ret_segment = w->active->identity.number + (w->active_closed ? 1 : 0);
    return status_of(ST_OK);
}

void wal_release(struct wal *w, uint64_t segment) {
    ASSERT(wal_check(w));
    if (segment > w->release_below) w->release_below = segment;
}

/* Hand segments no longer needed to the job. The active one stays, whatever it
 * holds, and so does one with a write or sync to come, with all behind it: the row
 * has no holes. */
static void take_released(struct wal *w, struct list *recycle) {
    while (!list_is_empty(&w->row)) {
        struct wal_segment *s = wal_segment_of(w->row.next);
        if (s == w->active || s->identity.number >= w->release_below) return;
        if (s->pending > 0 || s->end > w->durable) return;
        list_remove(&s->link);
        list_append(recycle, &s->link);
        w->segment_count--;
        w->segment_total_bytes -= s->bytes;
    }
}

/* Bytes of the segment that should be made now; 0 = none. */
static uint64_t wanted_bytes(const struct wal *w) {
    if (w->oversize_wanted > 0) return w->oversize_wanted;
    const bool soon = w->active_offset >= w->active->bytes / PREPARE_AT_PART;
    if (!soon && !w->active_closed && !w->active_short) return 0;
    return w->ready_count < w->ready_wanted ? w->segment_bytes : 0;
}

void wal_prepare(struct wal *w) {
    ASSERT(wal_check(w));
    struct wal_preparation *p = &w->preparation;
    if (p->under_way) return;

    uint64_t bytes = wanted_bytes(w);
    if (bytes > 0 && w->prepare_full && os_mono_ns(w->os) < w->prepare_retry_ns) bytes = 0;
    take_released(w, &p->recycle);
    if (bytes == 0 && list_is_empty(&p->recycle)) return;

    const struct wal_segment *last =
        list_is_empty(&w->ready) ? w->active : wal_segment_of(w->ready.prev);
    p->header = (struct wal_header){
        .identity.number = last->identity.number + 1,
        .base = last->base + last->bytes,
        .bytes = bytes,
    };
    p->made = NULL;
    p->under_way = true;
    os_pool_submit(w->pool, OS_JOB_SYNC, &p->job);
}

struct wal_stats wal_stats(const struct wal *w) {
    struct wal_stats stats = w->stats;
    stats.segments = w->segment_count;
    stats.bytes_on_disk = w->segment_total_bytes + (uint64_t)w->spare_count * w->segment_bytes;
    return stats;
}

bool wal_check(const struct wal *w) {
    if (w->durable > w->written || w->written > w->appended) return false;
    if (w->active == NULL || w->row.prev != &w->active->link) return false;
    if (w->active_offset < WAL_HEADER_BYTES || w->active_offset > w->active->bytes) return false;
    if (w->appended > w->active->base + w->active_offset) return false;
    if (w->gathering > 1) return false;
    if (w->batches[w->gathering].piece_count > WAL_PIECES_MAX) return false;
    if (w->ready_wanted < 1 || w->ready_wanted > WAL_READY_SEGMENTS_MAX) return false;
    return (w->ready_count == 0) == list_is_empty(&w->ready);
}

static void destroy_all(struct list *segments) {
    for (struct list *node; (node = list_take_first(segments)) != NULL;) {
        struct wal_segment *s = wal_segment_of(node);
        s->pending = 0;
        wal_segment_destroy(s);
    }
}

void wal_close(struct wal *w) {
    if (w == NULL) return;
    ASSERT(!w->commit.under_way);
    ASSERT(!w->preparation.under_way);
    destroy_all(&w->row);
    destroy_all(&w->ready);
    destroy_all(&w->preparation.recycle);
    wal_commit_deinit(w);
    mem_free(w);
}
