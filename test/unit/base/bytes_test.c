#include "base/bytes.h"

#include "base/cursor.h"
#include "base/status.h"
#include "harness.h"

/* Decimal text of the extremes is read exactly, and one past them is refused. */
TEST(bytes, reads_decimal_up_to_the_last_number) {
    int64_t i = 7;
    uint64_t u = 7;
    CHECK_OK(bytes_to_i64(BYTES_LIT("-9223372036854775808"), &i));
    CHECK(i == INT64_MIN);
    CHECK_OK(bytes_to_i64(BYTES_LIT("9223372036854775807"), &i));
    CHECK(i == INT64_MAX);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("9223372036854775808"), &i), ST_INVALID);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("-9223372036854775809"), &i), ST_INVALID);
    CHECK(i == INT64_MAX);
    CHECK_OK(bytes_to_u64(BYTES_LIT("18446744073709551615"), &u));
    CHECK(u == UINT64_MAX);
    CHECK_STATUS(bytes_to_u64(BYTES_LIT("18446744073709551616"), &u), ST_INVALID);
    CHECK_STATUS(bytes_to_u64(BYTES_LIT("99999999999999999999"), &u), ST_INVALID);
}

/* Anything but digits and one leading '-' is refused. */
TEST(bytes, refuses_text_that_is_no_number) {
    static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "--1", "1-", "0x1", "1.0", "a" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 0;
        CHECK_STATUS(bytes_to_i64(bytes_of_string(bad[i]), &value), ST_INVALID);
    }
    uint64_t value = 0;
    CHECK_STATUS(bytes_to_u64(BYTES_LIT("-1"), &value), ST_INVALID);
}

/* A varint takes the length it said it would and is read back as it was. */
TEST(bytes, varint_round_trip) {
    for (uint32_t bit = 0; bit < 64; bit++) {
        for (int64_t step = -1; step <= 1; step++) {
            const uint64_t value = (UINT64_C(1) << bit) + (uint64_t)step;
            uint8_t groups[10];
            const size_t len = put_varint(groups, value);
            CHECK_EQ(len, varint_len(value));
            struct cursor c = cursor_of(bytes_of(groups, len));
            CHECK_EQ(cursor_varint(&c), value);
            CHECK(cursor_done(&c));
        }
    }
    CHECK_EQ(varint_len(UINT64_MAX), 10);
}

/* Case is ignored for letters only, and a NUL byte is not the end of a word. */
TEST(bytes, compares_words_without_case) {
    CHECK(bytes_equal_nocase(BYTES_LIT("GeT"), "get"));
    CHECK(!bytes_equal_nocase(BYTES_LIT("gets"), "get"));
    CHECK(!bytes_equal_nocase(BYTES_LIT("ge"), "get"));
    CHECK(!bytes_equal_nocase(BYTES_LIT("get\0"), "get"));
    CHECK(!bytes_equal_nocase(BYTES_LIT("@"), "`"));
    CHECK(bytes_equal_nocase(BYTES_NONE, ""));
}

/* A prefix sorts before its extensions, and bytes are unsigned. */
TEST(bytes, order_is_bytewise) {
    CHECK(bytes_compare(BYTES_LIT("ab"), BYTES_LIT("abc")) < 0);
    CHECK(bytes_compare(BYTES_LIT("b"), BYTES_LIT("abc")) > 0);
    CHECK(bytes_compare(BYTES_LIT("\xff"), BYTES_LIT("a")) > 0);
    CHECK(bytes_compare(BYTES_NONE, BYTES_LIT("a")) < 0);
    CHECK(bytes_compare(BYTES_NONE, BYTES_NONE) == 0);
}

/* Two texts are never the same number, so that a counter read back is what was written. */
TEST(bytes, integers_have_one_form) {
    int64_t value = 0;
    CHECK_OK(bytes_to_i64(BYTES_LIT("0"), &value));
    CHECK_OK(bytes_to_i64(BYTES_LIT("-7"), &value));
    CHECK_EQ(value, -7);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("-0"), &value), ST_INVALID);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("007"), &value), ST_INVALID);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("-07"), &value), ST_INVALID);
    CHECK_STATUS(bytes_to_i64(BYTES_LIT("+7"), &value), ST_INVALID);
}
