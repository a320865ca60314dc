/* admin_plan.c - what a change would move, and what is lost with a member. */
#include "base/assert.h"
#include "base/mem.h"
#include "cluster/metadata_plan.h"
#include "shard/admin_judge.h"

/* ---- bytes ---- */

/* Of one copy of a slot: of each member that has told, by index; and of all together. */
struct densities {
    bool any;
    double mean;
    bool known[MEMBERS_MAX];
    double of[MEMBERS_MAX];
};

static void find_densities(const struct admin_world *world, struct densities *d) {
    const struct metadata *m = world->state;
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    double bytes = 0, copies = 0;
    *d = (struct densities){ .any = false };
    slot_table_count(&m->slots, m->members_count, owned, kept);
    for (uint32_t i = 0; i < world->status->report_count; i++) {
        const struct control_report *r = &world->status->reports[i];
        const uint32_t at = metadata_find_member(m, r->member);
        if (at == MEMBER_NONE || kept[at] == 0) continue;
        d->known[at] = d->any = true;
        d->of[at] = (double)r->load.held / kept[at];
        bytes += (double)r->load.held;
        copies += kept[at];
    }
    if (d->any) d->mean = bytes / copies;
}

static uint64_t slot_bytes_of(const struct densities *d, const struct slot_list *list) {
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!d->known[list->members[i]]) continue;
        sum += d->of[list->members[i]];
        count++;
    }
    return (uint64_t)(count > 0 ? sum / count : d->mean);
}

/* Who has a place taken away sends what was in it; what nobody gives away all send alike. */
static void estimate_nodes(const struct metadata_plan *p, double mean,
                           struct admin_plan_node *nodes, uint64_t *ret_most) {
    uint64_t kept = 0, free_copies = 0, most = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        kept += p->members[i].kept_before;
        free_copies += metadata_plan_moves(p, p->count, i);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint64_t in = metadata_plan_moves(p, p->count, i), out = 0;
        for (uint32_t k = 0; k < p->count; k++) {
            in += metadata_plan_moves(p, k, i);
            out += metadata_plan_moves(p, i, k);
        }
        const double share = kept == 0 ? 0 : (double)p->members[i].kept_before / (double)kept;
        nodes[i].bytes_in = (uint64_t)((double)in * mean);
        nodes[i].bytes_out = (uint64_t)(((double)out + share * (double)free_copies) * mean);
        if (nodes[i].bytes_out > most) most = nodes[i].bytes_out;
    }
    *ret_most = most;
}

/* The busiest sender is through last. */
static void estimate(const struct admin_world *world, const struct metadata_plan *p,
                     struct admin_plan *ret_plan, struct admin_plan_node *nodes) {
    struct densities d;
    find_densities(world, &d);
    if (!d.any) return;
    uint64_t *slot_bytes = mem_alloc(RING_SLOTS * sizeof *slot_bytes);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++)
        slot_bytes[slot] = slot_bytes_of(&d, &world->state->slots.lists[slot]);
    ret_plan->bytes = metadata_plan_estimate(p, slot_bytes, 1).bytes;
    mem_free(slot_bytes);
    uint64_t most = 0;
    estimate_nodes(p, d.mean, nodes, &most);
    const uint64_t rate = ret_plan->rate_bytes_s;
    if (rate > 0) ret_plan->time_ms = (uint64_t)((double)most * 1000.0 / (double)rate);
}

/* ---- plans ---- */

static void name_node(struct admin_work *w, const struct metadata *m, struct admin_plan_node *n) {
    const uint32_t at = metadata_find_member(m, n->id);
    if (at != MEMBER_NONE) {
        n->address = admin_keep_text(w, bytes_of_string(m->members[at].address));
        return;
    }
    n->id = 0; /* is given when it joins */
    n->address = w->request.address;
}

void admin_add_plan(struct admin_work *w, const struct admin_world *world,
                    const struct ring_inputs *inputs) {
    const struct metadata *m = world->state;
    const bool has_rate = (w->request.given & ADMIN_HAS_RATE) != 0;
    struct metadata_plan *p = NULL;
    if (inputs->count == 0 || !status_ok(metadata_plan_create(m, inputs, &p))) return;
    struct admin_plan_node *nodes = arena_alloc(&w->arena, p->count * sizeof *nodes);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_member *from = &p->members[i];
        nodes[i] = (struct admin_plan_node){ .id = from->id,
                                             .owned_before = from->owned_before,
                                             .owned_after = from->owned_after,
                                             .kept_before = from->kept_before,
                                             .kept_after = from->kept_after,
                                             .bytes_in = NODE_UNKNOWN,
                                             .bytes_out = NODE_UNKNOWN };
        for (uint32_t k = 0; k < inputs->count; k++)
            if (inputs->members[k].id == from->id) nodes[i].weight = inputs->members[k].weight;
        name_node(w, m, &nodes[i]);
    }
    w->reply.has_plan = true;
    w->reply.plan = (struct admin_plan){
        .slots_changed = p->slots_changed,
        .owners_moved = p->owners_moved,
        .copies_moved = p->copies_moved,
        .copies_least = p->copies_least,
        .bytes = NODE_UNKNOWN,
        .rate_bytes_s = has_rate ? w->request.bytes_per_second : world->throttle,
        .time_ms = NODE_UNKNOWN,
        .nodes_count = p->count,
        .nodes = nodes,
    };
    estimate(world, p, &w->reply.plan, nodes);
    metadata_plan_destroy(p);
}

static uint32_t find_input(const struct ring_inputs *inputs, uint32_t id) {
    uint32_t i = 0;
    while (i < inputs->count && inputs->members[i].id != id) i++;
    return i;
}

/* False: there is no place for it. */
static bool add_newcomer(const struct admin_request *q, const struct metadata *m,
                         struct ring_inputs *inputs) {
    uint32_t known = MEMBER_NONE;
    struct ring_member newcomer = { .id = m->member_last + 1,
                                    .weight = (q->given & ADMIN_HAS_WEIGHT) != 0 ? q->weight : 1,
                                    .zone = (q->given & ADMIN_HAS_ZONE) != 0 ? q->zone : 0 };
    for (uint32_t i = 0; i < m->members_count; i++)
        if (admin_same_address(q->address, m->members[i].address)) known = i;
    if (known != MEMBER_NONE) {
        const struct metadata_member *member = &m->members[known];
        if (find_input(inputs, member->id) < inputs->count) return true;
        if (member->state == MEMBER_JOINING)
            newcomer = (struct ring_member){ member->id, member->weight, member->zone };
    }
    if (inputs->count == MEMBERS_MAX || newcomer.id > MEMBER_ID_MAX) return false;
    uint32_t at = inputs->count++;
    for (; at > 0 && inputs->members[at - 1].id > newcomer.id; at--)
        inputs->members[at] = inputs->members[at - 1];
    inputs->members[at] = newcomer;
    return true;
}

static enum admin_verdict plan_conflict(struct admin_work *w, enum metadata_code code) {
    (void)admin_end(w, admin_outcome_of(code));
    w->reply.code = metadata_code_name(code);
    admin_reply_say(&w->reply, "%s", metadata_code_text(code));
    return ADMIN_ANSWERED;
}

enum admin_verdict admin_plan(struct admin_work *w, const struct admin_world *world) {
    const struct admin_request *q = &w->request;
    const struct metadata *m = world->state;
    struct ring_inputs inputs;
    metadata_inputs(m, &inputs);
    if (q->plan_of == ADMIN_PLAN_JOIN && !add_newcomer(q, m, &inputs))
        return plan_conflict(w, META_MEMBERS_FULL);
    if (q->plan_of == ADMIN_PLAN_LEAVE || q->plan_of == ADMIN_PLAN_WEIGHT) {
        const uint32_t at = admin_find_member(w, m);
        if (at == MEMBER_NONE) return ADMIN_ANSWERED;
        const uint32_t input = find_input(&inputs, w->member);
        const bool leaves = q->plan_of == ADMIN_PLAN_LEAVE;
        if (input < inputs.count && !leaves) inputs.members[input].weight = q->weight;
        if (input < inputs.count && leaves) {
            inputs.count--;
            memmove(&inputs.members[input], &inputs.members[input + 1],
                    (inputs.count - input) * sizeof inputs.members[0]);
        }
    }
    if (inputs.count == 0) return plan_conflict(w, META_LAST_NODE);
    if (q->plan_of == ADMIN_PLAN_REPLICAS) inputs.replicas = q->replicas;
    (void)admin_end(w, ADMIN_DONE);
    w->reply.node = w->member;
    w->reply.epoch = m->epoch;
    w->reply.change = m->change.id;
    admin_reply_say(&w->reply, "this would move; nothing was done");
    admin_add_plan(w, world, &inputs);
    return ADMIN_ANSWERED;
}

/* ---- risk ---- */

/* Replications of the keyspaces, each once: there are few, though keyspaces may be many. */
struct wants {
    uint32_t count;
    const struct keyspace *of[(REPLICAS_MAX + 1) * (REPLICAS_MAX + 1)];
};

static void find_wants(const struct metadata *m, struct wants *ret_wants) {
    bool seen[REPLICAS_MAX + 1][REPLICAS_MAX + 1] = { 0 };
    ret_wants->count = 0;
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        const struct replication *r = &m->keyspaces[i].settings.replication;
        ASSERT(r->replicas <= REPLICAS_MAX && r->write_quorum <= REPLICAS_MAX);
        if (seen[r->replicas][r->write_quorum]) continue;
        seen[r->replicas][r->write_quorum] = true;
        ret_wants->of[ret_wants->count++] = &m->keyspaces[i];
    }
}

/* Members with full copies that stay. */
static uint32_t survivors_of(const struct metadata *m, const struct replica_set *set, uint32_t id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const uint32_t at = metadata_find_member(m, set->ids[i]);
        count += set->ids[i] != id && m->members[at].state != MEMBER_DEAD;
    }
    return count;
}

/* A slot is short if so few copies are left that a write which W members have acknowledged may be
 * on none of them, or if there is nobody to make the missing copies on. */
struct admin_risk admin_risk_of(const struct metadata *m, uint32_t at, bool copied) {
    const uint32_t id = m->members[at].id;
    struct admin_risk risk = { 0 };
    struct ring_inputs inputs;
    struct wants wants;
    metadata_inputs(m, &inputs);
    find_wants(m, &wants);
    uint32_t others = 0;
    for (uint32_t i = 0; i < inputs.count; i++) others += inputs.members[i].id != id;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (slot_list_place(&m->slots.lists[slot], (uint16_t)at) < 0) continue;
        bool is_short = false, is_lost = false;
        for (uint32_t i = 0; i < wants.count; i++) {
            struct slot_replicas r;
            metadata_replicas(m, slot, wants.of[i], &r);
            bool keeps = false;
            for (uint32_t k = 0; k < r.now.count; k++) keeps |= r.now.ids[k] == id;
            if (!keeps) continue;
            const uint32_t left = survivors_of(m, &r.now, id);
            is_short |= others < r.now.count;
            is_short |= !copied && left + r.now.write_quorum <= r.now.count;
            is_lost |= !copied && left == 0;
        }
        risk.slots_short += is_short;
        risk.slots_lost += is_lost;
    }
    return risk;
}
