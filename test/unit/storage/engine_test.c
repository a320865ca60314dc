/* An engine answers as a sorted map with the highest ballot of each key would, whatever
 * the sizes, the order of arrival, and what flush and compaction do meanwhile. */
#include "storage/engine.h"

#include "base/mem.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#include <stdio.h>

static struct engine_world w;

static void fail_if(const char *wrong, uint64_t seed, uint32_t step) {
    if (wrong != NULL) printf("seed 0x%llx step %u: %s\n", (unsigned long long)seed, step, wrong);
    CHECK(wrong == NULL);
}

/* Every kind of call at random, small sizes, reopened now and then. */
TEST(engine, behaves_as_a_sorted_map) {
    uint64_t levels = 0;
    for (uint64_t round = 0; round < 30; round++) {
        const uint64_t seed = test_seed() + round;
        engine_world_init(&w, NULL, seed);
        engine_world_options_small(&w);
        w.key_count = 50u << (round % 5);
        CHECK_OK(engine_world_open(&w));
        for (uint32_t step = 0; step < 10000; step++) {
            fail_if(engine_world_step(&w), seed, step);
            if (sim_random_chance(&w.random, 1, 1500)) {
                engine_world_close(&w, sim_random_chance(&w.random, 1, 2));
                CHECK_OK(engine_world_open(&w));
                fail_if(engine_world_check_all(&w), seed, step);
            }
        }
        engine_world_settle(&w);
        fail_if(engine_world_check_all(&w), seed, UINT32_MAX);
        engine_compact_all(w.engine);
        engine_world_settle(&w);
        fail_if(engine_world_check_all(&w), seed, UINT32_MAX);
        levels |= w.levels_seen;
        engine_world_deinit(&w);
    }
    CHECK(levels & 1u);
    CHECK(levels & 1u << 6);
}

/* Enough data for the smallest sizes that every level comes into use. */
TEST(engine, uses_all_levels) {
    const uint64_t seed = test_seed();
    engine_world_init(&w, NULL, seed);
    engine_world_options_small(&w);
    w.options.level_ratio = 2;
    w.options.level1_bytes = 2048;
    w.options.table_bytes = 1024;
    w.options.table.compression = COMPRESSION_NONE;
    w.options.bottom_compression = COMPRESSION_NONE;
    w.key_count = ENGINE_WORLD_KEYS_MAX;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t i = 0; i < 12 * ENGINE_WORLD_KEYS_MAX && w.levels_seen != 0x7f; i++) {
        const struct status s =
            engine_world_put(&w, (uint32_t)sim_random_below(&w.random, w.key_count));
        CHECK(status_ok(s) || s.code == ST_BUSY);
        engine_turn(w.engine);
        engine_world_pump(&w, 2);
    }
    CHECK_EQ(w.levels_seen, 0x7f);
    fail_if(engine_world_check_all(&w), seed, 0);
    engine_world_deinit(&w);
}
