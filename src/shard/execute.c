/* execute.c - what a shard does with requests for the keys it owns. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/admin_control.h"
#include "shard/catch_up.h"
#include "shard/forward.h"
#include "shard/inspect.h"
#include "shard/operation.h"
#include "shard/replica.h"
#include "shard/shard.h"
#include "shard/walk.h"

uint16_t shard_of_key(const struct node *n, struct bytes key) {
    if (n->shards_count == 1) return 0;
    return (uint16_t)(crc16_slot(key) % n->shards_count);
}

void shard_route(const struct node *n, struct plan *plan) {
    if (plan->kind != PLAN_REQUESTS || plan->requests[0].op > OP_SINGLE_KEY_END) return;
    for (uint32_t i = 0; i < plan->request_count; i++) {
        plan->requests[i].home = shard_of_key(n, plan->requests[i].key);
    }
}

/* ---- one key ---- */

void shard_count_read(struct shard *s, const struct request *q, const struct response *r) {
    if (q->op != OP_GET) return;
    if (r->outcome == OUT_NOT_FOUND)
        s->figures.misses++;
    else
        s->figures.hits++;
}

uint64_t shard_acknowledged(const struct shard *s) {
    return s->engine == NULL ? UINT64_MAX : engine_acknowledged(s->engine);
}

/* Under pressure writers get a shrinking share of what the disk may take, so that they
 * slow down before the engine must refuse them. */
#define WRITE_RATE_BYTES (64u * 1024 * 1024)
#define WRITE_RATE_BYTES_MIN (1u * 1024 * 1024)
#define WRITE_BURST_NS 10000000u
#define WRITE_DEBT_BURSTS 10

void shard_allow_writes(struct shard *s) {
    s->pressure_permille = s->engine == NULL ? 0 : engine_pressure_permille(s->engine);
    const uint64_t free_permille = 1000 - s->pressure_permille;
    const uint64_t rate =
        WRITE_RATE_BYTES_MIN + WRITE_RATE_BYTES / 1000 * free_permille / 1000 * free_permille;
    uint64_t passed_ns = s->turn_ns - s->allowance_ns;
    if (passed_ns > WRITE_BURST_NS) passed_ns = WRITE_BURST_NS;
    s->allowance_ns = s->turn_ns;
    s->write_allowance += (int64_t)(rate / 1000 * passed_ns / 1000000);
    const int64_t burst = (int64_t)(rate / 1000 * (WRITE_BURST_NS / 1000000));
    if (s->pressure_permille == 0 || s->write_allowance > burst) s->write_allowance = burst;
    /* One large value must not shut out the others for longer than they wait. */
    if (s->write_allowance < -WRITE_DEBT_BURSTS * burst)
        s->write_allowance = -WRITE_DEBT_BURSTS * burst;
}

static STATUS write_decision(struct shard *s, const struct request *q, struct bytes ikey,
                             const struct decision *d, struct response *r, uint64_t *ret_sequence) {
    if (s->pressure_permille > 0 && s->write_allowance < 0) return status_of(ST_BUSY);
    const struct record record = {
        .ikey = ikey,
        .ballot = { .stamp = shard_stamp(s),
                    .node = s->node->node_id,
                    .boot = s->node->boot_count },
        .flags = d->write == DECISION_DELETE ? RECORD_TOMBSTONE : 0,
        .expires_at_ms = d->expires_at_ms,
        .op = { .high = q->op_high, .low = q->op_low },
        .value = d->value,
    };
    const struct status st = engine_put(s->engine, &record, ret_sequence);
    if (status_ok(st)) {
        s->write_allowance -= (int64_t)(q->key.len + d->value.len);
        s->figures.put_bytes += q->key.len + d->value.len;
        if (q->op != OP_GET) r->version = record.ballot;
        if (d->write == DECISION_PUT && q->op != OP_GET) r->expires_at_ms = d->expires_at_ms;
        return st;
    }
    if (st.code == ST_BUSY) return st;
    r->outcome = st.code == ST_FULL ? OUT_DISK_FULL : OUT_CORRUPT;
    r->value = BYTES_NONE;
    return status_of(ST_OK);
}

/* That the key has. */
static uint32_t replicas_count(const struct shard *s, const struct request *q) {
    struct slot_places replicas;
    membership_replicas(s->members, crc16_slot(q->key), q->keyspace, &replicas);
    return replicas.list.count;
}

STATUS shard_operate(struct shard *s, const struct request *q, struct engine_read *read,
                     struct response *ret_response, uint64_t *ret_sequence) {
    ASSERT(q->op < OP_SINGLE_KEY_END);
    ASSERT(q->key.len >= KEY_BYTES_MIN);
    ASSERT(q->key.len <= KEY_BYTES_MAX);
    const struct bytes ikey = ikey_make(q->keyspace, q->key, s->ikey_space);
    const struct record *current = NULL;
    uint64_t sequence = 0;
    if (operation_needs_read(q)) {
        const struct status st = engine_get(s->engine, ikey, false, read);
        if (st.code == ST_WAIT) return st;
        if (!status_ok(st) && st.code != ST_NOT_FOUND) {
            *ret_response = (struct response){ .outcome = OUT_CORRUPT };
            *ret_sequence = 0;
            return status_of(ST_OK);
        }
        if (status_ok(st)) {
            sequence = read->sequence;
            hlc_observe(&s->hlc, read->record.ballot.stamp);
            if (operation_is_repeat(q, &read->record, ret_response)) {
                *ret_sequence = sequence;
                return status_of(ST_OK);
            }
            if (!record_is_absent(&read->record, s->turn_wall_ms)) current = &read->record;
        }
    }
    struct decision d;
    operation_decide(q, current, s->turn_wall_ms, s->node->value_bytes_max, &s->scratch, &d);
    if (d.write != DECISION_KEEP) TRY(write_decision(s, q, ikey, &d, &d.response, &sequence));
    if (shard_is_clustered(s)) {
        d.response.acks = d.response.needed = 1;
        d.response.replicas = (uint8_t)replicas_count(s, q);
    }
    *ret_response = d.response;
    *ret_sequence = sequence;
    shard_count_read(s, q, ret_response);
    return status_of(ST_OK);
}

/* ---- keys with a call that waits: later calls queue behind it ---- */

static uint64_t key_hash(const struct shard *s, const struct request *q) {
    return hash_seeded(q->key, s->key_seed + q->keyspace);
}

static bool same_key(const struct request *a, const struct request *b) {
    return a->keyspace == b->keyspace && bytes_equal(a->key, b->key);
}

/* The oldest parked call of this key. */
static struct call *parked_find(struct shard *s, const struct request *q, uint64_t hash) {
    struct list *bucket = &s->parked[hash % SHARD_PARK_BUCKETS];
    for (struct list *n = bucket->next; n != bucket; n = n->next) {
        struct call *c = LIST_ENTRY(n, struct call, parked);
        if (c->key_hash == hash && same_key(&c->request, q)) return c;
    }
    return NULL;
}

bool shard_key_is_parked(struct shard *s, const struct request *q) {
    if (s->parked_count == 0) return false;
    return parked_find(s, q, key_hash(s, q)) != NULL;
}

static bool is_parked(const struct call *c) {
    return !list_is_empty(&c->parked);
}

void shard_call_park(struct shard *s, struct call *c) {
    if (is_parked(c)) return;
    list_append(&s->parked[c->key_hash % SHARD_PARK_BUCKETS], &c->parked);
    s->parked_count++;
}

/* The call is finished: the next one for its key may run. */
static void unpark(struct shard *s, struct call *c) {
    if (!is_parked(c)) return;
    ASSERT(s->parked_count > 0);
    list_remove(&c->parked);
    s->parked_count--;
    struct call *next = parked_find(s, &c->request, c->key_hash);
    if (next == NULL || next->state != CALL_QUEUED) return;
    call_move(next, CALL_SENT, s->turn_ns);
    list_append(&s->runnable, &next->link);
}

/* ---- the life of a call at its home ---- */

static void call_answer(struct shard *s, struct call *c) {
    call_move(c, CALL_ANSWERED, s->turn_ns);
    if (c->origin == s->id)
        list_append(&s->answered, &c->link);
    else
        shard_send(s, c->origin, c);
}

/* An attempt at another node that was lost may have taken effect, so nobody may say that
 * nothing was done (R4). */
static void admit_doubt(struct call *c) {
    ASSERT(c->lost > 0);
    if (operation_only_reads(&c->request)) return;
    switch (c->response.outcome) {
    case OUT_QUORUM: c->response.untried = false; break;
    case OUT_BUSY:
    case OUT_DISK_FULL:
    case OUT_CORRUPT:
    case OUT_STOPPING:
    case OUT_CLOCK: c->response.outcome = OUT_TIMEOUT; break;
    default: break;
    }
}

void shard_call_finish(struct shard *s, struct call *c) {
    if (c->lost > 0) admit_doubt(c);
    if (s->engine != NULL) engine_read_deinit(s->engine, &c->read);
    if (c->walk != NULL) walk_let_go(c->walk, s->node->cache);
    unpark(s, c);
    if (c->sequence <= shard_acknowledged(s)) {
        call_answer(s, c);
        return;
    }
    call_move(c, CALL_HELD, s->turn_ns);
    list_append(&s->held, &c->link);
}

void shard_call_fail(struct shard *s, struct call *c, enum outcome outcome) {
    c->response = (struct response){ .outcome = outcome };
    c->sequence = 0;
    shard_call_finish(s, c);
}

static void fetch_run(struct os_job *job) {
    struct call *c = LIST_ENTRY(job, struct call, fetch);
    c->fetched = table_fetch_block(&c->read.fetch, &c->read.fetched);
}

static void fetch_done(struct os_job *job) {
    struct call *c = LIST_ENTRY(job, struct call, fetch);
    struct shard *s = c->shard;
    call_move(c, CALL_SENT, s->turn_ns);
    if (c->walk != NULL && status_ok(c->fetched)) {
        walk_fetched(c->walk, c->read.fetched);
        c->read.fetched = (struct cache_block){ 0 };
    }
    if (status_ok(c->fetched)) {
        list_append(&s->runnable, &c->link);
        return;
    }
    s->fetches_failed++;
    shard_call_fail(s, c, OUT_CORRUPT);
}

void shard_call_fetch(struct shard *s, struct call *c) {
    call_move(c, CALL_FETCHING, s->turn_ns);
    c->shard = s;
    c->fetch = (struct os_job){ .loop = s->loop, .run = fetch_run, .done = fetch_done };
    os_pool_submit(s->node->pool, OS_JOB_READ, &c->fetch);
}

/* The answer's bytes belong to the engine or to scratch: keep them with the call. */
void shard_call_keep_value(struct call *c) {
    const struct bytes value = c->response.value;
    ASSERT(c->value_copy == NULL);
    if (value.len == 0 || (c->request.flags & REQUEST_NO_VALUE) != 0) {
        c->response.value = BYTES_NONE;
        return;
    }
    c->value_copy = mem_alloc(value.len);
    memcpy(c->value_copy, value.ptr, value.len);
    c->response.value = bytes_of(c->value_copy, value.len);
}

void shard_call_stall(struct shard *s, struct call *c) {
    shard_call_park(s, c);
    if (s->turn_ns >= c->deadline_ns || shard_is_past_drain(s)) {
        s->figures.busy_refused++;
        shard_call_fail(s, c, OUT_BUSY);
        return;
    }
    if (c->state != CALL_SENT) call_move(c, CALL_SENT, s->turn_ns);
    call_move(c, CALL_STALLED, s->turn_ns);
    list_append(&s->stalled, &c->link);
}

static void call_try(struct shard *s, struct call *c) {
    ASSERT(c->state == CALL_SENT);
    if ((c->request.flags & REQUEST_REPLICAS) != 0) {
        inspect_begin(s, c);
        return;
    }
    if (!shard_may_answer_alone(s, &c->request)) {
        if (!status_ok(coordinate_call(s, c))) shard_call_stall(s, c);
        return;
    }
    const struct status st = shard_operate(s, &c->request, &c->read, &c->response, &c->sequence);
    if (status_ok(st)) {
        shard_call_keep_value(c);
        shard_call_finish(s, c);
        return;
    }
    shard_call_park(s, c);
    if (st.code == ST_WAIT) {
        shard_call_fetch(s, c);
        return;
    }
    ASSERT(st.code == ST_BUSY);
    engine_read_deinit(s->engine, &c->read);
    shard_call_stall(s, c);
}

/* ---- TRUNCATE: answered when its floor is durable, or when its time is up ---- */

struct truncation {
    struct list link; /* in the shard's truncations while `call` is not answered */
    struct shard *shard;
    struct call *call; /* NULL: answered, or nobody asked */
};

static void truncation_answer(struct truncation *t, enum outcome outcome) {
    struct call *c = t->call;
    list_remove(&t->link);
    t->call = NULL;
    c->response = (struct response){ .outcome = outcome };
    c->sequence = 0;
    shard_call_finish(t->shard, c);
}

static void truncate_done(void *user, struct status st) {
    struct truncation *t = user;
    if (t->call != NULL) truncation_answer(t, status_ok(st) ? OUT_OK : OUT_DISK_FULL);
    mem_free(t);
}

static void truncate_with(struct shard *s, uint16_t keyspace, struct ballot floor, struct call *c) {
    struct truncation *t = mem_alloc_zeroed(sizeof *t);
    t->shard = s;
    t->call = c;
    list_init(&t->link);
    if (c != NULL) list_append(&s->truncations, &t->link);
    s->turn_again = true;
    engine_truncate(s->engine, keyspace, floor, truncate_done, t);
}

void shard_truncate(struct shard *s, uint16_t keyspace, struct ballot floor) {
    truncate_with(s, keyspace, floor, NULL);
}

/* Whether range requests are shown all that is stored here. */
static bool hides_nothing(const struct shard *s) {
    return s->keeps_all && catch_up_hidden_before(s) == 0;
}

/* The asker counts on slots by another view than this shard has. If it is behind, they may not be
 * kept here any more: its answer would lack their keys, or count for what it is not about. If it is
 * ahead, they may be kept here in full while what is stored of them would be hidden, or the other
 * way round. It makes its parts anew, by the view that is known here or when its own is. */
static bool part_is_of_another_view(struct shard *s, struct call *c) {
    const uint64_t epoch = c->request.epoch;
    const bool ahead = epoch > s->members->epoch;
    if (ahead) shard_news_wanted(s);
    if (epoch == 0 || epoch == s->members->epoch || MUTANT("fence_ignored")) return false;
    if (ahead && c->request.op == OP_TRUNCATE) return false;
    c->response = (struct response){ .outcome = OUT_QUORUM, .untried = true };
    c->sequence = 0;
    shard_call_finish(s, c);
    return true;
}

/* Above all that is stored here, and the present time by this clock. */
static void tell_stamp(struct shard *s, struct call *c) {
    const struct ballot now = { .stamp = shard_stamp(s),
                                .node = s->node->node_id,
                                .boot = s->node->boot_count };
    c->response = (struct response){ .outcome = OUT_OK, .version = now };
    c->sequence = 0;
    shard_call_finish(s, c);
}

/* All shards take the floor that the shard that was asked chose, once they have told it their
 * clocks. */
static void truncate_begin(struct shard *s, struct call *c) {
    const struct ballot floor = c->request.stamp;
    if (part_is_of_another_view(s, c)) return;
    if (ballot_is_zero(floor)) {
        tell_stamp(s, c);
        return;
    }
    if (!s->alone && !hlc_is_lawful(floor.stamp, s->turn_wall_ms)) {
        shard_call_fail(s, c, OUT_CLOCK);
        return;
    }
    hlc_observe(&s->hlc, floor.stamp);
    truncate_with(s, c->request.keyspace, floor, c);
}

/* On a full disk a floor cannot be made durable; it stays asked for. */
void shard_truncations_expire(struct shard *s) {
    for (struct list *n = s->truncations.next, *next; n != &s->truncations; n = next) {
        struct truncation *t = LIST_ENTRY(n, struct truncation, link);
        next = n->next;
        if (s->turn_ns < t->call->deadline_ns && !shard_is_past_drain(s)) continue;
        s->figures.timeouts++;
        truncation_answer(t, OUT_TIMEOUT);
    }
}

static void call_walk(struct shard *s, struct call *c) {
    ASSERT(c->state == CALL_SENT);
    if (shard_is_past_drain(s)) {
        shard_call_fail(s, c, OUT_STOPPING);
        return;
    }
    if (part_is_of_another_view(s, c)) return;
    /* What is not filled yet may not speak for what it should hold (R11). */
    if (!replica_may_tell_all(s)) {
        shard_call_fail(s, c, OUT_QUORUM);
        return;
    }
    if (c->walk == NULL) c->walk = walk_create(++s->random * 0x9E3779B97F4A7C15ULL | 1);
    walk_keeps(c->walk, hides_nothing(s) ? NULL : s->members, catch_up_hidden_before(s));
    const struct status st = walk_slice(c->walk, s->engine, s->node->cache, &c->request,
                                        s->turn_wall_ms, s->ikey_space, &c->read.fetch);
    if (st.code == ST_WAIT) {
        shard_call_fetch(s, c);
        return;
    }
    if (st.code == ST_BUSY) {
        call_move(c, CALL_SCANNING, s->turn_ns);
        list_append(&s->scanning, &c->link);
        return;
    }
    struct walk *w = c->walk;
    c->response = (struct response){ .outcome = status_ok(st) ? OUT_OK : OUT_CORRUPT };
    c->sequence = w->sequence;
    if (c->request.op == OP_SCAN) c->response.page = &w->page;
    if (c->request.op == OP_RANDOM_KEY) {
        if (w->page.count == 0)
            c->response.outcome = OUT_NOT_FOUND;
        else
            c->response.value = w->page.rows[0].key;
    }
    shard_call_finish(s, c);
}

static void tell_figures(struct shard *s, struct call *c) {
    struct buffer text;
    buffer_init(&text, VALUE_BYTES_MAX);
    shard_node_view(s, NULL, &s->view);
    http_figures_append(&text, &s->view);
    c->response = (struct response){ .outcome = OUT_OK, .value = buffer_bytes(&text) };
    c->response.value_len = c->response.value.len;
    c->sequence = 0;
    shard_call_keep_value(c);
    buffer_deinit(&text);
    shard_call_finish(s, c);
}

void shard_call_begin(struct shard *s, struct call *c) {
    ASSERT(c->home == s->id);
    ASSERT(c->state == CALL_SENT);
    list_init(&c->parked);
    list_init(&c->link);
    c->deadline_ns = s->turn_ns + (uint64_t)s->node->write_wait_ms * 1000000;
    if (c->admin != NULL) {
        admin_control_begin(s, c);
        return;
    }
    if (c->member != MEMBER_NONE) {
        forward_part(s, c);
        return;
    }
    if (c->request.op == OP_TRUNCATE) {
        truncate_begin(s, c);
        return;
    }
    if (c->request.op == OP_FIGURES) {
        tell_figures(s, c);
        return;
    }
    if (c->request.op > OP_SINGLE_KEY_END) {
        call_move(c, CALL_SCANNING, s->turn_ns);
        list_append(&s->scanning, &c->link);
        return;
    }
    c->key_hash = key_hash(s, &c->request);
    if (s->parked_count > 0 && parked_find(s, &c->request, c->key_hash) != NULL) {
        shard_call_park(s, c);
        call_move(c, CALL_QUEUED, s->turn_ns);
        return;
    }
    call_try(s, c);
}

static void resume_stalled(struct shard *s) {
    /* Once around at most: the first that is refused again ends it, but for those
     * whose time is up. */
    struct list again;
    list_init(&again);
    while (!list_is_empty(&s->stalled)) list_append(&again, list_take_first(&s->stalled));
    bool refused = false;
    for (struct list *n = list_take_first(&again); n != NULL; n = list_take_first(&again)) {
        struct call *c = LIST_ENTRY(n, struct call, link);
        if (refused && s->turn_ns < c->deadline_ns && !shard_is_past_drain(s)) {
            list_append(&s->stalled, &c->link);
            continue;
        }
        s->figures.stall_ns += s->turn_ns - c->since_ns;
        call_move(c, CALL_SENT, s->turn_ns);
        call_try(s, c);
        refused = refused || c->state == CALL_STALLED;
    }
}

void shard_calls_resume(struct shard *s) {
    struct list walks;
    list_init(&walks);
    while (!list_is_empty(&s->scanning)) list_append(&walks, list_take_first(&s->scanning));
    for (struct list *n = list_take_first(&walks); n != NULL; n = list_take_first(&walks)) {
        struct call *c = LIST_ENTRY(n, struct call, link);
        call_move(c, CALL_SENT, s->turn_ns);
        call_walk(s, c);
    }
    if (!list_is_empty(&s->stalled)) resume_stalled(s);
    for (struct list *n = list_take_first(&s->runnable); n != NULL;
         n = list_take_first(&s->runnable)) {
        struct call *c = LIST_ENTRY(n, struct call, link);
        if (c->request.op > OP_SINGLE_KEY_END)
            call_walk(s, c);
        else
            call_try(s, c);
    }
}

void shard_calls_release(struct shard *s) {
    const uint64_t acknowledged = shard_acknowledged(s);
    while (!list_is_empty(&s->held)) {
        struct call *c = LIST_ENTRY(s->held.next, struct call, link);
        if (c->sequence > acknowledged) break;
        list_remove(&c->link);
        call_answer(s, c);
    }
}

void shard_calls_answer(struct shard *s) {
    for (struct list *n = list_take_first(&s->answered); n != NULL;
         n = list_take_first(&s->answered)) {
        struct call *c = LIST_ENTRY(n, struct call, link);
        if (c->task == NULL)
            guest_answered(s, c);
        else
            task_call_answered(s, c);
    }
}
