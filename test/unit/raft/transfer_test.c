/* tidy: integration. A leader hands over to another voter (3.10). */
#include "test/unit/raft/trace.h"

static struct trace t;

/* The target is first brought up to date; meanwhile nothing new is taken. */
TEST(raft_transfer, after_catching_up) {
    trace_lead(&t, trace_options(), 3);
    trace_propose(&t, "a");
    trace_forget(&t);
    trace_transfer(&t, 2);
    CHECK_TRACE(&t, "");
    trace_propose(&t, "b");
    trace_change(&t, RAFT_CHANGE_ADD, 9);
    trace_transfer(&t, 3);
    CHECK_TRACE(&t, "result busy\nresult busy\nresult busy\n");
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, ">2 TIMEOUT_NOW term 2\n");
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, ""); /* once is enough */
    trace_vote(&t, RAFT_VOTE, 2, 3, 3, 2);
    CHECK_TRACE(&t, ""); /* without the flag it would be a disturbance */
    trace_receive(
        &t,
        (struct raft_message){
            .kind = RAFT_VOTE, .from = 2, .term = 3, .index = 3, .log_term = 2, .transfer = true });
    CHECK_TRACE(&t, "follower of 0 term 3\n"
                    "hard term 3 vote 2\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 VOTE_REPLY term 3\n");
    trace_end(&t);
}

/* One that is up to date is told at once. */
TEST(raft_transfer, at_once) {
    trace_lead(&t, trace_options(), 3);
    trace_transfer(&t, 3);
    CHECK_TRACE(&t, ">3 TIMEOUT_NOW term 2\n");
    trace_end(&t);
}

/* Or once it has shown that its disk takes something, though that of this node may not. */
TEST(raft_transfer, proved) {
    trace_lead(&t, trace_options(), 3);
    trace_event(&t, (struct raft_event){ .kind = RAFT_TRANSFER, .node = 3, .prove = true });
    CHECK_TRACE(&t, "store 3..3\n"
                    ">2 APPEND term 2 after 2/2 commit 2 3/2\n"
                    ">3 APPEND term 2 after 2/2 commit 2 3/2\n");
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, ""); /* nor has this node stored it */
    trace_ack(&t, 3, 2, 3);
    CHECK_TRACE(&t, "apply 3..3\n"
                    ">2 APPEND term 2 after 3/2 commit 3\n"
                    ">3 APPEND term 2 after 3/2 commit 3\n"
                    ">3 TIMEOUT_NOW term 2\n");
    trace_end(&t);
}

/* If nothing comes of it within an election timeout the leader goes on. */
TEST(raft_transfer, given_up) {
    trace_lead(&t, trace_options(), 3);
    trace_transfer(&t, 3);
    t.now_ms += 50;
    trace_heartbeat_reply(&t, 2, 2, 0);
    trace_forget(&t);
    trace_tick(&t, 49);
    trace_forget(&t);
    trace_propose(&t, "a");
    CHECK_TRACE(&t, "result busy\n");
    trace_tick(&t, 1);
    trace_forget(&t);
    trace_propose(&t, "a");
    CHECK_TRACE(&t, "store 3..3\n"
                    ">2 APPEND term 2 after 2/2 commit 2 3/2\n"
                    ">3 APPEND term 2 after 2/2 commit 2 3/2\n");
    trace_end(&t);
}

/* Only a voter other than the leader can be the target, and only a leader can hand over. */
TEST(raft_transfer, refused) {
    trace_lead(&t, trace_options(), 3);
    trace_transfer(&t, 1);
    trace_transfer(&t, 9);
    CHECK_TRACE(&t, "result invalid\nresult invalid\n");
    trace_end(&t);
    trace_begin(&t, trace_options(), 3);
    trace_transfer(&t, 2);
    CHECK_TRACE(&t, "result conflict\n");
    trace_end(&t);
}

/* The target stands at once, without pre-votes, and says why. */
TEST(raft_transfer, target) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_heartbeat(&t, 2, 1, 1, 0);
    trace_forget(&t);
    trace_granted(&t, RAFT_TIMEOUT_NOW, 3, 1); /* not from the leader */
    CHECK_TRACE(&t, "");
    trace_granted(&t, RAFT_TIMEOUT_NOW, 2, 1);
    CHECK_TRACE(&t, "candidate term 2\n"
                    "hard term 2 vote 1\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 VOTE term 2 transfer log 1/1\n"
                    ">3 VOTE term 2 transfer log 1/1\n");
    trace_granted(&t, RAFT_TIMEOUT_NOW, 2, 1); /* again, and late */
    CHECK_TRACE(&t, "");
    trace_end(&t);
}

/* A learner or a stranger does not stand, whoever asks for it. */
TEST(raft_transfer, target_that_may_not) {
    struct raft_options options = trace_options();
    options.id = 9;
    trace_begin(&t, options, 3);
    trace_tick(&t, 0);
    trace_heartbeat(&t, 2, 1, 1, 0);
    trace_forget(&t);
    trace_granted(&t, RAFT_TIMEOUT_NOW, 2, 1);
    CHECK_TRACE(&t, "");
    trace_end(&t);
}
