#include "shard/coordinate.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/coordinate_internal.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/operation.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* Memory a coordination keeps for the next one. */
#define COORDINATION_KEEP_BYTES 4096u

static struct round_needs needs_of(const struct shard *s, const struct coordination *k,
                                   enum round_kind kind) {
    const uint32_t count = k->replicas.list.count;
    return round_needs_one((uint8_t)count, shard_need(s, &k->call->request, kind, count));
}

static uint32_t place_of(const struct coordination *k, uint32_t position) {
    ASSERT(position < k->replicas.list.count);
    return k->replicas.list.members[position];
}

static uint16_t live_places(struct shard *s, const struct coordination *k) {
    return coordinate_live(s, &k->replicas, k->slot);
}

static void missed(struct shard *s, struct coordination *k, uint32_t place);

/* ---- a coordination's life ---- */

static struct coordination *coordination_take(struct shard *s) {
    struct list *node = list_take_first(&s->coordinations_free);
    struct coordination *k;
    if (node != NULL) {
        k = LIST_ENTRY(node, struct coordination, link);
    } else {
        if (s->coordinations_used == COORDINATIONS_MAX) return NULL;
        k = mem_alloc_zeroed(sizeof *k);
        buffer_init(&k->ikey, IKEY_BYTES_MAX);
        buffer_init(&k->body, VALUE_BYTES_MAX);
    }
    s->coordinations_used++;
    list_init(&k->link);
    list_init(&k->log);
    list_init(&k->all);
    return k;
}

static void coordination_release(struct shard *s, struct coordination *k) {
    ASSERT(k->call == NULL);
    ASSERT(!k->local.fetching);
    ASSERT(list_is_empty(&k->log));
    ASSERT(list_is_empty(&k->all));
    list_remove(&k->link);
    lookup_end(s, &k->local);
    buffer_shrink(&k->ikey, COORDINATION_KEEP_BYTES);
    buffer_shrink(&k->body, COORDINATION_KEEP_BYTES);
    ASSERT(s->coordinations_used > 0);
    s->coordinations_used--;
    list_prepend(&s->coordinations_free, &k->link);
}

void coordinations_init(struct shard *s) {
    list_init(&s->coordinations_free);
    list_init(&s->hedges);
    list_init(&s->logging);
    list_init(&s->coordinations);
}

void coordinations_deinit(struct shard *s) {
    for (struct list *n = list_take_first(&s->coordinations_free); n != NULL;
         n = list_take_first(&s->coordinations_free)) {
        struct coordination *k = LIST_ENTRY(n, struct coordination, link);
        buffer_deinit(&k->ikey);
        buffer_deinit(&k->body);
        mem_free(k);
    }
}

bool coordinate_is_answered(const struct coordination *k) {
    return k->call == NULL;
}

static bool is_asking(const struct coordination *k) {
    return k->round.places[PLACE_ASKED] != 0;
}

static void close_questions(struct shard *s, struct coordination *k) {
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        if (k->sents[i] != NULL) sent_close(s, k->sents[i]);
        k->sents[i] = NULL;
    }
}

/* Answered writes do not wait for the silent. */
static void let_silent_go(struct shard *s, struct coordination *k) {
    for (uint32_t i = 0; i < k->round.count; i++) {
        if (k->sents[i] == NULL || peer_is_alive(s, place_of(k, i))) continue;
        sent_close(s, k->sents[i]);
        k->sents[i] = NULL;
        missed(s, k, i);
    }
}

static void phase_begin(const struct shard *s, struct coordination *k,
                        enum coordination_phase phase) {
    k->phase = phase;
    k->last = -1;
    k->last_ns = s->turn_ns;
    k->late = false;
}

static void heard_of(const struct shard *s, struct coordination *k, uint32_t place) {
    k->last = (int)place;
    if (k->last != k->self) k->last_ns = s->turn_ns;
}

/* For whoever asks why it took so long. */
static void say_who_was_last(const struct shard *s, const struct coordination *k, struct call *c) {
    if (k->last < 0) return;
    if (k->last != k->self) {
        c->last_member = s->members->all[place_of(k, (uint32_t)k->last)].id;
        return;
    }
    c->own_since_ns = k->last_ns;
    c->own_phase = k->phase == COORDINATE_WRITE ? CALL_PHASE_LOG : CALL_PHASE_READ;
}

/* What the coordination still does is not for the call any more. */
static struct call *take_call(struct coordination *k) {
    struct call *c = k->call;
    ASSERT(c != NULL);
    k->call = NULL;
    list_remove(&k->all);
    list_remove(&k->link); /* of the hedges */
    return c;
}

/* The call has its answer; what is still to come only matters to hints. */
static void end_call(struct shard *s, struct coordination *k) {
    struct call *c = take_call(k);
    if (k->phase == COORDINATE_WRITE) let_silent_go(s, k);
    const struct round_progress progress = round_progress(&k->round);
    c->response.acks = progress.answered;
    c->response.needed = progress.need;
    c->response.replicas = progress.replicas;
    if (c->response.outcome == OUT_QUORUM)
        shard_count_quorum_failure(s, k->late ? QUORUM_TIMEOUT : QUORUM_TOO_FEW);
    if (c->response.outcome == OUT_CLOCK) shard_count_quorum_failure(s, QUORUM_CLOCK);
    say_who_was_last(s, k, c);
    shard_call_finish(s, c);
}

static void fail_call(struct shard *s, struct coordination *k, enum outcome outcome) {
    struct call *c = k->call;
    mem_free(c->value_copy);
    c->value_copy = NULL;
    c->response = (struct response){ .outcome = outcome };
    c->response.untried = k->phase != COORDINATE_WRITE;
    c->sequence = 0;
    if (k->phase != COORDINATE_WRITE) close_questions(s, k);
    end_call(s, k);
}

/* Ended, and nothing that comes in later has anywhere to go but here. */
static void release_if_over(struct shard *s, struct coordination *k) {
    if (k->call != NULL || k->local.fetching || !list_is_empty(&k->log)) return;
    if (!list_is_empty(&k->local.link)) return; /* its block was read in this turn */
    if (k->phase == COORDINATE_WRITE && is_asking(k)) return;
    close_questions(s, k);
    coordination_release(s, k);
}

/* ---- reading ---- */

static void keep_newest(struct coordination *k, const struct record *r) {
    if (k->has_newest && ballot_compare(r->ballot, k->newest.ballot) <= 0) return;
    buffer_reset(&k->body);
    buffer_append(&k->body, r->value);
    ASSERT(!k->body.overflowed);
    k->newest = *r;
    k->newest.ikey = buffer_bytes(&k->ikey);
    k->newest.value = buffer_bytes(&k->body);
    k->has_newest = true;
}

/* Returns the places to ask because of what the own replica says; ST_WAIT: later. */
static uint16_t ask_own(struct shard *s, struct coordination *k, uint32_t place) {
    struct status st = status_of(ST_CORRUPT);
    if (s->filled) st = lookup_begin(s, &k->local, buffer_bytes(&k->ikey));
    if (st.code == ST_WAIT) return 0;
    struct ballot version = { 0 };
    if (status_ok(st)) {
        version = k->local.read.record.ballot;
        if (k->local.read.sequence > k->shown) k->shown = k->local.read.sequence;
        keep_newest(k, &k->local.read.record);
    }
    lookup_end(s, &k->local);
    if (!status_ok(st) && st.code != ST_NOT_FOUND)
        return round_failed(&k->round, place, live_places(s, k));
    return round_answered(&k->round, place, version);
}

/* Send a question. False: it cannot be sent. */
static bool send_query(struct shard *s, struct coordination *k, uint32_t place, bool digest) {
    struct link *l = link_to_slot(s, place_of(k, place), k->slot); /* the silent are asked last */
    if (l == NULL || !link_has_room(l)) return false;
    struct sent *q = sent_open(s, l, SENT_QUESTION, k, place, s->node->quorum_wait_ms);
    if (q == NULL) return false;
    k->sents[place] = q;
    size_t begun = 0;
    struct buffer *out =
        link_begin(l, PEER_QUERY, digest ? PEER_FLAG_DIGEST : 0, sent_id(s, q), &begun);
    buffer_append(out, buffer_bytes(&k->ikey));
    link_end(l, begun);
    return true;
}

static uint16_t ask_place(struct shard *s, struct coordination *k, uint32_t place) {
    if ((int)place == k->self) return ask_own(s, k, place);
    const bool digest = (k->round.full & 1u << place) == 0;
    if (send_query(s, k, place, digest)) return 0;
    return round_failed(&k->round, place, live_places(s, k));
}

static void ask(struct shard *s, struct coordination *k, uint16_t places) {
    uint16_t done = 0; /* a place is asked once, so this ends */
    while ((places & ~done) != 0) {
        const uint32_t place = (uint32_t)__builtin_ctz(places & (uint32_t)~done);
        done |= (uint16_t)(1u << place);
        places |= ask_place(s, k, place);
    }
}

static void hedge_later(struct shard *s, struct coordination *k) {
    uint32_t wait_ms = DETECTOR_HEDGE_MS_MIN;
    for (uint32_t i = 0; i < k->round.count; i++) {
        const struct peer *p = s->peers[place_of(k, i)];
        if (!round_is(&k->round, i, PLACE_ASKED) || p == NULL) continue;
        const uint32_t usual_ms = detector_hedge_ms(&p->detector);
        if (usual_ms > wait_ms) wait_ms = usual_ms;
    }
    k->hedge_at_ms = os_loop_now_ms(s->loop) + wait_ms;
    struct list *before = s->hedges.prev;
    while (before != &s->hedges &&
           LIST_ENTRY(before, struct coordination, link)->hedge_at_ms > k->hedge_at_ms)
        before = before->prev;
    list_remove(&k->link);
    list_append(before->next, &k->link);
}

static void read_begin(struct shard *s, struct coordination *k) {
    const struct request *q = &k->call->request;
    phase_begin(s, k, COORDINATE_READ);
    k->has_newest = false;
    k->shown = 0;
    ask(s, k,
        round_begin(&k->round, ROUND_READ, needs_of(s, k, ROUND_READ), s->filled ? k->self : -1,
                    live_places(s, k), q->session));
    if (round_outcome(&k->round) == ROUND_PENDING) hedge_later(s, k);
}

/* ---- writing ---- */

/* A silent replica gets a hint at once, unless the write cannot succeed without it. */
static bool send_record(struct shard *s, struct coordination *k, uint32_t place,
                        const struct record *r, bool urgent) {
    const uint32_t member = place_of(k, place);
    const bool spare = round_suffice(&k->round, live_places(s, k));
    struct link *l = spare ? link_of_slot(s, member, k->slot) : link_to_slot(s, member, k->slot);
    if (l == NULL || !link_has_room(l)) return false;
    struct sent *q = sent_open(s, l, SENT_QUESTION, k, place, s->node->quorum_wait_ms);
    if (q == NULL) return false;
    k->sents[place] = q;
    replica_send(l, urgent ? 0 : PEER_FLAG_LAZY, sent_id(s, q), r);
    return true;
}

/* A replica will not take the write now: it gets a hint, if the own replica holds it. */
static void missed(struct shard *s, struct coordination *k, uint32_t place) {
    const bool hinted = k->self >= 0 && (int)place != k->self &&
                        !round_is(&k->round, (uint32_t)k->self, PLACE_FAILED);
    if (hinted && MUTANT("hint_counts_as_ack")) (void)round_answered(&k->round, place, k->version);
    (void)round_failed(&k->round, place, 0);
    if (!hinted) return;
    hint_keep(s, place_of(k, place), buffer_bytes(&k->ikey), k->version);
}

/* As many as the client waits for get it at once, the others with what is sent next. */
static void send_records(struct shard *s, struct coordination *k, const struct record *r,
                         uint16_t have) {
    for (uint32_t i = 0; i < k->round.count; i++) {
        if ((int)i == k->self || !round_is(&k->round, i, PLACE_ASKED)) continue;
        if (send_record(s, k, i, r, !round_suffice(&k->round, have)))
            have |= (uint16_t)(1u << i);
        else
            missed(s, k, i);
    }
}

static void write_round(struct shard *s, struct coordination *k) {
    (void)round_begin(&k->round, ROUND_WRITE, needs_of(s, k, ROUND_WRITE), k->self,
                      live_places(s, k), (struct ballot){ 0 });
}

static void log_wait(struct shard *s, struct coordination *k, uint64_t sequence) {
    k->sequence = sequence;
    if (sequence > shard_acknowledged(s))
        list_append(&s->logging, &k->log);
    else
        (void)round_answered(&k->round, (uint32_t)k->self, k->version);
}

/* The version to write; see forward.h for those that another node stamped. False: it would not be
 * above what is there. */
static bool choose_version(struct shard *s, const struct coordination *k,
                           struct ballot *ret_version) {
    const struct request *q = &k->call->request;
    *ret_version = (struct ballot){ .node = s->node->node_id, .boot = s->node->boot_count };
    if (ballot_is_zero(q->stamp)) {
        ret_version->stamp = shard_stamp(s);
        return true;
    }
    if (!operation_reads_and_writes(q)) {
        *ret_version = q->stamp;
        return true;
    }
    ret_version->stamp = q->stamp.stamp;
    return !k->has_newest || ballot_compare(*ret_version, k->newest.ballot) > 0;
}

/* A delete that finds nothing leaves a tombstone only to tell the others; the first attempt of a
 * call may have left it already. */
static bool is_deleted_above(const struct coordination *k, const struct decision *d) {
    return k->call->request.op == OP_DELETE && !d->response.existed && k->has_newest;
}

/* Hand the call back as it came, or, if it is of this node, give it another stamp. */
static void overtaken(struct shard *s, struct coordination *k) {
    struct call *c = k->call;
    if (c->task == NULL) {
        fail_call(s, k, OUT_OVERTAKEN);
        return;
    }
    (void)take_call(k);
    close_questions(s, k);
    forward_overtaken(s, c);
}

static bool is_within(struct bytes part, struct bytes whole) {
    const uintptr_t at = (uintptr_t)part.ptr, from = (uintptr_t)whole.ptr;
    return part.len == 0 || (at >= from && at + part.len <= from + whole.len);
}

/* As long as the call is not answered other replicas than those of now may want it. */
static void keep_written(struct coordination *k, const struct record *r) {
    if (k->call == NULL) return;
    const bool is_lasting =
        is_within(r->value, k->call->request.value) || is_within(r->value, buffer_bytes(&k->body));
    k->newest = *r;
    k->has_newest = true;
    if (is_lasting) return;
    buffer_reset(&k->body);
    buffer_append(&k->body, r->value);
    ASSERT(!k->body.overflowed);
    k->newest.value = buffer_bytes(&k->body);
}

/* Give the version to every replica, the own one first: if that is to be tried again later,
 * nothing has been sent. */
static STATUS write_record(struct shard *s, struct coordination *k, const struct record *r) {
    const struct request *q = &k->call->request;
    uint64_t sequence = 0;
    if (s->pressure_permille > 0 && s->write_allowance < 0) return status_of(ST_BUSY);
    const enum peer_accept_status st = replica_accept(s, r, NULL, &sequence);
    if (st == PEER_ACCEPT_BUSY) return status_of(ST_BUSY);
    if (st == PEER_ACCEPT_CLOCK) {
        fail_call(s, k, OUT_CLOCK);
        return status_of(ST_OK);
    }
    phase_begin(s, k, COORDINATE_WRITE);
    k->version = r->ballot;
    if (q->op != OP_GET) {
        k->call->response.version = r->ballot;
        if ((r->flags & RECORD_TOMBSTONE) == 0) k->call->response.expires_at_ms = r->expires_at_ms;
    }
    write_round(s, k);
    if (st == PEER_ACCEPT_OK)
        log_wait(s, k, sequence);
    else
        missed(s, k, (uint32_t)k->self);
    send_records(s, k, r, st == PEER_ACCEPT_OK ? (uint16_t)(1u << k->self) : 0);
    keep_written(k, r);
    return status_of(ST_OK);
}

/* The tombstone of a delete that found nothing does not name the operation: a repeat is to find
 * nothing as well. */
static STATUS write_begin(struct shard *s, struct coordination *k, const struct decision *d) {
    const struct request *q = &k->call->request;
    const bool deletes = d->write == DECISION_DELETE;
    const bool named = !deletes || q->op != OP_DELETE || d->response.existed;
    struct record r = {
        .ikey = buffer_bytes(&k->ikey),
        .flags = deletes ? RECORD_TOMBSTONE : 0,
        .expires_at_ms = d->expires_at_ms,
        .op = { .high = named ? q->op_high : 0, .low = named ? q->op_low : 0 },
        .value = d->value,
    };
    if (choose_version(s, k, &r.ballot)) {
        /* Others refuse it: a new data directory under a clock that is behind has no floor yet. */
        if (r.ballot.stamp > s->heard_floor) return write_record(s, k, &r);
        fail_call(s, k, OUT_CLOCK);
        return status_of(ST_OK);
    }
    if (is_deleted_above(k, d)) return write_record(s, k, &k->newest);
    overtaken(s, k);
    return status_of(ST_OK);
}

/* ---- deciding ---- */

/* Replicas that answered with an older version get the newest, without waiting. */
static void repair_stale(struct shard *s, struct coordination *k) {
    const uint16_t stale = k->has_newest ? round_stale(&k->round) : 0;
    for (uint32_t i = 0; i < k->round.count; i++) {
        if ((stale & 1u << i) == 0) continue;
        s->figures.read_repairs++;
        uint64_t sequence = 0;
        if ((int)i == k->self) {
            (void)replica_accept(s, &k->newest, NULL, &sequence);
            continue;
        }
        struct link *l = link_of_slot(s, place_of(k, i), k->slot);
        if (l == NULL || !link_has_room(l)) continue;
        replica_send(l, PEER_FLAG_REPAIR, 0, &k->newest);
    }
}

static void stall(struct shard *s, struct coordination *k) {
    struct call *c = take_call(k);
    mem_free(c->value_copy);
    c->value_copy = NULL;
    close_questions(s, k);
    shard_call_stall(s, c);
}

/* What the first attempt wrote may be at fewer replicas than the level wants: give it to all. */
static void repeat(struct shard *s, struct coordination *k) {
    k->call->sequence = 0;
    shard_call_keep_value(k->call);
    if (k->call->response.outcome != OUT_OK)
        end_call(s, k);
    else if (!status_ok(write_record(s, k, &k->newest)))
        stall(s, k);
}

/* The present version is known, as far as R replicas know it: answer, or write. */
static void decide(struct shard *s, struct coordination *k) {
    struct call *c = k->call;
    const struct record *current = NULL;
    close_questions(s, k);
    if (k->has_newest) {
        repair_stale(s, k);
        if (operation_is_repeat(&c->request, &k->newest, &c->response)) {
            repeat(s, k);
            return;
        }
        if (!record_is_absent(&k->newest, s->turn_wall_ms)) current = &k->newest;
    }
    struct decision d;
    operation_decide(&c->request, current, s->turn_wall_ms, s->node->value_bytes_max, &s->scratch,
                     &d);
    /* Absent here and absent everywhere are two things: the tombstone tells the others. */
    if (c->request.op == OP_DELETE && d.response.outcome == OUT_OK) d.write = DECISION_DELETE;
    c->response = d.response;
    shard_count_read(s, &c->request, &c->response);
    c->sequence = k->shown;
    shard_call_keep_value(c);
    if (d.write == DECISION_KEEP) {
        end_call(s, k);
        return;
    }
    /* No lawful stamp lies above a version from the future: what is written would be lost (R14). */
    const uint64_t newest_ms = k->has_newest ? hlc_ms(k->newest.ballot.stamp) : 0;
    if (coordinate_clock_is_off(s) || newest_ms > s->turn_wall_ms + HLC_SKEW_MS_MAX) {
        fail_call(s, k, OUT_CLOCK);
        return;
    }
    if (k->has_newest) hlc_observe(&s->hlc, k->newest.ballot.stamp);
    c->sequence = 0; /* the write's acknowledgements are behind what was read */
    if (!status_ok(write_begin(s, k, &d))) stall(s, k);
}

/* The replica that has the newest version cannot give it: begin anew without it. */
static void fetch_failed(struct shard *s, struct coordination *k) {
    if (++k->attempts < COORDINATION_ATTEMPTS_MAX && !k->local.fetching)
        read_begin(s, k);
    else
        fail_call(s, k, OUT_QUORUM);
}

static void read_done(struct shard *s, struct coordination *k) {
    const uint32_t best = round_best(&k->round);
    const struct ballot version = k->round.versions[best];
    const bool have = k->has_newest && ballot_compare(k->newest.ballot, version) >= 0;
    if (ballot_is_zero(version) || have) {
        decide(s, k);
        return;
    }
    close_questions(s, k);
    phase_begin(s, k, COORDINATE_FETCH);
    list_remove(&k->link); /* of the hedges */
    if ((int)best == k->self || !send_query(s, k, best, false)) fetch_failed(s, k);
}

/* Take the next step if the round is over. A write that cannot succeed any more still waits
 * for all, so that its answer says how many took it. False: wait. */
static bool step(struct shard *s, struct coordination *k) {
    if (k->call == NULL || k->phase == COORDINATE_FETCH) return false;
    const enum round_outcome outcome = round_outcome(&k->round);
    if (outcome == ROUND_PENDING) return false;
    if (outcome == ROUND_IMPOSSIBLE) {
        if (is_asking(k)) return false;
        fail_call(s, k, OUT_QUORUM);
    } else if (k->phase == COORDINATE_READ) {
        read_done(s, k);
    } else {
        end_call(s, k);
    }
    return true;
}

static void advance(struct shard *s, struct coordination *k) {
    while (step(s, k)) continue;
    release_if_over(s, k);
}

/* ---- what others say ---- */

/* Take a replica's answer; false: it does not know, which is a failure. */
static bool take_answer(struct shard *s, struct coordination *k, uint32_t place,
                        const struct peer_frame *f) {
    struct peer_answer m;
    if (f->type != PEER_ANSWER || !status_ok(peer_answer_decode(f->payload, &m))) return false;
    if (m.status != PEER_ANSWER_FOUND && m.status != PEER_ANSWER_NOTHING) return false;
    struct ballot version = { 0 };
    if (m.status == PEER_ANSWER_FOUND) {
        version = m.record.version;
        if (m.record.value.len == m.value_len) {
            const struct record r = replica_record(&m.record, buffer_bytes(&k->ikey));
            keep_newest(k, &r);
        }
    }
    if (k->phase == COORDINATE_FETCH) {
        if (!k->has_newest) return false;
        const struct ballot wanted = k->round.versions[place];
        if (ballot_compare(k->newest.ballot, wanted) < 0) return false;
        decide(s, k);
        return true;
    }
    ask(s, k, round_answered(&k->round, place, version));
    return true;
}

void coordinate_answered(struct shard *s, struct coordination *k, uint32_t place,
                         const struct peer_frame *f) {
    ASSERT(place < REPLICAS_MAX);
    k->sents[place] = NULL;
    heard_of(s, k, place);
    if (k->phase != COORDINATE_WRITE) {
        ASSERT(k->call != NULL);
        if (!take_answer(s, k, place, f))
            coordinate_failed(s, k, place, false);
        else
            advance(s, k);
        return;
    }
    struct peer_accepted m;
    const bool taken = f->type == PEER_ACCEPTED &&
                       status_ok(peer_accepted_decode(f->payload, &m)) &&
                       m.status == PEER_ACCEPT_OK;
    if (!taken) {
        coordinate_failed(s, k, place, false);
        return;
    }
    (void)round_answered(&k->round, place, k->version);
    advance(s, k);
}

void coordinate_failed(struct shard *s, struct coordination *k, uint32_t place, bool late) {
    ASSERT(place < REPLICAS_MAX);
    k->sents[place] = NULL;
    k->late = k->late || late;
    heard_of(s, k, place);
    switch (k->phase) {
    case COORDINATE_READ: ask(s, k, round_failed(&k->round, place, live_places(s, k))); break;
    case COORDINATE_FETCH: fetch_failed(s, k); break;
    case COORDINATE_WRITE: missed(s, k, place); break;
    }
    advance(s, k);
}

void coordinate_found(struct shard *s, struct coordination *k) {
    if (k->call == NULL || k->phase != COORDINATE_READ) {
        lookup_end(s, &k->local); /* others were faster */
        release_if_over(s, k);
        return;
    }
    heard_of(s, k, (uint32_t)k->self);
    ask(s, k, ask_own(s, k, (uint32_t)k->self));
    advance(s, k);
}

void coordinate_release(struct shard *s) {
    const uint64_t acknowledged = shard_acknowledged(s);
    while (!list_is_empty(&s->logging)) {
        struct coordination *k = LIST_ENTRY(s->logging.next, struct coordination, log);
        if (k->sequence > acknowledged) break;
        list_remove(&k->log);
        heard_of(s, k, (uint32_t)k->self);
        (void)round_answered(&k->round, (uint32_t)k->self, k->version);
        advance(s, k);
    }
}

void coordinate_hedge(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    while (!list_is_empty(&s->hedges)) {
        struct coordination *k = LIST_ENTRY(s->hedges.next, struct coordination, link);
        if (k->hedge_at_ms > now_ms) break;
        list_remove(&k->link);
        const uint16_t more = round_hedge(&k->round, live_places(s, k));
        if (more == 0) continue;
        s->figures.hedges++;
        ask(s, k, more);
        advance(s, k);
    }
    if (list_is_empty(&s->hedges)) return;
    const struct coordination *first = LIST_ENTRY(s->hedges.next, struct coordination, link);
    if (!s->hedge_timer.armed || s->hedge_timer.deadline_ms > first->hedge_at_ms)
        os_timer_arm(s->loop, &s->hedge_timer, first->hedge_at_ms);
}

/* ---- another view ---- */

/* A read has shown nothing to anybody: it begins anew, wherever that is now. */
static void read_anew(struct shard *s, struct coordination *k) {
    struct call *c = take_call(k);
    ASSERT(c->value_copy == NULL);
    close_questions(s, k);
    call_move(c, CALL_SENT, s->turn_ns);
    list_append(&s->runnable, &c->link);
    release_if_over(s, k);
}

/* The own replica's part of a write that began under other lists, at position `then` or -1. */
static void write_own_anew(struct shard *s, struct coordination *k, const struct round *was,
                           int then) {
    const uint32_t self = (uint32_t)k->self;
    uint64_t sequence = 0;
    if (then >= 0 && round_is(was, (uint32_t)then, PLACE_ANSWERED))
        (void)round_answered(&k->round, self, k->version);
    else if (then >= 0 && round_is(was, (uint32_t)then, PLACE_FAILED))
        missed(s, k, self);
    else if (!list_is_empty(&k->log))
        return; /* its log is on the way */
    else if (replica_accept(s, &k->newest, NULL, &sequence) == PEER_ACCEPT_OK)
        log_wait(s, k, sequence);
    else
        missed(s, k, self);
}

/* Who took the version already has it; the others of the new list get the same. */
static void write_anew(struct shard *s, struct coordination *k, const struct slot_places *now) {
    const struct slot_places before = k->replicas;
    const struct round was = k->round;
    const int self_before = k->self;
    close_questions(s, k);
    k->replicas = *now;
    k->self = coordinate_self(s, now);
    k->last = -1;
    if (k->self < 0) list_remove(&k->log);
    if (now->list.count == 0) {
        fail_call(s, k, OUT_QUORUM);
        release_if_over(s, k);
        return;
    }
    write_round(s, k);
    for (uint32_t i = 0; i < k->round.count; i++) {
        const int then = slot_list_place(&before.list, now->list.members[i]);
        const bool has_it = then >= 0 && round_is(&was, (uint32_t)then, PLACE_ANSWERED);
        if ((int)i != k->self && has_it) (void)round_answered(&k->round, i, k->version);
    }
    uint16_t have = k->round.places[PLACE_ANSWERED];
    if (k->self >= 0) write_own_anew(s, k, &was, self_before);
    if (!list_is_empty(&k->log)) have |= (uint16_t)(1u << k->self);
    send_records(s, k, &k->newest, have | k->round.places[PLACE_ANSWERED]);
    advance(s, k);
}

void coordinate_adopt(struct shard *s) {
    for (struct list *n = s->coordinations.next, *next; n != &s->coordinations; n = next) {
        struct coordination *k = LIST_ENTRY(n, struct coordination, all);
        next = n->next;
        ASSERT(k->call != NULL);
        const struct slot_places now = coordinate_replicas(s, &k->call->request, k->slot);
        if (slot_places_equal(&now, &k->replicas)) continue;
        if (k->phase == COORDINATE_WRITE)
            write_anew(s, k, &now);
        else
            read_anew(s, k);
    }
}

/* ---- beginning ---- */

/* A node that has just started and has not met enough of the others: whoever handed the call over
 * should ask another. */
static bool is_too_early(struct shard *s, const struct call *c, const struct slot_places *replicas,
                         uint32_t slot) {
    if (c->task != NULL || atomic_load_explicit(&s->settled, memory_order_relaxed)) return false;
    const enum round_kind kind = operation_needs_read(&c->request) ? ROUND_READ : ROUND_WRITE;
    const uint32_t need = shard_need(s, &c->request, kind, replicas->list.count);
    return (uint32_t)__builtin_popcount(coordinate_live(s, replicas, slot)) < need;
}

static STATUS coordinate_here(struct shard *s, struct call *c, uint32_t slot,
                              const struct slot_places *replicas) {
    if (is_too_early(s, c, replicas, slot)) {
        c->response = (struct response){ .outcome = OUT_QUORUM, .untried = true };
        c->sequence = 0;
        shard_call_finish(s, c);
        return status_of(ST_OK);
    }
    struct coordination *k = coordination_take(s);
    if (k == NULL) return status_of(ST_BUSY);
    k->call = c;
    list_append(&s->coordinations, &k->all);
    k->slot = slot;
    k->replicas = *replicas;
    k->self = coordinate_self(s, replicas);
    phase_begin(s, k, COORDINATE_READ);
    k->round = (struct round){ 0 };
    k->attempts = 0;
    k->has_newest = false;
    k->shown = 0;
    k->local = (struct lookup){ .owner = k, .kind = LOOKUP_COORDINATION };
    list_init(&k->local.link);
    memset(k->sents, 0, sizeof k->sents);
    buffer_reset(&k->ikey);
    buffer_append(&k->ikey, ikey_make(c->request.keyspace, c->request.key, s->ikey_space));
    s->figures.coordinated++;
    call_move(c, CALL_ASKING, s->turn_ns);
    if (operation_needs_read(&c->request)) {
        if (operation_reads_and_writes(&c->request)) shard_call_park(s, c);
        read_begin(s, k);
        advance(s, k);
        return status_of(ST_OK);
    }
    if (coordinate_clock_is_off(s)) {
        fail_call(s, k, OUT_CLOCK);
        release_if_over(s, k);
        return status_of(ST_OK);
    }
    /* Whatever the time: another attempt of the same call may write the same version, and then
     * it must write the same. A value that expired already is as absent as a tombstone. */
    const uint64_t any_time_ms = 0;
    struct decision d;
    operation_decide(&c->request, NULL, any_time_ms, s->node->value_bytes_max, &s->scratch, &d);
    c->response = d.response;
    c->sequence = 0;
    if (!status_ok(write_begin(s, k, &d))) stall(s, k);
    advance(s, k);
    return status_of(ST_OK);
}

STATUS coordinate_call(struct shard *s, struct call *c) {
    const uint32_t slot = crc16_slot(c->request.key);
    const struct slot_places replicas = coordinate_replicas(s, &c->request, slot);
    const int self = coordinate_self(s, &replicas);
    const bool guest = c->task == NULL;
    if (c->give_up_ms == 0) c->give_up_ms = os_loop_now_ms(s->loop) + s->node->quorum_wait_ms;
    const bool elsewhere =
        operation_reads_and_writes(&c->request) && !coordinate_is_home(s, &replicas, self);
    if (!guest && (self < 0 || elsewhere) && forward_call(s, c, slot)) return status_of(ST_OK);
    if (self >= 0) return coordinate_here(s, c, slot, &replicas);
    const uint32_t count = replicas.list.count;
    const enum round_kind kind = operation_only_reads(&c->request) ? ROUND_READ : ROUND_WRITE;
    shard_count_quorum_failure(s, QUORUM_TOO_FEW);
    c->response = (struct response){ .outcome = OUT_QUORUM,
                                     .untried = c->lost == 0,
                                     .replicas = (uint8_t)count };
    if (count > 0) c->response.needed = shard_need(s, &c->request, kind, count);
    c->sequence = 0;
    shard_call_finish(s, c);
    return status_of(ST_OK);
}
