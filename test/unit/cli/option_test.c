/* Values as users write them, and what a wrong one is answered. */
#include "cli/option.h"

#include "test/unit/harness.h"

#include <stdio.h>
#include <string.h>

struct values {
    bool loud;
    uint64_t size, wait_ms, count;
    const char *name;
    struct option_choice mode;
};

static const struct option table[] = {
    { .name = "loud",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct values, loud),
      .fallback = "false",
      .help = "" },
    { .name = "size",
      .also = "bytes",
      .kind = OPTION_SIZE,
      .offset = offsetof(struct values, size),
      .fallback = "1KiB",
      .min = 1024,
      .max = 1 << 20,
      .or_zero = true,
      .help = "" },
    { .name = "wait",
      .kind = OPTION_TIME,
      .offset = offsetof(struct values, wait_ms),
      .fallback = "1s",
      .max = 60000,
      .help = "" },
    { .name = "count",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct values, count),
      .fallback = "3",
      .min = 1,
      .max = UINT64_MAX,
      .help = "" },
    { .name = "name",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct values, name),
      .fallback = "",
      .help = "" },
    { .name = "mode",
      .kind = OPTION_CHOICE,
      .offset = offsetof(struct values, mode),
      .fallback = "off",
      .min = 1,
      .max = 1000,
      .choices = "off|on|every=TIME",
      .help = "" },
};

static struct option_set set;
static struct values values;

static void begin(void) {
    option_set_init(&set, table, sizeof table / sizeof table[0], &values);
}

static struct status parse(int argc, char **argv) {
    begin();
    return option_parse(&set, argc, argv);
}
#define PARSE(...) \
    parse((int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)), (char *[]){ __VA_ARGS__ })

/* Sizes and times are read in every unit and written in the largest exact one. */
TEST(option, reads_units) {
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *spelling;
    } sizes[] = { { "67108864", 64u << 20, "64MiB" },
                  { "64M", 64u << 20, "64MiB" },
                  { "64mib", 64u << 20, "64MiB" },
                  { "1536k", 1536u << 10, "1536KiB" },
                  { "0", 0, "0" },
                  { "100b", 100, "100" } };
    char text[32];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t bytes = 0;
        CHECK_OK(option_decode_size(bytes_of_string(sizes[i].text), &bytes));
        CHECK_EQ(bytes, sizes[i].bytes);
        CHECK(strcmp(option_encode_size(bytes, text, sizeof text), sizes[i].spelling) == 0);
    }
    uint64_t value = 7;
    static const char *const bad[] = {
        "", "M", "-1", "1.5G", "64MB", "64 M", "99999999999999999999", "17179869184G"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STATUS(option_decode_size(bytes_of_string(bad[i]), &value), ST_INVALID);
    CHECK_EQ(value, 7);
    CHECK_OK(option_decode_time(BYTES_LIT("90s"), &value));
    CHECK_EQ(value, 90000);
    CHECK(strcmp(option_encode_time(value, text, sizeof text), "90s") == 0);
    CHECK(strcmp(option_encode_time(3600000, text, sizeof text), "1h") == 0);
    CHECK_STATUS(option_decode_time(BYTES_LIT("90"), &value), ST_INVALID);
    static const struct {
        const char *text;
        uint64_t ms;
    } times[] = { { "0", 0 },     { "0s", 0 },     { "1h30m", 5400000 }, { "1.5s", 1500 },
                  { "500us", 1 }, { "1ms1ns", 2 }, { "2m0.5s", 120500 } };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        CHECK_OK(option_decode_time(bytes_of_string(times[i].text), &value));
        CHECK_EQ(value, times[i].ms);
    }
    CHECK_STATUS(option_decode_time(BYTES_LIT("-1s"), &value), ST_INVALID);
    CHECK_STATUS(option_decode_time(BYTES_LIT("1d"), &value), ST_INVALID);
}

TEST(option, takes_words_in_every_spelling) {
    CHECK_OK(PARSE("-size", "2k", "a", "--loud", "--mode=every=5ms", "-", "--", "--wait"));
    CHECK_EQ(values.size, 2048);
    CHECK(values.loud);
    CHECK_EQ(values.mode.index, 2);
    CHECK_EQ(values.mode.time_ms, 5);
    CHECK_EQ(set.argument_count, 3);
    CHECK(strcmp(set.arguments[2], "--wait") == 0);
    CHECK_OK(PARSE("--bytes=0", "--loud=false", "--name="));
    CHECK_EQ(values.size, 0);
    CHECK(!values.loud);
    CHECK_OK(PARSE("-h"));
    CHECK(set.help);
}

TEST(option, says_what_is_allowed) {
    CHECK_STATUS(PARSE("--size=2M"), ST_INVALID);
    CHECK(strcmp(set.error,
                 "--size=2M is not allowed; allowed: 0 or 1KiB to 1MiB (as 64MiB, 64M or "
                 "67108864)") == 0);
    CHECK_EQ(values.size, 1024);
    CHECK_STATUS(PARSE("--count=0"), ST_INVALID);
    CHECK(strcmp(set.error, "--count=0 is not allowed; allowed: 1 or more") == 0);
    CHECK_STATUS(PARSE("--mode=every=2s"), ST_INVALID);
    CHECK(strcmp(set.error, "--mode=every=2s is not allowed; allowed: off, on, every=TIME") == 0);
    CHECK_STATUS(PARSE("--loud=maybe"), ST_INVALID);
    CHECK_STATUS(PARSE("--nmae=x"), ST_INVALID);
    CHECK(strcmp(set.error, "unknown option --nmae; did you mean --name?") == 0);
    CHECK_STATUS(PARSE("--zzz\x1b[31m"), ST_INVALID);
    CHECK(strstr(set.error, "\x1b") == NULL);
}

/* A weaker source never replaces a stronger one, but is still judged. */
TEST(option, keeps_the_stronger_source) {
    begin();
    CHECK_OK(option_put(&set, 3, OPTION_ARGUMENT, "count", BYTES_LIT("5")));
    CHECK_OK(option_put(&set, 3, OPTION_FILE, "count", BYTES_LIT("9")));
    CHECK_EQ(values.count, 5);
    CHECK_STATUS(option_put(&set, 3, OPTION_FILE, "count", BYTES_LIT("x")), ST_INVALID);
    CHECK(option_state_of(&set, "count")->source == OPTION_ARGUMENT);
}
