/* range_walk.h - going over a shard's records in order of their ikeys, in slices, for work
 * that can wait: hints and repair.
 *
 * Between slices only the place is kept, so that puts may come between. Where a block is missing a job
 * reads it; the walk holds what was read since it last moved, so that a full cache cannot
 * starve it.
 *
 *   init -> seek -> (open -> (record, next)* -> pause)* -> deinit
 *
 * Owner      one shard
 * Memory     one ikey; while a block is being read the iterator and the blocks it needs
 * Failure    ST_WAIT     a block is being read: open again when `fetching` is over
 *            ST_CORRUPT  a block is damaged or cannot be read: the walk can only seek past it
 */
#ifndef ATOLL_SHARD_RANGE_WALK_H
#define ATOLL_SHARD_RANGE_WALK_H

#include "base/buffer.h"
#include "os/pool.h"
#include "storage/engine.h"

struct shard;

struct range_walk {
    struct shard *shard;
    void (*ready)(struct range_walk *w); /* a block is there; NULL = the owner looks by itself */
    void *owner;                         /* for `ready` */
    uint32_t ahead;                      /* blocks of a table read along with a missing one */
    struct buffer place;                 /* the next slice begins at this ikey */
    struct engine_iterator *iterator;    /* within a slice, or while a block is being read */
    struct cache_block *held;            /* blocks read since the walk last moved */
    uint32_t held_count;                 /* entries in `held` */
    uint32_t held_capacity;              /* entries that fit `held` */
    bool moved;                          /* since the last block was asked for */
    bool passed;                         /* some record was, since the last seek */
    bool fetching;                       /* a job reads a block */
    struct status fetched;               /* what became of it; written by the job */
    struct table_fetch wanted;           /* the block to read */
    struct cache_block block;            /* what the job read */
    struct os_job fetch;                 /* under way while `fetching` */
};

void range_walk_init(struct range_walk *w, struct shard *s);
/* Requires  !w->fetching */
void range_walk_deinit(struct range_walk *w);
/* Begin at the first record at `from`, or behind it; empty = the first of all.
 * Requires  !w->fetching */
void range_walk_seek(struct range_walk *w, struct bytes from, bool behind);

/* Begin a slice. Errors  ST_WAIT, ST_CORRUPT: there is no slice then.
 * Requires  !w->fetching */
STATUS range_walk_open(struct range_walk *w);
/* The record it stands on, until the next call; NULL at the end. Requires  a slice */
const struct record *range_walk_record(const struct range_walk *w);
/* Go past it. Errors  as range_walk_open: the slice is over */
STATUS range_walk_next(struct range_walk *w);
/* End the slice: the next one begins with the record it stands on. */
void range_walk_pause(struct range_walk *w);

/* The ikey gone past last; empty = none since the seek. Holds until the next call. */
struct bytes range_walk_last(const struct range_walk *w);
bool range_walk_check(const struct range_walk *w);

#endif
