/* Who leads: what a node asks, promises and refuses, and when. */
#include "test/unit/raft/trace.h"

static struct trace t;

/* A candidate asks for pre-votes, then makes its vote durable, then asks for votes (9.6, 3.4). */
TEST(raft_election, pre_vote_then_vote) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_tick(&t, 99);
    CHECK_TRACE(&t, "");
    trace_tick(&t, 1);
    CHECK_TRACE(&t, "pre-candidate term 1\n"
                    ">2 PRE_VOTE term 2 log 1/1\n"
                    ">3 PRE_VOTE term 2 log 1/1\n");
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 2);
    CHECK_TRACE(&t, "candidate term 2\n"
                    "hard term 2 vote 1\n");
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 3, 2); /* too late to matter */
    CHECK_TRACE(&t, "");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 VOTE term 2 log 1/1\n"
                    ">3 VOTE term 2 log 1/1\n");
    trace_refused(&t, RAFT_VOTE_REPLY, 2, 2);
    CHECK_TRACE(&t, "");
    trace_granted(&t, RAFT_VOTE_REPLY, 3, 2);
    CHECK_TRACE(&t, "leader term 2\n"
                    "store 2..2\n"
                    ">2 APPEND term 2 after 1/1 commit 1 2/2\n"
                    ">3 APPEND term 2 after 1/1 commit 1 2/2\n");
    trace_end(&t);
}

/* One vote is one vote, however often it arrives, and those of others count for nothing. */
TEST(raft_election, votes_are_counted_once) {
    trace_begin(&t, trace_options(), 5);
    trace_tick(&t, 0);
    trace_tick(&t, 100);
    trace_forget(&t);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 2);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 2);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 9, 2); /* no voter */
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 4, 3); /* of another term */
    trace_refused(&t, RAFT_PRE_VOTE_REPLY, 5, 1);
    CHECK_TRACE(&t, "");
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 3, 2);
    CHECK_TRACE(&t, "candidate term 2\n"
                    "hard term 2 vote 1\n");
    trace_end(&t);
}

/* The random number spreads the timeout over one to two times the least. */
TEST(raft_election, timeout_is_random) {
    for (uint64_t random = 0; random < 250; random += 49) {
        trace_begin(&t, trace_options(), 3);
        trace_event(&t, (struct raft_event){ .kind = RAFT_TICK, .random = random });
        CHECK_EQ(t.effects.wake_at_ms, 100 + random % 100);
        trace_tick(&t, 100 + random % 100 - 1);
        CHECK_TRACE(&t, "");
        trace_tick(&t, 1);
        CHECK_EQ(t.effects.role, RAFT_PRE_CANDIDATE);
        trace_forget(&t);
        trace_end(&t);
    }
}

/* A voter alone elects itself, but not before its vote is durable. */
TEST(raft_election, alone) {
    trace_begin(&t, trace_options(), 1);
    trace_tick(&t, 0);
    trace_tick(&t, 100);
    CHECK_TRACE(&t, "candidate term 2\n"
                    "hard term 2 vote 1\n");
    trace_stored(&t);
    CHECK_TRACE(&t, "leader term 2\n"
                    "store 2..2\n");
    trace_stored(&t);
    CHECK_TRACE(&t, "apply 2..2\n");
    trace_tick(&t, 1000); /* it hears a majority: itself */
    CHECK_TRACE(&t, "");
    trace_end(&t);
}

/* Without a majority of pre-votes the term stays, however long it takes (9.6). */
TEST(raft_election, pre_votes_do_not_raise_the_term) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    for (uint32_t i = 0; i < 10; i++) {
        trace_tick(&t, 100);
        CHECK_TRACE(&t, i == 0 ? "pre-candidate term 1\n"
                                 ">2 PRE_VOTE term 2 log 1/1\n"
                                 ">3 PRE_VOTE term 2 log 1/1\n"
                               : ">2 PRE_VOTE term 2 log 1/1\n"
                                 ">3 PRE_VOTE term 2 log 1/1\n");
    }
    /* Who refuses because it is further on says so. */
    trace_refused(&t, RAFT_PRE_VOTE_REPLY, 2, 7);
    CHECK_TRACE(&t, "follower of 0 term 7\n"
                    "hard term 7 vote 0\n");
    trace_tick(&t, 100);
    CHECK_TRACE(&t, "pre-candidate term 7\n"
                    ">2 PRE_VOTE term 8 log 1/1\n"
                    ">3 PRE_VOTE term 8 log 1/1\n");
    trace_end(&t);
}

/* A vote is told only when it is durable, and given once in a term (3.4, 3.8). */
TEST(raft_election, vote_waits_for_the_disk) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_vote(&t, RAFT_VOTE, 2, 2, 1, 1);
    CHECK_TRACE(&t, "follower of 0 term 2\n"
                    "hard term 2 vote 2\n");
    trace_vote(&t, RAFT_VOTE, 2, 2, 1, 1); /* again, still not durable */
    CHECK_TRACE(&t, "");
    trace_vote(&t, RAFT_VOTE, 3, 2, 9, 1);
    CHECK_TRACE(&t, ">3 VOTE_REPLY term 2 refused\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 VOTE_REPLY term 2\n");
    trace_vote(&t, RAFT_VOTE, 2, 2, 1, 1); /* the answer was lost */
    CHECK_TRACE(&t, ">2 VOTE_REPLY term 2\n");
    trace_vote(&t, RAFT_VOTE, 3, 1, 0, 0);
    CHECK_TRACE(&t, ">3 VOTE_REPLY term 2 refused\n");
    trace_end(&t);
}

/* A vote that was overtaken by a later term before it was durable is never told. */
TEST(raft_election, overtaken_vote_is_not_told) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_vote(&t, RAFT_VOTE, 2, 2, 1, 1);
    const struct raft_mark first = t.mark;
    trace_vote(&t, RAFT_VOTE, 3, 3, 1, 1);
    CHECK_TRACE(&t, "follower of 0 term 2\n"
                    "hard term 2 vote 2\n"
                    "follower of 0 term 3\n"
                    "hard term 3 vote 3\n");
    trace_mark(&t, first);
    CHECK_TRACE(&t, "");
    trace_stored(&t);
    CHECK_TRACE(&t, ">3 VOTE_REPLY term 3\n");
    trace_end(&t);
}

/* After a restart the vote still holds, and a term that only the log knows is taken from it. */
TEST(raft_election, restart) {
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 5, 2 }, TERMS(2, 4), 2);
    trace_tick(&t, 0);
    trace_vote(&t, RAFT_VOTE, 3, 5, 9, 4);
    CHECK_TRACE(&t, ">3 VOTE_REPLY term 5 refused\n");
    trace_vote(&t, RAFT_VOTE, 2, 5, 9, 4);
    CHECK_TRACE(&t, ">2 VOTE_REPLY term 5\n");
    trace_end(&t);

    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 3, 2 }, TERMS(2, 4), 2);
    trace_tick(&t, 0);
    CHECK_TRACE(&t, "hard term 4 vote 0\n");
    trace_end(&t);
}

/* Nobody votes for a log that ends before the own one (3.6.1). */
TEST(raft_election, only_for_logs_up_to_date) {
    const struct raft_hard_state hard = { 4, 0 };
    for (uint32_t i = 0; i < 2; i++) {
        const enum raft_message_kind kind = i == 0 ? RAFT_PRE_VOTE : RAFT_VOTE;
        trace_restart(&t, trace_options(), 3, hard, TERMS(2, 4), 2); /* ends at 3/4 */
        trace_tick(&t, 0);
        trace_vote(&t, kind, 2, 5, 2, 4);
        CHECK(strstr(t.text, "refused") != NULL);
        trace_forget(&t);
        trace_vote(&t, kind, 2, 5, 100, 3);
        CHECK(strstr(t.text, "refused") != NULL);
        trace_forget(&t);
        trace_vote(&t, kind, 2, 5, 3, 4);
        trace_stored(&t);
        CHECK(strstr(t.text, kind == RAFT_VOTE ? ">2 VOTE_REPLY term 5\n"
                                               : ">2 PRE_VOTE_REPLY term 5\n") != NULL);
        trace_forget(&t);
        trace_end(&t);
    }
}

/* While a leader is heard no vote is given, pre-vote or not, and the term stays (4.2.3). */
TEST(raft_election, lease) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_heartbeat(&t, 2, 1, 1, 0);
    CHECK_TRACE(&t, "follower of 2 term 1\n"
                    ">2 HEARTBEAT_REPLY term 1 round 0\n");
    trace_tick(&t, 99);
    trace_vote(&t, RAFT_VOTE, 3, 9, 9, 1);
    CHECK_TRACE(&t, "");
    trace_vote(&t, RAFT_PRE_VOTE, 3, 9, 9, 1);
    CHECK_TRACE(&t, ">3 PRE_VOTE_REPLY term 1 refused\n");
    t.now_ms++;
    trace_vote(&t, RAFT_PRE_VOTE, 3, 9, 9, 1);
    CHECK_TRACE(&t, ">3 PRE_VOTE_REPLY term 9\n");
    trace_vote(&t, RAFT_VOTE, 3, 9, 9, 1);
    CHECK_TRACE(&t, "follower of 0 term 9\n"
                    "hard term 9 vote 3\n");
    trace_end(&t);
}

/* A leader that hears no majority for an election timeout gives up (6.2). */
TEST(raft_election, check_quorum) {
    trace_lead(&t, trace_options(), 5);
    trace_tick(&t, 90);
    trace_forget(&t);
    trace_heartbeat_reply(&t, 2, 2, 0);
    trace_heartbeat_reply(&t, 3, 2, 0);
    CHECK_TRACE(&t, "");
    trace_tick(&t, 99);
    CHECK_EQ(t.raft.role, RAFT_LEADER);
    trace_forget(&t);
    trace_heartbeat_reply(&t, 4, 2, 0); /* one is not enough */
    trace_forget(&t);
    trace_tick(&t, 1);
    CHECK_TRACE(&t, "follower of 0 term 2\n");
    trace_propose(&t, "x");
    CHECK_TRACE(&t, "result conflict\n");
    trace_end(&t);
}

/* A leader of a term that is over is told, and gives up (3.3). */
TEST(raft_election, stale_leader) {
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 5, 0 }, NULL, 0);
    trace_tick(&t, 0);
    trace_heartbeat(&t, 2, 4, 1, 0);
    trace_append(&t, 2, 4, 1, 1, 1, TERMS(4));
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 5 refused 0 has term 0 from 0\n"
                    ">2 APPEND_REPLY term 5 refused 0 has term 0 from 0\n");
    trace_end(&t);

    trace_lead(&t, trace_options(), 3);
    trace_conflict(&t, 2, 5, 0, 0, 0);
    CHECK_TRACE(&t, "follower of 0 term 5\n"
                    "hard term 5 vote 0\n");
    trace_end(&t);
}

/* Who is no voter never stands for election: it knows of no group, or only learns. */
TEST(raft_election, only_voters_stand) {
    trace_begin(&t, trace_options(), 0);
    trace_tick(&t, 0);
    for (uint32_t i = 0; i < 5; i++) trace_tick(&t, 1000);
    CHECK_TRACE(&t, "");
    trace_vote(&t, RAFT_PRE_VOTE, 2, 1, 1, 0); /* breaks a rule: an entry without a term */
    CHECK_TRACE(&t, "result corrupt\n");
    trace_end(&t);

    struct raft_options options = trace_options();
    options.id = 9;
    trace_begin(&t, options, 3);
    trace_tick(&t, 0);
    for (uint32_t i = 0; i < 5; i++) trace_tick(&t, 1000);
    CHECK_TRACE(&t, "");
    trace_end(&t);
}

/* Two leaders of one term cannot be; a message that says so is not believed. */
TEST(raft_election, another_leader_of_the_same_term) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_heartbeat(&t, 2, 1, 1, 0);
    trace_forget(&t);
    trace_heartbeat(&t, 3, 1, 1, 0);
    CHECK_TRACE(&t, "result corrupt\n");
    trace_end(&t);
    trace_lead(&t, trace_options(), 3);
    trace_append(&t, 3, 2, 1, 1, 1, NO_TERMS);
    CHECK_TRACE(&t, "result corrupt\n");
    trace_end(&t);
}
