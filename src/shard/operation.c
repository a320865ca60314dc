#include "shard/operation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"

/* Digits, sign, point and exponent of any long double printed with %.17Lf, or of
 * any number we accept as one. */
#define NUMBER_TEXT_BYTES_MAX 5120u

bool operation_needs_read(const struct request *q) {
    if (q->op != OP_PUT) return true;
    return q->condition != COND_NONE || q->expiry == EXPIRY_KEEP ||
           (q->flags & REQUEST_RETURN_OLD) != 0 || q->op_high != 0 || q->op_low != 0;
}

bool operation_only_reads(const struct request *q) {
    return q->op == OP_GET && (q->flags & REQUEST_DELETE) == 0 && q->expiry != EXPIRY_AT &&
           q->expiry != EXPIRY_CLEAR;
}

bool operation_reads_and_writes(const struct request *q) {
    return operation_needs_read(q) && !operation_only_reads(q);
}

static bool condition_holds(const struct request *q, const struct record *current) {
    switch (q->condition) {
    case COND_NONE:
    case COND_VERSION_IS_NOT: return true;
    case COND_ABSENT: return current == NULL;
    case COND_PRESENT: return current != NULL;
    case COND_VERSION_IS:
        return current != NULL && ballot_compare(current->ballot, q->version) == 0;
    case COND_VALUE_IS: return current != NULL && bytes_equal(current->value, q->expected);
    }
    ASSERT(false);
    return false;
}

/* The response describes `current`; its value is a view that a later write may end. */
static void answer_current(const struct record *current, struct response *r) {
    r->existed = true;
    r->version = current->ballot;
    r->expires_at_ms = current->expires_at_ms;
    r->value = current->value;
    r->value_len = current->value.len;
}

/* The value answered must survive the write that follows. */
static void keep_answer_value(struct decision *d, struct buffer *scratch) {
    const size_t len = d->response.value.len;
    if (len == 0) return;
    const size_t at = buffer_len(scratch);
    buffer_append(scratch, d->response.value);
    ASSERT(!scratch->overflowed);
    d->response.value = bytes_of(buffer_bytes(scratch).ptr + at, len);
}

static void write_value(struct decision *d, struct bytes value, uint64_t expires_at_ms,
                        uint64_t now_ms) {
    const bool expired = expires_at_ms != 0 && expires_at_ms <= now_ms;
    d->write = expired ? DECISION_DELETE : DECISION_PUT;
    d->value = expired ? BYTES_NONE : value;
    d->expires_at_ms = expired ? 0 : expires_at_ms;
}

static uint64_t expiry_after(const struct request *q, const struct record *current) {
    const uint64_t before = current == NULL ? 0 : current->expires_at_ms;
    switch (q->expiry) {
    case EXPIRY_NONE: return q->op == OP_PUT ? 0 : before;
    case EXPIRY_KEEP: return before;
    case EXPIRY_AT: return q->expires_at_ms;
    case EXPIRY_CLEAR: return 0;
    }
    ASSERT(false);
    return 0;
}

static void decide_get(const struct request *q, const struct record *current, uint64_t now_ms,
                       struct buffer *scratch, struct decision *d) {
    if (current == NULL) {
        d->response.outcome = OUT_NOT_FOUND;
        return;
    }
    answer_current(current, &d->response);
    if (q->condition == COND_VERSION_IS_NOT && ballot_compare(current->ballot, q->version) == 0) {
        d->response.outcome = OUT_NOT_MODIFIED;
        return;
    }
    if (!condition_holds(q, current)) {
        d->response.outcome = OUT_CONDITION_FAILED;
        return;
    }
    if ((q->flags & REQUEST_DELETE) != 0) {
        keep_answer_value(d, scratch);
        d->write = DECISION_DELETE;
        return;
    }
    if (q->expiry != EXPIRY_AT && q->expiry != EXPIRY_CLEAR) return;
    const uint64_t expires_at_ms = expiry_after(q, current);
    if (expires_at_ms == current->expires_at_ms) return;
    keep_answer_value(d, scratch);
    write_value(d, d->response.value, expires_at_ms, now_ms);
}

static void decide_put(const struct request *q, const struct record *current, uint64_t now_ms,
                       struct buffer *scratch, struct decision *d) {
    struct response *r = &d->response;
    if (current != NULL) {
        answer_current(current, r);
        if ((q->flags & REQUEST_RETURN_OLD) != 0)
            keep_answer_value(d, scratch);
        else
            r->value = BYTES_NONE; /* nobody asked, and the write may end it */
    }
    if (!condition_holds(q, current)) {
        r->outcome = OUT_CONDITION_FAILED;
        return;
    }
    write_value(d, q->value, expiry_after(q, current), now_ms);
}

static void decide_delete(const struct request *q, const struct record *current,
                          struct decision *d) {
    if (current != NULL) answer_current(current, &d->response);
    if (!condition_holds(q, current)) {
        d->response.outcome = OUT_CONDITION_FAILED;
        return;
    }
    d->response.value = BYTES_NONE;
    if (current != NULL) d->write = DECISION_DELETE;
}

static bool expire_when_holds(const struct request *q, const struct record *current) {
    const uint64_t before = current->expires_at_ms == 0 ? UINT64_MAX : current->expires_at_ms;
    const uint64_t after = q->expiry == EXPIRY_CLEAR ? UINT64_MAX : q->expires_at_ms;
    if ((q->expire_when & EXPIRE_IF_NONE) != 0 && before != UINT64_MAX) return false;
    if ((q->expire_when & EXPIRE_IF_SOME) != 0 && before == UINT64_MAX) return false;
    if ((q->expire_when & EXPIRE_IF_LATER) != 0 && after <= before) return false;
    if ((q->expire_when & EXPIRE_IF_EARLIER) != 0 && after >= before) return false;
    return true;
}

static void decide_expire(const struct request *q, const struct record *current, uint64_t now_ms,
                          struct buffer *scratch, struct decision *d) {
    if (current == NULL) {
        d->response.outcome = OUT_NOT_FOUND;
        return;
    }
    answer_current(current, &d->response);
    if (!expire_when_holds(q, current)) {
        d->response.outcome = OUT_CONDITION_FAILED;
        return;
    }
    const uint64_t expires_at_ms = expiry_after(q, current);
    if (expires_at_ms == current->expires_at_ms) return;
    keep_answer_value(d, scratch);
    write_value(d, d->response.value, expires_at_ms, now_ms);
    d->response.expires_at_ms = expires_at_ms;
    d->response.value = BYTES_NONE;
}

static void decide_append(const struct request *q, const struct record *current, uint64_t now_ms,
                          uint64_t value_bytes_max, struct buffer *scratch, struct decision *d) {
    const struct bytes before = current == NULL ? BYTES_NONE : current->value;
    if (before.len + q->value.len > value_bytes_max) {
        d->response.outcome = OUT_VALUE_TOO_LARGE;
        return;
    }
    buffer_append(scratch, before);
    buffer_append(scratch, q->value);
    ASSERT(!scratch->overflowed);
    d->response.existed = current != NULL;
    d->response.integer = (int64_t)buffer_len(scratch);
    write_value(d, buffer_bytes(scratch), expiry_after(q, current), now_ms);
}

static void decide_incr(const struct request *q, const struct record *current, uint64_t now_ms,
                        struct buffer *scratch, struct decision *d) {
    int64_t number = 0;
    if (current != NULL && !status_ok(bytes_to_i64(current->value, &number))) {
        d->response.outcome = OUT_NOT_INTEGER;
        return;
    }
    if (__builtin_add_overflow(number, q->increment, &number)) {
        d->response.outcome = OUT_OVERFLOW;
        return;
    }
    buffer_append_i64(scratch, number);
    d->response.existed = current != NULL;
    d->response.integer = number;
    write_value(d, buffer_bytes(scratch), expiry_after(q, current), now_ms);
}

/* A whole value that is one finite decimal number, without blanks around it. */
static bool number_of(struct bytes text, long double *ret_number) {
    char copy[NUMBER_TEXT_BYTES_MAX + 1];
    if (text.len == 0 || text.len > NUMBER_TEXT_BYTES_MAX) return false;
    if (text.ptr[0] == ' ' || (text.ptr[0] >= '\t' && text.ptr[0] <= '\r')) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end = NULL;
    const long double number = strtold(copy, &end);
    if (end != copy + text.len || !isfinite(number)) return false;
    *ret_number = number;
    return true;
}

/* Redis prints 17 decimals and takes the trailing zeros away. */
static size_t number_print(long double number, char text[NUMBER_TEXT_BYTES_MAX]) {
    int len = snprintf(text, NUMBER_TEXT_BYTES_MAX, "%.17Lf", number);
    ASSERT(len > 0);
    ASSERT((size_t)len < NUMBER_TEXT_BYTES_MAX);
    if (memchr(text, '.', (size_t)len) != NULL) {
        while (text[len - 1] == '0') len--;
        if (text[len - 1] == '.') len--;
    }
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return (size_t)len;
}

static void decide_incr_float(const struct request *q, const struct record *current,
                              uint64_t now_ms, struct buffer *scratch, struct decision *d) {
    char text[NUMBER_TEXT_BYTES_MAX];
    long double number = 0;
    if (current != NULL && !number_of(current->value, &number)) {
        d->response.outcome = OUT_NOT_FLOAT;
        return;
    }
    number += q->increment_float;
    if (!isfinite(number)) {
        d->response.outcome = OUT_OVERFLOW;
        return;
    }
    buffer_append(scratch, bytes_of(text, number_print(number, text)));
    d->response.existed = current != NULL;
    d->response.value = buffer_bytes(scratch);
    write_value(d, buffer_bytes(scratch), expiry_after(q, current), now_ms);
}

/* What the first answer said and the version does not: the value that it replaced. */
static bool answer_is_lost(const struct request *q, const struct record *newest) {
    const bool deleted = (newest->flags & RECORD_TOMBSTONE) != 0;
    switch (q->op) {
    case OP_GET: return deleted; /* GETDEL, or an expiry in the past */
    case OP_PUT: return (q->flags & REQUEST_RETURN_OLD) != 0;
    case OP_APPEND:
    case OP_INCR:
    case OP_INCR_FLOAT: return deleted; /* expired already */
    default: return false;
    }
}

bool operation_is_repeat(const struct request *q, const struct record *newest,
                         struct response *ret_response) {
    if (q->op_high == 0 && q->op_low == 0) return false;
    if (newest->op.high != q->op_high || newest->op.low != q->op_low) return false;
    *ret_response = (struct response){ .outcome = OUT_TIMEOUT };
    if (answer_is_lost(q, newest)) return true;
    struct response *r = ret_response;
    r->outcome = OUT_OK;
    r->existed = true;
    r->version = newest->ballot;
    r->expires_at_ms = newest->expires_at_ms;
    r->value = newest->value;
    r->value_len = newest->value.len;
    if (q->op == OP_APPEND) r->integer = (int64_t)newest->value.len;
    if (q->op == OP_INCR && !status_ok(bytes_to_i64(newest->value, &r->integer)))
        r->outcome = OUT_NOT_INTEGER;
    if (q->op == OP_PUT || q->op == OP_DELETE || q->op == OP_EXPIRE) r->value = BYTES_NONE;
    return true;
}

void operation_decide(const struct request *q, const struct record *current, uint64_t now_ms,
                      uint64_t value_bytes_max, struct buffer *scratch,
                      struct decision *ret_decision) {
    ASSERT(q->op < OP_SINGLE_KEY_END);
    ASSERT(current == NULL || !record_is_absent(current, now_ms));

    *ret_decision = (struct decision){ .write = DECISION_KEEP };
    buffer_reset(scratch);
    switch (q->op) {
    case OP_GET: decide_get(q, current, now_ms, scratch, ret_decision); break;
    case OP_PUT: decide_put(q, current, now_ms, scratch, ret_decision); break;
    case OP_DELETE: decide_delete(q, current, ret_decision); break;
    case OP_EXPIRE: decide_expire(q, current, now_ms, scratch, ret_decision); break;
    case OP_APPEND:
        decide_append(q, current, now_ms, value_bytes_max, scratch, ret_decision);
        break;
    case OP_INCR: decide_incr(q, current, now_ms, scratch, ret_decision); break;
    case OP_INCR_FLOAT: decide_incr_float(q, current, now_ms, scratch, ret_decision); break;
    default: ASSERT(false);
    }
    ASSERT(ret_decision->write != DECISION_PUT || ret_decision->response.outcome == OUT_OK);
}
