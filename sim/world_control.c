/* Control planes of the nodes: what each is told when it starts, and what all of them must keep. */
#include "base/assert.h"
#include "cluster/membership.h"
#include "sim/world_internal.h"

#include <stdio.h>

#define CONTROL_DIR WORLD_DATA_DIR "/control"
/* After what it was refused for is set right. */
#define NOTE_BYTES 512u
#define REFUSED_WAIT_NS (500 * NS_A_MS)

/* ---- start ---- */

/* From inside a turn: the node is stopped when that is over. */
static void on_refused(void *user, const char *line) {
    struct world_node *n = user;
    ASSERT(!n->refused);
    n->refused = true;
    (void)snprintf(n->refusal, sizeof n->refusal, "%s", line);
}

/* Whom it is told of: those that begin the cluster, or, if it joins or is a proxy, everybody. */
static uint32_t list_addresses(const struct world *w, const struct world_node *n,
                               const char *ret_addresses[SCENARIO_NODES_MAX]) {
    const bool joins = n->want == CONTROL_WANT_JOIN;
    const uint32_t told = joins || n->proxy ? scenario_keepers(w->scenario) : w->scenario->nodes;
    uint32_t count = 0;
    for (uint32_t i = 0; i < told && n->want != CONTROL_WANT_ALONE; i++) {
        if (i == n->index && (joins || !n->names_itself)) continue;
        ret_addresses[count++] = w->nodes[i].address;
    }
    return count;
}

STATUS world_control_open(struct world *w, struct world_node *n, const struct identity *id) {
    struct node *node = &n->process->node;
    const char *addresses[SCENARIO_NODES_MAX];
    struct node_control_options o = { .refused = on_refused, .user = n };
    if (!n->proxy) o.dir = CONTROL_DIR;
    control_options_init(&o.control);
    o.control.want = n->want;
    o.control.address = n->proxy ? NULL : n->address;
    o.control.address_count = list_addresses(w, n, addresses);
    o.control.addresses = addresses;
    o.control.replicas = w->scenario->replicas;
    o.control.settings.replication =
        (struct replication){ .replicas = w->scenario->replicas,
                              .write_quorum = w->scenario->write_quorum,
                              .read_quorum = w->scenario->read_quorum };
    o.control.boot = id->boot_count;
    o.control.nonce = id->node_id;
    n->nonce = id->node_id;
    n->views_seen = 0;
    if (n->proxy) n->epoch = 0; /* it remembers nothing */
    return node_control_open(node_control_create(node, &o));
}

/* ---- what is seen of them ---- */

static struct world_member *member_of(struct world *w, uint32_t id) {
    ASSERT(id != 0);
    ASSERT(id < WORLD_IDS_MAX); /* a run makes few of them */
    return &w->cluster.members[id];
}

uint32_t world_node_of_member(const struct world *w, uint32_t id) {
    return id == 0 || id >= WORLD_IDS_MAX ? HISTORY_NONE : w->cluster.members[id].node - 1;
}

static uint32_t node_of_address(const struct world *w, const char *address) {
    for (uint32_t i = 0; i < scenario_keepers(w->scenario); i++) {
        if (strcmp(w->nodes[i].address, address) == 0) return i;
    }
    return HISTORY_NONE;
}

/* Bits of the nodes in a list of the state. */
static uint64_t nodes_of_list(const struct world *w, const struct metadata *state,
                              const struct slot_list *list) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const uint32_t node = world_node_of_member(w, state->members[list->members[i]].id);
        if (node != HISTORY_NONE) bits |= UINT64_C(1) << node;
    }
    return bits;
}

/* Who keeps the keys from now on. */
static void take_slots(struct world *w, const struct metadata *state) {
    const struct slot_table *t = &state->slots;
    for (uint32_t i = 0; i < w->history.keys_count; i++) {
        struct history_key *k = &w->history.keys[i];
        const uint32_t slot = crc16_slot(bytes_of_string(k->text));
        k->replicas = nodes_of_list(w, state, &t->lists[slot]);
        k->kept |= k->replicas;
        if (t->phases[slot] == SLOT_JOINT) k->kept |= nodes_of_list(w, state, &t->targets[slot]);
    }
}

/* For people who look for a failure. */
static void note_state(struct world *w, const struct metadata *state) {
    char line[NOTE_BYTES] = "";
    size_t fill = 0;
    for (uint32_t i = 0; i < state->members_count && fill < sizeof line; i++) {
        const struct metadata_member *m = &state->members[i];
        const int len =
            snprintf(line + fill, sizeof line - fill, ", %u (node %u, weight %u) %s", m->id,
                     w->cluster.members[m->id].node, m->weight, member_state_name(m->state));
        ASSERT(len > 0);
        fill += (size_t)len;
    }
    world_note(w, "state %llu: epoch %llu, change %llu%s, N %u, next %u%s",
               (unsigned long long)state->revision, (unsigned long long)state->epoch,
               (unsigned long long)state->change.id, state->change.paused ? " paused" : "",
               state->replicas, state->replicas_next, line);
}

/* The newest state that any node has published. */
static void take_state(struct world *w, const struct metadata *state) {
    struct world_cluster *c = &w->cluster;
    static const struct cluster_id none;
    if (cluster_id_equal(&c->id, &none)) c->id = state->cluster;
    for (uint32_t i = 0; i < state->members_count; i++) {
        const struct metadata_member *m = &state->members[i];
        struct world_member *own = member_of(w, m->id);
        own->weight = m->weight;
        if (own->node == 0 && m->address[0] != 0) own->node = node_of_address(w, m->address) + 1;
    }
    for (uint32_t id = 1; id <= state->member_last && id < WORLD_IDS_MAX; id++)
        c->members[id].state = metadata_member_state(state, id);
    c->member_last = state->member_last;
    c->change = state->change.id;
    c->throttle = state->change.throttle;
    c->paused = state->change.paused;
    c->replicas = state->replicas;
    c->replicas_wanted = state->keyspaces[0].settings.replication.replicas;
    c->replicas_next = state->replicas_next;
    if (state->epoch > c->epoch) take_slots(w, state);
    c->epoch = state->epoch;
    c->revision = state->revision;
    note_state(w, state);
}

/* A member id belongs to one data directory for ever. */
static void check_id(struct world *w, const struct world_node *n, uint32_t id) {
    struct world_member *m = member_of(w, id);
    if (m->nonce == 0) m->nonce = n->nonce;
    if (m->nonce == n->nonce) return;
    findings_add(&w->findings, "at %llu ms node %u is member %u, which another data directory is",
                 (unsigned long long)(w->now_ns / NS_A_MS), n->index + 1, id);
    m->nonce = n->nonce; /* once is enough */
}

static void check_leader(struct world *w, const struct world_node *n,
                         const struct control_status *s) {
    struct world_term *t = &w->cluster.terms[s->term % WORLD_TERMS];
    if (s->leader == 0 || s->term < t->term) return;
    if (t->term == s->term && t->leader != s->leader)
        findings_add(&w->findings, "at %llu ms node %u sees member %u lead in term %llu, not %u",
                     (unsigned long long)(w->now_ns / NS_A_MS), n->index + 1, s->leader,
                     (unsigned long long)s->term, t->leader);
    *t = (struct world_term){ .term = s->term, .leader = s->leader };
}

static void check_published(struct world *w, struct world_node *n, const struct metadata *state) {
    const unsigned long long now_ms = w->now_ns / NS_A_MS;
    if (state->epoch < n->epoch)
        findings_add(&w->findings, "at %llu ms node %u publishes epoch %llu after %llu", now_ms,
                     n->index + 1, (unsigned long long)state->epoch, (unsigned long long)n->epoch);
    n->epoch = state->epoch;
    if (state->revision > w->cluster.revision) take_state(w, state);
    if (!cluster_id_equal(&state->cluster, &w->cluster.id))
        findings_add(&w->findings, "at %llu ms node %u is of another cluster", now_ms,
                     n->index + 1);
}

void world_control_look(struct world *w, struct world_node *n) {
    struct node *node = &n->process->node;
    if (node->control == NULL) return; /* a test gives it views of its own */
    const struct control_status *s = &node->control->status;
    if (s->self != 0) check_id(w, n, s->self);
    n->member = s->self;
    check_leader(w, n, s);
    const uint64_t serial = atomic_load(&node->views.serial);
    const struct metadata *state = control_state(node->control->control);
    if (serial == n->views_seen || state == NULL) return;
    n->views_seen = serial;
    check_published(w, n, state);
}

void world_wish(struct world *w, struct world_node *n, const struct metadata_command *command) {
    ASSERT(n->state == NODE_UP);
    n->wish = *command;
    n->has_wish = true;
    n->process->wake_ns[0] = w->now_ns;
}

void world_control_wish(struct world_node *n) {
    if (n->wish_leader == 0 && !n->has_wish) return;
    struct control *c = n->process->node.control->control;
    if (n->wish_leader != 0) control_transfer(c, n->wish_leader);
    if (n->has_wish) control_propose(c, &n->wish, NULL, NULL);
    n->wish_leader = 0;
    n->has_wish = false;
}

void world_control_forget(struct world *w) {
    w->cluster = (struct world_cluster){ 0 };
}

/* ---- refused ---- */

static bool is_gone(enum member_state state) {
    return state == MEMBER_REMOVED || state == MEMBER_DEAD;
}

/* By the newest state or by its own, which is agreed, but may not be published anywhere yet. */
static bool is_removed(const struct world *w, const struct world_node *n) {
    const struct metadata *own = control_state(n->process->node.control->control);
    if (n->member == 0) return false;
    if (is_gone(w->cluster.members[n->member].state)) return true;
    return own != NULL && is_gone(metadata_member_state(own, n->member));
}

void world_control_refused(struct world *w, struct world_node *n) {
    ASSERT(n->refused);
    const bool no_store = strstr(n->refusal, "cannot be made") != NULL;
    world_note(w, "node %u may not go on: %s", n->index + 1, n->refusal);
    n->refused = false;
    /* Who left, or was given up, has no place in the cluster. */
    if (is_removed(w, n))
        n->retired = n->out = true;
    else if (!no_store || !(n->may_die || n->is_full))
        findings_add(&w->findings, "at %llu ms node %u may not go on: %s",
                     (unsigned long long)(w->now_ns / NS_A_MS), n->index + 1, n->refusal);
    world_stop(w, n, w->now_ns + REFUSED_WAIT_NS);
}

/* ---- phases ---- */

static bool is_ready(const struct world_node *n) {
    if (n->state != NODE_UP || n->process->node.control == NULL) return false;
    const struct node *node = &n->process->node;
    const struct control_status *s = &node->control->status;
    return s->ready && s->leader != 0 && s->waits_for[0] == '\0' && node_adopted_epoch(node) > 0;
}

bool world_has_begun(const struct world *w) {
    for (uint32_t i = 0; i < w->scenario->nodes; i++) {
        if (!is_ready(&w->nodes[i])) return false;
    }
    return true;
}

uint64_t world_members(const struct world *w) {
    uint64_t bits = 0;
    for (uint32_t id = 1; id <= w->cluster.member_last && id < WORLD_IDS_MAX; id++) {
        const struct world_member *m = &w->cluster.members[id];
        const bool counts = m->state == MEMBER_JOINING || m->state == MEMBER_ACTIVE;
        if (counts && m->node != 0) bits |= UINT64_C(1) << (m->node - 1);
    }
    return bits;
}

/* ---- the end ---- */

/* Of all but what was asked for last: a request that is refused changes only that, makes no later
 * revision, and proxies do not hear of it. */
static uint64_t hash_shown(const struct metadata *state) {
    struct metadata *shown = metadata_clone(state);
    for (uint32_t i = 0; i < shown->members_count; i++) {
        shown->members[i].sequence = 0;
        shown->members[i].result = (struct metadata_result){ 0 };
    }
    const uint64_t hash = metadata_hash(shown);
    metadata_destroy(shown);
    return hash;
}

/* The first that is asked decides. */
static bool agrees(uint64_t *hash, uint64_t own) {
    if (*hash == 0) *hash = own;
    return *hash == own;
}

static void check_state(struct world *w, const struct world_node *n, const struct metadata *state) {
    const uint32_t name = n->index + 1;
    if (state->epoch != w->cluster.epoch || state->revision != w->cluster.revision)
        findings_add(&w->findings,
                     "node %u is at epoch %llu, revision %llu in the end, not %llu, "
                     "%llu",
                     name, (unsigned long long)state->epoch, (unsigned long long)state->revision,
                     (unsigned long long)w->cluster.epoch, (unsigned long long)w->cluster.revision);
    if (node_adopted_epoch(&n->process->node) != state->epoch)
        findings_add(&w->findings, "node %u has not adopted epoch %llu in the end", name,
                     (unsigned long long)state->epoch);
    bool same = agrees(&w->cluster.hash_shown, hash_shown(state));
    if (!n->proxy) same &= agrees(&w->cluster.hash, metadata_hash(state));
    if (!same) findings_add(&w->findings, "node %u has another state of the same revision", name);
}

static void check_settled(struct world *w, const struct world_node *n) {
    const struct node_control *c = n->process->node.control;
    const struct metadata *state = control_state(c->control);
    const struct control_status *s = &c->status;
    const uint32_t name = n->index + 1;
    if (state == NULL || (!n->proxy && !is_ready(n))) {
        findings_add(&w->findings, "node %u is not ready in the end: it waits for %s", name,
                     s->waits_for);
        return;
    }
    if (n->member != s->self || (s->self == 0) != n->proxy)
        findings_add(&w->findings, "node %u is no member in the end", name);
    check_state(w, n, state);
}

/* One that is down is found to be so by those that ask it. */
static void check_proxies(struct world *w) {
    for (uint32_t i = scenario_keepers(w->scenario); i < scenario_machines(w->scenario); i++) {
        if (w->nodes[i].state == NODE_UP) check_settled(w, &w->nodes[i]);
    }
}

void world_control_check(struct world *w) {
    const struct world_cluster *c = &w->cluster;
    const uint64_t members = world_members(w);
    for (uint32_t i = 0; i < scenario_keepers(w->scenario); i++) {
        const struct world_node *n = &w->nodes[i];
        if ((members >> i & 1) != 0 && n->state == NODE_UP) check_settled(w, n);
        if (((members >> i & 1) == 0) == n->out) continue;
        findings_add(&w->findings, "node %u is %s the cluster in the end", i + 1,
                     n->out ? "still in" : "not in");
    }
    check_proxies(w);
    for (uint32_t id = 1; id <= c->member_last && id < WORLD_IDS_MAX; id++) {
        const enum member_state state = c->members[id].state;
        if (state == MEMBER_ACTIVE || state == MEMBER_REMOVED) continue;
        findings_add(&w->findings, "member %u of node %u is %s in the end", id, c->members[id].node,
                     member_state_name(state));
    }
    if (c->replicas != c->replicas_wanted || c->replicas_next != 0)
        findings_add(&w->findings, "slots have %u replicas in the end, and are to have %u, not %u",
                     c->replicas, c->replicas_next, c->replicas_wanted);
    if (c->replicas_wanted < w->scenario->replicas)
        findings_add(&w->findings, "the keyspace has %u replicas in the end", c->replicas_wanted);
    if (c->change != 0)
        findings_add(&w->findings, "change %llu is not over in the end",
                     (unsigned long long)c->change);
    for (uint32_t i = 0; i < w->history.keys_count && c->change == 0; i++) {
        const struct history_key *k = &w->history.keys[i];
        if (__builtin_popcountll(k->replicas) == (int)c->replicas_wanted) continue;
        findings_add(&w->findings, "%s has %d replicas in the end", k->text,
                     __builtin_popcountll(k->replicas));
        break;
    }
}
