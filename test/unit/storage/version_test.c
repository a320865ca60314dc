/* A version finds the one table of a level that may hold a key, and the tables that a range touches. */
#include "storage/version.h"

#include "test/unit/harness.h"
#include "test/unit/storage/engine_tables.h"

static struct engine_tables t;

/* Tables 0..9, 20..29, .. of level 3: every key finds the table whose end is not below it. */
TEST(version, finds_the_table_of_a_key) {
    uint8_t space[IKEY_BYTES_MAX];
    engine_tables_init(&t);
    for (uint32_t i = 0; i < 20; i++) engine_tables_add(&t, 3, i * 20, i * 20 + 9, 1, 5, 0);
    const struct version_level *level = &t.version->levels[3];
    CHECK(version_check(t.version));
    CHECK_EQ(level->count, 20);
    for (uint32_t key = 0; key < 420; key++) {
        const uint32_t found = version_find(level, engine_tables_ikey(key, space));
        CHECK_EQ(found, key % 20 <= 9 ? key / 20 : key / 20 + 1 > 20 ? 20 : key / 20 + 1);
    }
    CHECK_EQ(version_find(level, BYTES_LIT("\0\0zzz")), 0);
    CHECK_EQ(version_find(level, BYTES_LIT("\0\1k")), 0);
    CHECK_EQ(version_find(level, BYTES_LIT("\0\2a")), 20);
    CHECK_EQ(version_find(level, BYTES_LIT("\0")), 0);
    engine_tables_deinit(&t);
}

TEST(version, finds_what_a_range_overlaps) {
    uint8_t low[IKEY_BYTES_MAX];
    uint8_t high[IKEY_BYTES_MAX];
    uint32_t first;
    uint32_t count;
    engine_tables_init(&t);
    for (uint32_t i = 0; i < 10; i++) engine_tables_add(&t, 2, i * 20, i * 20 + 9, 1, 5, 0);
    const struct version_level *level = &t.version->levels[2];
    version_overlap(level, engine_tables_ikey(9, low), engine_tables_ikey(20, high), &first,
                    &count);
    CHECK_EQ(first, 0);
    CHECK_EQ(count, 2);
    version_overlap(level, engine_tables_ikey(10, low), engine_tables_ikey(19, high), &first,
                    &count);
    CHECK_EQ(count, 0);
    version_overlap(level, engine_tables_ikey(0, low), engine_tables_ikey(999, high), &first,
                    &count);
    CHECK_EQ(count, 10);
    CHECK_EQ(
        version_overlap_bytes(level, engine_tables_ikey(0, low), engine_tables_ikey(999, high)),
        level->bytes);
    engine_tables_deinit(&t);
}

/* A reader's version keeps its tables, whatever becomes of the current one. */
TEST(version, keeps_tables_for_its_readers) {
    engine_tables_init(&t);
    engine_tables_add(&t, 0, 0, 9, 1, 5, 0);
    engine_tables_add(&t, 0, 5, 14, 1, 6, 0);
    CHECK(t.version->levels[0].tables[0].number > t.version->levels[0].tables[1].number);
    CHECK_EQ(t.version->ballot_max.stamp, 6);
    struct version *old = t.version;
    const struct version_delete gone = { old->levels[0].tables[1].number, 0 };
    t.version = version_change(old, &gone, 1, NULL, 0);
    table_doom(old->levels[0].tables[1].table);
    CHECK_EQ(t.version->levels[0].count, 1);
    CHECK_EQ(table_properties(old->levels[0].tables[1].table)->records, 10);
    CHECK(os_path_exists(t.os, table_path(old->levels[0].tables[1].table)));
    version_release(old);
    CHECK(!os_path_exists(t.os, ENGINE_TABLES_DIR "/table-0000000000000001"));
    engine_tables_deinit(&t);
}
