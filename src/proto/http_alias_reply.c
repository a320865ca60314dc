#include "proto/http_alias.h"

#include <stdio.h>

#include "base/assert.h"
#include "proto/json_text.h"

/* clang-format off */
static const struct alias_words words[ALIAS_STYLES] = {
    [STYLE_KVSTORE_GET] = { .status = 200, .type = HTTP_JSON, .no_key = "missing key in query\n",
        .absent = "key not found\n", .bad_method = "unsupported HTTP method\n" },
    [STYLE_KVSTORE_PUT] = { .status = 201, .body = "", .is_write = true,
        .no_key = "missing key or value in request body\n",
        .no_value = "missing key or value in request body\n",
        .bad_body = "invalid request body\n" },
    [STYLE_KVSTORE_DELETE] = { .status = 204, .body = "", .is_write = true,
        .no_key = "missing key in query\n" },
    [STYLE_PROXY_PUT] = { .status = 200, .type = HTTP_JSON, .body = "", .is_write = true,
        .no_key = "the key is empty\n" },
    [STYLE_PROXY_GET] = { .status = 200, .type = HTTP_JSON, .bad_body = "unable to decode\n",
        .absent = "key not found\n" },
    [STYLE_SET] = { .status = 200, .type = HTTP_JSON, .body = "{\"status\":\"success\"}\n",
        .is_write = true, .no_key = "Key required\n" },
    [STYLE_SET_TTL] = { .status = 200, .type = HTTP_TEXT, .body = "OK", .is_write = true,
        .no_key = "Key required\n" },
    [STYLE_GET] = { .status = 200, .type = HTTP_TEXT, .no_key = "Key required\n",
        .absent = "Key not found\n", .unavailable = "Read Quorum Not Met\n" },
    [STYLE_GET_JSON] = { .status = 200, .type = HTTP_JSON, .no_key = "Key required\n",
        .absent = "Key not found\n", .unavailable = "Read Quorum Not Met\n" },
    [STYLE_PUT] = { .status = 200, .type = HTTP_TEXT, .body = "OK", .is_write = true,
        .no_key = "Bad Request\n", .bad_body = "Bad Request\n",
        .unavailable = "Quorum Failed\n" },
    [STYLE_BATCH] = { .status = 200, .type = HTTP_TEXT, .body = "Batch Processed",
        .is_write = true, .no_key = "Bad Request\n", .bad_body = "Bad Request\n" },
    [STYLE_SCAN] = { .status = 200, .type = HTTP_JSON },
    [STYLE_DELETE] = { .status = 200, .type = HTTP_TEXT, .body = "Deleted", .is_write = true,
        .no_key = "Key required\n", .unavailable = "Delete Failed\n" },
    [STYLE_LIST_NODES] = { .status = 200, .type = HTTP_TEXT },
    [STYLE_ADD_NODE] = { .status = 200, .type = HTTP_TEXT, .no_key = "missing address\n" },
    [STYLE_REMOVE_NODE] = { .status = 200, .type = HTTP_TEXT, .no_key = "missing address\n" },
    [STYLE_ADD_SERVER] = { .status = 200, .type = HTTP_JSON, .body = "",
        .no_key = "unable to decode the serverInfo\n",
        .bad_body = "unable to decode the serverInfo\n" },
    [STYLE_REMOVE_SERVER] = { .status = 200, .type = HTTP_JSON, .body = "",
        .no_key = "unable to decode the serverInfo\n",
        .bad_body = "unable to decode the serverInfo\n" },
    [STYLE_DASHBOARD] = { .status = 200, .type = HTTP_JSON },
};
/* clang-format on */

const struct alias_words *http_alias_words(enum alias_style style) {
    ASSERT(style < ALIAS_STYLES);
    ASSERT(words[style].status != 0);
    return &words[style];
}

static void reply_error(struct buffer *out, uint8_t flags, enum alias_style style, uint16_t status,
                        const char *extra, struct bytes text) {
    ASSERT(text.len > 0 && text.ptr[text.len - 1] == '\n');
    if (style != STYLE_GET_JSON) {
        http_reply(out, flags, status, HTTP_TEXT, extra, text);
        return;
    }
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"error\":"));
    json_text_append_go(out, bytes_of(text.ptr, text.len - 1));
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, flags, status, HTTP_JSON, extra);
}

void http_alias_reply_error(struct buffer *out, uint8_t flags, enum alias_style style,
                            uint16_t status, const char *text) {
    reply_error(out, flags, style, status, "", bytes_of_string(text));
}

/* What failed for any reason but an absent key. */
static void reply_failed(const struct plan *plan, const struct response *response,
                         struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    const struct alias_words *w = http_alias_words(style);
    const uint16_t status = http_outcome_status(response->outcome);
    const bool maybe = http_outcome_is_maybe(response, w->is_write);
    char acks[HTTP_ACKS_LINE_BYTES];
    char extra[HTTP_ACKS_LINE_BYTES + sizeof "Retry-After: 1\r\n"];
    char text[256];
    ASSERT(status >= 400);
    snprintf(extra, sizeof extra, "%s%s", http_print_acks(response, acks),
             status == 503 ? "Retry-After: 1\r\n" : "");
    const int len =
        status == 503 && w->unavailable != NULL
            ? snprintf(text, sizeof text, "%s", w->unavailable)
            : snprintf(text, sizeof text, "%s%s\n", http_outcome_message(response->outcome),
                       maybe ? "; the write may or may not have happened" : "");
    ASSERT(len > 0 && (size_t)len < sizeof text);
    reply_error(out, plan->dialect, style, status, extra, bytes_of(text, (size_t)len));
}

static void append_member(struct buffer *out, const char *name, struct bytes value) {
    buffer_append_string(out, name);
    json_text_append_go(out, value);
}

static void reply_value(const struct plan *plan, const struct response *response,
                        struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    const struct alias_words *w = http_alias_words(style);
    const size_t mark = http_reply_begin(out);
    switch (style) {
    case STYLE_KVSTORE_GET:
        append_member(out, "{\"key\":", plan->detail);
        append_member(out, ",\"value\":", response->value);
        buffer_append(out, BYTES_LIT("}\n"));
        break;
    case STYLE_PROXY_GET:
        append_member(out, "", response->value);
        buffer_append_u8(out, '\n');
        break;
    case STYLE_GET_JSON:
        append_member(out, "{\"value\":", response->value);
        buffer_append(out, BYTES_LIT("}\n"));
        break;
    default:
        ASSERT(style == STYLE_GET);
        http_reply(out, plan->dialect, w->status, w->type, "", response->value);
        return;
    }
    http_reply_end(out, mark, plan->dialect, w->status, w->type, "");
}

static void encode_batch(const struct plan *plan, const struct response *responses,
                         struct buffer *out) {
    const struct alias_words *w = http_alias_words(STYLE_BATCH);
    uint32_t failures = 0;
    for (uint32_t i = 0; i < plan->request_count; i++) failures += responses[i].outcome != OUT_OK;
    if (failures == 0) {
        http_reply(out, plan->dialect, w->status, w->type, "", bytes_of_string(w->body));
        return;
    }
    char text[64];
    const int len = snprintf(text, sizeof text, "Batch finished with %u failures\n", failures);
    ASSERT(len > 0 && (size_t)len < sizeof text);
    http_reply(out, plan->dialect, 500, HTTP_TEXT, "", bytes_of(text, (size_t)len));
}

void http_alias_encode(const struct plan *plan, const struct response *responses,
                       struct buffer *out) {
    const enum alias_style style = (enum alias_style)plan->detail_number;
    const struct alias_words *w = http_alias_words(style);
    if (style == STYLE_BATCH) {
        encode_batch(plan, responses, out);
        return;
    }
    const enum outcome outcome = responses->outcome;
    /* What is deleted need not have been there. */
    const bool done = outcome == OUT_OK || (outcome == OUT_NOT_FOUND && w->is_write);
    if (outcome == OUT_NOT_FOUND && w->absent != NULL) {
        http_alias_reply_error(out, plan->dialect, style, 404, w->absent);
    } else if (!done) {
        reply_failed(plan, responses, out);
    } else if (w->body != NULL) {
        http_reply(out, plan->dialect, w->status, w->type, "", bytes_of_string(w->body));
    } else {
        reply_value(plan, responses, out);
    }
}

void http_alias_encode_refusal(const struct plan *plan, const struct response *response,
                               struct buffer *out) {
    ASSERT(plan->shape == HTTP_SHAPE_ALIAS);
    ASSERT(response->outcome != OUT_OK);
    reply_failed(plan, response, out);
}

void http_alias_append_row(const struct row *row, struct buffer *out) {
    append_member(out, "", row->key);
    append_member(out, ":", row->value);
}
