/* tidy: integration. The raft store on a disk that fails while it is in use: the process ends, and
 * what was durable is found again. A full disk only makes it wait. */
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

/* Twenty entries and a snapshot that are to be written. */
static void begin(void) {
    store_world_init(&w, NULL, test_seed());
    ASSERT(status_ok(store_world_create(&w, true)));
    for (uint32_t k = 0; k < 20; k++) store_world_append(&w, 1);
    store_world_applied(&w, 10);
    store_world_snapshot(&w, 10);
}

/* Their writing fails somehow. Whether the process died of it. */
static bool dies(void (*fail)(struct sim_disk *disk, uint64_t nth), uint64_t nth) {
    begin();
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
    sim_disk_fail_read(disk, nth, 1);
}

static void fail_call(struct sim_disk *disk, uint64_t nth) {
    sim_disk_fail_call(disk, nth, ST_IO);
}

static void fail_in_every_way(void) {
    ASSERT(dies(fail_sync, 1));
    check_dead();
    ASSERT(dies(fail_read, 1));
    check_dead();
}

/* A failed write, sync or read ends the process. */
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

/* ---- a full disk ---- */

static void leave_room(uint64_t bytes) {
    sim_disk_set_capacity(w.disk, sim_disk_used_bytes(w.disk) + bytes);
}

/* Flush as often as a control does, over so much time. Returns how many jobs ran. */
static uint32_t flush_for(uint32_t ms) {
    uint32_t jobs = 0;
    for (uint32_t i = 0; i < ms / 10; i++) {
        raft_store_flush(w.store);
        jobs += store_world_pump(&w, UINT32_MAX);
        sim_os_advance_ms(w.os, 10);
    }
    return jobs;
}

/* What a crash leaves now is something that was there at some time. */
static void check_crash(uint64_t seed) {
    struct status s;
    struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed);
    sim_disk_heal(image);
    store_world_init(&next, image, 1);
    store_world_inherit(&next, &w);
    CHECK(store_world_open(&next, &s) == NULL);
    CHECK_OK(s);
    store_world_deinit(&next);
    sim_disk_destroy(image);
}

/* Whatever room is left, nothing is claimed and nothing lost; with the space all becomes durable,
 * what was added meanwhile too. Whether there was too little. */
static bool waits_with(uint64_t room) {
    begin();
    const uint32_t asked = w.version;
    leave_room(room);
    raft_store_flush(w.store);
    (void)store_world_pump(&w, UINT32_MAX);
    const bool waits = w.done_count == 0;
    CHECK_EQ(w.version_durable, waits ? 0 : asked);
    if (waits) {
        CHECK(raft_store_is_idle(w.store));
        CHECK(raft_store_is_replacing(w.store));
        store_world_append(&w, 1);
        CHECK(flush_for(10000) <= 10);
        CHECK_EQ(w.done_count, 0);
        CHECK(raft_store_is_idle(w.store));
        check_crash(test_seed() + room);
    }
    sim_disk_heal(w.disk);
    CHECK(flush_for(2000) <= 3);
    CHECK_EQ(w.version_durable, w.version);
    CHECK_EQ(w.snapshot_durable, 10);
    CHECK(raft_store_is_idle(w.store));
    CHECK(!raft_store_is_replacing(w.store));
    CHECK(store_world_restart(&w, test_seed()) == NULL);
    CHECK_EQ(w.snapshot, 10);
    store_world_deinit(&w);
    return waits;
}

TEST(raft_store_fault, full_disk_makes_it_wait) {
    uint64_t room = 0;
    while (waits_with(room)) room += 100;
    CHECK(room > 2000);
}

/* The leader's snapshot waits as one made here does. */
TEST(raft_store_fault, full_disk_makes_an_installation_wait) {
    uint32_t waited = 0;
    for (uint64_t room = 0; room < 6000; room += 300) {
        begin();
        store_world_install(&w, 30, 2);
        leave_room(room);
        (void)flush_for(3000);
        waited += w.done_count == 0;
        CHECK(w.done_count > 0 || w.install_open == 30);
        check_crash(test_seed() + room);
        sim_disk_heal(w.disk);
        (void)flush_for(2000);
        CHECK_EQ(w.snapshot_durable, 30);
        CHECK_EQ(w.version_durable, w.version);
        CHECK(store_world_restart(&w, test_seed()) == NULL);
        CHECK_EQ(w.snapshot, 30);
        store_world_deinit(&w);
    }
    CHECK(waited > 2);
    CHECK(waited < 20);
}

/* A stop does not wait for space: what waits for it is dropped, as a crash would do. */
TEST(raft_store_fault, is_closed_on_a_full_disk) {
    begin();
    leave_room(100);
    CHECK_EQ(flush_for(500), 1);
    CHECK(raft_store_is_idle(w.store));
    store_world_close(&w);
    struct status s;
    CHECK(store_world_open(&w, &s) == NULL);
    CHECK_EQ(s.code, ST_FULL);
    CHECK_EQ(strcmp(store_world_names(&w), "raft-0000000000000001 "), 0);
    sim_disk_heal(w.disk);
    CHECK(store_world_restart(&w, test_seed()) == NULL);
    store_world_deinit(&w);
}

/* It takes no more than its buffer holds. */
TEST(raft_store_fault, full_disk_leaves_no_room) {
    static uint8_t data[64 * 1024];
    begin();
    leave_room(0);
    CHECK_EQ(flush_for(500), 1);
    uint64_t index = store_world_now(&w)->last;
    uint32_t added = 0;
    for (; raft_store_has_room(w.store); added++) {
        const struct raft_entry e = { ++index, 1, RAFT_ENTRY_DATA, bytes_of(data, sizeof data) };
        raft_store_append(w.store, &e);
        raft_store_flush(w.store);
        CHECK(added < 100);
    }
    CHECK(added * sizeof data >= RAFT_STORE_PENDING_BYTES_MAX / 2);
    CHECK(flush_for(5000) <= 6);
    CHECK(!raft_store_has_room(w.store));
    sim_disk_heal(w.disk);
    (void)flush_for(2000);
    CHECK(raft_store_has_room(w.store));
    CHECK(raft_store_bytes(w.store) > added * sizeof data);
    store_world_deinit(&w);
}

/* That a file would be written anew is no reason to wait. */
TEST(raft_store_fault, full_disk_does_not_wait_for_a_rewrite) {
    store_world_init(&w, NULL, test_seed());
    w.rewrite_bytes = 400;
    CHECK_OK(store_world_create(&w, true));
    CHECK(store_world_restart(&w, test_seed()) == NULL);
    for (uint32_t k = 0; k < 40; k++) {
        store_world_append(&w, 1);
        leave_room(300);
        store_world_settle(&w);
    }
    CHECK_EQ(strcmp(store_world_names(&w), "raft-0000000000000002 "), 0);
    sim_disk_heal(w.disk);
    for (uint32_t k = 0; k < 20; k++) {
        store_world_append(&w, 1);
        store_world_settle(&w);
    }
    CHECK(strcmp(store_world_names(&w), "raft-0000000000000002 ") > 0);
    CHECK(store_world_restart(&w, test_seed()) == NULL);
    store_world_deinit(&w);
}
