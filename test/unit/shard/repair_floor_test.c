/* How long what a pair of shards has proved to each other holds. */
#include "shard/repair_internal.h"

#include "base/hash.h"
#include "harness.h"

#include <stdio.h>

#define MEMBERS 4u

/* A shard of the first of four members, N=3, with a pair for each other one. */
struct world {
    struct shard shard;
    struct node node;
    struct repair_shard repair;
    struct membership *members;
    struct peer peer_space[MEMBERS];
    struct repair pairs[MEMBERS];
};

static void world_open(struct world *w) {
    static const char *const addresses[] = { "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1",
                                             "10.0.0.4:1" };
    *w = (struct world){ .shard = { .node = &w->node, .repair = &w->repair } };
    CHECK_OK(membership_create(addresses, MEMBERS, addresses[0],
                               (struct replication){ .replicas = 3 }, &w->members));
    w->shard.members = w->members;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i == w->members->self) continue;
        struct peer *p = w->shard.peers[i] = &w->peer_space[i];
        p->member = i;
        p->shards = 1;
        p->repairs[0] = &w->pairs[i];
        repair_proof_begin(&w->shard, &w->pairs[i], 1000);
        repair_proved(&w->pairs[i], 999);
    }
}

/* Take a version of a key that this shard and `with` keep. */
static void take(struct world *w, uint32_t with, uint64_t stamp, const struct peer *from) {
    uint8_t space[16];
    char text[8];
    for (uint32_t i = 0;; i++) {
        const struct bytes key = bytes_of(text, (size_t)snprintf(text, sizeof text, "%u", i));
        const uint32_t slot = crc16_slot(key);
        if (!membership_keeps(w->members, slot, w->members->self)) continue;
        if (!membership_keeps(w->members, slot, with)) continue;
        const struct record r = { .ikey = ikey_make(0, key, space), .ballot = { stamp, 1, 1 } };
        repair_gained(&w->shard, &r, from);
        return;
    }
}

static uint32_t other(const struct world *w, uint32_t n) {
    return n < w->members->self ? n : n + 1;
}

TEST(repair_floor, ends_where_an_older_version_comes_from_elsewhere) {
    struct world w;
    world_open(&w);
    const uint32_t a = other(&w, 0);
    take(&w, a, 500, NULL);
    CHECK_EQ(w.pairs[a].verified_stamp, 499);
    take(&w, a, 800, NULL);
    CHECK_EQ(w.pairs[a].verified_stamp, 499);
    membership_destroy(w.members);
}

TEST(repair_floor, holds_for_what_the_other_of_the_pair_sent) {
    struct world w;
    world_open(&w);
    const uint32_t a = other(&w, 0);
    take(&w, a, 500, w.shard.peers[a]);
    CHECK_EQ(w.pairs[a].verified_stamp, 999);
    membership_destroy(w.members);
}

TEST(repair_floor, holds_for_newer_versions_and_members_without_the_key) {
    struct world w;
    world_open(&w);
    uint32_t lowered = 0;
    take(&w, other(&w, 0), 1001, NULL);
    for (uint32_t i = 0; i < MEMBERS; i++)
        lowered += w.shard.peers[i] != NULL && w.pairs[i].verified_stamp < 999;
    CHECK_EQ(lowered, 0);
    take(&w, other(&w, 0), 500, NULL);
    for (uint32_t i = 0; i < MEMBERS; i++)
        lowered += w.shard.peers[i] != NULL && w.pairs[i].verified_stamp < 999;
    CHECK_EQ(lowered, 2); /* N=3 keep it, one of them is this */
    membership_destroy(w.members);
}

/* The pass may have looked at the key before the version came. */
TEST(repair_floor, a_pass_under_way_proves_no_more_than_before_it) {
    struct world w;
    world_open(&w);
    struct repair *r = &w.pairs[other(&w, 0)];
    repair_proof_begin(&w.shard, r, 2000);
    take(&w, other(&w, 0), 1500, NULL);
    repair_proved(r, 1999);
    CHECK_EQ(r->verified_stamp, 1499);
    repair_proof_begin(&w.shard, r, 2000);
    repair_proved(r, 1999);
    CHECK_EQ(r->verified_stamp, 1999);
    repair_forget(r);
    CHECK_EQ(r->verified_stamp, 0);
    CHECK(r->unclean);
    membership_destroy(w.members);
}
