#include "sim/scenario.h"

#include "harness.h"

/* Every seed stands for a scenario that can be, the same each time, and all kinds of
 * faults come up, about half of them in each. */
TEST(scenario, every_seed_is_valid) {
    uint32_t faults = 0;
    uint32_t with_proxies = 0;
    uint64_t bits = 0;
    char text[SCENARIO_TEXT_BYTES_MAX];
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct scenario s;
        struct scenario again;
        scenario_draw(&s, seed);
        scenario_draw(&again, seed);
        CHECK(scenario_check(&s));
        CHECK_EQ(memcmp(&s, &again, sizeof s), 0);
        CHECK(2 * s.losses_max < s.replicas);
        faults |= s.faults;
        with_proxies += s.proxies > 0;
        bits += (uint64_t)__builtin_popcount(s.faults);
        scenario_print(&s, text);
    }
    CHECK_EQ(faults, (1u << FAULT_KINDS) - 1);
    CHECK(with_proxies > 2000 / 10 && with_proxies < 2000 / 2);
    CHECK(bits > 2000 * FAULT_KINDS * 4 / 10);
    CHECK(bits < 2000 * FAULT_KINDS * 6 / 10);
}

/* What is changed is changed, and what cannot be is refused and leaves all as it was. */
TEST(scenario, changes_one_thing) {
    struct scenario s;
    scenario_draw(&s, 5);
    CHECK_OK(scenario_set(&s, "nodes", "3"));
    CHECK_OK(scenario_set(&s, "replicas", "3"));
    CHECK_OK(scenario_set(&s, "faults", "kill,frames_late"));
    CHECK_EQ(s.nodes, 3);
    CHECK_EQ(s.replicas, 3);
    CHECK_EQ(s.losses_max, 1);
    CHECK_EQ(s.faults, 1u << FAULT_KILL | 1u << FAULT_FRAMES_LATE);
    CHECK_OK(scenario_set(&s, "repair", "0"));
    CHECK_OK(scenario_set(&s, "hints", "1000"));
    CHECK_EQ(s.repair_rate, 0);
    CHECK_EQ(s.hint_bytes_max, 1000);
    CHECK_OK(scenario_set(&s, "proxies", "2"));
    CHECK_EQ(scenario_machines(&s), scenario_keepers(&s) + 2);
    CHECK_EQ(scenario_proxy_bits(&s), UINT64_C(3) << scenario_keepers(&s));
    CHECK_OK(scenario_set(&s, "faults", "none"));
    CHECK_EQ(s.faults, 0);
    const struct scenario before = s;
    CHECK_STATUS(scenario_set(&s, "nodes", "0"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "nodes", "x"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "replicas", "4"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "alone", "1"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "proxies", "3"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "faults", "kil"), ST_INVALID);
    CHECK_STATUS(scenario_set(&s, "colour", "1"), ST_INVALID);
    CHECK_EQ(memcmp(&s, &before, sizeof s), 0);
}

/* Levels ask for as many replicas as the documentation says. */
TEST(scenario, needs_by_level) {
    struct scenario s;
    scenario_draw(&s, 5);
    CHECK_OK(scenario_set(&s, "nodes", "5"));
    CHECK_OK(scenario_set(&s, "replicas", "5"));
    CHECK_EQ(scenario_need(&s, true, WORK_DEFAULT), 3);
    CHECK_EQ(scenario_need(&s, false, WORK_ONE), 1);
    CHECK_EQ(scenario_need(&s, false, WORK_QUORUM), 3);
    CHECK_EQ(scenario_need(&s, true, WORK_ALL), 5);
    s.write_quorum = 4;
    s.read_quorum = 2;
    CHECK_EQ(scenario_need(&s, true, WORK_DEFAULT), 4);
    CHECK_EQ(scenario_need(&s, false, WORK_DEFAULT), 2);
}
