/* What is typed with escapes is the bytes that are printed with them. */
#include "cli/command.h"

#include "test/unit/harness.h"

TEST(text, unescapes_keys) {
    uint8_t room[64];
    struct bytes out = BYTES_NONE;
    CHECK_OK(cli_unescape("a\\x00\\xFf\\t\\n\\r\\\\b", room, &out));
    CHECK_BYTES(out, BYTES_LIT("a\x00\xff\t\n\r\\b"));
    CHECK_STATUS(cli_unescape("\\", room, &out), ST_INVALID);
    CHECK_STATUS(cli_unescape("\\x0", room, &out), ST_INVALID);
    CHECK_STATUS(cli_unescape("\\q", room, &out), ST_INVALID);
}

/* The width of a column counts characters, not bytes, and stops at the limit. */
TEST(text, counts_columns) {
    CHECK_EQ(cli_escaped_width(BYTES_LIT("abc"), 0), 3);
    CHECK_EQ(cli_escaped_width(BYTES_LIT("a\tb\x01"), 0), 8);
    CHECK_EQ(cli_escaped_width(BYTES_LIT("\xc3\xa9\xe2\x82\xac"), 0), 2);
    CHECK_EQ(cli_escaped_width(BYTES_LIT("\xc3"), 0), 4);
    CHECK_EQ(cli_escaped_width(BYTES_LIT("0123456789"), 4), 4);
}
