/* arena.h - bump allocation that is freed all at once.
 *
 * Lifecycle  init -> alloc* -> (reset -> alloc*)* -> deinit
 * Owner      one thread
 * Memory     chunks of `chunk_bytes` from mem_alloc; larger requests get their own
 * Failure    NULL never: running out of memory ends the process (see mem.h)
 */
#ifndef ATOLL_BASE_ARENA_H
#define ATOLL_BASE_ARENA_H

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    uint8_t *next;              /* first free byte of the newest chunk */
    uint8_t *end;               /* one past its last byte */
    size_t chunk_bytes;         /* size of a usual chunk, bytes */
    size_t reserved_bytes;      /* sum over all chunks: what it costs */
};

void arena_init(struct arena *a, size_t chunk_bytes);
void arena_deinit(struct arena *a);
/* Give all memory back but one chunk. */
void arena_reset(struct arena *a);
/* 8-byte aligned, not zeroed. */
void *arena_alloc(struct arena *a, size_t bytes);
/* No alignment: for keys and values. */
uint8_t *arena_alloc_unaligned(struct arena *a, size_t bytes);
struct bytes arena_copy(struct arena *a, struct bytes in);

#endif
