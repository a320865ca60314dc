/* trace.h - one node, told what happens, and everything it wants done, as text.
 *
 * Each call makes one event; what the node answers is added to the text, a line each. The
 * test compares the text with what must be there: no more and no less. Node 1 of voters 1..n,
 * election timeout 100 ms (the random number is always 0), heartbeat 20 ms.
 *
 *   result busy            of a proposal, change, read, transfer or snapshot
 *   leader term 2          the role, when it, the leader or the term has changed;
 *   follower of 2 term 2   0 = of nobody yet
 *   hard term 2 vote 1     store it
 *   truncate 5             erase from there on
 *   store 3..4 mark 7      store these entries; the mark's number
 *   write 0+10             a piece of a snapshot
 *   install 9/2            index / term
 *   apply 2..3
 *   read 7 at 3
 *   >2 APPEND ...          a message to node 2; entries as index/term
 */
#ifndef TEST_RAFT_TRACE_H
#define TEST_RAFT_TRACE_H

#include "raft/raft.h"
#include "test/unit/harness.h"

struct trace {
    struct raft_options options; /* of the node; may be changed before trace_begin */
    struct raft raft;            /* under test */
    struct raft_effects effects; /* of the last event */
    struct raft_mark mark;       /* the last one given */
    uint64_t now_ms;             /* of the last event */
    uint8_t config[64];          /* of the first snapshot */
    uint8_t snapshot[256];       /* the state, for those who need one */
    char text[8192];             /* since the last comparison */
    size_t len;                  /* of text */
};

/* Options of the node, to be changed before it begins. */
struct raft_options trace_options(void);
/* A group of `voters` begins; term 1, the log ends at 1/1. */
void trace_begin(struct trace *t, struct raft_options options, uint32_t voters);
/* Begin with what a disk may hold. */
void trace_restart(struct trace *t, struct raft_options options, uint32_t voters,
                   struct raft_hard_state hard, const uint64_t *terms, uint32_t count);
void trace_end(struct trace *t);

void trace_tick(struct trace *t, uint64_t ms); /* after so many ms */
void trace_event(struct trace *t, struct raft_event event);
void trace_stored(struct trace *t); /* all that was asked for */
void trace_mark(struct trace *t, struct raft_mark mark);
void trace_propose(struct trace *t, const char *data);
void trace_change(struct trace *t, enum raft_change_kind kind, uint32_t id);
void trace_read(struct trace *t, uint64_t id);
void trace_transfer(struct trace *t, uint32_t to);
void trace_snapshot_made(struct trace *t, uint64_t index, size_t bytes);
void trace_receive(struct trace *t, struct raft_message message);

/* Messages to node 1. */
void trace_vote(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term,
                uint64_t index, uint64_t log_term);
void trace_granted(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term);
void trace_refused(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term);
/* Entries of the terms given, 0 ends them. */
void trace_append(struct trace *t, uint32_t from, uint64_t term, uint64_t index, uint64_t log_term,
                  uint64_t commit, const uint64_t *terms);
void trace_ack(struct trace *t, uint32_t from, uint64_t term, uint64_t index);
void trace_conflict(struct trace *t, uint32_t from, uint64_t term, uint64_t index,
                    uint64_t log_term, uint64_t hint);
void trace_heartbeat(struct trace *t, uint32_t from, uint64_t term, uint64_t commit,
                     uint64_t round);
void trace_heartbeat_reply(struct trace *t, uint32_t from, uint64_t term, uint64_t round);

/* From the start to leading in term 2, with the first entry (2/2) durable everywhere, the text
 * dropped. */
void trace_lead(struct trace *t, struct raft_options options, uint32_t voters);
/* Drop the text. */
void trace_forget(struct trace *t);
/* Fail unless the text is this; then drop it. */
#define CHECK_TRACE(t, expected) trace_check(t, expected, __FILE__, __LINE__)
void trace_check(struct trace *t, const char *expected, const char *file, int line);

#define TERMS(...) ((const uint64_t[]){ __VA_ARGS__, 0 })
#define NO_TERMS ((const uint64_t[]){ 0 })

#endif
