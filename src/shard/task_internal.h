/* task_internal.h - what task.c asks of task_parts.c. */
#ifndef ATOLL_SHARD_TASK_INTERNAL_H
#define ATOLL_SHARD_TASK_INTERNAL_H

#include "shard/task.h"

/* Leave out the parts of nodes that failed, if the others together still know every key.
 * False: the whole has failed. */
bool task_drop_failed_parts(struct shard *s, struct task *t, enum outcome *ret_outcome);
/* It has: count it, and say how. */
void task_parts_failed(struct shard *s, enum outcome *failure);
/* Parts were refused by nodes that know a later view: ask again a little later, see
 * tasks_go_again. False: that is not why it failed, or its time is up. */
bool task_parts_later(struct shard *s, struct task *t);

#endif
