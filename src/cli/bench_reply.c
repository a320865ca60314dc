#include "cli/bench_reply.h"

#include "base/assert.h"

#include <stdio.h>

void bench_reply_init(struct bench_reply *r, enum workload_protocol protocol) {
    memset(r, 0, sizeof *r);
    r->protocol = protocol;
    http_response_init(&r->http, r->line, sizeof r->line);
}

/* The first word of an error names its kind: "-BUSY the disk is behind". */
static void keep_error(struct bench_reply *r, struct bytes text) {
    size_t len = 0;
    while (len < text.len && len < BENCH_ERROR_BYTES - 1 && text.ptr[len] > ' ' &&
           text.ptr[len] < 0x7f)
        len++;
    if (len > 0) memcpy(r->error, text.ptr, len);
    r->error[len] = '\0';
}

/* One line without CRLF, whole. Sets `skip` when a value follows. */
static STATUS resp_line(struct bench_reply *r, struct bytes line, enum bench_result *ret_result) {
    if (line.len == 0) return status_of(ST_CORRUPT);
    const struct bytes rest = bytes_of(line.ptr + 1, line.len - 1);
    int64_t len = 0;
    switch (line.ptr[0]) {
    case '+':
    case ':': *ret_result = BENCH_HIT; return status_of(ST_OK);
    case '_': *ret_result = BENCH_MISS; return status_of(ST_OK);
    case '-':
        keep_error(r, rest);
        *ret_result = BENCH_ERROR;
        return status_of(ST_OK);
    case '$':
        if (!status_ok(bytes_to_i64(rest, &len)) || len < -1) return status_of(ST_CORRUPT);
        *ret_result = len < 0 ? BENCH_MISS : BENCH_HIT;
        r->skip = len < 0 ? 0 : (uint64_t)len + 2;
        return status_of(ST_OK);
    default: return status_of(ST_CORRUPT); /* no command of a workload is answered so */
    }
}

static STATUS resp_next(struct bench_reply *r, struct bytes in, size_t *ret_used,
                        enum bench_result *ret_result) {
    size_t used = 0;
    *ret_result = BENCH_HIT; /* a value cut by the input is a hit when it ends */
    if (r->skip == 0) {
        const uint8_t *lf = memchr(in.ptr, '\n', in.len);
        const size_t len = lf != NULL ? (size_t)(lf - in.ptr) + 1 : in.len;
        struct bytes line = bytes_of(in.ptr, len);
        if (lf == NULL || r->line_len > 0) {
            if (len > sizeof r->line - r->line_len) return status_of(ST_CORRUPT);
            memcpy(r->line + r->line_len, in.ptr, len);
            r->line_len += (uint32_t)len;
            line = bytes_of(r->line, r->line_len);
        }
        *ret_used = used = len;
        if (lf == NULL) return status_of(ST_WAIT);
        r->line_len = 0;
        if (line.len < 2 || line.ptr[line.len - 2] != '\r') return status_of(ST_CORRUPT);
        TRY(resp_line(r, bytes_of(line.ptr, line.len - 2), ret_result));
        if (r->skip == 0) return status_of(ST_OK);
    }
    const size_t rest = in.len - used;
    const size_t skipped = rest < r->skip ? rest : (size_t)r->skip;
    r->skip -= skipped;
    *ret_used = used + skipped;
    return status_of(r->skip == 0 ? ST_OK : ST_WAIT);
}

static STATUS http_next(struct bench_reply *r, struct bytes in, size_t *ret_used,
                        enum bench_result *ret_result) {
    *ret_used = 0;
    for (;;) {
        size_t used = 0;
        struct http_response_item item;
        TRY(http_response_next(&r->http, bytes_of(in.ptr + *ret_used, in.len - *ret_used), &used,
                               &item));
        *ret_used += used;
        if (item.event == HTTP_RESPONSE_MORE) return status_of(ST_WAIT);
        if (item.event == HTTP_RESPONSE_END) break;
    }
    const uint32_t status = r->http.status;
    *ret_result = status < 300 ? BENCH_HIT : status == 404 ? BENCH_MISS : BENCH_ERROR;
    snprintf(r->error, sizeof r->error, "%u", status);
    return status_of(ST_OK);
}

STATUS bench_reply_next(struct bench_reply *r, struct bytes in, size_t *ret_used,
                        enum bench_result *ret_result) {
    ASSERT(in.len > 0);
    ASSERT(r->line_len <= sizeof r->line);
    if (r->protocol == WORKLOAD_RESP) return resp_next(r, in, ret_used, ret_result);
    return http_next(r, in, ret_used, ret_result);
}
