/* Names of older stores that have no effect are accepted, and told with the reason; the strongest
 * source wins as for any setting. */
#include "server/config_internal.h"

#include "test/unit/harness.h"

#include <stdio.h>
#include <string.h>

static struct config config;
static char lines[4096];

static void gather(const char *line) {
    const size_t len = strlen(lines);
    snprintf(lines + len, sizeof lines - len, "%s\n", line);
}

static const char *list(void) {
    lines[0] = '\0';
    config_list_inert(&config, gather);
    return lines;
}

TEST(config_inert, is_told_with_its_reason) {
    struct os *os = os_create();
    config_init(&config, os);
    CHECK(strcmp(list(), "") == 0);
    CHECK_OK(config_take_dotenv(&config, BYTES_LIT("MAX_L0_FILES=4   # files\n"
                                                   "export BLOOM_SIZE_L1=\"3000000\"\n"
                                                   "SOMETHING_ELSE=1\n")));
    CHECK(strncmp(list(), "MAX_L0_FILES=4 (.env) has no effect here, because ", 50) == 0);
    CHECK(strstr(lines, "\nBLOOM_SIZE_L1=3000000 (.env) has no effect here, because ") != NULL);
    CHECK(strstr(lines, "SOMETHING_ELSE") == NULL);
    config_take_inert(&config, OPTION_ENVIRONMENT, BYTES_LIT("MAX_L0_FILES"), BYTES_LIT("5"));
    config_take_inert(&config, OPTION_DOTENV, BYTES_LIT("MAX_L0_FILES"), BYTES_LIT("6"));
    CHECK(strncmp(list(), "MAX_L0_FILES=5 (environment)", 28) == 0);
    os_destroy(os);
}

TEST(config_inert, any_value_is_accepted) {
    struct os *os = os_create();
    static char text[400] = "WAL_COMMIT_INTERVAL=";
    config_init(&config, os);
    memset(text + strlen(text), 'x', 300);
    CHECK_OK(config_take_dotenv(&config, bytes_of_string(text)));
    CHECK_OK(config_take_dotenv(&config, BYTES_LIT("WAL_MAX_BATCH_SIZE=\x1b[1m\n")));
    CHECK(strstr(list(), "WAL_COMMIT_INTERVAL=xxx") != NULL);
    CHECK(strchr(lines, '\x1b') == NULL);
    CHECK_OK(config_finish(&config, os));
    os_destroy(os);
}

/* Every name of the older stores is either an option's or one of these. */
TEST(config_inert, knows_every_name) {
    static const char *const names[] = { "NODE_ADDRESS",
                                         "NET_PORT",
                                         "KVSTORE_PEERS",
                                         "KVSTORE_DIR",
                                         "KVSTORE_GET_FORMAT",
                                         "MEMTABLE_SIZE",
                                         "CLUSTER_REPLICATION_FACTOR",
                                         "CLUSTER_WRITE_QUORUM",
                                         "CLUSTER_READ_QUORUM",
                                         "NETWORK_TIMEOUT" };
    static const char *const inert[] = { "MAX_L0_FILES",          "SPARSE_INDEX_INTERVAL",
                                         "WAL_COMMIT_INTERVAL",   "WAL_MAX_BATCH_SIZE",
                                         "CLUSTER_VIRTUAL_NODES", "BATCH_CONCURRENCY",
                                         "BLOOM_SIZE_L0",         "BLOOM_SIZE_L1" };
    struct os *os = os_create();
    config_init(&config, os);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool known = false;
        for (uint32_t k = 0; k < config.set.count; k++) {
            const char *environment = config.set.options[k].environment;
            known |= environment != NULL && strcmp(environment, names[i]) == 0;
        }
        CHECK(known);
    }
    CHECK_EQ(sizeof inert / sizeof *inert, CONFIG_INERT);
    for (uint32_t i = 0; i < CONFIG_INERT; i++) {
        CHECK(strcmp(config_inert_name(i), inert[i]) == 0);
        CHECK(strlen(config_inert_reason(i)) > 20);
    }
    os_destroy(os);
}
