/* All replicas of a key hold the same. A tombstone or an expired value and nothing at all
 * are the same to every reader, and nodes forget such records at different times, or lose the
 * newer of two to a damaged disk: at or below the floor nobody compares them any more. */
#include "base/assert.h"
#include "sim/check.h"

static bool rows_agree(const struct check_row *a, const struct check_row *b) {
    return ballot_compare(a->ballot, b->ballot) == 0 && a->flags == b->flags &&
           a->expires_at_ms == b->expires_at_ms && a->value_hash == b->value_hash;
}

/* The rows of one key, of all nodes. */
static void check_key(const struct check *c, const struct check_row *rows, uint32_t count,
                      struct findings *f) {
    const struct history_key *k = &c->history->keys[rows[0].key];
    const struct check_row *first = NULL;
    uint64_t holders = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((k->replicas >> rows[i].node & 1) == 0) continue;
        holders |= UINT64_C(1) << rows[i].node;
        if (first == NULL) first = &rows[i];
        f->checked++;
        if (rows_agree(first, &rows[i])) continue;
        if (first->absent && rows[i].absent) continue;
        findings_add(f, "%s: node %u has %s, node %u has %s", k->text, first->node + 1,
                     check_version(first->ballot).text, rows[i].node + 1,
                     check_version(rows[i].ballot).text);
        return;
    }
    if (first == NULL || first->absent || holders == k->replicas) return;
    findings_add(f, "%s: node %u has %s, but not every replica has the key", k->text,
                 first->node + 1, check_version(first->ballot).text);
}

void check_convergence(const struct check *c, struct findings *f) {
    ASSERT(c->rows != NULL || c->rows_count == 0);
    ASSERT(c->copies >= 1);
    for (uint32_t i = 0; i < c->rows_count;) {
        uint32_t count = 1;
        while (i + count < c->rows_count && c->rows[i + count].key == c->rows[i].key) count++;
        check_key(c, &c->rows[i], count, f);
        i += count;
    }
}
