#include "raft/progress.h"

#include "base/assert.h"

#define TO(state) (1u << (state))

static const uint32_t progress_next[RAFT_PROGRESS_STATES] = {
    [RAFT_PROBE] = TO(RAFT_PROBE) | TO(RAFT_REPLICATE) | TO(RAFT_SENDS_SNAPSHOT),
    [RAFT_REPLICATE] = TO(RAFT_PROBE) | TO(RAFT_SENDS_SNAPSHOT),
    /* SNAPSHOT: a newer one took its place. PROBE first shows that it was installed. */
    [RAFT_SENDS_SNAPSHOT] = TO(RAFT_PROBE) | TO(RAFT_SENDS_SNAPSHOT),
};

static void progress_move(struct raft_progress *p, enum raft_progress_state next) {
    ASSERT((progress_next[p->state] & TO(next)) != 0);
    p->state = next;
    p->paused = false;
    p->chunk_sent = false;
    p->inflight_first = 0;
    p->inflight_count = 0;
}

void raft_progress_init(struct raft_progress *p, uint32_t id, uint64_t last_index,
                        uint64_t now_ms) {
    ASSERT(id != 0);
    *p = (struct raft_progress){
        .id = id,
        .state = RAFT_PROBE,
        .next = last_index + 1,
        .heard_ms = now_ms,
        .append_due = true,
    };
    ASSERT(raft_progress_check(p));
}

void raft_progress_probe(struct raft_progress *p, uint64_t next) {
    ASSERT(next > p->match);
    progress_move(p, RAFT_PROBE);
    p->next = next;
    p->append_due = true;
    ASSERT(raft_progress_check(p));
}

void raft_progress_send_snapshot(struct raft_progress *p, uint64_t index, uint32_t checksum) {
    ASSERT(index > p->match);
    progress_move(p, RAFT_SENDS_SNAPSHOT);
    p->chunk_index = index;
    p->chunk_checksum = checksum;
    p->chunk_offset = 0;
    p->append_due = false;
    ASSERT(raft_progress_check(p));
}

void raft_progress_sent(struct raft_progress *p, uint64_t last_index) {
    ASSERT(p->state != RAFT_SENDS_SNAPSHOT);
    p->append_due = false;
    if (p->state == RAFT_PROBE) {
        p->paused = true;
        return;
    }
    ASSERT(last_index + 1 >= p->next);
    if (last_index < p->next) return; /* it was empty */
    /* A probe of a full window is sent empty, so there is room. */
    ASSERT(p->inflight_count < RAFT_INFLIGHT_MAX);
    p->inflight[(p->inflight_first + p->inflight_count) % RAFT_INFLIGHT_MAX] = last_index;
    p->inflight_count++;
    p->next = last_index + 1;
    ASSERT(raft_progress_check(p));
}

void raft_progress_acknowledged(struct raft_progress *p, uint64_t index) {
    if (index > p->match) p->match = index;
    if (p->next <= p->match) p->next = p->match + 1;
    if (p->state == RAFT_PROBE) progress_move(p, RAFT_REPLICATE);
    while (p->inflight_count > 0 && p->inflight[p->inflight_first] <= p->match) {
        p->inflight_first = (p->inflight_first + 1) % RAFT_INFLIGHT_MAX;
        p->inflight_count--;
    }
    ASSERT(raft_progress_check(p));
}

bool raft_progress_check(const struct raft_progress *p) {
    if (p->id == 0 || (uint32_t)p->state >= RAFT_PROGRESS_STATES) return false;
    if (p->next <= p->match) return false;
    if (p->inflight_first >= RAFT_INFLIGHT_MAX || p->inflight_count > RAFT_INFLIGHT_MAX)
        return false;
    if (p->state != RAFT_REPLICATE && p->inflight_count > 0) return false;
    if (p->paused && p->state != RAFT_PROBE) return false;
    return !p->chunk_sent || p->state == RAFT_SENDS_SNAPSHOT;
}
