/* When a shard may give up its damaged tables. */
#include "shard/repair_internal.h"

#include "harness.h"

#define MEMBERS 3u

/* A shard of the first of three members that keep everything; the others are there. */
struct world {
    struct shard shard;
    struct node node;
    struct repair_shard repair;
    struct repair_member places[MEMBERS];
    struct membership *members;
    struct peer peer_space[MEMBERS];
};

static void world_open(struct world *w) {
    static const char *const addresses[] = { "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1" };
    *w = (struct world){ .node = { .shards_count = 1, .repair_rate = 1 } };
    w->shard.node = &w->node;
    w->shard.repair = &w->repair;
    w->repair.members = w->places;
    w->repair.members_count = MEMBERS;
    CHECK_OK(membership_create(addresses, MEMBERS, addresses[0],
                               (struct replication){ .replicas = 3 }, &w->members));
    w->shard.members = w->members;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i == w->members->self) continue;
        struct peer *p = w->shard.peers[i] = &w->peer_space[i];
        p->member = i;
        p->shards = 1;
        p->detector.up = true;
        w->repair.members[i].common = true;
    }
}

static uint32_t other(const struct world *w, uint32_t n) {
    return n < w->members->self ? n : n + 1;
}

TEST(repair_heal, waits_for_a_member_that_is_away) {
    struct world w;
    world_open(&w);
    CHECK(repair_can_be_filled(&w.shard));
    w.peer_space[other(&w, 1)].detector.up = false;
    CHECK(!repair_can_be_filled(&w.shard));
    membership_destroy(w.members);
}

/* Its slots go by a change, which waits for the damaged shard: neither would ever end. */
TEST(repair_heal, waits_for_none_that_was_given_up) {
    struct world w;
    world_open(&w);
    w.peer_space[other(&w, 1)].detector.up = false;
    w.members->all[other(&w, 1)].state = MEMBER_DEAD;
    CHECK(repair_can_be_filled(&w.shard));
    w.peer_space[other(&w, 0)].detector.up = false;
    CHECK(!repair_can_be_filled(&w.shard));
    membership_destroy(w.members);
}

TEST(repair_heal, keeps_what_nobody_else_has) {
    struct world w;
    world_open(&w);
    for (uint32_t i = 0; i < 2; i++) w.members->all[other(&w, i)].state = MEMBER_DEAD;
    CHECK(!repair_can_be_filled(&w.shard));
    membership_destroy(w.members);
}

TEST(repair_heal, asks_no_dead_one_what_was_deleted) {
    struct world w;
    struct repair damaged = { .heard = REPAIR_HEARD_DAMAGED };
    world_open(&w);
    w.peer_space[other(&w, 0)].repairs[0] = &damaged;
    CHECK(repair_has_filled_replica(&w.shard, 0)); /* the second may be, as it has said nothing */
    w.members->all[other(&w, 1)].state = MEMBER_DEAD;
    CHECK(!repair_has_filled_replica(&w.shard, 0));
    membership_destroy(w.members);
}
