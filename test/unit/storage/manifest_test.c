/* The manifest keeps every durable edit, refuses what was damaged, and cuts only a torn tail. */
#include "storage/manifest.h"

#include "base/mem.h"
#include "sim/os_sim.h"
#include "test/unit/harness.h"

#include <string.h>

#define NUMBER 3u

static struct manifest_table a_table(uint64_t number, uint32_t level) {
    return (struct manifest_table){
        .number = number,
        .level = level,
        .file_bytes = 1000 + number,
        .records = 10,
        .tombstones = 3,
        .raw_bytes = 2000,
        .expiring = 2,
        .expires_min_ms = 1700000000000,
        .ballot_max = { 77, 1, 2 },
        .ikey_min = BYTES_LIT("\0\1aaa"),
        .ikey_max = BYTES_LIT("\0\1zzz"),
    };
}

static void append(struct buffer *file, const struct manifest_edit *edit) {
    manifest_edit_encode(edit, NUMBER, file);
}

static void append_seal(struct buffer *file) {
    const struct manifest_edit seal = { .seal_offset = buffer_len(file) };
    append(file, &seal);
}

/* A header with one table, and a seal; then an edit that replaces the table, and a seal. */
static void make_file(struct buffer *file, size_t *ret_first, size_t *ret_second) {
    struct manifest_edit head = { .file_number = NUMBER, .next_number = 9, .first_segment = 4 };
    struct manifest_edit next = { .next_number = 10, .first_segment = 5 };
    const struct manifest_table one = a_table(7, 0);
    const struct manifest_table two = a_table(9, 6);
    buffer_init(file, 1u << 20);
    manifest_edit_add(&head, &one);
    floors_raise(&head.floors, 2, (struct ballot){ 5, 1, 1 });
    append(file, &head);
    append_seal(file);
    *ret_first = buffer_len(file);
    manifest_edit_delete(&next, 0, 7);
    manifest_edit_add(&next, &two);
    append(file, &next);
    *ret_second = buffer_len(file);
    append_seal(file);
    manifest_edit_deinit(&head);
    manifest_edit_deinit(&next);
}

TEST(manifest, sums_up_all_edits) {
    struct buffer file;
    size_t first, second;
    struct manifest_state state = { 0 };
    struct manifest_fault fault;
    make_file(&file, &first, &second);
    CHECK_OK(manifest_load(buffer_bytes(&file), NUMBER, &state, &fault));
    CHECK_EQ(fault.offset, buffer_len(&file));
    CHECK_EQ(state.count, 1);
    CHECK_EQ(state.tables[0].number, 9);
    CHECK_EQ(state.tables[0].level, 6);
    CHECK_EQ(state.tables[0].ballot_max.boot, 2);
    CHECK_BYTES(state.tables[0].ikey_max, BYTES_LIT("\0\1zzz"));
    CHECK_EQ(state.next_number, 10);
    CHECK_EQ(state.first_segment, 5);
    CHECK_EQ(floors_get(&state.floors, 2).stamp, 5);
    manifest_state_deinit(&state);
    buffer_deinit(&file);
}

/* Cut anywhere in the last edit, the file says what it said before that edit. */
TEST(manifest, cuts_a_torn_tail) {
    struct buffer file;
    size_t first, second;
    make_file(&file, &first, &second);
    for (size_t len = 0; len < buffer_len(&file); len++) {
        struct manifest_state state = { 0 };
        struct manifest_fault fault;
        const struct status s = manifest_load(bytes_of(file.ptr, len), NUMBER, &state, &fault);
        if (len >= first) CHECK_OK(s);
        if (len >= first) CHECK_EQ(state.tables[0].number, len < second ? 7 : 9);
        manifest_state_deinit(&state);
    }
    buffer_deinit(&file);
}

/* Every bit of it: what a seal vouches for is ST_CORRUPT, the last seal may go. */
TEST(manifest, refuses_a_flipped_bit) {
    struct buffer file;
    size_t first, second;
    make_file(&file, &first, &second);
    for (size_t bit = 0; bit < 8 * buffer_len(&file); bit++) {
        struct manifest_state state = { 0 };
        struct manifest_fault fault;
        file.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const struct status s = manifest_load(buffer_bytes(&file), NUMBER, &state, &fault);
        if (bit / 8 < second) CHECK_EQ(s.code, ST_CORRUPT);
        if (bit / 8 < second) CHECK(fault.what != NULL && fault.offset <= bit / 8);
        if (bit / 8 >= second) CHECK_OK(s);
        manifest_state_deinit(&state);
        file.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_deinit(&file);
}

TEST(manifest, refuses_edits_that_contradict) {
    struct manifest_state state = { .next_number = 5, .first_segment = 3 };
    struct manifest_edit edit = { 0 };
    manifest_edit_delete(&edit, 0, 2);
    CHECK_STATUS(manifest_state_apply(&state, &edit), ST_CORRUPT);
    manifest_edit_deinit(&edit);
    const struct manifest_table t = a_table(5, 1);
    manifest_edit_add(&edit, &t);
    CHECK_STATUS(manifest_state_apply(&state, &edit),
                 ST_CORRUPT); /* its number is not below next */
    manifest_edit_deinit(&edit);
    edit.first_segment = 2;
    CHECK_STATUS(manifest_state_apply(&state, &edit), ST_CORRUPT);
    manifest_state_deinit(&state);
}

/* Written by another manifest, the same bytes are nothing. */
TEST(manifest, belongs_to_its_number) {
    struct buffer file;
    size_t first, second;
    struct manifest_state state = { 0 };
    struct manifest_fault fault;
    make_file(&file, &first, &second);
    CHECK_STATUS(manifest_load(buffer_bytes(&file), NUMBER + 1, &state, &fault), ST_CORRUPT);
    manifest_state_deinit(&state);
    buffer_deinit(&file);
}

/* Begun, appended to, begun anew, and opened each time. */
TEST(manifest, survives_on_disk) {
    struct sim_disk *disk = sim_disk_create(test_seed());
    struct os *os = sim_os_create(test_seed(), disk);
    struct manifest m = { .os = os, .dir = "/m" };
    struct manifest_state state = { 0 };
    struct manifest opened;
    struct buffer edits;
    CHECK_OK(os_dir_create(os, "/m"));
    CHECK_STATUS(manifest_open(os, "/m", &state, &opened), ST_NOT_FOUND);
    for (uint64_t number = 1; number <= 3; number++) {
        struct manifest_edit head = { .file_number = number, .next_number = 9, .first_segment = 4 };
        struct manifest_edit more = { .next_number = 20 + number };
        const struct manifest_table t = a_table(8, 2);
        manifest_edit_add(&head, &t);
        buffer_init(&edits, 1u << 20);
        manifest_edit_encode(&head, number, &edits);
        CHECK(manifest_must_rewrite(&m) == (number == 1));
        CHECK_OK(manifest_rewrite(&m, number, buffer_bytes(&edits)));
        buffer_reset(&edits);
        manifest_edit_encode(&more, number, &edits);
        CHECK_OK(manifest_append(&m, buffer_bytes(&edits)));
        CHECK_OK(manifest_open(os, "/m", &state, &opened));
        CHECK_EQ(opened.number, number);
        CHECK_EQ(state.next_number, 20 + number);
        CHECK_EQ(state.count, 1);
        CHECK(manifest_must_rewrite(&opened));
        manifest_state_deinit(&state);
        manifest_edit_deinit(&head);
        buffer_deinit(&edits);
    }
    manifest_close(&m);
    os_destroy(os);
    sim_disk_destroy(disk);
}

/* The number that is next after a crash that leaves what was durable only. */
static uint64_t next_after_crash(struct sim_disk *disk) {
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_LOSE_ALL, 1);
    struct os *os = sim_os_create(1, image);
    struct manifest_state state = { 0 };
    struct manifest opened;
    CHECK_OK(manifest_open(os, "/m", &state, &opened));
    const uint64_t number = state.next_number;
    manifest_state_deinit(&state);
    os_destroy(os);
    sim_disk_destroy(image);
    return number;
}

/* An edit that was written and not synced, or whose sync failed, is found by who starts after a
 * kill, and outlives the power from then on. */
TEST(manifest, settles_what_a_kill_left) {
    for (uint32_t sync_fails = 0; sync_fails < 2; sync_fails++) {
        struct sim_disk *disk = sim_disk_create(test_seed());
        struct os *os = sim_os_create(test_seed(), disk);
        struct manifest m = { .os = os, .dir = "/m" };
        const struct manifest_edit head = { .file_number = 1,
                                            .next_number = 9,
                                            .first_segment = 4 };
        const struct manifest_edit more = { .next_number = 20 };
        struct buffer edits;
        struct manifest_state state = { 0 };
        struct manifest opened;
        CHECK_OK(os_dir_create(os, "/m"));
        CHECK_OK(os_dir_sync(os, "/"));
        buffer_init(&edits, 1u << 20);
        manifest_edit_encode(&head, 1, &edits);
        CHECK_OK(manifest_rewrite(&m, 1, buffer_bytes(&edits)));
        CHECK_EQ(next_after_crash(disk), 9);

        buffer_reset(&edits);
        manifest_edit_encode(&more, 1, &edits);
        CHECK_OK(os_file_write(&m.file, m.bytes, buffer_bytes(&edits)));
        if (sync_fails) {
            sim_disk_fail_sync(disk);
            CHECK_STATUS(os_file_sync(&m.file), ST_IO);
        }
        CHECK_OK(manifest_open(os, "/m", &state, &opened));
        CHECK_EQ(state.next_number, 20);
        CHECK(opened.bytes_sealed < opened.bytes);
        CHECK_OK(manifest_settle(&opened));
        CHECK_EQ(next_after_crash(disk), 20);
        manifest_state_deinit(&state);
        buffer_deinit(&edits);
        manifest_close(&m);
        os_destroy(os);
        sim_disk_destroy(disk);
    }
}

/* Names are taken apart as they are put together. */
TEST(manifest, names_its_files) {
    uint64_t number = 0;
    CHECK(manifest_name_number("table-00000000000000ff", "table-", &number));
    CHECK_EQ(number, 255);
    CHECK(!manifest_name_number("table-00000000000000FF", "table-", &number));
    CHECK(!manifest_name_number("table-ff", "table-", &number));
    CHECK(!manifest_name_number("wal-00000000000000ff", "table-", &number));
}
