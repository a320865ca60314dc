#include "proto/http_alias.h"

#include <inttypes.h>

#include "base/assert.h"
#include "proto/http_metrics.h"

/* The members of a cluster are those of --peers, so a call that would change them is
 * judged against that list, and here only. */
#define NO_CHANGE                                                                   \
    "not done: the members of a cluster are set with --peers, the same on all its " \
    "nodes, and cannot be changed while they run\n"

/* Whether two addresses are the same, where a name stands for one that all know. */
static bool same_address(struct bytes a, const char *member) {
    const struct bytes local = BYTES_LIT("localhost:");
    const struct bytes b = bytes_of_string(member);
    struct bytes hosts[] = { a, b };
    for (size_t i = 0; i < 2; i++) {
        if (!bytes_start_with(hosts[i], local)) continue;
        const size_t port_len = hosts[i].len - local.len;
        const struct bytes other = hosts[1 - i];
        const struct bytes ip = BYTES_LIT("127.0.0.1:");
        if (!bytes_start_with(other, ip) || other.len != ip.len + port_len) continue;
        if (memcmp(other.ptr + ip.len, hosts[i].ptr + local.len, port_len) == 0) return true;
    }
    return bytes_equal(a, b);
}

/* The weight of the member at this address; 0 = it is none. */
static uint32_t weight_of(const struct node_view *view, struct bytes address) {
    const struct node_cluster *c = &view->cluster;
    if (node_view_is_alone(view)) return same_address(address, view->address);
    for (uint32_t i = 0; i < c->members_count; i++) {
        if (same_address(address, c->members[i].address))
            return c->members[i].weight == 0 ? 1 : c->members[i].weight;
    }
    return 0;
}

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

/* Adding a member that is one, with the weight it has, is done already. */
static void reply_add(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    ASSERT(plan->detail.len > sizeof(uint64_t));
    const struct bytes address = bytes_of(plan->detail.ptr, plan->detail.len - sizeof(uint64_t));
    const uint64_t wanted = get_u64_le(address.ptr + address.len);
    const uint32_t weight = weight_of(view, address);
    if (weight == 0 || (wanted != 0 && wanted != weight)) {
        http_alias_reply_error(out, plan->dialect, style, 501, NO_CHANGE);
        return;
    }
    const size_t mark = http_reply_begin(out);
    if (style == STYLE_ADD_NODE) {
        buffer_append(out, BYTES_LIT("node "));
        buffer_append(out, address);
        buffer_append(out, BYTES_LIT(" added successfully"));
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
    case STYLE_DASHBOARD: reply_dashboard(plan, view, out); break;
    case STYLE_ADD_NODE:
    case STYLE_ADD_SERVER: reply_add(plan, view, out); break;
    default:
        ASSERT(style == STYLE_REMOVE_NODE || style == STYLE_REMOVE_SERVER);
        http_alias_reply_error(out, plan->dialect, style, 501, NO_CHANGE);
        break;
    }
}
