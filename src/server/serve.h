/* serve.h - `atoll serve`: one node, from its start to its last reply.
 *
 * Builds the node bottom-up (os, pool, cache, shards), serves until a stop signal,
 * drains, and gives everything back.
 *
 * Owner      the program's first thread
 * Failure    one line on standard error and an exit code (docs/cli.md)
 */
#ifndef ATOLL_SERVER_SERVE_H
#define ATOLL_SERVER_SERVE_H

#include "server/config.h"

/* Returns the exit code of the program. */
int serve(const struct config *c);

#endif
