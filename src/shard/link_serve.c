/* link_serve.c - greeting a node and carrying out what it sends. */
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/inspect.h"
#include "shard/link_internal.h"
#include "shard/node_control.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* Before it has said who it is, a stranger gets no more memory than this. */
#define GREETING_BYTES_MAX 4096u
#define CLOCK_WARN_MS 60000u
/* Why a greeting is refused: it goes into a REFUSE. */
#define WHY_BYTES (PEER_TEXT_BYTES_MAX + 1)

_Static_assert(CLUSTER_ID_BYTES == PEER_CLUSTER_BYTES, "a greeting names the cluster");

/* A stream on its way to the shard that it is for. */
struct handed {
    struct list link; /* in the shard's `handed` */
    struct os_sock sock;
    struct buffer in; /* what was read of it */
};

/* ---- greeting ---- */

static void send_hello(struct link *l) {
    struct shard *s = l->shard;
    const struct node *n = s->node;
    const struct membership *m = s->members;
    const bool proxy = m->self == MEMBER_NONE || l->seed != NULL;
    struct peer_hello hello = {
        .version = PEER_VERSION,
        .shards = (uint16_t)n->shards_count,
        .from_shard = s->id,
        .to_shard = l->remote_shard,
        .member = proxy ? 0 : membership_member(m, m->self)->id,
        .node_id = proxy ? 0 : n->node_id,
        .boot_count = n->boot_count,
        .flags = (uint8_t)((proxy ? PEER_HELLO_PROXY : 0) | (s->filled ? 0 : PEER_HELLO_FRESH)),
        .wall_ms = s->turn_wall_ms,
        .address = bytes_of_string(proxy ? n->address : membership_member(m, m->self)->address),
        .release = bytes_of_string(n->version),
    };
    if (l->seed == NULL) memcpy(hello.cluster, m->cluster.bytes, sizeof hello.cluster);
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_HELLO, 0, 0, &begun);
    peer_hello_encode(&hello, out);
    link_end(l, begun);
}

/* Say why, once, and end it. */
static void refuse(struct link *l, const char *why) {
    size_t begun = 0;
    l->shard->figures.peer_refused++;
    struct buffer *out = link_begin(l, PEER_REFUSE, 0, 0, &begun);
    buffer_append_string(out, why);
    link_end(l, begun);
    const struct bytes run = buffer_bytes(&l->out);
    size_t sent = 0;
    if (l->writable && !status_ok(os_sock_write(l->sock, &run, 1, &sent)))
        l->writable = false; /* it will find out by the end of the stream */
    link_fail(l, why);
}

static void linked(struct link *l) {
    struct shard *s = l->shard;
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    link_move(l, LINK_UP);
    l->heard_ms = now_ms;
    l->ping_at_ms = now_ms;
    if (l->peer == NULL) return;
    detector_linked(&l->peer->detector, now_ms);
    l->peer->suspected = false;
    node_control_linked(l, true);
    shard_tell_floors(s, l);
    repair_linked(s, l);
}

static void learn_peer(struct link *l, const struct peer_hello *m) {
    struct peer *p = l->peer;
    if (p->node_id != 0 && p->node_id != m->node_id)
        log_warn("%s has another data directory than before",
                 membership_member(l->shard->members, p->member)->address);
    if (p->node_id != m->node_id) p->met_fresh = (m->flags & PEER_HELLO_FRESH) != 0;
    p->node_id = m->node_id;
    p->boot_count = m->boot_count;
    p->fresh = (m->flags & PEER_HELLO_FRESH) != 0;
    p->shards = m->shards;
}

static const char *why_another_cluster(const struct membership *members,
                                       const struct cluster_id *theirs, char space[WHY_BYTES]) {
    char text[2][CLUSTER_ID_TEXT_BYTES];
    cluster_id_print(theirs, text[0]);
    cluster_id_print(&members->cluster, text[1]);
    (void)snprintf(space, WHY_BYTES,
                   "it is a node of cluster %s, and this one of %s; a node that shall change over "
                   "starts with an empty data directory",
                   text[0], text[1]);
    return space;
}

/* What holds for both sides of a link. A proxy may have no news of any cluster yet. */
static const char *why_not(const struct membership *members, const struct peer_hello *m,
                           char space[WHY_BYTES]) {
    static const struct cluster_id none;
    const bool is_proxy = (m->flags & PEER_HELLO_PROXY) != 0;
    struct cluster_id theirs;
    memcpy(theirs.bytes, m->cluster, sizeof theirs.bytes);
    const bool knows_none = is_proxy && cluster_id_equal(&theirs, &none);
    const bool known = !knows_none && members->epoch > 0;
    if (known && !cluster_id_equal(&theirs, &members->cluster))
        return why_another_cluster(members, &theirs, space);
    if (m->from_shard >= m->shards) return "its greeting makes no sense";
    const uint32_t member = is_proxy ? MEMBER_NONE : membership_find(members, m->member);
    if (member == MEMBER_NONE) return is_proxy ? NULL : "it is not a member";
    if (m->boot_count < membership_member(members, member)->boot)
        return "it is an old copy of its data directory: others know of later starts";
    return NULL;
}

/* What holds for the side that was dialled. */
static const char *why_not_accepted(const struct shard *s, const struct peer_hello *m,
                                    char space[WHY_BYTES]) {
    const struct membership *members = s->members;
    const char *why = why_not(members, m, space);
    if (why != NULL) return why;
    if (s->node->proxy) return "this node is a proxy and keeps no data";
    if ((m->flags & PEER_HELLO_PROXY) != 0) return NULL;
    if (members->self == MEMBER_NONE) return "this node is no member of a cluster";
    const uint32_t own = membership_member(members, members->self)->id;
    if (m->member == own) return "it says that it is this node";
    if (m->member > own) return "it should wait to be dialled";
    return NULL;
}

/* Whoever it is: the control plane finds out. */
static void greeted_by_seed(struct link *l, const struct peer_hello *m) {
    if (m->from_shard == 0 && m->shards > 0)
        linked(l);
    else
        refuse(l, "its greeting makes no sense");
}

static void greeted_by_dialled(struct link *l, const struct peer_hello *m) {
    struct peer *p = l->peer;
    const struct membership *members = l->shard->members;
    char space[WHY_BYTES];
    const char *why = why_not(members, m, space);
    if (why == NULL && m->member != membership_member(members, p->member)->id)
        why = "another member answers at its address";
    if (why != NULL) {
        refuse(l, why);
        return;
    }
    struct link *same = p->links[m->from_shard];
    if (same != NULL && same != l) {
        link_fail(l, NULL); /* the other one is for that shard */
        l->dial_at_ms = UINT64_MAX;
        return;
    }
    if (p->links[l->remote_shard] == l) p->links[l->remote_shard] = NULL;
    l->remote_shard = m->from_shard;
    p->links[l->remote_shard] = l;
    learn_peer(l, m);
    links_want(l->shard, p);
    linked(l);
}

/* Give the stream to the shard it asked for. */
static void hand_over(struct link *l, uint16_t to, struct bytes read) {
    struct shard *s = l->shard;
    struct shard *other = s->node->shards[to];
    struct handed *h = mem_alloc_zeroed(sizeof *h);
    os_loop_unwatch(s->loop, l->sock);
    h->sock = l->sock;
    buffer_init(&h->in, SIZE_MAX / 2);
    buffer_append(&h->in, read);
    l->sock = (struct os_sock){ 0 };
    link_fail(l, NULL);
    os_mutex_lock(&other->handed_lock);
    list_append(&other->handed, &h->link);
    atomic_store(&other->has_handed, true);
    os_mutex_unlock(&other->handed_lock);
    os_loop_wake(other->loop);
}

static void greeted_by_accepted(struct link *l, const struct peer_hello *m) {
    struct shard *s = l->shard;
    char space[WHY_BYTES];
    const char *why = why_not_accepted(s, m, space);
    if (why != NULL) {
        refuse(l, why);
        return;
    }
    if ((m->flags & PEER_HELLO_PROXY) == 0) {
        struct peer *p = s->peers[membership_find(s->members, m->member)];
        if (p->links[m->from_shard] != NULL) link_fail(p->links[m->from_shard], NULL);
        l->peer = p;
        s->links_guests--;
        p->links[m->from_shard] = l;
        l->remote_shard = m->from_shard;
        learn_peer(l, m);
    }
    l->remote_shard = m->from_shard;
    send_hello(l);
    linked(l);
}

static void greet(struct link *l, const struct peer_frame *f) {
    struct peer_hello m;
    if (f->type == PEER_REFUSE) {
        char why[PEER_TEXT_BYTES_MAX + 32];
        const int len =
            (int)(f->payload.len < PEER_TEXT_BYTES_MAX ? f->payload.len : PEER_TEXT_BYTES_MAX);
        char text[PEER_TEXT_BYTES_MAX + 1] = { 0 };
        for (int i = 0; i < len; i++) {
            const uint8_t c = f->payload.ptr[i];
            text[i] = c >= ' ' && c < 127 ? (char)c : '?';
        }
        snprintf(why, sizeof why, "it refuses us: %s", text);
        link_fail(l, why);
        return;
    }
    const struct status st =
        f->type == PEER_HELLO ? peer_hello_decode(f->payload, &m) : status_of(ST_CORRUPT);
    if (st.code == ST_INVALID) {
        refuse(l, "it speaks another version of the peer protocol");
        return;
    }
    if (!status_ok(st)) {
        link_fail(l, "its greeting is malformed");
        return;
    }
    if (l->seed != NULL)
        greeted_by_seed(l, &m);
    else if (l->dialled)
        greeted_by_dialled(l, &m);
    else
        greeted_by_accepted(l, &m);
}

/* ---- streams that come in ---- */

static struct link *accept_stream(struct shard *s, struct os_sock sock, struct bytes read) {
    if (s->links_guests >= LINKS_GUESTS_MAX || s->stop_deadline_ms != 0) {
        os_sock_close(&sock);
        return NULL;
    }
    struct link *l = link_create(s, NULL, 0);
    l->sock = sock;
    l->serial = ++s->link_serials;
    s->links_guests++;
    link_move(l, LINK_GREETING);
    if (!status_ok(os_loop_watch(s->loop, sock, l, SHARD_TAG_LINK))) {
        link_fail(l, NULL);
        return NULL;
    }
    buffer_append(&l->in, read);
    l->readable = l->writable = l->may_end = true;
    list_append(&s->links_work, &l->work);
    return l;
}

void link_adopt(struct shard *s, struct os_sock sock, struct bytes read) {
    os_loop_unwatch(s->loop, sock);
    (void)accept_stream(s, sock, read);
}

void links_take_handed(struct shard *s) {
    struct list now;
    if (!atomic_load_explicit(&s->has_handed, memory_order_relaxed)) return;
    list_init(&now);
    os_mutex_lock(&s->handed_lock);
    atomic_store(&s->has_handed, false);
    while (!list_is_empty(&s->handed)) list_append(&now, list_take_first(&s->handed));
    os_mutex_unlock(&s->handed_lock);
    for (struct list *n = list_take_first(&now); n != NULL; n = list_take_first(&now)) {
        struct handed *h = LIST_ENTRY(n, struct handed, link);
        (void)accept_stream(s, h->sock, buffer_bytes(&h->in));
        buffer_deinit(&h->in);
        mem_free(h);
    }
}

void link_event(struct link *l, uint32_t ready) {
    struct shard *s = l->shard;
    if (l->state == LINK_DOWN) return; /* of a socket that was closed in this turn */
    if ((ready & OS_READY_READ) != 0) l->readable = true;
    if ((ready & (OS_READY_CLOSED | OS_READY_ENDED)) != 0) l->readable = l->may_end = true;
    if ((ready & (OS_READY_WRITE | OS_READY_CLOSED)) != 0) l->writable = true;
    if (l->state == LINK_DIALLING && l->writable) {
        link_move(l, LINK_GREETING);
        buffer_append(&l->out, bytes_of((const uint8_t *)PEER_MAGIC, PEER_MAGIC_BYTES));
        send_hello(l);
    }
    if (list_is_empty(&l->work)) list_append(&s->links_work, &l->work);
    if (l->writable && buffer_len(&l->out) > 0 && list_is_empty(&l->flush))
        list_append(&s->links_flush, &l->flush);
}

/* ---- frames ---- */

/* Clocks further ahead than the bound are not followed (R14). */
static void observe_clock(struct link *l, uint64_t stamp) {
    struct shard *s = l->shard;
    if (hlc_is_lawful(stamp, s->turn_wall_ms)) {
        hlc_observe(&s->hlc, stamp);
        return;
    }
    struct peer *p = l->peer;
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (p == NULL || (p->warned_ms != 0 && now_ms < p->warned_ms + CLOCK_WARN_MS)) return;
    p->warned_ms = now_ms;
    log_warn("the clock of %s is %llu ms ahead of ours: its writes are refused beyond %u ms",
             membership_member(s->members, p->member)->address,
             (unsigned long long)(hlc_ms(stamp) - s->turn_wall_ms), HLC_SKEW_MS_MAX);
}

static void serve_ping(struct link *l, const struct peer_frame *f) {
    struct shard *s = l->shard;
    struct peer_ping ping;
    if (!status_ok(peer_ping_decode(f->payload, &ping))) {
        link_fail(l, "malformed heartbeat");
        return;
    }
    if (l->peer != NULL) {
        l->peer->fresh = (ping.flags & PEER_HELLO_FRESH) != 0;
        repair_heard(s, l, &ping);
    }
    if (f->type == PEER_PONG) {
        if (l->peer != NULL)
            detector_clock(&l->peer->detector, ping.answer_wall_ms, ping.sent_wall_ms,
                           s->turn_wall_ms);
        return;
    }
    struct peer_ping pong = { .sent_wall_ms = ping.sent_wall_ms,
                              .answer_wall_ms = s->turn_wall_ms };
    size_t begun = 0;
    repair_tell(s, &pong);
    struct buffer *out = link_begin(l, PEER_PONG, 0, 0, &begun);
    peer_ping_encode(&pong, out);
    link_end(l, begun);
}

/* An answer to something this shard asked; nobody may be waiting any more. */
static void take_answer(struct link *l, const struct peer_frame *f) {
    struct shard *s = l->shard;
    struct sent *q = sent_find(s, f->id);
    if (q == NULL || q->to != l) return;
    const struct sent was = *q;
    sent_close(s, q);
    switch (was.kind) {
    case SENT_QUESTION:
        if (l->peer != NULL && !was.lazy)
            detector_answered(&l->peer->detector, (s->turn_ns - was.sent_ns) / 1000);
        coordinate_answered(s, was.owner, was.place, f);
        break;
    case SENT_FORWARD: forward_answered(s, was.owner, f); break;
    case SENT_HINT: hint_answered(s, was.owner, f); break;
    case SENT_RANGE:
    case SENT_RECORD: repair_answered(s, was.owner, was.place, f); break;
    case SENT_INSPECTION: inspect_answered(s, was.owner, was.place, f); break;
    case SENT_FREE:
    case SENT_KINDS: ASSERT(false);
    }
}

static void serve_frame(struct link *l, const struct peer_frame *f) {
    struct shard *s = l->shard;
    if (l->state == LINK_GREETING) {
        greet(l, f);
        return;
    }
    observe_clock(l, f->stamp);
    if (l->peer == NULL && f->type != PEER_FORWARD && f->type != PEER_PING &&
        f->type != PEER_PONG && f->type != PEER_CONTROL) {
        link_fail(l, "a proxy may only hand calls over");
        return;
    }
    switch (f->type) {
    case PEER_PING:
    case PEER_PONG: serve_ping(l, f); break;
    case PEER_ACCEPT: replica_serve_accept(s, l, f); break;
    case PEER_QUERY: replica_serve_query(s, l, f); break;
    case PEER_FLOOR: replica_serve_floor(s, l, f); break;
    case PEER_FORWARD: guest_begin(s, l, f); break;
    case PEER_RANGE: repair_serve_range(s, l, f); break;
    case PEER_CONTROL: node_control_receive(l, f->payload); break;
    case PEER_ACCEPTED:
    case PEER_ANSWER:
    case PEER_RESPONSE:
    case PEER_VERSIONS: take_answer(l, f); break;
    default: link_fail(l, "a frame that does not belong here");
    }
}

/* The shard that a greeting asks for, if it is another one than this. */
static bool is_for_another(const struct link *l, const struct peer_frame *f, uint16_t *ret_shard) {
    struct peer_hello m;
    if (l->state != LINK_GREETING || l->dialled || f->type != PEER_HELLO) return false;
    if (!status_ok(peer_hello_decode(f->payload, &m))) return false;
    *ret_shard = (uint16_t)(m.to_shard % l->shard->node->shards_count);
    return *ret_shard != l->shard->id;
}

/* Carry out the whole frames of `in`; returns the bytes used up. */
static size_t serve_input(struct link *l, struct bytes in, size_t *ret_need) {
    const uint64_t serial = l->serial;
    size_t used = 0;
    *ret_need = 0;
    while (l->state != LINK_DOWN && l->serial == serial) {
        const struct bytes rest = bytes_of(in.ptr + used, in.len - used);
        struct peer_frame f;
        size_t consumed = 0, need = 0;
        const struct status st = peer_decode(rest, &f, &consumed, &need);
        if (l->state == LINK_GREETING &&
            (need > GREETING_BYTES_MAX || consumed > GREETING_BYTES_MAX)) {
            link_fail(l, "its greeting is too long");
            return in.len;
        }
        if (st.code == ST_WAIT) {
            *ret_need = need;
            return used;
        }
        if (!status_ok(st)) {
            link_fail(l, "damaged or unknown bytes");
            return in.len;
        }
        uint16_t to = 0;
        if (is_for_another(l, &f, &to)) {
            hand_over(l, to, rest); /* the greeting goes along: the other shard answers it */
            return in.len;
        }
        used += consumed;
        serve_frame(l, &f);
    }
    return in.len;
}

/* Read once into the shard's input, or a large frame's rest to where it is kept. */
static bool read_once(struct link *l, size_t *ret_len) {
    struct shard *s = l->shard;
    size_t need = 0;
    struct peer_frame f;
    size_t consumed = 0;
    uint8_t *into = s->input;
    size_t room = SHARD_INPUT_BYTES;
    const size_t have = buffer_len(&l->in);
    if (have > 0 && peer_decode(buffer_bytes(&l->in), &f, &consumed, &need).code == ST_WAIT &&
        need > have + SHARD_INPUT_BYTES) {
        room = need - have < LINK_READ_BYTES_MAX ? need - have : LINK_READ_BYTES_MAX;
        into = buffer_reserve(&l->in, room);
        ASSERT(into != NULL);
    }
    const struct status st = os_sock_read(l->sock, into, room, ret_len);
    if (st.code == ST_WAIT) {
        l->readable = l->may_end = false;
        *ret_len = 0;
        return true;
    }
    if (!status_ok(st)) {
        link_fail(l, st.code == ST_NOT_FOUND ? "closed by the other side" : "connection lost");
        return false;
    }
    /* A short read empties the socket: the next bytes, or the end, make a new event. */
    if (*ret_len < room && !l->may_end) l->readable = false;
    s->figures.peer_bytes_in += *ret_len;
    if (into == s->input) {
        buffer_append(&l->in, bytes_of(s->input, *ret_len));
    } else {
        buffer_commit(&l->in, *ret_len);
    }
    ASSERT(!l->in.overflowed);
    return true;
}

static void heard(struct link *l) {
    l->heard_ms = os_loop_now_ms(l->shard->loop);
    if (l->peer == NULL || l->state != LINK_UP) return;
    detector_heard(&l->peer->detector, l->heard_ms);
    l->peer->suspected = false;
}

/* What is kept so far. False: the link ended. */
static bool serve_kept(struct link *l) {
    const uint64_t serial = l->serial;
    size_t need = 0;
    if (l->state == LINK_GREETING && !l->dialled) {
        if (buffer_len(&l->in) < PEER_MAGIC_BYTES) return true;
        if (memcmp(buffer_bytes(&l->in).ptr, PEER_MAGIC, PEER_MAGIC_BYTES) == 0)
            buffer_consume(&l->in, PEER_MAGIC_BYTES);
    }
    if (buffer_len(&l->in) == 0) return true;
    const size_t used = serve_input(l, buffer_bytes(&l->in), &need);
    if (l->state == LINK_DOWN || l->serial != serial) return false;
    buffer_consume(&l->in, used);
    if (buffer_len(&l->in) == 0) buffer_shrink(&l->in, SHARD_INPUT_BYTES);
    return true;
}

static void serve(struct link *l) {
    const uint64_t serial = l->serial;
    size_t total = 0;
    if (!serve_kept(l)) return;
    while (l->readable && total < LINK_READ_BYTES_MAX) {
        size_t len = 0;
        if (!read_once(l, &len)) return;
        if (len == 0) break;
        total += len;
        heard(l);
        if (!serve_kept(l) || l->serial != serial) return;
    }
    if (l->readable && list_is_empty(&l->work)) list_append(&l->shard->links_work, &l->work);
}

void links_serve(struct shard *s) {
    struct list now;
    list_init(&now);
    while (!list_is_empty(&s->links_work)) list_append(&now, list_take_first(&s->links_work));
    while (!list_is_empty(&now)) {
        struct link *l = LIST_ENTRY(list_take_first(&now), struct link, work);
        if (l->state != LINK_DOWN && l->state != LINK_DIALLING) serve(l);
    }
    links_judge(s);
}
