/* coordinate_anew.c - what is not answered goes on under another view. */
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

/* A read has shown nothing to anybody: it begins anew, wherever that is now. */
static void read_anew(struct shard *s, struct coordination *k) {
    struct call *c = coordination_take_call(k);
    ASSERT(c->value_copy == NULL);
    coordination_close_questions(s, k);
    call_move(c, CALL_SENT, s->turn_ns);
    list_append(&s->runnable, &c->link);
    coordination_release_if_over(s, k);
}

/* The own replica's part of a write that began under other lists, at position `then` or -1. */
static void write_own_anew(struct shard *s, struct coordination *k, const struct round *was,
                           int then) {
    const uint32_t self = (uint32_t)k->self;
    uint64_t sequence = 0;
    if (then >= 0 && round_is(was, (uint32_t)then, PLACE_ANSWERED))
        (void)round_answered(&k->round, self, k->version);
    else if (then >= 0 && round_is(was, (uint32_t)then, PLACE_FAILED))
        coordination_missed(s, k, self);
    else if (!list_is_empty(&k->log))
        return; /* its log is on the way */
    else if (replica_accept(s, &k->newest, NULL, &sequence) == PEER_ACCEPT_OK)
        coordination_log_wait(s, k, sequence);
    else
        coordination_missed(s, k, self);
}

/* Who took the version already has it; the others of the new list get the same. */
static void write_anew(struct shard *s, struct coordination *k, const struct slot_places *now) {
    const struct slot_places before = k->replicas;
    const struct round was = k->round;
    const int self_before = k->self;
    coordination_close_questions(s, k);
    k->replicas = *now;
    k->self = coordinate_self(s, now);
    k->last = -1;
    if (k->self < 0) list_remove(&k->log);
    if (now->count == 0) {
        coordination_fail(s, k, OUT_QUORUM);
        coordination_release_if_over(s, k);
        return;
    }
    coordination_write_round(s, k);
    for (uint32_t i = 0; i < k->round.count; i++) {
        const int then = slot_places_find(&before, now->all[i]);
        const bool has_it = then >= 0 && round_is(&was, (uint32_t)then, PLACE_ANSWERED);
        if ((int)i != k->self && has_it) (void)round_answered(&k->round, i, k->version);
    }
    uint16_t have = k->round.places[PLACE_ANSWERED];
    if (k->self >= 0) write_own_anew(s, k, &was, self_before);
    if (!list_is_empty(&k->log)) have |= (uint16_t)(1u << k->self);
    coordination_send_records(s, k, &k->newest, have | k->round.places[PLACE_ANSWERED]);
    coordination_advance(s, k);
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
