/* resp_commands.h - the one table of commands, and how they are looked up.
 *
 * COMMAND, COMMAND COUNT, INFO and DOCS are answered from it, and so are arity
 * errors. Names are lower case; a container (CLIENT, CONFIG, ..) has subcommands
 * and no translate function of its own unless it means something alone.
 * Owner: nobody, it is constant.
 */
#ifndef ATOLL_PROTO_RESP_COMMANDS_H
#define ATOLL_PROTO_RESP_COMMANDS_H

#include "base/bytes.h"

#define RESP_COMMAND_NAME_BYTES 16u /* padded with NUL; compared as two words */

/* Flags, named and meant as in COMMAND INFO of Redis. */
#define RESP_WRITE 0x01u /* may change data: refused when the disk is full */
#define RESP_READONLY 0x02u
#define RESP_FAST 0x04u
#define RESP_NO_AUTH 0x08u   /* allowed before authentication */
#define RESP_DANGEROUS 0x10u /* ACL category only */
/* How the reply goes together when a client spreads the keys over nodes. */
#define RESP_SUM 0x20u    /* numbers are added */
#define RESP_ALL_OK 0x40u /* OK if all are */
#define RESP_SPREAD 0x80u /* keys may go to several nodes */

enum resp_group { RESP_STRING, RESP_GENERIC, RESP_SERVER, RESP_CONNECTION, RESP_CLUSTER };

struct resp_call;

struct resp_command {
    char name[RESP_COMMAND_NAME_BYTES];    /* of a subcommand: without its container's */
    int8_t arity;                          /* with the name; negative = at least so many */
    uint8_t flags;                         /* RESP_WRITE .. */
    uint8_t group;                         /* enum resp_group */
    int8_t key_first, key_last, key_step;  /* as in COMMAND INFO; 0 0 0 = no keys */
    void (*translate)(struct resp_call *); /* NULL: the container needs a subcommand */
    const struct resp_command *children;   /* subcommands, ended by an empty name; or NULL */
    const char *container;                 /* of a subcommand, else NULL */
    const char *since;                     /* Redis version that brought it */
    const char *summary;
};

/* The command with this name in any case, or NULL. */
const struct resp_command *resp_command_find(struct bytes name);
const struct resp_command *resp_command_find_child(const struct resp_command *c, struct bytes name);
/* For COMMAND: number of commands, subcommands not counted, and the one at `index`. */
uint32_t resp_command_count(void);
const struct resp_command *resp_command_at(uint32_t index);
/* Whether argument `index` (0 = the name) of a command with `argc` arguments is a key. */
bool resp_command_has_key_at(const struct resp_command *c, uint32_t argc, uint32_t index);

#endif
