/* config_internal.h - how config.c judges the settings of a cluster.
 *
 * config_finish calls these in this order, each after the option's own rules hold. They see
 * texts only: whether names exist is found when the members are built (server/members.h).
 *
 * Names of older stores that have no effect are in config_inert.c.
 *
 * Owner, memory  as the config
 * Failure        ST_INVALID, and c->set.error says why
 */
#ifndef ATOLL_SERVER_CONFIG_INTERNAL_H
#define ATOLL_SERVER_CONFIG_INTERNAL_H

#include "server/config.h"

/* Fill peer_nodes and join_nodes, and give `peers` and `join` their usual spelling. */
STATUS config_settle_nodes(struct config *c);
/* Without an own value it is the listen address. Requires that port and listen agree. */
void config_settle_advertise(struct config *c);
/* Whether the settings of a cluster fit each other. */
STATUS config_judge_cluster(struct config *c);

/* Without blanks at both ends. */
struct bytes config_trim(struct bytes in);

/* Keep the value of a name that has no effect, unless a stronger source has given it; nothing
 * if the name is none of these. */
void config_take_inert(struct config *c, enum option_source source, struct bytes name,
                       struct bytes value);
/* The same from the environment. */
void config_take_inert_environment(struct config *c, struct os *os);
const char *config_inert_name(uint32_t index);
const char *config_inert_reason(uint32_t index);

#endif
