/* resp_internal.h - what the files of the RESP implementation share.
 *
 * A translate function gets a `struct resp_call`: it either writes the reply
 * (plan stays PLAN_REPLIED) or fills the plan with one of resp_plan_*. The
 * reply_* functions append one RESP element each.
 */
#ifndef ATOLL_PROTO_RESP_INTERNAL_H
#define ATOLL_PROTO_RESP_INTERNAL_H

#include "proto/resp.h"
#include "proto/resp_commands.h"

/* Which reply resp_encode* makes; plan->shape. */
enum resp_shape {
    SHAPE_VALUE,       /* bulk string, or null if there is none */
    SHAPE_OK,          /* OK */
    SHAPE_SET,         /* OK, or null if the condition did not hold */
    SHAPE_OLD_VALUE,   /* the value before, or null */
    SHAPE_DONE,        /* 1, or 0 if absent or the condition did not hold */
    SHAPE_INTEGER,     /* response.integer */
    SHAPE_LENGTH,      /* response.value_len, 0 if absent */
    SHAPE_EXISTED_SUM, /* how many existed: DEL */
    SHAPE_FOUND_SUM,   /* how many were found: EXISTS */
    SHAPE_VALUES,      /* array of values or nulls: MGET */
    SHAPE_TTL,         /* seconds left; -1 never, -2 absent */
    SHAPE_PTTL,
    SHAPE_EXPIRETIME, /* the same as wall time */
    SHAPE_PEXPIRETIME,
    SHAPE_TYPE,
    SHAPE_SCAN, /* cursor and keys */
    SHAPE_KEYS,
    SHAPE_COUNT, /* how many rows a scan has: DBSIZE */
    SHAPE_HELLO,
    SHAPE_INFO,
    SHAPE_CONFIG,
    SHAPE_CLIENT_ID,
    SHAPE_CLIENT_INFO,
    SHAPE_CLUSTER_INFO,
    SHAPE_CLUSTER_MYID,
    SHAPE_CLUSTER_NODES,
    SHAPE_CLUSTER_SHARDS,
    SHAPE_CLUSTER_SLOTS,
    SHAPE_SLOWLOG,
    SHAPE_SLOWLOG_LEN,
};

/* Beside the shape: a timeout leaves in doubt whether something was changed. */
#define SHAPE_WRITES 0x8000u
#define SHAPE_MASK 0x7fffu

struct resp_call {
    struct resp *resp;                  /* argv, argc, version */
    const struct resp_command *command; /* found for argv[0], or the subcommand */
    uint64_t now_ms;                    /* wall */
    struct buffer *out;                 /* of the connection */
    struct plan *plan;                  /* PLAN_REPLIED with nothing written, at first */
};

/* ---- plans (resp_translate.c) ---- */

/* One request about argv[1], zeroed but for op and key; NULL after an error reply
 * (bad key). */
struct request *resp_plan_key(struct resp_call *c, enum operation op, enum resp_shape shape);
/* One request about no key. */
struct request *resp_plan_keyspace(struct resp_call *c, enum operation op, enum resp_shape shape);
/* `count` requests, not zeroed; NULL after an error reply. */
struct request *resp_plan_many(struct resp_call *c, uint32_t count, enum resp_shape shape);
void resp_plan_node(struct resp_call *c, enum node_topic topic, enum resp_shape shape);
/* False after an error reply. */
bool resp_key_valid(struct resp_call *c, struct bytes key);
bool resp_value_valid(struct resp_call *c, struct bytes value);
bool resp_integer_valid(struct resp_call *c, struct bytes text, int64_t *ret_value);
/* Without a sign of plus, leading zeros or blanks, as string2ll of Redis. */
bool resp_integer_decode(struct bytes text, int64_t *ret_value);

/* ---- translate functions, named in the table ---- */

void resp_translate_get(struct resp_call *c);
void resp_translate_set(struct resp_call *c);
void resp_translate_setnx(struct resp_call *c);
void resp_translate_setex(struct resp_call *c);
void resp_translate_psetex(struct resp_call *c);
void resp_translate_getdel(struct resp_call *c);
void resp_translate_getex(struct resp_call *c);
void resp_translate_getset(struct resp_call *c);
void resp_translate_append(struct resp_call *c);
void resp_translate_strlen(struct resp_call *c);
void resp_translate_incr(struct resp_call *c);
void resp_translate_decr(struct resp_call *c);
void resp_translate_incrby(struct resp_call *c);
void resp_translate_decrby(struct resp_call *c);
void resp_translate_incrbyfloat(struct resp_call *c);

void resp_translate_del(struct resp_call *c);
void resp_translate_exists(struct resp_call *c);
void resp_translate_mget(struct resp_call *c);
void resp_translate_mset(struct resp_call *c);
void resp_translate_expire(struct resp_call *c);
void resp_translate_pexpire(struct resp_call *c);
void resp_translate_expireat(struct resp_call *c);
void resp_translate_pexpireat(struct resp_call *c);
void resp_translate_ttl(struct resp_call *c);
void resp_translate_pttl(struct resp_call *c);
void resp_translate_expiretime(struct resp_call *c);
void resp_translate_pexpiretime(struct resp_call *c);
void resp_translate_persist(struct resp_call *c);
void resp_translate_type(struct resp_call *c);
void resp_translate_scan(struct resp_call *c);
void resp_translate_keys(struct resp_call *c);
void resp_translate_randomkey(struct resp_call *c);
void resp_translate_dbsize(struct resp_call *c);
void resp_translate_flush(struct resp_call *c);

void resp_translate_ping(struct resp_call *c);
void resp_translate_echo(struct resp_call *c);
void resp_translate_quit(struct resp_call *c);
void resp_translate_reset(struct resp_call *c);
void resp_translate_select(struct resp_call *c);
void resp_translate_time(struct resp_call *c);
void resp_translate_auth(struct resp_call *c);
void resp_translate_hello(struct resp_call *c);
void resp_translate_client_setname(struct resp_call *c);
void resp_translate_client_getname(struct resp_call *c);
void resp_translate_client_id(struct resp_call *c);
void resp_translate_client_info(struct resp_call *c);
void resp_translate_client_list(struct resp_call *c);
void resp_translate_client_setinfo(struct resp_call *c);
void resp_translate_client_switch(struct resp_call *c);
void resp_translate_client_reply(struct resp_call *c);
void resp_translate_info(struct resp_call *c);
void resp_translate_config_get(struct resp_call *c);
void resp_translate_config_set(struct resp_call *c);
void resp_translate_slowlog_get(struct resp_call *c);
void resp_translate_slowlog_len(struct resp_call *c);
void resp_translate_slowlog_reset(struct resp_call *c);
void resp_translate_cluster_info(struct resp_call *c);
void resp_translate_cluster_keyslot(struct resp_call *c);
void resp_translate_cluster_myid(struct resp_call *c);
void resp_translate_cluster_nodes(struct resp_call *c);
void resp_translate_cluster_shards(struct resp_call *c);
void resp_translate_cluster_slots(struct resp_call *c);
/* Known to Redis, not offered here: the summary in the table says why. */
void resp_translate_refused(struct resp_call *c);
void resp_translate_help(struct resp_call *c);

void resp_translate_command(struct resp_call *c);
void resp_translate_command_count(struct resp_call *c);
void resp_translate_command_docs(struct resp_call *c);
void resp_translate_command_info(struct resp_call *c);

/* ---- INFO (resp_info.c) ---- */

/* A bit for each section this name asks for; 0 if it is none of ours. */
uint64_t resp_info_section(struct bytes name);
/* redis_mode of INFO and mode of HELLO. */
const char *resp_info_mode(const struct node_view *view);
void resp_info_encode(uint64_t sections, const struct node_view *view, struct buffer *text);

/* ---- CONFIG SET and SLOWLOG (resp_settings.c) ---- */

#define RESP_SETTING_BYTES 40u

/* The present value of an option that may change while the node runs, by our name or that of
 * Redis; NULL for any other. */
const char *resp_setting(const struct node_view *view, const char *name,
                         char text[RESP_SETTING_BYTES]);
void resp_slowlog_encode(const struct plan *plan, const struct node_view *view, struct buffer *out);

/* ---- CLUSTER (resp_cluster.c) ---- */

#define RESP_CLUSTER_ID_BYTES 40u /* as long as an id of Redis Cluster */

/* The id of this node; a proxy, which is no member, has none: zeros. */
void resp_cluster_id(const struct node_view *view, char id[RESP_CLUSTER_ID_BYTES + 1]);
/* CLUSTER SLOTS and SHARDS. */
void resp_cluster_encode(const struct plan *plan, const struct node_view *view, struct buffer *out);
/* CLUSTER INFO and NODES, which are texts. */
void resp_cluster_write(enum resp_shape shape, const struct node_view *view, struct buffer *text);

/* ---- replies (resp_reply.c) ---- */

/* `text` as it is, code included: "ERR syntax error". */
void resp_reply_error(struct buffer *out, const char *text);
/* The same from a format. Bytes of clients go through resp_printable first. */
void resp_reply_errorf(struct buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void resp_reply_simple(struct buffer *out, const char *text);
void resp_reply_integer(struct buffer *out, int64_t value);
void resp_reply_bulk(struct buffer *out, struct bytes value);
void resp_reply_bulk_string(struct buffer *out, const char *text);
/* Text for people: RESP3 has a type of its own for it. */
void resp_reply_verbatim(struct buffer *out, uint8_t version, struct bytes text);
void resp_reply_null(struct buffer *out, uint8_t version);
void resp_reply_array(struct buffer *out, uint64_t count);
/* RESP2 has no maps and no sets: an array of twice the number, an array. */
void resp_reply_map(struct buffer *out, uint8_t version, uint64_t count);
void resp_reply_set(struct buffer *out, uint8_t version, uint64_t count);

/* At most `bytes_max` bytes of `in` with every control byte as a space, so that no
 * client can put a line end into an error line. Ended by NUL; `text` has a byte more. */
const char *resp_printable(struct bytes in, char *text, size_t bytes_max);

/* Where digits go: writes `value` in decimal at `p` (room for 20), returns the end. */
uint8_t *resp_put_u64(uint8_t *p, uint64_t value);

#endif
