/* Health, readiness and the cluster as a client sees them. */
#include "http_test_support.h"

#include <jansson.h>

static void ask(struct talk *t, const char *line, const struct node_view *view) {
    char request[200];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\n" H "\r\n", line);
    CHECK_EQ(talk_send(t, bytes_of_string(request)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_NODE);
    http_encode_node(&t->plan, view, &t->out);
}

TEST(http_node, tells_how_it_is) {
    static struct node_view view = { .version = "0.1",
                                     .address = "127.0.0.1:8080",
                                     .node_id = 7,
                                     .boot_count = 2,
                                     .shards = 4,
                                     .total = { .records = 7,
                                                .tombstones = 2,
                                                .memtable_bytes = 100,
                                                .level_bytes = { 0, 1000 } },
                                     .ready = true };
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /health", &view);
    CHECK_BYTES(buffer_bytes(&t.out),
                BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "X-Content-Type-Options: nosniff\r\nContent-Length: 2\r\n\r\nOK"));
    ask(&t, "GET /ready", &view);
    CHECK(talk_has(&t, "200 OK"));
    CHECK(talk_has(&t, "{\"ready\":true,\"state\":\"ready\",\"disk_full\":false}\n"));
    ask(&t, "HEAD /ready", &view);
    CHECK(talk_has(&t, "Content-Length: 49\r\n\r\n"));
    CHECK(strstr(talk_text(&t), "state") == NULL);
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "{\"nodes\":[{\"id\":7,\"address\":\"127.0.0.1:8080\",\"self\":true,"
                       "\"state\":\"ready\""));
    CHECK(talk_has(&t, "],\"leader\":7,\"leader_address\":\"127.0.0.1:8080\",\"epoch\":1,"
                       "\"change\":null,\"replicas\":1,\"write_quorum\":1,\"read_quorum\":1,"
                       "\"slots\":16384,\"slot_replicas\":1,\"slot_replicas_next\":null,"
                       "\"proxy\":false,\"filled\":true,\"cluster_id\":null,"
                       "\"term\":0,\"revision\":0,\"stage\":\"alone\"}\n"));
    CHECK(talk_has(&t, "\"membership\":\"active\",\"alive\":true,\"voter\":true,\"keys\":5,"
                       "\"bytes\":1100,\"shards\":4,"));
    CHECK(talk_has(&t, "\"slots_owned\":16384,\"slots_kept\":16384,\"node_id\":7,"
                       "\"boot_count\":2,"));
    view.ready = false;
    view.cluster.none = true;
    ask(&t, "GET /ready", &view);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    CHECK(talk_has(&t, "{\"ready\":false,\"state\":\"no_cluster\""));
    view.stopping = true;
    ask(&t, "GET /ready", &view);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    CHECK(talk_has(&t, "\"state\":\"stopping\""));
    talk_close(&t);
}

static const struct node_member members[] = {
    { .address = "10.0.0.1:8080",
      .id = 11,
      .node_id = 101,
      .boot_count = 3,
      .weight = 1,
      .slots_owned = 8192,
      .slots_kept = 16384,
      .self = true,
      .alive = true },
    { .address = "[::2]:8080",
      .id = 4000000000,
      .node_id = 102,
      .boot_count = 1,
      .weight = 2,
      .zone = 5,
      .slots_owned = 8192,
      .slots_kept = 16384,
      .latency_us = 250,
      .clock_ahead_ms = -40,
      .hints_waiting = 12 },
};

static struct node_view clustered(void) {
    return (struct node_view){ .version = "0.1",
                               .address = "0.0.0.0:8080",
                               .node_id = 101,
                               .boot_count = 3,
                               .shards = 4,
                               .ready = true,
                               .cluster = { .members_count = 2,
                                            .members = members,
                                            .stage = NODE_STAGE_MEMBER,
                                            .replicas = 3,
                                            .write_quorum = 2,
                                            .read_quorum = 1,
                                            .slot_replicas = 4,
                                            .filled = true,
                                            .epoch = 6 } };
}

/* The members of a cluster, each as this node sees it. */
TEST(http_node, tells_who_is_in_the_cluster) {
    struct node_view view = clustered();
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /v1/cluster", &view);
    json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    CHECK_EQ(json_array_size(json_object_get(json, "nodes")), 2);
    json_decref(json);
    CHECK(talk_has(&t, "{\"nodes\":[{\"id\":11,\"address\":\"10.0.0.1:8080\",\"self\":true,"
                       "\"state\":\"up\",\"weight\":1,\"zone\":0,\"slots_owned\":8192,"
                       "\"slots_kept\":16384,\"node_id\":101,\"boot_count\":3,\"latency_us\":0,"
                       "\"clock_ahead_ms\":0,\"hints_waiting\":0,\"membership\":\"active\","
                       "\"alive\":true,\"voter\":false,\"keys\":0,\"bytes\":0,\"shards\":4,"));
    CHECK(talk_has(&t, "{\"id\":4000000000,\"address\":\"[::2]:8080\",\"self\":false,"
                       "\"state\":\"down\",\"weight\":2,\"zone\":5,\"slots_owned\":8192,"
                       "\"slots_kept\":16384,\"node_id\":102,\"boot_count\":1,\"latency_us\":250,"
                       "\"clock_ahead_ms\":-40,\"hints_waiting\":12,\"membership\":\"active\","
                       "\"alive\":false,\"voter\":false,\"keys\":null,\"bytes\":null}],"
                       "\"leader\":null,\"leader_address\":null,\"epoch\":6,"
                       "\"change\":null,\"replicas\":3,\"write_quorum\":2,\"read_quorum\":1,"
                       "\"slots\":16384,\"slot_replicas\":4,\"slot_replicas_next\":null,"
                       "\"proxy\":false,\"filled\":true,\"cluster_id\":null,"
                       "\"term\":0,\"revision\":0,\"stage\":\"member\"}\n"));
    view.cluster.slot_replicas_next = 7;
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "\"slot_replicas\":4,\"slot_replicas_next\":7,"));
    view.cluster.filled = false;
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "\"filled\":false,"));
    talk_close(&t);
}

/* What the members have agreed on, and a change under way. */
TEST(http_node, tells_of_a_change) {
    struct node_view view = clustered();
    struct node_member two[2] = { members[0], members[1] };
    struct talk t;
    talk_open(&t);
    two[0].voter = true;
    two[1].standing = NODE_LEAVING;
    two[1].holdings_known = true;
    two[1].keys = 12;
    two[1].bytes = 3456;
    view.cluster.members = two;
    view.cluster.stage = NODE_STAGE_MEMBER;
    view.cluster.cluster_id = "00112233445566778899aabbccddeeff";
    view.cluster.leader = 11;
    view.cluster.term = 3;
    view.cluster.revision = 40;
    view.cluster.change = (struct node_change){ .id = 9,
                                                .reason = "leave",
                                                .slots_total = 8192,
                                                .slots_joint = 100,
                                                .slots_done = 4000,
                                                .bytes_done = 5,
                                                .bytes_total = NODE_UNKNOWN,
                                                .rate_bytes_s = 6,
                                                .eta_ms = NODE_UNKNOWN,
                                                .throttle = 7,
                                                .paused = true,
                                                .started_ms = 8,
                                                .waits_count = 2,
                                                .waits_for = { 11, 4000000000 } };
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "\"membership\":\"leaving\",\"alive\":false,\"voter\":false,\"keys\":12,"
                       "\"bytes\":3456}],\"leader\":11,\"leader_address\":\"10.0.0.1:8080\","
                       "\"epoch\":6,\"change\":{\"id\":9,\"reason\":\"leave\","
                       "\"slots_total\":8192,\"slots_joint\":100,\"slots_done\":4000,"
                       "\"bytes_done\":5,\"bytes_total\":null,\"rate_bytes_s\":6,\"eta_ms\":null,"
                       "\"throttle\":7,\"paused\":true,\"started_ms\":8,"
                       "\"waits_for\":[11,4000000000]},\"replicas\":3,"));
    CHECK(talk_has(&t, "\"cluster_id\":\"00112233445566778899aabbccddeeff\",\"term\":3,"
                       "\"revision\":40,\"stage\":\"member\"}\n"));
    json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    json_decref(json);
    /* A leader that is no member any more has no address. */
    view.cluster.leader = 12;
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "\"leader\":12,\"leader_address\":null,"));
    talk_close(&t);
}

/* A proxy to one node is not that node. */
TEST(http_node, tells_a_proxy_from_its_only_member) {
    struct node_view view = clustered();
    struct node_member only = members[1];
    struct talk t;
    talk_open(&t);
    view.cluster.members = &only;
    view.cluster.members_count = 1;
    view.cluster.proxy = true;
    view.node_id = 0;
    ask(&t, "GET /v1/cluster", &view);
    CHECK(talk_has(&t, "{\"nodes\":[{\"id\":4000000000,"));
    CHECK(talk_has(&t, "\"leader\":null,"));
    CHECK(talk_has(&t, "\"proxy\":true,"));
    CHECK(strstr(talk_text(&t), "\"self\":true") == NULL);
    talk_close(&t);
}

/* The two settings that may change while a node runs: the body is the value, the reply shows
 * both. */
TEST(http_node, settings) {
    const struct node_view view = { .log_level = "warn", .slow_ns = 1500000 };
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /v1/node/log-level", &view);
    CHECK_EQ(t.plan.topic, NODE_SETTINGS);
    CHECK(talk_has(&t, "{\"log_level\":\"warn\",\"slow_ms\":1.500000}\n"));
    CHECK_EQ(talk_send(&t, BYTES_LIT("PUT /v1/node/log-level HTTP/1.1\r\n" H
                                     "Content-Length: 6\r\n\r\ndebug\n")),
             ST_OK);
    CHECK_EQ(t.plan.topic, NODE_SET);
    CHECK_EQ(node_settings_level(t.plan.detail_number), 0);
    CHECK_EQ(node_settings_slow(t.plan.detail_number), UINT64_MAX);
    CHECK_EQ(talk_send(&t, BYTES_LIT("PUT /v1/node/slow-ms HTTP/1.1\r\n" H
                                     "Content-Length: 3\r\n\r\n250")),
             ST_OK);
    CHECK_EQ(t.plan.topic, NODE_SET);
    CHECK_EQ(node_settings_level(t.plan.detail_number), -1);
    CHECK_EQ(node_settings_slow(t.plan.detail_number), 250000000);
    talk_close(&t);
}

static void refuses(const char *path, const char *body, const char *code) {
    char request[200];
    struct talk t;
    talk_open(&t);
    snprintf(request, sizeof request, "PUT %s HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n%s", path,
             strlen(body), body);
    CHECK_EQ(talk_send(&t, bytes_of_string(request)), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_REPLIED);
    CHECK(talk_has(&t, "400 Bad Request"));
    CHECK(talk_has(&t, code));
    talk_close(&t);
}

TEST(http_node, refuses_bad_settings) {
    refuses("/v1/node/log-level", "", "\"bad_log_level\"");
    refuses("/v1/node/log-level", "notice", "\"bad_log_level\"");
    refuses("/v1/node/slow-ms", "", "\"bad_slow_ms\"");
    refuses("/v1/node/slow-ms", "-1", "\"bad_slow_ms\"");
    refuses("/v1/node/slow-ms", "18446744073709551615", "\"bad_slow_ms\"");
    refuses("/v1/node/slow-ms?x=1", "5", "\"unknown_parameter\"");
}
