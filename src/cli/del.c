#include "cli/kv.h"

#include <stdio.h>

static const struct option options[] = { KV_OPTIONS };

const struct command_words cli_del_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

/* Whether the node's answer says that there was a value. */
static bool existed(const struct kv *k) {
    static const char word[] = "\"existed\":true";
    const struct bytes body = buffer_bytes(&k->client.body);
    for (size_t i = 0; i + sizeof word - 1 <= body.len; i++)
        if (memcmp(body.ptr + i, word, sizeof word - 1) == 0) return true;
    return false;
}

int cli_del(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct kv_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(&set, "atoll del KEY... [OPTION...]",
                   "Delete keys and say how many had a value.", argc, argv, 1, OPTION_ARGUMENTS_MAX,
                   &code))
        return code;
    struct kv k;
    uint32_t deleted = 0;
    kv_open(&k, os, &f);
    for (uint32_t i = 0; i < set.argument_count && code == EXIT_CODE_OK; i++) {
        const char *key = set.arguments[i];
        code = EXIT_CODE_USAGE;
        if (kv_target_key(&k, key)) {
            kv_target_level(&k);
            code = kv_request(&k, "DELETE", "", BYTES_NONE);
        }
        if (code == EXIT_CODE_OK && k.client.response.status != 200) code = kv_refused(&k, key);
        if (code == EXIT_CODE_OK) deleted += existed(&k);
    }
    kv_close(&k);
    if (f.json)
        printf("{\"deleted\":%u,\"keys\":%u}\n", deleted, set.argument_count);
    else
        printf("deleted %u of %u\n", deleted, set.argument_count);
    if (code == EXIT_CODE_OK && deleted == 0) code = EXIT_CODE_NO;
    return cli_finish((enum exit_code)code);
}
