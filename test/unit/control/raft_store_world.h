/* raft_store_world.h - a raft store on a simulated disk, and what it should hold.
 *
 * Every change gets a version: the whole of what was added up to then. Its number is also the
 * mark that the store is given, so that what it calls durable names a version. What is found
 * after a crash must be one of them, and none before that one. Data of entries and snapshots
 * are made from index and term alone.
 *
 * Lifecycle  init -> (create | open -> changes -> close)* -> deinit
 */
#ifndef TEST_RAFT_STORE_WORLD_H
#define TEST_RAFT_STORE_WORLD_H

#include "control/raft_store.h"
#include "sim/os_sim.h"
#include "sim/random.h"

#define WORLD_DIR "/data/control"
#define WORLD_MEMBER 7u
#define WORLD_INDEX_MAX 400u
#define WORLD_VERSIONS_MAX 600u

/* The log as terms by index; what the snapshot covers counts too. */
struct store_version {
    struct raft_hard_state hard;     /* zeros = none */
    bool cluster_known;              /* the owner has the cluster's id */
    uint32_t installs;               /* how many there were */
    uint64_t last;                   /* last entry */
    uint64_t terms[WORLD_INDEX_MAX]; /* from `floor` on */
    uint64_t floor;                  /* last entry that an installation covered */
    uint32_t before;                 /* version before an installation that is still open, or 0 */
};

struct store_world {
    struct sim_disk *disk;
    bool disk_owned;          /* it goes with the world */
    struct os *os;            /* of this life */
    struct os_loop *loop;     /* of this life */
    struct os_pool *pool;     /* of this life */
    struct raft_store *store; /* NULL = not open */
    uint64_t rewrite_bytes;   /* for open */

    struct store_version versions[WORLD_VERSIONS_MAX]; /* the first as created */
    uint32_t version;                                  /* the newest */
    uint32_t version_durable;                          /* as told by the store */
    uint64_t applied;                                  /* asked for */
    uint64_t applied_durable;                          /* as told by the store */
    uint64_t snapshot;                                 /* newest asked for */
    uint64_t snapshot_durable;                         /* newest told by the store */
    uint64_t made_open;                                /* a snapshot made here is open; 0 = none */
    uint64_t install_open;                             /* one of the leader's; 0 = none */
    bool created;                                      /* create has returned */
    uint32_t done_count;                               /* calls of `done` */
    uint8_t *lent[2];                                  /* data of those that are open */
};

void store_world_init(struct store_world *w, struct sim_disk *disk, uint64_t seed);
void store_world_deinit(struct store_world *w);

/* Make the store, with a first snapshot or without. */
STATUS store_world_create(struct store_world *w, bool with_snapshot);
/* Open it and compare what is found with the versions; it becomes the newest one. Says what
 * is wrong, or NULL; *ret_status is that of the store. */
const char *store_world_open(struct store_world *w, struct status *ret_status);
void store_world_close(struct store_world *w);
/* Close the store, as at the end of a process, and open it in another one. Says what is wrong, or
 * NULL. */
const char *store_world_restart(struct store_world *w, uint64_t seed);
/* Whether `found` is what was stored, for a store that lost nothing that it called durable. */
const char *store_world_compare(const struct store_world *w,
                                const struct raft_store_restored *found, uint32_t *ret_version);
/* What a life expects of the one before it: everything but the store itself. */
void store_world_inherit(struct store_world *w, const struct store_world *before);

/* Each adds a version. */
void store_world_hard(struct store_world *w, uint64_t term, uint32_t vote);
void store_world_append(struct store_world *w, uint64_t term);
void store_world_truncate(struct store_world *w, uint64_t index);
void store_world_cluster(struct store_world *w);
void store_world_install(struct store_world *w, uint64_t index, uint64_t term);
/* These add none: the log stays what it is. */
void store_world_applied(struct store_world *w, uint64_t index);
void store_world_snapshot(struct store_world *w, uint64_t index);
/* Any change that is allowed now. */
void store_world_change(struct store_world *w, struct sim_random *random);

/* Let up to `max` jobs run. Returns how many did. */
uint32_t store_world_pump(struct store_world *w, uint32_t max);
/* Flush and let all jobs run. */
void store_world_settle(struct store_world *w);

/* The files of the folder, "name name "; until the next call. */
const char *store_world_names(const struct store_world *w);
const struct store_version *store_world_now(const struct store_world *w);

#endif
