#include "os/os_internal.h"

#include "os/sock.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096 /* connections the kernel keeps until they are accepted */
#define PORT_MAX 65535u
#define PORT_TEXT_BYTES 6u /* "65535" and a NUL */

/* An address as text, cut in two. */
struct endpoint {
    char host[OS_ADDRESS_BYTES_MAX]; /* empty = all addresses, or this machine */
    char port[PORT_TEXT_BYTES];
};

static bool sock_is_open(struct os_sock s) {
    return s.os != NULL && s.handle >= 0;
}

/* "host:port", "[v6]:port" or ":port". */
static STATUS endpoint_decode(const char *address, struct endpoint *ret_endpoint) {
    ASSERT(address != NULL);
    ASSERT(ret_endpoint != NULL);
    const char *colon = strrchr(address, ':');
    if (colon == NULL) return status_of(ST_INVALID);
    struct bytes host = bytes_of(address, (size_t)(colon - address));
    const struct bytes port = bytes_of_string(colon + 1);

    const bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed) host = bytes_of(host.ptr + 1, host.len - 2);
    const bool has_colon = host.len > 0 && memchr(host.ptr, ':', host.len) != NULL;
    if (has_colon != bracketed) return status_of(ST_INVALID);
    if (host.len >= sizeof ret_endpoint->host) return status_of(ST_INVALID);

    uint64_t port_number = 0;
    TRY(bytes_to_u64(port, &port_number));
    if (port_number > PORT_MAX) return status_of(ST_INVALID);

    *ret_endpoint = (struct endpoint){ 0 };
    if (host.len > 0) memcpy(ret_endpoint->host, host.ptr, host.len);
    snprintf(ret_endpoint->port, sizeof ret_endpoint->port, "%u", (unsigned)port_number);
    return status_of(ST_OK);
}

static STATUS lookup(const char *host, const char *port, int family, struct addrinfo **ret_list) {
    const struct addrinfo hints = {
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV,
    };
    const int failed = getaddrinfo(host, port, &hints, ret_list);
    if (failed == EAI_SYSTEM || failed == EAI_MEMORY) return status_of(ST_IO);
    return status_of(failed == 0 ? ST_OK : ST_INVALID);
}

/* The addresses to try, in order; free with freeaddrinfo. */
static STATUS endpoint_resolve(const struct endpoint *e, bool listening,
                               struct addrinfo **ret_list) {
    ASSERT(e->port[0] != '\0');
    if (e->host[0] == '\0') {
        if (!listening) return lookup("127.0.0.1", e->port, AF_INET, ret_list);
        /* One socket for both families, where the machine has IPv6 at all. */
        if (access("/proc/net/if_inet6", F_OK) == 0)
            return lookup("::", e->port, AF_INET6, ret_list);
        return lookup("0.0.0.0", e->port, AF_INET, ret_list);
    }
    /* Most things that listen on this machine do so on 127.0.0.1. */
    if (strcmp(e->host, "localhost") == 0 && status_ok(lookup(e->host, e->port, AF_INET, ret_list)))
        return status_of(ST_OK);
    return lookup(e->host, e->port, AF_UNSPEC, ret_list);
}

static void set_option(int fd, int level, int name, int value) {
    const int failed = setsockopt(fd, level, name, &value, sizeof value);
    ASSERT(failed == 0 || errno != EBADF);
}

/* Take a new descriptor, or close it if the table of watches has no place. */
static STATUS adopt(struct os *os, int fd, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(fd >= 0);
    if ((uint32_t)fd >= OS_DESCRIPTORS_MAX) {
        close(fd);
        return status_of(ST_FULL);
    }
    ASSERT(atomic_load(&os_watch_of(os, fd)->loop) == NULL);
    *ret_sock = (struct os_sock){ .os = os, .handle = fd };
    return status_of(ST_OK);
}

static struct status status_of_open(int number) {
    switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return status_of(ST_FULL);
    case EADDRINUSE: return status_of(ST_BUSY);
    case EADDRNOTAVAIL: return status_of(ST_INVALID);
    default: return status_of(ST_IO);
    }
}

static STATUS open_stream(struct os *os, int family, struct os_sock *ret_sock) {
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return status_of_open(errno);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return adopt(os, fd, ret_sock);
}

static bool is_loopback(const struct sockaddr *name) {
    if (name->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)name)->sin6_addr);
    if (name->sa_family != AF_INET) return false;
    const struct in_addr v4 = ((const struct sockaddr_in *)(const void *)name)->sin_addr;
    return ntohl(v4.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

/* On loopback nothing is lost and nothing is shared, and a congestion control that paces
 * what it sends, such as BBR where it is the default, only costs time. Accepted
 * sockets inherit it. It is a wish: where reno is missing all works as well. */
static void use_plain_congestion_control(int fd) {
    static const char name[] = "reno";
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1);
}

static STATUS listen_on(struct os *os, const struct addrinfo *at, bool shared,
                        struct os_sock *ret_sock) {
    struct os_sock s = { 0 };
    TRY(open_stream(os, at->ai_family, &s));
    set_option(s.handle, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared) set_option(s.handle, SOL_SOCKET, SO_REUSEPORT, 1);
    if (is_loopback(at->ai_addr)) use_plain_congestion_control(s.handle);
    if (at->ai_family == AF_INET6) set_option(s.handle, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (bind(s.handle, at->ai_addr, at->ai_addrlen) != 0 || listen(s.handle, LISTEN_BACKLOG) != 0) {
        const struct status failed = status_of_open(errno);
        os_sock_close(&s);
        return failed;
    }
    *ret_sock = s;
    return status_of(ST_OK);
}

STATUS os_sock_listen(struct os *os, const char *address, bool shared, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    struct endpoint e;
    struct addrinfo *list = NULL;
    TRY(endpoint_decode(address, &e));
    TRY(endpoint_resolve(&e, true, &list));
    struct status s = status_of(ST_INVALID);
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        s = listen_on(os, at, shared, ret_sock);
        if (status_ok(s)) break;
    }
    freeaddrinfo(list);
    return s;
}

uint16_t os_sock_port(struct os_sock s) {
    ASSERT(sock_is_open(s));
    struct sockaddr_storage name = { 0 };
    socklen_t name_len = sizeof name;
    if (getsockname(s.handle, (struct sockaddr *)&name, &name_len) != 0) return 0;
    if (name.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    ASSERT(name.ss_family == AF_INET);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

/* Whether accept4 failed for that one connection, which is gone; the next may
 * be fine (accept(2), "Error handling"). */
static bool accept_lost_one(int number) {
    switch (number) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH: return true;
    default: return false;
    }
}

STATUS os_sock_accept(struct os_sock listener, struct os_sock *ret_sock) {
    ASSERT(sock_is_open(listener));
    ASSERT(ret_sock != NULL);
    int fd;
    do {
        fd = accept4(listener.handle, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && accept_lost_one(errno));
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return status_of(ST_WAIT);
    if (fd < 0) return status_of_open(errno);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return adopt(listener.os, fd, ret_sock);
}

static STATUS connect_to(struct os *os, const struct addrinfo *at, struct os_sock *ret_sock) {
    struct os_sock s = { 0 };
    TRY(open_stream(os, at->ai_family, &s));
    /* Interrupted, it goes on in the background like one in progress. */
    const int failed = connect(s.handle, at->ai_addr, at->ai_addrlen);
    if (failed && errno != EINPROGRESS && errno != EINTR) {
        os_sock_close(&s);
        return status_of(ST_IO);
    }
    *ret_sock = s;
    return status_of(ST_OK);
}

/* Decode and resolve the address of another node. */
static STATUS resolve_remote(const char *address, struct addrinfo **ret_list) {
    struct endpoint e;
    TRY(endpoint_decode(address, &e));
    if (strcmp(e.port, "0") == 0) return status_of(ST_INVALID);
    return endpoint_resolve(&e, false, ret_list);
}

STATUS os_sock_connect(struct os *os, const char *address, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    struct addrinfo *list = NULL;
    TRY(resolve_remote(address, &list));
    struct status s = status_of(ST_INVALID);
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        s = connect_to(os, at, ret_sock);
        if (status_ok(s)) break;
    }
    freeaddrinfo(list);
    return s;
}

/* Wait until the connection is up. */
static STATUS await_connected(struct os_sock s, uint32_t timeout_ms) {
    ASSERT(sock_is_open(s));
    const uint64_t end_ns = os_mono_ns(s.os) + (uint64_t)timeout_ms * 1000000;
    for (;;) {
        const uint64_t now_ns = os_mono_ns(s.os);
        const uint64_t left_ms = now_ns >= end_ns ? 0 : (end_ns - now_ns + 999999) / 1000000;
        struct pollfd want = { .fd = s.handle, .events = POLLOUT };
        const int count = poll(&want, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (count == 0 && left_ms == 0) return status_of(ST_TIMEOUT);
        if (count < 0 && errno != EINTR) return status_of(ST_IO);
        if (count > 0) break;
    }
    int failed = 0;
    socklen_t failed_len = sizeof failed;
    if (getsockopt(s.handle, SOL_SOCKET, SO_ERROR, &failed, &failed_len) != 0)
        return status_of(ST_IO);
    return status_of(failed == 0 ? ST_OK : ST_IO);
}

static STATUS make_blocking(struct os_sock s, uint32_t timeout_ms) {
    ASSERT(sock_is_open(s));
    const struct timeval limit = {
        .tv_sec = timeout_ms / 1000,
        .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000,
    };
    const int flags = fcntl(s.handle, F_GETFL);
    if (flags < 0) return status_of(ST_IO);
    if (fcntl(s.handle, F_SETFL, flags & ~O_NONBLOCK) != 0) return status_of(ST_IO);
    if (setsockopt(s.handle, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        return status_of(ST_IO);
    if (setsockopt(s.handle, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return status_of(ST_IO);
    atomic_store_explicit(&os_watch_of(s.os, s.handle)->blocking, true, memory_order_relaxed);
    return status_of(ST_OK);
}

STATUS os_sock_connect_blocking(struct os *os, const char *address, uint32_t timeout_ms,
                                struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(timeout_ms > 0);
    struct addrinfo *list = NULL;
    TRY(resolve_remote(address, &list));
    struct status s = status_of(ST_INVALID);
    struct os_sock sock = { 0 };
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        s = connect_to(os, at, &sock);
        if (status_ok(s)) s = await_connected(sock, timeout_ms);
        if (status_ok(s)) s = make_blocking(sock, timeout_ms);
        if (status_ok(s)) break;
        os_sock_close(&sock);
    }
    freeaddrinfo(list);
    if (status_ok(s)) *ret_sock = sock;
    return s;
}

/* What errno of a transfer means: a blocking socket's EAGAIN is its time limit. */
static struct status status_of_transfer(struct os_sock s, int number) {
    if (number != EAGAIN && number != EWOULDBLOCK) return status_of(ST_IO);
    const struct watch *w = os_watch_of(s.os, s.handle);
    const bool blocking = atomic_load_explicit(&w->blocking, memory_order_relaxed);
    return status_of(blocking ? ST_TIMEOUT : ST_WAIT);
}

STATUS os_sock_read(struct os_sock s, void *ret_bytes, size_t len, size_t *ret_len) {
    ASSERT(sock_is_open(s));
    ASSERT(len > 0); /* or an answer of 0 would be mistaken for the end */
    ssize_t got;
    do {
        got = recv(s.handle, ret_bytes, len, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return status_of_transfer(s, errno);
    if (got == 0) return status_of(ST_NOT_FOUND);
    ASSERT((size_t)got <= len);
    *ret_len = (size_t)got;
    return status_of(ST_OK);
}

/* The usual case; send costs less than sendmsg. */
static STATUS write_run(struct os_sock s, struct bytes run, size_t *ret_len) {
    ssize_t put;
    do {
        put = send(s.handle, run.ptr, run.len, MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    if (put < 0) return status_of_transfer(s, errno);
    *ret_len = (size_t)put;
    return status_of(ST_OK);
}

STATUS os_sock_write(struct os_sock s, const struct bytes *runs, uint32_t count, size_t *ret_len) {
    ASSERT(sock_is_open(s));
    ASSERT(runs != NULL || count == 0);
    if (count == 1) return write_run(s, runs[0], ret_len);
    struct iovec iov[OS_IOV_MAX];
    const uint32_t used = count < OS_IOV_MAX ? count : OS_IOV_MAX;
    for (uint32_t i = 0; i < used; i++)
        iov[i] =
            (struct iovec){ .iov_base = (void *)(uintptr_t)runs[i].ptr, .iov_len = runs[i].len };
    const struct msghdr message = { .msg_iov = iov, .msg_iovlen = used };
    ssize_t put;
    do {
        put = sendmsg(s.handle, &message, MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    if (put < 0) return status_of_transfer(s, errno);
    *ret_len = (size_t)put;
    return status_of(ST_OK);
}

/* IPv4 in an IPv6 address (RFC 4291 section 2.5.5.2) becomes IPv4. */
static struct sockaddr_storage unmapped(struct sockaddr_storage name) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&name;
    if (name.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return name;
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = v6->sin6_port };
    struct sockaddr_storage plain = { 0 };
    memcpy(&v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof v4.sin_addr);
    memcpy(&plain, &v4, sizeof v4);
    return plain;
}

/* The other side's address; IPv4 that came in on an IPv6 socket as IPv4. */
static STATUS peer_name(struct os_sock s, struct sockaddr_storage *ret_name) {
    ASSERT(sock_is_open(s));
    struct sockaddr_storage name = { 0 };
    socklen_t name_len = sizeof name;
    if (getpeername(s.handle, (struct sockaddr *)&name, &name_len) != 0) return status_of(ST_IO);
    *ret_name = unmapped(name);
    return status_of(ST_OK);
}

/* "ip:port" or "[v6]:port". Returns whether it is one of those families. */
static bool name_to_text(const struct sockaddr_storage *name, char text[OS_ADDRESS_BYTES_MAX]) {
    ASSERT(name != NULL);
    ASSERT(text != NULL);
    char ip[INET6_ADDRSTRLEN] = "?";
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
        (void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(text, OS_ADDRESS_BYTES_MAX, "%s:%u", ip, (unsigned)ntohs(v4->sin_port));
        return true;
    }
    if (name->ss_family != AF_INET6) return false;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
    (void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
    snprintf(text, OS_ADDRESS_BYTES_MAX, "[%s]:%u", ip, (unsigned)ntohs(v6->sin6_port));
    return true;
}

void os_sock_peer(struct os_sock s, char text[OS_ADDRESS_BYTES_MAX]) {
    ASSERT(text != NULL);
    struct sockaddr_storage name;
    snprintf(text, OS_ADDRESS_BYTES_MAX, "?");
    if (status_ok(peer_name(s, &name))) (void)name_to_text(&name, text);
}

bool os_sock_peer_is_loopback(struct os_sock s) {
    struct sockaddr_storage name;
    if (!status_ok(peer_name(s, &name))) return false;
    return is_loopback((const struct sockaddr *)&name);
}

/* The least address of the list: a resolver gives several in an order that changes, and all
 * nodes must choose alike. Bytes within one family compare like the addresses. */
static struct sockaddr_storage least_name(const struct addrinfo *list) {
    ASSERT(list != NULL);
    struct sockaddr_storage least = { 0 };
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        ASSERT(at->ai_addrlen <= sizeof least);
        struct sockaddr_storage name = { 0 };
        memcpy(&name, at->ai_addr, at->ai_addrlen);
        if (at == list || memcmp(&name, &least, sizeof name) < 0) least = name;
    }
    return least;
}

STATUS os_address_resolve(struct os *os, const char *address, char ret_text[OS_ADDRESS_BYTES_MAX]) {
    ASSERT(os != NULL);
    ASSERT(ret_text != NULL);
    struct endpoint e;
    struct addrinfo *list = NULL;
    TRY(endpoint_decode(address, &e));
    if (e.host[0] == '\0' || strcmp(e.port, "0") == 0) return status_of(ST_INVALID);
    /* Whatever the machine's files say of it, and they may name ::1 first. */
    const char *host = strcmp(e.host, "localhost") == 0 ? "127.0.0.1" : e.host;
    struct status s = lookup(host, e.port, AF_INET, &list);
    if (s.code == ST_INVALID) s = lookup(host, e.port, AF_INET6, &list);
    if (s.code == ST_INVALID) return status_of(ST_NOT_FOUND);
    TRY(s);
    const struct sockaddr_storage name = unmapped(least_name(list));
    freeaddrinfo(list);
    return status_of(name_to_text(&name, ret_text) ? ST_OK : ST_NOT_FOUND);
}

void os_sock_shutdown(struct os_sock s) {
    ASSERT(sock_is_open(s));
    (void)shutdown(s.handle, SHUT_WR); /* fails only if it is down already */
}

void os_sock_close(struct os_sock *s) {
    ASSERT(s != NULL);
    if (s->os == NULL) return;
    struct watch *w = os_watch_of(s->os, s->handle);
    struct os_loop *loop = atomic_load_explicit(&w->loop, memory_order_relaxed);
    if (loop != NULL) os_loop_forget(loop, w);
    atomic_store_explicit(&w->blocking, false, memory_order_relaxed);
    close(s->handle);
    *s = (struct os_sock){ .os = NULL, .handle = -1 };
}
