#include "proto/http_internal.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/hash.h"
#include "proto/http_alias.h"
#include "proto/http_figure.h"
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
    buffer_append_string(out, view->total.disk_full ? "\",\"disk_full\":true"
                                                    : "\",\"disk_full\":false");
    if (!ready && view->cluster.waits_for != NULL && view->cluster.waits_for[0] != '\0') {
        buffer_append(out, BYTES_LIT(",\"waits_for\":"));
        append_string(out, view->cluster.waits_for);
    }
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, plan->dialect, ready ? 200 : 503, HTTP_JSON,
                   ready ? "" : "Retry-After: 1\r\n");
}

static void append_member(struct buffer *out, const struct node_member *m, const char *state) {
    buffer_printf(out, "{\"id\":%" PRIu32 ",\"address\":", m->id);
    append_string(out, m->address);
    buffer_append_string(out, m->self ? ",\"self\":true" : ",\"self\":false");
    buffer_printf(out, ",\"state\":\"%s\"", state);
    http_append_number(out, "weight", m->weight);
    http_append_number(out, "zone", m->zone);
    http_append_number(out, "slots_owned", m->slots_owned);
    http_append_number(out, "slots_kept", m->slots_kept);
    http_append_number(out, "node_id", m->node_id);
    http_append_number(out, "boot_count", m->boot_count);
    http_append_number(out, "latency_us", m->latency_us);
    buffer_printf(out, ",\"clock_ahead_ms\":%" PRId64, m->clock_ahead_ms);
    http_append_number(out, "hints_waiting", m->hints_waiting);
    buffer_printf(out, ",\"membership\":\"%s\"", node_standing_name(m->standing));
    buffer_append_string(out, m->alive ? ",\"alive\":true" : ",\"alive\":false");
    buffer_append_string(out, m->voter ? ",\"voter\":true" : ",\"voter\":false");
}

/* What a member keeps: as it said, and of itself the node always knows. */
static void append_holdings(struct buffer *out, const struct node_view *view,
                            const struct node_member *m) {
    const struct shard_figures *f = &view->total;
    uint64_t keys = NODE_UNKNOWN, bytes = NODE_UNKNOWN;
    if (m->holdings_known) {
        keys = m->keys;
        bytes = m->bytes;
    } else if (m->self) {
        keys = f->records > f->tombstones ? f->records - f->tombstones : 0;
        bytes = f->memtable_bytes;
        for (uint32_t i = 0; i < NODE_LEVELS; i++) bytes += f->level_bytes[i];
    }
    http_append_figure(out, "keys", keys);
    http_append_figure(out, "bytes", bytes);
}

/* What only the node itself knows. */
static void append_self(struct buffer *out, const struct node_view *view) {
    http_append_number(out, "shards", view->shards);
    buffer_append(out, BYTES_LIT(",\"version\":"));
    append_string(out, view->version);
    http_append_number(out, "started_ms", view->started_ms);
}

static void append_members(struct buffer *out, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    const bool alone = node_view_is_alone(view);
    ASSERT(c->members != NULL);
    for (uint32_t i = 0; i < c->members_count; i++) {
        const struct node_member *m = &c->members[i];
        if (i > 0) buffer_append(out, BYTES_LIT(",\n"));
        append_member(out, m, alone ? state_of(view) : m->alive ? "up" : "down");
        append_holdings(out, view, m);
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
                                   .alive = true,
                                   .voter = true };
    append_member(out, &m, state_of(view));
    append_holdings(out, view, &m);
    append_self(out, view);
    buffer_append_u8(out, '}');
}

/* A node alone leads itself. */
static void append_leader(struct buffer *out, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    const bool alone = node_view_is_alone(view) && !c->none;
    const uint32_t id = alone ? node_view_own_id(view) : c->leader;
    const char *address = alone ? view->address : NULL;
    if (id == 0) {
        buffer_append(out, BYTES_LIT(",\"leader\":null,\"leader_address\":null"));
        return;
    }
    for (uint32_t i = 0; c->members != NULL && !alone && i < c->members_count; i++)
        if (c->members[i].id == id) address = c->members[i].address;
    http_append_number(out, "leader", id);
    buffer_append(out, BYTES_LIT(",\"leader_address\":"));
    if (address == NULL) buffer_append(out, BYTES_LIT("null"));
    if (address != NULL) append_string(out, address);
}

static void append_change(struct buffer *out, const struct node_change *c) {
    if (c->id == 0) {
        buffer_append(out, BYTES_LIT(",\"change\":null"));
        return;
    }
    ASSERT(c->reason != NULL);
    ASSERT(c->waits_count <= NODE_CHANGE_WAITS_MAX);
    buffer_printf(out, ",\"change\":{\"id\":%" PRIu64 ",\"reason\":\"%s\"", c->id, c->reason);
    http_append_number(out, "slots_total", c->slots_total);
    http_append_number(out, "slots_joint", c->slots_joint);
    http_append_number(out, "slots_done", c->slots_done);
    http_append_figure(out, "bytes_done", c->bytes_done);
    http_append_figure(out, "bytes_total", c->bytes_total);
    http_append_figure(out, "rate_bytes_s", c->rate_bytes_s);
    http_append_figure(out, "eta_ms", c->eta_ms);
    http_append_number(out, "throttle", c->throttle);
    buffer_append_string(out, c->paused ? ",\"paused\":true" : ",\"paused\":false");
    http_append_number(out, "started_ms", c->started_ms);
    buffer_append(out, BYTES_LIT(",\"waits_for\":["));
    for (uint32_t i = 0; i < c->waits_count; i++)
        buffer_printf(out, "%s%" PRIu32, i > 0 ? "," : "", c->waits_for[i]);
    buffer_append(out, BYTES_LIT("]}"));
}

/* Where this node stands, and the control plane's own numbers. */
static void append_control(struct buffer *out, const struct node_cluster *c) {
    buffer_append_string(out, ",\"cluster_id\":");
    if (c->cluster_id == NULL) buffer_append(out, BYTES_LIT("null"));
    if (c->cluster_id != NULL) append_string(out, c->cluster_id);
    http_append_number(out, "term", c->term);
    http_append_number(out, "revision", c->revision);
    buffer_printf(out, ",\"stage\":\"%s\"", node_stage_name(c->stage));
}

void http_append_cluster(struct buffer *out, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    const bool alone = node_view_is_alone(view);
    buffer_append(out, BYTES_LIT("{\"nodes\":["));
    if (c->members == NULL) append_alone(out, view);
    if (c->members != NULL) append_members(out, view);
    buffer_append_u8(out, ']');
    append_leader(out, view);
    http_append_number(out, "epoch", c->epoch == 0 ? 1 : c->epoch);
    append_change(out, &c->change);
    http_append_number(out, "replicas", c->replicas == 0 ? 1 : c->replicas);
    http_append_number(out, "write_quorum", c->write_quorum == 0 ? 1 : c->write_quorum);
    http_append_number(out, "read_quorum", c->read_quorum == 0 ? 1 : c->read_quorum);
    http_append_number(out, "slots", SLOTS);
    http_append_number(out, "slot_replicas", c->slot_replicas == 0 ? 1 : c->slot_replicas);
    http_append_figure(out, "slot_replicas_next",
                       c->slot_replicas_next == 0 ? NODE_UNKNOWN : c->slot_replicas_next);
    buffer_append_string(out, c->proxy ? ",\"proxy\":true" : ",\"proxy\":false");
    buffer_append_string(out, alone || c->filled ? ",\"filled\":true" : ",\"filled\":false");
    append_control(out, c);
    buffer_append(out, BYTES_LIT("}\n"));
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
    http_append_number(out, "slow_ms", view->slow_ns / ms_ns);
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
