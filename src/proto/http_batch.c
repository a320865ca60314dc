#include "proto/http_internal.h"

#include <stdio.h>

#include "base/assert.h"
#include "proto/base64.h"
#include "proto/etag.h"
#include "proto/json_text.h"
#include "proto/ttl.h"

/* jansson makes an object of every value, far larger than its text; so the text is looked
 * over first, and one that cannot be a batch is refused before it costs memory. */
#define DEPTH_MAX 4u /* {"items":[{}]}, and one more for a better message */

enum member {
    MEMBER_OP,
    MEMBER_KEY,
    MEMBER_KEY_BASE64,
    MEMBER_VALUE,
    MEMBER_VALUE_BASE64,
    MEMBER_TTL,
    MEMBER_IF_MATCH,
    MEMBER_IF_NONE_MATCH,
    MEMBERS,
};

#define VALUES_MAX (PLAN_REQUESTS_MAX * (uint32_t)MEMBERS)

static const char *const member_names[MEMBERS] = {
    [MEMBER_OP] = "op",
    [MEMBER_KEY] = "key",
    [MEMBER_KEY_BASE64] = "key_base64",
    [MEMBER_VALUE] = "value",
    [MEMBER_VALUE_BASE64] = "value_base64",
    [MEMBER_TTL] = "ttl",
    [MEMBER_IF_MATCH] = "if_match",
    [MEMBER_IF_NONE_MATCH] = "if_none_match",
};

/* Where an item is read from and to. */
struct reading {
    struct http *h;
    struct buffer *out;
    uint64_t now_ms;
    size_t index; /* of the item */
    json_t *members[MEMBERS];
};

void http_batch_release(struct http *h) {
    if (h->batch != NULL) json_decref(h->batch);
    h->batch = NULL;
}

/* Strings are skipped. What is no JSON passes and fails later. */
bool http_batch_fits(struct bytes text) {
    size_t depth = 0;
    size_t values = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
            continue;
        }
        switch (c) {
        case '"': in_string = true; break;
        case '{':
        case '[':
            values++;
            if (++depth > DEPTH_MAX) return false;
            break;
        case '}':
        case ']': depth -= depth > 0; break;
        case ',': values++; break;
        default: break;
        }
        if (values > VALUES_MAX) return false;
    }
    return true;
}

static void fail_body(const struct http *h, struct buffer *out, const char *code,
                      const char *message) {
    http_reply_error(out, h->flags, 400, code, "%s; nothing was done", message);
}

static bool fail_item(const struct reading *in, const char *message) {
    http_reply_error(in->out, in->h->flags, 400, "bad_item", "items[%zu]: %s; nothing was done",
                     in->index, message);
    return false;
}

static struct bytes text_of(const json_t *value) {
    return bytes_of(json_string_value(value), json_string_length(value));
}

static bool read_members(struct reading *in, json_t *item) {
    const char *name;
    json_t *value;
    memset(in->members, 0, sizeof in->members);
    if (!json_is_object(item)) return fail_item(in, "must be an object");
    json_object_foreach(item, name, value) {
        size_t i = 0;
        while (i < MEMBERS && strcmp(name, member_names[i]) != 0) i++;
        if (i == MEMBERS) {
            return fail_item(in, "may only have op, key, key_base64, value, value_base64, ttl, "
                                 "if_match and if_none_match");
        }
        in->members[i] = value;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if (in->members[i] == NULL || i == MEMBER_TTL) continue;
        if (!json_is_string(in->members[i])) return fail_item(in, "only ttl may be no string");
    }
    return true;
}

/* The bytes of a member, or of its base64 twin; false when decoding fails. */
static bool read_bytes(struct reading *in, enum member text, struct bytes *ret_bytes) {
    const enum member coded = text == MEMBER_KEY ? MEMBER_KEY_BASE64 : MEMBER_VALUE_BASE64;
    struct buffer *scratch = &in->h->text;
    size_t len = 0;
    if (in->members[text] != NULL && in->members[coded] != NULL) {
        return fail_item(in, "has the same thing twice, plain and base64");
    }
    if (in->members[text] != NULL) {
        *ret_bytes = text_of(in->members[text]);
        return true;
    }
    const struct bytes code = text_of(in->members[coded]);
    ASSERT(base64_decoded_len_max(code.len) <= scratch->capacity - scratch->end);
    uint8_t *room = scratch->ptr + scratch->end;
    if (!status_ok(base64_decode(BASE64_STANDARD, code, room, &len))) {
        return fail_item(in, "has base64 that cannot be decoded");
    }
    buffer_commit(scratch, len);
    *ret_bytes = bytes_of(room, len);
    return true;
}

static bool read_ttl(struct reading *in, struct request *r) {
    const json_t *value = in->members[MEMBER_TTL];
    char digits[32] = "";
    if (value == NULL) return true;
    struct bytes text = BYTES_NONE;
    if (json_is_string(value)) text = text_of(value);
    if (json_is_number(value)) {
        const int len = snprintf(digits, sizeof digits, "%.3f", json_number_value(value));
        if (len > 0 && len < (int)sizeof digits) text = bytes_of(digits, (size_t)len);
    }
    uint64_t ttl_ms = 0;
    if (!status_ok(ttl_parse(text, &ttl_ms))) return fail_item(in, "ttl must be " TTL_ALLOWED);
    r->expiry = EXPIRY_AT;
    r->expires_at_ms = in->now_ms + ttl_ms;
    return true;
}

static bool read_condition(struct reading *in, struct request *r) {
    const json_t *match = in->members[MEMBER_IF_MATCH];
    const json_t *none_match = in->members[MEMBER_IF_NONE_MATCH];
    if (match == NULL && none_match == NULL) return true;
    if (r->op == OP_GET) return fail_item(in, "a get takes no condition");
    if (match != NULL && none_match != NULL) {
        return fail_item(in, "if_match and if_none_match exclude each other");
    }
    r->flags |= REQUEST_RETURN_OLD | REQUEST_NO_VALUE;
    if (none_match != NULL) {
        r->condition = COND_ABSENT;
        if (bytes_equal(text_of(none_match), BYTES_LIT("*"))) return true;
        return fail_item(in, "if_none_match may only be \"*\"");
    }
    struct bytes text = text_of(match);
    r->condition = COND_PRESENT;
    if (bytes_equal(text, BYTES_LIT("*"))) return true;
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"') {
        text = bytes_of(text.ptr + 1, text.len - 2);
    }
    r->condition = COND_VERSION_IS;
    if (status_ok(etag_parse(text, &r->version))) return true;
    return fail_item(in, "if_match must be \"*\" or one version as a reply gave it");
}

static bool read_op(struct reading *in, struct request *r) {
    const bool has_value =
        in->members[MEMBER_VALUE] != NULL || in->members[MEMBER_VALUE_BASE64] != NULL;
    r->op = has_value ? OP_PUT : OP_GET;
    if (in->members[MEMBER_OP] != NULL) {
        const struct bytes op = text_of(in->members[MEMBER_OP]);
        if (bytes_equal(op, BYTES_LIT("put"))) {
            r->op = OP_PUT;
        } else if (bytes_equal(op, BYTES_LIT("get"))) {
            r->op = OP_GET;
        } else if (bytes_equal(op, BYTES_LIT("delete"))) {
            r->op = OP_DELETE;
        } else {
            return fail_item(in, "op must be put, get or delete");
        }
    }
    if (r->op == OP_PUT && !has_value) return fail_item(in, "a put needs value or value_base64");
    if (r->op != OP_PUT && has_value) return fail_item(in, "only a put takes a value");
    if (r->op != OP_PUT && in->members[MEMBER_TTL] != NULL) {
        return fail_item(in, "only a put takes a ttl");
    }
    return true;
}

static bool read_item(struct reading *in, json_t *item, struct request *r) {
    if (!read_members(in, item) || !read_op(in, r)) return false;
    if (in->members[MEMBER_KEY] == NULL && in->members[MEMBER_KEY_BASE64] == NULL) {
        return fail_item(in, "needs key or key_base64");
    }
    if (!read_bytes(in, MEMBER_KEY, &r->key)) return false;
    if (r->key.len < KEY_BYTES_MIN || r->key.len > KEY_BYTES_MAX) {
        return fail_item(in, "a key has 1 to 65535 bytes");
    }
    if (r->op == OP_PUT && !read_bytes(in, MEMBER_VALUE, &r->value)) return false;
    if (r->value.len > in->h->value_bytes_max) return fail_item(in, "the value is too large");
    return read_ttl(in, r) && read_condition(in, r);
}

/* The array of items, or NULL and a reply. */
static json_t *parse(struct http *h, struct buffer *out) {
    json_error_t error;
    if (!http_batch_fits(h->body)) {
        fail_body(h, out, "bad_json", "the body is nested too deeply or has too many values");
        return NULL;
    }
    h->batch = json_loadb((const char *)h->body.ptr, h->body.len,
                          JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (h->batch == NULL) {
        http_reply_error(out, h->flags, 400, "bad_json", "the body is no JSON: line %d: %s",
                         error.line, error.text);
        return NULL;
    }
    json_t *items = json_object_get(h->batch, "items");
    if (!json_is_array(items) || json_object_size(h->batch) != 1) {
        fail_body(h, out, "bad_json", "the body must be {\"items\":[..]}");
        return NULL;
    }
    if (json_array_size(items) > PLAN_REQUESTS_MAX) {
        http_reply_error(out, h->flags, 400, "too_many_items",
                         "a batch has at most %u items; nothing was done", PLAN_REQUESTS_MAX);
        return NULL;
    }
    return items;
}

void http_batch_translate(struct http *h, const struct http_params *params, uint64_t now_ms,
                          struct buffer *out, struct plan *plan) {
    ASSERT(h->batch == NULL);
    json_t *items = parse(h, out);
    if (items == NULL) return;
    const uint32_t count = (uint32_t)json_array_size(items);
    if (count == 0) {
        http_reply(out, h->flags, 200, HTTP_JSON, "", BYTES_LIT("{\"results\":[]}\n"));
        return;
    }
    struct reading in = { .h = h, .out = out, .now_ms = now_ms };
    struct request *requests = http_requests(h, count);
    /* An item is longer than the byte kept for it, so the room for the body suffices. */
    uint8_t *operations = h->text.ptr + h->text.end;
    buffer_commit(&h->text, count);
    for (in.index = 0; in.index < count; in.index++) {
        struct request *r = &requests[in.index];
        r->level = params->level;
        r->level_count = params->level_count;
        if (!read_item(&in, json_array_get(items, in.index), r)) return;
        operations[in.index] = (uint8_t)r->op;
    }
    plan->kind = PLAN_REQUESTS;
    plan->shape = HTTP_SHAPE_BATCH;
    plan->keyspace = params->keyspace;
    plan->request_count = count;
    plan->requests = requests;
    plan->detail = bytes_of(operations, count);
}

static void append_version(const struct response *response, struct buffer *out) {
    uint8_t version[BALLOT_TEXT_BYTES];
    if (ballot_is_zero(response->version)) return;
    buffer_append(out, BYTES_LIT(",\"version\":\""));
    buffer_append(out, bytes_of(version, etag_print(response->version, version)));
    buffer_append_u8(out, '"');
}

/* What Atoll-Acks says of one key. */
static void append_acks(const struct response *response, struct buffer *out) {
    if (response->replicas == 0) return;
    buffer_printf(out, ",\"acks\":\"%u/%u\"", response->acks, response->replicas);
}

static void append_result(enum operation op, const struct response *response, struct buffer *out) {
    const bool absent = response->outcome == OUT_NOT_FOUND;
    const bool deleted_nothing = absent && op == OP_DELETE;
    const enum outcome outcome = deleted_nothing ? OUT_OK : response->outcome;
    buffer_append(out, BYTES_LIT("{\"status\":"));
    buffer_append_u64(out, http_outcome_status(outcome));
    if (outcome != OUT_OK) {
        if (outcome == OUT_CONDITION_FAILED) append_version(response, out);
        append_acks(response, out);
        buffer_append(out, BYTES_LIT(",\"error\":"));
        http_append_outcome(out, response, op != OP_GET);
        buffer_append_u8(out, '}');
        return;
    }
    if (op == OP_DELETE) {
        const bool existed = response->existed && !absent;
        buffer_append_string(out, existed ? ",\"existed\":true" : ",\"existed\":false");
    }
    append_version(response, out);
    append_acks(response, out);
    if (op == OP_GET) {
        buffer_append_u8(out, ',');
        json_text_append_member(out, "value", response->value);
        if (response->expires_at_ms != 0) {
            buffer_append(out, BYTES_LIT(",\"expires_at_ms\":"));
            buffer_append_u64(out, response->expires_at_ms);
        }
    }
    buffer_append_u8(out, '}');
}

void http_batch_encode(const struct plan *plan, const struct response *responses,
                       struct buffer *out) {
    ASSERT(plan->detail.len == plan->request_count);
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"results\":["));
    for (uint32_t i = 0; i < plan->request_count; i++) {
        if (i > 0) buffer_append_u8(out, ',');
        buffer_append_u8(out, '\n');
        append_result((enum operation)plan->detail.ptr[i], &responses[i], out);
    }
    buffer_append(out, BYTES_LIT("\n]}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "");
}
