#include "base/log.h"

#include "harness.h"

static char last_line[2 * LOG_LINE_BYTES_MAX];
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
