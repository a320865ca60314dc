#include "base/cursor.h"

#include "base/buffer.h"
#include "harness.h"

/* What a buffer's appends wrote, a cursor reads back, and then it is done. */
TEST(cursor, reads_what_a_buffer_wrote) {
    struct buffer b;
    buffer_init(&b, 1024);
    buffer_append_u8(&b, 0xab);
    buffer_append_u16_le(&b, 0xcafe);
    buffer_append_u32_le(&b, 0xdeadbeef);
    buffer_append_u64_le(&b, UINT64_C(0x0123456789abcdef));
    buffer_append_varint(&b, 300);
    buffer_append_string(&b, "tail");

    struct cursor c = cursor_of(buffer_bytes(&b));
    CHECK_EQ(cursor_u8(&c), 0xab);
    CHECK_EQ(cursor_u16_le(&c), 0xcafe);
    CHECK_EQ(cursor_u32_le(&c), 0xdeadbeef);
    CHECK_EQ(cursor_u64_le(&c), UINT64_C(0x0123456789abcdef));
    CHECK_EQ(cursor_varint(&c), 300);
    CHECK_BYTES(cursor_take(&c, 4), BYTES_LIT("tail"));
    CHECK(cursor_done(&c));
    buffer_deinit(&b);
}

/* The first read past the end sticks: later reads give zero even where bytes are. */
TEST(cursor, failure_sticks) {
    struct cursor c = cursor_of(BYTES_LIT("\x01\x02\x03"));
    CHECK_EQ(cursor_u16_le(&c), 0x0201);
    CHECK_EQ(cursor_u32_le(&c), 0);
    CHECK(c.failed);
    CHECK_EQ(cursor_u8(&c), 0);
    CHECK_EQ(cursor_take(&c, 1).len, 0);
    CHECK(!cursor_done(&c));
}

/* A byte at or above the end of its range is refused, and one below is given. */
TEST(cursor, bounds_a_byte) {
    struct cursor c = cursor_of(BYTES_LIT("\x02\x03\x04"));
    CHECK_EQ(cursor_u8_below(&c, 3), 2);
    CHECK_EQ(cursor_u8_below(&c, 4), 3);
    CHECK(!c.failed);
    CHECK_EQ(cursor_u8_below(&c, 4), 0);
    CHECK(c.failed);
}

/* No length, however large, reaches past the input. */
TEST(cursor, huge_length_fails) {
    struct cursor c = cursor_of(BYTES_LIT("abc"));
    CHECK_EQ(cursor_take(&c, SIZE_MAX).len, 0);
    CHECK(c.failed);
}

/* A varint of eleven bytes, one past 64 bits, and one cut short are all refused. */
TEST(cursor, refuses_bad_varints) {
    static const char *const bad[] = {
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        "\x80",
        "",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cursor c = cursor_of(bytes_of_string(bad[i]));
        CHECK_EQ(cursor_varint(&c), 0);
        CHECK(c.failed);
    }
}
