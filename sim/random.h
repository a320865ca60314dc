/* random.h - the simulator's dice: one seed, one sequence, on every machine.
 *
 * SplitMix64 (Steele, Lea, Flood 2014). Each simulated object has its own, so
 * that one more throw in one place does not change what happens in another.
 */
#ifndef ATOLL_SIM_RANDOM_H
#define ATOLL_SIM_RANDOM_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state; /* any value is fine */
};

static inline struct sim_random sim_random_of(uint64_t seed) {
    return (struct sim_random){ .state = seed };
}

static inline uint64_t sim_random_next(struct sim_random *r) {
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = r->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0..bound-1. The bias of the remainder is below anything a test could see. */
static inline uint64_t sim_random_below(struct sim_random *r, uint64_t bound) {
    ASSERT(bound > 0);
    return sim_random_next(r) % bound;
}

/* True `part` times out of `whole`. */
static inline bool sim_random_chance(struct sim_random *r, uint64_t part, uint64_t whole) {
    ASSERT(part <= whole);
    return sim_random_below(r, whole) < part;
}

#endif
