/* Whatever rots, is cut off or fails: a table says so or answers right, gives back all
 * its memory, and leaves no half-written file. (tidy: integration) */
#include "base/mem.h"
#include "harness.h"
#include "table_world.h"

/* Open and ask for everything; true if some call reported damage or failure. A wrong
 * answer fails the test. */
static bool reads_report(struct table_world *v, bool may_block, bool bypass) {
    bool reported = false;
    if (!status_ok(table_world_open(v))) return true;
    for (size_t i = 0; i < v->count; i++) {
        if (!status_ok(table_world_get(v, v->records[i].ikey, may_block))) reported = true;
    }
    struct table_iterator it;
    table_iterator_init(&it, v->table, may_block || bypass, bypass);
    if (!status_ok(table_world_scan(v, &it, BYTES_NONE, v->count + 1))) reported = true;
    table_iterator_deinit(&it);
    return reported;
}

/* One flipped bit in any byte is found by reading everything: all are under a checksum. */
TEST(table_fault, any_flipped_byte_is_found) {
    for (uint32_t compression = 0; compression < 3; compression++) {
        struct table_world v;
        table_world_init(&v, test_seed(), 4096);
        table_world_make(&v, 60, 12, 40);
        const struct table_options options = { .block_bytes = 1024,
                                               .filter_bits_per_key = 10,
                                               .compression = (enum compression)compression };
        CHECK_OK(table_world_write(&v, &options));
        struct bytes content;
        CHECK_OK(sim_disk_view(v.disk, TABLE_PATH, &content));
        const size_t len = content.len;
        for (size_t at = 0; at < len; at++) {
            const uint32_t bit = (uint32_t)table_world_random(&v, 8);
            CHECK_OK(sim_disk_flip(v.disk, TABLE_PATH, at, bit));
            CHECK(reads_report(&v, at % 2 == 0, at % 3 == 0));
            uint64_t bad = 0;
            if (v.table != NULL) CHECK_OK(table_verify(v.table, NULL, NULL, NULL, &bad));
            CHECK(v.table == NULL || bad > 0);
            CHECK_OK(sim_disk_flip(v.disk, TABLE_PATH, at, bit));
        }
        CHECK(!reads_report(&v, true, false));
        table_world_deinit(&v);
    }
}

/* A file that is cut off anywhere, or has more behind its end, does not open. */
TEST(table_fault, any_other_length_is_found) {
    struct table_world v;
    table_world_init(&v, test_seed(), 4096);
    table_world_make(&v, 40, 12, 40);
    CHECK_OK(table_world_write(&v, &(struct table_options){ .filter_bits_per_key = 10 }));
    struct os_file f;
    uint64_t len = 0;
    CHECK_OK(os_file_open(v.os, TABLE_PATH, OS_FILE_WRITE, &f));
    CHECK_OK(os_file_size(&f, &len));
    CHECK_OK(os_file_truncate(&f, len + 1));
    CHECK_STATUS(table_world_open(&v), ST_CORRUPT);
    while (len > 0) {
        CHECK_OK(os_file_truncate(&f, --len));
        CHECK_STATUS(table_world_open(&v), ST_CORRUPT);
    }
    os_file_close(&f);
    table_world_deinit(&v);
}

/* A block of another table at the same offset has the wrong uid. */
TEST(table_fault, a_misplaced_block_is_found) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 100, 8, 0);
    for (size_t i = 0; i < v.count; i++) {
        static uint8_t values[100][1000];
        memset(values[i], (int)i, sizeof values[i]);
        v.records[i].flags = 0;
        v.records[i].value = bytes_of(values[i], 1000);
    }
    const struct table_options options = { .block_bytes = 1024 };
    CHECK_OK(table_world_write(&v, &options));
    struct bytes content;
    CHECK_OK(sim_disk_view(v.disk, TABLE_PATH, &content));
    uint8_t *old = mem_alloc(content.len);
    memcpy(old, content.ptr, content.len);
    const size_t half = content.len / 2;
    CHECK_OK(table_world_write(&v, &options)); /* the same records, another uid */
    struct os_file f;
    CHECK_OK(os_file_open(v.os, TABLE_PATH, OS_FILE_WRITE, &f));
    CHECK_OK(os_file_write(&f, 0, bytes_of(old, half)));
    os_file_close(&f);
    CHECK_OK(table_world_open(&v));
    CHECK_STATUS(table_world_get(&v, v.records[0].ikey, true), ST_CORRUPT);
    CHECK_OK(table_world_get(&v, v.records[v.count - 1].ikey, true));
    mem_free(old);
    table_world_deinit(&v);
}

/* Every call of the writer fails once: it says so, and no file is left. */
TEST(table_fault, each_failure_of_the_writer_leaves_nothing) {
    static const enum status_code codes[] = { ST_IO, ST_FULL };
    for (uint32_t c = 0; c < 2; c++) {
        struct table_world v;
        table_world_init(&v, test_seed(), 1 << 20);
        table_world_make(&v, 12000, 60, 400);
        uint32_t nth = 0;
        for (;;) {
            sim_disk_fail_call(v.disk, ++nth, codes[c]);
            const struct status s = table_world_write(&v, &(struct table_options){ 0 });
            const bool was_hit = !sim_disk_fail_is_pending(v.disk);
            sim_disk_fail_call(v.disk, 0, ST_IO);
            if (!was_hit) {
                CHECK_OK(s);
                break;
            }
            CHECK_STATUS(s, codes[c]);
            CHECK(!os_path_exists(v.os, TABLE_PATH));
        }
        CHECK(nth > 3);
        CHECK(!reads_report(&v, true, false));
        table_world_deinit(&v);
    }
}

/* The disk fills up at any size: the same. */
TEST(table_fault, a_full_disk_leaves_nothing) {
    struct table_world v;
    table_world_init(&v, test_seed(), 1 << 20);
    table_world_make(&v, 6000, 60, 400);
    for (uint64_t bytes = 0; bytes < 1000000; bytes += 99991) {
        sim_disk_set_capacity(v.disk, bytes);
        CHECK_STATUS(table_world_write(&v, &(struct table_options){ 0 }), ST_FULL);
        CHECK(!os_path_exists(v.os, TABLE_PATH));
    }
    sim_disk_set_capacity(v.disk, SIM_DISK_UNLIMITED);
    CHECK_OK(table_world_write(&v, &(struct table_options){ 0 }));
    CHECK(!reads_report(&v, true, false));
    table_world_deinit(&v);
}

/* Every call of a reader fails once: it says so or asks again, and the next one works. */
TEST(table_fault, each_failure_of_a_reader_passes) {
    struct table_world v;
    table_world_init(&v, test_seed(), 0);
    table_world_make(&v, 200, 12, 100);
    CHECK_OK(table_world_write(&v, &(struct table_options){ .filter_bits_per_key = 10 }));
    for (uint32_t mode = 0; mode < 3; mode++) {
        uint32_t asked_again = 0;
        for (uint32_t nth = 1;; nth++) {
            sim_disk_fail_call(v.disk, nth, ST_IO);
            const bool reported = reads_report(&v, mode > 0, mode > 1);
            const bool was_hit = !sim_disk_fail_is_pending(v.disk);
            sim_disk_fail_call(v.disk, 0, ST_IO);
            CHECK(was_hit || !reported);
            asked_again += was_hit && !reported;
            CHECK(v.table == NULL || !table_is_suspect(v.table));
            if (!was_hit) break;
        }
        CHECK(asked_again > 4); /* footer, three parts, and blocks */
    }
    table_world_deinit(&v);
}

/* A sector that the disk cannot read, wherever it lies, is damage; once it is written it is none. */
TEST(table_fault, what_the_disk_cannot_read_is_damage) {
    struct table_world v;
    table_world_init(&v, test_seed(), 4096);
    table_world_make(&v, 200, 12, 100);
    const struct table_options options = { .block_bytes = 1024, .filter_bits_per_key = 10 };
    CHECK_OK(table_world_write(&v, &options));
    struct bytes content;
    CHECK_OK(sim_disk_view(v.disk, TABLE_PATH, &content));
    const size_t len = content.len;
    uint32_t opened = 0;
    for (size_t at = 0; at < len; at += SIM_SECTOR_BYTES) {
        CHECK_OK(sim_disk_spoil(v.disk, TABLE_PATH, at));
        CHECK(reads_report(&v, at % 1024 == 0, at % 1536 == 0));
        if (v.table == NULL) {
            CHECK_STATUS(table_world_open(&v), ST_IO); /* the disk may be back later */
            continue;
        }
        opened++;
        CHECK(table_is_suspect(v.table));
        uint64_t bad = 0;
        CHECK_OK(table_verify(v.table, NULL, NULL, NULL, &bad));
        CHECK(bad > 0);
    }
    CHECK(opened > 4);
    CHECK_OK(table_world_write(&v, &options));
    CHECK(!reads_report(&v, true, false));
    table_world_deinit(&v);
}

/* Who reads many blocks at once still gets those before the one that cannot be read. */
TEST(table_fault, blocks_before_a_bad_sector_are_read) {
    struct table_world v;
    table_world_init(&v, test_seed(), 4096);
    table_world_make(&v, 200, 12, 100);
    CHECK_OK(table_world_write(&v, &(struct table_options){ .block_bytes = 1024 }));
    CHECK_OK(table_world_open(&v));
    struct table_iterator it;
    table_iterator_init(&it, v.table, true, true);
    CHECK_OK(table_world_scan(&v, &it, BYTES_NONE, v.count + 1));
    table_iterator_deinit(&it);
    CHECK_OK(sim_disk_spoil(v.disk, TABLE_PATH, 5000));
    table_iterator_init(&it, v.table, true, true);
    uint32_t count = 0;
    struct status s = table_iterator_seek(&it, BYTES_NONE);
    while (status_ok(s) && it.valid) {
        count++;
        s = table_iterator_next(&it);
    }
    CHECK_STATUS(s, ST_CORRUPT);
    CHECK(count > 10);
    table_iterator_deinit(&it);
    table_world_deinit(&v);
}
