/* http_metrics.h - a node's figures as JSON and as Prometheus text (exposition 0.0.4).
 *
 * Pure; one table names each figure in both. The nine members batches, compactions,
 * deletes, errors, flushes, reads, scans, wal_syncs and writes are the names that an
 * earlier store's clients read, and come first.
 */
#ifndef ATOLL_PROTO_HTTP_METRICS_H
#define ATOLL_PROTO_HTTP_METRICS_H

#include "base/buffer.h"
#include "proto/node_view.h"

void http_metrics_append_json(struct buffer *out, const struct node_view *view);
void http_metrics_append_prometheus(struct buffer *out, const struct node_view *view);

#endif
