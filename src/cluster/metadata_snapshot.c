/* The whole state as bytes. docs/internals/metadata.md draws them. */
#include "base/assert.h"
#include "base/mem.h"
#include "cluster/metadata_internal.h"

#define SNAPSHOT_MAGIC 0x444D5441u /* "ATMD" */
#define SNAPSHOT_VERSION 1u

#define HEADER_BYTES 72u
#define MEMBER_BYTES_MAX (42u + MEMBER_ADDRESS_BYTES)
#define KEYSPACE_BYTES_MAX (3u + KEYSPACE_SETTINGS_BYTES + KEYSPACE_NAME_BYTES_MAX)
#define CHANGE_BYTES_MAX 40u

static_assert(HEADER_BYTES + MEMBERS_MAX * MEMBER_BYTES_MAX +
                      KEYSPACES_KEPT_MAX * KEYSPACE_BYTES_MAX + CHANGE_BYTES_MAX +
                      SLOT_TABLE_BYTES_MAX <=
                  METADATA_SNAPSHOT_BYTES_MAX,
              "every state fits");

static void put_run(struct buffer *out, struct bytes run) {
    ASSERT(run.len <= UINT8_MAX);
    buffer_append_u8(out, (uint8_t)run.len);
    buffer_append(out, run);
}

static void encode_member(const struct metadata_member *member, struct buffer *out) {
    buffer_append_u32_le(out, member->id);
    buffer_append_u32_le(out, member->weight);
    buffer_append_u32_le(out, member->zone);
    buffer_append_u32_le(out, member->boot);
    buffer_append_u8(out, (uint8_t)member->state);
    buffer_append_u8(out, (uint8_t)member->result.code);
    buffer_append_u64_le(out, member->result.value);
    buffer_append_u64_le(out, member->sequence);
    buffer_append_u64_le(out, member->nonce);
    put_run(out, bytes_of_string(member->address));
}

static void encode_keyspace(const struct keyspace *k, struct buffer *out) {
    buffer_append_u16_le(out, k->id);
    keyspace_settings_encode(&k->settings, out);
    put_run(out, keyspace_name(k));
}

static void encode_change(const struct ring_change *c, struct buffer *out) {
    buffer_append_u64_le(out, c->id);
    if (c->id == 0) return;
    buffer_append_u64_le(out, c->throttle);
    buffer_append_u64_le(out, c->started_ms);
    buffer_append_u32_le(out, c->slots_total);
    buffer_append_u32_le(out, c->slots_done);
    buffer_append_u8(out, (uint8_t)c->reason);
    buffer_append_u8(out, (uint8_t)c->replicas);
    buffer_append_u8(out, c->paused ? 1 : 0);
}

void metadata_encode(const struct metadata *m, struct buffer *out) {
    ASSERT(m->members_count <= MEMBERS_MAX);
    ASSERT(m->keyspaces_count <= KEYSPACES_KEPT_MAX);
    const size_t len_before = buffer_len(out);
    buffer_append_u32_le(out, SNAPSHOT_MAGIC);
    buffer_append_u16_le(out, SNAPSHOT_VERSION);
    buffer_append_u8(out, (uint8_t)m->replicas);
    buffer_append_u8(out, (uint8_t)m->replicas_next);
    buffer_append(out, bytes_of(m->cluster.bytes, CLUSTER_ID_BYTES));
    buffer_append_u64_le(out, m->epoch);
    buffer_append_u64_le(out, m->revision);
    buffer_append_u64_le(out, m->change_last);
    buffer_append_u64_le(out, m->placed);
    buffer_append_u32_le(out, m->member_last);
    buffer_append_u16_le(out, m->keyspace_last);
    buffer_append_u16_le(out, m->members_count);
    buffer_append_u16_le(out, m->keyspaces_count);
    for (uint32_t i = 0; i < m->members_count; i++) encode_member(&m->members[i], out);
    for (uint32_t i = 0; i < m->keyspaces_count; i++) encode_keyspace(&m->keyspaces[i], out);
    buffer_append_u16_le(out, m->gone_count);
    for (uint32_t i = 0; i < m->gone_count; i++) buffer_append_u64_le(out, m->gone[i]);
    encode_change(&m->change, out);
    if (m->epoch > 0) slot_table_encode(&m->slots, m->epoch, out);
    ASSERT(buffer_len(out) - len_before <= METADATA_SNAPSHOT_BYTES_MAX);
}

static void take_member(struct cursor *c, struct metadata_member *member) {
    member->id = cursor_u32_le(c);
    member->weight = cursor_u32_le(c);
    member->zone = cursor_u32_le(c);
    member->boot = cursor_u32_le(c);
    member->state = (enum member_state)cursor_u8(c);
    member->result.code = (enum metadata_code)cursor_u8(c);
    member->result.value = cursor_u64_le(c);
    member->sequence = cursor_u64_le(c);
    member->nonce = cursor_u64_le(c);
    const uint8_t len = cursor_u8(c);
    if (len >= MEMBER_ADDRESS_BYTES) c->failed = true;
    const struct bytes address = cursor_take(c, len);
    if (address.len > 0) memcpy(member->address, address.ptr, address.len);
}

static void take_keyspace(struct cursor *c, struct keyspace *k) {
    k->id = cursor_u16_le(c);
    keyspace_settings_take(c, &k->settings);
    k->name_len = cursor_u8(c);
    if (k->name_len > KEYSPACE_NAME_BYTES_MAX) c->failed = true;
    const struct bytes name = cursor_take(c, k->name_len);
    if (name.len > 0) memcpy(k->name, name.ptr, name.len);
}

static void take_change(struct cursor *c, struct ring_change *change) {
    change->id = cursor_u64_le(c);
    if (change->id == 0) return;
    change->throttle = cursor_u64_le(c);
    change->started_ms = cursor_u64_le(c);
    change->slots_total = cursor_u32_le(c);
    change->slots_done = cursor_u32_le(c);
    change->reason = (enum change_reason)cursor_u8(c);
    change->replicas = cursor_u8(c);
    change->paused = cursor_u8(c) != 0;
}

static void take_gone(struct cursor *c, struct metadata *m) {
    const uint32_t count = cursor_u16_le(c);
    if (count > METADATA_GONE_MAX) c->failed = true;
    for (uint32_t i = 0; i < count && !c->failed; i++) m->gone[m->gone_count++] = cursor_u64_le(c);
}

/* Everything that memory depends on is bounded here; the rest is for metadata_check. */
static void take_state(struct cursor *c, struct metadata *m) {
    m->replicas = cursor_u8(c);
    m->replicas_next = cursor_u8(c);
    const struct bytes cluster = cursor_take(c, CLUSTER_ID_BYTES);
    if (cluster.len > 0) memcpy(m->cluster.bytes, cluster.ptr, cluster.len);
    m->epoch = cursor_u64_le(c);
    m->revision = cursor_u64_le(c);
    m->change_last = cursor_u64_le(c);
    m->placed = cursor_u64_le(c);
    m->member_last = cursor_u32_le(c);
    m->keyspace_last = cursor_u16_le(c);
    const uint32_t members_count = cursor_u16_le(c);
    const uint32_t keyspaces_count = cursor_u16_le(c);
    if (members_count > MEMBERS_MAX || keyspaces_count > KEYSPACES_KEPT_MAX) c->failed = true;
    if (c->failed) return;
    m->members_count = members_count;
    for (uint32_t i = 0; i < members_count; i++) take_member(c, &m->members[i]);
    m->keyspaces = mem_alloc_zeroed(keyspaces_count * sizeof *m->keyspaces);
    m->keyspaces_room = m->keyspaces_count = keyspaces_count;
    for (uint32_t i = 0; i < keyspaces_count; i++) take_keyspace(c, &m->keyspaces[i]);
    take_gone(c, m);
    take_change(c, &m->change);
    if (m->epoch == 0 || c->failed) return;
    if (!status_ok(slot_table_decode(c, m->epoch, &m->slots))) c->failed = true;
}

/* What is read must be what would be written: one state has one encoding only. */
static bool encodes_to(const struct metadata *m, struct bytes in) {
    struct buffer out;
    buffer_init(&out, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(m, &out);
    const bool equal = bytes_equal(buffer_bytes(&out), in);
    buffer_deinit(&out);
    return equal;
}

STATUS metadata_decode(struct bytes in, struct metadata **ret_metadata) {
    struct cursor c = cursor_of(in);
    const uint32_t magic = cursor_u32_le(&c);
    const uint16_t version = cursor_u16_le(&c);
    if (c.failed || magic != SNAPSHOT_MAGIC) return status_of(ST_CORRUPT);
    if (version != SNAPSHOT_VERSION) return status_of(ST_INVALID);
    if (in.len > METADATA_SNAPSHOT_BYTES_MAX) return status_of(ST_CORRUPT);

    struct metadata *m = metadata_create();
    take_state(&c, m);
    if (!cursor_done(&c) || !metadata_check(m) || !encodes_to(m, in)) {
        metadata_destroy(m);
        return status_of(ST_CORRUPT);
    }
    *ret_metadata = m;
    return status_of(ST_OK);
}
