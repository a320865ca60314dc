/* model.h - control planes of a cluster in a hostile world, run from a seed.
 *
 * Nodes with disks that forget, a network that loses, delays and is cut, crashes, restarts, new
 * disks, joins, leaves, deaths, changes of weights and keyspaces; a data plane that adopts and
 * catches up late. Every node is driven through a struct model_core, so that the same world runs
 * the control plane and its copy with planted faults. After every event model_check.c looks.
 *
 * Lifecycle  create -> live -> destroy
 * Failure    model.wrong says which rule was broken first; the run then stops
 */
#ifndef TEST_CONTROL_MODEL_H
#define TEST_CONTROL_MODEL_H

#include "control/control.h"
#include "test/unit/control/memory_disk.h"

#define MODEL_NODES_MAX 7u
#define MODEL_PACKETS_MAX 4096u /* more are lost */
#define MODEL_IDS_MAX 256u      /* member ids of one run */
#define MODEL_REVISIONS_MAX 4096u
#define MODEL_INDEX_MAX 16384u

struct model_core {
    struct control *(*create)(const struct control_options *options, const struct control_env *env,
                              const struct control_store *store);
    struct status (*restore)(struct control *c, const struct raft_store_restored *restored,
                             uint64_t now_ms, uint64_t random);
    void (*destroy)(struct control *c);
    uint64_t (*tick)(struct control *c, uint64_t now_ms, uint64_t wall_ms, uint64_t random);
    void (*receive)(struct control *c, struct control_source from, struct bytes bytes,
                    uint64_t now_ms, uint64_t random);
    void (*stored)(struct control *c, const struct raft_store_done *done, uint64_t now_ms,
                   uint64_t random);
    void (*adopted)(struct control *c, uint64_t epoch);
    void (*caught_up)(struct control *c, uint64_t epoch);
    void (*propose)(struct control *c, const struct metadata_command *command, control_done *done,
                    void *user);
    void (*transfer)(struct control *c, uint32_t member);
    bool (*leave)(struct control *c);
    void (*status)(const struct control *c, struct control_status *ret_status);
    const struct metadata *(*state)(const struct control *c);
    bool (*check)(const struct control *c);
};

extern const struct model_core control_core_sound;   /* src/control as it is */
extern const struct model_core control_core_planted; /* with the fault of control_planted_fault */
extern const char *control_planted_fault;            /* name, or NULL */

struct model;

struct model_node {
    struct model *world;                /* whose it is */
    uint32_t at;                        /* index; its address is made of it */
    char address[24];                   /* "10.0.0.N:7000" */
    enum control_want want;             /* how it begins with an empty disk */
    struct control *control;            /* up: owned */
    uint32_t life;                      /* starts of the machine */
    uint32_t boot;                      /* of the data directory */
    uint64_t nonce;                     /* of the data directory */
    struct test_disk disk;              /* all that a crash leaves */
    uint64_t up_at_ms;                  /* down: when it starts again; 0 = never */
    uint64_t epoch_published;           /* highest of this data directory */
    uint64_t revision;                  /* of this life */
    uint32_t self;                      /* of this life; 0 = none published */
    uint32_t view_count;                /* of view */
    uint32_t view_id[MEMBERS_MAX];      /* members it has links to */
    char view_address[MEMBERS_MAX][24]; /* of them */
    uint64_t epoch;                     /* to be adopted */
    uint64_t adopt_at_ms;               /* 0 = nothing to adopt */
    uint64_t adopted;                   /* of this life */
    uint64_t catch_at_ms;               /* 0 = nothing to tell */
    uint64_t catch_epoch;               /* adopted when that began */
    bool refused;                       /* it may not go on */
    char line[CONTROL_LINE_BYTES];      /* why */
};

struct model_packet {
    uint64_t at_ms;     /* when it arrives; 0 = free */
    uint32_t from;      /* node */
    uint32_t from_life; /* of it */
    uint32_t to;        /* node */
    uint32_t to_life;   /* streams end with the life at their end */
    bool linked;        /* sent to a member; else over a guest's stream */
    uint32_t len;       /* of bytes */
    uint8_t *bytes;     /* owned */
};

/* Slots that were seen joint: who had to report what before they may become new. */
struct model_batch {
    uint64_t change;               /* id; 0 = none */
    uint64_t epoch;                /* of the slots */
    uint32_t slot;                 /* one of them */
    uint32_t target_count;         /* of target */
    uint32_t target[REPLICAS_MAX]; /* ids of its target */
    uint32_t member_count;         /* of members */
    uint32_t members[MEMBERS_MAX]; /* ids in lists and targets, but for dead ones */
};

struct model {
    const struct model_core *core;            /* under test */
    struct sim_random random;                 /* of everything */
    uint64_t now_ms;                          /* the one clock */
    uint32_t node_count;                      /* of nodes */
    uint32_t founders;                        /* of them: they are on the list */
    bool calm;                                /* faults have ended */
    uint32_t loss;                            /* of 1000 packets */
    uint32_t delay_ms;                        /* at most */
    uint32_t cut;                             /* bit i: node i is cut off from those without */
    uint32_t pair;                            /* bits of two nodes that do not reach each other */
    uint64_t heal_ms;                         /* when the cut ends */
    struct model_node nodes[MODEL_NODES_MAX]; /* by index */
    struct model_packet packets[MODEL_PACKETS_MAX]; /* on the way */
    struct metadata *latest;                        /* highest revision published; owned */
    uint64_t by_revision[MODEL_REVISIONS_MAX];      /* hash of the state; 0 = not seen */
    uint64_t by_index[MODEL_INDEX_MAX];             /* the same by entry of the log */
    uint64_t nonces[MODEL_IDS_MAX];                 /* of the data directory, by member id */
    uint64_t caught_up[MODEL_IDS_MAX];              /* told by the data plane, by member id */
    bool gone[MODEL_IDS_MAX];                       /* told that it was removed, by member id */
    struct model_batch batch;                       /* of `latest` */
    uint32_t keyspaces;                             /* made so far */
    uint32_t changes;                               /* for statistics: ended */
    uint32_t removed;                               /* for statistics: members */
    uint32_t wiped;                                 /* for statistics: disks */
    uint32_t crashes;                               /* for statistics */
    const char *wrong;                              /* first rule broken, or NULL */
};

/* A world from a seed; some 20 MB. */
struct model *control_model_create(const struct model_core *core, uint64_t seed);
void control_model_destroy(struct model *m);
/* The whole life of a seed: bootstrap, chaos, healing, liveness. NULL = all is well. */
const char *control_model_live(struct model *m);

/* model_check.c */
void control_model_fail(struct model *m, const char *rule);
void control_model_published(struct model *m, struct model_node *n, const struct metadata *state,
                             uint32_t self);
void control_model_owner(struct model *m, const struct model_node *n);
/* Whether everything has settled; else what has not. */
const char *control_model_unsettled(struct model *m);

#endif
