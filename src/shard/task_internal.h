/* task_internal.h - what task.c asks of task_parts.c, task_merge.c and task_truncate.c. */
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
    struct ballot floor; /* the highest of theirs: above it nothing is truncated */
};

/* Requires  every call has its page */
struct task_merge task_merge_begin(const struct task *t);
/* The next row that is there, in key order and not past the bound; NULL = none. */
const struct row *task_merge_next(struct task *t, const struct task_merge *m);

/* A truncation goes round twice: every shard is asked how far its clock is, then each is given the
 * floor, above all that they stamped or took before. As enough of them answer, what was acknowledged
 * before it began is gone after it, through whatever nodes and with whatever clocks. */

/* Whether the task truncates and this node's clock forbids it (R14): a floor that is too far ahead
 * would cover later writes, one that is too far behind would leave what was written before. */
bool task_truncation_is_unlawful(const struct shard *s, const struct task *t);
/* Whether what was answered is the first round's. */
bool task_truncation_asks(const struct task *t);
/* Of the first round's answers those that no lawful floor is above are none. */
void task_truncation_judge(const struct shard *s, struct task *t);
/* What a client is told that a round failed for: in the second some shards may have taken the floor. */
enum outcome task_truncation_failure(const struct shard *s, const struct task *t,
                                     enum outcome failure);
/* Choose the floor. Requires  the first round's parts, once judged, are enough */
void task_truncation_choose(struct shard *s, struct task *t);

#endif
