#include "proto/peer.h"
#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/sim/net_world.h"

static void set_blocked(struct net_world *w, uint32_t from, uint32_t to, bool blocked) {
    struct sim_net_link link = sim_net_link(w->net, from, to);
    link.blocked = blocked;
    sim_net_set_link(w->net, from, to, &link);
}

/* A block holds back what is under way and what is sent, one way only; healed in time, all
 * of it arrives. */
TEST(net_stream, block_and_heal) {
    struct net_world w;
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, 4096);
    net_world_open(&w, test_seed(), 2);
    net_world_connect(&w, 0, 1, &client, &server);
    net_world_send(client, BYTES_LIT("one "));
    set_blocked(&w, 0, 1, true);
    net_world_send(client, BYTES_LIT("two"));
    net_world_send(server, BYTES_LIT("back"));
    net_world_pass_us(&w, 5000000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 0);
    CHECK_EQ(net_world_receive(client, &got), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("back"));
    buffer_reset(&got);
    struct os_sock hanging = net_world_dial(&w, 0, 1);
    net_world_pass_us(&w, 1000000);
    CHECK_STATUS(os_sock_accept(w.listener[1], &server), ST_WAIT);
    sim_net_heal(w.net);
    net_world_pass_us(&w, 100000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("one two"));
    CHECK_OK(os_sock_accept(w.listener[1], &server));
    net_world_send(hanging, BYTES_LIT("up"));
    CHECK_EQ(sim_net_counts(w.net).timeouts, 0);
    net_world_close(&w);
    buffer_deinit(&got);
}

/* A block that outlasts a sender's patience: its end fails, the other learns of it when it
 * sends. Idle streams notice nothing. A connection in progress fails too. */
TEST(net_stream, patience) {
    struct net_world w;
    struct os_sock client;
    struct os_sock server;
    struct os_sock idle;
    struct os_sock idle_server;
    struct buffer got;
    buffer_init(&got, 4096);
    net_world_open(&w, test_seed(), 2);
    sim_net_set_patience_ms(w.net, 3000);
    net_world_connect(&w, 0, 1, &client, &server);
    net_world_connect(&w, 0, 1, &idle, &idle_server);
    set_blocked(&w, 0, 1, true);
    struct os_sock hanging = net_world_dial(&w, 0, 1);
    net_world_send(client, BYTES_LIT("lost"));
    net_world_pass_us(&w, 2999000);
    CHECK_EQ(net_world_receive(client, &got), ST_WAIT);
    CHECK_EQ(net_world_receive(hanging, &got), ST_WAIT);
    net_world_pass_us(&w, 2000);
    CHECK_EQ(net_world_receive(client, &got), ST_IO);
    CHECK_EQ(net_world_receive(hanging, &got), ST_IO);
    CHECK_EQ(sim_net_counts(w.net).timeouts, 2);
    sim_net_heal(w.net);
    net_world_pass_us(&w, 100000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    net_world_send(server, BYTES_LIT("still there?"));
    net_world_pass_us(&w, 100000);
    CHECK_EQ(net_world_receive(server, &got), ST_IO);
    CHECK_EQ(buffer_len(&got), 0);
    net_world_send(idle, BYTES_LIT("fine"));
    net_world_pass_us(&w, 100000);
    CHECK_EQ(net_world_receive(idle_server, &got), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("fine"));
    net_world_close(&w);
    buffer_deinit(&got);
}

/* A reset ends the streams of two places, having delivered some prefix of what was under
 * way; others go on. */
TEST(net_stream, reset) {
    uint32_t partial = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct net_world w;
        struct os_sock client;
        struct os_sock server;
        struct os_sock other;
        struct os_sock other_server;
        struct buffer got;
        uint8_t sent[200];
        for (uint32_t i = 0; i < sizeof sent; i++) sent[i] = (uint8_t)(i + 1);
        buffer_init(&got, 4096);
        net_world_open(&w, seed, 3);
        net_world_connect(&w, 0, 1, &client, &server);
        net_world_connect(&w, 2, 1, &other, &other_server);
        CHECK_OK(os_loop_watch(w.loop[1], server, NULL, 0));
        (void)net_world_ready(&w, 1);
        net_world_send(client, bytes_of(sent, 100));
        net_world_send(client, bytes_of(sent + 100, 100));
        CHECK_EQ(sim_net_reset(w.net, 1, 0), 1);
        CHECK_EQ(sim_net_counts(w.net).resets, 1);
        CHECK((net_world_ready(&w, 1) & OS_READY_CLOSED) != 0);
        CHECK_EQ(net_world_receive(server, &got), ST_IO);
        CHECK_BYTES(buffer_bytes(&got), bytes_of(sent, buffer_len(&got)));
        partial += buffer_len(&got) > 0 && buffer_len(&got) < sizeof sent;
        buffer_reset(&got);
        CHECK_EQ(net_world_receive(client, &got), ST_IO);
        net_world_send(other, BYTES_LIT("on"));
        net_world_pass_us(&w, 10000);
        CHECK_EQ(net_world_receive(other_server, &got), ST_WAIT);
        CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("on"));
        net_world_close(&w);
        buffer_deinit(&got);
    }
    CHECK(partial > 5);
}

/* A process that is killed ends its streams, and its machine refuses new ones. */
TEST(net_stream, process_crash) {
    uint32_t in_order = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net_world w;
        struct os_sock client;
        struct os_sock server;
        struct buffer got;
        buffer_init(&got, 4096);
        net_world_open(&w, seed, 2);
        net_world_connect(&w, 0, 1, &client, &server);
        sim_net_crash(w.net, w.os[1], SIM_NET_CRASH_PROCESS);
        sim_os_forget(w.os[1]);
        CHECK_EQ(sim_os_due_ns(w.os[1]), UINT64_MAX);
        net_world_pass_us(&w, 10000);
        const enum status_code code = net_world_receive(client, &got);
        CHECK(code == ST_NOT_FOUND || code == ST_IO);
        in_order += code == ST_NOT_FOUND;
        struct os_sock refused = net_world_dial(&w, 0, 1);
        net_world_pass_us(&w, 10000);
        CHECK_EQ(net_world_receive(refused, &got), ST_IO);
        net_world_close(&w);
        buffer_deinit(&got);
    }
    CHECK(in_order > 3);
    CHECK(in_order < 17);
}

/* A machine that lost power is silent: others hear nothing until they send and lose
 * patience, or until it is back and does not know the stream. */
TEST(net_stream, power_loss) {
    struct net_world w;
    struct os_sock clients[3];
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, 4096);
    net_world_open(&w, test_seed(), 2);
    for (uint32_t i = 0; i < 3; i++) net_world_connect(&w, 0, 1, &clients[i], &server);
    struct os *dead = w.os[1];
    struct os_loop *dead_loop = w.loop[1];
    sim_net_crash(w.net, dead, SIM_NET_CRASH_POWER);
    sim_os_forget(dead);
    w.os[1] = NULL;
    net_world_send(clients[0], BYTES_LIT("hello?"));
    net_world_pass_us(&w, 10000000);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(net_world_receive(clients[i], &got), ST_WAIT);
    net_world_pass_us(&w, 6000000);
    CHECK_EQ(net_world_receive(clients[0], &got), ST_IO);
    CHECK_EQ(net_world_receive(clients[1], &got), ST_WAIT);
    net_world_send(clients[1], BYTES_LIT("hello?"));
    struct os_sock hanging = net_world_dial(&w, 0, 1);
    net_world_pass_us(&w, 1000000);
    CHECK_EQ(net_world_receive(hanging, &got), ST_WAIT);
    os_loop_destroy(dead_loop);
    os_destroy(dead);
    net_world_start(&w, 1, 99);
    net_world_pass_us(&w, 100000);
    CHECK_EQ(net_world_receive(clients[1], &got), ST_IO);
    CHECK_EQ(net_world_receive(clients[2], &got), ST_WAIT);
    CHECK_OK(os_sock_accept(w.listener[1], &server));
    net_world_close(&w);
    buffer_deinit(&got);
}

#define STREAMS 24u
#define STEPS 3000u
#define BLOCK_BYTES 70000u /* more than some windows, and a frame too large to be held */

/* Whatever sockets a storm has, by the node that holds them. */
struct storm {
    struct net_world w;
    struct sim_random random;
    struct os_sock socks[STREAMS];
    uint8_t block[BLOCK_BYTES];
};

static uint32_t draw(struct storm *m, uint32_t bound) {
    return (uint32_t)sim_random_below(&m->random, bound);
}

static void open_some(struct storm *m, struct os_sock *s) {
    const uint32_t node = draw(m, 3);
    if (draw(m, 2) == 0) {
        *s = net_world_dial(&m->w, node, draw(m, 3));
    } else if (!status_ok(os_sock_accept(m->w.listener[node], s))) {
        return;
    }
    for (uint32_t i = 0; i < 3; i++)
        if (m->w.os[i] == s->os) CHECK_OK(os_loop_watch(m->w.loop[i], *s, s, 0));
    /* Half of the diallers speak as peers do. */
    const struct bytes magic = bytes_of(PEER_MAGIC, PEER_MAGIC_BYTES);
    size_t len = 0;
    net_world_pass_us(&m->w, draw(m, 3000));
    if (draw(m, 2) == 0) (void)status_ok(os_sock_write(*s, &magic, 1, &len));
}

static void use_some(struct storm *m, struct os_sock *s) {
    uint8_t got[5000];
    size_t len = 0;
    put_u32_le(m->block, draw(m, 8) == 0 ? draw(m, BLOCK_BYTES) : draw(m, 300));
    const struct bytes run = bytes_of(m->block, 1 + draw(m, draw(m, 4) == 0 ? BLOCK_BYTES : 400));
    switch (draw(m, 8)) {
    case 0: os_sock_shutdown(*s); break;
    case 1: os_sock_close(s); break;
    case 2:
    case 3:
    case 4: (void)status_ok(os_sock_read(*s, got, 1 + draw(m, sizeof got), &len)); break;
    default: (void)status_ok(os_sock_write(*s, &run, 1, &len)); break;
    }
}

static void change_link(struct storm *m) {
    const struct sim_net_link link = { .delay_min_us = draw(m, 100),
                                       .delay_max_us = 100 + draw(m, 5000),
                                       .blocked = draw(m, 4) == 0,
                                       .bytes_per_s = draw(m, 3) == 0 ? 1000 + draw(m, 100000) : 0,
                                       .lost_permille = draw(m, 200),
                                       .repeated_permille = draw(m, 200),
                                       .late_permille = draw(m, 200),
                                       .flipped_permille = draw(m, 200) };
    sim_net_set_link(m->w.net, draw(m, 3), draw(m, 3), &link);
}

static void crash_node(struct storm *m) {
    const uint32_t node = draw(m, 3);
    struct os *dead = m->w.os[node];
    for (uint32_t i = 0; i < STREAMS; i++)
        if (m->socks[i].os == dead) m->socks[i] = (struct os_sock){ 0 };
    if (draw(m, 3) > 0) {
        sim_net_crash(m->w.net, dead, SIM_NET_CRASH_DICE);
        sim_os_forget(dead);
    }
    os_loop_destroy(m->w.loop[node]);
    os_destroy(dead);
    m->w.os[node] = NULL;
    net_world_pass_us(&m->w, draw(m, 3000000));
    net_world_start(&m->w, node, draw(m, UINT32_MAX));
}

static void step(struct storm *m) {
    struct os_sock *s = &m->socks[draw(m, STREAMS)];
    const uint32_t what = draw(m, 300);
    if (what == 0) {
        crash_node(m);
    } else if (what == 1) {
        (void)sim_net_reset(m->w.net, draw(m, 3), draw(m, 3));
    } else if (what < 8) {
        change_link(m);
    } else if (what == 8) {
        sim_net_heal(m->w.net);
    } else if (s->os == NULL) {
        open_some(m, s);
    } else {
        use_some(m, s);
    }
    if (draw(m, 4) == 0) net_world_pass_us(&m->w, draw(m, draw(m, 50) == 0 ? 5000000 : 5000));
    for (uint32_t i = 0; i < 3; i++)
        (void)os_loop_wait(m->w.loop[i], 0, m->w.events, NET_WORLD_EVENTS);
}

/* Adds what happened to `total`. */
static uint64_t hash_of_storm(uint64_t seed, struct sim_net_counts *total) {
    static struct storm m;
    m = (struct storm){ .random = sim_random_of(seed) };
    net_world_open(&m.w, seed, 3);
    sim_net_set_partial_permille(m.w.net, 100);
    sim_net_set_patience_ms(m.w.net, 2000);
    for (uint32_t i = 0; i < STEPS; i++) step(&m);
    const struct sim_net_counts counts = sim_net_counts(m.w.net);
    total->bytes += counts.bytes;
    total->timeouts += counts.timeouts;
    total->frames_late += counts.frames_late;
    total->resets += counts.resets;
    /* Closed and healed, the network comes to rest. */
    for (uint32_t i = 0; i < STREAMS; i++) os_sock_close(&m.socks[i]);
    sim_net_heal(m.w.net);
    net_world_pass_us(&m.w, 60000000);
    CHECK_EQ(sim_net_due_ns(m.w.net), UINT64_MAX);
    const uint64_t hash = m.w.trace.hash;
    net_world_close(&m.w);
    return hash;
}

/* Everything at once: no order of calls, faults and crashes breaks the network, it comes
 * to rest when all is closed, and the same seed does the same. */
TEST(net_stream, storms) {
    struct sim_net_counts total = { 0 };
    for (uint64_t seed = test_seed(); seed < test_seed() + 20; seed++) {
        const uint64_t hash = hash_of_storm(seed, &total);
        if (seed % 5 == 0) CHECK_EQ(hash, hash_of_storm(seed, &total));
    }
    CHECK(total.bytes > 1000000);
    CHECK(total.timeouts > 10);
    CHECK(total.frames_late > 10);
    CHECK(total.resets > 10);
}
