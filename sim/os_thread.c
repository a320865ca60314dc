/* Threads of the simulated world: there are none, and one needs no locks. */
#include "os/thread.h"

#include "base/assert.h"
#include "sim/os_sim_internal.h"

enum { UNLOCKED = 0, LOCKED = 1 };

STATUS os_thread_start(struct os *os, const char *name, int cpu, os_thread_main main, void *user,
                       struct os_thread **ret_thread) {
    ASSERT(os != NULL);
    ASSERT(main != NULL);
    (void)name, (void)cpu, (void)user, (void)ret_thread;
    return status_of(ST_IO);
}

void os_thread_join(struct os_thread *thread) {
    (void)thread;
    ASSERT(!"a simulated thread was never started");
}

/* Driven, only a job may sleep: nothing could pass the time for a loop. */
void os_sleep_ms(struct os *os, uint32_t ms) {
    ASSERT(os != NULL);
    if (!os->driven) {
        sim_os_advance_ms(os, ms);
        return;
    }
    ASSERT(os->in_job);
    os->job_slept_ns += ms * NS_PER_MS;
    os->shown_ns = os_mono_ns(os) + ms * NS_PER_MS;
}

/* The mutexes only notice what would hang or corrupt with real threads. */
void os_mutex_init(struct os_mutex *m) {
    ASSERT(m != NULL);
    m->space[0] = UNLOCKED;
}

void os_mutex_deinit(struct os_mutex *m) {
    ASSERT(m->space[0] == UNLOCKED);
}

void os_mutex_lock(struct os_mutex *m) {
    ASSERT(m->space[0] == UNLOCKED);
    m->space[0] = LOCKED;
}

void os_mutex_unlock(struct os_mutex *m) {
    ASSERT(m->space[0] == LOCKED);
    m->space[0] = UNLOCKED;
}

void os_on_stop_signal(struct os *os, void (*stop)(void *user), void *user) {
    ASSERT(os != NULL);
    ASSERT(stop != NULL);
    (void)user;
}
