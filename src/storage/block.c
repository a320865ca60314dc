#include "storage/block.h"

#include "base/assert.h"
#include "base/mem.h"

/* A block is one record or at most 64 KiB; both stay far below 32 bits. */
#define BLOCK_BYTES_MAX (256u * 1024 * 1024)

static_assert(VALUE_BYTES_MAX + 2 * IKEY_BYTES_MAX < BLOCK_BYTES_MAX,
              "one record always fits a block");

size_t bytes_shared(struct bytes a, struct bytes b) {
    const size_t len_max = a.len < b.len ? a.len : b.len;
    size_t len = 0;
    for (; len + 8 <= len_max; len += 8) {
        const uint64_t different = get_u64_le(a.ptr + len) ^ get_u64_le(b.ptr + len);
        if (different != 0) return len + (size_t)__builtin_ctzll(different) / 8;
    }
    while (len < len_max && a.ptr[len] == b.ptr[len]) len++;
    return len;
}

/* ---- building ---- */

void block_builder_init(struct block_builder *b) {
    *b = (struct block_builder){ 0 };
    buffer_init(&b->bodies, BLOCK_BYTES_MAX);
    buffer_init(&b->keys, BLOCK_BYTES_MAX);
    buffer_init(&b->restarts, BLOCK_BYTES_MAX);
    b->key_last = mem_alloc(IKEY_BYTES_MAX);
    ASSERT(block_builder_check(b));
}

void block_builder_deinit(struct block_builder *b) {
    buffer_deinit(&b->bodies);
    buffer_deinit(&b->keys);
    buffer_deinit(&b->restarts);
    mem_free(b->key_last);
    b->key_last = NULL;
}

void block_builder_reset(struct block_builder *b) {
    buffer_reset(&b->bodies);
    buffer_reset(&b->keys);
    buffer_reset(&b->restarts);
    b->key_last_len = 0;
    b->entry_count = 0;
}

void block_builder_add(struct block_builder *b, struct bytes key, struct bytes head,
                       struct bytes value) {
    const struct bytes key_last = { b->key_last, b->key_last_len };
    ASSERT(key.len > 0);
    ASSERT(key.len <= IKEY_BYTES_MAX);

    size_t shared = bytes_shared(key_last, key);
    /* Rising order, given the shared length: one byte decides. */
    ASSERT(shared < key.len);
    ASSERT(shared == key_last.len || key_last.ptr[shared] < key.ptr[shared]);
    if (b->entry_count % BLOCK_RESTART_INTERVAL == 0) {
        buffer_append_u32_le(&b->restarts, (uint32_t)buffer_len(&b->keys));
        buffer_append_u32_le(&b->restarts, (uint32_t)buffer_len(&b->bodies));
        shared = 0;
    }
    const size_t suffix_len = key.len - shared;
    uint8_t *p = buffer_reserve(&b->keys, BLOCK_ENTRY_HEAD_BYTES_MAX + suffix_len);
    ASSERT(p != NULL);
    size_t fill = put_varint(p, shared);
    fill += put_varint(p + fill, suffix_len);
    fill += put_varint(p + fill, head.len + value.len);
    memcpy(p + fill, key.ptr + shared, suffix_len);
    buffer_commit(&b->keys, fill + suffix_len);
    buffer_append(&b->bodies, head);
    buffer_append(&b->bodies, value);

    memcpy(b->key_last + shared, key.ptr + shared, suffix_len);
    b->key_last_len = (uint32_t)key.len;
    b->entry_count++;
    ASSERT(!b->bodies.overflowed);
}

size_t block_builder_bytes(const struct block_builder *b) {
    if (b->entry_count == 0) return 0;
    return buffer_len(&b->bodies) + buffer_len(&b->keys) + buffer_len(&b->restarts) +
           BLOCK_TAIL_BYTES;
}

struct bytes block_builder_finish(struct block_builder *b) {
    ASSERT(block_builder_check(b));
    ASSERT(b->entry_count > 0);

    const size_t block_bytes = block_builder_bytes(b);
    const uint32_t bodies_len = (uint32_t)buffer_len(&b->bodies);
    const uint32_t restart_count = (uint32_t)(buffer_len(&b->restarts) / BLOCK_RESTART_BYTES);
    buffer_append(&b->bodies, buffer_bytes(&b->keys));
    buffer_append(&b->bodies, buffer_bytes(&b->restarts));
    buffer_append_u32_le(&b->bodies, bodies_len);
    buffer_append_u32_le(&b->bodies, b->entry_count);
    buffer_append_u32_le(&b->bodies, restart_count);

    ASSERT(!b->bodies.overflowed);
    ASSERT(buffer_len(&b->bodies) == block_bytes);
    return buffer_bytes(&b->bodies);
}

bool block_builder_check(const struct block_builder *b) {
    if (b->key_last == NULL) return false;
    if (b->key_last_len > IKEY_BYTES_MAX) return false;
    if ((b->entry_count == 0) != (b->key_last_len == 0)) return false;
    const uint64_t restarts =
        ((uint64_t)b->entry_count + BLOCK_RESTART_INTERVAL - 1) / BLOCK_RESTART_INTERVAL;
    return buffer_len(&b->restarts) == restarts * BLOCK_RESTART_BYTES;
}

/* ---- reading ---- */

STATUS block_open(struct bytes raw, struct block *ret_block) {
    if (raw.len < BLOCK_TAIL_BYTES || raw.len > BLOCK_BYTES_MAX) return status_of(ST_CORRUPT);
    const uint8_t *tail = raw.ptr + raw.len - BLOCK_TAIL_BYTES;
    const uint64_t bodies_len = get_u32_le(tail);
    const uint32_t entry_count = get_u32_le(tail + 4);
    const uint64_t restart_count = get_u32_le(tail + 8);
    const uint64_t other = bodies_len + restart_count * BLOCK_RESTART_BYTES + BLOCK_TAIL_BYTES;
    if (other > raw.len) return status_of(ST_CORRUPT);
    if (restart_count == 0 || entry_count < restart_count) return status_of(ST_CORRUPT);

    const uint64_t keys_len = raw.len - other;
    if (keys_len == 0) return status_of(ST_CORRUPT);
    *ret_block = (struct block){
        .bodies = raw.ptr,
        .keys = raw.ptr + bodies_len,
        .restarts = raw.ptr + bodies_len + keys_len,
        .bodies_len = (uint32_t)bodies_len,
        .keys_len = (uint32_t)keys_len,
        .restart_count = (uint32_t)restart_count,
        .entry_count = entry_count,
    };
    return status_of(ST_OK);
}

/* A varint of at most 32 bits at `p`; NULL when it is cut off or longer. */
static const uint8_t *varint32_read(const uint8_t *p, const uint8_t *end, uint32_t *ret_value) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift <= 28 && p < end; shift += 7) {
        const uint8_t byte = *p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = (uint32_t)value;
            return value > UINT32_MAX ? NULL : p;
        }
    }
    return NULL;
}

/* Read the entry at `key_at`, whose body starts at `body_at`; both are in range or
 * one past. False when it does not lie inside the block. */
static inline bool entry_read(const struct block *b, uint32_t key_at, uint32_t body_at,
                              struct block_entry *ret_entry) {
    const uint8_t *end = b->keys + b->keys_len;
    const uint8_t *p = b->keys + key_at;
    uint32_t shared = 0;
    uint32_t suffix_len = 0;
    uint32_t body_len = 0;
    if (end - p >= 3 && (p[0] | p[1] | p[2]) < 0x80) {
        shared = p[0];
        suffix_len = p[1];
        body_len = p[2];
        p += 3;
    } else {
        if ((p = varint32_read(p, end, &shared)) == NULL) return false;
        if ((p = varint32_read(p, end, &suffix_len)) == NULL) return false;
        if ((p = varint32_read(p, end, &body_len)) == NULL) return false;
    }
    if (suffix_len > (size_t)(end - p)) return false;
    if (body_len > b->bodies_len - body_at) return false;
    *ret_entry = (struct block_entry){
        .suffix = { p, suffix_len },
        .body = { b->bodies + body_at, body_len },
        .shared = shared,
        .key_next = (uint32_t)(p - b->keys) + suffix_len,
        .body_next = body_at + body_len,
    };
    return true;
}

/* Read the entry at restart `i`, which must hold its key whole. */
static inline bool restart_read(const struct block *b, uint32_t i, struct block_entry *ret_entry) {
    const uint32_t key_at = get_u32_le(b->restarts + (size_t)i * BLOCK_RESTART_BYTES);
    const uint32_t body_at = get_u32_le(b->restarts + (size_t)i * BLOCK_RESTART_BYTES + 4);
    if (key_at >= b->keys_len || body_at > b->bodies_len) return false;
    if (!entry_read(b, key_at, body_at, ret_entry)) return false;
    return ret_entry->shared == 0;
}

STATUS block_first(const struct block *b, struct block_entry *ret_entry) {
    struct block_entry e;
    if (!entry_read(b, 0, 0, &e)) return status_of(ST_CORRUPT);
    if (e.shared != 0) return status_of(ST_CORRUPT);
    *ret_entry = e;
    return status_of(ST_OK);
}

STATUS block_next(const struct block *b, struct block_entry *e) {
    if (e->key_next == b->keys_len) {
        return status_of(e->body_next == b->bodies_len ? ST_NOT_FOUND : ST_CORRUPT);
    }
    return status_of(entry_read(b, e->key_next, e->body_next, e) ? ST_OK : ST_CORRUPT);
}

/* From `e`, whose key is whole, to the first entry at or above `key`.
 *
 * `same` is how many bytes the entry before shares with `key`; that entry is below
 * `key`. An entry that shares more than that with the one before it is below as
 * well; one that shares less differs earlier, upwards, and so is above; only one
 * that shares exactly `same` bytes must be compared. */
static STATUS find_from(const struct block *b, struct bytes key, struct block_entry *e,
                        bool *ret_equal) {
    size_t same = 0;
    for (;;) {
        if (e->shared < same) {
            *ret_equal = false;
            return status_of(ST_OK);
        }
        if (e->shared == same) {
            const struct bytes rest = { key.ptr + same, key.len - same };
            const size_t more = bytes_shared(e->suffix, rest);
            if (more == rest.len) {
                *ret_equal = more == e->suffix.len;
                return status_of(ST_OK);
            }
            if (more < e->suffix.len && e->suffix.ptr[more] > rest.ptr[more]) {
                *ret_equal = false;
                return status_of(ST_OK);
            }
            same += more;
        }
        if (e->key_next == b->keys_len) return status_of(ST_NOT_FOUND);
        if (!entry_read(b, e->key_next, e->body_next, e)) return status_of(ST_CORRUPT);
    }
}

STATUS block_find(const struct block *b, struct bytes key, struct block_entry *ret_entry,
                  bool *ret_equal) {
    struct block_entry e;
    if (key.len == 0) {
        TRY(block_first(b, ret_entry));
        *ret_equal = false;
        return status_of(ST_OK);
    }
    uint32_t low = 0; /* the last restart known to be at or below `key`, or the first */
    uint32_t high = b->restart_count;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (!restart_read(b, middle, &e)) return status_of(ST_CORRUPT);
        if (bytes_compare(e.suffix, key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (!restart_read(b, low, &e)) return status_of(ST_CORRUPT);
    bool equal = false;
    TRY(find_from(b, key, &e, &equal));
    *ret_entry = e;
    *ret_equal = equal;
    return status_of(ST_OK);
}
