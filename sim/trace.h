/* trace.h - a running 64-bit hash of all that happened, so that two runs can be compared.
 *
 * The network, the disks, the nodes' jobs and the world feed it; the same seed must end
 * in the same hash. A NULL trace takes nothing, which is how it is switched off.
 *
 * Owner      one run of the simulator
 * Memory     a value in the caller's hands
 */
#ifndef ATOLL_SIM_TRACE_H
#define ATOLL_SIM_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct sim_trace {
    uint64_t hash;  /* of all added so far, in order; starts at 0 */
    uint64_t count; /* how often something was added */
};

/* Also fine for no trace. */
void sim_trace_add(struct sim_trace *t, const void *bytes, size_t len);

#endif
