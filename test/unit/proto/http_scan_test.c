/* A scan's answer is one JSON object in chunks, its cursor leads on to the next row, and a
 * damaged cursor is refused. */
#include "proto/http_internal.h"

#include "http_test_support.h"

static const struct row rows[] = {
    { BYTES_LIT("a"), BYTES_LIT("1"), { 1, 1, 1 }, 0, false },
    { BYTES_LIT("b\xff"), BYTES_LIT("\x80"), { 2, 1, 1 }, 99, false },
};

static json_t *body_of(struct talk *t) {
    const char *text = talk_text(t);
    const char *blank = strstr(text, "\r\n\r\n");
    CHECK(blank != NULL);
    struct bytes body = bytes_of_string(blank + 4);
    struct buffer whole;
    struct http_chunk chunk = { .at = 0 };
    buffer_init(&whole, 1u << 20);
    if (strstr(text, "Transfer-Encoding: chunked") != NULL) {
        CHECK_OK(http_chunk_step(&chunk, body, 1u << 20, &whole));
        CHECK_EQ(chunk.at, body.len);
        body = buffer_bytes(&whole);
    }
    json_t *json = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    buffer_deinit(&whole);
    CHECK(json != NULL);
    return json;
}

static void scan(struct talk *t, const char *request, bool more) {
    CHECK_EQ(talk_send(t, bytes_of_string(request)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_SCAN);
    http_encode_scan_begin(&t->plan, &t->out);
    http_encode_scan_rows(&t->plan, rows, 1, true, &t->out);
    http_encode_scan_rows(&t->plan, rows, 0, false, &t->out);
    http_encode_scan_rows(&t->plan, rows + 1, 1, false, &t->out);
    http_encode_scan_end(&t->plan, more, more ? rows[1].key : BYTES_NONE, &t->out);
}

TEST(http_scan, streams_rows) {
    struct talk t;
    talk_open(&t);
    scan(&t, "GET /v1/scan HTTP/1.1\r\n" H "\r\n", false);
    json_t *json = body_of(&t);
    char *dump = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK_BYTES(
        bytes_of_string(dump),
        BYTES_LIT(
            "{\"cursor\":null,\"items\":[{\"key\":\"a\",\"value\":\"1\",\"version\":\"1.1.1\"},"
            "{\"expires_at_ms\":99,\"key_base64\":\"Yv8=\",\"value_base64\":\"gA==\","
            "\"version\":\"2.1.1\"}]}"));
    free(dump);
    json_decref(json);
    scan(&t, "GET /v1/scan?values=0 HTTP/1.0\r\n\r\n", false);
    CHECK(talk_has(&t, "Connection: close\r\n\r\n{\"items\":["));
    CHECK(t.plan.close_after);
    json = body_of(&t);
    CHECK(json_object_get(json_array_get(json_object_get(json, "items"), 0), "value") == NULL);
    json_decref(json);
    talk_close(&t);
}

TEST(http_scan, goes_on_from_a_cursor) {
    struct talk t;
    char request[200];
    talk_open(&t);
    scan(&t, "GET /v1/scan HTTP/1.1\r\n" H "\r\n", true);
    json_t *json = body_of(&t);
    const char *cursor = json_string_value(json_object_get(json, "cursor"));
    CHECK(cursor != NULL);
    snprintf(request, sizeof request, "GET /v1/scan?cursor=%s&start=a HTTP/1.1\r\n" H "\r\n",
             cursor);
    CHECK_EQ(talk_send(&t, bytes_of_string(request)), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_SCAN);
    CHECK_BYTES(t.plan.requests[0].start, rows[1].key);
    CHECK(t.plan.requests[0].start_exclusive);
    snprintf(request, sizeof request, "GET /v1/scan?cursor=%s&start=c HTTP/1.1\r\n" H "\r\n",
             cursor);
    CHECK_EQ(talk_send(&t, bytes_of_string(request)), ST_OK);
    CHECK_BYTES(t.plan.requests[0].start, BYTES_LIT("c"));
    CHECK(!t.plan.requests[0].start_exclusive);
    for (size_t i = 0; i < strlen(cursor); i++) {
        char bad[100];
        snprintf(bad, sizeof bad, "%s", cursor);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        snprintf(request, sizeof request, "GET /v1/scan?cursor=%s HTTP/1.1\r\n" H "\r\n", bad);
        CHECK(talk_replies(bytes_of_string(request), "\"bad_cursor\""));
    }
    json_decref(json);
    talk_close(&t);
}

TEST(http_scan, ends_with_an_error) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /v1/scan HTTP/1.1\r\n" H "\r\n")), ST_OK);
    http_encode_scan_begin(&t.plan, &t.out);
    http_encode_scan_rows(&t.plan, rows, 2, true, &t.out);
    http_encode_outcome(&t.plan, OUT_CORRUPT, true, &t.out);
    json_t *json = body_of(&t);
    CHECK_EQ(json_array_size(json_object_get(json, "items")), 2);
    CHECK(json_is_object(json_object_get(json, "error")));
    json_decref(json);
    buffer_reset(&t.out);
    http_encode_outcome(&t.plan, OUT_BUSY, false, &t.out);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    talk_close(&t);
}

/* A scan that too few replicas answered says how many did, before its first byte or after. */
TEST(http_scan, counts_the_replicas_that_answered) {
    const struct response lost = { .outcome = OUT_QUORUM, .acks = 1, .needed = 2, .replicas = 3 };
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /v1/scan?level=2 HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK_EQ(t.plan.requests[0].level, LEVEL_COUNT);
    CHECK_EQ(t.plan.requests[0].level_count, 2);
    http_encode_refusal(&t.plan, &lost, false, &t.out);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    CHECK(talk_has(&t, "\r\nAtoll-Acks: 1/3\r\nRetry-After: 1\r\n"));
    CHECK(talk_has(&t, "\"acks\":1,\"needed\":2,\"replicas\":3}}\n"));
    buffer_reset(&t.out);
    http_encode_scan_begin(&t.plan, &t.out);
    http_encode_refusal(&t.plan, &lost, true, &t.out);
    CHECK(talk_has(&t, "\"cursor\":null,\"error\":{\"code\":\"quorum_unavailable\",\"message\":"
                       "\"1 of 3 replicas answered, the level needs 2\",\"acks\":1,\"needed\":2,"
                       "\"replicas\":3}}\n"));
    talk_close(&t);
}
