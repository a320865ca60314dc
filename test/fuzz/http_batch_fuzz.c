/* Any body of POST /v1/batch: it is answered with 400 or becomes requests within the
 * limits, and their results are one JSON array in the same order. */
#define _GNU_SOURCE /* memmem */
#include <jansson.h>

#include "base/assert.h"
#include "base/mem.h"
#include "proto/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS UINT64_C(1700000000000)
#define VALUE_LIMIT 1024u

static void check_results(struct buffer *out, size_t count) {
    const struct bytes reply = buffer_bytes(out);
    const uint8_t *blank = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);
    ASSERT(blank != NULL);
    json_error_t error;
    json_t *json = json_loadb((const char *)blank + 4, (size_t)(reply.ptr + reply.len - blank) - 4,
                              JSON_ALLOW_NUL, &error);
    ASSERT(json != NULL);
    ASSERT(count == 0 || json_array_size(json_object_get(json, "results")) == count);
    json_decref(json);
}

static void run(const struct plan *plan, struct buffer *out) {
    struct response *responses = mem_alloc_zeroed(plan->request_count * sizeof *responses);
    for (uint32_t i = 0; i < plan->request_count; i++) {
        const struct request *r = &plan->requests[i];
        ASSERT(r->op == OP_GET || r->op == OP_PUT || r->op == OP_DELETE);
        ASSERT(r->key.len >= KEY_BYTES_MIN && r->key.len <= KEY_BYTES_MAX);
        ASSERT(r->value.len <= VALUE_LIMIT);
        responses[i].outcome = i % 3 == 2 ? OUT_NOT_FOUND : OUT_OK;
        responses[i].version = (struct ballot){ i + 1, 1, 1 };
        responses[i].value = r->op == OP_PUT ? r->value : r->key;
    }
    http_encode(plan, responses, NOW_MS, out);
    mem_free(responses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http *h = http_create(VALUE_LIMIT);
    struct buffer in;
    struct buffer out;
    struct plan plan;
    size_t consumed = 0;
    size_t need = 0;
    buffer_init(&in, HTTP_REQUEST_BYTES_MAX);
    buffer_init(&out, HTTP_REQUEST_BYTES_MAX * 8u);
    buffer_printf(&in, "POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
    buffer_append(&in, bytes_of(data, size));
    ASSERT(status_ok(http_decode(h, buffer_bytes(&in), &out, &consumed, &need)));
    ASSERT(consumed == buffer_len(&in));
    http_translate(h, NOW_MS, &out, &plan);
    if (plan.kind == PLAN_REQUESTS) run(&plan, &out);
    check_results(&out, plan.kind == PLAN_REQUESTS ? plan.request_count : 0);
    http_destroy(h);
    buffer_deinit(&in);
    buffer_deinit(&out);
    return 0;
}
