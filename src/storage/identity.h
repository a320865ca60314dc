/* identity.h - who the owner of a data directory is, and how often it has started.
 *
 * Kept in DIR/node, a few lines of text, replaced as a whole (written beside, synced,
 * renamed, folder synced), so a crash leaves the old or the new one:
 *
 *   atoll 1                format of the data directory
 *   node 2889123457        node id, 1..2^32-1, drawn when the directory was made
 *   boots 12               starts so far; part of every version (R2)
 *   shards 2               fixed for the life of the directory
 *   crc32c 9f31c2aa        of the lines above
 *
 * Failure  ST_CORRUPT  the file is not what we wrote; ST_INVALID  another format, another
 *          number of shards than asked for, or a folder of somebody else's; identity_open
 *          logs each with what to do
 */
#ifndef ATOLL_STORAGE_IDENTITY_H
#define ATOLL_STORAGE_IDENTITY_H

#include "os/file.h"

#define IDENTITY_FORMAT 1u
#define IDENTITY_BYTES_MAX 256u

struct identity {
    uint32_t node_id;
    uint32_t boot_count;
    uint32_t shards;
};

/* Text form; returns its length. */
size_t identity_encode(const struct identity *id, char text[IDENTITY_BYTES_MAX]);
/* Errors  ST_CORRUPT, ST_INVALID (a format this program does not know) */
STATUS identity_decode(struct bytes text, struct identity *ret_id);

/* The identity as it is, without counting a start.
 * Errors  ST_NOT_FOUND, ST_CORRUPT, ST_INVALID, ST_IO */
STATUS identity_read(struct os *os, const char *dir, struct identity *ret_id);

/* Read or make the identity of `dir` and count this start durably. `shards_wanted` 0 = as
 * the directory has it, or `shards_default` for a new one. */
STATUS identity_open(struct os *os, const char *dir, uint32_t shards_wanted,
                     uint32_t shards_default, struct identity *ret_id);

#endif
