#include "storage/snapshot_file.h"

#include "harness.h"
#include "sim/os_sim.h"

#include <stdio.h>

#define DIR "/data/snapshots"
#define DAY_MS UINT64_C(86400000)

static struct sim_disk *disk;

static struct os *begin(struct sim_disk *on) {
    disk = on;
    struct os *os = sim_os_create(test_seed(), disk);
    CHECK_OK(os_dir_create(os, "/data"));
    return os;
}

static void end(struct os *os) {
    os_destroy(os);
    sim_disk_destroy(disk);
}

/* A snapshot whose content tells its number, of more than one sector. */
static STATUS write_one(struct os *os, uint32_t number, uint64_t wall_ms, uint32_t keep) {
    char text[2000], name[SNAPSHOT_NAME_BYTES];
    struct snapshot_file f;
    memset(text, (int)('a' + number), sizeof text);
    TRY(snapshot_file_begin(&f, os, DIR));
    struct status s = snapshot_file_append(&f, BYTES_LIT("{"));
    for (uint32_t i = 0; i < 3 && status_ok(s); i++)
        s = snapshot_file_append(&f, bytes_of(text, sizeof text));
    if (status_ok(s)) s = snapshot_file_append(&f, BYTES_LIT("}"));
    if (status_ok(s)) s = snapshot_file_commit(&f, wall_ms, keep, name);
    if (!status_ok(s)) snapshot_file_abort(&f);
    return s;
}

struct seen {
    uint32_t snapshots; /* names of snapshots */
    uint32_t others;    /* further names */
    uint32_t whole;     /* snapshots that are all there and of one number */
    char last[OS_NAME_BYTES_MAX];
};

static void see(void *user, const char *name) {
    struct seen *n = user;
    char path[OS_PATH_BYTES_MAX];
    struct bytes content = BYTES_NONE;
    if (strncmp(name, "snapshot-", 9) != 0) {
        n->others++;
        return;
    }
    n->snapshots++;
    (void)snprintf(n->last, sizeof n->last, "%s", name);
    (void)snprintf(path, sizeof path, DIR "/%s", name);
    CHECK_OK(sim_disk_view(disk, path, &content));
    bool whole = content.len == 6002 && content.ptr[0] == '{' && content.ptr[6001] == '}';
    for (size_t i = 1; whole && i < 6001; i++) whole = content.ptr[i] == content.ptr[1];
    n->whole += whole;
}

static struct seen look(void) {
    struct seen n = { 0 };
    if (!status_ok(sim_disk_list(disk, DIR, see, &n))) n = (struct seen){ 0 };
    return n;
}

/* The name is the time in the calendar of Greenwich, so that names sort by time. */
TEST(snapshot_file, is_named_by_its_time) {
    static const struct {
        uint64_t wall_ms;
        const char *name;
    } times[] = {
        { 0, "snapshot-19700101T000000Z.json" },
        { 951782399999, "snapshot-20000228T235959Z.json" },
        { 951782400000, "snapshot-20000229T000000Z.json" },
        { 1709164800000, "snapshot-20240229T000000Z.json" },
        { 1767225600000, "snapshot-20260101T000000Z.json" },
        { 1795295849123, "snapshot-20261121T211729Z.json" },
        { 4107542400000, "snapshot-21000301T000000Z.json" },
    };
    char name[SNAPSHOT_NAME_BYTES];
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        snapshot_file_name(times[i].wall_ms, name);
        CHECK_BYTES(bytes_of_string(name), bytes_of_string(times[i].name));
    }
}

/* The newest are kept; the one just written is, even if the clock went back. */
TEST(snapshot_file, keeps_the_newest) {
    struct os *os = begin(sim_disk_create(test_seed()));
    for (uint32_t i = 0; i < 5; i++) CHECK_OK(write_one(os, i, (100 + i) * DAY_MS, 2));
    struct seen n = look();
    CHECK_EQ(n.snapshots, 2);
    CHECK_EQ(n.whole, 2);
    CHECK_EQ(n.others, 0);
    CHECK_OK(write_one(os, 7, DAY_MS, 1));
    n = look();
    CHECK_EQ(n.snapshots, 1);
    CHECK_BYTES(bytes_of_string(n.last), BYTES_LIT("snapshot-19700102T000000Z.json"));
    CHECK_OK(write_one(os, 8, DAY_MS, 1)); /* in the same second: replaced */
    CHECK_EQ(look().whole, 1);
    end(os);
}

/* Power lost at any step: whatever has the name of a snapshot is whole, and one that was told to be
 * written is there. What was half written goes at the next start. */
TEST(snapshot_file, survives_power_loss_at_every_step) {
    struct os *os = begin(sim_disk_create(test_seed()));
    CHECK_OK(snapshot_file_clean(os, DIR));
    CHECK_OK(os_dir_sync(os, "/"));
    CHECK_OK(write_one(os, 0, DAY_MS, 1));
    uint64_t before = sim_disk_op_count(disk);
    CHECK_OK(write_one(os, 1, 2 * DAY_MS, 1));
    const uint64_t steps = sim_disk_op_count(disk) - before;
    CHECK(steps >= 8);
    for (uint64_t step = 0; step < 4 * steps; step++) {
        const uint64_t wall_ms = (3 + step) * DAY_MS;
        char name[SNAPSHOT_NAME_BYTES];
        sim_disk_stop_after(disk, sim_disk_op_count(disk) + step % (steps + 1));
        const struct status st = write_one(os, (uint32_t)step % 20, wall_ms, 1);
        struct sim_disk *after = sim_disk_crash(disk, SIM_CRASH_SEEDED, test_seed() + step);
        end(os);
        os = begin(after);
        CHECK_OK(snapshot_file_clean(os, DIR));
        const struct seen n = look();
        CHECK(n.snapshots >= 1);
        CHECK_EQ(n.whole, n.snapshots);
        CHECK_EQ(n.others, 0);
        snapshot_file_name(wall_ms, name);
        if (status_ok(st)) CHECK_BYTES(bytes_of_string(n.last), bytes_of_string(name));
    }
    end(os);
}

/* Any call may fail: no half file has a name, the one before stays, and the next works. */
TEST(snapshot_file, survives_every_failing_call) {
    struct os *os = begin(sim_disk_create(test_seed()));
    CHECK_OK(write_one(os, 0, DAY_MS, 1));
    uint32_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        sim_disk_fail_call(disk, nth, ST_IO);
        const struct status st = write_one(os, 1, (1 + nth) * DAY_MS, 1);
        const bool came = !sim_disk_fail_is_pending(disk);
        sim_disk_fail_call(disk, 0, ST_IO);
        const struct seen n = look();
        CHECK(n.snapshots >= 1);
        CHECK_EQ(n.whole, n.snapshots);
        failures += !status_ok(st);
        if (!came) break;
    }
    CHECK(failures >= 6);
    CHECK_OK(write_one(os, 2, 100 * DAY_MS, 1));
    const struct seen n = look();
    CHECK_EQ(n.snapshots, 1);
    CHECK_EQ(n.others, 0);
    end(os);
}

/* A disk that is nearly full is left to the node, and nothing stays of the attempt. */
TEST(snapshot_file, leaves_the_last_space_to_the_node) {
    struct os *os = begin(sim_disk_create(test_seed()));
    CHECK_OK(write_one(os, 0, DAY_MS, 1));
    sim_disk_set_capacity(disk, sim_disk_used_bytes(disk) + SNAPSHOT_FREE_BYTES_MIN + 3000);
    CHECK_STATUS(write_one(os, 1, 2 * DAY_MS, 1), ST_FULL);
    const struct seen n = look();
    CHECK_EQ(n.snapshots, 1);
    CHECK_EQ(n.others, 0);
    CHECK_BYTES(bytes_of_string(n.last), BYTES_LIT("snapshot-19700102T000000Z.json"));
    end(os);
}
