/* bench_reply.h - counts replies in a stream and says what became of each, no more.
 *
 * The bytes of values are skipped as they come, so a connection needs no input buffer.
 *
 * Lifecycle  init -> next* ; nothing to free
 * Owner      one connection
 * Failure    ST_CORRUPT: the other side does not speak this protocol
 */
#ifndef ATOLL_CLI_BENCH_REPLY_H
#define ATOLL_CLI_BENCH_REPLY_H

#include "cli/http_response.h"
#include "cli/workload.h"

#define BENCH_LINE_BYTES 512u
#define BENCH_ERROR_BYTES 24u

enum bench_result { BENCH_HIT, BENCH_MISS, BENCH_ERROR };

struct bench_reply {
    enum workload_protocol protocol;
    struct http_response http;     /* of HTTP */
    uint64_t skip;                 /* of RESP: bytes of a value still to come */
    uint32_t line_len;             /* of RESP: bytes of a cut line in `line` */
    char line[BENCH_LINE_BYTES];   /* the start of a line that the input cut */
    char error[BENCH_ERROR_BYTES]; /* after BENCH_ERROR: "BUSY", "503" */
};

void bench_reply_init(struct bench_reply *r, enum workload_protocol protocol);
/* Use up bytes until one reply is complete.
 * Errors  ST_WAIT  all of `in` was used, and the reply goes on; ST_CORRUPT */
STATUS bench_reply_next(struct bench_reply *r, struct bytes in, size_t *ret_used,
                        enum bench_result *ret_result);

#endif
