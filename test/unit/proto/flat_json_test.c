/* A flat object gives the same pairs in whatever pieces it comes, what is written is read back
 * byte for byte, and anything else is refused with its line. */
#include "proto/flat_json.h"

#include "test/unit/harness.h"

#include <stdio.h>
#include <string.h>

#define PAIRS_MAX 8u

struct read {
    uint32_t count;
    char texts[PAIRS_MAX][64]; /* "key=value@expiry" */
    enum status_code code;     /* of the end */
    char fault[128];
    uint64_t line;
};

/* Read `text`, of which `piece` more bytes are there each time that more is asked for. */
static struct read read_all(struct bytes text, size_t piece) {
    struct flat_json f;
    struct read r = { .count = 0 };
    size_t from = 0, have = 0;
    flat_json_init(&f);
    for (;;) {
        struct flat_json_pair pair;
        size_t used = 0;
        const bool ended = have == text.len;
        const struct status s =
            flat_json_next(&f, bytes_of(text.ptr + from, have - from), ended, &used, &pair);
        r.code = s.code;
        if (s.code != ST_OK && s.code != ST_WAIT) break;
        from += used;
        CHECK(from <= have);
        if (s.code == ST_WAIT) {
            CHECK(!ended);
            have = have + piece < text.len ? have + piece : text.len;
            continue;
        }
        CHECK(r.count < PAIRS_MAX);
        snprintf(r.texts[r.count++], sizeof r.texts[0], "%.*s=%.*s@%llu", (int)pair.key.len,
                 (const char *)pair.key.ptr, (int)pair.value.len, (const char *)pair.value.ptr,
                 (unsigned long long)pair.expires_at_ms);
    }
    if (r.code == ST_INVALID) snprintf(r.fault, sizeof r.fault, "%s", f.fault);
    r.line = f.line;
    flat_json_deinit(&f);
    return r;
}

TEST(flat_json, gives_the_pairs_in_any_pieces) {
    static const char text[] =
        "\xef\xbb\xbf {\n  \"a\" : \"1\",\n\"b\\\"}\":\"{\\n\\\\\" ,\"\":\"\",\n"
        "\"e\":{\"value\":\"x\",\"expires_at_ms\":7},"
        "\"shown\":{\"key_base64\":\"/w==\",\"value_base64\":\"AP8=\"}\n } \n\n";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        const struct read r = read_all(bytes_of(text, sizeof text - 1), piece);
        CHECK_EQ(r.code, ST_NOT_FOUND);
        CHECK_EQ(r.count, 5);
        CHECK(strcmp(r.texts[0], "a=1@0") == 0);
        CHECK(strcmp(r.texts[1], "b\"}={\n\\@0") == 0);
        CHECK(strcmp(r.texts[2], "=@0") == 0);
        CHECK(strcmp(r.texts[3], "e=x@7") == 0);
        CHECK(strncmp(r.texts[4], "\xff=", 2) == 0);
    }
    CHECK_EQ(read_all(BYTES_LIT("{}"), 1).code, ST_NOT_FOUND);
    CHECK_EQ(read_all(BYTES_LIT(" { } "), 1).code, ST_NOT_FOUND);
}

TEST(flat_json, refuses_the_rest) {
    static const struct {
        const char *text, *fault;
        uint64_t line;
    } rows[] = {
        { "", "the object is not complete", 1 },
        { "[]", "the text is no JSON object", 1 },
        { "{", "the object is not complete", 1 },
        { "{\"a\"", "the object is not complete", 1 },
        { "{\"a\":\"1\"", "the object is not complete", 1 },
        { "{\"a\":\"1\",}", "a name must be a string", 1 },
        { "{,\"a\":\"1\"}", "a name must be a string", 1 },
        { "{\"a\":\"1\"\n\"b\":\"2\"}", "a value must be followed by a comma or the end", 2 },
        { "{\"a\" \"1\"}", "a name must be followed by a colon", 1 },
        { "{\"a\":\"1\",\n\n\"b\":2}", "a value must be a string", 3 },
        { "{\"a\":[\"1\"]}", "a value must be a string", 1 },
        { "{\"a\":null}", "a value must be a string", 1 },
        { "{\"a\":{\"value\":{}}}", "a value is nested too deeply", 1 },
        { "{\"a\":{}}", "an object must have one value", 1 },
        { "{\"a\":{\"value\":\"1\",\"value_base64\":\"\"}}", "an object must have one value", 1 },
        { "{\"a\":{\"value\":1}}", "a value must be a string, or an object as export writes it",
          1 },
        { "{\"a\":{\"value\":\"1\",\"other\":\"\"}}",
          "a value must be a string, or an object as export writes it", 1 },
        { "{\"a\":{\"value\":\"1\",\"expires_at_ms\":-1}}",
          "a value must be a string, or an object as export writes it", 1 },
        { "{\"a\":{\"value_base64\":\"!\"}}", "base64 that cannot be decoded", 1 },
        { "{\"a\":{\"value_base64\":1}}", "base64 that cannot be decoded", 1 },
        { "{\"a\":\"\xff\"}", "malformed, or no UTF-8", 1 },
        { "{\"a\":\"\\x\"}", "malformed, or no UTF-8", 1 },
        { "{} x", "something follows the object", 1 },
        { "{\"a\":\"1\"}\n{", "something follows the object", 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct bytes text = bytes_of_string(rows[i].text);
        for (size_t piece = 1; piece <= text.len + 1; piece++) {
            const struct read r = read_all(text, piece);
            if (r.code != ST_INVALID || strcmp(r.fault, rows[i].fault) != 0 ||
                r.line != rows[i].line)
                printf("%s: %s, line %llu\n", rows[i].text, r.fault, (unsigned long long)r.line);
            CHECK_EQ(r.code, ST_INVALID);
            CHECK(strcmp(r.fault, rows[i].fault) == 0);
            CHECK_EQ(r.line, rows[i].line);
        }
    }
}

TEST(flat_json, reads_what_it_wrote) {
    static const struct flat_json_pair pairs[] = {
        { BYTES_LIT("a"), BYTES_LIT("1"), 0 },
        { BYTES_LIT("\"\\\n\0"), BYTES_LIT("<&>\xe2\x80\xa8"), 0 },
        { BYTES_LIT("base64:AAAA"), BYTES_LIT(""), 0 },
        { BYTES_LIT("\xff"), BYTES_LIT("text"), 0 },
        { BYTES_LIT("k"), BYTES_LIT("\x80\x00"), 0 },
        { BYTES_LIT("\xc3"), BYTES_LIT("\xff\xfe"), 1700000000000 },
        { BYTES_LIT("k2"), BYTES_LIT("v"), 1 },
    };
    struct buffer out;
    struct flat_json f;
    buffer_init(&out, 4096);
    buffer_append_u8(&out, '{');
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (i > 0) buffer_append_u8(&out, ',');
        flat_json_append(&out, &pairs[i]);
    }
    buffer_append_u8(&out, '}');
    flat_json_init(&f);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct flat_json_pair pair;
        size_t used = 0;
        CHECK_OK(flat_json_next(&f, buffer_bytes(&out), true, &used, &pair));
        CHECK_BYTES(pair.key, pairs[i].key);
        CHECK_BYTES(pair.value, pairs[i].value);
        CHECK_EQ(pair.expires_at_ms, pairs[i].expires_at_ms);
        buffer_consume(&out, used);
    }
    flat_json_deinit(&f);
    buffer_deinit(&out);
}
