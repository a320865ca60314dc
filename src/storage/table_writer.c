#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/block.h"
#include "storage/filter.h"
#include "storage/stored_block.h"
#include "storage/table.h"
#include "storage/table_format.h"
#include "storage/table_index.h"

/* Large enough that a write costs little, small enough to be paced smoothly. */
#define WRITE_BYTES (1024u * 1024)
#define BLOCK_BYTES_MIN 1024u
#define BLOCK_BYTES_MOST (64u * 1024)
/* What a record adds to a block besides its bytes: head of the entry, a restart. */
#define ENTRY_OVERHEAD_BYTES (BLOCK_ENTRY_HEAD_BYTES_MAX + BLOCK_RESTART_BYTES)
#define HASHES_MIN 1024u
/* A buffer that grew for one large value does not stay large. */
#define KEEP_BYTES (4u * 1024 * 1024)

struct table_writer {
    struct os *os;                          /* of the file */
    char *path;                             /* for messages and for removal */
    struct os_file file;                    /* closed by finish */
    struct table_options options;           /* with defaults filled in */
    void (*pace)(void *user, size_t bytes); /* may sleep; NULL = none */
    void *pace_user;                        /* given to `pace` */
    struct block_builder block;             /* the data block being filled */
    struct table_index_builder index;       /* blocks before it */
    struct compressor compressor;           /* for all blocks */
    struct buffer out;                      /* stored blocks not written yet */
    uint64_t written_bytes;                 /* file offset of out's first byte */
    uint64_t uid;                           /* random, not 0 */
    uint64_t *hashes;                       /* of all ikeys, for the filter; NULL = no filter */
    uint64_t hash_capacity;                 /* room in `hashes`; properties.records are used */
    uint8_t *separator;                     /* IKEY_BYTES_MAX; in front of the block being filled */
    uint32_t separator_len;                 /* bytes; 0 for the first block */
    uint8_t *ikey_min;                      /* IKEY_BYTES_MAX */
    uint8_t *ikey_max;                      /* IKEY_BYTES_MAX; the last one added */
    struct table_properties properties;     /* of what was added; ikeys are views of the two */
    struct status failed;                   /* the first error, which every later call gives */
    bool finished;                          /* the file is complete and synced */
};

static bool writer_check(const struct table_writer *w) {
    if (w->uid == 0) return false;
    if (w->options.block_bytes < BLOCK_BYTES_MIN || w->options.block_bytes > BLOCK_BYTES_MOST)
        return false;
    if ((w->hashes == NULL) != (w->options.filter_bits_per_key == 0)) return false;
    if (w->hashes != NULL && w->properties.records > w->hash_capacity) return false;
    return w->properties.records == 0 || table_properties_check(&w->properties);
}

STATUS table_writer_create(struct os *os, const char *path, const struct table_options *options,
                           void (*pace)(void *user, size_t bytes), void *user,
                           struct table_writer **ret_writer) {
    ASSERT(options->filter_bits_per_key <= FILTER_BITS_PER_KEY_MAX);
    ASSERT(options->compression <= COMPRESSION_ZSTD);
    struct os_file file;
    TRY(os_file_open(os, path, OS_FILE_CREATE_EMPTY, &file));

    struct table_writer *w = mem_alloc_zeroed(sizeof *w);
    *w = (struct table_writer){
        .os = os, .file = file, .options = *options, .pace = pace, .pace_user = user
    };
    if (w->options.block_bytes == 0) w->options.block_bytes = TABLE_BLOCK_BYTES_DEFAULT;
    const size_t path_bytes = strlen(path) + 1;
    w->path = mem_alloc(path_bytes);
    memcpy(w->path, path, path_bytes);
    while (w->uid == 0) os_entropy(os, &w->uid, sizeof w->uid);
    block_builder_init(&w->block);
    table_index_builder_init(&w->index);
    compressor_init(&w->compressor);
    buffer_init(&w->out, SIZE_MAX / 2);
    if (w->options.filter_bits_per_key != 0) {
        w->hash_capacity = HASHES_MIN;
        w->hashes = mem_alloc(w->hash_capacity * sizeof *w->hashes);
    }
    w->separator = mem_alloc(IKEY_BYTES_MAX);
    w->ikey_min = mem_alloc(IKEY_BYTES_MAX);
    w->ikey_max = mem_alloc(IKEY_BYTES_MAX);
    ASSERT(writer_check(w));
    *ret_writer = w;
    return status_of(ST_OK);
}

void table_writer_destroy(struct table_writer *w) {
    os_file_close(&w->file);
    if (!w->finished) {
        const struct status s = os_path_remove(w->os, w->path);
        if (!status_ok(s))
            log_warn("table: %s: cannot remove the unfinished file: %s", w->path, status_name(s));
    }
    block_builder_deinit(&w->block);
    table_index_builder_deinit(&w->index);
    compressor_deinit(&w->compressor);
    buffer_deinit(&w->out);
    mem_free(w->hashes);
    mem_free(w->separator);
    mem_free(w->ikey_min);
    mem_free(w->ikey_max);
    mem_free(w->path);
    mem_free(w);
}

/* Write what is gathered. A failure is final for the writer. */
static STATUS write_out(struct table_writer *w) {
    ASSERT(status_ok(w->failed));
    const struct bytes out = buffer_bytes(&w->out);
    if (out.len == 0) return status_of(ST_OK);
    w->failed = os_file_write(&w->file, w->written_bytes, out);
    if (!status_ok(w->failed)) {
        log_error("table: %s: cannot write %zu bytes at offset %llu: %s", w->path, out.len,
                  (unsigned long long)w->written_bytes, status_name(w->failed));
        return w->failed;
    }
    /* One sync of a whole table would hold up those of the log meanwhile. */
    os_file_write_behind(&w->file, w->written_bytes, out.len);
    w->written_bytes += out.len;
    buffer_shrink(&w->out, KEEP_BYTES);
    if (w->pace != NULL) w->pace(w->pace_user, out.len);
    return status_of(ST_OK);
}

static uint64_t file_offset(const struct table_writer *w) {
    return w->written_bytes + buffer_len(&w->out);
}

/* End the data block being filled. Requires that it is not empty. */
static STATUS block_end(struct table_writer *w) {
    const struct bytes raw = block_builder_finish(&w->block);
    const size_t stored_len = stored_block_encode(&w->compressor, raw, w->options.compression,
                                                  w->uid, file_offset(w), &w->out);
    table_index_builder_add(&w->index, bytes_of(w->separator, w->separator_len),
                            (uint32_t)stored_len);
    block_builder_reset(&w->block);
    if (buffer_len(&w->out) < WRITE_BYTES) return status_of(ST_OK);
    return write_out(w);
}

/* `ikey` opens a data block: keep the shortest prefix that is above the ikey before. */
static void separator_set(struct table_writer *w, struct bytes ikey) {
    w->separator_len = 0;
    if (w->properties.records == 0) return;
    w->separator_len = 1 + (uint32_t)bytes_shared(w->properties.ikey_max, ikey);
    ASSERT(w->separator_len <= ikey.len);
    memcpy(w->separator, ikey.ptr, w->separator_len);
}

static void properties_add(struct table_writer *w, const struct record *r, size_t body_len) {
    struct table_properties *p = &w->properties;
    if (p->records == 0) {
        memcpy(w->ikey_min, r->ikey.ptr, r->ikey.len);
        p->ikey_min = bytes_of(w->ikey_min, r->ikey.len);
    }
    memcpy(w->ikey_max, r->ikey.ptr, r->ikey.len);
    p->ikey_max = bytes_of(w->ikey_max, r->ikey.len);
    p->records++;
    p->raw_bytes += r->ikey.len + body_len;
    if ((r->flags & RECORD_TOMBSTONE) != 0) p->tombstones++;
    if (ballot_compare(r->ballot, p->ballot_max) > 0) p->ballot_max = r->ballot;
    if (r->expires_at_ms == 0) return;
    p->expiring++;
    if (p->expires_min_ms == 0 || r->expires_at_ms < p->expires_min_ms)
        p->expires_min_ms = r->expires_at_ms;
}

static void hash_add(struct table_writer *w, struct bytes ikey) {
    if (w->hashes == NULL) return;
    if (w->properties.records == w->hash_capacity) {
        w->hash_capacity *= 2;
        w->hashes = mem_realloc(w->hashes, w->hash_capacity * sizeof *w->hashes);
    }
    w->hashes[w->properties.records] = hash_xxh3(ikey);
}

STATUS table_writer_add(struct table_writer *w, const struct record *r) {
    ASSERT(!w->finished);
    ASSERT(r->ikey.len > 0);
    ASSERT(r->ikey.len <= IKEY_BYTES_MAX);
    ASSERT(r->value.len <= VALUE_BYTES_MAX);
    ASSERT(w->properties.records == 0 || bytes_compare(w->properties.ikey_max, r->ikey) < 0);
    TRY(w->failed);

    uint8_t head[RECORD_HEAD_BYTES_MAX];
    const size_t head_len = record_head_encode(r, head);
    const size_t entry_bytes = r->ikey.len + head_len + r->value.len + ENTRY_OVERHEAD_BYTES;
    const size_t block_bytes = block_builder_bytes(&w->block);
    if (block_bytes > 0 && block_bytes + entry_bytes > w->options.block_bytes) TRY(block_end(w));
    if (block_builder_bytes(&w->block) == 0) separator_set(w, r->ikey);

    block_builder_add(&w->block, r->ikey, bytes_of(head, head_len), r->value);
    hash_add(w, r->ikey);
    properties_add(w, r, head_len + r->value.len);
    return status_of(ST_OK);
}

uint64_t table_writer_bytes(const struct table_writer *w) {
    const uint64_t filter = w->properties.records * w->options.filter_bits_per_key / 8;
    return file_offset(w) + block_builder_bytes(&w->block) + filter + buffer_len(&w->index.entries);
}

static struct table_part filter_end(struct table_writer *w) {
    struct table_part part = { .offset = file_offset(w) };
    if (w->hashes == NULL) return part;
    const uint32_t bits_per_key = w->options.filter_bits_per_key;
    const size_t len = filter_bytes(w->properties.records, bits_per_key);
    uint8_t *bytes = mem_alloc(len);
    filter_build(w->hashes, w->properties.records, bits_per_key, bytes);
    part.len = stored_block_encode(&w->compressor, bytes_of(bytes, len), COMPRESSION_NONE, w->uid,
                                   part.offset, &w->out);
    mem_free(bytes);
    return part;
}

STATUS table_writer_finish(struct table_writer *w) {
    ASSERT(writer_check(w));
    ASSERT(!w->finished);
    ASSERT(w->properties.records > 0);
    TRY(w->failed);

    if (block_builder_bytes(&w->block) > 0) TRY(block_end(w));
    struct table_footer footer = { .uid = w->uid, .filter = filter_end(w) };
    footer.index.offset = file_offset(w);
    footer.index.len =
        stored_block_encode(&w->compressor, table_index_builder_finish(&w->index),
                            w->options.compression, w->uid, footer.index.offset, &w->out);
    struct buffer properties;
    buffer_init(&properties, TABLE_PROPERTIES_BYTES_MAX);
    table_properties_encode(&w->properties, &properties);
    footer.properties.offset = file_offset(w);
    footer.properties.len =
        stored_block_encode(&w->compressor, buffer_bytes(&properties), COMPRESSION_NONE, w->uid,
                            footer.properties.offset, &w->out);
    buffer_deinit(&properties);
    uint8_t footer_bytes[TABLE_FOOTER_BYTES];
    table_footer_encode(&footer, footer_bytes);
    buffer_append(&w->out, bytes_of(footer_bytes, sizeof footer_bytes));
    ASSERT(!w->out.overflowed);

    TRY(write_out(w));
    w->failed = os_file_sync(&w->file);
    if (!status_ok(w->failed)) {
        log_error("table: %s: cannot sync: %s", w->path, status_name(w->failed));
        return w->failed;
    }
    os_file_close(&w->file);
    w->finished = true;
    return status_of(ST_OK);
}
