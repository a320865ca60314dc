#include "sim/net.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/net_internal.h"

#define PATIENCE_NS (UINT64_C(15) * 1000 * NS_PER_MS)
#define PARTIAL_PERMILLE 20u

static bool net_check(const struct sim_net *net) {
    if (net->place_count > SIM_NET_PLACES_MAX) return false;
    if (net->heap_count > net->heap_capacity) return false;
    if (net->partial_permille > 1000) return false;
    return true;
}

static bool link_check(const struct sim_net_link *l) {
    if (l->delay_min_us > l->delay_max_us) return false;
    if (l->lost_permille > 1000 || l->repeated_permille > 1000) return false;
    if (l->late_permille > 1000 || l->flipped_permille > 1000) return false;
    return true;
}

struct link_state *net_link(struct sim_net *net, uint32_t from, uint32_t to) {
    ASSERT(from < SIM_NET_PLACES_MAX);
    ASSERT(to < SIM_NET_PLACES_MAX);
    return &net->links[from * SIM_NET_PLACES_MAX + to];
}

struct sim_net *sim_net_create(uint64_t seed) {
    struct sim_net *net = mem_alloc_zeroed(sizeof *net);
    net->random = sim_random_of(seed);
    net->patience_ns = PATIENCE_NS;
    net->partial_permille = PARTIAL_PERMILLE;
    net->links =
        mem_alloc_zeroed((size_t)SIM_NET_PLACES_MAX * SIM_NET_PLACES_MAX * sizeof *net->links);
    for (uint32_t from = 0; from < SIM_NET_PLACES_MAX; from++) {
        for (uint32_t to = 0; to < SIM_NET_PLACES_MAX; to++) {
            struct sim_net_link *l = &net_link(net, from, to)->set;
            l->delay_min_us = from == to ? 5 : 100;
            l->delay_max_us = from == to ? 20 : 500;
        }
    }
    list_init(&net->streams);
    ASSERT(net_check(net));
    return net;
}

/* What is left of streams has no ends, or is under way to a place without power. */
void sim_net_destroy(struct sim_net *net) {
    if (net == NULL) return;
    ASSERT(net_check(net));
    for (uint32_t i = 0; i < net->place_count; i++) ASSERT(net->places[i].os == NULL);
    ASSERT(list_is_empty(&net->streams));
    mem_free(net->links);
    mem_free(net->heap);
    mem_free(net);
}

void sim_net_set_trace(struct sim_net *net, struct sim_trace *trace) {
    ASSERT(net_check(net));
    net->trace = trace;
}

void sim_net_set_patience_ms(struct sim_net *net, uint32_t patience_ms) {
    ASSERT(net_check(net));
    ASSERT(patience_ms > 0);
    net->patience_ns = patience_ms * NS_PER_MS;
}

void sim_net_set_partial_permille(struct sim_net *net, uint32_t permille) {
    ASSERT(permille <= 1000);
    net->partial_permille = permille;
    ASSERT(net_check(net));
}

struct sim_net_counts sim_net_counts(const struct sim_net *net) {
    ASSERT(net_check(net));
    return net->counts;
}

void net_note_time(struct sim_net *net, const struct os *os) {
    ASSERT(os->driven);
    if (os->world_ns > net->now_ns) net->now_ns = os->world_ns;
}

bool net_dice(struct sim_net *net, uint32_t permille) {
    ASSERT(permille <= 1000);
    return permille > 0 && sim_random_chance(&net->random, permille, 1000);
}

uint64_t net_delay_ns(struct sim_net *net, uint32_t from, uint32_t to) {
    const struct sim_net_link *l = &net_link(net, from, to)->set;
    ASSERT(link_check(l));
    const uint64_t spread_us = (uint64_t)l->delay_max_us - l->delay_min_us + 1;
    return (l->delay_min_us + sim_random_below(&net->random, spread_us)) * NS_PER_US;
}

/* ---- places ---- */

uint32_t net_place_of(const struct sim_net *net, struct bytes ip) {
    ASSERT(net_check(net));
    uint32_t i = 0;
    while (i < net->place_count && !bytes_equal(bytes_of_string(net->places[i].ip), ip)) i++;
    return i < net->place_count ? i : SIM_NET_PLACES_MAX;
}

uint32_t sim_net_place(struct sim_net *net, const char *ip) {
    const struct bytes text = bytes_of_string(ip);
    ASSERT(text.len > 0);
    ASSERT(text.len < NET_IP_BYTES_MAX);
    const uint32_t known = net_place_of(net, text);
    if (known != SIM_NET_PLACES_MAX) return known;
    ASSERT(net->place_count < SIM_NET_PLACES_MAX);
    struct place *p = &net->places[net->place_count];
    *p = (struct place){ .dark = true, .port_next = NET_PORT_EPHEMERAL };
    memcpy(p->ip, text.ptr, text.len);
    return net->place_count++;
}

/* Whether what goes from one place to another has to do with this one. */
static bool pipe_touches(const struct pipe *p, uint32_t from, uint32_t to) {
    const uint32_t *places = p->stream->places;
    return places[p->side] == from && places[1 - p->side] == to;
}

/* What was under way to a machine goes on: it has power again. */
static void light(struct sim_net *net, uint32_t place) {
    net->places[place].dark = false;
    for (struct list *node = net->streams.next; node != &net->streams; node = node->next) {
        struct stream *stream = LIST_ENTRY(node, struct stream, link);
        for (uint32_t side = 0; side < 2; side++)
            if (stream->places[1 - side] == place) pipe_resume(&stream->pipes[side]);
        stream_settle(stream);
    }
}

/* What is under way to a machine must wait: it has no power. */
static void darken(struct sim_net *net, uint32_t place) {
    ASSERT(!net->places[place].dark);
    net->places[place].dark = true;
    for (struct list *node = net->streams.next; node != &net->streams; node = node->next)
        stream_settle(LIST_ENTRY(node, struct stream, link));
}

uint32_t sim_net_attach(struct sim_net *net, struct os *os, const char *ip) {
    ASSERT(os->driven);
    ASSERT(os->net == NULL);
    const uint32_t place = sim_net_place(net, ip);
    ASSERT(net->places[place].os == NULL);
    net->places[place].os = os;
    os->net = net;
    os->place = place;
    net_note_time(net, os);
    if (net->places[place].dark) light(net, place);
    ASSERT(!net->places[place].dark);
    return place;
}

static void take_away(struct sim_net *net, struct os *os, bool dark) {
    ASSERT(net->places[os->place].os == os);
    net->places[os->place].os = NULL;
    net->places[os->place].dark = dark;
    os->net = NULL;
}

/* Listeners go first, so that nothing new comes in while the others end. */
static void end_socks(struct os *os, enum end_style style) {
    for (uint32_t i = 0; i < os->sock_count; i++) {
        struct sock *s = os->socks[i];
        if (s != NULL && s->state == SOCK_LISTENING) sock_end(s, style);
    }
    for (uint32_t i = 0; i < os->sock_count; i++)
        if (os->socks[i] != NULL) sock_end(os->socks[i], style);
}

void net_detach(struct sim_net *net, struct os *os) {
    ASSERT(os->net == net);
    net_note_time(net, os);
    end_socks(os, END_CLOSE);
    take_away(net, os, false);
}

void sim_net_crash(struct sim_net *net, struct os *os, enum sim_net_crash_style style) {
    ASSERT(net_check(net));
    ASSERT(os->net == net);
    net_note_time(net, os);
    if (style == SIM_NET_CRASH_DICE)
        style = net_dice(net, 500) ? SIM_NET_CRASH_PROCESS : SIM_NET_CRASH_POWER;
    const bool power = style == SIM_NET_CRASH_POWER;
    if (power) darken(net, os->place);
    /* The kernel ends the streams of a process like any other, but may be cut short. */
    enum end_style end = net_dice(net, 500) ? END_CLOSE : END_RESET;
    end_socks(os, power ? END_SILENT : end);
    take_away(net, os, power);
    ASSERT(net_check(net));
}

/* ---- links ---- */

bool net_is_stopped(struct sim_net *net, uint32_t from, uint32_t to) {
    return net_link(net, from, to)->set.blocked || net->places[to].dark;
}

struct sim_net_link sim_net_link(const struct sim_net *net, uint32_t from, uint32_t to) {
    ASSERT(from < SIM_NET_PLACES_MAX);
    ASSERT(to < SIM_NET_PLACES_MAX);
    return net->links[from * SIM_NET_PLACES_MAX + to].set;
}

void sim_net_set_link(struct sim_net *net, uint32_t from, uint32_t to,
                      const struct sim_net_link *link) {
    ASSERT(net_check(net));
    ASSERT(link_check(link));
    struct link_state *l = net_link(net, from, to);
    const struct sim_net_link before = l->set;
    l->set = *link;
    const bool freed = before.blocked && !link->blocked;
    const bool faster = before.bytes_per_s != 0 && link->bytes_per_s == 0;
    if (faster) l->busy_until_ns = 0;
    if (!freed && !faster && before.blocked == link->blocked) return;

    for (struct list *node = net->streams.next; node != &net->streams; node = node->next) {
        struct stream *stream = LIST_ENTRY(node, struct stream, link);
        for (uint32_t side = 0; side < 2; side++) {
            struct pipe *p = &stream->pipes[side];
            if (pipe_touches(p, from, to) && (freed || faster)) pipe_resume(p);
        }
        stream_settle(stream);
    }
}

void sim_net_heal(struct sim_net *net) {
    ASSERT(net_check(net));
    for (uint32_t from = 0; from < SIM_NET_PLACES_MAX; from++) {
        for (uint32_t to = 0; to < SIM_NET_PLACES_MAX; to++) {
            const struct sim_net_link set = net_link(net, from, to)->set;
            const struct sim_net_link healed = { .delay_min_us = set.delay_min_us,
                                                 .delay_max_us = set.delay_max_us };
            sim_net_set_link(net, from, to, &healed);
        }
    }
}

uint32_t sim_net_reset(struct sim_net *net, uint32_t a, uint32_t b) {
    ASSERT(net_check(net));
    uint32_t count = 0;
    struct list *next = NULL;
    for (struct list *node = net->streams.next; node != &net->streams; node = next) {
        next = node->next;
        struct stream *stream = LIST_ENTRY(node, struct stream, link);
        const bool between =
            pipe_touches(&stream->pipes[0], a, b) || pipe_touches(&stream->pipes[0], b, a);
        if (!between) continue;
        for (uint32_t side = 0; side < 2; side++) pipe_cut(&stream->pipes[side], true);
        for (uint32_t side = 0; side < 2; side++) pipe_rush(&stream->pipes[side]);
        for (uint32_t side = 0; side < 2; side++) stream_fail(stream, side);
        stream_settle(stream);
        count++;
    }
    net->counts.resets += count;
    return count;
}

/* ---- time ---- */

uint64_t sim_net_due_ns(const struct sim_net *net) {
    ASSERT(net_check(net));
    return net->heap_count == 0 ? SIM_NEVER_NS : net->heap[0]->due_ns;
}

void sim_net_advance(struct sim_net *net, uint64_t world_ns) {
    ASSERT(net_check(net));
    while (net->heap_count > 0 && net->heap[0]->due_ns <= world_ns) {
        struct pipe *p = net->heap[0];
        struct stream *stream = p->stream;
        if (p->due_ns > net->now_ns) net->now_ns = p->due_ns;
        pipe_step(p);
        stream_settle(stream);
    }
    if (world_ns > net->now_ns) net->now_ns = world_ns;
    ASSERT(net_check(net));
}
