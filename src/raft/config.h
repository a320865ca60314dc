/* config.h - who belongs to the Raft group: voters decide, learners only follow.
 *
 * A change moves one node by one step, so that the majorities of two configurations in a row
 * always share a node (thesis 4.1). A node becomes a voter only by way of being a learner
 * (4.2.1), which is caught up without counting for majorities.
 *
 * Pure. Plain values, no lifecycle.
 *
 * A configuration in a snapshot, integers little-endian, at most RAFT_CONFIG_BYTES_MAX:
 *
 *   offset  size  field
 *        0     2  voters, 1..7
 *        2     2  learners; both together at most 1024
 *        4    4n  ids of the voters, ascending, not zero
 *             4n  ids of the learners, ascending, not zero, none a voter's
 *
 * A change in a log entry: 1 byte enum raft_change_kind, 4 bytes id, not zero.
 */
#ifndef ATOLL_RAFT_CONFIG_H
#define ATOLL_RAFT_CONFIG_H

#include "base/bytes.h"

#define RAFT_VOTERS_MAX 7u     /* more voters make commits slower, not safer */
#define RAFT_MEMBERS_MAX 1024u /* voters and learners; a leader keeps one progress each */
#define RAFT_CONFIG_BYTES_MAX (4u + 4u * RAFT_MEMBERS_MAX)
#define RAFT_CHANGE_BYTES 5u

enum raft_change_kind {
    RAFT_CHANGE_ADD = 1,     /* a new node becomes a learner */
    RAFT_CHANGE_PROMOTE = 2, /* a learner becomes a voter */
    RAFT_CHANGE_DEMOTE = 3,  /* a voter becomes a learner */
    RAFT_CHANGE_REMOVE = 4,  /* a voter or a learner leaves */
};

struct raft_change {
    enum raft_change_kind kind; /* see there */
    uint32_t id;                /* the node it is about, not 0 */
};

struct raft_config {
    uint32_t voter_count;                /* 0 = nothing is known yet */
    uint32_t learner_count;              /* with the voters at most RAFT_MEMBERS_MAX */
    uint32_t voters[RAFT_VOTERS_MAX];    /* ids, ascending */
    uint32_t learners[RAFT_MEMBERS_MAX]; /* ids, ascending, disjoint from the voters */
};

bool raft_config_is_voter(const struct raft_config *c, uint32_t id);
bool raft_config_is_member(const struct raft_config *c, uint32_t id);
static inline uint32_t raft_config_majority(const struct raft_config *c) {
    return c->voter_count / 2 + 1;
}
/* Errors  ST_CONFLICT  the node is not where the change takes it from, or is the last voter
 *         ST_FULL      no place for another voter or member
 *         ST_INVALID   no such change
 * On error nothing is changed. */
STATUS raft_config_apply(struct raft_config *c, struct raft_change change);
bool raft_config_equal(const struct raft_config *a, const struct raft_config *b);
bool raft_config_check(const struct raft_config *c);

/* `out` has RAFT_CONFIG_BYTES_MAX bytes. Returns how many were written. */
size_t raft_config_encode(const struct raft_config *c, uint8_t *out);
/* Errors  ST_CORRUPT */
STATUS raft_config_decode(struct bytes in, struct raft_config *ret_config);
/* `out` has RAFT_CHANGE_BYTES bytes. */
void raft_change_encode(struct raft_change change, uint8_t *out);
/* Errors  ST_CORRUPT */
STATUS raft_change_decode(struct bytes in, struct raft_change *ret_change);

#endif
