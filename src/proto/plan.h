/* plan.h - what a connection must do for one command of its client.
 *
 * A protocol's `translate` turns one decoded command into a plan; the shard carries
 * it out; the protocol's `encode` turns the responses into bytes. Between the two
 * the plan is all that is kept, so it holds what the encoder needs.
 *
 *   PLAN_REPLIED   the answer (or error) is already in the output
 *   PLAN_REQUESTS  run all requests; when all are answered, encode once
 *   PLAN_SCAN      run `requests[0]` (OP_SCAN) page by page over all shards, merged in
 *                  key order; encode_begin, then encode_page for each, then encode_end.
 *                  With `scan_counts` only their number is encoded
 *   PLAN_NODE      answer from the node's view (statistics, configuration): encode_node
 *   PLAN_ADMIN     have `admin` carried out by the control plane: encode_admin
 */
#ifndef ATOLL_PROTO_PLAN_H
#define ATOLL_PROTO_PLAN_H

#include "base/buffer.h"
#include "proto/admin.h"
#include "proto/request.h"

/* Requests of one command (MGET, MSET, batch). More is a clear error. */
#define PLAN_REQUESTS_MAX 65536u

enum plan_kind { PLAN_REPLIED, PLAN_REQUESTS, PLAN_SCAN, PLAN_NODE, PLAN_ADMIN };

/* What of the node is asked for with PLAN_NODE. */
enum node_topic {
    NODE_HEALTH,     /* GET /health */
    NODE_READY,      /* GET /ready */
    NODE_METRICS,    /* GET /metrics, JSON */
    NODE_PROMETHEUS, /* GET /metrics, text */
    NODE_INFO,       /* INFO [section ..] */
    NODE_CONFIG,     /* CONFIG GET pattern .. */
    NODE_CLUSTER,    /* CLUSTER INFO|SLOTS|SHARDS|NODES|MYID; GET /v1/cluster */
    NODE_SLOTS,      /* GET /v1/cluster/slots */
    NODE_EVENTS,     /* GET /v1/events: the connection is then written to every second */
    NODE_CLIENT,     /* CLIENT LIST|INFO */
    NODE_SETTINGS,   /* what may be changed while it runs */
    NODE_SET,        /* change it: `detail_number` as node_view.h has it */
    NODE_SLOW,       /* SLOWLOG GET, LEN */
    NODE_SLOW_RESET, /* SLOWLOG RESET */
};

struct plan {
    enum plan_kind kind;
    uint16_t shape;           /* the protocol's own: which reply to make */
    uint8_t dialect;          /* the protocol's own: RESP 2 or 3; HTTP flags */
    bool close_after;         /* close the connection once the reply is out */
    enum node_topic topic;    /* PLAN_NODE */
    uint32_t request_count;   /* PLAN_REQUESTS: 1.. ; PLAN_SCAN: 1 */
    struct request *requests; /* the session's scratch, until the next translate */
    uint32_t rows_wanted;     /* PLAN_SCAN: stop after this many rows emitted; 0 = no limit */
    uint32_t
        rows_examined;    /* PLAN_SCAN: stop after this many looked at; 0 = no limit (SCAN COUNT) */
    bool scan_counts;     /* PLAN_SCAN: RESP: the rows are counted and not kept */
    bool scan_by_cursor;  /* PLAN_SCAN: resume behind the key that `scan_cursor` stands for */
    uint64_t scan_cursor; /* number the client gave; 0 = from the first key */
    struct bytes detail;  /* the protocol's own: what else the encoder needs, e.g. a
                                  pattern or INFO section; view like a request's bytes */
    uint64_t detail_number;            /* the protocol's own */
    struct bytes keyspace;             /* name of that of all requests; empty = the default one.
                                          View as `detail`, until the requests have its id */
    const struct admin_request *admin; /* PLAN_ADMIN: the session's, until the next translate:
                                          who keeps the plan for longer copies it */
};

#endif
