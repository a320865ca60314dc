/* bench_worker.h - one thread of a benchmark: its connections, what it sent and saw.
 *
 * Closed loop (rate 0): every connection sends `pipeline` commands, waits for all their
 * replies, and sends the next. Open loop: commands fall due at fixed times whether
 * or not earlier ones were answered, and latency counts from when a command was due, so
 * that a stalled node cannot hide its stall (coordinated omission, Tene).
 *
 * Lifecycle  init -> run (on its thread) -> read `stats` after the join -> deinit
 * Owner      its thread; `done` may be read and `stop` set by any
 * Memory     per connection a send buffer and one record per command under way
 * Failure    a lost connection counts its commands as errors and is made again; a node that
 *            answers nothing for BENCH_STALL_MS ends the run with `stalled`
 */
#ifndef ATOLL_CLI_BENCH_WORKER_H
#define ATOLL_CLI_BENCH_WORKER_H

#include "base/histogram.h"
#include "cli/workload.h"
#include "os/loop.h"

#define BENCH_KINDS_MAX 16u /* kinds of errors told apart; the last is "other" */
#define BENCH_KIND_BYTES 24u
#define BENCH_STALL_MS UINT64_C(10000)
#define BENCH_PIPELINE_MAX 10000u

struct bench_options {
    struct workload_options workload; /* its seed is that of the first worker */
    const char *server;               /* host:port */
    uint32_t clients;                 /* of all workers */
    uint32_t threads;                 /* workers, at most `clients` */
    uint32_t pipeline;                /* commands a connection may have under way */
    uint64_t requests;                /* of all workers; 0 = until run_ns is over */
    uint64_t warmup_ns;               /* before anything counts */
    uint64_t run_ns;                  /* counted time, if requests is 0 */
    double rate;                      /* commands a second of all workers; 0 = closed loop */
    bool load;                        /* instead: set every key of the set once */
};

struct bench_kind {
    char name[BENCH_KIND_BYTES]; /* "BUSY", "503", "closed" */
    uint64_t count;
};

struct bench_stats {
    struct histogram latency_ns[WORKLOAD_OPS]; /* of answered commands, errors left out */
    uint64_t misses;                           /* reads that found no value */
    uint64_t errors;                           /* sum of `kinds` */
    struct bench_kind kinds[BENCH_KINDS_MAX];
    uint64_t began_ns, ended_ns; /* monotonic; the counted time */
    uint64_t late_max_ns;        /* open loop: longest wait for a free connection */
};

struct bench_connection;

struct bench_worker {
    const struct bench_options *options;
    struct os *os;
    struct os_loop *loop;
    struct workload *workload;
    struct bench_connection *connections; /* connections_count */
    uint32_t connections_count;
    uint32_t turn_next;  /* open loop: connection that is asked first */
    uint32_t index;      /* of the worker */
    uint8_t *input;      /* BENCH_INPUT_BYTES, shared by the connections */
    uint64_t quota;      /* commands to send; UINT64_MAX = no end */
    uint64_t sent;       /* commands sent, quota at most */
    uint64_t settled;    /* answered or lost, sent at most */
    uint64_t load_next;  /* next key number to load */
    uint64_t start_ns;   /* monotonic */
    uint64_t settled_ns; /* when `settled` last moved */
    bool warm;           /* the counted time has begun */
    bool stalled;        /* gave up */
    bool ended;          /* no more commands are sent */
    struct bench_stats stats;
    _Atomic uint64_t done; /* `settled` as others may see it */
    _Atomic bool stop;
};

void bench_worker_init(struct bench_worker *w, struct os *os, const struct bench_options *options,
                       uint32_t index);
void bench_worker_deinit(struct bench_worker *w);
/* An os_thread_main. */
void bench_worker_run(void *worker);

void bench_stats_merge(struct bench_stats *into, const struct bench_stats *from);

#endif
