#include "proto/http_alias.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "proto/http_metrics.h"

static void reply_list(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    const struct node_cluster *c = &view->cluster;
    const size_t mark = http_reply_begin(out);
    if (node_view_is_alone(view)) {
        buffer_printf(out, "node: %s\n", view->address);
    } else {
        for (uint32_t i = 0; i < c->members_count; i++)
            buffer_printf(out, "node: %s\n", c->members[i].address);
    }
    http_reply_end(out, mark, plan->dialect, 200, HTTP_TEXT, "");
}

/* What is done is said as ever; what is only begun, and what failed, in the reply's words. */
void http_alias_encode_admin(const struct plan *plan, const struct admin_reply *reply,
                             struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    const uint16_t status = admin_outcome_status(reply->outcome);
    char text[ADMIN_MESSAGE_BYTES + 1];
    ASSERT(plan->shape == HTTP_SHAPE_ALIAS);
    ASSERT(plan->detail.len > 0);
    const int len = snprintf(text, sizeof text, "%s\n", admin_reply_text(reply));
    ASSERT(len > 0 && (size_t)len < sizeof text);
    if (reply->outcome != ADMIN_DONE) {
        http_reply(out, plan->dialect, status, HTTP_TEXT, status == 503 ? "Retry-After: 1\r\n" : "",
                   bytes_of(text, (size_t)len));
        return;
    }
    const size_t mark = http_reply_begin(out);
    if (style == STYLE_ADD_NODE || style == STYLE_REMOVE_NODE) {
        buffer_append(out, BYTES_LIT("node "));
        buffer_append(out, plan->detail);
        buffer_append_string(out, style == STYLE_ADD_NODE ? " added successfully"
                                                          : " removed successfully");
    }
    http_reply_end(out, mark, plan->dialect, 200, http_alias_words(style)->type, "");
}

/* The older store's members in Go's order, then what it did not have. Keys are counted by the
 * record, see docs/compatibility.md. */
static void reply_dashboard(const struct plan *plan, const struct node_view *view,
                            struct buffer *out) {
    const uint32_t replicas = view->cluster.replicas;
    const size_t mark = http_reply_begin(out);
    ASSERT(view->shards <= SHARDS_MAX);
    buffer_printf(out, "{\"numReplicas\":%" PRIu32 ",\"numShards\":%" PRIu32 ",\"shards\":[",
                  replicas == 0 ? 1 : replicas, view->shards);
    for (uint32_t i = 0; i < view->shards; i++) {
        buffer_printf(out, "%s{\"numKeys\":%" PRIu64 "}", i > 0 ? "," : "", view->shard_keys[i]);
    }
    buffer_append(out, BYTES_LIT("],\"cluster\":"));
    http_append_cluster(out, view);
    buffer_append(out, BYTES_LIT(",\"metrics\":"));
    http_metrics_append_json(out, view);
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
}

void http_alias_encode_node(const struct plan *plan, const struct node_view *view,
                            struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    ASSERT(plan->shape == HTTP_SHAPE_ALIAS);
    switch (style) {
    case STYLE_LIST_NODES: reply_list(plan, view, out); break;
    default:
        ASSERT(style == STYLE_DASHBOARD);
        reply_dashboard(plan, view, out);
        break;
    }
}
