/* os_sim.h - the world of one simulated node: a second implementation of os/.
 *
 * Dice are seeded, files live on a disk in memory, there are no threads. By itself a
 * node passes its own time inside os_loop_wait and os_sleep_ms and runs its jobs one
 * at a time in os_loop_wait. Driven, for clusters, the world has the clock: nothing a
 * node calls passes time, os_loop_wait gives what is due now and never waits, and jobs
 * take time. Sockets exist once it is attached to a network (sim/net.h); before that
 * they give ST_IO. The same seed and the same calls give the same run.
 *
 * Lifecycle  sim_os_create -> [sim_os_drive -> sim_net_attach] -> any os/ call ->
 *            os_destroy (closes its files and sockets), or sim_os_forget after a crash
 * Owner      one thread
 * Memory     borrows the disk, the network and the trace, which must outlive it
 */
#ifndef ATOLL_SIM_OS_SIM_H
#define ATOLL_SIM_OS_SIM_H

#include "os/loop.h"
#include "os/os.h"
#include "os/pool.h"
#include "sim/disk.h"
#include "sim/trace.h"

#define SIM_WALL_START_MS UINT64_C(1767225600000) /* 2026-01-01: the wall clock at world time 0 */
#define SIM_DRIFT_PPM_MAX 500000                  /* a clock runs at half to one and a half speed */

struct os *sim_os_create(uint64_t seed, struct sim_disk *disk);
struct sim_disk *sim_os_disk(struct os *os);
/* NULL = off. Jobs are added when they run. */
void sim_os_set_trace(struct os *os, struct sim_trace *trace);

/* Let time pass for this node, wall clock and monotonic clock alike.
 * Requires  it is not driven */
void sim_os_advance_ms(struct os *os, uint64_t ms);
/* Set the wall clock, to any time; the monotonic one goes on as before. */
void sim_os_set_wall_ms(struct os *os, uint64_t wall_ms);

/* ---- driven ---- */

/* From now on the world has the clock, which shows `world_ns`. The wall clock becomes the
 * world's (SIM_WALL_START_MS at 0); the monotonic one goes on from where it is.
 * Requires  no job and no timer is waiting */
void sim_os_drive(struct os *os, uint64_t world_ns);
/* Tell the node the time: call it before any turn of one of its loops. While a node is
 * paused simply do not. Requires  `world_ns` not below an earlier one */
void sim_os_now(struct os *os, uint64_t world_ns);
/* From now on its clocks gain so many microseconds in a second of the world. */
void sim_os_set_drift_ppm(struct os *os, int32_t ppm);

/* World time at which some loop of the node, or this loop, has something to do: a timer,
 * a job's end, a socket's event, a wake. It may lie in the past; UINT64_MAX = nothing. */
uint64_t sim_os_due_ns(const struct os *os);
uint64_t sim_loop_due_ns(const struct os_loop *loop);

/* How long jobs of this kind take, drawn for each; 50..200 us, 50..500 us for reads and
 * 1..20 ms in the background until set. A kind has as many threads as os_pool_create was
 * told; jobs queue for them. `run` is called when the time is over, by the os_loop_wait
 * of any loop of the node: before that a crash loses all the job would have written.
 * os_sleep_ms in `run` only makes `done` come later. */
void sim_os_set_latency_us(struct os *os, enum os_job_kind kind, uint32_t min_us, uint32_t max_us);
/* Every SYNC job begun before world time `until_ns` takes `extra_us` longer. */
void sim_os_stall(struct os *os, uint64_t until_ns, uint64_t extra_us);

/* A node that has crashed: drop its jobs without running them, its sockets (as
 * sim_net_crash by dice, unless that was called) and its open files and locks. Nothing but
 * os_destroy may be called on it afterwards; its loops and pools are the caller's to leak. */
void sim_os_forget(struct os *os);

/* What os_die does, for all nodes of the process: `hook` must not return. It is called
 * from wherever the node was, jobs run by os_loop_wait included. NULL = end the process. */
void sim_on_die(void (*hook)(void *user, const char *message), void *user);

#endif
