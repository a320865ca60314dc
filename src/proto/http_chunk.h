/* http_chunk.h - the chunked transfer coding (RFC 9112 7.1), read strictly.
 *
 * llhttp 8.1 is lenient between the chunks (what ends a size line, how long an extension
 * is), and a guard would have to read the same lines; so they are read here, once.
 *
 * Lifecycle  zeroed memory -> step* until it is not ST_WAIT; zero again for the next
 * Owner      one connection
 * Memory     chunk data is appended to the caller's buffer
 * Failure    ST_INVALID with `fault`; the bytes after cannot be trusted
 */
#ifndef ATOLL_PROTO_HTTP_CHUNK_H
#define ATOLL_PROTO_HTTP_CHUNK_H

#include "base/buffer.h"
#include "proto/http_guard.h"

#define HTTP_CHUNK_LINE_BYTES_MAX 256u /* size and extension */
#define HTTP_TRAILER_BYTES_MAX 8192u   /* all trailer lines, which are checked and dropped */

enum http_chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };

struct http_chunk {
    enum http_chunk_state state;
    size_t at;               /* bytes of the input that are dealt with */
    size_t trailer_start;    /* value of `at` when the trailers began */
    uint64_t remaining;      /* CHUNK_DATA: bytes of this chunk still to come */
    uint64_t framing_bytes;  /* bytes that were not data, so far */
    struct http_fault fault; /* set with ST_INVALID */
};

/* Read on in `in`, which starts at the first byte of the coded body and only grows; data
 * goes to `body`. ST_OK: the body is complete and `c->at` bytes long on the wire.
 * Errors  ST_WAIT     more bytes are needed, at least c->at + c->remaining in all
 *         ST_INVALID  `c->fault`: 413 when the body would pass `body_bytes_max` */
STATUS http_chunk_step(struct http_chunk *c, struct bytes in, uint64_t body_bytes_max,
                       struct buffer *body);

#endif
