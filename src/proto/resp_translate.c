#include "proto/resp_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#define QUOTED_BYTES_MAX 128u /* of a client's bytes in an error line, as in Redis */

bool resp_integer_decode(struct bytes text, int64_t *ret_value) {
    /* "+1", "01", "-0" are texts and no numbers to Redis. */
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    const size_t digits = text.len - (negative ? 1 : 0);
    if (digits == 0) return false;
    if (text.ptr[negative ? 1 : 0] == '0' && (digits > 1 || negative)) return false;
    return status_ok(bytes_to_i64(text, ret_value));
}

bool resp_integer_valid(struct resp_call *c, struct bytes text, int64_t *ret_value) {
    if (resp_integer_decode(text, ret_value)) return true;
    resp_reply_error(c->out, "ERR value is not an integer or out of range");
    return false;
}

static void reply_key_error(struct buffer *out, uint64_t len) {
    resp_reply_errorf(out, "ERR invalid key: length must be %u..%u bytes, got %llu", KEY_BYTES_MIN,
                      KEY_BYTES_MAX, (unsigned long long)len);
}

static void reply_value_error(struct buffer *out, uint64_t len, uint64_t len_max) {
    resp_reply_errorf(out, "ERR value is too large: %llu bytes, at most %llu allowed",
                      (unsigned long long)len, (unsigned long long)len_max);
}

bool resp_key_valid(struct resp_call *c, struct bytes key) {
    if (__builtin_expect(key.len >= KEY_BYTES_MIN && key.len <= KEY_BYTES_MAX, 1)) return true;
    reply_key_error(c->out, key.len);
    return false;
}

bool resp_value_valid(struct resp_call *c, struct bytes value) {
    if (__builtin_expect(value.len <= c->resp->value_bytes_max, 1)) return true;
    reply_value_error(c->out, value.len, c->resp->value_bytes_max);
    return false;
}

static void plan_requests(struct resp_call *c, uint32_t count, enum resp_shape shape) {
    struct plan *const plan = c->plan;
    plan->kind = PLAN_REQUESTS;
    plan->shape = (uint16_t)shape;
    if (c->command->flags & RESP_WRITE) plan->shape |= SHAPE_WRITES;
    plan->request_count = count;
    plan->requests = c->resp->requests;
}

struct request *resp_plan_keyspace(struct resp_call *c, enum operation op, enum resp_shape shape) {
    struct request *const request = c->resp->requests;
    plan_requests(c, 1, shape);
    *request = (struct request){ .op = op };
    return request;
}

struct request *resp_plan_key(struct resp_call *c, enum operation op, enum resp_shape shape) {
    ASSERT(c->resp->argc >= 2);
    const struct bytes key = c->resp->argv[1];
    if (!resp_key_valid(c, key)) return NULL;
    struct request *const request = resp_plan_keyspace(c, op, shape);
    request->key = key;
    return request;
}

struct request *resp_plan_many(struct resp_call *c, uint32_t count, enum resp_shape shape) {
    ASSERT(count > 0);
    struct resp *const r = c->resp;
    if (count > PLAN_REQUESTS_MAX) {
        resp_reply_errorf(c->out, "ERR too many keys: %u, at most %u allowed", count,
                          PLAN_REQUESTS_MAX);
        return NULL;
    }
    if (count > r->requests_capacity) {
        mem_free(r->requests);
        r->requests = mem_alloc(count * sizeof *r->requests);
        r->requests_capacity = count;
    }
    plan_requests(c, count, shape);
    return r->requests;
}

void resp_plan_node(struct resp_call *c, enum node_topic topic, enum resp_shape shape) {
    c->plan->kind = PLAN_NODE;
    c->plan->topic = topic;
    c->plan->shape = (uint16_t)shape;
}

/* "ERR unknown command 'foo', with args beginning with: 'a' 'b' ", cut where Redis cuts. */
static void reply_unknown(struct resp_call *c) {
    const struct resp *const r = c->resp;
    char name[QUOTED_BYTES_MAX + 1], part[QUOTED_BYTES_MAX + 1];
    char args[2 * QUOTED_BYTES_MAX];
    size_t len = 0;
    args[0] = '\0';
    for (uint32_t i = 1; i < r->argc && len < QUOTED_BYTES_MAX; i++) {
        const char *const text = resp_printable(r->argv[i], part, QUOTED_BYTES_MAX - len);
        const size_t text_len = strlen(text);
        args[len++] = '\'';
        memcpy(args + len, text, text_len);
        len += text_len;
        memcpy(args + len, "' ", 3);
        len += 2;
    }
    ASSERT(len < sizeof args);
    resp_reply_errorf(c->out, "ERR unknown command '%s', with args beginning with: %s",
                      resp_printable(r->argv[0], name, QUOTED_BYTES_MAX), args);
}

static void reply_unknown_child(struct resp_call *c) {
    char name[QUOTED_BYTES_MAX + 1], container[RESP_COMMAND_NAME_BYTES];
    for (size_t i = 0; i < sizeof container; i++) {
        const char letter = c->command->name[i];
        container[i] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    resp_reply_errorf(c->out, "ERR unknown subcommand '%s'. Try %s HELP.",
                      resp_printable(c->resp->argv[1], name, QUOTED_BYTES_MAX), container);
}

static void reply_arity(struct resp_call *c) {
    const char *const container = c->command->container;
    resp_reply_errorf(c->out, "ERR wrong number of arguments for '%s%s%s' command",
                      container == NULL ? "" : container, container == NULL ? "" : "|",
                      c->command->name);
}

static void reply_refusal(struct resp_call *c) {
    const struct resp *const r = c->resp;
    switch (r->refusal) {
    case RESP_REFUSE_NOTHING: ASSERT(false); break;
    case RESP_REFUSE_VALUE: reply_value_error(c->out, r->refused_count, r->value_bytes_max); break;
    case RESP_REFUSE_KEY: reply_key_error(c->out, r->refused_count); break;
    case RESP_REFUSE_COMMAND:
        resp_reply_errorf(c->out, "ERR command is too large: at most %u bytes allowed",
                          RESP_COMMAND_BYTES_MAX);
        break;
    case RESP_REFUSE_ARGUMENTS:
        resp_reply_errorf(c->out, "ERR too many arguments: %llu, at most %u allowed",
                          (unsigned long long)r->refused_count, RESP_ARGS_MAX);
        break;
    }
}

static bool arity_valid(const struct resp_command *command, uint32_t argc) {
    if (command->arity < 0) return argc >= (uint32_t)-command->arity;
    return argc == (uint32_t)command->arity;
}

void resp_translate(struct resp *r, uint64_t now_ms, struct buffer *out, struct plan *ret_plan) {
    ASSERT(r->argc <= r->argv_capacity);
    *ret_plan = (struct plan){ .kind = PLAN_REPLIED, .dialect = r->version };
    struct resp_call call = { .resp = r, .now_ms = now_ms, .out = out, .plan = ret_plan };
    if (r->argc == 0) return;
    if (r->refusal != RESP_REFUSE_NOTHING) {
        reply_refusal(&call);
        return;
    }
    call.command = resp_command_find(r->argv[0]);
    if (call.command == NULL) {
        reply_unknown(&call);
        return;
    }
    if (call.command->children != NULL && r->argc >= 2) {
        const struct resp_command *child = resp_command_find_child(call.command, r->argv[1]);
        if (child == NULL) {
            reply_unknown_child(&call);
            return;
        }
        call.command = child;
    }
    if (!arity_valid(call.command, r->argc)) {
        reply_arity(&call);
        return;
    }
    call.command->translate(&call);
    ret_plan->dialect = r->version; /* HELLO and RESET change it */
}
