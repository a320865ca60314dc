/* How far a change is, from the agreed state and from what members report. */
#include "shard/change_watch.h"

#include "harness.h"

/* Two members with one copy of each slot; the second half goes from the first to the second. */
static struct metadata *state_of(void) {
    struct metadata *m = metadata_create();
    m->members_count = 2;
    m->epoch = 5;
    m->change = (struct ring_change){ .id = 3, .slots_total = RING_SLOTS / 2, .started_ms = 9 };
    for (uint32_t i = 0; i < 2; i++)
        m->members[i] = (struct metadata_member){ .id = i + 1, .weight = 1, .boot = 1 };
    m->members[0].state = m->members[1].state = MEMBER_ACTIVE;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        m->slots.lists[slot] = (struct slot_list){ .count = 1 };
        if (slot < RING_SLOTS / 2) continue;
        m->slots.phases[slot] = slot < RING_SLOTS / 2 + 100 ? SLOT_JOINT : SLOT_OLD;
        m->slots.epochs[slot] = 5;
        m->slots.targets[slot] = (struct slot_list){ .count = 1, .members = { 1 } };
    }
    return m;
}

static struct control_status status_of_two(uint64_t sent) {
    struct control_status s = { .report_count = 2 };
    s.reports[0] = (struct control_report){
        .member = 1, .boot = 1, .epoch_caught_up = 5, .load = { .held = RING_SLOTS, .sent = sent }
    };
    s.reports[1] = (struct control_report){ .member = 2, .boot = 1, .epoch_caught_up = 4 };
    return s;
}

TEST(change_watch, shows_nothing_without_a_change) {
    struct change_watch w = { .shown = { .id = 4 } };
    const struct control_status s = { .self = 1 };
    change_watch_look(&w, NULL, &s, 1000);
    CHECK(w.shown.id == 0);
}

TEST(change_watch, tells_slots_and_who_is_waited_for) {
    struct metadata *m = state_of();
    struct control_status s = status_of_two(0);
    struct change_watch w = { 0 };
    change_watch_look(&w, m, &s, 1000);
    CHECK(w.shown.id == 3 && w.shown.slots_total == RING_SLOTS / 2);
    CHECK(w.shown.slots_joint == 100 && w.shown.slots_done == 0);
    CHECK(w.shown.waits_count == 1 && w.shown.waits_for[0] == 2);
    s.reports[1].epoch_caught_up = 5;
    s.reports[0].boot = 0; /* of an earlier start */
    change_watch_look(&w, m, &s, 1000 + CHANGE_LOOK_MS);
    CHECK(w.shown.waits_count == 1 && w.shown.waits_for[0] == 1);
    m->members[0].state = MEMBER_DEAD;
    change_watch_look(&w, m, &s, 1000 + 2 * CHANGE_LOOK_MS);
    CHECK(w.shown.waits_count == 0);
    metadata_destroy(m);
}

/* A byte a slot, half of them to be sent. */
TEST(change_watch, reckons_bytes_rate_and_time) {
    struct metadata *m = state_of();
    struct change_watch w = { 0 };
    for (uint64_t i = 0; i <= 20; i++) {
        const struct control_status s = status_of_two(i * 100);
        change_watch_look(&w, m, &s, 5000 + i * 500);
        CHECK(w.shown.bytes_done == i * 100);
        CHECK(w.shown.bytes_total == RING_SLOTS / 2);
    }
    CHECK(w.shown.rate_bytes_s == 200);
    CHECK(w.shown.eta_ms == (RING_SLOTS / 2 - 2000) * 5);
    m->change.id = 4; /* another one has sent nothing yet */
    const struct control_status s = status_of_two(0);
    change_watch_look(&w, m, &s, 20000);
    CHECK(w.shown.rate_bytes_s == NODE_UNKNOWN && w.shown.eta_ms == NODE_UNKNOWN);
    metadata_destroy(m);
}

TEST(change_watch, knows_no_total_before_anybody_reports) {
    struct metadata *m = state_of();
    struct control_status s = { .self = 1 };
    struct change_watch w = { 0 };
    change_watch_look(&w, m, &s, 1000);
    CHECK(w.shown.bytes_total == NODE_UNKNOWN);
    s = status_of_two(RING_SLOTS);
    change_watch_look(&w, m, &s, 2000);
    CHECK(w.shown.bytes_total == RING_SLOTS); /* never less than was sent */
    CHECK(w.shown.waits_count == 1);
    metadata_destroy(m);
}
