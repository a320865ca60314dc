/* Peer streams, cut into frames: each has its own bad luck. */
#include "base/assert.h"
#include "proto/peer.h"
#include "sim/net_internal.h"

#define TYPE_OFFSET 8u /* in a frame, see proto/peer.h */
#define NO_FLIP UINT64_MAX

static_assert(PEER_HEADER_BYTES > TYPE_OFFSET, "a header names the type");
static_assert(PEER_MAGIC_BYTES < NET_FRAME_HELD_MAX, "the magic can be kept back");

/* What happens to one frame. */
struct fate {
    bool lost;
    bool repeated;
    bool late;
    uint64_t flip_at; /* the byte with a wrong bit; NO_FLIP = none */
};

static struct sim_net *net_of(const struct pipe *p) {
    return p->stream->net;
}

static uint64_t frame_bytes(struct bytes header) {
    ASSERT(header.len >= PEER_HEADER_BYTES);
    return (uint64_t)PEER_HEADER_BYTES + get_u32_le(header.ptr);
}

static struct fate fate_of(const struct pipe *p, struct bytes header) {
    ASSERT(header.len >= PEER_HEADER_BYTES);
    struct sim_net *net = net_of(p);
    const uint32_t *places = p->stream->places;
    const struct sim_net_link *l = &net_link(net, places[p->side], places[1 - p->side])->set;
    const uint8_t type = header.ptr[TYPE_OFFSET];
    const bool hello = type == PEER_HELLO || type == PEER_REFUSE;
    struct fate fate = { .flip_at = NO_FLIP };
    fate.lost = !hello && net_dice(net, l->lost_permille);
    fate.repeated = !hello && !fate.lost && net_dice(net, l->repeated_permille);
    fate.late = !fate.lost && net_dice(net, l->late_permille);
    if (net_dice(net, l->flipped_permille) && !fate.lost)
        fate.flip_at = sim_random_below(&net->random, frame_bytes(header));
    net->counts.frames++;
    net->counts.frames_lost += fate.lost;
    net->counts.frames_flipped += fate.flip_at != NO_FLIP;
    return fate;
}

static void post(struct pipe *p, struct bytes in, bool more) {
    while (in.len > 0) {
        const size_t len = in.len < NET_WINDOW_BYTES_MAX ? in.len : NET_WINDOW_BYTES_MAX;
        pipe_post_bytes(p, bytes_of(in.ptr, len), (uint32_t)len, more, false);
        in = bytes_of(in.ptr + len, in.len - len);
    }
}

static void flip_bit(struct pipe *p, uint8_t *byte) {
    *byte ^= (uint8_t)(1u << sim_random_below(&net_of(p)->random, 8));
}

void frame_flush(struct pipe *p) {
    struct buffer *held = &p->cutter.held;
    ASSERT(buffer_len(held) <= NET_FRAME_HELD_MAX);
    if (buffer_len(held) == 0) return;
    /* Out of the buffer first: what is under way and what is held share the window. */
    uint8_t copy[NET_FRAME_HELD_MAX];
    const size_t len = buffer_len(held);
    memcpy(copy, held->ptr + held->start, len);
    buffer_reset(held);
    post(p, bytes_of(copy, len), false);
}

/* The frame in `held` is whole. */
static void send_held(struct pipe *p) {
    struct buffer *held = &p->cutter.held;
    struct sim_net *net = net_of(p);
    const struct bytes frame = buffer_bytes(held);
    ASSERT(frame.len == frame_bytes(frame));
    const struct fate fate = fate_of(p, frame);
    const bool can_be_late = p->late_count + 2 <= NET_LATE_MAX;
    if (fate.flip_at != NO_FLIP) flip_bit(p, held->ptr + held->start + fate.flip_at);
    buffer_consume(held, frame.len); /* the bytes stay where they are until the next append */
    if (fate.lost) return;
    const bool late = fate.late && can_be_late;
    const bool repeated = fate.repeated && can_be_late;
    pipe_post_bytes(p, frame, (uint32_t)frame.len, false, late);
    if (repeated) pipe_post_bytes(p, frame, 0, false, true);
    net->counts.frames_late += late;
    net->counts.frames_repeated += repeated;
}

/* Pass on what there is of a large frame. */
static void send_piece(struct pipe *p, struct bytes in) {
    struct cutter *c = &p->cutter;
    ASSERT(in.len > 0);
    ASSERT(in.len <= c->pass_left);
    const uint64_t flip_in = c->flip_in;
    c->pass_left -= in.len;
    if (flip_in != NO_FLIP) c->flip_in = flip_in < in.len ? NO_FLIP : flip_in - in.len;
    if (c->pass_lost) return;
    if (flip_in >= in.len) {
        post(p, in, c->pass_left > 0);
        return;
    }
    /* Three parcels, so that only the damaged byte is copied. */
    uint8_t byte = in.ptr[flip_in];
    flip_bit(p, &byte);
    const size_t behind = in.len - flip_in - 1;
    post(p, bytes_of(in.ptr, flip_in), true);
    post(p, bytes_of(&byte, 1), behind > 0 || c->pass_left > 0);
    post(p, bytes_of(in.ptr + flip_in + 1, behind), c->pass_left > 0);
}

/* The header in `held` is that of a frame too large to be kept back. */
static void begin_pieces(struct pipe *p) {
    struct cutter *c = &p->cutter;
    ASSERT(c->pass_left == 0);
    ASSERT(buffer_len(&c->held) == PEER_HEADER_BYTES);
    uint8_t header[PEER_HEADER_BYTES];
    memcpy(header, c->held.ptr + c->held.start, sizeof header);
    const struct bytes begun = bytes_of(header, sizeof header);
    const struct fate fate = fate_of(p, begun);
    c->pass_left = frame_bytes(begun);
    c->pass_lost = fate.lost;
    c->flip_in = fate.flip_at;
    buffer_reset(&c->held);
    send_piece(p, begun);
}

/* Keep what belongs to the frame in `held`. Returns how many bytes of `in` that is. */
static size_t keep(struct pipe *p, struct bytes in) {
    struct buffer *held = &p->cutter.held;
    const size_t have = buffer_len(held);
    const size_t whole =
        have < PEER_HEADER_BYTES ? PEER_HEADER_BYTES : frame_bytes(buffer_bytes(held));
    ASSERT(have < whole);
    const size_t len = whole - have < in.len ? whole - have : in.len;
    buffer_append(held, bytes_of(in.ptr, len));
    ASSERT(!held->overflowed);
    return len;
}

/* Take the first of what is sent. Returns how many bytes. */
static size_t send_some(struct pipe *p, struct bytes in) {
    struct cutter *c = &p->cutter;
    ASSERT(c->mode == FRAMES_ON);
    if (c->pass_left > 0) {
        const size_t len = in.len < c->pass_left ? in.len : c->pass_left;
        send_piece(p, bytes_of(in.ptr, len));
        return len;
    }
    const size_t len = keep(p, in);
    const struct bytes held = buffer_bytes(&c->held);
    if (held.len < PEER_HEADER_BYTES) return len;
    const uint64_t whole = frame_bytes(held);
    if (whole > PEER_HEADER_BYTES + (uint64_t)PEER_PAYLOAD_BYTES_MAX) {
        c->mode = FRAMES_OFF;
        frame_flush(p);
    } else if (whole > NET_FRAME_HELD_MAX) {
        begin_pieces(p);
    } else if (held.len == whole) {
        send_held(p);
    }
    return len;
}

static void set_mode(struct stream *stream, enum frame_mode mode) {
    for (uint32_t side = 0; side < 2; side++) stream->pipes[side].cutter.mode = mode;
}

/* The first bytes of the dialler tell what the stream carries. Returns how many of `in`
 * were taken for that. */
static size_t look_at_magic(struct pipe *p, struct bytes in) {
    struct cutter *c = &p->cutter;
    ASSERT(c->mode == FRAMES_UNKNOWN);
    const size_t have = buffer_len(&c->held);
    ASSERT(have < PEER_MAGIC_BYTES);
    static const char magic[] = PEER_MAGIC;
    const struct bytes missing = bytes_of(&magic[have], PEER_MAGIC_BYTES - have);
    const struct bytes begun = bytes_of(in.ptr, in.len < missing.len ? in.len : missing.len);
    if (!bytes_start_with(missing, begun)) {
        set_mode(p->stream, FRAMES_OFF);
        frame_flush(p);
        post(p, in, false);
        return in.len;
    }
    buffer_append(&c->held, begun);
    if (begun.len == missing.len) {
        set_mode(p->stream, FRAMES_ON);
        frame_flush(p);
    }
    return begun.len;
}

void frame_send(struct pipe *p, struct bytes in) {
    ASSERT(in.ptr != NULL || in.len == 0);
    while (in.len > 0) {
        size_t used = in.len;
        if (p->cutter.mode == FRAMES_ON)
            used = send_some(p, in);
        else if (p->cutter.mode == FRAMES_UNKNOWN && p->side == 0)
            used = look_at_magic(p, in);
        else
            post(p, in, false);
        ASSERT(used > 0);
        in = bytes_of(in.ptr + used, in.len - used);
    }
}
