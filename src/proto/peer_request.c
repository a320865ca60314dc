#include "proto/peer_internal.h"

#include "base/assert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* FORWARD. A fixed part, then only those fields that are not zero or empty, in the order of
 * their bits: most requests are an op and a key. */

#define FIXED_BYTES 16u

#define HAS_KEY 0x0001u
#define HAS_VALUE 0x0002u
#define HAS_EXPECTED 0x0004u
#define HAS_VERSION 0x0008u
#define HAS_EXPIRES 0x0010u
#define HAS_OP_ID 0x0020u
#define HAS_SESSION 0x0040u
#define HAS_STAMP 0x0080u
#define HAS_INCREMENT 0x0100u
#define HAS_INCREMENT_FLOAT 0x0200u
#define HAS_START 0x0400u
#define HAS_END 0x0800u
#define HAS_PREFIX 0x1000u
#define HAS_PATTERN 0x2000u
#define HAS_ROWS_MAX 0x4000u
#define HAS_EPOCH 0x8000u

#define BOUNDS_HAS_END 0x01u
#define BOUNDS_EXCLUSIVE 0x02u
#define BOUNDS_KNOWN 0x03u

#define REQUEST_FLAGS_KNOWN \
    (REQUEST_DELETE | REQUEST_RETURN_OLD | REQUEST_NO_VALUE | REQUEST_ABSENT)
#define EXPIRE_FLAGS_KNOWN (EXPIRE_IF_NONE | EXPIRE_IF_SOME | EXPIRE_IF_LATER | EXPIRE_IF_EARLIER)

/* "-0x1.", 28 hex digits of a 113-bit number, "p-16494", NUL, and some room. */
#define FLOAT_TEXT_BYTES_MAX 48u

/* All numbers and lengths there can be. */
#define ROOM_BYTES                                                                        \
    (FIXED_BYTES + 7u * PEER_RUN_LEN_BYTES_MAX + 3u * BALLOT_BYTES + 16u + 3u * 8u + 1u + \
     FLOAT_TEXT_BYTES_MAX + 4u + 8u)

static_assert(ROOM_BYTES + KEY_BYTES_MAX + 2 * VALUE_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX,
              "a value can be written under a condition on another");
static_assert(ROOM_BYTES + 3 * KEY_BYTES_MAX + VALUE_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX,
              "a range can have a start, an end, a prefix and a pattern");

static bool enums_valid(const struct request *q) {
    if ((uint32_t)q->op > OP_FIGURES || q->op == OP_SINGLE_KEY_END) return false;
    if ((uint32_t)q->condition > COND_VALUE_IS || (uint32_t)q->expiry > EXPIRY_CLEAR) return false;
    if ((uint32_t)q->level > LEVEL_COUNT || q->level_count > REPLICAS_MAX) return false;
    if (q->level == LEVEL_COUNT && q->level_count == 0) return false;
    if ((q->flags & ~REQUEST_FLAGS_KNOWN) != 0) return false;
    return (q->expire_when & ~EXPIRE_FLAGS_KNOWN) == 0;
}

static bool key_request_valid(const struct request *q) {
    if (q->key.len < KEY_BYTES_MIN || q->key.len > KEY_BYTES_MAX) return false;
    if (q->start.len + q->end.len + q->prefix.len + q->pattern.len != 0) return false;
    if (q->has_end || q->start_exclusive || q->rows_max != 0 || q->epoch != 0) return false;
    if (q->value.len != 0 && q->op != OP_PUT && q->op != OP_APPEND) return false;
    if (q->value.len > VALUE_BYTES_MAX || q->expected.len > VALUE_BYTES_MAX) return false;
    if (q->expected.len != 0 && q->condition != COND_VALUE_IS) return false;
    /* An expiry is what EXPIRE changes. */
    return q->op != OP_EXPIRE || q->expiry == EXPIRY_AT || q->expiry == EXPIRY_CLEAR;
}

static bool range_request_valid(const struct request *q) {
    if (q->key.len + q->value.len + q->expected.len != 0) return false;
    if (q->condition != COND_NONE || q->expiry != EXPIRY_NONE) return false;
    if (q->start.len > KEY_BYTES_MAX || q->end.len > KEY_BYTES_MAX) return false;
    if (q->prefix.len > KEY_BYTES_MAX || q->pattern.len > VALUE_BYTES_MAX) return false;
    if (!q->has_end && q->end.len != 0) return false;
    if (q->rows_max > ROW_PAGE_ROWS_MAX) return false;
    return q->op != OP_SCAN || q->rows_max > 0;
}

/* A zero below zero is not nothing. */
static bool has_float(const struct request *q) {
    return q->increment_float != 0 || signbit(q->increment_float);
}

bool peer_request_check(const struct request *q) {
    if (!enums_valid(q) || isnan(q->increment_float)) return false;
    if (q->increment != 0 && q->op != OP_INCR) return false;
    if (has_float(q) && q->op != OP_INCR_FLOAT) return false;
    return q->op < OP_SINGLE_KEY_END ? key_request_valid(q) : range_request_valid(q);
}

static uint16_t fields_of(const struct request *q) {
    uint32_t has = 0;
    if (q->key.len > 0) has |= HAS_KEY;
    if (q->value.len > 0) has |= HAS_VALUE;
    if (q->expected.len > 0) has |= HAS_EXPECTED;
    if (!ballot_is_zero(q->version)) has |= HAS_VERSION;
    if (q->expires_at_ms != 0) has |= HAS_EXPIRES;
    if (q->op_high != 0 || q->op_low != 0) has |= HAS_OP_ID;
    if (!ballot_is_zero(q->session)) has |= HAS_SESSION;
    if (!ballot_is_zero(q->stamp)) has |= HAS_STAMP;
    if (q->increment != 0) has |= HAS_INCREMENT;
    if (has_float(q)) has |= HAS_INCREMENT_FLOAT;
    if (q->start.len > 0) has |= HAS_START;
    if (q->end.len > 0) has |= HAS_END;
    if (q->prefix.len > 0) has |= HAS_PREFIX;
    if (q->pattern.len > 0) has |= HAS_PATTERN;
    if (q->rows_max != 0) has |= HAS_ROWS_MAX;
    if (q->epoch != 0) has |= HAS_EPOCH;
    return (uint16_t)has;
}

/* As hexadecimal text, which gives every bit of a number to a machine whose numbers are at
 * least as wide; one with narrower numbers rounds. */
static uint8_t *put_float(uint8_t *p, long double v) {
    char text[FLOAT_TEXT_BYTES_MAX];
    const int len = snprintf(text, sizeof text, "%La", v);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof text);
    p = peer_put_u8(p, (uint8_t)len);
    return peer_put_bytes(p, bytes_of(text, (size_t)len));
}

/* What put_float writes: strtold alone would take blanks, other bases and NaN too. */
static long double take_float(struct cursor *c) {
    char text[FLOAT_TEXT_BYTES_MAX];
    const struct bytes in = cursor_take(c, cursor_u8(c));
    if (in.len == 0 || in.len >= sizeof text) {
        c->failed = true;
        return 0;
    }
    const size_t sign = in.ptr[0] == '-' ? 1 : 0;
    const struct bytes number = bytes_of(in.ptr + sign, in.len - sign);
    if (!bytes_start_with(number, BYTES_LIT("0x")) && !bytes_equal(number, BYTES_LIT("inf")))
        c->failed = true;
    memcpy(text, in.ptr, in.len);
    text[in.len] = '\0';
    char *end = NULL;
    const long double v = strtold(text, &end);
    if (end != text + in.len) c->failed = true;
    return v;
}

static uint8_t *put_numbers(uint8_t *p, const struct request *q, uint32_t has) {
    if (has & HAS_VERSION) p = peer_put_ballot(p, q->version);
    if (has & HAS_EXPIRES) p = peer_put_u64(p, q->expires_at_ms);
    if (has & HAS_OP_ID) p = peer_put_u64(peer_put_u64(p, q->op_high), q->op_low);
    if (has & HAS_SESSION) p = peer_put_ballot(p, q->session);
    if (has & HAS_STAMP) p = peer_put_ballot(p, q->stamp);
    if (has & HAS_INCREMENT) p = peer_put_u64(p, (uint64_t)q->increment);
    if (has & HAS_INCREMENT_FLOAT) p = put_float(p, q->increment_float);
    return p;
}

void peer_request_encode(const struct request *q, uint32_t timeout_ms, struct buffer *out) {
    ASSERT(peer_request_check(q));
    const size_t room = ROOM_BYTES + q->key.len + q->value.len + q->expected.len + q->start.len +
                        q->end.len + q->prefix.len + q->pattern.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    const uint16_t has = fields_of(q);
    uint8_t bounds = 0;
    if (q->has_end) bounds |= BOUNDS_HAS_END;
    if (q->start_exclusive) bounds |= BOUNDS_EXCLUSIVE;
    uint8_t *p = begin;
    p = peer_put_u8(p, (uint8_t)q->op);
    p = peer_put_u8(p, (uint8_t)q->condition);
    p = peer_put_u8(p, (uint8_t)q->expiry);
    p = peer_put_u8(p, (uint8_t)q->level);
    p = peer_put_u8(p, q->level_count);
    p = peer_put_u8(p, q->flags);
    p = peer_put_u8(p, q->expire_when);
    p = peer_put_u8(p, bounds);
    p = peer_put_u16(p, q->keyspace);
    p = peer_put_u16(p, has);
    p = peer_put_u32(p, timeout_ms);
    ASSERT(p == begin + FIXED_BYTES);
    if (has & HAS_KEY) p = peer_put_run(p, q->key);
    if (has & HAS_VALUE) p = peer_put_run(p, q->value);
    if (has & HAS_EXPECTED) p = peer_put_run(p, q->expected);
    p = put_numbers(p, q, has);
    if (has & HAS_START) p = peer_put_run(p, q->start);
    if (has & HAS_END) p = peer_put_run(p, q->end);
    if (has & HAS_PREFIX) p = peer_put_run(p, q->prefix);
    if (has & HAS_PATTERN) p = peer_put_run(p, q->pattern);
    if (has & HAS_ROWS_MAX) p = peer_put_u32(p, q->rows_max);
    if (has & HAS_EPOCH) p = peer_put_u64(p, q->epoch);
    peer_commit(out, begin, p, room);
}

static void take_numbers(struct cursor *c, uint32_t has, struct request *q) {
    if (has & HAS_VERSION) q->version = peer_take_ballot(c);
    if (has & HAS_EXPIRES) q->expires_at_ms = cursor_u64_le(c);
    if (has & HAS_OP_ID) q->op_high = cursor_u64_le(c);
    if (has & HAS_OP_ID) q->op_low = cursor_u64_le(c);
    if (has & HAS_SESSION) q->session = peer_take_ballot(c);
    if (has & HAS_STAMP) q->stamp = peer_take_ballot(c);
    if (has & HAS_INCREMENT) q->increment = (int64_t)cursor_u64_le(c);
    if (has & HAS_INCREMENT_FLOAT) q->increment_float = take_float(c);
}

STATUS peer_request_decode(struct bytes in, struct request *ret, uint32_t *ret_timeout_ms) {
    struct cursor c = cursor_of(in);
    struct request q = { .op = (enum operation)cursor_u8(&c) };
    q.condition = (enum condition)cursor_u8(&c);
    q.expiry = (enum expiry)cursor_u8(&c);
    q.level = (enum level)cursor_u8(&c);
    q.level_count = cursor_u8(&c);
    q.flags = cursor_u8(&c);
    q.expire_when = cursor_u8(&c);
    const uint8_t bounds = peer_take_flags(&c, BOUNDS_KNOWN);
    q.has_end = (bounds & BOUNDS_HAS_END) != 0;
    q.start_exclusive = (bounds & BOUNDS_EXCLUSIVE) != 0;
    q.keyspace = cursor_u16_le(&c);
    const uint16_t has = cursor_u16_le(&c);
    const uint32_t timeout_ms = cursor_u32_le(&c);
    if (has & HAS_KEY) q.key = peer_take_run(&c, KEY_BYTES_MIN, KEY_BYTES_MAX);
    if (has & HAS_VALUE) q.value = peer_take_run(&c, 1, VALUE_BYTES_MAX);
    if (has & HAS_EXPECTED) q.expected = peer_take_run(&c, 1, VALUE_BYTES_MAX);
    take_numbers(&c, has, &q);
    if (has & HAS_START) q.start = peer_take_run(&c, 1, KEY_BYTES_MAX);
    if (has & HAS_END) q.end = peer_take_run(&c, 1, KEY_BYTES_MAX);
    if (has & HAS_PREFIX) q.prefix = peer_take_run(&c, 1, KEY_BYTES_MAX);
    if (has & HAS_PATTERN) q.pattern = peer_take_run(&c, 1, VALUE_BYTES_MAX);
    if (has & HAS_ROWS_MAX) q.rows_max = cursor_u32_le(&c);
    if (has & HAS_EPOCH) q.epoch = cursor_u64_le(&c);
    if (!cursor_done(&c) || !peer_request_check(&q)) return status_of(ST_CORRUPT);
    /* What is announced is there, but for a float too small for this machine: it has become
     * zero. */
    uint32_t missing = has & ~(uint32_t)fields_of(&q);
    if (q.op == OP_INCR_FLOAT) missing &= ~HAS_INCREMENT_FLOAT;
    if (missing != 0) return status_of(ST_CORRUPT);
    *ret = q;
    *ret_timeout_ms = timeout_ms;
    return status_of(ST_OK);
}
