#include "storage/identity.h"

#include "harness.h"
#include "sim/os_sim.h"

#define DIR "/data"

static struct sim_disk *disk;

static struct os *begin(struct sim_disk *on) {
    disk = on;
    struct os *os = sim_os_create(test_seed(), disk);
    CHECK_OK(os_dir_create(os, DIR));
    return os;
}

static void end(struct os *os) {
    os_destroy(os);
    sim_disk_destroy(disk);
}

/* Every start of a directory counts, and its node id and shards stay. */
TEST(identity, counts_starts) {
    struct os *os = begin(sim_disk_create(test_seed()));
    struct identity first, second;
    CHECK_OK(identity_open(os, DIR, 0, 3, &first));
    CHECK_OK(identity_open(os, DIR, 0, 5, &second));
    CHECK(first.node_id != 0);
    CHECK_EQ(second.node_id, first.node_id);
    CHECK_EQ(first.boot_count, 1);
    CHECK_EQ(second.boot_count, 2);
    CHECK_EQ(second.shards, 3);
    end(os);
}

/* The number of shards cannot be changed by asking for another. */
TEST(identity, refuses_another_number_of_shards) {
    struct os *os = begin(sim_disk_create(test_seed()));
    struct identity id;
    CHECK_OK(identity_open(os, DIR, 2, 4, &id));
    CHECK_STATUS(identity_open(os, DIR, 3, 4, &id), ST_INVALID);
    CHECK_EQ(id.boot_count, 1);
    end(os);
}

/* A folder that holds somebody else's files is left alone; one whose identity was lost too. */
TEST(identity, refuses_folders_that_are_not_its_own) {
    struct os *os = begin(sim_disk_create(test_seed()));
    struct identity id;
    struct os_file file;
    CHECK_OK(os_file_open(os, DIR "/.hidden", OS_FILE_CREATE, &file));
    os_file_close(&file);
    CHECK_OK(os_file_open(os, DIR "/holiday.jpg", OS_FILE_CREATE, &file));
    os_file_close(&file);
    CHECK_STATUS(identity_open(os, DIR, 0, 1, &id), ST_INVALID);
    CHECK_OK(os_path_remove(os, DIR "/holiday.jpg"));
    CHECK_OK(os_dir_create(os, DIR "/shard-00"));
    CHECK_STATUS(identity_open(os, DIR, 0, 1, &id), ST_CORRUPT);
    end(os);
}

/* Power lost at any step of a start leaves a directory that opens with the same node id,
 * and never counts back: versions of two starts must differ. */
TEST(identity, survives_power_loss_at_every_step) {
    struct os *os = begin(sim_disk_create(test_seed()));
    struct identity made;
    CHECK_OK(identity_open(os, DIR, 0, 2, &made));
    CHECK_OK(os_dir_sync(os, "/"));
    const uint64_t before = sim_disk_op_count(disk);
    CHECK_OK(identity_open(os, DIR, 0, 2, &made));
    const uint64_t steps = sim_disk_op_count(disk) - before;
    CHECK(steps >= 4);
    for (uint64_t step = 0; step <= steps; step++) {
        struct identity id = { 0 };
        sim_disk_stop_after(disk, sim_disk_op_count(disk) + step);
        const struct status st = identity_open(os, DIR, 0, 2, &id);
        struct sim_disk *after = sim_disk_crash(disk, SIM_CRASH_SEEDED, test_seed() + step);
        const uint32_t told = status_ok(st) ? id.boot_count : made.boot_count;
        end(os);
        os = begin(after);
        CHECK_OK(identity_open(os, DIR, 0, 2, &id));
        CHECK_EQ(id.node_id, made.node_id);
        CHECK(id.boot_count > told);
        made = id;
    }
    end(os);
}

/* Any flipped bit of the file is noticed; another format is told apart from damage. */
TEST(identity, notices_damage) {
    const struct identity id = { .node_id = 77, .boot_count = 9, .shards = 2 };
    char text[IDENTITY_BYTES_MAX];
    const size_t len = identity_encode(&id, text);
    struct identity out;
    CHECK_OK(identity_decode(bytes_of(text, len), &out));
    CHECK_EQ(out.boot_count, 9);
    for (size_t i = 0; i < len * 8; i++) {
        text[i / 8] ^= (char)(1 << (i % 8));
        CHECK(!status_ok(identity_decode(bytes_of(text, len), &out)));
        text[i / 8] ^= (char)(1 << (i % 8));
    }
    CHECK_EQ(identity_decode(BYTES_LIT("atoll 2\n"), &out).code, ST_INVALID);
    CHECK_EQ(identity_decode(bytes_of(text, len - 1), &out).code, ST_CORRUPT);
    CHECK_EQ(identity_decode(BYTES_NONE, &out).code, ST_CORRUPT);
}
