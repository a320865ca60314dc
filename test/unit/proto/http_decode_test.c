/* From a connection's bytes to requests: pipelining, bodies in one piece or many, refusal as
 * early as can be, and when the connection stays. */
#include "proto/http_internal.h"

#include "http_test_support.h"

#include "base/mem.h"

TEST(http_decode, takes_pipelined_requests_one_by_one) {
    struct talk t;
    talk_open(&t);
    struct bytes in = BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H "\r\n"
                                "PUT /v1/kv/b HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nxyz"
                                "GET /v1/kv/c HTTP/1.1\r\n" H "\r\nGE");
    static const char *const keys[] = { "a", "b", "c" };
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(talk_send(&t, in), ST_OK);
        CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
        CHECK_BYTES(t.plan.requests[0].key, bytes_of_string(keys[i]));
        if (i == 1) CHECK_BYTES(t.plan.requests[0].value, BYTES_LIT("xyz"));
        in = bytes_of(in.ptr + t.consumed, in.len - t.consumed);
    }
    CHECK_EQ(in.len, 2);
    CHECK_EQ(talk_send(&t, in), ST_WAIT);
    talk_close(&t);
}

/* The input moves while a request is incomplete; the body is a view of where it is last. */
TEST(http_decode, goes_on_while_the_input_moves) {
    struct talk t;
    talk_open(&t);
    const struct bytes in = BYTES_LIT("PUT /v1/kv/a%20b HTTP/1.1\r\n" H "If-Match: *\r\n"
                                      "Content-Length: 10\r\n\r\n0123456789");
    for (size_t len = 1; len <= in.len; len++) {
        uint8_t *copy = mem_alloc(len);
        memcpy(copy, in.ptr, len);
        const enum status_code code = talk_send(&t, bytes_of(copy, len));
        CHECK_EQ(code, len < in.len ? ST_WAIT : ST_OK);
        if (len == in.len - 10) CHECK_EQ(t.need, in.len);
        if (code == ST_OK) {
            CHECK_BYTES(t.plan.requests[0].key, BYTES_LIT("a b"));
            CHECK_BYTES(t.plan.requests[0].value, BYTES_LIT("0123456789"));
            CHECK_EQ(t.plan.requests[0].condition, COND_PRESENT);
            CHECK(t.plan.requests[0].value.ptr == copy + in.len - 10);
        }
        mem_free(copy);
    }
    talk_close(&t);
}

TEST(http_decode, gathers_chunks) {
    struct talk t;
    talk_open(&t);
    const struct bytes in = BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                                      "\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\n\r\nGET");
    CHECK_EQ(talk_send(&t, in), ST_OK);
    CHECK_EQ(t.consumed, in.len - 3);
    CHECK_BYTES(t.plan.requests[0].value, BYTES_LIT("abcdefg"));
    talk_close(&t);
}

TEST(http_decode, refuses_a_large_value_by_its_length) {
    CHECK(talk_refuses(BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n"),
                       "413 Content Too Large"));
    CHECK(talk_refuses(BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                                 "3e9\r\n"),
                       "\"value_too_large\""));
    CHECK(
        talk_refuses(BYTES_LIT("POST /v1/batch HTTP/1.1\r\n" H "Content-Length: 33554433\r\n\r\n"),
                     "\"body_too_large\""));
    CHECK(talk_refuses(BYTES_LIT("PUT /v1/nope HTTP/1.1\r\n" H "Content-Length: 999999\r\n\r\n"),
                       "404 Not Found"));
    CHECK(talk_refuses(BYTES_LIT("POST /v1/kv/a HTTP/1.1\r\n" H "Content-Length: 999999\r\n\r\n"),
                       "405 Method Not Allowed"));
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n")),
             ST_WAIT);
    talk_close(&t);
}

TEST(http_decode, answers_expect) {
    struct talk t;
    const struct bytes head = BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Expect: 100-Continue\r\n"
                                        "Content-Length: 3\r\n\r\n");
    talk_open(&t);
    CHECK_EQ(talk_send(&t, head), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&t.out), BYTES_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    CHECK_EQ(talk_send(&t, head), ST_WAIT);
    CHECK_EQ(buffer_len(&t.out), 0);
    talk_close(&t);
    CHECK(talk_refuses(BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Expect: x\r\n\r\n"),
                       "417 Expectation Failed"));
    /* Too large: refused instead of invited. */
    CHECK(talk_refuses(BYTES_LIT("PUT /v1/kv/a HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
                                 "Content-Length: 3000\r\n\r\n"),
                       "413 Content Too Large"));
}

static bool closes(struct bytes in) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, in), ST_OK);
    const bool close_after = t.plan.close_after;
    talk_close(&t);
    return close_after;
}

TEST(http_decode, keeps_the_connection_as_asked) {
    CHECK(!closes(BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H "\r\n")));
    CHECK(closes(BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H "Connection: Close\r\n\r\n")));
    CHECK(closes(BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H "Connection: x, close\r\n\r\n")));
    CHECK(closes(BYTES_LIT("GET /v1/kv/a HTTP/1.0\r\n\r\n")));
    CHECK(!closes(BYTES_LIT("GET /v1/kv/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")));
    CHECK(closes(BYTES_LIT("GET /v1/scan HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")));
}

TEST(http_decode, refuses_and_stays_refusing) {
    CHECK(talk_refuses(BYTES_LIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), "400 Bad Request"));
    CHECK(talk_refuses(BYTES_LIT("BREW / HTTP/1.1\r\n" H "\r\n"), "501 Not Implemented"));
    CHECK(talk_refuses(BYTES_LIT("get / HTTP/1.1\r\n" H "\r\n"), "501 Not Implemented"));
    CHECK(talk_refuses(BYTES_LIT("GET / HTTP/3.0\r\n" H "\r\n"), "505 HTTP Version Not Supported"));
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /\n")), ST_INVALID);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET / HTTP/1.1\r\n" H "\r\n")), ST_INVALID);
    CHECK_EQ(buffer_len(&t.out), 0);
    talk_close(&t);
}

/* An upgrade is not taken up; the request is served as it stands. */
TEST(http_decode, ignores_upgrades) {
    struct talk t;
    const struct bytes in = BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H "Connection: Upgrade\r\n"
                                      "Upgrade: h2c\r\n\r\n");
    talk_open(&t);
    CHECK_EQ(talk_send(&t, in), ST_OK);
    CHECK_EQ(t.consumed, in.len);
    CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
    talk_close(&t);
}
