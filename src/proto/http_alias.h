/* http_alias.h - the paths of five older stores, as further names of the same operations.
 *
 * http_alias.c has the one table: path and method give an operation, where its key, value
 * and lifetime come from, and the style of the answer. Nothing is done twice: the requests
 * are those of /v1, only the words around them differ. docs/compatibility.md is the
 * contract, byte for byte.
 *
 * Owner    as http_internal.h
 * Memory   fields are views of the target, of the body, of the session's scratch text or of
 *          its parsed JSON, until the next translate
 * Failure  an error is answered as the older store did: text, and a newline
 */
#ifndef ATOLL_PROTO_HTTP_ALIAS_H
#define ATOLL_PROTO_HTTP_ALIAS_H

#include "proto/http_alias_fields.h"
#include "proto/http_internal.h"

enum alias_action {
    ALIAS_READ,
    ALIAS_WRITE,
    ALIAS_ERASE,
    ALIAS_WRITE_MANY,
    ALIAS_SCAN,
    ALIAS_NODE,  /* answered from the node's view: members, figures */
    ALIAS_ADMIN, /* of members: to add or remove one */
};

enum alias_source {
    ALIAS_FROM_QUERY,
    ALIAS_FROM_JSON,         /* the body */
    ALIAS_FROM_JSON_OR_FORM, /* the body; a form if it does not begin like JSON */
};

/* Which answer to make; plan->detail_number of a plan with HTTP_SHAPE_ALIAS. */
enum alias_style {
    STYLE_KVSTORE_GET, /* detail: the key, which is in the answer */
    STYLE_KVSTORE_PUT,
    STYLE_KVSTORE_DELETE,
    STYLE_PROXY_PUT,
    STYLE_PROXY_GET,
    STYLE_SET,
    STYLE_SET_TTL,
    STYLE_GET,
    STYLE_GET_JSON,
    STYLE_PUT,
    STYLE_BATCH,
    STYLE_SCAN,
    STYLE_DELETE,
    STYLE_LIST_NODES,
    STYLE_ADD_NODE, /* detail, of this one and the next three: the address as it was given */
    STYLE_REMOVE_NODE,
    STYLE_ADD_SERVER,
    STYLE_REMOVE_SERVER,
    STYLE_DASHBOARD,
    ALIAS_STYLES,
};

/* The texts of a style. Those of errors end in a newline here, as they are sent. */
struct alias_words {
    uint16_t status;         /* of success */
    const char *type;        /* content type of success; NULL = none is sent */
    const char *body;        /* of success, where it is always the same */
    const char *no_key;      /* 400; NULL = an empty key is one that is not there */
    const char *no_value;    /* 400; NULL = the value is then empty */
    const char *bad_body;    /* 400; NULL = what is wrong with the JSON, as Go says it */
    const char *absent;      /* 404 */
    const char *unavailable; /* 503; NULL = the outcome's own message */
    const char *bad_method;  /* 405; NULL = the usual */
    bool is_write;
};

struct alias_row {
    const char *path;
    uint32_t methods; /* bits, 1 << HTTP_x */
    enum alias_action action;
    enum alias_source source;
    enum alias_style style;
    uint32_t fields; /* ALIAS_FIELD bits that are looked at */
};

#define ALIAS_BAD_TTL "Invalid TTL value\n"

/* http_alias.c */
bool http_alias_is_path(struct bytes path);
/* The path of row `i` of the table, several rows may have the same; NULL past the last. */
const char *http_alias_path(uint32_t i);
/* The row of this path and method; NULL if the path does not take the method. */
const struct alias_row *http_alias_find(struct bytes path, uint8_t method);
/* Whether a path that nothing is at is answered in the API's own JSON, not as Go does. */
bool http_alias_keeps_json(struct bytes path);
/* Whether the request of a known row can change anything. Requires  h->alias */
bool http_alias_writes(const struct http *h);
uint64_t http_alias_body_bytes_max(const struct http *h);
/* Answer 405. */
void http_alias_refuse_method(const struct http *h, struct buffer *out);
void http_alias_translate(struct http *h, uint64_t now_ms, struct buffer *out, struct plan *plan);

/* http_alias_reply.c */
const struct alias_words *http_alias_words(enum alias_style style);
/* A text, as Go's http.Error sends it; `text` ends in its own newline. In JSON for a style
 * that answers in JSON. */
void http_alias_reply_error(struct buffer *out, uint8_t flags, enum alias_style style,
                            uint16_t status, const char *text);
void http_alias_encode(const struct plan *plan, const struct response *responses,
                       struct buffer *out);
void http_alias_encode_refusal(const struct plan *plan, const struct response *response,
                               struct buffer *out);
/* One member of the object that a scan is answered with. */
void http_alias_append_row(const struct row *row, struct buffer *out);

/* http_alias_node.c */
void http_alias_encode_node(const struct plan *plan, const struct node_view *view,
                            struct buffer *out);
/* The answer to a plan to add or remove a member. */
void http_alias_encode_admin(const struct plan *plan, const struct admin_reply *reply,
                             struct buffer *out);

#endif
