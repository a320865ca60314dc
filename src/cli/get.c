#include "cli/kv.h"

#include "base/log.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/terminal.h"

#include <stdio.h>

struct get_flags {
    struct kv_flags kv;
    const char *output;
    const char *session;
};

static const struct option options[] = {
    KV_OPTIONS,
    { .name = "output",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct get_flags, output),
      .fallback = "",
      .value_name = "FILE",
      .help = "write the value there" },
    { .name = "session",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct get_flags, session),
      .fallback = "",
      .value_name = "VERSION",
      .help = "never answer with less than this version, as put printed it" },
};

const struct command_words cli_get_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

#define HEADERS_BYTES 128u

static bool read_session(const char *version, char headers[HEADERS_BYTES]) {
    headers[0] = '\0';
    if (version[0] == '\0') return true;
    if (strspn(version, "0123456789abcdef.") != strlen(version) || strlen(version) > 64) {
        char shown[80];
        cli_fail(EXIT_CODE_USAGE,
                 "--session=%s is not allowed; allowed: a version as put and get --json print it",
                 log_escape(bytes_of_string(version), shown, sizeof shown));
        return false;
    }
    (void)snprintf(headers, HEADERS_BYTES, "Atoll-Session: %s\r\n", version);
    return true;
}

static int write_file(struct os *os, const char *path, struct bytes value) {
    struct os_file f = { 0 };
    struct status s = os_file_open(os, path, OS_FILE_CREATE_EMPTY, &f);
    if (status_ok(s) && value.len > 0) s = os_file_write(&f, 0, value);
    os_file_close(&f);
    if (status_ok(s)) return EXIT_CODE_OK;
    return cli_fail(EXIT_CODE_FILE, "cannot write %s%s", path,
                    s.code == ST_FULL ? ": no space" : "");
}

static void print_json(const struct kv *k, const char *key_text, struct bytes value) {
    uint8_t *room = NULL;
    struct bytes key = BYTES_NONE;
    if (!kv_decode(k, key_text, &room, &key)) return;
    printf("{");
    cli_print_json_member("key", key);
    printf(",");
    cli_print_json_member("value", value);
    printf(",");
    cli_print_json_member("version", bytes_of_string(k->client.etag));
    if (k->client.expires_at_ms[0] != '\0')
        printf(",\"expires_at_ms\":%s", k->client.expires_at_ms);
    kv_print_acks(k);
    printf("}\n");
    mem_free(room);
}

int cli_get(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct get_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(&set, "atoll get KEY [OPTION...]",
                   "Print the value of a key, as it is. A newline follows on a terminal only.",
                   argc, argv, 1, 1, &code))
        return code;
    struct kv k;
    char headers[HEADERS_BYTES];
    const char *key = set.arguments[0];
    if (!read_session(f.session, headers)) return EXIT_CODE_USAGE;
    kv_open(&k, os, &f.kv);
    code = EXIT_CODE_USAGE;
    if (kv_target_key(&k, key)) {
        kv_target_level(&k);
        code = kv_request(&k, "GET", headers, BYTES_NONE);
    }
    if (code == EXIT_CODE_OK && k.client.response.status != 200)
        code = kv_refused(&k, key);
    else if (code == EXIT_CODE_OK) {
        const struct bytes value = buffer_bytes(&k.client.body);
        if (f.output[0] != '\0') {
            code = write_file(os, f.output, value);
        } else if (f.kv.json) {
            print_json(&k, key, value);
        } else {
            if (value.len > 0) fwrite(value.ptr, 1, value.len, stdout);
            if (os_stream_is_terminal(os, OS_STREAM_OUTPUT)) putchar('\n');
        }
    }
    kv_close(&k);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}
