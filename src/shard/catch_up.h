/* catch_up.h - filling a slot's new replicas from its old ones while it is joint (R10).
 *
 * Two shards that both keep slots in the joint phase, of which at least one of the two is in the
 * list, make these equal before they go on with normal passes: by passes of their own, over
 * all stamps, without a time of grace and at a rate of their own (repair.h has the rest).
 * Shards that are both only in targets compare nothing: all that may be there is in the list.
 *
 * What a pass is about is told by a number, the hash of the slots, their epochs and the floor of
 * the keyspace. The other side answers only if it finds the same number in the view it has adopted:
 * so a clean pass began after both had adopted the joint phase of every such slot and taken the
 * same truncations, and views that change other slots do not void it. It is kept as `caught`; a shard has caught up when that is the present number
 * of all pairs, but those with members that are marked dead, and all is durable.
 *
 * What belongs is what the list has: a shard of its members is taken at its word, and one that is
 * in the target only is not, neither on what it holds at or below the other's floor (a leftover
 * of an earlier time, hidden under a tombstone) nor on what it lacks.
 *
 * Failure  none of its own: a pass that is not clean is made again
 */
#ifndef ATOLL_SHARD_CATCH_UP_H
#define ATOLL_SHARD_CATCH_UP_H

#include "shard/repair.h"

#define CATCH_UPS_ACTIVE_MAX 4u                  /* passes of one shard at once */
#define CATCH_UP_ITEMS_MAX 2048u                 /* records of one shard under way */
#define CATCH_UP_BYTES_AHEAD (UINT64_C(8) << 20) /* of these, about */
#define CATCH_UP_RETRY_MS 200u                   /* after a pass that was not clean */
#define CATCH_UP_FAILURES_MAX 4u                 /* questions not answered: it begins anew */
#define CATCH_UP_BLOCKS_AHEAD 32u                /* of a table, read at once */
#define CATCH_UP_BURST_MS 100u                   /* of the rate is what may be saved up */
#define CATCH_UP_WAKE_MS 5u                      /* the shard looks again, if the rate held it up */

/* Whether slots of this pair are on their way and not equal yet. */
bool catch_up_is_due(struct shard *s, struct repair *r);
/* The number of the slots that the pair has to make equal; 0 = none. */
uint64_t catch_up_joint(struct shard *s, struct repair *r);
/* The same, if the shard's keyspace is truncated below `floor`. */
uint64_t catch_up_joint_with(struct shard *s, struct repair *r, struct ballot floor);
/* The number of the slots that normal passes of the pair compare. */
uint64_t catch_up_settled(struct shard *s, struct repair *r);
/* Whether the slot is compared with this member: in a catch-up pass, or in a normal one.
 * Requires  both keep it */
bool catch_up_compares(const struct shard *s, uint32_t slot, uint32_t member, bool catches);
/* Whether a member that is filled may be taken at its word on the slot. */
bool catch_up_knows(const struct shard *s, uint32_t slot, uint32_t member);
/* The other side had a clean pass with this number. */
void catch_up_heard(struct shard *s, struct repair *r, uint64_t caught);
/* Whether the shard may compare joint slots yet. */
bool catch_up_may_compare(const struct shard *s);

/* Where a pass begins that is new. Others that fill the same slots begin elsewhere, and each finds
 * equal what another has filled when it gets there. */
void catch_up_choose_begin(struct shard *s, struct repair *r);

/* ---- the rate ---- */

/* Whether passes may go on; whether a further record may be sent or fetched. */
bool catch_up_may_walk(const struct shard *s);
bool catch_up_may_move(const struct shard *s);
void catch_up_tokens_raise(struct shard *s);
/* Records that may be under way at once. */
uint32_t catch_up_window(const struct shard *s);
/* How large a record is, about. */
uint64_t catch_up_bytes_usual(const struct shard *s);
/* A record of about the usual size is asked for; then: it was this large. */
void catch_up_spend(struct shard *s);
void catch_up_settle(struct shard *s, uint64_t bytes);
uint64_t catch_up_bytes(const struct record *r);
/* What was sent or taken for a slot that is on its way, by whichever side asked. */
void catch_up_count_sent(struct shard *s, const struct record *r);
void catch_up_count_taken(struct shard *s, const struct record *r);

/* ---- the shard ---- */

/* What follows from the view that the shard has; before anything is taken under it. */
void catch_up_adopt(struct shard *s);
/* Say how far the shard is; every tick. */
void catch_up_tick(struct shard *s);
/* What is stamped below this in a joint slot that this node is only to get was left here when it
 * kept the slot before: nobody but repair may see it. 0 = there is no such thing. */
uint64_t catch_up_hidden_before(const struct shard *s);
/* Whether the record is one of these. */
bool catch_up_hides(const struct shard *s, const struct record *r);

/* ---- what is left behind ---- */

/* Slots that the node keeps no more are dropped by compaction; a note says which are gone, so that
 * a start need not look through all tables for nothing. Read it; at start, before any put. */
void left_behind_open(struct shard *s, uint64_t noted);
/* Requires  as catch_up_adopt */
void left_behind_adopt(struct shard *s);
/* Keep the note. */
void left_behind_tick(struct shard *s);

#endif
