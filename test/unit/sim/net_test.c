#include "sim/net.h"

#include "base/mem.h"
#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/sim/net_world.h"

#include <stdio.h>

#define BULK_BYTES (3u * 1024 * 1024) /* several windows */
#define TEXT_BYTES_MAX 4096u

/* Bytes go both ways, each side knows the other, and the end is told after the last byte. */
TEST(net, both_ways) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    char text[OS_ADDRESS_BYTES_MAX];
    buffer_init(&got, TEXT_BYTES_MAX);
    net_world_connect(&w, 0, 1, &client, &server);
    CHECK_STATUS(os_sock_accept(w.listener[1], &server), ST_WAIT);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    net_world_send(client, BYTES_LIT("ping"));
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 0); /* it is under way */
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("ping"));
    buffer_reset(&got);
    net_world_send(server, BYTES_LIT("pong"));
    os_sock_shutdown(server);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(client, &got), ST_NOT_FOUND);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("pong"));
    const struct bytes more = BYTES_LIT("x");
    size_t len = 0;
    CHECK_STATUS(os_sock_write(server, &more, 1, &len), ST_IO);
    CHECK_OK(os_sock_write(client, &more, 1, &len));
    os_sock_peer(client, text);
    CHECK_BYTES(bytes_of_string(text), BYTES_LIT("10.0.0.2:7000"));
    os_sock_peer(server, text);
    CHECK(bytes_start_with(bytes_of_string(text), BYTES_LIT("10.0.0.1:")));
    CHECK(!os_sock_peer_is_loopback(server));
    os_sock_close(&client);
    os_sock_close(&client);
    os_sock_close(&server);
    net_world_close(&w);
    buffer_deinit(&got);
}

/* Addresses: a port of its own, one that is taken or shared, one's own machine, and what is
 * no address. */
TEST(net, addresses) {
    static const char *const bad[] = { "", "7000", "10.0.0.1", "10.0.0.1:", ":65536", ":-1", ":x" };
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_sock s = { 0 };
    struct os_sock t = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(os_sock_listen(w.os[0], bad[i], false, &s), ST_INVALID);
        CHECK_STATUS(os_sock_connect(w.os[0], bad[i], &s), ST_INVALID);
    }
    CHECK_STATUS(os_sock_listen(w.os[0], "10.0.0.2:7001", false, &s), ST_INVALID);
    CHECK_STATUS(os_sock_connect(w.os[0], "nowhere:7000", &s), ST_INVALID);
    CHECK_STATUS(os_sock_connect(w.os[0], "10.0.0.9:7000", &s), ST_IO);
    CHECK_STATUS(os_sock_connect(w.os[0], "10.0.0.2:0", &s), ST_INVALID);
    CHECK_STATUS(os_sock_connect_blocking(w.os[0], "10.0.0.2:7000", 10, &s), ST_IO);
    CHECK_STATUS(os_sock_listen(w.os[0], NET_WORLD_PORT, true, &s), ST_BUSY);
    CHECK_OK(os_sock_listen(w.os[0], "127.0.0.1:0", true, &s));
    char address[OS_ADDRESS_BYTES_MAX];
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)os_sock_port(s));
    CHECK_STATUS(os_sock_listen(w.os[0], address, false, &t), ST_BUSY);
    CHECK_OK(os_sock_connect(w.os[0], address, &t));
    net_world_pass_us(&w, 1000);
    struct os_sock server = { 0 };
    CHECK_OK(os_sock_accept(s, &server));
    CHECK(os_sock_peer_is_loopback(server));
    CHECK(os_sock_peer_is_loopback(t));

    /* From elsewhere that port cannot be reached. */
    struct os_sock far = { 0 };
    snprintf(address, sizeof address, "10.0.0.1:%u", (unsigned)os_sock_port(s));
    CHECK_OK(os_sock_connect(w.os[1], address, &far));
    CHECK_OK(os_loop_watch(w.loop[1], far, NULL, 0));
    net_world_pass_us(&w, 10000);
    CHECK((net_world_ready(&w, 1) & OS_READY_CLOSED) != 0);
    net_world_close(&w);
}

/* Connecting takes a round trip: until then nothing can be sent, then WRITE is told, and
 * READ to the listener. Nobody listening is CLOSED, after which all calls fail. */
TEST(net, connecting) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    uint8_t byte = 0;
    size_t len = 0;
    const struct bytes run = bytes_of(&byte, 1);
    CHECK_OK(os_loop_watch(w.loop[1], w.listener[1], NULL, 0));
    struct os_sock client = net_world_dial(&w, 0, 1);
    CHECK_OK(os_loop_watch(w.loop[0], client, &client, 7));
    CHECK_EQ(net_world_ready(&w, 0), 0);
    CHECK_STATUS(os_sock_write(client, &run, 1, &len), ST_WAIT);
    CHECK_STATUS(os_sock_read(client, &byte, 1, &len), ST_WAIT);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_ready(&w, 1), OS_READY_READ);
    CHECK_EQ(net_world_ready(&w, 0), OS_READY_WRITE);
    CHECK(w.events[0].user == &client);
    CHECK_EQ(w.events[0].tag, 7);
    CHECK_EQ(net_world_ready(&w, 0), 0); /* an edge is told once */
    CHECK_OK(os_sock_write(client, &run, 1, &len));

    os_sock_close(&w.listener[1]);
    net_world_pass_us(&w, 10000);
    CHECK((net_world_ready(&w, 0) & OS_READY_CLOSED) != 0); /* it was never accepted */
    CHECK_STATUS(os_sock_write(client, &run, 1, &len), ST_IO);
    struct os_sock refused = net_world_dial(&w, 0, 1);
    CHECK_OK(os_loop_watch(w.loop[0], refused, NULL, 0));
    net_world_pass_us(&w, 10000);
    CHECK((net_world_ready(&w, 0) & OS_READY_CLOSED) != 0);
    CHECK_STATUS(os_sock_read(refused, &byte, 1, &len), ST_IO);
    CHECK_STATUS(os_sock_write(refused, &run, 1, &len), ST_IO);
    net_world_close(&w);
}

/* A listener keeps a bounded number of connections; more wait, and come in when there is
 * room again. */
TEST(net, backlog) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_sock s = { 0 };
    for (uint32_t i = 0; i < SIM_NET_BACKLOG_MAX + 5; i++) (void)net_world_dial(&w, 0, 1);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(sim_net_counts(w.net).streams, SIM_NET_BACKLOG_MAX);
    for (uint32_t i = 0; i < SIM_NET_BACKLOG_MAX; i++) CHECK_OK(os_sock_accept(w.listener[1], &s));
    CHECK_STATUS(os_sock_accept(w.listener[1], &s), ST_WAIT);
    net_world_pass_us(&w, 2000000);
    for (uint32_t i = 0; i < 5; i++) CHECK_OK(os_sock_accept(w.listener[1], &s));
    CHECK_STATUS(os_sock_accept(w.listener[1], &s), ST_WAIT);
    net_world_close(&w);
}

/* Several loops of a node listen on one port: the dice spread what comes in. */
TEST(net, shared_listeners) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_sock shared[2];
    uint32_t accepted[2] = { 0 };
    for (uint32_t i = 0; i < 2; i++) CHECK_OK(os_sock_listen(w.os[1], ":7001", true, &shared[i]));
    for (uint32_t i = 0; i < 40; i++) {
        struct os_sock s = { 0 };
        CHECK_OK(os_sock_connect(w.os[0], "10.0.0.2:7001", &s));
    }
    net_world_pass_us(&w, 10000);
    for (uint32_t i = 0; i < 2; i++) {
        struct os_sock s = { 0 };
        while (status_ok(os_sock_accept(shared[i], &s))) accepted[i]++;
    }
    CHECK_EQ(accepted[0] + accepted[1], 40);
    CHECK(accepted[0] > 5);
    CHECK(accepted[1] > 5);
    net_world_close(&w);
}

/* The end of the other's stream is READ and ENDED; both ended, it is CLOSED too. Unread
 * bytes at a close reset the stream. */
TEST(net, ends_of_streams) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, TEXT_BYTES_MAX);
    net_world_connect(&w, 0, 1, &client, &server);
    net_world_send(client, BYTES_LIT("last"));
    os_sock_shutdown(client);
    net_world_pass_us(&w, 10000);
    CHECK_OK(os_loop_watch(w.loop[1], server, NULL, 0));
    CHECK_EQ(net_world_ready(&w, 1), OS_READY_READ | OS_READY_WRITE | OS_READY_ENDED);
    CHECK_EQ(net_world_receive(server, &got), ST_NOT_FOUND);
    (void)net_world_ready(&w, 1);
    os_sock_shutdown(server);
    CHECK_EQ(net_world_ready(&w, 1),
             OS_READY_READ | OS_READY_WRITE | OS_READY_ENDED | OS_READY_CLOSED);

    net_world_connect(&w, 0, 1, &client, &server);
    net_world_send(client, BYTES_LIT("unread"));
    net_world_send(server, BYTES_LIT("sent before"));
    net_world_pass_us(&w, 10000);
    os_sock_close(&server);
    net_world_pass_us(&w, 10000);
    buffer_reset(&got);
    CHECK_EQ(net_world_receive(client, &got), ST_IO);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("sent before"));

    /* Closed in order, but what comes later finds nobody. */
    net_world_connect(&w, 0, 1, &client, &server);
    os_sock_close(&server);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(client, &got), ST_NOT_FOUND);
    net_world_send(client, BYTES_LIT("too late"));
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(client, &got), ST_IO);
    net_world_close(&w);
    buffer_deinit(&got);
}

/* Closing a socket, or watching it no longer, takes back its event; another loop of the
 * node is told of bytes that came before and after. */
TEST(net, events_are_taken_back) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    struct os_loop *other = os_loop_create(w.os[1]);
    struct os_event events[4];
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, TEXT_BYTES_MAX);
    net_world_connect(&w, 0, 1, &client, &server);
    CHECK_OK(os_loop_watch(w.loop[1], server, &server, 1));
    net_world_send(client, BYTES_LIT("before"));
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_ready(&w, 1), OS_READY_READ | OS_READY_WRITE);
    os_loop_unwatch(w.loop[1], server);
    CHECK_EQ(w.events[0].kind, OS_EVENT_WAKE);
    CHECK(w.events[0].user == NULL);
    CHECK_OK(os_loop_watch(other, server, &client, 2));
    CHECK_EQ(os_loop_wait(other, 0, events, 4), 1);
    CHECK_EQ(events[0].tag, 2);
    CHECK_EQ(events[0].ready, OS_READY_READ | OS_READY_WRITE);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_BYTES(buffer_bytes(&got), BYTES_LIT("before"));
    (void)os_loop_wait(other, 0, events, 4); /* partial reads may have made an edge */
    net_world_send(client, BYTES_LIT("after"));
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_ready(&w, 1), 0);
    CHECK_EQ(sim_loop_due_ns(other), w.now_ns);
    CHECK_EQ(os_loop_wait(other, 0, events, 4), 1);
    os_sock_close(&server);
    CHECK_EQ(events[0].kind, OS_EVENT_WAKE);
    CHECK_EQ(os_loop_wait(other, 0, events, 4), 0);
    CHECK_EQ(sim_loop_due_ns(other), UINT64_MAX);
    os_loop_destroy(other);
    net_world_close(&w);
    buffer_deinit(&got);
}

/* One side of a transfer, doing no more than edges and short counts ask of it. */
struct mover {
    struct os_sock sock;
    uint8_t *bytes;
    size_t done;
    bool ready; /* an edge was told and its work is not done */
};

static void write_on(struct mover *m) {
    while (m->ready && m->done < BULK_BYTES) {
        const struct bytes runs[2] = { bytes_of(m->bytes + m->done, (BULK_BYTES - m->done) / 2),
                                       bytes_of(m->bytes + m->done + (BULK_BYTES - m->done) / 2,
                                                (BULK_BYTES - m->done + 1) / 2) };
        size_t len = 0;
        const struct status st = os_sock_write(m->sock, runs, 2, &len);
        if (st.code == ST_WAIT) m->ready = false;
        if (st.code == ST_WAIT) return;
        CHECK_OK(st);
        m->ready = len == BULK_BYTES - m->done; /* a short write fills the socket */
        m->done += len;
    }
}

static void read_on(struct mover *m, size_t room) {
    while (m->ready) {
        size_t len = 0;
        const struct status st = os_sock_read(m->sock, m->bytes + m->done, room, &len);
        if (st.code == ST_WAIT) m->ready = false;
        if (st.code == ST_WAIT) return;
        CHECK_OK(st);
        m->done += len;
        if (len < room) m->ready = false; /* a short read empties the socket */
    }
}

/* Several windows of bytes get through, in order, to owners that do no more than the edges
 * ask for; short counts, cut arrivals and a full window never leave one waiting. */
TEST(net, bulk_by_edges_alone) {
    struct sim_random r = sim_random_of(test_seed());
    uint8_t *bytes = mem_alloc(BULK_BYTES);
    uint8_t *copy = mem_alloc_zeroed(BULK_BYTES + 65536);
    for (size_t i = 0; i < BULK_BYTES; i++) bytes[i] = (uint8_t)sim_random_next(&r);
    for (uint32_t round = 0; round < 4; round++) {
        struct net_world w;
        net_world_open(&w, sim_random_next(&r), 2);
        sim_net_set_partial_permille(w.net, round * 200);
        struct mover from = { .bytes = bytes };
        struct mover to = { .bytes = copy };
        net_world_connect(&w, 0, 1, &from.sock, &to.sock);
        CHECK_OK(os_loop_watch(w.loop[0], from.sock, &from, 0));
        CHECK_OK(os_loop_watch(w.loop[1], to.sock, &to, 0));
        for (uint32_t turn = 0; turn < 200000 && to.done < BULK_BYTES; turn++) {
            if ((net_world_ready(&w, 0) & OS_READY_WRITE) != 0) from.ready = true;
            write_on(&from);
            if ((net_world_ready(&w, 1) & OS_READY_READ) != 0) to.ready = true;
            read_on(&to, 65536);
            net_world_pass_us(&w, 100);
        }
        CHECK_EQ(to.done, BULK_BYTES);
        CHECK(memcmp(bytes, copy, BULK_BYTES) == 0);
        memset(copy, 0, BULK_BYTES);
        net_world_close(&w);
    }
    mem_free(bytes);
    mem_free(copy);
}

/* Nobody reads: the sender is stopped between 64 KiB and 1 MiB, and hears of room only when
 * there is some. */
TEST(net, full_window) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    static uint8_t block[65536];
    struct os_sock client;
    struct os_sock server;
    struct status st = status_of(ST_OK);
    size_t sent = 0;
    net_world_connect(&w, 0, 1, &client, &server);
    CHECK_OK(os_loop_watch(w.loop[0], client, NULL, 0));
    CHECK_EQ(net_world_ready(&w, 0), OS_READY_WRITE);
    while (status_ok(st)) {
        const struct bytes run = bytes_of(block, sizeof block);
        size_t len = 0;
        st = os_sock_write(client, &run, 1, &len);
        if (status_ok(st)) sent += len;
    }
    CHECK_EQ(st.code, ST_WAIT);
    CHECK(sent >= 64u * 1024);
    CHECK(sent <= 1024u * 1024);
    net_world_pass_us(&w, 1000000);
    CHECK_EQ(net_world_ready(&w, 0), 0);
    struct buffer got;
    buffer_init(&got, 2u * 1024 * 1024);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), sent);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_ready(&w, 0), OS_READY_WRITE);
    buffer_deinit(&got);
    net_world_close(&w);
}

/* What a link is set to is what it does: the delay, and the speed of all streams together. */
TEST(net, delay_and_speed) {
    struct net_world w;
    net_world_open(&w, test_seed(), 2);
    static uint8_t block[10000] = "text";
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, 4 * sizeof block);
    sim_net_set_partial_permille(w.net, 0);
    net_world_connect(&w, 0, 1, &client, &server);
    const struct sim_net_link slow = { .delay_min_us = 3000,
                                       .delay_max_us = 3000,
                                       .bytes_per_s = 10000 };
    sim_net_set_link(w.net, 0, 1, &slow);
    net_world_send(client, bytes_of(block, sizeof block));
    net_world_send(client, bytes_of(block, sizeof block));
    CHECK_EQ(sim_net_due_ns(w.net), w.now_ns + 1003000000);
    net_world_pass_us(&w, 1002999);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 0);
    net_world_pass_us(&w, 1);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), sizeof block);
    CHECK_EQ(sim_net_due_ns(w.net), w.now_ns + 1000000000);
    sim_net_heal(w.net);
    CHECK_EQ(sim_net_link(w.net, 0, 1).bytes_per_s, 0);
    CHECK_EQ(sim_net_due_ns(w.net), w.now_ns + 3000000);
    net_world_pass_us(&w, 3000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 2 * sizeof block);
    CHECK_EQ(sim_net_due_ns(w.net), UINT64_MAX);
    net_world_close(&w);
    buffer_deinit(&got);
}
