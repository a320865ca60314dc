#include "cluster/metadata_command.h"

#include "base/assert.h"

#define FLAG_ACCEPT_LOSS 1u
#define MEMBER_BYTES_MAX (12u + 1 + MEMBER_ADDRESS_BYTES)
#define TARGET_BYTES 12u /* of a member that is to have slots */

static_assert(MEMBER_ADDRESS_BYTES - 1 <= UINT8_MAX, "a length of an address is a byte");
static_assert(METADATA_COMMAND_HEADER_BYTES + 16 + FOUNDERS_MAX * MEMBER_BYTES_MAX <=
                  METADATA_COMMAND_BYTES_MAX,
              "a bootstrap fits");
static_assert(METADATA_COMMAND_HEADER_BYTES + 20 + MEMBERS_MAX * TARGET_BYTES <=
                  METADATA_COMMAND_BYTES_MAX,
              "all members fit");
static_assert(METADATA_COMMAND_HEADER_BYTES + 10 + SLOT_RANGES_MAX * 4 <=
                  METADATA_COMMAND_BYTES_MAX,
              "every other slot fits");
static_assert(MEMBERS_MAX <= UINT16_MAX, "counts of members are 16 bits");

const char *change_reason_name(enum change_reason reason) {
    static const char *const names[CHANGE_REASONS] = {
        [CHANGE_JOIN] = "join",     [CHANGE_LEAVE] = "leave",       [CHANGE_EVICT] = "evict",
        [CHANGE_WEIGHT] = "weight", [CHANGE_REPLICAS] = "replicas", [CHANGE_BALANCE] = "balance",
    };
    ASSERT((uint32_t)reason < CHANGE_REASONS);
    return names[reason];
}

static void put_run(struct buffer *out, struct bytes run, size_t max) {
    ASSERT(run.len <= max);
    ASSERT(max <= UINT8_MAX);
    buffer_append_u8(out, (uint8_t)run.len);
    buffer_append(out, run);
}

static struct bytes take_run(struct cursor *c, size_t max) {
    const uint8_t len = cursor_u8(c);
    if (len > max) c->failed = true;
    return cursor_take(c, len);
}

void keyspace_settings_encode(const struct keyspace_settings *s, struct buffer *out) {
    buffer_append_u8(out, s->replication.replicas);
    buffer_append_u8(out, s->replication.write_quorum);
    buffer_append_u8(out, s->replication.read_quorum);
    buffer_append_u8(out, (uint8_t)s->discipline);
    buffer_append_u64_le(out, s->ttl_ms);
}

void keyspace_settings_take(struct cursor *c, struct keyspace_settings *ret_settings) {
    struct keyspace_settings s = { 0 };
    s.replication.replicas = cursor_u8(c);
    s.replication.write_quorum = cursor_u8(c);
    s.replication.read_quorum = cursor_u8(c);
    s.discipline = (enum keyspace_discipline)cursor_u8_below(c, KEYSPACE_DISCIPLINES);
    s.ttl_ms = cursor_u64_le(c);
    *ret_settings = s;
}

static void put_wish(struct buffer *out, const struct member_wish *w) {
    buffer_append_u32_le(out, w->id);
    buffer_append_u32_le(out, w->weight);
    buffer_append_u32_le(out, w->zone);
    put_run(out, w->address, MEMBER_ADDRESS_BYTES - 1);
}

static void take_wish(struct cursor *c, struct member_wish *ret_wish) {
    ret_wish->id = cursor_u32_le(c);
    ret_wish->weight = cursor_u32_le(c);
    ret_wish->zone = cursor_u32_le(c);
    ret_wish->address = take_run(c, MEMBER_ADDRESS_BYTES - 1);
}

/* A count of members: 1..max, or 0 and the cursor fails. */
static uint32_t take_members_count(struct cursor *c, uint32_t max) {
    const uint32_t count = cursor_u16_le(c);
    if (count >= 1 && count <= max) return count;
    c->failed = true;
    return 0;
}

static void put_bootstrap(const struct metadata_command *m, struct buffer *out) {
    ASSERT(m->first_count >= 1 && m->first_count <= FOUNDERS_MAX);
    ASSERT(m->replicas <= UINT8_MAX);
    keyspace_settings_encode(&m->settings, out);
    buffer_append_u8(out, (uint8_t)m->replicas);
    buffer_append_u16_le(out, m->first_count);
    for (uint32_t i = 0; i < m->first_count; i++) put_wish(out, &m->first[i]);
}

static void take_bootstrap(struct cursor *c, struct metadata_command *m) {
    keyspace_settings_take(c, &m->settings);
    m->replicas = cursor_u8(c);
    m->first_count = take_members_count(c, FOUNDERS_MAX);
    for (uint32_t i = 0; i < m->first_count; i++) {
        take_wish(c, &m->first[i]);
        if (i > 0 && m->first[i].id <= m->first[i - 1].id) c->failed = true;
    }
}

static void put_target(const struct metadata_command *m, struct buffer *out) {
    const struct ring_inputs *t = &m->target;
    ASSERT(t->count >= 1 && t->count <= MEMBERS_MAX);
    ASSERT(t->replicas <= UINT8_MAX);
    buffer_append_u8(out, (uint8_t)m->reason);
    buffer_append_u8(out, (uint8_t)t->replicas);
    buffer_append_u16_le(out, t->count);
    buffer_append_u64_le(out, m->started_ms);
    buffer_append_u64_le(out, m->throttle);
    for (uint32_t i = 0; i < t->count; i++) {
        buffer_append_u32_le(out, t->members[i].id);
        buffer_append_u32_le(out, t->members[i].weight);
        buffer_append_u32_le(out, t->members[i].zone);
    }
}

static void take_target(struct cursor *c, struct metadata_command *m) {
    struct ring_inputs *t = &m->target;
    m->reason = (enum change_reason)cursor_u8_below(c, CHANGE_REASONS);
    t->replicas = cursor_u8(c);
    t->count = take_members_count(c, MEMBERS_MAX);
    m->started_ms = cursor_u64_le(c);
    m->throttle = cursor_u64_le(c);
    for (uint32_t i = 0; i < t->count; i++) {
        t->members[i].id = cursor_u32_le(c);
        t->members[i].weight = cursor_u32_le(c);
        t->members[i].zone = cursor_u32_le(c);
        if (i > 0 && t->members[i].id <= t->members[i - 1].id) c->failed = true;
    }
}

static void put_ranges(const struct metadata_command *m, struct buffer *out) {
    ASSERT(m->ranges.count >= 1 && m->ranges.count <= SLOT_RANGES_MAX);
    ASSERT(m->ranges.packed.len == m->ranges.count * UINT64_C(4));
    buffer_append_u64_le(out, m->change);
    buffer_append_u16_le(out, m->ranges.count);
    buffer_append(out, m->ranges.packed);
}

static void take_ranges(struct cursor *c, struct metadata_command *m) {
    struct slot_ranges *r = &m->ranges;
    m->change = cursor_u64_le(c);
    r->count = cursor_u16_le(c);
    if (r->count < 1 || r->count > SLOT_RANGES_MAX) c->failed = true;
    r->packed = cursor_take(c, r->count * UINT64_C(4));
    if (c->failed) return;
    uint32_t free_from = 0; /* the first slot the next range may begin at */
    for (uint32_t i = 0; i < r->count && !c->failed; i++) {
        const uint32_t first = slot_ranges_first(r, i);
        const uint32_t last = slot_ranges_last(r, i);
        if (first < free_from || last < first || last >= RING_SLOTS) c->failed = true;
        free_from = last + 2;
    }
}

static void put_payload(const struct metadata_command *m, struct buffer *out) {
    switch (m->kind) {
    case METADATA_BOOTSTRAP: put_bootstrap(m, out); break;
    case METADATA_MEMBER_ADD:
        buffer_append_u32_le(out, m->member.replaces);
        buffer_append_u64_le(out, m->member.nonce);
        put_wish(out, &m->member);
        break;
    case METADATA_MEMBER_BOOT:
        buffer_append_u32_le(out, m->member.boot);
        buffer_append_u64_le(out, m->member.nonce);
        put_wish(out, &m->member);
        break;
    case METADATA_MEMBER_WEIGHT:
        buffer_append_u32_le(out, m->member.id);
        buffer_append_u32_le(out, m->member.weight);
        break;
    case METADATA_MEMBER_LEAVE:
    case METADATA_MEMBER_DEAD:
    case METADATA_MEMBER_REMOVE: buffer_append_u32_le(out, m->member.id); break;
    case METADATA_KEYSPACE_CREATE:
        keyspace_settings_encode(&m->settings, out);
        put_run(out, m->name, KEYSPACE_NAME_BYTES_MAX);
        break;
    case METADATA_KEYSPACE_ALTER:
    case METADATA_KEYSPACE_WIDEN:
        buffer_append_u16_le(out, m->keyspace);
        keyspace_settings_encode(&m->settings, out);
        break;
    case METADATA_KEYSPACE_DROP: buffer_append_u16_le(out, m->keyspace); break;
    case METADATA_CHANGE_BEGIN: put_target(m, out); break;
    case METADATA_SLOTS_JOINT:
    case METADATA_SLOTS_NEW: put_ranges(m, out); break;
    case METADATA_CHANGE_THROTTLE:
        buffer_append_u64_le(out, m->change);
        buffer_append_u64_le(out, m->throttle);
        break;
    case METADATA_CHANGE_PAUSE:
    case METADATA_CHANGE_RESUME:
    case METADATA_CHANGE_CANCEL: buffer_append_u64_le(out, m->change); break;
    case METADATA_REPLICAS:
        ASSERT(m->replicas <= UINT8_MAX);
        buffer_append_u8(out, (uint8_t)m->replicas);
        break;
    case METADATA_KINDS: ASSERT(false);
    }
}

static void take_payload(struct cursor *c, struct metadata_command *m) {
    switch (m->kind) {
    case METADATA_BOOTSTRAP: take_bootstrap(c, m); break;
    case METADATA_MEMBER_ADD:
        m->member.replaces = cursor_u32_le(c);
        m->member.nonce = cursor_u64_le(c);
        take_wish(c, &m->member);
        break;
    case METADATA_MEMBER_BOOT:
        m->member.boot = cursor_u32_le(c);
        m->member.nonce = cursor_u64_le(c);
        take_wish(c, &m->member);
        break;
    case METADATA_MEMBER_WEIGHT:
        m->member.id = cursor_u32_le(c);
        m->member.weight = cursor_u32_le(c);
        break;
    case METADATA_MEMBER_LEAVE:
    case METADATA_MEMBER_DEAD:
    case METADATA_MEMBER_REMOVE: m->member.id = cursor_u32_le(c); break;
    case METADATA_KEYSPACE_CREATE:
        keyspace_settings_take(c, &m->settings);
        m->name = take_run(c, KEYSPACE_NAME_BYTES_MAX);
        break;
    case METADATA_KEYSPACE_ALTER:
    case METADATA_KEYSPACE_WIDEN:
        m->keyspace = cursor_u16_le(c);
        keyspace_settings_take(c, &m->settings);
        break;
    case METADATA_KEYSPACE_DROP: m->keyspace = cursor_u16_le(c); break;
    case METADATA_CHANGE_BEGIN: take_target(c, m); break;
    case METADATA_SLOTS_JOINT:
    case METADATA_SLOTS_NEW: take_ranges(c, m); break;
    case METADATA_CHANGE_THROTTLE:
        m->change = cursor_u64_le(c);
        m->throttle = cursor_u64_le(c);
        break;
    case METADATA_CHANGE_PAUSE:
    case METADATA_CHANGE_RESUME:
    case METADATA_CHANGE_CANCEL: m->change = cursor_u64_le(c); break;
    case METADATA_REPLICAS: m->replicas = cursor_u8(c); break;
    case METADATA_KINDS: c->failed = true;
    }
}

static bool kind_takes_accept_loss(enum metadata_kind kind) {
    return kind == METADATA_MEMBER_LEAVE || kind == METADATA_CHANGE_BEGIN;
}

void metadata_command_encode(const struct metadata_command *m, struct buffer *out) {
    ASSERT(m->kind >= METADATA_BOOTSTRAP && m->kind < METADATA_KINDS);
    ASSERT(!m->accept_loss || kind_takes_accept_loss(m->kind));
    const size_t len_before = buffer_len(out);
    buffer_append_u16_le(out, METADATA_COMMAND_VERSION);
    buffer_append_u8(out, (uint8_t)m->kind);
    buffer_append_u8(out, m->accept_loss ? FLAG_ACCEPT_LOSS : 0);
    buffer_append_u32_le(out, m->proposal.node);
    buffer_append_u64_le(out, m->proposal.sequence);
    buffer_append(out, bytes_of(m->cluster.bytes, CLUSTER_ID_BYTES));
    put_payload(m, out);
    ASSERT(buffer_len(out) - len_before <= METADATA_COMMAND_BYTES_MAX);
}

STATUS metadata_command_decode(struct bytes in, struct metadata_command *ret_command) {
    struct cursor c = cursor_of(in);
    const uint16_t version = cursor_u16_le(&c);
    const uint8_t kind = cursor_u8(&c);
    if (c.failed) return status_of(ST_CORRUPT);
    if (version != METADATA_COMMAND_VERSION) return status_of(ST_INVALID);
    if (kind >= METADATA_KINDS) return status_of(ST_INVALID);
    if (kind < METADATA_BOOTSTRAP || in.len > METADATA_COMMAND_BYTES_MAX)
        return status_of(ST_CORRUPT);

    struct metadata_command m = { .kind = (enum metadata_kind)kind };
    const uint8_t flags = cursor_u8(&c);
    m.accept_loss = (flags & FLAG_ACCEPT_LOSS) != 0;
    m.proposal.node = cursor_u32_le(&c);
    m.proposal.sequence = cursor_u64_le(&c);
    const struct bytes cluster = cursor_take(&c, CLUSTER_ID_BYTES);
    if (c.failed) return status_of(ST_CORRUPT);
    memcpy(m.cluster.bytes, cluster.ptr, CLUSTER_ID_BYTES);
    if ((flags & ~FLAG_ACCEPT_LOSS) != 0) return status_of(ST_CORRUPT);
    if (m.accept_loss && !kind_takes_accept_loss(m.kind)) return status_of(ST_CORRUPT);
    if (m.proposal.sequence == 0) return status_of(ST_CORRUPT);

    take_payload(&c, &m);
    if (!cursor_done(&c)) return status_of(ST_CORRUPT);
    *ret_command = m;
    return status_of(ST_OK);
}
