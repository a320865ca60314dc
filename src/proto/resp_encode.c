#include "proto/resp_internal.h"

#include "base/assert.h"

#define MAYBE "the write may or may not have been applied"

/* The codes are Redis's where clients know one: they retry after TRYAGAIN and CLUSTERDOWN,
 * and not after ERR, which matters where a write may have happened already. */
static const char *outcome_error(enum outcome outcome, bool writes) {
    switch (outcome) {
    case OUT_NOT_INTEGER: return "ERR value is not an integer or out of range";
    case OUT_NOT_FLOAT: return "ERR value is not a valid float";
    case OUT_OVERFLOW: return "ERR increment or decrement would overflow";
    case OUT_VALUE_TOO_LARGE: return "ERR value is too large: the result would pass the limit";
    case OUT_TOO_MANY:
        return "ERR the answer is too large: ask for fewer keys at a time, or use SCAN";
    case OUT_BAD_CURSOR: return "ERR invalid cursor: unknown or too old, start again at 0";
    case OUT_BUSY: return "TRYAGAIN the node is overloaded; retry later";
    case OUT_DISK_FULL:
        return "MISCONF the disk is full: writes are refused until there is room, reads go on";
    case OUT_CORRUPT:
        return "ERR corrupt data: what is stored of this key fails its checksum and is not served";
    case OUT_TIMEOUT:
        if (writes) return "ERR timeout: " MAYBE;
        return "TRYAGAIN timeout: no answer in time; retry";
    case OUT_STOPPING: return "TRYAGAIN the node is stopping; retry elsewhere";
    case OUT_OVERTAKEN: return "TRYAGAIN others wrote the key first, again and again";
    case OUT_CLOCK:
        return "CLUSTERDOWN the clock of this node is too far from the others', it may not stamp "
               "writes: check NTP on this node";
    case OUT_QUORUM:
        if (writes) return "ERR too few replicas answered: " MAYBE;
        return "CLUSTERDOWN too few replicas answered";
    case OUT_OK:
    case OUT_NOT_FOUND:
    case OUT_CONDITION_FAILED:
    case OUT_NOT_MODIFIED: break;
    }
    return NULL;
}

static bool is_error(enum outcome outcome) {
    return outcome > OUT_NOT_MODIFIED;
}

static_assert(OUT_NOT_MODIFIED < OUT_NOT_INTEGER, "answers come before errors");
static_assert(OUT_CONDITION_FAILED < OUT_NOT_MODIFIED, "answers come before errors");

void resp_encode_outcome(const struct plan *plan, enum outcome outcome, struct buffer *out) {
    const char *const text = outcome_error(outcome, (plan->shape & SHAPE_WRITES) != 0);
    ASSERT(text != NULL);
    resp_reply_error(out, text);
}

/* A replica whose answer was lost may hold a write, so that repeating it may do it twice:
 * CLUSTERDOWN, which clients repeat by themselves, is for what is known not to be done. */
static void encode_quorum(const struct plan *plan, const struct response *response,
                          struct buffer *out) {
    const bool maybe = (plan->shape & SHAPE_WRITES) != 0 && !response->untried;
    resp_reply_errorf(out, "%s %u of %u replicas answered, the level needs %u%s",
                      maybe ? "ERR" : "CLUSTERDOWN", response->acks, response->replicas,
                      response->needed, maybe ? ": " MAYBE : "");
}

void resp_encode_refusal(const struct plan *plan, const struct response *response,
                         struct buffer *out) {
    if (response->outcome == OUT_QUORUM && response->needed > 0) {
        encode_quorum(plan, response, out);
    } else {
        resp_encode_outcome(plan, response->outcome, out);
    }
}

static void encode_value(const struct plan *plan, const struct response *response,
                         struct buffer *out) {
    if (__builtin_expect(response->outcome == OUT_OK, 1)) {
        resp_reply_bulk(out, response->value);
    } else {
        resp_reply_null(out, plan->dialect);
    }
}

static void encode_values(const struct plan *plan, const struct response *responses,
                          struct buffer *out) {
    resp_reply_array(out, plan->request_count);
    for (uint32_t i = 0; i < plan->request_count; i++) encode_value(plan, &responses[i], out);
}

/* TTL and its like; seconds are rounded as Redis rounds them. */
static int64_t expiry_of(enum resp_shape shape, const struct response *response, uint64_t now_ms) {
    if (response->outcome != OUT_OK) return -2;
    if (response->expires_at_ms == 0) return -1;
    const uint64_t at_ms = response->expires_at_ms;
    const uint64_t left_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    switch (shape) {
    case SHAPE_TTL: return (int64_t)((left_ms + 500) / 1000);
    case SHAPE_PTTL: return (int64_t)left_ms;
    case SHAPE_EXPIRETIME: return (int64_t)((at_ms + 500) / 1000);
    default: return (int64_t)at_ms;
    }
}

static int64_t count_existed(const struct plan *plan, const struct response *responses) {
    int64_t count = 0;
    for (uint32_t i = 0; i < plan->request_count; i++) count += responses[i].existed;
    return count;
}

static int64_t count_found(const struct plan *plan, const struct response *responses) {
    int64_t count = 0;
    for (uint32_t i = 0; i < plan->request_count; i++) count += responses[i].outcome == OUT_OK;
    return count;
}

static void encode_ok(struct buffer *out) {
    buffer_append(out, BYTES_LIT("+OK\r\n"));
}

static void encode_answer(const struct plan *plan, const struct response *responses,
                          uint64_t now_ms, struct buffer *out) {
    const struct response *const first = &responses[0];
    const enum resp_shape shape = (enum resp_shape)(plan->shape & SHAPE_MASK);
    const bool done = first->outcome == OUT_OK;
    switch (shape) {
    case SHAPE_VALUE: encode_value(plan, first, out); return;
    case SHAPE_OK: encode_ok(out); return;
    case SHAPE_SET:
        if (done) {
            encode_ok(out);
        } else {
            resp_reply_null(out, plan->dialect);
        }
        return;
    case SHAPE_OLD_VALUE:
        if (first->existed) {
            resp_reply_bulk(out, first->value);
        } else {
            resp_reply_null(out, plan->dialect);
        }
        return;
    case SHAPE_DONE: resp_reply_integer(out, done); return;
    case SHAPE_INTEGER: resp_reply_integer(out, first->integer); return;
    case SHAPE_LENGTH: resp_reply_integer(out, done ? (int64_t)first->value_len : 0); return;
    case SHAPE_EXISTED_SUM: resp_reply_integer(out, count_existed(plan, responses)); return;
    case SHAPE_FOUND_SUM: resp_reply_integer(out, count_found(plan, responses)); return;
    case SHAPE_VALUES: encode_values(plan, responses, out); return;
    case SHAPE_TTL:
    case SHAPE_PTTL:
    case SHAPE_EXPIRETIME:
    case SHAPE_PEXPIRETIME: resp_reply_integer(out, expiry_of(shape, first, now_ms)); return;
    case SHAPE_TYPE: resp_reply_simple(out, done ? "string" : "none"); return;
    default: ASSERT(false);
    }
}

void resp_encode(const struct plan *plan, const struct response *responses, uint64_t now_ms,
                 struct buffer *out) {
    ASSERT(plan->kind == PLAN_REQUESTS);
    ASSERT(plan->request_count > 0);
    for (uint32_t i = 0; i < plan->request_count; i++) {
        if (__builtin_expect(!is_error(responses[i].outcome), 1)) continue;
        /* Redis has another text for INCRBYFLOAT, the one number among the values. */
        if (responses[i].outcome == OUT_OVERFLOW && (plan->shape & SHAPE_MASK) == SHAPE_VALUE) {
            resp_reply_error(out, "ERR increment would produce NaN or Infinity");
        } else {
            resp_encode_refusal(plan, &responses[i], out);
        }
        return;
    }
    encode_answer(plan, responses, now_ms, out);
}

void resp_encode_scan(const struct plan *plan, const struct row *rows, uint64_t count,
                      uint64_t cursor, struct buffer *out) {
    const enum resp_shape shape = (enum resp_shape)(plan->shape & SHAPE_MASK);
    ASSERT(shape == SHAPE_SCAN || shape == SHAPE_KEYS || shape == SHAPE_COUNT ||
           shape == SHAPE_VALUE);
    ASSERT((shape == SHAPE_COUNT) == plan->scan_counts);
    if (shape == SHAPE_COUNT) {
        ASSERT(count <= INT64_MAX);
        resp_reply_integer(out, (int64_t)count);
        return;
    }
    if (shape == SHAPE_VALUE) {
        ASSERT(count <= 1);
        if (count == 0)
            resp_reply_null(out, plan->dialect);
        else
            resp_reply_bulk(out, rows[0].key);
        return;
    }
    if (shape == SHAPE_SCAN) {
        uint8_t digits[20];
        const size_t len = (size_t)(resp_put_u64(digits, cursor) - digits);
        resp_reply_array(out, 2);
        resp_reply_bulk(out, bytes_of(digits, len));
    }
    resp_reply_array(out, count);
    for (uint64_t i = 0; i < count; i++) resp_reply_bulk(out, rows[i].key);
}
