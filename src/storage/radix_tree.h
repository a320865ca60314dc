/* radix_tree.h - memtable entries in ikey order.
 *
 * An adaptive radix tree (Leis, Kemper, Neumann 2013): a node branches on one
 * byte, holds 4, 8, 16, 32, 64 or 256 children and skips the bytes that all
 * keys below it share. An ikey may be a prefix of another: a node has a place
 * for the entry that ends where it branches. A descent does not compare the
 * skipped bytes it has no copy of but checks the key it arrives at, and climbs
 * by the parent links if it took a wrong turn; the same links let an iterator
 * go on from where it stands without a stack.
 *
 * Lifecycle  init -> insert* ; freed with the arena
 * Owner      one thread; once nothing is inserted any more, all may read
 * Memory     from the arena; nodes outgrown are reused
 * Failure    none
 */
#ifndef ATOLL_STORAGE_RADIX_TREE_H
#define ATOLL_STORAGE_RADIX_TREE_H

#include "base/arena.h"
#include "storage/memtable_internal.h"

#define RADIX_KINDS 6u
#define RADIX_GROUP_MAX 32u
/* The most that one insert takes from the arena. */
#define RADIX_INSERT_BYTES_MAX 2304u

struct radix_node;

struct radix_tree {
    struct arena *arena;                  /* lent by the caller for the lifetime */
    uintptr_t root;                       /* tagged: node or entry; 0 while empty */
    struct radix_node *free[RADIX_KINDS]; /* outgrown nodes by kind, linked by `parent` */
};

/* Where an iterator stands. */
struct radix_position {
    const struct radix_node *node;      /* holds the entry; NULL if the entry is the root */
    const struct memtable_entry *entry; /* NULL = past the end */
};

void radix_tree_init(struct radix_tree *t, struct arena *arena);

/* Requires that no entry in the tree has the same ikey. */
void radix_tree_insert(struct radix_tree *t, struct memtable_entry *e);

/* The same for several, up to RADIX_GROUP_MAX: their fetches overlap, which at a
 * million keys makes an insert three times as fast. */
void radix_tree_insert_group(struct radix_tree *t, struct memtable_entry **entries, uint32_t count);

/* The first entry with ikey >= `ikey`. */
struct radix_position radix_tree_seek(const struct radix_tree *t, struct bytes ikey);
/* The entry after the one at `p`, which must not be past the end. */
struct radix_position radix_tree_next(struct radix_position p);

/* Walks all of it: order, depths, parents, counts. *ret_entries is how many it holds. */
bool radix_tree_check(const struct radix_tree *t, uint64_t *ret_entries);

#endif
