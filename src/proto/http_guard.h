/* http_guard.h - a strict check of an HTTP/1 header block, before any parser sees it.
 *
 * It accepts what RFC 9112 says a sender may send, and nothing that two readers
 * could understand differently. Each line is checked once, when it is complete.
 *
 * Lifecycle  zeroed memory -> step* until it is not ST_WAIT; zero again for the next
 * Owner      one connection
 * Memory     none; works on the caller's bytes
 * Failure    ST_INVALID with `fault`; the bytes after cannot be trusted
 */
#ifndef ATOLL_PROTO_HTTP_GUARD_H
#define ATOLL_PROTO_HTTP_GUARD_H

#include "base/bytes.h"
#include "base/status.h"

/* Why bytes are refused: everything an error reply says. */
struct http_fault {
    uint16_t status;     /* HTTP status, 400..505 */
    const char *code;    /* word for programs */
    const char *message; /* sentence for people */
};

struct http_guard {
    size_t start;            /* offset of the request line: 0, or 2 behind an empty line */
    size_t line;             /* offset of the first line that is not checked; at ST_OK the end */
    size_t searched;         /* bytes already searched for the end of that line */
    uint32_t lines;          /* lines checked: the request line and headers */
    uint8_t minor;           /* HTTP/1.`minor`, 0 or 1 */
    uint8_t hosts;           /* Host headers, 0 or 1 */
    bool chunked;            /* Transfer-Encoding: chunked */
    bool has_length;         /* Content-Length is there */
    uint64_t length;         /* its number */
    struct http_fault fault; /* set with ST_INVALID */
};

/* Check the lines of `in` that are complete. `in` starts where it did in the first call
 * and only grows.
 * Errors  ST_WAIT     the block has no end yet
 *         ST_INVALID  `g->fault` */
STATUS http_guard_step(struct http_guard *g, struct bytes in);

/* Whether `line` (without CRLF) is a well-formed header or trailer line, and the length of
 * its name. */
bool http_guard_field(struct bytes line, size_t *ret_name_len);

/* Whether `text` is a token (RFC 9110 5.6.2). */
bool http_guard_token(struct bytes text);

#endif
