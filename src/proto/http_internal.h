/* http_internal.h - one connection's HTTP state, and what the http_*.c files share.
 *
 * http_decode.c fills `struct http`, http_translate.c and http_batch.c read it; the
 * encoders know only the plan. See http.h for lifecycle, owner, memory and failure.
 */
#ifndef ATOLL_PROTO_HTTP_INTERNAL_H
#define ATOLL_PROTO_HTTP_INTERNAL_H

#include <jansson.h>
#include <llhttp.h>

#include "proto/http.h"
#include "proto/http_chunk.h"
#include "proto/http_guard.h"

/* plan->dialect */
#define HTTP_HEAD_ONLY 1u  /* the method is HEAD: headers as for GET, no body */
#define HTTP_OLD 2u        /* the client speaks HTTP/1.0 */
#define HTTP_CLOSE 4u      /* the connection ends with this reply */
#define HTTP_IF_MATCH 8u   /* absent fails the condition: 412, not 404 */
#define HTTP_IF_ABSENT 16u /* GET with If-None-Match: *: present gives 304 */
#define HTTP_KEYS_ONLY 32u /* a scan without values */

/* plan->shape: which reply to make */
enum http_shape {
    HTTP_SHAPE_NONE, /* PLAN_REPLIED */
    HTTP_SHAPE_GET,  /* detail: the ETag of If-Match, if it named one */
    HTTP_SHAPE_PUT,
    HTTP_SHAPE_DELETE,
    HTTP_SHAPE_BATCH, /* detail: one byte an item, its `enum operation` */
    HTTP_SHAPE_SCAN,
    HTTP_SHAPE_FIGURES,
    HTTP_SHAPE_REPLICAS, /* what each replica holds */
    HTTP_SHAPE_NODE,
    HTTP_SHAPE_ADMIN, /* detail_number: enum admin_op */
    HTTP_SHAPE_ALIAS, /* detail_number: enum alias_style (http_alias.h) */
};

/* What a path stands for; rows of the table in http_translate.c. */
enum http_route {
    HTTP_ROUTE_NONE,
    HTTP_ROUTE_ALIAS, /* of an older store: http_alias.h */
    HTTP_ROUTE_ASTERISK,
    HTTP_ROUTE_WELCOME, /* examples for curl, the dashboard for browsers */
    HTTP_ROUTE_ASSET,   /* a file of the dashboard */
    HTTP_ROUTE_OPENAPI, /* the description of all these, docs/openapi.json */
    HTTP_ROUTE_KV,
    HTTP_ROUTE_BATCH,
    HTTP_ROUTE_SCAN,
    HTTP_ROUTE_CLUSTER,
    HTTP_ROUTE_SLOTS,
    HTTP_ROUTE_FIGURES,
    HTTP_ROUTE_EVENTS,
    HTTP_ROUTE_NODES, /* from here on: http_admin.h */
    HTTP_ROUTE_NODE,
    HTTP_ROUTE_LEADER,
    HTTP_ROUTE_REPLICAS,
    HTTP_ROUTE_PLAN,
    HTTP_ROUTE_CHANGE,
    HTTP_ROUTE_KEYSPACES,
    HTTP_ROUTE_KEYSPACE, /* to here */
    HTTP_ROUTE_HEALTH,
    HTTP_ROUTE_READY,
    HTTP_ROUTE_METRICS,
    HTTP_ROUTE_LOG_LEVEL,
    HTTP_ROUTE_SLOW_MS,
    HTTP_ROUTES,
};

/* Headers that something reads. */
enum http_field {
    HTTP_IF_MATCH_FIELD,
    HTTP_IF_NONE_MATCH_FIELD,
    HTTP_ACCEPT_FIELD,
    HTTP_ENCODING_FIELD, /* Accept-Encoding */
    HTTP_EXPECT_FIELD,
    HTTP_SESSION_FIELD,
    HTTP_HOST_FIELD,
    HTTP_ORIGIN_FIELD,
    HTTP_FETCH_SITE_FIELD,
    HTTP_FIELDS,
};

enum http_phase {
    HTTP_AT_HEAD,   /* waiting for the end of the header block */
    HTTP_AT_BODY,   /* Content-Length: waiting for so many bytes */
    HTTP_AT_CHUNKS, /* chunked */
    HTTP_AT_END,    /* a request is complete; the next decode begins another */
    HTTP_BROKEN,    /* refused; nothing after it is read */
};

/* A part of the input, which may move. */
struct http_span {
    uint32_t offset; /* from the start of `in` */
    uint32_t len;
};

struct http {
    llhttp_t parser;
    enum http_phase phase;
    uint64_t value_bytes_max;
    struct bytes in; /* as given to the last decode */
    struct http_guard guard;
    struct http_chunk chunk;
    size_t head_bytes;       /* the header block, with all that is before the body */
    uint64_t body_bytes_max; /* by route and method */
    /* of the present request */
    bool headers_complete; /* llhttp saw the end of the block */
    bool keep_alive;
    uint8_t method;        /* llhttp_method_t */
    uint8_t flags;         /* plan->dialect */
    enum http_field field; /* header whose value comes next; HTTP_FIELDS = any other */
    struct http_span target;
    struct http_span fields[HTTP_FIELDS];
    uint8_t field_counts[HTTP_FIELDS]; /* how often each was there; saturates */
    struct http_span path, query;      /* of the target, without `?` */
    enum http_route route;
    const struct alias_row *alias; /* HTTP_ROUTE_ALIAS: NULL if it does not take the method */
    bool get_json;                 /* how GET /get answers when the client does not say */
    struct bytes body;             /* view of `in` or `gathered` */
    /* scratch, kept from request to request while small */
    struct buffer gathered;   /* body that came chunked */
    struct buffer text;       /* decoded keys, cursors and batch items */
    struct request *requests; /* `requests_capacity` of them */
    uint32_t requests_capacity;
    json_t *batch;              /* parsed body that requests point into, or NULL */
    struct admin_request admin; /* of the last plan that was one for it */
};

static inline struct bytes http_bytes_of(const struct http *h, struct http_span span) {
    return bytes_of(h->in.ptr + span.offset, span.len);
}

/* http_translate.c */
enum http_route http_route_find(struct bytes path);
/* The path of a route, or what its paths begin with if it ends in `/`; NULL if it has none
 * of its own. */
const char *http_route_path(enum http_route route);
bool http_route_allows(enum http_route route, uint8_t method);
/* Answer 404 or 405 if path and method do not fit. Whether they did not. */
bool http_route_refuse(const struct http *h, struct buffer *out);
/* Room for `count` requests, zeroed. */
struct request *http_requests(struct http *h, uint32_t count);
/* Room of at least `bytes` in the scratch text; asked for once a request. */
uint8_t *http_scratch(struct http *h, size_t bytes);

/* Whether a header that came holds `word` (lower case), whatever the case. */
bool http_field_mentions(const struct http *h, enum http_field field, const char *word);

/* Query parameters, decoded. */
#define HTTP_PARAM_KEYSPACE 1u
#define HTTP_PARAM_LEVEL 2u
#define HTTP_PARAM_TTL 4u
#define HTTP_PARAM_OP 8u
#define HTTP_PARAM_START 16u
#define HTTP_PARAM_END 32u
#define HTTP_PARAM_PREFIX 64u
#define HTTP_PARAM_LIMIT 128u
#define HTTP_PARAM_CURSOR 256u
#define HTTP_PARAM_VALUES 512u
#define HTTP_PARAM_FORMAT 1024u
#define HTTP_PARAM_REPLICAS 2048u

struct http_params {
    uint32_t given; /* HTTP_PARAM_* */
    enum level level;
    uint8_t level_count; /* LEVEL_COUNT */
    uint64_t ttl_ms;     /* 0 = not given */
    uint64_t op_high, op_low;
    struct bytes start, end, prefix, cursor;
    struct bytes keyspace; /* empty = the default one */
    uint32_t limit;
    bool keys_only;
    bool prometheus;
    bool replicas;
};

/* http_params.c: read the query; only parameters in `allowed` are. False: an error
 * reply was made. Decoded bytes go to the scratch text. */
bool http_params_read(struct http *h, uint32_t allowed, struct buffer *out,
                      struct http_params *ret_params);

/* http_batch.c: fill plan for POST /v1/batch, or reply. */
void http_batch_translate(struct http *h, const struct http_params *params, uint64_t now_ms,
                          struct buffer *out, struct plan *plan);
/* Whether a body is worth parsing: its depth and the number of its values. */
bool http_batch_fits(struct bytes text);
/* Free what the last batch held. */
void http_batch_release(struct http *h);
void http_batch_encode(const struct plan *plan, const struct response *responses,
                       struct buffer *out);

/* http_node.c: what GET /v1/cluster answers. */
void http_append_cluster(struct buffer *out, const struct node_view *view);

/* http_slots.c */
void http_slots_encode(const struct plan *plan, const struct node_view *view, struct buffer *out);

/* http_figures.c: the value of each OUT_OK is what another node told of itself. */
#define HTTP_FIGURES_BYTES_MAX 4096u
void http_figures_encode(const struct plan *plan, const struct response *responses,
                         struct buffer *out);

/* http_replicas.c: detail_number = the slot; the value of an OUT_OK is an array of struct
 * replica_report. */
void http_replicas_encode(const struct plan *plan, const struct response *response, uint64_t now_ms,
                          struct buffer *out);

/* http_scan.c: the opaque cursor is base64url of check (4 bytes, CRC-32C of the key), key. */
STATUS http_cursor_decode(struct bytes text, uint8_t *room, struct bytes *ret_key);

/* http_reply.c */
#define HTTP_JSON "application/json"
#define HTTP_TEXT "text/plain; charset=utf-8"

/* A reply in one go. `extra` = whole header lines, each with CRLF. */
void http_reply(struct buffer *out, uint8_t flags, uint16_t status, const char *content_type,
                const char *extra, struct bytes body);
/* A reply whose body is appended between the two calls. */
size_t http_reply_begin(const struct buffer *out);
void http_reply_end(struct buffer *out, size_t mark, uint8_t flags, uint16_t status,
                    const char *content_type, const char *extra);
/* {"error":{"code":..,"message":..}}; bytes in the message that are no UTF-8 become `?`. */
void http_reply_error(struct buffer *out, uint8_t flags, uint16_t status, const char *code,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
/* What became of a request that is neither OUT_OK nor OUT_NOT_MODIFIED. */
void http_reply_outcome(struct buffer *out, uint8_t flags, const struct response *response,
                        bool is_write);
/* The "error" member's object for it. */
void http_append_outcome(struct buffer *out, const struct response *response, bool is_write);
/* The header line that says how many replicas answered; empty if the key is not replicated. */
#define HTTP_ACKS_LINE_BYTES (sizeof "Atoll-Acks: 255/255\r\n")
const char *http_print_acks(const struct response *response, char line[HTTP_ACKS_LINE_BYTES]);
uint16_t http_outcome_status(enum outcome outcome);
const char *http_outcome_message(enum outcome outcome);
/* Whether a write that failed so may have taken effect. */
bool http_outcome_is_maybe(const struct response *response, bool is_write);
const char *http_status_text(uint16_t status);

#endif
