#include "proto/json_text.h"

#include "base/assert.h"
#include "proto/base64.h"

#define ESCAPE_BYTES_MAX 6u /* \u001F */
#define PIECE_BYTES 4096u   /* room is taken for so much text at a time */

static bool is_continuation(uint8_t c) {
    return (c & 0xc0) == 0x80;
}

/* Length of the sequence that starts at `p`, `left` bytes before the end; 0 if bad.
 * The table of RFC 3629 section 4. */
static size_t sequence_len(const uint8_t *p, size_t left) {
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    const size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < len || !is_continuation(p[1])) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0; /* overlong */
    if (p[0] == 0xed && p[1] > 0x9f) return 0; /* surrogates */
    if (p[0] == 0xf0 && p[1] < 0x90) return 0; /* overlong */
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0; /* above U+10FFFF */
    for (size_t i = 2; i < len; i++) {
        if (!is_continuation(p[i])) return 0;
    }
    return len;
}

bool json_text_is_utf8(struct bytes text) {
    size_t i = 0;
    while (i < text.len) {
        if (i + 8 <= text.len && (get_u64_le(text.ptr + i) & UINT64_C(0x8080808080808080)) == 0) {
            i += 8;
            continue;
        }
        const size_t len = sequence_len(text.ptr + i, text.len - i);
        if (len == 0) return false;
        i += len;
    }
    return true;
}

/* What stands for `c` behind a backslash, 'u' for \u00XX, 0 for itself. */
static uint8_t escape_of(uint8_t c) {
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return c < 0x20 ? 'u' : 0;
    }
}

static uint8_t *put_escaped(uint8_t *p, uint8_t c) {
    const uint8_t escape = escape_of(c);
    if (escape == 0) {
        *p++ = c;
        return p;
    }
    *p++ = '\\';
    *p++ = escape;
    if (escape != 'u') return p;
    *p++ = '0';
    *p++ = '0';
    *p++ = (uint8_t) "0123456789ABCDEF"[c >> 4];
    *p++ = (uint8_t) "0123456789ABCDEF"[c & 15];
    return p;
}

/* Bytes from 0x80 up become `high`, unless that is 0. */
static void append_quoted(struct buffer *out, struct bytes text, uint8_t high) {
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < text.len;) {
        const size_t piece = text.len - i < PIECE_BYTES ? text.len - i : PIECE_BYTES;
        uint8_t *start = buffer_reserve(out, piece * ESCAPE_BYTES_MAX);
        if (start == NULL) return;
        uint8_t *p = start;
        for (const size_t end = i + piece; i < end; i++) {
            const uint8_t c = text.ptr[i];
            p = put_escaped(p, c >= 0x80 && high != 0 ? high : c);
        }
        ASSERT((size_t)(p - start) <= piece * ESCAPE_BYTES_MAX);
        buffer_commit(out, (size_t)(p - start));
    }
    buffer_append_u8(out, '"');
}

void json_text_append(struct buffer *out, struct bytes text) {
    append_quoted(out, text, 0);
}

void json_text_append_lossy(struct buffer *out, struct bytes text) {
    append_quoted(out, text, json_text_is_utf8(text) ? 0 : '?');
}

void json_text_append_member(struct buffer *out, const char *name, struct bytes text) {
    const bool is_text = json_text_is_utf8(text);
    buffer_append_u8(out, '"');
    buffer_append_string(out, name);
    if (is_text) {
        buffer_append(out, BYTES_LIT("\":"));
        json_text_append(out, text);
    } else {
        buffer_append(out, BYTES_LIT("_base64\":\""));
        base64_append(out, BASE64_STANDARD, text);
        buffer_append_u8(out, '"');
    }
}

/* What Go writes besides: "</script>" must not end a script that the text is put into, and
 * JavaScript once took U+2028 and U+2029 for line ends. */
static const char *go_escape(const uint8_t *p, size_t len) {
    if (len == 0) return "\\ufffd";
    if (len == 1 && p[0] == '<') return "\\u003c";
    if (len == 1 && p[0] == '>') return "\\u003e";
    if (len == 1 && p[0] == '&') return "\\u0026";
    if (len == 3 && memcmp(p, "\xe2\x80\xa8", 3) == 0) return "\\u2028";
    if (len == 3 && memcmp(p, "\xe2\x80\xa9", 3) == 0) return "\\u2029";
    return NULL;
}

static uint8_t *put_go(uint8_t *p, struct bytes text, size_t *i) {
    const uint8_t *in = text.ptr + *i;
    const size_t len = sequence_len(in, text.len - *i);
    const char *escape = go_escape(in, len);
    *i += len == 0 ? 1 : len;
    if (escape != NULL) {
        memcpy(p, escape, ESCAPE_BYTES_MAX);
        return p + ESCAPE_BYTES_MAX;
    }
    if (len == 1 && escape_of(in[0]) == 'u') {
        static const char digits[] = "0123456789abcdef";
        const uint8_t code[] = {
            '\\', 'u', '0', '0', (uint8_t)digits[in[0] >> 4], (uint8_t)digits[in[0] & 15]
        };
        memcpy(p, code, sizeof code);
        return p + sizeof code;
    }
    if (len == 1) return put_escaped(p, in[0]);
    memcpy(p, in, len);
    return p + len;
}

void json_text_append_go(struct buffer *out, struct bytes text) {
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < text.len;) {
        const size_t end = text.len - i < PIECE_BYTES ? text.len : i + PIECE_BYTES;
        /* The last sequence of a piece may reach up to three bytes over its end. */
        uint8_t *start = buffer_reserve(out, (end - i + 3) * ESCAPE_BYTES_MAX);
        if (start == NULL) return;
        uint8_t *p = start;
        while (i < end) p = put_go(p, text, &i);
        buffer_commit(out, (size_t)(p - start));
    }
    buffer_append_u8(out, '"');
}
