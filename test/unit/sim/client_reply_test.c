#include "sim/client_reply.h"

#include "harness.h"

static struct status parse(const char *text, struct client_reply *ret_reply, size_t *ret_used) {
    static struct buffer room;
    buffer_deinit(&room);
    buffer_init(&room, 1000);
    return client_reply_parse(bytes_of_string(text), &room, ret_reply, ret_used);
}

/* A whole answer is taken, and what follows it is left; each cut of it waits for more. */
TEST(client_reply, takes_one_answer) {
    static const char text[] = "HTTP/1.1 200 OK\r\nETag: \"1f.2.3\"\r\nAtoll-Expires-At: 77\r\n"
                               "Content-Length: 5\r\n\r\nhelloHTTP/1.1 ";
    struct client_reply r;
    size_t used = 0;
    CHECK_OK(parse(text, &r, &used));
    CHECK_EQ(r.status, 200);
    CHECK_EQ(r.version.stamp, 0x1f);
    CHECK_EQ(r.version.node, 2);
    CHECK_EQ(r.version.boot, 3);
    CHECK_EQ(r.expires_at_ms, 77);
    CHECK(!r.close);
    CHECK_BYTES(r.body, BYTES_LIT("hello"));
    CHECK_EQ(used, sizeof text - 1 - 9);
    struct buffer room;
    buffer_init(&room, 1000);
    for (size_t len = 0; len < used; len++)
        CHECK_STATUS(client_reply_parse(bytes_of(text, len), &room, &r, &used), ST_WAIT);
}

/* So is one in chunks, and one without a body. */
TEST(client_reply, takes_chunks_and_no_body) {
    struct client_reply r;
    size_t used = 0;
    static const char chunks[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n0000000a\r\n0123456789\r\n0\r\n\r\n";
    CHECK_OK(parse(chunks, &r, &used));
    CHECK_BYTES(r.body, BYTES_LIT("abc0123456789"));
    CHECK_EQ(used, sizeof chunks - 1);
    CHECK_OK(parse("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", &r, &used));
    CHECK_EQ(r.body.len, 0);
    CHECK(r.close);
}

/* Of a truncation the answer is a line of RESP. */
TEST(client_reply, takes_a_line_of_resp) {
    struct client_reply r;
    size_t used = 0;
    CHECK_OK(client_reply_parse_resp(BYTES_LIT("+OK\r\nx"), &r, &used));
    CHECK_EQ(r.status, 200);
    CHECK_EQ(used, 5);
    CHECK_OK(client_reply_parse_resp(BYTES_LIT("-ERR no\r\n"), &r, &used));
    CHECK_EQ(r.status, 503);
    CHECK(r.close);
    CHECK_STATUS(client_reply_parse_resp(BYTES_LIT("+OK\r"), &r, &used), ST_WAIT);
    CHECK_STATUS(client_reply_parse_resp(BYTES_LIT(":1\r\n"), &r, &used), ST_CORRUPT);
    CHECK_STATUS(client_reply_parse_resp(BYTES_LIT("+OKAY\r\n"), &r, &used), ST_CORRUPT);
}

/* What no proper server sends is refused, and so is an answer without an end. */
TEST(client_reply, refuses_what_is_wrong) {
    static const char *const wrong[] = {
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "HTTP/1.1 200 OK\rx",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nETag: 1.2.3\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    };
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct client_reply r;
        size_t used = 0;
        CHECK_STATUS(parse(wrong[i], &r, &used), ST_CORRUPT);
    }
}
