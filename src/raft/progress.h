/* progress.h - what a leader knows of one other node's log, and what is on the way to it.
 *
 * PROBE      where the logs agree is being looked for: one APPEND at a time (thesis 3.5)
 * REPLICATE  it is known: APPENDs are sent ahead of their answers (10.2.1), up to a window
 * SNAPSHOT   what it needs is dropped here: it gets the snapshot, piece by piece (5.2)
 *
 * Lifecycle  init -> any. One per other member, while this node leads
 * Owner      one struct raft
 */
#ifndef ATOLL_RAFT_PROGRESS_H
#define ATOLL_RAFT_PROGRESS_H

#include "base/status.h"

#include <stdint.h>

#define RAFT_INFLIGHT_MAX 16u /* APPENDs with entries on the way to one node */

enum raft_progress_state {
    RAFT_PROBE,
    RAFT_REPLICATE,
    RAFT_SENDS_SNAPSHOT,
    RAFT_PROGRESS_STATES,
};

struct raft_progress {
    uint32_t id;                          /* the node */
    enum raft_progress_state state;       /* see above */
    uint64_t match;                       /* durable there and equal up to here */
    uint64_t next;                        /* first entry of the next APPEND, above match */
    uint64_t commit_sent;                 /* highest commit index told to it */
    uint64_t round;                       /* highest heartbeat round answered */
    uint64_t heard_ms;                    /* when anything of this term came from it */
    bool paused;                          /* PROBE: the APPEND is on the way */
    bool append_due;                      /* one APPEND must go, even if it is empty */
    bool heartbeat_due;                   /* one HEARTBEAT must go */
    bool chunk_sent;                      /* SNAPSHOT: a piece is on the way */
    uint32_t chunk_checksum;              /* SNAPSHOT: which one, with chunk_index */
    uint64_t chunk_index;                 /* SNAPSHOT: last entry it covers */
    uint64_t chunk_offset;                /* SNAPSHOT: bytes that arrived */
    uint64_t chunk_sent_ms;               /* SNAPSHOT: when the last piece left */
    uint32_t inflight_first;              /* place of the oldest in `inflight` */
    uint32_t inflight_count;              /* 0..RAFT_INFLIGHT_MAX */
    uint64_t inflight[RAFT_INFLIGHT_MAX]; /* last index of each, ascending; a ring */
};

/* A new leader assumes that all logs are like its own. */
void raft_progress_init(struct raft_progress *p, uint32_t id, uint64_t last_index, uint64_t now_ms);
/* Look for the place again, from `next` on. Requires  next > match */
void raft_progress_probe(struct raft_progress *p, uint64_t next);
void raft_progress_send_snapshot(struct raft_progress *p, uint64_t index, uint32_t checksum);
/* An APPEND that ends at `last_index` has left. */
void raft_progress_sent(struct raft_progress *p, uint64_t last_index);
/* It has everything up to `index`, durably. */
void raft_progress_acknowledged(struct raft_progress *p, uint64_t index);
bool raft_progress_check(const struct raft_progress *p);

#endif
