/* A slot on its way needs quorums of its list and of its target, and who does not know yet is
 * stopped by those who do. Nodes 0 to 2 of a world are the list, 3 to 5 the target.
 * tidy: integration */
#include "harness.h"
#include "shard/coordinate_internal.h"
#include "shard/repair_internal.h"
#include "shard/replica.h"
#include "slot_world.h"

#define LIST 7u
#define TARGET 56u
#define ALL 63u

static bool begins(const char *reply, const char *with) {
    return strncmp(reply, with, strlen(with)) == 0;
}

static uint32_t holders(const struct slot_world *w, uint32_t nodes) {
    uint32_t count = 0;
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++)
        count += (nodes & 1u << at) != 0 && !ballot_is_zero(slot_world_version(w, at));
    return count;
}

TEST(joint, a_write_goes_to_both) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    CHECK_EQ(holders(&w, ALL), 6);
    CHECK(begins(slot_world_ask(&w, 4, "GET key"), "$1\r\nv"));
    CHECK(begins(slot_world_ask(&w, 4, "APPEND key w"), ":2"));
    CHECK(begins(slot_world_ask(&w, 1, "GET key"), "$2\r\nvw"));
    slot_world_close(&w);
}

/* The list alone is not enough, however many of it there are. */
TEST(joint, a_write_needs_the_target) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_cut(&w, 4);
    slot_world_cut(&w, 5);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "-"));
    CHECK_EQ(holders(&w, LIST), 3);
    CHECK_EQ(holders(&w, TARGET), 1);
    slot_world_close(&w);
}

TEST(joint, a_write_needs_the_list) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_cut(&w, 1);
    slot_world_cut(&w, 2);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 3, "SET key v"), "-"));
    slot_world_close(&w);
}

/* A coordinator that is a phase ahead writes to the target alone. */
TEST(joint, a_read_shows_what_only_the_target_has) {
    struct slot_world w;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key old"), "+OK"));
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_put(&w, 3, "new");
    slot_world_put(&w, 4, "new");
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "$3\r\nnew"));
    CHECK(begins(slot_world_ask(&w, 5, "GET key"), "$3\r\nnew"));
    CHECK(holders(&w, ALL) >= 4); /* the first of them is mended by the read */
    slot_world_close(&w);
}

TEST(joint, a_read_needs_the_target) {
    struct slot_world w;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key old"), "+OK"));
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_cut(&w, 4);
    slot_world_cut(&w, 5);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "-"));
    CHECK(begins(slot_world_ask(&w, 0, "KEYS *"), "-"));
    CHECK(begins(slot_world_ask(&w, 0, "FLUSHALL"), "-"));
    slot_world_close(&w);
}

TEST(joint, a_scan_shows_what_only_the_target_has) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_put(&w, 3, "new");
    slot_world_put(&w, 4, "new");
    CHECK(begins(slot_world_ask(&w, 0, "KEYS *"), "*1\r\n$3\r\nkey"));
    CHECK(begins(slot_world_ask(&w, 0, "FLUSHALL"), "+OK"));
    CHECK(begins(slot_world_ask(&w, 0, "KEYS *"), "*0"));
    CHECK(begins(slot_world_ask(&w, 5, "GET key"), "$-1"));
    slot_world_close(&w);
}

/* The list holds everything, so that a new replica need not be filled to answer; but one that
 * lost what it held abstains. */
TEST(joint, a_new_replica_answers_with_gaps) {
    struct slot_world w;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    for (uint32_t at = 3; at < 6; at++) {
        struct shard *s = slot_world_shard(&w, at);
        s->filled = false;
        CHECK(replica_may_tell(s, w.slot));
        CHECK(!replica_may_tell(s, (w.slot + 1) % RING_SLOTS));
        CHECK(!replica_may_tell_all(s)); /* it is in lists of other slots */
    }
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "$1\r\nv"));
    for (uint32_t at = 3; at < 6; at++) {
        struct shard *s = slot_world_shard(&w, at);
        s->filled = false;
        s->repair->damaged = true;
        CHECK(!replica_may_tell(s, w.slot));
    }
    slot_world_close(&w);
}

/* Two of three have the floor of a truncation: whoever asks most of them is told. */
TEST(truncation, counts_before_all_have_heard_of_it) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 2, "SET key v"), "+OK"));
    slot_world_run(&w, 100);
    CHECK_EQ(holders(&w, LIST), 3);
    struct ballot floor = slot_world_version(&w, 2);
    floor.stamp++;
    for (uint32_t at = 0; at < 2; at++) shard_truncate(slot_world_shard(&w, at), 0, floor);
    CHECK(ballot_is_zero(engine_floor(slot_world_shard(&w, 2)->engine, 0)));
    CHECK(begins(slot_world_ask(&w, 2, "GET key"), "$-1"));
    CHECK(begins(slot_world_ask(&w, 2, "KEYS *"), "*0"));
    CHECK(begins(slot_world_ask(&w, 2, "SET key new NX"), "+OK"));
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "$3\r\nnew"));
    slot_world_close(&w);
}

/* A ping tells it, whatever became of what was told when it was new. */
TEST(truncation, is_told_with_every_ping) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    const struct ballot floor = slot_world_version(&w, 0);
    shard_truncate(slot_world_shard(&w, 5), 0, floor);
    slot_world_run(&w, 500);
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++) {
        const struct shard *s = slot_world_shard(&w, at);
        CHECK_EQ(ballot_compare(engine_floor(s->engine, 0), floor), 0);
    }
    slot_world_close(&w);
}

static uint32_t caught_up(const struct slot_world *w, uint64_t epoch) {
    uint32_t count = 0;
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++)
        count += atomic_load(&slot_world_shard(w, at)->caught_up_epoch) == epoch;
    return count;
}

/* What one of the list hides under its floor would be seen at those who do not take it yet, as it
 * is too far ahead of their clocks (R14). */
TEST(truncation, is_waited_for_by_those_who_catch_up) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_run(&w, 100);
    const uint64_t soon_ms = slot_world_shard(&w, 0)->turn_wall_ms + 3000;
    const struct ballot floor = { .stamp = hlc_of_ms(soon_ms), .node = 1, .boot = 1 };
    shard_truncate(slot_world_shard(&w, 0), 0, floor);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 1500);
    CHECK_EQ(caught_up(&w, 2), 0);
    slot_world_run(&w, 3000);
    CHECK_EQ(caught_up(&w, 2), SLOT_WORLD_NODES);
    slot_world_close(&w);
}

/* As any write of a node whose clock is off. */
TEST(truncation, wants_a_clock) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_run(&w, 100);
    struct world_node *n = &w.world->nodes[w.order[0]];
    n->skew_ms = 20000;
    world_set_clocks(w.world, n);
    slot_world_run(&w, 500);
    CHECK(begins(slot_world_ask(&w, 0, "FLUSHALL"), "-"));
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++)
        CHECK(ballot_is_zero(engine_floor(slot_world_shard(&w, at)->engine, 0)));
    CHECK(begins(slot_world_ask(&w, 1, "FLUSHALL"), "+OK"));
    slot_world_close(&w);
}

/* Who is in both counts in both: the one that is new may be away. */
TEST(joint, most_of_the_two_are_the_same) {
    struct slot_world w;
    slot_world_open(&w);
    w.shared = 2;
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 5, "SET key v"), "+OK"));
    CHECK_EQ(holders(&w, ALL), 4);
    slot_world_cut(&w, 3);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 1, "APPEND key w"), ":2"));
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "$2\r\nvw"));
    slot_world_cut(&w, 2); /* two of the list are left, and one of the target */
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 1, "SET key x"), "-"));
    CHECK(begins(slot_world_ask(&w, 1, "GET key"), "-"));
    slot_world_close(&w);
}

/* Three become five, as when nodes were fewer than N. */
static void open_longer(struct slot_world *w) {
    slot_world_open(w);
    w->shared = 3;
    w->longer = 2;
    slot_world_publish(w, ALL, 2, SLOT_JOINT);
}

/* Two of the three and three of the five. */
TEST(joint, each_list_has_its_own_majority) {
    struct slot_world w;
    open_longer(&w);
    slot_world_cut(&w, 3);
    slot_world_cut(&w, 4);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    CHECK_EQ(holders(&w, LIST), 3);
    CHECK_EQ(holders(&w, ALL), 3);
    CHECK(begins(slot_world_ask(&w, 1, "GET key"), "$1\r\nv"));
    slot_world_cut(&w, 2); /* two of three are a majority, of five they are none */
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 0, "SET key x"), "-"));
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "-"));
    slot_world_close(&w);
}

/* The other way round: three of the five, and of the list one alone. */
TEST(joint, a_majority_of_the_longer_is_not_enough) {
    struct slot_world w;
    open_longer(&w);
    slot_world_cut(&w, 1);
    slot_world_cut(&w, 2);
    slot_world_run(&w, 1000);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "-"));
    CHECK_EQ(holders(&w, ALL & ~(1u << 1 | 1u << 2)), 3);
    slot_world_close(&w);
}

TEST(joint, the_list_is_home) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    const struct request q = { .op = OP_INCR, .key = BYTES_LIT(SLOT_WORLD_KEY) };
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++) {
        const struct shard *s = slot_world_shard(&w, at);
        const struct slot_places replicas = coordinate_replicas(s, &q, w.slot);
        CHECK_EQ(coordinate_self(s, &replicas), at);
        CHECK_EQ(coordinate_is_home(s, &replicas, (int)at), at == 0);
    }
    CHECK(begins(slot_world_ask(&w, 4, "INCR key"), ":1"));
    CHECK_EQ(slot_world_shard(&w, 4)->figures.forwarded, 1);
    for (uint32_t at = 0; at < 3; at++) slot_world_cut(&w, at);
    slot_world_run(&w, 1000);
    const struct shard *s = slot_world_shard(&w, 3);
    const struct slot_places replicas = coordinate_replicas(s, &q, w.slot);
    CHECK(coordinate_is_home(s, &replicas, 3));
    slot_world_close(&w);
}

/* Majorities that know the slot to be joint stop a coordinator that does not, until it does. */
TEST(fence, a_write_waits_for_the_view) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~1u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(!atomic_load(&slot_world_shard(&w, 0)->node->news_wanted));
    slot_world_begin(&w, 0, "SET key v", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    CHECK(atomic_load(&slot_world_shard(&w, 0)->node->news_wanted));
    CHECK_EQ(holders(&w, ALL), 1);
    const struct ballot version = slot_world_version(&w, 0);
    slot_world_publish(&w, 1, 2, SLOT_JOINT);
    CHECK(begins(slot_world_end(&w, &asked, 100), "+OK"));
    slot_world_run(&w, 100);
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++)
        CHECK_EQ(ballot_compare(slot_world_version(&w, at), version), 0);
    slot_world_close(&w);
}

TEST(fence, a_read_waits_for_the_view) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key old"), "+OK"));
    slot_world_publish(&w, ALL & ~1u, 3, SLOT_NEW);
    slot_world_run(&w, 100);
    slot_world_put(&w, 3, "new");
    slot_world_put(&w, 4, "new");
    slot_world_begin(&w, 0, "GET key", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    slot_world_publish(&w, 1, 3, SLOT_NEW);
    CHECK(begins(slot_world_end(&w, &asked, 200), "$3\r\nnew"));
    slot_world_close(&w);
}

/* Without news it fails when its time is up, and says so. */
TEST(fence, waiting_ends) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~1u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "SET key v", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 1800)), 0);
    CHECK(begins(slot_world_end(&w, &asked, 500), "-"));
    slot_world_begin(&w, 0, "GET key", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 1800)), 0);
    CHECK(begins(slot_world_end(&w, &asked, 500), "-"));
    slot_world_run(&w, 1000);
    CHECK_EQ(slot_world_shard(&w, 0)->sent.used, 0);
    slot_world_close(&w);
}

/* Who keeps a slot by an older view may hold of it what is to be hidden by a later one. */
TEST(fence, a_read_waits_for_those_behind) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    slot_world_publish(&w, ALL & ~6u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "GET key", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    slot_world_publish(&w, 2, 2, SLOT_JOINT);
    CHECK(begins(slot_world_end(&w, &asked, 200), "$1\r\nv"));
    slot_world_close(&w);
}

/* Who is behind stores what it is given, and learns that there is news. */
TEST(fence, those_behind_take_writes) {
    struct slot_world w;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~6u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    CHECK_EQ(holders(&w, ALL), 6);
    for (uint32_t at = 0; at < SLOT_WORLD_NODES; at++) {
        const bool wants = atomic_load(&slot_world_shard(&w, at)->node->news_wanted);
        CHECK_EQ(wants, at == 1 || at == 2);
    }
    slot_world_close(&w);
}

/* Who has left a slot behind would give pages without its keys. */
TEST(fence, a_scan_waits_for_the_view) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key old"), "+OK"));
    slot_world_publish(&w, ALL & ~8u, 3, SLOT_NEW);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 3, "KEYS *", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    slot_world_put(&w, 4, "new");
    slot_world_put(&w, 5, "new");
    slot_world_publish(&w, 8, 3, SLOT_NEW);
    CHECK(begins(slot_world_end(&w, &asked, 200), "*1\r\n$3\r\nkey"));
    slot_world_close(&w);
}

/* Who does not know yet that it keeps a slot would leave out what it has of it. */
TEST(fence, a_scan_waits_for_those_behind) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_run(&w, 100);
    slot_world_put(&w, 3, "v");
    slot_world_put(&w, 4, "v");
    slot_world_publish(&w, LIST, 3, SLOT_NEW);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "KEYS *", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    for (uint32_t at = 3; at < 6; at++)
        CHECK(atomic_load(&slot_world_shard(&w, at)->node->news_wanted));
    slot_world_publish(&w, TARGET, 3, SLOT_NEW);
    CHECK(begins(slot_world_end(&w, &asked, 200), "*1\r\n$3\r\nkey"));
    slot_world_close(&w);
}

/* A floor is for all that is stored, whoever keeps it. */
TEST(fence, a_truncation_does_not_wait_for_those_behind) {
    struct slot_world w;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    slot_world_publish(&w, LIST, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 0, "FLUSHALL"), "+OK"));
    slot_world_publish(&w, TARGET, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 3, "KEYS *"), "*0"));
    slot_world_close(&w);
}

TEST(fence, a_truncation_waits_for_the_view) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~1u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "FLUSHALL", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 1800)), 0);
    CHECK(begins(slot_world_end(&w, &asked, 500), "-"));
    slot_world_begin(&w, 0, "FLUSHALL", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    slot_world_publish(&w, 1, 2, SLOT_JOINT);
    CHECK(begins(slot_world_end(&w, &asked, 200), "+OK"));
    slot_world_close(&w);
}

/* Nobody is left of those who asked and did not stay for the answer. */
TEST(fence, a_client_may_leave_while_its_scan_waits) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~1u, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "KEYS *", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    CHECK_EQ(slot_world_shard(&w, 0)->tasks_used, 1);
    CHECK_EQ(sim_net_reset(w.world->net, w.place, w.world->places[w.order[0]]), 1);
    slot_world_run(&w, 200);
    CHECK_EQ(slot_world_shard(&w, 0)->tasks_used, 0);
    slot_world_close(&w);
}

/* All of the target is behind: it has what is meant for it as soon as it knows. */
TEST(fence, those_who_do_not_keep_it_yet_wait) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, LIST, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 0, "SET key v", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 300)), 0);
    CHECK_EQ(holders(&w, TARGET), 0);
    for (uint32_t at = 3; at < 6; at++)
        CHECK(atomic_load(&slot_world_shard(&w, at)->node->news_wanted));
    slot_world_publish(&w, TARGET, 2, SLOT_JOINT);
    CHECK(begins(slot_world_end(&w, &asked, 100), "+OK"));
    slot_world_run(&w, 100);
    CHECK_EQ(holders(&w, ALL), 6);
    for (uint32_t at = 3; at < 6; at++) CHECK_EQ(slot_world_shard(&w, at)->ahead_bytes, 0);
    slot_world_close(&w);
}

TEST(fence, those_who_hear_nothing_refuse) {
    struct slot_world w;
    slot_world_open(&w);
    CHECK(begins(slot_world_ask(&w, 0, "SET key v"), "+OK"));
    slot_world_publish(&w, LIST, 2, SLOT_JOINT);
    slot_world_run(&w, 100);
    CHECK(begins(slot_world_ask(&w, 0, "GET key"), "-"));
    CHECK(begins(slot_world_ask(&w, 0, "SET key w"), "-"));
    slot_world_run(&w, 2000);
    for (uint32_t at = 3; at < 6; at++) {
        const struct shard *s = slot_world_shard(&w, at);
        CHECK_EQ(s->ahead_bytes, 0);
        CHECK(s->figures.records_refused[RECORD_REFUSED_NOT_MINE] > 0);
    }
    CHECK(slot_world_shard(&w, 0)->figures.hints_waiting > 0);
    slot_world_publish(&w, TARGET, 2, SLOT_JOINT);
    slot_world_run(&w, 5000);
    CHECK_EQ(holders(&w, TARGET), 3); /* by hints */
    slot_world_close(&w);
}

/* Replicas that do not keep the slot any more say that they did nothing: the node asked waits for
 * the view that they have. */
TEST(fence, a_call_handed_on_waits_for_the_view) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~8u, 3, SLOT_NEW);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 3, "INCR key", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 500)), 0);
    slot_world_publish(&w, 8, 3, SLOT_NEW);
    CHECK(begins(slot_world_end(&w, &asked, 200), ":1"));
    slot_world_run(&w, 100);
    CHECK_EQ(holders(&w, LIST), 0);
    CHECK_EQ(holders(&w, TARGET), 3);
    slot_world_close(&w);
}

TEST(fence, a_call_handed_on_does_not_wait_for_ever) {
    struct slot_world w;
    struct asked asked;
    slot_world_open(&w);
    slot_world_publish(&w, ALL & ~8u, 3, SLOT_NEW);
    slot_world_run(&w, 100);
    slot_world_begin(&w, 3, "SET key v", &asked);
    CHECK_EQ(strlen(slot_world_end(&w, &asked, 1800)), 0);
    CHECK(begins(slot_world_end(&w, &asked, 500), "-"));
    CHECK_EQ(holders(&w, ALL), 0);
    slot_world_close(&w);
}
