/* Replies that tell about the node: HELLO, INFO, CONFIG GET, CLIENT and CLUSTER. */
#include "proto/resp_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>

#define TEXT_BYTES_MAX (1024u * 1024) /* of INFO and its like; they are a few KiB */
#define CLUSTER_ID_BYTES 40u          /* as long as an id of Redis Cluster */

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
    resp_reply_bulk_string(out, "standalone");
    resp_reply_bulk_string(out, "role");
    resp_reply_bulk_string(out, "master");
    resp_reply_bulk_string(out, "modules");
    resp_reply_array(out, 0);
}

/* ---- CONFIG GET ---- */

/* Options of Redis that clients ask for, where the answer is true of this node. */
static const struct {
    const char *name, *value;
} redis_options[] = {
    { "appendonly", "yes" }, /* every write goes to a log */
    { "databases", "1" },    { "maxmemory", "0" }, { "maxmemory-policy", "noeviction" },
    { "save", "" }, /* there are no snapshots */
};

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
            resp_reply_bulk_string(out, view->config[i].value);
        }
        for (size_t i = 0; i < REDIS_OPTIONS; i++) {
            if (has_row(view, redis_options[i].name)) continue;
            if (!is_wanted(plan, redis_options[i].name)) continue;
            count++;
            if (pass == 0) continue;
            resp_reply_bulk_string(out, redis_options[i].name);
            resp_reply_bulk_string(out, redis_options[i].value);
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

/* ---- CLUSTER ---- */

static void print_cluster_id(const struct node_view *view, char id[CLUSTER_ID_BYTES + 1]) {
    (void)snprintf(id, CLUSTER_ID_BYTES + 1, "%040x", view->node_id);
}

/* The host of "host:port", without the brackets of IPv6. Empty if it listens on all
 * addresses: clients then use the one they already have. */
static struct bytes host_of(const struct node_view *view) {
    const char *const colon = strrchr(view->address, ':');
    struct bytes host = bytes_of_string(view->address);
    if (colon != NULL) host.len = (size_t)(colon - view->address);
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = bytes_of(host.ptr + 1, host.len - 2);
    const bool all = bytes_equal(host, BYTES_LIT("0.0.0.0")) || bytes_equal(host, BYTES_LIT("::"));
    return all ? BYTES_LIT("") : host;
}

static void write_cluster_info(struct buffer *text) {
    buffer_printf(text,
                  "cluster_state:ok\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%u\r\n"
                  "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:1\r\n"
                  "cluster_size:1\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\n",
                  SLOTS, SLOTS);
}

static void write_cluster_nodes(const struct node_view *view, struct buffer *text) {
    char id[CLUSTER_ID_BYTES + 1];
    print_cluster_id(view, id);
    /* The second port is that of the cluster bus, which has none here. */
    buffer_printf(text, "%s ", id);
    buffer_append(text, host_of(view));
    buffer_printf(text, ":%u@0 myself,master - 0 0 1 connected 0-%u\n", view->port, SLOTS - 1);
}

static void encode_slots(const struct plan *plan, const struct node_view *view,
                         struct buffer *out) {
    char id[CLUSTER_ID_BYTES + 1];
    print_cluster_id(view, id);
    resp_reply_array(out, 1);
    resp_reply_array(out, 3);
    resp_reply_integer(out, 0);
    resp_reply_integer(out, SLOTS - 1);
    resp_reply_array(out, 4);
    resp_reply_bulk(out, host_of(view));
    resp_reply_integer(out, view->port);
    resp_reply_bulk_string(out, id);
    resp_reply_map(out, plan->dialect, 0);
}

static void reply_pair(struct buffer *out, const char *name, struct bytes value) {
    resp_reply_bulk_string(out, name);
    resp_reply_bulk(out, value);
}

static void encode_shards(const struct plan *plan, const struct node_view *view,
                          struct buffer *out) {
    char id[CLUSTER_ID_BYTES + 1];
    print_cluster_id(view, id);
    resp_reply_array(out, 1);
    resp_reply_map(out, plan->dialect, 2);
    resp_reply_bulk_string(out, "slots");
    resp_reply_array(out, 2);
    resp_reply_integer(out, 0);
    resp_reply_integer(out, SLOTS - 1);
    resp_reply_bulk_string(out, "nodes");
    resp_reply_array(out, 1);
    resp_reply_map(out, plan->dialect, 7);
    reply_pair(out, "id", bytes_of_string(id));
    resp_reply_bulk_string(out, "port");
    resp_reply_integer(out, view->port);
    reply_pair(out, "ip", host_of(view));
    reply_pair(out, "endpoint", host_of(view));
    reply_pair(out, "role", BYTES_LIT("master"));
    resp_reply_bulk_string(out, "replication-offset");
    resp_reply_integer(out, 0);
    reply_pair(out, "health", BYTES_LIT("online"));
}

/* Texts are gathered first, since their length goes before them. */
static void encode_text(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    struct buffer text;
    buffer_init(&text, TEXT_BYTES_MAX);
    switch ((enum resp_shape)plan->shape) {
    case SHAPE_INFO: resp_info_encode(plan->detail_number, view, &text); break;
    case SHAPE_CLIENT_INFO: write_client(plan, view, &text); break;
    case SHAPE_CLUSTER_INFO: write_cluster_info(&text); break;
    case SHAPE_CLUSTER_NODES: write_cluster_nodes(view, &text); break;
    default: ASSERT(false);
    }
    ASSERT(!text.overflowed);
    resp_reply_verbatim(out, plan->dialect, text.ptr == NULL ? BYTES_NONE : buffer_bytes(&text));
    buffer_deinit(&text);
}

void resp_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    ASSERT(plan->kind == PLAN_NODE);
    char id[CLUSTER_ID_BYTES + 1];
    switch ((enum resp_shape)plan->shape) {
    case SHAPE_HELLO: encode_hello(plan, view, out); return;
    case SHAPE_CONFIG: encode_config(plan, view, out); return;
    case SHAPE_CLIENT_ID: resp_reply_integer(out, (int64_t)view->client_id); return;
    case SHAPE_CLUSTER_SLOTS: encode_slots(plan, view, out); return;
    case SHAPE_CLUSTER_SHARDS: encode_shards(plan, view, out); return;
    case SHAPE_CLUSTER_MYID:
        print_cluster_id(view, id);
        resp_reply_bulk_string(out, id);
        return;
    default: encode_text(plan, view, out); return;
    }
}
