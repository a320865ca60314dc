#include "shard/operation.h"

#include "harness.h"

#define NOW_MS 1000000u
#define VALUE_MAX 64u

static struct buffer scratch;

static struct record held(const char *value, uint64_t expires_at_ms) {
    return (struct record){ .ikey = BYTES_LIT("\0\0k"),
                            .ballot = { .stamp = 7, .node = 1, .boot = 1 },
                            .expires_at_ms = expires_at_ms,
                            .value = bytes_of_string(value) };
}

static struct decision decide(const struct request *q, const struct record *current) {
    struct decision d;
    if (scratch.bytes_max == 0) buffer_init(&scratch, 1 << 20);
    operation_decide(q, current, NOW_MS, VALUE_MAX, &scratch, &d);
    return d;
}

static struct request put(const char *value) {
    return (struct request){ .op = OP_PUT, .key = BYTES_LIT("k"), .value = bytes_of_string(value) };
}

/* A blind put needs no read; every option that looks at the old value does. */
TEST(operation, only_a_blind_put_needs_no_read) {
    struct request q = put("v");
    CHECK(!operation_needs_read(&q));
    q.condition = COND_ABSENT;
    CHECK(operation_needs_read(&q));
    q = put("v");
    q.expiry = EXPIRY_KEEP;
    CHECK(operation_needs_read(&q));
    q = put("v");
    q.flags = REQUEST_RETURN_OLD;
    CHECK(operation_needs_read(&q));
    q = put("v");
    q.op_low = 1;
    CHECK(operation_needs_read(&q));
    q = (struct request){ .op = OP_INCR };
    CHECK(operation_needs_read(&q));
}

/* NX, XX, If-Match and IFEQ write exactly when their condition holds. */
TEST(operation, conditions_decide_whether_a_put_writes) {
    const struct record present = held("old", 0);
    static const struct {
        enum condition condition;
        uint64_t stamp;
        const char *expected;
        bool when_absent, when_present;
    } cases[] = {
        { COND_NONE, 0, "", true, true },         { COND_ABSENT, 0, "", true, false },
        { COND_PRESENT, 0, "", false, true },     { COND_VERSION_IS, 7, "", false, true },
        { COND_VERSION_IS, 8, "", false, false }, { COND_VALUE_IS, 0, "old", false, true },
        { COND_VALUE_IS, 0, "ol", false, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request q = put("new");
        q.condition = cases[i].condition;
        q.version = (struct ballot){ cases[i].stamp, 1, 1 };
        q.expected = bytes_of_string(cases[i].expected);
        struct decision d = decide(&q, NULL);
        CHECK_EQ(d.write, cases[i].when_absent ? DECISION_PUT : DECISION_KEEP);
        CHECK_EQ(d.response.outcome, cases[i].when_absent ? OUT_OK : OUT_CONDITION_FAILED);
        d = decide(&q, &present);
        CHECK_EQ(d.write, cases[i].when_present ? DECISION_PUT : DECISION_KEEP);
        CHECK_EQ(d.response.outcome, cases[i].when_present ? OUT_OK : OUT_CONDITION_FAILED);
    }
}

/* SET .. GET answers the old value, from memory that the write does not touch. */
TEST(operation, returned_old_value_survives_the_write) {
    const struct record present = held("old", 0);
    struct request q = put("new");
    q.flags = REQUEST_RETURN_OLD;
    const struct decision d = decide(&q, &present);
    CHECK_EQ(d.write, DECISION_PUT);
    CHECK_BYTES(d.response.value, BYTES_LIT("old"));
    CHECK(d.response.value.ptr != present.value.ptr);
    CHECK_BYTES(d.value, BYTES_LIT("new"));
}

/* PUT clears an expiry unless told to keep it, and one in the past deletes. */
TEST(operation, put_expiry) {
    const struct record present = held("old", NOW_MS + 500);
    struct request q = put("new");
    CHECK_EQ(decide(&q, &present).expires_at_ms, 0);
    q.expiry = EXPIRY_KEEP;
    CHECK_EQ(decide(&q, &present).expires_at_ms, NOW_MS + 500);
    q.expiry = EXPIRY_AT;
    q.expires_at_ms = NOW_MS + 9;
    CHECK_EQ(decide(&q, &present).expires_at_ms, NOW_MS + 9);
    q.expires_at_ms = NOW_MS;
    CHECK_EQ(decide(&q, &present).write, DECISION_DELETE);
}

/* EXPIRE honours NX, XX, GT and LT, where no expiry is infinitely late. */
TEST(operation, expire_conditions) {
    const struct record timed = held("v", NOW_MS + 500), forever = held("v", 0);
    static const struct {
        uint8_t when;
        uint64_t at_ms;
        bool timed, forever;
    } cases[] = {
        { 0, NOW_MS + 900, true, true },
        { EXPIRE_IF_NONE, NOW_MS + 900, false, true },
        { EXPIRE_IF_SOME, NOW_MS + 900, true, false },
        { EXPIRE_IF_LATER, NOW_MS + 900, true, false },
        { EXPIRE_IF_LATER, NOW_MS + 100, false, false },
        { EXPIRE_IF_EARLIER, NOW_MS + 100, true, true },
        { EXPIRE_IF_EARLIER, NOW_MS + 900, false, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct request q = { .op = OP_EXPIRE,
                                   .key = BYTES_LIT("k"),
                                   .expiry = EXPIRY_AT,
                                   .expires_at_ms = cases[i].at_ms,
                                   .expire_when = cases[i].when };
        CHECK_EQ(decide(&q, &timed).write == DECISION_PUT, cases[i].timed);
        CHECK_EQ(decide(&q, &forever).write == DECISION_PUT, cases[i].forever);
        CHECK_EQ(decide(&q, NULL).response.outcome, OUT_NOT_FOUND);
    }
}

/* INCR keeps the expiry, starts at 0, and refuses text and overflow. */
TEST(operation, incr) {
    const struct record ten = held("10", NOW_MS + 500), text = held("ten", 0),
                        most = held("9223372036854775807", 0);
    const struct request q = { .op = OP_INCR, .key = BYTES_LIT("k"), .increment = 5 };
    struct decision d = decide(&q, &ten);
    CHECK_BYTES(d.value, BYTES_LIT("15"));
    CHECK_EQ(d.expires_at_ms, NOW_MS + 500);
    CHECK_EQ(decide(&q, NULL).response.integer, 5);
    CHECK_EQ(decide(&q, &text).response.outcome, OUT_NOT_INTEGER);
    CHECK_EQ(decide(&q, &most).response.outcome, OUT_OVERFLOW);
    CHECK_EQ(decide(&q, &most).write, DECISION_KEEP);
}

/* INCRBYFLOAT prints like Redis: 17 decimals at most, no trailing zeros, no -0. */
TEST(operation, incr_float) {
    const struct record held_number = held("10.50", 0), text = held("x", 0),
                        minus = held("-1.5", 0);
    struct request q = { .op = OP_INCR_FLOAT, .key = BYTES_LIT("k"), .increment_float = 0.1L };
    CHECK_BYTES(decide(&q, &held_number).value, BYTES_LIT("10.6"));
    q.increment_float = 5.0e3L;
    CHECK_BYTES(decide(&q, NULL).value, BYTES_LIT("5000"));
    CHECK_EQ(decide(&q, &text).response.outcome, OUT_NOT_FLOAT);
    q.increment_float = 1.5L;
    CHECK_BYTES(decide(&q, &minus).value, BYTES_LIT("0"));
}

/* APPEND adds to what is there, starts from nothing, and stops at the limit. */
TEST(operation, append) {
    const struct record present = held("ab", 0);
    struct request q = { .op = OP_APPEND, .key = BYTES_LIT("k"), .value = BYTES_LIT("cd") };
    CHECK_BYTES(decide(&q, &present).value, BYTES_LIT("abcd"));
    CHECK_EQ(decide(&q, NULL).response.integer, 2);
    static uint8_t large[VALUE_MAX];
    q.value = bytes_of(large, sizeof large);
    CHECK_EQ(decide(&q, &present).response.outcome, OUT_VALUE_TOO_LARGE);
    CHECK_EQ(decide(&q, NULL).response.outcome, OUT_OK);
}

/* GETDEL and GETEX answer the value and change the key; a miss changes nothing. */
TEST(operation, get_with_effects) {
    const struct record present = held("v", NOW_MS + 500);
    struct request q = { .op = OP_GET, .key = BYTES_LIT("k"), .flags = REQUEST_DELETE };
    struct decision d = decide(&q, &present);
    CHECK_EQ(d.write, DECISION_DELETE);
    CHECK_BYTES(d.response.value, BYTES_LIT("v"));
    CHECK_EQ(decide(&q, NULL).response.outcome, OUT_NOT_FOUND);
    q = (struct request){ .op = OP_GET, .key = BYTES_LIT("k"), .expiry = EXPIRY_CLEAR };
    d = decide(&q, &present);
    CHECK_EQ(d.write, DECISION_PUT);
    CHECK_EQ(d.expires_at_ms, 0);
    CHECK_BYTES(d.value, BYTES_LIT("v"));
}

/* Deleting what is not there writes nothing. */
TEST(operation, delete) {
    const struct record present = held("v", 0);
    const struct request q = { .op = OP_DELETE, .key = BYTES_LIT("k") };
    CHECK_EQ(decide(&q, NULL).write, DECISION_KEEP);
    CHECK(!decide(&q, NULL).response.existed);
    CHECK_EQ(decide(&q, &present).write, DECISION_DELETE);
    CHECK(decide(&q, &present).response.existed);
}

/* ---- the same request again, because its answer was lost ---- */

static struct request again(enum operation op) {
    return (struct request){ .op = op, .key = BYTES_LIT("k"), .op_high = 1, .op_low = 2 };
}

static struct response repeated(const struct request *q, const char *value) {
    struct response r = { 0 };
    struct record newest = held(value, 0);
    newest.op = (struct op_id){ 1, 2 };
    if (value[0] == '\0') newest.flags = RECORD_TOMBSTONE;
    CHECK(operation_is_repeat(q, &newest, &r));
    return r;
}

TEST(operation, a_repeat_is_told_by_its_id) {
    struct response r;
    struct record newest = held("v", 0);
    struct request q = again(OP_PUT);
    CHECK(!operation_is_repeat(&q, &newest, &r));
    newest.op = (struct op_id){ 1, 3 };
    CHECK(!operation_is_repeat(&q, &newest, &r));
    newest.op = (struct op_id){ 1, 2 };
    CHECK(operation_is_repeat(&q, &newest, &r));
    q.op_high = q.op_low = 0; /* no id is nobody's */
    newest.op = (struct op_id){ 0, 0 };
    CHECK(!operation_is_repeat(&q, &newest, &r));
}

TEST(operation, a_repeat_is_answered_as_the_first_time) {
    struct request q = again(OP_PUT);
    q.condition = COND_ABSENT; /* as it was then */
    CHECK_EQ(repeated(&q, "v").outcome, OUT_OK);
    CHECK_EQ(repeated(&q, "v").version.stamp, 7);
    CHECK_EQ(repeated(&q, "v").value.len, 0);
    q = again(OP_DELETE);
    CHECK_EQ(repeated(&q, "").outcome, OUT_OK);
    CHECK(repeated(&q, "").existed);
    q = again(OP_INCR);
    CHECK_EQ(repeated(&q, "42").integer, 42);
    q = again(OP_INCR_FLOAT);
    CHECK(bytes_equal(repeated(&q, "1.5").value, BYTES_LIT("1.5")));
    q = again(OP_APPEND);
    CHECK_EQ(repeated(&q, "abc").integer, 3);
    q = again(OP_EXPIRE);
    CHECK_EQ(repeated(&q, "").outcome, OUT_OK); /* in the past */
    q = again(OP_GET);
    q.expiry = EXPIRY_CLEAR;
    CHECK(bytes_equal(repeated(&q, "v").value, BYTES_LIT("v")));
}

TEST(operation, a_repeat_whose_answer_is_gone_says_that_nobody_knows) {
    struct request q = again(OP_GET);
    q.flags = REQUEST_DELETE;
    CHECK_EQ(repeated(&q, "").outcome, OUT_TIMEOUT);
    q = again(OP_PUT);
    q.flags = REQUEST_RETURN_OLD;
    CHECK_EQ(repeated(&q, "v").outcome, OUT_TIMEOUT);
    q = again(OP_INCR); /* and expired at once */
    CHECK_EQ(repeated(&q, "").outcome, OUT_TIMEOUT);
}
