#include "cluster/metadata_internal.h"
#include "metadata_world.h"

#include <stdio.h>

static struct member_wish wish(uint32_t id, const char *address) {
    return (struct member_wish){ .id = id, .weight = 1, .address = bytes_of_string(address) };
}

static struct member_wish of_id(uint32_t id) {
    return (struct member_wish){ .id = id };
}

TEST(metadata_members, addresses) {
    static const char *const good[] = {
        "a:1", "10.0.0.1:8080", "[::1]:65535", "[fe80::1%eth0]:80", "my-host_2.example.org:7000",
    };
    static const char *const bad[] = {
        "",
        ":1",
        "a",
        "a:",
        "a:0",
        "a:65536",
        "a:01",
        "a:-1",
        "a:+1",
        "a b:1",
        "A:1",
        "a:1 ",
        "::1:80",
        "[]:80",
        "[::1:80",
        "::1]:80",
        "a\x7f:80",
        "a/b:80",
        "a:999999999999",
        "[a]b:80",
    };
    for (uint32_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(member_address_is_valid(bytes_of_string(good[i])));
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!member_address_is_valid(bytes_of_string(bad[i])));
    char text[MEMBER_ADDRESS_BYTES + 8];
    memset(text, 'a', sizeof text);
    memcpy(text + MEMBER_ADDRESS_BYTES - 3, ":80", 4);
    CHECK(!member_address_is_valid(bytes_of_string(text)));
    CHECK(member_address_is_valid(bytes_of_string(text + 1)));
}

/* Ids are given out once, by number or by being the next. */
TEST(metadata_members, add) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct metadata_result r = meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1"));
    CHECK_EQ(r.code, META_OK);
    CHECK_EQ(r.value, 4);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_JOINING);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(9, "a:2")).value, 9);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(9, "a:3")).code, META_ID_USED);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(5, "a:3")).code, META_ID_USED);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1")).code, META_ADDRESS_TAKEN);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a")).code, META_ADDRESS);
    struct member_wish heavy = wish(0, "a:3");
    heavy.weight = 0;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, heavy).code, META_WEIGHT);
    heavy.weight = 1000001;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, heavy).code, META_WEIGHT);
    heavy.weight = 1000000;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, heavy).value, 10);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(10)).code, META_OK);
    CHECK_EQ(metadata_member_state(w.m, 10), MEMBER_REMOVED);
    CHECK_EQ(metadata_member_state(w.m, 11), MEMBER_UNKNOWN);
    CHECK_EQ(metadata_member_state(w.m, 0), MEMBER_UNKNOWN);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(10, "a:3")).code, META_ID_USED);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:3")).value, 11);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(MEMBER_ID_MAX + 1, "a:4")).code,
             META_ID_USED);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(MEMBER_ID_MAX, "a:4")).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:5")).code, META_MEMBERS_FULL);
    meta_world_deinit(&w);
}

/* The data directory of a removed member is never let in again: its wish to join may have been on
 * its way for long. Of these the last 256 are remembered, in snapshots too. */
TEST(metadata_members, gone_is_gone) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    for (uint64_t i = 1; i <= METADATA_GONE_MAX + 1; i++) {
        struct member_wish one = wish(0, "a:1");
        one.nonce = i;
        const struct metadata_result r = meta_world_member(&w, METADATA_MEMBER_ADD, one);
        CHECK_EQ(r.code, META_OK);
        CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id((uint32_t)r.value)).code,
                 META_OK);
        CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, one).code, META_BOOT);
        CHECK(metadata_check(w.m));
    }
    CHECK_EQ(w.m->gone_count, METADATA_GONE_MAX);
    struct member_wish late = wish(0, "a:1");
    late.nonce = 2;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, late).code, META_BOOT);
    struct buffer bytes;
    buffer_init(&bytes, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(w.m, &bytes);
    struct metadata *again = NULL;
    CHECK_OK(metadata_decode(buffer_bytes(&bytes), &again));
    CHECK_EQ(metadata_hash(again), metadata_hash(w.m));
    CHECK_EQ(again->gone[0], 2);
    metadata_destroy(again);
    buffer_deinit(&bytes);
    late.nonce = 1; /* too long ago */
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, late).code, META_OK);
    meta_world_deinit(&w);
}

TEST(metadata_members, add_too_many) {
    struct meta_world w;
    meta_world_init(&w, MEMBERS_MAX - 1, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1")).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:2")).code, META_MEMBERS_FULL);
    meta_world_deinit(&w);
}

/* An old copy of a node's data counts its starts from where it was copied. */
TEST(metadata_members, boot) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct member_wish b = { .id = 2, .boot = 5 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).value, 5);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_BOOT);
    b.boot = 4;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_BOOT);
    b.boot = 6, b.address = BYTES_LIT("moved:1");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    CHECK_BYTES(bytes_of_string(w.m->members[1].address), BYTES_LIT("moved:1"));
    b.boot = 7; /* its own address again */
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    b.boot = 8, b.address = BYTES_LIT("10.0.0.1:7000");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_ADDRESS_TAKEN);
    b.address = BYTES_LIT("x");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_ADDRESS);
    CHECK_EQ(w.m->members[1].boot, 7);
    b.id = 4;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_NO_MEMBER);
    meta_world_deinit(&w);
}

/* A data directory that asks twice is one member; a new one at its address is another, and the
 * old disk is gone. What was long on its way replaces nobody but who it meant. */
TEST(metadata_members, data_directories) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct member_wish a = { .weight = 1, .address = BYTES_LIT("a:1"), .nonce = 77 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, a).value, 4);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, a).value, 4);
    a.address = BYTES_LIT("a:2");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, a).value, 4);
    CHECK_BYTES(bytes_of_string(w.m->members[3].address), BYTES_LIT("a:2"));
    a.address = BYTES_LIT("10.0.0.1:7000");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, a).code, META_ADDRESS_TAKEN);

    struct member_wish b = { .weight = 1, .address = BYTES_LIT("a:2"), .nonce = 78 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, b).code, META_ADDRESS_TAKEN);
    b.replaces = 4;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, b).value, 5);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_DEAD);
    CHECK_EQ(w.m->members[3].address[0], 0);
    CHECK_EQ(metadata_find_nonce(w.m, 78), 4);
    CHECK_EQ(metadata_find_address(w.m, BYTES_LIT("a:2")), 4);
    /* The first one comes back at a place of its own. */
    struct member_wish back = { .id = 4, .boot = 1, .nonce = 77 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, back).code, META_ADDRESS);
    back.address = BYTES_LIT("a:3");
    back.nonce = 78;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, back).code, META_BOOT);
    back.nonce = 77;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, back).code, META_OK);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_JOINING);
    /* Having started, it has known its id: it lost what it had stored. */
    a.address = BYTES_LIT("a:3");
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, a).code, META_BOOT);
    meta_world_deinit(&w);
}

/* Whoever leaves may die on the way, and must then not be waited for. */
TEST(metadata_members, dies_while_it_leaves) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(2)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(2)).code, META_OK);
    CHECK_EQ(metadata_member_state(w.m, 2), MEMBER_DEAD);
    meta_world_deinit(&w);
}

/* What the list of the first members could not say comes with their first start, and only then. */
TEST(metadata_members, first_start_tells_weight_and_zone) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    const uint64_t placed = w.m->placed;
    struct ring_inputs inputs;
    metadata_inputs(w.m, &inputs);
    CHECK_EQ(metadata_inputs_hash(&inputs), placed);
    struct member_wish b = { .id = 2, .boot = 1, .weight = 9, .zone = 3, .nonce = 5 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    CHECK_EQ(w.m->members[1].weight, 9);
    CHECK_EQ(w.m->members[1].zone, 3);
    metadata_inputs(w.m, &inputs);
    CHECK(metadata_inputs_hash(&inputs) != placed);
    b.boot = 2, b.weight = 4;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    CHECK_EQ(w.m->members[1].weight, 9);
    b.boot = 3, b.weight = 1000001;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_WEIGHT);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(w.m->placed, metadata_inputs_hash(&inputs));
    meta_world_deinit(&w);
}

TEST(metadata_members, weight) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct member_wish b = { .id = 2, .weight = 1000000 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_WEIGHT, b).code, META_OK);
    CHECK_EQ(w.m->members[1].weight, 1000000);
    b.weight = 1000001;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_WEIGHT, b).code, META_WEIGHT);
    b.weight = 0;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_WEIGHT, b).code, META_WEIGHT);
    b.id = 9;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_WEIGHT, b).code, META_NO_MEMBER);
    meta_world_deinit(&w);
}

/* A member leaves, its slots go, it is removed; its slots must be gone first. */
TEST(metadata_members, leave_and_remove) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_STATE);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(9)).code, META_NO_MEMBER);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(2)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(2)).code, META_STATE);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_HOLDS_SLOTS);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_HOLDS_SLOTS);
    meta_world_finish(&w);
    CHECK_EQ(metadata_member_state(w.m, 2), MEMBER_LEAVING);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_NO_MEMBER);
    CHECK_EQ(metadata_member_state(w.m, 2), MEMBER_REMOVED);
    CHECK_EQ(w.m->members_count, 3);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(w.m->slots.lists[slot].count, 3);
    meta_world_deinit(&w);
}

/* Who was let in and may never come takes nobody's place. */
TEST(metadata_members, leave_counts_on_those_that_started) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1")).value, 4);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(3)).code, META_BELOW_N);
    struct ring_inputs inputs;
    metadata_inputs(w.m, &inputs);
    CHECK_EQ(inputs.count, 3);
    const struct member_wish started = { .id = 4, .boot = 1 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, started).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(3)).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(w.m->slots.lists[slot].count, 3);
    meta_world_deinit(&w);
}

/* Fewer members than N are left only by one who says so, and one always stays. */
TEST(metadata_members, leave_below_n) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(3)).code, META_BELOW_N);
    struct metadata_command c = { .kind = METADATA_MEMBER_LEAVE,
                                  .member = of_id(3),
                                  .accept_loss = true };
    CHECK_EQ(meta_world_apply(&w, &c).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_BELOW_N);
    struct metadata_command begin = { .kind = METADATA_CHANGE_BEGIN, .accept_loss = true };
    metadata_inputs(w.m, &begin.target);
    CHECK_EQ(begin.target.count, 2);
    CHECK_EQ(meta_world_apply(&w, &begin).code, META_OK);
    meta_world_finish(&w);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(3)).code, META_OK);
    c.member.id = 2;
    CHECK_EQ(meta_world_apply(&w, &c).code, META_OK);
    c.member.id = 1;
    CHECK_EQ(meta_world_apply(&w, &c).code, META_LAST_NODE);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(1)).code, META_LAST_NODE);
    meta_world_deinit(&w);
}

/* Somebody new may turn round at the door of a cluster that has few members anyway. */
TEST(metadata_members, joining_member_leaves_again) {
    struct meta_world w;
    meta_world_init(&w, 1, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1")).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(2)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(2)).code, META_OK);
    meta_world_deinit(&w);
}

/* A dead member that starts again is what it was. */
TEST(metadata_members, dead_and_back) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(9)).code, META_NO_MEMBER);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(3)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(3)).code, META_STATE);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, of_id(3)).code, META_STATE);
    struct member_wish b = { .id = 3, .boot = 1 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    CHECK_EQ(metadata_member_state(w.m, 3), MEMBER_ACTIVE);

    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, of_id(3)).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    b.boot = 2;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_BOOT, b).code, META_OK);
    CHECK_EQ(metadata_member_state(w.m, 3), MEMBER_JOINING);
    meta_world_deinit(&w);
}

/* A removed member's proposals are nobody's; that it removed itself is answered. */
TEST(metadata_members, removes_itself) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_ADD, wish(0, "a:1")).value, 4);
    w.proposer = 4;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(4)).code, META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, of_id(4)).code, META_PROPOSER);
    meta_world_deinit(&w);
}
