/* thread.h - threads, locks and signals.
 *
 * Only shards, the pool, the block cache and the command line's bench use these.
 */
#ifndef ATOLL_OS_THREAD_H
#define ATOLL_OS_THREAD_H

#include "os/os.h"

struct os_thread;
typedef void (*os_thread_main)(void *user);
/* `name` (at most 15 bytes) shows in ps and perf. `cpu` pins it there; -1 = free. */
STATUS os_thread_start(struct os *os, const char *name, int cpu, os_thread_main main, void *user,
                       struct os_thread **ret_thread);
void os_thread_join(struct os_thread *thread);
void os_sleep_ms(struct os *os, uint32_t ms);

struct os_mutex {
    _Alignas(8) uint8_t space[40]; /* holds a pthread_mutex_t */
};
void os_mutex_init(struct os_mutex *m);
void os_mutex_deinit(struct os_mutex *m);
void os_mutex_lock(struct os_mutex *m);
void os_mutex_unlock(struct os_mutex *m);

/* SIGINT and SIGTERM call `stop` once (from a thread of its own, so it may call
 * os_loop_wake); a second one ends the process. SIGPIPE is ignored from now on. */
void os_on_stop_signal(struct os *os, void (*stop)(void *user), void *user);

#endif
