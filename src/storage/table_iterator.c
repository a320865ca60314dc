#include "base/assert.h"
#include "base/mem.h"
#include "storage/table_internal.h"

/* One read of a compaction: far above what a seek of a disk costs. */
#define PIECE_BYTES (512u * 1024)
/* How far a scan through the cache asks ahead, once it has missed twice in a row. */
#define READAHEAD_BYTES (256u * 1024)
#define READAHEAD_AFTER 2u
#define KEY_BYTES_USUAL 128u
#define BLOCK_NONE UINT32_MAX

/* A data block that is open for reading. */
struct held_block {
    struct cache_block cached; /* empty when the bytes are the iterator's own */
    struct block block;        /* view of it */
    uint32_t index;            /* which data block; BLOCK_NONE = none is held */
};

struct iterator_state {
    struct held_block here;   /* the block it stands in */
    struct held_block probe;  /* kept over ST_WAIT, so that the repeated seek finds it again */
    struct block_entry entry; /* the entry it stands on */
    uint8_t *key;             /* the entry's whole key */
    size_t key_len;           /* bytes of it */
    size_t key_capacity;      /* room at `key` */
    uint32_t lost;            /* data block of the last ST_CORRUPT */
    uint32_t misses;          /* blocks in a row that were read, not found in the cache */
    uint64_t ahead_end;       /* file offset up to which was asked ahead */
    uint8_t *piece;           /* bypass: bytes of the file */
    uint64_t piece_offset;    /* bypass: where they lie */
    size_t piece_len;         /* bypass: how many */
    size_t piece_capacity;    /* bypass: room at `piece` */
    uint8_t *raw;             /* bypass: the decompressed block */
    size_t raw_capacity;      /* bypass: room at `raw` */
};

void table_iterator_init(struct table_iterator *it, struct table *t, bool may_block,
                         bool bypass_cache) {
    ASSERT(may_block || !bypass_cache);
    struct iterator_state *s = mem_alloc_zeroed(sizeof *s);
    s->here.index = s->probe.index = BLOCK_NONE;
    s->key_capacity = KEY_BYTES_USUAL;
    s->key = mem_alloc(s->key_capacity);
    *it = (struct table_iterator){
        .table = t, .may_block = may_block, .bypass_cache = bypass_cache, .state = s
    };
}

static void held_release(struct table_iterator *it, struct held_block *held) {
    cache_release(it->table->cache, &held->cached);
    held->index = BLOCK_NONE;
}

void table_iterator_deinit(struct table_iterator *it) {
    struct iterator_state *s = it->state;
    if (s == NULL) return;
    held_release(it, &s->here);
    held_release(it, &s->probe);
    mem_free(s->key);
    mem_free(s->piece);
    mem_free(s->raw);
    mem_free(s);
    *it = (struct table_iterator){ 0 };
}

/* ---- blocks ---- */

/* Make `ret_stored` the stored bytes of a block, reading a large piece if it is not
 * in the last one. */
static STATUS piece_get(struct table_iterator *it, uint64_t offset, uint32_t len,
                        struct bytes *ret_stored) {
    struct iterator_state *s = it->state;
    if (offset < s->piece_offset || offset + len > s->piece_offset + s->piece_len) {
        const uint64_t left = it->table->footer.filter.offset - offset;
        size_t piece_len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (piece_len < len || table_is_suspect(it->table)) piece_len = len;
        if (piece_len > s->piece_capacity) {
            mem_free(s->piece);
            s->piece = mem_alloc(piece_len);
            s->piece_capacity = piece_len;
        }
        s->piece_len = 0;
        struct status read = table_read(it->table, offset, piece_len, s->piece);
        if (!status_ok(read) && piece_len > len) {
            piece_len = len; /* the bad place may lie behind this block */
            read = table_read(it->table, offset, piece_len, s->piece);
        }
        TRY(read);
        s->piece_offset = offset;
        s->piece_len = piece_len;
        if (left > piece_len) os_file_readahead(&it->table->file, offset + piece_len, PIECE_BYTES);
    }
    *ret_stored = bytes_of(s->piece + (offset - s->piece_offset), len);
    return status_of(ST_OK);
}

/* Bypass: the raw bytes of a data block; they hold until the next call. */
static STATUS raw_get(struct table_iterator *it, uint32_t index, struct bytes *ret_raw) {
    struct iterator_state *s = it->state;
    const uint64_t offset = table_block_offset(it->table, index);
    struct bytes stored = BYTES_NONE;
    struct stored_block b;
    TRY(piece_get(it, offset, table_block_len(it->table, index), &stored));
    TRY(table_block_decode(it->table, offset, stored, &b));
    if (b.compression == COMPRESSION_NONE) {
        *ret_raw = b.payload;
        return status_of(ST_OK);
    }
    if (b.raw_len > s->raw_capacity) {
        mem_free(s->raw);
        s->raw = mem_alloc(b.raw_len);
        s->raw_capacity = b.raw_len;
    }
    if (!status_ok(stored_block_expand(&b, s->raw))) {
        return table_corrupt(it->table, offset, "block does not decompress");
    }
    *ret_raw = bytes_of(s->raw, b.raw_len);
    return status_of(ST_OK);
}

/* From the cache, or read; reads of blocks in a row ask ahead. */
static STATUS cached_get(struct table_iterator *it, uint32_t index,
                         struct cache_block *ret_cached) {
    struct iterator_state *s = it->state;
    struct table_fetch fetch;
    const struct status found = table_block_get(it->table, index, false, ret_cached, &fetch);
    if (found.code != ST_WAIT) {
        s->misses = 0;
        return found;
    }
    if (!it->may_block) {
        it->fetch = fetch;
        return found;
    }
    const uint64_t end = fetch.offset + fetch.len;
    const bool ahead = ++s->misses > READAHEAD_AFTER && end + READAHEAD_BYTES / 2 > s->ahead_end;
    if (ahead) {
        os_file_readahead(&it->table->file, end, READAHEAD_BYTES);
        s->ahead_end = end + READAHEAD_BYTES;
    }
    return table_fetch_block(&fetch, ret_cached);
}

/* Open data block `index`. *ret_held is not held on failure.
 * Errors  ST_WAIT, ST_CORRUPT, ST_IO */
static STATUS held_open(struct table_iterator *it, uint32_t index, struct held_block *ret_held) {
    struct held_block held = { .index = index };
    struct bytes raw = BYTES_NONE;
    if (it->bypass_cache) {
        TRY(raw_get(it, index, &raw));
    } else {
        TRY(cached_get(it, index, &held.cached));
        raw = held.cached.bytes;
    }
    if (!status_ok(block_open(raw, &held.block))) {
        cache_release(it->table->cache, &held.cached);
        return table_corrupt(it->table, table_block_offset(it->table, index),
                             "block has no valid tail");
    }
    *ret_held = held;
    return status_of(ST_OK);
}

/* ---- standing on a record ---- */

/* The iterator stands nowhere; says why. */
static struct status lose(struct table_iterator *it, struct status why) {
    struct iterator_state *s = it->state;
    it->valid = false;
    held_release(it, &s->here);
    held_release(it, &s->probe);
    return why;
}

static struct status lose_corrupt(struct table_iterator *it, uint32_t index) {
    struct iterator_state *s = it->state;
    s->lost = index;
    return lose(it, table_corrupt(it->table, table_block_offset(it->table, index),
                                  "block has a bad entry or record"));
}

/* Make the key `shared` bytes of `base`, then `suffix`. `base` may be the key itself. */
static bool key_set(struct iterator_state *s, struct bytes base, uint32_t shared,
                    struct bytes suffix) {
    const size_t len = shared + suffix.len;
    if (shared > base.len || len == 0 || len > IKEY_BYTES_MAX) return false;
    if (len > s->key_capacity) {
        const size_t capacity = len < IKEY_BYTES_MAX / 2 ? len * 2 : IKEY_BYTES_MAX;
        uint8_t *key = mem_alloc(capacity);
        if (shared > 0) memcpy(key, base.ptr, shared);
        mem_free(s->key);
        s->key = key;
        s->key_capacity = capacity;
    } else if (shared > 0 && base.ptr != s->key) {
        memmove(s->key, base.ptr, shared);
    }
    if (suffix.len > 0) memcpy(s->key + shared, suffix.ptr, suffix.len);
    s->key_len = len;
    return true;
}

/* Stand on `e` of the block held here; its key begins like `base`. */
static STATUS stand(struct table_iterator *it, const struct block_entry *e, struct bytes base) {
    struct iterator_state *s = it->state;
    struct record r;
    if (!key_set(s, base, e->shared, e->suffix)) return lose_corrupt(it, s->here.index);
    if (!status_ok(record_body_decode(e->body, &r))) return lose_corrupt(it, s->here.index);
    r.ikey = bytes_of(s->key, s->key_len);
    s->entry = *e;
    it->record = r;
    it->valid = true;
    return status_of(ST_OK);
}

/* Go to the first record of data block `index`; past the last block it is the end.
 * On ST_WAIT nothing changes. */
static STATUS stand_first(struct table_iterator *it, uint32_t index) {
    struct iterator_state *s = it->state;
    if (index == it->table->index.block_count) return lose(it, status_of(ST_OK));
    struct held_block held;
    const struct status opened = held_open(it, index, &held);
    if (opened.code == ST_WAIT) return opened;
    if (opened.code == ST_CORRUPT) s->lost = index;
    if (!status_ok(opened)) return lose(it, opened);

    held_release(it, &s->here);
    held_release(it, &s->probe);
    s->here = held;
    struct block_entry e;
    if (!status_ok(block_first(&held.block, &e))) return lose_corrupt(it, index);
    return stand(it, &e, BYTES_NONE);
}

STATUS table_iterator_next(struct table_iterator *it) {
    struct iterator_state *s = it->state;
    ASSERT(it->valid);
    ASSERT(s->here.index != BLOCK_NONE);
    struct block_entry e = s->entry;
    const struct status moved = block_next(&s->here.block, &e);
    if (moved.code == ST_NOT_FOUND) return stand_first(it, s->here.index + 1);
    if (!status_ok(moved)) return lose_corrupt(it, s->here.index);
    return stand(it, &e, bytes_of(s->key, s->key_len));
}

STATUS table_iterator_skip(struct table_iterator *it) {
    const struct iterator_state *s = it->state;
    ASSERT(!it->valid);
    return stand_first(it, s->lost + 1);
}

STATUS table_iterator_seek(struct table_iterator *it, struct bytes ikey) {
    struct iterator_state *s = it->state;
    if (ikey.len == 0) return stand_first(it, 0);
    const uint32_t index = table_index_find(&it->table->index, ikey);
    struct held_block *held = s->here.index == index ? &s->here : &s->probe;
    if (held->index != index) {
        held_release(it, &s->probe);
        /* Own bytes hold one block only: what it stood in is overwritten. */
        if (it->bypass_cache) held_release(it, &s->here);
        const struct status opened = held_open(it, index, &s->probe);
        if (opened.code == ST_WAIT) return opened;
        if (opened.code == ST_CORRUPT) s->lost = index;
        if (!status_ok(opened)) return lose(it, opened);
    }
    struct block_entry e;
    bool equal = false;
    const struct status found = block_find(&held->block, ikey, &e, &equal);
    if (found.code == ST_NOT_FOUND) return stand_first(it, index + 1);
    if (!status_ok(found)) return lose_corrupt(it, index);
    if (held == &s->probe) {
        held_release(it, &s->here);
        s->here = s->probe;
        s->probe = (struct held_block){ .index = BLOCK_NONE };
    }
    return stand(it, &e, ikey);
}
