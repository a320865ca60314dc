/* event_stream.h - a client of GET /v1/events: server-sent events (WHATWG HTML, 9.2), one by one.
 *
 * Lifecycle  open -> (read when the socket is readable -> next*)* -> close
 * Owner      one thread
 * Memory     what was read and not taken yet, at most EVENT_STREAM_BYTES_MAX
 * Failure    ST_INVALID   the address cannot be understood or resolved
 *            ST_IO        nobody answers, or the connection failed
 *            ST_TIMEOUT   the time limit passed
 *            ST_NOT_FOUND the node has ended the stream
 *            ST_CORRUPT   what came is no such stream; `response.status` may tell why
 *            ST_FULL      an event is larger than the limit
 *            After any of them it can only be closed
 */
#ifndef ATOLL_CLI_EVENT_STREAM_H
#define ATOLL_CLI_EVENT_STREAM_H

#include "base/buffer.h"
#include "cli/http_response.h"
#include "os/sock.h"

/* 64 members take 32 KiB. */
#define EVENT_STREAM_BYTES_MAX (4u * 1024 * 1024)

struct event_stream {
    struct os_sock sock;           /* not open = closed */
    struct http_response response; /* of the one answer that never ends */
    char *line;                    /* lent to it */
    struct buffer text;            /* of events that are not taken */
    size_t taken;                  /* bytes of `text` that the last `next` gave */
};

struct event {
    struct bytes name; /* "cluster", "figures" */
    struct bytes data; /* JSON, in one line */
};

/* Connect and ask; the time limit holds for each later read too. Errors  all but ST_FULL */
STATUS event_stream_open(struct event_stream *s, struct os *os, const char *server,
                         uint32_t timeout_ms);
/* Also fine if it is not open. */
void event_stream_close(struct event_stream *s);
/* Read once, which blocks unless the socket is readable. */
STATUS event_stream_read(struct event_stream *s);
/* The oldest event not taken; its views hold until the next call of any function.
 * Errors  ST_WAIT  it is not whole: read more */
STATUS event_stream_next(struct event_stream *s, struct event *ret_event);

#endif
