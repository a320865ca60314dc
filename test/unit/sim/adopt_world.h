/* adopt_world.h - a few whole nodes on a simulated network, whose views a test publishes.
 *
 * Lifecycle  adopt_world_open -> any -> adopt_world_close
 * Owner      one thread; the test has the clock (adopt_world_run)
 */
#ifndef TEST_ADOPT_WORLD_H
#define TEST_ADOPT_WORLD_H

#include "cluster/membership.h"
#include "shard/shard.h"
#include "sim/net.h"
#include "sim/os_sim.h"

#define ADOPT_NODES_MAX 4u
#define ADOPT_REPLY_BYTES 512u

struct adopt_node {
    char address[OS_ADDRESS_BYTES_MAX];
    uint32_t place; /* in the network */
    uint32_t id;    /* of the member; 0 = none yet */
    struct sim_disk *disk;
    struct os *os;
    struct os_pool *pool;
    struct cache *cache;
    struct node node;
    uint64_t wake_ns[2];        /* its shards want a turn by then */
    struct membership *present; /* a copy of what was published last */
};

/* A client of one node, one command at a time. */
struct adopt_client {
    struct os *os;
    struct os_loop *loop;
    struct os_sock sock;
    char reply[ADOPT_REPLY_BYTES]; /* so far; ends with a NUL */
    size_t len;                    /* of it */
};

struct adopt_world {
    struct sim_net *net;
    uint64_t now_ns;
    uint32_t count;  /* nodes */
    uint32_t shards; /* of each */
    size_t cache_bytes;
    size_t memtable_bytes;
    struct adopt_node nodes[ADOPT_NODES_MAX];
    struct sim_disk *client_disk;
    struct metadata *state;
    uint64_t sequence; /* of the last proposal */
};

/* `members` nodes form a cluster with this N; the others know of none. */
void adopt_world_open(struct adopt_world *w, uint32_t nodes, uint32_t members, uint32_t replicas,
                      uint32_t shards);
void adopt_world_close(struct adopt_world *w);
/* A tenth of a millisecond. */
void adopt_world_step(struct adopt_world *w);
void adopt_world_run(struct adopt_world *w, uint32_t ms);
/* Apply a command to the state, by the first member. Returns its result's value. */
uint64_t adopt_world_apply(struct adopt_world *w, struct metadata_command *c);
/* Begin the change that the members ask for, and bring all slots to this phase: JOINT or NEW. */
void adopt_world_begin(struct adopt_world *w);
void adopt_world_move(struct adopt_world *w, enum metadata_kind kind);
/* All nodes, or one, get the view of the state. */
void adopt_world_publish(struct adopt_world *w);
void adopt_world_publish_to(struct adopt_world *w, uint32_t node);
/* Whether a node has links to so many others, with each of their shards that it shares slots with. */
bool adopt_world_linked(const struct adopt_world *w, uint32_t node, uint32_t others);
/* Nothing passes between the two, or all again. */
void adopt_world_part(struct adopt_world *w, uint32_t a, uint32_t b, bool parted);

void adopt_client_open(struct adopt_world *w, struct adopt_client *c, uint32_t node);
void adopt_client_close(struct adopt_client *c);
void adopt_client_send(struct adopt_client *c, const char *line);
/* Send, let up to `ms` pass, and check the reply. */
void adopt_client_ask(struct adopt_world *w, struct adopt_client *c, const char *line,
                      const char *reply);
/* The version that a node holds of a key; zero = none. */
struct ballot adopt_version(struct adopt_world *w, uint32_t node, const char *key);

#endif
