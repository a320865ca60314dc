#include "cli/admin.h"
#include "cli/admin_wait.h"
#include "cli/cluster_status.h"
#include "cli/json_field.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/terminal.h"

#include <inttypes.h>
#include <stdio.h>

#define TABLE_BYTES_MAX (1024u * 1024)
#define RATE_MAX (UINT64_C(1) << 40) /* as the node has it */
#define CLUSTER_ID_TEXT_BYTES 40u
#define PROBE_MS 1000u /* for one that may not be there */

static int print_status(struct admin *a) {
    const struct bytes body = buffer_bytes(&a->kv.client.body);
    const bool colour = os_stream_has_colour(a->os, OS_STREAM_OUTPUT) && !a->flags.kv.json;
    struct buffer table;
    buffer_init(&table, TABLE_BYTES_MAX);
    /* What is no such answer is not passed on as JSON either. */
    const struct status s = cluster_status_encode(body, colour, &table);
    const struct bytes text = a->flags.kv.json ? body : buffer_bytes(&table);
    if (status_ok(s)) fwrite(text.ptr, 1, text.len, stdout);
    buffer_deinit(&table);
    if (!status_ok(s))
        return cli_fail(EXIT_CODE_SERVER, "cluster: the answer of %s makes no sense",
                        a->flags.kv.server);
    return EXIT_CODE_OK;
}

static int status_command(struct admin *a) {
    int code = EXIT_CODE_OK;
    if (a->flags.wait) code = admin_wait(a, ADMIN_UNTIL_SETTLED, NULL, 0);
    if (code != EXIT_CODE_OK) return code;
    admin_path(a, "/v1/cluster", NULL);
    code = admin_ask(a, "GET", "");
    return code == EXIT_CODE_OK ? print_status(a) : code;
}

/* What was begun is printed first, then waited for. */
static int finish(struct admin *a, enum admin_goal goal, const char *node) {
    const uint64_t change = admin_answer_number(a, "change");
    const int code = admin_print(a);
    if (code != EXIT_CODE_OK || a->flags.dry_run) return code;
    if (a->flags.wait) return admin_wait(a, goal, node, change);
    if (change != 0 && !a->flags.kv.json)
        printf("change %" PRIu64 " is under way; atoll cluster status --wait shows how far it is\n",
               change);
    return EXIT_CODE_OK;
}

/* The id of the cluster that the node there is of; false: nobody answers, or it has none. */
static bool cluster_at(struct os *os, const char *server, char id[CLUSTER_ID_TEXT_BYTES]) {
    const struct http_client_request request = { .method = "GET",
                                                 .target = BYTES_LIT("/v1/cluster"),
                                                 .headers = "" };
    struct http_client client;
    bool found = false;
    http_client_open(&client, os, server, PROBE_MS);
    if (status_ok(http_client_request(&client, &request))) {
        const struct bytes body = buffer_bytes(&client.body);
        json_t *answer = json_loadb((const char *)body.ptr, body.len, 0, NULL);
        found = json_field_text(answer, "cluster_id", id, CLUSTER_ID_TEXT_BYTES);
        json_decref(answer);
    }
    http_client_close(&client);
    return found;
}

static int join_command(struct admin *a) {
    const char *address = a->set->arguments[0];
    char theirs[CLUSTER_ID_TEXT_BYTES];
    char ours[CLUSTER_ID_TEXT_BYTES];
    const bool is_known =
        cluster_at(a->os, address, theirs) && cluster_at(a->os, a->flags.kv.server, ours);
    if (is_known && strcmp(theirs, ours) != 0)
        return cli_fail(EXIT_CODE_SERVER,
                        "cluster join: %s is a node of cluster %s, and %s of cluster %s; nothing "
                        "was done. A node joins with an empty data directory",
                        address, theirs, a->flags.kv.server, ours);
    admin_path(a, "/v1/cluster/nodes", NULL);
    admin_path_dry_run(a);
    admin_body_text(a, "address", address);
    if (admin_has(a, ADMIN_WITH_WEIGHT)) admin_body_number(a, "weight", a->flags.weight);
    if (admin_has(a, ADMIN_WITH_ZONE)) admin_body_number(a, "zone", a->flags.zone);
    const int code = admin_ask(a, "POST", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_MEMBER, address) : code;
}

/* Begin the path of the node that is meant; NULL after an error. */
static const char *begin_node(struct admin *a) {
    const char *node = admin_node(a, 0);
    if (node != NULL) admin_path(a, "/v1/cluster/nodes/", node);
    return node;
}

static int leave_command(struct admin *a) {
    const char *node = begin_node(a);
    if (node == NULL) return EXIT_CODE_USAGE;
    if (a->flags.accept_loss) kv_target_param(&a->kv, "accept_loss", BYTES_LIT("true"));
    admin_path_dry_run(a);
    int code = admin_confirm(a, "Node %s gives its data to the others and leaves. Go on?", node);
    if (code == EXIT_CODE_OK) code = admin_ask(a, "DELETE", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_GONE, node) : code;
}

static int remove_command(struct admin *a) {
    const char *node = begin_node(a);
    if (node == NULL) return EXIT_CODE_USAGE;
    kv_target_param(&a->kv, "force", BYTES_LIT("true"));
    if (a->flags.accept_loss) kv_target_param(&a->kv, "accept_loss", BYTES_LIT("true"));
    admin_path_dry_run(a);
    int code = admin_confirm(a, "Node %s is given up for ever, with what only it has%s. Go on?",
                             node, a->flags.accept_loss ? ", though copies are at risk" : "");
    if (code == EXIT_CODE_OK) code = admin_ask(a, "DELETE", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_GONE, node) : code;
}

/* NODE WEIGHT, or --node NODE WEIGHT. */
static int weight_command(struct admin *a) {
    const uint32_t count = a->set->argument_count;
    const bool named = a->flags.node[0] != '\0';
    uint64_t weight = 0;
    if (named != (count == 1))
        return cli_fail(EXIT_CODE_USAGE, "name the node once; usage: atoll cluster weight NODE "
                                         "WEIGHT");
    const char *node = named ? a->flags.node : a->set->arguments[0];
    if (!status_ok(bytes_to_u64(bytes_of_string(a->set->arguments[count - 1]), &weight)) ||
        weight < 1 || weight > 1000000)
        return cli_fail(EXIT_CODE_USAGE, "a weight is a whole number from 1 to 1000000");
    admin_path(a, "/v1/cluster/nodes/", node);
    admin_path_dry_run(a);
    admin_body_number(a, "weight", weight);
    const int code = admin_ask(a, "PUT", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_SETTLED, NULL) : code;
}

static int replicas_command(struct admin *a) {
    uint64_t replicas = 0;
    if (!status_ok(bytes_to_u64(bytes_of_string(a->set->arguments[0]), &replicas)) ||
        replicas < 1 || replicas > REPLICAS_MAX)
        return cli_fail(EXIT_CODE_USAGE, "slots have 1 to %u copies", REPLICAS_MAX);
    admin_path(a, "/v1/cluster/replicas", NULL);
    admin_path_dry_run(a);
    admin_body_number(a, "replicas", replicas);
    const int code = admin_ask(a, "PUT", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_SETTLED, NULL) : code;
}

/* Who leads; an address, so that scripts can use it. */
static int print_leader(struct admin *a) {
    const struct bytes body = buffer_bytes(&a->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *leader = json_object_get(root, "leader");
    const char *address = json_string_value(json_object_get(root, "leader_address"));
    char shown[160];
    int code = EXIT_CODE_OK;
    if (leader == NULL)
        code = cli_fail(EXIT_CODE_SERVER, "cluster leader: the answer of %s makes no sense",
                        a->flags.kv.server);
    else if (json_is_null(leader))
        code = cli_fail(EXIT_CODE_NO, "no node leads, as far as %s knows", a->flags.kv.server);
    else if (a->flags.kv.json)
        printf("{\"leader\":%" JSON_INTEGER_FORMAT "}\n", json_integer_value(leader));
    else if (address != NULL)
        printf("%s\n", log_escape(bytes_of_string(address), shown, sizeof shown));
    else
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(leader));
    json_decref(root);
    return code;
}

static int leader_command(struct admin *a) {
    int code = EXIT_CODE_OK;
    uint64_t id = 0;
    if (a->flags.node[0] == '\0' && a->set->argument_count == 0) {
        admin_path(a, "/v1/cluster", NULL);
        code = admin_ask(a, "GET", "");
        return code == EXIT_CODE_OK ? print_leader(a) : code;
    }
    const char *node = admin_node(a, 0);
    if (node == NULL) return EXIT_CODE_USAGE;
    admin_path(a, "/v1/cluster/leader", NULL);
    admin_path_dry_run(a);
    if (status_ok(bytes_to_u64(bytes_of_string(node), &id)))
        admin_body_number(a, "node", id);
    else
        admin_body_text(a, "node", node);
    code = admin_ask(a, "POST", "");
    return code == EXIT_CODE_OK ? admin_print(a) : code;
}

static int plan_command(struct admin *a) {
    const struct admin_flags *f = &a->flags;
    char digits[24];
    admin_path(a, "/v1/cluster/plan", NULL);
    if (f->join[0] != '\0') kv_target_param(&a->kv, "join", bytes_of_string(f->join));
    if (f->leave[0] != '\0') kv_target_param(&a->kv, "leave", bytes_of_string(f->leave));
    if (f->node[0] != '\0') kv_target_param(&a->kv, "node", bytes_of_string(f->node));
    if (admin_has(a, ADMIN_WITH_WEIGHT)) {
        (void)snprintf(digits, sizeof digits, "%" PRIu64, f->weight);
        kv_target_param(&a->kv, "weight", bytes_of_string(digits));
    }
    if (admin_has(a, ADMIN_WITH_ZONE)) {
        (void)snprintf(digits, sizeof digits, "%" PRIu64, f->zone);
        kv_target_param(&a->kv, "zone", bytes_of_string(digits));
    }
    if (admin_has(a, ADMIN_WITH_REPLICAS)) {
        (void)snprintf(digits, sizeof digits, "%" PRIu64, f->replicas);
        kv_target_param(&a->kv, "replicas", bytes_of_string(digits));
    }
    if (admin_has(a, ADMIN_WITH_RATE)) {
        (void)snprintf(digits, sizeof digits, "%" PRIu64, f->rate);
        kv_target_param(&a->kv, "bytes_per_second", bytes_of_string(digits));
    }
    const int code = admin_ask(a, "GET", "");
    return code == EXIT_CODE_OK ? admin_print(a) : code;
}

/* ---- the change that is running ---- */

static int change(struct admin *a, const char *action, const uint64_t *rate) {
    admin_path(a, "/v1/cluster/change", NULL);
    admin_path_dry_run(a);
    admin_body_text(a, "action", action);
    if (rate != NULL) admin_body_number(a, "bytes_per_second", *rate);
    const int code = admin_ask(a, "POST", "");
    return code == EXIT_CODE_OK ? finish(a, ADMIN_UNTIL_SETTLED, NULL) : code;
}

static int pause_command(struct admin *a) {
    return change(a, "pause", NULL);
}

static int resume_command(struct admin *a) {
    return change(a, "resume", NULL);
}

static int throttle_command(struct admin *a) {
    const char *text = a->set->arguments[0];
    uint64_t rate = 0;
    const bool unlimited = strcmp(text, "none") == 0;
    if (!unlimited && !status_ok(option_decode_size(bytes_of_string(text), &rate)))
        rate = UINT64_MAX;
    if (rate > RATE_MAX)
        return cli_fail(EXIT_CODE_USAGE,
                        "RATE is bytes a second such as 50MiB, at most 1TiB, or none");
    return change(a, "throttle", &rate);
}

static int cancel_command(struct admin *a) {
    const int code = admin_confirm(
        a, "Slots that are under way go back to the nodes that had them. Cancel the change?");
    return code == EXIT_CODE_OK ? change(a, "cancel", NULL) : code;
}

#define DRY ADMIN_OPTION(DRY_RUN)
#define WAIT (ADMIN_OPTION(WAIT) | ADMIN_OPTION(PROGRESS))

static const struct admin_word words[] = {
    { "status", "",
      "Show the nodes, who leads, and how far a change is.\n"
      "It is what the node that is asked sees: the slots each owns and keeps, the writes\n"
      "kept for it while it is away, and how fast it answers.",
      WAIT, 0, 0, status_command },
    { "join", "HOST:PORT",
      "Let a node in: tell what to run on its machine.\n"
      "The cluster does not call it; a node joins by being started. One of another cluster\n"
      "is refused. Of a member with another --weight the weight is changed.",
      ADMIN_OPTION(WEIGHT) | ADMIN_OPTION(ZONE) | WAIT | DRY, 1, 1, join_command },
    { "leave", "NODE",
      "Have a node give its data to the others and leave.\n"
      "Clients go on meanwhile. A node named by its HOST:PORT is asked itself,\n"
      "unless --server names another.",
      ADMIN_OPTION(NODE) | ADMIN_OPTION(ACCEPT_LOSS) | WAIT | ADMIN_OPTION(YES) | DRY, 0, 1,
      leave_command },
    { "remove", "NODE",
      "Give up a dead node for ever.\n"
      "Its slots are copied from others. Should it come back, it is turned away.",
      ADMIN_OPTION(NODE) | ADMIN_OPTION(ACCEPT_LOSS) | WAIT | ADMIN_OPTION(YES) | DRY, 0, 1,
      remove_command },
    { "weight", "NODE WEIGHT",
      "Change a node's share of the slots.\n"
      "A node of weight 2 keeps twice as much as one of weight 1.",
      ADMIN_OPTION(NODE) | WAIT | DRY, 1, 2, weight_command },
    { "replicas", "N",
      "Change how many copies of each slot there are.\n"
      "Keyspaces take as many of them as they say. `atoll keyspace alter --replicas` has more\n"
      "made when it needs them; of fewer this is what drops the others.",
      WAIT | DRY, 1, 1, replicas_command },
    { "leader", "[NODE]", "Show who leads the cluster, or have another node lead.",
      ADMIN_OPTION(NODE) | DRY, 0, 1, leader_command },
    { "plan", "",
      "Show what a change would move, and do nothing.\n"
      "Without --join, --leave, --node or --replicas: what a change that began now would move.",
      ADMIN_OPTION(JOIN) | ADMIN_OPTION(LEAVE) | ADMIN_OPTION(NODE) | ADMIN_OPTION(WEIGHT) |
          ADMIN_OPTION(ZONE) | ADMIN_OPTION(REPLICAS) | ADMIN_OPTION(RATE),
      0, 0, plan_command },
    { "pause", "", "Send nothing more for the running change.", DRY, 0, 0, pause_command },
    { "resume", "", "Go on with a change that was paused.", WAIT | DRY, 0, 0, resume_command },
    { "throttle", "RATE|none",
      "Bound what a node may send for the running change.\n"
      "RATE is bytes a second, such as 50MiB.",
      DRY, 1, 1, throttle_command },
    { "cancel", "",
      "End the running change: what is under way goes back.\n"
      "Slots that are through stay where they are.",
      ADMIN_OPTION(YES) | WAIT | DRY, 0, 0, cancel_command },
};

const struct command_words cli_cluster_words = {
    .words = words,
    .words_count = sizeof words / sizeof *words,
};

int cli_cluster(struct os *os, int argc, char **argv) {
    return admin_run(os, "cluster",
                     "See and change the nodes of a cluster, and who keeps what, while it works.",
                     words, sizeof words / sizeof *words, argc, argv);
}
