#include "shard/forward.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "shard/coordinate.h"
#include "shard/hint.h"
#include "shard/operation.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* A part of a range request looks at many keys; a dead node is noticed by its link. */
#define PART_TIMEOUT_MS 15000u
/* How far ahead of the clock a stamp is put after it was overtaken; well below the bound (R14). */
#define OVERTAKEN_AHEAD_MS 1u
#define OVERTAKEN_AHEAD_MS_MAX (HLC_SKEW_MS_MAX / 3)

/* ---- handing calls to others ---- */

/* A view names no more replicas of a slot than are remembered. */
static bool was_tried(const struct call *c, uint32_t member) {
    const uint32_t room = sizeof c->tried / sizeof c->tried[0];
    for (uint32_t i = 0; i < c->tried_count && i < room; i++) {
        if (c->tried[i] == member) return true;
    }
    return false;
}

static void note_tried(struct call *c, uint32_t member) {
    ASSERT(member < MEMBERS_MAX);
    c->tried[c->tried_count++ % (sizeof c->tried / sizeof c->tried[0])] = (uint16_t)member;
}

/* The first live replica that has not been tried, but for this node. */
static uint32_t next_member(const struct shard *s, const struct call *c,
                            const struct slot_places *replicas) {
    for (uint32_t i = 0; i < replicas->count; i++) {
        const uint32_t member = replicas->all[i];
        if (member == s->members->self || was_tried(c, member)) continue;
        if (peer_is_alive(s, member)) return member;
    }
    return MEMBER_NONE;
}

/* Ahead of the wall clock, never of what others stamped: those would be ahead in their turn. */
static void stamp(struct shard *s, struct request *q, uint32_t ahead_ms) {
    const uint64_t ahead = hlc_of_ms(s->turn_wall_ms + ahead_ms);
    uint64_t chosen = shard_stamp(s);
    if (ahead > chosen) chosen = ahead;
    hlc_observe(&s->hlc, chosen);
    q->stamp = (struct ballot){
        .stamp = chosen,
        .node = s->stamp_node,
        .boot = s->node->boot_count,
    };
}

/* What makes a repeat at another node harmless: see forward.h. */
static void mark_for_repeat(struct shard *s, struct request *q) {
    if (operation_only_reads(q)) return;
    if (ballot_is_zero(q->stamp)) stamp(s, q, 0);
    if (!operation_needs_read(q) || q->op_high != 0 || q->op_low != 0) return;
    os_entropy(s->os, &q->op_high, sizeof q->op_high);
    os_entropy(s->os, &q->op_low, sizeof q->op_low);
}

/* Each time further ahead, so that clocks that run ahead do not always win. */
void forward_overtaken(struct shard *s, struct call *c) {
    ASSERT(c->task != NULL);
    const uint32_t ahead_ms = OVERTAKEN_AHEAD_MS << c->overtaken;
    shard_call_clear(c);
    /* Whatever overtook it may have come after an attempt that was lost, and then a later stamp
     * would do the same twice (R4). */
    if (c->lost > 0) {
        shard_call_fail(s, c, OUT_TIMEOUT);
        return;
    }
    if (os_loop_now_ms(s->loop) >= c->give_up_ms) {
        shard_call_fail(s, c, OUT_BUSY);
        return;
    }
    if (OVERTAKEN_AHEAD_MS << (c->overtaken + 1) <= OVERTAKEN_AHEAD_MS_MAX) c->overtaken++;
    stamp(s, &c->request, ahead_ms);
    c->tried_count = 0;
    c->attempts = 0;
    shard_call_park(s, c);
    call_move(c, CALL_SENT, s->turn_ns);
    list_append(&s->runnable, &c->link);
    s->turn_again = true;
}

static bool send_call(struct shard *s, struct call *c, struct link *l, uint8_t flags,
                      uint32_t timeout_ms) {
    if (l == NULL || !link_has_room(l)) return false;
    struct sent *q = sent_open(s, l, SENT_FORWARD, c, 0, timeout_ms);
    if (q == NULL) return false;
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_FORWARD, flags, sent_id(s, q), &begun);
    peer_request_encode(&c->request, timeout_ms, out);
    link_end(l, begun);
    call_move(c, CALL_ASKING, s->turn_ns);
    return true;
}

bool forward_call(struct shard *s, struct call *c, uint32_t slot,
                  const struct slot_places *replicas) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    ASSERT(c->task != NULL);
    for (;;) {
        const uint32_t member = next_member(s, c, replicas);
        if (member == MEMBER_NONE || now_ms >= c->give_up_ms) return false;
        note_tried(c, member);
        if (c->attempts == 0) mark_for_repeat(s, &c->request);
        const uint32_t left_ms = (uint32_t)(c->give_up_ms - now_ms);
        if (!send_call(s, c, link_of_slot(s, member, slot), 0, left_ms)) continue;
        c->attempts++;
        c->last_member = membership_member(s->members, member)->id;
        /* What reads and writes may begin anew elsewhere: later calls may not overtake it. */
        if (operation_reads_and_writes(&c->request)) shard_call_park(s, c);
        s->figures.forwarded++;
        return true;
    }
}

bool forward_later(struct shard *s, struct call *c) {
    ASSERT(c->task != NULL);
    /* Reads and blind writes may be repeated whatever became of an attempt that was lost. */
    if (c->lost > 0 && operation_reads_and_writes(&c->request)) return false;
    if (s->stop_deadline_ms != 0) return false;
    if (os_loop_now_ms(s->loop) >= c->give_up_ms) return false;
    c->tried_count = 0;
    c->attempts = 0;
    shard_call_park(s, c);
    call_move(c, CALL_WAITING, s->turn_ns);
    list_append(&s->idle, &c->link);
    return true;
}

void forward_again(struct shard *s) {
    for (struct list *n = list_take_first(&s->idle); n != NULL; n = list_take_first(&s->idle)) {
        struct call *c = LIST_ENTRY(n, struct call, link);
        call_move(c, CALL_SENT, s->turn_ns);
        list_append(&s->runnable, &c->link);
    }
}

void forward_part(struct shard *s, struct call *c) {
    const uint32_t place = membership_find(s->members, c->member);
    struct link *l = place == MEMBER_NONE ? NULL : link_of_shard(s, place, c->remote_shard);
    c->last_member = c->member;
    if (!send_call(s, c, l, PEER_FLAG_LOCAL, PART_TIMEOUT_MS)) shard_call_fail(s, c, OUT_QUORUM);
}

static bool is_part(const struct call *c) {
    return c->request.op > OP_SINGLE_KEY_END;
}

/* A page goes forward from where it was asked for, or a scan would never end. */
static bool page_fits(const struct request *q, const struct row_page *page) {
    const int least = q->start_exclusive ? 1 : 0;
    if (page->last.len > 0 && bytes_compare(page->last, q->start) < least) return false;
    if (page->count == 0) return true;
    if (bytes_compare(page->rows[0].key, q->start) < least) return false;
    return !q->has_end || bytes_compare(page->rows[page->count - 1].key, q->end) < 0;
}

/* Whether it is an answer to this request: whoever encodes it for a client relies on that. */
static bool response_fits(const struct request *q, const struct response *r) {
    const bool single = q->op < OP_SINGLE_KEY_END;
    switch (r->outcome) {
    case OUT_OK:
        if ((r->page != NULL) != (q->op == OP_SCAN)) return false;
        if (q->op == OP_RANDOM_KEY &&
            (r->value.len < KEY_BYTES_MIN || r->value.len > KEY_BYTES_MAX))
            return false;
        return r->page == NULL || page_fits(q, r->page);
    case OUT_NOT_FOUND: return single || q->op == OP_RANDOM_KEY;
    case OUT_NOT_MODIFIED: return q->op == OP_GET && q->condition == COND_VERSION_IS_NOT;
    case OUT_CONDITION_FAILED: return single;
    case OUT_OVERTAKEN: return operation_reads_and_writes(q) && single;
    default: return true;
    }
}

static bool take_response(struct shard *s, struct call *c, const struct peer_frame *f) {
    struct row_page *page = (struct row_page *)(void *)s->row_space;
    struct response r;
    if (f->type != PEER_RESPONSE) return false;
    ASSERT(c->value_copy == NULL);
    uint8_t *copy = mem_alloc(f->payload.len + 1);
    if (f->payload.len > 0) memcpy(copy, f->payload.ptr, f->payload.len);
    if (!status_ok(peer_response_decode(bytes_of(copy, f->payload.len), page, &r)) ||
        !response_fits(&c->request, &r)) {
        mem_free(copy);
        return false;
    }
    c->response = r;
    c->value_copy = copy;
    if (r.page != NULL) {
        const size_t bytes = offsetof(struct row_page, rows) + page->count * sizeof page->rows[0];
        mem_free(c->page);
        c->page = mem_alloc(bytes);
        memcpy(c->page, page, bytes);
        c->response.page = c->page;
    }
    return true;
}

static void try_elsewhere(struct shard *s, struct call *c) {
    if (os_loop_now_ms(s->loop) >= c->give_up_ms) {
        const bool untried = c->lost == 0;
        if (untried) shard_count_quorum_failure(s, QUORUM_TIMEOUT);
        c->response = (struct response){ .outcome = untried ? OUT_QUORUM : OUT_TIMEOUT,
                                         .untried = untried,
                                         .needed = c->response.needed,
                                         .replicas = c->response.replicas };
        c->sequence = 0;
        shard_call_finish(s, c);
        return;
    }
    call_move(c, CALL_SENT, s->turn_ns);
    if (!status_ok(coordinate_call(s, c))) shard_call_stall(s, c);
}

void forward_answered(struct shard *s, struct call *c, const struct peer_frame *f) {
    ASSERT(c->state == CALL_ASKING);
    if (!take_response(s, c, f)) {
        forward_failed(s, c);
        return;
    }
    const enum outcome outcome = c->response.outcome;
    const bool not_there =
        outcome == OUT_STOPPING || (outcome == OUT_QUORUM && c->response.untried);
    if (not_there && !is_part(c)) {
        mem_free(c->value_copy);
        c->value_copy = NULL;
        try_elsewhere(s, c);
        return;
    }
    if (c->response.outcome == OUT_OVERTAKEN) {
        forward_overtaken(s, c);
        return;
    }
    c->sequence = 0;
    shard_call_finish(s, c);
}

void forward_failed(struct shard *s, struct call *c) {
    ASSERT(c->state == CALL_ASKING);
    if (is_part(c)) {
        shard_call_fail(s, c, OUT_QUORUM);
        return;
    }
    c->lost++;
    try_elsewhere(s, c);
}

/* ---- calls of others ---- */

static void respond(struct link *l, uint64_t id, const struct response *r) {
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_RESPONSE, 0, id, &begun);
    peer_response_encode(r, out);
    link_end(l, begun);
}

static void refuse(struct link *l, uint64_t id, enum outcome outcome) {
    respond(l, id, &(struct response){ .outcome = outcome });
}

/* Answers that are there at once all wait until the turn's questions are read. */
static void count_answer(struct shard *s, struct guest *g) {
    const size_t bytes = g->call.value_copy == NULL ? 0 : g->call.response.value.len;
    g->copy_bytes += bytes;
    s->guests_bytes += bytes;
}

/* Those whose questions have ids like this one. */
static struct list *guests_like(struct shard *s, uint64_t id) {
    return &s->guests[(id ^ id >> 32) % GUEST_BUCKETS];
}

static bool is_under_way(struct shard *s, const struct link *l, uint64_t id) {
    const struct list *like = guests_like(s, id);
    for (const struct list *n = like->next; n != like; n = n->next) {
        const struct guest *g = LIST_ENTRY(n, struct guest, all);
        if (g->link == l && g->id == id) return true;
    }
    return false;
}

void guest_begin(struct shard *s, struct link *l, const struct peer_frame *f) {
    const bool local = (f->flags & PEER_FLAG_LOCAL) != 0;
    struct request q;
    uint32_t timeout_ms = 0;
    if (!status_ok(peer_request_decode(f->payload, &q, &timeout_ms)) ||
        local != (q.op > OP_SINGLE_KEY_END) || q.keyspace >= RESERVED_KEYSPACES) {
        link_fail(l, "malformed call");
        return;
    }
    if (is_under_way(s, l, f->id)) return;
    if (s->stop_deadline_ms != 0 || s->engine == NULL) {
        refuse(l, f->id, OUT_STOPPING);
        return;
    }
    if (s->guests_count == GUESTS_MAX || s->guests_bytes + f->payload.len > GUESTS_BYTES_MAX ||
        link_is_clogged(l)) {
        refuse(l, f->id, OUT_BUSY);
        return;
    }
    if (!local && !replica_keeps(s, crc16_slot(q.key))) {
        respond(l, f->id, &(struct response){ .outcome = OUT_QUORUM, .untried = true });
        return;
    }
    struct guest *g = mem_alloc_zeroed(sizeof *g);
    g->link = l;
    g->id = f->id;
    g->copy_bytes = f->payload.len;
    g->copy = mem_alloc(f->payload.len);
    memcpy(g->copy, f->payload.ptr, f->payload.len);
    g->call = (struct call){
        .origin = s->id, .home = s->id, .member = MEMBER_NONE, .last_member = MEMBER_NONE
    };
    const struct status st =
        peer_request_decode(bytes_of(g->copy, g->copy_bytes), &g->call.request, &timeout_ms);
    ASSERT(status_ok(st));
    g->call.give_up_ms = os_loop_now_ms(s->loop) + timeout_ms;
    list_append(guests_like(s, g->id), &g->all);
    s->guests_count++;
    s->guests_bytes += g->copy_bytes;
    call_move(&g->call, CALL_SENT, s->turn_ns);
    shard_call_begin(s, &g->call);
    count_answer(s, g);
}

void guest_answered(struct shard *s, struct call *c) {
    struct guest *g = LIST_ENTRY(c, struct guest, call);
    ASSERT(c->task == NULL);
    ASSERT(s->guests_count > 0);
    const bool large = c->response.page != NULL ||
                       (operation_only_reads(&c->request) && c->response.value.len > 0);
    if (g->link != NULL && large && link_is_clogged(g->link))
        refuse(g->link, g->id, OUT_BUSY);
    else if (g->link != NULL)
        respond(g->link, g->id, &c->response);
    list_remove(&g->all);
    s->guests_count--;
    s->guests_bytes -= g->copy_bytes;
    shard_call_clear(c);
    mem_free(g->copy);
    mem_free(g);
}

void guests_orphan(struct shard *s, const struct link *l) {
    for (uint32_t i = 0; i < GUEST_BUCKETS; i++) {
        for (struct list *n = s->guests[i].next; n != &s->guests[i]; n = n->next) {
            struct guest *g = LIST_ENTRY(n, struct guest, all);
            if (g->link == l) g->link = NULL;
        }
    }
}
