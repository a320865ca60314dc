/* Pipes: what is under way in one direction of a stream. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sim/net_internal.h"

#define NS_PER_S UINT64_C(1000000000)
#define OPEN_RETRY_NS NS_PER_S         /* a dialler whose listener's backlog is full */
#define LATE_SPREAD_US UINT64_C(20000) /* how much later a late frame comes, at most */

static bool pipe_check(const struct pipe *p) {
    if (p->stream == NULL || p->side > 1) return false;
    if (p->late_count > NET_LATE_MAX) return false;
    if (list_is_empty(&p->flight) && list_is_empty(&p->late) && p->weight != 0) return false;
    if (p->window < NET_WINDOW_BYTES_MIN || p->window > NET_WINDOW_BYTES_MAX) return false;
    return p->weight <= p->window;
}

void pipe_init(struct pipe *p, struct stream *stream, uint32_t side) {
    ASSERT(side < 2);
    const uint32_t spread = NET_WINDOW_BYTES_MAX - NET_WINDOW_BYTES_MIN + 1;
    *p = (struct pipe){ .stream = stream,
                        .side = side,
                        .stuck_ns = SIM_NEVER_NS,
                        .give_up_ns = SIM_NEVER_NS,
                        .room_ns = SIM_NEVER_NS,
                        .heap_index = NET_NOT_IN_HEAP };
    p->window = NET_WINDOW_BYTES_MIN + (uint32_t)sim_random_below(&stream->net->random, spread);
    list_init(&p->flight);
    list_init(&p->late);
    buffer_init(&p->cutter.held, NET_FRAME_HELD_MAX);
    ASSERT(pipe_check(p));
}

static uint32_t from_of(const struct pipe *p) {
    return p->stream->places[p->side];
}

static uint32_t to_of(const struct pipe *p) {
    return p->stream->places[1 - p->side];
}

static void drop(struct pipe *p, struct parcel *parcel) {
    ASSERT(p->weight >= parcel->weight);
    p->weight -= parcel->weight;
    list_remove(&parcel->link);
    mem_free(parcel);
}

void pipe_deinit(struct pipe *p) {
    ASSERT(p->heap_index == NET_NOT_IN_HEAP);
    pipe_cut(p, false);
    buffer_deinit(&p->cutter.held);
    ASSERT(p->weight == 0);
}

size_t pipe_room(const struct pipe *p) {
    ASSERT(pipe_check(p));
    const struct sock *receiver = p->stream->ends[1 - p->side];
    const size_t unread = receiver == NULL ? 0 : buffer_len(&receiver->inbox);
    const size_t used = p->weight + buffer_len(&p->cutter.held) + unread;
    return used < p->window ? p->window - used : 0;
}

/* ---- sending ---- */

/* When so many bytes sent now arrive, if nothing is in the way. */
static uint64_t arrival_ns(struct pipe *p, size_t len) {
    struct sim_net *net = p->stream->net;
    struct link_state *l = net_link(net, from_of(p), to_of(p));
    uint64_t sent_ns = net->now_ns;
    if (l->set.bytes_per_s > 0 && len > 0) {
        if (l->busy_until_ns > sent_ns) sent_ns = l->busy_until_ns;
        sent_ns += len * NS_PER_S / l->set.bytes_per_s;
        l->busy_until_ns = sent_ns;
    }
    return sent_ns + net_delay_ns(net, from_of(p), to_of(p));
}

static struct parcel *make_parcel(struct pipe *p, enum parcel_kind kind, struct bytes in) {
    ASSERT(in.len <= NET_WINDOW_BYTES_MAX);
    struct parcel *parcel = mem_alloc(sizeof *parcel + in.len);
    *parcel = (struct parcel){ .kind = kind, .len = (uint32_t)in.len };
    if (in.len > 0) memcpy(parcel->bytes, in.ptr, in.len);
    parcel->due_ns = arrival_ns(p, in.len);
    if (parcel->due_ns < p->last_due_ns) parcel->due_ns = p->last_due_ns;
    return parcel;
}

static void post(struct pipe *p, struct parcel *parcel) {
    list_append(&p->flight, &parcel->link);
    p->last_due_ns = parcel->due_ns;
    p->weight += parcel->weight;
    ASSERT(pipe_check(p));
}

void pipe_post(struct pipe *p, enum parcel_kind kind) {
    ASSERT(kind != PARCEL_BYTES);
    post(p, make_parcel(p, kind, BYTES_NONE));
}

/* A frame that can be overtaken: apart from the others, by its own time. */
static void post_late(struct pipe *p, struct parcel *parcel) {
    ASSERT(p->late_count < NET_LATE_MAX);
    struct sim_net *net = p->stream->net;
    const uint64_t way_us = net_link(net, from_of(p), to_of(p))->set.delay_max_us;
    parcel->due_ns += (1 + sim_random_below(&net->random, LATE_SPREAD_US + 2 * way_us)) * NS_PER_US;
    struct list *before = p->late.prev;
    while (before != &p->late && LIST_ENTRY(before, struct parcel, link)->due_ns > parcel->due_ns)
        before = before->prev;
    list_append(before->next, &parcel->link);
    p->late_count++;
    p->weight += parcel->weight;
    ASSERT(pipe_check(p));
}

void pipe_post_bytes(struct pipe *p, struct bytes in, uint32_t weight, bool more, bool late) {
    ASSERT(in.len > 0);
    ASSERT(weight <= in.len);
    struct parcel *parcel = make_parcel(p, PARCEL_BYTES, in);
    parcel->weight = weight;
    parcel->more = more;
    if (late && p->late_count < NET_LATE_MAX)
        post_late(p, parcel);
    else
        post(p, parcel);
}

/* ---- loss ---- */

static uint64_t count_parcels(const struct pipe *p) {
    uint64_t count = 0;
    for (const struct list *node = p->flight.next; node != &p->flight; node = node->next) count++;
    return count;
}

/* Leave some of the bytes of a parcel. False: nothing of it is left. */
static bool shorten(struct pipe *p, struct parcel *parcel) {
    if (parcel->kind != PARCEL_BYTES) return false;
    ASSERT(parcel->start < parcel->len);
    const uint32_t left = parcel->len - parcel->start;
    const uint32_t keep = (uint32_t)sim_random_below(&p->stream->net->random, left);
    if (keep == 0) return false;
    const uint32_t weight = parcel->weight < keep ? parcel->weight : keep;
    p->weight -= parcel->weight - weight;
    parcel->weight = weight;
    parcel->len = parcel->start + keep;
    return true;
}

void pipe_cut(struct pipe *p, bool keep_prefix) {
    const uint64_t count = keep_prefix ? count_parcels(p) : 0;
    uint64_t keep = count == 0 ? 0 : sim_random_below(&p->stream->net->random, count + 1);
    bool may_shorten = keep_prefix;
    struct list *next = NULL;
    for (struct list *node = p->flight.next; node != &p->flight; node = next) {
        next = node->next;
        struct parcel *parcel = LIST_ENTRY(node, struct parcel, link);
        if (keep > 0) {
            keep--;
            continue;
        }
        const bool left = may_shorten && shorten(p, parcel);
        may_shorten = false;
        if (!left) drop(p, parcel);
    }
    while (!list_is_empty(&p->late)) drop(p, LIST_ENTRY(p->late.next, struct parcel, link));
    p->late_count = 0;
    buffer_reset(&p->cutter.held);
    ASSERT(keep == 0);
    ASSERT(pipe_check(p));
}

/* ---- arriving ---- */

/* What arrives next; NULL = nothing is under way, or only late frames that must wait for
 * the rest of the one before them. */
static struct parcel *next_parcel(const struct pipe *p) {
    struct parcel *first = NULL;
    if (!list_is_empty(&p->flight)) first = LIST_ENTRY(p->flight.next, struct parcel, link);
    if (p->mid_frame || list_is_empty(&p->late)) return first;
    struct parcel *late = LIST_ENTRY(p->late.next, struct parcel, link);
    if (first == NULL || first->kind == PARCEL_END) return late;
    return late->due_ns < first->due_ns ? late : first;
}

static bool is_stuck(const struct pipe *p) {
    return next_parcel(p) != NULL && net_is_stopped(p->stream->net, from_of(p), to_of(p));
}

uint64_t pipe_due_ns(struct pipe *p) {
    ASSERT(pipe_check(p));
    const struct sim_net *net = p->stream->net;
    const struct parcel *next = next_parcel(p);
    uint64_t due_ns = p->give_up_ns < p->room_ns ? p->give_up_ns : p->room_ns;
    if (!is_stuck(p)) {
        p->stuck_ns = SIM_NEVER_NS;
        return next != NULL && next->due_ns < due_ns ? next->due_ns : due_ns;
    }
    if (p->stuck_ns == SIM_NEVER_NS) p->stuck_ns = net->now_ns;
    const uint64_t end_ns = p->stuck_ns + net->patience_ns;
    return end_ns < due_ns ? end_ns : due_ns;
}

void pipe_resume(struct pipe *p) {
    ASSERT(pipe_check(p));
    struct sim_net *net = p->stream->net;
    const uint64_t due_ns = net->now_ns + net_delay_ns(net, from_of(p), to_of(p));
    for (struct list *node = p->flight.next; node != &p->flight; node = node->next)
        LIST_ENTRY(node, struct parcel, link)->due_ns = due_ns;
    for (struct list *node = p->late.next; node != &p->late; node = node->next) {
        struct parcel *late = LIST_ENTRY(node, struct parcel, link);
        if (late->due_ns < due_ns) late->due_ns = due_ns;
    }
    p->last_due_ns = due_ns;
}

static void note(struct pipe *p, enum parcel_kind kind, struct bytes arrived) {
    struct sim_net *net = p->stream->net;
    net->counts.deliveries++;
    net->counts.bytes += arrived.len;
    if (net->trace == NULL) return;
    const uint64_t words[] = {
        net->now_ns,
        (uint64_t)from_of(p) << 32 | to_of(p),
        (uint64_t)kind << 32 | (uint32_t)arrived.len,
        p->stream->number << 1 | p->side,
        arrived.len == 0 ? 0 : hash_xxh3(arrived),
    };
    sim_trace_add(net->trace, words, sizeof words);
}

/* Bytes for an end that is gone: the machine they reach does not know the stream. */
static void bounce(struct pipe *p) {
    ASSERT(p->stream->ends[1 - p->side] == NULL);
    pipe_cut(p, false);
    if (p->stream->ends[p->side] != NULL) pipe_post(&p->stream->pipes[1 - p->side], PARCEL_RESET);
}

/* `len` bytes of the parcel come in. */
static void take_in(struct pipe *p, struct parcel *parcel, uint32_t len) {
    ASSERT(len > 0);
    ASSERT(len <= parcel->len - parcel->start);
    struct sock *s = p->stream->ends[1 - p->side];
    const struct bytes arrived = bytes_of(parcel->bytes + parcel->start, len);
    note(p, PARCEL_BYTES, arrived);
    const uint32_t weight = len < parcel->weight ? len : parcel->weight;
    parcel->weight -= weight;
    p->weight -= weight;
    parcel->start += len;
    p->mid_frame = parcel->more || parcel->start < parcel->len;
    if (s == NULL) return;
    buffer_append(&s->inbox, arrived);
    ASSERT(!s->inbox.overflowed);
    sim_loop_edge(s);
}

static void arrive_bytes(struct pipe *p, struct parcel *parcel) {
    struct sim_net *net = p->stream->net;
    const bool is_late = p->late.next == &parcel->link;
    const uint32_t left = parcel->len - parcel->start;
    if (!is_late && left > 1 && net_dice(net, net->partial_permille)) {
        take_in(p, parcel, 1 + (uint32_t)sim_random_below(&net->random, left - 1));
        parcel->due_ns = net->now_ns + net_delay_ns(net, from_of(p), to_of(p));
    } else {
        take_in(p, parcel, left);
        if (is_late) p->late_count--;
        drop(p, parcel);
    }
    if (p->stream->ends[1 - p->side] == NULL) bounce(p);
}

static void arrive_opened(struct pipe *p) {
    ASSERT(p->side == 1);
    struct sock *s = p->stream->ends[0];
    if (s == NULL) return;
    ASSERT(s->state == SOCK_CONNECTING);
    s->state = SOCK_OPEN;
    p->stream->pipes[0].give_up_ns = SIM_NEVER_NS;
    sim_loop_edge(s);
}

static void arrive_end(struct pipe *p) {
    struct sock *s = p->stream->ends[1 - p->side];
    if (s == NULL) return;
    s->peer_ended = true;
    sim_loop_edge(s);
}

static void arrive(struct pipe *p, struct parcel *parcel) {
    const enum parcel_kind kind = parcel->kind;
    if (kind == PARCEL_BYTES) {
        arrive_bytes(p, parcel);
        return;
    }
    if (kind == PARCEL_OPEN && !stream_arrive(p->stream)) {
        parcel->due_ns = p->stream->net->now_ns + OPEN_RETRY_NS;
        return;
    }
    note(p, kind, BYTES_NONE);
    drop(p, parcel);
    if (kind == PARCEL_OPENED) arrive_opened(p);
    if (kind == PARCEL_END) arrive_end(p);
    if (kind == PARCEL_REFUSED || kind == PARCEL_RESET) stream_fail(p->stream, 1 - p->side);
}

/* Nothing gets through, and who waits for an answer has waited long enough. */
static void give_up(struct pipe *p) {
    ASSERT(p->stuck_ns != SIM_NEVER_NS);
    p->stream->net->counts.timeouts++;
    p->stuck_ns = SIM_NEVER_NS;
    stream_fail(p->stream, p->side);
    pipe_cut(p, false);
}

/* The sender may have filled what room there was since the news set out. */
static void tell_room(struct pipe *p) {
    ASSERT(p->starved);
    p->room_ns = SIM_NEVER_NS;
    if (pipe_room(p) < p->window / 3) return;
    p->starved = false;
    sim_loop_edge(p->stream->ends[p->side]);
}

void pipe_step(struct pipe *p) {
    ASSERT(pipe_check(p));
    struct sim_net *net = p->stream->net;
    ASSERT(p->due_ns <= net->now_ns);
    if (p->give_up_ns <= net->now_ns) {
        net->counts.timeouts++;
        stream_fail(p->stream, p->side);
    } else if (p->room_ns <= net->now_ns) {
        tell_room(p);
    } else if (is_stuck(p)) {
        give_up(p);
    } else {
        arrive(p, next_parcel(p));
    }
}

void pipe_rush(struct pipe *p) {
    struct sock *s = p->stream->ends[1 - p->side];
    if (s == NULL || is_stuck(p)) return;
    while (!list_is_empty(&p->flight)) {
        struct parcel *parcel = LIST_ENTRY(p->flight.next, struct parcel, link);
        if (parcel->kind != PARCEL_BYTES) break;
        take_in(p, parcel, parcel->len - parcel->start);
        drop(p, parcel);
    }
    ASSERT(pipe_check(p));
}
