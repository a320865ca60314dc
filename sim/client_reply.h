/* client_reply.h - one answer as the simulator's clients read it: HTTP/1.1, or of a truncation,
 * which HTTP does not have, RESP.
 *
 * Pure, and strict: what a proper server never sends is ST_CORRUPT. Bytes given before are
 * looked at again each time, which is fine as long as answers are short.
 *
 * Memory  the body is a view of the input, or of `room` when it came in chunks
 * Failure ST_WAIT  there is more to come; ST_CORRUPT
 */
#ifndef ATOLL_SIM_CLIENT_REPLY_H
#define ATOLL_SIM_CLIENT_REPLY_H

#include "base/buffer.h"
#include "base/hlc.h"

struct client_reply {
    uint32_t status;        /* 100..599 */
    bool close;             /* the server ends the connection after this */
    struct ballot version;  /* ETag; zero = none */
    uint64_t expires_at_ms; /* Atoll-Expires-At; 0 = none */
    struct bytes body;      /* whole */
};

/* Take one answer from the start of `in`.
 * Errors  ST_WAIT, ST_CORRUPT */
STATUS client_reply_parse(struct bytes in, struct buffer *room, struct client_reply *ret_reply,
                          size_t *ret_used);

/* The same of an answer "OK" or an error in RESP: status 200 or 503, and the end of the connection. */
STATUS client_reply_parse_resp(struct bytes in, struct client_reply *ret_reply, size_t *ret_used);

#endif
