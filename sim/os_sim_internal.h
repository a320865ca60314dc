/* os_sim_internal.h - what the simulated os/ shares among its files. */
#ifndef ATOLL_SIM_OS_SIM_INTERNAL_H
#define ATOLL_SIM_OS_SIM_INTERNAL_H

#include "base/list.h"
#include "os/loop.h"
#include "os/os.h"
#include "sim/disk_internal.h"
#include "sim/os_sim.h"
#include "sim/random.h"

#define SIM_HANDLES_MAX 65536u /* open files of one node */
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)
#define SIM_NEVER_NS UINT64_MAX
#define SIM_FIRED_PER_WAIT_MAX 64u /* timers in one batch */

struct sim_net;
struct sock;

struct handle {
    struct inode *inode; /* NULL = free */
    bool writable;
    bool holds_lock; /* of the inode */
};

/* A job between os_pool_submit and its loop. */
struct waiting_job {
    struct os_job *job;
    uint64_t end_ns;   /* driven: world time when it is over; else 0 */
    uint64_t sequence; /* of submission: orders jobs that end together */
    enum os_job_kind kind;
    bool has_run; /* what is left is a sleep of its own */
};

struct latency {
    uint32_t min_us;
    uint32_t max_us; /* at least the minimum */
};

struct os {
    struct sim_disk *disk;
    struct sim_random random; /* for the order of jobs and events */
    struct sim_random entropy;
    struct sim_random latency_random; /* for how long jobs take */
    uint64_t mono_ns;                 /* virtual time */
    uint64_t shown_ns;       /* the latest monotonic time told: jobs that sleep run ahead */
    uint64_t wall_offset_ms; /* wall = monotonic + this, modulo 2^64 */
    struct handle *handles;  /* `handle_count`, by os_file.handle */
    uint32_t handle_count;
    uint32_t job_count;       /* of `jobs` */
    uint32_t job_capacity;    /* likewise */
    struct waiting_job *jobs; /* by end, then in the order of submission */
    uint64_t job_sequence;    /* jobs submitted so far */
    bool in_job;              /* a job's `run` is under way */
    uint64_t job_slept_ns;    /* by os_sleep_ms in it */
    struct list loops;        /* struct os_loop, oldest first */
    struct sim_trace *trace;  /* NULL = off */

    bool driven;            /* the fields below count */
    bool forgotten;         /* by sim_os_forget */
    uint64_t world_ns;      /* as told last */
    uint64_t base_world_ns; /* when the rate of the clock was set last */
    uint64_t base_mono_ns;  /* what it showed then */
    int32_t drift_ppm;      /* -SIM_DRIFT_PPM_MAX..SIM_DRIFT_PPM_MAX */
    struct latency latency[OS_JOB_KINDS];
    uint64_t stall_until_ns; /* SYNC jobs begun before are late */
    uint64_t stall_extra_us; /* by so much */

    struct sim_net *net; /* NULL = not attached */
    uint32_t place;      /* in the net */
    struct sock **socks; /* `sock_count`, by os_sock.handle; NULL = free */
    uint32_t sock_count;
};

/* A timer whose event is in the batch the owner works on. */
struct fired {
    const struct os_timer *timer; /* only compared: its owner may have freed it */
    uint32_t index;               /* of its event in the batch */
};

struct os_loop {
    struct list link; /* in os.loops */
    struct os *os;
    uint64_t now_ns;               /* as of the last os_loop_wait */
    uint64_t wall_ms;              /* likewise */
    bool woken;                    /* os_loop_wake was called since its last event */
    struct list timers;            /* armed; by deadline, then in the order of arming */
    struct list finished;          /* jobs that ran, to be told */
    struct list ready;             /* struct sock with an event to be told, oldest first */
    uint64_t batch;                /* number of the current batch, 1.. */
    struct os_event *batch_events; /* the owner's array; NULL before the first batch */
    uint32_t fired_count;          /* of `fired` */
    struct fired fired[SIM_FIRED_PER_WAIT_MAX];
};

/* os_file.c */
void sim_os_close_all(struct os *os);

/* os_sim.c: the world time at which the monotonic clock shows `mono_ns` or more, if its
 * rate stays; not before the time told last. */
uint64_t sim_os_world_ns_of(const struct os *os, uint64_t mono_ns);

/* os_pool.c */
uint32_t sim_jobs_of(const struct os *os, const struct os_loop *loop);
/* Take one of the jobs of `loop`, chosen by the dice, and run it; NULL = it has none. */
struct os_job *sim_run_one_job(struct os *os, const struct os_loop *loop);
/* Run every job whose time is over and hand it to its loop. Requires  driven */
void sim_run_due_jobs(struct os *os);
/* World time at which the next job of `loop` is over. */
uint64_t sim_jobs_due_ns(const struct os *os, const struct os_loop *loop);

/* os_loop.c */
void sim_loop_finish(struct os_job *job);
/* Stop telling about a socket, and take back an event not yet acted on. */
void sim_loop_forget(struct sock *s);
/* The socket may be ready for more than before: tell its loop, if it has one. */
void sim_loop_edge(struct sock *s);

#endif
