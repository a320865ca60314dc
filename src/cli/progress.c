#include "cli/progress.h"

#include "base/assert.h"
#include "os/terminal.h"

#include <inttypes.h>
#include <stdio.h>

#define TERMINAL_NS UINT64_C(200000000) /* as fast as one can read */
#define PLAIN_NS UINT64_C(2000000000)   /* a log is to stay short */
#define NS_PER_MS UINT64_C(1000000)

void progress_init(struct progress *p, struct os *os, bool wanted) {
    ASSERT(os != NULL);
    const bool terminal = os_stream_is_terminal(os, OS_STREAM_ERROR);
    const uint64_t now_ns = os_mono_ns(os);
    *p = (struct progress){ .os = os,
                            .shown = terminal || wanted,
                            .terminal = terminal,
                            .began_ns = now_ns,
                            .shown_ns = now_ns };
}

bool progress_is_due(const struct progress *p) {
    ASSERT(p->os != NULL);
    if (!p->shown) return false;
    return os_mono_ns(p->os) - p->shown_ns >= (p->terminal ? TERMINAL_NS : PLAIN_NS);
}

static size_t append(char *text, size_t at, const char *more) {
    const int len = snprintf(text + at, PROGRESS_LINE_BYTES - at, "%s", more);
    ASSERT(len >= 0);
    return at + (size_t)len < PROGRESS_LINE_BYTES ? at + (size_t)len : PROGRESS_LINE_BYTES - 1;
}

const char *progress_print_step(const struct progress_step *step, double per_second,
                                uint64_t elapsed_ms, char text[PROGRESS_LINE_BYTES]) {
    char part[2 * FIGURE_BYTES], figure[FIGURE_BYTES];
    const bool bytes = step->unit == NULL;
    ASSERT(step->doing != NULL);
    size_t at = append(text, 0, step->doing);
    if (bytes)
        (void)snprintf(part, sizeof part, " %s", figure_print_size(step->done, figure));
    else
        (void)snprintf(part, sizeof part, " %" PRIu64 " %.16s", step->done, step->unit);
    at = append(text, at, part);
    const bool known = step->total != PROGRESS_UNKNOWN && step->total > 0;
    const uint64_t done = known && step->done > step->total ? step->total : step->done;
    if (known) {
        (void)snprintf(part, sizeof part, "  %.0f %%", (double)done * 100 / (double)step->total);
        at = append(text, at, part);
    }
    if (bytes)
        (void)snprintf(part, sizeof part, "  %s", figure_print_rate((uint64_t)per_second, figure));
    else
        (void)snprintf(part, sizeof part, "  %.0f/s", per_second);
    at = append(text, at, part);
    /* By the whole time so far: it jumps less than the last step. */
    if (known && done > 0) {
        const double left = (double)(step->total - done) / (double)done * (double)elapsed_ms;
        (void)snprintf(part, sizeof part, "  %s left", figure_print_time((uint64_t)left, figure));
        at = append(text, at, part);
    }
    if (step->detail != NULL) {
        at = append(text, at, "  ");
        (void)append(text, at, step->detail);
    }
    return text;
}

/* On a terminal the cursor goes back, so that what is printed next begins the line again. */
void progress_print(struct progress *p, const char *text) {
    if (!p->shown) return;
    fflush(stdout);
    if (p->terminal) {
        const uint32_t columns = os_terminal_columns(p->os, OS_STREAM_ERROR);
        fprintf(stderr, "\r\033[K%.*s\r", (int)(columns > 1 ? columns - 1 : 1), text);
    } else {
        fprintf(stderr, "%s\n", text);
    }
    fflush(stderr);
    p->written = true;
    p->shown_ns = os_mono_ns(p->os);
}

void progress_show(struct progress *p, const struct progress_step *step) {
    char text[PROGRESS_LINE_BYTES];
    if (!progress_is_due(p)) return;
    const uint64_t now_ns = os_mono_ns(p->os);
    const uint64_t grown = step->done > p->done_then ? step->done - p->done_then : 0;
    const double per_second = (double)grown * 1e9 / (double)(now_ns - p->shown_ns);
    progress_print_step(step, per_second, (now_ns - p->began_ns) / NS_PER_MS, text);
    p->done_then = step->done;
    progress_print(p, text);
}

void progress_end(struct progress *p) {
    if (p->terminal && p->written) fputs("\r\033[K", stderr);
    p->written = false;
}
