/* ttl.h - how long a value lives, as text: a number of seconds, or a Go duration.
 *
 * Pure. `60` and `1.5` are seconds; `1h30m`, `1500ms`, `2.5s` are sums of numbers with a
 * unit (ns us ms s m h), as Go's time.ParseDuration reads them.
 */
#ifndef ATOLL_PROTO_TTL_H
#define ATOLL_PROTO_TTL_H

#include "base/bytes.h"
#include "base/status.h"

#define TTL_MS_MAX (UINT64_C(36500) * 24 * 3600 * 1000) /* a hundred years: no sum overflows */
#define TTL_ALLOWED                                                                         \
    "a positive number of seconds such as 60, or a duration such as 1500ms, 60s or 1h30m, " \
    "at most 100 years"

/* A part of a millisecond counts as a whole one.
 * Errors  ST_INVALID  malformed, zero, negative or above TTL_MS_MAX */
STATUS ttl_parse(struct bytes text, uint64_t *ret_ms);

/* What Go's time.ParseDuration takes, and nothing else: a sign, then "0" or numbers with
 * units. `60` has no unit and is none; a part of a nanosecond is dropped.
 * Errors  ST_INVALID  malformed, or beyond 64 bits of nanoseconds (292 years) */
STATUS ttl_parse_duration(struct bytes text, int64_t *ret_ns);

#endif
