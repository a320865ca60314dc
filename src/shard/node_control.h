/* node_control.h - the control plane of a node, on the loop of shard 0.
 *
 * Gives control/control.h its time, messages and finished writes, and carries out what it wants:
 * messages travel over the links and seeds of shard 0, states become views for all shards. Other
 * threads only read the copy of its status.
 *
 * Lifecycle  create, once shard 0 exists -> open (blocking; a view is published if one is stored)
 *            -> begin, on shard 0's thread or before it runs -> tick ... -> destroy, when idle
 * Owner      shard 0; node_control_status from any thread
 * Memory     as the control
 * Failure    `refused` of the options: this node may not go on
 */
#ifndef ATOLL_SHARD_NODE_CONTROL_H
#define ATOLL_SHARD_NODE_CONTROL_H

#include "control/control.h"
#include "os/loop.h"
#include "os/thread.h"
#include "shard/admin_control.h"
#include "shard/change_watch.h"

struct node;
struct link;

struct node_control_options {
    struct control_options control;               /* as control.h has it; copied */
    const char *dir;                              /* of the raft store; a proxy has none: NULL */
    void (*refused)(void *user, const char *why); /* stop the process; on shard 0's thread */
    void *user;                                   /* its first argument */
};

/* Bytes of records for slots on their way. */
struct node_traffic {
    uint64_t sent;     /* to others */
    uint64_t received; /* from others */
};

struct node_control {
    struct node *node;
    struct node_control_options options;
    struct control *control;
    struct os_timer timer;
    struct admin_control admin;         /* what operators wait for */
    uint64_t adopted_epoch;             /* as told to the control */
    uint64_t caught_up_epoch;           /* likewise */
    uint64_t leave_until_ms;            /* stopping: monotonic; 0 = not begun */
    bool left;                          /* stopping: the control takes no part any more */
    bool view_waits;                    /* a state has no view yet for want of a place */
    uint64_t traffic_change;            /* id of the change that traffic is counted for */
    struct node_traffic traffic_before; /* what had passed when it was first seen */
    uint64_t load_ms;                   /* monotonic: when the load is told again */
    uint64_t seen_change;               /* id of the change that waits are counted for */
    uint64_t seen_ms;                   /* monotonic: when it was seen first */
    uint64_t silent_told_ms;            /* monotonic: when the log was told of it; 0 = not */
    uint32_t leader_told;               /* id, in the log; 0 = none yet */
    uint64_t term_told;                 /* in which it led */
    char wait_told[CONTROL_LINE_BYTES]; /* in the log: what is waited for without a cluster */
    struct change_watch watch;          /* of the running change */
    struct os_mutex lock;               /* of what follows */
    struct control_status status;       /* a copy for others */
    struct node_change change;          /* likewise; .id 0 = none is running */
};

/* Requires  shard 0 exists and does not run */
struct node_control *node_control_create(struct node *n, const struct node_control_options *o);
/* Errors  ST_CORRUPT, ST_FULL, ST_IO: logged */
STATUS node_control_open(struct node_control *c);
/* From now on time passes for it.
 * Requires  shard 0 does not run yet, or the caller runs it: the timer is of its loop */
void node_control_begin(struct node_control *c);
/* Whether it may be destroyed: no write is under way. */
bool node_control_is_idle(const struct node_control *c);
/* The shard stops: whether another leads instead, or that was waited for long enough. */
bool node_control_has_left(const struct node_control *c);
/* NULL is nothing to destroy. */
void node_control_destroy(struct node_control *c);

void node_control_tick(struct node_control *c);
/* A PEER_CONTROL frame. */
void node_control_receive(struct link *l, struct bytes message);
/* A link to a member is up or down. */
void node_control_linked(const struct link *l, bool up);

/* As of the last tick; any thread. */
void node_control_status(struct node_control *c, struct control_status *ret_status,
                         struct node_change *ret_change);

#endif
