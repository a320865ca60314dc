#include "storage/table.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/table_internal.h"

/* What is read ahead at once, about; a single block may be larger. */
#define AHEAD_BYTES (UINT64_C(1) << 20)

struct status table_corrupt(struct table *t, uint64_t offset, const char *what) {
    atomic_store(&t->suspect, true);
    log_error("table: %s: offset %llu: %s", t->path, (unsigned long long)offset, what);
    return status_of(ST_CORRUPT);
}

/* ---- blocks ---- */

/* Errors  ST_IO, logged; ST_CORRUPT, as it ends before */
static STATUS read_twice(struct table *t, uint64_t offset, size_t len, uint8_t *ret_bytes) {
    size_t read_len = 0;
    struct status s = os_file_read(&t->file, offset, ret_bytes, len, &read_len);
    if (s.code == ST_IO) s = os_file_read(&t->file, offset, ret_bytes, len, &read_len);
    if (!status_ok(s)) {
        log_error("table: %s: offset %llu: cannot read %zu bytes: %s", t->path,
                  (unsigned long long)offset, len, status_name(s));
        return s;
    }
    if (read_len != len) return table_corrupt(t, offset, "the file ends too early");
    return status_of(ST_OK);
}

STATUS table_read(struct table *t, uint64_t offset, size_t len, uint8_t *ret_bytes) {
    const struct status s = read_twice(t, offset, len, ret_bytes);
    return s.code == ST_IO ? table_corrupt(t, offset, "the disk cannot read it") : s;
}

STATUS table_block_decode(struct table *t, uint64_t offset, struct bytes stored,
                          struct stored_block *ret_block) {
    struct stored_block b;
    if (!status_ok(stored_block_decode(stored, t->uid, offset, &b))) {
        return table_corrupt(t, offset, "block checksum mismatch");
    }
    if (b.raw_len > TABLE_BLOCK_RAW_BYTES_MAX)
        return table_corrupt(t, offset, "block is too large");
    *ret_block = b;
    return status_of(ST_OK);
}

/* Give the raw bytes of a stored block, from mem_alloc. */
static STATUS block_expand(struct table *t, uint64_t offset, struct bytes stored, uint8_t **ret_raw,
                           size_t *ret_raw_len) {
    struct stored_block b = { 0 };
    TRY(table_block_decode(t, offset, stored, &b));
    uint8_t *raw = mem_alloc(b.raw_len);
    if (!status_ok(stored_block_expand(&b, raw))) {
        mem_free(raw);
        return table_corrupt(t, offset, "block does not decompress");
    }
    *ret_raw = raw;
    *ret_raw_len = b.raw_len;
    return status_of(ST_OK);
}

/* Read a block and give its raw bytes, from mem_alloc. */
static STATUS block_read(struct table *t, uint64_t offset, uint32_t len, uint8_t **ret_raw,
                         size_t *ret_raw_len) {
    uint8_t *stored = mem_alloc(len);
    struct status s = table_read(t, offset, len, stored);
    if (status_ok(s)) s = block_expand(t, offset, bytes_of(stored, len), ret_raw, ret_raw_len);
    mem_free(stored);
    return s;
}

STATUS table_fetch_block(const struct table_fetch *fetch, struct cache_block *ret_block) {
    struct table *t = fetch->table;
    if (status_ok(cache_peek(t->cache, t->cache_id, fetch->offset, ret_block)))
        return status_of(ST_OK);
    uint8_t *raw = NULL;
    size_t raw_len = 0;
    TRY(block_read(t, fetch->offset, fetch->len, &raw, &raw_len));
    cache_insert(t->cache, t->cache_id, fetch->offset, raw, raw_len, ret_block);
    return status_of(ST_OK);
}

static bool block_is_cached(struct table *t, uint32_t block) {
    struct cache_block held = { 0 };
    const struct status s = cache_peek(t->cache, t->cache_id, table_block_offset(t, block), &held);
    cache_release(t->cache, &held);
    return status_ok(s);
}

static uint64_t run_bytes(const struct table *t, uint32_t block, uint32_t after) {
    return table_block_offset(t, after) - table_block_offset(t, block);
}

/* Cache all blocks from `block` to the one before `after`, which lie in one piece. */
static void run_read(struct table *t, uint32_t block, uint32_t after) {
    const uint64_t start = table_block_offset(t, block);
    const size_t len = (size_t)run_bytes(t, block, after);
    ASSERT(after > block);
    uint8_t *stored = mem_alloc(len);
    struct status s = table_read(t, start, len, stored);
    for (; status_ok(s) && block < after; block++) {
        const uint64_t offset = table_block_offset(t, block);
        const struct bytes one = bytes_of(stored + (offset - start), table_block_len(t, block));
        struct cache_block held = { 0 };
        uint8_t *raw = NULL;
        size_t raw_len = 0;
        s = block_expand(t, offset, one, &raw, &raw_len);
        if (!status_ok(s)) break;
        cache_insert(t->cache, t->cache_id, offset, raw, raw_len, &held);
        cache_release(t->cache, &held);
    }
    mem_free(stored);
}

void table_fetch_ahead(const struct table_fetch *fetch, uint32_t count) {
    struct table *t = fetch->table;
    if (table_is_suspect(t)) return; /* it would meet the bad place again and again */
    uint32_t block = 0;
    uint32_t end = t->index.block_count;
    while (block < end) {
        const uint32_t middle = block + (end - block) / 2;
        if (table_block_offset(t, middle) <= fetch->offset)
            block = middle + 1;
        else
            end = middle;
    }
    const uint32_t left = t->index.block_count - block;
    const uint32_t limit = block + (count < left ? count : left);
    while (block < limit && block_is_cached(t, block)) block++;
    uint32_t after = block;
    while (after < limit && !block_is_cached(t, after) && run_bytes(t, block, after) < AHEAD_BYTES)
        after++;
    if (after > block) run_read(t, block, after);
}

STATUS table_block_get(struct table *t, uint32_t block, bool may_block,
                       struct cache_block *ret_block, struct table_fetch *ret_fetch) {
    const uint64_t offset = table_block_offset(t, block);
    struct table_index_group *group = &t->index.groups[block / TABLE_INDEX_GROUP];
    struct cache_hint *hint = &group->hints[block % TABLE_INDEX_GROUP];
    const struct status found = cache_get_hinted(t->cache, t->cache_id, offset, hint, ret_block);
    if (status_ok(found)) return found;
    const struct table_fetch fetch = { .table = t,
                                       .offset = offset,
                                       .len = table_block_len(t, block) };
    if (may_block) return table_fetch_block(&fetch, ret_block);
    *ret_fetch = fetch;
    return status_of(ST_WAIT);
}

/* ---- opening ---- */

/* Read the filter, index or properties; raw bytes from mem_alloc. */
static STATUS part_read(struct table *t, struct table_part part, uint8_t **ret_raw,
                        size_t *ret_raw_len) {
    uint8_t *stored = mem_alloc(part.len);
    struct stored_block b = { 0 };
    uint8_t *raw = NULL;
    struct status s = read_twice(t, part.offset, part.len, stored);
    if (status_ok(s)) {
        s = stored_block_decode(bytes_of(stored, part.len), t->uid, part.offset, &b);
        if (status_ok(s)) {
            raw = mem_alloc_aligned(FILTER_LINE_BYTES, b.raw_len);
            s = stored_block_expand(&b, raw);
        }
        if (!status_ok(s))
            s = table_corrupt(t, part.offset, "checksum mismatch in filter, index or properties");
    }
    mem_free(stored);
    if (!status_ok(s)) {
        mem_free(raw);
        return s;
    }
    *ret_raw = raw;
    *ret_raw_len = b.raw_len;
    return status_of(ST_OK);
}

static STATUS footer_read(struct table *t) {
    uint64_t file_bytes = 0;
    TRY(os_file_size(&t->file, &file_bytes));
    if (file_bytes < TABLE_FOOTER_BYTES)
        return table_corrupt(t, file_bytes, "the file is too short for a table");
    const uint64_t offset = file_bytes - TABLE_FOOTER_BYTES;
    uint8_t bytes[TABLE_FOOTER_BYTES];
    TRY(read_twice(t, offset, sizeof bytes, bytes));
    if (!status_ok(table_footer_decode(bytes_of(bytes, sizeof bytes), file_bytes, &t->footer))) {
        return table_corrupt(t, offset, "not the footer of a table of a known version, or damaged");
    }
    t->uid = t->footer.uid;
    t->properties.file_bytes = file_bytes;
    return status_of(ST_OK);
}

static STATUS properties_read(struct table *t) {
    const struct table_part part = t->footer.properties;
    const uint64_t file_bytes = t->properties.file_bytes;
    size_t len = 0;
    TRY(part_read(t, part, &t->properties_bytes, &len));
    if (!status_ok(table_properties_decode(bytes_of(t->properties_bytes, len), &t->properties))) {
        return table_corrupt(t, part.offset, "properties are not understood");
    }
    t->properties.file_bytes = file_bytes;
    t->memory_bytes += len;
    return status_of(ST_OK);
}

static STATUS index_read(struct table *t) {
    const struct table_part part = t->footer.index;
    uint8_t *raw = NULL;
    size_t len = 0;
    TRY(part_read(t, part, &raw, &len));
    const struct status s =
        table_index_decode(bytes_of(raw, len), t->footer.filter.offset, &t->index);
    mem_free(raw);
    if (!status_ok(s)) return table_corrupt(t, part.offset, "index does not match the file");
    t->memory_bytes += t->index.memory_bytes;
    return status_of(ST_OK);
}

static STATUS filter_read(struct table *t) {
    const struct table_part part = t->footer.filter;
    if (part.len == 0) return status_of(ST_OK);
    size_t len = 0;
    TRY(part_read(t, part, &t->filter_bytes, &len));
    if (!status_ok(filter_open(bytes_of(t->filter_bytes, len), &t->filter))) {
        return table_corrupt(t, part.offset, "filter is not understood");
    }
    t->memory_bytes += len;
    return status_of(ST_OK);
}

static STATUS parts_read(struct table *t) {
    TRY(footer_read(t));
    TRY(properties_read(t));
    TRY(index_read(t));
    return filter_read(t);
}

static void table_close(struct table *t) {
    os_file_close(&t->file);
    cache_reserve(t->cache, -(int64_t)t->memory_bytes);
    table_index_deinit(&t->index);
    mem_free(t->filter_bytes);
    mem_free(t->properties_bytes);
    mem_free(t->path);
    mem_free(t);
}

STATUS table_open(struct os *os, const char *path, struct cache *cache, struct table **ret_table) {
    struct os_file file;
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    struct table *t = mem_alloc_zeroed(sizeof *t);
    const size_t path_bytes = strlen(path) + 1;
    t->os = os;
    t->file = file;
    t->cache = cache;
    t->path = mem_alloc(path_bytes);
    memcpy(t->path, path, path_bytes);
    atomic_store(&t->reference_count, 1);

    const struct status s = parts_read(t);
    if (!status_ok(s)) {
        t->memory_bytes = 0; /* nothing is reserved yet */
        table_close(t);
        return s;
    }
    t->memory_bytes += sizeof *t + path_bytes;
    t->cache_id = cache_table_id(cache);
    cache_reserve(cache, (int64_t)t->memory_bytes);
    *ret_table = t;
    return status_of(ST_OK);
}

void table_retain(struct table *t) {
    const uint32_t before = atomic_fetch_add_explicit(&t->reference_count, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void table_release(struct table *t) {
    const uint32_t before = atomic_fetch_sub_explicit(&t->reference_count, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    if (atomic_load(&t->doomed)) {
        os_file_close(&t->file);
        const struct status s = os_path_remove(t->os, t->path);
        if (!status_ok(s)) log_warn("table: %s: cannot remove: %s", t->path, status_name(s));
    }
    table_close(t);
}

void table_doom(struct table *t) {
    atomic_store(&t->doomed, true);
}

bool table_is_suspect(const struct table *t) {
    return atomic_load_explicit(&t->suspect, memory_order_relaxed);
}

bool table_is_damaged(const struct table *t) {
    return atomic_load_explicit(&t->damaged, memory_order_relaxed);
}

bool table_tell_damage(struct table *t) {
    return table_is_damaged(t) && !atomic_exchange(&t->damage_told, true);
}

void table_judge(struct table *t, const atomic_bool *stop) {
    uint64_t bad = 0;
    if (!status_ok(table_verify(t, NULL, NULL, stop, &bad))) return;
    atomic_store(&t->damaged, bad > 0);
    if (bad > 0) return;
    log_warn("table: %s: all of it can be read again", t->path);
    atomic_store(&t->suspect, false);
}

const struct table_properties *table_properties(const struct table *t) {
    return &t->properties;
}

const char *table_path(const struct table *t) {
    return t->path;
}

/* ---- looking up ---- */

bool table_may_contain(const struct table *t, struct bytes ikey, uint64_t hash) {
    (void)ikey;
    return filter_may_contain(&t->filter, hash);
}

struct bytes table_place(const struct table *t, uint32_t permille) {
    ASSERT(permille < 1000);
    const uint32_t block = (uint32_t)((uint64_t)t->index.block_count * permille / 1000);
    ASSERT(block < t->index.block_count);
    return block == 0 ? t->properties.ikey_min : table_index_separator(&t->index, block);
}

/* The block that the keyspace begins in may hold one before it, the one it ends in one behind. */
uint64_t table_keyspace_bytes(const struct table *t, uint16_t keyspace) {
    uint8_t space[2][8];
    ASSERT(keyspace < UINT16_MAX);
    const uint32_t begin = table_index_find(&t->index, ikey_make(keyspace, BYTES_NONE, space[0]));
    const uint32_t end = table_index_find(&t->index, ikey_make(keyspace + 1, BYTES_NONE, space[1]));
    ASSERT(begin <= end);
    if (end - begin < 2) return 0;
    return table_index_offset(&t->index, end) - table_index_offset(&t->index, begin + 1);
}

void table_prefetch(const struct table *t, uint64_t hash) {
    filter_prefetch(&t->filter, hash);
}

/* Find `ikey` in the block held. */
static STATUS block_get(struct table *t, uint64_t offset, struct bytes raw, struct bytes ikey,
                        struct record *ret_record) {
    struct block b;
    struct block_entry e;
    bool equal = false;
    if (!status_ok(block_open(raw, &b))) return table_corrupt(t, offset, "block has no valid tail");
    const struct status s = block_find(&b, ikey, &e, &equal);
    if (s.code == ST_CORRUPT) return table_corrupt(t, offset, "block has a bad entry");
    if (!status_ok(s) || !equal) return status_of(ST_NOT_FOUND);
    struct record r;
    if (!status_ok(record_body_decode(e.body, &r)))
        return table_corrupt(t, offset, "block has a bad record");
    r.ikey = ikey;
    *ret_record = r;
    return status_of(ST_OK);
}

STATUS table_get(struct table *t, struct bytes ikey, bool may_block, struct record *ret_record,
                 struct cache_block *ret_block, struct table_fetch *ret_fetch) {
    *ret_block = (struct cache_block){ 0 };
    const uint32_t block = table_index_find(&t->index, ikey);
    struct cache_block held = { 0 };
    TRY(table_block_get(t, block, may_block, &held, ret_fetch));
    const struct status s =
        block_get(t, table_block_offset(t, block), held.bytes, ikey, ret_record);
    if (!status_ok(s)) {
        cache_release(t->cache, &held);
        return s;
    }
    *ret_block = held;
    return status_of(ST_OK);
}
