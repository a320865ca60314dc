/* check.h - what must hold of a run, each promise in a file of its own.
 *
 * A checker is a pure function of the history and of what the nodes hold in the end. A
 * write that was answered `ok` reached `need` replicas durably; each time one of the
 * replicas of its key loses its storage, one fewer holds it for certain. As long as that
 * number is above zero the write must survive, and a read that asks so many replicas that
 * it must meet one of them has to see it (Gifford 1979: W + R > N). Hence nothing here
 * asks what faults there were: losses are events of the history, and all else is no excuse.
 *
 * Lifecycle  findings_init -> check_* -> read
 * Memory     findings keep the first FINDINGS_MAX lines and count the others
 */
#ifndef ATOLL_SIM_CHECK_H
#define ATOLL_SIM_CHECK_H

#include "sim/history.h"

#define FINDINGS_MAX 16u
#define FINDING_BYTES_MAX 320u
/* After healing an operation may take this long, retries inside the node included. */
#define CHECK_WORKS_WITHIN_MS 5000u

/* One record of one node in the end, its newest version. */
struct check_row {
    uint32_t node;          /* who holds it */
    uint32_t key;           /* index in the history */
    struct ballot ballot;   /* its version */
    uint8_t flags;          /* as stored */
    bool absent;            /* a tombstone, or expired by now */
    bool foreign;           /* the bytes are none that a client ever wrote under this key */
    uint64_t expires_at_ms; /* 0 = never */
    uint64_t value;         /* number of the value; 0 = none */
    uint64_t value_hash;    /* of its bytes */
};

struct check {
    const struct history *history;
    const struct check_row *rows; /* sorted by key, then node; at most one for each pair */
    uint32_t rows_count;
    uint32_t nodes;           /* machines, 0.. */
    uint64_t asked;           /* bit per node that is a member in the end, or a proxy */
    uint8_t copies;           /* replicas of each key */
    uint64_t clock_spread_ms; /* how far any clock that counts was ever from the true time */
    uint64_t settled_ns;      /* world time from when on operations had to work */
};

struct findings {
    char lines[FINDINGS_MAX][FINDING_BYTES_MAX]; /* the first ones */
    uint32_t count;                              /* violations, also those without a line */
    uint64_t checked;                            /* things looked at: a check of nothing is none */
};

void findings_init(struct findings *f);
void findings_add(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Acknowledged writes are still there, or newer ones, on every replica. */
void check_durability(const struct check *c, struct findings *f);
/* All replicas of a key hold the same. */
void check_convergence(const struct check *c, struct findings *f);
/* What was deleted or has expired is not seen again. */
void check_resurrection(const struct check *c, struct findings *f);
/* Reads whose quorum meets that of an acknowledged put see it, or something newer. */
void check_stale(const struct check *c, struct findings *f);
/* A read with a session's version does not fall behind it. */
void check_session(const struct check *c, struct findings *f);
/* Values are those that were written, each under its key, with one version. */
void check_integrity(const struct check *c, struct findings *f);
/* Once healed, every node does everything. */
void check_liveness(const struct check *c, struct findings *f);

struct check_kind {
    const char *name;
    void (*run)(const struct check *c, struct findings *f);
};

#define CHECK_KINDS 7u
extern const struct check_kind check_kinds[CHECK_KINDS];

/* ---- for checkers ---- */

/* Of the writes of a kind: the newest version that must be on some replica. Truncations are deletes,
 * of every key. */
struct check_floors {
    struct ballot *reads; /* by operation that asks replicas what they have: when it began, if its
                             quorum must meet it; else zero */
    struct ballot *keys;  /* by key: in the end */
};

/* Requires  kind is a write */
void check_floors_init(struct check_floors *f, const struct check *c, enum history_kind kind);
void check_floors_deinit(struct check_floors *f);

/* Of each key the writes that may make it absent: deletes, and puts with a time to live. */
struct check_absence;
struct check_absences {
    struct check_absence *all; /* by key, then in the order they began */
    uint32_t *ends;            /* by key: where its own end */
    uint64_t clock_spread_ms;
};

void check_absences_init(struct check_absences *a, const struct check *c);
void check_absences_deinit(struct check_absences *a);
/* Whether key `key` may read as absent at `wall_ms` (world time `now_ns`) although the
 * version `floor` of it was there: something that may be newer deletes it, or a value with
 * a time to live may have expired. */
bool check_may_be_absent(const struct check_absences *a, uint32_t key, struct ballot floor,
                         uint64_t now_ns, uint64_t wall_ms);

/* Version as text for a finding. */
struct check_text {
    char text[BALLOT_TEXT_BYTES];
};
struct check_text check_version(struct ballot version);

#endif
