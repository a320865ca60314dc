/* engine_tables.h - tables of given keys on a simulated disk, for tests of version, merge and
 * compaction. Key n is "k" and n in five digits; its value is its ballot's stamp. */
#ifndef TEST_ENGINE_TABLES_H
#define TEST_ENGINE_TABLES_H

#include "sim/os_sim.h"
#include "storage/compaction.h"

#define ENGINE_TABLES_DIR "/tables"

struct engine_tables {
    struct sim_disk *disk;
    struct os *os;
    struct cache *cache;
    struct output_options output;
    atomic_uint_fast64_t number_next;
    struct version *version;
};

void engine_tables_init(struct engine_tables *t);
void engine_tables_deinit(struct engine_tables *t);
struct bytes engine_tables_ikey(uint32_t key, uint8_t *space);
/* Add a table with keys first, first + step, .. up to last, all of this stamp, to a level. */
void engine_tables_add(struct engine_tables *t, uint32_t level, uint32_t first, uint32_t last,
                       uint32_t step, uint64_t stamp, uint8_t flags);
/* Add a table of the last level with so many keys of keyspaces 1, 2 and 3, 8 bytes each. */
void engine_tables_add_keyspaces(struct engine_tables *t, const uint32_t counts[3], uint64_t stamp);
/* A compaction over the present version as the engine would start it. */
bool engine_tables_pick(struct engine_tables *t, const struct engine_options *options,
                        uint64_t gc_floor, bool everything, struct compaction_plan *ret_plan);
/* Run it and put the outcome in place; returns the number of records dropped. */
uint64_t engine_tables_run(struct engine_tables *t, struct compaction_plan *take_plan,
                           uint64_t gc_floor, uint64_t memory_stamp_min,
                           const struct floors *floors);
uint64_t engine_tables_records(const struct engine_tables *t);

#endif
