#include "cluster/round.h"

#include "base/assert.h"

#define TO(state) (1u << (state))
#define PLACE_NONE UINT32_MAX

static_assert(REPLICAS_MAX <= 8, "the places of a round are bits of one byte");

static const uint32_t place_next[PLACE_STATES] = {
    [PLACE_IDLE] = TO(PLACE_ASKED) | TO(PLACE_FAILED), /* FAILED: known to be down beforehand */
    [PLACE_ASKED] = TO(PLACE_ANSWERED) | TO(PLACE_FAILED),
    [PLACE_ANSWERED] = 0,
    [PLACE_FAILED] = 0, /* what it did after all is for repair to find out */
};

static bool place_may_move(const struct round *r, uint32_t place, enum place_state next) {
    ASSERT(place < r->count);
    return (place_next[r->states[place]] & TO(next)) != 0;
}

static void place_move(struct round *r, uint32_t place, enum place_state next) {
    ASSERT(place_may_move(r, place, next));
    r->states[place] = next;
    r->answered += next == PLACE_ANSWERED;
    r->failed += next == PLACE_FAILED;
}

static uint8_t bit_of(uint32_t place) {
    ASSERT(place < REPLICAS_MAX);
    return (uint8_t)(1u << place);
}

/* Bits of the places in this state. */
static uint8_t places_in(const struct round *r, enum place_state state) {
    uint8_t places = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->states[i] == state) places |= bit_of(i);
    }
    return places;
}

static uint8_t lowest(uint8_t places) {
    return (uint8_t)(places & -places);
}

/* The idle place to ask next, a live one if there is one; 0 when all have been asked. */
static uint8_t pick(const struct round *r, uint8_t live) {
    const uint8_t idle = places_in(r, PLACE_IDLE);
    const uint8_t idle_live = idle & live;
    return lowest(idle_live != 0 ? idle_live : idle);
}

/* Ask these idle places, the first of them for the value itself if `full`. */
static uint8_t ask(struct round *r, uint8_t places, bool full) {
    for (uint32_t i = 0; i < r->count; i++) {
        if ((places & bit_of(i)) != 0) place_move(r, i, PLACE_ASKED);
    }
    if (full) r->full |= lowest(places);
    ASSERT(round_check(r));
    return places;
}

/* The answered place with the highest version, PLACE_NONE before the first answer. */
static uint32_t best_answered(const struct round *r) {
    uint32_t best = PLACE_NONE;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->states[i] != PLACE_ANSWERED) continue;
        if (best == PLACE_NONE) {
            best = i;
            continue;
        }
        const int order = ballot_compare(r->versions[i], r->versions[best]);
        const bool spares_a_fetch = (r->full & bit_of(i)) != 0 && (r->full & bit_of(best)) == 0;
        if (order > 0 || (order == 0 && spares_a_fetch)) best = i;
    }
    return best;
}

uint8_t round_begin(struct round *r, enum round_kind kind, uint8_t count, uint8_t need, int self,
                    uint8_t live, struct ballot at_least) {
    ASSERT(kind == ROUND_READ || kind == ROUND_WRITE);
    ASSERT(count >= 1 && count <= REPLICAS_MAX);
    ASSERT(need >= 1 && need <= count);
    ASSERT(self >= -1 && self < (int)count);

    *r = (struct round){ .kind = kind, .count = count, .need = need };
    if (kind == ROUND_WRITE) return ask(r, places_in(r, PLACE_IDLE), false);

    r->at_least = at_least;
    uint8_t asked = ask(r, self >= 0 ? bit_of((uint32_t)self) : pick(r, live), true);
    for (uint32_t i = 1; i < need; i++) asked |= ask(r, pick(r, live), false);
    ASSERT(asked == places_in(r, PLACE_ASKED));
    return asked;
}

uint8_t round_answered(struct round *r, uint32_t place, struct ballot version) {
    ASSERT(round_check(r));
    ASSERT(place < r->count);
    if (!place_may_move(r, place, PLACE_ANSWERED)) return 0;
    place_move(r, place, PLACE_ANSWERED);
    if (r->kind == ROUND_WRITE) return 0;

    r->versions[place] = version;
    if (r->answered < r->need || round_outcome(r) != ROUND_PENDING) return 0;
    /* The version that the session has seen is elsewhere, and any place may be the one. */
    const bool value_under_way = (r->full & places_in(r, PLACE_ASKED)) != 0;
    return ask(r, places_in(r, PLACE_IDLE), !value_under_way);
}

uint8_t round_failed(struct round *r, uint32_t place, uint8_t live) {
    ASSERT(round_check(r));
    ASSERT(place < r->count);
    if (!place_may_move(r, place, PLACE_FAILED)) return 0;
    const bool was_asked = r->states[place] == PLACE_ASKED;
    place_move(r, place, PLACE_FAILED);
    if (!was_asked || round_outcome(r) != ROUND_PENDING) return 0;

    const uint8_t not_lost = places_in(r, PLACE_ASKED) | places_in(r, PLACE_ANSWERED);
    return ask(r, pick(r, live), r->kind == ROUND_READ && (r->full & not_lost) == 0);
}

uint8_t round_hedge(struct round *r, uint8_t live) {
    ASSERT(round_check(r));
    if (round_outcome(r) != ROUND_PENDING) return 0;
    /* The slow one may be the one that was to give the value. */
    const bool value_is_here = (r->full & places_in(r, PLACE_ANSWERED)) != 0;
    const uint8_t asked = ask(r, pick(r, live), r->kind == ROUND_READ && !value_is_here);
    ASSERT(r->kind == ROUND_READ || asked == 0);
    return asked;
}

enum round_outcome round_outcome(const struct round *r) {
    ASSERT(round_check(r));
    if (r->count - r->failed < r->need) return ROUND_IMPOSSIBLE;
    if (r->answered < r->need) return ROUND_PENDING;
    if (r->kind == ROUND_WRITE) return ROUND_DONE;

    const uint32_t best = best_answered(r);
    ASSERT(best != PLACE_NONE);
    if (ballot_compare(r->versions[best], r->at_least) >= 0) return ROUND_DONE;
    return r->answered + r->failed == r->count ? ROUND_IMPOSSIBLE : ROUND_PENDING;
}

uint32_t round_best(const struct round *r) {
    ASSERT(r->kind == ROUND_READ);
    ASSERT(round_outcome(r) == ROUND_DONE);
    return best_answered(r);
}

uint8_t round_stale(const struct round *r) {
    const struct ballot newest = r->versions[round_best(r)];
    uint8_t stale = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->states[i] != PLACE_ANSWERED) continue;
        if (ballot_compare(r->versions[i], newest) < 0) stale |= bit_of(i);
    }
    ASSERT((stale & bit_of(round_best(r))) == 0);
    return stale;
}

uint8_t round_missed(const struct round *r) {
    ASSERT(round_check(r));
    ASSERT(r->kind == ROUND_WRITE);
    const uint8_t all = (uint8_t)((1u << r->count) - 1);
    return all & (uint8_t)~places_in(r, PLACE_ANSWERED);
}

/* Whether a place that does not exist, or has not answered, is as it was at the begin. */
static bool place_check(const struct round *r, uint32_t place) {
    if ((uint32_t)r->states[place] >= PLACE_STATES) return false;
    const bool has_version = !ballot_is_zero(r->versions[place]);
    if (has_version && r->states[place] != PLACE_ANSWERED) return false;
    if (has_version && r->kind != ROUND_READ) return false;
    if ((r->full & 1u << place) != 0 && r->states[place] == PLACE_IDLE) return false;
    return place < r->count || r->states[place] == PLACE_IDLE;
}

bool round_check(const struct round *r) {
    if (r->count < 1 || r->count > REPLICAS_MAX) return false;
    if (r->need < 1 || r->need > r->count) return false;
    if (r->kind == ROUND_WRITE && r->full != 0) return false;
    if (r->kind == ROUND_WRITE && !ballot_is_zero(r->at_least)) return false;
    if (r->full >> r->count != 0) return false;
    uint32_t answered = 0;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        if (!place_check(r, i)) return false;
        answered += r->states[i] == PLACE_ANSWERED;
        failed += r->states[i] == PLACE_FAILED;
    }
    return r->answered == answered && r->failed == failed;
}
