/* Which slots a pair of shards has to make equal, told by one number that both sides find. */
#include "shard/catch_up.h"
#include "shard/shard.h"

#include "harness.h"

#define SHARDS_A 3u
#define SHARDS_B 2u

static const char *const addresses[] = { "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1" };

/* The shards of one node, and its pairs with those of another one. */
struct side {
    struct node node;
    struct membership *members;
    struct shard shards[SHARDS_A];
    struct repair_shard repairs[SHARDS_A];
    struct peer peer;
    struct repair pairs[SHARDS_A][SHARDS_A];
};

static void side_open_with(struct side *n, uint32_t self, uint32_t other, uint32_t shards,
                           uint32_t other_shards, uint32_t replicas) {
    *n = (struct side){ .node = { .shards_count = shards } };
    CHECK_OK(membership_create(addresses, 3, addresses[self],
                               (struct replication){ .replicas = replicas }, &n->members));
    n->peer = (struct peer){ .member = other, .shards = (uint16_t)other_shards };
    for (uint16_t i = 0; i < shards; i++) {
        n->shards[i] = (struct shard){
            .id = i, .node = &n->node, .members = n->members, .repair = &n->repairs[i]
        };
        n->repairs[i].adoptions = 1;
        for (uint16_t k = 0; k < other_shards; k++)
            n->pairs[i][k] = (struct repair){ .peer = &n->peer, .remote_shard = k };
    }
}

static void side_open(struct side *n, uint32_t self, uint32_t other, uint32_t shards,
                      uint32_t other_shards) {
    side_open_with(n, self, other, shards, other_shards, 1);
}

/* Slots of `from` are on their way to `to`, joint since that epoch. */
static void move(struct side *n, uint32_t from, uint32_t to, uint32_t every, uint64_t epoch) {
    struct slot_table *t = &n->members->slots;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot += every) {
        if (t->lists[slot].members[0] != from || t->phases[slot] != SLOT_SETTLED) continue;
        t->phases[slot] = SLOT_JOINT;
        t->epochs[slot] = epoch;
        t->targets[slot] = (struct slot_list){ .count = 1, .members = { (uint16_t)to } };
    }
    for (uint32_t i = 0; i < n->node.shards_count; i++) n->repairs[i].adoptions++;
}

static uint64_t number_with(struct side *n, uint32_t shard, uint32_t other_shard,
                            struct ballot floor) {
    return catch_up_joint_with(&n->shards[shard], &n->pairs[shard][other_shard], floor);
}

static uint64_t number(struct side *n, uint32_t shard, uint32_t other_shard) {
    return number_with(n, shard, other_shard, (struct ballot){ 0 });
}

TEST(catch_up_number, is_the_same_on_both_sides) {
    static struct side a, b;
    side_open(&a, 0, 1, SHARDS_A, SHARDS_B);
    side_open(&b, 1, 0, SHARDS_B, SHARDS_A);
    CHECK_EQ(number(&a, 0, 0), 0);
    move(&a, 0, 1, 1, 5);
    move(&b, 0, 1, 1, 5);
    for (uint32_t i = 0; i < SHARDS_A; i++) {
        for (uint32_t k = 0; k < SHARDS_B; k++) {
            CHECK(number(&a, i, k) != 0);
            CHECK_EQ(number(&a, i, k), number(&b, k, i));
            CHECK(number(&a, i, k) != number(&a, i, 1 - k));
        }
    }
    membership_destroy(a.members);
    membership_destroy(b.members);
}

/* One of the two has seen fewer of the slots become joint, or some of them at another epoch. */
TEST(catch_up_number, tells_sets_of_slots_and_epochs_apart) {
    static struct side a, b, c;
    side_open(&a, 0, 1, 1, 1);
    side_open(&b, 1, 0, 1, 1);
    side_open(&c, 1, 0, 1, 1);
    move(&a, 0, 1, 2, 5);
    move(&a, 0, 1, 1, 6);
    move(&b, 0, 1, 2, 5);
    CHECK(number(&a, 0, 0) != number(&b, 0, 0));
    move(&b, 0, 1, 1, 6);
    CHECK_EQ(number(&a, 0, 0), number(&b, 0, 0));
    move(&c, 0, 1, 1, 6);
    CHECK(number(&a, 0, 0) != number(&c, 0, 0));
    membership_destroy(a.members);
    membership_destroy(b.members);
    membership_destroy(c.members);
}

/* A truncation that only one of the two knows of is not gone past; where there is nothing to make
 * equal it makes no work. */
TEST(catch_up_number, tells_truncations_apart) {
    static struct side a, b;
    const struct ballot none = { 0 };
    const struct ballot floor = { 7, 1, 1 };
    const struct ballot later = { 7, 1, 2 };
    side_open(&a, 0, 1, 1, 1);
    side_open(&b, 1, 0, 1, 1);
    CHECK_EQ(number_with(&a, 0, 0, floor), 0);
    move(&a, 0, 1, 1, 5);
    move(&b, 0, 1, 1, 5);
    CHECK(number_with(&a, 0, 0, floor) != number_with(&b, 0, 0, none));
    CHECK(number_with(&a, 0, 0, floor) != number_with(&b, 0, 0, later));
    CHECK_EQ(number_with(&a, 0, 0, later), number_with(&b, 0, 0, later));
    CHECK_EQ(number_with(&a, 0, 0, none), number_with(&b, 0, 0, none));
    membership_destroy(a.members);
    membership_destroy(b.members);
}

/* Batches of slots that the two do not both keep change nothing for them. */
TEST(catch_up_number, is_not_moved_by_slots_of_others) {
    static struct side a;
    side_open(&a, 0, 1, 1, 1);
    move(&a, 0, 1, 1, 5);
    const uint64_t before = number(&a, 0, 0);
    move(&a, 2, 1, 1, 6); /* kept by the other one, not here */
    CHECK_EQ(number(&a, 0, 0), before);
    membership_destroy(a.members);
}

static uint64_t settled(struct side *n, uint32_t shard, uint32_t other_shard) {
    return catch_up_settled(&n->shards[shard], &n->pairs[shard][other_shard]);
}

/* What normal passes are about: one side may have seen slots become joint, or new, that the other one
 * has not. */
TEST(catch_up_number, tells_views_of_settled_slots_apart) {
    static struct side a, b;
    side_open_with(&a, 0, 1, SHARDS_A, SHARDS_B, 2);
    side_open_with(&b, 1, 0, SHARDS_B, SHARDS_A, 2);
    for (uint32_t moved = 0; moved < 3; moved++) {
        if (moved == 1) move(&a, 0, 2, 1, 5);
        if (moved == 2) move(&b, 0, 2, 1, 5);
        for (uint32_t i = 0; i < SHARDS_A; i++) {
            for (uint32_t k = 0; k < SHARDS_B; k++)
                CHECK_EQ(settled(&a, i, k) == settled(&b, k, i), moved != 1);
        }
    }
    CHECK(settled(&a, 0, 0) != settled(&a, 0, 1));
    membership_destroy(a.members);
    membership_destroy(b.members);
}

/* Two new replicas compare nothing of a joint slot, neither now nor in normal passes. */
TEST(catch_up_number, leaves_out_what_neither_has_in_its_list) {
    static struct side a;
    side_open(&a, 0, 1, 1, 1);
    move(&a, 2, 1, 1, 5);
    struct slot_table *t = &a.members->slots;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (t->phases[slot] != SLOT_JOINT) continue;
        t->targets[slot] = (struct slot_list){ .count = 2, .members = { 1, 0 } };
        CHECK(!catch_up_compares(&a.shards[0], slot, 1, false));
        CHECK(!catch_up_compares(&a.shards[0], slot, 1, true));
        CHECK(catch_up_compares(&a.shards[0], slot, 2, true));
        CHECK(catch_up_compares(&a.shards[0], slot, 2, false));
        CHECK(catch_up_knows(&a.shards[0], slot, 2));
        CHECK(!catch_up_knows(&a.shards[0], slot, 1));
    }
    a.repairs[0].adoptions++;
    CHECK_EQ(number(&a, 0, 0), 0);
    membership_destroy(a.members);
}
