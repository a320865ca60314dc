#include "raft/config.h"

#include "sim/random.h"
#include "test/unit/harness.h"

/* Every change moves one node by one step, and what is refused changes nothing. */
TEST(raft_config, random_changes) {
    static struct raft_config c, before, read;
    static uint8_t bytes[RAFT_CONFIG_BYTES_MAX];
    struct sim_random r = sim_random_of(test_seed());
    uint32_t made[5] = { 0 };
    c = (struct raft_config){ .voter_count = 1, .voters = { 3 } };
    for (uint32_t i = 0; i < 20000; i++) {
        const struct raft_change change = { (enum raft_change_kind)(1 + sim_random_below(&r, 4)),
                                            1 + (uint32_t)sim_random_below(&r, 20) };
        before = c;
        const bool voter = raft_config_is_voter(&c, change.id);
        const bool member = raft_config_is_member(&c, change.id);
        if (!status_ok(raft_config_apply(&c, change))) {
            CHECK(raft_config_equal(&c, &before));
            continue;
        }
        made[change.kind]++;
        CHECK(raft_config_check(&c));
        CHECK(c.voter_count >= 1);
        CHECK(!raft_config_equal(&c, &before));
        switch (change.kind) {
        case RAFT_CHANGE_ADD: CHECK(!member); break;
        case RAFT_CHANGE_PROMOTE: CHECK(member && !voter); break;
        case RAFT_CHANGE_DEMOTE: CHECK(voter); break;
        case RAFT_CHANGE_REMOVE: CHECK(member); break;
        }
        CHECK_EQ(raft_config_is_member(&c, change.id), change.kind != RAFT_CHANGE_REMOVE);
        CHECK_EQ(raft_config_is_voter(&c, change.id), change.kind == RAFT_CHANGE_PROMOTE);
        const size_t len = raft_config_encode(&c, bytes);
        CHECK_OK(raft_config_decode(bytes_of(bytes, len), &read));
        CHECK(raft_config_equal(&c, &read));
    }
    for (uint32_t kind = 1; kind <= 4; kind++) CHECK(made[kind] > 500);
}

/* 7 voters and 1024 members, no more. */
TEST(raft_config, limits) {
    static struct raft_config c;
    c = (struct raft_config){ .voter_count = 1, .voters = { 5000 } };
    for (uint32_t id = 1; id < RAFT_MEMBERS_MAX; id++)
        CHECK_OK(raft_config_apply(&c, (struct raft_change){ RAFT_CHANGE_ADD, id }));
    CHECK_STATUS(raft_config_apply(&c, (struct raft_change){ RAFT_CHANGE_ADD, 4000 }), ST_FULL);
    for (uint32_t id = 1; id < RAFT_VOTERS_MAX; id++)
        CHECK_OK(raft_config_apply(&c, (struct raft_change){ RAFT_CHANGE_PROMOTE, id }));
    CHECK_STATUS(raft_config_apply(&c, (struct raft_change){ RAFT_CHANGE_PROMOTE, 7 }), ST_FULL);
    static uint8_t bytes[RAFT_CONFIG_BYTES_MAX];
    CHECK_EQ(raft_config_encode(&c, bytes), RAFT_CONFIG_BYTES_MAX);
    CHECK_EQ(raft_config_majority(&c), 4);
}

/* Bytes that are no configuration, or not in the one form, are refused. */
TEST(raft_config, decode_refuses) {
    const uint8_t good[] = { 2, 0, 1, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0 };
    static struct raft_config c;
    CHECK_OK(raft_config_decode(bytes_of(good, sizeof good), &c));
    CHECK_EQ(c.voter_count, 2);
    CHECK_EQ(c.learners[0], 2);
    for (size_t len = 0; len < sizeof good; len++)
        CHECK_STATUS(raft_config_decode(bytes_of(good, len), &c), ST_CORRUPT);
    static const struct {
        uint8_t at, value;
    } bad[] = { { 0, 0 }, { 0, 8 }, { 2, 2 }, { 3, 9 }, { 4, 0 }, { 8, 1 }, { 4, 9 }, { 12, 3 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[sizeof good];
        memcpy(bytes, good, sizeof good);
        bytes[bad[i].at] = bad[i].value;
        CHECK_STATUS(raft_config_decode(bytes_of(bytes, sizeof bytes), &c), ST_CORRUPT);
    }
}

TEST(raft_config, change_bytes) {
    uint8_t bytes[RAFT_CHANGE_BYTES];
    struct raft_change change = { 0 };
    raft_change_encode((struct raft_change){ RAFT_CHANGE_DEMOTE, 0x01020304 }, bytes);
    const uint8_t drawn[] = { 3, 4, 3, 2, 1 };
    CHECK_BYTES(bytes_of(bytes, sizeof bytes), bytes_of(drawn, sizeof drawn));
    CHECK_OK(raft_change_decode(bytes_of(drawn, sizeof drawn), &change));
    CHECK_EQ(change.kind, RAFT_CHANGE_DEMOTE);
    CHECK_EQ(change.id, 0x01020304);
    CHECK_STATUS(raft_change_decode(bytes_of(drawn, 4), &change), ST_CORRUPT);
    const uint8_t none[] = { 3, 0, 0, 0, 0 };
    CHECK_STATUS(raft_change_decode(bytes_of(none, sizeof none), &change), ST_CORRUPT);
    const uint8_t other[] = { 5, 1, 0, 0, 0 };
    CHECK_STATUS(raft_change_decode(bytes_of(other, sizeof other), &change), ST_CORRUPT);
}
