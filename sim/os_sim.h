/* os_sim.h - the world of one simulated node: a second implementation of os/.
 *
 * Time stands still but for os_loop_wait, os_sleep_ms and the calls below, dice
 * are seeded, files live on a disk in memory, jobs run one at a time inside
 * os_loop_wait, in a seeded order. The same seed and the same calls give the same
 * run. There are no threads and, so far, no sockets: those calls give ST_IO.
 *
 * Lifecycle  sim_os_create -> any os/ call -> os_destroy (closes its files)
 * Owner      one thread
 * Memory     borrows the disk, which must outlive it
 */
#ifndef ATOLL_SIM_OS_SIM_H
#define ATOLL_SIM_OS_SIM_H

#include "os/os.h"
#include "sim/disk.h"

struct os *sim_os_create(uint64_t seed, struct sim_disk *disk);
struct sim_disk *sim_os_disk(struct os *os);

/* Let time pass for this node, wall clock and monotonic clock alike. */
void sim_os_advance_ms(struct os *os, uint64_t ms);
/* Set the wall clock, to any time; the monotonic one goes on as before. */
void sim_os_set_wall_ms(struct os *os, uint64_t wall_ms);

#endif
