/* command.h - what every command of the `atoll` program has in common.
 *
 * A command takes the words behind its name and returns the exit code. Results go
 * to standard output, everything else to standard error as "atoll: ...".
 *
 * Owner      the program's first thread
 */
#ifndef ATOLL_CLI_COMMAND_H
#define ATOLL_CLI_COMMAND_H

#include "base/bytes.h"
#include "cli/option.h"
#include "os/os.h"

/* docs/cli.md tells users the same. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_NO = 1,        /* no such key, a condition failed, `check` found damage */
    EXIT_CODE_USAGE = 2,     /* the command line or a setting is wrong; nothing was done */
    EXIT_CODE_CONNECT = 3,   /* no node answers at that address */
    EXIT_CODE_SERVER = 4,    /* the node refused or failed, or its answer makes no sense */
    EXIT_CODE_FILE = 5,      /* a file or standard output cannot be read or written */
    EXIT_CODE_INTERNAL = 70, /* a bug or an effect that cannot be known */
};

struct admin_word;

/* What may stand behind a command's name: completion goes by it. */
struct command_words {
    const struct option *options;   /* its own; NULL = none */
    uint32_t options_count;         /* of `options` */
    const struct option *more;      /* further ones that are no settings; NULL = none */
    uint32_t more_count;            /* of `more` */
    const char *arguments;          /* "FILE", "FOLDER", "COMMAND" or words with a | between; NULL =
                                     nothing that could be completed */
    const struct admin_word *words; /* words with options of their own; NULL = none */
    uint32_t words_count;           /* of `words` */
};

struct command {
    const char *name;
    const char *usage; /* what follows "atoll NAME" */
    const char *help;  /* one sentence */
    int (*run)(struct os *os, int argc, char **argv);
    const struct command_words *words; /* what may follow the name */
};

extern const struct command_words cli_get_words, cli_put_words, cli_del_words, cli_scan_words;
extern const struct command_words cli_import_words, cli_export_words, cli_bench_words;
extern const struct command_words cli_top_words, cli_cluster_words, cli_keyspace_words;
extern const struct command_words cli_check_words, cli_dump_words, cli_version_words;
extern const struct command_words cli_completion_words;

int cli_get(struct os *os, int argc, char **argv);
int cli_put(struct os *os, int argc, char **argv);
int cli_del(struct os *os, int argc, char **argv);
int cli_scan(struct os *os, int argc, char **argv);
int cli_import(struct os *os, int argc, char **argv);
int cli_export(struct os *os, int argc, char **argv);
int cli_bench(struct os *os, int argc, char **argv);
int cli_top(struct os *os, int argc, char **argv);
int cli_cluster(struct os *os, int argc, char **argv);
int cli_keyspace(struct os *os, int argc, char **argv);
int cli_check(struct os *os, int argc, char **argv);
int cli_dump(struct os *os, int argc, char **argv);
int cli_version(struct os *os, int argc, char **argv);
/* Of these commands, whose names, words and options go into the script. */
int cli_completion(const struct command *commands, uint32_t count, int argc, char **argv);

/* Print "atoll: ..." on standard error. Returns `code`. */
int cli_fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Parse the words of a command whose options are `set`, and see that the number of
 * other words is in range. Returns whether to go on; if not, *ret_code is the exit code
 * and help or an error has been printed. */
bool cli_parse(struct option_set *set, const char *usage, const char *help, int argc, char **argv,
               uint32_t arguments_min, uint32_t arguments_max, int *ret_code);

/* Take --server from ATOLL_SERVER. Returns whether to go on, as cli_parse does. */
bool cli_server_from_environment(struct os *os, struct option_set *set, int *ret_code);
/* Say that no node answers at `server` and what to do. Returns the exit code. */
int cli_cannot_connect(const char *server);

/* End of every command that prints: flush, and report a full disk or the like. */
int cli_finish(enum exit_code code);

/* Print bytes so that they stay on their line: \t \n \\ and \xNN for what is not printable
 * UTF-8. A `limit` other than 0 cuts the text with "..." after so many characters. */
void cli_print_escaped(struct bytes in, uint32_t limit);
/* The characters cli_print_escaped prints, at most `limit` (0 = all). */
uint32_t cli_escaped_width(struct bytes in, uint32_t limit);
/* Print "NAME":"text" as JSON, or "NAME_base64":".." if the bytes are no UTF-8. */
void cli_print_json_member(const char *name, struct bytes in);
/* The bytes that `text` with \xNN, \t, \n, \r, \\ stands for, into `room` of at least
 * text's length. Errors ST_INVALID */
STATUS cli_unescape(const char *text, uint8_t *room, struct bytes *ret_bytes);

#endif
