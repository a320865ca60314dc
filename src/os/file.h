/* file.h - files and folders, blocking.
 *
 * Called at start-up, from jobs (pool.h) and from offline tools; a shard's loop
 * never calls these except writes that only reach the page cache.
 *
 * Owner      one thread at a time for writes; reads may run on many threads
 * Failure    ST_FULL no space (nothing is known to be written, the same call may
 *            be repeated), ST_NOT_FOUND, ST_BUSY (lock held elsewhere), ST_IO.
 *            After os_file_sync fails the file's unsynced bytes are in doubt for
 *            ever: the caller must not retry (fsyncgate).
 */
#ifndef ATOLL_OS_FILE_H
#define ATOLL_OS_FILE_H

#include "os/os.h"

#define OS_PATH_BYTES_MAX 1024u
#define OS_NAME_BYTES_MAX 128u

struct os_file {
    struct os *os; /* the world it is in; NULL = not open */
    int32_t handle;
};

enum os_file_mode {
    OS_FILE_READ,         /* must exist */
    OS_FILE_WRITE,        /* read and write; must exist */
    OS_FILE_CREATE,       /* read and write; made if missing, content kept */
    OS_FILE_CREATE_EMPTY, /* read and write; made or cut to 0 bytes */
};

STATUS os_file_open(struct os *os, const char *path, enum os_file_mode mode,
                    struct os_file *ret_file);
/* Also fine for a file that is not open. */
void os_file_close(struct os_file *f);
/* Read up to `len` bytes; fewer only at the end of the file. */
STATUS os_file_read(struct os_file *f, uint64_t offset, void *ret_bytes, size_t len,
                    size_t *ret_len);
/* Write all of `in` at `offset`, growing the file as needed. */
STATUS os_file_write(struct os_file *f, uint64_t offset, struct bytes in);
/* Make all completed writes durable (fdatasync). */
STATUS os_file_sync(struct os_file *f);
STATUS os_file_size(struct os_file *f, uint64_t *ret_bytes);
STATUS os_file_truncate(struct os_file *f, uint64_t bytes);
/* Hint: [offset, offset + len) will be read soon / is not needed in the page cache. */
void os_file_readahead(struct os_file *f, uint64_t offset, uint64_t len);
void os_file_drop_cache(struct os_file *f, uint64_t offset, uint64_t len);
/* Hint: begin to put what was written there on the disk, so that a later sync finds little left
 * to do and syncs of other files do not queue behind it. Makes nothing durable. */
void os_file_write_behind(struct os_file *f, uint64_t offset, uint64_t len);

/* Take the only lock on this file (made if missing) until it is closed.
 * Errors  ST_BUSY another process holds it */
STATUS os_file_lock(struct os *os, const char *path, struct os_file *ret_file);

/* Make a folder, parents included; fine if it is there. */
STATUS os_dir_create(struct os *os, const char *path);
/* Make creations, renames and removals in the folder durable. */
STATUS os_dir_sync(struct os *os, const char *path);
STATUS os_path_rename(struct os *os, const char *from, const char *to);
/* Fine (ST_OK) if it is not there. */
STATUS os_path_remove(struct os *os, const char *path);
bool os_path_exists(struct os *os, const char *path);
/* Free bytes on the file system that holds `path`. */
STATUS os_disk_free(struct os *os, const char *path, uint64_t *ret_bytes);

/* Call `each` for every name in the folder but . and .. , in sorted order. */
typedef void (*os_dir_each)(void *user, const char *name);
STATUS os_dir_list(struct os *os, const char *path, os_dir_each each, void *user);

#endif
