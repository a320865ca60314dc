/* Any bytes as a block: searching and walking agree, and nothing outside is read. The
 * first two bytes of the input say how long a key to look for follows. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "storage/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of entry `e`, given the one before it in `key`; false if it cannot be one. */
static bool key_next(uint8_t *key, size_t *key_len, const struct block_entry *e) {
    if (e->shared > *key_len || e->shared + e->suffix.len > IKEY_BYTES_MAX) return false;
    if (e->suffix.len > 0) memcpy(key + e->shared, e->suffix.ptr, e->suffix.len);
    *key_len = e->shared + e->suffix.len;
    return true;
}

/* Walk to the end. A block whose keys rise must give each of them to a search; others
 * may give anything that lies inside. */
static void walk(const struct block *b) {
    static uint8_t key[IKEY_BYTES_MAX];
    size_t key_len = 0;
    size_t entries = 0;
    size_t bodies = 0;
    struct block_entry e;
    struct status s = block_first(b, &e);
    while (status_ok(s)) {
        ASSERT(e.suffix.ptr >= b->keys);
        ASSERT(e.suffix.ptr + e.suffix.len <= b->keys + b->keys_len);
        ASSERT(e.body.ptr >= b->bodies);
        ASSERT(e.body.ptr + e.body.len <= b->bodies + b->bodies_len);
        bodies += e.body.len;
        entries++;
        if (!key_next(key, &key_len, &e)) return;
        struct block_entry found;
        bool equal = false;
        const struct status f = block_find(b, bytes_of(key, key_len), &found, &equal);
        ASSERT(status_ok(f) || f.code == ST_NOT_FOUND || f.code == ST_CORRUPT);
        if (status_ok(f)) ASSERT(found.body.ptr + found.body.len <= b->bodies + b->bodies_len);
        s = block_next(b, &e);
    }
    ASSERT(s.code == ST_NOT_FOUND || s.code == ST_CORRUPT);
    if (s.code == ST_NOT_FOUND) ASSERT(bodies == b->bodies_len);
    ASSERT(entries <= b->keys_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const size_t rest = size - 2;
    const size_t wish = get_u16_le(data);
    const size_t key_len = wish < rest ? wish : rest;
    uint8_t *key = mem_alloc(key_len + 1);
    uint8_t *raw = malloc(rest - key_len);
    if (raw == NULL) abort();
    memcpy(key, data + 2, key_len);
    memcpy(raw, data + 2 + key_len, rest - key_len);

    struct block b;
    if (status_ok(block_open(bytes_of(raw, rest - key_len), &b))) {
        struct block_entry e;
        bool equal = false;
        const struct status s = block_find(&b, bytes_of(key, key_len), &e, &equal);
        ASSERT(status_ok(s) || s.code == ST_NOT_FOUND || s.code == ST_CORRUPT);
        if (status_ok(s)) ASSERT(e.shared <= key_len);
        walk(&b);
    }
    mem_free(key);
    free(raw);
    return 0;
}
