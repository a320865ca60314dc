#include "cluster/metadata_internal.h"

#include "base/assert.h"

#define TO(state) (1u << (state))

static const uint32_t state_next[MEMBER_STATES] = {
    [MEMBER_JOINING] = TO(MEMBER_ACTIVE) | TO(MEMBER_LEAVING) | TO(MEMBER_DEAD),
    [MEMBER_ACTIVE] = TO(MEMBER_LEAVING) | TO(MEMBER_DEAD),
    [MEMBER_LEAVING] = TO(MEMBER_DEAD),
    [MEMBER_DEAD] = TO(MEMBER_ACTIVE) | TO(MEMBER_JOINING), /* it is back */
};

static bool may_become(const struct metadata_member *member, enum member_state next) {
    ASSERT((uint32_t)member->state < MEMBER_STATES);
    ASSERT((uint32_t)next < MEMBER_STATES);
    return (state_next[member->state] & TO(next)) != 0;
}

static bool host_is_valid(struct bytes host) {
    const bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed) host = bytes_of(host.ptr + 1, host.len - 2);
    for (size_t i = 0; i < host.len; i++) {
        const uint8_t c = host.ptr[i];
        const bool letter = c >= 'a' && c <= 'z';
        const bool digit = c >= '0' && c <= '9';
        const bool mark = c == '.' || c == '-' || c == '_';
        if (!letter && !digit && !mark && !(bracketed && (c == ':' || c == '%'))) return false;
    }
    return host.len > 0;
}

bool member_address_is_valid(struct bytes address) {
    if (address.len >= MEMBER_ADDRESS_BYTES) return false;
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':') colon--;
    if (colon == 0) return false;
    const struct bytes digits = bytes_of(address.ptr + colon, address.len - colon);
    int64_t port = 0; /* its decimal form is the only one */
    if (!status_ok(bytes_to_i64(digits, &port)) || port < 1 || port > UINT16_MAX) return false;
    return host_is_valid(bytes_of(address.ptr, colon - 1));
}

static bool weight_is_valid(uint32_t weight) {
    return weight >= 1 && weight <= RING_WEIGHT_MAX;
}

static void set_address(struct metadata_member *member, struct bytes address) {
    ASSERT(address.len < MEMBER_ADDRESS_BYTES);
    memset(member->address, 0, sizeof member->address);
    if (address.len > 0) memcpy(member->address, address.ptr, address.len);
}

static void put_member(struct metadata *m, uint32_t id, const struct member_wish *w,
                       enum member_state state) {
    ASSERT(m->members_count < MEMBERS_MAX);
    ASSERT(id > m->member_last);
    struct metadata_member *member = &m->members[m->members_count++];
    *member = (struct metadata_member){
        .id = id, .weight = w->weight, .zone = w->zone, .nonce = w->nonce
    };
    member->state = state;
    set_address(member, w->address);
    m->member_last = id;
}

static enum metadata_code check_first(const struct metadata_command *c, uint32_t i) {
    const struct member_wish *w = &c->first[i];
    if (w->id < 1 || w->id > MEMBER_ID_MAX) return META_ID_USED;
    if (i > 0 && w->id <= c->first[i - 1].id) return META_ID_USED;
    if (!weight_is_valid(w->weight)) return META_WEIGHT;
    if (!member_address_is_valid(w->address)) return META_ADDRESS;
    for (uint32_t k = 0; k < i; k++) {
        if (bytes_equal(c->first[k].address, w->address)) return META_ADDRESS_TAKEN;
    }
    return META_OK;
}

static enum metadata_code check_bootstrap(const struct metadata_command *c) {
    static const struct cluster_id none;
    if (memcmp(&c->cluster, &none, sizeof none) == 0) return META_OTHER_CLUSTER;
    bool proposer_is_first = false;
    for (uint32_t i = 0; i < c->first_count; i++) {
        const enum metadata_code code = check_first(c, i);
        if (code != META_OK) return code;
        proposer_is_first |= c->first[i].id == c->proposal.node;
    }
    if (!proposer_is_first) return META_PROPOSER;
    if (!keyspace_settings_are_valid(&c->settings)) return META_SETTINGS;
    if (!keyspace_strict_is_valid(&c->settings)) return META_STRICT_N;
    if (c->replicas < 1 || c->replicas > REPLICAS_MAX) return META_REPLICAS;
    if (c->settings.replication.replicas > c->replicas) return META_COPIES;
    return META_OK;
}

struct metadata_result apply_bootstrap(struct metadata *m, const struct metadata_command *c) {
    ASSERT(c->first_count >= 1);
    ASSERT(c->first_count <= FOUNDERS_MAX);
    if (m->epoch > 0) return metadata_refuse(META_CLUSTER_EXISTS);
    const enum metadata_code code = check_bootstrap(c);
    if (code != META_OK) return metadata_refuse(code);

    m->cluster = c->cluster;
    m->epoch = 1;
    m->replicas = c->replicas;
    for (uint32_t i = 0; i < c->first_count; i++)
        put_member(m, c->first[i].id, &c->first[i], MEMBER_ACTIVE);
    metadata_put_keyspace(m, KEYSPACE_DEFAULT, BYTES_LIT("default"), &c->settings);

    struct ring_inputs inputs;
    struct ring *r = NULL;
    metadata_inputs(m, &inputs);
    m->placed = metadata_inputs_hash(&inputs);
    const struct status placed = ring_create(inputs.members, inputs.count, m->replicas, NULL, &r);
    ASSERT(status_ok(placed)); /* ids, weights and counts have been checked */
    metadata_take_ring(m, r);
    ring_destroy(r);
    return metadata_done(m->epoch);
}

/* Whether someone other than the member at `self` has the address. */
static bool address_is_taken(const struct metadata *m, struct bytes address, uint32_t self) {
    const uint32_t at = metadata_find_address(m, address);
    return at != MEMBER_NONE && at != self;
}

/* How many of the others are there to take slots. */
static uint32_t others_count(const struct metadata *m, uint32_t id) {
    struct ring_inputs inputs;
    metadata_inputs(m, &inputs);
    uint32_t count = 0;
    for (uint32_t i = 0; i < inputs.count; i++) count += inputs.members[i].id != id;
    return count;
}

/* The same data directory asks again, because it has not heard its id. One that has started
 * knew it, so what it had stored of the log is lost, and with it what it has promised. */
static struct metadata_result add_again(struct metadata *m, uint32_t at,
                                        const struct member_wish *w) {
    struct metadata_member *member = &m->members[at];
    if (member->boot > 0) return metadata_refuse(META_BOOT);
    if (address_is_taken(m, w->address, at)) return metadata_refuse(META_ADDRESS_TAKEN);
    set_address(member, w->address);
    return metadata_done(member->id);
}

/* Whether a new data directory may have the address of the member at `at`, whose disk is then
 * gone. It must be the one that the proposer meant: a wish that was long on its way would
 * otherwise kill whoever came after it. */
static enum metadata_code may_replace(const struct metadata *m, uint32_t at,
                                      const struct member_wish *w) {
    const struct metadata_member *old = &m->members[at];
    if (w->nonce == 0 || w->replaces != old->id) return META_ADDRESS_TAKEN;
    if (old->state != MEMBER_DEAD && others_count(m, old->id) == 0) return META_LAST_NODE;
    return META_OK;
}

/* A data directory is one member for ever: a wish that was long on its way must not bring one back
 * that was removed meanwhile (R11). */
static bool is_gone(const struct metadata *m, uint64_t nonce) {
    for (uint32_t i = 0; i < m->gone_count; i++) {
        if (m->gone[i] == nonce) return true;
    }
    return false;
}

static void remember_gone(struct metadata *m, uint64_t nonce) {
    ASSERT(m->gone_count <= METADATA_GONE_MAX);
    if (nonce == 0) return;
    if (m->gone_count == METADATA_GONE_MAX)
        memmove(m->gone, m->gone + 1, --m->gone_count * sizeof m->gone[0]);
    m->gone[m->gone_count++] = nonce;
}

struct metadata_result apply_member_add(struct metadata *m, const struct metadata_command *c) {
    const struct member_wish *w = &c->member;
    if (!member_address_is_valid(w->address)) return metadata_refuse(META_ADDRESS);
    if (!weight_is_valid(w->weight)) return metadata_refuse(META_WEIGHT);
    const uint32_t known = w->nonce != 0 ? metadata_find_nonce(m, w->nonce) : MEMBER_NONE;
    if (known != MEMBER_NONE) return add_again(m, known, w);
    if (w->nonce != 0 && is_gone(m, w->nonce)) return metadata_refuse(META_BOOT);
    const uint32_t taken = metadata_find_address(m, w->address);
    const enum metadata_code code = taken != MEMBER_NONE ? may_replace(m, taken, w) : META_OK;
    if (code != META_OK) return metadata_refuse(code);
    if (w->id != 0 && (w->id <= m->member_last || w->id > MEMBER_ID_MAX))
        return metadata_refuse(META_ID_USED);
    if (m->members_count == MEMBERS_MAX || m->member_last == MEMBER_ID_MAX)
        return metadata_refuse(META_MEMBERS_FULL);
    if (taken != MEMBER_NONE) {
        m->members[taken].state = MEMBER_DEAD;
        set_address(&m->members[taken], BYTES_NONE);
    }
    const uint32_t id = w->id != 0 ? w->id : m->member_last + 1;
    put_member(m, id, w, MEMBER_JOINING);
    return metadata_done(id);
}

static enum metadata_code check_boot(const struct metadata *m, uint32_t at,
                                     const struct member_wish *w) {
    const struct metadata_member *member = &m->members[at];
    if (w->boot <= member->boot) return META_BOOT;
    if (member->nonce != 0 && member->nonce != w->nonce) return META_BOOT;
    if (member->nonce == 0 && w->nonce != 0 &&
        (metadata_find_nonce(m, w->nonce) != MEMBER_NONE || is_gone(m, w->nonce)))
        return META_BOOT;
    if (w->weight != 0 && !weight_is_valid(w->weight)) return META_WEIGHT;
    if (w->address.len == 0) return member->address[0] == 0 ? META_ADDRESS : META_OK;
    if (!member_address_is_valid(w->address)) return META_ADDRESS;
    return address_is_taken(m, w->address, at) ? META_ADDRESS_TAKEN : META_OK;
}

/* With its first start a member tells what a list of addresses could not. */
struct metadata_result apply_member_boot(struct metadata *m, const struct metadata_command *c) {
    const struct member_wish *w = &c->member;
    const uint32_t at = metadata_find_member(m, w->id);
    if (at == MEMBER_NONE) return metadata_refuse(META_NO_MEMBER);
    const enum metadata_code code = check_boot(m, at, w);
    if (code != META_OK) return metadata_refuse(code);
    struct metadata_member *member = &m->members[at];
    if (member->boot == 0 && w->weight != 0) {
        member->weight = w->weight;
        member->zone = w->zone;
    }
    if (w->address.len > 0) set_address(member, w->address);
    member->nonce = w->nonce;
    member->boot = w->boot;
    if (member->state == MEMBER_DEAD)
        member->state = slot_table_has(&m->slots, (uint16_t)at) ? MEMBER_ACTIVE : MEMBER_JOINING;
    return metadata_done(w->boot);
}

struct metadata_result apply_member_weight(struct metadata *m, const struct metadata_command *c) {
    const uint32_t at = metadata_find_member(m, c->member.id);
    if (at == MEMBER_NONE) return metadata_refuse(META_NO_MEMBER);
    if (!weight_is_valid(c->member.weight)) return metadata_refuse(META_WEIGHT);
    m->members[at].weight = c->member.weight;
    return metadata_done(c->member.id);
}

struct metadata_result apply_member_leave(struct metadata *m, const struct metadata_command *c) {
    const uint32_t at = metadata_find_member(m, c->member.id);
    if (at == MEMBER_NONE) return metadata_refuse(META_NO_MEMBER);
    struct metadata_member *member = &m->members[at];
    if (!may_become(member, MEMBER_LEAVING)) return metadata_refuse(META_STATE);
    const uint32_t others = others_count(m, member->id);
    if (others == 0) return metadata_refuse(META_LAST_NODE);
    if (!c->accept_loss && metadata_too_few(m, others)) return metadata_refuse(META_BELOW_N);
    member->state = MEMBER_LEAVING;
    return metadata_done(member->id);
}

struct metadata_result apply_member_dead(struct metadata *m, const struct metadata_command *c) {
    const uint32_t at = metadata_find_member(m, c->member.id);
    if (at == MEMBER_NONE) return metadata_refuse(META_NO_MEMBER);
    struct metadata_member *member = &m->members[at];
    if (!may_become(member, MEMBER_DEAD)) return metadata_refuse(META_STATE);
    if (others_count(m, member->id) == 0) return metadata_refuse(META_LAST_NODE);
    member->state = MEMBER_DEAD;
    return metadata_done(member->id);
}

struct metadata_result apply_member_remove(struct metadata *m, const struct metadata_command *c) {
    const uint32_t at = metadata_find_member(m, c->member.id);
    if (at == MEMBER_NONE) return metadata_refuse(META_NO_MEMBER);
    if (m->members[at].state == MEMBER_ACTIVE) return metadata_refuse(META_STATE);
    if (slot_table_has(&m->slots, (uint16_t)at)) return metadata_refuse(META_HOLDS_SLOTS);
    ASSERT(m->members_count > 1); /* somebody else keeps the slots */
    slot_table_forget(&m->slots, (uint16_t)at);
    remember_gone(m, m->members[at].nonce);
    m->members_count--;
    memmove(&m->members[at], &m->members[at + 1], (m->members_count - at) * sizeof m->members[0]);
    m->members[m->members_count] = (struct metadata_member){ 0 };
    return metadata_done(c->member.id);
}
