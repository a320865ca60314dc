/* Commands about several keys, about when keys expire, and about all keys. */
#include "proto/resp_internal.h"

#include "base/assert.h"

#define SCAN_COUNT_DEFAULT 10u    /* as in Redis */
#define SCAN_COUNT_MAX 65536u     /* the answer is gathered; COUNT is a hint */
#define CURSOR_TEXT_BYTES_MAX 20u /* digits of 2^64 - 1 */

/* One request for each argument behind the name. */
static void plan_each(struct resp_call *c, struct request model, enum resp_shape shape) {
    const struct resp *const r = c->resp;
    const uint32_t count = r->argc - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (!resp_key_valid(c, r->argv[i + 1])) return;
    }
    struct request *const requests = resp_plan_many(c, count, shape);
    if (requests == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = model;
        requests[i].key = r->argv[i + 1];
    }
}

void resp_translate_del(struct resp_call *c) {
    plan_each(c, (struct request){ .op = OP_DELETE }, SHAPE_EXISTED_SUM);
}

void resp_translate_exists(struct resp_call *c) {
    plan_each(c, (struct request){ .op = OP_GET, .flags = REQUEST_NO_VALUE }, SHAPE_FOUND_SUM);
}

void resp_translate_mget(struct resp_call *c) {
    plan_each(c, (struct request){ .op = OP_GET }, SHAPE_VALUES);
}

void resp_translate_mset(struct resp_call *c) {
    const struct resp *const r = c->resp;
    if (r->argc % 2 == 0) {
        resp_reply_error(c->out, "ERR wrong number of arguments for 'mset' command");
        return;
    }
    const uint32_t count = (r->argc - 1) / 2;
    for (uint32_t i = 0; i < count; i++) {
        if (!resp_key_valid(c, r->argv[1 + 2 * i])) return;
        if (!resp_value_valid(c, r->argv[2 + 2 * i])) return;
    }
    struct request *const requests = resp_plan_many(c, count, SHAPE_OK);
    if (requests == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = (struct request){
            .op = OP_PUT,
            .key = r->argv[1 + 2 * i],
            .value = r->argv[2 + 2 * i],
        };
    }
}

static bool take_expire_options(struct resp_call *c, uint8_t *ret_expire_when) {
    const struct resp *const r = c->resp;
    uint8_t when = 0;
    for (uint32_t i = 3; i < r->argc; i++) {
        const struct bytes word = r->argv[i];
        if (bytes_equal_nocase(word, "nx")) {
            when |= EXPIRE_IF_NONE;
        } else if (bytes_equal_nocase(word, "xx")) {
            when |= EXPIRE_IF_SOME;
        } else if (bytes_equal_nocase(word, "gt")) {
            when |= EXPIRE_IF_LATER;
        } else if (bytes_equal_nocase(word, "lt")) {
            when |= EXPIRE_IF_EARLIER;
        } else {
            char text[129];
            resp_reply_errorf(c->out, "ERR Unsupported option %s",
                              resp_printable(word, text, sizeof text - 1));
            return false;
        }
    }
    if ((when & EXPIRE_IF_NONE) && when != EXPIRE_IF_NONE) {
        resp_reply_error(c->out,
                         "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((when & EXPIRE_IF_LATER) && (when & EXPIRE_IF_EARLIER)) {
        resp_reply_error(c->out, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_expire_when = when;
    return true;
}

/* argv[2] counts units of `unit_ms` from `base_ms`. */
static void plan_expire(struct resp_call *c, int64_t unit_ms, uint64_t base_ms) {
    uint8_t expire_when = 0;
    int64_t when = 0;
    if (!take_expire_options(c, &expire_when)) return;
    if (!resp_integer_valid(c, c->resp->argv[2], &when)) return;
    if (__builtin_mul_overflow(when, unit_ms, &when) ||
        __builtin_add_overflow(when, (int64_t)base_ms, &when)) {
        resp_reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->command->name);
        return;
    }
    struct request *const request = resp_plan_key(c, OP_EXPIRE, SHAPE_DONE);
    if (request == NULL) return;
    request->expiry = EXPIRY_AT;
    request->expire_when = expire_when;
    /* 0 would mean never; any time long past means at once. */
    request->expires_at_ms = when > 0 ? (uint64_t)when : 1;
}

void resp_translate_expire(struct resp_call *c) {
    plan_expire(c, 1000, c->now_ms);
}

void resp_translate_pexpire(struct resp_call *c) {
    plan_expire(c, 1, c->now_ms);
}

void resp_translate_expireat(struct resp_call *c) {
    plan_expire(c, 1000, 0);
}

void resp_translate_pexpireat(struct resp_call *c) {
    plan_expire(c, 1, 0);
}

void resp_translate_persist(struct resp_call *c) {
    struct request *const request = resp_plan_key(c, OP_EXPIRE, SHAPE_DONE);
    if (request == NULL) return;
    request->expiry = EXPIRY_CLEAR;
    request->expire_when = EXPIRE_IF_SOME; /* the answer is 0 if there was none */
}

static void plan_look(struct resp_call *c, enum resp_shape shape) {
    struct request *const request = resp_plan_key(c, OP_GET, shape);
    if (request != NULL) request->flags = REQUEST_NO_VALUE;
}

void resp_translate_ttl(struct resp_call *c) {
    plan_look(c, SHAPE_TTL);
}

void resp_translate_pttl(struct resp_call *c) {
    plan_look(c, SHAPE_PTTL);
}

void resp_translate_expiretime(struct resp_call *c) {
    plan_look(c, SHAPE_EXPIRETIME);
}

void resp_translate_pexpiretime(struct resp_call *c) {
    plan_look(c, SHAPE_PEXPIRETIME);
}

void resp_translate_type(struct resp_call *c) {
    plan_look(c, SHAPE_TYPE);
}

/* What every match of a glob begins with, so that a scan need not look elsewhere. */
static struct bytes literal_prefix(struct bytes pattern) {
    size_t len = 0;
    while (len < pattern.len && len < KEY_BYTES_MAX && memchr("*?[\\", pattern.ptr[len], 4) == NULL)
        len++;
    return bytes_of(pattern.ptr, len);
}

static struct request *plan_scan(struct resp_call *c, struct bytes pattern, enum resp_shape shape) {
    struct request *const request = resp_plan_keyspace(c, OP_SCAN, shape);
    c->plan->kind = PLAN_SCAN;
    request->flags = REQUEST_NO_VALUE;
    request->prefix = literal_prefix(pattern);
    if (!bytes_equal(pattern, BYTES_LIT("*"))) request->pattern = pattern;
    request->rows_max = ROW_PAGE_ROWS_MAX;
    return request;
}

/* As strtoul takes it where there is nothing but digits. */
static bool cursor_valid(struct bytes text, uint64_t *ret_cursor) {
    if (text.len > CURSOR_TEXT_BYTES_MAX) return false;
    return status_ok(bytes_to_u64(text, ret_cursor));
}

struct scan_options {
    struct bytes pattern;
    uint64_t count;
    bool strings; /* false: TYPE asks for what no key is */
};

static bool take_scan_options(struct resp_call *c, struct scan_options *o) {
    const struct resp *const r = c->resp;
    for (uint32_t i = 2; i < r->argc; i += 2) {
        const struct bytes word = r->argv[i];
        const bool last = i + 1 == r->argc;
        if (!last && bytes_equal_nocase(word, "count")) {
            int64_t count = 0;
            if (!resp_integer_valid(c, r->argv[i + 1], &count)) return false;
            if (count < 1) {
                resp_reply_error(c->out, "ERR syntax error");
                return false;
            }
            o->count = (uint64_t)count;
        } else if (!last && bytes_equal_nocase(word, "match")) {
            o->pattern = r->argv[i + 1];
        } else if (!last && bytes_equal_nocase(word, "type")) {
            o->strings = bytes_equal_nocase(r->argv[i + 1], "string");
        } else {
            resp_reply_error(c->out, "ERR syntax error");
            return false;
        }
    }
    return true;
}

void resp_translate_scan(struct resp_call *c) {
    uint64_t cursor = 0;
    if (!cursor_valid(c->resp->argv[1], &cursor)) {
        resp_reply_error(c->out, "ERR invalid cursor");
        return;
    }
    struct scan_options o = { .pattern = BYTES_LIT("*"),
                              .count = SCAN_COUNT_DEFAULT,
                              .strings = true };
    if (!take_scan_options(c, &o)) return;
    /* There are no keys of another type, and the empty key is none. */
    if (!o.strings || o.pattern.len == 0) {
        c->plan->shape = SHAPE_SCAN;
        resp_encode_scan(c->plan, NULL, 0, 0, c->out);
        return;
    }
    struct request *const request = plan_scan(c, o.pattern, SHAPE_SCAN);
    const uint32_t count = o.count < SCAN_COUNT_MAX ? (uint32_t)o.count : SCAN_COUNT_MAX;
    if (count < request->rows_max) request->rows_max = count;
    c->plan->rows_examined = count;
    c->plan->scan_by_cursor = true;
    c->plan->scan_cursor = cursor;
}

void resp_translate_keys(struct resp_call *c) {
    const struct bytes pattern = c->resp->argv[1];
    if (pattern.len == 0) {
        resp_reply_array(c->out, 0);
        return;
    }
    (void)plan_scan(c, pattern, SHAPE_KEYS);
}

void resp_translate_randomkey(struct resp_call *c) {
    (void)resp_plan_keyspace(c, OP_RANDOM_KEY, SHAPE_VALUE);
}

void resp_translate_dbsize(struct resp_call *c) {
    (void)plan_scan(c, BYTES_LIT("*"), SHAPE_COUNT);
    c->plan->scan_counts = true;
}

void resp_translate_flush(struct resp_call *c) {
    const struct resp *const r = c->resp;
    const bool known = r->argc == 1 || (r->argc == 2 && (bytes_equal_nocase(r->argv[1], "async") ||
                                                         bytes_equal_nocase(r->argv[1], "sync")));
    if (!known) {
        resp_reply_error(c->out, "ERR syntax error");
        return;
    }
    (void)resp_plan_keyspace(c, OP_TRUNCATE, SHAPE_OK);
}
