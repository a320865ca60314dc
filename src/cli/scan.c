#include "cli/kv.h"

#include "base/mem.h"
#include "os/terminal.h"

#include <jansson.h>
#include <stdio.h>

#define PAGE_ROWS_MAX 1000u /* of one request */
#define COLUMN_MIN 8u
#define ERROR_BYTES 512u

struct scan_flags {
    struct kv_flags kv;
    const char *prefix, *start, *end;
    uint64_t limit;
    bool keys_only;
};

#define AT(member) offsetof(struct scan_flags, member)
static const struct option options[] = {
    KV_OPTIONS,
    { .name = "prefix",
      .kind = OPTION_TEXT,
      .offset = AT(prefix),
      .fallback = "",
      .help = "only keys that begin with this" },
    { .name = "start",
      .kind = OPTION_TEXT,
      .offset = AT(start),
      .fallback = "",
      .value_name = "KEY",
      .help = "first key wanted" },
    { .name = "end",
      .kind = OPTION_TEXT,
      .offset = AT(end),
      .fallback = "",
      .value_name = "KEY",
      .help = "first key not wanted" },
    { .name = "limit",
      .kind = OPTION_NUMBER,
      .offset = AT(limit),
      .fallback = "0",
      .fallback_is = "all",
      .max = UINT64_MAX,
      .help = "at most so many keys" },
    { .name = "keys-only",
      .kind = OPTION_FLAG,
      .offset = AT(keys_only),
      .fallback = "false",
      .help = "leave out values" },
};
#undef AT

const struct command_words cli_scan_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

/* How rows are printed, and how far the scan is. */
struct scan {
    struct kv kv;
    const struct scan_flags *flags;
    bool terminal;
    uint32_t key_columns; /* of a table on a terminal; 0 = not chosen yet */
    uint32_t value_columns;
    uint64_t rows;      /* printed */
    uint32_t page_rows; /* asked for at a time */
    char *cursor;       /* of the next page; NULL at the start */
};

/* A column per field on a terminal, as wide as the first page's keys need. */
static void choose_columns(struct scan *s, const json_t *items) {
    const uint32_t columns = os_terminal_columns(s->kv.os, OS_STREAM_OUTPUT);
    uint32_t widest = 3;
    for (size_t i = 0; i < json_array_size(items); i++) {
        uint8_t *room = NULL;
        struct bytes key = BYTES_NONE;
        if (kv_member_bytes(json_array_get(items, i), "key", &room, &key)) {
            const uint32_t width = cli_escaped_width(key, columns / 2);
            if (width > widest) widest = width;
        }
        mem_free(room);
    }
    s->key_columns = widest > COLUMN_MIN ? widest : COLUMN_MIN;
    if (s->flags->keys_only) s->key_columns = columns > COLUMN_MIN ? columns : COLUMN_MIN;
    const uint32_t rest = columns > s->key_columns + 2 ? columns - s->key_columns - 2 : 0;
    s->value_columns = rest > COLUMN_MIN ? rest : COLUMN_MIN;
    if (s->flags->keys_only)
        printf("\033[1mKEY\033[0m\n");
    else
        printf("\033[1m%-*s  VALUE\033[0m\n", (int)s->key_columns, "KEY");
}

static int print_piece(const char *text, size_t len, void *user) {
    (void)user;
    return fwrite(text, 1, len, stdout) == len ? 0 : -1;
}

static void print_json(const struct scan *s, const json_t *row) {
    printf("%s\n  ", s->rows > 0 ? "," : "[");
    (void)json_dump_callback(row, print_piece, NULL, JSON_COMPACT);
}

static void print_row(const struct scan *s, struct bytes key, struct bytes value) {
    cli_print_escaped(key, s->terminal ? s->key_columns : 0);
    if (!s->flags->keys_only && s->terminal) {
        printf("%*s", (int)(s->key_columns - cli_escaped_width(key, s->key_columns)) + 2, "");
        cli_print_escaped(value, s->value_columns);
    } else if (!s->flags->keys_only) {
        putchar('\t');
        cli_print_escaped(value, 0);
    }
    putchar('\n');
}

static bool print_items(struct scan *s, const json_t *items) {
    if (s->terminal && s->key_columns == 0 && !s->flags->kv.json) choose_columns(s, items);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *row = json_array_get(items, i);
        uint8_t *key_room = NULL, *value_room = NULL;
        struct bytes key = BYTES_NONE, value = BYTES_NONE;
        bool good = kv_member_bytes(row, "key", &key_room, &key);
        good = good && (s->flags->keys_only || kv_member_bytes(row, "value", &value_room, &value));
        if (good && s->flags->kv.json)
            print_json(s, row);
        else if (good)
            print_row(s, key, value);
        mem_free(key_room);
        mem_free(value_room);
        if (!good) return false;
        s->rows++;
    }
    return true;
}

static const char *error_text(struct bytes body) {
    static char text[ERROR_BYTES];
    const char *message = kv_error_text(body, text, sizeof text);
    return message != NULL ? message : "the node does not say why";
}

/* Print one page and keep its cursor. *ret_more tells whether another follows. */
static int take_page(struct scan *s, bool *ret_more) {
    if (s->kv.client.response.status != 200) return kv_refused(&s->kv, "scan");
    const struct bytes body = buffer_bytes(&s->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *items = json_object_get(root, "items");
    const json_t *error = json_object_get(root, "error");
    const char *cursor = json_string_value(json_object_get(root, "cursor"));
    int code = EXIT_CODE_OK;
    if (!json_is_array(items) || !print_items(s, items))
        code = cli_fail(EXIT_CODE_SERVER, "scan: the node's answer makes no sense");
    else if (error != NULL)
        code = cli_fail(EXIT_CODE_SERVER, "scan: ended early: %s", error_text(body));
    mem_free(s->cursor);
    s->cursor = NULL;
    if (code == EXIT_CODE_OK && cursor != NULL) {
        s->cursor = mem_alloc(strlen(cursor) + 1);
        memcpy(s->cursor, cursor, strlen(cursor) + 1);
    }
    json_decref(root);
    *ret_more = s->cursor != NULL;
    return code;
}

static bool add_bound(struct scan *s, const char *name, const char *text) {
    uint8_t *room = NULL;
    struct bytes key = BYTES_NONE;
    if (text[0] == '\0') return true;
    if (!kv_decode(&s->kv, text, &room, &key)) return false;
    kv_target_param(&s->kv, name, key);
    mem_free(room);
    return true;
}

static bool build_target(struct scan *s) {
    char rows[16];
    const uint64_t limit = s->flags->limit;
    uint32_t wanted = s->page_rows;
    if (limit > 0 && limit - s->rows < wanted) wanted = (uint32_t)(limit - s->rows);
    snprintf(rows, sizeof rows, "%u", wanted);
    buffer_reset(&s->kv.target);
    buffer_append_string(&s->kv.target, "/v1/scan");
    kv_target_param(&s->kv, "limit", bytes_of_string(rows));
    kv_target_level(&s->kv);
    if (s->flags->keys_only) kv_target_param(&s->kv, "values", BYTES_LIT("0"));
    if (s->cursor != NULL) kv_target_param(&s->kv, "cursor", bytes_of_string(s->cursor));
    return add_bound(s, "prefix", s->flags->prefix) && add_bound(s, "start", s->flags->start) &&
           add_bound(s, "end", s->flags->end);
}

static int scan(struct scan *s) {
    bool more = true;
    while (more && (s->flags->limit == 0 || s->rows < s->flags->limit)) {
        if (!build_target(s)) return EXIT_CODE_USAGE;
        int code = kv_request(&s->kv, "GET", "", BYTES_NONE);
        if (code == KV_TOO_LARGE) {
            /* Large values make a page too large: ask for smaller ones, down to one row. */
            if (s->page_rows == 1) return cli_fail(EXIT_CODE_SERVER, "scan: a row is too large");
            s->page_rows = (s->page_rows + 7) / 8;
            continue;
        }
        if (code == EXIT_CODE_OK) code = take_page(s, &more);
        if (code != EXIT_CODE_OK) return code;
    }
    return EXIT_CODE_OK;
}

int cli_scan(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct scan_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(
            &set, "atoll scan [OPTION...]",
            "List keys and values in key order: a table on a terminal, else a line each, key,\n"
            "TAB, value, with \\t \\n \\r \\\\ and \\xNN for what would break the line.",
            argc, argv, 0, 0, &code))
        return code;
    struct scan s = { .flags = &f, .page_rows = PAGE_ROWS_MAX };
    s.terminal = os_stream_is_terminal(os, OS_STREAM_OUTPUT);
    kv_open(&s.kv, os, &f.kv);
    code = scan(&s);
    if (f.kv.json && code == EXIT_CODE_OK) printf("%s]\n", s.rows > 0 ? "\n" : "[");
    kv_close(&s.kv);
    mem_free(s.cursor);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}
