#include "cli/cluster_status.h"
#include "cli/kv.h"

#include "base/log.h"
#include "os/terminal.h"

#include <stdio.h>

#define TABLE_BYTES_MAX (1024u * 1024)

static const struct option options[] = { KV_NODE_OPTIONS };

static int print_answer(struct os *os, const struct kv *k) {
    const struct bytes body = buffer_bytes(&k->client.body);
    const bool colour = os_stream_is_terminal(os, OS_STREAM_OUTPUT) && !k->flags->json;
    struct buffer table;
    buffer_init(&table, TABLE_BYTES_MAX);
    /* What is no such answer is not passed on as JSON either. */
    const struct status s = cluster_status_encode(body, colour, &table);
    const struct bytes text = k->flags->json ? body : buffer_bytes(&table);
    if (status_ok(s)) fwrite(text.ptr, 1, text.len, stdout);
    buffer_deinit(&table);
    if (!status_ok(s))
        return cli_fail(EXIT_CODE_SERVER, "cluster: the answer of %s makes no sense",
                        k->flags->server);
    return EXIT_CODE_OK;
}

static int status_command(struct os *os, const struct kv_flags *flags) {
    struct kv k;
    kv_open(&k, os, flags);
    buffer_append_string(&k.target, "/v1/cluster");
    int code = kv_request(&k, "GET", "", BYTES_NONE);
    if (code == KV_TOO_LARGE)
        code = cli_fail(EXIT_CODE_SERVER, "cluster: the answer of %s is too large", flags->server);
    else if (code == EXIT_CODE_OK && k.client.response.status != 200)
        code = kv_refused(&k, "cluster");
    else if (code == EXIT_CODE_OK)
        code = print_answer(os, &k);
    kv_close(&k);
    return code;
}

int cli_cluster(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct kv_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(&set, "atoll cluster status [OPTION...]",
                   "Show the nodes of a cluster as one of them sees it: the slots each owns and\n"
                   "keeps, the writes kept for it while it is away, and how fast it answers.",
                   argc, argv, 1, 1, &code))
        return code;
    if (strcmp(set.arguments[0], "status") != 0) {
        char shown[80];
        return cli_fail(EXIT_CODE_USAGE, "unknown word '%s'; usage: atoll cluster status",
                        log_escape(bytes_of_string(set.arguments[0]), shown, sizeof shown));
    }
    code = status_command(os, &f);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}
