/* admin.c - what an operator asks of the cluster: here it leaves the face. */
#include "base/assert.h"
#include "shard/shard.h"

bool shard_admin_call(struct shard *s, const struct connection *c, const struct plan *plan,
                      struct buffer *out) {
    struct admin_reply reply;
    ASSERT(plan->kind == PLAN_ADMIN);
    ASSERT(c->protocol == PROTOCOL_HTTP);
    shard_node_view(s, c, &s->view);
    if (s->node->control != NULL && s->view.cluster.none) return false;
    if (!admin_answer_from_view(plan->admin, &s->view, &reply)) return false;
    http_encode_admin(plan, &reply, out);
    return true;
}
