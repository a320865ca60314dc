/* What a compaction is allowed to drop, case by case, and what is chosen to be compacted. */
#include "storage/compaction.h"

#include "test/unit/harness.h"
#include "test/unit/storage/engine_tables.h"

#define MEMORY_EMPTY UINT64_MAX

static struct engine_tables t;
static struct compaction_plan plan;

static struct engine_options options(void) {
    struct engine_options o = engine_options_default();
    o.level0_tables_compact = 2;
    return o;
}

static void pick_all_of_level0(void) {
    const struct engine_options o = options();
    CHECK(engine_tables_pick(&t, &o, 0, false, &plan));
    CHECK_EQ(plan.kind, COMPACTION_MERGE);
    CHECK_EQ(plan.level_output, ENGINE_LEVELS - 1);
}

/* Superseded versions go at once; a tombstone stays while the gc floor is below it. */
TEST(compaction, keeps_a_tombstone_above_the_floor) {
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 7, RECORD_TOMBSTONE);
    pick_all_of_level0();
    CHECK_EQ(engine_tables_run(&t, &plan, 6, MEMORY_EMPTY, NULL), 0);
    CHECK_EQ(engine_tables_records(&t), 10);
    engine_tables_deinit(&t);
}

TEST(compaction, drops_a_tombstone_at_the_floor) {
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 7, RECORD_TOMBSTONE);
    pick_all_of_level0();
    CHECK_EQ(engine_tables_run(&t, &plan, 7, MEMORY_EMPTY, NULL), 10);
    CHECK_EQ(engine_tables_records(&t), 0);
    engine_tables_deinit(&t);
}

/* An older version arrived late and is still in a memtable. */
TEST(compaction, keeps_a_tombstone_that_hides_something_in_memory) {
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 7, RECORD_TOMBSTONE);
    pick_all_of_level0();
    CHECK_EQ(engine_tables_run(&t, &plan, 9, 6, NULL), 0);
    engine_tables_deinit(&t);
}

/* Level 5 into 6, while level 0 above holds older versions of keys 0, 10, .. that came later. */
TEST(compaction, keeps_a_tombstone_that_hides_something_above) {
    engine_tables_init(&t);
    engine_tables_add(&t, 6, 0, 99, 1, 5, 0);
    engine_tables_add(&t, 5, 0, 99, 1, 7, RECORD_TOMBSTONE);
    engine_tables_add(&t, 0, 0, 99, 10, 3, 0);
    struct engine_options o = options();
    o.level1_bytes = 10;
    CHECK(engine_tables_pick(&t, &o, 0, false, &plan));
    CHECK_EQ(plan.inputs[0].level, 5);
    CHECK_EQ(engine_tables_run(&t, &plan, 9, MEMORY_EMPTY, NULL), 90);
    CHECK_EQ(engine_tables_records(&t), 20);
    engine_tables_deinit(&t);
}

/* Level 0 into 5, while level 6 holds what the tombstones hide. */
TEST(compaction, keeps_a_tombstone_that_hides_something_below) {
    engine_tables_init(&t);
    engine_tables_add(&t, 6, 0, 49, 1, 5, 0);
    engine_tables_add(&t, 5, 100, 150, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 99, 1, 7, RECORD_TOMBSTONE);
    engine_tables_add(&t, 0, 50, 149, 1, 8, RECORD_TOMBSTONE);
    const struct engine_options o = options();
    CHECK(engine_tables_pick(&t, &o, 0, false, &plan));
    CHECK_EQ(plan.level_output, 5);
    engine_tables_run(&t, &plan, 9, MEMORY_EMPTY, NULL);
    /* Keys 0..49 keep their tombstones over level 6; key 150 was never deleted. */
    CHECK_EQ(engine_tables_records(&t), 50 + 50 + 1);
    engine_tables_deinit(&t);
}

TEST(compaction, drops_what_is_truncated) {
    struct floors floors = { 0 };
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 5, 14, 1, 7, 0);
    floors_raise(&floors, 1, (struct ballot){ 6, 0, 0 });
    pick_all_of_level0();
    CHECK_EQ(engine_tables_run(&t, &plan, 0, 0, &floors), 5);
    CHECK_EQ(engine_tables_records(&t), 10);
    floors_deinit(&floors);
    engine_tables_deinit(&t);
}

/* In place, once, after a while, and only if it is worth it. */
TEST(compaction, writes_a_table_anew_that_is_truncated_in_part) {
    struct floors floors = { 0 };
    const struct engine_options o = options();
    engine_tables_init(&t);
    engine_tables_add_keyspaces(&t, (uint32_t[]){ 3000, 2000, 3000 }, 5);
    struct compaction_view view = {
        .version = t.version, .options = &o, .floors = &floors, .wall_ms = 1000
    };
    CHECK(!compaction_pick(&view, &plan));
    floors_raise(&floors, 2, (struct ballot){ 4, 0, 0 });
    CHECK(!compaction_pick(&view, &plan));
    floors_raise(&floors, 2, FLOOR_OF_ALL);
    t.version->levels[6].tables[0].garbage_due_ms = 2000;
    CHECK(!compaction_pick(&view, &plan));
    view.wall_ms = 2000;
    CHECK(compaction_pick(&view, &plan));
    CHECK(plan.for_garbage);
    CHECK_EQ(plan.kind, COMPACTION_MERGE);
    CHECK_EQ(plan.level_output, 6);
    CHECK_EQ(engine_tables_run(&t, &plan, 0, 0, &floors), 2000);
    CHECK_EQ(engine_tables_records(&t), 6000);
    view.version = t.version;
    CHECK(!compaction_pick(&view, &plan));
    floors_deinit(&floors);
    engine_tables_deinit(&t);

    engine_tables_init(&t);
    engine_tables_add_keyspaces(&t, (uint32_t[]){ 3000, 300, 3000 }, 5);
    floors_raise(&floors, 2, FLOOR_OF_ALL);
    view.version = t.version;
    CHECK(!compaction_pick(&view, &plan));
    floors_raise(&floors, 3, FLOOR_OF_ALL);
    CHECK(compaction_pick(&view, &plan));
    CHECK_EQ(engine_tables_run(&t, &plan, 0, 0, &floors), 3300);
    floors_deinit(&floors);
    engine_tables_deinit(&t);
}

/* Tables that nothing overlaps go down as they are. */
TEST(compaction, moves_what_overlaps_nothing) {
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 10, 19, 1, 5, 0);
    const struct engine_options o = options();
    CHECK(engine_tables_pick(&t, &o, 0, false, &plan));
    CHECK_EQ(plan.kind, COMPACTION_MOVE);
    CHECK_EQ(plan.input_count, 1);
    compaction_plan_deinit(&plan);
    engine_tables_deinit(&t);
}

/* A table that cannot be read is never chosen, alone or with others: level 0 goes above it. */
TEST(compaction, goes_above_bad_tables) {
    const struct floors none = { 0 };
    engine_tables_init(&t);
    engine_tables_add(&t, 6, 0, 99, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 6, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 7, 0);
    const uint64_t bad = t.version->levels[6].tables[0].number;
    const struct engine_options o = options();
    struct compaction_view view = {
        .version = t.version, .options = &o, .floors = &none, .bad = &bad, .bad_count = 1
    };
    CHECK(compaction_pick(&view, &plan));
    CHECK_EQ(plan.level_output, 5);
    CHECK_EQ(plan.input_count, 2);
    CHECK_EQ(engine_tables_run(&t, &plan, 0, MEMORY_EMPTY, NULL), 0);
    CHECK_EQ(engine_tables_records(&t), 110);
    CHECK_EQ(t.version->levels[0].count, 0);
    view.version = t.version;
    CHECK(!compaction_pick(&view, &plan));
    engine_tables_deinit(&t);
}

/* With nothing above it they become fewer where they are, those of like size first. */
TEST(compaction, merges_within_level0_above_bad_tables) {
    const struct floors none = { 0 };
    engine_tables_init(&t);
    engine_tables_add(&t, 1, 0, 999, 1, 5, 0);
    engine_tables_add(&t, 0, 0, 999, 1, 6, 0);
    engine_tables_add(&t, 0, 0, 9, 1, 7, 0);
    engine_tables_add(&t, 0, 5, 14, 1, 8, 0);
    const uint64_t bad = t.version->levels[1].tables[0].number;
    struct engine_options o = options();
    o.level1_bytes = 100;
    struct compaction_view view = {
        .version = t.version, .options = &o, .floors = &none, .bad = &bad, .bad_count = 1
    };
    CHECK(compaction_pick(&view, &plan));
    CHECK_EQ(plan.level_output, 0);
    CHECK_EQ(plan.input_count, 2);
    CHECK_EQ(engine_tables_run(&t, &plan, 0, MEMORY_EMPTY, NULL), 0);
    CHECK_EQ(engine_tables_records(&t), 2015);
    CHECK_EQ(t.version->levels[0].count, 2);
    view.version = t.version;
    CHECK(!compaction_pick(&view, &plan)); /* not the large one for a small one */
    engine_tables_deinit(&t);
}

/* The last level sets the scale: each above is a tenth, down to the largest base. */
TEST(compaction, scales_levels_by_the_last) {
    uint64_t targets[ENGINE_LEVELS];
    uint32_t base;
    struct engine_options o = options();
    engine_tables_init(&t);
    compaction_targets(t.version, &o, targets, &base);
    CHECK_EQ(base, 6);
    engine_tables_add(&t, 6, 0, 9999, 1, 5, 0);
    const uint64_t bytes = t.version->levels[6].bytes;
    o.level1_bytes = bytes / 50;
    compaction_targets(t.version, &o, targets, &base);
    CHECK_EQ(base, 4);
    CHECK_EQ(targets[4], bytes / 100);
    CHECK_EQ(targets[5], bytes / 100 * 10);
    CHECK_EQ(targets[3], 0);
    engine_tables_deinit(&t);
}

/* A sweep takes what is behind it, when nothing else is to be done: level 0 as a whole, then a few
 * neighbours in place; never a table that cannot be read. */
TEST(compaction, sweeps_last_and_in_place) {
    const struct floors none = { 0 };
    engine_tables_init(&t);
    for (uint32_t k = 0; k < 7; k++) engine_tables_add(&t, 6, 10 * k, 10 * k + 9, 1, 5, 0);
    t.version->levels[6].tables[1].sweep = 3;
    const uint64_t bad = t.version->levels[6].tables[6].number;
    const struct engine_options o = options();
    struct compaction_view view = {
        .version = t.version, .options = &o, .floors = &none, .bad = &bad, .bad_count = 1
    };
    CHECK(!compaction_pick(&view, &plan)); /* no sweep is wanted */
    view.sweep = 3;
    const uint32_t firsts[] = { 0, 2 };
    const uint32_t counts[] = { 1, COMPACTION_SWEEP_TABLES_MAX };
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(compaction_pick(&view, &plan));
        CHECK_EQ(plan.kind, COMPACTION_MERGE);
        CHECK_EQ(plan.level_output, 6);
        CHECK_EQ(plan.inputs[0].index, firsts[i]);
        CHECK_EQ(plan.input_count, counts[i]);
        CHECK(plan.for_sweep);
        for (uint32_t k = 0; k < plan.input_count; k++)
            t.version->levels[6].tables[plan.inputs[k].index].sweep = 3;
        compaction_plan_deinit(&plan);
    }
    CHECK(!compaction_pick(&view, &plan)); /* what is left is bad */

    engine_tables_add(&t, 0, 0, 9, 1, 6, 0);
    view.version = t.version;
    CHECK(compaction_pick(&view, &plan));
    CHECK(plan.for_sweep);
    CHECK_EQ(plan.kind, COMPACTION_MERGE);
    CHECK_EQ(plan.input_count, 2);
    CHECK_EQ(plan.level_output, 6);
    compaction_plan_deinit(&plan);
    engine_tables_add(&t, 0, 0, 9, 1, 7, 0);
    view.version = t.version;
    CHECK(compaction_pick(&view, &plan)); /* level 0 is due, whatever is swept */
    CHECK(!plan.for_sweep);
    compaction_plan_deinit(&plan);
    engine_tables_deinit(&t);
}
