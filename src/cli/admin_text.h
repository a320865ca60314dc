/* admin_text.h - what a node answers an operator, as text: a line, a plan, a list of keyspaces.
 *
 * Pure: JSON in, text out; no member of the JSON is trusted.
 *
 * Owner      the caller; nothing is kept
 * Memory     `out` grows to a line a node or keyspace
 * Failure    ST_CORRUPT: the JSON is no such answer; `out` is as it was
 */
#ifndef ATOLL_CLI_ADMIN_TEXT_H
#define ATOLL_CLI_ADMIN_TEXT_H

#include "base/buffer.h"
#include "base/status.h"

/* The message, what is at risk, a table of the plan and what to do next. With `colour`, for a
 * terminal, headers are bold.
 * Errors  ST_CORRUPT */
STATUS admin_text_encode(struct bytes json, bool colour, struct buffer *out);
/* The same of an error, without its message: what is at risk and the plan, if they came. */
STATUS admin_text_encode_details(struct bytes json, bool colour, struct buffer *out);
/* GET /v1/keyspaces as a table.
 * Errors  ST_CORRUPT */
STATUS admin_text_encode_keyspaces(struct bytes json, bool colour, struct buffer *out);

#endif
