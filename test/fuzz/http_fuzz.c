/* A connection's bytes through decode, translate and encode with made-up responses.
 * Fed whole or in any pieces, the replies must be the same bytes; every reply must be
 * well-formed HTTP whose JSON can be parsed; and the guard's verdict is never relaxed. */
#define _GNU_SOURCE /* memmem */
#include <jansson.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "proto/http.h"
#include "proto/http_admin.h"
#include "proto/http_chunk.h"
#include "proto/http_events.h"
#include "proto/replica_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS UINT64_C(1700000000000)
#define OUT_BYTES_MAX (64u * 1024 * 1024)
#define VALUE_LIMIT 4096u
#define REQUESTS_MAX 64u /* of one input */

struct run {
    struct http *h;
    struct buffer replies; /* all of them */
    size_t consumed;       /* of the whole input */
    bool ended;            /* refused, or closed by a reply */
};

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return x ^ (x >> 29);
}

static uint64_t hash_of(struct bytes key, uint64_t seed) {
    uint64_t x = seed + key.len;
    for (size_t i = 0; i < key.len; i++) x = mix(x ^ key.ptr[i]);
    return x;
}

/* What replicas may hold; until the next call. */
static struct bytes reports(uint64_t x) {
    static struct replica_report all[3];
    for (uint32_t i = 0; i < 3; i++) {
        all[i] = (struct replica_report){ .id = i,
                                          .state = (enum replica_state)((x >> i) % REPLICA_STATES),
                                          .version = { x | 1, 1, 1 },
                                          .expires_at_ms = (x & 1) != 0 ? NOW_MS : 0,
                                          .value_bytes = x };
        memcpy(all[i].address, "a:1", 4);
    }
    return bytes_of((const uint8_t *)all, (1 + x % 3) * sizeof all[0]);
}

static struct response respond(const struct request *r, uint64_t seed) {
    static const enum outcome outcomes[] = {
        OUT_OK,   OUT_OK,        OUT_OK,      OUT_OK,      OUT_NOT_FOUND, OUT_CONDITION_FAILED,
        OUT_BUSY, OUT_DISK_FULL, OUT_CORRUPT, OUT_TIMEOUT, OUT_STOPPING,  OUT_QUORUM,
    };
    const uint64_t x = hash_of(r->key, seed + r->op);
    struct response response = {
        .outcome = outcomes[x % (sizeof outcomes / sizeof *outcomes)],
        .existed = (x & 64) != 0,
        .version = { mix(x), (uint32_t)(x >> 7) | 1, (uint32_t)(x >> 40) },
        .expires_at_ms = (x & 128) != 0 ? NOW_MS + x % 100000 : 0,
        .value = r->op == OP_PUT ? r->value : r->key,
    };
    if (r->condition == COND_VERSION_IS_NOT && (x & 256) != 0) response.outcome = OUT_NOT_MODIFIED;
    if (r->op == OP_FIGURES) response.value = (x & 512) != 0 ? BYTES_LIT("{}") : BYTES_LIT("[");
    if ((r->flags & REQUEST_REPLICAS) != 0) response.value = reports(x);
    response.value_len = response.value.len;
    return response;
}

static void check_request(const struct request *r) {
    if (r->op == OP_FIGURES) return;
    ASSERT(r->op == OP_GET || r->op == OP_PUT || r->op == OP_DELETE);
    ASSERT(r->key.len >= KEY_BYTES_MIN);
    ASSERT(r->key.len <= KEY_BYTES_MAX);
    ASSERT(r->value.len <= VALUE_LIMIT);
    if (r->expiry == EXPIRY_AT) ASSERT(r->expires_at_ms > 0);
    volatile uint64_t sum = hash_of(r->key, 1) + hash_of(r->value, 1); /* readable */
    (void)sum;
}

static void run_requests(const struct plan *plan, uint64_t seed, struct buffer *out) {
    ASSERT(plan->request_count > 0);
    struct response *responses = mem_alloc(plan->request_count * sizeof *responses);
    for (uint32_t i = 0; i < plan->request_count; i++) {
        check_request(&plan->requests[i]);
        responses[i] = respond(&plan->requests[i], seed);
    }
    http_encode(plan, responses, NOW_MS, out);
    mem_free(responses);
}

static void run_scan(const struct plan *plan, uint64_t seed, struct buffer *out) {
    const struct request *r = &plan->requests[0];
    const uint64_t x = hash_of(r->prefix, seed);
    const struct row rows[] = {
        { BYTES_LIT("k"), BYTES_LIT("\xff\x01"), { x | 1, 1, 1 }, 0, false },
        { r->prefix.len > 0 ? r->prefix : BYTES_LIT("\""), r->start, { 1, 2, 3 }, NOW_MS, false },
    };
    ASSERT(r->op == OP_SCAN);
    ASSERT(r->rows_max > 0);
    const bool more = plan->rows_wanted > 0 && (x & 64) != 0;
    if ((x & 7) == 0) {
        http_encode_outcome(plan, OUT_BUSY, false, out);
        return;
    }
    http_encode_scan_begin(plan, out);
    http_encode_scan_rows(plan, rows, (uint32_t)(x >> 3 & 1) + 1, true, out);
    http_encode_scan_rows(plan, rows, (uint32_t)(x >> 4 & 1), false, out);
    if ((x & 32) != 0) {
        http_encode_outcome(plan, OUT_CORRUPT, true, out);
    } else {
        http_encode_scan_end(plan, more, more ? rows[1].key : BYTES_NONE, out);
    }
}

static struct bytes find_header(struct bytes head, const char *name) {
    const uint8_t *at = memmem(head.ptr, head.len, name, strlen(name));
    if (at == NULL) return BYTES_NONE;
    at += strlen(name);
    const uint8_t *end = memchr(at, '\r', (size_t)(head.ptr + head.len - at));
    ASSERT(end != NULL);
    return bytes_of(at, (size_t)(end - at));
}

static void check_json(struct bytes body) {
    json_error_t error;
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *json = json_loadb((const char *)body.ptr, body.len, flags, &error);
    ASSERT(json != NULL);
    json_decref(json);
}

/* One reply: a head, and a body as long as the head says. */
static void check_reply(struct bytes reply, bool head_only) {
    const uint8_t *blank = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);
    ASSERT(blank != NULL);
    ASSERT(bytes_start_with(reply, BYTES_LIT("HTTP/1.1 ")));
    const struct bytes head = bytes_of(reply.ptr, (size_t)(blank - reply.ptr) + 4);
    struct bytes body = bytes_of(reply.ptr + head.len, reply.len - head.len);
    const struct bytes length = find_header(head, "Content-Length: ");
    const bool is_json =
        bytes_equal(find_header(head, "Content-Type: "), BYTES_LIT("application/json"));
    if (find_header(head, "Transfer-Encoding: ").len > 0) {
        struct http_chunk chunk = { .at = 0 };
        struct buffer whole;
        buffer_init(&whole, OUT_BYTES_MAX);
        ASSERT(status_ok(http_chunk_step(&chunk, body, OUT_BYTES_MAX, &whole)));
        ASSERT(chunk.at == body.len);
        /* A scan of an older store that fails half way is no JSON on purpose. */
        const struct bytes text = buffer_bytes(&whole);
        if (memmem(text.ptr, text.len, "\nerror: ", 8) == NULL) check_json(text);
        buffer_deinit(&whole);
        return;
    }
    uint64_t value = 0;
    if (length.len > 0) ASSERT(status_ok(bytes_to_u64(length, &value)));
    if (length.len > 0 && !head_only) ASSERT(value == body.len);
    if (head_only) ASSERT(body.len == 0);
    if (is_json && !head_only && body.len > 0) check_json(body);
}

static void run_admin(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    struct admin_reply reply;
    if (!admin_answer_from_view(plan->admin, view, &reply)) admin_reply_init(&reply, ADMIN_TIMEOUT);
    http_encode_admin(plan, &reply, out);
}

static void carry_out(struct run *run, uint64_t seed) {
    static const struct node_view view = { .version = "1", .address = "a:1", .ready = true };
    struct plan plan;
    struct buffer out;
    buffer_init(&out, OUT_BYTES_MAX);
    http_translate(run->h, NOW_MS, &out, &plan);
    switch (plan.kind) {
    case PLAN_REPLIED: break;
    case PLAN_REQUESTS: run_requests(&plan, seed, &out); break;
    case PLAN_SCAN: run_scan(&plan, seed, &out); break;
    case PLAN_NODE:
        if (plan.topic == NODE_EVENTS)
            http_events_begin(&plan, &out);
        else
            http_encode_node(&plan, &view, &out);
        break;
    case PLAN_ADMIN: run_admin(&plan, &view, &out); break;
    }
    ASSERT(!out.overflowed);
    check_reply(buffer_bytes(&out), (plan.dialect & 1) != 0);
    buffer_append(&run->replies, buffer_bytes(&out));
    run->ended = plan.close_after;
    buffer_deinit(&out);
}

/* Take what is complete in the first `have` bytes; false when more must come. The bytes
 * are a copy that ends at its last byte and is somewhere else each time. */
static bool take(struct run *run, const uint8_t *data, size_t have, uint64_t seed) {
    const size_t len = have - run->consumed;
    uint8_t *copy = mem_alloc(len + 1);
    memcpy(copy + 1, data + run->consumed, len);
    struct buffer out;
    size_t consumed = 0;
    size_t need = 0;
    buffer_init(&out, OUT_BYTES_MAX);
    const struct status s = http_decode(run->h, bytes_of(copy + 1, len), &out, &consumed, &need);
    switch (s.code) {
    case ST_OK:
        ASSERT(consumed > 0 && consumed <= len);
        run->consumed += consumed;
        carry_out(run, seed);
        break;
    case ST_WAIT:
        ASSERT(need == 0 || need > len);
        ASSERT(buffer_len(&out) == 0 ||
               bytes_equal(buffer_bytes(&out), BYTES_LIT("HTTP/1.1 100 Continue\r\n\r\n")));
        break;
    default:
        ASSERT(s.code == ST_INVALID);
        check_reply(buffer_bytes(&out),
                    bytes_start_with(bytes_of(copy + 1, len), BYTES_LIT("HEAD")) &&
                        memmem(out.ptr, out.end, "\r\n\r\n{", 5) == NULL);
        buffer_append(&run->replies, buffer_bytes(&out));
        run->ended = true;
        break;
    }
    buffer_deinit(&out);
    mem_free(copy);
    return s.code == ST_OK && !run->ended;
}

static void feed(struct run *run, const uint8_t *data, size_t size, uint64_t seed, size_t step) {
    uint32_t requests = 0;
    run->h = http_create(VALUE_LIMIT);
    buffer_init(&run->replies, OUT_BYTES_MAX);
    for (size_t have = 0; have < size && !run->ended && requests < REQUESTS_MAX;) {
        const size_t more = step == 0 ? size : 1 + mix(seed + have) % step;
        have = have + more < size ? have + more : size;
        while (have > run->consumed && requests < REQUESTS_MAX && take(run, data, have, seed)) {
            requests++;
        }
    }
    http_destroy(run->h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const uint64_t seed = data[0];
    const size_t step = 1 + data[1];
    struct run whole = { .consumed = 0 };
    struct run split = { .consumed = 0 };
    feed(&whole, data + 2, size - 2, seed, 0);
    feed(&split, data + 2, size - 2, seed, step);
    ASSERT(whole.ended == split.ended);
    ASSERT(whole.consumed == split.consumed);
    ASSERT(bytes_equal(buffer_bytes(&whole.replies), buffer_bytes(&split.replies)));
    buffer_deinit(&whole.replies);
    buffer_deinit(&split.replies);
    return 0;
}
