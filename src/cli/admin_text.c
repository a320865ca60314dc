#include "cli/admin_text.h"

#include "base/assert.h"
#include "cli/figure.h"
#include "cli/json_field.h"
#include "cli/table.h"

#include <inttypes.h>
#include <jansson.h>

#define MESSAGE_BYTES 512u
#define ROWS_MAX 2048u

/* A whole number, or FIGURE_UNKNOWN where null is allowed. */
static bool get_number(const json_t *object, const char *name, bool or_null, uint64_t *ret_number) {
    if (!or_null || !json_is_null(json_object_get(object, name)))
        return json_field_number(object, name, ret_number);
    *ret_number = FIGURE_UNKNOWN;
    return true;
}

/* ---- plans ---- */

static const char *const plan_columns[] = {
    "ADDRESS", "WEIGHT", "SLOTS", "AFTER", "KEPT", "AFTER", "IN", "OUT",
};

static STATUS add_plan_node(struct table *t, const json_t *node) {
    static const char *const numbers[] = { "weight", "owned_before", "owned_after", "kept_before",
                                           "kept_after" };
    char text[TABLE_CELL_BYTES], size[FIGURE_BYTES];
    uint64_t number = 0;
    if (!json_field_text(node, "address", text, sizeof text)) return status_of(ST_CORRUPT);
    table_add(t, text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!get_number(node, numbers[i], false, &number)) return status_of(ST_CORRUPT);
        table_add_number(t, number);
    }
    if (!get_number(node, "bytes_in", true, &number)) return status_of(ST_CORRUPT);
    table_add(t, figure_print_size(number, size));
    if (!get_number(node, "bytes_out", true, &number)) return status_of(ST_CORRUPT);
    table_add(t, figure_print_size(number, size));
    return status_of(ST_OK);
}

static STATUS append_plan_table(const json_t *nodes, bool colour, struct buffer *out) {
    struct table t;
    struct status s = status_of(ST_OK);
    if (!json_is_array(nodes) || json_array_size(nodes) > ROWS_MAX) return status_of(ST_CORRUPT);
    if (json_array_size(nodes) == 0) return s;
    table_init(&t, plan_columns, sizeof plan_columns / sizeof *plan_columns, 1);
    for (size_t i = 0; i < json_array_size(nodes) && status_ok(s); i++)
        s = add_plan_node(&t, json_array_get(nodes, i));
    if (status_ok(s)) table_encode(&t, colour, out);
    table_deinit(&t);
    return s;
}

static STATUS append_plan(const json_t *plan, bool colour, struct buffer *out) {
    uint64_t slots = 0, copies = 0, least = 0, bytes = 0, rate = 0, time_ms = 0;
    char text[FIGURE_BYTES];
    if (!get_number(plan, "slots_changed", false, &slots)) return status_of(ST_CORRUPT);
    if (!get_number(plan, "copies_moved", false, &copies)) return status_of(ST_CORRUPT);
    if (!get_number(plan, "copies_least", false, &least)) return status_of(ST_CORRUPT);
    if (!get_number(plan, "bytes", true, &bytes)) return status_of(ST_CORRUPT);
    if (!get_number(plan, "bytes_per_second", false, &rate)) return status_of(ST_CORRUPT);
    if (!get_number(plan, "time_ms", true, &time_ms)) return status_of(ST_CORRUPT);
    TRY(append_plan_table(json_object_get(plan, "nodes"), colour, out));
    buffer_printf(out,
                  "%" PRIu64 " slots change; %" PRIu64 " copies of slots move, at least %" PRIu64
                  " have to",
                  slots, copies, least);
    if (bytes != FIGURE_UNKNOWN) buffer_printf(out, "; %s", figure_print_size(bytes, text));
    if (time_ms != FIGURE_UNKNOWN)
        buffer_printf(out, ", about %s", figure_print_time(time_ms, text));
    if (time_ms != FIGURE_UNKNOWN && rate > 0)
        buffer_printf(out, " at %s", figure_print_rate(rate, text));
    buffer_append_u8(out, '\n');
    return status_of(ST_OK);
}

static STATUS append_risk(const json_t *risk, struct buffer *out) {
    uint64_t slots_short = 0, slots_lost = 0;
    if (!get_number(risk, "slots_short", false, &slots_short)) return status_of(ST_CORRUPT);
    if (!get_number(risk, "slots_lost", false, &slots_lost)) return status_of(ST_CORRUPT);
    buffer_printf(out, "at risk: %" PRIu64 " slots would have fewer full copies than wanted",
                  slots_short);
    buffer_printf(out,
                  slots_lost > 0 ? ", %" PRIu64 " of them none: their data would be gone\n"
                                 : ", %" PRIu64 " of them none\n",
                  slots_lost);
    return status_of(ST_OK);
}

static STATUS append_details(const json_t *root, bool colour, struct buffer *out) {
    const json_t *risk = json_object_get(root, "at_risk");
    const json_t *plan = json_object_get(root, "plan");
    if (risk != NULL) TRY(append_risk(risk, out));
    if (plan != NULL) TRY(append_plan(plan, colour, out));
    return status_of(ST_OK);
}

static STATUS append_answer(const json_t *root, bool colour, struct buffer *out) {
    char message[MESSAGE_BYTES];
    if (!json_field_text(root, "message", message, sizeof message)) return status_of(ST_CORRUPT);
    buffer_printf(out, "%s\n", message);
    return append_details(root, colour, out);
}

/* ---- keyspaces ---- */

static const char *const keyspace_columns[] = {
    "NAME", "DISCIPLINE", "REPLICAS", "WRITE QUORUM", "READ QUORUM", "TTL",
};

static STATUS add_quorum(struct table *t, const json_t *keyspace, const char *name) {
    char text[TABLE_CELL_BYTES];
    uint64_t number = 0;
    if (get_number(keyspace, name, false, &number))
        table_add_number(t, number);
    else if (json_field_text(keyspace, name, text, sizeof text))
        table_add(t, text);
    else
        return status_of(ST_CORRUPT);
    return status_of(ST_OK);
}

static STATUS add_keyspace(struct table *t, const json_t *keyspace) {
    char text[TABLE_CELL_BYTES], time[FIGURE_BYTES];
    uint64_t number = 0;
    if (!json_field_text(keyspace, "name", text, sizeof text)) return status_of(ST_CORRUPT);
    table_add(t, text);
    if (!json_field_text(keyspace, "discipline", text, sizeof text)) return status_of(ST_CORRUPT);
    table_add(t, text);
    if (!get_number(keyspace, "replicas", false, &number)) return status_of(ST_CORRUPT);
    table_add_number(t, number);
    TRY(add_quorum(t, keyspace, "write_quorum"));
    TRY(add_quorum(t, keyspace, "read_quorum"));
    if (!get_number(keyspace, "ttl_ms", true, &number)) return status_of(ST_CORRUPT);
    table_add(t, number == FIGURE_UNKNOWN ? "-" : figure_print_time(number, time));
    return status_of(ST_OK);
}

static STATUS append_keyspaces(const json_t *root, bool colour, struct buffer *out) {
    const json_t *list = json_object_get(root, "keyspaces");
    struct table t;
    struct status s = status_of(ST_OK);
    if (!json_is_array(list) || json_array_size(list) > ROWS_MAX) return status_of(ST_CORRUPT);
    table_init(&t, keyspace_columns, sizeof keyspace_columns / sizeof *keyspace_columns, 2);
    for (size_t i = 0; i < json_array_size(list) && status_ok(s); i++)
        s = add_keyspace(&t, json_array_get(list, i));
    if (status_ok(s)) table_encode(&t, colour, out);
    table_deinit(&t);
    return s;
}

/* ---- */

/* What was appended before a fault was found, goes again. */
static STATUS encode(struct bytes json, bool colour, struct buffer *out,
                     struct status (*append)(const json_t *, bool, struct buffer *)) {
    json_t *root = json_loadb((const char *)json.ptr, json.len, JSON_ALLOW_NUL, NULL);
    const size_t end = out->end;
    struct status s = status_of(ST_CORRUPT);
    if (json_is_object(root)) s = append(root, colour, out);
    if (!status_ok(s)) out->end = end;
    ASSERT(out->end >= end);
    json_decref(root);
    return s;
}

STATUS admin_text_encode(struct bytes json, bool colour, struct buffer *out) {
    return encode(json, colour, out, append_answer);
}

STATUS admin_text_encode_details(struct bytes json, bool colour, struct buffer *out) {
    return encode(json, colour, out, append_details);
}

STATUS admin_text_encode_keyspaces(struct bytes json, bool colour, struct buffer *out) {
    return encode(json, colour, out, append_keyspaces);
}
