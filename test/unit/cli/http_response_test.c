/* Answers are understood however the network cuts them, and nothing sloppy is. */
#include "cli/http_response.h"

#include "base/buffer.h"
#include "test/unit/harness.h"

#include <string.h>

static char line[256];

/* Read `text` in pieces of `step` bytes into "STATUS|name: value|..|body|#" per answer. */
static struct status read_all(const char *text, size_t step, struct buffer *out) {
    struct http_response r;
    http_response_init(&r, line, sizeof line);
    const size_t len = strlen(text);
    for (size_t at = 0; at < len; at += step) {
        struct bytes in = bytes_of(text + at, len - at < step ? len - at : step);
        struct http_response_item item;
        do {
            size_t used = 0;
            const struct status s = http_response_next(&r, in, &used, &item);
            if (!status_ok(s)) return s;
            in = bytes_of(in.ptr + used, in.len - used);
            if (item.event == HTTP_RESPONSE_STATUS) buffer_printf(out, "%u|", r.status);
            if (item.event == HTTP_RESPONSE_HEADER)
                buffer_printf(out, "%.*s: %.*s|", (int)item.name.len, (const char *)item.name.ptr,
                              (int)item.value.len, (const char *)item.value.ptr);
            if (item.event == HTTP_RESPONSE_BODY) buffer_append(out, item.value);
            if (item.event == HTTP_RESPONSE_END) buffer_append_u8(out, '#');
        } while (item.event != HTTP_RESPONSE_MORE);
    }
    return status_of(ST_OK);
}

static const struct {
    const char *text, *wanted;
} answers[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag:  \"1\" \r\n\r\nhello",
      "200|Content-Length: 5|ETag: \"1\"|hello#" },
    { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 \r\n\r\n",
      "404|Content-Length: 0|#204|#" },
    { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
      "100|200|Content-Length: 1|x#" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, or"
      "\r\n-ate\r\n0\r\nA: b\r\n\r\n",
      "200|Transfer-Encoding: chunked|hello, or\r\n-ateA: b|#" },
};

TEST(http_response, reads_answers_cut_anywhere) {
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (size_t step = 1; step < 64; step++) {
            struct buffer out;
            buffer_init(&out, 4096);
            CHECK_OK(read_all(answers[i].text, step, &out));
            CHECK_BYTES(buffer_bytes(&out), bytes_of_string(answers[i].wanted));
            buffer_deinit(&out);
        }
    }
}

TEST(http_response, refuses_what_no_server_should_send) {
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/1.1 99 Low\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t step = 1; step < 80; step += 13) {
            struct buffer out;
            buffer_init(&out, 4096);
            CHECK_STATUS(read_all(bad[i], step, &out), ST_CORRUPT);
            buffer_deinit(&out);
        }
    }
}

/* A line the caller's room cannot hold is refused, not cut. */
TEST(http_response, refuses_a_line_that_is_too_long) {
    char text[sizeof line + 64] = "HTTP/1.1 200 OK\r\nA: ";
    const size_t len = strlen(text);
    memset(text + len, 'x', sizeof text - len - 1);
    text[sizeof text - 1] = '\0';
    struct buffer out;
    buffer_init(&out, 4096);
    CHECK_STATUS(read_all(text, 32, &out), ST_CORRUPT);
    buffer_deinit(&out);
}

/* Without a length the body ends with the connection; any other end cuts it short. */
TEST(http_response, knows_whether_a_close_is_an_end) {
    struct http_response r;
    struct http_response_item item;
    size_t used = 0;
    http_response_init(&r, line, sizeof line);
    struct bytes in = BYTES_LIT("HTTP/1.0 200 OK\r\n\r\nrest");
    do {
        CHECK_OK(http_response_next(&r, in, &used, &item));
        in = bytes_of(in.ptr + used, in.len - used);
    } while (item.event != HTTP_RESPONSE_MORE);
    CHECK(r.close);
    CHECK_OK(http_response_end(&r));
    CHECK_OK(http_response_next(&r, BYTES_LIT("HTTP/1.1 2"), &used, &item));
    CHECK_STATUS(http_response_end(&r), ST_CORRUPT);
}
