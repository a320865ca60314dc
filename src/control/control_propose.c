/* Commands on their way into the log: of this node, one at a time, and at the leader of all. */
#include "control/control_internal.h"

#include "base/mem.h"

/* Where an encoded command has its proposal: docs/internals/metadata.md. */
#define NODE_OFFSET 4u
#define SEQUENCE_OFFSET 8u

static struct control_proposal *place(struct control *c, uint32_t i) {
    ASSERT(i < CONTROL_PROPOSALS_MAX);
    return &c->proposals[(c->proposal_first + i) % CONTROL_PROPOSALS_MAX];
}

/* Take the i-th out of the queue; its bytes are gone then. */
static struct control_proposal take_out(struct control *c, uint32_t i) {
    ASSERT(i < c->proposal_count);
    const struct control_proposal taken = *place(c, i);
    for (uint32_t k = i; k > 0; k--) *place(c, k) = *place(c, k - 1);
    if (i == 0) c->head_sequence = 0;
    *place(c, 0) = (struct control_proposal){ 0 };
    c->proposal_first = (c->proposal_first + 1) % CONTROL_PROPOSALS_MAX;
    c->proposal_count--;
    mem_free(taken.bytes);
    return taken;
}

/* The cluster and the proposer are known when this node is a member. */
static struct control_proposal *enqueue(struct control *c, const struct metadata_command *command) {
    ASSERT(c->proposal_count < CONTROL_PROPOSALS_MAX);
    ASSERT(c->self != 0);
    static struct metadata_command filled; /* large; one thread */
    filled = *command;
    filled.cluster = c->cluster;
    filled.proposal = (struct proposal){ .node = c->self, .sequence = 1 };
    struct buffer bytes;
    buffer_init(&bytes, METADATA_COMMAND_BYTES_MAX);
    metadata_command_encode(&filled, &bytes);
    ASSERT(!bytes.overflowed);
    struct control_proposal *p = place(c, c->proposal_count++);
    *p = (struct control_proposal){ .len = (uint32_t)buffer_len(&bytes),
                                    .wait_ms = c->options.proposal_ms };
    p->bytes = mem_alloc(p->len);
    memcpy(p->bytes, buffer_bytes(&bytes).ptr, p->len);
    buffer_deinit(&bytes);
    return p;
}

static bool may_enqueue(const struct control *c) {
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0) return false;
    return c->proposal_count < CONTROL_PROPOSALS_MAX;
}

void control_propose(struct control *c, const struct metadata_command *command, control_done *done,
                     void *user) {
    ASSERT(c->restored);
    if (!may_enqueue(c)) {
        if (done != NULL) done(user, CONTROL_BUSY, (struct metadata_result){ 0 });
        return;
    }
    struct control_proposal *p = enqueue(c, command);
    p->done = done;
    p->user = user;
}

bool control_propose_join(struct control *c, const struct control_message *join, uint64_t guest) {
    ASSERT(join->kind == CONTROL_JOIN);
    for (uint32_t i = 0; i < c->proposal_count; i++) {
        if (place(c, i)->join_nonce != join->nonce) continue;
        place(c, i)->join_guest = guest;
        return true;
    }
    /* Strangers may not take the places that this node's people need. */
    if (!may_enqueue(c) || c->proposal_count >= CONTROL_PROPOSALS_MAX / 2) return false;
    struct metadata_command command = {
        .kind = METADATA_MEMBER_ADD,
        .member = { .weight = join->weight,
                    .zone = join->zone,
                    .nonce = join->nonce,
                    .address = join->address },
    };
    const uint32_t there = metadata_find_address(c->state, join->address);
    if (there != MEMBER_NONE) command.member.replaces = c->state->members[there].id;
    struct control_proposal *p = enqueue(c, &command);
    p->join_nonce = join->nonce;
    p->join_guest = guest;
    return true;
}

void control_propose_boot(struct control *c) {
    ASSERT(!c->boot_told);
    if (c->boot_asked || !may_enqueue(c)) return;
    const struct metadata_command command = {
        .kind = METADATA_MEMBER_BOOT,
        .member = { .id = c->self,
                    .boot = c->options.boot,
                    .weight = c->options.weight,
                    .zone = c->options.zone,
                    .nonce = c->options.nonce,
                    .address = bytes_of_string(c->address) },
    };
    struct control_proposal *p = enqueue(c, &command);
    p->wait_ms = UINT64_MAX;
    p->is_boot = true;
    c->boot_asked = true;
}

void control_drop_proposals(struct control *c) {
    while (c->proposal_count > 0) (void)take_out(c, 0);
    ASSERT(c->head_sequence == 0);
}

/* ---- answers ---- */

static void finish(struct control *c, uint32_t i, enum control_outcome outcome,
                   struct metadata_result result) {
    const struct control_proposal p = take_out(c, i);
    if (p.done != NULL) p.done(p.user, outcome, result);
    if (p.join_nonce != 0 && outcome == CONTROL_ANSWERED)
        control_tell_joined(c, p.join_nonce, p.join_guest, result);
    if (!p.is_boot) return;
    c->boot_asked = false;
    if (outcome != CONTROL_ANSWERED || metadata_result_ok(result) || c->boot_told) return;
    control_refuse(c, "member %u may not start: %s", c->self, metadata_code_text(result.code));
}

void control_settle_proposals(struct control *c) {
    if (c->head_sequence == 0) return;
    const uint32_t at = metadata_find_member(c->state, c->self);
    if (at == MEMBER_NONE) return;
    const struct metadata_member *self = &c->state->members[at];
    if (self->sequence == c->head_sequence)
        finish(c, 0, CONTROL_ANSWERED, self->result);
    else if (self->sequence > c->head_sequence)
        finish(c, 0, CONTROL_TIMEOUT, (struct metadata_result){ 0 });
}

static void expire(struct control *c) {
    for (uint32_t i = c->proposal_count; i-- > 0;) {
        struct control_proposal *p = place(c, i);
        if (p->wait_ms == UINT64_MAX) continue;
        if (p->deadline_ms == 0) p->deadline_ms = c->now_ms + p->wait_ms;
        if (c->now_ms >= p->deadline_ms)
            finish(c, i, CONTROL_TIMEOUT, (struct metadata_result){ 0 });
    }
}

/* ---- ways to the leader ---- */

/* Into the log, unless it is there already: who asks repeats himself until he sees the answer. */
static bool append(struct control *c, uint32_t node, uint64_t sequence, struct bytes command) {
    ASSERT(control_is_leader(c));
    struct control_peer *peer = control_take_peer(c, node);
    if (peer == NULL) return false;
    if (peer->proposal_term == c->raft->term && peer->proposal >= sequence) return true;
    const struct raft_event event = { .kind = RAFT_PROPOSE, .data = command };
    const struct status s = control_step(c, event);
    if (!status_ok(s)) return false; /* the window is full, or another is to lead: it comes again */
    peer = control_take_peer(c, node);
    if (peer == NULL) return true;
    peer->proposal = sequence;
    peer->proposal_term = c->raft->term;
    return true;
}

void control_pump_proposals(struct control *c) {
    expire(c);
    if (c->stage != CONTROL_MEMBER || c->proposal_count == 0) return;
    struct control_proposal *head = place(c, 0);
    if (c->head_sequence == 0) {
        c->head_sequence = ++c->sequence;
        c->head_sent_ms = 0;
        put_u32_le(head->bytes + NODE_OFFSET, c->self);
        put_u64_le(head->bytes + SEQUENCE_OFFSET, c->head_sequence);
    }
    const uint32_t leader = c->raft->leader;
    if (leader == 0) return;
    if (c->head_sent_ms != 0 && c->now_ms < c->head_sent_ms + CONTROL_RETRY_MS) return;
    c->head_sent_ms = c->now_ms;
    if (control_is_leader(c)) {
        append(c, c->self, c->head_sequence, bytes_of(head->bytes, head->len));
        return;
    }
    control_begin(c, CONTROL_PROPOSE)->bytes = bytes_of(head->bytes, head->len);
    control_send(c, leader);
}

void control_on_propose(struct control *c) {
    if (!control_is_leader(c) || c->shown_revision == 0) return;
    static struct metadata_command command; /* large; one thread */
    if (!status_ok(metadata_command_decode(c->in.bytes, &command))) return;
    if (memcmp(&command.cluster, &c->cluster, sizeof c->cluster) != 0) return;
    const uint32_t at = metadata_find_member(c->state, command.proposal.node);
    if (at == MEMBER_NONE) return;
    if (c->state->members[at].sequence >= command.proposal.sequence) return;
    append(c, command.proposal.node, command.proposal.sequence, c->in.bytes);
}

bool control_propose_now(struct control *c, struct metadata_command *command) {
    ASSERT(control_leads_quietly(c));
    ASSERT(c->head_sequence == 0);
    if (command->kind != METADATA_BOOTSTRAP) command->cluster = c->cluster;
    command->proposal = (struct proposal){ .node = c->self, .sequence = ++c->sequence };
    struct buffer bytes;
    buffer_init(&bytes, METADATA_COMMAND_BYTES_MAX);
    metadata_command_encode(command, &bytes);
    ASSERT(!bytes.overflowed);
    const bool appended = append(c, c->self, command->proposal.sequence, buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    return appended;
}
