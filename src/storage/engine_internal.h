/* engine_internal.h - what the files of the engine share.
 *
 *   engine.c            options, open and close, put, pressure, statistics
 *   engine_read.c       get
 *   engine_iterator.c   scan
 *   engine_turn.c       flush, compaction and manifest: when they start, what follows
 *   engine_damage.c     damaged tables: found, logged, given up
 *   engine_recovery.c   open: manifest, tables, WAL
 *   engine_sweep.c      slots that are dropped
 *   engine_verify.c     the offline check
 */
#ifndef ATOLL_STORAGE_ENGINE_INTERNAL_H
#define ATOLL_STORAGE_ENGINE_INTERNAL_H

#include "storage/compaction.h"
#include "storage/engine.h"
#include "storage/flush.h"
#include "storage/manifest.h"
#include "storage/memtable.h"
#include "storage/rescue.h"

/* After a job failed for lack of space, or otherwise, it is tried again this much later. */
#define ENGINE_RETRY_MS 1000u
/* Garbage and expiry are looked for this often. */
#define ENGINE_LOOK_MS 1000u
/* A memtable whose keys are overwritten in place never fills; it is frozen when its WAL has
 * this many times its size, so that a replay stays short. */
#define ENGINE_WAL_SPAN 4u
/* With more records than this in memory a truncation writes them out, without those that are gone. */
#define ENGINE_TRUNCATED_MAX 4096u

/* A memtable and what the engine must know of it. */
struct engine_memtable {
    struct memtable *memtable;
    uint64_t first_segment;  /* of the WAL: replay from here brings back all of it */
    uint64_t sequence_first; /* WAL position of its first record; 0 = none yet */
    struct ballot
        ballot_min;      /* lowest ever put, to it or to one before it that shares its segments */
    uint64_t sweep;      /* the engine's when it was begun; see compaction.h */
    uint32_t references; /* the engine, reads and iterators; the owner's thread counts */
};

/* One atomic change on its way into the manifest. */
struct engine_edit {
    struct list link;            /* in the engine's queue */
    struct manifest_edit change; /* views are into the tables */
    struct version_add *adds;    /* the same additions, with their tables */
    uint32_t add_count;
    /* It is durable and the version is in place. */
    void (*installed)(struct engine *e, struct engine_edit *edit);
    void (*done)(void *user, struct status s); /* of engine_truncate; may be NULL */
    void *user;                                /* for `done` */
};

/* A flush or compaction: a job, then an edit. */
enum work_state {
    WORK_IDLE,
    WORK_RUNNING,    /* the job is under way */
    WORK_INSTALLING, /* its edit is queued */
    WORK_STATES,
};

/* engine_drop_damaged. */
enum drop_state {
    DROP_NONE,
    DROP_WANTED,  /* waits for the compaction and for judging to end, or to try again */
    DROP_JUDGING, /* the tables are read once more, and what is whole in damaged ones written anew */
    DROP_WRITING, /* its edit is queued */
    DROP_STATES,
};

struct engine {
    struct engine_options options; /* `dir` points at the copy below */
    char dir[OS_PATH_BYTES_MAX];
    struct wal *wal;
    struct engine_memtable *active;
    struct engine_memtable *waiting[ENGINE_MEMTABLES_MAX]; /* newest first */
    uint32_t waiting_count;
    struct version *version;
    struct floors floors;         /* what readers go by */
    struct floors floors_durable; /* what flush and compaction go by */
    struct ballot gc_floor;
    uint64_t expiry_limit_ms;         /* engine_limit_expiry; UINT64_MAX = none */
    struct slot_set dropped_slots;    /* compactions that start now drop them */
    uint64_t sweep;                   /* how often that set has grown */
    struct ballot ballot_max;         /* of every record ever put or found */
    uint64_t first_segment;           /* of the WAL, as in the manifest */
    uint64_t hash_seed;               /* for memtables */
    atomic_uint_fast64_t number_next; /* of files */

    struct manifest manifest; /* the manifest job's while it runs */
    struct os_job manifest_job;
    struct list edits; /* engine_edit: the first `edits_writing` are in the job */
    uint32_t edits_writing;
    struct buffer edits_encoded;   /* what the job writes */
    uint64_t manifest_number;      /* of the file the job begins; 0 = it appends */
    struct status manifest_status; /* of the job */
    uint64_t manifest_retry_ms;
    bool rewrite_failed; /* no space for a new manifest: append to the old one */
    bool manifest_running;

    struct flush flush;
    struct os_job flush_job;
    struct engine_edit flush_edit;
    enum work_state flush_state;
    uint64_t flush_retry_ms;
    bool flush_wanted; /* freeze the active memtable as soon as there is room */

    struct compaction compaction;
    struct os_job compaction_job;
    struct engine_edit compaction_edit;
    enum work_state compaction_state;
    uint64_t compaction_retry_ms;
    bool compaction_revoked;          /* nothing is to come of the job that runs */
    uint64_t look_ms;                 /* when to look for work next, even if nothing changed */
    bool look;                        /* something changed: look for work */
    bool everything;                  /* engine_compact_all was called */
    uint64_t bad[COMPACTION_BAD_MAX]; /* suspect tables, which are not compacted */
    uint32_t bad_count;

    uint64_t damage_look_ms; /* when to look for damaged tables next */
    uint64_t damage_looked;  /* corruptions counted at the last look */
    bool suspicion;          /* the last look found one not judged yet */
    bool damaged;            /* the last look found one */
    struct os_job judge_job;
    struct version *judge_version;                  /* whose tables it reads; retained */
    uint64_t judged_ms;                             /* when it ended last; 0 = never */
    atomic_bool judge_stop;                         /* it ends early */
    bool judging;                                   /* it is under way */
    enum drop_state drop_state;                     /* of engine_drop_damaged */
    struct rescue rescue;                           /* JUDGING, WRITING: `rescuing` */
    bool rescuing;                                  /* it is to be deinitialised */
    uint64_t drop_retry_ms;                         /* WANTED: not before */
    void (*drop_done)(void *user, struct status s); /* of the drop that is wanted */
    void *drop_user;                                /* for `drop_done` */

    atomic_bool stop_jobs; /* a compaction ends early: while stopping, or when it is revoked */
    bool stopping;
    bool stop_flush;           /* the memtables are to be flushed before it is idle */
    bool stop_committed;       /* the last commit of the WAL was made */
    bool stop_failed;          /* something failed since: it is not waited for */
    bool background_full;      /* the last flush, compaction or edit met no space */
    bool wal_full;             /* so did the last append */
    bool recovering;           /* in engine_open */
    struct engine_stats stats; /* counters; sizes are filled in when asked */
};

/* engine.c */
struct engine_memtable *engine_memtable_create(struct engine *e, uint64_t first_segment);
void engine_memtable_retain(struct engine_memtable *m);
void engine_memtable_release(struct engine_memtable *m);
void engine_memtable_note(struct engine_memtable *m, struct ballot b);
/* Put the active memtable among the waiting ones and make `next` the active one. */
void engine_memtable_push(struct engine *e, struct engine_memtable *next);
struct output_options engine_output_options(struct engine *e, enum compression compression);
bool engine_check(const struct engine *e);

/* engine_turn.c */
/* Where the replay would start if the `waiting` oldest memtables were in tables. */
uint64_t engine_segment_after_oldest(const struct engine *e);
/* Freeze the active memtable and begin another.
 * Errors  ST_BUSY, ST_FULL */
STATUS engine_rotate(struct engine *e);
/* Have the edit add the table, which the caller holds until it is installed. */
void engine_edit_add(struct engine_edit *edit, const struct version_table *t, uint32_t level);
void engine_edit_queue(struct engine *e, struct engine_edit *edit);
void engine_edit_deinit(struct engine_edit *edit);
/* The whole state as encoded edits, for a new manifest. */
void engine_snapshot(const struct engine *e, uint64_t number, struct buffer *out);
void engine_note_corrupt(struct engine *e);
/* A job came back with an error: say so, and when to try again. */
void engine_note_failure(struct engine *e, const char *what, struct status s,
                         uint64_t *ret_retry_ms);
void engine_note_success(struct engine *e);

/* engine_damage.c */
/* How many files of given up tables are kept for a look at them. */
#define ENGINE_DAMAGED_KEPT 4u
/* Look for damaged tables now and then, and begin with a drop that is due; every turn. */
void engine_damage_turn(struct engine *e);
/* The engine is closed: what is wanted will not come. */
void engine_damage_cancel(struct engine *e);
/* Free what a rescue holds, if there is one; its files stay. */
void engine_rescue_end(struct engine *e);

/* engine_sweep.c */
/* What the running compaction may drop has become less: nothing is to come of its job if it would
 * drop more than that. */
void engine_revoke_compaction(struct engine *e);
/* Tables that are behind this sweep are to be swept; 0 = none. */
uint64_t engine_sweep_wanted(const struct engine *e);
uint64_t engine_sweep_bytes_left(const struct engine *e);
/* The compaction's job has found nothing to drop in its inputs. */
void engine_sweep_note_clean(struct engine *e);

/* engine_recovery.c */
STATUS engine_recover(struct engine *e);

#endif
