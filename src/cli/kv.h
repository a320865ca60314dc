/* kv.h - what the commands get, put, del and scan share: options, keys, errors.
 *
 * Owner      the program's first thread
 * Memory     see http_client.h; `target` holds one request's path
 */
#ifndef ATOLL_CLI_KV_H
#define ATOLL_CLI_KV_H

#include "cli/command.h"
#include "cli/http_client.h"

#include <jansson.h>

/* The options every one of them has; first in each command's own struct. */
struct kv_flags {
    const char *server; /* host:port */
    uint64_t timeout_ms;
    bool escaped;
    bool json;
    const char *level; /* as the node takes it; "" = as the node is set */
};

/* Of commands that ask a node. */
#define KV_NODE_OPTIONS                                                                 \
    { .name = "server",                                                                 \
      .kind = OPTION_ADDRESS,                                                           \
      .offset = offsetof(struct kv_flags, server),                                      \
      .fallback = "127.0.0.1:8080",                                                     \
      .help = "node to ask; also ATOLL_SERVER" },                                       \
        { .name = "timeout",                                                            \
          .kind = OPTION_TIME,                                                          \
          .offset = offsetof(struct kv_flags, timeout_ms),                              \
          .fallback = "30s",                                                            \
          .min = 1,                                                                     \
          .max = 86400000,                                                              \
          .help = "how long to wait for the node" },                                    \
    {                                                                                   \
        .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct kv_flags, json), \
        .fallback = "false", .help = "print the answer as JSON"                         \
    }

/* Of commands about keys. */
#define KV_OPTIONS                                                                           \
    KV_NODE_OPTIONS,                                                                         \
        { .name = "escaped",                                                                 \
          .kind = OPTION_FLAG,                                                               \
          .offset = offsetof(struct kv_flags, escaped),                                      \
          .fallback = "false",                                                               \
          .help = "keys are written with \\xNN, \\t, \\n, \\r and \\\\" },                   \
    {                                                                                        \
        .name = "level", .kind = OPTION_TEXT, .offset = offsetof(struct kv_flags, level),    \
        .fallback = "", .value_name = KV_LEVEL_NAME, .help = "how many replicas must answer" \
    }

#define KV_LEVEL_NAME "one|quorum|all|N"

struct kv {
    struct os *os;
    const struct kv_flags *flags;
    struct http_client client;
    struct buffer target; /* path and query */
};

void kv_open(struct kv *k, struct os *os, const struct kv_flags *flags);
void kv_close(struct kv *k);

/* The bytes of a key or bound as the user wrote it; free *ret_room with mem_free. The
 * error is printed. */
bool kv_decode(const struct kv *k, const char *text, uint8_t **ret_room, struct bytes *ret_bytes);
/* Begin `target` anew with the path of a key. */
bool kv_target_key(struct kv *k, const char *text);
/* Add "?name=value" or "&name=value", encoded. */
void kv_target_param(struct kv *k, const char *name, struct bytes value);

/* Ask. Returns EXIT_CODE_OK when the node answered anything at all, KV_TOO_LARGE when the
 * answer passes HTTP_CLIENT_BODY_BYTES_MAX; else the error is printed and the exit code
 * returned. */
#define KV_TOO_LARGE (-1)
int kv_request(struct kv *k, const char *method, const char *headers, struct bytes body);
/* Add the level to the target, if one was given. */
void kv_target_level(struct kv *k);
/* The node's own words for an error, made safe to print: from the body of its answer, or
 * NULL if there are none. How many replicas answered is part of them. Returns `text`. */
const char *kv_error_text(struct bytes body, char *text, size_t text_bytes);
/* The member `name` of a JSON object, or `name`_base64 decoded into *ret_room (mem_free).
 * False: it has neither. */
bool kv_member_bytes(const json_t *row, const char *name, uint8_t **ret_room,
                     struct bytes *ret_bytes);
/* Print ,"acks":"2/3" if the answer was replicated, for the objects of --json. */
void kv_print_acks(const struct kv *k);
/* Print what the node has against a request, for any status but success. Returns the exit code. */
int kv_refused(const struct kv *k, const char *what);

#endif
