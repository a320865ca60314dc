/* A connection's bytes through decode, translate and encode with made-up responses. Fed
 * whole, in pieces or byte by byte, the replies must be the same bytes, every reply must
 * be well-formed RESP, and every request must be one that the store accepts. */
#include "base/assert.h"
#include "base/mem.h"
#include "proto/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS UINT64_C(1700000000000)
#define OUT_BYTES_MAX (256u * 1024 * 1024)
#define VALUE_LIMIT 1000u
#define REPLIES_MAX 300u /* of one input; COMMAND is 30 KiB for 9 bytes */

struct run {
    struct resp resp;
    struct buffer out;
    uint32_t replies; /* so far */
    bool ended;       /* by a protocol error or QUIT */
};

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return x ^ (x >> 29);
}

static struct response respond(const struct request *q, uint64_t seed) {
    uint64_t x = mix(seed + 1) + q->key.len;
    for (size_t i = 0; i < q->key.len; i++) x = mix(x ^ q->key.ptr[i]);
    return (struct response){
        .outcome = (enum outcome)(x % 3 == 0 ? x / 3 % (OUT_QUORUM + 1) : OUT_OK),
        .existed = (x >> 8 & 1) != 0,
        .expires_at_ms = (x >> 9 & 1) != 0 ? NOW_MS + (x >> 40) : 0,
        .value = q->key,
        .value_len = q->key.len,
        .integer = (int64_t)mix(x),
    };
}

static void check_request(const struct request *q) {
    if (q->op < OP_SINGLE_KEY_END) {
        ASSERT(q->key.len >= KEY_BYTES_MIN);
        ASSERT(q->key.len <= KEY_BYTES_MAX);
    }
    ASSERT(q->value.len <= VALUE_LIMIT);
    ASSERT((q->expiry == EXPIRY_AT) == (q->expires_at_ms != 0));
    ASSERT((q->condition == COND_VALUE_IS) == (q->expected.ptr != NULL));
    ASSERT(q->op != OP_SCAN || q->rows_max > 0);
}

static void answer(struct run *run, const struct plan *plan) {
    static const struct config_row config[] = { { "port", "1", "default", "" } };
    static struct node_view view = {
        .version = "1",
        .address = "127.0.0.1:1",
        .data_dir = "d",
        .sync_mode = "always",
        .client_address = "127.0.0.1:2",
        .client_name = "n",
        .config = config,
        .config_count = 1,
    };
    struct row row = { .key = BYTES_LIT("key") };
    if (plan->kind == PLAN_NODE) resp_encode_node(plan, &view, &run->out);
    if (plan->kind == PLAN_SCAN) {
        check_request(plan->requests);
        row.value = BYTES_NONE;
        resp_encode_scan(plan, &row, 1, plan->scan_cursor, &run->out);
    }
    if (plan->kind != PLAN_REQUESTS) return;
    struct response *const responses = mem_alloc(plan->request_count * sizeof *responses);
    for (uint32_t i = 0; i < plan->request_count; i++) {
        check_request(&plan->requests[i]);
        responses[i] = respond(&plan->requests[i], run->replies);
    }
    resp_encode(plan, responses, NOW_MS, &run->out);
    mem_free(responses);
}

/* One element of RESP; what follows it. */
static const uint8_t *check_element(const uint8_t *p, const uint8_t *end) {
    ASSERT(p < end);
    const uint8_t type = *p++;
    const uint8_t *const line = p;
    while (p < end && *p != '\r' && *p != '\n') p++;
    ASSERT(end - p >= 2);
    ASSERT(p[0] == '\r');
    ASSERT(p[1] == '\n');
    const struct bytes text = bytes_of(line, (size_t)(p - line));
    p += 2;
    int64_t count = 0;
    if (type == '+' || type == '-' || type == '_') return p;
    ASSERT(status_ok(bytes_to_i64(text, &count)));
    if (type == ':' || count < 0) return p;
    if (type == '$' || type == '=') {
        ASSERT(end - p >= count + 2);
        return p + count + 2;
    }
    ASSERT(type == '*' || type == '%' || type == '~');
    for (int64_t i = 0; i < (type == '%' ? 2 * count : count); i++) p = check_element(p, end);
    return p;
}

/* All commands that are complete in `in`; how many bytes they had. */
static size_t take(struct run *run, struct bytes in) {
    size_t at = 0;
    while (!run->ended) {
        const size_t out_before = buffer_len(&run->out);
        size_t consumed = 0, need = 0;
        const struct bytes rest = bytes_of(in.ptr + at, in.len - at);
        const struct status st = resp_decode(&run->resp, rest, &run->out, &consumed, &need);
        ASSERT(st.code != ST_WAIT || need == 0 || need > rest.len);
        if (st.code == ST_WAIT) break;
        struct plan plan = { .kind = PLAN_REPLIED };
        if (status_ok(st)) {
            ASSERT(consumed > 0);
            ASSERT(consumed <= rest.len);
            resp_translate(&run->resp, NOW_MS, &run->out, &plan);
            answer(run, &plan);
        }
        ASSERT(!run->out.overflowed);
        const bool silent = status_ok(st) && run->resp.argc == 0;
        ASSERT((buffer_len(&run->out) == out_before) == silent);
        if (!silent) {
            const struct bytes all = buffer_bytes(&run->out);
            ASSERT(check_element(all.ptr + out_before, all.ptr + all.len) == all.ptr + all.len);
            run->replies++;
        }
        run->ended = !status_ok(st) || plan.close_after || run->replies == REPLIES_MAX;
        at += consumed;
    }
    return at;
}

/* Feed the input in pieces of which `seed` tells the sizes (0: whole, 1: single bytes).
 * What is not consumed lies in a block of its own, so that reads past it are seen. */
static struct run run_input(struct bytes in, uint64_t seed) {
    struct run run = { .replies = 0 };
    resp_init(&run.resp, VALUE_LIMIT);
    buffer_init(&run.out, OUT_BYTES_MAX);
    size_t start = 0, end = 0;
    while (end < in.len && !run.ended) {
        seed = seed > 1 ? mix(seed) | 2 : seed;
        const size_t piece = seed == 0 ? in.len : seed == 1 ? 1 : 1 + seed % 61;
        end = in.len - end < piece ? in.len : end + piece;
        uint8_t *const copy = mem_alloc(end - start);
        memcpy(copy, in.ptr + start, end - start);
        start += take(&run, bytes_of(copy, end - start));
        mem_free(copy);
    }
    resp_deinit(&run.resp);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const struct bytes in = bytes_of(data, size);
    struct run whole = run_input(in, 0);
    for (uint64_t i = 1; i <= 2; i++) {
        /* Byte by byte is slow for the large ones. */
        if (i == 1 && size > 4096) continue;
        struct run parts = run_input(in, i == 1 ? 1 : 2 + data[size - 1]);
        ASSERT(parts.ended == whole.ended);
        ASSERT(parts.replies == whole.replies);
        ASSERT(buffer_len(&parts.out) == buffer_len(&whole.out));
        ASSERT(buffer_len(&whole.out) == 0 ||
               bytes_equal(buffer_bytes(&parts.out), buffer_bytes(&whole.out)));
        buffer_deinit(&parts.out);
    }
    buffer_deinit(&whole.out);
    return 0;
}
