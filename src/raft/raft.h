/* raft.h - one node of a Raft group, as a pure step core: events in, effects out.
 *
 * Ongaro, "Consensus: Bridging Theory and Practice" (2014), whose sections the code names.
 * raft_step takes one event and lists in a caller's struct what must now be done. It sees no
 * clock, socket, file or thread; time and random numbers come with the event.
 *
 * Lifecycle  init -> restore* -> [restore_commit] -> step* -> deinit; after a crash the same,
 *            from what is durable
 * Owner      one thread
 * Memory     the log window, made by init; all else is in the struct (about 250 KiB). Snapshot
 *            bytes are lent by the caller until the next ST_OK of a SNAPSHOT_MADE or _INSTALLED
 * Failure    a message that breaks a rule is ignored and reported as ST_CORRUPT; what cannot
 *            be done now is refused in effects.result, and nothing was changed
 */
#ifndef ATOLL_RAFT_RAFT_H
#define ATOLL_RAFT_RAFT_H

#include "raft/message.h"
#include "raft/progress.h"

/* What the caller does with effects, and when.
 *
 * 1. Storage (hard_state, truncate_from, append_*, snapshot_install): carried out in the order
 *    of the steps that asked for it, and within a step in that order. A crash may lose the
 *    end of that sequence, and within it the end of an append, but nothing from its middle.
 *    When it is durable up to a step, that step's `mark` goes back as RAFT_STORED; later
 *    marks cover earlier ones. Several may be on the way.
 * 2. Messages leave at once, before or after any write: no message needs a write to be waited
 *    for. What promises something (a vote, an acknowledgement, a candidacy) is held back by the
 *    core until RAFT_STORED says that what it promises is durable.
 * 3. Entries to apply are committed, though perhaps not yet durable here (thesis 10.2.1). The
 *    state machine is therefore volatile, or able to go back to the last snapshot.
 * 4. A snapshot is made of a state to which everything up to `index` <= applied is applied;
 *    raft_describe gives what must be stored with it. Once it is durable, the event
 *    SNAPSHOT_MADE comes, and the log on disk may be dropped up to it. It may be refused as
 *    ST_BUSY, because entries that it covers are not known to be durable yet: again later. On
 *    disk an older snapshot never replaces a newer one, which an installation may have left.
 * 5. snapshot_write gives pieces of a snapshot from the leader (they need not be durable; offset
 *    0 begins anew). snapshot_install: store it with its index, term and config as one atomic
 *    step, make it the state machine, erase the log on disk, then send SNAPSHOT_INSTALLED.
 * A write that fails leaves the disk in an unknown state: no further step, until a restart.
 *
 * After a restart: raft_init with the durable hard state and snapshot (a node that has neither
 * gives zeros and waits to be added), then raft_restore with every durable entry in order. If
 * the stored log ends before the snapshot does, it is erased, as the next entry follows that.
 * Who has told others of what it applied stores the applied index, behind the entries, and
 * gives it to raft_restore_commit, so that it never knows less than it has told.
 * A new group begins on all its first voters with the same snapshot, by hand: index
 * RAFT_BOOT_INDEX, term RAFT_BOOT_TERM, the voters as config, the first state as data. So a
 * node that joins later always gets a snapshot, and from it the config. */

#define RAFT_BOOT_INDEX 1u
#define RAFT_BOOT_TERM 1u

#define RAFT_MESSAGES_MAX 32u         /* of one step; more = another step is wanted */
#define RAFT_EFFECT_ENTRIES_MAX 1024u /* entries in messages of one step */
#define RAFT_READS_MAX 64u            /* reads that wait for a heartbeat round */
#define RAFT_LEARNERS_BEAT_MIN 128u   /* so many learners, at least, get a heartbeat each time */
#define RAFT_PROMOTE_LAG_MAX 64u      /* a learner this close to the end is caught up */
#define RAFT_ELECTION_MS_MAX 60000u

struct raft_options {
    uint32_t id;                /* this node, not 0; never used again by another */
    uint32_t election_ms;       /* least election timeout; drawn from 1 to 2 times that */
    uint32_t heartbeat_ms;      /* a third of election_ms at most */
    uint32_t batch_entries_max; /* of one APPEND, 1..RAFT_MESSAGE_ENTRIES_MAX */
    uint32_t batch_bytes_max;   /* of one APPEND, 1..RAFT_BATCH_BYTES_MAX; one entry always goes */
    uint32_t inflight_max;      /* APPENDs on the way to a node, 1..RAFT_INFLIGHT_MAX */
    uint32_t chunk_bytes;       /* of a snapshot in one message, 1..RAFT_CHUNK_BYTES_MAX */
    uint32_t log_slots_max;     /* entries in memory, 16..RAFT_LOG_SLOTS_MAX */
    uint64_t log_bytes_max;     /* their data, 1..RAFT_LOG_BYTES_MAX */
};

struct raft_hard_state {
    uint64_t term; /* highest seen */
    uint32_t vote; /* whom it was given to in that term; 0 = nobody */
};

struct raft_snapshot {
    uint64_t index;      /* last entry that it covers; 0 = there is none */
    uint64_t term;       /* of that entry */
    struct bytes config; /* raft_config_encode as of that entry */
    struct bytes data;   /* the state, RAFT_SNAPSHOT_BYTES_MAX at most */
};

/* Names a moment of the storage effects. The caller gives it back as it is. */
struct raft_mark {
    uint64_t sequence; /* of steps with storage effects, from 1; 0 = none */
    uint64_t index;    /* the last entry as of it */
};

enum raft_role {
    RAFT_FOLLOWER, /* learners and nodes that wait to be added too */
    RAFT_PRE_CANDIDATE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_ROLES,
};

enum raft_event_kind {
    RAFT_TICK,               /* time has passed; due at effects.wake_at_ms */
    RAFT_CONTINUE,           /* effects.more was set */
    RAFT_RECEIVE,            /* .message, for this node */
    RAFT_PROPOSE,            /* .data; result, index */
    RAFT_CHANGE,             /* .change; result, index */
    RAFT_READ,               /* .id; result, and later effects.reads */
    RAFT_TRANSFER,           /* .node is to lead; result */
    RAFT_STORED,             /* .mark */
    RAFT_SNAPSHOT_MADE,      /* .index, .data; result */
    RAFT_SNAPSHOT_INSTALLED, /* .index, .data; result */
};

struct raft_event {
    enum raft_event_kind kind;          /* which of the fields below counts */
    uint64_t now_ms;                    /* never goes back */
    uint64_t random;                    /* for timeouts; fresh with every event */
    const struct raft_message *message; /* read during the call only */
    struct bytes data;                  /* PROPOSE: copied; SNAPSHOT_*: lent, see above */
    struct raft_change change;          /* see raft/config.h */
    uint64_t id;                        /* the caller's name for a read */
    uint32_t node;                      /* a voter */
    bool prove;            /* TRANSFER: only once it has stored an entry made for that */
    struct raft_mark mark; /* of an earlier step */
    uint64_t index;        /* last entry that the snapshot covers */
};

struct raft_read {
    uint64_t id;    /* as asked */
    uint64_t index; /* answer it from a state with this entry applied */
};

/* Views in it hold until the next step or deinit. */
struct raft_effects {
    struct status result; /* of the event: ST_OK; ST_CONFLICT: not the leader, or the change does
                             not fit; ST_BUSY: not now; ST_FULL: the log or the config is full;
                             ST_INVALID: too long, or no such node; ST_CORRUPT: the message
                             breaks a rule and was ignored */
    uint64_t index;       /* PROPOSE, CHANGE: the new entry; it may still be lost to another's */

    bool hard_state_changed;           /* store `hard_state` */
    struct raft_hard_state hard_state; /* as it is now */
    uint64_t truncate_from;            /* erase the stored log from here on; 0 = nothing */
    uint64_t append_first;             /* store entries of raft.log; 0 = none */
    uint64_t append_last;              /* with append_first */
    struct raft_mark mark;             /* .sequence 0 = nothing to store */

    bool snapshot_write;           /* keep this piece: */
    uint64_t snapshot_offset;      /* where it belongs; 0 = drop earlier ones */
    struct bytes snapshot_data;    /* the piece; a view of the message */
    bool snapshot_install;         /* all pieces are there: */
    struct raft_snapshot snapshot; /* what they make, without the data; a view of the message */

    uint64_t apply_first; /* apply entries of raft.log in order; 0 = none */
    uint64_t apply_last;  /* with apply_first */

    bool role_changed;   /* or the leader, or the term; on ceasing to lead all reads are void */
    enum raft_role role; /* as it is now */
    uint32_t leader;     /* as known; 0 = not */

    uint32_t read_count;                    /* of `reads` */
    struct raft_read reads[RAFT_READS_MAX]; /* confirmed: no newer leader when they were asked */

    bool more;           /* not all messages fit: step again with CONTINUE */
    bool compact_wanted; /* half of the log window is applied entries, or in use */
    uint64_t wake_at_ms; /* the next TICK is due then */

    uint32_t message_count;                             /* of `messages` */
    uint32_t entry_count;                               /* of `entries` */
    struct raft_message messages[RAFT_MESSAGES_MAX];    /* send, in any order */
    struct raft_entry entries[RAFT_EFFECT_ENTRIES_MAX]; /* what the messages point to */
};

/* A read that waits for a heartbeat round. */
struct raft_read_wait {
    struct raft_read read; /* to be answered */
    uint64_t round;        /* once a majority has answered this one */
};

/* A snapshot that comes in. */
struct raft_incoming {
    uint64_t index;            /* last entry that it covers; 0 = none comes in */
    uint64_t term;             /* of that entry */
    uint64_t total;            /* bytes */
    uint64_t received;         /* bytes, from the start */
    uint32_t checksum;         /* crc32c it must have */
    uint32_t running;          /* crc32c of what was received */
    bool installing;           /* handed to the caller: the log must not change meanwhile */
    struct raft_config config; /* as of that entry */
};

struct raft {
    struct raft_options options; /* as given */
    struct raft_log log;         /* owned */
    bool started;                /* the first event has come */

    uint64_t term;           /* current */
    uint32_t vote;           /* in it; 0 = nobody */
    enum raft_role role;     /* see there */
    uint32_t leader;         /* of this term; 0 = not known */
    uint64_t commit;         /* highest entry known to be committed */
    uint64_t applied;        /* handed out for applying */
    uint64_t now_ms;         /* of the last event */
    uint64_t random;         /* of the last event */
    uint64_t heard_ms;       /* follower: when the leader was heard */
    uint64_t election_at_ms; /* not a leader: when patience ends */

    struct raft_config config;                   /* as of the last entry, committed or not (4.1) */
    struct raft_config config_base;              /* as of log.base_index */
    uint64_t config_index;                       /* entry that made `config`; or log.base_index */
    uint8_t config_bytes[RAFT_CONFIG_BYTES_MAX]; /* config_base, encoded */
    uint32_t config_len;                         /* bytes of it; 0 = no snapshot yet */
    struct bytes snapshot_data;                  /* as of log.base_index; lent */
    uint32_t snapshot_checksum;                  /* crc32c of it */

    uint64_t sequence;      /* of the last mark given */
    uint64_t stored;        /* sequence of the last mark that came back */
    uint64_t hard_sequence; /* of the last hard state */
    uint64_t log_sequence;  /* marks before this name entries that are gone */
    uint64_t log_durable;   /* entries up to here are durable and still in the log */
    bool hard_dirty;        /* this step changed term or vote */
    bool log_dirty;         /* this step changed the log */

    uint64_t verified;                 /* follower: equal to the leader's log up to here */
    uint64_t acknowledged;             /* follower: told the leader so up to here */
    bool ack_owed;                     /* follower: the leader waits for an APPEND_REPLY */
    uint32_t vote_owed;                /* to whom the vote is told once it is durable; 0 = nobody */
    bool requests_owed;                /* candidate: VOTEs go out once the term is durable */
    bool transfer;                     /* candidate: because the leader asked for it */
    uint32_t granted[RAFT_VOTERS_MAX]; /* (pre-)candidate: who has granted */
    uint32_t granted_count;            /* of them */

    uint64_t term_start;      /* leader: its first entry */
    uint64_t heartbeat_at_ms; /* leader: when the next ones are due */
    uint32_t heartbeat_turn;  /* leader: the learner whose turn it is, by place */
    uint32_t transfer_to;     /* leader: who is to follow it; 0 = nobody */
    uint64_t transfer_end_ms; /* leader: when to give that up */
    bool transfer_due;        /* leader: TIMEOUT_NOW has not left yet */
    uint64_t round;           /* leader: of heartbeats, for reads */
    uint32_t read_count;      /* leader: of `reads` */
    struct raft_read_wait reads[RAFT_READS_MAX];     /* leader: oldest first */
    uint32_t progress_count;                         /* leader: of `progress` */
    uint32_t progress_turn;                          /* leader: whose messages come first */
    struct raft_progress progress[RAFT_MEMBERS_MAX]; /* leader: other members by id */
    struct raft_incoming incoming;                   /* follower */
};

bool raft_options_check(const struct raft_options *o);
/* Begin, from what is durable. `snapshot->data` stays lent; its config is copied.
 * Errors  ST_CORRUPT  the snapshot's config; nothing is to be deinited then */
STATUS raft_init(struct raft *r, const struct raft_options *options, struct raft_hard_state hard,
                 const struct raft_snapshot *snapshot);
/* One durable entry, in order of indexes; those that the snapshot covers may be left out.
 * Requires  no step so far
 * Errors  ST_CONFLICT  the snapshot came from another log: erase this and all later entries on
 *                      disk and go on without them
 *         ST_CORRUPT   there is a gap, a term that goes back, or a change that cannot be
 *         ST_FULL      the window is smaller than what is stored */
STATUS raft_restore(struct raft *r, const struct raft_entry *entry);
/* Everything up to `index` is known to be committed: the state machine had applied it before the
 * restart. The first step gives it out for applying again, whoever leads. Without this call, as
 * with an index that the snapshot covers, that begins when a leader is heard.
 * Requires  no step so far
 * Errors    ST_CORRUPT  the stored log ends before it; nothing is changed */
STATUS raft_restore_commit(struct raft *r, uint64_t index);
void raft_deinit(struct raft *r);

/* Advance by one event and list in `out` what must now be done. Equal nodes given equal events
 * give equal effects. */
void raft_step(struct raft *r, const struct raft_event *event, struct raft_effects *out);

/* What must be stored with a snapshot whose last entry is `index`. `config` has room for
 * RAFT_CONFIG_BYTES_MAX and is pointed to by ret_snapshot->config; data are none.
 * Errors  ST_CONFLICT  `index` is not in log.base_index..applied */
STATUS raft_describe(const struct raft *r, uint64_t index, uint8_t *config,
                     struct raft_snapshot *ret_snapshot);
/* Leader: whether anything came from this other node less than `limit_ms` before `now_ms`. */
bool raft_has_heard(const struct raft *r, uint32_t id, uint64_t now_ms, uint64_t limit_ms);
/* The longest time between two heartbeats that the leader sends to this node. */
uint32_t raft_beat_ms(const struct raft *r);
bool raft_check(const struct raft *r);

#endif
