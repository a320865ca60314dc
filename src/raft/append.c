#include "base/assert.h"
#include "base/mutant.h"
#include "raft/raft_internal.h"

/* Say where the logs part: the term found there and where it begins, so that the leader goes
 * back by terms and not by entries (3.5). */
static void refuse(struct raft *r, uint64_t index, struct raft_effects *out) {
    ASSERT(index > r->commit);
    struct raft_message *reply = raft_send(r, out, RAFT_APPEND_REPLY, r->leader);
    ASSERT(reply != NULL);
    reply->refused = true;
    reply->index = index;
    reply->hint = r->log.last_index + 1;
    if (index > r->log.last_index) return;
    reply->log_term = raft_log_term(&r->log, index);
    ASSERT(reply->log_term > 0);
    const uint64_t first = raft_log_last_up_to(&r->log, reply->log_term - 1) + 1;
    reply->hint = first > r->commit ? first : r->commit + 1;
}

/* Take the entries after `index`, up to which the logs are equal; those that are there already
 * are skipped, so that a late message takes nothing back (3.5). Returns the last one that is
 * there now. */
static uint64_t take_entries(struct raft *r, uint64_t index, const struct raft_entry *entries,
                             uint32_t count, struct raft_effects *out) {
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry *e = &entries[i];
        ASSERT(e->index == index + 1);
        const uint64_t term_here = raft_log_term(&r->log, e->index);
        if (term_here != e->term) {
            if (term_here != 0) raft_truncate(r, e->index, out);
            const struct status s = raft_append_entry(r, e->term, e->kind, e->data, out);
            /* A full window takes what it can; the leader comes again. */
            if (!status_ok(s) && s.code != ST_FULL) out->result = s;
            if (!status_ok(s)) return index;
        }
        index = e->index;
    }
    return index;
}

void raft_on_append(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(r->leader == m->from);
    if (r->incoming.installing) return;
    uint64_t index = m->index;
    uint32_t skip = 0;
    if (index < r->commit) {
        /* What is committed is equal everywhere, and perhaps dropped here. */
        const uint64_t known = r->commit - index;
        skip = known < m->entry_count ? (uint32_t)known : m->entry_count;
        index = known < m->entry_count ? r->commit : index + m->entry_count;
    } else if (index > r->log.last_index || raft_log_term(&r->log, index) != m->log_term) {
        refuse(r, index, out);
        return;
    }
    if (m->entry_count > skip) {
        /* The leader that has another entry where this node has committed one is broken. */
        ASSERT(index >= r->commit);
        if (m->entries[skip].term < raft_log_term(&r->log, index)) {
            out->result = status_of(ST_CORRUPT);
            return;
        }
        index = take_entries(r, index, m->entries + skip, m->entry_count - skip, out);
    }
    if (index > r->verified) r->verified = index;
    if (r->commit > r->verified) r->verified = r->commit;
    const uint64_t committed = m->commit < r->verified ? m->commit : r->verified;
    if (committed > r->commit) raft_commit_to(r, committed);
    if (MUTANT("raft_applies_before_commit")) raft_commit_to(r, r->verified);
    r->ack_owed = true;
}

void raft_on_heartbeat(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(r->leader == m->from);
    struct raft_message *reply = raft_send(r, out, RAFT_HEARTBEAT_REPLY, m->from);
    ASSERT(reply != NULL);
    reply->round = m->round;
    if (r->incoming.installing) return;
    /* The leader names no more than this node has acknowledged in this term, so the log is
     * there and equal; a longer one means that this disk lost what it had promised. */
    if (m->commit > r->log.last_index) {
        out->result = status_of(ST_CORRUPT);
        return;
    }
    if (m->commit > r->verified) r->verified = m->commit;
    if (m->commit > r->commit) raft_commit_to(r, m->commit);
}

void raft_settle_ack(struct raft *r, struct raft_effects *out) {
    if (!r->ack_owed || r->leader == 0) return;
    ASSERT(r->role == RAFT_FOLLOWER);
    if (!raft_hard_is_durable(r)) return;
    const bool all = r->verified <= r->log_durable;
    const uint64_t index = all ? r->verified : r->log_durable;
    if (!all && index <= r->acknowledged) return;
    struct raft_message *reply = raft_send(r, out, RAFT_APPEND_REPLY, r->leader);
    ASSERT(reply != NULL);
    reply->index = index;
    r->acknowledged = index;
    r->ack_owed = !all;
}
