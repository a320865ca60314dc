#include "cluster/round.h"

#include "base/mem.h"
#include "harness.h"
#include "sim/random.h"

#include <string.h>

/* The small world that is explored: every order of answers, failures and hedges on up to
 * PLACES_MAX places. What has been visited is told apart by the states of the places, by
 * `full`, and by whether there was a hedge. */
#define PLACES_MAX 5u
#define STATES_BITS (2u * PLACES_MAX)
#define KEYS (1u << (STATES_BITS + PLACES_MAX + 1))
/* Both sets of a joint slot, where orders are drawn and not all tried. */
#define JOINT_PLACES_MAX 10u

struct world {
    enum round_kind kind;                /* of all rounds of this world */
    uint8_t count;                       /* places */
    struct round_needs needs;            /* W or R, of one set or two */
    int self;                            /* own place, or -1 */
    uint16_t live;                       /* places that seem alive */
    uint64_t at_least;                   /* stamp of the session's version */
    uint64_t versions[JOINT_PLACES_MAX]; /* stamps that the places would answer with */
    uint8_t *visited;                    /* a byte a key */
    uint64_t states_count;               /* visited in all worlds */
    uint64_t done_count;                 /* of them: done */
    uint64_t impossible_count;           /* of them: impossible */
};

static struct ballot version_of(uint64_t stamp) {
    return stamp == 0 ? (struct ballot){ 0 } : (struct ballot){ stamp, 1, 1 };
}

static uint32_t ones(uint32_t places) {
    return (uint32_t)__builtin_popcount(places);
}

/* What the states say, counted apart from the code under test. */
struct tally {
    uint16_t places[PLACE_STATES]; /* bits, by state */
    uint32_t idle, asked, answered, failed;
    uint64_t newest; /* highest stamp of an answer; 0 without one */
};

static enum place_state state_of(const struct round *r, uint32_t place) {
    uint32_t state = 0;
    while (!round_is(r, place, (enum place_state)state)) state++;
    return (enum place_state)state;
}

static struct tally tally_of(const struct world *w, const struct round *r) {
    struct tally t = { .newest = 0 };
    memcpy(t.places, r->places, sizeof t.places);
    t.idle = ones(t.places[PLACE_IDLE]);
    t.asked = ones(t.places[PLACE_ASKED]);
    t.answered = ones(t.places[PLACE_ANSWERED]);
    t.failed = ones(t.places[PLACE_FAILED]);
    CHECK_EQ(t.idle + t.asked + t.answered + t.failed, w->count);
    for (uint32_t i = 0; i < w->count; i++) {
        if ((t.places[PLACE_ANSWERED] >> i & 1) == 0) continue;
        if (w->versions[i] > t.newest) t.newest = w->versions[i];
    }
    return t;
}

static bool both_reached(const struct world *w, uint32_t places) {
    if (ones(places & w->needs.list.places) < w->needs.list.need) return false;
    return ones(places & w->needs.target.places) >= w->needs.target.need;
}

/* Tries every way in which those that may still answer do: what they have is not known. */
static enum round_outcome outcome_of(const struct world *w, const struct tally *t) {
    const uint32_t answered = t->places[PLACE_ANSWERED];
    const uint32_t open = t->places[PLACE_IDLE] | t->places[PLACE_ASKED];
    const bool new_enough = w->kind == ROUND_WRITE || t->newest >= w->at_least;
    if (both_reached(w, answered) && new_enough) return ROUND_DONE;
    for (uint32_t more = open; more != 0; more = (more - 1) & open) {
        if (both_reached(w, answered | more)) return ROUND_PENDING;
    }
    return ROUND_IMPOSSIBLE;
}

static void check_done_read(const struct world *w, const struct round *r, const struct tally *t) {
    uint32_t best = JOINT_PLACES_MAX;
    uint16_t stale = 0;
    for (uint32_t pass = 0; pass < 2; pass++) { /* first among those that gave the value */
        for (uint32_t i = 0; i < w->count && best == JOINT_PLACES_MAX; i++) {
            const bool full = (r->full >> i & 1) != 0;
            if (!round_is(r, i, PLACE_ANSWERED) || w->versions[i] != t->newest) continue;
            if (full || pass == 1) best = i;
        }
    }
    for (uint32_t i = 0; i < w->count; i++) {
        if (round_is(r, i, PLACE_ANSWERED) && w->versions[i] < t->newest)
            stale |= (uint16_t)(1u << i);
    }
    CHECK_EQ(round_best(r), best);
    CHECK_EQ(round_stale(r), stale);
}

/* No set waits for less than it needs while one of its places is idle. */
static void check_waits_for_enough(const struct round_set *set, const struct tally *t) {
    const uint32_t under_way = t->places[PLACE_ASKED] | t->places[PLACE_ANSWERED];
    if ((t->places[PLACE_IDLE] & set->places) == 0) return;
    CHECK(ones(under_way & set->places) >= set->need);
}

static void check_progress(const struct world *w, const struct round *r, const struct tally *t) {
    const struct round_progress p = round_progress(r);
    const uint32_t answered = t->places[PLACE_ANSWERED];
    const uint32_t list = ones(answered & w->needs.list.places);
    const uint32_t target = ones(answered & w->needs.target.places);
    int lacks = (int)w->needs.list.need - (int)list;
    if (w->needs.target.need > 0 && (int)w->needs.target.need - (int)target > lacks)
        lacks = (int)w->needs.target.need - (int)target;
    CHECK_EQ((int)p.need - p.answered, lacks);
    CHECK(p.need > 0 && p.need <= p.replicas);
    CHECK(p.answered + p.failed <= p.replicas);
}

/* What must hold of every round that can be reached. */
static void check_round(const struct world *w, const struct round *r, bool hedged) {
    const struct tally t = tally_of(w, r);
    const enum round_outcome outcome = round_outcome(r);
    CHECK(round_check(r));
    CHECK_EQ(outcome, outcome_of(w, &t));
    CHECK_EQ(round_suffice(r, t.places[PLACE_ANSWERED]), both_reached(w, t.places[PLACE_ANSWERED]));
    check_progress(w, r, &t);
    if (outcome == ROUND_DONE) CHECK(both_reached(w, t.places[PLACE_ANSWERED]));
    if (outcome == ROUND_PENDING) CHECK(t.asked > 0);
    if (w->kind == ROUND_WRITE) {
        const uint16_t all = (uint16_t)((1u << w->count) - 1);
        CHECK_EQ(round_missed(r), all & ~t.places[PLACE_ANSWERED]);
        CHECK_EQ(r->full, 0);
        return;
    }
    if (outcome == ROUND_DONE) check_done_read(w, r, &t);
    if (outcome != ROUND_PENDING) return;
    const bool reached = both_reached(w, t.places[PLACE_ANSWERED]);
    check_waits_for_enough(&w->needs.list, &t);
    check_waits_for_enough(&w->needs.target, &t);
    /* No more are asked than could be needed, and one of them gives the value. */
    const uint32_t need = w->needs.list.need;
    if (!hedged && !reached && w->needs.target.need == 0) CHECK_EQ(t.asked + t.answered, need);
    if (reached) CHECK_EQ(t.idle, 0);
    const uint32_t value_from = r->full & (t.places[PLACE_ASKED] | t.places[PLACE_ANSWERED]);
    if (t.idle > 0 && w->needs.target.need == 0) CHECK(value_from != 0);
}

static bool visit(struct world *w, const struct round *r, bool hedged) {
    uint32_t key = 0;
    for (uint32_t i = 0; i < w->count; i++) key |= (uint32_t)state_of(r, i) << (2 * i);
    key |= (uint32_t)r->full << STATES_BITS;
    key |= (uint32_t)hedged << (STATES_BITS + PLACES_MAX);
    CHECK(key < KEYS);
    if (w->visited[key] != 0) return false;
    w->visited[key] = 1;
    w->states_count++;
    w->done_count += round_outcome(r) == ROUND_DONE;
    w->impossible_count += round_outcome(r) == ROUND_IMPOSSIBLE;
    return true;
}

/* `places` were idle before and are asked now, nothing else was asked; what was decided
 * stays decided. */
static void check_step(const struct world *w, const struct round *before, const struct round *after,
                       uint16_t places) {
    const struct tally was = tally_of(w, before);
    const struct tally is = tally_of(w, after);
    CHECK_EQ(places & ~was.places[PLACE_IDLE], 0);
    CHECK_EQ(places & ~is.places[PLACE_ASKED], 0);
    CHECK_EQ(is.places[PLACE_ASKED] & ~was.places[PLACE_ASKED], places);
    if (round_outcome(before) == ROUND_PENDING) return;
    CHECK_EQ(round_outcome(after), round_outcome(before));
    CHECK_EQ(places, 0);
}

/* Of a set that wants one more, one is asked if one is left; of any other nobody is, but for
 * those that the other set asked. */
static void check_asked_more(const struct world *w, const struct tally *t, bool of_list,
                             bool of_target, uint16_t places) {
    const uint16_t list = of_list ? w->needs.list.places : 0;
    const uint16_t target = of_target ? w->needs.target.places : 0;
    const uint16_t idle = t->places[PLACE_IDLE];
    CHECK((places & ~(list | target)) == 0);
    CHECK_EQ((places & list) != 0, (idle & list) != 0);
    CHECK_EQ((places & target) != 0, (idle & target) != 0);
    CHECK(ones(places) <= 2);
    if ((idle & w->live & list & target) != 0) CHECK_EQ(ones(places), 1);
}

static bool set_lacks(const struct round_set *set, uint32_t answered) {
    return ones(answered & set->places) < set->need;
}

static void step_answer(struct world *w, const struct round *r, uint32_t place,
                        struct round *ret_next) {
    *ret_next = *r;
    const bool asked = round_is(r, place, PLACE_ASKED);
    const uint16_t places = round_answered(ret_next, place, version_of(w->versions[place]));
    check_step(w, r, ret_next, places);
    CHECK_EQ(state_of(ret_next, place), asked ? PLACE_ANSWERED : state_of(r, place));
    CHECK_EQ(ones(ret_next->places[PLACE_ANSWERED]), ones(r->places[PLACE_ANSWERED]) + asked);
}

static void step_failure(struct world *w, const struct round *r, uint32_t place,
                         struct round *ret_next) {
    *ret_next = *r;
    const bool asked = round_is(r, place, PLACE_ASKED);
    const bool open = asked || round_is(r, place, PLACE_IDLE);
    const uint16_t places = round_failed(ret_next, place, w->live);
    check_step(w, r, ret_next, places);
    CHECK_EQ(state_of(ret_next, place), open ? PLACE_FAILED : state_of(r, place));
    CHECK_EQ(ones(ret_next->places[PLACE_FAILED]), ones(r->places[PLACE_FAILED]) + open);
    const struct tally t = tally_of(w, r);
    const uint32_t answered = t.places[PLACE_ANSWERED];
    const bool matters = asked && round_outcome(ret_next) == ROUND_PENDING;
    const bool list = (w->needs.list.places >> place & 1) != 0;
    const bool target = (w->needs.target.places >> place & 1) != 0;
    check_asked_more(w, &t, matters && list && set_lacks(&w->needs.list, answered),
                     matters && target && set_lacks(&w->needs.target, answered), places);
}

static void step_hedge(struct world *w, const struct round *r, struct round *ret_next) {
    *ret_next = *r;
    const struct tally t = tally_of(w, r);
    const uint32_t answered = t.places[PLACE_ANSWERED];
    const uint16_t places = round_hedge(ret_next, w->live);
    const bool matters = round_outcome(r) == ROUND_PENDING;
    check_step(w, r, ret_next, places);
    check_asked_more(w, &t, matters && set_lacks(&w->needs.list, answered),
                     matters && set_lacks(&w->needs.target, answered), places);
}

static void explore(struct world *w, const struct round *r, bool hedged) {
    if (!visit(w, r, hedged)) return;
    check_round(w, r, hedged);
    struct round next;
    for (uint32_t place = 0; place < w->count; place++) {
        step_answer(w, r, place, &next);
        explore(w, &next, hedged);
        step_failure(w, r, place, &next);
        explore(w, &next, hedged);
    }
    step_hedge(w, r, &next);
    explore(w, &next, true);
}

/* As few as can do, by trial: where all are alive. */
static uint32_t fewest(const struct world *w) {
    uint32_t least = w->count;
    for (uint32_t places = 0; places < 1u << w->count; places++) {
        if (w->self >= 0 && (places >> w->self & 1) == 0) continue;
        if (both_reached(w, places) && ones(places) < least) least = ones(places);
    }
    return least;
}

static void begin_world(const struct world *w, struct round *ret_round) {
    const uint16_t all = (uint16_t)((1u << w->count) - 1);
    const uint16_t asked =
        round_begin(ret_round, w->kind, w->needs, w->self, w->live,
                    w->kind == ROUND_WRITE ? (struct ballot){ 0 } : version_of(w->at_least));
    CHECK_EQ(ret_round->count, w->count);
    CHECK_EQ(tally_of(w, ret_round).places[PLACE_ASKED], asked);
    if (w->kind == ROUND_WRITE) CHECK_EQ(asked, all);
    if (w->kind == ROUND_WRITE) return;
    CHECK(both_reached(w, asked));
    if (w->self >= 0) CHECK((asked >> w->self & 1) != 0);
    if (w->needs.target.need == 0 || (w->live & all) == all) CHECK_EQ(ones(asked), fewest(w));
    /* Nobody is asked who seems dead while a live one would have done. */
    if (both_reached(w, (w->live & all) | (w->self < 0 ? 0 : 1u << w->self)))
        CHECK((asked & ~w->live & ~(w->self < 0 ? 0 : 1u << w->self)) == 0);
}

static void explore_world(struct world *w) {
    memset(w->visited, 0, KEYS);
    struct round r;
    begin_world(w, &r);
    explore(w, &r, false);
}

/* Every way in which the places may be newer and older than each other: `steps` stamps,
 * one of which is that the place has nothing. */
static void explore_versions(struct world *w, uint32_t steps) {
    uint32_t assignments = 1;
    for (uint32_t i = 0; i < w->count; i++) assignments *= steps;
    for (uint32_t a = 0; a < assignments; a++) {
        uint32_t rest = a;
        for (uint32_t i = 0; i < w->count; i++, rest /= steps)
            w->versions[i] = steps == 2 ? rest % 2 * 2 : rest % steps;
        explore_world(w);
    }
}

static void explore_reads(struct world *w) {
    static const uint64_t sessions[] = { 0, 2, 3 }; /* none; what some have; what none has */
    const uint16_t all = (uint16_t)((1u << w->count) - 1);
    for (uint32_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        const uint32_t steps = w->count < PLACES_MAX ? 3 : 2;
        w->at_least = sessions[i];
        w->self = -1, w->live = all;
        explore_versions(w, steps);
        w->self = w->count - 1, w->live = all & 0x0a;
        explore_versions(w, steps);
    }
}

/* Reads on one to five places, for every R: the outcome is exactly what the answers say,
 * no round waits for nobody, the best is the newest, and the stale ones are the older. */
TEST(round, every_read) {
    struct world w = { .kind = ROUND_READ, .visited = mem_alloc(KEYS) };
    for (w.count = 1; w.count <= PLACES_MAX; w.count++) {
        for (uint32_t need = 1; need <= w.count; need++) {
            w.needs = round_needs_one(w.count, need);
            explore_reads(&w);
        }
    }
    CHECK(w.states_count > 100000);
    CHECK(w.done_count > 10000);
    CHECK(w.impossible_count > 10000);
    mem_free(w.visited);
}

/* Writes on one to five places, for every W, in all orders: done with W answers and not
 * before, impossible as soon as W cannot be had; who needs a hint is always known. */
TEST(round, every_write) {
    struct world w = { .kind = ROUND_WRITE, .self = -1, .visited = mem_alloc(KEYS) };
    for (w.count = 1; w.count <= PLACES_MAX; w.count++) {
        for (uint32_t need = 1; need <= w.count; need++) {
            w.needs = round_needs_one(w.count, need);
            explore_world(&w);
        }
    }
    /* Three states a place, with and without a (vain) hedge, for W = 1..N. */
    CHECK_EQ(w.states_count, 2 * (1 * 3 + 2 * 9 + 3 * 27 + 4 * 81 + 5 * 243));
    CHECK(w.done_count > 0 && w.impossible_count > 0);
    mem_free(w.visited);
}

/* ---- two sets ---- */

/* Every pair of sets that together are all places: each place is in one, the other, or both. */
static bool next_sets(struct world *w, uint32_t *number) {
    const uint16_t all = (uint16_t)((1u << w->count) - 1);
    for (uint32_t ways = 1; ways > 0; (*number)++) {
        ways = 1;
        w->needs = (struct round_needs){ 0 };
        uint32_t rest = *number;
        for (uint32_t i = 0; i < w->count; i++, rest /= 3) {
            if (rest % 3 != 1) w->needs.list.places |= (uint16_t)(1u << i);
            if (rest % 3 != 0) w->needs.target.places |= (uint16_t)(1u << i);
        }
        if (rest > 0) return false;
        if (w->needs.list.places == 0 || w->needs.target.places == 0) continue;
        CHECK_EQ(w->needs.list.places | w->needs.target.places, all);
        (*number)++;
        return true;
    }
    return false;
}

/* What the places from `place` on may do to a write: answer, fail or say nothing. */
static void explore_rest(struct world *w, const struct round *r, uint32_t place) {
    if (place == w->count) {
        const struct tally t = tally_of(w, r);
        const enum round_outcome outcome = round_outcome(r);
        CHECK_EQ(outcome, outcome_of(w, &t));
        w->states_count++;
        w->done_count += outcome == ROUND_DONE;
        w->impossible_count += outcome == ROUND_IMPOSSIBLE;
        return;
    }
    struct round next = *r;
    explore_rest(w, r, place + 1);
    CHECK_EQ(round_answered(&next, place, (struct ballot){ 0 }), 0);
    explore_rest(w, &next, place + 1);
    next = *r;
    CHECK_EQ(round_failed(&next, place, 0), 0);
    explore_rest(w, &next, place + 1);
}

static void explore_write(struct world *w) {
    struct round r;
    begin_world(w, &r);
    explore_rest(w, &r, 0);
}

static void explore_joint(struct world *w) {
    const uint32_t list = ones(w->needs.list.places);
    const uint32_t target = ones(w->needs.target.places);
    for (uint32_t i = 0; i < list * target; i++) {
        w->needs.list.need = (uint8_t)(1 + i % list);
        w->needs.target.need = (uint8_t)(1 + i / list);
        if (w->kind == ROUND_READ)
            explore_world(w);
        else
            explore_write(w);
    }
}

/* Up to four places in two sets that overlap in every way, for all needs, in all orders. */
TEST(round, every_joint_read) {
    struct world w = { .kind = ROUND_READ, .visited = mem_alloc(KEYS) };
    for (w.count = 1; w.count <= 4; w.count++) {
        const uint16_t all = (uint16_t)((1u << w.count) - 1);
        for (uint32_t n = 0; next_sets(&w, &n);) {
            for (uint32_t i = 0; i < 4; i++) {
                w.self = i % 2 == 0 ? -1 : w.count - 1;
                w.live = i % 2 == 0 ? all : all & 0x05;
                w.at_least = i / 2 * 2;
                for (uint32_t k = 0; k < w.count; k++) w.versions[k] = (n >> k & 1) * 2;
                explore_joint(&w);
            }
        }
    }
    CHECK(w.states_count > 100000);
    CHECK(w.done_count > 10000);
    CHECK(w.impossible_count > 10000);
    mem_free(w.visited);
}

/* Lists of five or fewer, five or fewer of them new, and all needs: a write is done exactly when
 * both have theirs, whoever answers and fails. */
TEST(round, every_joint_write) {
    struct world w = { .kind = ROUND_WRITE, .self = -1 };
    for (uint32_t list = 1; list <= 5; list++) {
        for (uint32_t target = 1; target <= 5; target++) {
            for (uint32_t shared = 0; shared <= list && shared <= target; shared++) {
                w.count = (uint8_t)(list + target - shared);
                w.needs = round_needs_one(list, list);
                w.needs.target.places = (uint16_t)(((1u << target) - 1) << (list - shared));
                explore_joint(&w);
            }
        }
    }
    CHECK(w.states_count > 100000);
    CHECK(w.done_count > 10000);
    CHECK(w.impossible_count > 10000);
}

static void draw_set(struct sim_random *random, uint32_t count, struct round_set *ret_set) {
    *ret_set = (struct round_set){ 0 };
    const uint32_t size = 1 + (uint32_t)sim_random_below(random, count < 5 ? count : 5);
    while (ones(ret_set->places) < size)
        ret_set->places |= (uint16_t)(1u << sim_random_below(random, count));
    ret_set->need = (uint8_t)(1 + sim_random_below(random, size));
}

static void draw_world(struct sim_random *random, struct world *w) {
    do {
        w->count = (uint8_t)(1 + sim_random_below(random, JOINT_PLACES_MAX));
        draw_set(random, w->count, &w->needs.list);
        draw_set(random, w->count, &w->needs.target);
    } while ((w->needs.list.places | w->needs.target.places) != (1u << w->count) - 1);
    w->live = (uint16_t)sim_random_next(random);
    w->self = (int)sim_random_below(random, w->count + 1u) - 1;
    w->at_least = sim_random_below(random, 4);
    for (uint32_t i = 0; i < w->count; i++) w->versions[i] = sim_random_below(random, 4);
}

/* Reads of two sets of up to five places each, in orders that are drawn. */
TEST(round, joint_reads_in_any_order) {
    struct sim_random random = sim_random_of(20);
    struct world w = { .kind = ROUND_READ };
    for (uint32_t i = 0; i < 20000; i++) {
        struct round r;
        struct round next;
        bool hedged = false;
        draw_world(&random, &w);
        begin_world(&w, &r);
        for (uint32_t steps = 0; steps < 3u * w.count; steps++) {
            check_round(&w, &r, hedged);
            const uint32_t place = (uint32_t)sim_random_below(&random, w.count);
            const uint64_t what = sim_random_below(&random, 8);
            if (what == 0) {
                step_hedge(&w, &r, &next);
                hedged = true;
            } else if (what < 3) {
                step_failure(&w, &r, place, &next);
            } else {
                step_answer(&w, &r, place, &next);
            }
            r = next;
            w.live ^= (uint16_t)(1u << sim_random_below(&random, w.count));
        }
        w.done_count += round_outcome(&r) == ROUND_DONE;
        w.impossible_count += round_outcome(&r) == ROUND_IMPOSSIBLE;
    }
    CHECK(w.done_count > 2000);
    CHECK(w.impossible_count > 2000);
}

/* Places in both sets go first, so that two answers do where lists differ in one member. */
TEST(round, joint_read_asks_few) {
    struct round r;
    const struct ballot none = { 0 };
    const struct round_needs one_new = { { 0x07, 2 }, { 0x0e, 2 } };
    CHECK_EQ(round_begin(&r, ROUND_READ, one_new, -1, 0x0f, none), 0x06);
    CHECK_EQ(r.full, 0x02);
    CHECK_EQ(round_failed(&r, 1, 0x0f), 0x09); /* nobody is left who counts twice */
    CHECK_EQ(r.full, 0x03);
    CHECK_EQ(round_answered(&r, 0, none), 0);
    CHECK_EQ(round_answered(&r, 3, none), 0);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING); /* one of two in each */
    const struct round_progress p = round_progress(&r);
    CHECK(p.answered == 1 && p.need == 2 && p.failed == 1 && p.replicas == 3);
    CHECK_EQ(round_answered(&r, 2, none), 0);
    CHECK_EQ(round_outcome(&r), ROUND_DONE);

    /* Itself first, though it counts in one set alone; a live one before one that counts twice. */
    CHECK_EQ(round_begin(&r, ROUND_READ, one_new, 0, 0x0f, none), 0x07);
    CHECK_EQ(round_begin(&r, ROUND_READ, one_new, -1, 0x0d, none), 0x0d);
    /* Nothing in common: a quorum of each, and neither stands in for the other. */
    const struct round_needs all_new = { { 0x07, 2 }, { 0x38, 2 } };
    CHECK_EQ(round_begin(&r, ROUND_READ, all_new, -1, 0x3f, none), 0x1b);
    CHECK_EQ(round_hedge(&r, 0x3f), 0x24);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(round_answered(&r, i, none), 0);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_failed(&r, 3, 0x3f), 0);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_failed(&r, 4, 0x3f), 0);
    CHECK_EQ(round_outcome(&r), ROUND_IMPOSSIBLE);
}

/* A place that knows a later epoch is waited for: nobody is asked in its stead, and nothing is
 * decided by it; when its time is up it has failed like any other. */
TEST(round, stale_epoch_is_waited_for) {
    struct round r;
    const struct ballot none = { 0 };
    (void)round_begin(&r, ROUND_READ, round_needs_one(3, 2), -1, 0x07, none);
    CHECK_EQ(r.stale_epoch, 0);
    round_stale_epoch(&r, 0);
    CHECK_EQ(r.stale_epoch, 0x01);
    CHECK_EQ(r.places[PLACE_ASKED], 0x03);
    round_stale_epoch(&r, 2); /* was not asked */
    CHECK_EQ(r.stale_epoch, 0x01);
    CHECK_EQ(round_answered(&r, 1, none), 0);
    round_stale_epoch(&r, 1); /* has answered */
    CHECK_EQ(r.stale_epoch, 0x01);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_failed(&r, 0, 0x07), 0x04);
    CHECK_EQ(r.stale_epoch, 0);
    CHECK_EQ(r.full, 0x05);

    (void)round_begin(&r, ROUND_WRITE, round_needs_one(3, 2), 0, 0x07, none);
    for (uint32_t i = 0; i < 3; i++) round_stale_epoch(&r, i);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_missed(&r), 0x07);
    (void)round_answered(&r, 1, none); /* the answer to another question */
    CHECK_EQ(r.stale_epoch, 0x05);
    (void)round_failed(&r, 0, 0);
    (void)round_failed(&r, 2, 0);
    CHECK_EQ(round_outcome(&r), ROUND_IMPOSSIBLE);
}

/* ---- one thing at a time ---- */

/* A read asks itself first and for the value, then live places in order, then the others. */
TEST(round, order_of_asking) {
    struct round r;
    const struct ballot none = { 0 };
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(5, 2), 3, 0x12, none), 0x0a);
    CHECK_EQ(r.full, 0x08);
    CHECK_EQ(round_hedge(&r, 0x12), 0x10);
    CHECK_EQ(r.full, 0x18); /* nobody had given the value yet */
    CHECK_EQ(round_hedge(&r, 0x12), 0x01);
    CHECK_EQ(round_hedge(&r, 0x12), 0x04);
    CHECK_EQ(round_hedge(&r, 0x12), 0);

    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(3, 1), -1, 0x04, none), 0x04);
    CHECK_EQ(r.full, 0x04);
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(3, 1), 0, 0x06, none), 0x01);
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(3, 2), -1, 0, none), 0x03);
    CHECK_EQ(r.full, 0x01);
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(7, 7), 6, 0, none), 0x7f);
    CHECK_EQ(r.full, 0x40);
    /* Bits of places that do not exist change nothing. */
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(3, 1), -1, 0xf8, none), 0x01);
}

/* When the place that was to give the value fails, the one asked instead gives it; when
 * another fails, its version is enough. */
TEST(round, value_is_asked_for_again) {
    struct round r;
    const struct ballot none = { 0 };
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(5, 2), -1, 0x1f, none), 0x03);
    CHECK_EQ(round_failed(&r, 1, 0x1f), 0x04);
    CHECK_EQ(r.full, 0x01);
    CHECK_EQ(round_failed(&r, 0, 0x17), 0x10); /* 3 seems dead by now */
    CHECK_EQ(r.full, 0x11);
    CHECK_EQ(round_answered(&r, 4, none), 0);
    CHECK_EQ(round_hedge(&r, 0), 0x08);
    CHECK_EQ(r.full, 0x11); /* the value is here */
}

/* A session that has seen version 5 is not answered from replicas that are behind: all
 * others are asked, the first of them for the value; if none has it, that is said. */
TEST(round, session) {
    struct round r;
    const struct ballot v4 = { 4, 9, 9 };
    const struct ballot v5 = { 5, 1, 1 };
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(5, 2), 0, 0x1f, v5), 0x03);
    CHECK_EQ(round_answered(&r, 0, v4), 0);
    CHECK_EQ(round_answered(&r, 1, v4), 0x1c);
    CHECK_EQ(r.full, 0x05);
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_answered(&r, 3, v5), 0);
    CHECK_EQ(round_outcome(&r), ROUND_DONE);
    CHECK_EQ(round_best(&r), 3);
    CHECK_EQ(round_stale(&r), 0x03);

    /* A late answer still counts: it may be newer, or another to repair. */
    CHECK_EQ(round_answered(&r, 2, v4), 0);
    CHECK_EQ(round_stale(&r), 0x07);
    CHECK_EQ(round_answered(&r, 4, (struct ballot){ 6, 1, 1 }), 0);
    CHECK_EQ(round_best(&r), 4);
    CHECK_EQ(round_stale(&r), 0x0f);

    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(2, 1), 0, 0x03, v5), 0x01);
    CHECK_EQ(round_answered(&r, 0, v4), 0x02);
    CHECK_EQ(round_failed(&r, 1, 0x03), 0);
    CHECK_EQ(round_outcome(&r), ROUND_IMPOSSIBLE);
}

/* What was forgotten everywhere is an answer to a session, an older version is none. */
TEST(round, session_of_what_is_forgotten) {
    struct round r;
    const struct ballot none = { 0 };
    const struct ballot floor = { 3, 9, 9 };
    const struct ballot v4 = { 4, 9, 9 };
    const struct ballot v5 = { 5, 1, 1 };
    for (uint32_t counts = 0; counts < 2; counts++) {
        CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(3, 2), 0, 0x07, v5), 0x03);
        if (counts == 1) round_absence_counts(&r, none);
        CHECK_EQ(round_answered(&r, 0, none), 0);
        CHECK_EQ(round_outcome(&r), ROUND_PENDING); /* two are needed */
        CHECK_EQ(round_answered(&r, 1, none), counts == 1 ? 0 : 0x04);
        CHECK_EQ(round_outcome(&r), counts == 1 ? ROUND_DONE : ROUND_PENDING);
    }
    CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(2, 2), 0, 0x03, v5), 0x03);
    round_absence_counts(&r, none);
    CHECK_EQ(round_answered(&r, 0, none), 0);
    CHECK_EQ(round_answered(&r, 1, v4), 0);
    CHECK_EQ(round_outcome(&r), ROUND_IMPOSSIBLE);

    /* As of a truncation, nothing has its version; what is above it is an older version. */
    for (uint32_t older = 0; older < 2; older++) {
        CHECK_EQ(round_begin(&r, ROUND_READ, round_needs_one(2, 2), 0, 0x03, v5), 0x03);
        round_absence_counts(&r, floor);
        CHECK_EQ(round_answered(&r, 0, floor), 0);
        CHECK_EQ(round_answered(&r, 1, older == 1 ? v4 : floor), 0);
        CHECK_EQ(round_outcome(&r), older == 1 ? ROUND_IMPOSSIBLE : ROUND_DONE);
    }
}

/* Versions with one stamp are told apart by node, then by boot count. */
TEST(round, best_by_the_whole_ballot) {
    struct round r;
    (void)round_begin(&r, ROUND_READ, round_needs_one(3, 3), -1, 0x07, (struct ballot){ 0 });
    (void)round_answered(&r, 0, (struct ballot){ 7, 1, 9 });
    (void)round_answered(&r, 1, (struct ballot){ 7, 2, 1 });
    (void)round_answered(&r, 2, (struct ballot){ 7, 2, 3 });
    CHECK_EQ(round_best(&r), 2);
    CHECK_EQ(round_stale(&r), 0x03);
}

/* Answers that come twice or after a failure do not make a quorum. */
TEST(round, repeated_reports_change_nothing) {
    struct round r;
    const struct ballot none = { 0 };
    (void)round_begin(&r, ROUND_WRITE, round_needs_one(3, 2), 0, 0x07, none);
    (void)round_answered(&r, 1, none);
    (void)round_failed(&r, 2, 0x07);
    for (uint32_t i = 0; i < 4; i++) {
        struct round before;
        memcpy(&before, &r, sizeof r);
        CHECK_EQ(round_answered(&r, 1, none), 0);
        CHECK_EQ(round_failed(&r, 1, 0x07), 0);
        CHECK_EQ(round_answered(&r, 2, none), 0);
        CHECK_EQ(round_failed(&r, 2, 0x07), 0);
        CHECK(memcmp(&before, &r, sizeof r) == 0);
    }
    CHECK_EQ(round_outcome(&r), ROUND_PENDING);
    CHECK_EQ(round_missed(&r), 0x05);
    (void)round_answered(&r, 0, none);
    CHECK_EQ(round_outcome(&r), ROUND_DONE);
    CHECK_EQ(round_missed(&r), 0x04);
}

/* What only a caller's mistake can ask for stops the process. */
TEST(round, misuse_aborts) {
    struct round r;
    const struct ballot none = { 0 };
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, round_needs_one(0, 1), -1, 0, none));
    CHECK_ABORTS(
        (void)round_begin(&r, ROUND_READ, round_needs_one(REPLICAS_MAX + 1, 1), -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, round_needs_one(3, 0), -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, round_needs_one(3, 4), -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, round_needs_one(3, 1), 3, 0, none));
    (void)round_begin(&r, ROUND_READ, round_needs_one(3, 1), -1, 0, none);
    CHECK_ABORTS((void)round_answered(&r, 3, none));
    CHECK_ABORTS((void)round_failed(&r, 3, 0));
    CHECK_ABORTS((void)round_best(&r));
    CHECK_ABORTS((void)round_missed(&r));
}

/* A round whose fields contradict each other is seen. */
TEST(round, check_sees_damage) {
    struct round good;
    (void)round_begin(&good, ROUND_READ, round_needs_one(3, 2), 0, 0x07, (struct ballot){ 0 });
    (void)round_answered(&good, 0, (struct ballot){ 1, 1, 1 });
    CHECK(round_check(&good));
    struct round r = good;
    r.places[PLACE_ANSWERED] = 0x03; /* 1 is asked as well */
    CHECK(!round_check(&r));
    r = good, r.places[PLACE_ASKED] = 0; /* 1 is in no state */
    CHECK(!round_check(&r));
    r = good, r.needs.list.need = 4;
    CHECK(!round_check(&r));
    r = good, r.needs.target.need = 1; /* of nobody */
    CHECK(!round_check(&r));
    r = good, r.needs.target.places = 0x03; /* who need not answer */
    CHECK(!round_check(&r));
    r = good, r.count = 4;
    CHECK(!round_check(&r));
    r = good, r.full = 0x08;
    CHECK(!round_check(&r));
    r = good, r.full = 0x04; /* idle */
    CHECK(!round_check(&r));
    r = good, r.stale_epoch = 0x01; /* has answered */
    CHECK(!round_check(&r));
    r = good, r.places[PLACE_ASKED] |= 0x08; /* does not exist */
    CHECK(!round_check(&r));
    r = good, r.kind = ROUND_WRITE;
    CHECK(!round_check(&r));
}
