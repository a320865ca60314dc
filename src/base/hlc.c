#include "base/hlc.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t hlc_next(struct hlc *h, uint64_t wall_ns) {
    ASSERT(h->last < UINT64_MAX);

    const uint64_t last_before = h->last;
    const uint64_t physical = hlc_of_ns(wall_ns);
    /* One more than the last stamp: a counter at its end carries into the
     * milliseconds, which is the borrowing the header promises. */
    h->last = physical > last_before ? physical : last_before + 1;

    ASSERT(h->last > last_before);
    ASSERT(h->last >= physical);
    return h->last;
}

void hlc_observe(struct hlc *h, uint64_t stamp) {
    ASSERT(h != NULL);
    if (stamp > h->last) h->last = stamp;
    ASSERT(h->last >= stamp);
}

int ballot_print(struct ballot b, char text[BALLOT_TEXT_BYTES]) {
    const int len = snprintf(text, BALLOT_TEXT_BYTES, "%" PRIx64 ".%" PRIx32 ".%" PRIx32, b.stamp,
                             b.node, b.boot);
    ASSERT(len > 0);
    ASSERT(len < (int)BALLOT_TEXT_BYTES);
    return len;
}
