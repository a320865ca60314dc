/* tidy: integration of src/shard/snapshot.c, which needs engines, with the simulated os. */
#include "shard/snapshot.h"

#include "base/mem.h"
#include "harness.h"
#include "proto/flat_json.h"
#include "shard/shard.h"
#include "sim/os_sim.h"

#include <stdio.h>

#define SHARDS 2u
#define KEYS 3000u
#define INTERVAL_MS 1000u
#define FOLDER "/data/" SNAPSHOT_FOLDER

/* Just as much of a node as its snapshots touch: engines on a simulated disk. */
struct snapshot_world {
    struct sim_disk *disk;
    struct node node;
    struct membership *members;
};

static struct snapshot_world w;

static struct record record_of(uint32_t key, uint64_t stamp, uint8_t *space, char value[32]) {
    char text[16];
    const int len = snprintf(text, sizeof text, "k%05u", key);
    const int value_len = snprintf(value, 32, "v%05u-%llu", key, (unsigned long long)stamp);
    return (struct record){ .ikey = ikey_make(0, bytes_of(text, (size_t)len), space),
                            .ballot = { stamp, 1, 1 },
                            .value = bytes_of(value, (size_t)value_len) };
}

static void turn(struct shard *s) {
    struct os_event events[16];
    const uint32_t count = os_loop_wait(s->loop, 0, events, 16);
    s->turn_wall_ms = os_loop_wall_ms(s->loop);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == OS_EVENT_JOB) events[i].job->done(events[i].job);
    }
    snapshot_turn(s);
    engine_turn(s->engine);
}

static void turns(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) turn(w.node.shards[i % SHARDS]);
}

static void open_shard(uint16_t id) {
    char dir[64];
    struct shard *s = w.node.shards[id] = mem_alloc_aligned(64, sizeof *s);
    memset(s, 0, sizeof *s);
    s->id = id;
    s->node = &w.node;
    s->os = w.node.os;
    s->members = w.members;
    s->keeps_all = true;
    s->loop = os_loop_create(s->os);
    struct engine_options o = engine_options_default();
    o.os = s->os;
    o.loop = s->loop;
    o.pool = w.node.pool;
    o.cache = w.node.cache;
    (void)snprintf(dir, sizeof dir, "/data/shard-%02u", id);
    o.wal_segment_bytes = 256 * 1024; /* made in full at the start */
    o.dir = dir;
    CHECK_OK(engine_open(&o, &s->engine));
}

static void world_open(uint32_t keep) {
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    static const char *const addresses[] = { "127.0.0.1:1" };
    memset(&w, 0, sizeof w);
    w.disk = sim_disk_create(test_seed());
    w.node.os = sim_os_create(test_seed(), w.disk);
    w.node.pool = os_pool_create(w.node.os, threads);
    w.node.cache = cache_create(1u << 20);
    w.node.shards_count = SHARDS;
    const struct replication r = { .replicas = 1, .write_quorum = 1, .read_quorum = 1 };
    CHECK_OK(membership_create(addresses, 1, addresses[0], r, &w.members));
    CHECK_OK(os_dir_create(w.node.os, "/data"));
    const struct snapshot_options o = { .os = w.node.os,
                                        .pool = w.node.pool,
                                        .data_dir = "/data",
                                        .interval_ms = INTERVAL_MS,
                                        .keep = keep,
                                        .shards = SHARDS };
    w.node.snapshot = snapshot_create(&o);
    for (uint16_t i = 0; i < SHARDS; i++) open_shard(i);
}

static bool all_idle(void) {
    bool idle = true;
    for (uint32_t i = 0; i < SHARDS; i++) idle = idle && snapshot_is_idle(w.node.shards[i]);
    return idle;
}

static void world_close(void) {
    for (uint32_t i = 0; i < 100000 && !all_idle(); i++) turns(SHARDS);
    CHECK(all_idle());
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = w.node.shards[i];
        engine_stop(s->engine, false);
        while (!engine_is_idle(s->engine)) turn(s);
        engine_close(s->engine);
    }
    snapshot_destroy(w.node.snapshot);
    os_pool_destroy(w.node.pool);
    for (uint32_t i = 0; i < SHARDS; i++) {
        os_loop_destroy(w.node.shards[i]->loop);
        mem_free(w.node.shards[i]);
    }
    cache_destroy(w.node.cache);
    membership_destroy(w.members);
    os_destroy(w.node.os);
    sim_disk_destroy(w.disk);
}

static void put(const struct record *r) {
    uint64_t sequence;
    struct shard *s = w.node.shards[crc16_slot(ikey_key(r->ikey)) % SHARDS];
    CHECK_OK(engine_put(s->engine, r, &sequence));
}

static void put_keys(uint32_t from, uint32_t to, uint64_t stamp) {
    for (uint32_t key = from; key < to; key++) {
        uint8_t space[IKEY_BYTES_MAX];
        char value[32];
        const struct record r = record_of(key, stamp, space, value);
        put(&r);
    }
}

struct found {
    uint32_t files;               /* snapshots */
    uint32_t others;              /* further names */
    char last[OS_NAME_BYTES_MAX]; /* of the newest */
};

static void see(void *user, const char *name) {
    struct found *f = user;
    if (strncmp(name, "snapshot-", 9) != 0) {
        f->others++;
        return;
    }
    f->files++;
    (void)snprintf(f->last, sizeof f->last, "%s", name);
}

static struct found look(void) {
    struct found f = { 0 };
    CHECK_OK(sim_disk_list(w.disk, FOLDER, see, &f));
    return f;
}

/* Turns until there is a snapshot more than before, or `limit` turns of each shard. */
static bool wait_for_files(uint32_t files, uint32_t limit) {
    for (uint32_t i = 0; i < limit; i++) {
        sim_os_advance_ms(w.node.os, 5);
        turns(SHARDS);
        if (look().files >= files && w.node.snapshot->state == SNAPSHOT_IDLE) return true;
    }
    return false;
}

/* Read the newest snapshot; each pair must be one of the keys, once. */
static uint32_t read_snapshot(uint8_t seen[KEYS]) {
    char path[OS_PATH_BYTES_MAX];
    struct bytes content = BYTES_NONE;
    struct flat_json reader;
    struct flat_json_pair pair;
    uint32_t count = 0;
    const struct found f = look();
    (void)snprintf(path, sizeof path, FOLDER "/%s", f.last);
    CHECK_OK(sim_disk_view(w.disk, path, &content));
    memset(seen, 0, KEYS);
    flat_json_init(&reader);
    for (;;) {
        size_t used = 0;
        uint64_t key = 0;
        const struct status s = flat_json_next(&reader, content, true, &used, &pair);
        if (s.code == ST_NOT_FOUND) break;
        CHECK_OK(s);
        content = bytes_of(content.ptr + used, content.len - used);
        CHECK_EQ(pair.key.len, 6);
        CHECK_OK(bytes_to_u64(bytes_of(pair.key.ptr + 1, 5), &key));
        CHECK(key < KEYS && seen[key] == 0);
        CHECK(pair.value.len > 6 && memcmp(pair.value.ptr + 1, pair.key.ptr + 1, 5) == 0);
        seen[key] = 1;
        count++;
    }
    flat_json_deinit(&reader);
    return count;
}

/* What both shards hold is in the file, once, without what is deleted or has expired; later rounds
 * replace it. */
TEST(snapshot, has_all_that_the_shards_hold) {
    static uint8_t seen[KEYS];
    uint8_t space[IKEY_BYTES_MAX];
    char value[32];
    world_open(2);
    put_keys(0, KEYS, 1);
    struct record r = record_of(7, 2, space, value);
    r.flags = RECORD_TOMBSTONE;
    r.value = BYTES_NONE;
    put(&r);
    r = record_of(8, 2, space, value);
    r.expires_at_ms = SIM_WALL_START_MS + 1; /* long over when the round begins */
    put(&r);
    CHECK(wait_for_files(1, 100000));
    CHECK_EQ(read_snapshot(seen), KEYS - 2);
    CHECK_EQ(seen[7] + seen[8], 0);
    put_keys(7, 9, 3);
    CHECK(wait_for_files(2, 100000));
    CHECK(wait_for_files(2, 100000));
    for (uint32_t i = 0; i < 2000; i++) {
        sim_os_advance_ms(w.node.os, 5);
        turns(SHARDS);
    }
    CHECK_EQ(look().files, 2);
    CHECK_EQ(read_snapshot(seen), KEYS);
    world_close();
}

/* Slots that the node does not keep are not in it. */
TEST(snapshot, leaves_out_slots_of_others) {
    static uint8_t seen[KEYS];
    static const char *const addresses[] = { "127.0.0.1:1", "127.0.0.1:2" };
    struct membership *two = NULL;
    const struct replication r = { .replicas = 1, .write_quorum = 1, .read_quorum = 1 };
    CHECK_OK(membership_create(addresses, 2, addresses[0], r, &two));
    world_open(1);
    put_keys(0, KEYS, 1);
    for (uint32_t i = 0; i < SHARDS; i++) {
        w.node.shards[i]->members = two;
        w.node.shards[i]->keeps_all = false;
    }
    CHECK(wait_for_files(1, 100000));
    const uint32_t count = read_snapshot(seen);
    CHECK(count > KEYS / 4 && count < KEYS - KEYS / 4);
    for (uint32_t key = 0; key < KEYS; key++) {
        uint8_t space[IKEY_BYTES_MAX];
        char value[32];
        const struct record one = record_of(key, 1, space, value);
        const uint32_t slot = crc16_slot(ikey_key(one.ikey));
        CHECK_EQ(seen[key], membership_place(two, slot, two->self) >= 0);
    }
    world_close();
    membership_destroy(two);
}

/* A node may stop at any moment of a round: it comes to an end, and no half file has a name. */
TEST(snapshot, ends_when_the_node_stops) {
    for (uint32_t moment = 0; moment < 60; moment++) {
        world_open(1);
        put_keys(0, KEYS, 1);
        sim_os_advance_ms(w.node.os, INTERVAL_MS);
        turns(moment);
        atomic_store(&w.node.stopping, true);
        for (uint32_t i = 0; i < SHARDS; i++) w.node.shards[i]->stop_deadline_ms = 1;
        for (uint32_t i = 0; i < 10000 && !all_idle(); i++) turns(SHARDS);
        CHECK(all_idle());
        CHECK_EQ(look().others, 0);
        if (look().files > 0) {
            static uint8_t seen[KEYS];
            CHECK_EQ(read_snapshot(seen), KEYS);
        }
        world_close();
    }
}

/* A full disk ends a round, leaves nothing behind, and the next one works when there is space. */
TEST(snapshot, goes_on_after_a_full_disk) {
    static uint8_t seen[KEYS];
    world_open(1);
    put_keys(0, KEYS, 1);
    for (uint32_t i = 0; i < SHARDS; i++) engine_flush(w.node.shards[i]->engine);
    for (uint32_t i = 0; i < 200; i++) turns(SHARDS);
    sim_disk_set_capacity(w.disk, sim_disk_used_bytes(w.disk) + SNAPSHOT_FREE_BYTES_MIN + 10000);
    CHECK(!wait_for_files(1, 1000));
    CHECK(w.node.snapshot->told == ST_FULL);
    CHECK_EQ(look().others, 0);
    sim_disk_set_capacity(w.disk, SIM_DISK_UNLIMITED);
    CHECK(wait_for_files(1, 1000));
    CHECK(w.node.snapshot->told == ST_OK);
    CHECK_EQ(read_snapshot(seen), KEYS);
    world_close();
}

/* Any call to the disk may fail: rounds fail or not, but what has a name is whole. */
TEST(snapshot, survives_failing_calls) {
    static uint8_t seen[KEYS];
    uint32_t failed = 0;
    for (uint64_t nth = 1; nth < 40; nth++) {
        world_open(1);
        put_keys(0, KEYS, 1);
        for (uint32_t i = 0; i < SHARDS; i++) engine_flush(w.node.shards[i]->engine);
        for (uint32_t i = 0; i < 200; i++) turns(SHARDS);
        sim_disk_fail_call(w.disk, nth, ST_IO);
        for (uint32_t i = 0; i < 400; i++) {
            sim_os_advance_ms(w.node.os, 5);
            turns(SHARDS);
            if (w.node.snapshot->told != ST_OK) failed++;
        }
        CHECK(wait_for_files(1, 2000));
        CHECK_EQ(read_snapshot(seen), KEYS);
        world_close();
    }
    CHECK(failed > 0);
}
