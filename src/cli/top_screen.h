/* top_screen.h - what `atoll top` shows, as lines that fit a terminal.
 *
 * Pure: JSON in, text out. No member of the JSON is trusted, and what a node says is escaped.
 *
 * Lifecycle  one call; the caller owns the JSON
 * Owner      one thread
 * Memory     `out` grows to a screen
 * Failure    ST_CORRUPT: `cluster` is no answer of GET /v1/cluster; `out` is as it was. What else is
 *            missing or makes no sense is shown as "-"
 */
#ifndef ATOLL_CLI_TOP_SCREEN_H
#define ATOLL_CLI_TOP_SCREEN_H

#include "base/buffer.h"
#include "base/status.h"

#include <jansson.h>

struct top_figures {
    const char *server;           /* that is asked */
    const json_t *cluster;        /* GET /v1/cluster */
    const json_t *nodes;          /* GET /v1/cluster/figures; NULL = not known, here and below */
    const json_t *nodes_before;   /* the same, some time before */
    const json_t *moment;         /* of the event `figures`: the last second of the asked node */
    const json_t *metrics;        /* of it too */
    const json_t *metrics_before; /* the same, some time before */
    const char *notice;           /* a line for the user, or NULL */
};

struct top_size {
    uint32_t columns; /* longest line, 1.. */
    uint32_t rows;    /* most lines; 0 = as many as there are */
    bool colour;      /* with ANSI sequences */
    bool screen;      /* each line clears what stood there: to be drawn over an older one */
};

/* Errors  ST_CORRUPT */
STATUS top_screen_encode(const struct top_figures *figures, const struct top_size *size,
                         struct buffer *out);

#endif
