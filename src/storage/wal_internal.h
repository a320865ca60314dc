/* wal_internal.h - the fields of a log, for wal*.c.
 *
 *   wal.c          append, rotate, release
 *   wal_commit.c   what is gathered, and the job that writes and syncs it
 *   wal_prepare.c  the job that makes the next segment and recycles old ones
 *   wal_open.c     recovery: replay, cut, go on
 *   wal_replay.c   reading a row of segments
 *
 * Positions:  durable <= written <= appended. All are the end of a record.
 */
#ifndef ATOLL_STORAGE_WAL_INTERNAL_H
#define ATOLL_STORAGE_WAL_INTERNAL_H

#include "base/buffer.h"
#include "os/loop.h"
#include "os/pool.h"
#include "storage/wal.h"
#include "storage/wal_segment.h"

/* Writes go on to the end of a page, with zeros: the kernel then never has to read
 * the rest of a page of a prewritten file first. */
#define WAL_PAGE_BYTES 4096u
/* One write spans this many segments at most. */
#define WAL_PIECES_MAX 8u
/* Segments made ahead of need, once the log has been seen to wait for one. */
#define WAL_READY_SEGMENTS_MAX 2u
/* Memory a buffer keeps after a burst. */
#define WAL_BUFFER_KEEP_BYTES (4u * 1024 * 1024)

/* A run of gathered bytes that goes to one place of one segment. It starts with a
 * batch record. Without bytes: sync the segment only. */
struct wal_piece {
    struct wal_segment *segment;
    uint64_t offset;   /* in the file */
    size_t start;      /* in the batch's buffer */
    size_t len;        /* bytes, padding included; 0 = sync only */
    uint64_t previous; /* sequence at which the record before it ended */
    bool ended;        /* padded: later records start another piece */
    bool written;      /* it is in the kernel and must not be written again with other bytes */
};

struct wal_batch {
    struct buffer buffer;
    struct wal_piece pieces[WAL_PIECES_MAX];
    uint32_t piece_count; /* of pieces */
};

/* Write (ALWAYS) and sync. Owned by the job while it is under way. */
struct wal_commit {
    struct os_job job;
    struct wal *wal;             /* for `done`, and what never changes for `run` */
    struct wal_batch *batch;     /* what to write and sync, in this order */
    uint64_t end;                /* durable afterwards up to here */
    struct status status;        /* ST_OK or ST_FULL, set by `run` */
    uint64_t syncs;              /* made by `run` */
    uint64_t sync_ns_total;      /* likewise */
    uint64_t sync_ns_max;        /* likewise */
    struct durations sync_times; /* likewise */
    bool under_way;              /* submitted and not done */
    bool retry;                  /* met no space: to be submitted again as it is */
};

/* Recycle and make segments. Owned by the job while it is under way. */
struct wal_preparation {
    struct os_job job;
    struct wal *wal;          /* for `done`, and what never changes for `run` */
    struct wal_spares spares; /* files ready for reuse */
    struct list recycle;      /* segments released */
    struct wal_header header; /* of the segment to make; bytes 0 = make none */
    struct wal_segment *made; /* by `run`, or NULL */
    struct status status;     /* ST_OK or ST_FULL, set by `run` */
    bool under_way;           /* submitted and not done */
};

struct wal {
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    char dir[OS_PATH_BYTES_MAX];
    enum wal_sync sync;
    uint32_t segment_bytes; /* of segments made */

    struct list row;            /* segments in use, by number; the last is `active` */
    struct wal_segment *active; /* where the next record goes */
    uint64_t active_offset;     /* in its file */
    bool active_closed;         /* by wal_rotate: the next record starts another */
    bool active_short;          /* a record did not fit it, and no other was ready */
    struct list ready;          /* made ahead, by number, following `active` */
    uint32_t ready_count;       /* of them */
    uint32_t ready_wanted;      /* 1..WAL_READY_SEGMENTS_MAX */
    uint64_t oversize_wanted;   /* bytes of a segment some record needs; 0 = none */
    uint64_t release_below;     /* segments below this number are not needed */

    struct wal_batch batches[2]; /* one gathers, one is written */
    uint32_t gathering;          /* which of them */
    struct wal_batch sync_only;  /* pieces without bytes, for INTERVAL and NEVER */
    struct wal_commit commit;
    struct wal_preparation preparation;

    uint64_t appended; /* end of the last record gathered */
    uint64_t written;  /* end of the last record handed to the kernel */
    uint64_t durable;  /* end of the last record known synced */

    bool commit_full;          /* the last write met no space */
    uint64_t commit_retry_ns;  /* when to try it again */
    bool prepare_full;         /* making the last segment met no space */
    uint64_t prepare_retry_ns; /* when to try it again */

    struct wal_stats stats;       /* but segments and bytes_on_disk */
    uint64_t segment_count;       /* in row and ready */
    uint64_t segment_total_bytes; /* of them */
    uint32_t spare_count;         /* copy of preparation.spares.count, as of the last job */
};

static inline struct wal_segment *wal_segment_of(struct list *node) {
    return LIST_ENTRY(node, struct wal_segment, link);
}

/* wal_commit.c */
void wal_commit_init(struct wal *w);
void wal_commit_deinit(struct wal *w);
/* The piece that takes further records for the active segment, or NULL. */
struct wal_piece *wal_piece_open(struct wal *w);
/* Requires  room in the batch for a piece and in the segment for its batch record. */
struct wal_piece *wal_piece_begin(struct wal *w);
/* Pad the open piece, if there is one. */
void wal_piece_end(struct wal *w);
/* Close the segment's file if nothing will be written to it or synced any more. */
void wal_segment_settle(struct wal *w, struct wal_segment *s);

/* wal_prepare.c */
void wal_preparation_init(struct wal *w);
/* Add a segment to the end of the row, as the one to write to. */
void wal_segment_activate(struct wal *w, struct wal_segment *s, uint64_t offset);

#endif
