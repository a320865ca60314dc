#include "proto/http_internal.h"

#include "base/assert.h"
#include "proto/http_metrics.h"
#include "proto/json_text.h"

static const char *state_of(const struct node_view *view) {
    if (view->stopping) return "stopping";
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

/* One node leads itself; the members come when there is more than one. */
static void reply_cluster(const struct plan *plan, const struct node_view *view,
                          struct buffer *out) {
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"nodes\":[{\"id\":"));
    buffer_append_u64(out, view->node_id);
    buffer_append(out, BYTES_LIT(",\"address\":"));
    append_string(out, view->address);
    buffer_append(out, BYTES_LIT(",\"state\":\""));
    buffer_append_string(out, state_of(view));
    buffer_append(out, BYTES_LIT("\",\"boot\":"));
    buffer_append_u64(out, view->boot_count);
    buffer_append(out, BYTES_LIT(",\"shards\":"));
    buffer_append_u64(out, view->shards);
    buffer_append(out, BYTES_LIT(",\"version\":"));
    append_string(out, view->version);
    buffer_append(out, BYTES_LIT(",\"started_ms\":"));
    buffer_append_u64(out, view->started_ms);
    buffer_append(out, BYTES_LIT("}],\"leader\":"));
    buffer_append_u64(out, view->node_id);
    buffer_append(out, BYTES_LIT(",\"epoch\":1,\"change\":null}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
}

void http_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    ASSERT(plan->kind == PLAN_NODE);
    ASSERT(plan->shape == HTTP_SHAPE_NODE);
    const size_t mark = http_reply_begin(out);
    switch (plan->topic) {
    case NODE_HEALTH: http_reply(out, plan->dialect, 200, HTTP_TEXT, "", BYTES_LIT("OK")); break;
    case NODE_READY: reply_ready(plan, view, out); break;
    case NODE_CLUSTER: reply_cluster(plan, view, out); break;
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
