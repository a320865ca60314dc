#include "cli/admin.h"
#include "cli/admin_text.h"
#include "cli/admin_wait.h"

#include "os/terminal.h"

#include <inttypes.h>
#include <stdio.h>

#define TABLE_BYTES_MAX (4u * 1024 * 1024)

static int list_command(struct admin *a) {
    struct buffer table;
    admin_path(a, "/v1/keyspaces", NULL);
    const int code = admin_ask(a, "GET", "");
    if (code != EXIT_CODE_OK) return code;
    const struct bytes body = buffer_bytes(&a->kv.client.body);
    const bool colour = os_stream_has_colour(a->os, OS_STREAM_OUTPUT) && !a->flags.kv.json;
    buffer_init(&table, TABLE_BYTES_MAX);
    const struct status s = admin_text_encode_keyspaces(body, colour, &table);
    const struct bytes text = a->flags.kv.json ? body : buffer_bytes(&table);
    if (status_ok(s)) fwrite(text.ptr, 1, text.len, stdout);
    buffer_deinit(&table);
    if (status_ok(s)) return EXIT_CODE_OK;
    return cli_fail(EXIT_CODE_SERVER, "keyspace list: the answer of %s makes no sense",
                    a->flags.kv.server);
}

static void put_quorum(struct admin *a, const char *name, const char *text) {
    uint64_t number = 0;
    if (text[0] == '\0') return;
    if (status_ok(bytes_to_u64(bytes_of_string(text), &number)))
        admin_body_number(a, name, number);
    else
        admin_body_text(a, name, text);
}

/* Settings that were not given are the node's to choose, or stay. */
static int put(struct admin *a, const char *condition) {
    const struct admin_flags *f = &a->flags;
    admin_path(a, "/v1/keyspaces/", a->set->arguments[0]);
    admin_path_dry_run(a);
    if (admin_has(a, ADMIN_WITH_REPLICAS)) admin_body_number(a, "replicas", f->replicas);
    put_quorum(a, "write_quorum", f->write_quorum);
    put_quorum(a, "read_quorum", f->read_quorum);
    if (f->discipline[0] != '\0') admin_body_text(a, "discipline", f->discipline);
    if (f->ttl[0] != '\0') admin_body_text(a, "ttl", f->ttl);
    const int code = admin_ask(a, "PUT", condition);
    return code == EXIT_CODE_OK ? admin_print(a) : code;
}

static int create_command(struct admin *a) {
    return put(a, "If-None-Match: *\r\n");
}

static int alter_command(struct admin *a) {
    const int code = put(a, "If-Match: *\r\n");
    if (code != EXIT_CODE_OK || a->flags.dry_run || !a->flags.wait) return code;
    return admin_wait(a, ADMIN_UNTIL_SETTLED, NULL, 0);
}

static int drop_command(struct admin *a) {
    const char *name = a->set->arguments[0];
    int code = admin_confirm(a, "Keyspace %s and all its keys are deleted for ever. Go on?", name);
    if (code != EXIT_CODE_OK) return code;
    admin_path(a, "/v1/keyspaces/", name);
    admin_path_dry_run(a);
    code = admin_ask(a, "DELETE", "");
    return code == EXIT_CODE_OK ? admin_print(a) : code;
}

#define SETTINGS                                                                       \
    (ADMIN_OPTION(REPLICAS) | ADMIN_OPTION(WRITE_QUORUM) | ADMIN_OPTION(READ_QUORUM) | \
     ADMIN_OPTION(TTL) | ADMIN_OPTION(DRY_RUN))

static const struct admin_word words[] = {
    { "list", "", "Show every keyspace and its settings.", 0, 0, 0, list_command },
    { "create", "NAME",
      "Make a keyspace.\n"
      "A name has 1 to 64 characters of a-z, 0-9, _ and -. What is not said is\n"
      "as in the keyspace `default`.",
      SETTINGS | ADMIN_OPTION(DISCIPLINE), 1, 1, create_command },
    { "alter", "NAME",
      "Change settings of a keyspace.\n"
      "What is not said stays. The discipline is for ever. With more replicas than\n"
      "slots have copies these are made; --wait returns when they are there.",
      SETTINGS | ADMIN_OPTION(WAIT) | ADMIN_OPTION(PROGRESS), 1, 1, alter_command },
    { "drop", "NAME", "Delete a keyspace with all its keys.",
      ADMIN_OPTION(YES) | ADMIN_OPTION(DRY_RUN), 1, 1, drop_command },
};

const struct command_words cli_keyspace_words = {
    .words = words,
    .words_count = sizeof words / sizeof *words,
};

int cli_keyspace(struct os *os, int argc, char **argv) {
    return admin_run(os, "keyspace", "See and change the keyspaces of a cluster.", words,
                     sizeof words / sizeof *words, argc, argv);
}
