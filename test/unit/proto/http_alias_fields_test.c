/* Forms and JSON objects are read as Go reads them: case, order, what is absent and what is
 * refused. */
#include "proto/http_alias_fields.h"

#include "test/unit/harness.h"

#define PAIR (ALIAS_FIELD(KEY) | ALIAS_FIELD(VALUE) | ALIAS_FIELD(TTL))

static struct alias_fields fields;

static enum status_code form(const char *text) {
    static uint8_t room[1000];
    return http_alias_read_form(bytes_of_string(text), room, &fields).code;
}

static bool has(enum alias_field field, const char *value) {
    return (fields.given >> field & 1) != 0 &&
           bytes_equal(fields.values[field], bytes_of_string(value));
}

TEST(http_alias_fields, reads_a_form) {
    CHECK_EQ(form("key=a+b&value=%41%2b&ttl="), ST_OK);
    CHECK(has(ALIAS_KEY, "a b"));
    CHECK(has(ALIAS_VALUE, "A+"));
    CHECK(has(ALIAS_TTL, ""));
    CHECK_EQ(fields.given, PAIR);
    CHECK_EQ(form(""), ST_OK);
    CHECK_EQ(fields.given, 0);
    CHECK_EQ(form("&&other=1&Key=x&key"), ST_OK);
    CHECK(has(ALIAS_KEY, ""));
    CHECK_EQ(fields.given, ALIAS_FIELD(KEY));
    CHECK_EQ(form("k%65y=first&key=second"), ST_OK);
    CHECK(has(ALIAS_KEY, "first"));
    CHECK_EQ(form("key=%zz"), ST_INVALID);
    CHECK_EQ(form("other=%4"), ST_INVALID);
    CHECK_EQ(form("%=1"), ST_INVALID);
}

static enum status_code json(const char *text, uint32_t wanted) {
    static json_t *root;
    json_decref(root);
    root = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CHECK(root != NULL);
    return http_alias_read_json(root, wanted, &fields).code;
}

TEST(http_alias_fields, reads_json_whatever_the_case) {
    CHECK_EQ(json("{\"Key\":\"k\",\"vAlUe\":\"v\",\"TTL\":\"5s\"}", PAIR), ST_OK);
    CHECK(has(ALIAS_KEY, "k") && has(ALIAS_VALUE, "v") && has(ALIAS_TTL, "5s"));
    CHECK_EQ(json("{\"key\":\"a\",\"KEY\":\"b\"}", PAIR), ST_OK);
    CHECK(has(ALIAS_KEY, "b"));
    CHECK_EQ(json("{\"key\":null,\"value\":\"\",\"more\":[1,{}]}", PAIR), ST_OK);
    CHECK_EQ(fields.given, ALIAS_FIELD(VALUE));
    CHECK_EQ(json("{\"ke\":\"a\",\"keys\":\"b\"}", PAIR), ST_OK);
    CHECK_EQ(fields.given, 0);
    CHECK_EQ(json("{}", PAIR), ST_OK);
    CHECK_EQ(json("{\"key\":\"a\\u0000b\"}", PAIR), ST_OK);
    CHECK_BYTES(fields.values[ALIAS_KEY], bytes_of("a\0b", 3));
}

TEST(http_alias_fields, refuses_other_types) {
    static const char *const bad[] = { "[]",
                                       "\"key\"",
                                       "null",
                                       "{\"key\":1}",
                                       "{\"key\":\"a\",\"value\":{}}",
                                       "{\"key\":\"a\",\"value\":true}",
                                       "{\"ttl\":60}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_EQ(json(bad[i], PAIR), ST_INVALID);
    /* What is not looked at may be anything. */
    CHECK_EQ(json("{\"key\":\"a\",\"value\":1}", ALIAS_FIELD(KEY)), ST_OK);
    CHECK_EQ(fields.given, ALIAS_FIELD(KEY));
}

TEST(http_alias_fields, reads_a_weight) {
    const uint32_t wanted = ALIAS_FIELD(URL) | ALIAS_FIELD(WEIGHT);
    CHECK_EQ(json("{\"url\":\"http://a:1\",\"Weight\":3}", wanted), ST_OK);
    CHECK(has(ALIAS_URL, "http://a:1"));
    CHECK_EQ(fields.weight, 3);
    CHECK_EQ(json("{\"url\":\"u\"}", wanted), ST_OK);
    CHECK_EQ(fields.weight, 0);
    CHECK_EQ(json("{\"weight\":-1}", wanted), ST_INVALID);
    CHECK_EQ(json("{\"weight\":1.0}", wanted), ST_INVALID);
    CHECK_EQ(json("{\"weight\":\"1\"}", wanted), ST_INVALID);
}
