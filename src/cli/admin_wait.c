#include "cli/admin_wait.h"

#include "base/assert.h"
#include "base/log.h"
#include "cli/change.h"
#include "cli/cluster_status.h"
#include "cli/progress.h"
#include "os/terminal.h"
#include "os/thread.h"
#include "proto/admin.h"

#include <inttypes.h>
#include <stdio.h>

#define ADDRESSES_MAX 64u
#define ADDRESS_BYTES 128u
#define POLL_MS 500u
#define SETTLED_POLLS 7u   /* a change begins two seconds after what it is for */
#define SILENCE_POLLS 120u /* then nobody of the cluster is there */

struct wait {
    struct admin *a;
    enum admin_goal goal;
    const char *node;                             /* id or address, or NULL */
    uint64_t change;                              /* that is to end; 0 = not known */
    uint32_t count;                               /* of `addresses` */
    uint32_t asked;                               /* the one that is asked now */
    char addresses[ADDRESSES_MAX][ADDRESS_BYTES]; /* of members, as they were told */
    uint32_t settled_polls;                       /* so often no change was running */
    uint32_t silent_polls;                        /* so often nobody answered, in a row */
    struct progress progress;                     /* how far it is */
};

uint64_t admin_answer_number(const struct admin *a, const char *name) {
    const struct bytes body = buffer_bytes(&a->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *value = json_object_get(root, name);
    const json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    json_decref(root);
    return number > 0 ? (uint64_t)number : 0;
}

static void learn(struct wait *w, const char *address) {
    if (w->count == ADDRESSES_MAX || strlen(address) >= ADDRESS_BYTES) return;
    for (uint32_t i = 0; i < w->count; i++)
        if (strcmp(w->addresses[i], address) == 0) return;
    (void)snprintf(w->addresses[w->count++], ADDRESS_BYTES, "%s", address);
}

/* The next member, if the one that is asked does not answer. */
static void turn_to_next(struct wait *w) {
    struct admin *a = w->a;
    ASSERT(w->count > 0);
    w->asked = (w->asked + 1) % w->count;
    http_client_close(&a->kv.client);
    http_client_open(&a->kv.client, a->os, w->addresses[w->asked], 3000);
}

static bool is_node(const json_t *node, const char *name) {
    char id[24];
    const json_t *number = json_object_get(node, "id");
    const char *address = json_string_value(json_object_get(node, "address"));
    (void)snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    return strcmp(id, name) == 0 || (address != NULL && admin_same_address(address, name));
}

/* The node that is waited for, or NULL. */
static const json_t *find_node(const struct wait *w, const json_t *root) {
    const json_t *nodes = json_object_get(root, "nodes");
    for (size_t i = 0; w->node != NULL && i < json_array_size(nodes); i++)
        if (is_node(json_array_get(nodes, i), w->node)) return json_array_get(nodes, i);
    return NULL;
}

static bool goal_is_reached(struct wait *w, const json_t *root, const struct change *c) {
    const json_t *node = find_node(w, root);
    const char *membership = json_string_value(json_object_get(node, "membership"));
    const bool is_over = c->id == 0 || (w->change != 0 && c->id > w->change);
    const bool more_is_asked_for = json_is_integer(json_object_get(root, "slot_replicas_next"));
    w->settled_polls = is_over && !more_is_asked_for ? w->settled_polls + 1 : 0;
    switch (w->goal) {
    case ADMIN_UNTIL_MEMBER:
        return is_over && membership != NULL && strcmp(membership, "active") == 0;
    case ADMIN_UNTIL_GONE: return is_over && node == NULL;
    default: return w->change != 0 ? is_over : w->settled_polls >= SETTLED_POLLS;
    }
}

static void show(struct wait *w, const struct change *c) {
    struct buffer line;
    const bool terminal = w->progress.terminal;
    if (!terminal && !progress_is_due(&w->progress)) return;
    buffer_init(&line, 4096);
    if (c->id != 0 && terminal)
        change_append_bar(c, os_terminal_columns(w->a->os, OS_STREAM_ERROR),
                          os_stream_has_colour(w->a->os, OS_STREAM_ERROR), &line);
    else if (c->id != 0)
        change_append_figures(c, &line);
    else if (w->goal == ADMIN_UNTIL_MEMBER)
        buffer_printf(&line, "waiting for %.100s to start", w->node);
    else
        buffer_append_string(&line, "waiting");
    const struct bytes text = buffer_bytes(&line);
    if (terminal) {
        fwrite(text.ptr, 1, text.len, stderr); /* sequences among it: it fits already */
        fputs("\033[K\r", stderr);             /* what is printed next, begins the line again */
        fflush(stderr);
    } else {
        buffer_append_u8(&line, '\0');
        progress_print(&w->progress, (const char *)buffer_bytes(&line).ptr);
    }
    buffer_deinit(&line);
}

/* Errors  ST_CORRUPT  no such answer */
static STATUS take_answer(struct wait *w, bool *ret_reached) {
    const struct bytes body = buffer_bytes(&w->a->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *nodes = json_object_get(root, "nodes");
    struct change c = { .id = 0 };
    struct status s = status_of(ST_CORRUPT);
    if (json_array_size(nodes) > 0) s = change_decode(json_object_get(root, "change"), &c);
    for (size_t i = 0; status_ok(s) && i < json_array_size(nodes); i++) {
        const json_t *address = json_object_get(json_array_get(nodes, i), "address");
        if (json_is_string(address)) learn(w, json_string_value(address));
    }
    if (status_ok(s)) {
        *ret_reached = goal_is_reached(w, root, &c);
        show(w, &c);
    }
    json_decref(root);
    return s;
}

static int ask_again(struct wait *w, bool *ret_reached) {
    struct admin *a = w->a;
    const struct http_client_request q = {
        .method = "GET", .target = BYTES_LIT("/v1/cluster"), .headers = "", .body = BYTES_NONE
    };
    const struct status s = http_client_request(&a->kv.client, &q);
    if (status_ok(s) && a->kv.client.response.status == 200) {
        w->silent_polls = 0;
        if (status_ok(take_answer(w, ret_reached))) return EXIT_CODE_OK;
        return cli_fail(EXIT_CODE_SERVER, "%s %s: the answer of %s makes no sense", a->command,
                        a->word->name, a->kv.client.server);
    }
    if (++w->silent_polls < SILENCE_POLLS) {
        turn_to_next(w);
        return EXIT_CODE_OK;
    }
    return cli_fail(EXIT_CODE_CONNECT,
                    "no node of the cluster answers any more; what was begun goes on when they do: "
                    "atoll cluster status --server HOST:PORT");
}

int admin_wait(struct admin *a, enum admin_goal goal, const char *node, uint64_t change) {
    static struct wait w;
    bool reached = false;
    int code = EXIT_CODE_OK;
    ASSERT(goal == ADMIN_UNTIL_SETTLED || node != NULL);
    w = (struct wait){ .a = a, .goal = goal, .node = node, .change = change };
    progress_init(&w.progress, a->os, a->flags.progress);
    fflush(stdout);
    learn(&w, a->flags.kv.server);
    while (code == EXIT_CODE_OK && !reached) {
        code = ask_again(&w, &reached);
        if (code == EXIT_CODE_OK && !reached) os_sleep_ms(a->os, POLL_MS);
    }
    if (w.progress.terminal) fputs("\033[K", stderr);
    return code;
}
