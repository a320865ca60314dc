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
