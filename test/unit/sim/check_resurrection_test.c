#include "made_history.h"

/* A read that began after a delete was acknowledged does not show what it deleted. */
TEST(check_resurrection, finds_a_deleted_value_that_is_read) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    const uint32_t early = made_begin(&m, HISTORY_GET, 2);
    made_do(&m, HISTORY_DELETE, 2, 11);
    made_end(&m, early, HISTORY_OK, 10); /* it began before the delete was done */
    made_do(&m, HISTORY_GET, 1, 10);     /* its quorum need not meet the delete's */
    made_do(&m, HISTORY_GET, 2, 0);
    made_do(&m, HISTORY_GET, 2, 12);
    CHECK_EQ(made_run(&m, check_resurrection), 0);
    made_do(&m, HISTORY_GET, 2, 10);
    CHECK_EQ(made_run(&m, check_resurrection), 1);
    made_deinit(&m);
}

/* Rows of a scan are judged by what was acknowledged when the scan began. */
TEST(check_resurrection, judges_rows_by_the_begin_of_their_scan) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    const uint64_t before_ns = m.now_ns;
    made_do(&m, HISTORY_DELETE, 2, 11);
    const uint32_t row = made_begin(&m, HISTORY_ROW, 2);
    history_op(&m.history, row)->began_ns = before_ns;
    made_end(&m, row, HISTORY_OK, 10);
    struct findings f;
    findings_init(&f);
    check_resurrection(&m.check, &f);
    CHECK_EQ(f.count, 0);
    made_do(&m, HISTORY_ROW, 2, 10);
    CHECK_EQ(made_run(&m, check_resurrection), 1);
    made_deinit(&m);
}

/* What was stamped before a truncation, by more than clocks may differ, is gone with it. */
TEST(check_resurrection, finds_a_truncated_value) {
    struct made m;
    made_init(&m);
    const uint64_t before = made_now(&m);
    made_do(&m, HISTORY_PUT, 2, before);
    made_truncate(&m, 2);
    const uint64_t after = made_now(&m);
    made_do(&m, HISTORY_GET, 2, after);
    made_do(&m, HISTORY_GET, 1, before);
    CHECK_EQ(made_run(&m, check_resurrection), 0);
    made_do(&m, HISTORY_GET, 2, before);
    CHECK_EQ(made_run(&m, check_resurrection), 1);
    made_rows(&m, before);
    CHECK_EQ(made_run(&m, check_resurrection), 4);
    made_deinit(&m);
}

/* Nor does any node hold it in the end. */
TEST(check_resurrection, finds_a_deleted_value_in_the_end) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_DELETE, 2, 11);
    made_rows(&m, 11);
    for (uint32_t i = 0; i < 3; i++) m.rows[i].absent = true;
    m.rows[2].absent = false;
    CHECK_EQ(made_run(&m, check_resurrection), 0);
    m.rows[2].ballot = made_version(10);
    CHECK_EQ(made_run(&m, check_resurrection), 1);
    history_loss(&m.history, 0);
    history_loss(&m.history, 1);
    CHECK_EQ(made_run(&m, check_resurrection), 0);
    made_deinit(&m);
}

/* A value is not shown when its time is over by more than clocks may differ. */
TEST(check_resurrection, finds_an_expired_value) {
    struct made m;
    made_init(&m);
    const uint32_t op = made_do(&m, HISTORY_GET, 2, 10);
    struct history_op *get = history_op(&m.history, op);
    get->expires_at_ms = get->wall_ms - m.check.clock_spread_ms;
    CHECK_EQ(made_run(&m, check_resurrection), 0);
    get->expires_at_ms--;
    CHECK_EQ(made_run(&m, check_resurrection), 1);
    made_deinit(&m);
}
