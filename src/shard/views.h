/* views.h - the views of a node: the newest one, and those that some shard still works with.
 *
 * A shard never looks at what other threads change: it works with the view that it adopted, and
 * takes the newest between two turns (shard/adopt.h). A view is destroyed when no shard uses it,
 * or one older than it, any more.
 *
 * Lifecycle  views_init -> (publish | hold | drop)* -> views_deinit, when nobody holds one
 * Owner      the node; any thread (a lock that is only taken when there is news)
 * Memory     a view of cluster/membership.h for each that is in use
 */
#ifndef ATOLL_SHARD_VIEWS_H
#define ATOLL_SHARD_VIEWS_H

#include "base/list.h"
#include "cluster/membership.h"
#include "os/thread.h"

#include <stdatomic.h>

struct node;

struct views {
    struct os_mutex lock;    /* of `all` */
    struct list all;         /* struct held_view, oldest first; the last is the newest */
    _Atomic uint64_t serial; /* of the newest: how many were published */
};

/* `first` is taken over. */
void views_init(struct views *v, struct membership *first);
void views_deinit(struct views *v);
/* Whether there is a newer one than the one with this serial. */
static inline bool views_have_newer(const struct views *v, uint64_t serial) {
    return atomic_load_explicit(&v->serial, memory_order_acquire) != serial;
}
/* The newest; it stays until it is dropped. */
const struct membership *views_hold(struct views *v, uint64_t *ret_serial);
void views_drop(struct views *v, const struct membership *m);

/* Let all shards of the node adopt this view, which is taken over. By one thread: that of shard 0,
 * or before the shards run. Requires  not older than the one before */
void node_publish_view(struct node *n, struct membership *m);
/* What all shards of the node have adopted at least. */
uint64_t node_adopted_epoch(const struct node *n);
/* The view with whose joint slots all shards of the node have caught up, all joint slots of it and
 * of earlier ones; 0 = not all yet. Without joint slots it is what they have adopted. */
uint64_t node_caught_up_epoch(const struct node *n);

#endif
