#include "proto/http_internal.h"

#include <stdio.h>

#include "base/assert.h"
#include "proto/ttl.h"
#include "proto/uri.h"

#define LIMIT_DEFAULT 1000u
#define LIMIT_MAX 100000u /* rows of one answer; a cursor goes on from there */
#define OP_DIGITS 32u
#define LEVEL_DIGIT_MAX '7'

static_assert(REPLICAS_MAX == LEVEL_DIGIT_MAX - '0', "a level counts replicas in one digit");

static const struct param {
    const char *name;
    uint32_t bit;
} params[] = {
    { "keyspace", HTTP_PARAM_KEYSPACE }, { "level", HTTP_PARAM_LEVEL },
    { "ttl", HTTP_PARAM_TTL },           { "op", HTTP_PARAM_OP },
    { "start", HTTP_PARAM_START },       { "end", HTTP_PARAM_END },
    { "prefix", HTTP_PARAM_PREFIX },     { "limit", HTTP_PARAM_LIMIT },
    { "cursor", HTTP_PARAM_CURSOR },     { "values", HTTP_PARAM_VALUES },
    { "format", HTTP_PARAM_FORMAT },     { "replicas", HTTP_PARAM_REPLICAS },
};
#define PARAMS (sizeof params / sizeof *params)

static bool fail(const struct http *h, struct buffer *out, const char *code, const char *message) {
    http_reply_error(out, h->flags, 400, code, "%s", message);
    return false;
}

static bool fail_unknown(const struct http *h, struct buffer *out, struct bytes name,
                         uint32_t allowed) {
    char list[128] = " none";
    size_t len = 0;
    for (size_t i = 0; i < PARAMS; i++) {
        if ((params[i].bit & allowed) == 0) continue;
        len += (size_t)snprintf(list + len, sizeof list - len, " %s", params[i].name);
        ASSERT(len < sizeof list);
    }
    http_reply_error(out, h->flags, 400, "unknown_parameter",
                     "the query parameter `%.*s` is not known here; known:%s",
                     (int)(name.len < 64 ? name.len : 64), (const char *)name.ptr, list);
    return false;
}

static bool read_hex(struct bytes text, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        uint8_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = (uint8_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint8_t)((c | 0x20) - 'a' + 10);
        } else {
            return false;
        }
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

static bool read_op(const struct http *h, struct bytes value, struct buffer *out,
                    struct http_params *p) {
    const bool is_op = value.len == OP_DIGITS &&
                       read_hex(bytes_of(value.ptr, OP_DIGITS / 2), &p->op_high) &&
                       read_hex(bytes_of(value.ptr + OP_DIGITS / 2, OP_DIGITS / 2), &p->op_low);
    if (is_op && (p->op_high | p->op_low) != 0) return true;
    return fail(h, out, "bad_op", "op must be 32 hex digits that are not all zero");
}

static bool read_level(const struct http *h, struct bytes value, struct buffer *out,
                       struct http_params *p) {
    if (bytes_equal(value, BYTES_LIT("one"))) {
        p->level = LEVEL_ONE;
    } else if (bytes_equal(value, BYTES_LIT("quorum"))) {
        p->level = LEVEL_QUORUM;
    } else if (bytes_equal(value, BYTES_LIT("all"))) {
        p->level = LEVEL_ALL;
    } else if (value.len == 1 && value.ptr[0] >= '1' && value.ptr[0] <= LEVEL_DIGIT_MAX) {
        p->level = LEVEL_COUNT;
        p->level_count = (uint8_t)(value.ptr[0] - '0');
    } else {
        return fail(h, out, "bad_level",
                    "level must be one, quorum, all or a number of replicas from 1 to 7");
    }
    return true;
}

static bool read_limit(const struct http *h, struct bytes value, struct buffer *out,
                       struct http_params *p) {
    uint64_t limit = 0;
    if (!status_ok(bytes_to_u64(value, &limit)) || limit == 0 || limit > LIMIT_MAX) {
        return fail(h, out, "bad_limit", "limit must be a number from 1 to 100000");
    }
    p->limit = (uint32_t)limit;
    return true;
}

static bool read_values(const struct http *h, struct bytes value, struct buffer *out,
                        struct http_params *p) {
    if (!bytes_equal(value, BYTES_LIT("0")) && !bytes_equal(value, BYTES_LIT("1"))) {
        return fail(h, out, "bad_values", "values must be 0 or 1");
    }
    p->keys_only = value.ptr[0] == '0';
    return true;
}

static bool read_format(const struct http *h, struct bytes value, struct buffer *out,
                        struct http_params *p) {
    p->prometheus = bytes_equal(value, BYTES_LIT("prometheus"));
    if (p->prometheus || bytes_equal(value, BYTES_LIT("json"))) return true;
    return fail(h, out, "bad_format", "format must be json or prometheus");
}

static bool read_replicas(const struct http *h, struct bytes value, struct buffer *out,
                          struct http_params *p) {
    p->replicas = bytes_equal(value, BYTES_LIT("true"));
    if (p->replicas || bytes_equal(value, BYTES_LIT("false"))) return true;
    return fail(h, out, "bad_replicas", "replicas must be true or false");
}

static bool read_key(const struct http *h, struct bytes value, struct buffer *out,
                     struct bytes *ret_key) {
    if (value.len > KEY_BYTES_MAX) {
        return fail(h, out, "key_too_long", "a key has at most 65535 bytes");
    }
    *ret_key = value;
    return true;
}

static bool read_param(const struct http *h, uint32_t bit, struct bytes value, struct buffer *out,
                       struct http_params *p) {
    switch (bit) {
    case HTTP_PARAM_KEYSPACE:
        if (!bytes_equal(value, BYTES_LIT("default"))) p->keyspace = value;
        return true;
    case HTTP_PARAM_LEVEL: return read_level(h, value, out, p);
    case HTTP_PARAM_OP: return read_op(h, value, out, p);
    case HTTP_PARAM_START: return read_key(h, value, out, &p->start);
    case HTTP_PARAM_END: return read_key(h, value, out, &p->end);
    case HTTP_PARAM_PREFIX: return read_key(h, value, out, &p->prefix);
    case HTTP_PARAM_LIMIT: return read_limit(h, value, out, p);
    case HTTP_PARAM_CURSOR: p->cursor = value; return true;
    case HTTP_PARAM_VALUES: return read_values(h, value, out, p);
    case HTTP_PARAM_FORMAT: return read_format(h, value, out, p);
    case HTTP_PARAM_REPLICAS: return read_replicas(h, value, out, p);
    default: break;
    }
    ASSERT(bit == HTTP_PARAM_TTL);
    if (status_ok(ttl_parse(value, &p->ttl_ms))) return true;
    return fail(h, out, "bad_ttl", "ttl must be " TTL_ALLOWED);
}

static uint32_t find(struct bytes name) {
    for (size_t i = 0; i < PARAMS; i++) {
        if (bytes_equal(name, bytes_of_string(params[i].name))) return params[i].bit;
    }
    return 0;
}

bool http_params_read(struct http *h, uint32_t allowed, struct buffer *out,
                      struct http_params *ret_params) {
    struct bytes query = http_bytes_of(h, h->query);
    struct bytes name;
    struct bytes value;
    *ret_params = (struct http_params){ .limit = LIMIT_DEFAULT };
    while (uri_query_next(&query, &name, &value)) {
        const uint32_t bit = find(name);
        if ((bit & allowed) == 0) return fail_unknown(h, out, name, allowed);
        if ((bit & ret_params->given) != 0) {
            return fail(h, out, "repeated_parameter", "a query parameter is there twice");
        }
        ret_params->given |= bit;
        uint8_t *room = h->text.ptr + h->text.end;
        if (!status_ok(uri_decode_query(value, room, &value))) {
            return fail(h, out, "bad_escape",
                        "a % in the query must be followed by two hex digits");
        }
        if (value.ptr == room) buffer_commit(&h->text, value.len);
        if (!read_param(h, bit, value, out, ret_params)) return false;
    }
    return true;
}
