#include "shard/mailbox.h"

#include <stddef.h>

#include "base/assert.h"

bool mailbox_put(struct mailbox *m, void *message) {
    ASSERT(message != NULL);
    const uint32_t tail = atomic_load_explicit(&m->tail, memory_order_relaxed);
    if (tail - m->head_seen == MAILBOX_MESSAGES_MAX) {
        m->head_seen = atomic_load_explicit(&m->head, memory_order_acquire);
        if (tail - m->head_seen == MAILBOX_MESSAGES_MAX) return false;
    }
    ASSERT(tail - m->head_seen < MAILBOX_MESSAGES_MAX);
    m->messages[tail & (MAILBOX_MESSAGES_MAX - 1)] = message;
    atomic_store_explicit(&m->tail, tail + 1, memory_order_release);
    return true;
}

void *mailbox_take(struct mailbox *m) {
    const uint32_t head = atomic_load_explicit(&m->head, memory_order_relaxed);
    if (head == m->tail_seen) {
        m->tail_seen = atomic_load_explicit(&m->tail, memory_order_acquire);
        if (head == m->tail_seen) return NULL;
    }
    void *message = m->messages[head & (MAILBOX_MESSAGES_MAX - 1)];
    ASSERT(message != NULL);
    atomic_store_explicit(&m->head, head + 1, memory_order_release);
    return message;
}
