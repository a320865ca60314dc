/* slot_world.h - nodes whose views of one slot are made by hand, and a client that asks them.
 *
 * Six members with three replicas of each key and one shard each, without faults. The slot of
 * `key` is kept by the first three members of `order`; those behind them are its target once it
 * is on its way, so that the two have nobody in common unless a test wants that. Every node is
 * given its views one by one.
 *
 * Lifecycle  slot_world_open -> (publish | ask)* -> slot_world_close; one at a time
 * Memory     that of a world, which is left where it stands
 */
#ifndef TEST_SLOT_WORLD_H
#define TEST_SLOT_WORLD_H

#include "sim/world_internal.h"

#define SLOT_WORLD_NODES 6u
#define SLOT_WORLD_KEY "key"

struct slot_world {
    struct scenario scenario;
    uint32_t shared; /* of the list that the target has too, its last; 0 until a test sets it */
    uint32_t longer; /* members of the target, and N, above three; the same */
    struct world *world;
    struct os *client;                /* the machine of the client */
    uint32_t place;                   /* of it, in the network */
    uint32_t slot;                    /* of the key */
    uint32_t order[SLOT_WORLD_NODES]; /* nodes: the slot's list, then the others */
    char reply[512];                  /* what the last request got so far */
};

/* A request under way. */
struct asked {
    struct os_sock sock;
    size_t len; /* of the reply so far */
};

void slot_world_open(struct slot_world *w);
void slot_world_close(struct slot_world *w);
/* The shard of the node at `at` in the order. */
struct shard *slot_world_shard(const struct slot_world *w, uint32_t at);
void slot_world_run(struct slot_world *w, uint32_t for_ms);
/* Nodes whose bit (by order) is set work with the next view: the slot is in this phase, with a
 * target, or NEW a list, of three and `longer`: the last `shared` of the list and the first behind
 * it.
 * SLOT_SETTLED has the first three as at the start. */
void slot_world_publish(struct slot_world *w, uint32_t nodes, uint64_t epoch,
                        enum slot_phase phase);
/* Nobody hears the node at `at` any more, and it nobody. */
void slot_world_cut(struct slot_world *w, uint32_t at);
/* Send a RESP request of words to the node at `at`. */
void slot_world_begin(struct slot_world *w, uint32_t at, const char *words,
                      struct asked *ret_asked);
/* What it has answered after so long at most; "" = nothing yet. */
const char *slot_world_end(struct slot_world *w, struct asked *asked, uint32_t for_ms);
/* Both of these, up to three seconds. */
const char *slot_world_ask(struct slot_world *w, uint32_t at, const char *words);
/* The version of the key that the node at `at` holds; zero = none. */
struct ballot slot_world_version(const struct slot_world *w, uint32_t at);
/* Let the node at `at` alone have this value of the key, stamped now. */
void slot_world_put(struct slot_world *w, uint32_t at, const char *value);

#endif
