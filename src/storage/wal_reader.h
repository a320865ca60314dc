/* wal_reader.h - read a row of segments in order and find where the log ends.
 *
 * Give it every segment of the row, lowest first, the last ones included even if
 * the log ended before: they may hold proof that it did not end there (wal.h,
 * "Damage or torn?").
 *
 * Lifecycle  init -> segment* -> deinit
 * Owner      one thread; blocking
 * Memory     a window of WAL_WINDOW_BYTES, or of the largest record
 * Failure    ST_CORRUPT with `finding` telling file, offset and what; the reader must
 *            not be given more segments then, but may be restarted
 */
#ifndef ATOLL_STORAGE_WAL_READER_H
#define ATOLL_STORAGE_WAL_READER_H

#include "storage/wal.h"
#include "storage/wal_segment.h"

/* Read at once: large enough for the disk, small enough for the second-level cache. */
#define WAL_WINDOW_BYTES (1u * 1024 * 1024)
#define WAL_FINDING_BYTES (OS_PATH_BYTES_MAX + 256u)

/* Records whose keys are told ahead of their replay. */
#define WAL_AHEAD_RECORDS 16u

struct wal_window {
    struct os_file file;
    uint64_t file_bytes; /* its size */
    uint8_t *space;      /* `capacity` bytes */
    size_t capacity;     /* grows to the largest record */
    uint64_t offset;     /* in the file, of space[0] */
    size_t len;          /* bytes of the file in `space` */
};

struct wal_reader {
    struct os *os;
    const char *dir;
    wal_replay replay;                            /* NULL = only verify */
    void *user;                                   /* of replay and ahead */
    void (*ahead)(void *user, struct bytes ikey); /* see wal.h; NULL = none */
    uint64_t ahead_offset; /* in the file: first record not told to `ahead` */
    uint32_t ahead_count;  /* records told and not yet replayed */

    uint64_t end;          /* sequence at which the log ends, as far as read */
    uint64_t durable;      /* highest sequence told to be durable by records that fit */
    uint64_t last_segment; /* number of the one that holds the last record; 0 = none yet */
    uint64_t records;      /* replayed */
    bool begun;            /* a segment was read: base_next holds */
    bool started;          /* a batch record fitted */
    uint64_t base_next;    /* of the next segment */
    uint64_t stop_segment; /* where the first record that could not be verified lies */
    uint64_t stop_offset;  /* likewise, in the file */
    char finding[WAL_FINDING_BYTES]; /* after ST_CORRUPT */

    struct wal_window window;
};

void wal_reader_init(struct wal_reader *r, struct os *os, const char *dir, wal_replay replay,
                     void *user);
void wal_reader_deinit(struct wal_reader *r);
/* Forget the row, to start anew with a later segment. */
void wal_reader_restart(struct wal_reader *r);
/* Read the next segment.
 * Errors  ST_CORRUPT, ST_IO, ST_NOT_FOUND, or what `replay` returned */
STATUS wal_reader_segment(struct wal_reader *r, uint64_t number, struct wal_header *ret_header);

/* The segments and spares in a folder. */
struct wal_folder {
    uint64_t *segments; /* numbers, rising */
    uint32_t segment_count;
    uint64_t *spares; /* ids, rising */
    uint32_t spare_count;
};

/* Errors  ST_IO, ST_NOT_FOUND */
STATUS wal_folder_list(struct os *os, const char *dir, struct wal_folder *ret_folder);
void wal_folder_deinit(struct wal_folder *f);
/* Where the row that starts with number `first` starts in `segments`; segment_count for
 * an empty row, which is fine if no segment was ever made, or `first` not yet.
 * Errors  ST_NOT_FOUND a segment is missing; *ret_missing is its number */
STATUS wal_folder_row(const struct wal_folder *f, uint64_t first, uint32_t *ret_start,
                      uint64_t *ret_missing);

#endif
