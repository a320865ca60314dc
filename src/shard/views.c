#include "shard/views.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/mem.h"
#include "shard/shard.h"

/* A published view. */
struct held_view {
    struct list link;           /* in the node's `all` */
    struct membership *members; /* owned */
    uint32_t users;             /* who hold it; under the lock */
};

static struct held_view *entry_of(struct list *node) {
    return LIST_ENTRY(node, struct held_view, link);
}

static void append(struct views *v, struct membership *m) {
    struct held_view *h = mem_alloc_zeroed(sizeof *h);
    ASSERT(m != NULL);
    h->members = m;
    list_append(&v->all, &h->link);
    atomic_fetch_add_explicit(&v->serial, 1, memory_order_release);
}

/* Places of an older view mean the same in the next, so nobody may use one that is older. */
static void destroy_unused(struct views *v) {
    while (v->all.next != v->all.prev && entry_of(v->all.next)->users == 0) {
        struct held_view *h = entry_of(list_take_first(&v->all));
        membership_destroy(h->members);
        mem_free(h);
    }
}

void views_init(struct views *v, struct membership *first) {
    os_mutex_init(&v->lock);
    list_init(&v->all);
    atomic_store(&v->serial, 0);
    append(v, first);
}

void views_deinit(struct views *v) {
    while (!list_is_empty(&v->all)) {
        struct held_view *h = entry_of(list_take_first(&v->all));
        ASSERT(h->users == 0);
        membership_destroy(h->members);
        mem_free(h);
    }
    os_mutex_deinit(&v->lock);
}

const struct membership *views_hold(struct views *v, uint64_t *ret_serial) {
    os_mutex_lock(&v->lock);
    ASSERT(!list_is_empty(&v->all));
    struct held_view *h = entry_of(v->all.prev);
    h->users++;
    *ret_serial = atomic_load_explicit(&v->serial, memory_order_relaxed);
    os_mutex_unlock(&v->lock);
    return h->members;
}

void views_drop(struct views *v, const struct membership *m) {
    os_mutex_lock(&v->lock);
    struct list *n = v->all.next;
    while (n != &v->all && entry_of(n)->members != m) n = n->next;
    ASSERT(n != &v->all);
    ASSERT(entry_of(n)->users > 0);
    entry_of(n)->users--;
    destroy_unused(v);
    os_mutex_unlock(&v->lock);
}

void node_publish_view(struct node *n, struct membership *m) {
    struct views *v = &n->views;
    os_mutex_lock(&v->lock);
    const struct membership *newest = entry_of(v->all.prev)->members;
    ASSERT(m->epoch >= newest->epoch);
    ASSERT(m->revision >= newest->revision);
    append(v, m);
    destroy_unused(v);
    os_mutex_unlock(&v->lock);
    for (uint32_t i = 0; i < n->shards_count; i++) {
        if (n->shards[i] != NULL) os_loop_wake(n->shards[i]->loop);
    }
}

/* The least of a figure over all shards; `offset` is that of an _Atomic uint64_t in struct shard. */
static uint64_t least_of(const struct node *n, size_t offset) {
    uint64_t least = UINT64_MAX;
    ASSERT(n->shards_count > 0);
    for (uint32_t i = 0; i < n->shards_count; i++) {
        const void *figure = (const uint8_t *)n->shards[i] + offset;
        const uint64_t value =
            atomic_load_explicit((const _Atomic uint64_t *)figure, memory_order_acquire);
        if (value < least) least = value;
    }
    return least;
}

uint64_t node_adopted_epoch(const struct node *n) {
    return least_of(n, offsetof(struct shard, adopted_epoch));
}

uint64_t node_caught_up_epoch(const struct node *n) {
    return least_of(n, offsetof(struct shard, caught_up_epoch));
}
