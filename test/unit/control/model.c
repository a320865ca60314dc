#include "test/unit/control/model.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

#define STEP_MS 4u
#define SETTLE_MS_MAX 120000u
#define CHAOS_MS 25000u
#define CUT_MS 3000u  /* of one link */
#define LEAVE_MS 250u /* less than an election timeout */
#define FULL_MS 12000u

static uint32_t below(struct model *m, uint32_t bound) {
    return (uint32_t)sim_random_below(&m->random, bound);
}

static bool chance(struct model *m, uint32_t part, uint32_t whole) {
    return sim_random_chance(&m->random, part, whole);
}

/* ---- the network ---- */

static uint32_t find_address(const struct model *m, const char *address) {
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (strcmp(m->nodes[i].address, address) == 0) return i;
    }
    return MODEL_NODES_MAX;
}

static void post(struct model_node *n, uint32_t to, uint32_t to_life, bool linked,
                 struct bytes bytes) {
    struct model *m = n->world;
    if (to >= m->node_count || to == n->at) return;
    const bool apart = (m->cut >> n->at & 1) != (m->cut >> to & 1);
    const bool pair = (m->pair >> n->at & 1) != 0 && (m->pair >> to & 1) != 0;
    if (apart || pair || chance(m, m->loss, 1000)) return;
    struct model_packet *p = NULL;
    for (uint32_t i = 0; i < MODEL_PACKETS_MAX && p == NULL; i++) {
        if (m->packets[i].at_ms == 0) p = &m->packets[i];
    }
    if (p == NULL) return;
    *p = (struct model_packet){ .at_ms = m->now_ms + 1 + below(m, m->delay_ms),
                                .from = n->at,
                                .from_life = n->life,
                                .to = to,
                                .to_life = to_life,
                                .linked = linked,
                                .len = (uint32_t)bytes.len };
    p->bytes = mem_alloc(bytes.len + 1);
    memcpy(p->bytes, bytes.ptr, bytes.len);
}

static void on_send(void *user, uint32_t member, struct bytes bytes) {
    struct model_node *n = user;
    for (uint32_t i = 0; i < n->view_count; i++) {
        if (n->view_id[i] != member) continue;
        const uint32_t to = find_address(n->world, n->view_address[i]);
        if (to < n->world->node_count) post(n, to, n->world->nodes[to].life, true, bytes);
    }
}

static void on_send_address(void *user, const char *address, struct bytes bytes) {
    struct model_node *n = user;
    const uint32_t to = find_address(n->world, address);
    if (to < n->world->node_count) post(n, to, n->world->nodes[to].life, false, bytes);
}

/* A guest is a node and the life in which it opened the stream. */
static uint64_t guest_of(uint32_t node, uint32_t life) {
    return (uint64_t)life << 8 | (node + 1);
}

static void on_reply(void *user, uint64_t guest, struct bytes bytes) {
    struct model_node *n = user;
    const uint32_t to = (uint32_t)(guest & 0xff) - 1;
    if (to >= n->world->node_count) control_model_fail(n->world, "an answer to nobody");
    post(n, to, (uint32_t)(guest >> 8), false, bytes);
}

static void on_publish(void *user, const struct metadata *state, uint32_t self) {
    struct model_node *n = user;
    struct model *m = n->world;
    n->self = self;
    n->revision = state->revision;
    n->view_count = 0;
    for (uint32_t i = 0; i < state->members_count; i++) {
        const struct metadata_member *member = &state->members[i];
        if (member->address[0] == 0) continue;
        n->view_id[n->view_count] = member->id;
        (void)snprintf(n->view_address[n->view_count++], sizeof n->view_address[0], "%s",
                       member->address);
    }
    if (state->epoch > n->epoch) {
        n->epoch = state->epoch;
        n->adopt_at_ms = m->now_ms + 1 + below(m, m->calm ? 20 : 200);
    }
    control_model_published(m, n, state, self);
}

static void on_refused(void *user, const char *line) {
    struct model_node *n = user;
    n->refused = true;
    (void)snprintf(n->line, sizeof n->line, "%s", line);
}

static uint32_t member_at(const struct model_node *n, uint32_t from, uint32_t life) {
    const struct model_node *sender = &n->world->nodes[from];
    if (sender->life != life || sender->self == 0 || n->self == 0) return 0;
    for (uint32_t i = 0; i < n->view_count; i++) {
        if (n->view_id[i] == sender->self && strcmp(n->view_address[i], sender->address) == 0)
            return sender->self;
    }
    return 0;
}

static void deliver(struct model *m, struct model_packet *p) {
    struct model_node *n = &m->nodes[p->to];
    const struct model_packet packet = *p;
    *p = (struct model_packet){ 0 };
    const bool there = n->control != NULL && n->life == packet.to_life;
    if (there && !n->refused) {
        struct control_source from = { 0 };
        if (packet.linked) from.member = member_at(n, packet.from, packet.from_life);
        if (from.member == 0) from.guest = guest_of(packet.from, packet.from_life);
        m->core->receive(n->control, from, bytes_of(packet.bytes, packet.len), m->now_ms,
                         sim_random_next(&m->random));
    }
    mem_free(packet.bytes);
}

/* ---- lives of nodes ---- */

static void start(struct model *m, struct model_node *n) {
    ASSERT(n->control == NULL);
    const char *addresses[MODEL_NODES_MAX];
    uint32_t count = 0;
    const uint32_t told = n->want == CONTROL_WANT_LIST ? m->founders : m->node_count;
    for (uint32_t i = 0; i < told; i++) {
        if (i != n->at) addresses[count++] = m->nodes[i].address;
    }
    n->life++;
    n->boot++;
    n->self = 0;
    n->view_count = 0;
    n->epoch = n->adopted = n->adopt_at_ms = n->catch_at_ms = 0;
    n->refused = false;
    n->disk.now_ms = m->now_ms;
    struct control_options o;
    control_options_init(&o);
    o.want = n->want;
    o.address = n->address;
    o.weight = 1 + n->at % 2;
    o.zone = n->at % 3;
    o.addresses = addresses;
    o.address_count = count;
    o.boot = n->boot;
    o.nonce = n->nonce;
    o.election_ms = 300;
    o.heartbeat_ms = 50;
    o.snapshot_entries = 24;
    o.gather_ms = 1000;
    o.settle_ms = 300;
    o.voter_silent_ms = 3000;
    o.proposal_ms = 3000;
    o.batch_slots = below(m, 2) == 0 ? 2048 : CONTROL_BATCH_MAX;
    const struct control_env env = {
        n, on_send, on_send_address, on_reply, on_publish, on_refused
    };
    struct control_store table;
    test_disk_table(&n->disk, &table);
    n->control = m->core->create(&o, &env, &table);
    struct raft_store_restored restored;
    if (n->disk.exists) test_disk_restored(&n->disk, &restored);
    const struct status s = m->core->restore(n->control, n->disk.exists ? &restored : NULL,
                                             m->now_ms, sim_random_next(&m->random));
    if (!status_ok(s)) control_model_fail(m, "a node cannot read what it has stored");
}

static void crash(struct model *m, struct model_node *n, uint32_t away_ms) {
    ASSERT(n->control != NULL);
    m->core->destroy(n->control);
    n->control = NULL;
    test_disk_crash(&n->disk);
    n->up_at_ms = m->now_ms + 1 + below(m, away_ms);
    m->crashes++;
}

/* A new disk, and a new data directory on it. */
static void wipe(struct model *m, struct model_node *n) {
    ASSERT(n->control == NULL);
    test_disk_wipe(&n->disk);
    n->nonce = sim_random_next(&m->random) | 1;
    n->boot = 0;
    n->epoch_published = 0;
    n->self = 0;
    n->want = CONTROL_WANT_JOIN;
    m->wiped++;
}

/* Nobody but who was removed may be told to stop. It may be the first to know: whether it is true
 * is seen at the end. */
static void settle_refused(struct model *m, struct model_node *n) {
    const uint32_t id = n->disk.exists ? n->disk.owner.member : 0;
    if (strstr(n->line, "was removed") == NULL || id >= MODEL_IDS_MAX) {
        fprintf(stderr, "node %u: %s\n", n->at, n->line);
        control_model_fail(m, "a node was refused that did nothing wrong");
        return;
    }
    m->gone[id] = true;
    crash(m, n, 1000);
    wipe(m, n);
}

struct model *control_model_create(const struct model_core *core, uint64_t seed) {
    struct model *m = mem_alloc_zeroed(sizeof *m);
    m->core = core;
    m->random = sim_random_of(seed);
    m->now_ms = 1000;
    m->node_count = 3 + below(m, 5);
    m->founders = chance(m, 1, 4) ? 1 : 3 + below(m, m->node_count - 2);
    m->loss = below(m, 150);
    m->delay_ms = 1 + below(m, 40);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        n->world = m;
        n->at = i;
        (void)snprintf(n->address, sizeof n->address, "10.0.0.%u:7000", i + 1);
        n->nonce = sim_random_next(&m->random) | 1;
        n->want = i >= m->founders ? CONTROL_WANT_JOIN : CONTROL_WANT_LIST;
        if (m->founders == 1 && i == 0) n->want = CONTROL_WANT_ALONE;
        test_disk_init(&n->disk, &m->random);
        n->disk.slow_ms = 1 + below(m, 30);
        n->up_at_ms = m->now_ms + 1 + below(m, i < m->founders ? 3000 : 9000);
    }
    return m;
}

void control_model_destroy(struct model *m) {
    for (uint32_t i = 0; i < m->node_count; i++) {
        m->core->destroy(m->nodes[i].control);
        test_disk_deinit(&m->nodes[i].disk);
    }
    for (uint32_t i = 0; i < MODEL_PACKETS_MAX; i++) mem_free(m->packets[i].bytes);
    metadata_destroy(m->latest);
    mem_free(m);
}

/* ---- what goes on ---- */

static void drive_data_plane(struct model *m, struct model_node *n) {
    if (n->adopt_at_ms != 0 && m->now_ms >= n->adopt_at_ms) {
        n->adopt_at_ms = 0;
        n->adopted = n->catch_epoch = n->epoch;
        m->core->adopted(n->control, n->epoch);
        n->catch_at_ms = m->now_ms + 1 + below(m, m->calm ? 50 : 800);
    }
    if (n->catch_at_ms == 0 || m->now_ms < n->catch_at_ms) return;
    n->catch_at_ms = 0;
    if (n->self > 0 && n->self < MODEL_IDS_MAX && m->caught_up[n->self] < n->catch_epoch)
        m->caught_up[n->self] = n->catch_epoch;
    m->core->caught_up(n->control, n->catch_epoch);
}

static void drive(struct model *m, struct model_node *n) {
    if (n->control == NULL) {
        if (n->up_at_ms != 0 && m->now_ms >= n->up_at_ms) start(m, n);
        return;
    }
    struct raft_store_done done;
    n->disk.now_ms = m->now_ms;
    if (test_disk_poll(&n->disk, &done))
        m->core->stored(n->control, &done, m->now_ms, sim_random_next(&m->random));
    if (n->disk.broken) control_model_fail(m, "the store was used against its rules");
    drive_data_plane(m, n);
    (void)m->core->tick(n->control, m->now_ms, m->now_ms, sim_random_next(&m->random));
    if (!m->core->check(n->control)) control_model_fail(m, "fields of a control disagree");
    control_model_owner(m, n);
    if (n->refused) settle_refused(m, n);
}

static uint32_t any_member(struct model *m) {
    return m->latest->members[below(m, m->latest->members_count)].id;
}

static void propose(struct model *m, const struct metadata_command *command) {
    struct model_node *n = &m->nodes[below(m, m->node_count)];
    if (n->control == NULL || n->refused) return;
    m->core->propose(n->control, command, NULL, NULL);
}

static uint32_t count_state(const struct model *m, enum member_state state) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->latest->members_count; i++)
        count += m->latest->members[i].state == state;
    return count;
}

static void wish(struct model *m) {
    struct metadata_command c = { 0 };
    char name[24];
    c.change = m->latest->change.id;
    c.member.id = any_member(m);
    switch (below(m, 7)) {
    case 0:
        if (count_state(m, MEMBER_ACTIVE) <= 3) return;
        c.kind = METADATA_MEMBER_LEAVE;
        break;
    case 1:
        c.kind = METADATA_MEMBER_WEIGHT;
        c.member.weight = 1 + below(m, 4);
        break;
    case 2:
    case 3:
        (void)snprintf(name, sizeof name, "k%u", m->keyspaces++);
        c.kind = METADATA_KEYSPACE_CREATE;
        c.name = bytes_of_string(name);
        c.settings.replication.replicas = 1;
        break;
    case 4: c.kind = c.change != 0 ? METADATA_CHANGE_CANCEL : METADATA_KEYSPACE_DROP; break;
    case 5: c.kind = chance(m, 1, 2) ? METADATA_CHANGE_PAUSE : METADATA_CHANGE_RESUME; break;
    default:
        c.kind = METADATA_CHANGE_THROTTLE;
        c.throttle = below(m, 1000);
        if (c.throttle >= 300) break;
        c.kind = METADATA_REPLICAS;
        c.replicas = 1 + (uint32_t)c.throttle % REPLICAS_MAX;
    }
    if (c.kind == METADATA_KEYSPACE_DROP) c.keyspace = (uint16_t)below(m, 20);
    propose(m, &c);
}

/* People say that a node that is away is dead; it may come back after that. */
static void declare_dead(struct model *m) {
    if (count_state(m, MEMBER_ACTIVE) <= 3) return;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (n->control != NULL || !n->disk.exists) continue;
        const struct metadata_command c = { .kind = METADATA_MEMBER_DEAD,
                                            .member = { .id = n->disk.owner.member } };
        propose(m, &c);
        return;
    }
}

/* A disk may be lost when a majority of the voters surely keeps theirs: when the one lost before
 * has been replaced, and all of the list have started once. */
static bool may_lose_disk(struct model *m) {
    static struct control_status s;
    if (m->latest == NULL || m->latest->members_count < 4) return false;
    for (uint32_t i = 0; i < m->latest->members_count; i++) {
        const struct metadata_member *member = &m->latest->members[i];
        if (member->boot == 0 || member->state != MEMBER_ACTIVE) return false;
    }
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (i < m->founders && m->nodes[i].boot == 0 && m->wiped == 0) return false;
    }
    bool led = false;
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (m->nodes[i].control == NULL) return false;
        m->core->status(m->nodes[i].control, &s);
        if (s.leader == 0 || s.leader != s.self) continue;
        led = s.voter_count >= 3;
        for (uint32_t k = 0; k < s.voter_count; k++) {
            const uint32_t at = metadata_find_member(m->latest, s.voters[k]);
            if (at == MEMBER_NONE || m->nonces[s.voters[k]] == 0) return false;
        }
    }
    return led;
}

static void cut_some(struct model *m) {
    m->cut = below(m, 1u << m->node_count);
    m->heal_ms = m->now_ms + 100 + below(m, 4000);
}

static void chaos(struct model *m) {
    if (m->calm) return;
    if (m->heal_ms != 0 && m->now_ms >= m->heal_ms) m->cut = 0, m->heal_ms = 0;
    if (m->heal_ms == 0 && chance(m, 1, 1000)) cut_some(m);
    struct model_node *n = &m->nodes[below(m, m->node_count)];
    if (n->control != NULL && chance(m, 1, 400)) {
        const bool lost = chance(m, 1, 3) && may_lose_disk(m);
        crash(m, n, chance(m, 1, 4) ? 6000 : 500);
        if (lost) wipe(m, n);
    }
    if (m->latest == NULL) return;
    if (chance(m, 1, 60)) wish(m);
    if (chance(m, 1, 200)) declare_dead(m);
    n = &m->nodes[below(m, m->node_count)];
    if (n->control != NULL && !n->refused && chance(m, 1, 500))
        m->core->transfer(n->control, any_member(m));
    if (chance(m, 1, 1500)) n->disk.full_until_ms = m->now_ms + below(m, FULL_MS);
}

static void step(struct model *m) {
    m->now_ms += STEP_MS;
    for (uint32_t i = 0; i < MODEL_PACKETS_MAX && m->wrong == NULL; i++) {
        if (m->packets[i].at_ms != 0 && m->packets[i].at_ms <= m->now_ms)
            deliver(m, &m->packets[i]);
    }
    for (uint32_t i = 0; i < m->node_count && m->wrong == NULL; i++) drive(m, &m->nodes[i]);
    chaos(m);
}

static void heal(struct model *m) {
    m->calm = true;
    m->cut = 0;
    m->loss = 5;
    m->delay_ms = 10;
    for (uint32_t i = 0; i < m->node_count; i++) {
        m->nodes[i].disk.slow_ms = 5;
        m->nodes[i].disk.full_until_ms = 0;
        if (m->nodes[i].control == NULL) m->nodes[i].up_at_ms = m->now_ms + 1;
    }
}

static bool are_fewer_than_copies(const struct metadata *state, uint32_t members) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (state->slots.lists[slot].count > members) return true;
    }
    return false;
}

/* Nobody but people can end a pause, go on with what they have cancelled, or do with fewer copies
 * when too many were declared dead. */
static void help(struct model *m) {
    if (m->latest == NULL || !chance(m, 1, 100)) return;
    struct metadata_command c = { .kind = METADATA_CHANGE_RESUME, .change = m->latest->change.id };
    if (m->latest->change.paused) propose(m, &c);
    if (m->latest->change.id != 0) return;
    if (count_state(m, MEMBER_ACTIVE) == m->latest->members_count) return;
    c.kind = METADATA_CHANGE_BEGIN;
    metadata_inputs(m->latest, &c.target);
    c.accept_loss = are_fewer_than_copies(m->latest, c.target.count);
    if (c.accept_loss || metadata_inputs_hash(&c.target) == m->latest->placed) propose(m, &c);
}

static uint32_t leader_of(struct model *m, uint32_t at, uint64_t *ret_term) {
    static struct control_status s;
    m->core->status(m->nodes[at].control, &s);
    *ret_term = s.term;
    return s.leader;
}

/* A node that reaches all but the leader goes on hearing what is agreed, tells how far it is, and
 * has what it asks for carried out, in the same term. */
static void cut_from_leader(struct model *m) {
    const uint32_t at = below(m, m->node_count);
    struct model_node *n = &m->nodes[at];
    uint64_t term, term_after;
    const uint32_t leader = leader_of(m, at, &term);
    if (m->node_count < 3 || leader == 0 || leader == n->self) return;
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (m->nodes[i].self == leader) m->pair = 1u << i | 1u << at;
    }
    for (uint32_t ms = 0; ms < CUT_MS && m->wrong == NULL; ms += STEP_MS) step(m);
    const uint64_t before = m->latest->revision;
    const struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                        .member = { .id = n->self, .weight = 9 } };
    m->core->propose(n->control, &c, NULL, NULL);
    for (uint32_t ms = 0; ms < CUT_MS && m->wrong == NULL; ms += STEP_MS) step(m);
    if (m->wrong != NULL) return;
    (void)leader_of(m, at, &term_after);
    if (term_after != term) control_model_fail(m, "a link that was cut cost a leader");
    if (m->latest->revision == before || n->revision != m->latest->revision)
        control_model_fail(m, "a node cut from the leader only is left behind");
    if (m->latest->change.id != 0)
        control_model_fail(m, "a node cut from the leader only holds up the change");
    m->pair = 0;
}

/* The node that takes itself for the leader; node_count: none. */
static uint32_t find_leader(struct model *m) {
    uint64_t term;
    uint32_t at = 0;
    while (at < m->node_count && leader_of(m, at, &term) != m->nodes[at].self) at++;
    return at;
}

/* While the leader's disk takes nothing the leader's work is done all the same. */
static void leader_is_full(struct model *m) {
    const uint32_t at = find_leader(m);
    if (at == m->node_count || m->node_count < 3 || count_state(m, MEMBER_ACTIVE) < 3) return;
    struct model_node *n = &m->nodes[at];
    n->disk.full_until_ms = UINT64_MAX;
    const uint64_t before = m->latest->epoch;
    const struct model_node *other = &m->nodes[(at + 1) % m->node_count];
    const struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                        .member = { .id = other->self, .weight = 17 } };
    m->core->propose(other->control, &c, NULL, NULL);
    for (uint32_t ms = 0; ms < FULL_MS && m->wrong == NULL; ms += STEP_MS) step(m);
    if (m->wrong == NULL && m->latest->change.id == 0 && m->latest->epoch == before)
        control_model_fail(m, "a leader whose disk is full does not give way");
    n->disk.full_until_ms = 0;
    for (uint32_t ms = 0; ms < FULL_MS && m->wrong == NULL; ms += STEP_MS) step(m);
    if (m->wrong == NULL) m->wrong = control_model_unsettled(m);
}

/* A leader that stops has handed over before, sooner than an election could begin. */
static void leader_stops(struct model *m) {
    uint64_t term;
    const uint32_t at = find_leader(m);
    if (at == m->node_count || m->node_count < 3) return;
    m->loss = 0;
    bool left = false;
    for (uint32_t ms = 0; ms < LEAVE_MS && !left && m->wrong == NULL; ms += STEP_MS) {
        left = m->core->leave(m->nodes[at].control);
        step(m);
    }
    if (m->wrong != NULL) return;
    if (!left) control_model_fail(m, "a leader that stops waits for ever");
    const uint32_t next = leader_of(m, at, &term);
    if (next == 0 || next == m->nodes[at].self)
        control_model_fail(m, "a leader stopped without handing over");
}

const char *control_model_live(struct model *m) {
    for (uint32_t ms = 0; ms < CHAOS_MS && m->wrong == NULL; ms += STEP_MS) step(m);
    heal(m);
    const char *unsettled = "never looked";
    for (uint32_t ms = 0; ms < SETTLE_MS_MAX && m->wrong == NULL; ms += STEP_MS) {
        step(m);
        help(m);
        if (ms % 200 != 0) continue;
        unsettled = control_model_unsettled(m);
        if (unsettled == NULL) break;
    }
    if (m->wrong == NULL && unsettled == NULL) cut_from_leader(m);
    if (m->wrong == NULL && unsettled == NULL) leader_is_full(m);
    if (m->wrong == NULL && unsettled == NULL) leader_stops(m);
    if (m->wrong == NULL && unsettled != NULL) m->wrong = unsettled;
    return m->wrong;
}
