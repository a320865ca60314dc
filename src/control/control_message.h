/* control_message.h - what the control planes of nodes say to each other, in PEER_CONTROL frames.
 *
 * Pure. Every message has one encoding; what breaks a rule is ST_CORRUPT. All are lossy: who
 * needs an answer asks again. Drawn with all fields in docs/internals/membership.md.
 *
 * Memory     a message owns nothing; its views hold as long as what it was decoded from
 * Failure    decoding never asserts on its input
 *
 *   offset  size  field
 *        0     1  enum control_kind
 *        1     n  fields of the kind, integers little-endian
 */
#ifndef ATOLL_CONTROL_CONTROL_MESSAGE_H
#define ATOLL_CONTROL_CONTROL_MESSAGE_H

#include "control/control.h"

#include <stddef.h>

#define CONTROL_CONTACTS_MAX 64u /* told to one that joins: enough that some of them are there */
#define CONTROL_REPORTS_MAX \
    64u /* in one message: all members get it, so it may not grow with them */
#define CONTROL_RAFT_HEADER_BYTES (1u + CLUSTER_ID_BYTES)
#define CONTROL_METADATA_HEADER_BYTES (1u + CLUSTER_ID_BYTES + 8u)
#define CONTROL_MESSAGE_BYTES_MAX (CONTROL_METADATA_HEADER_BYTES + METADATA_SNAPSHOT_BYTES_MAX)

#define CONTROL_CARRY_HEADER_BYTES (1u + 4u + 4u)
#define CONTROL_CARRIED_BYTES_MAX (CONTROL_RAFT_HEADER_BYTES + RAFT_MESSAGE_BYTES_MAX)

static_assert(CONTROL_CARRY_HEADER_BYTES + CONTROL_CARRIED_BYTES_MAX <= CONTROL_MESSAGE_BYTES_MAX,
              "the longest message of Raft fits, carried by another too");

enum control_kind {
    CONTROL_RAFT = 1,        /* .cluster, .bytes: raft/message.h */
    CONTROL_WHO,             /* .who: tells about the sender, and asks the same */
    CONTROL_I_AM,            /* .who, .yours */
    CONTROL_JOIN,            /* .weight, .zone, .nonce, .address */
    CONTROL_JOINED,          /* .cluster, .member, .nonce, .contacts */
    CONTROL_JOIN_REFUSED,    /* .nonce, .code */
    CONTROL_PROPOSE,         /* .bytes: a command; to the leader, which does not answer */
    CONTROL_REPORT,          /* .reports[0], without member and age */
    CONTROL_PROGRESS,        /* .reports: from the leader */
    CONTROL_NEWS_WANTED,     /* .revision that the sender has; to the leader */
    CONTROL_METADATA_WANTED, /* .cluster (zero = any), .revision that the sender has */
    CONTROL_METADATA,        /* .cluster, .revision, .bytes: the state; none = it is the same */
    CONTROL_REMOVED,         /* .cluster, .member: the receiver */
    CONTROL_TRANSFER,        /* .member is to lead; to the leader */
    CONTROL_CARRY,           /* .sender, .member (0 = the leader), .bytes: carried for another */
    CONTROL_KINDS,
};

/* How far a node is, as it tells others. */
enum control_person {
    CONTROL_PERSON_FRESH,  /* nothing stored, gathers */
    CONTROL_PERSON_BEGUN,  /* in a Raft group that has no cluster yet */
    CONTROL_PERSON_MEMBER, /* of .cluster */
    CONTROL_PERSON_OTHER,  /* joins, or is a proxy */
    CONTROL_PERSONS,
};

/* What the answering node knows of the one that asked. */
enum control_yours {
    CONTROL_YOURS_FINE,    /* nothing against it */
    CONTROL_YOURS_OTHER,   /* its address or id belongs to another data directory */
    CONTROL_YOURS_REMOVED, /* its member id was removed */
    CONTROL_YOURS_COUNT,
};

struct control_who {
    enum control_person person; /* see there */
    struct cluster_id cluster;  /* MEMBER only, else zero */
    uint32_t member;            /* BEGUN, MEMBER: id; else 0 */
    uint64_t list;              /* hash of its list; 0 = it has none */
    uint64_t nonce;             /* of its data directory; 0 = a proxy */
    struct bytes address;       /* its own; empty: a proxy */
};

struct control_contact {
    uint32_t member;      /* id, not 0 */
    struct bytes address; /* 1..MEMBER_ADDRESS_BYTES - 1 bytes */
};

/* Which fields hold is told by `kind`; the others are zero. */
struct control_message {
    enum control_kind kind;    /* see there */
    struct cluster_id cluster; /* RAFT: zero = none yet */
    struct control_who who;    /* WHO, I_AM */
    enum control_yours yours;  /* I_AM */
    uint32_t member;           /* JOINED, REMOVED, TRANSFER: not 0; CARRY */
    uint32_t sender;           /* CARRY: who wrote .bytes, not 0 */
    uint32_t weight;           /* JOIN */
    uint32_t zone;             /* JOIN */
    uint64_t nonce;            /* JOIN, JOINED, JOIN_REFUSED: not 0 */
    enum metadata_code code;   /* JOIN_REFUSED */
    uint64_t revision;         /* NEWS_WANTED, METADATA_WANTED, METADATA */
    struct bytes address;      /* JOIN: as a contact's */
    struct bytes bytes;        /* RAFT, PROPOSE, METADATA, CARRY */
    uint32_t contact_count;    /* JOINED: 1..CONTROL_CONTACTS_MAX */
    uint32_t report_count;     /* REPORT: 1; PROGRESS: up to _REPORTS_MAX */
    struct control_contact contacts[CONTROL_CONTACTS_MAX]; /* JOINED */
    struct control_report reports[CONTROL_REPORTS_MAX];    /* REPORT, PROGRESS */
};

/* Bytes of a message that are zero before it is filled: what is behind has counts. */
#define CONTROL_MESSAGE_CLEARED offsetof(struct control_message, contacts)

/* Requires  what decode would give */
void control_message_encode(const struct control_message *m, struct buffer *out);
/* A CARRY around a message that is encoded already, 1..CONTROL_CARRIED_BYTES_MAX bytes. */
void control_message_wrap(uint32_t sender, uint32_t member, struct bytes message,
                          struct buffer *out);
/* `ret_message` is about 7 KiB: not for deep stacks.
 * Errors  ST_CORRUPT */
STATUS control_message_decode(struct bytes in, struct control_message *ret_message);

#endif
