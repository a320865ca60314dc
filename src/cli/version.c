#include "cli/command.h"

#include "storage/manifest.h"
#include "storage/table_format.h"

#include <jansson.h>
#include <lz4.h>
#include <stdio.h>
#include <xxhash.h>
#include <zstd.h>

struct version_flags {
    bool json;
};

static const struct option options[] = {
    { .name = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct version_flags, json),
      .fallback = "false",
      .help = "print as JSON" },
};

const struct command_words cli_version_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

struct row {
    const char *name;
    char text[48];
};

int cli_version(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct version_flags f = { 0 };
    int code = EXIT_CODE_OK;
    (void)os;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_parse(&set, "atoll version [--json]",
                   "Show the version, what it was built with, and the formats it writes.", argc,
                   argv, 0, 0, &code))
        return code;
    struct row rows[] = {
        { "atoll", ATOLL_VERSION },
        { "compiler", "" },
        { "jansson", JANSSON_VERSION },
        { "lz4", "" },
        { "zstd", "" },
        { "xxhash", "" },
        { "allocator", "" },
        { "formats", "" },
    };
    const unsigned xxh = XXH_versionNumber();
#ifdef __clang__
    snprintf(rows[1].text, sizeof rows[1].text, "clang %s", __clang_version__);
#else
    snprintf(rows[1].text, sizeof rows[1].text, "gcc %s", __VERSION__);
#endif
    snprintf(rows[3].text, sizeof rows[3].text, "%s", LZ4_versionString());
    snprintf(rows[4].text, sizeof rows[4].text, "%s", ZSTD_versionString());
    snprintf(rows[5].text, sizeof rows[5].text, "%u.%u.%u", xxh / 10000, xxh / 100 % 100,
             xxh % 100);
#ifdef ATOLL_JEMALLOC
    snprintf(rows[6].text, sizeof rows[6].text, "jemalloc");
#else
    snprintf(rows[6].text, sizeof rows[6].text, "libc");
#endif
    snprintf(rows[7].text, sizeof rows[7].text, "manifest %u, table %u", MANIFEST_FORMAT,
             TABLE_FORMAT_VERSION);
    const size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++) {
        if (!f.json)
            printf("%-10s %s\n", rows[i].name, rows[i].text);
        else {
            printf("%s", i > 0 ? "," : "{");
            cli_print_json_member(rows[i].name, bytes_of_string(rows[i].text));
        }
    }
    if (f.json) printf("}\n");
    return cli_finish(EXIT_CODE_OK);
}
