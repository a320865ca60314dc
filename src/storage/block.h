/* block.h - sorted records packed into a few KiB: build, search, walk. Pure.
 *
 * Keys lie apart from bodies, so that a search touches a few adjacent cache lines
 * at the end of the block and one body. Keys share prefixes with the key before;
 * every BLOCK_RESTART_INTERVAL entries a restart holds its key whole, and a search
 * is binary over restarts, then linear without ever rebuilding a key.
 *
 * Lifecycle  builder: init -> (add* -> finish -> reset)* -> deinit; a block is a view
 * Owner      builder: one thread; a view may be read by any number
 * Memory     builder: buffers that keep the size of the largest block
 * Failure    ST_CORRUPT when the bytes are not a block; nothing outside is touched
 *
 * A block before compression; integers little-endian:
 *
 *   offset  size  field
 *        0     b  bodies (record.h), one after another in key order
 *        b     k  entries: varint shared with the key before (0 at a restart, else
 *                 as long as can be), varint suffix length, varint body length, suffix
 *      b+k   8*n  restarts: u32 offset of an entry from b, u32 offset of its body
 *   end-12     4  b
 *    end-8     4  number of entries, 1..
 *    end-4     4  n, 1..
 */
#ifndef ATOLL_STORAGE_BLOCK_H
#define ATOLL_STORAGE_BLOCK_H

#include "base/buffer.h"
#include "base/limits.h"
#include "base/status.h"

#define BLOCK_RESTART_INTERVAL 16u
#define BLOCK_RESTART_BYTES 8u
#define BLOCK_TAIL_BYTES 12u
#define BLOCK_ENTRY_HEAD_BYTES_MAX 15u /* three varints of 32-bit numbers */

struct block_builder {
    struct buffer bodies;   /* becomes the whole block in finish */
    struct buffer keys;     /* entries so far */
    struct buffer restarts; /* 8 bytes each */
    uint8_t *key_last;      /* IKEY_BYTES_MAX; the key added last */
    uint32_t key_last_len;  /* bytes; 0 before the first key */
    uint32_t entry_count;   /* entries since reset */
};

void block_builder_init(struct block_builder *b);
void block_builder_deinit(struct block_builder *b);
void block_builder_reset(struct block_builder *b);
/* Add an entry; its body is `head` followed by `value`.
 * Requires  key above the one added before, 1..IKEY_BYTES_MAX bytes */
void block_builder_add(struct block_builder *b, struct bytes key, struct bytes head,
                       struct bytes value);
/* Bytes of the block if it were finished now; 0 when empty. */
size_t block_builder_bytes(const struct block_builder *b);
/* The whole block; holds until reset. Requires at least one entry. */
struct bytes block_builder_finish(struct block_builder *b);
bool block_builder_check(const struct block_builder *b);

/* The parts of a block; views into the bytes it was opened on. */
struct block {
    const uint8_t *bodies;   /* bodies_len bytes */
    const uint8_t *keys;     /* keys_len bytes of entries */
    const uint8_t *restarts; /* restart_count times BLOCK_RESTART_BYTES */
    uint32_t bodies_len;     /* bytes */
    uint32_t keys_len;       /* bytes */
    uint32_t restart_count;  /* 1.. */
    uint32_t entry_count;    /* 1.. as the block says; only verify counts */
};

/* One entry. Its key is the first `shared` bytes of the key before, then `suffix`. */
struct block_entry {
    struct bytes suffix; /* view into the block */
    struct bytes body;   /* view into the block */
    uint32_t shared;     /* bytes in common with the key before */
    uint32_t key_next;   /* offset of the next entry in `keys` */
    uint32_t body_next;  /* offset of its body in `bodies` */
};

/* Constant time: entries are checked as they are read.
 * Errors  ST_CORRUPT */
STATUS block_open(struct bytes raw, struct block *ret_block);
/* Errors  ST_CORRUPT */
STATUS block_first(const struct block *b, struct block_entry *ret_entry);
/* Move to the entry after `e`.
 * Errors  ST_NOT_FOUND  `e` was the last; it is unchanged
 *         ST_CORRUPT */
STATUS block_next(const struct block *b, struct block_entry *e);
/* The first entry with a key >= `key`, and whether it is equal. The entry's first
 * `shared` bytes are then those of `key`, so its key is known without walking.
 * Errors  ST_NOT_FOUND  every key is below
 *         ST_CORRUPT */
STATUS block_find(const struct block *b, struct bytes key, struct block_entry *ret_entry,
                  bool *ret_equal);

/* How many leading bytes two runs have in common. */
size_t bytes_shared(struct bytes a, struct bytes b);

#endif
