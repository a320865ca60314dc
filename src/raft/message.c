#include "raft/message.h"

#include "base/assert.h"
#include "base/cursor.h"

#define FLAG_REFUSED 1u
#define FLAG_TRANSFER 2u

static_assert(RAFT_MESSAGE_BYTES_MAX >=
                  RAFT_MESSAGE_HEADER_BYTES + 44u + RAFT_CONFIG_BYTES_MAX + RAFT_CHUNK_BYTES_MAX,
              "the longest SNAPSHOT is not longer than the longest APPEND");

static uint8_t flags_allowed(enum raft_message_kind kind) {
    switch (kind) {
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY:
    case RAFT_APPEND_REPLY: return FLAG_REFUSED;
    case RAFT_VOTE: return FLAG_TRANSFER;
    default: return 0;
    }
}

/* An entry whose predecessor has `term_before`, in a message of term `term_max`. */
static bool entry_is_sound(const struct raft_entry *e, uint64_t term_before, uint64_t term_max) {
    struct raft_change change;
    if (e->term < 1 || e->term < term_before || e->term > term_max) return false;
    if (e->data.len > RAFT_ENTRY_BYTES_MAX) return false;
    switch (e->kind) {
    case RAFT_ENTRY_EMPTY: return e->data.len == 0;
    case RAFT_ENTRY_DATA: return true;
    case RAFT_ENTRY_CONFIG: return status_ok(raft_change_decode(e->data, &change));
    }
    return false;
}

static bool append_is_sound(const struct raft_message *m) {
    uint64_t term = m->log_term;
    uint64_t bytes = 0;
    if ((m->index == 0) != (m->log_term == 0)) return false;
    if (m->log_term > m->term || m->entry_count > RAFT_MESSAGE_ENTRIES_MAX) return false;
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        if (e->index != m->index + 1 + i || !entry_is_sound(e, term, m->term)) return false;
        term = e->term;
        if (i > 0) bytes += e->data.len;
    }
    return bytes <= RAFT_BATCH_BYTES_MAX;
}

static bool snapshot_is_sound(const struct raft_message *m) {
    struct raft_config config;
    if (m->index == 0 || m->log_term == 0 || m->log_term > m->term) return false;
    if (m->data.len > RAFT_CHUNK_BYTES_MAX || m->total > RAFT_SNAPSHOT_BYTES_MAX) return false;
    if (m->offset > m->total || m->data.len > m->total - m->offset) return false;
    return status_ok(raft_config_decode(m->config, &config));
}

bool raft_message_check(const struct raft_message *m) {
    if (m->kind < RAFT_PRE_VOTE || m->kind >= RAFT_MESSAGE_KINDS) return false;
    if (m->from == 0 || m->to == 0 || m->from == m->to) return false;
    if (m->term == 0 || m->term > RAFT_INDEX_MAX || m->index > RAFT_INDEX_MAX) return false;
    const uint32_t flags = (m->refused ? FLAG_REFUSED : 0) | (m->transfer ? FLAG_TRANSFER : 0);
    if ((flags & ~(uint32_t)flags_allowed(m->kind)) != 0) return false;
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE: return (m->index == 0) == (m->log_term == 0) && m->log_term < m->term;
    case RAFT_APPEND: return append_is_sound(m);
    case RAFT_APPEND_REPLY:
        if (!m->refused) return m->log_term == 0 && m->hint == 0;
        return m->hint <= RAFT_INDEX_MAX && m->log_term <= m->term;
    case RAFT_SNAPSHOT: return snapshot_is_sound(m);
    case RAFT_SNAPSHOT_REPLY: return m->index > 0 && m->offset <= RAFT_SNAPSHOT_BYTES_MAX;
    default: return true;
    }
}

static void encode_append(const struct raft_message *m, struct buffer *out) {
    buffer_append_u64_le(out, m->index);
    buffer_append_u64_le(out, m->log_term);
    buffer_append_u64_le(out, m->commit);
    buffer_append_u32_le(out, m->entry_count);
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        buffer_append_u64_le(out, e->term);
        buffer_append_u8(out, (uint8_t)e->kind);
        buffer_append_u32_le(out, (uint32_t)e->data.len);
        buffer_append(out, e->data);
    }
}

static void encode_snapshot(const struct raft_message *m, struct buffer *out) {
    buffer_append_u64_le(out, m->index);
    buffer_append_u64_le(out, m->log_term);
    buffer_append_u64_le(out, m->offset);
    buffer_append_u64_le(out, m->total);
    buffer_append_u32_le(out, m->checksum);
    buffer_append_u32_le(out, (uint32_t)m->config.len);
    buffer_append_u32_le(out, (uint32_t)m->data.len);
    buffer_append(out, m->config);
    buffer_append(out, m->data);
}

void raft_message_encode(const struct raft_message *m, struct buffer *out) {
    ASSERT(raft_message_check(m));
    buffer_append_u8(out, RAFT_MESSAGE_VERSION);
    buffer_append_u8(out, (uint8_t)m->kind);
    buffer_append_u8(out, (m->refused ? FLAG_REFUSED : 0) | (m->transfer ? FLAG_TRANSFER : 0));
    buffer_append_u8(out, 0);
    buffer_append_u32_le(out, m->from);
    buffer_append_u32_le(out, m->to);
    buffer_append_u64_le(out, m->term);
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE:
        buffer_append_u64_le(out, m->index);
        buffer_append_u64_le(out, m->log_term);
        break;
    case RAFT_APPEND: encode_append(m, out); break;
    case RAFT_APPEND_REPLY:
        buffer_append_u64_le(out, m->index);
        buffer_append_u64_le(out, m->log_term);
        buffer_append_u64_le(out, m->hint);
        break;
    case RAFT_HEARTBEAT:
        buffer_append_u64_le(out, m->commit);
        buffer_append_u64_le(out, m->round);
        break;
    case RAFT_HEARTBEAT_REPLY: buffer_append_u64_le(out, m->round); break;
    case RAFT_SNAPSHOT: encode_snapshot(m, out); break;
    case RAFT_SNAPSHOT_REPLY:
        buffer_append_u64_le(out, m->index);
        buffer_append_u64_le(out, m->offset);
        buffer_append_u32_le(out, m->checksum);
        break;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY:
    case RAFT_TIMEOUT_NOW:
    case RAFT_MESSAGE_KINDS: break;
    }
}

static void decode_append(struct cursor *c, struct raft_entry *entries, struct raft_message *m) {
    m->index = cursor_u64_le(c);
    m->log_term = cursor_u64_le(c);
    m->commit = cursor_u64_le(c);
    const uint32_t count = cursor_u32_le(c);
    if (count > RAFT_MESSAGE_ENTRIES_MAX || m->index > RAFT_INDEX_MAX) {
        c->failed = true;
        return;
    }
    m->entries = entries;
    m->entry_count = count;
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        entries[i].index = m->index + 1 + i;
        entries[i].term = cursor_u64_le(c);
        entries[i].kind = (enum raft_entry_kind)cursor_u8(c);
        const uint32_t len = cursor_u32_le(c);
        entries[i].data = cursor_take(c, len);
    }
}

static void decode_snapshot(struct cursor *c, struct raft_message *m) {
    m->index = cursor_u64_le(c);
    m->log_term = cursor_u64_le(c);
    m->offset = cursor_u64_le(c);
    m->total = cursor_u64_le(c);
    m->checksum = cursor_u32_le(c);
    const uint32_t config_len = cursor_u32_le(c);
    const uint32_t data_len = cursor_u32_le(c);
    m->config = cursor_take(c, config_len);
    m->data = cursor_take(c, data_len);
}

static void decode_fields(struct cursor *c, struct raft_entry *entries, struct raft_message *m) {
    switch (m->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE:
        m->index = cursor_u64_le(c);
        m->log_term = cursor_u64_le(c);
        break;
    case RAFT_APPEND: decode_append(c, entries, m); break;
    case RAFT_APPEND_REPLY:
        m->index = cursor_u64_le(c);
        m->log_term = cursor_u64_le(c);
        m->hint = cursor_u64_le(c);
        break;
    case RAFT_HEARTBEAT:
        m->commit = cursor_u64_le(c);
        m->round = cursor_u64_le(c);
        break;
    case RAFT_HEARTBEAT_REPLY: m->round = cursor_u64_le(c); break;
    case RAFT_SNAPSHOT: decode_snapshot(c, m); break;
    case RAFT_SNAPSHOT_REPLY:
        m->index = cursor_u64_le(c);
        m->offset = cursor_u64_le(c);
        m->checksum = cursor_u32_le(c);
        break;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY:
    case RAFT_TIMEOUT_NOW: break;
    case RAFT_MESSAGE_KINDS: c->failed = true; break;
    }
}

STATUS raft_message_decode(struct bytes in, struct raft_entry *entries,
                           struct raft_message *ret_message) {
    struct cursor c = cursor_of(in);
    const uint8_t version = cursor_u8(&c);
    const uint8_t kind = cursor_u8(&c);
    const uint8_t flags = cursor_u8(&c);
    const uint8_t zero = cursor_u8(&c);
    if (c.failed || version != RAFT_MESSAGE_VERSION || zero != 0) return status_of(ST_CORRUPT);
    if (kind < RAFT_PRE_VOTE || kind >= RAFT_MESSAGE_KINDS) return status_of(ST_CORRUPT);
    if ((flags & ~(FLAG_REFUSED | FLAG_TRANSFER)) != 0) return status_of(ST_CORRUPT);
    struct raft_message m = {
        .kind = (enum raft_message_kind)kind,
        .refused = (flags & FLAG_REFUSED) != 0,
        .transfer = (flags & FLAG_TRANSFER) != 0,
    };
    m.from = cursor_u32_le(&c);
    m.to = cursor_u32_le(&c);
    m.term = cursor_u64_le(&c);
    decode_fields(&c, entries, &m);
    if (!cursor_done(&c) || !raft_message_check(&m)) return status_of(ST_CORRUPT);
    *ret_message = m;
    return status_of(ST_OK);
}
