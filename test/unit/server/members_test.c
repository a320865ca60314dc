/* How the settings of a cluster become a membership, and the one line said when they cannot. */
#include "server/members.h"

#include "base/log.h"
#include "os/sock.h"
#include "test/unit/harness.h"

#include <stdio.h>
#include <string.h>

static struct config config;
static char logged[LOG_LINE_BYTES_MAX];
static uint32_t lines_logged;

static void keep_line(enum log_level level, const char *line) {
    (void)level;
    snprintf(logged, sizeof logged, "%s", line);
    lines_logged++;
}

/* Settings, then the membership of a node that serves on 127.0.0.1:8081. */
static struct status build(struct os *os, struct membership **ret_membership, int argc,
                           char **argv) {
    CHECK_OK(config_load(&config, os, argc, argv));
    log_set_sink(keep_line);
    logged[0] = '\0';
    lines_logged = 0;
    const struct status s = members_build(&config, os, "127.0.0.1:8081", ret_membership);
    log_set_sink(NULL);
    return s;
}
#define BUILD(os, m, ...)                                                                      \
    build((os), (m), (int)(sizeof((char *[]){ "--port=8081", __VA_ARGS__ }) / sizeof(char *)), \
          (char *[]){ "--port=8081", __VA_ARGS__ })

/* Refused with exactly this line. */
static bool said(const char *text) {
    if (lines_logged == 1 && strcmp(logged, text) == 0) return true;
    printf("# %u lines, the last: %s\n", lines_logged, logged);
    return false;
}

/* One text for each address, whatever it was called. */
TEST(members, resolves_addresses) {
    struct os *os = os_create();
    static const char *const pairs[][2] = {
        { "127.0.0.1:80", "127.0.0.1:80" },
        { "localhost:080", "127.0.0.1:80" },
        { "127.1:8080", "127.0.0.1:8080" },
        { "[::1]:80", "[::1]:80" },
        { "[0:0:0:0:0:0:0:1]:9", "[::1]:9" },
        { "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
        { "[2001:DB8::0:1]:65535", "[2001:db8::1]:65535" },
    };
    char text[OS_ADDRESS_BYTES_MAX];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        CHECK_OK(os_address_resolve(os, pairs[i][0], text));
        CHECK_BYTES(bytes_of_string(text), bytes_of_string(pairs[i][1]));
    }
    static const char *const bad[] = { "", ":80", "127.0.0.1", "127.0.0.1:0", "::1:80", "a:65536" };
    snprintf(text, sizeof text, "kept");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STATUS(os_address_resolve(os, bad[i], text), ST_INVALID);
    CHECK_STATUS(os_address_resolve(os, "no-such-host.invalid:80", text), ST_NOT_FOUND);
    CHECK(strcmp(text, "kept") == 0);
    os_destroy(os);
}

/* The own address is a member whether it is listed or not, and under any of its names; all
 * nodes then have the same membership. */
TEST(members, all_nodes_build_the_same) {
    struct os *os = os_create();
    struct membership *a = NULL, *b = NULL;
    CHECK_OK(BUILD(os, &a, "--peers=localhost:8082,localhost:8083"));
    CHECK_OK(BUILD(os, &b, "--peers=127.0.0.1:8083,localhost:8081,127.0.0.1:8081,127.1:8082"));
    CHECK_EQ(a->count, 3);
    CHECK_EQ(b->count, 3);
    CHECK(cluster_id_equal(&a->cluster, &b->cluster));
    CHECK(strcmp(a->all[a->self].address, "127.0.0.1:8081") == 0);
    CHECK_EQ(a->self, b->self);
    CHECK_EQ(membership_replication(a, 0).replicas, 3);
    CHECK_EQ(membership_replication(a, 0).write_quorum, 2);
    CHECK_EQ(membership_replication(a, 0).read_quorum, 2);
    CHECK_EQ(members_copies(a), 3);
    CHECK_EQ(lines_logged, 0);
    membership_destroy(a);
    membership_destroy(b);

    CHECK_OK(
        BUILD(os, &a, "--peers=127.0.0.1:8082", "--advertise=localhost:9000", "--write-quorum=1"));
    CHECK_EQ(a->count, 2);
    CHECK(strcmp(a->all[a->self].address, "127.0.0.1:9000") == 0);
    CHECK_EQ(membership_replication(a, 0).write_quorum, 1);
    membership_destroy(a);
    os_destroy(os);
}

/* Alone, also when the list holds the node itself only. */
TEST(members, alone) {
    struct os *os = os_create();
    struct membership *m = (struct membership *)&config;
    CHECK_OK(BUILD(os, &m, "--peers="));
    CHECK(members_are_one(m));
    CHECK_EQ(m->epoch, 1);
    CHECK_EQ(lines_logged, 0);
    membership_destroy(m);
    m = (struct membership *)&config;
    CHECK_OK(BUILD(os, &m, "--peers=localhost:8081,127.0.0.1:8081"));
    CHECK(members_are_one(m));
    membership_destroy(m);
    CHECK(said("the only peer is this node itself: it serves alone"));
    os_destroy(os);
}

/* A majority is of the copies that there are; a number that they can never reach is refused. */
TEST(members, fewer_than_replicas) {
    struct os *os = os_create();
    struct membership *m = NULL;
    CHECK_OK(BUILD(os, &m, "--peers=127.0.0.1:1,127.0.0.1:2", "--replicas=7"));
    CHECK_EQ(m->count, 3);
    CHECK_EQ(members_copies(m), 3);
    CHECK_EQ(membership_replication(m, 0).replicas, 7);
    CHECK_EQ(membership_replication(m, 0).write_quorum, 2);
    CHECK_EQ(membership_replication(m, 0).read_quorum, 2);
    log_set_sink(keep_line);
    members_log(m);
    log_set_sink(NULL);
    CHECK_EQ(lines_logged, 2);
    CHECK(strcmp(logged, "--replicas=7, but there are 3 members: every key is on all of them") ==
          0);
    membership_destroy(m);
    CHECK_STATUS(BUILD(os, &m, "--peers=127.0.0.1:1", "--write-quorum=3"), ST_INVALID);
    CHECK(said("--write-quorum=3: there are only 2 members, so nothing could succeed"));
    CHECK_STATUS(BUILD(os, &m, "--peers=127.0.0.1:1", "--read-quorum=3"), ST_INVALID);
    CHECK(said("--read-quorum=3: there are only 2 members, so nothing could succeed"));
    os_destroy(os);
}

/* A proxy is no member, and may not be listed as one. */
TEST(members, proxy) {
    struct os *os = os_create();
    struct membership *m = NULL;
    CHECK_OK(BUILD(os, &m, "--role=proxy", "--peers=127.0.0.1:1"));
    CHECK_EQ(m->count, 1);
    CHECK_EQ(m->self, MEMBER_NONE);
    CHECK_EQ(membership_replication(m, 0).write_quorum, 1);
    CHECK(!members_are_one(m));
    membership_destroy(m);
    CHECK_STATUS(BUILD(os, &m, "--role=proxy", "--peers=127.0.0.1:1,localhost:8081"), ST_INVALID);
    CHECK(said("--peers: a proxy is no member, but 127.0.0.1:8081 is its own address; take it "
               "out"));
    CHECK_OK(BUILD(os, &m, "--role=proxy", "--peers=10.0.0.1:1", "--insecure"));
    CHECK_EQ(m->count, 1);
    membership_destroy(m);
    os_destroy(os);
}

/* A name without an address, and addresses that mean another node on each machine. */
TEST(members, refuses_addresses_that_cannot_work) {
    struct os *os = os_create();
    struct membership *m = NULL;
    CHECK_STATUS(BUILD(os, &m, "--peers=127.0.0.1:1,no-such-host.invalid:2", "--insecure"),
                 ST_INVALID);
    CHECK(said("--peers: no-such-host.invalid:2 has no address: the name is unknown here"));
    CHECK_STATUS(BUILD(os, &m, "--peers=10.0.0.1:1", "--insecure"), ST_INVALID);
    CHECK(said("--peers: 127.0.0.1:8081 means this machine only, so the node at 10.0.0.1:1 cannot "
               "reach it; give every node an address that all can reach (--listen or --advertise, "
               "and --peers)"));
    CHECK_STATUS(BUILD(os, &m, "--peers=10.0.0.1:1,localhost:2", "--role=proxy", "--insecure"),
                 ST_INVALID);
    CHECK_STATUS(BUILD(os, &m, "--peers=0:1", "--insecure"), ST_INVALID);
    CHECK(said("--peers: 0.0.0.0:1 stands for all addresses of a machine; name one"));
    CHECK_STATUS(BUILD(os, &m, "--peers=10.0.0.1:1", "--advertise=0:1", "--insecure"), ST_INVALID);
    CHECK(said("--advertise: 0.0.0.0:1 stands for all addresses of a machine; name one"));
    CHECK_OK(BUILD(os, &m, "--peers=10.0.0.1:1", "--advertise=10.0.0.2:1", "--insecure"));
    CHECK_EQ(m->count, 2);
    membership_destroy(m);
    os_destroy(os);
}

/* 64 members are the most, and the node itself counts. */
TEST(members, bounds_their_number) {
    struct os *os = os_create();
    struct membership *m = NULL;
    char list[OPTION_TEXT_BYTES], flag[OPTION_TEXT_BYTES + 16];
    size_t fill = 0;
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        fill += (size_t)snprintf(list + fill, sizeof list - fill, "%s127.1:%u", i > 0 ? "," : "",
                                 i + 1);
    snprintf(flag, sizeof flag, "--peers=%s", list);
    CHECK_STATUS(BUILD(os, &m, flag), ST_INVALID);
    CHECK(said("--peers: 65 nodes with this one, and a cluster has at most 64"));
    CHECK_OK(BUILD(os, &m, flag, "--advertise=127.0.0.1:64"));
    CHECK_EQ(m->count, MEMBERS_MAX);
    log_set_sink(keep_line);
    members_log(m);
    log_set_sink(NULL);
    CHECK(strlen(logged) < LOG_LINE_BYTES_MAX - 1);
    CHECK(strstr(logged, "...; 3 replicas, write quorum 2, read quorum 2") != NULL);
    membership_destroy(m);
    os_destroy(os);
}
