#include "proto/http_internal.h"

#include "base/assert.h"
#include "proto/etag.h"
#include "proto/http_alias.h"

/* Replies on the hot path are put together without printf, into room taken once. */
#define HEAD_BYTES_MAX 512u

struct writer {
    uint8_t *p; /* next free byte; the room is known to suffice */
};

static void put(struct writer *w, struct bytes text) {
    memcpy(w->p, text.ptr, text.len);
    w->p += text.len;
}
#define PUT(w, literal) put((w), BYTES_LIT(literal))

static void put_number(struct writer *w, uint64_t value) {
    uint8_t digits[20];
    size_t start = sizeof digits;
    do {
        digits[--start] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(w, bytes_of(digits + start, sizeof digits - start));
}

static void put_version(struct writer *w, struct ballot version) {
    w->p += etag_print(version, w->p);
}

static void put_etag_line(struct writer *w, struct ballot version) {
    PUT(w, "ETag: \"");
    put_version(w, version);
    PUT(w, "\"\r\n");
}

static void put_expiry_line(struct writer *w, uint64_t expires_at_ms) {
    if (expires_at_ms == 0) return;
    PUT(w, "Atoll-Expires-At: ");
    put_number(w, expires_at_ms);
    PUT(w, "\r\n");
}

static void put_acks_line(struct writer *w, const struct response *response) {
    if (response->replicas == 0) return;
    PUT(w, "Atoll-Acks: ");
    put_number(w, response->acks);
    PUT(w, "/");
    put_number(w, response->replicas);
    PUT(w, "\r\n");
}

static void put_connection_line(struct writer *w, uint8_t flags) {
    if ((flags & (HTTP_CLOSE | HTTP_OLD)) == 0) return;
    if ((flags & HTTP_CLOSE) != 0) {
        PUT(w, "Connection: close\r\n");
    } else {
        PUT(w, "Connection: keep-alive\r\n");
    }
}

static void commit(struct buffer *out, const uint8_t *start, const struct writer *w) {
    buffer_commit(out, (size_t)(w->p - start));
}

static void reply_value(const struct plan *plan, const struct response *response,
                        struct buffer *out) {
    const bool with_body = (plan->dialect & HTTP_HEAD_ONLY) == 0;
    const size_t body_len = with_body ? response->value.len : 0;
    uint8_t *start = buffer_reserve(out, HEAD_BYTES_MAX + body_len);
    if (start == NULL) return;
    struct writer w = { start };
    PUT(&w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n");
    put_etag_line(&w, response->version);
    put_expiry_line(&w, response->expires_at_ms);
    put_acks_line(&w, response);
    put_connection_line(&w, plan->dialect);
    PUT(&w, "Content-Length: ");
    put_number(&w, with_body ? response->value.len : response->value_len);
    PUT(&w, "\r\n\r\n");
    ASSERT((size_t)(w.p - start) <= HEAD_BYTES_MAX);
    if (body_len > 0) put(&w, response->value);
    commit(out, start, &w);
}

static void reply_not_modified(const struct plan *plan, const struct response *response,
                               struct buffer *out) {
    uint8_t *start = buffer_reserve(out, HEAD_BYTES_MAX);
    if (start == NULL) return;
    struct writer w = { start };
    PUT(&w, "HTTP/1.1 304 Not Modified\r\nCache-Control: no-cache\r\n");
    if (!ballot_is_zero(response->version)) put_etag_line(&w, response->version);
    put_acks_line(&w, response);
    put_connection_line(&w, plan->dialect);
    PUT(&w, "\r\n");
    commit(out, start, &w);
}

static void reply_written(const struct plan *plan, const struct response *response,
                          struct buffer *out) {
    uint8_t *start = buffer_reserve(out, HEAD_BYTES_MAX);
    if (start == NULL) return;
    uint8_t version[BALLOT_TEXT_BYTES];
    const struct bytes text = bytes_of(version, etag_print(response->version, version));
    const size_t frame_len = sizeof "{\"version\":\"\"}\n" - 1;
    struct writer w = { start };
    PUT(&w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            "X-Content-Type-Options: nosniff\r\nETag: \"");
    put(&w, text);
    PUT(&w, "\"\r\n");
    put_acks_line(&w, response);
    put_connection_line(&w, plan->dialect);
    PUT(&w, "Content-Length: ");
    put_number(&w, frame_len + text.len);
    PUT(&w, "\r\n\r\n{\"version\":\"");
    put(&w, text);
    PUT(&w, "\"}\n");
    ASSERT((size_t)(w.p - start) <= HEAD_BYTES_MAX);
    commit(out, start, &w);
}

/* The ETag is the version of the tombstone, which a later read can ask to see. */
static void reply_deleted(const struct plan *plan, const struct response *response,
                          struct buffer *out) {
    uint8_t *start = buffer_reserve(out, HEAD_BYTES_MAX);
    if (start == NULL) return;
    struct writer w = { start };
    PUT(&w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            "X-Content-Type-Options: nosniff\r\n");
    if (!ballot_is_zero(response->version)) put_etag_line(&w, response->version);
    put_acks_line(&w, response);
    put_connection_line(&w, plan->dialect);
    if (response->outcome == OUT_OK && response->existed) {
        PUT(&w, "Content-Length: 17\r\n\r\n{\"existed\":true}\n");
    } else {
        PUT(&w, "Content-Length: 18\r\n\r\n{\"existed\":false}\n");
    }
    ASSERT((size_t)(w.p - start) <= HEAD_BYTES_MAX);
    commit(out, start, &w);
}

/* 412, with the version that is there instead; none is there if nothing was found. */
static void reply_condition_failed(const struct plan *plan, const struct response *response,
                                   struct buffer *out) {
    const bool is_there = response->outcome != OUT_NOT_FOUND && !ballot_is_zero(response->version);
    const struct response failed = { .outcome = OUT_CONDITION_FAILED };
    char extra[BALLOT_TEXT_BYTES + sizeof "ETag: \"\"\r\n" + HTTP_ACKS_LINE_BYTES];
    struct writer w = { (uint8_t *)extra };
    if (is_there) put_etag_line(&w, response->version);
    put_acks_line(&w, response);
    *w.p = '\0';
    ASSERT((size_t)(w.p - (uint8_t *)extra) < sizeof extra);
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"error\":"));
    http_append_outcome(out, &failed, true);
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, plan->dialect, 412, HTTP_JSON, extra);
}

static void encode_get(const struct plan *plan, const struct response *response,
                       struct buffer *out) {
    uint8_t version[BALLOT_TEXT_BYTES];
    switch (response->outcome) {
    case OUT_OK: break;
    case OUT_NOT_MODIFIED: reply_not_modified(plan, response, out); return;
    case OUT_NOT_FOUND:
        if ((plan->dialect & HTTP_IF_MATCH) != 0) {
            reply_condition_failed(plan, response, out);
            return;
        }
        http_reply_outcome(out, plan->dialect, response, false);
        return;
    default: http_reply_outcome(out, plan->dialect, response, false); return;
    }
    if (plan->detail.len > 0 &&
        !bytes_equal(plan->detail, bytes_of(version, etag_print(response->version, version)))) {
        reply_condition_failed(plan, response, out);
        return;
    }
    if ((plan->dialect & HTTP_IF_ABSENT) != 0) {
        reply_not_modified(plan, response, out);
        return;
    }
    reply_value(plan, response, out);
}

static void encode_write(const struct plan *plan, const struct response *response,
                         struct buffer *out) {
    const bool is_delete = plan->shape == HTTP_SHAPE_DELETE;
    const bool if_match = (plan->dialect & HTTP_IF_MATCH) != 0;
    switch (response->outcome) {
    case OUT_OK:
        if (is_delete) reply_deleted(plan, response, out);
        if (!is_delete) reply_written(plan, response, out);
        break;
    case OUT_NOT_FOUND:
        if (is_delete && !if_match) reply_deleted(plan, response, out);
        if (!is_delete || if_match) reply_condition_failed(plan, response, out);
        break;
    case OUT_CONDITION_FAILED: reply_condition_failed(plan, response, out); break;
    default: http_reply_outcome(out, plan->dialect, response, true); break;
    }
}

void http_encode(const struct plan *plan, const struct response *responses, uint64_t now_ms,
                 struct buffer *out) {
    ASSERT(plan->kind == PLAN_REQUESTS);
    ASSERT(plan->request_count > 0);
    switch (plan->shape) {
    case HTTP_SHAPE_GET: encode_get(plan, responses, out); break;
    case HTTP_SHAPE_PUT:
    case HTTP_SHAPE_DELETE: encode_write(plan, responses, out); break;
    case HTTP_SHAPE_ALIAS: http_alias_encode(plan, responses, out); break;
    case HTTP_SHAPE_FIGURES: http_figures_encode(plan, responses, out); break;
    case HTTP_SHAPE_REPLICAS: http_replicas_encode(plan, responses, now_ms, out); break;
    default:
        ASSERT(plan->shape == HTTP_SHAPE_BATCH);
        http_batch_encode(plan, responses, out);
        break;
    }
}
