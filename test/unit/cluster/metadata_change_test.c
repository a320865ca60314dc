#include "cluster/metadata_internal.h"
#include "metadata_world.h"

#include <stdio.h>

static struct metadata_result add(struct meta_world *w, const char *address, uint32_t weight) {
    const struct member_wish wish = { .weight = weight, .address = bytes_of_string(address) };
    return meta_world_join(w, wish);
}

static uint32_t first_in(const struct metadata *m, enum slot_phase phase) {
    uint32_t slot = 0;
    while (slot < RING_SLOTS && m->slots.phases[slot] != phase) slot++;
    CHECK(slot < RING_SLOTS);
    return slot;
}

/* A member joins: every slot whose list differs goes through the phases, epochs rise with each
 * batch, and who counts is the old list, both, the new one. */
TEST(metadata_change, phases) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(add(&w, "a:1", 1).value, 4);
    CHECK_EQ(meta_world_begin_now(&w).value, 1);
    CHECK_EQ(w.m->epoch, 2);
    CHECK(w.m->change.slots_total >= RING_SLOTS * 3 / 4);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_JOINING);
    const uint32_t slot = first_in(w.m, SLOT_OLD);
    const struct keyspace *k = metadata_find_keyspace(w.m, 0);
    struct slot_replicas old, joint, new;
    metadata_replicas(w.m, slot, k, &old);
    CHECK_EQ(old.phase, SLOT_OLD);
    CHECK_EQ(old.epoch, 1);
    CHECK_EQ(old.next.count, 0);

    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_NEW, slot, slot).code, META_PHASE);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, slot, slot).value, 3);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, slot, slot).code, META_PHASE);
    metadata_replicas(w.m, slot, k, &joint);
    CHECK_EQ(joint.phase, SLOT_JOINT);
    CHECK_EQ(joint.epoch, 3);
    CHECK_EQ(joint.next.write_quorum, 2);
    CHECK(memcmp(&joint.now, &old.now, sizeof old.now) == 0);

    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_NEW, slot, slot).value, 4);
    metadata_replicas(w.m, slot, k, &new);
    CHECK_EQ(new.phase, SLOT_NEW);
    CHECK_EQ(new.epoch, 4);
    CHECK_EQ(new.next.count, 0);
    CHECK(memcmp(&new.now, &joint.next, sizeof new.now) == 0);
    CHECK_EQ(w.m->change.slots_done, 1);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, slot, slot).code, META_PHASE);

    meta_world_finish(&w);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_ACTIVE);
    CHECK_EQ(w.m->change_last, 1);
    CHECK_EQ(w.m->epoch, 6);
    metadata_replicas(w.m, slot, k, &new);
    CHECK_EQ(new.phase, SLOT_SETTLED);
    CHECK_EQ(new.epoch, 4); /* nothing about its replicas has changed since */
    meta_world_deinit(&w);
}

/* A batch with one slot in the wrong phase moves none. */
TEST(metadata_change, batches_are_whole) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, 0, 5).code, META_NO_CHANGE);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, 0, RING_SLOTS - 1).code, META_PHASE);
    struct metadata_command c = { .kind = METADATA_SLOTS_JOINT, .change = 2 };
    uint8_t packed[4] = { 0 };
    c.ranges = (struct slot_ranges){ 1, bytes_of(packed, sizeof packed) };
    CHECK_EQ(meta_world_apply(&w, &c).code, META_NO_CHANGE);
    meta_world_deinit(&w);
}

TEST(metadata_change, begin_refusals) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    struct ring_inputs good;
    metadata_inputs(w.m, &good);
    struct ring_inputs t = good;
    t.members[1].weight = 2;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_TARGET);
    t = good, t.members[1].zone = 2;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_TARGET);
    t = good, t.members[3].id = 5;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_TARGET);
    t = good, t.members[2] = t.members[3], t.count = 3; /* an active one is left out */
    CHECK_EQ(meta_world_begin(&w, &t).code, META_TARGET);
    t = good, t.replicas = 2;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_COPIES);
    t = good, t.replicas = 0;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_REPLICAS);
    t = good, t.replicas = REPLICAS_MAX + 1;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_REPLICAS);
    t = good, t.count = 3; /* who joins may wait */
    CHECK_EQ(meta_world_begin(&w, &t).code, META_OK);
    CHECK_EQ(w.m->change.id, 0); /* nothing had to move */
    CHECK_EQ(w.m->change_last, 1);
    CHECK_EQ(meta_world_begin(&w, &good).value, 2);
    CHECK_EQ(meta_world_begin(&w, &good).code, META_CHANGE_RUNNING);

    /* Members go away after the target was made. */
    meta_world_finish(&w);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 2 }).code,
             META_OK);
    CHECK_EQ(meta_world_begin(&w, &good).code, META_TARGET);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_deinit(&w);
}

TEST(metadata_change, pause_resume_throttle) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_PAUSE, 0).code, META_NO_CHANGE);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).value, 1);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, 10), 10);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_PAUSE, 1).code, META_OK);
    CHECK(w.m->change.paused);
    const uint32_t slot = first_in(w.m, SLOT_OLD);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, slot, slot).code, META_PAUSED);
    CHECK_EQ(meta_world_advance(&w, SLOT_JOINT, 10), 10); /* what has begun is finished */
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_RESUME, 2).code, META_NO_CHANGE);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_RESUME, 1).code, META_OK);
    CHECK_EQ(meta_world_step(&w, METADATA_SLOTS_JOINT, slot, slot).code, META_OK);
    struct metadata_command c = { .kind = METADATA_CHANGE_THROTTLE, .change = 1, .throttle = 99 };
    CHECK_EQ(meta_world_apply(&w, &c).code, META_OK);
    CHECK_EQ(w.m->change.throttle, 99);
    c.change = 2;
    CHECK_EQ(meta_world_apply(&w, &c).code, META_NO_CHANGE);
    meta_world_deinit(&w);
}

/* Slots that are new stay, all others are as before; a later change takes it up from there. */
TEST(metadata_change, cancel) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).value, 1);
    struct metadata *before = metadata_clone(w.m);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 2).code, META_NO_CHANGE);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, 300), 300);
    CHECK_EQ(meta_world_advance(&w, SLOT_JOINT, 100), 100);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_OK);
    CHECK_EQ(w.m->change.id, 0);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_ACTIVE); /* it keeps some */
    uint32_t stayed = 0, fenced = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list *list = &w.m->slots.lists[slot];
        const bool changed = !slot_list_equal(list, &before->slots.lists[slot]);
        if (changed) CHECK(slot_list_equal(list, &before->slots.targets[slot]));
        stayed += changed;
        fenced += w.m->slots.epochs[slot] == w.m->epoch;
    }
    CHECK_EQ(stayed, 100);
    CHECK_EQ(fenced, 200); /* those that were joint */
    CHECK_EQ(meta_world_begin_now(&w).value, 2);
    meta_world_finish(&w);
    metadata_destroy(before);
    meta_world_deinit(&w);
}

/* Cancelled before anything is new: as if it had never begun, but for the numbers. */
TEST(metadata_change, cancel_at_once) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    struct metadata *before = metadata_clone(w.m);
    CHECK_EQ(meta_world_begin_now(&w).value, 1);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).value, 3);
    CHECK(memcmp(before->slots.lists, w.m->slots.lists, sizeof before->slots.lists) == 0);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_JOINING);
    metadata_destroy(before);
    meta_world_deinit(&w);
}

/* More copies first, then keyspaces that want them; fewer only when none wants them. */
TEST(metadata_change, replicas) {
    struct meta_world w;
    meta_world_init(&w, 6, 3);
    struct ring_inputs t;
    metadata_inputs(w.m, &t);
    t.replicas = 5;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_OK);
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE,
                                  .name = BYTES_LIT("five"),
                                  .settings = meta_world_settings(5, KEYSPACE_EVENTUAL) };
    CHECK_EQ(meta_world_apply(&w, &c).code, META_COPIES);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, 1000), 1000);
    CHECK_EQ(meta_world_advance(&w, SLOT_JOINT, 500), 500);

    /* Cancelled half way, lists are of two lengths, and the shorter counts. */
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_OK);
    CHECK_EQ(w.m->replicas, 3);
    CHECK_EQ(meta_world_apply(&w, &c).code, META_COPIES);
    uint32_t long_lists = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++)
        long_lists += w.m->slots.lists[slot].count == 5;
    CHECK_EQ(long_lists, 500);

    CHECK_EQ(meta_world_begin(&w, &t).code, META_OK);
    CHECK_EQ(w.m->change.slots_total, RING_SLOTS - 500); /* none of the 500 is moved again */
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 5);
    CHECK_EQ(meta_world_apply(&w, &c).code, META_OK);
    t.replicas = 3;
    CHECK_EQ(meta_world_begin(&w, &t).code, META_COPIES);
    struct metadata_command drop = { .kind = METADATA_KEYSPACE_DROP, .keyspace = 1 };
    CHECK_EQ(meta_world_apply(&w, &drop).code, META_OK);
    CHECK_EQ(meta_world_begin(&w, &t).code, META_OK);
    CHECK_EQ(meta_world_apply(&w, &c).code, META_COPIES);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, 10), 10);
    CHECK_EQ(meta_world_advance(&w, SLOT_JOINT, 10), 10);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, w.m->change.id).code, META_OK);
    CHECK_EQ(w.m->replicas, 3);
    meta_world_deinit(&w);
}

static struct metadata_result ask_replicas(struct meta_world *w, uint32_t replicas) {
    struct metadata_command c = { .kind = METADATA_REPLICAS, .replicas = replicas };
    return meta_world_apply(w, &c);
}

static bool is_due(const struct metadata *m) {
    struct ring_inputs inputs;
    metadata_inputs(m, &inputs);
    return metadata_change_is_due(m, metadata_inputs_hash(&inputs));
}

/* Another N is asked for like another weight: a change becomes due, and takes what was asked for
 * last. Until it is over no keyspace may want more than the smaller N. */
TEST(metadata_change, replicas_are_asked_for) {
    struct meta_world w;
    meta_world_init(&w, 6, 3);
    CHECK_EQ(ask_replicas(&w, 0).code, META_REPLICAS);
    CHECK_EQ(ask_replicas(&w, REPLICAS_MAX + 1).code, META_REPLICAS);
    CHECK_EQ(ask_replicas(&w, 2).code, META_COPIES); /* the default keyspace wants 3 */
    CHECK(!is_due(w.m));
    CHECK_EQ(ask_replicas(&w, 4).code, META_OK);
    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK(is_due(w.m));
    struct metadata_command alter = { .kind = METADATA_KEYSPACE_ALTER,
                                      .settings = meta_world_settings(5, KEYSPACE_EVENTUAL) };
    CHECK_EQ(meta_world_apply(&w, &alter).code, META_COPIES);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(w.m->change.replicas, 5);
    CHECK_EQ(meta_world_apply(&w, &alter).code, META_COPIES);
    CHECK_EQ(ask_replicas(&w, 4).code, META_OK); /* comes after it */
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 5);
    CHECK(is_due(w.m));
    CHECK_EQ(meta_world_apply(&w, &alter).code, META_COPIES); /* there are 5, but will be 4 */
    alter.settings.replication.replicas = 4;
    CHECK_EQ(meta_world_apply(&w, &alter).code, META_OK);
    CHECK_EQ(ask_replicas(&w, 3).code, META_COPIES);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 4);
    CHECK_EQ(w.m->replicas_next, 0);
    CHECK(!is_due(w.m));
    meta_world_deinit(&w);
}

/* Fewer members than N are well: lists grow when others join. */
TEST(metadata_change, replicas_above_the_members) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(w.m->change.id, 0); /* no list is another */
    CHECK_EQ(w.m->replicas, 5);
    CHECK_EQ(w.m->slots.lists[7].count, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(add(&w, "b:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(w.m->slots.lists[slot].count, 5);
    meta_world_deinit(&w);
}

/* People who cancel the change want the other N no more; a change that ends because a member
 * died is begun anew without that, and still leads to it. */
TEST(metadata_change, replicas_cancelled) {
    struct meta_world w;
    meta_world_init(&w, 6, 3);
    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, RING_SLOTS), RING_SLOTS);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_OK);
    CHECK_EQ(w.m->replicas_next, 0);
    CHECK(!is_due(w.m));

    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK(!metadata_leads_to_dead(w.m));
    const struct member_wish dead = { .id = 6 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, dead).code, META_OK);
    CHECK(metadata_leads_to_dead(w.m));
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 2).code, META_OK);
    CHECK_EQ(w.m->replicas_next, 5);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 5);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(w.m->slots.lists[slot].count, 5);

    /* One for something else is cancelled: the wish is none of its business. */
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(ask_replicas(&w, 3).code, META_OK);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, w.m->change.id).code, META_OK);
    CHECK_EQ(w.m->replicas_next, 3);
    meta_world_deinit(&w);
}

static struct metadata_result alter(struct meta_world *w, enum metadata_kind kind, uint8_t n) {
    struct metadata_command c = { .kind = kind,
                                  .settings = meta_world_settings(n, KEYSPACE_EVENTUAL) };
    return meta_world_apply(w, &c);
}

/* How many of the first slot's copies count for the default keyspace: of its list, its target. */
static void check_counts(const struct metadata *m, uint32_t now, uint32_t next) {
    struct slot_replicas r;
    metadata_replicas(m, 0, metadata_find_keyspace(m, 0), &r);
    CHECK_EQ(r.now.count, now);
    CHECK_EQ(r.next.count, next);
    CHECK_EQ(r.now.write_quorum, now / 2 + 1);
    if (next > 0) CHECK_EQ(r.next.read_quorum, next / 2 + 1);
}

/* A keyspace that asks for more copies than slots have gets them slot by slot: they count in
 * quorums of their own while they are made, and alone once they are there. */
TEST(metadata_change, a_keyspace_widens_the_slots) {
    struct meta_world w;
    meta_world_init(&w, 6, 3);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_ALTER, 5).code, META_COPIES);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 8).code, META_SETTINGS);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 5).code, META_OK);
    CHECK_EQ(w.m->replicas, 3);
    CHECK_EQ(w.m->replicas_next, 5);
    check_counts(w.m, 3, 0);
    CHECK_EQ(ask_replicas(&w, 4).code, META_COPIES);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    check_counts(w.m, 3, 0);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_ALTER, 5).code, META_OK); /* W, R or a ttl, that is */
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, RING_SLOTS), RING_SLOTS);
    check_counts(w.m, 3, 5);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_COPIES);
    meta_world_finish(&w);
    check_counts(w.m, 5, 0);
    CHECK_EQ(w.m->replicas_next, 0);
    meta_world_deinit(&w);
}

/* With fewer members it is so at once; what died in a change that it needs is no way out. */
TEST(metadata_change, a_keyspace_widens_in_bad_times) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 4).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    const struct member_wish dead = { .id = 4 };
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_DEAD, dead).code, META_OK);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_OK);
    CHECK_EQ(w.m->replicas_next, 4);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK); /* lists were of three */
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 4);
    check_counts(w.m, 3, 0);
    meta_world_deinit(&w);
}

/* While targets are longer than what the keyspace takes, nodes that know of its new N and others
 * would be content with copies that have none in common. */
TEST(metadata_change, a_keyspace_widens_before_or_after) {
    struct meta_world w;
    meta_world_init(&w, 6, 3);
    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 5).code, META_CHANGE_RUNNING);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, 1).code, META_OK);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(w.m->change.replicas, 3);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 5).code, META_OK); /* no list is longer by this */
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 3);
    CHECK(is_due(w.m));
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    CHECK_EQ(w.m->replicas, 5);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_ALTER, 3).code, META_OK);
    CHECK_EQ(ask_replicas(&w, 3).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(alter(&w, METADATA_KEYSPACE_WIDEN, 7).code, META_CHANGE_RUNNING);
    meta_world_finish(&w);
    meta_world_deinit(&w);
}

/* Majorities of three and of five copies are counted each of its own list while a slot is joint,
 * and what is asked for by number is no more than a list has. */
TEST(metadata_change, majorities_of_two_lengths) {
    struct meta_world w;
    meta_world_init(&w, 5, 3);
    const struct keyspace *k = metadata_find_keyspace(w.m, 0);
    struct slot_replicas r;
    CHECK_EQ(ask_replicas(&w, 5).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, RING_SLOTS), RING_SLOTS);
    struct keyspace five = *k;
    five.settings.replication.replicas = 5;
    metadata_replicas(w.m, 9, &five, &r);
    CHECK(r.now.count == 3 && r.now.write_quorum == 2 && r.now.read_quorum == 2);
    CHECK(r.next.count == 5 && r.next.write_quorum == 3 && r.next.read_quorum == 3);
    five.settings.replication.write_quorum = 4;
    metadata_replicas(w.m, 9, &five, &r);
    CHECK(r.now.write_quorum == 3 && r.next.write_quorum == 4);
    metadata_replicas(w.m, 9, k, &r); /* the keyspace keeps its own N */
    CHECK(r.now.count == 3 && r.next.count == 3 && r.next.write_quorum == 2);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(r.next.ids[i], r.now.ids[i]);
    meta_world_deinit(&w);
}

/* A member too light for a single slot is in at once. */
TEST(metadata_change, lightest_member) {
    struct meta_world w;
    struct metadata_command c;
    meta_world_init_empty(&w);
    meta_world_bootstrap(&c, 3, 1);
    for (uint32_t i = 0; i < 3; i++) c.first[i].weight = 1000000;
    CHECK_EQ(meta_world_apply(&w, &c).code, META_OK);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK_EQ(w.m->change.id, 0);
    CHECK_EQ(metadata_member_state(w.m, 4), MEMBER_ACTIVE);
    meta_world_deinit(&w);
}

/* Members and keyspaces change while slots do. */
TEST(metadata_change, other_commands_go_on) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    CHECK_EQ(add(&w, "a:1", 1).code, META_OK);
    CHECK_EQ(add(&w, "a:2", 1).code, META_OK);
    struct ring_inputs t;
    metadata_inputs(w.m, &t);
    t.count = 5; /* the sixth waits */
    CHECK_EQ(meta_world_begin(&w, &t).code, META_OK);
    CHECK_EQ(meta_world_advance(&w, SLOT_OLD, 100), 100);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 6 }).code,
             META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 5 }).code,
             META_HOLDS_SLOTS); /* it is in targets */
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 1 }).code,
             META_OK);
    CHECK_EQ(
        meta_world_member(&w, METADATA_MEMBER_WEIGHT, (struct member_wish){ .id = 2, .weight = 9 })
            .code,
        META_OK);
    meta_world_finish(&w);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 1 }).code,
             META_OK);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(w.m->slots.lists[slot].count, 3);
    meta_world_deinit(&w);
}
