/* change.h - a change of the ring as GET /v1/cluster tells it, and how far it is, in a line.
 *
 * Pure: no member of the JSON is trusted.
 * Memory   the figures are a value
 * Failure  ST_CORRUPT: the JSON is no such answer
 */
#ifndef ATOLL_CLI_CHANGE_H
#define ATOLL_CLI_CHANGE_H

#include "base/buffer.h"
#include "base/status.h"

#include <jansson.h>

#define CHANGE_REASON_BYTES 32u

struct change {
    uint64_t id;                             /* 0 = none is running */
    char reason[CHANGE_REASON_BYTES];        /* safe to print */
    uint64_t slots_total, slots_done;        /* done: at most total */
    uint64_t bytes_done, bytes_total;        /* FIGURE_UNKNOWN */
    uint64_t rate_bytes_s, eta_ms, throttle; /* FIGURE_UNKNOWN; throttle 0 = no limit */
    bool paused;                             /* no further slot begins to move */
    uint64_t waits_for;                      /* id of the first member that holds it up; 0 = none */
};

/* The member "change" of an answer: an object, or null, or nothing from an older node.
 * Errors  ST_CORRUPT */
STATUS change_decode(const json_t *change, struct change *ret_change);

/* "4000 of 8192 slots, 1.2 GiB of 2.9 GiB, 52.0 MiB/s, 34 s left"; what is not known is left
 * out. */
void change_append_figures(const struct change *c, struct buffer *out);
/* A bar before them, no wider than `columns`; with colour, for a terminal. */
void change_append_bar(const struct change *c, uint32_t columns, bool colour, struct buffer *out);

#endif
