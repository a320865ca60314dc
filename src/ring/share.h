/* share.h - split a whole number of slots by weight.
 *
 * Every party gets its part of the total by weight, kept between a least and a most; what a
 * bound takes from or gives to one is divided among the others by weight. Whole numbers come
 * from largest remainders, but who holds a fraction's slot already goes first: rounding by
 * itself moves nothing.
 *
 * Pure. Exact integers, so that every machine divides alike.
 */
#ifndef ATOLL_RING_SHARE_H
#define ATOLL_RING_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct share {
    uint32_t weight;    /* 1.. */
    uint32_t least;     /* 0..most */
    uint32_t most;      /* parts it can take */
    uint32_t held;      /* parts it has now */
    uint32_t parts;     /* the result, least..most */
    uint32_t parts_max; /* the result, rounded up: what another rounding could have given */
    bool bound;         /* at `least` or `most`, whatever its weight */
    uint64_t remainder; /* of the division; 0 once it is used up or nothing remains */
};

/* Set `parts` of each so that they sum up to `total`.
 *
 * Requires  the sum of `least` <= total <= the sum of `most`; the latter below 2^30 and the sum
 *           of weights below 2^31 */
void share_split(struct share *shares, uint32_t count, uint32_t total);

#endif
