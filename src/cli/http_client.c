#include "cli/http_client.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

#define INPUT_BYTES (64u * 1024)
#define HEAD_BYTES_MAX (512u * 1024) /* a key of 64 KiB is three times as long encoded */

void http_client_open(struct http_client *c, struct os *os, const char *server,
                      uint32_t timeout_ms) {
    ASSERT(timeout_ms > 0);
    memset(c, 0, sizeof *c);
    c->os = os;
    c->server = server;
    c->timeout_ms = timeout_ms;
    c->input = mem_alloc(INPUT_BYTES);
    c->line = mem_alloc(HTTP_CLIENT_LINE_BYTES);
    buffer_init(&c->body, HTTP_CLIENT_BODY_BYTES_MAX);
}

void http_client_close(struct http_client *c) {
    os_sock_close(&c->sock);
    buffer_deinit(&c->body);
    mem_free(c->line);
    mem_free(c->input);
    c->line = NULL;
    c->input = NULL;
}

void http_client_append_encoded(struct buffer *out, struct bytes in) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < in.len; i++) {
        const uint8_t c = in.ptr[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buffer_append_u8(out, c);
        } else {
            buffer_append_u8(out, '%');
            buffer_append_u8(out, (uint8_t)hex[c >> 4]);
            buffer_append_u8(out, (uint8_t)hex[c & 15]);
        }
    }
}

static STATUS send_all(struct http_client *c, struct bytes head, struct bytes body) {
    struct bytes runs[2] = { head, body };
    while (runs[0].len + runs[1].len > 0) {
        size_t len = 0;
        TRY(os_sock_write(c->sock, runs, 2, &len));
        for (size_t i = 0; i < 2; i++) {
            const size_t taken = len < runs[i].len ? len : runs[i].len;
            if (taken == 0) continue; /* nothing may be at no address at all */
            runs[i] = bytes_of(runs[i].ptr + taken, runs[i].len - taken);
            len -= taken;
        }
    }
    return status_of(ST_OK);
}

static STATUS send_request(struct http_client *c, const struct http_client_request *q) {
    struct buffer head;
    buffer_init(&head, HEAD_BYTES_MAX);
    buffer_append_string(&head, q->method);
    buffer_append_u8(&head, ' ');
    buffer_append(&head, q->target);
    buffer_printf(&head, " HTTP/1.1\r\nHost: %s\r\n%s", c->server, q->headers);
    const bool has_body = strcmp(q->method, "PUT") == 0 || strcmp(q->method, "POST") == 0;
    if (has_body) buffer_printf(&head, "Content-Length: %zu\r\n", q->body.len);
    buffer_append_string(&head, "\r\n");
    struct status s = status_of(ST_INVALID);
    if (!head.overflowed) s = send_all(c, buffer_bytes(&head), has_body ? q->body : BYTES_NONE);
    buffer_deinit(&head);
    return s;
}

static void copy_text(char text[HTTP_CLIENT_TEXT_BYTES], struct bytes in) {
    snprintf(text, HTTP_CLIENT_TEXT_BYTES, "%.*s", (int)in.len, (const char *)in.ptr);
}

static void take_header(struct http_client *c, struct bytes name, struct bytes value) {
    if (bytes_equal_nocase(name, "atoll-expires-at")) copy_text(c->expires_at_ms, value);
    if (bytes_equal_nocase(name, "atoll-acks")) copy_text(c->acks, value);
    if (!bytes_equal_nocase(name, "etag")) return;
    if (value.len >= 2 && value.ptr[0] == '"') value = bytes_of(value.ptr + 1, value.len - 2);
    copy_text(c->etag, value);
}

/* Use what one read gave. *ret_ended tells that the answer is complete. */
static STATUS take_input(struct http_client *c, struct bytes in, bool *ret_ended) {
    for (;;) {
        struct http_response_item item;
        size_t used = 0;
        TRY(http_response_next(&c->response, in, &used, &item));
        in = bytes_of(in.ptr + used, in.len - used);
        switch (item.event) {
        case HTTP_RESPONSE_MORE: return status_of(ST_OK);
        case HTTP_RESPONSE_STATUS: break;
        case HTTP_RESPONSE_HEADER: take_header(c, item.name, item.value); break;
        case HTTP_RESPONSE_BODY:
            buffer_append(&c->body, item.value);
            if (c->body.overflowed) return status_of(ST_FULL);
            break;
        case HTTP_RESPONSE_END:
            *ret_ended = true;
            return status_of(in.len == 0 ? ST_OK : ST_CORRUPT);
        }
    }
}

static STATUS receive(struct http_client *c) {
    http_response_init(&c->response, c->line, HTTP_CLIENT_LINE_BYTES);
    bool ended = false;
    while (!ended) {
        size_t len = 0;
        const struct status s = os_sock_read(c->sock, c->input, INPUT_BYTES, &len);
        if (s.code == ST_NOT_FOUND) {
            if (c->response.state == HTTP_RESPONSE_AT_STATUS) return status_of(ST_IO);
            return http_response_end(&c->response);
        }
        TRY(s);
        TRY(take_input(c, bytes_of(c->input, len), &ended));
    }
    return status_of(ST_OK);
}

STATUS http_client_request(struct http_client *c, const struct http_client_request *request) {
    ASSERT(c->line != NULL);
    buffer_reset(&c->body);
    c->etag[0] = c->expires_at_ms[0] = c->acks[0] = '\0';
    if (c->sock.os == NULL)
        TRY(os_sock_connect_blocking(c->os, c->server, c->timeout_ms, &c->sock));
    const struct status sent = send_request(c, request);
    /* A node that refuses a request early closes while we send: its answer says why. */
    const struct status s = sent.code == ST_INVALID ? sent : receive(c);
    if (!status_ok(s) || !status_ok(sent) || c->response.close) os_sock_close(&c->sock);
    return s;
}
