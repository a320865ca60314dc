#include "os/os_internal.h"

#include "os/pool.h"

#include "base/assert.h"
#include "base/mem.h"
#include "os/thread.h"

#include <pthread.h>

#define POOL_THREADS_MAX 256u /* of one kind: each may hold a descriptor and a stack */

/* The waiting jobs of one kind and the threads that run them. */
struct queue {
    pthread_mutex_t lock;       /* guards the fields below but `threads` */
    pthread_cond_t submitted;   /* a job was added, or `stopping` was set */
    struct list jobs;           /* struct os_job, oldest first */
    bool stopping;              /* no more jobs come; end when `jobs` is empty */
    struct os_thread **threads; /* `thread_count` of them */
    uint32_t thread_count;
};

struct os_pool {
    struct queue queues[OS_JOB_KINDS];
};

static const char *const thread_names[OS_JOB_KINDS] = {
    [OS_JOB_SYNC] = "io-sync",
    [OS_JOB_READ] = "io-read",
    [OS_JOB_BACKGROUND] = "io-background",
};

/* The next job, waiting for it; NULL when the pool stops and all have run. */
static struct os_job *queue_take(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    while (list_is_empty(&q->jobs) && !q->stopping) pthread_cond_wait(&q->submitted, &q->lock);
    struct list *node = list_take_first(&q->jobs);
    ASSERT(node != NULL || q->stopping);
    pthread_mutex_unlock(&q->lock);
    return node == NULL ? NULL : LIST_ENTRY(node, struct os_job, link);
}

static void worker_main(void *user) {
    struct queue *q = user;
    ASSERT(q != NULL);
    for (struct os_job *job = queue_take(q); job != NULL; job = queue_take(q)) {
        struct os_loop *loop = job->loop;
        job->run(job);
        os_loop_finish(loop, job); /* the job may be gone from here on */
    }
}

static void queue_init(struct queue *q, struct os *os, enum os_job_kind kind, uint32_t threads) {
    ASSERT(threads <= POOL_THREADS_MAX);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->submitted, NULL);
    list_init(&q->jobs);
    q->threads = mem_alloc_zeroed(threads * sizeof *q->threads);
    for (uint32_t i = 0; i < threads; i++) {
        const struct status s =
            os_thread_start(os, thread_names[kind], -1, worker_main, q, &q->threads[i]);
        if (!status_ok(s)) os_die("cannot start the threads for disk work");
        q->thread_count++;
    }
    ASSERT(q->thread_count == threads);
}

static void queue_deinit(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_broadcast(&q->submitted);
    pthread_mutex_unlock(&q->lock);
    for (uint32_t i = 0; i < q->thread_count; i++) os_thread_join(q->threads[i]);

    ASSERT(list_is_empty(&q->jobs));
    mem_free(q->threads);
    pthread_cond_destroy(&q->submitted);
    pthread_mutex_destroy(&q->lock);
}

struct os_pool *os_pool_create(struct os *os, const uint32_t threads[OS_JOB_KINDS]) {
    ASSERT(os != NULL);
    ASSERT(threads != NULL);
    struct os_pool *pool = mem_alloc_zeroed(sizeof *pool);
    for (uint32_t kind = 0; kind < OS_JOB_KINDS; kind++)
        queue_init(&pool->queues[kind], os, (enum os_job_kind)kind, threads[kind]);
    return pool;
}

void os_pool_destroy(struct os_pool *pool) {
    if (pool == NULL) return;
    for (uint32_t kind = 0; kind < OS_JOB_KINDS; kind++) queue_deinit(&pool->queues[kind]);
    mem_free(pool);
}

void os_pool_submit(struct os_pool *pool, enum os_job_kind kind, struct os_job *job) {
    ASSERT(kind < OS_JOB_KINDS);
    ASSERT(job->loop != NULL);
    ASSERT(job->run != NULL);
    ASSERT(job->done != NULL);
    struct queue *q = &pool->queues[kind];
    ASSERT(q->thread_count > 0); /* or it would wait for ever */

    pthread_mutex_lock(&q->lock);
    ASSERT(!q->stopping);
    list_append(&q->jobs, &job->link);
    pthread_mutex_unlock(&q->lock);
    /* After the unlock, or the thread it wakes would sleep again on the lock. */
    pthread_cond_signal(&q->submitted);
}
