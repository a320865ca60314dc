/* Patterns of KEYS and SCAN: the cases of Redis, a plain recursive matcher agrees on
 * random ones, and many stars take no exponential time. */
#include "proto/resp.h"
#include "test/unit/harness.h"

static bool match(const char *pattern, const char *text) {
    return resp_glob_match(bytes_of_string(pattern), bytes_of_string(text));
}

TEST(glob, matches_as_redis_does) {
    CHECK(match("*", ""));
    CHECK(match("*", "anything"));
    CHECK(match("h?llo", "hello"));
    CHECK(!match("h?llo", "hllo"));
    CHECK(match("h*llo", "hllo"));
    CHECK(match("h*llo", "heeeello"));
    CHECK(match("h[ae]llo", "hallo"));
    CHECK(!match("h[ae]llo", "hillo"));
    CHECK(match("h[^e]llo", "hallo"));
    CHECK(!match("h[^e]llo", "hello"));
    CHECK(match("h[a-b]llo", "hbllo"));
    CHECK(match("h[b-a]llo", "hallo"));
    CHECK(!match("h[a-b]llo", "hcllo"));
    CHECK(match("a\\*c", "a*c"));
    CHECK(!match("a\\*c", "abc"));
    CHECK(match("[\\]]", "]"));
    CHECK(match("user:*:name", "user:7:name"));
    CHECK(!match("user:*:name", "user:7:names"));
    CHECK(!match("", "a"));
    CHECK(match("", ""));
    CHECK(match("a\\", "a\\"));
    CHECK(!match("abc", "ab"));
    CHECK(!match("ab", "abc"));
}

TEST(glob, takes_an_open_class_to_the_end) {
    CHECK(match("[abc", "b"));
    CHECK(!match("[abc", "d"));
    CHECK(match("[^abc", "d"));
    CHECK(!match("[", "a"));
    CHECK(match("[^", "a"));
    CHECK(match("[a-", "-"));
}

TEST(glob, takes_any_byte) {
    const struct bytes text = BYTES_LIT("a\0\xff\n");
    CHECK(resp_glob_match(BYTES_LIT("a???"), text));
    CHECK(resp_glob_match(BYTES_LIT("a\0\xff\n"), text));
    CHECK(resp_glob_match(BYTES_LIT("a[\x01-\xff\\\0]*"), text));
    CHECK(!resp_glob_match(BYTES_LIT("a"), text));
}

/* Stars and letters only, as slow and as plain as can be. */
static bool match_slowly(const char *p, const char *t) {
    if (*p == '\0') return *t == '\0';
    if (*p == '*') return match_slowly(p + 1, t) || (*t != '\0' && match_slowly(p, t + 1));
    if (*t == '\0') return false;
    return (*p == '?' || *p == *t) && match_slowly(p + 1, t + 1);
}

TEST(glob, agrees_with_a_recursive_matcher) {
    uint64_t x = test_seed() | 1;
    for (int i = 0; i < 20000; i++) {
        char pattern[8] = { 0 }, text[10] = { 0 };
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const size_t pattern_len = (x >> 33) % sizeof pattern;
        const size_t text_len = (x >> 40) % sizeof text;
        for (size_t j = 0; j < pattern_len; j++) pattern[j] = "ab*?"[x >> (2 * j) & 3];
        for (size_t j = 0; j < text_len; j++) text[j] = "ab"[x >> (20 + j) & 1];
        CHECK(match(pattern, text) == match_slowly(pattern, text));
    }
}

TEST(glob, is_not_exponential) {
    static char pattern[4001], text[20001];
    for (size_t i = 0; i < 4000; i += 2) memcpy(pattern + i, "*a", 2);
    pattern[3999] = 'b';
    memset(text, 'a', 20000);
    CHECK(!match(pattern, text));
}
