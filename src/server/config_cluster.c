#include "server/config_internal.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdio.h>

#define PORT_MAX 65535u
#define ADDRESS_SHOWN_BYTES 128u

static struct option_state *state_of(struct config *c, const char *name) {
    const int32_t index = option_find(&c->set, bytes_of_string(name));
    ASSERT(index >= 0);
    return &c->set.states[index];
}

/* The host of "host:port"; empty if it stands for all addresses or there is no colon. */
static struct bytes host_of(struct bytes address) {
    size_t len = address.len;
    while (len > 0 && address.ptr[len - 1] != ':') len--;
    return bytes_of(address.ptr, len > 0 ? len - 1 : 0);
}

/* "host:port" or "[v6]:port" of another node: with a host and a port that can be called. */
static bool is_node_address(struct bytes text) {
    const struct bytes host = host_of(text);
    uint64_t port = 0;
    if (host.len == 0 || text.len >= MEMBER_ADDRESS_BYTES) return false;
    const struct bytes digits = bytes_of(text.ptr + host.len + 1, text.len - host.len - 1);
    if (!status_ok(bytes_to_u64(digits, &port))) return false;
    if (port == 0 || port > PORT_MAX) return false;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] <= ' ' || host.ptr[i] >= 0x7f) return false;
    }
    const bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if ((memchr(host.ptr, '[', host.len) != NULL) != bracketed) return false;
    return (memchr(host.ptr, ':', host.len) != NULL) == bracketed;
}

/* An address as it may be written in a list: stores that Atoll replaces want a URL. */
static struct bytes strip_address(struct bytes text) {
    const struct bytes scheme = BYTES_LIT("http://");
    text = config_trim(text);
    if (!bytes_start_with(text, scheme)) return text;
    text = bytes_of(text.ptr + scheme.len, text.len - scheme.len);
    if (text.len > 0 && text.ptr[text.len - 1] == '/') text.len--;
    return text;
}

static bool is_listed(const struct config_nodes *nodes, struct bytes address) {
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (bytes_equal(bytes_of_string(nodes->addresses[i]), address)) return true;
    }
    return false;
}

static STATUS refuse_address(struct config *c, const char *option, struct bytes address) {
    char shown[ADDRESS_SHOWN_BYTES], why[ADDRESS_SHOWN_BYTES + 64];
    log_escape(address, shown, sizeof shown);
    snprintf(why, sizeof why, "'%s' is no address; write HOST:PORT,HOST:PORT", shown);
    return option_refuse(&c->set, option, why);
}

/* Add an address of the list to those at `*fill` in the text, unless it is there. */
static STATUS add_address(struct config *c, const char *option, struct config_nodes *nodes,
                          struct bytes address, size_t *fill) {
    ASSERT(nodes->count <= FOUNDERS_MAX);
    ASSERT(*fill + address.len < sizeof nodes->text);
    if (!is_node_address(address)) return refuse_address(c, option, address);
    if (is_listed(nodes, address)) return status_of(ST_OK);
    if (nodes->count == FOUNDERS_MAX) {
        char why[64];
        snprintf(why, sizeof why, "more than %u nodes", FOUNDERS_MAX);
        return option_refuse(&c->set, option, why);
    }
    char *at = nodes->text + *fill;
    memcpy(at, address.ptr, address.len);
    at[address.len] = '\0';
    nodes->addresses[nodes->count++] = at;
    *fill += address.len + 1;
    return status_of(ST_OK);
}

/* Rewrite the text as the addresses with a comma between them, never longer than it was. */
static void spell_nodes(const struct config_nodes *nodes, struct option_state *state) {
    size_t fill = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        const int len = snprintf(state->text + fill, sizeof state->text - fill, "%s%s",
                                 i > 0 ? "," : "", nodes->addresses[i]);
        ASSERT(len > 0);
        fill += (size_t)len;
        ASSERT(fill < sizeof state->text);
    }
    state->text[fill] = '\0';
}

static STATUS settle_list(struct config *c, const char *option, struct config_nodes *nodes) {
    struct option_state *state = state_of(c, option);
    struct bytes rest = config_trim(bytes_of_string(state->text));
    size_t fill = 0;
    nodes->count = 0;
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
        const size_t len = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;
        const struct bytes address = strip_address(bytes_of(rest.ptr, len));
        /* A comma too many, as at the end of a list made by a script, means nothing. */
        if (address.len > 0) TRY(add_address(c, option, nodes, address, &fill));
        const size_t used = len + (comma != NULL);
        rest = bytes_of(rest.ptr + used, rest.len - used);
    }
    spell_nodes(nodes, state);
    return status_of(ST_OK);
}

STATUS config_settle_nodes(struct config *c) {
    TRY(settle_list(c, "peers", &c->peer_nodes));
    return settle_list(c, "join", &c->join_nodes);
}

void config_settle_advertise(struct config *c) {
    struct option_state *state = state_of(c, "advertise");
    ASSERT(strlen(c->listen) < sizeof state->text);
    if (state->source == OPTION_DEFAULT) snprintf(state->text, sizeof state->text, "%s", c->listen);
    ASSERT(c->advertise == state->text);
}

/* ---- the whole ---- */

/* Whether a listener at this address takes connections to any address of the machine. */
static bool is_everywhere(const char *address) {
    const struct bytes host = host_of(bytes_of_string(address));
    return host.len == 0 || bytes_equal(host, BYTES_LIT("0.0.0.0")) ||
           bytes_equal(host, BYTES_LIT("[::]"));
}

static STATUS judge_quorum(struct config *c, const char *name, uint32_t copies) {
    if (copies <= c->replicas) return status_of(ST_OK);
    char why[96];
    snprintf(why, sizeof why, "larger than the number of replicas, which is %u (--replicas)",
             (unsigned)c->replicas);
    return option_refuse(&c->set, name, why);
}

/* Other nodes must be able to call this one by what it advertises. */
static STATUS judge_advertise(struct config *c) {
    const bool given = state_of(c, "advertise")->source != OPTION_DEFAULT;
    if (given) {
        if (!is_node_address(bytes_of_string(c->advertise)) || is_everywhere(c->advertise))
            return option_refuse(&c->set, "advertise",
                                 "other nodes cannot call that; give one HOST:PORT of this node");
        return status_of(ST_OK);
    }
    if (is_everywhere(c->listen))
        return option_refuse(&c->set, "listen",
                             "other nodes cannot tell which of all addresses is this node's; "
                             "add --advertise HOST:PORT");
    if (c->port == 0)
        return option_refuse(&c->set, "port",
                             "other nodes must know the port; give one, or add --advertise "
                             "HOST:PORT");
    return status_of(ST_OK);
}

/* Nodes on other machines are talked to in the clear. */
static STATUS judge_reach(struct config *c, const char *option, const struct config_nodes *nodes) {
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (config_is_loopback(nodes->addresses[i]) || c->insecure) continue;
        return option_refuse(&c->set, option,
                             "nodes on other machines would be talked to without encryption, as "
                             "there is none yet; use 127.0.0.1:PORT, or add --insecure");
    }
    return status_of(ST_OK);
}

STATUS config_judge_cluster(struct config *c) {
    ASSERT(c->replicas >= 1 && c->replicas <= REPLICAS_MAX);
    ASSERT(c->advertise[0] != '\0');
    const bool is_proxy = c->role.index == CONFIG_ROLE_PROXY;
    TRY(judge_quorum(c, "write-quorum", c->write_quorum.index));
    TRY(judge_quorum(c, "read-quorum", c->read_quorum.index));
    if (is_proxy && c->join_nodes.count > 0)
        return option_refuse(&c->set, "join", "a proxy is no member; give it --peers LIST");
    if (is_proxy && c->peer_nodes.count == 0)
        return option_refuse(&c->set, "role", "a proxy keeps no data; add the nodes, --peers LIST");
    if (c->peer_nodes.count > 0 && c->join_nodes.count > 0)
        return option_refuse(&c->set, "join",
                             "it is for a cluster that runs, and --peers for one that begins; give "
                             "one of the two");
    TRY(judge_reach(c, "peers", &c->peer_nodes));
    TRY(judge_reach(c, "join", &c->join_nodes));
    if (is_proxy || c->peer_nodes.count + c->join_nodes.count == 0) return status_of(ST_OK);
    return judge_advertise(c);
}
