#include "storage/wal_record.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mutant.h"

static const char header_magic[8] = { 'A', 'T', 'O', 'L', 'W', 'A', 'L', '1' };

#define HEADER_NUMBER_OFFSET 8u
#define HEADER_BASE_OFFSET 16u
#define HEADER_BYTES_OFFSET 24u
#define HEADER_SALT_OFFSET 32u
#define HEADER_CRC_OFFSET 36u

#define LENGTH_OFFSET 4u
#define MARKER_OFFSET 8u
#define KIND_OFFSET 12u

static_assert(HEADER_CRC_OFFSET + 4 == WAL_HEADER_BYTES, "the header is drawn in wal_record.h");
static_assert(KIND_OFFSET + 4 == WAL_RECORD_HEADER_BYTES, "the record is drawn in wal_record.h");
static_assert(MARKER_OFFSET + 4 == KIND_OFFSET, "wal_batch_find compares marker and kind at once");

void wal_header_encode(const struct wal_header *h, uint8_t p[WAL_HEADER_BYTES]) {
    ASSERT(h->identity.number > 0);
    ASSERT(h->bytes > WAL_HEADER_BYTES);
    memcpy(p, header_magic, sizeof header_magic);
    put_u64_le(p + HEADER_NUMBER_OFFSET, h->identity.number);
    put_u64_le(p + HEADER_BASE_OFFSET, h->base);
    put_u64_le(p + HEADER_BYTES_OFFSET, h->bytes);
    put_u32_le(p + HEADER_SALT_OFFSET, h->identity.salt);
    put_u32_le(p + HEADER_CRC_OFFSET, crc32c(0, bytes_of(p, HEADER_CRC_OFFSET)));
}

STATUS wal_header_decode(struct bytes in, struct wal_header *ret_header) {
    if (in.len < WAL_HEADER_BYTES) return status_of(ST_CORRUPT);
    const uint8_t *p = in.ptr;
    if (memcmp(p, header_magic, sizeof header_magic) != 0) return status_of(ST_CORRUPT);
    const uint32_t crc = crc32c(0, bytes_of(p, HEADER_CRC_OFFSET));
    if (get_u32_le(p + HEADER_CRC_OFFSET) != crc) return status_of(ST_CORRUPT);

    const struct wal_header h = {
        .identity = { get_u64_le(p + HEADER_NUMBER_OFFSET), get_u32_le(p + HEADER_SALT_OFFSET) },
        .base = get_u64_le(p + HEADER_BASE_OFFSET),
        .bytes = get_u64_le(p + HEADER_BYTES_OFFSET),
    };
    if (h.identity.number == 0) return status_of(ST_CORRUPT);
    if (h.bytes <= WAL_HEADER_BYTES) return status_of(ST_CORRUPT);
    *ret_header = h;
    return status_of(ST_OK);
}

size_t wal_record_len(const struct record *r) {
    return WAL_RECORD_HEADER_BYTES + varint_len(r->ikey.len) + r->ikey.len + record_body_len(r);
}

/* crc32c over number, salt and everything in `record` behind its checksum. */
static uint32_t record_crc(struct wal_identity identity, struct bytes record) {
    uint8_t seed[12];
    put_u64_le(seed, identity.number);
    put_u32_le(seed + 8, identity.salt);
    const uint32_t crc = crc32c(0, bytes_of(seed, sizeof seed));
    return crc32c(crc, bytes_of(record.ptr + LENGTH_OFFSET, record.len - LENGTH_OFFSET));
}

/* Fill in the header of the record of `len` bytes whose payload is in place. */
static void record_finish(struct wal_identity identity, enum wal_kind kind, uint8_t *p,
                          size_t len) {
    ASSERT(len > WAL_RECORD_HEADER_BYTES);
    ASSERT(len <= WAL_RECORD_BYTES_MAX);
    put_u32_le(p + LENGTH_OFFSET, (uint32_t)(len - WAL_RECORD_HEADER_BYTES));
    put_u32_le(p + MARKER_OFFSET, (uint32_t)identity.number);
    put_u32_le(p + KIND_OFFSET, kind);
    put_u32_le(p, record_crc(identity, bytes_of(p, len)));
}

void wal_record_encode(struct wal_identity identity, const struct record *r, uint8_t *p,
                       size_t len) {
    size_t fill = WAL_RECORD_HEADER_BYTES;
    fill += put_varint(p + fill, r->ikey.len);
    memcpy(p + fill, r->ikey.ptr, r->ikey.len);
    fill += r->ikey.len;

    uint8_t head[RECORD_HEAD_BYTES_MAX];
    const size_t head_len = record_head_encode(r, head);
    ASSERT(fill + head_len + r->value.len == len);
    memcpy(p + fill, head, head_len);
    if (r->value.len > 0) memcpy(p + fill + head_len, r->value.ptr, r->value.len);
    record_finish(identity, WAL_KIND_RECORD, p, len);
}

void wal_batch_encode(struct wal_identity identity, struct wal_batch_mark mark,
                      uint8_t p[WAL_BATCH_BYTES]) {
    ASSERT(mark.durable <= mark.previous);
    put_u64_le(p + WAL_RECORD_HEADER_BYTES, mark.previous);
    put_u64_le(p + WAL_RECORD_HEADER_BYTES + 8, mark.durable);
    record_finish(identity, WAL_KIND_BATCH, p, WAL_BATCH_BYTES);
}

size_t wal_record_claim(struct bytes in, struct wal_identity identity) {
    if (in.len < WAL_RECORD_HEADER_BYTES) return 0;
    const uint32_t length = get_u32_le(in.ptr + LENGTH_OFFSET);
    if (length == 0) return 0;
    if (get_u32_le(in.ptr + MARKER_OFFSET) != (uint32_t)identity.number) return 0;
    return WAL_RECORD_HEADER_BYTES + (size_t)length;
}

struct bytes wal_record_ikey(struct bytes in, struct wal_identity identity) {
    const size_t claim = wal_record_claim(in, identity);
    if (claim == 0 || claim > in.len) return BYTES_NONE;
    if (get_u32_le(in.ptr + KIND_OFFSET) != WAL_KIND_RECORD) return BYTES_NONE;
    struct cursor c =
        cursor_of(bytes_of(in.ptr + WAL_RECORD_HEADER_BYTES, claim - WAL_RECORD_HEADER_BYTES));
    const uint64_t ikey_len = cursor_varint(&c);
    return c.failed || ikey_len > c.rest.len ? BYTES_NONE : cursor_take(&c, (size_t)ikey_len);
}

static STATUS payload_decode(struct bytes payload, struct record *ret_record) {
    struct cursor c = cursor_of(payload);
    const uint64_t ikey_len = cursor_varint(&c);
    if (c.failed || ikey_len > IKEY_BYTES_MAX) return status_of(ST_CORRUPT);
    const struct bytes ikey = cursor_take(&c, (size_t)ikey_len);
    if (c.failed) return status_of(ST_CORRUPT);

    struct record r = { .ikey = ikey };
    TRY(record_body_decode(c.rest, &r));
    if (!record_check(&r)) return status_of(ST_CORRUPT);
    *ret_record = r;
    return status_of(ST_OK);
}

static STATUS batch_decode(struct bytes payload, struct wal_batch_mark *ret_mark) {
    if (payload.len != WAL_BATCH_PAYLOAD_BYTES) return status_of(ST_CORRUPT);
    const struct wal_batch_mark mark = { get_u64_le(payload.ptr), get_u64_le(payload.ptr + 8) };
    if (mark.durable > mark.previous) return status_of(ST_CORRUPT);
    *ret_mark = mark;
    return status_of(ST_OK);
}

STATUS wal_record_decode(struct bytes in, struct wal_identity identity,
                         struct wal_record *ret_record, size_t *ret_len) {
    const size_t len = wal_record_claim(in, identity);
    if (len == 0) return status_of(ST_NOT_FOUND);
    if (len > in.len || len > WAL_RECORD_BYTES_MAX) return status_of(ST_CORRUPT);
    if (get_u32_le(in.ptr) != record_crc(identity, bytes_of(in.ptr, len)) &&
        !MUTANT("replay_torn_record"))
        return status_of(ST_CORRUPT);

    const struct bytes payload =
        bytes_of(in.ptr + WAL_RECORD_HEADER_BYTES, len - WAL_RECORD_HEADER_BYTES);
    switch (get_u32_le(in.ptr + KIND_OFFSET)) {
    case WAL_KIND_RECORD:
        TRY(payload_decode(payload, &ret_record->record));
        ret_record->kind = WAL_KIND_RECORD;
        break;
    case WAL_KIND_BATCH:
        TRY(batch_decode(payload, &ret_record->batch));
        ret_record->kind = WAL_KIND_BATCH;
        break;
    default: return status_of(ST_CORRUPT); /* written by a newer version */
    }
    *ret_len = len;
    return status_of(ST_OK);
}

size_t wal_batch_find(struct bytes in, size_t from, struct wal_identity identity,
                      struct wal_batch_mark *ret_mark) {
    const uint64_t wanted = (uint32_t)identity.number | (uint64_t)WAL_KIND_BATCH << 32;
    for (size_t at = from; at + WAL_BATCH_BYTES <= in.len; at++) {
        if (get_u64_le(in.ptr + at + MARKER_OFFSET) != wanted) continue;
        const struct bytes found = bytes_of(in.ptr + at, WAL_BATCH_BYTES);
        if (get_u32_le(found.ptr + LENGTH_OFFSET) != WAL_BATCH_PAYLOAD_BYTES) continue;
        struct wal_record entry;
        size_t len;
        if (!status_ok(wal_record_decode(found, identity, &entry, &len))) continue;
        *ret_mark = entry.batch;
        return at;
    }
    return in.len;
}
