/* A merge gives each key once, with its highest ballot, in order, from any mix of sources. */
#include "storage/merge.h"

#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_tables.h"

#include <string.h>

#define KEYS 300u

static struct engine_tables t;
static uint64_t best[KEYS];

static void add_to(struct memtable *m, uint32_t key, uint64_t stamp) {
    uint8_t space[IKEY_BYTES_MAX];
    const struct record r = { .ikey = engine_tables_ikey(key, space),
                              .ballot = { stamp, 1, 1 },
                              .value = bytes_of(&stamp, sizeof stamp) };
    CHECK_OK(memtable_put(m, &r, stamp));
    if (stamp > best[key]) best[key] = stamp;
}

/* Finish a call that waits for blocks. */
#define FETCHING(call)                                    \
    for (;;) {                                            \
        const struct status fetching_ = (call);           \
        if (fetching_.code != ST_WAIT) {                  \
            CHECK_OK(fetching_);                          \
            break;                                        \
        }                                                 \
        struct cache_block fetched_;                      \
        CHECK_OK(table_fetch_block(&m.fetch, &fetched_)); \
        cache_release(t.cache, &fetched_);                \
    }

static void check_from(struct merge *from, uint32_t key) {
    uint8_t space[IKEY_BYTES_MAX];
    struct merge m = *from;
    FETCHING(merge_seek(&m, engine_tables_ikey(key, space)));
    for (; key < KEYS; key++) {
        if (best[key] == 0) continue;
        CHECK(m.record != NULL);
        CHECK(merge_check(&m));
        CHECK_BYTES(m.record->ikey, engine_tables_ikey(key, space));
        CHECK_EQ(m.record->ballot.stamp, best[key]);
        FETCHING(merge_next(&m));
    }
    CHECK(m.record == NULL);
    *from = m;
}

TEST(merge, gives_the_highest_ballot_of_each_key) {
    struct sim_random random = sim_random_of(test_seed());
    for (uint32_t round = 0; round < 30; round++) {
        engine_tables_init(&t);
        memset(best, 0, sizeof best);
        struct memtable *memtables[2];
        for (uint32_t i = 0; i < 2; i++) {
            memtables[i] = memtable_create(1u << 20, 1);
            for (uint32_t k = 0; k < 60; k++) {
                add_to(memtables[i], (uint32_t)sim_random_below(&random, KEYS),
                       1 + sim_random_below(&random, 90));
            }
        }
        for (uint32_t i = 0; i < 6; i++) {
            const uint32_t first = (uint32_t)sim_random_below(&random, KEYS / 2);
            const uint32_t last = first + (uint32_t)sim_random_below(&random, KEYS / 2);
            const uint32_t step = 1 + (uint32_t)sim_random_below(&random, 5);
            const uint64_t stamp = 1 + sim_random_below(&random, 90);
            engine_tables_add(&t, 0, first, last, step, stamp, 0);
            for (uint32_t k = first; k <= last; k += step) {
                if (stamp > best[k]) best[k] = stamp;
            }
        }
        for (uint32_t i = 0; i < 5; i++) {
            engine_tables_add(&t, 4, i * 60, i * 60 + 49, 1, 40, 0);
            for (uint32_t k = i * 60; k <= i * 60 + 49; k++) {
                if (best[k] < 40) best[k] = 40;
            }
        }
        struct merge m;
        merge_init(&m, round % 2 == 0, round % 4 == 0);
        for (uint32_t i = 0; i < 2; i++) merge_add_memtable(&m, memtables[i]);
        const struct version *v = t.version;
        for (uint32_t i = 0; i < 6; i++) merge_add_tables(&m, &v->levels[0].tables[i], 1);
        merge_add_tables(&m, v->levels[4].tables, v->levels[4].count);
        check_from(&m, 0);
        for (uint32_t i = 0; i < 10; i++) check_from(&m, (uint32_t)sim_random_below(&random, KEYS));
        merge_deinit(&m);
        for (uint32_t i = 0; i < 2; i++) memtable_destroy(memtables[i]);
        engine_tables_deinit(&t);
    }
}

TEST(merge, of_nothing_is_empty) {
    struct merge m;
    merge_init(&m, true, false);
    CHECK_OK(merge_seek(&m, BYTES_NONE));
    CHECK(m.record == NULL);
    merge_deinit(&m);
}
