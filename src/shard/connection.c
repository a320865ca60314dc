#include "shard/connection.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/http_events.h"
#include "shard/feed.h"
#include "shard/shard.h"

/* Output kept by a connection that has nothing to send. */
#define CONNECTION_KEEP_BYTES (16u * 1024)

struct connection *connection_create(struct shard *s, struct os_sock sock) {
    struct connection *c = mem_alloc_zeroed(sizeof *c);
    c->shard = s;
    c->sock = sock;
    c->id = ++s->connection_ids * s->node->shards_count + s->id;
    c->readable = c->writable = true;
    c->tasks_window = CONNECTION_WINDOW_FIRST;
    c->progress_ms = os_loop_now_ms(s->loop);
    buffer_init(&c->in, SIZE_MAX / 2);
    buffer_init(&c->out, SIZE_MAX / 2);
    list_init(&c->tasks);
    list_init(&c->work);
    list_init(&c->flush);
    list_init(&c->subscription);
    list_append(&s->connections, &c->link);
    s->figures.connections++;
    s->figures.connections_total++;
    return c;
}

void connection_close(struct connection *c) {
    struct shard *s = c->shard;
    feed_leave(c);
    for (struct list *n = list_take_first(&c->tasks); n != NULL; n = list_take_first(&c->tasks)) {
        struct task *t = LIST_ENTRY(n, struct task, link);
        t->connection = NULL;
        if (t->calls_pending == 0) task_release(s, t);
    }
    if (c->protocol == PROTOCOL_RESP) resp_deinit(&c->resp);
    if (c->protocol == PROTOCOL_HTTP) http_destroy(c->http);
    ASSERT(s->input_held >= c->in.capacity);
    s->input_held -= c->in.capacity;
    s->output_held -= c->output_counted;
    buffer_deinit(&c->in);
    buffer_deinit(&c->out);
    os_sock_close(&c->sock);
    list_remove(&c->link);
    list_remove(&c->work);
    list_remove(&c->flush);
    s->figures.connections--;
    mem_free(c);
}

/* ---- holds: output that must not leave before the log is safe ---- */

/* A reply of this kind from `start` on, whose command was read at `since_ns`. Returns the hold
 * if it is a new one, else NULL. */
static struct hold *hold_output(struct connection *c, uint64_t sequence, uint64_t start,
                                uint32_t kind, uint64_t since_ns) {
    struct shard *s = c->shard;
    ASSERT(start >= c->out_sent);
    struct hold *last = c->holds_count == 0 ? NULL : &c->holds[c->holds_count - 1];
    const bool later = last != NULL && c->hold_turn != s->turn && sequence > last->sequence;
    const bool make = last == NULL || (later && c->holds_count < CONNECTION_HOLDS_MAX);
    if (make) {
        last = &c->holds[c->holds_count++];
        *last = (struct hold){ .sequence = sequence, .start = start, .since_ns = since_ns };
    }
    if (sequence > last->sequence) last->sequence = sequence;
    ASSERT(kind < HOLD_KINDS);
    last->counts[kind]++;
    last->kinds |= 1u << kind;
    c->hold_turn = s->turn;
    return make ? last : NULL;
}

static void hold_count(const struct connection *c, const struct hold *h) {
    struct shard *s = c->shard;
    uint32_t requests = 0;
    const uint64_t took_ns = shard_late_ns(s) - h->since_ns;
    for (uint32_t left = h->kinds; left != 0; left &= left - 1) {
        const uint32_t kind = (uint32_t)__builtin_ctz(left);
        shard_count_operations(s, kind, took_ns, h->counts[kind]);
        requests += h->counts[kind];
    }
    if (slow_log_is_slow(&s->node->slow, took_ns))
        shard_slow_noted(s, c, h->note, SLOW_LOG, requests, took_ns);
}

/* How much of `out` may be sent. */
static size_t sendable(struct connection *c) {
    struct shard *s = c->shard;
    if (c->holds_count == 0) return buffer_len(&c->out);
    const uint64_t acknowledged = shard_acknowledged(s);
    uint32_t passed = 0;
    while (passed < c->holds_count && c->holds[passed].sequence <= acknowledged)
        hold_count(c, &c->holds[passed++]);
    c->holds_count -= passed;
    memmove(c->holds, c->holds + passed, c->holds_count * sizeof c->holds[0]);
    if (c->holds_count == 0) return buffer_len(&c->out);
    return (size_t)(c->holds[0].start - c->out_sent);
}

/* What the reply buffers of all clients take counts against the shard's budget. */
static void count_output(struct connection *c) {
    c->shard->output_held += c->out.capacity;
    c->shard->output_held -= c->output_counted;
    c->output_counted = c->out.capacity;
}

bool connection_flush(struct connection *c) {
    struct shard *s = c->shard;
    ASSERT(connection_check(c));
    size_t len = sendable(c);
    while (len > 0 && c->writable) {
        const struct bytes run = { buffer_bytes(&c->out).ptr, len };
        size_t sent = 0;
        const struct status st = os_sock_write(c->sock, &run, 1, &sent);
        if (st.code == ST_WAIT) {
            c->writable = false;
        } else if (!status_ok(st)) {
            connection_close(c);
            return false;
        } else {
            buffer_consume(&c->out, sent);
            c->out_sent += sent;
            s->figures.bytes_out += sent;
            c->progress_ms = os_loop_now_ms(s->loop);
            len -= sent;
        }
    }
    if (buffer_len(&c->out) == 0) buffer_shrink(&c->out, CONNECTION_KEEP_BYTES);
    count_output(c);
    if (buffer_len(&c->out) > 0) return true;
    if (!list_is_empty(&c->tasks)) return true;
    if (c->draining && !c->readable) {
        connection_close(c); /* no unread input that would reset the stream */
        return false;
    }
    if (c->draining) c->closing = true;
    /* After the last byte, half a command that is left will never be whole. */
    if (c->ended && !c->backlog) c->closing = true;
    if (!c->closing) return true;
    if (c->closing && !c->ended && c->writable && !c->refusing) {
        /* Let the reply arrive: closing with unread input would reset the stream. */
        os_sock_shutdown(c->sock);
        c->refusing = true;
        return true;
    }
    if (c->refusing && !c->ended) return true;
    connection_close(c);
    return false;
}

/* ---- replies in order ---- */

/* Replies of waiting commands are kept in memory: allow as many as make up one pause. */
static void window_adapt(struct connection *c, size_t reply_len) {
    const size_t fit = CONNECTION_OUT_PAUSE / (reply_len + 1);
    if (fit < c->tasks_window)
        c->tasks_window = fit < 2 ? 2 : (uint32_t)fit;
    else if (c->tasks_window < CONNECTION_TASKS_MAX)
        c->tasks_window++;
}

static void task_finish(struct connection *c, struct task *t) {
    struct shard *s = c->shard;
    const uint64_t start = c->out_sent + buffer_len(&c->out);
    window_adapt(c, buffer_len(&t->reply));
    buffer_append(&c->out, buffer_bytes(&t->reply));
    if (t->sequence > shard_acknowledged(s)) {
        struct hold *h = hold_output(c, t->sequence, start, t->kind, t->started_ns);
        if (h != NULL) h->note = t->note;
    } else if (t->kind < OP_KINDS) {
        const uint64_t took_ns = shard_late_ns(s) - t->started_ns;
        shard_count_operations(s, t->kind, took_ns, 1);
        if (slow_log_is_slow(&s->node->slow, took_ns)) shard_slow_task(s, t, took_ns);
    }
    if (t->plan.close_after) c->closing = true;
    ASSERT(c->tasks_count > 0);
    c->tasks_count--;
    c->barriers -= t->barrier;
    task_release(s, t);
}

void connection_collect(struct connection *c) {
    struct shard *s = c->shard;
    while (!list_is_empty(&c->tasks) && buffer_len(&c->out) < CONNECTION_OUT_PAUSE) {
        struct task *t = LIST_ENTRY(c->tasks.next, struct task, link);
        if (!t->started) task_start(s, t);
        if (!t->finished) {
            if (t->plan.kind == PLAN_SCAN && t->calls_pending == 0) task_scan_go_on(s, t);
            return;
        }
        task_finish(c, t);
    }
}

/* A reply that is ready now must wait behind others. */
static void reply_later(struct connection *c, const struct plan *plan, struct buffer *reply,
                        uint32_t kind, uint64_t sequence) {
    struct shard *s = c->shard;
    ASSERT(reply == &s->reply);
    struct plan ready = *plan;
    ready.kind = PLAN_REPLIED;
    struct task *t = task_take(s, c, &ready);
    ASSERT(t != NULL);
    t->sequence = sequence;
    t->kind = kind;
    if (kind < OP_KINDS) t->note = shard_slow_note(s, c, plan, kind);
    buffer_append(&t->reply, buffer_bytes(reply));
    list_append(&c->tasks, &t->link);
    c->tasks_count++;
}

/* A reply that is ready now: behind the waiting ones, if there are any. */
static void reply_now(struct connection *c, const struct plan *plan, struct buffer *reply) {
    if (plan->close_after) c->last = true;
    if (list_is_empty(&c->tasks)) {
        ASSERT(reply == &c->out);
        if (plan->close_after) c->closing = true;
        return;
    }
    reply_later(c, plan, reply, OP_KINDS, 0);
}

/* ---- running commands ---- */

static void encode(struct connection *c, const struct plan *plan, const struct response *r,
                   struct buffer *out) {
    const uint64_t now_ms = c->shard->turn_wall_ms;
    if (c->protocol == PROTOCOL_RESP)
        resp_encode(plan, r, now_ms, out);
    else
        http_encode(plan, r, now_ms, out);
}

/* In case the turn turns out to be slow. */
static void turn_last_set(const struct connection *c, const struct plan *plan, uint32_t kind) {
    struct shard *s = c->shard;
    const struct request *q = &plan->requests[0];
    struct slow_last *last = &s->turn_last;
    last->client_id = c->id;
    last->input_reads = s->input_reads;
    last->key = q->key;
    last->op = q->op;
    last->kind = kind;
    if ((size_t)(q->key.ptr - s->input) < SHARD_INPUT_BYTES) return;
    last->key = BYTES_NONE;
    last->note = shard_slow_note(s, c, plan, kind);
}

/* One key of this shard, in memory: answered here and now. */
static bool run_at_once(struct connection *c, const struct plan *plan, struct buffer *out) {
    struct shard *s = c->shard;
    const struct request *q = &plan->requests[0];
    if (plan->request_count != 1 || q->op > OP_SINGLE_KEY_END) return false;
    if (q->home != s->id || shard_key_is_parked(s, q)) return false;
    if ((q->flags & REQUEST_REPLICAS) != 0) return false;
    if (!shard_may_answer_alone(s, q)) return false;
    struct engine_read read = { 0 };
    struct response response;
    uint64_t sequence = 0;
    const struct status st = shard_operate(s, q, &read, &response, &sequence);
    if (!status_ok(st)) {
        engine_read_deinit(s->engine, &read);
        return false;
    }
    const uint64_t start = c->out_sent + buffer_len(&c->out);
    encode(c, plan, &response, out);
    c->reply_len = response.value.len;
    shard_count_outcome(s, &response);
    engine_read_deinit(s->engine, &read);
    const uint32_t kind = s->kinds[q->op][q->level];
    if (plan->close_after) c->last = true;
    if (out != &c->out) {
        reply_later(c, plan, out, kind, sequence);
        return true;
    }
    if (plan->close_after) c->closing = true;
    if (sequence > engine_acknowledged(s->engine)) {
        struct hold *h = hold_output(c, sequence, start, kind, s->turn_ns);
        if (h != NULL) h->note = shard_slow_note(s, c, plan, kind);
    } else {
        turn_last_set(c, plan, kind);
        s->turn_counts[kind]++;
        s->turn_kinds |= 1u << kind;
    }
    return true;
}

static struct buffer *reply_buffer(struct connection *c) {
    if (list_is_empty(&c->tasks)) return &c->out;
    buffer_reset(&c->shard->reply);
    return &c->shard->reply;
}

static void refuse_busy(struct connection *c, const struct plan *plan) {
    struct buffer *out = reply_buffer(c);
    c->shard->figures.busy_refused++;
    if (c->protocol == PROTOCOL_RESP)
        resp_encode_outcome(plan, OUT_BUSY, out);
    else
        http_encode_outcome(plan, OUT_BUSY, false, out);
    reply_now(c, plan, out);
}

static void run_as_task(struct connection *c, const struct plan *plan) {
    struct shard *s = c->shard;
    struct task *t = task_fits(s, plan) ? task_take(s, c, plan) : NULL;
    if (t == NULL) {
        refuse_busy(c, plan);
        return;
    }
    if (plan->close_after) c->last = true;
    const bool first = list_is_empty(&c->tasks);
    list_append(&c->tasks, &t->link);
    c->tasks_count++;
    c->barriers += t->barrier;
    if (first || !t->barrier) task_start(s, t);
}

/* The stream's length is not known, so it ends with the connection. */
static void subscribe(struct connection *c, const struct plan *plan, struct buffer *out) {
    struct plan begun = *plan;
    if (!status_ok(feed_join(c->shard, c))) {
        refuse_busy(c, plan);
        return;
    }
    begun.close_after = false;
    http_events_begin(&begun, out);
    reply_now(c, &begun, out);
}

static void run_plan(struct connection *c, const struct plan *plan, struct buffer *out) {
    struct shard *s = c->shard;
    s->figures.commands++;
    switch (plan->kind) {
    case PLAN_REPLIED: reply_now(c, plan, out); break;
    case PLAN_NODE:
        if (plan->topic == NODE_EVENTS) {
            subscribe(c, plan, out);
            break;
        }
        shard_node_call(s, c, plan, out);
        reply_now(c, plan, out);
        break;
    case PLAN_ADMIN:
        if (shard_admin_call(s, c, plan, out))
            reply_now(c, plan, out);
        else
            run_as_task(c, plan);
        break;
    case PLAN_REQUESTS:
        if (!run_at_once(c, plan, out)) run_as_task(c, plan);
        break;
    case PLAN_SCAN: run_as_task(c, plan); break;
    }
}

/* ---- input ---- */

static bool connection_is_paused(const struct connection *c) {
    if (c->closing || c->last || c->draining || c->is_node || c->subscribed) return true;
    if (c->barriers > 0 || c->unsent > 0) return true;
    if (c->tasks_count >= c->tasks_window) return true;
    if (buffer_len(&c->out) >= CONNECTION_OUT_PAUSE) return true;
    if (shard_is_over_budget(c->shard) && (buffer_len(&c->out) > 0 || c->tasks_count > 0))
        return true;
    /* A reply behind others needs a task of its own, so the last ones are kept back. */
    return c->tasks_count > 0 && c->shard->tasks_used + 1 >= SHARD_TASKS_MAX;
}

/* The first line ends in an HTTP version, or a method and a target begin it. */
static bool line_is_http(struct bytes line) {
    static const char *const methods[] = { "GET /",    "PUT /",     "POST /",    "HEAD /",
                                           "DELETE /", "OPTIONS /", "OPTIONS *", "PATCH /",
                                           "TRACE /",  "GET http",  "PUT http",  "POST http" };
    static const char version[] = " HTTP/";
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (bytes_start_with(line, bytes_of_string(methods[i]))) return true;
    }
    for (size_t at = 0; at + sizeof version - 1 <= line.len; at++) {
        if (memcmp(line.ptr + at, version, sizeof version - 1) == 0) return true;
    }
    return false;
}

/* Whether the stream begins like another node's. False with *ret_wait: not seen enough. */
static bool line_is_node(struct bytes in, bool *ret_wait) {
    const size_t len = in.len < PEER_MAGIC_BYTES ? in.len : PEER_MAGIC_BYTES;
    const bool alike = memcmp(in.ptr, PEER_MAGIC, len) == 0;
    *ret_wait = alike && len < PEER_MAGIC_BYTES;
    return alike && len == PEER_MAGIC_BYTES;
}

/* RESP arrays begin with '*', inline commands with anything; a first line that begins with
 * a capital letter may be HTTP. False: the line must be seen to its end first. */
static bool detect_protocol(struct connection *c, struct bytes in) {
    struct shard *s = c->shard;
    ASSERT(in.len > 0);
    bool wait = false;
    c->is_node = line_is_node(in, &wait);
    if (c->is_node || wait) return false;
    const bool letter = in.ptr[0] >= 'A' && in.ptr[0] <= 'Z';
    const uint8_t *end = memchr(in.ptr, '\n', in.len);
    const struct bytes line = end == NULL ? in : bytes_of(in.ptr, (size_t)(end - in.ptr));
    const bool http = letter && line_is_http(line);
    if (letter && !http && end == NULL && in.len < RESP_INLINE_BYTES_MAX) return false;
    if (http) {
        c->protocol = PROTOCOL_HTTP;
        c->http = http_create(s->node->value_bytes_max);
        http_set_get_json(c->http, s->node->get_json);
    } else {
        c->protocol = PROTOCOL_RESP;
        resp_init(&c->resp, s->node->value_bytes_max);
    }
    return true;
}

/* ---- groups: the keys of pipelined commands are fetched before the first is run ---- */

static bool is_inside(struct bytes part, struct bytes whole) {
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* Plain reads and writes of own keys, whose bytes stay in the input until they are run. */
static bool joins_group(const struct connection *c, const struct plan *plan, struct bytes in) {
    const struct shard *s = c->shard;
    if (c->protocol != PROTOCOL_RESP || !list_is_empty(&c->tasks)) return false;
    if (plan->kind != PLAN_REQUESTS || plan->request_count != 1 || plan->detail.len > 0)
        return false;
    /* A group runs to its end, so its replies must be small: as far as was seen. */
    if (c->reply_len > CONNECTION_OUT_PAUSE / CONNECTION_GROUP_MAX) return false;
    /* Each of the group may become a task, and then needs one. */
    if (s->tasks_used + CONNECTION_GROUP_MAX + 2 >= SHARD_TASKS_MAX) return false;
    const struct request *q = &plan->requests[0];
    if ((q->op != OP_GET && q->op != OP_PUT) || q->condition != COND_NONE) return false;
    if (!is_inside(q->key, in) || !is_inside(q->value, in)) return false;
    return q->home == s->id && shard_may_answer_alone(s, q);
}

static void group_add(struct connection *c, const struct plan *plan) {
    struct shard *s = c->shard;
    ASSERT(s->group_count < CONNECTION_GROUP_MAX);
    const uint32_t i = s->group_count++;
    s->group[i] = *plan;
    s->group_requests[i] = plan->requests[0];
    s->group[i].requests = &s->group_requests[i];
    engine_prefetch(s->engine,
                    ikey_make(plan->requests[0].keyspace, plan->requests[0].key, s->ikey_space));
}

static void group_run(struct connection *c) {
    struct shard *s = c->shard;
    const uint32_t count = s->group_count;
    s->group_count = 0;
    for (uint32_t i = 0; i < count; i++) run_plan(c, &s->group[i], reply_buffer(c));
}

/* The next command does not join: first the group, then what it had encoded. */
static struct buffer *group_end(struct connection *c) {
    struct shard *s = c->shard;
    group_run(c);
    struct buffer *out = reply_buffer(c);
    buffer_append(out, buffer_bytes(&s->after));
    buffer_reset(&s->after);
    return out;
}

/* Take one command from `rest`. False: there is no whole one, or the stream is refused. */
static bool run_command(struct connection *c, struct bytes rest, size_t *ret_consumed) {
    struct shard *s = c->shard;
    const bool resp = c->protocol == PROTOCOL_RESP;
    const bool grouped = s->group_count > 0;
    struct buffer *out = grouped ? &s->after : reply_buffer(c);
    struct plan plan = { .kind = PLAN_REPLIED };
    const uint64_t began_ns = rest.len > SHARD_INPUT_BYTES ? os_mono_ns(s->os) : 0;
    s->parse_us = 0;
    const struct status st = resp ? resp_decode(&c->resp, rest, out, ret_consumed, &c->need)
                                  : http_decode(c->http, rest, out, ret_consumed, &c->need);
    if (status_ok(st)) {
        c->need = 0;
        if (resp)
            resp_translate(&c->resp, s->turn_wall_ms, out, &plan);
        else
            http_translate(c->http, s->turn_wall_ms, out, &plan);
        if (!shard_keyspace_take(s, &plan)) {
            http_encode_no_keyspace(&plan, out);
            plan.kind = PLAN_REPLIED;
        }
        shard_route(s->node, &plan);
        if (began_ns != 0) s->parse_us = (uint32_t)((os_mono_ns(s->os) - began_ns) / 1000);
        if ((grouped || *ret_consumed < rest.len) && joins_group(c, &plan, rest)) {
            group_add(c, &plan);
            if (s->group_count == CONNECTION_GROUP_MAX || *ret_consumed == rest.len) group_run(c);
            return true;
        }
    }
    if (grouped) out = group_end(c);
    if (status_ok(st)) {
        run_plan(c, &plan, out);
        return true;
    }
    if (st.code == ST_WAIT) {
        if (out == &s->reply && buffer_len(out) > 0) reply_now(c, &plan, out);
        return false;
    }
    s->figures.bad_requests++;
    s->figures.commands++;
    plan.close_after = true;
    reply_now(c, &plan, out);
    *ret_consumed = rest.len;
    return false;
}

/* Decode and run commands from `in`; returns how many bytes were used up. */
static size_t run_input(struct connection *c, struct bytes in) {
    size_t used = 0;
    c->need = 0;
    for (bool more = true; more && used < in.len && !connection_is_paused(c);) {
        const struct bytes rest = bytes_of(in.ptr + used, in.len - used);
        if (c->protocol == PROTOCOL_UNKNOWN && !detect_protocol(c, rest)) break;
        size_t consumed = 0;
        more = run_command(c, rest, &consumed);
        used += consumed;
    }
    if (c->shard->group_count > 0) group_run(c);
    c->backlog = used < in.len && connection_is_paused(c);
    return used;
}

/* Half commands of this size are kept whatever others hold, so that small requests
 * of many clients never starve behind large ones. */
#define INPUT_FREE_BYTES 4096u

/* Make room for `more` bytes of an incomplete command, within the shard's budget. */
static bool input_reserve(struct connection *c, size_t more) {
    struct shard *s = c->shard;
    const size_t before = c->in.capacity;
    const size_t after = buffer_len(&c->in) + more;
    const uint64_t budget = s->node->input_bytes_max;
    /* The buffer doubles at least. */
    const size_t grown = after <= before ? before : after > 2 * before ? after : 2 * before;
    if (grown > INPUT_FREE_BYTES && s->input_held + (grown - before) > budget && grown > before) {
        log_warn(
            "closing client %llu: incomplete commands of all clients hold %llu bytes, input-max is %llu",
            (unsigned long long)c->id, (unsigned long long)s->input_held,
            (unsigned long long)budget);
        s->figures.busy_refused++;
        return false;
    }
    (void)buffer_reserve(&c->in, more);
    s->input_held += c->in.capacity - before;
    return true;
}

static bool keep_input(struct connection *c, struct bytes rest) {
    if (rest.len == 0) return true;
    if (!input_reserve(c, rest.len)) return false;
    buffer_append(&c->in, rest);
    return true;
}

static void run_kept(struct connection *c) {
    struct shard *s = c->shard;
    if (buffer_len(&c->in) == 0 || connection_is_paused(c)) return;
    buffer_consume(&c->in, run_input(c, buffer_bytes(&c->in)));
    if (buffer_len(&c->in) > 0) return;
    const size_t before = c->in.capacity;
    buffer_shrink(&c->in, 0);
    s->input_held -= before - c->in.capacity;
}

/* The rest of a large value goes straight to where it is kept. */
static size_t large_rest(const struct connection *c) {
    const size_t have = buffer_len(&c->in);
    return have > 0 && c->need > have + SHARD_INPUT_BYTES ? c->need - have : 0;
}

static bool take_input(struct connection *c, size_t len, bool large) {
    if (large) {
        buffer_commit(&c->in, len);
        if (buffer_len(&c->in) >= c->need) run_kept(c);
        return true;
    }
    const struct bytes in = bytes_of(c->shard->input, len);
    if (buffer_len(&c->in) > 0) {
        if (!keep_input(c, in)) return false;
        run_kept(c);
        return true;
    }
    const size_t used = run_input(c, in);
    return keep_input(c, bytes_of(in.ptr + used, in.len - used));
}

/* Read once. False: it must be closed. */
static bool read_once(struct connection *c, size_t *ret_len) {
    struct shard *s = c->shard;
    const size_t large = c->refusing ? 0 : large_rest(c);
    uint8_t *into = s->input;
    size_t room = SHARD_INPUT_BYTES;
    *ret_len = 0;
    if (large > 0) {
        if (!input_reserve(c, large)) return false;
        into = buffer_reserve(&c->in, large);
        room = large;
    }
    s->input_reads += large == 0;
    const struct status st = os_sock_read(c->sock, into, room, ret_len);
    if (st.code == ST_WAIT || st.code == ST_NOT_FOUND) {
        c->readable = false;
        c->ended = st.code == ST_NOT_FOUND;
        return true;
    }
    if (!status_ok(st)) return false;
    /* A short read empties the socket: the next bytes make a new event. */
    if (*ret_len < room && !c->hung_up) c->readable = false;
    s->figures.bytes_in += *ret_len;
    if (!c->refusing) c->progress_ms = os_loop_now_ms(s->loop);
    return c->refusing || take_input(c, *ret_len, large > 0);
}

/* It was another node, not a client. */
static void become_link(struct connection *c) {
    struct shard *s = c->shard;
    link_adopt(s, c->sock, buffer_bytes(&c->in));
    c->sock = (struct os_sock){ 0 };
    connection_close(c);
}

void connection_serve(struct connection *c) {
    size_t total = 0;
    connection_collect(c);
    run_kept(c);
    if (c->is_node) {
        become_link(c);
        return;
    }
    while (c->readable && (!connection_is_paused(c) || c->refusing) &&
           total < CONNECTION_READ_BYTES_MAX) {
        size_t len = 0;
        if (!read_once(c, &len)) {
            connection_close(c);
            return;
        }
        total += len;
        if (len == 0) break;
    }
    if (c->is_node) become_link(c);
}

/* The oldest command waits for nothing but room in the output. */
static bool task_waits_for_room(const struct connection *c) {
    if (list_is_empty(&c->tasks) || buffer_len(&c->out) >= CONNECTION_OUT_PAUSE) return false;
    const struct task *t = LIST_ENTRY(c->tasks.next, struct task, link);
    return t->finished || (t->plan.kind == PLAN_SCAN && t->started && t->calls_pending == 0);
}

bool connection_wants_turn(const struct connection *c) {
    if (c->refusing) return c->readable;
    if (task_waits_for_room(c)) return true;
    return !connection_is_paused(c) && (c->readable || c->backlog);
}

bool connection_is_stuck(const struct connection *c, uint64_t now_ms) {
    const uint64_t wait_ms = c->shard->node->client_wait_ms;
    if (now_ms < c->progress_ms + wait_ms) return false;
    const bool half_command = buffer_len(&c->in) > 0 && list_is_empty(&c->tasks);
    const bool unread_reply = buffer_len(&c->out) > 0 && c->holds_count == 0;
    return half_command || unread_reply || c->refusing;
}

bool connection_check(const struct connection *c) {
    if (c->holds_count > CONNECTION_HOLDS_MAX) return false;
    if (c->tasks_count > CONNECTION_TASKS_MAX + CONNECTION_GROUP_MAX) return false;
    if ((c->tasks_count == 0) != list_is_empty(&c->tasks)) return false;
    if (c->barriers > c->tasks_count) return false;
    for (uint32_t i = 0; i < c->holds_count; i++) {
        if (c->holds[i].start < c->out_sent) return false;
        if (i > 0 && c->holds[i].start < c->holds[i - 1].start) return false;
    }
    return true;
}
