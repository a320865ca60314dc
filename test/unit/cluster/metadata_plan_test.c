#include "cluster/metadata_plan.h"

#include "metadata_world.h"

#include <stdio.h>

/* Whether `slots` is within 5 % of the weight's part of `total`, or as near as whole slots
 * allow, give or take one more. */
static bool is_fair(uint32_t slots, uint64_t total, uint64_t weight, uint64_t weight_sum) {
    const uint64_t exact = total * weight;
    const uint64_t got = slots * weight_sum;
    const uint64_t off = got > exact ? got - exact : exact - got;
    return off * 20 <= exact || off < 2 * weight_sum;
}

static bool is_least(uint32_t moved, uint32_t least) {
    return moved * UINT64_C(10) <= least * UINT64_C(11) + 20;
}

/* The plan's shares are fair and it moves little, wherever weights can be met at all. */
static void check_plan(const struct metadata_plan *p, const struct ring_inputs *t) {
    uint64_t weight_sum = 0, weight_max = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        weight_sum += t->members[i].weight;
        if (t->members[i].weight > weight_max) weight_max = t->members[i].weight;
    }
    const uint32_t copies = t->replicas < t->count ? t->replicas : t->count;
    const bool capped = weight_max * copies > weight_sum;
    bool crowded = false;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_member *member = &p->members[i];
        uint32_t at = 0;
        while (at < t->count && t->members[at].id != member->id) at++;
        const uint64_t weight = at < t->count ? t->members[at].weight : 0;
        CHECK(is_fair(member->owned_after, RING_SLOTS, weight, weight_sum));
        CHECK(capped ||
              is_fair(member->kept_after, RING_SLOTS * (uint64_t)copies, weight, weight_sum));
        crowded |= member->kept_after > RING_SLOTS / 4 * 3;
    }
    if (crowded) return;
    CHECK(is_least(p->copies_moved, p->copies_least));
    CHECK(is_least(p->owners_moved, p->owners_least));
}

/* What the state says of each member is what the plan said before. */
static void check_before(const struct metadata_plan *p, const struct metadata *m, bool done) {
    struct metadata_view view;
    CHECK_OK(metadata_view(m, 0, &view));
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_member *member = &p->members[i];
        const uint32_t at = metadata_find_member(m, member->id);
        const uint32_t owned = at == MEMBER_NONE ? 0 : view.members[at].owned;
        const uint32_t kept = at == MEMBER_NONE ? 0 : view.members[at].kept;
        CHECK_EQ(owned, done ? member->owned_after : member->owned_before);
        CHECK_EQ(kept, done ? member->kept_after : member->kept_before);
    }
}

/* The moves from and to each member come to what it loses and gains. */
static void check_moves(const struct metadata_plan *p) {
    uint32_t gained = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t out = 0, in = 0;
        for (uint32_t k = 0; k <= p->count; k++) {
            out += metadata_plan_moves(p, i, k);
            in += metadata_plan_moves(p, k, i);
        }
        CHECK_EQ(p->members[i].kept_before + in, p->members[i].kept_after + out);
        CHECK_EQ(metadata_plan_moves(p, i, i), 0);
        gained += in;
    }
    CHECK_EQ(gained, p->copies_moved);
    gained = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) gained += p->gained[slot];
    CHECK_EQ(gained, p->copies_moved);
}

/* Plan what is wanted now, begin it and see that it does what was planned. */
static void plan_and_do(struct meta_world *w) {
    struct ring_inputs t;
    struct metadata_plan *p = NULL;
    metadata_inputs(w->m, &t);
    CHECK_OK(metadata_plan_create(w->m, &t, &p));
    check_before(p, w->m, false);
    check_moves(p);
    check_plan(p, &t);
    CHECK_EQ(meta_world_begin(w, &t).code, META_OK);
    CHECK_EQ(w->m->change.slots_total, p->slots_changed);
    if (w->m->change.id != 0) meta_world_finish(w);
    check_before(p, w->m, true);
    metadata_plan_destroy(p);
}

static void add(struct meta_world *w, uint32_t weight) {
    char address[24];
    (void)snprintf(address, sizeof address, "new-%u:1", w->m->member_last + 1);
    const struct member_wish wish = { .weight = weight, .address = bytes_of_string(address) };
    (void)meta_world_join(w, wish);
}

/* Equal members: from three to sixty-four, one joins, one leaves. */
TEST(metadata_plan, equal_members) {
    for (uint32_t count = 3; count < FOUNDERS_MAX; count += count < 8 ? 1 : 11) {
        struct meta_world w;
        meta_world_init(&w, count, 3);
        add(&w, 1);
        plan_and_do(&w);
        CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 2 }).code,
                 META_OK);
        plan_and_do(&w);
        meta_world_deinit(&w);
    }
}

/* Members of different weights join, leave, die and are reweighed. */
TEST(metadata_plan, weighted_members) {
    struct sim_random r = sim_random_of(test_seed());
    struct meta_world w;
    meta_world_init(&w, 12, 3);
    for (uint32_t round = 0; round < 24; round++) {
        const struct metadata_member *m = w.m->members;
        const uint32_t id = m[sim_random_below(&r, w.m->members_count)].id;
        struct member_wish wish = { .id = id };
        wish.weight = 1 + (uint32_t)sim_random_below(&r, 10);
        switch (w.m->members_count < 5 ? 0 : sim_random_below(&r, 4)) {
        case 0: add(&w, wish.weight); break;
        case 1: CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, wish).code, META_OK); break;
        case 2: CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, wish).code, META_OK); break;
        default: CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_WEIGHT, wish).code, META_OK); break;
        }
        plan_and_do(&w);
        const enum member_state state = metadata_member_state(w.m, id);
        if (state == MEMBER_LEAVING || state == MEMBER_DEAD) {
            if (w.m->members[0].id == id) w.proposer = w.m->members[1].id;
            CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, wish).code, META_OK);
            w.proposer = 0;
        }
    }
    meta_world_deinit(&w);
}

/* A node that nobody knows yet is planned under the id that it would get. */
TEST(metadata_plan, unknown_member) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct ring_inputs t;
    struct metadata_plan *p = NULL, *again = NULL;
    metadata_inputs(w.m, &t);
    t.members[t.count++] = (struct ring_member){ w.m->member_last + 1, 1, 0 };
    struct metadata *before = metadata_clone(w.m);
    CHECK_OK(metadata_plan_create(w.m, &t, &p));
    CHECK(meta_world_equal(before, w.m)); /* a dry run */
    CHECK_EQ(p->count, 4);
    CHECK_EQ(p->members[3].kept_before, 0);
    CHECK_EQ(p->members[3].kept_after, 3 * RING_SLOTS / 4);
    CHECK_EQ(p->copies_least, 3 * RING_SLOTS / 4);
    add(&w, 1);
    metadata_inputs(w.m, &t);
    CHECK_OK(metadata_plan_create(w.m, &t, &again));
    CHECK(memcmp(p, again, offsetof(struct metadata_plan, moves)) == 0);
    CHECK(memcmp(p->moves, again->moves, 5 * 5 * sizeof *p->moves) == 0);
    metadata_plan_destroy(again);
    metadata_plan_destroy(p);
    metadata_destroy(before);
    meta_world_deinit(&w);
}

/* More and fewer copies have a giver or a taker that is nobody. */
TEST(metadata_plan, replicas_change) {
    struct meta_world w;
    meta_world_init(&w, 5, 3);
    struct ring_inputs t;
    struct metadata_plan *p = NULL;
    metadata_inputs(w.m, &t);
    t.replicas = 5;
    CHECK_OK(metadata_plan_create(w.m, &t, &p));
    check_moves(p);
    uint32_t copies = 0;
    for (uint32_t i = 0; i < p->count; i++) copies += metadata_plan_moves(p, p->count, i);
    CHECK_EQ(copies, 2 * RING_SLOTS);
    metadata_plan_destroy(p);
    t.replicas = 1;
    CHECK_OK(metadata_plan_create(w.m, &t, &p));
    check_moves(p);
    copies = 0;
    for (uint32_t i = 0; i < p->count; i++) copies += metadata_plan_moves(p, i, p->count);
    CHECK_EQ(copies, 2 * RING_SLOTS);
    CHECK_EQ(p->copies_moved, 0);
    metadata_plan_destroy(p);
    meta_world_deinit(&w);
}

TEST(metadata_plan, refusals) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct ring_inputs good;
    struct metadata_plan *p = NULL;
    metadata_inputs(w.m, &good);
    struct ring_inputs t = good;
    t.count = 0;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    t.count = MEMBERS_MAX + 1;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    t = good, t.replicas = 0;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    t = good, t.members[0].weight = 0;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    t = good, t.members[2].id = MEMBER_ID_MAX + 1;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    t = good, t.members[0].id = 2;
    CHECK_STATUS(metadata_plan_create(w.m, &t, &p), ST_INVALID);
    CHECK(p == NULL);
    meta_world_deinit(&w);
}

/* Bytes and time, exact where they fit and the highest number where they do not. */
TEST(metadata_plan, estimate) {
    static struct metadata_plan p;
    static uint64_t bytes[RING_SLOTS];
    p = (struct metadata_plan){ .count = 0 };
    p.gained[3] = 2, p.gained[4] = 1;
    bytes[3] = 1000, bytes[4] = 500, bytes[5] = 77;
    struct plan_estimate e = metadata_plan_estimate(&p, bytes, 1000);
    CHECK_EQ(e.bytes, 2500);
    CHECK_EQ(e.time_ms, 2500);
    e = metadata_plan_estimate(&p, bytes, 7);
    CHECK_EQ(e.time_ms, 357142);
    e = metadata_plan_estimate(&p, bytes, UINT64_MAX);
    CHECK_EQ(e.time_ms, 0);
    bytes[3] = UINT64_MAX / 2;
    e = metadata_plan_estimate(&p, bytes, UINT64_MAX);
    CHECK_EQ(e.bytes, UINT64_MAX);
    CHECK_EQ(e.time_ms, UINT64_MAX);
    bytes[3] = UINT64_C(1) << 62, bytes[4] = 0;
    e = metadata_plan_estimate(&p, bytes, UINT64_C(3) << 61);
    CHECK_EQ(e.time_ms, 1333);
    e = metadata_plan_estimate(&p, bytes, 1);
    CHECK_EQ(e.time_ms, UINT64_MAX);
}
