#include "base/assert.h"
#include "base/mutant.h"
#include "raft/raft_internal.h"

/* Kept free for the first entries of leaders and for changes: a window full of proposals
 * could otherwise not be committed by anyone. */
static uint32_t slots_spare(const struct raft *r) {
    return r->options.log_slots_max / 4;
}

struct raft_progress *raft_progress_of(struct raft *r, uint32_t id) {
    uint32_t low = 0;
    uint32_t high = r->progress_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (r->progress[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == r->progress_count || r->progress[low].id != id) return NULL;
    return &r->progress[low];
}

void raft_begin_lead(struct raft *r, struct raft_effects *out) {
    ASSERT(r->role == RAFT_CANDIDATE);
    ASSERT(r->vote == r->options.id);
    ASSERT(raft_hard_is_durable(r));
    r->role = RAFT_LEADER;
    r->leader = r->options.id;
    r->granted_count = 0;
    r->vote_owed = 0;
    r->round = 0;
    r->read_count = 0;
    r->progress_count = 0;
    r->progress_turn = 0;
    raft_follow_config(r);
    r->heartbeat_at_ms = r->now_ms + r->options.heartbeat_ms;
    /* What earlier terms left is committed with this one (3.6.2, 6.4). */
    const struct status s = raft_append_entry(r, r->term, RAFT_ENTRY_EMPTY, BYTES_NONE, out);
    ASSERT(status_ok(s)); /* nobody stands for election without the room */
    r->term_start = r->log.last_index;
}

/* How many voters were heard within the election timeout, this node included. */
static uint32_t voters_heard(struct raft *r) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->config.voter_count; i++) {
        const struct raft_progress *p = raft_progress_of(r, r->config.voters[i]);
        const bool self = r->config.voters[i] == r->options.id;
        ASSERT(self || p != NULL);
        count += self || r->now_ms - p->heard_ms < r->options.election_ms;
    }
    return count;
}

bool raft_has_heard(const struct raft *r, uint32_t id, uint64_t now_ms, uint64_t limit_ms) {
    const struct raft_progress *p = raft_progress_of((struct raft *)r, id);
    ASSERT(now_ms >= r->now_ms);
    return p != NULL && now_ms - p->heard_ms < limit_ms;
}

/* How many learners get a heartbeat each time. */
static uint32_t learners_a_beat(const struct raft *r) {
    const uint32_t learners = r->config.learner_count;
    const uint32_t times = r->options.election_ms / r->options.heartbeat_ms / 2;
    uint32_t count = times > 0 ? (learners + times - 1) / times : learners;
    if (count < RAFT_LEARNERS_BEAT_MIN) count = RAFT_LEARNERS_BEAT_MIN;
    return count < learners ? count : learners;
}

uint32_t raft_beat_ms(const struct raft *r) {
    const uint32_t learners = r->config.learner_count;
    if (learners == 0 || raft_config_is_voter(&r->config, r->options.id))
        return r->options.heartbeat_ms;
    const uint32_t count = learners_a_beat(r);
    return (learners + count - 1) / count * r->options.heartbeat_ms;
}

/* Voters hear of the leader each time. Learners only have to know that it is there, and what is
 * committed goes to them with appends: many of them take turns, so that each hears of it twice
 * within an election timeout. */
static void beat(struct raft *r) {
    const uint32_t learners = r->config.learner_count;
    const uint32_t count = learners_a_beat(r);
    for (uint32_t i = 0; i < r->config.voter_count; i++) {
        struct raft_progress *p = raft_progress_of(r, r->config.voters[i]);
        if (p != NULL) p->heartbeat_due = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (r->heartbeat_turn >= learners) r->heartbeat_turn = 0;
        struct raft_progress *p = raft_progress_of(r, r->config.learners[r->heartbeat_turn++]);
        if (p != NULL) p->heartbeat_due = true;
    }
}

void raft_on_lead_tick(struct raft *r) {
    ASSERT(r->role == RAFT_LEADER);
    /* Check-quorum (6.2): a leader that is cut off must not keep clients waiting for it. */
    if (voters_heard(r) < raft_config_majority(&r->config) &&
        !MUTANT("raft_two_leaders_by_lease")) {
        raft_become_follower(r, r->term, 0);
        return;
    }
    if (r->transfer_to != 0 && r->now_ms >= r->transfer_end_ms) {
        r->transfer_to = 0;
        r->transfer_due = false;
    }
    if (r->now_ms < r->heartbeat_at_ms) return;
    r->heartbeat_at_ms = r->now_ms + r->options.heartbeat_ms;
    beat(r);
}

/* Back from where the logs part to where they may agree (3.5). */
static uint64_t next_after_refusal(const struct raft *r, const struct raft_progress *p,
                                   const struct raft_message *m) {
    ASSERT(m->index > p->match);
    uint64_t next = m->hint;
    if (m->log_term != 0) {
        const uint64_t last = raft_log_last_up_to(&r->log, m->log_term);
        if (raft_log_term(&r->log, last) == m->log_term) next = last + 1;
    }
    if (next > m->index) next = m->index;
    return next > p->match ? next : p->match + 1;
}

static void on_refused(struct raft *r, struct raft_progress *p, const struct raft_message *m) {
    if (p->state == RAFT_SENDS_SNAPSHOT || m->index <= p->match) return;
    if (m->index > r->log.last_index) return;
    /* An answer to an earlier probe says nothing about this one. */
    if (p->state == RAFT_PROBE && m->index != p->next - 1) return;
    raft_progress_probe(p, next_after_refusal(r, p, m));
}

void raft_on_append_reply(struct raft *r, const struct raft_message *m, struct raft_effects *out) {
    ASSERT(m->term == r->term);
    struct raft_progress *p = raft_progress_of(r, m->from);
    if (r->role != RAFT_LEADER || p == NULL) return;
    p->heard_ms = r->now_ms;
    if (m->refused) {
        on_refused(r, p, m);
        return;
    }
    if (m->index > r->log.last_index) {
        out->result = status_of(ST_CORRUPT);
        return;
    }
    raft_progress_acknowledged(p, m->index);
    if (p->state == RAFT_SENDS_SNAPSHOT && p->match >= r->log.base_index) {
        raft_progress_probe(p, p->match + 1);
        raft_progress_acknowledged(p, m->index);
    }
}

void raft_on_heartbeat_reply(struct raft *r, const struct raft_message *m,
                             struct raft_effects *out) {
    ASSERT(m->term == r->term);
    struct raft_progress *p = raft_progress_of(r, m->from);
    if (r->role != RAFT_LEADER || p == NULL) return;
    if (m->round > r->round) {
        out->result = status_of(ST_CORRUPT);
        return;
    }
    p->heard_ms = r->now_ms;
    if (m->round > p->round) p->round = m->round;
    /* What was sent, or its answer, may be lost. An APPEND, perhaps an empty one, finds out. */
    p->paused = false;
    p->append_due = p->state != RAFT_SENDS_SNAPSHOT && p->match < r->log.last_index;
}

void raft_on_propose(struct raft *r, struct bytes data, struct raft_effects *out) {
    out->result = status_of(ST_OK);
    if (r->role != RAFT_LEADER) {
        out->result = status_of(ST_CONFLICT);
    } else if (r->transfer_to != 0) {
        out->result = status_of(ST_BUSY);
    } else if (data.len > RAFT_ENTRY_BYTES_MAX) {
        out->result = status_of(ST_INVALID);
    } else if (!raft_log_has_room(&r->log, data.len, slots_spare(r))) {
        out->result = status_of(ST_FULL);
    }
    if (!status_ok(out->result)) return;
    const struct status s = raft_append_entry(r, r->term, RAFT_ENTRY_DATA, data, out);
    ASSERT(status_ok(s));
    out->index = r->log.last_index;
}

void raft_on_read(struct raft *r, uint64_t id, struct raft_effects *out) {
    out->result = status_of(ST_OK);
    if (r->role != RAFT_LEADER) out->result = status_of(ST_CONFLICT);
    /* Before that it may not know how far earlier leaders had committed (6.4). */
    else if (r->commit < r->term_start)
        out->result = status_of(ST_BUSY);
    else if (r->read_count == RAFT_READS_MAX)
        out->result = status_of(ST_BUSY);
    if (!status_ok(out->result)) return;
    const struct raft_read read = { .id = id, .index = r->commit };
    if (MUTANT("raft_two_leaders_by_lease")) {
        out->reads[out->read_count++] = read;
        return;
    }
    r->round++;
    r->reads[r->read_count++] = (struct raft_read_wait){ .read = read, .round = r->round };
    for (uint32_t i = 0; i < r->config.voter_count; i++) {
        struct raft_progress *p = raft_progress_of(r, r->config.voters[i]);
        if (p != NULL) p->heartbeat_due = true;
    }
}

static uint64_t round_of(struct raft *r, uint32_t id) {
    if (id == r->options.id) return r->round;
    return raft_progress_of(r, id)->round;
}

static uint64_t match_of(struct raft *r, uint32_t id) {
    /* The own log counts when it is durable, like any other (10.2.1). */
    if (id == r->options.id) return r->log_durable;
    return raft_progress_of(r, id)->match;
}

/* The highest number that a majority of the voters has reached. */
static uint64_t majority_of(struct raft *r, uint64_t (*number)(struct raft *r, uint32_t id)) {
    uint64_t sorted[RAFT_VOTERS_MAX]; /* descending */
    ASSERT(r->config.voter_count >= 1);
    for (uint32_t i = 0; i < r->config.voter_count; i++) {
        const uint64_t n = number(r, r->config.voters[i]);
        uint32_t place = i;
        for (; place > 0 && sorted[place - 1] < n; place--) sorted[place] = sorted[place - 1];
        sorted[place] = n;
    }
    return sorted[raft_config_majority(&r->config) - 1];
}

void raft_advance_commit(struct raft *r) {
    ASSERT(r->role == RAFT_LEADER);
    const uint64_t index = majority_of(r, match_of);
    if (index <= r->commit) return;
    /* Entries of earlier terms are never committed by counting, only by what follows them: an
     * entry on a majority can still be overruled by one with a later term (3.6.2). */
    if (raft_log_term(&r->log, index) != r->term && !MUTANT("raft_commits_old_term")) return;
    raft_commit_to(r, index);
}

void raft_settle_reads(struct raft *r, struct raft_effects *out) {
    if (r->read_count == 0) return;
    const uint64_t round = majority_of(r, round_of);
    uint32_t done = 0;
    while (done < r->read_count && r->reads[done].round <= round) {
        ASSERT(out->read_count < RAFT_READS_MAX);
        out->reads[out->read_count++] = r->reads[done++].read;
    }
    r->read_count -= done;
    memmove(r->reads, r->reads + done, r->read_count * sizeof *r->reads);
}

static bool wants_append(const struct raft *r, const struct raft_progress *p) {
    const bool news = p->next <= r->log.last_index;
    if (p->state == RAFT_PROBE) return !p->paused && (p->append_due || news);
    if (p->state != RAFT_REPLICATE) return false;
    if (p->append_due) return true;
    if (p->inflight_count >= r->options.inflight_max) return false;
    const uint64_t commit = r->commit < p->next - 1 ? r->commit : p->next - 1;
    return news || p->commit_sent < commit;
}

/* Entries from p->next on into `out`, as many as one message takes. */
static uint32_t gather(struct raft *r, const struct raft_progress *p, struct raft_effects *out) {
    const bool full = p->state == RAFT_REPLICATE && p->inflight_count >= r->options.inflight_max;
    if (full) return 0;
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint64_t i = p->next; i <= r->log.last_index; i++) {
        if (count == r->options.batch_entries_max) break;
        if (out->entry_count + count == RAFT_EFFECT_ENTRIES_MAX) break;
        const struct raft_entry e = raft_log_entry(&r->log, i);
        bytes += e.data.len;
        if (count > 0 && bytes > r->options.batch_bytes_max) break;
        out->entries[out->entry_count + count++] = e;
    }
    return count;
}

/* False when `out` is full. */
static bool send_append(struct raft *r, struct raft_progress *p, struct raft_effects *out) {
    const uint64_t index = p->next - 1;
    if (index < r->log.base_index) {
        raft_progress_send_snapshot(p, r->log.base_index, r->snapshot_checksum);
        return raft_send_chunk(r, p, out);
    }
    if (out->entry_count == RAFT_EFFECT_ENTRIES_MAX) return false;
    struct raft_message *m = raft_send(r, out, RAFT_APPEND, p->id);
    if (m == NULL) return false;
    m->index = index;
    m->log_term = raft_log_term(&r->log, index);
    m->commit = r->commit;
    m->entries = out->entries + out->entry_count;
    m->entry_count = gather(r, p, out);
    out->entry_count += m->entry_count;
    const uint64_t last = index + m->entry_count;
    const uint64_t told = r->commit < last ? r->commit : last;
    if (told > p->commit_sent) p->commit_sent = told;
    raft_progress_sent(p, last);
    return true;
}

/* False when `out` is full. */
static bool flush_one(struct raft *r, struct raft_progress *p, struct raft_effects *out) {
    ASSERT(raft_progress_check(p));
    if (p->heartbeat_due) {
        struct raft_message *m = raft_send(r, out, RAFT_HEARTBEAT, p->id);
        if (m == NULL) return false;
        m->commit = r->commit < p->match ? r->commit : p->match;
        m->round = r->round;
        p->heartbeat_due = false;
    }
    while (wants_append(r, p)) {
        if (!send_append(r, p, out)) return false;
    }
    if (p->state == RAFT_SENDS_SNAPSHOT && !raft_send_chunk(r, p, out)) return false;
    if (r->transfer_due && p->id == r->transfer_to && p->match == r->log.last_index) {
        if (raft_send(r, out, RAFT_TIMEOUT_NOW, p->id) == NULL) return false;
        r->transfer_due = false;
    }
    return true;
}

void raft_flush(struct raft *r, struct raft_effects *out) {
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->progress_count; i++) {
        const uint32_t place = (r->progress_turn + i) % r->progress_count;
        if (flush_one(r, &r->progress[place], out)) continue;
        r->progress_turn = place;
        out->more = true;
        return;
    }
}
