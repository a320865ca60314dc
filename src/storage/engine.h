/* engine.h - one shard's log-structured merge tree (O'Neil et al. 1996).
 *
 * memtable + WAL -> tables in level 0 (overlapping, newest first) -> levels 1..6
 * (disjoint ranges, each ten times the one above). What each level holds is one
 * immutable, reference-counted `version`; the manifest is a log of edits to it.
 * Flush, compaction, syncs and reads that miss the cache are jobs (os/pool.h); the
 * owner calls job->done from its loop. Nothing here blocks the owner after open.
 *
 * Every record carries a ballot, and the highest ballot wins in every merge whatever
 * order records arrive in.
 *
 * Lifecycle  open -> (put | get | scan | turn | jobs)* -> close
 * Owner      one shard's thread
 * Memory     memtable_bytes x (1 active + memtables_max - 1 waiting for flush), WAL buffers, the
 *            shared cache (which counts filters and indexes too)
 * Failure    ST_FULL     no disk space: writes are refused, reads go on, and it
 *                        recovers by itself when space returns
 *            ST_BUSY     flush or compaction is behind (write stall); try again
 *            ST_CORRUPT  a block, WAL or manifest fails its checksum, or the disk cannot
 *                        read a block of a table when asked twice: reported with
 *                        file and offset, never served, never skipped; whoever can get
 *                        the data back may give up such tables (engine_drop_damaged)
 *            failed sync: the process ends (see wal.h)
 */
#ifndef ATOLL_STORAGE_ENGINE_H
#define ATOLL_STORAGE_ENGINE_H

#include "base/buffer.h"
#include "base/hash.h"
#include "os/loop.h"
#include "os/pool.h"
#include "storage/cache.h"
#include "storage/record.h"
#include "storage/table.h"
#include "storage/wal.h"

#define ENGINE_LEVELS 7u
#define ENGINE_MEMTABLES_MAX 16u

struct engine_options {
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    struct cache *cache;           /* shared; outlives the engine */
    struct rate_limit *rate_limit; /* shared by background writes; NULL = none */
    const char *dir;               /* this shard's folder, made if missing; copied */
    enum wal_sync sync;
    size_t memtable_bytes;          /* default 64 MiB */
    uint32_t memtables_max;         /* active and waiting, 2.. ; default 3 */
    uint32_t level0_tables_compact; /* start compacting at this many; default 4 */
    uint32_t level0_tables_slow;    /* writes are slowed from here on; default 12 */
    uint32_t level0_tables_stop;    /* writes are refused (ST_BUSY) from here on; default 24 */
    uint64_t level1_bytes; /* largest size of the level that level 0 goes to; default 256 MiB */
    uint32_t level_ratio;  /* each level is this many times the one above, 2.. ; default 10 */
    uint64_t table_bytes;  /* size of one table in level 1 and below; default 32 MiB */
    struct table_options table;          /* block size, filter, compression of the upper levels */
    enum compression bottom_compression; /* of the last level that holds data */
    uint32_t wal_segment_bytes;          /* 0 = default */
};

/* All sizes set to their defaults; os, loop, pool, cache and dir left NULL. */
struct engine_options engine_options_default(void);

struct engine;

/* Recover or make a shard: manifest, then the tables it names, then the WAL. Tables
 * and temporary files the manifest does not name are removed. Blocking.
 * Errors  ST_CORRUPT, ST_IO, ST_FULL, ST_NOT_FOUND (a named table is missing) */
STATUS engine_open(const struct engine_options *options, struct engine **ret_engine);
/* Begin to stop: no new background work. Then turn and deliver jobs until
 * engine_is_idle, then engine_close. With `flush` the memtables are flushed first. */
void engine_stop(struct engine *e, bool flush);
bool engine_is_idle(const struct engine *e);
void engine_close(struct engine *e);

/* ---- writes ---- */

/* Keep this record (R1's storage half: lower ballots change nothing). It can be read at
 * once; it may be acknowledged when engine_acknowledged() >= *ret_sequence.
 * Errors  ST_BUSY, ST_FULL (nothing was kept)
 *         ST_CONFLICT the ballot is at or below the gc floor: a tombstone above it may be gone
 *         already, so it would bring back what was deleted (R9); nothing was kept */
STATUS engine_put(struct engine *e, const struct record *r, uint64_t *ret_sequence);
uint64_t engine_acknowledged(const struct engine *e);

/* Once per loop turn, and at least once a second, since what failed for lack of space is
 * tried again by time: hand the turn's writes to the WAL's job, freeze and flush what
 * is due, start compactions. */
void engine_turn(struct engine *e);
/* For `--sync interval`: sync what was written so far. */
void engine_sync(struct engine *e);
/* What of the writes survives a power failure, whatever the mode; and where the last one ends. */
uint64_t engine_durable(const struct engine *e);
uint64_t engine_written(const struct engine *e);

/* 0 = none; rising to 1000 = refused. The owner slows writers in between. */
uint32_t engine_pressure_permille(const struct engine *e);

/* ---- reads ---- */

/* What one lookup holds on to; zeroed = fresh. Deinit after each use. */
struct engine_read {
    struct record record;           /* result; views hold until the next put or deinit */
    struct engine_memtable *memory; /* held while the result is in it */
    uint64_t sequence;              /* its WAL position if it is still in memory, else 0: do not
                                  show it to a client before engine_acknowledged() reaches it */
    struct cache_block block;       /* held */
    struct cache_block fetched;     /* given by the caller after ST_WAIT; taken by the retry */
    struct cache_block *held; /* all fetched so far, so that a tiny cache cannot starve the read */
    uint32_t held_count;
    uint32_t held_capacity;
    struct table_fetch fetch; /* after ST_WAIT: what to read in a job */
    struct version *version;  /* held while a fetch is under way */
};

/* The newest version of the key, tombstones and expired values included (the caller
 * judges with record_is_absent).
 * Errors  ST_NOT_FOUND, ST_WAIT (fetch r->fetch with table_fetch_block into r->fetched,
 *         then call again with the same r), ST_CORRUPT, ST_IO */
STATUS engine_get(struct engine *e, struct bytes ikey, bool may_block, struct engine_read *r);
void engine_read_deinit(struct engine *e, struct engine_read *r);
void engine_prefetch(const struct engine *e, struct bytes ikey);

/* In ikey order over a pinned version, newest ballots only, tombstones and expired
 * values included. Lives within one loop turn, or across fetches; puts made
 * meanwhile may or may not be seen (no snapshot), but the caller must seek again
 * after putting. */
struct engine_iterator;
struct engine_iterator *engine_iterator_create(struct engine *e, bool may_block);
void engine_iterator_destroy(struct engine_iterator *it);
/* Errors  ST_WAIT (fetch engine_iterator_fetch, then call again), ST_CORRUPT, ST_IO */
STATUS engine_iterator_seek(struct engine_iterator *it, struct bytes ikey);
STATUS engine_iterator_next(struct engine_iterator *it);
bool engine_iterator_valid(const struct engine_iterator *it);
const struct record *engine_iterator_record(const struct engine_iterator *it);
uint64_t engine_iterator_sequence(const struct engine_iterator *it);
/* What ST_WAIT waits for; give the fetched block back with engine_iterator_fetched. */
const struct table_fetch *engine_iterator_fetch(const struct engine_iterator *it);
void engine_iterator_fetched(struct engine_iterator *it, struct cache_block block);

/* About where a walk over all records is after so many thousandths of them: bytes that order like an
 * ikey. By the tables alone; nothing is given while there are none.
 * Requires  permille below 1000 */
void engine_place(const struct engine *e, uint32_t permille, struct buffer *ret_place);

/* ---- floors ---- */

/* Everything in the keyspace with a ballot at or below `floor` reads as absent from
 * now on and is dropped by compaction (TRUNCATE, FLUSHALL). `done` is called when
 * that is durable. */
void engine_truncate(struct engine *e, uint16_t keyspace, struct ballot floor,
                     void (*done)(void *user, struct status s), void *user);
/* All of the keyspace, whatever comes later too: its id is never used again. Returns at once, and
 * does nothing if it was dropped before. After a crash too soon it is to be dropped again. */
void engine_drop_keyspace(struct engine *e, uint16_t keyspace);
/* The keyspace's floor, durable or not yet; zero = never truncated. */
struct ballot engine_floor(const struct engine *e, uint16_t keyspace);
/* Whether all of them are durable. */
bool engine_floors_are_durable(const struct engine *e);
/* Tombstones and expired values with a ballot at or below this may be dropped
 * where nothing older lies anywhere else (R9); later puts at or below it are refused. It
 * never goes down, but for engine_clear_gc_floor and engine_drop_damaged, and is not kept on disk:
 * set it again after opening, before any put. A single node sets it to a few
 * seconds ago. */
void engine_set_gc_floor(struct engine *e, struct ballot floor);
struct ballot engine_gc_floor(const struct engine *e);
/* No compaction takes for expired what expires later than this, whatever the clock of this machine
 * says; without a call its clock alone decides. Where there are other replicas: a time that all of
 * them have passed, as one whose clock is ahead for a moment would lose for good what they keep. */
void engine_limit_expiry(struct engine *e, uint64_t wall_ms);
/* Nothing is forgotten from now on, and versions of any age are taken: before the first record of a
 * slot that this shard gains. Nothing comes of a compaction that still forgets; see
 * engine_is_dropping for one that cannot be held back. */
void engine_clear_gc_floor(struct engine *e);

/* Slots (base/hash.h) whose records this shard keeps no more, as bits, the lowest first: compaction
 * drops all of them, whatever their ballot, and a sweep through all tables begins when the set has
 * grown. Copied; replaces the set before; empty at first, and not kept on disk. What lies in
 * a reserved keyspace (limits.h) is never dropped. The caller hides such slots from every reader
 * and puts nothing into them. For one that comes back the new set must be in force before its
 * first record is put: then that record is safe, while what was left over may be gone or not. */
void engine_set_dropped_slots(struct engine *e, const uint8_t slots[SLOTS / 8]);
/* Whether what was left over of slots that came back, or a tombstone above the gc floor, may vanish
 * still, since a compaction under an earlier set or a higher floor is just being made durable:
 * a matter of one sync, if there is disk space. Neither compare nor count on it before. It does not
 * become true again unless the set is changed or the floor cleared. */
bool engine_is_dropping(const struct engine *e);
/* Whether anything is left in which there may be records of dropped slots. */
bool engine_is_sweeping(const struct engine *e);

/* Highest ballot stored, for the clock to start above. */
struct ballot engine_ballot_max(const struct engine *e);

/* ---- damage ---- */

/* Whether a table of the version has a block that is damaged or cannot be read: met by a read, a scan
 * or a compaction, and found again by a job that read all of the table. Known within seconds of
 * engine_turns, or ten when there was another verdict just before. Each such table is logged once, and
 * looked at again every ten minutes: the disk may have been away. */
bool engine_is_damaged(const struct engine *e);
/* Give up the damaged tables: what cannot be read of them is gone, so that older versions and what
 * its tombstones hid may show, and the gc floor is zero again, as what is put back may be as old as
 * any. Do not set it before everything is back. What is whole in them is written anew: others may
 * not have it. `done` is called when that is durable, or with ST_BUSY or ST_FULL when the engine is
 * closed before. Waits for a compaction to end, and for disk space. All of each table is read once
 * more before: one that is well now is no longer damaged and stays. The files are kept as
 * `damaged-0` .. `damaged-3`, the oldest first to be overwritten.
 * Requires  no earlier call whose `done` is still to come */
void engine_drop_damaged(struct engine *e, void (*done)(void *user, struct status s), void *user);

/* ---- care ---- */

/* Compact everything down to the last level (admin, benchmarks); poll with engine_is_compacting. */
void engine_compact_all(struct engine *e);
/* Freeze and flush the memtable now. */
void engine_flush(struct engine *e);
bool engine_is_busy(const struct engine *e); /* some flush or compaction is due or under way */

struct engine_stats {
    struct wal_stats wal;
    uint64_t puts;
    uint64_t gets;
    uint64_t gets_memory;      /* answered from a memtable */
    uint64_t filter_checks;    /* tables whose filter was asked */
    uint64_t filter_negatives; /* tables skipped thanks to the filter */
    uint64_t filter_false_positives;
    uint64_t flushes;
    uint64_t compactions;
    uint64_t flush_bytes; /* written by flushes */
    uint64_t compaction_bytes_read;
    uint64_t compaction_bytes_written;
    uint64_t sweep_bytes;          /* tables looked through for records of dropped slots */
    uint64_t sweep_bytes_left;     /* tables that this is still to be done with */
    uint64_t slot_records_dropped; /* by compactions, because their slot is dropped */
    uint64_t stalls;               /* puts refused with ST_BUSY */
    uint64_t full;                 /* puts refused with ST_FULL */
    uint64_t corruptions;          /* reads that met a bad block */
    uint64_t tables_dropped;       /* by engine_drop_damaged */
    uint64_t level_tables[ENGINE_LEVELS];
    uint64_t level_bytes[ENGINE_LEVELS];
    uint64_t records; /* in all tables and memtables, superseded ones included */
    uint64_t tombstones;
    uint64_t memtable_bytes;
    uint64_t memtables; /* active and waiting */
    bool disk_full;     /* the last attempt to write met no space */
};
struct engine_stats engine_stats(const struct engine *e);

/* Who hears of a verification. */
struct engine_verify_listener {
    void (*report)(void *user, const char *line); /* one line per finding */
    void (*advance)(void *user, uint64_t bytes); /* of tables, that were read; NULL = nobody asks */
    void *user;                                  /* for both */
};
/* Verify a shard's folder offline: manifest, every table, the WAL. */
STATUS engine_verify(struct os *os, const char *dir, const struct engine_verify_listener *listener,
                     uint64_t *ret_records, uint64_t *ret_bad);

#endif
