/* seed.h - streams to nodes that are known by their address only, for the control plane.
 *
 * A node that gathers, joins or is a proxy talks to others before they are members of its view, and
 * so does a member that others seem to have forgotten. It greets them as a proxy does: it is
 * nobody's peer. Only PEER_CONTROL frames are sent; while a stream is not up they are lost.
 *
 * Lifecycle  made by the first message to an address, given up when none was sent for a while
 * Owner      shard 0
 * Memory     SEEDS_MAX links
 * Failure    a message that cannot be sent is lost, and whoever sent it asks again
 */
#ifndef ATOLL_SHARD_SEED_H
#define ATOLL_SHARD_SEED_H

#include "base/bytes.h"
#include "base/list.h"
#include "cluster/membership.h"

#define SEEDS_MAX (2 * MEMBERS_MAX)

struct shard;
struct link;

struct seed {
    struct list node;                   /* in the shard's `seeds` */
    struct link *link;                  /* dialled; never NULL */
    uint64_t used_ms;                   /* monotonic: the last message */
    char address[MEMBER_ADDRESS_BYTES]; /* canonical "ip:port" */
};

/* Send bytes of control/control_message.h to whoever listens there. */
void seed_send(struct shard *s, const char *address, struct bytes message);
/* Give up those that were not used for long; every tick. */
void seeds_tick(struct shard *s);
/* All of them, with their links. */
void seeds_destroy(struct shard *s);

#endif
