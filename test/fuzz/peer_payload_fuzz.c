/* Any bytes as the payload of any type; the first byte chooses. What is decoded is encoded
 * and decoded again: all but the text of a float has one encoding only, so the bytes must be
 * the same, and with a float the second encoding must be that of the first. */
#include "base/assert.h"
#include "base/mem.h"
#include "proto/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Room for what is encoded from an input of libFuzzer's size. */
#define OUT_BYTES_MAX (2u * 1024 * 1024)

static struct row_page page;

/* Every view must be readable to its end. */
static void touch(struct bytes view) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < view.len; i++) sum ^= view.ptr[i];
    (void)sum;
}

static STATUS hello_again(struct bytes in, struct buffer *out) {
    struct peer_hello m;
    TRY(peer_hello_decode(in, &m));
    ASSERT(m.shards >= 1 && m.shards <= SHARDS_MAX);
    ASSERT(m.from_shard < m.shards);
    ASSERT(m.address.len <= PEER_TEXT_BYTES_MAX);
    peer_hello_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS refuse_again(struct bytes in, struct buffer *out) {
    struct bytes text;
    TRY(peer_refuse_decode(in, &text));
    ASSERT(text.len <= PEER_TEXT_BYTES_MAX);
    peer_refuse_encode(text, out);
    return status_of(ST_OK);
}

static STATUS ping_again(struct bytes in, struct buffer *out) {
    struct peer_ping m;
    TRY(peer_ping_decode(in, &m));
    peer_ping_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS accept_again(struct bytes in, struct buffer *out) {
    struct peer_accept m;
    TRY(peer_accept_decode(in, &m));
    ASSERT(m.record.ikey.len >= 3 && m.record.ikey.len <= IKEY_BYTES_MAX);
    ASSERT(!ballot_is_zero(m.record.version));
    touch(m.record.value);
    peer_accept_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS accepted_again(struct bytes in, struct buffer *out) {
    struct peer_accepted m;
    TRY(peer_accepted_decode(in, &m));
    peer_accepted_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS query_again(struct bytes in, struct buffer *out) {
    struct peer_query m;
    TRY(peer_query_decode(in, &m));
    ASSERT(m.ikey.len >= 3 && m.ikey.len <= IKEY_BYTES_MAX);
    peer_query_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS answer_again(struct bytes in, struct buffer *out) {
    struct peer_answer m;
    TRY(peer_answer_decode(in, &m));
    ASSERT(m.record.value.len == 0 || m.record.value.len == m.value_len);
    touch(m.record.value);
    peer_answer_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS request_again(struct bytes in, struct buffer *out) {
    struct request q;
    uint32_t timeout_ms;
    TRY(peer_request_decode(in, &q, &timeout_ms));
    ASSERT(q.op != OP_SINGLE_KEY_END);
    ASSERT((q.op < OP_SINGLE_KEY_END) == (q.key.len > 0));
    ASSERT(q.key.len <= KEY_BYTES_MAX);
    const struct bytes views[] = {
        q.key, q.value, q.expected, q.start, q.end, q.prefix, q.pattern
    };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) touch(views[i]);
    peer_request_encode(&q, timeout_ms, out);
    return status_of(ST_OK);
}

static STATUS response_again(struct bytes in, struct buffer *out) {
    struct response r;
    TRY(peer_response_decode(in, &page, &r));
    ASSERT((uint32_t)r.outcome < OUTCOMES);
    touch(r.value);
    for (uint32_t i = 0; r.page != NULL && i < r.page->count; i++) touch(r.page->rows[i].value);
    peer_response_encode(&r, out);
    return status_of(ST_OK);
}

static STATUS range_again(struct bytes in, struct buffer *out) {
    struct peer_range m;
    TRY(peer_range_decode(in, &m));
    ASSERT(m.slots_rest < m.slots_modulo);
    peer_range_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS versions_again(struct bytes in, struct buffer *out) {
    struct peer_versions m;
    TRY(peer_versions_decode(in, &m));
    struct buffer list;
    struct peer_version v;
    struct bytes rest = m.list;
    uint32_t count = 0;
    buffer_init(&list, OUT_BYTES_MAX);
    for (; peer_versions_next(&rest, &v); count++) peer_versions_append(&list, &v);
    ASSERT(count == m.count);
    ASSERT(bytes_equal(buffer_bytes(&list), m.list));
    m.list = buffer_bytes(&list);
    peer_versions_encode(&m, out);
    buffer_deinit(&list);
    return status_of(ST_OK);
}

static STATUS floor_again(struct bytes in, struct buffer *out) {
    struct peer_floor m;
    TRY(peer_floor_decode(in, &m));
    peer_floor_encode(&m, out);
    return status_of(ST_OK);
}

static STATUS control_again(struct bytes in, struct buffer *out) {
    struct bytes message;
    TRY(peer_control_decode(in, &message));
    peer_control_encode(message, out);
    return status_of(ST_OK);
}

static struct status (*const again[PEER_TYPES])(struct bytes in, struct buffer *out) = {
    [PEER_HELLO] = hello_again,     [PEER_REFUSE] = refuse_again,
    [PEER_PING] = ping_again,       [PEER_PONG] = ping_again,
    [PEER_ACCEPT] = accept_again,   [PEER_ACCEPTED] = accepted_again,
    [PEER_QUERY] = query_again,     [PEER_ANSWER] = answer_again,
    [PEER_FORWARD] = request_again, [PEER_RESPONSE] = response_again,
    [PEER_RANGE] = range_again,     [PEER_VERSIONS] = versions_again,
    [PEER_FLOOR] = floor_again,     [PEER_CONTROL] = control_again,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    const uint8_t type = data[0] % PEER_TYPES;
    if (again[type] == NULL) return 0;
    /* The bytes end where the block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(size);
    memcpy(exact, data, size);
    const struct bytes in = bytes_of(exact + 1, size - 1);
    struct buffer first;
    struct buffer second;
    buffer_init(&first, OUT_BYTES_MAX);
    buffer_init(&second, OUT_BYTES_MAX);
    const struct status s = again[type](in, &first);
    if (status_ok(s)) {
        ASSERT(!first.overflowed);
        const bool has_float = type == PEER_FORWARD && in.ptr[0] == OP_INCR_FLOAT;
        if (!has_float) ASSERT(bytes_equal(buffer_bytes(&first), in));
        ASSERT(status_ok(again[type](buffer_bytes(&first), &second)));
        ASSERT(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    } else {
        ASSERT(s.code == ST_CORRUPT || (s.code == ST_INVALID && type == PEER_HELLO));
        ASSERT(buffer_len(&first) == 0);
    }
    buffer_deinit(&second);
    buffer_deinit(&first);
    mem_free(exact);
    return 0;
}
