#include "storage/wal_record.h"

#include "base/mem.h"
#include "test/unit/harness.h"

static const struct wal_identity identity = { 9, 0xabcdef01 };

static struct record sample(void) {
    return (struct record){
        .ikey = BYTES_LIT("\x00\x01key"),
        .ballot = { 77, 3, 1 },
        .value = BYTES_LIT("some value"),
    };
}

/* The same bytes under another number or another salt are no record: stale bytes
 * of a recycled file, even those of a value made up for it, never replay. */
TEST(wal_record, belongs_to_one_use_of_one_file) {
    const struct record r = sample();
    uint8_t space[256];
    const size_t len = wal_record_len(&r);
    wal_record_encode(identity, &r, space, len);
    struct wal_record back;
    size_t took;
    CHECK_OK(wal_record_decode(bytes_of(space, sizeof space), identity, &back, &took));
    CHECK_EQ(took, len);
    CHECK_EQ(back.kind, WAL_KIND_RECORD);
    CHECK_BYTES(back.record.value, r.value);
    CHECK_BYTES(back.record.ikey, r.ikey);

    const struct wal_identity other_number = { 10, identity.salt };
    CHECK_STATUS(wal_record_decode(bytes_of(space, len), other_number, &back, &took), ST_NOT_FOUND);
    const struct wal_identity other_high = { identity.number + (UINT64_C(1) << 32), identity.salt };
    CHECK_STATUS(wal_record_decode(bytes_of(space, len), other_high, &back, &took), ST_CORRUPT);
    const struct wal_identity other_salt = { identity.number, identity.salt + 1 };
    CHECK_STATUS(wal_record_decode(bytes_of(space, len), other_salt, &back, &took), ST_CORRUPT);
}

/* Whatever bit is flipped, and wherever the bytes are cut, nothing is decoded. */
TEST(wal_record, any_flipped_bit_is_noticed) {
    const struct record r = sample();
    uint8_t space[256];
    const size_t len = wal_record_len(&r);
    wal_record_encode(identity, &r, space, len);
    struct wal_record back;
    size_t took;
    for (size_t i = 0; i < len * 8; i++) {
        space[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(!status_ok(wal_record_decode(bytes_of(space, len), identity, &back, &took)));
        space[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < len; cut++) {
        CHECK(!status_ok(wal_record_decode(bytes_of(space, cut), identity, &back, &took)));
    }
    CHECK_OK(wal_record_decode(bytes_of(space, len), identity, &back, &took));
}

/* The largest legal record fits the stated bound, the smallest round-trips. */
TEST(wal_record, sizes_at_the_edges) {
    uint8_t *big = mem_alloc_zeroed(WAL_RECORD_BYTES_MAX);
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    uint8_t *ikey = mem_alloc_zeroed(IKEY_BYTES_MAX);
    const struct record largest = {
        .ikey = bytes_of(ikey, IKEY_BYTES_MAX),
        .ballot = { UINT64_MAX, UINT32_MAX, UINT32_MAX },
        .expires_at_ms = UINT64_MAX,
        .op = { 1, 1 },
        .value = bytes_of(value, VALUE_BYTES_MAX),
    };
    const size_t len = wal_record_len(&largest);
    CHECK(len <= WAL_RECORD_BYTES_MAX);
    wal_record_encode(identity, &largest, big, len);
    struct wal_record back;
    size_t took;
    CHECK_OK(wal_record_decode(bytes_of(big, len), identity, &back, &took));
    CHECK_EQ(back.record.value.len, VALUE_BYTES_MAX);

    const struct record smallest = { .ikey = BYTES_LIT("\x00\x00k"), .ballot = { 1, 0, 0 } };
    const size_t small = wal_record_len(&smallest);
    wal_record_encode(identity, &smallest, big, small);
    CHECK_OK(wal_record_decode(bytes_of(big, small), identity, &back, &took));
    CHECK_EQ(back.record.value.len, 0);
    mem_free(ikey);
    mem_free(value);
    mem_free(big);
}

/* A batch record is found at any offset, and only a whole, genuine one is. */
TEST(wal_record, batch_is_found_at_any_offset) {
    uint8_t space[200];
    for (size_t at = 0; at + WAL_BATCH_BYTES <= sizeof space; at++) {
        memset(space, 0x5a, sizeof space);
        wal_batch_encode(identity, (struct wal_batch_mark){ 1000, 900 }, space + at);
        struct wal_batch_mark mark;
        CHECK_EQ(wal_batch_find(bytes_of(space, sizeof space), 0, identity, &mark), at);
        CHECK_EQ(mark.previous, 1000);
        CHECK_EQ(mark.durable, 900);
        const size_t short_by_one = at + WAL_BATCH_BYTES - 1;
        CHECK_EQ(wal_batch_find(bytes_of(space, short_by_one), 0, identity, &mark), short_by_one);
        space[at] ^= 1;
        CHECK_EQ(wal_batch_find(bytes_of(space, sizeof space), 0, identity, &mark), sizeof space);
    }
}

/* A header comes back as it was, and no flipped bit of it is missed. */
TEST(wal_record, header_is_checked) {
    const struct wal_header h = { identity, 123456, 8192 };
    uint8_t space[WAL_HEADER_BYTES];
    wal_header_encode(&h, space);
    struct wal_header back;
    CHECK_OK(wal_header_decode(bytes_of(space, sizeof space), &back));
    CHECK_EQ(back.identity.number, identity.number);
    CHECK_EQ(back.identity.salt, identity.salt);
    CHECK_EQ(back.base, h.base);
    CHECK_EQ(back.bytes, h.bytes);
    for (size_t i = 0; i < sizeof space * 8; i++) {
        space[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK_STATUS(wal_header_decode(bytes_of(space, sizeof space), &back), ST_CORRUPT);
        space[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}
