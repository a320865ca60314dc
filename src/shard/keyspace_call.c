/* keyspace_call.c - requests that name a keyspace get its id, and puts its time to live; keyspaces
 * that are gone are dropped. */
#include "base/assert.h"
#include "shard/shard.h"

/* Also those that were dropped while this node was away. */
static void drop_gone(struct shard *s) {
    const struct membership *m = s->members;
    for (uint32_t id = 0, i = 0; id <= m->keyspace_last; id++) {
        if (i < m->keyspaces_count && m->keyspaces[i].id == id)
            i++;
        else
            engine_drop_keyspace(s->engine, (uint16_t)id);
    }
}

void shard_keyspaces_taken(struct shard *s) {
    const struct membership *m = s->members;
    ASSERT(m != NULL);
    ASSERT(m->keyspaces_count == 0 || m->keyspaces[0].id == KEYSPACE_DEFAULT);
    s->default_ttl_ms = m->keyspaces_count == 0 ? 0 : m->keyspaces[0].settings.ttl_ms;
    if (s->engine != NULL && m->keyspaces_count > 0) drop_gone(s);
}

static const struct keyspace *find(const struct membership *m, struct bytes name) {
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        if (bytes_equal(keyspace_name(&m->keyspaces[i]), name)) return &m->keyspaces[i];
    }
    return NULL;
}

static bool has_requests(const struct plan *plan) {
    return plan->kind == PLAN_REQUESTS || plan->kind == PLAN_SCAN;
}

bool shard_keyspace_take(struct shard *s, struct plan *plan) {
    const bool is_default = plan->keyspace.len == 0;
    if ((is_default && s->default_ttl_ms == 0) || !has_requests(plan)) return true;
    if (s->members->epoch == 0) return true; /* nobody answers anyway */
    const struct keyspace *k =
        is_default ? &s->members->keyspaces[0] : find(s->members, plan->keyspace);
    if (k == NULL) return false;
    const uint64_t ttl_ms = k->settings.ttl_ms;
    for (uint32_t i = 0; i < plan->request_count; i++) {
        struct request *q = &plan->requests[i];
        q->keyspace = k->id;
        if (ttl_ms == 0 || q->op != OP_PUT || q->expiry != EXPIRY_NONE) continue;
        q->expiry = EXPIRY_AT;
        q->expires_at_ms = s->turn_wall_ms + ttl_ms;
    }
    return true;
}
