#include "made_history.h"

/* An acknowledged write is on every replica in the end, or something newer is. */
TEST(check_durability, wants_what_was_acknowledged) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    made_rows(&m, 10);
    CHECK_EQ(made_run(&m, check_durability), 0);
    for (uint32_t i = 0; i < 3; i++) m.rows[i].ballot = made_version(11);
    CHECK_EQ(made_run(&m, check_durability), 0);
    m.rows[1].ballot = made_version(9);
    CHECK_EQ(made_run(&m, check_durability), 1);
    m.check.rows_count = 0;
    CHECK_EQ(made_run(&m, check_durability), 3);
    made_deinit(&m);
}

/* A truncation explains that what was written before, or about then, is not there. */
TEST(check_durability, truncations_explain_absence) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, made_now(&m));
    CHECK_EQ(made_run(&m, check_durability), 3);
    made_truncate(&m, 2);
    CHECK_EQ(made_run(&m, check_durability), 0);
    m.now_ns += MADE_STEP_NS;
    made_do(&m, HISTORY_PUT, 2, made_now(&m));
    CHECK_EQ(made_run(&m, check_durability), 3);
    made_begin(&m, HISTORY_TRUNCATE, 2); /* nobody knows when it is done */
    CHECK_EQ(made_run(&m, check_durability), 0);
    made_deinit(&m);
}

/* Nothing at all is fine when something that may be newer deleted it, and only then. */
TEST(check_durability, deletes_and_expiries_explain_absence) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_DELETE, 2, 5);
    made_do(&m, HISTORY_PUT, 2, 10);
    CHECK_EQ(made_run(&m, check_durability), 3);
    const uint32_t unknown = made_begin(&m, HISTORY_DELETE, 2);
    CHECK_EQ(made_run(&m, check_durability), 0);
    made_end(&m, unknown, HISTORY_REFUSED, 0);
    CHECK_EQ(made_run(&m, check_durability), 3);
    const uint32_t expiring = made_begin(&m, HISTORY_PUT, 2);
    history_op(&m.history, expiring)->ttl_ms = 1000;
    CHECK_EQ(made_run(&m, check_durability), 0);
    made_deinit(&m);
}

/* Each replica that loses its storage takes one of those that hold the write; at one
 * left nobody may lose it, at none nothing is promised. */
TEST(check_durability, losses_use_up_the_acknowledgements) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    history_loss(&m.history, 0);
    CHECK_EQ(made_run(&m, check_durability), 3);
    history_loss(&m.history, 2);
    const uint32_t later = made_do(&m, HISTORY_PUT, 1, 12);
    CHECK_EQ(made_run(&m, check_durability), 3);
    history_loss(&m.history, 1);
    m.rows[0] = (struct check_row){ .key = 0 };
    (void)later;
    struct findings f;
    findings_init(&f);
    check_durability(&m.check, &f);
    CHECK_EQ(f.count, 0);
    CHECK_EQ(f.checked, 0);
    made_deinit(&m);
}

/* A loss between a write and its answer counts as well: the answer tells of before. */
TEST(check_durability, a_late_answer_does_not_undo_a_loss) {
    struct made m;
    made_init(&m);
    const uint32_t op = made_begin(&m, HISTORY_PUT, 1);
    history_loss(&m.history, 0);
    made_end(&m, op, HISTORY_OK, 10);
    struct findings f;
    findings_init(&f);
    check_durability(&m.check, &f);
    CHECK_EQ(f.count, 0);
    made_do(&m, HISTORY_PUT, 1, 11);
    CHECK_EQ(made_run(&m, check_durability), 3);
    made_deinit(&m);
}
