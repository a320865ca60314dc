/* snapshot_file.h - files that are whole or not there: a node's snapshots, one beside the other.
 *
 * Everything is written to FOLDER/snapshot.tmp. Commit syncs it, gives it its name and syncs the
 * folder, then removes the oldest snapshots above the number to keep. Names are
 * snapshot-YYYYMMDDTHHMMSSZ.json, so that they sort by time.
 *
 * Lifecycle  begin -> append* -> commit | abort; snapshot_file_clean once before the first
 * Owner      one thread at a time; everything blocks
 * Memory     none
 * Failure    ST_FULL  no space, or so little is left that the node needs it itself
 *            ST_IO    after any error only abort may be called, which removes what was written;
 *                     no file ever has a snapshot's name before it is whole and durable
 */
#ifndef ATOLL_STORAGE_SNAPSHOT_FILE_H
#define ATOLL_STORAGE_SNAPSHOT_FILE_H

#include "os/file.h"

/* "snapshot-20260101T000000Z.json" and its NUL. */
#define SNAPSHOT_NAME_BYTES 31u
/* What is left for the log and tables, which matter more than a copy. */
#define SNAPSHOT_FREE_BYTES_MIN (UINT64_C(32) * 1024 * 1024)

struct snapshot_file {
    struct os *os;
    const char *dir;     /* the folder; outlives it */
    struct os_file file; /* snapshot.tmp; not open = none is being written */
    uint64_t bytes;      /* written */
    uint64_t synced;     /* of them; what is behind is synced now and then, as one sync of all
                            would hold up those of the log */
};

/* Make the folder if it is missing, and remove what a crash left half written. */
STATUS snapshot_file_clean(struct os *os, const char *dir);

/* Errors  ST_FULL, ST_IO; there is nothing to abort then */
STATUS snapshot_file_begin(struct snapshot_file *f, struct os *os, const char *dir);
/* Errors  ST_FULL, ST_IO */
STATUS snapshot_file_append(struct snapshot_file *f, struct bytes in);
/* Give it the name of this time and keep the newest `keep` snapshots, this one among them.
 * Errors  ST_FULL, ST_IO: abort it. An old one that cannot be removed is none */
STATUS snapshot_file_commit(struct snapshot_file *f, uint64_t wall_ms, uint32_t keep,
                            char ret_name[SNAPSHOT_NAME_BYTES]);
/* Also fine if none is being written. */
void snapshot_file_abort(struct snapshot_file *f);

/* The name of a snapshot of this time. */
void snapshot_file_name(uint64_t wall_ms, char ret_name[SNAPSHOT_NAME_BYTES]);

#endif
