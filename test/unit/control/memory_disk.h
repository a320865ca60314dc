/* memory_disk.h - the store of a control plane in memory, of which a crash takes what was not
 * durable: everything behind some moment, and nothing that was said to be durable.
 *
 * Lifecycle  test_disk_init -> table -> (poll | crash)* -> deinit
 */
#ifndef TEST_MEMORY_DISK_H
#define TEST_MEMORY_DISK_H

#include "control/control_store.h"
#include "sim/random.h"

#define TEST_DISK_OPS_MAX 8192u
#define TEST_DISK_ENTRIES_MAX 8192u

enum test_disk_kind {
    TEST_DISK_HARD,
    TEST_DISK_TRUNCATE,
    TEST_DISK_APPEND,
    TEST_DISK_MARK,
    TEST_DISK_APPLIED,
    TEST_DISK_CLUSTER,
    TEST_DISK_SNAPSHOT,
    TEST_DISK_INSTALL,
};

struct test_disk_op {
    enum test_disk_kind kind;                  /* which of the rest counts */
    struct raft_hard_state hard;               /* HARD */
    struct raft_mark mark;                     /* MARK */
    uint64_t index;                            /* TRUNCATE, APPLIED */
    struct raft_entry entry;                   /* APPEND: its data owned */
    struct raft_snapshot snapshot;             /* SNAPSHOT, INSTALL: owned */
    uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]; /* CLUSTER */
};

struct test_disk {
    struct sim_random *random;                        /* the world's */
    uint32_t slow_ms;                                 /* a job takes up to that */
    bool exists;                                      /* it was made */
    bool broken;                                      /* a rule of raft_store.h was broken */
    uint64_t full_until_ms;                           /* nothing becomes durable before */
    struct raft_store_owner owner;                    /* durable, as all up to `entries` */
    struct raft_hard_state hard;                      /* as stored last */
    struct raft_snapshot snapshot;                    /* owned; index 0 = none */
    uint64_t applied;                                 /* as stored last */
    uint32_t entry_count;                             /* of entries */
    struct raft_entry entries[TEST_DISK_ENTRIES_MAX]; /* behind the snapshot; data owned */
    struct test_disk_op ops[TEST_DISK_OPS_MAX];       /* not durable yet, in order */
    uint32_t op_count;                                /* of ops */
    uint32_t job_ops;                                 /* of them, being written; 0 = no job */
    uint64_t job_done_ms;                             /* when it ends */
    uint64_t now_ms;                                  /* set by the world */
    bool flush_again;                                 /* another job follows */
    struct raft_mark mark;                            /* newest durable one of this run */
};

void test_disk_init(struct test_disk *d, struct sim_random *random);
void test_disk_deinit(struct test_disk *d);
void test_disk_table(struct test_disk *d, struct control_store *ret_store);
/* A job that is done by now: what control_stored is to be told. */
bool test_disk_poll(struct test_disk *d, struct raft_store_done *ret_done);
/* Some of what was on its way is there, from the front. */
void test_disk_crash(struct test_disk *d);
/* An empty disk in its place. */
void test_disk_wipe(struct test_disk *d);
/* What a start finds; views hold until the next call. */
void test_disk_restored(struct test_disk *d, struct raft_store_restored *ret_restored);

#endif
