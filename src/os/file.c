#include "os/os_internal.h"

#include "os/file.h"

#include "base/assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_PERMISSIONS 0640 /* data is for the service and its group */
#define DIR_PERMISSIONS 0750
#define OFFSET_MAX ((uint64_t)INT64_MAX)

/* One call moves at most this much: the kernel's own limit is just under 2 GiB. */
#define TRANSFER_BYTES_MAX (1u << 30)

static bool path_fits(const char *path) {
    ASSERT(path != NULL);
    const size_t len = strnlen(path, OS_PATH_BYTES_MAX);
    return len > 0 && len < OS_PATH_BYTES_MAX;
}

static bool file_is_open(const struct os_file *f) {
    return f != NULL && f->os != NULL && f->handle >= 0;
}

static int open_retrying(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, FILE_PERMISSIONS);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int flags_of(enum os_file_mode mode) {
    switch (mode) {
    case OS_FILE_READ: return O_RDONLY;
    case OS_FILE_WRITE: return O_RDWR;
    case OS_FILE_CREATE: return O_RDWR | O_CREAT;
    case OS_FILE_CREATE_EMPTY: return O_RDWR | O_CREAT | O_TRUNC;
    }
    ASSERT(!"an os_file_mode");
    return 0;
}

STATUS os_file_open(struct os *os, const char *path, enum os_file_mode mode,
                    struct os_file *ret_file) {
    ASSERT(os != NULL);
    ASSERT(ret_file != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    const int fd = open_retrying(path, flags_of(mode));
    if (fd < 0) return os_status_of_errno(errno);
    *ret_file = (struct os_file){ .os = os, .handle = fd };
    return status_of(ST_OK);
}

void os_file_close(struct os_file *f) {
    ASSERT(f != NULL);
    if (f->os == NULL) return;
    ASSERT(f->handle >= 0);
    close(f->handle); /* errors of earlier writes are told by os_file_sync */
    *f = (struct os_file){ .os = NULL, .handle = -1 };
}

STATUS os_file_read(struct os_file *f, uint64_t offset, void *ret_bytes, size_t len,
                    size_t *ret_len) {
    ASSERT(file_is_open(f));
    ASSERT(ret_len != NULL);
    ASSERT(offset <= OFFSET_MAX - len);
    uint8_t *to = ret_bytes;
    size_t done = 0;
    while (done < len) {
        const size_t part = len - done < TRANSFER_BYTES_MAX ? len - done : TRANSFER_BYTES_MAX;
        const ssize_t got = pread(f->handle, to + done, part, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os_status_of_errno(errno);
        if (got == 0) break;
        done += (size_t)got;
    }
    ASSERT(done <= len);
    *ret_len = done;
    return status_of(ST_OK);
}

STATUS os_file_write(struct os_file *f, uint64_t offset, struct bytes in) {
    ASSERT(file_is_open(f));
    ASSERT(in.len <= OFFSET_MAX);
    ASSERT(offset <= OFFSET_MAX - in.len);
    size_t done = 0;
    while (done < in.len) {
        const size_t left = in.len - done;
        const size_t part = left < TRANSFER_BYTES_MAX ? left : TRANSFER_BYTES_MAX;
        const ssize_t put = pwrite(f->handle, in.ptr + done, part, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return os_status_of_errno(errno);
        if (put == 0) return status_of(ST_IO);
        done += (size_t)put;
    }
    ASSERT(done == in.len);
    return status_of(ST_OK);
}

/* Never tried twice, not even for ENOSPC: after a failure the kernel may have
 * marked the dirty pages clean, and a second sync would succeed without them
 * (fsyncgate). So every failure is ST_IO, "the effect is unknown". */
STATUS os_file_sync(struct os_file *f) {
    ASSERT(file_is_open(f));
    return status_of(fdatasync(f->handle) == 0 ? ST_OK : ST_IO);
}

STATUS os_file_size(struct os_file *f, uint64_t *ret_bytes) {
    ASSERT(file_is_open(f));
    ASSERT(ret_bytes != NULL);
    struct stat st;
    if (fstat(f->handle, &st) != 0) return os_status_of_errno(errno);
    ASSERT(st.st_size >= 0);
    *ret_bytes = (uint64_t)st.st_size;
    return status_of(ST_OK);
}

STATUS os_file_truncate(struct os_file *f, uint64_t bytes) {
    ASSERT(file_is_open(f));
    ASSERT(bytes <= OFFSET_MAX);
    int failed;
    do {
        failed = ftruncate(f->handle, (off_t)bytes);
    } while (failed && errno == EINTR);
    if (failed) return os_status_of_errno(errno);
    return status_of(ST_OK);
}

void os_file_readahead(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(file_is_open(f));
    ASSERT(offset <= OFFSET_MAX);
    (void)posix_fadvise(f->handle, (off_t)offset, (off_t)len, POSIX_FADV_WILLNEED);
}

void os_file_drop_cache(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(file_is_open(f));
    ASSERT(offset <= OFFSET_MAX);
    (void)posix_fadvise(f->handle, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
}

/* With none of the WAIT flags, which would take a failure of the disk away from the sync that
 * must report it. */
void os_file_write_behind(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(file_is_open(f));
    ASSERT(offset <= OFFSET_MAX);
    (void)sync_file_range(f->handle, (off_t)offset, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

STATUS os_file_lock(struct os *os, const char *path, struct os_file *ret_file) {
    struct os_file f = { 0 };
    TRY(os_file_open(os, path, OS_FILE_CREATE, &f));
    int failed;
    do {
        failed = flock(f.handle, LOCK_EX | LOCK_NB);
    } while (failed && errno == EINTR);
    if (failed) {
        const struct status s =
            errno == EWOULDBLOCK ? status_of(ST_BUSY) : os_status_of_errno(errno);
        os_file_close(&f);
        return s;
    }
    *ret_file = f;
    return status_of(ST_OK);
}

static STATUS make_one_dir(const char *path) {
    if (mkdir(path, DIR_PERMISSIONS) == 0) return status_of(ST_OK);
    if (errno != EEXIST) return os_status_of_errno(errno);
    struct stat st;
    if (stat(path, &st) != 0) return os_status_of_errno(errno);
    return status_of(S_ISDIR(st.st_mode) ? ST_OK : ST_IO);
}

STATUS os_dir_create(struct os *os, const char *path) {
    ASSERT(os != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    char prefix[OS_PATH_BYTES_MAX];
    const size_t len = strlen(path);
    ASSERT(len < sizeof prefix);
    memcpy(prefix, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/' || path[i - 1] == '/') continue;
        prefix[i] = '\0';
        TRY(make_one_dir(prefix));
        prefix[i] = '/';
    }
    return make_one_dir(path);
}

STATUS os_dir_sync(struct os *os, const char *path) {
    ASSERT(os != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    const int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return os_status_of_errno(errno);
    const int failed = fsync(fd);
    close(fd);
    return status_of(failed ? ST_IO : ST_OK);
}

STATUS os_path_rename(struct os *os, const char *from, const char *to) {
    ASSERT(os != NULL);
    if (!path_fits(from)) return status_of(ST_INVALID);
    if (!path_fits(to)) return status_of(ST_INVALID);
    if (rename(from, to) != 0) return os_status_of_errno(errno);
    return status_of(ST_OK);
}

STATUS os_path_remove(struct os *os, const char *path) {
    ASSERT(os != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    /* remove() is unlink for files and rmdir for folders. */
    if (remove(path) == 0) return status_of(ST_OK);
    if (errno == ENOENT) return status_of(ST_OK);
    return os_status_of_errno(errno);
}

bool os_path_exists(struct os *os, const char *path) {
    ASSERT(os != NULL);
    return path_fits(path) && access(path, F_OK) == 0;
}

STATUS os_disk_free(struct os *os, const char *path, uint64_t *ret_bytes) {
    ASSERT(os != NULL);
    ASSERT(ret_bytes != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    struct statvfs st;
    if (statvfs(path, &st) != 0) return os_status_of_errno(errno);
    *ret_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
    return status_of(ST_OK);
}

static int is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Bytewise; alphasort() would follow the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

STATUS os_dir_list(struct os *os, const char *path, os_dir_each each, void *user) {
    ASSERT(os != NULL);
    ASSERT(each != NULL);
    if (!path_fits(path)) return status_of(ST_INVALID);
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_entry, by_name);
    if (count < 0) return os_status_of_errno(errno);
    for (int i = 0; i < count; i++) {
        each(user, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return status_of(ST_OK);
}
