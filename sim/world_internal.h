/* world_internal.h - the world's parts, for world*.c and faults.c.
 *
 * Lifecycle  a node: DOWN -> UP (-> STOPPING) -> DOWN, as world_boot, world_crash say
 * Owner      the world
 */
#ifndef ATOLL_SIM_WORLD_INTERNAL_H
#define ATOLL_SIM_WORLD_INTERNAL_H

#include "cluster/membership.h"
#include "shard/shard.h"
#include "sim/client.h"
#include "sim/faults.h"
#include "sim/net.h"
#include "sim/operator.h"
#include "sim/os_sim.h"
#include "sim/random.h"
#include "sim/trace.h"
#include "sim/world.h"
#include "storage/identity.h"
#include "storage/rate_limit.h"

#include <setjmp.h>

#define NEVER_NS UINT64_MAX
#define WORLD_DEATH_BYTES 256u
#define NS_A_MS UINT64_C(1000000)
/* Of a link that nothing is wrong with. */
#define LINK_DELAY_US_MIN 50u
#define LINK_DELAY_US_MAX 500u
/* How far apart clocks may be and answers late before an expiry counts as one. */
#define CLOCK_SPREAD_MS_MIN 1000u

#define WORLD_DATA_DIR "data"
#define WORLD_IDS_MAX 1024u /* member ids: a run gives out some dozens */
#define WORLD_TERMS 1024u   /* of Raft, remembered; terms that far apart do not meet */

enum node_state { NODE_DOWN, NODE_UP, NODE_STOPPING };

/* One start of a node: what ends with it, leaked when it crashes. */
struct world_process {
    struct os *os;
    struct os_file lock; /* of the data directory */
    struct os_pool *pool;
    struct cache *cache;
    struct rate_limit rate_limit;
    struct node node;
    uint64_t wake_ns[SHARDS_MAX];  /* its shard wants a turn by then; NEVER_NS = only events */
    uint64_t ready_ns[SHARDS_MAX]; /* its shard is still at its last turn until then */
    bool ended[SHARDS_MAX];        /* stopping: the shard has closed its engine */
};

struct world_node {
    uint32_t index;                     /* 0.. */
    enum node_state state;              /* whether it runs */
    char address[OS_ADDRESS_BYTES_MAX]; /* canonical */
    enum control_want want;             /* what it is told to do if it is no member yet */
    bool proxy;                         /* it keeps nothing, and is never a member */
    bool names_itself;                  /* its list of nodes has its own address too */
    struct sim_disk *disk;              /* its data */
    struct world_process *process;      /* NULL while DOWN */
    uint64_t boot_ns;                   /* DOWN: when it is started; NEVER_NS = by a fault's end */
    uint64_t resume_ns;                 /* paused until then; 0 = not */
    int64_t skew_ms;                    /* of its wall clock */
    int32_t drift_ppm;                  /* of its clocks */
    uint64_t boots;                     /* starts so far */
    bool may_die;                       /* a disk error since its start: ending is right */
    bool suspect;                       /* its disk was damaged: the operator replaces it */
    bool astray;                        /* some write landed elsewhere on its disk */
    bool rotten;  /* a bit of a table flipped: it heals, or refuses to start */
    bool is_full; /* its disk has no space for a while: it may not begin as a member then */
    bool out;     /* not in the cluster, and nobody starts it */
    bool ghost;   /* it hangs and was given up: what it answers alone counts for nothing */
    bool retired; /* it was removed: it is given a new disk before it starts again */
    bool refused; /* its control plane may not go on, as `refusal` says; seen to after the turn */
    char refusal[CONTROL_LINE_BYTES];
    uint64_t nonce;               /* of its data directory */
    uint32_t member;              /* id; 0 = none yet */
    uint64_t epoch;               /* published last by this data directory */
    uint64_t views_seen;          /* serial of the view looked at last */
    bool has_wish;                /* there is one */
    uint32_t wish_leader;         /* member that is to lead; 0 = no such wish */
    struct metadata_command wish; /* to be proposed by its control plane */
};

struct world_member {
    uint64_t nonce;          /* of the data directory that is it; 0 = not seen yet */
    uint32_t node;           /* index + 1; 0 = not known */
    uint32_t weight;         /* in the newest state */
    enum member_state state; /* the same */
};

struct world_term {
    uint64_t term;
    uint32_t leader; /* the first that somebody saw in it */
};

/* What the nodes' control planes have published, the newest of any. */
struct world_cluster {
    struct cluster_id id;                       /* zero: none yet */
    uint64_t revision;                          /* of the newest state */
    uint64_t epoch;                             /* the same */
    uint64_t change;                            /* that runs in it; 0 = none */
    uint64_t throttle;                          /* of that */
    bool paused;                                /* that */
    uint32_t replicas;                          /* N of the slots in it; 0 = none is known */
    uint32_t replicas_wanted;                   /* N of the keyspace in it; the same */
    uint32_t replicas_next;                     /* N that is asked for instead; 0 = none is */
    uint64_t hash;                              /* of the state in the end; 0 = not looked at */
    uint64_t hash_shown;                        /* of what of it proxies know */
    uint32_t member_last;                       /* highest id given out */
    struct world_member members[WORLD_IDS_MAX]; /* by id */
    struct world_term terms[WORLD_TERMS];       /* by remainder */
};

struct world {
    const struct scenario *scenario; /* borrowed */
    struct world_options options;
    struct sim_random dice; /* for what is left to chance here */
    uint64_t now_ns;        /* world time */
    struct sim_trace trace; /* of everything */
    struct sim_net *net;
    uint32_t places[SCENARIO_MACHINES_MAX];         /* of the nodes in the network */
    struct world_node nodes[SCENARIO_MACHINES_MAX]; /* the last ones are the proxies */
    struct world_cluster cluster;
    struct clients *clients;
    struct history history;
    struct faults faults;
    struct operator operator;
    struct findings findings;     /* what went wrong in the nodes themselves */
    uint64_t turns;               /* of shards */
    uint64_t skew_ms_max;         /* largest of any node at any time */
    uint64_t settled_ns;          /* since when everything has to work; 0 = not yet */
    uint64_t said_ns;             /* world time of the last line of progress */
    struct world_node *running;   /* whose code runs; NULL = none */
    char died[WORLD_DEATH_BYTES]; /* what os_die was told; empty: it was not called */
    jmp_buf escape;               /* out of `running` */
};

/* The one world of the process, for hooks that are given nothing. */
extern struct world *world_now;

/* Say something to people, with the time before it; only kept when logs are wanted. */
void world_note(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- world_node.c ---- */

void world_node_init(struct world *w, uint32_t index);
/* Start it on its disk. If it cannot start it stays down, to be tried again. */
void world_boot(struct world *w, struct world_node *n);
/* It is gone at once; it comes back at `boot_ns`. */
void world_crash(struct world *w, struct world_node *n, bool power_lost, uint64_t boot_ns);
/* Tell it to stop; it comes back a while after it has, unless it is out. */
void world_stop(struct world *w, struct world_node *n, uint64_t boot_ns);
/* Give a node that is down an empty disk: whatever it was, it is somebody new. */
void world_renew(struct world *w, struct world_node *n);
/* Crash it if it runs, and give it an empty disk. A replica less of all it held. */
void world_wipe(struct world *w, struct world_node *n, uint64_t boot_ns);
/* Set its clocks as `skew_ms` and `drift_ppm` say. */
void world_set_clocks(struct world *w, struct world_node *n);
/* World time of its next turn, start or resumption. */
uint64_t world_node_due_ns(const struct world_node *n);
/* Whatever of it is due now. */
void world_node_turn(struct world *w, struct world_node *n);

/* ---- world_control.c ---- */

/* Make the node's control plane and open it, as server/serve.c does. */
STATUS world_control_open(struct world *w, struct world_node *n, const struct identity *id);
/* After a turn of its shard 0: see what it has published, and whether that may be. */
void world_control_look(struct world *w, struct world_node *n);
/* It said that it may not go on: whether that is right, and what becomes of it. */
void world_control_refused(struct world *w, struct world_node *n);
/* Have its control plane propose this in its next turn. Requires  the node runs */
void world_wish(struct world *w, struct world_node *n, const struct metadata_command *command);
/* In a turn of its shard 0: what was wished. */
void world_control_wish(struct world_node *n);
/* Nothing is left of the cluster. */
void world_control_forget(struct world *w);
/* Whether all nodes that begin the cluster serve. */
bool world_has_begun(const struct world *w);
/* Bits of the nodes that are members in the newest state, or join. */
uint64_t world_members(const struct world *w);
/* Index of the node that is or was this member, or HISTORY_NONE. */
uint32_t world_node_of_member(const struct world *w, uint32_t id);
/* In the end: all agree, nothing is under way. */
void world_control_check(struct world *w);

/* ---- world_final.c ---- */

/* What the nodes hold now, sorted by key and node; owned by the caller. */
struct check_row *world_rows(struct world *w, uint32_t *ret_count);

#endif
