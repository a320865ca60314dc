/* A read with a session's version does not fall behind it, whatever its level. */
#include "base/assert.h"
#include "sim/check.h"

void check_session(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(history_check(h));
    ASSERT(f->count == 0);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (op->kind != HISTORY_GET || ballot_is_zero(op->session)) continue;
        if (op->outcome != HISTORY_OK && op->outcome != HISTORY_ABSENT) continue;
        f->checked++;
        if (op->outcome == HISTORY_OK && ballot_compare(op->version, op->session) >= 0) continue;
        const uint64_t ended_wall_ms = op->wall_ms + (op->ended_ns - op->began_ns) / 1000000;
        if (op->outcome == HISTORY_ABSENT &&
            check_may_be_absent(c, op->key, op->session, op->ended_ns, ended_wall_ms))
            continue;
        findings_add(f, "%s: operation %u at node %u read %s in a session that had seen %s",
                     h->keys[op->key].text, i, op->node + 1,
                     op->outcome == HISTORY_OK ? check_version(op->version).text : "nothing",
                     check_version(op->session).text);
    }
}
