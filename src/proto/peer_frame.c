#include "proto/peer_internal.h"

#include "base/assert.h"

#define LENGTH_OFFSET 0u
#define CRC_OFFSET 4u
#define TYPE_OFFSET 8u
#define FLAGS_OFFSET 9u
#define ZERO_2_OFFSET 10u
#define HEADER_CRC_OFFSET 12u
#define ID_OFFSET 16u
#define STAMP_OFFSET 24u

static_assert(STAMP_OFFSET + 8 == PEER_HEADER_BYTES, "the frame is drawn in peer.h");
static_assert(HEADER_CRC_OFFSET + 4 == ID_OFFSET, "the frame is drawn in peer.h");
static_assert(sizeof PEER_MAGIC - 1 == PEER_MAGIC_BYTES, "the literal's NUL is not sent");
static_assert(PEER_TYPES <= UINT8_MAX, "a type is a byte");

/* What a frame of each type may be: the payload is bounded before it is waited for, so that
 * a stranger who claims to send 32 MiB of HELLO is noticed at its header. */
struct frame_rule {
    uint8_t flags;        /* PEER_FLAG_* allowed */
    uint32_t payload_max; /* bytes */
};

static const struct frame_rule rules[PEER_TYPES] = {
    [PEER_HELLO] = { 0, PEER_HELLO_BYTES_MAX },
    [PEER_REFUSE] = { 0, PEER_TEXT_BYTES_MAX },
    [PEER_PING] = { 0, PEER_PING_BYTES },
    [PEER_PONG] = { 0, PEER_PING_BYTES },
    [PEER_ACCEPT] = { PEER_FLAG_HINT | PEER_FLAG_REPAIR | PEER_FLAG_LAZY, PEER_ACCEPT_BYTES_MAX },
    [PEER_ACCEPTED] = { 0, 1 },
    [PEER_QUERY] = { PEER_FLAG_DIGEST | PEER_FLAG_REPAIR, PEER_QUERY_BYTES_MAX },
    [PEER_ANSWER] = { PEER_FLAG_DIGEST, PEER_ANSWER_BYTES_MAX },
    [PEER_FORWARD] = { PEER_FLAG_LOCAL, PEER_PAYLOAD_BYTES_MAX },
    [PEER_RESPONSE] = { 0, PEER_PAYLOAD_BYTES_MAX },
    [PEER_RANGE] = { 0, PEER_RANGE_BYTES_MAX },
    [PEER_VERSIONS] = { 0, PEER_PAYLOAD_BYTES_MAX },
    [PEER_FLOOR] = { 0, PEER_FLOOR_BYTES },
    [PEER_CONTROL] = { 0, PEER_CONTROL_BYTES_MAX },
};

static_assert(PEER_ACCEPT_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX, "any record can be sent");
static_assert(PEER_ANSWER_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX, "any record can be answered");
static_assert(PEER_RANGE_BYTES_MAX <= PEER_PAYLOAD_BYTES_MAX, "any range can be compared");

static uint32_t frame_crc(const uint8_t *frame, size_t length) {
    return crc32c(0, bytes_of(frame + TYPE_OFFSET, PEER_HEADER_BYTES - TYPE_OFFSET + length));
}

/* Of the header without the two checksums. */
static uint32_t header_crc(const uint8_t *p) {
    uint32_t crc = crc32c(0, bytes_of(p, CRC_OFFSET));
    crc = crc32c(crc, bytes_of(p + TYPE_OFFSET, HEADER_CRC_OFFSET - TYPE_OFFSET));
    return crc32c(crc, bytes_of(p + ID_OFFSET, PEER_HEADER_BYTES - ID_OFFSET));
}

/* Whether the header, which is all there, can be that of a frame. */
static bool header_valid(const uint8_t *p, uint32_t length) {
    const uint8_t type = p[TYPE_OFFSET];
    if (type < PEER_HELLO || type >= PEER_TYPES) return false;
    if ((p[FLAGS_OFFSET] & ~rules[type].flags) != 0) return false;
    if (get_u16_le(p + ZERO_2_OFFSET) != 0) return false;
    return length <= rules[type].payload_max;
}

STATUS peer_decode(struct bytes in, struct peer_frame *ret_frame, size_t *ret_consumed,
                   size_t *ret_need) {
    ASSERT(in.ptr != NULL || in.len == 0);
    ASSERT(ret_frame != NULL && ret_consumed != NULL && ret_need != NULL);
    const uint8_t *const p = in.ptr;
    if (in.len < CRC_OFFSET) {
        *ret_need = PEER_HEADER_BYTES;
        return status_of(ST_WAIT);
    }
    const uint32_t length = get_u32_le(p + LENGTH_OFFSET);
    if (length > PEER_PAYLOAD_BYTES_MAX) return status_of(ST_CORRUPT);
    if (in.len >= PEER_HEADER_BYTES &&
        (!header_valid(p, length) || get_u32_le(p + HEADER_CRC_OFFSET) != header_crc(p)))
        return status_of(ST_CORRUPT);
    const size_t whole = PEER_HEADER_BYTES + (size_t)length;
    if (in.len < whole) {
        /* The length is believed only with the type that bounds it. */
        *ret_need = in.len < PEER_HEADER_BYTES ? PEER_HEADER_BYTES : whole;
        return status_of(ST_WAIT);
    }
    if (get_u32_le(p + CRC_OFFSET) != frame_crc(p, length)) return status_of(ST_CORRUPT);

    *ret_frame = (struct peer_frame){
        .type = (enum peer_type)p[TYPE_OFFSET],
        .flags = p[FLAGS_OFFSET],
        .id = get_u64_le(p + ID_OFFSET),
        .stamp = get_u64_le(p + STAMP_OFFSET),
        .payload = bytes_of(p + PEER_HEADER_BYTES, length),
    };
    *ret_consumed = whole;
    return status_of(ST_OK);
}

size_t peer_begin(struct buffer *out, enum peer_type type, uint8_t flags, uint64_t id,
                  uint64_t stamp) {
    ASSERT(type >= PEER_HELLO && type < PEER_TYPES);
    ASSERT((flags & ~rules[type].flags) == 0);
    const size_t begun = buffer_len(out);
    uint8_t *const p = buffer_reserve(out, PEER_HEADER_BYTES);
    if (p == NULL) return begun;
    memset(p, 0, PEER_HEADER_BYTES);
    p[TYPE_OFFSET] = (uint8_t)type;
    p[FLAGS_OFFSET] = flags;
    put_u64_le(p + ID_OFFSET, id);
    put_u64_le(p + STAMP_OFFSET, stamp);
    buffer_commit(out, PEER_HEADER_BYTES);
    return begun;
}

void peer_end(struct buffer *out, size_t begun) {
    ASSERT(begun <= buffer_len(out));
    if (out->overflowed) {
        out->end = out->start + begun;
        return;
    }
    ASSERT(buffer_len(out) - begun >= PEER_HEADER_BYTES);
    uint8_t *const p = out->ptr + out->start + begun;
    const size_t length = buffer_len(out) - begun - PEER_HEADER_BYTES;
    ASSERT(length <= PEER_PAYLOAD_BYTES_MAX);
    ASSERT(header_valid(p, (uint32_t)length));
    put_u32_le(p + LENGTH_OFFSET, (uint32_t)length);
    put_u32_le(p + HEADER_CRC_OFFSET, header_crc(p));
    put_u32_le(p + CRC_OFFSET, frame_crc(p, length));
}
