/* raft_store_internal.h - the fields of a raft store, for raft_store*.c.
 *
 *   raft_store.c          what is added, and when jobs start and end
 *   raft_store_open.c     create and open
 *   raft_store_file.c     one file: made, written to, replaced; blocking
 *   raft_store_content.c  what a file's records add up to; pure
 *   raft_store_record.c   header and records as bytes; pure
 */
#ifndef ATOLL_CONTROL_RAFT_STORE_INTERNAL_H
#define ATOLL_CONTROL_RAFT_STORE_INTERNAL_H

#include "control/raft_store_record.h"
#include "os/pool.h"

#define RAFT_STORE_REWRITE_BYTES (1024u * 1024)
/* Memory a buffer keeps after a burst. */
#define RAFT_STORE_BUFFER_KEEP_BYTES (256u * 1024)
/* A job that found the disk full runs again after so long. */
#define RAFT_STORE_RETRY_MS 1000u

/* The file in use. */
struct raft_store_file {
    struct os *os;                       /* where it is */
    const char *dir;                     /* the folder; the store's */
    struct os_file file;                 /* open for writing */
    struct raft_store_identity identity; /* of its records */
    uint64_t head_bytes;                 /* as it was made */
    uint64_t bytes;                      /* where the next record goes */
};

/* A snapshot that is to be stored. */
struct raft_store_slot {
    struct raft_snapshot snapshot;         /* index 0 = none; data lent */
    uint8_t config[RAFT_CONFIG_BYTES_MAX]; /* what snapshot.config points to */
};

/* Owned by the job while it is under way. */
struct raft_store_job {
    struct os_job job;              /* for the pool */
    struct raft_store *store;       /* for `done`, and what never changes for `run` */
    struct raft_store_file file;    /* what is written to */
    struct buffer records;          /* to be written, without checksums */
    struct raft_store_slot made;    /* then this takes the place of what it covers */
    struct raft_store_slot install; /* then this of all */
    uint64_t rewrite_bytes;         /* as struct raft_store_options */
    uint64_t rewrite_from;          /* not before the file is so long: there was no space for it */
    bool made_put;                  /* .made is in the file; the job's own until it is done */
    bool found_full;                /* it has not come to its end: set by `run` */
    struct raft_mark mark;          /* durable once it is done */
    uint64_t applied;               /* durable once it is done */
    bool under_way;                 /* submitted and not done */
};

struct raft_store {
    struct raft_store_options options; /* dir points to `dir` */
    char dir[OS_PATH_BYTES_MAX];       /* of the files */

    /* As stored and added, whether durable or not. */
    struct raft_store_owner owner; /* see there */
    struct raft_hard_state hard;   /* zeros = none yet */
    uint64_t snapshot_index;       /* of the last one stored or asked for */
    uint64_t last_index;           /* last entry, or snapshot_index */
    uint64_t applied;              /* not below what is durable */
    struct raft_mark mark;         /* the newest one */

    struct buffer records;          /* gathered for the next job; begins with a seal */
    struct raft_store_slot made;    /* waits for the next job */
    struct raft_store_slot install; /* waits for the next job */
    uint64_t applied_put;           /* what a job was told of `applied` */
    bool flush_wanted;              /* a job follows the one under way */
    uint64_t retry_ms;              /* a job found the disk full: run again then; 0 = none did */
    struct raft_store_job job;      /* one at a time */
    struct raft_store_done durable; /* as of the last job */
    uint64_t file_bytes;            /* as of the last job */
};

/* A store on this file, which it takes over. */
struct raft_store *raft_store_of(const struct raft_store_options *options,
                                 const struct raft_store_restored *content,
                                 const struct raft_store_file *file);

/* ---- raft_store_file.c ---- */

struct raft_store_path {
    char text[OS_PATH_BYTES_MAX]; /* with a NUL */
};

struct raft_store_path raft_store_path(const char *dir, uint64_t number);
/* The number in a file's name; false for all other names. */
bool raft_store_name_parse(const char *name, uint64_t *ret_number);
/* Write a file with this content beside the others, sync it, give it its name, sync the folder.
 * `dir` must live as long as the file.
 * Errors  ST_FULL  no file has the name, and nothing is left of it
 *         ST_IO    no file has the name, or a whole one
 * ret_file is not open then. */
STATUS raft_store_file_make(struct os *os, const char *dir, uint64_t number,
                            const struct raft_store_restored *content,
                            struct raft_store_file *ret_file);
/* Read a file; a tail that a crash has torn is logged and left out. ret_restored->bytes is set.
 * Errors  ST_CORRUPT: logged; ST_NOT_FOUND, ST_IO */
STATUS raft_store_file_read(struct os *os, const char *dir, uint64_t number,
                            struct raft_store_restored *ret_restored);
/* Write and sync. `records` get their checksums.
 * Errors  ST_FULL: nothing is claimed, the same call may be repeated; all else ends the process */
STATUS raft_store_file_append(struct raft_store_file *f, uint8_t *records, size_t len);
/* Put a new file with the same content, but for a snapshot if there is one, in the place of the
 * old one.
 * Errors  ST_FULL: the old one is still in use; all else ends the process */
STATUS raft_store_file_replace(struct raft_store_file *f, const struct raft_snapshot *snapshot,
                               bool install);

#endif
