/* Replies are counted and told apart however the network cuts them. */
#include "cli/bench_reply.h"

#include "test/unit/harness.h"

#include <string.h>

/* 'h', 'm' or 'e' for each reply in `text`; '!' ends a stream that makes no sense. */
static void results_of(enum workload_protocol protocol, const char *text, size_t step,
                       char results[16]) {
    struct bench_reply r;
    size_t count = 0;
    const size_t len = strlen(text);
    bench_reply_init(&r, protocol);
    for (size_t at = 0; at < len; at += step) {
        struct bytes in = bytes_of(text + at, len - at < step ? len - at : step);
        while (in.len > 0) {
            size_t used = 0;
            enum bench_result result = BENCH_HIT;
            const struct status s = bench_reply_next(&r, in, &used, &result);
            in = bytes_of(in.ptr + used, in.len - used);
            if (s.code == ST_WAIT) continue;
            results[count++] = status_ok(s) ? "hme"[result] : '!';
            if (!status_ok(s)) break;
        }
        if (count > 0 && results[count - 1] == '!') break;
    }
    results[count] = '\0';
}

TEST(bench_reply, tells_resp_replies_apart) {
    static const char text[] =
        "+OK\r\n$5\r\nhe\r\no\r\n$-1\r\n:12\r\n-BUSY later\r\n$0\r\n\r\n_\r\n";
    char results[16];
    for (size_t step = 1; step < sizeof text; step++) {
        results_of(WORKLOAD_RESP, text, step, results);
        CHECK(strcmp(results, "hhmhehm") == 0);
    }
    results_of(WORKLOAD_RESP, "HTTP/1.1 400 Bad Request\r\n", 100, results);
    CHECK(strcmp(results, "!") == 0);
}

TEST(bench_reply, tells_http_replies_apart) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
                               "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                               "HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx";
    char results[16];
    for (size_t step = 1; step < sizeof text; step++) {
        results_of(WORKLOAD_HTTP, text, step, results);
        CHECK(strcmp(results, "hme") == 0);
    }
}

TEST(bench_reply, names_the_kind_of_an_error) {
    struct bench_reply r;
    size_t used = 0;
    enum bench_result result = BENCH_HIT;
    bench_reply_init(&r, WORKLOAD_RESP);
    CHECK_OK(bench_reply_next(&r, BYTES_LIT("-WRONGTYPE Operation against\r\n"), &used, &result));
    CHECK(result == BENCH_ERROR);
    CHECK(strcmp(r.error, "WRONGTYPE") == 0);
    bench_reply_init(&r, WORKLOAD_HTTP);
    CHECK_OK(bench_reply_next(&r, BYTES_LIT("HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n"),
                              &used, &result));
    CHECK(strcmp(r.error, "507") == 0);
}
