/* resp_session.h - one RESP connection for tests: wire text in, plans and replies out.
 *
 * Lifecycle  session_open -> (session_send, session_answer)* -> session_close
 * Owner      one test
 * Memory     replies are gathered in `out`
 * Failure    checks of the harness
 */
#ifndef TEST_UNIT_PROTO_RESP_SESSION_H
#define TEST_UNIT_PROTO_RESP_SESSION_H

#include "base/status.h"
#include "proto/resp.h"
#include "test/unit/harness.h"

#define SESSION_NOW_MS UINT64_C(1700000000000)
#define SESSION_VALUE_BYTES_MAX 100000u

struct session {
    struct resp resp;
    struct plan plan;  /* of the last command */
    struct buffer out; /* replies since the last look */
};

static inline void session_open(struct session *s) {
    resp_init(&s->resp, SESSION_VALUE_BYTES_MAX);
    buffer_init(&s->out, 256u * 1024 * 1024);
}

static inline void session_close(struct session *s) {
    resp_deinit(&s->resp);
    buffer_deinit(&s->out);
}

/* Decode and translate one command that is all of `wire`. */
static inline void session_send_bytes(struct session *s, struct bytes wire) {
    size_t consumed = 0, need = 0;
    CHECK_OK(resp_decode(&s->resp, wire, &s->out, &consumed, &need));
    CHECK_EQ(consumed, wire.len);
    resp_translate(&s->resp, SESSION_NOW_MS, &s->out, &s->plan);
}

/* An inline command, such as `SET key "a b" EX 10`. */
static inline void session_send(struct session *s, const char *line) {
    char wire[4096];
    const size_t len = strlen(line);
    CHECK(len + 2 < sizeof wire);
    memcpy(wire, line, len);
    memcpy(wire + len, "\r\n", 2);
    session_send_bytes(s, bytes_of(wire, len + 2));
}

/* Whether the replies since the last look are these bytes. */
static inline void session_expect(struct session *s, const char *reply) {
    if (buffer_len(&s->out) == 0) {
        CHECK_EQ(strlen(reply), 0);
    } else {
        CHECK_BYTES(buffer_bytes(&s->out), bytes_of_string(reply));
    }
    buffer_reset(&s->out);
}

/* A command that is answered without a request, and its answer. */
static inline void session_replies(struct session *s, const char *line, const char *reply) {
    session_send(s, line);
    CHECK_EQ(s->plan.kind, PLAN_REPLIED);
    session_expect(s, reply);
}

/* The requests of the last command were answered thus. */
static inline void session_answer(struct session *s, const struct response *responses,
                                  const char *reply) {
    CHECK_EQ(s->plan.kind, PLAN_REQUESTS);
    resp_encode(&s->plan, responses, SESSION_NOW_MS, &s->out);
    session_expect(s, reply);
}

#endif
