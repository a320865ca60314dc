/* A version of a key arrives at another node as it was, whatever its size. */
#include "peer_support.h"

static void round_trip(uint64_t epoch, const struct peer_record *m) {
    struct buffer space;
    struct peer_accept back;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_accept_encode(&(struct peer_accept){ epoch, *m }, &space);
    CHECK(!space.overflowed);
    CHECK_OK(peer_accept_decode(buffer_bytes(&space), &back));
    CHECK_EQ(back.epoch, epoch);
    CHECK_BYTES(back.record.ikey, m->ikey);
    CHECK_EQ(ballot_compare(back.record.version, m->version), 0);
    CHECK_EQ(back.record.tombstone, m->tombstone);
    CHECK_EQ(back.record.expires_at_ms, m->expires_at_ms);
    CHECK_EQ(back.record.op_high, m->op_high);
    CHECK_EQ(back.record.op_low, m->op_low);
    CHECK_BYTES(back.record.value, m->value);
    buffer_deinit(&space);
}

TEST(peer_record, sizes_at_the_edges) {
    uint8_t *ikey = mem_alloc_zeroed(IKEY_BYTES_MAX);
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    memset(ikey, 0xa5, IKEY_BYTES_MAX);
    memset(value, 0x5a, VALUE_BYTES_MAX);
    round_trip(UINT64_MAX, &(struct peer_record){
                               .ikey = bytes_of(ikey, IKEY_BYTES_MAX),
                               .version = { UINT64_MAX, UINT32_MAX, UINT32_MAX },
                               .expires_at_ms = UINT64_MAX,
                               .op_high = UINT64_MAX,
                               .op_low = UINT64_MAX,
                               .value = bytes_of(value, VALUE_BYTES_MAX),
                           });
    round_trip(0, &(struct peer_record){ .ikey = bytes_of(ikey, 3), .version = { 0, 0, 1 } });
    round_trip(1, &(struct peer_record){ .ikey = bytes_of(ikey, 3),
                                         .version = { 0, 1, 0 },
                                         .tombstone = true,
                                         .expires_at_ms = 1,
                                         .op_high = 1 });
    round_trip(256, &(struct peer_record){ .ikey = bytes_of(ikey, 130),
                                           .version = { 1, 0, 0 },
                                           .op_low = 1,
                                           .value = BYTES_LIT("") });
    mem_free(value);
    mem_free(ikey);
}

/* A payload put together by hand: epoch, flags, ballot, and what follows. */
static struct status hand_made(uint8_t flags, uint64_t stamp, struct bytes rest) {
    uint8_t p[256] = { 0 };
    struct peer_accept back;
    p[0] = 7;
    p[8] = flags;
    put_u64_le(p + 9, stamp);
    memcpy(p + 25, rest.ptr, rest.len);
    return peer_accept_decode(bytes_of(p, 25 + rest.len), &back);
}

TEST(peer_record, contradictions_are_corrupt) {
    CHECK_OK(hand_made(0, 1, BYTES_LIT("\x03\0\0k\x01v")));
    CHECK_OK(hand_made(1, 1, BYTES_LIT("\x03\0\0k\0")));
    CHECK_STATUS(hand_made(1, 1, BYTES_LIT("\x03\0\0k\x01v")),
                 ST_CORRUPT); /* a tombstone's value */
    CHECK_STATUS(hand_made(8, 1, BYTES_LIT("\x03\0\0k\x01v")), ST_CORRUPT);   /* unknown flag */
    CHECK_STATUS(hand_made(0, 0, BYTES_LIT("\x03\0\0k\x01v")), ST_CORRUPT);   /* no version */
    CHECK_STATUS(hand_made(0, 1, BYTES_LIT("\x02\0\0\x01v")), ST_CORRUPT);    /* no key */
    CHECK_STATUS(hand_made(0, 1, BYTES_LIT("\x83\0\0\0k\x01v")), ST_CORRUPT); /* a longer 3 */
    CHECK_OK(hand_made(2, 1, BYTES_LIT("\0\0\0\0\0\0\0\1\x03\0\0k\0")));
    CHECK_STATUS(hand_made(2, 1, BYTES_LIT("\0\0\0\0\0\0\0\0\x03\0\0k\0")), ST_CORRUPT);
    CHECK_OK(hand_made(4, 1, BYTES_LIT("\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x03\0\0k\0")));
    CHECK_STATUS(hand_made(4, 1, BYTES_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0k\0")),
                 ST_CORRUPT);
    CHECK_ABORTS(peer_accept_encode(
        &(struct peer_accept){ 1, { .ikey = BYTES_LIT("\0\0"), .version = { 1, 1, 1 } } }, NULL));
}

/* One byte more than a key or a value may have is corrupt, although all of it is there. */
TEST(peer_record, limits_are_kept) {
    struct peer_accept back;
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    const struct peer_accept m = { 1, { .ikey = BYTES_LIT("\0\0k"), .version = { 1, 1, 1 } } };
    uint8_t *zeros = mem_alloc_zeroed(VALUE_BYTES_MAX + 1);
    peer_accept_encode(&m, &space);
    for (uint32_t over = 0; over < 2; over++) {
        space.end = 25;
        buffer_append_varint(&space, IKEY_BYTES_MAX + over);
        buffer_append(&space, bytes_of(zeros, IKEY_BYTES_MAX + over));
        buffer_append_u8(&space, 0);
        CHECK_STATUS(peer_accept_decode(buffer_bytes(&space), &back), over ? ST_CORRUPT : ST_OK);
        space.end = 25;
        buffer_append(&space, BYTES_LIT("\x03\0\0k"));
        buffer_append_varint(&space, VALUE_BYTES_MAX + over);
        buffer_append(&space, bytes_of(zeros, VALUE_BYTES_MAX + over));
        CHECK_STATUS(peer_accept_decode(buffer_bytes(&space), &back), over ? ST_CORRUPT : ST_OK);
    }
    mem_free(zeros);
    buffer_deinit(&space);
}

TEST(peer_record, accepted_and_query_have_bounds) {
    uint8_t *query = mem_alloc_zeroed(8 + IKEY_BYTES_MAX + 1); /* an epoch, then the ikey */
    struct peer_accepted accepted;
    struct peer_query back;
    for (int status = 0; status < 256; status++) {
        const uint8_t byte = (uint8_t)status;
        const bool known = status < PEER_ACCEPT_STATUSES;
        CHECK_STATUS(peer_accepted_decode(bytes_of(&byte, 1), &accepted),
                     known ? ST_OK : ST_CORRUPT);
        if (known) CHECK_EQ(accepted.status, status);
    }
    query[7] = 0x80;
    for (size_t cut = 0; cut < 11; cut++)
        CHECK_STATUS(peer_query_decode(bytes_of(query, cut), &back), ST_CORRUPT);
    CHECK_OK(peer_query_decode(bytes_of(query, 11), &back));
    CHECK_EQ(back.epoch, UINT64_C(1) << 63);
    CHECK_OK(peer_query_decode(bytes_of(query, 8 + IKEY_BYTES_MAX), &back));
    CHECK_EQ(back.ikey.len, IKEY_BYTES_MAX);
    CHECK_STATUS(peer_query_decode(bytes_of(query, 8 + IKEY_BYTES_MAX + 1), &back), ST_CORRUPT);
    CHECK_ABORTS(peer_query_encode(&(struct peer_query){ 1, BYTES_LIT("\0\0") }, NULL));
    mem_free(query);
}

static void answer_round_trip(const struct peer_answer *m) {
    struct buffer space;
    struct peer_answer back;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_answer_encode(m, &space);
    CHECK_OK(peer_answer_decode(buffer_bytes(&space), &back));
    CHECK_EQ(back.status, m->status);
    CHECK_EQ(back.value_len, m->value_len);
    CHECK_EQ(ballot_compare(back.record.version, m->record.version), 0);
    CHECK_EQ(back.record.tombstone, m->record.tombstone);
    CHECK_EQ(back.record.expires_at_ms, m->record.expires_at_ms);
    CHECK_EQ(back.record.op_high, m->record.op_high);
    CHECK_EQ(back.record.op_low, m->record.op_low);
    CHECK_EQ(back.record.ikey.len, 0);
    CHECK_BYTES(back.record.value, m->record.value);
    buffer_deinit(&space);
}

TEST(peer_record, answers_carry_everything) {
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    answer_round_trip(&(struct peer_answer){
        .status = PEER_ANSWER_FOUND,
        .record = { .version = { UINT64_MAX, UINT32_MAX, UINT32_MAX },
                    .expires_at_ms = UINT64_MAX,
                    .op_high = UINT64_MAX,
                    .op_low = UINT64_MAX,
                    .value = bytes_of(value, VALUE_BYTES_MAX) },
        .value_len = VALUE_BYTES_MAX,
    });
    answer_round_trip(&(struct peer_answer){
        .status = PEER_ANSWER_FOUND, .record = { .version = { 1, 1, 1 }, .tombstone = true } });
    answer_round_trip(&(struct peer_answer){
        .status = PEER_ANSWER_FOUND, .record = { .version = { 1, 1, 1 } }, .value_len = 9 });
    answer_round_trip(&(struct peer_answer){ .status = PEER_ANSWER_NOTHING });
    answer_round_trip(&(struct peer_answer){ .status = PEER_ANSWER_BUSY });
    answer_round_trip(&(struct peer_answer){ .status = PEER_ANSWER_STALE });
    mem_free(value);
}

TEST(peer_record, answers_without_sense_stop) {
    struct peer_answer m = { .status = PEER_ANSWER_FOUND, .record = { .version = { 1, 1, 1 } } };
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    m.value_len = VALUE_BYTES_MAX + 1;
    CHECK_ABORTS(peer_answer_encode(&m, &space));
    m.value_len = 0;
    m.record.ikey = BYTES_LIT("\0\0k"); /* the asker knows it, and it would not be sent */
    CHECK_ABORTS(peer_answer_encode(&m, &space));
    m.record.ikey = BYTES_NONE;
    peer_answer_encode(&m, &space);
    CHECK_EQ(buffer_len(&space), 20);
    buffer_deinit(&space);
}

/* Half a value is neither a digest nor an answer. */
TEST(peer_record, answers_have_whole_values) {
    struct peer_answer back = { .value_len = 99 };
    uint8_t p[] = { 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 'a', 'b' };
    CHECK_OK(peer_answer_decode(bytes_of(p, sizeof p), &back));
    CHECK_EQ(back.value_len, 2);
    p[1] = 3;
    CHECK_STATUS(peer_answer_decode(bytes_of(p, sizeof p), &back), ST_CORRUPT);
    p[1] = 1;
    CHECK_STATUS(peer_answer_decode(bytes_of(p, sizeof p), &back), ST_CORRUPT);
    p[1] = 2;
    p[3] = p[11] = p[15] = 0; /* no version */
    CHECK_STATUS(peer_answer_decode(bytes_of(p, sizeof p), &back), ST_CORRUPT);
    p[3] = 1;
    p[19] = 0;
    CHECK_OK(peer_answer_decode(bytes_of(p, sizeof p - 2), &back));
    p[2] = 1; /* a tombstone of two bytes */
    CHECK_STATUS(peer_answer_decode(bytes_of(p, sizeof p - 2), &back), ST_CORRUPT);
    p[0] = PEER_ANSWER_NOTHING; /* with a record */
    CHECK_STATUS(peer_answer_decode(bytes_of(p, sizeof p), &back), ST_CORRUPT);
    p[0] = PEER_ANSWER_STATUSES;
    CHECK_STATUS(peer_answer_decode(bytes_of(p, 1), &back), ST_CORRUPT);
    CHECK_EQ(back.value_len, 2);
}
