/* tidy: integration. What is added to the store is found again, in order, and `done` says when. */
#include "control/raft_store.h"

#include "base/mem.h"
#include "test/unit/control/raft_store_world.h"
#include "test/unit/harness.h"

#include <stdio.h>

static struct store_world w;
static struct store_world next;

static void restart(void) {
    const char *wrong = store_world_restart(&w, test_seed());
    if (wrong != NULL) fprintf(stderr, "%s\n", wrong);
    CHECK(wrong == NULL);
}

static void begin(bool with_snapshot) {
    store_world_init(&w, NULL, test_seed());
    CHECK_OK(store_world_create(&w, with_snapshot));
}

/* Nothing stored is a status of its own; what is stored is not made again. */
TEST(raft_store, nothing_and_something) {
    struct status s;
    store_world_init(&w, NULL, test_seed());
    CHECK(store_world_open(&w, &s) == NULL);
    CHECK_STATUS(s, ST_NOT_FOUND);
    CHECK_OK(os_dir_create(w.os, WORLD_DIR));
    CHECK(store_world_open(&w, &s) == NULL);
    CHECK_STATUS(s, ST_NOT_FOUND);

    CHECK_OK(store_world_create(&w, false));
    store_world_close(&w);
    CHECK_STATUS(store_world_create(&w, false), ST_CONFLICT);
    CHECK(store_world_open(&w, &s) == NULL);
    CHECK_OK(s);
    CHECK_EQ(raft_store_owner(w.store)->member, WORLD_MEMBER);
    CHECK_EQ(w.snapshot, 0);
    store_world_deinit(&w);
}

/* Every kind of record comes back. */
TEST(raft_store, round_trip) {
    begin(true);
    store_world_hard(&w, 2, 0);
    store_world_hard(&w, 2, 1);
    for (uint32_t i = 0; i < 40; i++) store_world_append(&w, 2); /* 2..41 */
    store_world_applied(&w, 20);
    store_world_truncate(&w, 30);
    store_world_hard(&w, 4, 3);
    for (uint32_t i = 0; i < 5; i++) store_world_append(&w, 3); /* 30..34 */
    store_world_cluster(&w);
    CHECK(!raft_store_is_idle(w.store));
    store_world_settle(&w);
    CHECK_EQ(w.applied_durable, 20);
    restart();
    CHECK_EQ(store_world_now(&w)->last, 34);
    CHECK_EQ(store_world_now(&w)->hard.term, 4);
    CHECK_EQ(store_world_now(&w)->hard.vote, 3);
    CHECK(store_world_now(&w)->cluster_known);
    CHECK_EQ(w.applied, 20);
    CHECK_EQ(w.snapshot, RAFT_BOOT_INDEX);
    CHECK_EQ(strlen(store_world_names(&w)), strlen("raft-0000000000000002 ")); /* one file */
    store_world_deinit(&w);
}

/* What was not flushed is not there. */
TEST(raft_store, unflushed) {
    begin(true);
    store_world_hard(&w, 2, 1);
    store_world_settle(&w);
    store_world_append(&w, 2);
    store_world_applied(&w, 2);
    CHECK_EQ(w.version_durable, 1);
    restart();
    CHECK_EQ(store_world_now(&w)->last, RAFT_BOOT_INDEX);
    CHECK_EQ(w.applied, RAFT_BOOT_INDEX);
    store_world_deinit(&w);
}

/* One job at a time; what is added meanwhile goes into the next, and a flush is not forgotten. */
TEST(raft_store, added_while_a_job_runs) {
    begin(true);
    store_world_hard(&w, 2, 1);
    raft_store_flush(w.store);
    store_world_append(&w, 2);
    raft_store_flush(w.store);
    store_world_append(&w, 2);
    store_world_applied(&w, 2);
    CHECK_EQ(w.done_count, 0);
    CHECK_EQ(store_world_pump(&w, 1), 1);
    CHECK_EQ(w.version_durable, 1);
    CHECK_EQ(w.applied_durable, RAFT_BOOT_INDEX);
    CHECK_EQ(store_world_pump(&w, 1), 1);
    CHECK_EQ(w.version_durable, 3);
    CHECK_EQ(w.applied_durable, 2);
    CHECK_EQ(store_world_pump(&w, 1), 0);
    CHECK(raft_store_is_idle(w.store));
    raft_store_flush(w.store); /* nothing to do */
    CHECK(raft_store_is_idle(w.store));
    CHECK_EQ(w.done_count, 2);
    restart();
    CHECK_EQ(store_world_now(&w)->last, 3);
    store_world_deinit(&w);
}

/* The applied index alone is work too, and repeating it is none. */
TEST(raft_store, applied_alone) {
    begin(true);
    store_world_append(&w, 1);
    store_world_append(&w, 1);
    store_world_settle(&w);
    const uint64_t bytes = raft_store_bytes(w.store);
    store_world_applied(&w, 3);
    store_world_settle(&w);
    CHECK_EQ(w.applied_durable, 3);
    CHECK(raft_store_bytes(w.store) > bytes);
    store_world_applied(&w, 2);
    store_world_applied(&w, 3);
    CHECK(raft_store_is_idle(w.store));
    restart();
    CHECK_EQ(w.applied, 3);
    store_world_deinit(&w);
}

/* A snapshot made here drops what it covers and keeps what follows, also what is added while it
 * is written. */
TEST(raft_store, snapshot_made_here) {
    begin(true);
    store_world_hard(&w, 3, 2);
    for (uint32_t i = 0; i < 30; i++) store_world_append(&w, 3); /* 2..31 */
    store_world_applied(&w, 20);
    store_world_snapshot(&w, 20);
    CHECK(raft_store_is_replacing(w.store));
    raft_store_flush(w.store);
    store_world_truncate(&w, 25);
    store_world_append(&w, 3);
    CHECK_EQ(store_world_pump(&w, 1), 1);
    CHECK_EQ(w.snapshot_durable, 20);
    CHECK(!raft_store_is_replacing(w.store));
    CHECK(strcmp(store_world_names(&w), "raft-0000000000000002 ") == 0);
    store_world_settle(&w);
    restart();
    CHECK_EQ(w.snapshot, 20);
    CHECK_EQ(store_world_now(&w)->last, 25);
    CHECK_EQ(store_world_now(&w)->hard.vote, 2);
    store_world_deinit(&w);
}

/* The leader's snapshot leaves no entry; hard state may change while it is written. */
TEST(raft_store, snapshot_of_the_leader) {
    begin(true);
    store_world_hard(&w, 3, 2);
    for (uint32_t i = 0; i < 9; i++) store_world_append(&w, 3); /* 2..10 */
    store_world_applied(&w, 4);
    store_world_install(&w, 8, 4); /* in the middle of another log */
    store_world_hard(&w, 5, 0);
    raft_store_flush(w.store);
    store_world_hard(&w, 6, 1);
    store_world_settle(&w);
    CHECK_EQ(w.snapshot_durable, 8);
    CHECK_EQ(w.applied_durable, 8);
    store_world_append(&w, 6);
    store_world_settle(&w);
    restart();
    CHECK_EQ(w.snapshot, 8);
    CHECK_EQ(store_world_now(&w)->last, 9);
    CHECK_EQ(store_world_now(&w)->hard.term, 6);
    CHECK_EQ(w.applied, 8);
    store_world_deinit(&w);
}

/* The leader's snapshot may be asked for while one made here is open; that one goes first. */
TEST(raft_store, both_snapshots) {
    for (uint32_t jobs = 1; jobs <= 2; jobs++) {
        begin(true);
        for (uint32_t i = 0; i < 9; i++) store_world_append(&w, 2); /* 2..10 */
        store_world_applied(&w, 5);
        store_world_snapshot(&w, 5);
        if (jobs == 2) raft_store_flush(w.store);
        store_world_install(&w, 50, 3);
        raft_store_flush(w.store);
        CHECK_EQ(store_world_pump(&w, 1), 1);
        CHECK_EQ(w.snapshot_durable, jobs == 1 ? 50 : 5);
        store_world_settle(&w);
        CHECK_EQ(w.snapshot_durable, 50);
        restart();
        CHECK_EQ(store_world_now(&w)->last, 50);
        store_world_deinit(&w);
    }
}

/* A node that joined without anything gets its first snapshot from the leader. */
TEST(raft_store, first_snapshot_from_the_leader) {
    begin(false);
    store_world_hard(&w, 1, 0);
    store_world_install(&w, 30, 1);
    raft_store_flush(w.store);
    CHECK_EQ(store_world_pump(&w, 1), 1);
    CHECK(raft_store_is_idle(w.store)); /* with the snapshot all is said */
    store_world_append(&w, 1);
    store_world_settle(&w);
    restart();
    CHECK_EQ(w.snapshot, 30);
    CHECK_EQ(store_world_now(&w)->last, 31);
    store_world_deinit(&w);
}

/* The file is written anew when it has grown a lot for what it holds, and stays bounded. */
TEST(raft_store, file_stays_bounded) {
    begin(true);
    const uint64_t head = raft_store_bytes(w.store);
    uint64_t most = 0;
    for (uint32_t i = 0; i < 500; i++) {
        store_world_hard(&w, 2 + i, 1);
        store_world_settle(&w);
        if (raft_store_bytes(w.store) > most) most = raft_store_bytes(w.store);
    }
    CHECK(most > head + 2048);
    CHECK(most <= head + w.rewrite_bytes + 4096);
    CHECK(strcmp(store_world_names(&w), "raft-0000000000000001 ") != 0);
    restart();
    CHECK_EQ(store_world_now(&w)->hard.term, 501);
    store_world_deinit(&w);
}

/* What one step can add always fits behind the limit; a caller that asks is told in time. */
TEST(raft_store, room) {
    static uint8_t data[RAFT_ENTRY_BYTES_MAX];
    begin(true);
    uint64_t index = RAFT_BOOT_INDEX;
    uint64_t steps = 0;
    while (raft_store_has_room(w.store)) {
        const size_t most = RAFT_BATCH_BYTES_MAX / RAFT_MESSAGE_ENTRIES_MAX;
        for (uint32_t i = 0; i <= RAFT_MESSAGE_ENTRIES_MAX; i++) {
            const size_t len = i == 0 ? sizeof data : most;
            const struct raft_entry e = { ++index, 1, RAFT_ENTRY_DATA, bytes_of(data, len) };
            raft_store_append(w.store, &e);
        }
        steps++;
    }
    CHECK(steps > 5);
    CHECK(raft_store_check(w.store));
    raft_store_mark(w.store, (struct raft_mark){ .sequence = 1, .index = index });
    w.version = 1;
    w.versions[1].last = index;
    raft_store_flush(w.store);
    CHECK(raft_store_has_room(w.store));
    store_world_settle(&w);
    CHECK(raft_store_bytes(w.store) > RAFT_STORE_PENDING_BYTES_MAX);
    store_world_deinit(&w);
}

/* Random histories, with restarts between, are found as they were. */
TEST(raft_store, random_histories) {
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct sim_random random = sim_random_of(test_seed() + seed);
        begin(seed % 2 == 0);
        for (uint32_t life = 0; life < 4; life++) {
            for (uint32_t i = 0; i < 60; i++) {
                store_world_change(&w, &random);
                if (sim_random_chance(&random, 1, 2)) raft_store_flush(w.store);
                store_world_pump(&w, (uint32_t)sim_random_below(&random, 2));
            }
            if (sim_random_chance(&random, 1, 2)) store_world_settle(&w);
            restart();
        }
        store_world_deinit(&w);
    }
}

/* ---- bugs of the caller ---- */

/* What would break Raft's promises on the disk ends the process before it gets there. */
TEST(raft_store, callers_that_break_the_rules) {
    begin(true);
    store_world_hard(&w, 5, 2);
    for (uint32_t i = 0; i < 5; i++) store_world_append(&w, 5); /* 2..6 */
    store_world_applied(&w, 4);
    CHECK_ABORTS(store_world_hard(&w, 4, 0));
    CHECK_ABORTS(store_world_hard(&w, 5, 3));
    CHECK_ABORTS(store_world_truncate(&w, 4));
    CHECK_ABORTS(store_world_applied(&w, 7));
    CHECK_ABORTS(store_world_install(&w, 3, 5));
    CHECK_ABORTS(raft_store_snapshot(w.store, &(struct raft_snapshot){ .index = 7, .term = 5 }));
    store_world_install(&w, 9, 5);
    CHECK_ABORTS(store_world_append(&w, 5));
    CHECK_ABORTS(store_world_install(&w, 10, 5));
    store_world_settle(&w);
    store_world_deinit(&w);
}

/* ---- a disk that fails ---- */

/* Create and open say what is wrong, at whichever call it happens, and work afterwards. */
TEST(raft_store, failures_at_the_start) {
    for (uint32_t code = 0; code < 2; code++) {
        uint32_t failed = 0;
        for (uint64_t nth = 1;; nth++) {
            struct status s;
            begin(true);
            for (uint32_t k = 0; k < 20; k++) store_world_append(&w, 1);
            store_world_settle(&w);
            store_world_close(&w);
            store_world_init(&next, w.disk, nth);
            store_world_inherit(&next, &w);
            sim_disk_fail_call(w.disk, nth, code == 0 ? ST_IO : ST_FULL);
            const char *wrong = store_world_open(&next, &s);
            const bool pending = sim_disk_fail_is_pending(w.disk);
            sim_disk_heal(w.disk);
            CHECK(wrong == NULL);
            if (!pending) {
                CHECK_STATUS(s, code == 0 ? ST_IO : ST_FULL);
                CHECK(next.store == NULL);
                wrong = store_world_open(&next, &s);
                failed++;
            }
            CHECK_OK(s);
            CHECK(wrong == NULL);
            store_world_deinit(&next);
            store_world_deinit(&w);
            if (pending) break;
        }
        CHECK(failed >= (code == 0 ? 6 : 2));
    }
    for (uint64_t nth = 1;; nth++) {
        store_world_init(&w, NULL, nth);
        sim_disk_fail_call(w.disk, nth, ST_IO);
        const struct status s = store_world_create(&w, true);
        const bool pending = sim_disk_fail_is_pending(w.disk);
        sim_disk_heal(w.disk);
        CHECK_EQ(status_ok(s), pending);
        if (!pending) {
            struct status opened;
            CHECK(store_world_open(&w, &opened) == NULL);
            if (!status_ok(opened)) CHECK_OK(store_world_create(&w, true));
        }
        store_world_deinit(&w);
        if (pending) break;
        CHECK(nth < 20);
    }
}
