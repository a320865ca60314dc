#include "proto/http_internal.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "proto/etag.h"
#include "proto/http_admin.h"
#include "proto/http_alias.h"
#include "proto/http_asset.h"
#include "proto/uri.h"

#define KV_PREFIX "/v1/kv/"

#define METHOD(name) (1u << HTTP_##name)
#define READING (METHOD(GET) | METHOD(HEAD))

static const struct route_row {
    const char *path;
    uint32_t methods;  /* METHOD() */
    const char *allow; /* the same as the Allow header has them */
} rows[HTTP_ROUTES] = {
    [HTTP_ROUTE_NONE] = { NULL, 0, "" },
    [HTTP_ROUTE_ALIAS] = { NULL, 0, "" }, /* http_alias.c has the table */
    [HTTP_ROUTE_ASTERISK] = { "*", 0, "OPTIONS" },
    [HTTP_ROUTE_WELCOME] = { "/", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_ASSET] = { HTTP_ASSET_PREFIX, READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_OPENAPI] = { HTTP_ASSET_OPENAPI_PATH, READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_KV] = { KV_PREFIX, READING | METHOD(PUT) | METHOD(DELETE),
                        "GET, HEAD, PUT, DELETE, OPTIONS" },
    [HTTP_ROUTE_BATCH] = { "/v1/batch", METHOD(POST), "POST, OPTIONS" },
    [HTTP_ROUTE_SCAN] = { "/v1/scan", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_CLUSTER] = { "/v1/cluster", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_SLOTS] = { "/v1/cluster/slots", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_FIGURES] = { "/v1/cluster/figures", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_EVENTS] = { "/v1/events", METHOD(GET), "GET, OPTIONS" },
    [HTTP_ROUTE_NODES] = { "/v1/cluster/nodes", METHOD(POST), "POST, OPTIONS" },
    [HTTP_ROUTE_NODE] = { HTTP_NODE_PREFIX, METHOD(PUT) | METHOD(PATCH) | METHOD(DELETE),
                          "PUT, PATCH, DELETE, OPTIONS" },
    [HTTP_ROUTE_LEADER] = { "/v1/cluster/leader", METHOD(POST), "POST, OPTIONS" },
    [HTTP_ROUTE_REPLICAS] = { "/v1/cluster/replicas", METHOD(PUT), "PUT, OPTIONS" },
    [HTTP_ROUTE_PLAN] = { "/v1/cluster/plan", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_CHANGE] = { "/v1/cluster/change", METHOD(POST), "POST, OPTIONS" },
    [HTTP_ROUTE_KEYSPACES] = { "/v1/keyspaces", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_KEYSPACE] = { HTTP_KEYSPACE_PREFIX, READING | METHOD(PUT) | METHOD(DELETE),
                              "GET, HEAD, PUT, DELETE, OPTIONS" },
    [HTTP_ROUTE_HEALTH] = { "/health", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_READY] = { "/ready", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_METRICS] = { "/metrics", READING, "GET, HEAD, OPTIONS" },
    [HTTP_ROUTE_LOG_LEVEL] = { "/v1/node/log-level", READING | METHOD(PUT),
                               "GET, HEAD, PUT, OPTIONS" },
    [HTTP_ROUTE_SLOW_MS] = { "/v1/node/slow-ms", READING | METHOD(PUT), "GET, HEAD, PUT, OPTIONS" },
};

static const char welcome[] =
    "Atoll: a durable key-value store. This node answers; try:\n"
    "\n"
    "  curl -X PUT --data-binary 'hello' http://HOST/v1/kv/greeting\n"
    "  curl http://HOST/v1/kv/greeting\n"
    "  curl -X PUT --data-binary 'gone soon' 'http://HOST/v1/kv/brief?ttl=10s'\n"
    "  curl 'http://HOST/v1/scan?prefix=gre'\n"
    "  curl -d '{\"items\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"greeting\"}]}' "
    "http://HOST/v1/batch\n"
    "  curl -X DELETE http://HOST/v1/kv/greeting\n"
    "  curl http://HOST/v1/cluster\n"
    "  curl http://HOST/v1/keyspaces\n"
    "  curl http://HOST/metrics\n"
    "  curl http://HOST/openapi.json\n"
    "\n"
    "Browsers get a dashboard here.\n"
    "HOST is what you asked, for instance localhost:8080; redis-cli speaks to the same port.\n";

enum http_route http_route_find(struct bytes path) {
    if (bytes_start_with(path, BYTES_LIT(KV_PREFIX))) return HTTP_ROUTE_KV;
    if (bytes_start_with(path, BYTES_LIT(HTTP_ASSET_PREFIX))) return HTTP_ROUTE_ASSET;
    if (bytes_start_with(path, BYTES_LIT(HTTP_NODE_PREFIX))) return HTTP_ROUTE_NODE;
    if (bytes_start_with(path, BYTES_LIT(HTTP_KEYSPACE_PREFIX))) return HTTP_ROUTE_KEYSPACE;
    if (path.len == 0) return HTTP_ROUTE_WELCOME; /* http://host without a path */
    for (size_t i = HTTP_ROUTE_ASTERISK; i < HTTP_ROUTES; i++) {
        if (bytes_equal(path, bytes_of_string(rows[i].path))) return (enum http_route)i;
    }
    return http_alias_is_path(path) ? HTTP_ROUTE_ALIAS : HTTP_ROUTE_NONE;
}

const char *http_route_path(enum http_route route) {
    ASSERT(route < HTTP_ROUTES);
    return rows[route].path;
}

bool http_route_allows(enum http_route route, uint8_t method) {
    ASSERT(route < HTTP_ROUTES);
    return method < 32 && (rows[route].methods >> method & 1) != 0;
}

#define ALLOW_BYTES_MAX 64u

/* The header line; gives its value. */
static const char *print_allow(enum http_route route, char line[ALLOW_BYTES_MAX]) {
    const char *allow = rows[route].allow;
    const int len = snprintf(line, ALLOW_BYTES_MAX, "Allow: %s\r\n", allow);
    ASSERT(len > 0 && len < (int)ALLOW_BYTES_MAX);
    return allow;
}

bool http_route_refuse(const struct http *h, struct buffer *out) {
    if (h->route == HTTP_ROUTE_ALIAS) {
        if (h->alias != NULL) return false;
        http_alias_refuse_method(h, out);
        return true;
    }
    if (h->route == HTTP_ROUTE_NONE && !http_alias_keeps_json(http_bytes_of(h, h->path))) {
        http_reply(out, h->flags, 404, HTTP_TEXT, "", BYTES_LIT("404 page not found\n"));
        return true;
    }
    if (h->route == HTTP_ROUTE_NONE) {
        http_reply_error(out, h->flags, 404, "no_such_path",
                         "there is nothing at this path; GET / shows what there is");
        return true;
    }
    if (http_route_allows(h->route, h->method) || h->method == HTTP_OPTIONS) return false;
    char extra[ALLOW_BYTES_MAX];
    const char *allow = print_allow(h->route, extra);
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"error\":{\"code\":\"method_not_allowed\",\"message\":"
                                 "\"this path takes "));
    buffer_append_string(out, allow);
    buffer_append(out, BYTES_LIT("\"}}\n"));
    http_reply_end(out, mark, h->flags, 405, HTTP_JSON, extra);
    return true;
}

static void fail(const struct http *h, struct buffer *out, uint16_t status, const char *code,
                 const char *message) {
    http_reply_error(out, h->flags, status, code, "%s", message);
}

/* One ETag of ours in a condition header. `weak` lets W/ pass, which proxies add. */
static bool read_etag(const struct http *h, struct bytes text, bool weak, struct buffer *out,
                      struct request *r, struct bytes *ret_text) {
    if (weak && bytes_start_with(text, BYTES_LIT("W/")))
        text = bytes_of(text.ptr + 2, text.len - 2);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"') {
        text = bytes_of(text.ptr + 1, text.len - 2);
        *ret_text = text;
        if (status_ok(etag_parse(text, &r->version))) return true;
    }
    fail(h, out, 400, "bad_etag",
         "If-Match and If-None-Match take * or one version in quotes, as ETag gave it; no list");
    return false;
}

/* If-Match and If-None-Match become the request's condition (RFC 9110 13.1). */
static bool read_conditions(const struct http *h, struct buffer *out, struct request *r,
                            struct plan *plan) {
    const unsigned match = h->field_counts[HTTP_IF_MATCH_FIELD];
    const unsigned none_match = h->field_counts[HTTP_IF_NONE_MATCH_FIELD];
    const bool is_read = r->op == OP_GET;
    struct bytes etag;
    if (match + none_match == 0) return true;
    if (match + none_match > 1) {
        fail(h, out, 400, "bad_condition", "only one If-Match or If-None-Match is understood");
        return false;
    }
    if (!is_read) r->flags |= REQUEST_RETURN_OLD | REQUEST_NO_VALUE;
    if (match == 1) {
        const struct bytes text = http_bytes_of(h, h->fields[HTTP_IF_MATCH_FIELD]);
        plan->dialect |= HTTP_IF_MATCH;
        if (!is_read) r->condition = COND_PRESENT;
        if (bytes_equal(text, BYTES_LIT("*"))) return true;
        if (!read_etag(h, text, false, out, r, &etag)) return false;
        if (!is_read) r->condition = COND_VERSION_IS;
        if (is_read) plan->detail = etag;
        return true;
    }
    const struct bytes text = http_bytes_of(h, h->fields[HTTP_IF_NONE_MATCH_FIELD]);
    if (bytes_equal(text, BYTES_LIT("*"))) {
        if (is_read) plan->dialect |= HTTP_IF_ABSENT;
        if (is_read) r->flags |= REQUEST_NO_VALUE;
        if (!is_read) r->condition = COND_ABSENT;
        return true;
    }
    if (!is_read) {
        fail(h, out, 400, "bad_condition",
             "with PUT and DELETE, If-None-Match may only be *: write if there is no value");
        return false;
    }
    r->condition = COND_VERSION_IS_NOT;
    return read_etag(h, text, true, out, r, &etag);
}

/* The client's token: the version of an earlier reply, as ETag gave it or without quotes. */
static bool read_session(const struct http *h, struct buffer *out, struct request *r) {
    const unsigned count = h->field_counts[HTTP_SESSION_FIELD];
    if (count == 0 || r->op != OP_GET) return true;
    struct bytes text = http_bytes_of(h, h->fields[HTTP_SESSION_FIELD]);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"') {
        text = bytes_of(text.ptr + 1, text.len - 2);
    }
    if (count == 1 && status_ok(etag_parse(text, &r->session))) return true;
    fail(h, out, 400, "bad_session",
         "Atoll-Session takes one version of this key, as ETag or a put gave it");
    return false;
}

static bool read_key(struct http *h, struct buffer *out, struct request *r) {
    const size_t prefix_len = sizeof KV_PREFIX - 1;
    const struct bytes path = http_bytes_of(h, h->path);
    ASSERT(path.len >= prefix_len);
    const struct bytes encoded = bytes_of(path.ptr + prefix_len, path.len - prefix_len);
    uint8_t *room = h->text.ptr + h->text.end;
    if (!status_ok(uri_decode_path(encoded, room, &r->key))) {
        fail(h, out, 400, "bad_escape", "a % in the key must be followed by two hex digits");
        return false;
    }
    if (r->key.ptr == room) buffer_commit(&h->text, r->key.len);
    if (r->key.len < KEY_BYTES_MIN) {
        fail(h, out, 400, "empty_key", "a key has 1 to 65535 bytes: /v1/kv/KEY");
        return false;
    }
    if (r->key.len > KEY_BYTES_MAX) {
        fail(h, out, 414, "key_too_long", "a key has 1 to 65535 bytes");
        return false;
    }
    return true;
}

static void translate_kv(struct http *h, uint64_t now_ms, struct buffer *out, struct plan *plan) {
    struct http_params params = { .given = 0 };
    struct request *r = http_requests(h, 1);
    uint32_t allowed = HTTP_PARAM_KEYSPACE | HTTP_PARAM_LEVEL;
    switch (h->method) {
    case HTTP_PUT:
        *r = (struct request){ .op = OP_PUT, .value = h->body };
        plan->shape = HTTP_SHAPE_PUT;
        allowed |= HTTP_PARAM_TTL | HTTP_PARAM_OP;
        break;
    case HTTP_DELETE:
        *r = (struct request){ .op = OP_DELETE };
        plan->shape = HTTP_SHAPE_DELETE;
        allowed |= HTTP_PARAM_OP;
        break;
    default:
        *r = (struct request){ .op = OP_GET };
        plan->shape = HTTP_SHAPE_GET;
        allowed |= HTTP_PARAM_REPLICAS;
        if (h->method == HTTP_HEAD) r->flags |= REQUEST_NO_VALUE;
        break;
    }
    if (h->query.len > 0 && !http_params_read(h, allowed, out, &params)) return;
    if (!read_key(h, out, r) || !read_conditions(h, out, r, plan)) return;
    if (!read_session(h, out, r)) return;
    if (params.replicas) {
        r->flags = REQUEST_REPLICAS;
        plan->shape = HTTP_SHAPE_REPLICAS;
        plan->detail_number = crc16_slot(r->key);
    }
    r->level = params.level;
    r->level_count = params.level_count;
    r->op_high = params.op_high;
    r->op_low = params.op_low;
    if (params.ttl_ms > 0) {
        r->expiry = EXPIRY_AT;
        r->expires_at_ms = now_ms + params.ttl_ms;
    }
    plan->kind = PLAN_REQUESTS;
    plan->keyspace = params.keyspace;
    plan->request_count = 1;
    plan->requests = r;
}

static void translate_scan(struct http *h, struct buffer *out, struct plan *plan) {
    const uint32_t allowed = HTTP_PARAM_KEYSPACE | HTTP_PARAM_LEVEL | HTTP_PARAM_START |
                             HTTP_PARAM_END | HTTP_PARAM_PREFIX | HTTP_PARAM_LIMIT |
                             HTTP_PARAM_CURSOR | HTTP_PARAM_VALUES;
    struct http_params params;
    struct bytes after = BYTES_NONE;
    if (!http_params_read(h, allowed, out, &params)) return;
    uint8_t *room = h->text.ptr + h->text.end;
    if (params.cursor.len > 0 && !status_ok(http_cursor_decode(params.cursor, room, &after))) {
        fail(h, out, 400, "bad_cursor",
             "the cursor is none of this store; give back what the last answer had, unchanged");
        return;
    }
    if (h->method == HTTP_HEAD) {
        http_reply(out, h->flags, 200, HTTP_JSON, "", BYTES_NONE);
        return;
    }
    struct request *r = http_requests(h, 1);
    *r = (struct request){ .op = OP_SCAN,
                           .level = params.level,
                           .level_count = params.level_count,
                           .start = params.start,
                           .prefix = params.prefix };
    if (params.end.len > 0) {
        r->end = params.end;
        r->has_end = true;
    }
    if (after.len > 0 && bytes_compare(after, r->start) >= 0) {
        r->start = after;
        r->start_exclusive = true;
    }
    if (params.keys_only) {
        r->flags |= REQUEST_NO_VALUE;
        plan->dialect |= HTTP_KEYS_ONLY;
    }
    r->rows_max = params.limit < ROW_PAGE_ROWS_MAX ? params.limit : ROW_PAGE_ROWS_MAX;
    /* The length is not known before the end, and HTTP/1.0 has no chunks. */
    if ((h->flags & HTTP_OLD) != 0) plan->close_after = true;
    plan->kind = PLAN_SCAN;
    plan->shape = HTTP_SHAPE_SCAN;
    plan->keyspace = params.keyspace;
    plan->request_count = 1;
    plan->requests = r;
    plan->rows_wanted = params.limit;
}

/* Whether `text` holds `word` (lower case), whatever the case. */
static bool mentions(struct bytes text, const char *word) {
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (bytes_equal_nocase(bytes_of(text.ptr + i, len), word)) return true;
    }
    return false;
}

bool http_field_mentions(const struct http *h, enum http_field field, const char *word) {
    return h->field_counts[field] > 0 && mentions(http_bytes_of(h, h->fields[field]), word);
}

/* Prometheus asks by Accept; a browser or curl gets JSON. */
static bool accepts_prometheus(const struct http *h) {
    if (http_field_mentions(h, HTTP_ACCEPT_FIELD, "application/openmetrics-text")) return true;
    return http_field_mentions(h, HTTP_ACCEPT_FIELD, "text/plain") &&
           http_field_mentions(h, HTTP_ACCEPT_FIELD, "version=0.0.4");
}

/* A line end, as `echo` and many editors leave it, does no harm. */
static struct bytes body_word(const struct http *h) {
    struct bytes word = h->body;
    while (word.len > 0 && (word.ptr[word.len - 1] == '\n' || word.ptr[word.len - 1] == '\r'))
        word.len--;
    return word;
}

/* The body is the new value. */
static bool read_setting(const struct http *h, struct buffer *out, uint64_t *ret_settings) {
    const struct bytes word = body_word(h);
    enum log_level level = LOG_INFO;
    uint64_t ms = 0;
    if (h->route == HTTP_ROUTE_LOG_LEVEL) {
        if (!log_level_find(word, &level)) {
            fail(h, out, 400, "bad_log_level", "the body must be debug, info, warn or error");
            return false;
        }
        *ret_settings = node_set_level(level);
        return true;
    }
    if (!status_ok(bytes_to_u64(word, &ms)) || ms > NODE_SLOW_NS_MAX / 1000000) {
        fail(h, out, 400, "bad_slow_ms",
             "the body must be a number of milliseconds; 0 = no request is slow");
        return false;
    }
    *ret_settings = node_set_slow(ms * 1000000);
    return true;
}

static void translate_setting(struct http *h, struct buffer *out, struct plan *plan) {
    struct http_params params;
    uint64_t settings = 0;
    const bool puts = h->method == HTTP_PUT;
    if (!http_params_read(h, 0, out, &params)) return;
    if (puts && !read_setting(h, out, &settings)) return;
    plan->kind = PLAN_NODE;
    plan->shape = HTTP_SHAPE_NODE;
    plan->topic = puts ? NODE_SET : NODE_SETTINGS;
    plan->detail_number = settings;
}

static void translate_node(struct http *h, struct buffer *out, struct plan *plan) {
    const bool is_metrics = h->route == HTTP_ROUTE_METRICS;
    struct http_params params;
    if (!http_params_read(h, is_metrics ? HTTP_PARAM_FORMAT : 0, out, &params)) return;
    plan->kind = PLAN_NODE;
    plan->shape = HTTP_SHAPE_NODE;
    switch (h->route) {
    case HTTP_ROUTE_HEALTH: plan->topic = NODE_HEALTH; break;
    case HTTP_ROUTE_READY: plan->topic = NODE_READY; break;
    case HTTP_ROUTE_CLUSTER: plan->topic = NODE_CLUSTER; break;
    case HTTP_ROUTE_SLOTS: plan->topic = NODE_SLOTS; break;
    case HTTP_ROUTE_EVENTS: plan->topic = NODE_EVENTS; break;
    default:
        ASSERT(is_metrics);
        plan->topic = NODE_METRICS;
        if (params.prometheus) plan->topic = NODE_PROMETHEUS;
        if (params.given == 0 && accepts_prometheus(h)) plan->topic = NODE_PROMETHEUS;
        break;
    }
}

static void translate_figures(struct http *h, struct buffer *out, struct plan *plan) {
    struct http_params params;
    if (!http_params_read(h, 0, out, &params)) return;
    struct request *r = http_requests(h, 1);
    *r = (struct request){ .op = OP_FIGURES };
    plan->kind = PLAN_REQUESTS;
    plan->shape = HTTP_SHAPE_FIGURES;
    plan->request_count = 1;
    plan->requests = r;
}

static void translate_batch(struct http *h, uint64_t now_ms, struct buffer *out,
                            struct plan *plan) {
    struct http_params params;
    if (!http_params_read(h, HTTP_PARAM_KEYSPACE | HTTP_PARAM_LEVEL, out, &params)) return;
    http_batch_translate(h, &params, now_ms, out, plan);
}

/* ---- pages of other sites ---- */

static bool changes_something(const struct http *h) {
    if (h->route == HTTP_ROUTE_ALIAS) return http_alias_writes(h);
    return h->method != HTTP_GET && h->method != HTTP_HEAD && h->method != HTTP_OPTIONS;
}

/* There are only so many who may listen. */
static bool holds_something(const struct http *h) {
    return h->route == HTTP_ROUTE_EVENTS;
}

static struct bytes field_of(const struct http *h, enum http_field field) {
    return h->field_counts[field] == 0 ? BYTES_NONE : http_bytes_of(h, h->fields[field]);
}

/* What browsers add by themselves (W3C Fetch Metadata; RFC 6454 section 7): a page may send
 * many a request anywhere, though it cannot read the answer. Programs send neither. */
static bool is_of_another_site(const struct http *h) {
    const struct bytes site = field_of(h, HTTP_FETCH_SITE_FIELD);
    if (site.len > 0 && !bytes_equal(site, BYTES_LIT("same-origin")) &&
        !bytes_equal(site, BYTES_LIT("none")))
        return true;
    const struct bytes origin = field_of(h, HTTP_ORIGIN_FIELD);
    const struct bytes host = field_of(h, HTTP_HOST_FIELD);
    if (origin.len == 0) return false;
    if (origin.len <= host.len + 3) return true;
    const size_t scheme_len = origin.len - host.len - 3;
    return !bytes_equal(bytes_of(origin.ptr + scheme_len, 3), BYTES_LIT("://")) ||
           !bytes_equal(bytes_of(origin.ptr + scheme_len + 3, host.len), host);
}

static void reply_options(const struct http *h, struct buffer *out) {
    char extra[ALLOW_BYTES_MAX];
    (void)print_allow(h->route, extra);
    http_reply(out, h->flags, 204, NULL, extra, BYTES_NONE);
}

void http_translate(struct http *h, uint64_t now_ms, struct buffer *out, struct plan *ret_plan) {
    ASSERT(h->phase == HTTP_AT_END);
    *ret_plan = (struct plan){ .kind = PLAN_REPLIED,
                               .dialect = h->flags,
                               .close_after = (h->flags & HTTP_CLOSE) != 0 };
    http_batch_release(h);
    if (http_route_refuse(h, out)) return;
    if (h->method == HTTP_OPTIONS) {
        reply_options(h, out);
        return;
    }
    if ((changes_something(h) || holds_something(h)) && is_of_another_site(h)) {
        fail(h, out, 403, "other_site",
             "a page of another site may not change anything here, nor listen");
        return;
    }
    /* Decoded keys and parameters, then a decoded cursor: each no longer than the target. */
    const bool reads_body = h->route == HTTP_ROUTE_BATCH || h->route == HTTP_ROUTE_ALIAS;
    const size_t body_len = reads_body ? h->body.len : 0;
    http_scratch(h, 2 * (size_t)h->target.len + body_len + 16);
    if (http_admin_has_route(h->route)) {
        http_admin_translate(h, out, ret_plan);
        return;
    }
    switch (h->route) {
    case HTTP_ROUTE_KV: translate_kv(h, now_ms, out, ret_plan); break;
    case HTTP_ROUTE_ALIAS: http_alias_translate(h, now_ms, out, ret_plan); break;
    case HTTP_ROUTE_BATCH: translate_batch(h, now_ms, out, ret_plan); break;
    case HTTP_ROUTE_SCAN: translate_scan(h, out, ret_plan); break;
    case HTTP_ROUTE_LOG_LEVEL:
    case HTTP_ROUTE_SLOW_MS: translate_setting(h, out, ret_plan); break;
    case HTTP_ROUTE_FIGURES: translate_figures(h, out, ret_plan); break;
    case HTTP_ROUTE_OPENAPI:
    case HTTP_ROUTE_ASSET: http_asset_reply(h, out); break;
    case HTTP_ROUTE_WELCOME:
        if (http_asset_wants_page(h)) {
            http_asset_reply(h, out);
            break;
        }
        http_reply(out, h->flags, 200, HTTP_TEXT, "Vary: Accept\r\n",
                   bytes_of(welcome, sizeof welcome - 1));
        break;
    default: translate_node(h, out, ret_plan); break;
    }
}
