/* faults.h - what befalls the cluster: when, to whom, for how long, within the budget.
 *
 * Faults come at random times, of the kinds that the scenario has. Those that last are
 * windows; links are worked out anew from all open windows whenever one opens or closes. Crashes,
 * pauses and partitions know no limit; what makes a node lose what it had stored is allowed
 * `losses_max` times in a run, which is what the checkers' promises hold for.
 *
 * Lifecycle  faults_init -> faults_step* -> faults_end
 * Owner      the world
 * Memory     FAULT_WINDOWS_MAX windows; when all are open no further fault that lasts comes
 */
#ifndef ATOLL_SIM_FAULTS_H
#define ATOLL_SIM_FAULTS_H

#include "sim/random.h"
#include "sim/scenario.h"

#define FAULT_WINDOWS_MAX 32u

struct world;

struct fault_window {
    enum fault_kind kind;
    bool open;       /* false = this entry is free */
    uint64_t end_ns; /* world time it closes */
    uint64_t from;   /* bit per place */
    uint64_t to;     /* likewise */
    bool both_ways;  /* also what goes from `to` to `from` */
    uint32_t node;   /* of faults of one node */
    uint32_t amount; /* ms of delay, bytes a second, permille */
};

struct faults {
    struct sim_random dice;
    uint64_t next_ns;             /* world time of the next fault */
    uint32_t losses;              /* of the budget, used */
    uint64_t counts[FAULT_KINDS]; /* faults that took effect */
    struct fault_window windows[FAULT_WINDOWS_MAX];
};

void faults_init(struct world *w);
/* World time of the next fault or end of one. */
uint64_t faults_due_ns(const struct world *w);
/* Begin and end what is due now. */
void faults_step(struct world *w);
/* Whether one more node may lose what it stored; if so it is counted. */
bool faults_take_loss(struct world *w);
/* No more from now on: end all windows, heal the network, the disks and the clocks. */
void faults_end(struct world *w);

#endif
