/* Views: of fixed lists, and of states of the metadata that change. */
#include "cluster/membership.h"

#include "harness.h"
#include "metadata_world.h"

#include <stdio.h>

#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static const struct replication three = { .replicas = 3 };

static const char *const trio[] = { "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080" };

static struct membership *make(const char *const *addresses, uint32_t count, const char *self,
                               struct replication replication) {
    struct membership *m = NULL;
    CHECK_OK(membership_create(addresses, count, self, replication, &m));
    CHECK(membership_check(m));
    return m;
}

static struct cluster_id cluster(const char *const *addresses, uint32_t count, const char *self,
                                 struct replication replication) {
    struct membership *m = make(addresses, count, self, replication);
    const struct cluster_id id = m->cluster;
    membership_destroy(m);
    return id;
}

/* Refused: nothing is made, and nothing is written to the result. */
static void check_refused(const char *const *addresses, uint32_t count, const char *self,
                          struct replication replication, enum status_code code) {
    struct membership untouched;
    struct membership *m = &untouched;
    CHECK_STATUS(membership_create(addresses, count, self, replication, &m), code);
    CHECK(m == &untouched);
}

/* Members are numbered by their sorted addresses; self is found among them; zeros became
 * majorities. */
TEST(membership, three_nodes) {
    struct membership *m = make(trio, 3, trio[1], three);
    CHECK_EQ(m->count, 3);
    CHECK_EQ(m->epoch, 1);
    CHECK_EQ(m->self, 1);
    const struct replication r = membership_replication(m, KEYSPACE_DEFAULT);
    CHECK_EQ(r.replicas, 3);
    CHECK_EQ(r.write_quorum, 2);
    CHECK_EQ(r.read_quorum, 2);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(m->all[i].id, i + 1);
        CHECK_EQ(m->all[i].weight, 1);
        CHECK_EQ(m->all[i].state, MEMBER_ACTIVE);
        CHECK_BYTES(bytes_of_string(m->all[i].address), bytes_of_string(trio[i]));
        CHECK_EQ(membership_find(m, i + 1), i);
    }
    CHECK_EQ(membership_find(m, 0), MEMBER_NONE);
    CHECK_EQ(membership_find(m, 4), MEMBER_NONE);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        CHECK_EQ(membership_list(m, slot)->count, 3);
        for (uint32_t i = 0; i < 3; i++) CHECK(membership_keeps(m, slot, i));
        CHECK(!membership_keeps(m, slot, 3));
        CHECK(!membership_keeps(m, slot, MEMBER_NONE));
    }
    membership_destroy(m);
    membership_destroy(NULL);
}

/* Sets of members: over the edges of words, and past the end. */
TEST(place_set, members) {
    struct place_set s = { { 0 } }, t = { { 0 } };
    const uint16_t some[] = { 0, 63, 64, 200, MEMBERS_MAX - 1 };
    CHECK_EQ(place_set_next(&s, 0), MEMBER_NONE);
    CHECK_EQ(place_set_free(&s), 0);
    for (uint32_t i = 0; i < 5; i++) place_set_add(&s, some[i]);
    uint32_t count = 0;
    for (uint32_t i = place_set_next(&s, 0); i != MEMBER_NONE; i = place_set_next(&s, i + 1))
        CHECK_EQ(i, some[count++]);
    CHECK_EQ(count, 5);
    CHECK_EQ(place_set_count(&s), 5);
    CHECK_EQ(place_set_free(&s), 1);
    CHECK_EQ(place_set_next(&s, MEMBERS_MAX), MEMBER_NONE);
    CHECK(place_set_covers(&s, &t) && !place_set_covers(&t, &s));
    place_set_add(&t, 200);
    CHECK(place_set_covers(&s, &t) && !place_set_equal(&s, &t));
    place_set_remove_all(&s, &t);
    CHECK(!place_set_has(&s, 200) && place_set_has(&s, 64));
    place_set_remove(&s, 64);
    CHECK_EQ(place_set_count(&s), 3);
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) place_set_add(&t, i);
    CHECK_EQ(place_set_free(&t), MEMBER_NONE);
    CHECK_EQ(place_set_count(&t), MEMBERS_MAX);
    CHECK_ABORTS(place_set_add(&t, MEMBERS_MAX));
}

TEST(membership, goes_over_used_places) {
    struct membership *m = make(trio, 3, NULL, three);
    CHECK_EQ(membership_next(m, 0), 0);
    CHECK_EQ(membership_next(m, 1), 1);
    CHECK_EQ(membership_next(m, 3), MEMBER_NONE);
    CHECK_EQ(membership_next(m, MEMBERS_MAX), MEMBER_NONE);
    CHECK_EQ(membership_next(m, MEMBER_NONE), MEMBER_NONE);
    membership_destroy(m);
}

/* Whatever order a node was given the list in, with or without itself, it agrees with the
 * others on ids, placement and the cluster. */
TEST(membership, order_and_doubles_do_not_matter) {
    static const char *const mixed[] = { "10.0.0.3:8080", "10.0.0.1:8080", "10.0.0.3:8080",
                                         "10.0.0.1:8080" };
    struct membership *a = make(trio, 3, trio[0], three);
    struct membership *b = make(mixed, COUNT_OF(mixed), "10.0.0.2:8080", three);
    CHECK_EQ(a->count, b->count);
    CHECK(cluster_id_equal(&a->cluster, &b->cluster));
    CHECK_EQ(a->self, 0);
    CHECK_EQ(b->self, 1);
    CHECK_EQ(a->places, b->places);
    CHECK(memcmp(a->all, b->all, a->places * sizeof *a->all) == 0);
    CHECK(memcmp(&a->slots, &b->slots, sizeof a->slots) == 0);
    membership_destroy(a);
    membership_destroy(b);
}

/* An own address that is missing in the list is added; alone it is a cluster of one. */
TEST(membership, self_is_added) {
    struct membership *m = make(trio, 2, trio[2], three);
    CHECK_EQ(m->count, 3);
    CHECK_EQ(m->self, 2);
    membership_destroy(m);

    m = make(NULL, 0, trio[0], three);
    CHECK_EQ(m->count, 1);
    CHECK_EQ(m->self, 0);
    CHECK_EQ(membership_list(m, 0)->count, 1);
    CHECK_EQ(m->replicas, 3); /* as asked for, whoever is there */
    CHECK_EQ(membership_replication(m, 0).write_quorum, 2);
    membership_destroy(m);
}

/* A proxy is nobody, and agrees with those who are. */
TEST(membership, proxy) {
    struct membership *m = make(trio, 3, NULL, three);
    const struct cluster_id id = cluster(trio, 3, trio[0], three);
    CHECK_EQ(m->count, 3);
    CHECK_EQ(m->self, MEMBER_NONE);
    CHECK(cluster_id_equal(&m->cluster, &id));
    membership_destroy(m);
    check_refused(NULL, 0, NULL, three, ST_INVALID);
}

/* The id of the cluster tells apart whatever the nodes must agree on. */
TEST(membership, another_list_is_another_cluster) {
    static const char *const other[] = { "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8081" };
    static const struct replication ways[] = {
        { 3, 2, 2 }, { 3, 1, 2 }, { 3, 2, 1 }, { 3, 3, 2 }, { 3, 2, 3 }, { 5, 2, 2 }, { 2, 2, 2 },
    };
    struct cluster_id seen[COUNT_OF(ways) + 2];
    for (uint32_t i = 0; i < COUNT_OF(ways); i++) seen[i] = cluster(trio, 3, NULL, ways[i]);
    seen[COUNT_OF(ways)] = cluster(other, 3, NULL, three);
    seen[COUNT_OF(ways) + 1] = cluster(trio, 2, NULL, three);
    for (uint32_t i = 0; i < COUNT_OF(seen); i++) {
        for (uint32_t j = 0; j < i; j++) CHECK(!cluster_id_equal(&seen[i], &seen[j]));
    }
    /* A majority by default or by number is the same. */
    const struct cluster_id by_default = cluster(trio, 3, NULL, three);
    CHECK(cluster_id_equal(&seen[0], &by_default));
}

/* N, W and R within 1..N, and N within what a slot can have. */
TEST(membership, replication_bounds) {
    for (uint32_t n = 0; n <= UINT8_MAX; n++) {
        const struct replication r = { .replicas = (uint8_t)n };
        if (n < 1 || n > REPLICAS_MAX) {
            check_refused(trio, 3, NULL, r, ST_INVALID);
            continue;
        }
        struct membership *m = make(trio, 3, NULL, r);
        CHECK_EQ(membership_replication(m, 0).write_quorum, n / 2 + 1);
        CHECK_EQ(membership_replication(m, 0).read_quorum, n / 2 + 1);
        CHECK_EQ(membership_list(m, 9)->count, n < 3 ? n : 3);
        membership_destroy(m);
    }
    check_refused(trio, 3, NULL, (struct replication){ 3, 4, 2 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 3, 2, 4 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 3, UINT8_MAX, 0 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 0, 1, 1 }, ST_INVALID);
    struct membership *m = make(trio, 3, NULL, (struct replication){ 3, 3, 1 });
    CHECK_EQ(membership_replication(m, 0).write_quorum, 3);
    CHECK_EQ(membership_replication(m, 0).read_quorum, 1);
    CHECK_EQ(membership_quorum(0, 2), 2);
    CHECK_EQ(membership_quorum(3, 2), 2);
    CHECK_EQ(membership_quorum(1, 2), 1);
    membership_destroy(m);
}

/* As many as there may be, doubles not counted, and not one more. */
TEST(membership, too_many) {
    static char text[FOUNDERS_MAX + 1][24];
    const char *addresses[2 * FOUNDERS_MAX + 1];
    for (uint32_t i = 0; i <= FOUNDERS_MAX; i++)
        (void)snprintf(text[i], sizeof text[i], "10.1.0.%u:7000", i);
    for (uint32_t i = 0; i < 2 * FOUNDERS_MAX; i++) addresses[i] = text[i % FOUNDERS_MAX];
    addresses[2 * FOUNDERS_MAX] = text[FOUNDERS_MAX];

    struct membership *m = make(addresses, 2 * FOUNDERS_MAX, text[7], three);
    CHECK_EQ(m->count, FOUNDERS_MAX);
    membership_destroy(m);
    check_refused(addresses, 2 * FOUNDERS_MAX, text[FOUNDERS_MAX], three, ST_FULL);
    check_refused(addresses, 2 * FOUNDERS_MAX + 1, NULL, three, ST_FULL);
}

/* An address must have room with its NUL, and be one. */
TEST(membership, addresses_are_judged) {
    char text[MEMBER_ADDRESS_BYTES + 1];
    memset(text, 'a', sizeof text);
    memcpy(text + MEMBER_ADDRESS_BYTES - 2, ":1", 3);
    check_refused(trio, 3, text, three, ST_INVALID);
    memcpy(text + MEMBER_ADDRESS_BYTES - 3, ":1", 3);
    struct membership *m = make(trio, 3, text, three);
    CHECK_BYTES(bytes_of_string(m->all[m->self].address), bytes_of_string(text));
    membership_destroy(m);
    check_refused(trio, 3, "", three, ST_INVALID);
    check_refused(trio, 3, "10.0.0.9", three, ST_INVALID);
}

/* Nodes of one list must agree for ever on what it stands for: it places the slots. */
TEST(membership, golden) {
    char text[CLUSTER_ID_TEXT_BYTES];
    const struct cluster_id id = cluster(trio, 3, NULL, three);
    cluster_id_print(&id, text);
    CHECK_BYTES(bytes_of_string(text), BYTES_LIT("f58afd9e760f7e1d184b77ceaacd3f92"));
}

/* ---- of a state of the metadata ---- */

/* The view after `previous`, which is destroyed. */
static struct membership *next_view(const struct meta_world *w, uint32_t self,
                                    struct membership *previous) {
    struct membership *m = NULL;
    CHECK_OK(membership_from_metadata(w->m, self, previous, &m));
    CHECK_EQ(m->epoch, w->m->epoch);
    CHECK_EQ(m->revision, w->m->revision);
    CHECK_EQ(m->count, w->m->members_count);
    membership_destroy(previous);
    return m;
}

static void join(struct meta_world *w, const char *address) {
    const struct member_wish wish = { .weight = 1, .address = bytes_of_string(address) };
    (void)meta_world_join(w, wish);
}

/* The list comes first, then who is in the target only; each member once. */
static void check_union(const struct slot_places *p) {
    CHECK(p->count >= p->list.count && p->count <= p->list.count + p->target.count);
    uint32_t in_target = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const bool listed = i < p->list.count;
        const bool targeted = slot_list_place(&p->target, p->all[i]) >= 0;
        if (listed) CHECK_EQ(p->all[i], p->list.members[i]);
        CHECK(listed || targeted);
        CHECK_EQ((p->in_target >> i & 1) != 0, targeted);
        CHECK_EQ(slot_places_find(p, p->all[i]), i);
        in_target += targeted;
    }
    CHECK_EQ(in_target, p->target.count);
    CHECK_EQ(p->in_target >> p->count, 0);
    CHECK_EQ(slot_places_find(p, MEMBER_NONE), -1);
}

/* Every slot names the same members, by id, as the metadata does. */
static void check_slots(const struct meta_world *w, const struct membership *m) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        struct slot_replicas ids;
        struct slot_places places;
        metadata_replicas(w->m, slot, &w->m->keyspaces[0], &ids);
        membership_replicas(m, slot, KEYSPACE_DEFAULT, &places);
        CHECK_EQ(places.phase, ids.phase);
        CHECK_EQ(places.epoch, ids.epoch);
        CHECK_EQ(places.list.count, ids.now.count);
        CHECK_EQ(places.target.count, ids.next.count);
        for (uint32_t i = 0; i < ids.now.count; i++)
            CHECK_EQ(m->all[places.list.members[i]].id, ids.now.ids[i]);
        for (uint32_t i = 0; i < ids.next.count; i++) {
            CHECK_EQ(m->all[places.target.members[i]].id, ids.next.ids[i]);
            CHECK(membership_keeps(m, slot, places.target.members[i]));
        }
        check_union(&places);
    }
}

TEST(membership, without_a_cluster) {
    struct meta_world w;
    meta_world_init_empty(&w);
    struct membership *m = next_view(&w, 1, NULL);
    CHECK_EQ(m->self, MEMBER_NONE);
    CHECK_EQ(membership_next(m, 0), MEMBER_NONE);
    CHECK(!membership_keeps(m, 7, 0));
    membership_destroy(m);
    m = membership_create_empty();
    CHECK(membership_check(m));
    membership_destroy(m);
    meta_world_deinit(&w);
}

/* A member that joins gets a free place and slots step by step, and one that leaves gives its
 * place back; everybody else stays where it is, though indexes of the metadata move. */
TEST(membership, places_stay) {
    struct meta_world w;
    meta_world_init(&w, 3, 2);
    struct membership *m = next_view(&w, 2, NULL);
    join(&w, "10.0.0.9:1");
    m = next_view(&w, 2, m);
    CHECK_EQ(m->all[3].id, 4);
    CHECK_EQ(m->all[3].state, MEMBER_JOINING);
    check_slots(&w, m);

    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    m = next_view(&w, 2, m);
    check_slots(&w, m);
    uint32_t kept = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) kept += membership_keeps(m, slot, 3);
    CHECK_EQ(kept, 0); /* old: the target does not count yet */
    CHECK(meta_world_advance(&w, SLOT_OLD, 500) > 0);
    m = next_view(&w, 2, m);
    check_slots(&w, m);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) kept += membership_keeps(m, slot, 3);
    CHECK(kept > 0);
    meta_world_finish(&w);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 1 }).code,
             META_OK);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    meta_world_finish(&w);
    w.proposer = 2;
    w.sequence = 1000;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 1 }).code,
             META_OK);
    m = next_view(&w, 2, m);
    CHECK_EQ(m->self, 1);
    CHECK_EQ(m->all[0].id, 0);
    CHECK_EQ(m->all[1].id, 2);
    CHECK_EQ(m->all[3].id, 4);
    CHECK_EQ(m->all[3].state, MEMBER_ACTIVE);
    CHECK_EQ(membership_next(m, 0), 1);
    check_slots(&w, m);

    join(&w, "10.0.0.10:1");
    m = next_view(&w, 2, m);
    CHECK_EQ(m->all[0].id, 5); /* it was free in the view before */
    membership_destroy(m);
    meta_world_deinit(&w);
}

/* A view holds as many places as are used, and says of others that nobody is there. */
TEST(membership, places_end_with_the_last) {
    struct meta_world w;
    meta_world_init(&w, 2, 2);
    join(&w, "10.0.0.9:1");
    struct membership *m = next_view(&w, 1, NULL);
    CHECK_EQ(m->places, 3);
    CHECK_EQ(membership_member(m, 2)->id, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 3 }).code,
             META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 3 }).code,
             META_OK);
    m = next_view(&w, 1, m);
    CHECK_EQ(m->places, 2);
    CHECK_EQ(membership_member(m, 2)->id, 0);
    CHECK_EQ(membership_member(m, MEMBERS_MAX - 1)->address[0], '\0');
    membership_destroy(m);
    m = membership_create_empty();
    CHECK_EQ(m->places, 0);
    CHECK_EQ(membership_member(m, 0)->id, 0);
    membership_destroy(m);
    meta_world_deinit(&w);
}

/* A place that was given up between two views is not given out by the second. */
TEST(membership, a_place_rests_for_one_view) {
    struct meta_world w;
    meta_world_init(&w, 2, 2);
    join(&w, "10.0.0.9:1");
    struct membership *m = next_view(&w, 1, NULL);
    CHECK_EQ(m->all[2].id, 3);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = 3 }).code,
             META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 3 }).code,
             META_OK);
    join(&w, "10.0.0.9:1");
    m = next_view(&w, 3, m);
    CHECK_EQ(m->all[2].id, 0);
    CHECK_EQ(m->all[3].id, 4);
    CHECK_EQ(m->self, MEMBER_NONE); /* it was removed */
    membership_destroy(m);
    meta_world_deinit(&w);
}

TEST(membership, no_place_is_free_at_once) {
    struct meta_world w;
    meta_world_init(&w, MEMBERS_MAX - 1, 3);
    join(&w, "10.0.9.9:1");
    struct membership *m = next_view(&w, 1, NULL);
    const uint32_t last = MEMBERS_MAX;
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_LEAVE, (struct member_wish){ .id = last }).code,
             META_OK);
    CHECK_EQ(meta_world_member(&w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = last }).code,
             META_OK);
    struct metadata *between = metadata_clone(w.m);
    join(&w, "10.0.9.9:1");
    struct membership *none = NULL;
    CHECK_STATUS(membership_from_metadata(w.m, 1, m, &none), ST_BUSY);
    CHECK(none == NULL);
    struct membership *without = NULL;
    CHECK_OK(membership_from_metadata(between, 1, m, &without));
    membership_destroy(m);
    m = next_view(&w, 1, without);
    CHECK_EQ(m->all[MEMBERS_MAX - 1].id, last + 1);
    membership_destroy(m);
    metadata_destroy(between);
    meta_world_deinit(&w);
}

/* A keyspace takes the first N of each list. */
TEST(membership, keyspaces_take_the_first) {
    struct meta_world w;
    meta_world_init(&w, 5, 5);
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE,
                                  .name = BYTES_LIT("small"),
                                  .settings = meta_world_settings(2, KEYSPACE_EVENTUAL) };
    const uint16_t id = (uint16_t)meta_world_apply(&w, &c).value;
    struct membership *m = next_view(&w, 1, NULL);
    struct slot_places all, two, unknown;
    membership_replicas(m, 77, KEYSPACE_DEFAULT, &all);
    membership_replicas(m, 77, id, &two);
    membership_replicas(m, 77, (uint16_t)(id + 1), &unknown);
    CHECK_EQ(all.list.count, 5);
    CHECK_EQ(two.list.count, 2);
    CHECK_EQ(two.list.members[0], all.list.members[0]);
    CHECK_EQ(two.list.members[1], all.list.members[1]);
    CHECK_EQ(two.list.members[2], 0);
    CHECK(!slot_places_equal(&two, &all));
    CHECK(slot_places_equal(&unknown, &all));
    unknown.epoch++;
    CHECK(!slot_places_equal(&unknown, &all)); /* the same members, and still news */
    struct membership *clone = membership_clone(m);
    membership_destroy(m);
    CHECK(membership_check(clone));
    membership_replicas(clone, 77, id, &two);
    CHECK_EQ(two.list.count, 2);
    membership_destroy(clone);
    meta_world_deinit(&w);
}

/* Whom a member keeps slots with: of a list that it is in, and of a target while both count. */
TEST(membership, neighbors) {
    struct meta_world w;
    struct place_set all;
    meta_world_init(&w, 40, 3);
    struct membership *m = next_view(&w, 1, NULL);
    membership_neighbors(m, MEMBER_NONE, 0, 1, &all);
    CHECK_EQ(place_set_count(&all), 0);
    for (uint32_t first = 0; first < 16; first += 15) {
        struct place_set expected = { { 0 } };
        for (uint32_t slot = first; slot < RING_SLOTS; slot += 16) {
            const struct slot_list *list = membership_list(m, slot);
            for (uint32_t i = 0; i < 3 && membership_place(m, slot, 7) >= 0; i++) {
                if (list->members[i] != 7) place_set_add(&expected, list->members[i]);
            }
        }
        membership_neighbors(m, 7, first, 16, &all);
        CHECK(place_set_equal(&all, &expected));
        CHECK(place_set_count(&all) > 2);
        CHECK(!place_set_has(&all, 7));
    }
    m->slots.phases[5] = SLOT_JOINT;
    m->slots.targets[5] = (struct slot_list){ .count = 2, .members = { 7, 39 } };
    m->slots.lists[5] = (struct slot_list){ .count = 1, .members = { 3 } };
    membership_neighbors(m, 7, 5, RING_SLOTS, &all);
    CHECK_EQ(place_set_count(&all), 2);
    CHECK(place_set_has(&all, 3) && place_set_has(&all, 39));
    membership_destroy(m);
    meta_world_deinit(&w);
}

/* A view that contradicts itself is seen. */
TEST(membership, check_sees_damage) {
    struct membership *m = make(trio, 3, trio[0], three);
    struct membership *good = membership_clone(m);
    const struct membership right = *m;
    m->self = 3;
    CHECK(!membership_check(m));
    *m = right, m->count = 2;
    CHECK(!membership_check(m));
    *m = right, m->used.words[0] = 3;
    CHECK(!membership_check(m));
    *m = right, m->epoch = 0;
    CHECK(!membership_check(m));
    *m = right, m->places = 2;
    CHECK(!membership_check(m));
    const struct member second = m->all[1];
    *m = right, m->all[1].id = 1;
    CHECK(!membership_check(m));
    m->all[1] = second, m->all[1].weight = 0;
    CHECK(!membership_check(m));
    m->all[1] = second;
    *m = right, m->slots.lists[9].members[1] = 4;
    CHECK(!membership_check(m));
    *m = right, m->slots.lists[9].count = 0;
    CHECK(!membership_check(m));
    *m = right;
    CHECK(membership_check(m));
    CHECK(membership_check(good));
    membership_destroy(m);
    membership_destroy(good);
}
