/* pool.h - work that may block, done off the loop.
 *
 * A job is embedded in the object that needs it. `run` is called on a pool
 * thread and may only touch what the job owns, immutable objects, and objects
 * that lock themselves; `done` is called later on the loop it was submitted
 * from (through os_loop_wait's events), never from inside os_pool_submit.
 *
 * Lifecycle  pool: create -> submit* -> destroy (waits for all jobs to run)
 *            job: idle -> submitted -> running -> done called -> idle
 * Owner      pool: all threads; job: its submitter
 * Memory     the job belongs to the caller and must outlive `done`
 */
#ifndef ATOLL_OS_POOL_H
#define ATOLL_OS_POOL_H

#include "base/list.h"
#include "os/os.h"

struct os_loop;
struct os_job;

/* Each kind has its own threads, so that a long compaction never delays a sync. */
enum os_job_kind {
    OS_JOB_SYNC,       /* write + fdatasync: latency matters most */
    OS_JOB_READ,       /* reads that missed the cache */
    OS_JOB_BACKGROUND, /* flush and compaction: seconds long */
    OS_JOB_KINDS,
};

struct os_job {
    struct list link;                 /* pool and loop use it */
    struct os_loop *loop;             /* where `done` is called */
    void (*run)(struct os_job *job);  /* on a pool thread */
    void (*done)(struct os_job *job); /* on the loop */
};

struct os_pool;
struct os_pool *os_pool_create(struct os *os, const uint32_t threads[OS_JOB_KINDS]);
void os_pool_destroy(struct os_pool *pool);
void os_pool_submit(struct os_pool *pool, enum os_job_kind kind, struct os_job *job);

#endif
