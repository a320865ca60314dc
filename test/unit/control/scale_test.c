/* tidy: integration. The control plane of many nodes: start-up, steady traffic, an election, one
 * that joins and one that leaves, and what a change of the ring moves then.
 *
 * SCALE_NODES=1000 in the environment runs so many (minutes: raise TEST_SECONDS too) and prints
 * the figures that docs/internals/membership.md has. */
#include "test/unit/control/scale_world.h"

#include "test/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than 128 learners, 64 reports and 64 contacts: what is cut into turns is. */
#define NODES_DEFAULT 140u
#define START_MS_MAX 240000u
#define STEADY_MS 10000u

/* Messages of a node in a steady second, to the others and from them, whatever their number. */
#define LEARNER_MESSAGES_MAX 24u
#define LEARNER_BYTES_MAX 8192u
/* Of the leader, for each member. */
#define LEADER_MESSAGES_MAX 12u
#define LEADER_BYTES_MAX 8192u

static uint32_t nodes_wanted(void) {
    const char *text = getenv("SCALE_NODES");
    const uint32_t wanted = text == NULL ? NODES_DEFAULT : (uint32_t)strtoul(text, NULL, 10);
    CHECK(wanted > SCALE_FOUNDERS && wanted < MEMBERS_MAX);
    return wanted;
}

static const struct metadata *state_of(const struct scale_world *w) {
    const uint32_t leader = scale_leader(w);
    CHECK(leader != SCALE_NODES_MAX);
    return control_state(w->nodes[leader].control);
}

/* All nodes have the same state, byte for byte. */
static void check_equal(const struct scale_world *w) {
    const uint64_t hash = metadata_hash(state_of(w));
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct control *c = w->nodes[i].control;
        if (c != NULL) CHECK_EQ(metadata_hash(control_state(c)), hash);
    }
}

/* ---- traffic ---- */

static struct scale_traffic most_of(const struct scale_world *w, bool founders, uint32_t leader) {
    struct scale_traffic most = { 0 };
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct scale_traffic *t = &w->nodes[i].traffic;
        if (i == leader || (i < SCALE_FOUNDERS) != founders) continue;
        if (t->sent_messages > most.sent_messages) most.sent_messages = t->sent_messages;
        if (t->sent_bytes > most.sent_bytes) most.sent_bytes = t->sent_bytes;
        if (t->received_messages > most.received_messages)
            most.received_messages = t->received_messages;
        if (t->received_bytes > most.received_bytes) most.received_bytes = t->received_bytes;
    }
    return most;
}

static void show(const char *who, struct scale_traffic t, uint32_t ms) {
    const double seconds = ms / 1000.0;
    printf("  %-13s sends %7.1f messages/s %9.0f bytes/s, gets %7.1f messages/s %9.0f bytes/s\n",
           who, (double)t.sent_messages / seconds, (double)t.sent_bytes / seconds,
           (double)t.received_messages / seconds, (double)t.received_bytes / seconds);
}

static void show_all(const struct scale_world *w, uint32_t ms) {
    const uint32_t leader = scale_leader(w);
    show("leader", w->nodes[leader].traffic, ms);
    show("busiest voter", most_of(w, true, leader), ms);
    show("busiest other", most_of(w, false, leader), ms);
}

static void check_steady(struct scale_world *w, uint32_t members) {
    scale_forget_traffic(w);
    scale_run(w, STEADY_MS);
    const uint32_t seconds = STEADY_MS / 1000;
    const uint32_t leader = scale_leader(w);
    const struct scale_traffic *t = &w->nodes[leader].traffic;
    const struct scale_traffic learner = most_of(w, false, leader);
    printf("steady, %u members:\n", members);
    show_all(w, STEADY_MS);
    CHECK(learner.sent_messages + learner.received_messages <= LEARNER_MESSAGES_MAX * seconds);
    CHECK(learner.sent_bytes + learner.received_bytes <= LEARNER_BYTES_MAX * UINT64_C(1) * seconds);
    CHECK(t->sent_messages <= LEADER_MESSAGES_MAX * UINT64_C(1) * members * seconds);
    CHECK(t->sent_bytes <= LEADER_BYTES_MAX * UINT64_C(1) * members * seconds);
}

/* ---- what changes move ---- */

static uint32_t kept_by(const struct metadata *m, uint32_t id) {
    static uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    const uint32_t at = metadata_find_member(m, id);
    if (at == MEMBER_NONE) return 0;
    slot_table_count(&m->slots, m->members_count, owned, kept);
    return kept[at];
}

static bool has(const struct metadata *m, uint32_t slot, uint32_t id) {
    const struct slot_list *list = &m->slots.lists[slot];
    for (uint32_t i = 0; i < list->count; i++) {
        if (m->members[list->members[i]].id == id) return true;
    }
    return false;
}

/* Copies that come to a member that did not have them, and the fewest with these shares. */
static void check_moved(const struct metadata *before, const struct metadata *now) {
    uint32_t moved = 0, least = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list *list = &now->slots.lists[slot];
        for (uint32_t i = 0; i < list->count; i++)
            moved += !has(before, slot, now->members[list->members[i]].id);
    }
    for (uint32_t i = 0; i < now->members_count; i++) {
        const uint32_t had = kept_by(before, now->members[i].id);
        const uint32_t has_now = kept_by(now, now->members[i].id);
        if (has_now > had) least += has_now - had;
    }
    printf("  copies moved %u, least %u\n", moved, least);
    CHECK(moved * UINT64_C(10) <= least * UINT64_C(11));
}

/* Equal weights: within 5 % of the mean, or the slot that cannot be divided. */
static void check_shares(const struct metadata *m) {
    static uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    uint32_t least = UINT32_MAX, most = 0;
    slot_table_count(&m->slots, m->members_count, owned, kept);
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (kept[i] < least) least = kept[i];
        if (kept[i] > most) most = kept[i];
    }
    const double mean = 3.0 * RING_SLOTS / m->members_count;
    printf("  slots kept %u to %u, mean %.2f\n", least, most, mean);
    CHECK(least >= mean * 0.95 - 1 && most <= mean * 1.05 + 1);
}

/* Until `members` are there, and what it took. `before` is the state it began with. */
static void check_change(struct scale_world *w, const char *what, uint32_t members,
                         struct metadata *before) {
    const uint32_t took_ms = scale_settle(w, members, 60000);
    CHECK(took_ms != UINT32_MAX);
    printf("%s: %.1f s\n", what, took_ms / 1000.0);
    show_all(w, took_ms);
    check_moved(before, state_of(w));
    check_shares(state_of(w));
    check_equal(w);
    metadata_destroy(before);
    scale_forget_traffic(w);
}

static void propose(struct scale_world *w, enum metadata_kind kind, uint32_t member) {
    static struct metadata_command c;
    c = (struct metadata_command){ .kind = kind, .member = { .id = member } };
    scale_forget_traffic(w);
    control_propose(w->nodes[SCALE_FOUNDERS].control, &c, NULL, NULL);
}

static void show_snapshot(const struct scale_world *w) {
    struct buffer out;
    buffer_init(&out, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(state_of(w), &out);
    printf("  snapshot %zu bytes, revision %llu\n", buffer_len(&out),
           (unsigned long long)state_of(w)->revision);
    buffer_deinit(&out);
}

/* Cost stays bounded for each node, however many there are. */
TEST(control_scale, many_members) {
    const uint32_t count = nodes_wanted();
    struct scale_world *w = scale_create(count, 5000, test_seed());
    const uint32_t started_ms = scale_settle(w, count, START_MS_MAX);
    CHECK(started_ms != UINT32_MAX);
    printf("start of %u nodes: %.1f s\n", count, started_ms / 1000.0);
    show_all(w, started_ms);
    show_snapshot(w);
    check_shares(state_of(w));
    check_equal(w);
    check_steady(w, count);

    const uint32_t old_leader = scale_leader(w);
    const uint32_t old_id = w->nodes[old_leader].self;
    scale_forget_traffic(w);
    scale_kill(w, old_leader);
    uint32_t election_ms = 0;
    for (; scale_leader(w) == SCALE_NODES_MAX; election_ms += 20) {
        CHECK(election_ms < 20000);
        scale_run(w, 20);
    }
    printf("the leader died: all know another one after %.1f s\n", election_ms / 1000.0);
    show_all(w, election_ms);
    /* All ask others what they know of a leader, and not all the same. */
    CHECK(most_of(w, false, scale_leader(w)).received_messages <=
          LEARNER_MESSAGES_MAX * (election_ms / 1000 + UINT64_C(1)));

    struct metadata *before = metadata_clone(state_of(w));
    propose(w, METADATA_MEMBER_DEAD, old_id);
    check_change(w, "it is given up", count - 1, before);

    before = metadata_clone(state_of(w));
    (void)scale_add(w);
    check_change(w, "one joins", count, before);

    before = metadata_clone(state_of(w));
    propose(w, METADATA_MEMBER_LEAVE, w->nodes[count - 1].self);
    check_change(w, "one leaves", count - 1, before);
    scale_destroy(w);
}
