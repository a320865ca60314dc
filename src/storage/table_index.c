#include "storage/table_index.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "storage/block.h"
#include "storage/stored_block.h"

/* Smallest entry: three varints. */
#define ENTRY_BYTES_MIN 3u
#define HEADER_BYTES 4u

/* ---- building ---- */

void table_index_builder_init(struct table_index_builder *b) {
    *b = (struct table_index_builder){ 0 };
    buffer_init(&b->entries, STORED_RAW_BYTES_MAX);
    buffer_append_u32_le(&b->entries, 0); /* the count, known at the end */
    b->separator = mem_alloc(IKEY_BYTES_MAX);
}

void table_index_builder_deinit(struct table_index_builder *b) {
    buffer_deinit(&b->entries);
    mem_free(b->separator);
    b->separator = NULL;
}

void table_index_builder_add(struct table_index_builder *b, struct bytes separator,
                             uint32_t stored_len) {
    ASSERT(separator.len <= IKEY_BYTES_MAX);
    ASSERT((separator.len == 0) == (b->block_count == 0));
    ASSERT(stored_len > STORED_TRAILER_BYTES);

    const size_t shared = bytes_shared(bytes_of(b->separator, b->separator_len), separator);
    ASSERT(b->block_count == 0 || shared < separator.len);
    buffer_append_varint(&b->entries, shared);
    buffer_append_varint(&b->entries, separator.len - shared);
    buffer_append(&b->entries, bytes_of(separator.ptr + shared, separator.len - shared));
    buffer_append_varint(&b->entries, stored_len);

    if (separator.len > 0) memcpy(b->separator, separator.ptr, separator.len);
    b->separator_len = (uint32_t)separator.len;
    b->block_count++;
}

struct bytes table_index_builder_finish(struct table_index_builder *b) {
    ASSERT(b->block_count > 0);
    ASSERT(!b->entries.overflowed);
    put_u32_le(b->entries.ptr + b->entries.start, b->block_count);
    return buffer_bytes(&b->entries);
}

/* ---- decoding ---- */

struct bytes table_index_separator(const struct table_index *x, uint32_t block) {
    ASSERT(block > 0);
    ASSERT(block < x->block_count);
    const uint32_t start = block == 1 ? 0 : x->separator_ends[block - 2];
    return bytes_of(x->separators + start, x->separator_ends[block - 1] - start);
}

static uint64_t head_of(struct bytes rest) {
    uint8_t bytes[8] = { 0 };
    if (rest.len >= 8) {
        memcpy(bytes, rest.ptr, 8);
    } else if (rest.len > 0) {
        memcpy(bytes, rest.ptr, rest.len);
    }
    return __builtin_bswap64(get_u64_le(bytes));
}

/* Append one separator to `x`, given the one before it; `block` is its block. */
static STATUS separator_decode(struct table_index *x, struct buffer *separators, uint32_t block,
                               uint64_t shared, struct bytes rest) {
    if (block == 0) return status_of(shared == 0 && rest.len == 0 ? ST_OK : ST_CORRUPT);
    const struct bytes before =
        block == 1 ? BYTES_NONE
                   : bytes_of(separators->ptr + (block == 2 ? 0 : x->separator_ends[block - 3]),
                              x->separator_ends[block - 2] -
                                  (block == 2 ? 0 : x->separator_ends[block - 3]));
    if (shared > before.len || rest.len == 0) return status_of(ST_CORRUPT);
    if (shared + rest.len > IKEY_BYTES_MAX) return status_of(ST_CORRUPT);
    if (shared < before.len && before.ptr[shared] >= rest.ptr[0]) return status_of(ST_CORRUPT);

    const size_t before_at = (size_t)(before.len == 0 ? 0 : before.ptr - separators->ptr);
    uint8_t *p = buffer_reserve(separators, shared + rest.len);
    if (p == NULL) return status_of(ST_CORRUPT);
    /* Reserving may have moved the bytes. */
    if (shared > 0) memcpy(p, separators->ptr + before_at, shared);
    memcpy(p + shared, rest.ptr, rest.len);
    buffer_commit(separators, shared + rest.len);
    x->separator_ends[block - 1] = (uint32_t)separators->end;
    return status_of(ST_OK);
}

static void offset_set(struct table_index *x, uint32_t block, uint64_t offset) {
    x->groups[block / TABLE_INDEX_GROUP].offsets[block % TABLE_INDEX_GROUP] = offset;
}

static STATUS entries_decode(struct cursor *c, struct table_index *x, struct buffer *separators) {
    uint64_t offset = 0;
    for (uint32_t block = 0; block < x->block_count; block++) {
        const uint64_t shared = cursor_varint(c);
        const uint64_t rest_len = cursor_varint(c);
        const struct bytes rest =
            rest_len <= IKEY_BYTES_MAX ? cursor_take(c, rest_len) : BYTES_NONE;
        const uint64_t stored_len = cursor_varint(c);
        if (c->failed || rest_len > IKEY_BYTES_MAX) return status_of(ST_CORRUPT);
        if (stored_len <= STORED_TRAILER_BYTES || stored_len > UINT32_MAX)
            return status_of(ST_CORRUPT);
        TRY(separator_decode(x, separators, block, shared, rest));
        offset_set(x, block, offset);
        offset += stored_len;
    }
    offset_set(x, x->block_count, offset);
    return status_of(cursor_done(c) ? ST_OK : ST_CORRUPT);
}

/* Fill prefix_len, heads and tops from the separators. */
static void heads_fill(struct table_index *x) {
    if (x->block_count > 1) {
        const struct bytes first = table_index_separator(x, 1);
        x->prefix_len = (uint32_t)bytes_shared(first, table_index_separator(x, x->block_count - 1));
    }
    const uint32_t slots = x->group_count * TABLE_INDEX_GROUP;
    for (uint32_t block = 0; block < slots; block++) {
        uint64_t head = block == 0 ? 0 : UINT64_MAX;
        if (block > 0 && block < x->block_count) {
            const struct bytes s = table_index_separator(x, block);
            head = head_of(bytes_of(s.ptr + x->prefix_len, s.len - x->prefix_len));
        }
        x->groups[block / TABLE_INDEX_GROUP].heads[block % TABLE_INDEX_GROUP] = head;
    }
    for (uint32_t g = 0; g < x->group_count; g++) x->tops[g] = x->groups[g].heads[0];
}

STATUS table_index_decode(struct bytes in, uint64_t data_bytes, struct table_index *ret_index) {
    struct cursor c = cursor_of(in);
    struct table_index x = { .block_count = cursor_u32_le(&c) };
    if (c.failed || x.block_count == 0) return status_of(ST_CORRUPT);
    if (x.block_count > c.rest.len / ENTRY_BYTES_MIN) return status_of(ST_CORRUPT);

    const size_t count = x.block_count;
    x.group_count = x.block_count / TABLE_INDEX_GROUP + 1; /* room for the end of the data */
    const size_t groups_bytes = x.group_count * sizeof *x.groups;
    x.groups = mem_alloc_aligned(64, groups_bytes);
    memset(x.groups, 0, groups_bytes);
    x.tops = mem_alloc(x.group_count * sizeof *x.tops);
    x.separator_ends = mem_alloc(count * sizeof *x.separator_ends);
    struct buffer separators;
    buffer_init(&separators, UINT32_MAX);
    struct status s = entries_decode(&c, &x, &separators);
    if (status_ok(s) && table_index_offset(&x, x.block_count) != data_bytes)
        s = status_of(ST_CORRUPT);
    if (!status_ok(s)) {
        buffer_deinit(&separators);
        table_index_deinit(&x);
        return s;
    }
    const size_t separators_bytes = buffer_len(&separators);
    x.separators = mem_alloc(separators_bytes + 1); /* never NULL, and no slack kept */
    if (separators_bytes > 0) memcpy(x.separators, separators.ptr, separators_bytes);
    buffer_deinit(&separators);
    x.memory_bytes = groups_bytes + x.group_count * sizeof *x.tops +
                     count * sizeof *x.separator_ends + separators_bytes + 1;
    heads_fill(&x);
    *ret_index = x;
    return status_of(ST_OK);
}

void table_index_deinit(struct table_index *x) {
    mem_free(x->groups);
    mem_free(x->tops);
    mem_free(x->separator_ends);
    mem_free(x->separators);
    *x = (struct table_index){ 0 };
}

/* ---- searching ---- */

/* How many of the tops but the first are below `head`. */
static inline uint32_t tops_below(const struct table_index *x, uint64_t head) {
    const uint64_t *at = x->tops;
    uint32_t count = x->group_count; /* the first counts as below */
    while (count > 1) {
        const uint32_t half = count / 2;
        at = at[half] < head ? at + half : at;
        count -= half;
    }
    return (uint32_t)(at - x->tops);
}

static inline uint64_t head_at(const struct table_index *x, uint32_t block) {
    const uint32_t group = block / TABLE_INDEX_GROUP;
    const uint32_t slot = block % TABLE_INDEX_GROUP;
    return slot == 0 ? x->tops[group] : x->groups[group].heads[slot];
}

/* The block for `ikey`, when the separator of `block` has a smaller head and the next
 * one has an equal head: compare whole separators among those with this head. */
static uint32_t find_among_equals(const struct table_index *x, struct bytes ikey, uint32_t block,
                                  uint64_t head) {
    uint32_t low = block;           /* separator below ikey, or block 0 */
    uint32_t high = x->block_count; /* separators from here on are above ikey */
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        const uint64_t middle_head = head_at(x, middle);
        if (middle_head > head ||
            (middle_head == head && bytes_compare(table_index_separator(x, middle), ikey) > 0)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low;
}

uint32_t table_index_find(const struct table_index *x, struct bytes ikey) {
    ASSERT(x->block_count > 0);
    if (ikey.len == 0) return 0;
    const uint32_t prefix_len = x->prefix_len;
    if (prefix_len > 0) {
        const size_t len = ikey.len < prefix_len ? ikey.len : prefix_len;
        const int order = len == 0 ? 0 : memcmp(ikey.ptr, x->separators, len);
        if (order < 0 || (order == 0 && len < prefix_len)) return 0;
        if (order > 0) return x->block_count - 1;
    }
    const uint64_t head = head_of(bytes_of(ikey.ptr + prefix_len, ikey.len - prefix_len));
    const uint32_t group = tops_below(x, head);
    const struct table_index_group *g = &x->groups[group];
    for (uint32_t i = 0; i < sizeof *g; i += 64) __builtin_prefetch((const uint8_t *)g + i);
    uint32_t block = group * TABLE_INDEX_GROUP;
    for (uint32_t i = 1; i < TABLE_INDEX_GROUP; i++) block += g->heads[i] < head;

    if (block + 1 < x->block_count && head_at(x, block + 1) == head) {
        return find_among_equals(x, ikey, block, head);
    }
    return block;
}
