#include "cluster/round.h"

#include "base/assert.h"

#define PLACE_NONE UINT32_MAX

static_assert(ROUND_PLACES_MAX <= 16, "the places of a round are bits of 16");

/* Whether a place may go from one state to another. */
static const bool place_next[PLACE_STATES][PLACE_STATES] = {
    [PLACE_IDLE] = { [PLACE_ASKED] = true, [PLACE_FAILED] = true }, /* FAILED: known to be down */
    [PLACE_ASKED] = { [PLACE_ANSWERED] = true, [PLACE_FAILED] = true },
    /* What one that failed did after all is for repair to find out. */
};

static uint16_t bit_of(uint32_t place) {
    ASSERT(place < ROUND_PLACES_MAX);
    return (uint16_t)(1u << place);
}

static uint16_t lowest(uint16_t places) {
    return (uint16_t)(places & -places);
}

static uint32_t count_of(uint32_t places) {
    return (uint32_t)__builtin_popcount(places);
}

static uint16_t all_places(const struct round *r) {
    return r->needs.list.places | r->needs.target.places;
}

/* Take `places` from one state to another. */
static void places_move(struct round *r, uint16_t places, enum place_state from,
                        enum place_state to) {
    ASSERT(place_next[from][to]);
    ASSERT((places & ~r->places[from]) == 0);
    r->places[from] ^= places;
    r->places[to] |= places;
    r->stale_epoch &= (uint16_t)~places;
}

/* ---- whom to ask ---- */

/* Whether these answers are enough for the set; of a set that is not there none are. */
static bool set_reached(const struct round_set *set, uint16_t places) {
    return count_of(places & set->places) >= set->need;
}

bool round_needs_reached(const struct round_needs *n, uint16_t places) {
    return set_reached(&n->list, places) && set_reached(&n->target, places);
}

/* The idle place to ask next for the sets whose places these are (0: that set wants none): a live
 * one if there is one, rather of both sets than of one. 0 when all of them have been asked. */
static uint16_t pick(const struct round *r, uint16_t list, uint16_t target, uint16_t live) {
    const uint16_t idle = r->places[PLACE_IDLE] & (list | target);
    const uint16_t idle_both = idle & list & target;
    if ((idle_both & live) != 0) return lowest(idle_both & live);
    if ((idle & live) != 0) return lowest(idle & live);
    return lowest(idle_both != 0 ? idle_both : idle);
}

/* Ask these idle places, the first of them for the value itself if `full`. */
static uint16_t ask(struct round *r, uint16_t places, bool full) {
    places_move(r, places, PLACE_IDLE, PLACE_ASKED);
    if (full) r->full |= lowest(places);
    ASSERT(round_check(r));
    return places;
}

/* Ask one more place of the list and one of the target, if that is wanted: maybe the same. */
static uint16_t ask_more(struct round *r, bool of_list, bool of_target, uint16_t live, bool full) {
    const uint16_t list = of_list ? r->needs.list.places : 0;
    const uint16_t target = of_target ? r->needs.target.places : 0;
    const uint16_t first = pick(r, list, target, live);
    if (first == 0) return 0;
    uint16_t asked = ask(r, first, full);
    if ((first & list) == 0 && list != 0) asked |= ask(r, pick(r, list, 0, live), false);
    if ((first & target) == 0 && target != 0) asked |= ask(r, pick(r, 0, target, live), false);
    return asked;
}

uint16_t round_begin(struct round *r, enum round_kind kind, struct round_needs needs, int self,
                     uint16_t live, struct ballot at_least) {
    ASSERT(kind == ROUND_READ || kind == ROUND_WRITE);
    *r = (struct round){ .kind = kind, .needs = needs };
    const uint16_t all = all_places(r);
    r->count = (uint8_t)count_of(all);
    r->places[PLACE_IDLE] = all;
    ASSERT(round_check(r));
    ASSERT(self >= -1 && self < (int)r->count);
    if (kind == ROUND_WRITE) return ask(r, all, false);

    r->at_least = at_least;
    if (self >= 0) (void)ask(r, bit_of((uint32_t)self), true);
    for (uint32_t i = 0; i < ROUND_PLACES_MAX; i++) {
        const uint16_t asked = r->places[PLACE_ASKED];
        const bool list = !set_reached(&needs.list, asked);
        const bool target = !set_reached(&needs.target, asked);
        if (!list && !target) break;
        const uint16_t next =
            pick(r, list ? needs.list.places : 0, target ? needs.target.places : 0, live);
        (void)ask(r, next, asked == 0);
    }
    ASSERT(round_needs_reached(&needs, r->places[PLACE_ASKED]));
    return r->places[PLACE_ASKED];
}

/* ---- what became of it ---- */

uint16_t round_answered(struct round *r, uint32_t place, struct ballot version) {
    ASSERT(round_check(r));
    ASSERT(place < r->count);
    if (!round_is(r, place, PLACE_ASKED)) return 0;
    places_move(r, bit_of(place), PLACE_ASKED, PLACE_ANSWERED);
    if (r->kind == ROUND_WRITE) return 0;

    r->versions[place] = version;
    if (!round_needs_reached(&r->needs, r->places[PLACE_ANSWERED])) return 0;
    if (r->places[PLACE_IDLE] == 0 || round_outcome(r) != ROUND_PENDING) return 0;
    /* The version that the session has seen is elsewhere, and any place may be the one. */
    const bool value_under_way = (r->full & r->places[PLACE_ASKED]) != 0;
    return ask(r, r->places[PLACE_IDLE], !value_under_way);
}

uint16_t round_failed(struct round *r, uint32_t place, uint16_t live) {
    ASSERT(round_check(r));
    ASSERT(place < r->count);
    const uint16_t bit = bit_of(place);
    if (round_is(r, place, PLACE_IDLE)) {
        places_move(r, bit, PLACE_IDLE, PLACE_FAILED);
        return 0;
    }
    if (!round_is(r, place, PLACE_ASKED)) return 0;
    places_move(r, bit, PLACE_ASKED, PLACE_FAILED);
    if (r->places[PLACE_IDLE] == 0 || round_outcome(r) != ROUND_PENDING) return 0;

    const uint16_t answered = r->places[PLACE_ANSWERED];
    const bool list = (r->needs.list.places & bit) != 0 && !set_reached(&r->needs.list, answered);
    const bool target =
        (r->needs.target.places & bit) != 0 && !set_reached(&r->needs.target, answered);
    const bool value_is_lost = (r->full & (r->places[PLACE_ASKED] | answered)) == 0;
    return ask_more(r, list, target, live, r->kind == ROUND_READ && value_is_lost);
}

void round_stale_epoch(struct round *r, uint32_t place) {
    ASSERT(round_check(r));
    ASSERT(place < r->count);
    r->stale_epoch |= bit_of(place) & r->places[PLACE_ASKED];
    ASSERT(round_check(r));
}

uint16_t round_hedge(struct round *r, uint16_t live) {
    ASSERT(round_check(r));
    if (r->places[PLACE_IDLE] == 0 || round_outcome(r) != ROUND_PENDING) return 0;
    ASSERT(r->kind == ROUND_READ);
    const uint16_t answered = r->places[PLACE_ANSWERED];
    /* The slow one may be the one that was to give the value. */
    const bool value_is_here = (r->full & answered) != 0;
    return ask_more(r, !set_reached(&r->needs.list, answered),
                    !set_reached(&r->needs.target, answered), live, !value_is_here);
}

/* ---- what is known by now ---- */

/* The answered place with the highest version, PLACE_NONE before the first answer. */
static uint32_t best_answered(const struct round *r) {
    uint32_t best = PLACE_NONE;
    for (uint32_t left = r->places[PLACE_ANSWERED]; left != 0; left &= left - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(left);
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

void round_absence_counts(struct round *r, struct ballot floor) {
    ASSERT(r->kind == ROUND_READ);
    r->absence_counts = true;
    r->absence = floor;
    ASSERT(round_check(r));
}

enum round_outcome round_outcome(const struct round *r) {
    ASSERT(round_check(r));
    const uint16_t answered = r->places[PLACE_ANSWERED];
    const uint16_t open = r->places[PLACE_IDLE] | r->places[PLACE_ASKED];
    if (!round_needs_reached(&r->needs, answered | open)) return ROUND_IMPOSSIBLE;
    if (!round_needs_reached(&r->needs, answered)) return ROUND_PENDING;
    if (r->kind == ROUND_WRITE || ballot_is_zero(r->at_least)) return ROUND_DONE;

    const uint32_t best = best_answered(r);
    ASSERT(best != PLACE_NONE);
    if (ballot_compare(r->versions[best], r->at_least) >= 0) return ROUND_DONE;
    if (r->absence_counts && ballot_compare(r->versions[best], r->absence) <= 0) return ROUND_DONE;
    return open == 0 ? ROUND_IMPOSSIBLE : ROUND_PENDING;
}

bool round_suffice(const struct round *r, uint16_t places) {
    ASSERT(round_check(r));
    return round_needs_reached(&r->needs, places);
}

static struct round_progress progress_in(const struct round *r, const struct round_set *set) {
    return (struct round_progress){
        .answered = (uint8_t)count_of(r->places[PLACE_ANSWERED] & set->places),
        .need = set->need,
        .failed = (uint8_t)count_of(r->places[PLACE_FAILED] & set->places),
        .replicas = (uint8_t)count_of(set->places),
    };
}

struct round_progress round_progress(const struct round *r) {
    ASSERT(r->count == 0 || round_check(r));
    const struct round_progress list = progress_in(r, &r->needs.list);
    const struct round_progress target = progress_in(r, &r->needs.target);
    const int list_lacks = (int)list.need - list.answered;
    const int target_lacks = (int)target.need - target.answered;
    return target.need > 0 && target_lacks > list_lacks ? target : list;
}

uint32_t round_best(const struct round *r) {
    ASSERT(r->kind == ROUND_READ);
    ASSERT(round_outcome(r) == ROUND_DONE);
    return best_answered(r);
}

uint16_t round_stale(const struct round *r) {
    const struct ballot newest = r->versions[round_best(r)];
    uint16_t stale = 0;
    for (uint32_t left = r->places[PLACE_ANSWERED]; left != 0; left &= left - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(left);
        if (ballot_compare(r->versions[i], newest) < 0) stale |= bit_of(i);
    }
    return stale;
}

uint16_t round_missed(const struct round *r) {
    ASSERT(round_check(r));
    ASSERT(r->kind == ROUND_WRITE);
    return all_places(r) & (uint16_t)~r->places[PLACE_ANSWERED];
}

static bool set_check(const struct round_set *set, bool must_be) {
    const uint32_t count = count_of(set->places);
    if (count > REPLICAS_MAX || set->need > count) return false;
    return set->need > 0 || (!must_be && count == 0);
}

bool round_check(const struct round *r) {
    const uint32_t all = all_places(r);
    if (!set_check(&r->needs.list, true) || !set_check(&r->needs.target, false)) return false;
    if (r->count > ROUND_PLACES_MAX || all != (1u << r->count) - 1) return false;
    uint32_t seen = 0;
    uint32_t sum = 0;
    for (uint32_t state = 0; state < PLACE_STATES; state++) {
        seen |= r->places[state];
        sum += r->places[state];
    }
    if (seen != all || sum != all) return false; /* equal, so no place has two states */
    if ((r->stale_epoch & ~(uint32_t)r->places[PLACE_ASKED]) != 0) return false;
    if (r->kind == ROUND_WRITE) return r->full == 0 && ballot_is_zero(r->at_least);
    return (r->full & ~(uint32_t)(all & ~(uint32_t)r->places[PLACE_IDLE])) == 0;
}
