#include "base/mem.h"
#include "sim/disk.h"
#include "sim/os_sim.h"
#include "test/unit/harness.h"

#define SECTORS 16u
#define FILE_BYTES (SECTORS * SIM_SECTOR_BYTES)

struct world {
    struct sim_disk *disk;
    struct os *os;
    struct os_file file; /* FILE_BYTES, each sector filled with its number, synced */
};

static void open_world(struct world *w, uint64_t seed) {
    *w = (struct world){ .disk = sim_disk_create(seed) };
    w->os = sim_os_create(seed, w->disk);
    uint8_t sector[SIM_SECTOR_BYTES];
    CHECK_OK(os_file_open(w->os, "f", OS_FILE_CREATE, &w->file));
    for (uint32_t i = 0; i < SECTORS; i++) {
        memset(sector, (int)i, sizeof sector);
        CHECK_OK(
            os_file_write(&w->file, (uint64_t)i * sizeof sector, bytes_of(sector, sizeof sector)));
    }
    CHECK_OK(os_file_sync(&w->file));
    CHECK_OK(os_dir_sync(w->os, "/"));
}

static void close_world(struct world *w) {
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

/* The nth read fails and changes nothing: the same read then works. */
TEST(disk_fault, read_fails_once) {
    struct world w;
    uint8_t byte = 7;
    size_t len = 0;
    open_world(&w, 1);
    sim_disk_fail_read(w.disk, 2, 1);
    CHECK_OK(os_file_read(&w.file, 0, &byte, 1, &len));
    CHECK_STATUS(os_file_read(&w.file, 512, &byte, 1, &len), ST_IO);
    CHECK_EQ(byte, 0);
    CHECK_OK(os_file_read(&w.file, 512, &byte, 1, &len));
    CHECK_EQ(byte, 1);
    CHECK_EQ(sim_disk_faults(w.disk).reads_failed, 1);
    sim_disk_fail_read(w.disk, 1, 2);
    CHECK_STATUS(os_file_read(&w.file, 512, &byte, 1, &len), ST_IO);
    CHECK_STATUS(os_file_read(&w.file, 512, &byte, 1, &len), ST_IO);
    CHECK_OK(os_file_read(&w.file, 512, &byte, 1, &len));
    sim_disk_fail_read(w.disk, 1, 1);
    sim_disk_fail_read(w.disk, 0, 1);
    CHECK_OK(os_file_read(&w.file, 0, &byte, 1, &len));
    close_world(&w);
}

/* A sector that cannot be read stays so, through crashes too, until it is written. */
TEST(disk_fault, bad_sector) {
    struct world w;
    uint8_t bytes[1024] = { 7 };
    size_t len = 0;
    open_world(&w, 1);
    CHECK_OK(os_file_sync(&w.file));
    CHECK_STATUS(sim_disk_spoil(w.disk, "g", 0), ST_NOT_FOUND);
    CHECK_STATUS(sim_disk_spoil(w.disk, "f", FILE_BYTES), ST_INVALID);
    CHECK_OK(sim_disk_spoil(w.disk, "f", 513));
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_STATUS(os_file_read(&w.file, 1023, bytes, 1, &len), ST_IO);
        CHECK_STATUS(os_file_read(&w.file, 0, bytes, sizeof bytes, &len), ST_IO);
        CHECK_EQ(bytes[0], 7);
        CHECK_OK(os_file_read(&w.file, 0, bytes + 1, 512, &len));
        CHECK_OK(os_file_read(&w.file, 1024, bytes + 1, 512, &len));
    }
    CHECK_EQ(sim_disk_faults(w.disk).reads_failed, 6);

    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, 1);
    struct os *os = sim_os_create(1, image);
    struct os_file f;
    CHECK_OK(os_file_open(os, "f", OS_FILE_READ, &f));
    CHECK_STATUS(os_file_read(&f, 600, bytes, 1, &len), ST_IO);
    os_file_close(&f);
    os_destroy(os);
    sim_disk_destroy(image);

    sim_disk_heal(w.disk);
    CHECK_STATUS(os_file_read(&w.file, 600, bytes, 1, &len), ST_IO);
    CHECK_OK(os_file_write(&w.file, 700, bytes_of(bytes, 1)));
    CHECK_OK(os_file_read(&w.file, 600, bytes, 1, &len));
    CHECK_OK(sim_disk_spoil(w.disk, "f", 600));
    CHECK_OK(os_file_truncate(&w.file, 600));
    CHECK_STATUS(os_file_read(&w.file, 599, bytes, 1, &len), ST_IO);
    CHECK_OK(os_file_truncate(&w.file, 512));
    CHECK_OK(os_file_truncate(&w.file, FILE_BYTES));
    CHECK_OK(os_file_read(&w.file, 599, bytes, 1, &len));
    close_world(&w);
}

/* A misdirected read gives other sectors, once; the file itself is as it was. */
TEST(disk_fault, misdirected_read) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        uint8_t got[100];
        size_t len = 0;
        open_world(&w, seed);
        sim_disk_misdirect_read(w.disk, 2);
        CHECK_OK(os_file_read(&w.file, 3 * 512 + 7, got, sizeof got, &len));
        CHECK_EQ(got[0], 3);
        CHECK_OK(os_file_read(&w.file, 3 * 512 + 7, got, sizeof got, &len));
        CHECK_EQ(len, sizeof got);
        CHECK(got[0] != 3);
        CHECK_EQ(got[0], got[99]); /* it lies in its sector as the right one would */
        CHECK_OK(os_file_read(&w.file, 3 * 512 + 7, got, sizeof got, &len));
        CHECK_EQ(got[0], 3);
        CHECK_EQ(sim_disk_faults(w.disk).reads_misdirected, 1);

        /* A read of the whole file has nowhere else to go: the next one does. */
        uint8_t whole[FILE_BYTES];
        sim_disk_misdirect_read(w.disk, 1);
        CHECK_OK(os_file_read(&w.file, 0, whole, sizeof whole, &len));
        for (uint32_t i = 0; i < SECTORS; i++) CHECK_EQ(whole[i * 512], i);
        CHECK_OK(os_file_read(&w.file, 512, got, 1, &len));
        CHECK(got[0] != 1);
        close_world(&w);
    }
}

/* A misdirected write overwrites another sector and leaves the one it was meant for, for
 * readers and after a crash alike. */
TEST(disk_fault, misdirected_write) {
    uint32_t places = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        uint8_t sector[SIM_SECTOR_BYTES];
        struct bytes now = BYTES_NONE;
        memset(sector, 0xee, sizeof sector);
        open_world(&w, seed);
        sim_disk_misdirect_write(w.disk, 1);
        CHECK_OK(os_file_write(&w.file, 5 * 512, bytes_of(sector, sizeof sector)));
        CHECK_EQ(sim_disk_faults(w.disk).writes_misdirected, 1);
        CHECK_OK(os_file_sync(&w.file));
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, seed);
        CHECK_OK(sim_disk_view(image, "f", &now));
        CHECK_EQ(now.len, FILE_BYTES);
        CHECK_EQ(now.ptr[5 * 512], 5);
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < SECTORS; i++) {
            if (now.ptr[i * 512] == i) continue;
            CHECK(memcmp(now.ptr + i * 512, sector, sizeof sector) == 0);
            places |= 1u << i;
            wrong++;
        }
        CHECK_EQ(wrong, 1);
        sim_disk_destroy(image);
        CHECK_OK(os_file_write(&w.file, 5 * 512, bytes_of(sector, sizeof sector)));
        CHECK_OK(sim_disk_view(w.disk, "f", &now));
        CHECK_EQ(now.ptr[5 * 512], 0xee);
        close_world(&w);
    }
    CHECK(__builtin_popcount(places) > 5);
}

/* One that should have made the file longer does so, with zeros where it was meant to be. */
TEST(disk_fault, misdirected_append) {
    struct world w;
    uint8_t sector[SIM_SECTOR_BYTES];
    struct bytes now = BYTES_NONE;
    memset(sector, 0xee, sizeof sector);
    open_world(&w, 1);
    sim_disk_misdirect_write(w.disk, 1);
    CHECK_OK(os_file_write(&w.file, FILE_BYTES, bytes_of(sector, sizeof sector)));
    CHECK_OK(os_file_sync(&w.file));
    CHECK_OK(sim_disk_view(w.disk, "f", &now));
    CHECK_EQ(now.len, FILE_BYTES + sizeof sector);
    CHECK_EQ(now.ptr[FILE_BYTES], 0);
    CHECK_EQ(sim_disk_used_bytes(w.disk), FILE_BYTES + sizeof sector);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < SECTORS; i++) wrong += now.ptr[i * 512] != i;
    CHECK_EQ(wrong, 1);

    /* A new file has no other place: its first write is where it should be. */
    struct os_file fresh = { 0 };
    sim_disk_misdirect_write(w.disk, 1);
    CHECK_OK(os_file_open(w.os, "fresh", OS_FILE_CREATE, &fresh));
    CHECK_OK(os_file_write(&fresh, 0, bytes_of(sector, sizeof sector)));
    CHECK_OK(sim_disk_view(w.disk, "fresh", &now));
    CHECK_EQ(now.ptr[0], 0xee);
    CHECK_EQ(sim_disk_faults(w.disk).writes_misdirected, 1);
    close_world(&w);
}

/* Healed, nothing that was asked for comes any more; what came is counted. */
TEST(disk_fault, heal) {
    struct world w;
    uint8_t byte = 1;
    size_t len = 0;
    open_world(&w, 1);
    sim_disk_set_capacity(w.disk, FILE_BYTES);
    CHECK_STATUS(os_file_write(&w.file, FILE_BYTES, bytes_of(&byte, 1)), ST_FULL);
    sim_disk_fail_sync(w.disk);
    CHECK_STATUS(os_file_sync(&w.file), ST_IO);
    sim_disk_fail_call(w.disk, 1, ST_IO);
    CHECK_STATUS(os_file_read(&w.file, 0, &byte, 1, &len), ST_IO);
    CHECK_OK(sim_disk_flip(w.disk, "f", 0, 0));
    const struct sim_disk_faults faults = sim_disk_faults(w.disk);
    CHECK_EQ(faults.full, 1);
    CHECK_EQ(faults.syncs_failed, 1);
    CHECK_EQ(faults.calls_failed, 1);
    CHECK_EQ(faults.flips, 1);

    sim_disk_fail_sync(w.disk);
    sim_disk_fail_call(w.disk, 1, ST_IO);
    sim_disk_fail_read(w.disk, 1, 1);
    sim_disk_misdirect_read(w.disk, 1);
    sim_disk_misdirect_write(w.disk, 1);
    sim_disk_heal(w.disk);
    CHECK(!sim_disk_fail_is_pending(w.disk));
    CHECK_OK(os_file_write(&w.file, FILE_BYTES, bytes_of(&byte, 1)));
    CHECK_OK(os_file_read(&w.file, 512, &byte, 1, &len));
    CHECK_EQ(byte, 1);
    CHECK_OK(os_file_sync(&w.file));
    CHECK_EQ(sim_disk_faults(w.disk).writes_misdirected, 0);
    close_world(&w);
}

/* Without the list of operations they are still counted, and images inherit that. */
TEST(disk_fault, operations_not_kept) {
    struct sim_disk *disk = sim_disk_create(1);
    sim_disk_trace(disk, false);
    struct os *os = sim_os_create(1, disk);
    struct os_file f = { 0 };
    CHECK_OK(os_file_open(os, "f", OS_FILE_CREATE, &f));
    CHECK_OK(os_file_sync(&f));
    CHECK_EQ(sim_disk_op_count(disk), 2);
    CHECK_ABORTS((void)sim_disk_op(disk, 0));
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_KEEP_ALL, 1);
    os_destroy(os);
    os = sim_os_create(1, image);
    CHECK_OK(os_file_open(os, "g", OS_FILE_CREATE, &f));
    CHECK_EQ(sim_disk_op_count(image), 1);
    CHECK_ABORTS((void)sim_disk_op(image, 0));
    os_destroy(os);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
}
