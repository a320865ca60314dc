#include "server/members.h"

#include "base/assert.h"
#include "base/log.h"
#include "os/sock.h"

#include <stdio.h>

#define LIST_BYTES_MAX 512u /* of addresses in one log line, which is cut at twice that */

static_assert(OS_ADDRESS_BYTES_MAX == MEMBER_ADDRESS_BYTES, "a resolved address fits a member");

/* Numeric addresses of the settings. */
struct resolved {
    uint32_t count;                                /* of `peers` */
    char peers[MEMBERS_MAX][OS_ADDRESS_BYTES_MAX]; /* as listed; two names may mean one */
    const char *texts[MEMBERS_MAX];                /* the same, for membership_create */
    char self[OS_ADDRESS_BYTES_MAX];               /* what others call this node by */
};

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

static STATUS resolve_all(const struct config *c, struct os *os, const char *listen,
                          struct resolved *ret_resolved) {
    struct resolved *r = ret_resolved;
    ASSERT(c->peer_nodes.count <= MEMBERS_MAX);
    for (r->count = 0; r->count < c->peer_nodes.count; r->count++) {
        TRY(resolve(os, "peers", c->peer_nodes.addresses[r->count], r->peers[r->count]));
        r->texts[r->count] = r->peers[r->count];
    }
    if (c->role.index == CONFIG_ROLE_NODE) return resolve(os, "advertise", c->advertise, r->self);
    /* A proxy that listens everywhere has no one address; then nothing can be compared. */
    if (!status_ok(os_address_resolve(os, listen, r->self))) r->self[0] = '\0';
    return status_of(ST_OK);
}

static bool is_listed(const struct resolved *r, const char *address) {
    for (uint32_t i = 0; i < r->count; i++) {
        if (strcmp(r->peers[i], address) == 0) return true;
    }
    return false;
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
static STATUS judge_reach(const struct resolved *r, bool is_proxy) {
    const char *near = NULL, *far = NULL;
    for (uint32_t i = 0; i < r->count; i++) {
        if (is_everywhere(r->peers[i])) return refuse_everywhere("peers", r->peers[i]);
        *(config_is_loopback(r->peers[i]) ? &near : &far) = r->peers[i];
    }
    if (!is_proxy) {
        if (is_everywhere(r->self)) return refuse_everywhere("advertise", r->self);
        *(config_is_loopback(r->self) ? &near : &far) = r->self;
    }
    if (near == NULL || far == NULL) return status_of(ST_OK);
    log_error("--peers: %s means this machine only, so the node at %s cannot reach it; give every "
              "node an address that all can reach (--listen or --advertise, and --peers)",
              near, far);
    return status_of(ST_INVALID);
}

/* W or R: as asked for, or a majority of the copies that can exist. Above that no request
 * could ever succeed. */
static STATUS quorum_of(const char *option, struct option_choice asked, uint32_t copies,
                        uint8_t *ret_quorum) {
    ASSERT(copies >= 1 && copies <= REPLICAS_MAX);
    ASSERT(asked.index <= REPLICAS_MAX);
    if (asked.index > copies) {
        log_error("--%s=%u: there are only %u members, so nothing could succeed", option,
                  asked.index, copies);
        return status_of(ST_INVALID);
    }
    *ret_quorum = (uint8_t)(asked.index > 0 ? asked.index : membership_majority(copies));
    return status_of(ST_OK);
}

/* Members that the resolved addresses are. */
static uint32_t distinct_of(const struct resolved *r, bool is_proxy) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        bool known = false;
        for (uint32_t j = 0; j < i; j++) known |= strcmp(r->peers[i], r->peers[j]) == 0;
        count += !known;
    }
    return count + (!is_proxy && !is_listed(r, r->self));
}

static STATUS create(const struct config *c, const struct resolved *r, uint32_t distinct,
                     struct membership **ret_membership) {
    const bool is_proxy = c->role.index == CONFIG_ROLE_PROXY;
    const uint32_t copies = c->replicas < distinct ? (uint32_t)c->replicas : distinct;
    struct replication n = { .replicas = (uint8_t)c->replicas };
    TRY(quorum_of("write-quorum", c->write_quorum, copies, &n.write_quorum));
    TRY(quorum_of("read-quorum", c->read_quorum, copies, &n.read_quorum));
    const struct status s =
        membership_create(r->texts, r->count, is_proxy ? NULL : r->self, n, ret_membership);
    if (s.code == ST_FULL)
        log_error("--peers: %u nodes with this one, and a cluster has at most %u", distinct,
                  MEMBERS_MAX);
    else if (!status_ok(s))
        log_error("--peers: one of the addresses is none that others could use");
    return status_of(status_ok(s) ? ST_OK : ST_INVALID);
}

/* What it is called matters to nobody yet. */
static STATUS create_alone(const struct config *c, struct os *os, const char *listen,
                           struct membership **ret_membership) {
    char self[OS_ADDRESS_BYTES_MAX];
    const struct replication n = { .replicas = (uint8_t)c->replicas };
    if (!status_ok(os_address_resolve(os, listen, self)))
        snprintf(self, sizeof self, "127.0.0.1:%s", strrchr(listen, ':') + 1);
    return membership_create(NULL, 0, self, n, ret_membership);
}

STATUS members_build(const struct config *c, struct os *os, const char *listen,
                     struct membership **ret_membership) {
    ASSERT(os != NULL && listen != NULL);
    ASSERT(ret_membership != NULL);
    const bool is_proxy = c->role.index == CONFIG_ROLE_PROXY;
    if (c->peer_nodes.count == 0) {
        ASSERT(!is_proxy); /* config_finish has refused it */
        return create_alone(c, os, listen, ret_membership);
    }
    struct resolved r = { 0 };
    TRY(resolve_all(c, os, listen, &r));
    TRY(judge_reach(&r, is_proxy));
    if (is_proxy && is_listed(&r, r.self)) {
        log_error("--peers: a proxy is no member, but %s is its own address; take it out", r.self);
        return status_of(ST_INVALID);
    }
    const uint32_t distinct = distinct_of(&r, is_proxy);
    if (distinct == 1 && !is_proxy) {
        log_info("the only peer is this node itself: it serves alone");
        return create_alone(c, os, listen, ret_membership);
    }
    return create(c, &r, distinct, ret_membership);
}

bool members_are_one(const struct membership *m) {
    return m->count == 1 && m->self != MEMBER_NONE;
}

uint32_t members_copies(const struct membership *m) {
    ASSERT(m->count >= 1);
    return m->replicas < m->count ? m->replicas : m->count;
}

void members_log(const struct membership *m) {
    ASSERT(membership_check(m));
    char list[LIST_BYTES_MAX] = "";
    size_t fill = 0;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE && fill < sizeof list;
         i = membership_next(m, i + 1)) {
        const int len = snprintf(list + fill, sizeof list - fill, "%s%s%s", fill > 0 ? ", " : "",
                                 m->all[i].address, i == m->self ? " (this node)" : "");
        ASSERT(len > 0);
        fill += (size_t)len;
    }
    /* The end of a long list is `atoll config`'s to show. */
    const bool cut = fill >= sizeof list;
    const struct replication r = membership_replication(m, KEYSPACE_DEFAULT);
    log_info("cluster of %u members: %s%s; %u replicas, write quorum %u, read quorum %u", m->count,
             list, cut ? "..." : "", members_copies(m), (unsigned)r.write_quorum,
             (unsigned)r.read_quorum);
    if (members_copies(m) < r.replicas)
        log_warn("--replicas=%u, but there are %u members: every key is on all of them",
                 (unsigned)r.replicas, m->count);
}
