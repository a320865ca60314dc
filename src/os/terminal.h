/* terminal.h - the streams a command was started with.
 *
 * Only the command line uses these; output itself goes through stdio.
 *
 * Owner      the program's first thread
 */
#ifndef ATOLL_OS_TERMINAL_H
#define ATOLL_OS_TERMINAL_H

#include "os/os.h"

enum os_stream { OS_STREAM_INPUT, OS_STREAM_OUTPUT, OS_STREAM_ERROR };

bool os_stream_is_terminal(struct os *os, enum os_stream stream);
/* Columns of the terminal at this stream; 80 if there is none. */
uint32_t os_terminal_columns(struct os *os, enum os_stream stream);
/* Read some of standard input.
 * Errors  ST_NOT_FOUND the end, ST_IO */
STATUS os_input_read(struct os *os, void *ret_bytes, size_t len, size_t *ret_len);

#endif
