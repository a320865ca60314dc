#include "os/terminal.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80u /* what a terminal has had since the VT100 */

static int descriptor_of(enum os_stream stream) {
    static const int descriptors[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
    ASSERT(stream <= OS_STREAM_ERROR);
    return descriptors[stream];
}

bool os_stream_is_terminal(struct os *os, enum os_stream stream) {
    ASSERT(os != NULL);
    return isatty(descriptor_of(stream)) == 1;
}

uint32_t os_terminal_columns(struct os *os, enum os_stream stream) {
    ASSERT(os != NULL);
    struct winsize size = { 0 };
    if (ioctl(descriptor_of(stream), TIOCGWINSZ, &size) != 0) return COLUMNS_DEFAULT;
    return size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

STATUS os_input_read(struct os *os, void *ret_bytes, size_t len, size_t *ret_len) {
    ASSERT(os != NULL);
    ASSERT(len > 0);
    ssize_t got;
    do {
        got = read(STDIN_FILENO, ret_bytes, len);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return status_of(ST_IO);
    if (got == 0) return status_of(ST_NOT_FOUND);
    *ret_len = (size_t)got;
    return status_of(ST_OK);
}
