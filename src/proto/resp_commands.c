#include "proto/resp_commands.h"

#include "base/assert.h"
#include "proto/resp_internal.h"

#define NO_KEYS 0, 0, 0
#define ONE_KEY 1, 1, 1
#define ALL_KEYS 1, -1, 1
#define ALL_PAIRS 1, -1, 2

#define READ RESP_READONLY
#define WRITE RESP_WRITE
#define FAST RESP_FAST
#define NO_AUTH RESP_NO_AUTH
#define DANGEROUS RESP_DANGEROUS
#define SUM (RESP_SPREAD | RESP_SUM)

#define CHILD(container, name, arity, flags, translate, since, summary)                           \
    {                                                                                             \
        name, arity, flags, container##_GROUP, NO_KEYS, translate, NULL, container##_NAME, since, \
            summary                                                                               \
    }
#define CHILD_END \
    { .name = "" }

#define CLIENT_GROUP RESP_CONNECTION
#define CLIENT_NAME "client"
#define CLUSTER_GROUP RESP_CLUSTER
#define CLUSTER_NAME "cluster"
#define COMMAND_GROUP RESP_SERVER
#define COMMAND_NAME "command"
#define CONFIG_GROUP RESP_SERVER
#define CONFIG_NAME "config"

#define SLOWLOG_GROUP RESP_SERVER
#define SLOWLOG_NAME "slowlog"

#define HELP(container) \
    CHILD(container, "help", 2, 0, resp_translate_help, "5.0.0", "Show this help")

/* Names and arities of Redis; a summary that begins with "Not supported" is also the
 * error text of resp_translate_refused. */
static const struct resp_command client_children[] = {
    CHILD(CLIENT, "setname", 3, 0, resp_translate_client_setname, "2.6.9",
          "Set the name of this connection"),
    CHILD(CLIENT, "getname", 2, 0, resp_translate_client_getname, "2.6.9",
          "Get the name of this connection"),
    CHILD(CLIENT, "setinfo", 4, 0, resp_translate_client_setinfo, "7.2.0",
          "Accepts the name and version of a library; they are not kept"),
    CHILD(CLIENT, "id", 2, 0, resp_translate_client_id, "5.0.0", "Get the id of this connection"),
    CHILD(CLIENT, "info", 2, 0, resp_translate_client_info, "6.2.0",
          "Get information about this connection"),
    CHILD(CLIENT, "list", -2, DANGEROUS, resp_translate_client_list, "2.4.0",
          "List this connection; those of others are not shown"),
    CHILD(CLIENT, "reply", 3, 0, resp_translate_client_reply, "3.2.0",
          "Accepts ON; replies cannot be switched off"),
    CHILD(CLIENT, "no-evict", 3, DANGEROUS, resp_translate_client_switch, "7.0.0",
          "Accepts ON and OFF; connections are never evicted"),
    CHILD(CLIENT, "no-touch", 3, 0, resp_translate_client_switch, "7.2.0",
          "Accepts ON and OFF; reads leave no trace in the data"),
    HELP(CLIENT),
    CHILD_END,
};

static const struct resp_command config_children[] = {
    CHILD(CONFIG, "get", -3, DANGEROUS, resp_translate_config_get, "2.0.0",
          "Get the options that match the patterns"),
    CHILD(CONFIG, "set", -4, DANGEROUS, resp_translate_config_set, "2.0.0",
          "Set log-level or loglevel, slow-ms or slowlog-log-slower-than, until the node ends"),
    CHILD(CONFIG, "resetstat", 2, DANGEROUS, resp_translate_refused, "2.0.0",
          "Not supported: statistics run from the start of the node"),
    CHILD(CONFIG, "rewrite", 2, DANGEROUS, resp_translate_refused, "2.8.0",
          "Not supported: the node does not write its configuration"),
    HELP(CONFIG),
    CHILD_END,
};

static const struct resp_command slowlog_children[] = {
    CHILD(SLOWLOG, "get", -2, DANGEROUS, resp_translate_slowlog_get, "2.2.12",
          "Get the newest slow requests"),
    CHILD(SLOWLOG, "len", 2, DANGEROUS, resp_translate_slowlog_len, "2.2.12",
          "Get the number of slow requests kept"),
    CHILD(SLOWLOG, "reset", 2, DANGEROUS, resp_translate_slowlog_reset, "2.2.12",
          "Forget the slow requests kept"),
    HELP(SLOWLOG),
    CHILD_END,
};

static const struct resp_command cluster_children[] = {
    CHILD(CLUSTER, "slots", 2, 0, resp_translate_cluster_slots, "3.0.0",
          "Get the slots and the nodes that serve them"),
    CHILD(CLUSTER, "shards", 2, 0, resp_translate_cluster_shards, "7.0.0",
          "Get the slots and the nodes that serve them, as maps"),
    CHILD(CLUSTER, "nodes", 2, 0, resp_translate_cluster_nodes, "3.0.0",
          "Get the nodes, a line each"),
    CHILD(CLUSTER, "info", 2, 0, resp_translate_cluster_info, "3.0.0",
          "Get the state of the cluster"),
    CHILD(CLUSTER, "keyslot", 3, 0, resp_translate_cluster_keyslot, "3.0.0",
          "Get the slot of a key"),
    CHILD(CLUSTER, "myid", 2, 0, resp_translate_cluster_myid, "3.0.0", "Get the id of this node"),
    CHILD(CLUSTER, "countkeysinslot", 3, 0, resp_translate_refused, "3.0.0",
          "Not supported: keys are not counted by slot"),
    CHILD(CLUSTER, "getkeysinslot", 4, 0, resp_translate_refused, "3.0.0",
          "Not supported: keys are not listed by slot"),
    CHILD(CLUSTER, "meet", -4, 0, resp_translate_refused, "3.0.0",
          "Not supported: start the node with --join, or ask `atoll cluster join`"),
    CHILD(CLUSTER, "forget", 3, 0, resp_translate_refused, "3.0.0",
          "Not supported: use `atoll cluster leave`, of a dead node `atoll cluster remove`"),
    CHILD(CLUSTER, "reset", -2, 0, resp_translate_refused, "3.0.0",
          "Not supported: use `atoll cluster leave`, then start with a new data directory"),
    CHILD(CLUSTER, "failover", -2, 0, resp_translate_refused, "3.0.0",
          "Not supported: any living replica answers; `atoll cluster leader` moves the leader"),
    CHILD(CLUSTER, "replicate", 3, 0, resp_translate_refused, "3.0.0",
          "Not supported: every node keeps slots; their copies are set by keyspace"),
    CHILD(CLUSTER, "addslots", -3, 0, resp_translate_refused, "3.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "addslotsrange", -4, 0, resp_translate_refused, "7.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "delslots", -3, 0, resp_translate_refused, "3.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "delslotsrange", -4, 0, resp_translate_refused, "7.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "setslot", -4, 0, resp_translate_refused, "3.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "flushslots", 2, 0, resp_translate_refused, "3.0.0",
          "Not supported: slots follow the weights, see `atoll cluster weight`"),
    CHILD(CLUSTER, "bumpepoch", 2, 0, resp_translate_refused, "3.0.0",
          "Not supported: the epoch rises by itself with every change of the slots"),
    CHILD(CLUSTER, "set-config-epoch", 3, 0, resp_translate_refused, "3.0.0",
          "Not supported: the epoch rises by itself with every change of the slots"),
    HELP(CLUSTER),
    CHILD_END,
};

static const struct resp_command command_children[] = {
    CHILD(COMMAND, "count", 2, 0, resp_translate_command_count, "2.8.13",
          "Get the number of commands"),
    CHILD(COMMAND, "docs", -2, 0, resp_translate_command_docs, "7.0.0",
          "Get the documentation of commands"),
    CHILD(COMMAND, "info", -2, 0, resp_translate_command_info, "2.8.13",
          "Get the details of commands"),
    HELP(COMMAND),
    CHILD_END,
};

/* By length of the name, the usual ones first: see `first_of_length`. */
static const struct resp_command commands[] = {
    { "get", 2, READ | FAST, RESP_STRING, ONE_KEY, resp_translate_get, NULL, NULL, "1.0.0",
      "Get the value of a key" },
    { "set", -3, WRITE, RESP_STRING, ONE_KEY, resp_translate_set, NULL, NULL, "1.0.0",
      "Set the string value of a key" },
    { "del", -2, WRITE | SUM, RESP_GENERIC, ALL_KEYS, resp_translate_del, NULL, NULL, "1.0.0",
      "Delete a key" },
    { "ttl", 2, READ | FAST, RESP_GENERIC, ONE_KEY, resp_translate_ttl, NULL, NULL, "1.0.0",
      "Get the time to live for a key in seconds" },
    { "incr", 2, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_incr, NULL, NULL, "1.0.0",
      "Increment the integer value of a key by one" },
    { "mget", -2, READ | FAST | RESP_SPREAD, RESP_STRING, ALL_KEYS, resp_translate_mget, NULL, NULL,
      "1.0.0", "Get the values of all the given keys" },
    { "mset", -3, WRITE | RESP_SPREAD | RESP_ALL_OK, RESP_STRING, ALL_PAIRS, resp_translate_mset,
      NULL, NULL, "1.0.1", "Set multiple keys to multiple values" },
    { "ping", -1, FAST, RESP_CONNECTION, NO_KEYS, resp_translate_ping, NULL, NULL, "1.0.0",
      "Ping the server" },
    { "decr", 2, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_decr, NULL, NULL, "1.0.0",
      "Decrement the integer value of a key by one" },
    { "pttl", 2, READ | FAST, RESP_GENERIC, ONE_KEY, resp_translate_pttl, NULL, NULL, "2.6.0",
      "Get the time to live for a key in milliseconds" },
    { "type", 2, READ | FAST, RESP_GENERIC, ONE_KEY, resp_translate_type, NULL, NULL, "1.0.0",
      "Determine the type stored at key" },
    { "scan", -2, READ, RESP_GENERIC, NO_KEYS, resp_translate_scan, NULL, NULL, "2.8.0",
      "Incrementally iterate the keys space" },
    { "keys", 2, READ | DANGEROUS, RESP_GENERIC, NO_KEYS, resp_translate_keys, NULL, NULL, "1.0.0",
      "Find all keys matching the given pattern" },
    { "echo", 2, FAST, RESP_CONNECTION, NO_KEYS, resp_translate_echo, NULL, NULL, "1.0.0",
      "Echo the given string" },
    { "auth", -2, FAST | NO_AUTH, RESP_CONNECTION, NO_KEYS, resp_translate_auth, NULL, NULL,
      "1.0.0", "Authenticate to the server" },
    { "info", -1, DANGEROUS, RESP_SERVER, NO_KEYS, resp_translate_info, NULL, NULL, "1.0.0",
      "Get information and statistics about the server" },
    { "time", 1, FAST, RESP_SERVER, NO_KEYS, resp_translate_time, NULL, NULL, "2.6.0",
      "Return the current server time" },
    { "quit", -1, FAST | NO_AUTH, RESP_CONNECTION, NO_KEYS, resp_translate_quit, NULL, NULL,
      "1.0.0", "Close the connection" },
    { "setex", 4, WRITE, RESP_STRING, ONE_KEY, resp_translate_setex, NULL, NULL, "2.0.0",
      "Set the value and expiration of a key" },
    { "setnx", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_setnx, NULL, NULL, "1.0.0",
      "Set the value of a key, only if the key does not exist" },
    { "getex", -2, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_getex, NULL, NULL, "6.2.0",
      "Get the value of a key and optionally set its expiration" },
    { "hello", -1, FAST | NO_AUTH, RESP_CONNECTION, NO_KEYS, resp_translate_hello, NULL, NULL,
      "6.0.0", "Handshake: choose the protocol version" },
    { "reset", 1, FAST | NO_AUTH, RESP_CONNECTION, NO_KEYS, resp_translate_reset, NULL, NULL,
      "6.2.0", "Reset the connection" },
    { "expire", -3, WRITE | FAST, RESP_GENERIC, ONE_KEY, resp_translate_expire, NULL, NULL, "1.0.0",
      "Set a key's time to live in seconds" },
    { "exists", -2, READ | FAST | SUM, RESP_GENERIC, ALL_KEYS, resp_translate_exists, NULL, NULL,
      "1.0.0", "Determine if a key exists" },
    { "getset", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_getset, NULL, NULL, "1.0.0",
      "Set the string value of a key and return its old value" },
    { "getdel", 2, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_getdel, NULL, NULL, "6.2.0",
      "Get the value of a key and delete the key" },
    { "append", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_append, NULL, NULL, "2.0.0",
      "Append a value to a key" },
    { "psetex", 4, WRITE, RESP_STRING, ONE_KEY, resp_translate_psetex, NULL, NULL, "2.6.0",
      "Set the value and expiration in milliseconds of a key" },
    { "unlink", -2, WRITE | FAST | SUM, RESP_GENERIC, ALL_KEYS, resp_translate_del, NULL, NULL,
      "4.0.0", "Delete a key" },
    { "strlen", 2, READ | FAST, RESP_STRING, ONE_KEY, resp_translate_strlen, NULL, NULL, "2.2.0",
      "Get the length of the value stored in a key" },
    { "incrby", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_incrby, NULL, NULL, "1.0.0",
      "Increment the integer value of a key by the given amount" },
    { "decrby", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_decrby, NULL, NULL, "1.0.0",
      "Decrement the integer value of a key by the given number" },
    { "dbsize", 1, READ | FAST, RESP_SERVER, NO_KEYS, resp_translate_dbsize, NULL, NULL, "1.0.0",
      "Return the number of keys in the selected database" },
    { "select", 2, FAST, RESP_CONNECTION, NO_KEYS, resp_translate_select, NULL, NULL, "1.0.0",
      "Accepts database 0, the only one" },
    { "config", -2, 0, RESP_SERVER, NO_KEYS, NULL, config_children, NULL, "2.0.0",
      "A container for server configuration commands" },
    { "client", -2, 0, RESP_CONNECTION, NO_KEYS, NULL, client_children, NULL, "2.4.0",
      "A container for client connection commands" },
    { "pexpire", -3, WRITE | FAST, RESP_GENERIC, ONE_KEY, resp_translate_pexpire, NULL, NULL,
      "2.6.0", "Set a key's time to live in milliseconds" },
    { "persist", 2, WRITE | FAST, RESP_GENERIC, ONE_KEY, resp_translate_persist, NULL, NULL,
      "2.2.0", "Remove the expiration from a key" },
    { "flushdb", -1, WRITE | DANGEROUS, RESP_SERVER, NO_KEYS, resp_translate_flush, NULL, NULL,
      "1.0.0", "Remove all keys" },
    { "command", -1, 0, RESP_SERVER, NO_KEYS, resp_translate_command, command_children, NULL,
      "2.8.13", "Get array of Redis command details" },
    { "cluster", -2, 0, RESP_CLUSTER, NO_KEYS, NULL, cluster_children, NULL, "3.0.0",
      "A container for cluster commands" },
    { "slowlog", -2, 0, RESP_SERVER, NO_KEYS, NULL, slowlog_children, NULL, "2.2.12",
      "A container for slow log commands" },
    { "expireat", -3, WRITE | FAST, RESP_GENERIC, ONE_KEY, resp_translate_expireat, NULL, NULL,
      "1.2.0", "Set the expiration for a key as a UNIX timestamp" },
    { "flushall", -1, WRITE | DANGEROUS, RESP_SERVER, NO_KEYS, resp_translate_flush, NULL, NULL,
      "1.0.0", "Remove all keys" },
    { "pexpireat", -3, WRITE | FAST, RESP_GENERIC, ONE_KEY, resp_translate_pexpireat, NULL, NULL,
      "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds" },
    { "randomkey", 1, READ, RESP_GENERIC, NO_KEYS, resp_translate_randomkey, NULL, NULL, "1.0.0",
      "Return a random key from the keyspace" },
    { "expiretime", 2, READ | FAST, RESP_GENERIC, ONE_KEY, resp_translate_expiretime, NULL, NULL,
      "7.0.0", "Get the expiration Unix timestamp for a key" },
    { "incrbyfloat", 3, WRITE | FAST, RESP_STRING, ONE_KEY, resp_translate_incrbyfloat, NULL, NULL,
      "2.6.0", "Increment the float value of a key by the given amount" },
    { "pexpiretime", 2, READ | FAST, RESP_GENERIC, ONE_KEY, resp_translate_pexpiretime, NULL, NULL,
      "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds" },
};

#define COMMANDS (sizeof commands / sizeof commands[0])

/* Where in `commands` the names of each length begin. */
static const uint8_t first_of_length[] = { 0, 0, 0, 0, 4, 18, 23, 37, 43, 45, 47, 48, 50 };

#define NAME_BYTES_MAX (sizeof first_of_length - 2)

static_assert(COMMANDS == 50, "first_of_length ends with the number of commands");
static_assert(NAME_BYTES_MAX < RESP_COMMAND_NAME_BYTES, "a name and its NUL");

/* A name as two words in lower case. A byte that is no letter may become another that is
 * no letter, which is no name either. */
struct name_words {
    uint64_t low, high;
};

static struct name_words words_of(struct bytes name) {
    ASSERT(name.len < RESP_COMMAND_NAME_BYTES);
    uint8_t padded[RESP_COMMAND_NAME_BYTES] = { 0 };
    for (size_t i = 0; i < name.len; i++) padded[i] = name.ptr[i] | 0x20;
    return (struct name_words){ get_u64_le(padded), get_u64_le(padded + 8) };
}

static bool words_equal(const struct resp_command *c, struct name_words words) {
    const uint8_t *const name = (const uint8_t *)c->name;
    return get_u64_le(name) == words.low && get_u64_le(name + 8) == words.high;
}

const struct resp_command *resp_command_find(struct bytes name) {
    if (name.len > NAME_BYTES_MAX) return NULL;
    const struct name_words words = words_of(name);
    for (uint32_t i = first_of_length[name.len]; i < first_of_length[name.len + 1]; i++) {
        if (words_equal(&commands[i], words)) return &commands[i];
    }
    return NULL;
}

const struct resp_command *resp_command_find_child(const struct resp_command *c,
                                                   struct bytes name) {
    ASSERT(c->children != NULL);
    for (const struct resp_command *child = c->children; child->name[0] != '\0'; child++) {
        if (bytes_equal_nocase(name, child->name)) return child;
    }
    return NULL;
}

uint32_t resp_command_count(void) {
    return COMMANDS;
}

const struct resp_command *resp_command_at(uint32_t index) {
    ASSERT(index < COMMANDS);
    return &commands[index];
}

bool resp_command_has_key_at(const struct resp_command *c, uint32_t argc, uint32_t index) {
    if (c->key_first == 0 || index < (uint32_t)c->key_first) return false;
    const int64_t last = c->key_last < 0 ? (int64_t)argc + c->key_last : c->key_last;
    if ((int64_t)index > last) return false;
    return (index - (uint32_t)c->key_first) % (uint32_t)c->key_step == 0;
}
