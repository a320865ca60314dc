/* message.h - what Raft nodes say to each other, as structs and as bytes.
 *
 * Pure. Encoding appends to a buffer; decoding gives views into its input and into an array
 * of entries that the caller lends. Every message has one encoding; what breaks a rule below
 * is ST_CORRUPT. Drawn with all fields in docs/internals/raft.md.
 *
 * Memory     a message owns nothing; its views hold as long as what they were made from
 * Failure    decoding never asserts on its input
 *
 * Every message begins so, integers little-endian:
 *
 *   offset  size  field
 *        0     1  version, RAFT_MESSAGE_VERSION
 *        1     1  enum raft_message_kind
 *        2     1  flags: 01 refused (replies), 02 transfer (VOTE)
 *        3     1  zero
 *        4     4  from, not zero
 *        8     4  to, not zero, not `from`
 *       12     8  term, 1..
 *       20     n  fields of the kind
 */
#ifndef ATOLL_RAFT_MESSAGE_H
#define ATOLL_RAFT_MESSAGE_H

#include "base/buffer.h"
#include "raft/config.h"
#include "raft/log.h"

#define RAFT_MESSAGE_VERSION 1u
#define RAFT_MESSAGE_HEADER_BYTES 20u
#define RAFT_MESSAGE_ENTRIES_MAX 64u       /* entries of one APPEND */
#define RAFT_CHUNK_BYTES_MAX (256u * 1024) /* of a snapshot in one message */
#define RAFT_BATCH_BYTES_MAX (256u * 1024) /* data of one APPEND's entries, all but the first */
#define RAFT_SNAPSHOT_BYTES_MAX (64u * 1024 * 1024) /* it is in memory where it is sent from */
/* The longest message: an APPEND (a batch and the entry that began it). */
#define RAFT_MESSAGE_BYTES_MAX                                                       \
    (RAFT_MESSAGE_HEADER_BYTES + 28u + RAFT_BATCH_BYTES_MAX + RAFT_ENTRY_BYTES_MAX + \
     13u * RAFT_MESSAGE_ENTRIES_MAX)

enum raft_message_kind {
    RAFT_PRE_VOTE = 1, /* would you vote for me in this term? (thesis 9.6) */
    RAFT_PRE_VOTE_REPLY,
    RAFT_VOTE, /* vote for me (3.4) */
    RAFT_VOTE_REPLY,
    RAFT_APPEND, /* entries, or none as a probe (3.5) */
    RAFT_APPEND_REPLY,
    RAFT_HEARTBEAT, /* the leader lives; also confirms that it leads (6.4) */
    RAFT_HEARTBEAT_REPLY,
    RAFT_SNAPSHOT, /* a piece of a snapshot (5.2) */
    RAFT_SNAPSHOT_REPLY,
    RAFT_TIMEOUT_NOW, /* begin an election at once (3.10) */
    RAFT_MESSAGE_KINDS,
};

struct raft_message {
    enum raft_message_kind kind; /* see there */
    uint32_t from;               /* sender */
    uint32_t to;                 /* receiver */
    uint64_t term;               /* of the sender; (PRE_)VOTE: the term asked for;
                                    PRE_VOTE_REPLY that grants: the same */
    bool refused;                /* replies to votes and APPEND */
    bool transfer;               /* VOTE: the leader wants it so; a lease does not hold it up */
    uint64_t index;              /* (PRE_)VOTE: last entry; APPEND: the one before the first;
                                    APPEND_REPLY: durable and equal up to here, or refused: as
                                    APPEND; SNAPSHOT(_REPLY): last entry that it covers */
    uint64_t log_term;           /* (PRE_)VOTE, APPEND, SNAPSHOT: term at `index`;
                                    APPEND_REPLY refused: term found there, 0 = no entry */
    uint64_t commit;             /* APPEND, HEARTBEAT: committed up to here */
    uint64_t hint;               /* APPEND_REPLY refused: first index of that term, or where
                                    the log ends */
    uint64_t round;              /* HEARTBEAT(_REPLY): of reads; 0 = none */
    const struct raft_entry *entries; /* APPEND: from index + 1 on */
    uint32_t entry_count;             /* 0..RAFT_MESSAGE_ENTRIES_MAX */
    uint64_t offset;                  /* SNAPSHOT: of `data`; _REPLY: bytes there in one piece */
    uint64_t total;                   /* SNAPSHOT: bytes of the whole */
    uint32_t checksum;                /* SNAPSHOT: crc32c of the whole; _REPLY: names it */
    struct bytes config;              /* SNAPSHOT: raft_config_encode of that moment */
    struct bytes data;                /* SNAPSHOT: the piece */
};

/* Whether it obeys the rules of its kind, as all that decoding gives does. */
bool raft_message_check(const struct raft_message *m);
/* Requires  raft_message_check. What does not fit sets out->overflowed. */
void raft_message_encode(const struct raft_message *m, struct buffer *out);
/* `entries` has room for RAFT_MESSAGE_ENTRIES_MAX.
 * Errors  ST_CORRUPT; `entries` may then hold anything */
STATUS raft_message_decode(struct bytes in, struct raft_entry *entries,
                           struct raft_message *ret_message);

#endif
