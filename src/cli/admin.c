#include "cli/admin.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/admin_text.h"
#include "os/terminal.h"
#include "proto/json_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES_MAX (4u * 1024 * 1024)
#define BODY_BYTES_MAX (64u * 1024)
#define SHOWN_BYTES 200u
#define WORDS_MAX 16u

#define OPTION_AT(field) offsetof(struct admin_flags, field)
#define FLAG(flag_name, field, flag_help)                                                        \
    {                                                                                            \
        .name = flag_name, .kind = OPTION_FLAG, .offset = OPTION_AT(field), .fallback = "false", \
        .help = flag_help                                                                        \
    }
#define WORD(word_name, field, value, word_help)                                            \
    {                                                                                       \
        .name = word_name, .kind = OPTION_TEXT, .offset = OPTION_AT(field), .fallback = "", \
        .value_name = value, .help = word_help                                              \
    }

/* KV_NODE_OPTIONS are the first three. */
static const struct option all[ADMIN_OPTIONS] = {
    KV_NODE_OPTIONS,
    [ADMIN_WITH_NODE] = WORD("node", node, "ID|HOST:PORT", "the node that is meant"),
    [ADMIN_WITH_JOIN] = WORD("join", join, "HOST:PORT", "plan that a node there joins"),
    [ADMIN_WITH_LEAVE] = WORD("leave", leave, "ID|HOST:PORT", "plan that this node leaves"),
    [ADMIN_WITH_WEIGHT] = { .name = "weight",
                            .kind = OPTION_NUMBER,
                            .offset = OPTION_AT(weight),
                            .fallback = "1",
                            .min = 1,
                            .max = 1000000,
                            .help = "its share of the slots, as against the others'" },
    [ADMIN_WITH_ZONE] = { .name = "zone",
                          .kind = OPTION_NUMBER,
                          .offset = OPTION_AT(zone),
                          .fallback = "0",
                          .max = UINT32_MAX,
                          .help = "its failure domain; 0 = none" },
    [ADMIN_WITH_RATE] = { .name = "rate",
                          .kind = OPTION_SIZE,
                          .offset = OPTION_AT(rate),
                          .fallback = "0",
                          .max = UINT64_C(1) << 40,
                          .help = "bytes a second that the estimate reckons with; 0 = no limit" },
    [ADMIN_WITH_ACCEPT_LOSS] = FLAG("accept-loss", accept_loss, "do it though copies are at risk"),
    [ADMIN_WITH_DRY_RUN] = FLAG("dry-run", dry_run, "say what would come of it, and do nothing"),
    [ADMIN_WITH_WAIT] = FLAG("wait", wait, "wait until it is through; shows how far it is"),
    [ADMIN_WITH_PROGRESS] =
        FLAG("progress", progress, "with --wait, tell how far it is though nobody sits there"),
    [ADMIN_WITH_YES] = FLAG("yes", yes, "do not ask whether it is meant"),
    [ADMIN_WITH_REPLICAS] = { .name = "replicas",
                              .kind = OPTION_NUMBER,
                              .offset = OPTION_AT(replicas),
                              .fallback = "3",
                              .min = 1,
                              .max = REPLICAS_MAX,
                              .help = "copies of each key" },
    [ADMIN_WITH_WRITE_QUORUM] =
        WORD("write-quorum", write_quorum, "majority|N", "replicas that must have a write"),
    [ADMIN_WITH_READ_QUORUM] =
        WORD("read-quorum", read_quorum, "majority|N", "replicas that must answer a read"),
    [ADMIN_WITH_DISCIPLINE] = WORD("discipline", discipline, "eventual|strict",
                                   "what writes at the same time come to; for ever"),
    [ADMIN_WITH_TTL] = WORD("ttl", ttl, "TIME|none", "of keys that are written without one"),
};

bool admin_has(const struct admin *a, enum admin_option option) {
    return option_state_of(a->set, all[option].name)->source != OPTION_DEFAULT;
}

const char *admin_node(const struct admin *a, uint32_t index) {
    const bool named = a->flags.node[0] != '\0';
    const bool placed = a->set->argument_count > index;
    if (named != placed) return named ? a->flags.node : a->set->arguments[index];
    cli_fail(EXIT_CODE_USAGE, "%s; usage: atoll %s %s %s [OPTION...]",
             named ? "the node is named twice" : "name the node: --node ID or HOST:PORT",
             a->command, a->word->name, a->word->arguments);
    return NULL;
}

/* ---- requests ---- */

void admin_path(struct admin *a, const char *path, const char *name) {
    buffer_reset(&a->kv.target);
    buffer_reset(&a->body);
    buffer_append_string(&a->kv.target, path);
    if (name != NULL) http_client_append_encoded(&a->kv.target, bytes_of_string(name));
}

void admin_path_dry_run(struct admin *a) {
    if (a->flags.dry_run) kv_target_param(&a->kv, "dry_run", BYTES_LIT("true"));
}

static void body_member(struct admin *a, const char *name) {
    buffer_printf(&a->body, "%s\"%s\":", buffer_len(&a->body) == 0 ? "{" : ",", name);
}

void admin_body_text(struct admin *a, const char *name, const char *text) {
    body_member(a, name);
    /* What is no UTF-8 is refused by the node, as nothing there may hold it. */
    json_text_append_lossy(&a->body, bytes_of_string(text));
}

void admin_body_number(struct admin *a, const char *name, uint64_t number) {
    body_member(a, name);
    buffer_append_u64(&a->body, number);
}

/* The table of what moves or is at risk, which an error may have too. */
static void print_details(struct admin *a) {
    struct buffer text;
    buffer_init(&text, TEXT_BYTES_MAX);
    if (status_ok(admin_text_encode_details(buffer_bytes(&a->kv.client.body), false, &text)))
        fwrite(buffer_bytes(&text).ptr, 1, buffer_len(&text), stderr);
    buffer_deinit(&text);
}

int admin_ask(struct admin *a, const char *method, const char *headers) {
    char what[64];
    const bool has_body = buffer_len(&a->body) > 0;
    if (has_body) buffer_append_u8(&a->body, '}');
    ASSERT(!a->body.overflowed);
    (void)snprintf(what, sizeof what, "%s %s", a->command, a->word->name);
    const int code = kv_request(&a->kv, method, headers, buffer_bytes(&a->body));
    if (code == KV_TOO_LARGE)
        return cli_fail(EXIT_CODE_SERVER, "%s: the answer of %s is too large", what,
                        a->flags.kv.server);
    if (code != EXIT_CODE_OK) return code;
    const uint32_t status = a->kv.client.response.status;
    if (status >= 200 && status < 300) return EXIT_CODE_OK;
    const int refused = kv_refused(&a->kv, what);
    if (!a->flags.kv.json) print_details(a);
    return refused;
}

int admin_print(struct admin *a) {
    const struct bytes body = buffer_bytes(&a->kv.client.body);
    const bool colour = os_stream_has_colour(a->os, OS_STREAM_OUTPUT) && !a->flags.kv.json;
    struct buffer text;
    buffer_init(&text, TEXT_BYTES_MAX);
    const struct status s = admin_text_encode(body, colour, &text);
    const struct bytes shown = a->flags.kv.json ? body : buffer_bytes(&text);
    if (status_ok(s)) fwrite(shown.ptr, 1, shown.len, stdout);
    buffer_deinit(&text);
    if (status_ok(s)) return EXIT_CODE_OK;
    return cli_fail(EXIT_CODE_SERVER, "%s %s: the answer of %s makes no sense", a->command,
                    a->word->name, a->flags.kv.server);
}

int admin_confirm(struct admin *a, const char *format, ...) {
    char answer[16] = "";
    size_t len = 0;
    if (a->flags.yes || a->flags.dry_run) return EXIT_CODE_OK;
    if (!os_stream_is_terminal(a->os, OS_STREAM_INPUT)) return EXIT_CODE_OK;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " [y/N] ");
    fflush(stderr);
    if (!status_ok(os_input_read(a->os, answer, sizeof answer - 1, &len))) len = 0;
    if (len > 0 && (answer[0] == 'y' || answer[0] == 'Y')) return EXIT_CODE_OK;
    return cli_fail(EXIT_CODE_NO, "nothing was done; --yes does not ask");
}

/* ---- words ---- */

static const struct admin_word *find_word(const struct admin_word *words, uint32_t count,
                                          const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(words[i].name, name) == 0) return &words[i];
    return NULL;
}

/* Options may stand before the word too. It is taken out of `argv`. */
static const struct admin_word *take_word(const struct admin_word *words, uint32_t count, int *argc,
                                          char **argv) {
    for (int i = 0; i < *argc; i++) {
        const struct admin_word *word = find_word(words, count, argv[i]);
        if (word == NULL) continue;
        for (int j = i; j + 1 < *argc; j++) argv[j] = argv[j + 1];
        --*argc;
        return word;
    }
    return NULL;
}

static int print_words(const char *command, const char *help, const struct admin_word *words,
                       uint32_t count) {
    printf("usage: atoll %s WORD [OPTION...]\n\n%s\n\n", command, help);
    for (uint32_t i = 0; i < count; i++) {
        const size_t line = strcspn(words[i].help, ".\n");
        printf("  %-9s%-22s%.*s\n", words[i].name, words[i].arguments, (int)line, words[i].help);
    }
    printf("\n`atoll %s WORD --help` tells more.\n", command);
    return cli_finish(EXIT_CODE_OK);
}

static int fail_word(const char *command, const char *help, const struct admin_word *words,
                     uint32_t count, int argc, char **argv) {
    const char *names[WORDS_MAX];
    char shown[80];
    const char *word = NULL;
    ASSERT(count <= WORDS_MAX);
    for (uint32_t i = 0; i < count; i++) names[i] = words[i].name;
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        if (argv[i][0] == '-' && (strcmp(name, "help") == 0 || strcmp(name, "h") == 0))
            return print_words(command, help, words, count);
        if (argv[i][0] != '-' && word == NULL) word = argv[i];
    }
    if (word == NULL)
        return cli_fail(EXIT_CODE_USAGE, "too few words; `atoll %s --help` lists them", command);
    log_escape(bytes_of_string(word), shown, sizeof shown);
    const char *nearest = option_nearest(bytes_of_string(word), names, count);
    if (nearest != NULL)
        return cli_fail(EXIT_CODE_USAGE, "unknown word '%s'; did you mean `atoll %s %s`?", shown,
                        command, nearest);
    return cli_fail(EXIT_CODE_USAGE, "unknown word '%s'; `atoll %s --help` lists them", shown,
                    command);
}

uint32_t admin_word_options(const struct admin_word *word,
                            struct option ret_options[ADMIN_OPTIONS]) {
    const uint32_t wanted = ADMIN_ASKING | (word == NULL ? 0 : word->options);
    uint32_t count = 0;
    for (uint32_t i = 0; i < ADMIN_OPTIONS; i++)
        if ((wanted >> i & 1) != 0) ret_options[count++] = all[i];
    return count;
}

/* A node that is named by its address is asked itself, unless the user says whom to ask: so
 * no command needs two addresses. One that is dead cannot be. */
static bool choose_server(struct admin *a) {
    const bool takes_node = (a->word->options & ADMIN_OPTION(NODE)) != 0;
    const bool is_dead =
        (a->word->options & ADMIN_OPTION(ACCEPT_LOSS)) != 0 && strcmp(a->word->name, "remove") == 0;
    if (!takes_node || is_dead || admin_has(a, ADMIN_WITH_SERVER)) return false;
    const char *node = a->flags.node;
    if (node[0] == '\0' && a->word->arguments_max > 0 &&
        a->set->argument_count == a->word->arguments_max)
        node = a->set->arguments[0];
    if (strchr(node, ':') == NULL) return false;
    a->flags.kv.server = node;
    return true;
}

int admin_run(struct os *os, const char *command, const char *help, const struct admin_word *words,
              uint32_t count, int argc, char **argv) {
    static struct option_set set;
    static struct option chosen[ADMIN_OPTIONS];
    static struct admin a;
    char usage[160];
    int code = EXIT_CODE_OK;
    const struct admin_word *word = take_word(words, count, &argc, argv);
    if (word == NULL) return fail_word(command, help, words, count, argc, argv);
    a = (struct admin){ .os = os, .command = command, .word = word, .set = &set };
    const uint32_t chosen_count = admin_word_options(word, chosen);
    /* What the word has no option for keeps what an option would begin with. */
    a.flags.node = a.flags.join = a.flags.leave = "";
    a.flags.write_quorum = a.flags.read_quorum = a.flags.discipline = a.flags.ttl = "";
    option_set_init(&set, chosen, chosen_count, &a.flags);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    (void)snprintf(usage, sizeof usage, "atoll %s %s %s%s[OPTION...]", command, word->name,
                   word->arguments, word->arguments[0] == '\0' ? "" : " ");
    if (!cli_parse(&set, usage, word->help, argc, argv, word->arguments_min, word->arguments_max,
                   &code))
        return code;
    const bool asks_node = choose_server(&a);
    kv_open(&a.kv, os, &a.flags.kv);
    buffer_init(&a.body, BODY_BYTES_MAX);
    code = word->run(&a);
    buffer_deinit(&a.body);
    kv_close(&a.kv);
    if (code == EXIT_CODE_CONNECT && asks_node)
        return cli_fail(EXIT_CODE_CONNECT,
                        "the node itself was asked; --server names another one to ask, and "
                        "`atoll cluster remove` is for nodes that are dead");
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}
