#include "base/assert.h"
#include "raft/raft_internal.h"

/* Whether the learner follows so closely that it will not hold up commits as a voter (4.2.1). */
static bool is_caught_up(struct raft *r, uint32_t id) {
    const struct raft_progress *p = raft_progress_of(r, id);
    if (p == NULL || p->state != RAFT_REPLICATE) return false;
    if (r->now_ms - p->heard_ms >= r->options.election_ms) return false;
    return p->match + RAFT_PROMOTE_LAG_MAX >= r->log.last_index;
}

/* Errors  ST_CONFLICT, ST_BUSY, ST_FULL, ST_INVALID */
static struct status may_change(struct raft *r, struct raft_change change) {
    if (r->role != RAFT_LEADER) return status_of(ST_CONFLICT);
    if (r->transfer_to != 0) return status_of(ST_BUSY);
    /* Two majorities in a row share a node only if the first is committed (4.1), and a leader
     * knows that of earlier leaders' changes only after an entry of its own (the erratum to
     * 4.1, raft-dev 2015). */
    if (r->config_index > r->commit || r->commit < r->term_start) return status_of(ST_BUSY);
    struct raft_config config = r->config;
    TRY(raft_config_apply(&config, change));
    if (change.kind == RAFT_CHANGE_PROMOTE && !is_caught_up(r, change.id))
        return status_of(ST_BUSY);
    if (!raft_log_has_room(&r->log, RAFT_CHANGE_BYTES, r->options.log_slots_max / 8))
        return status_of(ST_FULL);
    return status_of(ST_OK);
}

void raft_on_change(struct raft *r, struct raft_change change, struct raft_effects *out) {
    out->result = may_change(r, change);
    if (!status_ok(out->result)) return;
    uint8_t data[RAFT_CHANGE_BYTES];
    raft_change_encode(change, data);
    const struct status s =
        raft_append_entry(r, r->term, RAFT_ENTRY_CONFIG, bytes_of(data, sizeof data), out);
    ASSERT(status_ok(s));
    ASSERT(r->config_index == r->log.last_index);
    out->index = r->log.last_index;
}

/* TIMEOUT_NOW leaves when the other has stored the whole log. So what was appended just before proves
 * that its disk takes something now; without, a quiet log proves nothing. */
void raft_on_transfer(struct raft *r, uint32_t to, bool prove, struct raft_effects *out) {
    out->result = status_of(ST_OK);
    if (r->role != RAFT_LEADER)
        out->result = status_of(ST_CONFLICT);
    else if (r->transfer_to != 0)
        out->result = status_of(ST_BUSY);
    else if (to == r->options.id || !raft_config_is_voter(&r->config, to))
        out->result = status_of(ST_INVALID);
    else if (prove && !raft_log_has_room(&r->log, 0, r->options.log_slots_max / 8))
        out->result = status_of(ST_FULL);
    if (!status_ok(out->result)) return;
    if (prove) {
        const struct status s = raft_append_entry(r, r->term, RAFT_ENTRY_EMPTY, BYTES_NONE, out);
        ASSERT(status_ok(s));
    }
    r->transfer_to = to;
    r->transfer_due = true;
    r->transfer_end_ms = r->now_ms + r->options.election_ms; /* as 3.10 has it */
}

static void add_progress(struct raft *r, uint32_t id) {
    if (id == r->options.id || raft_progress_of(r, id) != NULL) return;
    ASSERT(r->progress_count < RAFT_MEMBERS_MAX);
    uint32_t place = r->progress_count;
    for (; place > 0 && r->progress[place - 1].id > id; place--)
        r->progress[place] = r->progress[place - 1];
    raft_progress_init(&r->progress[place], id, r->log.last_index, r->now_ms);
    r->progress_count++;
}

void raft_follow_config(struct raft *r) {
    if (r->role != RAFT_LEADER) return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->progress_count; i++) {
        if (!raft_config_is_member(&r->config, r->progress[i].id)) continue;
        if (kept != i) r->progress[kept] = r->progress[i];
        kept++;
    }
    r->progress_count = kept;
    r->progress_turn = 0;
    for (uint32_t i = 0; i < r->config.voter_count; i++) add_progress(r, r->config.voters[i]);
    for (uint32_t i = 0; i < r->config.learner_count; i++) add_progress(r, r->config.learners[i]);
    ASSERT(r->progress_count <= RAFT_MEMBERS_MAX);
}

void raft_resign_if_removed(struct raft *r) {
    ASSERT(r->role == RAFT_LEADER);
    if (r->config_index > r->commit) return;
    if (raft_config_is_voter(&r->config, r->options.id)) return;
    raft_become_follower(r, r->term, 0);
}
