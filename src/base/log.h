/* log.h - one line per event for the operator; the sink is set by the program.
 *
 * base has no I/O: a line is formatted here and handed to the sink, which os/
 * supplies (stderr) and tests and the simulator replace. Thread-safe as long as
 * the sink is. Whatever is logged, the sink gets printable ASCII and no line end: other
 * bytes become \xNN, so that nobody can forge a line. Text from clients goes through
 * log_escape or a field, which escape the backslash and quotes as well.
 *
 * A line as the sink gets it, with LOG_TEXT and with LOG_JSON:
 *   message name=12 name=0.250 name="text"
 *   "message":"message","name":12,"name":0.250,"name":"text"
 */
#ifndef ATOLL_BASE_LOG_H
#define ATOLL_BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
#define LOG_LEVELS ((uint32_t)LOG_ERROR + 1)

enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_LINE_BYTES_MAX 1024u /* of text */
/* Quotes and backslashes take two bytes in JSON, and names are quoted. */
#define LOG_BODY_BYTES_MAX (2u * LOG_LINE_BYTES_MAX + 256u)

/* The line holds during the call only. */
typedef void (*log_sink)(enum log_level level, const char *line);

/* Before threads start; NULL drops all lines. */
void log_set_sink(log_sink sink);
void log_set_format(enum log_format format);
enum log_format log_format_now(void);
/* At any time, from any thread. */
void log_set_level(enum log_level least);
enum log_level log_level_now(void);
/* In lower case, as the settings have it. */
const char *log_level_name(enum log_level level);
/* False: no such level. */
bool log_level_find(struct bytes name, enum log_level *ret_level);

/* Format one line (no newline) and hand it to the sink; longer lines are cut. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_MS };

/* What a program may want to read out of a line. */
struct log_field {
    const char *name;         /* lower case letters and _; not time, level or message */
    enum log_field_kind kind; /* says which of the two it is */
    struct bytes text;        /* TEXT: any bytes */
    uint64_t number;          /* NUMBER; of MS microseconds, shown as milliseconds */
};

/* A line with fields; those that do not fit are left out. */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               uint32_t count);

/* Printable form of any bytes, \xNN for the rest, cut with "..." to fit. */
const char *log_escape(struct bytes in, char *text, size_t text_bytes);

#endif
