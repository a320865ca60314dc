/* mailbox.h - a bounded ring of pointers from one shard to another.
 *
 * One producer thread, one consumer thread, no locks (Lamport 1977): each index
 * is written by one side only, with release, and read by the other with acquire.
 *
 * Lifecycle  zeroed memory is an empty mailbox
 * Owner      put: the sending shard; take: the receiving one
 * Failure    false from put: full, keep the message and try next turn
 */
#ifndef ATOLL_SHARD_MAILBOX_H
#define ATOLL_SHARD_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MAILBOX_MESSAGES_MAX 4096u

_Static_assert((MAILBOX_MESSAGES_MAX & (MAILBOX_MESSAGES_MAX - 1)) == 0, "indexes wrap by masking");

struct mailbox {
    _Alignas(64) _Atomic uint32_t head; /* next to take; written by the consumer */
    uint32_t tail_seen;                 /* consumer's copy of tail */
    _Alignas(64) _Atomic uint32_t tail; /* next to fill; written by the producer */
    uint32_t head_seen;                 /* producer's copy of head */
    _Alignas(64) void *messages[MAILBOX_MESSAGES_MAX];
};

bool mailbox_put(struct mailbox *m, void *message);
/* NULL = empty. */
void *mailbox_take(struct mailbox *m);

#endif
