/* The `atoll` program: one word names the command, the rest is the command's. */
#include "cli/command.h"
#include "server/config.h"
#include "server/serve.h"

#include <stdio.h>

static int run_serve(struct os *os, int argc, char **argv) {
    static struct config c;
    const struct status s = config_load(&c, os, argc, argv);
    if (c.set.help) {
        config_print_help(&c);
        return cli_finish(EXIT_CODE_OK);
    }
    if (!status_ok(s)) return cli_fail(EXIT_CODE_USAGE, "%s", c.set.error);
    return serve(&c);
}

static int run_completion(struct os *os, int argc, char **argv);

static const struct command commands[] = {
    { "serve", "[OPTION...]", "run one node", run_serve, &config_serve_words },
    { "get", "KEY", "print the value of a key", cli_get, &cli_get_words },
    { "put", "KEY [VALUE | - | --file FILE]", "store a value", cli_put, &cli_put_words },
    { "del", "KEY...", "delete keys", cli_del, &cli_del_words },
    { "scan", "[--prefix P] [--start A] [--end B]", "list keys and values in order", cli_scan,
      &cli_scan_words },
    { "import", "FILE | -", "store every key of a flat JSON object", cli_import,
      &cli_import_words },
    { "export", "[--prefix P]", "print every key as one flat JSON object", cli_export,
      &cli_export_words },
    { "bench", "[OPTION...]", "measure a node's throughput and latency", cli_bench,
      &cli_bench_words },
    { "top", "[--once] [--interval TIME]", "show a cluster as it is now, until q is pressed",
      cli_top, &cli_top_words },
    { "cluster", "status | join | leave | ..", "see and change the nodes of a cluster", cli_cluster,
      &cli_cluster_words },
    { "keyspace", "list | create | alter | drop", "see and change the keyspaces", cli_keyspace,
      &cli_keyspace_words },
    { "check", "FOLDER", "verify a data directory of a stopped node", cli_check, &cli_check_words },
    { "dump", "FOLDER", "print every record of a data directory", cli_dump, &cli_dump_words },
    { "config", "[OPTION...]", "show every setting and where it comes from", config_command,
      &config_config_words },
    { "completion", "bash | zsh", "print a script that completes these commands", run_completion,
      &cli_completion_words },
    { "version", "", "show the version and what it was built with", cli_version,
      &cli_version_words },
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

static int run_completion(struct os *os, int argc, char **argv) {
    (void)os;
    return cli_completion(commands, COMMANDS_COUNT, argc, argv);
}

static void print_help(void) {
    printf("Atoll, a key-value store: one binary, one port, HTTP and RESP.\n\n"
           "usage: atoll COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        printf("  %-11s%-36s%s\n", commands[i].name, commands[i].usage, commands[i].help);
    printf(
        "\n`atoll COMMAND --help` tells more. To begin:\n\n"
        "  atoll serve &\n"
        "  atoll put greeting hello\n"
        "  atoll get greeting\n\n"
        "It exits with 0 if it is done; 1 if the answer is no: no such key, node or keyspace, a\n"
        "condition that failed, damage that was found; 2 if the command line or a setting is\n"
        "wrong; 3 if no node answers; 4 if the node refused or failed; 5 if a file cannot be\n"
        "read or written; 70 for a bug. docs/cli.md says more.\n");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

/* `--version` and `-help` are what people type first. */
static const char *command_name(const char *word) {
    const char *name = word + strspn(word, "-");
    const bool dashed = name != word;
    if (strcmp(name, "help") == 0 || (dashed && strcmp(name, "h") == 0)) return "help";
    if (dashed && (strcmp(name, "version") == 0 || strcmp(name, "v") == 0)) return "version";
    return word;
}

static int unknown_command(const char *name) {
    const char *names[COMMANDS_COUNT];
    for (size_t i = 0; i < COMMANDS_COUNT; i++) names[i] = commands[i].name;
    const char *nearest = option_nearest(bytes_of_string(name), names, COMMANDS_COUNT);
    if (nearest != NULL)
        return cli_fail(EXIT_CODE_USAGE, "unknown command '%s'; did you mean `atoll %s`?", name,
                        nearest);
    return cli_fail(EXIT_CODE_USAGE, "unknown command '%s'; `atoll` alone lists them", name);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? command_name(argv[1]) : "help";
    static char help_flag[] = "--help";
    if (strcmp(name, "help") == 0 && argc <= 2) {
        print_help();
        return cli_finish(EXIT_CODE_OK);
    }
    char *help_words[] = { help_flag, NULL };
    const bool help = strcmp(name, "help") == 0;
    const struct command *c = find_command(help ? argv[2] : name);
    if (c == NULL) return unknown_command(help ? argv[2] : name);

    struct os *os = os_create();
    const int code = help ? c->run(os, 1, help_words) : c->run(os, argc - 2, argv + 2);
    os_destroy(os);
    return code;
}
