#include "test/unit/raft/trace.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const kind_names[RAFT_MESSAGE_KINDS] = {
    [RAFT_PRE_VOTE] = "PRE_VOTE",
    [RAFT_PRE_VOTE_REPLY] = "PRE_VOTE_REPLY",
    [RAFT_VOTE] = "VOTE",
    [RAFT_VOTE_REPLY] = "VOTE_REPLY",
    [RAFT_APPEND] = "APPEND",
    [RAFT_APPEND_REPLY] = "APPEND_REPLY",
    [RAFT_HEARTBEAT] = "HEARTBEAT",
    [RAFT_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
    [RAFT_SNAPSHOT] = "SNAPSHOT",
    [RAFT_SNAPSHOT_REPLY] = "SNAPSHOT_REPLY",
    [RAFT_TIMEOUT_NOW] = "TIMEOUT_NOW",
};

static const char *const role_names[RAFT_ROLES] = {
    [RAFT_FOLLOWER] = "follower",
    [RAFT_PRE_CANDIDATE] = "pre-candidate",
    [RAFT_CANDIDATE] = "candidate",
    [RAFT_LEADER] = "leader",
};

__attribute__((format(printf, 2, 3))) static void say(struct trace *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int wrote = vsnprintf(t->text + t->len, sizeof t->text - t->len, format, arguments);
    va_end(arguments);
    ASSERT(wrote >= 0 && (size_t)wrote < sizeof t->text - t->len);
    t->len += (size_t)wrote;
}

#define U(x) ((unsigned long long)(x))

static void say_message(struct trace *t, const struct raft_message *m) {
    ASSERT(raft_message_check(m));
    say(t, ">%u %s term %llu", m->to, kind_names[m->kind], U(m->term));
    if (m->refused) say(t, " refused");
    if (m->transfer) say(t, " transfer");
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE: say(t, " log %llu/%llu", U(m->index), U(m->log_term)); break;
    case RAFT_APPEND:
        say(t, " after %llu/%llu commit %llu", U(m->index), U(m->log_term), U(m->commit));
        for (uint32_t i = 0; i < m->entry_count; i++)
            say(t, " %llu/%llu", U(m->entries[i].index), U(m->entries[i].term));
        break;
    case RAFT_APPEND_REPLY:
        say(t, " %llu", U(m->index));
        if (m->refused) say(t, " has term %llu from %llu", U(m->log_term), U(m->hint));
        break;
    case RAFT_HEARTBEAT: say(t, " commit %llu round %llu", U(m->commit), U(m->round)); break;
    case RAFT_HEARTBEAT_REPLY: say(t, " round %llu", U(m->round)); break;
    case RAFT_SNAPSHOT:
        say(t, " %llu/%llu at %llu+%zu of %llu", U(m->index), U(m->log_term), U(m->offset),
            m->data.len, U(m->total));
        break;
    case RAFT_SNAPSHOT_REPLY: say(t, " %llu has %llu", U(m->index), U(m->offset)); break;
    default: break;
    }
    say(t, "\n");
}

static void say_effects(struct trace *t) {
    const struct raft_effects *fx = &t->effects;
    if (!status_ok(fx->result)) say(t, "result %s\n", status_name(fx->result));
    if (fx->role_changed) {
        say(t, "%s", role_names[fx->role]);
        if (fx->role == RAFT_FOLLOWER) say(t, " of %u", fx->leader);
        say(t, " term %llu\n", U(fx->hard_state.term));
    }
    if (fx->hard_state_changed)
        say(t, "hard term %llu vote %u\n", U(fx->hard_state.term), fx->hard_state.vote);
    if (fx->truncate_from != 0) say(t, "truncate %llu\n", U(fx->truncate_from));
    if (fx->append_first != 0)
        say(t, "store %llu..%llu\n", U(fx->append_first), U(fx->append_last));
    if (fx->snapshot_write)
        say(t, "write %llu+%zu\n", U(fx->snapshot_offset), fx->snapshot_data.len);
    if (fx->snapshot_install)
        say(t, "install %llu/%llu\n", U(fx->snapshot.index), U(fx->snapshot.term));
    if (fx->apply_first != 0) say(t, "apply %llu..%llu\n", U(fx->apply_first), U(fx->apply_last));
    for (uint32_t i = 0; i < fx->read_count; i++)
        say(t, "read %llu at %llu\n", U(fx->reads[i].id), U(fx->reads[i].index));
    for (uint32_t i = 0; i < fx->message_count; i++) say_message(t, &fx->messages[i]);
    if (fx->more) say(t, "more\n");
}

struct raft_options trace_options(void) {
    return (struct raft_options){
        .id = 1,
        .election_ms = 100,
        .heartbeat_ms = 20,
        .batch_entries_max = 4,
        .batch_bytes_max = 64,
        .inflight_max = 2,
        .chunk_bytes = 100,
        .log_slots_max = 64,
        .log_bytes_max = 4096,
    };
}

void trace_restart(struct trace *t, struct raft_options options, uint32_t voters,
                   struct raft_hard_state hard, const uint64_t *terms, uint32_t count) {
    *t = (struct trace){ .options = options };
    for (uint32_t i = 0; i < sizeof t->snapshot; i++) t->snapshot[i] = (uint8_t)i;
    struct raft_snapshot snapshot = { 0 };
    if (voters > 0) {
        struct raft_config config = { .voter_count = voters };
        for (uint32_t i = 0; i < voters; i++) config.voters[i] = i + 1;
        snapshot.index = RAFT_BOOT_INDEX;
        snapshot.term = RAFT_BOOT_TERM;
        snapshot.config = bytes_of(t->config, raft_config_encode(&config, t->config));
        snapshot.data = bytes_of(t->snapshot, 10);
    }
    CHECK_OK(raft_init(&t->raft, &t->options, hard, &snapshot));
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry e = { .index = snapshot.index + 1 + i,
                                      .term = terms[i],
                                      .kind = RAFT_ENTRY_DATA,
                                      .data = BYTES_LIT("old") };
        CHECK_OK(raft_restore(&t->raft, &e));
    }
}

void trace_begin(struct trace *t, struct raft_options options, uint32_t voters) {
    trace_restart(t, options, voters, (struct raft_hard_state){ .term = voters > 0 }, NULL, 0);
}

void trace_end(struct trace *t) {
    CHECK_TRACE(t, "");
    raft_deinit(&t->raft);
}

void trace_event(struct trace *t, struct raft_event event) {
    event.now_ms = t->now_ms;
    raft_step(&t->raft, &event, &t->effects);
    if (t->effects.mark.sequence != 0) t->mark = t->effects.mark;
    say_effects(t);
}

void trace_tick(struct trace *t, uint64_t ms) {
    t->now_ms += ms;
    trace_event(t, (struct raft_event){ .kind = RAFT_TICK });
}

void trace_mark(struct trace *t, struct raft_mark mark) {
    trace_event(t, (struct raft_event){ .kind = RAFT_STORED, .mark = mark });
}

void trace_stored(struct trace *t) {
    trace_mark(t, t->mark);
}

void trace_propose(struct trace *t, const char *data) {
    trace_event(t, (struct raft_event){ .kind = RAFT_PROPOSE, .data = bytes_of_string(data) });
}

void trace_change(struct trace *t, enum raft_change_kind kind, uint32_t id) {
    trace_event(t, (struct raft_event){ .kind = RAFT_CHANGE, .change = { kind, id } });
}

void trace_read(struct trace *t, uint64_t id) {
    trace_event(t, (struct raft_event){ .kind = RAFT_READ, .id = id });
}

void trace_transfer(struct trace *t, uint32_t to) {
    trace_event(t, (struct raft_event){ .kind = RAFT_TRANSFER, .node = to });
}

void trace_snapshot_made(struct trace *t, uint64_t index, size_t bytes) {
    trace_event(t, (struct raft_event){ .kind = RAFT_SNAPSHOT_MADE,
                                        .index = index,
                                        .data = bytes_of(t->snapshot, bytes) });
}

void trace_receive(struct trace *t, struct raft_message message) {
    message.to = t->options.id;
    trace_event(t, (struct raft_event){ .kind = RAFT_RECEIVE, .message = &message });
}

void trace_vote(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term,
                uint64_t index, uint64_t log_term) {
    trace_receive(
        t, (struct raft_message){
               .kind = kind, .from = from, .term = term, .index = index, .log_term = log_term });
}

void trace_granted(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term) {
    trace_receive(t, (struct raft_message){ .kind = kind, .from = from, .term = term });
}

void trace_refused(struct trace *t, enum raft_message_kind kind, uint32_t from, uint64_t term) {
    trace_receive(
        t, (struct raft_message){ .kind = kind, .from = from, .term = term, .refused = true });
}

void trace_append(struct trace *t, uint32_t from, uint64_t term, uint64_t index, uint64_t log_term,
                  uint64_t commit, const uint64_t *terms) {
    struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    uint32_t count = 0;
    for (; terms[count] != 0; count++) {
        entries[count] = (struct raft_entry){ .index = index + 1 + count,
                                              .term = terms[count],
                                              .kind = RAFT_ENTRY_DATA,
                                              .data = BYTES_LIT("new") };
    }
    trace_receive(t, (struct raft_message){ .kind = RAFT_APPEND,
                                            .from = from,
                                            .term = term,
                                            .index = index,
                                            .log_term = log_term,
                                            .commit = commit,
                                            .entries = entries,
                                            .entry_count = count });
}

void trace_ack(struct trace *t, uint32_t from, uint64_t term, uint64_t index) {
    trace_receive(t, (struct raft_message){
                         .kind = RAFT_APPEND_REPLY, .from = from, .term = term, .index = index });
}

void trace_conflict(struct trace *t, uint32_t from, uint64_t term, uint64_t index,
                    uint64_t log_term, uint64_t hint) {
    trace_receive(t, (struct raft_message){ .kind = RAFT_APPEND_REPLY,
                                            .from = from,
                                            .term = term,
                                            .refused = true,
                                            .index = index,
                                            .log_term = log_term,
                                            .hint = hint });
}

void trace_heartbeat(struct trace *t, uint32_t from, uint64_t term, uint64_t commit,
                     uint64_t round) {
    trace_receive(
        t,
        (struct raft_message){
            .kind = RAFT_HEARTBEAT, .from = from, .term = term, .commit = commit, .round = round });
}

void trace_heartbeat_reply(struct trace *t, uint32_t from, uint64_t term, uint64_t round) {
    trace_receive(t,
                  (struct raft_message){
                      .kind = RAFT_HEARTBEAT_REPLY, .from = from, .term = term, .round = round });
}

void trace_lead(struct trace *t, struct raft_options options, uint32_t voters) {
    trace_begin(t, options, voters);
    trace_tick(t, 0);
    trace_tick(t, 100);
    for (uint32_t id = 2; id <= voters; id++) trace_granted(t, RAFT_PRE_VOTE_REPLY, id, 2);
    trace_stored(t);
    for (uint32_t id = 2; id <= voters; id++) trace_granted(t, RAFT_VOTE_REPLY, id, 2);
    trace_stored(t);
    for (uint32_t id = 2; id <= voters; id++) trace_ack(t, id, 2, 2);
    CHECK_EQ(t->raft.role, RAFT_LEADER);
    CHECK_EQ(t->raft.commit, 2);
    trace_forget(t);
}

void trace_forget(struct trace *t) {
    t->len = 0;
    t->text[0] = '\0';
}

void trace_check(struct trace *t, const char *expected, const char *file, int line) {
    if (strcmp(t->text, expected) != 0)
        fprintf(stderr, "got:\n%sinstead of:\n%s", t->text, expected);
    test_check(strcmp(t->text, expected) == 0, "trace as expected", file, line);
    trace_forget(t);
}
