#include "test/unit/sim/net_world.h"

#include "test/unit/harness.h"

#include <stdio.h>

void net_world_start(struct net_world *w, uint32_t node, uint64_t seed) {
    char ip[16];
    snprintf(ip, sizeof ip, "10.0.0.%u", node + 1);
    w->os[node] = sim_os_create(seed + node, w->disk);
    sim_os_drive(w->os[node], w->now_ns);
    CHECK_EQ(sim_net_attach(w->net, w->os[node], ip), node);
    w->loop[node] = os_loop_create(w->os[node]);
    CHECK_OK(os_sock_listen(w->os[node], NET_WORLD_PORT, false, &w->listener[node]));
}

void net_world_open(struct net_world *w, uint64_t seed, uint32_t nodes) {
    *w = (struct net_world){ .net = sim_net_create(seed),
                             .disk = sim_disk_create(seed),
                             .nodes = nodes };
    sim_net_set_trace(w->net, &w->trace);
    for (uint32_t i = 0; i < nodes; i++) net_world_start(w, i, seed);
}

void net_world_close(struct net_world *w) {
    for (uint32_t i = 0; i < w->nodes; i++) {
        os_loop_destroy(w->loop[i]);
        os_destroy(w->os[i]);
    }
    sim_net_destroy(w->net);
    sim_disk_destroy(w->disk);
}

void net_world_pass_us(struct net_world *w, uint64_t us) {
    w->now_ns += us * 1000;
    sim_net_advance(w->net, w->now_ns);
    for (uint32_t i = 0; i < w->nodes; i++)
        if (w->os[i] != NULL) sim_os_now(w->os[i], w->now_ns);
}

struct os_sock net_world_dial(struct net_world *w, uint32_t from, uint32_t to) {
    char address[OS_ADDRESS_BYTES_MAX];
    struct os_sock s = { 0 };
    snprintf(address, sizeof address, "10.0.0.%u%s", to + 1, NET_WORLD_PORT);
    CHECK_OK(os_sock_connect(w->os[from], address, &s));
    return s;
}

void net_world_connect(struct net_world *w, uint32_t from, uint32_t to, struct os_sock *ret_client,
                       struct os_sock *ret_server) {
    *ret_client = net_world_dial(w, from, to);
    net_world_pass_us(w, 10000);
    CHECK_OK(os_sock_accept(w->listener[to], ret_server));
}

void net_world_send(struct os_sock s, struct bytes in) {
    while (in.len > 0) {
        size_t len = 0;
        CHECK_OK(os_sock_write(s, &in, 1, &len));
        CHECK(len > 0);
        in = bytes_of(in.ptr + len, in.len - len);
    }
}

enum status_code net_world_receive(struct os_sock s, struct buffer *out) {
    uint8_t part[4096];
    for (;;) {
        size_t len = 0;
        const struct status st = os_sock_read(s, part, sizeof part, &len);
        if (!status_ok(st)) return st.code;
        CHECK(len > 0);
        buffer_append(out, bytes_of(part, len));
        CHECK(!out->overflowed);
    }
}

uint32_t net_world_ready(struct net_world *w, uint32_t node) {
    const uint32_t count = os_loop_wait(w->loop[node], 0, w->events, 1);
    if (count == 0) return 0;
    CHECK_EQ(w->events[0].kind, OS_EVENT_SOCKET);
    return w->events[0].ready;
}
