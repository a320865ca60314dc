/* engine_world.h - an engine on a simulated disk, beside a model of what it holds.
 *
 * A record is made from its key's number and its stamp alone, so whatever is read
 * can be told from something nobody wrote. The model keeps for each key the stamps put
 * that may still be read.
 *
 * Lifecycle  init -> open -> step* -> (close -> open | power loss -> open -> adopt)* -> deinit
 */
#ifndef TEST_ENGINE_WORLD_H
#define TEST_ENGINE_WORLD_H

#include "os/loop.h"
#include "os/pool.h"
#include "sim/os_sim.h"
#include "sim/random.h"
#include "storage/engine.h"

#define ENGINE_WORLD_DIR "/data/shard"
#define ENGINE_WORLD_KEYS_MAX 4096u
#define ENGINE_WORLD_KEYSPACES 2u
#define ENGINE_WORLD_STAMPS_MAX 24u
#define ENGINE_WORLD_VALUE_BYTES_MAX 4096u
#define ENGINE_WORLD_PENDING_MAX 4096u

struct engine_world_key {
    uint64_t stamps[ENGINE_WORLD_STAMPS_MAX]; /* put and not known to be superseded for ever */
    uint32_t count;
    uint64_t acknowledged; /* highest stamp that was acknowledged */
};

struct engine_world_pending {
    uint64_t sequence;
    uint64_t stamp;
    uint32_t key;
};

struct engine_world {
    struct sim_disk *disk;
    bool disk_owned;
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    struct cache *cache;
    struct engine *engine;         /* NULL = not open */
    struct engine_options options; /* the rest is filled in by open */
    size_t cache_bytes;
    struct sim_random random;

    uint32_t key_count; /* keys in use, 1..ENGINE_WORLD_KEYS_MAX */
    struct engine_world_key keys[ENGINE_WORLD_KEYS_MAX];
    struct engine_world_pending pending[ENGINE_WORLD_PENDING_MAX]; /* put, not acknowledged */
    uint32_t pending_count;
    uint64_t clock; /* highest stamp given */
    uint64_t gc_floor;
    uint64_t wall_ms; /* the next open finds this time of day or a later one */
    uint64_t floors[ENGINE_WORLD_KEYSPACES]; /* as readers see them */
    uint64_t floors_durable[ENGINE_WORLD_KEYSPACES];
    uint32_t truncates_pending;
    bool always_blocks;   /* every read may block */
    uint64_t levels_seen; /* bit for each level that ever held a table */
    uint64_t puts;
    uint64_t busy;
    uint64_t full;
    uint64_t reads;
    uint64_t expected_full; /* ST_FULL is no surprise */
};

/* A disk of its own, if `disk` is NULL. */
void engine_world_init(struct engine_world *w, struct sim_disk *disk, uint64_t seed);
void engine_world_deinit(struct engine_world *w);
/* Small sizes, so that little data goes everywhere; varied by the seed. */
void engine_world_options_small(struct engine_world *w);

STATUS engine_world_open(struct engine_world *w);
void engine_world_close(struct engine_world *w, bool flush);

void engine_world_pump(struct engine_world *w, uint32_t jobs_max);
/* Turn and pump until nothing is due. Fails the test if that takes for ever. */
void engine_world_settle(struct engine_world *w);

uint16_t engine_world_keyspace(uint32_t key);
struct bytes engine_world_ikey(uint32_t key, uint8_t *space);
/* `space` has ENGINE_WORLD_VALUE_BYTES_MAX bytes more than IKEY_BYTES_MAX. */
struct record engine_world_record(uint32_t key, uint64_t stamp, uint8_t *space);

/* Put key with a stamp of the world's choice. */
STATUS engine_world_put(struct engine_world *w, uint32_t key);
STATUS engine_world_put_stamp(struct engine_world *w, uint32_t key, uint64_t stamp);
void engine_world_truncate(struct engine_world *w, uint16_t keyspace, uint64_t stamp);
void engine_world_raise_gc_floor(struct engine_world *w, uint64_t stamp);

/* NULL, or what is wrong with what the engine says of this key. */
const char *engine_world_check_key(struct engine_world *w, uint32_t key);
const char *engine_world_check_all(struct engine_world *w);
/* Scan from a key over at most `count` records. */
const char *engine_world_check_scan(struct engine_world *w, uint32_t key, uint32_t count);

/* After a crash: everything acknowledged must be there and nothing else but what was put; then the
 * model becomes what was found. */
const char *engine_world_adopt(struct engine_world *w);

/* One random action. NULL, or what is wrong. */
const char *engine_world_step(struct engine_world *w);

#endif
