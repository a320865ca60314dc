/* The control plane once more, with its planted faults: src/control/ compiled a second time under
 * other names, so that an ordinary test run shows that the model catches each of them. */
#ifndef ATOLL_MUTANTS
#define ATOLL_MUTANTS
#endif

#define mutant_active control_planted_fault
#define mutant_is control_planted_is
#define control_adopted planted_control_adopted
#define control_advance planted_control_advance
#define control_answer planted_control_answer
#define control_ask planted_control_ask
#define control_begin planted_control_begin
#define control_encode_out planted_control_encode_out
#define control_carry planted_control_carry
#define control_carry_tick planted_control_carry_tick
#define control_caught_up planted_control_caught_up
#define control_check planted_control_check
#define control_copy_address planted_control_copy_address
#define control_create planted_control_create
#define control_destroy planted_control_destroy
#define control_drop_proposals planted_control_drop_proposals
#define control_find_neighbor planted_control_find_neighbor
#define control_find_peer planted_control_find_peer
#define control_first_voters planted_control_first_voters
#define control_found_alone planted_control_found_alone
#define control_found_joined planted_control_found_joined
#define control_found_list planted_control_found_list
#define control_gather_begin planted_control_gather_begin
#define control_heard_leader planted_control_heard_leader
#define control_is_leader planted_control_is_leader
#define control_lead planted_control_lead
#define control_leave planted_control_leave
#define control_leads_quietly planted_control_leads_quietly
#define control_linked planted_control_linked
#define control_load planted_control_load
#define control_meet planted_control_meet
#define control_member_deinit planted_control_member_deinit
#define control_member_restore planted_control_member_restore
#define control_news_wanted planted_control_news_wanted
#define control_on_carry planted_control_on_carry
#define control_on_i_am planted_control_on_i_am
#define control_on_join planted_control_on_join
#define control_on_join_refused planted_control_on_join_refused
#define control_on_joined planted_control_on_joined
#define control_on_metadata planted_control_on_metadata
#define control_on_metadata_wanted planted_control_on_metadata_wanted
#define control_on_progress planted_control_on_progress
#define control_on_propose planted_control_on_propose
#define control_on_raft planted_control_on_raft
#define control_on_report planted_control_on_report
#define control_on_who planted_control_on_who
#define control_options_init planted_control_options_init
#define control_propose planted_control_propose
#define control_propose_boot planted_control_propose_boot
#define control_propose_join planted_control_propose_join
#define control_propose_now planted_control_propose_now
#define control_pump_proposals planted_control_pump_proposals
#define control_random planted_control_random
#define control_receive planted_control_receive
#define control_refuse planted_control_refuse
#define control_report_tick planted_control_report_tick
#define control_restore planted_control_restore
#define control_send planted_control_send
#define control_send_address planted_control_send_address
#define control_settle_proposals planted_control_settle_proposals
#define control_state planted_control_state
#define control_status planted_control_status
#define control_status_copy planted_control_status_copy
#define control_status_report planted_control_status_report
#define control_step planted_control_step
#define control_stored planted_control_stored
#define control_take_news_due planted_control_take_news_due
#define control_take_peer planted_control_take_peer
#define control_tell_joined planted_control_tell_joined
#define control_tick planted_control_tick
#define control_transfer planted_control_transfer
#define control_trim_peers planted_control_trim_peers

#include "base/mutant.c"
#include "control/control.c"
#include "control/control_carry.c"
#include "control/control_gather.c"
#include "control/control_lead.c"
#include "control/control_member.c"
#include "control/control_propose.c"
#include "control/control_report.c"

#include "test/unit/control/model.h"

const struct model_core control_core_planted = {
    control_create, control_restore, control_destroy,   control_tick,    control_receive,
    control_stored, control_adopted, control_caught_up, control_propose, control_transfer,
    control_leave,  control_status,  control_state,     control_check,
};
