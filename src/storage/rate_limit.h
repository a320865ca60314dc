/* rate_limit.h - a token bucket that background writers share.
 *
 * Owner      all threads (it locks); a node has one
 * Memory     none beyond the struct
 */
#ifndef ATOLL_STORAGE_RATE_LIMIT_H
#define ATOLL_STORAGE_RATE_LIMIT_H

#include "os/thread.h"

struct rate_limit {
    struct os_mutex lock;
    struct os *os;
    uint64_t bytes_per_second; /* 0 = unlimited; may change at run time */
    int64_t tokens;            /* bytes that may be written now; negative = debt */
    uint64_t filled_ns;        /* monotonic time of the last refill */
    uint64_t waited_ns;        /* total time writers slept */
};

void rate_limit_init(struct rate_limit *r, struct os *os, uint64_t bytes_per_second);
void rate_limit_deinit(struct rate_limit *r);
void rate_limit_set(struct rate_limit *r, uint64_t bytes_per_second);
/* Account for `bytes` just written and sleep until the bucket is out of debt. */
void rate_limit_pace(struct rate_limit *r, size_t bytes);

#endif
