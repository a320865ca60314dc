/* tidy: integration. The raft store on a hostile disk: power lost after every single operation,
 * and every byte of its file damaged. */
#include "test/unit/control/raft_store_world.h"
#include "test/unit/harness.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 3u
#define TURNS 40u
#define IMAGES_SEEDED 4u

static sigjmp_buf died;

static void on_die(void *user, const char *message) {
    (void)user, (void)message;
    siglongjmp(died, 1);
}

/* Some turns of a node's life; at the end a snapshot of each kind, so that every run has them. */
static void run_turns(struct store_world *w, struct sim_random *random) {
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint64_t changes = sim_random_below(random, 4);
        while (changes-- > 0) store_world_change(w, random);
        raft_store_flush(w->store);
        store_world_pump(w, (uint32_t)sim_random_below(random, 2));
        if (sim_random_chance(random, 1, 10)) store_world_settle(w);
    }
    store_world_settle(w);
    const uint64_t last = store_world_now(w)->last;
    if (last > w->applied) store_world_applied(w, last);
    if (w->applied > w->snapshot) store_world_snapshot(w, w->applied);
    store_world_settle(w);
    store_world_install(w, last + 2, store_world_now(w)->hard.term + 1);
    store_world_hard(w, store_world_now(w)->hard.term + 1, 0);
    store_world_settle(w);
}

/* Open what a crash left; go on; lose the power once more; open again. Says what is wrong, or
 * NULL. */
static const char *recover(struct sim_disk *image, const struct store_world *before,
                           uint64_t seed) {
    static struct store_world v;
    struct status s;
    store_world_init(&v, image, seed);
    store_world_inherit(&v, before);
    const char *wrong = store_world_open(&v, &s);
    if (wrong != NULL) return wrong;
    if (s.code == ST_NOT_FOUND && !before->created) return NULL;
    if (!status_ok(s)) return status_name(s);
    if (!before->created && v.version != 0) return "more than nothing";

    struct sim_random random = sim_random_of(seed);
    for (uint32_t i = 0; i < 5; i++) store_world_change(&v, &random);
    if (v.install_open == 0)
        store_world_append(&v, store_world_now(&v)->terms[store_world_now(&v)->last] + 1);
    store_world_settle(&v);
    struct sim_disk *again = sim_disk_crash(image, SIM_CRASH_LOSE_ALL, seed);
    store_world_close(&v);

    static struct store_world last;
    store_world_init(&last, again, seed + 1);
    store_world_inherit(&last, &v);
    wrong = store_world_open(&last, &s);
    if (wrong != NULL) return wrong;
    if (!status_ok(s)) return "after a second crash: it does not open";
    store_world_deinit(&last);
    store_world_deinit(&v);
    sim_disk_destroy(again);
    return NULL;
}

/* Recover again and again, the power failing after each operation of the recovery. */
static const char *recover_interrupted(struct sim_disk *disk, const struct store_world *before,
                                       uint64_t seed) {
    static struct store_world v;
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_SEEDED, seed);
    struct sim_random random = sim_random_of(seed);
    for (uint32_t round = 0; round < 4; round++) {
        struct status s;
        store_world_init(&v, image, seed + round);
        store_world_inherit(&v, before);
        sim_disk_stop_after(image, sim_disk_op_count(image) + sim_random_below(&random, 7));
        const char *wrong = store_world_open(&v, &s);
        if (wrong != NULL) return wrong;
        if (s.code == ST_CORRUPT) return "interrupted: corrupt";
        if (s.code == ST_NOT_FOUND && before->created) return "interrupted: nothing there";
        struct sim_disk *next = sim_disk_crash(image, SIM_CRASH_SEEDED, seed + round);
        store_world_deinit(&v);
        sim_disk_destroy(image);
        image = next;
    }
    const char *wrong = recover(image, before, seed);
    sim_disk_destroy(image);
    return wrong;
}

static const char *recover_all(struct sim_disk *disk, const struct store_world *before,
                               uint64_t seed) {
    for (uint32_t i = 0; i < 2 + IMAGES_SEEDED; i++) {
        enum sim_disk_crash_style style = SIM_CRASH_SEEDED;
        if (i == 0) style = SIM_CRASH_LOSE_ALL;
        if (i == 1) style = SIM_CRASH_KEEP_ALL;
        struct sim_disk *image = sim_disk_crash(disk, style, seed + i);
        const char *wrong = recover(image, before, seed + i);
        if (wrong != NULL) return wrong;
        sim_disk_destroy(image);
        if (style != SIM_CRASH_SEEDED) continue;
        wrong = recover_interrupted(disk, before, seed + i);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}

/* Run until `stop` operations were made, then look at what the disk may hold. What the store
 * held in memory when it died is not given back. Says what is wrong, or NULL; *ret_ended: the
 * run came to its end before. */
static const char *crash_at(uint64_t stop, uint64_t seed, bool *ret_ended) {
    static struct store_world w;
    static struct sim_random random;
    store_world_init(&w, NULL, seed);
    w.rewrite_bytes = seed % 2 == 0 ? 1024 : 0;
    random = sim_random_of(seed);
    sim_disk_stop_after(w.disk, stop);
    *ret_ended = false;
    if (sigsetjmp(died, 1) == 0) {
        if (status_ok(store_world_create(&w, seed % 3 != 0))) {
            run_turns(&w, &random);
            *ret_ended = sim_disk_op_count(w.disk) < stop;
        }
    }
    return recover_all(w.disk, &w, seed + stop);
}

/* The exit code is 0 if all went well every time. */
static int crash_everywhere_here(uint64_t seed) {
    if (freopen("/dev/null", "w", stderr) == NULL) return 1;
    sim_on_die(on_die, NULL);
    bool ended = false;
    uint64_t stop = 2; /* two operations make the data directory */
    for (; !ended; stop++) {
        const char *wrong = crash_at(stop, seed, &ended);
        if (wrong == NULL) continue;
        dprintf(STDOUT_FILENO, "seed %llu, power lost after operation %llu: %s\n",
                (unsigned long long)seed, (unsigned long long)stop, wrong);
        return 1;
    }
    return stop > 60 ? 0 : 2;
}

/* Power is lost after each operation of a history in turn, snapshots of both kinds included:
 * nothing that was called durable is lost, and what is found is what was there at some time. In a
 * child process, as what a dead store held is never freed. */
TEST(raft_store_crash, after_every_operation) {
    for (uint64_t i = 0; i < SEEDS; i++) {
        fflush(NULL);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(crash_everywhere_here(test_seed() + i));
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
    }
}

/* ---- a failed sync ---- */

/* The store dies of a failed sync and starts again on the same machine, which shows it what never
 * reached the disk; then the power fails. The exit code is 0 if the second start made durable
 * what it gave out. */
static int restart_after_failed_sync(uint64_t seed) {
    static struct store_world w, second, third;
    struct status s;
    if (freopen("/dev/null", "w", stderr) == NULL) return 1;
    sim_on_die(on_die, NULL);
    store_world_init(&w, NULL, seed);
    if (!status_ok(store_world_create(&w, true))) return 2;
    for (uint32_t i = 0; i < 30; i++) store_world_append(&w, 1);
    store_world_settle(&w);
    if (sigsetjmp(died, 1) == 0) {
        for (uint32_t i = 0; i < 10; i++) store_world_append(&w, 1);
        sim_disk_fail_sync(w.disk);
        store_world_settle(&w);
        return 3; /* it should have died */
    }
    store_world_init(&second, w.disk, seed + 1);
    store_world_inherit(&second, &w);
    if (store_world_open(&second, &s) != NULL || !status_ok(s)) return 4;
    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_LOSE_ALL, seed);
    store_world_init(&third, image, seed + 2);
    store_world_inherit(&third, &second);
    if (store_world_open(&third, &s) != NULL || !status_ok(s)) return 5;
    return store_world_now(&third)->last == store_world_now(&second)->last ? 0 : 6;
}

/* After a failed sync the kernel may show pages that never reached the disk, and a sync of them
 * succeeds (fsyncgate): what is given out is in a new file. */
TEST(raft_store_crash, restart_does_not_trust_pages_of_a_failed_sync) {
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

/* Whatever byte of the file is damaged, opening it either gives everything that was durable or
 * refuses: never something else, never silently less. */
TEST(raft_store_crash, any_damaged_byte_is_noticed_or_harmless) {
    static struct store_world w, damaged;
    const char *path = WORLD_DIR "/raft-0000000000000002";
    struct sim_random random = sim_random_of(test_seed());
    struct bytes content;
    store_world_init(&w, NULL, test_seed());
    CHECK_OK(store_world_create(&w, true));
    w.rewrite_bytes = 1024 * 1024;
    for (uint32_t i = 0; i < 6; i++) store_world_append(&w, 1);
    store_world_applied(&w, 3);
    store_world_snapshot(&w, 3);
    store_world_settle(&w);            /* file 2: a head */
    for (uint32_t i = 0; i < 4; i++) { /* and some writes */
        store_world_hard(&w, 2 + i, i);
        store_world_append(&w, 2);
        store_world_applied(&w, 4 + i);
        store_world_settle(&w);
    }
    CHECK_OK(sim_disk_view(w.disk, path, &content));
    uint64_t noticed = 0;
    for (uint64_t offset = 0; offset < content.len; offset++) {
        struct status s;
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_KEEP_ALL, 1);
        CHECK_OK(sim_disk_flip(image, path, offset, (uint32_t)sim_random_below(&random, 8)));
        store_world_init(&damaged, image, 1);
        store_world_inherit(&damaged, &w);
        const char *wrong = store_world_open(&damaged, &s);
        CHECK(wrong == NULL);
        CHECK(status_ok(s) || s.code == ST_CORRUPT);
        noticed += !status_ok(s);
        store_world_deinit(&damaged);
        sim_disk_destroy(image);
    }
    /* All but the seal at the end, which holds nothing. */
    CHECK_EQ(noticed, content.len - 20);
    store_world_deinit(&w);
}
