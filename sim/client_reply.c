#include "sim/client_reply.h"

#include "base/assert.h"
#include "proto/etag.h"

/* How the body ends. */
struct framing {
    bool chunked;
    bool has_length;
    uint64_t length; /* of the body, bytes */
};

/* Cut a line with its CRLF off the front.
 * Errors  ST_WAIT, ST_CORRUPT */
static STATUS take_line(struct bytes *rest, struct bytes *ret_line) {
    for (size_t i = 0; i + 1 < rest->len; i++) {
        if (rest->ptr[i] == '\n') return status_of(ST_CORRUPT);
        if (rest->ptr[i] != '\r') continue;
        if (rest->ptr[i + 1] != '\n') return status_of(ST_CORRUPT);
        *ret_line = bytes_of(rest->ptr, i);
        *rest = bytes_of(rest->ptr + i + 2, rest->len - i - 2);
        return status_of(ST_OK);
    }
    return status_of(ST_WAIT);
}

/* "HTTP/1.1 NNN words" */
static STATUS parse_status(struct bytes line, uint32_t *ret_status) {
    uint64_t status = 0;
    if (!bytes_start_with(line, BYTES_LIT("HTTP/1.1 ")) || line.len < 12)
        return status_of(ST_CORRUPT);
    if (!status_ok(bytes_to_u64(bytes_of(line.ptr + 9, 3), &status))) return status_of(ST_CORRUPT);
    if (status < 100 || status > 599) return status_of(ST_CORRUPT);
    *ret_status = (uint32_t)status;
    return status_of(ST_OK);
}

static STATUS parse_etag(struct bytes value, struct ballot *ret_version) {
    if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"')
        return status_of(ST_CORRUPT);
    if (!status_ok(etag_parse(bytes_of(value.ptr + 1, value.len - 2), ret_version)))
        return status_of(ST_CORRUPT);
    return status_of(ST_OK);
}

static STATUS parse_header(struct bytes line, struct client_reply *reply, struct framing *framing) {
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || colon == line.ptr) return status_of(ST_CORRUPT);
    const struct bytes name = bytes_of(line.ptr, (size_t)(colon - line.ptr));
    struct bytes value = bytes_of(colon + 1, line.len - name.len - 1);
    while (value.len > 0 && value.ptr[0] == ' ') value = bytes_of(value.ptr + 1, value.len - 1);
    if (bytes_equal_nocase(name, "etag")) return parse_etag(value, &reply->version);
    if (bytes_equal_nocase(name, "atoll-expires-at"))
        return bytes_to_u64(value, &reply->expires_at_ms);
    if (bytes_equal_nocase(name, "connection")) reply->close = bytes_equal_nocase(value, "close");
    if (bytes_equal_nocase(name, "transfer-encoding"))
        framing->chunked = bytes_equal_nocase(value, "chunked");
    if (bytes_equal_nocase(name, "content-length")) {
        if (framing->has_length) return status_of(ST_CORRUPT);
        framing->has_length = true;
        return bytes_to_u64(value, &framing->length);
    }
    return status_of(ST_OK);
}

static STATUS parse_chunk_size(struct bytes line, uint64_t *ret_size) {
    uint64_t size = 0;
    if (line.len == 0 || line.len > 15) return status_of(ST_CORRUPT);
    for (size_t i = 0; i < line.len; i++) {
        const uint8_t c = line.ptr[i];
        const bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) return status_of(ST_CORRUPT);
        size = size << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *ret_size = size;
    return status_of(ST_OK);
}

static STATUS take_chunks(struct bytes *rest, struct buffer *room) {
    buffer_reset(room);
    for (;;) {
        struct bytes line;
        uint64_t size = 0;
        TRY(take_line(rest, &line));
        TRY(parse_chunk_size(line, &size));
        if (rest->len < size + 2) return status_of(ST_WAIT);
        buffer_append(room, bytes_of(rest->ptr, size));
        if (memcmp(rest->ptr + size, "\r\n", 2) != 0) return status_of(ST_CORRUPT);
        *rest = bytes_of(rest->ptr + size + 2, rest->len - size - 2);
        if (size == 0) return status_of(room->overflowed ? ST_CORRUPT : ST_OK);
    }
}

STATUS client_reply_parse(struct bytes in, struct buffer *room, struct client_reply *ret_reply,
                          size_t *ret_used) {
    ASSERT(room != NULL);
    ASSERT(in.ptr != NULL || in.len == 0);
    struct client_reply reply = { .status = 0 };
    struct framing framing = { .chunked = false };
    struct bytes rest = in;
    struct bytes line;
    TRY(take_line(&rest, &line));
    TRY(parse_status(line, &reply.status));
    for (;;) {
        TRY(take_line(&rest, &line));
        if (line.len == 0) break;
        const struct status st = parse_header(line, &reply, &framing);
        if (!status_ok(st)) return status_of(ST_CORRUPT);
    }
    const bool bodiless = reply.status < 200 || reply.status == 204 || reply.status == 304;
    if (framing.chunked) {
        if (framing.has_length) return status_of(ST_CORRUPT);
        TRY(take_chunks(&rest, room));
        reply.body = buffer_bytes(room);
    } else if (!bodiless) {
        if (!framing.has_length) return status_of(ST_CORRUPT);
        if (rest.len < framing.length) return status_of(ST_WAIT);
        reply.body = bytes_of(rest.ptr, framing.length);
        rest = bytes_of(rest.ptr + framing.length, rest.len - framing.length);
    }
    *ret_reply = reply;
    *ret_used = in.len - rest.len;
    return status_of(ST_OK);
}

STATUS client_reply_parse_resp(struct bytes in, struct client_reply *ret_reply, size_t *ret_used) {
    ASSERT(in.ptr != NULL || in.len == 0);
    ASSERT(ret_used != NULL);
    struct bytes rest = in;
    struct bytes line;
    TRY(take_line(&rest, &line));
    const bool ok = bytes_equal(line, BYTES_LIT("+OK"));
    if (!ok && !bytes_start_with(line, BYTES_LIT("-"))) return status_of(ST_CORRUPT);
    *ret_reply = (struct client_reply){ .status = ok ? 200 : 503, .close = true, .body = line };
    *ret_used = in.len - rest.len;
    return status_of(ST_OK);
}
