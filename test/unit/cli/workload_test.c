/* A workload is what its options say: commands, keys, sizes, skew. */
#include "cli/workload.h"

#include "base/mem.h"
#include "test/unit/harness.h"

#include <string.h>

static const struct workload_options plain = { .protocol = WORKLOAD_RESP,
                                               .host = "h:1",
                                               .key_prefix = "k:",
                                               .keys = 1000,
                                               .weights = { [WORKLOAD_GET] = 1 },
                                               .value_min = 3,
                                               .value_max = 3,
                                               .seed = 1 };

TEST(workload, reads_its_options) {
    uint32_t weights[WORKLOAD_OPS];
    double theta = -1;
    uint64_t min = 0, max = 0;
    CHECK_OK(workload_decode_mix(BYTES_LIT("get=70,set=30"), weights));
    CHECK_EQ(weights[WORKLOAD_GET], 70);
    CHECK_EQ(weights[WORKLOAD_SET], 30);
    CHECK_EQ(weights[WORKLOAD_DEL], 0);
    CHECK_OK(workload_decode_mix(BYTES_LIT("incr"), weights));
    CHECK_STATUS(workload_decode_mix(BYTES_LIT("get=0"), weights), ST_INVALID);
    CHECK_STATUS(workload_decode_mix(BYTES_LIT("get,,set"), weights), ST_INVALID);
    CHECK_STATUS(workload_decode_mix(BYTES_LIT("get=-1"), weights), ST_INVALID);
    CHECK_STATUS(workload_decode_mix(BYTES_LIT(""), weights), ST_INVALID);
    CHECK_OK(workload_decode_dist(BYTES_LIT("uniform"), &theta));
    CHECK(theta == 0);
    CHECK_OK(workload_decode_dist(BYTES_LIT("zipf:0.5"), &theta));
    CHECK(theta > 0.49 && theta < 0.51);
    CHECK_STATUS(workload_decode_dist(BYTES_LIT("zipf:1.0"), &theta), ST_INVALID);
    CHECK_STATUS(workload_decode_dist(BYTES_LIT("zipf:0.0"), &theta), ST_INVALID);
    CHECK_OK(workload_decode_value(BYTES_LIT("10-1K"), &min, &max));
    CHECK_EQ(min, 10);
    CHECK_EQ(max, 1024);
    CHECK_STATUS(workload_decode_value(BYTES_LIT("10-5"), &min, &max), ST_INVALID);
}

TEST(workload, encodes_commands) {
    struct workload *w = workload_create(&plain);
    struct buffer out;
    buffer_init(&out, 1 << 16);
    CHECK(workload_append(w, &out) == WORKLOAD_GET);
    CHECK(bytes_start_with(buffer_bytes(&out), BYTES_LIT("*2\r\n$3\r\nGET\r\n$14\r\nk:0000000")));
    CHECK_EQ(buffer_len(&out), strlen("*2\r\n$3\r\nGET\r\n$14\r\nk:000000000000\r\n"));
    buffer_reset(&out);
    workload_append_load(w, 42, &out);
    CHECK_EQ(buffer_len(&out), strlen("*3\r\n$3\r\nSET\r\n$14\r\nk:000000000042\r\n$3\r\nabc\r\n"));
    CHECK(bytes_start_with(buffer_bytes(&out),
                           BYTES_LIT("*3\r\n$3\r\nSET\r\n$14\r\nk:000000000042\r\n$3\r\n")));
    workload_destroy(w);
    struct workload_options http = plain;
    http.protocol = WORKLOAD_HTTP;
    w = workload_create(&http);
    buffer_reset(&out);
    workload_append_load(w, 7, &out);
    CHECK(bytes_start_with(buffer_bytes(&out),
                           BYTES_LIT("PUT /v1/kv/k%3A000000000007 HTTP/1.1\r\nHost: h:1\r\n"
                                     "Content-Length: 3\r\n\r\n")));
    workload_destroy(w);
    buffer_deinit(&out);
}

/* A level is part of every request about a key, and of no other. */
TEST(workload, asks_for_a_level) {
    struct workload_options o = plain;
    o.protocol = WORKLOAD_HTTP;
    o.level = "quorum";
    struct workload *w = workload_create(&o);
    struct buffer out;
    buffer_init(&out, 1 << 16);
    workload_append_load(w, 7, &out);
    CHECK(bytes_start_with(buffer_bytes(&out),
                           BYTES_LIT("PUT /v1/kv/k%3A000000000007?level=quorum HTTP/1.1\r\n")));
    buffer_reset(&out);
    CHECK(workload_append(w, &out) == WORKLOAD_GET);
    static const char query[] = "?level=quorum HTTP/1.1\r\nHost: h:1\r\n\r\n";
    const struct bytes get = buffer_bytes(&out);
    CHECK(get.len > sizeof query);
    CHECK_BYTES(bytes_of(get.ptr + get.len - (sizeof query - 1), sizeof query - 1),
                bytes_of_string(query));
    workload_destroy(w);
    o.weights[WORKLOAD_GET] = 0;
    o.weights[WORKLOAD_PING] = 1;
    w = workload_create(&o);
    buffer_reset(&out);
    (void)workload_append(w, &out);
    CHECK(bytes_start_with(buffer_bytes(&out), BYTES_LIT("GET /health HTTP/1.1\r\n")));
    workload_destroy(w);
    buffer_deinit(&out);
}

/* Zipf(0.99) asks for its most popular keys far more often than uniform does. */
TEST(workload, zipf_is_skewed_and_uniform_is_not) {
    enum { KEYS = 1000, DRAWS = 100000 };
    for (int skewed = 0; skewed < 2; skewed++) {
        struct workload_options o = plain;
        o.zipf_theta = skewed ? 0.99 : 0;
        struct workload *w = workload_create(&o);
        static uint32_t counts[KEYS];
        memset(counts, 0, sizeof counts);
        for (int i = 0; i < DRAWS; i++) counts[workload_key(w)]++;
        uint32_t most = 0;
        for (int i = 0; i < KEYS; i++) most = counts[i] > most ? counts[i] : most;
        /* 1 / zeta(1000, 0.99) is about 13 %; uniform is 0.1 %. */
        CHECK(skewed ? most > DRAWS / 10 : most < DRAWS / 500);
        workload_destroy(w);
    }
}
