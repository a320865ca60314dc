#include "shard/task.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shard/admin_judge.h"
#include "shard/coordinate_internal.h"
#include "shard/operation.h"
#include "shard/replica.h"
#include "shard/shard.h"
#include "shard/task_internal.h"
#include "shard/walk.h"

/* Most commands and replies fit; kept by a task between uses. */
#define TASK_CHUNK_BYTES 1024u
#define TASK_REPLY_KEEP_BYTES 1024u
/* Answers to one command, all of its requests together. */
#define TASK_ANSWER_BYTES_MAX (64u * 1024 * 1024)
#define TASK_SMALL_ANSWER_BYTES 4096u
#define TASK_CALLS_AWAY_FIRST 16u
#define TASK_CALLS_AWAY_MAX 1024u
/* Rows up to this size are gathered whatever others hold: a page or two of each shard. */
#define TASK_ROWS_FREE_BYTES (4u * 1024 * 1024)
/* Commands up to this size may wait whatever others hold. */
#define TASK_FREE_BYTES 4096u
/* RESP gathers a whole scan before it can answer: what KEYS may cost at most. */
#define TASK_ROWS_MAX (1024u * 1024)
/* RANDOMKEY wants one key; the next few may be deleted. */
#define TASK_RANDOM_ROWS 64u

static const uint8_t class_of_operation[] = {
    [OP_GET] = OP_CLASS_READ,         [OP_PUT] = OP_CLASS_WRITE,    [OP_DELETE] = OP_CLASS_DELETE,
    [OP_EXPIRE] = OP_CLASS_WRITE,     [OP_APPEND] = OP_CLASS_WRITE, [OP_INCR] = OP_CLASS_WRITE,
    [OP_INCR_FLOAT] = OP_CLASS_WRITE, [OP_SCAN] = OP_CLASS_SCAN,    [OP_RANDOM_KEY] = OP_CLASS_SCAN,
    [OP_TRUNCATE] = OP_CLASS_DELETE,  [OP_FIGURES] = OP_CLASS_SCAN,
};

static const uint8_t class_of_level[] = {
    [LEVEL_ONE] = LEVEL_CLASS_ONE,
    [LEVEL_QUORUM] = LEVEL_CLASS_QUORUM,
    [LEVEL_ALL] = LEVEL_CLASS_ALL,
    [LEVEL_COUNT] = LEVEL_CLASS_NUMBER,
};

/* What the configured number of replicas amounts to. */
static enum level_class level_of_default(const struct shard *s, enum operation op) {
    if (s->alone || s->members->epoch == 0) return LEVEL_CLASS_QUORUM;
    const uint32_t wanted = membership_replication(s->members, KEYSPACE_DEFAULT).replicas;
    const uint32_t copies = wanted < s->members->count ? wanted : s->members->count;
    const struct request q = { .op = op, .level = LEVEL_DEFAULT };
    const enum round_kind kind = operation_only_reads(&q) ? ROUND_READ : ROUND_WRITE;
    const uint8_t need = shard_need(s, &q, kind, copies);
    if (need == membership_majority(copies)) return LEVEL_CLASS_QUORUM;
    if (need == copies) return LEVEL_CLASS_ALL;
    return need == 1 ? LEVEL_CLASS_ONE : LEVEL_CLASS_NUMBER;
}

void shard_kinds_init(struct shard *s) {
    for (uint32_t op = 0; op < SHARD_OPERATIONS; op++) {
        const enum op_class class = (enum op_class)class_of_operation[op];
        s->kinds[op][LEVEL_DEFAULT] =
            (uint8_t)op_kind(class, level_of_default(s, (enum operation)op));
        for (uint32_t level = LEVEL_ONE; level < SHARD_LEVELS; level++)
            s->kinds[op][level] = (uint8_t)op_kind(class, (enum level_class)class_of_level[level]);
    }
}

static uint32_t kind_of(const struct shard *s, const struct plan *plan) {
    const struct request *q = &plan->requests[0];
    const uint32_t kind = s->kinds[q->op][q->level];
    if (plan->kind == PLAN_SCAN) return op_kind(OP_CLASS_SCAN, op_kind_level(kind));
    return plan->request_count > 1 ? op_kind(OP_CLASS_BATCH, op_kind_level(kind)) : kind;
}

static bool outcome_is_error(enum outcome o) {
    return o == OUT_BUSY || o == OUT_DISK_FULL || o == OUT_CORRUPT || o == OUT_TIMEOUT ||
           o == OUT_QUORUM;
}

void shard_count_outcome(struct shard *s, const struct response *r) {
    if (outcome_is_error(r->outcome)) s->figures.errors++;
    if (r->outcome == OUT_TIMEOUT) s->figures.timeouts++;
}

static void request_copy(struct arena *a, struct request *q) {
    q->key = arena_copy(a, q->key);
    q->value = arena_copy(a, q->value);
    q->expected = arena_copy(a, q->expected);
    q->start = arena_copy(a, q->start);
    q->end = arena_copy(a, q->end);
    q->prefix = arena_copy(a, q->prefix);
    q->pattern = arena_copy(a, q->pattern);
}

static bool is_for_all_shards(const struct plan *plan) {
    return plan->kind == PLAN_SCAN || plan->requests[0].op > OP_SINGLE_KEY_END;
}

static void task_hold(struct shard *s, struct task *t, size_t bytes) {
    t->held_bytes += bytes;
    s->tasks_held += bytes;
}

bool task_fits(const struct shard *s, const struct plan *plan) {
    size_t bytes = plan->request_count * sizeof(struct call);
    for (uint32_t i = 0; i < plan->request_count; i++) {
        bytes += plan->requests[i].key.len + plan->requests[i].value.len;
    }
    return bytes <= TASK_FREE_BYTES ||
           s->tasks_held + s->output_held + bytes <= s->node->input_bytes_max;
}

static void call_init(struct shard *s, struct task *t, struct call *c, const struct request *q,
                      uint16_t home) {
    *c = (struct call){
        .task = t, .origin = s->id, .home = home, .member = MEMBER_NONE, .last_member = MEMBER_NONE
    };
    list_init(&c->link);
    list_init(&c->parked);
    c->request = *q;
}

/* One call to shard 0, where the control plane is. */
static void admin_init(struct shard *s, struct task *t, const struct admin_request *q) {
    const struct request none = { .op = OP_GET };
    t->calls = &t->one;
    t->calls_count = 1;
    call_init(s, t, &t->one, &none, 0);
    t->one.admin = admin_work_create(q);
    task_hold(s, t, sizeof *t->one.admin);
}

/* Whether this node's own shards have a part in range requests. */
static bool has_own_part(const struct shard *s, const struct request *q) {
    if (s->engine == NULL || s->members->self == MEMBER_NONE) return false;
    return q->op == OP_FIGURES || replica_may_tell_all(s);
}

/* A shard knows the figures of its whole node. */
static uint32_t parts_of(const struct request *q, uint32_t shards) {
    return q->op == OP_FIGURES && shards > 1 ? 1 : shards;
}

static uint32_t parts_count(const struct shard *s, const struct request *q) {
    const struct membership *m = s->members;
    uint32_t count = has_own_part(s, q) ? parts_of(q, s->node->shards_count) : 0;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (peer_is_alive(s, i)) count += parts_of(q, s->peers[i]->shards);
    }
    return count;
}

/* What the parts of a range request have to know of the cluster. */
static struct request part_of(const struct shard *s, const struct request *whole) {
    struct request q = *whole;
    q.epoch = s->alone ? 0 : s->members->epoch;
    if (!s->alone) q.flags |= REQUEST_ABSENT;
    return q;
}

/* One call for each shard of each live node. */
static void parts_init(struct shard *s, struct task *t, const struct request *whole) {
    const struct membership *m = s->members;
    const struct request q = part_of(s, whole);
    uint32_t count = 0;
    const uint32_t own = has_own_part(s, whole) ? parts_of(whole, s->node->shards_count) : 0;
    t->epoch = m->epoch;
    t->members_asked = t->members_failed = (struct place_set){ { 0 } };
    for (uint32_t i = 0; i < own; i++) {
        struct call *c = &t->calls[count++];
        call_init(s, t, c, &q, (uint16_t)i);
        c->of_shards = (uint16_t)s->node->shards_count;
    }
    if (own > 0) place_set_add(&t->members_asked, m->self);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (!peer_is_alive(s, i)) continue;
        place_set_add(&t->members_asked, i);
        for (uint32_t k = 0; k < parts_of(whole, s->peers[i]->shards); k++) {
            struct call *c = &t->calls[count++];
            call_init(s, t, c, &q, (uint16_t)(k % s->node->shards_count));
            c->member = membership_member(m, i)->id;
            c->remote_shard = (uint16_t)k;
            c->of_shards = s->peers[i]->shards;
        }
    }
    ASSERT(count == t->calls_count);
}

/* Range requests see all shards, and the effect of all commands before them. */
static void calls_init(struct shard *s, struct task *t, const struct plan *plan) {
    t->barrier = is_for_all_shards(plan);
    t->calls_count = t->barrier ? parts_count(s, &plan->requests[0]) : plan->request_count;
    t->calls = t->calls_count == 1 ? &t->one : mem_alloc(t->calls_count * sizeof *t->calls);
    if (t->barrier) {
        struct request whole = plan->requests[0];
        request_copy(&t->arena, &whole); /* once: nobody writes to what the parts share */
        parts_init(s, t, &whole);
    } else {
        for (uint32_t i = 0; i < t->calls_count; i++) {
            call_init(s, t, &t->calls[i], &plan->requests[i], plan->requests[i].home);
            request_copy(&t->arena, &t->calls[i].request);
        }
    }
    if (t->calls_count == 0) return; /* a proxy that reaches nobody */
    t->plan.requests = &t->calls[0].request;
    task_hold(s, t, t->calls_count * sizeof *t->calls + t->arena.reserved_bytes);
}

/* Who keeps which slots has changed since the parts were made: what they say together may lack keys.
 * Pages that were merged before are whole. */
static bool is_outdated(const struct shard *s, const struct task *t) {
    return t->barrier && t->epoch != s->members->epoch;
}

/* Make the parts anew under the present view. False: there is nobody to ask. */
static bool parts_renew(struct shard *s, struct task *t) {
    ASSERT(t->barrier);
    ASSERT(t->calls_pending == 0);
    const struct request whole = t->plan.requests[0];
    const size_t bytes = t->calls_count * sizeof *t->calls;
    for (uint32_t i = 0; i < t->calls_count; i++) shard_call_clear(&t->calls[i]);
    if (t->calls != &t->one) mem_free(t->calls);
    ASSERT(t->held_bytes >= bytes);
    t->held_bytes -= bytes;
    s->tasks_held -= bytes;
    t->calls_count = parts_count(s, &whole);
    t->calls_sent = 0;
    t->calls = t->calls_count == 1 ? &t->one : mem_alloc(t->calls_count * sizeof *t->calls);
    parts_init(s, t, &whole);
    task_hold(s, t, t->calls_count * sizeof *t->calls);
    if (t->calls_count == 0) t->one.request = whole;
    t->plan.requests = t->calls_count == 0 ? &t->one.request : &t->calls[0].request;
    return t->calls_count > 0;
}

void task_init(struct task *t) {
    memset(t, 0, sizeof *t);
    list_init(&t->link);
    list_init(&t->again);
    arena_init(&t->arena, TASK_CHUNK_BYTES);
    buffer_init(&t->reply, SIZE_MAX / 2);
    buffer_init(&t->resume, KEY_BYTES_MAX);
}

void task_deinit(struct task *t) {
    arena_deinit(&t->arena);
    buffer_deinit(&t->reply);
    buffer_deinit(&t->resume);
}

static struct task *free_task(struct shard *s) {
    struct list *node = list_take_first(&s->tasks_free);
    if (node != NULL) return LIST_ENTRY(node, struct task, link);
    if (s->tasks_begun == SHARD_TASKS_MAX) return NULL;
    struct task *t = &s->tasks[s->tasks_begun++];
    task_init(t);
    return t;
}

struct task *task_take(struct shard *s, struct connection *c, const struct plan *plan) {
    struct task *t = free_task(s);
    if (t == NULL) return NULL;
    s->tasks_used++;
    t->connection = c;
    t->plan = *plan;
    t->started_ns = s->turn_ns;
    t->kind = OP_KINDS;
    t->parse_us = s->parse_us;
    t->last_member = MEMBER_NONE;
    ASSERT(t->calls == NULL);
    ASSERT(t->rows == NULL);
    t->plan.detail = arena_copy(&t->arena, plan->detail);
    t->plan.admin = NULL; /* the session has another by then */
    t->plan.keyspace = BYTES_NONE;
    if (plan->kind == PLAN_REPLIED || plan->kind == PLAN_NODE) {
        t->started = t->finished = true;
        return t;
    }
    if (plan->kind == PLAN_ADMIN) {
        admin_init(s, t, plan->admin);
        return t;
    }
    if (plan->requests[0].op != OP_FIGURES) t->kind = kind_of(s, plan);
    calls_init(s, t, plan);
    return t;
}

void shard_call_clear(struct call *c) {
    walk_destroy(c->walk);
    admin_work_destroy(c->admin);
    mem_free(c->value_copy);
    mem_free(c->page);
    c->walk = NULL;
    c->admin = NULL;
    c->value_copy = NULL;
    c->page = NULL;
    c->response.page = NULL;
    c->response.value = BYTES_NONE;
}

void task_release(struct shard *s, struct task *t) {
    ASSERT(t->calls_pending == 0);
    ASSERT(s->tasks_used > 0);
    ASSERT(list_is_empty(&t->again));
    for (uint32_t i = 0; i < t->calls_count; i++) shard_call_clear(&t->calls[i]);
    if (t->calls != &t->one) mem_free(t->calls);
    mem_free(t->rows);
    ASSERT(s->tasks_held >= t->held_bytes);
    s->tasks_held -= t->held_bytes;
    t->calls = NULL;
    t->rows = NULL;
    t->held_bytes = t->rows_bytes = t->answer_bytes = 0;
    t->calls_sent = t->calls_count = t->rows_count = t->rows_capacity = t->rounds_left = 0;
    t->rows_emitted = t->sequence = 0;
    t->members_asked = t->members_failed = (struct place_set){ { 0 } };
    t->again_until_ms = 0;
    t->finished_ns = t->paused_ns = t->note = 0;
    t->send_us = 0;
    memset(t->spent_us, 0, sizeof t->spent_us);
    t->unsent = t->barrier = t->started = t->finished = t->begun = t->wraps = false;
    arena_reset(&t->arena);
    buffer_shrink(&t->reply, TASK_REPLY_KEEP_BYTES);
    buffer_shrink(&t->resume, 0);
    list_remove(&t->link);
    list_prepend(&s->tasks_free, &t->link); /* its memory is still in the cache */
    s->tasks_used--;
}

/* Send further calls, as many as may be away at once: answers of a few are kept in memory
 * before anybody knows that they are large. */
static void calls_send(struct shard *s, struct task *t) {
    const uint32_t answered = t->calls_sent - t->calls_pending;
    const bool small = answered > 0 && t->answer_bytes / answered < TASK_SMALL_ANSWER_BYTES;
    const uint32_t away_max = small ? TASK_CALLS_AWAY_MAX : TASK_CALLS_AWAY_FIRST;
    while (t->calls_sent < t->calls_count && (t->barrier || t->calls_pending < away_max)) {
        struct call *c = &t->calls[t->calls_sent++];
        t->calls_pending++;
        call_move(c, CALL_SENT, s->turn_ns);
        if (c->home == s->id)
            shard_call_begin(s, c);
        else
            shard_send(s, c->home, c);
    }
}

/* ---- PLAN_SCAN: rounds of one page from every shard, merged ---- */

static void encode_outcome(struct task *t, enum outcome outcome) {
    if (t->connection->protocol == PROTOCOL_RESP)
        resp_encode_outcome(&t->plan, outcome, &t->reply);
    else
        http_encode_outcome(&t->plan, outcome, t->begun, &t->reply);
}

static void fail(struct task *t, enum outcome outcome) {
    t->finished = true;
    encode_outcome(t, outcome);
}

/* Too few parts were answered, or there are none. */
static void fail_for_parts(struct shard *s, struct task *t, enum outcome failure) {
    task_parts_failed(s, &failure);
    fail(t, failure);
}

static void scan_round(struct shard *s, struct task *t) {
    if (is_outdated(s, t) && !parts_renew(s, t)) {
        fail_for_parts(s, t, OUT_QUORUM);
        return;
    }
    for (uint32_t i = 0; i < t->calls_count; i++) {
        struct call *c = &t->calls[i];
        struct walk *w = c->walk;
        c->walk = NULL;
        shard_call_clear(c);
        if (w != NULL) walk_next_page(w);
        c->walk = w;
        c->merged = 0;
        if (buffer_len(&t->resume) == 0) continue;
        c->request.start = buffer_bytes(&t->resume);
        c->request.start_exclusive = true;
    }
    t->calls_sent = 0;
    calls_send(s, t);
}

static void scan_start(struct shard *s, struct task *t) {
    const uint32_t examined = t->plan.rows_examined;
    uint32_t rows_max = t->plan.rows_wanted;
    if (examined != 0) {
        t->rounds_left = (examined + ROW_PAGE_ROWS_MAX - 1) / ROW_PAGE_ROWS_MAX;
        rows_max = examined;
    }
    if (rows_max == 0 || rows_max > ROW_PAGE_ROWS_MAX) rows_max = ROW_PAGE_ROWS_MAX;
    for (uint32_t i = 0; i < t->calls_count; i++) t->calls[i].request.rows_max = rows_max;
    const uint64_t cursor = t->plan.scan_cursor;
    if (t->plan.scan_by_cursor && cursor != 0 &&
        !scan_cursors_find(&s->node->cursors, cursor, &t->resume)) {
        fail(t, OUT_BAD_CURSOR);
        return;
    }
    scan_round(s, t);
}

static void rows_push(struct task *t, const struct row *row) {
    if (t->rows_count == t->rows_capacity) {
        t->rows_capacity = t->rows_capacity == 0 ? 64 : t->rows_capacity * 2;
        t->rows = mem_realloc(t->rows, t->rows_capacity * sizeof *t->rows);
    }
    t->rows[t->rows_count++] = *row;
}

/* RESP keeps all rows until the last; HTTP sends those of a round at its end; of a count
 * nothing is kept. */
static bool scan_emit(struct task *t, const struct row *row) {
    t->rows_emitted++;
    if (t->plan.scan_counts) return true;
    if (t->connection->protocol == PROTOCOL_HTTP) {
        rows_push(t, row);
        return true;
    }
    if (t->rows_count == TASK_ROWS_MAX || t->arena.reserved_bytes > TASK_ANSWER_BYTES_MAX)
        return false;
    struct row copy = *row;
    copy.key = arena_copy(&t->arena, row->key);
    copy.value = arena_copy(&t->arena, row->value);
    rows_push(t, &copy);
    return true;
}

static void scan_send_rows(struct task *t) {
    struct connection *c = t->connection;
    if (c->protocol != PROTOCOL_HTTP || t->rows_count == 0) return;
    http_encode_scan_rows(&t->plan, t->rows, t->rows_count, t->rows_emitted == t->rows_count,
                          &c->out);
    t->rows_count = 0;
}

static void scan_end(struct shard *s, struct task *t, bool more) {
    struct connection *c = t->connection;
    const struct bytes resume = more ? buffer_bytes(&t->resume) : BYTES_NONE;
    scan_send_rows(t);
    t->finished = true;
    if (c->protocol == PROTOCOL_RESP) {
        const uint64_t cursor =
            more && t->plan.scan_by_cursor ? scan_cursors_save(&s->node->cursors, resume) : 0;
        ASSERT(t->plan.scan_counts || t->rows_count == t->rows_emitted);
        resp_encode_scan(&t->plan, t->rows, t->rows_emitted, cursor, &t->reply);
    } else {
        http_encode_scan_end(&t->plan, more, resume, &t->reply);
    }
}

static void scan_wrap(struct task *t) {
    t->wraps = false;
    buffer_reset(&t->resume);
    for (uint32_t i = 0; i < t->calls_count; i++) {
        t->calls[i].request.start = BYTES_NONE;
        t->calls[i].request.start_exclusive = false;
    }
}

/* Every shard gave its page. True: another round is wanted. */
static bool scan_merge(struct shard *s, struct task *t) {
    const struct task_merge m = task_merge_begin(t);
    const uint32_t wanted = t->plan.rows_wanted;
    if (!t->begun && t->connection->protocol == PROTOCOL_HTTP)
        http_encode_scan_begin(&t->plan, &t->connection->out);
    t->begun = true;
    for (const struct row *row; (row = task_merge_next(t, &m)) != NULL;) {
        if (!scan_emit(t, row)) {
            fail(t, OUT_TOO_MANY);
            return false;
        }
        if (wanted == 0 || t->rows_emitted < wanted) continue;
        buffer_reset(&t->resume);
        buffer_append(&t->resume, row->key);
        scan_end(s, t, m.more || task_merge_next(t, &m) != NULL);
        return false;
    }
    if (!m.more && t->wraps) {
        scan_wrap(t);
        return true;
    }
    if (!m.more) {
        scan_end(s, t, false);
        return false;
    }
    scan_send_rows(t);
    buffer_reset(&t->resume);
    buffer_append(&t->resume, m.bound);
    if (t->rounds_left > 0 && --t->rounds_left == 0) {
        scan_end(s, t, true);
        return false;
    }
    return true;
}

void task_scan_go_on(struct shard *s, struct task *t) {
    ASSERT(t->plan.kind == PLAN_SCAN);
    ASSERT(t->calls_pending == 0);
    if (t->paused_ns != 0) t->send_us += (uint32_t)((s->turn_ns - t->paused_ns) / 1000);
    t->paused_ns = 0;
    if (!t->finished && t->started) scan_round(s, t);
}

/* Count what was gathered so far; false if others hold so much that it must stop here. */
static bool scan_rows_fit(struct shard *s, struct task *t) {
    const size_t bytes = t->arena.reserved_bytes + t->rows_capacity * sizeof *t->rows;
    if (bytes > t->rows_bytes) task_hold(s, t, bytes - t->rows_bytes);
    if (bytes > t->rows_bytes) t->rows_bytes = bytes;
    return bytes <= TASK_ROWS_FREE_BYTES || s->tasks_held <= s->node->input_bytes_max;
}

static void scan_answered(struct shard *s, struct task *t) {
    enum outcome failure = OUT_OK;
    if (is_outdated(s, t)) {
        scan_round(s, t);
        return;
    }
    if (!task_drop_failed_parts(s, t, &failure)) {
        if (task_parts_later(s, t)) return;
        fail_for_parts(s, t, failure);
        return;
    }
    t->again_until_ms = 0;
    if (!scan_merge(s, t)) return;
    if (!scan_rows_fit(s, t)) {
        s->figures.busy_refused++;
        fail(t, OUT_BUSY);
        return;
    }
    /* A slow reader pauses its scan; the connection asks to go on when there is room. */
    if (buffer_len(&t->connection->out) < CONNECTION_OUT_PAUSE)
        scan_round(s, t);
    else
        t->paused_ns = s->turn_ns;
}

/* ---- PLAN_REQUESTS ---- */

/* One answer for all shards: any random key, the first failure. */
static void merge_all_shards(struct shard *s, struct task *t) {
    struct response *first = &t->calls[0].response;
    for (uint32_t i = 1; i < t->calls_count; i++) {
        const struct response *r = &t->calls[i].response;
        const bool was_absent = first->outcome == OUT_NOT_FOUND;
        if (r->outcome == OUT_NOT_FOUND) continue;
        if (r->outcome != OUT_OK || was_absent) {
            *first = *r;
            continue;
        }
        if (first->outcome != OUT_OK) continue;
        if (t->plan.requests[0].op == OP_RANDOM_KEY && (s->random++ & 1) != 0)
            first->value = r->value;
    }
}

/* The shard that chose the key may have missed its delete. So it is only where a scan begins,
 * which gives the first key from there on that the replicas together still have. */
static bool random_scan(struct shard *s, struct task *t) {
    const struct response *chosen = &t->calls[0].response;
    if (t->plan.requests[0].op != OP_RANDOM_KEY || !shard_is_clustered(s)) return false;
    if (chosen->outcome != OUT_OK) return false;
    ASSERT(t->connection->protocol == PROTOCOL_RESP);
    ASSERT(buffer_len(&t->resume) == 0);
    const struct bytes start = arena_copy(&t->arena, chosen->value);
    for (uint32_t i = 0; i < t->calls_count; i++) {
        struct request *q = &t->calls[i].request;
        q->op = OP_SCAN;
        q->flags |= REQUEST_NO_VALUE;
        q->rows_max = TASK_RANDOM_ROWS;
        q->start = start;
    }
    t->plan.kind = PLAN_SCAN;
    t->plan.rows_wanted = 1;
    t->wraps = true;
    scan_round(s, t);
    return true;
}

static void encode_requests(struct task *t, const struct response *responses, uint64_t now_ms) {
    if (t->connection->protocol == PROTOCOL_RESP)
        resp_encode(&t->plan, responses, now_ms, &t->reply);
    else
        http_encode(&t->plan, responses, now_ms, &t->reply);
}

/* The responses of all calls, in their order. */
static void encode_calls(struct shard *s, struct task *t) {
    struct response *responses = mem_alloc(t->calls_count * sizeof *responses);
    for (uint32_t i = 0; i < t->calls_count; i++) responses[i] = t->calls[i].response;
    encode_requests(t, responses, s->turn_wall_ms);
    mem_free(responses);
}

/* Whoever did not answer is left out. */
static void figures_answered(struct shard *s, struct task *t) {
    ASSERT(t->connection->protocol == PROTOCOL_HTTP);
    t->plan.request_count = t->calls_count;
    encode_calls(s, t);
    t->finished = true;
}

static void requests_renew(struct shard *s, struct task *t) {
    if (parts_renew(s, t))
        calls_send(s, t);
    else
        fail_for_parts(s, t, OUT_QUORUM);
}

static void requests_answered(struct shard *s, struct task *t) {
    enum outcome failure = OUT_OK;
    if (t->plan.requests[0].op == OP_FIGURES) {
        figures_answered(s, t);
        return;
    }
    if (is_outdated(s, t)) {
        requests_renew(s, t);
        return;
    }
    if (task_truncation_asks(t)) task_truncation_judge(s, t);
    if (t->barrier && !task_drop_failed_parts(s, t, &failure)) {
        if (task_parts_later(s, t)) return;
        fail_for_parts(s, t, task_truncation_failure(s, t, failure));
        return;
    }
    if (task_truncation_asks(t)) {
        t->again_until_ms = 0;
        task_truncation_choose(s, t);
        requests_renew(s, t);
        return;
    }
    if (t->barrier) merge_all_shards(s, t);
    if (t->barrier && random_scan(s, t)) return;
    if (t->calls_sent < t->calls_count) {
        fail(t, OUT_TOO_MANY);
        return;
    }
    if (t->barrier || t->calls_count == 1) {
        shard_count_outcome(s, &t->calls[0].response);
        encode_requests(t, &t->calls[0].response, s->turn_wall_ms);
    } else {
        for (uint32_t i = 0; i < t->calls_count; i++) shard_count_outcome(s, &t->calls[i].response);
        encode_calls(s, t);
    }
    t->finished = true;
}

static void admin_answered(struct task *t) {
    ASSERT(t->connection->protocol == PROTOCOL_HTTP);
    http_encode_admin(&t->plan, &t->one.admin->reply, &t->reply);
    t->finished = true;
}

static void count_unsent(struct task *t) {
    const bool unsent = t->calls_sent < t->calls_count && !t->finished;
    if (t->connection == NULL || unsent == t->unsent) return;
    t->connection->unsent += unsent;
    t->connection->unsent -= t->unsent;
    t->unsent = unsent;
    if (!unsent) shard_flush_later(t->connection->shard, t->connection);
}

void task_start(struct shard *s, struct task *t) {
    ASSERT(!t->started);
    t->started = true;
    if (t->calls_count == 0) /* a node without data that reaches no other */
        fail_for_parts(s, t, OUT_QUORUM);
    else if (task_truncation_is_unlawful(s, t))
        fail_for_parts(s, t, OUT_CLOCK);
    else if (t->plan.kind == PLAN_SCAN)
        scan_start(s, t);
    else
        calls_send(s, t);
    count_unsent(t);
}

void task_call_answered(struct shard *s, struct call *c) {
    struct task *t = c->task;
    ASSERT(c->state == CALL_ANSWERED);
    ASSERT(t->calls_pending > 0);
    t->calls_pending--;
    if (c->value_copy != NULL) {
        t->answer_bytes += c->response.value.len;
        task_hold(s, t, c->response.value.len);
    }
    /* Whoever left needs no more of it, and nobody more than the limit. */
    const bool enough = t->connection == NULL || t->answer_bytes > TASK_ANSWER_BYTES_MAX;
    if (t->plan.kind == PLAN_REQUESTS && !enough) calls_send(s, t);
    count_unsent(t);
    if (t->calls_pending > 0) return;
    if (t->connection == NULL) {
        task_release(s, t);
        return;
    }
    for (uint32_t i = 0; i < CALL_PHASES; i++) t->spent_us[i] += c->spent_us[i];
    if (c->last_member != MEMBER_NONE) t->last_member = c->last_member;
    if (t->plan.kind == PLAN_SCAN)
        scan_answered(s, t);
    else if (t->plan.kind == PLAN_ADMIN)
        admin_answered(t);
    else
        requests_answered(s, t);
    if (t->finished) t->finished_ns = s->turn_ns;
    count_unsent(t);
    shard_flush_later(s, t->connection);
}

static void go_again(struct shard *s, struct task *t) {
    ASSERT(t->barrier && t->calls_pending == 1);
    t->calls_pending = 0;
    if (t->connection == NULL) {
        task_release(s, t);
        return;
    }
    t->epoch = 0; /* whatever view there is now */
    if (t->plan.kind == PLAN_SCAN)
        scan_round(s, t);
    else
        requests_renew(s, t);
    if (t->finished) t->finished_ns = s->turn_ns;
    count_unsent(t);
    shard_flush_later(s, t->connection);
}

void tasks_go_again(struct shard *s) {
    struct list now; /* who has to wait again is for the next time */
    list_init(&now);
    while (!list_is_empty(&s->tasks_again)) list_append(&now, list_take_first(&s->tasks_again));
    while (!list_is_empty(&now)) go_again(s, LIST_ENTRY(list_take_first(&now), struct task, again));
}
