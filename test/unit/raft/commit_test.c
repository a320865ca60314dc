/* tidy: integration. When an entry is committed, who is told, and what a read may rely on. */
#include "test/unit/raft/trace.h"

static struct trace t;

/* An entry is committed once a majority has it durably; the leader's own disk is one of them
 * and not a condition (10.2.1). */
TEST(raft_commit, majority_without_the_own_disk) {
    trace_lead(&t, trace_options(), 3);
    trace_propose(&t, "a");
    trace_forget(&t);
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, "");
    trace_ack(&t, 3, 2, 3);
    CHECK_TRACE(&t, "apply 3..3\n"
                    ">2 APPEND term 2 after 3/2 commit 3\n"
                    ">3 APPEND term 2 after 3/2 commit 3\n");
    CHECK(t.raft.log_durable == 2);
    trace_end(&t);
}

/* The leader's own entry counts only when it is durable. */
TEST(raft_commit, own_disk_counts_late) {
    trace_lead(&t, trace_options(), 3);
    trace_propose(&t, "a");
    trace_ack(&t, 2, 2, 3);
    trace_forget(&t);
    trace_stored(&t);
    CHECK_TRACE(&t, "apply 3..3\n"
                    ">2 APPEND term 2 after 3/2 commit 3\n"
                    ">3 APPEND term 2 after 3/2 commit 3\n");
    trace_end(&t);
}

/* A node that starts again comes back to what it had applied before anybody else is heard, and
 * no leader can take that back. */
TEST(raft_commit, restart_goes_on_where_it_was) {
    const struct raft_hard_state hard = { 3, 0 };
    trace_restart(&t, trace_options(), 3, hard, TERMS(2, 2, 3), 3); /* ends at 4/3 */
    CHECK_STATUS(raft_restore_commit(&t.raft, 5), ST_CORRUPT);
    CHECK_OK(raft_restore_commit(&t.raft, RAFT_BOOT_INDEX));
    CHECK_EQ(t.raft.commit, RAFT_BOOT_INDEX);
    CHECK_OK(raft_restore_commit(&t.raft, 3));
    CHECK_EQ(t.raft.applied, RAFT_BOOT_INDEX);
    trace_tick(&t, 0);
    CHECK_TRACE(&t, "apply 2..3\n");
    trace_tick(&t, 0);
    CHECK_TRACE(&t, "");
    /* A leader that tells less takes nothing back, and what is not committed is still its own. */
    trace_append(&t, 2, 4, 1, 1, 2, TERMS(2, 2, 4));
    CHECK_TRACE(&t, "follower of 2 term 4\n"
                    "hard term 4 vote 0\n"
                    "truncate 4\n"
                    "store 4..4\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 4 4\n");
    trace_heartbeat(&t, 2, 4, 4, 0);
    CHECK_TRACE(&t, "apply 4..4\n"
                    ">2 HEARTBEAT_REPLY term 4 round 0\n");
    trace_end(&t);
}

/* In a group of four a majority is three. */
TEST(raft_commit, even_groups) {
    trace_lead(&t, trace_options(), 4);
    trace_propose(&t, "a");
    trace_stored(&t);
    trace_forget(&t);
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, "");
    trace_ack(&t, 2, 2, 3); /* one node is one node */
    CHECK_TRACE(&t, "");
    trace_ack(&t, 4, 2, 3);
    CHECK_EQ(t.raft.commit, 3);
    trace_forget(&t);
    trace_end(&t);
}

/* Entries of earlier terms are not committed by counting, only by the own first entry (3.6.2,
 * figure 3.7). */
TEST(raft_commit, old_terms_wait_for_the_own) {
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 3, 0 }, TERMS(2, 3), 2);
    trace_tick(&t, 0);
    trace_tick(&t, 100);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 4);
    trace_stored(&t);
    trace_granted(&t, RAFT_VOTE_REPLY, 2, 4);
    trace_stored(&t);
    trace_forget(&t);
    trace_ack(&t, 2, 4, 3); /* 2/2 and 3/3 are on all three disks but one */
    CHECK_EQ(t.raft.commit, 1);
    trace_forget(&t);
    trace_ack(&t, 2, 4, 4);
    CHECK_TRACE(&t, "apply 2..4\n"
                    ">2 APPEND term 4 after 4/4 commit 4\n");
    trace_end(&t);
}

/* A follower commits what the leader has, as far as it knows its own log to be the same. */
TEST(raft_commit, follower) {
    const struct raft_hard_state hard = { 2, 0 };
    trace_restart(&t, trace_options(), 3, hard, TERMS(2, 2, 2), 3);
    trace_tick(&t, 0);
    trace_append(&t, 2, 3, 2, 2, 9, NO_TERMS); /* 3/2 and 4/2 may be others' */
    CHECK_TRACE(&t, "follower of 2 term 3\n"
                    "hard term 3 vote 0\n"
                    "apply 2..2\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 3 2\n");
    trace_append(&t, 2, 3, 2, 2, 4, TERMS(2, 3, 3));
    CHECK_TRACE(&t, "truncate 4\n"
                    "store 4..5\n"
                    "apply 3..4\n"
                    ">2 APPEND_REPLY term 3 3\n"); /* 3/2 was durable before */
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 3 5\n");
    trace_heartbeat(&t, 2, 3, 5, 0);
    CHECK_TRACE(&t, "apply 5..5\n"
                    ">2 HEARTBEAT_REPLY term 3 round 0\n");
    trace_heartbeat(&t, 2, 3, 4, 0); /* late */
    CHECK_TRACE(&t, ">2 HEARTBEAT_REPLY term 3 round 0\n");
    trace_heartbeat(&t, 2, 3, 6, 0); /* of an entry that this disk must have lost */
    CHECK_TRACE(&t, "result corrupt\n"
                    ">2 HEARTBEAT_REPLY term 3 round 0\n");
    trace_end(&t);
}

/* What is committed is not taken back, whoever asks for it. */
TEST(raft_commit, committed_entries_stay) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_append(&t, 2, 2, 1, 1, 3, TERMS(2, 2));
    trace_forget(&t);
    /* Of the entries before the commit index no term is compared. */
    trace_append(&t, 2, 2, 1, 1, 3, TERMS(1, 1, 1));
    CHECK_TRACE(&t, "result corrupt\n");
    CHECK_EQ(t.raft.log.last_index, 3);
    trace_end(&t);
}

/* A read is answered from the commit index once a majority has answered a heartbeat that left
 * after it was asked (6.4). */
TEST(raft_commit, read_index) {
    trace_lead(&t, trace_options(), 3);
    trace_read(&t, 70);
    CHECK_TRACE(&t, ">2 HEARTBEAT term 2 commit 2 round 1\n"
                    ">3 HEARTBEAT term 2 commit 2 round 1\n");
    trace_read(&t, 71);
    trace_forget(&t);
    trace_heartbeat_reply(&t, 2, 2, 0); /* of before */
    CHECK_TRACE(&t, "");
    trace_heartbeat_reply(&t, 2, 2, 1);
    CHECK_TRACE(&t, "read 70 at 2\n");
    trace_heartbeat_reply(&t, 3, 2, 2);
    CHECK_TRACE(&t, "read 71 at 2\n");
    trace_heartbeat_reply(&t, 3, 2, 3); /* of a round that never was */
    CHECK_TRACE(&t, "result corrupt\n");
    trace_end(&t);
}

/* A new leader does not know how far the last one had committed, so reads wait. */
TEST(raft_commit, no_reads_before_the_first_entry) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_read(&t, 1);
    CHECK_TRACE(&t, "result conflict\n");
    trace_tick(&t, 100);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 2);
    trace_stored(&t);
    trace_granted(&t, RAFT_VOTE_REPLY, 2, 2);
    trace_forget(&t);
    trace_read(&t, 2);
    CHECK_TRACE(&t, "result busy\n");
    trace_end(&t);
}

/* Reads that wait are bounded, and void when the leader gives up. */
TEST(raft_commit, reads_are_bounded) {
    trace_lead(&t, trace_options(), 3);
    for (uint32_t i = 0; i < RAFT_READS_MAX; i++) trace_read(&t, i);
    CHECK_EQ(t.effects.result.code, ST_OK);
    trace_read(&t, 99);
    CHECK_EQ(t.effects.result.code, ST_BUSY);
    trace_forget(&t);
    trace_conflict(&t, 2, 3, 0, 0, 0);
    CHECK_EQ(t.raft.read_count, 0);
    CHECK_EQ(t.effects.read_count, 0);
    trace_forget(&t);
    trace_end(&t);
}
