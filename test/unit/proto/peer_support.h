/* peer_support.h - samples of every message of the peer protocol, and what is done with each.
 *
 * The samples are what the golden frames, the truncations and the flipped bits are made
 * from; fields that a message can have are set in at least one of them.
 *
 * Memory  samples are constant; a buffer belongs to the test
 */
#ifndef TEST_PEER_SUPPORT_H
#define TEST_PEER_SUPPORT_H

#include "base/mem.h"
#include "proto/peer.h"
#include "test/unit/harness.h"

#define SUPPORT_BYTES_MAX (2u * PEER_PAYLOAD_BYTES_MAX)

struct payload_sample {
    enum peer_type type;
    uint8_t flags; /* PEER_FLAG_* of its frame */
    bool bare;     /* no structure: a piece of it is another payload */
    void (*write)(struct buffer *out);
};

static inline void write_hello(struct buffer *out) {
    const struct peer_hello m = {
        .version = PEER_VERSION,
        .shards = 4,
        .from_shard = 3,
        .to_shard = 63,
        .member = 0xa1a2a3a4,
        .node_id = 0xb1b2b3b4,
        .boot_count = 12,
        .flags = PEER_HELLO_FRESH,
        .cluster = { 0xc8, 0xc7, 0xc6, 0xc5, 0xc4, 0xc3, 0xc2, 0xc1 },
        .wall_ms = UINT64_C(0xd1d2d3d4d5d6),
        .address = BYTES_LIT("10.0.0.1:8080"),
        .release = BYTES_LIT("0.2.0"),
    };
    peer_hello_encode(&m, out);
}

static inline void write_hello_proxy(struct buffer *out) {
    const struct peer_hello m = { .version = PEER_VERSION, .shards = 1, .flags = PEER_HELLO_PROXY };
    peer_hello_encode(&m, out);
}

static inline void write_refuse(struct buffer *out) {
    peer_refuse_encode(BYTES_LIT("another cluster"), out);
}

static inline void write_ping(struct buffer *out) {
    const struct peer_ping m = { .sent_wall_ms = 0x1112131415 };
    peer_ping_encode(&m, out);
}

static inline void write_pong(struct buffer *out) {
    const struct peer_ping m = { 0x1112131415, 0x2122232425, UINT64_MAX, 1, PEER_HELLO_FRESH };
    peer_ping_encode(&m, out);
}

static inline void write_accept(struct buffer *out) {
    const struct peer_accept m = {
        .epoch = UINT64_C(0x4142434445464748),
        .record = { .ikey = BYTES_LIT("\x01\x02key"),
                    .version = { UINT64_C(0x0102030405060708), 0x090a0b0c, 0x0d0e0f10 },
                    .expires_at_ms = UINT64_C(0x2122232425262728),
                    .op_high = 0x31,
                    .op_low = UINT64_MAX,
                    .value = BYTES_LIT("value\x00") },
    };
    peer_accept_encode(&m, out);
}

static inline void write_accept_tombstone(struct buffer *out) {
    const struct peer_accept m = {
        .epoch = 1,
        .record = { .ikey = BYTES_LIT("\x00\x00k"), .version = { 1, 2, 3 }, .tombstone = true },
    };
    peer_accept_encode(&m, out);
}

static inline void write_accepted(struct buffer *out) {
    const struct peer_accepted m = { PEER_ACCEPT_FLOOR };
    peer_accepted_encode(&m, out);
}

static inline void write_query(struct buffer *out) {
    const struct peer_query m = { UINT64_C(0x5152535455565758), BYTES_LIT("\x00\x00key") };
    peer_query_encode(&m, out);
}

static inline void write_answer(struct buffer *out) {
    const struct peer_answer m = {
        .status = PEER_ANSWER_FOUND,
        .record = { .version = { 7, 8, 9 }, .expires_at_ms = 5, .value = BYTES_LIT("abc") },
        .value_len = 3,
    };
    peer_answer_encode(&m, out);
}

static inline void write_answer_digest(struct buffer *out) {
    const struct peer_answer m = {
        .status = PEER_ANSWER_FOUND,
        .record = { .version = { 7, 8, 9 }, .op_low = 1 },
        .value_len = VALUE_BYTES_MAX,
    };
    peer_answer_encode(&m, out);
}

static inline void write_answer_abstain(struct buffer *out) {
    const struct peer_answer m = { .status = PEER_ANSWER_ABSTAIN };
    peer_answer_encode(&m, out);
}

static inline void write_forward(struct buffer *out) {
    const struct request q = {
        .op = OP_PUT,
        .condition = COND_VALUE_IS,
        .expiry = EXPIRY_AT,
        .level = LEVEL_COUNT,
        .level_count = 2,
        .keyspace = 0x0102,
        .flags = REQUEST_RETURN_OLD,
        .key = BYTES_LIT("key"),
        .value = BYTES_LIT("value"),
        .expected = BYTES_LIT("old"),
        .version = { 1, 2, 3 },
        .expires_at_ms = 0x1122334455,
        .op_high = 4,
        .op_low = 5,
        .session = { 6, 7, 8 },
        .stamp = { 9, 10, 11 },
    };
    peer_request_encode(&q, 1500, out);
}

static inline void write_forward_get(struct buffer *out) {
    const struct request q = { .op = OP_GET, .key = BYTES_LIT("k") };
    peer_request_encode(&q, 0, out);
}

static inline void write_forward_expire(struct buffer *out) {
    const struct request q = { .op = OP_EXPIRE,
                               .expiry = EXPIRY_CLEAR,
                               .expire_when = EXPIRE_IF_SOME,
                               .key = BYTES_LIT("k") };
    peer_request_encode(&q, 1, out);
}

static inline void write_forward_incr(struct buffer *out) {
    const struct request q = { .op = OP_INCR, .key = BYTES_LIT("k"), .increment = INT64_MIN };
    peer_request_encode(&q, UINT32_MAX, out);
}

static inline void write_forward_incr_float(struct buffer *out) {
    const struct request q = { .op = OP_INCR_FLOAT,
                               .key = BYTES_LIT("k"),
                               .increment_float = -0x1.8p-3L };
    peer_request_encode(&q, 1, out);
}

static inline void write_forward_scan(struct buffer *out) {
    const struct request q = {
        .op = OP_SCAN,
        .flags = REQUEST_NO_VALUE,
        .start = BYTES_LIT("a"),
        .end = BYTES_LIT("az"),
        .prefix = BYTES_LIT("a"),
        .pattern = BYTES_LIT("a*"),
        .has_end = true,
        .start_exclusive = true,
        .rows_max = ROW_PAGE_ROWS_MAX,
        .epoch = UINT64_C(0x6162636465666768),
    };
    peer_request_encode(&q, 1, out);
}

static inline void write_response(struct buffer *out) {
    const struct response r = {
        .outcome = OUT_QUORUM,
        .existed = true,
        .version = { 1, 2, 3 },
        .expires_at_ms = 4,
        .value_len = 300,
        .value = BYTES_LIT("old"),
        .integer = -1,
        .acks = 1,
        .needed = 2,
        .replicas = 3,
        .untried = true,
    };
    peer_response_encode(&r, out);
}

static inline void write_response_page(struct buffer *out) {
    struct row_page *page = mem_alloc_zeroed(sizeof *page);
    page->count = 3;
    page->more = true;
    page->last = BYTES_LIT("cc");
    page->rows[0] = (struct row){
        .key = BYTES_LIT("a"), .value = BYTES_LIT("1"), .version = { 1, 2, 3 }, .expires_at_ms = 9
    };
    page->rows[1] = (struct row){ .key = BYTES_LIT("b"), .version = { 4, 5, 6 }, .absent = true };
    page->rows[2] = (struct row){ .key = BYTES_LIT("c"), .version = { 7, 8, 9 } };
    const struct response r = { .outcome = OUT_OK, .integer = 3, .page = page };
    peer_response_encode(&r, out);
    mem_free(page);
}

static inline void write_range(struct buffer *out) {
    const struct peer_range m = {
        .start = BYTES_LIT("\x00\x01"),
        .end = BYTES_LIT("\x00\x01zz"),
        .slots_modulo = 12,
        .slots_rest = 11,
        .below_stamp = UINT64_C(0x4142434445464748),
        .floor_stamp = UINT64_C(0x2122232425262728),
        .verified_stamp = UINT64_C(0x3132333435363738),
        .count = PEER_VERSIONS_MAX,
        .hash = UINT64_C(0x5152535455565758),
        .settled = UINT64_C(0x6162636465666768),
    };
    peer_range_encode(&m, out);
}

static inline void write_versions(struct buffer *out) {
    struct buffer list;
    buffer_init(&list, SUPPORT_BYTES_MAX);
    peer_versions_append(&list, &(struct peer_version){ BYTES_LIT("\x00\x00k"), { 1, 2, 3 } });
    peer_versions_append(&list, &(struct peer_version){ BYTES_LIT("\x00\x00ka"), { 4, 5, 6 } });
    const struct peer_versions m = { .status = PEER_VERSIONS_LIST,
                                     .last = BYTES_LIT("\x00\x00kb"),
                                     .count = 2,
                                     .list = buffer_bytes(&list) };
    peer_versions_encode(&m, out);
    buffer_deinit(&list);
}

static inline void write_versions_equal(struct buffer *out) {
    const struct peer_versions m = { .status = PEER_VERSIONS_EQUAL };
    peer_versions_encode(&m, out);
}

static inline void write_floor(struct buffer *out) {
    const struct peer_floor m = { 0x0102, { 3, 4, 5 } };
    peer_floor_encode(&m, out);
}

static inline void write_control(struct buffer *out) {
    peer_control_encode(BYTES_LIT("\x01\x02\x03"), out);
}

static const struct payload_sample samples[] = {
    { PEER_HELLO, 0, false, write_hello },
    { PEER_REFUSE, 0, true, write_refuse },
    { PEER_PING, 0, false, write_ping },
    { PEER_PONG, 0, false, write_pong },
    { PEER_ACCEPT, PEER_FLAG_HINT, false, write_accept },
    { PEER_ACCEPTED, 0, false, write_accepted },
    { PEER_QUERY, PEER_FLAG_DIGEST, true, write_query },
    { PEER_ANSWER, 0, false, write_answer },
    { PEER_FORWARD, PEER_FLAG_LOCAL, false, write_forward },
    { PEER_RESPONSE, 0, false, write_response },
    { PEER_RANGE, 0, false, write_range },
    { PEER_VERSIONS, 0, false, write_versions },
    { PEER_FLOOR, 0, false, write_floor },
    { PEER_CONTROL, 0, true, write_control },
    /* From here on a type again. */
    { PEER_HELLO, 0, false, write_hello_proxy },
    { PEER_ACCEPT, PEER_FLAG_REPAIR, false, write_accept_tombstone },
    { PEER_ANSWER, PEER_FLAG_DIGEST, false, write_answer_digest },
    { PEER_ANSWER, 0, false, write_answer_abstain },
    { PEER_FORWARD, 0, false, write_forward_get },
    { PEER_FORWARD, 0, false, write_forward_expire },
    { PEER_FORWARD, 0, false, write_forward_incr },
    { PEER_FORWARD, 0, false, write_forward_incr_float },
    { PEER_FORWARD, 0, false, write_forward_scan },
    { PEER_RESPONSE, 0, false, write_response_page },
    { PEER_VERSIONS, 0, false, write_versions_equal },
};

#define SAMPLES_COUNT (sizeof samples / sizeof *samples)

/* Decode a payload of this type and encode it again. */
static inline STATUS payload_again(enum peer_type type, struct bytes in, struct buffer *out) {
    struct row_page *page = NULL;
    struct status s = status_of(ST_CORRUPT);
    struct peer_hello hello;
    struct peer_ping ping;
    struct peer_accept accept;
    struct peer_query query;
    struct peer_accepted accepted;
    struct peer_answer answer;
    struct request request;
    struct response response;
    struct peer_range range;
    struct peer_versions versions;
    struct peer_floor floor;
    struct bytes text;
    uint32_t timeout_ms = 0;
    switch (type) {
    case PEER_HELLO:
        if (status_ok(s = peer_hello_decode(in, &hello))) peer_hello_encode(&hello, out);
        break;
    case PEER_REFUSE:
        if (status_ok(s = peer_refuse_decode(in, &text))) peer_refuse_encode(text, out);
        break;
    case PEER_PING:
    case PEER_PONG:
        if (status_ok(s = peer_ping_decode(in, &ping))) peer_ping_encode(&ping, out);
        break;
    case PEER_ACCEPT:
        if (status_ok(s = peer_accept_decode(in, &accept))) peer_accept_encode(&accept, out);
        break;
    case PEER_ACCEPTED:
        if (status_ok(s = peer_accepted_decode(in, &accepted)))
            peer_accepted_encode(&accepted, out);
        break;
    case PEER_QUERY:
        if (status_ok(s = peer_query_decode(in, &query))) peer_query_encode(&query, out);
        break;
    case PEER_ANSWER:
        if (status_ok(s = peer_answer_decode(in, &answer))) peer_answer_encode(&answer, out);
        break;
    case PEER_FORWARD:
        if (status_ok(s = peer_request_decode(in, &request, &timeout_ms)))
            peer_request_encode(&request, timeout_ms, out);
        break;
    case PEER_RESPONSE:
        page = mem_alloc(sizeof *page);
        if (status_ok(s = peer_response_decode(in, page, &response)))
            peer_response_encode(&response, out);
        mem_free(page);
        break;
    case PEER_RANGE:
        if (status_ok(s = peer_range_decode(in, &range))) peer_range_encode(&range, out);
        break;
    case PEER_VERSIONS:
        if (status_ok(s = peer_versions_decode(in, &versions)))
            peer_versions_encode(&versions, out);
        break;
    case PEER_FLOOR:
        if (status_ok(s = peer_floor_decode(in, &floor))) peer_floor_encode(&floor, out);
        break;
    case PEER_CONTROL:
        if (status_ok(s = peer_control_decode(in, &text))) peer_control_encode(text, out);
        break;
    case PEER_TYPES: break;
    }
    return s;
}

/* Bytes in a block of their own, so that a read past their end is one past the block. */
static inline uint8_t *exact_copy(struct bytes in) {
    uint8_t *copy = mem_alloc(in.len == 0 ? 1 : in.len);
    if (in.len > 0) memcpy(copy, in.ptr, in.len);
    return copy;
}

#endif
