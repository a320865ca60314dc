#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/table_internal.h"

#include <stdio.h>

#define LINE_BYTES 512u
/* Of a damaged table so many findings are reported; all are counted. */
#define LINES_MAX 100u

struct verify {
    struct table *table;                          /* being read */
    void (*report)(void *user, const char *line); /* NULL = only count */
    void *user;                                   /* given to `report` */
    uint64_t bad;                                 /* findings */
    struct table_properties seen;                 /* counted from the records */
    uint8_t *key_last;                            /* IKEY_BYTES_MAX; the last good ikey */
    size_t key_last_len;                          /* bytes; 0 = none yet */
    uint8_t *key;                                 /* IKEY_BYTES_MAX; the ikey being read */
};

static void find_bad(struct verify *v, uint64_t offset, const char *what) {
    v->bad++;
    if (v->report == NULL || v->bad > LINES_MAX) return;
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s: offset %llu: %s", v->table->path, (unsigned long long)offset,
             what);
    v->report(v->user, line);
}

static void count_record(struct verify *v, const struct record *r, size_t body_len) {
    struct table_properties *seen = &v->seen;
    seen->records++;
    seen->raw_bytes += r->ikey.len + body_len;
    if ((r->flags & RECORD_TOMBSTONE) != 0) seen->tombstones++;
    if (ballot_compare(r->ballot, seen->ballot_max) > 0) seen->ballot_max = r->ballot;
    if (r->expires_at_ms == 0) return;
    seen->expiring++;
    if (seen->expires_min_ms == 0 || r->expires_at_ms < seen->expires_min_ms)
        seen->expires_min_ms = r->expires_at_ms;
}

/* The key of `e`, which follows key_last inside its block, or starts the block. */
static bool key_build(struct verify *v, const struct block_entry *e, size_t before_len,
                      struct bytes *ret_key) {
    const size_t len = e->shared + e->suffix.len;
    if (e->shared > before_len || len == 0 || len > IKEY_BYTES_MAX) return false;
    memcpy(v->key, v->key_last, e->shared);
    if (e->suffix.len > 0) memcpy(v->key + e->shared, e->suffix.ptr, e->suffix.len);
    *ret_key = bytes_of(v->key, len);
    return true;
}

static void verify_record(struct verify *v, uint32_t block, struct bytes key, struct bytes body) {
    const struct table *t = v->table;
    const uint64_t offset = table_block_offset(t, block);
    if (bytes_compare(bytes_of(v->key_last, v->key_last_len), key) >= 0)
        find_bad(v, offset, "keys are out of order");
    if (v->seen.records == 0 && !bytes_equal(key, t->properties.ikey_min)) {
        find_bad(v, offset, "the first key is not the smallest of the properties");
    }
    if (table_index_find(&t->index, key) != block)
        find_bad(v, offset, "the index leads to another block");
    if (!filter_may_contain(&t->filter, hash_xxh3(key)))
        find_bad(v, offset, "the filter denies a key");

    struct record r;
    if (!status_ok(record_body_decode(body, &r))) {
        find_bad(v, offset, "bad record");
    } else {
        r.ikey = key;
        count_record(v, &r, body.len);
    }
    memcpy(v->key_last, key.ptr, key.len);
    v->key_last_len = key.len;
}

static void verify_entries(struct verify *v, uint32_t block, struct bytes raw) {
    const uint64_t offset = table_block_offset(v->table, block);
    struct block b;
    struct block_entry e;
    struct bytes key = BYTES_NONE;
    if (!status_ok(block_open(raw, &b)) || !status_ok(block_first(&b, &e))) {
        find_bad(v, offset, "bad block");
        return;
    }
    uint32_t count = 0;
    size_t before_len = 0;
    struct status moved;
    do {
        if (!key_build(v, &e, before_len, &key)) {
            find_bad(v, offset, "bad key");
            return;
        }
        verify_record(v, block, key, e.body);
        before_len = key.len;
        count++;
        moved = block_next(&b, &e);
    } while (status_ok(moved));
    if (moved.code != ST_NOT_FOUND) find_bad(v, offset, "bad entry");
    if (count != b.entry_count) find_bad(v, offset, "wrong number of entries");
}

/* Whether a search for what the restarts point at finds it, which walking does not show. */
static void verify_restarts(struct verify *v, uint32_t block, struct bytes raw) {
    struct block b;
    struct block_entry e;
    struct block_entry found;
    bool equal = false;
    if (!status_ok(block_open(raw, &b)) || !status_ok(block_first(&b, &e))) return;
    for (uint32_t i = 0; i < b.restart_count; i++) {
        struct block_entry start = { 0 };
        start.key_next = get_u32_le(b.restarts + (size_t)i * BLOCK_RESTART_BYTES);
        start.body_next = get_u32_le(b.restarts + (size_t)i * BLOCK_RESTART_BYTES + 4);
        const bool inside = start.key_next < b.keys_len && start.body_next <= b.bodies_len;
        if (!inside || !status_ok(block_next(&b, &start)) || start.shared != 0 ||
            !status_ok(block_find(&b, start.suffix, &found, &equal)) || !equal ||
            found.key_next != start.key_next || found.body_next != start.body_next) {
            find_bad(v, table_block_offset(v->table, block), "bad restart");
            return;
        }
    }
}

static STATUS verify_block(struct verify *v, uint32_t block) {
    struct table *t = v->table;
    const uint64_t offset = table_block_offset(t, block);
    const uint32_t len = table_block_len(t, block);
    uint8_t *stored = mem_alloc(len);
    struct stored_block b;
    struct status s = table_read(t, offset, len, stored);
    if (status_ok(s)) s = table_block_decode(t, offset, bytes_of(stored, len), &b);
    if (status_ok(s)) {
        uint8_t *raw = mem_alloc(b.raw_len);
        s = stored_block_expand(&b, raw);
        if (status_ok(s)) {
            verify_entries(v, block, bytes_of(raw, b.raw_len));
            verify_restarts(v, block, bytes_of(raw, b.raw_len));
        }
        mem_free(raw);
    }
    mem_free(stored);
    if (s.code == ST_CORRUPT) {
        find_bad(v, offset, "block cannot be read or decompressed, or fails its checksum");
        return status_of(ST_OK);
    }
    return s;
}

/* Compare what was counted with the properties; only told apart when all was readable. */
static void verify_properties(struct verify *v) {
    const struct table_properties *p = &v->table->properties;
    const struct table_properties *seen = &v->seen;
    const uint64_t offset = v->table->footer.properties.offset;
    if (p->records != seen->records)
        find_bad(v, offset, "wrong number of records in the properties");
    if (p->tombstones != seen->tombstones)
        find_bad(v, offset, "wrong number of tombstones in the properties");
    if (p->raw_bytes != seen->raw_bytes) find_bad(v, offset, "wrong raw bytes in the properties");
    if (p->expiring != seen->expiring)
        find_bad(v, offset, "wrong number of expiries in the properties");
    if (p->expires_min_ms != seen->expires_min_ms)
        find_bad(v, offset, "wrong earliest expiry in the properties");
    if (ballot_compare(p->ballot_max, seen->ballot_max) != 0)
        find_bad(v, offset, "wrong highest ballot in the properties");
    if (!bytes_equal(p->ikey_max, bytes_of(v->key_last, v->key_last_len))) {
        find_bad(v, offset, "the last key is not the largest of the properties");
    }
}

STATUS table_verify(struct table *t, void (*report)(void *user, const char *line), void *user,
                    const atomic_bool *stop, uint64_t *ret_bad) {
    struct verify v = { .table = t, .report = report, .user = user };
    v.key_last = mem_alloc(IKEY_BYTES_MAX);
    v.key = mem_alloc(IKEY_BYTES_MAX);
    struct status s = status_of(ST_OK);
    for (uint32_t block = 0; block < t->index.block_count && status_ok(s); block++) {
        if (report == NULL && v.bad > 0) break;
        s = stop != NULL && atomic_load(stop) ? status_of(ST_BUSY) : verify_block(&v, block);
    }
    if (status_ok(s) && v.bad == 0) verify_properties(&v);
    mem_free(v.key_last);
    mem_free(v.key);
    if (!status_ok(s)) return s;
    *ret_bad = v.bad;
    return status_of(ST_OK);
}
