#include "proto/http_internal.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/hash.h"
#include "proto/http_alias.h"
#include "proto/http_metrics.h"
#include "proto/json_text.h"

static const char *state_of(const struct node_view *view) {
    if (view->stopping) return "stopping";
    if (view->cluster.none) return "no_cluster"; /* until the others let it in */
    return view->ready ? "ready" : "starting";
}

static void append_string(struct buffer *out, const char *text) {
    json_text_append_lossy(out, bytes_of_string(text == NULL ? "" : text));
}

static void reply_ready(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    const bool ready = view->ready && !view->stopping;
    const size_t mark = http_reply_begin(out);
    buffer_append_string(out, ready ? "{\"ready\":true" : "{\"ready\":false");
    buffer_append(out, BYTES_LIT(",\"state\":\""));
    buffer_append_string(out, state_of(view));
    buffer_append_string(out, view->total.disk_full ? "\",\"disk_full\":true}\n"
                                                    : "\",\"disk_full\":false}\n");
    http_reply_end(out, mark, plan->dialect, ready ? 200 : 503, HTTP_JSON,
                   ready ? "" : "Retry-After: 1\r\n");
}

static void append_number(struct buffer *out, const char *name, uint64_t value) {
    buffer_printf(out, ",\"%s\":%" PRIu64, name, value);
}

static void append_member(struct buffer *out, const struct node_member *m, const char *state) {
    buffer_printf(out, "{\"id\":%" PRIu32 ",\"address\":", m->id);
    append_string(out, m->address);
    buffer_append_string(out, m->self ? ",\"self\":true" : ",\"self\":false");
    buffer_printf(out, ",\"state\":\"%s\"", state);
    append_number(out, "weight", m->weight);
    append_number(out, "zone", m->zone);
    append_number(out, "slots_owned", m->slots_owned);
    append_number(out, "slots_kept", m->slots_kept);
    append_number(out, "node_id", m->node_id);
    append_number(out, "boot_count", m->boot_count);
    append_number(out, "latency_us", m->latency_us);
    buffer_printf(out, ",\"clock_ahead_ms\":%" PRId64, m->clock_ahead_ms);
    append_number(out, "hints_waiting", m->hints_waiting);
}

/* What only the node itself knows. */
static void append_self(struct buffer *out, const struct node_view *view) {
    append_number(out, "shards", view->shards);
    buffer_append(out, BYTES_LIT(",\"version\":"));
    append_string(out, view->version);
    append_number(out, "started_ms", view->started_ms);
}

static void append_members(struct buffer *out, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    ASSERT(c->members != NULL);
    for (uint32_t i = 0; i < c->members_count; i++) {
        const struct node_member *m = &c->members[i];
        if (i > 0) buffer_append(out, BYTES_LIT(",\n"));
        append_member(out, m, m->alive ? "up" : "down");
        if (m->self) append_self(out, view);
        buffer_append_u8(out, '}');
    }
}

static void append_alone(struct buffer *out, const struct node_view *view) {
    const struct node_member m = { .address = view->address,
                                   .id = view->node_id,
                                   .node_id = view->node_id,
                                   .boot_count = view->boot_count,
                                   .weight = 1,
                                   .slots_owned = SLOTS,
                                   .slots_kept = SLOTS,
                                   .self = true,
                                   .alive = true };
    append_member(out, &m, state_of(view));
    append_self(out, view);
    buffer_append_u8(out, '}');
}

/* One node leads itself. Several have no leader while their list is fixed, and no change
 * of it under way. */
void http_append_cluster(struct buffer *out, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    const bool alone = node_view_is_alone(view);
    buffer_append(out, BYTES_LIT("{\"nodes\":["));
    if (alone) append_alone(out, view);
    if (!alone) append_members(out, view);
    buffer_append(out, BYTES_LIT("],\"leader\":"));
    if (alone) buffer_append_u64(out, view->node_id);
    if (!alone) buffer_append(out, BYTES_LIT("null"));
    append_number(out, "epoch", c->epoch == 0 ? 1 : c->epoch);
    buffer_append(out, BYTES_LIT(",\"change\":null"));
    append_number(out, "replicas", c->replicas == 0 ? 1 : c->replicas);
    append_number(out, "write_quorum", c->write_quorum == 0 ? 1 : c->write_quorum);
    append_number(out, "read_quorum", c->read_quorum == 0 ? 1 : c->read_quorum);
    append_number(out, "slots", SLOTS);
    buffer_append_string(out, c->proxy ? ",\"proxy\":true" : ",\"proxy\":false");
    buffer_append_string(out, alone || c->filled ? ",\"filled\":true}\n" : ",\"filled\":false}\n");
}

static void reply_cluster(const struct plan *plan, const struct node_view *view,
                          struct buffer *out) {
    const size_t mark = http_reply_begin(out);
    http_append_cluster(out, view);
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
}

static void reply_settings(const struct plan *plan, const struct node_view *view,
                           struct buffer *out) {
    const uint64_t ms_ns = 1000000;
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"log_level\":"));
    append_string(out, view->log_level);
    append_number(out, "slow_ms", view->slow_ns / ms_ns);
    if (view->slow_ns % ms_ns != 0) buffer_printf(out, ".%06" PRIu64, view->slow_ns % ms_ns);
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
}

void http_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    ASSERT(plan->kind == PLAN_NODE);
    if (plan->shape == HTTP_SHAPE_ALIAS) {
        http_alias_encode_node(plan, view, out);
        return;
    }
    ASSERT(plan->shape == HTTP_SHAPE_NODE);
    const size_t mark = http_reply_begin(out);
    switch (plan->topic) {
    case NODE_HEALTH: http_reply(out, plan->dialect, 200, HTTP_TEXT, "", BYTES_LIT("OK")); break;
    case NODE_READY: reply_ready(plan, view, out); break;
    case NODE_CLUSTER: reply_cluster(plan, view, out); break;
    case NODE_SLOTS: http_slots_encode(plan, view, out); break;
    case NODE_SETTINGS:
    case NODE_SET: reply_settings(plan, view, out); break;
    case NODE_PROMETHEUS:
        http_metrics_append_prometheus(out, view);
        http_reply_end(out, mark, plan->dialect, 200, "text/plain; version=0.0.4; charset=utf-8",
                       "");
        break;
    default:
        ASSERT(plan->topic == NODE_METRICS);
        http_metrics_append_json(out, view);
        http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
        break;
    }
}
