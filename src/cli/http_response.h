/* http_response.h - HTTP/1.1 responses (RFC 9112) as a client reads them, strictly.
 *
 * Pull parser: `next` is given all bytes not used yet and gives one event. What a
 * proper server never sends is ST_CORRUPT: bare CR or LF, folded lines, both
 * lengths, names that are no token, lines longer than `line_bytes`.
 *
 * Lifecycle  init -> (next..)* until HTTP_RESPONSE_END, then the next response begins
 * Owner      one thread
 * Memory     `line` is lent by the caller: a line cut by the end of the input
 * Failure    ST_CORRUPT sticks: the connection must be closed
 */
#ifndef ATOLL_CLI_HTTP_RESPONSE_H
#define ATOLL_CLI_HTTP_RESPONSE_H

#include "base/bytes.h"
#include "base/status.h"

enum http_response_state {
    HTTP_RESPONSE_AT_STATUS,
    HTTP_RESPONSE_AT_HEADER,
    HTTP_RESPONSE_AT_BODY,       /* `left` bytes */
    HTTP_RESPONSE_AT_CHUNK,      /* the line with a chunk's size */
    HTTP_RESPONSE_AT_CHUNK_BODY, /* `left` bytes */
    HTTP_RESPONSE_AT_CHUNK_END,  /* the empty line behind a chunk's bytes */
    HTTP_RESPONSE_AT_TRAILER,
    HTTP_RESPONSE_AT_CLOSE, /* the body ends with the connection */
    HTTP_RESPONSE_BROKEN,
};

enum http_response_event {
    HTTP_RESPONSE_MORE,   /* all input is used: give more */
    HTTP_RESPONSE_STATUS, /* r->status is known */
    HTTP_RESPONSE_HEADER, /* name and value */
    HTTP_RESPONSE_BODY,   /* value holds some bytes of the body */
    HTTP_RESPONSE_END,    /* the response is complete */
};

struct http_response {
    enum http_response_state state; /* what comes next */
    uint32_t status;                /* 100..599; of the last status line */
    bool head;                      /* set by the caller: the answer to HEAD has no body */
    bool chunked;                   /* Transfer-Encoding: chunked */
    bool has_length;                /* Content-Length was given */
    bool close;                     /* the server closes after this response */
    uint64_t left;                  /* bytes of the body or chunk still to come */
    uint32_t headers_count;         /* of this response, 0..HTTP_RESPONSE_HEADERS_MAX */
    char *line;                     /* line_bytes, lent */
    size_t line_bytes;              /* the longest line that is understood */
    size_t line_len;                /* bytes in `line`: the start of a line */
};

struct http_response_item {
    enum http_response_event event;
    struct bytes name;  /* of a header; holds until the next call */
    struct bytes value; /* of a header, or body; holds until the next call */
};

#define HTTP_RESPONSE_HEADERS_MAX 200u

void http_response_init(struct http_response *r, char *line, size_t line_bytes);
bool http_response_check(const struct http_response *r);
/* Errors  ST_CORRUPT */
STATUS http_response_next(struct http_response *r, struct bytes in, size_t *ret_used,
                          struct http_response_item *ret_item);
/* The connection ended: whether that is the end of a response (its body had no length).
 * Errors  ST_CORRUPT  it was cut short */
STATUS http_response_end(struct http_response *r);

#endif
