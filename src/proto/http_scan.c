#include "proto/http_internal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "proto/base64.h"
#include "proto/etag.h"
#include "proto/http_alias.h"
#include "proto/json_text.h"

/* A cursor before base64url:
 *
 *   offset  size  field
 *        0     4  CRC-32C of what follows, so that a cut or mistyped cursor is refused
 *        4     n  the last key of the answer, 1..KEY_BYTES_MAX bytes
 */
#define CURSOR_CHECK_BYTES 4u

/* A chunk's size is written when its data is there, in as many digits as it may need. */
#define CHUNK_HEAD "00000000\r\n"
#define CHUNK_HEAD_BYTES (sizeof CHUNK_HEAD - 1)
#define CHUNK_DIGITS 8u

STATUS http_cursor_decode(struct bytes text, uint8_t *room, struct bytes *ret_key) {
    size_t len = 0;
    TRY(base64_decode(BASE64_URL, text, room, &len));
    if (len < CURSOR_CHECK_BYTES + KEY_BYTES_MIN) return status_of(ST_INVALID);
    if (len > CURSOR_CHECK_BYTES + KEY_BYTES_MAX) return status_of(ST_INVALID);
    const struct bytes key = bytes_of(room + CURSOR_CHECK_BYTES, len - CURSOR_CHECK_BYTES);
    if (get_u32_le(room) != crc32c(0, key)) return status_of(ST_INVALID);
    *ret_key = key;
    return status_of(ST_OK);
}

static void append_cursor(struct buffer *out, struct bytes key) {
    uint8_t raw[CURSOR_CHECK_BYTES + KEY_BYTES_MAX];
    ASSERT(key.len >= KEY_BYTES_MIN);
    ASSERT(key.len <= KEY_BYTES_MAX);
    put_u32_le(raw, crc32c(0, key));
    memcpy(raw + CURSOR_CHECK_BYTES, key.ptr, key.len);
    buffer_append_u8(out, '"');
    base64_append(out, BASE64_URL, bytes_of(raw, CURSOR_CHECK_BYTES + key.len));
    buffer_append_u8(out, '"');
}

/* HTTP/1.0 knows no chunks: the end of the connection ends the body. */
static bool is_chunked(const struct plan *plan) {
    return (plan->dialect & HTTP_OLD) == 0;
}

static size_t chunk_begin(const struct plan *plan, struct buffer *out) {
    const size_t mark = buffer_len(out);
    if (is_chunked(plan)) buffer_append(out, BYTES_LIT(CHUNK_HEAD));
    return mark;
}

static void chunk_end(const struct plan *plan, size_t mark, struct buffer *out) {
    if (!is_chunked(plan) || out->overflowed) return;
    ASSERT(buffer_len(out) >= mark + CHUNK_HEAD_BYTES);
    size_t size = buffer_len(out) - mark - CHUNK_HEAD_BYTES;
    if (size == 0) {
        /* A chunk of none would end the body. */
        out->end -= CHUNK_HEAD_BYTES;
        return;
    }
    ASSERT(size <= UINT32_MAX);
    uint8_t *digits = out->ptr + out->start + mark;
    for (size_t i = CHUNK_DIGITS; i-- > 0; size >>= 4) {
        digits[i] = (uint8_t) "0123456789abcdef"[size & 15];
    }
    buffer_append(out, BYTES_LIT("\r\n"));
}

/* One object of keys and values, as an older store answers, in place of items. */
static bool is_alias(const struct plan *plan) {
    ASSERT(plan->shape == HTTP_SHAPE_SCAN || plan->shape == HTTP_SHAPE_ALIAS);
    return plan->shape == HTTP_SHAPE_ALIAS;
}

void http_encode_scan_begin(const struct plan *plan, struct buffer *out) {
    const bool alias = is_alias(plan);
    buffer_append(out, BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "X-Content-Type-Options: nosniff\r\n"));
    if (is_chunked(plan)) buffer_append(out, BYTES_LIT("Transfer-Encoding: chunked\r\n"));
    if (!is_chunked(plan) || (plan->dialect & HTTP_CLOSE) != 0) {
        buffer_append(out, BYTES_LIT("Connection: close\r\n"));
    }
    buffer_append(out, BYTES_LIT("\r\n"));
    const size_t mark = chunk_begin(plan, out);
    buffer_append_string(out, alias ? "{" : "{\"items\":[");
    chunk_end(plan, mark, out);
}

static void append_row(const struct plan *plan, const struct row *row, struct buffer *out) {
    uint8_t version[BALLOT_TEXT_BYTES];
    buffer_append_u8(out, '{');
    json_text_append_member(out, "key", row->key);
    if ((plan->dialect & HTTP_KEYS_ONLY) == 0) {
        buffer_append_u8(out, ',');
        json_text_append_member(out, "value", row->value);
    }
    buffer_append(out, BYTES_LIT(",\"version\":\""));
    buffer_append(out, bytes_of(version, etag_print(row->version, version)));
    buffer_append_u8(out, '"');
    if (row->expires_at_ms != 0) {
        buffer_append(out, BYTES_LIT(",\"expires_at_ms\":"));
        buffer_append_u64(out, row->expires_at_ms);
    }
    buffer_append_u8(out, '}');
}

void http_encode_scan_rows(const struct plan *plan, const struct row *rows, uint32_t count,
                           bool first, struct buffer *out) {
    const bool alias = is_alias(plan);
    const size_t mark = chunk_begin(plan, out);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 || !first) buffer_append_u8(out, ',');
        if (alias) {
            http_alias_append_row(&rows[i], out);
            continue;
        }
        buffer_append_u8(out, '\n');
        append_row(plan, &rows[i], out);
    }
    chunk_end(plan, mark, out);
}

static void last_chunk(const struct plan *plan, struct buffer *out) {
    if (is_chunked(plan)) buffer_append(out, BYTES_LIT("0\r\n\r\n"));
}

void http_encode_scan_end(const struct plan *plan, bool more, struct bytes cursor_key,
                          struct buffer *out) {
    const bool alias = is_alias(plan);
    ASSERT(!more || cursor_key.len > 0);
    ASSERT(!more || !alias);
    const size_t mark = chunk_begin(plan, out);
    if (!alias) buffer_append(out, BYTES_LIT("\n],\"cursor\":"));
    if (more) append_cursor(out, cursor_key);
    if (!more && !alias) buffer_append(out, BYTES_LIT("null"));
    buffer_append(out, BYTES_LIT("}\n"));
    chunk_end(plan, mark, out);
    last_chunk(plan, out);
}

void http_encode_no_keyspace(const struct plan *plan, struct buffer *out) {
    ASSERT(plan->keyspace.len > 0);
    http_reply_error(out, plan->dialect, 404, "no_such_keyspace", "%s",
                     admin_outcome_text(ADMIN_NO_KEYSPACE));
}

void http_encode_outcome(const struct plan *plan, enum outcome outcome, bool begun,
                         struct buffer *out) {
    const struct response response = { .outcome = outcome };
    http_encode_refusal(plan, &response, begun, out);
}

void http_encode_refusal(const struct plan *plan, const struct response *response, bool begun,
                         struct buffer *out) {
    ASSERT(response->outcome != OUT_OK);
    const bool is_write = plan->shape == HTTP_SHAPE_PUT || plan->shape == HTTP_SHAPE_DELETE ||
                          plan->shape == HTTP_SHAPE_BATCH;
    if (!begun && plan->shape == HTTP_SHAPE_ALIAS) {
        http_alias_encode_refusal(plan, response, out);
        return;
    }
    if (!begun) {
        http_reply_outcome(out, plan->dialect, response, is_write);
        return;
    }
    const bool alias = is_alias(plan);
    const size_t mark = chunk_begin(plan, out);
    if (alias) {
        /* Every name in the object is a key, so only what is no JSON can tell of a failure. */
        buffer_printf(out, "\nerror: %s\n", http_outcome_message(response->outcome));
    } else {
        buffer_append(out, BYTES_LIT("\n],\"cursor\":null,\"error\":"));
        http_append_outcome(out, response, false);
        buffer_append(out, BYTES_LIT("}\n"));
    }
    chunk_end(plan, mark, out);
    last_chunk(plan, out);
}
