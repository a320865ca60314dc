#include "base/log.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define LOG_CUT_MARK "..."
#define LOG_CUT_MARK_BYTES (sizeof LOG_CUT_MARK - 1)

static_assert(LOG_LINE_BYTES_MAX > LOG_CUT_MARK_BYTES + 1, "a cut line still says something");

/* Process-wide, as lines come from everywhere; atomic, as threads read them. */
static _Atomic(log_sink) sink_now;
static _Atomic(int) level_now = LOG_INFO;
static _Atomic(int) format_now = LOG_TEXT;

static const char *const level_names[LOG_LEVELS] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

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

void log_set_format(enum log_format format) {
    ASSERT(format == LOG_TEXT || format == LOG_JSON);
    atomic_store_explicit(&format_now, (int)format, memory_order_relaxed);
}

enum log_format log_format_now(void) {
    return (enum log_format)atomic_load_explicit(&format_now, memory_order_relaxed);
}

const char *log_level_name(enum log_level level) {
    ASSERT(level < LOG_LEVELS);
    return level_names[level];
}

bool log_level_find(struct bytes name, enum log_level *ret_level) {
    for (uint32_t i = 0; i < LOG_LEVELS; i++) {
        if (!bytes_equal(name, bytes_of_string(level_names[i]))) continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
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

/* ---- lines ---- */

/* A line under way. What does not fit is dropped as a whole. */
struct line {
    enum log_format format;
    size_t len;                    /* of `text`, without its NUL */
    char text[LOG_BODY_BYTES_MAX]; /* ended by NUL */
};

static bool line_add(struct line *l, const char *part, size_t len) {
    if (l->len + len >= sizeof l->text) return false;
    memcpy(l->text + l->len, part, len);
    l->len += len;
    l->text[l->len] = '\0';
    return true;
}

static bool line_add_string(struct line *l, const char *part) {
    return line_add(l, part, strlen(part));
}

/* Printable text, as the inside of a JSON string or as it is. */
static bool line_add_printable(struct line *l, const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        const bool quote = l->format == LOG_JSON && (*p == '"' || *p == '\\');
        if (quote && !line_add(l, "\\", 1)) return false;
        if (!line_add(l, p, 1)) return false;
    }
    return true;
}

static void line_begin(struct line *l, const char *message) {
    l->format = log_format_now();
    l->len = 0;
    l->text[0] = '\0';
    const bool json = l->format == LOG_JSON;
    bool fits = !json || line_add_string(l, "\"message\":\"");
    fits = fits && line_add_printable(l, message);
    fits = fits && (!json || line_add_string(l, "\""));
    ASSERT(fits); /* a message is cut before */
}

static bool line_add_text(struct line *l, struct bytes text) {
    char shown[LOG_LINE_BYTES_MAX];
    /* In text a quote would end the value. */
    log_escape(text, shown, sizeof shown);
    if (!line_add_string(l, "\"")) return false;
    for (const char *p = shown; *p != '\0'; p++) {
        const char one[2] = { *p, '\0' };
        const bool quote = *p == '"' && l->format == LOG_TEXT;
        if (!(quote ? line_add_string(l, "\\x22") : line_add_printable(l, one))) return false;
    }
    return line_add_string(l, "\"");
}

static bool line_add_value(struct line *l, const struct log_field *f) {
    char number[32];
    switch (f->kind) {
    case LOG_FIELD_TEXT: return line_add_text(l, f->text);
    case LOG_FIELD_NUMBER: snprintf(number, sizeof number, "%" PRIu64, f->number); break;
    case LOG_FIELD_MS:
        snprintf(number, sizeof number, "%" PRIu64 ".%03" PRIu64, f->number / 1000,
                 f->number % 1000);
        break;
    }
    return line_add_string(l, number);
}

static void line_add_field(struct line *l, const struct log_field *f) {
    const size_t before = l->len;
    const bool json = l->format == LOG_JSON;
    const bool fits = line_add_string(l, json ? ",\"" : " ") && line_add_string(l, f->name) &&
                      line_add_string(l, json ? "\":" : "=") && line_add_value(l, f);
    if (fits) return;
    l->len = before;
    l->text[before] = '\0';
}

/* Put \xNN for what is not printable, and cut. A backslash stays: what came from outside has
 * been escaped already, and would be so twice. */
static void make_printable(const char *text, char out[LOG_LINE_BYTES_MAX]) {
    size_t len = 0, len_cut = 0; /* where the mark still fits */
    const char *p = text;
    for (; *p != '\0'; p++) {
        char form[4] = { *p };
        const size_t form_len = *p == '\\' ? 1 : escape_byte((uint8_t)*p, form);
        if (len + form_len >= LOG_LINE_BYTES_MAX) break;
        memcpy(out + len, form, form_len);
        len += form_len;
        if (len + LOG_CUT_MARK_BYTES < LOG_LINE_BYTES_MAX) len_cut = len;
    }
    if (*p != '\0') {
        memcpy(out + len_cut, LOG_CUT_MARK, LOG_CUT_MARK_BYTES);
        len = len_cut + LOG_CUT_MARK_BYTES;
    }
    ASSERT(len < LOG_LINE_BYTES_MAX);
    out[len] = '\0';
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               uint32_t count) {
    ASSERT(message != NULL);
    const log_sink sink = atomic_load_explicit(&sink_now, memory_order_acquire);
    if (sink == NULL || level < log_level_now()) return;
    char printable[LOG_LINE_BYTES_MAX];
    struct line line;
    make_printable(message, printable);
    line_begin(&line, printable);
    for (uint32_t i = 0; i < count; i++) line_add_field(&line, &fields[i]);
    sink(level, line.text);
}

void log_write(enum log_level level, const char *format, ...) {
    ASSERT(format != NULL);
    if (atomic_load_explicit(&sink_now, memory_order_relaxed) == NULL) return;
    if (level < log_level_now()) return;
    char message[LOG_LINE_BYTES_MAX + 1]; /* a byte more, so that a cut is seen */
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ASSERT(len >= 0);
    log_event(level, message, NULL, 0);
}
