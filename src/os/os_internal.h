/* os_internal.h - what the Linux implementation of os/ shares among its files.
 *
 * A socket is a descriptor, but closing it must also stop its loop from telling
 * about it. `struct watch`, one per descriptor, is where the two meet.
 *
 * Lifecycle  the table lives as long as the `struct os`
 * Owner      an entry belongs to the thread that owns the socket. The kernel
 *            hands a closed number to any thread; `loop` is therefore written
 *            last on the way in and first on the way out, with release order
 * Memory     OS_DESCRIPTORS_MAX entries, zeroed pages until they are used
 */
#ifndef ATOLL_OS_OS_INTERNAL_H
#define ATOLL_OS_OS_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os/os.h"

#include <stdatomic.h>

/* Far above SHARDS_MAX times the connections of a shard. */
#define OS_DESCRIPTORS_MAX (1u << 20)

struct os_loop;

struct watch {
    _Atomic(struct os_loop *) loop; /* who reports readiness; NULL = nobody */
    void *user;                     /* given back in its events */
    uint32_t tag;                   /* given back in its events */
    uint32_t generation;            /* +1 for every os_loop_watch of this number */
    uint64_t batch;                 /* the batch of `loop` that has its event; 0 = none yet */
    uint32_t batch_index;           /* where in that batch */
    _Atomic(bool) blocking;         /* made by os_sock_connect_blocking */
};

struct os {
    struct watch *watches; /* OS_DESCRIPTORS_MAX, by descriptor */
};

/* The entry of an open descriptor. Requires  0 <= handle < OS_DESCRIPTORS_MAX */
struct watch *os_watch_of(struct os *os, int32_t handle);

/* Forget the socket and take back its event, if the owner was not yet given it.
 * Called before the descriptor is closed. */
void os_loop_forget(struct os_loop *loop, struct watch *w);

/* Hand a job that has run to its loop. From any thread. */
struct os_job;
void os_loop_finish(struct os_loop *loop, struct os_job *job);

/* What an errno of a file or socket call means to the caller. */
struct status os_status_of_errno(int number);

#endif
