/* Which members keep which slots: every slot is in one run, and runs are as long as can be. */
#include <jansson.h>

#include "base/hash.h"
#include "http_test_support.h"

static json_t *slots_of(const struct node_view *view) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /v1/cluster/slots HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK_EQ(t.plan.kind, PLAN_NODE);
    http_encode_node(&t.plan, view, &t.out);
    CHECK(talk_has(&t, "200 OK"));
    json_t *json = json_loads(strstr(talk_text(&t), "\r\n\r\n") + 4, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    talk_close(&t);
    return json;
}

static int64_t at(const json_t *run, size_t i) {
    return json_integer_value(json_array_get(run, i));
}

TEST(http_slots, gives_all_to_a_node_alone) {
    static struct node_view view = { .node_id = 7 };
    json_t *json = slots_of(&view);
    const json_t *runs = json_object_get(json, "runs");
    CHECK_EQ(at(json_object_get(json, "nodes"), 0), 7);
    CHECK_EQ(json_array_size(runs), 1);
    CHECK_EQ(at(json_array_get(runs, 0), 0), 0);
    CHECK_EQ(at(json_array_get(runs, 0), 1), SLOTS - 1);
    CHECK_EQ(at(json_array_get(runs, 0), 2), 0);
    json_decref(json);
}

TEST(http_slots, joins_slots_that_are_alike) {
    static const struct node_member members[] = { { .id = 11 }, { .id = 12 }, { .id = 13 } };
    static uint16_t slots[SLOTS][1 + REPLICAS_MAX];
    static struct node_view view = { .cluster = { .members_count = 3,
                                                  .members = members,
                                                  .slots =
                                                      (const uint16_t(*)[1 + REPLICAS_MAX]) slots,
                                                  .replicas = 2,
                                                  .epoch = 5 } };
    static const uint32_t starts[] = { 0, 1, 100, SLOTS - 1 };
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (uint32_t i = 0; i < 4 && slot >= starts[i]; i++) {
            slots[slot][0] = 2;
            slots[slot][1] = (uint16_t)(i % 3);
            slots[slot][2] = (uint16_t)((i + 1) % 3);
        }
        slots[slot][3] = (uint16_t)slot; /* not looked at: there are two copies */
    }
    json_t *json = slots_of(&view);
    const json_t *runs = json_object_get(json, "runs");
    CHECK_EQ(json_integer_value(json_object_get(json, "epoch")), 5);
    CHECK_EQ(json_array_size(json_object_get(json, "nodes")), 3);
    CHECK_EQ(json_array_size(runs), 4);
    for (uint32_t i = 0; i < 4; i++) {
        const json_t *run = json_array_get(runs, i);
        CHECK_EQ(json_array_size(run), 4);
        CHECK_EQ(at(run, 0), starts[i]);
        CHECK_EQ(at(run, 1), i == 3 ? SLOTS - 1 : starts[i + 1] - 1);
        CHECK_EQ(at(run, 2), i % 3);
        CHECK_EQ(at(run, 3), (i + 1) % 3);
    }
    json_decref(json);
}
