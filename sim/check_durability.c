/* Acknowledged writes are still there in the end. */
#include "base/assert.h"
#include "sim/check.h"

static const struct check_row *row_find(const struct check *c, uint32_t key, uint32_t node) {
    uint32_t low = 0;
    uint32_t high = c->rows_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct check_row *r = &c->rows[middle];
        if (r->key < key || (r->key == key && r->node < node))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->rows_count) return NULL;
    const struct check_row *r = &c->rows[low];
    return r->key == key && r->node == node ? r : NULL;
}

/* By then everything that could expire has had the time to. */
#define IN_THE_END_MS (UINT64_MAX / 2)

static void check_key(const struct check *c, const struct check_absences *absences, uint32_t key,
                      struct ballot floor, struct findings *f) {
    const struct history_key *k = &c->history->keys[key];
    for (uint32_t node = 0; node < c->nodes; node++) {
        if ((k->replicas >> node & 1) == 0) continue;
        f->checked++;
        const struct check_row *r = row_find(c, key, node);
        if (r != NULL && ballot_compare(r->ballot, floor) >= 0) continue;
        /* What is absent reads like nothing, whichever version of it is left. */
        const bool absent = r == NULL || r->absent;
        if (absent && check_may_be_absent(absences, key, floor, UINT64_MAX, IN_THE_END_MS))
            continue;
        findings_add(f, "%s: version %s was acknowledged, but node %u has %s", k->text,
                     check_version(floor).text, node + 1,
                     r == NULL ? "nothing" : check_version(r->ballot).text);
    }
}

void check_durability(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(c->copies >= 1);
    struct check_floors floors;
    check_floors_init(&floors, c, HISTORY_PUT);
    struct check_absences absences;
    check_absences_init(&absences, c);
    for (uint32_t key = 0; key < h->keys_count; key++) {
        if (!ballot_is_zero(floors.keys[key])) check_key(c, &absences, key, floors.keys[key], f);
    }
    check_absences_deinit(&absences);
    check_floors_deinit(&floors);
}
