#include "base/assert.h"
#include "test/unit/raft/model.h"

void model_fail(struct model *m, struct model_node *n, const char *rule) {
    if (m->wrong != NULL) return;
    m->wrong = rule;
    m->wrong_node = n->id;
    m->wrong_event = m->events;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t z = (a ^ b) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t model_hash_entry(uint32_t kind, struct bytes data) {
    uint64_t hash = mix(kind, data.len);
    for (size_t i = 0; i < data.len; i++) hash = mix(hash, data.ptr[i]);
    return hash;
}

uint64_t model_hash_state(uint64_t before, uint64_t term, uint64_t entry_hash) {
    return mix(mix(before, term), entry_hash);
}

struct model_config model_config_of(const struct raft_config *c) {
    struct model_config bits = { 0, 0 };
    for (uint32_t i = 0; i < c->voter_count; i++) bits.voters |= 1u << c->voters[i];
    for (uint32_t i = 0; i < c->learner_count; i++) bits.learners |= 1u << c->learners[i];
    return bits;
}

static bool configs_equal(struct model_config a, struct model_config b) {
    return a.voters == b.voters && a.learners == b.learners;
}

/* Log matching (3.5): index and term name one entry and one predecessor, wherever it is. By
 * induction all that comes before it is the same too. */
static void check_entry(struct model *m, struct model_node *n, uint64_t index) {
    const struct raft_entry e = raft_log_entry(&n->raft.log, index);
    const uint64_t term_prev = raft_log_term(&n->raft.log, index - 1);
    const uint64_t hash = model_hash_entry(e.kind, e.data);
    uint32_t place = (uint32_t)mix(index, e.term) % MODEL_ENTRIES_MAX;
    while (m->known[place].index != 0 &&
           (m->known[place].index != index || m->known[place].term != e.term))
        place = (place + 1) % MODEL_ENTRIES_MAX;
    struct model_known *k = &m->known[place];
    if (k->index == 0) {
        ASSERT(++m->known_count < MODEL_ENTRIES_MAX * 3 / 4);
        *k = (struct model_known){
            .index = index, .term = e.term, .term_prev = term_prev, .hash = hash
        };
        return;
    }
    if (k->term_prev != term_prev || k->hash != hash) model_fail(m, n, "log matching");
}

/* Leader completeness (3.6): it has all that leaders of earlier terms have committed. */
static void check_leader(struct model *m, struct model_node *n) {
    const struct raft *r = &n->raft;
    if (r->term >= MODEL_TERMS_MAX) return model_fail(m, n, "the model has too few terms");
    if (m->leaders[r->term] == n->id) return;
    if (m->leaders[r->term] != 0) return model_fail(m, n, "election safety");
    m->leaders[r->term] = n->id;
    for (uint64_t i = r->log.base_index; i <= m->committed; i++) {
        if (i == 0 || m->commit_term[i] >= r->term) continue;
        if (raft_log_term(&r->log, i) != m->log[i].term) model_fail(m, n, "leader completeness");
    }
}

static uint64_t disk_term(const struct model_disk *d, uint64_t index) {
    if (index > d->last) return 0;
    return index == d->snapshot.state.index ? d->snapshot.term : d->log[index].term;
}

/* The voters according to what a node would find on its disk. */
static uint32_t disk_voters(const struct model_node *n) {
    struct raft_config c;
    const struct bytes bytes = bytes_of(n->disk.snapshot.config, n->disk.snapshot.config_len);
    if (!status_ok(raft_config_decode(bytes, &c))) return 0;
    for (uint64_t i = n->disk.snapshot.state.index + 1; i <= n->disk.last; i++) {
        const struct model_entry *e = &n->disk.log[i];
        struct raft_change change;
        if (e->kind != RAFT_ENTRY_CONFIG) continue;
        if (!status_ok(raft_change_decode(bytes_of(e->data, e->len), &change))) return 0;
        if (!status_ok(raft_config_apply(&c, change))) return 0;
    }
    return model_config_of(&c).voters;
}

/* Whether `voter` would let `n` lead, if both began again from their disks. */
static bool would_vote(const struct model_node *voter, const struct model_node *n) {
    const uint64_t own = disk_term(&voter->disk, voter->disk.last);
    const uint64_t theirs = disk_term(&n->disk, n->disk.last);
    if (own != theirs) return theirs > own;
    return n->disk.last >= voter->disk.last;
}

/* What is committed stays: if everyone crashed now, no node without the entry could win. */
static void check_electable(struct model *m, struct model_node *leader, uint64_t index) {
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (n->disk.snapshot.state.index > index) continue;
        if (disk_term(&n->disk, index) == m->log[index].term) continue;
        const uint32_t voters = disk_voters(n);
        uint32_t votes = 0;
        for (uint32_t v = 0; v < m->node_count; v++) {
            if ((voters >> (v + 1) & 1) == 0) continue;
            votes += would_vote(&m->nodes[v], n);
        }
        if (votes > (uint32_t)__builtin_popcount(voters) / 2)
            model_fail(m, leader, "a committed entry may be overruled");
    }
}

/* The first node that takes an entry for committed must be the leader. */
static void note_committed(struct model *m, struct model_node *n, uint64_t index) {
    const struct raft *r = &n->raft;
    ASSERT(index == m->committed + 1);
    ASSERT(index < MODEL_INDEX_MAX);
    /* It may have resigned with this very commit. */
    if (m->leaders[r->term] != n->id) return model_fail(m, n, "committed before the leader did");
    const struct raft_entry e = raft_log_entry(&r->log, index);
    struct model_entry *to = &m->log[index];
    to->term = e.term;
    to->kind = e.kind;
    to->len = (uint32_t)e.data.len;
    if (e.data.len > 0) memcpy(to->data, e.data.ptr, e.data.len);
    m->commit_term[index] = r->term;
    m->hash[index] = model_hash_state(m->hash[index - 1], e.term, model_hash_entry(e.kind, e.data));
    m->config[index] = m->config[index - 1];
    m->committed = index;
    if (e.kind == RAFT_ENTRY_CONFIG) {
        struct raft_config c;
        if (!status_ok(raft_change_decode(e.data, &(struct raft_change){ 0 })))
            return model_fail(m, n, "a change that is none");
        const uint32_t before = m->config[index - 1].voters;
        m->changes++;
        /* The core's own config at that entry; that it is one step from the last is checked. */
        struct raft_change change;
        if (!status_ok(raft_change_decode(e.data, &change))) return;
        c = (struct raft_config){ 0 };
        for (uint32_t id = 1; id <= MODEL_NODES_MAX; id++) {
            if ((before >> id & 1) != 0) c.voters[c.voter_count++] = id;
            if ((m->config[index - 1].learners >> id & 1) != 0) c.learners[c.learner_count++] = id;
        }
        if (!status_ok(raft_config_apply(&c, change)))
            return model_fail(m, n, "a change that does not fit");
        m->config[index] = model_config_of(&c);
        if (__builtin_popcount(before ^ m->config[index].voters) > 1)
            model_fail(m, n, "one voter at a time");
    }
}

/* State-machine safety (3.6.3): all nodes commit the same at the same place. */
static void check_commit(struct model *m, struct model_node *n, uint64_t before) {
    const struct raft *r = &n->raft;
    uint64_t first = before + 1;
    if (first <= r->log.base_index) first = r->log.base_index + 1;
    const uint64_t news = m->committed;
    for (uint64_t i = first; i <= r->commit && m->wrong == NULL; i++) {
        if (i > m->committed) note_committed(m, n, i);
        if (m->wrong != NULL) return;
        const struct raft_entry e = raft_log_entry(&r->log, i);
        const struct bytes there = bytes_of(m->log[i].data, m->log[i].len);
        if (e.term != m->log[i].term || e.kind != m->log[i].kind || !bytes_equal(e.data, there))
            model_fail(m, n, "state machine safety");
    }
    if (m->committed > news) check_electable(m, n, m->committed);
}

/* What the log begins behind is what was committed there, and so is the config. */
static void check_base(struct model *m, struct model_node *n) {
    const struct raft *r = &n->raft;
    const uint64_t base = r->log.base_index;
    if (base == 0) return;
    if (base > m->committed) return model_fail(m, n, "a snapshot of what is not committed");
    if (r->log.base_term != m->log[base].term) return model_fail(m, n, "snapshot: last term");
    if (!configs_equal(model_config_of(&r->config_base), m->config[base]))
        model_fail(m, n, "snapshot: config");
    if (r->config_index <= r->commit &&
        !configs_equal(model_config_of(&r->config), m->config[r->commit]))
        model_fail(m, n, "config of the log");
}

/* A leader's change is accepted only when no other one is under way. */
static void check_change(struct model *m, struct model_node *n) {
    uint32_t open = 0;
    for (uint64_t i = n->raft.commit + 1; i <= n->raft.log.last_index; i++) {
        open += raft_log_entry(&n->raft.log, i).kind == RAFT_ENTRY_CONFIG;
    }
    if (open > 1) model_fail(m, n, "one change at a time");
}

void model_check_message(struct model *m, struct model_node *n,
                         const struct raft_message *message) {
    const struct raft_hard_state hard = n->disk.hard;
    const bool refused = message->refused;
    if (message->term >= MODEL_TERMS_MAX) return model_fail(m, n, "the model has too few terms");
    if (message->kind == RAFT_VOTE && (hard.term != message->term || hard.vote != n->id))
        model_fail(m, n, "a candidacy that is not durable");
    if (message->kind == RAFT_VOTE_REPLY && !refused) {
        uint32_t *vote = &m->votes[n->id][message->term];
        if (*vote != 0 && *vote != message->to) model_fail(m, n, "two votes in a term");
        *vote = message->to;
        if (hard.term != message->term || hard.vote != message->to)
            model_fail(m, n, "a vote that is not durable");
    }
    if (message->kind == RAFT_APPEND_REPLY && !refused) {
        if (hard.term < message->term) model_fail(m, n, "a term that is not durable");
        if (n->disk.last < message->index)
            model_fail(m, n, "an acknowledgement too early");
        else if (message->index >= n->disk.snapshot.state.index &&
                 message->index >= n->raft.log.base_index &&
                 disk_term(&n->disk, message->index) != raft_log_term(&n->raft.log, message->index))
            model_fail(m, n, "an acknowledgement of another entry");
    }
}

void model_check_start(struct model *m, struct model_node *n) {
    const struct raft *r = &n->raft;
    for (uint64_t i = r->log.base_index + 1; i <= r->log.last_index; i++) check_entry(m, n, i);
    check_base(m, n);
}

void model_check_step(struct model *m, struct model_node *n, const struct raft_event *event,
                      const struct raft_effects *fx, uint64_t commit_before) {
    const struct raft *r = &n->raft;
    for (uint64_t i = fx->append_first; i != 0 && i <= fx->append_last; i++) check_entry(m, n, i);
    if (r->role == RAFT_LEADER) check_leader(m, n);
    check_commit(m, n, commit_before);
    check_base(m, n);
    if (event->kind == RAFT_CHANGE && status_ok(fx->result)) check_change(m, n);
    if (fx->apply_last > m->committed) model_fail(m, n, "applied before it was committed");
    for (uint32_t i = 0; i < fx->read_count; i++) {
        if (fx->reads[i].index < m->reads[fx->reads[i].id].at_least)
            model_fail(m, n, "a read of what was overtaken");
        m->reads_answered++;
    }
    if (event->kind == RAFT_RECEIVE && fx->result.code == ST_CORRUPT)
        model_fail(m, n, "a message of the core's own that it refuses");
}
