#include "cli/http_response.h"

#include "base/assert.h"

#define CHUNK_DIGITS_MAX 15u /* hex; any chunk is far smaller than 2^60 */

void http_response_init(struct http_response *r, char *line, size_t line_bytes) {
    ASSERT(line_bytes > 0);
    *r = (struct http_response){ .line = line, .line_bytes = line_bytes };
    ASSERT(http_response_check(r));
}

bool http_response_check(const struct http_response *r) {
    if (r->line == NULL || r->line_len > r->line_bytes) return false;
    if (r->headers_count > HTTP_RESPONSE_HEADERS_MAX) return false;
    return r->state <= HTTP_RESPONSE_BROKEN;
}

static STATUS broken(struct http_response *r) {
    r->state = HTTP_RESPONSE_BROKEN;
    return status_of(ST_CORRUPT);
}

/* Take one line without its CRLF. Most lines come whole and are not copied.
 * Errors  ST_WAIT  all of `in` was kept; ST_CORRUPT */
static STATUS take_line(struct http_response *r, struct bytes in, size_t *ret_used,
                        struct bytes *ret_line) {
    const uint8_t *lf = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
    const size_t len = lf != NULL ? (size_t)(lf - in.ptr) + 1 : in.len;
    struct bytes line = bytes_of(in.ptr, len);
    if (lf == NULL || r->line_len > 0) {
        if (len > r->line_bytes - r->line_len) return status_of(ST_CORRUPT);
        if (len > 0) memcpy(r->line + r->line_len, in.ptr, len);
        r->line_len += len;
        line = bytes_of(r->line, r->line_len);
    }
    *ret_used = len;
    if (lf == NULL) return status_of(ST_WAIT);
    r->line_len = 0;
    if (line.len < 2 || line.ptr[line.len - 2] != '\r') return status_of(ST_CORRUPT);
    line.len -= 2;
    if (line.len > 0 && memchr(line.ptr, '\r', line.len) != NULL) return status_of(ST_CORRUPT);
    if (line.len > 0 && memchr(line.ptr, '\0', line.len) != NULL) return status_of(ST_CORRUPT);
    *ret_line = line;
    return status_of(ST_OK);
}

/* "HTTP/1.1 200 OK"; the reason may be missing, but not the space before it. */
static STATUS take_status(struct http_response *r, struct bytes line) {
    const bool known = bytes_start_with(line, BYTES_LIT("HTTP/1.1 ")) ||
                       bytes_start_with(line, BYTES_LIT("HTTP/1.0 "));
    if (!known || line.len < 12) return status_of(ST_CORRUPT);
    if (line.len > 12 && line.ptr[12] != ' ') return status_of(ST_CORRUPT);
    uint64_t status = 0;
    TRY(bytes_to_u64(bytes_of(line.ptr + 9, 3), &status));
    if (status < 100 || status > 599) return status_of(ST_CORRUPT);
    r->status = (uint32_t)status;
    r->chunked = r->has_length = false;
    r->close = line.ptr[7] == '0';
    r->left = 0;
    r->headers_count = 0;
    r->state = HTTP_RESPONSE_AT_HEADER;
    return status_of(ST_OK);
}

/* RFC 9110 5.6.2. */
static bool is_token(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = name.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && strchr("!#$%&'*+-.^_`|~", c) == NULL)
            return false;
    }
    return name.len > 0;
}

static STATUS take_header(struct http_response *r, struct bytes line,
                          struct http_response_item *ret_item) {
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || r->headers_count == HTTP_RESPONSE_HEADERS_MAX)
        return status_of(ST_CORRUPT);
    const struct bytes name = bytes_of(line.ptr, (size_t)(colon - line.ptr));
    struct bytes value = bytes_of(colon + 1, line.len - name.len - 1);
    while (value.len > 0 && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
        value = bytes_of(value.ptr + 1, value.len - 1);
    while (value.len > 0 && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
        value.len--;
    if (!is_token(name)) return status_of(ST_CORRUPT);
    r->headers_count++;
    if (bytes_equal_nocase(name, "content-length")) {
        if (r->has_length || !status_ok(bytes_to_u64(value, &r->left)))
            return status_of(ST_CORRUPT);
        r->has_length = true;
    } else if (bytes_equal_nocase(name, "transfer-encoding")) {
        if (r->chunked || !bytes_equal_nocase(value, "chunked")) return status_of(ST_CORRUPT);
        r->chunked = true;
    } else if (bytes_equal_nocase(name, "connection") && bytes_equal_nocase(value, "close")) {
        r->close = true;
    }
    *ret_item = (struct http_response_item){ HTTP_RESPONSE_HEADER, name, value };
    return status_of(ST_OK);
}

/* The empty line behind the headers decides how the body ends (RFC 9112 6.3). */
static STATUS end_headers(struct http_response *r, struct http_response_item *ret_item) {
    if (r->chunked && r->has_length) return status_of(ST_CORRUPT);
    *ret_item = (struct http_response_item){ .event = HTTP_RESPONSE_MORE };
    r->state = HTTP_RESPONSE_AT_STATUS;
    if (r->status < 200) return status_of(ST_OK); /* the real response follows */
    const bool bodiless = r->head || r->status == 204 || r->status == 304;
    if (bodiless || (r->has_length && r->left == 0)) {
        ret_item->event = HTTP_RESPONSE_END;
    } else if (r->chunked) {
        r->state = HTTP_RESPONSE_AT_CHUNK;
    } else if (r->has_length) {
        r->state = HTTP_RESPONSE_AT_BODY;
    } else {
        r->state = HTTP_RESPONSE_AT_CLOSE;
        r->close = true;
    }
    return status_of(ST_OK);
}

/* "1a3" or "1a3;extension". */
static STATUS take_chunk_size(struct http_response *r, struct bytes line) {
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.len && line.ptr[digits] != ';'; digits++) {
        const uint8_t c = line.ptr[digits];
        const uint8_t low = c | 0x20;
        const bool decimal = c >= '0' && c <= '9';
        if (!decimal && !(low >= 'a' && low <= 'f')) return status_of(ST_CORRUPT);
        if (digits == CHUNK_DIGITS_MAX) return status_of(ST_CORRUPT);
        size = size * 16 + (uint64_t)(decimal ? c - '0' : low - 'a' + 10);
    }
    if (digits == 0) return status_of(ST_CORRUPT);
    r->left = size;
    r->state = size == 0 ? HTTP_RESPONSE_AT_TRAILER : HTTP_RESPONSE_AT_CHUNK_BODY;
    return status_of(ST_OK);
}

static void take_body(struct http_response *r, struct bytes in, size_t *ret_used,
                      struct http_response_item *ret_item) {
    const bool counted = r->state != HTTP_RESPONSE_AT_CLOSE;
    const size_t len = counted && in.len > r->left ? (size_t)r->left : in.len;
    if (counted) r->left -= len;
    if (counted && r->left == 0 && r->state == HTTP_RESPONSE_AT_CHUNK_BODY)
        r->state = HTTP_RESPONSE_AT_CHUNK_END;
    *ret_used = len;
    *ret_item =
        (struct http_response_item){ HTTP_RESPONSE_BODY, BYTES_NONE, bytes_of(in.ptr, len) };
}

static STATUS take_line_of_state(struct http_response *r, struct bytes line,
                                 struct http_response_item *ret_item) {
    switch (r->state) {
    case HTTP_RESPONSE_AT_STATUS:
        ret_item->event = HTTP_RESPONSE_STATUS;
        return take_status(r, line);
    case HTTP_RESPONSE_AT_HEADER:
        return line.len > 0 ? take_header(r, line, ret_item) : end_headers(r, ret_item);
    case HTTP_RESPONSE_AT_CHUNK: return take_chunk_size(r, line);
    case HTTP_RESPONSE_AT_CHUNK_END:
        r->state = HTTP_RESPONSE_AT_CHUNK;
        return status_of(line.len == 0 ? ST_OK : ST_CORRUPT);
    case HTTP_RESPONSE_AT_TRAILER:
        if (line.len > 0) return take_header(r, line, ret_item);
        r->state = HTTP_RESPONSE_AT_STATUS;
        ret_item->event = HTTP_RESPONSE_END;
        return status_of(ST_OK);
    default: return status_of(ST_CORRUPT);
    }
}

STATUS http_response_next(struct http_response *r, struct bytes in, size_t *ret_used,
                          struct http_response_item *ret_item) {
    ASSERT(http_response_check(r));
    ASSERT(ret_used != NULL);
    *ret_used = 0;
    struct http_response_item item = { .event = HTTP_RESPONSE_MORE };
    while (item.event == HTTP_RESPONSE_MORE) {
        const struct bytes rest = bytes_of(in.ptr + *ret_used, in.len - *ret_used);
        /* The end of a body is told by itself, even when no input is left. */
        if (r->state == HTTP_RESPONSE_AT_BODY && r->left == 0) {
            r->state = HTTP_RESPONSE_AT_STATUS;
            item.event = HTTP_RESPONSE_END;
            break;
        }
        if (rest.len == 0) break;
        size_t used = 0;
        if (r->state == HTTP_RESPONSE_AT_BODY || r->state == HTTP_RESPONSE_AT_CHUNK_BODY ||
            r->state == HTTP_RESPONSE_AT_CLOSE) {
            take_body(r, rest, &used, &item);
        } else {
            struct bytes line = BYTES_NONE;
            const struct status s = take_line(r, rest, &used, &line);
            if (s.code == ST_CORRUPT) return broken(r);
            if (status_ok(s) && !status_ok(take_line_of_state(r, line, &item))) return broken(r);
        }
        *ret_used += used;
    }
    *ret_item = item;
    ASSERT(*ret_used <= in.len);
    return status_of(ST_OK);
}

STATUS http_response_end(struct http_response *r) {
    ASSERT(http_response_check(r));
    if (r->state != HTTP_RESPONSE_AT_CLOSE) return status_of(ST_CORRUPT);
    r->state = HTTP_RESPONSE_AT_STATUS;
    return status_of(ST_OK);
}
