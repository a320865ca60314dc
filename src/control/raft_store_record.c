#include "control/raft_store_record.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"

static const char header_magic[8] = { 'A', 'T', 'O', 'L', 'R', 'F', 'T', '1' };

#define HEADER_NUMBER_OFFSET 8u
#define HEADER_HEAD_OFFSET 16u
#define HEADER_SALT_OFFSET 24u
#define HEADER_CRC_OFFSET 28u

#define LENGTH_OFFSET 4u
#define KIND_OFFSET 8u

#define OWNER_BYTES (RAFT_STORE_CLUSTER_BYTES + 4u)
#define SNAPSHOT_FIXED_BYTES 20u
#define HARD_BYTES 12u
#define ENTRY_FIXED_BYTES 20u
#define INDEX_BYTES 8u

static_assert(HEADER_CRC_OFFSET + 4 == RAFT_STORE_HEADER_BYTES, "drawn in the header file");
static_assert(KIND_OFFSET + 4 == RAFT_STORE_RECORD_HEADER_BYTES, "drawn in the header file");
static_assert(LENGTH_OFFSET + 4 == KIND_OFFSET, "seals are found by length and kind at once");
static_assert(ENTRY_FIXED_BYTES + RAFT_STORE_RECORD_HEADER_BYTES == RAFT_STORE_ENTRY_OVERHEAD_BYTES,
              "as buffers are reckoned");

/* ---- header ---- */

void raft_store_header_encode(const struct raft_store_header *h,
                              uint8_t p[RAFT_STORE_HEADER_BYTES]) {
    ASSERT(h->identity.number > 0);
    ASSERT(h->head_bytes > RAFT_STORE_HEADER_BYTES);
    memcpy(p, header_magic, sizeof header_magic);
    put_u64_le(p + HEADER_NUMBER_OFFSET, h->identity.number);
    put_u64_le(p + HEADER_HEAD_OFFSET, h->head_bytes);
    put_u32_le(p + HEADER_SALT_OFFSET, h->identity.salt);
    put_u32_le(p + HEADER_CRC_OFFSET, crc32c(0, bytes_of(p, HEADER_CRC_OFFSET)));
}

STATUS raft_store_header_decode(struct bytes in, struct raft_store_header *ret_header) {
    if (in.len < RAFT_STORE_HEADER_BYTES) return status_of(ST_CORRUPT);
    const uint8_t *p = in.ptr;
    if (memcmp(p, header_magic, sizeof header_magic) != 0) return status_of(ST_CORRUPT);
    const uint32_t crc = crc32c(0, bytes_of(p, HEADER_CRC_OFFSET));
    if (get_u32_le(p + HEADER_CRC_OFFSET) != crc) return status_of(ST_CORRUPT);
    const struct raft_store_header h = {
        .identity = { get_u64_le(p + HEADER_NUMBER_OFFSET), get_u32_le(p + HEADER_SALT_OFFSET) },
        .head_bytes = get_u64_le(p + HEADER_HEAD_OFFSET),
    };
    if (h.identity.number == 0) return status_of(ST_CORRUPT);
    if (h.head_bytes <= RAFT_STORE_HEADER_BYTES) return status_of(ST_CORRUPT);
    *ret_header = h;
    return status_of(ST_OK);
}

/* ---- encoding ---- */

/* The header of a record whose payload of `length` bytes follows. */
static void put_header(struct buffer *out, enum raft_store_kind kind, size_t length) {
    ASSERT(length > 0);
    ASSERT(length <= UINT32_MAX);
    buffer_append_u32_le(out, 0);
    buffer_append_u32_le(out, (uint32_t)length);
    buffer_append_u32_le(out, kind);
}

void raft_store_put_seal(struct buffer *out) {
    put_header(out, RAFT_STORE_SEAL, INDEX_BYTES);
    buffer_append_u64_le(out, 0); /* its offset is known when it is written */
}

void raft_store_put_owner(struct buffer *out, const struct raft_store_owner *owner) {
    ASSERT(owner->member > 0);
    put_header(out, RAFT_STORE_OWNER, OWNER_BYTES);
    buffer_append(out, bytes_of(owner->cluster, sizeof owner->cluster));
    buffer_append_u32_le(out, owner->member);
}

void raft_store_put_snapshot(struct buffer *out, const struct raft_snapshot *snapshot) {
    ASSERT((snapshot->index == 0) == (snapshot->config.len == 0));
    ASSERT(snapshot->data.len <= RAFT_SNAPSHOT_BYTES_MAX);
    put_header(out, RAFT_STORE_SNAPSHOT,
               SNAPSHOT_FIXED_BYTES + snapshot->config.len + snapshot->data.len);
    buffer_append_u64_le(out, snapshot->index);
    buffer_append_u64_le(out, snapshot->term);
    buffer_append_u32_le(out, (uint32_t)snapshot->config.len);
    buffer_append(out, snapshot->config);
    buffer_append(out, snapshot->data);
}

void raft_store_put_hard(struct buffer *out, struct raft_hard_state hard) {
    ASSERT(hard.term > 0);
    put_header(out, RAFT_STORE_HARD, HARD_BYTES);
    buffer_append_u64_le(out, hard.term);
    buffer_append_u32_le(out, hard.vote);
}

void raft_store_put_entry(struct buffer *out, const struct raft_entry *entry) {
    ASSERT(entry->index > 0);
    ASSERT(entry->data.len <= RAFT_ENTRY_BYTES_MAX);
    put_header(out, RAFT_STORE_ENTRY, ENTRY_FIXED_BYTES + entry->data.len);
    buffer_append_u64_le(out, entry->index);
    buffer_append_u64_le(out, entry->term);
    buffer_append_u32_le(out, entry->kind);
    buffer_append(out, entry->data);
}

void raft_store_put_truncate(struct buffer *out, uint64_t index) {
    ASSERT(index > 0);
    put_header(out, RAFT_STORE_TRUNCATE, INDEX_BYTES);
    buffer_append_u64_le(out, index);
}

void raft_store_put_applied(struct buffer *out, uint64_t index) {
    ASSERT(index > 0);
    put_header(out, RAFT_STORE_APPLIED, INDEX_BYTES);
    buffer_append_u64_le(out, index);
}

/* crc32c over number, salt and everything in `record` behind its checksum. */
static uint32_t record_crc(struct raft_store_identity identity, struct bytes record) {
    uint8_t seed[12];
    put_u64_le(seed, identity.number);
    put_u32_le(seed + 8, identity.salt);
    const uint32_t crc = crc32c(0, bytes_of(seed, sizeof seed));
    return crc32c(crc, bytes_of(record.ptr + LENGTH_OFFSET, record.len - LENGTH_OFFSET));
}

void raft_store_finish(struct raft_store_identity identity, uint64_t offset, uint8_t *p,
                       size_t len) {
    ASSERT(identity.number > 0);
    size_t at = 0;
    while (at < len) {
        ASSERT(len - at > RAFT_STORE_RECORD_HEADER_BYTES);
        uint8_t *record = p + at;
        const size_t record_len =
            RAFT_STORE_RECORD_HEADER_BYTES + (size_t)get_u32_le(record + LENGTH_OFFSET);
        ASSERT(record_len <= len - at);
        if (get_u32_le(record + KIND_OFFSET) == RAFT_STORE_SEAL)
            put_u64_le(record + RAFT_STORE_RECORD_HEADER_BYTES, offset + at);
        put_u32_le(record, record_crc(identity, bytes_of(record, record_len)));
        at += record_len;
    }
    ASSERT(at == len);
}

/* ---- decoding ---- */

static STATUS owner_decode(struct bytes payload, struct raft_store_owner *ret_owner) {
    if (payload.len != OWNER_BYTES) return status_of(ST_CORRUPT);
    memcpy(ret_owner->cluster, payload.ptr, RAFT_STORE_CLUSTER_BYTES);
    ret_owner->member = get_u32_le(payload.ptr + RAFT_STORE_CLUSTER_BYTES);
    return status_of(ret_owner->member == 0 ? ST_CORRUPT : ST_OK);
}

static STATUS snapshot_decode(struct bytes payload, struct raft_snapshot *ret_snapshot) {
    struct cursor c = cursor_of(payload);
    const uint64_t index = cursor_u64_le(&c);
    const uint64_t term = cursor_u64_le(&c);
    const uint32_t config_len = cursor_u32_le(&c);
    const struct bytes config = cursor_take(&c, config_len);
    const struct bytes data = c.rest;
    if (c.failed || index > RAFT_INDEX_MAX || term > RAFT_INDEX_MAX) return status_of(ST_CORRUPT);
    if (data.len > RAFT_SNAPSHOT_BYTES_MAX) return status_of(ST_CORRUPT);
    if (index == 0) {
        if (term != 0 || config.len > 0 || data.len > 0) return status_of(ST_CORRUPT);
        *ret_snapshot = (struct raft_snapshot){ .index = 0 };
        return status_of(ST_OK);
    }
    struct raft_config decoded;
    if (term == 0) return status_of(ST_CORRUPT);
    TRY(raft_config_decode(config, &decoded));
    *ret_snapshot =
        (struct raft_snapshot){ .index = index, .term = term, .config = config, .data = data };
    return status_of(ST_OK);
}

static STATUS hard_decode(struct bytes payload, struct raft_hard_state *ret_hard) {
    if (payload.len != HARD_BYTES) return status_of(ST_CORRUPT);
    const uint64_t term = get_u64_le(payload.ptr);
    if (term == 0 || term > RAFT_INDEX_MAX) return status_of(ST_CORRUPT);
    *ret_hard = (struct raft_hard_state){ .term = term, .vote = get_u32_le(payload.ptr + 8) };
    return status_of(ST_OK);
}

static STATUS entry_decode(struct bytes payload, struct raft_entry *ret_entry) {
    if (payload.len < ENTRY_FIXED_BYTES) return status_of(ST_CORRUPT);
    const size_t len = payload.len - ENTRY_FIXED_BYTES;
    const uint32_t kind = get_u32_le(payload.ptr + 16);
    const struct raft_entry e = {
        .index = get_u64_le(payload.ptr),
        .term = get_u64_le(payload.ptr + 8),
        .kind = (enum raft_entry_kind)kind,
        .data = len == 0 ? BYTES_NONE : bytes_of(payload.ptr + ENTRY_FIXED_BYTES, len),
    };
    if (e.index == 0 || e.index > RAFT_INDEX_MAX) return status_of(ST_CORRUPT);
    if (e.term == 0 || e.term > RAFT_INDEX_MAX) return status_of(ST_CORRUPT);
    if (kind < RAFT_ENTRY_EMPTY || kind > RAFT_ENTRY_CONFIG) return status_of(ST_CORRUPT);
    if (len > RAFT_ENTRY_BYTES_MAX) return status_of(ST_CORRUPT);
    *ret_entry = e;
    return status_of(ST_OK);
}

static STATUS index_decode(struct bytes payload, uint64_t *ret_index) {
    if (payload.len != INDEX_BYTES) return status_of(ST_CORRUPT);
    const uint64_t index = get_u64_le(payload.ptr);
    if (index == 0 || index > RAFT_INDEX_MAX) return status_of(ST_CORRUPT);
    *ret_index = index;
    return status_of(ST_OK);
}

STATUS raft_store_record_decode(struct bytes in, struct raft_store_identity identity,
                                struct raft_store_record *ret_record, size_t *ret_len) {
    if (in.len <= RAFT_STORE_RECORD_HEADER_BYTES) return status_of(ST_NOT_FOUND);
    const uint32_t length = get_u32_le(in.ptr + LENGTH_OFFSET);
    if (length == 0 || length > in.len - RAFT_STORE_RECORD_HEADER_BYTES)
        return status_of(ST_NOT_FOUND);
    const size_t len = RAFT_STORE_RECORD_HEADER_BYTES + (size_t)length;
    if (get_u32_le(in.ptr) != record_crc(identity, bytes_of(in.ptr, len)))
        return status_of(ST_NOT_FOUND);

    const struct bytes payload = bytes_of(in.ptr + RAFT_STORE_RECORD_HEADER_BYTES, length);
    struct raft_store_record r = { .index = 0 };
    switch (get_u32_le(in.ptr + KIND_OFFSET)) {
    case RAFT_STORE_SEAL:
    case RAFT_STORE_TRUNCATE:
    case RAFT_STORE_APPLIED: TRY(index_decode(payload, &r.index)); break;
    case RAFT_STORE_OWNER: TRY(owner_decode(payload, &r.owner)); break;
    case RAFT_STORE_SNAPSHOT: TRY(snapshot_decode(payload, &r.snapshot)); break;
    case RAFT_STORE_HARD: TRY(hard_decode(payload, &r.hard)); break;
    case RAFT_STORE_ENTRY: TRY(entry_decode(payload, &r.entry)); break;
    default: return status_of(ST_CORRUPT); /* written by a newer version */
    }
    r.kind = (enum raft_store_kind)get_u32_le(in.ptr + KIND_OFFSET);
    *ret_record = r;
    *ret_len = len;
    return status_of(ST_OK);
}
