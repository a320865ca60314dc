/* http_admin.h - the paths of an operator: /v1/cluster/.. and /v1/keyspaces.
 *
 * http_admin.c turns path, query and body into a request, http_admin_fields.c reads the two
 * latter, http_admin_reply.c makes the answer. docs/api.md has every field.
 *
 * Owner    as http_internal.h
 * Memory   the request is in the session until the next translate
 * Failure  what is wrong is answered with 400 and the name of the field
 */
#ifndef ATOLL_PROTO_HTTP_ADMIN_H
#define ATOLL_PROTO_HTTP_ADMIN_H

#include "proto/http_internal.h"

/* In a query or in a body. */
enum admin_field {
    FIELD_ADDRESS,
    FIELD_WEIGHT,
    FIELD_ZONE,
    FIELD_NODE,
    FIELD_JOIN,
    FIELD_LEAVE,
    FIELD_ACTION,
    FIELD_RATE, /* bytes_per_second */
    FIELD_FORCE,
    FIELD_ACCEPT_LOSS,
    FIELD_DRY_RUN,
    FIELD_REPLICAS,
    FIELD_WRITE_QUORUM,
    FIELD_READ_QUORUM,
    FIELD_DISCIPLINE,
    FIELD_TTL,
    ADMIN_FIELDS,
};

#define ADMIN_FIELD(name) (1u << FIELD_##name)
#define ADMIN_DIGITS_BYTES 24u

/* Not to be moved: texts may point into it. */
struct admin_fields {
    uint32_t given;                                /* ADMIN_FIELD() */
    struct bytes texts[ADMIN_FIELDS];              /* as in a query, whatever it came from */
    char digits[ADMIN_FIELDS][ADMIN_DIGITS_BYTES]; /* of numbers that came in JSON */
};

/* Read the query, or the body (a JSON object; nothing is one without members), into the fields
 * that are in `allowed`. False: an error reply was made. */
bool http_admin_read_query(struct http *h, uint32_t allowed, struct buffer *out,
                           struct admin_fields *fields);
bool http_admin_read_body(struct http *h, uint32_t allowed, struct buffer *out,
                          struct admin_fields *fields);
/* Put the fields into the request; those that only choose among ops are left out. False: an
 * error reply was made. */
bool http_admin_take_fields(const struct http *h, const struct admin_fields *fields,
                            struct buffer *out, struct admin_request *q);
/* "address, weight, zone" of the fields in `set`. Returns `text`. */
const char *http_admin_field_names(uint32_t set, char *text, size_t text_bytes);

/* Whether the field was given and is "true" or "1". */
static inline bool admin_fields_is_true(const struct admin_fields *f, enum admin_field field) {
    if ((f->given >> field & 1) == 0) return false;
    return bytes_equal(f->texts[field], BYTES_LIT("true")) ||
           bytes_equal(f->texts[field], BYTES_LIT("1"));
}

/* http_admin.c: whether the route is one of an operator, and its plan. */
#define HTTP_NODE_PREFIX "/v1/cluster/nodes/"
#define HTTP_KEYSPACE_PREFIX "/v1/keyspaces/"
static inline bool http_admin_has_route(enum http_route route) {
    return route >= HTTP_ROUTE_NODES && route <= HTTP_ROUTE_KEYSPACE;
}
void http_admin_translate(struct http *h, struct buffer *out, struct plan *plan);

#endif
