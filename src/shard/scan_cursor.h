/* scan_cursor.h - numbers that stand for a place in a key range, for RESP's SCAN.
 *
 * RESP clients hand a number back to go on with a scan; a key does not fit in one, so
 * a node remembers the last SCAN_CURSORS_MAX places it gave out. An older number is
 * refused with an error, and the client starts again.
 *
 * Lifecycle  init -> (save | find)* -> deinit
 * Owner      all shards of a node: a client may go on over another connection (it locks)
 * Memory     at most SCAN_CURSORS_MAX keys
 */
#ifndef ATOLL_SHARD_SCAN_CURSOR_H
#define ATOLL_SHARD_SCAN_CURSOR_H

#include "base/buffer.h"
#include "os/thread.h"

#define SCAN_CURSORS_MAX 1024u

struct scan_cursor {
    uint64_t number; /* 0 = free */
    uint8_t *key;    /* mem_alloc */
    size_t key_len;
};

struct scan_cursors {
    struct os_mutex lock;
    uint64_t next; /* cursors given out so far, from a random start */
    struct scan_cursor places[SCAN_CURSORS_MAX];
};

void scan_cursors_init(struct scan_cursors *t, uint32_t start);
void scan_cursors_deinit(struct scan_cursors *t);
uint64_t scan_cursors_save(struct scan_cursors *t, struct bytes key);
/* Replace the content of `ret_key` by the key. False: the number is unknown or too old. */
bool scan_cursors_find(struct scan_cursors *t, uint64_t number, struct buffer *ret_key);

#endif
