#include "cluster/metadata.h"

#include "metadata_world.h"

/* Before there is a cluster nothing else is carried out, and then it is started once. */
TEST(metadata, bootstrap) {
    struct meta_world w;
    meta_world_init_empty(&w);
    CHECK_EQ(w.m->epoch, 0);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 1 }).code,
             META_NO_CLUSTER);

    struct metadata_command c;
    meta_world_bootstrap(&c, 3, 3);
    const struct metadata_result r = meta_world_apply(&w, &c);
    CHECK_EQ(r.code, META_OK);
    CHECK_EQ(r.value, 1);
    CHECK_EQ(w.m->epoch, 1);
    CHECK_EQ(w.m->member_last, 3);
    CHECK_EQ(w.m->members_count, 3);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(w.m->members[i].state, MEMBER_ACTIVE);
    const struct keyspace *k = metadata_find_keyspace(w.m, KEYSPACE_DEFAULT);
    CHECK(k != NULL);
    CHECK_BYTES(keyspace_name(k), BYTES_LIT("default"));
    CHECK_EQ(k->settings.replication.replicas, 3);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        CHECK_EQ(w.m->slots.lists[slot].count, 3);
        CHECK_EQ(w.m->slots.epochs[slot], 1);
    }
    meta_world_bootstrap(&c, 3, 3);
    CHECK_EQ(meta_world_apply(&w, &c).code, META_CLUSTER_EXISTS);
    meta_world_deinit(&w);
}

/* The first table is the ring's own, so that a node can compute it too. */
TEST(metadata, bootstrap_places_as_the_ring_does) {
    struct meta_world w;
    meta_world_init(&w, 7, 3);
    struct ring_inputs inputs;
    struct ring *r = NULL;
    metadata_inputs(w.m, &inputs);
    CHECK_EQ(inputs.count, 7);
    CHECK_EQ(inputs.replicas, 3);
    CHECK_OK(ring_create(inputs.members, inputs.count, 3, NULL, &r));
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        for (uint32_t i = 0; i < 3; i++)
            CHECK_EQ(w.m->slots.lists[slot].members[i], ring_list(r, slot)[i]);
    }
    ring_destroy(r);
    meta_world_deinit(&w);
}

static enum metadata_code bootstrap_code(struct metadata_command *c) {
    struct meta_world w;
    meta_world_init_empty(&w);
    const enum metadata_code code = meta_world_apply(&w, c).code;
    CHECK_EQ(w.m->epoch, code == META_OK);
    meta_world_deinit(&w);
    return code;
}

TEST(metadata, bootstrap_refusals) {
    struct metadata_command c;
    meta_world_bootstrap(&c, 3, 3);
    c.first[1].weight = 0;
    CHECK_EQ(bootstrap_code(&c), META_WEIGHT);
    c.first[1].weight = RING_WEIGHT_MAX + 1;
    CHECK_EQ(bootstrap_code(&c), META_WEIGHT);
    c.first[1].weight = RING_WEIGHT_MAX;
    CHECK_EQ(bootstrap_code(&c), META_OK);
    c.first[1].address = c.first[0].address;
    CHECK_EQ(bootstrap_code(&c), META_ADDRESS_TAKEN);
    c.first[1].address = BYTES_LIT("no-port");
    CHECK_EQ(bootstrap_code(&c), META_ADDRESS);
    meta_world_bootstrap(&c, 3, 3);
    c.first[0].id = 0;
    CHECK_EQ(bootstrap_code(&c), META_ID_USED);
    meta_world_bootstrap(&c, 3, 3);
    c.first[2].id = MEMBER_ID_MAX + 1;
    CHECK_EQ(bootstrap_code(&c), META_ID_USED);
    meta_world_bootstrap(&c, 3, 3);
    c.first[0].id = 2, c.first[1].id = 3, c.first[2].id = 4; /* the proposer is 1 */
    CHECK_EQ(bootstrap_code(&c), META_PROPOSER);
    meta_world_bootstrap(&c, 3, 3);
    c.settings.replication.write_quorum = 4;
    CHECK_EQ(bootstrap_code(&c), META_SETTINGS);
    meta_world_bootstrap(&c, 3, 3);
    c.settings.discipline = KEYSPACE_STRICT;
    c.settings.replication.read_quorum = 1;
    CHECK_EQ(bootstrap_code(&c), META_STRICT_N);
    meta_world_bootstrap(&c, 3, 3);
    c.replicas = 2;
    CHECK_EQ(bootstrap_code(&c), META_COPIES);
    c.replicas = 0;
    CHECK_EQ(bootstrap_code(&c), META_REPLICAS);
    c.replicas = REPLICAS_MAX + 1;
    CHECK_EQ(bootstrap_code(&c), META_REPLICAS);

    /* No id of a cluster. meta_world_apply fills one in, so this goes straight in. */
    struct meta_world w;
    meta_world_init_empty(&w);
    meta_world_bootstrap(&c, 3, 3);
    c.cluster = (struct cluster_id){ { 0 } };
    CHECK_EQ(metadata_apply(w.m, &c).code, META_OTHER_CLUSTER);
    CHECK_EQ(w.m->epoch, 0);
    meta_world_deinit(&w);
}

/* A command for another cluster, or of somebody who is no member, does nothing at all. */
TEST(metadata, strangers) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct metadata *before = metadata_clone(w.m);
    struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                  .member = { .id = 1, .weight = 7 },
                                  .proposal = { 1, 100 },
                                  .cluster = { { 9 } } };
    CHECK_EQ(metadata_apply(w.m, &c).code, META_OTHER_CLUSTER);
    c.cluster = meta_world_cluster;
    c.proposal.node = 4;
    CHECK_EQ(metadata_apply(w.m, &c).code, META_PROPOSER);
    CHECK(meta_world_equal(before, w.m));
    metadata_destroy(before);
    meta_world_deinit(&w);
}

/* A proposal that comes again gets its first answer and does nothing, be it carried out or
 * refused, and an older one is told apart. */
TEST(metadata, retries) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct metadata_command c = { .kind = METADATA_MEMBER_ADD,
                                  .member = { .weight = 1, .address = BYTES_LIT("a:1") } };
    const struct metadata_result first = meta_world_apply(&w, &c);
    CHECK_EQ(first.code, META_OK);
    CHECK_EQ(first.value, 4);
    struct metadata *before = metadata_clone(w.m);
    struct metadata_result again = metadata_apply(w.m, &c);
    CHECK_EQ(again.code, META_OK);
    CHECK_EQ(again.value, 4);
    CHECK(meta_world_equal(before, w.m));

    /* Another node's sequence is its own. */
    struct metadata_command other = c;
    other.proposal.node = 2;
    CHECK_EQ(metadata_apply(w.m, &other).code, META_ADDRESS_TAKEN);

    /* A refusal stays one, though the command would succeed by now. */
    struct metadata_command leave = { .kind = METADATA_MEMBER_REMOVE, .member = { .id = 4 } };
    other.proposal.node = 3;
    other.proposal.sequence = 50;
    CHECK_EQ(metadata_apply(w.m, &other).code, META_ADDRESS_TAKEN);
    CHECK_EQ(meta_world_apply(&w, &leave).code, META_OK);
    CHECK_EQ(metadata_apply(w.m, &other).code, META_ADDRESS_TAKEN);
    CHECK_EQ(metadata_find_member(w.m, 4), MEMBER_NONE);
    other.proposal.sequence = 51;
    CHECK_EQ(metadata_apply(w.m, &other).code, META_OK);

    /* What was before the last is not known any more. */
    CHECK_EQ(metadata_apply(w.m, &c).code, META_SEQUENCE);
    CHECK(metadata_check(w.m));
    metadata_destroy(before);
    meta_world_deinit(&w);
}

/* The answers survive a snapshot. */
TEST(metadata, retry_after_restore) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE,
                                  .name = BYTES_LIT("orders"),
                                  .settings = meta_world_settings(3, KEYSPACE_EVENTUAL) };
    CHECK_EQ(meta_world_apply(&w, &c).value, 1);
    struct buffer out;
    struct metadata *restored = NULL;
    CHECK_OK(metadata_decode(meta_world_encode(w.m, &out), &restored));
    const struct metadata_result again = metadata_apply(restored, &c);
    CHECK_EQ(again.code, META_OK);
    CHECK_EQ(again.value, 1);
    CHECK_EQ(restored->keyspaces_count, 2);
    CHECK(meta_world_equal(restored, w.m));
    CHECK_EQ(metadata_hash(restored), metadata_hash(w.m));
    buffer_deinit(&out);
    metadata_destroy(restored);
    meta_world_deinit(&w);
}

/* N of a keyspace is a prefix of the list; quorums are majorities or as given, and never more
 * than there are. */
TEST(metadata, replicas_of_a_slot) {
    struct meta_world w;
    meta_world_init(&w, 5, 5);
    struct keyspace k = { .settings = meta_world_settings(3, KEYSPACE_EVENTUAL) };
    struct slot_replicas r;
    metadata_replicas(w.m, 77, &k, &r);
    CHECK_EQ(r.phase, SLOT_SETTLED);
    CHECK_EQ(r.epoch, 1);
    CHECK_EQ(r.now.count, 3);
    CHECK_EQ(r.next.count, 0);
    CHECK_EQ(r.now.write_quorum, 2);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(r.now.ids[i], w.m->members[w.m->slots.lists[77].members[i]].id);
    k.settings.replication = (struct replication){ .replicas = 5, .write_quorum = 5 };
    metadata_replicas(w.m, 77, &k, &r);
    CHECK_EQ(r.now.count, 5);
    CHECK_EQ(r.now.write_quorum, 5);
    CHECK_EQ(r.now.read_quorum, 3);
    meta_world_deinit(&w);

    meta_world_init(&w, 2, 5);
    metadata_replicas(w.m, 77, &k, &r);
    CHECK_EQ(r.now.count, 2);
    CHECK_EQ(r.now.write_quorum, 2);
    CHECK_EQ(r.now.read_quorum, 2);
    meta_world_deinit(&w);
}

TEST(metadata, view) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    struct metadata_view view;
    CHECK_OK(metadata_view(w.m, 0, &view));
    CHECK_EQ(view.epoch, 1);
    CHECK_EQ(view.count, 4);
    uint32_t owned = 0, kept = 0;
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQ(view.members[i].id, i + 1);
        owned += view.members[i].owned;
        kept += view.members[i].kept;
    }
    CHECK_EQ(owned, RING_SLOTS);
    CHECK_EQ(kept, 3 * RING_SLOTS);
    CHECK_BYTES(bytes_of_string(view.members[1].address), BYTES_LIT("10.0.0.2:7000"));
    CHECK_OK(metadata_view(w.m, 1, &view));
    CHECK_STATUS(metadata_view(w.m, 2, &view), ST_CONFLICT);
    meta_world_deinit(&w);
}

/* Every field that can contradict another is seen. */
TEST(metadata, check_sees_damage) {
    struct meta_world w;
    meta_world_init(&w, 4, 3);
    struct metadata *m = w.m;
    struct metadata *good = metadata_clone(m);
    m->members[1].id = 1;
    CHECK(!metadata_check(m));
    m->members[1] = good->members[1], m->members[1].address[0] = ' ';
    CHECK(!metadata_check(m));
    m->members[1] = good->members[1], m->members[1].weight = 0;
    CHECK(!metadata_check(m));
    m->members[1] = good->members[1], m->members[1].state = MEMBER_JOINING;
    CHECK(!metadata_check(m));
    m->members[1] = good->members[1], m->member_last = 3;
    CHECK(!metadata_check(m));
    m->member_last = 4, m->keyspaces[0].id = 1;
    CHECK(!metadata_check(m));
    m->keyspaces[0].id = 0, m->replicas = 2; /* below what the keyspace wants */
    CHECK(!metadata_check(m));
    m->replicas = 3, m->slots.lists[9].members[2] = 4;
    CHECK(!metadata_check(m));
    m->slots.lists[9].members[2] = m->slots.lists[9].members[1];
    CHECK(!metadata_check(m));
    m->slots = good->slots, m->slots.lists[9].count = 0;
    CHECK(!metadata_check(m));
    m->slots = good->slots, m->slots.epochs[9] = 2;
    CHECK(!metadata_check(m));
    m->slots = good->slots, m->slots.phases[9] = SLOT_JOINT;
    CHECK(!metadata_check(m));
    m->slots = good->slots, m->slots.phases[9] = SLOT_NEW;
    CHECK(!metadata_check(m));
    m->slots = good->slots, m->change.paused = true;
    CHECK(!metadata_check(m));
    m->change.paused = false;
    CHECK(metadata_check(m));
    metadata_destroy(good);
    meta_world_deinit(&w);
}
