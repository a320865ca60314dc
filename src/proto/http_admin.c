#include "proto/http_admin.h"

#include "base/assert.h"
#include "proto/uri.h"

#define METHOD(name) (1u << HTTP_##name)
#define READING (METHOD(GET) | METHOD(HEAD))
#define SETTINGS                                                                    \
    (ADMIN_FIELD(REPLICAS) | ADMIN_FIELD(WRITE_QUORUM) | ADMIN_FIELD(READ_QUORUM) | \
     ADMIN_FIELD(DISCIPLINE) | ADMIN_FIELD(TTL))
#define DRY ADMIN_FIELD(DRY_RUN)

static const struct admin_row {
    enum http_route route;
    uint32_t methods; /* METHOD() */
    enum admin_op op;
    uint32_t query;    /* ADMIN_FIELD() that may be in the query */
    uint32_t body;     /* and in the body; 0 = nobody reads it */
    uint32_t required; /* of both */
} rows[] = {
    { HTTP_ROUTE_NODES, METHOD(POST), ADMIN_NODE_ADD, DRY,
      ADMIN_FIELD(ADDRESS) | ADMIN_FIELD(WEIGHT) | ADMIN_FIELD(ZONE), ADMIN_FIELD(ADDRESS) },
    { HTTP_ROUTE_NODE, METHOD(DELETE), ADMIN_NODE_LEAVE,
      DRY | ADMIN_FIELD(FORCE) | ADMIN_FIELD(ACCEPT_LOSS), 0, 0 },
    { HTTP_ROUTE_NODE, METHOD(PUT) | METHOD(PATCH), ADMIN_NODE_WEIGHT, DRY, ADMIN_FIELD(WEIGHT),
      ADMIN_FIELD(WEIGHT) },
    { HTTP_ROUTE_LEADER, METHOD(POST), ADMIN_LEADER, DRY, ADMIN_FIELD(NODE), ADMIN_FIELD(NODE) },
    { HTTP_ROUTE_REPLICAS, METHOD(PUT), ADMIN_REPLICAS, DRY, ADMIN_FIELD(REPLICAS),
      ADMIN_FIELD(REPLICAS) },
    { HTTP_ROUTE_PLAN, READING, ADMIN_PLAN,
      ADMIN_FIELD(JOIN) | ADMIN_FIELD(LEAVE) | ADMIN_FIELD(NODE) | ADMIN_FIELD(WEIGHT) |
          ADMIN_FIELD(ZONE) | ADMIN_FIELD(REPLICAS) | ADMIN_FIELD(RATE),
      0, 0 },
    { HTTP_ROUTE_CHANGE, METHOD(POST), ADMIN_CHANGE_PAUSE, DRY,
      ADMIN_FIELD(ACTION) | ADMIN_FIELD(RATE), ADMIN_FIELD(ACTION) },
    { HTTP_ROUTE_KEYSPACES, READING, ADMIN_KEYSPACE_LIST, 0, 0, 0 },
    { HTTP_ROUTE_KEYSPACE, READING, ADMIN_KEYSPACE_GET, 0, 0, 0 },
    { HTTP_ROUTE_KEYSPACE, METHOD(PUT), ADMIN_KEYSPACE_PUT, DRY, SETTINGS, 0 },
    { HTTP_ROUTE_KEYSPACE, METHOD(DELETE), ADMIN_KEYSPACE_DROP, DRY, 0, 0 },
};

static bool fail(const struct http *h, struct buffer *out, const char *code, const char *message) {
    http_reply_error(out, h->flags, 400, code, "%s", message);
    return false;
}

static const struct admin_row *find_row(const struct http *h) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].route == h->route && (rows[i].methods >> h->method & 1) != 0) return &rows[i];
    }
    ASSERT(false); /* as http_route_allows has it */
    return NULL;
}

static bool fail_missing(const struct http *h, struct buffer *out, uint32_t missing) {
    char names[160];
    http_reply_error(out, h->flags, 400, "missing_field", "the body must be a JSON object with %s",
                     http_admin_field_names(missing, names, sizeof names));
    return false;
}

/* What is behind the last slash names the node or the keyspace. */
static bool read_path(struct http *h, struct buffer *out, struct admin_request *q) {
    const struct bytes path = http_bytes_of(h, h->path);
    uint8_t *room = h->text.ptr + h->text.end;
    size_t prefix_len = 0;
    if (h->route == HTTP_ROUTE_NODE) prefix_len = sizeof HTTP_NODE_PREFIX - 1;
    if (h->route == HTTP_ROUTE_KEYSPACE) prefix_len = sizeof HTTP_KEYSPACE_PREFIX - 1;
    if (prefix_len == 0) return true;
    ASSERT(path.len >= prefix_len);
    struct bytes name = bytes_of(path.ptr + prefix_len, path.len - prefix_len);
    if (!status_ok(uri_decode_path(name, room, &name)))
        return fail(h, out, "bad_escape", "a % in the path must be followed by two hex digits");
    if (name.ptr == room) buffer_commit(&h->text, name.len);
    if (h->route == HTTP_ROUTE_NODE) {
        if (status_ok(admin_node_read(name, q))) return true;
        return fail(h, out, "bad_node",
                    "a node is named by its id or its HOST:PORT, as GET /v1/cluster lists them");
    }
    if (status_ok(admin_keyspace_name_read(name, q))) return true;
    return fail(h, out, "bad_keyspace",
                "a keyspace name is 1 to 64 characters of a-z, 0-9, _ and -");
}

/* ---- what several fields say together ---- */

static bool choose_action(const struct http *h, const struct admin_fields *f, struct buffer *out,
                          struct admin_request *q) {
    static const struct {
        struct bytes word;
        enum admin_op op;
    } actions[] = { { BYTES_LIT("pause"), ADMIN_CHANGE_PAUSE },
                    { BYTES_LIT("resume"), ADMIN_CHANGE_RESUME },
                    { BYTES_LIT("cancel"), ADMIN_CHANGE_CANCEL },
                    { BYTES_LIT("throttle"), ADMIN_CHANGE_THROTTLE } };
    const bool has_rate = (q->given & ADMIN_HAS_RATE) != 0;
    size_t i = 0;
    while (i < sizeof actions / sizeof *actions &&
           !bytes_equal(f->texts[FIELD_ACTION], actions[i].word))
        i++;
    if (i == sizeof actions / sizeof *actions)
        return fail(h, out, "bad_action", "action must be pause, resume, cancel or throttle");
    q->op = actions[i].op;
    if (has_rate == (q->op == ADMIN_CHANGE_THROTTLE)) return true;
    return fail(h, out, "bad_bytes_per_second",
                has_rate ? "bytes_per_second goes with the action throttle only"
                         : "throttle needs bytes_per_second; 0 = no limit");
}

static bool choose_plan(const struct http *h, const struct admin_fields *f, struct buffer *out,
                        struct admin_request *q) {
    const bool join = (f->given & ADMIN_FIELD(JOIN)) != 0;
    const bool leave = (f->given & ADMIN_FIELD(LEAVE)) != 0;
    const bool node = (f->given & ADMIN_FIELD(NODE)) != 0;
    const bool weight = (q->given & ADMIN_HAS_WEIGHT) != 0;
    const bool replicas = (q->given & ADMIN_HAS_REPLICAS) != 0;
    if (join + leave + node + replicas > 1)
        return fail(h, out, "bad_plan",
                    "only one of join, leave, node and replicas can be planned at a time");
    if (node && !weight) return fail(h, out, "bad_plan", "node=.. needs weight=..");
    if (weight && !join && !node)
        return fail(h, out, "bad_plan", "weight=.. goes with join=.. or node=..");
    if ((q->given & ADMIN_HAS_ZONE) != 0 && !join)
        return fail(h, out, "bad_plan", "zone=.. goes with join=..");
    q->plan_of = ADMIN_PLAN_NOW;
    if (join) q->plan_of = ADMIN_PLAN_JOIN;
    if (leave) q->plan_of = ADMIN_PLAN_LEAVE;
    if (node) q->plan_of = ADMIN_PLAN_WEIGHT;
    if (replicas) q->plan_of = ADMIN_PLAN_REPLICAS;
    return true;
}

static bool check_settings(const struct http *h, struct buffer *out,
                           const struct admin_request *q) {
    const bool names_copies = (q->given & ADMIN_HAS_REPLICAS) != 0;
    if (names_copies && (q->write_quorum > q->replicas || q->read_quorum > q->replicas))
        return fail(h, out, "bad_quorum", "write_quorum and read_quorum are at most replicas");
    if (q->discipline == ADMIN_STRICT && (q->write_quorum | q->read_quorum) != 0)
        return fail(h, out, "bad_quorum", "a strict keyspace has majorities: leave both away");
    return true;
}

/* If-None-Match: * makes a new one only, If-Match: * changes one that is there. */
static bool read_presence(const struct http *h, struct buffer *out, struct admin_request *q) {
    const unsigned match = h->field_counts[HTTP_IF_MATCH_FIELD];
    const unsigned none_match = h->field_counts[HTTP_IF_NONE_MATCH_FIELD];
    if (match + none_match == 0) return true;
    const enum http_field field = match > 0 ? HTTP_IF_MATCH_FIELD : HTTP_IF_NONE_MATCH_FIELD;
    const bool is_star = bytes_equal(http_bytes_of(h, h->fields[field]), BYTES_LIT("*"));
    if (match + none_match > 1 || !is_star || (match == 0 && q->op == ADMIN_KEYSPACE_DROP))
        return fail(h, out, "bad_condition",
                    "a keyspace is put under If-Match: * or If-None-Match: *, and dropped under "
                    "If-Match: *");
    q->presence = match > 0 ? ADMIN_THERE : ADMIN_NEW;
    return true;
}

static bool finish(const struct http *h, const struct admin_fields *f, struct buffer *out,
                   struct admin_request *q) {
    switch (h->route) {
    case HTTP_ROUTE_CHANGE: return choose_action(h, f, out, q);
    case HTTP_ROUTE_PLAN: return choose_plan(h, f, out, q);
    case HTTP_ROUTE_KEYSPACE:
        return h->method == HTTP_GET || h->method == HTTP_HEAD ||
               (check_settings(h, out, q) && read_presence(h, out, q));
    default: break;
    }
    if (q->op == ADMIN_NODE_LEAVE && admin_fields_is_true(f, FIELD_FORCE))
        q->op = ADMIN_NODE_REMOVE;
    return true;
}

void http_admin_translate(struct http *h, struct buffer *out, struct plan *plan) {
    const struct admin_row *row = find_row(h);
    struct admin_fields fields = { .given = 0 };
    struct admin_request *q = &h->admin;
    admin_request_init(q, row->op);
    if (!read_path(h, out, q)) return;
    if (!http_admin_read_query(h, row->query, out, &fields)) return;
    if (row->body != 0 && !http_admin_read_body(h, row->body, out, &fields)) return;
    const uint32_t missing = row->required & ~fields.given;
    if (missing != 0) {
        (void)fail_missing(h, out, missing);
        return;
    }
    if (!http_admin_take_fields(h, &fields, out, q)) return;
    if (!finish(h, &fields, out, q)) return;
    ASSERT(admin_request_check(q));
    plan->kind = PLAN_ADMIN;
    plan->shape = HTTP_SHAPE_ADMIN;
    plan->detail_number = q->op;
    plan->admin = q;
}
