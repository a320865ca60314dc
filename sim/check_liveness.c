/* Once healed, every node does everything, and in time. */
#include "base/assert.h"
#include "sim/check.h"

/* What every node is asked for at least once. */
static const enum history_kind probed[] = { HISTORY_PUT, HISTORY_GET, HISTORY_DELETE,
                                            HISTORY_SCAN };
#define PROBED (sizeof probed / sizeof probed[0])

static void check_op(const struct check *c, uint32_t index, struct findings *f) {
    const struct history_op *op = &c->history->ops[index];
    const char *name = history_kind_name(op->kind);
    if (op->outcome != HISTORY_OK && op->outcome != HISTORY_ABSENT) {
        findings_add(f, "operation %u, a %s of %s at node %u: %s (status %u) after all healed",
                     index, name, c->history->keys[op->key].text, op->node + 1,
                     history_outcome_name(op->outcome), op->status);
        return;
    }
    const uint64_t took_ms = (op->ended_ns - op->began_ns) / 1000000;
    if (took_ms <= CHECK_WORKS_WITHIN_MS) return;
    findings_add(f, "operation %u, a %s of %s at node %u took %llu ms after all healed", index,
                 name, c->history->keys[op->key].text, op->node + 1, (unsigned long long)took_ms);
}

void check_liveness(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(c->nodes >= 1);
    ASSERT(c->nodes <= HISTORY_NODES_MAX);
    uint64_t asked[PROBED] = { 0 };
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (!op->must_work) continue;
        ASSERT(op->began_ns >= c->settled_ns);
        f->checked++;
        check_op(c, i, f);
        for (uint32_t p = 0; p < PROBED; p++) {
            if (op->kind == probed[p]) asked[p] |= UINT64_C(1) << op->node;
        }
    }
    for (uint32_t p = 0; p < PROBED; p++) {
        for (uint32_t node = 0; node < c->nodes; node++) {
            if (((asked[p] | ~c->asked) >> node & 1) != 0) continue;
            findings_add(f, "node %u was never asked for a %s after all healed", node + 1,
                         history_kind_name(probed[p]));
        }
    }
}
