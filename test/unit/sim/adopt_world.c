#include "adopt_world.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define NS_A_MS UINT64_C(1000000)
#define ASK_MS_MAX 4000u

static const struct cluster_id cluster = { { 7, 7, 7 } };

/* ---- the state ---- */

uint64_t adopt_world_apply(struct adopt_world *w, struct metadata_command *c) {
    c->cluster = cluster;
    c->proposal = (struct proposal){ .node = 1, .sequence = ++w->sequence };
    const struct metadata_result result = metadata_apply(w->state, c);
    CHECK_EQ(result.code, META_OK);
    return result.value;
}

static void bootstrap(struct adopt_world *w, uint32_t members, uint32_t replicas) {
    struct metadata_command c = { .kind = METADATA_BOOTSTRAP, .replicas = replicas };
    c.settings.replication.replicas = (uint8_t)replicas;
    c.first_count = members;
    for (uint32_t i = 0; i < members; i++) {
        w->nodes[i].id = i + 1;
        c.first[i] = (struct member_wish){ .id = i + 1, .weight = 1 };
        c.first[i].address = bytes_of_string(w->nodes[i].address);
    }
    adopt_world_apply(w, &c);
}

void adopt_world_begin(struct adopt_world *w) {
    struct metadata_command c = { .kind = METADATA_CHANGE_BEGIN, .accept_loss = true };
    metadata_inputs(w->state, &c.target);
    adopt_world_apply(w, &c);
}

void adopt_world_move(struct adopt_world *w, enum metadata_kind kind) {
    const enum slot_phase from = kind == METADATA_SLOTS_JOINT ? SLOT_OLD : SLOT_JOINT;
    uint8_t *packed = mem_alloc(SLOT_RANGES_MAX * 4);
    struct metadata_command c = { .kind = kind, .change = w->state->change.id };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (w->state->slots.phases[slot] != from) continue;
        uint8_t *last = packed + (size_t)c.ranges.count * 4;
        const bool follows = c.ranges.count > 0 && get_u16_le(last - 2) + 1u == slot;
        put_u16_le(follows ? last - 2 : last + 2, (uint16_t)slot);
        if (!follows) put_u16_le(last, (uint16_t)slot);
        c.ranges.count += !follows;
    }
    CHECK(c.ranges.count > 0);
    c.ranges.packed = bytes_of(packed, (size_t)c.ranges.count * 4);
    adopt_world_apply(w, &c);
    mem_free(packed);
}

void adopt_world_publish_to(struct adopt_world *w, uint32_t node) {
    struct adopt_node *n = &w->nodes[node];
    struct membership *m = NULL;
    CHECK_OK(membership_from_metadata(w->state, n->id, n->present, &m));
    membership_destroy(n->present);
    n->present = membership_clone(m);
    node_publish_view(&n->node, m);
    for (uint32_t i = 0; i < w->shards; i++) n->wake_ns[i] = w->now_ns;
}

void adopt_world_publish(struct adopt_world *w) {
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->nodes[i].os != NULL) adopt_world_publish_to(w, i);
    }
}

/* ---- nodes ---- */

static void open_shard(struct adopt_world *w, struct adopt_node *n, uint16_t shard) {
    char path[32];
    snprintf(path, sizeof path, "shard-%02u", (unsigned)shard);
    struct engine_options o = engine_options_default();
    o.os = n->os;
    o.pool = n->pool;
    o.cache = n->cache;
    o.dir = path;
    o.memtable_bytes = w->memtable_bytes;
    CHECK_OK(shard_create(&n->node, shard, &n->node.shards[shard]));
    CHECK_OK(shard_open(n->node.shards[shard], &o));
}

static void open_node(struct adopt_world *w, uint32_t index) {
    static const uint32_t threads[OS_JOB_KINDS] = { 2, 2, 1 };
    struct adopt_node *n = &w->nodes[index];
    char ip[24];
    snprintf(ip, sizeof ip, "10.0.0.%u", index + 1);
    snprintf(n->address, sizeof n->address, "%s:7000", ip);
    n->disk = sim_disk_create(index + 1);
    n->os = sim_os_create(index + 1, n->disk);
    sim_os_drive(n->os, w->now_ns);
    n->place = sim_net_attach(w->net, n->os, ip);
    n->pool = os_pool_create(n->os, threads);
    n->cache = cache_create(w->cache_bytes);
    n->node = (struct node){ .os = n->os,
                             .pool = n->pool,
                             .cache = n->cache,
                             .shards_count = w->shards,
                             .node_id = 100 + index,
                             .boot_count = 1,
                             .version = "test",
                             .address = n->address,
                             .data_dir = "",
                             .sync_mode = "always",
                             .value_bytes_max = 1u << 20,
                             .input_bytes_max = 64u << 20,
                             .connections_max = 64,
                             .write_wait_ms = 1000,
                             .client_wait_ms = 60000,
                             .quorum_wait_ms = 2000,
                             .hint_bytes_max = 64u << 20,
                             .hint_age_ms = 3600000,
                             .repair_rate = 1000000 };
    scan_cursors_init(&n->node.cursors, 1);
    slow_log_init(&n->node.slow, NODE_SLOW_OFF);
}

static void start_node(struct adopt_world *w, uint32_t index) {
    struct adopt_node *n = &w->nodes[index];
    if (n->id == 0)
        n->present = membership_create_empty();
    else
        CHECK_OK(membership_from_metadata(w->state, n->id, NULL, &n->present));
    views_init(&n->node.views, membership_clone(n->present));
    for (uint16_t i = 0; i < w->shards; i++) open_shard(w, n, i);
    for (uint32_t i = 0; i < w->shards; i++) CHECK_OK(shard_listen(n->node.shards[i], n->address));
    atomic_store(&n->node.ready, true);
}

static void stop_node(struct adopt_world *w, struct adopt_node *n) {
    bool over[2] = { false };
    for (uint32_t i = 0; i < w->shards; i++) shard_stop(n->node.shards[i]);
    for (uint32_t left = w->shards; left > 0;) {
        w->now_ns += NS_A_MS;
        sim_net_advance(w->net, w->now_ns);
        sim_os_now(n->os, w->now_ns);
        for (uint32_t i = 0; i < w->shards; i++) {
            struct shard *s = n->node.shards[i];
            if (over[i]) continue;
            shard_turn(s, s->events, os_loop_wait(s->loop, 0, s->events, SHARD_EVENTS_MAX));
            over[i] = shard_is_over(s);
            if (!over[i]) continue;
            shard_close(s);
            left--;
        }
    }
    for (uint32_t i = 0; i < w->shards; i++) shard_destroy(n->node.shards[i]);
    os_pool_destroy(n->pool);
    cache_destroy(n->cache);
    scan_cursors_deinit(&n->node.cursors);
    slow_log_deinit(&n->node.slow);
    views_deinit(&n->node.views);
    os_destroy(n->os);
    sim_disk_destroy(n->disk);
    membership_destroy(n->present);
    n->os = NULL;
}

void adopt_world_open(struct adopt_world *w, uint32_t nodes, uint32_t members, uint32_t replicas,
                      uint32_t shards) {
    ASSERT(nodes <= ADOPT_NODES_MAX && members <= nodes);
    *w = (struct adopt_world){ .count = nodes, .shards = shards, .now_ns = NS_A_MS };
    w->cache_bytes = 1u << 22;
    w->memtable_bytes = 1u << 20;
    w->net = sim_net_create(5);
    sim_net_set_partial_permille(w->net, 0);
    w->client_disk = sim_disk_create(99);
    w->state = metadata_create();
    for (uint32_t i = 0; i < nodes; i++) open_node(w, i);
    bootstrap(w, members, replicas);
    for (uint32_t i = 0; i < nodes; i++) start_node(w, i);
    adopt_world_run(w, 1000);
}

void adopt_world_close(struct adopt_world *w) {
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->nodes[i].os != NULL) stop_node(w, &w->nodes[i]);
    }
    sim_net_destroy(w->net);
    sim_disk_destroy(w->client_disk);
    metadata_destroy(w->state);
}

/* ---- time ---- */

static void turn(struct adopt_world *w, struct adopt_node *n, uint32_t shard) {
    struct shard *s = n->node.shards[shard];
    sim_os_now(n->os, w->now_ns);
    shard_turn(s, s->events, os_loop_wait(s->loop, 0, s->events, SHARD_EVENTS_MAX));
    const uint32_t wait_ms = shard_wait_ms(s);
    n->wake_ns[shard] = wait_ms == UINT32_MAX ? UINT64_MAX : w->now_ns + wait_ms * NS_A_MS;
}

void adopt_world_step(struct adopt_world *w) {
    w->now_ns += NS_A_MS / 10;
    sim_net_advance(w->net, w->now_ns);
    for (uint32_t i = 0; i < w->count; i++) {
        struct adopt_node *n = &w->nodes[i];
        for (uint32_t k = 0; n->os != NULL && k < w->shards; k++) {
            const uint64_t due_ns = sim_loop_due_ns(n->node.shards[k]->loop);
            if (due_ns <= w->now_ns || n->wake_ns[k] <= w->now_ns) turn(w, n, k);
        }
    }
}

void adopt_world_run(struct adopt_world *w, uint32_t ms) {
    const uint64_t end_ns = w->now_ns + ms * NS_A_MS;
    while (w->now_ns < end_ns) adopt_world_step(w);
}

/* ---- questions ---- */

bool adopt_world_linked(const struct adopt_world *w, uint32_t node, uint32_t others) {
    for (uint32_t k = 0; k < w->shards; k++) {
        const struct shard *s = w->nodes[node].node.shards[k];
        uint32_t up = 0;
        for (const struct list *l = s->links.next; l != &s->links; l = l->next)
            up += LIST_ENTRY(l, const struct link, all)->state == LINK_UP;
        if (up != others) return false;
    }
    return true;
}

void adopt_world_part(struct adopt_world *w, uint32_t a, uint32_t b, bool parted) {
    const uint32_t ends[2] = { w->nodes[a].place, w->nodes[b].place };
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_net_link link = sim_net_link(w->net, ends[i], ends[1 - i]);
        link.blocked = parted;
        sim_net_set_link(w->net, ends[i], ends[1 - i], &link);
    }
}

struct ballot adopt_version(struct adopt_world *w, uint32_t node, const char *key) {
    uint8_t space[64];
    struct engine_read read = { 0 };
    struct ballot version = { 0 };
    const struct bytes text = bytes_of_string(key);
    struct engine *e = w->nodes[node].node.shards[crc16_slot(text) % w->shards]->engine;
    if (status_ok(engine_get(e, ikey_make(0, text, space), true, &read)))
        version = read.record.ballot;
    engine_read_deinit(e, &read);
    return version;
}

/* ---- clients ---- */

void adopt_client_open(struct adopt_world *w, struct adopt_client *c, uint32_t node) {
    static uint32_t ips;
    char ip[24];
    *c = (struct adopt_client){ .os = sim_os_create(1000 + node, w->client_disk) };
    snprintf(ip, sizeof ip, "10.1.0.%u", 1 + ips++ % 200);
    sim_os_drive(c->os, w->now_ns);
    (void)sim_net_attach(w->net, c->os, ip);
    c->loop = os_loop_create(c->os);
    CHECK_OK(os_sock_connect(c->os, w->nodes[node].address, &c->sock));
    CHECK_OK(os_loop_watch(c->loop, c->sock, c, 0));
    adopt_world_run(w, 5);
}

void adopt_client_close(struct adopt_client *c) {
    os_sock_close(&c->sock);
    os_loop_destroy(c->loop);
    os_destroy(c->os);
}

void adopt_client_send(struct adopt_client *c, const char *line) {
    char text[128];
    const int len = snprintf(text, sizeof text, "%s\r\n", line);
    const struct bytes run = bytes_of(text, (size_t)len);
    size_t sent = 0;
    CHECK_OK(os_sock_write(c->sock, &run, 1, &sent));
    CHECK_EQ(sent, run.len);
    c->len = 0;
    c->reply[0] = '\0';
}

static void take(struct adopt_world *w, struct adopt_client *c) {
    struct os_event events[8];
    size_t len = 0;
    sim_os_now(c->os, w->now_ns);
    (void)os_loop_wait(c->loop, 0, events, 8);
    const struct status st =
        os_sock_read(c->sock, c->reply + c->len, ADOPT_REPLY_BYTES - 1 - c->len, &len);
    if (status_ok(st)) c->len += len;
    c->reply[c->len] = '\0';
}

void adopt_client_ask(struct adopt_world *w, struct adopt_client *c, const char *line,
                      const char *reply) {
    if (line != NULL) adopt_client_send(c, line);
    for (uint32_t ms = 0; ms < ASK_MS_MAX && strstr(c->reply, "\r\n") == NULL; ms += 2) {
        adopt_world_run(w, 2);
        take(w, c);
    }
    if (strncmp(c->reply, reply, strlen(reply)) != 0) printf("got: %s\n", c->reply);
    CHECK(strncmp(c->reply, reply, strlen(reply)) == 0);
}
