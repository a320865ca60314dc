/* check_absence.c - whether a key may read as absent, in a time that does not grow with the history. */
#include "base/assert.h"
#include "base/mem.h"
#include "sim/check.h"

#include <string.h>

#define BALLOT_MAX ((struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX })

/* A write that may make its key absent, with what holds of it and all before it that do. */
struct check_absence {
    uint64_t began_ns;        /* world time */
    struct ballot deleted;    /* the highest version that a delete may have; zero = there is none */
    uint64_t unknown_from_ms; /* when the first put of unknown version may have expired */
    struct ballot known;      /* the highest of puts that expire; zero = there is none */
    struct ballot version;    /* its own, if it is such a put, else zero */
    uint64_t from_ms;         /* when that may have expired, wall time */
};

/* Nobody is told a truncation's version; a clock may have been set forward by what others stamped. */
static struct ballot version_at_most(const struct check *c, const struct history_op *op) {
    if (op->outcome != HISTORY_OK) return BALLOT_MAX;
    if (op->kind != HISTORY_TRUNCATE) return ballot_is_zero(op->version) ? BALLOT_MAX : op->version;
    const uint64_t ms = history_ended_wall_ms(op) + c->clock_spread_ms + HLC_SKEW_MS_MAX;
    return (struct ballot){ .stamp = hlc_of_ms(ms) };
}

static bool makes_absent(const struct history_op *op) {
    if (op->outcome == HISTORY_REFUSED) return false;
    if (op->kind == HISTORY_PUT) return op->ttl_ms != 0;
    return history_is_write(op->kind);
}

static void add(const struct check *c, const struct history_op *op, struct check_absence *all,
                uint32_t count) {
    const struct ballot version = version_at_most(c, op);
    const bool known = ballot_compare(version, BALLOT_MAX) < 0;
    struct check_absence *a = &all[count];
    *a = (struct check_absence){ .unknown_from_ms = UINT64_MAX };
    if (count > 0) *a = all[count - 1];
    a->began_ns = op->began_ns;
    a->version = (struct ballot){ 0 };
    a->from_ms = op->wall_ms + op->ttl_ms;
    if (op->kind != HISTORY_PUT) {
        if (ballot_compare(version, a->deleted) > 0) a->deleted = version;
    } else if (!known) {
        if (a->from_ms < a->unknown_from_ms) a->unknown_from_ms = a->from_ms;
    } else {
        a->version = version;
        if (ballot_compare(version, a->known) > 0) a->known = version;
    }
}

void check_absences_init(struct check_absences *a, const struct check *c) {
    const struct history *h = c->history;
    uint32_t count = 0;
    *a = (struct check_absences){ .clock_spread_ms = c->clock_spread_ms };
    a->ends = mem_alloc_zeroed((h->keys_count + 1) * sizeof *a->ends);
    for (uint32_t i = 0; i < h->ops_count; i++) a->ends[h->ops[i].key] += makes_absent(&h->ops[i]);
    for (uint32_t k = 0; k <= h->keys_count; k++) {
        const uint32_t of_key = a->ends[k];
        a->ends[k] = count; /* where it begins, until all are added */
        count += of_key;
    }
    a->all = mem_alloc_zeroed((count + 1) * sizeof *a->all);
    uint32_t *begins = mem_alloc_zeroed((h->keys_count + 1) * sizeof *begins);
    memcpy(begins, a->ends, (h->keys_count + 1) * sizeof *begins);
    for (uint32_t i = 0; i < h->ops_count; i++) { /* in the order they began */
        const struct history_op *op = &h->ops[i];
        if (!makes_absent(op)) continue;
        add(c, op, &a->all[begins[op->key]], a->ends[op->key] - begins[op->key]);
        a->ends[op->key]++;
    }
    mem_free(begins);
}

void check_absences_deinit(struct check_absences *a) {
    mem_free(a->all);
    mem_free(a->ends);
    *a = (struct check_absences){ 0 };
}

bool check_may_be_absent(const struct check_absences *a, uint32_t key, struct ballot floor,
                         uint64_t now_ns, uint64_t wall_ms) {
    const struct check_absence *const first = &a->all[key == 0 ? 0 : a->ends[key - 1]];
    const uint64_t latest_ms = wall_ms + a->clock_spread_ms;
    uint32_t low = 0, high = (uint32_t)(&a->all[a->ends[key]] - first);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (first[middle].began_ns <= now_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return false;
    const struct check_absence *w = &first[low - 1];
    if (!ballot_is_zero(w->deleted) && ballot_compare(w->deleted, floor) >= 0) return true;
    if (w->unknown_from_ms <= latest_ms) return true;
    for (; low > 0; low--) {
        w = &first[low - 1];
        if (ballot_is_zero(w->known) || ballot_compare(w->known, floor) < 0) return false;
        const bool counts = !ballot_is_zero(w->version) && ballot_compare(w->version, floor) >= 0;
        if (counts && w->from_ms <= latest_ms) return true;
    }
    return false;
}
