/* Sizes, rates and times are short, and no digit of theirs is out of its unit. */
#include "cli/figure.h"

#include "test/unit/harness.h"

#include <string.h>

TEST(figure, sizes) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.0 KiB" },
        { 1536, "1.5 KiB" },
        { 1048575, "1.0 MiB" },
        { 1048576, "1.0 MiB" },
        { UINT64_C(1) << 40, "1.0 TiB" },
        { UINT64_MAX - 1, "16.0 EiB" },
        { FIGURE_UNKNOWN, "?" },
    };
    char text[FIGURE_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK(strcmp(figure_print_size(rows[i].bytes, text), rows[i].text) == 0);
    CHECK(strcmp(figure_print_rate(52 * 1048576, text), "52.0 MiB/s") == 0);
}

TEST(figure, times) {
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        { 0, "0.0 s" },           { 999, "0.9 s" },
        { 9999, "9.9 s" },        { 10000, "10 s" },
        { 59999, "59 s" },        { 60000, "1 m 00 s" },
        { 3599999, "59 m 59 s" }, { 3600000, "1 h 00 m" },
        { 86400000, "1 d 0 h" },  { UINT64_MAX - 1, "213503982334 d 14 h" },
        { FIGURE_UNKNOWN, "?" },
    };
    char text[FIGURE_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK(strcmp(figure_print_time(rows[i].ms, text), rows[i].text) == 0);
}
