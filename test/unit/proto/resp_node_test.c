/* What the node tells of itself: HELLO, INFO, CONFIG GET, CLIENT, CLUSTER and COMMAND. */
#include "test/unit/proto/resp_session.h"

#include <stdio.h>

static const struct config_row config[] = {
    { "port", "7000", "flag", "port to listen on" },
    { "sync", "always", "default", "when writes are acknowledged" },
};

static struct node_view view = {
    .version = "9.8.7",
    .address = "[::1]:7000",
    .node_id = 0x2a,
    .port = 7000,
    .now_ms = SESSION_NOW_MS,
    .started_ms = SESSION_NOW_MS - 100000,
    .data_dir = "/data",
    .sync_mode = "always",
    .ready = true,
    .config = config,
    .config_count = 2,
    .log_level = "info",
    .slow_ns = 100000000,
    .client_id = 77,
    .client_address = "127.0.0.1:5",
    .client_name = "me",
    .resident_bytes = 3 << 20,
};

static void ask(struct session *s, const char *line, const char *reply) {
    session_send(s, line);
    CHECK_EQ(s->plan.kind, PLAN_NODE);
    resp_encode_node(&s->plan, &view, &s->out);
    if (reply != NULL) session_expect(s, reply);
}

static bool says(struct session *s, const char *text) {
    const struct bytes all = buffer_bytes(&s->out);
    return memmem(all.ptr, all.len, text, strlen(text)) != NULL;
}

TEST(resp_node, hello) {
    struct session s;
    session_open(&s);
    ask(&s, "HELLO",
        "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n"
        "$2\r\nid\r\n:77\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        "$7\r\nmodules\r\n*0\r\n");
    ask(&s, "HELLO 3", NULL);
    CHECK(says(&s, "%7\r\n$6\r\nserver"));
    CHECK(says(&s, "proto\r\n:3\r\n"));
    session_close(&s);
}

TEST(resp_node, info) {
    struct session s;
    session_open(&s);
    ask(&s, "INFO", NULL);
    CHECK(says(&s, "\r\n# Server\r\nredis_version:7.0.15\r\nserver_name:atoll\r\n"));
    CHECK(says(&s, "\r\natoll_version:9.8.7\r\n"));
    CHECK(says(&s, "\r\nuptime_in_seconds:100\r\n"));
    CHECK(says(&s, "\r\nused_memory_rss_human:3.00M\r\n"));
    CHECK(says(&s, "\r\nrole:master\r\n"));
    CHECK(says(&s, "\r\nredis_mode:standalone\r\n"));
    CHECK(says(&s, "\r\nreplicas:1\r\nwrite_quorum:1\r\nread_quorum:1\r\n"));
    CHECK(says(&s, "\r\nlevel6:tables=0,bytes=0\r\n"));
    CHECK(!says(&s, "db0:"));
    buffer_reset(&s.out);
    view.total.records = 5;
    view.total.tombstones = 2;
    ask(&s, "INFO keyspace cluster",
        "$68\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"
        "# Keyspace\r\ndb0:keys=3,estimated=1\r\n\r\n");
    view.total.records = view.total.tombstones = 0;
    ask(&s, "INFO nosuch", "$0\r\n\r\n");
    session_send(&s, "HELLO 3");
    ask(&s, "INFO cluster", "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
    session_close(&s);
}

TEST(resp_node, config) {
    struct session s;
    session_open(&s);
    ask(&s, "CONFIG GET PORT", "*2\r\n$4\r\nport\r\n$4\r\n7000\r\n");
    ask(&s, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    ask(&s, "CONFIG GET nosuch", "*0\r\n");
    ask(&s, "CONFIG GET s[ay]* appendonly sync",
        "*6\r\n$4\r\nsync\r\n$6\r\nalways\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$4\r\nsave\r\n"
        "$0\r\n\r\n");
    session_send(&s, "HELLO 3");
    ask(&s, "CONFIG GET save", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n");
    session_close(&s);
}

TEST(resp_node, client) {
    struct session s;
    session_open(&s);
    ask(&s, "CLIENT ID", ":77\r\n");
    ask(&s, "CLIENT INFO", NULL);
    CHECK(says(&s, "\r\nid=77 addr=127.0.0.1:5 "));
    CHECK(says(&s, " name=me "));
    buffer_reset(&s.out);
    ask(&s, "CLIENT LIST", NULL);
    CHECK(says(&s, "id=77 "));
    session_close(&s);
}

#define ID "000000000000000000000000000000000000002a"

TEST(resp_node, cluster) {
    struct session s;
    session_open(&s);
    ask(&s, "CLUSTER SLOTS",
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$3\r\n::1\r\n:7000\r\n$40\r\n" ID "\r\n*0\r\n");
    ask(&s, "CLUSTER MYID", "$40\r\n" ID "\r\n");
    ask(&s, "CLUSTER NODES",
        "$92\r\n" ID " ::1:7000@0 myself,master - 0 0 1 connected 0-16383\n\r\n");
    ask(&s, "CLUSTER INFO", NULL);
    CHECK(says(&s, "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"));
    buffer_reset(&s.out);
    ask(&s, "CLUSTER SHARDS", NULL);
    CHECK(
        says(&s, "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*14\r\n"));
    buffer_reset(&s.out);
    view.address = "0.0.0.0:7000";
    ask(&s, "CLUSTER SLOTS",
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$0\r\n\r\n:7000\r\n$40\r\n" ID "\r\n*0\r\n");
    view.address = "[::1]:7000";
    session_close(&s);
}

/* Skip one RESP element; returns what follows, NULL if it is malformed. */
static const uint8_t *skip_element(const uint8_t *p, const uint8_t *end) {
    if (p == NULL || end - p < 4) return NULL;
    const uint8_t *const line_end = memmem(p, (size_t)(end - p), "\r\n", 2);
    int64_t count = 0;
    if (line_end == NULL) return NULL;
    const uint8_t type = *p;
    if (strchr("+-:_", type) != NULL) return line_end + 2;
    if (!status_ok(bytes_to_i64(bytes_of(p + 1, (size_t)(line_end - p - 1)), &count))) return NULL;
    p = line_end + 2;
    if (count < 0) return p;
    if (type == '$' || type == '=') return end - p >= count + 2 ? p + count + 2 : NULL;
    if (strchr("*%~", type) == NULL) return NULL;
    for (int64_t i = 0; i < (type == '%' ? 2 * count : count); i++) p = skip_element(p, end);
    return p;
}

TEST(resp_node, commands_are_well_formed) {
    static const char *const lines[] = { "COMMAND",
                                         "COMMAND INFO",
                                         "COMMAND DOCS",
                                         "CLIENT HELP",
                                         "COMMAND INFO get nosuch config|get",
                                         "COMMAND DOCS get nosuch client" };
    struct session s;
    session_open(&s);
    for (uint32_t version = 2; version <= 3; version++) {
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            session_send(&s, lines[i]);
            const struct bytes all = buffer_bytes(&s.out);
            CHECK(skip_element(all.ptr, all.ptr + all.len) == all.ptr + all.len);
            buffer_reset(&s.out);
        }
        session_send(&s, "HELLO 3");
    }
    session_replies(&s, "COMMAND COUNT", ":50\r\n");
    session_replies(&s, "COMMAND COUNT x",
                    "-ERR wrong number of arguments for 'command|count' command\r\n");
    session_close(&s);
}
