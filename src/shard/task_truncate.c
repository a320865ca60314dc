/* task_truncate.c - the two rounds of a truncation. */
#include "base/assert.h"
#include "shard/coordinate_internal.h"
#include "shard/shard.h"
#include "shard/task_internal.h"

static bool truncates(const struct task *t) {
    return t->plan.kind == PLAN_REQUESTS && t->plan.requests[0].op == OP_TRUNCATE;
}

bool task_truncation_is_unlawful(const struct shard *s, const struct task *t) {
    return truncates(t) && (coordinate_clock_is_off(s) || coordinate_clock_is_behind(s));
}

bool task_truncation_asks(const struct task *t) {
    return truncates(t) && ballot_is_zero(t->plan.requests[0].stamp);
}

void task_truncation_judge(const struct shard *s, struct task *t) {
    ASSERT(task_truncation_asks(t));
    for (uint32_t i = 0; !s->alone && i < t->calls_count; i++) {
        struct response *r = &t->calls[i].response;
        if (!hlc_is_lawful(r->version.stamp, s->turn_wall_ms))
            *r = (struct response){ .outcome = OUT_CLOCK };
    }
}

enum outcome task_truncation_failure(const struct shard *s, const struct task *t,
                                     enum outcome failure) {
    if (!truncates(t) || task_truncation_asks(t) || !shard_is_clustered(s)) return failure;
    return failure == OUT_TIMEOUT ? OUT_TIMEOUT : OUT_QUORUM;
}

void task_truncation_choose(struct shard *s, struct task *t) {
    ASSERT(task_truncation_asks(t));
    ASSERT(t->calls_pending == 0);
    for (uint32_t i = 0; i < t->calls_count; i++)
        hlc_observe(&s->hlc, t->calls[i].response.version.stamp);
    t->calls[0].request.stamp =
        (struct ballot){ .stamp = shard_stamp(s),
                         .node = s->node->node_id == 0 ? 1 : s->node->node_id,
                         .boot = s->node->boot_count };
    t->plan.requests = &t->calls[0].request;
}
