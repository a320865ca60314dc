/* admin_judge.h - what an operator's request comes to, by the state the cluster agrees on.
 *
 * Pure: gives the answer, or the command that has to be agreed on first, and then the answer that
 * its result makes. Who may hold what up, and for how long, is for shard/admin_control.c.
 *
 * Lifecycle  admin_work_create -> admin_judge -> (admin_settle)* -> admin_work_destroy
 * Owner      the call that carries it: the shard at which that is
 * Memory     the reply lends from the work's arena
 */
#ifndef ATOLL_SHARD_ADMIN_JUDGE_H
#define ATOLL_SHARD_ADMIN_JUDGE_H

#include "base/arena.h"
#include "cluster/place_set.h"
#include "control/control.h"
#include "proto/admin.h"

/* One request and its answer. */
struct admin_work {
    struct admin_request request; /* a copy of the face's */
    struct admin_reply reply;     /* once it is answered */
    struct arena arena;           /* addresses, names and plans of the reply */
    uint32_t member;              /* id of whom it is about; 0 = nobody */
    bool gave_up;                 /* REMOVE: the member is dead now, a change may be begun */
    bool begins;                  /* a change that was cancelled is begun again */
    bool creates;                 /* KEYSPACE_PUT: the command makes a new one */
};

/* What is known at the moment of the judgement. */
struct admin_world {
    const struct metadata *state;        /* the last one published; NULL = none */
    const struct control_status *status; /* of the same moment */
    struct place_set alive;              /* indexes of `state`: members that answer */
    uint64_t throttle;                   /* bytes/s, of changes that begin here; 0 = no limit */
    uint64_t wall_ms;                    /* for people */
};

enum admin_verdict {
    ADMIN_ANSWERED,      /* `reply` holds */
    ADMIN_NEEDS_COMMAND, /* to be agreed on; then admin_settle */
    ADMIN_NEEDS_LEAD,    /* `member` is asked to lead; it is answered when it does */
    ADMIN_NEEDS_LEADER,  /* nobody leads: judge again when somebody does */
};

struct admin_work *admin_work_create(const struct admin_request *q);
/* NULL is nothing to destroy. */
void admin_work_destroy(struct admin_work *w);

/* `ret_command` is filled with NEEDS_COMMAND only; it has views of the work. */
enum admin_verdict admin_judge(struct admin_work *w, const struct admin_world *world,
                               struct metadata_command *ret_command);
/* The command has been answered: ANSWERED, or NEEDS_COMMAND for the next one. */
enum admin_verdict admin_settle(struct admin_work *w, const struct admin_world *world,
                                enum control_outcome outcome, struct metadata_result result,
                                struct metadata_command *ret_command);
/* The member that was asked to lead does. */
void admin_leads(struct admin_work *w, const struct admin_world *world);

/* What a refusal of the metadata is to people. Requires  not META_OK */
enum admin_outcome admin_outcome_of(enum metadata_code code);

/* ---- among the files of the judgement ---- */

/* Answer without more ado. */
enum admin_verdict admin_end(struct admin_work *w, enum admin_outcome outcome);
enum admin_verdict admin_plan(struct admin_work *w, const struct admin_world *world);
/* Let the reply have the plan of a change to `inputs`. */
void admin_add_plan(struct admin_work *w, const struct admin_world *world,
                    const struct ring_inputs *inputs);
/* What the others would lack without the member at index `at`. `copied`: it hands its slots over
 * before it goes. */
struct admin_risk admin_risk_of(const struct metadata *m, uint32_t at, bool copied);
/* Index in the state of the member that the request names; MEMBER_NONE: answered so. */
uint32_t admin_find_member(struct admin_work *w, const struct metadata *m);
enum admin_verdict admin_judge_replicas(struct admin_work *w, const struct admin_world *world,
                                        struct metadata_command *ret_command);
/* Refused for META_COPIES or META_CHANGE_RUNNING: what comes first. */
void admin_say_copies(struct admin_work *w, const struct metadata *m, enum metadata_code code);
/* Slots will get the copies that were asked for. */
void admin_say_replicas(struct admin_work *w, const struct metadata *m);
enum admin_verdict admin_judge_keyspace(struct admin_work *w, const struct admin_world *world,
                                        struct metadata_command *ret_command);
/* A copy that goes with the work. */
const char *admin_keep_text(struct admin_work *w, struct bytes text);
/* The keyspace as it is now, into the reply. */
void admin_show_keyspace(struct admin_work *w, const struct keyspace *k);

#endif
