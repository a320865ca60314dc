/* Records of slots that a shard keeps no more are dropped, those of others never are, and what is
 * put into a slot that came back stays, whatever compaction was under way. */
#include "sim/random.h"
#include "storage/engine.h"
#include "storage/slot_set.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#define KEYS 400u
#define MOMENTS 60u
#define SYSTEM_KEYSPACE 0xFFFEu

static struct engine_world w;
static uint8_t slots[SLOT_SET_BYTES];

static uint32_t slot_of(uint32_t key) {
    uint8_t space[IKEY_BYTES_MAX];
    return crc16_slot(ikey_key(engine_world_ikey(key, space)));
}

static bool is_dropped(uint32_t key) {
    const uint32_t slot = slot_of(key);
    return (slots[slot / 8] >> slot % 8 & 1) != 0;
}

/* The slots of each key with key % every == 0: those of some others may be among them. */
static void choose(uint32_t every) {
    memset(slots, 0, sizeof slots);
    for (uint32_t k = 0; every > 0 && k < KEYS; k += every) {
        const uint32_t slot = slot_of(k);
        slots[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
}

static void set_slots(struct engine_world *of) {
    engine_set_dropped_slots(of->engine, slots);
}

static void put(uint32_t key, uint64_t stamp) {
    struct status s;
    while (s = engine_world_put_stamp(&w, key, stamp), s.code == ST_BUSY) engine_world_settle(&w);
    CHECK_OK(s);
}

static void put_all(uint64_t stamp) {
    for (uint32_t k = 0; k < KEYS; k++) put(k, stamp + k);
}

/* The stamp that the engine has of a key; 0 = none. */
static uint64_t stamp_at(struct engine_world *of, uint32_t key) {
    uint8_t space[IKEY_BYTES_MAX];
    struct engine_read r = { 0 };
    const struct status s = engine_get(of->engine, engine_world_ikey(key, space), true, &r);
    CHECK(status_ok(s) || s.code == ST_NOT_FOUND);
    const uint64_t stamp = status_ok(s) ? r.record.ballot.stamp : 0;
    engine_read_deinit(of->engine, &r);
    return stamp;
}

static uint32_t count_there(struct engine_world *of, bool dropped) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < KEYS; k++) count += is_dropped(k) == dropped && stamp_at(of, k) != 0;
    return count;
}

static uint32_t count_keys(bool dropped) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < KEYS; k++) count += is_dropped(k) == dropped;
    return count;
}

static void check_kept(struct engine_world *of) {
    for (uint32_t k = 0; k < KEYS; k++) {
        if (!is_dropped(k)) CHECK(engine_world_check_key(of, k) == NULL);
    }
}

static uint64_t bytes_of_tables(struct engine_world *of) {
    const struct engine_stats s = engine_stats(of->engine);
    uint64_t bytes = 0;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) bytes += s.level_bytes[l];
    return bytes;
}

/* Let time pass, as the engine looks for work now and then. */
static void rest(struct engine_world *of) {
    for (uint32_t i = 0; i < 5; i++) {
        sim_os_advance_ms(of->os, 1100);
        engine_turn(of->engine);
        engine_world_settle(of);
    }
}

/* Data in many tables of several levels, and in memory. */
static void begin(uint64_t seed) {
    engine_world_init(&w, NULL, seed);
    engine_world_options_small(&w);
    w.options.level0_tables_compact = 3;
    w.key_count = KEYS;
    CHECK_OK(engine_world_open(&w));
    put_all(2000);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    put_all(4000);
    engine_flush(w.engine);
    engine_world_settle(&w);
    for (uint32_t k = 0; k < KEYS; k += 5) put(k, 6000 + k);
    choose(0);
}

/* What is dropped goes from all levels and from memory, its space comes back, what is kept stays, and
 * the sweep ends and is not repeated until the set grows again. */
TEST(engine_sweep, drops_slots_and_keeps_others) {
    for (uint64_t i = 0; i < 8; i++) {
        begin(test_seed() + i);
        engine_compact_all(w.engine); /* else old versions count as well */
        engine_world_settle(&w);
        const uint64_t before = bytes_of_tables(&w);
        choose(2);
        set_slots(&w);
        CHECK(engine_is_sweeping(w.engine));
        CHECK_EQ(engine_stats(w.engine).sweep_bytes_left, before);
        engine_world_settle(&w);
        CHECK(!engine_is_sweeping(w.engine));
        CHECK(!engine_is_dropping(w.engine));
        CHECK_EQ(count_there(&w, true), 0);
        check_kept(&w);
        const struct engine_stats s = engine_stats(w.engine);
        CHECK_EQ(s.records, count_keys(false));
        CHECK_EQ(s.slot_records_dropped, count_keys(true));
        CHECK_EQ(s.sweep_bytes_left, 0);
        CHECK(s.sweep_bytes >= before);
        CHECK(bytes_of_tables(&w) < before * 3 / 4);

        set_slots(&w); /* the same */
        CHECK(!engine_is_sweeping(w.engine));
        choose(4);
        set_slots(&w); /* fewer */
        CHECK(!engine_is_sweeping(w.engine));
        rest(&w);
        CHECK_EQ(engine_stats(w.engine).compactions, s.compactions);
        CHECK_EQ(engine_stats(w.engine).sweep_bytes, s.sweep_bytes);
        choose(1);
        set_slots(&w);
        CHECK(engine_is_sweeping(w.engine));
        engine_world_settle(&w);
        CHECK_EQ(engine_stats(w.engine).records, 0);
        CHECK_EQ(bytes_of_tables(&w), 0);
        engine_world_deinit(&w);
    }
}

/* The sweep reaches what is in memory and in level 0 when it begins. */
TEST(engine_sweep, reaches_what_is_in_memory) {
    begin(test_seed());
    choose(5);
    set_slots(&w);
    engine_world_settle(&w);
    CHECK(!engine_is_sweeping(w.engine));
    CHECK_EQ(count_there(&w, true), 0);
    check_kept(&w);
    /* What is put meanwhile is of slots that are kept: its table need not be swept. */
    const uint64_t bytes = engine_stats(w.engine).sweep_bytes;
    for (uint32_t k = 0; k < KEYS; k++) {
        if (!is_dropped(k)) put(k, 8000 + k);
    }
    engine_flush(w.engine);
    engine_world_settle(&w);
    rest(&w);
    CHECK_EQ(engine_stats(w.engine).sweep_bytes, bytes);
    check_kept(&w);
    engine_world_deinit(&w);
}

/* A sweep that finds nothing reads every table once and writes none. */
TEST(engine_sweep, writes_nothing_where_nothing_is_dropped) {
    begin(test_seed());
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    const struct engine_stats before = engine_stats(w.engine);
    choose(1);
    for (uint32_t i = 0; i < sizeof slots; i++) slots[i] = (uint8_t)~slots[i];
    set_slots(&w);
    CHECK(engine_is_sweeping(w.engine));
    engine_world_settle(&w);
    const struct engine_stats after = engine_stats(w.engine);
    CHECK(!engine_is_sweeping(w.engine));
    CHECK_EQ(after.sweep_bytes, bytes_of_tables(&w));
    CHECK_EQ(after.compaction_bytes_written, before.compaction_bytes_written);
    CHECK_EQ(after.slot_records_dropped, 0);
    CHECK_EQ(count_there(&w, false), KEYS);
    check_kept(&w);
    /* What was noted about the tables outlives the next change, and memory was empty before. */
    put(3, 9000);
    CHECK(!engine_is_sweeping(w.engine));
    engine_flush(w.engine);
    engine_world_settle(&w);
    rest(&w);
    CHECK_EQ(engine_stats(w.engine).sweep_bytes, after.sweep_bytes);
    engine_world_deinit(&w);
}

/* What a shard keeps for itself is in no slot, though its keys have one. */
TEST(engine_sweep, leaves_the_reserved_keyspaces) {
    begin(test_seed());
    uint8_t space[IKEY_BYTES_MAX];
    struct engine_read r = { 0 };
    uint64_t sequence;
    struct record own = { .ballot = { 9000, 1, 1 }, .value = bytes_of("own", 3) };
    own.ikey = ikey_make(SYSTEM_KEYSPACE, bytes_of("floor", 5), space);
    CHECK_OK(engine_put(w.engine, &own, &sequence));
    own.ikey = ikey_make(RESERVED_KEYSPACES, bytes_of("floor", 5), space);
    CHECK_OK(engine_put(w.engine, &own, &sequence));
    own.ikey = ikey_make(RESERVED_KEYSPACES - 1, bytes_of("floor", 5), space);
    CHECK_OK(engine_put(w.engine, &own, &sequence));
    memset(slots, 0xff, sizeof slots);
    set_slots(&w);
    engine_world_settle(&w);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(engine_stats(w.engine).records, 2);
    const uint16_t keyspaces[] = { SYSTEM_KEYSPACE, RESERVED_KEYSPACES };
    for (uint32_t i = 0; i < 2; i++) {
        const struct bytes ikey = ikey_make(keyspaces[i], bytes_of("floor", 5), space);
        CHECK_OK(engine_get(w.engine, ikey, true, &r));
        CHECK(bytes_equal(r.record.value, bytes_of("own", 3)));
        engine_read_deinit(w.engine, &r);
    }
    engine_world_deinit(&w);
}

/* The set is in memory only: after a start nothing is dropped before it is set again. */
TEST(engine_sweep, is_forgotten_at_the_end) {
    begin(test_seed());
    choose(2);
    set_slots(&w);
    engine_world_close(&w, false); /* with the sweep hardly begun */
    CHECK_OK(engine_world_open(&w));
    CHECK(!engine_is_sweeping(w.engine));
    engine_world_settle(&w);
    const uint32_t left = count_there(&w, true);
    CHECK(left > 0);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    rest(&w);
    CHECK_EQ(count_there(&w, true), left);
    check_kept(&w);
    set_slots(&w);
    engine_world_settle(&w);
    CHECK_EQ(count_there(&w, true), 0);
    engine_world_close(&w, true);
    CHECK_OK(engine_world_open(&w));
    CHECK_EQ(count_there(&w, true), 0);
    check_kept(&w);
    engine_world_deinit(&w);
}

/* Power is lost anywhere in a sweep: what is kept is all there, and what is dropped goes when the
 * set is known again. */
TEST(engine_sweep, survives_a_power_loss) {
    static struct engine_world found;
    const uint64_t seed = test_seed();
    uint32_t partly = 0;
    begin(seed);
    engine_world_settle(&w);
    choose(2);
    set_slots(&w);
    for (uint32_t i = 0; i < 400 && engine_is_sweeping(w.engine); i++) {
        engine_turn(w.engine);
        engine_world_pump(&w, 1);
        if (i % 3 != 0) continue;
        struct sim_disk *image = sim_disk_crash(w.disk, SIM_CRASH_SEEDED, seed + i);
        engine_world_init(&found, image, seed + i);
        engine_world_options_small(&found);
        found.key_count = KEYS;
        found.clock = w.clock;
        memcpy(found.keys, w.keys, sizeof found.keys);
        CHECK_OK(engine_world_open(&found));
        const uint32_t there = count_there(&found, true);
        partly += there > 0 && there < count_keys(true);
        check_kept(&found);
        set_slots(&found);
        engine_world_settle(&found);
        CHECK_EQ(count_there(&found, true), 0);
        check_kept(&found);
        engine_world_deinit(&found);
        sim_disk_destroy(image);
    }
    CHECK(!engine_is_sweeping(w.engine));
    CHECK(partly > 0);
    engine_world_deinit(&w);
}

/* So many moments into a sweep; at every other of them a job is on the way. */
static void go_to(uint32_t moment) {
    for (uint32_t i = 0; i < moment / 2; i++) {
        engine_turn(w.engine);
        engine_world_pump(&w, 1);
    }
    if (moment % 2 == 1) engine_turn(w.engine);
}

/* Some slots come back at every moment of a sweep, and get records at once. These stay; of what
 * was left over nothing vanishes that is there when engine_is_dropping says so. */
TEST(engine_sweep, may_lose_slots_while_it_runs) {
    uint32_t waited = 0;
    uint32_t nothing_lost = 0;
    static uint64_t left[KEYS];
    for (uint32_t at = 0; at < MOMENTS; at++) {
        begin(test_seed());
        choose(2);
        set_slots(&w);
        go_to(at);
        choose(4);
        set_slots(&w);
        /* Ballots do not matter: half of the new ones are below what is left over. */
        for (uint32_t k = 2; k < KEYS; k += 8) {
            if (!is_dropped(k)) put(k, k % 16 == 2 ? 9000 + k : 1100 + k);
        }
        waited += engine_is_dropping(w.engine);
        for (uint32_t i = 0; engine_is_dropping(w.engine); i++) {
            engine_turn(w.engine);
            engine_world_pump(&w, 1);
            CHECK(i < 100);
        }
        for (uint32_t k = 0; k < KEYS; k++) left[k] = stamp_at(&w, k);
        engine_world_settle(&w);
        CHECK(!engine_is_dropping(w.engine));
        engine_compact_all(w.engine);
        engine_world_settle(&w);
        uint32_t there = 0;
        for (uint32_t k = 0; k < KEYS; k++) {
            const uint64_t stamp = stamp_at(&w, k);
            if (is_dropped(k)) CHECK_EQ(stamp, 0);
            if (!is_dropped(k)) CHECK_EQ(stamp, left[k]);
            if (!is_dropped(k) && k % 8 == 2) CHECK(stamp >= 1100 + k);
            if (!is_dropped(k) && k % 16 == 2) CHECK_EQ(stamp, 9000 + k);
            there += stamp != 0;
        }
        nothing_lost += there == count_keys(false);
        engine_world_deinit(&w);
    }
    CHECK(waited > 0);
    CHECK(nothing_lost > 0);
    CHECK(nothing_lost < MOMENTS);
}

/* More slots go at every moment of a sweep: none of them is forgotten. */
TEST(engine_sweep, may_grow_while_it_runs) {
    for (uint32_t at = 0; at < MOMENTS; at++) {
        begin(test_seed());
        if (at / 2 % 2 == 0) engine_compact_all(w.engine); /* no merge downwards helps */
        engine_world_settle(&w);
        choose(8);
        set_slots(&w);
        go_to(at);
        choose(2);
        set_slots(&w);
        engine_world_settle(&w);
        CHECK(!engine_is_sweeping(w.engine));
        CHECK_EQ(count_there(&w, true), 0);
        check_kept(&w);
        engine_world_deinit(&w);
    }
}

/* The same with slots that nobody has first, so that tables are found to be clean meanwhile. */
TEST(engine_sweep, may_grow_while_it_finds_nothing) {
    for (uint32_t at = 0; at < MOMENTS; at++) {
        begin(test_seed());
        choose(1);
        for (uint32_t i = 0; i < sizeof slots; i++) slots[i] = (uint8_t)~slots[i];
        set_slots(&w);
        go_to(at);
        memset(slots, 0xff, sizeof slots);
        set_slots(&w);
        engine_world_settle(&w);
        CHECK(!engine_is_sweeping(w.engine));
        CHECK_EQ(engine_stats(w.engine).records, 0);
        engine_world_deinit(&w);
    }
}

/* A job of many records does not go on for nothing once it is given up, and the next one does. */
TEST(engine_sweep, ends_a_long_job_early) {
    begin(test_seed());
    w.key_count = ENGINE_WORLD_KEYS_MAX;
    for (uint32_t k = 0; k < ENGINE_WORLD_KEYS_MAX; k++) put(k, 8000 + k);
    engine_flush(w.engine);
    engine_world_settle(&w);
    choose(2);
    engine_compact_all(w.engine);
    set_slots(&w);
    engine_turn(w.engine);
    const uint64_t ops = sim_disk_op_count(w.disk);
    choose(4);
    set_slots(&w);
    engine_world_pump(&w, 1);
    const uint64_t ops_early = sim_disk_op_count(w.disk) - ops;
    engine_world_settle(&w);
    const uint64_t ops_whole = sim_disk_op_count(w.disk) - ops - ops_early;
    CHECK(ops_early > 0 && ops_early * 2 < ops_whole);
    CHECK(!engine_is_sweeping(w.engine));
    CHECK_EQ(count_there(&w, true), 0);
    check_kept(&w);
    engine_world_deinit(&w);
}

/* "Compact everything" is not forgotten when its job is given up for a slot that came back. */
TEST(engine_sweep, begins_everything_anew) {
    begin(test_seed());
    engine_flush(w.engine);
    engine_world_settle(&w);
    choose(2);
    set_slots(&w);
    engine_compact_all(w.engine);
    engine_turn(w.engine); /* its job is on the way */
    choose(4);
    set_slots(&w);
    engine_world_settle(&w);
    const struct engine_stats s = engine_stats(w.engine);
    for (uint32_t l = 0; l + 1 < ENGINE_LEVELS; l++) CHECK_EQ(s.level_tables[l], 0);
    CHECK_EQ(s.records, count_keys(false));
    CHECK(!engine_is_sweeping(w.engine));
    check_kept(&w);
    engine_world_deinit(&w);
}

/* ---- at random ---- */

/* What the owner may count on of each key: 0 = nothing, it is hidden or not known. */
static uint64_t known[KEYS];

static void change_slots(struct sim_random *r) {
    for (uint64_t i = sim_random_below(r, 60); i > 0; i--) {
        const uint32_t slot = slot_of((uint32_t)sim_random_below(r, KEYS));
        slots[slot / 8] ^= (uint8_t)(1u << slot % 8);
    }
    if (sim_random_chance(r, 1, 20)) choose(sim_random_chance(r, 1, 2) ? 0 : 3);
    set_slots(&w);
    for (uint32_t k = 0; k < KEYS; k++) {
        if (is_dropped(k)) known[k] = 0;
    }
}

static void check_known(void) {
    for (uint32_t k = 0; k < KEYS; k++) {
        if (is_dropped(k)) continue;
        const uint64_t stamp = stamp_at(&w, k);
        if (known[k] != 0) CHECK_EQ(stamp, known[k]);
        if (!engine_is_dropping(w.engine)) known[k] = stamp;
    }
}

static void random_step(struct sim_random *r, uint64_t *stamp) {
    const uint64_t what = sim_random_below(r, 100);
    if (what < 50) {
        const uint32_t key = (uint32_t)sim_random_below(r, KEYS);
        if (is_dropped(key) || !status_ok(engine_world_put_stamp(&w, key, ++*stamp))) return;
        known[key] = *stamp;
    } else if (what < 85) {
        engine_turn(w.engine);
        engine_world_pump(&w, (uint32_t)sim_random_below(r, 4));
    } else if (what < 90) {
        change_slots(r);
    } else if (what < 92) {
        engine_flush(w.engine);
    } else if (what < 93) {
        engine_compact_all(w.engine);
    } else if (what < 94) {
        sim_os_advance_ms(w.os, sim_random_below(r, 2000));
    } else if (what < 95 && sim_random_chance(r, 1, 10)) {
        engine_world_close(&w, sim_random_chance(r, 1, 2));
        CHECK_OK(engine_world_open(&w));
        set_slots(&w);
    } else {
        check_known();
    }
}

/* Slots come and go while everything else goes on: what is known of a key does not change but by
 * a put, and in the end nothing is left of what is dropped. */
TEST(engine_sweep, slots_come_and_go) {
    for (uint64_t i = 0; i < 12; i++) {
        const uint64_t seed = test_seed() + i;
        struct sim_random r = sim_random_of(seed);
        uint64_t stamp = 2000;
        engine_world_init(&w, NULL, seed);
        engine_world_options_small(&w);
        w.options.sync = WAL_SYNC_ALWAYS;
        w.key_count = KEYS;
        memset(known, 0, sizeof known);
        choose(0);
        CHECK_OK(engine_world_open(&w));
        for (uint32_t step = 0; step < 3000; step++) random_step(&r, &stamp);
        check_known();
        engine_world_settle(&w);
        CHECK_EQ(count_there(&w, true), 0);
        engine_compact_all(w.engine);
        engine_world_settle(&w);
        CHECK(!engine_is_sweeping(w.engine));
        check_known();
        CHECK_EQ(count_there(&w, true), 0);
        engine_world_deinit(&w);
    }
}

/* Two versions of each key, the newer one a tombstone, in tables of their own. */
static void begin_deleted(void) {
    begin(test_seed());
    for (uint32_t k = 0; k < KEYS; k++) {
        uint8_t space[IKEY_BYTES_MAX];
        uint64_t sequence = 0;
        const struct record r = { .ikey = engine_world_ikey(k, space),
                                  .ballot = { 7000 + k, 1, 1 },
                                  .flags = RECORD_TOMBSTONE };
        if (k % 50 == 0) engine_world_settle(&w);
        CHECK_OK(engine_put(w.engine, &r, &sequence));
    }
    engine_flush(w.engine);
    engine_world_settle(&w);
}

/* The gc floor is cleared at every moment of a compaction that forgets tombstones. From when
 * engine_is_dropping says so none vanishes that is still there, so nothing older shows. */
TEST(engine_sweep, forgets_nothing_once_the_gc_floor_is_cleared) {
    uint32_t waited = 0;
    uint32_t kept_some = 0;
    static uint64_t left[KEYS];
    for (uint32_t at = 0; at < MOMENTS; at++) {
        begin_deleted();
        engine_set_gc_floor(w.engine, (struct ballot){ 8000, 1, 1 });
        engine_compact_all(w.engine);
        go_to(at);
        engine_clear_gc_floor(w.engine);
        waited += engine_is_dropping(w.engine);
        for (uint32_t i = 0; engine_is_dropping(w.engine); i++) {
            engine_turn(w.engine);
            engine_world_pump(&w, 1);
            CHECK(i < 100);
        }
        uint32_t there = 0;
        for (uint32_t k = 0; k < KEYS; k++) there += (left[k] = stamp_at(&w, k)) != 0;
        for (uint32_t k = 0; k < KEYS; k++) put(k, 3000 + k);
        engine_world_settle(&w);
        engine_compact_all(w.engine);
        engine_world_settle(&w);
        for (uint32_t k = 0; k < KEYS; k++)
            CHECK_EQ(stamp_at(&w, k), left[k] == 0 ? 3000 + k : 7000 + k);
        kept_some += there == KEYS;
        engine_world_deinit(&w);
    }
    CHECK(waited > 0);
    CHECK(kept_some > 0);
    CHECK(kept_some < MOMENTS);
}
