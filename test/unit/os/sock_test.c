#include "os/sock.h"

#include "harness.h"
#include "os/thread.h"

#include <stdio.h>

static void address_of(char text[OS_ADDRESS_BYTES_MAX], const char *host, struct os_sock s) {
    snprintf(text, OS_ADDRESS_BYTES_MAX, "%s:%u", host, (unsigned)os_sock_port(s));
}

static struct os_sock accept_soon(struct os *os, struct os_sock listener) {
    struct os_sock s = { 0 };
    struct status status = status_of(ST_WAIT);
    for (uint32_t i = 0; i < 1000 && status.code == ST_WAIT; i++) {
        status = os_sock_accept(listener, &s);
        if (status.code == ST_WAIT) os_sleep_ms(os, 1);
    }
    CHECK_OK(status);
    return s;
}

/* Bytes go both ways, and the end of a stream is ST_NOT_FOUND, not 0 bytes. */
TEST(sock, both_ways) {
    struct os *os = os_create();
    struct os_sock listener = { 0 };
    struct os_sock client = { 0 };
    char address[OS_ADDRESS_BYTES_MAX];
    CHECK_OK(os_sock_listen(os, "127.0.0.1:0", false, &listener));
    address_of(address, "localhost", listener);
    CHECK_OK(os_sock_connect_blocking(os, address, 2000, &client));
    struct os_sock server = accept_soon(os, listener);

    const struct bytes runs[] = { BYTES_LIT("pi"), BYTES_NONE, BYTES_LIT("ng") };
    uint8_t got[16];
    size_t len = 0;
    CHECK_STATUS(os_sock_read(server, got, sizeof got, &len), ST_WAIT);
    CHECK_OK(os_sock_write(server, runs, 3, &len));
    CHECK_EQ(len, 4);
    CHECK_OK(os_sock_read(client, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("ping"));
    os_sock_shutdown(server);
    CHECK_STATUS(os_sock_read(client, got, sizeof got, &len), ST_NOT_FOUND);
    CHECK(os_sock_peer_is_loopback(server));
    os_sock_peer(client, address);
    CHECK_BYTES(bytes_of(address, 10), BYTES_LIT("127.0.0.1:"));
    os_sock_close(&server);
    os_sock_close(&client);
    os_sock_close(&client);
    os_sock_close(&listener);
    os_destroy(os);
}

/* A port in use is ST_BUSY unless both share it. */
TEST(sock, ports) {
    struct os *os = os_create();
    struct os_sock a = { 0 };
    struct os_sock b = { 0 };
    char address[OS_ADDRESS_BYTES_MAX];
    CHECK_OK(os_sock_listen(os, "127.0.0.1:0", true, &a));
    address_of(address, "127.0.0.1", a);
    CHECK_STATUS(os_sock_listen(os, address, false, &b), ST_BUSY);
    CHECK_OK(os_sock_listen(os, address, true, &b));
    CHECK_EQ(os_sock_port(a), os_sock_port(b));
    os_sock_close(&a);
    os_sock_close(&b);
    os_destroy(os);
}

/* ":port" listens for IPv4 too, whose clients are shown as IPv4. */
TEST(sock, any_address) {
    struct os *os = os_create();
    struct os_sock listener = { 0 };
    struct os_sock client = { 0 };
    char address[OS_ADDRESS_BYTES_MAX];
    CHECK_OK(os_sock_listen(os, ":0", false, &listener));
    address_of(address, "127.0.0.1", listener);
    CHECK_OK(os_sock_connect(os, address, &client));
    struct os_sock server = accept_soon(os, listener);
    os_sock_peer(server, address);
    CHECK_BYTES(bytes_of(address, 10), BYTES_LIT("127.0.0.1:"));
    CHECK(os_sock_peer_is_loopback(server));
    os_sock_close(&server);
    os_sock_close(&client);
    os_sock_close(&listener);
    os_destroy(os);
}

/* Addresses that are none are refused before any socket is made. */
TEST(sock, bad_addresses) {
    static const char *const bad[] = { "",           "8080",          "host",   "::1:80",
                                       "127.0.0.1:", "a:b",           ":65536", ":-1",
                                       "[::1]",      "[127.0.0.1]:1", "[::1:",  "host:80 x",
                                       ":80abc0",    "300.1.1.1:80" };
    struct os *os = os_create();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct os_sock s = { 0 };
        CHECK_STATUS(os_sock_listen(os, bad[i], false, &s), ST_INVALID);
        CHECK(s.os == NULL);
    }
    struct os_sock s = { 0 };
    CHECK_STATUS(os_sock_connect(os, "127.0.0.1:0", &s), ST_INVALID);
    os_destroy(os);
}

/* A blocking read ends at its time limit, and nobody listening is ST_IO. */
TEST(sock, blocking_limits) {
    struct os *os = os_create();
    struct os_sock listener = { 0 };
    struct os_sock client = { 0 };
    char address[OS_ADDRESS_BYTES_MAX];
    uint8_t byte;
    size_t len = 0;
    CHECK_OK(os_sock_listen(os, "127.0.0.1:0", false, &listener));
    address_of(address, "127.0.0.1", listener);
    CHECK_OK(os_sock_connect_blocking(os, address, 50, &client));
    CHECK_STATUS(os_sock_read(client, &byte, 1, &len), ST_TIMEOUT);
    os_sock_close(&client);
    os_sock_close(&listener);
    CHECK_STATUS(os_sock_connect_blocking(os, address, 500, &client), ST_IO);
    os_destroy(os);
}
