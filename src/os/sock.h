/* sock.h - stream sockets, never blocking unless made so for the command line.
 *
 * Owner      one thread per socket
 * Failure    ST_WAIT  would block: wait for the loop's event
 *            ST_IO    closed or failed; close it
 *            ST_TIMEOUT only on a blocking socket: its time limit passed
 */
#ifndef ATOLL_OS_SOCK_H
#define ATOLL_OS_SOCK_H

#include "os/os.h"

struct os_sock {
    struct os *os; /* NULL = not open */
    int32_t handle;
};

#define OS_ADDRESS_BYTES_MAX 128u
#define OS_IOV_MAX 64u

/* Listen on "host:port", "[v6]:port" or ":port" (all addresses); port 0 picks one.
 * `shared` lets several sockets listen on the same port, the kernel spreading
 * connections (SO_REUSEPORT). A stream in use elsewhere gives ST_BUSY.
 * Errors  ST_INVALID the address cannot be understood or resolved, ST_BUSY, ST_IO */
STATUS os_sock_listen(struct os *os, const char *address, bool shared, struct os_sock *ret_sock);
/* The port it listens on. */
uint16_t os_sock_port(struct os_sock s);
/* Errors  ST_WAIT nobody is waiting; ST_FULL out of descriptors: no event will tell
 *         when there are some, so try again by a timer; ST_IO */
STATUS os_sock_accept(struct os_sock listener, struct os_sock *ret_sock);
/* Start a connection; it is up when the loop reports it writable. */
STATUS os_sock_connect(struct os *os, const char *address, struct os_sock *ret_sock);
/* Blocking connection with a time limit for it and for each later read and write. */
STATUS os_sock_connect_blocking(struct os *os, const char *address, uint32_t timeout_ms,
                                struct os_sock *ret_sock);
/* *ret_len = 0 never: an orderly end of stream is ST_NOT_FOUND. */
STATUS os_sock_read(struct os_sock s, void *ret_bytes, size_t len, size_t *ret_len);
/* Write some prefix of the runs; at most OS_IOV_MAX are looked at. */
STATUS os_sock_write(struct os_sock s, const struct bytes *runs, uint32_t count, size_t *ret_len);
/* "ip:port" of the other side. */
void os_sock_peer(struct os_sock s, char text[OS_ADDRESS_BYTES_MAX]);
bool os_sock_peer_is_loopback(struct os_sock s);
/* The one numeric text of "host:port", "ip:port" or "[v6]:port", IPv4 where the host has it, by
 * which all nodes know an address alike. Asks the resolver and blocks: for the start only.
 * Errors  ST_INVALID    no such form, no host, or port 0
 *         ST_NOT_FOUND  the name has no address; ST_IO */
STATUS os_address_resolve(struct os *os, const char *address, char ret_text[OS_ADDRESS_BYTES_MAX]);
/* Ends the stream for writing; reads go on. */
void os_sock_shutdown(struct os_sock s);
/* Stops watching too. Also fine for a socket that is not open. */
void os_sock_close(struct os_sock *s);

#endif
