#include "cli/kv.h"
#include "cli/progress.h"

#include "base/mem.h"
#include "proto/flat_json.h"

#include <stdio.h>

#define PAGE_ROWS_MAX 1000u /* of one request */

struct export_flags {
    struct kv_flags kv;
    const char *prefix;
    bool progress;
};

static const struct option options[] = {
    KV_OPTIONS,
    { .name = "prefix",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct export_flags, prefix),
      .fallback = "",
      .help = "only keys that begin with this" },
    PROGRESS_OPTION(struct export_flags, progress),
};

const struct command_words cli_export_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

struct export {
    struct kv kv;
    struct bytes prefix;
    struct buffer text;  /* of one pair */
    uint64_t rows;       /* printed */
    uint64_t bytes;      /* likewise */
    uint64_t rows_total; /* about; PROGRESS_UNKNOWN */
    struct progress progress;
    uint32_t page_rows; /* asked for at a time */
    char *cursor;       /* of the next page; NULL at the start and at the end */
};

static bool print_row(struct export *e, const json_t *row) {
    struct flat_json_pair pair = { .expires_at_ms = 0 };
    uint8_t *key_room = NULL, *value_room = NULL;
    const json_t *expires = json_object_get(row, "expires_at_ms");
    if (json_is_integer(expires)) pair.expires_at_ms = (uint64_t)json_integer_value(expires);
    const bool good = kv_member_bytes(row, "key", &key_room, &pair.key) &&
                      kv_member_bytes(row, "value", &value_room, &pair.value);
    if (good) {
        buffer_reset(&e->text);
        buffer_append_string(&e->text, e->rows == 0 ? "{\n" : ",\n");
        flat_json_append(&e->text, &pair);
        const struct bytes out = buffer_bytes(&e->text);
        fwrite(out.ptr, 1, out.len, stdout);
        e->rows++;
        e->bytes += out.len;
    }
    mem_free(key_room);
    mem_free(value_room);
    return good;
}

static int print_page(struct export *e) {
    char text[512];
    const struct bytes body = buffer_bytes(&e->kv.client.body);
    if (e->kv.client.response.status != 200) return kv_refused(&e->kv, "export");
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *items = json_object_get(root, "items");
    const char *cursor = json_string_value(json_object_get(root, "cursor"));
    bool good = json_is_array(items);
    int code = EXIT_CODE_OK;
    for (size_t i = 0; good && i < json_array_size(items); i++)
        good = print_row(e, json_array_get(items, i));
    if (!good)
        code = cli_fail(EXIT_CODE_SERVER, "export: the node's answer makes no sense");
    else if (json_object_get(root, "error") != NULL)
        code = cli_fail(EXIT_CODE_SERVER, "export: ended early: %s",
                        kv_error_text(body, text, sizeof text) != NULL ? text : "no reason given");
    mem_free(e->cursor);
    e->cursor = NULL;
    if (code == EXIT_CODE_OK && cursor != NULL) {
        e->cursor = mem_alloc(strlen(cursor) + 1);
        memcpy(e->cursor, cursor, strlen(cursor) + 1);
    }
    json_decref(root);
    return code;
}

static void show_progress(struct export *e) {
    char size[FIGURE_BYTES];
    const struct progress_step step = { .doing = "exported",
                                        .unit = "keys",
                                        .done = e->rows,
                                        .total = e->rows_total,
                                        .detail = figure_print_size(e->bytes, size) };
    progress_show(&e->progress, &step);
}

/* About how many keys there are: each node says what it keeps, copies of others' among them. A node
 * that does not answer says nothing. */
static uint64_t count_keys(struct export *e) {
    uint64_t sum = 0;
    buffer_reset(&e->kv.target);
    buffer_append_string(&e->kv.target, "/v1/cluster");
    const struct http_client_request q = {
        .method = "GET", .target = buffer_bytes(&e->kv.target), .headers = "", .body = BYTES_NONE
    };
    if (!status_ok(http_client_request(&e->kv.client, &q))) return PROGRESS_UNKNOWN;
    const struct bytes body = buffer_bytes(&e->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *nodes = json_object_get(root, "nodes");
    const json_int_t replicas = json_integer_value(json_object_get(root, "replicas"));
    uint64_t copies = json_array_size(nodes);
    if (replicas > 0 && (uint64_t)replicas < copies) copies = (uint64_t)replicas;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *keys = json_object_get(json_array_get(nodes, i), "keys");
        if (!json_is_integer(keys)) copies = 0;
        sum += json_integer_value(keys) > 0 ? (uint64_t)json_integer_value(keys) : 0;
    }
    json_decref(root);
    return copies == 0 ? PROGRESS_UNKNOWN : sum / copies;
}

static int export(struct export *e) {
    do {
        char rows[16];
        snprintf(rows, sizeof rows, "%u", e->page_rows);
        buffer_reset(&e->kv.target);
        buffer_append_string(&e->kv.target, "/v1/scan");
        kv_target_param(&e->kv, "limit", bytes_of_string(rows));
        kv_target_level(&e->kv);
        if (e->cursor != NULL) kv_target_param(&e->kv, "cursor", bytes_of_string(e->cursor));
        if (e->prefix.len > 0) kv_target_param(&e->kv, "prefix", e->prefix);
        int code = kv_request(&e->kv, "GET", "", BYTES_NONE);
        if (code == KV_TOO_LARGE) {
            /* Large values make a page too large: ask for smaller ones, down to one row. */
            if (e->page_rows == 1) return cli_fail(EXIT_CODE_SERVER, "export: a row is too large");
            e->page_rows = (e->page_rows + 7) / 8;
            continue;
        }
        if (code == EXIT_CODE_OK) code = print_page(e);
        show_progress(e);
        if (code != EXIT_CODE_OK) return code;
        if (ferror(stdout) != 0) return cli_finish(EXIT_CODE_OK);
        if (e->cursor == NULL) return EXIT_CODE_OK;
    } while (true);
}

int cli_export(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct export_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(
            &set, "atoll export [OPTION...] > FILE",
            "Print every key as one flat JSON object, in key order, for `atoll import`. What is\n"
            "no UTF-8 or expires is an object in its value's place; see docs/cli.md.",
            argc, argv, 0, 0, &code))
        return code;
    struct export e = { .page_rows = PAGE_ROWS_MAX };
    uint8_t *room = NULL;
    kv_open(&e.kv, os, &f.kv);
    buffer_init(&e.text, FLAT_JSON_PAIR_BYTES_MAX);
    if (!kv_decode(&e.kv, f.prefix, &room, &e.prefix)) {
        code = EXIT_CODE_USAGE;
    } else {
        progress_init(&e.progress, os, f.progress);
        e.rows_total = PROGRESS_UNKNOWN;
        if (e.progress.shown && e.prefix.len == 0) e.rows_total = count_keys(&e);
        code = export(&e);
        progress_end(&e.progress);
        if (code == EXIT_CODE_OK) printf("%s}\n", e.rows > 0 ? "\n" : "{");
    }
    mem_free(room);
    mem_free(e.cursor);
    buffer_deinit(&e.text);
    kv_close(&e.kv);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}
