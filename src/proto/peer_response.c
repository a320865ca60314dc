#include "proto/peer_internal.h"

#include "base/assert.h"

/* RESPONSE. A fixed part, then only those fields that are not zero or empty, in the order of
 * their bits, then the page of a scan. */

#define FIXED_BYTES 5u

#define HAS_EXISTED 0x01u /* this and UNTRIED are fields themselves: nothing follows for them */
#define HAS_VERSION 0x02u
#define HAS_EXPIRES 0x04u
#define HAS_VALUE_LEN 0x08u
#define HAS_VALUE 0x10u
#define HAS_INTEGER 0x20u
#define HAS_PAGE 0x40u
#define HAS_UNTRIED 0x80u

#define PAGE_MORE 0x01u
#define PAGE_FLOOR 0x02u
#define PAGE_FLAGS_KNOWN 0x03u

#define ROW_ABSENT 0x01u
#define ROW_EXPIRY 0x02u
#define ROW_VALUE 0x04u
#define ROW_FLAGS_KNOWN 0x07u

#define ROOM_BYTES (FIXED_BYTES + BALLOT_BYTES + 8u + 2u * PEER_RUN_LEN_BYTES_MAX + 8u)
#define PAGE_ROOM_BYTES (1u + 2u + PEER_RUN_LEN_BYTES_MAX + BALLOT_BYTES)
#define ROW_ROOM_BYTES (1u + 2u * PEER_RUN_LEN_BYTES_MAX + BALLOT_BYTES + 8u)

static_assert(ROW_PAGE_ROWS_MAX <= UINT16_MAX, "the count of rows is two bytes");
static_assert(ROOM_BYTES + PAGE_ROOM_BYTES + ROW_PAGE_ROWS_MAX * ROW_ROOM_BYTES +
                      ROW_PAGE_BYTES_MAX + 2 * KEY_BYTES_MAX + VALUE_BYTES_MAX <=
                  PEER_PAYLOAD_BYTES_MAX,
              "the fullest page fits: it passes its limit by a row, and ends with a key");
static_assert(ROOM_BYTES + VALUE_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX, "so does a value");

/* Rows ascend and `last` is not before them; whoever goes on behind a page needs a place. */
static bool page_check(const struct row_page *page) {
    if (page->count > ROW_PAGE_ROWS_MAX || page->last.len > KEY_BYTES_MAX) return false;
    if (page->more && page->last.len == 0) return false;
    struct bytes before = BYTES_NONE;
    for (uint32_t i = 0; i < page->count; i++) {
        const struct row *row = &page->rows[i];
        if (row->key.len < KEY_BYTES_MIN || row->key.len > KEY_BYTES_MAX) return false;
        if (row->value.len > VALUE_BYTES_MAX) return false;
        if (bytes_compare(before, row->key) >= 0) return false;
        before = row->key;
    }
    return page->last.len == 0 || bytes_compare(before, page->last) <= 0;
}

/* A scan that failed has no page: what its walk had gathered so far means nothing. */
static const struct row_page *page_of(const struct response *r) {
    return r->outcome == OUT_OK ? r->page : NULL;
}

static bool response_check(const struct response *r) {
    if ((uint32_t)r->outcome >= OUTCOMES) return false;
    if (r->acks > REPLICAS_MAX || r->needed > REPLICAS_MAX) return false;
    if (r->replicas > REPLICAS_MAX) return false;
    if (r->value.len > VALUE_BYTES_MAX || r->value_len > VALUE_BYTES_MAX) return false;
    const struct row_page *page = page_of(r);
    return page == NULL || page_check(page);
}

static uint8_t fields_of(const struct response *r) {
    const struct row_page *page = page_of(r);
    uint32_t has = 0;
    if (r->existed) has |= HAS_EXISTED;
    if (!ballot_is_zero(r->version)) has |= HAS_VERSION;
    if (r->expires_at_ms != 0) has |= HAS_EXPIRES;
    if (r->value_len != 0) has |= HAS_VALUE_LEN;
    if (r->value.len != 0) has |= HAS_VALUE;
    if (r->integer != 0) has |= HAS_INTEGER;
    if (page != NULL) has |= HAS_PAGE;
    if (r->untried) has |= HAS_UNTRIED;
    return (uint8_t)has;
}

static void encode_row(const struct row *row, struct buffer *out) {
    const size_t room = ROW_ROOM_BYTES + row->key.len + row->value.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t flags = 0;
    if (row->absent) flags |= ROW_ABSENT;
    if (row->expires_at_ms != 0) flags |= ROW_EXPIRY;
    if (row->value.len != 0) flags |= ROW_VALUE;
    uint8_t *p = peer_put_u8(begin, flags);
    p = peer_put_ballot(p, row->version);
    p = peer_put_run(p, row->key);
    if (flags & ROW_EXPIRY) p = peer_put_u64(p, row->expires_at_ms);
    if (flags & ROW_VALUE) p = peer_put_run(p, row->value);
    peer_commit(out, begin, p, room);
}

static void encode_page(const struct row_page *page, struct buffer *out) {
    const size_t room = PAGE_ROOM_BYTES + page->last.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    uint8_t flags = 0;
    if (page->more) flags |= PAGE_MORE;
    if (!ballot_is_zero(page->floor)) flags |= PAGE_FLOOR;
    uint8_t *p = peer_put_u8(begin, flags);
    p = peer_put_u16(p, (uint16_t)page->count);
    p = peer_put_run(p, page->last);
    if (flags & PAGE_FLOOR) p = peer_put_ballot(p, page->floor);
    peer_commit(out, begin, p, room);
    for (uint32_t i = 0; i < page->count; i++) encode_row(&page->rows[i], out);
}

void peer_response_encode(const struct response *r, struct buffer *out) {
    ASSERT(response_check(r));
    const size_t room = ROOM_BYTES + r->value.len;
    uint8_t *const begin = buffer_reserve(out, room);
    if (begin == NULL) return;
    const uint8_t has = fields_of(r);
    uint8_t *p = begin;
    p = peer_put_u8(p, (uint8_t)r->outcome);
    p = peer_put_u8(p, has);
    p = peer_put_u8(p, r->acks);
    p = peer_put_u8(p, r->needed);
    p = peer_put_u8(p, r->replicas);
    ASSERT(p == begin + FIXED_BYTES);
    if (has & HAS_VERSION) p = peer_put_ballot(p, r->version);
    if (has & HAS_EXPIRES) p = peer_put_u64(p, r->expires_at_ms);
    if (has & HAS_VALUE_LEN) p += put_varint(p, r->value_len);
    if (has & HAS_VALUE) p = peer_put_run(p, r->value);
    if (has & HAS_INTEGER) p = peer_put_u64(p, (uint64_t)r->integer);
    peer_commit(out, begin, p, room);
    if (has & HAS_PAGE) encode_page(r->page, out);
}

static void take_row(struct cursor *c, struct row *ret) {
    struct row row = { .absent = false };
    const uint8_t flags = peer_take_flags(c, ROW_FLAGS_KNOWN);
    row.absent = (flags & ROW_ABSENT) != 0;
    row.version = peer_take_ballot(c);
    row.key = peer_take_run(c, KEY_BYTES_MIN, KEY_BYTES_MAX);
    if (flags & ROW_EXPIRY) {
        row.expires_at_ms = cursor_u64_le(c);
        if (row.expires_at_ms == 0) c->failed = true;
    }
    if (flags & ROW_VALUE) row.value = peer_take_run(c, 1, VALUE_BYTES_MAX);
    *ret = row;
}

static void take_page(struct cursor *c, struct row_page *page) {
    const uint8_t flags = peer_take_flags(c, PAGE_FLAGS_KNOWN);
    page->more = (flags & PAGE_MORE) != 0;
    page->count = cursor_u16_le(c);
    page->last = peer_take_run(c, 0, KEY_BYTES_MAX);
    page->floor = (flags & PAGE_FLOOR) ? peer_take_ballot(c) : (struct ballot){ 0 };
    if ((flags & PAGE_FLOOR) && ballot_is_zero(page->floor)) c->failed = true;
    if (page->count > ROW_PAGE_ROWS_MAX) c->failed = true;
    for (uint32_t i = 0; i < page->count && !c->failed; i++) take_row(c, &page->rows[i]);
}

STATUS peer_response_decode(struct bytes in, struct row_page *page, struct response *ret) {
    ASSERT(page != NULL);
    struct cursor c = cursor_of(in);
    struct response r = { .outcome = (enum outcome)cursor_u8(&c) };
    const uint8_t has = cursor_u8(&c);
    r.existed = (has & HAS_EXISTED) != 0;
    r.untried = (has & HAS_UNTRIED) != 0;
    r.acks = cursor_u8(&c);
    r.needed = cursor_u8(&c);
    r.replicas = cursor_u8(&c);
    if (has & HAS_VERSION) r.version = peer_take_ballot(&c);
    if (has & HAS_EXPIRES) r.expires_at_ms = cursor_u64_le(&c);
    if (has & HAS_VALUE_LEN) r.value_len = peer_take_varint(&c, VALUE_BYTES_MAX);
    if (has & HAS_VALUE) r.value = peer_take_run(&c, 1, VALUE_BYTES_MAX);
    if (has & HAS_INTEGER) r.integer = (int64_t)cursor_u64_le(&c);
    if (has & HAS_PAGE) {
        take_page(&c, page);
        r.page = page;
    }
    /* What is announced is there, and a page is that of a scan that succeeded. */
    if (!cursor_done(&c) || fields_of(&r) != has) return status_of(ST_CORRUPT);
    if (!response_check(&r)) return status_of(ST_CORRUPT);
    *ret = r;
    return status_of(ST_OK);
}
