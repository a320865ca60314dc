#include "storage/wal_reader.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the window ---- */

/* Point `ret` at everything in memory from `offset` on: at least `need` bytes, or
 * all there are up to the end of the file.
 * Errors  ST_IO */
static STATUS window_view(struct wal_window *w, uint64_t offset, size_t need, struct bytes *ret) {
    ASSERT(offset <= w->file_bytes);
    const uint64_t left = w->file_bytes - offset;
    if (need > left) need = (size_t)left;
    const bool inside = offset >= w->offset && offset <= w->offset + w->len;
    size_t kept = inside ? (size_t)(w->offset + w->len - offset) : 0;
    if (inside && kept >= need) {
        *ret = bytes_of(w->space + (offset - w->offset), kept);
        return status_of(ST_OK);
    }

    if (kept > 0) memmove(w->space, w->space + (offset - w->offset), kept);
    w->offset = offset;
    w->len = kept;
    size_t wanted = left < WAL_WINDOW_BYTES ? (size_t)left : WAL_WINDOW_BYTES;
    if (wanted < need) wanted = need;
    if (wanted > w->capacity) {
        w->space = mem_realloc(w->space, wanted);
        w->capacity = wanted;
    }
    size_t len = 0;
    TRY(os_file_read(&w->file, offset + kept, w->space + kept, w->capacity - kept, &len));
    w->len = kept + len;
    if (w->len < need) return status_of(ST_IO); /* the file shrank meanwhile */
    os_file_readahead(&w->file, w->offset + w->len, w->capacity);
    *ret = bytes_of(w->space, w->len);
    return status_of(ST_OK);
}

/* ---- findings ---- */

__attribute__((format(printf, 3, 4))) static STATUS corrupt(struct wal_reader *r, const char *path,
                                                            const char *format, ...) {
    const int len = snprintf(r->finding, sizeof r->finding, "%s: ", path);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof r->finding);
    va_list args;
    va_start(args, format);
    vsnprintf(r->finding + len, sizeof r->finding - (size_t)len, format, args);
    va_end(args);
    return status_of(ST_CORRUPT);
}

/* ---- one segment ---- */

static STATUS read_header(struct wal_reader *r, const char *path, uint64_t number,
                          struct wal_header *ret_header) {
    struct bytes in;
    TRY(window_view(&r->window, 0, WAL_HEADER_BYTES, &in));
    struct wal_header h;
    if (!status_ok(wal_header_decode(in, &h)))
        return corrupt(r, path, "offset 0: bad segment header");
    if (h.identity.number != number) {
        return corrupt(r, path, "offset 8: header of segment %llx",
                       (unsigned long long)h.identity.number);
    }
    if (h.bytes != r->window.file_bytes) {
        return corrupt(r, path, "offset %llu: the file has not the %llu bytes its header tells",
                       (unsigned long long)r->window.file_bytes, (unsigned long long)h.bytes);
    }
    if (r->begun && h.base != r->base_next) {
        return corrupt(r, path, "offset 16: starts at %llu, but the segment before it ends at %llu",
                       (unsigned long long)h.base, (unsigned long long)r->base_next);
    }
    *ret_header = h;
    return status_of(ST_OK);
}

/* Whether a batch record at `offset` continues the log as read so far. */
static bool batch_fits(const struct wal_reader *r, const struct wal_header *h, uint64_t offset,
                       struct wal_batch_mark mark) {
    if (offset > WAL_HEADER_BYTES) return mark.previous == h->base + offset;
    return r->started ? mark.previous == r->end : mark.previous <= r->end;
}

/* Tell the keys of the next records that are in memory already. They are not verified
 * yet, which is fine for a hint. */
static void look_ahead(struct wal_reader *r, const struct wal_header *h, uint64_t offset) {
    const struct wal_window *w = &r->window;
    if (r->ahead == NULL) return;
    if (r->ahead_count > 0) r->ahead_count--;
    if (r->ahead_offset <= offset || r->ahead_count == 0) {
        r->ahead_offset = offset;
        r->ahead_count = 0;
    }
    const uint64_t end = w->offset + w->len;
    while (r->ahead_count < WAL_AHEAD_RECORDS && r->ahead_offset >= w->offset &&
           r->ahead_offset < end) {
        const struct bytes in =
            bytes_of(w->space + (r->ahead_offset - w->offset), (size_t)(end - r->ahead_offset));
        const struct bytes ikey = wal_record_ikey(in, h->identity);
        const size_t claim = wal_record_claim(in, h->identity);
        if (claim == 0 || claim > in.len) break;
        if (ikey.len > 0) r->ahead(r->user, ikey);
        r->ahead_offset += claim;
        r->ahead_count++;
    }
}

/* Take the record at `offset`, if there is one that continues the log; *ret_len = 0 if not.
 * Errors  ST_IO, or what `replay` returned */
static inline STATUS take_record(struct wal_reader *r, const struct wal_header *h, uint64_t offset,
                                 size_t *ret_len) {
    *ret_len = 0;
    struct bytes in;
    TRY(window_view(&r->window, offset, WAL_RECORD_HEADER_BYTES, &in));
    const size_t claim = wal_record_claim(in, h->identity);
    if (claim == 0 || claim > WAL_RECORD_BYTES_MAX || claim > h->bytes - offset)
        return status_of(ST_OK);
    TRY(window_view(&r->window, offset, claim, &in));

    struct wal_record entry;
    size_t len;
    if (!status_ok(wal_record_decode(in, h->identity, &entry, &len))) return status_of(ST_OK);
    if (entry.kind == WAL_KIND_BATCH) {
        if (!batch_fits(r, h, offset, entry.batch)) return status_of(ST_OK);
        r->started = true;
        if (entry.batch.durable > r->durable) r->durable = entry.batch.durable;
    } else {
        if (offset == WAL_HEADER_BYTES) return status_of(ST_OK); /* a batch record comes first */
        const uint64_t end = h->base + offset + len;
        if (r->replay != NULL) TRY(r->replay(r->user, &entry.record, end));
        r->end = end;
        r->last_segment = h->identity.number;
        r->records++;
    }
    *ret_len = len;
    return status_of(ST_OK);
}

/* Look behind the end of the log for proof that it did not end there. */
static STATUS search_proof(struct wal_reader *r, const char *path, const struct wal_header *h,
                           uint64_t offset) {
    while (h->bytes - offset >= WAL_BATCH_BYTES) {
        struct bytes in;
        TRY(window_view(&r->window, offset, WAL_BATCH_BYTES, &in));
        struct wal_batch_mark mark;
        const size_t at = wal_batch_find(in, 0, h->identity, &mark);
        if (at == in.len) {
            offset += in.len - (WAL_BATCH_BYTES - 1);
            continue;
        }
        if (mark.durable > r->end) {
            const struct wal_path stop = wal_segment_path(r->dir, r->stop_segment);
            return corrupt(
                r, stop.text, "offset %llu: damaged; %s offset %llu tells that it was durable",
                (unsigned long long)r->stop_offset, path, (unsigned long long)(offset + at));
        }
        offset += at + 1;
    }
    return status_of(ST_OK);
}

static STATUS read_records(struct wal_reader *r, const char *path, const struct wal_header *h) {
    uint64_t offset = WAL_HEADER_BYTES;
    r->ahead_offset = 0;
    r->ahead_count = 0;
    for (;;) {
        size_t len;
        look_ahead(r, h, offset);
        TRY(take_record(r, h, offset, &len));
        if (len == 0) break;
        offset += len;
    }
    /* Nothing that fits here: this segment was passed over, or the log ended before it.
     * Either way the next one must continue from the same place. */
    if (offset > WAL_HEADER_BYTES || r->stop_segment == 0) {
        r->stop_segment = h->identity.number;
        r->stop_offset = offset;
    }
    return search_proof(r, path, h, offset);
}

STATUS wal_reader_segment(struct wal_reader *r, uint64_t number, struct wal_header *ret_header) {
    const struct wal_path path = wal_segment_path(r->dir, number);
    struct wal_window *w = &r->window;
    TRY(os_file_open(r->os, path.text, OS_FILE_READ, &w->file));
    w->offset = 0;
    w->len = 0;
    struct wal_header header;
    struct status s = os_file_size(&w->file, &w->file_bytes);
    if (status_ok(s)) s = read_header(r, path.text, number, &header);
    if (status_ok(s)) {
        if (!r->begun) r->end = header.base;
        r->begun = true;
        r->base_next = header.base + header.bytes;
        s = read_records(r, path.text, &header);
    }
    os_file_close(&w->file);
    if (status_ok(s)) *ret_header = header;
    return s;
}

void wal_reader_init(struct wal_reader *r, struct os *os, const char *dir, wal_replay replay,
                     void *user) {
    *r = (struct wal_reader){ .os = os, .dir = dir, .replay = replay, .user = user };
}

void wal_reader_deinit(struct wal_reader *r) {
    mem_free(r->window.space);
    r->window.space = NULL;
}

void wal_reader_restart(struct wal_reader *r) {
    r->end = r->durable = r->last_segment = r->stop_segment = 0;
    r->begun = r->started = false;
}

/* ---- the folder ---- */

static void number_add(uint64_t **numbers, uint32_t *count, uint64_t number) {
    /* Room is made at each power of two. */
    if ((*count & (*count - 1)) == 0) {
        const size_t capacity = *count == 0 ? 1 : (size_t)*count * 2;
        *numbers = mem_realloc(*numbers, capacity * sizeof **numbers);
    }
    (*numbers)[(*count)++] = number;
}

static void folder_add(void *user, const char *name) {
    struct wal_folder *f = user;
    uint64_t number;
    if (wal_name_parse(name, "wal-", &number))
        number_add(&f->segments, &f->segment_count, number);
    else if (wal_name_parse(name, "spare-", &number))
        number_add(&f->spares, &f->spare_count, number);
}

STATUS wal_folder_list(struct os *os, const char *dir, struct wal_folder *ret_folder) {
    struct wal_folder f = { 0 };
    const struct status s = os_dir_list(os, dir, folder_add, &f);
    if (status_ok(s))
        *ret_folder = f;
    else
        wal_folder_deinit(&f);
    return s;
}

void wal_folder_deinit(struct wal_folder *f) {
    mem_free(f->segments);
    mem_free(f->spares);
    *f = (struct wal_folder){ 0 };
}

STATUS wal_folder_row(const struct wal_folder *f, uint64_t first, uint32_t *ret_start,
                      uint64_t *ret_missing) {
    ASSERT(first > 0);
    uint32_t start = 0;
    while (start < f->segment_count && f->segments[start] < first) start++;

    uint64_t expected = first;
    for (uint32_t i = start; i < f->segment_count; i++, expected++) {
        if (f->segments[i] == expected) continue;
        *ret_missing = expected;
        return status_of(ST_NOT_FOUND);
    }
    /* The segment before the first one is kept until the first one is durable. */
    const bool may_be_empty = first == 1 || (start > 0 && f->segments[start - 1] == first - 1);
    if (start == f->segment_count && !may_be_empty) {
        *ret_missing = first;
        return status_of(ST_NOT_FOUND);
    }
    *ret_start = start;
    return status_of(ST_OK);
}
