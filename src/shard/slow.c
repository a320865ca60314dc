/* slow.c - what a shard tells the slow log: which command, and where its time went. */
#include "base/assert.h"
#include "shard/shard.h"

static const char *operation_name(enum operation op) {
    switch (op) {
    case OP_GET: return "get";
    case OP_PUT: return "put";
    case OP_DELETE: return "delete";
    case OP_EXPIRE: return "expire";
    case OP_APPEND: return "append";
    case OP_INCR: return "incr";
    case OP_INCR_FLOAT: return "incrbyfloat";
    case OP_SCAN: return "scan";
    case OP_RANDOM_KEY: return "randomkey";
    case OP_TRUNCATE: return "truncate";
    case OP_FIGURES: return "figures";
    case OP_SINGLE_KEY_END: break;
    }
    return "unknown";
}

uint64_t shard_slow_note(struct shard *s, const struct connection *c, const struct plan *plan,
                         uint32_t kind) {
    const struct request *q = &plan->requests[0];
    ASSERT(kind < OP_KINDS);
    if (slow_log_threshold_ns(&s->node->slow) == NODE_SLOW_OFF) return 0;
    const uint64_t serial = ++s->notes_made;
    struct slow_note *n = &s->notes[serial % SLOW_NOTES];
    n->serial = serial;
    n->client_id = c->id;
    n->kind = kind;
    n->parse_us = s->parse_us;
    n->op = q->op;
    n->key_len = (uint32_t)q->key.len;
    /* Mostly the key is in the shard's input: a copy of fixed length takes no call, and what follows
     * the key there is not looked at. */
    const size_t at = (size_t)(q->key.ptr - s->input);
    if (at <= SHARD_INPUT_BYTES - sizeof n->key)
        memcpy(n->key, q->key.ptr, sizeof n->key);
    else
        memcpy(n->key, q->key.ptr, q->key.len < sizeof n->key ? q->key.len : sizeof n->key);
    return serial;
}

static const struct slow_note *note_find(const struct shard *s, uint64_t serial) {
    const struct slow_note *n = &s->notes[serial % SLOW_NOTES];
    return serial != 0 && n->serial == serial ? n : NULL;
}

static const struct connection *client_find(const struct shard *s, uint64_t id) {
    for (const struct list *n = s->connections.next; n != &s->connections; n = n->next) {
        const struct connection *c = LIST_ENTRY(n, const struct connection, link);
        if (c->id == id) return c;
    }
    return NULL;
}

static void report(struct shard *s, const struct connection *c, struct slow_request *r) {
    r->client = r->name = "";
    if (c != NULL) {
        os_sock_peer(c->sock, s->client_address);
        r->client = s->client_address;
        if (c->protocol == PROTOCOL_RESP) r->name = c->resp.name;
    }
    slow_log_add(&s->node->slow, r, s->turn_wall_ms, os_loop_now_ms(s->loop));
}

/* Only the beginning of the key is there, but its whole length counts. */
void shard_slow_noted(struct shard *s, const struct connection *c, uint64_t note,
                      enum slow_phase phase, uint32_t requests, uint64_t took_ns) {
    const struct slow_note *n = note_find(s, note);
    ASSERT(phase < SLOW_PHASES);
    ASSERT(requests > 0);
    struct slow_request r = {
        .operation = "unknown", .level = "unknown", .requests = requests, .took_us = took_ns / 1000
    };
    if (n != NULL) {
        r.operation = operation_name(n->op);
        r.level = node_level_name(op_kind_level(n->kind));
        r.key = bytes_of(n->key, n->key_len);
        r.phase_us[SLOW_PARSE] = n->parse_us;
    }
    const uint64_t parsed_us = r.phase_us[SLOW_PARSE];
    r.phase_us[phase] += r.took_us > parsed_us ? r.took_us - parsed_us : 0;
    report(s, c, &r);
}

/* They waited for the turn to end: for each other, and for what else was done in it. */
void shard_slow_turn(struct shard *s, uint32_t requests, uint64_t took_ns) {
    const struct slow_last *last = &s->turn_last;
    const struct connection *c = client_find(s, last->client_id);
    if (last->key.len == 0) {
        shard_slow_noted(s, c, last->note, SLOW_QUEUE, requests, took_ns);
        return;
    }
    struct slow_request r = { .operation = operation_name(last->op),
                              .level = node_level_name(op_kind_level(last->kind)),
                              .requests = requests,
                              .took_us = took_ns / 1000 };
    if (last->input_reads == s->input_reads) r.key = last->key;
    report(s, c, &r);
}

void shard_slow_task(struct shard *s, const struct task *t, uint64_t took_ns) {
    ASSERT(t->connection != NULL);
    ASSERT(t->kind < OP_KINDS);
    if (t->plan.kind == PLAN_REPLIED) {
        shard_slow_noted(s, t->connection, t->note, SLOW_SEND, 1, took_ns);
        return;
    }
    /* A node that reached nobody has no calls, and the command is gone. */
    const struct request *q = t->calls_count == 0 ? NULL : &t->calls[0].request;
    const bool many = t->plan.kind == PLAN_REQUESTS && t->plan.request_count > 1;
    const uint64_t sent_us = t->finished_ns == 0 ? 0 : (shard_late_ns(s) - t->finished_ns) / 1000;
    struct slow_request r = {
        .operation = many        ? "batch"
                     : q == NULL ? node_class_name(op_kind_class(t->kind))
                                 : operation_name(q->op),
        .level = node_level_name(op_kind_level(t->kind)),
        .requests = many ? t->plan.request_count : 1,
        .key = q == NULL ? BYTES_NONE : q->key,
        .took_us = took_ns / 1000,
        .phase_us = { [SLOW_PARSE] = t->parse_us,
                      [SLOW_STALL] = t->spent_us[CALL_PHASE_STALL],
                      [SLOW_READ] = t->spent_us[CALL_PHASE_READ],
                      [SLOW_REPLICAS] = t->spent_us[CALL_PHASE_REPLICAS],
                      [SLOW_LOG] = t->spent_us[CALL_PHASE_LOG],
                      [SLOW_SEND] = t->send_us + sent_us },
    };
    const uint32_t last = membership_find(s->members, t->last_member);
    if (last != MEMBER_NONE) r.last = membership_member(s->members, last)->address;
    report(s, t->connection, &r);
}
