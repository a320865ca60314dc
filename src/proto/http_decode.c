#include "proto/http_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "proto/http_alias.h"

#define SCRATCH_BYTES_KEPT (64u * 1024) /* a connection that waits keeps no more than this */
#define REQUESTS_KEPT 16u
#define CONTINUE_REPLY "HTTP/1.1 100 Continue\r\n\r\n"

static struct http_span span_of(const struct http *h, const char *at, size_t len) {
    const size_t offset = (size_t)((const uint8_t *)at - h->in.ptr);
    ASSERT(offset + len <= h->in.len);
    return (struct http_span){ .offset = (uint32_t)offset, .len = (uint32_t)len };
}

static int on_target(llhttp_t *parser, const char *at, size_t len) {
    struct http *h = parser->data;
    h->target = span_of(h, at, len);
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len) {
    struct http *h = parser->data;
    const struct bytes name = bytes_of(at, len);
    h->field = HTTP_FIELDS;
    switch (len) {
    case 4:
        if (bytes_equal_nocase(name, "host")) h->field = HTTP_HOST_FIELD;
        break;
    case 6:
        if (bytes_equal_nocase(name, "accept")) h->field = HTTP_ACCEPT_FIELD;
        if (bytes_equal_nocase(name, "expect")) h->field = HTTP_EXPECT_FIELD;
        if (bytes_equal_nocase(name, "origin")) h->field = HTTP_ORIGIN_FIELD;
        break;
    case 8:
        if (bytes_equal_nocase(name, "if-match")) h->field = HTTP_IF_MATCH_FIELD;
        break;
    case 13:
        if (bytes_equal_nocase(name, "if-none-match")) h->field = HTTP_IF_NONE_MATCH_FIELD;
        if (bytes_equal_nocase(name, "atoll-session")) h->field = HTTP_SESSION_FIELD;
        break;
    case 14:
        if (bytes_equal_nocase(name, "sec-fetch-site")) h->field = HTTP_FETCH_SITE_FIELD;
        break;
    case 15:
        if (bytes_equal_nocase(name, "accept-encoding")) h->field = HTTP_ENCODING_FIELD;
        break;
    default: break;
    }
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len) {
    struct http *h = parser->data;
    if (h->field == HTTP_FIELDS) return 0;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t')) len--;
    h->fields[h->field] = span_of(h, at, len);
    if (h->field_counts[h->field] < UINT8_MAX) h->field_counts[h->field]++;
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    struct http *h = parser->data;
    h->headers_complete = true;
    h->method = parser->method;
    h->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

static void begin(struct http *h) {
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    h->parser.data = h;
    h->phase = HTTP_AT_HEAD;
    h->guard = (struct http_guard){ .start = 0 };
    h->chunk = (struct http_chunk){ .at = 0 };
    h->headers_complete = false;
    h->field = HTTP_FIELDS;
    h->target = h->path = h->query = (struct http_span){ 0, 0 };
    memset(h->fields, 0, sizeof h->fields);
    memset(h->field_counts, 0, sizeof h->field_counts);
    h->body = BYTES_NONE;
    buffer_shrink(&h->gathered, SCRATCH_BYTES_KEPT);
}

struct http *http_create(uint64_t value_bytes_max) {
    ASSERT(value_bytes_max > 0);
    ASSERT(value_bytes_max <= VALUE_BYTES_MAX);
    struct http *h = mem_alloc_zeroed(sizeof *h);
    h->value_bytes_max = value_bytes_max;
    buffer_init(&h->gathered, HTTP_BODY_BYTES_MAX);
    buffer_init(&h->text, HTTP_REQUEST_BYTES_MAX);
    begin(h);
    return h;
}

void http_destroy(struct http *h) {
    if (h == NULL) return;
    http_batch_release(h);
    buffer_deinit(&h->gathered);
    buffer_deinit(&h->text);
    mem_free(h->requests);
    mem_free(h);
}

void http_set_get_json(struct http *h, bool get_json) {
    h->get_json = get_json;
}

struct request *http_requests(struct http *h, uint32_t count) {
    ASSERT(count > 0);
    ASSERT(count <= PLAN_REQUESTS_MAX);
    if (count > h->requests_capacity || h->requests_capacity > count + REQUESTS_KEPT) {
        mem_free(h->requests);
        h->requests_capacity = count;
        h->requests = mem_alloc(count * sizeof *h->requests);
    }
    memset(h->requests, 0, count * sizeof *h->requests);
    return h->requests;
}

uint8_t *http_scratch(struct http *h, size_t bytes) {
    buffer_shrink(&h->text, bytes > SCRATCH_BYTES_KEPT ? bytes : SCRATCH_BYTES_KEPT);
    uint8_t *room = buffer_reserve(&h->text, bytes + 1);
    ASSERT(room != NULL);
    return room;
}

static struct status refuse(struct http *h, struct http_fault fault, struct buffer *out) {
    h->phase = HTTP_BROKEN;
    http_reply_error(out, HTTP_CLOSE, fault.status, fault.code, "%s", fault.message);
    return status_of(ST_INVALID);
}

static struct status refuse_as(struct http *h, uint16_t status, const char *code,
                               const char *message, struct buffer *out) {
    return refuse(h, (struct http_fault){ status, code, message }, out);
}

/* Cut the target into path and query; an absolute form loses its scheme and host. */
static void split_target(struct http *h) {
    struct http_span path = h->target;
    const struct bytes target = http_bytes_of(h, path);
    if (target.len > 0 && target.ptr[0] == 'h') {
        const size_t scheme_len = sizeof "http://" - 1;
        size_t at = scheme_len;
        while (at < target.len && target.ptr[at] != '/' && target.ptr[at] != '?') at++;
        path.offset += (uint32_t)at;
        path.len -= (uint32_t)at;
    }
    const struct bytes rest = http_bytes_of(h, path);
    const uint8_t *mark = rest.len == 0 ? NULL : memchr(rest.ptr, '?', rest.len);
    h->path = path;
    if (mark != NULL) {
        h->path.len = (uint32_t)(mark - rest.ptr);
        h->query.offset = path.offset + h->path.len + 1;
        h->query.len = path.len - h->path.len - 1;
    }
}

/* Run llhttp over the block that the guard let pass, and see that both read it alike. */
static struct status parse_head(struct http *h, struct buffer *out) {
    const struct http_guard *g = &h->guard;
    const char *block = (const char *)h->in.ptr + g->start;
    const llhttp_errno_t code = llhttp_execute(&h->parser, block, g->line - g->start);
    if (!h->headers_complete) {
        if (code == HPE_INVALID_METHOD) {
            return refuse_as(h, 501, "not_implemented", "this method is not known", out);
        }
        return refuse_as(h, 400, "bad_request", "the request line or a header is malformed", out);
    }
    const bool parser_chunked = (h->parser.flags & F_CHUNKED) != 0;
    const uint64_t parser_length =
        (h->parser.flags & F_CONTENT_LENGTH) != 0 ? h->parser.content_length : 0;
    if (parser_chunked != g->chunked || parser_length != g->length || h->parser.http_major != 1 ||
        h->parser.http_minor != g->minor) {
        return refuse_as(h, 400, "bad_request", "the headers can be read in two ways", out);
    }
    split_target(h);
    h->route = http_route_find(http_bytes_of(h, h->path));
    h->alias =
        h->route == HTTP_ROUTE_ALIAS ? http_alias_find(http_bytes_of(h, h->path), h->method) : NULL;
    h->flags = (uint8_t)((h->method == HTTP_HEAD ? HTTP_HEAD_ONLY : 0u) |
                         (g->minor == 0 ? HTTP_OLD : 0u) | (h->keep_alive ? 0u : HTTP_CLOSE));
    return status_of(ST_OK);
}

static uint64_t body_bytes_max(const struct http *h) {
    if (h->route == HTTP_ROUTE_ALIAS) return http_alias_body_bytes_max(h);
    if (!http_route_allows(h->route, h->method)) return HTTP_BODY_OTHER_BYTES_MAX;
    if (h->route == HTTP_ROUTE_KV && h->method == HTTP_PUT) return h->value_bytes_max;
    if (h->route == HTTP_ROUTE_BATCH && h->method == HTTP_POST) return HTTP_BODY_BYTES_MAX;
    return HTTP_BODY_OTHER_BYTES_MAX;
}

/* The body is too large. A wrong path or method is the better answer, if it is that. */
static struct status refuse_body(struct http *h, struct buffer *out) {
    h->phase = HTTP_BROKEN;
    h->flags |= HTTP_CLOSE;
    if (http_route_refuse(h, out)) return status_of(ST_INVALID);
    if (h->route == HTTP_ROUTE_ALIAS) {
        http_alias_reply_error(out, h->flags, h->alias->style, 413, "the body is too large\n");
        return status_of(ST_INVALID);
    }
    const bool is_value = h->route == HTTP_ROUTE_KV && h->method == HTTP_PUT;
    http_reply_error(out, h->flags, 413, is_value ? "value_too_large" : "body_too_large",
                     "the body may have at most %llu bytes here",
                     (unsigned long long)h->body_bytes_max);
    return status_of(ST_INVALID);
}

static struct status choose_body(struct http *h, struct buffer *out) {
    const bool has_body = h->guard.chunked || h->guard.length > 0;
    h->head_bytes = h->guard.line;
    h->body_bytes_max = body_bytes_max(h);
    if (h->guard.length > h->body_bytes_max) return refuse_body(h, out);
    if (h->field_counts[HTTP_EXPECT_FIELD] > 0 && h->guard.minor == 1) {
        const struct bytes expect = http_bytes_of(h, h->fields[HTTP_EXPECT_FIELD]);
        if (h->field_counts[HTTP_EXPECT_FIELD] > 1 || !bytes_equal_nocase(expect, "100-continue")) {
            return refuse_as(h, 417, "expectation_failed", "only Expect: 100-continue is known",
                             out);
        }
        const bool nothing_here = h->in.len == h->head_bytes;
        if (has_body && nothing_here) buffer_append(out, BYTES_LIT(CONTINUE_REPLY));
    }
    h->phase = h->guard.chunked ? HTTP_AT_CHUNKS : HTTP_AT_BODY;
    return status_of(ST_OK);
}

static struct status decode_head(struct http *h, struct buffer *out) {
    const struct status s = http_guard_step(&h->guard, h->in);
    if (s.code == ST_INVALID) return refuse(h, h->guard.fault, out);
    TRY(s);
    TRY(parse_head(h, out));
    return choose_body(h, out);
}

static struct status decode_chunks(struct http *h, struct buffer *out, size_t *ret_need) {
    const struct bytes coded = bytes_of(h->in.ptr + h->head_bytes, h->in.len - h->head_bytes);
    const struct status s = http_chunk_step(&h->chunk, coded, h->body_bytes_max, &h->gathered);
    if (s.code == ST_INVALID && h->chunk.fault.status == 413) return refuse_body(h, out);
    if (s.code == ST_INVALID) return refuse(h, h->chunk.fault, out);
    if (s.code == ST_WAIT) {
        const size_t known = h->head_bytes + h->chunk.at + (size_t)h->chunk.remaining + 2;
        *ret_need = known > h->in.len ? known : h->in.len + 1;
    }
    TRY(s);
    ASSERT(!h->gathered.overflowed);
    h->body = buffer_bytes(&h->gathered);
    return status_of(ST_OK);
}

STATUS http_decode(struct http *h, struct bytes in, struct buffer *out, size_t *ret_consumed,
                   size_t *ret_need) {
    *ret_need = 0;
    if (h->phase == HTTP_BROKEN) return status_of(ST_INVALID);
    if (h->phase == HTTP_AT_END) begin(h);
    h->in = in;
    if (h->phase == HTTP_AT_HEAD) TRY(decode_head(h, out));

    ASSERT(in.len >= h->head_bytes);
    size_t consumed = h->head_bytes;
    if (h->phase == HTTP_AT_BODY) {
        const size_t length = (size_t)h->guard.length;
        *ret_need = h->head_bytes + length;
        if (in.len - h->head_bytes < length) return status_of(ST_WAIT);
        h->body = bytes_of(in.ptr + h->head_bytes, length);
        consumed += length;
    } else {
        ASSERT(h->phase == HTTP_AT_CHUNKS);
        TRY(decode_chunks(h, out, ret_need));
        consumed += h->chunk.at;
    }
    h->phase = HTTP_AT_END;
    *ret_consumed = consumed;
    return status_of(ST_OK);
}
