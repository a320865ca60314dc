/* client.h - programs that use the cluster: HTTP/1.1 over simulated sockets.
 *
 * All sit on one machine with one loop. A load client talks to one node for a while, one
 * request at a time, thinks, and goes to another; when a connection breaks or an answer
 * takes too long, what it asked for is `unknown`. A probe client stays with its node and
 * goes through every kind of request once the cluster has healed. What is asked and
 * answered goes into the history; nothing is judged here.
 *
 * Lifecycle  clients_create -> (mode | turn)* -> clients_destroy
 * Owner      the world
 * Memory     a few buffers a client, each as large as an answer
 */
#ifndef ATOLL_SIM_CLIENT_H
#define ATOLL_SIM_CLIENT_H

#include "os/loop.h"
#include "sim/history.h"
#include "sim/net.h"
#include "sim/os_sim.h"
#include "sim/scenario.h"

#define CLIENTS_IP "10.0.9.1"
#define NODE_PORT 8080u

/* Keys of the history: those of the scenario; then one for each node's probe; at last one
 * that nobody ever writes. */
static inline uint32_t clients_probe_key(const struct scenario *s, uint32_t node) {
    return s->keys + node;
}
static inline uint32_t clients_missing_key(const struct scenario *s) {
    return s->keys + scenario_machines(s);
}

enum clients_mode {
    CLIENTS_REST, /* finish what is under way, begin nothing */
    CLIENTS_LOAD,
    CLIENTS_PROBE,
};

struct clients;

struct clients_options {
    const struct scenario *scenario; /* borrowed */
    struct history *history;         /* borrowed; holds the keys already */
    struct sim_net *net;             /* borrowed */
    struct sim_trace *trace;         /* borrowed; takes every answer */
};

struct clients *clients_create(const struct clients_options *options, uint64_t world_ns);
void clients_destroy(struct clients *c);
/* What the clients do from now on. */
void clients_mode(struct clients *c, enum clients_mode mode, uint64_t world_ns);
/* Which nodes they ask, but for the proxies: a bit each. At first those that begin the cluster. */
void clients_know(struct clients *c, uint64_t nodes);
/* What this node answers by itself counts for nothing from now on, or does again. */
void clients_doubt(struct clients *c, uint32_t node, bool doubt);
/* World time at which some client has something to do; UINT64_MAX = never. */
uint64_t clients_due_ns(const struct clients *c);
void clients_turn(struct clients *c, uint64_t world_ns);
/* Where they are in the network. */
uint32_t clients_place(const struct clients *c);

#endif
