/* made_history.h - histories made up by hand, for the tests of the checkers.
 *
 * Three nodes, all of them replicas of key 0, "a"; key 1, "b", is on nodes 0 and 1 alone.
 * Time goes on by itself: each call is a second later than the one before.
 *
 * Lifecycle  made_init -> calls -> made_run, made_deinit
 */
#ifndef TEST_SIM_MADE_HISTORY_H
#define TEST_SIM_MADE_HISTORY_H

#include "harness.h"
#include "sim/check.h"

#define MADE_ROWS_MAX 16u
#define MADE_STEP_NS UINT64_C(1000000000)
#define MADE_WALL_MS UINT64_C(1000000)

struct made {
    struct history history;
    struct check check;
    struct check_row rows[MADE_ROWS_MAX];
    uint64_t now_ns; /* of the last call */
};

static inline void made_init(struct made *m) {
    *m = (struct made){ .now_ns = 0 };
    history_init(&m->history);
    history_key(&m->history, "a", 7);
    history_key(&m->history, "b", 3);
    m->check = (struct check){ .history = &m->history,
                               .rows = m->rows,
                               .nodes = 3,
                               .asked = 7,
                               .copies = 3,
                               .clock_spread_ms = 100 };
}

static inline void made_deinit(struct made *m) {
    history_deinit(&m->history);
}

static inline struct ballot made_version(uint64_t stamp) {
    return (struct ballot){ .stamp = stamp, .node = stamp == 0 ? 0 : 1 };
}

/* A stamp of the moment. */
static inline uint64_t made_now(const struct made *m) {
    return hlc_of_ms(MADE_WALL_MS + m->now_ns / 1000000);
}

/* Begin an operation on key "a", answered by `need` replicas. */
static inline uint32_t made_begin(struct made *m, enum history_kind kind, uint8_t need) {
    m->now_ns += MADE_STEP_NS;
    const struct history_op op = { .kind = kind,
                                   .need = need,
                                   .began_ns = m->now_ns,
                                   .wall_ms = MADE_WALL_MS + m->now_ns / 1000000 };
    return history_begin(&m->history, &op);
}

/* End it with this version; a put's value has the version's number. */
static inline void made_end(struct made *m, uint32_t op, enum history_outcome outcome,
                            uint64_t version) {
    m->now_ns += MADE_STEP_NS;
    history_op(&m->history, op)->version = made_version(version);
    if (history_op(&m->history, op)->kind == HISTORY_PUT ||
        history_is_read(history_op(&m->history, op)->kind))
        history_op(&m->history, op)->value = version;
    history_end(&m->history, op, outcome, m->now_ns);
}

/* Both at once, acknowledged. Returns the operation. */
static inline uint32_t made_do(struct made *m, enum history_kind kind, uint8_t need,
                               uint64_t version) {
    const uint32_t op = made_begin(m, kind, need);
    made_end(m, op, version == 0 ? HISTORY_ABSENT : HISTORY_OK, version);
    return op;
}

/* One that all nodes took; nobody was told its version. */
static inline uint32_t made_truncate(struct made *m, uint8_t need) {
    const uint32_t op = made_begin(m, HISTORY_TRUNCATE, need);
    made_end(m, op, HISTORY_OK, 0);
    return op;
}

/* What a node holds in the end; call in the order of keys and nodes. */
static inline struct check_row *made_row(struct made *m, uint32_t key, uint32_t node,
                                         uint64_t version) {
    struct check_row *r = &m->rows[m->check.rows_count++];
    *r = (struct check_row){ .node = node,
                             .key = key,
                             .ballot = made_version(version),
                             .value = version,
                             .value_hash = version };
    return r;
}

/* Key "a" with this version on all nodes. */
static inline void made_rows(struct made *m, uint64_t version) {
    for (uint32_t node = 0; node < 3; node++) made_row(m, 0, node, version);
}

static inline uint32_t made_run(struct made *m,
                                void (*run)(const struct check *c, struct findings *f)) {
    static struct findings f;
    CHECK(history_check(&m->history));
    findings_init(&f);
    run(&m->check, &f);
    CHECK(f.checked > 0);
    return f.count;
}

#endif
