/* task_internal.h - what task.c asks of task_parts.c and task_merge.c. */
#ifndef ATOLL_SHARD_TASK_INTERNAL_H
#define ATOLL_SHARD_TASK_INTERNAL_H

#include "shard/task.h"

/* Leave out the parts of nodes that failed, if the others together still know every key.
 * False: the whole has failed. */
bool task_drop_failed_parts(struct shard *s, struct task *t, enum outcome *ret_outcome);
/* It has: count it, and say how. */
void task_parts_failed(struct shard *s, enum outcome *failure);
/* Parts were refused by nodes that have another view: ask again a little later, see
 * tasks_go_again. False: that is not why it failed, or its time is up. */
bool task_parts_later(struct shard *s, struct task *t);

/* What the pages of one round of a scan have in common. */
struct task_merge {
    bool more;           /* some shard has looked no further than `bound` */
    struct bytes bound;  /* last key that all have looked at */
    struct ballot floor; /* the keyspace was truncated as of this, by what any of them knows */
};

/* Requires  every call has its page */
struct task_merge task_merge_begin(const struct task *t);
/* The next row that is there, in key order and not past the bound; NULL = none. */
const struct row *task_merge_next(struct task *t, const struct task_merge *m);

#endif
