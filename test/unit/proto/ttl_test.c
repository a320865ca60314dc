/* Times to live: seconds and Go durations, rounded up to a millisecond; never zero, negative
 * or beyond the limit. */
#include "proto/ttl.h"

#include "test/unit/harness.h"

static uint64_t ms(const char *text) {
    uint64_t value = 0;
    return status_ok(ttl_parse(bytes_of_string(text), &value)) ? value : 0;
}

TEST(ttl, reads_seconds_and_durations) {
    CHECK_EQ(ms("60"), 60000);
    CHECK_EQ(ms("1.5"), 1500);
    CHECK_EQ(ms("60s"), 60000);
    CHECK_EQ(ms("1500ms"), 1500);
    CHECK_EQ(ms("1h30m"), 5400000);
    CHECK_EQ(ms("2.5s"), 2500);
    CHECK_EQ(ms(".5s"), 500);
    CHECK_EQ(ms("1h1m1s1ms"), 3661001);
    CHECK_EQ(ms("1ns"), 1);
    CHECK_EQ(ms("1us"), 1);
    CHECK_EQ(ms("1500\xc2\xb5s"), 2);
    CHECK_EQ(ms("1500\xce\xbcs"), 2);
    CHECK_EQ(ms("1.0000000000000000000001s"), 1000);
    CHECK_EQ(ms("876000h"), TTL_MS_MAX);
}

TEST(ttl, refuses_the_rest) {
    static const char *const bad[] = { "",
                                       "0",
                                       "0s",
                                       "-5",
                                       "-5s",
                                       "+5",
                                       "1d",
                                       "s",
                                       ".",
                                       ".s",
                                       "1h30",
                                       "5 s",
                                       " 5",
                                       "1e3",
                                       "1m-1s",
                                       "876000h1ms",
                                       "inf",
                                       "1.2.3",
                                       "99999999999999999999",
                                       "300000000000000000",
                                       "1S",
                                       "1..5s" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_EQ(ms(bad[i]), 0);
    uint64_t value = 0;
    CHECK_STATUS(ttl_parse(BYTES_LIT("5s\0"), &value), ST_INVALID);
}

static int64_t ns(const char *text) {
    int64_t value = INT64_MIN + 1;
    return status_ok(ttl_parse_duration(bytes_of_string(text), &value)) ? value : INT64_MIN + 1;
}

/* The grammar of Go's time.ParseDuration: a sign, then 0 or numbers that each have a unit. */
TEST(ttl, reads_durations_as_go_does) {
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        { "0", 0 },
        { "-0", 0 },
        { "+0", 0 },
        { "0s", 0 },
        { "5s", 5000000000 },
        { "-5s", -5000000000 },
        { "+5s", 5000000000 },
        { "1500ms", 1500000000 },
        { "1h30m", 5400000000000 },
        { "1.5h", 5400000000000 },
        { ".5s", 500000000 },
        { "1.s", 1000000000 },
        { "3us", 3000 },
        { "3\xc2\xb5s", 3000 },
        { "1h1m1s1ms1us1ns", 3661001001001 },
        { "1ns", 1 },
        { "0.9ns", 0 },
        { "9223372036854775807ns", INT64_MAX },
        { "-9223372036854775808ns", INT64_MIN },
        { "2562047h47m16.854775807s", INT64_MAX },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(ns(good[i].text) == good[i].ns);

    static const char *const bad[] = {
        "",
        "60",
        "1d",
        "s",
        ".",
        ".s",
        "+",
        "-",
        "--5s",
        "5 s",
        " 5s",
        "5s ",
        "1h5",
        "5S",
        "1e3s",
        "1_0s",
        "+.s",
        "0x1s",
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "2562048h",
        "99999999999999999999s",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(ns(bad[i]) == INT64_MIN + 1);
    int64_t value = 7;
    CHECK_STATUS(ttl_parse_duration(bytes_of("5s\0", 3), &value), ST_INVALID);
    CHECK_EQ(value, 7);
}
