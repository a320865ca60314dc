/* Addresses of the simulated world: there is no resolver, numbers and localhost are known. */
#include "os/sock.h"

#include "base/assert.h"

#include <stdio.h>

#define PORT_MAX 65535u

/* "1.2.3.4": four numbers of a byte each, in their one decimal form. */
static bool is_v4(struct bytes host) {
    uint32_t parts = 0;
    for (;; parts++) {
        size_t len = 0;
        int64_t number = 0;
        while (len < host.len && host.ptr[len] != '.') len++;
        if (!status_ok(bytes_to_i64(bytes_of(host.ptr, len), &number))) return false;
        if (number < 0 || number > UINT8_MAX) return false;
        if (len == host.len) return parts == 3;
        host = bytes_of(host.ptr + len + 1, host.len - len - 1);
    }
}

/* "[::1]"; only the letters are looked at, since simulated nodes have IPv4 addresses. */
static bool is_v6(struct bytes host) {
    if (host.len < 4 || host.ptr[0] != '[' || host.ptr[host.len - 1] != ']') return false;
    for (size_t i = 1; i + 1 < host.len; i++) {
        if (memchr("0123456789abcdef:.", host.ptr[i], 18) == NULL) return false;
    }
    return memchr(host.ptr, ':', host.len) != NULL;
}

STATUS os_address_resolve(struct os *os, const char *address, char ret_text[OS_ADDRESS_BYTES_MAX]) {
    ASSERT(os != NULL);
    ASSERT(ret_text != NULL);
    const char *colon = strrchr(address, ':');
    uint64_t port = 0;
    if (colon == NULL || colon == address) return status_of(ST_INVALID);
    if (strlen(address) >= OS_ADDRESS_BYTES_MAX) return status_of(ST_INVALID);
    TRY(bytes_to_u64(bytes_of_string(colon + 1), &port));
    if (port == 0 || port > PORT_MAX) return status_of(ST_INVALID);

    struct bytes host = bytes_of(address, (size_t)(colon - address));
    if (host.ptr[0] != '[' && memchr(host.ptr, ':', host.len) != NULL) return status_of(ST_INVALID);
    if (bytes_equal(host, BYTES_LIT("localhost"))) host = BYTES_LIT("127.0.0.1");
    if (!is_v4(host) && !is_v6(host)) return status_of(ST_NOT_FOUND);
    snprintf(ret_text, OS_ADDRESS_BYTES_MAX, "%.*s:%u", (int)host.len, (const char *)host.ptr,
             (unsigned)port);
    return status_of(ST_OK);
}
