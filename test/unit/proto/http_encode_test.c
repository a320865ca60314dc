/* Every outcome of one key's request as HTTP: status, headers and body, byte for byte where
 * clients look. */
#include "http_test_support.h"

static void answer(struct talk *t, struct bytes in, const struct response *response) {
    CHECK_EQ(talk_send(t, in), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_REQUESTS);
    http_encode(&t->plan, response, TALK_NOW_MS, &t->out);
}

static const struct response found = {
    .outcome = OUT_OK,
    .version = { 0x1f, 2, 3 },
    .value = { (const uint8_t *)"hello", 5 },
    .value_len = 5,
};

#define GET "GET /v1/kv/a HTTP/1.1\r\n" H
#define PUT "PUT /v1/kv/a HTTP/1.1\r\n" H

TEST(http_encode, replies_to_get) {
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(GET "\r\n"), &found);
    CHECK_BYTES(buffer_bytes(&t.out),
                BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
                          "ETag: \"1f.2.3\"\r\nContent-Length: 5\r\n\r\nhello"));
    struct response expiring = found;
    expiring.expires_at_ms = 1700000060000;
    answer(&t, BYTES_LIT("GET /v1/kv/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &expiring);
    CHECK(talk_has(&t, "\r\nAtoll-Expires-At: 1700000060000\r\nConnection: keep-alive\r\n"));
    struct response unread = found;
    unread.value = BYTES_NONE;
    answer(&t, BYTES_LIT("HEAD /v1/kv/a HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), &unread);
    CHECK(talk_has(&t, "Connection: close\r\nContent-Length: 5\r\n\r\n"));
    CHECK_BYTES(bytes_of(t.out.ptr + t.out.end - 4, 4), BYTES_LIT("\r\n\r\n"));
    talk_close(&t);
}

TEST(http_encode, replies_to_put_and_delete) {
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(PUT "\r\n"), &found);
    CHECK_BYTES(buffer_bytes(&t.out),
                BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "X-Content-Type-Options: nosniff\r\nETag: \"1f.2.3\"\r\n"
                          "Content-Length: 21\r\n\r\n{\"version\":\"1f.2.3\"}\n"));
    struct response response = { .outcome = OUT_OK, .existed = true };
    answer(&t, BYTES_LIT("DELETE /v1/kv/a HTTP/1.1\r\n" H "\r\n"), &response);
    CHECK(talk_has(&t, "Content-Length: 17\r\n\r\n{\"existed\":true}\n"));
    response.existed = false;
    answer(&t, BYTES_LIT("DELETE /v1/kv/a HTTP/1.1\r\n" H "\r\n"), &response);
    CHECK(talk_has(&t, "Content-Length: 18\r\n\r\n{\"existed\":false}\n"));
    response.outcome = OUT_NOT_FOUND;
    answer(&t, BYTES_LIT("DELETE /v1/kv/a HTTP/1.1\r\n" H "\r\n"), &response);
    CHECK(talk_has(&t, "{\"existed\":false}"));
    talk_close(&t);
}

TEST(http_encode, replies_to_conditions) {
    const struct response failed = { .outcome = OUT_CONDITION_FAILED, .version = { 7, 1, 1 } };
    const struct response nothing = { .outcome = OUT_CONDITION_FAILED };
    const struct response absent = { .outcome = OUT_NOT_FOUND };
    const struct response same = { .outcome = OUT_NOT_MODIFIED, .version = { 0x1f, 2, 3 } };
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(PUT "If-Match: \"1f.2.3\"\r\n\r\n"), &failed);
    CHECK(talk_has(&t, "412 Precondition Failed"));
    CHECK(talk_has(&t, "\r\nETag: \"7.1.1\"\r\n"));
    answer(&t, BYTES_LIT(PUT "If-Match: *\r\n\r\n"), &nothing);
    CHECK(talk_has(&t, "412 Precondition Failed"));
    CHECK(strstr(talk_text(&t), "ETag") == NULL);
    answer(&t, BYTES_LIT("DELETE /v1/kv/a HTTP/1.1\r\n" H "If-Match: *\r\n\r\n"), &absent);
    CHECK(talk_has(&t, "412 Precondition Failed"));
    answer(&t, BYTES_LIT(GET "If-None-Match: \"1f.2.3\"\r\n\r\n"), &same);
    CHECK_BYTES(buffer_bytes(&t.out),
                BYTES_LIT("HTTP/1.1 304 Not Modified\r\n"
                          "Cache-Control: no-cache\r\nETag: \"1f.2.3\"\r\n\r\n"));
    answer(&t, BYTES_LIT(GET "If-None-Match: *\r\n\r\n"), &found);
    CHECK(talk_has(&t, "304 Not Modified"));
    answer(&t, BYTES_LIT(GET "If-Match: \"1f.2.3\"\r\n\r\n"), &found);
    CHECK(talk_has(&t, "200 OK"));
    answer(&t, BYTES_LIT(GET "If-Match: \"1f.2.4\"\r\n\r\n"), &found);
    CHECK(talk_has(&t, "412 Precondition Failed"));
    CHECK(talk_has(&t, "\r\nETag: \"1f.2.3\"\r\n"));
    answer(&t, BYTES_LIT(GET "If-Match: *\r\n\r\n"), &absent);
    CHECK(talk_has(&t, "412 Precondition Failed"));
    talk_close(&t);
}

TEST(http_encode, replies_to_every_outcome) {
    static const struct {
        enum outcome outcome;
        const char *get, *put;
    } rows[] = {
        { OUT_NOT_FOUND, "404 Not Found", "412 Precondition Failed" },
        { OUT_VALUE_TOO_LARGE, "413 Content", "\"value_too_large\"" },
        { OUT_BUSY, "503 Service Unavailable\r\n", "\r\nRetry-After: 1\r\n" },
        { OUT_DISK_FULL, "507 Insufficient Storage", "\"disk_full\"" },
        { OUT_CORRUPT, "500 Internal Server Error", "\"code\":\"corrupt\"" },
        { OUT_TIMEOUT, "504 Gateway Timeout", "\"outcome\":\"maybe\"" },
        { OUT_STOPPING, "503 Service Unavailable", "\"stopping\"" },
        { OUT_QUORUM, "\"quorum_unavailable\"", "\"outcome\":\"maybe\"" },
        { OUT_CLOCK, "503 Service Unavailable", "\"code\":\"clock_skew\"" },
    };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct response response = { .outcome = rows[i].outcome };
        answer(&t, BYTES_LIT(GET "\r\n"), &response);
        CHECK(talk_has(&t, rows[i].get));
        CHECK(strstr(talk_text(&t), "maybe") == NULL);
        answer(&t, BYTES_LIT(PUT "\r\n"), &response);
        CHECK(talk_has(&t, rows[i].put));
        buffer_reset(&t.out);
        if (rows[i].outcome == OUT_NOT_FOUND) continue;
        http_encode_outcome(&t.plan, rows[i].outcome, false, &t.out);
        CHECK(talk_has(&t, rows[i].put));
    }
    talk_close(&t);
}

/* An output that is full sets `overflowed`; nothing is written past it. */
TEST(http_encode, stops_at_a_full_output) {
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(GET "\r\n"), &found);
    for (size_t room = 1; room < 400; room += 13) {
        struct buffer small;
        buffer_init(&small, room);
        http_encode(&t.plan, &found, TALK_NOW_MS, &small);
        http_encode_outcome(&t.plan, OUT_BUSY, false, &small);
        CHECK(small.overflowed);
        buffer_deinit(&small);
    }
    talk_close(&t);
}

#define DELETE "DELETE /v1/kv/a HTTP/1.1\r\n" H

/* The version of a delete is that of its tombstone, which a session can ask to see. */
TEST(http_encode, replies_to_delete_with_its_version) {
    const struct response deleted = { .outcome = OUT_OK,
                                      .existed = true,
                                      .version = { 0xa, 1, 1 } };
    const struct response nothing = { .outcome = OUT_NOT_FOUND };
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(DELETE "\r\n"), &deleted);
    CHECK_BYTES(buffer_bytes(&t.out),
                BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "X-Content-Type-Options: nosniff\r\nETag: \"a.1.1\"\r\n"
                          "Content-Length: 17\r\n\r\n{\"existed\":true}\n"));
    answer(&t, BYTES_LIT(DELETE "\r\n"), &nothing);
    CHECK(strstr(talk_text(&t), "ETag") == NULL);
    talk_close(&t);
}

/* Every reply about a replicated key says how many replicas answered; others say nothing. */
TEST(http_encode, says_how_many_replicas_answered) {
    static const enum outcome outcomes[] = { OUT_OK,           OUT_NOT_FOUND, OUT_CONDITION_FAILED,
                                             OUT_NOT_MODIFIED, OUT_QUORUM,    OUT_TIMEOUT };
    static const char *const requests[] = { GET "\r\n", GET "If-Match: *\r\n\r\n", PUT "\r\n",
                                            DELETE "\r\n", DELETE "If-Match: *\r\n\r\n" };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        for (size_t j = 0; j < sizeof requests / sizeof *requests; j++) {
            const bool is_read = j < 2;
            if (outcomes[i] == OUT_NOT_MODIFIED && !is_read) continue;
            struct response r = { .outcome = outcomes[i], .version = { 1, 1, 1 } };
            r.acks = 2;
            r.needed = r.replicas = 3;
            answer(&t, bytes_of_string(requests[j]), &r);
            CHECK(talk_has(&t, "\r\nAtoll-Acks: 2/3\r\n"));
            r.replicas = 0;
            answer(&t, bytes_of_string(requests[j]), &r);
            CHECK(strstr(talk_text(&t), "Atoll-Acks") == NULL);
        }
    }
    talk_close(&t);
}

/* A quorum that is missing is told in numbers, and whether a write may have happened. */
TEST(http_encode, tells_what_a_missing_quorum_means) {
    struct response r = { .outcome = OUT_QUORUM, .acks = 2, .needed = 3, .replicas = 3 };
    struct talk t;
    talk_open(&t);
    answer(&t, BYTES_LIT(GET "\r\n"), &r);
    CHECK(talk_has(&t, "\r\nRetry-After: 1\r\n"));
    CHECK(talk_has(&t, "\r\n\r\n{\"error\":{\"code\":\"quorum_unavailable\",\"message\":"
                       "\"2 of 3 replicas answered, the level needs 3\",\"acks\":2,"
                       "\"needed\":3,\"replicas\":3}}\n"));
    answer(&t, BYTES_LIT(PUT "\r\n"), &r);
    CHECK(talk_has(&t, "the level needs 3; the write may or may not have happened\",\"acks\":2,"
                       "\"needed\":3,\"replicas\":3,\"outcome\":\"maybe\"}}\n"));
    r.acks = 0; /* an answer that was lost is no proof that the write was */
    answer(&t, BYTES_LIT(DELETE "\r\n"), &r);
    CHECK(talk_has(&t, "0 of 3 replicas answered"));
    CHECK(talk_has(&t, "\"outcome\":\"maybe\""));
    r.untried = true;
    answer(&t, BYTES_LIT(PUT "\r\n"), &r);
    CHECK(talk_has(&t, "the level needs 3; nothing was done\""));
    CHECK(talk_has(&t, "\"outcome\":\"none\"}}\n"));
    r = (struct response){ .outcome = OUT_QUORUM, .acks = 3, .needed = 2, .replicas = 3 };
    answer(&t, BYTES_LIT(GET "Atoll-Session: 1f.2.3\r\n\r\n"), &r);
    CHECK(talk_has(&t, "3 of 3 replicas answered, none of them has the version of Atoll-Session"));
    r = (struct response){ .outcome = OUT_CLOCK, .replicas = 3 };
    answer(&t, BYTES_LIT(PUT "\r\n"), &r);
    CHECK(talk_has(&t, "nothing was done: check NTP on this node"));
    CHECK(talk_has(&t, "\r\nRetry-After: 1\r\n"));
    CHECK(strstr(talk_text(&t), "outcome") == NULL);
    talk_close(&t);
}
