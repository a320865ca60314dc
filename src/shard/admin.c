/* admin.c - what an operator asks of the cluster: here it leaves the face and its answer is made. */
#include "base/assert.h"
#include "shard/shard.h"

void shard_admin_call(struct shard *s, const struct connection *c, const struct plan *plan,
                      struct buffer *out) {
    struct admin_reply reply;
    ASSERT(plan->kind == PLAN_ADMIN);
    ASSERT(c->protocol == PROTOCOL_HTTP);
    shard_node_view(s, c, &s->view);
    if (!admin_answer_from_view(plan->admin, &s->view, &reply))
        admin_reply_init(&reply, ADMIN_UNAVAILABLE);
    http_encode_admin(plan, &reply, out);
}
