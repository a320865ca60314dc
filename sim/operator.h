/* operator.h - what people do to the cluster: nodes join and leave, are given up and replaced.
 *
 * Wishes go to the control plane of any node that runs, as from an operator, and may be lost like
 * everything else. A node that is given up stays down until its member is dead in the newest state
 * that the world has seen; it counts as a loss of what it kept. Once the faults are over the
 * operator sees to what he began: he goes on with a change that is paused, has one that was
 * cancelled begun again, lets nodes join if members are too few, and has slots get as many copies
 * as the keyspace takes.
 *
 * Owner      the world
 * Memory     in the world and its nodes
 */
#ifndef ATOLL_SIM_OPERATOR_H
#define ATOLL_SIM_OPERATOR_H

#include "sim/random.h"
#include "sim/scenario.h"

struct world;
struct world_node;

struct operator{
    struct sim_random dice;
    uint64_t next_ns;  /* world time of his next look; UINT64_MAX = he does not look */
    uint64_t stuck_ns; /* since when nothing goes on though something should; 0 = it does */
    uint64_t rejoin;   /* bit per node that is to come back once its member is dead */
    uint64_t doomed;   /* bit per node that is given up, and not dead yet */
    bool tidies;       /* the faults are over */
    uint32_t wider;    /* N that the keyspace is to get in this run; 0 = slots alone get others */
};

void operator_init(struct world *w);
uint64_t operator_due_ns(const struct world *w);
/* What is due now. */
void operator_step(struct world *w);
/* A fault of FAULTS_OF_MEMBERS. False: it had no effect. */
bool operator_fault(struct world *w, enum fault_kind kind);
/* From now on he sees to it that all settles. */
void operator_tidy(struct world *w);
/* Whether nothing is left to be done: no change, and all members are active. */
bool operator_is_done(const struct world *w);

#endif
