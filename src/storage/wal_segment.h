/* wal_segment.h - one file of a write-ahead log, and the spare files kept for reuse.
 *
 * A segment in use is named `wal-<16 hex digits of number>`, a spare
 * `spare-<16 hex digits>`. A file gets its segment header, synced, while it still
 * is a spare, and is renamed afterwards: whatever is named wal-N has a durable
 * header of number N.
 *
 * Lifecycle  make (in a job) -> written and synced -> recycle (in a job)
 * Owner      the log; while a job works on it, that job
 * Memory     one struct from mem_alloc a segment
 * Failure    ST_FULL from make: no space, and nothing is left behind but perhaps a
 *            spare. Every other failure ends the process (wal_die).
 */
#ifndef ATOLL_STORAGE_WAL_SEGMENT_H
#define ATOLL_STORAGE_WAL_SEGMENT_H

#include "base/list.h"
#include "os/file.h"
#include "storage/wal_record.h"

/* Freed segments kept for reuse; more are deleted. */
#define WAL_SPARE_SEGMENTS_MAX 4u

struct wal_segment {
    struct list link;             /* in the log's row, or waiting to be used or recycled */
    struct os_file file;          /* open while it may be written or synced */
    struct wal_identity identity; /* number and salt */
    uint64_t base;                /* sequence of the file's first byte */
    uint64_t bytes;               /* size of the file, prewritten */
    uint64_t end;     /* sequence after its last record handed to the kernel; 0 = none */
    uint32_t pending; /* pieces gathered or under way that name it */
};

struct wal_spares {
    uint64_t ids[WAL_SPARE_SEGMENTS_MAX]; /* of the files, all of `segment_bytes` */
    uint32_t count;                       /* of ids */
    uint64_t id_next;                     /* above every id seen */
    uint64_t segment_bytes;               /* size a file must have to be kept */
};

struct wal_path {
    char text[OS_PATH_BYTES_MAX];
};

struct wal_path wal_segment_path(const char *dir, uint64_t number);
struct wal_path wal_spare_path(const char *dir, uint64_t id);
/* The number in a name with this prefix ("wal-", "spare-"); false for all other names. */
bool wal_name_parse(const char *name, const char *prefix, uint64_t *ret_number);

/* Make the segment with this header (its salt is drawn here) from a spare, or from a
 * new file prewritten with zeros; blocking. Its name is durable after os_dir_sync.
 * Errors  ST_FULL, ST_IO */
STATUS wal_segment_make(struct os *os, const char *dir, struct wal_spares *spares,
                        const struct wal_header *header, struct wal_segment **ret_segment);
/* Turn the file of a segment no longer needed into a spare, or remove it; blocking.
 * Errors  ST_IO, ST_FULL; the file is still there then */
STATUS wal_segment_recycle(struct os *os, const char *dir, struct wal_spares *spares,
                           uint64_t number, uint64_t bytes);
/* Close and free it; the file stays. */
void wal_segment_destroy(struct wal_segment *s);

/* Errors  ST_FULL (every other failure ends the process) */
STATUS wal_segment_write(struct wal_segment *s, const char *dir, uint64_t offset, struct bytes in);
/* A failure ends the process. */
void wal_segment_sync(struct wal_segment *s, const char *dir);

/* End the process: what became of `path` cannot be known. */
_Noreturn void wal_die(const char *action, const char *path);

#endif
