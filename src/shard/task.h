/* task.h - one command of a client that could not be answered at once.
 *
 * The request table of a shard: a bounded pool. A task copies what it needs of the
 * command, sends one call per request to the shards that own the keys, and when all
 * are answered its reply goes to the connection, in the order of the commands.
 *
 * Lifecycle  take -> start -> (call answered)* -> finished -> released by the
 *            connection; a task whose client left is released when its calls are back
 * Owner      the shard that serves the client
 * Memory     an arena for copies, a buffer for the reply; cut to a kilobyte each at release
 */
#ifndef ATOLL_SHARD_TASK_H
#define ATOLL_SHARD_TASK_H

#include "base/arena.h"
#include "base/buffer.h"
#include "cluster/place_set.h"
#include "proto/plan.h"
#include "shard/call.h"

/* Commands that may wait at once in one shard: what 10,000 clients need when each
 * tenth waits, with room; 4096 x about 1 KiB of fixed memory. */
#define SHARD_TASKS_MAX 4096u
/* Waiting commands of one connection, beyond which it is not read. */
#define CONNECTION_TASKS_MAX 256u

struct connection;
struct shard;
struct task;

/* Once, for a task of the pool. */
void task_init(struct task *t);
void task_deinit(struct task *t);

struct task {
    struct list link;               /* in the connection's row, or the shard's free list */
    struct connection *connection;  /* NULL = the client left */
    struct plan plan;               /* its views point into `arena` */
    struct arena arena;             /* chunks only while the task is in use */
    struct call one;                /* the call of a single-request task */
    struct call *calls;             /* &one, or an array from mem_alloc */
    uint32_t calls_count;           /* 1.. once started */
    uint32_t calls_sent;            /* the first so many have been on their way */
    uint64_t answer_bytes;          /* values in the answers so far */
    size_t rows_bytes;              /* of them for gathered rows */
    size_t held_bytes;              /* what the shard counts for this task */
    uint32_t calls_pending;         /* not answered yet; 1 while in `again` */
    struct buffer reply;            /* encoded, when finished */
    uint64_t sequence;              /* hold the reply until the own log is safe up to here */
    uint64_t started_ns;            /* monotonic: start of the turn that read the command */
    uint64_t finished_ns;           /* monotonic: turn in which `finished` was set; 0 = not yet */
    uint64_t paused_ns;             /* monotonic: since when a scan waits for its client; 0 = not */
    uint64_t note;                  /* PLAN_REPLIED: of its command, see shard_slow_note */
    uint32_t spent_us[CALL_PHASES]; /* of the calls that it waited for last */
    uint32_t parse_us;              /* decoding the command */
    uint32_t send_us;               /* waiting for the client, before it was finished */
    uint32_t last_member;           /* id of whom it waited for last; MEMBER_NONE = none */
    uint32_t kind;                  /* op_kind, for the figures; OP_KINDS = not counted */
    uint64_t epoch;                 /* range request: of the view that its parts are of */
    struct list again;       /* in the shard's `tasks_again`: its parts are to be made anew */
    uint64_t again_until_ms; /* monotonic: it has failed if it has to be again; 0 = it had not */
    struct place_set members_asked;  /* parts of a range request: the places asked, */
    struct place_set members_failed; /* and those that did not answer every part */
    bool barrier; /* starts when it is the first in its row; later commands wait */
    bool unsent;  /* counted in the connection's `unsent` */
    bool started;
    bool finished; /* `reply` is complete */
    /* PLAN_SCAN */
    struct buffer resume; /* walk on behind this key */
    uint32_t rounds_left; /* pages of each shard still to ask for; 0 = no limit was set */
    struct row *rows;     /* mem_alloc: RESP all rows so far, copied to `arena`; HTTP those of
                                      the present round, views into its pages */
    uint32_t rows_count, rows_capacity;
    uint64_t rows_emitted; /* in all rounds */
    bool begun;            /* HTTP: the reply has begun to stream */
    bool wraps;            /* RANDOMKEY: behind the last key begin again at the first, once */
};

#endif
