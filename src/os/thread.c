#include "os/os_internal.h"

#include "os/thread.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define THREAD_NAME_BYTES 16u /* the kernel's limit, with the NUL */
#define CPUS_MAX 4096         /* processors a mask can name */
#define EXIT_SIGNALLED 128    /* plus the number, as shells report it */
#define NS_PER_MS 1000000L

static_assert(sizeof(pthread_mutex_t) <= sizeof(((struct os_mutex *)0)->space),
              "a mutex fits its place");
static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct os_mutex), "and is aligned there");

struct os_thread {
    pthread_t id;
    os_thread_main main;          /* what it runs */
    void *user;                   /* given to `main` */
    int cpu;                      /* where it is pinned, -1 = free */
    char name[THREAD_NAME_BYTES]; /* NUL-terminated */
};

static void pin_here(int cpu) {
    ASSERT(cpu >= 0);
    if (cpu >= CPUS_MAX) return;
    cpu_set_t *mask = CPU_ALLOC(CPUS_MAX);
    ASSERT(mask != NULL);
    const size_t mask_bytes = CPU_ALLOC_SIZE(CPUS_MAX);
    CPU_ZERO_S(mask_bytes, mask);
    CPU_SET_S((size_t)cpu, mask_bytes, mask);
    /* A processor we may not use is a worse place, not a failure. */
    (void)sched_setaffinity(0, mask_bytes, mask);
    CPU_FREE(mask);
}

static void *thread_main(void *arg) {
    struct os_thread *thread = arg;
    ASSERT(thread->main != NULL);
    (void)pthread_setname_np(pthread_self(), thread->name);
    if (thread->cpu >= 0) pin_here(thread->cpu);
    thread->main(thread->user);
    return NULL;
}

/* The signals that ask the program to stop. */
static sigset_t stop_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

STATUS os_thread_start(struct os *os, const char *name, int cpu, os_thread_main main, void *user,
                       struct os_thread **ret_thread) {
    ASSERT(os != NULL);
    ASSERT(main != NULL);
    ASSERT(ret_thread != NULL);
    ASSERT(strlen(name) < THREAD_NAME_BYTES);

    struct os_thread *thread = mem_alloc_zeroed(sizeof *thread);
    thread->main = main;
    thread->user = user;
    thread->cpu = cpu;
    memcpy(thread->name, name, strlen(name));

    /* The new thread inherits the mask: a stop signal never interrupts it, but
     * goes to the thread that waits for it or to the program's first one. */
    const sigset_t blocked = stop_signals();
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const int failed = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        mem_free(thread);
        return status_of(failed == EAGAIN ? ST_BUSY : ST_IO);
    }
    *ret_thread = thread;
    return status_of(ST_OK);
}

void os_thread_join(struct os_thread *thread) {
    ASSERT(thread != NULL);
    const int failed = pthread_join(thread->id, NULL);
    ASSERT(failed == 0);
    mem_free(thread);
}

void os_sleep_ms(struct os *os, uint32_t ms) {
    ASSERT(os != NULL);
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NS_PER_MS };
    int failed;
    do {
        failed = clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left);
    } while (failed == EINTR);
    ASSERT(failed == 0);
}

static pthread_mutex_t *native(struct os_mutex *m) {
    ASSERT(m != NULL);
    return (pthread_mutex_t *)(void *)m->space;
}

void os_mutex_init(struct os_mutex *m) {
    const int failed = pthread_mutex_init(native(m), NULL);
    ASSERT(failed == 0);
}

void os_mutex_deinit(struct os_mutex *m) {
    const int failed = pthread_mutex_destroy(native(m));
    ASSERT(failed == 0);
}

void os_mutex_lock(struct os_mutex *m) {
    const int failed = pthread_mutex_lock(native(m));
    ASSERT(failed == 0);
}

void os_mutex_unlock(struct os_mutex *m) {
    const int failed = pthread_mutex_unlock(native(m));
    ASSERT(failed == 0);
}

struct stopper {
    void (*stop)(void *user);
    void *user;
};

static void *stopper_main(void *arg) {
    const struct stopper stopper = *(struct stopper *)arg;
    mem_free(arg);
    const sigset_t set = stop_signals();
    int number = 0;
    int failed = sigwait(&set, &number);
    ASSERT(failed == 0);
    stopper.stop(stopper.user);
    failed = sigwait(&set, &number);
    ASSERT(failed == 0);
    _exit(EXIT_SIGNALLED + number);
}

void os_on_stop_signal(struct os *os, void (*stop)(void *user), void *user) {
    ASSERT(os != NULL);
    ASSERT(stop != NULL);
    signal(SIGPIPE, SIG_IGN);
    const sigset_t set = stop_signals();
    int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
    ASSERT(failed == 0);

    struct stopper *stopper = mem_alloc(sizeof *stopper);
    *stopper = (struct stopper){ .stop = stop, .user = user };
    pthread_t id;
    failed = pthread_create(&id, NULL, stopper_main, stopper);
    ASSERT(failed == 0);
    pthread_setname_np(id, "signals");
    pthread_detach(id);
}
