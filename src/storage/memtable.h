/* memtable.h - the newest versions of keys, in memory, ordered.
 *
 * Holds one record per ikey: the one with the highest ballot seen. Point
 * operations must not pay for order with a chain of cache misses; see
 * bench/README.md for what was measured before the structure was chosen.
 *
 * Lifecycle  create -> put* -> freeze -> (read only, from any thread) -> destroy
 * Owner      one shard's thread until frozen; afterwards readers on any thread
 * Memory     counted exactly by memtable_bytes; a put that would pass `bytes_max` is
 *            refused, but the first record is always taken, so that any legal
 *            record fits in an empty memtable
 * Failure    ST_FULL leaves it as it was
 */
#ifndef ATOLL_STORAGE_MEMTABLE_H
#define ATOLL_STORAGE_MEMTABLE_H

#include "storage/record.h"

struct memtable;

struct memtable *memtable_create(size_t bytes_max, uint64_t hash_seed);
void memtable_destroy(struct memtable *m);

/* Keep `r` if its ballot is above the one held for its ikey (equal or lower is
 * fine and changes nothing). `sequence` is the WAL position that makes it durable.
 * Copies what it needs. May overwrite a held value in place.
 * Errors  ST_FULL */
STATUS memtable_put(struct memtable *m, const struct record *r, uint64_t sequence);

/* Whether memtable_put is sure to take this record; may say no a little early. */
bool memtable_has_room(const struct memtable *m, const struct record *r);

/* Find the version held. Views hold until the next put.
 * Errors  ST_NOT_FOUND */
STATUS memtable_get(const struct memtable *m, struct bytes ikey, struct record *ret_record,
                    uint64_t *ret_sequence);

/* Start fetching what a coming get or put of this ikey will touch; no other
 * effect. Best called for a group of ikeys (about 16) before their gets and puts.
 * For the owner only, frozen or not: it remembers the last few. */
void memtable_prefetch(struct memtable *m, struct bytes ikey);

/* No more puts. Takes microseconds, as order is kept all along. The owner, or the
 * job that flushes while the owner's gets and iterators go on. */
void memtable_freeze(struct memtable *m);

size_t memtable_bytes(const struct memtable *m);
uint64_t memtable_count(const struct memtable *m);
/* Highest ballot and sequence of any record put; zero when empty. */
struct ballot memtable_ballot_max(const struct memtable *m);
uint64_t memtable_sequence_max(const struct memtable *m);

/* In ikey order. A put invalidates iterators: seek again. */
struct memtable_iterator {
    const struct memtable *memtable;
    const void *node;     /* private */
    const void *entry;    /* private */
    uint64_t changes;     /* private: the puts seen, to catch a put in between */
    struct record record; /* views hold while `valid`, until the next put */
    uint64_t sequence;    /* of the record */
    bool valid;           /* it stands on a record */
};

/* To the first record with ikey >= `ikey` (empty = the first of all). */
void memtable_iterator_seek(struct memtable_iterator *it, const struct memtable *m,
                            struct bytes ikey);
void memtable_iterator_next(struct memtable_iterator *it);
void memtable_iterator_deinit(struct memtable_iterator *it);

bool memtable_check(const struct memtable *m);

#endif
