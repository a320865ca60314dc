/* What clients send, and what they make of the answers. */
#include "base/assert.h"
#include "base/log.h"
#include "proto/etag.h"
#include "sim/client_internal.h"

#include <jansson.h>

static const char *const level_names[WORK_LEVELS] = { NULL, "one", "quorum", "all" };

static const char *key_text(const struct client *c, uint32_t key) {
    ASSERT(key < c->all->history->keys_count);
    return c->all->history->keys[key].text;
}

/* ---- asking ---- */

static void append_head(struct client *c, const char *method, const char *path) {
    buffer_printf(&c->out, "%s %s", method, path);
}

/* The rest of the request behind its target. */
static void append_tail(struct client *c, size_t body_bytes) {
    buffer_append(&c->out, BYTES_LIT(" HTTP/1.1\r\nHost: atoll\r\n"));
    if (c->work.session && !ballot_is_zero(c->seen[c->work.items[0].key])) {
        uint8_t text[BALLOT_TEXT_BYTES];
        const size_t len = etag_print(c->seen[c->work.items[0].key], text);
        buffer_append(&c->out, BYTES_LIT("Atoll-Session: "));
        buffer_append(&c->out, bytes_of(text, len));
        buffer_append(&c->out, BYTES_LIT("\r\n"));
    }
    if (c->work.kind == WORK_PUT_ABSENT) buffer_append(&c->out, BYTES_LIT("If-None-Match: *\r\n"));
    if (body_bytes > 0) buffer_printf(&c->out, "Content-Length: %zu\r\n", body_bytes);
    buffer_append(&c->out, BYTES_LIT("\r\n"));
}

static void append_level(struct client *c, char separator) {
    if (c->work.level != WORK_DEFAULT)
        buffer_printf(&c->out, "%clevel=%s", separator, level_names[c->work.level]);
}

static void ask_one(struct client *c) {
    static const char *const methods[WORK_KINDS] = {
        [WORK_PUT] = "PUT", [WORK_GET] = "GET", [WORK_DELETE] = "DELETE", [WORK_PUT_ABSENT] = "PUT"
    };
    const struct work_item *item = &c->work.items[0];
    ASSERT(methods[c->work.kind] != NULL);
    append_head(c, methods[c->work.kind], "/v1/kv/");
    buffer_append_string(&c->out, key_text(c, item->key));
    append_level(c, '?');
    if (item->ttl_ms > 0)
        buffer_printf(&c->out, "%cttl=%ums", c->work.level == WORK_DEFAULT ? '?' : '&',
                      item->ttl_ms);
    append_tail(c, item->value_len);
    if (item->value_len > 0) workload_value(&c->out, item->value, item->key, item->value_len);
}

static void ask_scan(struct client *c) {
    append_head(c, "GET", "/v1/scan?");
    const uint32_t limit = 1 + (uint32_t)sim_random_below(&c->dice, SCAN_LIMIT_MAX);
    buffer_printf(&c->out, "limit=%u", limit);
    c->scan_start = HISTORY_NONE;
    if (sim_random_chance(&c->dice, 2, 3)) {
        c->scan_start = (uint32_t)sim_random_below(&c->dice, c->all->history->keys_count);
        buffer_printf(&c->out, "&start=%s", key_text(c, c->scan_start));
    }
    append_level(c, '&');
    append_tail(c, 0);
}

static void append_batch_item(struct client *c, struct buffer *body, const struct work_item *item) {
    buffer_printf(body, "{\"key\":\"%s\"", key_text(c, item->key));
    if (item->kind == WORK_DELETE) buffer_append(body, BYTES_LIT(",\"op\":\"delete\""));
    if (item->kind == WORK_PUT) {
        buffer_append(body, BYTES_LIT(",\"value\":\""));
        workload_value(body, item->value, item->key, item->value_len);
        buffer_append_u8(body, '"');
        if (item->ttl_ms > 0) buffer_printf(body, ",\"ttl\":\"%ums\"", item->ttl_ms);
    }
    buffer_append_u8(body, '}');
}

static void ask_batch(struct client *c) {
    struct buffer *body = &c->body;
    buffer_reset(body);
    buffer_append(body, BYTES_LIT("{\"items\":["));
    for (uint32_t i = 0; i < c->work.items_count; i++) {
        if (i > 0) buffer_append_u8(body, ',');
        append_batch_item(c, body, &c->work.items[i]);
    }
    buffer_append(body, BYTES_LIT("]}"));
    append_head(c, "POST", "/v1/batch");
    append_level(c, '?');
    append_tail(c, buffer_len(body));
    buffer_append(&c->out, buffer_bytes(body));
}

/* Whether one node that may have answered alone counts for nothing. A proxy hands on to any. */
static bool is_doubtful(const struct client *c) {
    const uint64_t node = UINT64_C(1) << c->node;
    const bool proxy = (scenario_proxy_bits(c->all->scenario) & node) != 0;
    return (c->all->doubtful & (proxy ? UINT64_MAX : node)) != 0;
}

static struct history_op op_of(const struct client *c, enum history_kind kind) {
    const struct scenario *s = c->all->scenario;
    const uint8_t need = scenario_need(s, history_is_write(kind), c->work.level);
    const bool alone = need == 1 && is_doubtful(c);
    return (struct history_op){
        .kind = kind,
        .client = c->index,
        .node = c->node,
        .began_ns = c->all->world_ns,
        .wall_ms = SIM_WALL_START_MS + c->all->world_ns / 1000000,
        .need = alone ? 0 : need,
        .must_work = c->probe,
    };
}

static void begin_op(struct client *c, uint32_t i) {
    static const enum history_kind kinds[WORK_KINDS] = { [WORK_PUT] = HISTORY_PUT,
                                                         [WORK_GET] = HISTORY_GET,
                                                         [WORK_DELETE] = HISTORY_DELETE,
                                                         [WORK_PUT_ABSENT] = HISTORY_PUT };
    const struct work_item *item = &c->work.items[i];
    ASSERT(item->kind != WORK_SCAN);
    ASSERT(item->kind != WORK_BATCH);
    struct history_op op = op_of(c, kinds[item->kind]);
    op.key = item->key;
    op.value = item->value;
    op.ttl_ms = item->ttl_ms;
    if (c->work.session) op.session = c->seen[item->key];
    c->ops[i] = history_begin(c->all->history, &op);
}

static void ask_truncation(struct client *c) {
    struct history_op op = op_of(c, HISTORY_TRUNCATE);
    buffer_append(&c->out, BYTES_LIT("*1\r\n$8\r\nFLUSHALL\r\n"));
    c->ops[0] = c->all->history->ops_count;
    for (; op.key < c->all->history->keys_count; op.key++) history_begin(c->all->history, &op);
}

void client_ask(struct client *c) {
    ASSERT(!c->waiting);
    ASSERT(c->work.items_count <= WORK_ITEMS_MAX);
    if (c->work.kind == WORK_TRUNCATE) {
        ask_truncation(c);
    } else if (c->work.kind == WORK_SCAN) {
        ask_scan(c);
        const struct history_op op = op_of(c, HISTORY_SCAN);
        c->ops[0] = history_begin(c->all->history, &op);
    } else {
        if (c->work.kind == WORK_BATCH)
            ask_batch(c);
        else
            ask_one(c);
        for (uint32_t i = 0; i < c->work.items_count; i++) begin_op(c, i);
    }
    c->waiting = true;
    ASSERT(!c->out.overflowed);
}

/* ---- answers ---- */

/* How many operations the request under way began with, and where they are in the history. */
static uint32_t ops_count(const struct client *c) {
    switch (c->work.kind) {
    case WORK_SCAN: return 1;
    case WORK_TRUNCATE: return c->all->history->keys_count;
    default: return c->work.items_count;
    }
}

static uint32_t op_at(const struct client *c, uint32_t i) {
    return c->work.kind == WORK_TRUNCATE ? c->ops[0] + i : c->ops[i];
}

/* What a node that answers so has done. Only `busy` promises that it did nothing, and
 * only when it does not take it back. */
static enum history_outcome outcome_of(uint32_t status, const json_t *error) {
    if (status == 200) return HISTORY_OK;
    if (status == 404) return HISTORY_ABSENT;
    const char *code = json_string_value(json_object_get(error, "code"));
    const bool maybe = json_object_get(error, "outcome") != NULL;
    if (status == 503 && code != NULL && strcmp(code, "busy") == 0 && !maybe)
        return HISTORY_REFUSED;
    return HISTORY_UNKNOWN;
}

static void end_op(struct client *c, uint32_t index, uint32_t status,
                   enum history_outcome outcome) {
    struct history_op *op = history_op(c->all->history, index);
    op->status = status;
    /* A write is never absent, and what a put is not told it does not know. */
    if (history_is_write(op->kind) && outcome == HISTORY_ABSENT) outcome = HISTORY_UNKNOWN;
    if (op->kind == HISTORY_PUT && ballot_is_zero(op->version) && outcome == HISTORY_OK)
        outcome = HISTORY_UNKNOWN;
    if (outcome == HISTORY_OK && ballot_compare(op->version, c->seen[op->key]) > 0)
        c->seen[op->key] = op->version;
    history_end(c->all->history, index, outcome, c->all->world_ns);
}

static void end_all(struct client *c, uint32_t status, enum history_outcome outcome) {
    for (uint32_t i = 0; i < ops_count(c); i++) end_op(c, op_at(c, i), status, outcome);
}

static void fill_read(struct history_op *op, struct bytes value) {
    op->value = workload_judge(value, op->key);
    op->foreign = op->value == 0;
}

static json_t *error_of(struct bytes body) {
    json_t *root = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    json_t *error = json_incref(json_object_get(root, "error"));
    json_decref(root);
    return error;
}

static void take_one(struct client *c, const struct client_reply *reply) {
    struct history_op *op = history_op(c->all->history, c->ops[0]);
    json_t *error = reply->status == 200 ? NULL : error_of(reply->body);
    const enum history_outcome outcome = outcome_of(reply->status, error);
    json_decref(error);
    if (op->must_work && reply->status >= 500)
        log_info("client: %.*s", (int)reply->body.len, (const char *)reply->body.ptr);
    op->version = reply->version;
    op->expires_at_ms = reply->expires_at_ms;
    if (outcome == HISTORY_OK && op->kind == HISTORY_GET) fill_read(op, reply->body);
    end_op(c, c->ops[0], reply->status, outcome);
}

static struct ballot version_of(const json_t *item) {
    struct ballot version = { 0 };
    const char *text = json_string_value(json_object_get(item, "version"));
    if (text == NULL || !status_ok(etag_parse(bytes_of_string(text), &version)))
        return (struct ballot){ 0 };
    return version;
}

static struct bytes value_of(const json_t *item) {
    const json_t *value = json_object_get(item, "value");
    if (!json_is_string(value)) return BYTES_NONE;
    return bytes_of(json_string_value(value), json_string_length(value));
}

/* Errors  ST_CORRUPT */
static STATUS take_batch(struct client *c, const json_t *root) {
    const json_t *results = json_object_get(root, "results");
    if (json_array_size(results) != c->work.items_count) return status_of(ST_CORRUPT);
    for (uint32_t i = 0; i < c->work.items_count; i++) {
        const json_t *item = json_array_get(results, i);
        const json_int_t status = json_integer_value(json_object_get(item, "status"));
        if (status < 200 || status > 599) return status_of(ST_CORRUPT);
    }
    for (uint32_t i = 0; i < c->work.items_count; i++) {
        const json_t *item = json_array_get(results, i);
        struct history_op *op = history_op(c->all->history, c->ops[i]);
        const uint32_t status = (uint32_t)json_integer_value(json_object_get(item, "status"));
        op->version = version_of(item);
        op->expires_at_ms = (uint64_t)json_integer_value(json_object_get(item, "expires_at_ms"));
        if (status == 200 && op->kind == HISTORY_GET) fill_read(op, value_of(item));
        end_op(c, c->ops[i], status, outcome_of(status, json_object_get(item, "error")));
    }
    return status_of(ST_OK);
}

/* A row is a read that began when the scan did.
 * Errors  ST_CORRUPT */
static STATUS take_row(struct client *c, const struct history_op *scan, const json_t *item,
                       uint32_t *ret_key) {
    const json_t *name = json_object_get(item, "key");
    if (!json_is_string(name)) return status_of(ST_CORRUPT);
    struct history_op op = *scan;
    op.kind = HISTORY_ROW;
    op.must_work = false;
    op.key = history_find_key(c->all->history, (const uint8_t *)json_string_value(name),
                              json_string_length(name));
    if (op.key == HISTORY_NONE) return status_of(ST_CORRUPT);
    op.version = version_of(item);
    op.expires_at_ms = (uint64_t)json_integer_value(json_object_get(item, "expires_at_ms"));
    fill_read(&op, value_of(item));
    end_op(c, history_begin(c->all->history, &op), 200, HISTORY_OK);
    *ret_key = op.key;
    return status_of(ST_OK);
}

/* Of what it went past and did not show a scan says that it is not there. `last`: the last key
 * that it showed if there are more, else HISTORY_NONE. */
static void take_gaps(struct client *c, const struct history_op *scan, const bool *shown,
                      uint32_t last) {
    struct history *h = c->all->history;
    for (uint32_t i = 0; i < h->keys_count; i++) {
        const char *text = key_text(c, i);
        if (shown[i] || !h->keys[i].put) continue; /* nobody was promised that there is any */
        if (c->scan_start != HISTORY_NONE && strcmp(text, key_text(c, c->scan_start)) < 0) continue;
        if (last != HISTORY_NONE && strcmp(text, key_text(c, last)) > 0) continue;
        struct history_op op = *scan;
        op.kind = HISTORY_ROW;
        op.must_work = false;
        op.key = i;
        end_op(c, history_begin(h, &op), 200, HISTORY_ABSENT);
    }
}

static STATUS take_scan(struct client *c, const json_t *root) {
    const struct history_op scan = *history_op(c->all->history, c->ops[0]);
    const json_t *items = json_object_get(root, "items");
    if (!json_is_array(items)) return status_of(ST_CORRUPT);
    bool shown[HISTORY_KEYS_MAX] = { false };
    uint32_t last = HISTORY_NONE;
    for (size_t i = 0; i < json_array_size(items); i++) {
        TRY(take_row(c, &scan, json_array_get(items, i), &last));
        shown[last] = true;
    }
    const json_t *error = json_object_get(root, "error");
    const bool more = !json_is_null(json_object_get(root, "cursor"));
    if (more && last == HISTORY_NONE) return status_of(ST_CORRUPT);
    if (error == NULL) take_gaps(c, &scan, shown, more ? last : HISTORY_NONE);
    end_op(c, c->ops[0], error == NULL ? 200 : 503, error == NULL ? HISTORY_OK : HISTORY_UNKNOWN);
    return status_of(ST_OK);
}

STATUS client_take_answer(struct client *c, const struct client_reply *reply) {
    ASSERT(c->waiting);
    sim_trace_add(c->all->trace, &reply->status, sizeof reply->status);
    const bool many = c->work.kind == WORK_SCAN || c->work.kind == WORK_BATCH;
    if (c->work.kind == WORK_TRUNCATE) {
        end_all(c, reply->status, reply->status == 200 ? HISTORY_OK : HISTORY_UNKNOWN);
    } else if (!many) {
        take_one(c, reply);
    } else if (reply->status != 200) {
        json_t *error = error_of(reply->body);
        end_all(c, reply->status, outcome_of(reply->status, error));
        json_decref(error);
    } else {
        json_t *root = json_loadb((const char *)reply->body.ptr, reply->body.len, 0, NULL);
        if (root == NULL) return status_of(ST_CORRUPT);
        const struct status st =
            c->work.kind == WORK_SCAN ? take_scan(c, root) : take_batch(c, root);
        json_decref(root);
        TRY(st);
    }
    c->waiting = false;
    return status_of(ST_OK);
}

void client_give_up(struct client *c) {
    ASSERT(c->waiting);
    for (uint32_t i = 0; i < ops_count(c); i++) {
        if (history_op(c->all->history, op_at(c, i))->outcome == HISTORY_PENDING)
            end_op(c, op_at(c, i), 0, HISTORY_UNKNOWN);
    }
    c->waiting = false;
}
