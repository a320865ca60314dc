#include "proto/http_guard.h"

#include "base/assert.h"
#include "proto/http.h"

#define TOKEN 1u  /* tchar, RFC 9110 5.6.2 */
#define TARGET 2u /* may stand in a request target: visible ASCII but `#` */
#define HOST 4u   /* may stand in Host: reg-name, IP literal, port (RFC 3986 3.2.2) */

#define LETTER (TOKEN | TARGET | HOST)

/* clang-format off */
static const uint8_t classes[256] = {
    ['0'...'9'] = LETTER, ['A'...'Z'] = LETTER, ['a'...'z'] = LETTER,
    ['!'] = LETTER, ['$'] = LETTER, ['%'] = LETTER, ['&'] = LETTER, ['\''] = LETTER,
    ['*'] = LETTER, ['+'] = LETTER, ['-'] = LETTER, ['.'] = LETTER, ['_'] = LETTER,
    ['~'] = LETTER,
    ['#'] = TOKEN, ['^'] = TOKEN | TARGET, ['`'] = TOKEN | TARGET, ['|'] = TOKEN | TARGET,
    ['('] = TARGET | HOST, [')'] = TARGET | HOST, [';'] = TARGET | HOST, ['='] = TARGET | HOST,
    [':'] = TARGET | HOST, ['['] = TARGET | HOST, [']'] = TARGET | HOST,
    ['"'] = TARGET, [','] = TARGET, ['/'] = TARGET, ['<'] = TARGET, ['>'] = TARGET,
    ['?'] = TARGET, ['@'] = TARGET, ['\\'] = TARGET, ['{'] = TARGET, ['}'] = TARGET,
};
/* clang-format on */

/* "METHOD SP target SP HTTP/1.1": the method and version are short. */
#define REQUEST_LINE_BYTES_MAX (HTTP_TARGET_BYTES_MAX + 32u)
#define VERSION_BYTES 8u /* "HTTP/1.1" */

static struct status refuse(struct http_guard *g, uint16_t status, const char *code,
                            const char *message) {
    ASSERT(status >= 400 && status <= 505);
    g->fault = (struct http_fault){ .status = status, .code = code, .message = message };
    return status_of(ST_INVALID);
}

static struct status refuse_request(struct http_guard *g, const char *message) {
    return refuse(g, 400, "bad_request", message);
}

static bool all_of(struct bytes text, uint8_t class) {
    uint8_t common = class;
    for (size_t i = 0; i < text.len; i++) common &= classes[text.ptr[i]];
    return common == class;
}

bool http_guard_token(struct bytes text) {
    return text.len > 0 && all_of(text, TOKEN);
}

/* Whether `text` may be a field value: no control character but HTAB (RFC 9110 5.5);
 * bytes from 0x80 up are opaque. Eight at a time; an alarm is looked at again. */
static bool is_field_value(struct bytes text) {
    const uint64_t ones = UINT64_MAX / 255;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        const uint64_t word = get_u64_le(text.ptr + i);
        const uint64_t del = word ^ (ones * 0x7f);
        const uint64_t alarm = ((word - ones * 0x20) & ~word) | ((del - ones) & ~del);
        if ((alarm & (ones * 0x80)) == 0) continue;
        for (size_t j = i; j < i + 8; j++) {
            const uint8_t c = text.ptr[j];
            if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
        }
    }
    for (; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static struct bytes trim(struct bytes text) {
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

bool http_guard_field(struct bytes line, size_t *ret_name_len) {
    size_t name_len = 0;
    while (name_len < line.len && (classes[line.ptr[name_len]] & TOKEN) != 0) name_len++;
    if (name_len == 0 || name_len == line.len || line.ptr[name_len] != ':') return false;
    const struct bytes value = bytes_of(line.ptr + name_len + 1, line.len - name_len - 1);
    if (!is_field_value(value)) return false;
    *ret_name_len = name_len;
    return true;
}

static struct status check_length(struct http_guard *g, struct bytes value) {
    if (g->has_length) return refuse_request(g, "Content-Length is there more than once");
    /* 19 digits fit 64 bits; bytes_to_u64 takes digits alone: no sign, list or space. */
    if (value.len > 19 || !status_ok(bytes_to_u64(value, &g->length))) {
        return refuse_request(g, "Content-Length must be one number of bytes, in digits");
    }
    g->has_length = true;
    if (g->chunked) return refuse_request(g, "Content-Length beside Transfer-Encoding");
    return status_of(ST_OK);
}

static struct status check_encoding(struct http_guard *g, struct bytes value) {
    if (g->chunked) return refuse_request(g, "Transfer-Encoding is there more than once");
    if (g->has_length) return refuse_request(g, "Content-Length beside Transfer-Encoding");
    if (g->minor == 0) return refuse_request(g, "Transfer-Encoding needs HTTP/1.1");
    if (!bytes_equal_nocase(value, "chunked")) {
        return refuse(g, 501, "not_implemented", "Transfer-Encoding: only chunked is known");
    }
    g->chunked = true;
    return status_of(ST_OK);
}

static struct status check_host(struct http_guard *g, struct bytes value) {
    if (g->hosts > 0) return refuse_request(g, "Host is there more than once");
    if (!all_of(value, HOST)) return refuse_request(g, "Host must be a name or an address");
    g->hosts = 1;
    return status_of(ST_OK);
}

static struct status check_field_line(struct http_guard *g, struct bytes line) {
    size_t name_len = 0;
    if (g->lines > HTTP_HEADERS_MAX) {
        return refuse(g, 431, "headers_too_large", "more than 100 headers");
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
        return refuse_request(g, "a header is folded over two lines");
    }
    if (!http_guard_field(line, &name_len)) {
        return refuse_request(g, "a header must be `name: value` without control characters");
    }
    const struct bytes name = bytes_of(line.ptr, name_len);
    if (name_len != 4 && name_len != 14 && name_len != 17) return status_of(ST_OK);

    const struct bytes value = trim(bytes_of(line.ptr + name_len + 1, line.len - name_len - 1));
    if (bytes_equal_nocase(name, "host")) return check_host(g, value);
    if (bytes_equal_nocase(name, "content-length")) return check_length(g, value);
    if (bytes_equal_nocase(name, "transfer-encoding")) return check_encoding(g, value);
    return status_of(ST_OK);
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static struct status check_version(struct http_guard *g, const uint8_t *version) {
    const struct bytes name = bytes_of(version, 5);
    if (!bytes_equal(name, BYTES_LIT("HTTP/")) || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7])) {
        return refuse_request(g, "the request line must be `METHOD target HTTP/1.1`");
    }
    if (version[5] != '1' || version[7] > '1') {
        return refuse(g, 505, "version_not_supported", "only HTTP/1.0 and HTTP/1.1 are spoken");
    }
    g->minor = (uint8_t)(version[7] - '0');
    return status_of(ST_OK);
}

/* origin-form, absolute-form, or asterisk-form with OPTIONS (RFC 9112 3.2). */
static bool is_target(struct bytes method, struct bytes target) {
    if (target.len == 0 || !all_of(target, TARGET)) return false;
    if (target.ptr[0] == '/') return true;
    if (bytes_start_with(target, BYTES_LIT("http://"))) return true;
    return bytes_equal(target, BYTES_LIT("*")) && bytes_equal(method, BYTES_LIT("OPTIONS"));
}

static struct status check_request_line(struct http_guard *g, struct bytes line) {
    size_t method_len = 0;
    while (method_len < line.len && (classes[line.ptr[method_len]] & TOKEN) != 0) method_len++;
    const bool has_room = method_len > 0 && method_len + 2 + VERSION_BYTES < line.len;
    if (!has_room || line.ptr[method_len] != ' ' || line.ptr[line.len - VERSION_BYTES - 1] != ' ') {
        return refuse_request(g, "the request line must be `METHOD target HTTP/1.1`");
    }
    const size_t target_len = line.len - method_len - VERSION_BYTES - 2;
    const struct bytes method = bytes_of(line.ptr, method_len);
    const struct bytes target = bytes_of(line.ptr + method_len + 1, target_len);
    TRY(check_version(g, line.ptr + line.len - VERSION_BYTES));
    if (target_len > HTTP_TARGET_BYTES_MAX) {
        return refuse(g, 414, "target_too_long", "the path and query are longer than allowed");
    }
    if (!is_target(method, target)) {
        return refuse_request(g, "the target must be a path of visible ASCII, e.g. /v1/kv/key; "
                                 "other bytes are written %XX");
    }
    return status_of(ST_OK);
}

/* The limits that hold for a line of `len` bytes, complete or not, so that it is refused
 * at the same byte however the bytes arrive. */
static struct status check_limits(struct http_guard *g, size_t len) {
    if (g->lines == 0 && len > REQUEST_LINE_BYTES_MAX) {
        return refuse(g, 414, "target_too_long", "the path and query are longer than allowed");
    }
    if (g->line + len > HTTP_HEADER_BYTES_MAX) {
        return refuse(g, 431, "headers_too_large", "the headers are longer than 256 KiB");
    }
    return status_of(ST_OK);
}

static struct status finish(struct http_guard *g) {
    ASSERT(g->lines > 0);
    ASSERT(!(g->has_length && g->chunked));
    if (g->minor == 1 && g->hosts == 0) {
        return refuse_request(g, "HTTP/1.1 needs a Host header");
    }
    return status_of(ST_OK);
}

STATUS http_guard_step(struct http_guard *g, struct bytes in) {
    ASSERT(g->line <= g->searched || g->searched == 0);
    ASSERT(g->searched <= in.len);
    for (;;) {
        const size_t from = g->searched > g->line ? g->searched : g->line;
        const uint8_t *lf = from == in.len ? NULL : memchr(in.ptr + from, '\n', in.len - from);
        if (lf == NULL) {
            g->searched = in.len;
            TRY(check_limits(g, in.len - g->line));
            return status_of(ST_WAIT);
        }
        const size_t end = (size_t)(lf - in.ptr);
        TRY(check_limits(g, end + 1 - g->line));
        if (end == g->line || in.ptr[end - 1] != '\r') {
            return refuse_request(g, "a line must end with CR LF, not with LF alone");
        }
        const struct bytes line = bytes_of(in.ptr + g->line, end - 1 - g->line);
        if (line.len == 0 && g->lines > 0) {
            g->line = g->searched = end + 1;
            return finish(g);
        }
        if (line.len == 0) {
            /* One empty line before the request is let pass (RFC 9112 2.2). */
            if (g->start > 0) return refuse_request(g, "empty lines instead of a request");
            g->start = end + 1;
        } else {
            if (g->lines == 0) TRY(check_request_line(g, line));
            if (g->lines > 0) TRY(check_field_line(g, line));
            g->lines++;
        }
        g->line = g->searched = end + 1;
    }
}
