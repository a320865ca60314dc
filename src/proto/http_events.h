/* http_events.h - what GET /v1/events streams: server-sent events (WHATWG HTML, 9.2).
 *
 * The reply has no length: it goes on until either side closes. Two kinds of events, each
 * with JSON as its data: `cluster` is what GET /v1/cluster answers, `figures` what /metrics
 * answers together with the moment that has passed since the event before.
 *
 * Owner    nobody: pure
 */
#ifndef ATOLL_PROTO_HTTP_EVENTS_H
#define ATOLL_PROTO_HTTP_EVENTS_H

#include "base/buffer.h"
#include "proto/node_view.h"
#include "proto/plan.h"

/* What happened at this node between two events. */
struct event_moment {
    uint64_t took_ns; /* monotonic time between them */
    struct {
        uint64_t operations;     /* finished */
        uint64_t p50_ns, p99_ns; /* of their times; 0 = there were none */
    } classes[OP_CLASSES];       /* by enum op_class */
    uint64_t p50_ns, p99_ns;     /* of all classes together */
};

/* The head of the stream, and how soon a browser that lost it is to come back. */
void http_events_begin(const struct plan *plan, struct buffer *out);
void http_events_append_figures(const struct node_view *view, const struct event_moment *moment,
                                struct buffer *out);
void http_events_append_cluster(const struct node_view *view, struct buffer *out);

#endif
