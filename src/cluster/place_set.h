/* place_set.h - a set of members of one node's view, by place, or of the metadata, by index.
 *
 * Pure. A plain value: {0} is the empty set. Lists of who keeps a slot are kept as lists: a set
 * takes a bit for each member that a cluster can have.
 */
#ifndef ATOLL_CLUSTER_PLACE_SET_H
#define ATOLL_CLUSTER_PLACE_SET_H

#include "base/assert.h"
#include "cluster/replication.h"

#include <stdbool.h>
#include <stddef.h>

#define PLACE_SET_WORDS (MEMBERS_MAX / 64)

static_assert(MEMBERS_MAX % 64 == 0, "a set of members is whole words");

struct place_set {
    uint64_t words[PLACE_SET_WORDS]; /* bit p % 64 of word p / 64: p is in it */
};

static inline bool place_set_has(const struct place_set *s, uint32_t place) {
    ASSERT(place < MEMBERS_MAX);
    return (s->words[place / 64] >> place % 64 & 1) != 0;
}

static inline void place_set_add(struct place_set *s, uint32_t place) {
    ASSERT(place < MEMBERS_MAX);
    s->words[place / 64] |= UINT64_C(1) << place % 64;
}

static inline void place_set_remove(struct place_set *s, uint32_t place) {
    ASSERT(place < MEMBERS_MAX);
    s->words[place / 64] &= ~(UINT64_C(1) << place % 64);
}

static inline void place_set_remove_all(struct place_set *s, const struct place_set *gone) {
    for (uint32_t i = 0; i < PLACE_SET_WORDS; i++) s->words[i] &= ~gone->words[i];
}

/* The first member of the set from `from` on; MEMBER_NONE = no more. */
static inline uint32_t place_set_next(const struct place_set *s, uint32_t from) {
    if (from >= MEMBERS_MAX) return MEMBER_NONE;
    uint64_t word = s->words[from / 64] >> from % 64 << from % 64;
    for (uint32_t i = from / 64;; word = s->words[i]) {
        if (word != 0) return i * 64 + (uint32_t)__builtin_ctzll(word);
        if (++i == PLACE_SET_WORDS) return MEMBER_NONE;
    }
}

/* The first that is not in the set; MEMBER_NONE = all are. */
static inline uint32_t place_set_free(const struct place_set *s) {
    for (uint32_t i = 0; i < PLACE_SET_WORDS; i++) {
        if (s->words[i] != UINT64_MAX) return i * 64 + (uint32_t)__builtin_ctzll(~s->words[i]);
    }
    return MEMBER_NONE;
}

static inline uint32_t place_set_count(const struct place_set *s) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < PLACE_SET_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(s->words[i]);
    return count;
}

/* Whether all of `part` are in `s`. */
static inline bool place_set_covers(const struct place_set *s, const struct place_set *part) {
    for (uint32_t i = 0; i < PLACE_SET_WORDS; i++) {
        if ((part->words[i] & ~s->words[i]) != 0) return false;
    }
    return true;
}

static inline bool place_set_equal(const struct place_set *a, const struct place_set *b) {
    return place_set_covers(a, b) && place_set_covers(b, a);
}

#endif
