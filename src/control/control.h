/* control.h - the control plane of one node: finds or joins a cluster, keeps its metadata.
 *
 * Drives the Raft core, the store and the metadata; as leader also voters, changes of the ring
 * and removals. docs/internals/membership.md is the design. Time, randomness, messages and
 * finished writes come in by calls, and everything goes out by struct control_env: equal nodes
 * given equal calls do equal things.
 *
 * Lifecycle  create -> open | restore -> (tick | receive | stored | ...)* -> destroy
 * Owner      the loop of shard 0; calls of env come from inside the calls below, and may not
 *            call back but for control_status
 * Memory     about 2 MiB, the window of the log and two snapshots
 * Failure    env.refused: this node may not go on. Nothing goes out after it
 */
#ifndef ATOLL_CONTROL_CONTROL_H
#define ATOLL_CONTROL_CONTROL_H

#include "cluster/metadata.h"
#include "raft/raft.h"

#define CONTROL_LINE_BYTES 256u      /* a line for people, with its NUL */
#define CONTROL_PROPOSALS_MAX 64u    /* of one node, waiting */
#define CONTROL_BATCH_MAX RING_SLOTS /* slots that become joint together, at most */
#define CONTROL_TICK_MS 20u          /* control_tick is due at least so often */
#define CONTROL_ALERTS_MS_MAX 3000u  /* a leader that is not heard for so long: ask others */

struct os;
struct os_loop;
struct os_pool;
struct raft_store_done;
struct raft_store_restored;
struct control_store;

enum control_want {
    CONTROL_WANT_ALONE, /* a cluster of one */
    CONTROL_WANT_LIST,  /* .addresses are the first members, this one among them */
    CONTROL_WANT_JOIN,  /* .addresses are members */
    CONTROL_WANT_PROXY, /* the same; keeps nothing */
};

enum control_stage {
    CONTROL_GATHERING, /* asks the list */
    CONTROL_JOINING,   /* asks members for a member id */
    CONTROL_MEMBER,    /* has a member id and a Raft group */
    CONTROL_PROXY,     /* asks members for the metadata */
    CONTROL_REFUSED,   /* may not go on */
    CONTROL_STAGES,
};

struct control_options {
    enum control_want want;            /* only if nothing is stored */
    const char *address;               /* own, canonical "ip:port"; PROXY: NULL. Copied */
    uint32_t weight;                   /* 1..RING_WEIGHT_MAX */
    uint32_t zone;                     /* 0 = none */
    const char *const *addresses;      /* LIST, JOIN, PROXY: canonical; copied */
    uint32_t address_count;            /* 0..FOUNDERS_MAX */
    struct keyspace_settings settings; /* of the default keyspace, for a bootstrap */
    uint32_t replicas;                 /* N of the table, for a bootstrap */
    uint32_t boot;                     /* boot count of the data directory, 1.. */
    uint64_t nonce;                    /* drawn with the data directory, not 0 */
    uint32_t election_ms;              /* see raft_options */
    uint32_t heartbeat_ms;             /* see raft_options */
    uint32_t snapshot_entries;         /* a snapshot is made after so many, 16.. */
    uint32_t batch_slots;              /* 1..CONTROL_BATCH_MAX */
    uint32_t gather_ms;       /* LIST: so long all are waited for, then a majority will do */
    uint32_t settle_ms;       /* members are quiet so long before a change begins */
    uint32_t voter_silent_ms; /* a voter not heard for so long is replaced */
    uint32_t proposal_ms;     /* a proposal is given up after so long */
    uint64_t throttle;        /* bytes/s of changes begun here; 0 = no limit */
};

/* The defaults; want, address, addresses, boot, nonce are the caller's. */
void control_options_init(struct control_options *o);

/* What goes out. Bytes hold during the call. */
struct control_env {
    void *user; /* first argument of all */
    /* To shard 0 of a member of the last state published, in a PEER_CONTROL frame; may be lost. */
    void (*send)(void *user, uint32_t member, struct bytes bytes);
    /* The same to whoever listens there, over a stream that is no member's. */
    void (*send_address)(void *user, const char *address, struct bytes bytes);
    /* To who sent something over a stream that is no member's. Unknown guests are dropped. */
    void (*reply)(void *user, uint64_t guest, struct bytes bytes);
    /* A new revision, applied and durable. `self` 0: a proxy. The state holds during the call. */
    void (*publish)(void *user, const struct metadata *state, uint32_t self);
    /* Log the line and stop the process with exit code 2. Called once. */
    void (*refused)(void *user, const char *line);
};

/* Who sent a message. */
struct control_source {
    uint32_t member; /* whose link it came over; 0 = none's */
    uint64_t guest;  /* else: for env.reply; 0 = it cannot be answered */
};

/* What a node tells the leader about itself, besides epochs. The caller fills it on demand. */
struct control_load {
    uint64_t sent;      /* bytes for the running change, to others */
    uint64_t received;  /* bytes for the running change, from others */
    uint64_t held;      /* bytes of records */
    uint64_t keys;      /* number of records */
    uint64_t disk_free; /* bytes */
};

/* What was heard last of a member: by the leader from itself, by others from the leader. */
struct control_report {
    uint32_t member;          /* its id */
    uint32_t boot;            /* its boot count */
    uint32_t age_ms;          /* since the leader heard it, as told last */
    uint64_t epoch_adopted;   /* all its shards act by it */
    uint64_t epoch_caught_up; /* its copies of slots joint then are whole; 0 = none yet */
    struct control_load load; /* see there */
};

/* What became of a proposal. */
enum control_outcome {
    CONTROL_ANSWERED, /* .result is in the agreed state, which has been published here */
    CONTROL_TIMEOUT,  /* not known: it may still be carried out */
    CONTROL_BUSY,     /* too many are waiting, or this node is no member: not proposed */
};

typedef void control_done(void *user, enum control_outcome outcome, struct metadata_result result);

struct control_status {
    enum control_stage stage;                   /* see there */
    uint32_t self;                              /* member id; 0 = none yet */
    uint32_t leader;                            /* 0 = not known */
    uint64_t term;                              /* of Raft; 0 = none yet */
    uint64_t epoch;                             /* of the state published; 0 = none yet */
    uint64_t revision;                          /* the same */
    uint64_t log_applied;                       /* index of the last entry in that state */
    uint32_t voter_count;                       /* of `voters` */
    uint32_t learner_count;                     /* of `learners` */
    uint32_t voters[RAFT_VOTERS_MAX];           /* ids, ascending */
    bool ready;                                 /* a state was published: requests can be served */
    char waits_for[CONTROL_LINE_BYTES];         /* one line for people; empty = for nothing */
    uint32_t report_count;                      /* of `reports` */
    uint32_t learners[MEMBERS_MAX];             /* ids, ascending; the first MEMBERS_MAX of them */
    struct control_report reports[MEMBERS_MAX]; /* by member id, ascending */
};

struct control;

/* `env` and the table of `store` are copied; NULL if control_open is to follow. */
struct control *control_create(const struct control_options *options, const struct control_env *env,
                               const struct control_store *store);
/* Go on from what is stored in DIR/control, or begin as options.want has it; blocking.
 * What is stored is published before it returns. A proxy has no store.
 * Errors  ST_CORRUPT, ST_FULL, ST_IO: logged */
STATUS control_open(struct control *c, struct os *os, struct os_loop *loop, struct os_pool *pool,
                    const char *dir, uint64_t now_ms, uint64_t random);
/* The same from a store that the caller made; NULL: nothing is stored.
 * Errors  ST_CORRUPT, and of store->create */
STATUS control_restore(struct control *c, const struct raft_store_restored *restored,
                       uint64_t now_ms, uint64_t random);
/* Whether no write is under way, or waits for anything but space on the disk: it may be
 * destroyed. */
bool control_is_idle(const struct control *c);
/* NULL is nothing to destroy. Requires  control_is_idle; no done of a proposal is called */
void control_destroy(struct control *c);

/* Time has passed. `now_ms` never goes back; `random` is fresh each time. Returns when the next
 * tick is due, CONTROL_TICK_MS from now at most. */
uint64_t control_tick(struct control *c, uint64_t now_ms, uint64_t wall_ms, uint64_t random);
/* A message; bytes that are none are dropped. */
void control_receive(struct control *c, struct control_source from, struct bytes bytes,
                     uint64_t now_ms, uint64_t random);
/* What the store has made durable. */
void control_stored(struct control *c, const struct raft_store_done *done, uint64_t now_ms,
                    uint64_t random);
/* A link to a member is up or down: only a hint, to ask again at once. */
void control_linked(struct control *c, uint32_t member, bool up);

/* All shards act by this epoch. Never goes back in one run. */
void control_adopted(struct control *c, uint64_t epoch);
/* All shards had a clean pass with all that this node's joint slots at `epoch` have, begun after
 * it was adopted. */
void control_caught_up(struct control *c, uint64_t epoch);
void control_load(struct control *c, const struct control_load *load);
/* Some other node acts by a later epoch: ask for what is missing. Cheap to call often. */
void control_news_wanted(struct control *c);

/* Have a command carried out; its cluster and proposal are filled in, its views are copied.
 * `done` is called once, BUSY at once and all else later, unless the control is destroyed before
 * (NULL: nobody asks). */
void control_propose(struct control *c, const struct metadata_command *command, control_done *done,
                     void *user);
/* Another voter is to lead. Carried to the leader; whether it worked is seen in the status. */
void control_transfer(struct control *c, uint32_t member);
/* This node is about to stop: if it leads, another voter is to lead at once. True: there is
 * nothing to wait for any more. Until then ticks and messages go on; the caller bounds that. */
bool control_leave(struct control *c);

/* What is behind the counts of learners and reports is left as it was: they are large. */
void control_status(const struct control *c, struct control_status *ret_status);
/* The same of what was told before. */
void control_status_copy(const struct control_status *from, struct control_status *ret_status);
/* What is known of a member, or NULL. */
const struct control_report *control_status_report(const struct control_status *s, uint32_t member);
/* The last state published; NULL = none. Holds until the next call. */
const struct metadata *control_state(const struct control *c);
bool control_check(const struct control *c);

#endif
