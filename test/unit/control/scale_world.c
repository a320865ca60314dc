#include "test/unit/control/scale_world.h"

#include "base/assert.h"
#include "base/mem.h"
#include "proto/peer.h"

#include <stdio.h>
#include <string.h>

#define ADOPT_MS 5u
#define CATCH_UP_MS 20u
#define LOOK_MS 20u
#define IDS_MAX (SCALE_NODES_MAX * 4)

/* ---- events ---- */

static bool comes_first(const struct scale_event *a, const struct scale_event *b) {
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms;
    return a->serial < b->serial;
}

static void push(struct scale_world *w, struct scale_event e) {
    if (w->heap_count == w->heap_room) {
        w->heap_room = w->heap_room == 0 ? 1024 : w->heap_room * 2;
        w->heap = mem_realloc(w->heap, w->heap_room * sizeof *w->heap);
    }
    e.serial = ++w->serials;
    uint32_t at = w->heap_count++;
    for (; at > 0 && comes_first(&e, &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = e;
}

static struct scale_event pop(struct scale_world *w) {
    ASSERT(w->heap_count > 0);
    const struct scale_event first = w->heap[0];
    const struct scale_event last = w->heap[--w->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= w->heap_count) break;
        if (child + 1 < w->heap_count && comes_first(&w->heap[child + 1], &w->heap[child])) child++;
        if (!comes_first(&w->heap[child], &last)) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    if (w->heap_count > 0) w->heap[at] = last;
    return first;
}

static void after(struct scale_node *n, uint32_t ms, enum scale_event_kind kind, uint64_t epoch) {
    push(n->world, (struct scale_event){
                       .at_ms = n->world->now_ms + ms, .kind = kind, .to = n->at, .epoch = epoch });
}

/* ---- the disk ---- */

static struct status store_create(void *user, const struct raft_store_owner *owner,
                                  const struct raft_snapshot *snapshot) {
    struct scale_node *n = user;
    n->store.next.applied = snapshot->index;
    if (owner->member < IDS_MAX) n->world->node_of[owner->member] = n->at + 1;
    return status_of(ST_OK);
}
static bool store_has_room(const void *user) {
    return user != NULL;
}
static void store_hard(void *user, struct raft_hard_state hard) {
    ASSERT(hard.term > 0);
    ((struct scale_node *)user)->store.dirty = true;
}
static void store_truncate(void *user, uint64_t index) {
    ASSERT(index > 0);
    ((struct scale_node *)user)->store.dirty = true;
}
static void store_append(void *user, const struct raft_entry *entry) {
    ASSERT(entry->index > 0);
    ((struct scale_node *)user)->store.dirty = true;
}
static void store_mark(void *user, struct raft_mark mark) {
    struct scale_store *s = &((struct scale_node *)user)->store;
    s->next.mark = mark;
    s->dirty = true;
}
static void store_applied(void *user, uint64_t index) {
    struct scale_store *s = &((struct scale_node *)user)->store;
    s->next.applied = index;
    s->dirty = true;
}
static void store_cluster(void *user, const uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]) {
    ASSERT(cluster != NULL);
    ((struct scale_node *)user)->store.dirty = true;
}
static void store_snapshot(void *user, const struct raft_snapshot *snapshot) {
    struct scale_store *s = &((struct scale_node *)user)->store;
    s->next.snapshot_index = snapshot->index;
    s->dirty = true;
}
static void store_install(void *user, const struct raft_snapshot *snapshot) {
    struct scale_store *s = &((struct scale_node *)user)->store;
    s->next.install_index = snapshot->index;
    if (s->next.applied < snapshot->index) s->next.applied = snapshot->index;
    s->dirty = true;
}
static bool store_is_replacing(const void *user) {
    const struct scale_store *s = &((const struct scale_node *)user)->store;
    return s->next.snapshot_index != 0 || s->next.install_index != 0 ||
           (s->busy && (s->job.snapshot_index != 0 || s->job.install_index != 0));
}

static void begin_job(struct scale_node *n) {
    struct scale_store *s = &n->store;
    s->job = s->next;
    s->next.snapshot_index = s->next.install_index = 0;
    s->dirty = s->again = false;
    s->busy = true;
    after(n, SCALE_DISK_MS, SCALE_STORED, 0);
}

static void store_flush(void *user) {
    struct scale_node *n = user;
    if (!n->store.dirty) return;
    if (n->store.busy)
        n->store.again = true;
    else
        begin_job(n);
}

static const struct control_store store_calls = {
    NULL,          store_create,       store_has_room, store_hard,    store_truncate,
    store_append,  store_mark,         store_applied,  store_cluster, store_snapshot,
    store_install, store_is_replacing, store_flush,
};

/* ---- the network ---- */

static void post(struct scale_node *n, uint32_t to, bool linked, struct bytes bytes) {
    struct scale_world *w = n->world;
    if (to >= w->node_count || to == n->at) return;
    n->traffic.sent_messages++;
    n->traffic.sent_bytes += bytes.len + PEER_HEADER_BYTES;
    uint8_t *copy = mem_alloc(bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    const uint64_t delay_ms = 1 + sim_random_below(&w->random, SCALE_DELAY_MS);
    push(w, (struct scale_event){ .at_ms = w->now_ms + delay_ms,
                                  .kind = SCALE_PACKET,
                                  .to = to,
                                  .from = n->at,
                                  .linked = linked,
                                  .bytes = copy,
                                  .len = (uint32_t)bytes.len });
}

static void on_send(void *user, uint32_t member, struct bytes bytes) {
    struct scale_node *n = user;
    ASSERT(member < IDS_MAX);
    if (n->world->node_of[member] != 0) post(n, n->world->node_of[member] - 1, true, bytes);
}

/* "10.1.X.Y:7000": the index is in it. */
static void on_send_address(void *user, const char *address, struct bytes bytes) {
    unsigned high = 0, low = 0;
    const int read = sscanf(address, "10.1.%u.%u:7000", &high, &low);
    ASSERT(read == 2);
    post(user, high * 256 + low, false, bytes);
}

static void on_reply(void *user, uint64_t guest, struct bytes bytes) {
    ASSERT(guest > 0);
    post(user, (uint32_t)guest - 1, false, bytes);
}

static void on_publish(void *user, const struct metadata *state, uint32_t self) {
    struct scale_node *n = user;
    n->self = self;
    if (state->epoch <= n->epoch) return;
    n->epoch = state->epoch;
    after(n, ADOPT_MS, SCALE_ADOPT, state->epoch);
}

static void on_refused(void *user, const char *line) {
    struct scale_node *n = user;
    ASSERT(strstr(line, "was removed") != NULL);
    n->removed = true;
}

static void deliver(struct scale_world *w, const struct scale_event *e) {
    struct scale_node *n = &w->nodes[e->to];
    const struct scale_node *sender = &w->nodes[e->from];
    n->traffic.received_messages++;
    n->traffic.received_bytes += e->len + PEER_HEADER_BYTES;
    const struct metadata *known = control_state(n->control);
    struct control_source from = { 0 };
    if (e->linked && n->self != 0 && sender->self != 0 && known != NULL &&
        metadata_find_member(known, sender->self) != MEMBER_NONE)
        from.member = sender->self;
    if (from.member == 0) from.guest = e->from + 1;
    control_receive(n->control, from, bytes_of(e->bytes, e->len), w->now_ms,
                    sim_random_next(&w->random));
}

/* ---- lives of nodes ---- */

static void start(struct scale_world *w, struct scale_node *n) {
    const char *addresses[SCALE_FOUNDERS];
    struct control_options o;
    control_options_init(&o);
    o.want = n->at < SCALE_FOUNDERS ? CONTROL_WANT_LIST : CONTROL_WANT_JOIN;
    o.address = n->address;
    o.addresses = addresses;
    for (uint32_t i = 0; i < SCALE_FOUNDERS; i++) {
        if (i != n->at) addresses[o.address_count++] = w->nodes[i].address;
    }
    o.boot = 1;
    o.nonce = sim_random_next(&w->random) | 1;
    const struct control_env env = {
        n, on_send, on_send_address, on_reply, on_publish, on_refused
    };
    struct control_store store = store_calls;
    store.user = n;
    n->control = control_create(&o, &env, &store);
    const struct status s =
        control_restore(n->control, NULL, w->now_ms, sim_random_next(&w->random));
    ASSERT(status_ok(s));
    after(n, 1, SCALE_TICK, 0);
}

static void tick(struct scale_world *w, struct scale_node *n) {
    const uint64_t due_ms =
        control_tick(n->control, w->now_ms, w->now_ms, sim_random_next(&w->random));
    ASSERT(due_ms > w->now_ms);
    if (n->removed)
        scale_kill(w, n->at);
    else
        after(n, (uint32_t)(due_ms - w->now_ms), SCALE_TICK, 0);
}

static void stored(struct scale_world *w, struct scale_node *n) {
    const struct raft_store_done done = n->store.job;
    n->store.busy = false;
    if (n->store.again) begin_job(n);
    control_stored(n->control, &done, w->now_ms, sim_random_next(&w->random));
}

static void happen(struct scale_world *w, const struct scale_event *e) {
    struct scale_node *n = &w->nodes[e->to];
    if (e->kind == SCALE_START) start(w, n);
    if (n->control == NULL) return;
    switch (e->kind) {
    case SCALE_START: break;
    case SCALE_PACKET: deliver(w, e); break;
    case SCALE_TICK: tick(w, n); break;
    case SCALE_STORED: stored(w, n); break;
    case SCALE_ADOPT:
        if (e->epoch <= n->adopted) break;
        n->adopted = e->epoch;
        control_adopted(n->control, e->epoch);
        after(n, CATCH_UP_MS, SCALE_CAUGHT, e->epoch);
        break;
    case SCALE_CAUGHT: control_caught_up(n->control, e->epoch); break;
    }
}

static uint32_t add_node(struct scale_world *w, uint32_t wait_ms) {
    ASSERT(w->node_count < SCALE_NODES_MAX);
    struct scale_node *n = &w->nodes[w->node_count];
    n->world = w;
    n->at = w->node_count++;
    (void)snprintf(n->address, sizeof n->address, "10.1.%u.%u:7000", n->at / 256, n->at % 256);
    after(n, wait_ms, SCALE_START, 0);
    return n->at;
}

struct scale_world *scale_create(uint32_t count, uint32_t spread_ms, uint64_t seed) {
    ASSERT(count >= SCALE_FOUNDERS);
    ASSERT(spread_ms > 0);
    struct scale_world *w = mem_alloc_zeroed(sizeof *w);
    w->random = sim_random_of(seed);
    w->now_ms = 1000;
    w->nodes = mem_alloc_zeroed(SCALE_NODES_MAX * sizeof *w->nodes);
    w->node_of = mem_alloc_zeroed(IDS_MAX * sizeof *w->node_of);
    for (uint32_t i = 0; i < count; i++)
        (void)add_node(w, 1 + (uint32_t)sim_random_below(&w->random, spread_ms));
    return w;
}

void scale_destroy(struct scale_world *w) {
    for (uint32_t i = 0; i < w->node_count; i++) control_destroy(w->nodes[i].control);
    for (uint32_t i = 0; i < w->heap_count; i++) mem_free(w->heap[i].bytes);
    mem_free(w->heap);
    mem_free(w->nodes);
    mem_free(w->node_of);
    mem_free(w);
}

uint32_t scale_add(struct scale_world *w) {
    return add_node(w, 1);
}

void scale_kill(struct scale_world *w, uint32_t node) {
    ASSERT(node < w->node_count);
    control_destroy(w->nodes[node].control);
    w->nodes[node].control = NULL;
}

void scale_run(struct scale_world *w, uint32_t ms) {
    const uint64_t end_ms = w->now_ms + ms;
    while (w->heap_count > 0 && w->heap[0].at_ms <= end_ms) {
        const struct scale_event e = pop(w);
        w->now_ms = e.at_ms;
        happen(w, &e);
        mem_free(e.bytes);
    }
    w->now_ms = end_ms;
}

/* ---- how it stands ---- */

uint32_t scale_leader(const struct scale_world *w) {
    static struct control_status s;
    uint32_t leader = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].control == NULL) continue;
        control_status(w->nodes[i].control, &s);
        if (s.leader == 0 || (leader != 0 && s.leader != leader)) return SCALE_NODES_MAX;
        leader = s.leader;
    }
    ASSERT(leader < IDS_MAX);
    const uint32_t node = leader == 0 ? 0 : w->node_of[leader];
    return node == 0 || w->nodes[node - 1].control == NULL ? SCALE_NODES_MAX : node - 1;
}

bool scale_is_settled(const struct scale_world *w, uint32_t members) {
    const struct metadata *first = NULL;
    uint32_t active = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].control == NULL) continue;
        const struct metadata *m = control_state(w->nodes[i].control);
        if (m == NULL || m->change.id != 0 || m->members_count != members) return false;
        if (first == NULL) first = m;
        if (m->revision != first->revision) return false;
    }
    for (uint32_t i = 0; first != NULL && i < members; i++)
        active += first->members[i].state == MEMBER_ACTIVE && first->members[i].boot > 0;
    return active == members && scale_leader(w) != SCALE_NODES_MAX;
}

uint32_t scale_settle(struct scale_world *w, uint32_t members, uint32_t limit_ms) {
    uint32_t took_ms = 0;
    while (!scale_is_settled(w, members)) {
        if (took_ms >= limit_ms) return UINT32_MAX;
        scale_run(w, LOOK_MS);
        took_ms += LOOK_MS;
    }
    return took_ms;
}

void scale_forget_traffic(struct scale_world *w) {
    for (uint32_t i = 0; i < w->node_count; i++) w->nodes[i].traffic = (struct scale_traffic){ 0 };
}
