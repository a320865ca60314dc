#include "shard/link.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/forward.h"
#include "shard/link_internal.h"
#include "shard/node_control.h"
#include "shard/repair.h"
#include "shard/seed.h"
#include "shard/shard.h"

#define TO(state) (1u << (state))

static_assert(LINK_OUT_BYTES_CLOGGED + PEER_HEADER_BYTES + PEER_PAYLOAD_BYTES_MAX <
                  LINK_OUT_BYTES_MAX,
              "the last value before the link is clogged does not end it");

#define LINK_WARN_MS 10000u
/* A link this silent is dead, whatever the kernel says of it: dial again. */
#define LINK_SILENCE_MS 3000u
/* Ticks come every 50 ms; later than this the shard itself was held up. */
#define LINK_HELD_UP_MS 150u
/* How long a start may wait for the other members before the node says that it is ready. */
#define LINKS_SETTLE_MS 2000u
/* Output kept by a link that has nothing to send. */
#define LINK_KEEP_BYTES (256u * 1024)
/* Before an address that is nobody's is dialled again. */
#define SEED_DIAL_MS 200u

static const uint32_t link_next[LINK_STATES] = {
    [LINK_DOWN] = TO(LINK_DIALLING) | TO(LINK_GREETING),
    [LINK_DIALLING] = TO(LINK_GREETING) | TO(LINK_DOWN),
    [LINK_GREETING] = TO(LINK_UP) | TO(LINK_DOWN),
    [LINK_UP] = TO(LINK_DOWN),
};

void link_move(struct link *l, enum link_state next) {
    ASSERT((link_next[l->state] & TO(next)) != 0);
    l->state = next;
    l->since_ms = os_loop_now_ms(l->shard->loop);
}

bool link_check(const struct link *l) {
    if (l->state >= LINK_STATES) return false;
    if ((l->state == LINK_DOWN) != (l->sock.os == NULL)) return false;
    if (l->marks_count > LINK_MARKS_MAX) return false;
    if (l->state != LINK_UP && !list_is_empty(&l->sent)) return false;
    return true;
}

struct link *link_create(struct shard *s, struct peer *p, uint16_t remote_shard) {
    struct link *l = mem_alloc_zeroed(sizeof *l);
    l->shard = s;
    l->peer = p;
    l->remote_shard = remote_shard;
    list_init(&l->work);
    list_init(&l->flush);
    list_init(&l->waiting);
    list_init(&l->sent);
    buffer_init(&l->in, PEER_HEADER_BYTES + 2u * PEER_PAYLOAD_BYTES_MAX);
    buffer_init(&l->out, SIZE_MAX / 2);
    buffer_init(&l->held, SIZE_MAX / 2);
    list_append(&s->links, &l->all);
    return l;
}

struct link *link_create_seed(struct shard *s, struct seed *seed) {
    struct link *l = link_create(s, NULL, 0);
    l->seed = seed;
    l->dialled = true;
    return l;
}

static void link_destroy(struct link *l) {
    ASSERT(l->state == LINK_DOWN);
    list_remove(&l->all);
    list_remove(&l->work);
    list_remove(&l->flush);
    list_remove(&l->waiting);
    buffer_deinit(&l->in);
    buffer_deinit(&l->out);
    buffer_deinit(&l->held);
    mem_free(l);
}

/* ---- the end of a connection ---- */

static bool has_link_up(const struct peer *p) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        if (p->links[i] != NULL && p->links[i]->state == LINK_UP) return true;
    }
    return false;
}

/* Anybody can connect: one line a while for all of them. */
void link_warn_of_stranger(struct shard *s, const char *why) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (s->strangers_warned_ms != 0 && now_ms < s->strangers_warned_ms + LINK_WARN_MS) {
        s->strangers_quiet++;
        return;
    }
    log_warn("shard %u: a stream that began like a node's: %s (%u more since the last such line)",
             s->id, why, s->strangers_quiet);
    s->strangers_warned_ms = now_ms;
    s->strangers_quiet = 0;
}

static void warn(struct link *l, const char *why) {
    struct peer *p = l->peer;
    const uint64_t now_ms = os_loop_now_ms(l->shard->loop);
    if (l->seed != NULL) {
        log_debug("shard %u: no link to %s: %s", l->shard->id, l->seed->address, why);
        return;
    }
    if (p == NULL) {
        link_warn_of_stranger(l->shard, why);
        return;
    }
    if (p->warned_ms != 0 && now_ms < p->warned_ms + LINK_WARN_MS) return;
    p->warned_ms = now_ms;
    log_warn("shard %u: link to %s: %s", l->shard->id,
             membership_member(l->shard->members, p->member)->address, why);
}

/* Everything but the link itself goes back to how it began. */
static void disconnect(struct link *l) {
    struct shard *s = l->shard;
    const bool was_up = l->state == LINK_UP;
    os_sock_close(&l->sock);
    link_move(l, LINK_DOWN);
    l->readable = l->writable = l->may_end = false;
    l->held_start = 0;
    l->marks_count = 0;
    buffer_shrink(&l->in, 0);
    buffer_shrink(&l->out, 0);
    buffer_shrink(&l->held, 0);
    list_remove(&l->work);
    list_remove(&l->flush);
    list_remove(&l->waiting);
    l->urgent = false;
    if (l->peer != NULL && !has_link_up(l->peer)) detector_lost(&l->peer->detector);
    if (!was_up) return;
    s->figures.peer_links_lost++;
    node_control_linked(l, false);
    guests_orphan(s, l);
    repair_unlinked(s, l);
    sent_fail_all(s, l);
}

void link_fail(struct link *l, const char *why) {
    struct shard *s = l->shard;
    if (l->state == LINK_DOWN) return;
    if (why != NULL) warn(l, why);
    disconnect(l);
    if (l->dialled) {
        const uint32_t wait_ms = l->seed != NULL
                                     ? SEED_DIAL_MS
                                     : detector_dial_wait_ms(&l->peer->detector, ++s->random * 31);
        l->dial_at_ms = os_loop_now_ms(s->loop) + wait_ms;
        return;
    }
    if (l->peer == NULL) s->links_guests--;
    if (l->peer != NULL && l->peer->links[l->remote_shard] == l)
        l->peer->links[l->remote_shard] = NULL;
    list_remove(&l->all);
    list_append(&s->links_gone, &l->all);
}

/* ---- dialling ---- */

static void dial(struct link *l) {
    struct shard *s = l->shard;
    const char *address = l->seed != NULL ? l->seed->address
                                          : membership_member(s->members, l->peer->member)->address;
    ASSERT(l->state == LINK_DOWN);
    l->dial_at_ms = UINT64_MAX;
    if (!status_ok(os_sock_connect(s->os, address, &l->sock)) ||
        !status_ok(os_loop_watch(s->loop, l->sock, l, SHARD_TAG_LINK))) {
        os_sock_close(&l->sock);
        l->dial_at_ms = os_loop_now_ms(s->loop) + DETECTOR_DIAL_MS_MAX;
        return;
    }
    l->serial = ++s->link_serials;
    link_move(l, LINK_DIALLING);
}

/* Whether this side dials that member. Places may differ from node to node, ids do not. */
static bool dials(const struct shard *s, uint32_t member) {
    const struct membership *m = s->members;
    return m->self == MEMBER_NONE ||
           membership_member(m, m->self)->id < membership_member(m, member)->id;
}

static uint32_t common_divisor(uint32_t a, uint32_t b) {
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether slots of that shard of the other node are slots of this one. */
static bool shares_slots(const struct shard *s, const struct peer *p, uint32_t remote_shard) {
    const uint32_t step = common_divisor(s->node->shards_count, p->shards);
    return remote_shard % step == s->id % step;
}

void links_want(struct shard *s, struct peer *p) {
    for (uint32_t i = 0; i < p->shards; i++) {
        if (!shares_slots(s, p, i)) continue;
        if (p->links[i] != NULL) {
            /* Given up while the node had fewer shards. */
            if (p->links[i]->state == LINK_DOWN && p->links[i]->dial_at_ms == UINT64_MAX)
                p->links[i]->dial_at_ms = os_loop_now_ms(s->loop);
            continue;
        }
        p->links[i] = link_create(s, p, (uint16_t)i);
        p->links[i]->dialled = true;
        dial(p->links[i]);
    }
}

/* The first link tells how many shards the other has, and so which further ones to make. A dead
 * member whose address is another's now has none. */
static void link_first(struct shard *s, struct peer *p) {
    if (!dials(s, p->member) || membership_member(s->members, p->member)->address[0] == '\0')
        return;
    ASSERT(p->links[s->id] == NULL);
    p->links[s->id] = link_create(s, p, s->id);
    p->links[s->id]->dialled = true;
}

struct peer *peer_create(struct shard *s, uint32_t place) {
    ASSERT(place < MEMBERS_MAX && place != s->members->self);
    ASSERT(s->peers[place] == NULL);
    ASSERT(membership_member(s->members, place)->id != 0);
    struct peer *p = mem_alloc_zeroed(sizeof *p);
    s->peers[place] = p;
    p->shard = s;
    p->member = place;
    list_init(&p->gone);
    detector_init(&p->detector);
    link_first(s, p);
    return p;
}

void link_give_up(struct link *l) {
    ASSERT(l->dialled);
    link_fail(l, NULL);
    l->seed = NULL;
    list_remove(&l->all);
    list_append(&l->shard->links_gone, &l->all);
}

void peer_unlink(struct peer *p) {
    struct shard *s = p->shard;
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        next = n->next;
        if (l->peer != p) continue;
        if (l->dialled)
            link_give_up(l);
        else
            link_fail(l, NULL);
    }
    memset(p->links, 0, sizeof p->links);
    p->suspected = false;
}

void peer_relink(struct peer *p) {
    peer_unlink(p);
    p->warned_ms = 0;
    detector_init(&p->detector);
    link_first(p->shard, p);
}

void peer_destroy(struct peer *p) {
    ASSERT(p->hints == NULL);
    for (uint32_t i = 0; i < SHARDS_MAX; i++) ASSERT(p->repairs[i] == NULL);
    list_remove(&p->gone);
    mem_free(p);
}

void links_end_guests(struct shard *s) {
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        next = n->next;
        if (l->peer == NULL && l->seed == NULL) link_fail(l, NULL);
    }
}

void links_create(struct shard *s) {
    const struct membership *m = s->members;
    if (s->sent.all == NULL) sent_table_init(&s->sent);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (i != m->self) (void)peer_create(s, i);
    }
    links_learn(s);
}

void links_close(struct shard *s) {
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        next = n->next;
        l->dial_at_ms = UINT64_MAX;
        link_fail(l, NULL);
        l->dial_at_ms = UINT64_MAX;
    }
}

void links_destroy(struct shard *s) {
    if (s->sent.all == NULL) return; /* never opened */
    links_close(s);
    seeds_destroy(s);
    links_free_gone(s);
    links_take_handed(s);
    while (!list_is_empty(&s->links)) {
        struct link *l = LIST_ENTRY(s->links.next, struct link, all);
        link_fail(l, NULL);
        link_destroy(l);
    }
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] != NULL) peer_destroy(s->peers[i]);
        s->peers[i] = NULL;
    }
    while (!list_is_empty(&s->peers_gone))
        peer_destroy(LIST_ENTRY(s->peers_gone.next, struct peer, gone));
    sent_table_deinit(&s->sent);
}

void links_free_gone(struct shard *s) {
    while (!list_is_empty(&s->links_gone))
        link_destroy(LIST_ENTRY(s->links_gone.next, struct link, all));
}

/* ---- the pulse ---- */

void link_ping(struct link *l, uint8_t flags) {
    struct shard *s = l->shard;
    struct peer_ping ping = { .sent_wall_ms = s->turn_wall_ms };
    size_t begun = 0;
    repair_tell(s, &ping);
    ping.flags |= flags;
    struct buffer *out = link_begin(l, PEER_PING, 0, 0, &begun);
    peer_ping_encode(&ping, out);
    link_end(l, begun);
    if (l->peer != NULL) shard_tell_floors(s, l);
    const bool slow = l->peer != NULL && l->peer->detector.slow;
    l->ping_at_ms = os_loop_now_ms(s->loop) + (slow ? DETECTOR_SLOW_MS : DETECTOR_HEARTBEAT_MS);
}

void links_learn(struct shard *s) {
    const struct membership *m = s->members;
    const bool all = m->count <= LINKS_QUICK_MEMBERS;
    const bool none = s->node->links_slow;
    struct place_set neighbors = { { 0 } };
    if (!all && !none) membership_neighbors(m, m->self, s->id, s->node->shards_count, &neighbors);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (s->peers[i] != NULL) s->peers[i]->near = !none && (all || place_set_has(&neighbors, i));
    }
}

/* Whoever is asked something is looked at closely until it has answered. */
static void set_paces(struct shard *s, uint64_t now_ms) {
    for (uint32_t i = 0; i < s->members->places; i++) {
        struct peer *p = s->peers[i];
        if (p == NULL) continue;
        bool slow = !p->near;
        for (uint32_t k = 0; slow && k < p->shards; k++)
            slow = p->links[k] == NULL || list_is_empty(&p->links[k]->sent);
        detector_pace(&p->detector, slow, now_ms);
    }
}

/* A ping that is due, or was put off while nothing was waited for. */
static bool ping_is_due(const struct link *l, uint64_t now_ms) {
    if (l->shard->stop_deadline_ms != 0) return false; /* it falls silent: others ask elsewhere */
    if (now_ms >= l->ping_at_ms) return true;
    const bool slow = l->peer != NULL && l->peer->detector.slow;
    return !slow && l->ping_at_ms > now_ms + DETECTOR_HEARTBEAT_MS;
}

static void link_tick(struct link *l, uint64_t now_ms, uint32_t *dials_left) {
    switch (l->state) {
    case LINK_DOWN:
        if (!l->dialled || now_ms < l->dial_at_ms || l->shard->stop_deadline_ms != 0) break;
        if (*dials_left == 0) break;
        --*dials_left;
        dial(l);
        break;
    case LINK_DIALLING:
    case LINK_GREETING:
        if (now_ms >= l->since_ms + LINK_GREETING_MS) link_fail(l, "no answer to our greeting");
        break;
    case LINK_UP:
        if (ping_is_due(l, now_ms)) link_ping(l, 0);
        break;
    case LINK_STATES: ASSERT(false);
    }
}

/* Silence and late answers, after what arrived has been read: a shard that was held up itself
 * finds heartbeats and answers of all that time waiting. */
void links_judge(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (!s->links_judge) return;
    s->links_judge = false;
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        next = n->next;
        if (l->state != LINK_UP) continue;
        if (now_ms >= l->heard_ms + LINK_SILENCE_MS)
            link_fail(l, "silent for three seconds");
        else
            sent_expire(s, l);
    }
}

/* A shard that was held up itself has heard nobody: that says nothing about the others. */
static bool was_held_up(struct shard *s, uint64_t now_ms) {
    const bool held_up = s->links_tick_ms != 0 && now_ms > s->links_tick_ms + LINK_HELD_UP_MS;
    s->links_tick_ms = now_ms;
    if (!held_up) return false;
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] != NULL && has_link_up(s->peers[i]))
            detector_heard(&s->peers[i]->detector, now_ms);
    }
    return true;
}

/* What was handed to a silent member is handed to another, and writes that were answered give it
 * a hint. Those that still need its answer wait for it: it may only be slow. */
static void suspect_silent(struct shard *s, uint64_t now_ms) {
    for (uint32_t i = 0; i < s->members->places; i++) {
        struct peer *p = s->peers[i];
        if (p == NULL) continue;
        const bool silent = has_link_up(p) && !detector_is_alive(&p->detector, now_ms);
        const bool was_suspected = p->suspected;
        p->suspected = silent; /* before others hear of it, so that nobody asks it anew */
        for (uint32_t k = 0; silent && !was_suspected && k < SHARDS_MAX; k++) {
            if (p->links[k] != NULL) sent_suspect(s, p->links[k]);
        }
    }
}

/* Whether every slot that is kept here and there has its link. */
static bool is_linked_wholly(const struct shard *s, uint32_t member) {
    const struct peer *p = s->peers[member];
    if (!peer_is_alive(s, member)) return false;
    for (uint32_t i = 0; i < p->shards; i++) {
        const bool up = p->links[i] != NULL && p->links[i]->state == LINK_UP;
        if (shares_slots(s, p, i) && !up) return false;
    }
    return true;
}

/* Once reads and writes can find a quorum, or it has been waited for long enough, the shard counts
 * as ready; a node that stays alone serves what needs only itself. */
static void settle(struct shard *s, uint64_t now_ms) {
    if (atomic_load_explicit(&s->settled, memory_order_relaxed)) return;
    const struct membership *m = s->members;
    if (m->epoch == 0) return;
    uint32_t alive = m->self != MEMBER_NONE && s->filled;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1))
        alive += is_linked_wholly(s, i);
    if (alive < m->count && now_ms < s->opened_ms + LINKS_SETTLE_MS) return;
    atomic_store(&s->settled, true);
}

void links_tick(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    uint32_t dials_left = LINKS_DIALLED_MAX;
    set_paces(s, now_ms);
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        next = n->next;
        link_tick(LIST_ENTRY(n, struct link, all), now_ms, &dials_left);
    }
    s->links_judge = true;
    if (!was_held_up(s, now_ms)) suspect_silent(s, now_ms);
    seeds_tick(s);
    settle(s, now_ms);
}

/* ---- finding one ---- */

bool peer_is_alive(const struct shard *s, uint32_t member) {
    const struct peer *p = s->peers[member];
    return p != NULL && p->shards != 0 && !p->suspected && p->detector.up;
}

struct link *link_of_shard(struct shard *s, uint32_t member, uint16_t remote_shard) {
    if (!peer_is_alive(s, member) || remote_shard >= s->peers[member]->shards) return NULL;
    struct link *l = s->peers[member]->links[remote_shard];
    return l != NULL && l->state == LINK_UP ? l : NULL;
}

struct link *link_of_slot(struct shard *s, uint32_t member, uint32_t slot) {
    if (!peer_is_alive(s, member)) return NULL;
    return link_of_shard(s, member, (uint16_t)(slot % s->peers[member]->shards));
}

struct link *link_to_slot(struct shard *s, uint32_t member, uint32_t slot) {
    const struct peer *p = s->peers[member];
    if (p == NULL || p->shards == 0) return NULL;
    struct link *l = p->links[slot % p->shards];
    return l != NULL && l->state == LINK_UP ? l : NULL;
}

struct link *link_find(struct shard *s, uint64_t serial) {
    for (struct list *n = s->links.next; n != &s->links; n = n->next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        if (l->serial == serial && l->state == LINK_UP) return l;
    }
    return NULL;
}

/* ---- output ---- */

bool link_has_room(const struct link *l) {
    return l->state == LINK_UP && buffer_len(&l->out) < LINK_OUT_BYTES_PAUSE;
}

bool link_is_clogged(const struct link *l) {
    return buffer_len(&l->out) + buffer_len(&l->held) >= LINK_OUT_BYTES_CLOGGED;
}

struct buffer *link_begin(struct link *l, enum peer_type type, uint8_t flags, uint64_t id,
                          size_t *ret_begun) {
    ASSERT(l->state == LINK_UP || l->state == LINK_GREETING);
    *ret_begun = peer_begin(&l->out, type, flags, id, l->shard->hlc.last);
    return &l->out;
}

static void flush_later(struct link *l, bool urgent, bool is_answer) {
    if (urgent) l->urgent = true;
    if (!is_answer) l->only_answers = false;
    if (!list_is_empty(&l->flush)) return;
    list_append(&l->shard->links_flush, &l->flush);
    l->lazy_since_ns = l->shard->turn_ns;
    l->only_answers = is_answer;
}

void link_end(struct link *l, size_t begun) {
    peer_end(&l->out, begun);
    flush_later(l, true, false);
}

void link_end_lazy(struct link *l, size_t begun, bool is_answer) {
    peer_end(&l->out, begun);
    flush_later(l, false, is_answer);
}

void link_send_control(struct link *l, struct bytes message) {
    size_t begun = 0;
    if (!link_has_room(l)) return;
    struct buffer *out = link_begin(l, PEER_CONTROL, 0, 0, &begun);
    peer_control_encode(message, out);
    link_end(l, begun);
}

struct buffer *link_begin_held(struct link *l, enum peer_type type, uint8_t flags, uint64_t id,
                               size_t *ret_begun) {
    ASSERT(l->state == LINK_UP);
    *ret_begun = peer_begin(&l->held, type, flags, id, l->shard->hlc.last);
    return &l->held;
}

void link_end_held(struct link *l, size_t begun, uint64_t sequence, bool urgent) {
    peer_end(&l->held, begun);
    const uint64_t end = l->held_start + buffer_len(&l->held);
    struct link_mark *last = l->marks_count == 0 ? NULL : &l->marks[l->marks_count - 1];
    if (last == NULL || (sequence > last->sequence && l->marks_count < LINK_MARKS_MAX)) {
        last = &l->marks[l->marks_count++];
        *last = (struct link_mark){ .sequence = sequence };
    }
    if (sequence > last->sequence) last->sequence = sequence;
    last->end = end;
    last->urgent |= urgent;
    if (list_is_empty(&l->waiting)) list_append(&l->shard->links_held, &l->waiting);
}

/* Move what is safe from `held` to `out`. */
static void release_held(struct link *l, uint64_t acknowledged) {
    uint32_t passed = 0;
    while (passed < l->marks_count && l->marks[passed].sequence <= acknowledged) passed++;
    if (passed == 0) return;
    bool urgent = false;
    for (uint32_t i = 0; i < passed; i++) urgent |= l->marks[i].urgent;
    const size_t len = (size_t)(l->marks[passed - 1].end - l->held_start);
    const struct bytes ready = { buffer_bytes(&l->held).ptr, len };
    buffer_append(&l->out, ready);
    buffer_consume(&l->held, len);
    l->held_start += len;
    l->marks_count -= passed;
    memmove(l->marks, l->marks + passed, l->marks_count * sizeof l->marks[0]);
    flush_later(l, urgent, true);
}

static void release_all_held(struct shard *s) {
    const uint64_t acknowledged = shard_acknowledged(s);
    for (struct list *n = s->links_held.next, *next; n != &s->links_held; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, waiting);
        next = n->next;
        release_held(l, acknowledged);
        if (l->marks_count == 0) list_remove(&l->waiting);
    }
}

static void flush(struct link *l) {
    struct shard *s = l->shard;
    l->urgent = false;
    while (buffer_len(&l->out) > 0 && l->writable) {
        const struct bytes run = buffer_bytes(&l->out);
        size_t sent = 0;
        const struct status st = os_sock_write(l->sock, &run, 1, &sent);
        if (st.code == ST_WAIT) {
            l->writable = false;
            l->urgent = true; /* as soon as there is room */
        } else if (!status_ok(st)) {
            link_fail(l, "connection lost while sending");
            return;
        } else {
            buffer_consume(&l->out, sent);
            s->figures.peer_bytes_out += sent;
        }
    }
    if (buffer_len(&l->out) == 0) buffer_shrink(&l->out, LINK_KEEP_BYTES);
    if (buffer_len(&l->out) + buffer_len(&l->held) > LINK_OUT_BYTES_MAX)
        link_fail(l, "the other side does not read");
}

uint32_t links_wait_ms(const struct shard *s) {
    uint64_t wait_ns = UINT64_MAX;
    for (const struct list *n = s->links_flush.next; n != &s->links_flush; n = n->next) {
        const struct link *l = LIST_ENTRY(n, struct link, flush);
        if (l->urgent) return 0;
        const uint64_t until_ns =
            l->lazy_since_ns + (l->only_answers ? LINK_LAZY_ANSWERS_WAKE_NS : LINK_LAZY_NS);
        const uint64_t left_ns = until_ns > s->turn_ns ? until_ns - s->turn_ns : 0;
        if (left_ns < wait_ns) wait_ns = left_ns;
    }
    if (wait_ns == UINT64_MAX) return UINT32_MAX;
    return (uint32_t)((wait_ns + 999999) / 1000000);
}

static bool may_wait(const struct link *l) {
    const uint64_t wait_ns = l->only_answers ? LINK_LAZY_ANSWERS_NS : LINK_LAZY_NS;
    return !l->urgent && l->state == LINK_UP && buffer_len(&l->out) < LINK_LAZY_BYTES &&
           l->shard->turn_ns < l->lazy_since_ns + wait_ns;
}

/* A link that fails here makes others ask elsewhere, and so send more. */
void links_flush(struct shard *s) {
    release_all_held(s);
    struct list lazy;
    list_init(&lazy);
    while (!list_is_empty(&s->links_flush)) {
        struct link *l = LIST_ENTRY(list_take_first(&s->links_flush), struct link, flush);
        if (may_wait(l))
            list_append(&lazy, &l->flush);
        else
            flush(l);
    }
    while (!list_is_empty(&lazy)) list_append(&s->links_flush, list_take_first(&lazy));
    links_free_gone(s);
}
