/* An image is what was put up to some moment after it was asked for, and stays so whatever is put,
 * compacted and truncated while it is read. */
#include "storage/engine_image.h"

#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#define KEYS 300u
#define LATER UINT64_C(100000)

static struct engine_world w;

static void put_all(uint64_t stamps_from, uint32_t count) {
    for (uint32_t key = 0; key < count; key++) {
        while (!status_ok(engine_world_put_stamp(&w, key, stamps_from + key)))
            engine_world_settle(&w);
        if (key % 7 == 0) engine_turn(w.engine);
    }
}

static void wait_until_due(uint64_t mark) {
    for (uint32_t i = 0; i < 10000; i++) {
        const struct status due = engine_image_due(w.engine, mark);
        if (status_ok(due)) return;
        CHECK_EQ(due.code, ST_WAIT);
        engine_turn(w.engine);
        engine_world_pump(&w, 8);
    }
    CHECK(false);
}

/* Stamps by key; 0 = it is not there. Records must come in order. */
static uint32_t read_all(struct engine_image *image, uint64_t stamps[KEYS]) {
    uint8_t space[IKEY_BYTES_MAX];
    struct buffer last;
    uint32_t count = 0;
    buffer_init(&last, IKEY_BYTES_MAX);
    memset(stamps, 0, KEYS * sizeof *stamps);
    CHECK_OK(engine_image_seek(image, BYTES_NONE));
    for (const struct record *r; (r = engine_image_record(image)) != NULL; count++) {
        CHECK(bytes_compare(buffer_bytes(&last), r->ikey) < 0);
        buffer_reset(&last);
        buffer_append(&last, r->ikey);
        for (uint32_t key = 0; key < KEYS; key++) {
            if (bytes_equal(engine_world_ikey(key, space), r->ikey)) stamps[key] = r->ballot.stamp;
        }
        CHECK_OK(engine_image_next(image));
    }
    buffer_deinit(&last);
    return count;
}

static void open_world(void) {
    engine_world_init(&w, NULL, test_seed());
    engine_world_options_small(&w);
    w.key_count = KEYS;
    CHECK_OK(engine_world_open(&w));
}

static void close_world(void) {
    engine_world_close(&w, false);
    engine_world_deinit(&w);
}

TEST(engine_image, is_a_prefix_of_the_writes) {
    static uint64_t stamps[KEYS];
    struct engine_image image = { 0 };
    open_world();
    put_all(1, KEYS);
    const uint64_t mark = engine_image_want(w.engine);
    engine_turn(w.engine);
    put_all(LATER, KEYS / 2);
    wait_until_due(mark);
    engine_image_init(&image, w.engine);
    put_all(2 * LATER, KEYS);
    engine_world_truncate(&w, 1, 3 * LATER);
    engine_compact_all(w.engine);
    engine_world_settle(&w);
    CHECK_EQ(read_all(&image, stamps), KEYS);
    uint32_t later = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        const bool is_later = stamps[key] == LATER + key;
        CHECK(is_later || stamps[key] == 1 + key);
        if (is_later) CHECK_EQ(later++, key);
    }
    CHECK(later <= KEYS / 2);
    engine_image_deinit(&image);
    engine_image_deinit(&image); /* nothing more to give back */
    close_world();
}

/* What a truncation covers is not in an image that is made after it. */
TEST(engine_image, leaves_out_what_was_truncated) {
    static uint64_t stamps[KEYS];
    struct engine_image image = { 0 };
    open_world();
    put_all(1, KEYS);
    engine_world_truncate(&w, 1, LATER);
    const uint64_t mark = engine_image_want(w.engine);
    wait_until_due(mark);
    engine_image_init(&image, w.engine);
    CHECK(read_all(&image, stamps) > 0);
    for (uint32_t key = 0; key < KEYS; key++)
        CHECK_EQ(stamps[key] != 0, engine_world_keyspace(key) != 1);
    engine_image_deinit(&image);
    engine_world_settle(&w);
    close_world();
}

/* With nothing in memory there is nothing to wait for. */
TEST(engine_image, is_due_at_once_when_all_is_in_tables) {
    open_world();
    CHECK_OK(engine_image_due(w.engine, engine_image_want(w.engine)));
    put_all(1, 10);
    const uint64_t mark = engine_image_want(w.engine);
    CHECK_STATUS(engine_image_due(w.engine, mark), ST_WAIT);
    wait_until_due(mark);
    CHECK_OK(engine_image_due(w.engine, engine_image_want(w.engine)));
    close_world();
}
