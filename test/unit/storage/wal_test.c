#include "storage/wal.h"

#include "base/mem.h"
#include "sim/random.h"
#include "storage/wal_segment.h"
#include "test/unit/harness.h"
#include "test/unit/storage/wal_world.h"

#include <stdio.h>

#define WAL_PAGE 4096u /* writes are padded to its end */

/* ---- appending and replaying ---- */

static void round_trip(enum wal_sync sync) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    v.sync = sync;
    CHECK_OK(world_open(&v));
    CHECK_EQ(v.count, 0);
    for (uint32_t round = 1; round <= 4; round++) {
        while (v.count < round * 100) {
            CHECK_OK(world_append_waiting(&v));
            if (v.count % 7 == 0) wal_commit(v.wal, false);
        }
        world_settle(&v, true);
        CHECK(wal_is_idle(v.wal));
        CHECK_EQ(wal_acknowledged(v.wal), wal_sequence(v.wal));
        const uint64_t sequence = wal_sequence(v.wal);
        world_close(&v);
        CHECK_OK(world_open(&v));
        CHECK_EQ(v.count, round * 100);
        CHECK_EQ(wal_sequence(v.wal), sequence);
        CHECK_EQ(wal_acknowledged(v.wal), sequence);
    }
    world_deinit(&v);
}

/* What was appended is replayed, in order, over segments and restarts, records
 * larger than a segment among it. */
TEST(wal, replays_what_was_appended) {
    round_trip(WAL_SYNC_ALWAYS);
    round_trip(WAL_SYNC_INTERVAL);
    round_trip(WAL_SYNC_NEVER);
}

static struct wal_options options_of(struct wal_world *v, uint32_t segment_bytes) {
    return (struct wal_options){ .os = v->os,
                                 .loop = v->loop,
                                 .pool = v->pool,
                                 .dir = WORLD_DIR,
                                 .segment_bytes = segment_bytes };
}

/* Lengths of the values replayed. */
struct lengths {
    uint64_t all[8];
    uint32_t count;
};

static struct status note_length(void *user, const struct record *r, uint64_t sequence) {
    struct lengths *lengths = user;
    CHECK(sequence > 0);
    CHECK(lengths->count < 8);
    lengths->all[lengths->count++] = r->value.len;
    return status_of(ST_OK);
}

/* The largest value fits a usual segment without waiting for one of its own; with
 * small segments it gets one, which is deleted, not kept, when released. */
TEST(wal, sizes_at_the_edges) {
    static const uint32_t sizes[2] = { 0, 4096 };
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < 2; i++) {
        struct wal_world v;
        world_init(&v, NULL, test_seed());
        const struct wal_options options = options_of(&v, sizes[i]);
        CHECK_OK(wal_open(&options, 0, NULL, NULL, &v.wal));
        static const size_t lens[4] = { 1, VALUE_BYTES_MAX, 0, 2 };
        for (uint32_t k = 0; k < 4; k++) {
            const struct record r = { .ikey = BYTES_LIT("\x00\x00k"),
                                      .ballot = { 1, 1, 1 },
                                      .value = bytes_of(value, lens[k]) };
            uint64_t sequence;
            struct status s = wal_append(v.wal, &r, &sequence);
            for (; s.code == ST_BUSY; s = wal_append(v.wal, &r, &sequence)) {
                CHECK(sizes[i] != 0 || k > 1);
                CHECK(world_pump(&v, 1) > 0);
            }
            CHECK_OK(s);
        }
        world_settle(&v, false);
        world_close(&v);
        struct lengths found = { .count = 0 };
        CHECK_OK(wal_open(&options, 0, note_length, &found, &v.wal));
        CHECK_EQ(found.count, 4);
        for (uint32_t k = 0; k < 4; k++) CHECK_EQ(found.all[k], lens[k]);

        uint64_t segment;
        CHECK_OK(wal_rotate(v.wal, &segment));
        world_settle(&v, false);
        const struct record r = { .ikey = BYTES_LIT("\x00\x00k"), .ballot = { 1, 1, 1 } };
        uint64_t sequence;
        CHECK_OK(wal_append(v.wal, &r, &sequence));
        world_settle(&v, false);
        wal_release(v.wal, segment);
        world_settle(&v, false);
        CHECK(wal_stats(v.wal).bytes_on_disk < UINT64_C(5) * WAL_SEGMENT_BYTES);
        CHECK_EQ(wal_stats(v.wal).segments, 1);
        world_deinit(&v);
    }
    mem_free(value);
}

/* ---- group commit ---- */

/* Records gather while a job is under way; each is acknowledged when the job that
 * carries it is done, not before. */
TEST(wal, acknowledges_when_the_job_is_done) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    CHECK_OK(world_open(&v));
    while (v.count < 3) CHECK_OK(world_append(&v));
    CHECK_EQ(world_acknowledged(&v), 0);
    wal_commit(v.wal, false);
    CHECK(!wal_is_idle(v.wal));
    while (v.count < 6) CHECK_OK(world_append(&v));
    wal_commit(v.wal, false); /* one is under way: these wait */
    CHECK_EQ(world_acknowledged(&v), 0);
    CHECK_EQ(world_pump(&v, 1), 1);
    CHECK_EQ(world_acknowledged(&v), 3);
    CHECK(!wal_is_idle(v.wal));
    wal_commit(v.wal, false);
    CHECK_EQ(world_pump(&v, 1), 1);
    CHECK_EQ(world_acknowledged(&v), 6);
    CHECK(wal_is_idle(v.wal));
    CHECK_EQ(wal_stats(v.wal).syncs, 2);
    CHECK_EQ(wal_stats(v.wal).appended_records, 6);
    world_deinit(&v);
}

/* Without a sync per commit a record is acknowledged as soon as the kernel has it;
 * a forced commit syncs it. */
TEST(wal, interval_acknowledges_when_written) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    v.sync = WAL_SYNC_INTERVAL;
    CHECK_OK(world_open(&v));
    CHECK_OK(world_append(&v));
    CHECK_EQ(world_acknowledged(&v), 0);
    wal_commit(v.wal, false);
    CHECK_EQ(world_acknowledged(&v), 1);
    CHECK_EQ(wal_stats(v.wal).syncs, 0);
    CHECK(wal_is_idle(v.wal));
    wal_commit(v.wal, true);
    CHECK(!wal_is_idle(v.wal));
    world_pump(&v, 1);
    CHECK_EQ(wal_stats(v.wal).syncs, 1);
    wal_commit(v.wal, true); /* nothing new: no sync */
    CHECK(wal_is_idle(v.wal));
    world_deinit(&v);
}

/* With both buffers full of records nobody wrote yet, more are refused, and taken
 * again once the job is done. */
TEST(wal, is_busy_when_both_buffers_are_full) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    v.segment_bytes = 0;
    CHECK_OK(world_open(&v));
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    const struct record r = { .ikey = BYTES_LIT("\x00\x00k"),
                              .ballot = { 1, 1, 1 },
                              .value = bytes_of(value, VALUE_BYTES_MAX) };
    uint64_t sequence;
    uint32_t taken = 0;
    CHECK_OK(wal_append(v.wal, &r, &sequence));
    wal_commit(v.wal, false);
    /* The job that makes the next segment may run, the one that writes may not: so
     * segments are made until the buffer is what is full. */
    struct status s = wal_append(v.wal, &r, &sequence);
    for (uint32_t i = 0; i < 32 && s.code == ST_BUSY; i++) {
        CHECK(world_pump(&v, 1) <= 1);
        s = wal_append(v.wal, &r, &sequence);
    }
    CHECK_OK(s);
    for (; s.code == ST_OK; taken++) s = wal_append(v.wal, &r, &sequence);
    CHECK_STATUS(s, ST_BUSY);
    CHECK(taken <= WAL_BUFFER_BYTES_MAX / VALUE_BYTES_MAX);
    world_settle(&v, false);
    CHECK_OK(wal_append(v.wal, &r, &sequence));
    mem_free(value);
    world_deinit(&v);
}

/* ---- recycling ---- */

/* Files go round for long: no stale record is ever replayed, and the folder keeps
 * its size. */
TEST(wal, recycled_files_never_replay_stale_records) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    CHECK_OK(world_open(&v));
    uint64_t bytes_max = 0;
    for (uint32_t round = 0; round < 60; round++) {
        for (uint32_t i = 0; i < 40; i++) CHECK_OK(world_append_waiting(&v));
        uint64_t segment;
        CHECK_OK(wal_rotate(v.wal, &segment));
        const uint64_t floor = v.count;
        CHECK_OK(world_append_waiting(&v));
        world_settle(&v, false);
        v.first_segment = segment;
        v.floor = floor;
        wal_release(v.wal, segment);
        world_settle(&v, false);
        if (wal_stats(v.wal).bytes_on_disk > bytes_max) bytes_max = wal_stats(v.wal).bytes_on_disk;
        if (round % 5 != 4) continue;
        const uint64_t count = v.count;
        world_close(&v);
        CHECK_OK(world_open(&v));
        CHECK_EQ(v.count, count);
    }
    CHECK(bytes_max <= 10 * v.segment_bytes);
    CHECK(sim_disk_used_bytes(v.disk) <= 10 * v.segment_bytes);
    world_deinit(&v);
}

/* A number given by rotate parts what came before from what comes after, also when
 * nothing was appended in between, and survives a restart. */
TEST(wal, rotate_parts_before_from_after) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    CHECK_OK(world_open(&v));
    uint64_t first;
    CHECK_OK(wal_rotate(v.wal, &first));
    CHECK_EQ(first, 1); /* nothing is in it yet */
    CHECK_OK(world_append(&v));
    uint64_t second;
    uint64_t again;
    CHECK_OK(wal_rotate(v.wal, &second));
    CHECK_OK(wal_rotate(v.wal, &again));
    CHECK_EQ(second, 2);
    CHECK_EQ(again, second);
    world_settle(&v, false);
    v.floor = v.count;
    v.first_segment = second;
    wal_release(v.wal, second);
    world_settle(&v, false);
    world_close(&v);
    CHECK_OK(world_open(&v));
    CHECK_EQ(v.count, v.floor);
    CHECK_OK(world_append_waiting(&v));
    world_settle(&v, false);
    world_close(&v);
    CHECK_OK(world_open(&v));
    CHECK_EQ(v.count, v.floor + 1);
    world_deinit(&v);
}

/* Append a record whose value has `len` bytes. Returns the bytes it takes. */
static uint64_t append_len(struct wal_world *v, size_t len) {
    static const uint8_t value[WAL_PAGE] = { 1 };
    const struct record r = { .ikey = BYTES_LIT("\x00\x00k"),
                              .ballot = { 1, 1, 1 },
                              .value = bytes_of(value, len) };
    const uint64_t before = wal_stats(v->wal).appended_bytes;
    uint64_t sequence;
    CHECK_OK(wal_append(v->wal, &r, &sequence));
    return wal_stats(v->wal).appended_bytes - before;
}

/* A write of two records of which only the second reached the disk is cut. What is
 * appended afterwards ends where the second one starts, at the end of a page, and the
 * process dies before more is written: the second one must not come back to life. */
TEST(wal, what_was_cut_never_comes_back) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    const struct wal_options options = options_of(&v, 16384);
    CHECK_OK(wal_open(&options, 0, NULL, NULL, &v.wal));
    const uint64_t torn_at = WAL_HEADER_BYTES + WAL_BATCH_BYTES + append_len(&v, 10);
    world_settle(&v, false);
    const uint64_t overhead = append_len(&v, 0);
    world_close(&v); /* that one was only to measure */

    CHECK_OK(wal_open(&options, 0, NULL, NULL, &v.wal));
    const size_t to_page_end = (size_t)(WAL_PAGE - torn_at - WAL_BATCH_BYTES - overhead);
    append_len(&v, to_page_end);
    const uint64_t second = append_len(&v, 20);
    world_settle(&v, false);
    world_close(&v);

    const struct wal_path path = wal_segment_path(WORLD_DIR, 1);
    CHECK_OK(sim_disk_flip(v.disk, path.text, torn_at + 500, 0));     /* in the first of the two */
    CHECK_OK(sim_disk_flip(v.disk, path.text, WAL_PAGE + second, 0)); /* in the closing mark */
    struct lengths found = { .count = 0 };
    CHECK_OK(wal_open(&options, 0, note_length, &found, &v.wal));
    CHECK_EQ(found.count, 1);
    append_len(&v, to_page_end);
    wal_commit(v.wal, false);
    struct os_event event;
    CHECK_EQ(os_loop_wait(v.loop, 0, &event, 1), 1); /* written, but nobody was told yet */
    struct sim_disk *image = sim_disk_crash(v.disk, SIM_CRASH_KEEP_ALL, 1);
    event.job->done(event.job);
    world_deinit(&v);

    world_init(&v, image, test_seed());
    found.count = 0;
    const struct wal_options again = options_of(&v, 16384);
    CHECK_OK(wal_open(&again, 0, note_length, &found, &v.wal));
    CHECK_EQ(found.count, 2);
    CHECK_EQ(found.all[1], to_page_end);
    world_deinit(&v);
    sim_disk_destroy(image);
}

/* ---- refusals at open ---- */

static void fill(struct wal_world *v, uint64_t count) {
    world_init(v, NULL, test_seed());
    CHECK_OK(world_open(v));
    while (v->count < count) {
        CHECK_OK(world_append_waiting(v));
        if (v->count % 5 == 0) world_settle(v, false);
    }
    world_settle(v, false);
    world_close(v);
}

/* A row with a hole is refused, be the hole in the middle or at its start. */
TEST(wal, missing_segment_is_noticed) {
    for (uint64_t missing = 1; missing <= 3; missing++) {
        struct wal_world v;
        fill(&v, 300);
        const struct wal_path path = wal_segment_path(WORLD_DIR, missing);
        CHECK(os_path_exists(v.os, path.text));
        CHECK_OK(os_path_remove(v.os, path.text));
        CHECK_STATUS(world_open(&v), ST_NOT_FOUND);
        world_deinit(&v);
    }
    struct wal_world v;
    fill(&v, 10);
    v.first_segment = 100;
    CHECK_STATUS(world_open(&v), ST_NOT_FOUND);
    world_deinit(&v);
}

/* Findings of the offline check. */
struct findings {
    uint32_t count;
    char last[OS_PATH_BYTES_MAX + 256];
};

static void note_finding(void *user, const char *line) {
    struct findings *findings = user;
    findings->count++;
    snprintf(findings->last, sizeof findings->last, "%s", line);
}

/* The offline check counts what is there, names file and offset of what is
 * damaged, goes on behind it, and changes nothing. */
TEST(wal, verify_reports_without_changing) {
    struct wal_world v;
    fill(&v, 300);
    const uint64_t operations = sim_disk_op_count(v.disk);
    struct findings findings = { .count = 0 };
    uint64_t records;
    uint64_t bad;
    CHECK_OK(wal_verify(v.os, WORLD_DIR, 0, note_finding, &findings, &records, &bad));
    CHECK_EQ(records, 300);
    CHECK_EQ(bad, 0);

    const struct wal_path path = wal_segment_path(WORLD_DIR, 1);
    CHECK_OK(sim_disk_flip(v.disk, path.text, WAL_HEADER_BYTES + 20, 3));
    CHECK_OK(wal_verify(v.os, WORLD_DIR, 0, note_finding, &findings, &records, &bad));
    CHECK_EQ(bad, 1);
    CHECK_EQ(findings.count, 1);
    CHECK(strstr(findings.last, path.text) == findings.last);
    CHECK(strstr(findings.last, "offset ") != NULL);
    CHECK(records > 150);
    CHECK(records < 300);
    CHECK_STATUS(world_open(&v), ST_CORRUPT);
    CHECK_EQ(sim_disk_op_count(v.disk), operations);
    world_deinit(&v);
}

/* ---- faults ---- */

/* On a full disk appends are refused, nothing is lost, and they are taken again
 * soon after there is space. */
TEST(wal, recovers_by_itself_from_a_full_disk) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    CHECK_OK(world_open(&v));
    CHECK_OK(world_append_waiting(&v));
    world_settle(&v, false);
    sim_disk_set_capacity(v.disk, sim_disk_used_bytes(v.disk) + 100);
    struct status s = status_of(ST_OK);
    while (s.code != ST_FULL) {
        s = world_append_waiting(&v);
        CHECK(status_ok(s) || s.code == ST_FULL);
    }
    /* All that was taken can be written, full disk or not. */
    world_settle(&v, false);
    CHECK_EQ(world_acknowledged(&v), v.count);
    CHECK_STATUS(world_append(&v), ST_FULL);
    const uint64_t operations = sim_disk_op_count(v.disk);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_STATUS(world_append(&v), ST_FULL);
        world_settle(&v, false);
    }
    CHECK(sim_disk_op_count(v.disk) - operations < 10); /* attempts are rare */

    sim_disk_set_capacity(v.disk, SIM_DISK_UNLIMITED);
    sim_os_advance_ms(v.os, WAL_RETRY_NS / 1000000 + 1);
    const uint64_t count = v.count;
    for (uint32_t i = 0; i < 10 && v.count == count; i++) {
        s = world_append(&v);
        CHECK(s.code == ST_OK || s.code == ST_FULL || s.code == ST_BUSY);
        world_settle(&v, false);
    }
    CHECK_EQ(v.count, count + 1);
    world_close(&v);
    CHECK_OK(world_open(&v));
    CHECK_EQ(v.count, count + 1);
    world_deinit(&v);
}

/* One run in which the nth call that needs room finds none, then time passes. */
static bool survives_full_call(enum wal_sync sync, uint64_t nth) {
    struct wal_world v;
    world_init(&v, NULL, test_seed());
    v.sync = sync;
    CHECK_OK(world_open(&v));
    sim_disk_fail_call(v.disk, nth, ST_FULL);
    while (v.count < 80) {
        struct status s = world_append(&v);
        CHECK(s.code == ST_OK || s.code == ST_BUSY || s.code == ST_FULL);
        if (v.count % 3 == 0 || !status_ok(s)) world_settle(&v, v.count % 2 == 0);
        sim_os_advance_ms(v.os, 30);
    }
    for (uint32_t i = 0; i < 2; i++) { /* once to fail, once to try again */
        sim_os_advance_ms(v.os, 200);
        world_settle(&v, true);
    }
    CHECK_EQ(world_acknowledged(&v), 80);
    const bool pending = sim_disk_fail_is_pending(v.disk);
    sim_disk_fail_call(v.disk, 0, ST_FULL);
    world_close(&v);
    CHECK_OK(world_open(&v));
    CHECK_EQ(v.count, 80);
    world_deinit(&v);
    return !pending;
}

/* Whichever call meets a full disk, it is tried again later and nothing is lost. */
TEST(wal, survives_no_space_in_any_call) {
    for (uint64_t nth = 1; survives_full_call(WAL_SYNC_ALWAYS, nth); nth++) continue;
    for (uint64_t nth = 1; survives_full_call(WAL_SYNC_INTERVAL, nth); nth++) continue;
}

static void append_and_sync(struct wal_world *v) {
    if (!status_ok(world_append(v))) return;
    world_settle(v, true);
}

/* A failed sync ends the process, in every mode, and so does a failed write. */
TEST(wal, failed_sync_ends_the_process) {
    static const enum wal_sync modes[3] = { WAL_SYNC_ALWAYS, WAL_SYNC_INTERVAL, WAL_SYNC_NEVER };
    for (uint32_t i = 0; i < 3; i++) {
        struct wal_world v;
        world_init(&v, NULL, test_seed());
        v.sync = modes[i];
        CHECK_OK(world_open(&v));
        sim_disk_fail_sync(v.disk);
        CHECK_ABORTS(append_and_sync(&v));
        world_deinit(&v);

        world_init(&v, NULL, test_seed());
        v.sync = modes[i];
        CHECK_OK(world_open(&v));
        sim_disk_fail_call(v.disk, 1, ST_IO);
        CHECK_ABORTS(append_and_sync(&v));
        sim_disk_fail_call(v.disk, 0, ST_IO);
        world_deinit(&v);
    }
}

/* An error of the disk during open is an error of open, whichever call meets it, and
 * the next open finds everything. */
TEST(wal, open_tells_of_any_failed_call) {
    struct wal_world v;
    fill(&v, 60);
    bool pending = false;
    for (uint64_t nth = 1; !pending; nth++) {
        sim_disk_fail_call(v.disk, nth, ST_IO);
        const struct status s = world_open(&v);
        pending = sim_disk_fail_is_pending(v.disk);
        CHECK(pending ? status_ok(s) : s.code == ST_IO);
        sim_disk_fail_call(v.disk, 0, ST_IO);
        world_close(&v);
        CHECK_OK(world_open(&v));
        CHECK_EQ(v.count, 60);
        world_close(&v);
    }
    world_deinit(&v);
}
