/* Sockets of the simulated world. Without a network every call that makes one is refused. */
#include "os/sock.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/net_internal.h"

#include <stdio.h>

#define PORT_MAX 65535u
#define SOCKS_MIN 16u
#define INBOX_KEEP_BYTES 4096u /* memory a socket keeps while nothing is unread */

/* An address, understood. */
struct endpoint {
    uint32_t place; /* SIM_NET_PLACES_MAX = every address of this machine */
    bool loopback;  /* an address of this machine that no other reaches */
    uint16_t port;
};

struct sock *sock_of(struct os_sock s) {
    ASSERT(s.os != NULL);
    ASSERT(s.handle >= 0);
    ASSERT((uint32_t)s.handle < s.os->sock_count);
    ASSERT(s.os->socks[s.handle] != NULL);
    return s.os->socks[s.handle];
}

static struct pipe *pipe_of(const struct sock *s) {
    ASSERT(s->stream != NULL);
    return &s->stream->pipes[s->side];
}

struct sock *sock_create(struct os *os, enum sock_state state) {
    ASSERT(os->net != NULL);
    struct sock *s = mem_alloc_zeroed(sizeof *s);
    s->os = os;
    s->handle = -1;
    s->state = state;
    list_init(&s->ready_link);
    list_init(&s->backlog);
    list_init(&s->link);
    buffer_init(&s->inbox, NET_INBOX_BYTES_MAX);
    return s;
}

/* Give it the lowest free handle, as the kernel does.
 * Errors  ST_FULL */
static STATUS install(struct sock *s, struct os_sock *ret_sock) {
    struct os *os = s->os;
    uint32_t i = 0;
    while (i < os->sock_count && os->socks[i] != NULL) i++;
    if (i >= os_descriptors_max(os)) return status_of(ST_FULL);
    if (i == os->sock_count) {
        os->sock_count = i == 0 ? SOCKS_MIN : i * 2;
        os->socks = mem_realloc(os->socks, os->sock_count * sizeof *os->socks);
        memset(os->socks + i, 0, (os->sock_count - i) * sizeof *os->socks);
    }
    os->socks[i] = s;
    s->handle = (int32_t)i;
    *ret_sock = (struct os_sock){ .os = os, .handle = s->handle };
    return status_of(ST_OK);
}

void sock_end(struct sock *s, enum end_style style) {
    ASSERT(s->os->net != NULL);
    sim_loop_forget(s);
    if (s->handle >= 0) s->os->socks[s->handle] = NULL;
    for (;;) {
        struct list *node = list_take_first(&s->backlog);
        if (node == NULL) break;
        sock_end(LIST_ENTRY(node, struct sock, link), style == END_CLOSE ? END_RESET : style);
    }
    if (s->stream != NULL) stream_leave(s->stream, s->side, style);
    ASSERT(s->stream == NULL);
    buffer_deinit(&s->inbox);
    mem_free(s);
}

/* ---- addresses ---- */

static bool is_loopback_name(struct bytes host) {
    return bytes_start_with(host, BYTES_LIT("127.")) || bytes_equal(host, BYTES_LIT("[::1]")) ||
           bytes_equal(host, BYTES_LIT("localhost"));
}

static STATUS endpoint_decode(struct os *os, const char *address, bool listening,
                              struct endpoint *ret) {
    ASSERT(address != NULL);
    ASSERT(os->net != NULL);
    const char *colon = strrchr(address, ':');
    if (colon == NULL) return status_of(ST_INVALID);
    const struct bytes host = bytes_of(address, (size_t)(colon - address));
    uint64_t port = 0;
    TRY(bytes_to_u64(bytes_of_string(colon + 1), &port));
    if (port > PORT_MAX) return status_of(ST_INVALID);
    *ret = (struct endpoint){ .place = os->place, .port = (uint16_t)port };
    const bool all =
        bytes_equal(host, BYTES_LIT("0.0.0.0")) || bytes_equal(host, BYTES_LIT("[::]"));
    ret->loopback = is_loopback_name(host) || (!listening && (host.len == 0 || all));
    if (ret->loopback) return status_of(ST_OK);
    if (host.len == 0 || all) {
        ret->place = SIM_NET_PLACES_MAX;
        return status_of(ST_OK);
    }
    ret->place = net_place_of(os->net, host);
    if (ret->place != SIM_NET_PLACES_MAX) return status_of(ST_OK);
    /* Numbers need no resolving: that machine just cannot be reached. */
    const bool number = host.ptr[0] >= '0' && host.ptr[0] <= '9';
    return status_of(number && !listening ? ST_IO : ST_INVALID);
}

/* Whether some socket listens there already and would not share it. */
static bool port_is_taken(const struct os *os, uint16_t port, bool shared) {
    for (uint32_t i = 0; i < os->sock_count; i++) {
        const struct sock *s = os->socks[i];
        if (s == NULL || s->state != SOCK_LISTENING || s->port != port) continue;
        if (!shared || !s->shared) return true;
    }
    return false;
}

static uint16_t next_port(struct os *os) {
    struct place *place = &os->net->places[os->place];
    uint16_t port;
    do {
        port = place->port_next;
        place->port_next = port == PORT_MAX ? NET_PORT_EPHEMERAL : (uint16_t)(port + 1);
    } while (port_is_taken(os, port, false));
    ASSERT(port >= NET_PORT_EPHEMERAL);
    return port;
}

/* ---- os/sock.h ---- */

STATUS os_sock_listen(struct os *os, const char *address, bool shared, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    if (os->net == NULL) return status_of(ST_IO);
    struct endpoint e;
    TRY(endpoint_decode(os, address, true, &e));
    const bool any = e.place == SIM_NET_PLACES_MAX;
    if (!any && e.place != os->place) return status_of(ST_INVALID);
    if (e.port == 0) e.port = next_port(os);
    if (port_is_taken(os, e.port, shared)) return status_of(ST_BUSY);
    struct sock *s = sock_create(os, SOCK_LISTENING);
    s->port = e.port;
    s->shared = shared;
    s->any = any;
    s->loopback = e.loopback;
    const struct status st = install(s, ret_sock);
    if (!status_ok(st)) sock_end(s, END_CLOSE);
    return st;
}

uint16_t os_sock_port(struct os_sock s) {
    const struct sock *sock = sock_of(s);
    ASSERT(sock->port != 0);
    return sock->port;
}

STATUS os_sock_accept(struct os_sock listener, struct os_sock *ret_sock) {
    struct sock *l = sock_of(listener);
    ASSERT(ret_sock != NULL);
    if (l->state != SOCK_LISTENING) return status_of(ST_IO);
    if (l->backlog_count == 0) return status_of(ST_WAIT);
    struct sock *s = LIST_ENTRY(l->backlog.next, struct sock, link);
    TRY(install(s, ret_sock));
    list_remove(&s->link);
    l->backlog_count--;
    return status_of(ST_OK);
}

STATUS os_sock_connect(struct os *os, const char *address, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    if (os->net == NULL) return status_of(ST_IO);
    struct endpoint e;
    TRY(endpoint_decode(os, address, false, &e));
    if (e.port == 0) return status_of(ST_INVALID);
    net_note_time(os->net, os);
    struct sock *s = sock_create(os, SOCK_CONNECTING);
    s->port = next_port(os);
    s->peer_place = e.place;
    s->peer_port = e.port;
    s->loopback = e.loopback;
    const struct status st = install(s, ret_sock);
    if (!status_ok(st)) {
        sock_end(s, END_CLOSE);
        return st;
    }
    (void)stream_create(os->net, s, e.place, e.port, e.loopback);
    ASSERT(s->stream != NULL);
    return status_of(ST_OK);
}

/* There is nobody who could pass the time for a caller that blocks. */
STATUS os_sock_connect_blocking(struct os *os, const char *address, uint32_t timeout_ms,
                                struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    (void)address, (void)timeout_ms;
    return status_of(ST_IO);
}

/* Why there is nothing to read. */
static struct status status_of_empty(const struct sock *s) {
    ASSERT(buffer_len(&s->inbox) == 0);
    switch (s->state) {
    case SOCK_LISTENING:
    case SOCK_FAILED: return status_of(ST_IO);
    case SOCK_CONNECTING: return status_of(ST_WAIT);
    case SOCK_OPEN: break;
    }
    return status_of(s->peer_ended ? ST_NOT_FOUND : ST_WAIT);
}

STATUS os_sock_read(struct os_sock s, void *ret_bytes, size_t len, size_t *ret_len) {
    struct sock *sock = sock_of(s);
    struct sim_net *net = sock->os->net;
    ASSERT(len > 0);
    net_note_time(net, sock->os);
    const size_t have = buffer_len(&sock->inbox);
    if (have == 0) return status_of_empty(sock);
    size_t taken = have < len ? have : len;
    if (taken > 1 && net_dice(net, net->partial_permille)) {
        taken = 1 + sim_random_below(&net->random, taken - 1);
        /* A reader may take a short read for the last: the rest counts as just arrived. */
        sim_loop_edge(sock);
    }
    memcpy(ret_bytes, sock->inbox.ptr + sock->inbox.start, taken);
    buffer_consume(&sock->inbox, taken);
    if (buffer_len(&sock->inbox) == 0) buffer_shrink(&sock->inbox, INBOX_KEEP_BYTES);
    if (sock->stream != NULL) stream_settle(sock->stream);
    *ret_len = taken;
    return status_of(ST_OK);
}

static size_t bytes_in(const struct bytes *runs, uint32_t count) {
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) len += runs[i].len;
    return len;
}

static void send_runs(struct pipe *p, const struct bytes *runs, size_t len) {
    for (uint32_t i = 0; len > 0; i++) {
        const size_t part = runs[i].len < len ? runs[i].len : len;
        frame_send(p, bytes_of(runs[i].ptr, part));
        len -= part;
    }
}

STATUS os_sock_write(struct os_sock s, const struct bytes *runs, uint32_t count, size_t *ret_len) {
    struct sock *sock = sock_of(s);
    struct sim_net *net = sock->os->net;
    ASSERT(runs != NULL || count == 0);
    ASSERT(ret_len != NULL);
    if (sock->state == SOCK_CONNECTING) return status_of(ST_WAIT);
    if (sock->state != SOCK_OPEN || sock->own_ended) return status_of(ST_IO);
    net_note_time(net, sock->os);
    struct pipe *p = pipe_of(sock);
    const size_t wanted = bytes_in(runs, count < OS_IOV_MAX ? count : OS_IOV_MAX);
    const size_t room = pipe_room(p);
    if (wanted > 0 && room == 0) {
        p->starved = true;
        stream_settle(sock->stream);
        return status_of(ST_WAIT);
    }
    size_t taken = wanted < room ? wanted : room;
    if (taken > 1 && net_dice(net, net->partial_permille))
        taken = 1 + sim_random_below(&net->random, taken - 1);
    if (taken < wanted) p->starved = true;
    send_runs(p, runs, taken);
    stream_settle(sock->stream);
    *ret_len = taken;
    return status_of(ST_OK);
}

/* As tcp_poll of Linux has it. */
uint32_t sock_ready(const struct sock *s) {
    uint32_t ready = 0;
    switch (s->state) {
    case SOCK_LISTENING: return s->backlog_count > 0 ? OS_READY_READ : 0;
    case SOCK_CONNECTING: return 0;
    case SOCK_FAILED: return OS_READY_READ | OS_READY_WRITE | OS_READY_ENDED | OS_READY_CLOSED;
    case SOCK_OPEN: break;
    }
    const struct pipe *p = pipe_of(s);
    if (s->peer_ended) ready |= OS_READY_READ | OS_READY_ENDED;
    if (buffer_len(&s->inbox) > 0) ready |= OS_READY_READ;
    if (s->own_ended || pipe_room(p) >= p->window / 3) ready |= OS_READY_WRITE;
    if (s->own_ended && s->peer_ended) ready |= OS_READY_READ | OS_READY_CLOSED;
    return ready;
}

void os_sock_peer(struct os_sock s, char text[OS_ADDRESS_BYTES_MAX]) {
    const struct sock *sock = sock_of(s);
    ASSERT(text != NULL);
    if (sock->state == SOCK_LISTENING) {
        snprintf(text, OS_ADDRESS_BYTES_MAX, "?");
        return;
    }
    const struct place *peer = &sock->os->net->places[sock->peer_place];
    snprintf(text, OS_ADDRESS_BYTES_MAX, "%s:%u", sock->loopback ? "127.0.0.1" : peer->ip,
             (unsigned)sock->peer_port);
}

bool os_sock_peer_is_loopback(struct os_sock s) {
    const struct sock *sock = sock_of(s);
    return sock->state != SOCK_LISTENING && sock->loopback;
}

void os_sock_shutdown(struct os_sock s) {
    struct sock *sock = sock_of(s);
    if (sock->state != SOCK_OPEN || sock->own_ended) return;
    net_note_time(sock->os->net, sock->os);
    struct pipe *p = pipe_of(sock);
    sock->own_ended = true;
    frame_flush(p);
    pipe_post(p, PARCEL_END);
    if (sock->peer_ended) sim_loop_edge(sock);
    stream_settle(sock->stream);
}

void os_sock_close(struct os_sock *s) {
    ASSERT(s != NULL);
    if (s->os == NULL) return;
    struct sock *sock = sock_of(*s);
    net_note_time(s->os->net, s->os);
    sock_end(sock, END_CLOSE);
    *s = (struct os_sock){ .os = NULL, .handle = -1 };
}
