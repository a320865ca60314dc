#include "shard/inspect.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "proto/replica_report.h"
#include "shard/coordinate_internal.h"
#include "shard/replica.h"
#include "shard/shard.h"

struct inspection {
    struct call *call;                           /* never NULL: it is answered last */
    uint32_t slot;                               /* of the key */
    uint32_t count;                              /* replicas, 1..REPLICAS_MAX */
    uint32_t pending;                            /* of them, those not heard of */
    uint32_t self;                               /* own place; `count` = none */
    struct lookup local;                         /* own replica's part */
    struct replica_report reports[REPLICAS_MAX]; /* by place */
};

static void finish_if_done(struct shard *s, struct inspection *k) {
    struct call *c = k->call;
    if (k->pending > 0) return;
    ASSERT(!k->local.fetching);
    const size_t bytes = k->count * sizeof k->reports[0];
    c->response = (struct response){ .outcome = OUT_OK, .value_len = bytes };
    c->response.value = bytes_of((const uint8_t *)k->reports, bytes);
    shard_call_keep_value(c);
    mem_free(k);
    shard_call_finish(s, c);
}

static void heard(struct shard *s, struct inspection *k) {
    ASSERT(k->pending > 0);
    k->pending--;
    finish_if_done(s, k);
}

static void report_record(struct replica_report *r, const struct record *record) {
    const bool deleted = (record->flags & RECORD_TOMBSTONE) != 0;
    r->state = deleted ? REPLICA_TOMBSTONE : REPLICA_VALUE;
    r->version = record->ballot;
    if (deleted) return;
    r->expires_at_ms = record->expires_at_ms;
    r->value_bytes = record->value.len;
}

/* ST_WAIT: a block is being read. */
static struct status look_up(struct shard *s, struct inspection *k) {
    const struct request *q = &k->call->request;
    struct replica_report *r = &k->reports[k->self];
    struct status st = status_of(ST_CORRUPT);
    const struct bytes ikey = ikey_make(q->keyspace, q->key, s->ikey_space);
    if (s->filled) st = lookup_begin(s, &k->local, ikey);
    if (st.code == ST_WAIT) return st;
    st = replica_absence(s, ikey, st, &k->local.read);
    r->state = st.code == ST_NOT_FOUND ? REPLICA_NOTHING : REPLICA_ABSTAINS;
    if (status_ok(st)) {
        report_record(r, &k->local.read.record);
        k->call->sequence = k->local.read.sequence; /* it is not shown before it is durable */
    }
    lookup_end(s, &k->local);
    return status_of(ST_OK);
}

static void ask(struct shard *s, struct inspection *k, uint32_t place, uint32_t member) {
    const struct request *q = &k->call->request;
    struct link *l = link_of_slot(s, member, k->slot);
    if (l == NULL || !link_has_room(l)) return;
    struct sent *sent = sent_open(s, l, SENT_INSPECTION, k, place, s->node->quorum_wait_ms);
    if (sent == NULL) return;
    k->pending++;
    const struct bytes ikey = ikey_make(q->keyspace, q->key, s->ikey_space);
    replica_ask(l, PEER_FLAG_DIGEST, sent_id(s, sent), replica_epoch(s, ikey), ikey);
}

static void print_address(struct replica_report *r, const char *address) {
    const int len = snprintf(r->address, sizeof r->address, "%s", address);
    ASSERT(len >= 0);
}

/* Returns the places of the members in the view. */
static struct slot_list list_replicas(const struct shard *s, struct inspection *k) {
    const struct membership *m = s->members;
    const struct slot_list list = coordinate_replicas(s, &k->call->request, k->slot).list;
    k->count = list.count;
    k->self = k->count;
    for (uint32_t i = 0; i < k->count; i++) {
        const uint32_t member = list.members[i];
        k->reports[i] = (struct replica_report){ .id = membership_member(m, member)->id };
        print_address(&k->reports[i], membership_member(m, member)->address);
        if (member == m->self) k->self = i;
    }
    if (s->alone) print_address(&k->reports[0], s->node->address);
    if (k->self < k->count) k->reports[k->self].self = true;
    return list;
}

void inspect_begin(struct shard *s, struct call *c) {
    ASSERT((c->request.flags & REQUEST_REPLICAS) != 0);
    ASSERT(c->task != NULL); /* other nodes do not ask so */
    if (s->members->epoch == 0) {
        shard_call_fail(s, c, OUT_QUORUM);
        return;
    }
    struct inspection *k = mem_alloc_zeroed(sizeof *k);
    k->call = c;
    k->slot = crc16_slot(c->request.key);
    k->local = (struct lookup){ .owner = k, .kind = LOOKUP_INSPECTION };
    c->sequence = 0;
    const struct slot_list list = list_replicas(s, k);
    call_move(c, CALL_ASKING, s->turn_ns);
    k->pending = 1; /* until all are asked */
    for (uint32_t i = 0; i < k->count; i++) {
        if (i == k->self)
            k->pending += look_up(s, k).code == ST_WAIT;
        else
            ask(s, k, i, list.members[i]);
    }
    heard(s, k);
}

void inspect_answered(struct shard *s, struct inspection *k, uint32_t place,
                      const struct peer_frame *f) {
    ASSERT(place < k->count);
    struct peer_answer m;
    struct replica_report *r = &k->reports[place];
    if (f->type == PEER_ANSWER && status_ok(peer_answer_decode(f->payload, &m))) {
        r->state = m.status == PEER_ANSWER_NOTHING ? REPLICA_NOTHING : REPLICA_ABSTAINS;
        if (m.status == PEER_ANSWER_FOUND) {
            r->state = m.record.tombstone ? REPLICA_TOMBSTONE : REPLICA_VALUE;
            r->version = m.record.version;
            r->expires_at_ms = m.record.tombstone ? 0 : m.record.expires_at_ms;
            r->value_bytes = m.value_len;
        }
    }
    heard(s, k);
}

void inspect_failed(struct shard *s, struct inspection *k, uint32_t place) {
    ASSERT(place < k->count);
    ASSERT(k->reports[place].state == REPLICA_UNREACHABLE);
    heard(s, k);
}

void inspect_found(struct shard *s, struct inspection *k) {
    ASSERT(k->self < k->count);
    if (look_up(s, k).code == ST_WAIT) return;
    heard(s, k);
}
