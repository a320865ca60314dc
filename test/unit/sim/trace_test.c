#include "sim/trace.h"

#include "sim/disk.h"
#include "sim/os_sim.h"
#include "test/unit/harness.h"

/* The hash depends on what was added, on the order and on where one thing ends. */
TEST(trace, order_and_cuts_count) {
    struct sim_trace t[4] = { 0 };
    sim_trace_add(&t[0], "ab", 2);
    sim_trace_add(&t[0], "c", 1);
    sim_trace_add(&t[1], "ab", 2);
    sim_trace_add(&t[1], "c", 1);
    sim_trace_add(&t[2], "c", 1);
    sim_trace_add(&t[2], "ab", 2);
    sim_trace_add(&t[3], "a", 1);
    sim_trace_add(&t[3], "bc", 2);
    CHECK_EQ(t[0].hash, t[1].hash);
    CHECK_EQ(t[0].count, 2);
    CHECK(t[0].hash != t[2].hash);
    CHECK(t[0].hash != t[3].hash);
    sim_trace_add(NULL, "x", 1);
}

/* What is written, where and to which file ends in the hash of the run. */
TEST(trace, disk_operations) {
    static const char *const paths[] = { "a", "a", "b", "a", "a" };
    static const char *const texts[] = { "one", "one", "one", "two", "one" };
    static const uint64_t offsets[] = { 0, 0, 0, 0, 1 };
    uint64_t hashes[5];
    for (uint32_t i = 0; i < 5; i++) {
        struct sim_trace trace = { 0 };
        struct sim_disk *disk = sim_disk_create(i);
        struct os *os = sim_os_create(i, disk);
        struct os_file f = { 0 };
        sim_disk_set_trace(disk, &trace);
        CHECK_OK(os_file_open(os, paths[i], OS_FILE_CREATE, &f));
        CHECK_OK(os_file_write(&f, offsets[i], bytes_of(texts[i], 3)));
        CHECK_EQ(trace.count, 2);
        hashes[i] = trace.hash;
        os_destroy(os);
        sim_disk_destroy(disk);
    }
    CHECK_EQ(hashes[0], hashes[1]);
    for (uint32_t i = 2; i < 5; i++) CHECK(hashes[i] != hashes[0]);
}
