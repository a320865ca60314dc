/* merge.h - many sorted sources as one: each ikey once, with its highest ballot.
 *
 * A source is a memtable or a run of tables with disjoint ranges in order (a whole
 * level, or one table). Sources that stand on the same ikey form the group; the
 * group's highest ballot is the record. The other sources wait in a heap.
 *
 * Lifecycle  init -> add_* -> (seek -> next*)* -> deinit
 * Owner      one thread: a reader's loop, or a job
 * Memory     one small state a source; sources are not retained
 * Failure    ST_WAIT names a block in `fetch`; the same call goes on where it stopped.
 *            ST_CORRUPT and ST_IO name the table in `failed`; seek again or give up
 */
#ifndef ATOLL_STORAGE_MERGE_H
#define ATOLL_STORAGE_MERGE_H

#include "base/buffer.h"
#include "storage/memtable.h"
#include "storage/version.h"

struct merge_source {
    const struct record *record;        /* what it stands on; NULL past the end */
    const struct memtable *memtable;    /* NULL for tables */
    struct memtable_iterator memory;    /* of that memtable */
    const struct version_table *tables; /* the run */
    uint32_t table_count;
    uint32_t index; /* table it stands in, 0..table_count */
    bool opened;    /* `iterator` is initialised, for tables[index] */
    bool entered;   /* `iterator` was positioned in tables[index] */
    struct table_iterator iterator;
};

struct merge {
    struct merge_source *sources;
    uint32_t count;
    uint32_t capacity;
    uint32_t *heap; /* sources not in the group and not at their end; least ikey first */
    uint32_t heap_count;
    uint32_t *group;             /* sources that stand on the ikey of `record` */
    uint32_t group_count;        /* those still to be advanced, during an interrupted next */
    uint32_t winner;             /* source of `record` */
    const struct record *record; /* NULL past the end, and between ST_WAIT and the retry */
    struct buffer target;        /* ikey of the seek under way */
    uint32_t seek_index;         /* source the interrupted seek goes on with */
    bool seeking;                /* a seek was interrupted */
    bool may_block;              /* read missing blocks at once */
    bool bypass_cache;           /* keep nothing in the cache */
    struct table_fetch fetch;    /* after ST_WAIT */
    uint64_t failed;             /* number of the table that gave ST_CORRUPT or ST_IO */
};

void merge_init(struct merge *m, bool may_block, bool bypass_cache);
void merge_deinit(struct merge *m);
/* Both only before the first seek. */
void merge_add_memtable(struct merge *m, const struct memtable *memtable);
void merge_add_tables(struct merge *m, const struct version_table *tables, uint32_t count);
/* All tables of the version. */
void merge_add_version(struct merge *m, const struct version *v);

/* To the first ikey >= `ikey` (empty = the first of all).
 * Errors  ST_WAIT, ST_CORRUPT, ST_IO */
STATUS merge_seek(struct merge *m, struct bytes ikey);
/* Requires a record, or an interrupted next. */
STATUS merge_next(struct merge *m);
/* The memtable that holds the record, NULL if a table does. */
const struct memtable *merge_memtable(const struct merge *m);

bool merge_check(const struct merge *m);

#endif
