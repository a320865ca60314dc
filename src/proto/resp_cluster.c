/* CLUSTER: who holds which slots, as Redis Cluster says it. Every node answers for every key,
 * so that what is told here only saves clients a step: the first node of a slot is its home,
 * where commands are carried out. That is the owner, or the first living replica after it. */
#include "proto/resp_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

/* The members and their slots; a node alone is the only member of its own. */
struct topology {
    const struct node_member *members;
    uint32_t members_count;
    const uint16_t (*slots)[1 + REPLICAS_MAX]; /* as in the view; NULL: member 0 has them all */
    const uint16_t *indexes;                   /* as in the view */
    uint32_t answers_needed;                   /* replicas a slot needs for writes and reads */
    uint64_t epoch;
    struct node_member alone; /* what `members` points at for a node alone */
    uint16_t homes[SLOTS];    /* first living member of each slot, the owner if none lives */
};

/* Nodes of one slot as they are told: the home first, then the others that live. */
struct slot_nodes {
    uint16_t list[REPLICAS_MAX]; /* indexes into members */
    uint32_t count;
};

/* Whom clients may ask: one that was given up may answer and still has nothing to say. */
static bool serves(const struct node_member *m) {
    return m->alive && m->standing != NODE_DEAD;
}

/* All that keep the slot, owner first. */
static struct slot_nodes keepers_of(const struct topology *t, uint32_t slot) {
    struct slot_nodes all = { .count = 1 };
    ASSERT(slot < SLOTS);
    if (t->slots == NULL) return all;
    const uint16_t *const list = t->slots[slot];
    ASSERT(list[0] >= 1 && list[0] <= REPLICAS_MAX);
    all.count = list[0];
    for (uint32_t i = 0; i < all.count; i++) {
        ASSERT(list[1 + i] < NODE_MEMBERS_MAX);
        all.list[i] = t->indexes == NULL ? list[1 + i] : t->indexes[list[1 + i]];
        ASSERT(all.list[i] < t->members_count);
    }
    return all;
}

static struct slot_nodes nodes_of(const struct topology *t, uint32_t slot) {
    struct slot_nodes nodes = { .count = 0 };
    const struct slot_nodes all = keepers_of(t, slot);
    for (uint32_t i = 0; i < all.count; i++) {
        if (serves(&t->members[all.list[i]])) nodes.list[nodes.count++] = all.list[i];
    }
    if (nodes.count == 0) nodes.list[nodes.count++] = all.list[0];
    return nodes;
}

static void topology_init(struct topology *t, const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    if (node_view_is_alone(view)) {
        t->alone = (struct node_member){
            .address = view->address, .id = view->node_id, .self = true, .alive = true
        };
        if (c->members != NULL) t->alone = c->members[0];
        t->members = &t->alone;
        t->members_count = t->answers_needed = 1;
        t->slots = NULL;
        t->indexes = NULL;
        t->epoch = 1;
    } else {
        ASSERT(c->members != NULL);
        ASSERT(c->slots != NULL);
        t->members = c->members;
        t->members_count = c->members_count;
        t->slots = c->slots;
        t->indexes = c->indexes;
        t->answers_needed = c->write_quorum > c->read_quorum ? c->write_quorum : c->read_quorum;
        t->epoch = c->epoch;
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) t->homes[slot] = nodes_of(t, slot).list[0];
}

/* The last slot from `slot` on that has the same nodes. */
static uint32_t run_end(const struct topology *t, uint32_t slot, const struct slot_nodes *nodes) {
    while (slot + 1 < SLOTS) {
        const struct slot_nodes next = nodes_of(t, slot + 1);
        if (next.count != nodes->count) break;
        if (memcmp(next.list, nodes->list, next.count * sizeof next.list[0]) != 0) break;
        slot++;
    }
    return slot;
}

/* The next run of slots from `*slot` on whose home is `member`; false at the end. */
static bool next_run(const struct topology *t, uint32_t member, uint32_t *slot,
                     uint32_t *ret_first) {
    while (*slot < SLOTS && t->homes[*slot] != member) ++*slot;
    *ret_first = *slot;
    while (*slot < SLOTS && t->homes[*slot] == member) ++*slot;
    return *ret_first < SLOTS;
}

/* ---- nodes ---- */

void resp_cluster_id(const struct node_view *view, char id[RESP_CLUSTER_ID_BYTES + 1]) {
    const uint32_t number = node_view_own_id(view);
    (void)snprintf(id, RESP_CLUSTER_ID_BYTES + 1, "%040" PRIx32, number);
}

/* "host:port" or "[v6]:port" in its parts. The host is empty if the node listens on all
 * addresses: clients then use the one they already have. */
struct endpoint {
    struct bytes host; /* without the brackets of IPv6 */
    uint64_t port;
};

static struct endpoint endpoint_of(const struct node_member *m) {
    const char *const colon = strrchr(m->address, ':');
    struct endpoint e = { .host = bytes_of_string(m->address) };
    if (colon != NULL) {
        e.host.len = (size_t)(colon - m->address);
        if (!status_ok(bytes_to_u64(bytes_of_string(colon + 1), &e.port))) e.port = 0;
    }
    if (e.host.len >= 2 && e.host.ptr[0] == '[' && e.host.ptr[e.host.len - 1] == ']')
        e.host = bytes_of(e.host.ptr + 1, e.host.len - 2);
    if (bytes_equal(e.host, BYTES_LIT("0.0.0.0")) || bytes_equal(e.host, BYTES_LIT("::")))
        e.host = BYTES_LIT("");
    return e;
}

static void reply_id(struct buffer *out, const struct node_member *m) {
    char id[RESP_CLUSTER_ID_BYTES + 1];
    (void)snprintf(id, sizeof id, "%040" PRIx32, m->id);
    resp_reply_bulk_string(out, id);
}

static void reply_node(const struct plan *plan, const struct node_member *m, struct buffer *out) {
    const struct endpoint e = endpoint_of(m);
    resp_reply_array(out, 4);
    resp_reply_bulk(out, e.host);
    resp_reply_integer(out, (int64_t)e.port);
    reply_id(out, m);
    resp_reply_map(out, plan->dialect, 0);
}

/* ---- CLUSTER SLOTS ---- */

static void encode_slots(const struct plan *plan, const struct topology *t, struct buffer *out) {
    uint64_t runs = 0;
    /* First to count, then to write. */
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) resp_reply_array(out, runs);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            const struct slot_nodes nodes = nodes_of(t, slot);
            const uint32_t first = slot;
            slot = run_end(t, slot, &nodes);
            runs++;
            if (pass == 0) continue;
            resp_reply_array(out, 2 + nodes.count);
            resp_reply_integer(out, first);
            resp_reply_integer(out, slot);
            for (uint32_t i = 0; i < nodes.count; i++)
                reply_node(plan, &t->members[nodes.list[i]], out);
        }
    }
}

/* ---- CLUSTER SHARDS ---- */

/* Which members keep some of the slots whose home is `home`. */
static uint32_t find_partners(const struct topology *t, uint32_t home, bool *ret_keeps) {
    uint32_t count = 0;
    memset(ret_keeps, 0, t->members_count * sizeof *ret_keeps);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (t->homes[slot] != home) continue;
        const struct slot_nodes all = keepers_of(t, slot);
        for (uint32_t i = 0; i < all.count; i++) {
            count += !ret_keeps[all.list[i]];
            ret_keeps[all.list[i]] = true;
        }
    }
    return count;
}

static void reply_pair(struct buffer *out, const char *name, struct bytes value) {
    resp_reply_bulk_string(out, name);
    resp_reply_bulk(out, value);
}

static void reply_shard_node(const struct plan *plan, const struct node_member *m, bool is_home,
                             struct buffer *out) {
    const struct endpoint e = endpoint_of(m);
    resp_reply_map(out, plan->dialect, 7);
    resp_reply_bulk_string(out, "id");
    reply_id(out, m);
    resp_reply_bulk_string(out, "port");
    resp_reply_integer(out, (int64_t)e.port);
    reply_pair(out, "ip", e.host);
    reply_pair(out, "endpoint", e.host);
    reply_pair(out, "role", is_home ? BYTES_LIT("master") : BYTES_LIT("replica"));
    resp_reply_bulk_string(out, "replication-offset");
    resp_reply_integer(out, 0);
    reply_pair(out, "health", serves(m) ? BYTES_LIT("online") : BYTES_LIT("fail"));
}

/* All slots of one home; members that keep some of them count as its replicas. Clients
 * take a shard for what has one master, so a home has one shard only. */
static void reply_shard(const struct plan *plan, const struct topology *t, uint32_t home,
                        struct buffer *out) {
    uint64_t bounds = 0;
    uint32_t first = 0;
    bool keeps[NODE_MEMBERS_MAX];
    const uint32_t nodes = find_partners(t, home, keeps);
    resp_reply_map(out, plan->dialect, 2);
    resp_reply_bulk_string(out, "slots");
    for (uint32_t slot = 0; next_run(t, home, &slot, &first);) bounds += 2;
    resp_reply_array(out, bounds);
    for (uint32_t slot = 0; next_run(t, home, &slot, &first);) {
        resp_reply_integer(out, first);
        resp_reply_integer(out, slot - 1);
    }
    resp_reply_bulk_string(out, "nodes");
    resp_reply_array(out, nodes);
    reply_shard_node(plan, &t->members[home], true, out);
    for (uint32_t i = 0; i < t->members_count; i++)
        if (keeps[i] && i != home) reply_shard_node(plan, &t->members[i], false, out);
}

static void encode_shards(const struct plan *plan, const struct topology *t, struct buffer *out) {
    bool is_home[NODE_MEMBERS_MAX] = { false };
    uint64_t homes = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        homes += !is_home[t->homes[slot]];
        is_home[t->homes[slot]] = true;
    }
    resp_reply_array(out, homes);
    for (uint32_t i = 0; i < t->members_count; i++)
        if (is_home[i]) reply_shard(plan, t, i, out);
}

/* ---- CLUSTER NODES and CLUSTER INFO ---- */

/* A member that has been let in and has no slots yet is what Redis calls a handshake; one that
 * leaves is a master until its last slot is gone. */
static const char *role_of(const struct node_member *m) {
    return m->standing == NODE_JOINING && m->slots_kept == 0 ? "handshake" : "master";
}

static void write_nodes(const struct topology *t, struct buffer *text) {
    for (uint32_t i = 0; i < t->members_count; i++) {
        const struct node_member *const m = &t->members[i];
        const struct endpoint e = endpoint_of(m);
        buffer_printf(text, "%040" PRIx32 " ", m->id);
        buffer_append(text, e.host);
        /* The second port is that of the cluster bus, which has none here. */
        buffer_printf(text, ":%" PRIu64 "@0 %s%s%s - 0 0 %" PRIu64 " %s", e.port,
                      m->self ? "myself," : "", role_of(m), serves(m) ? "" : ",fail", t->epoch,
                      serves(m) ? "connected" : "disconnected");
        uint32_t first = 0;
        for (uint32_t slot = 0; next_run(t, i, &slot, &first);) {
            buffer_printf(text, " %" PRIu32, first);
            if (slot - 1 > first) buffer_printf(text, "-%" PRIu32, slot - 1);
        }
        buffer_append_u8(text, '\n');
    }
}

/* Clients take "fail" for a node that serves nothing, so it is said when no slot has the
 * replicas it needs; cluster_slots_fail tells how many lack them. */
static void write_info(const struct topology *t, struct buffer *text) {
    bool is_home[NODE_MEMBERS_MAX] = { false };
    uint32_t slots_ok = 0, homes = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        const struct slot_nodes all = keepers_of(t, slot);
        uint32_t alive = 0;
        for (uint32_t i = 0; i < all.count; i++) alive += serves(&t->members[all.list[i]]);
        slots_ok += alive >= t->answers_needed;
        homes += !is_home[t->homes[slot]];
        is_home[t->homes[slot]] = true;
    }
    buffer_printf(text,
                  "cluster_state:%s\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%" PRIu32
                  "\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:%" PRIu32
                  "\r\ncluster_known_nodes:%" PRIu32 "\r\ncluster_size:%" PRIu32
                  "\r\ncluster_current_epoch:%" PRIu64 "\r\ncluster_my_epoch:%" PRIu64 "\r\n",
                  slots_ok > 0 ? "ok" : "fail", SLOTS, slots_ok, SLOTS - slots_ok, t->members_count,
                  homes, t->epoch, t->epoch);
}

void resp_cluster_write(enum resp_shape shape, const struct node_view *view, struct buffer *text) {
    struct topology t;
    topology_init(&t, view);
    if (shape == SHAPE_CLUSTER_INFO) {
        write_info(&t, text);
    } else {
        ASSERT(shape == SHAPE_CLUSTER_NODES);
        write_nodes(&t, text);
    }
}

void resp_cluster_encode(const struct plan *plan, const struct node_view *view,
                         struct buffer *out) {
    struct topology t;
    topology_init(&t, view);
    if ((enum resp_shape)plan->shape == SHAPE_CLUSTER_SLOTS) {
        encode_slots(plan, &t, out);
    } else {
        ASSERT((enum resp_shape)plan->shape == SHAPE_CLUSTER_SHARDS);
        encode_shards(plan, &t, out);
    }
}
