/* Chunked bodies: data comes out as it went in, however it arrives, and whatever RFC 9112
 * does not allow between the chunks is refused. */
#include "proto/http_chunk.h"

#include "http_test_support.h"

static enum status_code read_all(struct bytes in, size_t step, uint64_t bytes_max,
                                 struct buffer *body, struct http_chunk *c) {
    *c = (struct http_chunk){ .at = 0 };
    struct status s = status_of(ST_WAIT);
    buffer_reset(body);
    for (size_t len = 0; s.code == ST_WAIT && len <= in.len; len += step) {
        s = http_chunk_step(c, bytes_of(in.ptr, len), bytes_max, body);
        if (len < in.len && len + step > in.len) len = in.len - step;
    }
    return s.code;
}

static unsigned verdict(struct bytes in) {
    struct http_chunk c;
    struct buffer body;
    buffer_init(&body, 1u << 20);
    const enum status_code code = read_all(in, in.len, 1000, &body, &c);
    const enum status_code bytewise = read_all(in, 1, 1000, &body, &c);
    buffer_deinit(&body);
    CHECK_EQ(code, bytewise);
    if (code == ST_WAIT) return 1;
    return code == ST_OK ? 0 : c.fault.status;
}

#define VERDICT(text) verdict(BYTES_LIT(text))

TEST(http_chunk, reads_what_was_written) {
    const struct bytes in =
        BYTES_LIT("5\r\nhello\r\n1;a=\"b c\"\r\n \r\n0005\r\nworld\r\n0\r\nX: y\r\n\r\nGET");
    struct buffer body;
    struct http_chunk c;
    buffer_init(&body, 1000);
    for (size_t step = 1; step <= in.len; step++) {
        CHECK_EQ(read_all(in, step, 1000, &body, &c), ST_OK);
        CHECK_BYTES(buffer_bytes(&body), BYTES_LIT("hello world"));
        CHECK_EQ(c.at, in.len - 3);
    }
    buffer_deinit(&body);
}

TEST(http_chunk, refuses_loose_framing) {
    CHECK_EQ(VERDICT("0\r\n\r\n"), 0);
    CHECK_EQ(VERDICT("5\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("\r\n"), 400);
    CHECK_EQ(VERDICT("0x5\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("-5\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT(" 5\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("5 \r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("000000005\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("5\r\nhello!\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("5\r\nhello\r0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("5\r\nhello\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("0\r\nno colon\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("0\r\nX : y\r\n\r\n"), 400);
    CHECK_EQ(VERDICT("0\r\n\n"), 400);
    CHECK_EQ(VERDICT("5\r\nhell"), 1);
}

TEST(http_chunk, limits_sizes) {
    struct buffer in;
    buffer_init(&in, 1u << 22);
    CHECK_EQ(VERDICT("3e9\r\n"), 413);
    CHECK_EQ(VERDICT("3e8\r\n"), 1);
    CHECK_EQ(VERDICT("ffffffff\r\n"), 413);
    buffer_append_string(&in, "1;");
    for (unsigned i = 0; i < HTTP_CHUNK_LINE_BYTES_MAX; i++) buffer_append_u8(&in, 'x');
    CHECK_EQ(verdict(buffer_bytes(&in)), 400);
    buffer_reset(&in);
    buffer_append_string(&in, "0\r\n");
    for (unsigned i = 0; i <= HTTP_TRAILER_BYTES_MAX / 8; i++)
        buffer_append_string(&in, "X: abc\r\n");
    CHECK_EQ(verdict(buffer_bytes(&in)), 400);
    buffer_deinit(&in);
}

/* Many tiny chunks are refused before they cost several times their data. */
TEST(http_chunk, limits_framing) {
    struct buffer in;
    struct buffer body;
    struct http_chunk c;
    buffer_init(&in, 1u << 22);
    buffer_init(&body, 1u << 22);
    for (unsigned i = 0; i < 20000; i++) buffer_append_string(&in, "1;xxxxxxxx\r\na\r\n");
    CHECK_EQ(read_all(buffer_bytes(&in), in.end, 100000, &body, &c), ST_INVALID);
    CHECK_EQ(c.fault.status, 400);
    CHECK(c.framing_bytes < HTTP_FRAMING_BYTES_MAX(100000) + 100);
    buffer_deinit(&in);
    buffer_deinit(&body);
}
