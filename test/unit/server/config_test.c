/* Where settings come from, which one wins, and what is said when one is wrong. */
#include "server/config.h"

#include "os/file.h"
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

static bool error_has(const char *text) {
    return strstr(config.set.error, text) != NULL && strchr(config.set.error, '\n') == NULL;
}

static const char *value_of(const char *name) {
    return option_state_of(&config.set, name)->text;
}

static enum option_source source_of(const char *name) {
    return option_state_of(&config.set, name)->source;
}

static void begin(struct os *os, const char *dotenv) {
    config_init(&config, os);
    CHECK_OK(config_take_dotenv(&config, bytes_of_string(dotenv)));
}

/* What docs/configuration.md promises for a node without any settings. */
TEST(config, has_the_documented_defaults) {
    struct os *os = os_create();
    config_init(&config, os);
    CHECK(strcmp(config.listen, "127.0.0.1:8080") == 0);
    CHECK_EQ(config.port, 8080);
    CHECK_EQ(config.memtable_bytes, 64u << 20);
    CHECK_EQ(config.cache_bytes, 256u << 20);
    CHECK_EQ(config.sync.index, CONFIG_SYNC_ALWAYS);
    CHECK_EQ(config.compression.index, CONFIG_COMPRESSION_LZ4);
    CHECK_EQ(config.value_bytes_max, 16u << 20);
    CHECK_EQ(config.write_wait_ms, 2000);
    CHECK_EQ(config.client_wait_ms, 60000);
    CHECK_EQ(config.compaction_rate, 0);
    CHECK_EQ(config.shards, os_cpu_count(os) < SHARDS_MAX ? os_cpu_count(os) : SHARDS_MAX);
    CHECK(!config.shards_given);
    CHECK(config.rows_count > 20);
    os_destroy(os);
}

/* Every way to write a flag means the same. */
TEST(config, takes_flags_with_one_dash_or_two) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "-memtable", "128M", "--cache=1GiB", "-sync=interval=5ms", "--insecure"));
    CHECK_EQ(config.memtable_bytes, 128u << 20);
    CHECK_EQ(config.cache_bytes, 1u << 30);
    CHECK_EQ(config.sync.index, CONFIG_SYNC_INTERVAL);
    CHECK_EQ(config.sync.time_ms, 5);
    CHECK(config.insecure);
    CHECK(strcmp(value_of("sync"), "interval=5ms") == 0);
    CHECK(source_of("cache") == OPTION_ARGUMENT);
    CHECK(source_of("block") == OPTION_DEFAULT);
    os_destroy(os);
}

/* flag > environment > .env > file > default, in whatever order they are read. */
TEST(config, the_stronger_source_wins) {
    struct os *os = os_create();
    char path[OS_PATH_BYTES_MAX], flag[OS_PATH_BYTES_MAX + 16];
    struct os_file f = { 0 };
    snprintf(path, sizeof path, "%s/settings", test_tmpdir());
    snprintf(flag, sizeof flag, "--config=%s", path);
    CHECK_OK(os_file_open(os, path, OS_FILE_CREATE_EMPTY, &f));
    CHECK_OK(os_file_write(&f, 0,
                           BYTES_LIT("# all\nblock = 8KiB # why\n\ncache = 32MiB\n"
                                     "filter-bits = 12\n")));
    os_file_close(&f);
    setenv("ATOLL_CACHE", "64MiB", 1);
    setenv("ATOLL_FILTER_BITS", "14", 1);
    const struct status s = LOAD(os, flag, "--filter-bits", "16");
    unsetenv("ATOLL_CACHE");
    unsetenv("ATOLL_FILTER_BITS");
    CHECK_OK(s);
    CHECK_EQ(config.block_bytes, 8192);
    CHECK(source_of("block") == OPTION_FILE);
    CHECK_EQ(config.cache_bytes, 64u << 20);
    CHECK(source_of("cache") == OPTION_ENVIRONMENT);
    CHECK_EQ(config.filter_bits, 16);
    CHECK(source_of("filter-bits") == OPTION_ARGUMENT);
    os_destroy(os);
}

/* The predecessors' .env files load: their names, comments behind values, others skipped. */
TEST(config, reads_a_predecessors_dotenv) {
    struct os *os = os_create();
    begin(os, "# node\nNET_PORT=7001 # the port\r\nexport KVSTORE_DIR=\"/tmp/a # b\"\n"
              "MEMTABLE_SIZE=67108864\nWAL_MAX_BATCH_SIZE=512\nATOLL_SERVER=h:1\n");
    CHECK_OK(config_finish(&config, os));
    CHECK(strcmp(config.listen, "127.0.0.1:7001") == 0);
    CHECK(strcmp(config.dir, "/tmp/a # b") == 0);
    CHECK_EQ(config.memtable_bytes, 64u << 20);
    CHECK(source_of("port") == OPTION_DOTENV);
    begin(os, "NODE_ADDRESS=localhost:8001\n");
    CHECK_OK(config_finish(&config, os));
    CHECK(strcmp(config.listen, "localhost:8001") == 0);
    CHECK_EQ(config.port, 8001);
    os_destroy(os);
}

/* A port beats the port of an address of the same or a weaker source only. */
TEST(config, port_and_listen_agree) {
    struct os *os = os_create();
    CHECK_OK(LOAD(os, "--listen", "[::1]:9000", "--port", "7000"));
    CHECK(strcmp(config.listen, "[::1]:7000") == 0);
    setenv("NET_PORT", "7001", 1);
    const struct status s = LOAD(os, "--listen", "127.0.0.1:9000");
    unsetenv("NET_PORT");
    CHECK_OK(s);
    CHECK(strcmp(config.listen, "127.0.0.1:9000") == 0);
    CHECK_EQ(config.port, 9000);
    CHECK(strcmp(value_of("port"), "9000") == 0);
    os_destroy(os);
}

/* One line that names the option, the value and what is allowed. */
TEST(config, names_what_is_wrong) {
    struct os *os = os_create();
    CHECK_STATUS(LOAD(os, "--memtable=12x"), ST_INVALID);
    CHECK(error_has("--memtable=12x") && error_has("1MiB to 4GiB"));
    CHECK_STATUS(LOAD(os, "--memtabel=64M"), ST_INVALID);
    CHECK(error_has("did you mean --memtable?"));
    CHECK_STATUS(LOAD(os, "--compression", "snappy"), ST_INVALID);
    CHECK(error_has("none, lz4, zstd"));
    CHECK_STATUS(LOAD(os, "--write-wait"), ST_INVALID);
    CHECK(error_has("needs a value"));
    CHECK_STATUS(LOAD(os, "stray"), ST_INVALID);
    CHECK(error_has("'stray'"));
    CHECK_STATUS(LOAD(os, "--config=/nowhere/at/all"), ST_INVALID);
    CHECK(error_has("no such file"));
    setenv("MEMTABLE_SIZE", "many\n", 1);
    const struct status s = LOAD(os, "--memtable=64M");
    unsetenv("MEMTABLE_SIZE");
    CHECK_STATUS(s, ST_INVALID);
    CHECK(error_has("MEMTABLE_SIZE=many\\x0a (environment)"));
    os_destroy(os);
}

/* A misspelt setting in a file or .env would else be silently without effect. */
TEST(config, refuses_unknown_names_in_files) {
    struct os *os = os_create();
    config_init(&config, os);
    CHECK_STATUS(config_take_dotenv(&config, BYTES_LIT("\nATOLL_MEMTABEL=1M\n")), ST_INVALID);
    CHECK(error_has(".env line 2") && error_has("ATOLL_MEMTABEL"));
    CHECK_STATUS(config_take_file(&config, BYTES_LIT("bock = 4KiB")), ST_INVALID);
    CHECK(error_has("line 1") && error_has("bock"));
    CHECK_STATUS(config_take_file(&config, BYTES_LIT("nothing")), ST_INVALID);
    CHECK_STATUS(config_take_file(&config, BYTES_LIT("config = other")), ST_INVALID);
    os_destroy(os);
}

/* Names below the data directory must fit into what the system takes for a path. */
TEST(config, bounds_the_data_directory) {
    struct os *os = os_create();
    char flag[2048] = "--dir=";
    memset(flag + 6, 'd', 768);
    CHECK_OK(LOAD(os, flag));
    flag[6 + 768] = 'd';
    CHECK_STATUS(LOAD(os, flag), ST_INVALID);
    CHECK(error_has("--dir=ddd") && error_has("at most 768 bytes"));
    os_destroy(os);
}

/* Nothing is authenticated yet, so other machines are let in on purpose only. */
TEST(config, refuses_other_machines_unless_told) {
    struct os *os = os_create();
    CHECK_STATUS(LOAD(os, "--listen=0.0.0.0:8080"), ST_INVALID);
    CHECK(error_has("--listen=0.0.0.0:8080") && error_has("--insecure"));
    CHECK_STATUS(LOAD(os, "--listen=:8080"), ST_INVALID);
    CHECK_STATUS(LOAD(os, "--listen=127.evil.example:8080"), ST_INVALID);
    CHECK_OK(LOAD(os, "--listen=0.0.0.0:8080", "--insecure"));
    CHECK_OK(LOAD(os, "--listen=127.0.0.2:8080"));
    CHECK_OK(LOAD(os, "--listen=localhost:8080"));
    os_destroy(os);
}

/* Kubernetes sets ATOLL_PORT beside a service named atoll. */
TEST(config, ignores_kubernetes_service_links) {
    struct os *os = os_create();
    setenv("ATOLL_PORT", "tcp://10.0.0.1:8080", 1);
    const struct status s = LOAD(os, "--shards=2");
    unsetenv("ATOLL_PORT");
    CHECK_OK(s);
    CHECK_EQ(config.port, 8080);
    CHECK(config.shards_given);
    os_destroy(os);
}

/* The reference in the manual is the program's own table; `atoll config --markdown`. */
TEST(config, the_manual_has_the_table) {
    struct os *os = os_create();
    struct os_file f = { 0 };
    struct buffer table;
    static char manual[256 * 1024];
    size_t len = 0;
    config_init(&config, os);
    buffer_init(&table, 1 << 20);
    config_append_markdown(&config, &table);
    buffer_append_u8(&table, '\0');
    CHECK_OK(os_file_open(os, "docs/configuration.md", OS_FILE_READ, &f));
    CHECK_OK(os_file_read(&f, 0, manual, sizeof manual - 1, &len));
    os_file_close(&f);
    manual[len] = '\0';
    CHECK(strstr(manual, (const char *)buffer_bytes(&table).ptr) != NULL);
    buffer_deinit(&table);
    os_destroy(os);
}
