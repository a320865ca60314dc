/* Commands that read or change the value of one key. */
#include "proto/resp_internal.h"

#include "base/assert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define INT64_SECONDS_MAX (INT64_MAX / 1000)
/* Digits of the largest number in plain decimal, as in Redis (MAX_LONG_DOUBLE_CHARS). */
#define FLOAT_TEXT_BYTES_MAX (5u * 1024)

void resp_translate_get(struct resp_call *c) {
    (void)resp_plan_key(c, OP_GET, SHAPE_VALUE);
}

static struct request *plan_put(struct resp_call *c, struct bytes value, enum resp_shape shape) {
    if (!resp_value_valid(c, value)) return NULL;
    struct request *const request = resp_plan_key(c, OP_PUT, shape);
    if (request != NULL) request->value = value;
    return request;
}

void resp_translate_setnx(struct resp_call *c) {
    struct request *const request = plan_put(c, c->resp->argv[2], SHAPE_DONE);
    if (request != NULL) request->condition = COND_ABSENT;
}

void resp_translate_getset(struct resp_call *c) {
    struct request *const request = plan_put(c, c->resp->argv[2], SHAPE_OLD_VALUE);
    if (request != NULL) request->flags = REQUEST_RETURN_OLD;
}

/* EX, PX, EXAT, PXAT: two bits. */
#define TIME_SECONDS 1u
#define TIME_ABSOLUTE 2u

/* When a value set now expires. False after an error reply. */
static bool expiry_valid(struct resp_call *c, struct bytes text, uint32_t unit,
                         uint64_t *ret_expires_at_ms) {
    int64_t when = 0;
    if (!resp_integer_valid(c, text, &when)) return false;
    bool valid = when > 0;
    if (valid && (unit & TIME_SECONDS)) {
        valid = when <= INT64_SECONDS_MAX;
        if (valid) when *= 1000;
    }
    if (valid && !(unit & TIME_ABSOLUTE)) {
        valid = when <= INT64_MAX - (int64_t)c->now_ms;
        if (valid) when += (int64_t)c->now_ms;
    }
    if (!valid) {
        resp_reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->command->name);
        return false;
    }
    *ret_expires_at_ms = (uint64_t)when;
    return true;
}

static void set_with_expiry(struct resp_call *c, uint32_t unit) {
    uint64_t expires_at_ms = 0;
    if (!expiry_valid(c, c->resp->argv[2], unit, &expires_at_ms)) return;
    struct request *const request = plan_put(c, c->resp->argv[3], SHAPE_OK);
    if (request == NULL) return;
    request->expiry = EXPIRY_AT;
    request->expires_at_ms = expires_at_ms;
}

void resp_translate_setex(struct resp_call *c) {
    set_with_expiry(c, TIME_SECONDS);
}

void resp_translate_psetex(struct resp_call *c) {
    set_with_expiry(c, 0);
}

/* Options of SET and GETEX as they were given. */
struct options {
    enum condition condition;
    enum expiry expiry;
    bool expiry_given;     /* some word about the expiry was there: another is an error */
    bool get;              /* SET .. GET */
    uint32_t unit;         /* of `time` */
    struct bytes time;     /* EXPIRY_AT */
    struct bytes expected; /* COND_VALUE_IS */
};

/* Take EX, PX, EXAT or PXAT and its number from argv[*at]. */
static bool take_time(const struct resp *r, uint32_t *at, struct options *o) {
    const struct bytes word = r->argv[*at];
    uint32_t unit = 0;
    if (bytes_equal_nocase(word, "ex")) {
        unit = TIME_SECONDS;
    } else if (bytes_equal_nocase(word, "px")) {
        unit = 0;
    } else if (bytes_equal_nocase(word, "exat")) {
        unit = TIME_SECONDS | TIME_ABSOLUTE;
    } else if (bytes_equal_nocase(word, "pxat")) {
        unit = TIME_ABSOLUTE;
    } else {
        return false;
    }
    if (*at + 1 == r->argc) return false;
    /* The same unit may be given again, and the last one counts: so Redis. */
    if (o->expiry_given && (o->expiry != EXPIRY_AT || o->unit != unit)) return false;
    o->expiry_given = true;
    o->expiry = EXPIRY_AT;
    o->unit = unit;
    o->time = r->argv[++*at];
    return true;
}

static bool take_set_option(const struct resp *r, uint32_t *at, struct options *o) {
    const struct bytes word = r->argv[*at];
    if (take_time(r, at, o)) return true;
    if (bytes_equal_nocase(word, "get")) {
        o->get = true;
        return true;
    }
    if (bytes_equal_nocase(word, "keepttl")) {
        if (o->expiry_given && o->expiry != EXPIRY_KEEP) return false;
        o->expiry_given = true;
        o->expiry = EXPIRY_KEEP;
        return true;
    }
    enum condition condition = COND_NONE;
    if (bytes_equal_nocase(word, "nx")) condition = COND_ABSENT;
    if (bytes_equal_nocase(word, "xx")) condition = COND_PRESENT;
    if (bytes_equal_nocase(word, "ifeq")) condition = COND_VALUE_IS;
    if (condition == COND_NONE) return false;
    if (o->condition != COND_NONE && o->condition != condition) return false;
    if (condition == COND_VALUE_IS) {
        if (o->condition != COND_NONE || *at + 1 == r->argc) return false;
        o->expected = r->argv[++*at];
    }
    o->condition = condition;
    return true;
}

static void set_with_options(struct resp_call *c) {
    const struct resp *const r = c->resp;
    struct options o = { 0 };
    for (uint32_t i = 3; i < r->argc; i++) {
        if (!take_set_option(r, &i, &o)) {
            resp_reply_error(c->out, "ERR syntax error");
            return;
        }
    }
    uint64_t expires_at_ms = 0;
    if (o.expiry == EXPIRY_AT && !expiry_valid(c, o.time, o.unit, &expires_at_ms)) return;
    struct request *const request = plan_put(c, r->argv[2], o.get ? SHAPE_OLD_VALUE : SHAPE_SET);
    if (request == NULL) return;
    request->condition = o.condition;
    request->expiry = o.expiry;
    request->expires_at_ms = expires_at_ms;
    request->expected = o.expected;
    if (o.get) request->flags = REQUEST_RETURN_OLD;
}

void resp_translate_set(struct resp_call *c) {
    if (c->resp->argc > 3) {
        set_with_options(c);
        return;
    }
    (void)plan_put(c, c->resp->argv[2], SHAPE_OK);
}

void resp_translate_getdel(struct resp_call *c) {
    struct request *const request = resp_plan_key(c, OP_GET, SHAPE_VALUE);
    if (request != NULL) request->flags = REQUEST_DELETE;
}

void resp_translate_getex(struct resp_call *c) {
    const struct resp *const r = c->resp;
    struct options o = { .expiry = EXPIRY_NONE };
    for (uint32_t i = 2; i < r->argc; i++) {
        if (take_time(r, &i, &o)) continue;
        const bool repeated = o.expiry_given && o.expiry != EXPIRY_CLEAR;
        if (repeated || !bytes_equal_nocase(r->argv[i], "persist")) {
            resp_reply_error(c->out, "ERR syntax error");
            return;
        }
        o.expiry_given = true;
        o.expiry = EXPIRY_CLEAR;
    }
    uint64_t expires_at_ms = 0;
    if (o.expiry == EXPIRY_AT && !expiry_valid(c, o.time, o.unit, &expires_at_ms)) return;
    struct request *const request = resp_plan_key(c, OP_GET, SHAPE_VALUE);
    if (request == NULL) return;
    request->expiry = o.expiry;
    request->expires_at_ms = expires_at_ms;
}

void resp_translate_append(struct resp_call *c) {
    const struct bytes value = c->resp->argv[2];
    if (!resp_value_valid(c, value)) return;
    struct request *const request = resp_plan_key(c, OP_APPEND, SHAPE_INTEGER);
    if (request != NULL) request->value = value;
}

void resp_translate_strlen(struct resp_call *c) {
    struct request *const request = resp_plan_key(c, OP_GET, SHAPE_LENGTH);
    if (request != NULL) request->flags = REQUEST_NO_VALUE;
}

static void plan_increment(struct resp_call *c, int64_t increment) {
    struct request *const request = resp_plan_key(c, OP_INCR, SHAPE_INTEGER);
    if (request != NULL) request->increment = increment;
}

void resp_translate_incr(struct resp_call *c) {
    plan_increment(c, 1);
}

void resp_translate_decr(struct resp_call *c) {
    plan_increment(c, -1);
}

void resp_translate_incrby(struct resp_call *c) {
    int64_t increment = 0;
    if (resp_integer_valid(c, c->resp->argv[2], &increment)) plan_increment(c, increment);
}

void resp_translate_decrby(struct resp_call *c) {
    int64_t decrement = 0;
    if (!resp_integer_valid(c, c->resp->argv[2], &decrement)) return;
    if (decrement == INT64_MIN) {
        resp_reply_error(c->out, "ERR decrement would overflow");
        return;
    }
    plan_increment(c, -decrement);
}

/* A number as Redis takes it: what strtold takes but for blanks, NaN and overflow. */
static bool float_decode(struct bytes text, long double *ret_value) {
    char copy[FLOAT_TEXT_BYTES_MAX];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    if (text.ptr[0] == ' ' || (text.ptr[0] >= '\t' && text.ptr[0] <= '\r')) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end = NULL;
    errno = 0;
    const long double value = strtold(copy, &end);
    if (end != copy + text.len || isnan(value)) return false;
    /* "inf" is taken, and then refused for what it would make. */
    if (errno == ERANGE && isinf(value)) return false;
    *ret_value = value;
    return true;
}

void resp_translate_incrbyfloat(struct resp_call *c) {
    long double increment = 0;
    if (!float_decode(c->resp->argv[2], &increment)) {
        resp_reply_error(c->out, "ERR value is not a valid float");
        return;
    }
    struct request *const request = resp_plan_key(c, OP_INCR_FLOAT, SHAPE_VALUE);
    if (request != NULL) request->increment_float = increment;
}
