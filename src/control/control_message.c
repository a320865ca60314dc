#include "control/control_message.h"

#include "base/assert.h"
#include "proto/peer.h"

static_assert(CONTROL_MESSAGE_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX, "a message fits a frame");
static_assert(MEMBER_ADDRESS_BYTES - 1 <= UINT8_MAX, "a length of an address is a byte");
static_assert((uint32_t)META_CODES <= UINT8_MAX, "a code is a byte");

static const struct cluster_id no_cluster;

static bool is_none(const struct cluster_id *id) {
    return memcmp(id, &no_cluster, sizeof no_cluster) == 0;
}

static void put_cluster(struct buffer *out, const struct cluster_id *id) {
    buffer_append(out, bytes_of(id->bytes, CLUSTER_ID_BYTES));
}

static void take_cluster(struct cursor *c, struct cluster_id *ret_id) {
    const struct bytes id = cursor_take(c, CLUSTER_ID_BYTES);
    if (id.len > 0) memcpy(ret_id->bytes, id.ptr, CLUSTER_ID_BYTES);
}

static void put_address(struct buffer *out, struct bytes address) {
    ASSERT(address.len < MEMBER_ADDRESS_BYTES);
    buffer_append_u8(out, (uint8_t)address.len);
    buffer_append(out, address);
}

static struct bytes take_address(struct cursor *c) {
    const uint8_t len = cursor_u8(c);
    if (len >= MEMBER_ADDRESS_BYTES) c->failed = true;
    return cursor_take(c, len);
}

static uint32_t take_id(struct cursor *c) {
    const uint32_t id = cursor_u32_le(c);
    if (id == 0) c->failed = true;
    return id;
}

static void put_who(struct buffer *out, const struct control_who *w) {
    buffer_append_u8(out, (uint8_t)w->person);
    put_cluster(out, &w->cluster);
    buffer_append_u32_le(out, w->member);
    buffer_append_u64_le(out, w->list);
    buffer_append_u64_le(out, w->nonce);
    put_address(out, w->address);
}

/* What a node says of itself must make sense: others decide by it whether to begin. */
static void take_who(struct cursor *c, struct control_who *w) {
    w->person = (enum control_person)cursor_u8_below(c, CONTROL_PERSONS);
    take_cluster(c, &w->cluster);
    w->member = cursor_u32_le(c);
    w->list = cursor_u64_le(c);
    w->nonce = cursor_u64_le(c);
    w->address = take_address(c);
    const bool in_group = w->person == CONTROL_PERSON_BEGUN || w->person == CONTROL_PERSON_MEMBER;
    if (is_none(&w->cluster) != (w->person != CONTROL_PERSON_MEMBER)) c->failed = true;
    if ((w->member != 0) != in_group) c->failed = true;
    if ((w->nonce == 0) != (w->address.len == 0)) c->failed = true;
    if (w->nonce == 0 && w->person != CONTROL_PERSON_OTHER) c->failed = true;
}

static void put_report(struct buffer *out, const struct control_report *r) {
    buffer_append_u32_le(out, r->boot);
    buffer_append_u64_le(out, r->epoch_adopted);
    buffer_append_u64_le(out, r->epoch_caught_up);
    buffer_append_u64_le(out, r->load.sent);
    buffer_append_u64_le(out, r->load.received);
    buffer_append_u64_le(out, r->load.held);
    buffer_append_u64_le(out, r->load.keys);
    buffer_append_u64_le(out, r->load.disk_free);
}

static void take_report(struct cursor *c, struct control_report *r) {
    r->boot = cursor_u32_le(c);
    r->epoch_adopted = cursor_u64_le(c);
    r->epoch_caught_up = cursor_u64_le(c);
    r->load.sent = cursor_u64_le(c);
    r->load.received = cursor_u64_le(c);
    r->load.held = cursor_u64_le(c);
    r->load.keys = cursor_u64_le(c);
    r->load.disk_free = cursor_u64_le(c);
    if (r->epoch_caught_up > r->epoch_adopted) c->failed = true;
}

static void put_contacts(struct buffer *out, const struct control_message *m) {
    ASSERT(m->contact_count >= 1 && m->contact_count <= CONTROL_CONTACTS_MAX);
    buffer_append_u8(out, (uint8_t)m->contact_count);
    for (uint32_t i = 0; i < m->contact_count; i++) {
        buffer_append_u32_le(out, m->contacts[i].member);
        put_address(out, m->contacts[i].address);
    }
}

static void take_contacts(struct cursor *c, struct control_message *m) {
    const uint32_t count = cursor_u8(c);
    if (count < 1 || count > CONTROL_CONTACTS_MAX) c->failed = true;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        m->contacts[i].member = take_id(c);
        m->contacts[i].address = take_address(c);
        if (m->contacts[i].address.len == 0) c->failed = true;
    }
    m->contact_count = c->failed ? 0 : count;
}

static void put_progress(struct buffer *out, const struct control_message *m) {
    ASSERT(m->report_count <= CONTROL_REPORTS_MAX);
    buffer_append_u8(out, (uint8_t)m->report_count);
    for (uint32_t i = 0; i < m->report_count; i++) {
        buffer_append_u32_le(out, m->reports[i].member);
        buffer_append_u32_le(out, m->reports[i].age_ms);
        put_report(out, &m->reports[i]);
    }
}

static void take_progress(struct cursor *c, struct control_message *m) {
    const uint32_t count = cursor_u8(c);
    if (count > CONTROL_REPORTS_MAX) c->failed = true;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        m->reports[i].member = take_id(c);
        m->reports[i].age_ms = cursor_u32_le(c);
        take_report(c, &m->reports[i]);
        if (i > 0 && m->reports[i].member <= m->reports[i - 1].member) c->failed = true;
    }
    m->report_count = c->failed ? 0 : count;
}

static void put_carry(struct buffer *out, uint32_t sender, uint32_t member) {
    ASSERT(sender != 0);
    ASSERT(sender != member);
    buffer_append_u32_le(out, sender);
    buffer_append_u32_le(out, member);
}

void control_message_wrap(uint32_t sender, uint32_t member, struct bytes message,
                          struct buffer *out) {
    ASSERT(message.len >= 1);
    ASSERT(message.len <= CONTROL_CARRIED_BYTES_MAX);
    buffer_append_u8(out, CONTROL_CARRY);
    put_carry(out, sender, member);
    buffer_append(out, message);
}

void control_message_encode(const struct control_message *m, struct buffer *out) {
    ASSERT(m->kind >= CONTROL_RAFT && m->kind < CONTROL_KINDS);
    buffer_append_u8(out, (uint8_t)m->kind);
    switch (m->kind) {
    case CONTROL_RAFT: put_cluster(out, &m->cluster); break;
    case CONTROL_WHO: put_who(out, &m->who); break;
    case CONTROL_I_AM:
        put_who(out, &m->who);
        buffer_append_u8(out, (uint8_t)m->yours);
        break;
    case CONTROL_JOIN:
        buffer_append_u32_le(out, m->weight);
        buffer_append_u32_le(out, m->zone);
        buffer_append_u64_le(out, m->nonce);
        put_address(out, m->address);
        break;
    case CONTROL_JOINED:
        put_cluster(out, &m->cluster);
        buffer_append_u32_le(out, m->member);
        buffer_append_u64_le(out, m->nonce);
        put_contacts(out, m);
        break;
    case CONTROL_JOIN_REFUSED:
        buffer_append_u64_le(out, m->nonce);
        buffer_append_u8(out, (uint8_t)m->code);
        break;
    case CONTROL_PROPOSE: break;
    case CONTROL_REPORT: put_report(out, &m->reports[0]); break;
    case CONTROL_PROGRESS: put_progress(out, m); break;
    case CONTROL_NEWS_WANTED: buffer_append_u64_le(out, m->revision); break;
    case CONTROL_METADATA_WANTED:
    case CONTROL_METADATA:
        put_cluster(out, &m->cluster);
        buffer_append_u64_le(out, m->revision);
        break;
    case CONTROL_REMOVED:
        put_cluster(out, &m->cluster);
        buffer_append_u32_le(out, m->member);
        break;
    case CONTROL_TRANSFER: buffer_append_u32_le(out, m->member); break;
    case CONTROL_CARRY: put_carry(out, m->sender, m->member); break;
    case CONTROL_KINDS: ASSERT(false);
    }
    buffer_append(out, m->bytes);
}

static void take_fields(struct cursor *c, struct control_message *m) {
    switch (m->kind) {
    case CONTROL_RAFT: take_cluster(c, &m->cluster); break;
    case CONTROL_WHO: take_who(c, &m->who); break;
    case CONTROL_I_AM:
        take_who(c, &m->who);
        m->yours = (enum control_yours)cursor_u8_below(c, CONTROL_YOURS_COUNT);
        break;
    case CONTROL_JOIN:
        m->weight = cursor_u32_le(c);
        m->zone = cursor_u32_le(c);
        m->nonce = cursor_u64_le(c);
        m->address = take_address(c);
        if (m->nonce == 0 || m->address.len == 0) c->failed = true;
        break;
    case CONTROL_JOINED:
        take_cluster(c, &m->cluster);
        m->member = take_id(c);
        m->nonce = cursor_u64_le(c);
        take_contacts(c, m);
        if (m->nonce == 0 || is_none(&m->cluster)) c->failed = true;
        break;
    case CONTROL_JOIN_REFUSED:
        m->nonce = cursor_u64_le(c);
        m->code = (enum metadata_code)cursor_u8_below(c, META_CODES);
        if (m->nonce == 0 || m->code == META_OK) c->failed = true;
        break;
    case CONTROL_PROPOSE: break;
    case CONTROL_REPORT:
        take_report(c, &m->reports[0]);
        m->report_count = 1;
        break;
    case CONTROL_PROGRESS: take_progress(c, m); break;
    case CONTROL_NEWS_WANTED: m->revision = cursor_u64_le(c); break;
    case CONTROL_METADATA_WANTED: /* one that has a state names its cluster */
        take_cluster(c, &m->cluster);
        m->revision = cursor_u64_le(c);
        if (is_none(&m->cluster) != (m->revision == 0)) c->failed = true;
        break;
    case CONTROL_METADATA:
        take_cluster(c, &m->cluster);
        m->revision = cursor_u64_le(c);
        if (is_none(&m->cluster) || m->revision == 0) c->failed = true;
        break;
    case CONTROL_REMOVED:
        take_cluster(c, &m->cluster);
        m->member = take_id(c);
        if (is_none(&m->cluster)) c->failed = true;
        break;
    case CONTROL_TRANSFER: m->member = take_id(c); break;
    case CONTROL_CARRY:
        m->sender = take_id(c);
        m->member = cursor_u32_le(c);
        if (m->sender == m->member) c->failed = true;
        break;
    case CONTROL_KINDS: c->failed = true;
    }
}

/* How many bytes may follow the fields. */
static size_t tail_max(enum control_kind kind) {
    if (kind == CONTROL_RAFT) return RAFT_MESSAGE_BYTES_MAX;
    if (kind == CONTROL_PROPOSE) return METADATA_COMMAND_BYTES_MAX;
    if (kind == CONTROL_METADATA) return METADATA_SNAPSHOT_BYTES_MAX;
    if (kind == CONTROL_CARRY) return CONTROL_CARRIED_BYTES_MAX;
    return 0;
}

STATUS control_message_decode(struct bytes in, struct control_message *ret_message) {
    struct cursor c = cursor_of(in);
    const uint8_t kind = cursor_u8(&c);
    if (c.failed || kind < CONTROL_RAFT || kind >= CONTROL_KINDS) return status_of(ST_CORRUPT);
    memset(ret_message, 0, CONTROL_MESSAGE_CLEARED);
    ret_message->kind = (enum control_kind)kind;
    take_fields(&c, ret_message);
    if (c.failed || c.rest.len > tail_max(ret_message->kind)) return status_of(ST_CORRUPT);
    const bool empty = c.rest.len == 0;
    const bool filled = kind == CONTROL_RAFT || kind == CONTROL_PROPOSE || kind == CONTROL_CARRY;
    if (empty && filled) return status_of(ST_CORRUPT);
    if (!empty) ret_message->bytes = c.rest;
    return status_of(ST_OK);
}
