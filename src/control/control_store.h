/* control_store.h - the calls of raft_store.h that a control makes, as a table.
 *
 * Two things stand behind it: the store on disk, and a store in memory of which the tests'
 * crashes take what was not durable. Contracts are those of raft_store.h, name for name.
 */
#ifndef ATOLL_CONTROL_CONTROL_STORE_H
#define ATOLL_CONTROL_CONTROL_STORE_H

#include "control/raft_store.h"

struct control_store {
    void *user; /* first argument of all */
    /* Make it, durably. `snapshot` index 0: none. */
    struct status (*create)(void *user, const struct raft_store_owner *owner,
                            const struct raft_snapshot *snapshot);
    bool (*has_room)(const void *user);
    void (*hard)(void *user, struct raft_hard_state hard);
    void (*truncate)(void *user, uint64_t index);
    void (*append)(void *user, const struct raft_entry *entry);
    void (*mark)(void *user, struct raft_mark mark);
    void (*applied)(void *user, uint64_t index);
    void (*cluster)(void *user, const uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]);
    void (*snapshot)(void *user, const struct raft_snapshot *snapshot);
    void (*install)(void *user, const struct raft_snapshot *snapshot);
    bool (*is_replacing)(const void *user);
    void (*flush)(void *user);
};

#endif
