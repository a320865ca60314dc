/* http.h - HTTP/1.1 (RFC 9110, 9112), server side.
 *
 * llhttp parses behind a strict guard of ours (http_guard.h) that refuses what this
 * version lets through: bare CR or LF, NUL, bytes that are no token in names, a space
 * before the colon, versions other than 1.0 and 1.1, Content-Length beside
 * Transfer-Encoding, folded lines, more than one Host. docs/api.md has every answer.
 *
 * Lifecycle  create -> (decode -> translate -> [encode..])* -> destroy
 * Owner      one connection
 * Memory     the body is gathered in a buffer only if it comes chunked, else it is a
 *            view of the input; bounded by the limits below
 * Failure    an error in framing is answered (400, 413, 414, 417, 431, 501, 505) and closes;
 *            an error in what is asked is answered and the connection goes on
 */
#ifndef ATOLL_PROTO_HTTP_H
#define ATOLL_PROTO_HTTP_H

#include "base/buffer.h"
#include "base/status.h"
#include "proto/node_view.h"
#include "proto/plan.h"

/* A key of 64 KiB may be percent-encoded in the target: three bytes each, plus the query. */
#define HTTP_TARGET_BYTES_MAX (3u * KEY_BYTES_MAX + 8192u)
#define HTTP_HEADER_BYTES_MAX (256u * 1024) /* the request line and all headers */
#define HTTP_HEADERS_MAX 100u
#define HTTP_BODY_BYTES_MAX (32u * 1024 * 1024) /* a batch; values have their own limit */
#define HTTP_BODY_OTHER_BYTES_MAX (64u * 1024)  /* bodies that nothing reads, and wrong paths */

/* Chunk headers and the like that may come with a body of `body_bytes_max`: many clients
 * send small chunks, but one byte at a time would keep six bytes for each. */
#define HTTP_FRAMING_BYTES_MAX(body_bytes_max) ((body_bytes_max) / 8u + 64u * 1024)

/* One request in the input is never longer than this: the limit of an input buffer. */
#define HTTP_REQUEST_BYTES_MAX \
    (HTTP_HEADER_BYTES_MAX + HTTP_BODY_BYTES_MAX + HTTP_FRAMING_BYTES_MAX(HTTP_BODY_BYTES_MAX))

_Static_assert(HTTP_TARGET_BYTES_MAX + 32u * 1024 <= HTTP_HEADER_BYTES_MAX,
               "other headers fit too");
_Static_assert(VALUE_BYTES_MAX <= HTTP_BODY_BYTES_MAX, "the largest value can be put");

struct http;

/* `value_bytes_max` is the configured limit, at most VALUE_BYTES_MAX. */
struct http *http_create(uint64_t value_bytes_max);
void http_destroy(struct http *h);
/* Whether GET /get answers {"value":".."} where the client does not say; else the bare value. */
void http_set_get_json(struct http *h, bool get_json);

/* Take one request from the start of `in` (all bytes not consumed yet; it may move between
 * calls while a request is incomplete, but must not shrink).
 * Errors  ST_WAIT     more bytes are needed; `*ret_need` = at least how many in all are known
 *                     to be (0 unknown). May have appended "100 Continue" to `out`, once a
 *                     request: `out` must then follow the replies to all earlier requests
 *         ST_INVALID  the request is refused and the reply is in `out`; close after it. What
 *                     else the client sends is best read and dropped for a moment, as closing
 *                     on unread bytes makes the kernel reset and the client lose the reply
 * ST_OK: *ret_consumed bytes are the request's; views into `in` are held until translate. */
STATUS http_decode(struct http *h, struct bytes in, struct buffer *out, size_t *ret_consumed,
                   size_t *ret_need);

/* Turn the decoded request into a plan; once after each decode. `now_ms` is wall time, for
 * relative expiries. `plan->requests` and `plan->detail` hold until the next translate, and
 * where they are views of the input, as long as `in` does.
 *
 * What the shard must know of the requests:
 *   - OP_GET may carry COND_VERSION_IS_NOT (answer OUT_NOT_MODIFIED); the encoder checks
 *     If-Match on a GET itself
 *   - a put or delete under a condition has REQUEST_RETURN_OLD | REQUEST_NO_VALUE: with
 *     OUT_CONDITION_FAILED, response.version is what is there (zero = nothing) */
void http_translate(struct http *h, uint64_t now_ms, struct buffer *out, struct plan *ret_plan);

/* Encode the answer of a PLAN_REQUESTS plan: `responses[plan->request_count]`. Encoders read
 * plan->shape, dialect, detail, detail_number and request_count, never plan->requests. */
void http_encode(const struct plan *plan, const struct response *responses, uint64_t now_ms,
                 struct buffer *out);

/* PLAN_SCAN, streamed (chunked): begin, pages, end. On HTTP/1.0 the stream ends by close.
 * `cursor_key` is the last key of the answer when more follows, else empty. */
void http_encode_scan_begin(const struct plan *plan, struct buffer *out);
void http_encode_scan_rows(const struct plan *plan, const struct row *rows, uint32_t count,
                           bool first, struct buffer *out);
void http_encode_scan_end(const struct plan *plan, bool more, struct bytes cursor_key,
                          struct buffer *out);
/* An error: before scan_begin a proper status, afterwards an "error" member ends the JSON.
 * With begun = false it fits a plan of any kind, for instance one refused at admission. */
void http_encode_outcome(const struct plan *plan, enum outcome outcome, bool begun,
                         struct buffer *out);
/* The same from a response, which knows how many replicas answered. */
void http_encode_refusal(const struct plan *plan, const struct response *response, bool begun,
                         struct buffer *out);

/* What a node tells of itself, for OP_FIGURES: one JSON object. */
void http_figures_append(struct buffer *out, const struct node_view *view);

/* There is no keyspace of the name that the plan has. */
void http_encode_no_keyspace(const struct plan *plan, struct buffer *out);

void http_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out);
/* The answer to a PLAN_ADMIN. `plan->admin` is not read. */
void http_encode_admin(const struct plan *plan, const struct admin_reply *reply,
                       struct buffer *out);

#endif
