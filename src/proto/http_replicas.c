/* http_replicas.c - GET /v1/kv/KEY?replicas=true: what each replica of a key holds, as JSON. */
#include <inttypes.h>

#include "base/assert.h"
#include "proto/etag.h"
#include "proto/http_internal.h"
#include "proto/json_text.h"
#include "proto/replica_report.h"

static const char *state_name(const struct replica_report *r, uint64_t now_ms) {
    static const char *const names[REPLICA_STATES] = {
        [REPLICA_UNREACHABLE] = "unreachable",
        [REPLICA_ABSTAINS] = "abstains",
        [REPLICA_NOTHING] = "nothing",
        [REPLICA_TOMBSTONE] = "tombstone",
        [REPLICA_VALUE] = "value",
    };
    ASSERT(r->state < REPLICA_STATES);
    const bool is_over = r->expires_at_ms != 0 && r->expires_at_ms <= now_ms;
    return r->state == REPLICA_VALUE && is_over ? "expired" : names[r->state];
}

static void append_report(struct buffer *out, const struct replica_report *r, uint64_t now_ms) {
    buffer_printf(out, "{\"id\":%" PRIu32 ",\"address\":", r->id);
    json_text_append_lossy(out, bytes_of_string(r->address));
    buffer_printf(out, ",\"self\":%s,\"state\":\"%s\"", r->self ? "true" : "false",
                  state_name(r, now_ms));
    if (r->state == REPLICA_TOMBSTONE || r->state == REPLICA_VALUE) {
        uint8_t version[BALLOT_TEXT_BYTES];
        buffer_append(out, BYTES_LIT(",\"version\":\""));
        buffer_append(out, bytes_of(version, etag_print(r->version, version)));
        buffer_append_u8(out, '"');
    }
    if (r->state == REPLICA_VALUE) {
        buffer_printf(out, ",\"value_bytes\":%" PRIu64, r->value_bytes);
        if (r->expires_at_ms != 0)
            buffer_printf(out, ",\"expires_at_ms\":%" PRIu64, r->expires_at_ms);
    }
    buffer_append_u8(out, '}');
}

void http_replicas_encode(const struct plan *plan, const struct response *response, uint64_t now_ms,
                          struct buffer *out) {
    struct replica_report report;
    ASSERT(plan->shape == HTTP_SHAPE_REPLICAS);
    if (response->outcome != OUT_OK) {
        http_reply_outcome(out, plan->dialect, response, false);
        return;
    }
    ASSERT(response->value.len % sizeof report == 0);
    const size_t mark = http_reply_begin(out);
    buffer_printf(out, "{\"slot\":%" PRIu64 ",\"replicas\":[", plan->detail_number);
    for (size_t at = 0; at < response->value.len; at += sizeof report) {
        memcpy(&report, response->value.ptr + at, sizeof report);
        if (at > 0) buffer_append(out, BYTES_LIT(",\n"));
        append_report(out, &report, now_ms);
    }
    buffer_append(out, BYTES_LIT("]}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "Cache-Control: no-store\r\n");
}
