/* The pool of the simulated world: jobs wait here until os_loop_wait runs them. */
#include "os/pool.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/os_sim_internal.h"

#define THREADS_MAX 16u /* of one kind; more would change nothing */
#define JOBS_MIN 16u

struct os_pool {
    struct os *os;
    uint32_t threads[OS_JOB_KINDS]; /* a kind without any takes no jobs */
    /* Driven: world time at which each thread has done what it was given. */
    uint64_t free_ns[OS_JOB_KINDS][THREADS_MAX];
};

struct os_pool *os_pool_create(struct os *os, const uint32_t threads[OS_JOB_KINDS]) {
    ASSERT(os != NULL);
    ASSERT(threads != NULL);
    struct os_pool *pool = mem_alloc_zeroed(sizeof *pool);
    pool->os = os;
    for (uint32_t kind = 0; kind < OS_JOB_KINDS; kind++)
        pool->threads[kind] = threads[kind] < THREADS_MAX ? threads[kind] : THREADS_MAX;
    return pool;
}

uint32_t sim_jobs_of(const struct os *os, const struct os_loop *loop) {
    ASSERT(os->job_count <= os->job_capacity);
    ASSERT(loop != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < os->job_count; i++) count += os->jobs[i].job->loop == loop;
    return count;
}

static void add_job(struct os *os, struct waiting_job waiting) {
    if (os->job_count == os->job_capacity) {
        os->job_capacity = os->job_capacity == 0 ? JOBS_MIN : os->job_capacity * 2;
        os->jobs = mem_realloc(os->jobs, os->job_capacity * sizeof *os->jobs);
    }
    uint32_t place = os->job_count;
    while (place > 0 && os->jobs[place - 1].end_ns > waiting.end_ns) place--;
    memmove(os->jobs + place + 1, os->jobs + place, (os->job_count - place) * sizeof *os->jobs);
    os->jobs[place] = waiting;
    os->job_count++;
    ASSERT(os->job_count <= os->job_capacity);
    ASSERT(place == 0 || os->jobs[place - 1].end_ns <= waiting.end_ns);
}

static struct waiting_job take_job(struct os *os, uint32_t place) {
    ASSERT(place < os->job_count);
    const struct waiting_job taken = os->jobs[place];
    os->job_count--;
    memmove(os->jobs + place, os->jobs + place + 1, (os->job_count - place) * sizeof *os->jobs);
    return taken;
}

/* Returns how long it slept. */
static uint64_t run_job(struct os *os, const struct waiting_job *waiting) {
    ASSERT(!os->in_job);
    ASSERT(!waiting->has_run);
    const uint64_t note[] = { os->world_ns, waiting->kind, waiting->sequence };
    sim_trace_add(os->trace, note, sizeof note);
    os->in_job = true;
    os->job_slept_ns = 0;
    waiting->job->run(waiting->job);
    os->in_job = false;
    return os->job_slept_ns;
}

struct os_job *sim_run_one_job(struct os *os, const struct os_loop *loop) {
    const uint32_t count = sim_jobs_of(os, loop);
    if (count == 0) return NULL;
    uint64_t skip = sim_random_below(&os->random, count);
    uint32_t place = 0;
    for (;; place++) {
        ASSERT(place < os->job_count);
        if (os->jobs[place].job->loop == loop && skip-- == 0) break;
    }
    const struct waiting_job taken = take_job(os, place);
    (void)run_job(os, &taken);
    return taken.job;
}

void sim_run_due_jobs(struct os *os) {
    ASSERT(os->driven);
    ASSERT(!os->in_job);
    while (os->job_count > 0 && os->jobs[0].end_ns <= os->world_ns) {
        struct waiting_job taken = take_job(os, 0);
        const uint64_t slept_ns = taken.has_run ? 0 : run_job(os, &taken);
        if (slept_ns == 0) {
            sim_loop_finish(taken.job);
            continue;
        }
        taken.has_run = true;
        taken.end_ns += slept_ns;
        add_job(os, taken);
    }
}

uint64_t sim_jobs_due_ns(const struct os *os, const struct os_loop *loop) {
    ASSERT(os->driven);
    ASSERT(loop->os == os);
    for (uint32_t i = 0; i < os->job_count; i++)
        if (os->jobs[i].job->loop == loop) return os->jobs[i].end_ns;
    return SIM_NEVER_NS;
}

/* Those of the node's other pools run too: a node that destroys one is at its end. */
void os_pool_destroy(struct os_pool *pool) {
    if (pool == NULL) return;
    struct os *os = pool->os;
    ASSERT(os != NULL);
    while (os->job_count > 0) {
        const bool in_order = os->driven;
        const uint64_t place = in_order ? 0 : sim_random_below(&os->random, os->job_count);
        const struct waiting_job taken = take_job(os, (uint32_t)place);
        if (!taken.has_run) (void)run_job(os, &taken);
        sim_loop_finish(taken.job);
    }
    ASSERT(os->job_count == 0);
    mem_free(pool);
}

/* When a job of this kind submitted now is over: it waits for a thread, then works. */
static uint64_t end_of(struct os_pool *pool, enum os_job_kind kind) {
    struct os *os = pool->os;
    ASSERT(os->driven);
    uint32_t thread = 0;
    for (uint32_t i = 1; i < pool->threads[kind]; i++)
        if (pool->free_ns[kind][i] < pool->free_ns[kind][thread]) thread = i;
    uint64_t *free_ns = &pool->free_ns[kind][thread];
    const uint64_t start_ns = *free_ns > os->world_ns ? *free_ns : os->world_ns;

    const struct latency *latency = &os->latency[kind];
    ASSERT(latency->min_us <= latency->max_us);
    const uint64_t spread_us = (uint64_t)latency->max_us - latency->min_us + 1;
    uint64_t us = latency->min_us + sim_random_below(&os->latency_random, spread_us);
    if (kind == OS_JOB_SYNC && start_ns < os->stall_until_ns) us += os->stall_extra_us;
    *free_ns = start_ns + us * NS_PER_US;
    return *free_ns;
}

void os_pool_submit(struct os_pool *pool, enum os_job_kind kind, struct os_job *job) {
    ASSERT(kind < OS_JOB_KINDS);
    ASSERT(pool->threads[kind] > 0); /* or it would wait for ever */
    ASSERT(job->loop != NULL);
    ASSERT(job->run != NULL);
    ASSERT(job->done != NULL);
    struct os *os = pool->os;
    const uint64_t end_ns = os->driven ? end_of(pool, kind) : 0;
    add_job(os, (struct waiting_job){
                    .job = job, .end_ns = end_ns, .sequence = os->job_sequence++, .kind = kind });
}
