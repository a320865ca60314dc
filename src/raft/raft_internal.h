/* raft_internal.h - how the parts of the step core call each other.
 *
 * raft.c takes events and settles a step; election.c is who leads; append.c the follower's
 * side and replicate.c the leader's side of the log; snapshot.c and change.c are what they say.
 * All of them work on one struct raft and the effects of the step at hand.
 */
#ifndef ATOLL_RAFT_RAFT_INTERNAL_H
#define ATOLL_RAFT_RAFT_INTERNAL_H

#include "raft/raft.h"

/* raft.c */

/* A message of this term, or NULL when there is no room left in this step. */
struct raft_message *raft_send(struct raft *r, struct raft_effects *out,
                               enum raft_message_kind kind, uint32_t to);
/* Whether term and vote, as they are now, are durable. */
bool raft_hard_is_durable(const struct raft *r);
/* Errors  ST_FULL, ST_CORRUPT: a change that cannot be; nothing was changed */
STATUS raft_append_entry(struct raft *r, uint64_t term, enum raft_entry_kind kind,
                         struct bytes data, struct raft_effects *out);
/* Cut the log, and take the config back to what it was then. */
void raft_truncate(struct raft *r, uint64_t index, struct raft_effects *out);
/* Requires  commit <= index <= log.last_index */
void raft_commit_to(struct raft *r, uint64_t index);
/* The config as of `index`, from config_base on. */
STATUS raft_config_at(const struct raft *r, uint64_t index, struct raft_config *ret_config);
/* What log.base_index now covers; `config` may be config_base. */
void raft_set_base(struct raft *r, const struct raft_config *config, struct bytes data);

/* election.c */

/* Requires  term >= r->term */
void raft_become_follower(struct raft *r, uint64_t term, uint32_t leader);
/* A message from the leader of this term. */
void raft_heard_leader(struct raft *r, uint32_t leader);
void raft_reset_timeout(struct raft *r);
void raft_on_timeout(struct raft *r, struct raft_effects *out);
void raft_on_pre_vote(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_pre_vote_reply(struct raft *r, const struct raft_message *m);
/* Whether a VOTE counts at all, before its term is looked at. */
bool raft_vote_is_ignored(const struct raft *r, const struct raft_message *m);
void raft_on_vote(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_vote_reply(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_timeout_now(struct raft *r, const struct raft_message *m);
/* Send what has become durable: the vote given, the candidacy. */
void raft_settle_votes(struct raft *r, struct raft_effects *out);

/* append.c */

void raft_on_append(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_heartbeat(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_settle_ack(struct raft *r, struct raft_effects *out);

/* replicate.c */

/* NULL = not a member, or this node itself. */
struct raft_progress *raft_progress_of(struct raft *r, uint32_t id);
void raft_begin_lead(struct raft *r, struct raft_effects *out);
void raft_on_lead_tick(struct raft *r);
void raft_on_append_reply(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_heartbeat_reply(struct raft *r, const struct raft_message *m,
                             struct raft_effects *out);
void raft_on_propose(struct raft *r, struct bytes data, struct raft_effects *out);
void raft_on_read(struct raft *r, uint64_t id, struct raft_effects *out);
/* Commit what is durable on a majority. */
void raft_advance_commit(struct raft *r);
/* Answer the reads whose round a majority has answered. */
void raft_settle_reads(struct raft *r, struct raft_effects *out);
/* Send all that is due, as far as `out` has room. */
void raft_flush(struct raft *r, struct raft_effects *out);

/* snapshot.c */

void raft_on_snapshot(struct raft *r, const struct raft_message *m, struct raft_effects *out);
void raft_on_snapshot_reply(struct raft *r, const struct raft_message *m);
void raft_on_snapshot_made(struct raft *r, uint64_t index, struct bytes data,
                           struct raft_effects *out);
void raft_on_snapshot_installed(struct raft *r, uint64_t index, struct bytes data,
                                struct raft_effects *out);
/* Send the next piece, if one is due. False when `out` is full. */
bool raft_send_chunk(struct raft *r, struct raft_progress *p, struct raft_effects *out);

/* change.c */

void raft_on_change(struct raft *r, struct raft_change change, struct raft_effects *out);
void raft_on_transfer(struct raft *r, uint32_t to, bool prove, struct raft_effects *out);
/* Make the list of progress follow the config. */
void raft_follow_config(struct raft *r);
/* A leader that its own committed change has put out of the voters gives up (4.2.2). */
void raft_resign_if_removed(struct raft *r);

#endif
