#include "made_history.h"

/* Quorums that meet show what was acknowledged; others may miss it. */
TEST(check_stale, finds_a_read_that_misses_a_put) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    made_do(&m, HISTORY_PUT, 2, 20);
    made_do(&m, HISTORY_GET, 1, 10);
    made_do(&m, HISTORY_GET, 2, 20);
    CHECK_EQ(made_run(&m, check_stale), 0);
    made_do(&m, HISTORY_GET, 2, 10);
    CHECK_EQ(made_run(&m, check_stale), 1);
    made_do(&m, HISTORY_PUT, 3, 30);
    made_do(&m, HISTORY_GET, 1, 20);
    CHECK_EQ(made_run(&m, check_stale), 2);
    made_deinit(&m);
}

/* A read that misses it altogether needs a delete or an expiry for an excuse. */
TEST(check_stale, finds_a_read_that_finds_nothing) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    made_do(&m, HISTORY_GET, 2, 0);
    CHECK_EQ(made_run(&m, check_stale), 1);
    made_do(&m, HISTORY_DELETE, 2, 11);
    made_do(&m, HISTORY_GET, 2, 0);
    CHECK_EQ(made_run(&m, check_stale), 1);
    made_deinit(&m);
}

/* A value with a time to live explains absence once that time may be over. */
TEST(check_stale, an_expiry_is_an_excuse_when_it_is_due) {
    struct made m;
    made_init(&m);
    const uint32_t put = made_begin(&m, HISTORY_PUT, 2);
    history_op(&m.history, put)->ttl_ms = 60000;
    made_end(&m, put, HISTORY_OK, 10);
    made_do(&m, HISTORY_GET, 2, 0);
    CHECK_EQ(made_run(&m, check_stale), 1);
    history_op(&m.history, put)->ttl_ms = 1000;
    CHECK_EQ(made_run(&m, check_stale), 0);
    made_deinit(&m);
}

/* A loss before or during the read takes away what made the quorums meet. */
TEST(check_stale, allows_for_losses) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    const uint32_t during = made_begin(&m, HISTORY_GET, 2);
    history_loss(&m.history, 1);
    made_end(&m, during, HISTORY_OK, 5);
    made_do(&m, HISTORY_GET, 2, 5);
    made_do(&m, HISTORY_PUT, 2, 20);
    made_do(&m, HISTORY_GET, 2, 20);
    CHECK_EQ(made_run(&m, check_stale), 0);
    made_do(&m, HISTORY_GET, 2, 10);
    CHECK_EQ(made_run(&m, check_stale), 1);
    made_deinit(&m);
}

/* A key that a scan went past is one that it says is not there. */
TEST(check_stale, finds_a_scan_that_leaves_a_key_out) {
    struct made m;
    made_init(&m);
    made_do(&m, HISTORY_PUT, 2, 10);
    made_do(&m, HISTORY_ROW, 2, 10);
    made_do(&m, HISTORY_ROW, 1, 0);
    CHECK_EQ(made_run(&m, check_stale), 0);
    made_do(&m, HISTORY_ROW, 2, 0);
    CHECK_EQ(made_run(&m, check_stale), 1);
    made_deinit(&m);
}
