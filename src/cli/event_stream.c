#include "cli/event_stream.h"

#include "base/assert.h"
#include "base/mem.h"

#define LINE_BYTES (16u * 1024)
#define READ_BYTES (16u * 1024)

static STATUS send_request(struct event_stream *s, const char *server) {
    struct buffer head;
    buffer_init(&head, 4096);
    buffer_printf(&head, "GET /v1/events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n",
                  server);
    struct bytes rest = buffer_bytes(&head);
    struct status st = status_of(head.overflowed ? ST_INVALID : ST_OK);
    while (status_ok(st) && rest.len > 0) {
        size_t len = 0;
        st = os_sock_write(s->sock, &rest, 1, &len);
        rest = bytes_of(rest.ptr + len, rest.len - len);
    }
    buffer_deinit(&head);
    return st;
}

STATUS event_stream_open(struct event_stream *s, struct os *os, const char *server,
                         uint32_t timeout_ms) {
    *s = (struct event_stream){ .line = NULL };
    TRY(os_sock_connect_blocking(os, server, timeout_ms, &s->sock));
    s->line = mem_alloc(LINE_BYTES);
    http_response_init(&s->response, s->line, LINE_BYTES);
    buffer_init(&s->text, EVENT_STREAM_BYTES_MAX);
    struct status st = send_request(s, server);
    /* The head says whether it is a stream at all. */
    while (status_ok(st) && s->response.state <= HTTP_RESPONSE_AT_HEADER) st = event_stream_read(s);
    if (!status_ok(st)) {
        const uint32_t status = s->response.status;
        event_stream_close(s);
        s->response.status = status;
    }
    return st;
}

void event_stream_close(struct event_stream *s) {
    os_sock_close(&s->sock);
    if (s->line == NULL) return;
    buffer_deinit(&s->text);
    mem_free(s->line);
    *s = (struct event_stream){ .line = NULL };
}

/* Errors  ST_CORRUPT, ST_FULL, ST_NOT_FOUND */
static STATUS take_input(struct event_stream *s, struct bytes in) {
    for (;;) {
        struct http_response_item item;
        size_t used = 0;
        TRY(http_response_next(&s->response, in, &used, &item));
        in = bytes_of(in.ptr + used, in.len - used);
        if (item.event == HTTP_RESPONSE_MORE) return status_of(ST_OK);
        if (item.event == HTTP_RESPONSE_STATUS && s->response.status != 200)
            return status_of(ST_CORRUPT);
        if (item.event == HTTP_RESPONSE_END) return status_of(ST_NOT_FOUND);
        if (item.event != HTTP_RESPONSE_BODY) continue;
        buffer_append(&s->text, item.value);
        if (s->text.overflowed) return status_of(ST_FULL);
    }
}

STATUS event_stream_read(struct event_stream *s) {
    uint8_t input[READ_BYTES];
    size_t len = 0;
    ASSERT(s->sock.os != NULL);
    ASSERT(s->line != NULL);
    buffer_consume(&s->text, s->taken);
    s->taken = 0;
    TRY(os_sock_read(s->sock, input, sizeof input, &len));
    return take_input(s, bytes_of(input, len));
}

/* The line at the start of `rest`, which it is taken off; false if there is none. */
static bool take_line(struct bytes *rest, struct bytes *ret_line) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    if (end == NULL) return false;
    const size_t len = (size_t)(end - rest->ptr);
    *ret_line = bytes_of(rest->ptr, len);
    *rest = bytes_of(end + 1, rest->len - len - 1);
    return true;
}

static void take_field(struct bytes line, struct event *event) {
    static const char name[] = "event: ", data[] = "data: ";
    if (bytes_start_with(line, BYTES_LIT("event: ")))
        event->name = bytes_of(line.ptr + sizeof name - 1, line.len - (sizeof name - 1));
    if (bytes_start_with(line, BYTES_LIT("data: ")))
        event->data = bytes_of(line.ptr + sizeof data - 1, line.len - (sizeof data - 1));
}

STATUS event_stream_next(struct event_stream *s, struct event *ret_event) {
    struct event event = { .name = BYTES_NONE, .data = BYTES_NONE };
    struct bytes line = BYTES_NONE;
    ASSERT(s->line != NULL);
    buffer_consume(&s->text, s->taken);
    s->taken = 0;
    struct bytes rest = buffer_bytes(&s->text);
    while (take_line(&rest, &line)) {
        take_field(line, &event);
        if (line.len > 0) continue;
        s->taken = (size_t)(rest.ptr - buffer_bytes(&s->text).ptr);
        if (event.data.len > 0) {
            *ret_event = event;
            return status_of(ST_OK);
        }
        event =
            (struct event){ .name = BYTES_NONE, .data = BYTES_NONE }; /* "retry:" and the like */
    }
    return status_of(ST_WAIT);
}
