/* cluster_status.h - what a node says of its cluster (GET /v1/cluster), as a table.
 *
 * Pure: JSON in, text out; no member of the JSON is trusted.
 *
 * Lifecycle  one call
 * Owner      the caller; nothing is kept
 * Memory     `out` grows to a line a node
 * Failure    ST_CORRUPT: the JSON is no such answer; `out` is as it was
 */
#ifndef ATOLL_CLI_CLUSTER_STATUS_H
#define ATOLL_CLI_CLUSTER_STATUS_H

#include "base/buffer.h"
#include "base/status.h"

/* Append a header, a line for each node and a line about all of them. With `colour`, for
 * a terminal: the header is bold and nodes that are down are red.
 * Errors  ST_CORRUPT */
STATUS cluster_status_encode(struct bytes json, bool colour, struct buffer *out);

#endif
