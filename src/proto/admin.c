#include "proto/admin.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

void admin_request_init(struct admin_request *q, enum admin_op op) {
    ASSERT(op < ADMIN_OPS);
    *q = (struct admin_request){ .op = op };
}

/* ---- names ---- */

const char *admin_op_name(enum admin_op op) {
    static const char *const names[ADMIN_OPS] = {
        [ADMIN_NODE_ADD] = "node_add",
        [ADMIN_NODE_LEAVE] = "node_leave",
        [ADMIN_NODE_REMOVE] = "node_remove",
        [ADMIN_NODE_WEIGHT] = "node_weight",
        [ADMIN_REPLICAS] = "replicas",
        [ADMIN_LEADER] = "leader",
        [ADMIN_PLAN] = "plan",
        [ADMIN_CHANGE_PAUSE] = "change_pause",
        [ADMIN_CHANGE_RESUME] = "change_resume",
        [ADMIN_CHANGE_THROTTLE] = "change_throttle",
        [ADMIN_CHANGE_CANCEL] = "change_cancel",
        [ADMIN_KEYSPACE_LIST] = "keyspace_list",
        [ADMIN_KEYSPACE_GET] = "keyspace_get",
        [ADMIN_KEYSPACE_PUT] = "keyspace_put",
        [ADMIN_KEYSPACE_DROP] = "keyspace_drop",
    };
    ASSERT(op < ADMIN_OPS);
    ASSERT(names[op] != NULL);
    return names[op];
}

static const struct {
    uint16_t status;
    const char *code;
    const char *text;
} outcomes[ADMIN_OUTCOMES] = {
    [ADMIN_DONE] = { 200, "done", "done" },
    [ADMIN_CREATED] = { 201, "created", "created" },
    [ADMIN_ACCEPTED] = { 202, "accepted", "begun" },
    [ADMIN_REFUSED] = { 400, "refused", "this can never be done" },
    [ADMIN_NO_NODE] = { 404, "no_such_node",
                        "no member has this id or address; GET /v1/cluster lists them" },
    [ADMIN_NO_KEYSPACE] = { 404, "no_such_keyspace",
                            "there is no such keyspace; GET /v1/keyspaces lists them" },
    [ADMIN_NO_CHANGE] = { 409, "no_change", "no change of the ring is running" },
    [ADMIN_CONFLICT] = { 409, "conflict", "this cannot be done as things are" },
    [ADMIN_AT_RISK] = { 409, "at_risk",
                        "copies would be lost; nothing was done. accept_loss=true does it all "
                        "the same" },
    [ADMIN_CONDITION] = { 412, "condition_failed",
                          "the condition does not hold; nothing was changed" },
    [ADMIN_UNAVAILABLE] = { 501, "not_implemented", "this node cannot do it" },
    [ADMIN_BUSY] = { 503, "busy",
                     "the cluster is at work on other requests; nothing was done, try again in a "
                     "moment" },
    [ADMIN_NO_LEADER] = { 503, "no_leader",
                          "nobody leads the cluster just now; nothing was done, try again in a "
                          "moment" },
    [ADMIN_NO_CLUSTER] = { 503, "no_cluster",
                           "this node is in no cluster yet; GET /ready says what it waits for" },
    [ADMIN_STOPPING] = { 503, "stopping", "the node is shutting down; ask another" },
    [ADMIN_TIMEOUT] = { 504, "timeout",
                        "no answer in time: it may or may not have happened; look at "
                        "GET /v1/cluster" },
};

uint16_t admin_outcome_status(enum admin_outcome outcome) {
    ASSERT(outcome < ADMIN_OUTCOMES);
    return outcomes[outcome].status;
}

const char *admin_outcome_code(enum admin_outcome outcome) {
    ASSERT(outcome < ADMIN_OUTCOMES);
    return outcomes[outcome].code;
}

const char *admin_outcome_text(enum admin_outcome outcome) {
    ASSERT(outcome < ADMIN_OUTCOMES);
    return outcomes[outcome].text;
}

/* ---- replies ---- */

void admin_reply_init(struct admin_reply *r, enum admin_outcome outcome) {
    ASSERT(outcome < ADMIN_OUTCOMES);
    *r = (struct admin_reply){ .outcome = outcome };
}

void admin_reply_say(struct admin_reply *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(r->message, sizeof r->message, format, args);
    va_end(args);
    ASSERT(len >= 0);
}

const char *admin_reply_code(const struct admin_reply *r) {
    return r->code != NULL ? r->code : admin_outcome_code(r->outcome);
}

const char *admin_reply_text(const struct admin_reply *r) {
    return r->message[0] != '\0' ? r->message : admin_outcome_text(r->outcome);
}

/* ---- words of a request ---- */

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool is_in(uint8_t c, const char *others) {
    if (c >= '0' && c <= '9') return true;
    if (c >= 'a' && c <= 'z') return true;
    return c != '\0' && strchr(others, c) != NULL;
}

STATUS admin_address_read(struct bytes text, char ret_address[ADMIN_ADDRESS_BYTES]) {
    char address[ADMIN_ADDRESS_BYTES];
    uint64_t port = 0;
    if (text.len == 0 || text.len >= ADMIN_ADDRESS_BYTES) return status_of(ST_INVALID);
    if (memchr(text.ptr, '\0', text.len) != NULL) return status_of(ST_INVALID);
    for (size_t i = 0; i < text.len; i++) address[i] = (char)lower(text.ptr[i]);
    address[text.len] = '\0';
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) return status_of(ST_INVALID);
    if (strlen(colon + 1) > 5) return status_of(ST_INVALID);
    TRY(bytes_to_u64(bytes_of_string(colon + 1), &port));
    if (port == 0 || port > UINT16_MAX || colon[1] == '0') return status_of(ST_INVALID);

    struct bytes host = bytes_of(address, (size_t)(colon - address));
    const bool v6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (v6) host = bytes_of(host.ptr + 1, host.len - 2);
    if (host.ptr[0] == '-') return status_of(ST_INVALID); /* it would be an option somewhere */
    for (size_t i = 0; i < host.len; i++) {
        if (!is_in(host.ptr[i], v6 ? ":." : ".-_")) return status_of(ST_INVALID);
    }
    memcpy(ret_address, address, text.len + 1);
    return status_of(ST_OK);
}

STATUS admin_node_read(struct bytes text, struct admin_request *q) {
    uint64_t id = 0;
    if (!status_ok(bytes_to_u64(text, &id))) return admin_address_read(text, q->address);
    if (id == 0 || id > UINT32_MAX) return status_of(ST_INVALID);
    q->node = (uint32_t)id;
    return status_of(ST_OK);
}

STATUS admin_keyspace_name_read(struct bytes text, struct admin_request *q) {
    if (text.len == 0 || text.len > KEYSPACE_NAME_BYTES_MAX) return status_of(ST_INVALID);
    for (size_t i = 0; i < text.len; i++) {
        if (!is_in(text.ptr[i], "_-")) return status_of(ST_INVALID);
    }
    memcpy(q->keyspace, text.ptr, text.len);
    q->keyspace[text.len] = '\0';
    return status_of(ST_OK);
}

/* ---- checking ---- */

static bool text_fits(const char *text, size_t room) {
    return memchr(text, '\0', room) != NULL;
}

/* What the op cannot do without. */
static bool has_subject(const struct admin_request *q) {
    const bool names_node = q->node != 0 || q->address[0] != '\0';
    switch (q->op) {
    case ADMIN_NODE_ADD: return q->address[0] != '\0';
    case ADMIN_NODE_WEIGHT: return names_node && (q->given & ADMIN_HAS_WEIGHT) != 0;
    case ADMIN_NODE_LEAVE:
    case ADMIN_NODE_REMOVE:
    case ADMIN_LEADER: return names_node;
    case ADMIN_REPLICAS: return (q->given & ADMIN_HAS_REPLICAS) != 0;
    case ADMIN_CHANGE_THROTTLE: return (q->given & ADMIN_HAS_RATE) != 0;
    case ADMIN_KEYSPACE_GET:
    case ADMIN_KEYSPACE_PUT:
    case ADMIN_KEYSPACE_DROP: return q->keyspace[0] != '\0';
    case ADMIN_PLAN: break;
    default: return true;
    }
    switch (q->plan_of) {
    case ADMIN_PLAN_NOW: return true;
    case ADMIN_PLAN_JOIN: return q->address[0] != '\0';
    case ADMIN_PLAN_LEAVE: return names_node;
    case ADMIN_PLAN_WEIGHT: return names_node && (q->given & ADMIN_HAS_WEIGHT) != 0;
    case ADMIN_PLAN_REPLICAS: return (q->given & ADMIN_HAS_REPLICAS) != 0;
    default: return false;
    }
}

static bool settings_check(const struct admin_request *q) {
    const bool names_copies = (q->given & ADMIN_HAS_REPLICAS) != 0;
    const uint8_t limit = names_copies ? q->replicas : REPLICAS_MAX;
    if (names_copies && (q->replicas < 1 || q->replicas > REPLICAS_MAX)) return false;
    if (q->write_quorum > limit || q->read_quorum > limit) return false;
    if (q->discipline != ADMIN_EVENTUAL && q->discipline != ADMIN_STRICT) return false;
    return q->ttl_ms <= ADMIN_TTL_MS_MAX;
}

bool admin_request_check(const struct admin_request *q) {
    if ((uint32_t)q->op >= ADMIN_OPS) return false;
    if (!text_fits(q->address, sizeof q->address)) return false;
    if (!text_fits(q->keyspace, sizeof q->keyspace)) return false;
    if ((q->given & ADMIN_HAS_WEIGHT) != 0 && (q->weight < 1 || q->weight > ADMIN_WEIGHT_MAX))
        return false;
    if ((uint32_t)q->presence > ADMIN_THERE) return false;
    return has_subject(q) && settings_check(q);
}
