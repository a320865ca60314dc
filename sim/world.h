/* world.h - a whole cluster in one thread: nodes, network, disks, clocks, clients, faults.
 *
 * Nodes are the production objects that server/ builds, on the simulated os. The world
 * owns time, and always runs whatever is due next: a shard's turn, a delivery, a fault, a
 * client. Where nothing is due nothing is run, so idle time costs nothing. A node that
 * crashes is left where it stands: its memory is forgotten, which is why a process runs
 * one world only.
 *
 * Lifecycle  world_create -> world_run -> world_check -> (read) ; the process ends it
 * Owner      one thread
 * Memory     that of the nodes, some hundred KiB for each start of one, and the history
 * Failure    what must not happen (a node that ends or refuses its data without cause) is a
 *            finding; an assertion ends the process
 */
#ifndef ATOLL_SIM_WORLD_H
#define ATOLL_SIM_WORLD_H

#include "sim/check.h"
#include "sim/scenario.h"

struct world;

/* Where lines for people go; `user` is given back. */
typedef void (*world_say)(void *user, const char *line);

struct world_options {
    const struct scenario *scenario; /* borrowed */
    world_say say;                   /* progress */
    world_say say_log;               /* the nodes' logs and every fault; NULL = dropped */
    void *user;                      /* of both */
};

struct world *world_create(const struct world_options *options);
/* Both phases, to the end. */
void world_run(struct world *w);

/* What was found, by checker; the last row is the world's own. */
#define WORLD_CHECKS (CHECK_KINDS + 1)
struct world_findings {
    const char *names[WORLD_CHECKS]; /* of the checkers */
    struct findings by_check[WORLD_CHECKS];
    uint32_t count; /* sum of all */
};
/* Read what the nodes hold, then run every checker. After world_run. */
void world_check(struct world *w, struct world_findings *ret_findings);

struct world_counts {
    uint64_t faults[FAULT_KINDS];                         /* that took effect */
    uint64_t operations[HISTORY_KINDS][HISTORY_OUTCOMES]; /* by kind and outcome */
    uint64_t boots;                                       /* starts of nodes */
    uint64_t turns;                                       /* of shards */
    uint64_t deliveries;                                  /* of the network */
    uint64_t simulated_ms;                                /* world time */
    uint32_t losses;                                      /* replicas that lost their storage */
};
struct world_counts world_counts(const struct world *w);
/* What clients did; holds as long as the world. */
const struct history *world_history(const struct world *w);
/* Of all that happened: the same seed gives the same. */
uint64_t world_trace(const struct world *w);

#endif
