/* membership.h - who is in the cluster, as this node knows it.
 *
 * A fixed list of addresses for now: every node is started with the same one. A member is
 * known by its address: its id is a hash of the canonical text "ip:port", so that all
 * nodes place slots alike without talking. (What a node calls itself in versions is the
 * node id of its data directory, see storage/identity.h; the two are different numbers.)
 *
 * Pure. Lifecycle  membership_create -> read only -> membership_destroy
 * Owner      the server; every shard reads
 */
#ifndef ATOLL_CLUSTER_MEMBERSHIP_H
#define ATOLL_CLUSTER_MEMBERSHIP_H

#include "base/bytes.h"
#include "ring/ring.h"

#define MEMBERS_MAX 64u           /* a shard keeps a link to each; bitmaps are one word */
#define MEMBER_NONE UINT32_MAX    /* "self" of a proxy */
#define MEMBER_ADDRESS_BYTES 128u /* with the NUL; as os/sock.h */

/* How many copies, and how many of them must answer. */
struct replication {
    uint8_t replicas;     /* N, 1..REPLICAS_MAX */
    uint8_t write_quorum; /* W, 1..N; 0 = majority of N */
    uint8_t read_quorum;  /* R, 1..N; 0 = majority of N */
};

struct member {
    uint32_t id;                        /* 1.. ; hash of `address` */
    uint32_t weight;                    /* 1.. */
    uint32_t zone;                      /* 0 = none */
    char address[MEMBER_ADDRESS_BYTES]; /* canonical "ip:port" */
};

struct membership {
    uint32_t count;       /* 1..MEMBERS_MAX */
    uint32_t self;        /* index into `all`, or MEMBER_NONE: a proxy */
    uint64_t fingerprint; /* of everything that all nodes must agree on */
    struct replication replication;
    struct member all[MEMBERS_MAX]; /* by id, ascending: as ring->members */
    struct ring *ring;              /* owned */
};

/* `addresses` are canonical (numeric, see server/); doubles count once. `self` is the own
 * address, added if it is missing, or NULL for a proxy.
 * Errors  ST_FULL     more than MEMBERS_MAX
 *         ST_INVALID  two addresses with one id, N, W or R out of range, no member at all */
STATUS membership_create(const char *const *addresses, uint32_t count, const char *self,
                         struct replication replication, struct membership **ret_membership);
/* NULL is nothing to destroy. */
void membership_destroy(struct membership *m);

/* Index of the member with this id, or MEMBER_NONE. */
uint32_t membership_find(const struct membership *m, uint32_t id);
static inline uint32_t membership_majority(uint32_t count) {
    return count / 2 + 1;
}
bool membership_check(const struct membership *m);

#endif
