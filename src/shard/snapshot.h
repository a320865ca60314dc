/* snapshot.h - every so often all that a node keeps, as one flat JSON file in its data directory.
 *
 * Shard 0 begins a round. Each shard makes an image of its records as of that moment
 * (storage/engine_image.h), then they write theirs to the file one after another, a chunk a job, so
 * that neither a loop nor the threads for compaction are held up. Shard 0 gives the file its name.
 *
 *   shard 0     IDLE -> OPENING -> WRITING -> ENDING -> IDLE
 *   each shard  IDLE -> FLUSHING -> READY -> WRITING -> IDLE
 *
 * Lifecycle  create -> (snapshot_turn of every shard)* -> destroy once all shards are idle
 * Owner      `turn` says whose job may touch the file; else each field's owner is named below
 * Memory     a chunk and the longest pair, of one shard at a time
 * Failure    logged once until one works again; the file is removed, the next round tries anew
 */
#ifndef ATOLL_SHARD_SNAPSHOT_H
#define ATOLL_SHARD_SNAPSHOT_H

#include "base/buffer.h"
#include "os/pool.h"
#include "storage/engine_image.h"
#include "storage/rate_limit.h"
#include "storage/snapshot_file.h"

#define SNAPSHOT_FOLDER "snapshots" /* in the data directory */

struct shard;

enum snapshot_state {
    SNAPSHOT_IDLE,    /* the next round is not due */
    SNAPSHOT_OPENING, /* a job makes the file */
    SNAPSHOT_WRITING, /* the shards write */
    SNAPSHOT_ENDING,  /* a job gives the file its name, or removes it */
    SNAPSHOT_STATES,
};

enum snapshot_part_state {
    SNAPSHOT_PART_IDLE,     /* nothing of this shard is to be written */
    SNAPSHOT_PART_FLUSHING, /* what is in memory goes to tables */
    SNAPSHOT_PART_READY,    /* has its image, waits for its turn */
    SNAPSHOT_PART_WRITING,  /* a job goes through the image */
    SNAPSHOT_PART_STATES,
};

/* What one shard gives to a round; its shard's, and the job's while it runs. */
struct snapshot_part {
    struct snapshot *snapshot;
    struct shard *shard;
    enum snapshot_part_state state; /* moves are in the table of snapshot.c */
    uint64_t round;                 /* the last one it took part in */
    uint64_t mark;                  /* FLUSHING: see engine_image_want */
    struct engine_image image;      /* READY and WRITING */
    bool positioned;                /* the image stands on a record or at its end */
    uint64_t now_ms;                /* wall: what has expired by then is left out */
    bool all_slots;                 /* the node keeps all slots of the shard, else: */
    uint8_t slots[SLOTS / 8];       /* bits of those it keeps */
    struct buffer text;             /* WRITING: a chunk */
    bool ended;                     /* the job came to the end of the image */
    struct status status;           /* of the job */
    struct os_job job;              /* under way while WRITING */
};

struct snapshot_options {
    struct os *os;
    struct os_pool *pool;
    struct rate_limit *rate_limit; /* of background writes; NULL = none */
    const char *data_dir;
    uint64_t interval_ms; /* from the begin of one to that of the next; 1.. */
    uint32_t keep;        /* files, 1.. */
    uint32_t shards;      /* of the node */
};

struct snapshot {
    struct snapshot_options options;
    char dir[OS_PATH_BYTES_MAX];
    struct snapshot_part *parts; /* of each shard */
    _Atomic uint64_t round;      /* shard 0 writes; one that a part does not know is to be begun */
    _Atomic uint32_t turn;       /* whose part is written; options.shards = nobody's */
    _Atomic int failed;          /* enum status_code of this round; ST_BUSY = the node stops */
    struct snapshot_file file;   /* of the job that `turn` allows, or that of shard 0 */
    uint64_t pairs;              /* in the file; likewise */
    /* shard 0's: */
    enum snapshot_state state;      /* moves are in the table of snapshot.c */
    uint64_t due_ms;                /* monotonic: when the next round begins */
    uint64_t began_ms;              /* monotonic: when this one did */
    uint64_t wall_ms;               /* of that moment: names the file */
    enum status_code told;          /* the failure that was logged last; ST_OK = none since */
    struct status status;           /* of the job */
    char name[SNAPSHOT_NAME_BYTES]; /* of the file, once it has one */
    struct os_job job;              /* under way while OPENING or ENDING */
};

/* Removes what a crash left. A folder that cannot be made is logged; rounds try again. */
struct snapshot *snapshot_create(const struct snapshot_options *options);
/* NULL is none. Requires  all shards idle */
void snapshot_destroy(struct snapshot *n);

/* Every turn of every shard that has an engine. */
void snapshot_turn(struct shard *s);
/* Whether the shard may close its engine; it is so soon after the node has begun to stop. */
bool snapshot_is_idle(const struct shard *s);

bool snapshot_part_check(const struct snapshot_part *p);

#endif
