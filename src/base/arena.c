#include "base/arena.h"

#include "base/assert.h"
#include "base/mem.h"

#define ARENA_ALIGN 8u

struct arena_chunk {
    struct arena_chunk *older; /* NULL in the oldest */
    size_t bytes;              /* size of the allocation, this header included */
};

#define CHUNK_HEADER_BYTES sizeof(struct arena_chunk)

static_assert(CHUNK_HEADER_BYTES % ARENA_ALIGN == 0, "the first byte of a chunk is aligned");

/* A request above this part of a usual chunk gets a chunk of its own, so that
 * opening a chunk never wastes more than a quarter of the one before. */
#define ARENA_OWN_CHUNK_DIVISOR 4u

static bool arena_check(const struct arena *a) {
    if (a->chunk_bytes <= CHUNK_HEADER_BYTES) return false;
    if (a->next > a->end) return false;
    if ((a->chunks == NULL) != (a->reserved_bytes == 0)) return false;
    if (a->chunks == NULL && a->next != NULL) return false;
    return true;
}

static struct arena_chunk *chunk_create(struct arena *a, size_t bytes) {
    ASSERT(bytes > CHUNK_HEADER_BYTES);
    struct arena_chunk *chunk = mem_alloc(bytes);
    *chunk = (struct arena_chunk){ .bytes = bytes };
    a->reserved_bytes += bytes;
    ASSERT(a->reserved_bytes >= bytes);
    return chunk;
}

static uint8_t *chunk_start(struct arena_chunk *chunk) {
    return (uint8_t *)chunk + CHUNK_HEADER_BYTES;
}

static void open_chunk(struct arena *a) {
    struct arena_chunk *chunk = chunk_create(a, a->chunk_bytes);
    chunk->older = a->chunks;
    a->chunks = chunk;
    a->next = chunk_start(chunk);
    a->end = (uint8_t *)chunk + chunk->bytes;
}

/* A chunk for one large request. It goes behind the newest, which stays open. */
static uint8_t *alloc_own_chunk(struct arena *a, size_t bytes) {
    ASSERT(bytes < SIZE_MAX - CHUNK_HEADER_BYTES);
    if (a->chunks == NULL) open_chunk(a);
    struct arena_chunk *chunk = chunk_create(a, CHUNK_HEADER_BYTES + bytes);
    chunk->older = a->chunks->older;
    a->chunks->older = chunk;
    return chunk_start(chunk);
}

/* `bytes` at the next address that `align` divides, from a new chunk if need be. */
static uint8_t *alloc(struct arena *a, size_t bytes, size_t align) {
    ASSERT(arena_check(a));
    const size_t pad = (size_t)(-(uintptr_t)a->next & (align - 1));
    const size_t room = (size_t)(a->end - a->next);
    uint8_t *p = NULL;
    if (a->chunks != NULL && pad <= room && bytes <= room - pad) {
        p = a->next + pad;
        a->next = p + bytes;
    } else if (bytes > (a->chunk_bytes - CHUNK_HEADER_BYTES) / ARENA_OWN_CHUNK_DIVISOR) {
        p = alloc_own_chunk(a, bytes);
    } else {
        open_chunk(a);
        p = a->next;
        a->next += bytes;
    }
    ASSERT(arena_check(a));
    ASSERT((uintptr_t)p % align == 0);
    return p;
}

void arena_init(struct arena *a, size_t chunk_bytes) {
    ASSERT(a != NULL);
    ASSERT(chunk_bytes > CHUNK_HEADER_BYTES);
    *a = (struct arena){ .chunk_bytes = chunk_bytes };
    ASSERT(arena_check(a));
}

/* Free `chunk` and every older one but `keep`. */
static void free_chunks(struct arena *a, struct arena_chunk *chunk,
                        const struct arena_chunk *keep) {
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;
        if (chunk != keep) {
            ASSERT(a->reserved_bytes >= chunk->bytes);
            a->reserved_bytes -= chunk->bytes;
            mem_free(chunk);
        }
        chunk = older;
    }
}

void arena_deinit(struct arena *a) {
    ASSERT(arena_check(a));
    free_chunks(a, a->chunks, NULL);
    ASSERT(a->reserved_bytes == 0);
    arena_init(a, a->chunk_bytes);
}

void arena_reset(struct arena *a) {
    ASSERT(arena_check(a));
    struct arena_chunk *keep = a->chunks;
    if (keep == NULL) return;

    /* The newest is always a usual chunk; only chunks behind it may be large. */
    ASSERT(keep->bytes == a->chunk_bytes);
    free_chunks(a, a->chunks, keep);
    keep->older = NULL;
    a->next = chunk_start(keep);
    ASSERT(a->reserved_bytes == a->chunk_bytes);
    ASSERT(arena_check(a));
}

void *arena_alloc(struct arena *a, size_t bytes) {
    return alloc(a, bytes, ARENA_ALIGN);
}

uint8_t *arena_alloc_unaligned(struct arena *a, size_t bytes) {
    return alloc(a, bytes, 1);
}

struct bytes arena_copy(struct arena *a, struct bytes in) {
    if (in.len == 0) return BYTES_NONE;
    uint8_t *copy = arena_alloc_unaligned(a, in.len);
    memcpy(copy, in.ptr, in.len);
    return bytes_of(copy, in.len);
}
