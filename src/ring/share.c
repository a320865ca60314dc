#include "ring/share.h"

#include "base/assert.h"

#include <stddef.h>

/* The sums of parts and of weights: a product of the two stays in 64 bits, with its sign. */
#define PARTS_SUM_MAX (UINT32_C(1) << 30)
#define WEIGHT_SUM_MAX (UINT32_C(1) << 31)

/* What is left for those that no bound holds, and their weight. */
struct open {
    uint64_t total;  /* parts */
    uint64_t weight; /* sum */
};

static struct open open_of(const struct share *shares, uint32_t count, uint32_t total) {
    struct open open = { .total = total };
    for (uint32_t i = 0; i < count; i++) {
        if (shares[i].bound) {
            ASSERT(open.total >= shares[i].parts);
            open.total -= shares[i].parts;
        } else {
            open.weight += shares[i].weight;
        }
    }
    return open;
}

/* How far the exact part is above `most` (> 0) or below `least` (< 0), times open.weight. */
static int64_t excess(const struct share *s, struct open open) {
    const uint64_t exact = open.total * s->weight;
    if (exact > s->most * open.weight) return (int64_t)(exact - s->most * open.weight);
    if (exact < s->least * open.weight) return -(int64_t)(s->least * open.weight - exact);
    return 0;
}

/* Bind the parties on the side that breaks its bounds by more: those on the other side may
 * still come within theirs. Returns whether any was bound. */
static bool bind_some(struct share *shares, uint32_t count, struct open open) {
    int64_t balance = 0;
    bool broken = false;
    for (uint32_t i = 0; i < count; i++) {
        if (shares[i].bound) continue;
        const int64_t over = excess(&shares[i], open);
        balance += over;
        broken |= over != 0;
    }
    for (uint32_t i = 0; i < count && broken; i++) {
        struct share *s = &shares[i];
        const int64_t over = s->bound ? 0 : excess(s, open);
        if (over == 0 || (over > 0 && balance < 0) || (over < 0 && balance > 0)) continue;
        s->bound = true;
        s->parts = over > 0 ? s->most : s->least;
    }
    return broken;
}

static bool goes_first(const struct share *a, const struct share *b) {
    const bool a_held = a->held > a->parts;
    const bool b_held = b->held > b->parts;
    if (a_held != b_held) return a_held;
    return a->remainder > b->remainder;
}

/* One more part for whoever has the best claim to the next. */
static void give_one(struct share *shares, uint32_t count) {
    struct share *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct share *s = &shares[i];
        if (s->remainder > 0 && (best == NULL || goes_first(s, best))) best = s;
    }
    ASSERT(best != NULL);
    ASSERT(best->parts < best->most);
    best->parts++;
    best->remainder = 0;
}

void share_split(struct share *shares, uint32_t count, uint32_t total) {
    uint64_t least_sum = 0, most_sum = 0, weight_sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(shares[i].weight > 0);
        ASSERT(shares[i].least <= shares[i].most);
        shares[i].bound = false;
        shares[i].parts = 0;
        shares[i].remainder = 0;
        least_sum += shares[i].least;
        most_sum += shares[i].most;
        weight_sum += shares[i].weight;
    }
    ASSERT(least_sum <= total);
    ASSERT(total <= most_sum);
    ASSERT(most_sum < PARTS_SUM_MAX);
    ASSERT(weight_sum < WEIGHT_SUM_MAX);

    struct open open = open_of(shares, count, total);
    while (bind_some(shares, count, open)) open = open_of(shares, count, total);

    uint64_t rest = open.total;
    for (uint32_t i = 0; i < count; i++) {
        struct share *s = &shares[i];
        if (!s->bound) {
            s->parts = (uint32_t)(open.total * s->weight / open.weight);
            s->remainder = open.total * s->weight % open.weight;
            rest -= s->parts;
        }
        s->parts_max = s->parts + (s->remainder > 0);
    }
    for (; rest > 0; rest--) give_one(shares, count);
}
