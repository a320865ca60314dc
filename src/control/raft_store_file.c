#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/raft_store_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME_PREFIX "raft-"
#define NAME_DIGITS 16u
#define DIE_BYTES_MAX (OS_PATH_BYTES_MAX + 256u)

struct raft_store_path raft_store_path(const char *dir, uint64_t number) {
    struct raft_store_path path;
    const int len =
        snprintf(path.text, sizeof path.text, "%s/" NAME_PREFIX "%016" PRIx64, dir, number);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof path.text);
    return path;
}

/* What a file is called until it is whole. */
static struct raft_store_path path_tmp(const char *dir, uint64_t number) {
    struct raft_store_path path;
    const int len =
        snprintf(path.text, sizeof path.text, "%s/" NAME_PREFIX "%016" PRIx64 ".tmp", dir, number);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof path.text);
    return path;
}

bool raft_store_name_parse(const char *name, uint64_t *ret_number) {
    if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0) return false;
    const char *digits = name + strlen(NAME_PREFIX);
    if (strlen(digits) != NAME_DIGITS) return false;
    uint64_t number = 0;
    for (uint32_t i = 0; i < NAME_DIGITS; i++) {
        const char c = digits[i];
        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    if (number == 0) return false;
    *ret_number = number;
    return true;
}

/* ---- making ---- */

static STATUS write_and_sync(struct os *os, const char *path, struct bytes content,
                             struct os_file *ret_file) {
    struct os_file file;
    TRY(os_file_open(os, path, OS_FILE_CREATE_EMPTY, &file));
    struct status s = os_file_write(&file, 0, content);
    if (status_ok(s)) s = os_file_sync(&file);
    if (status_ok(s))
        *ret_file = file;
    else
        os_file_close(&file);
    return s;
}

STATUS raft_store_file_make(struct os *os, const char *dir, uint64_t number,
                            const struct raft_store_restored *content,
                            struct raft_store_file *ret_file) {
    ASSERT(number > 0);
    struct raft_store_file f = { .os = os, .dir = dir, .identity = { .number = number } };
    os_entropy(os, &f.identity.salt, sizeof f.identity.salt);
    f.head_bytes = f.bytes = raft_store_content_bytes(content);

    const struct raft_store_path path = raft_store_path(dir, number);
    const struct raft_store_path tmp = path_tmp(dir, number);
    struct buffer bytes;
    buffer_init(&bytes, (size_t)f.bytes);
    raft_store_content_encode(content, f.identity, &bytes);
    struct status s = write_and_sync(os, tmp.text, buffer_bytes(&bytes), &f.file);
    buffer_deinit(&bytes);
    if (status_ok(s)) s = os_path_rename(os, tmp.text, path.text);
    if (s.code == ST_FULL) { /* a half takes up space that others wait for */
        const struct status removed = os_path_remove(os, tmp.text);
        if (!status_ok(removed)) s = removed;
    }
    if (status_ok(s)) s = os_dir_sync(os, dir);
    if (status_ok(s))
        *ret_file = f;
    else
        os_file_close(&f.file);
    return s;
}

/* ---- reading ---- */

/* All of a file; *ret_bytes is from mem_alloc. */
static STATUS read_all(struct os *os, const char *path, uint8_t **ret_bytes, size_t *ret_len) {
    struct os_file file;
    uint64_t size = 0;
    size_t len = 0;
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    struct status s = os_file_size(&file, &size);
    uint8_t *bytes = status_ok(s) ? mem_alloc((size_t)size + 1) : NULL;
    if (status_ok(s)) s = os_file_read(&file, 0, bytes, (size_t)size, &len);
    os_file_close(&file);
    if (status_ok(s)) {
        *ret_bytes = bytes;
        *ret_len = len;
    } else {
        mem_free(bytes);
    }
    return s;
}

STATUS raft_store_file_read(struct os *os, const char *dir, uint64_t number,
                            struct raft_store_restored *ret_restored) {
    const struct raft_store_path path = raft_store_path(dir, number);
    uint8_t *bytes = NULL;
    size_t len = 0;
    TRY(read_all(os, path.text, &bytes, &len));
    struct raft_store_header header;
    struct raft_store_fault fault;
    struct raft_store_restored content;
    const struct status s =
        raft_store_load(bytes_of(bytes, len), number, &header, &content, &fault);
    if (!status_ok(s)) {
        log_error("%s: offset %" PRIu64 ": %s", path.text, fault.offset, fault.what);
        mem_free(bytes);
        return s;
    }
    ASSERT(fault.offset <= len);
    if (fault.offset < len) {
        log_warn("%s: offset %" PRIu64 ": what a crash cut off is dropped (%zu bytes)", path.text,
                 fault.offset, len - (size_t)fault.offset);
    }
    content.bytes = bytes;
    *ret_restored = content;
    return s;
}

/* ---- what may fail only for want of space ---- */

_Noreturn static void die(const char *action, const char *path, struct status s) {
    char message[DIE_BYTES_MAX];
    snprintf(message, sizeof message,
             "raft store: %s %s failed (%s): what the disk holds is unknown, so this node cannot "
             "go on; check the disk, then restart the node",
             action, path, status_name(s));
    os_die(message);
}

/* Errors  ST_FULL */
static STATUS write_or_die(struct raft_store_file *f, uint64_t offset, struct bytes in) {
    const struct status s = os_file_write(&f->file, offset, in);
    if (!status_ok(s) && s.code != ST_FULL)
        die("writing", raft_store_path(f->dir, f->identity.number).text, s);
    return s;
}

STATUS raft_store_file_append(struct raft_store_file *f, uint8_t *records, size_t len) {
    ASSERT(f->bytes >= f->head_bytes);
    ASSERT(len > 0);
    raft_store_finish(f->identity, f->bytes, records, len);
    TRY(write_or_die(f, f->bytes, bytes_of(records, len)));
    const struct status s = os_file_sync(&f->file);
    if (!status_ok(s)) die("sync of", raft_store_path(f->dir, f->identity.number).text, s);
    f->bytes += len;

    /* The seal that the next write begins with, so that damage in this one is noticed even if
     * there is none; unless the power fails first, as it is not synced, or there is no space. */
    uint8_t space[RAFT_STORE_SEAL_BYTES];
    struct buffer seal;
    buffer_init(&seal, sizeof space);
    raft_store_put_seal(&seal);
    ASSERT(buffer_len(&seal) == sizeof space);
    memcpy(space, seal.ptr, sizeof space);
    buffer_deinit(&seal);
    raft_store_finish(f->identity, f->bytes, space, sizeof space);
    const struct status sealed = write_or_die(f, f->bytes, bytes_of(space, sizeof space));
    ASSERT(status_ok(sealed) || sealed.code == ST_FULL);
    return status_of(ST_OK);
}

STATUS raft_store_file_replace(struct raft_store_file *f, const struct raft_snapshot *snapshot,
                               bool install) {
    const uint64_t number = f->identity.number;
    const struct raft_store_path old = raft_store_path(f->dir, number);
    const struct raft_store_path new = raft_store_path(f->dir, number + 1);
    struct raft_store_restored content;
    struct raft_store_file made;
    struct status s = raft_store_file_read(f->os, f->dir, number, &content);
    if (!status_ok(s)) die("reading", old.text, s);
    if (snapshot != NULL) raft_store_content_replace(&content, snapshot, install);
    s = raft_store_file_make(f->os, f->dir, number + 1, &content, &made);
    raft_store_restored_deinit(&content);
    if (s.code == ST_FULL) return s;
    if (!status_ok(s)) die("making", new.text, s);

    os_file_close(&f->file);
    *f = made;
    /* Left behind, it is removed at the next start: the highest number counts. */
    s = os_path_remove(f->os, old.text);
    if (!status_ok(s)) log_warn("%s: cannot be removed (%s)", old.text, status_name(s));
    return status_of(ST_OK);
}
