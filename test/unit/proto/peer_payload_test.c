/* What holds of every payload alike: it is encoded in one way only, and no piece of it and
 * nothing longer is taken for it. tidy: integration of all the peer_*.c of proto */
#include "peer_support.h"

static struct bytes sample_payload(const struct payload_sample *sample, struct buffer *space) {
    buffer_init(space, SUPPORT_BYTES_MAX);
    sample->write(space);
    CHECK(!space->overflowed);
    return buffer_bytes(space);
}

/* Every sample comes back byte for byte. */
TEST(peer_payload, decodes_to_what_was_encoded) {
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct buffer space;
        struct buffer again;
        const struct bytes payload = sample_payload(&samples[i], &space);
        buffer_init(&again, SUPPORT_BYTES_MAX);
        CHECK_OK(payload_again(samples[i].type, payload, &again));
        CHECK_BYTES(buffer_bytes(&again), payload);
        buffer_deinit(&again);
        buffer_deinit(&space);
    }
}

/* Cut anywhere, or with a byte too many, it is corrupt; the decoder looks at nothing behind
 * the cut, which sanitizers see because it is the end of the block. */
TEST(peer_payload, is_refused_when_cut_or_extended) {
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        if (samples[i].bare) continue;
        struct buffer space;
        struct buffer again;
        const struct bytes payload = sample_payload(&samples[i], &space);
        buffer_init(&again, SUPPORT_BYTES_MAX);
        for (size_t cut = 0; cut < payload.len; cut++) {
            uint8_t *copy = exact_copy(bytes_of(payload.ptr, cut));
            CHECK_STATUS(payload_again(samples[i].type, bytes_of(copy, cut), &again), ST_CORRUPT);
            mem_free(copy);
        }
        for (int extra = 0; extra < 256; extra++) {
            uint8_t *copy = mem_alloc(payload.len + 1);
            memcpy(copy, payload.ptr, payload.len);
            copy[payload.len] = (uint8_t)extra;
            CHECK_STATUS(payload_again(samples[i].type, bytes_of(copy, payload.len + 1), &again),
                         ST_CORRUPT);
            mem_free(copy);
        }
        CHECK_EQ(buffer_len(&again), 0);
        buffer_deinit(&again);
        buffer_deinit(&space);
    }
}

/* Whatever a flipped bit makes of it, it is refused or is the one encoding of what it says. Only
 * the text of a float can be written in more ways than one. */
TEST(peer_payload, has_one_encoding) {
    uint32_t refused = 0;
    uint32_t taken = 0;
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        if (samples[i].write == write_forward_incr_float) continue;
        struct buffer space;
        struct buffer again;
        const struct bytes payload = sample_payload(&samples[i], &space);
        uint8_t *copy = exact_copy(payload);
        buffer_init(&again, SUPPORT_BYTES_MAX);
        for (size_t bit = 0; bit < payload.len * 8; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            buffer_reset(&again);
            const struct bytes changed = bytes_of(copy, payload.len);
            if (status_ok(payload_again(samples[i].type, changed, &again))) {
                CHECK_BYTES(buffer_bytes(&again), changed);
                taken++;
            } else {
                refused++;
            }
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        mem_free(copy);
        buffer_deinit(&again);
        buffer_deinit(&space);
    }
    CHECK(refused > 500);
    CHECK(taken > 500);
}

/* Nothing at all is no message of any type. */
TEST(peer_payload, is_never_empty) {
    struct buffer out;
    buffer_init(&out, 64);
    for (int type = PEER_HELLO; type < PEER_TYPES; type++) {
        CHECK_STATUS(payload_again((enum peer_type)type, BYTES_NONE, &out), ST_CORRUPT);
    }
    buffer_deinit(&out);
}

/* An encoder that finds no room writes nothing and says so in the buffer; a page, which is
 * written row by row, stops at one. */
TEST(peer_payload, leaves_a_full_buffer_as_it_is) {
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct buffer space;
        struct buffer full;
        const struct bytes payload = sample_payload(&samples[i], &space);
        buffer_init(&full, payload.len);
        buffer_append_u8(&full, 7);
        samples[i].write(&full);
        CHECK(full.overflowed);
        if (samples[i].write != write_response_page) CHECK_EQ(buffer_len(&full), 1);
        CHECK_EQ(full.ptr[0], 7);
        buffer_deinit(&full);
        buffer_deinit(&space);
    }
}
