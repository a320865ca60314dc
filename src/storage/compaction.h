/* compaction.h - merge tables downwards: choose what to merge, and the job that does.
 *
 * Lifecycle  compaction_pick (pure) -> compaction_init -> run in a job -> deinit
 * Owner      plan and compaction: the engine; during the job, the job
 * Memory     one block a source, one table being written; the owner holds the version
 * Failure    ST_FULL, ST_IO, ST_CORRUPT: no file is left behind, nothing has changed
 *
 * What may be dropped. Let r be the highest ballot of its ikey among the inputs.
 *
 *  1. Lower ballots of the ikey among the inputs: always. r is still there, or was
 *     dropped under 2 or 3, which then cover them too.
 *  2. r at or below the durable truncation floor of its keyspace: always. Every reader
 *     applies the floor, so no other copy can be seen either.
 *  3. r a tombstone or expired, if r's ballot is at or below the gc floor F and no place
 *     outside the inputs can hold an older version v of the ikey, which would come back.
 *     Records arrive in any order, so v may be anywhere, above as well as below:
 *      a. in another table of the version that the job holds, in any level: excluded if no
 *         such table both covers the ikey and may contain it by its filter;
 *      b. in a memtable, active or waiting, when the job starts: excluded if r's ballot is at or
 *         below the lowest ballot that any of them was ever given (an overwritten one counts,
 *         for the WAL still holds it and replays it after a crash);
 *      c. put after the job started: its ballot is above F, hence above r's, because
 *         engine_put refuses ballots at or below the gc floor (R9). Should F be cleared, so that
 *         a shard takes what it lacks of slots that come to it, nothing comes of the job; only
 *         one whose edit is on its way cannot be held back, and the owner waits for it
 *         (engine_is_dropping) before it takes anything as old as that;
 *      d. in a table flushed meanwhile: it came from b or c;
 *      e. in the WAL only: segments are released when their memtable's table is durable,
 *         so what a replay can bring back is in b, c, or in a table of a or the inputs.
 *         (Inputs: the flush that made the input was durable before, and its edit
 *         moved the start of the replay past it. After a crash during a replay memtables share
 *         a first segment; until the last of them is flushed, b covers them all.)
 *     At an equal ballot v is r itself, which is as absent as its loss.
 *  4. r of a slot in the set that the job copied when it started: always, whatever else there is
 *     of the ikey. The owner hides all of such a slot, and takes what it finds of one that
 *     comes back for left over: to be compared anew, so that an older v that shows does no harm.
 *     When a slot comes back the owner takes it out of the set before the first record of it is
 *     put. Such a record is safe:
 *      a. a job that starts later has the smaller set;
 *      b. inputs of one that started before are tables that were in the version then; each was
 *         flushed from a memtable frozen before, so that what is put since is in none;
 *      c. a flush drops nothing for its slot.
 *     What is left over must not vanish either once it was compared and found equal. So nothing
 *     comes of a job whose set has a slot that the present one has not; only one whose edit
 *     is on its way cannot be held back, and the owner waits for it (engine_is_dropping).
 *
 * Damage. A table that cannot be read stays where it is. What has to go to its level and overlaps it
 * goes to a level above, where nothing is yet; where there is none, tables of level 0 become fewer
 * where they are. So writes go on, and reads ask more tables.
 *
 * Garbage. A table whose records are half tombstones or past their expiry is compacted
 * for that alone, when its highest ballot is at or below F; each table waits
 * COMPACTION_GARBAGE_WAIT_MS first, twice as long each time little came of it. So is a table of
 * several keyspaces, an eighth of which is of such that were truncated since.
 *
 * Sweep. When the set of rule 4 grows a new sweep begins, behind all other work. Each table is
 * known to be clean as of some sweep: the output of a job as of the one it started under, a
 * flushed table as of the one its memtable was begun under, a table found at opening as of none.
 * Tables that are behind are taken a few neighbours at a time, and written anew in place if they
 * hold something to drop; else they are only read. So a sweep writes each table once at most.
 */
#ifndef ATOLL_STORAGE_COMPACTION_H
#define ATOLL_STORAGE_COMPACTION_H

#include "storage/merge.h"
#include "storage/output.h"
#include "storage/slot_set.h"

/* An output ends where it would overlap this many tables' worth of the next level, so
 * that its own compaction stays small. */
#define COMPACTION_OVERLAP_TABLES_MAX 10u
/* Between two looks at one table for garbage. */
#define COMPACTION_GARBAGE_WAIT_MS 10000u
#define COMPACTION_GARBAGE_WAIT_MS_MAX (24u * 3600 * 1000)
/* Neighbours that one job of a sweep takes, so that what they leave makes larger tables. */
#define COMPACTION_SWEEP_TABLES_MAX 4u
/* Tables found corrupt, which are never picked again until the engine is opened anew. */
#define COMPACTION_BAD_MAX 64u

enum compaction_kind {
    COMPACTION_MERGE, /* read inputs, write outputs */
    COMPACTION_MOVE,  /* one table goes down a level as it is */
    COMPACTION_DROP,  /* everything in the inputs is at or below the truncation floor */
};

struct compaction_input {
    uint32_t level;
    uint32_t index; /* in that level of the plan's version */
};

struct compaction_plan {
    enum compaction_kind kind;
    uint32_t level_output;
    struct compaction_input *inputs; /* by level, then index; levels 1.. are contiguous */
    uint32_t input_count;
    uint32_t input_capacity;
    uint64_t input_bytes;
    bool for_garbage; /* chosen for what it may free, not for a level's size */
    bool for_sweep;   /* chosen for what it may hold of dropped slots */
    bool everything;  /* chosen because all was wanted */
};

/* What a choice depends on. */
struct compaction_view {
    const struct version *version;
    const struct engine_options *options;
    const struct floors *floors; /* durable ones */
    const uint64_t *bad;         /* numbers of tables that must not be read */
    uint32_t bad_count;
    uint64_t wall_ms;
    uint64_t expiry_ms; /* what expires until then has expired */
    struct ballot gc_floor;
    uint64_t sweep;  /* tables that are behind this one may hold what is to be dropped */
    bool everything; /* all levels into the last */
};

/* Choose the most urgent work; false if there is none. The plan is to be deinitialised. */
bool compaction_pick(const struct compaction_view *view, struct compaction_plan *ret_plan);
void compaction_plan_deinit(struct compaction_plan *plan);
/* Wanted bytes of each level, and the level that level 0 goes to: the last level that
 * holds data sets the scale, each above is a tenth (level_ratio), so that little but the
 * last level is superseded data (RocksDB's dynamic level bytes; Dong et al., CIDR 2017). */
void compaction_targets(const struct version *v, const struct engine_options *options,
                        uint64_t targets[ENGINE_LEVELS], uint32_t *ret_base);

struct compaction {
    struct compaction_plan plan;
    struct version *version; /* held by the owner */
    struct output output;
    struct floors floors;            /* copy of the durable ones */
    struct ballot gc_floor;          /* when the job started */
    struct ballot memory_ballot_min; /* lowest ballot ever put to a memtable that is alive */
    struct slot_set dropped_slots;   /* copy of the engine's, when the job started */
    uint64_t sweep;                  /* the engine's, when the job started */
    uint64_t expiry_ms;              /* what expires until then has expired */
    uint64_t table_bytes;            /* outputs are cut at */
    const atomic_bool *stop;         /* ends the job early */
    struct status status;            /* of the job */
    bool stopped;                    /* ended early: nothing came of it */
    uint64_t failed;                 /* table that could not be read; 0 = none */
    uint64_t dropped;                /* records that were not written */
    uint64_t slot_records;           /* of them: for their slot */
    bool clean;                      /* of a sweep: there was nothing to drop, nothing is written */
};

/* Takes the plan. The version must be held until deinit. */
void compaction_init(struct compaction *c, struct compaction_plan *take_plan,
                     struct version *version, const struct output_options *options);
/* Merge the inputs into outputs: blocking. Fills status, failed, stopped. */
void compaction_run(struct compaction *c);
void compaction_deinit(struct compaction *c);

#endif
