/* A call's time is charged to what it waited for when it leaves that state. */
#include "shard/call.h"

#include "harness.h"

#define MS UINT64_C(1000000)

TEST(call, charges_each_wait) {
    struct call c = { .state = CALL_IDLE };
    call_move(&c, CALL_SENT, 10 * MS);
    call_move(&c, CALL_QUEUED, 11 * MS);
    call_move(&c, CALL_SENT, 20 * MS); /* behind an earlier call: no phase of its own */
    call_move(&c, CALL_STALLED, 20 * MS);
    call_move(&c, CALL_SENT, 23 * MS);
    call_move(&c, CALL_FETCHING, 23 * MS);
    call_move(&c, CALL_SENT, 30 * MS);
    call_move(&c, CALL_HELD, 30 * MS);
    call_move(&c, CALL_ANSWERED, 41 * MS);
    CHECK_EQ(c.spent_us[CALL_PHASE_STALL], 3000);
    CHECK_EQ(c.spent_us[CALL_PHASE_READ], 7000);
    CHECK_EQ(c.spent_us[CALL_PHASE_REPLICAS], 0);
    CHECK_EQ(c.spent_us[CALL_PHASE_LOG], 11000);
    call_move(&c, CALL_SENT, 50 * MS); /* the next page: a new account */
    CHECK_EQ(c.spent_us[CALL_PHASE_LOG], 0);
}

/* Of a wait for replicas, the end in which only the own one was missing is the disk's or log's. */
TEST(call, splits_the_wait_for_replicas) {
    struct call c = { .state = CALL_SENT };
    call_move(&c, CALL_ASKING, 100 * MS);
    c.own_since_ns = 130 * MS;
    c.own_phase = CALL_PHASE_LOG;
    call_move(&c, CALL_ANSWERED, 170 * MS);
    CHECK_EQ(c.spent_us[CALL_PHASE_REPLICAS], 30000);
    CHECK_EQ(c.spent_us[CALL_PHASE_LOG], 40000);
    CHECK_EQ(c.own_since_ns, 0);
}

/* The turn of another shard may have begun before the one that sent the call. */
TEST(call, a_turn_from_before) {
    struct call c = { .state = CALL_IDLE };
    call_move(&c, CALL_SENT, 100 * MS);
    call_move(&c, CALL_FETCHING, 90 * MS);
    call_move(&c, CALL_SENT, 80 * MS);
    CHECK_EQ(c.spent_us[CALL_PHASE_READ], 0);
}
