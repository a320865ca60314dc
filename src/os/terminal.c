#include "os/os_internal.h"

#include "os/terminal.h"

#include "base/assert.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80u /* what a terminal has had since the VT100 */
#define ROWS_DEFAULT 24u

/* There is one terminal; signals have no other place to tell what came. */
static struct {
    bool raw;                      /* `before` and `mask_before` are to be restored */
    struct termios before;         /* its settings */
    sigset_t mask_before;          /* of the thread: where the signals may come */
    volatile sig_atomic_t resized; /* SIGWINCH came */
    volatile sig_atomic_t stopped; /* a signal that ends the process came */
} terminal;

static const int signals[] = { SIGWINCH, SIGINT, SIGTERM, SIGHUP };
#define SIGNALS_COUNT (sizeof signals / sizeof *signals)

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

uint32_t os_terminal_rows(struct os *os, enum os_stream stream) {
    ASSERT(os != NULL);
    struct winsize size = { 0 };
    if (ioctl(descriptor_of(stream), TIOCGWINSZ, &size) != 0) return ROWS_DEFAULT;
    return size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

bool os_stream_has_colour(struct os *os, enum os_stream stream) {
    const char *refused = os_environment(os, "NO_COLOR");
    const char *kind = os_environment(os, "TERM");
    if (!os_stream_is_terminal(os, stream)) return false;
    if (refused != NULL && refused[0] != '\0') return false;
    return kind == NULL || strcmp(kind, "dumb") != 0;
}

/* ---- as it is while a screen is shown ---- */

static void note_signal(int number) {
    if (number == SIGWINCH)
        terminal.resized = 1;
    else
        terminal.stopped = 1;
}

/* They are blocked but for the time of a wait, so that none is missed between a look and it. */
static void take_signals(void) {
    struct sigaction action = { .sa_handler = note_signal };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        const int failed = sigaction(signals[i], &action, NULL);
        ASSERT(failed == 0);
        sigaddset(&set, signals[i]);
    }
    const int failed = pthread_sigmask(SIG_BLOCK, &set, &terminal.mask_before);
    ASSERT(failed == 0);
}

STATUS os_terminal_raw(struct os *os) {
    ASSERT(os != NULL);
    ASSERT(!terminal.raw);
    if (tcgetattr(STDIN_FILENO, &terminal.before) != 0) return status_of(ST_INVALID);
    struct termios raw = terminal.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* the shell would have a terminal in this state */
    terminal.resized = terminal.stopped = 0;
    take_signals();
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &terminal.mask_before, NULL);
        return status_of(ST_INVALID);
    }
    terminal.raw = true;
    return status_of(ST_OK);
}

void os_terminal_restore(struct os *os) {
    ASSERT(os != NULL);
    if (!terminal.raw) return;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal.before); /* it may be gone */
    for (size_t i = 0; i < SIGNALS_COUNT; i++) (void)signal(signals[i], SIG_DFL);
    const int failed = pthread_sigmask(SIG_SETMASK, &terminal.mask_before, NULL);
    ASSERT(failed == 0);
    terminal.raw = false;
}

uint32_t os_terminal_wait(struct os *os, struct os_sock sock, uint32_t wait_ms) {
    ASSERT(os != NULL);
    ASSERT(terminal.raw);
    struct pollfd polled[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                                { .fd = sock.os != NULL ? sock.handle : -1, .events = POLLIN } };
    const struct timespec left = { .tv_sec = wait_ms / 1000,
                                   .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
    uint32_t found = 0;
    const int count = ppoll(polled, 2, &left, &terminal.mask_before);
    ASSERT(count >= 0 || errno == EINTR);
    if (count > 0 && polled[0].revents != 0) found |= OS_TERMINAL_KEY;
    if (count > 0 && polled[1].revents != 0) found |= OS_TERMINAL_SOCKET;
    if (terminal.resized != 0) found |= OS_TERMINAL_RESIZED;
    if (terminal.stopped != 0) found |= OS_TERMINAL_STOPPED;
    terminal.resized = terminal.stopped = 0;
    return found;
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
