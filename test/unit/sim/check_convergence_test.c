#include "made_history.h"

/* Replicas that differ in anything a reader could tell are found. */
TEST(check_convergence, finds_each_difference) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    made_rows(&m, 10);
    CHECK_EQ(made_run(&m, check_convergence), 0);
    const struct check_row same = m.rows[2];
    m.rows[2].ballot = made_version(11);
    CHECK_EQ(made_run(&m, check_convergence), 1);
    m.rows[2] = same;
    m.rows[2].flags = 1;
    CHECK_EQ(made_run(&m, check_convergence), 1);
    m.rows[2] = same;
    m.rows[2].expires_at_ms = 1;
    CHECK_EQ(made_run(&m, check_convergence), 1);
    m.rows[2] = same;
    m.rows[2].value_hash++;
    CHECK_EQ(made_run(&m, check_convergence), 1);
    made_deinit(&m);
}

/* A value that some replica lacks is found; a tombstone that one has forgotten, or lost, is not. */
TEST(check_convergence, finds_what_is_missing) {
    struct made m;
    made_init(&m);
    made_row(&m, 0, 0, 10);
    made_row(&m, 0, 2, 10);
    CHECK_EQ(made_run(&m, check_convergence), 1);
    m.rows[0].absent = m.rows[1].absent = true;
    CHECK_EQ(made_run(&m, check_convergence), 0);
    m.rows[1].ballot = made_version(9);
    CHECK_EQ(made_run(&m, check_convergence), 0);
    m.rows[1].absent = false;
    CHECK_EQ(made_run(&m, check_convergence), 1);
    made_deinit(&m);
}

/* What a node holds that is no replica of the key is nobody's business. */
TEST(check_convergence, looks_at_replicas_only) {
    struct made m;
    made_init(&m);
    made_row(&m, 1, 0, 10);
    made_row(&m, 1, 1, 10);
    made_row(&m, 1, 2, 3);
    CHECK_EQ(made_run(&m, check_convergence), 0);
    made_deinit(&m);
}
