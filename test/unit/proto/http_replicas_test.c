/* What each replica of a key holds, as JSON. */
#include <jansson.h>

#include "base/hash.h"
#include "http_test_support.h"
#include "proto/replica_report.h"

#define ASK "GET /v1/kv/greeting?replicas=true HTTP/1.1\r\n" H "\r\n"

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

TEST(http_replicas, tells_what_each_holds) {
    static const struct replica_report reports[] = {
        { .id = 1,
          .self = true,
          .state = REPLICA_VALUE,
          .version = { 0xabc, 2, 3 },
          .value_bytes = 5,
          .address = "10.0.0.1:8080" },
        { .id = 2, .state = REPLICA_TOMBSTONE, .version = { 1, 1, 1 }, .address = "<b>\"" },
        { .id = 3, .state = REPLICA_UNREACHABLE, .address = "10.0.0.3:8080" },
        { .id = 4, .state = REPLICA_NOTHING, .address = "10.0.0.4:8080" },
        { .id = 5,
          .state = REPLICA_VALUE,
          .version = { 1, 1, 1 },
          .expires_at_ms = TALK_NOW_MS,
          .address = "x" },
    };
    static const char *const states[] = { "value", "tombstone", "unreachable", "nothing",
                                          "expired" };
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT(ASK)), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
    CHECK_EQ(t.plan.requests[0].op, OP_GET);
    CHECK_EQ(t.plan.requests[0].flags, REQUEST_REPLICAS);
    CHECK_EQ(t.plan.detail_number, crc16_slot(BYTES_LIT("greeting")));
    const struct response response = { .outcome = OUT_OK,
                                       .value = { (const uint8_t *)reports, sizeof reports } };
    http_encode(&t.plan, &response, TALK_NOW_MS, &t.out);
    CHECK(talk_has(&t, "200 OK"));
    json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    const json_t *replicas = json_object_get(json, "replicas");
    CHECK_EQ(json_array_size(replicas), 5);
    for (size_t i = 0; i < 5; i++)
        CHECK(strcmp(text_of(json_array_get(replicas, i), "state"), states[i]) == 0);
    CHECK(strcmp(text_of(json_array_get(replicas, 0), "version"), "abc.2.3") == 0);
    CHECK_EQ(json_integer_value(json_object_get(json_array_get(replicas, 0), "value_bytes")), 5);
    CHECK(json_is_true(json_object_get(json_array_get(replicas, 0), "self")));
    CHECK(strcmp(text_of(json_array_get(replicas, 1), "address"), "<b>\"") == 0);
    CHECK(json_object_get(json_array_get(replicas, 2), "version") == NULL);
    json_decref(json);
    talk_close(&t);
}

TEST(http_replicas, is_for_reads_only) {
    CHECK(talk_replies(BYTES_LIT("GET /v1/kv/k?replicas=yes HTTP/1.1\r\n" H "\r\n"),
                       "\"bad_replicas\""));
    CHECK(talk_replies(BYTES_LIT("DELETE /v1/kv/k?replicas=true HTTP/1.1\r\n" H "\r\n"),
                       "\"unknown_parameter\""));
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /v1/kv/k?replicas=false HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK_EQ(t.plan.requests[0].flags, 0);
    CHECK_EQ(talk_send(&t, BYTES_LIT(ASK)), ST_OK);
    const struct response busy = { .outcome = OUT_BUSY };
    http_encode(&t.plan, &busy, TALK_NOW_MS, &t.out);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    talk_close(&t);
}
