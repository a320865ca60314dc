#include "raft/raft.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "raft/raft_internal.h"

#include <stddef.h>

static_assert(RAFT_MESSAGES_MAX >= RAFT_VOTERS_MAX + 4, "replies and votes of a step always fit");
static_assert(RAFT_EFFECT_ENTRIES_MAX >= RAFT_MESSAGE_ENTRIES_MAX, "one full APPEND always fits");

#define LOG_SLOTS_MIN 16u

bool raft_options_check(const struct raft_options *o) {
    if (o->id == 0 || o->heartbeat_ms == 0) return false;
    if (o->election_ms > RAFT_ELECTION_MS_MAX || o->heartbeat_ms * 3 > o->election_ms) return false;
    if (o->batch_entries_max < 1 || o->batch_entries_max > RAFT_MESSAGE_ENTRIES_MAX) return false;
    if (o->batch_bytes_max < 1 || o->batch_bytes_max > RAFT_BATCH_BYTES_MAX) return false;
    if (o->inflight_max < 1 || o->inflight_max > RAFT_INFLIGHT_MAX) return false;
    if (o->chunk_bytes < 1 || o->chunk_bytes > RAFT_CHUNK_BYTES_MAX) return false;
    if (o->log_slots_max < LOG_SLOTS_MIN || o->log_slots_max > RAFT_LOG_SLOTS_MAX) return false;
    return o->log_bytes_max >= 1 && o->log_bytes_max <= RAFT_LOG_BYTES_MAX;
}

void raft_set_base(struct raft *r, const struct raft_config *config, struct bytes data) {
    ASSERT(data.len <= RAFT_SNAPSHOT_BYTES_MAX);
    ASSERT(config->voter_count >= 1);
    if (config != &r->config_base) r->config_base = *config;
    r->config_len = (uint32_t)raft_config_encode(&r->config_base, r->config_bytes);
    r->snapshot_data = data;
    r->snapshot_checksum = crc32c(0, data);
}

STATUS raft_init(struct raft *r, const struct raft_options *options, struct raft_hard_state hard,
                 const struct raft_snapshot *snapshot) {
    ASSERT(raft_options_check(options));
    ASSERT((snapshot->index == 0) == (snapshot->term == 0));
    memset(r, 0, sizeof *r); /* a literal may need as much stack */
    r->options = *options;
    r->term = hard.term;
    r->vote = hard.vote;
    if (MUTANT("raft_forgets_vote")) r->vote = 0;
    if (snapshot->index > 0) {
        struct raft_config config;
        TRY(raft_config_decode(snapshot->config, &config));
        raft_set_base(r, &config, snapshot->data);
        r->config = config;
    }
    raft_log_init(&r->log, options->log_slots_max, options->log_bytes_max);
    raft_log_reset(&r->log, snapshot->index, snapshot->term);
    r->config_index = r->commit = r->applied = r->log_durable = r->verified = snapshot->index;
    if (r->term < snapshot->term) {
        r->term = snapshot->term;
        r->vote = 0;
        r->hard_dirty = true;
    }
    ASSERT(raft_check(r));
    return status_of(ST_OK);
}

STATUS raft_restore(struct raft *r, const struct raft_entry *entry) {
    ASSERT(!r->started);
    if (entry->index == 0 || entry->term == 0) return status_of(ST_CORRUPT);
    if (entry->index < r->log.base_index) return status_of(ST_OK);
    if (entry->index == r->log.base_index) {
        return status_of(entry->term == r->log.base_term ? ST_OK : ST_CONFLICT);
    }
    if (entry->index != r->log.last_index + 1) return status_of(ST_CORRUPT);
    if (entry->term < raft_log_last_term(&r->log)) return status_of(ST_CORRUPT);
    if (entry->data.len > RAFT_ENTRY_BYTES_MAX) return status_of(ST_CORRUPT);
    struct raft_effects *none = NULL;
    TRY(raft_append_entry(r, entry->term, entry->kind, entry->data, none));
    r->log_durable = r->log.last_index;
    if (r->term < entry->term) { /* the crash took the term but not the entry */
        r->term = entry->term;
        r->vote = 0;
        r->hard_dirty = true;
    }
    ASSERT(raft_check(r));
    return status_of(ST_OK);
}

STATUS raft_restore_commit(struct raft *r, uint64_t index) {
    ASSERT(!r->started);
    ASSERT(r->commit == r->log.base_index);
    if (index <= r->commit) return status_of(ST_OK);
    if (index > r->log.last_index) return status_of(ST_CORRUPT);
    if (MUTANT("raft_forgets_commit")) return status_of(ST_OK);
    raft_commit_to(r, index);
    r->verified = index; /* what is committed is equal everywhere */
    ASSERT(raft_check(r));
    return status_of(ST_OK);
}

void raft_deinit(struct raft *r) {
    ASSERT(raft_check(r));
    raft_log_deinit(&r->log);
    memset(r, 0, sizeof *r);
}

struct raft_message *raft_send(struct raft *r, struct raft_effects *out,
                               enum raft_message_kind kind, uint32_t to) {
    ASSERT(to != 0);
    ASSERT(to != r->options.id);
    if (out->message_count == RAFT_MESSAGES_MAX) return NULL;
    struct raft_message *m = &out->messages[out->message_count++];
    *m = (struct raft_message){ .kind = kind, .from = r->options.id, .to = to, .term = r->term };
    return m;
}

bool raft_hard_is_durable(const struct raft *r) {
    ASSERT(r->hard_sequence <= r->sequence);
    return !r->hard_dirty && r->stored >= r->hard_sequence;
}

STATUS raft_append_entry(struct raft *r, uint64_t term, enum raft_entry_kind kind,
                         struct bytes data, struct raft_effects *out) {
    ASSERT(out == NULL || r->started);
    const bool is_config = kind == RAFT_ENTRY_CONFIG;
    struct raft_config config;
    if (is_config) {
        struct raft_change change;
        TRY(raft_change_decode(data, &change));
        config = r->config;
        if (!status_ok(raft_config_apply(&config, change))) return status_of(ST_CORRUPT);
    }
    TRY(raft_log_append(&r->log, term, kind, data));
    if (is_config) {
        r->config = config;
        r->config_index = r->log.last_index;
        raft_follow_config(r);
    }
    if (out == NULL) return status_of(ST_OK);
    r->log_dirty = true;
    if (out->append_first == 0) out->append_first = r->log.last_index;
    out->append_last = r->log.last_index;
    ASSERT(out->append_first <= out->append_last);
    return status_of(ST_OK);
}

STATUS raft_config_at(const struct raft *r, uint64_t index, struct raft_config *ret_config) {
    ASSERT(index >= r->log.base_index);
    ASSERT(index <= r->log.last_index);
    struct raft_config config = r->config_base;
    for (uint64_t i = r->log.base_index + 1; i <= index; i++) {
        const struct raft_entry e = raft_log_entry(&r->log, i);
        struct raft_change change;
        if (e.kind != RAFT_ENTRY_CONFIG) continue;
        TRY(raft_change_decode(e.data, &change));
        TRY(raft_config_apply(&config, change));
    }
    *ret_config = config;
    return status_of(ST_OK);
}

void raft_truncate(struct raft *r, uint64_t index, struct raft_effects *out) {
    ASSERT(index > r->commit);
    ASSERT(r->role != RAFT_LEADER);
    ASSERT(out->truncate_from == 0 && out->append_first == 0);
    raft_log_truncate(&r->log, index);
    if (r->log_durable >= index) r->log_durable = index - 1;
    r->log_dirty = true;
    out->truncate_from = index;
    if (r->config_index < index) return;
    /* Nothing in the log is there that could not be applied when it came. */
    const struct status s = raft_config_at(r, r->log.last_index, &r->config);
    ASSERT(status_ok(s));
    r->config_index = r->log.base_index;
    for (uint64_t i = r->log.base_index + 1; i <= r->log.last_index; i++) {
        if (raft_log_entry(&r->log, i).kind == RAFT_ENTRY_CONFIG) r->config_index = i;
    }
}

void raft_commit_to(struct raft *r, uint64_t index) {
    ASSERT(index >= r->commit);
    ASSERT(index <= r->log.last_index);
    r->commit = index;
}

STATUS raft_describe(const struct raft *r, uint64_t index, uint8_t *config,
                     struct raft_snapshot *ret_snapshot) {
    if (index < r->log.base_index || index > r->applied) return status_of(ST_CONFLICT);
    if (r->config_len == 0) return status_of(ST_CONFLICT);
    struct raft_config at;
    TRY(raft_config_at(r, index, &at));
    const size_t len = raft_config_encode(&at, config);
    *ret_snapshot = (struct raft_snapshot){ .index = index,
                                            .term = raft_log_term(&r->log, index),
                                            .config = bytes_of(config, len) };
    return status_of(ST_OK);
}

/* ---- one step ---- */

static void on_stored(struct raft *r, struct raft_mark mark) {
    ASSERT(mark.sequence <= r->sequence);
    if (mark.sequence <= r->stored) return;
    r->stored = mark.sequence;
    /* A mark from before the last cut may name entries that are gone; the mark of the cut
     * itself, or a later one, covers what is left. */
    if (mark.sequence < r->log_sequence) return;
    ASSERT(mark.index <= r->log.last_index);
    if (mark.index > r->log_durable) r->log_durable = mark.index;
}

/* The sender's term is over. A leader must hear of it, or it would go on and on (3.3). */
static void refuse_stale(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(m->term < r->term);
    enum raft_message_kind kind = RAFT_APPEND_REPLY;
    if (m->kind == RAFT_VOTE)
        kind = RAFT_VOTE_REPLY;
    else if (m->kind != RAFT_APPEND && m->kind != RAFT_HEARTBEAT && m->kind != RAFT_SNAPSHOT)
        return;
    struct raft_message *reply = raft_send(r, out, kind, m->from);
    ASSERT(reply != NULL);
    reply->refused = true;
}

static void on_message_of_term(struct raft *r, const struct raft_message *m,
                               struct raft_effects *out) {
    ASSERT(m->term == r->term);
    switch (m->kind) {
    case RAFT_VOTE: raft_on_vote(r, m, out); break;
    case RAFT_VOTE_REPLY: raft_on_vote_reply(r, m, out); break;
    case RAFT_TIMEOUT_NOW: raft_on_timeout_now(r, m); break;
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
    case RAFT_SNAPSHOT:
        /* Only one node leads in a term (3.2), so another one is an error somewhere. */
        if (r->role == RAFT_LEADER || (r->leader != 0 && r->leader != m->from)) {
            out->result = status_of(ST_CORRUPT);
            break;
        }
        raft_heard_leader(r, m->from);
        if (m->kind == RAFT_APPEND) raft_on_append(r, m, out);
        if (m->kind == RAFT_HEARTBEAT) raft_on_heartbeat(r, m, out);
        if (m->kind == RAFT_SNAPSHOT) raft_on_snapshot(r, m, out);
        break;
    case RAFT_APPEND_REPLY: raft_on_append_reply(r, m, out); break;
    case RAFT_HEARTBEAT_REPLY: raft_on_heartbeat_reply(r, m, out); break;
    case RAFT_SNAPSHOT_REPLY: raft_on_snapshot_reply(r, m); break;
    case RAFT_PRE_VOTE:
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_MESSAGE_KINDS: ASSERT(false);
    }
}

static void on_receive(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    if (!raft_message_check(m) || m->to != r->options.id) {
        out->result = status_of(ST_CORRUPT);
        return;
    }
    /* Pre-votes ask about a term that nobody has entered yet. */
    if (m->kind == RAFT_PRE_VOTE) {
        raft_on_pre_vote(r, m, out);
        return;
    }
    if (m->kind == RAFT_PRE_VOTE_REPLY) {
        raft_on_pre_vote_reply(r, m);
        return;
    }
    if (m->kind == RAFT_VOTE && raft_vote_is_ignored(r, m)) return;
    if (m->term > r->term) raft_become_follower(r, m->term, 0);
    if (m->term < r->term) {
        refuse_stale(r, m, out);
        return;
    }
    on_message_of_term(r, m, out);
}

static void on_tick(struct raft *r, struct raft_effects *out) {
    if (r->role == RAFT_LEADER) {
        raft_on_lead_tick(r);
    } else if (r->now_ms >= r->election_at_ms) {
        raft_on_timeout(r, out);
    }
}

static void on_event(struct raft *r, const struct raft_event *event, struct raft_effects *out) {
    switch (event->kind) {
    case RAFT_TICK: on_tick(r, out); break;
    case RAFT_CONTINUE: break;
    case RAFT_RECEIVE: on_receive(r, event->message, out); break;
    case RAFT_PROPOSE: raft_on_propose(r, event->data, out); break;
    case RAFT_CHANGE: raft_on_change(r, event->change, out); break;
    case RAFT_READ: raft_on_read(r, event->id, out); break;
    case RAFT_TRANSFER: raft_on_transfer(r, event->node, event->prove, out); break;
    case RAFT_STORED: on_stored(r, event->mark); break;
    case RAFT_SNAPSHOT_MADE: raft_on_snapshot_made(r, event->index, event->data, out); break;
    case RAFT_SNAPSHOT_INSTALLED:
        raft_on_snapshot_installed(r, event->index, event->data, out);
        break;
    }
}

/* What this step wants stored, and its mark. */
static void settle_storage(struct raft *r, struct raft_effects *out) {
    out->hard_state = (struct raft_hard_state){ .term = r->term, .vote = r->vote };
    if (!r->hard_dirty && !r->log_dirty) return;
    r->sequence++;
    if (r->hard_dirty) r->hard_sequence = r->sequence;
    if (out->truncate_from != 0) r->log_sequence = r->sequence;
    out->hard_state_changed = r->hard_dirty;
    out->mark = (struct raft_mark){ .sequence = r->sequence, .index = r->log.last_index };
    r->hard_dirty = r->log_dirty = false;
}

static void settle_apply(struct raft *r, struct raft_effects *out) {
    ASSERT(r->applied <= r->commit);
    if (r->applied < r->commit) {
        out->apply_first = r->applied + 1;
        out->apply_last = r->commit;
        r->applied = r->commit;
    }
    const bool half =
        raft_log_len(&r->log) * 2 > r->log.slots_max || r->log.bytes * 2 > r->log.bytes_max;
    out->compact_wanted = half && r->applied > r->log.base_index;
}

/* From what the event has changed to what must be done. */
static void settle(struct raft *r, struct raft_effects *out) {
    raft_settle_votes(r, out);
    raft_settle_ack(r, out);
    if (r->role == RAFT_LEADER) {
        raft_advance_commit(r);
        raft_settle_reads(r, out);
        raft_flush(r, out);
        raft_resign_if_removed(r);
    }
    settle_storage(r, out);
    settle_apply(r, out);
    out->wake_at_ms = r->role == RAFT_LEADER ? r->heartbeat_at_ms : r->election_at_ms;
}

void raft_step(struct raft *r, const struct raft_event *event, struct raft_effects *out) {
    ASSERT(raft_check(r));
    ASSERT(event->now_ms >= r->now_ms);
    memset(out, 0, offsetof(struct raft_effects, messages)); /* the arrays are counted */
    r->now_ms = event->now_ms;
    r->random = event->random;
    if (!r->started) {
        r->started = true;
        raft_reset_timeout(r);
    }
    const uint64_t term_before = r->term;
    const uint64_t commit_before = r->commit;
    const enum raft_role role_before = r->role;
    const uint32_t leader_before = r->leader;

    on_event(r, event, out);
    settle(r, out);

    out->role = r->role;
    out->leader = r->leader;
    out->role_changed =
        r->role != role_before || r->leader != leader_before || r->term != term_before;
    ASSERT(r->term >= term_before);
    ASSERT(r->term == term_before || out->hard_state_changed);
    ASSERT(r->commit >= commit_before);
    ASSERT(raft_check(r));
}

bool raft_check(const struct raft *r) {
    if (!raft_options_check(&r->options) || !raft_log_check(&r->log)) return false;
    if (!raft_config_check(&r->config) || !raft_config_check(&r->config_base)) return false;
    if ((r->log.base_index == 0) != (r->config_len == 0)) return false;
    if (r->applied < r->log.base_index || r->applied > r->commit) return false;
    if (r->commit > r->log.last_index || r->verified > r->log.last_index) return false;
    if (r->log_durable < r->log.base_index || r->log_durable > r->log.last_index) return false;
    if (r->config_index > r->log.last_index) return false;
    if (r->term < raft_log_last_term(&r->log)) return false;
    if ((uint32_t)r->role >= RAFT_ROLES) return false;
    if (r->role == RAFT_LEADER && r->leader != r->options.id) return false;
    if (r->role == RAFT_LEADER && !raft_hard_is_durable(r)) return false;
    if (r->role == RAFT_LEADER && r->term_start > r->log.last_index) return false;
    if (r->stored > r->sequence || r->hard_sequence > r->sequence) return false;
    if (r->granted_count > RAFT_VOTERS_MAX || r->read_count > RAFT_READS_MAX) return false;
    if (r->role != RAFT_LEADER && r->progress_count > 0) return false;
    return r->progress_count <= RAFT_MEMBERS_MAX;
}
