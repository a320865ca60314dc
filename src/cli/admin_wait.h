/* admin_wait.h - follow a change of the cluster until it is through.
 *
 * Whoever is asked may be the one that leaves, so all members it ever told of are asked in
 * turn. On a terminal a bar shows how far it is.
 *
 * Owner      the program's first thread
 * Memory     the addresses of up to 64 members
 */
#ifndef ATOLL_CLI_ADMIN_WAIT_H
#define ATOLL_CLI_ADMIN_WAIT_H

#include "cli/admin.h"

/* What has to be so, besides that no change is running. */
enum admin_goal {
    ADMIN_UNTIL_SETTLED, /* nothing more */
    ADMIN_UNTIL_MEMBER,  /* a node at this address keeps slots */
    ADMIN_UNTIL_GONE,    /* no member has this id or address */
};

/* `node` is an id or address, or NULL. `change`: id of the one that is to end, 0 = not known. Of
 * the answer to what was asked before only that is kept. Returns the exit code. */
int admin_wait(struct admin *a, enum admin_goal goal, const char *node, uint64_t change);
/* The number of this name in the last answer; 0 if there is none. */
uint64_t admin_answer_number(const struct admin *a, const char *name);

#endif
