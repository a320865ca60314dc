/* An answer comes back from another node with every field and row it had. */
#include "peer_support.h"

static void same_page(const struct row_page *a, const struct row_page *b) {
    CHECK_EQ(a->count, b->count);
    CHECK_EQ(a->more, b->more);
    CHECK_BYTES(a->last, b->last);
    CHECK_EQ(ballot_compare(a->floor, b->floor), 0);
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK_BYTES(a->rows[i].key, b->rows[i].key);
        CHECK_BYTES(a->rows[i].value, b->rows[i].value);
        CHECK_EQ(ballot_compare(a->rows[i].version, b->rows[i].version), 0);
        CHECK_EQ(a->rows[i].expires_at_ms, b->rows[i].expires_at_ms);
        CHECK_EQ(a->rows[i].absent, b->rows[i].absent);
    }
}

/* Through a whole frame, so that the limit of a payload is seen to hold too. */
static void round_trip(const struct response *r) {
    struct buffer space;
    struct peer_frame f;
    struct response back;
    size_t consumed = 0;
    size_t need = 0;
    struct row_page *page = mem_alloc(sizeof *page);
    memset(page, 0xaa, sizeof *page);
    buffer_init(&space, SUPPORT_BYTES_MAX);
    const size_t begun = peer_begin(&space, PEER_RESPONSE, 0, 1, 1);
    peer_response_encode(r, &space);
    peer_end(&space, begun);
    CHECK(!space.overflowed);
    CHECK_OK(peer_decode(buffer_bytes(&space), &f, &consumed, &need));
    CHECK_OK(peer_response_decode(f.payload, page, &back));
    CHECK_EQ(back.outcome, r->outcome);
    CHECK_EQ(back.existed, r->existed);
    CHECK_EQ(back.untried, r->untried);
    CHECK_EQ(ballot_compare(back.version, r->version), 0);
    CHECK_EQ(back.expires_at_ms, r->expires_at_ms);
    CHECK_EQ(back.value_len, r->value_len);
    CHECK_BYTES(back.value, r->value);
    CHECK_EQ(back.integer, r->integer);
    CHECK_EQ(back.acks, r->acks);
    CHECK_EQ(back.needed, r->needed);
    CHECK_EQ(back.replicas, r->replicas);
    if (r->page == NULL || r->outcome != OUT_OK) {
        CHECK(back.page == NULL);
    } else {
        CHECK(back.page == page);
        same_page(page, r->page);
    }
    mem_free(page);
    buffer_deinit(&space);
}

TEST(peer_response, carries_everything) {
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    round_trip(&(struct response){
        .outcome = OUT_OK,
        .existed = true,
        .untried = true,
        .version = { UINT64_MAX, UINT32_MAX, UINT32_MAX },
        .expires_at_ms = UINT64_MAX,
        .value_len = VALUE_BYTES_MAX,
        .value = bytes_of(value, VALUE_BYTES_MAX),
        .integer = INT64_MIN,
        .acks = REPLICAS_MAX,
        .needed = REPLICAS_MAX,
        .replicas = REPLICAS_MAX,
    });
    for (uint32_t outcome = 0; outcome < OUTCOMES; outcome++) {
        round_trip(&(struct response){ .outcome = (enum outcome)outcome });
        round_trip(&(struct response){ .outcome = (enum outcome)outcome, .integer = INT64_MAX });
    }
    mem_free(value);
}

/* The fullest page there can be: all rows, its limit passed by the longest row, and the longest
 * key examined behind it. */
TEST(peer_response, the_fullest_page_fits) {
    struct row_page *page = mem_alloc_zeroed(sizeof *page);
    uint8_t *keys = mem_alloc_zeroed(ROW_PAGE_ROWS_MAX * 2);
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    uint8_t *longest = mem_alloc_zeroed(KEY_BYTES_MAX);
    memset(longest, 0xff, KEY_BYTES_MAX);
    size_t bytes = 0;
    for (uint32_t i = 0; i < ROW_PAGE_ROWS_MAX; i++) {
        keys[2 * i] = (uint8_t)(i >> 8);
        keys[2 * i + 1] = (uint8_t)i;
        struct row *row = &page->rows[i];
        *row = (struct row){ .key = bytes_of(keys + 2 * i, 2),
                             .value = bytes_of(value, 254),
                             .version = { i + 1, UINT32_MAX, UINT32_MAX },
                             .expires_at_ms = UINT64_MAX,
                             .absent = i % 3 == 0 };
        bytes += row->key.len + row->value.len;
    }
    CHECK(bytes >= ROW_PAGE_BYTES_MAX);
    page->rows[ROW_PAGE_ROWS_MAX - 1].key = bytes_of(longest, KEY_BYTES_MAX);
    page->rows[ROW_PAGE_ROWS_MAX - 1].value = bytes_of(value, VALUE_BYTES_MAX);
    page->count = ROW_PAGE_ROWS_MAX;
    page->more = true;
    page->last = bytes_of(longest, KEY_BYTES_MAX);
    page->floor = (struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX };
    round_trip(&(struct response){ .outcome = OUT_OK, .integer = 1024, .page = page });
    mem_free(longest);
    mem_free(value);
    mem_free(keys);
    mem_free(page);
}

/* An empty page is a page. One that was gathered before the scan failed is not sent, whatever
 * state it is in. */
TEST(peer_response, pages_without_rows) {
    struct row_page *page = mem_alloc_zeroed(sizeof *page);
    round_trip(&(struct response){ .outcome = OUT_OK, .page = page });
    page->last = BYTES_LIT("examined");
    page->more = true;
    round_trip(&(struct response){ .outcome = OUT_OK, .page = page });
    page->floor = (struct ballot){ .stamp = 1 };
    round_trip(&(struct response){ .outcome = OUT_OK, .page = page });
    page->count = 2;
    page->last = BYTES_NONE;
    round_trip(&(struct response){ .outcome = OUT_CORRUPT, .page = page });
    mem_free(page);
}

static enum status_code decode(struct bytes in) {
    struct row_page *page = mem_alloc(sizeof *page);
    struct response back = { .acks = 99 };
    const struct status s = peer_response_decode(in, page, &back);
    CHECK(status_ok(s) ? back.acks != 99 : back.acks == 99);
    mem_free(page);
    return s.code;
}

#define ROW(key) "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" key
#define PAGE(more) "\0\x40\0\0\0" more
#define ZERO_FLOOR "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

TEST(peer_response, bytes_out_of_range_are_corrupt) {
    CHECK_EQ(decode(BYTES_LIT("\0\0\0\0\0")), ST_OK);
    const uint8_t last[] = { OUTCOMES - 1, 1, REPLICAS_MAX, REPLICAS_MAX, REPLICAS_MAX };
    CHECK_EQ(decode(bytes_of(last, sizeof last)), ST_OK);
    for (size_t at = 0; at < sizeof last; at++) {
        uint8_t p[sizeof last];
        if (at == 1) continue;
        memcpy(p, last, sizeof p);
        p[at]++;
        CHECK_EQ(decode(bytes_of(p, sizeof p)), ST_CORRUPT);
    }
    /* Announced and zero, or longer than it need be. */
    CHECK_EQ(decode(BYTES_LIT("\0\x04\0\0\0\0\0\0\0\0\0\0\0")), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT("\0\x08\0\0\0\0")), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT("\0\x08\0\0\0\x81\0")), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT("\0\x08\0\0\0\x81\x80\x80\x08")), ST_CORRUPT); /* 16 MiB + 1 */
    CHECK_EQ(decode(BYTES_LIT("\0\x10\0\0\0\0")), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT("\0\x20\0\0\0\0\0\0\0\0\0\0\0")), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\4") "\0\0\0")), ST_CORRUPT); /* unknown flag */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\2") "\0\0\0" ZERO_FLOOR)), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT("\1\x40\0\0\0\0\0\0\0")), ST_CORRUPT); /* a page of a failure */
}

TEST(peer_response, page_contradictions_are_corrupt) {
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\2\0\0" ROW("a") ROW("b"))), ST_OK);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\2\0\1b" ROW("a") ROW("b"))), ST_OK);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\1") "\2\0\1b" ROW("a") ROW("b"))), ST_OK);
    /* Nowhere to go on; rows behind the last; out of order; twice; a row too few or many. */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\1") "\2\0\0" ROW("a") ROW("b"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\2\0\1a" ROW("a") ROW("b"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\2\0\0" ROW("b") ROW("a"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\2\0\0" ROW("a") ROW("a"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\3\0\0" ROW("a") ROW("b"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\0\0" ROW("a") ROW("b"))), ST_CORRUPT);
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\x04\0")), ST_CORRUPT); /* 1025 rows */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\0\0\x08\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1a")),
             ST_CORRUPT); /* unknown flag of a row */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\0\0\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1a")),
             ST_OK); /* absent */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1a"
                                         "\0\0\0\0\0\0\0\0")),
             ST_CORRUPT); /* an expiry of never */
    CHECK_EQ(decode(BYTES_LIT(PAGE("\0") "\1\0\0\4\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1a\0")),
             ST_CORRUPT); /* a value of nothing */
}

/* A row more than a page has room for is not written anywhere, although all of it is there:
 * the bytes behind the page stay. */
TEST(peer_response, rows_beyond_the_page_are_corrupt) {
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    for (uint32_t over = 0; over < 2; over++) {
        const uint32_t count = ROW_PAGE_ROWS_MAX + over;
        buffer_reset(&space);
        buffer_append(&space, BYTES_LIT(PAGE("\0")));
        buffer_append(&space, bytes_of((uint8_t[]){ (uint8_t)count, (uint8_t)(count >> 8), 0 }, 3));
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t key[] = { 2, (uint8_t)(i >> 8), (uint8_t)i };
            buffer_append(&space, BYTES_LIT("\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
            buffer_append(&space, bytes_of(key, sizeof key));
        }
        uint8_t *guard = mem_alloc(sizeof(struct row_page) + sizeof(struct row));
        uint8_t *const behind = guard + sizeof(struct row_page);
        struct response back;
        memset(behind, 0x77, sizeof(struct row));
        CHECK_STATUS(peer_response_decode(buffer_bytes(&space), (struct row_page *)guard, &back),
                     over ? ST_CORRUPT : ST_OK);
        for (size_t i = 0; i < sizeof(struct row); i++) CHECK_EQ(behind[i], 0x77);
        mem_free(guard);
    }
    buffer_deinit(&space);
}

TEST(peer_response, sizes_without_sense_stop) {
    struct row_page *page = mem_alloc_zeroed(sizeof *page);
    uint8_t *bytes = mem_alloc_zeroed(VALUE_BYTES_MAX + 1);
    const struct bytes long_value = bytes_of(bytes, VALUE_BYTES_MAX + 1);
    const struct bytes long_key = bytes_of(bytes, KEY_BYTES_MAX + 1);
    const struct response with_page = { .outcome = OUT_OK, .page = page };
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    CHECK_ABORTS(peer_response_encode(&(struct response){ .value = long_value }, &space));
    CHECK_ABORTS(
        peer_response_encode(&(struct response){ .value_len = VALUE_BYTES_MAX + 1 }, &space));
    page->last = long_key;
    CHECK_ABORTS(peer_response_encode(&with_page, &space));
    page->last = BYTES_NONE;
    page->count = 1;
    page->rows[0] = (struct row){ .key = long_key };
    CHECK_ABORTS(peer_response_encode(&with_page, &space));
    page->rows[0] = (struct row){ .key = BYTES_LIT("k"), .value = long_value };
    CHECK_ABORTS(peer_response_encode(&with_page, &space));
    page->rows[0].value = BYTES_NONE;
    peer_response_encode(&with_page, &space);
    CHECK_EQ(buffer_len(&space), 5 + 4 + 19);
    buffer_deinit(&space);
    mem_free(bytes);
    mem_free(page);
}

TEST(peer_response, wrong_use_stops) {
    struct row_page *page = mem_alloc_zeroed(sizeof *page);
    struct response r = { .outcome = OUT_OK, .page = page };
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    page->more = true; /* and nowhere to go on */
    CHECK_ABORTS(peer_response_encode(&r, &space));
    page->more = false;
    peer_response_encode(&r, &space);
    CHECK_ABORTS((void)peer_response_decode(buffer_bytes(&space), NULL, &r).code);
    r.acks = REPLICAS_MAX + 1;
    CHECK_ABORTS(peer_response_encode(&r, &space));
    buffer_deinit(&space);
    mem_free(page);
}
