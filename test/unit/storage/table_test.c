/* A table answers as a sorted array of its records does, under every option, with any
 * cache, with and without blocking; sizes go from one record to the limits. */
#include "storage/table.h"

#include "base/mem.h"
#include "harness.h"
#include "table_world.h"

static void check_properties(const struct table_world *v) {
    const struct table_properties *p = table_properties(v->table);
    struct ballot ballot_max = { 0 };
    uint64_t tombstones = 0;
    uint64_t raw_bytes = 0;
    uint64_t expiring = 0;
    uint64_t expires_min_ms = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct record *r = &v->records[i];
        if (ballot_compare(r->ballot, ballot_max) > 0) ballot_max = r->ballot;
        tombstones += (r->flags & RECORD_TOMBSTONE) != 0;
        raw_bytes += r->ikey.len + record_body_len(r);
        if (r->expires_at_ms == 0) continue;
        if (expiring++ == 0 || r->expires_at_ms < expires_min_ms) expires_min_ms = r->expires_at_ms;
    }
    CHECK_EQ(p->records, v->count);
    CHECK_EQ(p->tombstones, tombstones);
    CHECK_EQ(p->raw_bytes, raw_bytes);
    CHECK_EQ(p->expiring, expiring);
    CHECK_EQ(p->expires_min_ms, expires_min_ms);
    CHECK_EQ(ballot_compare(p->ballot_max, ballot_max), 0);
    CHECK_BYTES(p->ikey_min, v->records[0].ikey);
    CHECK_BYTES(p->ikey_max, v->records[v->count - 1].ikey);
    struct bytes content;
    CHECK_OK(sim_disk_view(v->disk, TABLE_PATH, &content));
    CHECK_EQ(p->file_bytes, content.len);
}

/* Ask for every record and `probes` other ikeys, in every way. */
static void check_all(struct table_world *v, size_t ikey_len_max, uint32_t probes) {
    uint64_t bad = 1;
    CHECK_OK(table_world_open(v));
    check_properties(v);
    CHECK_OK(table_verify(v->table, NULL, NULL, NULL, &bad));
    CHECK_EQ(bad, 0);
    for (size_t i = 0; i < v->count; i++) {
        CHECK_OK(table_world_get(v, v->records[i].ikey, i % 2 == 0));
    }
    for (uint32_t i = 0; i < probes; i++) {
        CHECK_OK(table_world_get(v, table_world_ikey(v, ikey_len_max), i % 2 == 0));
    }
    for (uint32_t mode = 0; mode < 3; mode++) {
        struct table_iterator it;
        table_iterator_init(&it, v->table, mode > 0, mode > 1);
        CHECK_OK(table_world_scan(v, &it, BYTES_NONE, v->count + 1));
        for (uint32_t i = 0; i < probes / 2; i++) {
            CHECK_OK(table_world_scan(v, &it, table_world_ikey(v, ikey_len_max), i % 8));
        }
        CHECK_OK(table_world_scan(v, &it, BYTES_LIT("\xff\xff\xff"), 1));
        CHECK(!it.valid);
        CHECK_OK(table_world_scan(v, &it, v->records[v->count - 1].ikey, 2));
        table_iterator_deinit(&it);
    }
}

/* Whatever the options and the cache, the answers are those of the sorted array. */
TEST(table, answers_alike_under_every_option) {
    static const uint32_t block_bytes[] = { 1024, 0, 16384, 65536 };
    static const uint32_t filter_bits[] = { 0, 1, 10, 20 };
    static const size_t cache_bytes[] = { 0, 20000, 64 << 20 };
    for (uint32_t round = 0; round < 48; round++) {
        struct table_world v;
        table_world_init(&v, test_seed() + round, cache_bytes[round % 3]);
        const struct table_options options = {
            .block_bytes = block_bytes[round / 3 % 4],
            .filter_bits_per_key = filter_bits[round / 12 % 4],
            .compression = (enum compression)(round / 2 % 3),
        };
        const size_t ikey_len_max = round % 5 == 0 ? 300 : 24;
        table_world_make(&v, 1 + table_world_random(&v, 1200), ikey_len_max, 200);
        CHECK_OK(table_world_write(&v, &options));
        check_all(&v, ikey_len_max, 200);
        table_world_deinit(&v);
    }
}

TEST(table, holds_one_record) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 1, 10, 10);
    CHECK_OK(table_world_write(&v, &(struct table_options){ .filter_bits_per_key = 10 }));
    check_all(&v, 10, 200);
    table_world_deinit(&v);
}

/* Keys of 64 KiB that differ in the last byte, and values of 16 MiB. */
TEST(table, holds_the_largest_records) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 12, 10, 0);
    uint8_t *value = mem_alloc(VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < VALUE_BYTES_MAX; i++) value[i] = (uint8_t)table_world_random(&v, 256);
    for (size_t i = 0; i < v.count; i++) {
        uint8_t *p = arena_alloc_unaligned(&v.arena, IKEY_BYTES_MAX);
        memset(p, 'k', IKEY_BYTES_MAX);
        p[IKEY_BYTES_MAX - 1] = (uint8_t)i;
        v.records[i].ikey = bytes_of(p, IKEY_BYTES_MAX);
        if (v.records[i].flags == 0) v.records[i].value = bytes_of(value, VALUE_BYTES_MAX - i % 2);
    }
    for (uint32_t compression = 0; compression < 3; compression++) {
        const struct table_options options = { .filter_bits_per_key = 10,
                                               .compression = (enum compression)compression };
        CHECK_OK(table_world_write(&v, &options));
        check_all(&v, 10, 4);
    }
    mem_free(value);
    table_world_deinit(&v);
}

/* Index, filter and properties count against the cache's budget while it is open. */
TEST(table, reserves_its_memory_in_the_cache) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 1000, 20, 100);
    CHECK_OK(table_world_write(&v, &(struct table_options){ .filter_bits_per_key = 10 }));
    CHECK_OK(table_world_open(&v));
    CHECK(cache_stats(v.cache).bytes_reserved > v.count * 10 / 8);
    table_world_close(&v);
    CHECK_EQ(cache_stats(v.cache).bytes_reserved, 0);
    table_world_deinit(&v);
}

/* The file of a doomed table goes with its last reader, not before. */
TEST(table, is_removed_after_the_last_reader) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 100, 20, 100);
    CHECK_OK(table_world_write(&v, &(struct table_options){ 0 }));
    CHECK_OK(table_world_open(&v));
    table_retain(v.table);
    table_doom(v.table);
    table_release(v.table);
    CHECK(os_path_exists(v.os, TABLE_PATH));
    CHECK_OK(table_world_get(&v, v.records[0].ikey, true));
    table_world_close(&v);
    CHECK(!os_path_exists(v.os, TABLE_PATH));
    CHECK_STATUS(table_world_open(&v), ST_NOT_FOUND);
    table_world_deinit(&v);
}

static void pace(void *user, size_t bytes) {
    *(uint64_t *)user += bytes;
}

/* Every byte of the file is paced; the estimate is near the size. */
TEST(table, paces_every_byte_it_writes) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 20000, 60, 300);
    const struct table_options options = { .filter_bits_per_key = 10 };
    struct table_writer *w = NULL;
    uint64_t paced = 0;
    CHECK_OK(table_writer_create(v.os, TABLE_PATH, &options, pace, &paced, &w));
    for (size_t i = 0; i < v.count; i++) CHECK_OK(table_writer_add(w, &v.records[i]));
    const uint64_t estimate = table_writer_bytes(w);
    CHECK(paced > 0);
    CHECK_OK(table_writer_finish(w));
    table_writer_destroy(w);
    CHECK_OK(table_world_open(&v));
    const uint64_t file_bytes = table_properties(v.table)->file_bytes;
    CHECK_EQ(paced, file_bytes);
    CHECK(estimate < file_bytes + 4096);
    CHECK(estimate + 4096 > file_bytes);
    table_world_deinit(&v);
}

/* Reading past the cache leaves nothing in it. */
TEST(table, bypass_leaves_the_cache_alone) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 5000, 20, 100);
    const struct table_options options = { .compression = COMPRESSION_LZ4 };
    CHECK_OK(table_world_write(&v, &options));
    CHECK_OK(table_world_open(&v));
    struct table_iterator it;
    table_iterator_init(&it, v.table, true, true);
    CHECK_OK(table_world_scan(&v, &it, BYTES_NONE, v.count + 1));
    table_iterator_deinit(&it);
    CHECK_EQ(cache_stats(v.cache).blocks, 0);
    table_world_deinit(&v);
}

/* A writer that is not finished leaves no file; ikeys must rise. */
TEST(table, writer_removes_what_is_not_finished) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 3, 20, 100);
    struct table_writer *w = NULL;
    CHECK_OK(table_writer_create(v.os, TABLE_PATH, &(struct table_options){ 0 }, NULL, NULL, &w));
    CHECK_OK(table_writer_add(w, &v.records[1]));
    CHECK_ABORTS((void)!status_ok(table_writer_add(w, &v.records[1])));
    CHECK_ABORTS((void)!status_ok(table_writer_add(w, &v.records[0])));
    CHECK(os_path_exists(v.os, TABLE_PATH));
    table_writer_destroy(w);
    CHECK(!os_path_exists(v.os, TABLE_PATH));
    table_world_deinit(&v);
}
