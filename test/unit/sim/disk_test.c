#include "sim/disk.h"

#include "base/mem.h"
#include "harness.h"
#include "os/file.h"
#include "sim/os_sim.h"
#include "sim/random.h"

#include <stdio.h>

#define SECTOR SIM_SECTOR_BYTES

struct world {
    struct sim_disk *disk;
    struct os *os;
};

static struct world world_open(struct sim_disk *disk) {
    return (struct world){ .disk = disk, .os = sim_os_create(1, disk) };
}

static struct world world_new(void) {
    return world_open(sim_disk_create(test_seed()));
}

static void world_close(struct world *w) {
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

static struct os_file open_file(struct world *w, const char *path, enum os_file_mode mode) {
    struct os_file f = { 0 };
    CHECK_OK(os_file_open(w->os, path, mode, &f));
    return f;
}

/* A file with this content, durable, name and all. */
static void put_durable(struct world *w, const char *path, struct bytes content) {
    struct os_file f = open_file(w, path, OS_FILE_CREATE);
    CHECK_OK(os_file_write(&f, 0, content));
    CHECK_OK(os_file_sync(&f));
    os_file_close(&f);
    CHECK_OK(os_dir_sync(w->os, "/"));
}

/* Whether the file is in the disk and holds just this. */
static bool holds(const struct sim_disk *d, const char *path, struct bytes content) {
    struct bytes found = BYTES_NONE;
    return status_ok(sim_disk_view(d, path, &found)) && bytes_equal(found, content);
}

/* After a crash that loses all, a file overwritten in place has its old bytes,
 * and a synced write is there. */
TEST(disk, unsynced_overwrite_is_lost) {
    struct world w = world_new();
    put_durable(&w, "a", BYTES_LIT("old bytes"));
    struct os_file f = open_file(&w, "a", OS_FILE_WRITE);
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("new")));
    CHECK(holds(w.disk, "a", BYTES_LIT("new bytes")));

    struct sim_disk *lost = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    CHECK(holds(lost, "a", BYTES_LIT("old bytes")));
    sim_disk_destroy(lost);
    struct sim_disk *kept = sim_disk_crash(w.disk, SIM_CRASH_KEEP_ALL, 1);
    CHECK(holds(kept, "a", BYTES_LIT("new bytes")));
    sim_disk_destroy(kept);

    CHECK_OK(os_file_sync(&f));
    struct sim_disk *synced = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    CHECK(holds(synced, "a", BYTES_LIT("new bytes")));
    sim_disk_destroy(synced);
    world_close(&w);
}

/* A synced file whose folder was not synced is lost with its name, and so is all
 * below a folder whose parent was not synced. */
TEST(disk, names_need_a_sync_of_their_folder) {
    struct world w = world_new();
    CHECK_OK(os_dir_create(w.os, "d"));
    struct os_file f = open_file(&w, "d/a", OS_FILE_CREATE);
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("x")));
    CHECK_OK(os_file_sync(&f));
    CHECK_OK(os_dir_sync(w.os, "d"));
    struct sim_disk *lost = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    CHECK(!holds(lost, "d/a", BYTES_LIT("x")));
    sim_disk_destroy(lost);
    CHECK_OK(os_dir_sync(w.os, "/"));
    struct sim_disk *there = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    CHECK(holds(there, "d/a", BYTES_LIT("x")));
    sim_disk_destroy(there);
    world_close(&w);
}

/* A rename is there or not, never half: one of the two names is found, and the
 * replaced file is whole until then. */
TEST(disk, rename_is_atomic) {
    bool seen[2] = { false, false };
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w = world_new();
        put_durable(&w, "current", BYTES_LIT("old"));
        put_durable(&w, "new", BYTES_LIT("new"));
        CHECK_OK(os_path_rename(w.os, "new", "current"));
        struct sim_disk *after = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
        const bool renamed = holds(after, "current", BYTES_LIT("new"));
        CHECK(renamed || holds(after, "current", BYTES_LIT("old")));
        CHECK(renamed != holds(after, "new", BYTES_LIT("new")));
        seen[renamed] = true;
        sim_disk_destroy(after);
        world_close(&w);
    }
    CHECK(seen[0]);
    CHECK(seen[1]);
}

/* The changes of a folder are kept as a prefix: never the second without the first. */
TEST(disk, folder_changes_are_kept_in_order) {
    bool seen[6] = { false };
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct world w = world_new();
        for (char c = 'a'; c < 'f'; c++) {
            const char path[] = { c, '\0' };
            struct os_file f = open_file(&w, path, OS_FILE_CREATE);
            os_file_close(&f);
        }
        struct sim_disk *after = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
        uint32_t count = 0;
        for (char c = 'a'; c < 'f'; c++) {
            const char path[] = { c, '\0' };
            const bool there = holds(after, path, BYTES_NONE);
            CHECK(!there || count == (uint32_t)(c - 'a'));
            count += there;
        }
        seen[count] = true;
        sim_disk_destroy(after);
        world_close(&w);
    }
    for (uint32_t i = 0; i < 6; i++) CHECK(seen[i]);
}

/* Each sector of an unsynced write is as it was or as it became, whole writes and
 * torn ones both come about, and the same seed gives the same image. */
TEST(disk, writes_tear_between_sectors) {
    static uint8_t before[4 * SECTOR];
    static uint8_t after[4 * SECTOR];
    memset(before, 'b', sizeof before);
    memset(after, 'a', sizeof after);
    struct world w = world_new();
    put_durable(&w, "f", bytes_of(before, sizeof before));
    struct os_file f = open_file(&w, "f", OS_FILE_WRITE);
    CHECK_OK(os_file_write(&f, 0, bytes_of(after, sizeof after)));
    uint32_t seen = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
        struct sim_disk *again = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
        struct bytes found;
        struct bytes found_again;
        CHECK_OK(sim_disk_view(image, "f", &found));
        CHECK_OK(sim_disk_view(again, "f", &found_again));
        CHECK_BYTES(found, found_again);
        CHECK_EQ(found.len, sizeof before);
        uint32_t mask = 0;
        for (uint32_t i = 0; i < 4; i++) {
            const struct bytes sector = bytes_of(found.ptr + (size_t)i * SECTOR, SECTOR);
            const bool is_new = bytes_equal(sector, bytes_of(after, SECTOR));
            CHECK(is_new || bytes_equal(sector, bytes_of(before, SECTOR)));
            mask |= (uint32_t)is_new << i;
        }
        seen |= 1u << mask;
        sim_disk_destroy(image);
        sim_disk_destroy(again);
    }
    CHECK_EQ(seen, 0xffff);
    world_close(&w);
}

/* A sector carries everything written to it before: of two appends to one sector
 * the second is never there without the first. */
TEST(disk, later_bytes_of_a_sector_bring_the_earlier_ones) {
    struct world w = world_new();
    put_durable(&w, "f", BYTES_LIT(""));
    struct os_file f = open_file(&w, "f", OS_FILE_WRITE);
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("first")));
    CHECK_OK(os_file_write(&f, 5, BYTES_LIT("second")));
    uint32_t both = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
        struct bytes found;
        CHECK_OK(sim_disk_view(image, "f", &found));
        if (found.len == 11 && found.ptr[5] == 's') {
            CHECK_BYTES(found, BYTES_LIT("firstsecond"));
            both++;
        }
        sim_disk_destroy(image);
    }
    CHECK(both > 0);
    world_close(&w);
}

/* After a failed sync readers still see the bytes, but a later sync, though it
 * succeeds, does not save what the failed one lost. */
TEST(disk, failed_sync_is_not_repaired_by_the_next) {
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct world w = world_open(sim_disk_create(seed));
        put_durable(&w, "f", BYTES_LIT("old"));
        struct os_file f = open_file(&w, "f", OS_FILE_WRITE);
        CHECK_OK(os_file_write(&f, 0, BYTES_LIT("new")));
        sim_disk_fail_sync(w.disk);
        CHECK_STATUS(os_file_sync(&f), ST_IO);
        CHECK_OK(os_file_sync(&f));
        CHECK(holds(w.disk, "f", BYTES_LIT("new")));
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_KEEP_ALL, 1);
        lost += holds(image, "f", BYTES_LIT("old"));
        sim_disk_destroy(image);
        world_close(&w);
    }
    CHECK(lost > 0);
    CHECK(lost < 40);
}

/* Power is lost after the n-th change: it fails every later one, and reads go on. */
TEST(disk, stops_after_the_nth_operation) {
    struct world w = world_new();
    put_durable(&w, "f", BYTES_LIT("1"));
    const uint64_t made = sim_disk_op_count(w.disk);
    sim_disk_stop_after(w.disk, made + 1);
    struct os_file f = open_file(&w, "f", OS_FILE_WRITE);
    struct os_file other = { 0 };
    uint8_t byte = 0;
    size_t len = 0;
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("2")));
    CHECK_STATUS(os_file_write(&f, 0, BYTES_LIT("3")), ST_IO);
    CHECK_STATUS(os_file_sync(&f), ST_IO);
    CHECK_STATUS(os_file_truncate(&f, 0), ST_IO);
    CHECK_STATUS(os_path_rename(w.os, "f", "g"), ST_IO);
    CHECK_STATUS(os_path_remove(w.os, "f"), ST_IO);
    CHECK_STATUS(os_dir_create(w.os, "d"), ST_IO);
    CHECK_STATUS(os_dir_sync(w.os, "/"), ST_IO);
    CHECK_STATUS(os_file_open(w.os, "g", OS_FILE_CREATE, &other), ST_IO);
    CHECK_STATUS(os_file_open(w.os, "f", OS_FILE_CREATE_EMPTY, &other), ST_IO);
    CHECK_OK(os_file_read(&f, 0, &byte, 1, &len));
    CHECK_EQ(byte, '2');
    CHECK_EQ(sim_disk_op_count(w.disk), made + 1);
    world_close(&w);
}

/* The trace names every change, in order, with its place. */
TEST(disk, trace) {
    static const char *const expected[] = { "dir create", "create", "write",  "sync",
                                            "truncate",   "rename", "remove", "dir sync" };
    struct world w = world_new();
    CHECK_OK(os_dir_create(w.os, "/d"));
    struct os_file f = open_file(&w, "/d/a", OS_FILE_CREATE);
    CHECK_OK(os_file_write(&f, 7, BYTES_LIT("abc")));
    CHECK_OK(os_file_sync(&f));
    CHECK_OK(os_file_truncate(&f, 2));
    CHECK_OK(os_path_rename(w.os, "/d/a", "/d/b"));
    CHECK_OK(os_path_remove(w.os, "/d/b"));
    CHECK_OK(os_dir_sync(w.os, "/d"));
    CHECK_EQ(sim_disk_op_count(w.disk), 8);
    for (uint64_t i = 0; i < 8; i++) {
        const struct sim_disk_op op = sim_disk_op(w.disk, i);
        CHECK_BYTES(bytes_of_string(sim_disk_op_name(op.kind)), bytes_of_string(expected[i]));
    }
    CHECK_EQ(sim_disk_op(w.disk, 2).offset, 7);
    CHECK_EQ(sim_disk_op(w.disk, 2).len, 3);
    CHECK_BYTES(bytes_of_string(sim_disk_op(w.disk, 5).path_to), BYTES_LIT("/d/b"));
    world_close(&w);
}

/* Some work of several kinds of call; stops at the first that fails. */
static STATUS some_work(struct os *os) {
    struct os_file f = { 0 };
    uint8_t byte = 0;
    size_t len = 0;
    uint64_t size = 0;
    TRY(os_dir_create(os, "d"));
    TRY(os_file_open(os, "d/a", OS_FILE_CREATE, &f));
    TRY(os_file_write(&f, 0, BYTES_LIT("x")));
    TRY(os_file_read(&f, 0, &byte, 1, &len));
    TRY(os_file_size(&f, &size));
    TRY(os_file_sync(&f));
    TRY(os_path_rename(os, "d/a", "d/b"));
    TRY(os_dir_sync(os, "d"));
    return status_of(ST_OK);
}

/* Failing the n-th call for n = 1, 2, ... reaches every call once, and ends. */
TEST(disk, fail_the_nth_call) {
    const enum status_code codes[] = { ST_IO, ST_FULL };
    const uint64_t calls[] = { 8, 4 }; /* only four of them need room */
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t nth = 1;
        for (;; nth++) {
            struct world w = world_new();
            sim_disk_fail_call(w.disk, nth, codes[i]);
            const struct status s = some_work(w.os);
            const bool hit = !sim_disk_fail_is_pending(w.disk);
            CHECK_EQ(s.code, hit ? codes[i] : ST_OK);
            world_close(&w);
            if (!hit) break;
        }
        CHECK_EQ(nth, calls[i] + 1);
    }
}

/* Past its capacity the disk takes what fits and says ST_FULL; room comes back
 * when a file goes. */
TEST(disk, capacity) {
    struct world w = world_new();
    uint64_t free_bytes = 0;
    sim_disk_set_capacity(w.disk, 1000);
    struct os_file a = open_file(&w, "a", OS_FILE_CREATE);
    struct os_file b = open_file(&w, "b", OS_FILE_CREATE);
    static const uint8_t block[600];
    CHECK_OK(os_file_write(&a, 0, bytes_of(block, 600)));
    CHECK_STATUS(os_file_write(&b, 0, bytes_of(block, 600)), ST_FULL);
    CHECK_EQ(sim_disk_used_bytes(w.disk), 1000);
    CHECK_OK(os_file_write(&a, 0, bytes_of(block, 600)));
    CHECK_STATUS(os_file_truncate(&b, 401), ST_FULL);
    os_file_close(&a);
    CHECK_OK(os_path_remove(w.os, "a"));
    CHECK_OK(os_dir_sync(w.os, "/"));
    CHECK_OK(os_disk_free(w.os, "/", &free_bytes));
    CHECK_EQ(free_bytes, 600);
    CHECK_OK(os_file_write(&b, 0, bytes_of(block, 600)));
    world_close(&w);
}

/* A flipped bit is seen by readers and outlives a crash. */
TEST(disk, rot) {
    struct world w = world_new();
    put_durable(&w, "f", BYTES_LIT("abc"));
    CHECK_OK(sim_disk_flip(w.disk, "f", 1, 0));
    CHECK(holds(w.disk, "f", BYTES_LIT("acc")));
    CHECK_STATUS(sim_disk_flip(w.disk, "f", 3, 0), ST_INVALID);
    CHECK_STATUS(sim_disk_flip(w.disk, "g", 0, 0), ST_NOT_FOUND);
    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    CHECK(holds(image, "f", BYTES_LIT("acc")));
    sim_disk_destroy(image);
    world_close(&w);
}

/* Whatever is done to it, a file that is synced last is found as readers saw it,
 * in every crash. */
TEST(disk, synced_files_survive_every_crash) {
    struct sim_random r = sim_random_of(test_seed());
    static uint8_t block[5000];
    for (uint32_t round = 0; round < 300; round++) {
        struct world w = world_new();
        put_durable(&w, "f", BYTES_NONE);
        struct os_file f = open_file(&w, "f", OS_FILE_WRITE);
        const uint64_t steps = 1 + sim_random_below(&r, 20);
        for (uint64_t i = 0; i < steps; i++) {
            memset(block, (int)sim_random_below(&r, 256), sizeof block);
            const uint64_t at = sim_random_below(&r, 10000);
            if (sim_random_chance(&r, 1, 5)) {
                CHECK_OK(os_file_truncate(&f, at));
            } else {
                const size_t len = sim_random_below(&r, sizeof block);
                CHECK_OK(os_file_write(&f, at, bytes_of(block, len)));
            }
            if (sim_random_chance(&r, 1, 5)) CHECK_OK(os_file_sync(&f));
        }
        struct bytes seen;
        CHECK_OK(sim_disk_view(w.disk, "f", &seen));
        struct sim_disk *kept = sim_disk_crash(w.disk, SIM_CRASH_KEEP_ALL, 1);
        CHECK(holds(kept, "f", seen));
        sim_disk_destroy(kept);
        CHECK_OK(os_file_sync(&f));
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, sim_random_next(&r));
        CHECK(holds(image, "f", seen));
        sim_disk_destroy(image);
        world_close(&w);
    }
}
