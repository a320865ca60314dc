#include "made_history.h"

static uint32_t read_in_session(struct made *m, uint64_t seen, uint64_t version) {
    const uint32_t op = made_do(m, HISTORY_GET, 1, version);
    history_op(&m->history, op)->session = made_version(seen);
    return op;
}

/* A session does not fall behind what it has seen, at whatever level it reads. */
TEST(check_session, finds_a_session_that_falls_behind) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 1, 10);
    read_in_session(&m, 10, 10);
    read_in_session(&m, 10, 11);
    CHECK_EQ(made_run(&m, check_session), 0);
    read_in_session(&m, 10, 9);
    CHECK_EQ(made_run(&m, check_session), 1);
    made_deinit(&m);
}

/* Nothing is an answer only when something newer may have deleted it. */
TEST(check_session, finds_a_session_that_sees_nothing) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_DELETE, 1, 5);
    made_do(&m, HISTORY_PUT, 1, 10);
    read_in_session(&m, 10, 0);
    CHECK_EQ(made_run(&m, check_session), 1);
    made_do(&m, HISTORY_DELETE, 1, 12);
    read_in_session(&m, 12, 0);
    CHECK_EQ(made_run(&m, check_session), 1);
    made_deinit(&m);
}

/* What was promised to nobody may be gone; then an older version is as wrong as ever. */
TEST(check_session, allows_for_what_was_not_acknowledged) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 1, 5);
    made_end(&m, made_begin(&m, HISTORY_PUT, 1), HISTORY_UNKNOWN, 0);
    made_do(&m, HISTORY_GET, 1, 10);
    read_in_session(&m, 10, 0);
    CHECK_EQ(made_run(&m, check_session), 0);
    read_in_session(&m, 10, 5);
    CHECK_EQ(made_run(&m, check_session), 1);
    made_deinit(&m);
}

/* So may what a replica had that lost its storage. */
TEST(check_session, allows_for_losses) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 1, 5);
    made_do(&m, HISTORY_PUT, 1, 10);
    history_loss(&m.history, 1);
    read_in_session(&m, 10, 0);
    CHECK_EQ(made_run(&m, check_session), 0);
    read_in_session(&m, 10, 5);
    CHECK_EQ(made_run(&m, check_session), 1);
    made_deinit(&m);
}
