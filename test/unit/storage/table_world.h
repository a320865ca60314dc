/* table_world.h - a simulated disk with one table and the sorted records it was made of.
 *
 * Lifecycle  init -> (make | write -> open -> close)* -> deinit
 * Memory     records and their bytes belong to the world until the next make
 */
#ifndef TEST_TABLE_WORLD_H
#define TEST_TABLE_WORLD_H

#include "base/arena.h"
#include "sim/os_sim.h"
#include "storage/table.h"

#define TABLE_PATH "/tables/1"

struct table_world {
    struct sim_disk *disk;
    struct os *os;
    struct cache *cache;
    struct table *table;    /* NULL = not open */
    struct arena arena;     /* of the records */
    struct record *records; /* in ikey order */
    size_t count;
    uint64_t seed;
};

void table_world_init(struct table_world *v, uint64_t seed, size_t cache_bytes);
void table_world_deinit(struct table_world *v);
uint64_t table_world_random(struct table_world *v, uint64_t bound);

/* Records of all kinds: values, tombstones, expiries, op ids; keys of up to
 * `ikey_len_max` bytes over few letters. Fewer than `count` when keys collide. */
void table_world_make(struct table_world *v, size_t count, size_t ikey_len_max,
                      size_t value_len_max);
/* Some ikey, mostly none of the records'. */
struct bytes table_world_ikey(struct table_world *v, size_t ikey_len_max);
STATUS table_world_write(struct table_world *v, const struct table_options *options);
STATUS table_world_open(struct table_world *v);
void table_world_close(struct table_world *v);

/* Index of the first record with an ikey >= `ikey`. */
size_t table_world_lower(const struct table_world *v, struct bytes ikey);
bool table_world_same(const struct record *a, const struct record *b);
/* Look `ikey` up with or without blocking, fetching as told, and compare. Gives the
 * error of the table, if any; a wrong answer fails the test. */
STATUS table_world_get(struct table_world *v, struct bytes ikey, bool may_block);
/* Seek, then compare `steps` records; fetches as told. */
STATUS table_world_scan(struct table_world *v, struct table_iterator *it, struct bytes ikey,
                        size_t steps);

#endif
