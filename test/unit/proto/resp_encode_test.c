/* Responses become the replies of Redis, in both versions of the protocol. */
#include "test/unit/proto/resp_session.h"

#include <stdio.h>

static const struct response ok = { .outcome = OUT_OK };
static const struct response absent = { .outcome = OUT_NOT_FOUND };
static const struct response failed = { .outcome = OUT_CONDITION_FAILED };

static void check(struct session *s, const char *line, const struct response *responses,
                  const char *reply) {
    session_send(s, line);
    session_answer(s, responses, reply);
}

TEST(resp_encode, values) {
    const struct response value = { .value = BYTES_LIT("a\r\nb"), .value_len = 4, .existed = true };
    const struct response empty = { .value = BYTES_LIT("") };
    const struct response many[] = { value, absent, empty };
    struct session s;
    session_open(&s);
    check(&s, "GET k", &value, "$4\r\na\r\nb\r\n");
    check(&s, "GET k", &empty, "$0\r\n\r\n");
    check(&s, "GET k", &absent, "$-1\r\n");
    check(&s, "MGET a b c", many, "*3\r\n$4\r\na\r\nb\r\n$-1\r\n$0\r\n\r\n");
    check(&s, "STRLEN k", &value, ":4\r\n");
    check(&s, "STRLEN k", &absent, ":0\r\n");
    check(&s, "EXISTS a b c", many, ":2\r\n");
    check(&s, "TYPE k", &ok, "+string\r\n");
    check(&s, "TYPE k", &absent, "+none\r\n");
    check(&s, "RANDOMKEY", &absent, "$-1\r\n");
    check(&s, "GETSET k v", &value, "$4\r\na\r\nb\r\n");
    check(&s, "GETSET k v", &ok, "$-1\r\n");
    session_send(&s, "HELLO 3");
    check(&s, "GET k", &absent, "_\r\n");
    check(&s, "MGET a b c", many, "*3\r\n$4\r\na\r\nb\r\n_\r\n$0\r\n\r\n");
    session_close(&s);
}

TEST(resp_encode, writes) {
    const struct response existed = { .existed = true };
    const struct response number = { .integer = -7 };
    const struct response least = { .integer = INT64_MIN };
    const struct response many[] = { existed, ok, existed };
    struct session s;
    session_open(&s);
    check(&s, "SET k v", &ok, "+OK\r\n");
    check(&s, "SET k v NX", &failed, "$-1\r\n");
    check(&s, "SETNX k v", &ok, ":1\r\n");
    check(&s, "SETNX k v", &failed, ":0\r\n");
    check(&s, "MSET a 1 b 2 c 3", many, "+OK\r\n");
    check(&s, "DEL a b c", many, ":2\r\n");
    check(&s, "INCR k", &number, ":-7\r\n");
    check(&s, "INCR k", &least, ":-9223372036854775808\r\n");
    check(&s, "EXPIRE k 1", &ok, ":1\r\n");
    check(&s, "EXPIRE k 1", &absent, ":0\r\n");
    check(&s, "PERSIST k", &failed, ":0\r\n");
    check(&s, "FLUSHALL", &ok, "+OK\r\n");
    session_close(&s);
}

TEST(resp_encode, expiries) {
    const struct response soon = { .expires_at_ms = SESSION_NOW_MS + 1499 };
    const struct response later = { .expires_at_ms = SESSION_NOW_MS + 1500 };
    struct session s;
    session_open(&s);
    check(&s, "TTL k", &soon, ":1\r\n");
    check(&s, "TTL k", &later, ":2\r\n");
    check(&s, "PTTL k", &soon, ":1499\r\n");
    check(&s, "EXPIRETIME k", &later, ":1700000002\r\n");
    check(&s, "PEXPIRETIME k", &soon, ":1700000001499\r\n");
    check(&s, "TTL k", &ok, ":-1\r\n");
    check(&s, "TTL k", &absent, ":-2\r\n");
    session_close(&s);
}

TEST(resp_encode, errors) {
    struct session s;
    session_open(&s);
    const struct response busy[] = { ok, { .outcome = OUT_BUSY } };
    check(&s, "MSET a 1 b 2", busy, "-TRYAGAIN the node is overloaded; retry later\r\n");
    const struct response overflow = { .outcome = OUT_OVERFLOW };
    check(&s, "INCR k", &overflow, "-ERR increment or decrement would overflow\r\n");
    check(&s, "INCRBYFLOAT k 1", &overflow, "-ERR increment would produce NaN or Infinity\r\n");
    const struct response no_number = { .outcome = OUT_NOT_INTEGER };
    check(&s, "INCR k", &no_number, "-ERR value is not an integer or out of range\r\n");
    const struct response timeout = { .outcome = OUT_TIMEOUT };
    check(&s, "SET k v", &timeout, "-ERR timeout: the write may or may not have been applied\r\n");
    check(&s, "GETDEL k", &timeout, "-ERR timeout: the write may or may not have been applied\r\n");
    check(&s, "GET k", &timeout, "-TRYAGAIN timeout: no answer in time; retry\r\n");
    session_close(&s);
}

TEST(resp_encode, every_error_has_a_text) {
    struct session s;
    session_open(&s);
    for (uint32_t outcome = OUT_NOT_MODIFIED + 1; outcome < OUTCOMES; outcome++) {
        session_send(&s, "GET k");
        resp_encode_outcome(&s.plan, (enum outcome)outcome, &s.out);
        CHECK(buffer_len(&s.out) > 10);
        CHECK_EQ(buffer_bytes(&s.out).ptr[0], '-');
        buffer_reset(&s.out);
    }
    session_close(&s);
}

/* What clients repeat by themselves (CLUSTERDOWN) must not be a write that may have happened. */
TEST(resp_encode, missing_quorums) {
    struct response r = { .outcome = OUT_QUORUM, .acks = 2, .needed = 3, .replicas = 3 };
    struct session s;
    session_open(&s);
    check(&s, "GET k", &r, "-CLUSTERDOWN 2 of 3 replicas answered, the level needs 3\r\n");
    check(&s, "INCR k", &r,
          "-ERR 2 of 3 replicas answered, the level needs 3: the write may or may not have been "
          "applied\r\n");
    r.acks = 0;
    check(&s, "DEL k", &r,
          "-ERR 0 of 3 replicas answered, the level needs 3: the write may or may not have been "
          "applied\r\n");
    r.untried = true;
    check(&s, "SET k v", &r, "-CLUSTERDOWN 0 of 3 replicas answered, the level needs 3\r\n");
    r = (struct response){ .outcome = OUT_QUORUM };
    check(&s, "GET k", &r, "-CLUSTERDOWN too few replicas answered\r\n");
    check(&s, "SET k v", &r,
          "-ERR too few replicas answered: the write may or may not have been applied\r\n");
    r = (struct response){ .outcome = OUT_CLOCK };
    check(&s, "SET k v", &r,
          "-CLUSTERDOWN the clock of this node is too far from the others', it may not stamp "
          "writes: check NTP on this node\r\n");
    session_send(&s, "SCAN 0");
    r = (struct response){ .outcome = OUT_QUORUM, .acks = 1, .needed = 2, .replicas = 2 };
    resp_encode_refusal(&s.plan, &r, &s.out);
    session_expect(&s, "-CLUSTERDOWN 1 of 2 replicas answered, the level needs 2\r\n");
    session_close(&s);
}

TEST(resp_encode, scans) {
    const struct row rows[] = { { .key = BYTES_LIT("a") }, { .key = BYTES_LIT("bc") } };
    struct session s;
    session_open(&s);
    session_send(&s, "SCAN 0");
    resp_encode_scan(&s.plan, rows, 2, UINT64_MAX, &s.out);
    session_expect(&s, "*2\r\n$20\r\n18446744073709551615\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n");
    resp_encode_scan(&s.plan, NULL, 0, 0, &s.out);
    session_expect(&s, "*2\r\n$1\r\n0\r\n*0\r\n");
    session_send(&s, "KEYS *");
    resp_encode_scan(&s.plan, rows, 1, 0, &s.out);
    session_expect(&s, "*1\r\n$1\r\na\r\n");
    session_send(&s, "DBSIZE");
    resp_encode_scan(&s.plan, NULL, UINT64_C(5000000000), 0, &s.out);
    session_expect(&s, ":5000000000\r\n");
    resp_encode_scan(&s.plan, NULL, 0, 0, &s.out);
    session_expect(&s, ":0\r\n");
    session_send(&s, "RANDOMKEY");
    resp_encode_scan(&s.plan, rows + 1, 1, 0, &s.out);
    session_expect(&s, "$2\r\nbc\r\n");
    resp_encode_scan(&s.plan, NULL, 0, 0, &s.out);
    session_expect(&s, "$-1\r\n");
    session_close(&s);
}

/* The header's length field is right for any number of digits. */
TEST(resp_encode, lengths_of_any_size) {
    static uint8_t value[20000];
    struct session s;
    session_open(&s);
    for (size_t len = 0; len < sizeof value; len = len * 3 / 2 + 1) {
        const struct response r = { .value = bytes_of(value, len) };
        char head[32];
        session_send(&s, "GET k");
        resp_encode(&s.plan, &r, SESSION_NOW_MS, &s.out);
        const size_t head_len = (size_t)snprintf(head, sizeof head, "$%zu\r\n", len);
        CHECK_EQ(buffer_len(&s.out), head_len + len + 2);
        CHECK(bytes_start_with(buffer_bytes(&s.out), bytes_of(head, head_len)));
        buffer_reset(&s.out);
    }
    session_close(&s);
}

/* A full buffer is no crash; its owner sees `overflowed`. */
TEST(resp_encode, output_that_does_not_fit) {
    static uint8_t value[1000];
    const struct response r = { .value = bytes_of(value, sizeof value) };
    struct session s;
    struct buffer small;
    session_open(&s);
    buffer_init(&small, 100);
    session_send(&s, "GET k");
    resp_encode(&s.plan, &r, SESSION_NOW_MS, &small);
    CHECK(small.overflowed);
    buffer_deinit(&small);
    session_close(&s);
}
