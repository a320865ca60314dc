/* tidy: integration. Changes of membership, one at a time (4.1 to 4.3). */
#include "test/unit/raft/trace.h"

static struct trace t;

static void commit_all(uint32_t from, uint32_t to) {
    trace_stored(&t);
    for (uint32_t id = from; id <= to; id++) trace_ack(&t, id, t.raft.term, t.raft.log.last_index);
}

/* A change counts as soon as it is in the log, and the next waits until it is committed. */
TEST(raft_membership, one_at_a_time) {
    trace_lead(&t, trace_options(), 3);
    trace_change(&t, RAFT_CHANGE_ADD, 4);
    CHECK_TRACE(&t, "store 3..3\n"
                    ">2 APPEND term 2 after 2/2 commit 2 3/2\n"
                    ">3 APPEND term 2 after 2/2 commit 2 3/2\n"
                    ">4 APPEND term 2 after 3/2 commit 2\n");
    CHECK(raft_config_is_member(&t.raft.config, 4));
    trace_change(&t, RAFT_CHANGE_ADD, 5);
    CHECK_TRACE(&t, "result busy\n");
    trace_stored(&t);
    trace_ack(&t, 2, 2, 3);
    trace_forget(&t);
    trace_change(&t, RAFT_CHANGE_ADD, 4);
    trace_change(&t, RAFT_CHANGE_PROMOTE, 7);
    trace_change(&t, RAFT_CHANGE_DEMOTE, 4);
    trace_change(&t, RAFT_CHANGE_REMOVE, 7);
    CHECK_TRACE(&t, "result conflict\nresult conflict\nresult conflict\nresult conflict\n");
    trace_change(&t, RAFT_CHANGE_ADD, 0);
    trace_change(&t, (enum raft_change_kind)9, 5);
    CHECK_TRACE(&t, "result invalid\nresult invalid\n");
    trace_change(&t, RAFT_CHANGE_ADD, 5);
    CHECK_EQ(t.effects.index, 4);
    trace_forget(&t);
    trace_end(&t);
}

/* Before an entry of its own is committed a leader changes nothing: it may not know of the
 * last change. */
TEST(raft_membership, not_before_the_first_entry) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_change(&t, RAFT_CHANGE_ADD, 4);
    CHECK_TRACE(&t, "result conflict\n");
    trace_tick(&t, 100);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 2);
    trace_stored(&t);
    trace_granted(&t, RAFT_VOTE_REPLY, 2, 2);
    trace_forget(&t);
    trace_change(&t, RAFT_CHANGE_ADD, 4);
    CHECK_TRACE(&t, "result busy\n");
    trace_end(&t);
}

/* A learner does not count, and is promoted only when it is caught up and was heard. */
TEST(raft_membership, learners) {
    trace_lead(&t, trace_options(), 1);
    trace_change(&t, RAFT_CHANGE_ADD, 2);
    trace_stored(&t);
    CHECK_EQ(t.raft.commit, 3); /* without it */
    trace_change(&t, RAFT_CHANGE_PROMOTE, 2);
    CHECK_EQ(t.effects.result.code, ST_BUSY);
    trace_ack(&t, 2, 2, 3);
    trace_forget(&t);
    t.now_ms += 100;
    trace_change(&t, RAFT_CHANGE_PROMOTE, 2);
    CHECK_TRACE(&t, "result busy\n"); /* it was not heard for so long */
    trace_ack(&t, 2, 2, 3);
    trace_change(&t, RAFT_CHANGE_PROMOTE, 2);
    CHECK_TRACE(&t, "store 4..4\n"
                    ">2 APPEND term 2 after 3/2 commit 3 4/2\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ""); /* now it counts, for this very entry */
    trace_ack(&t, 2, 2, 4);
    CHECK_EQ(t.raft.commit, 4);
    trace_forget(&t);
    trace_change(&t, RAFT_CHANGE_DEMOTE, 2);
    trace_stored(&t);
    CHECK_EQ(t.raft.commit, 5);
    trace_forget(&t);
    trace_end(&t);
}

/* A follower takes a change when it is appended and gives it back when it is cut. */
TEST(raft_membership, rolled_back) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    uint8_t data[RAFT_CHANGE_BYTES];
    raft_change_encode((struct raft_change){ RAFT_CHANGE_ADD, 7 }, data);
    const struct raft_entry entries[] = {
        { .index = 2, .term = 2, .kind = RAFT_ENTRY_EMPTY },
        { .index = 3, .term = 2, .kind = RAFT_ENTRY_CONFIG, .data = bytes_of(data, sizeof data) },
    };
    const struct raft_message m = { .kind = RAFT_APPEND,
                                    .from = 2,
                                    .term = 2,
                                    .index = 1,
                                    .log_term = 1,
                                    .entries = entries,
                                    .entry_count = 2 };
    trace_receive(&t, m);
    CHECK(raft_config_is_member(&t.raft.config, 7));
    CHECK_EQ(t.raft.config_index, 3);
    trace_forget(&t);
    trace_append(&t, 3, 3, 2, 2, 1, TERMS(3));
    CHECK_TRACE(&t, "follower of 3 term 3\n"
                    "hard term 3 vote 0\n"
                    "truncate 3\n"
                    "store 3..3\n");
    CHECK(!raft_config_is_member(&t.raft.config, 7));
    CHECK_EQ(t.raft.config_index, 1);
    trace_end(&t);
}

/* A change that cannot be made is no entry of a working leader. */
TEST(raft_membership, impossible_change) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    uint8_t data[RAFT_CHANGE_BYTES];
    raft_change_encode((struct raft_change){ RAFT_CHANGE_PROMOTE, 2 }, data);
    const struct raft_entry entry = {
        .index = 2, .term = 2, .kind = RAFT_ENTRY_CONFIG, .data = bytes_of(data, sizeof data)
    };
    const struct raft_message m = { .kind = RAFT_APPEND,
                                    .from = 2,
                                    .term = 2,
                                    .index = 1,
                                    .log_term = 1,
                                    .entries = &entry,
                                    .entry_count = 1 };
    trace_receive(&t, m);
    CHECK_TRACE(&t, "result corrupt\n"
                    "follower of 2 term 2\n"
                    "hard term 2 vote 0\n");
    CHECK_EQ(t.raft.log.last_index, 1);
    trace_end(&t);
}

/* A leader that is removed leads, without counting itself, until that is committed (4.2.2). */
TEST(raft_membership, removed_leader) {
    trace_lead(&t, trace_options(), 3);
    trace_change(&t, RAFT_CHANGE_REMOVE, 1);
    trace_stored(&t);
    trace_forget(&t);
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, ""); /* of two voters one is no majority */
    trace_ack(&t, 3, 2, 3);
    CHECK_TRACE(&t, "follower of 0 term 2\n"
                    "apply 3..3\n"
                    ">2 APPEND term 2 after 3/2 commit 3\n"
                    ">3 APPEND term 2 after 3/2 commit 3\n");
    trace_tick(&t, 1000);
    CHECK_TRACE(&t, ""); /* it is out, and knows it */
    trace_end(&t);
}

/* Until its removal is committed it may be the only one with the longest log, so it still
 * stands for election (4.2.2). */
TEST(raft_membership, removed_leader_may_be_needed) {
    trace_lead(&t, trace_options(), 2);
    trace_change(&t, RAFT_CHANGE_REMOVE, 1);
    trace_stored(&t);
    trace_tick(&t, 100); /* node 2 is not heard */
    CHECK_EQ(t.raft.role, RAFT_FOLLOWER);
    trace_forget(&t);
    trace_tick(&t, 100);
    CHECK_TRACE(&t, "pre-candidate term 2\n"
                    ">2 PRE_VOTE term 3 log 3/2\n");
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 3);
    trace_stored(&t);
    trace_forget(&t);
    trace_granted(&t, RAFT_VOTE_REPLY, 2, 3);
    CHECK_TRACE(&t, "leader term 3\n"
                    "store 4..4\n"
                    ">2 APPEND term 3 after 3/2 commit 2 4/3\n");
    trace_ack(&t, 2, 3, 4);
    CHECK_EQ(t.raft.role, RAFT_FOLLOWER);
    CHECK_EQ(t.raft.commit, 4);
    trace_forget(&t);
    trace_end(&t);
}

/* At most 7 voters, and never none. */
TEST(raft_membership, limits) {
    trace_lead(&t, trace_options(), 7);
    trace_change(&t, RAFT_CHANGE_ADD, 8);
    commit_all(2, 8);
    trace_change(&t, RAFT_CHANGE_PROMOTE, 8);
    CHECK_EQ(t.effects.result.code, ST_FULL);
    for (uint32_t id = 7; id >= 2; id--) {
        trace_change(&t, RAFT_CHANGE_REMOVE, id);
        CHECK_EQ(t.effects.result.code, ST_OK);
        commit_all(2, id - 1);
    }
    trace_change(&t, RAFT_CHANGE_REMOVE, 1);
    CHECK_EQ(t.effects.result.code, ST_CONFLICT);
    trace_change(&t, RAFT_CHANGE_DEMOTE, 1);
    CHECK_EQ(t.effects.result.code, ST_CONFLICT);
    CHECK_EQ(t.raft.config.voter_count, 1);
    trace_forget(&t);
    trace_end(&t);
}

/* A removed node is sent nothing more, and what it still says counts for nothing. */
TEST(raft_membership, removed_follower) {
    trace_lead(&t, trace_options(), 3);
    trace_change(&t, RAFT_CHANGE_REMOVE, 3);
    commit_all(2, 2);
    CHECK_EQ(t.raft.commit, 3);
    trace_forget(&t);
    trace_propose(&t, "a");
    CHECK_TRACE(&t, "store 4..4\n"
                    ">2 APPEND term 2 after 3/2 commit 3 4/2\n");
    trace_stored(&t);
    trace_ack(&t, 3, 2, 4);
    trace_vote(&t, RAFT_VOTE, 3, 9, 9, 2); /* nor does it disturb (4.2.3) */
    CHECK_TRACE(&t, "");
    CHECK_EQ(t.raft.commit, 3);
    trace_end(&t);
}
