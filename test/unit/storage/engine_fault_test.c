/* tidy: integration. The engine with a full disk, failing calls and rotten bytes: it refuses, reports and recovers; it
 * never serves what is wrong. */
#include "storage/engine.h"

#include "base/mem.h"
#include "storage/manifest.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct engine_world w;
static struct engine_world copy;

static void fail_if(const char *wrong, uint64_t seed, uint64_t at) {
    if (wrong != NULL)
        printf("seed 0x%llx at %llu: %s\n", (unsigned long long)seed, (unsigned long long)at,
               wrong);
    CHECK(wrong == NULL);
}

/* The log may ask to wait for its first segment. */
static void put_waiting(uint32_t key, uint64_t stamp) {
    struct status s;
    while (s = engine_world_put_stamp(&w, key, stamp), s.code == ST_BUSY) {
        engine_turn(w.engine);
        engine_world_pump(&w, 8);
    }
    CHECK_OK(s);
}

static void live(uint64_t seed, uint32_t steps) {
    for (uint32_t i = 0; i < steps; i++) {
        if (i % 50 == 49) engine_flush(w.engine);
        fail_if(engine_world_step(&w), seed, i);
    }
}

/* Space runs out at a random moment and comes back; nothing is lost and all goes on. */
TEST(engine_fault, recovers_from_a_full_disk) {
    for (uint64_t round = 0; round < 30; round++) {
        const uint64_t seed = test_seed() + round;
        engine_world_init(&w, NULL, seed);
        engine_world_options_small(&w);
        w.options.memtable_bytes = 96 * 1024;
        w.expected_full = true;
        CHECK_OK(engine_world_open(&w));
        for (uint32_t times = 0; times < 4; times++) {
            live(seed, 300);
            sim_disk_set_capacity(w.disk,
                                  sim_disk_used_bytes(w.disk) + sim_random_below(&w.random, 30000));
            live(seed, 1500);
            sim_disk_set_capacity(w.disk, SIM_DISK_UNLIMITED);
            sim_os_advance_ms(w.os, 1500);
            engine_world_settle(&w);
            sim_os_advance_ms(w.os, 1500);
            engine_world_settle(&w);
            CHECK_OK(engine_world_put(&w, 0));
            CHECK(!engine_stats(w.engine).disk_full);
            fail_if(engine_world_check_all(&w), seed, times);
        }
        engine_world_close(&w, true);
        CHECK_OK(engine_world_open(&w));
        fail_if(engine_world_check_all(&w), seed, 9);
        engine_world_deinit(&w);
    }
}

/* Each call that needs room in turn finds none, once. */
TEST(engine_fault, survives_no_space_at_every_call) {
    const uint64_t seed = test_seed();
    for (uint64_t nth = 1; nth < 160; nth++) {
        engine_world_init(&w, NULL, seed);
        engine_world_options_small(&w);
        w.options.memtable_bytes = 96 * 1024;
        w.expected_full = true;
        sim_disk_fail_call(w.disk, nth, ST_FULL);
        const struct status s = engine_world_open(&w);
        if (s.code == ST_FULL) CHECK_OK(engine_world_open(&w));
        live(seed, 400);
        sim_os_advance_ms(w.os, 1500);
        engine_world_settle(&w);
        fail_if(engine_world_check_all(&w), seed, nth);
        engine_world_close(&w, nth % 2 == 0);
        CHECK_OK(engine_world_open(&w));
        fail_if(engine_world_check_all(&w), seed, nth);
        engine_world_deinit(&w);
    }
}

/* ---- rot ---- */

#define FILES_MAX 64u

struct files {
    char names[FILES_MAX][OS_NAME_BYTES_MAX];
    uint32_t count;
};

static void add_file(void *user, const char *name) {
    struct files *f = user;
    if (f->count < FILES_MAX) snprintf(f->names[f->count++], OS_NAME_BYTES_MAX, "%s", name);
}

static void count_line(void *user, const char *line) {
    (void)line;
    ++*(uint32_t *)user;
}

static bool is_corrupt(const char *wrong) {
    return wrong != NULL && strcmp(wrong, "corrupt") == 0;
}

/* Read everything; only ST_CORRUPT may go wrong. Returns whether it did. */
static bool read_reports(uint64_t seed, uint64_t at) {
    bool reported = false;
    for (uint32_t i = 0; i < copy.key_count; i++) {
        const char *wrong = engine_world_check_key(&copy, i);
        if (is_corrupt(wrong)) reported = true;
        if (!is_corrupt(wrong)) fail_if(wrong, seed, at);
    }
    const char *wrong = engine_world_check_scan(&copy, UINT32_MAX, UINT32_MAX);
    if (!is_corrupt(wrong)) fail_if(wrong, seed, at);
    return reported || is_corrupt(wrong);
}

/* One flipped bit: refused at open, or reported by the read that meets it, and by the offline check. */
static void flip_one(const char *path, uint64_t offset, uint32_t bit, bool harmless,
                     uint64_t seed) {
    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_KEEP_ALL, seed);
    CHECK_OK(sim_disk_flip(image, path, offset, bit));
    engine_world_init(&copy, image, seed);
    copy.options = w.options;
    copy.cache_bytes = w.cache_bytes;
    copy.key_count = w.key_count;
    copy.clock = w.clock;
    copy.gc_floor = w.gc_floor;
    copy.wall_ms = w.wall_ms;
    copy.always_blocks = true;
    memcpy(copy.keys, w.keys, sizeof copy.keys);
    memcpy(copy.floors, w.floors, sizeof copy.floors);

    struct os *os = sim_os_create(seed, image);
    uint32_t lines = 0;
    uint64_t records;
    uint64_t bad = 0;
    const struct engine_verify_listener listener = { .report = count_line, .user = &lines };
    CHECK_OK(engine_verify(os, ENGINE_WORLD_DIR, &listener, &records, &bad));
    os_destroy(os);
    if (!harmless && bad == 0)
        printf("%s offset %llu bit %u: the check finds nothing\n", path, (unsigned long long)offset,
               bit);
    CHECK(harmless || bad > 0);
    CHECK_EQ(lines > 0, bad > 0);

    const struct status s = engine_world_open(&copy);
    CHECK(status_ok(s) || s.code == ST_CORRUPT);
    if (status_ok(s)) {
        const bool reported = read_reports(seed, offset);
        CHECK_EQ(engine_stats(copy.engine).corruptions > 0, reported);
        engine_world_deinit(&copy);
    }
    sim_disk_destroy(image);
}

TEST(engine_fault, a_flipped_bit_is_reported_and_never_served) {
    const uint64_t seed = test_seed();
    engine_world_init(&w, NULL, seed);
    engine_world_options_small(&w);
    w.key_count = 400;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t i = 0; i < 600; i++) {
        const struct status s =
            engine_world_put(&w, (uint32_t)sim_random_below(&w.random, w.key_count));
        CHECK(status_ok(s) || s.code == ST_BUSY);
        if (i % 100 == 99) engine_flush(w.engine);
        engine_turn(w.engine);
        engine_world_pump(&w, 3);
    }
    engine_world_truncate(&w, 1, 1020);
    engine_world_settle(&w);
    engine_world_close(&w, true);

    struct files files = { 0 };
    CHECK_OK(sim_disk_list(w.disk, ENGINE_WORLD_DIR, add_file, &files));
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < files.count; i++) {
        char path[OS_PATH_BYTES_MAX];
        struct bytes content;
        uint64_t number;
        const bool table = manifest_name_number(files.names[i], "table-", &number);
        const bool manifest = manifest_name_number(files.names[i], "manifest-", &number);
        if (!table && !manifest && strcmp(files.names[i], "current") != 0) continue;
        kinds |= table ? 1u : manifest ? 2u : 4u;
        snprintf(path, sizeof path, "%s/%s", ENGINE_WORLD_DIR, files.names[i]);
        CHECK_OK(sim_disk_view(w.disk, path, &content));
        const uint64_t len = content.len;
        const uint64_t stride = table ? len / 40 + 1 : 1;
        for (uint64_t at = sim_random_below(&w.random, stride); at < len; at += stride) {
            /* The last seal says nothing but that what is before it was durable. */
            const bool seal = manifest && at >= len - MANIFEST_SEAL_BYTES;
            flip_one(path, at, (uint32_t)sim_random_below(&w.random, 8), seal, seed);
        }
    }
    CHECK_EQ(kinds, 7);
    sim_disk_destroy(w.disk);
}

/* A compaction that meets a bad block is not tried for ever, and what is good can be read. */
TEST(engine_fault, goes_on_beside_a_corrupt_table) {
    const uint64_t seed = test_seed();
    engine_world_init(&w, NULL, seed);
    w.options.memtable_bytes = 1024 * 1024;
    w.options.level0_tables_compact = 2;
    w.options.table.block_bytes = 1024;
    w.always_blocks = true;
    w.key_count = 300;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t i = 0; i < 300; i++) put_waiting(i, 1001 + i);
    engine_flush(w.engine);
    engine_world_settle(&w);
    char path[OS_PATH_BYTES_MAX];
    manifest_table_path(ENGINE_WORLD_DIR, 1, path);
    CHECK_OK(sim_disk_flip(w.disk, path, 10, 3));
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t k = 200; k < 300; k++) put_waiting(k, 2000 + i * 100 + k);
        engine_flush(w.engine);
        engine_world_settle(&w);
        sim_os_advance_ms(w.os, 3000);
    }
    const struct engine_stats before = engine_stats(w.engine);
    CHECK(before.corruptions > 0);
    for (uint32_t i = 0; i < 20; i++) {
        sim_os_advance_ms(w.os, 2000);
        engine_turn(w.engine);
        engine_world_pump(&w, 8);
    }
    CHECK_EQ(engine_stats(w.engine).corruptions, before.corruptions);
    uint32_t good = 0;
    for (uint32_t k = 0; k < 300; k++) {
        const char *wrong = engine_world_check_key(&w, k);
        good += wrong == NULL;
        CHECK(wrong == NULL || is_corrupt(wrong));
    }
    CHECK(good >= 200);
    engine_world_deinit(&w);
}

/* A level that cannot be merged with is no reason to refuse writes. */
TEST(engine_fault, writes_go_on_above_a_corrupt_table) {
    const uint64_t seed = test_seed();
    engine_world_init(&w, NULL, seed);
    w.options.memtable_bytes = 1024 * 1024;
    w.options.level0_tables_compact = 2;
    w.options.table.block_bytes = 1024;
    w.key_count = 300;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < 300; k++) put_waiting(k, 1001 + i * 300 + k);
        engine_flush(w.engine);
        engine_world_settle(&w);
    }
    struct files files = { 0 };
    CHECK_OK(sim_disk_list(w.disk, ENGINE_WORLD_DIR, add_file, &files));
    uint32_t tables = 0;
    for (uint32_t i = 0; i < files.count; i++) {
        char path[OS_PATH_BYTES_MAX];
        uint64_t number;
        if (!manifest_name_number(files.names[i], "table-", &number)) continue;
        tables++;
        manifest_table_path(ENGINE_WORLD_DIR, number, path);
        CHECK_OK(sim_disk_flip(w.disk, path, 10, 3));
    }
    CHECK_EQ(tables, 1); /* in the last level */
    for (uint32_t i = 0; i < 40; i++) {
        for (uint32_t k = 0; k < 300; k++) put_waiting(k, 2000 + i * 300 + k);
        engine_flush(w.engine);
        engine_world_settle(&w);
        sim_os_advance_ms(w.os, 3000);
    }
    CHECK(engine_stats(w.engine).corruptions > 0);
    for (uint32_t k = 0; k < 300; k++) CHECK(engine_world_check_key(&w, k) == NULL);
    engine_world_deinit(&w);
}

static void wait_for_garbage(void) {
    for (uint32_t i = 0; i < 100; i++) {
        sim_os_advance_ms(w.os, 1100);
        engine_world_pump(&w, 2);
        engine_turn(w.engine);
        engine_world_settle(&w);
    }
}

/* Deleted and expired keys give their space back, once the gc floor has passed them, and the time
 * that all replicas have reached. */
TEST(engine_fault, frees_deleted_and_expired_keys) {
    engine_world_init(&w, NULL, test_seed());
    w.options.memtable_bytes = 1024 * 1024;
    CHECK_OK(engine_world_open(&w));
    uint8_t space[IKEY_BYTES_MAX];
    static const uint8_t value[100];
    const uint64_t now = os_wall_ms(w.os);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t k = 0; k < 200; k++) {
            struct record r = { .ikey = engine_world_ikey(k, space),
                                .ballot = { 1 + round, 1, 1 } };
            uint64_t sequence;
            if (round == 1 && k % 2 == 0) r.flags = RECORD_TOMBSTONE;
            if (round == 1 && k % 2 == 1) r.expires_at_ms = now + 5000;
            if ((r.flags & RECORD_TOMBSTONE) == 0) r.value = bytes_of(value, sizeof value);
            struct status s;
            while (s = engine_put(w.engine, &r, &sequence), s.code == ST_BUSY)
                engine_world_settle(&w);
            CHECK_OK(s);
        }
        engine_flush(w.engine);
        engine_world_settle(&w);
    }
    CHECK_EQ(engine_stats(w.engine).records, 400);
    engine_limit_expiry(w.engine, now + 4999); /* the clock runs ahead of others' */
    engine_set_gc_floor(w.engine, (struct ballot){ 10, 1, 1 });
    wait_for_garbage();
    CHECK_EQ(engine_stats(w.engine).records, 100);
    engine_limit_expiry(w.engine, now + 5000);
    wait_for_garbage();
    CHECK_EQ(engine_stats(w.engine).records, 0);
    engine_world_deinit(&w);
}

/* What a truncate covers gives its space back, in tables of its own and in mixed ones. */
TEST(engine_fault, frees_truncated_keys) {
    engine_world_init(&w, NULL, test_seed());
    w.options.memtable_bytes = 1024 * 1024;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t k = 0; k < 200; k++) put_waiting(k, 1001 + k);
    engine_flush(w.engine);
    engine_world_settle(&w);
    engine_world_truncate(&w, 1, 5000);
    engine_world_settle(&w);
    fail_if(engine_world_check_all(&w), test_seed(), 0);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).records, 100);
    engine_world_truncate(&w, 2, 5000);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).records, 0); /* whole tables go without being read */
    fail_if(engine_world_check_all(&w), test_seed(), 1);
    engine_world_deinit(&w);
}

/* Neither what it holds nor what comes later is seen again, and the clock knows nothing of it. */
TEST(engine_fault, drops_a_keyspace_for_good) {
    engine_world_init(&w, NULL, test_seed());
    w.options.memtable_bytes = 1024 * 1024;
    CHECK_OK(engine_world_open(&w));
    for (uint32_t k = 0; k < 200; k++) put_waiting(k, 1001 + k);
    w.floors[1] = w.floors_durable[1] = UINT64_MAX;
    engine_drop_keyspace(w.engine, 2);
    engine_drop_keyspace(w.engine, 2);
    put_waiting(1, 3000);
    put_waiting(2, 3001);
    engine_flush(w.engine);
    engine_world_settle(&w);
    fail_if(engine_world_check_all(&w), test_seed(), 0);
    engine_world_close(&w, true);
    CHECK_OK(engine_world_open(&w));
    CHECK_EQ(engine_ballot_max(w.engine).stamp, 3001);
    put_waiting(3, 3002);
    put_waiting(4, 3003);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    fail_if(engine_world_check_all(&w), test_seed(), 1);
    CHECK_EQ(engine_stats(w.engine).records, 100);
    engine_world_deinit(&w);
}

/* A put that could bring back what a dropped tombstone hid is refused. */
TEST(engine_fault, refuses_puts_below_the_gc_floor) {
    engine_world_init(&w, NULL, test_seed());
    w.options.memtable_bytes = 1024 * 1024;
    CHECK_OK(engine_world_open(&w));
    put_waiting(1, 2000);
    engine_world_raise_gc_floor(&w, 3000);
    CHECK_STATUS(engine_world_put_stamp(&w, 2, 3000), ST_CONFLICT);
    CHECK_STATUS(engine_world_put_stamp(&w, 1, 2500), ST_CONFLICT);
    CHECK_OK(engine_world_put_stamp(&w, 2, 3001));
    fail_if(engine_world_check_all(&w), test_seed(), 0);
    engine_world_deinit(&w);
}
