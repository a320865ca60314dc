/* http_test_support.h - a connection for tests: bytes in, replies out, as text.
 *
 * Lifecycle  talk_open -> (talk_send -> talk_*)* -> talk_close
 * Owner      one test
 * Memory     replies are in `out` until the next talk_send
 * Failure    CHECKs
 */
#ifndef TEST_HTTP_TEST_SUPPORT_H
#define TEST_HTTP_TEST_SUPPORT_H

#include <stdio.h>
#include <string.h>

#include "proto/http.h"
#include "test/unit/harness.h"

#define TALK_NOW_MS UINT64_C(1700000000000)
#define TALK_VALUE_BYTES_MAX 1000u
#define H "Host: a\r\n"

struct talk {
    struct http *h;
    struct buffer out;
    struct plan plan;
    size_t consumed, need;
};

static inline void talk_open(struct talk *t) {
    memset(t, 0, sizeof *t);
    t->h = http_create(TALK_VALUE_BYTES_MAX);
    buffer_init(&t->out, 1u << 26);
}

static inline void talk_close(struct talk *t) {
    http_destroy(t->h);
    buffer_deinit(&t->out);
}

/* Decode and, if that gave a request, translate. */
static inline enum status_code talk_send(struct talk *t, struct bytes in) {
    buffer_reset(&t->out);
    const struct status s = http_decode(t->h, in, &t->out, &t->consumed, &t->need);
    if (s.code == ST_OK) http_translate(t->h, TALK_NOW_MS, &t->out, &t->plan);
    return s.code;
}

static inline const char *talk_text(struct talk *t) {
    buffer_append_u8(&t->out, '\0');
    t->out.end--;
    return (const char *)t->out.ptr + t->out.start;
}

/* Whether the replies so far hold `part`; prints them if not. */
static inline bool talk_has(struct talk *t, const char *part) {
    const char *text = talk_text(t);
    if (strstr(text, part) != NULL) return true;
    printf("not in the reply: %s\n%s\n", part, text);
    return false;
}

/* One complete request on a fresh connection that is refused while it is decoded. */
static inline bool talk_refuses(struct bytes in, const char *part) {
    struct talk t;
    talk_open(&t);
    const bool refused = talk_send(&t, in) == ST_INVALID && talk_has(&t, part) &&
                         talk_has(&t, "Connection: close\r\n");
    talk_close(&t);
    return refused;
}

/* One complete request on a fresh connection that is answered at once. */
static inline bool talk_replies(struct bytes in, const char *part) {
    struct talk t;
    talk_open(&t);
    const bool replied =
        talk_send(&t, in) == ST_OK && t.plan.kind == PLAN_REPLIED && talk_has(&t, part);
    talk_close(&t);
    return replied;
}

#endif
