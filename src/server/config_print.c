#include "server/config_internal.h"

#include "base/buffer.h"
#include "cli/command.h"
#include "os/terminal.h"

#include <stdio.h>

void config_print_help(const struct config *c) {
    printf("usage: atoll serve [OPTION...]\n\n"
           "Run one node until it is stopped by SIGTERM or SIGINT.\n\n");
    option_print_help(&c->set);
    printf(
        "\nEvery option can also be set as ATOLL_<NAME> in the environment or in a file `.env`\n"
        "here (test.env if there is none), and as `name = value` in the file of --config; a flag\n"
        "beats the environment, that .env, that the file. `atoll config` shows what is in force and why.\n");
}

static void print_line(const char *line) {
    printf("%s\n", line);
}

static void print_table(const struct config *c, bool colour) {
    size_t name_width = 0, value_width = 0;
    for (uint32_t i = 0; i < c->rows_count; i++) {
        const size_t name_len = strlen(c->rows[i].name), value_len = strlen(c->rows[i].value);
        if (name_len > name_width) name_width = name_len;
        if (value_len > value_width && value_len <= 48) value_width = value_len;
    }
    for (uint32_t i = 0; i < c->rows_count; i++) {
        const struct config_row *row = &c->rows[i];
        const bool set = c->set.states[i].source != OPTION_DEFAULT;
        printf("%s%-*s  %-*s  %s%s\n", colour && set ? "\033[1m" : "", (int)name_width, row->name,
               (int)value_width, row->value, row->source, colour && set ? "\033[0m" : "");
    }
    config_list_inert(c, print_line);
}

static void print_json(const struct config *c) {
    printf("{");
    for (uint32_t i = 0; i < c->rows_count; i++) {
        printf("%s\n  \"%s\": {", i > 0 ? "," : "", c->rows[i].name);
        cli_print_json_member("value", bytes_of_string(c->rows[i].value));
        printf(", \"source\": \"%s\"}", c->rows[i].source);
    }
    for (uint32_t i = 0; i < CONFIG_INERT; i++) {
        const struct config_inert *inert = &c->inert[i];
        if (inert->source == OPTION_DEFAULT) continue;
        printf(",\n  \"%s\": {", config_inert_name(i));
        cli_print_json_member("value", bytes_of_string(inert->value));
        printf(", \"source\": \"%s\", \"no_effect\": \"%s\"}", option_source_name(inert->source),
               config_inert_reason(i));
    }
    printf("\n}\n");
}

/* A cell of a Markdown table: '|' ends one, so it is escaped. */
static void append_cell(struct buffer *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|') buffer_append_u8(out, '\\');
        buffer_append_u8(out, (uint8_t)*text);
    }
}

static void append_names(struct buffer *out, const struct option *o) {
    char ours[64];
    buffer_printf(out, "`%s`", option_environment_name(o, ours, sizeof ours));
    for (const char *at = o->environment; at != NULL && *at != '\0';) {
        const size_t len = strcspn(at, " ");
        buffer_printf(out, ", `%.*s`", (int)len, at);
        at += len + (at[len] == ' ');
    }
}

void config_append_markdown(const struct config *c, struct buffer *out) {
    buffer_append_string(out, "| option | value | default | what it is | environment |\n"
                              "|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < c->set.count; i++) {
        const struct option *o = &c->set.options[i];
        char allowed[256];
        const char *fallback = o->fallback_is != NULL ? o->fallback_is : o->fallback;
        buffer_printf(out, "| `--%s`", o->name);
        if (o->also != NULL) buffer_printf(out, ", `--%s`", o->also);
        buffer_append_string(out, " | ");
        append_cell(out, option_allowed(o, allowed, sizeof allowed));
        buffer_printf(out, " | %s | ", fallback[0] != '\0' ? fallback : "none");
        append_cell(out, o->help);
        buffer_append_string(out, " | ");
        append_names(out, o);
        buffer_append_string(out, " |\n");
    }
    buffer_append_string(out, "\n| name of an older store | it has no effect here, because |\n"
                              "|---|---|\n");
    for (uint32_t i = 0; i < CONFIG_INERT; i++)
        buffer_printf(out, "| `%s` | %s |\n", config_inert_name(i), config_inert_reason(i));
}

static void print_markdown(const struct config *c) {
    struct buffer text;
    buffer_init(&text, 1024 * 1024);
    config_append_markdown(c, &text);
    const struct bytes out = buffer_bytes(&text);
    fwrite(out.ptr, 1, out.len, stdout);
    buffer_deinit(&text);
}

/* Take `word` out of argv if it is there, in either spelling. */
static bool take_word(int *argc, char **argv, const char *word) {
    for (int i = 0; i < *argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-') continue;
        if (strcmp(name + (name[1] == '-' ? 2 : 1), word) != 0) continue;
        memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
        (*argc)--;
        return true;
    }
    return false;
}

int config_command(struct os *os, int argc, char **argv) {
    static struct config c;
    const bool json = take_word(&argc, argv, "json");
    const bool markdown = take_word(&argc, argv, "markdown");
    const struct status s = config_load(&c, os, argc, argv);
    if (c.set.help) {
        printf("usage: atoll config [--json | --markdown] [OPTION...]\n\n"
               "Show the settings a node started here with the same options would have, and where\n"
               "each comes from. --markdown prints the reference table of docs/configuration.md.\n"
               "The options are those of `atoll serve --help`.\n");
        return cli_finish(EXIT_CODE_OK);
    }
    if (!status_ok(s)) return cli_fail(EXIT_CODE_USAGE, "%s", c.set.error);
    if (markdown)
        print_markdown(&c);
    else if (json)
        print_json(&c);
    else
        print_table(&c, os_stream_has_colour(os, OS_STREAM_OUTPUT));
    return cli_finish(EXIT_CODE_OK);
}
