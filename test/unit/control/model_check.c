#include "base/assert.h"
#include "test/unit/control/model.h"

#include <stdio.h>

void control_model_fail(struct model *m, const char *rule) {
    if (m->wrong == NULL) m->wrong = rule;
}

static void check_owner(struct model *m, const struct model_node *n, uint32_t self) {
    if (self == 0 || self >= MODEL_IDS_MAX) {
        control_model_fail(m, "a member without an id, or too many of them");
        return;
    }
    if (m->nonces[self] == 0) m->nonces[self] = n->nonce;
    if (m->nonces[self] != n->nonce)
        control_model_fail(m, "a member id was used by two data directories");
}

void control_model_owner(struct model *m, const struct model_node *n) {
    if (n->disk.exists) check_owner(m, n, n->disk.owner.member);
}

static bool is_target(const struct model_batch *b, const struct metadata *s) {
    const struct slot_list *list = &s->slots.lists[b->slot];
    if (list->count != b->target_count) return false;
    for (uint32_t i = 0; i < list->count; i++) {
        if (s->members[list->members[i]].id != b->target[i]) return false;
    }
    return true;
}

/* The batch that was joint is new in `s`: all that had to report have done so, unless they have
 * died in between. */
static void check_barrier(struct model *m, const struct metadata *s) {
    const struct model_batch *b = &m->batch;
    if (b->change == 0 || s->slots.epochs[b->slot] <= b->epoch || !is_target(b, s)) return;
    for (uint32_t i = 0; i < b->member_count; i++) {
        const uint32_t id = b->members[i];
        const uint32_t at = metadata_find_member(s, id);
        if (at == MEMBER_NONE || s->members[at].state == MEMBER_DEAD) continue;
        if (m->caught_up[id] < b->epoch)
            control_model_fail(m, "slots became new before all had caught up");
    }
}

static void add_member(struct model_batch *b, const struct metadata *s, uint16_t at) {
    if (s->members[at].state == MEMBER_DEAD) return;
    for (uint32_t i = 0; i < b->member_count; i++) {
        if (b->members[i] == s->members[at].id) return;
    }
    b->members[b->member_count++] = s->members[at].id;
}

static void note_batch(struct model *m, const struct metadata *s) {
    struct model_batch b = { 0 };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (s->slots.phases[slot] != SLOT_JOINT) continue;
        const struct slot_list *list = &s->slots.lists[slot];
        const struct slot_list *target = &s->slots.targets[slot];
        for (uint32_t i = 0; i < list->count; i++) add_member(&b, s, list->members[i]);
        for (uint32_t i = 0; i < target->count; i++) add_member(&b, s, target->members[i]);
        if (b.change != 0) continue;
        b.change = s->change.id;
        b.epoch = s->slots.epochs[slot];
        b.slot = slot;
        b.target_count = target->count;
        for (uint32_t i = 0; i < target->count; i++)
            b.target[i] = s->members[target->members[i]].id;
    }
    m->batch = b;
}

static void check_latest(struct model *m, const struct metadata *state) {
    if (m->latest != NULL && state->revision <= m->latest->revision) return;
    if (m->latest != NULL) {
        check_barrier(m, state);
        if (state->epoch < m->latest->epoch) control_model_fail(m, "the epoch went back");
        if (m->latest->change.id != 0 && state->change.id == 0) m->changes++;
        for (uint32_t i = 0; i < m->latest->members_count; i++) {
            if (metadata_find_member(state, m->latest->members[i].id) == MEMBER_NONE) m->removed++;
        }
    }
    metadata_destroy(m->latest);
    m->latest = metadata_clone(state);
    note_batch(m, state);
}

static void check_hash(struct model *m, uint64_t *known, uint64_t hash, const char *rule) {
    if (*known == 0) *known = hash;
    if (*known != hash) control_model_fail(m, rule);
}

/* Equal logs make equal states. What is remembered of refused proposals is no part of the
 * revision, so that is left out where revisions are compared. */
static void check_equal(struct model *m, const struct model_node *n, const struct metadata *state) {
    static struct control_status status;
    m->core->status(n->control, &status);
    if (state->revision >= MODEL_REVISIONS_MAX || status.log_applied >= MODEL_INDEX_MAX) {
        control_model_fail(m, "a run that is too long for the model");
        return;
    }
    /* While it is being restored the control has told nothing yet. */
    if (status.log_applied > 0)
        check_hash(m, &m->by_index[status.log_applied], metadata_hash(state),
                   "two states after one entry differ");
    struct metadata *bare = metadata_clone(state);
    for (uint32_t i = 0; i < bare->members_count; i++) {
        bare->members[i].sequence = 0;
        bare->members[i].result = (struct metadata_result){ 0 };
    }
    check_hash(m, &m->by_revision[state->revision], metadata_hash(bare),
               "two states of one revision differ");
    metadata_destroy(bare);
}

void control_model_published(struct model *m, struct model_node *n, const struct metadata *state,
                             uint32_t self) {
    if (!metadata_check(state)) control_model_fail(m, "a state that cannot be");
    check_owner(m, n, self);
    if (state->epoch < n->epoch_published)
        control_model_fail(m, "a node went back behind an epoch that it had published");
    n->epoch_published = state->epoch;
    if (m->latest != NULL &&
        memcmp(&m->latest->cluster, &state->cluster, sizeof state->cluster) != 0) {
        control_model_fail(m, "there are two clusters");
        return;
    }
    check_equal(m, n, state);
    check_latest(m, state);
}

static const char *unsettled_node(struct model *m, const struct model_node *n) {
    static struct control_status s;
    if (n->control == NULL) return "a node is down";
    m->core->status(n->control, &s);
    if (s.stage != CONTROL_MEMBER || !s.ready) return "a node is no member";
    if (s.revision != m->latest->revision) return "a node is behind";
    if (s.leader == 0) return "a node knows no leader";
    if (s.voter_count + s.learner_count != m->node_count) return "not all follow the log";
    const uint32_t at = metadata_find_member(m->latest, s.self);
    if (at == MEMBER_NONE || m->latest->members[at].state != MEMBER_ACTIVE)
        return "a member is not active";
    if (m->latest->members[at].boot != n->boot) return "a start was not taken note of";
    const uint32_t wanted = m->node_count < 5 ? 3 : 5;
    return s.voter_count == wanted ? NULL : "there are too many voters, or too few";
}

const char *control_model_unsettled(struct model *m) {
    if (m->latest == NULL) return "there is no cluster";
    if (m->latest->change.id != 0) return "a change is still running";
    if (m->latest->members_count != m->node_count) return "there are members without a node";
    for (uint32_t i = 0; i < m->latest->members_count; i++) {
        if (m->gone[m->latest->members[i].id]) return "a member was told that it was removed";
    }
    struct ring_inputs inputs;
    metadata_inputs(m->latest, &inputs);
    if (metadata_change_is_due(m->latest, metadata_inputs_hash(&inputs))) return "a change is due";
    for (uint32_t i = 0; i < m->node_count; i++) {
        const char *why = unsettled_node(m, &m->nodes[i]);
        if (why != NULL) return why;
    }
    return NULL;
}
