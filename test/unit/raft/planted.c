/* The step core once more, with its planted faults: src/raft/ compiled a second time under
 * other names, so that an ordinary test run shows that the model catches each of them. */
#ifndef ATOLL_MUTANTS
#define ATOLL_MUTANTS
#endif

#define mutant_active planted_fault
#define mutant_is planted_is
#define raft_advance_commit planted_advance_commit
#define raft_append_entry planted_append_entry
#define raft_beat_ms planted_beat_ms
#define raft_become_follower planted_become_follower
#define raft_begin_lead planted_begin_lead
#define raft_check planted_check
#define raft_commit_to planted_commit_to
#define raft_config_at planted_config_at
#define raft_deinit planted_deinit
#define raft_describe planted_describe
#define raft_flush planted_flush
#define raft_follow_config planted_follow_config
#define raft_hard_is_durable planted_hard_is_durable
#define raft_has_heard planted_has_heard
#define raft_heard_leader planted_heard_leader
#define raft_init planted_init
#define raft_on_append planted_on_append
#define raft_on_append_reply planted_on_append_reply
#define raft_on_change planted_on_change
#define raft_on_heartbeat planted_on_heartbeat
#define raft_on_heartbeat_reply planted_on_heartbeat_reply
#define raft_on_lead_tick planted_on_lead_tick
#define raft_on_pre_vote planted_on_pre_vote
#define raft_on_pre_vote_reply planted_on_pre_vote_reply
#define raft_on_propose planted_on_propose
#define raft_on_read planted_on_read
#define raft_on_snapshot planted_on_snapshot
#define raft_on_snapshot_installed planted_on_snapshot_installed
#define raft_on_snapshot_made planted_on_snapshot_made
#define raft_on_snapshot_reply planted_on_snapshot_reply
#define raft_on_timeout planted_on_timeout
#define raft_on_timeout_now planted_on_timeout_now
#define raft_on_transfer planted_on_transfer
#define raft_on_vote planted_on_vote
#define raft_on_vote_reply planted_on_vote_reply
#define raft_options_check planted_options_check
#define raft_progress_of planted_progress_of
#define raft_reset_timeout planted_reset_timeout
#define raft_resign_if_removed planted_resign_if_removed
#define raft_restore planted_restore
#define raft_restore_commit planted_restore_commit
#define raft_send planted_send
#define raft_send_chunk planted_send_chunk
#define raft_set_base planted_set_base
#define raft_settle_ack planted_settle_ack
#define raft_settle_reads planted_settle_reads
#define raft_settle_votes planted_settle_votes
#define raft_step planted_step
#define raft_truncate planted_truncate
#define raft_vote_is_ignored planted_vote_is_ignored

#include "base/mutant.c"
#include "raft/append.c"
#include "raft/change.c"
#include "raft/election.c"
#include "raft/raft.c"
#include "raft/replicate.c"
#include "raft/snapshot.c"

#include "test/unit/raft/model.h"

const struct model_core model_core_planted = { raft_init,   raft_restore, raft_restore_commit,
                                               raft_deinit, raft_step,    raft_describe };
