#include "slot_world.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "harness.h"
#include "shard/replica.h"

#include <stdio.h>

#define CLIENT_IP "10.0.9.9"
#define SEED 0x51075u
#define SETTLE_SECONDS_MAX 30u

static struct world_node *node_at(const struct slot_world *w, uint32_t at) {
    ASSERT(at < SLOT_WORLD_NODES);
    return &w->world->nodes[w->order[at]];
}

struct shard *slot_world_shard(const struct slot_world *w, uint32_t at) {
    return node_at(w, at)->process->node.shards[0];
}

static uint64_t due_ns(const struct world *w) {
    uint64_t due = sim_net_due_ns(w->net);
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
        const uint64_t node = world_node_due_ns(&w->nodes[i]);
        if (node < due) due = node;
    }
    return due;
}

void slot_world_run(struct slot_world *w, uint32_t for_ms) {
    struct world *world = w->world;
    const uint64_t end_ns = world->now_ns + for_ms * NS_A_MS;
    for (uint64_t due = due_ns(world); due <= end_ns; due = due_ns(world)) {
        if (due > world->now_ns) world->now_ns = due;
        sim_net_advance(world->net, world->now_ns);
        for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
            if (world_node_due_ns(&world->nodes[i]) <= world->now_ns)
                world_node_turn(world, &world->nodes[i]);
        }
    }
    world->now_ns = end_ns;
    sim_net_advance(world->net, end_ns);
    sim_os_now(w->client, end_ns);
}

static void ignore(void *user, const char *line) {
    (void)user;
    (void)line;
}

/* The nodes of the slot's list in its order, then the others. */
static void learn_order(struct slot_world *w) {
    const struct membership *m = w->world->nodes[0].process->node.shards[0]->members;
    const struct slot_list *list = membership_list(m, w->slot);
    uint32_t count = 0;
    ASSERT(list->count == 3);
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t n = 0; n < SLOT_WORLD_NODES; n++) {
            if (strcmp(m->all[list->members[i]].address, w->world->nodes[n].address) == 0)
                w->order[count++] = n;
        }
    }
    for (uint32_t n = 0; n < SLOT_WORLD_NODES; n++) {
        bool listed = false;
        for (uint32_t i = 0; i < 3; i++) listed |= w->order[i] == n;
        if (!listed) w->order[count++] = n;
    }
    ASSERT(count == SLOT_WORLD_NODES);
}

static bool has_cluster(const struct slot_world *w) {
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
        if (w->world->nodes[i].process->node.shards[0]->members->epoch == 0) return false;
    }
    return true;
}

/* From here on views come from the test. */
static void leave_control(struct slot_world *w) {
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
        struct node *n = &w->world->nodes[i].process->node;
        os_timer_disarm(n->shards[0]->loop, &n->control->timer);
        n->control = NULL;
    }
}

void slot_world_open(struct slot_world *w) {
    *w = (struct slot_world){ .slot = crc16_slot(BYTES_LIT(SLOT_WORLD_KEY)) };
    scenario_draw(&w->scenario, SEED);
    w->scenario.nodes = SLOT_WORLD_NODES;
    w->scenario.spares = 0;
    w->scenario.proxies = 0;
    w->scenario.alone = false;
    w->scenario.replicas = 3;
    w->scenario.write_quorum = w->scenario.read_quorum = 0;
    w->scenario.shards = 1;
    w->scenario.sync = WAL_SYNC_ALWAYS;
    w->scenario.interval_ms = 0;
    w->scenario.hint_bytes_max = 1u << 20;
    w->scenario.repair_rate = 0; /* what a replica holds it was given by a test */
    w->scenario.faults = 0;
    w->scenario.losses_max = 0;
    CHECK(scenario_check(&w->scenario));
    const struct world_options options = { .scenario = &w->scenario, .say = ignore };
    world_now = NULL; /* a test that failed left its own */
    test_may_leak();
    w->world = world_create(&options);
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) world_boot(w->world, &w->world->nodes[i]);
    w->client = sim_os_create(SEED, sim_disk_create(SEED));
    sim_os_drive(w->client, w->world->now_ns);
    w->place = sim_net_attach(w->world->net, w->client, CLIENT_IP);
    for (uint32_t s = 0; s < SETTLE_SECONDS_MAX && !has_cluster(w); s++) slot_world_run(w, 1000);
    slot_world_run(w, 3000);
    learn_order(w);
    leave_control(w);
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
        CHECK(slot_world_shard(w, i)->filled);
        CHECK(atomic_load(&slot_world_shard(w, i)->settled));
    }
}

void slot_world_close(struct slot_world *w) {
    ASSERT(world_now == w->world);
    world_now = NULL;
    log_set_sink(NULL); /* it was the world's */
    w->world = NULL;
}

/* The place in the view of the node at `at`. */
static uint16_t place_of(const struct slot_world *w, const struct membership *m, uint32_t at) {
    uint32_t place = membership_next(m, 0);
    while (strcmp(m->all[place].address, node_at(w, at)->address) != 0)
        place = membership_next(m, place + 1);
    return (uint16_t)place;
}

void slot_world_publish(struct slot_world *w, uint32_t nodes, uint64_t epoch,
                        enum slot_phase phase) {
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++) {
        if ((nodes & 1u << at) == 0) continue;
        struct node *n = &node_at(w, at)->process->node;
        struct membership *m = membership_clone(n->shards[0]->members);
        struct slot_list ends[2] = { { .count = 3 }, { .count = (uint16_t)(3 + w->longer) } };
        for (uint32_t i = 0; i < 3; i++) ends[0].members[i] = place_of(w, m, i);
        for (uint32_t i = 0; i < ends[1].count; i++)
            ends[1].members[i] = place_of(w, m, 3 - w->shared + i);
        m->replicas = 3 + w->longer;
        m->keyspaces[0].settings.replication.replicas = (uint8_t)m->replicas;
        m->epoch = epoch;
        m->revision++;
        m->slots.epochs[w->slot] = epoch;
        m->slots.phases[w->slot] = (uint8_t)phase;
        m->slots.lists[w->slot] = ends[phase == SLOT_NEW ? 1 : 0];
        m->slots.targets[w->slot] = phase == SLOT_JOINT ? ends[1] : (struct slot_list){ 0 };
        CHECK(membership_check(m));
        node_publish_view(n, m);
        node_at(w, at)->process->wake_ns[0] = w->world->now_ns;
    }
}

void slot_world_cut(struct slot_world *w, uint32_t at) {
    struct sim_net *net = w->world->net;
    const uint32_t own = w->world->places[w->order[at]];
    for (uint32_t i = 0; i < SLOT_WORLD_NODES; i++) {
        const uint32_t other = w->world->places[i];
        if (other == own) continue;
        struct sim_net_link link = sim_net_link(net, own, other);
        link.blocked = true;
        sim_net_set_link(net, own, other, &link);
        sim_net_set_link(net, other, own, &link);
    }
}

/* ---- requests ---- */

static void encode(const char *words, char *out, size_t room) {
    size_t count = 0, len = 0;
    for (const char *p = words; *p != '\0'; p += strcspn(p, " "), p += *p == ' ') count++;
    len = (size_t)snprintf(out, room, "*%zu\r\n", count);
    for (const char *p = words; *p != '\0'; p += *p == ' ') {
        const size_t word = strcspn(p, " ");
        len += (size_t)snprintf(out + len, room - len, "$%zu\r\n%.*s\r\n", word, (int)word, p);
        ASSERT(len < room);
        p += word;
    }
}

void slot_world_begin(struct slot_world *w, uint32_t at, const char *words,
                      struct asked *ret_asked) {
    char text[512];
    encode(words, text, sizeof text);
    *ret_asked = (struct asked){ .len = 0 };
    memset(w->reply, 0, sizeof w->reply);
    CHECK_OK(os_sock_connect(w->client, node_at(w, at)->address, &ret_asked->sock));
    const struct bytes run = bytes_of_string(text);
    struct bytes rest = run;
    for (uint32_t i = 0; rest.len > 0; i++) {
        size_t sent = 0;
        const struct status st = os_sock_write(ret_asked->sock, &rest, 1, &sent);
        CHECK(status_ok(st) || st.code == ST_WAIT);
        CHECK(i < 100);
        if (status_ok(st)) rest = bytes_of(rest.ptr + sent, rest.len - sent);
        slot_world_run(w, 1);
    }
}

/* A string comes in two lines, which may come apart. */
static bool is_whole(const char *reply, size_t len) {
    if (len < 2 || reply[len - 1] != '\n') return false;
    return reply[0] != '$' || reply[1] == '-' || strchr(reply, '\n') != reply + len - 1;
}

const char *slot_world_end(struct slot_world *w, struct asked *asked, uint32_t for_ms) {
    for (uint32_t ms = 0; ms < for_ms; ms++) {
        size_t len = 0;
        const struct status st = os_sock_read(asked->sock, (uint8_t *)w->reply + asked->len,
                                              sizeof w->reply - 1 - asked->len, &len);
        CHECK(status_ok(st) || st.code == ST_WAIT);
        if (status_ok(st)) asked->len += len;
        if (is_whole(w->reply, asked->len)) break;
        slot_world_run(w, 1);
    }
    return w->reply;
}

const char *slot_world_ask(struct slot_world *w, uint32_t at, const char *words) {
    struct asked asked;
    slot_world_begin(w, at, words, &asked);
    const char *reply = slot_world_end(w, &asked, 3000);
    slot_world_run(w, 20); /* the rest of it, and what follows from it */
    os_sock_close(&asked.sock);
    return reply;
}

/* ---- what replicas hold ---- */

struct ballot slot_world_version(const struct slot_world *w, uint32_t at) {
    uint8_t space[16];
    struct engine_read read = { 0 };
    struct shard *s = slot_world_shard(w, at);
    const struct status st =
        engine_get(s->engine, ikey_make(0, BYTES_LIT(SLOT_WORLD_KEY), space), false, &read);
    const struct ballot version = status_ok(st) ? read.record.ballot : (struct ballot){ 0 };
    CHECK(status_ok(st) || st.code == ST_NOT_FOUND);
    engine_read_deinit(s->engine, &read);
    return version;
}

void slot_world_put(struct slot_world *w, uint32_t at, const char *value) {
    uint8_t space[16];
    uint64_t sequence = 0;
    struct shard *s = slot_world_shard(w, at);
    sim_os_now(node_at(w, at)->process->os, w->world->now_ns);
    const struct record r = {
        .ikey = ikey_make(0, BYTES_LIT(SLOT_WORLD_KEY), space),
        .ballot = { .stamp = shard_stamp(s), .node = s->node->node_id, .boot = 1 },
        .value = bytes_of_string(value),
    };
    CHECK_EQ(replica_accept(s, &r, NULL, &sequence), PEER_ACCEPT_OK);
    node_at(w, at)->process->wake_ns[0] = w->world->now_ns;
    slot_world_run(w, 20);
}
