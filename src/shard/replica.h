/* replica.h - what this shard does for coordinators on other nodes, and for its own.
 *
 * One door for every version of a key, whoever brings it (R1): a client's write, a hint, a
 * repair. A version is taken unless it is stamped too far ahead of the clock (R14) or lies
 * at or below the floor (R9); of two the engine keeps the higher ballot. A damaged
 * key is not a missing one: the replica abstains (R12). What was sent under an older epoch of
 * the slot than this shard knows is refused (R10).
 */
#ifndef ATOLL_SHARD_REPLICA_H
#define ATOLL_SHARD_REPLICA_H

#include "proto/peer.h"
#include "shard/link.h"
#include "storage/record.h"

struct engine_read;
struct shard;

/* Keep this version here (R1). `from`: the node that sent it, NULL = a client, or nobody knows.
 * `ret_sequence`: it is durable once the log is safe up to there. */
enum peer_accept_status replica_accept(struct shard *s, const struct record *r,
                                       const struct peer *from, uint64_t *ret_sequence);
/* The same, even at or below the floor: for what repair brings back (repair_may_restore). */
enum peer_accept_status replica_restore(struct shard *s, const struct record *r,
                                        const struct peer *from, uint64_t *ret_sequence);
/* Send it to another replica; `id` 0 = no answer wanted. `epoch`: of the slot (replica_epoch). */
void replica_send(struct link *l, uint8_t flags, uint64_t id, uint64_t epoch,
                  const struct record *r);
/* Ask another replica which version it holds. */
void replica_ask(struct link *l, uint8_t flags, uint64_t id, uint64_t epoch, struct bytes ikey);
/* Of the key's slot, by the view that the shard has. */
uint64_t replica_epoch(const struct shard *s, struct bytes ikey);
/* What came over a link, under this ikey. */
struct record replica_record(const struct peer_record *m, struct bytes ikey);
/* What readers are told of a key of which the engine said `st`. If it is absent and its keyspace was
 * truncated, `read` becomes a tombstone of then: what a replica still has that has not heard of the
 * truncation is older (R9). */
struct status replica_absence(const struct shard *s, struct bytes ikey, struct status st,
                              struct engine_read *read);
/* Whether this shard keeps the slot's keys. */
bool replica_keeps(const struct shard *s, uint32_t slot);
/* Whether it may say what it holds of a slot that it keeps. One that is not filled may not (R11), but
 * where it is only in the target: reads need the list as well, and that holds everything. */
bool replica_may_tell(const struct shard *s, uint32_t slot);
/* The same of everything that it keeps, for parts of range requests. */
bool replica_may_tell_all(const struct shard *s);

/* Carry out what the other side of `l` asks. */
void replica_serve_accept(struct shard *s, struct link *l, const struct peer_frame *f);
/* Versions that the engine refused for now: try again, up to the time a stalled write may wait. */
void replica_resume(struct shard *s);
/* What waits for the engine or for a view is for nobody any more. */
void replica_forget_stalled(struct shard *s);
/* There is another view: messages about slots that were not kept here wait for that. */
void replica_adopt(struct shard *s);
/* Refuse those that waited too long; every tick. */
void replica_tick(struct shard *s);
void replica_serve_query(struct shard *s, struct link *l, const struct peer_frame *f);
void replica_serve_floor(struct shard *s, struct link *l, const struct peer_frame *f);
/* A query's block has been read. */
struct lookup;
void replica_found(struct shard *s, struct lookup *l);

#endif
