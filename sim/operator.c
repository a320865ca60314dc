#include "sim/operator.h"

#include "base/assert.h"
#include "sim/world_internal.h"

#define LOOK_NS (500 * NS_A_MS)
/* Longer than the leader waits for further members, and than an election takes. */
#define STUCK_NS (6000 * NS_A_MS)
#define REJOIN_MS_MAX 5000u
#define WEIGHT_MAX 4u
#define GHOST_MS_MIN 1000u
#define GHOST_MS_MAX 10000u

static uint64_t below(struct world *w, uint64_t bound) {
    return sim_random_below(&w->operator.dice, bound);
}

static uint64_t bit_of(const struct world_node *n) {
    return UINT64_C(1) << n->index;
}

static uint32_t keepers(const struct world *w) {
    return scenario_keepers(w->scenario);
}

/* So many members are needed. */
static uint32_t replicas_wanted(const struct world *w) {
    const uint32_t wanted = w->cluster.replicas_wanted;
    return wanted != 0 ? wanted : w->scenario->replicas;
}

/* ---- wishes ---- */

/* Any node that runs; NULL: none does. */
static struct world_node *any_up(struct world *w) {
    const uint32_t first = (uint32_t)below(w, keepers(w));
    for (uint32_t i = 0; i < keepers(w); i++) {
        struct world_node *n = &w->nodes[(first + i) % keepers(w)];
        if (n->state == NODE_UP && n->resume_ns == 0 && n->member != 0) return n;
    }
    return NULL;
}

static bool wish(struct world *w, const struct metadata_command *command) {
    struct world_node *n = any_up(w);
    if (n == NULL) return false;
    world_wish(w, n, command);
    return true;
}

static bool wish_of_member(struct world *w, enum metadata_kind kind, uint32_t member,
                           uint32_t weight) {
    ASSERT(member != 0);
    const struct metadata_command command = { .kind = kind,
                                              .member = { .id = member, .weight = weight } };
    return wish(w, &command);
}

static bool wish_of_change(struct world *w, enum metadata_kind kind, uint64_t throttle) {
    const struct metadata_command command = { .kind = kind,
                                              .change = w->cluster.change,
                                              .throttle = throttle };
    return command.change != 0 && wish(w, &command);
}

/* ---- members ---- */

static uint32_t members_that_stay(const struct world *w) {
    return (uint32_t)__builtin_popcountll(world_members(w) & ~w->operator.doomed);
}

/* A node of the cluster, not given up; NULL: the one that the dice chose is none. */
static struct world_node *any_member(struct world *w) {
    struct world_node *n = &w->nodes[below(w, keepers(w))];
    if (n->out || (w->operator.doomed & bit_of(n)) != 0) return NULL;
    return n->member != 0 && (world_members(w) & bit_of(n)) != 0 ? n : NULL;
}

/* With an empty disk, told of everybody or, if most of these are there, of those that began. */
static void join(struct world *w, struct world_node *n, uint64_t boot_ns) {
    ASSERT(n->state == NODE_DOWN);
    const uint64_t first = (UINT64_C(1) << w->scenario->nodes) - 1;
    const uint32_t there = (uint32_t)__builtin_popcountll(world_members(w) & first);
    const bool listed = n->index < w->scenario->nodes && 2 * there > w->scenario->nodes;
    n->want = listed && w->scenario->nodes > 1 && below(w, 2) == 0 ? CONTROL_WANT_LIST
                                                                   : CONTROL_WANT_JOIN;
    n->out = false;
    n->boot_ns = boot_ns;
}

static bool join_one(struct world *w) {
    const uint32_t first = (uint32_t)below(w, keepers(w));
    for (uint32_t i = 0; i < keepers(w); i++) {
        struct world_node *n = &w->nodes[(first + i) % keepers(w)];
        if (!n->out || n->state != NODE_DOWN || (w->operator.doomed & bit_of(n)) != 0) continue;
        join(w, n, w->now_ns);
        return true;
    }
    return false;
}

static bool leave(struct world *w) {
    const struct world_node *n = any_member(w);
    if (n == NULL || members_that_stay(w) <= replicas_wanted(w)) return false;
    return wish_of_member(w, METADATA_MEMBER_LEAVE, n->member, 0);
}

/* A node that hangs is given up like one that is down, and goes on by what it knew. */
static bool haunt(struct world *w, struct world_node *n) {
    if (n->state != NODE_UP || n->resume_ns != 0 || below(w, 3) != 0) return false;
    n->ghost = true;
    clients_doubt(w->clients, n->index, true);
    n->resume_ns = w->now_ns + (GHOST_MS_MIN + below(w, GHOST_MS_MAX - GHOST_MS_MIN)) * NS_A_MS;
    return true;
}

/* It is down, or hangs, and is not started again before its member is dead. */
static bool remove_one(struct world *w) {
    struct world_node *n = any_member(w);
    if (n == NULL || members_that_stay(w) < replicas_wanted(w)) return false;
    if (w->cluster.members[n->member].state != MEMBER_ACTIVE) return false;
    const bool is_needed = members_that_stay(w) == replicas_wanted(w);
    if (!faults_take_loss(w)) return false;
    n->out = true;
    if (!haunt(w, n)) world_crash(w, n, below(w, 2) == 0, NEVER_NS);
    n->boot_ns = NEVER_NS;
    history_loss(&w->history, n->index);
    w->operator.doomed |= bit_of(n);
    if (is_needed || below(w, 2) == 0) w->operator.rejoin |= bit_of(n);
    return wish_of_member(w, METADATA_MEMBER_DEAD, n->member, 0);
}

static bool weigh(struct world *w) {
    const struct world_node *n = any_member(w);
    if (n == NULL) return false;
    return wish_of_member(w, METADATA_MEMBER_WEIGHT, n->member, 1 + (uint32_t)below(w, WEIGHT_MAX));
}

/* What slots have, or will have once what was asked for is done. */
static uint32_t replicas_to_be(const struct world *w) {
    const struct world_cluster *c = &w->cluster;
    return c->replicas_next != 0 ? c->replicas_next : c->replicas;
}

static bool wish_of_replicas(struct world *w, uint32_t replicas) {
    const struct metadata_command command = { .kind = METADATA_REPLICAS, .replicas = replicas };
    return replicas != replicas_to_be(w) && wish(w, &command);
}

/* The keyspace keeps its own N, and so what may be lost stays the same. Perhaps more than there
 * are members. */
static bool resize(struct world *w) {
    const uint32_t least = w->scenario->replicas;
    ASSERT(keepers(w) >= least);
    return wish_of_replicas(w, least + (uint32_t)below(w, keepers(w) - least + 1));
}

/* Majorities of more copies are more than the checkers count on, and they meet all the same. No way
 * leads back: of those that hold a write fewer could be left than they count on. */
static bool widen(struct world *w) {
    const uint32_t wider = w->operator.wider;
    ASSERT(wider > w->scenario->replicas);
    if (replicas_wanted(w) == wider || members_that_stay(w) < wider) return false;
    struct metadata_command command = { .kind = METADATA_KEYSPACE_WIDEN,
                                        .keyspace = KEYSPACE_DEFAULT };
    command.settings.replication.replicas = (uint8_t)wider;
    return wish(w, &command);
}

static bool meddle(struct world *w) {
    struct world_node *up;
    const struct world_node *n;
    switch (below(w, 5)) {
    case 0: return wish_of_change(w, METADATA_CHANGE_PAUSE, 0);
    case 1: return wish_of_change(w, METADATA_CHANGE_RESUME, 0);
    case 2: return wish_of_change(w, METADATA_CHANGE_THROTTLE, below(w, 200000));
    case 3: return wish_of_change(w, METADATA_CHANGE_CANCEL, 0);
    default: break;
    }
    up = any_up(w);
    n = any_member(w);
    if (up == NULL || n == NULL) return false;
    up->wish_leader = n->member;
    return true;
}

bool operator_fault(struct world *w, enum fault_kind kind) {
    switch (kind) {
    case FAULT_JOIN: return join_one(w);
    case FAULT_LEAVE: return leave(w);
    case FAULT_REMOVE: return remove_one(w);
    case FAULT_WEIGHT: return weigh(w);
    case FAULT_REPLICAS: return w->operator.wider != 0 ? widen(w) : resize(w);
    default: break;
    }
    ASSERT(kind == FAULT_CONTROL);
    return meddle(w);
}

/* ---- what he began ---- */

/* Ask again until it is dead; then it may get a new disk and come back. */
static void see_to_doomed(struct world *w, struct world_node *n) {
    const enum member_state state = w->cluster.members[n->member].state;
    if (state != MEMBER_DEAD && state != MEMBER_REMOVED) {
        (void)wish_of_member(w, METADATA_MEMBER_DEAD, n->member, 0);
        return;
    }
    if (n->state != NODE_DOWN) {
        /* It will be told, unless those that are left are too few to go on without it: then it is
         * killed, and another comes in its place; in the end soon enough to be back in time. */
        const bool waits = n->state == NODE_UP && n->resume_ns == 0 && state == MEMBER_DEAD;
        const uint32_t looks = w->operator.tidies ? 10 : 50;
        if (waits && (w->operator.rejoin & bit_of(n)) != 0 && below(w, looks) == 0)
            world_crash(w, n, false, NEVER_NS);
        return;
    }
    w->operator.doomed &= ~bit_of(n);
    n->retired = true;
    if ((w->operator.rejoin & bit_of(n)) == 0) return;
    w->operator.rejoin &= ~bit_of(n);
    join(w, n, w->now_ns + below(w, REJOIN_MS_MAX) * NS_A_MS);
}

/* With an empty disk, and most of its list have left: it would wait for them for ever. */
static bool is_lost(const struct world *w, const struct world_node *n) {
    const uint64_t first = (UINT64_C(1) << w->scenario->nodes) - 1;
    const uint64_t there = (world_members(w) & first) | bit_of(n);
    if (n->want != CONTROL_WANT_LIST || n->member != 0 || n->out) return false;
    if (n->state != NODE_UP || n->resume_ns != 0) return false;
    return 2 * (uint32_t)__builtin_popcountll(there) <= w->scenario->nodes;
}

static void see_to_lost(struct world *w, struct world_node *n) {
    if (!is_lost(w, n)) return;
    world_crash(w, n, false, w->now_ns);
    n->want = CONTROL_WANT_JOIN;
}

/* A change that somebody cancelled is begun again when weights are others. */
static void unstick(struct world *w) {
    const struct world_cluster *c = &w->cluster;
    if (w->operator.stuck_ns == 0) w->operator.stuck_ns = w->now_ns;
    if (w->now_ns - w->operator.stuck_ns<STUCK_NS) return;
    w->operator.stuck_ns = w->now_ns;
    for (uint32_t id = 1; id <= c->member_last && id < WORLD_IDS_MAX; id++) {
        const enum member_state state = c->members[id].state;
        if (state != MEMBER_ACTIVE && state != MEMBER_JOINING) continue;
        (void)wish_of_member(w, METADATA_MEMBER_WEIGHT, id, 1 + c->members[id].weight % WEIGHT_MAX);
        return;
    }
}

/* A wish to join may have been carried out after its node was given up. */
static void give_up_absent(struct world *w) {
    const struct world_cluster *c = &w->cluster;
    for (uint32_t id = 1; id <= c->member_last && id < WORLD_IDS_MAX; id++) {
        const struct world_member *m = &c->members[id];
        if (m->state != MEMBER_JOINING || m->node == 0) continue;
        struct world_node *n = &w->nodes[m->node - 1];
        if (!n->out || n->state != NODE_DOWN || n->boot_ns != NEVER_NS) continue;
        n->retired = true;
        (void)wish_of_member(w, METADATA_MEMBER_DEAD, id, 0);
    }
}

static void tidy(struct world *w) {
    const struct world_cluster *c = &w->cluster;
    give_up_absent(w);
    if (members_that_stay(w) < replicas_wanted(w)) (void)join_one(w);
    (void)wish_of_replicas(w, replicas_wanted(w));
    if (c->change != 0 && c->paused) (void)wish_of_change(w, METADATA_CHANGE_RESUME, 0);
    if (c->change != 0 && c->throttle != 0) (void)wish_of_change(w, METADATA_CHANGE_THROTTLE, 0);
    if (c->change != 0 || operator_is_done(w))
        w->operator.stuck_ns = 0;
    else
        unstick(w);
}

bool operator_is_done(const struct world *w) {
    const struct world_cluster *c = &w->cluster;
    if (c->change != 0 || w->operator.doomed != 0) return false;
    if (c->replicas != replicas_wanted(w) || c->replicas_next != 0) return false;
    for (uint32_t id = 1; id <= c->member_last && id < WORLD_IDS_MAX; id++) {
        const enum member_state state = c->members[id].state;
        if (state != MEMBER_ACTIVE && state != MEMBER_REMOVED) return false;
    }
    for (uint32_t i = 0; i < keepers(w); i++) {
        if (!w->nodes[i].out && (world_members(w) >> i & 1) == 0) return false;
    }
    return true;
}

void operator_init(struct world *w) {
    ASSERT(w->operator.next_ns == NEVER_NS);
    const struct scenario *c = w->scenario;
    struct sim_random dice = sim_random_of(c->seed ^ 0x71de);
    /* Of two copies the majority is both, so that one alone may be read: not so of more. */
    const bool majorities = c->replicas > 2 && c->write_quorum == 0 && c->read_quorum == 0;
    const uint32_t more = keepers(w) - c->replicas;
    if (majorities && more > 0 && sim_random_chance(&dice, 1, 2))
        w->operator.wider = c->replicas + 1 +(uint32_t) sim_random_below(&dice, more);
    w->operator.dice = sim_random_of(c->seed ^ 0x09e4a7);
    w->operator.next_ns = w->now_ns + LOOK_NS;
}

uint64_t operator_due_ns(const struct world *w) {
    return w->operator.next_ns;
}

void operator_step(struct world *w) {
    ASSERT(w->operator.next_ns <= w->now_ns);
    w->operator.next_ns = w->now_ns + LOOK_NS;
    if (w->cluster.revision == 0) return;
    const uint64_t members = world_members(w);
    for (uint32_t i = 0; i < keepers(w); i++) {
        if ((w->operator.doomed>> i & 1) != 0) see_to_doomed(w, &w->nodes[i]);
        see_to_lost(w, &w->nodes[i]);
    }
    const uint64_t known = members & ~w->operator.doomed;
    if (known != 0) clients_know(w->clients, known);
    if (w->operator.tidies) tidy(w);
}

void operator_tidy(struct world *w) {
    ASSERT(!w->operator.tidies);
    w->operator.tidies = true;
}
