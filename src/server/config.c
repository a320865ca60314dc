#include "server/config_internal.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/command.h"
#include "os/file.h"

#include <stdio.h>

/* Room for the names below it: a shard, a file, what is written beside it. */
#define DIR_BYTES_MAX (OS_PATH_BYTES_MAX - 2 * OS_NAME_BYTES_MAX)
#define FILE_BYTES_MAX (1024u * 1024) /* settings fit a page; more is another file by mistake */
#define NAME_SHOWN_BYTES 64u
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define HOUR_MS UINT64_C(3600000)

/* The place of a number in the list is the number. */
#define QUORUM_CHOICES "quorum|1|2|3|4|5|6|7"

/* Names without ATOLL_ in `environment` are those of the stores Atoll replaces. */
#define AT(member) offsetof(struct config, member)
static const struct option options[] = {
    { .name = "listen",
      .kind = OPTION_ADDRESS,
      .offset = AT(listen),
      .fallback = "127.0.0.1:8080",
      .environment = "NODE_ADDRESS",
      .help = "address to serve on; other machines need --insecure" },
    { .name = "port",
      .kind = OPTION_NUMBER,
      .offset = AT(port),
      .fallback = "8080",
      .max = 65535,
      .environment = "NET_PORT",
      .help = "port of the listen address; 0 takes a free one" },
    { .name = "dir",
      .also = "data",
      .kind = OPTION_TEXT,
      .offset = AT(dir),
      .fallback = "./data",
      .min = 1,
      .max = DIR_BYTES_MAX,
      .environment = "KVSTORE_DIR",
      .value_name = "FOLDER",
      .help = "data directory, made if missing" },
    { .name = "shards",
      .kind = OPTION_NUMBER,
      .offset = AT(shards),
      .fallback = "1",
      .fallback_is = "one per processor",
      .min = 1,
      .max = SHARDS_MAX,
      .help = "threads that each own a part of the keys; fixed when the data directory is made" },
    { .name = "sync",
      .kind = OPTION_CHOICE,
      .offset = AT(sync),
      .fallback = "always",
      .min = 1,
      .max = HOUR_MS,
      .choices = "always|never|interval=TIME",
      .help = "when a write is on disk: before its reply, when the kernel likes, or every TIME" },
    { .name = "memtable",
      .kind = OPTION_SIZE,
      .offset = AT(memtable_bytes),
      .fallback = "64MiB",
      .min = MIB,
      .max = 4 * GIB,
      .environment = "MEMTABLE_SIZE",
      .help = "writes a shard gathers in memory before they become a table" },
    { .name = "memtables-max",
      .kind = OPTION_NUMBER,
      .offset = AT(memtables_max),
      .fallback = "3",
      .min = 2,
      .max = 16,
      .help = "memtables of a shard, the one in use and those that wait to be written" },
    { .name = "cache",
      .kind = OPTION_SIZE,
      .offset = AT(cache_bytes),
      .fallback = "256MiB",
      .min = MIB,
      .max = 16 * TIB,
      .help = "memory for blocks, filters and indexes of tables, all shards together" },
    { .name = "compression",
      .kind = OPTION_CHOICE,
      .offset = AT(compression),
      .fallback = "lz4",
      .choices = "none|lz4|zstd",
      .help = "of tables in the upper levels" },
    { .name = "bottom-compression",
      .kind = OPTION_CHOICE,
      .offset = AT(bottom_compression),
      .fallback = "lz4",
      .choices = "none|lz4|zstd",
      .help = "of tables in the last level, where most data is" },
    { .name = "block",
      .kind = OPTION_SIZE,
      .offset = AT(block_bytes),
      .fallback = "4KiB",
      .min = KIB,
      .max = 64 * KIB,
      .help = "size of a table's block before compression" },
    { .name = "filter-bits",
      .kind = OPTION_NUMBER,
      .offset = AT(filter_bits),
      .fallback = "10",
      .max = 20,
      .help = "memory per key that saves reads of tables without the key; 0 for none" },
    { .name = "value-max",
      .kind = OPTION_SIZE,
      .offset = AT(value_bytes_max),
      .fallback = "16MiB",
      .min = 1,
      .max = VALUE_BYTES_MAX,
      .help = "largest value a client may store" },
    { .name = "connections-max",
      .kind = OPTION_NUMBER,
      .offset = AT(connections_max),
      .fallback = "20000",
      .min = 1,
      .max = 1000000,
      .help = "clients served at a time; further ones are refused" },
    { .name = "input-max",
      .kind = OPTION_SIZE,
      .offset = AT(input_bytes_max),
      .fallback = "256MiB",
      .min = 32 * MIB,
      .max = TIB,
      .help =
          "memory for commands that have not arrived in full, and as much again for commands and replies that wait" },
    { .name = "write-wait",
      .kind = OPTION_TIME,
      .offset = AT(write_wait_ms),
      .fallback = "2s",
      .max = HOUR_MS,
      .help = "how long a write waits while the disk is behind before it is refused" },
    { .name = "client-wait",
      .kind = OPTION_TIME,
      .offset = AT(client_wait_ms),
      .fallback = "60s",
      .min = 100,
      .max = 24 * HOUR_MS,
      .help = "how long half a command or an unread reply is kept before the client is cut off" },
    { .name = "compaction-rate",
      .kind = OPTION_SIZE,
      .offset = AT(compaction_rate),
      .fallback = "0",
      .min = MIB,
      .max = TIB,
      .or_zero = true,
      .help = "bytes a second that flushes and compactions may write; 0 for no limit" },
    { .name = "io-threads",
      .kind = OPTION_NUMBER,
      .offset = AT(io_threads),
      .fallback = "4",
      .min = 1,
      .max = 256,
      .help = "threads that read what is not in the cache" },
    { .name = "compaction-threads",
      .kind = OPTION_NUMBER,
      .offset = AT(compaction_threads),
      .fallback = "2",
      .min = 1,
      .max = 64,
      .help = "threads that write and merge tables" },
    { .name = "log-level",
      .kind = OPTION_CHOICE,
      .offset = AT(log_level),
      .fallback = "info",
      .choices = "debug|info|warn|error",
      .help = "least level of the lines logged to standard error; can be changed while it runs" },
    { .name = "log-format",
      .kind = OPTION_CHOICE,
      .offset = AT(log_format),
      .fallback = "text",
      .choices = "text|json",
      .help = "lines for people, or an object of JSON each" },
    { .name = "slow-ms",
      .kind = OPTION_NUMBER,
      .offset = AT(slow_ms),
      .fallback = "100",
      .max = HOUR_MS,
      .help =
          "log requests that take so many milliseconds, and why; 0 for none; can be changed while it runs" },
    { .name = "insecure",
      .kind = OPTION_FLAG,
      .offset = AT(insecure),
      .fallback = "false",
      .help = "serve other machines although nothing is authenticated or encrypted" },
    { .name = "peers",
      .kind = OPTION_TEXT,
      .offset = AT(peers),
      .fallback = "",
      .environment = "KVSTORE_PEERS",
      .value_name = "LIST",
      .help =
          "host:port of the cluster's nodes, comma separated, the same on all; empty for a node alone" },
    { .name = "join",
      .kind = OPTION_TEXT,
      .offset = AT(join),
      .fallback = "",
      .value_name = "LIST",
      .help =
          "host:port of nodes of a running cluster that this one is to become a member of, comma separated" },
    { .name = "weight",
      .kind = OPTION_NUMBER,
      .offset = AT(weight),
      .fallback = "1",
      .min = 1,
      .max = RING_WEIGHT_MAX,
      .help =
          "how much of the data this node is to keep beside others, as it joins; a later change "
          "is `atoll cluster weight`" },
    { .name = "zone",
      .kind = OPTION_NUMBER,
      .offset = AT(zone),
      .fallback = "0",
      .max = UINT16_MAX,
      .help =
          "number of what may fail as a whole, as a rack or a site; copies are spread over them; "
          "0 for none" },
    { .name = "move-rate",
      .kind = OPTION_SIZE,
      .offset = AT(move_rate),
      .fallback = "64MiB",
      .min = 64 * 1024,
      .max = TIB,
      .or_zero = true,
      .help =
          "bytes a second that a node may send while slots move to other nodes; 0 for no limit" },
    { .name = "replicas",
      .kind = OPTION_NUMBER,
      .offset = AT(replicas),
      .fallback = "3",
      .min = 1,
      .max = REPLICAS_MAX,
      .environment = "CLUSTER_REPLICATION_FACTOR",
      .help = "copies of a key in a cluster, at most one a node; the same on all nodes" },
    { .name = "write-quorum",
      .kind = OPTION_CHOICE,
      .offset = AT(write_quorum),
      .fallback = "quorum",
      .choices = QUORUM_CHOICES,
      .environment = "CLUSTER_WRITE_QUORUM",
      .value_name = "quorum|N",
      .help = "copies that must have a write before its reply; quorum is a majority of them" },
    { .name = "read-quorum",
      .kind = OPTION_CHOICE,
      .offset = AT(read_quorum),
      .fallback = "quorum",
      .choices = QUORUM_CHOICES,
      .environment = "CLUSTER_READ_QUORUM",
      .value_name = "quorum|N",
      .help = "copies that must answer a read; quorum is a majority of them" },
    { .name = "advertise",
      .kind = OPTION_ADDRESS,
      .offset = AT(advertise),
      .fallback = "",
      .fallback_is = "the listen address",
      .help = "address by which the other nodes reach this one; needed if it listens on all" },
    { .name = "role",
      .kind = OPTION_CHOICE,
      .offset = AT(role),
      .fallback = "node",
      .choices = "node|proxy",
      .help = "a proxy keeps no data and hands every request to the nodes in --peers" },
    { .name = "quorum-wait",
      .kind = OPTION_TIME,
      .offset = AT(quorum_wait_ms),
      .fallback = "2s",
      .min = 10,
      .max = HOUR_MS / 6,
      .environment = "NETWORK_TIMEOUT",
      .help = "how long a request waits for other nodes before it fails" },
    { .name = "hint-bytes",
      .kind = OPTION_SIZE,
      .offset = AT(hint_bytes_max),
      .fallback = "256MiB",
      .min = MIB,
      .max = TIB,
      .or_zero = true,
      .help = "disk for notes of what nodes that are away have missed; 0 for none" },
    { .name = "hint-age",
      .kind = OPTION_TIME,
      .offset = AT(hint_age_ms),
      .fallback = "3h",
      .min = 1000,
      .max = 30 * 24 * HOUR_MS,
      .help = "how long such notes are kept; what is missing later, repair finds" },
    { .name = "repair-rate",
      .kind = OPTION_NUMBER,
      .offset = AT(repair_rate),
      .fallback = "50000",
      .max = 100000000,
      .help = "records a second compared with other nodes in the background; 0 for never" },
    { .name = "snapshot-interval",
      .kind = OPTION_TIME,
      .offset = AT(snapshot_interval_ms),
      .fallback = "0",
      .min = 1000,
      .max = 30 * 24 * HOUR_MS,
      .or_zero = true,
      .help =
          "how often all that the node keeps is written to snapshots/ in its data directory, as JSON for `atoll import`; 0 for never" },
    { .name = "snapshot-keep",
      .kind = OPTION_NUMBER,
      .offset = AT(snapshot_keep),
      .fallback = "2",
      .min = 1,
      .max = 1000,
      .help = "snapshots that are kept, the newest ones" },
    { .name = "get-format",
      .kind = OPTION_CHOICE,
      .offset = AT(get_format),
      .fallback = "raw",
      .choices = "raw|json",
      .environment = "KVSTORE_GET_FORMAT",
      .help = "how GET /get answers a client that does not say: the value, or {\"value\":\"..\"}" },
    { .name = "config",
      .kind = OPTION_TEXT,
      .offset = AT(file),
      .fallback = "",
      .value_name = "FILE",
      .help = "file of further settings, one `name = value` a line" },
};
#undef AT

#define OPTIONS_COUNT (sizeof(options) / sizeof(options[0]))

static const struct option printing[] = {
    { .name = "json", .kind = OPTION_FLAG, .help = "print as JSON" },
    { .name = "markdown", .kind = OPTION_FLAG, .help = "print the reference table of the docs" },
};

const struct command_words config_serve_words = {
    .options = options,
    .options_count = OPTIONS_COUNT,
};
const struct command_words config_config_words = {
    .options = options,
    .options_count = OPTIONS_COUNT,
    .more = printing,
    .more_count = sizeof printing / sizeof *printing,
};

static_assert(OPTIONS_COUNT <= OPTIONS_MAX, "the table fits its set");
static_assert(REPLICAS_MAX == 7, "QUORUM_CHOICES lists every number of replicas");
static_assert(LOG_DEBUG == 0 && LOG_INFO == 1 && LOG_WARN == 2 && LOG_ERROR == 3,
              "log-level's choices are in the order of enum log_level");

/* Whether `name` is one of the words of `list`, which are separated by spaces. */
static bool list_has(const char *list, struct bytes name) {
    for (const char *at = list; at != NULL && *at != '\0';) {
        const size_t len = strcspn(at, " ");
        if (bytes_equal(name, bytes_of(at, len))) return true;
        at += len + (at[len] == ' ');
    }
    return false;
}

/* The option with this environment name, or -1. */
static int32_t find_by_environment(struct bytes name) {
    for (uint32_t i = 0; i < OPTIONS_COUNT; i++) {
        char ours[NAME_SHOWN_BYTES];
        option_environment_name(&options[i], ours, sizeof ours);
        if (bytes_equal(name, bytes_of_string(ours))) return (int32_t)i;
        if (list_has(options[i].environment, name)) return (int32_t)i;
    }
    return -1;
}

/* Kubernetes sets ATOLL_PORT=tcp://10.0.0.1:8080 in every container beside a service
 * named atoll; nobody means the option by that. */
static bool is_service_link(struct bytes value) {
    return bytes_start_with(value, BYTES_LIT("tcp://")) ||
           bytes_start_with(value, BYTES_LIT("udp://"));
}

static STATUS take_variable(struct config *c, uint32_t index, const char *name, struct os *os) {
    const char *value = os_environment(os, name);
    if (value == NULL || is_service_link(bytes_of_string(value))) return status_of(ST_OK);
    return option_put(&c->set, index, OPTION_ENVIRONMENT, name, bytes_of_string(value));
}

/* Predecessors' names first, so that ours win where both are set. */
static STATUS take_environment(struct config *c, struct os *os) {
    for (uint32_t i = 0; i < OPTIONS_COUNT; i++) {
        char name[NAME_SHOWN_BYTES];
        for (const char *at = options[i].environment; at != NULL && *at != '\0';) {
            const size_t len = strcspn(at, " ");
            snprintf(name, sizeof name, "%.*s", (int)len, at);
            TRY(take_variable(c, i, name, os));
            at += len + (at[len] == ' ');
        }
        TRY(take_variable(c, i, option_environment_name(&options[i], name, sizeof name), os));
    }
    config_take_inert_environment(c, os);
    return status_of(ST_OK);
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

struct bytes config_trim(struct bytes in) {
    while (in.len > 0 && is_blank(in.ptr[0])) in = bytes_of(in.ptr + 1, in.len - 1);
    while (in.len > 0 && is_blank(in.ptr[in.len - 1])) in.len--;
    return in;
}

/* What stands before a '#' that begins a word; quotes protect one, and are taken off. */
static struct bytes strip_value(struct bytes in) {
    in = config_trim(in);
    if (in.len > 0 && (in.ptr[0] == '"' || in.ptr[0] == '\'')) {
        const uint8_t *end = memchr(in.ptr + 1, in.ptr[0], in.len - 1);
        if (end != NULL) return bytes_of(in.ptr + 1, (size_t)(end - in.ptr - 1));
    }
    for (size_t i = 0; i < in.len; i++)
        if (in.ptr[i] == '#' && (i == 0 || is_blank(in.ptr[i - 1]))) in.len = i;
    return config_trim(in);
}

struct line {
    uint32_t number;    /* 1.. */
    struct bytes name;  /* trimmed */
    struct bytes value; /* trimmed, without comment and quotes */
};

/* Take the next line that holds a setting from `rest`.
 * Errors  ST_NOT_FOUND  there is none; ST_INVALID  the line has no '=' */
static STATUS next_line(struct bytes *rest, struct line *l) {
    while (rest->len > 0) {
        const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
        const size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
        const struct bytes text = config_trim(bytes_of(rest->ptr, len));
        const size_t used = len + (end != NULL);
        *rest = bytes_of(rest->ptr + used, rest->len - used);
        l->number++;
        if (text.len == 0 || text.ptr[0] == '#') continue;
        const uint8_t *equals = memchr(text.ptr, '=', text.len);
        if (equals == NULL) return status_of(ST_INVALID);
        const size_t name_len = (size_t)(equals - text.ptr);
        l->name = config_trim(bytes_of(text.ptr, name_len));
        l->value = strip_value(bytes_of(equals + 1, text.len - name_len - 1));
        return status_of(ST_OK);
    }
    return status_of(ST_NOT_FOUND);
}

static STATUS refuse_line(struct config *c, const char *path, const struct line *l,
                          const char *why) {
    char name[NAME_SHOWN_BYTES];
    log_escape(l->name, name, sizeof name);
    snprintf(c->set.error, sizeof c->set.error, "%s line %u: %s%s%s", path, l->number, name,
             l->name.len > 0 ? ": " : "", why);
    return status_of(ST_INVALID);
}

static STATUS take_dotenv(struct config *c, struct bytes text, enum option_source source) {
    const char *path = option_source_name(source);
    struct line l = { 0 };
    for (;;) {
        const struct status s = next_line(&text, &l);
        if (s.code == ST_NOT_FOUND) return status_of(ST_OK);
        if (!status_ok(s))
            return refuse_line(c, path, &(struct line){ .number = l.number }, "no NAME=value");
        if (bytes_start_with(l.name, BYTES_LIT("export ")))
            l.name = config_trim(bytes_of(l.name.ptr + 7, l.name.len - 7));
        const int32_t index = find_by_environment(l.name);
        if (index >= 0) {
            char name[NAME_SHOWN_BYTES];
            log_escape(l.name, name, sizeof name);
            TRY(option_put(&c->set, (uint32_t)index, source, name, l.value));
        } else if (bytes_start_with(l.name, BYTES_LIT("ATOLL_")) &&
                   !bytes_equal(l.name, BYTES_LIT("ATOLL_SERVER"))) {
            return refuse_line(c, path, &l, "no such setting; `atoll config` lists them");
        }
        config_take_inert(c, source, l.name, l.value);
    }
}

STATUS config_take_dotenv(struct config *c, struct bytes text) {
    return take_dotenv(c, text, OPTION_DOTENV);
}

static STATUS take_test_env(struct config *c, struct bytes text) {
    return take_dotenv(c, text, OPTION_TEST_ENV);
}

STATUS config_take_file(struct config *c, struct bytes text) {
    struct line l = { 0 };
    for (;;) {
        const struct status s = next_line(&text, &l);
        if (s.code == ST_NOT_FOUND) return status_of(ST_OK);
        if (!status_ok(s))
            return refuse_line(c, c->file, &(struct line){ .number = l.number },
                               "no `name = value`");
        const int32_t index = option_find(&c->set, l.name);
        if (index < 0)
            return refuse_line(c, c->file, &l, "no such setting; `atoll config` lists them");
        if (strcmp(options[index].name, "config") == 0)
            return refuse_line(c, c->file, &l, "a file cannot name another");
        TRY(option_put(&c->set, (uint32_t)index, OPTION_FILE, options[index].name, l.value));
    }
}

/* Read a whole small file into `ret_text`, which the caller has made. */
static STATUS read_file(struct os *os, const char *path, struct buffer *ret_text) {
    struct os_file f = { 0 };
    TRY(os_file_open(os, path, OS_FILE_READ, &f));
    uint8_t *room = buffer_reserve(ret_text, FILE_BYTES_MAX + 1);
    size_t len = 0;
    const struct status s = os_file_read(&f, 0, room, FILE_BYTES_MAX + 1, &len);
    os_file_close(&f);
    TRY(s);
    if (len > FILE_BYTES_MAX) return status_of(ST_FULL);
    buffer_commit(ret_text, len);
    return status_of(ST_OK);
}

/* With `ret_found` the file need not exist. */
static STATUS load_text(struct config *c, struct os *os, const char *path, bool *ret_found,
                        STATUS (*take)(struct config *c, struct bytes text)) {
    struct buffer text;
    buffer_init(&text, 2 * FILE_BYTES_MAX);
    struct status s = read_file(os, path, &text);
    if (ret_found != NULL) *ret_found = s.code != ST_NOT_FOUND;
    if (status_ok(s)) {
        s = take(c, buffer_bytes(&text));
    } else if (s.code == ST_NOT_FOUND && ret_found != NULL) {
        s = status_of(ST_OK);
    } else {
        snprintf(c->set.error, sizeof c->set.error, "cannot read the settings in %s: %s", path,
                 s.code == ST_NOT_FOUND ? "no such file"
                 : s.code == ST_FULL    ? "more than 1MiB"
                                        : "not a readable file");
        s = status_of(ST_INVALID);
    }
    buffer_deinit(&text);
    return s;
}

bool config_is_loopback(const char *address) {
    const struct bytes text = bytes_of_string(address);
    static const char *const local[] = { "localhost:", "[::1]:" };
    for (size_t i = 0; i < 2; i++)
        if (bytes_start_with(text, bytes_of_string(local[i]))) return true;
    /* Only digits and dots, so that the name 127.example.com is none of it. */
    return bytes_start_with(text, BYTES_LIT("127.")) &&
           strspn(address, "0123456789.") == strcspn(address, ":");
}

/* `port` replaces the port in `listen` if its source is at least as strong, else it is
 * taken from there; either way the two then agree. */
static STATUS settle_port(struct config *c) {
    struct option_state *listen = &c->set.states[option_find(&c->set, BYTES_LIT("listen"))];
    struct option_state *port = &c->set.states[option_find(&c->set, BYTES_LIT("port"))];
    const char *colon = strrchr(c->listen, ':');
    ASSERT(colon != NULL);
    uint64_t listen_port = 0;
    TRY(bytes_to_u64(bytes_of_string(colon + 1), &listen_port));
    if (port->source == OPTION_DEFAULT || port->source < listen->source) {
        c->port = listen_port;
        port->source = listen->source;
        snprintf(port->text, sizeof port->text, "%llu", (unsigned long long)listen_port);
    }
    const int host_len = (int)(colon - c->listen);
    const int len = snprintf(c->listen_text, sizeof c->listen_text, "%.*s:%llu", host_len,
                             c->listen, (unsigned long long)c->port);
    if (len < 0 || (size_t)len >= sizeof c->listen_text)
        return option_refuse(&c->set, "listen", "too long");
    if (c->port != listen_port) listen->source = port->source;
    memcpy(listen->text, c->listen_text, (size_t)len + 1);
    ASSERT(c->listen == listen->text);
    return status_of(ST_OK);
}

static void fill_rows(struct config *c) {
    for (uint32_t i = 0; i < c->set.count; i++)
        c->rows[i] = (struct config_row){
            .name = options[i].name,
            .value = c->set.states[i].text,
            .source = option_source_name(c->set.states[i].source),
            .help = options[i].help,
        };
    c->rows_count = c->set.count;
}

STATUS config_finish(struct config *c, struct os *os) {
    ASSERT(option_set_check(&c->set));
    TRY(settle_port(c));
    struct option_state *shards = &c->set.states[option_find(&c->set, BYTES_LIT("shards"))];
    c->shards_given = shards->source != OPTION_DEFAULT;
    if (!c->shards_given) {
        const uint32_t processors = os_cpu_count(os);
        c->shards = processors < SHARDS_MAX ? processors : SHARDS_MAX;
        snprintf(shards->text, sizeof shards->text, "%llu", (unsigned long long)c->shards);
    }
    TRY(config_settle_nodes(c));
    config_settle_advertise(c);
    fill_rows(c);
    if (!config_is_loopback(c->listen) && !c->insecure)
        return option_refuse(&c->set, "listen",
                             "other machines could read and write everything, as there is no "
                             "authentication yet; use 127.0.0.1:PORT, or add --insecure");
    return config_judge_cluster(c);
}

static void start_set(struct config *c) {
    memset(c, 0, sizeof *c);
    option_set_init(&c->set, options, OPTIONS_COUNT, c);
}

void config_init(struct config *c, struct os *os) {
    start_set(c);
    const struct status s = config_finish(c, os);
    ASSERT(status_ok(s));
}

STATUS config_load(struct config *c, struct os *os, int argc, char **argv) {
    start_set(c);
    TRY(option_parse(&c->set, argc, argv));
    if (c->set.help) return status_of(ST_OK);
    if (c->set.argument_count > 0) {
        char word[NAME_SHOWN_BYTES];
        log_escape(bytes_of_string(c->set.arguments[0]), word, sizeof word);
        snprintf(c->set.error, sizeof c->set.error, "unexpected word '%s'; options begin with --",
                 word);
        return status_of(ST_INVALID);
    }
    TRY(take_environment(c, os));
    bool found = false;
    TRY(load_text(c, os, ".env", &found, config_take_dotenv));
    if (!found) TRY(load_text(c, os, "test.env", &found, take_test_env));
    if (c->file[0] != '\0') TRY(load_text(c, os, c->file, NULL, config_take_file));
    return config_finish(c, os);
}
