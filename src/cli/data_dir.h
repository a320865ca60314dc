/* data_dir.h - a node's data directory, held by an offline command.
 *
 *   DIR/LOCK       held by whoever has the directory open
 *   DIR/node       identity of the node, with the number of shards
 *   DIR/shard-00   one folder per shard
 *
 * Lifecycle  open -> shard paths -> close
 * Owner      one thread; no node can start on the directory meanwhile
 * Failure    the error is printed and the exit code returned
 */
#ifndef ATOLL_CLI_DATA_DIR_H
#define ATOLL_CLI_DATA_DIR_H

#include "os/file.h"

struct data_dir {
    struct os *os;
    const char *path;
    struct os_file lock;    /* not open if the file system is read-only */
    struct status identity; /* of reading DIR/node */
    uint32_t shards_count;  /* as DIR/node has it, else the folders found; 1.. */
};

/* Returns EXIT_CODE_OK or the exit code. */
int data_dir_open(struct data_dir *d, struct os *os, const char *path);
void data_dir_close(struct data_dir *d);
/* Path of a shard's folder. Returns `path`. */
const char *data_dir_shard(const struct data_dir *d, uint32_t shard, char path[OS_PATH_BYTES_MAX]);

#endif
