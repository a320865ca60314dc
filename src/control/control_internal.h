/* control_internal.h - what the files of the control plane share.
 *
 *   control.c          the object: options, stages, dispatch of messages, routes, status
 *   control_gather.c   before a member id is there: gathering, joining, proxies; WHO and JOIN
 *   control_member.c   the Raft core, the store, the state; publishing, snapshots
 *   control_propose.c  commands of this node on their way, and of others at the leader
 *   control_report.c   what nodes tell about themselves
 *   control_carry.c    the way to the leader and back over other members
 *   control_lead.c     the leader's work
 *   control_store.c    the store on disk
 *
 * The state goes on in strides: how far it will be applied is stored first, and only when that
 * is durable are the entries applied and the state published. So the state in memory is always
 * the one published, and nobody ever sees what a crash takes back.
 */
#ifndef ATOLL_CONTROL_CONTROL_INTERNAL_H
#define ATOLL_CONTROL_CONTROL_INTERNAL_H

#include "base/assert.h"
#include "base/mutant.h"
#include "cluster/place_set.h"
#include "control/control.h"
#include "control/control_message.h"
#include "control/control_store.h"

#define CONTROL_ASK_MS 300u   /* questions to others are repeated after so long */
#define CONTROL_RETRY_MS 300u /* a proposal goes to the leader again after so long */
#define CONTROL_NEWS_MS 20u   /* news are asked for at most so often */
#define CONTROL_PROGRESS_MS 500u
#define CONTROL_REPORT_CHANGE_MS 200u
#define CONTROL_REPORT_MS 2000u
#define CONTROL_ROUTES_MAX 16u /* nodes cut from the leader at a time that others carry for */
#define CONTROL_LOG_SLOTS 4096u
#define CONTROL_LOG_BYTES (4u * 1024 * 1024)
#define CONTROL_NEIGHBORS_MAX FOUNDERS_MAX
/* Of a founder in a snapshot: its nonce and its address as a run. */
#define CONTROL_FOUNDER_BYTES_MAX (8u + 1u + MEMBER_ADDRESS_BYTES)
#define CONTROL_SNAPSHOT_BYTES_MAX \
    (METADATA_SNAPSHOT_BYTES_MAX + 1u + FOUNDERS_MAX * CONTROL_FOUNDER_BYTES_MAX)

/* Somebody of whom only an address is known so far. */
struct control_neighbor {
    char address[MEMBER_ADDRESS_BYTES]; /* empty: only `guest` leads there */
    uint32_t member;                    /* id; 0 = not known */
    uint64_t nonce;                     /* founders: of the data directory; 0 = not heard */
    uint64_t guest;                     /* stream it was heard over; 0 = none */
    bool heard;                         /* gathering: it has answered */
    bool counts;                        /* gathering: fresh or begun, with the same list */
    bool other_list;                    /* gathering: has another list */
    bool refuses; /* gathering: knows another data directory at this node's address */
};

/* What the leader knows of a member, and everybody of himself. */
struct control_peer {
    struct control_report report; /* .member 0 = free; .age_ms as of heard_ms */
    uint64_t heard_ms;            /* when it came */
    uint64_t proposal;            /* leader: sequence of its last entry in the log */
    uint64_t proposal_term;       /* leader: whose log that was */
};

/* Messages of this member came over another one. */
struct control_route {
    uint32_t member;   /* id; 0 = free */
    uint32_t carrier;  /* id of the one that brought the last */
    uint64_t heard_ms; /* when that was */
};

struct control_proposal {
    uint8_t *bytes;       /* the command; owned. Its proposal is filled in when it is sent */
    uint32_t len;         /* of bytes */
    uint64_t wait_ms;     /* given up so long after it was first seen; UINT64_MAX = never */
    uint64_t deadline_ms; /* 0 = not seen yet */
    control_done *done;   /* NULL: nobody asks */
    void *user;           /* for done */
    uint64_t join_nonce;  /* of the JOIN that it is for; 0 = none */
    uint64_t join_guest;  /* who asked */
    bool is_boot;         /* MEMBER_BOOT of this start */
};

struct control_disk;

struct control {
    struct control_options options; /* as given, without pointers */
    struct control_env env;         /* copied */
    struct control_store store;     /* copied; zeros: control_open makes it */
    struct control_disk *disk;      /* owned; NULL: the caller's store, or none */
    enum control_stage stage;       /* see there */
    bool restored;                  /* control_open or _restore has returned */
    char address[MEMBER_ADDRESS_BYTES];
    uint64_t now_ms;                    /* of the last call */
    uint64_t wall_ms;                   /* of the last tick */
    uint64_t random;                    /* state of the dice, stirred by every call */
    char waits_for[CONTROL_LINE_BYTES]; /* before MEMBER: see control_status */
    struct control_message in;          /* being received */
    struct control_message out;         /* being sent */
    struct buffer out_bytes;            /* the same, encoded */
    struct buffer raft_bytes;           /* a message of Raft, encoded */
    uint32_t neighbor_count;            /* of `neighbors` */
    struct control_neighbor neighbors[CONTROL_NEIGHBORS_MAX]; /* list, contacts or founders */
    uint64_t list;            /* hash of the sorted list; 0 = none */
    uint64_t gather_since_ms; /* when that began */
    uint64_t ask_at_ms;       /* when questions go out next */
    uint32_t ask_turn;        /* whom the next one goes to */

    uint32_t self;                  /* member id; 0 = none */
    struct cluster_id cluster;      /* zero: not known yet */
    struct raft *raft;              /* MEMBER: owned */
    struct raft_effects *fx;        /* MEMBER: owned */
    uint64_t raft_wake_ms;          /* its next TICK */
    struct metadata *state;         /* owned; applied up to `applied` */
    uint64_t applied;               /* last entry in `state` */
    uint64_t stride;                /* on its way to the disk: `applied` will be this; 0 = none */
    uint64_t stride_ms;             /* when that began */
    uint64_t shown_epoch;           /* of the last env.publish; 0 = none */
    uint64_t shown_revision;        /* the same */
    uint64_t shown_ms;              /* when that was */
    struct buffer lent;             /* snapshot that the core looks at */
    struct buffer made;             /* snapshot on its way to the disk */
    uint64_t made_index;            /* 0 = none */
    bool made_durable;              /* the core was too busy to take it */
    struct buffer pieces;           /* snapshot that comes in, or is being installed */
    uint64_t install_index;         /* 0 = none */
    struct metadata *install_state; /* decoded from `pieces`; owned */

    uint64_t sequence;       /* last one given out */
    uint64_t head_sequence;  /* of the first in the queue; 0 = none yet */
    uint64_t head_sent_ms;   /* when it was sent */
    uint32_t proposal_first; /* place of the oldest */
    uint32_t proposal_count; /* of `proposals` */
    struct control_proposal proposals[CONTROL_PROPOSALS_MAX]; /* a ring */
    bool boot_told;                                           /* MEMBER_BOOT was carried out */
    bool boot_asked;                                          /* it is in the queue */

    uint64_t epoch_adopted;    /* of this node */
    uint64_t epoch_caught_up;  /* the same */
    struct control_load load;  /* the same */
    bool report_due;           /* something new to tell */
    uint64_t report_at_ms;     /* when a report is due anyway */
    uint64_t news_at_ms;       /* not before */
    bool news_due;             /* control_news_wanted was called */
    uint32_t transfer_to;      /* control_transfer was called; 0 = not */
    uint32_t carrier;          /* of the message being received; 0 = its sender */
    uint64_t leader_direct_ms; /* when a leader was heard last without a carrier */
    uint64_t carry_at_ms;      /* when one is asked for next */
    uint32_t carry_turn;       /* whom, by index of the state, counted from the own one */
    struct buffer carry_bytes; /* a CARRY, encoded */
    struct control_route routes[CONTROL_ROUTES_MAX]; /* the latest */
    uint32_t lost[RAFT_VOTERS_MAX]; /* voters whose link went down, not up again; 0 = free */
    uint64_t leader_heard_ms;       /* when a leader was known last */
    uint32_t peer_count;            /* of `peers` */
    struct control_peer peers[MEMBERS_MAX]; /* by member id, ascending */

    uint64_t lead_term;        /* leader: the term that what follows is of */
    uint64_t lead_since_ms;    /* leader: when it began */
    uint64_t progress_at_ms;   /* leader: when PROGRESS goes out */
    uint32_t progress_next;    /* leader: the first of `peers` that it then tells of */
    uint64_t members_hash;     /* leader: of those that should have slots, when last looked */
    uint64_t members_since_ms; /* leader: since when they are those */
    uint64_t begin_refused;    /* leader: revision at which a change was refused; 0 = none */
    uint64_t transfer_at_ms;   /* leader: a transfer is not tried again before */
    uint32_t heir;             /* leader: whom it tried to hand over to last; at first itself */
    bool leaves;               /* control_leave was called while it led */
};

/* ---- control.c ---- */

static inline bool control_has_cluster(const struct control *c) {
    static const struct cluster_id none;
    return memcmp(&c->cluster, &none, sizeof none) != 0;
}
/* A fresh number of the dice. */
uint64_t control_random(struct control *c);
/* Encode c->out and send it, by the best way to the member that is known. */
void control_send(struct control *c, uint32_t member);
void control_send_address(struct control *c, const char *address);
/* To who sent what is being received. */
void control_answer(struct control *c, struct control_source to);
/* An empty message of this kind in c->out, which is returned. */
struct control_message *control_begin(struct control *c, enum control_kind kind);
/* What is in c->out as bytes; they hold until the next call. */
struct bytes control_encode_out(struct control *c);
/* This node may not go on. */
void control_refuse(struct control *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void control_copy_address(char to[MEMBER_ADDRESS_BYTES], struct bytes address);
/* NULL if there is none. */
struct control_neighbor *control_find_neighbor(struct control *c, uint32_t member);
/* A place for this member among the neighbors; if all are taken, somebody else's. */
struct control_neighbor *control_meet(struct control *c, uint32_t member, struct bytes address);

/* ---- control_gather.c ---- */

void control_gather_begin(struct control *c);
/* Questions that are due: gathering, joining, proxies, members that hear no leader. */
void control_ask(struct control *c);
void control_on_who(struct control *c, struct control_source from);
void control_on_i_am(struct control *c);
void control_on_join(struct control *c, struct control_source from);
void control_on_joined(struct control *c);
void control_on_join_refused(struct control *c);
void control_on_metadata_wanted(struct control *c, struct control_source from);
void control_on_metadata(struct control *c);
/* What became of a JOIN is told to who asked. */
void control_tell_joined(struct control *c, uint64_t nonce, uint64_t guest,
                         struct metadata_result result);

/* ---- control_member.c ---- */

/* Begin a cluster of one; the first group of a list; as a member that was just added.
 * Errors  of the store */
/* Who votes at first: so many of the first members. */
uint32_t control_first_voters(uint32_t count);
STATUS control_found_alone(struct control *c);
STATUS control_found_list(struct control *c);
STATUS control_found_joined(struct control *c, uint32_t member);
STATUS control_member_restore(struct control *c, const struct raft_store_restored *r);
void control_member_deinit(struct control *c);
/* One event of the core, and what it leads to. now and random are filled in. */
struct status control_step(struct control *c, struct raft_event event);
/* Apply, publish, make snapshots, flush: at the end of each call. */
void control_advance(struct control *c);
void control_on_raft(struct control *c, struct control_source from);
bool control_is_leader(const struct control *c);
/* The state is published, nothing is on its way to it, and this node leads. */
bool control_leads_quietly(const struct control *c);

/* ---- control_propose.c ---- */

/* The state was published: who waits for an answer? */
void control_settle_proposals(struct control *c);
/* Send what is due, give up what is late. */
void control_pump_proposals(struct control *c);
void control_drop_proposals(struct control *c);
void control_on_propose(struct control *c);
/* Tell the agreed state that this data directory has started. */
void control_propose_boot(struct control *c);
/* ADD on behalf of a node that asked; false: too many are waiting. */
bool control_propose_join(struct control *c, const struct control_message *join, uint64_t guest);
/* Leader: append a command of its own; false: not now, as when it is handing over. */
bool control_propose_now(struct control *c, struct metadata_command *command);

/* ---- control_report.c ---- */

void control_report_tick(struct control *c);
/* Whether news are to be asked for now; if so, not again before CONTROL_NEWS_MS. */
bool control_take_news_due(struct control *c);
void control_on_report(struct control *c, struct control_source from);
void control_on_progress(struct control *c);
/* NULL if there is none. */
struct control_peer *control_find_peer(struct control *c, uint32_t member);
/* Makes one; NULL if all places are taken by members. */
struct control_peer *control_take_peer(struct control *c, uint32_t member);
/* Forget who is no member any more. */
void control_trim_peers(struct control *c);

/* ---- control_carry.c ---- */

/* Ask for a carrier if the leader is silent on its own link. */
void control_carry_tick(struct control *c);
/* What was just sent to the member goes over its carrier too, if it has one. */
void control_carry(struct control *c, uint32_t member, struct bytes bytes);
/* A CARRY in c->in. True: it was for this node; c->in is what it held, and `from` who wrote it.
 * c->carrier is set until the next message. */
bool control_on_carry(struct control *c, struct control_source *from);
/* A message of Raft came from the leader. */
void control_heard_leader(struct control *c);

/* ---- control_store.c ---- */

/* NULL is nothing to close. */
void control_disk_close(struct control_disk *d);

/* ---- control_lead.c ---- */

void control_lead(struct control *c);

#endif
