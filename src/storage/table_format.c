#include "storage/table_format.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "storage/stored_block.h"

#define FOOTER_SUM_OFFSET 64u
#define FOOTER_MAGIC_OFFSET 72u

static_assert(FOOTER_SUM_OFFSET == 7 * 8 + 4 + 4, "fields before the checksum");
static_assert(FOOTER_MAGIC_OFFSET + sizeof TABLE_MAGIC - 1 == TABLE_FOOTER_BYTES,
              "the magic ends the file");
static_assert(2 * (IKEY_BYTES_MAX + TABLE_PROPERTY_HEAD_BYTES) < TABLE_PROPERTIES_BYTES_MAX / 2,
              "the ikeys fit");

bool table_footer_check(const struct table_footer *f) {
    if (f->uid == 0) return false;
    /* Offsets below 2^62 and lengths below 2^32 cannot overflow when added. */
    if (f->filter.offset >= (uint64_t)1 << 62) return false;
    if (f->filter.len > UINT32_MAX || f->index.len > UINT32_MAX) return false;
    if (f->properties.len > TABLE_PROPERTIES_BYTES_MAX) return false;
    if (f->filter.offset <= STORED_TRAILER_BYTES) return false;
    if (f->filter.len != 0 && f->filter.len <= STORED_TRAILER_BYTES) return false;
    if (f->index.len <= STORED_TRAILER_BYTES) return false;
    if (f->properties.len <= STORED_TRAILER_BYTES) return false;
    if (f->index.offset != f->filter.offset + f->filter.len) return false;
    return f->properties.offset == f->index.offset + f->index.len;
}

void table_footer_encode(const struct table_footer *f, uint8_t ret_bytes[TABLE_FOOTER_BYTES]) {
    ASSERT(table_footer_check(f));
    uint8_t *p = ret_bytes;
    put_u64_le(p, f->uid);
    put_u64_le(p + 8, f->filter.offset);
    put_u64_le(p + 16, f->filter.len);
    put_u64_le(p + 24, f->index.offset);
    put_u64_le(p + 32, f->index.len);
    put_u64_le(p + 40, f->properties.offset);
    put_u64_le(p + 48, f->properties.len);
    put_u32_le(p + 56, TABLE_FORMAT_VERSION);
    put_u32_le(p + 60, 0);
    put_u64_le(p + FOOTER_SUM_OFFSET, hash_xxh3(bytes_of(p, FOOTER_SUM_OFFSET)));
    memcpy(p + FOOTER_MAGIC_OFFSET, TABLE_MAGIC, sizeof TABLE_MAGIC - 1);
}

STATUS table_footer_decode(struct bytes in, uint64_t file_bytes, struct table_footer *ret_footer) {
    struct cursor c = cursor_of(in);
    struct table_footer f;
    f.uid = cursor_u64_le(&c);
    f.filter.offset = cursor_u64_le(&c);
    f.filter.len = cursor_u64_le(&c);
    f.index.offset = cursor_u64_le(&c);
    f.index.len = cursor_u64_le(&c);
    f.properties.offset = cursor_u64_le(&c);
    f.properties.len = cursor_u64_le(&c);
    const uint32_t version = cursor_u32_le(&c);
    const uint32_t zero = cursor_u32_le(&c);
    const uint64_t sum = cursor_u64_le(&c);
    const struct bytes magic = cursor_take(&c, sizeof TABLE_MAGIC - 1);

    if (!cursor_done(&c)) return status_of(ST_CORRUPT);
    if (!bytes_equal(magic, BYTES_LIT(TABLE_MAGIC))) return status_of(ST_CORRUPT);
    if (sum != hash_xxh3(bytes_of(in.ptr, FOOTER_SUM_OFFSET))) return status_of(ST_CORRUPT);
    if (version != TABLE_FORMAT_VERSION || zero != 0) return status_of(ST_CORRUPT);
    if (!table_footer_check(&f)) return status_of(ST_CORRUPT);
    if (f.properties.offset + f.properties.len + TABLE_FOOTER_BYTES != file_bytes)
        return status_of(ST_CORRUPT);
    *ret_footer = f;
    return status_of(ST_OK);
}

/* ---- properties ---- */

bool table_properties_check(const struct table_properties *p) {
    if (p->records == 0) return false;
    if (p->tombstones > p->records || p->expiring > p->records) return false;
    if ((p->expiring == 0) != (p->expires_min_ms == 0)) return false;
    if (p->ikey_min.len == 0 || p->ikey_min.len > IKEY_BYTES_MAX) return false;
    if (p->ikey_max.len == 0 || p->ikey_max.len > IKEY_BYTES_MAX) return false;
    const int order = bytes_compare(p->ikey_min, p->ikey_max);
    return p->records == 1 ? order == 0 : order < 0;
}

static void property_encode(struct buffer *out, enum table_property id, struct bytes value) {
    uint8_t head[TABLE_PROPERTY_HEAD_BYTES];
    put_u16_le(head, (uint16_t)id);
    put_u16_le(head + 2, 0); /* every property so far must be understood */
    put_u32_le(head + 4, (uint32_t)value.len);
    buffer_append(out, bytes_of(head, sizeof head));
    buffer_append(out, value);
}

static void property_encode_u64(struct buffer *out, enum table_property id, uint64_t value) {
    uint8_t bytes[8];
    put_u64_le(bytes, value);
    property_encode(out, id, bytes_of(bytes, sizeof bytes));
}

void table_properties_encode(const struct table_properties *p, struct buffer *out) {
    ASSERT(table_properties_check(p));
    uint8_t ballot[BALLOT_BYTES];
    ballot_put(ballot, p->ballot_max);

    property_encode_u64(out, PROPERTY_RECORDS, p->records);
    property_encode_u64(out, PROPERTY_TOMBSTONES, p->tombstones);
    property_encode_u64(out, PROPERTY_RAW_BYTES, p->raw_bytes);
    property_encode(out, PROPERTY_BALLOT_MAX, bytes_of(ballot, sizeof ballot));
    property_encode_u64(out, PROPERTY_EXPIRES_MIN_MS, p->expires_min_ms);
    property_encode_u64(out, PROPERTY_EXPIRING, p->expiring);
    property_encode(out, PROPERTY_IKEY_MIN, p->ikey_min);
    property_encode(out, PROPERTY_IKEY_MAX, p->ikey_max);
}

/* Read one known property from its value; a value of the wrong size fails `c`. */
static void property_decode(struct cursor *c, uint32_t id, struct table_properties *p) {
    switch (id) {
    case PROPERTY_RECORDS: p->records = cursor_u64_le(c); break;
    case PROPERTY_TOMBSTONES: p->tombstones = cursor_u64_le(c); break;
    case PROPERTY_RAW_BYTES: p->raw_bytes = cursor_u64_le(c); break;
    case PROPERTY_BALLOT_MAX: {
        const struct bytes ballot = cursor_take(c, BALLOT_BYTES);
        if (!c->failed) p->ballot_max = ballot_get(ballot.ptr);
        break;
    }
    case PROPERTY_EXPIRES_MIN_MS: p->expires_min_ms = cursor_u64_le(c); break;
    case PROPERTY_EXPIRING: p->expiring = cursor_u64_le(c); break;
    case PROPERTY_IKEY_MIN: p->ikey_min = cursor_take(c, c->rest.len); break;
    case PROPERTY_IKEY_MAX: p->ikey_max = cursor_take(c, c->rest.len); break;
    default: c->failed = true; break;
    }
}

STATUS table_properties_decode(struct bytes in, struct table_properties *ret_properties) {
    struct cursor c = cursor_of(in);
    struct table_properties p = { 0 };
    uint32_t id_last = 0;
    uint32_t known = 0; /* how many of the known ones were there */
    while (c.rest.len > 0 && !c.failed) {
        const uint32_t id = cursor_u16_le(&c);
        const uint32_t optional = cursor_u16_le(&c);
        const uint32_t len = cursor_u32_le(&c);
        struct cursor value = cursor_of(cursor_take(&c, len));
        if (c.failed || id <= id_last || optional > 1) return status_of(ST_CORRUPT);
        id_last = id;
        if (id < PROPERTY_END) {
            property_decode(&value, id, &p);
            if (!cursor_done(&value)) return status_of(ST_CORRUPT);
            known++;
        } else if (!optional) {
            return status_of(ST_CORRUPT);
        }
    }
    if (c.failed || known != PROPERTY_END - 1) return status_of(ST_CORRUPT);
    if (!table_properties_check(&p)) return status_of(ST_CORRUPT);
    *ret_properties = p;
    return status_of(ST_OK);
}
