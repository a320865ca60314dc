/* wal_world.h - a log on a simulated disk, with records that can be recognised.
 *
 * Record number i is made from i alone, so a replay is checked against nothing but
 * its own order: the first must be `floor`, each next one more.
 *
 * Lifecycle  init -> (open -> ... -> close)* -> deinit
 */
#ifndef TEST_WAL_WORLD_H
#define TEST_WAL_WORLD_H

#include "os/loop.h"
#include "os/pool.h"
#include "sim/os_sim.h"
#include "storage/wal.h"

#define WORLD_DIR "/wal"
#define WORLD_RECORDS_MAX 4096u

struct wal_world {
    struct sim_disk *disk;
    bool disk_owned;
    struct os *os;
    struct os_loop *loop;
    struct os_pool *pool;
    struct wal *wal;        /* NULL = not open */
    enum wal_sync sync;     /* for open */
    uint32_t segment_bytes; /* for open */

    uint64_t first_segment;                /* what a manifest would name */
    uint64_t floor;                        /* first record that is not below it */
    uint64_t count;                        /* records appended, all told */
    uint64_t replayed;                     /* the next record the replay must bring */
    bool replay_wrong;                     /* it brought another one */
    uint64_t sequences[WORLD_RECORDS_MAX]; /* as given by append */
};

void world_init(struct wal_world *v, struct sim_disk *disk, uint64_t seed);
void world_deinit(struct wal_world *v);

/* Replay, and set `count` to what was found. */
STATUS world_open(struct wal_world *v);
void world_close(struct wal_world *v);
/* Deliver up to `max` finished jobs. Returns how many there were. */
uint32_t world_pump(struct wal_world *v, uint32_t max);
/* Append record number `count`. */
STATUS world_append(struct wal_world *v);
/* The same, letting jobs run while the log is busy, for as long as it takes. */
STATUS world_append_waiting(struct wal_world *v);
/* Commit and let all jobs run. */
void world_settle(struct wal_world *v, bool force_sync);
/* How many of the records appended may be acknowledged. */
uint64_t world_acknowledged(const struct wal_world *v);

/* `space` has WORLD_VALUE_BYTES_MAX + 64 bytes, to which views point. */
#define WORLD_VALUE_BYTES_MAX 12000u
struct record world_record(uint64_t number, uint8_t *space);

#endif
