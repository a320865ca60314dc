/* What nodes say of themselves: one object each; whoever failed, or talks nonsense, is left out. */
#include <jansson.h>

#include "http_test_support.h"
#include "proto/http_internal.h"

#define ASK "GET /v1/cluster/figures HTTP/1.1\r\n" H "\r\n"

static json_t *body_of(struct talk *t) {
    CHECK(talk_has(t, "200 OK"));
    json_t *json = json_loads(strstr(talk_text(t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    return json;
}

TEST(http_figures, are_those_of_the_node) {
    static const struct node_member members[] = { { .id = 5 }, { .id = 6, .self = true } };
    static struct node_view view = {
        .version = "1\"<", .node_id = 7, .started_ms = 12, .resident_bytes = 34
    };
    struct buffer out;
    buffer_init(&out, 1u << 16);
    view.total.wal_disk_bytes = 100;
    view.total.level_bytes[0] = 20;
    view.total.level_bytes[6] = 3;
    view.total.operations[OP_CLASS_DELETE] = 9;
    for (uint32_t clustered = 0; clustered < 2; clustered++) {
        if (clustered == 1) {
            view.cluster.members_count = 2;
            view.cluster.members = members;
        }
        buffer_reset(&out);
        http_figures_append(&out, &view);
        CHECK(buffer_len(&out) <= HTTP_FIGURES_BYTES_MAX);
        json_t *json = json_loadb((const char *)buffer_bytes(&out).ptr, buffer_len(&out),
                                  JSON_REJECT_DUPLICATES, NULL);
        CHECK(json != NULL);
        CHECK_EQ(json_integer_value(json_object_get(json, "id")), clustered == 1 ? 6 : 7);
        CHECK_EQ(json_integer_value(json_object_get(json, "started_ms")), 12);
        CHECK_EQ(json_integer_value(json_object_get(json, "disk_bytes")), 123);
        const json_t *operations = json_object_get(json, "operations");
        CHECK_EQ(json_integer_value(json_object_get(operations, "delete")), 9);
        CHECK(strcmp(json_string_value(json_object_get(json, "version")), "1\"<") == 0);
        json_decref(json);
    }
    buffer_deinit(&out);
}

TEST(http_figures, are_listed) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT(ASK)), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_REQUESTS);
    CHECK_EQ(t.plan.requests[0].op, OP_FIGURES);
    static char large[HTTP_FIGURES_BYTES_MAX + 2];
    memset(large, ' ', sizeof large);
    large[0] = '{';
    large[sizeof large - 1] = '}';
    const struct response responses[] = {
        { .outcome = OUT_QUORUM },
        { .outcome = OUT_OK, .value = BYTES_LIT("{\"id\":1}") },
        { .outcome = OUT_OK },
        { .outcome = OUT_OK, .value = BYTES_LIT("[1]") },
        { .outcome = OUT_OK, .value = BYTES_LIT("{\"id\":2},{\"id\":3}") },
        { .outcome = OUT_OK, .value = { (const uint8_t *)large, sizeof large } },
        { .outcome = OUT_OK, .value = BYTES_LIT("{\"id\":4}") },
    };
    t.plan.request_count = sizeof responses / sizeof *responses;
    http_encode(&t.plan, responses, TALK_NOW_MS, &t.out);
    json_t *json = body_of(&t);
    const json_t *nodes = json_object_get(json, "nodes");
    CHECK_EQ(json_array_size(nodes), 2);
    CHECK_EQ(json_integer_value(json_object_get(json_array_get(nodes, 1), "id")), 4);
    json_decref(json);

    CHECK_EQ(talk_send(&t, BYTES_LIT(ASK)), ST_OK);
    http_encode(&t.plan, responses, TALK_NOW_MS, &t.out);
    json = body_of(&t);
    CHECK_EQ(json_array_size(json_object_get(json, "nodes")), 0);
    json_decref(json);
    talk_close(&t);
}
