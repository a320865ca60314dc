/* A batch: items become requests in order or nothing is done at all, and results come back
 * in the same order with a status each. */
#include "http_test_support.h"

#include <jansson.h>

static enum status_code post(struct talk *t, struct bytes body) {
    static struct buffer in;
    if (in.bytes_max == 0) buffer_init(&in, 1u << 26);
    buffer_reset(&in);
    buffer_printf(&in, "POST /v1/batch?level=one HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n",
                  body.len);
    buffer_append(&in, body);
    return talk_send(t, buffer_bytes(&in));
}

TEST(http_batch, reads_items) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(
        post(&t, BYTES_LIT("{\"items\":[{\"key\":\"a\",\"value\":\"\\u0000\\u00e9\",\"ttl\":1.5},"
                           "{\"key_base64\":\"/wA=\"},{\"op\":\"delete\",\"key\":\"c\","
                           "\"if_match\":\"1f.2.3\"},{\"op\":\"put\",\"key\":\"d\","
                           "\"value_base64\":\"gA==\",\"ttl\":\"1m\",\"if_none_match\":\"*\"}]}")),
        ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
    CHECK_EQ(t.plan.request_count, 4);
    const struct request *r = t.plan.requests;
    CHECK_EQ(r[0].op, OP_PUT);
    CHECK_BYTES(r[0].value, BYTES_LIT("\0\xc3\xa9"));
    CHECK_EQ(r[0].expires_at_ms, TALK_NOW_MS + 1500);
    CHECK_EQ(r[0].level, LEVEL_ONE);
    CHECK_EQ(r[1].op, OP_GET);
    CHECK_BYTES(r[1].key, BYTES_LIT("\xff\0"));
    CHECK_EQ(r[2].op, OP_DELETE);
    CHECK_EQ(r[2].condition, COND_VERSION_IS);
    CHECK_EQ(r[2].version.stamp, 0x1f);
    CHECK_BYTES(r[3].value, BYTES_LIT("\x80"));
    CHECK_EQ(r[3].condition, COND_ABSENT);
    CHECK_EQ(r[3].expires_at_ms, TALK_NOW_MS + 60000);

    const struct response responses[] = {
        { .outcome = OUT_OK, .version = { 1, 1, 1 } },
        { .outcome = OUT_OK,
          .version = { 2, 1, 1 },
          .value = BYTES_LIT("\xff"),
          .expires_at_ms = 5 },
        { .outcome = OUT_CONDITION_FAILED, .version = { 3, 1, 1 } },
        { .outcome = OUT_TIMEOUT },
    };
    buffer_reset(&t.out);
    http_encode(&t.plan, responses, TALK_NOW_MS, &t.out);
    CHECK(talk_has(&t, "{\"results\":[\n{\"status\":200,\"version\":\"1.1.1\"},\n"
                       "{\"status\":200,\"version\":\"2.1.1\",\"value_base64\":\"/w==\","
                       "\"expires_at_ms\":5},\n{\"status\":412,\"version\":\"3.1.1\",\"error\":"));
    CHECK(talk_has(&t, "\n{\"status\":504,\"error\":{\"code\":\"timeout\""));
    CHECK(talk_has(&t, "\"outcome\":\"maybe\"}}\n]}\n"));
    talk_close(&t);
}

/* An item says of its replicas what a request of its own would have been told. */
TEST(http_batch, speaks_of_replicas) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(post(&t, BYTES_LIT("{\"items\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\"},"
                                "{\"op\":\"delete\",\"key\":\"a\"},"
                                "{\"op\":\"delete\",\"key\":\"a\"}]}")),
             ST_OK);
    const struct response responses[] = {
        { .outcome = OUT_QUORUM, .acks = 1, .needed = 2, .replicas = 3 },
        { .outcome = OUT_QUORUM, .acks = 1, .needed = 2, .replicas = 3 },
        { .outcome = OUT_OK, .existed = true, .version = { 9, 1, 1 }, .acks = 2, .replicas = 3 },
        { .outcome = OUT_CLOCK },
    };
    http_encode(&t.plan, responses, TALK_NOW_MS, &t.out);
    CHECK(talk_has(&t, "{\"status\":503,\"acks\":\"1/3\",\"error\":{\"code\":"
                       "\"quorum_unavailable\",\"message\":\"1 of 3 replicas answered, the level "
                       "needs 2; the write may or may not have happened\",\"acks\":1,\"needed\":2,"
                       "\"replicas\":3,\"outcome\":\"maybe\"}},\n"));
    CHECK(talk_has(&t, "the level needs 2\",\"acks\":1,\"needed\":2,\"replicas\":3}},\n"));
    CHECK(talk_has(&t, "{\"status\":200,\"existed\":true,\"version\":\"9.1.1\","
                       "\"acks\":\"2/3\"},\n"));
    CHECK(talk_has(&t, "{\"status\":503,\"error\":{\"code\":\"clock_skew\""));
    json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, 0, NULL);
    CHECK(json != NULL);
    json_decref(json);
    talk_close(&t);
}

TEST(http_batch, refuses_the_whole_for_one_bad_item) {
    static const char *const bad[][2] = {
        { "", "no JSON" },
        { "[]", "the body must be" },
        { "{\"items\":{}}", "the body must be" },
        { "{\"items\":[],\"x\":1}", "the body must be" },
        { "{\"items\":[{\"key\":\"a\"},7]}", "items[1]: must be an object" },
        { "{\"items\":[{}]}", "needs key or key_base64" },
        { "{\"items\":[{\"key\":\"\"}]}", "a key has 1 to 65535 bytes" },
        { "{\"items\":[{\"key\":1}]}", "only ttl may be no string" },
        { "{\"items\":[{\"key\":\"a\",\"key\":\"b\"}]}", "no JSON" },
        { "{\"items\":[{\"key\":\"a\",\"key_base64\":\"YQ\"}]}", "has the same thing twice" },
        { "{\"items\":[{\"key_base64\":\"Y\"}]}", "cannot be decoded" },
        { "{\"items\":[{\"key\":\"a\",\"valve\":\"b\"}]}", "may only have op" },
        { "{\"items\":[{\"key\":\"a\",\"op\":\"incr\"}]}", "op must be put, get or delete" },
        { "{\"items\":[{\"key\":\"a\",\"op\":\"put\"}]}", "a put needs value" },
        { "{\"items\":[{\"key\":\"a\",\"op\":\"get\",\"value\":\"\"}]}",
          "only a put takes a value" },
        { "{\"items\":[{\"key\":\"a\",\"ttl\":5}]}", "only a put takes a ttl" },
        { "{\"items\":[{\"key\":\"a\",\"value\":\"\",\"ttl\":0}]}", "ttl must be" },
        { "{\"items\":[{\"key\":\"a\",\"value\":\"\",\"ttl\":-1}]}", "ttl must be" },
        { "{\"items\":[{\"key\":\"a\",\"value\":\"\",\"ttl\":[]}]}", "ttl must be" },
        { "{\"items\":[{\"key\":\"a\",\"if_match\":\"*\"}]}", "a get takes no condition" },
        { "{\"items\":[{\"key\":\"a\",\"value\":\"\",\"if_match\":\"x\"}]}", "if_match must be" },
        { "{\"items\":[{\"key\":\"\xff\"}]}", "no JSON" },
        { "[[[[[", "nested too deeply" },
    };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(post(&t, bytes_of_string(bad[i][0])), ST_OK);
        CHECK_EQ(t.plan.kind, PLAN_REPLIED);
        CHECK(talk_has(&t, "400 Bad Request"));
        CHECK(talk_has(&t, bad[i][1]));
    }
    CHECK_EQ(post(&t, BYTES_LIT("{\"items\":[]}")), ST_OK);
    CHECK(talk_has(&t, "{\"results\":[]}"));
    talk_close(&t);
}

TEST(http_batch, limits_items_and_values) {
    struct talk t;
    struct buffer body;
    talk_open(&t);
    buffer_init(&body, 1u << 25);
    buffer_append_string(&body, "{\"items\":[{\"key\":\"a\"}");
    for (unsigned i = 1; i < PLAN_REQUESTS_MAX; i++)
        buffer_append_string(&body, ",{\"key\":\"a\"}");
    const size_t fits = buffer_len(&body);
    buffer_append_string(&body, "]}");
    CHECK_EQ(post(&t, buffer_bytes(&body)), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
    CHECK_EQ(t.plan.request_count, PLAN_REQUESTS_MAX);
    body.end = fits;
    buffer_append_string(&body, ",{\"key\":\"a\"}]}");
    CHECK_EQ(post(&t, buffer_bytes(&body)), ST_OK);
    CHECK(talk_has(&t, "\"too_many_items\""));
    buffer_reset(&body);
    buffer_append_string(&body, "{\"items\":[0");
    for (unsigned i = 0; i < 1000000; i++) buffer_append_string(&body, ",0");
    CHECK_EQ(post(&t, buffer_bytes(&body)), ST_OK);
    CHECK(talk_has(&t, "too many values"));
    buffer_reset(&body);
    buffer_append_string(&body, "{\"items\":[{\"key\":\"a\",\"value\":\"");
    for (unsigned i = 0; i <= TALK_VALUE_BYTES_MAX; i++) buffer_append_u8(&body, 'x');
    buffer_append_string(&body, "\"}]}");
    CHECK_EQ(post(&t, buffer_bytes(&body)), ST_OK);
    CHECK(talk_has(&t, "the value is too large"));
    buffer_deinit(&body);
    talk_close(&t);
}
