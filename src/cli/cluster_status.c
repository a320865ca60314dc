#include "cli/cluster_status.h"

#include "base/assert.h"
#include "cli/change.h"
#include "cli/json_field.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#define TEXT_BYTES 136u /* a member's address has at most 127 bytes */
#define NODES_MAX 1024u

enum column {
    COLUMN_ADDRESS,
    COLUMN_STATE,
    COLUMN_WEIGHT,
    COLUMN_SLOTS,
    COLUMN_KEPT,
    COLUMN_HINTS,
    COLUMN_LATENCY,
    COLUMNS
};

static const char *const column_names[COLUMNS] = {
    "ADDRESS", "STATE", "WEIGHT", "SLOTS", "KEPT", "HINTS", "LATENCY",
};

/* One line of the table. */
struct line {
    char texts[COLUMNS][TEXT_BYTES]; /* NUL-terminated, safe to print */
    bool up;                         /* it answers */
    bool self;                       /* it is the node that was asked */
};

static bool get_text(const json_t *object, const char *name, char text[TEXT_BYTES]) {
    return json_field_text(object, name, text, TEXT_BYTES);
}

/* The time of an answer; none is known of the node itself, and of one not met yet. */
static void print_latency(uint64_t us, char text[TEXT_BYTES]) {
    if (us == 0)
        (void)snprintf(text, TEXT_BYTES, "-");
    else if (us < 1000)
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64 " us", us);
    else
        (void)snprintf(text, TEXT_BYTES, "%.1f ms", (double)us / 1000);
}

/* What the cluster has agreed on counts for more than that a node answers; older nodes do not
 * tell it. */
static void take_membership(const json_t *node, char text[TEXT_BYTES]) {
    char membership[TEXT_BYTES];
    if (!get_text(node, "membership", membership)) return;
    if (strcmp(membership, "active") == 0) return;
    if (strcmp(text, "down") == 0 && strcmp(membership, "dead") != 0) return;
    memcpy(text, membership, TEXT_BYTES);
}

static STATUS line_decode(const json_t *node, struct line *ret_line) {
    static const struct {
        const char *name;
        enum column column;
    } numbers[] = { { "weight", COLUMN_WEIGHT },
                    { "slots_owned", COLUMN_SLOTS },
                    { "slots_kept", COLUMN_KEPT },
                    { "hints_waiting", COLUMN_HINTS } };
    const json_t *self = json_object_get(node, "self");
    uint64_t number = 0;
    struct line line = { .self = json_is_true(self) };
    if (!json_is_boolean(self)) return status_of(ST_CORRUPT);
    if (!get_text(node, "address", line.texts[COLUMN_ADDRESS])) return status_of(ST_CORRUPT);
    if (!get_text(node, "state", line.texts[COLUMN_STATE])) return status_of(ST_CORRUPT);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!json_field_number(node, numbers[i].name, &number)) return status_of(ST_CORRUPT);
        (void)snprintf(line.texts[numbers[i].column], TEXT_BYTES, "%" PRIu64, number);
    }
    if (!json_field_number(node, "latency_us", &number)) return status_of(ST_CORRUPT);
    print_latency(number, line.texts[COLUMN_LATENCY]);
    /* A node alone says how far its start is: "ready". */
    line.up = strcmp(line.texts[COLUMN_STATE], "up") == 0 ||
              strcmp(line.texts[COLUMN_STATE], "ready") == 0;
    take_membership(node, line.texts[COLUMN_STATE]);
    if (strcmp(line.texts[COLUMN_STATE], "dead") == 0) line.up = false;
    *ret_line = line;
    return status_of(ST_OK);
}

/* Names to the left, numbers to the right. */
static void append_cell(struct buffer *out, enum column column, const char *text, int width) {
    const char *gap = column == COLUMN_ADDRESS ? "" : "  ";
    if (column <= COLUMN_STATE)
        buffer_printf(out, "%s%-*s", gap, width, text);
    else
        buffer_printf(out, "%s%*s", gap, width, text);
}

static void append_line(struct buffer *out, const struct line *line, const int widths[COLUMNS],
                        bool colour) {
    for (uint32_t i = 0; i < COLUMNS; i++) {
        const bool red = colour && i == COLUMN_STATE && !line->up;
        if (red) buffer_append_string(out, "\033[31m");
        append_cell(out, (enum column)i, line->texts[i], widths[i]);
        if (red) buffer_append_string(out, "\033[0m");
    }
    buffer_append_string(out, line->self ? "  (asked)\n" : "\n");
}

/* Take every node first with `out` NULL, which gives the widths, then again to print. */
static STATUS take_nodes(const json_t *nodes, int widths[COLUMNS], bool colour, struct buffer *out,
                         uint32_t *ret_up) {
    uint32_t up = 0;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        struct line line;
        TRY(line_decode(json_array_get(nodes, i), &line));
        up += line.up;
        if (out != NULL) append_line(out, &line, widths, colour);
        for (uint32_t j = 0; j < COLUMNS; j++) {
            const int width = (int)strlen(line.texts[j]);
            if (width > widths[j]) widths[j] = width;
        }
    }
    *ret_up = up;
    return status_of(ST_OK);
}

/* Who leads and what moves, where the node tells it. */
static STATUS append_control(const json_t *root, struct buffer *out) {
    char leader[TEXT_BYTES];
    uint64_t epoch = 0;
    struct change c;
    TRY(change_decode(json_object_get(root, "change"), &c));
    if (get_text(root, "leader_address", leader) && json_field_number(root, "epoch", &epoch))
        buffer_printf(out, "leader %s, epoch %" PRIu64 "\n", leader, epoch);
    if (c.id == 0) return status_of(ST_OK);
    buffer_printf(out, "change %" PRIu64 " (%s): ", c.id, c.reason);
    change_append_figures(&c, out);
    buffer_append_u8(out, '\n');
    return status_of(ST_OK);
}

static bool change_waits_for(const json_t *root, uint64_t id) {
    const json_t *waits = json_object_get(json_object_get(root, "change"), "waits_for");
    for (size_t i = 0; i < json_array_size(waits); i++) {
        const json_t *one = json_array_get(waits, i);
        if (json_is_integer(one) && json_integer_value(one) == (json_int_t)id) return true;
    }
    return false;
}

/* Nodes that are away and are waited for, and what people can do: nobody else gives them up. */
static void append_missing(const json_t *root, struct buffer *out) {
    const json_t *nodes = json_object_get(root, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        char address[TEXT_BYTES], state[TEXT_BYTES], membership[TEXT_BYTES];
        uint64_t id = 0;
        if (!json_field_number(node, "id", &id) || !get_text(node, "address", address)) continue;
        if (!get_text(node, "state", state) || strcmp(state, "down") != 0) continue;
        const bool joins =
            get_text(node, "membership", membership) && strcmp(membership, "joining") == 0;
        const bool waits = change_waits_for(root, id);
        if (!joins && !waits) continue;
        buffer_printf(out,
                      "%s %s: start it, or give it up with "
                      "atoll cluster remove %" PRIu64 "\n",
                      address,
                      waits ? "is down, and the change waits for it" : "joins, and is down", id);
    }
}

/* What slots have, where it is not what the keyspace `default` takes, and there are nodes for it;
 * nodes of older versions do not tell. */
static void append_slot_replicas(const json_t *root, uint64_t replicas, struct buffer *out) {
    uint64_t slots = 0, next = 0;
    const bool more = json_field_number(root, "slot_replicas_next", &next);
    if (!json_field_number(root, "slot_replicas", &slots)) return;
    if (slots == replicas && !more) return;
    buffer_printf(out, "; slot replicas %" PRIu64, slots);
    if (more) buffer_printf(out, ", to be %" PRIu64, next);
}

static STATUS append_table(const json_t *root, bool colour, struct buffer *out) {
    const json_t *nodes = json_object_get(root, "nodes");
    const size_t count = json_array_size(nodes); /* 0 if it is no array */
    uint64_t replicas = 0, write_quorum = 0, read_quorum = 0;
    int widths[COLUMNS];
    uint32_t up = 0;
    if (count == 0 || count > NODES_MAX) return status_of(ST_CORRUPT);
    if (!json_field_number(root, "replicas", &replicas)) return status_of(ST_CORRUPT);
    if (!json_field_number(root, "write_quorum", &write_quorum)) return status_of(ST_CORRUPT);
    if (!json_field_number(root, "read_quorum", &read_quorum)) return status_of(ST_CORRUPT);
    for (uint32_t i = 0; i < COLUMNS; i++) widths[i] = (int)strlen(column_names[i]);
    TRY(take_nodes(nodes, widths, colour, NULL, &up));

    if (colour) buffer_append_string(out, "\033[1m");
    for (uint32_t i = 0; i < COLUMNS; i++)
        append_cell(out, (enum column)i, column_names[i], widths[i]);
    buffer_append_string(out, colour ? "\033[0m\n" : "\n");
    TRY(take_nodes(nodes, widths, colour, out, &up));
    buffer_printf(out,
                  "%zu %s, %" PRIu32 " up; replicas %" PRIu64 ", write quorum %" PRIu64
                  ", read quorum %" PRIu64,
                  count, count == 1 ? "node" : "nodes", up, replicas, write_quorum, read_quorum);
    if (count > 1) append_slot_replicas(root, replicas, out);
    buffer_append_u8(out, '\n');
    TRY(append_control(root, out));
    append_missing(root, out);
    if (json_is_true(json_object_get(root, "proxy")))
        buffer_append_string(out, "asked a proxy, which keeps no data\n");
    if (json_is_false(json_object_get(root, "filled")))
        buffer_append_string(out, "the node asked does not hold yet what it should: it is filled "
                                  "from the others\n");
    return status_of(ST_OK);
}

STATUS cluster_status_encode(struct bytes json, bool colour, struct buffer *out) {
    ASSERT(out != NULL);
    json_t *root = json_loadb((const char *)json.ptr, json.len, JSON_ALLOW_NUL, NULL);
    const size_t end = out->end;
    const struct status s = append_table(root, colour, out);
    if (!status_ok(s)) out->end = end; /* what came before the fault goes again */
    json_decref(root);
    return s;
}
