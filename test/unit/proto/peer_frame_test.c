/* Frames are found in a stream of bytes whole or not at all, and what is not one drops the
 * stream before anything long is waited for. */
#include "peer_support.h"

#include "base/hash.h"

#define FRAME_ID UINT64_C(0x6162636465666768)
#define FRAME_STAMP UINT64_C(0x7172737475767778)

static void write_frame(const struct payload_sample *sample, struct buffer *out) {
    const size_t begun = peer_begin(out, sample->type, sample->flags, FRAME_ID, FRAME_STAMP);
    sample->write(out);
    peer_end(out, begun);
}

static struct bytes sample_frame(const struct payload_sample *sample, struct buffer *space) {
    buffer_init(space, SUPPORT_BYTES_MAX);
    write_frame(sample, space);
    CHECK(!space->overflowed);
    return buffer_bytes(space);
}

/* Give a header made by hand the checksum that fits. */
static void seal_header(uint8_t *p) {
    uint32_t crc = crc32c(0, bytes_of(p, 4));
    crc = crc32c(crc, bytes_of(p + 8, 4));
    put_u32_le(p + 12, crc32c(crc, bytes_of(p + 16, PEER_HEADER_BYTES - 16)));
}

static void seal(uint8_t *p, size_t len) {
    seal_header(p);
    put_u32_le(p + 4, crc32c(0, bytes_of(p + 8, len - 8)));
}

static struct status decode(const uint8_t *p, size_t len, size_t *ret_need) {
    struct peer_frame f;
    size_t consumed = 0;
    const struct status s = peer_decode(bytes_of(p, len), &f, &consumed, ret_need);
    if (status_ok(s)) CHECK_EQ(consumed, PEER_HEADER_BYTES + f.payload.len);
    return s;
}

/* One frame of each type, byte for byte: these are on the wire between nodes of different
 * releases, so a change here is another PEER_VERSION. */
TEST(peer_frame, golden_bytes) {
    static const char *const golden[] = {
        "44000000a4f0f37d0100000082e2deae686766656463626178777675747372710200040003003f00"
        "a4a3a2a1b4b3b2b10c00000002000000c8c7c6c5c4c3c2c10000000000000000d6d5d4d3d2d10000"
        "0d31302e302e302e313a3830383005302e322e30",
        "0f00000055ad1e7a020000006d8e71e168676665646362617877767574737271616e6f7468657220"
        "636c7573746572",
        "28000000153cd022030000006ed153f1686766656463626178777675747372711514131211000000"
        "0000000000000000000000000000000000000000000000000000000000000000",
        "280000007866a0ff040000005d179875686766656463626178777675747372711514131211000000"
        "2524232221000000ffffffffffffffff01000000000000000200000000000000",
        "3e000000e25466bc05040000d22ed1bb686766656463626178777675747372714847464544434241"
        "0608070605040302010c0b0a09100f0e0d28272625242322213100000000000000ffffffffffffff"
        "ff0501026b65790676616c756500",
        "0100000036bdb65306000000ebfdc96f6867666564636261787776757473727105",
        "0d000000a878e63f070100002e1875c3686766656463626178777675747372715857565554535251"
        "00006b6579",
        "1f000000f51e520e0800000075aeaeb5686766656463626178777675747372710003020700000000"
        "0000000800000009000000050000000000000003616263",
        "66000000ea2e82ce090200004e4b7e19686766656463626178777675747372710105020402020000"
        "0201ff00dc050000036b65790576616c7565036f6c64010000000000000002000000030000005544"
        "33221100000004000000000000000500000000000000060000000000000007000000080000000900"
        "0000000000000a0000000b000000",
        "2b0000007df4d49b0a000000a9dcdfb2686766656463626178777675747372710fbf010203010000"
        "000000000002000000030000000400000000000000ac02036f6c64ffffffffffffffff",
        "480000005c1cdd820b0000007e986e5d686766656463626178777675747372710c000b0000100000"
        "48474645444342412827262524232221383736353433323158575655545352510000000000000000"
        "000000000000000068676665646362610200010400017a7a",
        "330000002a08629e0c0000001950df44686766656463626178777675747372710102000000040000"
        "6b620300006b010000000000000002000000030000000400006b6104000000000000000500000006"
        "000000",
        "12000000e4c758e00d0000002d1b69c7686766656463626178777675747372710201030000000000"
        "00000400000005000000",
        "03000000d9cf429e0e0000001fc549a168676665646362617877767574737271010203",
    };
    CHECK_EQ(sizeof golden / sizeof *golden, PEER_TYPES - 1);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct buffer space;
        struct buffer hex;
        const struct bytes frame = sample_frame(&samples[i], &space);
        CHECK_EQ(samples[i].type, i + 1);
        buffer_init(&hex, SUPPORT_BYTES_MAX);
        for (size_t at = 0; at < frame.len; at++) buffer_printf(&hex, "%02x", frame.ptr[at]);
        CHECK_BYTES(buffer_bytes(&hex), bytes_of_string(golden[i]));
        buffer_deinit(&hex);
        buffer_deinit(&space);
    }
}

/* Several frames in one buffer come out one after the other with all they had, and their
 * payloads are views. */
TEST(peer_frame, follow_each_other) {
    struct buffer space;
    struct buffer payload;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    buffer_init(&payload, SUPPORT_BYTES_MAX);
    for (size_t i = 0; i < SAMPLES_COUNT; i++) write_frame(&samples[i], &space);
    struct bytes rest = buffer_bytes(&space);
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct peer_frame f;
        size_t consumed = 0;
        size_t need = 0;
        CHECK_OK(peer_decode(rest, &f, &consumed, &need));
        buffer_reset(&payload);
        samples[i].write(&payload);
        CHECK_EQ(f.type, samples[i].type);
        CHECK_EQ(f.flags, samples[i].flags);
        CHECK_EQ(f.id, FRAME_ID);
        CHECK_EQ(f.stamp, FRAME_STAMP);
        CHECK_BYTES(f.payload, buffer_bytes(&payload));
        CHECK(f.payload.ptr == rest.ptr + PEER_HEADER_BYTES);
        rest = bytes_of(rest.ptr + consumed, rest.len - consumed);
    }
    CHECK_EQ(rest.len, 0);
    buffer_deinit(&payload);
    buffer_deinit(&space);
}

/* Of a frame that is not whole it is said how much there must be, never more than it takes
 * and always more than there is. */
TEST(peer_frame, waits_for_the_whole) {
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct buffer space;
        const struct bytes frame = sample_frame(&samples[i], &space);
        for (size_t cut = 0; cut < frame.len; cut++) {
            uint8_t *copy = exact_copy(bytes_of(frame.ptr, cut));
            size_t need = 0;
            CHECK_STATUS(decode(copy, cut, &need), ST_WAIT);
            CHECK_EQ(need, cut < PEER_HEADER_BYTES ? PEER_HEADER_BYTES : frame.len);
            mem_free(copy);
        }
        buffer_deinit(&space);
    }
}

/* No flipped bit passes; one in the length does not make anybody wait. */
TEST(peer_frame, any_flipped_bit_is_noticed) {
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct buffer space;
        const struct bytes frame = sample_frame(&samples[i], &space);
        uint8_t *copy = exact_copy(frame);
        for (size_t bit = 0; bit < frame.len * 8; bit++) {
            size_t need = 0;
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const struct status s = decode(copy, frame.len, &need);
            CHECK_STATUS(s, ST_CORRUPT);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        size_t need = 0;
        CHECK_OK(decode(copy, frame.len, &need));
        mem_free(copy);
        buffer_deinit(&space);
    }
}

static uint8_t flags_allowed(int type) {
    switch (type) {
    case PEER_QUERY: return PEER_FLAG_DIGEST | PEER_FLAG_REPAIR;
    case PEER_ANSWER: return PEER_FLAG_DIGEST;
    case PEER_FORWARD: return PEER_FLAG_LOCAL;
    case PEER_ACCEPT: return PEER_FLAG_HINT | PEER_FLAG_REPAIR | PEER_FLAG_LAZY;
    default: return 0;
    }
}

/* A type or flag of a later version, or a flag on a type that has none, drops the stream,
 * even under a right checksum. */
TEST(peer_frame, unknown_types_and_flags_are_refused) {
    uint8_t p[PEER_HEADER_BYTES] = { 0 };
    for (int type = 0; type < 256; type++) {
        for (int flags = 0; flags < 256; flags++) {
            size_t need = 0;
            p[8] = (uint8_t)type;
            p[9] = (uint8_t)flags;
            seal(p, sizeof p);
            const bool known = type >= PEER_HELLO && type < PEER_TYPES;
            const bool good = known && (flags & ~flags_allowed(type)) == 0;
            CHECK_STATUS(decode(p, sizeof p, &need), good ? ST_OK : ST_CORRUPT);
        }
    }
}

TEST(peer_frame, reserved_bytes_are_zero) {
    for (size_t at = 10; at < 12; at++) {
        uint8_t p[PEER_HEADER_BYTES] = { [8] = PEER_FORWARD };
        size_t need = 0;
        seal(p, sizeof p);
        CHECK_OK(decode(p, sizeof p, &need));
        p[at] = 1;
        seal(p, sizeof p);
        CHECK_STATUS(decode(p, sizeof p, &need), ST_CORRUPT);
    }
}

/* A length that no frame can have is refused at its fourth byte, and one that this type cannot
 * have at the end of the header: nothing is gathered for it. */
TEST(peer_frame, lengths_are_bounded_by_the_type) {
    static const uint32_t payload_max[PEER_TYPES] = {
        [PEER_HELLO] = 48 + 2 * 256,
        [PEER_REFUSE] = 255,
        [PEER_PING] = 40,
        [PEER_PONG] = 40,
        [PEER_ACCEPT] = 59 + IKEY_BYTES_MAX + VALUE_BYTES_MAX,
        [PEER_ACCEPTED] = 1,
        [PEER_QUERY] = 8 + IKEY_BYTES_MAX,
        [PEER_ANSWER] = 52 + VALUE_BYTES_MAX,
        [PEER_FORWARD] = PEER_PAYLOAD_BYTES_MAX,
        [PEER_RESPONSE] = PEER_PAYLOAD_BYTES_MAX,
        [PEER_RANGE] = 64 + 2 * (5 + IKEY_BYTES_MAX),
        [PEER_VERSIONS] = PEER_PAYLOAD_BYTES_MAX,
        [PEER_FLOOR] = 18,
        [PEER_CONTROL] = 2 * 1024 * 1024 + 64,
    };
    size_t need = 0;
    for (int type = PEER_HELLO; type < PEER_TYPES; type++) {
        uint8_t p[PEER_HEADER_BYTES] = { [8] = (uint8_t)type };
        put_u32_le(p, payload_max[type]);
        seal_header(p);
        CHECK_STATUS(decode(p, sizeof p, &need), ST_WAIT);
        CHECK_EQ(need, PEER_HEADER_BYTES + payload_max[type]);
        put_u32_le(p, payload_max[type] + 1);
        seal_header(p);
        CHECK_STATUS(decode(p, sizeof p, &need), ST_CORRUPT);
    }
    uint8_t p[4];
    put_u32_le(p, PEER_PAYLOAD_BYTES_MAX);
    CHECK_STATUS(decode(p, sizeof p, &need), ST_WAIT);
    CHECK_EQ(need, PEER_HEADER_BYTES);
    put_u32_le(p, PEER_PAYLOAD_BYTES_MAX + 1);
    CHECK_STATUS(decode(p, sizeof p, &need), ST_CORRUPT);
}

/* A frame is written behind what is there, wherever the buffer moves its bytes meanwhile. */
TEST(peer_frame, is_written_in_place) {
    struct buffer space;
    uint8_t *const key = mem_alloc_zeroed(IKEY_BYTES_MAX);
    buffer_init(&space, SUPPORT_BYTES_MAX);
    write_frame(&samples[0], &space);
    const size_t first_len = buffer_len(&space);
    write_frame(&samples[2], &space);
    buffer_consume(&space, first_len);
    const size_t second_len = buffer_len(&space);
    const size_t begun = peer_begin(&space, PEER_QUERY, 0, 1, 2);
    CHECK_EQ(begun, second_len);
    const uint8_t *const before = space.ptr;
    buffer_append(&space, bytes_of(key, IKEY_BYTES_MAX));
    CHECK(space.ptr != before || space.start == 0);
    peer_end(&space, begun);

    struct peer_frame f;
    size_t consumed = 0;
    size_t need = 0;
    CHECK_OK(peer_decode(buffer_bytes(&space), &f, &consumed, &need));
    CHECK_EQ(f.type, PEER_PING);
    CHECK_EQ(consumed, second_len);
    buffer_consume(&space, consumed);
    CHECK_OK(peer_decode(buffer_bytes(&space), &f, &consumed, &need));
    CHECK_EQ(f.type, PEER_QUERY);
    CHECK_BYTES(f.payload, bytes_of(key, IKEY_BYTES_MAX));
    mem_free(key);
    buffer_deinit(&space);
}

/* A frame that does not fit is not there at all, at whatever byte the room ends. */
TEST(peer_frame, does_not_fit_by_halves) {
    struct buffer space;
    const struct bytes frame = sample_frame(&samples[8], &space);
    for (size_t room = 1; room < frame.len; room++) {
        struct buffer small;
        buffer_init(&small, frame.len + room);
        buffer_append(&small, frame);
        write_frame(&samples[8], &small);
        CHECK(small.overflowed);
        CHECK_BYTES(buffer_bytes(&small), frame);
        buffer_deinit(&small);
    }
    buffer_deinit(&space);
}

TEST(peer_frame, wrong_use_stops) {
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    CHECK_ABORTS(peer_begin(&space, PEER_PING, PEER_FLAG_LOCAL, 0, 0));
    CHECK_ABORTS(peer_begin(&space, PEER_TYPES, 0, 0, 0));
    const size_t begun = peer_begin(&space, PEER_ACCEPTED, 0, 1, 1);
    buffer_append(&space, BYTES_LIT("\0\0"));
    CHECK_ABORTS(peer_end(&space, begun)); /* two bytes are no ACCEPTED */
    buffer_deinit(&space);
}
