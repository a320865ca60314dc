/* tidy: integration. Tables with a damaged block: whoever meets the block, the engine knows of the
 * table, and gives it up when it is asked to, whole or not at all, wherever the power fails. */
#include "storage/engine.h"

#include "storage/manifest.h"
#include "storage/rescue.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE_KEYS 200u /* in the table that is damaged */
#define KEYS 300u       /* the others are in a table of their own */

static struct engine_world w;
static struct engine_world found;
static sigjmp_buf died;
static volatile sig_atomic_t may_die; /* the disk has lost power: the engine ends its process */
static uint32_t dones;                /* calls of drop_done */
static struct status done_status;     /* of the last */

static void drop_done(void *user, struct status s) {
    (void)user;
    dones++;
    done_status = s;
}

static void put_waiting(uint32_t key, uint64_t stamp) {
    struct status s;
    while (s = engine_world_put_stamp(&w, key, stamp), s.code == ST_BUSY) {
        engine_turn(w.engine);
        engine_world_pump(&w, 8);
    }
    CHECK_OK(s);
}

static void put_table(uint32_t from, uint32_t to) {
    for (uint32_t k = from; k < to; k++) put_waiting(k, 1001 + k);
    engine_flush(w.engine);
    engine_world_settle(&w);
}

static struct status get(struct engine_world *of, uint32_t key) {
    uint8_t space[IKEY_BYTES_MAX];
    struct engine_read r = { 0 };
    const struct status s = engine_get(of->engine, engine_world_ikey(key, space), true, &r);
    engine_read_deinit(of->engine, &r);
    return s;
}

static void wait_s(uint32_t seconds) {
    for (uint32_t i = 0; i < seconds; i++) {
        sim_os_advance_ms(w.os, 1000);
        engine_turn(w.engine);
        engine_world_pump(&w, 8);
    }
}

/* Two tables, all well. */
static void begin_whole(uint64_t seed) {
    engine_world_init(&w, NULL, seed);
    w.options.memtable_bytes = 1024 * 1024;
    w.options.level0_tables_compact = 12;
    w.options.table.block_bytes = 1024;
    w.key_count = KEYS;
    dones = 0;
    CHECK_OK(engine_world_open(&w));
    put_table(0, TABLE_KEYS);
    put_table(TABLE_KEYS, KEYS);
}

/* A bit of the first one is wrong, and nobody knows. */
static void begin(uint64_t seed) {
    begin_whole(seed);
    char path[OS_PATH_BYTES_MAX];
    manifest_table_path(ENGINE_WORLD_DIR, 1, path);
    CHECK_OK(sim_disk_flip(w.disk, path, 10, 3));
    engine_turn(w.engine);
    CHECK(!engine_is_damaged(w.engine));
}

/* How many keys of the first table cannot be read. */
static uint32_t corrupt_keys(struct engine_world *of) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < TABLE_KEYS; k++) count += get(of, k).code == ST_CORRUPT;
    return count;
}

/* Which is some, and not all of them. */
static uint32_t find_damage(struct engine_world *of) {
    const uint32_t count = corrupt_keys(of);
    CHECK(count > 0);
    CHECK(count < TABLE_KEYS / 2);
    return count;
}

static uint32_t absent_keys(struct engine_world *of) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < TABLE_KEYS; k++) count += get(of, k).code == ST_NOT_FOUND;
    return count;
}

static void check_others(struct engine_world *of) {
    for (uint32_t k = TABLE_KEYS; k < KEYS; k++) CHECK(engine_world_check_key(of, k) == NULL);
}

static bool exists(struct sim_disk *disk, const char *name) {
    char path[OS_PATH_BYTES_MAX];
    struct bytes content;
    snprintf(path, sizeof path, "%s/%s", ENGINE_WORLD_DIR, name);
    return status_ok(sim_disk_view(disk, path, &content));
}

/* A damaged table is told from a whole one; when it was given up its bad block is gone for good, and
 * the others are there. */
TEST(engine_damage, is_found_by_a_read_and_given_up) {
    begin(test_seed());
    const uint32_t lost = find_damage(&w);
    engine_turn(w.engine);
    CHECK(!engine_is_damaged(w.engine)); /* it is read again first */
    engine_world_settle(&w);
    CHECK(engine_is_damaged(w.engine));
    CHECK_EQ(engine_stats(w.engine).tables_dropped, 0);

    engine_world_raise_gc_floor(&w, 5000);
    CHECK_STATUS(engine_world_put_stamp(&w, 0, 1001), ST_CONFLICT);
    engine_drop_damaged(w.engine, drop_done, NULL);
    CHECK_EQ(dones, 0); /* never from inside the call */
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    CHECK_OK(done_status);
    CHECK(!engine_is_damaged(w.engine));
    CHECK_EQ(engine_stats(w.engine).tables_dropped, 1);
    CHECK_EQ(absent_keys(&w), lost);
    uint32_t right = 0;
    for (uint32_t k = 0; k < TABLE_KEYS; k++) right += engine_world_check_key(&w, k) == NULL;
    CHECK_EQ(right, TABLE_KEYS - lost);
    check_others(&w);
    CHECK(exists(w.disk, "damaged-0"));

    engine_world_close(&w, false);
    CHECK_OK(engine_world_open(&w));
    CHECK_EQ(absent_keys(&w), lost);
    CHECK(!engine_is_damaged(w.engine));
    engine_world_deinit(&w);
}

/* So is one that the disk cannot read. */
TEST(engine_damage, is_given_up_with_a_bad_sector) {
    begin_whole(test_seed());
    char path[OS_PATH_BYTES_MAX];
    manifest_table_path(ENGINE_WORLD_DIR, 1, path);
    CHECK_OK(sim_disk_spoil(w.disk, path, 10));
    const uint32_t lost = find_damage(&w);
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    CHECK_EQ(absent_keys(&w), lost);
    check_others(&w);
    engine_world_deinit(&w);
}

/* The disk was away for a moment: nothing is damaged, and all is compacted again. */
TEST(engine_damage, is_none_when_it_can_be_read_again) {
    begin_whole(test_seed());
    w.always_blocks = true;
    sim_disk_fail_read(w.disk, 1, 8);
    CHECK_EQ(corrupt_keys(&w), 4); /* each was asked for twice */
    engine_world_settle(&w);
    CHECK(!engine_is_damaged(w.engine));
    CHECK(engine_world_check_all(&w) == NULL);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).level_tables[0], 0);
    engine_world_deinit(&w);
}

/* It was away until it was to be given up. */
TEST(engine_damage, is_kept_when_it_can_be_read_again) {
    begin_whole(test_seed());
    sim_disk_fail_read(w.disk, 1, 1000);
    CHECK(corrupt_keys(&w) > 0);
    engine_world_settle(&w);
    CHECK(engine_is_damaged(w.engine));
    sim_disk_heal(w.disk);
    engine_set_gc_floor(w.engine, (struct ballot){ 1, 1, 1 });
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    CHECK_OK(done_status);
    CHECK(!engine_is_damaged(w.engine));
    CHECK_EQ(engine_stats(w.engine).tables_dropped, 0);
    CHECK(engine_world_check_all(&w) == NULL);
    CHECK(ballot_is_zero(engine_gc_floor(w.engine)));
    engine_world_deinit(&w);
}

/* Where nobody gives it up it is looked at again in the end. */
TEST(engine_damage, is_none_when_the_disk_is_back) {
    begin_whole(test_seed());
    sim_disk_fail_read(w.disk, 1, 1000);
    CHECK(corrupt_keys(&w) > 0);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK(engine_is_damaged(w.engine));
    CHECK(engine_stats(w.engine).level_tables[0] > 0);
    sim_disk_heal(w.disk);
    wait_s(610);
    CHECK(!engine_is_damaged(w.engine));
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).level_tables[0], 0);
    engine_world_deinit(&w);
}

/* A stop while the tables are read again waits for that, and gives nothing up. */
TEST(engine_damage, is_not_given_up_by_one_that_stops) {
    begin(test_seed());
    CHECK(corrupt_keys(&w) > 0);
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_turn(w.engine);
    engine_stop(w.engine, false);
    CHECK(!engine_is_idle(w.engine));
    engine_world_close(&w, false);
    CHECK_EQ(dones, 1);
    CHECK_STATUS(done_status, ST_BUSY);
    CHECK_OK(engine_world_open(&w));
    CHECK(corrupt_keys(&w) > 0);
    engine_world_deinit(&w);
}

/* What is put back may be as old as any: the gc floor does not refuse it. */
TEST(engine_damage, takes_back_what_was_lost) {
    begin(test_seed());
    CHECK(corrupt_keys(&w) > 0);
    engine_set_gc_floor(w.engine, (struct ballot){ 5000, 1, 1 });
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    for (uint32_t k = 0; k < TABLE_KEYS; k++) put_waiting(k, 1001 + k);
    CHECK(engine_world_check_all(&w) == NULL);
    engine_world_deinit(&w);
}

/* A block that a job reads, a scan and a compaction are ways to meet it too. */
TEST(engine_damage, is_found_by_whoever_meets_it) {
    for (uint32_t way = 0; way < 3; way++) {
        begin(test_seed() + way);
        if (way == 0) {
            uint8_t space[IKEY_BYTES_MAX];
            for (uint32_t k = 0; k < TABLE_KEYS; k++) {
                struct engine_read r = { 0 };
                const struct bytes ikey = engine_world_ikey(k, space);
                const struct status s = engine_get(w.engine, ikey, false, &r);
                if (s.code == ST_WAIT) (void)status_ok(table_fetch_block(&r.fetch, &r.fetched));
                engine_read_deinit(w.engine, &r);
            }
            sim_os_advance_ms(w.os, 1100);
        } else if (way == 1) {
            struct engine_iterator *it = engine_iterator_create(w.engine, true);
            uint8_t space[8];
            struct status s = engine_iterator_seek(it, ikey_make(0, BYTES_NONE, space));
            while (status_ok(s) && engine_iterator_valid(it)) s = engine_iterator_next(it);
            engine_iterator_destroy(it);
            CHECK_EQ(s.code, ST_CORRUPT);
        } else {
            engine_compact_all(w.engine);
            engine_world_settle(&w);
        }
        engine_world_pump(&w, 8);
        engine_turn(w.engine);
        engine_world_settle(&w);
        CHECK(engine_is_damaged(w.engine));
        engine_drop_damaged(w.engine, drop_done, NULL);
        engine_world_settle(&w);
        CHECK_EQ(dones, 1);
        const uint32_t lost = absent_keys(&w);
        CHECK(lost > 0 && lost < TABLE_KEYS / 2);
        check_others(&w);
        engine_world_deinit(&w);
    }
}

/* A compaction that has begun ends first; nothing it relied on is taken from it. */
TEST(engine_damage, waits_for_a_compaction) {
    begin(test_seed());
    const uint32_t lost = find_damage(&w);
    engine_turn(w.engine);
    engine_compact_all(w.engine);
    for (uint32_t i = 0; i < 4; i++) engine_turn(w.engine);
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    CHECK_EQ(absent_keys(&w), lost);
    check_others(&w);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    check_others(&w);
    engine_world_deinit(&w);
}

struct tables {
    uint64_t numbers[64];
    uint32_t count;
};

static void add_table(void *user, const char *name) {
    struct tables *t = user;
    uint64_t number;
    if (!manifest_name_number(name, "table-", &number)) return;
    CHECK(t->count < 64);
    t->numbers[t->count++] = number;
}

/* Every table of a level is damaged at once: of each what is whole is there, where it was. */
TEST(engine_damage, is_given_up_in_any_level) {
    engine_world_init(&w, NULL, test_seed());
    w.options.memtable_bytes = 1024 * 1024;
    w.options.table.block_bytes = 1024;
    w.options.table_bytes = 1024;
    w.key_count = KEYS;
    dones = 0;
    CHECK_OK(engine_world_open(&w));
    put_table(0, KEYS);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    struct tables tables = { 0 };
    CHECK_OK(sim_disk_list(w.disk, ENGINE_WORLD_DIR, add_table, &tables));
    CHECK(tables.count > RESCUE_TABLES_MAX); /* so there is more than one round */
    const struct engine_stats before = engine_stats(w.engine);
    CHECK_EQ(before.level_tables[ENGINE_LEVELS - 1], tables.count);
    for (uint32_t i = 0; i < tables.count; i++) {
        char path[OS_PATH_BYTES_MAX];
        manifest_table_path(ENGINE_WORLD_DIR, tables.numbers[i], path);
        CHECK_OK(sim_disk_flip(w.disk, path, 10 + 20 * i, 3));
    }
    uint32_t lost = 0;
    for (uint32_t k = 0; k < KEYS; k++) lost += get(&w, k).code == ST_CORRUPT;
    CHECK(lost > 0);
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_settle(&w);
    CHECK_EQ(dones, 1);
    const struct engine_stats after = engine_stats(w.engine);
    CHECK(after.tables_dropped > RESCUE_TABLES_MAX);
    CHECK_EQ(after.records, before.records - lost);
    uint32_t right = 0;
    for (uint32_t k = 0; k < KEYS; k++) right += engine_world_check_key(&w, k) == NULL;
    CHECK_EQ(right, KEYS - lost);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).records, before.records - lost);
    CHECK_EQ(engine_stats(w.engine).corruptions, after.corruptions);
    engine_world_deinit(&w);
}

/* Ask for it, and wait in vain. Returns how many keys are lost. */
static uint32_t drop_on_full_disk(uint32_t seconds) {
    begin(test_seed());
    const uint32_t lost = find_damage(&w);
    sim_disk_set_capacity(w.disk, sim_disk_used_bytes(w.disk) + 100);
    engine_drop_damaged(w.engine, drop_done, NULL);
    wait_s(seconds);
    CHECK_EQ(dones, 0);
    return lost;
}

/* On a full disk it waits. */
TEST(engine_damage, is_given_up_when_there_is_space) {
    const uint32_t lost = drop_on_full_disk(30);
    CHECK(engine_is_damaged(w.engine));
    CHECK_EQ(corrupt_keys(&w), lost);
    sim_disk_set_capacity(w.disk, SIM_DISK_UNLIMITED);
    wait_s(12);
    CHECK_EQ(dones, 1);
    CHECK_OK(done_status);
    CHECK_EQ(absent_keys(&w), lost);
    check_others(&w);
    engine_world_deinit(&w);
}

/* So does one that is stopped meanwhile. */
TEST(engine_damage, may_be_stopped_on_a_full_disk) {
    const uint32_t lost = drop_on_full_disk(5);
    engine_world_close(&w, false);
    CHECK_EQ(dones, 1);
    CHECK_STATUS(done_status, ST_BUSY);
    sim_disk_set_capacity(w.disk, SIM_DISK_UNLIMITED);
    CHECK_OK(engine_world_open(&w));
    CHECK_EQ(corrupt_keys(&w), lost);
    engine_world_deinit(&w);
}

/* However often it happens, a few files are kept. */
TEST(engine_damage, keeps_a_few_files) {
    begin(test_seed());
    char path[OS_PATH_BYTES_MAX];
    for (uint64_t i = 0; i < 6; i++) {
        if (i > 0) {
            put_table(0, TABLE_KEYS);
            manifest_table_path(ENGINE_WORLD_DIR, 2 + 2 * i, path);
            CHECK_OK(sim_disk_flip(w.disk, path, 10, 3));
        }
        CHECK(corrupt_keys(&w) > 0);
        engine_drop_damaged(w.engine, drop_done, NULL);
        engine_world_settle(&w);
        CHECK_EQ(engine_stats(w.engine).tables_dropped, i + 1);
    }
    CHECK(exists(w.disk, "damaged-0"));
    CHECK(exists(w.disk, "damaged-3"));
    CHECK(!exists(w.disk, "damaged-4"));
    check_others(&w);
    engine_world_deinit(&w);
}

/* ---- power ---- */

static void on_abort(int number) {
    if (may_die) siglongjmp(died, 1);
    signal(number, SIG_DFL);
}

/* Give the table up on a disk that loses power after `ops` more operations. */
static uint64_t drop_until(uint64_t seed, uint64_t ops, uint32_t *ret_lost) {
    begin(seed);
    *ret_lost = find_damage(&w);
    const uint64_t before = sim_disk_op_count(w.disk);
    sim_disk_stop_after(w.disk, ops == SIM_DISK_UNLIMITED ? ops : before + ops);
    may_die = ops != SIM_DISK_UNLIMITED;
    if (sigsetjmp(died, 1) == 0) {
        engine_drop_damaged(w.engine, drop_done, NULL);
        for (uint32_t i = 0; i < 100 && dones == 0; i++) {
            engine_turn(w.engine);
            engine_world_pump(&w, 8);
        }
    }
    may_die = false;
    return sim_disk_op_count(w.disk) - before;
}

/* The table is there, damaged as it is, or it is given up but for what is whole in it. */
static void judge(struct sim_disk *image, uint64_t seed, bool must_be_gone, uint32_t lost) {
    engine_world_init(&found, image, seed);
    found.options = w.options;
    found.key_count = KEYS;
    found.clock = w.clock;
    memcpy(found.keys, w.keys, sizeof found.keys);
    CHECK_OK(engine_world_open(&found));
    check_others(&found);
    const uint32_t absent = absent_keys(&found);
    CHECK_EQ(absent + corrupt_keys(&found), lost);
    CHECK(absent == 0 || absent == lost);
    CHECK(absent == lost || !must_be_gone);
    if (absent == 0) {
        dones = 0;
        engine_drop_damaged(found.engine, drop_done, NULL);
        engine_world_settle(&found);
        CHECK_EQ(dones, 1);
        CHECK_EQ(absent_keys(&found), lost);
    }
    engine_world_close(&found, true);
    CHECK_OK(engine_world_open(&found));
    CHECK_EQ(absent_keys(&found), lost);
    check_others(&found);
    engine_world_deinit(&found);
}

static void crash_everywhere(uint64_t seed) {
    uint32_t lost;
    const uint64_t ops = drop_until(seed, SIM_DISK_UNLIMITED, &lost);
    CHECK(ops >= 3);
    CHECK_EQ(dones, 1);
    engine_world_deinit(&w);
    for (uint64_t stop = 0; stop <= ops; stop++) {
        for (uint32_t style = 0; style < 4; style++) {
            drop_until(seed, stop, &lost);
            const bool was_done = dones > 0;
            const enum sim_disk_crash_style styles[] = { SIM_CRASH_LOSE_ALL, SIM_CRASH_KEEP_ALL,
                                                         SIM_CRASH_SEEDED, SIM_CRASH_SEEDED };
            struct sim_disk *image = sim_disk_crash(w.disk, styles[style], seed + style);
            judge(image, seed + style, was_done, lost);
            sim_disk_destroy(image);
        }
    }
}

/* Power is lost after each operation of giving up a table; in a child process, because an engine
 * whose disk is gone ends its process. */
TEST(engine_damage, is_given_up_whole_or_not_at_all) {
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const struct sigaction action = { .sa_handler = on_abort };
        sigaction(SIGABRT, &action, NULL);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
        crash_everywhere(test_seed());
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Closed before the turn came: it says so, and the table is still there. */
TEST(engine_damage, may_be_closed_before) {
    begin(test_seed());
    CHECK(corrupt_keys(&w) > 0);
    engine_drop_damaged(w.engine, drop_done, NULL);
    engine_world_close(&w, false);
    CHECK_EQ(dones, 1);
    CHECK_STATUS(done_status, ST_BUSY);
    CHECK_OK(engine_world_open(&w));
    CHECK(corrupt_keys(&w) > 0);
    engine_world_deinit(&w);
}
