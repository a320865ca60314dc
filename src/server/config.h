/* config.h - every setting of a node, its value and where that came from.
 *
 * flag > environment > .env, or else test.env > file > default. The table in config.c is the only place
 * that knows names, ranges and help; docs/configuration.md is generated from it.
 *
 * Lifecycle  load, then read only; nothing to free
 * Owner      the program; every thread may read
 * Memory     texts live in the struct, which must not be copied or moved. It is large:
 *            keep it static
 * Failure    ST_INVALID and one line for the user; the program then exits with 2
 */
#ifndef ATOLL_SERVER_CONFIG_H
#define ATOLL_SERVER_CONFIG_H

#include "base/buffer.h"
#include "cli/option.h"
#include "cluster/membership.h"
#include "os/os.h"
#include "proto/node_view.h"

/* Values of config.sync.index, in the order of the table's choices. */
enum config_sync { CONFIG_SYNC_ALWAYS, CONFIG_SYNC_NEVER, CONFIG_SYNC_INTERVAL };

/* Values of config.compression.index and config.bottom_compression.index. */
enum config_compression {
    CONFIG_COMPRESSION_NONE,
    CONFIG_COMPRESSION_LZ4,
    CONFIG_COMPRESSION_ZSTD
};

/* Values of config.role.index. */
enum config_role { CONFIG_ROLE_NODE, CONFIG_ROLE_PROXY };

/* Values of config.get_format.index. */
enum config_get_format { CONFIG_GET_RAW, CONFIG_GET_JSON };

/* Names of older stores that mean nothing here; config_inert.c has them. */
#define CONFIG_INERT 8u
#define CONFIG_INERT_VALUE_BYTES 64u

struct config_inert {
    enum option_source source;            /* OPTION_DEFAULT = not set */
    char value[CONFIG_INERT_VALUE_BYTES]; /* as it was given, escaped and cut */
};

/* A list of other nodes. */
struct config_nodes {
    uint32_t count;                      /* of `addresses` */
    const char *addresses[FOUNDERS_MAX]; /* each once; in `text` */
    char text[OPTION_TEXT_BYTES];        /* each ended by a NUL */
};

/* Numbers are uint64_t because the table stores them; each range is in the table. */
struct config {
    const char *listen;                      /* host:port to listen on */
    uint64_t port;                           /* the port in `listen`; 0 = any free one */
    const char *dir;                         /* data directory */
    uint64_t shards;                         /* 1..SHARDS_MAX */
    bool shards_given;                       /* else `shards` is the number of processors */
    struct option_choice sync;               /* enum config_sync; time_ms of the interval */
    uint64_t memtable_bytes;                 /* per shard */
    uint64_t memtables_max;                  /* active and waiting */
    uint64_t cache_bytes;                    /* block cache of the node */
    struct option_choice compression;        /* enum config_compression */
    struct option_choice bottom_compression; /* enum config_compression */
    uint64_t block_bytes;                    /* of a table */
    uint64_t filter_bits;                    /* per key; 0 = no filter */
    uint64_t value_bytes_max;                /* at most VALUE_BYTES_MAX */
    uint64_t connections_max;                /* of the node */
    uint64_t input_bytes_max;                /* of incomplete commands, of the node */
    uint64_t write_wait_ms;                  /* how long a stalled write waits before BUSY */
    uint64_t client_wait_ms;                 /* how long a half command is suffered */
    uint64_t compaction_rate;                /* bytes a second, 0 = unlimited */
    uint64_t io_threads;                     /* of reads that missed the cache */
    uint64_t compaction_threads;             /* of flushes and compactions */
    struct option_choice log_level;          /* enum log_level */
    struct option_choice log_format;         /* enum log_format */
    uint64_t slow_ms;                        /* requests as slow are logged; 0 = none */
    bool insecure;                           /* listen beyond loopback without authentication */
    const char *peers;                       /* host:port, comma separated; empty = alone */
    const char *join;                        /* host:port of members, comma separated, or empty */
    uint64_t weight;                         /* share of the ring beside others', 1.. */
    uint64_t zone;                           /* 0 = none */
    uint64_t move_rate;                      /* bytes a second and node, of changes; 0 = no limit */
    uint64_t replicas;                       /* N, 1..REPLICAS_MAX */
    struct option_choice write_quorum;       /* index = W; 0 = majority */
    struct option_choice read_quorum;        /* index = R; 0 = majority */
    const char *advertise;                   /* host:port for other nodes; never empty */
    struct option_choice role;               /* enum config_role */
    uint64_t quorum_wait_ms;                 /* how long a coordinator waits for replicas */
    uint64_t hint_bytes_max;                 /* of the node, 0 = no hints */
    uint64_t hint_age_ms;                    /* older hints are dropped */
    uint64_t repair_rate;                    /* records a second, 0 = off */
    struct option_choice get_format;         /* enum config_get_format */
    uint64_t snapshot_interval_ms;           /* 0 = no snapshots */
    uint64_t snapshot_keep;                  /* files, 1.. */
    const char *file;                        /* the configuration file, or empty */

    struct config_nodes peer_nodes;          /* of `peers`; none = alone, or it joins */
    struct config_nodes join_nodes;          /* of `join` */
    char listen_text[OPTION_TEXT_BYTES];     /* `listen` after `port` was put in */
    uint32_t rows_count;                     /* of `rows` */
    struct config_row rows[OPTIONS_MAX];     /* as `atoll config` and CONFIG GET show it */
    struct config_inert inert[CONFIG_INERT]; /* by its place in the table of their names */
    struct option_set set;                   /* texts and sources; set.error after ST_INVALID */
};

/* Read all sources and judge the whole. `argv` is what follows the command's name. With
 * --help among it nothing is judged and c->set.help is set.
 * Errors  ST_INVALID  c->set.error says why, in one line */
STATUS config_load(struct config *c, struct os *os, int argc, char **argv);

/* Everything at its default, as config_load would leave it on a machine with nothing set. */
void config_init(struct config *c, struct os *os);

/* Take `NAME=value` lines of a `.env` file; names that are not ours are skipped, but
 * an unknown ATOLL_ name is an error.
 * Errors  ST_INVALID */
STATUS config_take_dotenv(struct config *c, struct bytes text);
/* Take the lines `name = value` of a configuration file; '#' begins a comment.
 * Errors  ST_INVALID */
STATUS config_take_file(struct config *c, struct bytes text);
/* Fill what follows from other values, judge the whole, fill the rows.
 * Errors  ST_INVALID */
STATUS config_finish(struct config *c, struct os *os);

/* One line for each name that is set and has no effect: `say` gets "NAME=value (source) has
 * no effect here, because ..". */
void config_list_inert(const struct config *c, void (*say)(const char *line));

/* What `atoll serve` and `atoll config` take, for completion. */
struct command_words;
extern const struct command_words config_serve_words, config_config_words;

/* Whether only this machine can reach the address "host:port". */
bool config_is_loopback(const char *address);

/* `atoll config [--json | --markdown]` and the help of `atoll serve`; exit codes. */
int config_command(struct os *os, int argc, char **argv);
void config_print_help(const struct config *c);
/* The reference table of docs/configuration.md. */
void config_append_markdown(const struct config *c, struct buffer *out);

#endif
