/* Health, readiness and the cluster as a client sees them. */
#include "http_test_support.h"

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
    CHECK(talk_has(&t, "{\"nodes\":[{\"id\":7,\"address\":\"127.0.0.1:8080\",\"state\":\"ready\""));
    CHECK(talk_has(&t, "\"leader\":7,\"epoch\":1,\"change\":null}\n"));
    view.stopping = true;
    ask(&t, "GET /ready", &view);
    CHECK(talk_has(&t, "503 Service Unavailable"));
    CHECK(talk_has(&t, "\"state\":\"stopping\""));
    talk_close(&t);
}
