/* What of an operator's request the view of the node answers by itself. */
#include "proto/admin.h"

#include "base/assert.h"

#include <stdio.h>

bool admin_same_address(const char *a, const char *b) {
    static const char local[] = "localhost:", ip[] = "127.0.0.1:";
    const char *names[] = { a, b };
    for (size_t i = 0; i < 2; i++) {
        if (strncmp(names[i], local, sizeof local - 1) != 0) continue;
        if (strncmp(names[1 - i], ip, sizeof ip - 1) != 0) continue;
        return strcmp(names[i] + sizeof local - 1, names[1 - i] + sizeof ip - 1) == 0;
    }
    return strcmp(a, b) == 0;
}

const struct node_member *admin_find_node(const struct admin_request *q,
                                          const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    for (uint32_t i = 0; c->members != NULL && i < c->members_count; i++) {
        const struct node_member *m = &c->members[i];
        if (q->node != 0 ? m->id == q->node : admin_same_address(q->address, m->address)) return m;
    }
    return NULL;
}

static bool has_weight(const struct admin_request *q, uint32_t weight) {
    return (q->given & ADMIN_HAS_WEIGHT) == 0 || q->weight == (weight == 0 ? 1 : weight);
}

static bool has_zone(const struct admin_request *q, uint32_t zone) {
    return (q->given & ADMIN_HAS_ZONE) == 0 || q->zone == zone;
}

/* The command that makes a member of the node. */
static void expect_node(const struct admin_request *q, const struct node_view *view,
                        struct admin_reply *r) {
    char weight[32] = "", zone[32] = "";
    const char *door = view->address;
    const bool proxy = view->cluster.proxy; /* nobody is let in by one */
    for (uint32_t i = 0; view->cluster.members != NULL && i < view->cluster.members_count; i++)
        if (proxy ? view->cluster.members[i].alive : view->cluster.members[i].self)
            door = view->cluster.members[i].address;
    ASSERT(strlen(door) < ADMIN_ADDRESS_BYTES);
    if ((q->given & ADMIN_HAS_WEIGHT) != 0)
        (void)snprintf(weight, sizeof weight, " --weight %u", q->weight);
    if ((q->given & ADMIN_HAS_ZONE) != 0) (void)snprintf(zone, sizeof zone, " --zone %u", q->zone);
    admin_reply_init(r, ADMIN_ACCEPTED);
    r->epoch = view->cluster.epoch;
    const int len = snprintf(r->command, sizeof r->command, "atoll serve --listen %s --join %s%s%s",
                             q->address, door, weight, zone);
    ASSERT(len > 0 && (size_t)len < sizeof r->command);
    admin_reply_say(r, "%s becomes a member once it is started there with: %s", q->address,
                    r->command);
}

static bool answer_add(const struct admin_request *q, const struct node_view *view,
                       struct admin_reply *r) {
    const struct node_member self = { .address = view->address, .id = view->node_id };
    const struct node_member *m = admin_find_node(q, view);
    if (m == NULL && node_view_is_alone(view) && admin_same_address(q->address, view->address))
        m = &self;
    if (m == NULL) {
        expect_node(q, view, r);
        return true;
    }
    if (m->standing == NODE_LEAVING || m->standing == NODE_DEAD) return false;
    if (!has_weight(q, m->weight) || !has_zone(q, m->zone)) return false;
    admin_reply_init(r, ADMIN_DONE);
    r->node = m->id;
    r->address = m->address;
    r->epoch = view->cluster.epoch;
    admin_reply_say(r, "%s is a member", q->address);
    return true;
}

bool admin_answer_from_view(const struct admin_request *q, const struct node_view *view,
                            struct admin_reply *ret_reply) {
    ASSERT(admin_request_check(q));
    return q->op == ADMIN_NODE_ADD && answer_add(q, view, ret_reply);
}
