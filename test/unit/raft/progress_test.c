#include "raft/progress.h"

#include "test/unit/harness.h"

/* It begins as a probe from the end on, goes over to a window when the place is found, and
 * back when a message is refused. */
TEST(raft_progress, states) {
    struct raft_progress p;
    raft_progress_init(&p, 7, 10, 1000);
    CHECK_EQ(p.state, RAFT_PROBE);
    CHECK_EQ(p.next, 11);
    CHECK(p.append_due);
    raft_progress_sent(&p, 12);
    CHECK(p.paused);
    CHECK(!p.append_due);
    CHECK_EQ(p.next, 11); /* a probe takes nothing for granted */
    raft_progress_acknowledged(&p, 12);
    CHECK_EQ(p.state, RAFT_REPLICATE);
    CHECK_EQ(p.match, 12);
    CHECK_EQ(p.next, 13);
    raft_progress_sent(&p, 15);
    CHECK_EQ(p.next, 16);
    raft_progress_probe(&p, 14);
    CHECK_EQ(p.state, RAFT_PROBE);
    CHECK_EQ(p.inflight_count, 0);
    CHECK_EQ(p.match, 12);
    raft_progress_send_snapshot(&p, 40, 99);
    raft_progress_acknowledged(&p, 13); /* late; it is still behind */
    CHECK_EQ(p.state, RAFT_SENDS_SNAPSHOT);
    raft_progress_acknowledged(&p, 40);
    raft_progress_probe(&p, 41);
    raft_progress_acknowledged(&p, 40);
    CHECK_EQ(p.state, RAFT_REPLICATE);
    CHECK_EQ(p.next, 41);
}

/* The window gives places back from its oldest end, round and round. */
TEST(raft_progress, window) {
    struct raft_progress p;
    raft_progress_init(&p, 7, 0, 0);
    raft_progress_acknowledged(&p, 0);
    uint64_t last = 0;
    for (uint32_t round = 0; round < 10; round++) {
        while (p.inflight_count < RAFT_INFLIGHT_MAX) raft_progress_sent(&p, last += 3);
        raft_progress_sent(&p, last); /* an empty one takes no place */
        CHECK_EQ(p.inflight_count, RAFT_INFLIGHT_MAX);
        raft_progress_acknowledged(&p, last - 3 * 5 - 1);
        CHECK_EQ(p.inflight_count, 6);
        raft_progress_acknowledged(&p, 1); /* late */
        CHECK_EQ(p.inflight_count, 6);
        CHECK(raft_progress_check(&p));
    }
    raft_progress_acknowledged(&p, last);
    CHECK_EQ(p.inflight_count, 0);
}

/* What cannot be is a mistake of the caller. */
TEST(raft_progress, requirements) {
    struct raft_progress p;
    raft_progress_init(&p, 7, 10, 0);
    raft_progress_acknowledged(&p, 10);
    CHECK_ABORTS(raft_progress_probe(&p, 10));
    CHECK_ABORTS(raft_progress_send_snapshot(&p, 10, 0));
    raft_progress_send_snapshot(&p, 20, 0);
    CHECK_ABORTS(raft_progress_sent(&p, 12));
}
