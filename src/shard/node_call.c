/* node_call.c - what clients ask of the node itself: how it is, and to change a setting. */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/shard.h"

static void set(struct shard *s, const struct connection *c, uint64_t settings) {
    const int level = node_settings_level(settings);
    const uint64_t slow_ns = node_settings_slow(settings);
    os_sock_peer(c->sock, s->client_address);
    if (level >= 0) {
        ASSERT((uint32_t)level < LOG_LEVELS);
        log_set_level((enum log_level)level);
        log_warn("log level set to %s by %s", log_level_name((enum log_level)level),
                 s->client_address);
    }
    if (slow_ns == UINT64_MAX) return;
    slow_log_set(&s->node->slow, slow_ns);
    log_warn("requests are slow from %llu us on (0 = none is), as set by %s",
             (unsigned long long)((slow_ns + 999) / 1000), s->client_address);
}

static void encode(const struct connection *c, const struct plan *plan,
                   const struct node_view *view, struct buffer *out) {
    if (c->protocol == PROTOCOL_RESP)
        resp_encode_node(plan, view, out);
    else
        http_encode_node(plan, view, out);
}

static void encode_slow(struct shard *s, const struct connection *c, const struct plan *plan,
                        struct buffer *out) {
    struct node_view *view = &s->view;
    struct node_slow *kept = mem_alloc(NODE_SLOW_KEPT_MAX * sizeof *kept);
    *view = (struct node_view){ .slow = kept };
    view->slow_count = slow_log_copy(&s->node->slow, kept, NODE_SLOW_KEPT_MAX);
    encode(c, plan, view, out);
    view->slow = NULL;
    mem_free(kept);
}

void shard_node_call(struct shard *s, const struct connection *c, const struct plan *plan,
                     struct buffer *out) {
    ASSERT(plan->kind == PLAN_NODE);
    if (plan->topic == NODE_SLOW) {
        encode_slow(s, c, plan, out);
        return;
    }
    if (plan->topic == NODE_SET) set(s, c, plan->detail_number);
    if (plan->topic == NODE_SLOW_RESET) slow_log_reset(&s->node->slow);
    shard_node_view(s, c, &s->view);
    encode(c, plan, &s->view, out);
}
