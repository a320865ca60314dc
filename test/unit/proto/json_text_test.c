/* Strings written by hand are what jansson writes, and what is no UTF-8 goes as base64. */
#include "proto/json_text.h"

#include <jansson.h>
#include <stdlib.h>

#include "test/unit/harness.h"

static void check_alike(struct bytes text, struct buffer *out) {
    json_t *json = json_stringn((const char *)text.ptr, text.len);
    CHECK(json != NULL);
    char *dump = json_dumps(json, JSON_ENCODE_ANY);
    CHECK(dump != NULL);
    buffer_reset(out);
    json_text_append(out, text);
    CHECK_BYTES(buffer_bytes(out), bytes_of_string(dump));
    free(dump);
    json_decref(json);
}

TEST(json_text, escapes_as_jansson_does) {
    struct buffer out;
    uint8_t all[128];
    buffer_init(&out, 1u << 20);
    for (unsigned i = 0; i < sizeof all; i++) all[i] = (uint8_t)i;
    check_alike(bytes_of(all, sizeof all), &out);
    check_alike(bytes_of(all, 0), &out);
    check_alike(BYTES_LIT("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \"\\/"), &out);
    static uint8_t large[10000];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i % 128);
    check_alike(bytes_of(large, sizeof large), &out);
    buffer_deinit(&out);
}

/* Every text of up to four bytes out of those that matter: jansson and we agree on what
 * is UTF-8. */
TEST(json_text, knows_utf8) {
    static const uint8_t some[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                    0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
    const size_t n = sizeof some;
    uint8_t text[12] = "........";
    for (size_t i = 0; i < n * n * n * n; i++) {
        const uint8_t four[] = { some[i % n], some[i / n % n], some[i / n / n % n],
                                 some[i / n / n / n] };
        memcpy(text + 6, four, sizeof four);
        json_t *json = json_stringn((const char *)text + 6, sizeof four);
        CHECK_EQ(json_text_is_utf8(bytes_of(text + 6, sizeof four)), json != NULL);
        CHECK_EQ(json_text_is_utf8(bytes_of(text, 10)), json != NULL);
        json_decref(json);
    }
}

TEST(json_text, writes_members) {
    struct buffer out;
    buffer_init(&out, 1000);
    json_text_append_member(&out, "key", BYTES_LIT("a\"b"));
    json_text_append_member(&out, "value", BYTES_LIT("\xff\xfe"));
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("\"key\":\"a\\\"b\"\"value_base64\":\"//4=\""));
    buffer_reset(&out);
    json_text_append_lossy(&out, BYTES_LIT("a\xff\xc3\xa9"));
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("\"a???\""));
    buffer_deinit(&out);
}

/* Byte for byte what encoding/json of Go writes for a string. */
TEST(json_text, escapes_as_go_does) {
    static const struct {
        struct bytes text;
        const char *json;
    } rows[] = {
        { BYTES_LIT(""), "\"\"" },
        { BYTES_LIT("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
        { BYTES_LIT("<a> & 'b'"), "\"\\u003ca\\u003e \\u0026 'b'\"" },
        { BYTES_LIT("\n\r\t\b\f"), "\"\\n\\r\\t\\b\\f\"" },
        { BYTES_LIT("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\"" },
        { BYTES_LIT("\0"), "\"\\u0000\"" },
        { BYTES_LIT("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { BYTES_LIT("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
          "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"" },
        { BYTES_LIT("\xff"
                    "a\xc3"),
          "\"\\ufffda\\ufffd\"" },
        { BYTES_LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
    };
    struct buffer out;
    buffer_init(&out, 1u << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buffer_reset(&out);
        json_text_append_go(&out, rows[i].text);
        CHECK_BYTES(buffer_bytes(&out), bytes_of_string(rows[i].json));
    }
    /* A sequence over the end of a piece stays whole. */
    static uint8_t large[5003];
    memset(large, 'x', sizeof large);
    memcpy(large + 4094, "\xf0\x9f\x98\x80", 4);
    buffer_reset(&out);
    json_text_append_go(&out, bytes_of(large, sizeof large));
    CHECK_EQ(buffer_len(&out), sizeof large + 2);
    CHECK_BYTES(bytes_of(buffer_bytes(&out).ptr + 1, sizeof large), bytes_of(large, sizeof large));
    memset(large, 0xff, sizeof large);
    buffer_reset(&out);
    json_text_append_go(&out, bytes_of(large, sizeof large));
    CHECK_EQ(buffer_len(&out), 6 * sizeof large + 2);
    buffer_deinit(&out);
}
