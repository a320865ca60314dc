/* What each path, method, parameter and condition header asks for; and that whatever is
 * wrong is answered with what is allowed. */
#include "proto/http_internal.h"

#include "http_test_support.h"

static const struct request *ask(struct talk *t, struct bytes in) {
    CHECK_EQ(talk_send(t, in), ST_OK);
    CHECK_EQ(buffer_len(&t->out), 0);
    CHECK(t->plan.kind == PLAN_REQUESTS || t->plan.kind == PLAN_SCAN);
    CHECK_EQ(t->plan.request_count, 1);
    return &t->plan.requests[0];
}

#define ASK(t, text) ask((t), BYTES_LIT(text))
#define REPLIES(text, part) CHECK(talk_replies(BYTES_LIT(text " HTTP/1.1\r\n" H "\r\n"), (part)))

TEST(http_translate, reads_and_writes_one_key) {
    struct talk t;
    talk_open(&t);
    const struct request *r = ASK(&t, "GET /v1/kv/a/b%2Fc%00+%25 HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->op, OP_GET);
    CHECK_BYTES(r->key, BYTES_LIT("a/b/c\0+%"));
    CHECK_EQ(r->flags, 0);
    r = ASK(&t, "HEAD /v1/kv/a?keyspace=default HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->flags, REQUEST_NO_VALUE);
    r = ASK(&t, "DELETE http://x/v1/kv/a?keyspace= HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->op, OP_DELETE);
    r = ASK(&t,
            "PUT /v1/kv/a?ttl=1m&level=quorum&op=0123456789abcdefFEDCBA9876543210 HTTP/1.1\r\n" H
            "Content-Length: 2\r\n\r\nhi");
    CHECK_EQ(r->op, OP_PUT);
    CHECK_BYTES(r->value, BYTES_LIT("hi"));
    CHECK_EQ(r->expiry, EXPIRY_AT);
    CHECK_EQ(r->expires_at_ms, TALK_NOW_MS + 60000);
    CHECK_EQ(r->level, LEVEL_QUORUM);
    CHECK(r->op_high == UINT64_C(0x0123456789abcdef) && r->op_low == UINT64_C(0xfedcba9876543210));
    r = ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->value.len, 0);
    CHECK_EQ(r->expiry, EXPIRY_NONE);
    talk_close(&t);
}

TEST(http_translate, reads_conditions) {
    struct talk t;
    talk_open(&t);
    const struct request *r = ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "If-Match: \"1f.2.3\"\r\n\r\n");
    CHECK_EQ(r->condition, COND_VERSION_IS);
    CHECK(r->version.stamp == 0x1f && r->version.node == 2 && r->version.boot == 3);
    CHECK_EQ(r->flags, REQUEST_RETURN_OLD | REQUEST_NO_VALUE);
    r = ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "If-None-Match: *\r\n\r\n");
    CHECK_EQ(r->condition, COND_ABSENT);
    r = ASK(&t, "DELETE /v1/kv/a HTTP/1.1\r\n" H "If-Match: *\r\n\r\n");
    CHECK_EQ(r->condition, COND_PRESENT);
    r = ASK(&t, "GET /v1/kv/a HTTP/1.1\r\n" H "If-None-Match: W/\"1f.2.3\"\r\n\r\n");
    CHECK_EQ(r->condition, COND_VERSION_IS_NOT);
    r = ASK(&t, "GET /v1/kv/a HTTP/1.1\r\n" H "If-Match: \"1f.2.3\"\r\n\r\n");
    CHECK_EQ(r->condition, COND_NONE);
    CHECK_BYTES(t.plan.detail, BYTES_LIT("1f.2.3"));
    talk_close(&t);

#define CONDITION(method, header) \
    BYTES_LIT(method " /v1/kv/a HTTP/1.1\r\n" H header "\r\n\r\n"), "400 Bad Request"
    CHECK(talk_replies(CONDITION("PUT", "If-Match: \"1.2.3\", \"1.2.4\"")));
    CHECK(talk_replies(CONDITION("PUT", "If-Match: \"1.2.3\"\r\nIf-Match: \"1.2.4\"")));
    CHECK(talk_replies(CONDITION("PUT", "If-Match: *\r\nIf-None-Match: *")));
    CHECK(talk_replies(CONDITION("PUT", "If-Match: W/\"1.2.3\"")));
    CHECK(talk_replies(CONDITION("PUT", "If-Match: 1.2.3")));
    CHECK(talk_replies(CONDITION("PUT", "If-Match:")));
    CHECK(talk_replies(CONDITION("PUT", "If-None-Match: \"1.2.3\"")));
    CHECK(talk_replies(CONDITION("GET", "If-None-Match: \"abc\"")));
}

/* As many replicas as the level says, and never less than the session has seen. */
TEST(http_translate, reads_levels_and_sessions) {
    struct talk t;
    talk_open(&t);
    const struct request *r = ASK(&t, "GET /v1/kv/a?level=1 HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->level, LEVEL_COUNT);
    CHECK_EQ(r->level_count, 1);
    CHECK(ballot_is_zero(r->session));
    r = ASK(&t, "PUT /v1/kv/a?level=7 HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->level, LEVEL_COUNT);
    CHECK_EQ(r->level_count, 7);
    r = ASK(&t, "DELETE /v1/kv/a?level=all HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(r->level, LEVEL_ALL);
    CHECK_EQ(r->level_count, 0);
    CHECK_EQ(talk_send(&t, BYTES_LIT("POST /v1/batch?level=3 HTTP/1.1\r\n" H
                                     "Content-Length: 23\r\n\r\n{\"items\":[{\"key\":\"a\"}]}")),
             ST_OK);
    CHECK_EQ(t.plan.requests[0].level, LEVEL_COUNT);
    CHECK_EQ(t.plan.requests[0].level_count, 3);

    r = ASK(&t, "GET /v1/kv/a HTTP/1.1\r\n" H "Atoll-Session: 1f.2.3\r\n\r\n");
    CHECK(r->session.stamp == 0x1f && r->session.node == 2 && r->session.boot == 3);
    CHECK_EQ(r->condition, COND_NONE);
    r = ASK(&t, "HEAD /v1/kv/a HTTP/1.1\r\n" H "atoll-session: \"2.1.1\" \r\n\r\n");
    CHECK_EQ(r->session.stamp, 2);
    r = ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "Atoll-Session: 1f.2.3\r\n\r\n");
    CHECK(ballot_is_zero(r->session));
    talk_close(&t);

#define SESSION(header) \
    BYTES_LIT("GET /v1/kv/a HTTP/1.1\r\n" H header "\r\n\r\n"), "\"bad_session\""
    CHECK(talk_replies(SESSION("Atoll-Session:")));
    CHECK(talk_replies(SESSION("Atoll-Session: *")));
    CHECK(talk_replies(SESSION("Atoll-Session: \"1.2.3")));
    CHECK(talk_replies(SESSION("Atoll-Session: 0.0.0")));
    CHECK(talk_replies(SESSION("Atoll-Session: 1.2.3\r\nAtoll-Session: 1.2.3")));
}

TEST(http_translate, says_what_is_wrong) {
    REPLIES("GET /nope", "404 Not Found");
    REPLIES("GET /nope", "\r\n\r\n404 page not found\n");
    REPLIES("GET /v10/kv/a", "404 page not found\n");
    REPLIES("GET /v1", "\"no_such_path\"");
    REPLIES("GET /v1/kv", "\"no_such_path\"");
    REPLIES("POST /v1/kv/a", "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n");
    REPLIES("POST /v1/kv/a", "405 Method Not Allowed");
    REPLIES("GET /v1/batch", "Allow: POST, OPTIONS\r\n");
    REPLIES("OPTIONS /v1/scan", "204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n");
    REPLIES("OPTIONS *", "204 No Content");
    REPLIES("GET /v1/kv/", "\"empty_key\"");
    REPLIES("GET /v1/kv/%", "\"bad_escape\"");
    REPLIES("GET /v1/kv/a?level=%zz", "\"bad_escape\"");
    REPLIES("GET /v1/kv/a?level=two",
            "level must be one, quorum, all or a number of replicas from 1 to 7");
    REPLIES("PUT /v1/kv/a?level=0", "\"bad_level\"");
    REPLIES("GET /v1/kv/a?level=8", "\"bad_level\"");
    REPLIES("GET /v1/kv/a?level=03", "\"bad_level\"");
    REPLIES("GET /v1/scan?level=-1", "\"bad_level\"");
    REPLIES("GET /v1/kv/a?ttl=5", "`ttl` is not known here; known: keyspace level");
    REPLIES("PUT /v1/kv/a?tll=5", "known: keyspace level ttl op");
    REPLIES("PUT /v1/kv/a?ttl=0", "ttl must be a positive number of seconds");
    REPLIES("PUT /v1/kv/a?ttl=-5s", "\"bad_ttl\"");
    REPLIES("PUT /v1/kv/a?ttl=1&ttl=1", "\"repeated_parameter\"");
    REPLIES("PUT /v1/kv/a?op=12", "\"bad_op\"");
    REPLIES("PUT /v1/kv/a?op=00000000000000000000000000000000", "\"bad_op\"");
    REPLIES("GET /v1/scan?limit=0", "limit must be a number from 1 to 100000");
    REPLIES("GET /v1/scan?limit=100001", "\"bad_limit\"");
    REPLIES("GET /v1/scan?values=2", "\"bad_values\"");
    REPLIES("GET /v1/scan?cursor=AAAA", "\"bad_cursor\"");
    REPLIES("GET /metrics?format=xml", "format must be json or prometheus");
    REPLIES("GET /health?x", "known: none");
}

TEST(http_translate, greets) {
    REPLIES("GET /", "curl");
    REPLIES("HEAD /", "Content-Length: ");
    CHECK(talk_replies(BYTES_LIT("GET http://a HTTP/1.1\r\n" H "\r\n"), "200 OK"));
}

TEST(http_translate, limits_keys) {
    struct talk t;
    struct buffer in;
    buffer_init(&in, 1u << 20);
    for (unsigned extra = 0; extra <= 1; extra++) {
        buffer_reset(&in);
        buffer_append_string(&in, "GET /v1/kv/");
        for (unsigned i = 0; i < KEY_BYTES_MAX + extra; i++) buffer_append_string(&in, "%fF");
        buffer_append_string(&in, " HTTP/1.1\r\n" H "\r\n");
        talk_open(&t);
        CHECK_EQ(talk_send(&t, buffer_bytes(&in)), ST_OK);
        CHECK_EQ(t.plan.kind, extra == 0 ? PLAN_REQUESTS : PLAN_REPLIED);
        if (extra == 0) CHECK_EQ(t.plan.requests[0].key.len, KEY_BYTES_MAX);
        if (extra == 1) CHECK(talk_has(&t, "414 URI Too Long"));
        talk_close(&t);
    }
    buffer_deinit(&in);
}

TEST(http_translate, reads_scans) {
    struct talk t;
    talk_open(&t);
    const struct request *r =
        ASK(&t, "GET /v1/scan?start=a+b&end=%7a&prefix=&limit=5&values=0 HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(t.plan.kind, PLAN_SCAN);
    CHECK_EQ(r->op, OP_SCAN);
    CHECK_BYTES(r->start, BYTES_LIT("a b"));
    CHECK_BYTES(r->end, BYTES_LIT("z"));
    CHECK(r->has_end);
    CHECK_EQ(r->flags, REQUEST_NO_VALUE);
    CHECK_EQ(t.plan.rows_wanted, 5);
    r = ASK(&t, "GET /v1/scan HTTP/1.1\r\n" H "\r\n");
    CHECK_EQ(t.plan.rows_wanted, 1000);
    CHECK(!r->has_end && !r->start_exclusive);
    talk_close(&t);
}

TEST(http_translate, asks_the_node) {
    static const struct {
        const char *request;
        enum node_topic topic;
    } rows[] = {
        { "GET /health HTTP/1.1\r\n" H "\r\n", NODE_HEALTH },
        { "GET /ready HTTP/1.1\r\n" H "\r\n", NODE_READY },
        { "HEAD /v1/cluster HTTP/1.1\r\n" H "\r\n", NODE_CLUSTER },
        { "GET /metrics HTTP/1.1\r\n" H "Accept: */*\r\n\r\n", NODE_METRICS },
        { "GET /metrics?format=prometheus HTTP/1.1\r\n" H "\r\n", NODE_PROMETHEUS },
        { "GET /metrics HTTP/1.1\r\n" H "Accept: text/plain\r\n\r\n", NODE_METRICS },
        { "GET /metrics HTTP/1.1\r\n" H "Accept: Text/plain;version=0.0.4;q=0.4\r\n\r\n",
          NODE_PROMETHEUS },
        { "GET /metrics HTTP/1.1\r\n" H
          "Accept: application/openmetrics-text;version=1.0.0\r\n\r\n",
          NODE_PROMETHEUS },
        { "GET /metrics?format=json HTTP/1.1\r\n" H "Accept: text/plain;version=0.0.4\r\n\r\n",
          NODE_METRICS },
    };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(talk_send(&t, bytes_of_string(rows[i].request)), ST_OK);
        CHECK_EQ(t.plan.kind, PLAN_NODE);
        CHECK_EQ(t.plan.topic, rows[i].topic);
    }
    talk_close(&t);
}

/* A page of a stranger in a browser next to the node can send requests; it may not write. */
TEST(http_translate, pages_of_other_sites_change_nothing) {
#define FROM(line, header, answer) \
    CHECK(talk_replies(BYTES_LIT(line " HTTP/1.1\r\n" H header "\r\n\r\n"), answer))
    static const char refused[] = "403 Forbidden";
    FROM("PUT /v1/kv/a", "Sec-Fetch-Site: cross-site", refused);
    FROM("PUT /v1/kv/a", "sec-fetch-site: same-site", refused);
    FROM("DELETE /v1/kv/a", "Origin: http://evil.example", refused);
    FROM("DELETE /v1/kv/a", "Origin: null", refused);
    FROM("POST /v1/batch", "Origin: http://x.evil.example", refused);
    FROM("PUT /v1/node/slow-ms", "Origin: x", refused);
    FROM("GET /set?key=a&value=b", "Sec-Fetch-Site: cross-site", refused);
    FROM("GET /add-node?address=localhost:1", "Sec-Fetch-Site: cross-site", refused);
    struct talk t;
    talk_open(&t);
    CHECK_EQ(ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "Origin: http://a\r\n\r\n")->op, OP_PUT);
    CHECK_EQ(ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "Sec-Fetch-Site: same-origin\r\n\r\n")->op,
             OP_PUT);
    CHECK_EQ(ASK(&t, "PUT /v1/kv/a HTTP/1.1\r\n" H "Sec-Fetch-Site: none\r\n\r\n")->op, OP_PUT);
    CHECK_EQ(ASK(&t, "GET /v1/kv/a HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\n\r\n")->op,
             OP_GET);
    CHECK_EQ(ASK(&t, "GET /get?key=a HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\n\r\n")->op,
             OP_GET);
    talk_close(&t);
#undef FROM
}
