/* scenario.h - what a seed stands for: the cluster, its clients and what may befall it.
 *
 * Everything is drawn here, before the run, so that a run can be read as one line and
 * one thing can be changed to see whether the failure stays. A random half of the kinds of
 * faults is off in each run: what many kinds together hide, fewer show (swarm testing,
 * Groce et al. 2012).
 *
 * Pure. Lifecycle  scenario_draw -> scenario_set* -> scenario_check -> read only
 */
#ifndef ATOLL_SIM_SCENARIO_H
#define ATOLL_SIM_SCENARIO_H

#include "base/bytes.h"
#include "base/limits.h"
#include "sim/workload.h"
#include "storage/wal.h"

#define SCENARIO_NODES_MAX 7u
#define SCENARIO_PROXIES_MAX 2u
#define SCENARIO_MACHINES_MAX (SCENARIO_NODES_MAX + SCENARIO_PROXIES_MAX)
#define SCENARIO_CLIENTS_MAX 64u

/* A cluster has so long to begin, before there is load and faults. */
#define SCENARIO_BEGIN_MS 15000u

/* After the faults a cluster has so long to be whole again ... */
#define SCENARIO_HEALING_MS 30000u
/* ... then every node is asked for everything, and at last nothing happens any more. */
#define SCENARIO_PROBING_MS 10000u
#define SCENARIO_QUIET_MS 20000u
/* Who joins or leaves then has so much more time before that. */
#define SCENARIO_SETTLING_MS 60000u

enum fault_kind {
    FAULT_KILL,        /* the process dies; what it wrote the kernel keeps */
    FAULT_POWER,       /* the machine dies: unsynced writes are kept, lost or torn */
    FAULT_BLACKOUT,    /* all machines at once */
    FAULT_STOP,        /* told to stop: drains, flushes, closes */
    FAULT_PAUSE,       /* no turns for a while; its clocks go on */
    FAULT_WIPE,        /* comes back with an empty disk */
    FAULT_CLOCK_DRIFT, /* clocks run fast or slow */
    FAULT_CLOCK_JUMP,  /* the wall clock is off, within what nodes accept */
    FAULT_CLOCK_WILD,  /* the wall clock is off by far more */
    FAULT_PARTITION,   /* two groups cannot talk */
    FAULT_ONE_WAY,     /* one node cannot talk to another, but hears it */
    FAULT_SLOW,        /* delays of tens of milliseconds */
    FAULT_CLOG,        /* few bytes a second */
    FAULT_RESET,       /* the streams of two nodes, or of clients to one, break */
    FAULT_FRAMES_LOST, /* of messages between nodes */
    FAULT_FRAMES_REPEATED,
    FAULT_FRAMES_LATE,
    FAULT_FRAMES_FLIPPED,
    FAULT_SYNC_ERROR, /* a sync fails: the node must die of it */
    FAULT_DISK_FULL,  /* for a while */
    FAULT_READ_ERROR, /* a few reads fail */
    FAULT_STALL,      /* syncs take seconds */
    FAULT_ROT,        /* a bit of what is stored flips, or a sector cannot be read any more */
    FAULT_MISDIRECT,  /* a write lands elsewhere */
    FAULT_JOIN,       /* a machine that is not in the cluster joins it */
    FAULT_LEAVE,      /* a member is asked to leave */
    FAULT_REMOVE,     /* a node goes down and is given up; it counts as dead */
    FAULT_WEIGHT,     /* a member is given another weight */
    FAULT_CONTROL,    /* a change is paused, resumed, throttled, cancelled; another leader */
    FAULT_REPLICAS,   /* slots get more copies than the keyspace takes, or fewer again */
    FAULT_KINDS,
};

/* What is used up by one of these does not come back in the run: a replica less. */
#define FAULTS_THAT_LOSE \
    (1u << FAULT_WIPE | 1u << FAULT_ROT | 1u << FAULT_MISDIRECT | 1u << FAULT_REMOVE)

const char *fault_name(enum fault_kind kind);

struct scenario {
    uint64_t seed;           /* it all follows from this */
    uint32_t nodes;          /* that begin the cluster; with the spares 1..SCENARIO_NODES_MAX */
    uint32_t spares;         /* machines that may join it */
    uint32_t proxies;        /* machines that keep nothing, 0..SCENARIO_PROXIES_MAX */
    uint8_t replicas;        /* N, 1..nodes */
    uint8_t write_quorum;    /* W; 0 = majority of N */
    uint8_t read_quorum;     /* R; likewise */
    bool alone;              /* one node that was told of no others */
    uint32_t shards;         /* of each node */
    enum wal_sync sync;      /* when a write is durable */
    uint32_t interval_ms;    /* with WAL_SYNC_INTERVAL */
    uint32_t memtable_bytes; /* of each engine */
    uint32_t segment_bytes;  /* of its log */
    uint32_t cache_bytes;    /* of each node */
    uint32_t clients;        /* 1..SCENARIO_CLIENTS_MAX */
    uint32_t keys;           /* 1.. ; few of them meet each other */
    uint32_t think_ms;       /* at most so long between two requests of a client */
    uint32_t timeout_ms;     /* a client gives up */
    uint32_t hint_bytes_max; /* of each node */
    uint32_t repair_rate;    /* records a second; 0 = hints and reads alone make replicas equal */
    uint32_t faulty_ms;      /* length of the first phase */
    uint32_t fault_gap_ms;   /* mean time between two faults */
    uint32_t down_ms_max;    /* a dead node comes back within this */
    uint32_t faults;         /* bit per kind that may happen */
    uint32_t losses_max;     /* replicas that may lose their storage */
    struct workload_mix mix; /* what clients ask for */
};

void scenario_draw(struct scenario *s, uint64_t seed);
/* Change one thing: `nodes=3`, `faults=kill,pause`, `faults=none`, ...
 * Errors  ST_INVALID  no such name, or a value out of range */
STATUS scenario_set(struct scenario *s, const char *name, const char *value);
bool scenario_check(const struct scenario *s);

/* Machines that keep data, in the cluster or not. */
static inline uint32_t scenario_keepers(const struct scenario *s) {
    return s->nodes + s->spares;
}
/* All machines: those, then the proxies. */
static inline uint32_t scenario_machines(const struct scenario *s) {
    return scenario_keepers(s) + s->proxies;
}
/* A bit each, by index. */
static inline uint64_t scenario_proxy_bits(const struct scenario *s) {
    return (UINT64_C(1) << scenario_machines(s)) - (UINT64_C(1) << scenario_keepers(s));
}
/* How many replicas must answer an operation of this level. */
uint8_t scenario_need(const struct scenario *s, bool is_write, enum work_level level);

#define SCENARIO_TEXT_BYTES_MAX 1024u
/* One line of words for people. */
void scenario_print(const struct scenario *s, char text[SCENARIO_TEXT_BYTES_MAX]);

#endif
