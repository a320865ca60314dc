/* resp.h - RESP2 and RESP3 (redis.io/docs/reference/protocol-spec), server side.
 *
 * Pure: bytes in, plans and bytes out. Commands, their arities, their error texts
 * and reply shapes are those of Redis 7; what is not in the list answers
 * "ERR unknown command ..." as Redis does.
 *
 * Lifecycle  resp_init -> (decode -> translate -> [encode])* -> resp_deinit
 * Owner      one connection
 * Memory     argv and requests of the present command: scratch that grows to what
 *            a command needs and is given back when large; bounded by the limits below
 * Failure    a protocol error (bad length, missing CRLF) is answered with -ERR Protocol
 *            error: .. and ends the connection, as the stream cannot be trusted any more;
 *            every other error is answered and the connection goes on
 */
#ifndef ATOLL_PROTO_RESP_H
#define ATOLL_PROTO_RESP_H

#include "base/buffer.h"
#include "base/status.h"
#include "proto/node_view.h"
#include "proto/plan.h"

/* Arguments of one command: MSET with as many pairs as a plan has requests. */
#define RESP_ARGS_MAX (2u * PLAN_REQUESTS_MAX + 1u)
#define RESP_INLINE_BYTES_MAX 65536u
/* Largest bulk string that is kept: a value, or a key. A longer one, up to what Redis
 * allows, is skipped and answered with an error; the connection goes on. */
#define RESP_BULK_BYTES_MAX VALUE_BYTES_MAX
#define RESP_BULK_BYTES_SKIPPED_MAX (512u * 1024 * 1024)
/* Bytes of one whole command, all of which the caller's input buffer must be able to
 * hold: two values (SET .. IFEQ), a key and the words around them. */
#define RESP_COMMAND_BYTES_MAX (2u * VALUE_BYTES_MAX + 1024u * 1024)
#define RESP_NAME_BYTES_MAX 64u
/* The Redis whose replies these are; clients choose what they send by it. */
#define RESP_REDIS_VERSION "7.0.15"

/* Why the rest of a command is skipped. */
enum resp_refusal {
    RESP_REFUSE_NOTHING,
    RESP_REFUSE_VALUE,     /* a bulk string longer than a value may be */
    RESP_REFUSE_KEY,       /* the same where the command has a key */
    RESP_REFUSE_COMMAND,   /* more than RESP_COMMAND_BYTES_MAX in all */
    RESP_REFUSE_ARGUMENTS, /* more than RESP_ARGS_MAX */
};

struct resp {
    uint8_t version;            /* 2 or 3; set by HELLO */
    bool authenticated;         /* always true until there are passwords */
    uint64_t value_bytes_max;   /* configured limit, at most VALUE_BYTES_MAX */
    struct bytes *argv;         /* scratch: arguments of the present command */
    uint32_t argc;              /* how many of them; 0 = nothing to do */
    uint32_t argv_capacity;     /* entries at argv */
    uint32_t requests_capacity; /* entries at requests */
    struct request *requests;   /* scratch of translate */
    /* A command that is not complete yet, so that it is not parsed anew. */
    uint32_t multibulk_len;             /* arguments it announced; 0 = at the start of a command */
    uint32_t multibulk_done;            /* of them in argv, or skipped */
    size_t parsed;                      /* bytes of the input looked at already */
    const uint8_t *base;                /* where the input was when argv was filled */
    enum resp_refusal refusal;          /* not NOTHING: the command is skipped, then refused */
    uint64_t refused_count;             /* the length or number that was too much */
    uint64_t skip_bytes;                /* still to skip of a bulk string and its CRLF */
    char name[RESP_NAME_BYTES_MAX + 1]; /* CLIENT SETNAME; empty = none */
    struct buffer text;                 /* unquoted arguments of an inline command */
};

void resp_init(struct resp *r, uint64_t value_bytes_max);
void resp_deinit(struct resp *r);

/* Take one command from the start of `in` (which holds all bytes not consumed yet and
 * may move between calls while a command is incomplete).
 * Errors  ST_WAIT     more bytes are needed; `*ret_need` = at least how many in all are known
 *                     to be (0 unknown), so that the caller can size its buffer
 *         ST_INVALID  protocol error; the error reply is appended to `out`; close after it
 * ST_OK: *ret_consumed bytes are the command's; arguments are views into `in`. An empty
 * command (blank inline line, *0) is consumed with argc = 0, and so is a part of a command
 * that is skipped because it is too large; resp_translate then has nothing to do. */
STATUS resp_decode(struct resp *r, struct bytes in, struct buffer *out, size_t *ret_consumed,
                   size_t *ret_need);

/* Turn the decoded command into a plan. `now_ms` is wall time, for relative expiries.
 * The plan's requests and detail hold until the next resp_decode. */
void resp_translate(struct resp *r, uint64_t now_ms, struct buffer *out, struct plan *ret_plan);

/* Encode the answer of a PLAN_REQUESTS plan: `responses[plan->request_count]`. Does not
 * look at plan->requests, so that later commands may have been translated meanwhile. */
void resp_encode(const struct plan *plan, const struct response *responses, uint64_t now_ms,
                 struct buffer *out);

/* PLAN_SCAN. All rows of the answer are gathered by the caller, because RESP arrays state
 * their length first; of a plan that counts there are none, only `count`. Of RANDOMKEY
 * there is one at most. `cursor` is the number for the next SCAN (0 = finished). */
void resp_encode_scan(const struct plan *plan, const struct row *rows, uint64_t count,
                      uint64_t cursor, struct buffer *out);
/* An error instead of the rows. */
void resp_encode_outcome(const struct plan *plan, enum outcome outcome, struct buffer *out);
/* The same from a response, which knows how many replicas answered. */
void resp_encode_refusal(const struct plan *plan, const struct response *response,
                         struct buffer *out);

void resp_encode_node(const struct plan *plan, const struct node_view *view, struct buffer *out);

/* Glob of KEYS and SCAN MATCH: * ? [a-z] [^a] \x , bytewise. Linear in pattern x text at worst. */
bool resp_glob_match(struct bytes pattern, struct bytes text);

#endif
