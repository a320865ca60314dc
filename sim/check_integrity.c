/* Values are those that were written, each under its key, with one version. */
#include "base/assert.h"
#include "base/mem.h"
#include "sim/check.h"

/* Value numbers are dense: what is known of each. */
struct writer {
    uint32_t op;           /* the put, or HISTORY_NONE */
    struct ballot version; /* as answered to the put or seen first; zero = not yet */
};

struct values {
    struct writer *all; /* by number of the value */
    uint64_t count;     /* numbers used, the unused 0 included */
};

static struct values values_of(const struct history *h) {
    struct values v = { .count = 1 };
    for (uint32_t i = 0; i < h->ops_count; i++) {
        if (h->ops[i].kind == HISTORY_PUT && h->ops[i].value >= v.count)
            v.count = h->ops[i].value + 1;
    }
    ASSERT(v.count <= (uint64_t)HISTORY_OPS_MAX + 1);
    v.all = mem_alloc_zeroed(v.count * sizeof *v.all);
    for (uint64_t i = 0; i < v.count; i++) v.all[i].op = HISTORY_NONE;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (op->kind != HISTORY_PUT || op->value == 0) continue;
        ASSERT(v.all[op->value].op == HISTORY_NONE);
        v.all[op->value].op = i;
        if (op->outcome == HISTORY_OK) v.all[op->value].version = op->version;
    }
    return v;
}

/* Somebody saw `value` under `key` with `version`, at `seen_ns`. What is wrong about it,
 * or NULL. */
static const char *judge(const struct history *h, struct values *v, uint32_t key, uint64_t value,
                         struct ballot version, uint64_t seen_ns) {
    if (ballot_is_zero(version)) return "a value without a version";
    if (value == 0 || value >= v->count) return "a value nobody wrote";
    struct writer *w = &v->all[value];
    if (w->op == HISTORY_NONE) return "a value nobody wrote";
    const struct history_op *put = &h->ops[w->op];
    if (put->key != key) return "a value of another key";
    if (put->began_ns > seen_ns) return "a value that was not written yet";
    if (put->outcome == HISTORY_REFUSED) return "a value whose write was refused";
    if (ballot_is_zero(w->version)) w->version = version;
    /* A write that was handed to another node and then carried out elsewhere as well has one
     * stamp and may have two coordinators. */
    if (w->version.stamp != version.stamp) return "a value under two versions";
    return NULL;
}

void check_integrity(const struct check *c, struct findings *f) {
    const struct history *h = c->history;
    ASSERT(history_check(h));
    struct values v = values_of(h);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (!history_is_read(op->kind) || op->outcome != HISTORY_OK) continue;
        f->checked++;
        const char *wrong = op->foreign ? "bytes that nobody wrote there" : NULL;
        if (wrong == NULL) wrong = judge(h, &v, op->key, op->value, op->version, op->ended_ns);
        if (wrong == NULL) continue;
        findings_add(f, "%s: operation %u at node %u read %s: %s, number %llu",
                     h->keys[op->key].text, i, op->node + 1, check_version(op->version).text, wrong,
                     (unsigned long long)op->value);
    }
    for (uint32_t i = 0; i < c->rows_count; i++) {
        const struct check_row *r = &c->rows[i];
        f->checked++;
        if (r->absent) continue;
        const char *wrong = r->foreign ? "bytes that nobody wrote there" : NULL;
        if (wrong == NULL) wrong = judge(h, &v, r->key, r->value, r->ballot, UINT64_MAX);
        if (wrong == NULL) continue;
        findings_add(f, "%s: node %u has %s in the end: %s, number %llu", h->keys[r->key].text,
                     r->node + 1, check_version(r->ballot).text, wrong,
                     (unsigned long long)r->value);
    }
    mem_free(v.all);
}
