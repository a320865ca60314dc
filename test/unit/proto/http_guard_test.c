/* The strict check of header blocks: every hole of the parser behind it, and the classic
 * ways to make two readers disagree, are refused; what browsers and curl send passes. */
#include "proto/http_guard.h"

#include "http_test_support.h"

/* 0 = passes; else the status of the refusal; 1 = wants more bytes. */
static unsigned verdict(struct bytes in) {
    struct http_guard g = { .start = 0 };
    const struct status s = http_guard_step(&g, in);
    if (s.code == ST_WAIT) return 1;
    return s.code == ST_OK ? 0 : g.fault.status;
}

#define VERDICT(text) verdict(BYTES_LIT(text))

TEST(http_guard, lets_well_formed_blocks_pass) {
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "\r\n"), 0);
    CHECK_EQ(VERDICT("GET / HTTP/1.0\r\n\r\n"), 0);
    CHECK_EQ(VERDICT("\r\nGET / HTTP/1.1\r\n" H "\r\n"), 0);
    CHECK_EQ(VERDICT("GET http://a:80/x?y HTTP/1.1\r\n" H "\r\n"), 0);
    CHECK_EQ(VERDICT("OPTIONS * HTTP/1.1\r\n" H "\r\n"), 0);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nhOsT:a\r\nX:\r\nY: \t \r\nZ: a\tb \xc3\xa9\r\n\r\n"), 0);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), 0);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "Transfer-Encoding: \tChunked \r\n\r\n"), 0);
}

TEST(http_guard, refuses_what_this_llhttp_lets_through) {
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X: a\rTransfer-Encoding: chunked\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H ": a\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H ":\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET /\nHost: a\n\n"), 400);
    CHECK_EQ(VERDICT("GET /\r\nHost: a\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\nHost: a\n\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n X: a\r\n" H "\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H H "\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X\xe9: a\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X y: a\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("GET / HTTP/1.1\r\n" H "X: 12345678901234\x01\r\n\r\n"), 400);
}

TEST(http_guard, refuses_framing_that_two_readers_may_read_differently) {
#define LENGTH(value) VERDICT("PUT / HTTP/1.1\r\n" H "Content-Length:" value "\r\n\r\n")
    CHECK_EQ(LENGTH(" 5"), 0);
    CHECK_EQ(LENGTH("005"), 0);
    CHECK_EQ(LENGTH(" +5"), 400);
    CHECK_EQ(LENGTH(" -5"), 400);
    CHECK_EQ(LENGTH(" 5,5"), 400);
    CHECK_EQ(LENGTH(" 5 5"), 400);
    CHECK_EQ(LENGTH(" 0x5"), 400);
    CHECK_EQ(LENGTH(""), 400);
    CHECK_EQ(LENGTH(" 99999999999999999999"), 400);
    CHECK_EQ(LENGTH(" 5\r\nContent-Length: 5"), 400);
    CHECK_EQ(LENGTH(" 5\r\nContent-Length: 6"), 400);
    CHECK_EQ(LENGTH(" 5\r\nTransfer-Encoding: chunked"), 400);
#define ENCODING(value) VERDICT("PUT / HTTP/1.1\r\n" H "Transfer-Encoding:" value "\r\n\r\n")
    CHECK_EQ(ENCODING(" chunked\r\nContent-Length: 5"), 400);
    CHECK_EQ(ENCODING(" chunked\r\nTransfer-Encoding: chunked"), 400);
    CHECK_EQ(ENCODING(" gzip, chunked"), 501);
    CHECK_EQ(ENCODING(" chunked, chunked"), 501);
    CHECK_EQ(ENCODING(" xchunked"), 501);
    CHECK_EQ(ENCODING(" identity"), 501);
    CHECK_EQ(ENCODING(""), 501);
    CHECK_EQ(VERDICT("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(http_guard, refuses_request_lines_that_are_not_quite_right) {
#define LINE(line) VERDICT(line "\r\n" H "\r\n")
    CHECK_EQ(LINE("GET  / HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET /  HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET\t/ HTTP/1.1"), 400);
    CHECK_EQ(LINE(" GET / HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET / HTTP/1.1 "), 400);
    CHECK_EQ(LINE("GET /a b HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET /\xc3\xa9 HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET /a#b HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET a HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET * HTTP/1.1"), 400);
    CHECK_EQ(LINE("CONNECT a:80 HTTP/1.1"), 400);
    CHECK_EQ(LINE("GET / http/1.1"), 400);
    CHECK_EQ(LINE("GET / HTTP/11"), 400);
    CHECK_EQ(LINE("GET / HTTP/2.0"), 505);
    CHECK_EQ(LINE("PRI * HTTP/2.0"), 505);
    CHECK_EQ(LINE("GET / HTTP/0.9"), 505);
    CHECK_EQ(LINE("GET / HTTP/1.2"), 505);
    CHECK_EQ(VERDICT("\r\n\r\nGET / HTTP/1.1\r\n"), 400);
    CHECK_EQ(VERDICT("\nGET / HTTP/1.1\r\n"), 400);
}

/* A limit is passed at the same byte whether or not the line is complete. */
TEST(http_guard, limits_the_block) {
    static uint8_t bytes[HTTP_HEADER_BYTES_MAX + 4096];
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "GET /", 5);
    CHECK_EQ(verdict(bytes_of(bytes, HTTP_TARGET_BYTES_MAX + 32)), 1);
    CHECK_EQ(verdict(bytes_of(bytes, HTTP_TARGET_BYTES_MAX + 33)), 414);
    memcpy(bytes, "GET / HTTP/1.1\r\n" H "X: ", 16 + 9 + 3);
    CHECK_EQ(verdict(bytes_of(bytes, HTTP_HEADER_BYTES_MAX)), 1);
    CHECK_EQ(verdict(bytes_of(bytes, HTTP_HEADER_BYTES_MAX + 1)), 431);
    memcpy(bytes + HTTP_HEADER_BYTES_MAX, "\r\n\r\n", 4);
    CHECK_EQ(verdict(bytes_of(bytes, HTTP_HEADER_BYTES_MAX + 4)), 431);

    struct buffer many;
    buffer_init(&many, 65536);
    buffer_append_string(&many, "GET / HTTP/1.1\r\n" H);
    for (unsigned i = 1; i < HTTP_HEADERS_MAX; i++) buffer_append_string(&many, "X: y\r\n");
    buffer_append_string(&many, "\r\n");
    CHECK_EQ(verdict(buffer_bytes(&many)), 0);
    many.end -= 2;
    buffer_append_string(&many, "X: y\r\n\r\n");
    CHECK_EQ(verdict(buffer_bytes(&many)), 431);
    buffer_deinit(&many);
}

/* Fed a byte at a time it finds the same end, and looks at each line once. */
TEST(http_guard, goes_on_where_it_was) {
    const struct bytes in = BYTES_LIT("PUT /x HTTP/1.1\r\n" H "Content-Length: 12\r\n\r\nbody");
    struct http_guard g = { .start = 0 };
    size_t len = 0;
    while (http_guard_step(&g, bytes_of(in.ptr, len)).code == ST_WAIT) len++;
    CHECK_EQ(len, in.len - 4);
    CHECK_EQ(g.line, len);
    CHECK_EQ(g.length, 12);
    CHECK(g.has_length);
}
