/* wal.h - a shard's write-ahead log: what was acknowledged is in here or in a table.
 *
 * The log is a row of segment files of WAL_SEGMENT_BYTES, named
 * `wal-<16 hex digits of number>`. A segment is prewritten with zeros and synced
 * before first use, and recycled (renamed to a spare, later to a higher number) when
 * its records are in tables, so that a synced append changes no file metadata.
 *
 * Appends gather in memory; wal_commit hands everything gathered so far to ONE job
 * that writes and, if asked, syncs it, while further appends gather in the second
 * buffer. A position ("sequence") counts log bytes, segment headers and the unused
 * rest of segments included, and only grows.
 *
 * Lifecycle  open (replays) -> (append* -> commit -> job done)* -> close
 * Owner      one shard; the jobs touch only what they were handed
 * Memory     two buffers that grow up to WAL_BUFFER_BYTES_MAX each
 * Failure    ST_FULL   no space for the next segment: nothing was appended; later
 *                      appends try again (every WAL_RETRY_NS), so it recovers by itself
 *            ST_BUSY   the next segment is being made, or both buffers are full:
 *                      wait for the job
 *            a failed sync, or a failed write other than "no space", ends the
 *            process with a message that names the file (os_die): what the tail
 *            holds is unknown and must never be acknowledged
 *            ST_CORRUPT on open: bytes are damaged that were durable once; logged with
 *            file and offset. Only what a crash may have torn is cut.
 *
 * What survives. ALWAYS: every acknowledged record, whatever happens. INTERVAL and
 * NEVER: every acknowledged record if the process dies; if the machine loses power,
 * at least what was appended up to the last sync, and what is found beyond is a
 * gapless run of what was appended. (NEVER syncs a segment when it is left.)
 *
 * Damage or torn? Each write starts with a batch record that tells up to where the
 * log was durable before it (wal_record.h). Replay stops at the first record it
 * cannot verify. If any batch record behind that place tells that the log was once
 * durable beyond it, bytes were damaged: ST_CORRUPT. Else the rest may never have
 * been synced, and is cut. An idle log ends with such a record, unsynced, so that
 * damage in its last write is told from a torn one too unless the power fails first.
 *
 * wal_record.h draws the bytes. A record larger than the rest of the segment starts
 * the next one; one larger than a whole segment gets a segment of its own size.
 */
#ifndef ATOLL_STORAGE_WAL_H
#define ATOLL_STORAGE_WAL_H

#include "base/assert.h"
#include "base/durations.h"
#include "os/file.h"
#include "os/loop.h"
#include "storage/wal_record.h"

/* More than the largest record, so that only logs with smaller segments (tests) ever
 * need one of another size. */
#define WAL_SEGMENT_BYTES (17u * 1024 * 1024)
#define WAL_SEGMENT_BYTES_MIN 4096u
#define WAL_BUFFER_BYTES_MAX (64u * 1024 * 1024)
/* How long after "no space" the next attempt is made. */
#define WAL_RETRY_NS (100u * 1000 * 1000)

static_assert(WAL_HEADER_BYTES + WAL_BATCH_BYTES + WAL_RECORD_BYTES_MAX <= WAL_SEGMENT_BYTES,
              "the largest record fits an empty segment");
static_assert(2 * WAL_RECORD_BYTES_MAX <= WAL_BUFFER_BYTES_MAX, "the largest record fits a buffer");

enum wal_sync {
    WAL_SYNC_ALWAYS,   /* commit syncs; `durable` moves when the sync is done */
    WAL_SYNC_INTERVAL, /* commit writes; the owner calls wal_commit with force every so often */
    WAL_SYNC_NEVER,    /* commit writes; the kernel decides */
};

struct wal_options {
    struct os *os;
    struct os_loop *loop; /* where job->done is called */
    struct os_pool *pool; /* OS_JOB_SYNC threads */
    const char *dir;      /* folder of the segments; exists; copied */
    enum wal_sync sync;
    uint32_t segment_bytes; /* 0 = WAL_SEGMENT_BYTES; smaller in tests */
    /* May be NULL: told at replay that a record of this ikey probably comes a little
     * later, so that what it will touch can be fetched meanwhile. */
    void (*ahead)(void *user, struct bytes ikey);
};

struct wal_stats {
    uint64_t appended_bytes; /* log bytes gathered */
    uint64_t appended_records;
    uint64_t syncs;         /* fdatasync calls */
    uint64_t sync_ns_total; /* time in them */
    uint64_t sync_ns_max;
    struct durations sync_times; /* the same, by length */
    uint64_t segments;           /* files in use */
    uint64_t bytes_on_disk;      /* of all segments, spares included */
};

struct wal;

/* Called for each record at replay, in order; `sequence` is the position after it.
 * Views hold during the call. An error stops the replay and is returned by open. */
typedef struct status (*wal_replay)(void *user, const struct record *r, uint64_t sequence);

/* Open or make the log and replay everything from segment number `first_segment` on
 * (older files are spares; 0 and 1 mean the same). What was replayed is durable when it
 * returns, whatever the mode. Blocking; reads in large pieces.
 * Errors  ST_CORRUPT, ST_IO, ST_FULL, ST_NOT_FOUND (a segment is missing in the row) */
STATUS wal_open(const struct wal_options *options, uint64_t first_segment, wal_replay replay,
                void *user, struct wal **ret_wal);
/* Requires no job under way. What was not committed is dropped; NULL is fine. */
void wal_close(struct wal *w);

/* Gather one record; *ret_sequence is the position that makes it durable. There is
 * prewritten room for what was gathered, so a full disk cannot strike it any more.
 * Errors  ST_FULL, ST_BUSY (see above; nothing was gathered) */
STATUS wal_append(struct wal *w, const struct record *r, uint64_t *ret_sequence);

/* Hand what is gathered to a job, if there is any and none is under way. With
 * WAL_SYNC_NEVER and INTERVAL the write is made here, at once, into the page cache.
 * `force_sync` asks for a sync whatever the mode (interval timer, shutdown). */
void wal_commit(struct wal *w, bool force_sync);
/* Whether no job is under way and nothing waits to be committed. On a full disk, where
 * commits cannot succeed, it is idle as soon as no job is under way. */
bool wal_is_idle(const struct wal *w);

/* Everything up to this position may be acknowledged: synced with ALWAYS, handed
 * to the kernel otherwise. */
uint64_t wal_acknowledged(const struct wal *w);
/* Everything up to this position survives a power failure, whatever the mode. */
uint64_t wal_durable(const struct wal *w);
/* The position behind the last record gathered. */
uint64_t wal_appended(const struct wal *w);
/* Position after the last record gathered. */
uint64_t wal_sequence(const struct wal *w);

/* End the current segment: later appends go to segments with the number given or
 * higher, earlier ones are in lower ones. Called when a memtable is frozen. Always ST_OK:
 * the file itself is only needed by the next append. */
STATUS wal_rotate(struct wal *w, uint64_t *ret_segment);
/* Records in segments below `segment` are in tables (and the manifest that says so
 * is durable): recycle or delete the files, in a job started by wal_prepare. */
void wal_release(struct wal *w, uint64_t segment);

/* Prepare the next segment and recycle released ones in a job, when needed; call once
 * a turn. The job is OS_JOB_SYNC: behind a compaction it would stall the log. */
void wal_prepare(struct wal *w);

struct wal_stats wal_stats(const struct wal *w);

/* Read every segment in `dir` without changing it. `report` gets one line per
 * finding (file, offset, what). *ret_bad counts them; a torn tail is none. */
STATUS wal_verify(struct os *os, const char *dir, uint64_t first_segment,
                  void (*report)(void *user, const char *line), void *user, uint64_t *ret_records,
                  uint64_t *ret_bad);

bool wal_check(const struct wal *w);

#endif
