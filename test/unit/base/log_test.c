#include "base/log.h"

#include "harness.h"

static char last_line[LOG_BODY_BYTES_MAX];
static uint32_t line_count;

static void keep_line(enum log_level level, const char *line) {
    (void)level;
    line_count++;
    memcpy(last_line, line, strlen(line) + 1);
}

/* Lines below the level never reach the sink, and without a sink nothing happens. */
TEST(log, level_and_sink) {
    line_count = 0;
    log_set_sink(keep_line);
    log_set_level(LOG_WARN);
    log_info("%d", 1);
    CHECK_EQ(line_count, 0);
    log_error("n=%d", 2);
    CHECK_EQ(line_count, 1);
    CHECK(strcmp(last_line, "n=2") == 0);
    log_set_level(LOG_INFO);
    CHECK_EQ(log_level_now(), LOG_INFO);
    log_set_sink(NULL);
    log_error("lost");
    CHECK_EQ(line_count, 1);
}

/* A line longer than the limit is cut and says so. */
TEST(log, long_lines_are_cut) {
    char text[LOG_LINE_BYTES_MAX + 100];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_set_sink(keep_line);
    log_info("%s", text);
    log_set_sink(NULL);
    CHECK_EQ(strlen(last_line), LOG_LINE_BYTES_MAX - 1);
    CHECK(strcmp(last_line + LOG_LINE_BYTES_MAX - 4, "...") == 0);
    CHECK_EQ(last_line[LOG_LINE_BYTES_MAX - 5], 'a');
}

/* Escaped text has no byte that could end a line or move a terminal. */
TEST(log, escape) {
    char text[64];
    CHECK(strcmp(log_escape(BYTES_LIT("a\n\x1b\\\0z\xff"), text, sizeof text),
                 "a\\x0a\\x1b\\x5c\\x00z\\xff") == 0);
    CHECK(strcmp(log_escape(BYTES_NONE, text, sizeof text), "") == 0);
    CHECK(strcmp(log_escape(BYTES_LIT("12345678"), text, 9), "12345678") == 0);
    CHECK(strcmp(log_escape(BYTES_LIT("123456789"), text, 9), "12345...") == 0);
    CHECK(strcmp(log_escape(BYTES_LIT("1234\n6789"), text, 9), "1234...") == 0);
    CHECK(strcmp(log_escape(BYTES_LIT("\n\n\n"), text, 4), "...") == 0);
}

/* At every size of the room the text ends within it. */
TEST(log, escape_fits_any_room) {
    for (size_t bytes = 4; bytes < 40; bytes++) {
        char text[64];
        memset(text, 'X', sizeof text);
        log_escape(BYTES_LIT("ab\ncd\nef\ngh\nij"), text, bytes);
        CHECK(strlen(text) < bytes);
        CHECK_EQ(text[bytes], 'X');
    }
}

/* Whatever is logged, no byte of it ends a line or moves a terminal. */
TEST(log, no_line_can_be_forged) {
    log_set_sink(keep_line);
    log_info("a %s b", "x\n2026-01-01 INFO forged\r\x1b[2J\x7f\x80");
    CHECK(strcmp(last_line, "a x\\x0a2026-01-01 INFO forged\\x0d\\x1b[2J\\x7f\\x80 b") == 0);
    for (int c = 1; c < 256; c++) {
        const char text[2] = { (char)c, '\0' };
        log_info("%s", text);
        for (const char *p = last_line; *p != '\0'; p++) CHECK(*p >= 0x20 && *p < 0x7f);
    }
    log_set_sink(NULL);
}

/* A line that is cut where an escape stands keeps whole escapes only. */
TEST(log, cuts_between_escapes) {
    char text[LOG_LINE_BYTES_MAX];
    log_set_sink(keep_line);
    for (size_t plain = LOG_LINE_BYTES_MAX - 12; plain < LOG_LINE_BYTES_MAX - 1; plain++) {
        memset(text, 'a', sizeof text);
        memset(text + plain, '\n', sizeof text - plain);
        text[sizeof text - 1] = '\0';
        log_info("%s", text);
        const size_t len = strlen(last_line);
        CHECK(len < LOG_LINE_BYTES_MAX);
        CHECK(strcmp(last_line + len - 3, "...") == 0);
        CHECK(last_line[len - 4] == 'a' || strncmp(last_line + len - 7, "\\x0a", 4) == 0);
    }
    log_set_sink(NULL);
}

static const struct log_field fields[] = {
    { .name = "key", .kind = LOG_FIELD_TEXT, .text = { (const uint8_t *)"a\" b=1\\\n", 8 } },
    { .name = "count", .kind = LOG_FIELD_NUMBER, .number = UINT64_MAX },
    { .name = "took_ms", .kind = LOG_FIELD_MS, .number = 1002003 },
};

/* A value that a client chose ends where it ends, in both formats. */
TEST(log, fields) {
    log_set_sink(keep_line);
    log_event(LOG_WARN, "slow \"request\"", fields, 3);
    CHECK(strcmp(last_line, "slow \"request\" key=\"a\\x22 b=1\\x5c\\x0a\" "
                            "count=18446744073709551615 took_ms=1002.003") == 0);
    log_set_format(LOG_JSON);
    log_event(LOG_WARN, "slow \"request\"", fields, 3);
    CHECK(strcmp(last_line,
                 "\"message\":\"slow \\\"request\\\"\",\"key\":\"a\\\" b=1\\\\x5c\\\\x0a\","
                 "\"count\":18446744073709551615,\"took_ms\":1002.003") == 0);
    log_set_format(LOG_TEXT);
    log_set_sink(NULL);
}

/* Fields that do not fit are left out as a whole; the line stays well-formed. */
TEST(log, fields_that_do_not_fit) {
    static const uint8_t many[1000] = { '"' };
    const struct log_field long_ones[] = {
        { .name = "a", .kind = LOG_FIELD_TEXT, .text = { many, sizeof many } },
        { .name = "b", .kind = LOG_FIELD_TEXT, .text = { many, sizeof many } },
        { .name = "c", .kind = LOG_FIELD_TEXT, .text = { many, sizeof many } },
        { .name = "d", .kind = LOG_FIELD_NUMBER, .number = 7 },
    };
    log_set_sink(keep_line);
    log_set_format(LOG_JSON);
    log_event(LOG_INFO, "m", long_ones, 4);
    log_set_format(LOG_TEXT);
    log_set_sink(NULL);
    const size_t len = strlen(last_line);
    CHECK(len < LOG_BODY_BYTES_MAX);
    CHECK(strstr(last_line, "\"a\":\"") != NULL);
    CHECK(strstr(last_line, "\"c\":") == NULL);
    CHECK(strcmp(last_line + len - 6, ",\"d\":7") == 0);
}

/* The longest message of what JSON must quote is whole. */
TEST(log, longest_message_in_json) {
    char text[LOG_LINE_BYTES_MAX];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_set_sink(keep_line);
    log_set_format(LOG_JSON);
    log_info("%s", text);
    log_set_format(LOG_TEXT);
    log_set_sink(NULL);
    CHECK_EQ(strlen(last_line), sizeof "\"message\":\"\"" - 1 + 2 * (sizeof text - 1));
}

TEST(log, level_names) {
    enum log_level level = LOG_INFO;
    for (uint32_t i = 0; i < LOG_LEVELS; i++) {
        CHECK(log_level_find(bytes_of_string(log_level_name((enum log_level)i)), &level));
        CHECK_EQ(level, i);
    }
    CHECK(!log_level_find(BYTES_LIT("warning"), &level));
    CHECK(!log_level_find(BYTES_NONE, &level));
    CHECK_EQ(level, LOG_ERROR);
}
