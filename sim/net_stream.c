/* Streams: how they come up, fail and end. */
#include "base/assert.h"
#include "base/mem.h"
#include "sim/net_internal.h"

struct stream *stream_create(struct sim_net *net, struct sock *dialler, uint32_t to, uint16_t port,
                             bool loopback) {
    ASSERT(dialler->state == SOCK_CONNECTING);
    ASSERT(to < net->place_count);
    struct stream *stream = mem_alloc_zeroed(sizeof *stream);
    stream->net = net;
    stream->number = net->stream_count++;
    stream->port = port;
    stream->loopback = loopback;
    stream->places[0] = dialler->os->place;
    stream->places[1] = to;
    stream->ends[0] = dialler;
    for (uint32_t side = 0; side < 2; side++) pipe_init(&stream->pipes[side], stream, side);
    list_append(&net->streams, &stream->link);
    dialler->stream = stream;
    dialler->side = 0;
    stream->pipes[0].give_up_ns = net->now_ns + net->patience_ns;
    pipe_post(&stream->pipes[0], PARCEL_OPEN);
    stream_settle(stream);
    return stream;
}

static void destroy(struct stream *stream) {
    ASSERT(stream->ends[0] == NULL);
    ASSERT(stream->ends[1] == NULL);
    for (uint32_t side = 0; side < 2; side++) {
        net_heap_drop(stream->net, &stream->pipes[side]);
        pipe_deinit(&stream->pipes[side]);
    }
    list_remove(&stream->link);
    mem_free(stream);
}

void stream_settle(struct stream *stream) {
    struct sim_net *net = stream->net;
    if (stream->ends[0] == NULL && stream->ends[1] == NULL) {
        destroy(stream);
        return;
    }
    for (uint32_t side = 0; side < 2; side++) {
        struct pipe *p = &stream->pipes[side];
        ASSERT(p->stream == stream);
        const bool waits = p->starved && p->room_ns == SIM_NEVER_NS && stream->ends[side] != NULL;
        if (waits && pipe_room(p) >= p->window / 3)
            p->room_ns =
                net->now_ns + net_delay_ns(net, stream->places[1 - side], stream->places[side]);
        const uint64_t due_ns = pipe_due_ns(p);
        if (due_ns == SIM_NEVER_NS)
            net_heap_drop(net, p);
        else
            net_heap_put(net, p, due_ns);
    }
}

void stream_fail(struct stream *stream, uint32_t side) {
    ASSERT(side < 2);
    struct sock *s = stream->ends[side];
    if (s == NULL) return;
    ASSERT(s->stream == stream);
    struct pipe *p = &stream->pipes[side];
    stream->ends[side] = NULL;
    s->stream = NULL;
    s->state = SOCK_FAILED;
    p->starved = false;
    p->room_ns = SIM_NEVER_NS;
    p->give_up_ns = SIM_NEVER_NS;
    pipe_cut(p, false);
    sim_loop_edge(s);
}

void stream_leave(struct stream *stream, uint32_t side, enum end_style style) {
    struct sock *s = stream->ends[side];
    ASSERT(s != NULL);
    struct pipe *p = &stream->pipes[side];
    stream->ends[side] = NULL;
    s->stream = NULL;
    p->starved = false;
    p->room_ns = SIM_NEVER_NS;
    p->give_up_ns = SIM_NEVER_NS;
    if (style != END_CLOSE) pipe_cut(p, true);
    if (style == END_CLOSE && buffer_len(&s->inbox) == 0) {
        if (!s->own_ended) {
            frame_flush(p);
            pipe_post(p, PARCEL_END);
        }
    } else if (style != END_SILENT) {
        /* Bytes that nobody will read: the sender must not think that they were (RFC
         * 2525 2.17). */
        pipe_post(p, PARCEL_RESET);
    }
    stream_settle(stream);
}

static bool listener_fits(const struct sock *s, const struct stream *stream) {
    if (s == NULL || s->state != SOCK_LISTENING) return false;
    if (s->port != stream->port) return false;
    return s->any || s->loopback == stream->loopback;
}

/* One of those that listen there, by the dice. */
static struct sock *find_listener(struct sim_net *net, const struct os *os,
                                  const struct stream *stream) {
    ASSERT(os->net == net);
    uint32_t count = 0;
    for (uint32_t i = 0; i < os->sock_count; i++) count += listener_fits(os->socks[i], stream);
    if (count == 0) return NULL;
    uint64_t skip = count == 1 ? 0 : sim_random_below(&net->random, count);
    for (uint32_t i = 0; i < os->sock_count; i++)
        if (listener_fits(os->socks[i], stream) && skip-- == 0) return os->socks[i];
    ASSERT(!"a listener was counted but not found");
    return NULL;
}

bool stream_arrive(struct stream *stream) {
    struct sim_net *net = stream->net;
    ASSERT(stream->ends[0] != NULL);
    ASSERT(stream->ends[1] == NULL);
    struct os *os = net->places[stream->places[1]].os;
    struct sock *listener = os == NULL ? NULL : find_listener(net, os, stream);
    if (listener == NULL) {
        pipe_post(&stream->pipes[1], PARCEL_REFUSED);
        return true;
    }
    if (listener->backlog_count == SIM_NET_BACKLOG_MAX) return false;
    struct sock *s = sock_create(os, SOCK_OPEN);
    s->stream = stream;
    s->side = 1;
    s->port = stream->port;
    s->peer_place = stream->places[0];
    s->peer_port = stream->ends[0]->port;
    s->loopback = stream->loopback;
    stream->ends[1] = s;
    list_append(&listener->backlog, &s->link);
    listener->backlog_count++;
    sim_loop_edge(listener);
    pipe_post(&stream->pipes[1], PARCEL_OPENED);
    net->counts.streams++;
    return true;
}
