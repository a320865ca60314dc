/* catch_up_world.h - a few nodes of one shard each on a simulated network, and the metadata that
 * they share: every node is told of it by hand, so a test can let one be behind.
 *
 * Two copies of each slot. A third member joins, and a change takes slots to it; or it leaves, and
 * the change takes slots to the first: links are dialled, and questions asked, by lower ids.
 *
 * Lifecycle  open -> (publish | pass | put | read | crash)* -> close
 * Owner      one test
 */
#ifndef TEST_SIM_CATCH_UP_WORLD_H
#define TEST_SIM_CATCH_UP_WORLD_H

#include "cluster/metadata.h"
#include "harness.h"
#include "shard/shard.h"
#include "sim/net.h"
#include "sim/os_sim.h"
#include "storage/rate_limit.h"

#define CATCH_UP_NODES 3u
#define CATCH_UP_NEW 2u /* the node that joins */
#define CATCH_UP_OLD 0u /* the node that gets slots when node 2 leaves */

struct catch_up_node {
    struct sim_disk *disk; /* its data */
    struct os *os;
    struct os_pool *pool;
    struct cache *cache;
    struct node node;
    struct shard *shard;       /* NULL = it is down */
    struct membership *before; /* the view it was last told of; owned */
    uint64_t wake_ns;          /* it wants a turn by then */
    uint32_t boots;
    uint64_t move_rate; /* for its next start too */
    bool move_paused;   /* likewise */
};

struct catch_up_world {
    struct sim_net *net;
    uint64_t now_ns;
    struct metadata *metadata;
    uint64_t sequence; /* of the last proposal */
    uint32_t gains;    /* the node to which slots come */
    struct catch_up_node nodes[CATCH_UP_NODES];
};

/* `gains` CATCH_UP_NEW: nodes 0 and 1 are the cluster, and node 2 is a member without slots;
 * CATCH_UP_OLD: all three are the cluster, and node 2 is to leave. All are filled, and there are
 * no floors yet: they come some 10 s later, unless the test sets them. */
void catch_up_world_open(struct catch_up_world *w, uint32_t gains);
void catch_up_world_close(struct catch_up_world *w);
/* The change that gives slots to node 2 begins, and all its slots become joint; then new. */
void catch_up_world_joint(struct catch_up_world *w);
void catch_up_world_new(struct catch_up_world *w);
void catch_up_world_apply(struct catch_up_world *w, struct metadata_command *c);
/* Tell a node, or all of them, of the metadata as it is. */
void catch_up_world_publish(struct catch_up_world *w, uint32_t node);
void catch_up_world_publish_all(struct catch_up_world *w);
/* Time passes. */
void catch_up_world_pass_ms(struct catch_up_world *w, uint64_t ms);
/* Until this node has caught up with the metadata as it is; false: not within that time. */
bool catch_up_world_wait(struct catch_up_world *w, uint32_t node, uint64_t ms);
void catch_up_world_crash(struct catch_up_world *w, uint32_t node);
void catch_up_world_boot(struct catch_up_world *w, uint32_t node);
struct shard *catch_up_shard(struct catch_up_world *w, uint32_t node);

/* The number'th key whose slot goes from node `from` to the one that gains, while the third node
 * keeps it. It holds until the next call. */
struct bytes catch_up_key(const struct catch_up_world *w, uint32_t from, uint32_t number);
/* Stamps: so many ms before now. */
uint64_t catch_up_stamp(const struct catch_up_world *w, uint64_t ago_ms);
/* A floor of its shard; it lasts until it crashes. */
void catch_up_set_floor(struct catch_up_world *w, uint32_t node, uint64_t stamp);
/* Put a version into one node's engine, past all doors; no value is a tombstone. */
void catch_up_put(struct catch_up_world *w, uint32_t node, struct bytes key, uint64_t stamp,
                  struct bytes value);
/* Stamp of what a node holds; 0 = nothing. */
uint64_t catch_up_stamp_at(struct catch_up_world *w, uint32_t node, struct bytes key);
/* Whether it holds a value. */
bool catch_up_has(struct catch_up_world *w, uint32_t node, struct bytes key);

#endif
