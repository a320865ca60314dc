#include "cluster/round.h"

#include "base/mem.h"
#include "harness.h"

#include <string.h>

/* The small world that is explored: every order of answers, failures and hedges on up to
 * PLACES_MAX places. What has been visited is told apart by the states of the places, by
 * `full`, and by whether there was a hedge. */
#define PLACES_MAX 5u
#define STATES_BITS (2u * PLACES_MAX)
#define KEYS (1u << (STATES_BITS + PLACES_MAX + 1))

struct world {
    enum round_kind kind;          /* of all rounds of this world */
    uint8_t count;                 /* replicas */
    uint8_t need;                  /* W or R */
    int self;                      /* own place, or -1 */
    uint8_t live;                  /* places that seem alive */
    uint64_t at_least;             /* stamp of the session's version */
    uint64_t versions[PLACES_MAX]; /* stamps that the places would answer with */
    uint8_t *visited;              /* a byte a key */
    uint64_t states_count;         /* visited in all worlds */
    uint64_t done_count;           /* of them: done */
    uint64_t impossible_count;     /* of them: impossible */
};

static struct ballot version_of(uint64_t stamp) {
    return stamp == 0 ? (struct ballot){ 0 } : (struct ballot){ stamp, 1, 1 };
}

/* What the states say, counted apart from the code under test. */
struct tally {
    uint8_t places[PLACE_STATES]; /* bits, by state */
    uint32_t idle, asked, answered, failed;
    uint64_t newest; /* highest stamp of an answer; 0 without one */
};

static struct tally tally_of(const struct world *w, const struct round *r) {
    struct tally t = { .newest = 0 };
    for (uint32_t i = 0; i < w->count; i++) {
        t.places[r->states[i]] |= (uint8_t)(1u << i);
        if (r->states[i] == PLACE_ANSWERED && w->versions[i] > t.newest) t.newest = w->versions[i];
    }
    t.idle = (uint32_t)__builtin_popcount(t.places[PLACE_IDLE]);
    t.asked = (uint32_t)__builtin_popcount(t.places[PLACE_ASKED]);
    t.answered = (uint32_t)__builtin_popcount(t.places[PLACE_ANSWERED]);
    t.failed = (uint32_t)__builtin_popcount(t.places[PLACE_FAILED]);
    return t;
}

static enum round_outcome outcome_of(const struct world *w, const struct tally *t) {
    const bool new_enough = w->kind == ROUND_WRITE || t->newest >= w->at_least;
    if (t->answered >= w->need && new_enough) return ROUND_DONE;
    const bool reachable = t->answered + t->asked + t->idle >= w->need;
    const bool goes_on = t->asked + t->idle > 0;
    return reachable && goes_on ? ROUND_PENDING : ROUND_IMPOSSIBLE;
}

static void check_done_read(const struct world *w, const struct round *r, const struct tally *t) {
    uint32_t best = PLACES_MAX;
    uint8_t stale = 0;
    for (uint32_t pass = 0; pass < 2; pass++) { /* first among those that gave the value */
        for (uint32_t i = 0; i < w->count && best == PLACES_MAX; i++) {
            const bool full = (r->full >> i & 1) != 0;
            if (r->states[i] != PLACE_ANSWERED || w->versions[i] != t->newest) continue;
            if (full || pass == 1) best = i;
        }
    }
    for (uint32_t i = 0; i < w->count; i++) {
        if (r->states[i] == PLACE_ANSWERED && w->versions[i] < t->newest)
            stale |= (uint8_t)(1u << i);
    }
    CHECK_EQ(round_best(r), best);
    CHECK_EQ(round_stale(r), stale);
}

/* What must hold of every round that can be reached. */
static void check_round(const struct world *w, const struct round *r, bool hedged) {
    const struct tally t = tally_of(w, r);
    const enum round_outcome outcome = round_outcome(r);
    CHECK(round_check(r));
    CHECK_EQ(outcome, outcome_of(w, &t));
    if (outcome == ROUND_DONE) CHECK(t.answered >= w->need);
    if (outcome == ROUND_PENDING) CHECK(t.asked > 0);
    if (w->kind == ROUND_WRITE) {
        const uint8_t all = (uint8_t)((1u << w->count) - 1);
        CHECK_EQ(round_missed(r), all & ~t.places[PLACE_ANSWERED]);
        CHECK_EQ(r->full, 0);
        return;
    }
    if (outcome == ROUND_DONE) check_done_read(w, r, &t);
    if (outcome != ROUND_PENDING) return;
    /* No more are asked than could be needed, and one of them gives the value. */
    if (!hedged && t.answered < w->need) CHECK_EQ(t.asked + t.answered, w->need);
    if (t.answered >= w->need) CHECK_EQ(t.idle, 0);
    if (t.idle > 0) CHECK((r->full & (t.places[PLACE_ASKED] | t.places[PLACE_ANSWERED])) != 0);
}

static bool visit(struct world *w, const struct round *r, bool hedged) {
    uint32_t key = 0;
    for (uint32_t i = 0; i < w->count; i++) key |= (uint32_t)r->states[i] << (2 * i);
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
                       uint8_t places) {
    const struct tally was = tally_of(w, before);
    const struct tally is = tally_of(w, after);
    CHECK_EQ(places & ~was.places[PLACE_IDLE], 0);
    CHECK_EQ(places & ~is.places[PLACE_ASKED], 0);
    CHECK_EQ(is.places[PLACE_ASKED] & ~was.places[PLACE_ASKED], places);
    if (round_outcome(before) == ROUND_PENDING) return;
    CHECK_EQ(round_outcome(after), round_outcome(before));
    CHECK_EQ(places, 0);
}

static void explore(struct world *w, const struct round *r, bool hedged);

static void explore_answer(struct world *w, const struct round *r, uint32_t place, bool hedged) {
    struct round next = *r;
    const bool asked = r->states[place] == PLACE_ASKED;
    const uint8_t places = round_answered(&next, place, version_of(w->versions[place]));
    check_step(w, r, &next, places);
    CHECK_EQ(next.states[place], asked ? PLACE_ANSWERED : r->states[place]);
    CHECK_EQ(next.answered, r->answered + asked);
    explore(w, &next, hedged);
}

static void explore_failure(struct world *w, const struct round *r, uint32_t place, bool hedged) {
    struct round next = *r;
    const bool open = r->states[place] == PLACE_ASKED || r->states[place] == PLACE_IDLE;
    const uint8_t places = round_failed(&next, place, w->live);
    check_step(w, r, &next, places);
    CHECK(__builtin_popcount(places) <= 1);
    CHECK_EQ(next.states[place], open ? PLACE_FAILED : r->states[place]);
    CHECK_EQ(next.failed, r->failed + open);
    const struct tally t = tally_of(w, &next);
    if (r->states[place] == PLACE_ASKED && round_outcome(&next) == ROUND_PENDING && t.idle > 0)
        CHECK(places != 0);
    explore(w, &next, hedged);
}

static void explore_hedge(struct world *w, const struct round *r) {
    struct round next = *r;
    const struct tally t = tally_of(w, r);
    const uint8_t places = round_hedge(&next, w->live);
    check_step(w, r, &next, places);
    CHECK_EQ(__builtin_popcount(places), round_outcome(r) == ROUND_PENDING && t.idle > 0);
    explore(w, &next, true);
}

static void explore(struct world *w, const struct round *r, bool hedged) {
    if (!visit(w, r, hedged)) return;
    check_round(w, r, hedged);
    for (uint32_t place = 0; place < w->count; place++) {
        explore_answer(w, r, place, hedged);
        explore_failure(w, r, place, hedged);
    }
    explore_hedge(w, r);
}

static void explore_world(struct world *w) {
    memset(w->visited, 0, KEYS);
    struct round r;
    const uint8_t asked =
        round_begin(&r, w->kind, w->count, w->need, w->self, w->live, version_of(w->at_least));
    CHECK_EQ(__builtin_popcount(asked), w->kind == ROUND_WRITE ? w->count : w->need);
    CHECK_EQ(tally_of(w, &r).places[PLACE_ASKED], asked);
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
    const uint8_t all = (uint8_t)((1u << w->count) - 1);
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
        for (w.need = 1; w.need <= w.count; w.need++) explore_reads(&w);
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
        for (w.need = 1; w.need <= w.count; w.need++) explore_world(&w);
    }
    /* Three states a place, with and without a (vain) hedge, for W = 1..N. */
    CHECK_EQ(w.states_count, 2 * (1 * 3 + 2 * 9 + 3 * 27 + 4 * 81 + 5 * 243));
    CHECK(w.done_count > 0 && w.impossible_count > 0);
    mem_free(w.visited);
}

/* A read asks itself first and for the value, then live places in order, then the others. */
TEST(round, order_of_asking) {
    struct round r;
    const struct ballot none = { 0 };
    CHECK_EQ(round_begin(&r, ROUND_READ, 5, 2, 3, 0x12, none), 0x0a);
    CHECK_EQ(r.full, 0x08);
    CHECK_EQ(round_hedge(&r, 0x12), 0x10);
    CHECK_EQ(r.full, 0x18); /* nobody had given the value yet */
    CHECK_EQ(round_hedge(&r, 0x12), 0x01);
    CHECK_EQ(round_hedge(&r, 0x12), 0x04);
    CHECK_EQ(round_hedge(&r, 0x12), 0);

    CHECK_EQ(round_begin(&r, ROUND_READ, 3, 1, -1, 0x04, none), 0x04);
    CHECK_EQ(r.full, 0x04);
    CHECK_EQ(round_begin(&r, ROUND_READ, 3, 1, 0, 0x06, none), 0x01);
    CHECK_EQ(round_begin(&r, ROUND_READ, 3, 2, -1, 0, none), 0x03);
    CHECK_EQ(r.full, 0x01);
    CHECK_EQ(round_begin(&r, ROUND_READ, 7, 7, 6, 0, none), 0x7f);
    CHECK_EQ(r.full, 0x40);
    /* Bits of places that do not exist change nothing. */
    CHECK_EQ(round_begin(&r, ROUND_READ, 3, 1, -1, 0xf8, none), 0x01);
}

/* When the place that was to give the value fails, the one asked instead gives it; when
 * another fails, its version is enough. */
TEST(round, value_is_asked_for_again) {
    struct round r;
    const struct ballot none = { 0 };
    CHECK_EQ(round_begin(&r, ROUND_READ, 5, 2, -1, 0x1f, none), 0x03);
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
    CHECK_EQ(round_begin(&r, ROUND_READ, 5, 2, 0, 0x1f, v5), 0x03);
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

    CHECK_EQ(round_begin(&r, ROUND_READ, 2, 1, 0, 0x03, v5), 0x01);
    CHECK_EQ(round_answered(&r, 0, v4), 0x02);
    CHECK_EQ(round_failed(&r, 1, 0x03), 0);
    CHECK_EQ(round_outcome(&r), ROUND_IMPOSSIBLE);
}

/* Versions with one stamp are told apart by node, then by boot count. */
TEST(round, best_by_the_whole_ballot) {
    struct round r;
    (void)round_begin(&r, ROUND_READ, 3, 3, -1, 0x07, (struct ballot){ 0 });
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
    (void)round_begin(&r, ROUND_WRITE, 3, 2, 0, 0x07, none);
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
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, 0, 1, -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, REPLICAS_MAX + 1, 1, -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, 3, 0, -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, 3, 4, -1, 0, none));
    CHECK_ABORTS((void)round_begin(&r, ROUND_READ, 3, 1, 3, 0, none));
    (void)round_begin(&r, ROUND_READ, 3, 1, -1, 0, none);
    CHECK_ABORTS((void)round_answered(&r, 3, none));
    CHECK_ABORTS((void)round_failed(&r, 3, 0));
    CHECK_ABORTS((void)round_best(&r));
    CHECK_ABORTS((void)round_missed(&r));
}

/* A round whose fields contradict each other is seen. */
TEST(round, check_sees_damage) {
    struct round good;
    (void)round_begin(&good, ROUND_READ, 3, 2, 0, 0x07, (struct ballot){ 0 });
    (void)round_answered(&good, 0, (struct ballot){ 1, 1, 1 });
    CHECK(round_check(&good));
    struct round r = good;
    r.answered = 2;
    CHECK(!round_check(&r));
    r = good, r.failed = 1;
    CHECK(!round_check(&r));
    r = good, r.need = 4;
    CHECK(!round_check(&r));
    r = good, r.full = 0x08;
    CHECK(!round_check(&r));
    r = good, r.full = 0x04; /* idle */
    CHECK(!round_check(&r));
    r = good, r.versions[1].stamp = 1; /* has not answered */
    CHECK(!round_check(&r));
    r = good, r.states[3] = PLACE_ASKED; /* does not exist */
    CHECK(!round_check(&r));
    r = good, r.kind = ROUND_WRITE;
    CHECK(!round_check(&r));
}
