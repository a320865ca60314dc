/* net_world.h - a few machines on one simulated network, for the tests of the network.
 *
 * Lifecycle  open -> (connect | pass | send | receive)* -> close
 * Owner      one test
 * Memory     all of it belongs to the world; sockets left open end with their node
 */
#ifndef TEST_SIM_NET_WORLD_H
#define TEST_SIM_NET_WORLD_H

#include "base/buffer.h"
#include "os/loop.h"
#include "os/sock.h"
#include "sim/net.h"
#include "sim/os_sim.h"

#define NET_WORLD_NODES_MAX 3u
#define NET_WORLD_EVENTS 16u
#define NET_WORLD_PORT ":7000"

struct net_world {
    struct sim_net *net;
    struct sim_trace trace;
    struct sim_disk *disk;                        /* shared: these tests write nothing */
    struct os *os[NET_WORLD_NODES_MAX];           /* node i is at 10.0.0.i+1, place i */
    struct os_loop *loop[NET_WORLD_NODES_MAX];    /* of each */
    struct os_sock listener[NET_WORLD_NODES_MAX]; /* at NET_WORLD_PORT */
    uint32_t nodes;
    uint64_t now_ns; /* world time */
    struct os_event events[NET_WORLD_EVENTS];
};

void net_world_open(struct net_world *w, uint64_t seed, uint32_t nodes);
void net_world_close(struct net_world *w);
/* A new node at this place, with a loop and a listener. */
void net_world_start(struct net_world *w, uint32_t node, uint64_t seed);
/* Time passes: what is due arrives. */
void net_world_pass_us(struct net_world *w, uint64_t us);
/* Start a connection and let nothing happen yet. */
struct os_sock net_world_dial(struct net_world *w, uint32_t from, uint32_t to);
/* A connection that is up, both ends. */
void net_world_connect(struct net_world *w, uint32_t from, uint32_t to, struct os_sock *ret_client,
                       struct os_sock *ret_server);
/* All of it must be taken. */
void net_world_send(struct os_sock s, struct bytes in);
/* Read until there is nothing; returns the code that ended it. */
enum status_code net_world_receive(struct os_sock s, struct buffer *out);
/* Ready bits of the next event of this loop; 0 = there is none. */
uint32_t net_world_ready(struct net_world *w, uint32_t node);

#endif
