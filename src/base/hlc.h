/* hlc.h - hybrid logical clock (Kulkarni et al. 2014) and ballots.
 *
 * A stamp is 48 bits of wall milliseconds and a 16-bit counter; it never goes
 * back, whatever the wall clock does, and a counter that runs over borrows the
 * next millisecond. The counter begins at the elapsed part of the millisecond, in
 * 65,536ths: of two writes one after the other through two nodes whose clocks agree, the
 * second has the later stamp. Owner: one shard. No I/O: the caller passes the wall time.
 */
#ifndef ATOLL_BASE_HLC_H
#define ATOLL_BASE_HLC_H

#include "base/bytes.h"

#define HLC_COUNTER_BITS 16u
/* Stamps further ahead of the wall clock than this are refused (R14). */
#define HLC_SKEW_MS_MAX 500u

struct hlc {
    uint64_t last; /* highest stamp given or observed */
};

static inline uint64_t hlc_of_ms(uint64_t wall_ms) {
    return wall_ms << HLC_COUNTER_BITS;
}
static inline uint64_t hlc_of_ns(uint64_t wall_ns) {
    const uint64_t part_ns = wall_ns % 1000000;
    return hlc_of_ms(wall_ns / 1000000) | (part_ns << HLC_COUNTER_BITS) / 1000000;
}
static inline uint64_t hlc_ms(uint64_t stamp) {
    return stamp >> HLC_COUNTER_BITS;
}

/* Whether a clock that shows `wall_ms` may take the stamp (R14). */
static inline bool hlc_is_lawful(uint64_t stamp, uint64_t wall_ms) {
    return hlc_ms(stamp) <= wall_ms + HLC_SKEW_MS_MAX;
}

/* A stamp above every stamp given or observed before. */
uint64_t hlc_next(struct hlc *h, uint64_t wall_ns);
/* Never give a stamp at or below `stamp` again. */
void hlc_observe(struct hlc *h, uint64_t stamp);

/* Ballot = version of a value (R2). Ordered by stamp, node, boot. Zero = none. */
struct ballot {
    uint64_t stamp; /* HLC */
    uint32_t node;  /* node id, 1.. ; 0 only in the zero ballot */
    uint32_t boot;  /* how often that node had started when it chose the ballot */
};

static inline bool ballot_is_zero(struct ballot b) {
    return b.stamp == 0 && b.node == 0 && b.boot == 0;
}
/* <0, 0, >0. */
static inline int ballot_compare(struct ballot a, struct ballot b) {
    if (a.stamp != b.stamp) return a.stamp < b.stamp ? -1 : 1;
    if (a.node != b.node) return a.node < b.node ? -1 : 1;
    return (a.boot > b.boot) - (a.boot < b.boot);
}

/* Its bytes where they take a fixed room: stamp (8), node (4), boot (4), little-endian. */
#define BALLOT_BYTES 16u
static inline void ballot_put(uint8_t p[BALLOT_BYTES], struct ballot b) {
    put_u64_le(p, b.stamp);
    put_u32_le(p + 8, b.node);
    put_u32_le(p + 12, b.boot);
}
static inline struct ballot ballot_get(const uint8_t p[BALLOT_BYTES]) {
    return (struct ballot){ get_u64_le(p), get_u32_le(p + 8), get_u32_le(p + 12) };
}

/* Text form "stamp.node.boot" in lower-case hex, as in ETags; 35 bytes at most
 * with the NUL. Returns the length without it. */
#define BALLOT_TEXT_BYTES 36u
int ballot_print(struct ballot b, char text[BALLOT_TEXT_BYTES]);

#endif
