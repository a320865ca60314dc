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

/* Settings, then whom a node that serves on 127.0.0.1:8081 is told of. */
static struct status resolve(struct os *os, struct members *ret_members, int argc, char **argv) {
    CHECK_OK(config_load(&config, os, argc, argv));
    log_set_sink(keep_line);
    logged[0] = '\0';
    lines_logged = 0;
    const struct status s = members_resolve(&config, os, "127.0.0.1:8081", ret_members);
    log_set_sink(NULL);
    return s;
}
#define RESOLVE(os, m, ...)                                                                      \
    resolve((os), (m), (int)(sizeof((char *[]){ "--port=8081", __VA_ARGS__ }) / sizeof(char *)), \
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

static bool lists(const struct members *m, const char *address) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < m->count; i++) found += strcmp(m->texts[i], address) == 0;
    return found == 1;
}

/* The own address is in the list whether it was given or not, and under any of its names. */
TEST(members, all_nodes_have_the_same_list) {
    struct os *os = os_create();
    struct members a, b;
    CHECK_OK(RESOLVE(os, &a, "--peers=localhost:8082,localhost:8083"));
    CHECK_OK(RESOLVE(os, &b, "--peers=127.0.0.1:8083,localhost:8081,127.0.0.1:8081,127.1:8082"));
    CHECK_EQ(a.want, CONTROL_WANT_LIST);
    CHECK_EQ(a.count, 3);
    CHECK_EQ(b.count, 3);
    for (uint32_t i = 0; i < 3; i++) CHECK(lists(&b, a.texts[i]));
    CHECK(strcmp(a.self, "127.0.0.1:8081") == 0);
    CHECK(strcmp(b.self, "127.0.0.1:8081") == 0);
    CHECK_EQ(lines_logged, 0);
    CHECK_OK(RESOLVE(os, &a, "--peers=127.0.0.1:8082", "--advertise=localhost:9000"));
    CHECK_EQ(a.count, 2);
    CHECK(lists(&a, "127.0.0.1:9000"));
    os_destroy(os);
}

/* What the control plane is told is what was set. */
TEST(members, options) {
    struct os *os = os_create();
    struct members m;
    struct control_options o;
    CHECK_OK(RESOLVE(os, &m, "--peers=127.0.0.1:8082,127.0.0.1:8083", "--replicas=2",
                     "--write-quorum=2", "--read-quorum=1", "--weight=7", "--zone=3",
                     "--move-rate=1MiB"));
    members_options(&m, &config, &o);
    CHECK_EQ(o.want, CONTROL_WANT_LIST);
    CHECK_EQ(o.address_count, 3);
    CHECK(strcmp(o.address, "127.0.0.1:8081") == 0);
    CHECK_EQ(o.replicas, 2);
    CHECK_EQ(o.settings.replication.replicas, 2);
    CHECK_EQ(o.settings.replication.write_quorum, 2);
    CHECK_EQ(o.settings.replication.read_quorum, 1);
    CHECK_EQ(o.weight, 7);
    CHECK_EQ(o.zone, 3);
    CHECK_EQ(o.throttle, 1u << 20);
    os_destroy(os);
}

/* Alone, also when the list holds the node itself only; whoever joins later needs an address. */
TEST(members, alone) {
    struct os *os = os_create();
    struct members m;
    CHECK_OK(RESOLVE(os, &m, "--peers="));
    CHECK_EQ(m.want, CONTROL_WANT_ALONE);
    CHECK(strcmp(m.self, "127.0.0.1:8081") == 0);
    CHECK_EQ(lines_logged, 0);
    CHECK_OK(RESOLVE(os, &m, "--peers=localhost:8081,127.0.0.1:8081"));
    CHECK_EQ(m.want, CONTROL_WANT_ALONE);
    CHECK(said("the only peer is this node itself: it serves alone"));
    CHECK_OK(RESOLVE(os, &m, "--insecure", "--listen=:8081"));
    CHECK(strcmp(m.self, "127.0.0.1:8081") == 0);
    CHECK_OK(RESOLVE(os, &m, "--insecure", "--listen=:8081", "--advertise=10.0.0.7:8081"));
    CHECK(strcmp(m.self, "10.0.0.7:8081") == 0);
    os_destroy(os);
}

/* A number of copies that the first members can never reach is refused. */
TEST(members, fewer_than_replicas) {
    struct os *os = os_create();
    struct members m;
    CHECK_OK(RESOLVE(os, &m, "--peers=127.0.0.1:1,127.0.0.1:2", "--replicas=7"));
    CHECK_EQ(m.count, 3);
    CHECK_STATUS(RESOLVE(os, &m, "--peers=127.0.0.1:1", "--write-quorum=3"), ST_INVALID);
    CHECK(said("--write-quorum=3: there are only 2 members, so nothing could succeed"));
    CHECK_STATUS(RESOLVE(os, &m, "--peers=127.0.0.1:1", "--read-quorum=3"), ST_INVALID);
    CHECK(said("--read-quorum=3: there are only 2 members, so nothing could succeed"));
    os_destroy(os);
}

/* Who joins names others; its own address among them is harmless, alone it is a mistake. */
TEST(members, joins) {
    struct os *os = os_create();
    struct members m;
    CHECK_OK(RESOLVE(os, &m, "--join=localhost:8082,127.0.0.1:8082,127.0.0.1:8081"));
    CHECK_EQ(m.want, CONTROL_WANT_JOIN);
    CHECK_EQ(m.count, 2);
    CHECK_STATUS(RESOLVE(os, &m, "--join=127.0.0.1:8081"), ST_INVALID);
    CHECK(said("--join: 127.0.0.1:8081 is this node's own address; name a node of the cluster"));
    CHECK_STATUS(RESOLVE(os, &m, "--join=10.0.0.1:1", "--insecure"), ST_INVALID);
    CHECK(said("--join: 127.0.0.1:8081 means this machine only, so the node at 10.0.0.1:1 cannot "
               "reach it; give every node an address that all can reach (--listen or --advertise, "
               "and --join)"));
    os_destroy(os);
}

/* A proxy is no member, and may not be listed as one. */
TEST(members, proxy) {
    struct os *os = os_create();
    struct members m;
    CHECK_OK(RESOLVE(os, &m, "--role=proxy", "--peers=127.0.0.1:1"));
    CHECK_EQ(m.count, 1);
    CHECK_EQ(m.want, CONTROL_WANT_PROXY);
    CHECK_STATUS(RESOLVE(os, &m, "--role=proxy", "--peers=127.0.0.1:1,localhost:8081"), ST_INVALID);
    CHECK(said("--peers: a proxy is no member, but 127.0.0.1:8081 is its own address; take it "
               "out"));
    CHECK_OK(RESOLVE(os, &m, "--role=proxy", "--peers=10.0.0.1:1", "--insecure"));
    CHECK_EQ(m.count, 1);
    os_destroy(os);
}

/* A name without an address, and addresses that mean another node on each machine. */
TEST(members, refuses_addresses_that_cannot_work) {
    struct os *os = os_create();
    struct members m;
    CHECK_STATUS(RESOLVE(os, &m, "--peers=127.0.0.1:1,no-such-host.invalid:2", "--insecure"),
                 ST_INVALID);
    CHECK(said("--peers: no-such-host.invalid:2 has no address: the name is unknown here"));
    CHECK_STATUS(RESOLVE(os, &m, "--peers=10.0.0.1:1", "--insecure"), ST_INVALID);
    CHECK(said("--peers: 127.0.0.1:8081 means this machine only, so the node at 10.0.0.1:1 cannot "
               "reach it; give every node an address that all can reach (--listen or --advertise, "
               "and --peers)"));
    CHECK_STATUS(RESOLVE(os, &m, "--peers=10.0.0.1:1,localhost:2", "--role=proxy", "--insecure"),
                 ST_INVALID);
    CHECK_STATUS(RESOLVE(os, &m, "--peers=0:1", "--insecure"), ST_INVALID);
    CHECK(said("--peers: 0.0.0.0:1 stands for all addresses of a machine; name one"));
    CHECK_STATUS(RESOLVE(os, &m, "--peers=10.0.0.1:1", "--advertise=0:1", "--insecure"),
                 ST_INVALID);
    CHECK(said("--advertise: 0.0.0.0:1 stands for all addresses of a machine; name one"));
    CHECK_OK(RESOLVE(os, &m, "--peers=10.0.0.1:1", "--advertise=10.0.0.2:1", "--insecure"));
    CHECK_EQ(m.count, 2);
    os_destroy(os);
}

/* 64 nodes at most begin a cluster, and the node itself counts. */
TEST(members, bounds_their_number) {
    struct os *os = os_create();
    struct members m;
    char list[OPTION_TEXT_BYTES], flag[OPTION_TEXT_BYTES + 16];
    size_t fill = 0;
    for (uint32_t i = 0; i < FOUNDERS_MAX; i++)
        fill += (size_t)snprintf(list + fill, sizeof list - fill, "%s127.1:%u", i > 0 ? "," : "",
                                 i + 1);
    snprintf(flag, sizeof flag, "--peers=%s", list);
    CHECK_STATUS(RESOLVE(os, &m, flag), ST_INVALID);
    CHECK(said(
        "--peers: 65 nodes with this one, and at most 64 begin a cluster: the others --join it"));
    CHECK_OK(RESOLVE(os, &m, flag, "--advertise=127.0.0.1:64"));
    CHECK_EQ(m.count, FOUNDERS_MAX);
    log_set_sink(keep_line);
    members_log(&m);
    log_set_sink(NULL);
    CHECK(strlen(logged) < LOG_LINE_BYTES_MAX - 1);
    CHECK(strstr(logged, "...") != NULL);
    os_destroy(os);
}
