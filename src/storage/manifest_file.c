/* The files of manifest.h: names, `current`, append and rewrite. */
#include "storage/manifest.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* `current` is one line, "manifest-<16 hex digits> <crc32c of that in 8 hex digits>\n". */
#define CURRENT_NAME_BYTES 25u
#define CURRENT_BYTES (CURRENT_NAME_BYTES + 1u + 8u + 1u)

static void path_of(const char *dir, const char *name, char path[OS_PATH_BYTES_MAX]) {
    const int len = snprintf(path, OS_PATH_BYTES_MAX, "%s/%s", dir, name);
    ASSERT(len > 0);
    ASSERT(len < (int)OS_PATH_BYTES_MAX);
}

static void path_numbered(const char *dir, const char *prefix, uint64_t number,
                          char path[OS_PATH_BYTES_MAX]) {
    const int len = snprintf(path, OS_PATH_BYTES_MAX, "%s/%s%016" PRIx64, dir, prefix, number);
    ASSERT(len > 0);
    ASSERT(len < (int)OS_PATH_BYTES_MAX);
}

void manifest_path(const char *dir, uint64_t number, char path[OS_PATH_BYTES_MAX]) {
    path_numbered(dir, "manifest-", number, path);
}

void manifest_table_path(const char *dir, uint64_t number, char path[OS_PATH_BYTES_MAX]) {
    path_numbered(dir, "table-", number, path);
}

bool manifest_name_number(const char *name, const char *prefix, uint64_t *ret_number) {
    const size_t prefix_len = strlen(prefix);
    if (strncmp(name, prefix, prefix_len) != 0) return false;
    const char *digits = name + prefix_len;
    if (strlen(digits) != 16) return false;
    uint64_t number = 0;
    for (uint32_t i = 0; i < 16; i++) {
        const char c = digits[i];
        if (c >= '0' && c <= '9') {
            number = number * 16 + (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            number = number * 16 + 10 + (uint64_t)(c - 'a');
        } else {
            return false;
        }
    }
    *ret_number = number;
    return true;
}

static void current_print(uint64_t number, char text[CURRENT_BYTES + 1]) {
    snprintf(text, CURRENT_BYTES + 1, "manifest-%016" PRIx64, number);
    const uint32_t sum = crc32c(0, bytes_of(text, CURRENT_NAME_BYTES));
    snprintf(text + CURRENT_NAME_BYTES, CURRENT_BYTES + 1 - CURRENT_NAME_BYTES, " %08" PRIx32 "\n",
             sum);
    ASSERT(strlen(text) == CURRENT_BYTES);
}

static STATUS current_read(struct os *os, const char *dir, uint64_t *ret_number) {
    char path[OS_PATH_BYTES_MAX];
    char text[CURRENT_BYTES + 1];
    char name[CURRENT_NAME_BYTES + 1] = { 0 };
    char expected[CURRENT_BYTES + 1];
    struct os_file file;
    size_t len;
    uint64_t number;
    path_of(dir, "current", path);
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    const struct status s = os_file_read(&file, 0, text, sizeof text, &len);
    os_file_close(&file);
    TRY(s);

    if (len == CURRENT_BYTES) {
        memcpy(name, text, CURRENT_NAME_BYTES);
        if (manifest_name_number(name, "manifest-", &number) && number != 0) {
            current_print(number, expected);
            if (memcmp(text, expected, CURRENT_BYTES) == 0) {
                *ret_number = number;
                return status_of(ST_OK);
            }
        }
    }
    log_error("%s: offset 0: bad checksum or format", path);
    return status_of(ST_CORRUPT);
}

/* All of a file; `*ret_bytes` is from mem_alloc. */
static STATUS file_read_all(struct os *os, const char *path, uint8_t **ret_bytes, size_t *ret_len) {
    struct os_file file;
    uint64_t size;
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    struct status s = os_file_size(&file, &size);
    if (status_ok(s)) {
        uint8_t *bytes = mem_alloc(size + 1);
        size_t len = 0;
        s = os_file_read(&file, 0, bytes, size, &len);
        if (status_ok(s)) {
            *ret_bytes = bytes;
            *ret_len = len;
        } else {
            mem_free(bytes);
        }
    }
    os_file_close(&file);
    return s;
}

STATUS manifest_open(struct os *os, const char *dir, struct manifest_state *state,
                     struct manifest *ret_m) {
    char path[OS_PATH_BYTES_MAX];
    uint64_t number;
    uint8_t *bytes;
    size_t len;
    struct manifest_fault fault;
    TRY(current_read(os, dir, &number));
    manifest_path(dir, number, path);
    struct status s = file_read_all(os, path, &bytes, &len);
    if (s.code == ST_NOT_FOUND) {
        log_error("%s: missing, but `current` names it", path);
        return status_of(ST_CORRUPT);
    }
    TRY(s);

    s = manifest_load(bytes_of(bytes, len), number, state, &fault);
    mem_free(bytes);
    if (!status_ok(s)) {
        log_error("%s: offset %" PRIu64 ": %s", path, fault.offset, fault.what);
        return s;
    }
    if (fault.offset < len) {
        log_warn("%s: offset %" PRIu64 ": an edit cut off by a crash is dropped (%zu bytes)", path,
                 fault.offset, len - (size_t)fault.offset);
    }
    *ret_m = (struct manifest){ .os = os,
                                .number = number,
                                .bytes = fault.offset,
                                .bytes_sealed = fault.sealed,
                                .bytes_snapshot = len };
    snprintf(ret_m->dir, sizeof ret_m->dir, "%s", dir);
    return status_of(ST_OK);
}

/* Write [from, to) of the file over itself, and sync. */
static STATUS write_over(struct os *os, const char *path, uint64_t from, uint64_t to) {
    uint8_t *bytes;
    size_t len;
    struct os_file file;
    TRY(file_read_all(os, path, &bytes, &len));
    struct status s = os_file_open(os, path, OS_FILE_WRITE, &file);
    if (status_ok(s)) {
        s = len < to ? status_of(ST_IO)
                     : os_file_write(&file, from, bytes_of(bytes + from, to - from));
        if (status_ok(s)) s = os_file_sync(&file);
        os_file_close(&file);
    }
    mem_free(bytes);
    return s;
}

STATUS manifest_settle(const struct manifest *m) {
    char path[OS_PATH_BYTES_MAX];
    ASSERT(m->bytes_sealed <= m->bytes);
    manifest_path(m->dir, m->number, path);
    if (m->bytes_sealed < m->bytes) TRY(write_over(m->os, path, m->bytes_sealed, m->bytes));
    return os_dir_sync(m->os, m->dir);
}

void manifest_close(struct manifest *m) {
    os_file_close(&m->file);
    m->file = (struct os_file){ 0 };
}

bool manifest_must_rewrite(const struct manifest *m) {
    if (m->file.os == NULL) return true;
    return m->bytes > MANIFEST_REWRITE_BYTES && m->bytes > 2 * m->bytes_snapshot;
}

_Noreturn static void manifest_die(const char *path, const char *what) {
    char message[OS_PATH_BYTES_MAX + 128];
    snprintf(message, sizeof message,
             "%s: %s failed; what the disk holds is unknown, so this process ends", path, what);
    os_die(message);
}

/* Only "no space" comes back. */
static STATUS write_or_die(struct os_file *file, const char *path, uint64_t offset,
                           struct bytes bytes) {
    const struct status s = os_file_write(file, offset, bytes);
    if (!status_ok(s) && s.code != ST_FULL) manifest_die(path, "write");
    return s;
}

static STATUS sync_or_die(struct os_file *file, const char *path) {
    if (!status_ok(os_file_sync(file))) manifest_die(path, "sync");
    return status_of(ST_OK);
}

static void dir_sync_or_die(const struct manifest *m) {
    if (!status_ok(os_dir_sync(m->os, m->dir))) manifest_die(m->dir, "sync of the folder");
}

/* Edits, sync, seal, sync; see manifest.h for why twice. */
static STATUS write_sealed(struct os_file *file, const char *path, uint64_t number, uint64_t offset,
                           struct bytes edits, uint64_t *ret_end) {
    struct buffer seal;
    const uint64_t seal_offset = offset + edits.len;
    const struct manifest_edit edit = { .seal_offset = seal_offset };
    ASSERT(edits.len > 0);
    TRY(write_or_die(file, path, offset, edits));
    TRY(sync_or_die(file, path));

    buffer_init(&seal, 4096);
    manifest_edit_encode(&edit, number, &seal);
    ASSERT(buffer_len(&seal) == MANIFEST_SEAL_BYTES);
    struct status s = write_or_die(file, path, seal_offset, buffer_bytes(&seal));
    buffer_deinit(&seal);
    TRY(s);
    TRY(sync_or_die(file, path));
    *ret_end = seal_offset + MANIFEST_SEAL_BYTES;
    return status_of(ST_OK);
}

STATUS manifest_append(struct manifest *m, struct bytes edits) {
    char path[OS_PATH_BYTES_MAX];
    ASSERT(m->file.os != NULL);
    ASSERT(m->number > 0);
    manifest_path(m->dir, m->number, path);
    return write_sealed(&m->file, path, m->number, m->bytes, edits, &m->bytes);
}

static STATUS current_write(const struct manifest *m, uint64_t number) {
    char path[OS_PATH_BYTES_MAX];
    char path_tmp[OS_PATH_BYTES_MAX];
    char text[CURRENT_BYTES + 1];
    struct os_file file;
    path_of(m->dir, "current", path);
    path_of(m->dir, "current.tmp", path_tmp);
    current_print(number, text);
    struct status s = os_file_open(m->os, path_tmp, OS_FILE_CREATE_EMPTY, &file);
    if (!status_ok(s) && s.code != ST_FULL) manifest_die(path_tmp, "creation");
    TRY(s);
    s = write_or_die(&file, path_tmp, 0, bytes_of(text, CURRENT_BYTES));
    if (status_ok(s)) s = sync_or_die(&file, path_tmp);
    os_file_close(&file);
    TRY(s);

    s = os_path_rename(m->os, path_tmp, path);
    if (!status_ok(s) && s.code != ST_FULL) manifest_die(path, "rename");
    TRY(s);
    dir_sync_or_die(m);
    return status_of(ST_OK);
}

/* The new file, whole and durable, but not in use yet. */
static STATUS rewrite_file(struct manifest *m, uint64_t number, const char *path,
                           struct bytes edits, struct os_file *ret_file, uint64_t *ret_end) {
    struct os_file file;
    struct status s = os_file_open(m->os, path, OS_FILE_CREATE_EMPTY, &file);
    if (!status_ok(s) && s.code != ST_FULL) manifest_die(path, "creation");
    TRY(s);
    s = write_sealed(&file, path, number, 0, edits, ret_end);
    if (!status_ok(s)) {
        os_file_close(&file);
        return s;
    }
    dir_sync_or_die(m);
    *ret_file = file;
    return status_of(ST_OK);
}

STATUS manifest_rewrite(struct manifest *m, uint64_t number, struct bytes edits) {
    char path[OS_PATH_BYTES_MAX];
    char path_old[OS_PATH_BYTES_MAX];
    struct os_file file = { 0 };
    uint64_t end = 0;
    ASSERT(number > m->number);
    manifest_path(m->dir, number, path);
    manifest_path(m->dir, m->number, path_old);
    struct status s = rewrite_file(m, number, path, edits, &file, &end);
    if (status_ok(s)) s = current_write(m, number);
    if (!status_ok(s)) {
        os_file_close(&file);
        /* Left behind, it would only cost space: it is not named. */
        (void)os_path_remove(m->os, path).code;
        return s;
    }

    os_file_close(&m->file);
    if (m->number > 0) (void)os_path_remove(m->os, path_old).code;
    m->file = file;
    m->number = number;
    m->bytes = end;
    m->bytes_snapshot = end;
    return status_of(ST_OK);
}
