#include "ring/ring.h"

#include "base/hash.h"
#include "base/mem.h"
#include "harness.h"
#include "ring/placement.h"
#include "sim/random.h"

/* What the members of a ring own and keep. */
struct figures {
    uint32_t owned[RING_MEMBERS_MAX]; /* slots */
    uint32_t kept[RING_MEMBERS_MAX];  /* slots */
    uint64_t weight_sum;              /* of all members */
    bool crowded;                     /* some member is in more than three of four slots */
};

static struct figures *figures_of(const struct ring *r) {
    struct figures *f = mem_alloc_zeroed(sizeof *f);
    ring_count(r, f->owned, f->kept);
    for (uint32_t i = 0; i < r->members_count; i++) {
        f->weight_sum += r->members[i].weight;
        f->crowded |= f->kept[i] > RING_SLOTS / 4 * 3;
    }
    return f;
}

static struct ring *make(const struct ring_member *members, uint32_t count, uint32_t replicas,
                         const struct ring *previous) {
    struct ring *r = NULL;
    CHECK_OK(ring_create(members, count, replicas, previous, &r));
    CHECK(ring_check(r));
    return r;
}

/* Members 1.. with weights of 1 to `weight_max`, in zones 1 to `zones` (0 = none). */
static void draw_members(struct ring_member *members, uint32_t count, struct sim_random *r,
                         uint32_t weight_max, uint32_t zones) {
    for (uint32_t i = 0; i < count; i++) {
        members[i].id = 7919 * i + 1;
        members[i].weight = 1 + (uint32_t)sim_random_below(r, weight_max);
        members[i].zone = zones == 0 ? 0 : 1 + i % zones;
    }
}

/* Whether `slots` is within 5 % of the weight's part of `total`, or as near as whole slots
 * allow, give or take `slack` slots more. */
static bool is_fair(uint32_t slots, uint64_t total, uint64_t weight, uint64_t weight_sum,
                    uint32_t slack) {
    const uint64_t exact = total * weight;
    const uint64_t got = slots * weight_sum;
    const uint64_t off = got > exact ? got - exact : exact - got;
    return off * 20 <= exact || off < (1 + slack) * weight_sum;
}

/* Owners are by weight; copies too, unless some member cannot have its part. */
static void check_balance(const struct ring *r) {
    struct figures *f = figures_of(r);
    uint64_t weight_max = 0;
    for (uint32_t i = 0; i < r->members_count; i++)
        if (r->members[i].weight > weight_max) weight_max = r->members[i].weight;
    const bool capped = weight_max * r->copies > f->weight_sum;
    for (uint32_t i = 0; i < r->members_count; i++) {
        const uint32_t weight = r->members[i].weight;
        CHECK(is_fair(f->owned[i], RING_SLOTS, weight, f->weight_sum, 1));
        if (capped) continue;
        CHECK(is_fair(f->kept[i], RING_SLOTS * r->copies, weight, f->weight_sum, 0));
    }
    mem_free(f);
}

/* From three members to a hundred, alike and of different weights: everyone owns and keeps its
 * part, and lists are distinct (ring_check). */
TEST(ring, balance) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[100];
    for (uint32_t count = 3; count <= 100; count++) {
        const uint32_t replicas = 1 + 2 * (count % 3);
        draw_members(members, count, &r, 1, 0);
        struct ring *ring = make(members, count, replicas, NULL);
        check_balance(ring);
        ring_destroy(ring);
        draw_members(members, count, &r, 10, 0);
        ring = make(members, count, 3, NULL);
        check_balance(ring);
        ring_destroy(ring);
    }
}

/* Weights may be as fine as bytes of disk divided by a million: they are split as exactly. */
TEST(ring, fine_weights) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[64];
    for (uint32_t count = 8; count <= 64; count += 28) {
        draw_members(members, count, &r, RING_WEIGHT_MAX / 2, 0);
        for (uint32_t i = 0; i < count; i++) members[i].weight += RING_WEIGHT_MAX / 2;
        struct ring *ring = make(members, count, 3, NULL);
        check_balance(ring);
        ring_destroy(ring);
    }
}

/* A member too heavy for its part is in every slot; the others divide the rest by weight. */
TEST(ring, heavy_member) {
    const struct ring_member members[] = {
        { 1, 10, 0 }, { 2, 1, 0 }, { 3, 1, 0 }, { 4, 2, 0 }, { 5, 1, 0 }
    };
    struct ring *ring = make(members, 5, 3, NULL);
    struct figures *f = figures_of(ring);
    CHECK_EQ(f->kept[0], RING_SLOTS);
    for (uint32_t i = 1; i < 5; i++)
        CHECK(is_fair(f->kept[i], 2 * RING_SLOTS, members[i].weight, 5, 0));
    check_balance(ring);
    mem_free(f);
    ring_destroy(ring);
}

/* With no more members than replicas every slot is on all of them, and owners are by weight. */
TEST(ring, fewer_members_than_replicas) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[REPLICAS_MAX];
    for (uint32_t count = 1; count <= REPLICAS_MAX; count++) {
        draw_members(members, count, &r, 10, count % 3);
        struct ring *ring = make(members, count, REPLICAS_MAX, NULL);
        CHECK_EQ(ring->copies, count);
        for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
            for (uint32_t i = 0; i < count; i++) CHECK(ring_place(ring, slot, i) >= 0);
        }
        check_balance(ring);
        ring_destroy(ring);
    }
}

struct moves {
    uint32_t copies;       /* that their member did not hold before */
    uint32_t copies_least; /* no table with these shares can have fewer */
    uint32_t owners;       /* slots that have another owner */
    uint32_t owners_least; /* as above */
};

static struct moves moves_between(const struct ring *a, const struct ring *b) {
    struct moves m = { 0 };
    struct figures *old = figures_of(a);
    struct figures *new = figures_of(b);
    for (uint32_t i = 0; i < b->members_count; i++) {
        const uint32_t was = ring_find(a, b->members[i].id);
        const uint32_t kept = was < a->members_count ? old->kept[was] : 0;
        const uint32_t owned = was < a->members_count ? old->owned[was] : 0;
        if (new->kept[i] > kept) m.copies_least += new->kept[i] - kept;
        if (new->owned[i] > owned) m.owners_least += new->owned[i] - owned;
        for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
            const int now = ring_place(b, slot, i);
            const int before = was < a->members_count ? ring_place(a, slot, was) : -1;
            m.copies += now >= 0 && before < 0;
            m.owners += now == 0 && before != 0;
        }
    }
    mem_free(old);
    mem_free(new);
    return m;
}

/* At most a tenth more, and a slot or two that rounding can cost. */
static bool is_least(uint32_t moved, uint32_t least) {
    return moved * UINT64_C(10) <= least * UINT64_C(11) + 20;
}

struct cluster {
    struct ring_member members[64]; /* in no order */
    uint32_t count;                 /* 1..64 */
    uint32_t id_last;               /* given out */
};

/* One member joins, leaves or changes its weight. */
static void change(struct cluster *c, struct sim_random *r, uint32_t zones) {
    const uint64_t what = sim_random_below(r, 3);
    const uint32_t weight = 1 + (uint32_t)sim_random_below(r, 10);
    const uint32_t at = (uint32_t)sim_random_below(r, c->count);
    if (c->count <= 4 || (what == 0 && c->count < 60)) {
        const uint32_t zone = zones == 0 ? 0 : 1 + (uint32_t)sim_random_below(r, zones);
        c->members[c->count++] =
            (struct ring_member){ .id = ++c->id_last, .weight = weight, .zone = zone };
    } else if (what == 1) {
        c->members[at] = c->members[--c->count];
    } else {
        c->members[at].weight = weight;
    }
}

/* Through a long chain of changes shares stay what they should be, and each change moves
 * hardly more than it must. */
TEST(ring, moves_little) {
    struct sim_random r = sim_random_of(test_seed());
    for (uint32_t replicas = 1; replicas <= 5; replicas += 2) {
        struct cluster c = { .count = 20, .id_last = 1000000 };
        draw_members(c.members, c.count, &r, 10, 0);
        struct ring *ring = make(c.members, c.count, replicas, NULL);
        for (uint32_t round = 0; round < 60; round++) {
            change(&c, &r, 0);
            struct ring *next = make(c.members, c.count, replicas, ring);
            check_balance(next);
            struct figures *f = figures_of(next);
            const struct moves m = moves_between(ring, next);
            if (!f->crowded) {
                CHECK(is_least(m.copies, m.copies_least));
                CHECK(is_least(m.owners, m.owners_least));
            }
            mem_free(f);
            ring_destroy(ring);
            ring = next;
        }
        ring_destroy(ring);
    }
}

/* What one of equal members moves when it joins and leaves is its own share and no more. */
TEST(ring, join_and_leave_move_one_share) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[100];
    draw_members(members, 100, &r, 1, 0);
    for (uint32_t count = 4; count <= 100; count += 6) {
        struct ring *less = make(members, count - 1, 3, NULL);
        struct ring *more = make(members, count, 3, less);
        struct ring *again = make(members, count - 1, 3, more);
        const struct moves in = moves_between(less, more);
        const struct moves out = moves_between(more, again);
        CHECK(is_least(in.copies, 3 * RING_SLOTS / count));
        CHECK(is_least(in.owners, RING_SLOTS / count));
        CHECK(is_least(out.copies, 3 * RING_SLOTS / count));
        CHECK(is_least(out.owners, RING_SLOTS / count));
        check_balance(more);
        check_balance(again);
        ring_destroy(less);
        ring_destroy(more);
        ring_destroy(again);
    }
}

/* Without a change nothing moves, whatever made the table. */
TEST(ring, same_members_same_table) {
    struct sim_random r = sim_random_of(test_seed());
    struct cluster c = { .count = 12, .id_last = 1000000 };
    draw_members(c.members, c.count, &r, 10, 4);
    struct ring *ring = make(c.members, c.count, 3, NULL);
    for (uint32_t round = 0; round < 8; round++) {
        struct ring *same = make(c.members, c.count, 3, ring);
        CHECK(memcmp(ring, same, sizeof *ring) == 0);
        ring_destroy(same);
        change(&c, &r, 4);
        struct ring *next = make(c.members, c.count, 3, ring);
        ring_destroy(ring);
        ring = next;
    }
    ring_destroy(ring);
}

/* The order in which members are listed changes no byte. */
TEST(ring, order_of_members) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[50], other[50];
    draw_members(members, 50, &r, 10, 5);
    memcpy(other, members, sizeof other);
    for (uint32_t i = 49; i > 0; i--) {
        const uint32_t at = (uint32_t)sim_random_below(&r, i + UINT64_C(1));
        const struct ring_member kept = other[i];
        other[i] = other[at];
        other[at] = kept;
    }
    struct ring *a = make(members, 50, 3, NULL);
    struct ring *b = make(other, 50, 3, NULL);
    CHECK(memcmp(a, b, sizeof *a) == 0);
    members[7].weight += 3;
    for (uint32_t i = 0; i < 50; i++)
        if (other[i].id == members[7].id) other[i].weight += 3;
    struct ring *a_next = make(members, 50, 3, a);
    struct ring *b_next = make(other, 50, 3, b);
    CHECK(memcmp(a_next, b_next, sizeof *a_next) == 0);
    ring_destroy(a);
    ring_destroy(b);
    ring_destroy(a_next);
    ring_destroy(b_next);
}

/* Every list has as many zones as it can: the most copies of one zone is what an even division
 * of the copies, as far as zones have members, comes to. */
static void check_zones(const struct ring *r, uint32_t zones) {
    uint32_t size[16] = { 0 };
    for (uint32_t i = 0; i < r->members_count; i++) size[r->members[i].zone]++;
    uint32_t level = 0;
    for (uint32_t sum = 0; sum <= r->copies && level < r->copies + 1;) {
        level++;
        sum = 0;
        for (uint32_t z = 1; z <= zones; z++) sum += size[z] < level ? size[z] : level;
    }
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        uint32_t copies[16] = { 0 };
        for (uint32_t i = 0; i < r->copies; i++) copies[r->members[ring_list(r, slot)[i]].zone]++;
        for (uint32_t z = 1; z <= zones; z++) {
            CHECK(copies[z] <= level);
            CHECK(copies[z] >= (size[z] < level - 1 ? size[z] : level - 1));
        }
    }
}

/* More, as many and fewer zones than copies, and one member alone in its zone. Where no zone
 * is too heavy for its part, members are balanced as without zones. */
TEST(ring, zones) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[40];
    for (uint32_t zones = 1; zones <= 8; zones++) {
        for (uint32_t replicas = 1; replicas <= REPLICAS_MAX; replicas += 2) {
            draw_members(members, 40, &r, zones % 2 == 0 ? 10 : 1, zones);
            for (uint32_t i = zones; i < 40 && zones == 6; i++)
                if (members[i].zone == 6) members[i].zone = 1;
            struct ring *ring = make(members, 40, replicas, NULL);
            if (replicas > 1) check_zones(ring, zones);
            if (zones % 2 == 1 && 40 % zones == 0) check_balance(ring);
            ring_destroy(ring);
        }
    }
}

/* Zones hold through changes, among them a zone that is new and one that goes. */
TEST(ring, zones_stay_spread) {
    struct sim_random r = sim_random_of(test_seed());
    for (uint32_t zones = 2; zones <= 6; zones += 2) {
        struct cluster c = { .count = 9, .id_last = 1000000 };
        draw_members(c.members, c.count, &r, 10, zones);
        struct ring *ring = make(c.members, c.count, 3, NULL);
        for (uint32_t round = 0; round < 20; round++) {
            change(&c, &r, zones);
            struct ring *next = make(c.members, c.count, 3, ring);
            check_zones(next, zones);
            ring_destroy(ring);
            ring = next;
        }
        ring_destroy(ring);
    }
}

/* Members are moved to other zones and N is changed: a table made from the old one keeps all
 * rules that a first one keeps. */
TEST(ring, zones_and_replicas_change) {
    struct sim_random r = sim_random_of(test_seed());
    struct ring_member members[30];
    draw_members(members, 30, &r, 10, 2);
    struct ring *ring = make(members, 30, 3, NULL);
    for (uint32_t round = 0; round < 12; round++) {
        const uint32_t zones = 1 + round % 6;
        const uint32_t replicas = 1 + 2 * (round * 5 % 4);
        draw_members(members, 30, &r, 10, zones);
        struct ring *next = make(members, 30, replicas, ring);
        if (replicas > 1) check_zones(next, zones);
        ring_destroy(ring);
        ring = next;
    }
    ring_destroy(ring);
}

/* A zone that has one member of six, N = 3 and three zones: the zones win, the lone member is
 * in every slot, but owns only its part. */
TEST(ring, zones_before_balance) {
    const struct ring_member members[] = { { 1, 1, 1 }, { 2, 1, 2 }, { 3, 1, 2 },
                                           { 4, 1, 3 }, { 5, 1, 3 }, { 6, 1, 3 } };
    struct ring *ring = make(members, 6, 3, NULL);
    struct figures *f = figures_of(ring);
    check_zones(ring, 3);
    CHECK_EQ(f->kept[0], RING_SLOTS);
    for (uint32_t i = 0; i < 6; i++) CHECK(is_fair(f->owned[i], RING_SLOTS, 1, 6, 1));
    mem_free(f);
    ring_destroy(ring);
}

/* As many members as there may be, of extreme weights. */
TEST(ring, a_thousand_members) {
    struct ring_member *members = mem_alloc_zeroed(RING_MEMBERS_MAX * sizeof *members);
    for (uint32_t i = 0; i < RING_MEMBERS_MAX; i++)
        members[i] = (struct ring_member){ .id = UINT32_MAX - i, .weight = 1 + i % 7 * 10 };
    members[5].weight = RING_WEIGHT_MAX;
    struct ring *ring = make(members, RING_MEMBERS_MAX, 3, NULL);
    check_balance(ring);
    struct ring *next = make(members, RING_MEMBERS_MAX - 1, 3, ring);
    check_balance(next);
    const struct moves m = moves_between(ring, next);
    CHECK(is_least(m.copies, m.copies_least));
    ring_destroy(ring);
    ring_destroy(next);
    mem_free(members);
}

/* The table that ring_create makes of sorted members, with so much work for chains. Returns what
 * was used. */
static uint64_t place_within(const struct ring_member *members, uint32_t count, uint32_t replicas,
                             const struct ring *previous, uint64_t work_max,
                             struct ring *ret_ring) {
    *ret_ring = (struct ring){ .members_count = count, .replicas = replicas };
    ret_ring->copies = replicas < count ? replicas : count;
    memcpy(ret_ring->members, members, count * sizeof *members);
    struct placement *p = placement_create(ret_ring);
    p->copies.work_max = p->owners.work_max = work_max;
    placement_next(p, previous);
    const uint64_t work = p->copies.work + p->owners.work;
    for (uint32_t i = 0; i < count && work_max == LOAD_WORK_MAX; i++)
        CHECK_EQ(p->copies.held[i], p->copies.target[i]);
    placement_destroy(p);
    CHECK(ring_check(ret_ring));
    return work;
}

/* Unequal zones whose members are drawn anew, and N that grows, leave many places that only long
 * searches fill. Balance is reached all the same, with a small part of the work that is allowed;
 * with none at all every list is whole and spread over the zones, only not by weight. */
TEST(ring, work_is_bounded) {
    static const struct {
        uint32_t count, zones, weight_max, replicas, replicas_next;
        bool some_alone; /* one of four is in no zone */
    } cases[] = {
        { 50, 5, 1, 6, 6, false },    { 50, 4, RING_WEIGHT_MAX, 6, 6, false },
        { 52, 4, 1000, 4, 7, false }, { 200, 5, 10, 4, 4, false },
        { 178, 3, 100, 7, 2, false }, { 1000, 5, RING_WEIGHT_MAX, 6, 5, true },
        { 10, 3, 10, 3, 5, false },
    };
    struct sim_random r = sim_random_of(7);
    struct ring_member *members = mem_alloc_zeroed(RING_MEMBERS_MAX * sizeof *members);
    struct ring *next = mem_alloc(sizeof *next);
    for (uint32_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const uint32_t zones = cases[k].zones;
        draw_members(members, cases[k].count, &r, cases[k].weight_max, zones);
        for (uint32_t i = 0; i < cases[k].count && cases[k].some_alone; i++)
            if (sim_random_below(&r, 4) == 0) members[i].zone = 0;
        struct ring *ring = make(members, cases[k].count, cases[k].replicas, NULL);
        for (uint32_t i = zones; i < cases[k].count; i++) {
            const uint64_t a = sim_random_below(&r, zones), b = sim_random_below(&r, zones);
            members[i].zone = 1 + (uint32_t)(a < b ? a : b);
            if (cases[k].some_alone && sim_random_below(&r, 4) == 0) members[i].zone = 0;
        }
        const uint64_t work = place_within(members, cases[k].count, cases[k].replicas_next, ring,
                                           LOAD_WORK_MAX, next);
        CHECK(work < LOAD_WORK_MAX / 4);
        if (!cases[k].some_alone) check_zones(next, zones);
        CHECK_EQ(place_within(members, cases[k].count, cases[k].replicas_next, ring, 0, next), 0);
        if (!cases[k].some_alone) check_zones(next, zones);
        ring_destroy(ring);
    }
    mem_free(next);
    mem_free(members);
}

/* What breaks a rule is refused, and nothing is returned. */
TEST(ring, invalid) {
    struct ring *const none = NULL;
    struct ring *ring = none;
    struct ring_member members[3] = { { 1, 1, 0 }, { 2, 1, 0 }, { 3, 1, 0 } };
    CHECK_STATUS(ring_create(members, 0, 3, NULL, &ring), ST_INVALID);
    CHECK_STATUS(ring_create(members, RING_MEMBERS_MAX + 1, 3, NULL, &ring), ST_INVALID);
    CHECK_STATUS(ring_create(members, 3, 0, NULL, &ring), ST_INVALID);
    CHECK_STATUS(ring_create(members, 3, REPLICAS_MAX + 1, NULL, &ring), ST_INVALID);
    members[2].id = 1;
    CHECK_STATUS(ring_create(members, 3, 3, NULL, &ring), ST_INVALID);
    members[2].id = 0;
    CHECK_STATUS(ring_create(members, 3, 3, NULL, &ring), ST_INVALID);
    members[2] = (struct ring_member){ .id = 3, .weight = 0 };
    CHECK_STATUS(ring_create(members, 3, 3, NULL, &ring), ST_INVALID);
    members[2].weight = RING_WEIGHT_MAX + 1;
    CHECK_STATUS(ring_create(members, 3, 3, NULL, &ring), ST_INVALID);
    CHECK(ring == none);
    members[2].weight = RING_WEIGHT_MAX;
    ring_destroy(make(members, 3, 3, NULL));
}

/* Members are found by id, and where they are in lists; counts agree with the lists. */
TEST(ring, find_place_count) {
    const struct ring_member members[] = { { 30, 1, 0 }, { 10, 1, 0 }, { 20, 1, 0 }, { 40, 1, 0 } };
    struct ring *ring = make(members, 4, 3, NULL);
    CHECK_EQ(ring_find(ring, 10), 0);
    CHECK_EQ(ring_find(ring, 40), 3);
    CHECK_EQ(ring_find(ring, 25), 4);
    CHECK_EQ(ring_find(ring, 50), 4);
    uint32_t owned[4], kept[4], owned_seen[4] = { 0 }, kept_seen[4] = { 0 };
    ring_count(ring, owned, kept);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        for (uint32_t i = 0; i < 4; i++) {
            const int place = ring_place(ring, slot, i);
            if (place >= 0) CHECK_EQ(ring_list(ring, slot)[place], i);
            owned_seen[i] += place == 0;
            kept_seen[i] += place >= 0;
        }
    }
    CHECK(memcmp(owned, owned_seen, sizeof owned) == 0);
    CHECK(memcmp(kept, kept_seen, sizeof kept) == 0);
    ring_destroy(ring);
}

/* A ring with a broken list, member or count is told from a good one. */
TEST(ring, check) {
    const struct ring_member members[] = { { 1, 1, 0 }, { 2, 1, 0 }, { 3, 1, 0 }, { 4, 1, 0 } };
    struct ring *ring = make(members, 4, 3, NULL);
    const uint16_t kept = ring->slots[77][2];
    ring->slots[77][2] = ring->slots[77][1];
    CHECK(!ring_check(ring));
    ring->slots[77][2] = 4;
    CHECK(!ring_check(ring));
    ring->slots[77][2] = kept;
    ring->copies = 2;
    CHECK(!ring_check(ring));
    ring->copies = 3;
    ring->members[1].id = 1;
    CHECK(!ring_check(ring));
    ring->members[1].id = 2;
    CHECK(ring_check(ring));
    ring_destroy(ring);
}

/* When few members keep everything, slots of one owner stand in long runs, as clients want to
 * be told of ranges. */
TEST(ring, runs_of_slots) {
    const struct ring_member members[] = { { 11, 1, 0 }, { 22, 1, 0 }, { 33, 1, 0 } };
    struct ring *ring = make(members, 3, 3, NULL);
    uint32_t runs = 1;
    for (uint32_t slot = 1; slot < RING_SLOTS; slot++)
        runs += ring_list(ring, slot)[0] != ring_list(ring, slot - 1)[0];
    CHECK(runs < RING_SLOTS / 4);
    ring_destroy(ring);
}

/* One table and one made from it, as they have always been: another placement would move the
 * data of every cluster that starts anew with the same members. */
TEST(ring, golden) {
    struct ring_member members[11];
    for (uint32_t i = 0; i < 11; i++)
        members[i] =
            (struct ring_member){ .id = 1000 + 17 * i, .weight = 1 + i % 4, .zone = i % 5 };
    struct ring *ring = make(members, 10, 3, NULL);
    struct ring *next = make(members, 11, 3, ring);
    CHECK_EQ(hash_xxh3(bytes_of(ring->slots, sizeof ring->slots)), UINT64_C(0x50275d4515526c6e));
    CHECK_EQ(hash_xxh3(bytes_of(next->slots, sizeof next->slots)), UINT64_C(0x65d8cd99c5c4d1c7));
    ring_destroy(ring);
    ring_destroy(next);
}
