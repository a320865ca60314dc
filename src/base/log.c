#include "base/log.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define LOG_CUT_MARK "..."
#define LOG_CUT_MARK_BYTES (sizeof LOG_CUT_MARK - 1)

static_assert(LOG_LINE_BYTES_MAX > LOG_CUT_MARK_BYTES + 1, "a cut line still says something");

/* Process-wide, as lines come from everywhere; atomic, as threads read them. */
static _Atomic(log_sink) sink_now;
static _Atomic(int) level_now = LOG_INFO;

void log_set_sink(log_sink sink) {
    atomic_store(&sink_now, sink);
}

void log_set_level(enum log_level least) {
    ASSERT(least >= LOG_DEBUG);
    ASSERT(least <= LOG_ERROR);
    atomic_store_explicit(&level_now, (int)least, memory_order_relaxed);
}

enum log_level log_level_now(void) {
    return (enum log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_write(enum log_level level, const char *format, ...) {
    ASSERT(format != NULL);
    const log_sink sink = atomic_load_explicit(&sink_now, memory_order_acquire);
    if (sink == NULL || level < log_level_now()) return;

    char line[LOG_LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ASSERT(len >= 0);

    if ((size_t)len >= sizeof line)
        memcpy(line + sizeof line - 1 - LOG_CUT_MARK_BYTES, LOG_CUT_MARK, LOG_CUT_MARK_BYTES);
    sink(level, line);
}

/* Write the printable form of `c` to `out` and say how long it is. A backslash
 * is escaped too, so that the form can be read back without doubt. */
static size_t escape_byte(uint8_t c, char out[4]) {
    static const char digits[] = "0123456789abcdef";
    if (c >= 0x20 && c < 0x7f && c != '\\') {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    return 4;
}

const char *log_escape(struct bytes in, char *text, size_t text_bytes) {
    ASSERT(text != NULL);
    ASSERT(text_bytes > LOG_CUT_MARK_BYTES);

    const size_t len_max = text_bytes - 1;
    size_t len = 0;
    size_t len_cut = 0; /* where the mark still fits, should the rest not */
    for (size_t i = 0; i < in.len; i++) {
        char form[4];
        const size_t form_len = escape_byte(in.ptr[i], form);
        if (len + form_len > len_max) {
            memcpy(text + len_cut, LOG_CUT_MARK, LOG_CUT_MARK_BYTES);
            len = len_cut + LOG_CUT_MARK_BYTES;
            break;
        }
        memcpy(text + len, form, form_len);
        len += form_len;
        if (len + LOG_CUT_MARK_BYTES <= len_max) len_cut = len;
    }
    ASSERT(len <= len_max);
    text[len] = '\0';
    return text;
}
