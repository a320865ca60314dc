#include "base/assert.h"
#include "base/mutant.h"
#include "raft/raft_internal.h"

/* Between one and two election timeouts, so that nodes rarely ask at the same time (3.4). */
void raft_reset_timeout(struct raft *r) {
    const uint32_t least_ms = r->options.election_ms;
    ASSERT(least_ms >= 3);
    r->election_at_ms = r->now_ms + least_ms + r->random % least_ms;
}

/* Back to following, with nothing left of a candidacy or of leading. */
static void lay_down(struct raft *r) {
    if (r->role == RAFT_LEADER) raft_reset_timeout(r);
    r->role = RAFT_FOLLOWER;
    r->leader = 0;
    r->granted_count = 0;
    r->requests_owed = false;
    r->transfer = false;
    r->transfer_to = 0;
    r->transfer_due = false;
    r->read_count = 0;
    r->progress_count = 0;
    /* Of another leader's log only this is known to be equal. */
    r->verified = r->commit;
    r->acknowledged = 0;
    r->ack_owed = false;
}

static void enter_term(struct raft *r, uint64_t term) {
    ASSERT(term > r->term);
    r->term = term;
    r->vote = 0;
    r->vote_owed = 0;
    r->hard_dirty = true;
}

void raft_become_follower(struct raft *r, uint64_t term, uint32_t leader) {
    ASSERT(term >= r->term);
    ASSERT(leader != r->options.id);
    if (term > r->term) enter_term(r, term);
    lay_down(r);
    r->leader = leader;
}

void raft_heard_leader(struct raft *r, uint32_t leader) {
    ASSERT(r->role != RAFT_LEADER);
    if (r->leader != leader) raft_become_follower(r, r->term, leader);
    r->heard_ms = r->now_ms;
    raft_reset_timeout(r);
    ASSERT(r->role == RAFT_FOLLOWER);
}

/* A leader must exist, as it was just heard; to vote now would only disturb it (4.2.3). */
static bool has_lease(const struct raft *r) {
    if (r->role == RAFT_LEADER) return true; /* check-quorum sees to it that it steps down */
    if (r->role != RAFT_FOLLOWER || r->leader == 0) return false;
    return r->now_ms - r->heard_ms < r->options.election_ms;
}

/* The election restriction (3.6.1). */
static bool is_up_to_date(const struct raft *r, const struct raft_message *m) {
    const uint64_t own_term = raft_log_last_term(&r->log);
    if (m->log_term != own_term) return m->log_term > own_term;
    return m->index >= r->log.last_index;
}

/* Whether the change that made the config is one that put this node out of the voters. Until
 * it is committed the node may still be needed: its log may be the longest (4.2.2). */
static bool is_being_removed(const struct raft *r) {
    if (r->config_index <= r->commit || r->config_index <= r->log.base_index) return false;
    const struct raft_entry e = raft_log_entry(&r->log, r->config_index);
    struct raft_change change;
    const struct status s = raft_change_decode(e.data, &change);
    ASSERT(status_ok(s));
    return change.id == r->options.id &&
           (change.kind == RAFT_CHANGE_REMOVE || change.kind == RAFT_CHANGE_DEMOTE);
}

static bool may_campaign(const struct raft *r) {
    if (r->config.voter_count == 0 || r->incoming.installing) return false;
    /* A leader begins with an entry of its own. */
    if (!raft_log_has_room(&r->log, 0, 0) || r->term >= RAFT_INDEX_MAX) return false;
    return raft_config_is_voter(&r->config, r->options.id) || is_being_removed(r);
}

static void note_granted(struct raft *r, uint32_t id) {
    if (!raft_config_is_voter(&r->config, id)) return;
    for (uint32_t i = 0; i < r->granted_count; i++) {
        if (r->granted[i] == id) return;
    }
    ASSERT(r->granted_count < RAFT_VOTERS_MAX);
    r->granted[r->granted_count++] = id;
}

static bool is_granted(const struct raft *r) {
    return r->granted_count >= raft_config_majority(&r->config);
}

static void ask_voters(struct raft *r, enum raft_message_kind kind, struct raft_effects *out) {
    ASSERT(r->role == (kind == RAFT_VOTE ? RAFT_CANDIDATE : RAFT_PRE_CANDIDATE));
    for (uint32_t i = 0; i < r->config.voter_count; i++) {
        if (r->config.voters[i] == r->options.id) continue;
        struct raft_message *m = raft_send(r, out, kind, r->config.voters[i]);
        ASSERT(m != NULL);
        m->term = kind == RAFT_VOTE ? r->term : r->term + 1;
        m->index = r->log.last_index;
        m->log_term = raft_log_last_term(&r->log);
        m->transfer = kind == RAFT_VOTE && r->transfer;
    }
}

/* Stand for election. The requests, and the own vote, wait for the disk. */
static void campaign(struct raft *r, bool transfer) {
    ASSERT(may_campaign(r));
    lay_down(r);
    enter_term(r, r->term + 1);
    r->role = RAFT_CANDIDATE;
    r->vote = r->options.id;
    r->requests_owed = true;
    r->transfer = transfer;
    raft_reset_timeout(r);
}

void raft_on_timeout(struct raft *r, struct raft_effects *out) {
    ASSERT(r->role != RAFT_LEADER);
    lay_down(r);
    raft_reset_timeout(r);
    if (!may_campaign(r)) return;
    if (MUTANT("raft_skips_pre_vote")) {
        campaign(r, false);
        return;
    }
    r->role = RAFT_PRE_CANDIDATE;
    note_granted(r, r->options.id);
    if (is_granted(r)) {
        campaign(r, false);
        return;
    }
    ask_voters(r, RAFT_PRE_VOTE, out);
}

void raft_on_pre_vote(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    const bool grant = m->term > r->term && !has_lease(r) && is_up_to_date(r, m);
    if (!grant && r->term == 0) return; /* a node that knows nothing has nothing to say */
    struct raft_message *reply = raft_send(r, out, RAFT_PRE_VOTE_REPLY, m->from);
    ASSERT(reply != NULL);
    reply->refused = !grant;
    /* A refusal tells the own term, so that one who lags behind asks for a later one. */
    reply->term = grant ? m->term : r->term;
}

void raft_on_pre_vote_reply(struct raft *r, const struct raft_message *m) {
    if (m->refused) {
        if (m->term > r->term) raft_become_follower(r, m->term, 0);
        return;
    }
    if (r->role != RAFT_PRE_CANDIDATE || m->term != r->term + 1) return;
    note_granted(r, m->from);
    if (is_granted(r)) campaign(r, false);
}

bool raft_vote_is_ignored(const struct raft *r, const struct raft_message *m) {
    ASSERT(m->kind == RAFT_VOTE);
    return m->term > r->term && !m->transfer && has_lease(r);
}

void raft_on_vote(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(m->term == r->term);
    const bool free = r->vote == m->from || (r->vote == 0 && r->leader == 0);
    if (!free || !is_up_to_date(r, m)) {
        struct raft_message *reply = raft_send(r, out, RAFT_VOTE_REPLY, m->from);
        ASSERT(reply != NULL);
        reply->refused = true;
        return;
    }
    if (r->vote == 0) {
        raft_become_follower(r, r->term, 0);
        r->vote = m->from;
        r->hard_dirty = true;
        raft_reset_timeout(r);
    }
    ASSERT(r->vote == m->from);
    r->vote_owed = m->from;
}

void raft_on_vote_reply(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(m->term == r->term);
    if (r->role != RAFT_CANDIDATE || m->refused) return;
    note_granted(r, m->from);
    if (is_granted(r) && raft_hard_is_durable(r)) raft_begin_lead(r, out);
}

void raft_on_timeout_now(struct raft *r, const struct raft_message *m) {
    ASSERT(m->term == r->term);
    if (r->role != RAFT_FOLLOWER || r->leader != m->from) return;
    if (!may_campaign(r) || !raft_config_is_voter(&r->config, r->options.id)) return;
    campaign(r, true);
}

void raft_settle_votes(struct raft *r, struct raft_effects *out) {
    if (!raft_hard_is_durable(r)) return;
    if (r->requests_owed) {
        ASSERT(r->role == RAFT_CANDIDATE);
        ASSERT(r->vote == r->options.id);
        r->requests_owed = false;
        ask_voters(r, RAFT_VOTE, out);
        note_granted(r, r->options.id);
        if (is_granted(r)) raft_begin_lead(r, out);
    }
    if (r->vote_owed != 0) {
        ASSERT(r->vote == r->vote_owed);
        struct raft_message *reply = raft_send(r, out, RAFT_VOTE_REPLY, r->vote_owed);
        ASSERT(reply != NULL);
        r->vote_owed = 0;
    }
}
