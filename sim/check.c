#include "sim/check.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static_assert(HISTORY_NONE == UINT32_MAX, "all bits are set, as memset sets them");

const struct check_kind check_kinds[CHECK_KINDS] = {
    { "durability", check_durability },     { "convergence", check_convergence },
    { "resurrection", check_resurrection }, { "stale", check_stale },
    { "session", check_session },           { "integrity", check_integrity },
    { "liveness", check_liveness },
};

void findings_init(struct findings *f) {
    *f = (struct findings){ .count = 0 };
}

void findings_add(struct findings *f, const char *format, ...) {
    ASSERT(format != NULL);
    ASSERT(f->count < UINT32_MAX);
    if (f->count < FINDINGS_MAX) {
        va_list args;
        va_start(args, format);
        vsnprintf(f->lines[f->count], FINDING_BYTES_MAX, format, args);
        va_end(args);
    }
    f->count++;
}

struct check_text check_version(struct ballot version) {
    struct check_text t;
    ballot_print(version, t.text);
    return t;
}

/* ---- floors ---- */

/* The newest version that i replicas hold for certain, by i. */
struct held {
    struct ballot by_count[REPLICAS_MAX + 1];
};

static void lift(struct ballot *b, struct ballot to) {
    if (ballot_compare(to, *b) > 0) *b = to;
}

/* One replica of the key has nothing any more. */
static void held_lose(struct held *h) {
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        h->by_count[i] = h->by_count[i + 1];
    }
    h->by_count[REPLICAS_MAX] = (struct ballot){ 0 };
}

/* The newest version that a reader of `need` of `copies` replicas cannot miss. */
static struct ballot held_seen(const struct held *h, uint32_t need, uint32_t copies) {
    struct ballot best = { 0 };
    for (uint32_t i = 1; i <= REPLICAS_MAX; i++) {
        if (i + need > copies) lift(&best, h->by_count[i]);
    }
    return best;
}

/* How many replicas of each key lost their storage in the whole run. */
static uint32_t *losses_of(const struct history *h) {
    uint32_t *losses = mem_alloc_zeroed((h->keys_count + 1) * sizeof *losses);
    for (uint32_t i = 0; i < h->events_count && h->losses > 0; i++) {
        const struct history_event *e = &h->events[i];
        if (e->kind != HISTORY_LOSS) continue;
        for (uint32_t k = 0; k < h->keys_count; k++)
            losses[k] += (uint32_t)(h->keys[k].kept >> e->index & 1);
    }
    return losses;
}

/* The acknowledged writes of one key that had the same number of replicas to wait for. */
struct acknowledged {
    uint32_t last[REPLICAS_MAX + 1]; /* the one that ended last, by that number; or HISTORY_NONE */
};

/* The walk over the events. */
struct walk {
    const struct check *check;
    enum history_kind kind; /* of the writes that count */
    struct check_floors *floors;
    const struct check_floors *puts;   /* with deletes: those of puts */
    struct held *held;                 /* by key */
    struct acknowledged *acknowledged; /* by key */
    uint32_t *before;                  /* by operation: the one acknowledged before it */
    struct ballot *newest;             /* by operation: of it and all before it */
    uint32_t *losses;                  /* by key: of its replicas, so far */
    uint32_t *losses_began;            /* by operation: those of its key when it began */
    uint32_t *losses_end;              /* by key: in the whole run */
};

/* Rows are known only when their scan ends, so that what was acknowledged when it began is
 * looked up. Each loss counts, whenever it was: too low a floor only checks less. */
static struct ballot row_floor(const struct walk *w, const struct history_op *row) {
    const struct history *h = w->check->history;
    const uint32_t losses = w->losses_end[row->key];
    struct ballot best = { 0 };
    ASSERT(row->kind == HISTORY_ROW);
    for (uint32_t need = losses + 1; need <= REPLICAS_MAX; need++) {
        if (need - losses + row->need <= w->check->copies) continue;
        uint32_t i = w->acknowledged[row->key].last[need];
        while (i != HISTORY_NONE && h->ops[i].ended_ns >= row->began_ns) i = w->before[i];
        if (i != HISTORY_NONE) lift(&best, w->newest[i]);
    }
    return best;
}

/* A truncation has a stamp above what was acknowledged when it began, and above its time. */
static struct ballot version_at_least(const struct walk *w, uint32_t index) {
    const struct history_op *op = &w->check->history->ops[index];
    if (op->kind != HISTORY_TRUNCATE) return op->version;
    struct ballot least = { .stamp = hlc_of_ms(op->wall_ms - w->check->clock_spread_ms) };
    lift(&least, w->floors->reads[index]);
    lift(&least, w->puts->reads[index]);
    return least;
}

static void acknowledge(struct walk *w, uint32_t index) {
    const struct history_op *op = &w->check->history->ops[index];
    uint32_t *last = &w->acknowledged[op->key].last[op->need];
    w->newest[index] = version_at_least(w, index);
    if (*last != HISTORY_NONE) lift(&w->newest[index], w->newest[*last]);
    w->before[index] = *last;
    *last = index;
}

static void walk_loss(struct walk *w, uint32_t node) {
    const struct history *h = w->check->history;
    ASSERT(node < HISTORY_NODES_MAX);
    for (uint32_t k = 0; k < h->keys_count; k++) {
        if ((h->keys[k].kept >> node & 1) == 0) continue;
        held_lose(&w->held[k]);
        w->losses[k]++;
    }
}

static void walk_began(struct walk *w, uint32_t index) {
    const struct history_op *op = &w->check->history->ops[index];
    struct ballot *floor = &w->floors->reads[index];
    w->losses_began[index] = w->losses[op->key];
    if (op->kind == HISTORY_GET || op->kind == HISTORY_TRUNCATE)
        *floor = held_seen(&w->held[op->key], op->need, w->check->copies);
    if (op->kind == HISTORY_ROW) *floor = row_floor(w, op);
}

static bool is_counted(const struct walk *w, enum history_kind kind) {
    return kind == w->kind || (kind == HISTORY_TRUNCATE && w->kind == HISTORY_DELETE);
}

/* An answer may arrive after a loss and tell of before. */
static void walk_ended(struct walk *w, uint32_t index) {
    const struct history_op *op = &w->check->history->ops[index];
    const uint32_t losses = w->losses[op->key] - w->losses_began[index];
    ASSERT(op->need <= REPLICAS_MAX);
    if (op->kind != HISTORY_ROW && losses > 0) w->floors->reads[index] = (struct ballot){ 0 };
    if (!is_counted(w, op->kind) || op->outcome != HISTORY_OK) return;
    acknowledge(w, index);
    if (op->need <= losses) return;
    lift(&w->held[op->key].by_count[op->need - losses], version_at_least(w, index));
}

void check_floors_init(struct check_floors *f, const struct check *c, enum history_kind kind) {
    ASSERT(history_is_write(kind));
    ASSERT(history_check(c->history));
    const struct history *h = c->history;
    f->reads = mem_alloc_zeroed((h->ops_count + 1) * sizeof *f->reads);
    f->keys = mem_alloc_zeroed((h->keys_count + 1) * sizeof *f->keys);
    struct check_floors puts = { 0 };
    if (kind == HISTORY_DELETE) check_floors_init(&puts, c, HISTORY_PUT);
    struct walk w = { .check = c, .kind = kind, .floors = f, .puts = &puts };
    w.held = mem_alloc_zeroed((h->keys_count + 1) * sizeof *w.held);
    w.losses = mem_alloc_zeroed((h->keys_count + 1) * sizeof *w.losses);
    w.losses_began = mem_alloc_zeroed((h->ops_count + 1) * sizeof *w.losses_began);
    w.losses_end = losses_of(h);
    w.acknowledged = mem_alloc((h->keys_count + 1) * sizeof *w.acknowledged);
    memset(w.acknowledged, 0xff, (h->keys_count + 1) * sizeof *w.acknowledged);
    w.before = mem_alloc((h->ops_count + 1) * sizeof *w.before);
    w.newest = mem_alloc((h->ops_count + 1) * sizeof *w.newest);
    for (uint32_t i = 0; i < h->events_count; i++) {
        const struct history_event *e = &h->events[i];
        switch (e->kind) {
        case HISTORY_LOSS: walk_loss(&w, e->index); break;
        case HISTORY_BEGAN: walk_began(&w, e->index); break;
        case HISTORY_ENDED: walk_ended(&w, e->index); break;
        }
    }
    for (uint32_t k = 0; k < h->keys_count; k++)
        f->keys[k] = held_seen(&w.held[k], c->copies, c->copies);
    check_floors_deinit(&puts);
    mem_free(w.held);
    mem_free(w.losses);
    mem_free(w.losses_began);
    mem_free(w.losses_end);
    mem_free(w.acknowledged);
    mem_free(w.before);
    mem_free(w.newest);
}

void check_floors_deinit(struct check_floors *f) {
    mem_free(f->reads);
    mem_free(f->keys);
    *f = (struct check_floors){ 0 };
}
