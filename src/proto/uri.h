/* uri.h - percent-encoding (RFC 3986 2.1) and query strings (WHATWG URL, form-urlencoded).
 *
 * Memory  decoded bytes go to the caller's room, which is never needed beyond the
 *         length of the input; without anything to decode the result is the input
 */
#ifndef ATOLL_PROTO_URI_H
#define ATOLL_PROTO_URI_H

#include "base/bytes.h"
#include "base/status.h"

/* Decode %XX in a path, where `+` is a plus. `room` has in.len bytes.
 * Errors  ST_INVALID  a `%` without two hex digits */
STATUS uri_decode_path(struct bytes in, uint8_t *room, struct bytes *ret_out);

/* Decode a name or value of a query, where `+` is a space. */
STATUS uri_decode_query(struct bytes in, uint8_t *room, struct bytes *ret_out);

/* Take the first `name=value` of `*query`, still encoded; value is empty without a `=`.
 * Empty pieces (`&&`) are skipped. False when there is none left. */
bool uri_query_next(struct bytes *query, struct bytes *ret_name, struct bytes *ret_value);

#endif
