/* Sockets of the simulated world: every call that makes one is refused. */
#include "os/sock.h"

#include "base/assert.h"

STATUS os_sock_listen(struct os *os, const char *address, bool shared, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    (void)address, (void)shared;
    return status_of(ST_IO);
}

uint16_t os_sock_port(struct os_sock s) {
    ASSERT(s.os != NULL);
    return 0;
}

STATUS os_sock_accept(struct os_sock listener, struct os_sock *ret_sock) {
    ASSERT(listener.os != NULL);
    ASSERT(ret_sock != NULL);
    return status_of(ST_IO);
}

STATUS os_sock_connect(struct os *os, const char *address, struct os_sock *ret_sock) {
    ASSERT(os != NULL);
    ASSERT(ret_sock != NULL);
    (void)address;
    return status_of(ST_IO);
}

STATUS os_sock_connect_blocking(struct os *os, const char *address, uint32_t timeout_ms,
                                struct os_sock *ret_sock) {
    (void)timeout_ms;
    return os_sock_connect(os, address, ret_sock);
}

STATUS os_sock_read(struct os_sock s, void *ret_bytes, size_t len, size_t *ret_len) {
    ASSERT(s.os != NULL);
    ASSERT(ret_len != NULL);
    (void)ret_bytes, (void)len;
    return status_of(ST_IO);
}

STATUS os_sock_write(struct os_sock s, const struct bytes *runs, uint32_t count, size_t *ret_len) {
    ASSERT(s.os != NULL);
    ASSERT(ret_len != NULL);
    (void)runs, (void)count;
    return status_of(ST_IO);
}

void os_sock_peer(struct os_sock s, char text[OS_ADDRESS_BYTES_MAX]) {
    ASSERT(s.os != NULL);
    text[0] = '?';
    text[1] = '\0';
}

bool os_sock_peer_is_loopback(struct os_sock s) {
    ASSERT(s.os != NULL);
    return false;
}

void os_sock_shutdown(struct os_sock s) {
    ASSERT(s.os != NULL);
}

void os_sock_close(struct os_sock *s) {
    ASSERT(s != NULL);
    *s = (struct os_sock){ .os = NULL, .handle = -1 };
}
