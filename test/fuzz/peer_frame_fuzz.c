/* Any bytes as what another node sends. The first byte chooses: 0 = as they are, else a right
 * checksum is put on what looks like a frame, so that the rest of it is reached too. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "proto/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES_MAX 64u /* of one input */

/* Give the bytes at `p` the checksum of the frame they claim to be, or of all of them. */
static void mend(uint8_t *p, size_t size) {
    if (size < PEER_HEADER_BYTES) return;
    const size_t room = size - PEER_HEADER_BYTES;
    if (get_u32_le(p) > room) put_u32_le(p, (uint32_t)room);
    const size_t whole = PEER_HEADER_BYTES + get_u32_le(p);
    put_u32_le(p + 4, crc32c(0, bytes_of(p + 8, whole - 8)));
}

/* What was decoded, written again, is the same frame. */
static void check_frame(struct bytes in, const struct peer_frame *f, size_t consumed) {
    ASSERT(consumed == PEER_HEADER_BYTES + f->payload.len);
    ASSERT(consumed <= in.len);
    ASSERT(f->payload.len <= PEER_PAYLOAD_BYTES_MAX);
    ASSERT(f->payload.ptr == in.ptr + PEER_HEADER_BYTES);
    struct buffer again;
    buffer_init(&again, PEER_HEADER_BYTES + PEER_PAYLOAD_BYTES_MAX);
    const size_t begun = peer_begin(&again, f->type, f->flags, f->id, f->stamp);
    buffer_append(&again, f->payload);
    peer_end(&again, begun);
    ASSERT(!again.overflowed);
    ASSERT(bytes_equal(buffer_bytes(&again), bytes_of(in.ptr, consumed)));
    buffer_deinit(&again);
}

/* The frame cut to `len` bytes must be waited for, or refused for what is already there. */
static void check_cut(struct bytes frame, size_t len) {
    struct peer_frame f;
    size_t consumed = 0;
    size_t need = 0;
    uint8_t *cut = mem_alloc(len + 1);
    memcpy(cut + 1, frame.ptr, len);
    ASSERT(peer_decode(bytes_of(cut + 1, len), &f, &consumed, &need).code == ST_WAIT);
    ASSERT(need > len);
    ASSERT(need <= frame.len);
    mem_free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const size_t len = size - 1;
    uint8_t *exact = mem_alloc(len);
    memcpy(exact, data + 1, len);
    struct bytes rest = bytes_of(exact, len);
    for (uint32_t i = 0; i < FRAMES_MAX; i++) {
        struct peer_frame f;
        size_t consumed = 0;
        size_t need = 0;
        if (data[0] != 0) mend(exact + (len - rest.len), rest.len);
        const struct status s = peer_decode(rest, &f, &consumed, &need);
        if (s.code == ST_WAIT) {
            ASSERT(need > rest.len);
            ASSERT(need <= PEER_HEADER_BYTES + PEER_PAYLOAD_BYTES_MAX);
        } else {
            ASSERT(status_ok(s) || s.code == ST_CORRUPT);
        }
        if (!status_ok(s)) break;
        check_frame(rest, &f, consumed);
        check_cut(bytes_of(rest.ptr, consumed), data[0] % consumed);
        rest = bytes_of(rest.ptr + consumed, rest.len - consumed);
    }
    mem_free(exact);
    return 0;
}
