/* The settings of a cluster: how lists are read, what fits together, and what is said when not. */
#include "server/config.h"

#include "test/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config config;

static struct status load(struct os *os, int argc, char **argv) {
    return config_load(&config, os, argc, argv);
}
#define LOAD(os, ...) \
    load((os), (int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)), (char *[]){ __VA_ARGS__ })

static bool error_is(const char *text) {
    if (strcmp(config.set.error, text) == 0) return true;
    printf("# said: %s\n", config.set.error);
    return false;
}

static const char *value_of(const char *name) {
    return option_state_of(&config.set, name)->text;
}

/* Without peers a node is alone, and the other settings have the documented values. */
TEST(config_cluster, defaults) {
    struct os *os = os_create();
    config_init(&config, os);
    CHECK_EQ(config.peer_nodes.count, 0);
    CHECK_EQ(config.replicas, 3);
    CHECK_EQ(config.write_quorum.index, 0);
    CHECK_EQ(config.read_quorum.index, 0);
    CHECK_EQ(config.role.index, CONFIG_ROLE_NODE);
    CHECK_EQ(config.quorum_wait_ms, 2000);
    CHECK_EQ(config.hint_bytes_max, 256u << 20);
    CHECK_EQ(config.hint_age_ms, 3u * 3600 * 1000);
    CHECK_EQ(config.repair_rate, 50000);
    CHECK_EQ(config.join_nodes.count, 0);
    CHECK_EQ(config.weight, 1);
    CHECK_EQ(config.zone, 0);
    CHECK_EQ(config.move_rate, 64u << 20);
    CHECK(strcmp(config.advertise, "127.0.0.1:8080") == 0);
    os_destroy(os);
}

/* The command line of a store that Atoll replaces works as it is. */
TEST(config_cluster, takes_a_predecessors_command_line) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "-port", "8081", "-peers", "localhost:8082,localhost:8083", "-dir",
                  "./data/node1"));
    CHECK_EQ(config.peer_nodes.count, 2);
    CHECK(strcmp(config.peer_nodes.addresses[0], "localhost:8082") == 0);
    CHECK(strcmp(config.peer_nodes.addresses[1], "localhost:8083") == 0);
    CHECK(strcmp(config.advertise, "127.0.0.1:8081") == 0);
    CHECK(strcmp(config.dir, "./data/node1") == 0);
    os_destroy(os);
}

/* Blanks, URLs, empty places and doubles are cleaned away; what is shown is the clean list. */
TEST(config_cluster, cleans_a_list) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "--peers",
                  " 127.0.0.1:1 ,http://127.0.0.1:2/,,\t[::1]:3,127.0.0.1:1, http://[::1]:3,"));
    CHECK_EQ(config.peer_nodes.count, 3);
    CHECK(strcmp(config.peer_nodes.addresses[0], "127.0.0.1:1") == 0);
    CHECK(strcmp(config.peer_nodes.addresses[1], "127.0.0.1:2") == 0);
    CHECK(strcmp(config.peer_nodes.addresses[2], "[::1]:3") == 0);
    CHECK(strcmp(value_of("peers"), "127.0.0.1:1,127.0.0.1:2,[::1]:3") == 0);
    CHECK_OK(LOAD(os, "--peers= , ,"));
    CHECK_EQ(config.peer_nodes.count, 0);
    CHECK(strcmp(value_of("peers"), "") == 0);
    CHECK(strcmp(config.peers, "") == 0);
    os_destroy(os);
}

/* Each element must be something that can be called. */
TEST(config_cluster, names_the_bad_address) {
    struct os *os = os_create();
    static char *const bad[] = { "localhost",     "localhost:",    "localhost:0", "localhost:65536",
                                 ":8080",         "a b:8080",      "::1:8080",    "https://a:1",
                                 "[localhost]:1", "localhost:80x", "[]:1",        "ftp://a:1/" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char flag[128], error[256];
        snprintf(flag, sizeof flag, "--peers=127.0.0.1:1,%s", bad[i]);
        snprintf(error, sizeof error, "%s: '%s' is no address; write HOST:PORT,HOST:PORT", flag,
                 bad[i]);
        CHECK_STATUS(LOAD(os, flag), ST_INVALID);
        CHECK(error_is(error));
    }
    CHECK_STATUS(LOAD(os, "--peers=\x01:1"), ST_INVALID);
    CHECK(strchr(config.set.error, '\x01') == NULL);
    os_destroy(os);
}

/* `count` addresses 1:1, 1:2, ... as one list. */
static void list_of(char *text, size_t text_bytes, uint32_t count) {
    size_t fill = 0;
    for (uint32_t i = 0; i < count; i++)
        fill +=
            (size_t)snprintf(text + fill, text_bytes - fill, "%s[::1]:%u", i > 0 ? "," : "", i + 1);
    CHECK(fill < text_bytes);
}

/* As many as a cluster may have, doubles not counted; one more is refused. */
TEST(config_cluster, bounds_the_list) {
    struct os *os = os_create();
    char list[OPTION_TEXT_BYTES];
    list_of(list, sizeof list - 8, FOUNDERS_MAX);
    snprintf(list + strlen(list), sizeof list - strlen(list), ",[::1]:7");
    CHECK_OK(LOAD(os, "--peers", list));
    CHECK_EQ(config.peer_nodes.count, FOUNDERS_MAX);
    CHECK(strcmp(config.peer_nodes.addresses[FOUNDERS_MAX - 1], "[::1]:64") == 0);
    list_of(list, sizeof list, FOUNDERS_MAX + 1);
    CHECK_STATUS(LOAD(os, "--peers", list), ST_INVALID);
    CHECK(strstr(config.set.error, ": more than 64 nodes") != NULL);
    os_destroy(os);
}

/* Names are longer than numbers: 64 of a Kubernetes cluster's still fit. */
TEST(config_cluster, takes_long_names) {
    struct os *os = os_create();
    char list[OPTION_TEXT_BYTES];
    size_t fill = 0;
    for (uint32_t i = 0; i < FOUNDERS_MAX; i++)
        fill += (size_t)snprintf(list + fill, sizeof list - fill,
                                 "%satoll-%u.atoll.production.svc.cluster.local:8080",
                                 i > 0 ? "," : "", i);
    CHECK(fill < sizeof list);
    CHECK_OK(LOAD(os, "--peers", list, "--insecure"));
    CHECK_EQ(config.peer_nodes.count, FOUNDERS_MAX);
    os_destroy(os);
}

/* The names of the stores Atoll replaces mean the same; those without a meaning are skipped. */
TEST(config_cluster, reads_a_predecessors_dotenv) {
    struct os *os = os_create();
    config_init(&config, os);
    CHECK_OK(config_take_dotenv(
        &config, BYTES_LIT("KVSTORE_PEERS=http://localhost:8082, localhost:8083 # two\n"
                           "CLUSTER_VIRTUAL_NODES=10\nCLUSTER_REPLICATION_FACTOR=5\n"
                           "CLUSTER_WRITE_QUORUM=1\nCLUSTER_READ_QUORUM=4\n"
                           "NETWORK_TIMEOUT=500ms\nBATCH_CONCURRENCY=50\n")));
    CHECK_OK(config_finish(&config, os));
    CHECK_EQ(config.peer_nodes.count, 2);
    CHECK(strcmp(config.peer_nodes.addresses[0], "localhost:8082") == 0);
    CHECK_EQ(config.replicas, 5);
    CHECK_EQ(config.write_quorum.index, 1);
    CHECK_EQ(config.read_quorum.index, 4);
    CHECK_EQ(config.quorum_wait_ms, 500);
    os_destroy(os);
}

/* Every option has its ATOLL_ name, which beats a predecessor's. */
TEST(config_cluster, reads_the_environment) {
    struct os *os = os_create();
    setenv("ATOLL_PEERS", "127.0.0.1:7001", 1);
    setenv("KVSTORE_PEERS", "127.0.0.1:7002,127.0.0.1:7003", 1);
    setenv("ATOLL_REPLICAS", "2", 1);
    setenv("ATOLL_WRITE_QUORUM", "2", 1);
    setenv("ATOLL_READ_QUORUM", "quorum", 1);
    setenv("ATOLL_ADVERTISE", "localhost:7000", 1);
    setenv("ATOLL_HINT_BYTES", "0", 1);
    setenv("ATOLL_HINT_AGE", "1m", 1);
    setenv("ATOLL_REPAIR_RATE", "0", 1);
    setenv("ATOLL_QUORUM_WAIT", "1s", 1);
    const struct status s = LOAD(os, "--port=7000");
    static const char *const names[] = { "ATOLL_PEERS",       "KVSTORE_PEERS",
                                         "ATOLL_REPLICAS",    "ATOLL_WRITE_QUORUM",
                                         "ATOLL_READ_QUORUM", "ATOLL_ADVERTISE",
                                         "ATOLL_HINT_BYTES",  "ATOLL_HINT_AGE",
                                         "ATOLL_REPAIR_RATE", "ATOLL_QUORUM_WAIT" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    CHECK_OK(s);
    CHECK_EQ(config.peer_nodes.count, 1);
    CHECK(strcmp(config.peer_nodes.addresses[0], "127.0.0.1:7001") == 0);
    CHECK_EQ(config.replicas, 2);
    CHECK_EQ(config.write_quorum.index, 2);
    CHECK_EQ(config.read_quorum.index, 0);
    CHECK(strcmp(config.advertise, "localhost:7000") == 0);
    CHECK_EQ(config.hint_bytes_max, 0);
    CHECK_EQ(config.hint_age_ms, 60000);
    CHECK_EQ(config.repair_rate, 0);
    CHECK_EQ(config.quorum_wait_ms, 1000);
    os_destroy(os);
}

/* N, W and R: each in its range, W and R not above N. */
TEST(config_cluster, judges_quorums) {
    struct os *os = os_create();
    CHECK_STATUS(LOAD(os, "--replicas=8"), ST_INVALID);
    CHECK(error_is("--replicas=8 is not allowed; allowed: 1 to 7"));
    CHECK_STATUS(LOAD(os, "--replicas=0"), ST_INVALID);
    CHECK_STATUS(LOAD(os, "--write-quorum=8"), ST_INVALID);
    CHECK(error_is("--write-quorum=8 is not allowed; allowed: quorum, 1, 2, 3, 4, 5, 6, 7"));
    CHECK_STATUS(LOAD(os, "--read-quorum=0"), ST_INVALID);
    CHECK_STATUS(LOAD(os, "--write-quorum=4"), ST_INVALID);
    CHECK(error_is("--write-quorum=4: larger than the number of replicas, which is 3 "
                   "(--replicas)"));
    CHECK_STATUS(LOAD(os, "--read-quorum=2", "--replicas=1"), ST_INVALID);
    CHECK(error_is("--read-quorum=2: larger than the number of replicas, which is 1 "
                   "(--replicas)"));
    setenv("CLUSTER_WRITE_QUORUM", "5", 1);
    const struct status s = LOAD(os, "--replicas=3");
    unsetenv("CLUSTER_WRITE_QUORUM");
    CHECK_STATUS(s, ST_INVALID);
    CHECK(error_is("write-quorum=5 (environment): larger than the number of replicas, which is "
                   "3 (--replicas)"));
    CHECK_OK(LOAD(os, "--replicas=7", "--write-quorum=7", "--read-quorum=1"));
    CHECK_EQ(config.write_quorum.index, 7);
    CHECK_EQ(config.read_quorum.index, 1);
    os_destroy(os);
}

/* What others are to call must be one address that can be called. */
TEST(config_cluster, judges_what_is_advertised) {
    struct os *os = os_create();
    static const char everywhere[] =
        "other nodes cannot tell which of all addresses is this node's; add --advertise HOST:PORT";
    static char *const all[] = { ":8080", "0.0.0.0:8080", "[::]:8080" };
    for (size_t i = 0; i < 3; i++) {
        char error[256];
        snprintf(error, sizeof error, "--listen=%s: %s", all[i], everywhere);
        CHECK_STATUS(LOAD(os, "--insecure", "--peers=127.0.0.1:1", "--listen", all[i]), ST_INVALID);
        CHECK(error_is(error));
        CHECK_OK(LOAD(os, "--insecure", "--peers=10.0.0.1:1", "--listen", all[i], "--advertise",
                      "10.0.0.2:9000"));
        CHECK(strcmp(config.advertise, "10.0.0.2:9000") == 0);
        CHECK_OK(LOAD(os, "--insecure", "--listen", all[i]));
        CHECK_STATUS(LOAD(os, "--peers=127.0.0.1:1", "--advertise", all[i]), ST_INVALID);
        snprintf(error, sizeof error,
                 "--advertise=%s: other nodes cannot call that; give one HOST:PORT of this node",
                 all[i]);
        CHECK(error_is(error));
    }
    CHECK_STATUS(LOAD(os, "--peers=127.0.0.1:1", "--advertise=a:0"), ST_INVALID);
    CHECK_STATUS(LOAD(os, "--advertise=nonsense"), ST_INVALID);
    CHECK(error_is("--advertise=nonsense is not allowed; allowed: HOST:PORT, [IPV6]:PORT or "
                   ":PORT"));
    CHECK_STATUS(LOAD(os, "--peers=127.0.0.1:1", "--port=0"), ST_INVALID);
    CHECK(error_is("--port=0: other nodes must know the port; give one, or add --advertise "
                   "HOST:PORT"));
    CHECK_OK(LOAD(os, "--port=0"));
    os_destroy(os);
}

/* Nothing is encrypted yet, so other machines are talked to on purpose only. */
TEST(config_cluster, refuses_other_machines_unless_told) {
    struct os *os = os_create();
    CHECK_STATUS(LOAD(os, "--peers=127.0.0.1:1,10.0.0.1:1"), ST_INVALID);
    CHECK(error_is("--peers=127.0.0.1:1,10.0.0.1:1: nodes on other machines would be talked to "
                   "without encryption, as there is none yet; use 127.0.0.1:PORT, or add "
                   "--insecure"));
    CHECK_STATUS(LOAD(os, "--role=proxy", "--peers=node1:1"), ST_INVALID);
    CHECK_OK(LOAD(os, "--peers=10.0.0.1:1", "--insecure", "--listen=10.0.0.2:1"));
    CHECK_OK(LOAD(os, "--peers=[::1]:1,localhost:2,127.0.0.9:3"));
    os_destroy(os);
}

/* A proxy is nothing without nodes; it needs no address of its own that they know. */
TEST(config_cluster, judges_a_proxy) {
    struct os *os = os_create();
    CHECK_STATUS(LOAD(os, "--role=proxy"), ST_INVALID);
    CHECK(error_is("--role=proxy: a proxy keeps no data; add the nodes, --peers LIST"));
    CHECK_STATUS(LOAD(os, "--role=server"), ST_INVALID);
    CHECK(error_is("--role=server is not allowed; allowed: node, proxy"));
    CHECK_OK(LOAD(os, "--role=proxy", "--peers=127.0.0.1:1", "--port=0"));
    CHECK_EQ(config.role.index, CONFIG_ROLE_PROXY);
    CHECK_OK(LOAD(os, "--role=proxy", "--peers=10.0.0.1:1", "--listen=:80", "--insecure"));
    os_destroy(os);
}

/* Who joins a cluster names one or more of its nodes, and is no founder of another. */
TEST(config_cluster, judges_who_joins) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "--port=7003", "--join=http://127.0.0.1:7001/,127.0.0.1:7002", "--weight=3",
                  "--zone=2", "--move-rate=0"));
    CHECK_EQ(config.join_nodes.count, 2);
    CHECK(strcmp(config.join, "127.0.0.1:7001,127.0.0.1:7002") == 0);
    CHECK_EQ(config.weight, 3);
    CHECK_EQ(config.zone, 2);
    CHECK_EQ(config.move_rate, 0);
    CHECK_STATUS(LOAD(os, "--join=nowhere"), ST_INVALID);
    CHECK(error_is("--join=nowhere: 'nowhere' is no address; write HOST:PORT,HOST:PORT"));
    CHECK_STATUS(LOAD(os, "--join=127.0.0.1:1", "--peers=127.0.0.1:2"), ST_INVALID);
    CHECK(error_is("--join=127.0.0.1:1: it is for a cluster that runs, and --peers for one that "
                   "begins; give one of the two"));
    CHECK_STATUS(LOAD(os, "--join=127.0.0.1:1", "--role=proxy"), ST_INVALID);
    CHECK(error_is("--join=127.0.0.1:1: a proxy is no member; give it --peers LIST"));
    CHECK_STATUS(LOAD(os, "--join=10.0.0.1:1"), ST_INVALID);
    CHECK_STATUS(LOAD(os, "--join=127.0.0.1:1", "--port=0"), ST_INVALID);
    char *const bad[] = { "--weight=0",   "--weight=1000001", "--weight=NaN", "--weight=-1",
                          "--weight=1e9", "--zone=65536",     "--zone=a",     "--move-rate=1" };
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STATUS(LOAD(os, bad[i]), ST_INVALID);
    os_destroy(os);
}

/* The rows that `atoll config` and CONFIG GET show have the values that hold. */
TEST(config_cluster, shows_what_holds) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "--port=7000", "--peers= 127.0.0.1:1 , 127.0.0.1:2 "));
    uint32_t found = 0;
    for (uint32_t i = 0; i < config.rows_count; i++) {
        const struct config_row *row = &config.rows[i];
        if (strcmp(row->name, "peers") == 0)
            found += strcmp(row->value, "127.0.0.1:1,127.0.0.1:2") == 0;
        if (strcmp(row->name, "advertise") == 0)
            found +=
                strcmp(row->value, "127.0.0.1:7000") == 0 && strcmp(row->source, "default") == 0;
    }
    CHECK_EQ(found, 2);
    os_destroy(os);
}
