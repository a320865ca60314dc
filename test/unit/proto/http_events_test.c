/* Server-sent events as a browser's parser takes them: whole, and each with JSON as its data. */
#include "proto/http_events.h"

#include <jansson.h>

#include "http_test_support.h"

/* The JSON of the only event in `out`, which has this name. */
static json_t *data_of(struct buffer *out, const char *name) {
    char head[64];
    buffer_append_u8(out, '\0');
    out->end--;
    char *text = (char *)out->ptr + out->start;
    snprintf(head, sizeof head, "event: %s\ndata: ", name);
    CHECK(strncmp(text, head, strlen(head)) == 0);
    char *data = text + strlen(head);
    const char *end = strstr(data, "\n\n");
    CHECK(end != NULL);
    CHECK_EQ(strlen(end), 2);
    CHECK(memchr(data, '\n', (size_t)(end - data)) == NULL);
    json_t *json = json_loadb(data, (size_t)(end - data), JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    return json;
}

/* The head has no length, and the connection is not used for anything else. */
TEST(http_events, begins_a_stream) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /v1/events HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_NODE);
    CHECK_EQ(t.plan.topic, NODE_EVENTS);
    http_events_begin(&t.plan, &t.out);
    CHECK(talk_has(&t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
    CHECK(talk_has(&t, "Connection: close\r\n\r\nretry: 1000\n\n"));
    CHECK(strstr(talk_text(&t), "Content-Length") == NULL);
    talk_close(&t);
    CHECK(talk_replies(BYTES_LIT("GET /v1/events?x=1 HTTP/1.1\r\n" H "\r\n"), "unknown_parameter"));
    CHECK(talk_replies(
        BYTES_LIT("GET /v1/events HTTP/1.1\r\n" H "Sec-Fetch-Site: cross-site\r\n\r\n"),
        "\"other_site\""));
    CHECK(talk_replies(BYTES_LIT("HEAD /v1/events HTTP/1.1\r\n" H "\r\n"), "405"));
}

TEST(http_events, tells_of_the_cluster) {
    static const struct node_member members[] = {
        { .address = "10.0.0.1:8080", .id = 11, .weight = 1, .self = true, .alive = true },
        { .address = "a\"\n<b>\x01", .id = 12, .weight = 1 },
    };
    static struct node_view view = {
        .version = "0.1", .cluster = { .members_count = 2, .members = members, .replicas = 2 }
    };
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_events_append_cluster(&view, &out);
    json_t *json = data_of(&out, "cluster");
    const json_t *nodes = json_object_get(json, "nodes");
    CHECK_EQ(json_array_size(nodes), 2);
    const json_t *other = json_array_get(nodes, 1);
    CHECK(strcmp(json_string_value(json_object_get(other, "state")), "down") == 0);
    CHECK(strcmp(json_string_value(json_object_get(other, "address")), "a\"\n<b>\x01") == 0);
    json_decref(json);
    buffer_deinit(&out);
}

/* One that joins hears who leads before it has any state of the cluster. */
TEST(http_events, tells_of_a_leader_that_is_not_known) {
    static struct node_view view = { .version = "0.1",
                                     .cluster = { .members_count = 1, .none = true, .leader = 3 } };
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_events_append_cluster(&view, &out);
    json_t *json = data_of(&out, "cluster");
    CHECK_EQ(json_integer_value(json_object_get(json, "leader")), 3);
    CHECK(json_is_null(json_object_get(json, "leader_address")));
    json_decref(json);
    buffer_deinit(&out);
}

TEST(http_events, tells_of_a_moment) {
    static struct node_view view = { .version = "0.1", .shards = 2 };
    struct event_moment moment = { .took_ns = 2000000000, .p50_ns = 1500, .p99_ns = 99000 };
    struct buffer out;
    view.total.operations[OP_CLASS_READ] = 1000;
    moment.classes[OP_CLASS_READ].operations = 500;
    moment.classes[OP_CLASS_READ].p99_ns = 2500;
    buffer_init(&out, 1u << 20);
    http_events_append_figures(&view, &moment, &out);
    json_t *json = data_of(&out, "figures");
    json_t *told = json_object_get(json, "moment");
    CHECK(json_real_value(json_object_get(told, "seconds")) == 2.0);
    CHECK(json_real_value(json_object_get(told, "p50_us")) == 1.5);
    CHECK(json_real_value(json_object_get(told, "p99_us")) == 99.0);
    told = json_object_get(told, "read");
    CHECK_EQ(json_integer_value(json_object_get(told, "operations")), 500);
    CHECK(json_real_value(json_object_get(told, "per_second")) == 250.0);
    CHECK(json_real_value(json_object_get(told, "p99_us")) == 2.5);
    CHECK_EQ(json_integer_value(json_object_get(json_object_get(json, "metrics"), "reads")), 1000);
    json_decref(json);

    /* No time has passed: no rate. */
    buffer_reset(&out);
    moment.took_ns = 0;
    http_events_append_figures(&view, &moment, &out);
    json_decref(data_of(&out, "figures"));
    buffer_deinit(&out);
}
