/* Any body and query on the paths of an operator: answered with an error in JSON, or a request
 * whose every field is in range, and any answer to it is JSON. */
#define _GNU_SOURCE /* memmem */
#include <jansson.h>

#include "base/assert.h"
#include "proto/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS UINT64_C(1700000000000)

static const char *const lines[] = {
    "POST /v1/cluster/nodes",      "PUT /v1/cluster/nodes/",   "DELETE /v1/cluster/nodes/",
    "POST /v1/cluster/leader",     "GET /v1/cluster/plan?",    "POST /v1/cluster/change",
    "DELETE /v1/cluster/nodes/1?", "GET /v1/keyspaces/",       "PUT /v1/keyspaces/k",
    "PUT /v1/cluster/nodes/1",     "DELETE /v1/keyspaces/k?",  "POST /AddServer",
    "GET /remove-node?address=",   "PUT /v1/cluster/replicas",
};
#define LINES (sizeof lines / sizeof *lines)

static const uint8_t *body_of(struct bytes reply, size_t *ret_len) {
    const uint8_t *blank = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);
    ASSERT(blank != NULL);
    *ret_len = (size_t)(reply.ptr + reply.len - blank) - 4;
    return blank + 4;
}

static void check_json(struct buffer *out) {
    size_t len = 0;
    const uint8_t *body = body_of(buffer_bytes(out), &len);
    json_error_t error;
    json_t *json = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, &error);
    ASSERT(json != NULL);
    json_decref(json);
}

/* Each outcome, about what was asked. */
static void answer_all(const struct plan *plan, bool is_json, struct buffer *out) {
    struct admin_reply reply;
    for (uint32_t i = 0; i < ADMIN_OUTCOMES; i++) {
        const struct admin_keyspace keyspace = { .name = "k", .replicas = 1 };
        admin_reply_init(&reply, (enum admin_outcome)i);
        reply.keyspaces = &keyspace;
        reply.keyspaces_count = 1;
        reply.address = plan->admin->address;
        reply.has_plan = reply.has_risk = true;
        admin_reply_say(&reply, "about %s %s", plan->admin->address, plan->admin->keyspace);
        buffer_reset(out);
        http_encode_admin(plan, &reply, out);
        if (is_json && (plan->dialect & 1) == 0) check_json(out);
    }
}

/* The first byte chooses the path; the rest is its query or name if it ends in one, else the
 * body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct http *h = http_create(1024);
    struct buffer in;
    struct buffer out;
    struct plan plan = { .kind = PLAN_REPLIED };
    size_t consumed = 0;
    size_t need = 0;
    const char *line = lines[data[0] % LINES];
    const struct bytes rest = bytes_of(data + 1, size - 1);
    const bool in_target = line[strlen(line) - 1] == '/' || strpbrk(line, "?=") != NULL;
    buffer_init(&in, HTTP_REQUEST_BYTES_MAX);
    buffer_init(&out, HTTP_REQUEST_BYTES_MAX);
    buffer_append_string(&in, line);
    if (in_target) buffer_append(&in, rest);
    buffer_printf(&in, " HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                  in_target ? 0 : rest.len);
    if (!in_target) buffer_append(&in, rest);
    const struct status s = http_decode(h, buffer_bytes(&in), &out, &consumed, &need);
    if (status_ok(s)) http_translate(h, NOW_MS, &out, &plan);
    if (plan.kind == PLAN_ADMIN) {
        ASSERT(admin_request_check(plan.admin));
        ASSERT(buffer_len(&out) == 0);
        answer_all(&plan, strstr(line, "/v1/") != NULL, &out);
    } else if (status_ok(s) && strstr(line, "/v1/") != NULL && plan.kind == PLAN_REPLIED) {
        size_t len = 0;
        (void)body_of(buffer_bytes(&out), &len);
    }
    http_destroy(h);
    buffer_deinit(&in);
    buffer_deinit(&out);
    return 0;
}
