#include "os/file.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/os_sim_internal.h"

#define HANDLES_MIN 16u
#define UNLIMITED_FREE_BYTES (UINT64_C(1) << 40) /* what a disk without a limit has free */

static struct handle *handle_of(const struct os_file *f) {
    ASSERT(f->os != NULL);
    ASSERT(f->handle >= 0);
    ASSERT((uint32_t)f->handle < f->os->handle_count);
    struct handle *h = &f->os->handles[f->handle];
    ASSERT(h->inode != NULL);
    return h;
}

/* The lowest free handle, as the kernel gives them. */
static int32_t free_handle(struct os *os) {
    uint32_t i = 0;
    while (i < os->handle_count && os->handles[i].inode != NULL) i++;
    if (i < os->handle_count) return (int32_t)i;
    ASSERT(i < SIM_HANDLES_MAX);
    const uint32_t count = i == 0 ? HANDLES_MIN : i * 2;
    os->handles = mem_realloc(os->handles, count * sizeof *os->handles);
    memset(os->handles + i, 0, (count - i) * sizeof *os->handles);
    os->handle_count = count;
    return (int32_t)i;
}

STATUS os_file_open(struct os *os, const char *path, enum os_file_mode mode,
                    struct os_file *ret_file) {
    ASSERT(os != NULL);
    ASSERT(ret_file != NULL);
    struct inode *inode = NULL;
    TRY(disk_open(os->disk, path, mode, &inode));
    const int32_t handle = free_handle(os);
    os->handles[handle] = (struct handle){ .inode = inode, .writable = mode != OS_FILE_READ };
    *ret_file = (struct os_file){ .os = os, .handle = handle };
    return status_of(ST_OK);
}

static void close_handle(struct os *os, struct handle *h) {
    ASSERT(h->inode != NULL);
    if (h->holds_lock) {
        ASSERT(h->inode->locked);
        h->inode->locked = false;
    }
    inode_unref(os->disk, h->inode);
    *h = (struct handle){ 0 };
}

void os_file_close(struct os_file *f) {
    ASSERT(f != NULL);
    if (f->os == NULL) return;
    close_handle(f->os, handle_of(f));
    *f = (struct os_file){ .os = NULL, .handle = -1 };
}

void sim_os_close_all(struct os *os) {
    ASSERT(os != NULL);
    for (uint32_t i = 0; i < os->handle_count; i++)
        if (os->handles[i].inode != NULL) close_handle(os, &os->handles[i]);
}

STATUS os_file_read(struct os_file *f, uint64_t offset, void *ret_bytes, size_t len,
                    size_t *ret_len) {
    return disk_read(f->os->disk, handle_of(f)->inode, offset, ret_bytes, len, ret_len);
}

STATUS os_file_write(struct os_file *f, uint64_t offset, struct bytes in) {
    const struct handle *h = handle_of(f);
    if (!h->writable) return status_of(ST_IO);
    return disk_write(f->os->disk, h->inode, offset, in);
}

STATUS os_file_sync(struct os_file *f) {
    return disk_sync(f->os->disk, handle_of(f)->inode);
}

STATUS os_file_size(struct os_file *f, uint64_t *ret_bytes) {
    return disk_size(f->os->disk, handle_of(f)->inode, ret_bytes);
}

STATUS os_file_truncate(struct os_file *f, uint64_t bytes) {
    const struct handle *h = handle_of(f);
    if (!h->writable) return status_of(ST_IO);
    return disk_truncate(f->os->disk, h->inode, bytes);
}

void os_file_readahead(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(handle_of(f) != NULL);
    (void)offset, (void)len;
}

void os_file_drop_cache(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(handle_of(f) != NULL);
    (void)offset, (void)len;
}

void os_file_write_behind(struct os_file *f, uint64_t offset, uint64_t len) {
    ASSERT(handle_of(f) != NULL);
    (void)offset, (void)len;
}

STATUS os_file_lock(struct os *os, const char *path, struct os_file *ret_file) {
    struct os_file f = { 0 };
    TRY(os_file_open(os, path, OS_FILE_CREATE, &f));
    struct handle *h = handle_of(&f);
    if (h->inode->locked) {
        os_file_close(&f);
        return status_of(ST_BUSY);
    }
    h->inode->locked = true;
    h->holds_lock = true;
    *ret_file = f;
    return status_of(ST_OK);
}

STATUS os_dir_create(struct os *os, const char *path) {
    ASSERT(os != NULL);
    return disk_dir_create(os->disk, path);
}

STATUS os_dir_sync(struct os *os, const char *path) {
    ASSERT(os != NULL);
    return disk_dir_sync(os->disk, path);
}

STATUS os_path_rename(struct os *os, const char *from, const char *to) {
    ASSERT(os != NULL);
    return disk_rename(os->disk, from, to);
}

STATUS os_path_remove(struct os *os, const char *path) {
    ASSERT(os != NULL);
    return disk_remove(os->disk, path);
}

bool os_path_exists(struct os *os, const char *path) {
    ASSERT(os != NULL);
    struct inode *inode = NULL;
    return status_ok(disk_find(os->disk, path, &inode));
}

STATUS os_disk_free(struct os *os, const char *path, uint64_t *ret_bytes) {
    ASSERT(os != NULL);
    ASSERT(ret_bytes != NULL);
    struct sim_disk *d = os->disk;
    struct inode *inode = NULL;
    TRY(disk_enter(d, false));
    TRY(disk_find(d, path, &inode));
    const uint64_t capacity =
        d->capacity == SIM_DISK_UNLIMITED ? d->used_bytes + UNLIMITED_FREE_BYTES : d->capacity;
    *ret_bytes = capacity > d->used_bytes ? capacity - d->used_bytes : 0;
    return status_of(ST_OK);
}

STATUS os_dir_list(struct os *os, const char *path, os_dir_each each, void *user) {
    ASSERT(os != NULL);
    TRY(disk_enter(os->disk, false));
    return sim_disk_list(os->disk, path, each, user);
}
