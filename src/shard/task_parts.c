/* task_parts.c - which parts of a range request answered, and whether they are enough. */
#include "base/assert.h"
#include "shard/shard.h"
#include "shard/task_internal.h"

/* The place of the member that a part is of; MEMBER_NONE = it is none any more. */
static uint32_t member_of(const struct shard *s, const struct call *c) {
    return c->member == MEMBER_NONE ? s->members->self : membership_find(s->members, c->member);
}

static bool is_list_covered(const struct shard *s, const struct slot_list *list,
                            const struct place_set *answered, const struct request *q,
                            enum round_kind kind) {
    uint32_t have = 0;
    if (list->count == 0) return true;
    for (uint32_t i = 0; i < list->count; i++) have += place_set_has(answered, list->members[i]);
    return have >= shard_need(s, q, kind, list->count);
}

/* Whether every slot has as many replicas among those that answered as the level wants, of its list
 * and of its target. */
static bool is_covered_for(const struct shard *s, const struct task *t, const struct request *q,
                           enum round_kind kind) {
    const struct membership *m = s->members;
    struct place_set answered = t->members_asked;
    place_set_remove_all(&answered, &t->members_failed);
    if (place_set_covers(&answered, &m->used)) return true;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        struct slot_places replicas;
        membership_replicas(m, slot, q->keyspace, &replicas);
        if (!is_list_covered(s, &replicas.list, &answered, q, kind)) return false;
        if (!is_list_covered(s, &replicas.target, &answered, q, kind)) return false;
    }
    return true;
}

/* What was acknowledged before is met by the first round of a truncation as it is by a read. */
static bool is_covered(const struct shard *s, const struct task *t, const struct request *q) {
    if (q->op == OP_TRUNCATE && !is_covered_for(s, t, q, ROUND_WRITE)) return false;
    if (q->op == OP_TRUNCATE && !task_truncation_asks(t)) return true;
    return is_covered_for(s, t, q, ROUND_READ);
}

bool task_drop_failed_parts(struct shard *s, struct task *t, enum outcome *ret_outcome) {
    const struct request q = t->plan.requests[0];
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct call *c = &t->calls[i];
        if (c->response.outcome == OUT_OK || c->response.outcome == OUT_NOT_FOUND) continue;
        *ret_outcome = c->response.outcome;
        if (!shard_is_clustered(s)) return false;
        const uint32_t member = member_of(s, c);
        if (member != MEMBER_NONE) place_set_add(&t->members_failed, member);
    }
    if (!shard_is_clustered(s)) return true;
    if (!is_covered(s, t, &q)) {
        /* As of one key a damaged replica is one that did not answer. */
        if (*ret_outcome == OUT_OK || *ret_outcome == OUT_CORRUPT) *ret_outcome = OUT_QUORUM;
        return false;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->calls_count; i++) {
        struct call *c = &t->calls[i];
        const uint32_t member = member_of(s, c);
        const bool failed = member == MEMBER_NONE || place_set_has(&t->members_failed, member);
        if (shard_is_clustered(s) && failed) {
            shard_call_clear(c);
            continue;
        }
        if (kept != i) {
            t->calls[kept] = *c;
            list_init(&t->calls[kept].link);
            list_init(&t->calls[kept].parked);
            *c = (struct call){ 0 };
        }
        kept++;
    }
    t->calls_count = t->calls_sent = kept;
    return kept > 0;
}

void task_parts_failed(struct shard *s, enum outcome *failure) {
    if (*failure == OUT_OK) *failure = OUT_QUORUM;
    s->figures.errors++;
    if (*failure == OUT_QUORUM) shard_count_quorum_failure(s, QUORUM_TOO_FEW);
    if (*failure == OUT_CLOCK) shard_count_quorum_failure(s, QUORUM_CLOCK);
}

bool task_parts_later(struct shard *s, struct task *t) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    bool refused = false;
    ASSERT(t->barrier && t->calls_pending == 0);
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct response *r = &t->calls[i].response;
        refused |= r->outcome == OUT_QUORUM && r->untried;
    }
    if (!refused || s->stop_deadline_ms != 0) return false;
    shard_news_wanted(s);
    if (t->again_until_ms == 0) t->again_until_ms = now_ms + s->node->quorum_wait_ms;
    if (now_ms >= t->again_until_ms) return false;
    t->calls_pending = 1;
    list_append(&s->tasks_again, &t->again);
    return true;
}
