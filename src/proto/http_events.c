#include "proto/http_events.h"

#include <inttypes.h>

#include "base/assert.h"
#include "proto/http_internal.h"
#include "proto/http_metrics.h"

#define RETRY_LINE "retry: 1000\n\n"

void http_events_begin(const struct plan *plan, struct buffer *out) {
    ASSERT(plan->topic == NODE_EVENTS);
    ASSERT((plan->dialect & HTTP_HEAD_ONLY) == 0);
    buffer_append(out, BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                 "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
                                 "Connection: close\r\n\r\n" RETRY_LINE));
}

/* What was appended since `mark` is the data: an event ends at its first empty line, so line
 * ends become spaces, which JSON has only between its parts. */
static void end_event(struct buffer *out, size_t mark) {
    if (out->overflowed) return;
    uint8_t *data = out->ptr + out->start + mark;
    ASSERT(buffer_len(out) > mark);
    for (size_t i = 0; i < buffer_len(out) - mark; i++) {
        if (data[i] == '\n') data[i] = ' ';
    }
    buffer_append(out, BYTES_LIT("\n\n"));
}

static void append_times(struct buffer *out, uint64_t p50_ns, uint64_t p99_ns) {
    const double us = 1000.0; /* ns */
    buffer_printf(out, "\"p50_us\":%.1f,\"p99_us\":%.1f", (double)p50_ns / us, (double)p99_ns / us);
}

static void append_moment(struct buffer *out, const struct event_moment *m) {
    const double seconds = (double)m->took_ns / 1e9;
    buffer_printf(out, "{\"seconds\":%.3f,", seconds);
    append_times(out, m->p50_ns, m->p99_ns);
    for (uint32_t i = 0; i < OP_CLASSES; i++) {
        const uint64_t operations = m->classes[i].operations;
        buffer_printf(out, ",\"%s\":{\"operations\":%" PRIu64 ",\"per_second\":%.1f,",
                      node_class_name((enum op_class)i), operations,
                      m->took_ns == 0 ? 0.0 : (double)operations / seconds);
        append_times(out, m->classes[i].p50_ns, m->classes[i].p99_ns);
        buffer_append_u8(out, '}');
    }
    buffer_append_u8(out, '}');
}

void http_events_append_figures(const struct node_view *view, const struct event_moment *moment,
                                struct buffer *out) {
    buffer_append(out, BYTES_LIT("event: figures\ndata: "));
    const size_t mark = buffer_len(out);
    buffer_append(out, BYTES_LIT("{\"moment\":"));
    append_moment(out, moment);
    buffer_append(out, BYTES_LIT(",\"metrics\":"));
    http_metrics_append_json(out, view);
    buffer_append_u8(out, '}');
    end_event(out, mark);
}

void http_events_append_cluster(const struct node_view *view, struct buffer *out) {
    buffer_append(out, BYTES_LIT("event: cluster\ndata: "));
    const size_t mark = buffer_len(out);
    http_append_cluster(out, view);
    end_event(out, mark);
}
