/* workload.h - what a client asks for next, and the values it writes.
 *
 * Every value is unique: it tells its number, its key and its length, and the rest of its
 * bytes follow from the number, so that whoever reads it can say whether it is whole and
 * in its place. Values are printable, so that they fit JSON too.
 *
 * Pure. Owner  one run; value numbers are given out in order, from 1
 */
#ifndef ATOLL_SIM_WORKLOAD_H
#define ATOLL_SIM_WORKLOAD_H

#include "base/buffer.h"
#include "sim/random.h"

#define WORK_ITEMS_MAX 8u        /* of one batch */
#define WORK_VALUE_BYTES_MIN 40u /* what a value tells of itself */
#define WORK_VALUE_BYTES_MAX (100u * 1024)

enum work_kind {
    WORK_PUT,
    WORK_GET,
    WORK_DELETE,
    WORK_SCAN,
    WORK_BATCH,
    WORK_PUT_ABSENT, /* If-None-Match: * */
    WORK_TRUNCATE,   /* every key; never of a batch, nor by weight */
    WORK_KINDS,
};

enum work_level { WORK_DEFAULT, WORK_ONE, WORK_QUORUM, WORK_ALL, WORK_LEVELS };

/* How often what is asked for; weights are compared with each other only. */
struct workload_mix {
    uint32_t kinds[WORK_KINDS];   /* weights */
    uint32_t levels[WORK_LEVELS]; /* weights */
    uint32_t session_permille;    /* of gets: with the version the client saw last */
    uint32_t ttl_permille;        /* of puts */
    uint32_t ttl_ms_max;          /* of those */
    uint32_t medium_permille;     /* of values: up to 4 KiB */
    uint32_t big_permille;        /* of values: up to WORK_VALUE_BYTES_MAX */
    uint32_t hot_permille;        /* of keys: one of the first few */
    uint32_t truncate_permyriad;  /* of requests, before all else is drawn */
};

struct work_item {
    enum work_kind kind; /* put, get or delete */
    uint32_t key;        /* index */
    uint64_t value;      /* number of the value to put; 0 = none */
    uint32_t value_len;  /* its length */
    uint32_t ttl_ms;     /* 0 = for ever */
};

struct work {
    enum work_kind kind;                    /* of the request */
    enum work_level level;                  /* of it */
    bool session;                           /* give the version seen last along */
    uint32_t items_count;                   /* 1, or of a batch up to WORK_ITEMS_MAX */
    struct work_item items[WORK_ITEMS_MAX]; /* a scan has none, nor has a truncation */
};

struct workload {
    const struct workload_mix *mix; /* borrowed */
    uint32_t keys;                  /* 1.. */
    uint64_t values_next;           /* number of the next value */
};

void workload_init(struct workload *w, const struct workload_mix *mix, uint32_t keys);
void workload_draw(struct workload *w, struct sim_random *dice, struct work *ret_work);
/* The next request of a client that goes through everything, for key `key`. `step` counts
 * up from 0. */
#define WORK_PROBE_STEPS 5u
void workload_probe(struct workload *w, uint32_t step, uint32_t key, struct work *ret_work);

/* Append the value of this number. Requires  len in WORK_VALUE_BYTES_MIN..MAX */
void workload_value(struct buffer *out, uint64_t value, uint32_t key, uint32_t len);
/* The number of the value that was written so under this key; 0 = these bytes never were. */
uint64_t workload_judge(struct bytes in, uint32_t key);

#endif
