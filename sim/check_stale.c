/* Reads whose quorum meets that of an acknowledged put see it, or something newer. Deletes
 * are the matter of check_resurrection. */
#include "base/assert.h"
#include "sim/check.h"

void check_stale(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(c->copies >= 1);
    struct check_floors floors;
    check_floors_init(&floors, c, HISTORY_PUT);
    struct check_absences absences;
    check_absences_init(&absences, c);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        const struct ballot floor = floors.reads[i];
        if (!history_is_read(op->kind) || ballot_is_zero(floor)) continue;
        if (op->outcome != HISTORY_OK && op->outcome != HISTORY_ABSENT) continue;
        f->checked++;
        if (op->outcome == HISTORY_OK && ballot_compare(op->version, floor) >= 0) continue;
        if (op->outcome == HISTORY_ABSENT &&
            check_may_be_absent(&absences, op->key, floor, op->ended_ns, history_ended_wall_ms(op)))
            continue;
        findings_add(f, "%s: operation %u at node %u read %s, but %s was acknowledged before",
                     h->keys[op->key].text, i, op->node + 1,
                     op->outcome == HISTORY_OK ? check_version(op->version).text : "nothing",
                     check_version(floor).text);
    }
    check_absences_deinit(&absences);
    check_floors_deinit(&floors);
}
