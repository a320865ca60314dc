/* tidy: integration. How entries get from a leader's log into the others: append.c and
 * replicate.c, each side by itself. */
#include "test/unit/raft/trace.h"

static struct trace t;

/* Entries are sent in batches of bounded count, ahead of the answers, up to a window. */
TEST(raft_replication, batches_and_window) {
    trace_lead(&t, trace_options(), 2);
    trace_propose(&t, "a");
    CHECK_TRACE(&t, "store 3..3\n"
                    ">2 APPEND term 2 after 2/2 commit 2 3/2\n");
    CHECK_EQ(t.effects.index, 3);
    trace_propose(&t, "b");
    CHECK_TRACE(&t, "store 4..4\n"
                    ">2 APPEND term 2 after 3/2 commit 2 4/2\n");
    for (uint32_t i = 0; i < 6; i++) trace_propose(&t, "c");
    CHECK_TRACE(&t, "store 5..5\nstore 6..6\nstore 7..7\nstore 8..8\nstore 9..9\nstore 10..10\n");
    trace_ack(&t, 2, 2, 3); /* one place in the window; four entries are a batch */
    CHECK_TRACE(&t, ">2 APPEND term 2 after 4/2 commit 2 5/2 6/2 7/2 8/2\n");
    trace_ack(&t, 2, 2, 8); /* acknowledges what came before, too */
    CHECK_TRACE(&t, ">2 APPEND term 2 after 8/2 commit 2 9/2 10/2\n");
    trace_end(&t);
}

/* A batch is bounded in bytes; an entry that is longer travels alone. */
TEST(raft_replication, batch_bytes) {
    char long_text[101];
    char half_text[41];
    memset(long_text, 'x', 100), long_text[100] = '\0';
    memset(half_text, 'x', 40), half_text[40] = '\0';
    struct raft_options options = trace_options();
    options.inflight_max = 1;
    trace_lead(&t, options, 2);
    trace_propose(&t, "a");
    trace_propose(&t, long_text);
    trace_propose(&t, half_text);
    trace_propose(&t, half_text);
    trace_forget(&t);
    trace_ack(&t, 2, 2, 3);
    CHECK_TRACE(&t, ">2 APPEND term 2 after 3/2 commit 2 4/2\n");
    trace_ack(&t, 2, 2, 4);
    CHECK_TRACE(&t, ">2 APPEND term 2 after 4/2 commit 2 5/2\n");
    trace_ack(&t, 2, 2, 5);
    CHECK_TRACE(&t, ">2 APPEND term 2 after 5/2 commit 2 6/2\n");
    trace_end(&t);
}

/* The window of entries is bounded, in count and in bytes, and keeps room for leaders. */
TEST(raft_replication, full_log) {
    trace_lead(&t, trace_options(), 2);
    uint32_t taken = 0;
    while (status_ok(t.effects.result) && taken < 100) {
        trace_propose(&t, "x");
        taken++;
    }
    CHECK_EQ(t.effects.result.code, ST_FULL);
    CHECK_EQ(t.raft.log.last_index - t.raft.log.base_index, 64 - 64 / 4);
    trace_forget(&t);
    static char long_text[RAFT_ENTRY_BYTES_MAX + 2];
    memset(long_text, 'x', sizeof long_text - 1);
    trace_propose(&t, long_text);
    CHECK_TRACE(&t, "result invalid\n");
    trace_end(&t);
}

/* A follower acknowledges what is durable, no more (10.2.1), and nothing before its term is. */
TEST(raft_replication, acknowledge_what_is_durable) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_append(&t, 2, 2, 1, 1, 1, TERMS(2, 2));
    CHECK_TRACE(&t, "follower of 2 term 2\n"
                    "hard term 2 vote 0\n"
                    "store 2..3\n");
    const struct raft_mark first = t.mark;
    trace_append(&t, 2, 2, 3, 2, 1, TERMS(2));
    CHECK_TRACE(&t, "store 4..4\n");
    trace_mark(&t, first);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 2 3\n");
    trace_append(&t, 2, 2, 4, 2, 1, NO_TERMS); /* a probe does not hurry the disk */
    CHECK_TRACE(&t, "");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 2 4\n");
    trace_append(&t, 2, 2, 1, 1, 1, TERMS(2, 2)); /* a repeated message takes nothing back */
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 2 4\n");
    trace_end(&t);
}

/* A mark of a write whose entries were overruled meanwhile says nothing about the new ones. */
TEST(raft_replication, late_mark_of_a_cut_entry) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_append(&t, 2, 2, 1, 1, 1, TERMS(2, 2, 2));
    const struct raft_mark old = t.mark;
    trace_forget(&t);
    trace_append(&t, 3, 3, 2, 2, 1, TERMS(3));
    CHECK_TRACE(&t, "follower of 3 term 3\n"
                    "hard term 3 vote 0\n"
                    "truncate 3\n"
                    "store 3..3\n");
    trace_mark(&t, old);
    CHECK_TRACE(&t, "");
    trace_stored(&t);
    CHECK_TRACE(&t, ">3 APPEND_REPLY term 3 3\n");
    trace_end(&t);
}

/* A follower whose log parts from the leader's says where its term begins (3.5). */
TEST(raft_replication, conflict_term_and_index) {
    const struct raft_hard_state hard = { 4, 0 };
    /* 2/2 3/2 4/4 5/4 6/4 */
    trace_restart(&t, trace_options(), 3, hard, TERMS(2, 2, 4, 4, 4), 5);
    trace_tick(&t, 0);
    trace_append(&t, 2, 7, 9, 6, 1, TERMS(7));
    trace_append(&t, 2, 7, 6, 5, 1, TERMS(7));
    trace_append(&t, 2, 7, 3, 3, 1, TERMS(7));
    CHECK_TRACE(&t, "follower of 2 term 7\n"
                    "hard term 7 vote 0\n"
                    ">2 APPEND_REPLY term 7 refused 9 has term 0 from 7\n"
                    ">2 APPEND_REPLY term 7 refused 6 has term 4 from 4\n"
                    ">2 APPEND_REPLY term 7 refused 3 has term 2 from 2\n");
    trace_append(&t, 2, 7, 2, 2, 1, TERMS(7));
    CHECK_TRACE(&t, "truncate 3\nstore 3..3\n");
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 7 3\n");
    trace_end(&t);
}

static void lead_with_history(void) {
    /* 2/2 3/2 4/4 5/4 6/6 7/6 */
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 7, 0 }, TERMS(2, 2, 4, 4, 6, 6),
                  6);
    trace_tick(&t, 0);
    trace_tick(&t, 100);
    trace_granted(&t, RAFT_PRE_VOTE_REPLY, 2, 8);
    trace_stored(&t);
    trace_granted(&t, RAFT_VOTE_REPLY, 2, 8);
    trace_stored(&t);
    CHECK(strstr(t.text, ">2 APPEND term 8 after 7/6 commit 1 8/8\n") != NULL);
    trace_forget(&t);
}

/* The leader goes back by whole terms, and each probe is one message (3.5). */
TEST(raft_replication, back_up_by_terms) {
    lead_with_history();
    trace_tick(&t, 19); /* the probe is on the way: nothing more goes out */
    CHECK_TRACE(&t, "");
    trace_conflict(&t, 2, 8, 7, 5, 5); /* a term that the leader has none of */
    CHECK_TRACE(&t, ">2 APPEND term 8 after 4/4 commit 1 5/4 6/6 7/6 8/8\n");
    trace_conflict(&t, 2, 8, 7, 5, 5); /* the same again: stale */
    CHECK_TRACE(&t, "");
    trace_conflict(&t, 2, 8, 4, 2, 2); /* its last entry of term 2 is where they may agree */
    CHECK_TRACE(&t, ">2 APPEND term 8 after 3/2 commit 1 4/4 5/4 6/6 7/6\n");
    trace_ack(&t, 2, 8, 7); /* and on, with a window; own term first, so nothing commits */
    CHECK_TRACE(&t, ">2 APPEND term 8 after 7/6 commit 1 8/8\n");
    trace_ack(&t, 2, 8, 8);
    CHECK_TRACE(&t, "apply 2..8\n"
                    ">2 APPEND term 8 after 8/8 commit 8\n");
    trace_end(&t);
}

/* A follower with a short log is asked at its end; one that says less than it did is ignored. */
TEST(raft_replication, back_up_to_the_end_of_a_short_log) {
    lead_with_history();
    trace_conflict(&t, 3, 8, 7, 0, 3);
    CHECK_TRACE(&t, ">3 APPEND term 8 after 2/2 commit 1 3/2 4/4 5/4 6/6\n");
    trace_ack(&t, 3, 8, 6);
    CHECK_TRACE(&t, ">3 APPEND term 8 after 6/6 commit 1 7/6 8/8\n");
    trace_conflict(&t, 3, 8, 5, 4, 4);
    trace_conflict(&t, 3, 8, 99, 0, 50);
    CHECK_TRACE(&t, "");
    trace_ack(&t, 3, 8, 99); /* more than there is */
    CHECK_TRACE(&t, "result corrupt\n");
    trace_end(&t);
}

/* What is lost is found by the next heartbeat's answer, with an empty probe if the window is
 * full. */
TEST(raft_replication, lost_appends) {
    struct raft_options options = trace_options();
    options.inflight_max = 1;
    trace_lead(&t, options, 2);
    trace_propose(&t, "a");
    trace_propose(&t, "b");
    trace_forget(&t);
    trace_heartbeat_reply(&t, 2, 2, 0);
    CHECK_TRACE(&t, ">2 APPEND term 2 after 3/2 commit 2\n");
    trace_conflict(&t, 2, 2, 3, 0, 3);
    CHECK_TRACE(&t, ">2 APPEND term 2 after 2/2 commit 2 3/2 4/2\n");
    trace_heartbeat_reply(&t, 2, 2, 0); /* the probe was lost too */
    CHECK_TRACE(&t, ">2 APPEND term 2 after 2/2 commit 2 3/2 4/2\n");
    trace_end(&t);
}

/* Heartbeats go out at their times, to all, and tell no more than the node has. */
TEST(raft_replication, heartbeats) {
    trace_lead(&t, trace_options(), 3);
    CHECK_EQ(t.effects.wake_at_ms, t.now_ms + 20);
    trace_tick(&t, 19);
    CHECK_TRACE(&t, "");
    trace_tick(&t, 1);
    CHECK_TRACE(&t, ">2 HEARTBEAT term 2 commit 2 round 0\n"
                    ">3 HEARTBEAT term 2 commit 2 round 0\n");
    trace_propose(&t, "a");
    trace_stored(&t);
    trace_ack(&t, 3, 2, 3);
    trace_forget(&t);
    trace_tick(&t, 20);
    CHECK_TRACE(&t, ">2 HEARTBEAT term 2 commit 2 round 0\n"
                    ">3 HEARTBEAT term 2 commit 3 round 0\n");
    trace_end(&t);
}

/* Learners that are too many for one time take turns, and know how long theirs takes. */
TEST(raft_replication, heartbeats_of_many_learners) {
    static struct raft raft;
    static const uint32_t expected[][2] = { { 1, 20 },   { 128, 20 },  { 129, 40 },
                                            { 300, 60 }, { 640, 100 }, { 1000, 100 } };
    raft.options = trace_options();
    raft.options.election_ms = 10 * raft.options.heartbeat_ms;
    raft.config = (struct raft_config){ .voter_count = 1, .voters = { 1 } };
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX - 1; i++) raft.config.learners[i] = i + 2;
    for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        raft.config.learner_count = expected[i][0];
        raft.options.id = 2;
        CHECK_EQ(raft_beat_ms(&raft), expected[i][1]);
        raft.options.id = 1;
        CHECK_EQ(raft_beat_ms(&raft), 20);
    }
}

/* More messages than fit in one step leave in the next ones, and each node gets its own. */
TEST(raft_replication, more_than_one_step) {
    trace_lead(&t, trace_options(), 1);
    for (uint32_t id = 2; id <= 71; id++) {
        trace_change(&t, RAFT_CHANGE_ADD, id);
        trace_stored(&t);
        CHECK(status_ok(t.effects.result));
        trace_snapshot_made(&t, t.raft.applied, 0);
    }
    while (t.effects.more) trace_event(&t, (struct raft_event){ .kind = RAFT_CONTINUE });
    t.now_ms += 20;
    uint8_t heartbeats[72] = { 0 };
    uint32_t steps = 0;
    struct raft_event event = { .kind = RAFT_TICK, .now_ms = t.now_ms };
    do {
        raft_step(&t.raft, &event, &t.effects);
        for (uint32_t i = 0; i < t.effects.message_count; i++) {
            const struct raft_message *m = &t.effects.messages[i];
            if (m->kind == RAFT_HEARTBEAT) heartbeats[m->to]++;
        }
        event.kind = RAFT_CONTINUE;
        steps++;
    } while (t.effects.more);
    CHECK(steps >= 3);
    for (uint32_t id = 2; id <= 71; id++) CHECK_EQ(heartbeats[id], 1);
    trace_forget(&t);
    trace_end(&t);
}
