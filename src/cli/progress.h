/* progress.h - how far a long command is, on standard error: rate and time left.
 *
 * On a terminal one line is written over and over; elsewhere, if it is asked for by --progress, a
 * plain line every few seconds. Standard output is not touched.
 *
 * Lifecycle  init -> show* -> end
 * Owner      one thread
 */
#ifndef ATOLL_CLI_PROGRESS_H
#define ATOLL_CLI_PROGRESS_H

#include "cli/figure.h"
#include "os/os.h"

#define PROGRESS_UNKNOWN FIGURE_UNKNOWN
#define PROGRESS_LINE_BYTES 256u

struct progress {
    struct os *os;
    bool shown;         /* there is somebody to see it */
    bool terminal;      /* the line is written over */
    bool written;       /* it stands there */
    uint64_t began_ns;  /* monotonic */
    uint64_t shown_ns;  /* monotonic: last */
    uint64_t done_then; /* at that time, for the rate */
};

struct progress_step {
    const char *doing;  /* "importing" */
    const char *unit;   /* "keys", or NULL: done and total are bytes */
    uint64_t done;      /* so far */
    uint64_t total;     /* PROGRESS_UNKNOWN: nor is what is left */
    const char *detail; /* put behind, or NULL */
};

/* `wanted`: --progress was given. */
void progress_init(struct progress *p, struct os *os, bool wanted);
/* Whether it is time for another line: what costs something to find out is found out then only. */
bool progress_is_due(const struct progress *p);
/* Nothing if it is not due. */
void progress_show(struct progress *p, const struct progress_step *step);
/* Write this text in the line's place, due or not. */
void progress_print(struct progress *p, const char *text);
/* Take the line away, before other text. */
void progress_end(struct progress *p);

/* The option, in a command's table. */
#define PROGRESS_OPTION(type, member)                                              \
    {                                                                              \
        .name = "progress", .kind = OPTION_FLAG, .offset = offsetof(type, member), \
        .fallback = "false", .help = "tell how far it is though nobody sits there" \
    }

/* "importing 1200 keys  12 %  400/s  3.0 s left", with the rate of the last step. Pure. */
const char *progress_print_step(const struct progress_step *step, double per_second,
                                uint64_t elapsed_ms, char text[PROGRESS_LINE_BYTES]);

#endif
