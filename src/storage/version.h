/* version.h - which tables each level holds: immutable, shared, counted.
 *
 * A change makes a new version; readers keep the one they started with, and a
 * table's file goes only after the last version that lists it.
 *
 * Lifecycle  version_empty or version_change -> (retain | release)*
 * Owner      one shard's thread counts references; jobs may read a version that
 *            their submitter holds
 * Memory     one reference to each table listed
 */
#ifndef ATOLL_STORAGE_VERSION_H
#define ATOLL_STORAGE_VERSION_H

#include "storage/engine.h"

struct version_table {
    struct table *table;   /* one reference for each version that lists it */
    uint64_t number;       /* names the file; a higher one was written later */
    uint64_t bytes;        /* size of the file */
    struct bytes ikey_min; /* views into the table's memory */
    struct bytes ikey_max;
    struct ballot ballot_max; /* of any record in it */
    uint64_t garbage_due_ms;  /* wall time from which it may be rewritten for its garbage alone */
    uint64_t garbage_wait_ms; /* how long such a rewrite waits; doubled when one freed little */
    uint64_t sweep; /* the last one that left nothing to drop in it (rule 4 of compaction.h) */
};

struct version_level {
    struct version_table *tables; /* level 0: newest first; others: by ikey, ranges disjoint */
    uint64_t *prefixes;           /* levels 1..: 8 bytes of each ikey_max after the shared ones */
    uint64_t bytes;               /* sum over the tables */
    uint32_t count;
    uint32_t shared_bytes; /* all ikey_max of the level start with these same bytes */
};

struct version {
    struct version_level levels[ENGINE_LEVELS];
    struct ballot ballot_max; /* of any record in any table */
    uint32_t references;
};

/* What becomes of one table: added to a level, or removed from one. */
struct version_add {
    struct version_table table; /* the new version takes a reference of its own */
    uint32_t level;
};
struct version_delete {
    uint64_t number;
    uint32_t level;
};

/* All that table_properties tells, as a version keeps it. */
struct version_table version_table_of(struct table *t, uint64_t number);

struct version *version_empty(void);
/* `base` without `deletes` and with `adds`; a table may move by being in both.
 * Requires every delete to be listed in base, and ranges to stay disjoint. */
struct version *version_change(const struct version *base, const struct version_delete *deletes,
                               uint32_t delete_count, const struct version_add *adds,
                               uint32_t add_count);
void version_retain(struct version *v);
void version_release(struct version *v);

/* The first table of a level (1..) whose ikey_max is not below `ikey`; count if none. */
uint32_t version_find(const struct version_level *level, struct bytes ikey);
/* Whether the table's range holds the ikey. */
static inline bool version_table_covers(const struct version_table *t, struct bytes ikey) {
    return bytes_compare(t->ikey_min, ikey) <= 0 && bytes_compare(ikey, t->ikey_max) <= 0;
}
/* Tables of a level (1..) that overlap [ikey_min, ikey_max]: *ret_count from *ret_first on. */
void version_overlap(const struct version_level *level, struct bytes ikey_min,
                     struct bytes ikey_max, uint32_t *ret_first, uint32_t *ret_count);
/* Bytes of those tables. */
uint64_t version_overlap_bytes(const struct version_level *level, struct bytes ikey_min,
                               struct bytes ikey_max);
/* The table with this number, NULL if the level has none. */
const struct version_table *version_table_at(const struct version *v, uint32_t level,
                                             uint64_t number);

bool version_check(const struct version *v);

#endif
