#include "proto/resp_internal.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

#define ERROR_BYTES_MAX 512u /* an error line; the longest quotes 256 bytes of the client */
#define HEADER_BYTES_MAX 24u /* type, 20 digits, CRLF */

static const char digit_pairs[] = "00010203040506070809"
                                  "10111213141516171819"
                                  "20212223242526272829"
                                  "30313233343536373839"
                                  "40414243444546474849"
                                  "50515253545556575859"
                                  "60616263646566676869"
                                  "70717273747576777879"
                                  "80818283848586878889"
                                  "90919293949596979899";

static_assert(sizeof digit_pairs == 201, "two digits for each number below 100");

static uint32_t digit_count(uint64_t value) {
    uint32_t count = 1;
    while (value >= 10000) {
        value /= 10000;
        count += 4;
    }
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

uint8_t *resp_put_u64(uint8_t *p, uint64_t value) {
    ASSERT(p != NULL);
    uint8_t *const end = p + digit_count(value);
    uint8_t *at = end;
    while (value >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(at - 2, digit_pairs + 2 * value, 2);
    } else {
        at[-1] = (uint8_t)('0' + value);
    }
    return end;
}

static uint8_t *put_header(uint8_t *p, char type, uint64_t count) {
    *p++ = (uint8_t)type;
    p = resp_put_u64(p, count);
    memcpy(p, "\r\n", 2);
    return p + 2;
}

static void reply_header(struct buffer *out, char type, uint64_t count) {
    uint8_t *const p = buffer_reserve(out, HEADER_BYTES_MAX);
    if (p == NULL) return;
    buffer_commit(out, (size_t)(put_header(p, type, count) - p));
}

static void reply_line(struct buffer *out, char type, struct bytes text) {
    uint8_t *const p = buffer_reserve(out, text.len + 3);
    if (p == NULL) return;
    p[0] = (uint8_t)type;
    memcpy(p + 1, text.ptr, text.len);
    memcpy(p + 1 + text.len, "\r\n", 2);
    buffer_commit(out, text.len + 3);
}

void resp_reply_error(struct buffer *out, const char *text) {
    ASSERT(strpbrk(text, "\r\n") == NULL);
    reply_line(out, '-', bytes_of_string(text));
}

void resp_reply_errorf(struct buffer *out, const char *format, ...) {
    char text[ERROR_BYTES_MAX];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ASSERT(len >= 0);
    ASSERT((size_t)len < sizeof text);
    resp_reply_error(out, text);
}

void resp_reply_simple(struct buffer *out, const char *text) {
    reply_line(out, '+', bytes_of_string(text));
}

void resp_reply_integer(struct buffer *out, int64_t value) {
    uint8_t *const start = buffer_reserve(out, HEADER_BYTES_MAX);
    if (start == NULL) return;
    uint8_t *p = start;
    *p++ = ':';
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        *p++ = '-';
        magnitude = 0 - magnitude;
    }
    p = resp_put_u64(p, magnitude);
    memcpy(p, "\r\n", 2);
    buffer_commit(out, (size_t)(p + 2 - start));
}

void resp_reply_bulk(struct buffer *out, struct bytes value) {
    uint8_t *const start = buffer_reserve(out, value.len + HEADER_BYTES_MAX + 2);
    if (start == NULL) return;
    uint8_t *p = put_header(start, '$', value.len);
    if (value.len > 0) memcpy(p, value.ptr, value.len);
    p += value.len;
    memcpy(p, "\r\n", 2);
    buffer_commit(out, (size_t)(p + 2 - start));
}

void resp_reply_bulk_string(struct buffer *out, const char *text) {
    resp_reply_bulk(out, bytes_of_string(text));
}

void resp_reply_verbatim(struct buffer *out, uint8_t version, struct bytes text) {
    if (version < 3) {
        resp_reply_bulk(out, text);
        return;
    }
    reply_header(out, '=', text.len + 4);
    buffer_append(out, BYTES_LIT("txt:"));
    buffer_append(out, text);
    buffer_append(out, BYTES_LIT("\r\n"));
}

void resp_reply_null(struct buffer *out, uint8_t version) {
    if (version < 3) {
        buffer_append(out, BYTES_LIT("$-1\r\n"));
    } else {
        buffer_append(out, BYTES_LIT("_\r\n"));
    }
}

void resp_reply_array(struct buffer *out, uint64_t count) {
    reply_header(out, '*', count);
}

void resp_reply_map(struct buffer *out, uint8_t version, uint64_t count) {
    if (version < 3) {
        reply_header(out, '*', 2 * count);
    } else {
        reply_header(out, '%', count);
    }
}

void resp_reply_set(struct buffer *out, uint8_t version, uint64_t count) {
    reply_header(out, version < 3 ? '*' : '~', count);
}

const char *resp_printable(struct bytes in, char *text, size_t bytes_max) {
    const size_t len = in.len < bytes_max ? in.len : bytes_max;
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = in.ptr[i];
        text[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    text[len] = '\0';
    return text;
}
