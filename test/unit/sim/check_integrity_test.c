#include "made_history.h"

/* Whatever is read or kept was written there, before, under that version. */
TEST(check_integrity, finds_values_out_of_place) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 1);
    const uint32_t get = made_do(&m, HISTORY_GET, 2, 1);
    made_rows(&m, 1);
    CHECK_EQ(made_run(&m, check_integrity), 0);
    const struct history_op good = *history_op(&m.history, get);

    history_op(&m.history, get)->foreign = true;
    CHECK_EQ(made_run(&m, check_integrity), 1);
    *history_op(&m.history, get) = good;
    history_op(&m.history, get)->value = 2; /* never written */
    CHECK_EQ(made_run(&m, check_integrity), 1);
    *history_op(&m.history, get) = good;
    history_op(&m.history, get)->version = made_version(2);
    CHECK_EQ(made_run(&m, check_integrity), 1);
    *history_op(&m.history, get) = good;
    history_op(&m.history, get)->version = made_version(0);
    CHECK_EQ(made_run(&m, check_integrity), 1);
    *history_op(&m.history, get) = good;
    history_op(&m.history, get)->key = 1;
    CHECK_EQ(made_run(&m, check_integrity), 1);
    made_deinit(&m);
}

/* The same holds of what the nodes keep. */
TEST(check_integrity, finds_foreign_rows) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 1);
    made_rows(&m, 1);
    m.rows[1].foreign = true;
    CHECK_EQ(made_run(&m, check_integrity), 1);
    m.rows[1].foreign = false;
    m.rows[1].value = 9;
    CHECK_EQ(made_run(&m, check_integrity), 1);
    m.rows[1].absent = true; /* a tombstone has none */
    CHECK_EQ(made_run(&m, check_integrity), 0);
    made_deinit(&m);
}

/* A write that a node said it had not done, and one that was not asked for yet. */
TEST(check_integrity, finds_values_that_must_not_be) {
    struct made m;
    made_init(&m);
    const uint32_t refused = made_begin(&m, HISTORY_PUT, 2);
    history_op(&m.history, refused)->value = 1;
    made_end(&m, refused, HISTORY_REFUSED, 0);
    history_op(&m.history, refused)->value = 1;
    made_do(&m, HISTORY_GET, 2, 1);
    CHECK_EQ(made_run(&m, check_integrity), 1);
    made_do(&m, HISTORY_GET, 2, 2);
    made_do(&m, HISTORY_PUT, 2, 2);
    CHECK_EQ(made_run(&m, check_integrity), 2);
    made_deinit(&m);
}

/* A write of which nobody knows what became of it may show, but under one version. */
TEST(check_integrity, an_unknown_write_has_one_version) {
    struct made m;
    made_init(&m);
    const uint32_t unknown = made_begin(&m, HISTORY_PUT, 2);
    history_op(&m.history, unknown)->value = 1;
    const uint32_t first = made_do(&m, HISTORY_GET, 2, 7);
    history_op(&m.history, first)->value = 1;
    const uint32_t second = made_do(&m, HISTORY_GET, 2, 7);
    history_op(&m.history, second)->value = 1;
    CHECK_EQ(made_run(&m, check_integrity), 0);
    history_op(&m.history, second)->version = made_version(8);
    CHECK_EQ(made_run(&m, check_integrity), 1);
    made_deinit(&m);
}
