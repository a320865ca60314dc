/* tidy: integration. The log on a hostile disk: power lost after every single
 * operation, and every byte of a log damaged. */
#include "storage/wal.h"

#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/storage/wal_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 2u
#define TURNS 30u
#define IMAGES_SEEDED 4u

/* What a run had promised when it ended. */
struct promise {
    uint64_t acknowledged; /* records, for a process that died */
    uint64_t durable;      /* records, for a machine that lost power */
    uint64_t first_segment;
    uint64_t floor;
};

static sigjmp_buf died;

static void on_abort(int number) {
    (void)number;
    siglongjmp(died, 1);
}

static void remember(const struct wal_world *v, struct promise *p) {
    p->acknowledged = world_acknowledged(v);
    if (v->sync == WAL_SYNC_ALWAYS) p->durable = p->acknowledged;
}

/* Rotate now and then, and release what an earlier rotation ended. */
static void rotate_or_release(struct wal_world *v, struct sim_random *random, struct promise *p,
                              uint64_t ends[2]) {
    if (!sim_random_chance(random, 1, 8)) return;
    if (ends[0] != 0) {
        v->first_segment = p->first_segment = ends[0];
        v->floor = p->floor = ends[1];
        if (p->durable < p->floor) p->durable = p->floor;
        wal_release(v->wal, ends[0]);
    }
    CHECK_OK(wal_rotate(v->wal, &ends[0]));
    ends[1] = v->count;
}

/* Some turns of a shard's life. *p is kept true at every moment. */
static void run_turns(struct wal_world *v, struct sim_random *random, struct promise *p) {
    uint64_t ends[2] = { 0, 0 };
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint64_t appends = sim_random_below(random, 8);
        while (appends-- > 0 && status_ok(world_append(v))) continue;
        const bool force = v->sync == WAL_SYNC_INTERVAL && sim_random_chance(random, 1, 4);
        wal_commit(v->wal, force);
        remember(v, p);
        wal_prepare(v->wal);
        world_pump(v, (uint32_t)sim_random_below(random, 3));
        remember(v, p);
        rotate_or_release(v, random, p, ends);
        if (sim_random_chance(random, 1, 10)) {
            world_settle(v, true);
            remember(v, p);
            p->durable = v->count;
        }
    }
}

/* Open what a crash left; go on; lose the power once more; open again. Says what is
 * wrong, or NULL. */
static const char *recover(struct sim_disk *image, enum wal_sync sync, const struct promise *p,
                           uint64_t at_least, uint64_t seed) {
    struct wal_world v;
    world_init(&v, image, seed);
    v.sync = sync;
    v.first_segment = p->first_segment;
    v.floor = p->floor;
    const struct status opened = world_open(&v);
    if (v.replay_wrong) return "a record nobody appended, or not in order";
    if (!status_ok(opened)) return status_name(opened);
    if (v.count < at_least) return "a record that was promised is missing";
    const uint64_t found = v.count;

    for (uint32_t i = 0; i < 5; i++) {
        if (!status_ok(world_append_waiting(&v))) return "no append after recovery";
    }
    world_settle(&v, true);
    const uint64_t count = v.count;
    struct sim_disk *again = sim_disk_crash(image, SIM_CRASH_LOSE_ALL, seed);
    world_close(&v);
    world_deinit(&v);

    world_init(&v, again, seed + 1);
    v.sync = sync;
    v.first_segment = p->first_segment;
    v.floor = p->floor;
    const struct status reopened = world_open(&v);
    if (v.replay_wrong) return "after a second crash: a wrong record";
    if (!status_ok(reopened)) return "after a second crash: it does not open";
    if (v.count < found) return "after a second crash: what was shown once is gone";
    if (v.count != count) return "after a second crash: not what was synced";
    world_deinit(&v);
    sim_disk_destroy(again);
    return NULL;
}

/* Recover again and again, the power failing after each operation of the recovery. */
static const char *recover_interrupted(struct sim_disk *disk, enum wal_sync sync,
                                       const struct promise *p, uint64_t at_least, uint64_t seed) {
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_SEEDED, seed);
    struct sim_random random = sim_random_of(seed);
    for (uint32_t round = 0; round < 4; round++) {
        struct wal_world v;
        world_init(&v, image, seed + round);
        v.sync = sync;
        v.first_segment = p->first_segment;
        v.floor = p->floor;
        sim_disk_stop_after(image, sim_disk_op_count(image) + sim_random_below(&random, 12));
        const struct status s = world_open(&v);
        if (v.replay_wrong) return "interrupted: a wrong record";
        if (s.code == ST_CORRUPT || s.code == ST_NOT_FOUND) return "interrupted: does not open";
        struct sim_disk *next = sim_disk_crash(image, SIM_CRASH_SEEDED, seed + round);
        world_deinit(&v);
        sim_disk_destroy(image);
        image = next;
    }
    const char *wrong = recover(image, sync, p, at_least, seed);
    sim_disk_destroy(image);
    return wrong;
}

static const char *recover_all(struct sim_disk *disk, enum wal_sync sync, const struct promise *p,
                               uint64_t seed) {
    for (uint32_t i = 0; i < 2 + IMAGES_SEEDED; i++) {
        enum sim_disk_crash_style style = SIM_CRASH_SEEDED;
        if (i == 0) style = SIM_CRASH_LOSE_ALL;
        if (i == 1) style = SIM_CRASH_KEEP_ALL;
        const uint64_t at_least = i == 1 ? p->acknowledged : p->durable;
        struct sim_disk *image = sim_disk_crash(disk, style, seed + i);
        const char *wrong = recover(image, sync, p, at_least, seed + i);
        if (wrong != NULL) return wrong;
        sim_disk_destroy(image);
        if (style != SIM_CRASH_SEEDED) continue;
        wrong = recover_interrupted(disk, sync, p, at_least, seed + i);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}

/* Run until `stop` operations were made, then look at what the disk may hold. What
 * the log held in memory when it died is not given back. Says what is wrong, or NULL;
 * *ret_ended: the run came to its end before. */
static const char *crash_at(enum wal_sync sync, uint64_t stop, uint64_t seed, bool *ret_ended) {
    static struct wal_world v;
    static struct promise promise;
    world_init(&v, NULL, seed);
    v.sync = sync;
    promise = (struct promise){ 0 };
    struct sim_random random = sim_random_of(seed);
    sim_disk_stop_after(v.disk, stop);
    *ret_ended = false;
    if (sigsetjmp(died, 1) == 0) {
        signal(SIGABRT, on_abort);
        if (status_ok(world_open(&v))) {
            run_turns(&v, &random, &promise);
            *ret_ended = sim_disk_op_count(v.disk) < stop;
        }
    }
    signal(SIGABRT, SIG_DFL);
    return recover_all(v.disk, sync, &promise, seed + stop);
}

/* Power is lost after each operation of a run in turn. The exit code is 0 if all went
 * well every time. */
static int crash_everywhere_here(enum wal_sync sync, uint64_t seed) {
    if (freopen("/dev/null", "w", stderr) == NULL) return 1;
    bool ended = false;
    /* Two operations make the folder. */
    for (uint64_t stop = 2; !ended; stop++) {
        const char *wrong = crash_at(sync, stop, seed, &ended);
        if (wrong == NULL) continue;
        dprintf(STDOUT_FILENO, "sync mode %d, power lost after operation %llu: %s\n", (int)sync,
                (unsigned long long)stop, wrong);
        return 1;
    }
    return 0;
}

/* The same in a child process: a log whose disk is gone ends its process. */
static void crash_everywhere(enum wal_sync sync, uint64_t seed) {
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(crash_everywhere_here(sync, seed));
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* With --sync always every acknowledged record survives a power loss at any moment,
 * what is found is a gapless run of what was appended, and stays found. */
TEST(wal_crash, always_keeps_what_was_acknowledged) {
    for (uint64_t i = 0; i < SEEDS; i++) crash_everywhere(WAL_SYNC_ALWAYS, test_seed() + i);
}

/* With --sync interval the same holds for what was synced, and for all that was
 * acknowledged if only the process died. */
TEST(wal_crash, interval_keeps_what_was_synced) {
    for (uint64_t i = 0; i < SEEDS; i++) crash_everywhere(WAL_SYNC_INTERVAL, test_seed() + i);
}

/* With --sync never all that was acknowledged is there if only the process died, and
 * what is found after a power loss is still gapless. */
TEST(wal_crash, never_keeps_all_if_the_process_dies) {
    for (uint64_t i = 0; i < SEEDS; i++) crash_everywhere(WAL_SYNC_NEVER, test_seed() + i);
}

/* ---- a failed sync ---- */

/* The log dies of a failed sync and starts again on the same machine, which shows it
 * what never reached the disk; then the power fails. The exit code is 0 if the second
 * start made durable what it replayed. */
static int restart_after_failed_sync(uint64_t seed) {
    if (freopen("/dev/null", "w", stderr) == NULL) return 1;
    static struct wal_world v;
    world_init(&v, NULL, seed);
    if (!status_ok(world_open(&v))) return 2;
    for (uint32_t i = 0; i < 30; i++) {
        if (!status_ok(world_append_waiting(&v))) return 3;
    }
    world_settle(&v, false);
    if (sigsetjmp(died, 1) == 0) {
        signal(SIGABRT, on_abort);
        while (status_ok(world_append(&v)) && v.count < 33) continue;
        wal_commit(v.wal, false);
        sim_disk_fail_sync(v.disk);
        world_settle(&v, false);
        return 4; /* it should have died */
    }
    signal(SIGABRT, SIG_DFL);
    static struct wal_world next;
    world_init(&next, v.disk, seed + 1);
    if (!status_ok(world_open(&next))) return 5;
    struct sim_disk *image = sim_disk_crash(v.disk, SIM_CRASH_LOSE_ALL, seed);
    static struct wal_world last;
    world_init(&last, image, seed + 2);
    if (!status_ok(world_open(&last))) return 6;
    return last.count == next.count && next.count >= 30 ? 0 : 7;
}

/* After a failed sync the kernel may show pages that never reached the disk, and a
 * sync of them succeeds (fsyncgate): what is replayed is written anew. */
TEST(wal_crash, restart_does_not_trust_pages_of_a_failed_sync) {
    for (uint64_t i = 0; i < 20; i++) {
        fflush(NULL);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(restart_after_failed_sync(test_seed() + i));
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
    }
}

/* ---- rot ---- */

static void make_small_log(struct wal_world *v) {
    world_init(v, NULL, test_seed());
    v->segment_bytes = 4096;
    CHECK_OK(world_open(v));
    while (v->count < 60) {
        CHECK_OK(world_append_waiting(v));
        if (v->count % 3 == 0) world_settle(v, false);
    }
    world_settle(v, false);
}

/* The files of a folder. */
struct names {
    char text[16][OS_NAME_BYTES_MAX];
    uint32_t count;
};

static void add_name(void *user, const char *name) {
    struct names *names = user;
    CHECK(names->count < 16);
    snprintf(names->text[names->count++], OS_NAME_BYTES_MAX, "%s", name);
}

/* Whatever byte of a synced log is damaged, opening it either gives every record or
 * refuses: never a wrong one, never silently fewer. */
TEST(wal_crash, any_damaged_byte_is_noticed_or_harmless) {
    struct wal_world v;
    make_small_log(&v);
    const uint64_t count = v.count;
    struct names names = { .count = 0 };
    CHECK_OK(sim_disk_list(v.disk, WORLD_DIR, add_name, &names));
    struct sim_random random = sim_random_of(test_seed());
    uint64_t noticed = 0;
    for (uint32_t i = 0; i < names.count; i++) {
        char path[OS_PATH_BYTES_MAX];
        snprintf(path, sizeof path, WORLD_DIR "/%s", names.text[i]);
        struct bytes content;
        CHECK_OK(sim_disk_view(v.disk, path, &content));
        for (uint64_t offset = 0; offset < content.len; offset++) {
            struct sim_disk *image = sim_disk_crash(v.disk, SIM_CRASH_KEEP_ALL, 1);
            CHECK_OK(sim_disk_flip(image, path, offset, (uint32_t)sim_random_below(&random, 8)));
            struct wal_world damaged;
            world_init(&damaged, image, 1);
            damaged.segment_bytes = v.segment_bytes;
            const struct status s = world_open(&damaged);
            CHECK(!damaged.replay_wrong);
            CHECK(status_ok(s) || s.code == ST_CORRUPT);
            if (status_ok(s))
                CHECK_EQ(damaged.count, count);
            else
                noticed++;
            world_deinit(&damaged);
            sim_disk_destroy(image);
        }
    }
    CHECK(noticed > 1000); /* most bytes are in use */
    world_deinit(&v);
}
