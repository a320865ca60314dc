/* call.h - one request on its way to the shard that owns its key, and back.
 *
 * A call belongs to a task of the shard that serves the client (`origin`) and is
 * carried out by the shard that owns the key (`home`), often the same. While it is
 * away the origin does not touch it; memory of the request stays with the task,
 * memory of the answer is made by the home and freed with the task.
 *
 * At its home a call that cannot be finished at once is parked, and calls for the same
 * key queue behind it in order of arrival:
 *
 *   SENT -> (QUEUED | FETCHING | STALLED | SCANNING | ASKING | WAITING)* -> HELD? -> ANSWERED
 */
#ifndef ATOLL_SHARD_CALL_H
#define ATOLL_SHARD_CALL_H

#include "base/limits.h"
#include "base/list.h"
#include "os/pool.h"
#include "proto/request.h"
#include "storage/engine.h"

enum call_state {
    CALL_IDLE,
    CALL_SENT,     /* on its way to its home, or about to be tried there */
    CALL_QUEUED,   /* behind an earlier call for the same key */
    CALL_FETCHING, /* a job reads a block it needs */
    CALL_STALLED,  /* the engine refused the write for now */
    CALL_SCANNING, /* a long walk that goes on next turn */
    CALL_ASKING,   /* replicas or another node carry it out */
    CALL_WAITING,  /* no other node would carry it out just now: it is tried again soon */
    CALL_HELD,     /* finished, but what it would show is not durable yet */
    CALL_ANSWERED, /* the response is there; back to the task */
    CALL_STATES,
};

/* Where a call's time went, to the length of a turn. What is in none of them, it waited for its
 * turn or for earlier calls. */
enum call_phase {
    CALL_PHASE_STALL,    /* the engine refused its write for now */
    CALL_PHASE_READ,     /* for blocks, and walking over a range */
    CALL_PHASE_REPLICAS, /* for other nodes */
    CALL_PHASE_LOG,      /* for the own log only, as others had answered */
    CALL_PHASES,
};

struct admin_work;
struct task;
struct walk;
struct row_page;

struct call {
    struct list link;         /* in the list of its state, at its home; in an outbox */
    struct list parked;       /* in the home's bucket of parked keys */
    struct task *task;        /* owner, at the origin */
    struct shard *shard;      /* home, for the job */
    struct os_job fetch;      /* CALL_FETCHING */
    struct status fetched;    /* what became of it; written by the job */
    struct engine_read read;  /* at home: lookup under way */
    struct walk *walk;        /* at home: range request under way; with the answer of a scan */
    struct request request;   /* views into the task's memory */
    struct response response; /* written by the home */
    uint8_t *value_copy;      /* what response.value points to; mem_alloc; NULL = none */
    struct row_page *page; /* rows another node sent, with their bytes in value_copy; mem_alloc */
    struct admin_work *admin; /* owned: what an operator asks; it has no request then */
    uint64_t sequence;        /* not to be shown before the home's log is safe up to here */
    uint64_t deadline_ns;     /* monotonic; a stalled call gives up then */
    uint64_t key_hash;        /* of keyspace and key, at home */
    uint16_t origin;          /* shard of the client */
    uint16_t home;            /* shard of the key, or that has the link to `remote_shard` */
    uint32_t member;          /* part of a range request: id of whose; MEMBER_NONE = this node's */
    uint16_t remote_shard;    /* of that member */
    uint16_t of_shards;       /* part of a range request: so many has the node that it is for */
    uint32_t merged;          /* SCAN: rows of the page that are merged already */
    uint8_t attempts;         /* nodes it was handed to under its present stamp */
    uint8_t lost;             /* of them, those of which nobody knows what they did */
    uint8_t overtaken;        /* times its stamp was too low */
    uint32_t tried_count;     /* times it was tried to hand it on; 0 = `tried` is empty */
    uint16_t tried[2 * REPLICAS_MAX]; /* places of the members tried last: a ring */
    uint64_t give_up_ms;       /* monotonic: when it is not handed on any more; 0 = not begun */
    uint64_t since_ns;         /* monotonic: turn in which `state` began */
    uint64_t own_since_ns;     /* ASKING: since when only the own replica was waited for; 0 = not */
    enum call_phase own_phase; /* of that: its disk or its log */
    uint32_t spent_us[CALL_PHASES]; /* since it was sent */
    uint32_t last_member;           /* id of whom it waited for last; MEMBER_NONE = none */
    enum call_state state;
};

/* The only way to change `state`; asserts that the step is allowed. `turn_ns`: of the shard that
 * has it. */
void call_move(struct call *c, enum call_state next, uint64_t turn_ns);

#endif
