#include "shard/replica.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/catch_up.h"
#include "shard/hint.h"
#include "shard/lookup.h"
#include "shard/repair.h"
#include "shard/shard.h"
#include "storage/floor.h"

/* What may wait for the engine at one shard, in bytes of records. */
#define STALLED_BYTES_MAX (64u * 1024 * 1024)

/* A version that waits for the engine. */
struct stalled_accept {
    struct list link;     /* in the shard's `accepts` */
    uint64_t serial;      /* of the connection it came over */
    uint64_t id;          /* of the question */
    uint64_t since_ns;    /* monotonic: when it began to wait */
    uint8_t flags;        /* PEER_FLAG_* of the question */
    uint64_t epoch;       /* of its slot, as the sender knew it */
    struct record record; /* views into `bytes` */
    size_t bytes_len;     /* what it counts for: all of it */
    uint8_t bytes[];      /* ikey, then value */
};

/* What may wait for a view at one shard, in bytes of messages. */
#define AHEAD_BYTES_MAX (16u * 1024 * 1024)

/* A message about a slot of which this shard does not have the view yet: it is on its way. */
struct ahead {
    struct list link;        /* in the shard's `ahead` */
    uint64_t serial;         /* of the connection it came over */
    uint64_t until_ms;       /* monotonic: the sender shall know then */
    struct peer_frame frame; /* its payload is `bytes` */
    size_t bytes_len;        /* what it counts for: all of it */
    uint8_t bytes[];
};

/* As many as one shard of another node may ask at once; more are refused. */
#define QUERIES_WAITING_MAX SENT_MAX

/* A query that waits for a block. */
struct query {
    struct lookup lookup; /* its owner is this */
    uint64_t serial;      /* of the connection it came over */
    uint64_t id;          /* of the question */
    uint8_t flags;        /* PEER_FLAG_DIGEST, PEER_FLAG_REPAIR */
    uint64_t epoch;       /* of its slot, as the sender knew it */
    size_t ikey_len;
    uint8_t ikey[]; /* ikey_len bytes */
};

bool replica_keeps(const struct shard *s, uint32_t slot) {
    const struct membership *m = s->members;
    return slot % s->node->shards_count == s->id && membership_keeps(m, slot, m->self);
}

bool replica_may_tell(const struct shard *s, uint32_t slot) {
    const struct membership *m = s->members;
    if (s->filled) return true;
    if (repair_is_healing(s) || m->slots.phases[slot] != SLOT_JOINT) return false;
    return membership_place(m, slot, m->self) < 0 && replica_keeps(s, slot);
}

bool replica_may_tell_all(const struct shard *s) {
    return s->filled || (s->only_joins && !repair_is_healing(s));
}

uint64_t replica_epoch(const struct shard *s, struct bytes ikey) {
    return s->members->slots.epochs[crc16_slot(ikey_key(ikey))];
}

/* Whether what was sent under this epoch of the slot is to be refused: by now other replicas count,
 * and the sender would take too few for enough. One that is ahead is news. */
static bool is_outdated(struct shard *s, uint32_t slot, uint64_t epoch) {
    const uint64_t known = s->members->slots.epochs[slot];
    if (epoch > known) shard_news_wanted(s);
    return epoch < known && !MUTANT("fence_ignored");
}

enum peer_accept_status replica_accept(struct shard *s, const struct record *r,
                                       const struct peer *from, uint64_t *ret_sequence) {
    if (r->ballot.stamp <= s->floor_stamp) return PEER_ACCEPT_FLOOR;
    return replica_restore(s, r, from, ret_sequence);
}

enum peer_accept_status replica_restore(struct shard *s, const struct record *r,
                                        const struct peer *from, uint64_t *ret_sequence) {
    ASSERT(s->engine != NULL);
    ASSERT(record_check(r));
    if (!hlc_is_lawful(r->ballot.stamp, s->turn_wall_ms)) return PEER_ACCEPT_CLOCK;
    hlc_observe(&s->hlc, r->ballot.stamp);
    const struct status st = engine_put(s->engine, r, ret_sequence);
    switch (st.code) {
    case ST_OK:
        s->write_allowance -= (int64_t)(r->ikey.len + r->value.len);
        s->figures.put_bytes += r->ikey.len + r->value.len;
        repair_gained(s, r, from);
        return PEER_ACCEPT_OK;
    case ST_BUSY: return PEER_ACCEPT_BUSY;
    case ST_FULL: return PEER_ACCEPT_FULL;
    case ST_CONFLICT: return PEER_ACCEPT_FLOOR;
    default: return PEER_ACCEPT_FAILED;
    }
}

static enum record_cause cause_of(uint8_t flags) {
    if ((flags & PEER_FLAG_HINT) != 0) return RECORD_CAUSE_HINT;
    return (flags & PEER_FLAG_REPAIR) != 0 ? RECORD_CAUSE_REPAIR : RECORD_CAUSE_WRITE;
}

void replica_send(struct link *l, uint8_t flags, uint64_t id, uint64_t epoch,
                  const struct record *r) {
    const struct peer_accept m = { .epoch = epoch,
                                   .record = { .ikey = r->ikey,
                                               .version = r->ballot,
                                               .tombstone = (r->flags & RECORD_TOMBSTONE) != 0,
                                               .expires_at_ms = r->expires_at_ms,
                                               .op_high = r->op.high,
                                               .op_low = r->op.low,
                                               .value = r->value } };
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_ACCEPT, flags, id, &begun);
    peer_accept_encode(&m, out);
    if ((flags & PEER_FLAG_LAZY) != 0)
        link_end_lazy(l, begun, false);
    else
        link_end(l, begun);
    l->shard->figures.records_sent[cause_of(flags)]++;
}

void replica_ask(struct link *l, uint8_t flags, uint64_t id, uint64_t epoch, struct bytes ikey) {
    const struct peer_query m = { .epoch = epoch, .ikey = ikey };
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_QUERY, flags, id, &begun);
    peer_query_encode(&m, out);
    link_end(l, begun);
}

struct record replica_record(const struct peer_record *m, struct bytes ikey) {
    return (struct record){ .ikey = ikey,
                            .ballot = m->version,
                            .flags = m->tombstone ? RECORD_TOMBSTONE : 0,
                            .expires_at_ms = m->expires_at_ms,
                            .op = { .high = m->op_high, .low = m->op_low },
                            .value = m->value };
}

/* What became of a record that another node brought. */
static void count_accept(struct shard *s, uint8_t flags, enum peer_accept_status status) {
    uint64_t *const refused = s->figures.records_refused;
    switch (status) {
    case PEER_ACCEPT_OK: s->figures.records_taken[cause_of(flags)]++; break;
    case PEER_ACCEPT_BUSY: refused[RECORD_REFUSED_BUSY]++; break;
    case PEER_ACCEPT_FULL: refused[RECORD_REFUSED_FULL]++; break;
    case PEER_ACCEPT_FAILED: refused[RECORD_REFUSED_FAILED]++; break;
    case PEER_ACCEPT_CLOCK: refused[RECORD_REFUSED_CLOCK]++; break;
    case PEER_ACCEPT_FLOOR: refused[RECORD_REFUSED_FLOOR]++; break;
    case PEER_ACCEPT_NOT_MINE: refused[RECORD_REFUSED_NOT_MINE]++; break;
    case PEER_ACCEPT_STALE: refused[RECORD_REFUSED_STALE]++; break;
    case PEER_ACCEPT_STATUSES: ASSERT(false);
    }
}

static void answer_accept(struct link *l, uint64_t id, bool urgent, enum peer_accept_status status,
                          uint64_t sequence) {
    const struct peer_accepted m = { .status = status };
    const bool held = status == PEER_ACCEPT_OK && sequence > shard_acknowledged(l->shard);
    size_t begun = 0;
    if (id == 0) return; /* nobody waits for it */
    struct buffer *out = held ? link_begin_held(l, PEER_ACCEPTED, 0, id, &begun)
                              : link_begin(l, PEER_ACCEPTED, 0, id, &begun);
    peer_accepted_encode(&m, out);
    if (held)
        link_end_held(l, begun, sequence, urgent);
    else if (urgent)
        link_end(l, begun);
    else
        link_end_lazy(l, begun, true);
}

static void stalled_free(struct shard *s, struct stalled_accept *a) {
    ASSERT(s->accepts_bytes >= a->bytes_len);
    list_remove(&a->link);
    s->accepts_bytes -= a->bytes_len;
    mem_free(a);
}

/* Keep it until the engine takes it. False: too much waits already. */
static bool stall(struct shard *s, const struct link *l, const struct peer_frame *f, uint64_t epoch,
                  const struct record *r) {
    const size_t len = sizeof(struct stalled_accept) + r->ikey.len + r->value.len;
    if (s->accepts_bytes + len > STALLED_BYTES_MAX) return false;
    struct stalled_accept *a = mem_alloc(len);
    *a = (struct stalled_accept){ .serial = l->serial,
                                  .id = f->id,
                                  .since_ns = s->turn_ns,
                                  .flags = f->flags,
                                  .epoch = epoch,
                                  .record = *r,
                                  .bytes_len = len };
    memcpy(a->bytes, r->ikey.ptr, r->ikey.len);
    if (r->value.len > 0) memcpy(a->bytes + r->ikey.len, r->value.ptr, r->value.len);
    a->record.ikey = bytes_of(a->bytes, r->ikey.len);
    a->record.value = bytes_of(a->bytes + r->ikey.len, r->value.len);
    list_append(&s->accepts, &a->link);
    s->accepts_bytes += len;
    return true;
}

/* Through the door, or past the floor for what heals this shard or fills its new slots. */
static enum peer_accept_status take(struct shard *s, const struct link *l, uint8_t flags,
                                    const struct record *r, uint64_t *ret_sequence) {
    const bool repairs = (flags & PEER_FLAG_REPAIR) != 0;
    const bool restores = repairs && repair_may_restore(s, l, r);
    const enum peer_accept_status status = restores ? replica_restore(s, r, l->peer, ret_sequence)
                                                    : replica_accept(s, r, l->peer, ret_sequence);
    if (repairs && status == PEER_ACCEPT_OK) catch_up_count_taken(s, r);
    return status;
}

/* Keep a message until the slot's epoch is the sender's. A moment's wait is better than a refusal: the
 * sender asks only few others, who may have to wait as well. False: there is nothing to wait for, or
 * too much waits already. */
static bool wait_for_view(struct shard *s, const struct link *l, const struct peer_frame *f,
                          uint32_t slot, uint64_t epoch) {
    const size_t len = sizeof(struct ahead) + f->payload.len;
    if (f->id == 0 || epoch <= s->members->slots.epochs[slot]) return false;
    if (s->ahead_bytes + len > AHEAD_BYTES_MAX || s->stop_deadline_ms != 0) return false;
    struct ahead *a = mem_alloc(len);
    *a = (struct ahead){ .serial = l->serial,
                         .until_ms = os_loop_now_ms(s->loop) + s->node->quorum_wait_ms / 2,
                         .frame = *f,
                         .bytes_len = len };
    memcpy(a->bytes, f->payload.ptr, f->payload.len);
    a->frame.payload = bytes_of(a->bytes, f->payload.len);
    list_append(&s->ahead, &a->link);
    s->ahead_bytes += len;
    shard_news_wanted(s);
    return true;
}

static void ahead_free(struct shard *s, struct ahead *a) {
    ASSERT(s->ahead_bytes >= a->bytes_len);
    list_remove(&a->link);
    s->ahead_bytes -= a->bytes_len;
    mem_free(a);
}

void replica_adopt(struct shard *s) {
    struct list now; /* what has to wait again is for the next view */
    list_init(&now);
    while (!list_is_empty(&s->ahead)) list_append(&now, list_take_first(&s->ahead));
    while (!list_is_empty(&now)) {
        struct ahead *a = LIST_ENTRY(now.next, struct ahead, link);
        struct link *l = link_find(s, a->serial);
        ASSERT(a->frame.type == PEER_ACCEPT || a->frame.type == PEER_QUERY);
        if (l != NULL && a->frame.type == PEER_ACCEPT)
            replica_serve_accept(s, l, &a->frame);
        else if (l != NULL)
            replica_serve_query(s, l, &a->frame);
        ahead_free(s, a);
    }
}

void replica_serve_accept(struct shard *s, struct link *l, const struct peer_frame *f) {
    struct peer_accept m;
    if (!status_ok(peer_accept_decode(f->payload, &m))) {
        link_fail(l, "malformed record");
        return;
    }
    const bool urgent = (f->flags & PEER_FLAG_LAZY) == 0;
    const struct bytes ikey = m.record.ikey;
    struct record r = replica_record(&m.record, ikey);
    const bool own_notes = ikey_keyspace(ikey) >= RESERVED_KEYSPACES;
    if (own_notes || ikey.len > 2 + KEY_BYTES_MAX) {
        link_fail(l, "a record that no client can have written");
        return;
    }
    const uint32_t slot = crc16_slot(ikey_key(ikey));
    if (!replica_keeps(s, slot) && wait_for_view(s, l, f, slot, m.epoch)) return;
    s->figures.peer_accepts++;
    const bool outdated = is_outdated(s, slot, m.epoch);
    if (outdated || !replica_keeps(s, slot)) {
        const enum peer_accept_status why = outdated ? PEER_ACCEPT_STALE : PEER_ACCEPT_NOT_MINE;
        count_accept(s, f->flags, why);
        answer_accept(l, f->id, urgent, why, 0);
        return;
    }
    if (MUTANT("hint_overwrites_newer") && (f->flags & PEER_FLAG_HINT) != 0)
        r.ballot.stamp = shard_stamp(s);
    uint64_t sequence = 0;
    const enum peer_accept_status status = take(s, l, f->flags, &r, &sequence);
    if (status == PEER_ACCEPT_BUSY && f->id != 0 && stall(s, l, f, m.epoch, &r)) return;
    count_accept(s, f->flags, status);
    answer_accept(l, f->id, urgent, status, sequence);
}

/* A view may have been adopted while it waited. */
static enum peer_accept_status accept_again(struct shard *s, const struct link *l,
                                            const struct stalled_accept *a,
                                            uint64_t *ret_sequence) {
    const uint32_t slot = crc16_slot(ikey_key(a->record.ikey));
    if (is_outdated(s, slot, a->epoch)) return PEER_ACCEPT_STALE;
    if (!replica_keeps(s, slot)) return PEER_ACCEPT_NOT_MINE;
    return take(s, l, a->flags, &a->record, ret_sequence);
}

void replica_resume(struct shard *s) {
    const uint64_t wait_ns = (uint64_t)s->node->write_wait_ms * 1000000;
    while (!list_is_empty(&s->accepts)) {
        struct stalled_accept *a = LIST_ENTRY(s->accepts.next, struct stalled_accept, link);
        struct link *l = link_find(s, a->serial);
        uint64_t sequence = 0;
        enum peer_accept_status status = PEER_ACCEPT_BUSY;
        if (l != NULL) status = accept_again(s, l, a, &sequence);
        if (l != NULL && status == PEER_ACCEPT_BUSY && s->turn_ns < a->since_ns + wait_ns) return;
        s->figures.stall_ns += s->turn_ns - a->since_ns;
        if (l != NULL) count_accept(s, a->flags, status);
        if (l != NULL) answer_accept(l, a->id, true, status, sequence);
        stalled_free(s, a);
    }
}

void replica_forget_stalled(struct shard *s) {
    while (!list_is_empty(&s->accepts))
        stalled_free(s, LIST_ENTRY(s->accepts.next, struct stalled_accept, link));
    while (!list_is_empty(&s->ahead)) ahead_free(s, LIST_ENTRY(s->ahead.next, struct ahead, link));
}

/* ---- queries ---- */

static void answer_nothing(struct link *l, uint64_t id, enum peer_answer_status why) {
    const struct peer_answer m = { .status = why };
    ASSERT(why != PEER_ANSWER_FOUND);
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_ANSWER, 0, id, &begun);
    peer_answer_encode(&m, out);
    link_end(l, begun);
}

static void answer_query(struct link *l, uint64_t id, uint8_t flags, struct status st,
                         const struct engine_read *read) {
    /* A question is small and its answer may be large: many of them would fill the memory. */
    if (link_is_clogged(l)) {
        answer_nothing(l, id, PEER_ANSWER_BUSY);
        return;
    }
    struct peer_answer m = { .status = PEER_ANSWER_ABSTAIN };
    uint64_t sequence = 0;
    if (st.code == ST_NOT_FOUND) m.status = PEER_ANSWER_NOTHING;
    if (status_ok(st)) {
        const struct record *r = &read->record;
        m.status = PEER_ANSWER_FOUND;
        m.value_len = r->value.len;
        m.record = (struct peer_record){ .version = r->ballot,
                                         .tombstone = (r->flags & RECORD_TOMBSTONE) != 0,
                                         .expires_at_ms = r->expires_at_ms,
                                         .op_high = r->op.high,
                                         .op_low = r->op.low,
                                         .value = r->value };
        if ((flags & PEER_FLAG_DIGEST) != 0) m.record.value = BYTES_NONE;
        sequence = read->sequence;
    }
    const bool held = sequence > shard_acknowledged(l->shard);
    size_t begun = 0;
    struct buffer *out = held ? link_begin_held(l, PEER_ANSWER, flags, id, &begun)
                              : link_begin(l, PEER_ANSWER, flags, id, &begun);
    peer_answer_encode(&m, out);
    if (held)
        link_end_held(l, begun, sequence, true);
    else
        link_end(l, begun);
}

struct status replica_absence(const struct shard *s, struct bytes ikey, struct status st,
                              struct engine_read *read) {
    if (st.code != ST_NOT_FOUND || MUTANT("truncation_untold")) return st;
    const struct ballot floor = engine_floor(s->engine, ikey_keyspace(ikey));
    if (ballot_is_zero(floor) || ballot_compare(floor, FLOOR_OF_ALL) == 0) return st;
    read->record = (struct record){ .ikey = ikey, .ballot = floor, .flags = RECORD_TOMBSTONE };
    read->sequence = 0;
    return status_of(ST_OK);
}

/* What the asker is told: nothing of a record that only repair may see. */
static struct status may_show(struct shard *s, uint8_t flags, struct bytes ikey, struct status st,
                              struct engine_read *read) {
    if ((flags & PEER_FLAG_REPAIR) != 0) {
        if (status_ok(st)) catch_up_count_sent(s, &read->record);
        return st;
    }
    const bool hides = status_ok(st) && catch_up_hides(s, &read->record);
    return replica_absence(s, ikey, hides ? status_of(ST_NOT_FOUND) : st, read);
}

static void query_try(struct shard *s, struct query *q) {
    const struct status st = lookup_begin(s, &q->lookup, bytes_of(q->ikey, q->ikey_len));
    if (st.code == ST_WAIT) return;
    struct link *l = link_find(s, q->serial);
    const struct bytes ikey = bytes_of(q->ikey, q->ikey_len);
    if (l != NULL && is_outdated(s, crc16_slot(ikey_key(ikey)), q->epoch))
        answer_nothing(l, q->id, PEER_ANSWER_STALE);
    else if (l != NULL)
        answer_query(l, q->id, q->flags & PEER_FLAG_DIGEST,
                     may_show(s, q->flags, ikey, st, &q->lookup.read), &q->lookup.read);
    lookup_end(s, &q->lookup);
    mem_free(q);
    ASSERT(s->queries_waiting > 0);
    s->queries_waiting--;
}

static void query_wait(struct shard *s, struct link *l, const struct peer_frame *f,
                       const struct peer_query *m) {
    const struct bytes ikey = m->ikey;
    struct query *q = mem_alloc_zeroed(sizeof *q + ikey.len);
    s->queries_waiting++;
    q->lookup = (struct lookup){ .owner = q, .kind = LOOKUP_QUERY };
    q->serial = l->serial;
    q->id = f->id;
    q->flags = f->flags & (PEER_FLAG_DIGEST | PEER_FLAG_REPAIR);
    q->epoch = m->epoch;
    q->ikey_len = ikey.len;
    memcpy(q->ikey, ikey.ptr, ikey.len);
    query_try(s, q);
}

void replica_found(struct shard *s, struct lookup *l) {
    query_try(s, l->owner);
}

void replica_serve_query(struct shard *s, struct link *l, const struct peer_frame *f) {
    struct peer_query m;
    if (!status_ok(peer_query_decode(f->payload, &m))) {
        link_fail(l, "malformed query");
        return;
    }
    const uint32_t slot = crc16_slot(ikey_key(m.ikey));
    /* What is stored here may be of an earlier time of the slot, and hidden by the view that is to
     * come. Repair sees it all, and judges for itself. */
    const bool repairs = (f->flags & PEER_FLAG_REPAIR) != 0;
    const bool counts = !repairs || !replica_keeps(s, slot);
    const bool ahead = counts && m.epoch > s->members->slots.epochs[slot];
    if (ahead && wait_for_view(s, l, f, slot, m.epoch)) return;
    s->figures.peer_queries++;
    if (is_outdated(s, slot, m.epoch)) {
        answer_nothing(l, f->id, PEER_ANSWER_STALE);
        return;
    }
    if (ahead) {
        answer_nothing(l, f->id, PEER_ANSWER_ABSTAIN);
        return;
    }
    struct engine_read read = { 0 };
    struct status st = status_of(ST_CORRUPT);
    const bool may_tell = replica_may_tell(s, slot) || repairs;
    if (may_tell && s->engine != NULL && replica_keeps(s, slot))
        st = engine_get(s->engine, m.ikey, false, &read);
    st = may_show(s, f->flags, m.ikey, st, &read);
    if (st.code != ST_WAIT) answer_query(l, f->id, f->flags & PEER_FLAG_DIGEST, st, &read);
    if (s->engine != NULL) engine_read_deinit(s->engine, &read);
    if (st.code == ST_WAIT && s->queries_waiting == QUERIES_WAITING_MAX)
        answer_nothing(l, f->id, PEER_ANSWER_BUSY);
    else if (st.code == ST_WAIT)
        query_wait(s, l, f, &m);
}

/* The view has not come. */
static void refuse_ahead(struct shard *s, struct link *l, const struct ahead *a) {
    const struct peer_frame *f = &a->frame;
    if (f->type == PEER_QUERY) {
        s->figures.peer_queries++;
        answer_nothing(l, f->id, PEER_ANSWER_ABSTAIN);
        return;
    }
    s->figures.peer_accepts++;
    count_accept(s, f->flags, PEER_ACCEPT_NOT_MINE);
    answer_accept(l, f->id, true, PEER_ACCEPT_NOT_MINE, 0);
}

void replica_tick(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    while (!list_is_empty(&s->ahead)) {
        struct ahead *a = LIST_ENTRY(s->ahead.next, struct ahead, link);
        struct link *l = link_find(s, a->serial);
        if (now_ms < a->until_ms) return; /* those behind it are younger */
        if (l != NULL) refuse_ahead(s, l, a);
        ahead_free(s, a);
    }
}

/* ---- truncation ---- */

void replica_serve_floor(struct shard *s, struct link *l, const struct peer_frame *f) {
    struct peer_floor m;
    if (!status_ok(peer_floor_decode(f->payload, &m)) || m.keyspace >= RESERVED_KEYSPACES) {
        link_fail(l, "malformed floor");
        return;
    }
    if (s->engine == NULL || !hlc_is_lawful(m.floor.stamp, s->turn_wall_ms)) return;
    hlc_observe(&s->hlc, m.floor.stamp);
    if (ballot_compare(m.floor, engine_floor(s->engine, m.keyspace)) > 0)
        shard_truncate(s, m.keyspace, m.floor);
}

void shard_tell_floors(struct shard *s, struct link *l) {
    const uint16_t keyspace = 0; /* the only one there is */
    if (s->engine == NULL) return;
    const struct peer_floor m = { .keyspace = keyspace,
                                  .floor = engine_floor(s->engine, keyspace) };
    if (ballot_is_zero(m.floor)) return;
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_FLOOR, 0, 0, &begun);
    peer_floor_encode(&m, out);
    link_end(l, begun);
}
