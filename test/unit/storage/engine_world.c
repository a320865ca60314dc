#include "test/unit/storage/engine_world.h"

#include "base/assert.h"
#include "base/mem.h"
#include "test/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_ROUNDS_MAX 100000u
#define WALL_START_MS UINT64_C(1700000000000)

static uint64_t mix(uint64_t a, uint64_t b) {
    struct sim_random r = sim_random_of(a * UINT64_C(0x9e3779b97f4a7c15) ^ b);
    return sim_random_next(&r);
}

/* ---- life ---- */

void engine_world_init(struct engine_world *w, struct sim_disk *disk, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->disk_owned = disk == NULL;
    w->disk = disk == NULL ? sim_disk_create(seed) : disk;
    w->random = sim_random_of(seed);
    w->key_count = 200;
    w->clock = 1000;
    w->options = engine_options_default();
    w->cache_bytes = 1u << 20;
}

void engine_world_options_small(struct engine_world *w) {
    struct engine_options *o = &w->options;
    struct sim_random *r = &w->random;
    o->sync = sim_random_chance(r, 3, 4) ? WAL_SYNC_ALWAYS : WAL_SYNC_INTERVAL;
    o->memtable_bytes = (96 + sim_random_below(r, 5) * 16) * 1024;
    o->memtables_max = 2 + (uint32_t)sim_random_below(r, 3);
    o->level0_tables_compact = 1 + (uint32_t)sim_random_below(r, 4);
    o->level0_tables_slow = 6;
    o->level0_tables_stop = 8 + (uint32_t)sim_random_below(r, 4);
    o->level1_bytes = 2048 + sim_random_below(r, 4) * 2048;
    o->level_ratio = 2 + (uint32_t)sim_random_below(r, 3);
    o->table_bytes = 1024 + sim_random_below(r, 6) * 1024;
    o->table.block_bytes = 1024u << sim_random_below(r, 3);
    o->table.filter_bits_per_key = sim_random_chance(r, 1, 4) ? 0 : 10;
    o->table.compression = (enum compression)sim_random_below(r, 3);
    o->bottom_compression = (enum compression)sim_random_below(r, 3);
    o->wal_segment_bytes = 8192 + (uint32_t)sim_random_below(r, 4) * 8192;
    w->cache_bytes = (size_t)16384 << sim_random_below(r, 5);
}

STATUS engine_world_open(struct engine_world *w) {
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    ASSERT(w->engine == NULL);
    w->os = sim_os_create(sim_random_next(&w->random), w->disk);
    if (w->wall_ms < WALL_START_MS + w->clock * 10) w->wall_ms = WALL_START_MS + w->clock * 10;
    sim_os_set_wall_ms(w->os, w->wall_ms);
    w->loop = os_loop_create(w->os);
    w->pool = os_pool_create(w->os, threads);
    w->cache = cache_create(w->cache_bytes);
    w->options.os = w->os;
    w->options.loop = w->loop;
    w->options.pool = w->pool;
    w->options.cache = w->cache;
    w->options.dir = ENGINE_WORLD_DIR;
    const struct status s = engine_open(&w->options, &w->engine);
    if (!status_ok(s)) {
        w->engine = NULL;
        cache_destroy(w->cache);
        os_pool_destroy(w->pool);
        os_loop_destroy(w->loop);
        os_destroy(w->os);
        w->os = NULL;
        return s;
    }
    if (w->gc_floor > 0) engine_set_gc_floor(w->engine, (struct ballot){ w->gc_floor, 1, 1 });
    return status_of(ST_OK);
}

static void note_acknowledged(struct engine_world *w) {
    const uint64_t up_to = engine_acknowledged(w->engine);
    uint32_t left = 0;
    for (uint32_t i = 0; i < w->pending_count; i++) {
        const struct engine_world_pending *p = &w->pending[i];
        if (p->sequence > up_to) {
            w->pending[left++] = *p;
            continue;
        }
        struct engine_world_key *k = &w->keys[p->key];
        if (p->stamp > k->acknowledged) k->acknowledged = p->stamp;
    }
    w->pending_count = left;
}

void engine_world_close(struct engine_world *w, bool flush) {
    engine_stop(w->engine, flush);
    for (uint32_t i = 0;; i++) {
        engine_turn(w->engine);
        engine_world_pump(w, 64);
        if (engine_is_idle(w->engine)) break;
        if (i == SETTLE_ROUNDS_MAX) ASSERT(!"the engine does not come to rest");
        sim_os_advance_ms(w->os, 100);
    }
    note_acknowledged(w);
    w->wall_ms = os_wall_ms(w->os);
    engine_close(w->engine);
    w->engine = NULL;
    cache_destroy(w->cache);
    os_pool_destroy(w->pool);
    os_loop_destroy(w->loop);
    os_destroy(w->os);
    w->os = NULL;
}

void engine_world_deinit(struct engine_world *w) {
    if (w->engine != NULL) engine_world_close(w, false);
    if (w->disk_owned) sim_disk_destroy(w->disk);
}

void engine_world_pump(struct engine_world *w, uint32_t jobs_max) {
    struct os_event events[64];
    for (; jobs_max > 0; jobs_max--) { /* each wait runs one job at most */
        const uint32_t count = os_loop_wait(w->loop, 0, events, 64);
        if (count == 0) break;
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind == OS_EVENT_JOB) events[i].job->done(events[i].job);
        }
    }
    const struct engine_stats s = engine_stats(w->engine);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        if (s.level_tables[l] > 0) w->levels_seen |= 1u << l;
    }
    note_acknowledged(w);
}

void engine_world_settle(struct engine_world *w) {
    for (uint32_t i = 0; i < SETTLE_ROUNDS_MAX; i++) {
        engine_turn(w->engine);
        engine_world_pump(w, 64);
        if (!engine_is_busy(w->engine) && w->pending_count == 0) return;
        if (i % 16 == 15) sim_os_advance_ms(w->os, 100);
        if (i % 16 == 15) engine_sync(w->engine);
    }
    ASSERT(!"the engine does not settle");
}

/* ---- records ---- */

uint16_t engine_world_keyspace(uint32_t key) {
    return (uint16_t)(1 + key % ENGINE_WORLD_KEYSPACES);
}

struct bytes engine_world_ikey(uint32_t key, uint8_t *space) {
    uint8_t text[64];
    /* Lengths and shared beginnings differ; some keys hold NULs. */
    int len = snprintf((char *)text, sizeof text, key % 3 == 0 ? "%05u" : "k/%05u/tail",
                       key / ENGINE_WORLD_KEYSPACES);
    if (key % 7 == 0) text[len++] = 0;
    return ikey_make(engine_world_keyspace(key), bytes_of(text, (size_t)len), space);
}

struct record engine_world_record(uint32_t key, uint64_t stamp, uint8_t *space) {
    const uint64_t dice = mix(key, stamp);
    struct record r = { .ikey = engine_world_ikey(key, space), .ballot = { stamp, 1, 1 } };
    if (dice % 5 == 0) {
        r.flags = RECORD_TOMBSTONE;
        return r;
    }
    if (dice % 5 == 1) r.expires_at_ms = WALL_START_MS + stamp * 10 + dice / 8 % 3000;
    if (dice % 3 == 0) r.op = (struct op_id){ dice, stamp };
    size_t len = dice / 64 % 80;
    if (dice / 16384 % 40 == 0) len = dice / 65536 % ENGINE_WORLD_VALUE_BYTES_MAX;
    uint8_t *value = space + IKEY_BYTES_MAX;
    for (size_t i = 0; i < len; i++) value[i] = (uint8_t)(dice >> i % 8 * 8) ^ (uint8_t)(i / 3);
    r.value = bytes_of(value, len);
    return r;
}

static bool record_same(const struct record *a, const struct record *b) {
    return bytes_equal(a->ikey, b->ikey) && ballot_compare(a->ballot, b->ballot) == 0 &&
           a->flags == b->flags && a->expires_at_ms == b->expires_at_ms &&
           a->op.high == b->op.high && a->op.low == b->op.low && bytes_equal(a->value, b->value);
}

/* ---- the model ---- */

static uint64_t best_of(const struct engine_world_key *k) {
    uint64_t best = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->stamps[i] > best) best = k->stamps[i];
    }
    return best;
}

static void key_add(struct engine_world_key *k, uint64_t stamp) {
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->stamps[i] == stamp) return;
    }
    if (k->count == ENGINE_WORLD_STAMPS_MAX) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < k->count; i++) {
            if (k->stamps[i] >= k->acknowledged) k->stamps[left++] = k->stamps[i];
        }
        k->count = left;
    }
    ASSERT(k->count < ENGINE_WORLD_STAMPS_MAX);
    k->stamps[k->count++] = stamp;
}

static uint64_t floor_of(const struct engine_world *w, uint32_t key) {
    return w->floors[engine_world_keyspace(key) - 1];
}

/* Whether the engine may have dropped this version, for it reads as absent. */
static bool may_be_dropped(struct engine_world *w, uint32_t key, uint64_t stamp) {
    static uint8_t space[IKEY_BYTES_MAX + ENGINE_WORLD_VALUE_BYTES_MAX];
    const struct record r = engine_world_record(key, stamp, space);
    return stamp <= w->gc_floor && record_is_absent(&r, os_wall_ms(w->os));
}

/* ---- writes ---- */

STATUS engine_world_put_stamp(struct engine_world *w, uint32_t key, uint64_t stamp) {
    static uint8_t space[IKEY_BYTES_MAX + ENGINE_WORLD_VALUE_BYTES_MAX];
    const struct record r = engine_world_record(key, stamp, space);
    uint64_t sequence;
    ASSERT(key < w->key_count);
    if (w->pending_count == ENGINE_WORLD_PENDING_MAX) return status_of(ST_BUSY);
    if (w->keys[key].count == ENGINE_WORLD_STAMPS_MAX &&
        w->keys[key].stamps[0] >= w->keys[key].acknowledged) {
        return status_of(ST_BUSY); /* too many in doubt to model */
    }
    TRY(engine_put(w->engine, &r, &sequence));
    w->pending[w->pending_count++] = (struct engine_world_pending){ sequence, stamp, key };
    key_add(&w->keys[key], stamp);
    if (stamp > w->clock) w->clock = stamp;
    w->puts++;
    return status_of(ST_OK);
}

STATUS engine_world_put(struct engine_world *w, uint32_t key) {
    const uint64_t next = w->clock + sim_random_below(&w->random, 3);
    uint64_t late = sim_random_chance(&w->random, 1, 3) ? sim_random_below(&w->random, 200) : 0;
    if (next - w->gc_floor <= late + 1) late = 0;
    uint64_t stamp = next - late;
    if (stamp <= w->gc_floor) stamp = w->gc_floor + 1;
    const struct status s = engine_world_put_stamp(w, key, stamp);
    if (s.code == ST_BUSY) w->busy++;
    if (s.code == ST_FULL) w->full++;
    return s;
}

static void truncate_done(void *user, struct status s) {
    struct engine_world *w = user;
    ASSERT(w->truncates_pending > 0);
    w->truncates_pending--;
    if (!status_ok(s) || w->truncates_pending > 0) return;
    memcpy(w->floors_durable, w->floors, sizeof w->floors);
}

void engine_world_truncate(struct engine_world *w, uint16_t keyspace, uint64_t stamp) {
    uint64_t *floor = &w->floors[keyspace - 1];
    if (stamp > *floor) *floor = stamp;
    w->truncates_pending++;
    engine_truncate(w->engine, keyspace, (struct ballot){ stamp, 1, 1 }, truncate_done, w);
}

void engine_world_raise_gc_floor(struct engine_world *w, uint64_t stamp) {
    if (stamp <= w->gc_floor) return;
    w->gc_floor = stamp;
    engine_set_gc_floor(w->engine, (struct ballot){ stamp, 1, 1 });
}

/* ---- reads ---- */

/* A get that fetches as a shard does, jobs of others in between. */
static STATUS read_key(struct engine_world *w, struct bytes ikey, struct engine_read *r) {
    const bool may_block = w->always_blocks || sim_random_chance(&w->random, 1, 3);
    for (uint32_t tries = 0; tries < 1000; tries++) {
        const struct status s = engine_get(w->engine, ikey, may_block, r);
        if (s.code != ST_WAIT) return s;
        TRY(table_fetch_block(&r->fetch, &r->fetched));
        if (sim_random_chance(&w->random, 1, 2)) engine_world_pump(w, 1);
    }
    ASSERT(!"a read never ends");
}

const char *engine_world_check_key(struct engine_world *w, uint32_t key) {
    static uint8_t space[IKEY_BYTES_MAX + ENGINE_WORLD_VALUE_BYTES_MAX];
    struct engine_read r = { 0 };
    uint8_t ikey_space[IKEY_BYTES_MAX];
    const char *wrong = NULL;
    uint64_t best = best_of(&w->keys[key]);
    if (best <= floor_of(w, key)) best = 0;
    const struct status s = read_key(w, engine_world_ikey(key, ikey_space), &r);
    w->reads++;
    if (s.code == ST_NOT_FOUND) {
        if (best != 0 && !may_be_dropped(w, key, best)) wrong = "a key is missing";
    } else if (!status_ok(s)) {
        wrong = status_name(s);
    } else if (best == 0) {
        wrong = "a key is there that should not be";
    } else {
        const struct record expected = engine_world_record(key, best, space);
        if (r.record.ballot.stamp < best) wrong = "an old version was read";
        if (!record_same(&r.record, &expected))
            wrong = wrong == NULL ? "a wrong record was read" : wrong;
    }
    engine_read_deinit(w->engine, &r);
    return wrong;
}

const char *engine_world_check_all(struct engine_world *w) {
    for (uint32_t i = 0; i < w->key_count; i++) {
        const char *wrong = engine_world_check_key(w, i);
        if (wrong != NULL) return wrong;
    }
    return engine_world_check_scan(w, UINT32_MAX, UINT32_MAX);
}

static STATUS iterate(struct engine_world *w, struct engine_iterator *it,
                      const struct bytes *seek) {
    for (uint32_t tries = 0; tries < 1000; tries++) {
        const struct status s =
            seek != NULL ? engine_iterator_seek(it, *seek) : engine_iterator_next(it);
        if (s.code != ST_WAIT) return s;
        struct cache_block block;
        TRY(table_fetch_block(engine_iterator_fetch(it), &block));
        engine_iterator_fetched(it, block);
        if (sim_random_chance(&w->random, 1, 4)) engine_world_pump(w, 1);
    }
    ASSERT(!"a scan never ends");
}

struct sorted {
    uint32_t keys[ENGINE_WORLD_KEYS_MAX];
    uint32_t count;
};

static int order_keys(const void *a, const void *b) {
    uint8_t left[IKEY_BYTES_MAX];
    uint8_t right[IKEY_BYTES_MAX];
    return bytes_compare(engine_world_ikey(*(const uint32_t *)a, left),
                         engine_world_ikey(*(const uint32_t *)b, right));
}

/* All key numbers in the order of their ikeys. */
static const struct sorted *sorted_keys(const struct engine_world *w) {
    static struct sorted s;
    if (s.count == w->key_count) return &s;
    for (uint32_t i = 0; i < w->key_count; i++) s.keys[i] = i;
    qsort(s.keys, w->key_count, sizeof *s.keys, order_keys);
    s.count = w->key_count;
    return &s;
}

/* Compare the iterator with the model from position `at` of the sorted keys on. */
static const char *scan_compare(struct engine_world *w, struct engine_iterator *it, uint32_t at,
                                uint32_t count) {
    static uint8_t space[IKEY_BYTES_MAX + ENGINE_WORLD_VALUE_BYTES_MAX];
    const struct sorted *s = sorted_keys(w);
    while (at < s->count && count > 0) {
        const uint32_t key = s->keys[at++];
        uint64_t best = best_of(&w->keys[key]);
        if (best <= floor_of(w, key)) best = 0;
        if (best == 0) continue;
        const struct record expected = engine_world_record(key, best, space);
        const bool here = engine_iterator_valid(it) &&
                          bytes_equal(engine_iterator_record(it)->ikey, expected.ikey);
        if (!here) {
            if (!may_be_dropped(w, key, best)) return "a scan misses a key";
            continue;
        }
        const struct record *r = engine_iterator_record(it);
        if (r->ballot.stamp < best) return "a scan shows an old version";
        if (!record_same(r, &expected)) return "a scan shows a wrong record";
        count--;
        const struct status st = iterate(w, it, NULL);
        if (!status_ok(st)) return status_name(st);
    }
    if (count > 0 && engine_iterator_valid(it))
        return "a scan shows a key that should not be there";
    return NULL;
}

const char *engine_world_check_scan(struct engine_world *w, uint32_t key, uint32_t count) {
    uint8_t space[IKEY_BYTES_MAX];
    const struct sorted *s = sorted_keys(w);
    uint32_t at = 0;
    struct bytes ikey = BYTES_NONE;
    if (key != UINT32_MAX) {
        while (s->keys[at] != key) at++;
        ikey = engine_world_ikey(key, space);
    }
    struct engine_iterator *it =
        engine_iterator_create(w->engine, w->always_blocks || sim_random_chance(&w->random, 1, 2));
    const struct status st = iterate(w, it, &ikey);
    const char *wrong = status_ok(st) ? scan_compare(w, it, at, count) : status_name(st);
    engine_iterator_destroy(it);
    return wrong;
}

/* ---- crashes ---- */

/* What was found of one key after a crash, against what may be. */
static const char *adopt_key(struct engine_world *w, uint32_t key) {
    static uint8_t space[IKEY_BYTES_MAX + ENGINE_WORLD_VALUE_BYTES_MAX];
    uint8_t ikey_space[IKEY_BYTES_MAX];
    struct engine_read r = { 0 };
    struct engine_world_key *k = &w->keys[key];
    const uint64_t floor = floor_of(w, key);
    const uint64_t floor_durable = w->floors_durable[engine_world_keyspace(key) - 1];
    const struct status s = engine_get(w->engine, engine_world_ikey(key, ikey_space), true, &r);
    const uint64_t found = status_ok(s) ? r.record.ballot.stamp : 0;
    const char *wrong = NULL;
    if (s.code == ST_NOT_FOUND) {
        bool lawful = k->acknowledged <= floor;
        for (uint32_t i = 0; i < k->count; i++) {
            if (k->stamps[i] < k->acknowledged) continue;
            if (k->stamps[i] <= floor || may_be_dropped(w, key, k->stamps[i])) lawful = true;
        }
        if (!lawful) wrong = "an acknowledged write is lost";
    } else if (!status_ok(s)) {
        wrong = status_name(s);
    } else {
        bool put = false;
        for (uint32_t i = 0; i < k->count; i++) put = put || k->stamps[i] == found;
        const struct record expected = engine_world_record(key, found, space);
        if (!put || !record_same(&r.record, &expected)) wrong = "a record that nobody put";
        if (found < k->acknowledged) wrong = "an older version came back";
        if (found <= floor_durable) wrong = "a truncated record came back";
    }
    engine_read_deinit(w->engine, &r);
    k->count = found != 0;
    k->stamps[0] = found;
    k->acknowledged = found;
    return wrong;
}

const char *engine_world_adopt(struct engine_world *w) {
    const char *wrong = NULL;
    w->pending_count = 0;
    for (uint32_t i = 0; i < w->key_count && wrong == NULL; i++) wrong = adopt_key(w, i);
    /* Whether a floor that was not acknowledged is there is not known: stay above it. */
    for (uint32_t i = 0; i < ENGINE_WORLD_KEYSPACES; i++) {
        if (w->floors[i] > w->gc_floor) w->gc_floor = w->floors[i];
        if (w->floors[i] > w->clock) w->clock = w->floors[i];
    }
    w->clock++;
    if (w->gc_floor > 0) engine_set_gc_floor(w->engine, (struct ballot){ w->gc_floor, 1, 1 });
    w->truncates_pending = 0;
    memcpy(w->floors, w->floors_durable, sizeof w->floors);
    if (wrong != NULL) return wrong;
    return engine_world_check_scan(w, UINT32_MAX, UINT32_MAX);
}

/* ---- random life ---- */

static const char *step_put(struct engine_world *w) {
    uint64_t count = 1 + sim_random_below(&w->random, 8);
    while (count-- > 0) {
        /* Half of the puts go to a few keys. */
        const uint32_t among =
            sim_random_chance(&w->random, 1, 2) ? w->key_count : (w->key_count + 9) / 10;
        const struct status s = engine_world_put(w, (uint32_t)sim_random_below(&w->random, among));
        if (s.code == ST_BUSY) break;
        if (s.code == ST_FULL && w->expected_full) break;
        if (!status_ok(s)) return status_name(s);
    }
    return NULL;
}

const char *engine_world_step(struct engine_world *w) {
    struct sim_random *r = &w->random;
    const uint32_t key = (uint32_t)sim_random_below(r, w->key_count);
    switch (sim_random_below(r, 200)) {
    case 0:
        engine_world_truncate(w, engine_world_keyspace(key), w->clock - sim_random_below(r, 100));
        break;
    case 1:
    case 2: engine_flush(w->engine); break;
    case 3:
        if (sim_random_chance(r, 1, 4)) engine_compact_all(w->engine);
        break;
    case 4:
    case 5:
    case 6: engine_world_raise_gc_floor(w, w->clock - sim_random_below(r, 300)); break;
    case 7:
    case 8: sim_os_advance_ms(w->os, sim_random_below(r, 2000)); break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
    case 14: return engine_world_check_scan(w, key, (uint32_t)sim_random_below(r, 30));
    case 15: engine_sync(w->engine); break;
    default:
        if (sim_random_chance(r, 1, 4)) return engine_world_check_key(w, key);
        if (sim_random_chance(r, 1, 3)) {
            engine_turn(w->engine);
            engine_world_pump(w, (uint32_t)sim_random_below(r, 4));
            return NULL;
        }
        return step_put(w);
    }
    return NULL;
}
