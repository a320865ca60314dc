/* coordinate_internal.h - the parts of a coordination, and what they ask of each other.
 *
 *   coordinate.c        its life: reading, deciding, what others say
 *   coordinate_write.c  giving a version to every replica
 *   coordinate_anew.c   going on under another view
 *   coordinate_who.c    who keeps a key, who of them lives, and how many must answer
 */
#ifndef ATOLL_SHARD_COORDINATE_INTERNAL_H
#define ATOLL_SHARD_COORDINATE_INTERNAL_H

#include "shard/coordinate.h"

struct decision;

/* ---- coordinate_who.c ---- */

/* Whose answers count for the request's key, by the view that the shard has; nobody's while there
 * is no cluster. */
struct slot_places coordinate_replicas(const struct shard *s, const struct request *q,
                                       uint32_t slot);
/* How many of them the request's level wants. Requires  a list */
struct round_needs coordinate_needs(const struct shard *s, const struct request *q,
                                    const struct slot_places *replicas, enum round_kind kind);
/* The position of this node, or -1. */
int coordinate_self(const struct shard *s, const struct slot_places *replicas);
/* Whether this node, at position `self`, is the first live one: of the list, or of the target if
 * nobody of the list lives. */
bool coordinate_is_home(const struct shard *s, const struct slot_places *replicas, int self);
/* Bits of the positions that seem alive. */
uint16_t coordinate_live(struct shard *s, const struct slot_places *replicas, uint32_t slot);
/* More than half of the others say that this clock is ahead of theirs beyond the bound. */
bool coordinate_clock_is_off(const struct shard *s);
/* More than half of them are ahead of this clock beyond the bound. */
bool coordinate_clock_is_behind(const struct shard *s);
/* As of this the key's keyspace was truncated here; zero = never. */
struct ballot coordination_floor(const struct shard *s, const struct coordination *k);
/* The member at this position. */
uint32_t coordination_member(const struct coordination *k, uint32_t position);
uint16_t coordination_live(struct shard *s, const struct coordination *k);
/* Bits of the other live positions that are sent something at the end of this turn anyway. */
uint16_t coordination_sent_anyway(struct shard *s, const struct coordination *k);

/* ---- coordinate.c ---- */

void coordination_begin_phase(const struct shard *s, struct coordination *k,
                              enum coordination_phase phase);
/* What the coordination still does is not for the call any more. */
struct call *coordination_take_call(struct coordination *k);
/* End its call with this outcome. */
void coordination_fail(struct shard *s, struct coordination *k, enum outcome outcome);
void coordination_close_questions(struct shard *s, struct coordination *k);
/* Take the steps that are due; it may be over then. */
void coordination_advance(struct shard *s, struct coordination *k);
/* Ended, and nothing that comes in later has anywhere to go but here. */
void coordination_release_if_over(struct shard *s, struct coordination *k);

/* ---- coordinate_write.c ---- */

/* Write what was decided. Errors  ST_BUSY: nothing was sent */
STATUS coordination_write(struct shard *s, struct coordination *k, const struct decision *d);
/* Give the version to every replica, the own one first. Errors  ST_BUSY: nothing was sent */
STATUS coordination_write_record(struct shard *s, struct coordination *k, const struct record *r);
/* Begin its round: everybody is asked. */
void coordination_write_round(struct shard *s, struct coordination *k);
/* The own replica took it, at this place in the log. */
void coordination_log_wait(struct shard *s, struct coordination *k, uint64_t sequence);
/* Send it to those asked, whom bits of `have` are taken to have it already. */
void coordination_send_records(struct shard *s, struct coordination *k, const struct record *r,
                               uint16_t have);
/* A replica will not take the write now: it gets a hint, if the own replica holds it. */
void coordination_missed(struct shard *s, struct coordination *k, uint32_t place);

#endif
