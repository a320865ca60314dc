/* workload.h - which commands a benchmark sends, as bytes.
 *
 * What does not change from command to command is encoded once; then a command is
 * a few copies and twelve digits, so that the benchmark is never the slow side.
 *
 * Lifecycle  create -> append* -> destroy
 * Owner      one thread; the sequence follows from the seed
 * Memory     one pool of random bytes that values are cut from
 */
#ifndef ATOLL_CLI_WORKLOAD_H
#define ATOLL_CLI_WORKLOAD_H

#include "base/buffer.h"
#include "base/status.h"

#define WORKLOAD_KEY_DIGITS 12u /* every key is as long as every other, as key:000000000042 */
#define WORKLOAD_PREFIX_BYTES_MAX 64u
#define WORKLOAD_LEVEL_BYTES_MAX 16u
#define WORKLOAD_TEMPLATE_BYTES 512u

enum workload_op {
    WORKLOAD_GET,
    WORKLOAD_SET,
    WORKLOAD_DEL,
    WORKLOAD_INCR,
    WORKLOAD_PING,
    WORKLOAD_OPS,
};

enum workload_protocol { WORKLOAD_RESP, WORKLOAD_HTTP };

struct workload_options {
    enum workload_protocol protocol;
    const char *host;               /* of the Host header */
    const char *key_prefix;         /* at most WORKLOAD_PREFIX_BYTES_MAX bytes */
    const char *level;              /* HTTP: of the query, as it is; NULL or "" = none */
    uint64_t keys;                  /* size of the key set, 1.. */
    double zipf_theta;              /* 0 = uniform, else 0 < theta < 1: skew */
    uint32_t weights[WORKLOAD_OPS]; /* shares of the commands; not all 0 */
    uint64_t value_min, value_max;  /* bytes of a value, each length as likely */
    uint64_t seed;                  /* of the sequence; threads have different ones */
};

/* The lower-case name of an operation. */
const char *workload_op_name(enum workload_op op);
/* "get=70,set=30" or "set". Errors ST_INVALID */
STATUS workload_decode_mix(struct bytes text, uint32_t ret_weights[WORKLOAD_OPS]);
/* "uniform", "zipf" or "zipf:0.99". Errors ST_INVALID */
STATUS workload_decode_dist(struct bytes text, double *ret_theta);
/* "100" or "10-1000", sizes. Errors ST_INVALID */
STATUS workload_decode_value(struct bytes text, uint64_t *ret_min, uint64_t *ret_max);

struct workload;
struct workload *workload_create(const struct workload_options *options);
void workload_destroy(struct workload *w);

/* Append the next command of the mix. Returns which it is. */
enum workload_op workload_append(struct workload *w, struct buffer *out);
/* Append a SET of key number `index`, for loading the key set. */
void workload_append_load(struct workload *w, uint64_t index, struct buffer *out);
/* The next key number by the distribution, 0..keys-1. */
uint64_t workload_key(struct workload *w);

#endif
