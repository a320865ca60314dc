/* tidy: integration. The raft store on a disk that fails while it is in use: the process ends, and
 * what was durable is found again. */
#include "base/assert.h"
#include "test/unit/control/raft_store_world.h"
#include "test/unit/harness.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_world w;
static struct store_world next;
static sigjmp_buf died;
static char last_words[1024];

static void on_die(void *user, const char *message) {
    (void)user;
    snprintf(last_words, sizeof last_words, "%s", message);
    siglongjmp(died, 1);
}

/* In a child process, as what a dead store held is never freed. It ends by an ASSERT if something
 * is wrong. */
static void in_child(void (*run)(void)) {
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Twenty entries and a snapshot, whose writing fails somehow. Whether the process died of it. */
static bool dies(void (*fail)(struct sim_disk *disk, uint64_t nth), uint64_t nth) {
    store_world_init(&w, NULL, test_seed());
    ASSERT(status_ok(store_world_create(&w, true)));
    for (uint32_t k = 0; k < 20; k++) store_world_append(&w, 1);
    store_world_applied(&w, 10);
    store_world_snapshot(&w, 10);
    fail(w.disk, nth);
    last_words[0] = '\0';
    sim_on_die(on_die, NULL);
    const bool dead = sigsetjmp(died, 0) != 0;
    if (!dead) store_world_settle(&w);
    sim_on_die(NULL, NULL);
    return dead;
}

/* Nothing that was durable before is lost, and the file is named. */
static void check_dead(void) {
    struct status s;
    ASSERT(strstr(last_words, "raft store: ") == last_words);
    ASSERT(strstr(last_words, WORLD_DIR "/raft-000000000000000") != NULL);
    sim_disk_heal(w.disk);
    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, test_seed());
    store_world_init(&next, image, 1);
    store_world_inherit(&next, &w);
    const char *wrong = store_world_open(&next, &s);
    ASSERT(status_ok(s));
    if (wrong != NULL) fprintf(stderr, "%s\n", wrong);
    ASSERT(wrong == NULL);
    store_world_deinit(&next);
    sim_disk_destroy(image);
    /* The dead one's memory is not given back: a job is in the middle of it. */
}

static void fail_sync(struct sim_disk *disk, uint64_t nth) {
    (void)nth;
    sim_disk_fail_sync(disk);
}

static void fail_read(struct sim_disk *disk, uint64_t nth) {
    sim_disk_fail_read(disk, nth);
}

static void fail_full(struct sim_disk *disk, uint64_t nth) {
    sim_disk_set_capacity(disk, sim_disk_used_bytes(disk) + nth);
}

static void fail_call(struct sim_disk *disk, uint64_t nth) {
    sim_disk_fail_call(disk, nth, ST_IO);
}

static void fail_in_every_way(void) {
    ASSERT(dies(fail_sync, 1));
    check_dead();
    ASSERT(dies(fail_read, 1));
    check_dead();
    uint64_t room = 0;
    for (; dies(fail_full, room); room += 200) {
        ASSERT(strstr(last_words, "(full)") != NULL);
        check_dead();
    }
    ASSERT(room > 2000);
    ASSERT(w.snapshot_durable == 10);
    store_world_deinit(&w);
}

/* A failed write, sync or read and a full disk end the process. */
TEST(raft_store_fault, ends_the_process) {
    in_child(fail_in_every_way);
}

static void fail_every_call(void) {
    uint64_t nth = 1;
    for (; dies(fail_call, nth); nth++) check_dead();
    ASSERT(nth > 8);
    ASSERT(!sim_disk_fail_is_pending(w.disk));
    ASSERT(strcmp(store_world_names(&w), "raft-0000000000000001 raft-0000000000000002 ") == 0);
    ASSERT(store_world_restart(&w, test_seed()) == NULL);
    ASSERT(strcmp(store_world_names(&w), "raft-0000000000000003 ") == 0);
    ASSERT(w.snapshot == 10);
    store_world_deinit(&w);
    ASSERT(!dies(fail_call, nth + 1));
    ASSERT(sim_disk_fail_is_pending(w.disk));
    store_world_deinit(&w);
}

/* So does any other call that fails, but the removal of the old file, which can wait. */
TEST(raft_store_fault, any_failed_call) {
    in_child(fail_every_call);
}
