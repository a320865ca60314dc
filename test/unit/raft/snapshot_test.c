/* Snapshots: the log is dropped behind one, and who needs what was dropped gets it in pieces. */
#include "test/unit/raft/trace.h"

#include "base/hash.h"

static struct trace t;

static struct raft_message chunk(uint64_t index, uint64_t offset, size_t len, size_t total) {
    static uint8_t config[64];
    const struct raft_config three = { .voter_count = 3, .voters = { 1, 2, 4 } };
    return (struct raft_message){
        .kind = RAFT_SNAPSHOT,
        .from = 2,
        .term = 5,
        .index = index,
        .log_term = 4,
        .offset = offset,
        .total = total,
        .checksum = crc32c(0, bytes_of(t.snapshot, total)),
        .config = bytes_of(config, raft_config_encode(&three, config)),
        .data = bytes_of(t.snapshot + offset, len),
    };
}

static void installed(uint64_t index, size_t bytes) {
    trace_event(&t, (struct raft_event){ .kind = RAFT_SNAPSHOT_INSTALLED,
                                         .index = index,
                                         .data = bytes_of(t.snapshot, bytes) });
}

/* What is described is the term and the config of that moment, not of now. */
TEST(raft_snapshot, describe) {
    uint8_t config[RAFT_CONFIG_BYTES_MAX];
    struct raft_snapshot about;
    struct raft_config read;
    trace_lead(&t, trace_options(), 3);
    trace_change(&t, RAFT_CHANGE_ADD, 9);
    trace_ack(&t, 2, 2, 3);
    trace_ack(&t, 3, 2, 3);
    trace_stored(&t);
    trace_forget(&t);
    CHECK_OK(raft_describe(&t.raft, 2, config, &about));
    CHECK_EQ(about.index, 2);
    CHECK_EQ(about.term, 2);
    CHECK_OK(raft_config_decode(about.config, &read));
    CHECK_EQ(read.learner_count, 0);
    CHECK_OK(raft_describe(&t.raft, 3, config, &about));
    CHECK_OK(raft_config_decode(about.config, &read));
    CHECK(raft_config_is_member(&read, 9));
    CHECK(!raft_config_is_voter(&read, 9));
    CHECK_STATUS(raft_describe(&t.raft, 4, config, &about), ST_CONFLICT);
    trace_snapshot_made(&t, 3, 10);
    trace_forget(&t);
    CHECK_STATUS(raft_describe(&t.raft, 2, config, &about), ST_CONFLICT);
    CHECK_OK(raft_describe(&t.raft, 3, config, &about));
    CHECK_EQ(about.term, 2);
    trace_end(&t);
}

/* The log is dropped up to what is applied and durable, and only forwards. */
TEST(raft_snapshot, compact) {
    trace_lead(&t, trace_options(), 3);
    trace_propose(&t, "a");
    trace_ack(&t, 2, 2, 3);
    trace_ack(&t, 3, 2, 3);
    trace_forget(&t);
    trace_snapshot_made(&t, 4, 10);
    CHECK_TRACE(&t, "result invalid\n");
    trace_snapshot_made(&t, 3, 10);
    CHECK_TRACE(&t, "result busy\n"); /* committed by the others, but not durable here */
    trace_stored(&t);
    trace_snapshot_made(&t, 3, 10);
    trace_snapshot_made(&t, 3, 10);
    trace_snapshot_made(&t, 2, 10);
    CHECK_TRACE(&t, "result conflict\nresult conflict\n");
    CHECK_EQ(t.raft.log.base_index, 3);
    CHECK_EQ(t.raft.log.base_term, 2);
    trace_end(&t);
}

/* A follower that needs dropped entries gets the snapshot, a piece at a time, and then goes on
 * with the log. */
TEST(raft_snapshot, send) {
    trace_lead(&t, trace_options(), 2);
    trace_snapshot_made(&t, 2, 250);
    trace_conflict(&t, 2, 2, 1, 0, 1); /* of before, and stale */
    CHECK_TRACE(&t, "");
    trace_change(&t, RAFT_CHANGE_ADD, 3);
    trace_stored(&t);
    trace_ack(&t, 2, 2, 3);
    trace_forget(&t);
    trace_conflict(&t, 3, 2, 3, 0, 1);
    CHECK_TRACE(&t, ">3 SNAPSHOT term 2 2/2 at 0+100 of 250\n");
    CHECK_EQ(t.effects.messages[0].checksum, crc32c(0, bytes_of(t.snapshot, 250)));
    struct raft_message reply = { .kind = RAFT_SNAPSHOT_REPLY, .from = 3, .term = 2, .index = 2 };
    reply.checksum = t.effects.messages[0].checksum;
    reply.offset = 100;
    trace_receive(&t, reply);
    CHECK_TRACE(&t, ">3 SNAPSHOT term 2 2/2 at 100+100 of 250\n");
    trace_receive(&t, reply); /* again: it must not double what is on the way */
    CHECK_TRACE(&t, "");
    trace_heartbeat_reply(&t, 2, 2, 0);
    trace_forget(&t);
    trace_tick(&t, 99);
    CHECK(strstr(t.text, "SNAPSHOT") == NULL);
    trace_heartbeat_reply(&t, 2, 2, 0);
    trace_forget(&t);
    trace_tick(&t, 1); /* the piece was lost */
    CHECK(strstr(t.text, ">3 SNAPSHOT term 2 2/2 at 100+100 of 250\n") != NULL);
    trace_forget(&t);
    reply.offset = 0; /* it began anew */
    trace_receive(&t, reply);
    CHECK_TRACE(&t, ">3 SNAPSHOT term 2 2/2 at 0+100 of 250\n");
    reply.offset = 200; /* no, an answer was late */
    trace_receive(&t, reply);
    CHECK_TRACE(&t, ">3 SNAPSHOT term 2 2/2 at 200+50 of 250\n");
    reply.offset = 251;
    trace_receive(&t, reply);
    reply.offset = 250;
    trace_receive(&t, reply);
    CHECK_TRACE(&t, "");
    trace_ack(&t, 3, 2, 2);
    CHECK_TRACE(&t, ">3 APPEND term 2 after 2/2 commit 3 3/2\n");
    trace_end(&t);
}

/* Of a newer snapshot the first piece is sent again: pieces of two do not fit together. */
TEST(raft_snapshot, newer_one_while_sending) {
    trace_lead(&t, trace_options(), 1);
    trace_snapshot_made(&t, 2, 250);
    trace_change(&t, RAFT_CHANGE_ADD, 3);
    trace_stored(&t);
    trace_conflict(&t, 3, 2, 3, 0, 1);
    struct raft_message reply = { .kind = RAFT_SNAPSHOT_REPLY, .from = 3, .term = 2, .index = 2 };
    reply.checksum = t.effects.messages[0].checksum;
    reply.offset = 100;
    trace_forget(&t);
    trace_snapshot_made(&t, 3, 120);
    CHECK_TRACE(&t, ">3 SNAPSHOT term 2 3/2 at 0+100 of 120\n");
    trace_receive(&t, reply);
    CHECK_TRACE(&t, "");
    trace_end(&t);
}

/* Pieces are taken in order and resumed where they stopped, even by another leader. */
TEST(raft_snapshot, receive) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_receive(&t, chunk(9, 0, 100, 250));
    CHECK_TRACE(&t, "follower of 2 term 5\n"
                    "hard term 5 vote 0\n"
                    "write 0+100\n"
                    ">2 SNAPSHOT_REPLY term 5 9 has 100\n");
    trace_receive(&t, chunk(9, 0, 100, 250));
    trace_receive(&t, chunk(9, 200, 50, 250));
    CHECK_TRACE(&t, ">2 SNAPSHOT_REPLY term 5 9 has 100\n"
                    ">2 SNAPSHOT_REPLY term 5 9 has 100\n");
    struct raft_message m = chunk(9, 100, 100, 250);
    m.term = 6;
    m.from = 3;
    trace_receive(&t, m);
    CHECK_TRACE(&t, "follower of 3 term 6\n"
                    "hard term 6 vote 0\n"
                    "write 100+100\n"
                    ">3 SNAPSHOT_REPLY term 6 9 has 200\n");
    m = chunk(9, 200, 50, 250);
    m.term = 6;
    m.from = 3;
    trace_receive(&t, m);
    CHECK_TRACE(&t, "write 200+50\n"
                    "install 9/4\n"
                    ">3 SNAPSHOT_REPLY term 6 9 has 250\n");
    /* Until it is installed the log stays as it is. */
    trace_append(&t, 3, 6, 1, 1, 1, TERMS(6));
    trace_receive(&t, m);
    CHECK_TRACE(&t, "");
    installed(8, 250);
    installed(9, 249);
    CHECK_TRACE(&t, "result invalid\nresult invalid\n");
    trace_stored(&t);
    installed(9, 250);
    CHECK_TRACE(&t, ">3 APPEND_REPLY term 6 9\n");
    CHECK_EQ(t.raft.commit, 9);
    CHECK_EQ(t.raft.applied, 9);
    CHECK_EQ(raft_log_term(&t.raft.log, 9), 4);
    CHECK(raft_config_is_voter(&t.raft.config, 4));
    CHECK(!raft_config_is_voter(&t.raft.config, 3));
    trace_receive(&t, m); /* the answer was lost */
    CHECK_TRACE(&t, ">3 APPEND_REPLY term 6 9\n");
    trace_append(&t, 3, 6, 9, 4, 9, TERMS(6));
    CHECK_TRACE(&t, "store 10..10\n");
    trace_end(&t);
}

/* Bytes of two snapshots are seen by the checksum, and it begins anew. */
TEST(raft_snapshot, damaged) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_receive(&t, chunk(9, 0, 100, 150));
    struct raft_message m = chunk(9, 100, 50, 150);
    m.data.ptr--;
    trace_forget(&t);
    trace_receive(&t, m);
    CHECK_TRACE(&t, "result corrupt\n"
                    ">2 SNAPSHOT_REPLY term 5 9 has 0\n");
    trace_receive(&t, chunk(9, 0, 100, 150));
    trace_receive(&t, chunk(9, 100, 50, 150));
    CHECK(strstr(t.text, "install 9/4\n") != NULL);
    trace_forget(&t);
    trace_end(&t);
}

/* A snapshot of what the log has already is not taken; its last entry is committed (5.2). */
TEST(raft_snapshot, of_what_is_there) {
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 5, 0 }, TERMS(4, 4), 2);
    trace_tick(&t, 0);
    trace_receive(&t, chunk(3, 0, 50, 50));
    CHECK_TRACE(&t, "follower of 2 term 5\n"
                    "apply 2..3\n"
                    ">2 APPEND_REPLY term 5 3\n");
    trace_receive(&t, chunk(2, 0, 50, 50));
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 5 3\n");
    trace_end(&t);
}

/* Nobody stands for election while it installs. */
TEST(raft_snapshot, no_candidacy_while_installing) {
    trace_begin(&t, trace_options(), 3);
    trace_tick(&t, 0);
    trace_receive(&t, chunk(9, 0, 50, 50));
    trace_forget(&t);
    trace_tick(&t, 1000);
    CHECK_TRACE(&t, "follower of 0 term 5\n");
    trace_stored(&t);
    installed(9, 50);
    CHECK_TRACE(&t, ""); /* there is nobody to tell */
    trace_tick(&t, 1000);
    CHECK_EQ(t.effects.role, RAFT_PRE_CANDIDATE);
    trace_forget(&t);
    trace_end(&t);
}

/* A snapshot that a crash left beside the log of another history makes that log void. */
TEST(raft_snapshot, restore_beside_another_log) {
    uint8_t config[64];
    const struct raft_config three = { .voter_count = 3, .voters = { 1, 2, 3 } };
    const struct raft_snapshot snapshot = {
        .index = 5,
        .term = 4,
        .config = bytes_of(config, raft_config_encode(&three, config)),
    };
    const struct raft_options options = trace_options();
    static struct raft r;
    CHECK_OK(raft_init(&r, &options, (struct raft_hard_state){ 4, 3 }, &snapshot));
    struct raft_entry e = { .index = 4, .term = 2, .kind = RAFT_ENTRY_DATA };
    CHECK_OK(raft_restore(&r, &e));
    e.index = 5;
    CHECK_STATUS(raft_restore(&r, &e), ST_CONFLICT);
    e.term = 4;
    CHECK_OK(raft_restore(&r, &e));
    e.index = 7;
    CHECK_STATUS(raft_restore(&r, &e), ST_CORRUPT); /* a gap */
    e.index = 6;
    e.term = 3;
    CHECK_STATUS(raft_restore(&r, &e), ST_CORRUPT); /* terms do not go back */
    e.term = 4;
    e.kind = RAFT_ENTRY_CONFIG;
    CHECK_STATUS(raft_restore(&r, &e), ST_CORRUPT); /* a change without one */
    e.kind = RAFT_ENTRY_DATA;
    CHECK_OK(raft_restore(&r, &e));
    CHECK_EQ(r.log.last_index, 6);
    CHECK_EQ(r.log_durable, 6);
    CHECK_EQ(r.vote, 3);
    raft_deinit(&r);
    struct raft_snapshot bad = snapshot;
    bad.config.len--;
    CHECK_STATUS(raft_init(&r, &options, (struct raft_hard_state){ 4, 3 }, &bad), ST_CORRUPT);
}

/* A mark of writes from before an installation says nothing about the entries after it. */
TEST(raft_snapshot, late_mark_of_the_old_log) {
    trace_restart(&t, trace_options(), 3, (struct raft_hard_state){ 2, 0 },
                  TERMS(2, 2, 2, 2, 2, 2, 2, 2, 2, 2), 10); /* to 11/2 */
    trace_tick(&t, 0);
    trace_append(&t, 3, 3, 11, 2, 1, TERMS(3));
    trace_receive(&t, chunk(9, 0, 50, 50));
    const struct raft_mark old = t.mark; /* to 12/3, and of term 5 */
    trace_forget(&t);
    installed(9, 50);
    CHECK_TRACE(&t, "");
    trace_append(&t, 2, 5, 9, 4, 9, TERMS(5, 5, 5)); /* to 12/5 */
    CHECK_TRACE(&t, "store 10..12\n");
    trace_mark(&t, old);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 5 9\n");
    CHECK_EQ(t.raft.log_durable, 9);
    trace_stored(&t);
    CHECK_TRACE(&t, ">2 APPEND_REPLY term 5 12\n");
    trace_end(&t);
}
