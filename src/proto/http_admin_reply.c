#include "proto/http_admin.h"

#include <inttypes.h>

#include "base/assert.h"
#include "proto/http_alias.h"
#include "proto/http_figure.h"
#include "proto/json_text.h"

static void append_text(struct buffer *out, const char *name, const char *text) {
    buffer_printf(out, ",\"%s\":", name);
    json_text_append_lossy(out, bytes_of_string(text));
}

/* ---- plans ---- */

static void append_plan_node(struct buffer *out, const struct admin_plan_node *n) {
    buffer_append_string(out, "{\"id\":");
    if (n->id == 0) buffer_append_string(out, "null");
    if (n->id != 0) buffer_append_u64(out, n->id);
    append_text(out, "address", n->address == NULL ? "" : n->address);
    http_append_number(out, "weight", n->weight);
    http_append_number(out, "owned_before", n->owned_before);
    http_append_number(out, "owned_after", n->owned_after);
    http_append_number(out, "kept_before", n->kept_before);
    http_append_number(out, "kept_after", n->kept_after);
    http_append_figure(out, "bytes_in", n->bytes_in);
    http_append_figure(out, "bytes_out", n->bytes_out);
    buffer_append_u8(out, '}');
}

static void append_plan(struct buffer *out, const struct admin_plan *p) {
    ASSERT(p->nodes_count == 0 || p->nodes != NULL);
    buffer_printf(out, ",\"plan\":{\"slots_changed\":%" PRIu32, p->slots_changed);
    http_append_number(out, "owners_moved", p->owners_moved);
    http_append_number(out, "copies_moved", p->copies_moved);
    http_append_number(out, "copies_least", p->copies_least);
    http_append_figure(out, "bytes", p->bytes);
    http_append_number(out, "bytes_per_second", p->rate_bytes_s);
    http_append_figure(out, "time_ms", p->time_ms);
    buffer_append_string(out, ",\"nodes\":[");
    for (uint32_t i = 0; i < p->nodes_count; i++) {
        if (i > 0) buffer_append_string(out, ",\n");
        append_plan_node(out, &p->nodes[i]);
    }
    buffer_append_string(out, "]}");
}

static void append_risk(struct buffer *out, const struct admin_risk *r) {
    buffer_printf(out, ",\"at_risk\":{\"slots_short\":%" PRIu32 ",\"slots_lost\":%" PRIu32 "}",
                  r->slots_short, r->slots_lost);
}

/* ---- keyspaces ---- */

static void append_quorum(struct buffer *out, const char *name, uint8_t quorum) {
    if (quorum == 0)
        append_text(out, name, "majority");
    else
        http_append_number(out, name, quorum);
}

static void append_keyspace(struct buffer *out, const struct admin_keyspace *k) {
    ASSERT(k->name != NULL);
    ASSERT(k->replicas > 0);
    buffer_append_string(out, "{\"name\":");
    json_text_append_lossy(out, bytes_of_string(k->name));
    http_append_number(out, "id", k->id);
    http_append_number(out, "replicas", k->replicas);
    append_quorum(out, "write_quorum", k->write_quorum);
    append_quorum(out, "read_quorum", k->read_quorum);
    append_text(out, "discipline", k->discipline == ADMIN_STRICT ? "strict" : "eventual");
    if (k->ttl_ms == 0)
        buffer_append_string(out, ",\"ttl_ms\":null}");
    else
        buffer_printf(out, ",\"ttl_ms\":%" PRIu64 "}", k->ttl_ms);
}

static void append_keyspaces(struct buffer *out, const struct admin_reply *r) {
    ASSERT(r->keyspaces_count == 0 || r->keyspaces != NULL);
    buffer_append_string(out, "{\"keyspaces\":[");
    for (uint32_t i = 0; i < r->keyspaces_count; i++) {
        if (i > 0) buffer_append_string(out, ",\n");
        append_keyspace(out, &r->keyspaces[i]);
    }
    buffer_append_u8(out, ']');
}

/* ---- whole answers ---- */

/* What hangs on the answer, be it a success or not. */
static void append_rest(struct buffer *out, const struct admin_reply *r) {
    if (r->node != 0) http_append_number(out, "node", r->node);
    if (r->address != NULL) append_text(out, "address", r->address);
    if (r->epoch != 0) http_append_number(out, "epoch", r->epoch);
    if (r->change != 0) http_append_number(out, "change", r->change);
    if (r->command[0] != '\0') append_text(out, "command", r->command);
    if (r->has_risk) append_risk(out, &r->risk);
    if (r->has_plan) append_plan(out, &r->plan);
}

static void append_success(struct buffer *out, enum admin_op op, const struct admin_reply *r) {
    if (op == ADMIN_KEYSPACE_LIST) {
        append_keyspaces(out, r);
        append_rest(out, r);
        buffer_append_string(out, "}\n");
        return;
    }
    if (op == ADMIN_KEYSPACE_GET) {
        ASSERT(r->keyspaces_count == 1);
        append_keyspace(out, &r->keyspaces[0]);
        buffer_append_u8(out, '\n');
        return;
    }
    buffer_append_string(out, "{\"status\":");
    json_text_append_lossy(out, bytes_of_string(admin_outcome_code(r->outcome)));
    append_text(out, "message", admin_reply_text(r));
    if (r->keyspaces_count > 0) {
        buffer_append_string(out, ",\"keyspace\":");
        append_keyspace(out, &r->keyspaces[0]);
    }
    append_rest(out, r);
    buffer_append_string(out, "}\n");
}

static void append_failure(struct buffer *out, const struct admin_reply *r) {
    buffer_append_string(out, "{\"error\":{\"code\":");
    json_text_append_lossy(out, bytes_of_string(admin_reply_code(r)));
    append_text(out, "message", admin_reply_text(r));
    if (r->outcome == ADMIN_TIMEOUT) append_text(out, "outcome", "maybe");
    buffer_append_u8(out, '}');
    append_rest(out, r);
    buffer_append_string(out, "}\n");
}

void http_encode_admin(const struct plan *plan, const struct admin_reply *reply,
                       struct buffer *out) {
    ASSERT(plan->kind == PLAN_ADMIN);
    if (plan->shape == HTTP_SHAPE_ALIAS) {
        http_alias_encode_admin(plan, reply, out);
        return;
    }
    ASSERT(plan->shape == HTTP_SHAPE_ADMIN);
    ASSERT(plan->detail_number < ADMIN_OPS);
    const uint16_t status = admin_outcome_status(reply->outcome);
    const size_t mark = http_reply_begin(out);
    if (admin_outcome_ok(reply->outcome))
        append_success(out, (enum admin_op)plan->detail_number, reply);
    else
        append_failure(out, reply);
    http_reply_end(out, mark, plan->dialect, status, HTTP_JSON,
                   status == 503 ? "Retry-After: 1\r\n" : "");
}
