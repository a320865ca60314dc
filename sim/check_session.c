/* A read with a session's version does not fall behind it, whatever its level. */
#include "base/assert.h"
#include "sim/check.h"

static bool is_acknowledged(const struct history *h, uint32_t key, struct ballot version) {
    for (uint32_t i = h->keys[key].last; i != HISTORY_NONE; i = h->ops[i].previous) {
        const struct history_op *op = &h->ops[i];
        if (history_is_write(op->kind) && op->outcome == HISTORY_OK &&
            ballot_compare(op->version, version) == 0)
            return true;
    }
    return false;
}

static bool has_losses(const struct history *h, uint32_t key) {
    for (uint32_t i = 0; i < h->events_count && h->losses > 0; i++) {
        const struct history_event *e = &h->events[i];
        if (e->kind == HISTORY_LOSS && (h->keys[key].kept >> e->index & 1) != 0) return true;
    }
    return false;
}

/* Nothing is an answer if the version was deleted or has expired, or may be nowhere any more: after a
 * while that looks like a deletion that was forgotten (R9). An older version is none. */
static bool may_be_nothing(const struct history *h, const struct check_absences *absences,
                           const struct history_op *op) {
    const uint64_t wall_ms = history_ended_wall_ms(op);
    if (check_may_be_absent(absences, op->key, op->session, op->ended_ns, wall_ms)) return true;
    return !is_acknowledged(h, op->key, op->session) || has_losses(h, op->key);
}

void check_session(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(history_check(h));
    ASSERT(f->count == 0);
    struct check_absences absences;
    check_absences_init(&absences, c);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (op->kind != HISTORY_GET || ballot_is_zero(op->session)) continue;
        if (op->outcome != HISTORY_OK && op->outcome != HISTORY_ABSENT) continue;
        f->checked++;
        if (op->outcome == HISTORY_OK && ballot_compare(op->version, op->session) >= 0) continue;
        if (op->outcome == HISTORY_ABSENT && may_be_nothing(h, &absences, op)) continue;
        findings_add(f, "%s: operation %u at node %u read %s in a session that had seen %s",
                     h->keys[op->key].text, i, op->node + 1,
                     op->outcome == HISTORY_OK ? check_version(op->version).text : "nothing",
                     check_version(op->session).text);
    }
    check_absences_deinit(&absences);
}
