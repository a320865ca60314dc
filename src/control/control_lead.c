/* The leader's work: one thing at a time, each from a state that nothing is on its way to. */
#include "control/control_internal.h"

#define VOTERS_MAX 5u /* more make commits slower, and two may be away at once */
#define TRANSFER_PAUSE_MS 2000u
#define STUCK_MS 5000u          /* its disk takes nothing for so long: somebody else is to lead */
#define NEW_LEADER_MS 2000u     /* before voters change: others need time to be heard */
#define PROMOTIONS_TRIED_MAX 8u /* in one go: the others are tried on the next ticks */
#define FAREWELL_MS 1000u       /* a removed member may still hear of it through the log */

static bool counts_as_member(const struct metadata_member *m) {
    return m->state == MEMBER_ACTIVE || m->state == MEMBER_JOINING;
}

static const struct metadata_member *find(const struct control *c, uint32_t id) {
    const uint32_t at = metadata_find_member(c->state, id);
    return at == MEMBER_NONE ? NULL : &c->state->members[at];
}

/* ---- BOOTSTRAP ---- */

static bool bootstrap(struct control *c) {
    if (c->state->epoch > 0) return false;
    static struct metadata_command command; /* large; one thread */
    memset(&command, 0, sizeof command);
    command.kind = METADATA_BOOTSTRAP;
    command.settings = c->options.settings;
    command.replicas = c->options.replicas;
    put_u64_le(command.cluster.bytes, control_random(c));
    put_u64_le(command.cluster.bytes + 8, control_random(c) | 1);
    command.first_count = c->neighbor_count;
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        ASSERT(c->neighbors[i].member == i + 1);
        command.first[i] = (struct member_wish){
            .id = i + 1, .weight = 1, .address = bytes_of_string(c->neighbors[i].address)
        };
    }
    (void)control_propose_now(c, &command);
    return true;
}

/* ---- who votes ---- */

/* When anything came from the node; this one is always there. */
static bool is_silent(const struct control *c, uint32_t id, uint64_t limit_ms) {
    if (id == c->self) return false;
    return !raft_has_heard(c->raft, id, c->now_ms, limit_ms);
}

/* Whether those who would vote after the change can be heard, a majority of them: a change that
 * nobody can agree to would be the last. */
static bool majority_is_heard(const struct control *c, enum raft_change_kind kind, uint32_t id) {
    const struct raft_config *config = &c->raft->config;
    uint32_t voters = kind == RAFT_CHANGE_PROMOTE;
    uint32_t heard = kind == RAFT_CHANGE_PROMOTE;
    for (uint32_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i] == id) continue;
        voters++;
        heard += !is_silent(c, config->voters[i], c->options.election_ms);
    }
    return voters > 0 && heard >= membership_majority(voters);
}

static bool change_voters(struct control *c, enum raft_change_kind kind, uint32_t id) {
    if (kind != RAFT_CHANGE_ADD && !majority_is_heard(c, kind, id)) return false;
    const struct raft_event event = { .kind = RAFT_CHANGE, .change = { kind, id } };
    return status_ok(control_step(c, event));
}

/* Whether it is dead, or leaves and has given everything away. */
static bool has_gone(const struct control *c, const struct metadata_member *m) {
    if (m->state == MEMBER_DEAD) return true;
    const uint32_t at = metadata_find_member(c->state, m->id);
    return m->state == MEMBER_LEAVING && c->state->change.id == 0 &&
           !slot_table_has(&c->state->slots, (uint16_t)at);
}

static uint32_t voters_wanted(const struct control *c) {
    uint32_t members = 0;
    for (uint32_t i = 0; i < c->state->members_count && members < VOTERS_MAX; i++) {
        const struct metadata_member *m = &c->state->members[i];
        members += !has_gone(c, m) && !metadata_never_started(m);
    }
    const uint32_t wanted = control_first_voters(members > 0 ? members : 1);
    return wanted < VOTERS_MAX ? wanted : VOTERS_MAX;
}

/* A voter that must go in any case. */
static bool is_going(const struct control *c, uint32_t id) {
    const struct metadata_member *m = find(c, id);
    return m == NULL || !counts_as_member(m);
}

/* A voter that should be replaced when there is somebody else. */
static bool is_poor_voter(const struct control *c, uint32_t id) {
    return is_going(c, id) || is_silent(c, id, c->options.voter_silent_ms);
}

static uint32_t voters_of_zone(const struct control *c, uint32_t zone) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->raft->config.voter_count; i++) {
        const struct metadata_member *m = find(c, c->raft->config.voters[i]);
        count += m != NULL && zone != 0 && m->zone == zone;
    }
    return count;
}

/* The learner of the zone with the fewest voters, that has started and is heard. */
static uint32_t best_learner(const struct control *c, const struct place_set *tried) {
    uint32_t best = 0;
    uint32_t best_zone = UINT32_MAX;
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const struct metadata_member *m = &c->state->members[i];
        if (place_set_has(tried, i) || !counts_as_member(m) || m->boot == 0) continue;
        if (raft_config_is_voter(&c->raft->config, m->id)) continue;
        if (!raft_config_is_member(&c->raft->config, m->id)) continue;
        if (is_silent(c, m->id, c->options.election_ms * UINT64_C(2))) continue;
        const uint32_t zone = voters_of_zone(c, m->zone);
        if (zone >= best_zone) continue;
        best = m->id;
        best_zone = zone;
    }
    return best;
}

/* One that cannot follow yet is refused by the core: then the next best. */
static bool promote_one(struct control *c) {
    struct place_set tried = { { 0 } };
    for (uint32_t i = 0; i < PROMOTIONS_TRIED_MAX; i++) {
        const uint32_t id = best_learner(c, &tried);
        if (id == 0) return false;
        if (change_voters(c, RAFT_CHANGE_PROMOTE, id)) return true;
        place_set_add(&tried, metadata_find_member(c->state, id));
    }
    return false;
}

/* Those that must go first, or a silent one would go too and too few would be left; then poor ones,
 * then of the zone with the most voters, the youngest; never this node. */
static uint32_t worst_voter(const struct control *c) {
    uint32_t worst = 0;
    uint32_t worst_rank = 0;
    for (uint32_t i = 0; i < c->raft->config.voter_count; i++) {
        const uint32_t id = c->raft->config.voters[i];
        const struct metadata_member *m = find(c, id);
        if (id == c->self) continue;
        const uint32_t zone = m != NULL ? voters_of_zone(c, m->zone) : 0;
        uint32_t rank = 1 + zone;
        if (is_going(c, id)) rank += 2000;
        if (is_poor_voter(c, id)) rank += 1000;
        if (is_silent(c, id, c->options.election_ms)) rank += 100;
        if (rank < worst_rank) continue;
        worst = id;
        worst_rank = rank;
    }
    return worst;
}

static uint32_t poor_voters(const struct control *c) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->raft->config.voter_count; i++)
        count += is_poor_voter(c, c->raft->config.voters[i]);
    return count;
}

/* Everybody in the state follows the log, nobody else does. */
static bool follow_members(struct control *c) {
    const struct raft_config *config = &c->raft->config;
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const uint32_t id = c->state->members[i].id;
        if (raft_config_is_member(config, id)) continue;
        if (change_voters(c, RAFT_CHANGE_ADD, id)) return true;
        break; /* not now; if all places are taken, somebody has to go first */
    }
    if (c->now_ms - c->shown_ms < FAREWELL_MS) return false;
    const uint32_t count = config->voter_count + config->learner_count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id =
            i < config->voter_count ? config->voters[i] : config->learners[i - config->voter_count];
        if (find(c, id) == NULL) return change_voters(c, RAFT_CHANGE_REMOVE, id);
    }
    return false;
}

static bool keep_voters(struct control *c) {
    if (follow_members(c)) return true;
    if (c->now_ms - c->lead_since_ms < NEW_LEADER_MS) return false;
    const uint32_t wanted = voters_wanted(c);
    const uint32_t voters = c->raft->config.voter_count;
    const uint32_t poor = poor_voters(c);
    if (voters - poor < wanted && voters < RAFT_VOTERS_MAX && promote_one(c)) return true;
    if (voters <= 1) return false;
    /* One that is silent or leaves stays while nobody can take over, or a single disk that is lost
     * could take the majority with it. One that is dead, or one too many, goes. */
    const uint32_t worst = worst_voter(c);
    if (worst == 0) return false;
    const struct metadata_member *m = find(c, worst);
    const bool dead = m == NULL || m->state == MEMBER_DEAD;
    if (voters <= wanted + is_going(c, c->self) && !dead) return false; /* this one goes last */
    return change_voters(c, RAFT_CHANGE_DEMOTE, worst);
}

static bool is_lost(const struct control *c, uint32_t id) {
    for (uint32_t i = 0; i < RAFT_VOTERS_MAX; i++) {
        if (c->lost[i] == id) return true;
    }
    return false;
}

/* Who could lead instead; 0 = nobody. Each in turn, as one whose disk takes nothing cannot. */
static uint32_t next_heir(const struct control *c) {
    uint32_t first = 0;
    uint32_t next = 0; /* the first behind the one tried last */
    for (uint32_t i = 0; i < c->raft->config.voter_count; i++) {
        const uint32_t id = c->raft->config.voters[i];
        const bool goes = c->state->epoch > 0 && is_going(c, id); /* founders are in no state yet */
        if (id == c->self || goes || is_lost(c, id)) continue;
        if (is_silent(c, id, c->options.election_ms)) continue;
        if (first == 0 || id < first) first = id;
        if (id > c->heir && (next == 0 || id < next)) next = id;
    }
    return next != 0 ? next : first;
}

/* Whether a transfer is under way. */
static bool transfer(struct control *c, bool prove, uint32_t pause_ms) {
    if (c->now_ms < c->transfer_at_ms) return c->raft->transfer_to != 0;
    const uint32_t id = next_heir(c);
    if (id == 0) return false; /* it is the last one that can lead: it goes on */
    const struct raft_event event = { .kind = RAFT_TRANSFER, .node = id, .prove = prove };
    c->transfer_at_ms = c->now_ms + pause_ms;
    c->heir = id;
    return status_ok(control_step(c, event));
}

/* A leader that goes hands over first, as it would wait for its own removal otherwise. */
static bool hand_over(struct control *c) {
    const struct metadata_member *self = find(c, c->self);
    if (c->state->epoch == 0 || (self != NULL && counts_as_member(self))) return false;
    return transfer(c, false, TRANSFER_PAUSE_MS);
}

/* What others have made durable is agreed, but a leader carries nothing out before it is durable
 * here: one whose disk is full or stands still would do none of its work. Where all disks are slow
 * nobody is to follow it, as an election takes a sync in good time. */
static void give_way_if_stuck(struct control *c) {
    const uint64_t since_ms = c->stride_ms > c->lead_since_ms ? c->stride_ms : c->lead_since_ms;
    if (c->stride == 0 || c->now_ms - since_ms < STUCK_MS) return;
    (void)transfer(c, true, STUCK_MS);
}

/* Who takes over may need the vote of this node, so it stays until it hears who leads. */
bool control_leave(struct control *c) {
    ASSERT(c->restored);
    if (c->stage != CONTROL_MEMBER) return true;
    if (!control_is_leader(c)) return !c->leaves || c->raft->leader != 0;
    c->leaves = true;
    /* When all of a cluster are told to stop, who was to lead goes too. */
    if (c->raft->transfer_to != 0) return is_lost(c, c->raft->transfer_to);
    const uint32_t id = next_heir(c);
    if (id == 0) return true; /* it is the last one */
    c->heir = id;
    (void)control_step(c, (struct raft_event){ .kind = RAFT_TRANSFER, .node = id });
    return false;
}

/* ---- the ring ---- */

static enum change_reason reason_of(const struct control *c) {
    const bool others = c->state->replicas_next == 0;
    enum change_reason reason = others ? CHANGE_WEIGHT : CHANGE_REPLICAS;
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const struct metadata_member *m = &c->state->members[i];
        const bool keeps = slot_table_has(&c->state->slots, (uint16_t)i);
        if (m->state == MEMBER_JOINING && reason == CHANGE_WEIGHT) reason = CHANGE_JOIN;
        if (m->state == MEMBER_LEAVING && keeps && reason != CHANGE_EVICT) reason = CHANGE_LEAVE;
        if (m->state == MEMBER_DEAD && keeps) reason = CHANGE_EVICT;
    }
    return reason;
}

static bool begin_change(struct control *c) {
    static struct metadata_command command; /* large; one thread */
    memset(&command, 0, sizeof command);
    metadata_inputs(c->state, &command.target);
    const uint64_t hash = metadata_inputs_hash(&command.target);
    if (hash != c->members_hash) {
        c->members_hash = hash;
        c->members_since_ms = c->now_ms;
    }
    if (c->state->change.id != 0 || !metadata_change_is_due(c->state, hash)) return false;
    if (command.target.count == 0 || c->begin_refused == c->shown_revision) return false;
    if (c->now_ms - c->members_since_ms < c->options.settle_ms) return false;
    command.kind = METADATA_CHANGE_BEGIN;
    command.reason = reason_of(c);
    command.started_ms = c->wall_ms;
    command.throttle = c->options.throttle;
    /* Who leaves has been asked whether fewer copies will do; who died has not. */
    command.accept_loss = !metadata_has_dead(c->state);
    /* If it is refused, the revision stays, and it is not asked again before something changes. */
    if (control_propose_now(c, &command)) c->begin_refused = c->shown_revision;
    return true;
}

/* Up to `max` slots of a phase, as ranges into `packed`, which has room for `max` of them. */
static uint32_t pack_slots(const struct metadata *m, enum slot_phase phase, uint32_t max,
                           uint8_t *packed, struct slot_ranges *ret_ranges) {
    uint32_t slots = 0;
    uint32_t count = 0;
    for (uint32_t slot = slot_table_next(&m->slots, phase, 0); slot < RING_SLOTS && slots < max;
         slot = slot_table_next(&m->slots, phase, slot + 1)) {
        const bool extends = count > 0 && get_u16_le(packed + count * 4 - 2) + 1u == slot;
        if (!extends) {
            if (count == SLOT_RANGES_MAX) break;
            put_u16_le(packed + count++ * 4, (uint16_t)slot);
        }
        put_u16_le(packed + count * 4 - 2, (uint16_t)slot);
        slots++;
    }
    *ret_ranges = (struct slot_ranges){ count, bytes_of(packed, count * UINT64_C(4)) };
    return slots;
}

/* The latest at which a slot became joint; 0: none is. */
static uint64_t joint_epoch(const struct slot_table *t) {
    uint64_t epoch = 0;
    for (uint32_t slot = slot_table_next(t, SLOT_JOINT, 0); slot < RING_SLOTS;
         slot = slot_table_next(t, SLOT_JOINT, slot + 1)) {
        if (t->epochs[slot] > epoch) epoch = t->epochs[slot];
    }
    return epoch;
}

/* Those that are not dead and may lack something of the epoch. */
static void those_behind(struct control *c, uint64_t epoch, struct place_set *ret_members) {
    *ret_members = (struct place_set){ { 0 } };
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const struct metadata_member *m = &c->state->members[i];
        if (m->state == MEMBER_DEAD) continue;
        const struct control_peer *p = control_find_peer(c, m->id);
        const bool has_all = p != NULL && p->report.boot == m->boot &&
                             p->report.epoch_adopted >= epoch && p->report.epoch_caught_up >= epoch;
        if (!has_all) place_set_add(ret_members, i);
    }
}

/* All members of lists and targets of joint slots, but for dead ones, hold everything. */
static bool barrier_reached(struct control *c) {
    const struct slot_table *t = &c->state->slots;
    const uint64_t epoch = joint_epoch(t);
    struct place_set behind;
    if (epoch == 0) return false;
    if (MUTANT("control_skips_barrier")) return true;
    those_behind(c, epoch, &behind);
    if (place_set_next(&behind, 0) == MEMBER_NONE) return true;
    for (uint32_t slot = slot_table_next(t, SLOT_JOINT, 0); slot < RING_SLOTS;
         slot = slot_table_next(t, SLOT_JOINT, slot + 1)) {
        if (slot_list_meets(&t->lists[slot], &behind)) return false;
        if (slot_list_meets(&t->targets[slot], &behind)) return false;
    }
    return true;
}

static bool step_change(struct control *c) {
    static struct metadata_command command;     /* large; one thread */
    static uint8_t packed[SLOT_RANGES_MAX * 4]; /* the same */
    if (c->state->change.id == 0) return false;
    memset(&command, 0, sizeof command);
    command.change = c->state->change.id;
    /* A target with a dead member would be left with a copy less than it could have. */
    if (metadata_leads_to_dead(c->state)) {
        command.kind = METADATA_CHANGE_CANCEL;
    } else if (slot_table_next(&c->state->slots, SLOT_JOINT, 0) < RING_SLOTS) {
        if (!barrier_reached(c)) return false;
        command.kind = METADATA_SLOTS_NEW;
        (void)pack_slots(c->state, SLOT_JOINT, RING_SLOTS, packed, &command.ranges);
    } else {
        if (c->state->change.paused) return false;
        command.kind = METADATA_SLOTS_JOINT;
        (void)pack_slots(c->state, SLOT_OLD, c->options.batch_slots, packed, &command.ranges);
        ASSERT(command.ranges.count > 0); /* a change ends with its last slot */
    }
    (void)control_propose_now(c, &command);
    return true;
}

/* ---- who has nothing left ---- */

static bool remove_member(struct control *c) {
    if (c->state->change.id != 0 || c->state->members_count == 1) return false;
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const struct metadata_member *m = &c->state->members[i];
        if (counts_as_member(m) || slot_table_has(&c->state->slots, (uint16_t)i)) continue;
        if (m->id == c->self) continue; /* who takes over removes it */
        /* Once it hears that it is removed its vote is gone. */
        if (raft_config_is_voter(&c->raft->config, m->id)) continue;
        const struct metadata_command command = { .kind = METADATA_MEMBER_REMOVE,
                                                  .member = { .id = m->id } };
        static struct metadata_command copy; /* large; one thread */
        copy = command;
        (void)control_propose_now(c, &copy);
        return true;
    }
    return false;
}

void control_lead(struct control *c) {
    if (!control_is_leader(c)) return;
    if (c->lead_term != c->raft->term) {
        c->lead_term = c->raft->term;
        c->lead_since_ms = c->members_since_ms = c->now_ms;
        c->members_hash = 0;
        c->begin_refused = 0;
        c->heir = c->self;
        c->report_due = true;
    }
    give_way_if_stuck(c);
    /* What this node's people want goes first, and nothing is decided on what may change. */
    if (!control_leads_quietly(c) || c->head_sequence != 0) return;
    if (bootstrap(c) || hand_over(c) || keep_voters(c)) return;
    if (begin_change(c) || step_change(c)) return;
    (void)remove_member(c);
}
