/* coordinate_write.c - giving a version to every replica, and hints for those that miss it. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/coordinate_internal.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/operation.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* A silent replica gets a hint at once, unless the write cannot succeed without it. */
static bool send_record(struct shard *s, struct coordination *k, uint32_t place,
                        const struct record *r, bool urgent) {
    const uint32_t member = coordination_member(k, place);
    const bool spare = round_suffice(&k->round, coordination_live(s, k));
    struct link *l = spare ? link_of_slot(s, member, k->slot) : link_to_slot(s, member, k->slot);
    if (l == NULL || !link_has_room(l)) return false;
    struct sent *q = sent_open(s, l, SENT_QUESTION, k, place, s->node->quorum_wait_ms);
    if (q == NULL) return false;
    q->lazy = !urgent;
    k->sents[place] = q;
    replica_send(l, urgent ? 0 : PEER_FLAG_LAZY, sent_id(s, q), k->replicas.epoch, r);
    return true;
}

/* A replica will not take the write now: it gets a hint, if the own replica holds it. */
void coordination_missed(struct shard *s, struct coordination *k, uint32_t place) {
    const bool hinted = k->self >= 0 && (int)place != k->self &&
                        !round_is(&k->round, (uint32_t)k->self, PLACE_FAILED);
    if (hinted && MUTANT("hint_counts_as_ack")) (void)round_answered(&k->round, place, k->version);
    (void)round_failed(&k->round, place, 0);
    if (!hinted) return;
    hint_keep(s, coordination_member(k, place), buffer_bytes(&k->ikey), k->version);
}

/* Returns `have` with those of `places` that were sent it. */
static uint16_t send_to(struct shard *s, struct coordination *k, const struct record *r,
                        uint16_t places, uint16_t have) {
    for (uint32_t i = 0; i < k->round.count; i++) {
        if ((places & 1u << i) == 0 || (int)i == k->self) continue;
        if (!round_is(&k->round, i, PLACE_ASKED)) continue;
        if (send_record(s, k, i, r, !round_suffice(&k->round, have)))
            have |= (uint16_t)(1u << i);
        else
            coordination_missed(s, k, i);
    }
    return have;
}

/* As many as the client waits for get it at once, the others with what is sent next. The writes of
 * a turn are sent at once to the same replicas, as far as they can be: the others then take many
 * with one message and one sync. */
void coordination_send_records(struct shard *s, struct coordination *k, const struct record *r,
                               uint16_t have) {
    const uint16_t first = round_suffice(&k->round, have) ? 0 : coordination_sent_anyway(s, k);
    have = send_to(s, k, r, first, have);
    (void)send_to(s, k, r, (uint16_t)~first, have);
}

void coordination_write_round(struct shard *s, struct coordination *k) {
    const struct round_needs needs =
        coordinate_needs(s, &k->call->request, &k->replicas, ROUND_WRITE);
    (void)round_begin(&k->round, ROUND_WRITE, needs, k->self, coordination_live(s, k),
                      (struct ballot){ 0 });
}

void coordination_log_wait(struct shard *s, struct coordination *k, uint64_t sequence) {
    k->sequence = sequence;
    if (sequence > shard_acknowledged(s))
        list_append(&s->logging, &k->log);
    else
        (void)round_answered(&k->round, (uint32_t)k->self, k->version);
}

/* The version to write; see forward.h for those that another node stamped. False: it would not be
 * above what is there, or may not be. */
static bool choose_version(struct shard *s, const struct coordination *k,
                           struct ballot *ret_version) {
    const struct request *q = &k->call->request;
    *ret_version = (struct ballot){ .node = s->node->node_id, .boot = s->node->boot_count };
    if (ballot_is_zero(q->stamp)) {
        ret_version->stamp = shard_stamp(s);
        return true;
    }
    /* What is so old may be below floors that are not heard of here yet (R9). */
    const uint64_t settled_ms = hlc_ms(q->stamp.stamp) + REPAIR_SETTLE_MS - HLC_SKEW_MS_MAX;
    if (settled_ms <= s->turn_wall_ms) return false;
    if (!operation_reads_and_writes(q)) {
        *ret_version = q->stamp;
        return ballot_compare(q->stamp, coordination_floor(s, k)) > 0;
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
        coordination_fail(s, k, OUT_OVERTAKEN);
        return;
    }
    (void)coordination_take_call(k);
    coordination_close_questions(s, k);
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
STATUS coordination_write_record(struct shard *s, struct coordination *k, const struct record *r) {
    const struct request *q = &k->call->request;
    uint64_t sequence = 0;
    if (s->pressure_permille > 0 && s->write_allowance < 0) return status_of(ST_BUSY);
    const enum peer_accept_status st = replica_accept(s, r, NULL, &sequence);
    if (st == PEER_ACCEPT_BUSY) return status_of(ST_BUSY);
    if (st == PEER_ACCEPT_CLOCK) {
        coordination_fail(s, k, OUT_CLOCK);
        return status_of(ST_OK);
    }
    coordination_begin_phase(s, k, COORDINATE_WRITE);
    k->version = r->ballot;
    if (q->op != OP_GET) {
        k->call->response.version = r->ballot;
        if ((r->flags & RECORD_TOMBSTONE) == 0) k->call->response.expires_at_ms = r->expires_at_ms;
    }
    coordination_write_round(s, k);
    if (st == PEER_ACCEPT_OK)
        coordination_log_wait(s, k, sequence);
    else
        coordination_missed(s, k, (uint32_t)k->self);
    coordination_send_records(s, k, r, st == PEER_ACCEPT_OK ? (uint16_t)(1u << k->self) : 0);
    keep_written(k, r);
    return status_of(ST_OK);
}

/* The tombstone of a delete that found nothing does not name the operation: a repeat is to find
 * nothing as well. */
STATUS coordination_write(struct shard *s, struct coordination *k, const struct decision *d) {
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
        if (r.ballot.stamp > s->heard_floor && r.ballot.stamp > s->floor_stamp)
            return coordination_write_record(s, k, &r);
        coordination_fail(s, k, OUT_CLOCK);
        return status_of(ST_OK);
    }
    if (is_deleted_above(k, d)) return coordination_write_record(s, k, &k->newest);
    overtaken(s, k);
    return status_of(ST_OK);
}
