#include "storage/wal_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/wal_reader.h"

#define COPY_BYTES (64u * 1024)

/* What open knows while it works. */
struct recovery {
    struct wal *wal;
    struct wal_folder folder;
    uint32_t row_start; /* index in folder.segments */
    uint64_t first;     /* number of the first segment of the row */
    struct wal_reader reader;
    uint8_t *space; /* 2 x COPY_BYTES */
};

static void wal_init(struct wal *w, const struct wal_options *o) {
    w->os = o->os;
    w->loop = o->loop;
    w->pool = o->pool;
    w->sync = o->sync;
    w->segment_bytes = o->segment_bytes == 0 ? WAL_SEGMENT_BYTES : o->segment_bytes;
    ASSERT(w->segment_bytes >= WAL_SEGMENT_BYTES_MIN);
    ASSERT(strlen(o->dir) < sizeof w->dir);
    memcpy(w->dir, o->dir, strlen(o->dir) + 1);
    list_init(&w->row);
    list_init(&w->ready);
    w->ready_wanted = 1;
    wal_commit_init(w);
    wal_preparation_init(w);
}

static STATUS file_bytes(struct os *os, const char *path, uint64_t *ret_bytes) {
    struct os_file file;
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    const struct status s = os_file_size(&file, ret_bytes);
    os_file_close(&file);
    return s;
}

/* Spares of an earlier process go: one whose sync failed may look whole in the page cache and be
 * short on the disk, and a later sync would not mend it. */
static STATUS remove_spares(struct recovery *v) {
    struct wal *w = v->wal;
    for (uint32_t i = 0; i < v->folder.spare_count; i++) {
        const uint64_t id = v->folder.spares[i];
        const struct wal_path path = wal_spare_path(w->dir, id);
        if (id >= w->preparation.spares.id_next) w->preparation.spares.id_next = id + 1;
        TRY(os_path_remove(w->os, path.text));
    }
    return status_of(ST_OK);
}

static STATUS recycle_one(struct wal *w, uint64_t number) {
    const struct wal_path path = wal_segment_path(w->dir, number);
    uint64_t bytes;
    TRY(file_bytes(w->os, path.text, &bytes));
    return wal_segment_recycle(w->os, w->dir, &w->preparation.spares, number, bytes);
}

/* Read the row and list its segments in the log. */
static STATUS read_row(struct recovery *v) {
    struct wal *w = v->wal;
    for (uint32_t i = v->row_start; i < v->folder.segment_count; i++) {
        struct wal_header header;
        TRY(wal_reader_segment(&v->reader, v->folder.segments[i], &header));
        struct wal_segment *s = mem_alloc_zeroed(sizeof *s);
        s->identity = header.identity;
        s->base = header.base;
        s->bytes = header.bytes;
        list_append(&w->row, &s->link);
    }
    return status_of(ST_OK);
}

/* Write the bytes [from, end) of the file over themselves. */
static STATUS rewrite(struct wal_segment *s, uint64_t from, uint64_t end, uint8_t *space) {
    while (from < end) {
        const size_t len = end - from < COPY_BYTES ? (size_t)(end - from) : COPY_BYTES;
        size_t got = 0;
        TRY(os_file_read(&s->file, from, space, len, &got));
        if (got != len) return status_of(ST_IO);
        TRY(os_file_write(&s->file, from, bytes_of(space, len)));
        from += len;
    }
    return status_of(ST_OK);
}

/* Make durable what was replayed. A sync alone would not do: after a failed one,
 * which ended the process before, the kernel may hold pages as clean that never
 * reached the disk (fsyncgate). So what nothing proves durable is written anew. */
static STATUS make_durable(struct recovery *v) {
    struct wal *w = v->wal;
    const uint64_t end = v->reader.end;
    for (struct list *node = w->row.next; node != &w->row; node = node->next) {
        struct wal_segment *s = wal_segment_of(node);
        if (s->identity.number > v->reader.last_segment) break;
        if (s->base + s->bytes <= v->reader.durable) continue;
        uint64_t from = WAL_HEADER_BYTES;
        if (v->reader.durable > s->base + from) from = v->reader.durable - s->base;
        const uint64_t to = s->base + s->bytes < end ? s->bytes : end - s->base;
        if (from >= to) continue;

        const struct wal_path path = wal_segment_path(w->dir, s->identity.number);
        TRY(os_file_open(w->os, path.text, OS_FILE_WRITE, &s->file));
        struct status done = rewrite(s, from, to, v->space);
        if (status_ok(done)) done = os_file_sync(&s->file);
        os_file_close(&s->file);
        TRY(done);
    }
    return status_of(ST_OK);
}

/* Make the rest of the active segment a closing mark and zeros, so that nothing cut
 * there can ever be taken for a part of what is appended from now on. */
static STATUS clear_rest(struct recovery *v) {
    struct wal *w = v->wal;
    struct wal_segment *s = w->active;
    uint8_t *wanted = v->space;
    uint8_t *found = v->space + COPY_BYTES;
    memset(wanted, 0, COPY_BYTES);
    if (w->active_offset + WAL_BATCH_BYTES <= s->bytes) {
        wal_batch_encode(s->identity, (struct wal_batch_mark){ w->appended, w->durable }, wanted);
    }
    bool changed = false;
    size_t len;
    for (uint64_t offset = w->active_offset; offset < s->bytes; offset += len) {
        /* Later pieces start on multiples of the piece, in step with the disk. */
        len = (size_t)(COPY_BYTES - offset % COPY_BYTES);
        if (len < WAL_BATCH_BYTES && offset == w->active_offset) len += COPY_BYTES / 2;
        if (len > s->bytes - offset) len = (size_t)(s->bytes - offset);
        size_t got = 0;
        TRY(os_file_read(&s->file, offset, found, len, &got));
        if (got != len) return status_of(ST_IO);
        if (memcmp(wanted, found, len) != 0) {
            TRY(os_file_write(&s->file, offset, bytes_of(wanted, len)));
            changed = true;
        }
        memset(wanted, 0, WAL_BATCH_BYTES);
    }
    return changed ? os_file_sync(&s->file) : status_of(ST_OK);
}

/* Drop the segments behind the last record: they hold nothing, or what was cut. The
 * first of the row stays, to go on in. */
static STATUS drop_behind(struct recovery *v) {
    struct wal *w = v->wal;
    const uint64_t last = v->reader.last_segment == 0 ? v->first : v->reader.last_segment;
    while (!list_is_empty(&w->row)) {
        struct wal_segment *s = wal_segment_of(w->row.prev);
        if (s->identity.number <= last) break;
        TRY(wal_segment_recycle(w->os, w->dir, &w->preparation.spares, s->identity.number,
                                s->bytes));
        wal_segment_destroy(s);
    }
    return status_of(ST_OK);
}

/* The sequence from which a row that has no segment yet starts. */
static STATUS base_after_old(struct recovery *v, uint64_t *ret_base) {
    if (v->folder.segment_count == 0) {
        *ret_base = 0;
        return status_of(ST_OK);
    }
    struct wal_reader reader;
    struct wal_header header;
    wal_reader_init(&reader, v->wal->os, v->wal->dir, NULL, NULL);
    const uint64_t number = v->folder.segments[v->folder.segment_count - 1];
    const struct status s = wal_reader_segment(&reader, number, &header);
    if (status_ok(s))
        *ret_base = header.base + header.bytes;
    else if (s.code == ST_CORRUPT)
        log_error("wal: %s", reader.finding);
    wal_reader_deinit(&reader);
    return s;
}

static STATUS start_row(struct recovery *v) {
    struct wal *w = v->wal;
    struct wal_header header = { .identity.number = v->first, .bytes = w->segment_bytes };
    TRY(base_after_old(v, &header.base));
    struct wal_segment *s;
    TRY(wal_segment_make(w->os, w->dir, &w->preparation.spares, &header, &s));
    list_append(&w->row, &s->link);
    w->active = s;
    w->active_offset = WAL_HEADER_BYTES;
    w->appended = w->written = w->durable = header.base;
    return status_of(ST_OK);
}

/* Go on where the records end. */
static STATUS continue_row(struct recovery *v) {
    struct wal *w = v->wal;
    TRY(make_durable(v));
    TRY(drop_behind(v));
    struct wal_segment *s = wal_segment_of(w->row.prev);
    const struct wal_path path = wal_segment_path(w->dir, s->identity.number);
    TRY(os_file_open(w->os, path.text, OS_FILE_WRITE, &s->file));
    w->active = s;
    w->active_offset = v->reader.records == 0 ? WAL_HEADER_BYTES : v->reader.end - s->base;
    w->appended = w->written = w->durable = v->reader.end;
    return clear_rest(v);
}

static STATUS recover(struct recovery *v) {
    struct wal *w = v->wal;
    uint64_t missing;
    TRY(wal_folder_list(w->os, w->dir, &v->folder));
    if (!status_ok(wal_folder_row(&v->folder, v->first, &v->row_start, &missing))) {
        const struct wal_path path = wal_segment_path(w->dir, missing);
        log_error("wal: %s is missing", path.text);
        return status_of(ST_NOT_FOUND);
    }
    const struct status read = read_row(v);
    if (read.code == ST_CORRUPT && v->reader.finding[0] != '\0')
        log_error("wal: %s", v->reader.finding);
    TRY(read);

    TRY(remove_spares(v));
    if (list_is_empty(&w->row))
        TRY(start_row(v));
    else
        TRY(continue_row(v));
    for (uint32_t i = 0; i < v->row_start; i++) TRY(recycle_one(w, v->folder.segments[i]));
    TRY(os_dir_sync(w->os, w->dir));

    w->spare_count = w->preparation.spares.count;
    for (struct list *node = w->row.next; node != &w->row; node = node->next) {
        w->segment_count++;
        w->segment_total_bytes += wal_segment_of(node)->bytes;
    }
    return status_of(ST_OK);
}

STATUS wal_open(const struct wal_options *options, uint64_t first_segment, wal_replay replay,
                void *user, struct wal **ret_wal) {
    struct wal *w = mem_alloc_zeroed(sizeof *w);
    wal_init(w, options);
    struct recovery v = { .wal = w, .first = first_segment == 0 ? 1 : first_segment };
    v.space = mem_alloc(2 * COPY_BYTES);
    wal_reader_init(&v.reader, w->os, w->dir, replay, user);
    v.reader.ahead = options->ahead;

    const struct status s = recover(&v);
    wal_reader_deinit(&v.reader);
    wal_folder_deinit(&v.folder);
    mem_free(v.space);
    if (status_ok(s)) {
        ASSERT(wal_check(w));
        *ret_wal = w;
    } else {
        wal_close(w);
    }
    return s;
}
