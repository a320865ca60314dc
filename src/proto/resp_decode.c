#include "proto/resp_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#define ARGV_CAPACITY_MIN 16u    /* the usual command, SET with options included */
#define ARGV_CAPACITY_KEPT 1024u /* more is given back at the next command */
#define REQUESTS_CAPACITY_KEPT 128u
#define TEXT_BYTES_KEPT 1024u
#define MULTIBULK_LEN_MAX (1024u * 1024) /* beyond it the stream is not to be trusted */
#define LENGTH_DIGITS_MAX 18u            /* fits in int64_t without a check at each digit */

static_assert(RESP_ARGS_MAX < MULTIBULK_LEN_MAX, "too many arguments are first skipped");
static_assert(RESP_BULK_BYTES_MAX < RESP_BULK_BYTES_SKIPPED_MAX, "and so are long values");
static_assert(KEY_BYTES_MAX <= RESP_BULK_BYTES_MAX, "a key is a bulk string");

static bool resp_check(const struct resp *r) {
    if (r->version != 2 && r->version != 3) return false;
    if (r->argc > r->argv_capacity) return false;
    if (r->multibulk_done > r->multibulk_len) return false;
    if (r->skip_bytes > 0 && r->refusal == RESP_REFUSE_NOTHING) return false;
    return true;
}

void resp_init(struct resp *r, uint64_t value_bytes_max) {
    ASSERT(value_bytes_max > 0);
    ASSERT(value_bytes_max <= VALUE_BYTES_MAX);
    *r = (struct resp){ .version = 2, .authenticated = true, .value_bytes_max = value_bytes_max };
    r->argv = mem_alloc(ARGV_CAPACITY_MIN * sizeof *r->argv);
    r->argv_capacity = ARGV_CAPACITY_MIN;
    r->requests = mem_alloc(sizeof *r->requests);
    r->requests_capacity = 1;
    buffer_init(&r->text, RESP_INLINE_BYTES_MAX);
    ASSERT(resp_check(r));
}

void resp_deinit(struct resp *r) {
    ASSERT(resp_check(r));
    mem_free(r->argv);
    mem_free(r->requests);
    buffer_deinit(&r->text);
    r->argv = NULL;
    r->requests = NULL;
    r->argc = r->argv_capacity = r->requests_capacity = 0;
}

/* Give back what a large command needed. */
static void trim(struct resp *r) {
    if (r->argv_capacity > ARGV_CAPACITY_KEPT) {
        mem_free(r->argv);
        r->argv = mem_alloc(ARGV_CAPACITY_MIN * sizeof *r->argv);
        r->argv_capacity = ARGV_CAPACITY_MIN;
    }
    if (r->requests_capacity > REQUESTS_CAPACITY_KEPT) {
        mem_free(r->requests);
        r->requests = mem_alloc(sizeof *r->requests);
        r->requests_capacity = 1;
    }
    buffer_shrink(&r->text, TEXT_BYTES_KEPT);
}

static void argv_add(struct resp *r, uint32_t at, struct bytes argument) {
    ASSERT(at < RESP_ARGS_MAX);
    if (at == r->argv_capacity) {
        /* Not what the client announced: it may never send it. */
        r->argv_capacity *= 2;
        r->argv = mem_realloc(r->argv, r->argv_capacity * sizeof *r->argv);
    }
    r->argv[at] = argument;
}

static STATUS protocol_error(struct buffer *out, const char *what) {
    resp_reply_errorf(out, "ERR Protocol error: %s", what);
    return status_of(ST_INVALID);
}

static STATUS expected_dollar(struct buffer *out, uint8_t got) {
    char text[2];
    resp_reply_errorf(out, "ERR Protocol error: expected '$', got '%s'",
                      resp_printable(bytes_of(&got, 1), text, 1));
    return status_of(ST_INVALID);
}

enum line { LINE_DONE, LINE_SHORT, LINE_BAD };

/* A length as Redis takes it: digits without leading zeros, perhaps a minus, and CRLF. It
 * is judged byte by byte, so that the answer does not depend on how the bytes arrive. */
static enum line take_length(const uint8_t *p, const uint8_t *end, int64_t *ret_value,
                             const uint8_t **ret_next) {
    const bool negative = p < end && *p == '-';
    if (negative) p++;
    const uint8_t *const digits = p;
    int64_t value = 0;
    while (p < end && (uint8_t)(*p - '0') <= 9) {
        if (p - digits == LENGTH_DIGITS_MAX) return LINE_BAD;
        value = value * 10 + (*p - '0');
        p++;
        if (p - digits > 1 && *digits == '0') return LINE_BAD;
    }
    if (p == end) return LINE_SHORT;
    if (*p != '\r' || p == digits) return LINE_BAD;
    if (p + 1 == end) return LINE_SHORT;
    if (p[1] != '\n') return LINE_BAD;
    *ret_value = negative ? -value : value;
    *ret_next = p + 2;
    return LINE_DONE;
}

/* From here on the rest of the command is skipped; `at` bytes of it have been looked at. */
static STATUS refuse(struct resp *r, enum resp_refusal refusal, uint64_t count, size_t at,
                     size_t *ret_consumed) {
    ASSERT(at > 0);
    ASSERT(r->multibulk_len > 0);
    r->refusal = refusal;
    r->refused_count = count;
    r->parsed = 0;
    r->argc = 0;
    *ret_consumed = at;
    return status_of(ST_OK);
}

/* What was skipped is all there: let translate answer it. */
static void refuse_end(struct resp *r) {
    ASSERT(r->skip_bytes == 0);
    r->multibulk_len = r->multibulk_done = 0;
    argv_add(r, 0, BYTES_NONE);
    r->argc = 1;
}

/* Consume what is there of a refused command, as it comes: it is never gathered. */
static STATUS skip(struct resp *r, struct bytes in, struct buffer *out, size_t *ret_consumed,
                   size_t *ret_need) {
    ASSERT(r->refusal != RESP_REFUSE_NOTHING);
    const uint8_t *p = in.ptr;
    const uint8_t *const end = in.ptr + in.len;
    r->argc = 0;
    while (true) {
        const size_t there = (size_t)(end - p);
        const size_t part = r->skip_bytes < there ? (size_t)r->skip_bytes : there;
        p += part;
        r->skip_bytes -= part;
        if (r->skip_bytes > 0) break;
        if (r->multibulk_done == r->multibulk_len) {
            refuse_end(r);
            break;
        }
        if (p == end) break;
        if (*p != '$') return expected_dollar(out, *p);
        int64_t len = 0;
        const uint8_t *next = NULL;
        const enum line line = take_length(p + 1, end, &len, &next);
        if (line == LINE_SHORT) break;
        if (line == LINE_BAD || len < 0 || len > RESP_BULK_BYTES_SKIPPED_MAX)
            return protocol_error(out, "invalid bulk length");
        p = next;
        r->skip_bytes = (uint64_t)len + 2;
        r->multibulk_done++;
    }
    if (p == in.ptr && r->argc == 0) {
        *ret_need = in.len + 1;
        return status_of(ST_WAIT);
    }
    *ret_consumed = (size_t)(p - in.ptr);
    return status_of(ST_OK);
}

/* Why a bulk string of this length cannot be argument number `at` of the command. */
static enum resp_refusal judge(const struct resp *r, uint32_t at, uint64_t len, uint64_t before) {
    /* Keys and words have their own limits, which translate knows. */
    const uint64_t kept = r->value_bytes_max > KEY_BYTES_MAX ? r->value_bytes_max : KEY_BYTES_MAX;
    if (len > kept) {
        const struct resp_command *command = at == 0 ? NULL : resp_command_find(r->argv[0]);
        const bool key = command != NULL && resp_command_has_key_at(command, r->multibulk_len, at);
        return key ? RESP_REFUSE_KEY : RESP_REFUSE_VALUE;
    }
    if (before + len + 2 > RESP_COMMAND_BYTES_MAX) return RESP_REFUSE_COMMAND;
    return RESP_REFUSE_NOTHING;
}

static STATUS decode_arguments(struct resp *r, struct bytes in, struct buffer *out,
                               size_t *ret_consumed, size_t *ret_need) {
    const uint8_t *const end = in.ptr + in.len;
    const uint8_t *p = in.ptr + r->parsed;
    size_t need = 0;
    while (r->multibulk_done < r->multibulk_len) {
        const uint32_t at = r->multibulk_done;
        int64_t len = 0;
        const uint8_t *body = NULL;
        if (p == end) break;
        if (*p != '$') return expected_dollar(out, *p);
        const enum line line = take_length(p + 1, end, &len, &body);
        if (line == LINE_SHORT) break;
        if (line == LINE_BAD || len < 0 || len > RESP_BULK_BYTES_SKIPPED_MAX)
            return protocol_error(out, "invalid bulk length");
        const size_t before = (size_t)(body - in.ptr);
        const enum resp_refusal refusal = judge(r, at, (uint64_t)len, before);
        if (__builtin_expect(refusal != RESP_REFUSE_NOTHING, 0)) {
            r->skip_bytes = (uint64_t)len + 2;
            r->multibulk_done++;
            return refuse(r, refusal, (uint64_t)len, before, ret_consumed);
        }
        if (end - body < len + 2) {
            need = before + (size_t)len + 2;
            break;
        }
        if (body[len] != '\r' || body[len + 1] != '\n')
            return protocol_error(out, "expected CRLF after bulk string");
        argv_add(r, at, bytes_of(body, (size_t)len));
        r->multibulk_done++;
        p = body + len + 2;
    }
    if (r->multibulk_done < r->multibulk_len) {
        r->parsed = (size_t)(p - in.ptr);
        r->base = in.ptr;
        *ret_need = need > 0 ? need : in.len + 1;
        return status_of(ST_WAIT);
    }
    r->argc = r->multibulk_len;
    r->multibulk_len = r->multibulk_done = 0;
    r->parsed = 0;
    *ret_consumed = (size_t)(p - in.ptr);
    return status_of(ST_OK);
}

/* The input has moved since argv was filled. */
static void rebase(struct resp *r, const uint8_t *base) {
    for (uint32_t i = 0; i < r->multibulk_done; i++) {
        const uintptr_t offset = (uintptr_t)r->argv[i].ptr - (uintptr_t)r->base;
        r->argv[i].ptr = base + offset;
    }
    r->base = base;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What stands after a backslash inside double quotes; returns how many bytes that is. */
static size_t unescape(const uint8_t *p, const uint8_t *end, uint8_t *ret_byte) {
    if (end - p >= 3 && p[0] == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
        *ret_byte = (uint8_t)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
        return 3;
    }
    switch (p[0]) {
    case 'n': *ret_byte = '\n'; break;
    case 'r': *ret_byte = '\r'; break;
    case 't': *ret_byte = '\t'; break;
    case 'b': *ret_byte = '\b'; break;
    case 'a': *ret_byte = '\a'; break;
    default: *ret_byte = p[0]; break;
    }
    return 1;
}

/* One word of an inline command, quotes as sdssplitargs of Redis takes them, unquoted at
 * `to`. Returns where it ends in the line, NULL if quotes do not match. */
static const uint8_t *take_word(const uint8_t *p, const uint8_t *end, uint8_t *to,
                                size_t *ret_len) {
    uint8_t quote = 0;
    size_t len = 0;
    for (; p < end; p++) {
        const uint8_t c = *p;
        if (quote == 0 && is_blank(c)) break;
        if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (quote != 0 && c == quote) {
            /* A closing quote ends the word. */
            if (p + 1 < end && !is_blank(p[1])) return NULL;
            *ret_len = len;
            return p + 1;
        } else if (quote == '"' && c == '\\' && p + 1 < end) {
            p += unescape(p + 1, end, &to[len++]);
        } else if (quote == '\'' && c == '\\' && p + 1 < end && p[1] == '\'') {
            to[len++] = '\'';
            p++;
        } else {
            to[len++] = c;
        }
    }
    if (quote != 0) return NULL;
    *ret_len = len;
    return p;
}

static STATUS split_inline(struct resp *r, struct bytes line, struct buffer *out) {
    const uint8_t *p = line.ptr;
    const uint8_t *const end = p + line.len;
    /* No word is longer unquoted than quoted, so the room never moves. */
    uint8_t *to = line.len > 0 ? buffer_reserve(&r->text, line.len) : NULL;
    uint32_t argc = 0;
    while (true) {
        while (p < end && is_blank(*p)) p++;
        if (p == end) break;
        size_t len = 0;
        p = take_word(p, end, to, &len);
        if (p == NULL) return protocol_error(out, "unbalanced quotes in request");
        argv_add(r, argc++, bytes_of(to, len));
        to += len;
    }
    r->argc = argc;
    return status_of(ST_OK);
}

static STATUS decode_inline(struct resp *r, struct bytes in, struct buffer *out,
                            size_t *ret_consumed, size_t *ret_need) {
    ASSERT(r->parsed <= in.len);
    const size_t look = in.len < RESP_INLINE_BYTES_MAX ? in.len : RESP_INLINE_BYTES_MAX;
    const uint8_t *const newline = memchr(in.ptr + r->parsed, '\n', look - r->parsed);
    if (newline == NULL) {
        if (look == RESP_INLINE_BYTES_MAX) return protocol_error(out, "too big inline request");
        r->parsed = look;
        *ret_need = in.len + 1;
        return status_of(ST_WAIT);
    }
    size_t len = (size_t)(newline - in.ptr);
    r->parsed = 0;
    if (len > 0 && in.ptr[len - 1] == '\r') len--;
    TRY(split_inline(r, bytes_of(in.ptr, len), out));
    *ret_consumed = (size_t)(newline + 1 - in.ptr);
    return status_of(ST_OK);
}

STATUS resp_decode(struct resp *r, struct bytes in, struct buffer *out, size_t *ret_consumed,
                   size_t *ret_need) {
    ASSERT(resp_check(r));
    if (r->multibulk_len > 0) {
        if (r->refusal != RESP_REFUSE_NOTHING) return skip(r, in, out, ret_consumed, ret_need);
        ASSERT(in.len >= r->parsed);
        if (in.ptr != r->base) rebase(r, in.ptr);
        return decode_arguments(r, in, out, ret_consumed, ret_need);
    }
    r->argc = 0;
    r->refusal = RESP_REFUSE_NOTHING;
    if (__builtin_expect(r->argv_capacity > ARGV_CAPACITY_KEPT ||
                             r->requests_capacity > REQUESTS_CAPACITY_KEPT || r->text.end > 0,
                         0)) {
        trim(r);
    }
    if (in.len == 0) {
        *ret_need = 1;
        return status_of(ST_WAIT);
    }
    if (in.ptr[0] != '*') return decode_inline(r, in, out, ret_consumed, ret_need);

    int64_t len = 0;
    const uint8_t *next = NULL;
    const enum line line = take_length(in.ptr + 1, in.ptr + in.len, &len, &next);
    if (line == LINE_SHORT) {
        *ret_need = in.len + 1;
        return status_of(ST_WAIT);
    }
    if (line == LINE_BAD || len > MULTIBULK_LEN_MAX)
        return protocol_error(out, "invalid multibulk length");
    if (len <= 0) {
        *ret_consumed = (size_t)(next - in.ptr);
        return status_of(ST_OK);
    }
    r->multibulk_len = (uint32_t)len;
    r->parsed = (size_t)(next - in.ptr);
    r->base = in.ptr;
    if (len > RESP_ARGS_MAX)
        return refuse(r, RESP_REFUSE_ARGUMENTS, (uint64_t)len, r->parsed, ret_consumed);
    return decode_arguments(r, in, out, ret_consumed, ret_need);
}
