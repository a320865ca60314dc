/* members.h - the cluster that the settings name: whom this node begins or joins one with.
 *
 * Names become numbers here, once, at the start: all nodes know each other by the numeric
 * addresses, so a name must mean the same everywhere. Members of the same machine and of
 * others do not mix, since 127.0.0.1 is another node for each machine. A node that is a member
 * already has its cluster from its data directory; only its address still counts then.
 *
 * Owner      the program's first thread, before the shards exist
 * Memory     in the struct; control options point into it
 * Failure    ST_INVALID after one line in the log that says what to change
 */
#ifndef ATOLL_SERVER_MEMBERS_H
#define ATOLL_SERVER_MEMBERS_H

#include "control/control.h"
#include "os/sock.h"
#include "server/config.h"

struct members {
    enum control_want want;                             /* what to do if nothing is stored */
    char self[OS_ADDRESS_BYTES_MAX];                    /* what others call this node by */
    uint32_t count;                                     /* of `addresses` */
    char addresses[FOUNDERS_MAX][OS_ADDRESS_BYTES_MAX]; /* canonical, each once; of a list: with the
                                                          node itself */
    const char *texts[FOUNDERS_MAX];                    /* the same */
};

/* `listen` is the address it serves on, with the real port.
 * Errors  ST_INVALID */
STATUS members_resolve(const struct config *c, struct os *os, const char *listen,
                       struct members *ret_members);
/* Set what the settings say; boot count and nonce are the data directory's. */
void members_options(const struct members *m, const struct config *c,
                     struct control_options *ret_options);
/* Log whom it is told of. */
void members_log(const struct members *m);

#endif
