#include "proto/http_alias.h"

#include <stdio.h>

#include "base/assert.h"
#include "proto/ttl.h"

#define NS_PER_MS INT64_C(1000000)
#define ALLOW_BYTES_MAX 80u

#define METHOD(name) (1u << HTTP_##name)
#define READING (METHOD(GET) | METHOD(HEAD))
/* Where an older store never looked at the method. HEAD must not write, so it only reads. */
#define ANY (METHOD(GET) | METHOD(POST) | METHOD(PUT) | METHOD(DELETE) | METHOD(PATCH))

#define KEY ALIAS_FIELD(KEY)
#define PAIR (ALIAS_FIELD(KEY) | ALIAS_FIELD(VALUE) | ALIAS_FIELD(TTL))
#define ADDRESS ALIAS_FIELD(ADDRESS)
#define URL (ALIAS_FIELD(URL) | ALIAS_FIELD(WEIGHT))

/* clang-format off */
static const struct alias_row rows[] = {
    { "/kvstore", METHOD(GET), ALIAS_READ, ALIAS_FROM_QUERY, STYLE_KVSTORE_GET, KEY },
    { "/kvstore", METHOD(POST) | METHOD(PUT), ALIAS_WRITE, ALIAS_FROM_JSON_OR_FORM,
      STYLE_KVSTORE_PUT, PAIR },
    { "/kvstore", METHOD(DELETE), ALIAS_ERASE, ALIAS_FROM_QUERY, STYLE_KVSTORE_DELETE, KEY },
    { "/PUT", ANY, ALIAS_WRITE, ALIAS_FROM_JSON, STYLE_PROXY_PUT, PAIR },
    { "/GET", ANY | METHOD(HEAD), ALIAS_READ, ALIAS_FROM_JSON, STYLE_PROXY_GET, KEY },
    { "/set", ANY, ALIAS_WRITE, ALIAS_FROM_QUERY, STYLE_SET, PAIR },
    { "/get", ANY | METHOD(HEAD), ALIAS_READ, ALIAS_FROM_QUERY, STYLE_GET,
      KEY | ALIAS_FIELD(FORMAT) },
    { "/put", ANY, ALIAS_WRITE, ALIAS_FROM_JSON, STYLE_PUT, PAIR },
    { "/batch", ANY, ALIAS_WRITE_MANY, ALIAS_FROM_JSON, STYLE_BATCH, PAIR },
    { "/scan", READING, ALIAS_SCAN, ALIAS_FROM_QUERY, STYLE_SCAN,
      ALIAS_FIELD(START) | ALIAS_FIELD(END) },
    { "/delete", METHOD(POST) | METHOD(DELETE), ALIAS_ERASE, ALIAS_FROM_QUERY, STYLE_DELETE, KEY },
    { "/list-nodes", READING, ALIAS_NODE, ALIAS_FROM_QUERY, STYLE_LIST_NODES, 0 },
    { "/add-node", ANY, ALIAS_ADMIN, ALIAS_FROM_QUERY, STYLE_ADD_NODE, ADDRESS },
    { "/remove-node", ANY, ALIAS_ADMIN, ALIAS_FROM_QUERY, STYLE_REMOVE_NODE, ADDRESS },
    { "/AddServer", ANY, ALIAS_ADMIN, ALIAS_FROM_JSON, STYLE_ADD_SERVER, URL },
    { "/RemoveServer", ANY, ALIAS_ADMIN, ALIAS_FROM_JSON, STYLE_REMOVE_SERVER, URL },
    { "/dashboard", READING, ALIAS_NODE, ALIAS_FROM_QUERY, STYLE_DASHBOARD, 0 },
};

static const struct {
    uint32_t method; /* METHOD() */
    const char *name;
} method_names[] = {
    { METHOD(GET), "GET" },       { METHOD(HEAD), "HEAD" },   { METHOD(POST), "POST" },
    { METHOD(PUT), "PUT" },       { METHOD(DELETE), "DELETE" }, { METHOD(PATCH), "PATCH" },
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof *rows)

static uint32_t methods_of(struct bytes path) {
    uint32_t methods = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (bytes_equal(path, bytes_of_string(rows[i].path))) methods |= rows[i].methods;
    }
    return methods;
}

const char *http_alias_path(uint32_t i) {
    return i < ROWS ? rows[i].path : NULL;
}

bool http_alias_is_path(struct bytes path) {
    return methods_of(path) != 0;
}

const struct alias_row *http_alias_find(struct bytes path, uint8_t method) {
    for (size_t i = 0; i < ROWS && method < 32; i++) {
        if ((rows[i].methods >> method & 1) == 0) continue;
        if (bytes_equal(path, bytes_of_string(rows[i].path))) return &rows[i];
    }
    return NULL;
}

bool http_alias_keeps_json(struct bytes path) {
    return bytes_equal(path, BYTES_LIT("/v1")) || bytes_start_with(path, BYTES_LIT("/v1/"));
}

bool http_alias_writes(const struct http *h) {
    ASSERT(h->alias != NULL);
    return h->alias->action != ALIAS_READ && (h->alias->methods & ~READING) != 0;
}

uint64_t http_alias_body_bytes_max(const struct http *h) {
    ASSERT(h->route == HTTP_ROUTE_ALIAS);
    const bool reads_body = h->alias != NULL && h->alias->source != ALIAS_FROM_QUERY;
    return reads_body ? HTTP_BODY_BYTES_MAX : HTTP_BODY_OTHER_BYTES_MAX;
}

void http_alias_refuse_method(const struct http *h, struct buffer *out) {
    const struct bytes path = http_bytes_of(h, h->path);
    const uint32_t methods = methods_of(path);
    const struct alias_row *row = NULL;
    char extra[ALLOW_BYTES_MAX] = "Allow: ";
    size_t len = strlen(extra);
    for (size_t i = 0; i < ROWS && row == NULL; i++) {
        if (bytes_equal(path, bytes_of_string(rows[i].path))) row = &rows[i];
    }
    ASSERT(row != NULL);
    ASSERT(methods != 0);
    const char *separator = "";
    for (size_t i = 0; i < sizeof method_names / sizeof *method_names; i++) {
        if ((method_names[i].method & methods) == 0) continue;
        len += (size_t)snprintf(extra + len, sizeof extra - len, "%s%s", separator,
                                method_names[i].name);
        ASSERT(len + 2 < sizeof extra);
        separator = ", ";
    }
    memcpy(extra + len, "\r\n", 3);
    const char *text = http_alias_words(row->style)->bad_method;
    if (text == NULL) text = "Method Not Allowed\n";
    http_reply(out, h->flags, 405, HTTP_TEXT, extra, bytes_of_string(text));
}

/* Where a request is read from, and where its answer goes if it is wrong. */
struct reading {
    struct http *h;
    struct buffer *out;
    uint64_t now_ms;
    enum alias_style style;
    struct alias_fields fields;
};

static bool fail(const struct reading *in, const char *text) {
    http_alias_reply_error(in->out, in->h->flags, in->style, 400, text);
    return false;
}

/* What Go's decoder says of the commonest faults; the rest in jansson's words. */
static bool fail_json(const struct reading *in, const json_error_t *error) {
    char text[JSON_ERROR_TEXT_LENGTH + 64];
    const char *words = http_alias_words(in->style)->bad_body;
    const struct bytes body = in->h->body;
    size_t i = 0;
    if (words != NULL) return fail(in, words);
    while (i < body.len && strchr(" \t\r\n", body.ptr[i]) != NULL && body.ptr[i] != '\0') i++;
    if (i == body.len) return fail(in, "EOF\n");
    const uint8_t c = body.ptr[i];
    if (json_error_code(error) == json_error_premature_end_of_input)
        return fail(in, "unexpected EOF\n");
    if (c > ' ' && c < 0x7f && strchr("{[\"-0123456789tfn", c) == NULL)
        snprintf(text, sizeof text, "invalid character '%c' looking for beginning of value\n", c);
    else
        snprintf(text, sizeof text, "invalid JSON: line %d: %s\n", error->line, error->text);
    return fail(in, text);
}

/* The body as JSON, kept by the session; what follows the first value is ignored, as Go does. */
static bool parse_body(struct reading *in) {
    json_error_t error = { .line = 1 };
    struct http *h = in->h;
    ASSERT(h->batch == NULL);
    snprintf(error.text, sizeof error.text, "nested too deeply, or too many values");
    if (http_batch_fits(h->body)) {
        h->batch = json_loadb((const char *)h->body.ptr, h->body.len,
                              JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    }
    return h->batch != NULL || fail_json(in, &error);
}

static bool is_form(struct bytes body) {
    size_t i = 0;
    while (i < body.len && (body.ptr[i] == ' ' || (body.ptr[i] >= '\t' && body.ptr[i] <= '\r')))
        i++;
    return i < body.len && body.ptr[i] != '{' && memchr(body.ptr, '=', body.len) != NULL;
}

static bool fail_type(const struct reading *in) {
    const char *words = http_alias_words(in->style)->bad_body;
    return fail(in, words != NULL ? words : "the body must be an object of strings\n");
}

static bool read_form(struct reading *in, struct bytes form) {
    uint8_t *room = in->h->text.ptr + in->h->text.end;
    if (!status_ok(http_alias_read_form(form, room, &in->fields)))
        return fail(in, "invalid URL escape\n");
    buffer_commit(&in->h->text, form.len);
    return true;
}

static bool read_fields(struct reading *in) {
    const struct alias_row *row = in->h->alias;
    if (row->source == ALIAS_FROM_QUERY) return read_form(in, http_bytes_of(in->h, in->h->query));
    if (row->source == ALIAS_FROM_JSON_OR_FORM && is_form(in->h->body)) {
        if (!read_form(in, in->h->body)) return false;
        /* A form of something else is as good as no JSON. */
        return (in->fields.given & row->fields) != 0 || fail_type(in);
    }
    if (!parse_body(in)) return false;
    if (status_ok(http_alias_read_json(in->h->batch, row->fields, &in->fields))) return true;
    return fail_type(in);
}

/* Lives until `now + ttl`; a time that is over makes the key absent at once. */
static bool read_ttl(const struct reading *in, struct request *r) {
    int64_t ns = 0;
    if ((in->fields.given & ALIAS_FIELD(TTL)) == 0) return true;
    if (!status_ok(ttl_parse_duration(in->fields.values[ALIAS_TTL], &ns)))
        return fail(in, ALIAS_BAD_TTL);
    const int64_t now_ms = (int64_t)in->now_ms;
    const int64_t ttl_ms = ns / NS_PER_MS + (ns > 0 && ns % NS_PER_MS > 0);
    const int64_t expires_at_ms = now_ms + ttl_ms;
    ASSERT(now_ms < INT64_MAX / 2);
    r->expiry = EXPIRY_AT;
    r->expires_at_ms = expires_at_ms > 0 ? (uint64_t)expires_at_ms : 1;
    return true;
}

/* The answer to a key that cannot be stored, as it is empty. */
static bool fail_empty_key(const struct reading *in, struct plan *plan) {
    const struct alias_words *words = http_alias_words(in->style);
    const struct response absent = { .outcome = OUT_NOT_FOUND };
    if (words->no_key != NULL) return fail(in, words->no_key);
    plan->detail_number = in->style;
    http_alias_encode(plan, &absent, in->out);
    return false;
}

static bool read_pair(struct reading *in, struct request *r, struct plan *plan) {
    const struct alias_words *words = http_alias_words(in->style);
    const struct alias_fields *f = &in->fields;
    r->key = f->values[ALIAS_KEY];
    r->value = f->values[ALIAS_VALUE];
    if (r->key.len < KEY_BYTES_MIN) return fail_empty_key(in, plan);
    if (r->key.len > KEY_BYTES_MAX) return fail(in, "a key has at most 65535 bytes\n");
    if (!words->is_write || r->op == OP_DELETE) return true;
    if (words->no_value != NULL && (f->given & ALIAS_FIELD(VALUE)) == 0)
        return fail(in, words->no_value);
    if (r->value.len > in->h->value_bytes_max) {
        http_alias_reply_error(in->out, in->h->flags, in->style, 413, "the value is too large\n");
        return false;
    }
    return read_ttl(in, r);
}

static enum operation operation_of(enum alias_action action) {
    switch (action) {
    case ALIAS_READ: return OP_GET;
    case ALIAS_ERASE: return OP_DELETE;
    default: return OP_PUT;
    }
}

/* The request is the same in two stores; the client says which answer it wants, or the
 * node is set to one. */
static enum alias_style style_of_get(const struct reading *in) {
    const struct bytes format = in->fields.values[ALIAS_FORMAT];
    if (bytes_equal(format, BYTES_LIT("json"))) return STYLE_GET_JSON;
    if (bytes_equal(format, BYTES_LIT("raw"))) return STYLE_GET;
    if (http_field_mentions(in->h, HTTP_ACCEPT_FIELD, "application/json")) return STYLE_GET_JSON;
    return in->h->get_json ? STYLE_GET_JSON : STYLE_GET;
}

static void translate_key(struct reading *in, struct plan *plan) {
    const struct alias_row *row = in->h->alias;
    struct request *r = http_requests(in->h, 1);
    *r = (struct request){ .op = operation_of(row->action) };
    if (in->style == STYLE_GET) in->style = style_of_get(in);
    if (in->style == STYLE_SET && (in->fields.given & ALIAS_FIELD(TTL)) != 0)
        in->style = STYLE_SET_TTL;
    if (!read_pair(in, r, plan)) return;
    plan->kind = PLAN_REQUESTS;
    plan->request_count = 1;
    plan->requests = r;
    if (in->style == STYLE_KVSTORE_GET) plan->detail = r->key;
}

/* The array of items; NULL if there is none. False: it is something else, and was refused. */
static bool find_items(const struct reading *in, const json_t **ret_items) {
    const char *name;
    json_t *value;
    *ret_items = NULL;
    if (!json_is_object(in->h->batch)) return fail_type(in);
    json_object_foreach(in->h->batch, name, value) {
        if (bytes_equal_nocase(bytes_of_string(name), "items")) *ret_items = value;
    }
    if (*ret_items == NULL || json_is_array(*ret_items)) return true;
    return json_is_null(*ret_items) || fail_type(in);
}

static void translate_many(struct reading *in, struct plan *plan) {
    const struct alias_row *row = in->h->alias;
    const json_t *items = NULL;
    if (!parse_body(in) || !find_items(in, &items)) return;
    const size_t count = json_array_size(items);
    if (count > PLAN_REQUESTS_MAX) {
        http_alias_reply_error(in->out, in->h->flags, in->style, 413,
                               "a batch has at most 65536 items\n");
        return;
    }
    if (count == 0) {
        plan->detail_number = in->style;
        http_alias_encode(plan, NULL, in->out);
        return;
    }
    struct request *requests = http_requests(in->h, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        requests[i].op = OP_PUT;
        if (!status_ok(http_alias_read_json(json_array_get(items, i), row->fields, &in->fields))) {
            (void)fail_type(in);
            return;
        }
        if (!read_pair(in, &requests[i], plan)) return;
    }
    plan->kind = PLAN_REQUESTS;
    plan->request_count = (uint32_t)count;
    plan->requests = requests;
}

/* The least key behind `key`, so that a range that ends before it holds `key`. False if
 * no key can be larger. */
static bool next_key(struct http *h, struct bytes key, struct bytes *ret_next) {
    uint8_t *room = h->text.ptr + h->text.end;
    ASSERT(h->text.capacity - h->text.end > key.len);
    memcpy(room, key.ptr, key.len);
    size_t len = key.len;
    if (len < KEY_BYTES_MAX) {
        room[len++] = 0;
    } else {
        while (len > 0 && room[len - 1] == 0xff) len--;
        if (len == 0) return false;
        room[len - 1]++;
    }
    buffer_commit(&h->text, len);
    *ret_next = bytes_of(room, len);
    return true;
}

static void translate_scan(struct reading *in, struct plan *plan) {
    struct http *h = in->h;
    const struct bytes start = in->fields.values[ALIAS_START];
    const struct bytes end = in->fields.values[ALIAS_END];
    if (start.len > KEY_BYTES_MAX || end.len > KEY_BYTES_MAX) {
        (void)fail(in, "a key has at most 65535 bytes\n");
        return;
    }
    /* Without an end only the empty key would be in the range, and there is none. */
    if (end.len == 0 || bytes_compare(start, end) > 0 || h->method == HTTP_HEAD) {
        http_reply(in->out, h->flags, 200, HTTP_JSON, "", BYTES_LIT("{}\n"));
        return;
    }
    struct request *r = http_requests(h, 1);
    *r = (struct request){ .op = OP_SCAN, .start = start, .rows_max = ROW_PAGE_ROWS_MAX };
    r->has_end = next_key(h, end, &r->end);
    /* The length is not known before the end, and HTTP/1.0 has no chunks. */
    if ((h->flags & HTTP_OLD) != 0) plan->close_after = true;
    plan->kind = PLAN_SCAN;
    plan->request_count = 1;
    plan->requests = r;
}

/* A host and port, or a URL of one. */
static struct bytes strip_url(struct bytes text) {
    const struct bytes scheme = BYTES_LIT("http://");
    if (!bytes_start_with(text, scheme)) return text;
    text = bytes_of(text.ptr + scheme.len, text.len - scheme.len);
    if (text.len > 0 && text.ptr[text.len - 1] == '/') text.len--;
    return text;
}

static bool read_member(const struct reading *in, struct bytes address, struct admin_request *q) {
    const bool adds = in->style == STYLE_ADD_NODE || in->style == STYLE_ADD_SERVER;
    admin_request_init(q, adds ? ADMIN_NODE_ADD : ADMIN_NODE_LEAVE);
    if (!status_ok(admin_address_read(address, q->address)))
        return fail(in, "the address must be HOST:PORT\n");
    if (in->fields.weight == 0 || !adds) return true;
    if (in->fields.weight > ADMIN_WEIGHT_MAX) return fail(in, "a weight is at most 1000000\n");
    q->weight = (uint32_t)in->fields.weight;
    q->given |= ADMIN_HAS_WEIGHT;
    return true;
}

static void translate_member(struct reading *in, struct plan *plan) {
    const bool by_address = (in->h->alias->fields & ADDRESS) != 0;
    const struct bytes address =
        strip_url(in->fields.values[by_address ? ALIAS_ADDRESS : ALIAS_URL]);
    if (address.len == 0) {
        (void)fail(in, http_alias_words(in->style)->no_key);
        return;
    }
    if (!read_member(in, address, &in->h->admin)) return;
    plan->kind = PLAN_ADMIN;
    plan->admin = &in->h->admin;
    plan->detail = address;
}

void http_alias_translate(struct http *h, uint64_t now_ms, struct buffer *out, struct plan *plan) {
    ASSERT(h->alias != NULL);
    const struct alias_row *row = h->alias;
    struct reading in = { .h = h, .out = out, .now_ms = now_ms, .style = row->style };
    plan->shape = HTTP_SHAPE_ALIAS;
    if (row->action == ALIAS_WRITE_MANY) {
        translate_many(&in, plan);
    } else if (read_fields(&in)) {
        if (row->action == ALIAS_SCAN) {
            translate_scan(&in, plan);
        } else if (row->action == ALIAS_NODE) {
            plan->kind = PLAN_NODE;
            plan->topic = NODE_CLUSTER;
        } else if (row->action == ALIAS_ADMIN) {
            translate_member(&in, plan);
        } else {
            translate_key(&in, plan);
        }
    }
    plan->detail_number = in.style;
}
