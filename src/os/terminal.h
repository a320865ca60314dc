/* terminal.h - the streams a command was started with.
 *
 * Only the command line uses these; output itself goes through stdio.
 *
 * Owner      the program's first thread
 */
#ifndef ATOLL_OS_TERMINAL_H
#define ATOLL_OS_TERMINAL_H

#include "os/sock.h"

enum os_stream { OS_STREAM_INPUT, OS_STREAM_OUTPUT, OS_STREAM_ERROR };

bool os_stream_is_terminal(struct os *os, enum os_stream stream);
/* Columns of the terminal at this stream; 80 if there is none. */
uint32_t os_terminal_columns(struct os *os, enum os_stream stream);
/* Rows of it; 24 if there is none. */
uint32_t os_terminal_rows(struct os *os, enum os_stream stream);
/* Whether colours are wanted there: it is a terminal, TERM is not "dumb", and NO_COLOR is not set
 * (https://no-color.org). */
bool os_stream_has_colour(struct os *os, enum os_stream stream);

/* Keys come one by one and are not shown, and signals that would end the process are told by
 * os_terminal_wait, until os_terminal_restore. Errors  ST_INVALID  the input is no terminal */
STATUS os_terminal_raw(struct os *os);
/* As it was. Also fine if it was never changed. */
void os_terminal_restore(struct os *os);

#define OS_TERMINAL_KEY 1u     /* standard input is readable */
#define OS_TERMINAL_SOCKET 2u  /* so is the socket, or it failed */
#define OS_TERMINAL_RESIZED 4u /* the terminal has another size */
#define OS_TERMINAL_STOPPED 8u /* SIGINT, SIGTERM or SIGHUP came */
/* Wait for any of them, at most `wait_ms`. Returns bits; 0 = the time is over.
 * `sock` may be one that is not open. Requires  os_terminal_raw */
uint32_t os_terminal_wait(struct os *os, struct os_sock sock, uint32_t wait_ms);

/* Read some of standard input.
 * Errors  ST_NOT_FOUND the end, ST_IO */
STATUS os_input_read(struct os *os, void *ret_bytes, size_t len, size_t *ret_len);

#endif
