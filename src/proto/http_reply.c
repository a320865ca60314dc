#include "proto/http_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "proto/json_text.h"

#define HEAD_BYTES_MAX 1024u
#define MESSAGE_BYTES_MAX 512u
#define RETRY_LINE "Retry-After: 1\r\n"

const char *http_status_text(uint16_t status) {
    switch (status) {
    case 200: return "200 OK";
    case 201: return "201 Created";
    case 202: return "202 Accepted";
    case 204: return "204 No Content";
    case 304: return "304 Not Modified";
    case 400: return "400 Bad Request";
    case 403: return "403 Forbidden";
    case 404: return "404 Not Found";
    case 405: return "405 Method Not Allowed";
    case 409: return "409 Conflict";
    case 412: return "412 Precondition Failed";
    case 413: return "413 Content Too Large";
    case 414: return "414 URI Too Long";
    case 417: return "417 Expectation Failed";
    case 431: return "431 Request Header Fields Too Large";
    case 500: return "500 Internal Server Error";
    case 501: return "501 Not Implemented";
    case 503: return "503 Service Unavailable";
    case 504: return "504 Gateway Timeout";
    case 505: return "505 HTTP Version Not Supported";
    case 507: return "507 Insufficient Storage";
    default: break;
    }
    ASSERT(false);
    return NULL;
}

static const char *connection_line(uint8_t flags) {
    if ((flags & HTTP_CLOSE) != 0) return "Connection: close\r\n";
    return (flags & HTTP_OLD) != 0 ? "Connection: keep-alive\r\n" : "";
}

/* 204 and 304 have no body, and so neither type nor length. */
static size_t print_head(char *head, uint8_t flags, uint16_t status, const char *type,
                         const char *extra, size_t body_bytes) {
    int len = 0;
    if (status == 204 || status == 304) {
        len = snprintf(head, HEAD_BYTES_MAX, "HTTP/1.1 %s\r\n%s%s\r\n", http_status_text(status),
                       extra, connection_line(flags));
    } else if (type == NULL) {
        ASSERT(body_bytes == 0);
        len = snprintf(head, HEAD_BYTES_MAX, "HTTP/1.1 %s\r\n%s%sContent-Length: 0\r\n\r\n",
                       http_status_text(status), extra, connection_line(flags));
    } else {
        len = snprintf(head, HEAD_BYTES_MAX,
                       "HTTP/1.1 %s\r\nContent-Type: %s\r\nX-Content-Type-Options: nosniff\r\n"
                       "%s%sContent-Length: %zu\r\n\r\n",
                       http_status_text(status), type, extra, connection_line(flags), body_bytes);
    }
    ASSERT(len > 0);
    ASSERT((size_t)len < HEAD_BYTES_MAX);
    return (size_t)len;
}

void http_reply(struct buffer *out, uint8_t flags, uint16_t status, const char *content_type,
                const char *extra, struct bytes body) {
    char head[HEAD_BYTES_MAX];
    ASSERT(body.len == 0 || (status != 204 && status != 304));
    const size_t len = print_head(head, flags, status, content_type, extra, body.len);
    buffer_append(out, bytes_of(head, len));
    if ((flags & HTTP_HEAD_ONLY) == 0) buffer_append(out, body);
}

size_t http_reply_begin(const struct buffer *out) {
    return buffer_len(out);
}

void http_reply_end(struct buffer *out, size_t mark, uint8_t flags, uint16_t status,
                    const char *content_type, const char *extra) {
    char head[HEAD_BYTES_MAX];
    if (out->overflowed) return;
    ASSERT(buffer_len(out) >= mark);
    const size_t body_bytes = buffer_len(out) - mark;
    const size_t len = print_head(head, flags, status, content_type, extra, body_bytes);
    if (buffer_reserve(out, len) == NULL) return;
    uint8_t *at = out->ptr + out->start + mark;
    if ((flags & HTTP_HEAD_ONLY) != 0) {
        out->end -= body_bytes;
    } else if (body_bytes > 0) {
        memmove(at + len, at, body_bytes);
    }
    memcpy(at, head, len);
    buffer_commit(out, len);
}

static const char *retry_line(uint16_t status) {
    return status == 503 ? RETRY_LINE : "";
}

void http_reply_error(struct buffer *out, uint8_t flags, uint16_t status, const char *code,
                      const char *format, ...) {
    char message[MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ASSERT(len >= 0);

    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"error\":{\"code\":\""));
    buffer_append_string(out, code);
    buffer_append(out, BYTES_LIT("\",\"message\":"));
    json_text_append_lossy(out, bytes_of_string(message));
    buffer_append(out, BYTES_LIT("}}\n"));
    http_reply_end(out, mark, flags, status, HTTP_JSON, retry_line(status));
}

/* Every outcome but OUT_OK and OUT_NOT_MODIFIED. */
static const struct outcome_text {
    uint16_t status;
    const char *code;
    const char *message;
} outcomes[] = {
    [OUT_NOT_FOUND] = { 404, "not_found", "no value is stored under this key" },
    [OUT_CONDITION_FAILED] = { 412, "condition_failed",
                               "the condition does not hold; nothing was changed" },
    [OUT_NOT_INTEGER] = { 400, "not_an_integer", "the value is no 64-bit integer" },
    [OUT_NOT_FLOAT] = { 400, "not_a_number", "the value is no number" },
    [OUT_OVERFLOW] = { 400, "overflow", "the number would leave its range" },
    [OUT_VALUE_TOO_LARGE] = { 413, "value_too_large", "the value would be larger than allowed" },
    [OUT_TOO_MANY] = { 413, "answer_too_large",
                       "the values asked for pass 64 MiB together: ask for fewer at a time" },
    [OUT_BUSY] = { 503, "busy",
                   "the node has more work than it can do; nothing was done, "
                   "try again in a moment" },
    [OUT_DISK_FULL] = { 507, "disk_full", "the disk is full: writes are refused, reads go on" },
    [OUT_CORRUPT] = { 500, "corrupt", "what is stored fails its checksum; it is not shown" },
    [OUT_TIMEOUT] = { 504, "timeout", "the deadline passed" },
    [OUT_STOPPING] = { 503, "stopping", "the node is shutting down; ask another" },
    [OUT_QUORUM] = { 503, "quorum_unavailable", "too few replicas answered" },
    [OUT_OVERTAKEN] = { 503, "busy", "others wrote the key first, again and again; try again" },
    [OUT_CLOCK] = { 503, "clock_skew",
                    "the clock of this node is too far from the others', so it may not stamp "
                    "writes; nothing was done: check NTP on this node, ask another meanwhile" },
};

static_assert(sizeof outcomes / sizeof *outcomes == OUTCOMES, "every outcome has a text");

uint16_t http_outcome_status(enum outcome outcome) {
    if (outcome == OUT_OK) return 200;
    if (outcome == OUT_NOT_MODIFIED) return 304;
    ASSERT((size_t)outcome < sizeof outcomes / sizeof *outcomes);
    return outcomes[outcome].status;
}

const char *http_outcome_message(enum outcome outcome) {
    ASSERT((size_t)outcome < sizeof outcomes / sizeof *outcomes);
    ASSERT(outcomes[outcome].message != NULL);
    return outcomes[outcome].message;
}

/* Only a write that reached nobody is known to have done nothing: a replica whose answer
 * was lost may hold it all the same. */
bool http_outcome_is_maybe(const struct response *response, bool is_write) {
    if (!is_write) return false;
    if (response->outcome == OUT_TIMEOUT) return true;
    return response->outcome == OUT_QUORUM && !response->untried;
}

/* With enough answers it was the version that was missing. */
static void append_quorum_message(struct buffer *out, const struct response *response) {
    buffer_printf(out, "%u of %u replicas answered, ", response->acks, response->replicas);
    if (response->acks < response->needed) {
        buffer_printf(out, "the level needs %u", response->needed);
    } else {
        buffer_append(out, BYTES_LIT("none of them has the version of Atoll-Session yet"));
    }
}

void http_append_outcome(struct buffer *out, const struct response *response, bool is_write) {
    const enum outcome outcome = response->outcome;
    ASSERT((size_t)outcome < sizeof outcomes / sizeof *outcomes);
    const struct outcome_text *text = &outcomes[outcome];
    ASSERT(text->code != NULL);
    const bool maybe = http_outcome_is_maybe(response, is_write);
    const bool none = is_write && outcome == OUT_QUORUM && !maybe;
    const bool counted = outcome == OUT_QUORUM && response->needed > 0;
    buffer_append(out, BYTES_LIT("{\"code\":\""));
    buffer_append_string(out, text->code);
    buffer_append(out, BYTES_LIT("\",\"message\":\""));
    if (counted) append_quorum_message(out, response);
    if (!counted) buffer_append_string(out, text->message);
    if (maybe) buffer_append(out, BYTES_LIT("; the write may or may not have happened"));
    if (none) buffer_append(out, BYTES_LIT("; nothing was done"));
    buffer_append_u8(out, '"');
    if (counted) {
        buffer_printf(out, ",\"acks\":%u,\"needed\":%u,\"replicas\":%u", response->acks,
                      response->needed, response->replicas);
    }
    if (maybe) buffer_append(out, BYTES_LIT(",\"outcome\":\"maybe\""));
    if (none) buffer_append(out, BYTES_LIT(",\"outcome\":\"none\""));
    buffer_append_u8(out, '}');
}

const char *http_print_acks(const struct response *response, char line[HTTP_ACKS_LINE_BYTES]) {
    line[0] = '\0';
    if (response->replicas == 0) return line;
    const int len = snprintf(line, HTTP_ACKS_LINE_BYTES, "Atoll-Acks: %u/%u\r\n", response->acks,
                             response->replicas);
    ASSERT(len > 0);
    ASSERT((size_t)len < HTTP_ACKS_LINE_BYTES);
    return line;
}

void http_reply_outcome(struct buffer *out, uint8_t flags, const struct response *response,
                        bool is_write) {
    const uint16_t status = http_outcome_status(response->outcome);
    char acks[HTTP_ACKS_LINE_BYTES];
    char extra[HTTP_ACKS_LINE_BYTES + sizeof RETRY_LINE];
    const int len =
        snprintf(extra, sizeof extra, "%s%s", http_print_acks(response, acks), retry_line(status));
    ASSERT(len >= 0);
    ASSERT((size_t)len < sizeof extra);
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"error\":"));
    http_append_outcome(out, response, is_write);
    buffer_append(out, BYTES_LIT("}\n"));
    http_reply_end(out, mark, flags, status, HTTP_JSON, extra);
}
