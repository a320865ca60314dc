/* The paths of an operator: every request they take, every one they refuse, every answer. */
#include "http_test_support.h"

#include <jansson.h>

static bool send(struct talk *t, const char *line, const char *headers, const char *body) {
    char request[2048];
    const int len =
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n" H "%sContent-Length: %zu\r\n\r\n%s",
                 line, headers, strlen(body), body);
    CHECK(len > 0 && (size_t)len < sizeof request);
    CHECK_EQ(talk_send(t, bytes_of_string(request)), ST_OK);
    return t->plan.kind == PLAN_ADMIN;
}

/* What becomes of a request, as one line. */
static const char *print(const struct admin_request *q, char text[512]) {
    static const char *const of[] = { "now", "join", "leave", "weight", "replicas" };
    CHECK(admin_request_check(q));
    snprintf(text, 512,
             "%s given=%x node=%u address=%s weight=%u zone=%u rate=%llu of=%s "
             "keyspace=%s %u/%u/%u %s ttl=%llu presence=%u%s%s",
             admin_op_name(q->op), q->given, q->node, q->address, q->weight, q->zone,
             (unsigned long long)q->bytes_per_second, of[q->plan_of], q->keyspace, q->replicas,
             q->write_quorum, q->read_quorum, q->discipline == ADMIN_STRICT ? "strict" : "eventual",
             (unsigned long long)q->ttl_ms, q->presence, q->accept_loss ? " accept_loss" : "",
             q->dry_run ? " dry_run" : "");
    return text;
}

static const struct {
    const char *line, *headers, *body, *part[3];
} taken[] = {
    { "POST /v1/cluster/nodes",
      "",
      "{\"address\":\"H:80\"}",
      { "node_add given=0 ", "address=h:80 " } },
    { "POST /v1/cluster/nodes?dry_run=1",
      "",
      " {\"address\":\"[::1]:80\",\"weight\":1000000,\"zone\":4294967295}\n",
      { "given=3 ", "address=[::1]:80 weight=1000000 zone=4294967295 ", " dry_run" } },
    { "DELETE /v1/cluster/nodes/7", "", "", { "node_leave given=0 node=7 address= " } },
    { "DELETE /v1/cluster/nodes/10.0.0.1%3A80?force=false",
      "",
      "",
      { "node_leave ", "node=0 address=10.0.0.1:80 " } },
    { "DELETE /v1/cluster/nodes/10.0.0.1:80?force=true&accept_loss=true",
      "",
      "ignored",
      { "node_remove ", "address=10.0.0.1:80 ", " accept_loss" } },
    { "PATCH /v1/cluster/nodes/4000000000",
      "",
      "{\"weight\":3}",
      { "node_weight given=1 node=4000000000 ", "weight=3 " } },
    { "PUT /v1/cluster/nodes/1", "", "{\"weight\":1}", { "node_weight given=1 node=1 " } },
    { "POST /v1/cluster/leader", "", "{\"node\":3}", { "leader given=0 node=3 " } },
    { "POST /v1/cluster/leader", "", "{\"node\":\"3\"}", { "node=3 " } },
    { "POST /v1/cluster/leader", "", "{\"node\":\"h:3\"}", { "node=0 address=h:3 " } },
    { "PUT /v1/cluster/replicas", "", "{\"replicas\":5}", { "replicas given=4 ", " 5/0/0 " } },
    { "PUT /v1/cluster/replicas?dry_run=true",
      "",
      "{\"replicas\":1}",
      { "replicas given=4 ", " 1/0/0 ", " dry_run" } },
    { "GET /v1/cluster/plan?replicas=7", "", "", { "plan given=4 ", " 7/0/0 ", "of=replicas" } },
    { "GET /v1/cluster/plan", "", "", { "plan given=0 ", "of=now" } },
    { "HEAD /v1/cluster/plan", "", "", { "plan given=0 ", "of=now" } },
    { "GET /v1/cluster/plan?join=h:1&weight=2&zone=3&bytes_per_second=4",
      "",
      "",
      { "given=83 ", "address=h:1 weight=2 zone=3 rate=4 of=join" } },
    { "GET /v1/cluster/plan?leave=9", "", "", { "node=9 ", "of=leave" } },
    { "GET /v1/cluster/plan?node=h:9&weight=5", "", "", { "address=h:9 weight=5 ", "of=weight" } },
    { "POST /v1/cluster/change", "", "{\"action\":\"pause\"}", { "change_pause " } },
    { "POST /v1/cluster/change", "", "{\"action\":\"resume\"}", { "change_resume " } },
    { "POST /v1/cluster/change", "", "{\"action\":\"cancel\"}", { "change_cancel " } },
    { "POST /v1/cluster/change",
      "",
      "{\"action\":\"throttle\",\"bytes_per_second\":1048576}",
      { "change_throttle given=80 ", "rate=1048576 " } },
    { "POST /v1/cluster/change",
      "",
      "{\"bytes_per_second\":0,\"action\":\"throttle\"}",
      { "change_throttle given=80 ", "rate=0 " } },
    { "GET /v1/keyspaces", "", "", { "keyspace_list " } },
    { "GET /v1/keyspaces/a_b-9", "", "", { "keyspace_get ", "keyspace=a_b-9 " } },
    { "HEAD /v1/keyspaces/a", "", "", { "keyspace_get " } },
    { "PUT /v1/keyspaces/k", "", "", { "keyspace_put given=0 ", "presence=0" } },
    { "PUT /v1/keyspaces/k", "If-None-Match: *\r\n", "{}", { "keyspace_put ", "presence=1" } },
    { "PUT /v1/keyspaces/k",
      "If-Match: *\r\n",
      "{\"replicas\":5,\"write_quorum\":4,\"read_quorum\":\"majority\",\"ttl\":\"90s\"}",
      { "given=5c ", "5/4/0 eventual ttl=90000 presence=2" } },
    { "PUT /v1/keyspaces/k",
      "",
      "{\"discipline\":\"strict\",\"replicas\":3}",
      { "given=24 ", "3/0/0 strict" } },
    { "PUT /v1/keyspaces/k", "", "{\"ttl\":1.5}", { "given=40 ", "ttl=1500 " } },
    { "PUT /v1/keyspaces/k", "", "{\"ttl\":\"none\"}", { "given=40 ", "ttl=0 " } },
    { "DELETE /v1/keyspaces/k", "If-Match: *\r\n", "", { "keyspace_drop ", "presence=2" } },
    { "DELETE /v1/keyspaces/k?dry_run=true", "", "", { "keyspace_drop ", " dry_run" } },
};

TEST(http_admin, takes) {
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char text[512];
        if (!send(&t, taken[i].line, taken[i].headers, taken[i].body))
            printf("row %zu: %s\n", i, talk_text(&t));
        CHECK_EQ(t.plan.kind, PLAN_ADMIN);
        CHECK_EQ(t.plan.detail_number, t.plan.admin->op);
        CHECK_EQ(buffer_len(&t.out), 0);
        print(t.plan.admin, text);
        for (size_t j = 0; j < 3 && taken[i].part[j] != NULL; j++) {
            if (strstr(text, taken[i].part[j]) == NULL) printf("row %zu: %s\n", i, text);
            CHECK(strstr(text, taken[i].part[j]) != NULL);
        }
    }
    talk_close(&t);
}

#define NODES "POST /v1/cluster/nodes"
#define NODE "PUT /v1/cluster/nodes/1"
#define CHANGE "POST /v1/cluster/change"
#define KEYSPACE "PUT /v1/keyspaces/k"

static const struct {
    const char *line, *body, *code;
} refused[] = {
    /* bodies */
    { NODES, "", "missing_field" },
    { NODES, " \n", "missing_field" },
    { NODES, "{}", "missing_field" },
    { NODES, "{\"weight\":1}", "missing_field" },
    { NODES, "x", "bad_json" },
    { NODES, "{", "bad_json" },
    { NODES, "{\"address\":\"h:1\"}}", "bad_json" },
    { NODES, "[]", "bad_json" },
    { NODES, "7", "bad_json" },
    { NODES, "null", "bad_json" },
    { NODES, "\"h:1\"", "bad_json" },
    { NODES, "{\"address\":\"h:1\",\"address\":\"h:2\"}", "bad_json" },
    { NODES, "{\"address\":\"h:1\",\"weight\":NaN}", "bad_json" },
    { NODES, "{\"address\":\"h:1\",\"weight\":Infinity}", "bad_json" },
    { NODES, "{\"address\":\"h:1\",\"weight\":99999999999999999999}", "bad_json" },
    { NODES, "{\"address\":\"\xff:1\"}", "bad_json" },
    { NODES, "{\"address\":[[[[[1]]]]]}", "bad_json" },
    { NODES, "{\"address\":\"h:1\",\"wait\":1}", "unknown_field" },
    { NODES, "{\"address\":\"h:1\",\"node\":1}", "unknown_field" },
    { NODES, "{\"address\":\"h:1\",\"\":1}", "unknown_field" },
    /* values */
    { NODES, "{\"address\":\"h\"}", "bad_address" },
    { NODES, "{\"address\":\"\"}", "bad_address" },
    { NODES, "{\"address\":\"http://h:1\"}", "bad_address" },
    { NODES, "{\"address\":7}", "bad_address" },
    { NODES, "{\"address\":null}", "bad_address" },
    { NODES, "{\"address\":{\"address\":\"h:1\"}}", "bad_address" },
    { NODES, "{\"address\":[\"h:1\"]}", "bad_address" },
    { NODES, "{\"address\":\"h:1\\u0000\"}", "bad_address" },
    { NODES, "{\"address\":\"h:1\",\"weight\":0}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":-1}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":1000001}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":1e9}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":1e300}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":1.0}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":\"1\"}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":true}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"weight\":null}", "bad_weight" },
    { NODES, "{\"address\":\"h:1\",\"zone\":-1}", "bad_zone" },
    { NODES, "{\"address\":\"h:1\",\"zone\":4294967296}", "bad_zone" },
    { NODE, "", "missing_field" },
    { NODE, "{\"weight\":-9223372036854775808}", "bad_weight" },
    { NODE, "{\"zone\":1}", "unknown_field" },
    { "PUT /v1/cluster/nodes/", "{\"weight\":1}", "bad_node" },
    { "PUT /v1/cluster/nodes/0", "{\"weight\":1}", "bad_node" },
    { "PUT /v1/cluster/nodes/x", "{\"weight\":1}", "bad_node" },
    { "PUT /v1/cluster/nodes/1/2", "{\"weight\":1}", "bad_node" },
    { "PUT /v1/cluster/nodes/%zz", "{\"weight\":1}", "bad_escape" },
    { "PUT /v1/cluster/nodes/4294967296", "{\"weight\":1}", "bad_node" },
    { "DELETE /v1/cluster/nodes/1?force=yes", "", "bad_force" },
    { "DELETE /v1/cluster/nodes/1?force", "", "bad_force" },
    { "DELETE /v1/cluster/nodes/1?accept_loss=2", "", "bad_accept_loss" },
    { "DELETE /v1/cluster/nodes/1?force=1&force=1", "", "repeated_parameter" },
    { "DELETE /v1/cluster/nodes/1?weight=1", "", "unknown_parameter" },
    { "DELETE /v1/cluster/nodes/1?force=%zz", "", "bad_escape" },
    { "POST /v1/cluster/leader", "{}", "missing_field" },
    { "POST /v1/cluster/leader", "{\"node\":0}", "bad_node" },
    { "POST /v1/cluster/leader", "{\"node\":-1}", "bad_node" },
    { "POST /v1/cluster/leader", "{\"node\":1.5}", "bad_node" },
    { "POST /v1/cluster/leader", "{\"node\":\"h\"}", "bad_node" },
    { "PUT /v1/cluster/replicas", "{}", "missing_field" },
    { "PUT /v1/cluster/replicas", "{\"replicas\":0}", "bad_replicas" },
    { "PUT /v1/cluster/replicas", "{\"replicas\":8}", "bad_replicas" },
    { "PUT /v1/cluster/replicas", "{\"replicas\":\"3\"}", "bad_replicas" },
    { "PUT /v1/cluster/replicas", "{\"replicas\":3,\"write_quorum\":2}", "unknown_field" },
    { "GET /v1/cluster/plan?replicas=8", "", "bad_replicas" },
    { "GET /v1/cluster/plan?replicas=5&leave=1", "", "bad_plan" },
    { "GET /v1/cluster/plan?join=h", "", "bad_join" },
    { "GET /v1/cluster/plan?leave=", "", "bad_leave" },
    { "GET /v1/cluster/plan?weight=5", "", "bad_plan" },
    { "GET /v1/cluster/plan?zone=5&leave=1", "", "bad_plan" },
    { "GET /v1/cluster/plan?leave=1&join=h:1", "", "bad_plan" },
    { "GET /v1/cluster/plan?node=1", "", "bad_plan" },
    { "GET /v1/cluster/plan?node=1&weight=0", "", "bad_weight" },
    { "GET /v1/cluster/plan?node=1&weight=NaN", "", "bad_weight" },
    { "GET /v1/cluster/plan?bytes_per_second=-1", "", "bad_bytes_per_second" },
    { "GET /v1/cluster/plan?bytes_per_second=1e9", "", "bad_bytes_per_second" },
    { CHANGE, "{\"action\":\"stop\"}", "bad_action" },
    { CHANGE, "{\"action\":\"\"}", "bad_action" },
    { CHANGE, "{\"action\":1}", "bad_action" },
    { CHANGE, "{\"bytes_per_second\":1}", "missing_field" },
    { CHANGE, "{\"action\":\"throttle\"}", "bad_bytes_per_second" },
    { CHANGE, "{\"action\":\"pause\",\"bytes_per_second\":1}", "bad_bytes_per_second" },
    { CHANGE, "{\"action\":\"throttle\",\"bytes_per_second\":-1}", "bad_bytes_per_second" },
    { CHANGE, "{\"action\":\"throttle\",\"bytes_per_second\":1099511627777}",
      "bad_bytes_per_second" },
    { CHANGE, "{\"action\":\"throttle\",\"bytes_per_second\":\"1M\"}", "bad_bytes_per_second" },
    { "GET /v1/keyspaces?a=b", "", "unknown_parameter" },
    { "GET /v1/keyspaces/", "", "bad_keyspace" },
    { "GET /v1/keyspaces/A", "", "bad_keyspace" },
    { "GET /v1/keyspaces/a/b", "", "bad_keyspace" },
    { "GET /v1/keyspaces/a%00", "", "bad_keyspace" },
    { KEYSPACE, "{\"replicas\":0}", "bad_replicas" },
    { KEYSPACE, "{\"replicas\":8}", "bad_replicas" },
    { KEYSPACE, "{\"write_quorum\":0}", "bad_write_quorum" },
    { KEYSPACE, "{\"read_quorum\":8}", "bad_read_quorum" },
    { KEYSPACE, "{\"read_quorum\":\"all\"}", "bad_read_quorum" },
    { KEYSPACE, "{\"replicas\":3,\"write_quorum\":4}", "bad_quorum" },
    { KEYSPACE, "{\"discipline\":\"strict\",\"write_quorum\":2}", "bad_quorum" },
    { KEYSPACE, "{\"discipline\":\"strong\"}", "bad_discipline" },
    { KEYSPACE, "{\"ttl\":0}", "bad_ttl" },
    { KEYSPACE, "{\"ttl\":-1}", "bad_ttl" },
    { KEYSPACE, "{\"ttl\":1e300}", "bad_ttl" },
    { KEYSPACE, "{\"ttl\":\"5 days\"}", "bad_ttl" },
    { KEYSPACE, "{\"name\":\"k\"}", "unknown_field" },
};

TEST(http_admin, refuses) {
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char code[64];
        snprintf(code, sizeof code, "{\"error\":{\"code\":\"%s\",\"message\":\"", refused[i].code);
        if (send(&t, refused[i].line, "", refused[i].body)) printf("row %zu was taken\n", i);
        CHECK_EQ(t.plan.kind, PLAN_REPLIED);
        if (!talk_has(&t, code)) printf("row %zu: %s %s\n", i, refused[i].line, refused[i].body);
        CHECK(talk_has(&t, code));
        CHECK(talk_has(&t, "400 Bad Request\r\n"));
        json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, 0, NULL);
        CHECK(json != NULL);
        json_decref(json);
    }
    /* Conditions that a keyspace does not know. */
    CHECK(!send(&t, KEYSPACE, "If-Match: \"1.1.1\"\r\n", "{}"));
    CHECK(talk_has(&t, "bad_condition"));
    CHECK(!send(&t, KEYSPACE, "If-Match: *\r\nIf-None-Match: *\r\n", "{}"));
    CHECK(talk_has(&t, "bad_condition"));
    CHECK(!send(&t, "DELETE /v1/keyspaces/k", "If-None-Match: *\r\n", ""));
    CHECK(talk_has(&t, "bad_condition"));
    talk_close(&t);
}

TEST(http_admin, methods_and_other_sites) {
    struct talk t;
    talk_open(&t);
    CHECK(!send(&t, "GET /v1/cluster/nodes", "", ""));
    CHECK(talk_has(&t, "405 Method Not Allowed\r\n"));
    CHECK(talk_has(&t, "Allow: POST, OPTIONS\r\n"));
    CHECK(!send(&t, "GET /v1/cluster/nodes/1", "", ""));
    CHECK(talk_has(&t, "Allow: PUT, PATCH, DELETE, OPTIONS\r\n"));
    CHECK(!send(&t, "OPTIONS /v1/keyspaces/k", "", ""));
    CHECK(talk_has(&t, "204 No Content\r\nAllow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"));
    CHECK(!send(&t, "GET /v1/cluster/other", "", ""));
    CHECK(talk_has(&t, "no_such_path"));
    CHECK(!send(&t, NODES, "Sec-Fetch-Site: cross-site\r\n", "{\"address\":\"h:1\"}"));
    CHECK(talk_has(&t, "403 Forbidden"));
    CHECK(!send(&t, NODE, "Origin: http://evil.example\r\n", "{\"weight\":1}"));
    CHECK(talk_has(&t, "other_site"));
    CHECK(!send(&t, "DELETE /v1/keyspaces/k", "Origin: null\r\n", ""));
    CHECK(talk_has(&t, "other_site"));
    CHECK(send(&t, "GET /v1/keyspaces", "Sec-Fetch-Site: cross-site\r\n", ""));
    /* A page of the node's own may. */
    CHECK(send(&t, NODE, "Origin: http://a\r\n", "{\"weight\":1}"));
    talk_close(&t);
}

/* The session outlives one request, and what one left is not seen by the next. */
TEST(http_admin, requests_do_not_mix) {
    struct talk t;
    talk_open(&t);
    CHECK(send(&t, NODES, "", "{\"address\":\"h:1\",\"weight\":5,\"zone\":2}"));
    CHECK(send(&t, "DELETE /v1/cluster/nodes/3", "", ""));
    CHECK_EQ(t.plan.admin->given, 0);
    CHECK_EQ(t.plan.admin->address[0], '\0');
    CHECK(!send(&t, NODES, "", "{\"weight\":5}"));
    CHECK(send(&t, NODES, "", "{\"address\":\"h:2\"}"));
    CHECK_EQ(t.plan.admin->weight, 0);
    talk_close(&t);
}

static const char *answer(struct talk *t, const struct admin_reply *r) {
    buffer_reset(&t->out);
    http_encode_admin(&t->plan, r, &t->out);
    json_t *json = json_loads(strstr(talk_text(t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    json_decref(json);
    return talk_text(t);
}

TEST(http_admin, answers) {
    static const struct admin_plan_node nodes[] = {
        { .id = 3,
          .address = "a:1",
          .weight = 2,
          .owned_before = 10,
          .owned_after = 5,
          .kept_before = 20,
          .kept_after = 15,
          .bytes_in = 0,
          .bytes_out = 100 },
        { .address = "b:1",
          .weight = 1,
          .owned_after = 5,
          .kept_after = 5,
          .bytes_in = NODE_UNKNOWN,
          .bytes_out = NODE_UNKNOWN },
    };
    struct admin_reply r;
    struct talk t;
    talk_open(&t);
    CHECK(send(&t, "DELETE /v1/cluster/nodes/3", "", ""));
    admin_reply_init(&r, ADMIN_ACCEPTED);
    r.node = 3;
    r.address = "a:1";
    r.epoch = 8;
    r.change = 4;
    r.has_plan = true;
    r.plan = (struct admin_plan){ .slots_changed = 16384,
                                  .owners_moved = 5,
                                  .copies_moved = 6,
                                  .copies_least = 5,
                                  .bytes = 700,
                                  .rate_bytes_s = 70,
                                  .time_ms = 10000,
                                  .nodes_count = 2,
                                  .nodes = nodes };
    answer(&t, &r);
    CHECK(talk_has(&t, "202 Accepted\r\n"));
    CHECK(talk_has(&t,
                   "{\"status\":\"accepted\",\"message\":\"begun\",\"node\":3,\"address\":\"a:1\","
                   "\"epoch\":8,\"change\":4,\"plan\":{\"slots_changed\":16384,\"owners_moved\":5,"
                   "\"copies_moved\":6,\"copies_least\":5,\"bytes\":700,\"bytes_per_second\":70,"
                   "\"time_ms\":10000,\"nodes\":[{\"id\":3,\"address\":\"a:1\",\"weight\":2,"
                   "\"owned_before\":10,\"owned_after\":5,\"kept_before\":20,\"kept_after\":15,"
                   "\"bytes_in\":0,\"bytes_out\":100},\n{\"id\":null,\"address\":\"b:1\","));
    CHECK(talk_has(&t, "\"bytes_in\":null,\"bytes_out\":null}]}}\n"));
    admin_reply_init(&r, ADMIN_AT_RISK);
    r.code = "below_n";
    r.has_risk = true;
    r.risk = (struct admin_risk){ .slots_short = 12, .slots_lost = 3 };
    admin_reply_say(&r, "two \"copies\" only\xff");
    answer(&t, &r);
    CHECK(talk_has(&t, "409 Conflict\r\n"));
    CHECK(talk_has(&t, "{\"error\":{\"code\":\"below_n\",\"message\":\"two \\\"copies\\\" only?\"},"
                       "\"at_risk\":{\"slots_short\":12,\"slots_lost\":3}}\n"));
    admin_reply_init(&r, ADMIN_TIMEOUT);
    answer(&t, &r);
    CHECK(talk_has(&t, "504 Gateway Timeout\r\n"));
    CHECK(talk_has(&t, ",\"outcome\":\"maybe\"}}\n"));
    admin_reply_init(&r, ADMIN_NO_LEADER);
    answer(&t, &r);
    CHECK(talk_has(&t, "503 Service Unavailable\r\n"));
    CHECK(talk_has(&t, "Retry-After: 1\r\n"));
    talk_close(&t);
}

TEST(http_admin, answers_about_keyspaces) {
    static const struct admin_keyspace two[] = {
        { .name = "default", .replicas = 3 },
        { .name = "k",
          .id = 1,
          .replicas = 5,
          .write_quorum = 4,
          .read_quorum = 2,
          .discipline = ADMIN_STRICT,
          .ttl_ms = 90000 },
    };
    struct admin_reply r;
    struct talk t;
    talk_open(&t);
    CHECK(send(&t, "GET /v1/keyspaces", "", ""));
    admin_reply_init(&r, ADMIN_DONE);
    r.keyspaces_count = 2;
    r.keyspaces = two;
    answer(&t, &r);
    CHECK(talk_has(&t, "{\"keyspaces\":[{\"name\":\"default\",\"id\":0,\"replicas\":3,"
                       "\"write_quorum\":\"majority\",\"read_quorum\":\"majority\","
                       "\"discipline\":\"eventual\",\"ttl_ms\":null},\n{\"name\":\"k\",\"id\":1,"
                       "\"replicas\":5,\"write_quorum\":4,\"read_quorum\":2,"
                       "\"discipline\":\"strict\",\"ttl_ms\":90000}]}\n"));
    r.keyspaces_count = 1;
    CHECK(send(&t, "GET /v1/keyspaces/default", "", ""));
    answer(&t, &r);
    CHECK(talk_has(&t, "\r\n\r\n{\"name\":\"default\","));
    CHECK(send(&t, KEYSPACE, "", "{}"));
    r.outcome = ADMIN_CREATED;
    answer(&t, &r);
    CHECK(talk_has(&t, "201 Created\r\n"));
    CHECK(talk_has(&t, "{\"status\":\"created\",\"message\":\"created\",\"keyspace\":{\"name\":"));
    CHECK(send(&t, "HEAD /v1/keyspaces", "", ""));
    r.outcome = ADMIN_DONE;
    buffer_reset(&t.out);
    http_encode_admin(&t.plan, &r, &t.out);
    CHECK(talk_has(&t, "200 OK\r\n"));
    CHECK(strstr(talk_text(&t), "default") == NULL);
    admin_reply_init(&r, ADMIN_CONDITION);
    CHECK(send(&t, KEYSPACE, "If-None-Match: *\r\n", "{}"));
    answer(&t, &r);
    CHECK(talk_has(&t, "412 Precondition Failed\r\n"));
    talk_close(&t);
}
