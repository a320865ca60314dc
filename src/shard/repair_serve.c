/* repair_serve.c - the answering side: is this what you hold? */
#include "base/assert.h"
#include "base/mem.h"
#include "shard/repair_internal.h"

/* Records looked at for one answer; then the list tells how far it goes. */
#define SERVE_EXAMINED_MAX 65536u
/* How long a page is left to the one who fills it, if nothing is heard of it. */
#define SERVE_FILL_NS UINT64_C(1000000000)

static_assert(SERVE_EXAMINED_MAX > REPAIR_PAGE_EXAMINED, "equal pages are seen to be equal");

static void answer(struct link *l, uint64_t id, const struct peer_versions *m) {
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_VERSIONS, 0, id, &begun);
    peer_versions_encode(m, out);
    link_end(l, begun);
}

static void answer_nothing(struct link *l, uint64_t id, enum peer_versions_status why) {
    const struct peer_versions m = { .status = why };
    ASSERT(why == PEER_VERSIONS_FAILED || why == PEER_VERSIONS_VIEW);
    answer(l, id, &m);
}

static void serving_destroy(struct repair_shard *rs, struct repair_serving *v) {
    ASSERT(!v->walk.fetching);
    ASSERT(rs->servings_count > 0);
    list_remove(&v->link);
    rs->servings_count--;
    range_walk_deinit(&v->walk);
    buffer_deinit(&v->start);
    buffer_deinit(&v->end);
    buffer_deinit(&v->list);
    mem_free(v);
}

/* A pass of the asker was clean: it holds for both. It says so until the next one is. A stamp
 * from the future would raise floors above what is still to be written (R14). */
static void learn_verified(struct shard *s, struct link *l, const struct peer_range *m) {
    struct repair *r = repair_of(s, l->peer, l->remote_shard);
    const uint64_t verified_stamp = m->verified_stamp;
    const uint64_t stamp_end = repair_below_stamp(s, REPAIR_SETTLE_MS - HLC_SKEW_MS_MAX);
    ASSERT(!l->dialled);
    if (m->settled != catch_up_settled(s, r)) return; /* it is about other slots */
    if (verified_stamp >= stamp_end || verified_stamp <= r->told_stamp) return;
    r->told_stamp = verified_stamp;
    repair_proved(r, verified_stamp);
}

static bool is_answerable(struct shard *s, struct link *l, const struct peer_range *m) {
    struct repair *r = repair_of(s, l->peer, l->remote_shard);
    if (s->repair->servings_count >= REPAIR_SERVINGS_MAX) return false;
    if (s->repair->heal != HEAL_NONE) return false; /* what is listed may just be given up */
    if (m->slots_modulo != l->peer->shards || m->slots_rest != l->remote_shard) return false;
    if (m->joint != 0) return catch_up_may_compare(s);
    if (catch_up_is_due(s, r)) return false; /* that comes first */
    return m->below_stamp <= repair_below_stamp(s, REPAIR_SETTLE_MS - HLC_SKEW_MS_MAX);
}

/* What is equal was compared under one and the same view of the slots from both sides. */
static bool is_of_another_view(struct shard *s, const struct link *l, uint64_t joint,
                               uint64_t settled) {
    struct repair *r = repair_of(s, l->peer, l->remote_shard);
    return joint != 0 ? joint != catch_up_joint(s, r) : settled != catch_up_settled(s, r);
}

void repair_serve_range(struct shard *s, struct link *l, const struct peer_frame *f) {
    struct peer_range m;
    if (!status_ok(peer_range_decode(f->payload, &m))) {
        link_fail(l, "malformed question about a range");
        return;
    }
    if (s->repair == NULL || l->peer == NULL || l->dialled) {
        link_fail(l, "a question about a range that does not belong here");
        return;
    }
    learn_verified(s, l, &m);
    catch_up_heard(s, repair_of(s, l->peer, l->remote_shard), m.caught);
    if (f->id == 0) return; /* nobody waits for the answer */
    if (is_of_another_view(s, l, m.joint, m.settled)) {
        answer_nothing(l, f->id, PEER_VERSIONS_VIEW);
        return;
    }
    if (s->stop_deadline_ms != 0 || !is_answerable(s, l, &m)) {
        answer_nothing(l, f->id, PEER_VERSIONS_FAILED);
        return;
    }
    if (m.start.len == 0 && m.joint == 0)
        repair_proof_begin(s, repair_of(s, l->peer, l->remote_shard), m.below_stamp);
    struct repair_serving *v = mem_alloc_zeroed(sizeof *v);
    v->to = l;
    v->id = f->id;
    v->rule = (struct repair_rule){ .member = l->peer->member,
                                    .slots_modulo = m.slots_modulo,
                                    .slots_rest = m.slots_rest,
                                    .below_stamp = m.below_stamp,
                                    .floor_stamp = m.joint != 0 ? 0 : m.floor_stamp,
                                    .joint = m.joint };
    v->settled = m.settled;
    v->count = m.count;
    v->sum = m.hash;
    range_hash_init(&v->hash);
    buffer_init(&v->start, IKEY_BYTES_MAX);
    buffer_append(&v->start, m.start);
    buffer_init(&v->end, IKEY_BYTES_MAX);
    buffer_append(&v->end, m.end);
    repair_of(s, l->peer, l->remote_shard)->filled_ns = 0;
    buffer_init(&v->list, PEER_VERSIONS_BYTES_MAX + 2 * IKEY_BYTES_MAX);
    range_walk_init(&v->walk, s);
    v->walk.ahead = m.joint != 0 ? CATCH_UP_BLOCKS_AHEAD : 0;
    range_walk_seek(&v->walk, m.start, true);
    list_append(&s->repair->servings, &v->link);
    s->repair->servings_count++;
}

void repair_servings_orphan(struct shard *s, const struct link *l) {
    struct repair_shard *rs = s->repair;
    for (struct list *n = rs->servings.next; n != &rs->servings; n = n->next) {
        struct repair_serving *v = LIST_ENTRY(n, struct repair_serving, link);
        if (v->to == l) v->to = NULL;
    }
}

void repair_servings_destroy(struct shard *s) {
    struct repair_shard *rs = s->repair;
    while (!list_is_empty(&rs->servings))
        serving_destroy(rs, LIST_ENTRY(rs->servings.next, struct repair_serving, link));
}

bool repair_servings_are_idle(const struct repair_shard *rs) {
    for (const struct list *n = rs->servings.next; n != &rs->servings; n = n->next) {
        if (LIST_ENTRY(n, struct repair_serving, link)->walk.fetching) return false;
    }
    return true;
}

/* ---- several that fill the same slots ---- */

static bool is_filled_by(const struct shard *s, const struct repair *r,
                         const struct repair_serving *v) {
    if (r == NULL || r->filled_ns == 0 || s->turn_ns - r->filled_ns > SERVE_FILL_NS) return false;
    const struct bytes end = buffer_bytes(&v->end);
    const struct bytes filled_end = buffer_bytes(&r->filled_end);
    if (end.len > 0 && bytes_compare(end, buffer_bytes(&r->filled_start)) <= 0) return false;
    return filled_end.len == 0 || bytes_compare(filled_end, buffer_bytes(&v->start)) > 0;
}

/* Whether others are sending what differs in this page: until it is here they would be asked for it
 * again. Their next question comes behind it, on the same stream. */
static bool is_being_filled(const struct shard *s, const struct repair_serving *v) {
    for (uint32_t i = 0; i < s->members->places; i++) {
        const struct peer *p = s->peers[i];
        for (uint32_t k = 0; p != NULL && k < p->shards; k++) {
            if (is_filled_by(s, p->repairs[k], v)) return true;
        }
    }
    return false;
}

/* True: it may be walked over. */
static bool serving_begin(struct shard *s, struct repair_serving *v) {
    if (v->begun) return true;
    if (v->rule.joint != 0 && is_being_filled(s, v)) return false;
    v->begun = true;
    if (v->rule.joint == 0) return true;
    struct repair *r = repair_of(s, v->to->peer, v->to->remote_shard);
    buffer_reset(&r->filled_start);
    buffer_append(&r->filled_start, buffer_bytes(&v->start));
    buffer_reset(&r->filled_end);
    buffer_append(&r->filled_end, buffer_bytes(&v->end));
    r->filled_ns = s->turn_ns;
    return true;
}

/* ---- the walk ---- */

static bool is_full(const struct repair_serving *v) {
    return v->hash.count >= PEER_VERSIONS_MAX || v->examined >= SERVE_EXAMINED_MAX ||
           buffer_len(&v->list) >= PEER_VERSIONS_BYTES_MAX;
}

/* `last` empty: all of the range was seen. The own list goes along, so that one question is
 * enough where the two differ. */
static void serving_answer(struct shard *s, struct repair_serving *v, struct bytes last) {
    const bool same = v->hash.count == v->count && v->hash.sum == v->sum;
    struct peer_versions m = { .status = PEER_VERSIONS_EQUAL };
    if (last.len > 0 || !same) {
        m = (struct peer_versions){ .status = PEER_VERSIONS_LIST,
                                    .last = last,
                                    .count = v->hash.count,
                                    .list = buffer_bytes(&v->list) };
    }
    ASSERT(!v->list.overflowed);
    struct repair *r = repair_of(s, v->to->peer, v->to->remote_shard);
    if (r->filled_ns != 0) r->filled_ns = m.status == PEER_VERSIONS_EQUAL ? 0 : s->turn_ns;
    answer(v->to, v->id, &m);
    serving_destroy(s->repair, v);
}

static void serving_add(struct shard *s, struct repair_serving *v, const struct record *record) {
    v->examined++;
    if (!repair_counts(s, record, &v->rule)) return;
    const struct peer_version version = { .ikey = record->ikey, .version = record->ballot };
    peer_versions_append(&v->list, &version);
    range_hash_add(&v->hash, version.ikey, version.version);
}

static bool is_past(const struct repair_serving *v, struct bytes ikey) {
    const struct bytes end = buffer_bytes(&v->end);
    return repair_is_past_users(ikey) || (end.len > 0 && bytes_compare(ikey, end) > 0);
}

/* True: go on without waiting. May end it. */
static bool serving_slice(struct shard *s, struct repair_serving *v) {
    if (v->walk.fetching) return false;
    if (v->to == NULL) {
        serving_destroy(s->repair, v);
        return false;
    }
    if (is_of_another_view(s, v->to, v->rule.joint, v->settled)) {
        answer_nothing(v->to, v->id, PEER_VERSIONS_VIEW);
        serving_destroy(s->repair, v);
        return false;
    }
    if (!serving_begin(s, v)) return false;
    struct status st = range_walk_open(&v->walk);
    for (uint32_t i = 0; status_ok(st) && i < REPAIR_SLICE_RECORDS; i++) {
        const struct record *record = range_walk_record(&v->walk);
        const bool whole = record == NULL || is_past(v, record->ikey);
        if (whole || is_full(v)) {
            const struct bytes last = whole ? BYTES_NONE : range_walk_last(&v->walk);
            if (v->rule.joint == 0) repair_spend(s, v->examined);
            serving_answer(s, v, last);
            return false;
        }
        serving_add(s, v, record);
        st = range_walk_next(&v->walk);
    }
    if (st.code == ST_WAIT) return false;
    if (status_ok(st)) {
        range_walk_pause(&v->walk);
        return true;
    }
    answer_nothing(v->to, v->id, PEER_VERSIONS_FAILED);
    serving_destroy(s->repair, v);
    return false;
}

bool repair_serve_turn(struct shard *s) {
    struct repair_shard *rs = s->repair;
    bool more = false;
    for (struct list *n = rs->servings.next, *next; n != &rs->servings; n = next) {
        next = n->next;
        more |= serving_slice(s, LIST_ENTRY(n, struct repair_serving, link));
    }
    return more;
}
