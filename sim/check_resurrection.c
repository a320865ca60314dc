/* What was deleted or has expired is not seen again. */
#include "base/assert.h"
#include "sim/check.h"

static void check_deleted(const struct check *c, const struct check_floors *floors,
                          struct findings *f) {
    const struct history *h = c->history;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (!history_is_read(op->kind) || op->outcome != HISTORY_OK) continue;
        if (ballot_is_zero(floors->reads[i])) continue;
        f->checked++;
        if (ballot_compare(op->version, floors->reads[i]) >= 0) continue;
        findings_add(f, "%s: operation %u at node %u read %s, deleted before as of %s",
                     h->keys[op->key].text, i, op->node + 1, check_version(op->version).text,
                     check_version(floors->reads[i]).text);
    }
    for (uint32_t i = 0; i < c->rows_count; i++) {
        const struct check_row *r = &c->rows[i];
        if ((h->keys[r->key].replicas >> r->node & 1) == 0 || r->absent) continue;
        f->checked++;
        if (ballot_compare(r->ballot, floors->keys[r->key]) >= 0) continue;
        findings_add(f, "%s: node %u has %s in the end, deleted before as of %s",
                     h->keys[r->key].text, r->node + 1, check_version(r->ballot).text,
                     check_version(floors->keys[r->key]).text);
    }
}

static void check_expired(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (!history_is_read(op->kind) || op->outcome != HISTORY_OK || op->expires_at_ms == 0)
            continue;
        f->checked++;
        if (op->expires_at_ms + c->clock_spread_ms >= op->wall_ms) continue;
        findings_add(f, "%s: operation %u at node %u read %s, which expired %llu ms before",
                     h->keys[op->key].text, i, op->node + 1, check_version(op->version).text,
                     (unsigned long long)(op->wall_ms - op->expires_at_ms));
    }
}

void check_resurrection(const struct check *c, struct findings *f) {
    ASSERT(c->copies >= 1);
    ASSERT(c->rows != NULL || c->rows_count == 0);
    struct check_floors floors;
    check_floors_init(&floors, c, HISTORY_DELETE);
    check_deleted(c, &floors, f);
    check_floors_deinit(&floors);
    check_expired(c, f);
}
