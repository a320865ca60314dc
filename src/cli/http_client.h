/* http_client.h - one blocking connection to a node, for the command line.
 *
 * Lifecycle  open -> (request -> use the answer)* -> close
 * Owner      one thread
 * Memory     the body of one answer, at most HTTP_CLIENT_BODY_BYTES_MAX
 * Failure    ST_INVALID  the address cannot be understood or resolved
 *            ST_IO       nobody answers, or the connection failed
 *            ST_TIMEOUT  the time limit passed; a write may have happened
 *            ST_CORRUPT  what came back is no HTTP
 *            ST_FULL     the answer is larger than the limit
 *            After any of them but ST_FULL the connection is closed; so it is after ST_FULL
 */
#ifndef ATOLL_CLI_HTTP_CLIENT_H
#define ATOLL_CLI_HTTP_CLIENT_H

#include "base/buffer.h"
#include "cli/http_response.h"
#include "os/sock.h"

#define HTTP_CLIENT_BODY_BYTES_MAX (128u * 1024 * 1024) /* the largest value as JSON: six times */
#define HTTP_CLIENT_LINE_BYTES (16u * 1024)
#define HTTP_CLIENT_TEXT_BYTES 128u

struct http_client {
    struct os *os;
    const char *server;                         /* host:port, outlives the client */
    uint32_t timeout_ms;                        /* of the connection and of each read and write */
    struct os_sock sock;                        /* not open = connect at the next request */
    struct http_response response;              /* response.status is the answer's */
    char etag[HTTP_CLIENT_TEXT_BYTES];          /* version, without quotes; empty if none */
    char expires_at_ms[HTTP_CLIENT_TEXT_BYTES]; /* decimal; empty if the value stays */
    char acks[HTTP_CLIENT_TEXT_BYTES];          /* replicas that answered, "2/3"; empty if none */
    struct buffer body;                         /* of the last answer */
    uint8_t *input;                             /* what one read takes */
    char *line;                                 /* lent to the response */
};

struct http_client_request {
    const char *method;  /* GET, PUT, POST, DELETE */
    struct bytes target; /* path and query, encoded */
    const char *headers; /* further header lines, each ended by CRLF; "" = none */
    struct bytes body;   /* sent with PUT and POST */
};

void http_client_open(struct http_client *c, struct os *os, const char *server,
                      uint32_t timeout_ms);
void http_client_close(struct http_client *c);
/* Send and wait for the whole answer, whatever its status. */
STATUS http_client_request(struct http_client *c, const struct http_client_request *request);

/* Append `in`, percent-encoded for a path or a query. */
void http_client_append_encoded(struct buffer *out, struct bytes in);

#endif
