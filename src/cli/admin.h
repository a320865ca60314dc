/* admin.h - what the commands `cluster` and `keyspace` share: options, asking, waiting.
 *
 * Owner      the program's first thread
 * Memory     one request and its answer, see kv.h
 */
#ifndef ATOLL_CLI_ADMIN_H
#define ATOLL_CLI_ADMIN_H

#include "cli/kv.h"

/* Options of all words behind `cluster` and `keyspace`; each word takes some of them. */
enum admin_option {
    ADMIN_WITH_SERVER,
    ADMIN_WITH_TIMEOUT,
    ADMIN_WITH_JSON,
    ADMIN_WITH_NODE,
    ADMIN_WITH_JOIN,
    ADMIN_WITH_LEAVE,
    ADMIN_WITH_WEIGHT,
    ADMIN_WITH_ZONE,
    ADMIN_WITH_RATE,
    ADMIN_WITH_ACCEPT_LOSS,
    ADMIN_WITH_DRY_RUN,
    ADMIN_WITH_WAIT,
    ADMIN_WITH_PROGRESS,
    ADMIN_WITH_YES,
    ADMIN_WITH_REPLICAS,
    ADMIN_WITH_WRITE_QUORUM,
    ADMIN_WITH_READ_QUORUM,
    ADMIN_WITH_DISCIPLINE,
    ADMIN_WITH_TTL,
    ADMIN_OPTIONS,
};

#define ADMIN_OPTION(name) (1u << ADMIN_WITH_##name)
#define ADMIN_ASKING (ADMIN_OPTION(SERVER) | ADMIN_OPTION(TIMEOUT) | ADMIN_OPTION(JSON))

struct admin_flags {
    struct kv_flags kv;    /* first, for its options */
    const char *node;      /* id or HOST:PORT; "" = none */
    const char *join;      /* HOST:PORT; "" = none */
    const char *leave;     /* id or HOST:PORT; "" = none */
    uint64_t weight, zone; /* see admin_has */
    uint64_t rate;         /* bytes/s; 0 = no limit */
    bool accept_loss;
    bool dry_run;
    bool wait;
    bool progress;
    bool yes;
    uint64_t replicas;
    const char *write_quorum, *read_quorum; /* "" = none, "majority" or a number */
    const char *discipline;                 /* "" = none */
    const char *ttl;                        /* "" = none */
};

struct admin;

/* One word behind the command's name. */
struct admin_word {
    const char *name;
    const char *arguments; /* "[NODE]", for usage */
    const char *help;      /* sentences, for its --help */
    uint32_t options;      /* ADMIN_OPTION() that it takes, besides ADMIN_ASKING */
    uint32_t arguments_min, arguments_max;
    int (*run)(struct admin *a);
};

struct admin {
    struct os *os;
    const char *command; /* "cluster" or "keyspace" */
    const struct admin_word *word;
    struct admin_flags flags;
    struct option_set *set; /* given and positional words */
    struct kv kv;           /* the connection; its target is the request's path */
    struct buffer body;     /* JSON that is sent */
};

/* Find the word, parse the rest, ask. Returns the exit code. */
int admin_run(struct os *os, const char *command, const char *help, const struct admin_word *words,
              uint32_t count, int argc, char **argv);

/* The options of a word, or those that every word has if it is NULL; returns how many. */
uint32_t admin_word_options(const struct admin_word *word,
                            struct option ret_options[ADMIN_OPTIONS]);

/* Whether an option was given, be it with its default. */
bool admin_has(const struct admin *a, enum admin_option option);
/* The node that is meant: --node, or the word at `index` of those behind the command; NULL and
 * an error if neither or both are there. */
const char *admin_node(const struct admin *a, uint32_t index);

/* Begin the path anew; `name`, if not NULL, is appended encoded. */
void admin_path(struct admin *a, const char *path, const char *name);
/* Add dry_run=true to the path if it was asked for. */
void admin_path_dry_run(struct admin *a);
/* Members of the body; `name` and text or number. The first opens the object. */
void admin_body_text(struct admin *a, const char *name, const char *text);
void admin_body_number(struct admin *a, const char *name, uint64_t number);

/* Send it. EXIT_CODE_OK: there was a success, whose body is in a->kv.client. Else what the node
 * has against it was printed. */
int admin_ask(struct admin *a, const char *method, const char *headers);
/* Print the answer: as JSON, or the message and what comes with it. */
int admin_print(struct admin *a);
/* Ask whoever sits at the terminal, unless --yes or nobody does. EXIT_CODE_OK: go on. */
int admin_confirm(struct admin *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
