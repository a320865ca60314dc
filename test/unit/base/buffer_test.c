#include "base/buffer.h"

#include "harness.h"
#include "sim/random.h"

/* Appends and consumes in any mix behave as one queue of bytes. */
TEST(buffer, is_a_queue_of_bytes) {
    struct sim_random r = sim_random_of(test_seed());
    struct buffer b;
    buffer_init(&b, 8192);
    uint64_t written = 0;
    uint64_t read = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        size_t len = sim_random_below(&r, 300);
        if (len > 8192 - buffer_len(&b)) len = 8192 - buffer_len(&b);
        uint8_t *room = buffer_reserve(&b, len);
        CHECK(room != NULL);
        for (size_t i = 0; i < len; i++) room[i] = (uint8_t)(written++ % 251);
        buffer_commit(&b, len);

        const size_t taken = sim_random_below(&r, buffer_len(&b) + 1);
        const struct bytes all = buffer_bytes(&b);
        for (size_t i = 0; i < taken; i++) CHECK_EQ(all.ptr[i], read++ % 251);
        buffer_consume(&b, taken);
        CHECK_EQ(buffer_len(&b), written - read);
        CHECK(b.capacity <= 8192);
    }
    CHECK(!b.overflowed);
    buffer_deinit(&b);
}

/* A write past the limit is refused whole and remembered until the reset. */
TEST(buffer, overflow_sticks) {
    struct buffer b;
    buffer_init(&b, 10);
    buffer_append_string(&b, "12345678");
    buffer_append_u32_le(&b, 1);
    CHECK(b.overflowed);
    CHECK_BYTES(buffer_bytes(&b), BYTES_LIT("12345678"));
    buffer_append_u8(&b, '9');
    CHECK(b.overflowed);
    buffer_reset(&b);
    CHECK(!b.overflowed);
    CHECK_EQ(buffer_len(&b), 0);
    CHECK(buffer_reserve(&b, SIZE_MAX) == NULL);
    buffer_deinit(&b);
}

/* Text appends print what printf would. */
TEST(buffer, prints_numbers) {
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_append_i64(&b, INT64_MIN);
    buffer_append_u8(&b, ' ');
    buffer_append_i64(&b, -1);
    buffer_append_u8(&b, ' ');
    buffer_append_u64(&b, UINT64_MAX);
    buffer_append_u8(&b, ' ');
    buffer_append_u64(&b, 0);
    buffer_printf(&b, " %s=%d", "x", 7);
    CHECK_BYTES(buffer_bytes(&b), BYTES_LIT("-9223372036854775808 -1 18446744073709551615 0 x=7"));
    buffer_deinit(&b);
}

/* Printing more than fits overflows and adds nothing. */
TEST(buffer, printf_overflow) {
    struct buffer b;
    buffer_init(&b, 16);
    buffer_printf(&b, "%0100d", 1);
    CHECK(b.overflowed);
    CHECK_EQ(buffer_len(&b), 0);
    buffer_deinit(&b);
}

/* Shrinking frees a large block and keeps a small one. */
TEST(buffer, shrink) {
    struct buffer b;
    buffer_init(&b, 1 << 20);
    CHECK_EQ(buffer_bytes(&b).len, 0);
    CHECK(buffer_reserve(&b, 0) != NULL);
    CHECK(buffer_reserve(&b, 100000) != NULL);
    buffer_shrink(&b, 1 << 20);
    CHECK(b.capacity >= 100000);
    buffer_shrink(&b, 4096);
    CHECK_EQ(b.capacity, 0);
    buffer_append_string(&b, "again");
    CHECK_BYTES(buffer_bytes(&b), BYTES_LIT("again"));
    buffer_deinit(&b);
}
