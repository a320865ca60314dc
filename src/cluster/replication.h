/* replication.h - how many members there may be, how many copies of a key, and how many of them
 * must answer: what keyspaces, metadata and views have in common.
 *
 * Pure.
 */
#ifndef ATOLL_CLUSTER_REPLICATION_H
#define ATOLL_CLUSTER_REPLICATION_H

#include <stdint.h>

#define MEMBERS_MAX 1024u         /* a shard keeps a link to each */
#define FOUNDERS_MAX 64u          /* a list of first members, in one command; others join */
#define MEMBER_NONE UINT32_MAX    /* no place, and no id */
#define MEMBER_ADDRESS_BYTES 128u /* with the NUL; as os/sock.h */

/* How many copies, and how many of them must answer. */
struct replication {
    uint8_t replicas;     /* N, 1..REPLICAS_MAX */
    uint8_t write_quorum; /* W, 1..N; 0 = majority of N */
    uint8_t read_quorum;  /* R, 1..N; 0 = majority of N */
};

static inline uint32_t membership_majority(uint32_t count) {
    return count / 2 + 1;
}

#endif
