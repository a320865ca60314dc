/* top.c - `atoll top`: a cluster as it is now, on a terminal or once as text.
 *
 * One connection listens to /v1/events of the node that is asked; with each event another one asks
 * for /v1/cluster/figures. When the node is gone, its cluster's others are asked in turn.
 */
#include "cli/event_stream.h"
#include "cli/kv.h"
#include "cli/top_screen.h"

#include "base/assert.h"
#include "base/log.h"
#include "os/terminal.h"
#include "os/thread.h"

#include <stdio.h>

#define FIGURES_TIMEOUT_MS 2000u /* a screen that stands still is worse than one with gaps */
#define RETRY_MS 1000u
#define SILENCE_MS 5000u /* of a node that is connected: it tells something every second */
#define ADDRESS_BYTES 128u
#define MEMBERS_KNOWN_MAX 64u
#define SCREEN_BYTES_MAX (512u * 1024)
/* The other screen of the terminal, so that what stood there comes back; no cursor. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_CLEAR_BELOW "\033[J"

struct top_flags {
    struct kv_flags kv; /* first, for its options */
    uint64_t interval_ms;
    bool once;
};

static const struct option options[] = {
    KV_NODE_OPTIONS,
    { .name = "interval",
      .kind = OPTION_TIME,
      .offset = offsetof(struct top_flags, interval_ms),
      .fallback = "1s",
      .min = 1000,
      .max = 3600000,
      .help = "how often the screen is drawn; rates are those of the last second" },
    { .name = "once",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct top_flags, once),
      .fallback = "false",
      .help = "print it once as text; also where standard output is no terminal" },
};

const struct command_words cli_top_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

struct top {
    struct os *os;
    const struct top_flags *flags;
    struct event_stream stream;
    char server[ADDRESS_BYTES];                     /* that is asked now */
    char members[MEMBERS_KNOWN_MAX][ADDRESS_BYTES]; /* whom else to ask */
    uint32_t members_count, member_next;            /* of `members` */
    json_t *cluster, *nodes, *nodes_before;         /* NULL = not known, here and below */
    json_t *figures;                                /* of the event: owns the two below it */
    json_t *metrics, *metrics_before;               /* owned */
    uint64_t drawn_ms;                              /* monotonic; 0 = never */
    uint64_t heard_ms;                              /* monotonic: when something came last */
    char notice[2 * ADDRESS_BYTES];                 /* "" = none */
};

static uint64_t now_ms(const struct top *t) {
    return os_mono_ns(t->os) / 1000000;
}

static void replace(json_t **place, json_t *take) {
    json_decref(*place);
    *place = take;
}

/* Whatever a node answers to GET `path` is JSON, or it is NULL. */
static json_t *ask(struct top *t, const char *path) {
    struct http_client client;
    json_t *answer = NULL;
    const uint64_t timeout_ms = t->flags->kv.timeout_ms;
    const struct http_client_request q = {
        .method = "GET", .target = bytes_of_string(path), .headers = "", .body = BYTES_NONE
    };
    http_client_open(&client, t->os, t->server,
                     timeout_ms < FIGURES_TIMEOUT_MS ? (uint32_t)timeout_ms : FIGURES_TIMEOUT_MS);
    if (status_ok(http_client_request(&client, &q)) && client.response.status == 200) {
        const struct bytes body = buffer_bytes(&client.body);
        answer = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    }
    http_client_close(&client);
    return answer;
}

/* ---- events ---- */

static void learn_members(struct top *t) {
    const json_t *nodes = json_object_get(t->cluster, "nodes");
    t->members_count = 0;
    for (size_t i = 0; i < json_array_size(nodes) && t->members_count < MEMBERS_KNOWN_MAX; i++) {
        const char *address =
            json_string_value(json_object_get(json_array_get(nodes, i), "address"));
        if (address == NULL || strlen(address) >= ADDRESS_BYTES) continue;
        (void)snprintf(t->members[t->members_count++], ADDRESS_BYTES, "%s", address);
    }
}

/* *ret_figures: it was an event with figures, which come once a second. */
static void take_event(struct top *t, const struct event *event, bool *ret_figures) {
    json_t *json = json_loadb((const char *)event->data.ptr, event->data.len, JSON_ALLOW_NUL, NULL);
    if (json == NULL) return; /* the next one may be better */
    if (bytes_equal(event->name, BYTES_LIT("cluster"))) {
        replace(&t->cluster, json);
        learn_members(t);
    } else if (bytes_equal(event->name, BYTES_LIT("figures"))) {
        replace(&t->metrics_before, t->metrics);
        t->metrics = json_incref(json_object_get(json, "metrics"));
        replace(&t->figures, json);
        replace(&t->nodes_before, t->nodes);
        t->nodes = ask(t, "/v1/cluster/figures");
        *ret_figures = true;
    } else {
        json_decref(json);
    }
}

/* What comes with the first event is compared with what was before it. */
static STATUS connect_to(struct top *t) {
    const uint64_t timeout_ms = t->flags->kv.timeout_ms;
    TRY(event_stream_open(&t->stream, t->os, t->server, (uint32_t)timeout_ms));
    t->heard_ms = now_ms(t);
    replace(&t->nodes, ask(t, "/v1/cluster/figures"));
    replace(&t->metrics, ask(t, "/metrics"));
    replace(&t->figures, NULL);
    replace(&t->nodes_before, NULL);
    replace(&t->metrics_before, NULL);
    return status_of(ST_OK);
}

/* Errors  as event_stream_read */
static STATUS read_events(struct top *t, bool *ret_figures) {
    struct event event;
    const struct status s = event_stream_read(&t->stream);
    if (!status_ok(s)) return s;
    t->heard_ms = now_ms(t);
    while (status_ok(event_stream_next(&t->stream, &event))) take_event(t, &event, ret_figures);
    return status_of(ST_OK);
}

static int fail(const struct top *t, struct status s) {
    const char *server = t->server;
    const uint32_t status = t->stream.response.status;
    switch (s.code) {
    case ST_INVALID: return cli_fail(EXIT_CODE_USAGE, "--server=%s: no such host", server);
    case ST_TIMEOUT:
        return cli_fail(EXIT_CODE_CONNECT, "%s did not answer in time (see --timeout)", server);
    case ST_NOT_FOUND:
        return cli_fail(EXIT_CODE_CONNECT, "%s ended the connection; does it stop?", server);
    case ST_CORRUPT:
    case ST_FULL: break;
    default: return cli_cannot_connect(server);
    }
    if (status == 503)
        return cli_fail(EXIT_CODE_SERVER,
                        "%s has as many listeners as it takes; close a dashboard, or ask another "
                        "node with --server",
                        server);
    if (status != 0 && status != 200)
        return cli_fail(EXIT_CODE_SERVER, "%s answered with status %u; is it a node of atoll?",
                        server, status);
    return cli_fail(EXIT_CODE_SERVER, "%s: the answer makes no sense; is it a node of atoll?",
                    server);
}

/* ---- what is shown ---- */

/* Errors  ST_CORRUPT */
static STATUS encode(const struct top *t, const struct top_size *size, struct buffer *out) {
    const struct top_figures figures = {
        .server = t->server,
        .cluster = t->cluster,
        .nodes = t->nodes,
        .nodes_before = t->nodes_before,
        .moment = json_object_get(t->figures, "moment"),
        .metrics = t->metrics,
        .metrics_before = t->metrics_before,
        .notice = t->notice[0] == '\0' ? NULL : t->notice,
    };
    return top_screen_encode(&figures, size, out);
}

static void print_json(const struct top *t) {
    json_t *all = json_object();
    ASSERT(all != NULL);
    (void)json_object_set(all, "cluster", t->cluster);
    (void)json_object_set(all, "nodes", json_object_get(t->nodes, "nodes"));
    (void)json_object_set(all, "moment", json_object_get(t->figures, "moment"));
    (void)json_object_set(all, "metrics", t->metrics);
    json_dumpf(all, stdout, JSON_COMPACT);
    json_decref(all);
    printf("\n");
}

static int print_once(struct top *t) {
    struct buffer out;
    bool figures = false;
    struct status s = connect_to(t);
    while (status_ok(s) && (!figures || t->cluster == NULL)) s = read_events(t, &figures);
    if (!status_ok(s)) return fail(t, s);
    buffer_init(&out, SCREEN_BYTES_MAX);
    const struct top_size size = { .columns = UINT32_MAX };
    s = encode(t, &size, &out);
    if (!status_ok(s)) {
        buffer_deinit(&out);
        return fail(t, s);
    }
    const struct bytes text = buffer_bytes(&out);
    if (t->flags->kv.json) {
        print_json(t);
    } else {
        fwrite(text.ptr, 1, text.len, stdout);
        printf("\n");
    }
    buffer_deinit(&out);
    return cli_finish(EXIT_CODE_OK);
}

/* Errors  ST_CORRUPT  the node's answer makes no sense; ST_IO  the terminal is gone */
static STATUS draw(struct top *t) {
    struct buffer out;
    const struct top_size size = { .columns = os_terminal_columns(t->os, OS_STREAM_OUTPUT),
                                   .rows = os_terminal_rows(t->os, OS_STREAM_OUTPUT),
                                   .colour = os_stream_has_colour(t->os, OS_STREAM_OUTPUT),
                                   .screen = true };
    if (t->cluster == NULL) return status_of(ST_OK);
    buffer_init(&out, SCREEN_BYTES_MAX);
    buffer_append_string(&out, SCREEN_HOME);
    const struct status s = encode(t, &size, &out);
    buffer_append_string(&out, SCREEN_CLEAR_BELOW);
    const struct bytes text = buffer_bytes(&out);
    if (status_ok(s)) fwrite(text.ptr, 1, text.len, stdout);
    buffer_deinit(&out);
    t->drawn_ms = now_ms(t);
    TRY(s);
    return status_of(fflush(stdout) == 0 ? ST_OK : ST_IO);
}

/* The next of the cluster, if the one that was asked is gone. */
static void turn_to_next(struct top *t) {
    event_stream_close(&t->stream);
    char gone[ADDRESS_BYTES], shown[ADDRESS_BYTES];
    (void)snprintf(gone, sizeof gone, "%s", t->server);
    if (t->members_count > 0) {
        t->member_next = (t->member_next + 1) % t->members_count;
        (void)snprintf(t->server, sizeof t->server, "%s", t->members[t->member_next]);
    }
    (void)snprintf(t->notice, sizeof t->notice, "%s does not answer; others are asked",
                   log_escape(bytes_of_string(gone), shown, sizeof shown));
}

static bool key_ends(struct top *t) {
    char keys[64];
    size_t len = 0;
    if (!status_ok(os_input_read(t->os, keys, sizeof keys, &len))) return true;
    return memchr(keys, 'q', len) != NULL || memchr(keys, 'Q', len) != NULL;
}

/* Errors  those of draw */
static STATUS act(struct top *t, uint32_t found) {
    bool figures = false;
    if ((found & OS_TERMINAL_SOCKET) != 0) {
        const uint64_t due_ms = t->drawn_ms + t->flags->interval_ms;
        if (!status_ok(read_events(t, &figures))) {
            turn_to_next(t);
            return draw(t);
        }
        /* A bit early is better than a whole event late. */
        if (figures && (t->drawn_ms == 0 || now_ms(t) + 200 >= due_ms)) {
            t->notice[0] = '\0';
            return draw(t);
        }
    }
    return (found & OS_TERMINAL_RESIZED) != 0 ? draw(t) : status_of(ST_OK);
}

static STATUS watch(struct top *t) {
    struct status s = draw(t);
    while (status_ok(s)) {
        const struct os_sock none = { .os = NULL };
        const bool connected = t->stream.sock.os != NULL;
        const uint32_t found = os_terminal_wait(t->os, connected ? t->stream.sock : none, RETRY_MS);
        if ((found & OS_TERMINAL_STOPPED) != 0) break;
        if ((found & OS_TERMINAL_KEY) != 0 && key_ends(t)) break;
        if (!connected && found == 0 && !status_ok(connect_to(t))) turn_to_next(t);
        s = act(t, found);
        if (t->stream.sock.os != NULL && now_ms(t) - t->heard_ms > SILENCE_MS) {
            turn_to_next(t);
            if (status_ok(s)) s = draw(t);
        }
    }
    return s;
}

static int run(struct top *t) {
    if (!os_stream_is_terminal(t->os, OS_STREAM_INPUT)) return print_once(t);
    struct status s = connect_to(t);
    if (!status_ok(s)) return fail(t, s);
    if (!status_ok(os_terminal_raw(t->os)))
        return cli_fail(EXIT_CODE_FILE, "the terminal cannot be set up; --once needs none");
    fputs(SCREEN_ENTER, stdout);
    s = watch(t);
    fputs(SCREEN_LEAVE, stdout);
    fflush(stdout);
    os_terminal_restore(t->os);
    if (s.code == ST_CORRUPT) return fail(t, s);
    return cli_finish(EXIT_CODE_OK);
}

int cli_top(struct os *os, int argc, char **argv) {
    static struct option_set set;
    static struct top t;
    struct top_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof *options, &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(&set, "atoll top [OPTION...]",
                   "Show a cluster as it is now: nodes, throughput, latencies, hints, repair,\n"
                   "compaction, cache and a running change. q or Ctrl-C ends it.",
                   argc, argv, 0, 0, &code))
        return code;
    if (strlen(f.kv.server) >= ADDRESS_BYTES)
        return cli_fail(EXIT_CODE_USAGE, "--server: the address is too long");
    t = (struct top){ .os = os, .flags = &f };
    (void)snprintf(t.server, sizeof t.server, "%s", f.kv.server);
    const bool live = os_stream_is_terminal(os, OS_STREAM_OUTPUT) && !f.once && !f.kv.json;
    code = live ? run(&t) : print_once(&t);
    event_stream_close(&t.stream);
    replace(&t.cluster, NULL);
    replace(&t.nodes, NULL);
    replace(&t.nodes_before, NULL);
    replace(&t.figures, NULL);
    replace(&t.metrics, NULL);
    replace(&t.metrics_before, NULL);
    return code;
}
