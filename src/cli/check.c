#include "cli/command.h"
#include "cli/data_dir.h"
#include "cli/progress.h"

#include "base/log.h"
#include "os/file.h"
#include "storage/engine.h"

#include <stdio.h>

struct check_flags {
    bool json;
    bool progress;
};

static const struct option options[] = {
    { .name = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct check_flags, json),
      .fallback = "false",
      .help = "print the findings as JSON" },
    PROGRESS_OPTION(struct check_flags, progress),
};

const struct command_words cli_check_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
    .arguments = "FOLDER",
};

struct check {
    bool json;
    uint64_t printed;         /* findings */
    uint64_t bytes_done;      /* of tables */
    uint64_t bytes_total;     /* of all of them */
    struct progress progress; /* how far it is */
};

static void report(void *user, const char *line) {
    struct check *c = user;
    progress_end(&c->progress);
    if (c->json) {
        printf("%s\n    {", c->printed > 0 ? "," : "");
        cli_print_json_member("finding", bytes_of_string(line));
        printf("}");
    } else {
        printf("%s\n", line);
    }
    c->printed++;
}

static void advance(void *user, uint64_t bytes) {
    struct check *c = user;
    c->bytes_done += bytes;
    const struct progress_step step = { .doing = "checked",
                                        .done = c->bytes_done,
                                        .total = c->bytes_total };
    progress_show(&c->progress, &step);
}

struct sum {
    struct os *os;
    const char *dir; /* a shard's */
    uint64_t bytes;  /* of its tables */
};

static void add_size(void *user, const char *name) {
    struct sum *sum = user;
    char path[OS_PATH_BYTES_MAX];
    struct os_file file;
    uint64_t bytes = 0;
    if (strncmp(name, "table-", 6) != 0) return;
    const int len = snprintf(path, sizeof path, "%s/%s", sum->dir, name);
    if (len < 0 || (size_t)len >= sizeof path) return;
    if (!status_ok(os_file_open(sum->os, path, OS_FILE_READ, &file))) return;
    if (status_ok(os_file_size(&file, &bytes))) sum->bytes += bytes;
    os_file_close(&file);
}

/* What cannot be read is found when it is checked. */
static uint64_t sum_tables(const struct data_dir *d) {
    struct sum sum = { .os = d->os };
    for (uint32_t i = 0; i < d->shards_count; i++) {
        char path[OS_PATH_BYTES_MAX];
        sum.dir = data_dir_shard(d, i, path);
        if (!status_ok(os_dir_list(d->os, path, add_size, &sum))) continue;
    }
    return sum.bytes;
}

static void check_identity(const struct data_dir *d, struct check *c, uint64_t *bad) {
    char line[OS_PATH_BYTES_MAX + 64];
    if (status_ok(d->identity)) return;
    snprintf(line, sizeof line, "%s/node: offset 0: %s", d->path,
             d->identity.code == ST_NOT_FOUND ? "missing"
             : d->identity.code == ST_INVALID ? "written by another version of atoll"
                                              : "damaged");
    report(c, line);
    (*bad)++;
}

static void check_shards(const struct data_dir *d, struct check *c, uint64_t *records,
                         uint64_t *bad) {
    const struct engine_verify_listener listener = { .report = report,
                                                     .advance = advance,
                                                     .user = c };
    for (uint32_t i = 0; i < d->shards_count; i++) {
        char path[OS_PATH_BYTES_MAX], line[OS_PATH_BYTES_MAX + 64];
        uint64_t shard_records = 0, shard_bad = 0;
        data_dir_shard(d, i, path);
        const struct status s = engine_verify(d->os, path, &listener, &shard_records, &shard_bad);
        if (!status_ok(s)) {
            snprintf(line, sizeof line, "%s: cannot be read: %s", path, status_name(s));
            report(c, line);
            shard_bad++;
        }
        *records += shard_records;
        *bad += shard_bad;
    }
}

int cli_check(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct check_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_parse(
            &set, "atoll check FOLDER [OPTION...]",
            "Read a data directory of a stopped node in full and verify every checksum. One\n"
            "line a finding; nothing is changed.",
            argc, argv, 1, 1, &code))
        return code;
    struct data_dir d;
    code = data_dir_open(&d, os, set.arguments[0]);
    if (code != EXIT_CODE_OK) return code;
    struct check c = { .json = f.json };
    uint64_t records = 0, bad = 0;
    log_set_sink(os_log_sink);
    progress_init(&c.progress, os, f.progress);
    if (c.progress.shown) c.bytes_total = sum_tables(&d);
    if (f.json) printf("{\n  \"findings\": [");
    check_identity(&d, &c, &bad);
    check_shards(&d, &c, &records, &bad);
    progress_end(&c.progress);
    if (f.json)
        printf("%s],\n  \"shards\": %u,\n  \"records\": %llu,\n  \"bad\": %llu\n}\n",
               c.printed > 0 ? "\n  " : "", d.shards_count, (unsigned long long)records,
               (unsigned long long)bad);
    else
        printf("%s: %u shard%s, %llu records, %s%llu finding%s\n", bad > 0 ? "DAMAGED" : "ok",
               d.shards_count, d.shards_count == 1 ? "" : "s", (unsigned long long)records,
               bad > 0 ? "" : "no damage, ", (unsigned long long)bad, bad == 1 ? "" : "s");
    data_dir_close(&d);
    return cli_finish(bad > 0 ? EXIT_CODE_NO : EXIT_CODE_OK);
}
