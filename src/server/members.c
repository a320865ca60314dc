#include "server/members.h"

#include "base/assert.h"
#include "base/log.h"
#include <stdio.h>

#define LIST_BYTES_MAX 512u /* of addresses in one log line, which is cut at twice that */

static_assert(OS_ADDRESS_BYTES_MAX == MEMBER_ADDRESS_BYTES, "a resolved address fits a member");

static STATUS resolve(struct os *os, const char *option, const char *address,
                      char ret_text[OS_ADDRESS_BYTES_MAX]) {
    const struct status s = os_address_resolve(os, address, ret_text);
    if (status_ok(s)) return s;
    log_error("--%s: %s %s", option, address,
              s.code == ST_NOT_FOUND ? "has no address: the name is unknown here"
              : s.code == ST_INVALID ? "is no HOST:PORT"
                                     : "cannot be looked up: the resolver failed");
    return status_of(ST_INVALID);
}

static bool is_listed(const struct members *m, const char *address) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (strcmp(m->addresses[i], address) == 0) return true;
    }
    return false;
}

/* Two names may mean one address. */
static STATUS resolve_list(const char *option, const struct config_nodes *nodes, struct os *os,
                           struct members *m) {
    ASSERT(nodes->count <= FOUNDERS_MAX);
    for (uint32_t i = 0; i < nodes->count; i++) {
        char address[OS_ADDRESS_BYTES_MAX];
        TRY(resolve(os, option, nodes->addresses[i], address));
        if (!is_listed(m, address))
            (void)snprintf(m->addresses[m->count++], sizeof address, "%s", address);
    }
    return status_of(ST_OK);
}

static STATUS refuse_everywhere(const char *option, const char *address) {
    log_error("--%s: %s stands for all addresses of a machine; name one", option, address);
    return status_of(ST_INVALID);
}

/* Whether this is "no address": every address of the machine when one listens. */
static bool is_everywhere(const char *address) {
    const struct bytes text = bytes_of_string(address);
    return bytes_start_with(text, BYTES_LIT("0.0.0.0:")) ||
           bytes_start_with(text, BYTES_LIT("[::]:"));
}

/* Addresses that only this machine understands must be all or none. */
static STATUS judge_reach(const struct members *m, const char *option) {
    const char *near = NULL, *far = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        if (is_everywhere(m->addresses[i])) return refuse_everywhere(option, m->addresses[i]);
        *(config_is_loopback(m->addresses[i]) ? &near : &far) = m->addresses[i];
    }
    if (m->want != CONTROL_WANT_PROXY) {
        if (is_everywhere(m->self)) return refuse_everywhere("advertise", m->self);
        *(config_is_loopback(m->self) ? &near : &far) = m->self;
    }
    if (near == NULL || far == NULL) return status_of(ST_OK);
    log_error("--%s: %s means this machine only, so the node at %s cannot reach it; give every "
              "node an address that all can reach (--listen or --advertise, and --%s)",
              option, near, far, option);
    return status_of(ST_INVALID);
}

/* W or R above the copies that the first members can have: no request could ever succeed. */
static STATUS judge_quorum(const char *option, struct option_choice asked, uint32_t copies,
                           uint32_t members) {
    ASSERT(copies >= 1 && copies <= REPLICAS_MAX);
    ASSERT(asked.index <= REPLICAS_MAX);
    if (asked.index <= copies) return status_of(ST_OK);
    log_error("--%s=%u: there are only %u members, so nothing could succeed", option, asked.index,
              members);
    return status_of(ST_INVALID);
}

static STATUS judge_list(const struct config *c, const struct members *m) {
    if (m->count > FOUNDERS_MAX) {
        log_error(
            "--peers: %u nodes with this one, and at most %u begin a cluster: the others --join it",
            m->count, FOUNDERS_MAX);
        return status_of(ST_INVALID);
    }
    const uint32_t copies = c->replicas < m->count ? (uint32_t)c->replicas : m->count;
    TRY(judge_quorum("write-quorum", c->write_quorum, copies, m->count));
    return judge_quorum("read-quorum", c->read_quorum, copies, m->count);
}

/* ---- what to do ---- */

/* Alone it needs an address only for those that may join it later. */
static STATUS be_alone(const struct config *c, struct os *os, const char *listen,
                       struct members *m) {
    m->want = CONTROL_WANT_ALONE;
    m->count = 0;
    const bool named = status_ok(os_address_resolve(os, c->advertise, m->self));
    if (named && !is_everywhere(m->self)) return status_of(ST_OK);
    (void)snprintf(m->self, sizeof m->self, "127.0.0.1:%s", strrchr(listen, ':') + 1);
    return status_of(ST_OK);
}

static STATUS be_proxy(const struct config *c, struct os *os, const char *listen,
                       struct members *m) {
    m->want = CONTROL_WANT_PROXY;
    TRY(resolve_list("peers", &c->peer_nodes, os, m));
    TRY(judge_reach(m, "peers"));
    /* One that listens everywhere has no one address; then nothing can be compared. */
    if (!status_ok(os_address_resolve(os, listen, m->self))) m->self[0] = '\0';
    if (!is_listed(m, m->self)) return status_of(ST_OK);
    log_error("--peers: a proxy is no member, but %s is its own address; take it out", m->self);
    return status_of(ST_INVALID);
}

static STATUS join(const struct config *c, struct os *os, struct members *m) {
    m->want = CONTROL_WANT_JOIN;
    TRY(resolve(os, "advertise", c->advertise, m->self));
    TRY(resolve_list("join", &c->join_nodes, os, m));
    TRY(judge_reach(m, "join"));
    if (m->count > 1 || !is_listed(m, m->self)) return status_of(ST_OK);
    log_error("--join: %s is this node's own address; name a node of the cluster", m->self);
    return status_of(ST_INVALID);
}

static STATUS begin(const struct config *c, struct os *os, const char *listen, struct members *m) {
    m->want = CONTROL_WANT_LIST;
    TRY(resolve(os, "advertise", c->advertise, m->self));
    TRY(resolve_list("peers", &c->peer_nodes, os, m));
    TRY(judge_reach(m, "peers"));
    const bool listed = is_listed(m, m->self);
    if (listed && m->count == 1) {
        log_info("the only peer is this node itself: it serves alone");
        return be_alone(c, os, listen, m);
    }
    if (!listed && m->count == FOUNDERS_MAX) {
        log_error(
            "--peers: %u nodes with this one, and at most %u begin a cluster: the others --join it",
            FOUNDERS_MAX + 1, FOUNDERS_MAX);
        return status_of(ST_INVALID);
    }
    if (!listed) (void)snprintf(m->addresses[m->count++], sizeof m->self, "%s", m->self);
    return judge_list(c, m);
}

STATUS members_resolve(const struct config *c, struct os *os, const char *listen,
                       struct members *ret_members) {
    ASSERT(os != NULL && listen != NULL);
    struct members *m = ret_members;
    *m = (struct members){ 0 };
    for (uint32_t i = 0; i < FOUNDERS_MAX; i++) m->texts[i] = m->addresses[i];
    if (c->role.index == CONFIG_ROLE_PROXY) return be_proxy(c, os, listen, m);
    if (c->join_nodes.count > 0) return join(c, os, m);
    if (c->peer_nodes.count > 0) return begin(c, os, listen, m);
    return be_alone(c, os, listen, m);
}

void members_options(const struct members *m, const struct config *c,
                     struct control_options *ret_options) {
    struct control_options *o = ret_options;
    control_options_init(o);
    o->want = m->want;
    o->address = m->want == CONTROL_WANT_PROXY ? NULL : m->self;
    o->weight = (uint32_t)c->weight;
    o->zone = (uint32_t)c->zone;
    o->addresses = m->texts;
    o->address_count = m->count;
    o->replicas = (uint32_t)c->replicas;
    o->settings = (struct keyspace_settings){
        .replication = { .replicas = (uint8_t)c->replicas,
                         .write_quorum = (uint8_t)c->write_quorum.index,
                         .read_quorum = (uint8_t)c->read_quorum.index },
    };
    o->throttle = c->move_rate;
}

void members_log(const struct members *m) {
    static const char *const does[] = { [CONTROL_WANT_LIST] = "begins a cluster with",
                                        [CONTROL_WANT_JOIN] = "joins the cluster of",
                                        [CONTROL_WANT_PROXY] = "is a proxy to" };
    char list[LIST_BYTES_MAX] = "";
    size_t fill = 0;
    if (m->want == CONTROL_WANT_ALONE) return;
    for (uint32_t i = 0; i < m->count && fill < sizeof list; i++) {
        const bool own = strcmp(m->addresses[i], m->self) == 0;
        const int len = snprintf(list + fill, sizeof list - fill, "%s%s%s", i > 0 ? ", " : "",
                                 m->addresses[i], own ? " (this node)" : "");
        ASSERT(len > 0);
        fill += (size_t)len;
    }
    /* The end of a long list is `atoll config`'s to show. */
    log_info("unless it is a member already, this node %s %s%s", does[m->want], list,
             fill >= sizeof list ? "..." : "");
}
