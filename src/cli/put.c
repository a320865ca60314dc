#include "cli/kv.h"

#include "base/limits.h"
#include "os/file.h"
#include "os/terminal.h"

#include <stdio.h>

#define READ_BYTES (64u * 1024)

struct put_flags {
    struct kv_flags kv;
    const char *file, *ttl, *if_match;
    bool if_absent;
};

#define AT(member) offsetof(struct put_flags, member)
static const struct option options[] = {
    KV_OPTIONS,
    { .name = "file",
      .kind = OPTION_TEXT,
      .offset = AT(file),
      .fallback = "",
      .value_name = "FILE",
      .help = "take the value from there" },
    { .name = "ttl",
      .kind = OPTION_TEXT,
      .offset = AT(ttl),
      .fallback = "",
      .value_name = "TIME",
      .help = "forget the value after so long, as 60, 90s or 1h30m" },
    { .name = "if-match",
      .kind = OPTION_TEXT,
      .offset = AT(if_match),
      .fallback = "",
      .value_name = "VERSION",
      .help = "only if the value has this version; * for any value" },
    { .name = "if-absent",
      .kind = OPTION_FLAG,
      .offset = AT(if_absent),
      .fallback = "false",
      .help = "only if there is no value" },
};
#undef AT

const struct command_words cli_put_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

/* Both readers stop just past the limit, which the node then names. */
static STATUS read_input(struct os *os, struct buffer *value) {
    while (buffer_len(value) <= VALUE_BYTES_MAX) {
        size_t len = 0;
        const struct status s =
            os_input_read(os, buffer_reserve(value, READ_BYTES), READ_BYTES, &len);
        if (s.code == ST_NOT_FOUND) return status_of(ST_OK);
        TRY(s);
        buffer_commit(value, len);
    }
    return status_of(ST_OK);
}

static STATUS read_file(struct os *os, const char *path, struct buffer *value) {
    struct os_file f = { 0 };
    TRY(os_file_open(os, path, OS_FILE_READ, &f));
    size_t len = 0;
    const size_t room = VALUE_BYTES_MAX + 1;
    const struct status s = os_file_read(&f, 0, buffer_reserve(value, room), room, &len);
    os_file_close(&f);
    TRY(s);
    buffer_commit(value, len);
    return status_of(ST_OK);
}

/* The value from wherever it is to come. Returns an exit code; the error is printed. */
static int read_value(struct os *os, const struct option_set *set, const struct put_flags *f,
                      struct buffer *value) {
    const char *word = set->argument_count > 1 ? set->arguments[1] : NULL;
    const bool has_file = f->file[0] != '\0';
    if (has_file == (word != NULL))
        return cli_fail(EXIT_CODE_USAGE, "give the value once: as a word, as - for standard input, "
                                         "or with --file FILE");
    struct status s = status_of(ST_OK);
    if (has_file)
        s = read_file(os, f->file, value);
    else if (strcmp(word, "-") == 0)
        s = read_input(os, value);
    else
        buffer_append(value, bytes_of_string(word));
    if (!status_ok(s))
        return cli_fail(EXIT_CODE_FILE, "cannot read %s%s", has_file ? f->file : "standard input",
                        s.code == ST_NOT_FOUND ? ": no such file" : "");
    if (buffer_len(value) > VALUE_BYTES_MAX)
        return cli_fail(EXIT_CODE_USAGE, "a value has at most %u bytes", VALUE_BYTES_MAX);
    return EXIT_CODE_OK;
}

static bool read_condition(const struct put_flags *f, char *headers, size_t headers_bytes) {
    const char *version = f->if_match;
    headers[0] = '\0';
    if (f->if_absent && version[0] != '\0') {
        cli_fail(EXIT_CODE_USAGE, "--if-absent and --if-match exclude each other");
        return false;
    }
    if (strspn(version, "0123456789abcdef.*") != strlen(version) || strlen(version) > 64) {
        cli_fail(EXIT_CODE_USAGE,
                 "--if-match=%.64s is not allowed; allowed: a version as put and "
                 "get --json print it, or *",
                 version);
        return false;
    }
    if (f->if_absent)
        snprintf(headers, headers_bytes, "If-None-Match: *\r\n");
    else if (strcmp(version, "*") == 0)
        snprintf(headers, headers_bytes, "If-Match: *\r\n");
    else if (version[0] != '\0')
        snprintf(headers, headers_bytes, "If-Match: \"%s\"\r\n", version);
    return true;
}

static int put(struct os *os, const struct option_set *set, const struct put_flags *f) {
    struct buffer value;
    struct kv k;
    char headers[128];
    const char *key = set->arguments[0];
    buffer_init(&value, 2 * VALUE_BYTES_MAX);
    kv_open(&k, os, &f->kv);
    int code = EXIT_CODE_USAGE;
    if (read_condition(f, headers, sizeof headers) && kv_target_key(&k, key))
        code = read_value(os, set, f, &value);
    if (code == EXIT_CODE_OK) {
        if (f->ttl[0] != '\0') kv_target_param(&k, "ttl", bytes_of_string(f->ttl));
        kv_target_level(&k);
        code = kv_request(&k, "PUT", headers, buffer_bytes(&value));
    }
    if (code == EXIT_CODE_OK && k.client.response.status != 200)
        code = kv_refused(&k, key);
    else if (code == EXIT_CODE_OK && f->kv.json) {
        printf("{");
        cli_print_json_member("version", bytes_of_string(k.client.etag));
        kv_print_acks(&k);
        printf("}\n");
    } else if (code == EXIT_CODE_OK) {
        printf("%s\n", k.client.etag);
    }
    kv_close(&k);
    buffer_deinit(&value);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}

int cli_put(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct put_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(&set, "atoll put KEY (VALUE | - | --file FILE) [OPTION...]",
                   "Store a value and print its version.", argc, argv, 1, 2, &code))
        return code;
    return put(os, &set, &f);
}
