/* The routes of the older stores become the same requests as those of /v1, and are answered
 * in the words of each store, whatever the outcome. */
#include "http_test_support.h"

static const struct request *ask(struct talk *t, const char *text) {
    CHECK_EQ(talk_send(t, bytes_of_string(text)), ST_OK);
    CHECK(t->plan.kind == PLAN_REQUESTS || t->plan.kind == PLAN_SCAN);
    return t->plan.requests;
}

/* "METHOD TARGET" with a body, whose length is filled in. */
static const char *with_body(const char *line, const char *body) {
    static char text[4096];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n%s", line,
             strlen(body), body);
    return text;
}

static const char *bare(const char *line) {
    static char text[4096];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\n" H "\r\n", line);
    return text;
}

#define IS(found, wanted) CHECK_BYTES((found), BYTES_LIT(wanted))

TEST(http_alias, writes_become_puts) {
    static const struct {
        const char *line, *body;
        uint64_t expires_at_ms; /* 0 = never */
    } rows[] = {
        { "POST /kvstore", "{\"key\":\"k\",\"value\":\"v\"}", 0 },
        { "PUT /kvstore", " {\"Key\":\"k\",\"VALUE\":\"v\"} trailing", 0 },
        { "POST /kvstore", "key=k&value=%76", 0 },
        { "POST /kvstore", "value=v&key=k&ttl=10s", TALK_NOW_MS + 10000 },
        { "PUT /PUT", "{\"Key\":\"k\",\"Value\":\"v\"}", 0 },
        { "GET /PUT", "{\"key\":\"k\",\"value\":\"v\",\"ttl\":\"1m\"}", TALK_NOW_MS + 60000 },
        { "GET /set?key=k&value=v", "value=other", 0 },
        { "POST /set?value=v&key=%6b&ttl=1500ms", "", TALK_NOW_MS + 1500 },
        { "GET /set?key=k&value=v&ttl=1ns", "", TALK_NOW_MS + 1 },
        { "GET /set?key=k&value=v&ttl=0", "", TALK_NOW_MS },
        { "GET /set?key=k&value=v&ttl=-5s", "", TALK_NOW_MS - 5000 },
        { "GET /set?key=k&value=v&ttl=-2562047h", "", 1 },
        { "POST /put", "{\"key\":\"k\",\"value\":\"v\",\"ttl\":\"0\"}", TALK_NOW_MS },
        { "DELETE /put", "{\"key\":\"k\",\"value\":\"v\",\"ttl\":null}", 0 },
    };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct request *r = ask(&t, with_body(rows[i].line, rows[i].body));
        CHECK_EQ(r->op, OP_PUT);
        CHECK_EQ(r->condition, COND_NONE);
        IS(r->key, "k");
        IS(r->value, "v");
        CHECK_EQ(r->expiry, rows[i].expires_at_ms == 0 ? EXPIRY_NONE : EXPIRY_AT);
        CHECK_EQ(r->expires_at_ms, rows[i].expires_at_ms);
    }
    const struct request *r = ask(&t, bare("GET /set?key=k"));
    CHECK_EQ(r->value.len, 0);
    r = ask(&t, with_body("POST /put", "{\"key\":\"k\"}"));
    CHECK_EQ(r->value.len, 0);
    talk_close(&t);
}

TEST(http_alias, reads_and_deletes) {
    static const struct {
        const char *line, *body;
        enum operation op;
    } rows[] = {
        { "GET /kvstore?key=a%20b&x=%41", "", OP_GET },
        { "DELETE /kvstore?key=a+b", "", OP_DELETE },
        { "GET /GET", "{\"Key\":\"a b\"}", OP_GET },
        { "POST /GET", "{\"key\":\"a b\",\"value\":1}", OP_GET },
        { "GET /get?key=a+b", "", OP_GET },
        { "POST /get?key=a+b&key=c", "", OP_GET },
        { "POST /delete?key=a+b", "", OP_DELETE },
        { "DELETE /delete?key=a+b", "", OP_DELETE },
    };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct request *r = ask(&t, with_body(rows[i].line, rows[i].body));
        CHECK_EQ(r->op, rows[i].op);
        CHECK_EQ(t.plan.request_count, 1);
        IS(r->key, "a b");
    }
    talk_close(&t);
}

TEST(http_alias, a_batch_is_its_puts) {
    struct talk t;
    talk_open(&t);
    const struct request *r =
        ask(&t, with_body("POST /batch", "{\"Items\":[{\"Key\":\"a\",\"value\":\"1\"},"
                                         "{\"key\":\"b\",\"x\":0,\"ttl\":\"1s\"}],\"more\":{}}"));
    CHECK_EQ(t.plan.request_count, 2);
    IS(r[0].key, "a");
    IS(r[0].value, "1");
    CHECK_EQ(r[0].expiry, EXPIRY_NONE);
    IS(r[1].key, "b");
    CHECK_EQ(r[1].value.len, 0);
    CHECK_EQ(r[1].expires_at_ms, TALK_NOW_MS + 1000);
    talk_close(&t);
}

/* Both ends belong to the range; a request's end does not. */
TEST(http_alias, a_scan_holds_both_ends) {
    static char line[KEY_BYTES_MAX + 200];
    struct talk t;
    talk_open(&t);
    const struct request *r = ask(&t, bare("GET /scan?start=a&end=b"));
    CHECK_EQ(t.plan.kind, PLAN_SCAN);
    CHECK_EQ(t.plan.rows_wanted, 0);
    IS(r->start, "a");
    CHECK_BYTES(r->end, bytes_of("b\0", 2));
    CHECK(r->has_end && !r->start_exclusive);
    CHECK(!t.plan.close_after);
    r = ask(&t, "GET /scan?end=%ff HTTP/1.0\r\n\r\n");
    CHECK_EQ(r->start.len, 0);
    CHECK_BYTES(r->end, bytes_of("\xff\0", 2));
    CHECK(t.plan.close_after);

    /* The longest key has no room for a byte more. */
    int len = snprintf(line, sizeof line, "GET /scan?end=");
    memset(line + len, 'k', KEY_BYTES_MAX);
    snprintf(line + len + KEY_BYTES_MAX, 50, " HTTP/1.1\r\n" H "\r\n");
    r = ask(&t, line);
    CHECK_EQ(r->end.len, KEY_BYTES_MAX);
    CHECK(r->has_end && r->end.ptr[KEY_BYTES_MAX - 1] == 'l' && r->end.ptr[0] == 'k');
    talk_close(&t);

    CHECK(talk_replies(bytes_of_string(bare("GET /scan")), "\r\n\r\n{}\n"));
    CHECK(talk_replies(bytes_of_string(bare("GET /scan?start=b&end=a")), "\r\n\r\n{}\n"));
    CHECK(talk_replies(bytes_of_string(bare("HEAD /scan?end=z")), "application/json"));
}

#define SAYS(line, status, text)                                                 \
    CHECK(talk_replies(bytes_of_string(bare(line)), "HTTP/1.1 " status "\r\n")); \
    CHECK(talk_replies(bytes_of_string(bare(line)), "\r\n\r\n" text))
#define SAYS_TO(line, body, status, text)                                                   \
    CHECK(talk_replies(bytes_of_string(with_body(line, body)), "HTTP/1.1 " status "\r\n")); \
    CHECK(talk_replies(bytes_of_string(with_body(line, body)), "\r\n\r\n" text))

TEST(http_alias, says_what_is_wrong) {
    SAYS("GET /kvstore", "400 Bad Request", "missing key in query\n");
    SAYS("DELETE /kvstore?key=", "400 Bad Request", "missing key in query\n");
    SAYS("PATCH /kvstore", "405 Method Not Allowed", "unsupported HTTP method\n");
    SAYS("OPTIONS /kvstore", "405 Method Not Allowed", "unsupported HTTP method\n");
    CHECK(talk_replies(bytes_of_string(bare("HEAD /kvstore?key=a")),
                       "Allow: GET, POST, PUT, DELETE\r\n"));
    SAYS_TO("POST /kvstore", "{\"key\":\"k\"}", "400 Bad Request",
            "missing key or value in request body\n");
    SAYS_TO("POST /kvstore", "key=k", "400 Bad Request", "missing key or value in request body\n");
    SAYS_TO("POST /kvstore", "{\"key\":\"k\",\"value\":1}", "400 Bad Request",
            "invalid request body\n");
    SAYS_TO("POST /kvstore", "rub=bish", "400 Bad Request", "invalid request body\n");
    SAYS_TO("POST /kvstore", "rubbish", "400 Bad Request", "invalid request body\n");
    SAYS_TO("POST /kvstore", "{\"key\":\"k=\"", "400 Bad Request", "invalid request body\n");
    SAYS_TO("PUT /PUT", "", "400 Bad Request", "EOF\n");
    SAYS_TO("PUT /PUT", "{\"Key\":", "400 Bad Request", "unexpected EOF\n");
    SAYS_TO("PUT /PUT", "  rubbish", "400 Bad Request",
            "invalid character 'r' looking for beginning of value\n");
    SAYS_TO("PUT /PUT", "{\"Key\" 1}", "400 Bad Request", "invalid JSON: line 1: ");
    SAYS_TO("PUT /PUT", "{\"Value\":\"v\"}", "400 Bad Request", "the key is empty\n");
    SAYS_TO("GET /GET", "", "400 Bad Request", "unable to decode\n");
    SAYS_TO("GET /GET", "{}", "404 Not Found", "key not found\n");
    SAYS("GET /set?value=v", "400 Bad Request", "Key required\n");
    SAYS("GET /set?key=k&value=v&ttl=", "400 Bad Request", "Invalid TTL value\n");
    SAYS("GET /set?key=k&value=v&ttl=60", "400 Bad Request", "Invalid TTL value\n");
    SAYS("GET /set?key=k&value=v&ttl=1d", "400 Bad Request", "Invalid TTL value\n");
    SAYS("GET /set?key=k&value=%zz", "400 Bad Request", "invalid URL escape\n");
    SAYS("HEAD /set?key=k&value=v", "405 Method Not Allowed", "");
    SAYS("GET /get", "400 Bad Request", "Key required\n");
    SAYS("GET /get?format=json", "400 Bad Request", "{\"error\":\"Key required\"}\n");
    SAYS_TO("POST /put", "{}", "400 Bad Request", "Bad Request\n");
    SAYS_TO("POST /put", "[]", "400 Bad Request", "Bad Request\n");
    SAYS_TO("POST /put", "{\"key\":\"k\",\"value\":\"v\",\"ttl\":\"5\"}", "400 Bad Request",
            "Invalid TTL value\n");
    SAYS_TO("POST /put", "{\"key\":\"k\",\"value\":\"v\",\"ttl\":5}", "400 Bad Request",
            "Bad Request\n");
    SAYS_TO("POST /batch", "{\"items\":[]}", "200 OK", "Batch Processed");
    SAYS_TO("POST /batch", "{}", "200 OK", "Batch Processed");
    SAYS_TO("POST /batch", "{\"items\":null}", "200 OK", "Batch Processed");
    SAYS_TO("POST /batch", "{\"items\":1}", "400 Bad Request", "Bad Request\n");
    SAYS_TO("POST /batch", "[]", "400 Bad Request", "Bad Request\n");
    SAYS_TO("POST /batch", "{\"items\":[{\"key\":\"a\",\"value\":\"b\"},1]}", "400 Bad Request",
            "Bad Request\n");
    SAYS_TO("POST /batch", "{\"items\":[{\"key\":\"a\",\"value\":\"b\"},{}]}", "400 Bad Request",
            "Bad Request\n");
    SAYS("GET /delete?key=k", "405 Method Not Allowed", "Method Not Allowed\n");
    CHECK(talk_replies(bytes_of_string(bare("GET /delete?key=k")), "Allow: POST, DELETE\r\n"));
    SAYS("POST /delete", "400 Bad Request", "Key required\n");
    SAYS("GET /add-node", "400 Bad Request", "missing address\n");
    SAYS_TO("POST /AddServer", "no", "400 Bad Request", "unable to decode the serverInfo\n");
    SAYS_TO("POST /AddServer", "{\"url\":1}", "400 Bad Request",
            "unable to decode the serverInfo\n");
    SAYS_TO("POST /AddServer", "{}", "400 Bad Request", "unable to decode the serverInfo\n");
    SAYS("GET /Get?key=k", "404 Not Found", "404 page not found\n");
    SAYS("GET /kvstore/", "404 Not Found", "404 page not found\n");
}

TEST(http_alias, limits_what_comes) {
    static char body[TALK_VALUE_BYTES_MAX + 100];
    static char line[KEY_BYTES_MAX + 100];
    snprintf(body, sizeof body, "{\"key\":\"k\",\"value\":\"%*s\"}", (int)TALK_VALUE_BYTES_MAX + 1,
             "v");
    SAYS_TO("POST /put", body, "413 Content Too Large", "the value is too large\n");
    int len = snprintf(line, sizeof line, "GET /get?key=");
    memset(line + len, 'k', KEY_BYTES_MAX + 1);
    snprintf(line + len + KEY_BYTES_MAX + 1, 50, " HTTP/1.1\r\n" H "\r\n");
    CHECK(talk_replies(bytes_of_string(line), "a key has at most 65535 bytes\n"));
    CHECK(talk_refuses(BYTES_LIT("POST /put HTTP/1.1\r\n" H "Content-Length: 33554433\r\n\r\n"),
                       "\r\n\r\nthe body is too large\n"));
    CHECK(talk_refuses(BYTES_LIT("GET /get?key=a HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n"),
                       "413 Content Too Large"));
}

/* Each style's answer to each outcome, of one request. */
static void answer(struct talk *t, const char *text, struct response response, const char *whole) {
    ask(t, text);
    buffer_reset(&t->out);
    http_encode(&t->plan, &response, TALK_NOW_MS, &t->out);
    if (!talk_has(t, whole)) CHECK(false);
}

#define PLAIN "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
#define JSON "Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"

TEST(http_alias, answers_in_the_words_of_the_store) {
    const struct response found = { .value = BYTES_LIT("<v>\xff"), .value_len = 4 };
    const struct response done = { .outcome = OUT_OK };
    const struct response absent = { .outcome = OUT_NOT_FOUND };
    const char *put = "{\"key\":\"k\",\"value\":\"v\"}";
    struct talk t;
    talk_open(&t);
    answer(&t, bare("GET /kvstore?key=%26"), found,
           "HTTP/1.1 200 OK\r\n" JSON "Content-Length: 47\r\n\r\n"
           "{\"key\":\"\\u0026\",\"value\":\"\\u003cv\\u003e\\ufffd\"}\n");
    answer(&t, bare("GET /kvstore?key=k"), absent,
           "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 14\r\n\r\nkey not found\n");
    answer(&t, with_body("POST /kvstore", put), done,
           "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    answer(&t, bare("DELETE /kvstore?key=k"), absent, "HTTP/1.1 204 No Content\r\n\r\n");
    answer(&t, with_body("PUT /PUT", put), done,
           "HTTP/1.1 200 OK\r\n" JSON "Content-Length: 0\r\n\r\n");
    answer(&t, with_body("GET /GET", put), found, "\r\n\r\n\"\\u003cv\\u003e\\ufffd\"\n");
    answer(&t, with_body("GET /GET", put), absent, "\r\n\r\nkey not found\n");
    answer(&t, bare("GET /set?key=k"), done,
           JSON "Content-Length: 21\r\n\r\n{\"status\":\"success\"}\n");
    answer(&t, bare("GET /set?key=k&ttl=1s"), done, PLAIN "Content-Length: 2\r\n\r\nOK");
    answer(&t, bare("GET /get?key=k"), found, PLAIN "Content-Length: 4\r\n\r\n<v>\xff");
    answer(&t, bare("GET /get?key=k"), absent,
           "404 Not Found\r\n" PLAIN "Content-Length: 14\r\n\r\nKey not found\n");
    answer(&t, with_body("POST /put", put), done, PLAIN "Content-Length: 2\r\n\r\nOK");
    answer(&t, bare("POST /delete?key=k"), absent, PLAIN "Content-Length: 7\r\n\r\nDeleted");
    answer(&t, with_body("POST /batch", "{\"items\":[{\"key\":\"a\"}]}"), done,
           PLAIN "Content-Length: 15\r\n\r\nBatch Processed");

    answer(&t, bare("HEAD /get?key=k"), found, "Content-Length: 4\r\n\r\n");
    CHECK(strstr(talk_text(&t), "<v>") == NULL);
    talk_close(&t);
}

TEST(http_alias, chooses_the_form_of_get) {
    const struct response found = { .value = BYTES_LIT("v"), .value_len = 1 };
    const struct response absent = { .outcome = OUT_NOT_FOUND };
    const char *accept = "GET /get?key=k HTTP/1.1\r\n" H "Accept: text/x, application/json\r\n\r\n";
    const char *raw = "GET /get?key=k&format=raw HTTP/1.1\r\n" H "Accept: application/json\r\n\r\n";
    const char *any = "GET /get?key=k HTTP/1.1\r\n" H "Accept: */*\r\n\r\n";
    struct talk t;
    talk_open(&t);
    answer(&t, accept, found, JSON "Content-Length: 14\r\n\r\n{\"value\":\"v\"}\n");
    answer(&t, accept, absent,
           "404 Not Found\r\n" JSON "Content-Length: 26\r\n\r\n{\"error\":\"Key not found\"}\n");
    answer(&t, bare("GET /get?key=k&format=json"), found, "\r\n\r\n{\"value\":\"v\"}\n");
    answer(&t, raw, found, "\r\n\r\nv");
    answer(&t, any, found, "\r\n\r\nv");
    http_set_get_json(t.h, true);
    answer(&t, any, found, "\r\n\r\n{\"value\":\"v\"}\n");
    answer(&t, raw, found, "\r\n\r\nv");
    talk_close(&t);
}

TEST(http_alias, failures_keep_their_words) {
    const struct response quorum = { .outcome = OUT_QUORUM, .acks = 1, .needed = 2, .replicas = 3 };
    const struct response timeout = { .outcome = OUT_TIMEOUT };
    const char *put = "{\"key\":\"k\",\"value\":\"v\"}";
    struct talk t;
    talk_open(&t);
    answer(&t, with_body("POST /put", put), quorum,
           "HTTP/1.1 503 Service Unavailable\r\n" PLAIN "Atoll-Acks: 1/3\r\nRetry-After: 1\r\n"
           "Content-Length: 14\r\n\r\nQuorum Failed\n");
    answer(&t, bare("GET /get?key=k"), quorum, "\r\n\r\nRead Quorum Not Met\n");
    answer(&t, bare("GET /get?key=k&format=json"), quorum, "{\"error\":\"Read Quorum Not Met\"}\n");
    answer(&t, bare("POST /delete?key=k"), quorum, "\r\n\r\nDelete Failed\n");
    answer(&t, with_body("PUT /PUT", put), quorum,
           "\r\n\r\ntoo few replicas answered; the write may or may not have happened\n");
    answer(&t, with_body("POST /kvstore", put), timeout,
           "504 Gateway Timeout\r\n" PLAIN "Content-Length: 60\r\n\r\n"
           "the deadline passed; the write may or may not have happened\n");
    talk_close(&t);
}

TEST(http_alias, a_batch_counts_its_failures) {
    const struct response responses[] = { { .outcome = OUT_OK },
                                          { .outcome = OUT_QUORUM },
                                          { .outcome = OUT_BUSY } };
    struct talk t;
    talk_open(&t);
    ask(&t,
        with_body("POST /batch", "{\"items\":[{\"key\":\"a\"},{\"key\":\"b\"},{\"key\":\"c\"}]}"));
    buffer_reset(&t.out);
    http_encode(&t.plan, responses, TALK_NOW_MS, &t.out);
    CHECK(talk_has(&t, "500 Internal Server Error\r\n" PLAIN));
    CHECK(talk_has(&t, "\r\n\r\nBatch finished with 2 failures\n"));
    buffer_reset(&t.out);
    http_encode_outcome(&t.plan, OUT_BUSY, false, &t.out);
    CHECK(talk_has(&t, "503 Service Unavailable\r\n" PLAIN));
    CHECK(talk_has(&t, "nothing was done, try again in a moment\n"));
    talk_close(&t);
}

TEST(http_alias, a_scan_is_one_object) {
    const struct row rows[] = { { .key = BYTES_LIT("a"), .value = BYTES_LIT("<1>") },
                                { .key = BYTES_LIT("b"), .value = BYTES_LIT("") } };
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /scan?end=z HTTP/1.0\r\n\r\n");
    buffer_reset(&t.out);
    http_encode_scan_begin(&t.plan, &t.out);
    http_encode_scan_rows(&t.plan, rows, 1, true, &t.out);
    http_encode_scan_rows(&t.plan, rows + 1, 1, false, &t.out);
    http_encode_scan_end(&t.plan, false, BYTES_NONE, &t.out);
    CHECK(talk_has(&t, "\r\n\r\n{\"a\":\"\\u003c1\\u003e\",\"b\":\"\"}\n"));

    /* A scan that breaks off must not look whole. */
    buffer_reset(&t.out);
    http_encode_scan_begin(&t.plan, &t.out);
    http_encode_scan_rows(&t.plan, rows, 1, true, &t.out);
    http_encode_outcome(&t.plan, OUT_QUORUM, true, &t.out);
    CHECK(talk_has(&t, "{\"a\":\"\\u003c1\\u003e\"\nerror: too few replicas answered\n"));
    talk_close(&t);
}

static void ask_node(struct talk *t, const char *text, const struct node_view *view) {
    CHECK_EQ(talk_send(t, bytes_of_string(text)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_NODE);
    http_encode_node(&t->plan, view, &t->out);
}

/* A call that adds or removes a member, answered as far as the view can. */
static void ask_admin(struct talk *t, const char *text, const struct node_view *view) {
    struct admin_reply reply;
    CHECK_EQ(talk_send(t, bytes_of_string(text)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_ADMIN);
    CHECK(admin_answer_from_view(t->plan.admin, view, &reply));
    http_encode_admin(&t->plan, &reply, &t->out);
}

TEST(http_alias, tells_of_the_members) {
    static const struct node_member members[] = {
        { .address = "127.0.0.1:8081", .weight = 1, .self = true, .alive = true },
        { .address = "10.0.0.2:8082", .weight = 2 },
    };
    static struct node_view view = { .address = "127.0.0.1:8081",
                                     .shards = 2,
                                     .shard_keys = { 3, 0 } };
    struct talk t;
    talk_open(&t);
    ask_node(&t, bare("GET /list-nodes"), &view);
    CHECK(talk_has(&t, PLAIN "Content-Length: 21\r\n\r\nnode: 127.0.0.1:8081\n"));
    ask_node(&t, bare("GET /dashboard"), &view);
    CHECK(talk_has(&t, JSON));
    CHECK(talk_has(&t, "\r\n\r\n{\"numReplicas\":1,\"numShards\":2,"
                       "\"shards\":[{\"numKeys\":3},{\"numKeys\":0}],\"cluster\":{\"nodes\":["));
    CHECK(talk_has(&t, ",\"metrics\":{\"reads\":0,"));

    view.cluster = (struct node_cluster){ .members_count = 2, .members = members, .replicas = 3 };
    ask_node(&t, bare("GET /list-nodes"), &view);
    CHECK(talk_has(&t, "\r\n\r\nnode: 127.0.0.1:8081\nnode: 10.0.0.2:8082\n"));
    ask_node(&t, bare("GET /dashboard"), &view);
    CHECK(talk_has(&t, "{\"numReplicas\":3,"));
    ask_admin(&t, bare("GET /add-node?address=10.0.0.2:8082"), &view);
    CHECK(talk_has(&t, PLAIN "Content-Length: 37\r\n\r\nnode 10.0.0.2:8082 added successfully"));
    ask_admin(&t, bare("POST /add-node?address=http://localhost:8081/"), &view);
    CHECK(talk_has(&t, "\r\n\r\nnode localhost:8081 added successfully"));
    ask_admin(&t, bare("GET /add-node?address=10.0.0.3:8082"), &view);
    CHECK(talk_has(&t, "202 Accepted"));
    CHECK(talk_has(&t, "atoll serve --listen 10.0.0.3:8082 --join 127.0.0.1:8081"));
    ask_admin(&t, with_body("POST /AddServer", "{\"url\":\"http://10.0.0.2:8082\",\"weight\":2}"),
              &view);
    CHECK(talk_has(&t, "200 OK\r\n" JSON "Content-Length: 0\r\n\r\n"));
    ask_admin(&t, with_body("POST /AddServer", "{\"URL\":\"10.0.0.2:8082\"}"), &view);
    CHECK(talk_has(&t, "200 OK"));
    talk_close(&t);
}

static void reply_as(struct talk *t, const char *text, enum admin_outcome outcome,
                     const char *line) {
    struct admin_reply reply;
    CHECK_EQ(talk_send(t, bytes_of_string(text)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_ADMIN);
    admin_reply_init(&reply, outcome);
    if (line != NULL) admin_reply_say(&reply, "%s", line);
    http_encode_admin(&t->plan, &reply, &t->out);
}

/* What the control plane answers, in the words of the older stores where they had any. */
TEST(http_alias, changes_members) {
    static const char add[] = "POST /AddServer", remove[] = "POST /RemoveServer";
    struct talk t;
    talk_open(&t);
    reply_as(&t, with_body(add, "{\"url\":\"http://H:80/\",\"weight\":9}"), ADMIN_DONE, NULL);
    CHECK_EQ(t.plan.admin->op, ADMIN_NODE_ADD);
    CHECK_EQ(t.plan.admin->weight, 9);
    CHECK_EQ(t.plan.admin->given, ADMIN_HAS_WEIGHT);
    CHECK(strcmp(t.plan.admin->address, "h:80") == 0);
    CHECK(talk_has(&t, "200 OK\r\n" JSON "Content-Length: 0\r\n\r\n"));
    reply_as(&t, with_body(remove, "{\"url\":\"http://h:80\"}"), ADMIN_DONE, NULL);
    CHECK_EQ(t.plan.admin->op, ADMIN_NODE_LEAVE);
    CHECK(talk_has(&t, "200 OK\r\n" JSON "Content-Length: 0\r\n\r\n"));
    reply_as(&t, bare("GET /remove-node?address=h:80"), ADMIN_DONE, NULL);
    CHECK_EQ(t.plan.admin->op, ADMIN_NODE_LEAVE);
    CHECK(talk_has(&t, "\r\n\r\nnode h:80 removed successfully"));
    reply_as(&t, bare("GET /add-node?address=h:80"), ADMIN_ACCEPTED, "start it");
    CHECK(talk_has(&t, "202 Accepted\r\n"));
    CHECK(talk_has(&t, "\r\n\r\nstart it\n"));
    reply_as(&t, bare("GET /remove-node?address=h:80"), ADMIN_AT_RISK, NULL);
    CHECK(talk_has(&t, "409 Conflict\r\n"));
    CHECK(talk_has(&t, "\r\n\r\ncopies would be lost; "));
    reply_as(&t, bare("GET /remove-node?address=h:80"), ADMIN_NO_NODE, NULL);
    CHECK(talk_has(&t, "404 Not Found\r\n"));
    reply_as(&t, bare("GET /remove-node?address=h:80"), ADMIN_NO_LEADER, NULL);
    CHECK(talk_has(&t, "503 Service Unavailable\r\n"));
    CHECK(talk_has(&t, "Retry-After: 1\r\n"));
    SAYS("GET /add-node?address=h", "400 Bad Request", "the address must be HOST:PORT\n");
    SAYS("GET /remove-node?address=h:0", "400 Bad Request", "the address must be HOST:PORT\n");
    SAYS_TO("POST /AddServer", "{\"url\":\"h:1\",\"weight\":1000001}", "400 Bad Request",
            "a weight is at most 1000000\n");
    talk_close(&t);
}
