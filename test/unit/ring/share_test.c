#include "ring/share.h"

#include "harness.h"
#include "sim/random.h"

#define PARTIES 40u

/* Bounds hold, the sum is right, and who is within its bounds has its part of what is left by
 * weight, to less than one. */
TEST(share, splits_by_weight_within_bounds) {
    struct sim_random r = sim_random_of(test_seed());
    for (uint32_t round = 0; round < 2000; round++) {
        struct share s[PARTIES] = { 0 };
        const uint32_t count = 1 + (uint32_t)sim_random_below(&r, PARTIES);
        uint32_t least_sum = 0, most_sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            s[i].weight = 1 + (uint32_t)sim_random_below(&r, 1000);
            s[i].most = (uint32_t)sim_random_below(&r, 3000);
            s[i].least = (uint32_t)sim_random_below(&r, s[i].most + UINT64_C(1)) / 3;
            s[i].held = (uint32_t)sim_random_below(&r, 3000);
            least_sum += s[i].least;
            most_sum += s[i].most;
        }
        const uint32_t total =
            least_sum + (uint32_t)sim_random_below(&r, most_sum - least_sum + UINT64_C(1));
        share_split(s, count, total);
        uint64_t sum = 0, open_total = total, open_weight = 0;
        for (uint32_t i = 0; i < count; i++) {
            CHECK(s[i].parts >= s[i].least);
            CHECK(s[i].parts <= s[i].most);
            sum += s[i].parts;
            open_total -= s[i].bound ? s[i].parts : 0;
            open_weight += s[i].bound ? 0 : s[i].weight;
        }
        CHECK_EQ(sum, total);
        for (uint32_t i = 0; i < count; i++) {
            if (s[i].bound) continue;
            const uint64_t exact = open_total * s[i].weight;
            CHECK(s[i].parts * open_weight < exact + open_weight);
            CHECK(exact < (s[i].parts + UINT64_C(1)) * open_weight);
            CHECK(s[i].parts_max * open_weight >= exact);
        }
    }
}

/* A party that would get more than its most gets that, and the rest goes by weight. */
TEST(share, gives_what_a_bound_refuses_to_the_others) {
    struct share s[3] = { { .weight = 8, .most = 100 },
                          { .weight = 1, .most = 100 },
                          { .weight = 1, .most = 100 } };
    share_split(s, 3, 200);
    CHECK_EQ(s[0].parts, 100);
    CHECK_EQ(s[1].parts, 50);
    CHECK_EQ(s[2].parts, 50);
}

/* Of two with equal fractions the one that has the slot keeps it; without, the first. */
TEST(share, rounding_moves_nothing) {
    struct share s[2] = { { .weight = 1, .most = 9, .held = 2 },
                          { .weight = 1, .most = 9, .held = 3 } };
    share_split(s, 2, 5);
    CHECK_EQ(s[0].parts, 2);
    CHECK_EQ(s[1].parts, 3);
    s[1].held = 2;
    share_split(s, 2, 5);
    CHECK_EQ(s[0].parts, 3);
    CHECK_EQ(s[1].parts, 2);
}

/* A total outside of the bounds is a bug of the caller. */
TEST(share, refuses_what_cannot_be_split) {
    struct share s[1] = { { .weight = 1, .least = 2, .most = 3 } };
    CHECK_ABORTS(share_split(s, 1, 1));
    CHECK_ABORTS(share_split(s, 1, 4));
}

/* As many parties as a ring has members, of the highest weights, each with room for every copy
 * of every slot: no product overflows, and all get the same. */
TEST(share, largest_weights) {
    static struct share s[1024];
    for (uint32_t i = 0; i < 1024; i++)
        s[i] = (struct share){ .weight = 1000000, .most = 7 * 16384 };
    share_split(s, 1024, 7 * 16384);
    for (uint32_t i = 0; i < 1024; i++) CHECK_EQ(s[i].parts, 7 * 16384 / 1024);

    /* One that is too heavy is bound far above its most. */
    for (uint32_t i = 1; i < 1024; i++) s[i].weight = 1;
    s[0].most = 16384;
    share_split(s, 1024, 7 * 16384);
    CHECK_EQ(s[0].parts, 16384);
    for (uint32_t i = 1; i < 1024; i++) {
        CHECK(s[i].parts >= 6 * 16384 / 1023);
        CHECK(s[i].parts <= 6 * 16384 / 1023 + 1);
    }
}
