#include "made_history.h"

static uint32_t probe(struct made *m, enum history_kind kind, uint32_t node) {
    const uint32_t op = made_begin(m, kind, 2);
    history_op(&m->history, op)->must_work = true;
    history_op(&m->history, op)->node = node;
    return op;
}

static void probe_all(struct made *m) {
    for (uint32_t node = 0; node < 3; node++) {
        made_end(m, probe(m, HISTORY_PUT, node), HISTORY_OK, 10 + node);
        made_end(m, probe(m, HISTORY_GET, node), HISTORY_ABSENT, 0);
        made_end(m, probe(m, HISTORY_DELETE, node), HISTORY_OK, 20 + node);
        made_end(m, probe(m, HISTORY_SCAN, node), HISTORY_OK, 0);
    }
}

/* Every kind of request works at every node; one that was never tried proves nothing. */
TEST(check_liveness, wants_everything_of_everyone) {
    struct made m;
    made_init(&m);
    made_end(&m, probe(&m, HISTORY_PUT, 0), HISTORY_OK, 1);
    CHECK_EQ(made_run(&m, check_liveness), 11);
    probe_all(&m);
    CHECK_EQ(made_run(&m, check_liveness), 0);
    made_deinit(&m);
}

/* Failures, silence and slowness are found; what was asked for before does not matter. */
TEST(check_liveness, finds_what_does_not_work) {
    struct made m;
    made_init(&m);
    made_end(&m, made_begin(&m, HISTORY_PUT, 2), HISTORY_UNKNOWN, 0);
    probe_all(&m);
    made_end(&m, probe(&m, HISTORY_GET, 1), HISTORY_UNKNOWN, 0);
    CHECK_EQ(made_run(&m, check_liveness), 1);
    probe(&m, HISTORY_GET, 1);
    CHECK_EQ(made_run(&m, check_liveness), 2);
    const uint32_t slow = probe(&m, HISTORY_GET, 2);
    m.now_ns += CHECK_WORKS_WITHIN_MS * UINT64_C(1000000);
    made_end(&m, slow, HISTORY_OK, 10);
    CHECK_EQ(made_run(&m, check_liveness), 3);
    made_deinit(&m);
}
