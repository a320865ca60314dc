/* Replies that tell about the node: HELLO, INFO, CONFIG GET, CLIENT, CLUSTER and SLOWLOG. */
#include "proto/resp_internal.h"

#include "base/assert.h"

#define TEXT_BYTES_MAX \
    (1024u * 1024) /* of INFO and its like: CLUSTER NODES has every slot at worst */

static void encode_hello(const struct plan *plan, const struct node_view *view,
                         struct buffer *out) {
    resp_reply_map(out, plan->dialect, 7);
    resp_reply_bulk_string(out, "server");
    resp_reply_bulk_string(out, "redis");
    resp_reply_bulk_string(out, "version");
    resp_reply_bulk_string(out, RESP_REDIS_VERSION);
    resp_reply_bulk_string(out, "proto");
    resp_reply_integer(out, plan->dialect);
    resp_reply_bulk_string(out, "id");
    resp_reply_integer(out, (int64_t)view->client_id);
    resp_reply_bulk_string(out, "mode");
    resp_reply_bulk_string(out, resp_info_mode(view));
    resp_reply_bulk_string(out, "role");
    resp_reply_bulk_string(out, "master");
    resp_reply_bulk_string(out, "modules");
    resp_reply_array(out, 0);
}

/* ---- CONFIG GET ---- */

#define SLOWLOG_MAX_LEN "128"

/* Options of Redis that clients ask for, where the answer is true of this node. */
static const struct {
    const char *name, *value;
} redis_options[] = {
    { "appendonly", "yes" }, /* every write goes to a log */
    { "databases", "1" },
    { "maxmemory", "0" },
    { "maxmemory-policy", "noeviction" },
    { "save", "" },       /* there are no snapshots */
    { "loglevel", NULL }, /* resp_setting knows */
    { "slowlog-log-slower-than", NULL },
    { "slowlog-max-len", SLOWLOG_MAX_LEN },
};

static_assert(NODE_SLOW_KEPT_MAX == 128, "SLOWLOG_MAX_LEN says so");

#define REDIS_OPTIONS (sizeof redis_options / sizeof redis_options[0])

static bool is_wanted(const struct plan *plan, const char *name) {
    const struct bytes *const patterns = (const struct bytes *)(const void *)plan->detail.ptr;
    const size_t count = plan->detail.len / sizeof(struct bytes);
    for (size_t i = 0; i < count; i++) {
        char lower[64];
        if (patterns[i].len >= sizeof lower) continue;
        for (size_t j = 0; j < patterns[i].len; j++) {
            const uint8_t c = patterns[i].ptr[j];
            lower[j] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        if (resp_glob_match(bytes_of(lower, patterns[i].len), bytes_of_string(name))) return true;
    }
    return false;
}

static bool has_row(const struct node_view *view, const char *name) {
    for (uint32_t i = 0; i < view->config_count; i++) {
        if (strcmp(view->config[i].name, name) == 0) return true;
    }
    return false;
}

static void reply_value(const struct node_view *view, const char *name, const char *at_start,
                        struct buffer *out) {
    char text[RESP_SETTING_BYTES];
    const char *now = resp_setting(view, name, text);
    resp_reply_bulk_string(out, now == NULL ? at_start : now);
}

static void encode_config(const struct plan *plan, const struct node_view *view,
                          struct buffer *out) {
    uint64_t count = 0;
    /* First to count, then to write. */
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) resp_reply_map(out, plan->dialect, count);
        for (uint32_t i = 0; i < view->config_count; i++) {
            if (!is_wanted(plan, view->config[i].name)) continue;
            count++;
            if (pass == 0) continue;
            resp_reply_bulk_string(out, view->config[i].name);
            reply_value(view, view->config[i].name, view->config[i].value, out);
        }
        for (size_t i = 0; i < REDIS_OPTIONS; i++) {
            if (has_row(view, redis_options[i].name)) continue;
            if (!is_wanted(plan, redis_options[i].name)) continue;
            count++;
            if (pass == 0) continue;
            resp_reply_bulk_string(out, redis_options[i].name);
            reply_value(view, redis_options[i].name, redis_options[i].value, out);
        }
    }
}

/* ---- CLIENT ---- */

/* All the numbers that redis-py insists on; -1 where the node does not know. */
static void write_client(const struct plan *plan, const struct node_view *view,
                         struct buffer *text) {
    buffer_printf(text,
                  "id=%llu addr=%s laddr=%s fd=-1 name=%s age=-1 idle=0 flags=N db=0 sub=0 "
                  "psub=0 ssub=0 multi=-1 qbuf=-1 qbuf-free=-1 argv-mem=-1 obl=-1 oll=-1 "
                  "omem=-1 tot-mem=-1 cmd=client user=default resp=%u\n",
                  (unsigned long long)view->client_id, view->client_address, view->address,
                  view->client_name, (unsigned)plan->dialect);
}

/* Texts are gathered first, since their length goes before them. */
static void encode_text(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    struct buffer text;
    buffer_init(&text, TEXT_BYTES_MAX);
    switch ((enum resp_shape)plan->shape) {
    case SHAPE_INFO: resp_info_encode(plan->detail_number, view, &text); break;
    case SHAPE_CLIENT_INFO: write_client(plan, view, &text); break;
    case SHAPE_CLUSTER_INFO:
    case SHAPE_CLUSTER_NODES: resp_cluster_write((enum resp_shape)plan->shape, view, &text); break;
    default: ASSERT(false);
    }
    ASSERT(!text.overflowed);
    resp_reply_verbatim(out, plan->dialect, text.ptr == NULL ? BYTES_NONE : buffer_bytes(&text));
    buffer_deinit(&text);
}

void resp_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    ASSERT(plan->kind == PLAN_NODE);
    char id[RESP_CLUSTER_ID_BYTES + 1];
    switch ((enum resp_shape)plan->shape) {
    case SHAPE_HELLO: encode_hello(plan, view, out); return;
    case SHAPE_CONFIG: encode_config(plan, view, out); return;
    case SHAPE_OK: resp_reply_simple(out, "OK"); return;
    case SHAPE_SLOWLOG:
    case SHAPE_SLOWLOG_LEN: resp_slowlog_encode(plan, view, out); return;
    case SHAPE_CLIENT_ID: resp_reply_integer(out, (int64_t)view->client_id); return;
    case SHAPE_CLUSTER_SLOTS:
    case SHAPE_CLUSTER_SHARDS: resp_cluster_encode(plan, view, out); return;
    case SHAPE_CLUSTER_MYID:
        resp_cluster_id(view, id);
        resp_reply_bulk_string(out, id);
        return;
    default: encode_text(plan, view, out); return;
    }
}
