/* model.h - a Raft group in a hostile world, run from a seed and checked after every event.
 *
 * Nodes with a disk that finishes writes late and loses what was not durable, a network that
 * loses, delays, reorders and repeats, one-way partitions, crashes, restarts, changes of
 * membership, snapshots, reads. Messages travel as bytes. Every node is stepped through a
 * struct model_core, so that the same world runs the core and its copy with planted faults.
 *
 * Lifecycle  init -> run (any number of ms) -> deinit
 * Failure    model.wrong says which rule was broken first; the run then stops
 */
#ifndef TEST_RAFT_MODEL_H
#define TEST_RAFT_MODEL_H

#include "raft/raft.h"
#include "sim/random.h"

#define MODEL_NODES_MAX 9u       /* 7 voters and learners; ids are 1..9 */
#define MODEL_PACKETS_MAX 1024u  /* more are lost */
#define MODEL_OPS_MAX 512u       /* writes on the way to one disk */
#define MODEL_INDEX_MAX 16384u   /* entries of one run */
#define MODEL_ENTRIES_MAX 65536u /* different entries of one run; a power of two */
#define MODEL_TERMS_MAX 4096u
#define MODEL_READS_MAX 4096u
#define MODEL_DATA_BYTES_MAX 64u
#define MODEL_SNAPSHOT_BYTES 200u

/* The functions under test. */
struct model_core {
    struct status (*init)(struct raft *r, const struct raft_options *options,
                          struct raft_hard_state hard, const struct raft_snapshot *snapshot);
    struct status (*restore)(struct raft *r, const struct raft_entry *entry);
    struct status (*restore_commit)(struct raft *r, uint64_t index);
    void (*deinit)(struct raft *r);
    void (*step)(struct raft *r, const struct raft_event *event, struct raft_effects *out);
    struct status (*describe)(const struct raft *r, uint64_t index, uint8_t *config,
                              struct raft_snapshot *ret_snapshot);
};

extern const struct model_core model_core_sound;   /* src/raft as it is */
extern const struct model_core model_core_planted; /* with the fault of planted_fault */
extern const char *planted_fault;                  /* name, or NULL */

/* Who votes and who learns, as bits by id. */
struct model_config {
    uint32_t voters;   /* bit i: node i */
    uint32_t learners; /* bit i: node i */
};

struct model_entry {
    uint64_t term;                      /* 0 = none */
    uint32_t kind;                      /* enum raft_entry_kind */
    uint32_t len;                       /* of data */
    uint8_t data[MODEL_DATA_BYTES_MAX]; /* as proposed */
};

/* A state of the state machine, or a snapshot of it. */
struct model_state {
    uint64_t index; /* last entry applied */
    uint64_t hash;  /* of all entries up to it */
};

struct model_snapshot {
    struct model_state state;           /* what it holds */
    uint64_t term;                      /* of its last entry */
    uint8_t config[128];                /* encoded */
    uint32_t config_len;                /* of config */
    uint8_t data[MODEL_SNAPSHOT_BYTES]; /* the state, encoded, and filling */
};

enum model_op_kind { MODEL_OP_WRITE, MODEL_OP_APPLIED, MODEL_OP_SNAPSHOT, MODEL_OP_INSTALL };

/* A write on the way to the disk. */
struct model_op {
    enum model_op_kind kind;         /* which of the rest counts */
    uint64_t done_ms;                /* when it is durable */
    bool hard_changed;               /* WRITE: hard is stored */
    struct raft_hard_state hard;     /* WRITE */
    uint64_t truncate_from;          /* WRITE: 0 = no */
    uint64_t append_first;           /* WRITE: 0 = no */
    uint32_t append_count;           /* WRITE: of entries */
    struct model_entry *entries;     /* WRITE: owned */
    struct raft_mark mark;           /* WRITE */
    uint64_t applied;                /* APPLIED: up to here */
    struct model_snapshot *snapshot; /* SNAPSHOT, INSTALL: owned */
};

struct model_disk {
    struct raft_hard_state hard;             /* durable */
    struct model_snapshot snapshot;          /* durable; index 0 = none */
    uint64_t first;                          /* of entries that were not dropped */
    uint64_t last;                           /* of entries */
    uint64_t applied;                        /* a restart comes back at least to here */
    struct model_entry log[MODEL_INDEX_MAX]; /* by index, from the snapshot's on */
    struct model_op ops[MODEL_OPS_MAX];      /* in order; a ring */
    uint32_t op_first;                       /* place of the oldest */
    uint32_t op_count;                       /* of ops */
};

struct model_node {
    uint32_t id;                    /* 1.. */
    bool up;                        /* runs */
    uint32_t life;                  /* how often it has started */
    uint64_t up_at_ms;              /* down: when it starts again */
    uint64_t wake_ms;               /* up: when it wants a TICK */
    bool stepped;                   /* up: it has had an event */
    uint64_t slow_disk_until_ms;    /* writes take long until then */
    struct raft raft;               /* up */
    struct model_state state;       /* up: volatile */
    struct model_snapshot lent[2];  /* up: what the core looks at, and the next one */
    uint32_t lent_turn;             /* which of them it looks at */
    struct model_snapshot incoming; /* up: pieces of one */
    struct model_disk disk;         /* all that a crash leaves */
    bool snapshot_busy;             /* one is on the way to the disk */
};

struct model_packet {
    uint64_t at_ms; /* when it arrives; 0 = free */
    uint32_t from;  /* id */
    uint32_t to;    /* id */
    uint32_t len;   /* of bytes */
    uint8_t *bytes; /* encoded; owned */
};

/* What is known of an entry (index, term), whoever has it. */
struct model_known {
    uint64_t index;     /* 0 = free */
    uint64_t term;      /* of the entry */
    uint64_t term_prev; /* of the entry before it */
    uint64_t hash;      /* of kind and data */
};

struct model_read {
    uint64_t at_least; /* committed somewhere when it was asked */
};

struct model_hazards {
    uint32_t loss;      /* of 1000 messages */
    uint32_t repeat;    /* of 1000 messages */
    uint32_t delay_ms;  /* at most, as a rule */
    uint32_t late;      /* of 1000 messages: up to ten times as late */
    uint32_t crash;     /* of 100,000 node-milliseconds */
    uint32_t partition; /* of 100,000 ms */
    uint32_t change;    /* of 10,000 ms */
    uint32_t transfer;  /* of 10,000 ms */
    uint32_t disk_ms;   /* a write takes up to that */
    uint32_t slow;      /* of 100,000 node-milliseconds: a disk becomes slow */
    uint32_t propose;   /* of 1000 ms */
    uint32_t read;      /* of 1000 ms */
    uint32_t down_ms;   /* a crashed node is away up to that */
};

struct model {
    const struct model_core *core;                      /* under test */
    struct sim_random random;                           /* of everything */
    struct model_hazards hazards;                       /* as they are now */
    uint64_t now_ms;                                    /* the one clock */
    uint32_t node_count;                                /* of nodes */
    uint32_t log_slots;                                 /* option of all nodes */
    uint64_t log_bytes;                                 /* option of all nodes */
    uint32_t batch_entries;                             /* option of all nodes */
    uint32_t inflight;                                  /* option of all nodes */
    uint64_t heal_links_ms;                             /* when partitions end; 0 = none */
    bool cut[MODEL_NODES_MAX + 1][MODEL_NODES_MAX + 1]; /* from, to */
    struct model_node nodes[MODEL_NODES_MAX];           /* by id - 1 */
    struct model_packet packets[MODEL_PACKETS_MAX];     /* on the way */
    uint32_t packet_count;                              /* of packets */
    uint64_t proposals;                                 /* made so far */
    uint64_t events;                                    /* stepped so far */
    uint32_t reads_asked;                               /* of reads */
    uint32_t reads_answered;                            /* for statistics */
    uint32_t installs;                                  /* for statistics */
    uint32_t changes;                                   /* for statistics */
    struct model_read reads[MODEL_READS_MAX];           /* by id */

    uint32_t leaders[MODEL_TERMS_MAX];                    /* by term; 0 = none */
    uint32_t votes[MODEL_NODES_MAX + 1][MODEL_TERMS_MAX]; /* by voter, term; 0 = none */
    struct model_known known[MODEL_ENTRIES_MAX];          /* open hash table */
    uint32_t known_count;                                 /* of known */
    uint64_t committed;                                   /* highest anywhere */
    struct model_entry log[MODEL_INDEX_MAX];              /* committed entries */
    uint64_t commit_term[MODEL_INDEX_MAX];                /* of the leader that committed */
    uint64_t hash[MODEL_INDEX_MAX];                       /* state after each */
    struct model_config config[MODEL_INDEX_MAX];          /* as of each */
    const char *wrong;                                    /* first rule broken, or NULL */
    uint32_t wrong_node;                                  /* at which node */
    uint64_t wrong_event;                                 /* after which event */
};

/* A world from a seed; about 100 MB of it, so it is not for the stack. */
struct model *model_create(const struct model_core *core, uint64_t seed);
void model_destroy(struct model *m);
/* Nodes restart all the time and at once, while messages are late and repeated. */
void model_make_restless(struct model *m);
/* Go on for so long, or until something is wrong. */
void model_run(struct model *m, uint64_t ms);
/* End all faults and start what is down. */
void model_heal(struct model *m);
/* Cut a node off from all others, or join it again. */
void model_isolate(struct model *m, uint32_t id, bool cut);
/* The leader of the highest term that is up, or NULL. */
struct model_node *model_leader(struct model *m);
/* The whole life of a seed: chaos, healing, liveness, a returning node. NULL = all is well. */
const char *model_live(struct model *m);

/* model_check.c: after each event. They set m->wrong. */
void model_check_step(struct model *m, struct model_node *n, const struct raft_event *event,
                      const struct raft_effects *fx, uint64_t commit_before);
void model_check_message(struct model *m, struct model_node *n, const struct raft_message *message);
void model_check_start(struct model *m, struct model_node *n);
void model_fail(struct model *m, struct model_node *n, const char *rule);
struct model_config model_config_of(const struct raft_config *c);
uint64_t model_hash_entry(uint32_t kind, struct bytes data);
uint64_t model_hash_state(uint64_t before, uint64_t term, uint64_t entry_hash);

#endif
