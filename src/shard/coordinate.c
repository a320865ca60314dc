#include "shard/coordinate.h"
#include "shard/catch_up.h"

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

void coordination_close_questions(struct shard *s, struct coordination *k) {
    for (uint32_t i = 0; i < ROUND_PLACES_MAX; i++) {
        if (k->sents[i] != NULL) sent_close(s, k->sents[i]);
        k->sents[i] = NULL;
    }
}

/* Answered writes wait neither for the silent nor for another view. */
static void let_silent_go(struct shard *s, struct coordination *k) {
    for (uint32_t i = 0; i < k->round.count; i++) {
        const bool waits = (k->round.stale_epoch & 1u << i) != 0;
        if (k->sents[i] == NULL) continue;
        if (!waits && peer_is_alive(s, coordination_member(k, i))) continue;
        sent_close(s, k->sents[i]);
        k->sents[i] = NULL;
        coordination_missed(s, k, i);
    }
}

void coordination_begin_phase(const struct shard *s, struct coordination *k,
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
        c->last_member =
            membership_member(s->members, coordination_member(k, (uint32_t)k->last))->id;
        return;
    }
    c->own_since_ns = k->last_ns;
    c->own_phase = k->phase == COORDINATE_WRITE ? CALL_PHASE_LOG : CALL_PHASE_READ;
}

/* What the coordination still does is not for the call any more. */
struct call *coordination_take_call(struct coordination *k) {
    struct call *c = k->call;
    ASSERT(c != NULL);
    k->call = NULL;
    list_remove(&k->all);
    list_remove(&k->link); /* of the hedges */
    return c;
}

/* The call has its answer; what is still to come only matters to hints. */
static void end_call(struct shard *s, struct coordination *k) {
    struct call *c = coordination_take_call(k);
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

void coordination_fail(struct shard *s, struct coordination *k, enum outcome outcome) {
    struct call *c = k->call;
    mem_free(c->value_copy);
    c->value_copy = NULL;
    c->response = (struct response){ .outcome = outcome };
    c->response.untried = k->phase != COORDINATE_WRITE;
    c->sequence = 0;
    if (k->phase != COORDINATE_WRITE) coordination_close_questions(s, k);
    end_call(s, k);
}

/* Ended, and nothing that comes in later has anywhere to go but here. */
void coordination_release_if_over(struct shard *s, struct coordination *k) {
    if (k->call != NULL || k->local.fetching || !list_is_empty(&k->log)) return;
    if (!list_is_empty(&k->local.link)) return; /* its block was read in this turn */
    if (k->phase == COORDINATE_WRITE && is_asking(k)) return;
    coordination_close_questions(s, k);
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

struct ballot coordination_floor(const struct shard *s, const struct coordination *k) {
    return engine_floor(s->engine, ikey_keyspace(buffer_bytes(&k->ikey)));
}

/* Whether the own replica, which has nothing, would know of the session's version but for having
 * forgotten it: it had all that is at or below its floor. */
static bool has_forgotten(const struct shard *s, const struct coordination *k) {
    const struct ballot session = k->round.at_least;
    return !ballot_is_zero(session) && ballot_compare(session, engine_gc_floor(s->engine)) <= 0;
}

/* Returns the places to ask because of what the own replica says; ST_WAIT: later. */
static uint16_t ask_own(struct shard *s, struct coordination *k, uint32_t place) {
    struct status st = status_of(ST_CORRUPT);
    if (replica_may_tell(s, k->slot)) st = lookup_begin(s, &k->local, buffer_bytes(&k->ikey));
    if (st.code == ST_WAIT) return 0;
    struct ballot version = { 0 };
    if (st.code == ST_NOT_FOUND && has_forgotten(s, k))
        round_absence_counts(&k->round, coordination_floor(s, k));
    if (status_ok(st) && catch_up_hides(s, &k->local.read.record)) st = status_of(ST_NOT_FOUND);
    st = replica_absence(s, buffer_bytes(&k->ikey), st, &k->local.read);
    if (status_ok(st)) {
        version = k->local.read.record.ballot;
        if (k->local.read.sequence > k->shown) k->shown = k->local.read.sequence;
        keep_newest(k, &k->local.read.record);
    }
    lookup_end(s, &k->local);
    if (!status_ok(st) && st.code != ST_NOT_FOUND)
        return round_failed(&k->round, place, coordination_live(s, k));
    return round_answered(&k->round, place, version);
}

/* Send a question. False: it cannot be sent. */
static bool send_query(struct shard *s, struct coordination *k, uint32_t place, bool digest) {
    struct link *l =
        link_to_slot(s, coordination_member(k, place), k->slot); /* the silent are asked last */
    if (l == NULL || !link_has_room(l)) return false;
    struct sent *q = sent_open(s, l, SENT_QUESTION, k, place, s->node->quorum_wait_ms);
    if (q == NULL) return false;
    k->sents[place] = q;
    replica_ask(l, digest ? PEER_FLAG_DIGEST : 0, sent_id(s, q), k->replicas.epoch,
                buffer_bytes(&k->ikey));
    return true;
}

static uint16_t ask_place(struct shard *s, struct coordination *k, uint32_t place) {
    if ((int)place == k->self) return ask_own(s, k, place);
    const bool digest = (k->round.full & 1u << place) == 0;
    if (send_query(s, k, place, digest)) return 0;
    return round_failed(&k->round, place, coordination_live(s, k));
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
        const struct peer *p = s->peers[coordination_member(k, i)];
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

/* Whom to ask first: as for writes those that are sent something in this turn anyway, if they are
 * enough with the own replica at `self`; else whoever is alive. */
static uint16_t ask_rather(struct shard *s, const struct coordination *k,
                           const struct round_needs *needs, int self) {
    const uint16_t own = self < 0 ? 0 : (uint16_t)(1u << self);
    const uint16_t anyway = own | coordination_sent_anyway(s, k);
    return round_needs_reached(needs, anyway) ? anyway : coordination_live(s, k);
}

static void read_begin(struct shard *s, struct coordination *k) {
    const struct request *q = &k->call->request;
    const struct round_needs needs = coordinate_needs(s, q, &k->replicas, ROUND_READ);
    const int self = replica_may_tell(s, k->slot) ? k->self : -1;
    coordination_begin_phase(s, k, COORDINATE_READ);
    k->has_newest = false;
    k->shown = 0;
    const uint16_t rather = ask_rather(s, k, &needs, self);
    ask(s, k, round_begin(&k->round, ROUND_READ, needs, self, rather, q->session));
    if (round_outcome(&k->round) == ROUND_PENDING) hedge_later(s, k);
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
        struct link *l = link_of_slot(s, coordination_member(k, i), k->slot);
        if (l == NULL || !link_has_room(l)) continue;
        replica_send(l, PEER_FLAG_REPAIR, 0, k->replicas.epoch, &k->newest);
    }
}

static void stall(struct shard *s, struct coordination *k) {
    struct call *c = coordination_take_call(k);
    mem_free(c->value_copy);
    c->value_copy = NULL;
    coordination_close_questions(s, k);
    shard_call_stall(s, c);
}

/* What the first attempt wrote may be at fewer replicas than the level wants: give it to all. */
static void repeat(struct shard *s, struct coordination *k) {
    k->call->sequence = 0;
    shard_call_keep_value(k->call);
    if (k->call->response.outcome != OUT_OK)
        end_call(s, k);
    else if (!status_ok(coordination_write_record(s, k, &k->newest)))
        stall(s, k);
}

/* The present version is known, as far as R replicas know it: answer, or write. */
static void decide(struct shard *s, struct coordination *k) {
    struct call *c = k->call;
    const struct record *current = NULL;
    coordination_close_questions(s, k);
    if (k->has_newest) {
        repair_stale(s, k);
        if (operation_is_repeat(&c->request, &k->newest, &c->response)) {
            repeat(s, k);
            return;
        }
        /* A replica may have told what was truncated before the floor was heard of here. */
        const bool gone = ballot_compare(k->newest.ballot, coordination_floor(s, k)) <= 0;
        if (!gone && !record_is_absent(&k->newest, s->turn_wall_ms)) current = &k->newest;
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
    const uint64_t newest = k->has_newest ? k->newest.ballot.stamp : 0;
    if (coordinate_clock_is_off(s) || !hlc_is_lawful(newest, s->turn_wall_ms)) {
        coordination_fail(s, k, OUT_CLOCK);
        return;
    }
    if (k->has_newest) hlc_observe(&s->hlc, k->newest.ballot.stamp);
    c->sequence = 0; /* the write's acknowledgements are behind what was read */
    if (!status_ok(coordination_write(s, k, &d))) stall(s, k);
}

/* The replica that has the newest version cannot give it: begin anew without it. */
static void fetch_failed(struct shard *s, struct coordination *k) {
    if (++k->attempts < COORDINATION_ATTEMPTS_MAX && !k->local.fetching)
        read_begin(s, k);
    else
        coordination_fail(s, k, OUT_QUORUM);
}

static void read_done(struct shard *s, struct coordination *k) {
    const uint32_t best = round_best(&k->round);
    const struct ballot version = k->round.versions[best];
    const bool have = k->has_newest && ballot_compare(k->newest.ballot, version) >= 0;
    if (ballot_is_zero(version) || have) {
        decide(s, k);
        return;
    }
    coordination_close_questions(s, k);
    coordination_begin_phase(s, k, COORDINATE_FETCH);
    list_remove(&k->link); /* of the hedges */
    if ((int)best == k->self || !send_query(s, k, best, false)) fetch_failed(s, k);
}

static enum round_outcome outcome_of(const struct coordination *k) {
    if (MUTANT("joint_old_quorum_only") && k->phase == COORDINATE_WRITE) {
        const struct round_set *list = &k->round.needs.list;
        const uint32_t have = k->round.places[PLACE_ANSWERED] & list->places;
        if ((uint32_t)__builtin_popcount(have) >= list->need) return ROUND_DONE;
    }
    return round_outcome(&k->round);
}

/* Take the next step if the round is over. A write that cannot succeed any more still waits
 * for all, so that its answer says how many took it. False: wait. */
static bool step(struct shard *s, struct coordination *k) {
    if (k->call == NULL || k->phase == COORDINATE_FETCH) return false;
    const enum round_outcome outcome = outcome_of(k);
    if (outcome == ROUND_PENDING) return false;
    if (outcome == ROUND_IMPOSSIBLE) {
        if (is_asking(k)) return false;
        coordination_fail(s, k, OUT_QUORUM);
    } else if (k->phase == COORDINATE_READ) {
        read_done(s, k);
    } else {
        end_call(s, k);
    }
    return true;
}

void coordination_advance(struct shard *s, struct coordination *k) {
    while (step(s, k)) continue;
    coordination_release_if_over(s, k);
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

static bool is_refused_as_stale(const struct peer_frame *f) {
    struct peer_answer answer;
    struct peer_accepted accepted;
    if (f->payload.len != 1) return false;
    if (f->type == PEER_ANSWER && status_ok(peer_answer_decode(f->payload, &answer)))
        return answer.status == PEER_ANSWER_STALE;
    if (f->type == PEER_ACCEPTED && status_ok(peer_accepted_decode(f->payload, &accepted)))
        return accepted.status == PEER_ACCEPT_STALE;
    return false;
}

/* A replica knows a later epoch of the slot. The place stays asked, by a question that is never
 * answered: it ends with a begin anew under the view that is to come, or when the call's time is up.
 * False: it has failed, as there is no call that would wait. */
static bool wait_for_view(struct shard *s, struct coordination *k, uint32_t place) {
    shard_news_wanted(s);
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (k->call == NULL || now_ms >= k->call->give_up_ms) return false;
    struct link *l = link_to_slot(s, coordination_member(k, place), k->slot);
    if (l == NULL) return false;
    const uint32_t left_ms = (uint32_t)(k->call->give_up_ms - now_ms);
    k->sents[place] = sent_open(s, l, SENT_QUESTION, k, place, left_ms);
    if (k->sents[place] == NULL) return false;
    round_stale_epoch(&k->round, place);
    return true;
}

void coordinate_answered(struct shard *s, struct coordination *k, uint32_t place,
                         const struct peer_frame *f) {
    ASSERT(place < ROUND_PLACES_MAX);
    k->sents[place] = NULL;
    heard_of(s, k, place);
    if (is_refused_as_stale(f) && wait_for_view(s, k, place)) return;
    if (k->phase != COORDINATE_WRITE) {
        ASSERT(k->call != NULL);
        if (!take_answer(s, k, place, f))
            coordinate_failed(s, k, place, false);
        else
            coordination_advance(s, k);
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
    coordination_advance(s, k);
}

void coordinate_failed(struct shard *s, struct coordination *k, uint32_t place, bool late) {
    ASSERT(place < ROUND_PLACES_MAX);
    k->sents[place] = NULL;
    k->late = k->late || late;
    heard_of(s, k, place);
    switch (k->phase) {
    case COORDINATE_READ: ask(s, k, round_failed(&k->round, place, coordination_live(s, k))); break;
    case COORDINATE_FETCH: fetch_failed(s, k); break;
    case COORDINATE_WRITE: coordination_missed(s, k, place); break;
    }
    coordination_advance(s, k);
}

void coordinate_found(struct shard *s, struct coordination *k) {
    if (k->call == NULL || k->phase != COORDINATE_READ) {
        lookup_end(s, &k->local); /* others were faster */
        coordination_release_if_over(s, k);
        return;
    }
    heard_of(s, k, (uint32_t)k->self);
    ask(s, k, ask_own(s, k, (uint32_t)k->self));
    coordination_advance(s, k);
}

void coordinate_release(struct shard *s) {
    const uint64_t acknowledged = shard_acknowledged(s);
    while (!list_is_empty(&s->logging)) {
        struct coordination *k = LIST_ENTRY(s->logging.next, struct coordination, log);
        if (k->sequence > acknowledged) break;
        list_remove(&k->log);
        heard_of(s, k, (uint32_t)k->self);
        (void)round_answered(&k->round, (uint32_t)k->self, k->version);
        coordination_advance(s, k);
    }
}

void coordinate_hedge(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    while (!list_is_empty(&s->hedges)) {
        struct coordination *k = LIST_ENTRY(s->hedges.next, struct coordination, link);
        if (k->hedge_at_ms > now_ms) break;
        list_remove(&k->link);
        const uint16_t more = round_hedge(&k->round, coordination_live(s, k));
        if (more == 0) continue;
        s->figures.hedges++;
        ask(s, k, more);
        coordination_advance(s, k);
    }
    if (list_is_empty(&s->hedges)) return;
    const struct coordination *first = LIST_ENTRY(s->hedges.next, struct coordination, link);
    if (!s->hedge_timer.armed || s->hedge_timer.deadline_ms > first->hedge_at_ms)
        os_timer_arm(s->loop, &s->hedge_timer, first->hedge_at_ms);
}

/* ---- beginning ---- */

/* A node that has just started and has not met enough of the others: whoever handed the call over
 * should ask another. */
static bool is_too_early(struct shard *s, const struct call *c, const struct slot_places *replicas,
                         uint32_t slot) {
    if (c->task != NULL || atomic_load_explicit(&s->settled, memory_order_relaxed)) return false;
    const enum round_kind kind = operation_needs_read(&c->request) ? ROUND_READ : ROUND_WRITE;
    const struct round_needs needs = coordinate_needs(s, &c->request, replicas, kind);
    const uint32_t live = coordinate_live(s, replicas, slot);
    if ((uint32_t)__builtin_popcount(live & needs.list.places) < needs.list.need) return true;
    return (uint32_t)__builtin_popcount(live & needs.target.places) < needs.target.need;
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
    coordination_begin_phase(s, k, COORDINATE_READ);
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
        coordination_advance(s, k);
        return status_of(ST_OK);
    }
    if (coordinate_clock_is_off(s)) {
        coordination_fail(s, k, OUT_CLOCK);
        coordination_release_if_over(s, k);
        return status_of(ST_OK);
    }
    /* Whatever the time: another attempt of the same call may write the same version, and then
     * it must write the same. A value that expired already is as absent as a tombstone. */
    const uint64_t any_time_ms = 0;
    struct decision d;
    operation_decide(&c->request, NULL, any_time_ms, s->node->value_bytes_max, &s->scratch, &d);
    c->response = d.response;
    c->sequence = 0;
    if (!status_ok(coordination_write(s, k, &d))) stall(s, k);
    coordination_advance(s, k);
    return status_of(ST_OK);
}

/* Nobody was there to carry it out. */
static void too_few(struct shard *s, struct call *c, const struct slot_places *replicas) {
    const uint32_t count = replicas->list.count;
    const enum round_kind kind = operation_only_reads(&c->request) ? ROUND_READ : ROUND_WRITE;
    shard_count_quorum_failure(s, QUORUM_TOO_FEW);
    c->response = (struct response){ .outcome = OUT_QUORUM,
                                     .untried = c->lost == 0,
                                     .replicas = (uint8_t)count };
    if (count > 0) c->response.needed = shard_need(s, &c->request, kind, count);
    c->sequence = 0;
    shard_call_finish(s, c);
}

STATUS coordinate_call(struct shard *s, struct call *c) {
    const uint32_t slot = crc16_slot(c->request.key);
    const struct slot_places replicas = coordinate_replicas(s, &c->request, slot);
    const int self = coordinate_self(s, &replicas);
    const bool guest = c->task == NULL;
    if (c->give_up_ms == 0) c->give_up_ms = os_loop_now_ms(s->loop) + s->node->quorum_wait_ms;
    const bool elsewhere =
        operation_reads_and_writes(&c->request) && !coordinate_is_home(s, &replicas, self);
    if (!guest && (self < 0 || elsewhere) && forward_call(s, c, slot, &replicas))
        return status_of(ST_OK);
    /* Who is in the target only leaves what reads and writes to the list, where its home is. */
    const bool is_listed = self >= 0 && self < (int)replicas.list.count;
    if (is_listed || (self >= 0 && !elsewhere)) return coordinate_here(s, c, slot, &replicas);
    if (!guest && replicas.count > 0 && forward_later(s, c)) return status_of(ST_OK);
    too_few(s, c, &replicas);
    return status_of(ST_OK);
}
