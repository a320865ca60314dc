/* tidy: integration of src/shard/adopt.c and views.c, which need whole nodes. Members come and go and
 * slots move while links are up and requests are under way. */
#include "adopt_world.h"

#include "base/hash.h"
#include "harness.h"
#include "shard/hint.h"
#include "shard/repair.h"
#include "shard/walk.h"

#include <stdio.h>
#include <string.h>

static uint64_t join(struct adopt_world *w, uint32_t node) {
    struct metadata_command c = { .kind = METADATA_MEMBER_ADD };
    c.member =
        (struct member_wish){ .weight = 1, .address = bytes_of_string(w->nodes[node].address) };
    w->nodes[node].id = (uint32_t)adopt_world_apply(w, &c);
    c.kind = METADATA_MEMBER_BOOT;
    c.member = (struct member_wish){ .id = w->nodes[node].id, .boot = 1 };
    adopt_world_apply(w, &c);
    return w->nodes[node].id;
}

static void member(struct adopt_world *w, enum metadata_kind kind, uint32_t id) {
    struct metadata_command c = { .kind = kind, .accept_loss = true, .member = { .id = id } };
    adopt_world_apply(w, &c);
}

/* The state has the lists that its members ask for, in one step for whoever sees the end only. */
static void change_at_once(struct adopt_world *w) {
    adopt_world_begin(w);
    adopt_world_move(w, METADATA_SLOTS_JOINT);
    adopt_world_move(w, METADATA_SLOTS_NEW);
}

/* A member leaves, its slots go to the others, and it is forgotten. */
static void remove_member(struct adopt_world *w, uint32_t id) {
    member(w, METADATA_MEMBER_LEAVE, id);
    change_at_once(w);
    member(w, METADATA_MEMBER_REMOVE, id);
}

static struct shard *shard_of(struct adopt_world *w, uint32_t node) {
    return w->nodes[node].node.shards[0];
}

static uint32_t views_kept(struct adopt_world *w, uint32_t node) {
    uint32_t count = 0;
    const struct list *all = &w->nodes[node].node.views.all;
    for (const struct list *n = all->next; n != all; n = n->next) count++;
    return count;
}

/* A node without a cluster refuses; as a member it is linked, and serves what it then keeps. */
TEST(adopt, a_member_is_added) {
    static struct adopt_world w;
    struct adopt_client c, third;
    adopt_world_open(&w, 3, 2, 2, 2);
    adopt_client_open(&w, &c, 0);
    adopt_client_open(&w, &third, 2);
    CHECK(adopt_world_linked(&w, 0, 1));
    CHECK(adopt_world_linked(&w, 2, 0));
    adopt_client_ask(&w, &c, "SET before 1", "+OK\r\n");
    adopt_client_ask(&w, &third, "GET before", "-");
    adopt_client_ask(&w, &third, "DBSIZE", "-");

    join(&w, 2);
    adopt_world_publish(&w);
    adopt_world_run(&w, 1000);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(adopt_world_linked(&w, i, 2));
        for (uint16_t j = 0; j < w.nodes[i].node.shards_count; j++)
            CHECK_EQ(w.nodes[i].node.shards[j]->members->revision, w.state->revision);
        CHECK_EQ(views_kept(&w, i), 1); /* the one before is not used any more */
    }
    adopt_client_ask(&w, &third, "GET before", "$1\r\n1\r\n");
    adopt_client_ask(&w, &third, "DBSIZE", ":1\r\n");

    adopt_world_begin(&w);
    adopt_world_publish(&w);
    adopt_world_run(&w, 100);
    adopt_client_ask(&w, &c, "SET old 1", "+OK\r\n");
    adopt_world_move(&w, METADATA_SLOTS_JOINT);
    adopt_world_publish(&w);
    adopt_world_run(&w, 100);
    adopt_client_ask(&w, &c, "SET joint 1", "+OK\r\n");
    adopt_world_move(&w, METADATA_SLOTS_NEW);
    adopt_world_publish(&w);
    adopt_world_run(&w, 100);
    CHECK_EQ(node_adopted_epoch(&w.nodes[2].node), w.state->epoch);
    CHECK(shard_of(&w, 2)->filled);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 30; i++) {
        char line[32], key[16];
        snprintf(key, sizeof key, "new%u", i);
        snprintf(line, sizeof line, "SET %s v", key);
        adopt_client_ask(&w, i % 2 == 0 ? &c : &third, line, "+OK\r\n");
        taken += !ballot_is_zero(adopt_version(&w, 2, key));
    }
    CHECK(taken > 5 && taken < 30);
    adopt_client_close(&c);
    adopt_client_close(&third);
    adopt_world_close(&w);
}

/* The only member has all there is; those that come later do not make it new. */
TEST(adopt, a_node_alone_gets_company) {
    static struct adopt_world w;
    struct adopt_client c;
    adopt_world_open(&w, 2, 1, 2, 1);
    adopt_client_open(&w, &c, 0);
    CHECK(shard_of(&w, 0)->alone);
    adopt_client_ask(&w, &c, "SET k 1", "+OK\r\n");
    join(&w, 1);
    adopt_world_publish(&w);
    adopt_world_run(&w, 1000);
    CHECK(!shard_of(&w, 0)->alone && shard_of(&w, 0)->filled);
    CHECK(adopt_world_linked(&w, 0, 1));
    adopt_client_ask(&w, &c, "INCR k", ":2\r\n");
    change_at_once(&w);
    adopt_world_publish(&w);
    adopt_world_run(&w, 100);
    adopt_client_ask(&w, &c, "SET both 1", "+OK\r\n");
    CHECK(ballot_compare(adopt_version(&w, 0, "both"), adopt_version(&w, 1, "both")) == 0);

    remove_member(&w, 2);
    adopt_world_publish(&w);
    adopt_world_run(&w, 500);
    CHECK(shard_of(&w, 0)->alone);
    CHECK(shard_of(&w, 0)->peers[1] == NULL); /* but it dials, as proxies do */
    CHECK_EQ(shard_of(&w, 1)->members->self, MEMBER_NONE);
    adopt_client_ask(&w, &c, "INCR k", ":3\r\n");
    adopt_client_close(&c);
    adopt_world_close(&w);
}

/* A member that is gone takes its links, hints and pairs along. */
TEST(adopt, a_member_is_removed) {
    static struct adopt_world w;
    struct adopt_client c;
    adopt_world_open(&w, 3, 3, 3, 1);
    adopt_client_open(&w, &c, 0);
    adopt_world_part(&w, 0, 2, true);
    adopt_world_part(&w, 1, 2, true);
    adopt_world_run(&w, 4000); /* it is away, and everybody knows */
    for (uint32_t i = 0; i < 20; i++) {
        char line[32];
        snprintf(line, sizeof line, "SET key%u v", i);
        adopt_client_ask(&w, &c, line, "+OK\r\n");
    }
    struct shard *s = shard_of(&w, 0);
    const uint32_t place = membership_find(s->members, 3);
    CHECK(s->peers[place] != NULL);
    CHECK(hints_waiting(s, place) + hints_waiting(shard_of(&w, 1), place) >= 20);

    remove_member(&w, 3);
    adopt_world_publish_to(&w, 0);
    adopt_world_publish_to(&w, 1);
    adopt_world_run(&w, 3000);
    for (uint32_t i = 0; i < 2; i++) {
        s = shard_of(&w, i);
        CHECK(s->peers[place] == NULL);
        CHECK(list_is_empty(&s->peers_gone));
        CHECK(list_is_empty(&s->hints_gone)); /* all deleted */
        CHECK_EQ(s->members->count, 2);
    }
    adopt_client_ask(&w, &c, "GET key7", "$1\r\nv\r\n");
    adopt_client_ask(&w, &c, "DBSIZE", ":20\r\n");
    adopt_client_close(&c);
    adopt_world_close(&w);
}

static void move_member(struct adopt_world *w, uint32_t id, uint32_t boot, const char *address) {
    struct metadata_command c = { .kind = METADATA_MEMBER_BOOT };
    c.member = (struct member_wish){ .id = id, .boot = boot, .address = bytes_of_string(address) };
    adopt_world_apply(w, &c);
}

/* A member is dialled where the metadata says, and only taken for itself if it was started as often
 * as others know. */
TEST(adopt, an_address_changes) {
    static struct adopt_world w;
    adopt_world_open(&w, 3, 3, 3, 2);
    CHECK(adopt_world_linked(&w, 0, 2));
    move_member(&w, 3, 1, "10.0.0.9:7000");
    adopt_world_publish_to(&w, 0);
    adopt_world_run(&w, 500);
    CHECK(adopt_world_linked(&w, 0, 1));
    CHECK(adopt_world_linked(&w, 1, 2)); /* it has not heard */
    move_member(&w, 3, 3, w.nodes[2].address);
    w.nodes[2].node.boot_count = 2; /* an old copy */
    adopt_world_publish_to(&w, 0);
    adopt_world_run(&w, 500);
    CHECK(adopt_world_linked(&w, 0, 1));
    w.nodes[2].node.boot_count = 3;
    adopt_world_run(&w, 1000);
    CHECK(adopt_world_linked(&w, 0, 2));
    adopt_world_close(&w);
}

/* A write that waits for a replica that does not answer counts on the one that comes in its place,
 * and is the same write there. */
TEST(adopt, a_write_under_way_goes_to_the_new_replicas) {
    static struct adopt_world w;
    struct adopt_client c;
    adopt_world_open(&w, 3, 2, 2, 1);
    join(&w, 2);
    adopt_world_publish(&w);
    adopt_world_run(&w, 1000);
    adopt_client_open(&w, &c, 0);
    adopt_client_ask(&w, &c, "SET n 5", "+OK\r\n");

    /* Node 2 falls silent, and its slots go to node 3. */
    remove_member(&w, 2);
    adopt_world_part(&w, 0, 1, true);
    adopt_client_send(&c, "SET k v");
    adopt_world_run(&w, 30);
    const struct ballot version = adopt_version(&w, 0, "k");
    CHECK(!ballot_is_zero(version));
    adopt_world_publish_to(&w, 0);
    adopt_world_publish_to(&w, 2);
    adopt_client_ask(&w, &c, NULL, "+OK\r\n");
    CHECK(ballot_compare(adopt_version(&w, 2, "k"), version) == 0);
    CHECK(ballot_compare(adopt_version(&w, 0, "k"), version) == 0);
    CHECK(list_is_empty(&shard_of(&w, 0)->coordinations));
    adopt_client_close(&c);
    adopt_world_close(&w);
}

/* A key whose home is the node, while it lives. */
static uint32_t key_at_home(struct adopt_world *w, uint32_t node) {
    const struct membership *m = shard_of(w, node)->members;
    char key[16];
    for (uint32_t i = 0;; i++) {
        snprintf(key, sizeof key, "n%u", i);
        const struct slot_list *list = membership_list(m, crc16_slot(bytes_of_string(key)));
        if (list->members[0] == m->self) return i;
    }
}

/* The same of what reads first: it is done once. The others are cut off when its own write is
 * there, whose value is nowhere else. */
TEST(adopt, an_increment_under_way_is_done_once) {
    static struct adopt_world w;
    struct adopt_client c;
    char key[16], line[32];
    adopt_world_open(&w, 3, 3, 3, 1);
    struct shard *s = shard_of(&w, 0);
    snprintf(key, sizeof key, "n%u", key_at_home(&w, 0));
    adopt_client_open(&w, &c, 0);
    snprintf(line, sizeof line, "SET %s 5", key);
    adopt_client_ask(&w, &c, line, "+OK\r\n");
    adopt_world_run(&w, 100);
    const struct ballot before = adopt_version(&w, 0, key);
    struct ballot version = before;
    snprintf(line, sizeof line, "INCR %s", key);
    adopt_client_send(&c, line);
    for (uint32_t i = 0; i < 100 && ballot_compare(version, before) == 0; i++) {
        adopt_world_step(&w);
        version = adopt_version(&w, 0, key);
    }
    CHECK(ballot_compare(version, before) > 0);
    adopt_world_part(&w, 0, 1, true);
    adopt_world_part(&w, 0, 2, true);
    CHECK(!list_is_empty(&s->coordinations));
    remove_member(&w, 2);
    remove_member(&w, 3);
    adopt_world_publish_to(&w, 0);
    adopt_client_ask(&w, &c, NULL, ":6\r\n");
    CHECK(s->alone);
    CHECK(ballot_compare(adopt_version(&w, 0, key), version) == 0);
    snprintf(line, sizeof line, "GET %s", key);
    adopt_client_ask(&w, &c, line, "$1\r\n6\r\n");
    adopt_client_close(&c);
    adopt_world_close(&w);
}

/* Nor is it lost if it goes to a new replica: what was decided is sent there, as it was. */
TEST(adopt, an_increment_under_way_reaches_a_new_replica) {
    static struct adopt_world w;
    struct adopt_client c;
    char key[16], line[32];
    adopt_world_open(&w, 3, 2, 2, 1);
    struct shard *s = shard_of(&w, 0);
    snprintf(key, sizeof key, "n%u", key_at_home(&w, 0));
    join(&w, 2);
    adopt_world_publish(&w);
    adopt_client_open(&w, &c, 0);
    adopt_world_run(&w, 1000);
    snprintf(line, sizeof line, "SET %s 5", key);
    adopt_client_ask(&w, &c, line, "+OK\r\n");
    adopt_world_run(&w, 100);
    const struct ballot before = adopt_version(&w, 0, key);
    struct ballot version = before;
    snprintf(line, sizeof line, "INCR %s", key);
    adopt_client_send(&c, line);
    for (uint32_t i = 0; i < 100 && ballot_compare(version, before) == 0; i++) {
        adopt_world_step(&w);
        version = adopt_version(&w, 0, key);
    }
    adopt_world_part(&w, 0, 1, true);
    CHECK(!list_is_empty(&s->coordinations));
    remove_member(&w, 2);
    adopt_world_publish_to(&w, 2);
    adopt_world_publish_to(&w, 0);
    adopt_client_ask(&w, &c, NULL, ":6\r\n");
    CHECK(ballot_compare(adopt_version(&w, 2, key), version) == 0);
    CHECK(ballot_compare(adopt_version(&w, 0, key), version) == 0);
    snprintf(line, sizeof line, "GET %s", key);
    adopt_client_ask(&w, &c, line, "$1\r\n6\r\n");
    adopt_client_close(&c);
    adopt_world_close(&w);
}

/* A read that cannot reach its quorum reads from those that keep the key now; so does a scan. */
TEST(adopt, reads_under_way_begin_anew) {
    static struct adopt_world w;
    struct adopt_client c, scans;
    adopt_world_open(&w, 3, 3, 3, 1);
    adopt_client_open(&w, &c, 0);
    adopt_client_open(&w, &scans, 0);
    adopt_client_ask(&w, &c, "SET k v", "+OK\r\n");
    adopt_world_run(&w, 100);
    adopt_world_part(&w, 0, 1, true);
    adopt_world_part(&w, 0, 2, true);
    adopt_client_send(&c, "GET k");
    adopt_client_send(&scans, "DBSIZE");
    adopt_world_run(&w, 30);
    CHECK(!list_is_empty(&shard_of(&w, 0)->coordinations));
    remove_member(&w, 2);
    remove_member(&w, 3);
    adopt_world_publish_to(&w, 0);
    adopt_client_ask(&w, &c, NULL, "$1\r\nv\r\n");
    adopt_client_ask(&w, &scans, NULL, ":1\r\n");
    CHECK_EQ(shard_of(&w, 0)->coordinations_used, 0);
    CHECK_EQ(shard_of(&w, 0)->sent.used, 0);
    adopt_client_close(&c);
    adopt_client_close(&scans);
    adopt_world_close(&w);
}

/* What a member does not keep any more is not seen there. */
TEST(adopt, slots_that_went_away_are_hidden) {
    static struct adopt_world w;
    struct adopt_client c;
    adopt_world_open(&w, 3, 2, 2, 1);
    adopt_client_open(&w, &c, 0);
    for (uint32_t i = 0; i < 40; i++) {
        char line[32];
        snprintf(line, sizeof line, "SET key%u v", i);
        adopt_client_ask(&w, &c, line, "+OK\r\n");
    }
    CHECK(shard_of(&w, 0)->keeps_all);
    join(&w, 2);
    change_at_once(&w);
    adopt_world_publish(&w);
    adopt_world_run(&w, 1000);
    struct shard *s = shard_of(&w, 0);
    CHECK(!s->keeps_all);
    CHECK(s->repair->members[membership_find(s->members, 3)].common);
    /* Its own records are all still there, and a walk shows those of its slots. */
    struct walk *walk = walk_create(1);
    struct table_fetch fetch;
    static uint8_t space[IKEY_BYTES_MAX];
    const struct request q = { .op = OP_SCAN, .rows_max = 1000 };
    walk_keeps(walk, s->members, 0);
    struct status st = status_of(ST_BUSY);
    while (st.code == ST_BUSY)
        st = walk_slice(walk, s->engine, s->node->cache, &q, s->turn_wall_ms, space, &fetch);
    CHECK_OK(st);
    CHECK(walk->page.count > 5 && walk->page.count < 40);
    for (uint32_t i = 0; i < walk->page.count; i++)
        CHECK(membership_keeps(s->members, crc16_slot(walk->page.rows[i].key), s->members->self));
    walk_let_go(walk, s->node->cache);
    walk_destroy(walk);
    adopt_client_close(&c);
    adopt_world_close(&w);
}

static bool is_walking(const struct shard *s, uint32_t place) {
    const struct peer *p = s->peers[place];
    for (uint32_t i = 0; p != NULL && i < SHARDS_MAX; i++) {
        if (p->repairs[i] != NULL && p->repairs[i]->walk.fetching) return true;
    }
    return false;
}

/* Pairs whose blocks are being read end when that is over, and not before. */
TEST(adopt, members_go_while_jobs_run) {
    static struct adopt_world w;
    struct adopt_client c;
    adopt_world_open(&w, 2, 2, 2, 1);
    adopt_client_open(&w, &c, 0);
    for (uint32_t i = 0; i < 300; i++) {
        char line[96];
        snprintf(line, sizeof line, "SET key%u %060u", i, i);
        adopt_client_ask(&w, &c, line, "+OK\r\n");
    }
    struct shard *s = shard_of(&w, 0);
    const uint32_t place = membership_find(s->members, 2);
    /* As if a job read for a pass that is under way. */
    for (uint32_t i = 0; i < 20000 && s->repair->active_count == 0; i++) adopt_world_run(&w, 1);
    CHECK(s->repair->active_count > 0);
    struct repair *r = s->peers[place]->repairs[0];
    r->walk.fetching = true;
    CHECK(is_walking(s, place));
    remove_member(&w, 2);
    adopt_world_publish_to(&w, 0);
    adopt_world_run(&w, 500);
    CHECK(s->peers[place] == NULL);
    CHECK(!list_is_empty(&s->peers_gone));
    CHECK_EQ(s->repair->active_count, 0);
    CHECK(!repairs_are_idle(s));
    adopt_client_ask(&w, &c, "GET key7", "$60\r\n");
    r->walk.fetching = false;
    adopt_world_run(&w, 200);
    CHECK(list_is_empty(&s->peers_gone));
    CHECK(repairs_are_idle(s));
    adopt_client_close(&c);
    adopt_world_close(&w);
}

/* Of many views in a row a shard adopts the last; an unused one does not stay. */
TEST(adopt, views_in_a_row) {
    static struct adopt_world w;
    adopt_world_open(&w, 3, 2, 2, 2);
    join(&w, 2);
    adopt_world_publish_to(&w, 0);
    adopt_world_begin(&w);
    adopt_world_publish_to(&w, 0);
    adopt_world_move(&w, METADATA_SLOTS_JOINT);
    adopt_world_publish_to(&w, 0);
    CHECK_EQ(views_kept(&w, 0), 4); /* both shards still have the first, and none is older */
    CHECK_EQ(node_adopted_epoch(&w.nodes[0].node), 1);
    adopt_world_run(&w, 100);
    CHECK_EQ(views_kept(&w, 0), 1);
    CHECK_EQ(node_adopted_epoch(&w.nodes[0].node), w.state->epoch);
    CHECK_EQ(shard_of(&w, 0)->members->all[2].id, 3);
    adopt_world_close(&w);
}

/* A call of a node that is no member may come twice, even to the only member: the second time it is
 * the same write, and behind what came in between. */
TEST(adopt, a_node_alone_writes_under_the_stamp_it_is_given) {
    static struct adopt_world w;
    struct adopt_client c, member_client;
    adopt_world_open(&w, 2, 1, 1, 1);
    adopt_world_publish_to(&w, 1);
    adopt_world_run(&w, 1000);
    CHECK(shard_of(&w, 0)->alone);
    adopt_client_open(&w, &c, 1);
    adopt_client_open(&w, &member_client, 0);
    adopt_client_ask(&w, &c, "SET k 0", "+OK\r\n");
    const struct ballot before = adopt_version(&w, 0, "k");
    CHECK_EQ(before.node, shard_of(&w, 1)->stamp_node);

    adopt_client_send(&c, "SET k 1");
    for (uint32_t i = 0; i < 100 && !ballot_compare(adopt_version(&w, 0, "k"), before); i++)
        adopt_world_step(&w);
    CHECK(ballot_compare(adopt_version(&w, 0, "k"), before) > 0);
    CHECK(sim_net_reset(w.net, w.nodes[0].place, w.nodes[1].place) > 0);
    const uint64_t calls_before = shard_of(&w, 1)->figures.forwarded;
    adopt_client_ask(&w, &member_client, "SET k 2", "+OK\r\n");
    adopt_client_ask(&w, &c, NULL, "+OK\r\n");
    CHECK(shard_of(&w, 1)->figures.forwarded > calls_before);
    adopt_client_ask(&w, &member_client, "GET k", "$1\r\n2\r\n");
    adopt_client_close(&c);
    adopt_client_close(&member_client);
    adopt_world_close(&w);
}
