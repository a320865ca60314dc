/* raft_store.h - what one node of the Raft group must find again after a crash.
 *
 * One log file at a time, DIR/raft-<16 hex digits>: who owns it, the last snapshot, and what came
 * since (raft_store_record.h draws the bytes). Writes gather in memory; one job at a time writes
 * and syncs all that was gathered. A new snapshot makes a new file beside the old one: a
 * crash leaves one of them whole. Every start makes one too, so a torn end never stays.
 *
 * Lifecycle  create or open (blocking) -> (hard | append | ...)* -> flush -> done ... -> close
 * Owner      the loop that it was given; a job touches only what it was handed
 * Memory     two buffers of RAFT_STORE_BUFFER_BYTES_MAX at most; while a file is replaced, the
 *            content of the old one too
 * Failure    a full disk keeps a job waiting: flush tries it again each second, and until then
 *            nothing is claimed. A write or sync that fails ends the process with a message that
 *            names the file (os_die): what the disk holds is unknown, and Raft cannot go on
 *
 * What survives a crash is what was added up to some moment, none of it out of the middle, and
 * at least everything up to the last mark given to `done`.
 */
#ifndef ATOLL_CONTROL_RAFT_STORE_H
#define ATOLL_CONTROL_RAFT_STORE_H

#include "os/file.h"
#include "os/loop.h"
#include "raft/raft.h"

#define RAFT_STORE_CLUSTER_BYTES 16u
/* More than this, and raft_store_has_room says no. */
#define RAFT_STORE_PENDING_BYTES_MAX (4u * 1024 * 1024)
/* What one step may add to that: an APPEND's entries, hard state and cut. */
#define RAFT_STORE_BUFFER_BYTES_MAX (RAFT_STORE_PENDING_BYTES_MAX + RAFT_MESSAGE_BYTES_MAX + 4096u)

/* Whose data this is. */
struct raft_store_owner {
    uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]; /* all zeros while it has no id yet */
    uint32_t member;                           /* its id in the group, not 0 */
};

/* What a job has made durable. */
struct raft_store_done {
    struct raft_mark mark;   /* the newest one that is durable, for RAFT_STORED; .sequence 0 =
                                none so far in this run */
    uint64_t applied;        /* applied index that a restart comes back to, at least */
    uint64_t snapshot_index; /* a snapshot made here is durable now, for SNAPSHOT_MADE; 0 = none */
    uint64_t install_index;  /* one of the leader's, for SNAPSHOT_INSTALLED; 0 = none */
};

struct raft_store_options {
    struct os *os;        /* where the files are */
    struct os_loop *loop; /* where `done` is called */
    struct os_pool *pool; /* has OS_JOB_SYNC threads */
    const char *dir;      /* DIR/control; copied. DIR exists, and its name is durable */
    /* A file that grew by more than this, and doubled, is written anew; 0 = as the store likes. */
    uint64_t rewrite_bytes;
    /* Called on the loop after each job, never from inside a call below; may call all of them
     * but close. `done` holds during the call. */
    void (*done)(void *user, const struct raft_store_done *done);
    void *user; /* for `done` */
};

/* What was stored. The views are into `bytes`. */
struct raft_store_restored {
    struct raft_store_owner owner; /* as stored last */
    struct raft_hard_state hard;   /* as stored last; zeros = never */
    struct raft_snapshot snapshot; /* for raft_init; index 0 = there is none */
    uint64_t applied;              /* for raft_restore_commit; not below snapshot.index */
    struct raft_entry *entries;    /* for raft_restore, in order, behind the snapshot; owned */
    size_t entry_count;            /* of them */
    uint8_t *bytes;                /* content of the file; owned */
};

/* Free it. The core may not look at its snapshot any more: copy the data, or call this later. */
void raft_store_restored_deinit(struct raft_store_restored *r);

struct raft_store;

/* Make the folder and its first file, durably; blocking. `snapshot` may be none (index 0).
 * Errors  ST_CONFLICT  something is stored there
 *         ST_FULL, ST_IO */
STATUS raft_store_create(const struct raft_store_options *options,
                         const struct raft_store_owner *owner, const struct raft_snapshot *snapshot,
                         struct raft_store **ret_store);
/* Find what is stored; blocking. What it gives is durable when it returns. *ret_restored is the
 * caller's to deinit, before or after the store is closed.
 * Errors  ST_NOT_FOUND  nothing is stored: no folder, or no file in it
 *         ST_CORRUPT    bytes are damaged that were durable once; logged with file and offset
 *         ST_FULL, ST_IO */
STATUS raft_store_open(const struct raft_store_options *options,
                       struct raft_store_restored *ret_restored, struct raft_store **ret_store);
/* Requires  no job is under way. What was not stored is dropped; NULL is fine. */
void raft_store_close(struct raft_store *s);

/* ---- adding; nothing is written before flush ---- */

/* Whether one more step of the core may be added. If not, the caller takes no event that could
 * store something until `done` was called. */
bool raft_store_has_room(const struct raft_store *s);
/* Requires  the term does not go back, nor is another vote given in it */
void raft_store_hard(struct raft_store *s, struct raft_hard_state hard);
/* Erase the entries from `index` on. Requires  it is behind the snapshot and what was applied */
void raft_store_truncate(struct raft_store *s, uint64_t index);
/* Copies it. Requires  it follows the last one, and no installation is open */
void raft_store_append(struct raft_store *s, const struct raft_entry *entry);
/* All that was added so far belongs to this mark or earlier ones. */
void raft_store_mark(struct raft_store *s, struct raft_mark mark);
/* The state machine has applied everything up to `index`. It is durable after all that was
 * added before it, so that a restart never finds less than done.applied. May repeat or go back:
 * then it says nothing. */
void raft_store_applied(struct raft_store *s, uint64_t index);
/* The cluster's id has become known. Requires  it is not zeros; that no other one is stored */
void raft_store_cluster(struct raft_store *s, const uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]);

/* Replace the log up to snapshot->index by a snapshot made here (raft_describe, and data). The
 * config is copied; the data are lent until `done` names the index.
 * Requires  no snapshot and no installation is open; it is newer than the last stored, and not
 *           above what was appended */
void raft_store_snapshot(struct raft_store *s, const struct raft_snapshot *snapshot);
/* Replace the whole log by the leader's snapshot; lent and copied alike. A snapshot made here
 * that is still open goes first.
 * Requires  no installation is open; it is newer than the last stored */
void raft_store_install(struct raft_store *s, const struct raft_snapshot *snapshot);
/* Whether one of the two is not durable yet. */
bool raft_store_is_replacing(const struct raft_store *s);

/* Start a job for all that was added, if there is something; if one is under way, another
 * follows it. One that waits for space is tried again if a second has passed: call this again and
 * again, whether there is room or not. */
void raft_store_flush(struct raft_store *s);
/* Whether no job is under way and nothing waits for one, but for space: that may take for ever, and
 * a close drops it as a crash would. */
bool raft_store_is_idle(const struct raft_store *s);

/* As stored and added, whether durable or not; zeros in .cluster = not known. */
const struct raft_store_owner *raft_store_owner(const struct raft_store *s);
/* Bytes of the file, as of the last job. */
uint64_t raft_store_bytes(const struct raft_store *s);
bool raft_store_check(const struct raft_store *s);

#endif
