/* log.h - one line per event for the operator; the sink is set by the program.
 *
 * base has no I/O: a line is formatted here and handed to the sink, which os/
 * supplies (stderr) and tests and the simulator replace. Thread-safe as long as
 * the sink is. Text from clients must be passed through log_escape first.
 */
#ifndef ATOLL_BASE_LOG_H
#define ATOLL_BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define LOG_LINE_BYTES_MAX 1024u

typedef void (*log_sink)(enum log_level level, const char *line);

/* Before threads start; NULL drops all lines. */
void log_set_sink(log_sink sink);
void log_set_level(enum log_level least);
enum log_level log_level_now(void);

/* Format one line (no newline) and hand it to the sink; longer lines are cut. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* Printable form of any bytes, \xNN for the rest, cut with "..." to fit. */
const char *log_escape(struct bytes in, char *text, size_t text_bytes);

#endif
