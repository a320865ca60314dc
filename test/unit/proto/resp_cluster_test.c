/* CLUSTER as clients that know slots read it: every slot once, its home first, and nodes that
 * are away not offered. */
#include "test/unit/proto/resp_session.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

static uint16_t slots[SLOTS][1 + REPLICAS_MAX];
static struct node_member members[3];
static struct node_view view;

#define ID_A "000000000000000000000000000000000000000a"
#define ID_B "000000000000000000000000000000000000000b"
#define ID_C "00000000000000000000000000000000ffffff01"

/* Slots 0-9999 are on A and B, 10000-10001 on C and A, the others on B and C. */
static void begin(void) {
    members[0] = (struct node_member){ .address = "10.0.0.1:7001", .id = 0xa, .alive = true };
    members[1] = (struct node_member){
        .address = "10.0.0.2:7002", .id = 0xb, .alive = true, .self = true, .latency_us = 77
    };
    members[2] = (struct node_member){ .address = "[fd00::3]:7003",
                                       .id = 0xffffff01,
                                       .alive = true,
                                       .clock_ahead_ms = -3,
                                       .hints_waiting = 9 };
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        slots[slot][0] = 2;
        slots[slot][1] = slot < 10000 ? 0 : slot < 10002 ? 2 : 1;
        slots[slot][2] = slot < 10000 ? 1 : slot < 10002 ? 0 : 2;
    }
    view = (struct node_view){ .version = "1",
                               .address = "0.0.0.0:7002",
                               .data_dir = "d",
                               .sync_mode = "always",
                               .node_id = 0x2a,
                               .port = 7002,
                               .client_address = "c",
                               .client_name = "",
                               .cluster = { .members_count = 3,
                                            .members = members,
                                            .slots = slots,
                                            .replicas = 2,
                                            .write_quorum = 2,
                                            .read_quorum = 1,
                                            .filled = true,
                                            .epoch = 5 } };
}

static void ask(struct session *s, const char *line, const char *reply) {
    session_send(s, line);
    CHECK_EQ(s->plan.kind, PLAN_NODE);
    buffer_reset(&s->out);
    resp_encode_node(&s->plan, &view, &s->out);
    if (reply != NULL) session_expect(s, reply);
}

static bool says(struct session *s, const char *text) {
    const struct bytes all = buffer_bytes(&s->out);
    if (memmem(all.ptr, all.len, text, strlen(text)) != NULL) return true;
    printf("not in the reply: %s\n%.*s\n", text, (int)all.len, (const char *)all.ptr);
    return false;
}

#define NODE_A "*4\r\n$8\r\n10.0.0.1\r\n:7001\r\n$40\r\n" ID_A "\r\n*0\r\n"
#define NODE_B "*4\r\n$8\r\n10.0.0.2\r\n:7002\r\n$40\r\n" ID_B "\r\n*0\r\n"
#define NODE_C "*4\r\n$7\r\nfd00::3\r\n:7003\r\n$40\r\n" ID_C "\r\n*0\r\n"

TEST(resp_cluster, slots) {
    struct session s;
    session_open(&s);
    begin();
    ask(&s, "CLUSTER SLOTS",
        "*3\r\n*4\r\n:0\r\n:9999\r\n" NODE_A NODE_B "*4\r\n:10000\r\n:10001\r\n" NODE_C NODE_A
        "*4\r\n:10002\r\n:16383\r\n" NODE_B NODE_C);
    /* The replica after it takes the place of an owner that is away. */
    members[2].alive = false;
    ask(&s, "CLUSTER SLOTS",
        "*3\r\n*4\r\n:0\r\n:9999\r\n" NODE_A NODE_B "*3\r\n:10000\r\n:10001\r\n" NODE_A
        "*3\r\n:10002\r\n:16383\r\n" NODE_B);
    /* When none of a slot's nodes answers, its owner is where it will be again. */
    members[0].alive = false;
    ask(&s, "CLUSTER SLOTS",
        "*3\r\n*3\r\n:0\r\n:9999\r\n" NODE_B "*3\r\n:10000\r\n:10001\r\n" NODE_C
        "*3\r\n:10002\r\n:16383\r\n" NODE_B);
    session_close(&s);
}

TEST(resp_cluster, nodes) {
    struct session s;
    session_open(&s);
    begin();
    session_send(&s, "HELLO 3");
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, "txt:" ID_A " 10.0.0.1:7001@0 master - 0 0 5 connected 0-9999\n" ID_B
                   " 10.0.0.2:7002@0 myself,master - 0 0 5 connected 10002-16383\n" ID_C
                   " fd00::3:7003@0 master - 0 0 5 connected 10000-10001\n\r\n"));
    members[2].alive = false;
    slots[3][1] = 1;
    slots[3][2] = 0;
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, "connected 0-2 4-10001\n"));
    CHECK(says(&s, "myself,master - 0 0 5 connected 3 10002-16383\n"));
    CHECK(says(&s, ID_C " fd00::3:7003@0 master,fail - 0 0 5 disconnected\n"));
    ask(&s, "CLUSTER MYID", "$40\r\n" ID_B "\r\n");
    session_close(&s);
}

/* One shard for each home, so that no client sees a master twice. */
TEST(resp_cluster, shards) {
    struct session s;
    session_open(&s);
    begin();
    slots[3][1] = 1;
    slots[3][2] = 2;
    ask(&s, "CLUSTER SHARDS", NULL);
    CHECK(says(&s,
               "*3\r\n*4\r\n$5\r\nslots\r\n*4\r\n:0\r\n:2\r\n:4\r\n:9999\r\n$5\r\nnodes\r\n*2\r\n"
               "*14\r\n$2\r\nid\r\n$40\r\n" ID_A "\r\n$4\r\nport\r\n:7001\r\n$2\r\nip\r\n"
               "$8\r\n10.0.0.1\r\n$8\r\nendpoint\r\n$8\r\n10.0.0.1\r\n$4\r\nrole\r\n"
               "$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n"
               "$6\r\nonline\r\n*14\r\n$2\r\nid\r\n$40\r\n" ID_B));
    CHECK(says(&s, "*4\r\n$5\r\nslots\r\n*4\r\n:3\r\n:3\r\n:10002\r\n:16383\r\n"));
    CHECK(says(&s, "*4\r\n$5\r\nslots\r\n*2\r\n:10000\r\n:10001\r\n"));
    CHECK(!memmem(s.out.ptr, s.out.end, "fail", 4));
    members[2].alive = false;
    ask(&s, "CLUSTER SHARDS", NULL);
    CHECK(says(&s, "*2\r\n*4\r\n"));
    CHECK(says(&s, "$7\r\nreplica\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n"
                   "$4\r\nfail\r\n"));
    session_close(&s);
}

/* What the cluster has agreed on about a node counts for more than that it answers. */
TEST(resp_cluster, standing) {
    struct session s;
    session_open(&s);
    begin();
    session_send(&s, "HELLO 3");
    members[0].standing = NODE_LEAVING;
    members[2].standing = NODE_DEAD;
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, "txt:" ID_A " 10.0.0.1:7001@0 master - 0 0 5 connected 0-10001\n"));
    CHECK(says(&s, ID_C " fd00::3:7003@0 master,fail - 0 0 5 disconnected\n"));
    ask(&s, "CLUSTER INFO", NULL);
    CHECK(says(&s, "cluster_slots_ok:10000\r\n"));
    members[2].standing = NODE_JOINING;
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, ID_C " fd00::3:7003@0 handshake - 0 0 5 connected 10000-10001\n"));
    members[2].slots_kept = 2;
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, ID_C " fd00::3:7003@0 master - 0 0 5 connected 10000-10001\n"));
    session_close(&s);
}

/* What Redis Cluster is changed with names what to use here. */
TEST(resp_cluster, changes_are_refused) {
    struct session s;
    session_open(&s);
    session_send(&s, "CLUSTER MEET 10.0.0.4 7004");
    session_expect(
        &s, "-ERR CLUSTER MEET is not supported: start the node with --join, or ask `atoll cluster "
            "join`\r\n");
    session_send(&s, "cluster forget " ID_A);
    session_expect(
        &s,
        "-ERR CLUSTER FORGET is not supported: use `atoll cluster leave`, of a dead node `atoll "
        "cluster remove`\r\n");
    static const char *const others[] = { "CLUSTER RESET HARD",        "CLUSTER FAILOVER",
                                          "CLUSTER REPLICATE a",       "CLUSTER ADDSLOTS 1 2",
                                          "CLUSTER ADDSLOTSRANGE 1 2", "CLUSTER DELSLOTS 1",
                                          "CLUSTER FLUSHSLOTS",        "CLUSTER DELSLOTSRANGE 1 2",
                                          "CLUSTER SETSLOT 1 STABLE",  "CLUSTER BUMPEPOCH",
                                          "CLUSTER SET-CONFIG-EPOCH 1" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        session_send(&s, others[i]);
        CHECK(says(&s, " is not supported: "));
    }
    session_close(&s);
}

TEST(resp_cluster, info) {
    struct session s;
    session_open(&s);
    begin();
    ask(&s, "CLUSTER INFO", NULL);
    CHECK(says(&s, "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n"
                   "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:3\r\n"
                   "cluster_size:3\r\ncluster_current_epoch:5\r\ncluster_my_epoch:5\r\n"));
    /* Without A, slots 0-10001 lack one of the two replicas that a write needs. */
    members[0].alive = false;
    ask(&s, "CLUSTER INFO", NULL);
    CHECK(says(&s, "cluster_state:ok\r\n"));
    CHECK(
        says(&s, "cluster_slots_ok:6382\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:10002\r\n"));
    members[2].alive = false;
    ask(&s, "CLUSTER INFO", NULL);
    CHECK(says(&s, "cluster_state:fail\r\n"));
    session_close(&s);
}

/* INFO and HELLO say cluster exactly when there is one. */
TEST(resp_cluster, mode) {
    struct session s;
    session_open(&s);
    begin();
    ask(&s, "INFO", NULL);
    CHECK(says(&s, "\r\nredis_mode:cluster\r\n"));
    CHECK(says(&s, "\r\nreplicas:2\r\nwrite_quorum:2\r\nread_quorum:1\r\n"));
    CHECK(says(&s, "\r\n# Cluster\r\ncluster_enabled:1\r\ncluster_members:3\r\n"
                   "cluster_members_alive:3\r\ncluster_epoch:5\r\ncluster_proxy:0\r\n"
                   "cluster_filled:1\r\n"));
    CHECK(says(&s, "\r\nmember2:address=[fd00::3]:7003,state=up,slots_owned=0,slots_kept=0,"
                   "latency_us=0,clock_ahead_ms=-3,hints_waiting=9\r\n"));
    ask(&s, "HELLO", NULL);
    CHECK(says(&s, "$4\r\nmode\r\n$7\r\ncluster\r\n"));
    view.cluster.members_count = 1;
    ask(&s, "INFO", NULL);
    CHECK(says(&s, "\r\nredis_mode:standalone\r\n"));
    CHECK(says(&s, "\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"));
    ask(&s, "HELLO", NULL);
    CHECK(says(&s, "$4\r\nmode\r\n$10\r\nstandalone\r\n"));
    session_close(&s);
}

/* A proxy is no member: it has no id and tells of the others. */
TEST(resp_cluster, proxy) {
    struct session s;
    session_open(&s);
    begin();
    members[1].self = false;
    view.cluster.proxy = true;
    view.node_id = 0;
    ask(&s, "CLUSTER MYID", "$40\r\n0000000000000000000000000000000000000000\r\n");
    ask(&s, "CLUSTER NODES", NULL);
    CHECK(says(&s, "connected 10002-16383\n"));
    CHECK(memmem(s.out.ptr, s.out.end, "myself", 6) == NULL);
    view.cluster.members_count = 1;
    memset(slots, 0, sizeof slots);
    for (uint32_t slot = 0; slot < SLOTS; slot++) slots[slot][0] = 1;
    ask(&s, "CLUSTER SLOTS", "*1\r\n*3\r\n:0\r\n:16383\r\n" NODE_A);
    session_close(&s);
}

/* The most that a table can ask for: 1,024 members, no two neighbouring slots alike. Every slot
 * is told exactly once, and texts fit. */
TEST(resp_cluster, tells_every_slot_of_a_large_cluster) {
    static struct node_member many[NODE_MEMBERS_MAX];
    struct session s;
    session_open(&s);
    begin();
    for (uint32_t i = 0; i < NODE_MEMBERS_MAX; i++)
        many[i] = (struct node_member){ .address = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                                        .id = 0xffffff00 + i,
                                        .alive = true };
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        slots[slot][0] = REPLICAS_MAX;
        for (uint32_t i = 0; i < REPLICAS_MAX; i++)
            slots[slot][1 + i] = (uint16_t)((slot + i) % NODE_MEMBERS_MAX);
    }
    view.cluster.members = many;
    view.cluster.members_count = NODE_MEMBERS_MAX;
    ask(&s, "CLUSTER SLOTS", NULL);
    CHECK(!s.out.overflowed);
    CHECK(says(&s, "*16384\r\n*9\r\n:0\r\n:0\r\n"));
    ask(&s, "CLUSTER NODES", NULL);
    const uint8_t *at = s.out.ptr;
    const uint8_t *const end = s.out.ptr + s.out.end;
    uint32_t told = 0;
    while ((at = memmem(at, (size_t)(end - at), " connected", 10)) != NULL) {
        for (at += 10; *at == ' '; told++) at += 1 + strspn((const char *)at + 1, "0123456789");
        CHECK_EQ(*at, '\n');
    }
    CHECK_EQ(told, SLOTS);
    ask(&s, "CLUSTER SHARDS", NULL);
    CHECK(!s.out.overflowed);
    CHECK(says(&s, "*1024\r\n*4\r\n"));
    session_close(&s);
}
