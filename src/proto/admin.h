/* admin.h - what an operator asks of the cluster and its keyspaces, and the answer.
 *
 * A face turns words into a `struct admin_request` (PLAN_ADMIN); the control plane carries it
 * out and fills a `struct admin_reply`, which the face makes into bytes. Neither side knows
 * the other. What is out of range on its face never gets here; what the cluster is needed for
 * (is there such a node, may it leave) is judged by who carries it out.
 *
 * Pure. Lifecycle  admin_request_init -> fields -> (carried out) -> admin_reply_init -> encode
 * Memory     a request is a value and may be copied; a reply lends its lists and addresses from
 *            who filled it, until it is encoded
 * Failure    an outcome that is no success, with a word and a line of its own if need be
 */
#ifndef ATOLL_PROTO_ADMIN_H
#define ATOLL_PROTO_ADMIN_H

#include "proto/node_view.h"

#define ADMIN_ADDRESS_BYTES 128u             /* with the NUL, as MEMBER_ADDRESS_BYTES */
#define ADMIN_WEIGHT_MAX 1000000u            /* as RING_WEIGHT_MAX */
#define ADMIN_TTL_MS_MAX (UINT64_C(1) << 48) /* as KEYSPACE_TTL_MS_MAX */
#define ADMIN_COMMAND_BYTES (2 * ADMIN_ADDRESS_BYTES + 96)
#define ADMIN_MESSAGE_BYTES (ADMIN_ADDRESS_BYTES + ADMIN_COMMAND_BYTES + 96)

/* Every op but those that only read may be tried with `dry_run`: the answer is then what
 * would come of it, with a plan if slots would move, and nothing is done. */
enum admin_op {
    /* The node at `address` shall be a member, with `weight` and `zone` where given. Nobody is
     * called: ADMIN_DONE and its id if it is a member like that; of a member with another weight
     * the same as ADMIN_NODE_WEIGHT, with another zone or on its way out ADMIN_CONFLICT; else
     * ADMIN_ACCEPTED and the command that starts it there. admin_answer_from_view settles the
     * first and the last. */
    ADMIN_NODE_ADD,
    /* Node `node` gives its slots away, then is no member. ADMIN_ACCEPTED and the change if one
     * began; ADMIN_AT_RISK unless `accept_loss` if fewer than N would be left. */
    ADMIN_NODE_LEAVE,
    /* Node `node`, which does not answer, is given up and its slots are copied from others.
     * ADMIN_CONFLICT if it answers; ADMIN_AT_RISK with `risk` unless `accept_loss` if the
     * others lack something. */
    ADMIN_NODE_REMOVE,
    ADMIN_NODE_WEIGHT,     /* node `node` shall have `weight` */
    ADMIN_REPLICAS,        /* slots shall have `replicas` copies; not fewer than a keyspace wants */
    ADMIN_LEADER,          /* node `node` shall lead; ADMIN_CONFLICT if it has no vote */
    ADMIN_PLAN,            /* what the change `plan_of` would move; nothing is done */
    ADMIN_CHANGE_PAUSE,    /* nothing more is sent for it */
    ADMIN_CHANGE_RESUME,   /* it goes on */
    ADMIN_CHANGE_THROTTLE, /* a node may send `bytes_per_second` for it; 0 = no limit */
    ADMIN_CHANGE_CANCEL,   /* slots on their way go back, those that are through stay */
    ADMIN_KEYSPACE_LIST,   /* `keyspaces` of the reply: all, by name */
    ADMIN_KEYSPACE_GET,    /* the one named `keyspace` */
    ADMIN_KEYSPACE_PUT,    /* make it (ADMIN_CREATED) or alter it: the settings given */
    ADMIN_KEYSPACE_DROP,   /* it and its keys are gone */
    ADMIN_OPS,
};

/* Optional fields that were given. */
#define ADMIN_HAS_WEIGHT 1u
#define ADMIN_HAS_ZONE 2u
#define ADMIN_HAS_REPLICAS 4u
#define ADMIN_HAS_WRITE_QUORUM 8u
#define ADMIN_HAS_READ_QUORUM 16u
#define ADMIN_HAS_DISCIPLINE 32u
#define ADMIN_HAS_TTL 64u
#define ADMIN_HAS_RATE 128u

/* What a plan is wanted of. */
enum admin_plan_of {
    ADMIN_PLAN_NOW,      /* as things are: what a change would do that began now */
    ADMIN_PLAN_JOIN,     /* a node at `address` with `weight` (1) and `zone` (0) joins */
    ADMIN_PLAN_LEAVE,    /* node `node` leaves */
    ADMIN_PLAN_WEIGHT,   /* node `node` has `weight` */
    ADMIN_PLAN_REPLICAS, /* slots have `replicas` copies */
};

/* Whether what is put has to be there already. */
enum admin_presence {
    ADMIN_ANY,
    ADMIN_NEW,   /* it must not: ADMIN_CONDITION else */
    ADMIN_THERE, /* it must: ADMIN_CONDITION else */
};

enum admin_discipline { ADMIN_EVENTUAL, ADMIN_STRICT };

/* A node is named by id, or by the address it has as a member. */
struct admin_request {
    enum admin_op op;                           /* which of the fields below hold */
    uint32_t given;                             /* ADMIN_HAS_* */
    uint32_t node;                              /* id of the member; 0 = by `address` */
    char address[ADMIN_ADDRESS_BYTES];          /* "host:port", lower case; empty = none */
    enum admin_plan_of plan_of;                 /* PLAN */
    uint32_t weight;                            /* 1..ADMIN_WEIGHT_MAX */
    uint32_t zone;                              /* 0 = none */
    uint64_t bytes_per_second;                  /* THROTTLE; PLAN: for the estimate; 0 = no limit */
    enum admin_presence presence;               /* KEYSPACE_PUT, DROP */
    char keyspace[KEYSPACE_NAME_BYTES_MAX + 1]; /* KEYSPACE_GET, PUT, DROP: 1.. of a-z 0-9 _ - */
    uint8_t replicas;                           /* N, 1..REPLICAS_MAX */
    uint8_t write_quorum, read_quorum;          /* 0 = majority, else 1..REPLICAS_MAX */
    enum admin_discipline discipline;           /* KEYSPACE_PUT */
    uint64_t ttl_ms;                            /* of keys written without one; 0 = none */
    bool accept_loss;                           /* do it though copies are at risk */
    bool dry_run;                               /* do nothing, say what would come of it */
};

enum admin_outcome {
    ADMIN_DONE,        /* 200: it is so now */
    ADMIN_CREATED,     /* 201: a keyspace is new */
    ADMIN_ACCEPTED,    /* 202: begun; a change will bring it about, or the node has to start */
    ADMIN_REFUSED,     /* 400: it can never be done like this */
    ADMIN_NO_NODE,     /* 404 */
    ADMIN_NO_KEYSPACE, /* 404 */
    ADMIN_NO_CHANGE,   /* 409: no change of the ring is running */
    ADMIN_CONFLICT,    /* 409: not as things are */
    ADMIN_AT_RISK,     /* 409: copies would be lost; `accept_loss` does it all the same */
    ADMIN_CONDITION,   /* 412: `presence` does not hold */
    ADMIN_UNAVAILABLE, /* 501: this version or this node cannot */
    ADMIN_BUSY,        /* 503: other requests are under way; nothing was done */
    ADMIN_NO_LEADER,   /* 503: nobody leads just now; nothing was done */
    ADMIN_NO_CLUSTER,  /* 503: this node is in no cluster yet */
    ADMIN_STOPPING,    /* 503: this node stops */
    ADMIN_TIMEOUT,     /* 504: it may or may not have happened */
    ADMIN_OUTCOMES,
};

/* A member in a plan; figures of slots are before and after. */
struct admin_plan_node {
    uint32_t id;                        /* 0 = is given when it joins */
    const char *address;                /* of it; lent */
    uint32_t weight;                    /* after; 0 = it has left then */
    uint32_t owned_before, owned_after; /* slots it comes first in */
    uint32_t kept_before, kept_after;   /* slots it keeps */
    uint64_t bytes_in, bytes_out;       /* that it must take and send; NODE_UNKNOWN */
};

struct admin_plan {
    uint32_t slots_changed;              /* whose list differs, be it in order only */
    uint32_t owners_moved;               /* slots that come to another owner */
    uint32_t copies_moved;               /* of slots, that must be made */
    uint32_t copies_least;               /* no table with these shares moves fewer */
    uint64_t bytes;                      /* to be sent in all; NODE_UNKNOWN */
    uint64_t rate_bytes_s;               /* that `time_ms` reckons with; 0 = no limit */
    uint64_t time_ms;                    /* NODE_UNKNOWN */
    uint32_t nodes_count;                /* of `nodes`, up to 2 * NODE_MEMBERS_MAX */
    const struct admin_plan_node *nodes; /* by id, ascending; lent */
};

/* What the members that would be left lack. */
struct admin_risk {
    uint32_t slots_short; /* slots with fewer full copies than the keyspaces want */
    uint32_t slots_lost;  /* of them, with no full copy at all: their data is gone */
};

struct admin_keyspace {
    uint32_t id;                      /* 0 = "default" */
    const char *name;                 /* lent */
    uint8_t replicas;                 /* N */
    uint8_t write_quorum;             /* 0 = majority */
    uint8_t read_quorum;              /* the same */
    enum admin_discipline discipline; /* for ever */
    uint64_t ttl_ms;                  /* 0 = none */
};

/* Zero is "not told" of each number; admin_reply_init sets all so. Not to be copied while
 * `keyspaces` points into it. */
struct admin_reply {
    enum admin_outcome outcome;        /* gives the status */
    const char *code;                  /* word of an error; NULL = that of the outcome; static */
    char message[ADMIN_MESSAGE_BYTES]; /* one line for people; empty = that of the outcome */
    uint32_t node;                     /* id of the member that it is about */
    const char *address;               /* of that member, or NULL; lent */
    uint64_t epoch;                    /* of the slot table, once it is done */
    uint64_t change;                   /* id of the change that brings it about */
    char command[ADMIN_COMMAND_BYTES]; /* to run on the machine of the node; or empty */
    bool has_plan;                     /* `plan` holds */
    bool has_risk;                     /* `risk` holds */
    struct admin_plan plan;            /* what moves or would */
    struct admin_risk risk;            /* of LEAVE and REMOVE */
    uint32_t keyspaces_count;          /* LIST; GET and PUT: 1, the one that is there now */
    const struct admin_keyspace *keyspaces; /* lent; may be `keyspace` below */
    struct admin_keyspace keyspace;         /* room for one */
};

void admin_request_init(struct admin_request *q, enum admin_op op);
/* Whether all fields that the op needs are in range: for asserts, fuzzers and whoever takes a
 * request from another node. */
bool admin_request_check(const struct admin_request *q);

void admin_reply_init(struct admin_reply *r, enum admin_outcome outcome);
/* Put a line of its own into the reply; what does not fit is cut. */
void admin_reply_say(struct admin_reply *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline bool admin_outcome_ok(enum admin_outcome outcome) {
    return outcome <= ADMIN_ACCEPTED;
}
/* HTTP status, word and line. Valid for ever. */
uint16_t admin_outcome_status(enum admin_outcome outcome);
const char *admin_outcome_code(enum admin_outcome outcome);
const char *admin_outcome_text(enum admin_outcome outcome);
/* The reply's own word and line, or its outcome's. */
const char *admin_reply_code(const struct admin_reply *r);
const char *admin_reply_text(const struct admin_reply *r);
/* "node_add", .. for logs. Valid for ever. */
const char *admin_op_name(enum admin_op op);

/* "HOST:PORT" or "[v6]:PORT" of at most ADMIN_ADDRESS_BYTES - 1 characters, made lower case.
 * Errors  ST_INVALID */
STATUS admin_address_read(struct bytes text, char ret_address[ADMIN_ADDRESS_BYTES]);
/* An id or an address, into `q->node` or `q->address`.
 * Errors  ST_INVALID */
STATUS admin_node_read(struct bytes text, struct admin_request *q);
/* Errors  ST_INVALID */
STATUS admin_keyspace_name_read(struct bytes text, struct admin_request *q);

/* Whether two addresses are the same, where localhost stands for 127.0.0.1. */
bool admin_same_address(const char *a, const char *b);
/* The member that `q` names, by id or address; NULL if there is none. Of a node alone nobody
 * is a member. Holds as long as the view. */
const struct node_member *admin_find_node(const struct admin_request *q,
                                          const struct node_view *view);
/* What needs no control plane: NODE_ADD of a member as it is and of a node that may join.
 * False: the control plane has to answer. */
bool admin_answer_from_view(const struct admin_request *q, const struct node_view *view,
                            struct admin_reply *ret_reply);

#endif
