/* history.h - everything clients asked for and were told, in order of time.
 *
 * The only thing checkers judge by, next to what the nodes hold in the end. An
 * operation is begun when a client sends it and ended when it has the answer, or
 * will never have one. One request may be several operations: each item of a batch
 * is one, and each row of a scan is a read.
 *
 * Lifecycle  init -> (key* | begin | end | loss)* -> checks -> deinit
 * Owner      the world, or a test that makes up a history
 * Memory     grows with the run; at most HISTORY_OPS_MAX operations
 */
#ifndef ATOLL_SIM_HISTORY_H
#define ATOLL_SIM_HISTORY_H

#include "base/hlc.h"
#include "base/limits.h"

#include <stddef.h>

#define HISTORY_KEYS_MAX 4096u
#define HISTORY_KEY_BYTES_MAX 64u  /* with the NUL: keys of workloads are short text */
#define HISTORY_OPS_MAX (1u << 22) /* far beyond a run; a scenario that passes it is wrong */
#define HISTORY_NODES_MAX 64u      /* a bit each */
#define HISTORY_NONE UINT32_MAX    /* no operation */

enum history_kind {
    HISTORY_PUT,
    HISTORY_GET,
    HISTORY_DELETE,
    HISTORY_ROW,      /* a key that a scan showed, or went past; that is absent then */
    HISTORY_SCAN,     /* a scan as a whole: only whether it worked */
    HISTORY_TRUNCATE, /* one key of a truncation, which deletes it; nobody is told the version */
    HISTORY_KINDS,
};

enum history_outcome {
    HISTORY_PENDING, /* no answer yet */
    HISTORY_OK,
    HISTORY_ABSENT,  /* a get: there is no value */
    HISTORY_REFUSED, /* the node says that nothing was done */
    HISTORY_UNKNOWN, /* no answer, or one that promises nothing */
    HISTORY_OUTCOMES,
};

struct history_key {
    char text[HISTORY_KEY_BYTES_MAX]; /* the key itself, NUL behind it */
    uint64_t replicas;                /* bit per node that keeps it in the end */
    uint64_t kept;                    /* bit per node that ever kept it: whose loss counts */
    uint32_t last;                    /* newest operation on it, or HISTORY_NONE */
    bool put;                         /* some put of it was acknowledged */
};

struct history_op {
    enum history_kind kind;
    enum history_outcome outcome;
    uint32_t client;        /* who asked, 0.. */
    uint32_t node;          /* who was asked, 0.. */
    uint32_t key;           /* index; 0 for a scan as a whole */
    uint32_t previous;      /* operation on the same key begun before, or HISTORY_NONE */
    uint32_t status;        /* of HTTP; 0 = there was no answer */
    uint32_t ttl_ms;        /* a put: how long it lives; 0 = for ever */
    uint64_t began_ns;      /* world time */
    uint64_t ended_ns;      /* world time; 0 = pending */
    uint64_t wall_ms;       /* true wall time when it began */
    uint8_t need;           /* replicas that had to answer: W or R as it was asked for */
    bool must_work;         /* asked for when the cluster had healed: no excuse */
    bool foreign;           /* the bytes read are none that a client ever wrote there */
    struct ballot version;  /* answered; zero = none was */
    struct ballot session;  /* a get: the version it must not fall behind; zero = none */
    uint64_t value;         /* number of the value written or read; 0 = none */
    uint64_t expires_at_ms; /* answered by a read; wall time, 0 = never */
};

enum history_event_kind { HISTORY_BEGAN, HISTORY_ENDED, HISTORY_LOSS };

struct history_event {
    enum history_event_kind kind;
    uint32_t index; /* of the operation, or the node that lost what it had stored */
};

struct history {
    struct history_key *keys;
    uint32_t keys_count;
    struct history_op *ops; /* in the order they began */
    uint32_t ops_count;
    uint32_t ops_capacity;
    struct history_event *events; /* in the order of time */
    uint32_t events_count;
    uint32_t events_capacity;
    uint32_t losses; /* events of that kind */
};

void history_init(struct history *h);
void history_deinit(struct history *h);

/* Add a key that the same nodes keep all the time, unless the fields are set; returns its index.
 * Requires  text shorter than HISTORY_KEY_BYTES_MAX, `replicas` not empty */
uint32_t history_key(struct history *h, const char *text, uint64_t replicas);
/* The key of this text, or HISTORY_NONE. */
uint32_t history_find_key(const struct history *h, const uint8_t *text, size_t len);

/* Begin an operation; outcome, ended_ns and previous of `op` are ignored. Returns its
 * index. */
uint32_t history_begin(struct history *h, const struct history_op *op);
/* The operation, to fill in what was answered before history_end. Holds until the next begin. */
struct history_op *history_op(struct history *h, uint32_t index);
/* Requires  it is pending */
void history_end(struct history *h, uint32_t index, enum history_outcome outcome,
                 uint64_t ended_ns);
/* A node lost what it had stored: all of it, or who knows what part. */
void history_loss(struct history *h, uint32_t node);

static inline bool history_is_write(enum history_kind kind) {
    return kind == HISTORY_PUT || kind == HISTORY_DELETE || kind == HISTORY_TRUNCATE;
}
static inline bool history_is_read(enum history_kind kind) {
    return kind == HISTORY_GET || kind == HISTORY_ROW;
}
/* True wall time when it ended. */
static inline uint64_t history_ended_wall_ms(const struct history_op *op) {
    return op->wall_ms + (op->ended_ns - op->began_ns) / 1000000;
}
const char *history_kind_name(enum history_kind kind);
const char *history_outcome_name(enum history_outcome outcome);
bool history_check(const struct history *h);

#endif
