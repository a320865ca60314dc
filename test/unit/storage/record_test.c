#include "storage/record.h"

#include "test/unit/harness.h"

static struct record sample(void) {
    return (struct record){
        .ikey = BYTES_LIT("\x00\x01k"),
        .ballot = { 77, 3, 1 },
        .expires_at_ms = 123456789,
        .op = { 5, 6 },
        .value = BYTES_LIT("value"),
    };
}

/* Body of `r` in `space`; returns its length. */
static size_t encode(const struct record *r, uint8_t *space) {
    const size_t head = record_head_encode(r, space);
    if (r->value.len > 0) memcpy(space + head, r->value.ptr, r->value.len);
    CHECK_EQ(head + r->value.len, record_body_len(r));
    return head + r->value.len;
}

static void check_same(const struct record *a, const struct record *b) {
    CHECK_EQ(ballot_compare(a->ballot, b->ballot), 0);
    CHECK_EQ(a->flags, b->flags);
    CHECK_EQ(a->expires_at_ms, b->expires_at_ms);
    CHECK_EQ(a->op.high, b->op.high);
    CHECK_EQ(a->op.low, b->op.low);
    CHECK_BYTES(a->value, b->value);
}

/* What is encoded is what is decoded, for every set of optional fields and for
 * the largest numbers. */
TEST(record, comes_back_as_it_was) {
    for (uint32_t which = 0; which < 16; which++) {
        struct record r = sample();
        if ((which & 1) != 0) r.expires_at_ms = 0;
        if ((which & 2) != 0) r.op = (struct op_id){ 0, 0 };
        if ((which & 4) != 0) r.value = BYTES_NONE;
        if ((which & 4) != 0) r.flags = RECORD_TOMBSTONE;
        if ((which & 8) != 0) {
            r.ballot = (struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX };
            if (r.expires_at_ms != 0) r.expires_at_ms = UINT64_MAX;
        }
        CHECK(record_check(&r));
        uint8_t space[RECORD_HEAD_BYTES_MAX + 16];
        const size_t len = encode(&r, space);
        struct record back = { .ikey = r.ikey };
        CHECK_OK(record_body_decode(bytes_of(space, len), &back));
        check_same(&r, &back);
        CHECK_BYTES(back.ikey, r.ikey);
    }
}

/* The head never takes more than its stated bound. */
TEST(record, largest_head_fits_its_bound) {
    struct record r = sample();
    r.ballot = (struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX };
    r.expires_at_ms = UINT64_MAX;
    uint8_t space[RECORD_HEAD_BYTES_MAX];
    CHECK_EQ(record_head_encode(&r, space), RECORD_HEAD_BYTES_MAX);
}

/* A body cut anywhere in its head is refused, and so is each rule broken. */
TEST(record, refuses_what_it_would_not_write) {
    const struct record r = sample();
    uint8_t space[RECORD_HEAD_BYTES_MAX + 16];
    const size_t len = encode(&r, space);
    struct record back = { 0 };
    for (size_t cut = 0; cut < len - r.value.len; cut++) {
        CHECK_STATUS(record_body_decode(bytes_of(space, cut), &back), ST_CORRUPT);
    }
    uint8_t bad[sizeof space];
    memcpy(bad, space, len);
    bad[0] |= 0x08; /* a flag nobody knows */
    CHECK_STATUS(record_body_decode(bytes_of(bad, len), &back), ST_CORRUPT);
    memcpy(bad, space, len);
    bad[0] |= RECORD_TOMBSTONE; /* with a value */
    CHECK_STATUS(record_body_decode(bytes_of(bad, len), &back), ST_CORRUPT);

    static const uint8_t zero_ballot[11] = { 0 };
    CHECK_STATUS(record_body_decode(bytes_of(zero_ballot, 11), &back), ST_CORRUPT);
    static const uint8_t zero_expiry[12] = { RECORD_HAS_EXPIRY, 1 };
    CHECK_STATUS(record_body_decode(bytes_of(zero_expiry, 12), &back), ST_CORRUPT);
    static const uint8_t zero_op[27] = { RECORD_HAS_OP, 1 };
    CHECK_STATUS(record_body_decode(bytes_of(zero_op, 27), &back), ST_CORRUPT);
    static const uint8_t wide_node[16] = { 0, 1,    0,    0,    0,    0,    0,    0,
                                           0, 0x80, 0x80, 0x80, 0x80, 0x10, 0x01, 0 };
    CHECK_STATUS(record_body_decode(bytes_of(wide_node, 16), &back), ST_CORRUPT);
    CHECK_EQ(back.ballot.stamp, 0);
}

/* Keys sort by keyspace first: its bytes are big-endian. */
TEST(record, ikeys_sort_by_keyspace_then_key) {
    uint8_t a_space[IKEY_BYTES_MAX];
    uint8_t b_space[IKEY_BYTES_MAX];
    const struct bytes a = ikey_make(0x00ff, BYTES_LIT("z"), a_space);
    const struct bytes b = ikey_make(0x0100, BYTES_LIT("a"), b_space);
    CHECK(bytes_compare(a, b) < 0);
    CHECK_EQ(ikey_keyspace(b), 0x0100);
    CHECK_BYTES(ikey_key(a), BYTES_LIT("z"));
}

/* A reader sees no value from the expiry on, not before, and none of a tombstone. */
TEST(record, is_absent_from_its_expiry_on) {
    struct record r = sample();
    r.expires_at_ms = 1000;
    CHECK(!record_is_absent(&r, 999));
    CHECK(record_is_absent(&r, 1000));
    r.expires_at_ms = 0;
    CHECK(!record_is_absent(&r, UINT64_MAX));
    r.flags = RECORD_TOMBSTONE;
    CHECK(record_is_absent(&r, 0));
}
