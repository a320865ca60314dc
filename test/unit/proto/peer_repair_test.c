/* Ranges and lists of versions are carried whole, and a list that is out of order or has
 * another number of entries than it says is none. */
#include "peer_support.h"

#include "base/hash.h"

static const struct peer_range whole = { .slots_modulo = 1 };

static void range_round_trip(const struct peer_range *m) {
    struct buffer space;
    struct peer_range back;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_range_encode(m, &space);
    CHECK_OK(peer_range_decode(buffer_bytes(&space), &back));
    CHECK_BYTES(back.start, m->start);
    CHECK_BYTES(back.end, m->end);
    CHECK_EQ(back.slots_modulo, m->slots_modulo);
    CHECK_EQ(back.slots_rest, m->slots_rest);
    CHECK_EQ(back.below_stamp, m->below_stamp);
    CHECK_EQ(back.floor_stamp, m->floor_stamp);
    CHECK_EQ(back.verified_stamp, m->verified_stamp);
    CHECK_EQ(back.count, m->count);
    CHECK_EQ(back.hash, m->hash);
    CHECK_EQ(back.joint, m->joint);
    CHECK_EQ(back.caught, m->caught);
    CHECK_EQ(back.settled, m->settled);
    buffer_deinit(&space);
}

TEST(peer_repair, range_carries_everything) {
    uint8_t *start = mem_alloc_zeroed(IKEY_BYTES_MAX);
    uint8_t *end = mem_alloc_zeroed(IKEY_BYTES_MAX);
    end[0] = 1;
    range_round_trip(&whole);
    range_round_trip(&(struct peer_range){
        .start = bytes_of(start, IKEY_BYTES_MAX),
        .end = bytes_of(end, IKEY_BYTES_MAX),
        .slots_modulo = SLOTS,
        .slots_rest = SLOTS - 1,
        .below_stamp = UINT64_MAX,
        .floor_stamp = UINT64_MAX - 1,
        .verified_stamp = UINT64_MAX - 2,
        .count = PEER_VERSIONS_MAX,
        .hash = UINT64_MAX,
        .joint = UINT64_MAX - 3,
        .caught = UINT64_MAX - 4,
        .settled = UINT64_MAX - 5,
    });
    /* A keyspace alone is a place before its keys. */
    range_round_trip(&(struct peer_range){
        .start = bytes_of(start, 2), .end = bytes_of(end, 2), .slots_modulo = 2, .slots_rest = 1 });
    range_round_trip(&(struct peer_range){ .end = bytes_of(start, 2), .slots_modulo = 1 });
    mem_free(start);
    mem_free(end);
}

/* The fixed part of a range over everything, with one field made another. */
static struct status range_with(size_t at, uint32_t value, size_t size, struct bytes places) {
    uint8_t p[96] = { 1 };
    struct peer_range back;
    memcpy(p + at, &value, size);
    memcpy(p + 64, places.ptr, places.len);
    return peer_range_decode(bytes_of(p, 64 + places.len), &back);
}

TEST(peer_repair, range_contradictions_are_corrupt) {
    const struct bytes all = BYTES_LIT("\0\0");
    CHECK_OK(range_with(0, 1, 2, all));
    CHECK_STATUS(range_with(0, 0, 2, all), ST_CORRUPT);
    CHECK_OK(range_with(0, SLOTS, 2, all));
    CHECK_STATUS(range_with(0, SLOTS + 1, 2, all), ST_CORRUPT);
    CHECK_STATUS(range_with(2, 1, 2, all), ST_CORRUPT); /* no rest of 1 modulo 1 */
    CHECK_OK(range_with(4, PEER_VERSIONS_MAX, 4, all));
    CHECK_STATUS(range_with(4, PEER_VERSIONS_MAX + 1, 4, all), ST_CORRUPT);
    CHECK_OK(range_with(4, 0, 4, BYTES_LIT("\3\0\0a\3\0\0b")));
    CHECK_STATUS(range_with(4, 0, 4, BYTES_LIT("\3\0\0b\3\0\0b")), ST_CORRUPT);
    CHECK_STATUS(range_with(4, 0, 4, BYTES_LIT("\3\0\0b\3\0\0a")), ST_CORRUPT);
    CHECK_STATUS(range_with(4, 0, 4, BYTES_LIT("\1\0\0")), ST_CORRUPT); /* half a keyspace */
    CHECK_ABORTS(peer_range_encode(&(struct peer_range){ .slots_modulo = 0 }, NULL));
}

/* As many entries as there may be come back in order, and then no more. */
TEST(peer_repair, lists_are_read_front_to_back) {
    struct buffer list;
    struct buffer space;
    uint8_t ikey[4] = { 0, 1 };
    buffer_init(&list, SUPPORT_BYTES_MAX);
    buffer_init(&space, SUPPORT_BYTES_MAX);
    for (uint32_t i = 0; i < PEER_VERSIONS_MAX; i++) {
        ikey[2] = (uint8_t)(i >> 8);
        ikey[3] = (uint8_t)i;
        peer_versions_append(&list, &(struct peer_version){ bytes_of(ikey, 4), { i + 1, 2, i } });
    }
    struct peer_versions m = { .status = PEER_VERSIONS_LIST,
                               .last = bytes_of(ikey, 4),
                               .count = PEER_VERSIONS_MAX,
                               .list = buffer_bytes(&list) };
    peer_versions_encode(&m, &space);
    struct peer_versions back;
    CHECK_OK(peer_versions_decode(buffer_bytes(&space), &back));
    CHECK_EQ(back.status, PEER_VERSIONS_LIST);
    CHECK_EQ(back.count, PEER_VERSIONS_MAX);
    CHECK_BYTES(back.last, m.last);
    struct bytes rest = back.list;
    struct peer_version v;
    for (uint32_t i = 0; i < PEER_VERSIONS_MAX; i++) {
        CHECK(peer_versions_next(&rest, &v));
        CHECK_EQ(v.ikey.len, 4);
        CHECK_EQ(v.ikey.ptr[2] << 8 | v.ikey.ptr[3], i);
        CHECK_EQ(ballot_compare(v.version, (struct ballot){ i + 1, 2, i }), 0);
    }
    CHECK(!peer_versions_next(&rest, &v));
    CHECK(!peer_versions_next(&rest, &v));

    ikey[0] = 1;
    peer_versions_append(&list, &(struct peer_version){ bytes_of(ikey, 4), { 1, 1, 1 } });
    m.list = buffer_bytes(&list);
    m.last = BYTES_NONE;
    m.count++;
    CHECK_ABORTS(peer_versions_encode(&m, &space));
    buffer_deinit(&space);
    buffer_deinit(&list);
}

/* The longest list that keeps to PEER_VERSIONS_BYTES_MAX, with the longest keys, fits in a frame. */
TEST(peer_repair, the_longest_list_fits) {
    struct buffer list;
    struct buffer space;
    uint8_t *ikey = mem_alloc_zeroed(IKEY_BYTES_MAX);
    struct peer_versions m = { .status = PEER_VERSIONS_LIST,
                               .last = bytes_of(ikey, IKEY_BYTES_MAX) };
    buffer_init(&list, SUPPORT_BYTES_MAX);
    buffer_init(&space, SUPPORT_BYTES_MAX);
    while (buffer_len(&list) < PEER_VERSIONS_BYTES_MAX) {
        ikey[0]++;
        m.count++;
        peer_versions_append(&list,
                             &(struct peer_version){ bytes_of(ikey, IKEY_BYTES_MAX), { 1, 1, 1 } });
    }
    m.list = buffer_bytes(&list);
    const size_t begun = peer_begin(&space, PEER_VERSIONS, 0, 1, 1);
    peer_versions_encode(&m, &space);
    peer_end(&space, begun);
    CHECK(!space.overflowed);
    struct peer_frame f;
    struct peer_versions back;
    size_t consumed = 0;
    size_t need = 0;
    CHECK_OK(peer_decode(buffer_bytes(&space), &f, &consumed, &need));
    CHECK_OK(peer_versions_decode(f.payload, &back));
    CHECK_EQ(back.count, m.count);
    CHECK_BYTES(back.list, m.list);
    mem_free(ikey);
    buffer_deinit(&space);
    buffer_deinit(&list);
}

#define ENTRY_A "\3\0\0a\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ENTRY_B "\3\0\0b\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ENTRY_ZERO "\3\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static enum status_code versions_of(struct bytes in) {
    struct peer_versions back;
    return peer_versions_decode(in, &back).code;
}

TEST(peer_repair, list_contradictions_are_corrupt) {
    CHECK_EQ(versions_of(BYTES_LIT("\1\0\0\0\0\0")), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\1\2\0\0\0\0" ENTRY_A ENTRY_B)), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\1\2\0\0\0\3\0\0b" ENTRY_A ENTRY_B)), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\1\2\0\0\0\3\0\0a" ENTRY_A ENTRY_B)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\1\0\0\0\0" ENTRY_A ENTRY_B)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\3\0\0\0\0" ENTRY_A ENTRY_B)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\2\0\0\0\0" ENTRY_B ENTRY_A)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\2\0\0\0\0" ENTRY_A ENTRY_A)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\1\0\0\0\0" ENTRY_ZERO)), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\1\1\x10\0\0\0" ENTRY_A)), ST_CORRUPT); /* 4097 */
    CHECK_EQ(versions_of(BYTES_LIT("\0")), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\2")), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\3")), ST_OK);
    CHECK_EQ(versions_of(BYTES_LIT("\0\0\0\0\0\0")), ST_CORRUPT);
    CHECK_EQ(versions_of(BYTES_LIT("\4")), ST_CORRUPT);
}

TEST(peer_repair, floor_is_never_zero) {
    const struct peer_floor m = { UINT16_MAX, { UINT64_MAX, UINT32_MAX, UINT32_MAX } };
    struct buffer space;
    struct peer_floor back;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_floor_encode(&m, &space);
    CHECK_OK(peer_floor_decode(buffer_bytes(&space), &back));
    CHECK_EQ(back.keyspace, m.keyspace);
    CHECK_EQ(ballot_compare(back.floor, m.floor), 0);
    memset(space.ptr + 2, 0, 16);
    CHECK_STATUS(peer_floor_decode(buffer_bytes(&space), &back), ST_CORRUPT);
    buffer_deinit(&space);
}
