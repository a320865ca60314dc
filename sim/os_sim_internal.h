/* os_sim_internal.h - what the simulated os/ shares among its files. */
#ifndef ATOLL_SIM_OS_SIM_INTERNAL_H
#define ATOLL_SIM_OS_SIM_INTERNAL_H

#include "base/list.h"
#include "os/os.h"
#include "sim/disk_internal.h"
#include "sim/os_sim.h"
#include "sim/random.h"

#define SIM_HANDLES_MAX 65536u /* open files of one node */
#define NS_PER_MS UINT64_C(1000000)

struct handle {
    struct inode *inode; /* NULL = free */
    bool writable;
    bool holds_lock; /* of the inode */
};

struct os {
    struct sim_disk *disk;
    struct sim_random random; /* for the order of jobs */
    struct sim_random entropy;
    uint64_t mono_ns;        /* virtual time */
    uint64_t wall_offset_ms; /* wall = monotonic + this, modulo 2^64 */
    struct handle *handles;  /* `handle_count`, by os_file.handle */
    uint32_t handle_count;
    struct list jobs; /* submitted, not run; struct os_job, oldest first */
};

/* os_file.c */
void sim_os_close_all(struct os *os);

/* os_loop.c: hand a job that has run to its loop. */
struct os_job;
void sim_loop_finish(struct os_job *job);

#endif
