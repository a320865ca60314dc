#include "proto/http_chunk.h"

#include "base/assert.h"
#include "proto/http.h"

#define SIZE_DIGITS_MAX 8u /* hex; far above any limit on bodies */

static struct status refuse(struct http_chunk *c, const char *message) {
    c->fault = (struct http_fault){ .status = 400, .code = "bad_request", .message = message };
    return status_of(ST_INVALID);
}

static struct status refuse_size(struct http_chunk *c) {
    c->fault = (struct http_fault){ .status = 413,
                                    .code = "too_large",
                                    .message = "the body is larger than allowed" };
    return status_of(ST_INVALID);
}

/* The line at `c->at`, without CRLF.
 * Errors  ST_WAIT, ST_INVALID */
static struct status take_line(struct http_chunk *c, struct bytes in, size_t bytes_max,
                               struct bytes *ret_line) {
    ASSERT(c->at <= in.len);
    const struct bytes rest = bytes_of(in.ptr + c->at, in.len - c->at);
    const size_t looked = rest.len < bytes_max ? rest.len : bytes_max;
    const uint8_t *lf = looked == 0 ? NULL : memchr(rest.ptr, '\n', looked);
    if (lf == NULL) {
        if (looked == bytes_max) return refuse(c, "a chunk extension or trailer is too long");
        return status_of(ST_WAIT);
    }
    const size_t len = (size_t)(lf - rest.ptr);
    if (len == 0 || rest.ptr[len - 1] != '\r') {
        return refuse(c, "a line must end with CR LF, not with LF alone");
    }
    *ret_line = bytes_of(rest.ptr, len - 1);
    c->at += len + 1;
    c->framing_bytes += len + 1;
    return status_of(ST_OK);
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static struct status read_size(struct http_chunk *c, struct bytes line, uint64_t *ret_size) {
    uint64_t size = 0;
    size_t digits = 0;
    while (digits < line.len && hex_digit(line.ptr[digits]) >= 0) {
        if (digits == SIZE_DIGITS_MAX) return refuse(c, "a chunk size has too many digits");
        size = size * 16 + (uint64_t)hex_digit(line.ptr[digits++]);
    }
    if (digits == 0) return refuse(c, "a chunk must begin with its size in hex");
    const struct bytes extension = bytes_of(line.ptr + digits, line.len - digits);
    if (extension.len > 0 && extension.ptr[0] != ';') {
        return refuse(c, "a chunk size may only be followed by `;` and an extension");
    }
    for (size_t i = 0; i < extension.len; i++) {
        const uint8_t byte = extension.ptr[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return refuse(c, "a chunk extension holds a control character");
        }
    }
    *ret_size = size;
    return status_of(ST_OK);
}

static struct status step_size(struct http_chunk *c, struct bytes in, uint64_t body_bytes_max,
                               struct buffer *body) {
    struct bytes line;
    uint64_t size = 0;
    TRY(take_line(c, in, HTTP_CHUNK_LINE_BYTES_MAX, &line));
    TRY(read_size(c, line, &size));
    ASSERT(buffer_len(body) <= body_bytes_max);
    if (size > body_bytes_max - buffer_len(body)) return refuse_size(c);
    if (c->framing_bytes > HTTP_FRAMING_BYTES_MAX(body_bytes_max)) {
        return refuse(c, "the chunks are too small for so long a body");
    }
    c->remaining = size;
    c->state = size > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    c->trailer_start = c->at;
    return status_of(ST_OK);
}

static struct status step_data(struct http_chunk *c, struct bytes in, struct buffer *body) {
    const size_t here = in.len - c->at;
    const size_t len = c->remaining < here ? (size_t)c->remaining : here;
    buffer_append(body, bytes_of(in.ptr + c->at, len));
    c->at += len;
    c->remaining -= len;
    if (c->remaining > 0) return status_of(ST_WAIT);
    c->state = CHUNK_DATA_END;
    return status_of(ST_OK);
}

static struct status step_data_end(struct http_chunk *c, struct bytes in) {
    const size_t here = in.len - c->at;
    if (here > 0 && in.ptr[c->at] != '\r') return refuse(c, "chunk data is longer than its size");
    if (here > 1 && in.ptr[c->at + 1] != '\n') return refuse(c, "chunk data must end with CR LF");
    if (here < 2) return status_of(ST_WAIT);
    c->at += 2;
    c->framing_bytes += 2;
    c->state = CHUNK_SIZE;
    return status_of(ST_OK);
}

/* ST_OK with `*ret_end` when the line was the empty one that ends the body. */
static struct status step_trailer(struct http_chunk *c, struct bytes in, bool *ret_end) {
    struct bytes line;
    size_t name_len = 0;
    const size_t used = c->at - c->trailer_start;
    ASSERT(used <= HTTP_TRAILER_BYTES_MAX);
    TRY(take_line(c, in, HTTP_TRAILER_BYTES_MAX - used + 2, &line));
    *ret_end = line.len == 0;
    if (line.len == 0) return status_of(ST_OK);
    if (c->at - c->trailer_start > HTTP_TRAILER_BYTES_MAX) {
        return refuse(c, "a chunk extension or trailer is too long");
    }
    if (!http_guard_field(line, &name_len)) {
        return refuse(c, "a trailer must be `name: value` without control characters");
    }
    return status_of(ST_OK);
}

STATUS http_chunk_step(struct http_chunk *c, struct bytes in, uint64_t body_bytes_max,
                       struct buffer *body) {
    ASSERT(c->at <= in.len);
    for (;;) {
        bool end = false;
        switch (c->state) {
        case CHUNK_SIZE: TRY(step_size(c, in, body_bytes_max, body)); break;
        case CHUNK_DATA: TRY(step_data(c, in, body)); break;
        case CHUNK_DATA_END: TRY(step_data_end(c, in)); break;
        case CHUNK_TRAILER: TRY(step_trailer(c, in, &end)); break;
        }
        if (end) return status_of(ST_OK);
    }
}
