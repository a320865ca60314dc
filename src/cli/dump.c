#include "cli/command.h"
#include "cli/data_dir.h"

#include "base/hlc.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/terminal.h"
#include "storage/manifest.h"
#include "storage/record.h"
#include "storage/table.h"
#include "storage/wal_reader.h"

#include <inttypes.h>
#include <stdio.h>

#define CACHE_BYTES ((size_t)16 * 1024 * 1024) /* blocks are read once: it holds what is in hand */
#define VALUE_COLUMNS 64u                      /* shown of a value on a terminal */

struct dump_flags {
    uint64_t keyspace;
    const char *prefix;
    bool escaped, json;
};

#define AT(member) offsetof(struct dump_flags, member)
static const struct option options[] = {
    { .name = "keyspace",
      .kind = OPTION_NUMBER,
      .offset = AT(keyspace),
      .fallback = "0",
      .max = KEYSPACES_MAX - 1,
      .value_name = "ID",
      .help = "number of the keyspace, 0 is the default one" },
    { .name = "prefix",
      .kind = OPTION_TEXT,
      .offset = AT(prefix),
      .fallback = "",
      .help = "only keys that begin with this" },
    { .name = "escaped",
      .kind = OPTION_FLAG,
      .offset = AT(escaped),
      .fallback = "false",
      .help = "the prefix is written with \\xNN, \\t, \\n, \\r and \\\\" },
    { .name = "json",
      .kind = OPTION_FLAG,
      .offset = AT(json),
      .fallback = "false",
      .help = "print a JSON object a line" },
};
#undef AT

const struct command_words cli_dump_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
    .arguments = "FOLDER",
};

struct dump {
    struct os *os;
    bool json, terminal;
    uint16_t keyspace;
    struct bytes prefix;
    uint32_t shard;
    const char *source; /* "table-0000000000000007" or "log" */
    uint64_t records;   /* printed */
};

static void print_json(const struct dump *d, const struct record *r, const char *version) {
    printf("{\"shard\":%u,\"source\":\"%s\",\"keyspace\":%u,", d->shard, d->source, d->keyspace);
    cli_print_json_member("key", ikey_key(r->ikey));
    printf(",\"version\":\"%s\",\"deleted\":%s,\"expires_at_ms\":%" PRIu64 ",\"length\":%zu,",
           version, (r->flags & RECORD_TOMBSTONE) != 0 ? "true" : "false", r->expires_at_ms,
           r->value.len);
    cli_print_json_member("value", r->value);
    printf("}\n");
}

static void print_record(struct dump *d, const struct record *r) {
    char version[BALLOT_TEXT_BYTES];
    if (ikey_keyspace(r->ikey) != d->keyspace) return;
    if (!bytes_start_with(ikey_key(r->ikey), d->prefix)) return;
    d->records++;
    ballot_print(r->ballot, version);
    if (d->json) {
        print_json(d, r, version);
        return;
    }
    printf("%u\t%s\t", d->shard, d->source);
    cli_print_escaped(ikey_key(r->ikey), 0);
    printf("\t%s\t%s\t%" PRIu64 "\t%zu\t", version,
           (r->flags & RECORD_TOMBSTONE) != 0 ? "deleted" : "value", r->expires_at_ms,
           r->value.len);
    cli_print_escaped(r->value, d->terminal ? VALUE_COLUMNS : 0);
    printf("\n");
}

static struct status print_logged(void *user, const struct record *r, uint64_t sequence) {
    (void)sequence;
    print_record(user, r);
    return status_of(ST_OK);
}

static STATUS dump_table(struct dump *d, struct table *t) {
    struct table_iterator it;
    table_iterator_init(&it, t, true, true);
    struct status s = table_iterator_seek(&it, BYTES_NONE);
    while (status_ok(s) && it.valid) {
        print_record(d, &it.record);
        s = table_iterator_next(&it);
    }
    table_iterator_deinit(&it);
    return s;
}

static STATUS dump_tables(struct dump *d, const char *dir, const struct manifest_state *state) {
    struct cache *cache = cache_create(CACHE_BYTES);
    struct status s = status_of(ST_OK);
    for (uint32_t i = 0; i < state->count && status_ok(s); i++) {
        char path[OS_PATH_BYTES_MAX];
        struct table *t = NULL;
        manifest_table_path(dir, state->tables[i].number, path);
        d->source = path + strlen(dir) + 1;
        s = table_open(d->os, path, cache, &t);
        if (!status_ok(s)) break;
        s = dump_table(d, t);
        table_release(t);
    }
    cache_destroy(cache);
    return s;
}

static STATUS dump_log(struct dump *d, const char *dir, uint64_t first) {
    struct wal_folder folder = { 0 };
    struct wal_reader reader;
    uint32_t start = 0;
    uint64_t missing = 0;
    TRY(wal_folder_list(d->os, dir, &folder));
    struct status s = wal_folder_row(&folder, first, &start, &missing);
    d->source = "log";
    wal_reader_init(&reader, d->os, dir, print_logged, d);
    for (uint32_t i = start; i < folder.segment_count && status_ok(s); i++) {
        struct wal_header header;
        s = wal_reader_segment(&reader, folder.segments[i], &header);
    }
    wal_reader_deinit(&reader);
    wal_folder_deinit(&folder);
    return s;
}

static STATUS dump_shard(struct dump *d, const char *dir) {
    struct manifest_state state = { 0 };
    struct manifest manifest;
    const struct status opened = manifest_open(d->os, dir, &state, &manifest);
    struct status s = opened;
    if (status_ok(opened)) {
        s = dump_tables(d, dir, &state);
        manifest_close(&manifest);
    }
    if (opened.code == ST_NOT_FOUND) s = status_of(ST_OK); /* nothing was flushed yet */
    if (status_ok(s)) s = dump_log(d, dir, state.first_segment);
    manifest_state_deinit(&state);
    return s;
}

static int dump_all(struct dump *d, const char *path) {
    struct data_dir dir;
    int code = data_dir_open(&dir, d->os, path);
    if (code != EXIT_CODE_OK) return code;
    if (d->terminal && !d->json)
        printf("shard\tsource\tkey\tversion\tkind\texpires_at_ms\tlength\tvalue\n");
    for (uint32_t i = 0; i < dir.shards_count && code == EXIT_CODE_OK; i++) {
        char shard_path[OS_PATH_BYTES_MAX];
        d->shard = i;
        const struct status s = dump_shard(d, data_dir_shard(&dir, i, shard_path));
        if (!status_ok(s))
            code = cli_fail(s.code == ST_CORRUPT ? EXIT_CODE_NO : EXIT_CODE_FILE,
                            "%s: %s; `atoll check %s` says more", shard_path, status_name(s), path);
    }
    data_dir_close(&dir);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}

int cli_dump(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct dump_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_parse(
            &set, "atoll dump FOLDER [OPTION...]",
            "Print every record a stopped node's data directory holds, superseded and deleted\n"
            "ones too: shard, source, key, version, kind, expiry, length and value, with TABs.",
            argc, argv, 1, 1, &code))
        return code;
    uint8_t *room = mem_alloc(strlen(f.prefix) + 1);
    struct dump d = { .os = os, .json = f.json, .keyspace = (uint16_t)f.keyspace };
    d.prefix = bytes_of_string(f.prefix);
    d.terminal = os_stream_is_terminal(os, OS_STREAM_OUTPUT);
    log_set_sink(os_log_sink);
    if (f.escaped && !status_ok(cli_unescape(f.prefix, room, &d.prefix)))
        code = cli_fail(EXIT_CODE_USAGE, "with --escaped, a \\ is followed by xNN, t, n, r or \\");
    else
        code = dump_all(&d, set.arguments[0]);
    mem_free(room);
    return code;
}
