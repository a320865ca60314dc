#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "raft/raft_internal.h"

static void reply_offset(struct raft *r, struct raft_effects *out) {
    struct raft_message *reply = raft_send(r, out, RAFT_SNAPSHOT_REPLY, r->leader);
    ASSERT(reply != NULL);
    reply->index = r->incoming.index;
    reply->checksum = r->incoming.checksum;
    reply->offset = r->incoming.received;
}

static void begin_incoming(struct raft *r, const struct raft_message *m) {
    ASSERT(!r->incoming.installing);
    r->incoming.index = m->index;
    r->incoming.term = m->log_term;
    r->incoming.total = m->total;
    r->incoming.checksum = m->checksum;
    r->incoming.received = 0;
    r->incoming.running = 0;
}

/* The same snapshot may come on from another leader: its bytes are what counts. */
static bool is_incoming(const struct raft *r, const struct raft_message *m) {
    return r->incoming.index == m->index && r->incoming.term == m->log_term &&
           r->incoming.total == m->total && r->incoming.checksum == m->checksum;
}

static void take_chunk(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(m->offset == r->incoming.received);
    out->snapshot_write = true;
    out->snapshot_offset = m->offset;
    out->snapshot_data = m->data;
    r->incoming.running = crc32c(r->incoming.running, m->data);
    r->incoming.received += m->data.len;
    if (r->incoming.received < r->incoming.total) return;
    if (r->incoming.running != r->incoming.checksum) {
        begin_incoming(r, m); /* pieces of two different ones */
        out->snapshot_write = false;
        out->result = status_of(ST_CORRUPT);
        return;
    }
    const struct status s = raft_config_decode(m->config, &r->incoming.config);
    ASSERT(status_ok(s)); /* raft_message_check has seen it */
    r->incoming.installing = true;
    out->snapshot_install = true;
    out->snapshot =
        (struct raft_snapshot){ .index = m->index, .term = m->log_term, .config = m->config };
}

void raft_on_snapshot(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(r->leader == m->from);
    if (r->incoming.installing) return;
    if (m->index <= r->commit || raft_log_term(&r->log, m->index) == m->log_term) {
        /* All of it is in the log, so nothing is missing (5.2, step 6 of the rules). */
        if (m->index > r->commit) raft_commit_to(r, m->index);
        if (r->verified < r->commit) r->verified = r->commit;
        r->ack_owed = true;
        return;
    }
    if (!is_incoming(r, m)) begin_incoming(r, m);
    if (m->offset == r->incoming.received) take_chunk(r, m, out);
    reply_offset(r, out);
}

void raft_on_snapshot_installed(struct raft *r, uint64_t index, struct bytes data,
                                struct raft_effects *out) {
    out->result = status_of(ST_OK);
    if (!r->incoming.installing || r->incoming.index != index || data.len != r->incoming.total ||
        crc32c(0, data) != r->incoming.checksum) {
        out->result = status_of(ST_INVALID);
        return;
    }
    ASSERT(index > r->commit);
    ASSERT(r->role == RAFT_FOLLOWER);
    const uint64_t term = r->incoming.term;
    raft_log_reset(&r->log, index, term);
    const bool loses = MUTANT("raft_loses_snapshot") && r->config_len > 0;
    if (!loses) r->config = r->incoming.config;
    raft_set_base(r, &r->config, data);
    r->config_index = r->commit = r->applied = r->log_durable = index;
    r->verified = index;
    r->log_sequence = ++r->sequence; /* marks from before name entries that are gone */
    r->incoming = (struct raft_incoming){ 0 };
    r->ack_owed = r->leader != 0;
}

void raft_on_snapshot_made(struct raft *r, uint64_t index, struct bytes data,
                           struct raft_effects *out) {
    out->result = status_of(ST_OK);
    if (index <= r->log.base_index)
        out->result = status_of(ST_CONFLICT);
    else if (index > r->applied || data.len > RAFT_SNAPSHOT_BYTES_MAX)
        out->result = status_of(ST_INVALID);
    else if (index > r->log_durable)
        out->result = status_of(ST_BUSY);
    if (!status_ok(out->result)) return;
    struct raft_config config;
    const struct status s = raft_config_at(r, index, &config);
    ASSERT(status_ok(s));
    raft_log_compact(&r->log, index);
    raft_set_base(r, &config, data);
    if (r->config_index < index) r->config_index = index;
    ASSERT(r->log.base_index == index);
}

/* At most one piece is on the way. */
bool raft_send_chunk(struct raft *r, struct raft_progress *p, struct raft_effects *out) {
    ASSERT(p->state == RAFT_SENDS_SNAPSHOT);
    ASSERT(r->config_len > 0);
    if (p->chunk_index != r->log.base_index || p->chunk_checksum != r->snapshot_checksum)
        raft_progress_send_snapshot(p, r->log.base_index, r->snapshot_checksum);
    const bool lost = r->now_ms - p->chunk_sent_ms >= r->options.election_ms;
    if (p->chunk_sent && !lost) return true;
    struct raft_message *m = raft_send(r, out, RAFT_SNAPSHOT, p->id);
    if (m == NULL) return false;
    const uint64_t left = r->snapshot_data.len - p->chunk_offset;
    m->index = r->log.base_index;
    m->log_term = r->log.base_term;
    m->offset = p->chunk_offset;
    m->total = r->snapshot_data.len;
    m->checksum = r->snapshot_checksum;
    m->config = bytes_of(r->config_bytes, r->config_len);
    m->data.len = left < r->options.chunk_bytes ? left : r->options.chunk_bytes;
    if (m->data.len > 0) m->data.ptr = r->snapshot_data.ptr + p->chunk_offset;
    p->chunk_sent = true;
    p->chunk_sent_ms = r->now_ms;
    return true;
}

void raft_on_snapshot_reply(struct raft *r, const struct raft_message *m) {
    ASSERT(m->term == r->term);
    struct raft_progress *p = raft_progress_of(r, m->from);
    if (r->role != RAFT_LEADER || p == NULL) return;
    p->heard_ms = r->now_ms;
    if (p->state != RAFT_SENDS_SNAPSHOT) return;
    if (m->index != p->chunk_index || m->checksum != p->chunk_checksum) return;
    if (m->offset > r->snapshot_data.len) return;
    /* Each answer sends one piece, so a repeated answer must send none, or the pieces on the
     * way would double for ever. Zero is a node that lost what it had. */
    const bool again = m->offset == 0 && p->chunk_offset > 0;
    if (m->offset <= p->chunk_offset && !again) return;
    p->chunk_offset = m->offset;
    /* With all of it there, the next piece is an empty one after a pause: is it installed? */
    p->chunk_sent = m->offset == r->snapshot_data.len;
    if (p->chunk_sent) p->chunk_sent_ms = r->now_ms;
}
