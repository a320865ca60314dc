#include "storage/wal_segment.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

#define ZEROS_BYTES (64u * 1024)
#define NAME_DIGITS 16u
#define DIE_BYTES_MAX (OS_PATH_BYTES_MAX + 256u)

static const uint8_t zeros[ZEROS_BYTES];

static struct wal_path path_of(const char *dir, const char *prefix, uint64_t number) {
    struct wal_path path;
    const int len = snprintf(path.text, sizeof path.text, "%s/%s%016llx", dir, prefix,
                             (unsigned long long)number);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof path.text);
    return path;
}

struct wal_path wal_segment_path(const char *dir, uint64_t number) {
    return path_of(dir, "wal-", number);
}

struct wal_path wal_spare_path(const char *dir, uint64_t id) {
    return path_of(dir, "spare-", id);
}

bool wal_name_parse(const char *name, const char *prefix, uint64_t *ret_number) {
    const size_t prefix_len = strlen(prefix);
    if (strncmp(name, prefix, prefix_len) != 0) return false;
    const char *digits = name + prefix_len;
    if (strlen(digits) != NAME_DIGITS) return false;
    uint64_t number = 0;
    for (size_t i = 0; i < NAME_DIGITS; i++) {
        const char c = digits[i];
        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_number = number;
    return true;
}

_Noreturn void wal_die(const char *action, const char *path) {
    char message[DIE_BYTES_MAX];
    snprintf(message, sizeof message,
             "wal: %s %s failed: the data written since the last successful sync is in doubt; "
             "check the disk, then restart the node",
             action, path);
    os_die(message);
}

/* Zero a new file up to its full size. */
static STATUS prewrite(struct os_file *file, uint64_t bytes) {
    for (uint64_t offset = 0; offset < bytes; offset += ZEROS_BYTES) {
        const uint64_t left = bytes - offset;
        const size_t len = left < ZEROS_BYTES ? (size_t)left : ZEROS_BYTES;
        TRY(os_file_write(file, offset, bytes_of(zeros, len)));
    }
    return status_of(ST_OK);
}

/* Make a new file of `bytes` zeros under a spare's name, not yet synced. On error
 * no file is left. */
static STATUS spare_create(struct os *os, const char *path, uint64_t bytes,
                           struct os_file *ret_file) {
    struct os_file file;
    TRY(os_file_open(os, path, OS_FILE_CREATE_EMPTY, &file));
    const struct status s = prewrite(&file, bytes);
    if (status_ok(s)) {
        *ret_file = file;
        return s;
    }
    os_file_close(&file);
    TRY(os_path_remove(os, path));
    return s;
}

/* Open a spare of the right size, or make a new file. */
static STATUS spare_take(struct os *os, const char *dir, struct wal_spares *spares, uint64_t bytes,
                         uint64_t *ret_id, struct os_file *ret_file) {
    while (bytes == spares->segment_bytes && spares->count > 0) {
        const uint64_t id = spares->ids[--spares->count];
        const struct wal_path path = wal_spare_path(dir, id);
        const struct status s = os_file_open(os, path.text, OS_FILE_WRITE, ret_file);
        if (s.code == ST_NOT_FOUND) continue; /* someone tidied up: it held nothing */
        if (status_ok(s)) *ret_id = id;
        return s;
    }
    const struct wal_path path = wal_spare_path(dir, spares->id_next);
    TRY(spare_create(os, path.text, bytes, ret_file));
    *ret_id = spares->id_next++;
    return status_of(ST_OK);
}

/* Write the header, sync, and give the file its name. */
static STATUS segment_name(struct wal_segment *s, const char *dir, const char *spare_path) {
    const struct wal_header header = { s->identity, s->base, s->bytes };
    uint8_t bytes[WAL_HEADER_BYTES];
    wal_header_encode(&header, bytes);
    TRY(os_file_write(&s->file, 0, bytes_of(bytes, sizeof bytes)));
    TRY(os_file_sync(&s->file));
    const struct wal_path path = wal_segment_path(dir, s->identity.number);
    return os_path_rename(s->file.os, spare_path, path.text);
}

STATUS wal_segment_make(struct os *os, const char *dir, struct wal_spares *spares,
                        const struct wal_header *header, struct wal_segment **ret_segment) {
    ASSERT(header->identity.number > 0);
    ASSERT(header->bytes >= spares->segment_bytes);
    struct os_file file;
    uint64_t id;
    TRY(spare_take(os, dir, spares, header->bytes, &id, &file));

    struct wal_segment *s = mem_alloc_zeroed(sizeof *s);
    s->file = file;
    s->identity.number = header->identity.number;
    s->base = header->base;
    s->bytes = header->bytes;
    list_init(&s->link);
    os_entropy(os, &s->identity.salt, sizeof s->identity.salt);

    const struct wal_path path = wal_spare_path(dir, id);
    const struct status named = segment_name(s, dir, path.text);
    if (status_ok(named)) {
        *ret_segment = s;
        return named;
    }
    wal_segment_destroy(s);
    if (named.code != ST_FULL) return named;
    if (header->bytes == spares->segment_bytes && spares->count < WAL_SPARE_SEGMENTS_MAX) {
        spares->ids[spares->count++] = id;
    } else {
        TRY(os_path_remove(os, path.text));
    }
    return named;
}

STATUS wal_segment_recycle(struct os *os, const char *dir, struct wal_spares *spares,
                           uint64_t number, uint64_t bytes) {
    const struct wal_path from = wal_segment_path(dir, number);
    if (bytes == spares->segment_bytes && spares->count < WAL_SPARE_SEGMENTS_MAX) {
        const struct wal_path to = wal_spare_path(dir, spares->id_next);
        if (status_ok(os_path_rename(os, from.text, to.text))) {
            spares->ids[spares->count++] = spares->id_next++;
            return status_of(ST_OK);
        }
    }
    return os_path_remove(os, from.text);
}

void wal_segment_destroy(struct wal_segment *s) {
    ASSERT(s->pending == 0);
    os_file_close(&s->file);
    list_remove(&s->link);
    mem_free(s);
}

STATUS wal_segment_write(struct wal_segment *s, const char *dir, uint64_t offset, struct bytes in) {
    ASSERT(offset >= WAL_HEADER_BYTES);
    ASSERT(offset + in.len <= s->bytes);
    const struct status written = os_file_write(&s->file, offset, in);
    if (status_ok(written) || written.code == ST_FULL) return written;
    const struct wal_path path = wal_segment_path(dir, s->identity.number);
    wal_die("writing", path.text);
}

void wal_segment_sync(struct wal_segment *s, const char *dir) {
    if (status_ok(os_file_sync(&s->file))) return;
    const struct wal_path path = wal_segment_path(dir, s->identity.number);
    wal_die("syncing", path.text);
}
