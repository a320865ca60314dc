/* members.h - the cluster that the settings describe, as a membership.
 *
 * Names become numbers here, once, at the start: all nodes know each other by the numeric
 * addresses, so a name must mean the same everywhere. Members of the same machine and of
 * others do not mix, since 127.0.0.1 is another node for each machine.
 *
 * Owner      the program's first thread, before the shards exist
 * Memory     the membership is the caller's, to be destroyed after the shards
 * Failure    ST_INVALID after one line in the log that says what to change
 */
#ifndef ATOLL_SERVER_MEMBERS_H
#define ATOLL_SERVER_MEMBERS_H

#include "cluster/membership.h"
#include "server/config.h"

/* The membership of `c`; of one member if the node is alone: it has no peers, or only itself.
 * `listen` is the address it serves on, with the real port.
 * Errors  ST_INVALID */
STATUS members_build(const struct config *c, struct os *os, const char *listen,
                     struct membership **ret_membership);

/* Log who the members are and how many copies there are. */
void members_log(const struct membership *m);
/* Whether the node is the only member. */
bool members_are_one(const struct membership *m);
/* Copies of each key: not more than there are members. */
uint32_t members_copies(const struct membership *m);

#endif
