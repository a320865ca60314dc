/* admin_control.h - requests of operators at shard 0, where the control plane is.
 *
 * A call with an admin_work comes here like any other, is judged by the state of the moment, and
 * waits while a leader is looked for, a command is agreed on, or a member comes to lead. Its client
 * may leave meanwhile; the task waits for the call all the same.
 *
 * Lifecycle  admin_control_init -> (admin_control_begin | _turn)* -> _deinit, with no call waiting
 * Owner      shard 0, in its node_control
 * Memory     at most ADMIN_WAITS_MAX calls at once
 * Failure    a node that stops answers at once; what was proposed may still be carried out
 */
#ifndef ATOLL_SHARD_ADMIN_CONTROL_H
#define ATOLL_SHARD_ADMIN_CONTROL_H

#include "base/list.h"
#include "control/control.h"

#define ADMIN_WAITS_MAX CONTROL_PROPOSALS_MAX
#define ADMIN_LEADER_WAIT_MS 3000u /* so long one is waited for that leads, or is to lead */

struct call;
struct node_control;
struct shard;

struct admin_control {
    struct list waits; /* struct admin_wait */
    uint32_t count;    /* of them */
};

void admin_control_init(struct admin_control *a);
/* The control is destroyed: nobody answers proposals any more. */
void admin_control_deinit(struct admin_control *a);

/* Carry out a call that has come here; it is finished now or later. Any node; also one without a
 * control plane. */
void admin_control_begin(struct shard *s, struct call *c);
/* Finish what is through, after the control has been called. */
void admin_control_turn(struct node_control *c);
/* The node stops: its control plane takes no more part. */
void admin_control_stop(struct node_control *c);

#endif
